/* passes/select/tasks.c - how a contraction is dealt to tasks: which axis they cut, into shares of how many steps, and
 * into how many pieces the panels of columns go.
 *
 * There are more tasks the more work there is, up to a number that workers can share evenly, and two tasks should read
 * little of what both need. */
#include "passes/memory.h"
#include "passes/select/plans.h"

/* Where tasks cut: the axis outermost in memory that is long enough, else the longest; the batch is the first in
 * memory wherever it stands. A vector operand that is larger than a cache is read once if tasks cut it too: then only
 * its own axes are wanted, if it has one besides the columns. */
static void choose_cut(const contraction *c, int64_t max_batch, bool large, contraction_plan *p)
{
    int64_t most = 1;
    p->cut = -1;
    for (int k = 0; k < 2 * c->naxes && most < 8; k++) {
        const contraction_axis *a = &c->axis[k % c->naxes];
        int64_t steps = contraction_steps(a, max_batch);
        if (a->batch == (k < c->naxes) && contraction_may_cut(c, p, k % c->naxes) && steps > most &&
            (!large || contraction_vector_stride(a, p->swap))) {
            p->cut = k % c->naxes;
            most = steps;
        }
    }
    if (large && most < 4)
        choose_cut(c, max_batch, false, p);
}

int64_t select_wanted_tasks(const contraction *c, int64_t max_batch)
{
    enum { SMALL = 50000, TASK = 200000, TASKS = 16 };
    double flops = 2 * (double)contraction_chain(c, max_batch);
    for (int i = 0; i < c->naxes; i++)
        flops *= (double)contraction_steps(&c->axis[i], max_batch);
    int64_t wanted = flops < SMALL ? 1 : (int64_t)(flops / TASK) + 1;
    return wanted > TASKS ? TASKS : wanted;
}

int64_t select_even_pieces(int64_t panels, int64_t wanted)
{
    int64_t each = (panels + wanted - 1) / wanted;
    return (panels + each - 1) / each;
}

bool select_has_matrices(const contraction *c)
{
    for (int i = 0; i < c->naxes; i++)
        if (!c->axis[i].batch && c->axis[i].n > 1 && c->axis[i].lhs && c->axis[i].rhs)
            return c->node->op == IR_DOT_GENERAL;
    return false;
}

/* Is the vector operand so large that no two tasks should read the same of it? That of many matrices goes through a
 * task once, and tasks that cut the batch can be members of a chain, so that its other operand and its result are not
 * written to memory: as long as these are more for a leaf, that saves more than the tasks read anew. */
static bool is_large(const contraction *c, const ir_target *t, const contraction_plan *p)
{
    double vectors = 4 * select_operand_count(c, p->swap, 1);
    double others = 4 * (select_operand_count(c, !p->swap, IR_LEAF) + (double)ir_count(&c->node->type, IR_LEAF));
    return mem_is_large(t, vectors) && !(select_has_matrices(c) && !c->leaf && vectors <= others);
}

/* Panels of columns are dealt out too where the cut gives few tasks, or where the vector operand is large. */
void select_tasks(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p)
{
    int64_t wanted = select_wanted_tasks(c, max_batch);
    bool large = is_large(c, t, p);
    choose_cut(c, max_batch, large, p);
    bool leaves = contraction_has_leaves(c, max_batch);
    int64_t panels = contraction_panels(c, t->vector, p);
    int64_t steps = p->cut >= 0 ? contraction_steps(&c->axis[p->cut], max_batch) : 1;
    if (leaves)
        steps = (max_batch + IR_LEAF - 1) / IR_LEAF;
    int64_t dealt = wanted > 1 && (large || leaves || p->cut == p->row || steps < wanted) ? wanted : 1;
    p->pieces = select_even_pieces(panels, dealt);
    int64_t cuts = (wanted + p->pieces - 1) / p->pieces;
    p->chunk = (steps + cuts - 1) / cuts;
    if (p->cut >= 0 && p->cut == p->row)
        p->chunk = (p->chunk + p->rows - 1) / p->rows * p->rows;
    if (leaves) {
        p->cut = -1;
        p->chunk = IR_LEAF;
    }
}
