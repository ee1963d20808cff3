/* backend/lower/point.c - arithmetic with points, the indices of an element: its offset in a buffer, its number in
 * row-major order, and indices that may lie outside the shape. */
#include "backend/lower/lower.h"

lower_point lower_scalar_point(lowering *l, int rank)
{
    lower_point p = {.lane_dim = -1, .lanes = 1, .lane_step = 1, .active_count = 1};
    for (int i = 0; i < rank; i++)
        p.index[i] = nest_i64(l->kernel, 0);
    return p;
}

/* ---- operators on values ---- */

nest_value *lower_op(lowering *l, ir_op op, ir_dtype t, nest_value *a, nest_value *b, const char *word)
{
    nest_value *in[] = {a, b};
    return nest_op(l->kernel, op, t, in, b ? 2 : 1, word);
}

nest_value *lower_choose(lowering *l, nest_value *condition, nest_value *yes, nest_value *no)
{
    if (condition->lanes != yes->lanes)
        condition = nest_splat(l->kernel, condition, yes->lanes);
    nest_value *in[] = {condition, yes, no};
    return nest_op(l->kernel, IR_SELECT, yes->dtype, in, 3, NULL);
}

nest_value *lower_both(lowering *l, nest_value *a, nest_value *b)
{
    return !a ? b : !b ? a : lower_op(l, IR_AND, IR_I1, a, b, NULL);
}

nest_value *lower_clamp(lowering *l, nest_value *index, int64_t n, nest_value **inside)
{
    nest_kernel *k = l->kernel;
    if (index->kind == NEST_CONST && index->number >= 0 && index->number < (double)n)
        return index;
    nest_value *not_below = lower_op(l, IR_COMPARE, IR_I1, index, nest_i64(k, 0), "GE");
    *inside =
        lower_both(l, *inside, lower_both(l, not_below, lower_op(l, IR_COMPARE, IR_I1, index, nest_i64(k, n), "LT")));
    return nest_max(k, nest_min(k, index, nest_i64(k, n - 1)), nest_i64(k, 0));
}

/* ---- places in memory ---- */

/* Where an index of a dimension leads. */
static nest_value *index_offset(lowering *l, const ir_type *t, const ir_layout *at, int dim, nest_value *index)
{
    nest_kernel *k = l->kernel;
    int64_t n = t->dim[dim].n, own = at->stride[dim];
    if (dim == at->cut) {
        nest_value *panel = nest_mul(k, nest_div(k, index, at->width), at->panel);
        return nest_add(k, panel, nest_mul(k, nest_rem(k, index, at->width), own));
    }
    if (!t->dim[dim].batch)
        return nest_mul(k, index, own);
    if (n == 1 || at->batch_stride == n * own)
        return nest_mul(k, index, n == 1 ? at->batch_stride : own);
    nest_value *example = nest_mul(k, nest_div(k, index, n), at->batch_stride);
    return nest_add(k, example, nest_mul(k, nest_rem(k, index, n), own));
}

static int64_t lane_stride_of(const ir_type *t, const ir_layout *at, int dim)
{
    return t->dim[dim].batch && t->dim[dim].n == 1 ? at->batch_stride : at->stride[dim];
}

nest_value *lower_offset(lowering *l, const ir_type *t, const ir_node *memory, const lower_point *p,
                         int64_t *lane_stride)
{
    nest_kernel *k = l->kernel;
    ir_layout at = ir_layout_of(t, memory);
    int single = p->merged ? t->rank - p->merged : t->rank; /* dimensions with an index of their own */
    nest_value *offset = nest_i64(k, at.first);
    *lane_stride = 0;
    for (int i = 0; i < single; i++) {
        if (!lower_is_single(t->dim[i]))
            offset = nest_add(k, offset, index_offset(l, t, &at, i, p->index[i]));
        if (i == p->lane_dim)
            *lane_stride = lane_stride_of(t, &at, i) * p->lane_step;
    }
    if (p->merged) {
        offset = nest_add(k, offset, p->index[single]);
        if (p->lane_dim == single)
            *lane_stride = p->lane_step;
    }
    return offset;
}

/* ---- element numbers ---- */

/* The row-major element number of a point, within one example and with the example's own part. */
nest_value *lower_element_number(lowering *l, const ir_type *t, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    int single = t->rank - p->merged;
    nest_value *number = nest_i64(k, 0);
    int64_t step = 1;
    bool batch_below = false;
    if (p->merged) {
        number = p->index[single];
        for (int i = single; i < t->rank; i++)
            step *= t->dim[i].n;
    }
    for (int i = single - 1; i >= 0; i--) {
        nest_value *part = nest_mul(k, p->index[i], step);
        if (batch_below)
            part = lower_op(l, IR_MULTIPLY, IR_I64, part, nest_batch(k), NULL);
        number = nest_add(k, number, part);
        step *= t->dim[i].n;
        batch_below |= t->dim[i].batch;
    }
    return number;
}

/* By which step element numbers grow from lane to lane. */
int64_t lower_element_step(const ir_type *t, const lower_point *p)
{
    int64_t step = p->lane_step;
    for (int i = p->lane_dim + 1; i < t->rank && !p->merged; i++)
        step *= t->dim[i].n;
    return p->lanes > 1 && p->lane_dim >= 0 ? step : 0;
}

/* A number that grows from lane to lane. */
nest_value *lower_counting(lowering *l, nest_value *first, int64_t step, int lanes)
{
    nest_kernel *k = l->kernel;
    if (lanes == 1 || step == 0)
        return nest_splat(k, first, lanes);
    nest_value *number = nest_lanes(k, lanes);
    if (step != 1)
        number = lower_op(l, IR_MULTIPLY, IR_I64, number, nest_const(k, IR_I64, lanes, (double)step), NULL);
    return lower_op(l, IR_ADD, IR_I64, nest_splat(k, first, lanes), number, NULL);
}
