/* tests/unit/test_matrix.c - the matrix of equal bits.
 *
 * A training run gives the same parameters and states for any number of workers, fused or staged, with any optional
 * pass off, for AVX2 and AVX-512; and the f32 evaluator gives the same again. A run has twenty steps, and the last
 * of each five has a short batch; then comes an evaluation. All memory is fenced by guard pages and starts as NaN, and
 * infer and evaluate have no more than inference takes. */
#include "ir/ops/eval.h"
#include "tests/unit/extent.h"
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LAMINA_TESTS_DIR
#define LAMINA_TESTS_DIR "tests"
#endif

enum { STEPS = 20, BATCH = 20, SHORT_BATCH = 7, CLASSES = 10 };

static int64_t batch_of(int step)
{
    return step % 5 == 4 ? SHORT_BATCH : BATCH;
}

static void train(net_run *r, int steps, bool halves)
{
    r->call.learning_rate = 0.01f;
    net_initialize(r, 5);
    for (int step = 0; step < steps; step++) {
        net_set_batch(r, batch_of(step), NULL, (uint32_t)step);
        int32_t code = halves ? net_gradients_update(r, batch_of(step)) : net_step(r, batch_of(step));
        CU_ASSERT_EQUAL(code, LAMINA_CALL_OK);
    }
    net_set_batch(r, batch_of(steps), NULL, (uint32_t)steps);
    CU_ASSERT_EQUAL(net_infer(r, batch_of(steps)), LAMINA_CALL_OK);
    CU_ASSERT_EQUAL(net_evaluate(r, batch_of(steps)), LAMINA_CALL_OK);
}

static void run_evaluator(evaluator *e, const ir_graph *f, const lamina_net *n, int step, diag *d)
{
    int64_t batch = batch_of(step);
    evaluator_set_batch(e, batch);
    evaluator_set_call_value(e, "learning_rate", 0.01f);
    evaluator_set_call_value(e, "loss_scale", 1.0f / (float)batch);
    for (int32_t i = 0; i < n->input_count; i++)
        fill_input(&n->inputs[i], evaluator_input(e, f, i)->data, batch, CLASSES, input_seed((uint32_t)step, i));
    CU_ASSERT_TRUE(evaluator_run(e, f, d));
}

/* The same in the evaluator, on the module as the passes left it; all tensors as net_export gives them. */
static void *train_evaluator(const net_run *r, const ir_module *m, int steps)
{
    const lamina_net *n = r->net;
    evaluator *e = evaluator_new(m, EVAL_F32, 1);
    diag *d = diag_new();
    for (int32_t i = 0; i < n->tensor_count; i++)
        lamina_initial_values(&n->tensors[i], 5, evaluator_symbol(e, n->tensors[i].name)->data);
    for (int step = 0; step < steps; step++)
        run_evaluator(e, ir_function_find(m, "train_step"), n, step, d);
    run_evaluator(e, ir_function_find(m, "evaluate"), n, steps, d);
    size_t bytes = 0;
    for (int32_t i = 0; i < n->tensor_count; i++)
        bytes += n->tensors[i].bytes;
    char *all = malloc(bytes), *at = all;
    for (int32_t i = 0; i < n->tensor_count; at += n->tensors[i++].bytes)
        memcpy(at, evaluator_symbol(e, n->tensors[i].name)->data, n->tensors[i].bytes);
    diag_free(d);
    evaluator_free(e);
    return all;
}

/* Say which tensor differs first; equal bytes say nothing. */
static bool same(const lamina_net *n, const void *a, const void *b, const char *what)
{
    const char *x = a, *y = b;
    for (int32_t i = 0; i < n->tensor_count; i++) {
        size_t bytes = n->tensors[i].bytes;
        if (memcmp(x, y, bytes)) {
            size_t at = 0;
            while (x[at] == y[at])
                at++;
            fprintf(stderr, "%s: tensor %s differs at byte %zu of %zu\n", what, n->tensors[i].name, at, bytes);
            return false;
        }
        x += bytes;
        y += bytes;
    }
    return true;
}

static void describe(char *out, size_t size, const char *net, const net_variant *v, int64_t workers)
{
    snprintf(out, size, "%s, %s, %s %lld, without %s, %lld bytes of L2, %lld workers", net, v->cpu ? v->cpu : "native",
             v->partition ? v->partition : "fused", (long long)v->stages, v->disabled ? v->disabled : "nothing",
             (long long)v->l2, (long long)workers);
}

static void check_variant(const char *net, const char *path, const net_variant *v, const void *want)
{
    char what[200];
    net_run r;
    CU_ASSERT_TRUE_FATAL(net_open(&r, path, v, 3));
    for (int64_t workers = 1; workers <= 3; workers++)
        for (int halves = 0; halves < (workers == 1 ? 2 : 1); halves++) {
            size_t bytes;
            describe(what, sizeof what, net, v, workers);
            CU_ASSERT_TRUE_FATAL(net_set_workers(&r, workers));
            train(&r, STEPS, halves);
            void *got = net_export(&r, &bytes);
            CU_ASSERT_TRUE(same(r.net, got, want, what));
            free(got);
        }
    net_close(&r);
}

/* With each of the lists of passes off, for a CPU's own cache or one of 'l2' bytes. */
static void check_net(const char *net, const char *convolution, const char *const *off, size_t count, int64_t l2)
{
    static const char *const cpus[] = {"x86-64-v3", "x86-64-v4"};
    char path[512];
    snprintf(path, sizeof path, "%s/nets/%s.yaml", LAMINA_TESTS_DIR, net);
    const net_variant plain = {.cpu = "x86-64-v3", .convolution = convolution};
    ir_module *m = net_module(path, &plain);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    net_run r;
    CU_ASSERT_TRUE_FATAL(net_open_module(&r, m, 1));
    size_t bytes;
    train(&r, STEPS, false);
    void *want = net_export(&r, &bytes), *reference = train_evaluator(&r, m, STEPS);
    CU_ASSERT_TRUE(same(r.net, want, reference, "generated code and evaluator"));
    free(reference);
    net_close(&r);
    ir_module_free(m);
    for (int cpu = 0; cpu < (__builtin_cpu_supports("avx512f") && !extent_sanitized ? 2 : 1); cpu++)
        for (size_t i = 0; i < count; i++)
            for (int64_t stages = 1; stages <= (extent_sanitized ? 2 : 3); stages++) {
                const net_variant v = {.cpu = cpus[cpu],
                                       .partition = stages > 1 ? "staged" : "fused",
                                       .stages = stages > 1 ? stages : 0,
                                       .disabled = off[i],
                                       .convolution = convolution,
                                       .l2 = l2};
                check_variant(net, path, &v, want);
            }
    free(want);
}

static const char *const each[] = {NULL, "simplify,cleanup", "fuse", "split", "schedule", "chain"};
enum { EACH = sizeof each / sizeof *each };

static void matrix_mlp(void)
{
    check_net("mlp", NULL, each, EACH, 0);
}

static void matrix_cnn(void)
{
    check_net("cnn", NULL, each, EACH, 0);
}

/* Losses on layers of every stage. */
static void matrix_branches(void)
{
    static const char *const off[] = {NULL, "simplify,cleanup", "fuse"};
    check_net("branches", NULL, off, 3, 0);
}

static void matrix_losses(void)
{
    static const char *const off[] = {NULL, "simplify,cleanup", "fuse"};
    check_net("losses", NULL, off, 3, 0);
}

/* Slices as long as a leaf, and of two examples. */
static void matrix_chains(void)
{
    static const char *const off[] = {NULL, "fuse", "chain"};
    check_net("chains", NULL, off, 3, 0);
    check_net("chains", NULL, off, 2, 160 << 10);
}

/* What comes after a chain reads what the optimizer assigns. */
static void matrix_residual(void)
{
    static const char *const off[] = {NULL, "chain"};
    check_net("residual", NULL, off, 2, 0);
}

/* The first stage, or two, may learn nothing. */
static void matrix_frozen(void)
{
    static const char *const off[] = {NULL, "simplify,cleanup", "fuse"};
    check_net("frozen", NULL, off, 3, 0);
}

static void matrix_clipped(void)
{
    static const char *const off[] = {NULL, "simplify,cleanup", "fuse"};
    check_net("clipped", NULL, off, 3, 0);
}

static void matrix_norms(void)
{
    static const char *const off[] = {NULL, "simplify,cleanup", "fuse"};
    check_net("norms", NULL, off, 3, 0);
}

static void matrix_optimizers(void)
{
    static const char *const off[] = {NULL, "simplify,cleanup", "fuse"};
    check_net("optimizers", NULL, off, 3, 0);
}

/* All 3x3 convolutions by minimal filtering, those of few channels too. */
static void matrix_filtered(void)
{
    check_net("cnn", "winograd", each, 1, 0);
}

/* What the catalogue has besides, in three nets. */
static void matrix_layers(void)
{
    check_net("torch/sequence", NULL, each, 1, 0);
    check_net("torch/image", NULL, each, 1, 0);
    check_net("torch/params", NULL, each, 1, 0);
}

static int64_t count_subnormal(const float *x, size_t count)
{
    int64_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += fpclassify(x[i]) == FP_SUBNORMAL;
    return found;
}

static bool is_zero(const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (x[i] != 0)
            return false;
    return true;
}

/* How many elements of f32 tensors are subnormal; *decayed: whether nothing is left of that moment. */
static int64_t look_for_subnormal(net_run *r, const char *moment, bool *decayed)
{
    size_t bytes;
    char *all = net_export(r, &bytes), *at = all;
    int64_t found = 0, moments = 0;
    for (int32_t i = 0; i < r->net->tensor_count; at += r->net->tensors[i++].bytes) {
        const lamina_tensor *t = &r->net->tensors[i];
        const float *x = (const float *)at;
        size_t count = t->dtype == LAMINA_F32 ? t->bytes / sizeof *x : 0;
        found += count_subnormal(x, count);
        if (!strcmp(t->name, moment)) {
            *decayed = is_zero(x, count);
            moments++;
        }
    }
    CU_ASSERT_EQUAL(moments, 1);
    free(all);
    return found;
}

/* One step of gradients, then images of zeros: the moments of the first layer's weights decay, by 2^-152 in 1000 steps.
 */
static void check_decay(const char *net, const char *moment)
{
    char path[512];
    net_run r;
    snprintf(path, sizeof path, "%s/nets/%s.yaml", LAMINA_TESTS_DIR, net);
    CU_ASSERT_TRUE_FATAL(net_open(&r, path, &(net_variant){0}, 1));
    train(&r, 1, false);
    net_set_batch(&r, batch_of(0), NULL, 0);
    memset((void *)r.inputs[0], 0, r.input_bytes[0]);
    bool decayed = true;
    CU_ASSERT_EQUAL(look_for_subnormal(&r, moment, &decayed), 0);
    CU_ASSERT_FALSE(decayed);
    for (int step = 1; step <= 1000; step++) {
        CU_ASSERT_EQUAL(net_step(&r, BATCH), LAMINA_CALL_OK);
        if (step % 50 == 0)
            CU_ASSERT_EQUAL(look_for_subnormal(&r, moment, &decayed), 0);
    }
    CU_ASSERT_TRUE(decayed);
    net_close(&r);
}

static void decaying_moments(void)
{
    check_decay("mlp", "adam.m/dense1.weight");
    check_decay("optimizers", "rmsprop.velocity/conv1.weight");
    check_decay("optimizers", "rmsprop.mean/conv1.weight");
}

void suite_matrix(void);
void suite_matrix(void)
{
    CU_pSuite s = CU_add_suite("matrix of equal bits", NULL, NULL);
    CU_add_test(s, "layers of sequences and images", matrix_layers);
    CU_add_test(s, "an MLP with dropout", matrix_mlp);
    CU_add_test(s, "a CNN with batch norm and dropout", matrix_cnn);
    CU_add_test(s, "losses on several branches", matrix_branches);
    CU_add_test(s, "losses of every kind", matrix_losses);
    CU_add_test(s, "a CNN of larger maps, in chains", matrix_chains);
    CU_add_test(s, "two branches and dropout, in chains", matrix_residual);
    CU_add_test(s, "frozen layers", matrix_frozen);
    CU_add_test(s, "groups, and clipped gradients", matrix_clipped);
    CU_add_test(s, "lengths of whole parameters", matrix_norms);
    CU_add_test(s, "every optimizer, in groups", matrix_optimizers);
    CU_add_test(s, "moments decay to 0", decaying_moments);
    CU_add_test(s, "a CNN by minimal filtering", matrix_filtered);
}
