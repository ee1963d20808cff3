/* runtime/training/adapt.c - what a network's layers know of the training data: statistics of its inputs.
 *
 * Sums are in f64, in the order of the records, so they depend on the data set alone. */
#include "runtime/training/adapt.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/data/data.h"
#include "runtime/model/model.h"
#include "runtime/training/stages.h"
#include <math.h>
#include <stdlib.h>

/* The values of an input that stand in one place of the last dimension: those that are numbers. */
typedef struct {
    const lamina_dataset *data;
    const lamina_tensor *input;
    int32_t number;
    float scale;
    int64_t features, each; /* places; elements of a record */
} values;

typedef void visit(void *context, double value);

static double element_at(const values *v, const void *record, int64_t i)
{
    switch (v->input->dtype) {
    case LAMINA_F32:
        return (double)((const float *)record)[i];
    case LAMINA_F64:
        return ((const double *)record)[i];
    default:
        return (double)lamina_integer_at(v->input->dtype, record, i);
    }
}

static void for_each(const values *v, int64_t feature, visit *f, void *context)
{
    for (int64_t r = 0; r < lamina_dataset_count(v->data); r++) {
        const void *record = lamina_dataset_record(v->data, v->number, r);
        for (int64_t i = feature; i < v->each; i += v->features) {
            float value = (float)element_at(v, record, i) * v->scale; /* as the network reads it */
            if (!isnan(value))
                f(context, (double)value);
        }
    }
}

typedef struct {
    int64_t count;
    double sum, squares, least, most, mean;
    double *list; /* of a median */
} summary;

static void add_value(void *context, double value)
{
    summary *s = context;
    s->least = !s->count || value < s->least ? value : s->least;
    s->most = !s->count || value > s->most ? value : s->most;
    s->sum += value;
    s->count++;
}

static void add_square(void *context, double value)
{
    summary *s = context;
    s->squares += (value - s->mean) * (value - s->mean);
}

static void add_to_list(void *context, double value)
{
    summary *s = context;
    s->list[s->count++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const values *v, int64_t feature, summary *s)
{
    int64_t count = s->count;
    s->count = 0;
    for_each(v, feature, add_to_list, s);
    qsort(s->list, (size_t)count, sizeof *s->list, compare);
    return (s->list[(count - 1) / 2] + s->list[count / 2]) / 2;
}

static double statistic(const values *v, const lamina_tensor *t, int64_t feature, double *list)
{
    summary s = {.list = list};
    for_each(v, feature, add_value, &s);
    if (!s.count)
        return t->init_a;
    s.mean = s.sum / (double)s.count;
    switch (t->init) {
    case LAMINA_INIT_DATA_MEAN:
        return s.mean;
    case LAMINA_INIT_DATA_DEVIATION:
        for_each(v, feature, add_square, &s);
        return s.squares > 0 ? sqrt(s.squares / (double)s.count) : 1;
    case LAMINA_INIT_DATA_MINIMUM:
        return s.least;
    case LAMINA_INIT_DATA_RANGE:
        return s.most > s.least ? s.most - s.least : 1;
    default:
        return median(v, feature, &s);
    }
}

bool lamina_is_of_data(const lamina_tensor *t)
{
    return t->init >= LAMINA_INIT_DATA_MEAN && t->init <= LAMINA_INIT_DATA_MEDIAN;
}

lamina_status lamina_data_statistic(const lamina_tensor *t, const char *input, const lamina_dataset *d, float *out,
                                    lamina_error *e)
{
    const lamina_net *net = lamina_dataset_net(d);
    values v = {.data = d, .number = lamina_net_input(net, input), .scale = (float)t->init_b};
    if (v.number < 0 || !lamina_dataset_has(d, v.number))
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "%s: expected data for input '%s', of which '%s' is a statistic, found none", net->name,
                           input, t->name);
    v.input = &net->inputs[v.number];
    v.features = (int64_t)(t->bytes / sizeof *out);
    v.each = (int64_t)(v.input->bytes / lamina_dtype_bytes(v.input->dtype));
    size_t most = t->init == LAMINA_INIT_DATA_MEDIAN
                      ? (size_t)lamina_dataset_count(d) * (size_t)((v.each - 1) / v.features + 1)
                      : 0;
    double *list = lamina_allocate(most, sizeof *list);
    if (!list)
        return lamina_fail_memory(e, t->name, most * sizeof *list);
    for (int64_t i = 0; i < v.features; i++)
        out[i] = (float)statistic(&v, t, i, list);
    lamina_release(list);
    return LAMINA_OK;
}

lamina_status lamina_adapt(lamina_model *m, const lamina_dataset *d, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_adapt", "m d", m, d);
    if (!s)
        s = lamina_dataset_check_net(d, lamina_model_net(m), e);
    const lamina_net *net = s ? NULL : lamina_model_net(m);
    for (int32_t i = 0; !s && i < net->tensor_count; i++) {
        const lamina_tensor *t = &net->tensors[i];
        if (!lamina_is_of_data(t) || !lamina_model_holds(m, i))
            continue;
        float *values_of_t = lamina_allocate(1, t->bytes);
        if (!values_of_t)
            return lamina_fail_memory(e, t->name, t->bytes);
        s = lamina_data_statistic(t, net->inputs[t->stream].name, d, values_of_t, e);
        if (!s)
            s = lamina_set_tensor(m, t->name, values_of_t, t->bytes, e);
        lamina_release(values_of_t);
    }
    return s;
}

/* The values that a part's tensors begin with; 'done' marks rows that a part before has, or that its weights file
 * may. */
static lamina_status adapt_part(lamina_stages *s, const lamina_part *p, const lamina_dataset *train, bool *done,
                                lamina_error *e)
{
    lamina_status status = LAMINA_OK;
    for (int32_t i = 0; !status && i < p->o.net->tensor_count; i++) {
        const lamina_tensor *t = &p->o.net->tensors[i];
        if (!lamina_is_of_data(t) || done[p->row[i]])
            continue;
        done[p->row[i]] = true;
        if (!p->o.weights)
            status = lamina_data_statistic(t, p->o.net->inputs[t->stream].name, train, s->values[p->row[i]], e);
    }
    return status;
}

lamina_status lamina_stages_adapt(lamina_stages *s, const lamina_dataset *train, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_adapt", "s train", s, train);
    if (status)
        return status;
    bool *done = lamina_allocate((size_t)s->row_count, sizeof *done);
    if (!done)
        return lamina_fail_memory(e, "the stages' tensors", (size_t)s->row_count * sizeof *done);
    for (int32_t p = 0; !status && p <= s->count; p++) {
        const lamina_dataset *own = p < s->count ? s->parts[p].o.train : NULL;
        status = adapt_part(s, &s->parts[p], own ? own : train, done, e);
    }
    lamina_release(done);
    return status;
}
