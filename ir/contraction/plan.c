/* ir/contraction/plan.c - what follows from the numbers of a contraction's plan: panels, blocks, scratch memory; and
 * whether code can be made by these numbers, which may come from an edited text.
 *
 * Pass select chooses the numbers and code generation reads them; what both must conclude alike is here. */
#include "ir/contraction/plan.h"
#include <string.h>

/* ---- as text ---- */

bool contraction_plan_read(const ir_node *kernel, contraction_plan *out)
{
    const ir_attr *a = ir_attr_find(kernel->attrs, "plan");
    if (!a || a->word || a->count != CONTRACTION_PLAN)
        return false;
    int64_t v[CONTRACTION_PLAN];
    for (int i = 0; i < CONTRACTION_PLAN; i++)
        v[i] = (int64_t)a->number[i];
    *out = (contraction_plan){v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12]};
    return true;
}

void contraction_plan_numbers(const contraction_plan *p, int64_t out[CONTRACTION_PLAN])
{
    const int64_t v[CONTRACTION_PLAN] = {p->swap, p->column, p->row,    p->inner, p->rows,  p->vectors, p->unroll,
                                         p->cut,  p->chunk,  p->pieces, p->pack,  p->block, p->strip};
    memcpy(out, v, sizeof v);
}

void contraction_plan_write(ir_node *kernel, const contraction_plan *p)
{
    int64_t v[CONTRACTION_PLAN];
    contraction_plan_numbers(p, v);
    ir_set_ints(kernel, "plan", v, CONTRACTION_PLAN);
}

/* ---- chains, rows and columns ---- */

int64_t contraction_chain(const contraction *c, int64_t max_batch)
{
    int64_t length = 1;
    for (int i = 0; i < c->nsums; i++) {
        int64_t n = 0;
        for (int k = 0; k < c->sum[i].count; k++)
            n += c->sum[i].run[k].batch ? c->sum[i].run[k].n * max_batch : c->sum[i].run[k].n;
        length *= n ? n : 1;
    }
    return length;
}

bool contraction_has_leaves(const contraction *c, int64_t max_batch)
{
    return c->leaf && max_batch > IR_LEAF;
}

int contraction_turned(const contraction *c, const contraction_plan *p, int64_t rows)
{
    enum { LEAST = 4 };
    if (p->column < 0 || c->axis[p->column].out == 1)
        return -1;
    int64_t axis = p->inner >= 0 && c->axis[p->inner].n > 1 ? p->inner : p->row;
    if (axis < 0 || c->axis[axis].out != 1)
        return -1;
    return (axis == p->inner ? c->axis[axis].n : rows) >= LEAST ? (int)axis : -1;
}

bool contraction_may_cut(const contraction *c, const contraction_plan *p, int i)
{
    return i != p->column && i != p->inner && (contraction_parts(c->node) == 1 || c->axis[i].batch);
}

int64_t contraction_panels(const contraction *c, int64_t vector, const contraction_plan *p)
{
    int64_t panel = p->vectors * vector;
    return p->column >= 0 ? (c->axis[p->column].n + panel - 1) / panel : 1;
}

/* ---- packing ---- */

/* Panels need constant strides: only the outermost sum may be the batch. */
static bool has_even_sums(const contraction *c)
{
    for (int i = 0; i < c->nsums; i++)
        if (c->sum[i].count != 1 || (i > 0 && c->sum[i].run->batch))
            return false;
    return c->nsums > 0 && !c->leaf && contraction_parts(c->node) == 1;
}

bool contraction_packs_late(const contraction *c, const contraction_plan *p)
{
    for (int i = 0; i < c->naxes; i++)
        if (i != p->column && contraction_vector_stride(&c->axis[i], p->swap))
            return true;
    return false;
}

/* The elements of a packed panel; 0: it cannot be packed. Rows must pass over all of a panel one after the other: of
 * the axes that are neither columns nor rows, all vary the vector operand or none does, and so does the cut one. */
int64_t contraction_panel(const contraction *c, int64_t vector, int64_t max_batch, const contraction_plan *p)
{
    if (p->column < 0 || !has_even_sums(c) || c->node->op != IR_DOT_GENERAL) /* a convolution's weights are small */
        return 0;
    bool late = contraction_packs_late(c, p);
    if (late && p->cut >= 0 && p->cut == p->row)
        return 0;
    for (int i = 0; i < c->naxes; i++) {
        bool rows = i == p->row || i == p->inner;
        if (late && !rows && i != p->column && (c->axis[i].batch || c->axis[i].n > 1) &&
            !contraction_vector_stride(&c->axis[i], p->swap))
            return 0;
    }
    return (p->block ? p->block : contraction_chain(c, max_batch)) * p->vectors * vector;
}

/* ---- blocks of the chain, and what waits between them ---- */

/* Steps of an axis whose sums wait in scratch at the same time: tasks that cut it outside of panels take one at a time.
 */
int64_t contraction_waiting_steps(const contraction *c, int64_t max_batch, const contraction_plan *p, int i)
{
    const contraction_axis *a = &c->axis[i];
    if (i == p->column || (i == p->cut && i != p->row))
        return 1;
    return i == p->cut ? p->chunk : contraction_steps(a, max_batch);
}

int64_t contraction_partial_stride(const contraction *c, int64_t vector, int64_t max_batch, const contraction_plan *p,
                                   int axis)
{
    int64_t stride = p->column >= 0 ? p->vectors * vector : 1;
    for (int i = 0; i < axis; i++)
        stride *= contraction_waiting_steps(c, max_batch, p, i);
    return stride;
}

contraction_room contraction_room_of(const contraction *c, int64_t vector, int64_t max_batch, const contraction_plan *p)
{
    int64_t at_once = p->strip ? (contraction_panels(c, vector, p) + p->pieces - 1) / p->pieces : 1;
    contraction_room room = {.panel = p->pack ? contraction_panel(c, vector, max_batch, p) : 0};
    room.rows = at_once * room.panel;
    room.sums = room.rows + (p->strip ? p->strip * p->block + vector : 0); /* stores reach over the last row */
    bool wait = p->block && !contraction_has_leaves(c, max_batch);
    room.all = room.sums + (wait ? at_once * contraction_partial_stride(c, vector, max_batch, p, c->naxes) : 0);
    return room;
}

contraction_blocks contraction_blocks_of(const contraction *c, const contraction_plan *p)
{
    contraction_blocks b = {c->nsums - 1, p->block};
    while (b.level > 0 && b.steps >= c->sum[b.level].run->n && b.steps % c->sum[b.level].run->n == 0)
        b.steps /= c->sum[b.level--].run->n;
    return b;
}

/* Blocks need constant strides: only the outermost sum may be the batch. */
bool contraction_may_block(const contraction *c)
{
    for (int i = 0; i < c->nsums; i++)
        if (c->sum[i].count != 1 || c->sum[i].run->n < 1 || (i > 0 && c->sum[i].run->batch))
            return false;
    return c->nsums > 0 && contraction_parts(c->node) == 1;
}

/* Are rows and columns all there is, and the chain one sum, along which rows of both operands follow each other? */
bool contraction_may_gather(const contraction *c, const contraction_plan *p)
{
    if (p->row < 0 || p->column < 0 || p->inner >= 0 || p->cut != p->row || c->nsums != 1 ||
        !contraction_may_block(c) || c->leaf)
        return false;
    for (int i = 0; i < c->naxes; i++)
        if (i != p->row && i != p->column && (c->axis[i].batch || c->axis[i].n > 1))
            return false;
    const contraction_run *run = c->sum[0].run;
    const contraction_axis *row = &c->axis[p->row], *column = &c->axis[p->column];
    return !row->batch && !contraction_scalar_stride(column, p->swap) && contraction_scalar_stride(row, p->swap) == 1 &&
           (p->swap ? run->rhs : run->lhs) > 1 && contraction_vector_stride(column, p->swap) == 1;
}

bool contraction_block_fits(const contraction *c, int64_t max_batch, const contraction_plan *p)
{
    if (p->block == 0)
        return p->strip == 0;
    if (p->block < 0 || p->column < 0 || !contraction_may_block(c))
        return false;
    contraction_blocks b = contraction_blocks_of(c, p);
    const contraction_run *run = c->sum[b.level].run;
    bool even = (run->batch ? !contraction_has_leaves(c, max_batch) : b.steps <= run->n) && b.steps >= 1;
    return even &&
           (p->strip == 0 || (p->strip > 0 && p->strip % p->rows == 0 && p->pack && contraction_may_gather(c, p)));
}

/* ---- can code be made by it? ---- */

static bool is_axis(const contraction *c, int64_t axis)
{
    return axis >= -1 && axis < c->naxes;
}

static bool is_between(int64_t x, int64_t least, int64_t most)
{
    return x >= least && x <= most;
}

/* Columns are as many on every call; without any there is one panel, of scalars. */
static bool column_fits(const contraction *c, const contraction_plan *p)
{
    return p->column < 0 ? p->vectors == 1 && p->pieces == 1 : !c->axis[p->column].batch;
}

/* The vectors are the same for all rows, and the inner ones are all in one tile. */
static bool rows_fit(const contraction *c, const contraction_plan *p)
{
    if (p->row < 0)
        return p->inner < 0;
    if (p->row == p->column || contraction_vector_stride(&c->axis[p->row], p->swap))
        return false;
    if (p->inner < 0)
        return true;
    const contraction_axis *inner = &c->axis[p->inner];
    return p->inner != p->column && p->inner != p->row && !inner->batch && !contraction_vector_stride(inner, p->swap) &&
           inner->n * p->rows <= CONTRACTION_ROWS;
}

/* Tasks that cut rows take whole tiles, or else tiles of the batch, of which there are smaller ones too. */
static bool tasks_fit(const contraction *c, const contraction_plan *p)
{
    if (p->cut < 0)
        return true;
    const contraction_axis *a = &c->axis[p->cut];
    int64_t rows = p->rows < a->n ? p->rows : a->n;
    bool whole = p->cut != p->row || a->batch || p->chunk >= a->n || p->chunk % rows == 0;
    return whole && contraction_may_cut(c, p, (int)p->cut);
}

bool contraction_plan_fits(const contraction *c, int64_t vector, int64_t max_batch, const contraction_plan *p,
                           int64_t scratch)
{
    bool numbers = is_between(p->swap, 0, 1) && is_between(p->rows, 1, CONTRACTION_ROWS) &&
                   is_between(p->vectors, 1, CONTRACTION_VECTORS) && is_between(p->unroll, 1, 16) && p->chunk >= 1 &&
                   p->pieces >= 1 && is_between(p->pack, 0, CONTRACTION_STREAM);
    if (!numbers || !is_axis(c, p->column) || !is_axis(c, p->row) || !is_axis(c, p->inner) || !is_axis(c, p->cut))
        return false;
    if (p->pack == CONTRACTION_STREAM)
        return contraction_stream_fits(c, vector, p, scratch);
    return column_fits(c, p) && rows_fit(c, p) && tasks_fit(c, p) && contraction_block_fits(c, max_batch, p) &&
           (!p->block || scratch) && (!p->pack || contraction_panel(c, vector, max_batch, p) > 0) &&
           contraction_room_of(c, vector, max_batch, p).all <= scratch;
}
