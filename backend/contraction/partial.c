/* backend/contraction/partial.c - sums that are not complete yet and wait in scratch memory. There are two kinds:
 *
 * Leaves. A weight gradient takes one example after the other, and each adds to the sums of its leaf. These lie in
 * scratch as the result does.
 *
 * Blocks (plan.block). All tiles of a panel take a stretch of the chain before any takes the next one. Their sums lie
 * in scratch tile by tile:
 *
 *     sums[other axes][row][column of the panel]
 *
 * Both at once are blocks of an example, whose sums wait with the leaf's. A tile goes on where its chain stopped, so no
 * bit depends on any of this. */
#include "backend/contraction/tile.h"

/* ---- where they lie ---- */

/* Of the panel's sums; the accumulator's own place in the tile is *disp. */
static nest_value *panel_offset(tile *t, int64_t r, int64_t v, int64_t *disp)
{
    nest_kernel *k = t->k;
    const contraction *c = t->c;
    int64_t stride[CONTRACTION_AXES], inner = tile_inner_rows(t);
    nest_value *offset = nest_i64(k, t->room.sums);
    for (int i = 0; i < c->naxes; i++) {
        stride[i] = contraction_partial_stride(c, t->lanes, t->max_batch, &t->plan, i);
        if (i == t->plan.column || (i == t->plan.cut && i != t->plan.row))
            continue;
        nest_value *at = i == t->plan.cut ? nest_sub(k, t->at[i], t->share_from) : t->at[i];
        offset = nest_add(k, offset, nest_mul(k, at, stride[i]));
    }
    if (t->panel)
        offset =
            nest_add(k, offset,
                     nest_mul(k, t->panel, contraction_partial_stride(c, t->lanes, t->max_batch, &t->plan, c->naxes)));
    *disp = v * t->lanes;
    if (t->plan.row >= 0)
        *disp += r / inner * stride[t->plan.row];
    if (t->plan.inner >= 0)
        *disp += r % inner * stride[t->plan.inner];
    return offset;
}

/* Of the leaf's. */
static nest_value *leaf_offset(tile *t, const lower_point *p, int64_t *stride)
{
    return nest_add(t->k, lower_offset(t->l, &t->c->node->type, NULL, p, stride), t->leaf_offset);
}

typedef struct {
    nest_value *offset;
    int64_t disp, stride;
    int active;
} place;

static place place_of(tile *t, const lower_point *p, int64_t r, int64_t v)
{
    place at = {.stride = 1, .active = p->lanes};
    if (t->leaf_offset) {
        at.offset = leaf_offset(t, p, &at.stride);
        at.active = p->active_count;
    } else {
        at.offset = panel_offset(t, r, v, &at.disp);
    }
    return at;
}

/* The sum so far; 0 where the chain begins. */
void tile_load_partial(tile *t, const lower_point *p, int64_t r, int64_t v, nest_value **accumulator)
{
    nest_kernel *k = t->k;
    place at = place_of(t, p, r, v);
    nest_value *sum = nest_load(k, t->scratch, at.offset, at.disp, at.stride, p->lanes, at.active, NULL);
    nest_value *ends[] = {t->past, nest_i64(k, 0)};
    nest_value *is_first = nest_op(k, IR_COMPARE, IR_I1, ends, 2, "EQ");
    nest_value *in[] = {nest_splat(k, is_first, p->lanes), nest_const(k, sum->dtype, p->lanes, 0), sum};
    *accumulator = nest_op(k, IR_SELECT, sum->dtype, in, 3, NULL);
}

void tile_store_partial(tile *t, const lower_point *p, int64_t r, int64_t v, nest_value **accumulator)
{
    place at = place_of(t, p, r, v);
    nest_store(t->k, t->scratch, at.offset, at.disp, at.stride, *accumulator, at.active, NULL);
}

/* ---- going by blocks ---- */

typedef struct {
    contraction_blocks blocks;
    tile_body *body;
    const void *context;
} walk;

static nest_value *steps_of(tile *t, const contraction_run *run)
{
    return lower_extent(t->l, run->n, run->batch);
}

static void each_block(tile *t, const walk *w, int level);

/* From here on the chain is at step `at` of sum `level`; `left` steps follow, whose number may be below 0. */
static void enter(tile *t, const walk *w, int level, nest_value *at, nest_value *left)
{
    nest_value *past = t->past, *rest = t->rest;
    t->past = past ? nest_add(t->k, past, at) : at;
    t->rest = t->leaf_offset ? NULL : rest ? nest_max(t->k, rest, left) : left;
    t->sum_at[level] = at;
    t->fixed = level == w->blocks.level ? level : level + 1;
    if (level == w->blocks.level)
        w->body(t, w->context);
    else
        each_block(t, w, level + 1);
    t->past = past;
    t->rest = rest;
}

static void each_block(tile *t, const walk *w, int level)
{
    nest_kernel *k = t->k;
    const contraction_run *run = t->c->sum[level].run;
    int64_t step = level == w->blocks.level ? w->blocks.steps : 1;
    int fixed = t->fixed;
    nest_value *n = steps_of(t, run);
    lower_loop loop = lower_loop_begin(t->l, nest_i64(k, 0), n, step);
    nest_value *at = nest_loop_index(loop.loop), *left = nest_sub(k, nest_sub(k, n, at), nest_i64(k, step));
    if (level == w->blocks.level) {
        bool even = !run->batch && run->n % step == 0;
        t->steps = even ? nest_i64(k, step) : nest_min(k, nest_i64(k, step), nest_sub(k, n, at));
    }
    enter(t, w, level, at, left);
    lower_loop_end(t->l, loop);
    t->steps = NULL;
    t->fixed = fixed;
}

void tile_each_block(tile *t, tile_body *body, const void *context)
{
    if (!t->plan.block) {
        body(t, context);
        return;
    }
    const walk w = {.blocks = contraction_blocks_of(t->c, &t->plan), .body = body, .context = context};
    each_block(t, &w, t->fixed);
}

tile_ends tile_ends_of(tile *t)
{
    nest_kernel *k = t->k;
    nest_value *more = nest_max(k, nest_min(k, t->rest, nest_i64(k, 1)), nest_i64(k, 0));
    return (tile_ends){more, nest_sub(k, nest_i64(k, 1), more)};
}
