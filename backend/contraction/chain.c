/* backend/contraction/chain.c - the inner loops: what a register tile does in each step of its chains.
 *
 *     for sums, outermost first
 *       for steps of the innermost sum, a few of them written out one after the other
 *         load the vectors of one operand
 *         for row of the tile:   load its scalar;   accumulator = fma(scalar, vector, accumulator)
 *
 * In each operand an offset is carried along, which grows by constant strides. A sum of few steps is written out whole,
 * without a loop. */
#include "backend/contraction/tile.h"
#include <string.h>

enum { UNROLL_WHOLE = 8 };

static int64_t row_offset(const tile *t, int64_t r)
{
    int64_t row, inner, offset = 0;
    tile_row_steps(t, r, &row, &inner);
    if (t->plan.row >= 0)
        offset += row * tile_scalar_stride(t, &t->c->axis[t->plan.row]);
    if (t->plan.inner >= 0)
        offset += inner * tile_scalar_stride(t, &t->c->axis[t->plan.inner]);
    return offset;
}

/* The other operand's part in a row's vector: a scalar for all of it, or a vector where that varies with the columns.
 */
static nest_value *row_operand(tile *t, nest_value *a, int64_t disp, int64_t v, nest_value *row)
{
    nest_kernel *k = t->k;
    int64_t stride = t->plan.column >= 0 ? tile_scalar_stride(t, &t->c->axis[t->plan.column]) : 0;
    if (stride)
        return nest_load(k, t->scalars, a, disp + v * t->lanes * stride, stride, t->lanes, tile_live_lanes(t, v), NULL);
    return row ? row : nest_splat(k, nest_load(k, t->scalars, a, disp, 0, 1, 1, NULL), t->lanes);
}

/* One step: every accumulator gets one multiply-add. */
static void multiply_add(tile *t, nest_value *a, nest_value *b, int64_t a_disp, int64_t b_disp)
{
    nest_kernel *k = t->k;
    int64_t stride = t->plan.column >= 0 ? tile_vector_stride(t, &t->c->axis[t->plan.column]) : 0;
    nest_value *vector[CONTRACTION_VECTORS] = {NULL};
    for (int64_t v = 0; v < t->nvectors; v++)
        vector[v] =
            nest_load(k, t->vectors, b, b_disp + v * t->lanes * stride, stride, t->lanes, tile_live_lanes(t, v), NULL);
    for (int64_t r = 0; r < tile_all_rows(t); r++) {
        nest_value *row = NULL;
        for (int64_t v = 0; v < t->nvectors; v++) {
            nest_value **x = &t->accumulator[r * t->nvectors + v];
            row = row_operand(t, a, a_disp + row_offset(t, r), v, row);
            *x = nest_fma(k, row, vector[v], *x);
        }
    }
}

/* A loop over a run of the sums' level, carrying the accumulators and both offsets; 'unroll' steps a time. */
static void run_loop(tile *t, int level, const contraction_run *run, nest_value *from, nest_value *to, int64_t unroll,
                     nest_value **a, nest_value **b)
{
    nest_kernel *k = t->k;
    int64_t by_a = t->plan.swap ? run->rhs : run->lhs, by_b = t->plan.swap ? run->lhs : run->rhs;
    int n = (int)(tile_all_rows(t) * t->nvectors);
    nest_value *carry[CONTRACTION_ROWS * CONTRACTION_VECTORS + 2];
    memcpy(carry, t->accumulator, sizeof *carry * (size_t)n);
    carry[n] = *a;
    carry[n + 1] = *b;
    nest_block *outer;
    nest_value *loop = nest_loop_begin(k, from, to, unroll, carry, n + 2, &outer);
    memcpy(t->accumulator, loop->carry, sizeof *carry * (size_t)n);
    for (int64_t u = 0; u < unroll; u++) {
        if (level + 1 == t->c->nsums)
            multiply_add(t, loop->carry[n], loop->carry[n + 1], u * by_a, u * by_b);
        else
            tile_chain(t, level + 1, loop->carry[n], loop->carry[n + 1]);
    }
    memcpy(carry, t->accumulator, sizeof *carry * (size_t)n);
    carry[n] = nest_add(k, loop->carry[n], nest_i64(k, unroll * by_a));
    carry[n + 1] = nest_add(k, loop->carry[n + 1], nest_i64(k, unroll * by_b));
    nest_loop_end(k, loop, carry, outer);
    memcpy(t->accumulator, loop->final, sizeof *carry * (size_t)n);
    *a = loop->final[n];
    *b = loop->final[n + 1];
}

/* Steps of the innermost sum one after the other, without a loop. */
static void run_straight(tile *t, const contraction_run *run, int64_t count, nest_value *a, nest_value *b)
{
    int64_t by_a = t->plan.swap ? run->rhs : run->lhs, by_b = t->plan.swap ? run->lhs : run->rhs;
    for (int64_t i = 0; i < count; i++)
        multiply_add(t, a, b, i * by_a, i * by_b);
}

/* The plan's unrolling, or a little more where that leaves no rest. */
static int64_t even_unroll(const tile *t, int64_t n)
{
    for (int64_t unroll = t->plan.unroll; unroll < 2 * t->plan.unroll; unroll++)
        if (n % unroll == 0)
            return unroll;
    return t->plan.unroll;
}

/* So many steps of a run. */
static void chain_steps(tile *t, int level, const contraction_run *run, nest_value *steps, nest_value *a, nest_value *b)
{
    nest_kernel *k = t->k;
    bool innermost = level + 1 == t->c->nsums;
    int64_t unroll = innermost ? t->plan.unroll : 1;
    if (steps->kind != NEST_CONST) {
        nest_value *whole = nest_mul(k, nest_div(k, steps, unroll), unroll);
        run_loop(t, level, run, nest_i64(k, 0), whole, unroll, &a, &b);
        if (unroll > 1)
            run_loop(t, level, run, whole, steps, 1, &a, &b);
        return;
    }
    int64_t n = (int64_t)steps->number;
    if (innermost && n <= UNROLL_WHOLE) {
        run_straight(t, run, n, a, b);
    } else if (!innermost && n == 1) {
        tile_chain(t, level + 1, a, b);
    } else {
        unroll = innermost ? even_unroll(t, n) : 1;
        int64_t whole = n / unroll * unroll;
        run_loop(t, level, run, nest_i64(k, 0), nest_i64(k, whole), unroll, &a, &b);
        if (innermost)
            run_straight(t, run, n - whole, a, b);
    }
}

static void chain_run(tile *t, int level, const contraction_run *run, nest_value *a, nest_value *b)
{
    nest_kernel *k = t->k;
    bool block = t->steps && level == t->fixed;
    a = nest_add(k, a, nest_i64(k, t->plan.swap ? run->rhs_first : run->lhs_first));
    b = nest_add(k, b, nest_i64(k, t->plan.swap ? run->lhs_first : run->rhs_first));
    chain_steps(t, level, run, block ? t->steps : lower_extent(t->l, run->n, run->batch), a, b);
}

void tile_chain(tile *t, int level, nest_value *a, nest_value *b)
{
    if (level == t->c->nsums) {
        multiply_add(t, a, b, 0, 0);
        return;
    }
    const contraction_sum *s = &t->c->sum[level];
    for (int i = 0; i < s->count; i++)
        chain_run(t, level, &s->run[i], a, b);
}
