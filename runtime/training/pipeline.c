/* runtime/training/pipeline.c - stages that learn together, each from a library of its own.
 *
 * What a stage reads is found by name: an output of another stage's, or else a field of the data. Stages elsewhere are
 * known by their descriptions alone; all memory is that of the stages here. */
#include "runtime/training/pipeline.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/data.h"
#include "runtime/model/metrics.h"
#include "runtime/model/model.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

bool lamina_pipeline_has(const lamina_pipeline *p, int32_t stage)
{
    return stage >= p->options.first && stage - p->options.first < p->options.here;
}

/* ---- what reads what ---- */

static bool is_stage(const lamina_net *net)
{
    return net->struct_size >= offsetof(lamina_net, output_use) + sizeof net->output_use && net->stage_count == 1 &&
           (net->input_use || !net->input_count) && (net->output_use || !net->output_count) && net->update &&
           net->stages[0].forward && net->stages[0].backward;
}

static int32_t find_value(const lamina_pipeline *p, const char *name)
{
    for (int32_t v = 0; v < p->value_count; v++)
        if (strcmp(p->values[v].type->name, name) == 0)
            return v;
    return -1;
}

static lamina_status add_value(lamina_pipeline *p, int32_t stage, int32_t output, lamina_error *e)
{
    const lamina_net *net = p->stages[stage].net;
    const lamina_tensor *t = &net->outputs[output];
    int32_t other = find_value(p, t->name);
    if (other >= 0)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: output '%s': expected what no other stage makes, found that of %s",
                           net->name, t->name, p->stages[p->values[other].maker].net->name);
    lamina_pipeline_value *v = &p->values[p->value_count];
    *v = (lamina_pipeline_value){.type = t, .maker = stage, .output = output, .first = stage};
    v->backward = net->output_use[output] & LAMINA_USE_BACKWARD;
    v->used = lamina_pipeline_has(p, stage);
    v->readers = lamina_allocate((size_t)p->count, sizeof *v->readers);
    p->stages[stage].values[output] = p->value_count++;
    return v->readers ? LAMINA_OK : lamina_fail_memory(e, net->name, (size_t)p->count * sizeof *v->readers);
}

static int32_t find_field(const lamina_pipeline *p, const char *name)
{
    for (int32_t i = 0; i < p->fields.input_count; i++)
        if (strcmp(p->field_rows[i].name, name) == 0)
            return i;
    return -1;
}

static lamina_status same_types(const lamina_net *net, const lamina_tensor *t, const lamina_tensor *first,
                                lamina_error *e)
{
    if (lamina_same_type(t, first))
        return LAMINA_OK;
    char want[128], found[128];
    lamina_shape_text(first->dtype, first->rank, first->dim, first->batch_dim, want, sizeof want);
    lamina_shape_text(t->dtype, t->rank, t->dim, t->batch_dim, found, sizeof found);
    return lamina_fail(e, LAMINA_BAD_ARG, "%s: input '%s': expected %s as in other stages, found %s", net->name,
                       t->name, want, found);
}

static lamina_status read_value(lamina_pipeline *p, int32_t stage, const lamina_tensor *t, int32_t number,
                                lamina_error *e)
{
    if (number < 0)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: input '%s': expected a stage that makes it, found none",
                           p->stages[stage].net->name, t->name);
    lamina_pipeline_value *v = &p->values[number];
    v->first = stage < v->first ? stage : v->first;
    v->used |= lamina_pipeline_has(p, stage);
    if (stage != v->maker && !lamina_pipeline_has(p, stage))
        v->readers[v->reader_count++] = stage;
    return same_types(p->stages[stage].net, t, v->type, e);
}

static lamina_status add_source(lamina_pipeline *p, int32_t stage, int32_t input, lamina_error *e)
{
    const lamina_net *net = p->stages[stage].net;
    const lamina_tensor *t = &net->inputs[input];
    lamina_pipeline_source *source = &p->stages[stage].sources[input];
    *source = (lamina_pipeline_source){-1, -1};
    if (net->input_use[input] & LAMINA_USE_BOUNDARY) {
        source->value = find_value(p, t->name);
        return read_value(p, stage, t, source->value, e);
    }
    source->field = find_field(p, t->name);
    if (source->field >= 0)
        return same_types(net, t, &p->field_rows[source->field], e);
    source->field = p->fields.input_count++;
    p->field_rows[source->field] = *t;
    return LAMINA_OK;
}

static void add_metric(lamina_pipeline *p, const lamina_metric *metric)
{
    for (int32_t i = 0; i < p->fields.metric_count; i++)
        if (strcmp(p->metric_rows[i].name, metric->name) == 0)
            return;
    p->metric_rows[p->fields.metric_count++] = *metric;
}

static lamina_status check_stages(const lamina_pipeline *p, lamina_error *e)
{
    for (int32_t i = 0; i < p->count; i++) {
        const lamina_net *net = p->stages[i].net;
        lamina_status s = !net || lamina_pipeline_has(p, i) ? lamina_net_check(net, e) : LAMINA_OK;
        if (s)
            return s;
        if (!is_stage(net))
            return lamina_fail(e, LAMINA_BAD_ARG,
                               "%s: expected the library of one stage, as lamina compile --emit-stages makes it, found "
                               "another",
                               net->name);
        if (strcmp(net->hash, p->stages[0].net->hash) != 0)
            return lamina_fail(e, LAMINA_BAD_ARG, "%s: expected a stage of the network of %s, found one of another",
                               net->name, p->stages[0].net->name);
    }
    return LAMINA_OK;
}

static lamina_status add_tables(lamina_pipeline *p, lamina_error *e)
{
    size_t inputs = 0, outputs = 0, metrics = 0;
    for (int32_t i = 0; i < p->count; i++) {
        lamina_pipeline_stage *stage = &p->stages[i];
        stage->sources = lamina_allocate((size_t)stage->net->input_count, sizeof *stage->sources);
        stage->values = lamina_allocate((size_t)stage->net->output_count, sizeof *stage->values);
        if (!stage->sources || !stage->values)
            return lamina_fail_memory(e, stage->net->name, (size_t)stage->net->input_count * sizeof *stage->sources);
        inputs += (size_t)stage->net->input_count;
        outputs += (size_t)stage->net->output_count;
        metrics += (size_t)stage->net->metric_count;
    }
    p->values = lamina_allocate(outputs, sizeof *p->values);
    p->field_rows = lamina_allocate(inputs, sizeof *p->field_rows);
    p->metric_rows = lamina_allocate(metrics, sizeof *p->metric_rows);
    if (!p->values || !p->field_rows || !p->metric_rows)
        return lamina_fail_memory(e, "the pipeline", (inputs + outputs) * sizeof *p->field_rows);
    p->fields = *p->stages[0].net;
    p->fields.inputs = p->field_rows;
    p->fields.metrics = p->metric_rows;
    p->fields.input_count = p->fields.metric_count = 0;
    return LAMINA_OK;
}

static lamina_status connect(lamina_pipeline *p, lamina_error *e)
{
    lamina_status s = add_tables(p, e);
    for (int32_t i = 0; !s && i < p->count; i++)
        for (int32_t k = 0; !s && k < p->stages[i].net->output_count; k++)
            s = add_value(p, i, k, e);
    for (int32_t i = 0; !s && i < p->count; i++)
        for (int32_t k = 0; !s && k < p->stages[i].net->input_count; k++)
            s = add_source(p, i, k, e);
    for (int32_t i = 0; !s && i < p->count; i++)
        for (int32_t k = 0; k < p->stages[i].net->metric_count; k++)
            add_metric(p, &p->stages[i].net->metrics[k]);
    return s;
}

/* ---- memory ---- */

int64_t lamina_pipeline_window(const lamina_pipeline *p, int32_t stage, int64_t micro_batches)
{
    int64_t most = p->options.schedule == LAMINA_GPIPE ? micro_batches : p->count - stage;
    return most < micro_batches ? most : micro_batches;
}

/* What it has stays, whether or not there is more. */
static lamina_status grow(lamina_slots *slots, int64_t wanted, size_t bytes, const char *what, lamina_error *e)
{
    if (wanted <= slots->count)
        return LAMINA_OK;
    void **more = lamina_allocate((size_t)wanted, sizeof *more);
    if (!more)
        return lamina_fail_memory(e, what, (size_t)wanted * sizeof *more);
    for (int64_t i = 0; i < slots->count; i++)
        more[i] = slots->at[i];
    lamina_release(slots->at);
    slots->at = more;
    for (; slots->count < wanted; slots->count++)
        if (!(more[slots->count] = lamina_allocate(1, bytes)))
            return lamina_fail_memory(e, what, bytes);
    return LAMINA_OK;
}

static void release_slots(const lamina_slots *slots)
{
    for (int64_t i = 0; i < slots->count; i++)
        lamina_release(slots->at[i]);
    lamina_release(slots->at);
}

static size_t value_bytes(const lamina_pipeline *p, const lamina_pipeline_value *v)
{
    return v->type->batch_dim < 0 ? v->type->bytes : v->type->bytes * (size_t)p->micro_batch;
}

static lamina_status reserve_stage(lamina_pipeline *p, int32_t i, int64_t micro_batches, lamina_error *e)
{
    lamina_pipeline_stage *stage = &p->stages[i];
    size_t bytes = lamina_pipeline_sums(stage) + sizeof(double) * (size_t)lamina_sum_count(stage->net);
    lamina_status s = grow(&stage->slots, lamina_pipeline_window(p, i, micro_batches), bytes, stage->net->name, e);
    return s ? s : lamina_reserve(stage->model, micro_batches, e);
}

lamina_status lamina_pipeline_reserve(lamina_pipeline *p, int64_t micro_batches, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < p->count; i++)
        if (p->stages[i].model)
            s = reserve_stage(p, i, micro_batches, e);
    for (int32_t v = 0; !s && v < p->value_count; v++) {
        lamina_pipeline_value *value = &p->values[v];
        if (value->used)
            s = grow(&value->slots, lamina_pipeline_window(p, value->first, micro_batches), value_bytes(p, value),
                     value->type->name, e);
    }
    return s;
}

/* ---- life ---- */

/* Its calls have `saved` in slots, one for each micro-batch on its way. */
static void release_saved(lamina_model *m)
{
    lamina_release(m->call.saved);
    m->call.saved = NULL;
    m->bytes -= m->sizes.saved;
}

static lamina_status add_models(lamina_pipeline *p, lamina_error *e)
{
    lamina_options options = p->options.stage;
    options.staged = true;
    options.inference = false;
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < p->count; i++) {
        lamina_pipeline_stage *stage = &p->stages[i];
        if (!lamina_pipeline_has(p, i))
            continue;
        if ((s = lamina_model_new(stage->net, &options, &stage->model, e)))
            return s;
        release_saved(stage->model);
        size_t sums = (size_t)lamina_sum_count(stage->net);
        stage->sums = lamina_allocate(sums, sizeof *stage->sums);
        s = stage->sums ? LAMINA_OK : lamina_fail_memory(e, stage->net->name, sums * sizeof *stage->sums);
    }
    return s;
}

static lamina_status check_options(lamina_pipeline *p, lamina_error *e)
{
    lamina_pipeline_options *o = &p->options;
    int64_t most = INT64_MAX;
    for (int32_t i = 0; i < p->count; i++)
        if (p->stages[i].net && p->stages[i].net->max_batch < most)
            most = p->stages[i].net->max_batch;
    p->micro_batch = o->micro_batch ? o->micro_batch : most;
    if (o->first < 0 || o->first >= p->count)
        return lamina_fail(e, LAMINA_BAD_ARG, "pipeline: first: expected a stage from 0 to %" PRId32 ", found %" PRId32,
                           p->count - 1, o->first);
    if (o->here < 0 || o->here > p->count - o->first)
        return lamina_fail(e, LAMINA_BAD_ARG, "pipeline: here: expected 0 to %" PRId32 " stages, found %" PRId32,
                           p->count - o->first, o->here);
    o->here = o->here ? o->here : p->count - o->first;
    if (o->here < p->count && !o->send)
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "pipeline: send: expected a function, as stages are elsewhere, found NULL");
    if (p->micro_batch < 1 || p->micro_batch > most)
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "pipeline: micro_batch: expected 1 to %" PRId64 " examples, found %" PRId64, most,
                           p->micro_batch);
    if (o->threads < 0)
        return lamina_fail(e, LAMINA_BAD_ARG, "pipeline: threads: expected 0 or more, found %" PRId64, o->threads);
    o->threads = o->threads ? o->threads : o->here;
    return LAMINA_OK;
}

static lamina_status prepare(lamina_pipeline *p, lamina_error *e)
{
    lamina_status s;
    if ((s = check_options(p, e)) || (s = check_stages(p, e)) || (s = connect(p, e)) || (s = add_models(p, e)) ||
        (s = lamina_pool_new(p->options.threads, p->options.stage.dedicated, &p->pool, e)))
        return s;
    p->spins = p->options.threads <= lamina_processors();
    return LAMINA_OK;
}

lamina_status lamina_pipeline_new(const lamina_net *const *nets, int32_t count, const lamina_pipeline_options *options,
                                  lamina_pipeline **out, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_pipeline_new", "nets out", nets, out);
    if (s)
        return s;
    *out = NULL;
    if (count < 1)
        return lamina_fail(e, LAMINA_BAD_ARG, "pipeline: expected one stage or more, found %" PRId32, count);
    lamina_pipeline *p = lamina_allocate(1, sizeof *p);
    lamina_pipeline_stage *stages = p ? lamina_allocate((size_t)count, sizeof *stages) : NULL;
    if (!stages) {
        lamina_release(p);
        return lamina_fail_memory(e, "the pipeline", sizeof *p + (size_t)count * sizeof *stages);
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    p->options = options ? *options : (lamina_pipeline_options){.here = 0};
    p->count = count;
    p->stages = stages;
    p->step = -1;
    for (int32_t i = 0; i < count; i++)
        stages[i].net = nets[i];
    s = prepare(p, e);
    if (s)
        lamina_pipeline_free(p);
    else
        *out = p;
    return s;
}

void lamina_pipeline_free(lamina_pipeline *p)
{
    if (!p)
        return;
    lamina_pool_free(p->pool);
    for (int32_t i = 0; i < p->count; i++) {
        lamina_pipeline_stage *stage = &p->stages[i];
        lamina_model_free(stage->model);
        lamina_release(stage->sources);
        lamina_release(stage->values);
        lamina_release(stage->sums);
        release_slots(&stage->slots);
    }
    for (int32_t v = 0; v < p->value_count; v++) {
        lamina_release(p->values[v].readers);
        release_slots(&p->values[v].slots);
    }
    lamina_release(p->stages);
    lamina_release(p->values);
    lamina_release(p->field_rows);
    lamina_release(p->metric_rows);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    lamina_release(p);
}

/* ---- what a program asks ---- */

lamina_status lamina_pipeline_initialize(lamina_pipeline *p, uint64_t seed, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_pipeline_initialize", "p", p);
    for (int32_t i = 0; !s && i < p->count; i++)
        if (p->stages[i].model)
            s = lamina_initialize(p->stages[i].model, seed, e);
    return s;
}

lamina_model *lamina_pipeline_model(lamina_pipeline *p, int32_t stage)
{
    return stage >= 0 && stage < p->count ? p->stages[stage].model : NULL;
}

const lamina_net *lamina_pipeline_fields(const lamina_pipeline *p)
{
    return &p->fields;
}

size_t lamina_pipeline_parcel_bytes(const lamina_pipeline *p)
{
    size_t most = 0;
    for (int32_t v = 0; v < p->value_count; v++)
        most = value_bytes(p, &p->values[v]) > most ? value_bytes(p, &p->values[v]) : most;
    return most;
}

static bool has_any(const double *sum, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (sum[i] != 0)
            return true;
    return false;
}

/* Each state is made by one stage, and 0 in others that have it: a metric's sums are those of the stage that makes
 * them. */
double lamina_pipeline_metric_value(const lamina_pipeline *p, int32_t index)
{
    double count = 0;
    const double *sum = NULL;
    const lamina_net *of = NULL;
    int32_t number = 0;
    for (int32_t i = 0; i < p->count && index >= 0 && index < p->fields.metric_count; i++)
        for (int32_t k = 0; p->stages[i].model && k < p->stages[i].net->metric_count; k++)
            if (strcmp(p->stages[i].net->metrics[k].name, p->metric_rows[index].name) == 0) {
                const double *here = lamina_metric_sum(p->stages[i].model, k);
                count += *lamina_metric_count(p->stages[i].model, k);
                if (!sum || has_any(here, lamina_metric_width(p->stages[i].net, k))) {
                    sum = here;
                    of = p->stages[i].net;
                    number = k;
                }
            }
    return of ? lamina_metric_of(of, number, sum, count) : NAN;
}

void lamina_pipeline_reset_metrics(lamina_pipeline *p)
{
    for (int32_t i = 0; i < p->count; i++)
        if (p->stages[i].model)
            lamina_reset_metrics(p->stages[i].model);
}
