/* frontend/command/profile.c - launches of a network's kernels, one by one and timed: the library is compiled so that
 * each phase of each kernel comes through parallel_for by itself, and ours holds a stopwatch. */
#include "frontend/command/bench.h"
#include <string.h>

static void timed_loop(void *host, lamina_task *task, void *context, int64_t tasks)
{
    bench_profile *p = host;
    double start = cmd_seconds();
    lamina_pool_run(p->pool, task, context, tasks);
    double took = cmd_seconds() - start;
    if (p->at < p->count)
        cmd_sample_add(p->b->mem, &p->samples[p->at], took);
    p->at++;
}

static bool fail(const bench *b, const lamina_error *e)
{
    diag_error(b->d, (src_loc){0}, "%s", e->text);
    return false;
}

bool bench_profile_open(bench *b, const ir_module *m, bench_profile *p)
{
    lamina_error e;
    *p = (bench_profile){.b = b, .profile.mem = b->mem};
    const char *path = cmd_temporary(b->mem, "profiled.so", b->d);
    const be_options o = {BE_SO, path, false, NULL};
    bool ok = path && be_compile_profiled(m, &o, &p->profile, b->d);
    if (ok && lamina_library_open(path, &p->library, &e) != LAMINA_OK)
        ok = fail(b, &e);
    if (path)
        cmd_temporary_remove(b->mem, path);
    if (ok && b->threads > 1 && lamina_pool_new(b->threads, true, &p->pool, &e) != LAMINA_OK)
        ok = fail(b, &e);
    return ok && bench_model(b, lamina_library_net(p->library), timed_loop, p, &p->model);
}

void bench_profile_close(bench_profile *p)
{
    lamina_model_free(p->model);
    lamina_pool_free(p->pool);
    lamina_library_free(p->library);
}

static void list_launches(bench_profile *p, const bench_function *f)
{
    const be_profile *all = &p->profile;
    p->launch = arena_new_array(p->b->mem, const be_launch *, (size_t)(all->count * f->part_count));
    p->count = 0;
    for (int32_t part = 0; part < f->part_count; part++)
        for (int32_t i = 0; i < all->count; i++)
            if (!strcmp(all->launch[i].function->name, f->parts[part]))
                p->launch[p->count++] = &all->launch[i];
    p->samples = arena_new_array(p->b->mem, cmd_samples, (size_t)p->count);
}

bool bench_profile_run(bench_profile *p, const bench_function *f, double seconds)
{
    enum { LEAST_CALLS = 5, MOST_CALLS = 2000 };
    list_launches(p, f);
    double end = cmd_seconds() + seconds;
    for (int32_t calls = 0; calls < LEAST_CALLS || (calls < MOST_CALLS && cmd_seconds() < end); calls++) {
        p->at = 0;
        if (!bench_call(p->b, p->model, f) || *p->b->stop)
            return false;
        if (p->at != p->count)
            ir_bug("%s: expected %d launches, found %d", f->name, (int)p->count, (int)p->at);
    }
    return true;
}
