/* backend/contraction/pack.c - copy a panel of the vector operand to scratch memory, in the order in which tiles read
 * it.
 *
 *     panel[step of the chain][column]  =  operand[step, column]
 *
 * Whatever strides the operand has, in scratch every vector follows the one before it, and the panel stays in the
 * second cache while all rows pass over it. Where neighbours in the operand are steps of the chain rather than columns,
 * blocks of as many vectors as lanes are transposed in registers. Where the plan has strips, rows of the scalar operand
 * are copied too, tile by tile. Copies change no bits. */
#include "backend/contraction/tile.h"

/* ---- the packed operand's strides ---- */

static int64_t stride_of(const tile *t, const contraction_run *run)
{
    return t->plan.swap ? run->lhs : run->rhs;
}

static int64_t source_first(const tile *t, const contraction_run *run)
{
    return t->plan.swap ? run->lhs_first : run->rhs_first;
}

static int64_t panel_width(const tile *t)
{
    return t->plan.vectors * t->lanes;
}

/* The sums' strides in a panel, the innermost step a row of columns. */
static void pack_sums(const tile *t, contraction *c, arena *mem)
{
    int64_t step = panel_width(t);
    for (int i = c->nsums - 1; i >= 0; i--) {
        contraction_run *run = arena_make(mem, contraction_run);
        *run = c->sum[i].run[0];
        *(t->plan.swap ? &run->lhs : &run->rhs) = step;
        *(t->plan.swap ? &run->lhs_first : &run->rhs_first) = 0;
        if (t->plan.strip) { /* rows of a tile side by side, tile after tile */
            *(t->plan.swap ? &run->rhs : &run->lhs) = t->plan.rows;
            *(t->plan.swap ? &run->rhs_first : &run->lhs_first) = 0;
        }
        c->sum[i].run = run;
        step *= run->n;
    }
}

void tile_pack_into(tile *t, int buffer)
{
    contraction *c = arena_make(t->k->mem, contraction);
    *c = *t->c;
    for (int i = 0; i < c->naxes; i++)
        *(t->plan.swap ? &c->axis[i].lhs : &c->axis[i].rhs) = i == t->plan.column;
    pack_sums(t, c, t->k->mem);
    (t->plan.swap ? &c->lhs : &c->rhs)->at.first = 0;
    t->unpacked = t->c;
    t->late = contraction_packs_late(t->c, &t->plan);
    t->packed = c;
    t->source = t->vectors;
    t->vectors = buffer;
    if (t->plan.strip) {
        t->rows_source = t->scalars;
        t->scalars = buffer;
    }
}

/* ---- a panel ---- */

typedef struct {
    nest_value *from, *to; /* offsets in the operand, in the panel */
} spot;

static int64_t column_stride(const tile *t)
{
    const contraction_axis *a = &t->unpacked->axis[t->plan.column];
    return t->plan.swap ? a->lhs : a->rhs;
}

/* One step of the chain: its columns by vectors. */
static void copy_step(tile *t, spot at)
{
    nest_kernel *k = t->k;
    int64_t stride = column_stride(t);
    for (int64_t v = 0; v < t->nvectors; v++) {
        nest_value *x =
            nest_load(k, t->source, at.from, v * t->lanes * stride, stride, t->lanes, tile_live_lanes(t, v), NULL);
        nest_store(k, t->vectors, at.to, v * t->lanes, 1, x, t->lanes, NULL);
    }
}

/* As many steps as lanes, or 'count' of them, which lie side by side: a vector of steps a column, transposed. */
static void copy_block(tile *t, spot at, int count)
{
    nest_kernel *k = t->k;
    nest_value *block[CONTRACTION_ROWS];
    for (int64_t v = 0; v < t->nvectors; v++) {
        int live = tile_live_lanes(t, v);
        for (int c = 0; c < t->lanes; c++)
            block[c] = c < live ? nest_load(k, t->source, at.from, (v * t->lanes + c) * column_stride(t), 1, t->lanes,
                                            count, NULL)
                                : nest_const(k, t->c->node->type.dtype, t->lanes, 0);
        nest_transpose(k, block);
        for (int i = 0; i < count; i++)
            nest_store(k, t->vectors, at.to, i * panel_width(t) + v * t->lanes, 1, block[i], t->lanes, NULL);
    }
}

typedef void step_body(tile *t, spot at, int count);

static void each_step(tile *t, spot at, int count)
{
    (void)count;
    copy_step(t, at);
}

/* for (i = from; i < to; i += by) body */
static void steps_loop(tile *t, const contraction_run *run, const contraction_run *packed, spot at, nest_value *from,
                       nest_value *to, int by, step_body *body)
{
    nest_kernel *k = t->k;
    if (from->kind == NEST_CONST && to->kind == NEST_CONST && from->number >= to->number)
        return;
    lower_loop loop = lower_loop_begin(t->l, from, to, by);
    nest_value *i = nest_loop_index(loop.loop);
    spot here = {nest_add(k, at.from, nest_mul(k, i, stride_of(t, run))),
                 nest_add(k, at.to, nest_mul(k, i, stride_of(t, packed)))};
    body(t, here, by);
    lower_loop_end(t->l, loop);
}

static void pack_level(tile *t, int level, spot at);

/* The innermost sum: blocks, then what is left, which an unknown number leaves to single steps. */
static void pack_innermost(tile *t, const contraction_run *run, const contraction_run *packed, spot at, nest_value *n)
{
    nest_kernel *k = t->k;
    nest_value *zero = nest_i64(k, 0);
    if (stride_of(t, run) != 1 || column_stride(t) == 1) {
        steps_loop(t, run, packed, at, zero, n, 1, each_step);
        return;
    }
    nest_value *whole = nest_mul(k, nest_div(k, n, t->lanes), t->lanes);
    steps_loop(t, run, packed, at, zero, whole, t->lanes, copy_block);
    if (n->kind != NEST_CONST) {
        steps_loop(t, run, packed, at, whole, n, 1, each_step);
        return;
    }
    int64_t steps = (int64_t)n->number, done = steps / t->lanes * t->lanes;
    spot rest = {nest_add(k, at.from, nest_i64(k, done)), nest_add(k, at.to, nest_i64(k, done * panel_width(t)))};
    if (steps > done)
        copy_block(t, rest, (int)(steps - done));
}

static void pack_level(tile *t, int level, spot at)
{
    nest_kernel *k = t->k;
    if (level == t->packed->nsums) {
        copy_step(t, at);
        return;
    }
    const contraction_run *run = t->unpacked->sum[level].run, *packed = t->packed->sum[level].run;
    bool block = t->steps && level == t->fixed;
    nest_value *n = block ? t->steps : lower_extent(t->l, run->n, run->batch);
    at.from = nest_add(k, at.from, nest_i64(k, source_first(t, run)));
    if (level + 1 == t->packed->nsums) {
        pack_innermost(t, run, packed, at, n);
        return;
    }
    lower_loop loop = lower_loop_begin(t->l, nest_i64(k, 0), n, 1);
    nest_value *i = nest_loop_index(loop.loop);
    spot here = {nest_add(k, at.from, nest_mul(k, i, stride_of(t, run))),
                 nest_add(k, at.to, nest_mul(k, i, stride_of(t, packed)))};
    pack_level(t, level + 1, here);
    lower_loop_end(t->l, loop);
}

void tile_pack_panel(tile *t)
{
    nest_kernel *k = t->k;
    const contraction *c = t->unpacked;
    nest_value *from = nest_i64(k, t->plan.swap ? c->lhs.at.first : c->rhs.at.first);
    for (int i = 0; i < c->naxes; i++)
        from = nest_add(k, from, nest_mul(k, t->at[i], t->plan.swap ? c->axis[i].lhs : c->axis[i].rhs));
    for (int i = 0; i < t->fixed + (t->steps != NULL); i++)
        from = nest_add(k, from, nest_mul(k, t->sum_at[i], stride_of(t, c->sum[i].run)));
    for (int i = 0; i < t->fixed; i++) /* pack_level adds the others */
        from = nest_add(k, from, nest_i64(k, source_first(t, c->sum[i].run)));
    pack_level(t, t->fixed, (spot){from, t->panel ? nest_mul(k, t->panel, t->room.panel) : nest_i64(k, 0)});
}

/* ---- rows ---- */

/* A block of the chain for a tile's rows: its scalars of a step side by side. Whole vectors are stored, since masked
 * stores are slow: what is too much is overwritten by the next step, the next tile, or lies where nothing is read. */
static void copy_rows(tile *t, spot at, int64_t rows)
{
    nest_kernel *k = t->k;
    const contraction_run *run = t->unpacked->sum[0].run;
    lower_loop loop = lower_loop_begin(t->l, nest_i64(k, 0), t->steps, 1);
    nest_value *step = nest_loop_index(loop.loop);
    nest_value *from = nest_add(k, at.from, nest_mul(k, step, t->plan.swap ? run->rhs : run->lhs));
    nest_value *to = nest_add(k, at.to, nest_mul(k, step, t->plan.rows));
    for (int64_t r = 0; r < rows; r += t->lanes) {
        int live = (int)(rows - r < t->lanes ? rows - r : t->lanes);
        nest_value *x = nest_load(k, t->rows_source, from, r, 1, t->lanes, live, NULL);
        nest_store(k, t->scalars, to, r, 1, x, t->lanes, NULL);
    }
    lower_loop_end(t->l, loop);
}

/* Tiles of `rows` rows; the strip begins at row `strip`. */
static void copy_tiles(tile *t, nest_value *strip, nest_value *from, nest_value *to, int64_t rows)
{
    nest_kernel *k = t->k;
    const contraction *c = t->unpacked;
    const contraction_run *run = c->sum[0].run;
    lower_loop loop = lower_loop_begin(t->l, from, to, rows);
    nest_value *row = nest_loop_index(loop.loop);
    nest_value *source =
        nest_i64(k, t->plan.swap ? c->rhs.at.first + run->rhs_first : c->lhs.at.first + run->lhs_first);
    source = nest_add(k, source, nest_mul(k, t->sum_at[0], t->plan.swap ? run->rhs : run->lhs));
    nest_value *place = nest_mul(k, nest_sub(k, row, strip), t->plan.block);
    copy_rows(t, (spot){nest_add(k, source, row), nest_add(k, place, nest_i64(k, t->room.rows))}, rows);
    lower_loop_end(t->l, loop);
}

void tile_pack_rows(tile *t, nest_value *from, nest_value *to)
{
    nest_kernel *k = t->k;
    int64_t n = t->unpacked->axis[t->plan.row].n, left = n % t->plan.rows;
    nest_value *whole = nest_min(k, to, nest_i64(k, n - left));
    copy_tiles(t, from, from, whole, t->plan.rows);
    if (left)
        copy_tiles(t, from, nest_max(k, from, whole), to, left);
}
