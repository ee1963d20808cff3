/* ir/contraction/convolution.c - a convolution's dimensions as axes and sums.
 *
 * Output o and tap k of a spatial dimension meet at position o * stride + k * dilation - low of the lhs. Where the lhs
 * lies densely that is affine: outputs are an axis, taps a sum, and what is beyond the edge must be zeros in memory.
 *
 * In the input gradient of a strided convolution the lhs is spread: its elements stand `spread` apart and positions in
 * between hold none. An output then meets every spread/gcd-th tap, from a first one that depends on the output:
 *
 *     spread 2, kernel 3:    lhs  0 . 1 . 2 . 3       outputs 0, 2, 4 ... meet taps 0 and 2
 *                                                     outputs 1, 3 ... meet tap 1
 *
 * Outputs whose taps are the same are a class, which is affine again, and a part of the convolution. Beyond the edge
 * the lhs goes on as it lies, with zeros in memory where elements would stand. */
#include "ir/contraction/axes.h"
#include "ir/graph/build.h"
#include <string.h>

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    return b ? greatest_divisor(b, a % b) : a;
}

static int64_t position(const contraction_spatial *s, int64_t o, int64_t k)
{
    return o * s->stride + k * s->dilation - s->low;
}

static contraction_spatial spatial_of(const ir_node *n, const ir_conv *v, int i)
{
    return (contraction_spatial){.in = n->in[0]->type.dim[v->lhs[2 + i]].n,
                                 .out = n->type.dim[v->out[2 + i]].n,
                                 .kernel = n->in[1]->type.dim[v->rhs[2 + i]].n,
                                 .stride = v->stride[i],
                                 .low = v->low[i],
                                 .spread = v->lhs_dilation[i],
                                 .dilation = v->rhs_dilation[i]};
}

static bool is_spread(const ir_conv *v)
{
    for (int i = 0; i < v->spatial; i++)
        if (v->lhs_dilation[i] > 1)
            return true;
    return false;
}

/* Outputs `step` apart meet the elements in the same way. */
static int64_t class_step(const contraction_spatial *s)
{
    return s->spread / greatest_divisor(s->spread, s->stride);
}

/* How many classes of outputs a dimension has. */
static int64_t classes_of(const contraction_spatial *s)
{
    int64_t step = class_step(s);
    return s->out < step ? s->out : step;
}

/* Without holes the taps are a loop for each dimension. */
static void add_even(contraction *c, arena *mem, const ir_conv *v)
{
    for (int i = 0; i < c->nspatial; i++) {
        contraction_spatial *s = &c->spatial[i];
        s->axis = c->naxes;
        contraction_add_axis(c, (contraction_axis){.n = s->out,
                                                   .lhs = s->stride * s->lhs,
                                                   .dim = (int)v->out[2 + i],
                                                   .step = 1,
                                                   .lhs_dim = (int)v->lhs[2 + i],
                                                   .rhs_dim = -1});
        contraction_add_sum(c, mem,
                            &(contraction_run){s->kernel, false, s->dilation * s->lhs, s->rhs, -s->low * s->lhs, 0}, 1);
    }
}

/* The taps of a class, which are even: every spread/gcd-th meets an element. Without any, the chain is empty. */
static void add_class_taps(contraction *c, arena *mem, const contraction_spatial *s, int64_t first)
{
    int64_t step = s->spread / greatest_divisor(s->spread, s->dilation), k = 0;
    while (k < s->kernel && k < step && position(s, first, k) % s->spread)
        k++;
    bool none = k == s->kernel || k == step;
    contraction_run run = {.n = none ? 0 : (s->kernel - 1 - k) / step + 1,
                           .lhs = step * s->dilation / s->spread * s->lhs,
                           .rhs = step * s->rhs,
                           .lhs_first = none ? 0 : position(s, first, k) / s->spread * s->lhs,
                           .rhs_first = k * s->rhs};
    contraction_add_sum(c, mem, &run, none ? 0 : 1);
}

static void add_class(contraction *c, arena *mem, const ir_conv *v, int64_t part)
{
    for (int i = 0; i < c->nspatial; i++) {
        contraction_spatial *s = &c->spatial[i];
        int64_t classes = classes_of(s), step = class_step(s), first = part % classes;
        part /= classes;
        s->axis = c->naxes;
        contraction_add_axis(c, (contraction_axis){.n = (s->out - 1 - first) / step + 1,
                                                   .lhs = step * s->stride / s->spread * s->lhs,
                                                   .dim = (int)v->out[2 + i],
                                                   .first = first,
                                                   .step = step,
                                                   .lhs_dim = (int)v->lhs[2 + i],
                                                   .rhs_dim = -1});
        add_class_taps(c, mem, s, first);
    }
}

static void add_spatial(contraction *c, arena *mem, const ir_conv *v, int part)
{
    c->nspatial = v->spatial;
    for (int i = 0; i < v->spatial; i++) {
        c->spatial[i] = spatial_of(c->node, v, i);
        c->spatial[i].lhs = c->lhs.at.stride[v->lhs[2 + i]];
        c->spatial[i].rhs = c->rhs.at.stride[v->rhs[2 + i]];
    }
    if (is_spread(v))
        add_class(c, mem, v, part);
    else
        add_even(c, mem, v);
}

void contraction_add_convolution(contraction *c, arena *mem, int part)
{
    const ir_node *n = c->node, *x = n->in[0], *w = n->in[1];
    ir_conv v;
    ir_conv_read(n, &v);
    int64_t fg = v.feature_groups, bg = v.batch_groups;
    int batch = (int)v.lhs[0], feature = (int)v.lhs[1], out_feature = (int)v.rhs[1];
    if (bg == 1) {
        contraction_add_free(c, batch, -1, (int)v.out[0]);
    } else {
        int64_t each = x->type.dim[batch].n / bg;
        contraction_add_axis(c, (contraction_axis){.n = each,
                                                   .lhs = c->lhs.at.stride[batch],
                                                   .dim = (int)v.out[0],
                                                   .step = 1,
                                                   .lhs_dim = batch,
                                                   .rhs_dim = -1});
    }
    int64_t groups = fg * bg, features = w->type.dim[out_feature].n / groups;
    if (groups > 1) {
        int64_t lhs = fg > 1 ? x->type.dim[feature].n / fg * c->lhs.at.stride[feature]
                             : x->type.dim[batch].n / bg * c->lhs.at.stride[batch];
        contraction_add_axis(c, (contraction_axis){.n = groups,
                                                   .lhs = lhs,
                                                   .rhs = features * c->rhs.at.stride[out_feature],
                                                   .dim = (int)v.out[1],
                                                   .step = features,
                                                   .lhs_dim = -1,
                                                   .rhs_dim = -1});
    }
    ir_dim sum = w->type.dim[v.rhs[0]];
    if (sum.batch) {
        c->leaf = v.leaf;
        contraction_add_sum(c, mem, &(contraction_run){1, true, c->lhs.at.batch_stride, c->rhs.at.batch_stride, 0, 0},
                            1);
    }
    add_spatial(c, mem, &v, part);
    if (sum.n > 1 || c->nsums == 0)
        contraction_add_sum(
            c, mem, &(contraction_run){sum.n, false, c->lhs.at.stride[feature], c->rhs.at.stride[v.rhs[0]], 0, 0}, 1);
    if (groups == 1)
        contraction_add_free(c, -1, out_feature, (int)v.out[1]);
    else
        contraction_add_axis(c, (contraction_axis){.n = features,
                                                   .rhs = c->rhs.at.stride[out_feature],
                                                   .dim = (int)v.out[1],
                                                   .step = 1,
                                                   .lhs_dim = -1,
                                                   .rhs_dim = out_feature});
}

int contraction_parts(const ir_node *n)
{
    int64_t parts = 1;
    if (n->op != IR_CONVOLUTION)
        return 1;
    ir_conv v;
    ir_conv_read(n, &v);
    for (int i = 0; i < v.spatial && is_spread(&v); i++) {
        contraction_spatial s = spatial_of(n, &v, i);
        parts *= classes_of(&s);
    }
    return (int)parts;
}

void contraction_reach(const ir_node *n, int64_t low[IR_MAX_RANK], int64_t high[IR_MAX_RANK])
{
    memset(low, 0, sizeof *low * IR_MAX_RANK);
    memset(high, 0, sizeof *high * IR_MAX_RANK);
    if (n->op != IR_CONVOLUTION)
        return;
    ir_conv v;
    ir_conv_read(n, &v);
    for (int i = 0; i < v.spatial; i++) {
        contraction_spatial s = spatial_of(n, &v, i);
        int dim = (int)v.lhs[2 + i];
        int64_t first = position(&s, 0, 0), last = position(&s, s.out - 1, s.kernel - 1) - (s.in - 1) * s.spread;
        low[dim] = first < 0 ? -first / s.spread : 0;
        high[dim] = last > 0 ? last / s.spread : 0;
    }
}
