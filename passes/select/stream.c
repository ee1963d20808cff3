/* passes/select/stream.c - is a convolution of few features faster with the image's columns in the lanes than with its
 * features (ir/contraction/stream.c)? If so, its plan. */
#include "passes/select/plans.h"

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
    int64_t wanted = select_wanted_tasks(c, max_batch);
    bool batch = c->axis[0].batch && (max_batch >= FEW || max_batch >= wanted);
    int64_t steps = batch ? max_batch * c->axis[0].n : h->out;
    p->cut = batch ? 0 : h->axis;
    p->chunk = (steps + wanted - 1) / wanted;
    if (!batch && p->chunk < OVERLAP * h->kernel)
        p->chunk = OVERLAP * h->kernel;
}

int64_t select_stream(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p)
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
