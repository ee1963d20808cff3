/* backend/lower/reduce.c - reductions over dimensions that are not the last ones; and what all reductions share.
 *
 * A sum has 16 interleaved chains, which are running sums: element i goes to chain i mod 16. At the end chain i + 8
 * is added to chain i, then i + 4, i + 2 and i + 1. Here each chain is an accumulator of its own, a vector along a
 * dimension that is kept.
 *
 * plan = [elements a task] */
#include "backend/lower/lower.h"
#include <string.h>

enum { WHOLE = 64 }; /* reductions up to this long are written without a loop, if what they reduce is short */

/* ---- what all reductions share ---- */

static bool is_kind(const ir_node *reduce, const char *kind)
{
    return ir_word_is(reduce, "kind", kind);
}

nest_value *lower_combine(lowering *l, const ir_node *reduce, nest_value *a, nest_value *b)
{
    ir_op op = is_kind(reduce, "max") ? IR_MAXIMUM : is_kind(reduce, "min") ? IR_MINIMUM : IR_ADD;
    return lower_op(l, op, a->dtype, a, b, NULL);
}

/* The lowest value of a type; the highest is its complement for whole numbers, its negative for floats. */
static double lowest(ir_dtype t)
{
    switch (t) {
    case IR_F32:
    case IR_F64:
        return -__builtin_inf();
    case IR_I32:
        return -2147483648.0;
    case IR_I64:
        return -9223372036854775808.0;
    default:
        return 0;
    }
}

nest_value *lower_neutral(lowering *l, const ir_node *reduce, int lanes)
{
    ir_dtype t = reduce->in[0]->type.dtype;
    if (is_kind(reduce, "max"))
        return nest_const(l->kernel, t, lanes, lowest(t));
    if (!is_kind(reduce, "min"))
        return nest_const(l->kernel, t, lanes, 0);
    if (ir_dtype_is_float(t))
        return nest_const(l->kernel, t, lanes, -lowest(t));
    return lower_op(l, IR_NOT, t, nest_const(l->kernel, t, lanes, lowest(t)), NULL, NULL);
}

nest_value *lower_is_better(lowering *l, nest_value *x, nest_value *best)
{
    if (!ir_dtype_is_float(x->dtype))
        return lower_op(l, IR_COMPARE, IR_I1, x, best, "GT");
    nest_value *not_above = lower_op(l, IR_COMPARE, IR_I1, x, best, "LE"); /* false with a NaN on either side */
    nest_value *had_none = lower_op(l, IR_COMPARE, IR_I1, best, best, "EQ");
    return lower_op(l, IR_AND, IR_I1, lower_op(l, IR_NOT, IR_I1, not_above, NULL, NULL), had_none, NULL);
}

nest_value *lower_leaf_tree(lowering *l, const ir_node *sum, const ir_node *scratch, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    int buffer = lower_input_buffer(l, scratch);
    int64_t stride, count = ir_static_count(&sum->type), most = scratch->type.dim[0].n;
    nest_value *offset = lower_offset(l, &sum->type, NULL, p, &stride);
    nest_value *leaves = nest_div(k, nest_add(k, nest_batch(k), nest_i64(k, IR_LEAF - 1)), IR_LEAF);
    for (int64_t apart = 1; apart < most; apart *= 2) {
        nest_value *end = nest_sub(k, leaves, nest_i64(k, apart));
        lower_loop loop = lower_loop_begin(l, nest_i64(k, 0), end, 2 * apart);
        nest_value *at = nest_add(k, offset, nest_mul(k, nest_loop_index(loop.loop), count));
        nest_value *a = nest_load(k, buffer, at, 0, stride, p->lanes, p->active_count, p->active);
        nest_value *b = nest_load(k, buffer, at, apart * count, stride, p->lanes, p->active_count, p->active);
        nest_value *both =
            sum->op == IR_REDUCE ? lower_combine(l, sum, a, b) : lower_op(l, IR_ADD, a->dtype, a, b, NULL);
        nest_store(k, buffer, at, 0, stride, both, p->active_count, p->active);
        lower_loop_end(l, loop);
    }
    return nest_load(k, buffer, offset, 0, stride, p->lanes, p->active_count, p->active);
}

/* ---- one reduction, element by element ---- */

typedef struct {
    lowering *l;
    const ir_node *reduce;
    const lower_point *kept; /* a point of the reduce's shape */
    int64_t dims[IR_MAX_RANK];
    int count;
    int64_t elements;
} reduction;

static bool is_reduced(const reduction *r, int dim)
{
    return ir_in_list(r->dims, r->count, dim);
}

/* The operand at element i of the reduced ones, counted row-major. */
static nest_value *element(const reduction *r, nest_value *i)
{
    nest_kernel *k = r->l->kernel;
    const ir_type *t = &r->reduce->in[0]->type;
    lower_point p = *r->kept;
    p.lane_dim = -1;
    int kept = 0;
    for (int dim = 0; dim < t->rank; dim++)
        if (!is_reduced(r, dim)) {
            if (kept == r->kept->lane_dim)
                p.lane_dim = dim;
            p.index[dim] = r->kept->index[kept++];
        }
    bool first = true;
    int64_t below = r->elements;
    for (int dim = 0; dim < t->rank; dim++) {
        if (!is_reduced(r, dim))
            continue;
        below /= t->dim[dim].n;
        nest_value *at = nest_div(k, i, below);
        p.index[dim] = first ? at : nest_rem(k, at, t->dim[dim].n);
        first = false;
    }
    return lower_value(r->l, r->reduce->in[0], &p);
}

/* Random numbers take a hundred instructions: 16 copies, one for each chain, are enough. */
static bool is_written_out(const reduction *r)
{
    bool random = false;
    for (const ir_node *n = r->l->region->first; n; n = n->next)
        random |= n->op == IR_RNG_BITS;
    return r->elements <= (random ? IR_CHAINS : WHOLE);
}

static nest_value *sum_at(const reduction *r)
{
    lowering *l = r->l;
    nest_kernel *k = l->kernel;
    nest_value *chain[IR_CHAINS];
    for (int i = 0; i < IR_CHAINS; i++)
        chain[i] = lower_neutral(l, r->reduce, r->kept->lanes);
    int64_t looped = is_written_out(r) ? 0 : r->elements / IR_CHAINS * IR_CHAINS;
    if (looped) {
        nest_block *outer;
        nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), nest_i64(k, looped), IR_CHAINS, chain, IR_CHAINS, &outer);
        lower_forget(l);
        for (int i = 0; i < IR_CHAINS; i++) {
            nest_value *x = element(r, nest_add(k, nest_loop_index(loop), nest_i64(k, i)));
            chain[i] = lower_combine(l, r->reduce, loop->carry[i], x);
        }
        nest_loop_end(k, loop, chain, outer);
        lower_forget(l);
        memcpy(chain, loop->final, sizeof chain);
    }
    for (int64_t i = looped; i < r->elements; i++)
        chain[i % IR_CHAINS] = lower_combine(l, r->reduce, chain[i % IR_CHAINS], element(r, nest_i64(k, i)));
    for (int half = IR_CHAINS / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            chain[i] = lower_combine(l, r->reduce, chain[i], chain[i + half]);
    return chain[0];
}

static nest_value *extreme_at(const reduction *r)
{
    lowering *l = r->l;
    nest_kernel *k = l->kernel;
    nest_value *best = lower_neutral(l, r->reduce, r->kept->lanes);
    if (is_written_out(r)) {
        for (int64_t i = 0; i < r->elements; i++)
            best = lower_combine(l, r->reduce, best, element(r, nest_i64(k, i)));
        return best;
    }
    nest_block *outer;
    nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), nest_i64(k, r->elements), 1, &best, 1, &outer);
    lower_forget(l);
    best = lower_combine(l, r->reduce, loop->carry[0], element(r, nest_loop_index(loop)));
    nest_loop_end(k, loop, &best, outer);
    lower_forget(l);
    return loop->final[0];
}

static nest_value *argmax_at(const reduction *r)
{
    lowering *l = r->l;
    nest_kernel *k = l->kernel;
    int lanes = r->kept->lanes;
    nest_value *carry[] = {element(r, nest_i64(k, 0)), nest_const(k, IR_I32, lanes, 0)};
    nest_block *outer;
    nest_value *loop = nest_loop_begin(k, nest_i64(k, 1), nest_i64(k, r->elements), 1, carry, 2, &outer);
    lower_forget(l);
    nest_value *x = element(r, nest_loop_index(loop));
    nest_value *at = lower_op(l, IR_CONVERT, IR_I32, nest_loop_index(loop), NULL, NULL);
    nest_value *better = lower_is_better(l, x, loop->carry[0]);
    nest_value *value_in[] = {better, x, loop->carry[0]};
    nest_value *index_in[] = {better, nest_splat(k, at, lanes), loop->carry[1]};
    nest_value *next[] = {nest_op(k, IR_SELECT, x->dtype, value_in, 3, NULL),
                          nest_op(k, IR_SELECT, IR_I32, index_in, 3, NULL)};
    nest_loop_end(k, loop, next, outer);
    lower_forget(l);
    return loop->final[1];
}

nest_value *lower_reduce_at(lowering *l, const ir_node *reduce, const lower_point *p)
{
    reduction r = {.l = l, .reduce = reduce, .kept = p, .elements = 1};
    r.count = ir_ints(reduce, "dims", r.dims);
    for (int i = 0; i < r.count; i++)
        r.elements *= reduce->in[0]->type.dim[r.dims[i]].n;
    if (is_kind(reduce, "argmax"))
        return argmax_at(&r);
    return is_kind(reduce, "sum") ? sum_at(&r) : extreme_at(&r);
}

/* ---- the kind ---- */

static void reduce_point(lowering *l, const lower_point *p, void *context)
{
    const ir_type *domain = context;
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_REDUCE)
            lower_bind(l, n, lower_reduce_at(l, n, p));
    lower_store_results(l, domain, p);
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_REDUCE)
            lower_unbind(l, n);
}

/* Can the reduce's kept dimension be spread over lanes in its operand? */
static bool operand_takes_lanes(const lowering *l, const ir_node *reduce, int dim)
{
    reduction r = {.reduce = reduce};
    r.count = ir_ints(reduce, "dims", r.dims);
    int kept = 0;
    for (int i = 0; i < reduce->in[0]->type.rank; i++)
        if (!is_reduced(&r, i) && kept++ == dim)
            return lower_takes_lanes(l, reduce->in[0], i);
    return true;
}

static bool check(const lowering *l, const ir_type **domain, diag *d)
{
    *domain = NULL;
    for (const ir_node *n = l->region->first; n; n = n->next) {
        if (!lower_is_core(n))
            continue;
        if (n->op != IR_REDUCE)
            return lower_unsupported(n, d, "something else than reductions in their kernel");
        if (*domain && !ir_shape_equal(*domain, &n->type))
            return lower_unsupported(n, d, "a second reduction of another shape");
        int64_t dims[IR_MAX_RANK];
        int count = ir_ints(n, "dims", dims);
        for (int i = 0; i < count; i++)
            if (n->in[0]->type.dim[dims[i]].batch)
                return lower_unsupported(n, d, "a reduction of the batch in this kind of kernel");
        *domain = &n->type;
    }
    return *domain ? lower_check_shapes(l, *domain, NULL, d)
                   : lower_unsupported(l->fused, d, "a reduction kernel without reduction");
}

bool lower_reduce(lowering *l, diag *d)
{
    const ir_type *domain;
    if (!check(l, &domain, d))
        return false;
    lower_roots roots = lower_roots_of(l, domain, NULL);
    lower_walk walk = lower_walk_of(l, domain, &roots, l->kernel->target->vector);
    if (walk.merged) { /* the operand has other dimensions: each is walked by itself */
        walk.lane_dim = -1;
        for (int i = 0; i < domain->rank; i++)
            if (domain->dim[i].n > 1 && !domain->dim[i].batch)
                walk.lane_dim = i;
        walk.merged = 0;
    }
    for (const ir_node *n = l->region->first; n && walk.lane_dim >= 0; n = n->next)
        if (n->op == IR_REDUCE && !operand_takes_lanes(l, n, walk.lane_dim))
            walk.lane_dim = -1;
    for (int i = 0; i < roots.count && walk.lane_dim >= 0; i++)
        if (!lower_takes_lanes(l, roots.node[i], walk.lane_dim))
            walk.lane_dim = -1;
    if (walk.lane_dim < 0)
        walk.lanes = 1;
    int64_t elements = 1;
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_REDUCE)
            elements = ir_static_count(&n->in[0]->type);
    lower_one_phase(l, domain, &walk, elements, reduce_point, (void *)domain);
    return true;
}
