/* passes/grad/contraction.c - gradient rules of dot_general and convolution. Both gradients of a contraction are
 * contractions of the same kind again.
 *
 * dense, y[B, o] = sum_i x[B, i] w[i, o]:
 *     dx[B, i] = sum_o dy[B, o] w[i, o]           dw[i, o] = sum_B x[B, i] dy[B, o]
 * convolution, y[b, p, o] = sum_kc x[b, stride p + dilation k - low, c] w[k, c, o]:
 *     dx   convolves dy, with zeros between its rows and columns as the stride says, with w reversed, whose features
 *          take the place of its channels
 *     dw   convolves x with dy as its kernel, spread by the stride: what was the batch is summed over, and what was the
 *          channel takes the place of the batch
 * The dimension numbers of the new contraction say all of that, so no operand is transposed, and for the usual orders
 * of dimensions no result either. */
#include "passes/grad/grad.h"
#include <string.h>

/* ---- dot_general ---- */

/* One side of y = dot_general(lhs, rhs), seen from the gradient of 'own': names of dimensions. */
typedef struct {
    ir_node *own, *other;
    const int64_t *own_batch, *own_contract, *other_batch, *other_contract;
    int batch_count, contract_count;
    int other_free; /* where other's free dimensions start in y */
} side;

/* Dimensions of x that are neither batch nor contracted, in order. */
static int free_dims(const ir_node *x, const int64_t *batch, int batch_count, const int64_t *contract,
                     int contract_count, int64_t *out)
{
    int count = 0;
    for (int i = 0; i < x->type.rank; i++)
        if (!ir_in_list(batch, batch_count, i) && !ir_in_list(contract, contract_count, i))
            out[count++] = i;
    return count;
}

/* own's dimensions in the order in which the product gives them: the batch, then dy's free ones (own's) and other's
 * free ones (own's contracted, in other's order), these two swapped where dy comes second. */
static void product_order(const side *s, bool dy_first, int64_t *order)
{
    int64_t free[IR_MAX_RANK], contracted[IR_MAX_RANK];
    int nfree = free_dims(s->own, s->own_batch, s->batch_count, s->own_contract, s->contract_count, free);
    int count = 0, at = 0;
    for (int i = 0; i < s->other->type.rank; i++)
        for (int k = 0; k < s->contract_count; k++)
            if (s->other_contract[k] == i)
                contracted[count++] = s->own_contract[k];
    for (int i = 0; i < s->batch_count; i++)
        order[at++] = s->own_batch[i];
    memcpy(order + at, dy_first ? free : contracted, sizeof *order * (size_t)(dy_first ? nfree : count));
    at += dy_first ? nfree : count;
    memcpy(order + at, dy_first ? contracted : free, sizeof *order * (size_t)(dy_first ? count : nfree));
}

static bool in_order(const int64_t *order, int rank)
{
    for (int i = 0; i < rank; i++)
        if (order[i] != i)
            return false;
    return true;
}

static ir_node *product(grad *g, const side *s, ir_node *dy, bool dy_first)
{
    int64_t other_free[IR_MAX_RANK];
    int count = free_dims(s->other, s->other_batch, s->batch_count, s->other_contract, s->contract_count, other_free);
    ir_dot dot = {.lhs_batch_count = s->batch_count, .contract_count = count};
    int64_t *dy_batch = dy_first ? dot.lhs_batch : dot.rhs_batch, *batch = dy_first ? dot.rhs_batch : dot.lhs_batch;
    int64_t *dy_sum = dy_first ? dot.lhs_contract : dot.rhs_contract;
    int64_t *sum = dy_first ? dot.rhs_contract : dot.lhs_contract;
    for (int i = 0; i < s->batch_count; i++) {
        dy_batch[i] = i;
        batch[i] = s->other_batch[i];
    }
    for (int i = 0; i < count; i++) {
        dy_sum[i] = s->other_free + i;
        sum[i] = other_free[i];
    }
    return ir_dot_general(g->graph, dy_first ? dy : s->other, dy_first ? s->other : dy, &dot);
}

static void add_side(grad *g, const side *s, ir_node *dy, bool prefer_dy_first)
{
    int64_t order[IR_MAX_RANK] = {0}, back[IR_MAX_RANK];
    int rank = s->own->type.rank;
    if (!toward(g, s->own))
        return;
    bool dy_first = prefer_dy_first;
    product_order(s, dy_first, order);
    if (!in_order(order, rank)) {
        product_order(s, !dy_first, order);
        if (in_order(order, rank))
            dy_first = !dy_first;
        else
            product_order(s, dy_first, order);
    }
    ir_node *dx = product(g, s, dy, dy_first);
    for (int i = 0; i < rank; i++)
        back[order[i]] = i;
    accumulate(g, s->own, in_order(order, rank) ? dx : ir_transpose(g->graph, dx, back));
}

void grad_dot_general(grad *g, ir_node *y)
{
    ir_dot d;
    int64_t free[IR_MAX_RANK];
    ir_dot_read(y, &d);
    ir_node *x = y->in[0], *w = y->in[1], *dy = upstream(g, y);
    int xfree = free_dims(x, d.lhs_batch, d.lhs_batch_count, d.lhs_contract, d.contract_count, free);
    side left = {x,
                 w,
                 d.lhs_batch,
                 d.lhs_contract,
                 d.rhs_batch,
                 d.rhs_contract,
                 d.lhs_batch_count,
                 d.contract_count,
                 d.lhs_batch_count + xfree};
    side right = {w,
                  x,
                  d.rhs_batch,
                  d.rhs_contract,
                  d.lhs_batch,
                  d.lhs_contract,
                  d.lhs_batch_count,
                  d.contract_count,
                  d.lhs_batch_count};
    add_side(g, &left, dy, true);
    add_side(g, &right, dy, false);
}

/* ---- convolution ---- */

/* From the first to the last of n elements that stand 'step' apart. */
static int64_t spread(int64_t n, int64_t step)
{
    return n > 0 ? (n - 1) * step + 1 : 0;
}

/* w [.., c, G o', ..] for G feature groups as [.., G c, o', ..]: what the groups shared as input features they own as
 * output features. 'in' and 'out' are the places of the two feature dimensions. */
static ir_node *regroup(grad *g, ir_node *w, int64_t in, int64_t out, int64_t groups)
{
    ir_dim split[IR_MAX_RANK], merged[IR_MAX_RANK];
    int64_t order[IR_MAX_RANK];
    int rank = w->type.rank, at = 0, group_at = (int)out;
    for (int i = 0; i < rank; i++) { /* out becomes (G, o') */
        merged[i] = w->type.dim[i];
        if (i == out)
            split[at++] = (ir_dim){groups, false};
        split[at++] = i == out ? (ir_dim){w->type.dim[i].n / groups, false} : w->type.dim[i];
    }
    merged[in].n *= groups;
    merged[out].n /= groups;
    at = 0;
    for (int i = 0; i < rank; i++) { /* G goes before in */
        if (i == in)
            order[at++] = group_at;
        order[at++] = i < out ? i : i + 1;
    }
    w = ir_reshape(g->graph, w, rank + 1, split);
    w = ir_transpose(g->graph, w, order);
    return ir_reshape(g->graph, w, rank, merged);
}

/* dy over w reversed: dx[p] gathers the dy whose windows covered p. */
static ir_node *input_gradient(grad *g, const ir_conv *c, const ir_node *x, ir_node *w, ir_node *dy)
{
    ir_conv back = *c;
    int rank = 2 + c->spatial;
    int64_t reversed = 0, dims[IR_MAX_RANK];
    for (int i = 0; i < c->spatial; i++) {
        int64_t n = x->type.dim[c->lhs[2 + i]].n, k = w->type.dim[c->rhs[2 + i]].n, o = dy->type.dim[c->out[2 + i]].n;
        int64_t window = spread(k, c->rhs_dilation[i]);
        back.stride[i] = c->lhs_dilation[i];
        back.lhs_dilation[i] = c->stride[i];
        back.low[i] = window - 1 - c->low[i];
        back.high[i] = spread(n, c->lhs_dilation[i]) + window - 1 - spread(o, c->stride[i]) - back.low[i];
        if (k > 1)
            dims[reversed++] = c->rhs[2 + i];
    }
    memcpy(back.lhs, c->out, sizeof *back.lhs * (size_t)rank);
    memcpy(back.out, c->lhs, sizeof *back.out * (size_t)rank);
    back.rhs[0] = c->rhs[1];
    back.rhs[1] = c->rhs[0];
    if (reversed)
        w = ir_reverse(g->graph, w, dims, (int)reversed);
    if (c->feature_groups > 1)
        w = regroup(g, w, c->rhs[0], c->rhs[1], c->feature_groups);
    return ir_convolution(g->graph, dy, w, &back);
}

static double elements(const ir_node *x)
{
    return (double)ir_static_count(&x->type);
}

/* Is a gradient of w more numbers than the images of a leaf, x and dy? Then sums for each leaf would cost more than
 * they are worth. Spread images are left alone. */
static bool is_wide(const ir_conv *c, const ir_node *x, const ir_node *w, const ir_node *dy)
{
    for (int i = 0; i < c->spatial; i++)
        if (c->lhs_dilation[i] > 1)
            return false;
    return elements(w) > IR_LEAF * (elements(x) + elements(dy));
}

/* x with batch and feature swapped, against dy as a kernel: dw[k] gathers x under tap k. Groups of features become
 * groups of the batch and the other way round. */
static ir_node *weight_gradient(grad *g, const ir_conv *c, ir_node *x, const ir_node *w, ir_node *dy)
{
    ir_conv back = *c;
    int rank = 2 + c->spatial;
    for (int i = 0; i < c->spatial; i++) {
        int64_t n = x->type.dim[c->lhs[2 + i]].n, k = w->type.dim[c->rhs[2 + i]].n, o = dy->type.dim[c->out[2 + i]].n;
        back.stride[i] = c->rhs_dilation[i];
        back.rhs_dilation[i] = c->stride[i];
        back.high[i] =
            spread(k, c->rhs_dilation[i]) + spread(o, c->stride[i]) - 1 - spread(n, c->lhs_dilation[i]) - c->low[i];
    }
    back.lhs[0] = c->lhs[1];
    back.lhs[1] = c->lhs[0];
    memcpy(back.rhs, c->out, sizeof *back.rhs * (size_t)rank);
    memcpy(back.out, c->rhs, sizeof *back.out * (size_t)rank);
    back.feature_groups = c->batch_groups;
    back.batch_groups = c->feature_groups;
    back.leaf = x->type.dim[c->lhs[0]].batch && !is_wide(c, x, w, dy);
    return ir_convolution(g->graph, x, dy, &back);
}

void grad_convolution(grad *g, ir_node *y)
{
    ir_conv c;
    ir_conv_read(y, &c);
    ir_node *x = y->in[0], *w = y->in[1], *dy = upstream(g, y);
    if (toward(g, x) && c.batch_groups > 1) {
        diag_error(g->d, y->loc, "convolution: no gradient for an input in %lld batch groups",
                   (long long)c.batch_groups);
        g->failed = true;
        return;
    }
    if (toward(g, x))
        accumulate(g, x, input_gradient(g, &c, x, w, dy));
    if (toward(g, w))
        accumulate(g, w, weight_gradient(g, &c, x, w, dy));
}
