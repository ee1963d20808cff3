/* passes/grad/shape.c - gradient rules of the operators that move elements. The gradient of most is the operator that
 * moves the elements back. */
#include "passes/grad/grad.h"

void grad_reshape(grad *g, ir_node *y)
{
    ir_type *t = &y->in[0]->type;
    accumulate(g, y->in[0], ir_reshape(g->graph, upstream(g, y), t->rank, t->dim));
}

void grad_transpose(grad *g, ir_node *y)
{
    int64_t forth[IR_MAX_RANK], back[IR_MAX_RANK];
    int rank = ir_ints(y, "permutation", forth);
    for (int i = 0; i < rank; i++)
        back[forth[i]] = i;
    accumulate(g, y->in[0], ir_transpose(g->graph, upstream(g, y), back));
}

/* place[i]: where dims[i] stands among dims in increasing order. False if each stands there already. */
static bool sort_dims(const int64_t *dims, int count, int64_t *place)
{
    bool moved = false;
    for (int i = 0; i < count; i++) {
        place[i] = 0;
        for (int k = 0; k < count; k++)
            place[i] += dims[k] < dims[i];
        moved |= place[i] != i;
    }
    return moved;
}

/* Sum over the dimensions that x has not, or has with one element where y has more. */
void grad_broadcast_in_dim(grad *g, ir_node *y)
{
    ir_node *x = y->in[0], *dx = upstream(g, y);
    int64_t dims[IR_MAX_RANK], summed[IR_MAX_RANK], kept[IR_MAX_RANK], place[IR_MAX_RANK];
    bool is_kept[IR_MAX_RANK] = {false};
    int rank = ir_ints(y, "dims", dims), nsummed = 0, nkept = 0;
    for (int i = 0; i < rank; i++)
        if (x->type.dim[i].n == y->type.dim[dims[i]].n && x->type.dim[i].batch == y->type.dim[dims[i]].batch) {
            is_kept[dims[i]] = true;
            kept[nkept++] = dims[i];
        }
    for (int i = 0; i < y->type.rank; i++)
        if (!is_kept[i])
            summed[nsummed++] = i;
    if (nsummed)
        dx = ir_reduce(g->graph, "sum", dx, summed, nsummed);
    if (sort_dims(kept, nkept, place))
        dx = ir_transpose(g->graph, dx, place);
    if (nkept < rank)
        dx = ir_reshape(g->graph, dx, x->type.rank, x->type.dim);
    accumulate(g, x, dx);
}

static ir_node *zero(grad *g, const ir_node *like)
{
    return ir_constant(g->graph, ir_type_scalar(like->type.dtype), 0);
}

/* y = elements start, start + stride, ... of x      dx = dy spread out again, 0 elsewhere */
void grad_slice(grad *g, ir_node *y)
{
    ir_node *x = y->in[0], *dy = upstream(g, y);
    int64_t start[IR_MAX_RANK], stride[IR_MAX_RANK], high[IR_MAX_RANK], interior[IR_MAX_RANK];
    int rank = ir_ints(y, "start", start);
    ir_ints(y, "stride", stride);
    for (int i = 0; i < rank; i++) {
        int64_t count = y->type.dim[i].n;
        interior[i] = stride[i] - 1;
        high[i] = x->type.dim[i].n - start[i] - (count ? (count - 1) * stride[i] + 1 : 0);
    }
    accumulate(g, x, ir_pad(g->graph, dy, zero(g, dy), start, high, interior));
}

/* The edges cut off dy, and its gaps dropped: what is left belongs to x. Edges that pad cut off x come back as 0. */
static ir_node *unpad(grad *g, const ir_node *y, ir_node *dy)
{
    int64_t low[IR_MAX_RANK], high[IR_MAX_RANK], interior[IR_MAX_RANK], none[IR_MAX_RANK] = {0}, limit[IR_MAX_RANK];
    int rank = ir_ints(y, "low", low);
    bool has_edges = false, has_gaps = false;
    ir_ints(y, "high", high);
    ir_ints(y, "interior", interior);
    for (int i = 0; i < rank; i++) {
        has_edges |= low[i] || high[i];
        has_gaps |= interior[i] != 0;
        low[i] = -low[i];
        high[i] = -high[i];
    }
    if (has_edges)
        dy = ir_pad(g->graph, dy, zero(g, dy), low, high, none);
    if (!has_gaps)
        return dy;
    for (int i = 0; i < rank; i++) {
        limit[i] = dy->type.dim[i].n;
        interior[i]++;
    }
    return ir_slice(g->graph, dy, none, limit, interior);
}

/* The padding value's share: the sum of dy where x is not. */
static ir_node *padded_sum(grad *g, const ir_node *y, ir_node *dy)
{
    int64_t low[IR_MAX_RANK], high[IR_MAX_RANK], interior[IR_MAX_RANK], all[IR_MAX_RANK];
    ir_ints(y, "low", low);
    ir_ints(y, "high", high);
    ir_ints(y, "interior", interior);
    for (int i = 0; i < y->type.rank; i++)
        all[i] = i;
    ir_node *one = ir_constant(g->graph, ir_type_scalar(dy->type.dtype), 1);
    ir_node *mask = ir_pad(g->graph, ir_like(g->graph, y->in[0], 0), one, low, high, interior);
    return ir_reduce(g->graph, "sum", ir_multiply(g->graph, dy, mask), all, y->type.rank);
}

void grad_pad(grad *g, ir_node *y)
{
    ir_node *dy = upstream(g, y);
    if (toward(g, y->in[0]))
        accumulate(g, y->in[0], unpad(g, y, dy));
    if (toward(g, y->in[1]))
        accumulate(g, y->in[1], padded_sum(g, y, dy));
}

/* Each operand gets its slice of dy. */
void grad_concatenate(grad *g, ir_node *y)
{
    int64_t start[IR_MAX_RANK] = {0}, limit[IR_MAX_RANK], stride[IR_MAX_RANK], dim = ir_int(y, "dim", 0);
    for (int i = 0; i < y->type.rank; i++) {
        limit[i] = y->type.dim[i].n;
        stride[i] = 1;
    }
    for (int i = 0; i < y->nin; i++) {
        limit[dim] = start[dim] + y->in[i]->type.dim[dim].n;
        if (toward(g, y->in[i]))
            accumulate(g, y->in[i], ir_slice(g->graph, upstream(g, y), start, limit, stride));
        start[dim] = limit[dim];
    }
}

void grad_reverse(grad *g, ir_node *y)
{
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(y, "dims", dims);
    accumulate(g, y->in[0], ir_reverse(g->graph, upstream(g, y), dims, count));
}
