/* tests/unit/test_watch.c - metrics that lamina_fit watches: early stopping and the best weights, rates reduced on a
 * plateau, in one piece and gone on with from every step and epoch. */
#include "runtime/base/memory.h"
#include "tests/unit/runtime_case.h"
#include <math.h>
#include <stdlib.h>

enum { EPOCHS = 12, STEPS = 8, PARAMS = FAKE_INPUTS + 1 };

typedef struct {
    lamina_model *m;
    int64_t save_at, told, epochs; /* save_at: a number of reports, from 0 */
    double loss[EPOCHS], rate[EPOCHS], reduced_to[EPOCHS];
    float params[EPOCHS][PARAMS];
    int64_t best_epoch;
    char stopped[256];
} watcher;

static void watch(void *user, const lamina_report *r)
{
    watcher *w = user;
    if (r->event == LAMINA_EVENT_EPOCH) {
        int64_t i = r->epoch - 1;
        w->epochs = r->epoch;
        w->loss[i] = r->validation ? r->validation[0] : r->train[0];
        w->rate[i] = r->learning_rate;
        w->reduced_to[i] = r->reduced_to;
        w->best_epoch = r->best_epoch;
        if (w->m)
            get_params(w->m, w->params[i]);
        if (r->stopped)
            snprintf(w->stopped, sizeof w->stopped, "%s", r->stopped);
    }
    if (w->told++ == w->save_at)
        OK(lamina_save_checkpoint(w->m, &r->at, path_of("w.st"), &error));
}

static lamina_model *restless(void)
{
    lamina_model *m = new_model(1, false);
    lamina_set_learning_rate(m, 0.4f);
    return m;
}

static void same_params(lamina_model *m, const float *wanted)
{
    float found[PARAMS] = {0};
    get_params(m, found);
    for (int i = 0; i < PARAMS; i++)
        CU_ASSERT_EQUAL(found[i], wanted[i]);
}

static int64_t best_of(const double *loss, int64_t count)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        best = loss[i] < loss[best] ? i : best;
    return best;
}

/* Noise, of which a net learns nothing: at a large rate the loss falls and rises. */
static lamina_dataset *data_and(lamina_dataset **validation)
{
    lamina_dataset *d = NULL;
    float x[RECORDS * FAKE_INPUTS], y[RECORDS];
    for (int i = 0; i < RECORDS * FAKE_INPUTS; i++)
        x[i] = sinf(1.3f * (float)i);
    for (int i = 0; i < RECORDS; i++)
        y[i] = cosf(0.7f * (float)(i * i));
    OK(lamina_dataset_new(fake_net_query(LAMINA_ABI_MAJOR), &d, &error));
    OK(lamina_dataset_add(d, "x", x, RECORDS, &error));
    OK(lamina_dataset_add(d, "y", y, RECORDS, &error));
    OK(lamina_dataset_split(d, 0.2, 1, validation, &error));
    return d;
}

static lamina_fit_options stopping(const lamina_dataset *validation, int64_t patience, watcher *w)
{
    return (lamina_fit_options){.epochs = EPOCHS,
                                .batch = 7,
                                .validation = validation,
                                .report = watch,
                                .user = w,
                                .early_stopping = {{.patience = patience}, true}};
}

static void test_early_stopping(void)
{
    lamina_dataset *v, *d = data_and(&v);
    lamina_model *m = restless();
    watcher w = {.m = m, .save_at = -1};
    lamina_fit_options o = stopping(v, 2, &w);
    lamina_checkpoint end, found;
    OK(lamina_fit(m, d, &o, &end, &error));
    int64_t best = best_of(w.loss, w.epochs);
    CU_ASSERT_TRUE(w.epochs < EPOCHS && w.epochs == best + 3);
    CU_ASSERT_EQUAL(end.epoch, w.epochs);
    CU_ASSERT_EQUAL(w.best_epoch, best + 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.stopped, "validation.loss has not improved for 2 epochs, its best is "));
    same_params(m, w.params[best]);
    /* A checkpoint has the last weights too, and a longer run goes on from those. */
    OK(lamina_save_checkpoint(m, &end, path_of("w.st"), &error));
    lamina_model *again = restless(), *straight = restless();
    OK(lamina_load_checkpoint(again, path_of("w.st"), &end, &found, &error));
    same_params(again, w.params[w.epochs - 1]);
    OK(lamina_load_weights(straight, path_of("w.st"), &error));
    same_params(straight, w.params[w.epochs - 1]);
    o.first_epoch = found.epoch;
    watcher rest = {.m = again, .save_at = -1}, all = {.m = straight, .save_at = -1};
    o.user = &rest;
    OK(lamina_fit(again, d, &o, NULL, &error)); /* it has stopped already */
    CU_ASSERT_EQUAL(rest.told, 0);
    same_params(again, w.params[best]);
    o.early_stopping.monitor.patience = 5;
    OK(lamina_fit(again, d, &o, NULL, &error));
    OK(lamina_initialize(straight, 3, &error));
    lamina_model_free(straight);
    straight = restless();
    o = stopping(v, 5, &all);
    all.m = straight;
    OK(lamina_fit(straight, d, &o, NULL, &error));
    CU_ASSERT_EQUAL(all.epochs, rest.epochs);
    same_params(again, all.params[best_of(all.loss, all.epochs)]);
    lamina_model_free(again);
    lamina_model_free(straight);
    lamina_model_free(m);
    lamina_dataset_free(v);
    lamina_dataset_free(d);
}

/* Who writes to a model that has its best weights gives up the last ones. */
static void test_best_weights_that_are_changed(void)
{
    lamina_dataset *v, *d = data_and(&v);
    lamina_model *m = restless(), *other = new_model(1, false);
    watcher w = {.m = m, .save_at = -1};
    lamina_fit_options o = stopping(v, 2, &w);
    lamina_checkpoint end, found;
    OK(lamina_fit(m, d, &o, &end, &error));
    size_t bytes = lamina_model_bytes(m);
    OK(lamina_train_step(m, pattern, 8, &error));
    CU_ASSERT_TRUE(lamina_model_bytes(m) < bytes);
    float p[PARAMS] = {0};
    get_params(m, p);
    OK(lamina_save_checkpoint(m, &end, path_of("w.st"), &error));
    OK(lamina_load_checkpoint(other, path_of("w.st"), &end, &found, &error));
    same_params(other, p);
    lamina_model_free(other);
    lamina_model_free(m);
    lamina_dataset_free(v);
    lamina_dataset_free(d);
}

static void test_plateau(void)
{
    lamina_dataset *v, *d = data_and(&v);
    lamina_model *m = restless();
    watcher w = {.m = m, .save_at = -1};
    lamina_fit_options o = stopping(v, 0, &w);
    o.plateau = (lamina_plateau){
        .monitor = {"validation.loss", LAMINA_MODE_MIN, 1, 0}, .factor = 0.6, .minimum = 0.2, .cooldown = 1};
    OK(lamina_fit(m, d, &o, NULL, &error));
    double best = INFINITY, rate = (double)0.4f;
    int reductions = 0;
    for (int64_t i = 0, cooldown = 0; i < EPOCHS; i++) { /* Keras' ReduceLROnPlateau */
        CU_ASSERT_DOUBLE_EQUAL(w.rate[i], rate, 1e-7);
        cooldown -= cooldown > 0;
        bool better = w.loss[i] < best, waits = !better && cooldown == 0;
        best = better ? w.loss[i] : best;
        bool reduces = waits && rate > 0.2000001;
        if (reduces) {
            rate = 0.6 * rate > 0.2 ? 0.6 * rate : 0.2;
            cooldown = 1;
            reductions++;
        }
        CU_ASSERT_DOUBLE_EQUAL(w.reduced_to[i], reduces ? rate : 0, 1e-7);
    }
    CU_ASSERT_EQUAL(reductions, 2);
    CU_ASSERT_EQUAL(lamina_learning_rate(m), 0.4f); /* it is reduced for the run */
    lamina_model_free(m);
    lamina_dataset_free(v);
    lamina_dataset_free(d);
}

/* Saved at any step or epoch and gone on with: the same reductions, the same end, the same weights. */
static void test_watches_are_resumed(void)
{
    lamina_dataset *v, *d = data_and(&v);
    for (int64_t i = 0; i < EPOCHS * (STEPS + 1); i++) {
        lamina_model *straight = restless(), *second = restless();
        watcher w = {.m = straight, .save_at = i}, rest = {.m = second, .save_at = -1};
        lamina_fit_options o = stopping(v, 4, &w);
        o.plateau = (lamina_plateau){.monitor = {"train.loss", LAMINA_MODE_AUTO, 2, 0.001}, .factor = 0.7};
        lamina_checkpoint end, found;
        OK(lamina_fit(straight, d, &o, &end, &error));
        if (w.told <= i) {
            lamina_model_free(straight);
            lamina_model_free(second);
            CU_ASSERT_TRUE(i > 3 * STEPS);
            break;
        }
        OK(lamina_load_checkpoint(second, path_of("w.st"), &end, &found, &error));
        o.first_epoch = found.epoch;
        o.first_step = found.step;
        o.user = &rest;
        OK(lamina_fit(second, d, &o, &found, &error));
        CU_ASSERT_EQUAL(found.epoch, end.epoch);
        for (int64_t k = o.first_epoch; k < w.epochs; k++)
            CU_ASSERT_TRUE(w.rate[k] == rest.rate[k] && w.reduced_to[k] == rest.reduced_to[k]);
        float wanted[PARAMS] = {0};
        get_params(straight, wanted);
        same_params(second, wanted);
        lamina_model_free(straight);
        lamina_model_free(second);
    }
    lamina_dataset_free(v);
    lamina_dataset_free(d);
}

/* Of the best weights one has another name. */
static void test_best_weights_that_lack_one(void)
{
    static char file[1 << 16];
    lamina_dataset *v, *d = data_and(&v);
    lamina_model *m = restless();
    watcher w = {.m = m, .save_at = -1};
    lamina_fit_options o = stopping(v, 2, &w);
    lamina_checkpoint end, found;
    OK(lamina_fit(m, d, &o, &end, &error));
    OK(lamina_save_checkpoint(m, &end, path_of("w.st"), &error));
    size_t bytes = read_file(path_of("w.st"), file, sizeof file);
    char *name = memmem(file, bytes, "/best/", 6);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    name[1] = 'r';
    seal(file, bytes);
    write_file(path_of("w.st"), file, bytes);
    FAILS(lamina_load_checkpoint(m, path_of("w.st"), &end, &found, &error), LAMINA_BAD_FILE,
          "the weights of its best epoch are not complete");
    lamina_model_free(m);
    lamina_dataset_free(v);
    lamina_dataset_free(d);
}

static void test_watches_that_are_refused(void)
{
    lamina_dataset *d = line_data(RECORDS);
    lamina_model *m = new_model(1, false);
    lamina_fit_options o = {.early_stopping = {{.patience = 1}, false}};
    FAILS(lamina_fit(m, d, &o, NULL, &error), LAMINA_BAD_ARG,
          "early_stopping: 'validation.loss': expected validation data, found none");
    o.early_stopping.monitor.metric = "train.los";
    FAILS(lamina_fit(m, d, &o, NULL, &error), LAMINA_BAD_ARG,
          "monitor: expected one of train.loss, validation.loss, found 'train.los'");
    o.early_stopping.monitor.min_delta = -1;
    FAILS(lamina_fit(m, d, &o, NULL, &error), LAMINA_BAD_ARG,
          "early_stopping: expected a patience and min_delta of 0 or more, found 1 and -1");
    o = (lamina_fit_options){.plateau = {.monitor = {.metric = "train.loss", .patience = 1}, .factor = 2}};
    FAILS(lamina_fit(m, d, &o, NULL, &error), LAMINA_BAD_ARG, "plateau: expected a factor from 0, below 1");
    lamina_model_free(m);
    lamina_dataset_free(d);
}

static lamina_status watched_run(void)
{
    lamina_dataset *v = NULL, *d = NULL;
    lamina_model *m = NULL, *other = NULL;
    watcher w = {.save_at = -1};
    lamina_checkpoint end = {0}, found;
    const lamina_net *net = fake_net_query(LAMINA_ABI_MAJOR);
    lamina_status s = lamina_dataset_new(net, &d, &error);
    s = s ? s : lamina_dataset_add(d, "x", pattern_x, 20, &error);
    s = s ? s : lamina_dataset_add(d, "y", pattern_y, 20, &error);
    s = s ? s : lamina_dataset_split(d, 0.2, 1, &v, &error);
    s = s ? s : lamina_model_new(net, NULL, &m, &error);
    s = s ? s : lamina_initialize(m, 1, &error);
    lamina_fit_options o = stopping(v, 1, &w);
    o.epochs = 2;
    s = s ? s : lamina_fit(m, d, &o, &end, &error);
    s = s ? s : lamina_save_checkpoint(m, &end, path_of("w.st"), &error);
    s = s ? s : lamina_model_new(net, NULL, &other, &error);
    s = s ? s : lamina_load_checkpoint(other, path_of("w.st"), &end, &found, &error);
    lamina_model_free(other);
    lamina_model_free(m);
    lamina_dataset_free(v);
    lamina_dataset_free(d);
    return s;
}

static void test_watches_without_memory(void)
{
    fail_each(watched_run, LAMINA_NO_MEMORY, 20);
}

void add_runtime_watch(CU_pSuite s)
{
    CU_add_test(s, "early stopping", test_early_stopping);
    CU_add_test(s, "best weights that are changed", test_best_weights_that_are_changed);
    CU_add_test(s, "plateau", test_plateau);
    CU_add_test(s, "watches are resumed", test_watches_are_resumed);
    CU_add_test(s, "best weights that lack one", test_best_weights_that_lack_one);
    CU_add_test(s, "watches that are refused", test_watches_that_are_refused);
    CU_add_test(s, "watches without memory", test_watches_without_memory);
}
