/* ir/contraction/view.c - what a contraction reads through operators that only say where elements lie.
 *
 * A transpose, slice, reverse or broadcast of a kernel's input is no work: it is the same memory with other strides and
 * another first element. A value seen through any number of them is an affine view. */
#include "ir/contraction/contraction.h"

const ir_node *affine_memory(const ir_node *input)
{
    const ir_graph *g = input->graph;
    const ir_node *n = input;
    for (int i = 0; g->owner && i < g->ninputs; i++)
        if (g->inputs[i] == input)
            n = g->owner->in[i];
    return ir_memory(n);
}

static void view_broadcast(const ir_node *n, const ir_layout *x, ir_layout *out)
{
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims);
    for (int i = 0; i < n->type.rank; i++)
        out->stride[i] = 0;
    bool batch = false;
    for (int i = 0; i < count; i++) {
        const ir_dim *d = &n->in[0]->type.dim[i];
        if (d->n > 1 || d->batch)
            out->stride[dims[i]] = x->stride[i];
        batch |= d->batch;
    }
    if (!batch)
        out->batch_stride = 0;
    out->cut = x->cut >= 0 ? (int32_t)dims[x->cut] : -1;
}

static void view_transpose(const ir_node *n, const ir_layout *x, ir_layout *out)
{
    int64_t permutation[IR_MAX_RANK];
    ir_ints(n, "permutation", permutation);
    for (int i = 0; i < n->type.rank; i++) {
        out->stride[i] = x->stride[permutation[i]];
        if (permutation[i] == x->cut)
            out->cut = i;
    }
}

/* Slices and reverses move within a dimension, which panels do not follow. */
static bool view_slice(const ir_node *n, const ir_layout *x, ir_layout *out)
{
    int64_t start[IR_MAX_RANK], step[IR_MAX_RANK];
    ir_ints(n, "start", start);
    ir_ints(n, "stride", step);
    for (int i = 0; i < n->type.rank; i++) {
        out->first += start[i] * x->stride[i];
        out->stride[i] *= step[i];
    }
    return x->cut < 0;
}

static bool view_reverse(const ir_node *n, const ir_layout *x, ir_layout *out)
{
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims);
    for (int i = 0; i < count; i++) {
        out->first += (n->type.dim[dims[i]].n - 1) * x->stride[dims[i]];
        out->stride[dims[i]] = -x->stride[dims[i]];
    }
    return x->cut < 0;
}

bool affine_view_of(const ir_node *n, affine_view *out)
{
    if (n->op == IR_INPUT) {
        out->input = n;
        out->at = ir_layout_of(&n->type, affine_memory(n));
        return true;
    }
    bool view = n->op == IR_TRANSPOSE || n->op == IR_SLICE || n->op == IR_REVERSE || n->op == IR_BROADCAST_IN_DIM ||
                n->op == IR_STOP_GRADIENT;
    affine_view x;
    if (!view || !affine_view_of(n->in[0], &x))
        return false;
    *out = x;
    switch (n->op) {
    case IR_BROADCAST_IN_DIM:
        view_broadcast(n, &x.at, &out->at);
        return true;
    case IR_TRANSPOSE:
        view_transpose(n, &x.at, &out->at);
        return true;
    case IR_SLICE:
        return view_slice(n, &x.at, &out->at);
    case IR_REVERSE:
        return view_reverse(n, &x.at, &out->at);
    default:
        return true;
    }
}
