/* tests/unit/test_runtime_model.c - models, the check of a net, and weights as files. */
#include "tests/unit/runtime_case.h"
#include <dlfcn.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- model ---- */

static void test_model_tensors(void)
{
    lamina_model *m = new_model(1, false);
    float p[FAKE_INPUTS + 1], expected[FAKE_INPUTS];
    get_params(m, p);
    lamina_initial_values(&lamina_model_net(m)->tensors[0], 1, expected);
    CU_ASSERT_EQUAL(memcmp(p, expected, sizeof expected), 0);
    CU_ASSERT_EQUAL(p[FAKE_INPUTS], 0.25f);
    const float w[] = {3, 2, 1};
    OK(lamina_set_tensor(m, "dense1.weight", w, sizeof w, &error));
    get_params(m, p);
    CU_ASSERT_EQUAL(memcmp(p, w, sizeof w), 0);
    int64_t seed = 0;
    OK(lamina_get_tensor(m, "seed", &seed, sizeof seed, &error));
    CU_ASSERT_EQUAL(seed, 1);
    FAILS(lamina_get_tensor(m, "dense2.weight", p, 4, &error), LAMINA_BAD_ARG, "no parameter or state 'dense2.weight'");
    FAILS(lamina_set_tensor(m, "dense1.bias", p, 8, &error), LAMINA_BAD_ARG, "expected 4 bytes, found 8");
    CU_ASSERT_TRUE(lamina_model_bytes(m) >= 128 + 64 + 64 + 192);
    lamina_model_free(m);
    lamina_model_free(NULL);
}

static void test_model_infers_in_pieces(void)
{
    lamina_model *m = new_model(2, false);
    float out[20], p[FAKE_INPUTS + 1];
    void *const outputs[] = {out};
    const void *const only_x[] = {pattern_x, NULL};
    get_params(m, p);
    OK(lamina_infer(m, only_x, 20, outputs, &error));
    for (int i = 0; i < 20; i++) {
        float y = 0;
        for (int k = 0; k < FAKE_INPUTS; k++)
            y += pattern_x[i * FAKE_INPUTS + k] * p[k];
        CU_ASSERT_EQUAL(out[i], y + p[FAKE_INPUTS]);
    }
    void *const none[] = {NULL};
    FAILS(lamina_infer(m, only_x, 20, none, &error), LAMINA_BAD_ARG, "output 'prediction'");
    FAILS(lamina_infer(m, only_x, 0, outputs, &error), LAMINA_BAD_ARG, "expected 1 or more, found 0");
    FAILS(lamina_evaluate(m, only_x, 1, &error), LAMINA_BAD_ARG, "input 'y': expected data");
    FAILS(lamina_train_step(m, NULL, 1, &error), LAMINA_BAD_ARG, "inputs");
    lamina_model_free(m);
    const int32_t cancel = 1;
    const lamina_options options = {.cancel = &cancel};
    OK(lamina_model_new(fake_net_query(LAMINA_ABI_MAJOR), &options, &m, &error));
    FAILS(lamina_infer(m, only_x, 20, outputs, &error), LAMINA_INTERRUPTED, "cancelled");
    lamina_model_free(m);
}

static lamina_model *inference_model(const lamina_net *net)
{
    lamina_model *m = NULL;
    const lamina_options options = {.workers = 2, .inference = true};
    OK(lamina_model_new(net, &options, &m, &error));
    OK(lamina_initialize(m, 1, &error));
    return m;
}

/* It has the bits of one that trains, in less memory. */
static void test_model_for_inference(void)
{
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    lamina_model *m = inference_model(&net), *whole = new_model(2, false);
    float a[20], b[20];
    void *const x[] = {a}, *const y[] = {b};
    OK(lamina_infer(m, pattern, 20, x, &error));
    OK(lamina_infer(whole, pattern, 20, y, &error));
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    OK(lamina_evaluate(m, pattern, 20, &error));
    OK(lamina_evaluate(whole, pattern, 20, &error));
    CU_ASSERT_EQUAL(lamina_metric_value(m, 0), lamina_metric_value(whole, 0));
    CU_ASSERT_TRUE(lamina_metric_value(m, 0) > 0);
    CU_ASSERT_EQUAL(lamina_model_bytes(m), net.params_bytes + net.inference_state_bytes +
                                               net.inference_workspace_bytes + 2 * net.inference_worker_bytes);
    CU_ASSERT_FALSE(lamina_model_holds(m, -1));
    for (int32_t i = 0; i <= net.tensor_count; i++) {
        CU_ASSERT_EQUAL(lamina_model_holds(m, i), i < 4); /* two parameters, two sums */
        CU_ASSERT_EQUAL(lamina_model_holds(whole, i), i < net.tensor_count);
    }
    lamina_model_free(m);
    lamina_model_free(whole);
    net.struct_size = offsetof(lamina_net, inference_state_bytes); /* it does not say what inference takes */
    m = inference_model(&net);
    CU_ASSERT_TRUE(lamina_model_holds(m, net.tensor_count - 1));
    OK(lamina_infer(m, pattern, 20, y, &error));
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    lamina_model_free(m);
}

static void test_inference_does_not_train(void)
{
    lamina_model *m = inference_model(fake_net_query(LAMINA_ABI_MAJOR));
    lamina_checkpoint c = {.batch = 8};
    lamina_dataset *d = line_data(RECORDS);
    int64_t step = 0;
    double sum = 3;
    const char *words = ": expected a model that trains, found one made for inference only";
    FAILS(lamina_train_step(m, pattern, 7, &error), LAMINA_BAD_ARG, words);
    SAYS("fake: train_step: ");
    FAILS(lamina_train_step(m, pattern, 20, &error), LAMINA_BAD_ARG, words);
    FAILS(lamina_gradients(m, pattern, 7, 0, 1, &error), LAMINA_BAD_ARG, words);
    FAILS(lamina_update(m, &error), LAMINA_BAD_ARG, words);
    FAILS(lamina_reserve(m, 4, &error), LAMINA_BAD_ARG, words);
    FAILS(lamina_fit(m, d, NULL, NULL, &error), LAMINA_BAD_ARG, words);
    FAILS(lamina_save_checkpoint(m, &c, path_of("c.st"), &error), LAMINA_BAD_ARG, words);
    FAILS(lamina_load_checkpoint(m, path_of("c.st"), &c, &c, &error), LAMINA_BAD_ARG, words);
    FAILS(lamina_get_tensor(m, "step", &step, sizeof step, &error), LAMINA_BAD_ARG,
          "fake: tensor 'step': expected one that inference uses");
    FAILS(lamina_set_tensor(m, "step", &step, sizeof step, &error), LAMINA_BAD_ARG,
          "found one that only training does");
    OK(lamina_set_tensor(m, "metric.loss", &sum, sizeof sum, &error));
    OK(lamina_evaluate_dataset(m, d, &sum, &error));
    CU_ASSERT_EQUAL(sum, lamina_metric_value(m, 0));
    lamina_dataset_free(d);
    lamina_model_free(m);
}

/* Of a checkpoint it takes what it holds. */
static void test_inference_loads_checkpoints(void)
{
    const lamina_checkpoint c = {.batch = 8};
    lamina_model *m = inference_model(fake_net_query(LAMINA_ABI_MAJOR)), *whole = new_model(1, false);
    float p[FAKE_INPUTS + 1], q[FAKE_INPUTS + 1];
    OK(lamina_train_step(whole, pattern, 8, &error));
    OK(lamina_save_checkpoint(whole, &c, path_of("c.st"), &error));
    OK(lamina_load_weights(m, path_of("c.st"), &error));
    get_params(whole, p);
    get_params(m, q);
    CU_ASSERT_EQUAL(memcmp(p, q, sizeof p), 0);
    CU_ASSERT_EQUAL(lamina_metric_value(m, 0), lamina_metric_value(whole, 0));
    OK(lamina_save_weights(m, path_of("w.st"), &error));
    OK(lamina_load_weights(whole, path_of("w.st"), &error));
    lamina_model_free(m);
    lamina_model_free(whole);
}

static void test_model_steps_have_the_same_bits(void)
{
    lamina_model *whole = new_model(1, false), *staged = new_model(3, true), *halves = new_model(2, false);
    float a[FAKE_INPUTS + 1], b[FAKE_INPUTS + 1], c[FAKE_INPUTS + 1];
    for (int i = 0; i < 4; i++) {
        OK(lamina_train_step(whole, pattern, 7, &error));
        OK(lamina_train_step(staged, pattern, 7, &error));
        OK(lamina_gradients(halves, pattern, 7, 0, 1.0f / 7, &error));
        OK(lamina_update(halves, &error));
    }
    /* more than max_batch: gradients accumulate, one update */
    OK(lamina_train_step(whole, pattern, 20, &error));
    OK(lamina_train_step(staged, pattern, 20, &error));
    for (int64_t i = 0; i < 3; i++) {
        const void *const at[] = {pattern_x + 8 * i * FAKE_INPUTS, pattern_y + 8 * i};
        OK(lamina_gradients(halves, at, i < 2 ? 8 : 4, i, 1.0f / 20, &error));
    }
    OK(lamina_update(halves, &error));
    get_params(whole, a);
    get_params(staged, b);
    get_params(halves, c);
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    CU_ASSERT_EQUAL(memcmp(a, c, sizeof a), 0);
    int64_t step = 0;
    OK(lamina_get_tensor(whole, "step", &step, sizeof step, &error));
    CU_ASSERT_EQUAL(step, 5);
    CU_ASSERT_EQUAL(lamina_steps(whole), 5);
    CU_ASSERT_EQUAL(lamina_metric_value(whole, 0), lamina_metric_value(staged, 0));
    FAILS(lamina_gradients(halves, pattern, 9, 0, 1, &error), LAMINA_BAD_ARG, "expected 1 .. 8, found 9");
    lamina_model_free(whole);
    lamina_model_free(staged);
    lamina_model_free(halves);
}

/* What a net of ABI 1.1 has for gradients(): it adds to those of the micro-batch before. */
static int32_t adding_gradients(const lamina_call *c)
{
    float before[FAKE_INPUTS + 1], *g = c->gradients;
    memcpy(before, g, sizeof before);
    int32_t result = fake_net_query(LAMINA_ABI_MAJOR)->gradients(c);
    for (int i = 0; c->micro_batch && i <= FAKE_INPUTS; i++)
        g[i] += before[i];
    return result;
}

static void test_model_combines_gradients_of_older_nets(void)
{
    lamina_net old = *fake_net_query(LAMINA_ABI_MAJOR);
    old.abi_minor = 1;
    old.needs = 0;
    old.gradients = adding_gradients;
    lamina_model *a = new_model(1, false), *b = NULL;
    OK(lamina_model_new(&old, NULL, &b, &error));
    OK(lamina_initialize(b, 1, &error));
    const void *const one[] = {pattern_x, pattern_y};
    for (int step = 0; step < 2; step++)
        for (int64_t k = 0; k < 7; k++) {
            OK(lamina_gradients(a, one, 3, k, 0.1f, &error));
            OK(lamina_gradients(b, one, 3, k, 0.1f, &error));
        }
    OK(lamina_update(a, &error));
    OK(lamina_update(b, &error));
    float p[FAKE_INPUTS + 1], q[FAKE_INPUTS + 1];
    get_params(a, p);
    get_params(b, q);
    CU_ASSERT_EQUAL(memcmp(p, q, sizeof p), 0);
    CU_ASSERT_EQUAL(lamina_metric_value(a, 0), lamina_metric_value(b, 0));
    lamina_model_free(a);
    lamina_model_free(b);
}

/* A child of fork() has no threads but its own: its steps are made by that one, with the same bits. */
static void test_model_after_fork(void)
{
    for (int i = 0; i < 20; i++) {
        lamina_model *m = new_model(3, false);
        float before[FAKE_INPUTS + 1], parents[FAKE_INPUTS + 1], childs[FAKE_INPUTS + 1];
        int ends[2], status = -1;
        CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
        for (int step = 0; step < 20; step++) {
            OK(lamina_train_step(m, pattern, 7, &error));
            usleep(step % 3 * 100); /* the workers spin, or sleep and are woken */
        }
        get_params(m, before);
        usleep(i % 2 ? 0 : 2000);
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            bool ok = lamina_train_step(m, pattern, 20, NULL) == LAMINA_OK &&
                      lamina_train_step(m, pattern, 7, NULL) == LAMINA_OK;
            get_params(m, childs);
            lamina_model_free(m);
            _exit(ok && write(ends[1], childs, sizeof childs) == (ssize_t)sizeof childs ? 0 : 1);
        }
        OK(lamina_train_step(m, pattern, 20, &error));
        OK(lamina_train_step(m, pattern, 7, &error));
        get_params(m, parents);
        lamina_model_free(m);
        close(ends[1]);
        CU_ASSERT_EQUAL(read(ends[0], childs, sizeof childs), (ssize_t)sizeof childs);
        close(ends[0]);
        CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
        CU_ASSERT_EQUAL(status, 0);
        CU_ASSERT_EQUAL(memcmp(parents, childs, sizeof parents), 0);
        CU_ASSERT_NOT_EQUAL(memcmp(before, childs, sizeof before), 0);
    }
}

static void test_model_metrics_and_rate(void)
{
    lamina_model *m = new_model(1, false);
    CU_ASSERT_TRUE(isnan(lamina_metric_value(m, 0)));
    CU_ASSERT_TRUE(isnan(lamina_metric_value(m, 1)));
    OK(lamina_evaluate(m, pattern, 20, &error));
    double loss = lamina_metric_value(m, 0);
    OK(lamina_evaluate(m, pattern, 20, &error));
    CU_ASSERT_DOUBLE_EQUAL(lamina_metric_value(m, 0), loss, 1e-12);
    lamina_reset_metrics(m);
    CU_ASSERT_TRUE(isnan(lamina_metric_value(m, 0)));
    CU_ASSERT_EQUAL(lamina_learning_rate(m), 0.05f);
    float before[FAKE_INPUTS + 1], after[FAKE_INPUTS + 1];
    get_params(m, before);
    lamina_set_learning_rate(m, 0);
    OK(lamina_train_step(m, pattern, 8, &error));
    get_params(m, after);
    CU_ASSERT_EQUAL(memcmp(before, after, sizeof before), 0);
    lamina_set_learning_rate(m, NAN);
    CU_ASSERT_EQUAL(lamina_learning_rate(m), 0.05f);
    lamina_model_free(m);
}

/* A library older than ABI 1.3 does not say what inference takes of state and workspace. */
static void test_net_sizes(void)
{
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    lamina_sizes whole = lamina_net_sizes(&net, false), part = lamina_net_sizes(&net, true);
    CU_ASSERT_EQUAL(whole.params, net.params_bytes);
    CU_ASSERT_EQUAL(whole.state, net.state_bytes);
    CU_ASSERT_EQUAL(whole.gradients, net.gradient_bytes);
    CU_ASSERT_EQUAL(whole.saved, net.saved_bytes);
    CU_ASSERT_EQUAL(whole.workspace, net.workspace_bytes);
    CU_ASSERT_EQUAL(whole.worker, net.workspace_worker_bytes);
    CU_ASSERT_EQUAL(part.params, net.params_bytes);
    CU_ASSERT_EQUAL(part.state, net.inference_state_bytes);
    CU_ASSERT_EQUAL(part.gradients + part.saved, 0);
    CU_ASSERT_EQUAL(part.workspace, net.inference_workspace_bytes);
    CU_ASSERT_EQUAL(part.worker, net.inference_worker_bytes);
    net.struct_size = offsetof(lamina_net, inference_state_bytes);
    part = lamina_net_sizes(&net, true);
    CU_ASSERT_EQUAL(part.state, whole.state);
    CU_ASSERT_EQUAL(part.gradients + part.saved, 0);
    CU_ASSERT_EQUAL(part.workspace, whole.workspace);
    CU_ASSERT_EQUAL(part.worker, whole.worker);
}

static void test_net_check(void)
{
    lamina_model *m;
    FAILS(lamina_model_new(fake_net_query(99), NULL, &m, &error), LAMINA_UNSUPPORTED, "recompile");
    lamina_net other = *fake_net_query(LAMINA_ABI_MAJOR);
    OK(lamina_net_check(&other, &error));
    other.abi_major = 7;
    FAILS(lamina_model_new(&other, NULL, &m, &error), LAMINA_UNSUPPORTED, "compiled for ABI 7.8");
    SAYS("this runtime has ABI 1.8");
    SAYS("lamina compile");
    other = *fake_net_query(LAMINA_ABI_MAJOR);
    other.struct_size = 8;
    FAILS(lamina_model_new(&other, NULL, &m, &error), LAMINA_UNSUPPORTED, "descriptor of 8 bytes");
    other = *fake_net_query(LAMINA_ABI_MAJOR);
    other.features = "quantum";
    FAILS(lamina_model_new(&other, NULL, &m, &error), LAMINA_UNSUPPORTED, "instruction set 'quantum'");
#if defined(__x86_64__)
    other.features = "sse,sse2";
    OK(lamina_net_check(&other, &error));
#endif
    other = *fake_net_query(LAMINA_ABI_MAJOR);
    const lamina_metric bad = {"loss", LAMINA_METRIC_MEAN, 4, 3, 0};
    other.metrics = &bad;
    FAILS(lamina_net_check(&other, &error), LAMINA_UNSUPPORTED, "metric 'loss'");
    other = *fake_net_query(LAMINA_ABI_MAJOR);
    other.workspace_worker_bytes = UINT64_MAX / 2;
    FAILS(lamina_model_new(&other, &(lamina_options){.workers = 3}, &m, &error), LAMINA_NO_MEMORY, "workspace");
    CU_ASSERT_PTR_NULL(m);
}

static void test_library_refuses_bad_files(void)
{
    lamina_library *l;
    FAILS(lamina_library_open(path_of("none.so"), &l, &error), LAMINA_IO, "none.so: cannot open");
    write_file(path_of("a.idx"), small_idx, sizeof small_idx);
    FAILS(lamina_library_open(path_of("a.idx"), &l, &error), LAMINA_BAD_FILE,
          "a.idx: not a compiled network: expected a shared object for this machine");
    Dl_info info;
    CU_ASSERT_NOT_EQUAL_FATAL(dladdr(dlsym(RTLD_DEFAULT, "json_object"), &info), 0);
    FAILS(lamina_library_open(info.dli_fname, &l, &error), LAMINA_BAD_FILE, "no function lamina_net_query");
    CU_ASSERT_PTR_NULL(l);
}

/* ---- safetensors ---- */

static void test_weights_round_trip(void)
{
    lamina_model *a = new_model(1, false), *b = new_model(1, false);
    OK(lamina_train_step(a, pattern, 8, &error));
    OK(lamina_save_weights(a, path_of("w.st"), &error));
    OK(lamina_load_weights(b, path_of("w.st"), &error));
    float p[FAKE_INPUTS + 1], q[FAKE_INPUTS + 1];
    get_params(a, p);
    get_params(b, q);
    CU_ASSERT_EQUAL(memcmp(p, q, sizeof p), 0);
    OK(lamina_save_weights(b, path_of("v.st"), &error));
    char x[1024], y[1024];
    size_t n = read_file(path_of("w.st"), x, sizeof x);
    CU_ASSERT_EQUAL(read_file(path_of("v.st"), y, sizeof y), n);
    CU_ASSERT_EQUAL(memcmp(x, y, n), 0);
    static const char start[] = "{\"__metadata__\":{\"crc32\":\"";
    static const char header[] = "\"},\"dense1.weight\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[0,12]},"
                                 "\"dense1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}";
    CU_ASSERT_EQUAL(memcmp(x + 8, start, sizeof start - 1), 0);
    CU_ASSERT_EQUAL(memcmp(x + 8 + sizeof start - 1 + 8, header, sizeof header - 1), 0);
    seal(x, n);
    CU_ASSERT_EQUAL(memcmp(x, y, n), 0);
    CU_ASSERT_EQUAL(x[0] % 8, 0);
    CU_ASSERT_EQUAL(n, 8 + (size_t)(unsigned char)x[0] + 16);
    FAILS(lamina_save_weights(a, path_of("no/folder"), &error), LAMINA_IO, "no/folder: cannot create");
    FAILS(lamina_save_weights(a, folder, &error), LAMINA_IO, "cannot write");
    lamina_model_free(a);
    lamina_model_free(b);
}

static bool in_weights_file(const lamina_net *net, const char *name)
{
    lamina_model *m;
    char file[2048] = "", quoted[64];
    OK(lamina_model_new(net, NULL, &m, &error));
    OK(lamina_save_weights(m, path_of("w.st"), &error));
    size_t n = read_file(path_of("w.st"), file, sizeof file);
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    lamina_model_free(m);
    return memmem(file, n, quoted, strlen(quoted)) != NULL;
}

/* Which states inference reads the descriptor says, or, before ABI 1.3, their names and ranks do. */
static void test_weights_hold_statistics(void)
{
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    lamina_tensor tensors[7];
    memcpy(tensors, net.tensors, sizeof tensors);
    net.tensors = tensors;
    CU_ASSERT_EQUAL_FATAL(net.tensor_count, 7);
    CU_ASSERT_FALSE(in_weights_file(&net, "decay"));
    net.inference_state_bytes = tensors[5].offset;
    CU_ASSERT_TRUE(in_weights_file(&net, "step"));
    CU_ASSERT_FALSE(in_weights_file(&net, "seed"));
    CU_ASSERT_FALSE(in_weights_file(&net, "metric.loss"));
    CU_ASSERT_FALSE(in_weights_file(&net, "metric.examples"));
    net.struct_size = offsetof(lamina_net, inference_state_bytes);
    CU_ASSERT_FALSE(in_weights_file(&net, "step"));
    CU_ASSERT_FALSE(in_weights_file(&net, "decay"));
    tensors[6].rank = 1;
    tensors[6].dim[0] = 1;
    CU_ASSERT_TRUE(in_weights_file(&net, "decay"));
    tensors[6].name = "adam.m/decay";
    CU_ASSERT_FALSE(in_weights_file(&net, "adam.m/decay"));
}

/* What a file lacks keeps its value, and is named until a file has it. */
static void test_missing_statistics(void)
{
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    lamina_model *plain = new_model(1, false), *m;
    net.inference_state_bytes = net.state_bytes;
    OK(lamina_model_new(&net, NULL, &m, &error));
    OK(lamina_save_weights(plain, path_of("plain.st"), &error));
    CU_ASSERT_PTR_NULL(lamina_missing_statistic(m, 0));
    float decay = 0.5f;
    OK(lamina_set_tensor(m, "decay", &decay, sizeof decay, &error));
    OK(lamina_save_weights(m, path_of("w.st"), &error));
    decay = 7;
    OK(lamina_set_tensor(m, "decay", &decay, sizeof decay, &error));
    FAILS(lamina_load_weights(m, path_of("none"), &error), LAMINA_IO, "none: cannot open");
    CU_ASSERT_PTR_NULL(lamina_missing_statistic(m, 0));
    OK(lamina_load_weights(m, path_of("plain.st"), &error));
    CU_ASSERT_STRING_EQUAL(lamina_missing_statistic(m, 0), "step");
    CU_ASSERT_STRING_EQUAL(lamina_missing_statistic(m, 2), "decay");
    CU_ASSERT_PTR_NULL(lamina_missing_statistic(m, 3));
    OK(lamina_get_tensor(m, "decay", &decay, sizeof decay, &error));
    CU_ASSERT_EQUAL(decay, 7);
    OK(lamina_load_weights(m, path_of("w.st"), &error));
    CU_ASSERT_PTR_NULL(lamina_missing_statistic(m, 0));
    OK(lamina_get_tensor(m, "decay", &decay, sizeof decay, &error));
    CU_ASSERT_EQUAL(decay, 0.5f);
    CU_ASSERT_PTR_NULL(lamina_missing_statistic(NULL, 0));
    unlink(path_of("plain.st"));
    lamina_model_free(plain);
    lamina_model_free(m);
}

/* No bit of a checkpoint can change unseen; of a weights file only those that say that there is a checksum, and then
 * the parameters are right. */
static void test_flipped_bits_are_found(void)
{
    lamina_model *m = new_model(1, false);
    lamina_checkpoint c = {.epoch = 3, .step = 2, .batch = 8, .seed = 9, .data = 5}, found;
    float before[FAKE_INPUTS + 1], after[FAKE_INPUTS + 1];
    char file[4096], path[128];
    strcpy(path, path_of("c.st"));
    get_params(m, before);
    for (int weights = 0; weights < 2; weights++) {
        OK(weights ? lamina_save_weights(m, path, &error) : lamina_save_checkpoint(m, &c, path, &error));
        size_t n = read_file(path, file, sizeof file), missed = 0;
        for (size_t bit = 0; bit < 8 * n; bit++) {
            file[bit / 8] ^= (char)(1 << bit % 8);
            write_file(path, file, n);
            missed += (weights ? lamina_load_weights(m, path, &error)
                               : lamina_load_checkpoint(m, path, &c, &found, &error)) == LAMINA_OK;
            get_params(m, after);
            CU_ASSERT_EQUAL(memcmp(before, after, sizeof before), 0);
            file[bit / 8] ^= (char)(1 << bit % 8);
        }
        CU_ASSERT_TRUE(weights ? missed <= 8 * 5 : missed == 0); /* the five letters of "crc32" */
        file[n - 1] ^= 1;
        write_file(path, file, n);
        FAILS(lamina_load_weights(m, path, &error), LAMINA_BAD_FILE, "damaged or truncated: expected the checksum ");
    }
    lamina_model_free(m);
}

static lamina_status load_text(lamina_model *m, const char *header, size_t data)
{
    char file[2048] = {0};
    size_t length = strlen(header);
    for (int i = 0; i < 8; i++)
        file[i] = (char)(length >> (8 * i));
    memcpy(file + 8, header, length);
    write_file(path_of("w.st"), file, 8 + length + data);
    return lamina_load_weights(m, path_of("w.st"), &error);
}

#define WEIGHT(shape, from, to)                                                                                        \
    "\"dense1.weight\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"
#define BIAS(from, to) "\"dense1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" from "," to "]}"

static void test_weights_refuse_bad_files(void)
{
    lamina_model *m = new_model(1, false);
    float before[FAKE_INPUTS + 1], after[FAKE_INPUTS + 1];
    get_params(m, before);
    FAILS(lamina_load_weights(m, path_of("none"), &error), LAMINA_IO, "none: cannot open");
    write_file(path_of("w.st"), "abc", 3);
    FAILS(lamina_load_weights(m, path_of("w.st"), &error), LAMINA_BAD_FILE, "expected 8 bytes or more, found 3");
    write_file(path_of("w.st"), "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    FAILS(lamina_load_weights(m, path_of("w.st"), &error), LAMINA_BAD_FILE, "not a safetensors file, or truncated");
    FAILS(load_text(m, "{\"a\"", 0), LAMINA_BAD_FILE, "w.st: header, byte");
    FAILS(load_text(m, "[]", 0), LAMINA_BAD_FILE, "expected a JSON object");
    FAILS(load_text(m, "{}", 0), LAMINA_BAD_FILE, "tensor 'dense1.weight' of network 'fake' is missing");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "0", "12") "," WEIGHT("[3,1]", "0", "12") "}", 16), LAMINA_BAD_FILE,
          "duplicate");
    FAILS(load_text(m, "{" WEIGHT("[1,3]", "0", "12") "," BIAS("12", "16") "}", 16), LAMINA_BAD_FILE,
          "w.st: tensor 'dense1.weight': expected F32[3, 1], found F32[1, 3]");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "0", "12") "}", 12), LAMINA_BAD_FILE, "tensor 'dense1.bias'");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "0", "12") "," BIAS("12", "16") "}", 15), LAMINA_BAD_FILE,
          "truncated: tensor 'dense1.bias' ends at byte 16 of the data, found 15 bytes");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "0", "12") "," BIAS("12", "16") "}", 17), LAMINA_BAD_FILE,
          "expected 16 bytes of data, found 17");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "0", "12") "," BIAS("8", "12") "}", 16), LAMINA_BAD_FILE,
          "expected it at byte");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "-4", "8") "," BIAS("12", "16") "}", 16), LAMINA_BAD_FILE,
          "tensor 'dense1.weight': expected data_offsets that are 12 bytes apart, found -4 .. 8");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "12", "0") "," BIAS("12", "16") "}", 16), LAMINA_BAD_FILE,
          "expected data_offsets that are 12 bytes apart, found 12 .. 0");
    FAILS(load_text(m, "{\"dense9.bias\":{}}", 0), LAMINA_BAD_FILE, "tensor 'dense9.bias': network 'fake' has none");
    FAILS(load_text(m, "{\"dense1.bias\":3}", 0), LAMINA_BAD_FILE, "expected a dtype, a shape and two data_offsets");
    get_params(m, after);
    CU_ASSERT_EQUAL(memcmp(before, after, sizeof before), 0);
    OK(load_text(m, "{\"__metadata__\":{\"format\":\"pt\"}," BIAS("0", "4") "," WEIGHT("[3,1]", "4", "16") "}  ", 16));
    get_params(m, after);
    CU_ASSERT_EQUAL(after[0], 0);
    lamina_model_free(m);
}

void add_runtime_model(CU_pSuite s)
{
    CU_add_test(s, "model tensors", test_model_tensors);
    CU_add_test(s, "model infers in pieces", test_model_infers_in_pieces);
    CU_add_test(s, "model for inference", test_model_for_inference);
    CU_add_test(s, "inference does not train", test_inference_does_not_train);
    CU_add_test(s, "inference loads checkpoints", test_inference_loads_checkpoints);
    CU_add_test(s, "model steps have the same bits", test_model_steps_have_the_same_bits);
    CU_add_test(s, "gradients of older nets", test_model_combines_gradients_of_older_nets);
    CU_add_test(s, "model after fork", test_model_after_fork);
    CU_add_test(s, "model metrics and rate", test_model_metrics_and_rate);
    CU_add_test(s, "net sizes", test_net_sizes);
    CU_add_test(s, "net check", test_net_check);
    CU_add_test(s, "library refuses bad files", test_library_refuses_bad_files);
    CU_add_test(s, "weights round trip", test_weights_round_trip);
    CU_add_test(s, "weights hold statistics", test_weights_hold_statistics);
    CU_add_test(s, "missing statistics", test_missing_statistics);
    CU_add_test(s, "flipped bits are found", test_flipped_bits_are_found);
    CU_add_test(s, "weights refuse bad files", test_weights_refuse_bad_files);
}
