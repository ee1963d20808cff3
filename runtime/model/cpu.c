/* runtime/model/cpu.c - see cpu.h. The names are LLVM's, of the sets that make up the psABI's levels x86-64 to
 * x86-64-v4; where a set stands is from the manuals' pages on CPUID and XGETBV. */
#include "runtime/model/cpu.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

enum { EBX = 1, ECX, EDX }; /* places in what CPUID gives */
enum { SAVES_NOTHING = 0, SAVES_YMM = 0x6, SAVES_ZMM = 0xe6, OSXSAVE = 27 };

typedef struct {
    const char *name;
    uint32_t leaf;
    int where, bit;
    uint32_t saved; /* bits of XCR0: registers the system must save */
} cpu_feature;

static const cpu_feature known[] = {
    {"sse", 1, EDX, 25, SAVES_NOTHING},
    {"sse2", 1, EDX, 26, SAVES_NOTHING},
    {"sse3", 1, ECX, 0, SAVES_NOTHING},
    {"ssse3", 1, ECX, 9, SAVES_NOTHING},
    {"sse4.1", 1, ECX, 19, SAVES_NOTHING},
    {"sse4.2", 1, ECX, 20, SAVES_NOTHING},
    {"popcnt", 1, ECX, 23, SAVES_NOTHING},
    {"movbe", 1, ECX, 22, SAVES_NOTHING},
    {"lzcnt", 0x80000001, ECX, 5, SAVES_NOTHING},
    {"bmi", 7, EBX, 3, SAVES_NOTHING},
    {"bmi2", 7, EBX, 8, SAVES_NOTHING},
    {"avx", 1, ECX, 28, SAVES_YMM},
    {"avx2", 7, EBX, 5, SAVES_YMM},
    {"fma", 1, ECX, 12, SAVES_YMM},
    {"f16c", 1, ECX, 29, SAVES_YMM},
    {"avx512f", 7, EBX, 16, SAVES_ZMM},
    {"avx512dq", 7, EBX, 17, SAVES_ZMM},
    {"avx512cd", 7, EBX, 28, SAVES_ZMM},
    {"avx512bw", 7, EBX, 30, SAVES_ZMM},
    {"avx512vl", 7, EBX, 31, SAVES_ZMM},
};

static bool has_bit(uint32_t leaf, int where, int bit)
{
    uint32_t r[4];
    return __get_cpuid_count(leaf, 0, &r[0], &r[EBX], &r[ECX], &r[EDX]) && (r[where] >> bit & 1);
}

/* XCR0, or nothing where the system does not let programs ask. */
static uint32_t saved_registers(void)
{
    if (!has_bit(1, ECX, OSXSAVE))
        return 0;
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool cpu_has(const char *feature)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, feature) == 0)
            return has_bit(known[i].leaf, known[i].where, known[i].bit) &&
                   (!known[i].saved || (saved_registers() & known[i].saved) == known[i].saved);
    return false;
}
#else
static bool cpu_has(const char *feature)
{
    (void)feature;
    return false;
}
#endif

bool lamina_cpu_has_all(const char *features, char *missing, size_t size)
{
    while (*features) {
        size_t n = strcspn(features, ",");
        snprintf(missing, size, "%.*s", (int)n, features);
        if (n > 0 && !cpu_has(missing))
            return false;
        features += n + (features[n] == ',');
    }
    return true;
}
