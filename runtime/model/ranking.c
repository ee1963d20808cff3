/* runtime/model/ranking.c - metrics of the order of all scores: the area under the curve of true against false
 * positives, and average precision.
 *
 * No sums make them, so lamina_evaluate keeps each example's scores and label until the metrics are reset. To be asked
 * for a value they are sorted: a number that orders as the score does, with the label in its lowest bit (so of the
 * softmax, which is kept as a double, the last bit does not count), by one byte after the other. Then one pass from the
 * highest to the lowest threshold counts what lies above it.
 *
 * Memory is taken in lamina_evaluate, for sorting too, so that a value can always be had. */
#include "runtime/model/ranking.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/metrics.h"
#include "runtime/model/model.h"
#include <math.h>
#include <string.h>

/* What all metrics of one output and input are made of. Rows are examples, or of yes and no all but the last dimension
 * of them. */
struct lamina_ranking {
    lamina_ranking *next;
    const lamina_tensor *output, *input;
    int32_t output_number, input_number;
    int64_t classes, rows_each; /* rows of an example */
    bool numbered;              /* a label is a class's number; else there is one for each class, yes or no */
    bool pooled;                /* a metric takes all classes as one */
    bool broken;                /* a score is no number */
    int64_t rows, room;
    double *scores;  /* [rows, classes] */
    int32_t *labels; /* [rows], or [rows, classes] */
    uint64_t *keys;  /* twice as many as are sorted at a time */
};

/* ---- shapes ---- */

static int64_t elements(const lamina_tensor *t)
{
    return (int64_t)(t->bytes / lamina_dtype_bytes(t->dtype));
}

static bool is_numbered(const lamina_tensor *output, const lamina_tensor *input)
{
    return elements(output) != elements(input);
}

static int64_t classes_of(const lamina_tensor *output)
{
    return output->rank > 1 ? output->dim[output->rank - 1] : 1;
}

int64_t lamina_ranking_classes(const lamina_net *net, const lamina_metric *metric)
{
    return classes_of(&net->outputs[metric->sum]);
}

/* ---- memory ---- */

static lamina_ranking *find(const lamina_model *m, const lamina_metric *metric)
{
    lamina_ranking *r = m->rankings;
    while (r && (r->output_number != metric->sum || r->input_number != metric->count))
        r = r->next;
    return r;
}

static lamina_status add_ranking(lamina_model *m, const lamina_metric *metric, lamina_error *e)
{
    const lamina_tensor *output = &m->net->outputs[metric->sum], *input = &m->net->inputs[metric->count];
    lamina_ranking *r = lamina_allocate(1, sizeof *r);
    if (!r)
        return lamina_fail_memory(e, metric->name, sizeof *r);
    *r = (lamina_ranking){.next = m->rankings,
                          .output = output,
                          .input = input,
                          .output_number = metric->sum,
                          .input_number = metric->count,
                          .classes = classes_of(output),
                          .rows_each = elements(output) / classes_of(output),
                          .numbered = is_numbered(output, input)};
    m->rankings = r;
    if (m->ranked[metric->sum])
        return LAMINA_OK;
    size_t bytes = output->bytes * (size_t)m->net->max_batch;
    m->ranked[metric->sum] = lamina_allocate(1, bytes);
    return m->ranked[metric->sum] ? LAMINA_OK : lamina_fail_memory(e, metric->name, bytes);
}

lamina_status lamina_ranking_begin(lamina_model *m, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < m->net->metric_count; i++) {
        const lamina_metric *metric = &m->net->metrics[i];
        if (lamina_metric_sums(metric))
            continue;
        if (!m->ranked && !(m->ranked = lamina_allocate((size_t)m->net->output_count, sizeof *m->ranked)))
            return lamina_fail_memory(e, metric->name, (size_t)m->net->output_count * sizeof *m->ranked);
        if (!find(m, metric))
            s = add_ranking(m, metric, e);
        if (!s)
            find(m, metric)->pooled |= lamina_metric_average(metric) == LAMINA_METRIC_MICRO;
    }
    return s;
}

/* Twice the room, or more; what there was stays as it was if there is none. */
static lamina_status grow(lamina_ranking *r, int64_t rows, lamina_error *e)
{
    if (rows <= r->room)
        return LAMINA_OK;
    size_t room = (size_t)(rows > 2 * r->room ? rows : 2 * r->room), classes = (size_t)r->classes;
    size_t labels = r->numbered ? 1 : classes, kept = (size_t)r->rows;
    double *scores = lamina_allocate(room * classes, sizeof *scores);
    int32_t *truths = lamina_allocate(room * labels, sizeof *truths);
    uint64_t *keys = lamina_allocate(2 * room * (r->pooled ? classes : 1), sizeof *keys);
    if (!scores || !truths || !keys) {
        lamina_release(scores);
        lamina_release(truths);
        lamina_release(keys);
        return lamina_fail_memory(e, "scores in order", room * classes * sizeof *scores);
    }
    if (kept) {
        memcpy(scores, r->scores, kept * classes * sizeof *scores);
        memcpy(truths, r->labels, kept * labels * sizeof *truths);
    }
    lamina_release(r->scores);
    lamina_release(r->labels);
    lamina_release(r->keys);
    r->scores = scores;
    r->labels = truths;
    r->keys = keys;
    r->room = (int64_t)room;
    return LAMINA_OK;
}

void lamina_ranking_reset(lamina_model *m)
{
    for (lamina_ranking *r = m->rankings; r; r = r->next) {
        r->rows = 0;
        r->broken = false;
    }
}

void lamina_ranking_free(lamina_model *m)
{
    for (lamina_ranking *r = m->rankings, *next; r; r = next) {
        next = r->next;
        lamina_release(r->scores);
        lamina_release(r->labels);
        lamina_release(r->keys);
        lamina_release(r);
    }
    for (int32_t i = 0; m->ranked && i < m->net->output_count; i++)
        lamina_release(m->ranked[i]);
    lamina_release(m->ranked);
}

/* ---- scores and labels ---- */

static void softmax(const float *x, int64_t classes, double *out)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < classes; i++)
        most = (double)x[i] > most ? (double)x[i] : most;
    for (int64_t i = 0; i < classes; i++)
        sum += out[i] = exp((double)x[i] - most);
    for (int64_t i = 0; i < classes; i++)
        out[i] /= sum;
}

/* A label as a class's number, or whether it is a yes. */
static int32_t label_at(const lamina_ranking *r, const void *labels, int64_t i)
{
    switch (r->input->dtype) {
    case LAMINA_I32:
        return r->numbered ? ((const int32_t *)labels)[i] : ((const int32_t *)labels)[i] > 0;
    case LAMINA_UI8:
        return r->numbered ? ((const uint8_t *)labels)[i] : ((const uint8_t *)labels)[i] > 0;
    default:
        return ((const float *)labels)[i] > 0.5f;
    }
}

static void add_rows(lamina_ranking *r, const float *said, const void *labels, int64_t rows)
{
    int64_t label_count = r->numbered ? 1 : r->classes;
    for (int64_t i = 0; i < rows; i++) {
        double *scores = r->scores + (r->rows + i) * r->classes;
        if (r->numbered)
            softmax(said + i * r->classes, r->classes, scores);
        for (int64_t k = 0; k < r->classes; k++) {
            scores[k] = r->numbered ? scores[k] : (double)said[i * r->classes + k];
            r->broken |= isnan(scores[k]);
        }
        for (int64_t k = 0; k < label_count; k++)
            r->labels[(r->rows + i) * label_count + k] = label_at(r, labels, i * label_count + k);
    }
    r->rows += rows;
}

lamina_status lamina_ranking_add(lamina_model *m, lamina_error *e)
{
    for (lamina_ranking *r = m->rankings; r; r = r->next) {
        int64_t rows = m->call.batch * r->rows_each;
        lamina_status s = grow(r, r->rows + rows, e);
        if (s)
            return s;
        add_rows(r, m->ranked[r->output_number], m->inputs[r->input_number], rows);
    }
    return LAMINA_OK;
}

/* ---- order ---- */

/* A whole number that orders as the score does; equal ones for 0 and -0. */
static uint64_t key_of(double score, bool yes)
{
    uint64_t bits;
    score += 0.0;
    memcpy(&bits, &score, sizeof bits);
    bits = bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
    return (bits & ~UINT64_C(1)) | yes;
}

/* By one byte after the other, from the lowest; bytes that are all alike are passed over. */
static const uint64_t *sort(uint64_t *keys, uint64_t *other, int64_t count)
{
    for (int shift = 0; shift < 64; shift += 8) {
        int64_t place[257] = {0};
        for (int64_t i = 0; i < count; i++)
            place[(keys[i] >> shift & 255) + 1]++;
        if (place[(keys[0] >> shift & 255) + 1] == count)
            continue;
        for (int b = 0; b < 256; b++)
            place[b + 1] += place[b];
        for (int64_t i = 0; i < count; i++)
            other[place[keys[i] >> shift & 255]++] = keys[i];
        uint64_t *swap = keys;
        keys = other;
        other = swap;
    }
    return keys;
}

static bool is_of(const lamina_ranking *r, int64_t row, int64_t class)
{
    return r->numbered ? r->labels[row] == class : r->labels[row * r->classes + class];
}

typedef struct {
    double area, precision, yes, no;
} curves;

/* From the highest threshold to the lowest; equal scores are one. */
static curves walk(const uint64_t *keys, int64_t count)
{
    curves c = {0};
    for (int64_t end = count, i; end > 0; end = i) {
        double yes = 0;
        for (i = end; i > 0 && keys[i - 1] >> 1 == keys[end - 1] >> 1; i--)
            yes += (double)(keys[i - 1] & 1);
        double no = (double)(end - i) - yes;
        c.area += no * (c.yes + yes / 2);
        c.yes += yes;
        c.no += no;
        c.precision += yes > 0 ? yes * c.yes / (c.yes + c.no) : 0;
    }
    return c;
}

/* Classes first .. end - 1 taken as one. */
static curves measure(const lamina_ranking *r, int64_t first, int64_t end)
{
    int64_t count = 0;
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t k = first; k < end; k++)
            r->keys[count++] = key_of(r->scores[row * r->classes + k], is_of(r, row, k));
    return walk(sort(r->keys, r->keys + count, count), count);
}

/* NaN where there are no examples of one side: for average precision, none that are. */
static double value_of(const lamina_metric *metric, const curves *c)
{
    bool area = lamina_metric_formula(metric) == LAMINA_METRIC_AUC;
    return area ? c->area / (c->yes * c->no) : c->precision / c->yes;
}

double lamina_ranking_value(const lamina_model *m, const lamina_metric *metric)
{
    const lamina_ranking *r = find(m, metric);
    double above = 0, below = 0;
    if (!r || !r->rows || r->broken)
        return NAN;
    if (lamina_metric_average(metric) == LAMINA_METRIC_MICRO) {
        curves c = measure(r, 0, r->classes);
        return value_of(metric, &c);
    }
    for (int64_t k = 0; k < r->classes; k++) {
        curves c = measure(r, k, k + 1);
        double value = value_of(metric, &c),
               weight = lamina_metric_average(metric) == LAMINA_METRIC_WEIGHTED ? c.yes : 1;
        above += isnan(value) ? 0 : weight * value;
        below += isnan(value) ? 0 : weight;
    }
    return above / below;
}

bool lamina_ranking_each(const lamina_model *m, const lamina_metric *metric, double *out)
{
    const lamina_ranking *r = find(m, metric);
    for (int64_t k = 0; r && r->rows && k < r->classes; k++) {
        curves c = measure(r, k, k + 1);
        out[k] = r->broken ? NAN : value_of(metric, &c);
    }
    return r && r->rows;
}
