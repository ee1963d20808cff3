/* backend/lower/value.c - write the value of a region's node at a point, the indices of an element.
 *
 * lower_value goes from a node down to memory. An elementwise operator takes its operands at the same point. A shape
 * operator, such as a broadcast or a slice, takes its operand at another point, which it computes from its own. An
 * input is loaded. Whether an operator may be asked for a whole vector of points is decided in
 * backend/lower/walkable.c; an operator that is added here has to be added there. */
#include "backend/lower/lower.h"
#include <string.h>

/* ---- inputs and points ---- */

static nest_value *input_value(lowering *l, const ir_node *n, const lower_point *p)
{
    int64_t lane_stride;
    nest_value *offset = lower_offset(l, &n->type, lower_memory_of_input(l, n), p, &lane_stride);
    return nest_load(l->kernel, lower_input_buffer(l, n), offset, 0, lane_stride, p->lanes, p->active_count, p->active);
}

/* The point's lanes, on no dimension yet. */
static lower_point without_lanes(const lower_point *p)
{
    lower_point q = {.lane_dim = -1, .lanes = 1, .lane_step = 1, .active_count = 1, .merged = p->merged};
    memcpy(q.index, p->index, sizeof q.index);
    return q;
}

static void set_lanes(lower_point *q, int dim, const lower_point *p)
{
    q->lane_dim = dim;
    q->lanes = p->lanes;
    q->lane_step = p->lane_step;
    q->active_count = p->active_count;
    q->active = p->active;
}

/* The value at a point that may have lost the lanes on the way. */
static nest_value *value_widened(lowering *l, const ir_node *n, const lower_point *q, int lanes)
{
    nest_value *v = lower_value(l, n, q);
    return v->lanes == lanes ? v : nest_splat(l->kernel, v, lanes);
}

/* ---- shape operators ---- */

static nest_value *broadcast_value(lowering *l, const ir_node *n, const lower_point *p)
{
    const ir_node *x = n->in[0];
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims), first_merged = n->type.rank - p->merged;
    lower_point q = without_lanes(p);
    q.merged = 0;
    for (int i = 0; i < count; i++) {
        if (lower_is_single(x->type.dim[i])) {
            q.index[i] = nest_i64(l->kernel, 0);
            continue;
        }
        q.index[i] = p->index[dims[i]];
        if (dims[i] == p->lane_dim)
            set_lanes(&q, i, p);
        if (p->merged && dims[i] >= first_merged)
            q.merged = p->merged;
    }
    if (q.merged) {
        int own_first = x->type.rank - q.merged;
        q.index[own_first] = p->index[first_merged];
        if (p->lane_dim == first_merged)
            set_lanes(&q, own_first, p);
    }
    return value_widened(l, x, &q, p->lanes);
}

static nest_value *transpose_value(lowering *l, const ir_node *n, const lower_point *p)
{
    int64_t permutation[IR_MAX_RANK];
    int count = ir_ints(n, "permutation", permutation);
    lower_point q = *p;
    for (int i = 0; i < count; i++) {
        q.index[permutation[i]] = p->index[i];
        if (i == p->lane_dim)
            q.lane_dim = (int32_t)permutation[i];
    }
    return lower_value(l, n->in[0], &q);
}

static nest_value *slice_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    int64_t start[IR_MAX_RANK], stride[IR_MAX_RANK];
    ir_ints(n, "start", start);
    ir_ints(n, "stride", stride);
    lower_point q = *p;
    for (int i = 0; i < n->type.rank - p->merged; i++) {
        q.index[i] = nest_add(k, nest_mul(k, p->index[i], stride[i]), nest_i64(k, start[i]));
        if (i == p->lane_dim)
            q.lane_step = p->lane_step * stride[i];
    }
    return lower_value(l, n->in[0], &q);
}

static nest_value *reverse_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims);
    lower_point q = *p;
    for (int i = 0; i < count; i++) {
        int d = (int)dims[i];
        q.index[d] = nest_add(k, nest_mul(k, p->index[d], -1), nest_i64(k, n->type.dim[d].n - 1));
        if (d == p->lane_dim)
            q.lane_step = -p->lane_step;
    }
    return lower_value(l, n->in[0], &q);
}

static nest_value *pad_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    const ir_node *x = n->in[0];
    int64_t low[IR_MAX_RANK], interior[IR_MAX_RANK];
    ir_ints(n, "low", low);
    ir_ints(n, "interior", interior);
    lower_point q = *p;
    nest_value *inside = NULL;
    for (int i = 0; i < n->type.rank - p->merged; i++) {
        if (!lower_is_padded(n, i))
            continue;
        int64_t gap = interior[i] + 1;
        nest_value *at = nest_add(k, p->index[i], nest_i64(k, -low[i]));
        at = lower_clamp(l, at, (x->type.dim[i].n - 1) * gap + 1, &inside);
        if (gap > 1) {
            nest_value *rest = nest_rem(k, at, gap);
            inside = lower_both(l, inside, lower_op(l, IR_COMPARE, IR_I1, rest, nest_i64(k, 0), "EQ"));
        }
        q.index[i] = nest_div(k, at, gap);
    }
    nest_value *value = lower_value(l, x, &q);
    if (!inside)
        return value;
    lower_point scalar = lower_scalar_point(l, 0);
    return lower_choose(l, inside, value, value_widened(l, n->in[1], &scalar, p->lanes));
}

static nest_value *concatenate_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    int dim = (int)ir_int(n, "dim", 0);
    nest_value *index = p->index[dim], *value = NULL;
    int64_t end = n->type.dim[dim].n;
    for (int i = n->nin - 1; i >= 0; i--) {
        int64_t start = end - n->in[i]->type.dim[dim].n;
        bool constant = index->kind == NEST_CONST;
        if (!constant || (index->number >= (double)start && index->number < (double)end)) {
            nest_value *inside = NULL;
            lower_point q = *p;
            q.index[dim] = lower_clamp(l, nest_add(k, index, nest_i64(k, -start)), end - start, &inside);
            nest_value *own = lower_value(l, n->in[i], &q);
            value = value ? lower_choose(l, lower_op(l, IR_COMPARE, IR_I1, index, nest_i64(k, end), "LT"), own, value)
                          : own;
        }
        end = start;
    }
    return value;
}

/* Through the element number: one example's elements keep their memory order. */
static nest_value *reshape_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    const ir_type *from = &n->in[0]->type, *to = &n->type;
    int64_t stride[IR_MAX_RANK], batch_stride;
    nest_value *example = nest_i64(k, 0), *element = nest_i64(k, 0);
    ir_strides(to, stride, &batch_stride);
    for (int i = 0; i < to->rank; i++) {
        nest_value *index = p->index[i];
        if (to->dim[i].batch) {
            example = nest_div(k, index, to->dim[i].n);
            index = nest_rem(k, index, to->dim[i].n);
        }
        if (to->dim[i].n > 1)
            element = nest_add(k, element, nest_mul(k, index, stride[i]));
    }
    lower_point q = lower_scalar_point(l, from->rank);
    ir_strides(from, stride, &batch_stride);
    for (int i = 0; i < from->rank; i++) {
        int64_t n_i = from->dim[i].n;
        if (n_i > 1)
            q.index[i] = i == 0 ? nest_div(k, element, stride[i]) : nest_rem(k, nest_div(k, element, stride[i]), n_i);
        if (from->dim[i].batch)
            q.index[i] = nest_add(k, nest_mul(k, example, n_i), q.index[i]);
    }
    return lower_value(l, n->in[0], &q);
}

/* ---- operators without operands of their shape ---- */

static nest_value *iota_value(lowering *l, const ir_node *n, const lower_point *p)
{
    int dim = (int)ir_int(n, "dim", 0);
    nest_value *number = lower_counting(l, p->index[dim], dim == p->lane_dim ? p->lane_step : 0, p->lanes);
    return n->type.dtype == IR_I64 ? number : lower_op(l, IR_CONVERT, n->type.dtype, number, NULL, NULL);
}

/* A table is a chain of selects: tables in graphs are small. */
static nest_value *constant_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    const ir_attr *value = ir_attr_find(n->attrs, "value");
    ir_dtype t = n->type.dtype;
    if (lower_is_uniform(n))
        return nest_const(k, t, p->lanes, value->number[0]);
    nest_value *at = lower_counting(l, lower_element_number(l, &n->type, p), lower_element_step(&n->type, p), p->lanes);
    nest_value *chosen = nest_const(k, t, p->lanes, value->number[value->count - 1]);
    for (int i = value->count - 2; i >= 0; i--) {
        if (value->number[i] == value->number[i + 1])
            continue;
        nest_value *limit = nest_const(k, IR_I64, p->lanes, i + 1);
        chosen = lower_choose(l, lower_op(l, IR_COMPARE, IR_I1, at, limit, "LT"),
                              nest_const(k, t, p->lanes, value->number[i]), chosen);
    }
    return chosen;
}

static nest_value *rng_value(lowering *l, const ir_node *n, const lower_point *p)
{
    lower_point scalar = lower_scalar_point(l, 0);
    nest_value *in[4];
    for (int i = 0; i < 3; i++)
        in[i] = lower_value(l, n->in[i], &scalar);
    in[3] = lower_element_number(l, &n->type, p);
    uint32_t stream = (uint32_t)ir_attr_find(n->attrs, "stream")->number[0];
    return nest_rng(l->kernel, in, lower_element_step(&n->type, p), p->lanes, stream);
}

/* ---- any node ---- */

static nest_value *elementwise_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_value *in[4];
    for (int i = 0; i < n->nin; i++)
        in[i] = lower_value(l, n->in[i], p);
    const char *word = n->op == IR_COMPARE ? ir_word(n, "direction") : NULL;
    return nest_op(l->kernel, n->op, n->type.dtype, in, n->nin, word);
}

static nest_value *compute(lowering *l, const ir_node *n, const lower_point *p)
{
    switch (n->op) {
    case IR_INPUT:
        return input_value(l, n, p);
    case IR_BROADCAST_IN_DIM:
        return broadcast_value(l, n, p);
    case IR_TRANSPOSE:
        return transpose_value(l, n, p);
    case IR_SLICE:
        return slice_value(l, n, p);
    case IR_REVERSE:
        return reverse_value(l, n, p);
    case IR_PAD:
        return pad_value(l, n, p);
    case IR_CONCATENATE:
        return concatenate_value(l, n, p);
    case IR_IOTA:
        return iota_value(l, n, p);
    case IR_CONSTANT:
        return constant_value(l, n, p);
    case IR_RESHAPE:
        return reshape_value(l, n, p);
    case IR_RNG_BITS:
        return rng_value(l, n, p);
    case IR_BATCH_SIZE:
        return nest_splat(l->kernel, nest_batch(l->kernel), p->lanes);
    case IR_STOP_GRADIENT:
        return lower_value(l, n->in[0], p);
    default:
        if (!(ir_ops[n->op].traits & OP_ELTWISE))
            ir_bug("kernel '%s' asks for %s at a point", l->kernel->name, ir_ops[n->op].name);
        return elementwise_value(l, n, p);
    }
}

nest_value *lower_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_value *v = lower_known(l, n, p);
    if (v)
        return v;
    src_loc before = l->kernel->at;
    if (n->loc.line)
        l->kernel->at = n->loc;
    v = compute(l, n, p);
    l->kernel->at = before;
    lower_remember(l, n, p, v);
    return v;
}
