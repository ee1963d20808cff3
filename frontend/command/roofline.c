/* frontend/command/roofline.c - every kernel by itself, beside what the machine can do (the roofline model of Williams,
 * Waterman and Patterson, 2009).
 *
 * The network is compiled once more, without chains and so that each phase of each kernel comes through parallel_for by
 * itself; ours times them. What a kernel can reach is set by its operations at the peak of multiply-adds or by its
 * bytes at the bandwidth of the level of memory that holds all of them, whichever takes longer. */
#include "frontend/command/bench.h"
#include "ir/graph/cost.h"

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
static void add_kernels(bench *b, const bench_profile *w, const bench_function *f)
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
    bench_profile p = {.b = b};
    if (!cmd_measure_peaks(&b->module->target, b->threads, &b->peaks, b->d))
        return false;
    ir_module *m = plan_without_chains(b);
    bool ok = m && bench_profile_open(b, m, &p);
    for (int32_t i = 0; ok && i < b->function_count; i++) {
        ok = bench_profile_run(&p, &b->functions[i], b->seconds);
        if (ok)
            add_kernels(b, &p, &b->functions[i]);
    }
    bench_profile_close(&p);
    ir_module_free(m);
    return ok;
}
