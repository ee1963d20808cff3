/* backend/contraction/epilogue.c - what follows the chains: the rest of the kernel's region, at the points of a tile.
 *
 * The region may add a bias, apply an activation or update a weight. Each accumulator stands for the contraction's
 * value at its point of the result; from there the rest is computed and stored. There are three ways through a tile:
 *
 *     as they are    one accumulator after the other, the code written out for each
 *     rolled         a long epilogue is a loop over the rows, which wait on the stack
 *     turned         where rows lie side by side in the result and columns do not, blocks of the tile are transposed,
 *                    so that lanes are rows and whole vectors are stored */
#include "backend/contraction/tile.h"

/* ---- points ---- */

/* The result's indices where the tile starts. */
static lower_point tile_start(tile *t)
{
    nest_kernel *k = t->k;
    lower_point p = lower_scalar_point(t->l, t->c->node->type.rank);
    for (int i = 0; i < t->c->naxes; i++) {
        const contraction_axis *a = &t->c->axis[i];
        nest_value *at = nest_add(k, nest_mul(k, t->at[i], a->step), nest_i64(k, a->first));
        p.index[a->dim] = nest_add(k, p.index[a->dim], at);
    }
    if (t->lanes > 1) {
        const contraction_axis *column = &t->c->axis[t->plan.column];
        p.lane_dim = column->dim;
        p.lanes = t->lanes;
        p.lane_step = column->step;
    }
    return p;
}

static void move_along(tile *t, lower_point *p, int64_t axis, nest_value *steps)
{
    const contraction_axis *a = &t->c->axis[axis];
    p->index[a->dim] = nest_add(t->k, p->index[a->dim], nest_mul(t->k, steps, a->step));
}

static void step_along(tile *t, lower_point *p, int64_t axis, int64_t steps)
{
    if (axis >= 0 && steps != 0)
        move_along(t, p, axis, nest_i64(t->k, steps));
}

/* The point of an accumulator; vectors share the indices of columns, so that what depends on them is computed once. */
static lower_point accumulator_point(tile *t, const lower_point *start, int64_t r, int64_t v)
{
    lower_point p = *start;
    int64_t row, inner;
    tile_row_steps(t, r, &row, &inner);
    step_along(t, &p, t->plan.row, row);
    step_along(t, &p, t->plan.inner, inner);
    step_along(t, &p, t->plan.column, v * t->lanes);
    p.active_count = tile_live_lanes(t, v);
    return p;
}

void tile_each_accumulator(tile *t, tile_visitor *visit)
{
    lower_forget(t->l);
    lower_point start = tile_start(t);
    for (int64_t r = 0; r < tile_all_rows(t); r++)
        for (int64_t v = 0; v < t->nvectors; v++) {
            lower_point p = accumulator_point(t, &start, r, v);
            visit(t, &p, r, v, &t->accumulator[r * t->nvectors + v]);
        }
}

/* ---- the rest of the region ---- */

static void store_results(tile *t, const lower_point *p, int64_t r, int64_t v, nest_value **accumulator)
{
    (void)r;
    (void)v;
    lower_bind(t->l, t->c->node, *accumulator);
    lower_store_results(t->l, &t->c->node->type, p);
}

/* A long epilogue, written out for every accumulator, is most of a kernel's code and of its compile time: it becomes a
 * loop over the tile's rows, which wait on the stack. */
bool tile_has_long_epilogue(const lowering *l)
{
    enum { LONG = 6 };
    int operators = 0;
    for (const ir_node *n = l->region->first; n; n = n->next)
        operators += (ir_ops[n->op].traits & OP_ELTWISE) != 0;
    return operators >= LONG;
}

static void store_rolled(tile *t)
{
    nest_kernel *k = t->k;
    int64_t width = t->nvectors * t->lanes;
    if (t->spill < 0)
        t->spill = nest_add_local(k, "tile", t->c->node->type.dtype,
                                  t->plan.rows * tile_inner_rows(t) * t->plan.vectors * t->lanes);
    for (int64_t i = 0; i < tile_all_rows(t) * t->nvectors; i++)
        nest_store(k, t->spill, nest_i64(k, 0), i * t->lanes, 1, t->accumulator[i], t->lanes, NULL);
    lower_loop loop = lower_loop_begin(t->l, nest_i64(k, 0), nest_i64(k, tile_all_rows(t)), 1);
    nest_value *r = nest_loop_index(loop.loop);
    lower_point start = tile_start(t);
    if (t->plan.row >= 0)
        move_along(t, &start, t->plan.row, nest_div(k, r, tile_inner_rows(t)));
    if (t->plan.inner >= 0)
        move_along(t, &start, t->plan.inner, nest_rem(k, r, tile_inner_rows(t)));
    for (int64_t v = 0; v < t->nvectors; v++) {
        lower_point p = accumulator_point(t, &start, 0, v);
        nest_value *x = nest_load(k, t->spill, nest_mul(k, r, width), v * t->lanes, 1, t->lanes, t->lanes, NULL);
        store_results(t, &p, 0, v, &x);
    }
    lower_loop_end(t->l, loop);
}

/* ---- turned results ---- */

/* Of the rows that lie side by side in the result, from 'from' on: their accumulators of one vector of columns become
 * the lanes of as many vectors as it has columns. */
static void turn_block(tile *t, int64_t from, int64_t count, int64_t v, nest_value **block)
{
    for (int64_t i = 0; i < t->lanes; i++)
        block[i] = i < count ? t->accumulator[(from + i) * t->nvectors + v]
                             : nest_const(t->k, t->c->node->type.dtype, t->lanes, 0);
    nest_transpose(t->k, block);
}

/* From a point whose lanes are columns to one whose lanes are 'count' steps of the turned axis. */
static lower_point turned_point(tile *t, const lower_point *start, int axis, int64_t count)
{
    lower_point p = *start;
    p.lane_dim = t->c->axis[axis].dim;
    p.lane_step = t->c->axis[axis].step;
    p.active_count = (int32_t)count;
    return p;
}

/* A block of columns waits on the stack, the epilogue is a loop over them. */
static void store_turned_rolled(tile *t, const lower_point *p, nest_value **block, int live)
{
    nest_kernel *k = t->k;
    if (t->spill < 0)
        t->spill = nest_add_local(k, "tile", t->c->node->type.dtype, (int64_t)t->lanes * t->lanes);
    for (int64_t i = 0; i < live; i++)
        nest_store(k, t->spill, nest_i64(k, 0), i * t->lanes, 1, block[i], t->lanes, NULL);
    lower_loop loop = lower_loop_begin(t->l, nest_i64(k, 0), nest_i64(k, live), 1);
    nest_value *column = nest_loop_index(loop.loop);
    lower_point at = *p;
    move_along(t, &at, t->plan.column, column);
    nest_value *x = nest_load(k, t->spill, nest_mul(k, column, t->lanes), 0, 1, t->lanes, t->lanes, NULL);
    store_results(t, &at, 0, 0, &x);
    lower_loop_end(t->l, loop);
}

static void store_turned_block(tile *t, const lower_point *p, nest_value **block, int live)
{
    if (t->rolled) {
        store_turned_rolled(t, p, block, live);
        return;
    }
    for (int64_t i = 0; i < live; i++) {
        lower_point at = *p;
        step_along(t, &at, t->plan.column, i);
        store_results(t, &at, 0, 0, &block[i]);
    }
}

/* The epilogue with rows in the lanes, as they lie side by side in the result and columns do not. */
static void store_turned(tile *t, int axis)
{
    bool inner = axis == t->plan.inner;
    int64_t steps = inner ? tile_inner_rows(t) : t->rows, blocks = tile_all_rows(t) / steps;
    lower_forget(t->l);
    lower_point start = tile_start(t);
    for (int64_t b = 0; b < blocks; b++)
        for (int64_t from = 0; from < steps; from += t->lanes)
            for (int64_t v = 0; v < t->nvectors; v++) {
                nest_value *block[CONTRACTION_ROWS];
                int64_t count = steps - from < t->lanes ? steps - from : t->lanes;
                lower_point p = turned_point(t, &start, axis, count);
                step_along(t, &p, t->plan.column, v * t->lanes);
                step_along(t, &p, axis, from);
                if (inner)
                    step_along(t, &p, t->plan.row, b);
                turn_block(t, b * steps + from, count, v, block);
                store_turned_block(t, &p, block, tile_live_lanes(t, v));
            }
}

/* ---- the choice ---- */

void tile_store_results(tile *t)
{
    int turned = contraction_turned(t->c, &t->plan, t->rows);
    if (turned >= 0)
        store_turned(t, turned);
    else if (t->rolled && tile_all_rows(t) > 1)
        store_rolled(t);
    else
        tile_each_accumulator(t, store_results);
    lower_unbind(t->l, t->c->node);
}
