/* backend/contraction/tile.c - one register tile, from its start to its end.
 *
 *     start: accumulators are 0, or go on from the sums that wait (partial.c)
 *     run the chains (chain.c)
 *     end: the epilogue (epilogue.c), or the sums wait again */
#include "backend/contraction/tile.h"

/* Where in both operands the tile's chains begin. */
static void operand_starts(tile *t, nest_value **a, nest_value **b)
{
    nest_kernel *k = t->k;
    const contraction *c = t->c;
    *a = nest_i64(k, t->plan.swap ? c->rhs.at.first : c->lhs.at.first);
    *b = nest_i64(k, t->plan.swap ? c->lhs.at.first : c->rhs.at.first);
    if (t->strip_from) /* each tile's rows have a block of scratch */
        *a = nest_add(k, nest_i64(k, t->room.rows),
                      nest_mul(k, nest_sub(k, t->at[t->plan.row], t->strip_from), t->plan.block));
    if (t->panel)
        *b = nest_mul(k, t->panel, t->room.panel);
    for (int i = 0; i < c->naxes; i++) {
        if (!t->strip_from)
            *a = nest_add(k, *a, nest_mul(k, t->at[i], tile_scalar_stride(t, &c->axis[i])));
        if (!t->packed || i != t->plan.column) /* a packed panel begins at the tile */
            *b = nest_add(k, *b, nest_mul(k, t->at[i], tile_vector_stride(t, &c->axis[i])));
    }
    for (int i = 0; i < t->fixed + (t->steps != NULL); i++) {
        const contraction_run *run = c->sum[i].run;
        if (!t->strip_from)
            *a = nest_add(k, *a, nest_mul(k, t->sum_at[i], t->plan.swap ? run->rhs : run->lhs));
        if (!t->packed) /* a packed panel begins at the block */
            *b = nest_add(k, *b, nest_mul(k, t->sum_at[i], t->plan.swap ? run->lhs : run->rhs));
        if (i < t->fixed) { /* chain_run adds the others */
            *a = nest_add(k, *a, nest_i64(k, t->plan.swap ? run->rhs_first : run->lhs_first));
            *b = nest_add(k, *b, nest_i64(k, t->plan.swap ? run->lhs_first : run->rhs_first));
        }
    }
}

void tile_run_chain(tile *t)
{
    nest_value *a, *b;
    operand_starts(t, &a, &b);
    tile_chain(t, t->fixed, a, b);
}

static void start_at_zero(tile *t, const lower_point *p, int64_t r, int64_t v, nest_value **accumulator)
{
    (void)r;
    (void)v;
    *accumulator = nest_const(t->k, t->c->node->type.dtype, p->lanes, 0);
}

/* Sums that end here go into the epilogue, others wait. */
static void store_block(tile *t)
{
    nest_kernel *k = t->k;
    tile_ends ends = tile_ends_of(t);
    lower_loop more = lower_loop_begin(t->l, nest_i64(k, 0), ends.more, 1);
    tile_each_accumulator(t, tile_store_partial);
    lower_loop_end(t->l, more);
    lower_loop last = lower_loop_begin(t->l, nest_i64(k, 0), ends.last, 1);
    tile_store_results(t);
    lower_loop_end(t->l, last);
}

void tile_make(tile *t, int64_t rows)
{
    t->rows = rows;
    tile_each_accumulator(t, t->past ? tile_load_partial : start_at_zero);
    tile_run_chain(t);
    if (t->rest)
        store_block(t);
    else if (t->past)
        tile_each_accumulator(t, tile_store_partial);
    else
        tile_store_results(t);
}
