/* backend/target.c - what is known of CPUs: a name, an instruction-set level, caches.
 *
 * LLVM knows hundreds of features for a CPU. Lamina generates code for four levels only (the psABI's x86-64,
 * x86-64-v2, -v3 and -v4) and uses the name for tuning. So what a library needs from its machine is said in a few
 * words, which a loader can check.
 *
 * A CPU that is named has what this table says of it, so that the same options give the same library everywhere.
 * `native` is what this machine says of itself: its instruction sets decide the level, its name counts only if a CPU
 * of that name has this level, and its own caches replace those of the table. The last-level cache is the exception.
 * It is shared by many cores, and a virtual machine cannot know how many, so the size in the table stays. */
#include "backend/target.h"
#include "backend/backend.h"
#include <string.h>

enum { KIB = 1024, MIB = 1024 * 1024 };

typedef struct {
    const char *name; /* LLVM's */
    int level;        /* of x86-64: 1 to 4 */
    int l1, l2, l3;   /* KiB, KiB, MiB of a core; 0: typical */
} cpu_row;

static const cpu_row cpus[] = {
    {"x86-64", 1, 0, 0, 0},
    {"x86-64-v2", 2, 0, 0, 0},
    {"x86-64-v3", 3, 0, 0, 0},
    {"x86-64-v4", 4, 0, 0, 0},
    /* Intel */
    {"core2", 1, 32, 2048, 0},
    {"nehalem", 2, 32, 256, 8},
    {"westmere", 2, 32, 256, 8},
    {"sandybridge", 2, 32, 256, 8},
    {"ivybridge", 2, 32, 256, 8},
    {"haswell", 3, 32, 256, 8},
    {"broadwell", 3, 32, 256, 8},
    {"skylake", 3, 32, 256, 8},
    {"skylake-avx512", 4, 32, 1024, 0},
    {"cascadelake", 4, 32, 1024, 0},
    {"cooperlake", 4, 32, 1024, 0},
    {"cannonlake", 4, 32, 256, 8},
    {"icelake-client", 4, 48, 512, 8},
    {"icelake-server", 4, 48, 1280, 0},
    {"tigerlake", 4, 48, 1280, 12},
    {"rocketlake", 4, 48, 512, 16},
    {"sapphirerapids", 4, 48, 2048, 0},
    {"emeraldrapids", 4, 48, 2048, 0},
    {"graniterapids", 4, 48, 2048, 0},
    {"alderlake", 3, 48, 1280, 0},
    {"raptorlake", 3, 48, 2048, 0},
    {"meteorlake", 3, 48, 2048, 24},
    {"arrowlake", 3, 48, 3072, 0},
    {"lunarlake", 3, 48, 2560, 12},
    {"silvermont", 2, 24, 512, 4},
    {"goldmont", 2, 24, 512, 4},
    {"tremont", 2, 32, 1024, 4},
    {"gracemont", 3, 32, 512, 6},
    {"sierraforest", 3, 32, 1024, 0},
    /* AMD */
    {"k8", 1, 64, 512, 4},
    {"amdfam10", 1, 64, 512, 6},
    {"btver1", 1, 32, 512, 4},
    {"btver2", 2, 32, 512, 4},
    {"bdver1", 2, 16, 1024, 8},
    {"bdver2", 2, 16, 1024, 8},
    {"bdver3", 2, 16, 1024, 8},
    {"bdver4", 3, 16, 1024, 8},
    {"znver1", 3, 32, 512, 8},
    {"znver2", 3, 32, 512, 16},
    {"znver3", 3, 32, 512, 0},
    {"znver4", 4, 32, 1024, 0},
    {"znver5", 4, 48, 1024, 0},
};

enum { CPU_COUNT = sizeof cpus / sizeof *cpus };

/* The psABI's levels as LLVM names them, what they give us, and what a loader has to look for. */
static const struct {
    const char *cpu, *needs;
    int vector, registers;
    bool fma;
} levels[] = {
    [1] = {"x86-64", "sse2", 4, 16, false},
    [2] = {"x86-64-v2", "sse3,ssse3,sse4.1,sse4.2,popcnt", 4, 16, false},
    [3] = {"x86-64-v3", "sse4.2,popcnt,avx,avx2,fma,f16c,bmi,bmi2,lzcnt,movbe", 8, 16, true},
    [4] = {"x86-64-v4",
           "sse4.2,popcnt,avx,avx2,fma,f16c,bmi,bmi2,lzcnt,movbe,avx512f,avx512bw,avx512cd,avx512dq,avx512vl", 16, 32,
           true},
};

static const cpu_row *find_cpu(const char *name)
{
    for (int i = 0; i < CPU_COUNT; i++)
        if (strcmp(cpus[i].name, name) == 0)
            return &cpus[i];
    return NULL;
}

/* Whether "+name" stands in LLVM's list of the host's features. */
static bool has_feature(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strchr(at, '+')); at++) {
        if (strncmp(at + 1, name, length) == 0 && (at[length + 1] == ',' || at[length + 1] == 0))
            return true;
    }
    return false;
}

static bool has_features(const char *list, const char *const *names)
{
    while (*names && has_feature(list, *names))
        names++;
    return !*names;
}

static int level_of_features(const char *list)
{
    static const char *const v2[] = {"sse4.2", "popcnt", NULL}, *const v3[] = {"avx2", "fma", "bmi2", "f16c", NULL},
                             *const v4[] = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", NULL};
    const char *const *const sets[] = {v2, v3, v4};
    int level = 1;
    while (level <= 3 && has_features(list, sets[level - 1]))
        level++;
    return level;
}

static void report_unknown(const char *cpu, diag *d)
{
    const char *names[CPU_COUNT];
    for (int i = 0; i < CPU_COUNT; i++)
        names[i] = cpus[i].name;
    const char *nearest = diag_nearest(cpu, names, CPU_COUNT);
    diag_error(d, (src_loc){0}, "unknown CPU '%s', expected 'native' or LLVM's name of an x86-64 CPU", cpu);
    if (nearest)
        diag_note(d, (src_loc){0}, "did you mean '%s'", nearest);
}

static int level_of(const ir_target *t)
{
    const cpu_row *row = find_cpu(t->cpu);
    if (!row)
        ir_bug("a target of unknown CPU '%s'", t->cpu);
    return row->level;
}

const char *be_target_code_cpu(const ir_target *t)
{
    return levels[level_of(t)].cpu;
}

const char *be_target_needs(const ir_target *t)
{
    return levels[level_of(t)].needs;
}

static int64_t size_or(int size, int64_t unit, int64_t typical)
{
    return size ? size * unit : typical;
}

static ir_target target_of(const cpu_row *row, arena *mem)
{
    return (ir_target){.triple = arena_strdup(mem, "x86_64-unknown-linux-gnu"),
                       .cpu = arena_strdup(mem, row->name),
                       .features = arena_strdup(mem, ""),
                       .vector = levels[row->level].vector,
                       .registers = levels[row->level].registers,
                       .fma = levels[row->level].fma,
                       .l1 = size_or(row->l1, KIB, 32 * KIB),
                       .l2 = size_or(row->l2, KIB, MIB),
                       .l3 = size_or(row->l3, MIB, 32 * MIB)};
}

ir_target be_target_of_host(const be_host *h, arena *mem)
{
    int level = level_of_features(h->features);
    const cpu_row *row = find_cpu(h->name);
    ir_target t = target_of(row && row->level == level ? row : find_cpu(levels[level].cpu), mem);
    t.l1 = h->l1 ? h->l1 : t.l1;
    t.l2 = h->l2 ? h->l2 : t.l2;
    return t;
}

bool be_target(const char *cpu, arena *mem, ir_target *out, diag *d)
{
    if (strcmp(cpu, "native") == 0) {
        const be_host h = be_host_ask(mem);
        *out = be_target_of_host(&h, mem);
        return true;
    }
    const cpu_row *row = find_cpu(cpu);
    if (!row) {
        report_unknown(cpu, d);
        return false;
    }
    *out = target_of(row, mem);
    return true;
}
