/* backend/contraction/stream.c - a convolution of few features: lanes are the image's columns
 * (ir/contraction/stream.c).
 *
 *     for image (a task's share)
 *       for row of the image, from above its first to below its last
 *         transpose it to scratch, or zeros where there is none
 *         for panel of columns
 *           accumulators = the sums that are under way
 *           for kernel column, channel:   vectors of pixels * weights of all kernel rows and features
 *           the last kernel row's are done: epilogue; the others wait in scratch for the next row
 *
 * The part between is an ordinary tile of a contraction over kernel columns and channels, whose rows are kernel rows
 * and features and whose vector operand is scratch. The first rows of a task finish sums that began above its share:
 * these are not stored. */
#include "backend/contraction/tile.h"

typedef struct {
    tile *t;
    contraction_stream s;
    const contraction *whole, *part; /* all of the convolution; what one row of the image gives */
    contraction_plan plan, part_plan;
    int image;                   /* buffer */
    nest_value *from, *to, *row; /* the task's share of the cut axis; the row of the image */
} stream;

/* ---- what one row of the image gives ---- */

/* Axes as they are, then the kernel's rows. */
static const contraction *row_part(const stream *s, arena *mem)
{
    contraction *c = arena_make(mem, contraction);
    *c = *s->whole;
    const contraction_spatial *h = &c->spatial[0], *w = &c->spatial[1];
    for (int i = 0; i < c->naxes; i++)
        c->axis[i].lhs = i == w->axis;
    c->axis[c->naxes++] = (contraction_axis){.n = h->kernel, .rhs = h->rhs};
    contraction_run *run = arena_new_array(mem, contraction_run, 2);
    run[0] = (contraction_run){w->kernel, false, w->dilation, w->rhs, -w->low, 0};
    run[1] = (contraction_run){s->s.channels, false, s->s.pitch, s->s.weight, 0, 0};
    c->nsums = 2;
    for (int i = 0; i < 2; i++)
        c->sum[i] = (contraction_sum){&run[i], 1};
    c->lhs.at.first = s->s.lead;
    return c;
}

/* ---- a row to scratch ---- */

static void zero_scratch(stream *s, int64_t elements)
{
    tile *t = s->t;
    lower_loop loop = lower_loop_begin(t->l, nest_i64(t->k, 0), nest_i64(t->k, elements / t->lanes), 1);
    nest_value *at = nest_mul(t->k, nest_loop_index(loop.loop), t->lanes);
    nest_store(t->k, t->vectors, at, 0, 1, nest_const(t->k, s->whole->node->type.dtype, t->lanes, 0), t->lanes, NULL);
    lower_loop_end(t->l, loop);
}

/* 'pixels' pixels by 'channels' channels, as many as lanes at most. */
static void transpose_block(stream *s, nest_value *from, nest_value *to, int64_t pixels, int channels)
{
    tile *t = s->t;
    nest_value *block[CONTRACTION_ROWS];
    for (int i = 0; i < t->lanes; i++)
        block[i] = i < pixels
                       ? nest_load(t->k, s->image, from, i * s->whole->spatial[1].lhs, 1, t->lanes, channels, NULL)
                       : nest_const(t->k, s->whole->node->type.dtype, t->lanes, 0);
    nest_transpose(t->k, block);
    for (int i = 0; i < channels; i++)
        nest_store(t->k, t->vectors, to, i * s->s.pitch, 1, block[i], t->lanes, NULL);
}

/* All channels of so many pixels. */
static void transpose_pixels(stream *s, nest_value *from, nest_value *to, int64_t pixels)
{
    tile *t = s->t;
    nest_kernel *k = t->k;
    int64_t whole = s->s.channels / t->lanes * t->lanes, left = s->s.channels - whole;
    if (whole) {
        lower_loop loop = lower_loop_begin(t->l, nest_i64(k, 0), nest_i64(k, whole), t->lanes);
        nest_value *c = nest_loop_index(loop.loop);
        transpose_block(s, nest_add(k, from, c), nest_add(k, to, nest_mul(k, c, s->s.pitch)), pixels, t->lanes);
        lower_loop_end(t->l, loop);
    }
    if (left)
        transpose_block(s, nest_add(k, from, nest_i64(k, whole)), nest_add(k, to, nest_i64(k, whole * s->s.pitch)),
                        pixels, (int)left);
}

static void transpose_row(stream *s, nest_value *from)
{
    tile *t = s->t;
    nest_kernel *k = t->k;
    const contraction_spatial *w = &s->whole->spatial[1];
    int64_t whole = w->in / t->lanes * t->lanes, left = w->in - whole;
    if (whole) {
        lower_loop loop = lower_loop_begin(t->l, nest_i64(k, 0), nest_i64(k, whole), t->lanes);
        nest_value *p = nest_loop_index(loop.loop);
        nest_value *to = nest_add(k, p, nest_i64(k, s->s.lead));
        transpose_pixels(s, nest_add(k, from, nest_mul(k, p, w->lhs)), to, t->lanes);
        lower_loop_end(t->l, loop);
    }
    if (left)
        transpose_pixels(s, nest_add(k, from, nest_i64(k, whole * w->lhs)), nest_i64(k, s->s.lead + whole), left);
}

/* The row of the image, or zeros where there is none: two loops, one of which runs once. */
static void bring_row(stream *s)
{
    tile *t = s->t;
    nest_kernel *k = t->k;
    const contraction *c = s->whole;
    const contraction_spatial *h = &c->spatial[0];
    nest_value *one = nest_i64(k, 1), *zero = nest_i64(k, 0);
    nest_value *inside = nest_min(k, nest_add(k, s->row, one), nest_sub(k, nest_i64(k, h->in), s->row));
    nest_value *from = nest_add(k, nest_i64(k, c->lhs.at.first), nest_mul(k, s->row, h->lhs));
    for (int i = 0; i < c->naxes; i++)
        if (i != s->plan.row && i != s->plan.column)
            from = nest_add(k, from, nest_mul(k, t->at[i], c->axis[i].lhs));
    lower_loop loop = lower_loop_begin(t->l, zero, nest_min(k, inside, one), 1);
    transpose_row(s, from);
    lower_loop_end(t->l, loop);
    loop = lower_loop_begin(t->l, nest_max(k, inside, zero), one, 1);
    zero_scratch(s, s->s.sums);
    lower_loop_end(t->l, loop);
}

/* ---- a panel ---- */

static int64_t feature_count(const stream *s)
{
    return s->whole->axis[s->plan.inner].n;
}

/* Where the sums of kernel row 'row', from 1 on, and a feature wait for the columns at t->at. */
static int64_t sums_at(const stream *s, int64_t row, int64_t feature)
{
    return s->s.sums + ((row - 1) * feature_count(s) + feature) * s->s.columns;
}

static nest_value **sum_of(stream *s, int64_t row, int64_t feature)
{
    return &s->t->accumulator[(row * feature_count(s) + feature) * s->t->nvectors];
}

static void take_up_sums(stream *s)
{
    tile *t = s->t;
    nest_value *at = t->at[s->plan.column];
    for (int64_t row = 0; row < s->plan.rows; row++)
        for (int64_t f = 0; f < feature_count(s); f++)
            for (int64_t v = 0; v < t->nvectors; v++)
                sum_of(s, row, f)[v] = row ? nest_load(t->k, t->vectors, at, sums_at(s, row, f) + v * t->lanes, 1,
                                                       t->lanes, t->lanes, NULL)
                                           : nest_const(t->k, s->whole->node->type.dtype, t->lanes, 0);
}

static void put_down_sums(stream *s)
{
    tile *t = s->t;
    for (int64_t row = 0; row + 1 < s->plan.rows; row++)
        for (int64_t f = 0; f < feature_count(s); f++)
            for (int64_t v = 0; v < t->nvectors; v++)
                nest_store(t->k, t->vectors, t->at[s->plan.column], sums_at(s, row + 1, f) + v * t->lanes, 1,
                           sum_of(s, row, f)[v], t->lanes, NULL);
}

/* The row of outputs that the last kernel row completes, unless it lies above the task's share. */
static void store_done(stream *s)
{
    tile *t = s->t;
    nest_kernel *k = t->k;
    const contraction_spatial *h = &s->whole->spatial[0];
    nest_value *out = nest_add(k, s->row, nest_i64(k, h->low - (h->kernel - 1)));
    nest_value *first = s->plan.cut == h->axis ? s->from : nest_i64(k, 0);
    for (int64_t i = 0; i < feature_count(s) * t->nvectors; i++)
        t->accumulator[i] = sum_of(s, s->plan.rows - 1, 0)[i];
    t->c = s->whole;
    t->plan.row = -1;
    t->plan.rows = t->rows = 1;
    t->at[h->axis] = out;
    nest_value *one = nest_i64(k, 1), *above = nest_sub(k, out, first);
    lower_loop loop = lower_loop_begin(t->l, nest_i64(k, 0), nest_min(k, nest_add(k, above, one), one), 1);
    tile_store_results(t);
    lower_loop_end(t->l, loop);
    t->at[h->axis] = nest_i64(k, 0);
}

static void make_panel(stream *s)
{
    tile *t = s->t;
    t->c = s->part;
    t->plan = s->part_plan;
    t->rows = t->plan.rows;
    int64_t live = t->live;
    t->live = t->lanes; /* scratch goes on beyond the last column */
    take_up_sums(s);
    tile_run_chain(t);
    put_down_sums(s);
    t->live = live;
    store_done(s);
}

static void panel_loop(stream *s, int64_t from, int64_t to)
{
    tile *t = s->t;
    nest_kernel *k = t->k;
    if (from == to)
        return;
    lower_loop loop = lower_loop_begin(t->l, nest_i64(k, from), nest_i64(k, to), 1);
    t->at[s->plan.column] = nest_mul(k, nest_loop_index(loop.loop), s->plan.vectors * t->lanes);
    make_panel(s);
    lower_loop_end(t->l, loop);
    t->at[s->plan.column] = nest_i64(k, 0);
}

static void each_panel(stream *s)
{
    tile *t = s->t;
    int64_t width = s->plan.vectors * t->lanes, columns = s->whole->spatial[1].out;
    int64_t whole = columns / width, left = columns % width;
    t->nvectors = s->plan.vectors;
    t->live = t->lanes;
    panel_loop(s, 0, whole);
    t->nvectors = (left + t->lanes - 1) / t->lanes;
    t->live = left - (t->nvectors - 1) * t->lanes;
    panel_loop(s, whole, whole + (left > 0));
}

/* ---- images ---- */

static void each_row(stream *s)
{
    nest_kernel *k = s->t->k;
    const contraction_spatial *h = &s->whole->spatial[0];
    bool cut = s->plan.cut == h->axis;
    nest_value *from = cut ? s->from : nest_i64(k, 0), *to = cut ? s->to : nest_i64(k, h->out);
    lower_loop loop = lower_loop_begin(s->t->l, nest_add(k, from, nest_i64(k, -h->low)),
                                       nest_add(k, to, nest_i64(k, h->kernel - 1 - h->low)), 1);
    s->row = nest_loop_index(loop.loop);
    bring_row(s);
    each_panel(s);
    lower_loop_end(s->t->l, loop);
}

static void each_image(stream *s, int axis)
{
    tile *t = s->t;
    if (axis == s->whole->naxes) {
        each_row(s);
        return;
    }
    if (axis == s->plan.row || axis == s->plan.column || axis == s->plan.inner) {
        each_image(s, axis + 1);
        return;
    }
    const contraction_axis *a = &s->whole->axis[axis];
    bool cut = axis == s->plan.cut;
    lower_loop loop =
        lower_loop_begin(t->l, cut ? s->from : nest_i64(t->k, 0), cut ? s->to : lower_extent(t->l, a->n, a->batch), 1);
    t->at[axis] = nest_loop_index(loop.loop);
    each_image(s, axis + 1);
    lower_loop_end(t->l, loop);
    t->at[axis] = nest_i64(t->k, 0);
}

void tile_stream(tile *t, nest_value *from, nest_value *to)
{
    stream s = {.t = t, .whole = t->c, .plan = t->plan, .part_plan = t->plan, .from = from, .to = to};
    contraction_stream_of(t->c, t->lanes, &s.s);
    s.part = row_part(&s, t->k->mem);
    s.part_plan.row = s.whole->naxes;
    s.part_plan.cut = -1;
    s.image = t->vectors;
    t->vectors = lower_input_buffer(t->l, lower_scratch(t->l, 0));
    for (int i = 0; i < s.part->naxes; i++)
        t->at[i] = nest_i64(t->k, 0);
    zero_scratch(&s, s.s.elements);
    each_image(&s, 0);
    t->c = s.whole;
    t->plan = s.plan;
}
