/* ir/contraction/axes.c - axes and sums for the dimensions of a contraction's operands, as they lie in memory.
 *
 * An ordinary dimension is one axis, or one sum, with its stride in each operand. A dimension of n*B (examples by n) is
 * two, the examples first; so is one that lies in panels, the panels first. */
#include "ir/contraction/axes.h"

void contraction_add_axis(contraction *c, contraction_axis a)
{
    c->axis[c->naxes++] = a;
}

void contraction_add_sum(contraction *c, arena *mem, const contraction_run *runs, int count)
{
    contraction_sum *s = &c->sum[c->nsums++];
    s->run = arena_new_array(mem, contraction_run, (size_t)count + 1);
    s->count = count;
    for (int i = 0; i < count; i++)
        s->run[i] = runs[i];
}

/* Elements a panel of a dimension that is 'lhs' of the lhs and 'rhs' of the rhs (-1: not there); 0: not in panels.
 * Where both are, the panels are equally wide. */
static int64_t panel_width(const contraction *c, int lhs, int rhs)
{
    if (lhs >= 0 && lhs == c->lhs.at.cut)
        return c->lhs.at.width;
    return rhs >= 0 && rhs == c->rhs.at.cut ? c->rhs.at.width : 0;
}

/* From panel to panel along a dimension of an operand, which may itself lie plain. */
static int64_t panel_stride(const ir_layout *at, int dim, int64_t width)
{
    return dim < 0 ? 0 : dim == at->cut ? at->panel : width * at->stride[dim];
}

static int64_t stride_of(const ir_layout *at, int dim)
{
    return dim < 0 ? 0 : at->stride[dim];
}

void contraction_add_free(contraction *c, int lhs, int rhs, int dim)
{
    const ir_node *l = c->node->in[0], *r = c->node->in[1];
    ir_dim d = lhs >= 0 ? l->type.dim[lhs] : r->type.dim[rhs];
    contraction_axis a = {.n = d.n,
                          .lhs = stride_of(&c->lhs.at, lhs),
                          .rhs = stride_of(&c->rhs.at, rhs),
                          .dim = dim,
                          .step = 1,
                          .lhs_dim = lhs,
                          .rhs_dim = rhs};
    int64_t width = panel_width(c, lhs, rhs);
    contraction_axis outer = a;
    if (d.batch) {
        outer.n = 1;
        outer.batch = true;
        outer.lhs = lhs >= 0 ? c->lhs.at.batch_stride : 0;
        outer.rhs = rhs >= 0 ? c->rhs.at.batch_stride : 0;
        outer.step = d.n;
        contraction_add_axis(c, outer);
    } else if (width) {
        outer.n = d.n / width;
        outer.lhs = panel_stride(&c->lhs.at, lhs, width);
        outer.rhs = panel_stride(&c->rhs.at, rhs, width);
        outer.step = width;
        contraction_add_axis(c, outer);
        a.n = width;
    }
    if (d.n > 1 || !d.batch)
        contraction_add_axis(c, a);
}

void contraction_add_contracted(contraction *c, arena *mem, int lhs, int rhs)
{
    const ir_layout *l = &c->lhs.at, *r = &c->rhs.at;
    ir_dim d = c->node->in[0]->type.dim[lhs];
    int64_t width = panel_width(c, lhs, rhs), n = d.n;
    if (d.batch)
        contraction_add_sum(c, mem, &(contraction_run){1, true, l->batch_stride, r->batch_stride, 0, 0}, 1);
    if (width && n > width) {
        contraction_run panels = {n / width, false, panel_stride(l, lhs, width), panel_stride(r, rhs, width), 0, 0};
        contraction_add_sum(c, mem, &panels, 1);
        n = width;
    }
    if (n > 1)
        contraction_add_sum(c, mem, &(contraction_run){n, false, l->stride[lhs], r->stride[rhs], 0, 0}, 1);
}
