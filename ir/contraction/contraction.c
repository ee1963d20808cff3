/* ir/contraction/contraction.c - make the description of contraction.h from a dot_general or convolution.
 *
 * Each dimension becomes axes or sums (axes.c; those of a convolution, convolution.c). Then sums that follow each other
 * in both operands become one, since one long loop is cheaper than two. */
#include "ir/contraction/axes.h"
#include "ir/graph/build.h"
#include <string.h>

ir_node *contraction_core(const ir_node *kernel)
{
    for (ir_node *n = kernel->region->first; n; n = n->next)
        if (n->op == IR_DOT_GENERAL || n->op == IR_CONVOLUTION)
            return n;
    return NULL;
}

static void describe_dot(contraction *c, arena *mem)
{
    ir_dot dot;
    ir_dot_read(c->node, &dot);
    int dim = 0;
    for (int i = 0; i < dot.lhs_batch_count; i++)
        contraction_add_free(c, (int)dot.lhs_batch[i], (int)dot.rhs_batch[i], dim++);
    for (int i = 0; i < c->node->in[0]->type.rank; i++)
        if (!ir_in_list(dot.lhs_batch, dot.lhs_batch_count, i) && !ir_in_list(dot.lhs_contract, dot.contract_count, i))
            contraction_add_free(c, i, -1, dim++);
    for (int i = 0; i < c->node->in[1]->type.rank; i++)
        if (!ir_in_list(dot.rhs_batch, dot.lhs_batch_count, i) && !ir_in_list(dot.rhs_contract, dot.contract_count, i))
            contraction_add_free(c, -1, i, dim++);
    c->leaf = dot.leaf;
    for (int i = 0; i < dot.contract_count; i++)
        contraction_add_contracted(c, mem, (int)dot.lhs_contract[i], (int)dot.rhs_contract[i]);
}

/* ---- tidying ---- */

/* Two sums that follow each other in both operands are one; the batch of a leaf stays apart. */
static void merge_sums(contraction *c)
{
    for (int i = c->leaf ? 1 : 0; i + 1 < c->nsums;) {
        contraction_sum *a = &c->sum[i], *b = &c->sum[i + 1];
        contraction_run *outer = a->run, *inner = b->run;
        bool even = a->count == 1 && b->count == 1 && !inner->batch && outer->lhs == inner->n * inner->lhs &&
                    outer->rhs == inner->n * inner->rhs;
        bool trivial = a->count == 1 && b->count == 1 && !outer->batch && outer->n == 1;
        bool follows_trivial = a->count == 1 && b->count == 1 && !inner->batch && inner->n == 1;
        if (!even && !trivial && !follows_trivial) {
            i++;
            continue;
        }
        contraction_run merged = follows_trivial && !trivial ? *outer : *inner;
        merged.lhs_first = outer->lhs_first + inner->lhs_first;
        merged.rhs_first = outer->rhs_first + inner->rhs_first;
        if (even && !trivial && !follows_trivial) {
            merged.n = outer->n * inner->n;
            merged.batch = outer->batch;
        }
        *outer = merged;
        for (int k = i + 1; k + 1 < c->nsums; k++)
            c->sum[k] = c->sum[k + 1];
        c->nsums--;
    }
}

/* ---- operands ---- */

/* Where lhs and rhs are contracted or batched along dimensions that are both in panels, these are equally wide. */
static bool panels_agree(const ir_node *n, const ir_layout *lhs, const ir_layout *rhs)
{
    ir_dot dot;
    if (lhs->cut < 0 || rhs->cut < 0 || lhs->width == rhs->width)
        return true;
    ir_dot_read(n, &dot);
    for (int i = 0; i < dot.lhs_batch_count; i++)
        if (dot.lhs_batch[i] == lhs->cut && dot.rhs_batch[i] == rhs->cut)
            return false;
    for (int i = 0; i < dot.contract_count; i++)
        if (dot.lhs_contract[i] == lhs->cut && dot.rhs_contract[i] == rhs->cut)
            return false;
    return true;
}

bool contraction_reads(const ir_node *n, int side)
{
    affine_view own, other;
    if (!affine_view_of(n->in[side], &own))
        return false;
    if (n->op == IR_CONVOLUTION)
        return own.at.cut < 0;
    return side == 1 || !affine_view_of(n->in[1], &other) || panels_agree(n, &own.at, &other.at);
}

bool contraction_describe(const ir_node *n, int part, arena *mem, contraction *out)
{
    memset(out, 0, sizeof *out);
    out->node = n;
    if (!contraction_reads(n, 0) || !contraction_reads(n, 1))
        return false;
    affine_view_of(n->in[0], &out->lhs);
    affine_view_of(n->in[1], &out->rhs);
    if (n->op == IR_DOT_GENERAL)
        describe_dot(out, mem);
    else
        contraction_add_convolution(out, mem, part);
    merge_sums(out);
    int64_t stride[IR_MAX_RANK], batch_stride;
    ir_strides(&n->type, stride, &batch_stride);
    for (int i = 0; i < out->naxes; i++) {
        contraction_axis *a = &out->axis[i];
        a->out = a->batch ? batch_stride : stride[a->dim] * a->step;
    }
    return true;
}
