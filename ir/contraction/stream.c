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
 * Each output is still one chain over (kernel row, kernel column, channel). */
#include "ir/contraction/contraction.h"
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
    if (c->node->op != IR_CONVOLUTION || c->leaf || c->border || !has_even_rows(c))
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

/* ---- the plan ---- */

/* Time of a kernel column and channel over one row of the image, in multiply-adds of vectors. */
static int64_t row_time(int64_t sums, int64_t vectors, int64_t columns)
{
    enum { LATENCY = 6 };
    int64_t time = 0;
    for (int64_t at = 0; at < columns; at += vectors) {
        int64_t v = columns - at < vectors ? columns - at : vectors;
        int64_t part = sums * v > sums + v ? sums * v : sums + v; /* or the loads */
        time += part > LATENCY ? part : LATENCY;
    }
    return time;
}

static int64_t best_vectors(const ir_target *t, int64_t sums, int64_t columns)
{
    int64_t best = 0;
    for (int64_t v = 1; v <= columns && v <= CONTRACTION_VECTORS; v++) {
        bool fits = sums * v + v + 1 <= t->registers && sums * v <= t->registers - 4;
        if (fits && (!best || row_time(sums, v, columns) < row_time(sums, best, columns)))
            best = v;
    }
    return best;
}

/* Is it faster than features in the lanes? A transposition of as many vectors as lanes takes a handful of instructions
 * each. */
static bool pays(const contraction *c, const ir_target *t, const contraction_stream *s, int64_t features,
                 int64_t vectors)
{
    enum { TRANSPOSE = 7 };
    const contraction_spatial *h = &c->spatial[0], *w = &c->spatial[1];
    int64_t columns = s->columns / t->vector, blocks = (w->in + t->vector - 1) / t->vector;
    int64_t wide = (features + t->vector - 1) / t->vector; /* vectors of features */
    double products = (double)(w->kernel * row_time(h->kernel * features, vectors, columns));
    double row = products + (double)(TRANSPOSE * blocks);
    double stream = row * (double)(h->out + h->kernel - 1);
    double direct = (double)(h->out * w->out * h->kernel * w->kernel * wide);
    return s->channels >= t->vector / 2 && stream < 0.8 * direct;
}

/* Tasks take examples; where there are few, rows, but enough of them that those which two tasks read are few. */
static void choose_tasks(const contraction *c, int64_t max_batch, contraction_plan *p)
{
    enum { FEW = 8, OVERLAP = 6 };
    const contraction_spatial *h = &c->spatial[0];
    int64_t wanted = contraction_wanted_tasks(c, max_batch);
    bool batch = c->axis[0].batch && (max_batch >= FEW || max_batch >= wanted);
    int64_t steps = batch ? max_batch * c->axis[0].n : h->out;
    p->cut = batch ? 0 : h->axis;
    p->chunk = (steps + wanted - 1) / wanted;
    if (!batch && p->chunk < OVERLAP * h->kernel)
        p->chunk = OVERLAP * h->kernel;
}

int64_t contraction_choose_stream(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p)
{
    contraction_stream s;
    if (!contraction_stream_of(c, t->vector, &s) || 4 * s.elements > t->l2 / 2)
        return 0;
    const contraction_spatial *h = &c->spatial[0], *w = &c->spatial[1];
    int64_t features = c->axis[s.features].n, columns = s.columns / t->vector;
    int64_t vectors = best_vectors(t, h->kernel * features, columns);
    if (!vectors || !pays(c, t, &s, features, vectors))
        return 0;
    *p = (contraction_plan){.swap = 1,
                            .column = w->axis,
                            .row = h->axis,
                            .inner = s.features,
                            .rows = h->kernel,
                            .vectors = vectors,
                            .unroll = 4,
                            .pieces = 1,
                            .pack = CONTRACTION_STREAM};
    choose_tasks(c, max_batch, p);
    return s.elements;
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
