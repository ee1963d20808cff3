/* frontend/command/measure.c - time, temporary files, and what the machine can do at most.
 *
 * A peak is the best of several rounds, each long enough to be timed: what gets in the way of one is not the machine's
 * limit. Every thread reads memory of its own; of what threads share each has its part. */
#include "frontend/command/measure.h"
#include "backend/peak.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double cmd_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool cmd_read_seconds(const char *word, double *out)
{
    char *end;
    *out = strtod(word, &end);
    return end != word && !*end && *out >= 0.001 && *out <= 3600;
}

/* ---- samples ---- */

void cmd_sample_add(arena *mem, cmd_samples *s, double seconds)
{
    s->seconds = arena_grown(mem, s->seconds, (size_t)s->count, sizeof *s->seconds);
    s->seconds[s->count++] = seconds;
    s->total += seconds;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double cmd_sample_median(cmd_samples *s)
{
    qsort(s->seconds, (size_t)s->count, sizeof *s->seconds, compare);
    int32_t half = s->count / 2;
    return s->count % 2 ? s->seconds[half] : (s->seconds[half - 1] + s->seconds[half]) / 2;
}

double cmd_sample_least(const cmd_samples *s)
{
    double least = s->seconds[0];
    for (int32_t i = 1; i < s->count; i++)
        least = s->seconds[i] < least ? s->seconds[i] : least;
    return least;
}

/* ---- temporary files ---- */

const char *cmd_temporary(arena *mem, const char *name, diag *d)
{
    const char *wanted = getenv("TMPDIR"), *base = wanted && *wanted ? wanted : "/tmp";
    char *folder = arena_printf(mem, "%s/lamina-XXXXXX", base);
    if (mkdtemp(folder))
        return arena_printf(mem, "%s/%s", folder, name);
    diag_error(d, (src_loc){0}, "%s: no temporary folder can be made there: %s", base, strerror(errno));
    return NULL;
}

void cmd_temporary_remove(arena *mem, const char *path)
{
    unlink(path);
    rmdir(arena_strndup(mem, path, (size_t)(strrchr(path, '/') - path)));
}

/* ---- peaks ---- */

typedef struct {
    be_kernel *kernel;
    int64_t iterations, repeats;
    char *memory; /* of all threads, one after the other */
    size_t bytes; /* of each */
} peak_job;

enum { ALIGNMENT = 4096 }; /* a thread's result lies in a page of its own, behind what it reads */

static void run_peak(void *context, int64_t thread)
{
    const peak_job *j = context;
    char *own = j->memory + (size_t)thread * (j->bytes + ALIGNMENT);
    void *const buffers[] = {own, own + j->bytes};
    for (int64_t i = 0; i < j->repeats; i++)
        j->kernel(j->iterations, 0, buffers);
}

/* Seconds of the best round. The work of a round is doubled until it takes long enough. */
static double best_round(peak_job *j, lamina_pool *pool, int64_t threads)
{
    enum { ROUNDS = 21 };
    const double long_enough = 0.005;
    double best = 0;
    for (int round = 0; round < ROUNDS;) {
        double start = cmd_seconds();
        lamina_pool_run(pool, run_peak, j, threads);
        double took = cmd_seconds() - start;
        if (round == 0 && took < long_enough) {
            j->repeats *= 2;
            continue;
        }
        best = round == 0 || took < best ? took : best;
        round++;
    }
    return best;
}

static double operations_peak(const ir_target *t, be_kernel *kernel, char *memory, lamina_pool *pool, int64_t threads)
{
    peak_job j = {.kernel = kernel, .iterations = 1000, .repeats = 1, .memory = memory, .bytes = ALIGNMENT};
    double seconds = best_round(&j, pool, threads);
    return (double)(j.iterations * j.repeats * threads * be_peak_operations(t)) / seconds;
}

/* 'bytes' is what each thread reads again and again. */
static double read_peak(const ir_target *t, be_kernel *kernel, char *memory, size_t bytes, lamina_pool *pool,
                        int64_t threads)
{
    size_t step = 4 * (size_t)be_peak_elements(t);
    peak_job j = {
        .kernel = kernel, .iterations = (int64_t)(bytes / step), .repeats = 1, .memory = memory, .bytes = bytes};
    double seconds = best_round(&j, pool, threads);
    return (double)step * (double)(j.iterations * j.repeats * threads) / seconds;
}

static be_kernel *find_kernel(void *library, const char *name)
{
    be_kernel *function;
    void *symbol = dlsym(library, name);
    memcpy(&function, &symbol, sizeof function); /* ISO C has no cast from an object pointer to a function's */
    return function;
}

static size_t page_multiple(int64_t bytes)
{
    return bytes < ALIGNMENT ? ALIGNMENT : (size_t)bytes / ALIGNMENT * ALIGNMENT;
}

/* Memory that is really there: pages that were only reserved are all one page of zeros until they are written. */
static char *new_memory(arena *mem, size_t bytes)
{
    char *p = arena_array(mem, bytes + ALIGNMENT, 1);
    p += ALIGNMENT - (uintptr_t)p % ALIGNMENT;
    memset(p, 0, bytes);
    return p;
}

static bool measure(const ir_target *t, void *library, int64_t threads, arena *mem, cmd_peaks *out, diag *d)
{
    size_t l2 = page_multiple(t->l2 / 2), l3 = page_multiple(t->l3 / 2 / threads), far = page_multiple(4 * t->l3);
    l3 = l3 < 2 * l2 ? 2 * l2 : l3;
    far = page_multiple((int64_t)(far / (size_t)threads)) + 2 * l3;
    char *memory = new_memory(mem, (size_t)threads * (far + ALIGNMENT));
    lamina_pool *pool = NULL;
    lamina_error e;
    bool ok = threads == 1 || lamina_pool_new(threads, true, &pool, &e) == LAMINA_OK;
    if (ok) {
        be_kernel *read = find_kernel(library, "peak_read");
        out->operations = operations_peak(t, find_kernel(library, "peak_fma"), memory, pool, threads);
        out->l2 = read_peak(t, read, memory, l2, pool, threads);
        out->l3 = read_peak(t, read, memory, l3, pool, threads);
        out->memory = read_peak(t, read, memory, far, pool, threads);
    } else {
        diag_error(d, (src_loc){0}, "%s", e.text);
    }
    lamina_pool_free(pool);
    return ok;
}

bool cmd_measure_peaks(const ir_target *t, int64_t threads, cmd_peaks *out, diag *d)
{
    arena *mem = arena_new();
    const char *path = cmd_temporary(mem, "peaks.so", d);
    const be_options o = {BE_SO, path, false, NULL};
    void *library = NULL;
    bool ok = path && be_compile_peaks(t, &o, d);
    if (ok && !(library = dlopen(path, RTLD_NOW | RTLD_LOCAL))) {
        diag_error(d, (src_loc){0}, "%s", dlerror());
        ok = false;
    }
    if (path)
        cmd_temporary_remove(mem, path);
    ok = ok && measure(t, library, threads, mem, out, d);
    if (library)
        dlclose(library);
    arena_free(mem);
    return ok;
}
