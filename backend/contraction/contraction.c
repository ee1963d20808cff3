/* backend/contraction/contraction.c - the kind `contraction`: dot_general and convolution as phases of tasks.
 *
 * The kernel's plan (ir/contraction/plan.h) says what a register tile is and what a task takes. Each lane of an
 * accumulator is one chain in the order of the rule, so no plan changes a bit. Both operands are read where they lie:
 * pass select has laid them out so (zeros around a padded convolution, columns side by side).
 *
 * Ordinarily there is one phase, whose tasks go round the tiles of every part of the contraction
 * (backend/contraction/loops.c), or, for a convolution of few features, of the rows of an image
 * (backend/contraction/stream.c). A weight gradient of a convolution sums examples by leaves: phase 0 writes a leaf's
 * sums to scratch, going through it an example at a time, so that the example stays in cache; phase 1 combines leaves
 * and runs the epilogue. In a chain of short slices a leaf is several tasks, one after the other. */
#include "backend/contraction/tile.h"
#include "backend/library/interface.h"

/* ---- phases ---- */

static bool has_halo(const lowering *l)
{
    for (int i = 0; i < l->region->nresults; i++) {
        const ir_node *n = lower_memory_of_result(l, i);
        if (n && ir_attr_find(n->attrs, "halo"))
            return true;
    }
    return false;
}

/* The examples of a task that cuts the batch, by its first piece; else all, by task 0. */
static void zero_halos(lowering *l, const tile *t, const tile_share *s)
{
    nest_kernel *k = l->kernel;
    if (!has_halo(l))
        return;
    bool own = t->plan.cut >= 0 && t->c->axis[t->plan.cut].batch;
    nest_value *number = own ? s->piece : nest_task(k);
    lower_loop once = lower_loop_begin(l, nest_min(k, number, nest_i64(k, 1)), nest_i64(k, 1), 1);
    lower_zero_halos(l, own ? s->from : nest_i64(k, 0), own ? s->to : nest_batch(k));
    lower_loop_end(l, once);
}

static nest_tasks whole_tasks(const tile *t)
{
    nest_tasks tasks = {.n = 1, .chunk = 1, .inner = t->plan.pieces};
    if (t->plan.cut >= 0) {
        tasks.n = t->c->axis[t->plan.cut].n;
        tasks.batch = t->c->axis[t->plan.cut].batch;
        tasks.chunk = t->plan.chunk;
    }
    return tasks;
}

static void lower_whole(tile *t, const contraction *parts, int count)
{
    nest_tasks tasks = whole_tasks(t);
    tile_share s;
    lower_phase(t->l, 0, tasks);
    lower_share(t->l, tasks, &s.from, &s.to, &s.piece);
    for (int i = 0; i < count; i++) {
        t->c = t->packed ? t->packed : &parts[i];
        if (t->plan.pack == CONTRACTION_STREAM)
            tile_stream(t, s.from, s.to);
        else
            tile_part(t, &s);
    }
    zero_halos(t->l, t, &s);
}

static void combine_leaves(lowering *l, const lower_point *p, void *context)
{
    const tile *t = context;
    lower_bind(l, t->c->node, lower_leaf_tree(l, t->c->node, lower_scratch(l, 0), p));
    lower_store_results(l, &t->c->node->type, p);
    lower_unbind(l, t->c->node);
}

static void lower_by_leaves(tile *t, const contraction *parts, int count)
{
    enum { ELEMENTS = 4096 };
    lowering *l = t->l;
    nest_kernel *k = t->k;
    const ir_type *type = &t->c->node->type;
    nest_tasks tasks = {.n = 1, .batch = true, .chunk = lower_slice(l), .inner = t->plan.pieces};
    tile_share s;
    lower_phase(l, 0, tasks);
    lower_share(l, tasks, &s.from, &s.to, &s.piece);
    nest_value *leaf = nest_div(k, s.from, IR_LEAF);
    t->leaf_offset = nest_mul(k, leaf, ir_static_count(type));
    lower_loop loop = lower_loop_begin(l, s.from, s.to, 1);
    t->sum_at[0] = nest_loop_index(loop.loop);
    t->fixed = 1;
    t->past = nest_sub(k, t->sum_at[0], tasks.chunk == IR_LEAF ? s.from : nest_mul(k, leaf, IR_LEAF));
    for (int i = 0; i < count; i++) {
        t->c = &parts[i];
        tile_part(t, &s);
    }
    lower_loop_end(l, loop);
    t->fixed = 0;
    t->past = NULL;
    lower_roots roots = lower_roots_of(l, type, NULL);
    lower_walk walk = lower_walk_of(l, type, &roots, k->target->vector);
    int64_t units = lower_walk_units(type, &walk), each = ir_static_count(type) / units;
    tasks = (nest_tasks){.n = units, .chunk = ELEMENTS / each > 1 ? ELEMENTS / each : 1, .inner = 1};
    lower_phase(l, 1, tasks);
    lower_share(l, tasks, &s.from, &s.to, NULL);
    lower_each(l, type, &walk, s.from, s.to, combine_leaves, t);
    lower_zero_halos(l, s.from, s.to);
}

/* ---- the kernel ---- */

/* Without a plan: one output after the other, in one task. */
static contraction_plan read_plan(const lowering *l)
{
    contraction_plan p = {.column = -1, .row = -1, .inner = -1, .rows = 1, .vectors = 1, .unroll = 1, .cut = -1};
    p.chunk = p.pieces = 1;
    contraction_plan_read(l->fused, &p);
    return p;
}

bool lower_contraction(lowering *l, diag *d)
{
    const ir_node *n = tile_find_contraction(l, d);
    if (!n)
        return false;
    int count = contraction_parts(n);
    contraction *parts = arena_new_array(l->kernel->mem, contraction, (size_t)count);
    for (int i = 0; i < count; i++)
        if (!contraction_describe(n, i, l->kernel->mem, &parts[i]))
            return lower_unsupported(n, d, "an operand that is computed on the way");
    contraction_plan plan = read_plan(l);
    if (!tile_check_contraction(l, &parts[0], plan.pack == CONTRACTION_STREAM, d))
        return false;
    tile *t = arena_make(l->kernel->mem, tile);
    t->l = l;
    t->k = l->kernel;
    t->c = parts;
    t->plan = plan;
    t->lanes = t->plan.column >= 0 ? l->kernel->target->vector : 1;
    const ir_node *scratch = lower_scratch(l, 0);
    t->max_batch = be_module_number(n->graph->module->attrs, "max_batch", 128);
    if (!contraction_plan_fits(parts, t->lanes, t->max_batch, &t->plan, scratch ? ir_static_count(&scratch->type) : 0))
        return lower_unsupported(n, d, "a plan of such numbers");
    t->scalars = lower_input_buffer(l, t->plan.swap ? parts->rhs.input : parts->lhs.input);
    t->vectors = lower_input_buffer(l, t->plan.swap ? parts->lhs.input : parts->rhs.input);
    t->spill = -1;
    t->rolled = t->lanes > 1 && tile_has_long_epilogue(l);
    if (scratch)
        t->scratch = lower_input_buffer(l, scratch);
    t->room = contraction_room_of(parts, t->lanes, t->max_batch, &t->plan);
    if (scratch && t->plan.pack == 1)
        tile_pack_into(t, t->scratch);
    if (scratch && !t->plan.pack && scratch->type.dim[0].n > 1)
        lower_by_leaves(t, parts, count);
    else
        lower_whole(t, parts, count);
    return true;
}
