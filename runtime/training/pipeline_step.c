/* runtime/training/pipeline_step.c - one step of a pipeline.
 *
 * Each stage has an order of its own. 1F1B, three stages, five micro-batches (F forward, B backward, U update):
 *
 *     stage 0   F0 F1 F2       B0 F3 B1 F4 B2    B3    B4 U
 *     stage 1      F0 F1    B0 F2 B1 F3 B2 F4 B3    B4 U
 *     stage 2         F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 U
 *
 * A stage's next piece of work is ready once the values that it reads are there, and those it makes have room. Threads
 * take what is ready, each first of the stage with its own number: no thread waits for one that has not begun, so any
 * number of them does the work of any number of stages, and one alone does it all. Nothing runs in a circle: values go
 * from forward to forward up the stages, from backward to backward down, and a stage waits for room only where micro-
 * batches before have not passed.
 *
 * Within a stage micro-batches come in order, forward and backward. So running statistics change as they do in one
 * process, and gradients and sums of metrics add up as in accumulate.c, stage by stage. */
#include "runtime/base/error.h"
#include "runtime/model/metrics.h"
#include "runtime/model/model.h"
#include "runtime/training/pipeline.h"
#include <inttypes.h>
#include <string.h>
#include <time.h>

typedef enum { NOTHING, FORWARD, BACKWARD, UPDATE } piece;

enum { SPIN_NS = 50 * 1000 };

size_t lamina_pipeline_sums(const lamina_pipeline_stage *stage)
{
    enum { ALIGNMENT = 64 };
    return (size_t)(stage->net->saved_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- what is ready; the lock is held ---- */

static piece next_piece(const lamina_pipeline *p, const lamina_pipeline_stage *stage)
{
    if (stage->forwards < p->micro_batches && stage->forwards - stage->backwards < stage->window)
        return FORWARD;
    if (stage->backwards < p->micro_batches)
        return BACKWARD;
    return stage->updated ? NOTHING : UPDATE;
}

static bool reads_in(const lamina_pipeline_stage *stage, int32_t input, piece what)
{
    return stage->net->input_use[input] & (what == FORWARD ? LAMINA_USE_FORWARD : LAMINA_USE_BACKWARD);
}

static bool makes_in(const lamina_pipeline_stage *stage, int32_t output, piece what)
{
    return stage->net->output_use[output] & (what == FORWARD ? LAMINA_USE_FORWARD : LAMINA_USE_BACKWARD);
}

/* Are all stages here done with value v of micro-batch i? */
static bool has_passed(const lamina_pipeline *p, int32_t v, int64_t i)
{
    for (int32_t k = 0; k < p->count; k++) {
        const lamina_pipeline_stage *stage = &p->stages[k];
        for (int32_t n = 0; stage->model && n < stage->net->input_count; n++)
            if (stage->sources[n].value == v && ((reads_in(stage, n, FORWARD) && stage->forwards <= i) ||
                                                 (reads_in(stage, n, BACKWARD) && stage->backwards <= i)))
                return false;
    }
    return true;
}

static bool has_room(const lamina_pipeline *p, int32_t v, int64_t i)
{
    return i < p->values[v].room || has_passed(p, v, i - p->values[v].room);
}

static bool is_ready(const lamina_pipeline *p, const lamina_pipeline_stage *stage, piece what)
{
    int64_t i = what == FORWARD ? stage->forwards : stage->backwards;
    if (what == NOTHING || what == UPDATE)
        return what;
    for (int32_t n = 0; n < stage->net->input_count; n++)
        if (stage->sources[n].value >= 0 && reads_in(stage, n, what) && p->values[stage->sources[n].value].made <= i)
            return false;
    for (int32_t n = 0; n < stage->net->output_count; n++)
        if (makes_in(stage, n, what) && !has_room(p, stage->values[n], i))
            return false;
    return true;
}

/* ---- doing it; the lock is not held, the stage is busy ---- */

static void *slot_of(const lamina_pipeline_value *v, int64_t i)
{
    return v->slots.at[i % v->room];
}

static int64_t examples_of(const lamina_pipeline *p, int64_t i)
{
    int64_t left = p->examples - i * p->micro_batch;
    return left < p->micro_batch ? left : p->micro_batch;
}

static void set_call(const lamina_pipeline *p, const lamina_pipeline_stage *stage, int64_t i)
{
    lamina_model *m = stage->model;
    for (int32_t n = 0; n < stage->net->input_count; n++) {
        const lamina_pipeline_source *from = &stage->sources[n];
        const lamina_tensor *t = &stage->net->inputs[n];
        uint64_t before = t->batch_dim < 0 ? 0 : (uint64_t)(i * p->micro_batch) * t->bytes;
        m->inputs[n] =
            from->value >= 0 ? slot_of(&p->values[from->value], i) : (const char *)p->inputs[from->field] + before;
    }
    for (int32_t n = 0; n < stage->net->output_count; n++)
        m->outputs[n] = slot_of(&p->values[stage->values[n]], i);
    m->call.inputs = m->inputs;
    m->call.outputs = m->outputs;
    m->call.batch = examples_of(p, i);
    m->call.micro_batch = i;
    m->call.loss_scale = 1.0f / (float)p->examples;
    m->call.saved = stage->slots.at[i % stage->window];
}

/* The sums that the forward of the micro-batch in the call made, until its backward. */
static double *forward_sums(const lamina_pipeline_stage *stage)
{
    return (double *)(void *)((char *)stage->model->call.saved + lamina_pipeline_sums(stage));
}

static lamina_status run_forward(lamina_pipeline_stage *stage, lamina_error *e)
{
    lamina_model *m = stage->model;
    lamina_read_sums(m, stage->sums);
    lamina_reset_metrics(m);
    lamina_status s = lamina_run(m, stage->net->stages[0].forward, "forward", e);
    lamina_read_sums(m, forward_sums(stage));
    lamina_write_sums(m, stage->sums);
    return s;
}

static lamina_status run_backward(lamina_pipeline_stage *stage, lamina_error *e)
{
    lamina_model *m = stage->model;
    lamina_status s = lamina_begin_micro_batch(m, e);
    if (s)
        return s;
    lamina_write_sums(m, forward_sums(stage));
    s = lamina_run(m, stage->net->stages[0].backward, "backward", e);
    lamina_end_micro_batch(m, s == LAMINA_OK);
    return s;
}

static lamina_status send_values(lamina_pipeline *p, const lamina_pipeline_stage *stage, piece what, int64_t i,
                                 lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t n = 0; !s && n < stage->net->output_count; n++) {
        const lamina_pipeline_value *v = &p->values[stage->values[n]];
        if (!makes_in(stage, n, what) || !v->reader_count)
            continue;
        uint64_t bytes = v->type->bytes * (v->type->batch_dim < 0 ? 1 : (uint64_t)examples_of(p, i));
        const lamina_parcel parcel = {.value = stage->values[n],
                                      .step = p->step,
                                      .micro_batch = i,
                                      .data = slot_of(v, i),
                                      .bytes = bytes,
                                      .to = v->readers,
                                      .to_count = v->reader_count};
        s = p->options.send(p->options.user, &parcel, e);
    }
    return s;
}

static lamina_status run_piece(lamina_pipeline *p, lamina_pipeline_stage *stage, piece what, int64_t i, lamina_error *e)
{
    lamina_model *m = stage->model;
    if (what == UPDATE) {
        m->call.micro_batch = 0;
        lamina_status ready = lamina_take_rate(m, "update", e);
        return ready ? ready : lamina_run_update(m, e);
    }
    set_call(p, stage, i);
    lamina_status s = what == FORWARD ? run_forward(stage, e) : run_backward(stage, e);
    m->call.saved = NULL;
    return s ? s : send_values(p, stage, what, i, e);
}

/* ---- threads ---- */

static void tell(lamina_pipeline *p)
{
    atomic_fetch_add(&p->changes, 1);
    pthread_cond_broadcast(&p->changed);
}

static void fail(lamina_pipeline *p, const lamina_error *e)
{
    if (!p->failed)
        p->error = *e;
    p->failed = true;
}

static void finish_piece(lamina_pipeline *p, lamina_pipeline_stage *stage, piece what)
{
    for (int32_t n = 0; what != UPDATE && n < stage->net->output_count; n++)
        p->values[stage->values[n]].made += makes_in(stage, n, what);
    stage->forwards += what == FORWARD;
    stage->backwards += what == BACKWARD;
    stage->updated |= what == UPDATE;
}

static void work_on(lamina_pipeline *p, lamina_pipeline_stage *stage, piece what)
{
    lamina_error e = {.status = LAMINA_OK};
    int64_t i = what == FORWARD ? stage->forwards : stage->backwards;
    stage->busy = true;
    pthread_mutex_unlock(&p->lock);
    lamina_status s = run_piece(p, stage, what, i, &e);
    pthread_mutex_lock(&p->lock);
    stage->busy = false;
    if (s)
        fail(p, &e);
    else
        finish_piece(p, stage, what);
    tell(p);
}

/* The first stage with something to do, from the thread's own on. *left: some stage has not ended yet. */
static lamina_pipeline_stage *find_work(const lamina_pipeline *p, int64_t thread, piece *what, bool *left)
{
    *left = false;
    for (int32_t k = 0; k < p->options.here; k++) {
        int32_t number = p->options.first + (int32_t)((thread + k) % p->options.here);
        lamina_pipeline_stage *stage = &p->stages[number];
        *what = next_piece(p, stage);
        *left |= *what != NOTHING;
        if (!stage->busy && is_ready(p, stage, *what))
            return stage;
    }
    return NULL;
}

static bool anyone_works(const lamina_pipeline *p)
{
    for (int32_t i = 0; i < p->count; i++)
        if (p->stages[i].busy)
            return true;
    return false;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Until something changes. A thread that sleeps wakes late: most pieces of work are short, so it looks around first. */
static void wait_for_change(lamina_pipeline *p)
{
    unsigned seen = atomic_load(&p->changes);
    if (p->spins) {
        pthread_mutex_unlock(&p->lock);
        for (int64_t end = now_ns() + SPIN_NS; atomic_load(&p->changes) == seen && now_ns() < end;)
            ;
        pthread_mutex_lock(&p->lock);
    }
    while (atomic_load(&p->changes) == seen)
        pthread_cond_wait(&p->changed, &p->lock);
}

/* Stages that wait for each other in a circle, as no compiler makes them, would wait for ever. */
static void fail_waiting(lamina_pipeline *p)
{
    lamina_error e;
    lamina_fail(&e, LAMINA_BAD_ARG, "pipeline: expected stages of which one can always go on, found all waiting");
    fail(p, &e);
    tell(p);
}

static void run_thread(void *pipeline, int64_t thread)
{
    lamina_pipeline *p = pipeline;
    bool left = true;
    pthread_mutex_lock(&p->lock);
    while (left && !p->failed) {
        piece what;
        lamina_pipeline_stage *stage = find_work(p, thread, &what, &left);
        if (stage)
            work_on(p, stage, what);
        else if (left && p->options.here == p->count && !anyone_works(p))
            fail_waiting(p);
        else if (left)
            wait_for_change(p);
    }
    pthread_mutex_unlock(&p->lock);
}

/* ---- the step ---- */

static lamina_status check_step(const lamina_pipeline *p, const void *const *inputs, int64_t count, lamina_error *e)
{
    if (count < 1)
        return lamina_fail(e, LAMINA_BAD_ARG, "pipeline: count: expected 1 or more, found %" PRId64, count);
    for (int32_t k = 0; k < p->count; k++)
        for (int32_t n = 0; p->stages[k].model && n < p->stages[k].net->input_count; n++) {
            int32_t field = p->stages[k].sources[n].field;
            if (field >= 0 && !inputs[field])
                return lamina_fail(e, LAMINA_BAD_ARG, "pipeline: input '%s': expected data, found NULL",
                                   p->fields.inputs[field].name);
        }
    return LAMINA_OK;
}

static void begin_step(lamina_pipeline *p, const void *const *inputs, int64_t count, int64_t micro_batches)
{
    pthread_mutex_lock(&p->lock);
    p->failed = p->stopped;
    p->micro_batches = micro_batches;
    p->inputs = inputs;
    p->examples = count;
    p->step++;
    for (int32_t i = 0; i < p->count; i++) {
        lamina_pipeline_stage *stage = &p->stages[i];
        stage->window = lamina_pipeline_window(p, i, p->micro_batches);
        stage->forwards = stage->backwards = 0;
        stage->updated = false;
        if (stage->model)
            stage->model->gathered = 0;
    }
    for (int32_t v = 0; v < p->value_count; v++) {
        p->values[v].room = lamina_pipeline_window(p, p->values[v].first, p->micro_batches);
        p->values[v].made = 0;
    }
    tell(p);
    pthread_mutex_unlock(&p->lock);
}

lamina_status lamina_pipeline_train_step(lamina_pipeline *p, const void *const *inputs, int64_t count, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_pipeline_train_step", "p inputs", p, inputs);
    if (s || (s = check_step(p, inputs, count, e)))
        return s;
    int64_t micro_batches = (count - 1) / p->micro_batch + 1;
    if ((s = lamina_pipeline_reserve(p, micro_batches, e)))
        return s;
    begin_step(p, inputs, count, micro_batches);
    lamina_pool_run(p->pool, run_thread, p, p->options.threads);
    pthread_mutex_lock(&p->lock);
    s = p->failed ? lamina_fail(e, p->error.status, "%s", p->error.text) : LAMINA_OK;
    pthread_mutex_unlock(&p->lock);
    return s;
}

/* ---- values from elsewhere ---- */

static lamina_status check_parcel(const lamina_pipeline *p, const lamina_parcel *parcel, lamina_error *e)
{
    bool known = parcel->value >= 0 && parcel->value < p->value_count;
    const lamina_pipeline_value *v = known ? &p->values[parcel->value] : NULL;
    if (!known || !v->used || lamina_pipeline_has(p, v->maker))
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "parcel: expected a value from elsewhere to a stage here, found number %" PRId32,
                           parcel->value);
    return LAMINA_OK;
}

/* Of the step that runs, next in order, as large as it must be. */
static lamina_status check_order(const lamina_pipeline *p, const lamina_parcel *parcel, lamina_error *e)
{
    const lamina_pipeline_value *v = &p->values[parcel->value];
    if (parcel->step != p->step || parcel->micro_batch != v->made || v->made >= p->micro_batches)
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "parcel '%s': expected micro-batch %" PRId64 " of step %" PRId64 ", found %" PRId64
                           " of %" PRId64,
                           v->type->name, v->made, p->step, parcel->micro_batch, parcel->step);
    uint64_t bytes = v->type->bytes * (v->type->batch_dim < 0 ? 1 : (uint64_t)examples_of(p, parcel->micro_batch));
    if (parcel->bytes != bytes)
        return lamina_fail(e, LAMINA_BAD_ARG, "parcel '%s': expected %" PRIu64 " bytes, found %zu", v->type->name,
                           bytes, parcel->bytes);
    return LAMINA_OK;
}

static bool must_wait(const lamina_pipeline *p, const lamina_parcel *parcel)
{
    if (p->failed)
        return false;
    bool now = parcel->step == p->step && parcel->micro_batch < p->micro_batches;
    return parcel->step > p->step || (now && !has_room(p, parcel->value, parcel->micro_batch));
}

lamina_status lamina_pipeline_deliver(lamina_pipeline *p, const lamina_parcel *parcel, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_pipeline_deliver", "p parcel", p, parcel);
    if (s || (s = check_parcel(p, parcel, e)))
        return s;
    pthread_mutex_lock(&p->lock);
    while (must_wait(p, parcel))
        pthread_cond_wait(&p->changed, &p->lock);
    s = p->failed ? lamina_fail(e, p->error.status, "%s", p->error.text) : check_order(p, parcel, e);
    if (!s) {
        lamina_pipeline_value *v = &p->values[parcel->value];
        memcpy(slot_of(v, parcel->micro_batch), parcel->data, parcel->bytes);
        v->made++;
        tell(p);
    }
    pthread_mutex_unlock(&p->lock);
    return s;
}

void lamina_pipeline_stop(lamina_pipeline *p, const char *why)
{
    lamina_error e;
    lamina_fail(&e, LAMINA_INTERRUPTED, "%s", why);
    pthread_mutex_lock(&p->lock);
    p->stopped = true;
    fail(p, &e);
    tell(p);
    pthread_mutex_unlock(&p->lock);
}
