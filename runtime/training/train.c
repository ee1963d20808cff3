/* runtime/training/train.c - the training loop.
 *
 *     for each epoch: a new order; for each batch: a step, the loss checked, a report; then validation and a report
 *
 * Metric sums are states of the net: they start at zero with the epoch, steps add to them, and a checkpoint in the
 * middle of an epoch holds them. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/reader.h"
#include "runtime/model/metrics.h"
#include "runtime/training/watch.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct {
    lamina_model *m;
    const lamina_fit_options *o;
    lamina_reader reader;
    lamina_report report;
    double *train, *validation;                         /* a value for each metric */
    lamina_numbers *train_numbers, *validation_numbers; /* what some are besides; or NULL */
    int32_t loss;                                       /* the metric that must stay finite, or -1 */
    int64_t batch, taken;                               /* examples in a step; steps taken by this call */
    int64_t epoch, step;                                /* done, as in lamina_checkpoint */
    uint64_t data;                                      /* fingerprint */
    lamina_watcher watcher;
    double began;
} fit;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void read_metrics(const lamina_model *m, double *values)
{
    for (int32_t i = 0; i < m->net->metric_count; i++)
        values[i] = lamina_metric_value(m, i);
}

static lamina_checkpoint place(const fit *f)
{
    return (lamina_checkpoint){f->epoch, f->step, f->batch, f->o->seed, f->data};
}

static void tell(fit *f, lamina_event event)
{
    f->report.event = event;
    f->report.at = place(f);
    f->report.total_seconds = now() - f->began;
    if (f->o->report)
        f->o->report(f->o->user, &f->report);
}

lamina_status lamina_evaluate_dataset(lamina_model *m, const lamina_dataset *d, double *values, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_evaluate_dataset", "m d", m, d);
    if (s)
        return s;
    lamina_loader loader;
    if (!(s = lamina_dataset_check_net(d, m->net, e)))
        s = lamina_loader_new(d, m->net->max_batch, false, &loader, e);
    if (s)
        return s;
    lamina_reset_metrics(m);
    int64_t count = 1;
    while (!s && count > 0)
        if (!(s = lamina_loader_next(&loader, &count, e)) && count > 0)
            s = lamina_evaluate(m, loader.inputs, count, e);
    lamina_loader_free(&loader);
    if (!s && values)
        read_metrics(m, values);
    return s;
}

/* ---- an epoch ---- */

/* The loss is what its examples make of it: where one of them holds no number, that is what is wrong. */
static lamina_status fail_loss(fit *f, int64_t count, lamina_error *e)
{
    lamina_bad_value bad;
    char cause[768] = "";
    if (lamina_reader_bad_value(&f->reader, count, &bad))
        snprintf(cause, sizeof cause, "; %s: input '%s': record %" PRId64 ": expected finite values, found %g",
                 bad.source, bad.input, bad.record, bad.value);
    return lamina_fail(e, LAMINA_NOT_FINITE,
                       "%s: the loss is not finite (%g) at step %" PRId64 " of epoch %" PRId64 " (step %" PRId64
                       " in all), learning rate %g%s",
                       f->m->net->name, f->train[f->loss], f->step, f->epoch + 1, lamina_steps(f->m),
                       f->report.learning_rate, cause);
}

/* The sum of losses over an epoch stops being finite at the first step whose loss is not. */
static lamina_status check_loss(fit *f, int64_t count, lamina_error *e)
{
    bool sound = f->loss < 0 || isfinite(f->train[f->loss]);
    return sound ? LAMINA_OK : fail_loss(f, count, e);
}

static lamina_status take_step(fit *f, int64_t count, lamina_error *e)
{
    if (f->o->before)
        f->o->before(f->o->user, f->reader.inputs, count);
    double start = now();
    f->report.learning_rate = (double)lamina_learning_rate(f->m);
    lamina_status s = lamina_train_step(f->m, f->reader.inputs, count, e);
    if (s)
        return s;
    f->step++;
    f->taken++;
    read_metrics(f->m, f->train);
    f->report.step = f->step;
    f->report.total_steps = lamina_steps(f->m);
    f->report.examples += count;
    f->report.seconds += now() - start;
    if ((s = check_loss(f, count, e)))
        return s;
    tell(f, LAMINA_EVENT_STEP);
    return LAMINA_OK;
}

static bool stopped(const fit *f)
{
    return f->o->stop && *f->o->stop;
}

static bool enough(const fit *f)
{
    return f->o->max_steps > 0 && f->taken >= f->o->max_steps;
}

/* *ended: the epoch was done to its end. */
static lamina_status train_epoch(fit *f, bool *ended, lamina_error *e)
{
    *ended = false;
    for (;;) {
        if (stopped(f))
            return lamina_fail(e, LAMINA_INTERRUPTED, "%s: interrupted after step %" PRId64 " of epoch %" PRId64,
                               f->m->net->name, f->step, f->epoch + 1);
        if (f->step < f->report.steps && enough(f))
            return LAMINA_OK;
        int64_t count;
        double start = now();
        lamina_status s = lamina_reader_next(&f->reader, &count, e);
        f->report.seconds += now() - start;
        *ended = !s && count == 0;
        if (!s && !*ended)
            s = take_step(f, count, e);
        if (s || *ended)
            return s;
    }
}

static lamina_status end_epoch(fit *f, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    read_metrics(f->m, f->train); /* those of a checkpoint, if it stood at the end of the epoch */
    lamina_numbers_read(f->m, f->train_numbers);
    f->report.train_numbers = f->train_numbers;
    f->report.validation = NULL;
    if (f->o->validation && !(s = lamina_evaluate_dataset(f->m, f->o->validation, f->validation, e))) {
        lamina_numbers_read(f->m, f->validation_numbers);
        f->report.validation = f->validation;
        f->report.validation_numbers = f->validation_numbers;
    }
    if (s || (s = lamina_watch_epoch(&f->watcher, f->m, &f->report, e)))
        return s;
    f->epoch++;
    f->step = 0;
    lamina_reset_metrics(f->m);
    tell(f, LAMINA_EVENT_EPOCH);
    f->report.reduced_to = 0;
    f->report.train_numbers = f->report.validation_numbers = NULL;
    return LAMINA_OK;
}

static void begin_epoch(fit *f)
{
    lamina_reader_start(&f->reader, f->o->seed, f->epoch, f->step);
    if (f->step == 0)
        lamina_reset_metrics(f->m);
    f->report.epoch = f->epoch + 1;
    f->report.step = f->step;
    f->report.total_steps = lamina_steps(f->m);
    f->report.learning_rate = (double)lamina_rate_of(f->m, f->m->steps > 0 ? f->m->steps - 1 : 0);
    f->report.examples_before = f->step < f->report.steps ? f->step * f->batch : f->report.records;
    f->report.examples = f->report.examples_before;
    f->report.seconds = 0;
    f->report.validation = NULL;
}

static bool is_done(const fit *f)
{
    return f->epoch >= f->report.epochs || lamina_watch_stopped(&f->watcher, f->m);
}

static lamina_status train_epochs(fit *f, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    while (!s && !is_done(f) && !enough(f)) {
        bool ended;
        begin_epoch(f);
        s = train_epoch(f, &ended, e);
        if (!s && ended)
            s = end_epoch(f, e);
    }
    return s || !is_done(f) ? s : lamina_watch_end(&f->watcher, f->m, e);
}

/* ---- the whole ---- */

static int32_t loss_metric(const lamina_net *net)
{
    for (int32_t i = 0; i < net->metric_count; i++)
        if (strcmp(net->metrics[i].name, "loss") == 0)
            return i;
    return -1;
}

static lamina_status check_options(const lamina_model *m, const lamina_fit_options *o, lamina_error *e)
{
    const struct {
        const char *name;
        int64_t value;
    } all[] = {{"epochs", o->epochs},
               {"batch", o->batch},
               {"max_steps", o->max_steps},
               {"first_epoch", o->first_epoch},
               {"first_step", o->first_step}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].value < 0)
            return lamina_fail(e, LAMINA_BAD_ARG, "%s: %s: expected 0 or more, found %" PRId64, m->net->name,
                               all[i].name, all[i].value);
    return LAMINA_OK;
}

static lamina_status prepare(fit *f, const lamina_dataset *d, lamina_error *e)
{
    const lamina_net *net = f->m->net;
    f->batch = f->o->batch ? f->o->batch : net->max_batch;
    f->epoch = f->o->first_epoch;
    f->step = f->o->first_step;
    f->loss = loss_metric(net);
    f->began = now();
    size_t metrics = (size_t)net->metric_count;
    f->train = lamina_allocate(metrics, sizeof(double));
    f->validation = lamina_allocate(metrics, sizeof(double));
    if (!f->train || !f->validation)
        return lamina_fail_memory(e, net->name, 2 * metrics * sizeof(double));
    lamina_status s = lamina_numbers_new(net, &f->train_numbers, e);
    if (s || (s = lamina_numbers_new(net, &f->validation_numbers, e)))
        return s;
    f->report.epochs = f->o->epochs ? f->o->epochs : 1;
    f->report.steps = (lamina_dataset_count(d) - 1) / f->batch + 1;
    f->report.records = lamina_dataset_count(d);
    lamina_set_epoch_steps(f->m, f->report.steps);
    f->report.metric_count = net->metric_count;
    f->report.metrics = net->metrics;
    f->report.train = f->train;
    if (f->step > f->report.steps)
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "%s: first_step: expected 0 .. %" PRId64 ", the steps of an epoch, found %" PRId64,
                           net->name, f->report.steps, f->step);
    int64_t most = f->report.records < f->batch ? f->report.records : f->batch;
    s = most ? lamina_reserve(f->m, (most - 1) / net->max_batch + 1, e) : LAMINA_OK;
    s = s ? s : lamina_watch_begin(&f->watcher, f->m, f->o, e);
    return s ? s : lamina_reader_new(d, f->batch, !f->o->keep_order, f->m->pool, &f->reader, e);
}

lamina_status lamina_fit(lamina_model *m, const lamina_dataset *d, const lamina_fit_options *o, lamina_checkpoint *out,
                         lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_fit", "m d", m, d);
    s = s ? s : lamina_need_training(m, "fit", e);
    if (s)
        return s;
    static const lamina_fit_options defaults;
    fit f = {.m = m, .o = o ? o : &defaults};
    if (!(s = lamina_dataset_check_net(d, m->net, e)) && f.o->validation)
        s = lamina_dataset_check_net(f.o->validation, m->net, e);
    f.data = !s && (out || f.o->report) ? lamina_dataset_fingerprint(d) : 0;
    if (!s && !(s = check_options(m, f.o, e)) && !(s = prepare(&f, d, e))) {
        s = train_epochs(&f, e);
        lamina_reader_free(&f.reader);
    }
    lamina_watch_leave(m);
    lamina_release(f.train);
    lamina_release(f.validation);
    lamina_release(f.train_numbers);
    lamina_release(f.validation_numbers);
    if (out)
        *out = place(&f);
    return s;
}
