/* passes/select/block.c - whether a contraction takes its chains by blocks, and how long these are.
 *
 * All tiles of a panel pass over the panel, and over their rows of the other operand, one after the other. If that is
 * more than the second cache holds, as of the weight gradients of large images, each tile fetches it anew. By blocks,
 * all tiles take a stretch of the chain that stays there before any takes the next, at the price of writing and reading
 * their sums once a block. (Blocks for the first cache would pay that price some ten times as often, and what they save
 * is hidden behind the multiply-adds anyway.)
 *
 * A product whose operands are both read along columns of memory goes by blocks too, of all panels of a task at once,
 * and copies both operands in the order of use, rows in strips (backend/contraction/loops.c). No chain's order changes.
 */
#include "passes/select/plans.h"

enum { LINE = 64 };

/* Steps of the chain; of an example, where leaves take one at a time. */
static int64_t chain_steps(const contraction *c, int64_t max_batch)
{
    int64_t steps = 1;
    for (int i = 0; i < c->nsums; i++) {
        const contraction_run *run = c->sum[i].run;
        steps *= run->n * (run->batch && !contraction_has_leaves(c, max_batch) ? max_batch : 1);
    }
    return steps;
}

static int64_t lines_of(int64_t elements)
{
    return (4 * elements + LINE - 1) / LINE;
}

/* Do tiles of other places come back to the scalars of a row, as those of other taps do? In a product none does. */
static bool comes_back(const contraction *c, int64_t max_batch, const contraction_plan *p)
{
    for (int i = 0; i < c->naxes; i++)
        if (i != p->row && i != p->inner && contraction_waiting_steps(c, max_batch, p, i) > 1 &&
            contraction_scalar_stride(&c->axis[i], p->swap))
            return true;
    return false;
}

/* What the tiles of a panel pass over in a step and come back to: the panel's vectors, and the scalars of all rows if
 * they lie side by side; else it is a line, about. */
static int64_t step_bytes(const contraction *c, const ir_target *t, int64_t max_batch, const contraction_plan *p)
{
    bool all = p->row >= 0 && contraction_scalar_stride(&c->axis[p->row], p->swap) == 1;
    return LINE * (lines_of(p->vectors * t->vector) +
                   (all ? lines_of(contraction_waiting_steps(c, max_batch, p, (int)p->row)) : 1));
}

/* Tiles that pass over a panel. */
static int64_t passes_over(const contraction *c, int64_t max_batch, const contraction_plan *p)
{
    int64_t tiles = 1;
    for (int i = 0; i < c->naxes; i++)
        tiles *= i == p->inner ? 1 : contraction_waiting_steps(c, max_batch, p, i);
    return tiles / p->rows;
}

void select_block(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p)
{
    enum { FEW = 8 };
    if (p->column < 0 || !contraction_may_block(c) || passes_over(c, max_batch, p) < FEW ||
        !comes_back(c, max_batch, p))
        return;
    int64_t most = t->l2 / 8 / step_bytes(c, t, max_batch, p), inner = 1;
    if (chain_steps(c, max_batch) <= 4 * most)
        return;
    int level = c->nsums - 1;
    while (level > 0 && !c->sum[level].run->batch && inner * c->sum[level].run->n <= most)
        inner *= c->sum[level--].run->n;
    const contraction_run *run = c->sum[level].run;
    if (run->batch && contraction_has_leaves(c, max_batch))
        return;
    int64_t n = run->n * (run->batch ? max_batch : 1), each = most / inner > 0 ? most / inner : 1;
    int64_t count = (n + each - 1) / each;
    p->block = (n + count - 1) / count * inner;
    if (4 * contraction_room_of(c, t->vector, max_batch, p).all > t->l2 / 2)
        p->block = 0;
}

/* ---- both operands copied ---- */

/* Do the lines that a tile reads in a step come from the second cache in less time than it multiplies and adds? A line
 * takes that of six multiply-adds, three cycles. */
static bool is_fed(const ir_target *t, const contraction_plan *p)
{
    enum { LINE_TIME = 6 };
    return LINE_TIME * (lines_of(p->vectors * t->vector) + lines_of(p->rows)) < p->rows * p->vectors;
}

/* Parts of an axis of the result that are as large as copies want them, but not so large that their sums fill a cache.
 */
static int64_t parts_of(int64_t n)
{
    enum { PART = 256, FEW = 4 };
    int64_t parts = (n + PART / 2) / PART;
    if (parts > FEW)
        parts = n <= 2 * PART * FEW ? FEW : (n + 2 * PART - 1) / (2 * PART);
    return parts < 1 ? 1 : parts;
}

/* A few tasks at least. */
static void gather_tasks(const contraction *c, int64_t vector, contraction_plan *p)
{
    enum { FEW = 4 };
    int64_t rows = c->axis[p->row].n, columns = c->axis[p->column].n;
    int64_t cuts = parts_of(rows), pieces = parts_of(columns);
    while (cuts * pieces < FEW)
        *(rows * pieces > columns * cuts ? &cuts : &pieces) *= 2;
    p->pieces = select_even_pieces(contraction_panels(c, vector, p), pieces);
    p->chunk = ((rows + cuts - 1) / cuts + p->rows - 1) / p->rows * p->rows;
}

/* Both operands are read along columns of memory: lines of each a step, none of which the processor foresees. Where a
 * tile is small, so that they hold it up, the second cache does not hold them, and the operands meet each other often
 * enough, a copy in the order of use costs less. A block of the chain is as long as lets a task's panels stay in the
 * second cache. */
bool select_gather(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p)
{
    enum { OFTEN = 128, LARGE = 65536, LONG = 192, STRIP = 16, MOST = 256 }; /* each element's uses, results, steps */
    contraction_plan q = *p;
    q.cut = q.row;
    if (is_fed(t, p) || !contraction_may_gather(c, &q) || chain_steps(c, max_batch) < LONG)
        return false;
    int64_t rows = c->axis[q.row].n, n = chain_steps(c, max_batch), panels = contraction_panels(c, t->vector, &q);
    int64_t columns = c->axis[q.column].n;
    if (rows < OFTEN || columns < OFTEN || rows * columns < LARGE || 4 * n * (rows + columns) <= t->l2 / 2)
        return false;
    gather_tasks(c, t->vector, &q);
    q.strip = STRIP * q.rows < q.chunk ? STRIP * q.rows : q.chunk;
    columns = (panels + q.pieces - 1) / q.pieces * q.vectors * t->vector;
    int64_t most = t->l2 / 4 / (4 * columns) < MOST ? t->l2 / 4 / (4 * columns) : MOST;
    int64_t count = most > 0 ? (n + most - 1) / most : n;
    q.pack = 1;
    q.block = (n + count - 1) / count;
    if (!contraction_panel(c, t->vector, max_batch, &q) || !contraction_block_fits(c, max_batch, &q))
        return false;
    *p = q;
    return true;
}
