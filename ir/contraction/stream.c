/* ir/contraction/stream.c - convolutions of few features, whose lanes are the image's columns.
 *
 * Features would fill a few lanes of a vector only. Where the channels of a pixel lie side by side, as they do in every
 * image of many channels, columns fill whole vectors after a transposition. An image passes through scratch row by row,
 * transposed: all pixels of channel 0, of channel 1 ... Kernel row i has its term in the output row i above, so as many
 * output rows are under way as the kernel has rows, and each vector of pixels is loaded once for all of them:
 *
 *     sums[0] = 0
 *     for kernel column, channel
 *       for kernel row i:   sums[i] += pixels * weight[i]
 *     sums[last] is done, sums[i] goes on as sums[i + 1] at the image's next row
 *
 * Each output is still one chain over (kernel row, kernel column, channel). Whether it pays is decided in
 * passes/select/stream.c, the code is made in backend/contraction/stream.c. */
#include "ir/contraction/plan.h"
#include "ir/graph/build.h"

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* One image row at a time has terms in each output row, and one column for each output column. */
static bool has_even_rows(const contraction *c)
{
    const contraction_spatial *h = &c->spatial[0], *w = &c->spatial[1];
    return c->nspatial == 2 && h->spread == 1 && w->spread == 1 && h->stride == 1 && w->stride == 1 &&
           h->dilation == 1 && h->low >= 0 && w->low >= 0;
}

static int find_features(const contraction *c, int dim)
{
    for (int i = 0; i < c->naxes; i++)
        if (c->axis[i].dim == dim)
            return i;
    return -1;
}

bool contraction_stream_of(const contraction *c, int64_t vector, contraction_stream *out)
{
    if (c->node->op != IR_CONVOLUTION || c->leaf || !has_even_rows(c))
        return false;
    ir_conv v;
    ir_conv_read(c->node, &v);
    const contraction_spatial *h = &c->spatial[0], *w = &c->spatial[1];
    int64_t features = c->node->type.dim[v.out[1]].n, reach = w->out - 1 + (w->kernel - 1) * w->dilation - w->low;
    int64_t beyond = reach - (w->in - 1) > w->low ? reach - (w->in - 1) : w->low;
    bool transposed = c->lhs.at.stride[v.lhs[1]] == 1 && w->lhs > 1;
    if (!transposed || v.feature_groups > 1 || v.batch_groups > 1 || h->kernel * features > CONTRACTION_ROWS)
        return false;
    *out = (contraction_stream){.channels = c->node->in[1]->type.dim[v.rhs[0]].n,
                                .features = find_features(c, (int)v.out[1]),
                                .weight = c->rhs.at.stride[v.rhs[0]],
                                .lead = round_up(beyond, vector),
                                .columns = round_up(w->out, vector)};
    out->pitch = out->lead + round_up(w->in, vector);
    out->sums = round_up(out->channels * out->pitch + out->lead + w->kernel * w->dilation + vector, vector);
    out->elements = out->sums + (h->kernel - 1) * features * out->columns;
    return out->features >= 0;
}

bool contraction_stream_fits(const contraction *c, int64_t vector, const contraction_plan *p, int64_t scratch)
{
    contraction_stream s;
    if (!contraction_stream_of(c, vector, &s))
        return false;
    const contraction_spatial *h = &c->spatial[0], *w = &c->spatial[1];
    return p->swap == 1 && p->column == w->axis && p->row == h->axis && p->inner == s.features &&
           p->rows == h->kernel && p->pieces == 1 && p->cut != p->column && p->cut != p->inner && s.elements <= scratch;
}
