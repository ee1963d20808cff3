/* backend/lower/batch_reduce.c - reductions whose dimensions include the batch: gradients of biases and of
 * normalisations, and the sums of losses and metrics.
 *
 * Examples 0-7, 8-15, ... are leaves. A leaf is one running sum over its examples and, within an example, the other
 * reduced dimensions row-major; here it is a vector along the dimensions that are kept.
 *     phase 0   Each task sums one leaf and writes the sum to scratch memory. In a chain whose slices are shorter
 *               than a leaf (passes/chain/), the sum of a leaf goes on from one slice to the next.
 *     phase 1   Neighbouring leaves are combined in pairs. Then comes the rest of the region at that element, such
 *               as an optimizer's update or a metric.
 * If there is little work, it is one phase of one task. If no batch has more than one leaf, there is no scratch
 * memory, and the sum of the leaf is used at once.
 *
 * plan = [phases, kept elements a task] */
#include "backend/lower/lower.h"
#include <string.h>

/* The batch reductions of the region, in order; scratch number i belongs to number i. */
typedef struct {
    lowering *l;
    const ir_node **reduce;
    int count;
    const ir_type *kept;     /* the shape of their results */
    nest_value *first, *end; /* examples of the leaf */
    nest_value *leaf;        /* its number; NULL without scratch */
} sums;

static bool find_sums(sums *s, diag *d)
{
    lowering *l = s->l;
    int most = 1;
    for (const ir_node *n = l->region->first; n; n = n->next)
        most++;
    s->reduce = arena_new_array(l->kernel->mem, const ir_node *, (size_t)most);
    const bool *waits = lower_dependents(l, NULL);
    for (const ir_node *n = l->region->first; n; n = n->next) {
        if (!lower_is_core(n))
            continue;
        int64_t dims[IR_MAX_RANK];
        int count = n->op == IR_REDUCE ? ir_ints(n, "dims", dims) : 0;
        if (n->op != IR_REDUCE || !ir_in_list(dims, count, ir_batch_dim(&n->in[0]->type)))
            return lower_unsupported(n, d, "something else than reductions of the batch in their kernel");
        if (s->kept && !ir_shape_equal(s->kept, &n->type))
            return lower_unsupported(n, d, "a second reduction of another shape");
        if (waits[n->in[0]->id])
            return lower_unsupported(n, d, "a reduction of the batch that waits for another in one kernel");
        s->kept = &n->type;
        s->reduce[s->count++] = n;
    }
    return s->kept ? lower_check_shapes(l, s->kept, NULL, d)
                   : lower_unsupported(l->fused, d, "a reduction kernel without reduction");
}

/* ---- a leaf ---- */

static bool same_operand_shape(const ir_node *a, const ir_node *b)
{
    int64_t x[IR_MAX_RANK], y[IR_MAX_RANK];
    int count = ir_ints(a, "dims", x);
    return ir_shape_equal(&a->in[0]->type, &b->in[0]->type) && ir_ints(b, "dims", y) == count &&
           !memcmp(x, y, sizeof *x * (size_t)count);
}

/* Reductions of one operand shape, on their way through its elements. */
typedef struct {
    sums *s;
    const ir_node **reduce;
    int count;
    int64_t dims[IR_MAX_RANK];
    int dim_count;
    nest_value **carry;
} leaf_walk;

/* The loops over reduced dimensions from 'dim' on, row-major; p is a point of the operand. */
static void walk_reduced(leaf_walk *w, int dim, lower_point *p, nest_value *example)
{
    lowering *l = w->s->l;
    nest_kernel *k = l->kernel;
    const ir_type *t = &w->reduce[0]->in[0]->type;
    if (dim == t->rank) {
        for (int i = 0; i < w->count; i++)
            w->carry[i] = lower_combine(l, w->reduce[i], w->carry[i], lower_value(l, w->reduce[i]->in[0], p));
        return;
    }
    int64_t n = t->dim[dim].n;
    if (!ir_in_list(w->dims, w->dim_count, dim) || n == 1) {
        if (t->dim[dim].batch)
            p->index[dim] = example;
        walk_reduced(w, dim + 1, p, example);
        return;
    }
    nest_block *outer;
    nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), nest_i64(k, n), 1, w->carry, w->count, &outer);
    lower_forget(l);
    memcpy(w->carry, loop->carry, sizeof *w->carry * (size_t)w->count);
    p->index[dim] = nest_loop_index(loop);
    if (t->dim[dim].batch)
        p->index[dim] = nest_add(k, nest_mul(k, example, n), p->index[dim]);
    walk_reduced(w, dim + 1, p, example);
    nest_loop_end(k, loop, w->carry, outer);
    lower_forget(l);
    memcpy(w->carry, loop->final, sizeof *w->carry * (size_t)w->count);
}

/* The operand's point with the kept indices of p. */
static lower_point operand_point(const leaf_walk *w, const lower_point *p)
{
    const ir_type *t = &w->reduce[0]->in[0]->type;
    lower_point q = *p;
    int kept = 0;
    q.lane_dim = -1;
    for (int dim = 0; dim < t->rank; dim++)
        if (!ir_in_list(w->dims, w->dim_count, dim)) {
            if (kept == p->lane_dim)
                q.lane_dim = dim;
            q.index[dim] = p->index[kept++];
        } else {
            q.index[dim] = nest_i64(w->s->l->kernel, 0);
        }
    return q;
}

static int number_of(const sums *s, const ir_node *reduce)
{
    for (int i = 0; i < s->count; i++)
        if (s->reduce[i] == reduce)
            return i;
    ir_bug("a reduction of another kernel");
}

/* Where a leaf's sum waits in scratch. */
static nest_value *partial_offset(const sums *s, const ir_node *reduce, const lower_point *p, int64_t *stride)
{
    nest_kernel *k = s->l->kernel;
    nest_value *offset = lower_offset(s->l, &reduce->type, NULL, p, stride);
    return nest_add(k, offset, nest_mul(k, s->leaf, ir_static_count(&reduce->type)));
}

static int partial_buffer(const sums *s, const ir_node *reduce)
{
    return lower_input_buffer(s->l, lower_scratch(s->l, number_of(s, reduce)));
}

/* What the task's examples are added to: nothing at the start of a leaf, else what is there of it. */
static nest_value *sum_so_far(const sums *s, const ir_node *reduce, const lower_point *p)
{
    lowering *l = s->l;
    nest_kernel *k = l->kernel;
    nest_value *neutral = lower_neutral(l, reduce, p->lanes);
    if (!s->leaf || lower_slice(l) == IR_LEAF)
        return neutral;
    int64_t stride;
    nest_value *offset = partial_offset(s, reduce, p, &stride);
    nest_value *sum = nest_load(k, partial_buffer(s, reduce), offset, 0, stride, p->lanes, p->active_count, p->active);
    nest_value *ends[] = {s->first, nest_mul(k, s->leaf, IR_LEAF)};
    return lower_choose(l, nest_op(k, IR_COMPARE, IR_I1, ends, 2, "EQ"), neutral, sum);
}

/* The leaf's sums at a kept point, for reductions of one operand shape. */
static void sum_leaf(leaf_walk *w, const lower_point *p)
{
    lowering *l = w->s->l;
    nest_kernel *k = l->kernel;
    w->carry = arena_new_array(k->mem, nest_value *, (size_t)w->count + 1);
    w->dim_count = ir_ints(w->reduce[0], "dims", w->dims);
    for (int i = 0; i < w->count; i++)
        w->carry[i] = sum_so_far(w->s, w->reduce[i], p);
    lower_point q = operand_point(w, p);
    nest_block *outer;
    nest_value *loop = nest_loop_begin(k, w->s->first, w->s->end, 1, w->carry, w->count, &outer);
    lower_forget(l);
    memcpy(w->carry, loop->carry, sizeof *w->carry * (size_t)w->count);
    walk_reduced(w, 0, &q, nest_loop_index(loop));
    nest_loop_end(k, loop, w->carry, outer);
    lower_forget(l);
    memcpy(w->carry, loop->final, sizeof *w->carry * (size_t)w->count);
}

static void store_partial(const sums *s, const ir_node *reduce, nest_value *sum, const lower_point *p)
{
    int64_t stride;
    nest_value *offset = partial_offset(s, reduce, p, &stride);
    nest_store(s->l->kernel, partial_buffer(s, reduce), offset, 0, stride, sum, p->active_count, p->active);
}

/* All reductions at a kept point of one leaf: to scratch, or bound. */
static void leaf_point(lowering *l, const lower_point *p, void *context)
{
    sums *s = context;
    bool *done = arena_new_array(l->kernel->mem, bool, (size_t)s->count);
    for (int i = 0; i < s->count; i++) {
        if (done[i])
            continue;
        leaf_walk w = {.s = s, .reduce = arena_new_array(l->kernel->mem, const ir_node *, (size_t)s->count)};
        for (int k = i; k < s->count; k++)
            if (!done[k] && same_operand_shape(s->reduce[i], s->reduce[k])) {
                done[k] = true;
                w.reduce[w.count++] = s->reduce[k];
            }
        sum_leaf(&w, p);
        for (int k = 0; k < w.count; k++)
            if (s->leaf)
                store_partial(s, w.reduce[k], w.carry[k], p);
            else
                lower_bind(l, w.reduce[k], w.carry[k]);
    }
}

static void unbind_all(const sums *s)
{
    for (int i = 0; i < s->count; i++)
        lower_unbind(s->l, s->reduce[i]);
}

static void only_leaf(lowering *l, const lower_point *p, void *context)
{
    const sums *s = context;
    leaf_point(l, p, context);
    lower_store_results(l, s->kept, p);
    unbind_all(s);
}

static void combine_point(lowering *l, const lower_point *p, void *context)
{
    const sums *s = context;
    for (int i = 0; i < s->count; i++)
        lower_bind(l, s->reduce[i], lower_leaf_tree(l, s->reduce[i], lower_scratch(l, i), p));
    lower_store_results(l, s->kept, p);
    unbind_all(s);
}

/* ---- walks ---- */

/* Can kept dimension 'dim' be spread over lanes in every operand? */
static bool operands_take_lanes(const sums *s, int dim)
{
    for (int i = 0; i < s->count; i++) {
        int64_t dims[IR_MAX_RANK];
        int count = ir_ints(s->reduce[i], "dims", dims), kept = 0;
        for (int k = 0; k < s->reduce[i]->in[0]->type.rank; k++)
            if (!ir_in_list(dims, count, k) && kept++ == dim && !lower_takes_lanes(s->l, s->reduce[i]->in[0], k))
                return false;
    }
    return true;
}

/* Over leaves the kept dimensions are walked one by one, the last by vectors. */
static lower_walk leaf_walk_of(const sums *s)
{
    lower_walk walk = {.lane_dim = -1, .lanes = 1};
    for (int i = 0; i < s->kept->rank; i++)
        if (s->kept->dim[i].n > 1)
            walk.lane_dim = i;
    bool fits = walk.lane_dim >= 0 && operands_take_lanes(s, walk.lane_dim);
    lower_roots roots = lower_roots_of(s->l, s->kept, NULL);
    for (int i = 0; i < roots.count && fits; i++)
        fits = lower_takes_lanes(s->l, roots.node[i], walk.lane_dim);
    if (!fits)
        return (lower_walk){.lane_dim = -1, .lanes = 1};
    walk.lanes = s->l->kernel->target->vector;
    return walk;
}

static void all_units(lowering *l, const ir_type *t, const lower_walk *walk, lower_body *body, void *context)
{
    nest_kernel *k = l->kernel;
    lower_each(l, t, walk, nest_i64(k, 0), nest_i64(k, lower_walk_units(t, walk)), body, context);
}

static void lower_without_scratch(sums *s)
{
    lowering *l = s->l;
    nest_kernel *k = l->kernel;
    lower_walk walk = leaf_walk_of(s);
    lower_phase(l, 0, (nest_tasks){.n = 1, .chunk = 1, .inner = 1});
    s->first = nest_i64(k, 0);
    s->end = nest_batch(k);
    all_units(l, s->kept, &walk, only_leaf, s);
}

/* The leaves from .. to - 1 in units of examples. */
static void lower_leaves(sums *s, nest_value *from, nest_value *to)
{
    lowering *l = s->l;
    nest_kernel *k = l->kernel;
    lower_walk walk = leaf_walk_of(s);
    lower_loop loop = lower_loop_begin(l, from, to, IR_LEAF);
    s->first = nest_loop_index(loop.loop);
    s->end = nest_min(k, nest_add(k, s->first, nest_i64(k, IR_LEAF)), to);
    s->leaf = nest_div(k, s->first, IR_LEAF);
    all_units(l, s->kept, &walk, leaf_point, s);
    lower_loop_end(l, loop);
}

static void lower_with_scratch(sums *s)
{
    lowering *l = s->l;
    nest_kernel *k = l->kernel;
    bool two = lower_plan(l, 0, 2) == 2;
    int64_t elements = lower_plan(l, 1, 4096);
    nest_tasks tasks = {.n = 1, .chunk = lower_slice(l), .inner = 1, .batch = true};
    nest_value *from, *to;
    lower_roots roots = lower_roots_of(l, s->kept, NULL);
    lower_walk walk = lower_walk_of(l, s->kept, &roots, k->target->vector);
    int64_t units = lower_walk_units(s->kept, &walk), each = ir_static_count(s->kept) / units;
    if (!two) {
        lower_phase(l, 0, (nest_tasks){.n = 1, .chunk = 1, .inner = 1});
        lower_leaves(s, nest_i64(k, 0), nest_batch(k));
        all_units(l, s->kept, &walk, combine_point, s);
        return;
    }
    lower_phase(l, 0, tasks);
    lower_share(l, tasks, &from, &to, NULL);
    lower_leaves(s, from, to);
    tasks = (nest_tasks){.n = units, .chunk = elements / each > 1 ? elements / each : 1, .inner = 1};
    lower_phase(l, 1, tasks);
    lower_share(l, tasks, &from, &to, NULL);
    lower_each(l, s->kept, &walk, from, to, combine_point, s);
}

bool lower_batch_reduce(lowering *l, diag *d)
{
    sums s = {.l = l};
    if (!find_sums(&s, d))
        return false;
    (lower_scratch(l, 0) ? lower_with_scratch : lower_without_scratch)(&s);
    return true;
}
