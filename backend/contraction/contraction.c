/* backend/contraction/contraction.c - dot_general and convolution: register tiles over affine maps
 * (ir/contraction/contraction.h).
 *
 *     for cut axis (a task's share)
 *       for panel of columns (a task's pieces)
 *         for block of the chains, if the plan has blocks (backend/contraction/partial.c)
 *           for the other axes
 *             for tile of rows
 *               accumulators = 0
 *               for sums, the innermost unrolled
 *                 vectors of one operand * scalars of the other, added by fused multiply-adds
 *               epilogue: the rest of the region at the tile's points, an accumulator at a time
 *
 * Each accumulator lane is one chain in the order of the rule, so no choice of tiles changes a bit. Rows that do not
 * fill a tile get a smaller one, columns that do not fill a vector a masked one. Where rows lie side by side in the
 * result and columns do not, the tile is transposed before its epilogue. Both operands are read where they lie:
 * pass select has laid them out so (zeros around a padded convolution, columns side by side).
 *
 * Where the plan says so, each panel of the vector operand is copied to scratch first, the way it will be read
 * (backend/contraction/pack.c); with strips, both operands are, a block of the chains at a time
 * (ir/contraction/block.c). A convolution of few features goes its own way round the tiles
 * (backend/contraction/stream.c).
 *
 * A weight gradient of a convolution sums examples by leaves: phase 0 writes a leaf's sums to scratch, going through it
 * an example at a time, so that the example stays in cache; phase 1 combines leaves and runs the epilogue. In a chain
 * of short slices a leaf is several tasks, one after the other.
 *
 * plan = contraction_plan */
#include "backend/contraction/tile.h"
#include "backend/library/interface.h"
#include <string.h>

enum { UNROLL_WHOLE = 8 };

static int64_t scalar_stride(const tile *t, const contraction_axis *a)
{
    return contraction_scalar_stride(a, t->plan.swap);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t vector_stride(const tile *t, const contraction_axis *a)
{
    return contraction_vector_stride(a, t->plan.swap);
}

/* ---- the chain ---- */

/* Steps of row r of the tile along axis `row` and axis `inner`. */
static void row_steps(const tile *t, int64_t r, int64_t *row, int64_t *inner)
{
    *row = r / tile_inner_rows(t);
    *inner = r % tile_inner_rows(t);
}

static int64_t row_offset(const tile *t, int64_t r)
{
    int64_t row, inner, offset = 0;
    row_steps(t, r, &row, &inner);
    if (t->plan.row >= 0)
        offset += row * scalar_stride(t, &t->c->axis[t->plan.row]);
    if (t->plan.inner >= 0)
        offset += inner * scalar_stride(t, &t->c->axis[t->plan.inner]);
    return offset;
}

/* The other operand's part in a row's vector: a scalar for all of it, or a vector where that varies with the columns.
 */
static nest_value *row_operand(tile *t, nest_value *a, int64_t disp, int64_t v, nest_value *row)
{
    nest_kernel *k = t->k;
    int64_t stride = t->plan.column >= 0 ? scalar_stride(t, &t->c->axis[t->plan.column]) : 0;
    if (stride)
        return nest_load(k, t->scalars, a, disp + v * t->lanes * stride, stride, t->lanes, tile_live_lanes(t, v), NULL);
    return row ? row : nest_splat(k, nest_load(k, t->scalars, a, disp, 0, 1, 1, NULL), t->lanes);
}

/* One step: every accumulator gets one multiply-add. */
static void multiply_add(tile *t, nest_value *a, nest_value *b, int64_t a_disp, int64_t b_disp)
{
    nest_kernel *k = t->k;
    int64_t stride = t->plan.column >= 0 ? vector_stride(t, &t->c->axis[t->plan.column]) : 0;
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

static void chain(tile *t, int level, nest_value *a, nest_value *b);

void tile_run_loop(tile *t, int level, const contraction_run *run, nest_value *from, nest_value *to, int64_t unroll,
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
            chain(t, level + 1, loop->carry[n], loop->carry[n + 1]);
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
        tile_run_loop(t, level, run, nest_i64(k, 0), whole, unroll, &a, &b);
        if (unroll > 1)
            tile_run_loop(t, level, run, whole, steps, 1, &a, &b);
        return;
    }
    int64_t n = (int64_t)steps->number;
    if (innermost && n <= UNROLL_WHOLE) {
        run_straight(t, run, n, a, b);
    } else if (!innermost && n == 1) {
        chain(t, level + 1, a, b);
    } else {
        unroll = innermost ? even_unroll(t, n) : 1;
        int64_t whole = n / unroll * unroll;
        tile_run_loop(t, level, run, nest_i64(k, 0), nest_i64(k, whole), unroll, &a, &b);
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

static void chain(tile *t, int level, nest_value *a, nest_value *b)
{
    if (level == t->c->nsums) {
        multiply_add(t, a, b, 0, 0);
        return;
    }
    const contraction_sum *s = &t->c->sum[level];
    for (int i = 0; i < s->count; i++)
        chain_run(t, level, &s->run[i], a, b);
}

/* ---- a tile ---- */

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
            *a = nest_add(k, *a, nest_mul(k, t->at[i], scalar_stride(t, &c->axis[i])));
        if (!t->packed || i != t->plan.column) /* a packed panel begins at the tile */
            *b = nest_add(k, *b, nest_mul(k, t->at[i], vector_stride(t, &c->axis[i])));
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
    row_steps(t, r, &row, &inner);
    step_along(t, &p, t->plan.row, row);
    step_along(t, &p, t->plan.inner, inner);
    step_along(t, &p, t->plan.column, v * t->lanes);
    p.active_count = tile_live_lanes(t, v);
    return p;
}

/* At row r, vector v of the tile. */
typedef void tile_visitor(tile *t, const lower_point *p, int64_t r, int64_t v, nest_value **accumulator);

static void each_accumulator(tile *t, tile_visitor *visit)
{
    lower_forget(t->l);
    lower_point start = tile_start(t);
    for (int64_t r = 0; r < tile_all_rows(t); r++)
        for (int64_t v = 0; v < t->nvectors; v++) {
            lower_point p = accumulator_point(t, &start, r, v);
            visit(t, &p, r, v, &t->accumulator[r * t->nvectors + v]);
        }
}

static void start_at_zero(tile *t, const lower_point *p, int64_t r, int64_t v, nest_value **accumulator)
{
    (void)r;
    (void)v;
    *accumulator = nest_const(t->k, t->c->node->type.dtype, p->lanes, 0);
}

static void store_results(tile *t, const lower_point *p, int64_t r, int64_t v, nest_value **accumulator)
{
    (void)r;
    (void)v;
    lower_bind(t->l, t->c->node, *accumulator);
    lower_store_results(t->l, &t->c->node->type, p);
}

/* A long epilogue, written out for every accumulator, is most of a kernel's code and of its compile time: it becomes a
 * loop over the tile's rows, which wait on the stack. */
static bool is_long_epilogue(const lowering *l)
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
                int64_t count = least(steps - from, t->lanes);
                lower_point p = turned_point(t, &start, axis, count);
                step_along(t, &p, t->plan.column, v * t->lanes);
                step_along(t, &p, axis, from);
                if (inner)
                    step_along(t, &p, t->plan.row, b);
                turn_block(t, b * steps + from, count, v, block);
                store_turned_block(t, &p, block, tile_live_lanes(t, v));
            }
}

/* ---- a tile from its start to its end ---- */

void tile_run_chain(tile *t)
{
    nest_value *a, *b;
    operand_starts(t, &a, &b);
    (t->c->border ? tile_border_chain : chain)(t, t->fixed, a, b);
}

void tile_store_results(tile *t)
{
    int turned = contraction_turned(t->c, &t->plan, t->rows);
    if (turned >= 0)
        store_turned(t, turned);
    else if (t->rolled && tile_all_rows(t) > 1)
        store_rolled(t);
    else
        each_accumulator(t, store_results);
    lower_unbind(t->l, t->c->node);
}

/* Sums that end here go into the epilogue, others wait. */
static void store_block(tile *t)
{
    nest_kernel *k = t->k;
    tile_ends ends = tile_ends_of(t);
    lower_loop more = lower_loop_begin(t->l, nest_i64(k, 0), ends.more, 1);
    each_accumulator(t, tile_store_partial);
    lower_loop_end(t->l, more);
    lower_loop last = lower_loop_begin(t->l, nest_i64(k, 0), ends.last, 1);
    tile_store_results(t);
    lower_loop_end(t->l, last);
}

static void make_tile(tile *t, int64_t rows)
{
    t->rows = rows;
    each_accumulator(t, t->past ? tile_load_partial : start_at_zero);
    tile_run_chain(t);
    if (t->rest)
        store_block(t);
    else if (t->past)
        each_accumulator(t, tile_store_partial);
    else
        tile_store_results(t);
}

/* ---- loops over tiles ---- */

static bool is_constant(const nest_value *v)
{
    return v->kind == NEST_CONST;
}

/* Tiles of 'rows' rows, from .. to - 1. */
static void tile_loop(tile *t, nest_value *from, nest_value *to, int64_t rows)
{
    if (is_constant(from) && is_constant(to) && from->number >= to->number)
        return;
    lower_loop loop = lower_loop_begin(t->l, from, to, rows);
    t->at[t->plan.row] = nest_loop_index(loop.loop);
    make_tile(t, rows);
    lower_loop_end(t->l, loop);
}

/* Whole tiles; then what is left: of a static axis one tile of just that many rows, of the batch smaller ones. */
static void rows_loop(tile *t, nest_value *from, nest_value *to)
{
    nest_kernel *k = t->k;
    const contraction_axis *a = &t->c->axis[t->plan.row];
    int64_t rows = a->batch ? t->plan.rows : least(t->plan.rows, a->n);
    nest_value *whole = nest_mul(k, nest_div(k, nest_sub(k, to, from), rows), rows);
    nest_value *middle = nest_add(k, from, whole);
    tile_loop(t, from, middle, rows);
    if (!a->batch) {
        int64_t left = a->n % rows;
        if (left)
            tile_loop(t, nest_max(k, from, nest_i64(k, a->n - left)), to, left);
        return;
    }
    int64_t left[CONTRACTION_LEFT];
    int count = rows > 1 ? contraction_left(contraction_steps(a, t->max_batch), rows, left) : 0;
    for (int i = 0; i < count; i++) {
        from = middle;
        middle = nest_add(k, from, nest_mul(k, nest_div(k, nest_sub(k, to, from), left[i]), left[i]));
        tile_loop(t, from, middle, left[i]);
    }
}

typedef struct {
    nest_value *from, *to, *piece; /* the task's share of the cut axis, its piece of the panels */
} share;

static void axis_extent(tile *t, const share *s, int64_t axis, nest_value **from, nest_value **to)
{
    const contraction_axis *a = &t->c->axis[axis];
    bool cut = axis == t->plan.cut && !t->leaf_offset;
    *from = cut ? s->from : nest_i64(t->k, 0);
    *to = cut ? s->to : lower_extent(t->l, a->n, a->batch);
}

/* The axes from 'axis' on that have no other place, then the rows. */
static void axes_loop(tile *t, const share *s, int axis)
{
    nest_value *from, *to;
    const contraction_plan *p = &t->plan;
    if (axis == t->c->naxes) {
        if (t->c->border) {
            lower_loop guard = lower_loop_begin(t->l, nest_i64(t->k, 0), tile_on_border(t), 1);
            make_tile(t, 1);
            lower_loop_end(t->l, guard);
            return;
        }
        if (t->packed && t->late)
            tile_pack_panel(t);
        if (p->row < 0) {
            make_tile(t, 1);
            return;
        }
        axis_extent(t, s, p->row, &from, &to);
        rows_loop(t, from, to);
        return;
    }
    bool placed = axis == p->row || axis == p->inner || axis == p->column || axis == p->cut;
    const contraction_axis *a = &t->c->axis[axis];
    if (placed || (a->n == 1 && !a->batch)) {
        axes_loop(t, s, axis + 1);
        return;
    }
    axis_extent(t, s, axis, &from, &to);
    lower_loop loop = lower_loop_begin(t->l, from, to, 1);
    t->at[axis] = nest_loop_index(loop.loop);
    axes_loop(t, s, axis + 1);
    lower_loop_end(t->l, loop);
    t->at[axis] = nest_i64(t->k, 0);
}

/* One block of the chains of a panel. */
static void panel_block(tile *t, const void *share_of_task)
{
    if (t->packed && !t->late)
        tile_pack_panel(t);
    axes_loop(t, share_of_task, 0);
}

/* What is done for each panel: blocks of it, or, with strips, something in a block. */
typedef void panel_visitor(tile *t, const share *s);

static void panel_blocks(tile *t, const share *s)
{
    tile_each_block(t, panel_block, s);
}

static void pack_panel(tile *t, const share *s)
{
    (void)s;
    tile_pack_panel(t);
}

static void strip_of_panel(tile *t, const share *s)
{
    rows_loop(t, s->from, s->to);
}

/* Panels from .. to - 1, each 'width' columns; of the task's, the first one is number 'first'. */
static void panel_loop(tile *t, const share *s, nest_value *from, nest_value *to, nest_value *first,
                       panel_visitor *visit)
{
    if (is_constant(from) && is_constant(to) && from->number >= to->number)
        return;
    lower_loop loop = lower_loop_begin(t->l, from, to, 1);
    nest_value *panel = nest_loop_index(loop.loop);
    t->at[t->plan.column] = nest_mul(t->k, panel, t->plan.vectors * t->lanes);
    t->panel = t->plan.strip ? nest_sub(t->k, panel, first) : NULL;
    visit(t, s);
    lower_loop_end(t->l, loop);
}

/* Without columns there is one panel, the first piece's. */
static void no_panels(tile *t, const share *s)
{
    if (t->plan.pieces == 1) {
        axes_loop(t, s, 0);
        return;
    }
    lower_loop first = lower_loop_begin(t->l, s->piece, nest_i64(t->k, 1), 1);
    axes_loop(t, s, 0);
    lower_loop_end(t->l, first);
}

static void panels_loop(tile *t, const share *s, panel_visitor *visit)
{
    nest_kernel *k = t->k;
    t->nvectors = t->plan.vectors;
    t->live = t->lanes;
    if (t->plan.column < 0) {
        no_panels(t, s);
        return;
    }
    int64_t width = t->plan.vectors * t->lanes, columns = t->c->axis[t->plan.column].n;
    int64_t whole = columns / width, left = columns % width, panels = whole + (left > 0);
    int64_t each = (panels + t->plan.pieces - 1) / t->plan.pieces;
    nest_value *first = nest_mul(k, s->piece, each), *end = nest_add(k, first, nest_i64(k, each));
    panel_loop(t, s, first, nest_min(k, end, nest_i64(k, whole)), first, visit);
    if (!left)
        return;
    t->nvectors = (left + t->lanes - 1) / t->lanes;
    t->live = left - (t->nvectors - 1) * t->lanes;
    panel_loop(t, s, nest_max(k, first, nest_i64(k, whole)), nest_min(k, end, nest_i64(k, panels)), first, visit);
}

/* A block of the chains of all the task's panels: they are packed, and pass over strip after strip of rows. */
static void strips_block(tile *t, const void *share_of_task)
{
    nest_kernel *k = t->k;
    const share *s = share_of_task;
    panels_loop(t, s, pack_panel);
    lower_loop loop = lower_loop_begin(t->l, s->from, s->to, t->plan.strip);
    nest_value *from = nest_loop_index(loop.loop);
    share strip = {from, nest_min(k, nest_add(k, from, nest_i64(k, t->plan.strip)), s->to), s->piece};
    tile_pack_rows(t, strip.from, strip.to);
    t->strip_from = from;
    panels_loop(t, &strip, strip_of_panel);
    t->strip_from = NULL;
    lower_loop_end(t->l, loop);
}

static void panels_or_strips(tile *t, const share *s)
{
    if (t->plan.strip)
        tile_each_block(t, strips_block, s);
    else
        panels_loop(t, s, panel_blocks);
}

/* Each output on the border has taps of its own: no rows, and no lanes where columns are outputs side by side. */
static void take_one_by_one(tile *t)
{
    t->plan.row = t->plan.inner = -1;
    t->plan.unroll = 1;
    if (t->plan.column >= 0 && !vector_stride(t, &t->c->axis[t->plan.column])) {
        t->plan.column = -1;
        t->plan.vectors = t->lanes = 1;
    }
}

/* One contraction, or one part of it. */
static void lower_part(tile *t, const share *s)
{
    contraction_plan plan = t->plan;
    int lanes = t->lanes;
    if (t->c->border)
        take_one_by_one(t);
    for (int i = 0; i < t->c->naxes; i++)
        t->at[i] = nest_i64(t->k, 0);
    t->share_from = s->from;
    bool outside = t->plan.cut >= 0 && t->plan.cut != t->plan.row && !t->leaf_offset;
    if (outside) {
        nest_value *from, *to;
        axis_extent(t, s, t->plan.cut, &from, &to);
        lower_loop loop = lower_loop_begin(t->l, from, to, 1);
        t->at[t->plan.cut] = nest_loop_index(loop.loop);
        panels_or_strips(t, s);
        lower_loop_end(t->l, loop);
    } else {
        panels_or_strips(t, s);
    }
    t->plan = plan;
    t->lanes = lanes;
}

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
static void zero_halos(lowering *l, const tile *t, const share *s)
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
    share s;
    lower_phase(t->l, 0, tasks);
    lower_share(t->l, tasks, &s.from, &s.to, &s.piece);
    for (int i = 0; i < count; i++) {
        t->c = t->packed ? t->packed : &parts[i];
        if (t->plan.pack == CONTRACTION_STREAM)
            tile_stream(t, s.from, s.to);
        else
            lower_part(t, &s);
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
    share s;
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
        lower_part(t, &s);
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
    t->rolled = t->lanes > 1 && is_long_epilogue(l);
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
