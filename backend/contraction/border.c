/* backend/contraction/border.c - outputs of a spread convolution that see beyond the edge of its lhs. (What parts such
 * a convolution has: ir/contraction/convolution.c.)
 *
 * Each such output has taps of its own, and which of them are terms is found while the code runs: a tap beyond the edge
 * meets a zero, as in any padded convolution; one that falls between the spread elements is no term. Taps are taken in
 * the order of the rule, so that a border output has the bits that the same sum would have in the interior. */
#include "backend/contraction/tile.h"
#include <string.h>

static nest_value *compare(tile *t, nest_value *a, const char *how, int64_t b)
{
    nest_value *in[] = {a, nest_i64(t->k, b)};
    return nest_op(t->k, IR_COMPARE, IR_I1, in, 2, how);
}

static nest_value *either(tile *t, nest_value *a, nest_value *b)
{
    nest_value *in[] = {a, b};
    return a && b ? nest_op(t->k, IR_OR, IR_I1, in, 2, NULL) : a ? a : b;
}

static nest_value *choose(tile *t, nest_value *condition, nest_value *yes, nest_value *no)
{
    nest_value *in[] = {condition, yes, no};
    return nest_op(t->k, IR_SELECT, IR_I64, in, 3, NULL);
}

nest_value *tile_on_border(tile *t)
{
    nest_value *outside = NULL;
    for (int i = 0; i < t->c->nspatial; i++) {
        const contraction_spatial *s = &t->c->spatial[i];
        outside = either(t, outside, compare(t, t->at[s->axis], "LT", s->interior));
        outside = either(t, outside, compare(t, t->at[s->axis], "GE", s->interior_end));
    }
    return choose(t, outside, nest_i64(t->k, 1), nest_i64(t->k, 0));
}

/* What a tap meets: *beyond in some dimension, or else a *hole between elements; its element's offset where neither. */
typedef struct {
    nest_value *beyond, *hole, *lhs, *rhs;
} tap;

static void meet(tile *t, const contraction_spatial *s, nest_value *k_index, tap *p)
{
    nest_kernel *k = t->k;
    nest_value *at = nest_add(k, nest_mul(k, t->at[s->axis], s->stride), nest_mul(k, k_index, s->dilation));
    at = nest_add(k, at, nest_i64(k, -s->low));
    p->beyond = either(t, p->beyond, compare(t, at, "LT", 0));
    p->beyond = either(t, p->beyond, compare(t, at, "GT", (s->in - 1) * s->spread));
    at = nest_max(k, at, nest_i64(k, 0));
    if (s->spread > 1)
        p->hole = either(t, p->hole, compare(t, nest_rem(k, at, s->spread), "NE", 0));
    p->lhs = nest_add(k, p->lhs, nest_mul(k, nest_div(k, at, s->spread), s->lhs));
    p->rhs = nest_add(k, p->rhs, nest_mul(k, k_index, s->rhs));
}

/* The channels of a tap, or none. */
static void border_channels(tile *t, const tap *p, int level, nest_value *a, nest_value *b)
{
    nest_kernel *k = t->k;
    nest_value *not_hole_in[] = {p->hole};
    nest_value *is_term = either(t, p->beyond, nest_op(k, IR_NOT, IR_I1, not_hole_in, 1, NULL));
    nest_value *lhs = choose(t, p->beyond, nest_i64(k, t->c->zero), p->lhs);
    a = nest_add(k, a, t->plan.swap ? p->rhs : lhs);
    b = nest_add(k, b, t->plan.swap ? lhs : p->rhs);
    contraction_run one = {.n = 1};
    const contraction_run *run = level < t->c->nsums ? t->c->sum[level].run : &one;
    tile_run_loop(t, t->c->nsums - 1, run, nest_i64(k, 0), choose(t, is_term, nest_i64(k, run->n), nest_i64(k, 0)), 1,
                  &a, &b);
}

/* Loops over the taps, dimension by dimension. */
static void border_taps(tile *t, int dim, const tap *so_far, int level, nest_value *a, nest_value *b)
{
    nest_kernel *k = t->k;
    if (dim == t->c->nspatial) {
        border_channels(t, so_far, level, a, b);
        return;
    }
    int n = (int)(tile_all_rows(t) * t->nvectors);
    nest_block *outer;
    nest_value *loop =
        nest_loop_begin(k, nest_i64(k, 0), nest_i64(k, t->c->spatial[dim].kernel), 1, t->accumulator, n, &outer);
    memcpy(t->accumulator, loop->carry, sizeof *t->accumulator * (size_t)n);
    tap here = *so_far;
    meet(t, &t->c->spatial[dim], nest_loop_index(loop), &here);
    border_taps(t, dim + 1, &here, level, a, b);
    nest_loop_end(k, loop, t->accumulator, outer);
    memcpy(t->accumulator, loop->final, sizeof *t->accumulator * (size_t)n);
}

void tile_border_chain(tile *t, int level, nest_value *a, nest_value *b)
{
    nest_kernel *k = t->k;
    const tap none = {.lhs = nest_i64(k, 0), .rhs = nest_i64(k, 0)};
    if (!t->c->leaf || level > 0) {
        border_taps(t, 0, &none, level, a, b);
        return;
    }
    const contraction_run *run = t->c->sum[0].run;
    int n = (int)(tile_all_rows(t) * t->nvectors);
    nest_block *outer;
    nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), nest_batch(k), 1, t->accumulator, n, &outer);
    memcpy(t->accumulator, loop->carry, sizeof *t->accumulator * (size_t)n);
    a = nest_add(k, a, nest_mul(k, nest_loop_index(loop), t->plan.swap ? run->rhs : run->lhs));
    b = nest_add(k, b, nest_mul(k, nest_loop_index(loop), t->plan.swap ? run->lhs : run->rhs));
    border_taps(t, 0, &none, 1, a, b);
    nest_loop_end(k, loop, t->accumulator, outer);
    memcpy(t->accumulator, loop->final, sizeof *t->accumulator * (size_t)n);
}
