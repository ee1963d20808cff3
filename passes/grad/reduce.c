/* passes/grad/reduce.c - gradient rules of sums and maxima, over whole dimensions and over windows. */
#include "passes/grad/grad.h"

/* v, a value of reduce's result type, at every element that went into it. */
static ir_node *spread_back(grad *g, const ir_node *reduce, ir_node *v)
{
    int64_t dims[IR_MAX_RANK], kept[IR_MAX_RANK];
    const ir_type *t = &reduce->in[0]->type;
    int count = ir_ints(reduce, "dims", dims), at = 0;
    for (int i = 0; i < t->rank; i++) {
        bool is_reduced = false;
        for (int k = 0; k < count; k++)
            is_reduced |= dims[k] == i;
        if (!is_reduced)
            kept[at++] = i;
    }
    return ir_broadcast_in_dim(g->graph, v, *t, kept);
}

/* y = max(x)      dx = dy / (elements equal to y) at those, 0 elsewhere: ties share */
static ir_node *extreme(grad *g, ir_node *y)
{
    ir_graph *at = g->graph;
    ir_node *x = y->in[0];
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(y, "dims", dims);
    ir_node *is_extreme = ir_compare(at, "EQ", x, spread_back(g, y, y));
    ir_node *zero = ir_like(at, x, 0);
    ir_node *hits = ir_reduce(at, "sum", ir_select(at, is_extreme, ir_like(at, x, 1), zero), dims, count);
    ir_node *part = spread_back(g, y, ir_divide(at, upstream(g, y), hits));
    return ir_select(at, is_extreme, part, zero);
}

void grad_reduce(grad *g, ir_node *y)
{
    if (ir_word_is(y, "kind", "argmax"))
        return;
    bool is_sum = ir_word_is(y, "kind", "sum");
    accumulate(g, y->in[0], is_sum ? spread_back(g, y, upstream(g, y)) : extreme(g, y));
}

/* y[o] sums x[stride o - low ... + window - 1]. So dx[i] sums the dy that stand, spread by the stride, from
 * i + low - window + 1 to i + low: a window sum again. */
static ir_node *window_sum(grad *g, const ir_node *y, ir_node *dy)
{
    ir_window w;
    int64_t low[IR_MAX_RANK], high[IR_MAX_RANK], interior[IR_MAX_RANK];
    ir_window_read(y, &w);
    for (int i = 0; i < y->type.rank; i++) {
        int64_t n = y->in[0]->type.dim[i].n, spread = (dy->type.dim[i].n - 1) * w.stride[i] + 1;
        interior[i] = w.stride[i] - 1;
        low[i] = w.window[i] - 1 - w.low[i];
        high[i] = n + w.low[i] - spread;
        w.stride[i] = 1;
        w.low[i] = w.high[i] = 0;
    }
    ir_node *zero = ir_constant(g->graph, ir_type_scalar(dy->type.dtype), 0);
    return ir_reduce_window(g->graph, "sum", ir_pad(g->graph, dy, zero, low, high, interior), &w);
}

/* The first of equal elements has it all, as the positions say. */
static ir_node *window_max(grad *g, const ir_node *y, ir_node *dy)
{
    ir_window w;
    ir_node *x = y->in[0];
    ir_window_read(y, &w);
    /* The positions belong to the forward kernel: what is kept for the backward pass is then a byte a window, not x. */
    const char *backward = g->graph->at_label;
    g->graph->at_label = y->label;
    ir_node *position = ir_reduce_window(g->graph, "argmax", x, &w);
    g->graph->at_label = backward;
    return ir_select_and_scatter(g->graph, position, dy, x->type, &w);
}

void grad_reduce_window(grad *g, ir_node *y)
{
    if (ir_word_is(y, "kind", "argmax"))
        return;
    ir_node *dy = upstream(g, y);
    accumulate(g, y->in[0], ir_word_is(y, "kind", "sum") ? window_sum(g, y, dy) : window_max(g, y, dy));
}
