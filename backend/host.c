/* backend/host.c - what this machine says of itself: LLVM's name for its CPU, its instruction sets, its caches.
 *
 * The name alone cannot be trusted. A virtual machine may give the name of an old CPU and still offer all
 * instruction sets and caches of its processor, or hide some of them. Caches are described in the same form by
 * CPUID's leaf 4 (Intel) and leaf 0x8000001d (AMD), with one subleaf for each cache until one has type 0. A
 * processor that has only the other leaf answers with type 0 at once. */
#include "backend/target.h"
#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

enum { EAX, EBX, ECX, REGISTERS = 4 };
enum { NONE = 0, DATA = 1, UNIFIED = 3 };

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

static void ask_processor(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    if (!__get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3]))
        r[EAX] = r[EBX] = r[ECX] = 0;
}
#else
static void ask_processor(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    (void)leaf;
    (void)subleaf;
    r[EAX] = r[EBX] = r[ECX] = 0;
}
#endif

static int64_t field(uint32_t word, int first, int bits)
{
    return word >> first & ((1u << bits) - 1);
}

/* The bytes of a cache, and how many hardware threads share it. */
static int64_t size_of(const uint32_t r[REGISTERS], int64_t *threads)
{
    int64_t line = field(r[EBX], 0, 12) + 1, partitions = field(r[EBX], 12, 10) + 1, ways = field(r[EBX], 22, 10) + 1;
    *threads = field(r[EAX], 14, 12) + 1;
    return line * partitions * ways * ((int64_t)r[ECX] + 1);
}

/* The threads of a core share its first cache; a second cache that more of them share is that of several cores. */
static void read_caches(be_cpuid *ask, uint32_t leaf, int64_t *l1, int64_t *l2)
{
    enum { MOST = 16 };
    uint32_t r[REGISTERS] = {0};
    int64_t core = 1, threads = 1;
    for (uint32_t i = 0; i < MOST; i++) {
        ask(leaf, i, r);
        int64_t type = field(r[EAX], 0, 5), level = field(r[EAX], 5, 3);
        if (type == NONE)
            return;
        if (type == DATA && level == 1)
            *l1 = size_of(r, &core);
        if ((type == DATA || type == UNIFIED) && level == 2) {
            *l2 = size_of(r, &threads);
            *l2 = threads > core ? *l2 * core / threads : *l2;
        }
    }
}

void be_host_caches(be_cpuid *ask, int64_t *l1, int64_t *l2)
{
    *l1 = *l2 = 0;
    read_caches(ask, 4, l1, l2);
    if (!*l1)
        read_caches(ask, 0x8000001d, l1, l2);
}

be_host be_host_ask(arena *mem)
{
    char *name = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    be_host h = {.name = arena_strdup(mem, name), .features = arena_strdup(mem, features)};
    LLVMDisposeMessage(name);
    LLVMDisposeMessage(features);
    be_host_caches(ask_processor, &h.l1, &h.l2);
    return h;
}
