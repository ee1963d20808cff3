/* frontend/command/emit_stages.c - lamina compile --emit-stages: a library for each stage.
 *
 * Coupled stages are cut once, by pass partition; then a copy of the module for each goes through the other passes, of
 * which pass separate leaves that stage alone. Stages that learn on their own are nets, which are compiled one by one:
 * the whole, and the parts of the hierarchy. */
#include "frontend/command/emit.h"
#include <string.h>

typedef struct {
    const emit_kind *kind;
    const emit_options *o;
    arena *mem;
    diag *d;
    const char *stem;         /* "dir/net" */
    const ir_module **stages; /* planned, for the header of all */
    int count;
} emission;

/* "dir/net_S.so" of the module net_S of net, whose own file is "dir/net.so". */
static const char *file_of(const emission *e, const char *net, const ir_module *m)
{
    return arena_printf(e->mem, "%s%s%s", e->stem, m->name + strlen(net), e->kind->ending);
}

static bool emit_one(emission *e, const char *net, ir_module *m, bool is_stage)
{
    if (!m || !cmd_run_passes(m, &e->o->build, e->d) ||
        !emit_module(m, e->kind, file_of(e, net, m), e->o, e->mem, e->d))
        return false;
    e->stages[e->count] = m;
    e->count += is_stage;
    return true;
}

static void set_stem(emission *e, const char *net)
{
    e->stem = e->o->output ? emit_beside(e->mem, e->o->output, "") : net;
}

static bool write_header(const emission *e, const char *net)
{
    bool wanted = e->kind->header || e->kind->kind == BE_HEADER;
    return !wanted || be_stages_header(net, e->stem, e->stages, e->count, e->d);
}

/* ---- stages of one step ---- */

static ir_module *copy_of(const emission *e, const char *source, int64_t stage)
{
    ir_module *m = ir_parse(source, arena_strdup(e->mem, "stages"), e->d);
    if (!m)
        ir_bug("a module that was printed cannot be read");
    ir_attr_set_ints(m->mem, &m->attrs, "alone", &stage, 1);
    return m;
}

static int64_t stages_of(const ir_module *m)
{
    const ir_attr *how = ir_attr_find(m->attrs, "partition"), *stages = ir_attr_find(m->attrs, "stages");
    bool staged = how && how->word && !strcmp(how->word, "staged");
    return staged && stages && stages->count == 1 ? (int64_t)stages->number[0] : 0;
}

/* Up to pass partition, if that is still to come. */
static bool cut(const emission *e, ir_module *m)
{
    const ir_attr *after = ir_attr_find(m->attrs, "after");
    int done = after && after->word ? pass_index(after->word) : -1;
    cmd_build b = e->o->build;
    if (done >= pass_index("separate")) {
        diag_error(e->d, (src_loc){0}, "the text is past pass %s already: --emit-stages cannot change it",
                   passes[done].name);
        return false;
    }
    if (done < pass_index("partition")) {
        pass_options o = cmd_pass_options(&b);
        o.stop_after = "partition";
        if (!passes_run(m, &o, e->d))
            return false;
    }
    if (!stages_of(m))
        diag_error(e->d, (src_loc){0}, "--emit-stages: expected --stages=N or stages in the YAML, found neither");
    return stages_of(m);
}

static bool emit_coupled(emission *e, ir_module *m)
{
    text whole = {0};
    bool ok = cut(e, m);
    int64_t count = stages_of(m);
    ir_print(m, true, &whole);
    e->stages = arena_new_array(e->mem, const ir_module *, (size_t)count + 1);
    ir_module **stage = arena_new_array(e->mem, ir_module *, (size_t)count + 1);
    for (int64_t i = 0; ok && i < count; i++) {
        stage[i] = copy_of(e, text_get(&whole), i + 1);
        ok = emit_one(e, m->name, stage[i], true);
    }
    ok = ok && write_header(e, m->name);
    for (int64_t i = 0; i < count; i++)
        ir_module_free(stage[i]);
    text_free(&whole);
    return ok;
}

/* ---- stages that learn on their own ---- */

static bool emit_local(emission *e, const fe_network *net)
{
    const fe_hierarchy *h = fe_stages(net);
    size_t count = (size_t)h->count + 1;
    e->stages = arena_new_array(e->mem, const ir_module *, count);
    ir_module **part = arena_new_array(e->mem, ir_module *, count);
    bool ok = true;
    for (int i = 0; ok && i < h->count; i++) {
        part[i] = cmd_module(h->parts[i].net, &e->o->build, e->d);
        ok = emit_one(e, fe_name(net), part[i], true);
    }
    if (ok) {
        part[h->count] = cmd_module(net, &e->o->build, e->d);
        ok = emit_one(e, fe_name(net), part[h->count], false) && write_header(e, fe_name(net));
    }
    for (size_t i = 0; i < count; i++)
        ir_module_free(part[i]);
    return ok;
}

bool emit_stages(const char *path, const emit_kind *kind, const emit_options *o, arena *mem, diag *d)
{
    emission e = {.kind = kind, .o = o, .mem = mem, .d = d};
    if (o->build.part) {
        diag_error(d, (src_loc){0}, "--emit-stages: expected the whole network, found --part=%s", o->build.part);
        return false;
    }
    fe_network *net;
    ir_module *m = cmd_load(path, &o->build, mem, &net, d);
    bool local = m && net && fe_stages(net);
    if (m)
        set_stem(&e, arena_strdup(mem, m->name));
    bool ok = m && (local ? emit_local(&e, net) : emit_coupled(&e, m));
    ir_module_free(m);
    return ok;
}
