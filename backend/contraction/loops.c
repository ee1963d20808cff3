/* backend/contraction/loops.c - the loops around register tiles, of one task.
 *
 *     for axes along which both operands vary, as a product of many matrices has one: they share nothing
 *       for step of the cut axis, if it is no axis of the tile (the task's share)
 *         for panel of columns (the task's piece of them)
 *           for block of the chains, if the plan has blocks (backend/contraction/partial.c)
 *             pack the panel, if the plan packs (backend/contraction/pack.c)
 *             for the other axes
 *               for tile of rows (backend/contraction/tile.c)
 *
 * With strips, blocks are outside of panels, and rows of the other operand are copied too:
 *
 *     for block of the chains
 *       for panel:   pack it
 *       for strip of rows
 *         copy its scalars
 *         for panel, for tile of the strip's rows
 *
 * Rows that do not fill a tile get a smaller one, columns that do not fill a vector a masked one. */
#include "backend/contraction/tile.h"

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
    tile_make(t, rows);
    lower_loop_end(t->l, loop);
}

enum { MOST_LEFT = 3 };

/* The tiles, of how many rows each, that take what tiles of `rows` rows leave of the batch, in this order, each as
 * often as it fits. 'total': rows of the largest batch, of which the first one takes all that is left. Their number. */
static int tiles_left(int64_t total, int64_t rows, int64_t out[MOST_LEFT])
{
    enum { SMALL = 4 }; /* where more would be left of smaller batches, or nothing is left of the largest one */
    int64_t left = total % rows;
    int count = 0;
    if (left > 1)
        out[count++] = left;
    if (rows > SMALL && (left < 2 || left > SMALL))
        out[count++] = SMALL;
    out[count++] = 1;
    return count;
}

/* Whole tiles; then what is left: of a static axis one tile of just that many rows, of the batch smaller ones. */
static void rows_loop(tile *t, nest_value *from, nest_value *to)
{
    nest_kernel *k = t->k;
    const contraction_axis *a = &t->c->axis[t->plan.row];
    int64_t rows = a->batch || t->plan.rows < a->n ? t->plan.rows : a->n;
    nest_value *whole = nest_mul(k, nest_div(k, nest_sub(k, to, from), rows), rows);
    nest_value *middle = nest_add(k, from, whole);
    tile_loop(t, from, middle, rows);
    if (!a->batch) {
        int64_t left = a->n % rows;
        if (left)
            tile_loop(t, nest_max(k, from, nest_i64(k, a->n - left)), to, left);
        return;
    }
    int64_t left[MOST_LEFT];
    int count = rows > 1 ? tiles_left(contraction_steps(a, t->max_batch), rows, left) : 0;
    for (int i = 0; i < count; i++) {
        from = middle;
        middle = nest_add(k, from, nest_mul(k, nest_div(k, nest_sub(k, to, from), left[i]), left[i]));
        tile_loop(t, from, middle, left[i]);
    }
}

static void axis_extent(tile *t, const tile_share *s, int64_t axis, nest_value **from, nest_value **to)
{
    const contraction_axis *a = &t->c->axis[axis];
    bool cut = axis == t->plan.cut && !t->leaf_offset;
    *from = cut ? s->from : nest_i64(t->k, 0);
    *to = cut ? s->to : lower_extent(t->l, a->n, a->batch);
}

typedef void axes_body(tile *t, const tile_share *s);

/* Is it neither one of the tile's axes nor cut, and has it more than one step? */
static bool is_other_axis(const tile *t, int i)
{
    const contraction_plan *p = &t->plan;
    bool placed = i == p->row || i == p->inner || i == p->column || i == p->cut;
    return !placed && (t->c->axis[i].n > 1 || t->c->axis[i].batch);
}

static bool both_vary(const tile *t, int i)
{
    const contraction_axis *a = &(t->packed ? t->unpacked : t->c)->axis[i];
    return a->lhs && a->rhs;
}

/* For the axes from 'axis' on that have no other place, those along which both operands vary or the others. */
static void axes_loop(tile *t, const tile_share *s, int axis, bool both, axes_body *body)
{
    nest_value *from, *to;
    if (axis == t->c->naxes) {
        body(t, s);
        return;
    }
    if (!is_other_axis(t, axis) || both_vary(t, axis) != both) {
        axes_loop(t, s, axis + 1, both, body);
        return;
    }
    axis_extent(t, s, axis, &from, &to);
    lower_loop loop = lower_loop_begin(t->l, from, to, 1);
    t->at[axis] = nest_loop_index(loop.loop);
    axes_loop(t, s, axis + 1, both, body);
    lower_loop_end(t->l, loop);
    t->at[axis] = nest_i64(t->k, 0);
}

/* The rows, where all axes but the tile's are placed. */
static void rows_of_axes(tile *t, const tile_share *s)
{
    nest_value *from, *to;
    if (t->packed && t->late)
        tile_pack_panel(t);
    if (t->plan.row < 0) {
        tile_make(t, 1);
        return;
    }
    axis_extent(t, s, t->plan.row, &from, &to);
    rows_loop(t, from, to);
}

/* One block of the chains of a panel. */
static void panel_block(tile *t, const void *share_of_task)
{
    if (t->packed && !t->late)
        tile_pack_panel(t);
    axes_loop(t, share_of_task, 0, false, rows_of_axes);
}

/* What is done for each panel: blocks of it, or, with strips, something in a block. */
typedef void panel_visitor(tile *t, const tile_share *s);

static void panel_blocks(tile *t, const tile_share *s)
{
    tile_each_block(t, panel_block, s);
}

static void pack_panel(tile *t, const tile_share *s)
{
    (void)s;
    tile_pack_panel(t);
}

static void strip_of_panel(tile *t, const tile_share *s)
{
    rows_loop(t, s->from, s->to);
}

/* Panels from .. to - 1, each 'width' columns; of the task's, the first one is number 'first'. */
static void panel_loop(tile *t, const tile_share *s, nest_value *from, nest_value *to, nest_value *first,
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
static void no_panels(tile *t, const tile_share *s)
{
    if (t->plan.pieces == 1) {
        axes_loop(t, s, 0, false, rows_of_axes);
        return;
    }
    lower_loop first = lower_loop_begin(t->l, s->piece, nest_i64(t->k, 1), 1);
    axes_loop(t, s, 0, false, rows_of_axes);
    lower_loop_end(t->l, first);
}

static void panels_loop(tile *t, const tile_share *s, panel_visitor *visit)
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
    const tile_share *s = share_of_task;
    panels_loop(t, s, pack_panel);
    lower_loop loop = lower_loop_begin(t->l, s->from, s->to, t->plan.strip);
    nest_value *from = nest_loop_index(loop.loop);
    tile_share strip = {from, nest_min(k, nest_add(k, from, nest_i64(k, t->plan.strip)), s->to), s->piece};
    tile_pack_rows(t, strip.from, strip.to);
    t->strip_from = from;
    panels_loop(t, &strip, strip_of_panel);
    t->strip_from = NULL;
    lower_loop_end(t->l, loop);
}

static void panels_or_strips(tile *t, const tile_share *s)
{
    if (t->plan.strip)
        tile_each_block(t, strips_block, s);
    else
        panels_loop(t, s, panel_blocks);
}

/* The task's steps of the cut axis, if it is outside of the tile. */
static void cut_loop(tile *t, const tile_share *s)
{
    nest_value *from, *to;
    if (t->plan.cut < 0 || t->plan.cut == t->plan.row || t->leaf_offset) {
        panels_or_strips(t, s);
        return;
    }
    axis_extent(t, s, t->plan.cut, &from, &to);
    lower_loop loop = lower_loop_begin(t->l, from, to, 1);
    t->at[t->plan.cut] = nest_loop_index(loop.loop);
    panels_or_strips(t, s);
    lower_loop_end(t->l, loop);
}

/* One contraction, or one part of it. */
void tile_part(tile *t, const tile_share *s)
{
    for (int i = 0; i < t->c->naxes; i++)
        t->at[i] = nest_i64(t->k, 0);
    t->share_from = s->from;
    axes_loop(t, s, 0, true, cut_loop);
}
