/* passes/run.c - run the pipeline.
 *
 *     net.yaml -> frontend -> module
 *                               |    simplify         fewer nodes, same bits
 *                               |    partition        which stage a node belongs to
 *      what is computed         |    autodiff         train_step: the backward graph; composites become primitives
 *                               |    optimize_update  train_step: the update; `gradients` and `update` come to be
 *                               |    cleanup          simplify again
 *                               v
 *      where values lie         |    layout           memory order of values and parameters, transposes folded away
 *                               |    fuse             nodes into kernels
 *      how it is computed       |    split            stages into functions
 *                               |    separate         one stage alone
 *                               |    select           each kernel's tiles, packing, scratch memory
 *                               |    schedule         the order of kernels
 *                               v    plan_memory      a place for every buffer
 *                            backend -> net.so
 *
 * The first five passes say what is computed and fix every bit of it; the others say how. Each leaves its name in the
 * module's `after`, so a dump can be read back and the run goes on from there. The module is verified after each. */
#include "passes/passes.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

const pass_info passes[] = {
#define PASS(name, function, optional, meaning) {#name, meaning, pass_##function, optional},
#include "passes/passes.def"
};
const int passes_count = sizeof passes / sizeof *passes;

int pass_index(const char *name)
{
    for (int i = 0; i < passes_count; i++)
        if (!strcmp(passes[i].name, name))
            return i;
    return -1;
}

/* ---- options ---- */

typedef struct {
    int first, last; /* passes that run, both included */
    int dump;        /* the pass to dump after, -1 for none, passes_count for all */
    bool disabled[sizeof passes / sizeof *passes];
} plan;

/* The number of a pass that an option names; -1 after an error. */
static int named_pass(const char *name, src_loc at, const char *option, diag *d)
{
    int i = pass_index(name);
    if (i >= 0)
        return i;
    const char *names[sizeof passes / sizeof *passes];
    for (int k = 0; k < passes_count; k++)
        names[k] = passes[k].name;
    const char *near = diag_nearest(name, names, (size_t)passes_count);
    if (near)
        diag_error(d, at, "%s: there is no pass '%s'; did you mean '%s'?", option, name, near);
    else
        diag_error(d, at, "%s: there is no pass '%s'", option, name);
    return -1;
}

static bool disable(plan *p, const char *name, diag *d)
{
    int i = named_pass(name, (src_loc){0}, "disabled passes", d);
    if (i < 0)
        return false;
    if (!passes[i].optional) {
        diag_error(d, (src_loc){0}, "pass '%s' cannot be disabled: the passes after it need its work", name);
        return false;
    }
    p->disabled[i] = true;
    return true;
}

static bool read_disabled(plan *p, const char *list, diag *d)
{
    bool ok = true;
    arena *tmp = arena_new();
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n)
            ok &= disable(p, arena_strndup(tmp, list, n), d);
        list += n + (list[n] == ',');
    }
    arena_free(tmp);
    return ok;
}

static bool make_plan(const ir_module *m, const pass_options *o, plan *p, diag *d)
{
    *p = (plan){.first = 0, .last = passes_count - 1, .dump = -1};
    const ir_attr *after = ir_attr_find(m->attrs, "after");
    if (after) {
        if (!after->word) {
            diag_error(d, (src_loc){0}, "module attribute 'after': expected the name of a pass");
            return false;
        }
        int i = named_pass(after->word, (src_loc){0}, "module attribute 'after'", d);
        if (i < 0)
            return false;
        p->first = i + 1;
    }
    bool ok = read_disabled(p, o->disabled, d);
    if (o->dump_after && !strcmp(o->dump_after, "all"))
        p->dump = passes_count;
    else if (o->dump_after)
        ok &= (p->dump = named_pass(o->dump_after, (src_loc){0}, "dump after", d)) >= 0;
    if (o->stop_after)
        ok &= (p->last = named_pass(o->stop_after, (src_loc){0}, "stop after", d)) >= 0;
    if (ok && o->stop_after && p->last < p->first - 1) {
        diag_error(d, (src_loc){0}, "stop after: the module is past pass '%s' already, it is after '%s'", o->stop_after,
                   after->word);
        ok = false;
    }
    return ok;
}

/* ---- dumps ---- */

static bool write_error(const char *path, FILE *f, diag *d)
{
    diag_error(d, (src_loc){0}, "cannot write '%s': %s", path, strerror(errno));
    if (f)
        fclose(f);
    return false;
}

/* A file appears whole or not at all: it is written under another name first. */
static bool write_file(const char *path, const text *content, diag *d)
{
    arena *tmp = arena_new();
    const char *part = arena_printf(tmp, "%s.part", path);
    FILE *f = fopen(part, "wb");
    bool ok = true;
    if (!f || fwrite(text_get(content), 1, content->length, f) != content->length)
        ok = write_error(part, f, d);
    else if (fclose(f) != 0 || rename(part, path) != 0)
        ok = write_error(path, NULL, d);
    if (!ok && f)
        remove(part);
    arena_free(tmp);
    return ok;
}

static bool dump(const ir_module *m, const pass_options *o, int pass, diag *d)
{
    if (!o->dump_dir) {
        if (o->dump)
            ir_print(m, o->dump_locations, o->dump);
        return true;
    }
    if (mkdir(o->dump_dir, 0777) != 0 && errno != EEXIST)
        return write_error(o->dump_dir, NULL, d);
    arena *tmp = arena_new();
    text content = {0};
    ir_print(m, o->dump_locations, &content);
    bool ok = write_file(arena_printf(tmp, "%s/%02d-%s.lmir", o->dump_dir, pass + 1, passes[pass].name), &content, d);
    text_free(&content);
    arena_free(tmp);
    return ok;
}

/* ---- the run ---- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool verify(const ir_module *m, int after, diag *d)
{
    return ir_verify(m, d) && passes_check_memory(m, after, d);
}

static void verify_after(const ir_module *m, int after, const char *pass)
{
    diag *d = diag_new();
    if (!verify(m, after, d)) {
        text t = {0};
        diag_print_plain(d, &t, false);
        ir_bug("the graph is broken after pass '%s':\n%s", pass, text_get(&t));
    }
    diag_free(d);
}

static bool run_hook(ir_module *m, const pass_options *o, int after, diag *d)
{
    double start = seconds();
    if (!o->hook(m, o->hook_user, d))
        return false;
    double ran = seconds();
    verify_after(m, after, o->hook_name);
    if (o->timing)
        text_printf(o->timing, "%-16s %9.3f %9.3f\n", o->hook_name, 1e3 * (ran - start), 1e3 * (seconds() - ran));
    return true;
}

static bool run_one(ir_module *m, const pass_options *o, const plan *p, int i, diag *d)
{
    double start = seconds();
    if (!p->disabled[i] && !passes[i].run(m, d))
        return false;
    double ran = seconds();
    ir_attr_set_word(m->mem, &m->attrs, "after", passes[i].name);
    verify_after(m, i, passes[i].name);
    if (o->timing)
        text_printf(o->timing, "%-16s %9.3f %9.3f%s\n", passes[i].name, 1e3 * (ran - start), 1e3 * (seconds() - ran),
                    p->disabled[i] ? "  disabled" : "");
    if (o->hook && !strcmp(passes[i].name, o->hook_after) && !run_hook(m, o, i, d))
        return false;
    return p->dump != i && p->dump != passes_count ? true : dump(m, o, i, d);
}

bool passes_run(ir_module *m, const pass_options *o, diag *d)
{
    plan p;
    if (!make_plan(m, o, &p, d) || !verify(m, p.first - 1, d))
        return false;
    if (o->timing)
        text_printf(o->timing, "%-16s %9s %9s\n", "pass", "ms", "verify ms");
    for (int i = p.first; i <= p.last; i++)
        if (!run_one(m, o, &p, i, d))
            return false;
    return true;
}
