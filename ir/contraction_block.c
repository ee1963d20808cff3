/* ir/contraction_block.c - take the chains of a contraction by blocks.
 *
 * All tiles of a panel pass over the panel, and over their rows of the other operand, one after the other. If that is
 * more than the second cache holds, as of the weight gradients of large images, each tile fetches it anew. By blocks,
 * all tiles take a stretch of the chain that stays there before any takes the next, at the price of writing and reading
 * their sums once a block. (Blocks for the first cache would pay that price some ten times as often, and what they save
 * is hidden behind the multiply-adds anyway.) No chain's order changes. */
#include "ir/contraction.h"

enum { LINE = 64, PAGE = 4096, LEAF = 8 };

static bool has_leaves(const contraction *c, int64_t max_batch)
{
    return c->leaf && max_batch > LEAF;
}

/* Steps of an axis whose sums wait in scratch at the same time: tasks that cut it outside of panels take one at a time.
 */
static int64_t waiting_steps(const contraction *c, int64_t max_batch, const contraction_plan *p, int i)
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
        stride *= waiting_steps(c, max_batch, p, i);
    return stride;
}

int64_t contraction_partials(const contraction *c, int64_t vector, int64_t max_batch, const contraction_plan *p)
{
    return p->block && !has_leaves(c, max_batch) ? contraction_partial_stride(c, vector, max_batch, p, c->naxes) : 0;
}

contraction_blocks contraction_blocks_of(const contraction *c, const contraction_plan *p)
{
    contraction_blocks b = {c->nsums - 1, p->block};
    while (b.level > 0 && b.steps >= c->sum[b.level].run->n && b.steps % c->sum[b.level].run->n == 0)
        b.steps /= c->sum[b.level--].run->n;
    return b;
}

/* Blocks need constant strides: only the outermost sum may be the batch. */
static bool may_block(const contraction *c)
{
    for (int i = 0; i < c->nsums; i++)
        if (c->sum[i].count != 1 || c->sum[i].run->n < 1 || (i > 0 && c->sum[i].run->batch))
            return false;
    return c->nsums > 0 && !c->border && contraction_parts(c->node) == 1;
}

bool contraction_block_fits(const contraction *c, int64_t max_batch, const contraction_plan *p)
{
    if (p->block == 0)
        return true;
    if (p->block < 0 || p->column < 0 || !may_block(c))
        return false;
    contraction_blocks b = contraction_blocks_of(c, p);
    const contraction_run *run = c->sum[b.level].run;
    return (run->batch ? !has_leaves(c, max_batch) : b.steps <= run->n) && b.steps >= 1;
}

/* Steps of the chain; of an example, where leaves take one at a time. */
static int64_t chain_steps(const contraction *c, int64_t max_batch)
{
    int64_t steps = 1;
    for (int i = 0; i < c->nsums; i++) {
        const contraction_run *run = c->sum[i].run;
        steps *= run->n * (run->batch && !has_leaves(c, max_batch) ? max_batch : 1);
    }
    return steps;
}

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    return b ? greatest_divisor(b, a % b) : a;
}

/* Bytes of a cache that an operand takes for each step of the chain, of which it has so many elements side by side:
 * strides that share a large power of two with the page leave most sets of every cache unused. */
static int64_t taken_bytes(int64_t stride, int64_t elements)
{
    int64_t lines = (4 * elements + LINE - 1) / LINE * LINE;
    int64_t apart = greatest_divisor(stride < 0 ? -4 * stride : 4 * stride, PAGE);
    return apart > lines ? apart : lines;
}

/* Do tiles of other places come back to the scalars of a row? */
static bool comes_back(const contraction *c, int64_t max_batch, const contraction_plan *p)
{
    for (int i = 0; i < c->naxes; i++)
        if (i != p->row && i != p->inner && waiting_steps(c, max_batch, p, i) > 1 &&
            contraction_scalar_stride(&c->axis[i], p->swap))
            return true;
    return false;
}

/* What the tiles of a panel pass over in a step and come back to: the panel's vectors, and the scalars of all rows if
 * they lie side by side; else it is a line at most, gone when the tile is done. */
static int64_t step_bytes(const contraction *c, const ir_target *t, int64_t max_batch, const contraction_plan *p)
{
    const contraction_run *run = c->sum[c->nsums - 1].run;
    int64_t width = p->vectors * t->vector;
    int64_t vectors = taken_bytes(p->pack ? width : p->swap ? run->lhs : run->rhs, width);
    if (p->row < 0 || contraction_scalar_stride(&c->axis[p->row], p->swap) != 1 || !comes_back(c, max_batch, p))
        return vectors + LINE;
    return vectors + taken_bytes(p->swap ? run->rhs : run->lhs, waiting_steps(c, max_batch, p, (int)p->row));
}

/* Tiles that pass over a panel. */
static int64_t passes_over(const contraction *c, int64_t max_batch, const contraction_plan *p)
{
    int64_t tiles = 1;
    for (int i = 0; i < c->naxes; i++)
        tiles *= i == p->inner ? 1 : waiting_steps(c, max_batch, p, i);
    return tiles / p->rows;
}

void contraction_block(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p)
{
    enum { FEW = 8 };
    if (p->column < 0 || !may_block(c) || passes_over(c, max_batch, p) < FEW)
        return;
    int64_t most = t->l2 / 4 / step_bytes(c, t, max_batch, p), inner = 1;
    if (chain_steps(c, max_batch) <= 2 * most)
        return;
    int level = c->nsums - 1;
    while (level > 0 && !c->sum[level].run->batch && inner * c->sum[level].run->n <= most)
        inner *= c->sum[level--].run->n;
    const contraction_run *run = c->sum[level].run;
    if (run->batch && has_leaves(c, max_batch))
        return;
    int64_t n = run->n * (run->batch ? max_batch : 1), each = most / inner > 0 ? most / inner : 1;
    int64_t count = (n + each - 1) / each;
    p->block = (n + count - 1) / count * inner;
    if (contraction_partials(c, t->vector, max_batch, p) * 4 > t->l2 / 4)
        p->block = 0;
}
