/* frontend/command/bench_training.c - lamina bench --data: how fast a network trains on its own data.
 *
 * lamina_fit itself trains, at the network's own rate; the time of a step is that from one report to the next, so that
 * gathering its records counts, and with the first of an epoch shuffling. Times come from lamina_fit's clock, which
 * starts once the data is there. */
#include "frontend/command/bench.h"
#include "frontend/command/data.h"
#include <math.h>

bool bench_training_open(bench *b)
{
    bench_training *t = &b->data;
    if (!b->net->train_step && !b->net->stage_count) {
        diag_error(b->d, (src_loc){b->path, 0, 0}, "--data: expected a network with losses, found none");
        return false;
    }
    t->seed = (uint64_t)fe_train_options(b->network)->seed;
    if (!cmd_training_data(b->network, b->net, t->seed, &t->train, &t->validation, NULL, b->d))
        return false;
    int64_t records = lamina_dataset_count(t->train);
    t->batch = b->batch * fe_train_options(b->network)->accumulate;
    b->batch = b->batch < records ? b->batch : records;
    t->batch = t->batch < records ? t->batch : records;
    t->steps = (records - 1) / t->batch + 1;
    return true;
}

void bench_training_close(bench *b)
{
    lamina_dataset_free(b->data.validation);
    lamina_dataset_free(b->data.train);
}

typedef struct {
    bench *b;
    cmd_samples steps;            /* of whole batches: the last of an epoch may be smaller */
    int64_t examples;             /* of this epoch so far */
    double epoch_began, reported; /* by lamina_fit's clock */
    int32_t stop;
} stopwatch;

static void end_step(stopwatch *w, const lamina_report *r)
{
    enum { LEAST = 5 };
    bench *b = w->b;
    if (r->examples - w->examples == b->data.batch)
        cmd_sample_add(b->mem, &w->steps, r->total_seconds - w->reported);
    w->examples = r->examples;
    bool enough = !b->data.epochs && w->steps.count >= LEAST && w->steps.total >= b->seconds;
    w->stop = enough || *b->stop;
}

static void end_epoch(stopwatch *w, const lamina_report *r)
{
    if (w->b->data.epochs)
        cmd_sample_add(w->b->mem, &w->b->data.measured, r->total_seconds - w->epoch_began);
    w->epoch_began = r->total_seconds;
    w->examples = 0;
}

static void report(void *user, const lamina_report *r)
{
    stopwatch *w = user;
    if (r->event == LAMINA_EVENT_STEP)
        end_step(w, r);
    else
        end_epoch(w, r);
    w->reported = r->total_seconds;
}

bool bench_training_run(bench *b, lamina_model *m, bench_function *f)
{
    lamina_error e;
    stopwatch w = {.b = b};
    const lamina_fit_options o = {.epochs = b->data.epochs ? b->data.epochs : INT64_MAX,
                                  .batch = b->data.batch,
                                  .seed = b->data.seed,
                                  .report = report,
                                  .user = &w,
                                  .stop = &w.stop};
    lamina_set_learning_rate(m, NAN);
    lamina_status s = lamina_initialize(m, b->data.seed, &e);
    if (!s)
        s = lamina_adapt(m, b->data.train, &e);
    s = s ? s : lamina_fit(m, b->data.train, &o, NULL, &e);
    if (s != LAMINA_OK && s != LAMINA_INTERRUPTED) {
        diag_error(b->d, (src_loc){0}, "%s", e.text);
        return false;
    }
    if (*b->stop)
        return false;
    f->median = cmd_sample_median(&w.steps);
    f->least = cmd_sample_least(&w.steps);
    return true;
}
