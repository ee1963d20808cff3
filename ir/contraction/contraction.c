/* ir/contraction/contraction.c - axes, sums and strides of dot_general and convolution. */
#include "ir/contraction/contraction.h"
#include "ir/graph/build.h"
#include <string.h>

/* ---- memory ---- */

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

/* ---- building ---- */

static void add_axis(contraction *c, contraction_axis a)
{
    c->axis[c->naxes++] = a;
}

static void add_sum(contraction *c, arena *mem, const contraction_run *runs, int count)
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

/* A dimension of the result that is dimension 'lhs' of the lhs and 'rhs' of the rhs (-1: not there). One of n*B is two
 * axes, the examples first; one in panels is two, the panels first. */
static void add_free(contraction *c, int lhs, int rhs, int dim)
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
        add_axis(c, outer);
    } else if (width) {
        outer.n = d.n / width;
        outer.lhs = panel_stride(&c->lhs.at, lhs, width);
        outer.rhs = panel_stride(&c->rhs.at, rhs, width);
        outer.step = width;
        add_axis(c, outer);
        a.n = width;
    }
    if (d.n > 1 || !d.batch)
        add_axis(c, a);
}

static void add_contracted(contraction *c, arena *mem, int lhs, int rhs)
{
    const ir_layout *l = &c->lhs.at, *r = &c->rhs.at;
    ir_dim d = c->node->in[0]->type.dim[lhs];
    int64_t width = panel_width(c, lhs, rhs), n = d.n;
    if (d.batch)
        add_sum(c, mem, &(contraction_run){1, true, l->batch_stride, r->batch_stride, 0, 0}, 1);
    if (width && n > width) {
        contraction_run panels = {n / width, false, panel_stride(l, lhs, width), panel_stride(r, rhs, width), 0, 0};
        add_sum(c, mem, &panels, 1);
        n = width;
    }
    if (n > 1)
        add_sum(c, mem, &(contraction_run){n, false, l->stride[lhs], r->stride[rhs], 0, 0}, 1);
}

/* ---- dot_general ---- */

static void describe_dot(contraction *c, arena *mem)
{
    ir_dot dot;
    ir_dot_read(c->node, &dot);
    int dim = 0;
    for (int i = 0; i < dot.lhs_batch_count; i++)
        add_free(c, (int)dot.lhs_batch[i], (int)dot.rhs_batch[i], dim++);
    for (int i = 0; i < c->node->in[0]->type.rank; i++)
        if (!ir_in_list(dot.lhs_batch, dot.lhs_batch_count, i) && !ir_in_list(dot.lhs_contract, dot.contract_count, i))
            add_free(c, i, -1, dim++);
    for (int i = 0; i < c->node->in[1]->type.rank; i++)
        if (!ir_in_list(dot.rhs_batch, dot.lhs_batch_count, i) && !ir_in_list(dot.rhs_contract, dot.contract_count, i))
            add_free(c, -1, i, dim++);
    c->leaf = dot.leaf;
    for (int i = 0; i < dot.contract_count; i++)
        add_contracted(c, mem, (int)dot.lhs_contract[i], (int)dot.rhs_contract[i]);
}

/* ---- convolution ---- */

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    return b ? greatest_divisor(b, a % b) : a;
}

static int64_t position(const contraction_spatial *s, int64_t o, int64_t k)
{
    return o * s->stride + k * s->dilation - s->low;
}

static bool sees_beyond(const contraction_spatial *s, int64_t o)
{
    return position(s, o, 0) < 0 || position(s, o, s->kernel - 1) > (s->in - 1) * s->spread;
}

static contraction_spatial spatial_of(const ir_node *n, const ir_conv *v, int i)
{
    contraction_spatial s = {.in = n->in[0]->type.dim[v->lhs[2 + i]].n,
                             .out = n->type.dim[v->out[2 + i]].n,
                             .kernel = n->in[1]->type.dim[v->rhs[2 + i]].n,
                             .stride = v->stride[i],
                             .low = v->low[i],
                             .spread = v->lhs_dilation[i],
                             .dilation = v->rhs_dilation[i]};
    while (s.interior < s.out && sees_beyond(&s, s.interior))
        s.interior++;
    s.interior_end = s.interior;
    while (s.interior_end < s.out && !sees_beyond(&s, s.interior_end))
        s.interior_end++;
    return s;
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

/* How many classes of outputs a dimension has in the interior. */
static int64_t classes_of(const contraction_spatial *s)
{
    int64_t step = class_step(s), outputs = s->interior_end - s->interior;
    return outputs < step ? outputs : step;
}

/* Without holes the taps are a loop for each dimension. */
static void add_even(contraction *c, arena *mem, const ir_conv *v)
{
    for (int i = 0; i < c->nspatial; i++) {
        contraction_spatial *s = &c->spatial[i];
        s->axis = c->naxes;
        add_axis(c, (contraction_axis){.n = s->out,
                                       .lhs = s->stride * s->lhs,
                                       .dim = (int)v->out[2 + i],
                                       .step = 1,
                                       .lhs_dim = (int)v->lhs[2 + i],
                                       .rhs_dim = -1});
        add_sum(c, mem, &(contraction_run){s->kernel, false, s->dilation * s->lhs, s->rhs, -s->low * s->lhs, 0}, 1);
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
    add_sum(c, mem, &run, none ? 0 : 1);
}

static void add_class(contraction *c, arena *mem, const ir_conv *v, int64_t part)
{
    for (int i = 0; i < c->nspatial; i++) {
        contraction_spatial *s = &c->spatial[i];
        int64_t classes = classes_of(s), step = class_step(s);
        if (classes < 1)
            ir_bug("convolution: a class of outputs without an interior");
        int64_t first = s->interior + part % classes;
        part /= classes;
        s->axis = c->naxes;
        add_axis(c, (contraction_axis){.n = (s->interior_end - 1 - first) / step + 1,
                                       .lhs = step * s->stride / s->spread * s->lhs,
                                       .dim = (int)v->out[2 + i],
                                       .first = first,
                                       .step = step,
                                       .lhs_dim = (int)v->lhs[2 + i],
                                       .rhs_dim = -1});
        add_class_taps(c, mem, s, first);
    }
}

static void add_border(contraction *c, const ir_conv *v)
{
    c->border = true;
    for (int i = 0; i < c->nspatial; i++) {
        contraction_spatial *s = &c->spatial[i];
        s->axis = c->naxes;
        add_axis(c,
                 (contraction_axis){.n = s->out, .dim = (int)v->out[2 + i], .step = 1, .lhs_dim = -1, .rhs_dim = -1});
        if (position(s, 0, 0) < 0)
            c->zero = -s->lhs;
        else if (position(s, s->out - 1, s->kernel - 1) > (s->in - 1) * s->spread)
            c->zero = s->in * s->lhs;
    }
}

static int64_t interior_parts(const ir_node *n, const ir_conv *v)
{
    int64_t parts = 1;
    for (int i = 0; i < v->spatial; i++) {
        contraction_spatial s = spatial_of(n, v, i);
        parts *= classes_of(&s);
    }
    return parts;
}

static bool has_border(const ir_node *n, const ir_conv *v)
{
    for (int i = 0; i < v->spatial; i++) {
        contraction_spatial s = spatial_of(n, v, i);
        if (s.interior > 0 || s.interior_end < s.out)
            return true;
    }
    return false;
}

static void add_spatial(contraction *c, arena *mem, const ir_conv *v, int part)
{
    c->nspatial = v->spatial;
    for (int i = 0; i < v->spatial; i++) {
        c->spatial[i] = spatial_of(c->node, v, i);
        c->spatial[i].lhs = c->lhs.at.stride[v->lhs[2 + i]];
        c->spatial[i].rhs = c->rhs.at.stride[v->rhs[2 + i]];
    }
    if (!is_spread(v))
        add_even(c, mem, v);
    else if (part < interior_parts(c->node, v))
        add_class(c, mem, v, part);
    else
        add_border(c, v);
}

static void describe_convolution(contraction *c, arena *mem, int part)
{
    const ir_node *n = c->node, *x = n->in[0], *w = n->in[1];
    ir_conv v;
    ir_conv_read(n, &v);
    int64_t fg = v.feature_groups, bg = v.batch_groups;
    int batch = (int)v.lhs[0], feature = (int)v.lhs[1], out_feature = (int)v.rhs[1];
    if (bg == 1) {
        add_free(c, batch, -1, (int)v.out[0]);
    } else {
        int64_t each = x->type.dim[batch].n / bg;
        add_axis(c, (contraction_axis){.n = each,
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
        add_axis(c, (contraction_axis){.n = groups,
                                       .lhs = lhs,
                                       .rhs = features * c->rhs.at.stride[out_feature],
                                       .dim = (int)v.out[1],
                                       .step = features,
                                       .lhs_dim = -1,
                                       .rhs_dim = -1});
    }
    ir_dim sum = w->type.dim[v.rhs[0]];
    if (sum.batch) {
        c->leaf = true;
        add_sum(c, mem, &(contraction_run){1, true, c->lhs.at.batch_stride, c->rhs.at.batch_stride, 0, 0}, 1);
    }
    add_spatial(c, mem, &v, part);
    if (sum.n > 1 || c->nsums == 0)
        add_sum(c, mem, &(contraction_run){sum.n, false, c->lhs.at.stride[feature], c->rhs.at.stride[v.rhs[0]], 0, 0},
                1);
    if (groups == 1)
        add_free(c, -1, out_feature, (int)v.out[1]);
    else
        add_axis(c, (contraction_axis){.n = features,
                                       .rhs = c->rhs.at.stride[out_feature],
                                       .dim = (int)v.out[1],
                                       .step = 1,
                                       .lhs_dim = -1,
                                       .rhs_dim = out_feature});
}

ir_node *contraction_core(const ir_node *kernel)
{
    for (ir_node *n = kernel->region->first; n; n = n->next)
        if (n->op == IR_DOT_GENERAL || n->op == IR_CONVOLUTION)
            return n;
    return NULL;
}

int contraction_parts(const ir_node *n)
{
    if (n->op != IR_CONVOLUTION)
        return 1;
    ir_conv v;
    ir_conv_read(n, &v);
    return is_spread(&v) ? (int)interior_parts(n, &v) + has_border(n, &v) : 1;
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
        low[dim] = first < 0 ? -first : 0;
        high[dim] = last > 0 ? last : 0;
        if (is_spread(&v)) { /* only the border sees zeros, any one of them */
            low[dim] = low[dim] > 0;
            high[dim] = high[dim] > 0;
        }
    }
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
        describe_convolution(out, mem, part);
    merge_sums(out);
    int64_t stride[IR_MAX_RANK], batch_stride;
    ir_strides(&n->type, stride, &batch_stride);
    for (int i = 0; i < out->naxes; i++) {
        contraction_axis *a = &out->axis[i];
        a->out = a->batch ? batch_stride : stride[a->dim] * a->step;
    }
    return true;
}
