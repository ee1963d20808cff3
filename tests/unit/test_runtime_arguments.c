/* tests/unit/test_runtime_arguments.c - every function of lamina.h that returns a status is called with each of its
 * arguments wrong: a NULL pointer, a number out of range, an object of another network. Each call gives BAD_ARG, and
 * its text says which argument was wrong. */
#include "tests/unit/runtime_case.h"
#include <math.h>

/* A call in which one pointer is NULL, and the argument's name. */
#define NULL_IS_NAMED(name, call) FAILS(call, LAMINA_BAD_ARG, "argument '" name "': expected a pointer, found NULL")

static void test_models_without(void)
{
    float v[20];
    void *const out[] = {v};
    const lamina_net *net = fake_net_query(LAMINA_ABI_MAJOR);
    lamina_model *m = new_model(1, false);
    NULL_IS_NAMED("out", lamina_model_new(net, NULL, NULL, &error));
    NULL_IS_NAMED("m", lamina_initialize(NULL, 1, &error));
    NULL_IS_NAMED("m", lamina_get_tensor(NULL, "dense1.bias", v, 4, &error));
    NULL_IS_NAMED("name", lamina_get_tensor(m, NULL, v, 4, &error));
    NULL_IS_NAMED("dst", lamina_get_tensor(m, "dense1.bias", NULL, 4, &error));
    NULL_IS_NAMED("m", lamina_set_tensor(NULL, "dense1.bias", v, 4, &error));
    NULL_IS_NAMED("name", lamina_set_tensor(m, NULL, v, 4, &error));
    NULL_IS_NAMED("src", lamina_set_tensor(m, "dense1.bias", NULL, 4, &error));
    NULL_IS_NAMED("m", lamina_infer(NULL, pattern, 1, out, &error));
    NULL_IS_NAMED("inputs", lamina_infer(m, NULL, 1, out, &error));
    NULL_IS_NAMED("outputs", lamina_infer(m, pattern, 1, NULL, &error));
    NULL_IS_NAMED("m", lamina_evaluate(NULL, pattern, 1, &error));
    NULL_IS_NAMED("inputs", lamina_evaluate(m, NULL, 1, &error));
    NULL_IS_NAMED("m", lamina_train_step(NULL, pattern, 1, &error));
    NULL_IS_NAMED("inputs", lamina_train_step(m, NULL, 1, &error));
    NULL_IS_NAMED("m", lamina_gradients(NULL, pattern, 1, 0, 1, &error));
    NULL_IS_NAMED("inputs", lamina_gradients(m, NULL, 1, 0, 1, &error));
    NULL_IS_NAMED("m", lamina_update(NULL, &error));
    NULL_IS_NAMED("m", lamina_reserve(NULL, 1, &error));
    lamina_model_free(m);
}

static void test_files_without(void)
{
    lamina_library *l;
    lamina_log *log;
    lamina_progress *progress;
    lamina_checkpoint c = {0};
    lamina_model *m = new_model(1, false);
    const char *path = "/nowhere/x";
    NULL_IS_NAMED("path", lamina_library_open(NULL, &l, &error));
    NULL_IS_NAMED("out", lamina_library_open(path, NULL, &error));
    NULL_IS_NAMED("out", lamina_pool_new(1, false, NULL, &error));
    NULL_IS_NAMED("m", lamina_save_weights(NULL, path, &error));
    NULL_IS_NAMED("path", lamina_save_weights(m, NULL, &error));
    NULL_IS_NAMED("m", lamina_load_weights(NULL, path, &error));
    NULL_IS_NAMED("path", lamina_load_weights(m, NULL, &error));
    NULL_IS_NAMED("m", lamina_save_checkpoint(NULL, &c, path, &error));
    NULL_IS_NAMED("c", lamina_save_checkpoint(m, NULL, path, &error));
    NULL_IS_NAMED("path", lamina_save_checkpoint(m, &c, NULL, &error));
    NULL_IS_NAMED("m", lamina_load_checkpoint(NULL, path, &c, &c, &error));
    NULL_IS_NAMED("path", lamina_load_checkpoint(m, NULL, &c, &c, &error));
    NULL_IS_NAMED("expected", lamina_load_checkpoint(m, path, NULL, &c, &error));
    NULL_IS_NAMED("out", lamina_load_checkpoint(m, path, &c, NULL, &error));
    NULL_IS_NAMED("path", lamina_log_new(NULL, false, &log, &error));
    NULL_IS_NAMED("out", lamina_log_new(path, false, NULL, &error));
    NULL_IS_NAMED("f", lamina_progress_new(NULL, &progress, &error));
    NULL_IS_NAMED("out", lamina_progress_new(stderr, NULL, &error));
    lamina_model_free(m);
}

static void test_data_without(void)
{
    const lamina_net *net = fake_net_query(LAMINA_ABI_MAJOR);
    lamina_model *m = new_model(1, false);
    const lamina_table_options csv = {0};
    const char *path = "x.csv";
    lamina_dataset *d = line_data(RECORDS), *part;
    NULL_IS_NAMED("out", lamina_dataset_new(net, NULL, &error));
    NULL_IS_NAMED("d", lamina_dataset_add_idx(NULL, "x", "x.idx", &error));
    NULL_IS_NAMED("name", lamina_dataset_add_idx(d, NULL, "x.idx", &error));
    NULL_IS_NAMED("path", lamina_dataset_add_idx(d, "x", NULL, &error));
    NULL_IS_NAMED("d", lamina_dataset_add(NULL, "x", pattern_x, 20, &error));
    NULL_IS_NAMED("name", lamina_dataset_add(d, NULL, pattern_x, 20, &error));
    NULL_IS_NAMED("records", lamina_dataset_add(d, "x", NULL, 20, &error));
    NULL_IS_NAMED("d", lamina_dataset_check_labels(NULL, "y", 3, &error));
    NULL_IS_NAMED("name", lamina_dataset_check_labels(d, NULL, 3, &error));
    NULL_IS_NAMED("d", lamina_dataset_split(NULL, 0.5, 1, &part, &error));
    NULL_IS_NAMED("out", lamina_dataset_split(d, 0.5, 1, NULL, &error));
    NULL_IS_NAMED("d", lamina_dataset_fold(NULL, 2, 0, NULL, 1, &part, &error));
    NULL_IS_NAMED("out", lamina_dataset_fold(d, 2, 0, NULL, 1, NULL, &error));
    NULL_IS_NAMED("d", lamina_dataset_set_window(NULL, 2, &error));
    NULL_IS_NAMED("d", lamina_dataset_split_classes(NULL, "y", 0.5, 1, &part, &error));
    NULL_IS_NAMED("name", lamina_dataset_split_classes(d, NULL, 0.5, 1, &part, &error));
    NULL_IS_NAMED("out", lamina_dataset_split_classes(d, "y", 0.5, 1, NULL, &error));
    NULL_IS_NAMED("d", lamina_dataset_add_table(NULL, &path, 1, &csv, NULL, &error));
    NULL_IS_NAMED("paths", lamina_dataset_add_table(d, NULL, 1, &csv, NULL, &error));
    NULL_IS_NAMED("o", lamina_dataset_add_table(d, &path, 1, NULL, NULL, &error));
    NULL_IS_NAMED("m", lamina_fit(NULL, d, NULL, NULL, &error));
    NULL_IS_NAMED("d", lamina_fit(m, NULL, NULL, NULL, &error));
    NULL_IS_NAMED("m", lamina_evaluate_dataset(NULL, d, NULL, &error));
    NULL_IS_NAMED("d", lamina_evaluate_dataset(m, NULL, NULL, &error));
    lamina_dataset_free(d);
    lamina_model_free(m);
}

/* Counts and fractions at and beyond their ends. */
static void test_numbers_out_of_range(void)
{
    static const int64_t low[] = {0, -1, INT64_MIN};
    const double fractions[] = {0, -1, 1, INFINITY, NAN};
    float v[20];
    void *const out[] = {v};
    lamina_model *m = new_model(1, false);
    lamina_dataset *d = line_data(RECORDS), *part, *empty;
    OK(lamina_dataset_new(lamina_model_net(m), &empty, &error));
    for (size_t i = 0; i < sizeof low / sizeof *low; i++) {
        FAILS(lamina_infer(m, pattern, low[i], out, &error), LAMINA_BAD_ARG, "count: expected 1 or more");
        FAILS(lamina_evaluate(m, pattern, low[i], &error), LAMINA_BAD_ARG, "count: expected 1 or more");
        FAILS(lamina_train_step(m, pattern, low[i], &error), LAMINA_BAD_ARG, "count: expected 1 or more");
        FAILS(lamina_gradients(m, pattern, low[i], 0, 1, &error), LAMINA_BAD_ARG, "count: expected 1 or more");
        FAILS(lamina_reserve(m, low[i], &error), LAMINA_BAD_ARG, "micro_batches: expected 1 or more");
        FAILS(lamina_dataset_add(empty, "x", pattern_x, low[i], &error), LAMINA_BAD_ARG, "expected 1 or more records");
        FAILS(lamina_dataset_check_labels(d, "y", low[i], &error), LAMINA_BAD_ARG, "classes: expected 1 or more");
    }
    FAILS(lamina_gradients(m, pattern, INT64_MAX, 0, 1, &error), LAMINA_BAD_ARG, "expected 1 .. 8");
    FAILS(lamina_gradients(m, pattern, 1, INT64_MAX, 1, &error), LAMINA_BAD_ARG, "expected 0 or the next");
    FAILS(lamina_dataset_add(empty, "x", pattern_x, INT64_MAX, &error), LAMINA_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++)
        FAILS(lamina_dataset_split(d, fractions[i], 1, &part, &error), LAMINA_BAD_ARG, "split: expected a fraction");
    lamina_fit_options o = {.first_step = 9}; /* of 8: 61 records, 8 a step */
    FAILS(lamina_fit(m, d, &o, NULL, &error), LAMINA_BAD_ARG, "first_step: expected 0 .. 8, the steps of an epoch");
    o.first_step = INT64_MAX;
    FAILS(lamina_fit(m, d, &o, NULL, &error), LAMINA_BAD_ARG, "first_step");
    o = (lamina_fit_options){.epochs = INT64_MAX, .batch = INT64_MAX, .first_epoch = INT64_MAX, .max_steps = INT64_MAX};
    OK(lamina_fit(m, d, &o, NULL, &error));
    lamina_dataset_free(empty);
    lamina_dataset_free(d);
    lamina_model_free(m);
}

static int32_t infer_that_looks(const lamina_call *c)
{
    return c->inputs[0] ? fake_net_query(LAMINA_ABI_MAJOR)->infer(c) : LAMINA_CALL_BAD_POINTER;
}

static void test_missing_input(void)
{
    float v[20];
    void *const out[] = {v};
    const void *const none[] = {NULL, NULL};
    lamina_model *m;
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    net.infer = infer_that_looks;
    OK(lamina_model_new(&net, NULL, &m, &error));
    FAILS(lamina_infer(m, none, 3, out, &error), LAMINA_BAD_ARG,
          "infer: expected data for each input that it reads, found NULL for 'x'");
    lamina_model_free(m);
}

/* Records of another shape, type, name or number of inputs would be read past their end. */
static void test_data_of_another_net(void)
{
    lamina_model *m = new_model(1, false);
    lamina_dataset *own = line_data(RECORDS), *other;
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    const lamina_tensor x = net.inputs[0], y = net.inputs[1];
    lamina_tensor inputs[] = {x, y};
    net.name = "other";
    net.inputs = inputs;
    for (int what = 0; what < 4; what++) {
        inputs[0] = x;
        net.input_count = what == 3 ? 1 : 2;
        inputs[0].name = what == 0 ? "z" : x.name;
        inputs[0].dtype = what == 1 ? LAMINA_I32 : x.dtype;
        inputs[0].dim[1] = what == 2 ? 1 : x.dim[1];
        inputs[0].bytes = what == 2 ? 4 : x.bytes;
        OK(lamina_dataset_new(&net, &other, &error));
        OK(lamina_dataset_add(other, inputs[0].name, pattern_x, 20, &error));
        const lamina_fit_options o = {.validation = other};
        const char *says = what == 3   ? "expected a data set of 2 inputs, found one of network 'other' with 1"
                           : what == 0 ? "expected a data set with input 'x' of f32[3], found 'z' of f32[3]"
                           : what == 1 ? "expected a data set with input 'x' of f32[3], found 'x' of i32[3]"
                                       : "expected a data set with input 'x' of f32[3], found 'x' of f32[1]";
        FAILS(lamina_fit(m, other, NULL, NULL, &error), LAMINA_BAD_ARG, says);
        FAILS(lamina_fit(m, own, &o, NULL, &error), LAMINA_BAD_ARG, says);
        FAILS(lamina_evaluate_dataset(m, other, NULL, &error), LAMINA_BAD_ARG, says);
        lamina_dataset_free(other);
    }
    lamina_dataset_free(own);
    lamina_model_free(m);
}

void add_runtime_arguments(CU_pSuite s)
{
    CU_add_test(s, "models without an argument", test_models_without);
    CU_add_test(s, "files without an argument", test_files_without);
    CU_add_test(s, "data without an argument", test_data_without);
    CU_add_test(s, "numbers out of range", test_numbers_out_of_range);
    CU_add_test(s, "an input that is missing", test_missing_input);
    CU_add_test(s, "data of another network", test_data_of_another_net);
}
