/* tests/unit/test_runtime_train.c - training loops and what they tell, and every allocation failing once. */
#include "runtime/base/memory.h"
#include "runtime/data/idx.h"
#include "tests/unit/runtime_case.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

/* ---- training ---- */

typedef struct {
    int64_t steps, epochs, examples;
    double first_loss, last_loss, validation;
    double loss[4]; /* by the number of the epoch, as far as there is room */
    volatile int32_t stop;
    int64_t stop_at;
} watcher;

static void watch(void *user, const lamina_report *r)
{
    watcher *w = user;
    w->examples = r->examples;
    if (r->event == LAMINA_EVENT_STEP) {
        w->steps++;
        if (w->steps == w->stop_at)
            w->stop = 1;
        return;
    }
    w->epochs++;
    if (r->epoch < 4)
        w->loss[r->epoch] = r->train[0];
    if (w->epochs == 1)
        w->first_loss = r->train[0];
    w->last_loss = r->train[0];
    w->validation = r->validation ? r->validation[0] : -1;
}

static void test_fit_learns_the_line(void)
{
    lamina_dataset *d = line_data(RECORDS), *v;
    OK(lamina_dataset_split(d, 0.2, 1, &v, &error));
    lamina_model *m = new_model(2, false);
    watcher w = {0};
    const lamina_fit_options o = {.epochs = 200, .batch = 5, .validation = v, .report = watch, .user = &w, .seed = 2};
    lamina_checkpoint c;
    OK(lamina_fit(m, d, &o, &c, &error));
    CU_ASSERT_EQUAL(w.steps, 200 * 10); /* 49 examples: the tenth batch has 4 */
    CU_ASSERT_EQUAL(w.epochs, 200);
    CU_ASSERT_EQUAL(w.examples, 49);
    CU_ASSERT_TRUE(w.last_loss < 1e-6 && w.first_loss > 0.1 && w.validation < 1e-6);
    CU_ASSERT_EQUAL(c.epoch, 200);
    CU_ASSERT_EQUAL(c.step, 0);
    float p[FAKE_INPUTS + 1];
    get_params(m, p);
    CU_ASSERT_DOUBLE_EQUAL((double)p[0], 2, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL((double)p[1], -1, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL((double)p[FAKE_INPUTS], 1, 1e-3);
    double value;
    OK(lamina_evaluate_dataset(m, v, &value, &error));
    CU_ASSERT_EQUAL(value, w.validation);
    lamina_model_free(m);
    lamina_dataset_free(v);
    lamina_dataset_free(d);
}

/* Stop in the middle of an epoch, save, load into a new model, go on: the bits of a run without a stop. */
static void test_fit_resumes_to_the_same_bits(void)
{
    lamina_dataset *d = line_data(RECORDS);
    lamina_fit_options o = {.epochs = 3, .batch = 8, .seed = 9};
    lamina_model *straight = new_model(1, false), *first = new_model(2, false), *second = new_model(1, true);
    watcher all = {0}, w = {.stop_at = 11};
    o.report = watch;
    o.user = &all;
    OK(lamina_fit(straight, d, &o, NULL, &error));
    o.user = &w;
    o.stop = &w.stop;
    lamina_checkpoint c, found;
    FAILS(lamina_fit(first, d, &o, &c, &error), LAMINA_INTERRUPTED, "interrupted after step 3 of epoch 2");
    CU_ASSERT_EQUAL(c.epoch, 1);
    CU_ASSERT_EQUAL(c.step, 3);
    CU_ASSERT_EQUAL(c.batch, 8);
    OK(lamina_save_checkpoint(first, &c, path_of("c.st"), &error));
    OK(lamina_load_checkpoint(second, path_of("c.st"), &c, &found, &error));
    CU_ASSERT_EQUAL(memcmp(&found, &c, sizeof c), 0);
    CU_ASSERT_EQUAL(lamina_steps(second), 11);
    o.first_epoch = found.epoch;
    o.first_step = found.step;
    o.stop = NULL;
    watcher rest = {0};
    o.user = &rest;
    OK(lamina_fit(second, d, &o, NULL, &error));
    CU_ASSERT_EQUAL(rest.steps, 3 * 8 - 11);
    CU_ASSERT_EQUAL(rest.last_loss, all.last_loss);
    CU_ASSERT_EQUAL(rest.loss[2], all.loss[2]); /* the sums of the interrupted epoch went on */
    float a[FAKE_INPUTS + 1], b[FAKE_INPUTS + 1];
    get_params(straight, a);
    get_params(second, b);
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    lamina_checkpoint other = c;
    other.seed = 10;
    FAILS(lamina_load_checkpoint(second, path_of("c.st"), &other, &found, &error), LAMINA_BAD_FILE,
          "seed: expected 10, found 9");
    other = c;
    other.data++;
    FAILS(lamina_load_checkpoint(second, path_of("c.st"), &other, &found, &error), LAMINA_BAD_FILE, "fingerprint");
    OK(lamina_save_weights(first, path_of("w.st"), &error));
    FAILS(lamina_load_checkpoint(second, path_of("w.st"), &c, &found, &error), LAMINA_BAD_FILE, "not a checkpoint");
    OK(lamina_load_weights(second, path_of("c.st"), &error)); /* a checkpoint is a weights file too */
    lamina_model_free(straight);
    lamina_model_free(first);
    lamina_model_free(second);
    lamina_dataset_free(d);
}

static void keep_report(void *user, const lamina_report *r)
{
    *(lamina_report *)user = *r;
}

/* Gone on where an epoch's last step is done and its report is not made: the report of a run without a stop. */
static void test_fit_resumes_at_the_end_of_an_epoch(void)
{
    lamina_dataset *d = line_data(RECORDS);
    lamina_model *m = new_model(1, false), *again = new_model(1, false);
    lamina_report all, rest;
    lamina_fit_options o = {.batch = 8, .report = keep_report, .user = &all, .max_steps = 8};
    OK(lamina_fit(m, d, &o, NULL, &error));
    CU_ASSERT_EQUAL(all.event, LAMINA_EVENT_EPOCH);
    const lamina_checkpoint end = {.step = 8, .batch = 8};
    lamina_checkpoint c;
    o.first_step = 8;
    o.user = &rest;
    OK(lamina_fit(again, d, &(lamina_fit_options){.batch = 8, .max_steps = 7}, NULL, &error));
    OK(lamina_fit(again, d, &(lamina_fit_options){.batch = 8, .first_step = 7}, NULL, &error));
    OK(lamina_save_checkpoint(again, &end, path_of("c.st"), &error));
    OK(lamina_load_checkpoint(m, path_of("c.st"), &end, &c, &error));
    OK(lamina_fit(m, d, &o, NULL, &error));
    CU_ASSERT_EQUAL(rest.event, LAMINA_EVENT_EPOCH);
    CU_ASSERT_EQUAL(rest.total_steps, all.total_steps);
    CU_ASSERT_EQUAL(rest.learning_rate, all.learning_rate);
    CU_ASSERT_EQUAL(rest.examples, all.examples);
    lamina_model_free(again);
    lamina_model_free(m);
    lamina_dataset_free(d);
}

typedef struct {
    lamina_model *m;
    int64_t save_at, told, examples;
    bool on;
} saver;

static void save_once(void *user, const lamina_report *r)
{
    saver *s = user;
    if (s->told++ == s->save_at)
        OK(lamina_save_checkpoint(s->m, &r->at, path_of("c.st"), &error));
    s->on = s->told > s->save_at;
    s->examples = r->examples;
}

/* A checkpoint saved by the report of any step or epoch is a place to go on from. */
static void test_reports_can_save(void)
{
    enum { EPOCHS = 3, STEPS = 8 };
    lamina_dataset *d = line_data(RECORDS);
    float a[FAKE_INPUTS + 1], b[FAKE_INPUTS + 1];
    for (int64_t i = 0; i < EPOCHS * (STEPS + 1); i++) {
        lamina_model *straight = new_model(2, false), *second = new_model(1, false);
        saver s = {.m = straight, .save_at = i}, t = {.save_at = -1};
        lamina_fit_options o = {.epochs = EPOCHS, .batch = 8, .seed = 9, .report = save_once, .user = &s};
        lamina_checkpoint end, expected, found;
        OK(lamina_fit(straight, d, &o, &end, &error));
        CU_ASSERT_TRUE(s.on);
        expected = end;
        OK(lamina_load_checkpoint(second, path_of("c.st"), &expected, &found, &error));
        CU_ASSERT_EQUAL(found.epoch * (STEPS + 1) + found.step, i + 1);
        o.first_epoch = found.epoch;
        o.first_step = found.step;
        o.user = &t;
        OK(lamina_fit(second, d, &o, &expected, &error));
        CU_ASSERT_EQUAL(memcmp(&expected, &end, sizeof end), 0);
        CU_ASSERT_TRUE(t.told == 0 || t.examples == RECORDS);
        get_params(straight, a);
        get_params(second, b);
        CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
        lamina_model_free(straight);
        lamina_model_free(second);
    }
    lamina_dataset_free(d);
}

static void test_fit_stops_where_told(void)
{
    lamina_dataset *d = line_data(RECORDS), *empty;
    lamina_model *m = new_model(1, false);
    watcher w = {0};
    lamina_fit_options o = {.epochs = 3, .max_steps = 8, .report = watch, .user = &w};
    lamina_checkpoint c;
    OK(lamina_fit(m, d, &o, &c, &error)); /* 8 steps are one epoch */
    CU_ASSERT_EQUAL(w.steps, 8);
    CU_ASSERT_EQUAL(w.epochs, 1);
    CU_ASSERT_EQUAL(c.epoch, 1);
    o.max_steps = 10;
    o.batch = 20; /* over max_batch: accumulated */
    OK(lamina_fit(m, d, &o, &c, &error));
    CU_ASSERT_EQUAL(w.steps, 8 + 10);
    CU_ASSERT_EQUAL(c.epoch, 2);
    CU_ASSERT_EQUAL(c.step, 2);
    OK(lamina_fit(m, d, NULL, NULL, &error));
    lamina_set_learning_rate(m, INFINITY);
    FAILS(lamina_fit(m, d, &o, &c, &error), LAMINA_NOT_FINITE, "the loss is not finite");
    SAYS("at step 2 of epoch 1");
    CU_ASSERT_PTR_NULL(strstr(error.text, "record")); /* the data are sound */
    o.epochs = -1;
    FAILS(lamina_fit(m, d, &o, NULL, &error), LAMINA_BAD_ARG, "epochs: expected 0 or more, found -1");
    FAILS(lamina_fit(m, d, &(lamina_fit_options){.first_step = 9}, NULL, &error), LAMINA_BAD_ARG,
          "first_step: expected 0 .. 8, the steps of an epoch, found 9");
    OK(lamina_dataset_new(fake_net_query(1), &empty, &error));
    FAILS(lamina_fit(m, empty, NULL, NULL, &error), LAMINA_BAD_ARG, "input 'x': expected data, found none");
    lamina_dataset_free(empty);
    lamina_model_free(m);
    lamina_dataset_free(d);
}

/* 20 records, one value of which is bad: x from a file, y from memory. */
static lamina_dataset *bad_data(int64_t x_at, float x_value, int64_t y_at, float y_value)
{
    unsigned char file[12 + 20 * 4 * FAKE_INPUTS] = {0, 0, 0x0d, 2, 0, 0, 0, 20, 0, 0, 0, FAKE_INPUTS};
    uint32_t bits;
    memcpy(&bits, &x_value, sizeof bits);
    for (int i = 0; i < 4; i++) /* IDX is big-endian */
        file[12 + 4 * x_at + i] = (unsigned char)(bits >> (24 - 8 * i));
    write_file(path_of("x.idx"), file, sizeof file);
    float y[20] = {0};
    y[y_at] = y_value;
    lamina_dataset *d = NULL;
    OK(lamina_dataset_new(fake_net_query(LAMINA_ABI_MAJOR), &d, &error));
    OK(lamina_dataset_add_idx(d, "x", path_of("x.idx"), &error));
    OK(lamina_dataset_add(d, "y", y, 20, &error));
    return d;
}

static void check_bad_data(lamina_dataset *d, const lamina_fit_options *o, const char *words)
{
    lamina_model *m = new_model(1, false);
    FAILS(lamina_fit(m, d, o, NULL, &error), LAMINA_NOT_FINITE, words);
    lamina_model_free(m);
}

/* Whatever the order, the record has the number that it has in its file. */
static void test_fit_names_the_bad_record(void)
{
    const lamina_fit_options kept = {.batch = 6, .keep_order = true};
    lamina_dataset *x = bad_data(13 * FAKE_INPUTS + 1, NAN, 0, 0), *y = bad_data(0, 0, 19, -INFINITY), *other;
    check_bad_data(x, &kept, "x.idx: input 'x': record 13: expected finite values, found nan");
    SAYS("at step 3 of epoch 1");
    for (uint64_t seed = 0; seed < 4; seed++)
        check_bad_data(x, &(lamina_fit_options){.batch = 6, .seed = seed}, "x.idx: input 'x': record 13: ");
    check_bad_data(y, &kept, "; memory: input 'y': record 19: expected finite values, found -inf");
    SAYS("at step 4 of epoch 1"); /* the smaller batch */
    OK(lamina_dataset_split(x, 0.5, 1, &other, &error));
    lamina_model *m = new_model(1, false);
    lamina_status first = lamina_fit(m, x, &kept, NULL, &error);
    lamina_model_free(m);
    check_bad_data(first ? x : other, &kept, "x.idx: input 'x': record 13: "); /* in the half that has it */
    lamina_dataset_free(other);
    lamina_dataset_free(x);
    lamina_dataset_free(y);
}

typedef struct {
    lamina_log *log;
    lamina_progress *progress;
} listeners;

static void tell_both(void *user, const lamina_report *r)
{
    listeners *l = user;
    lamina_log_report(l->log, r);
    lamina_progress_report(l->progress, r);
}

static void test_log_and_progress(void)
{
    lamina_dataset *d = line_data(RECORDS);
    lamina_model *m = new_model(1, false);
    listeners l;
    FILE *out = fopen(path_of("out"), "w");
    OK(lamina_log_new(path_of("log"), false, &l.log, &error));
    OK(lamina_progress_new(out, &l.progress, &error));
    const lamina_fit_options o = {.epochs = 2, .validation = d, .report = tell_both, .user = &l};
    OK(lamina_fit(m, d, &o, NULL, &error));
    OK(lamina_log_free(l.log, &error));
    lamina_progress_free(l.progress);
    fclose(out);
    char said[2048] = {0};
    read_file(path_of("out"), said, sizeof said - 1);
    CU_ASSERT_EQUAL(strncmp(said, "epoch 1/2 8/8  loss ", 20), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "validation loss "));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "\nepoch 2/2 8/8  loss "));
    memset(said, 0, sizeof said);
    read_file(path_of("log"), said, sizeof said - 1);
    char *end = strchr(said, '\n');
    CU_ASSERT_PTR_NOT_NULL_FATAL(end);
    json_t *first = json_loadb(said, (size_t)(end - said), 0, NULL), *second = json_loads(end, 0, NULL);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(first, "examples")), RECORDS);
    CU_ASSERT_EQUAL(json_real_value(json_object_get(first, "learning_rate")), 0.05);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(second, "epoch")), 2);
    CU_ASSERT_TRUE(json_real_value(json_object_get(json_object_get(second, "validation"), "loss")) > 0);
    json_decref(first);
    json_decref(second);
    FAILS(lamina_log_new(path_of("no/log"), false, &l.log, &error), LAMINA_IO, "no/log: cannot open");
    lamina_model_free(m);
    lamina_dataset_free(d);
}

/* A log of 'before' after a run goes on from the end of an epoch. */
static void check_resumed(const char *before, int64_t epochs, const char *after)
{
    char said[256] = {0};
    lamina_log *log;
    write_file(path_of("log"), before, strlen(before));
    OK(lamina_log_resume(path_of("log"), epochs, &log, &error));
    OK(lamina_log_free(log, &error));
    read_file(path_of("log"), said, sizeof said - 1);
    CU_ASSERT_STRING_EQUAL(said, after);
}

static void test_log_goes_on(void)
{
#define ONE "{\"epoch\": 1, \"steps\": 8}\n"
#define TWO "{\"epoch\": 2, \"steps\": 8}\n"
    check_resumed(ONE TWO "{\"epoch\": 10}\n", 2, ONE TWO);
    check_resumed(ONE TWO, 0, "");
    check_resumed(ONE TWO, 7, ONE TWO);
    check_resumed(ONE "{\"epoch\": 2, \"st", 2, ONE);
    check_resumed(ONE "no line of ours\n" TWO, 2, ONE);
    check_resumed("", 2, "");
    lamina_log *log;
    unlink(path_of("log"));
    OK(lamina_log_resume(path_of("log"), 3, &log, &error));
    OK(lamina_log_free(log, &error));
    char target[128];
    strcpy(target, path_of("log"));
    CU_ASSERT_EQUAL(symlink(target, path_of("link")), 0);
    FAILS(lamina_log_resume(path_of("link"), 0, &log, &error), LAMINA_IO, "link: cannot open: it is a symbolic link");
    unlink(path_of("link"));
    FAILS(lamina_log_resume("/dev/null", 0, &log, &error), LAMINA_IO, "/dev/null: expected a regular file");
    OK(lamina_log_new("-", true, &log, &error));
    OK(lamina_log_free(log, &error));
}

/* ---- every allocation fails once ---- */

static void *json_allocate(size_t bytes)
{
    return lamina_allocate(1, bytes);
}

static lamina_status train_once(lamina_model *m, lamina_dataset *d)
{
    lamina_dataset *v = NULL;
    lamina_status s = lamina_dataset_split(d, 0.2, 1, &v, &error);
    if (!s)
        s = lamina_fit(m, d, &(lamina_fit_options){.batch = 3 * FAKE_MAX_BATCH, .validation = v}, NULL, &error);
    lamina_dataset_free(v);
    return s;
}

static lamina_status scenario_train(void)
{
    lamina_model *m = NULL;
    lamina_dataset *d = NULL;
    const lamina_net *net = fake_net_query(LAMINA_ABI_MAJOR);
    lamina_status s;
    if (!(s = lamina_model_new(net, &(lamina_options){.workers = 2}, &m, &error)) &&
        !(s = lamina_initialize(m, 1, &error)) && !(s = lamina_dataset_new(net, &d, &error)) &&
        !(s = lamina_dataset_add_idx(d, "x", path_of("x.idx"), &error)) &&
        !(s = lamina_dataset_add(d, "y", pattern_y, 20, &error)))
        s = train_once(m, d);
    lamina_dataset_free(d);
    lamina_model_free(m);
    return s;
}

static lamina_status scenario_gzip_labels(void)
{
    lamina_dataset *d = NULL;
    lamina_status s = lamina_dataset_new(&label_net, &d, &error);
    if (!s)
        s = lamina_dataset_add_idx(d, "label", path_of("z.idx.gz"), &error);
    lamina_dataset_free(d);
    return s;
}

static lamina_model *saved_model;

static lamina_status scenario_save(void)
{
    return lamina_save_checkpoint(saved_model, &(lamina_checkpoint){.epoch = 3}, path_of("c.st"), &error);
}

static lamina_status scenario_load(void)
{
    lamina_checkpoint c = {0};
    return lamina_load_checkpoint(saved_model, path_of("c.st"), &c, &c, &error);
}

static lamina_status scenario_listeners(void)
{
    lamina_log *log = NULL;
    lamina_progress *progress = NULL;
    lamina_status s = lamina_progress_new(stderr, &progress, &error);
    lamina_progress_free(progress);
    if (!s)
        s = lamina_log_resume(path_of("log"), 1, &log, &error);
    if (s)
        return s;
    const double value = 0.5;
    const lamina_net *net = fake_net_query(LAMINA_ABI_MAJOR);
    const lamina_report r = {
        .event = LAMINA_EVENT_EPOCH, .metric_count = 1, .metrics = net->metrics, .train = &value, .validation = &value};
    lamina_log_report(log, &r);
    return lamina_log_free(log, &error);
}

static lamina_status scenario_library(void)
{
    lamina_library *l;
    lamina_status s = lamina_library_open("none.so", &l, &error);
    return s == LAMINA_IO && strstr(error.text, "No such file") ? LAMINA_OK : s;
}

static void test_failing_allocations(void)
{
    unsigned char x[12 + 20 * 4 * FAKE_INPUTS] = {0, 0, 0x0d, 2, 0, 0, 0, 20, 0, 0, 0, FAKE_INPUTS};
    write_file(path_of("x.idx"), x, sizeof x);
    write_gzip(path_of("z.idx.gz"), "\0\0\x08\1\0\0\0\2\1\2", 10);
    fail_each(scenario_train, LAMINA_NO_MEMORY, 30);
    fail_each(scenario_gzip_labels, LAMINA_NO_MEMORY, 6);
    saved_model = new_model(1, false);
    json_malloc_t old_malloc;
    json_free_t old_free;
    json_get_alloc_funcs(&old_malloc, &old_free);
    json_set_alloc_funcs(json_allocate, lamina_release);
    fail_each(scenario_save, LAMINA_NO_MEMORY, 50);
    fail_each(scenario_load, LAMINA_BAD_FILE, 50); /* jansson may tell it as broken text */

    fail_each(scenario_listeners, LAMINA_IO, 10);
    json_set_alloc_funcs(old_malloc, old_free);
    fail_each(scenario_library, LAMINA_IO, 1);
    lamina_model_free(saved_model);
}

void add_runtime_train(CU_pSuite s)
{
    CU_add_test(s, "fit learns the line", test_fit_learns_the_line);
    CU_add_test(s, "fit resumes to the same bits", test_fit_resumes_to_the_same_bits);
    CU_add_test(s, "fit resumes at the end of an epoch", test_fit_resumes_at_the_end_of_an_epoch);
    CU_add_test(s, "fit stops where told", test_fit_stops_where_told);
    CU_add_test(s, "fit names the bad record", test_fit_names_the_bad_record);
    CU_add_test(s, "reports can save", test_reports_can_save);
    CU_add_test(s, "log and progress", test_log_and_progress);
    CU_add_test(s, "a log goes on", test_log_goes_on);
    CU_add_test(s, "failing allocations", test_failing_allocations);
}
