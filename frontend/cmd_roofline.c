/* frontend/cmd_roofline.c - every kernel by itself, beside what the machine can do (the roofline model of Williams,
 * Waterman and Patterson, 2009).
 *
 * The network is compiled once more, without chains and so that each phase of each kernel comes through parallel_for by
 * itself; ours times them. What a kernel can reach is set by its operations at the peak of multiply-adds or by its
 * bytes at the bandwidth of the level of memory that holds all of them, whichever takes longer. */
#include "frontend/cmd_bench.h"
#include "ir/cost.h"
#include <string.h>

/* One function's launches, in the order of their calls, and the loop that times them. */
typedef struct {
    bench *b;
    lamina_pool *pool; /* NULL: a plain loop */
    const be_launch **launch;
    cmd_samples *samples; /* one a launch */
    int32_t count, at;
} stopwatch;

static void timed_loop(void *host, lamina_task *task, void *context, int64_t tasks)
{
    stopwatch *w = host;
    double start = cmd_seconds();
    lamina_pool_run(w->pool, task, context, tasks);
    double took = cmd_seconds() - start;
    if (w->at < w->count)
        cmd_sample_add(w->b->mem, &w->samples[w->at], took);
    w->at++;
}

/* ---- one function ---- */

static void list_launches(stopwatch *w, const be_profile *all, const bench_function *f)
{
    w->launch = arena_new_array(w->b->mem, const be_launch *, (size_t)all->count);
    w->count = 0;
    for (int32_t part = 0; part < f->part_count; part++)
        for (int32_t i = 0; i < all->count; i++)
            if (!strcmp(all->launch[i].function->name, f->parts[part]))
                w->launch[w->count++] = &all->launch[i];
    w->samples = arena_new_array(w->b->mem, cmd_samples, (size_t)w->count);
}

static bool time_launches(stopwatch *w, lamina_model *m, const bench_function *f)
{
    enum { LEAST_CALLS = 5, MOST_CALLS = 2000 };
    double end = cmd_seconds() + w->b->seconds;
    for (int32_t calls = 0; calls < LEAST_CALLS || (calls < MOST_CALLS && cmd_seconds() < end); calls++) {
        w->at = 0;
        if (*w->b->stop || !bench_call(w->b, m, f))
            return false;
        if (w->at != w->count)
            ir_bug("%s: expected %d launches, found %d", f->name, (int)w->count, (int)w->at);
    }
    return true;
}

/* ---- kernels ---- */

static bench_kernel *kernel_of(bench *b, const bench_function *f, const ir_node *n, int32_t first, const ir_node **of)
{
    for (int32_t i = first; i < b->kernel_count; i++)
        if (of[i - first] == n)
            return &b->kernels[i];
    ir_cost cost = ir_kernel_cost(n, b->batch);
    b->kernels = arena_grown(b->mem, b->kernels, (size_t)b->kernel_count, sizeof *b->kernels);
    of[b->kernel_count - first] = n;
    bench_kernel *k = &b->kernels[b->kernel_count++];
    *k = (bench_kernel){.function = f->name,
                        .label = arena_strdup(b->mem, n->label ? n->label : ir_ops[n->op].name),
                        .kind = arena_strdup(b->mem, ir_word(n, "kind")),
                        .operations = cost.operations,
                        .bytes = cost.bytes};
    return k;
}

static void judge(const bench *b, bench_kernel *k)
{
    const ir_target *t = &b->module->target;
    bool in_l2 = k->bytes <= (double)(t->l2 * b->threads), in_l3 = k->bytes <= (double)t->l3;
    double bandwidth = in_l2 ? b->peaks.l2 : in_l3 ? b->peaks.l3 : b->peaks.memory;
    double computing = k->operations / b->peaks.operations, reading = k->bytes / bandwidth;
    k->bound = computing >= reading ? "compute" : in_l2 ? "L2" : in_l3 ? "L3" : "memory";
    k->reached = (computing >= reading ? computing : reading) / k->seconds;
}

/* Launches of one kernel, its phases, become one row. */
static void add_kernels(bench *b, stopwatch *w, const bench_function *f)
{
    int32_t first = b->kernel_count;
    double all = 0;
    const ir_node **of = arena_new_array(b->mem, const ir_node *, (size_t)w->count);
    for (int32_t i = 0; i < w->count; i++) {
        double seconds = cmd_sample_median(&w->samples[i]);
        kernel_of(b, f, w->launch[i]->kernel, first, of)->seconds += seconds;
        all += seconds;
    }
    for (int32_t i = first; i < b->kernel_count; i++) {
        b->kernels[i].share = b->kernels[i].seconds / all;
        judge(b, &b->kernels[i]);
    }
}

static bool time_kernels(bench *b, const lamina_net *net, const be_profile *profile)
{
    stopwatch w = {.b = b};
    lamina_model *m = NULL;
    lamina_error e;
    if (b->threads > 1 && lamina_pool_new(b->threads, true, &w.pool, &e) != LAMINA_OK) {
        diag_error(b->d, (src_loc){0}, "%s", e.text);
        return false;
    }
    bool ok = bench_model(b, net, timed_loop, &w, &m);
    for (int32_t i = 0; ok && i < b->function_count; i++) {
        list_launches(&w, profile, &b->functions[i]);
        ok = time_launches(&w, m, &b->functions[i]);
        if (ok)
            add_kernels(b, &w, &b->functions[i]);
    }
    lamina_model_free(m);
    lamina_pool_free(w.pool);
    return ok;
}

/* The network once more, with the same options but without chains. What there is to say of it was said already. */
static ir_module *plan_without_chains(bench *b)
{
    arena *mem = arena_new();
    fe_network *net;
    cmd_build build = *b->build;
    build.disabled = arena_printf(mem, "%s,chain", build.disabled ? build.disabled : "");
    build.dump_after = build.dump_dir = NULL;
    build.time_passes = false;
    diag *d = diag_new();
    ir_module *m = cmd_load(b->path, &build, mem, &net, d);
    if (m && !cmd_run_passes(m, &build, d))
        ir_bug("%s: planned once, but not a second time", m->name);
    diag_free(d);
    arena_free(mem);
    return m;
}

bool bench_roofline(bench *b)
{
    be_profile profile = {.mem = b->mem};
    lamina_library *library = NULL;
    lamina_error e;
    if (!cmd_measure_peaks(&b->module->target, b->threads, &b->peaks, b->d))
        return false;
    ir_module *m = plan_without_chains(b);
    const char *path = cmd_temporary(b->mem, "profiled.so", b->d);
    const be_options o = {BE_SO, path, false, NULL};
    bool ok = path && m && be_compile_profiled(m, &o, &profile, b->d);
    if (ok && lamina_library_open(path, &library, &e) != LAMINA_OK) {
        diag_error(b->d, (src_loc){0}, "%s", e.text);
        ok = false;
    }
    if (path)
        cmd_temporary_remove(b->mem, path);
    ok = ok && time_kernels(b, lamina_library_net(library), &profile);
    lamina_library_free(library);
    ir_module_free(m);
    return ok;
}
