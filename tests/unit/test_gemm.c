/* tests/unit/test_gemm.c - networks whose products OpenBLAS computes.
 *
 * Values and gradients are those of the evaluator but for rounding, and they are the same for any number of workers.
 * A host that offers no sgemm gets an error that says so. */
#include "ir/ops/eval.h"
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 45, CLASSES = 10 };

typedef struct {
    ir_module *module; /* planned for OpenBLAS */
    net_run net;
    void *blas;
    void *inputs[8], *outputs[8];
    size_t output_bytes[8];
} fixture;

static void open_blas(fixture *f)
{
    f->blas = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->blas);
    void (*set_threads)(int);
    void *product = dlsym(f->blas, "cblas_sgemm"), *threads = dlsym(f->blas, "openblas_set_num_threads");
    memcpy(&f->net.call.sgemm, &product, sizeof product);
    memcpy(&set_threads, &threads, sizeof threads);
    set_threads(1);
}

static void fixture_open(fixture *f, const char *yaml)
{
    const net_variant v = {.gemm = "openblas", .max_batch = BATCH};
    memset(f, 0, sizeof *f);
    f->module = net_module(yaml, &v);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->module);
    CU_ASSERT_TRUE_FATAL(net_open_module(&f->net, f->module, 2));
    const lamina_net *n = f->net.net;
    for (int32_t i = 0; i < n->input_count; i++) {
        f->net.inputs[i] = f->inputs[i] = malloc(n->inputs[i].bytes * BATCH);
        fill_input(&n->inputs[i], f->inputs[i], BATCH, CLASSES, (uint32_t)i + 1);
    }
    for (int32_t i = 0; i < n->output_count; i++) {
        f->output_bytes[i] = n->outputs[i].bytes * BATCH;
        f->net.outputs[i] = f->outputs[i] = calloc(1, f->output_bytes[i]);
    }
    f->net.call.batch = BATCH;
    f->net.call.loss_scale = 1.0f / BATCH;
    net_initialize(&f->net, 5);
    open_blas(f);
}

static void fixture_close(fixture *f)
{
    for (int i = 0; i < 8; i++) {
        free(f->inputs[i]);
        free(f->outputs[i]);
    }
    net_close(&f->net);
    dlclose(f->blas);
    ir_module_free(f->module);
}

static int count_kernels(const ir_module *m, const char *function, const char *kind)
{
    int count = 0;
    for (const ir_node *n = ir_function_find(m, function)->first; n; n = n->next)
        count += n->op == IR_FUSED && ir_word_is(n, "kind", kind);
    return count;
}

/* The evaluator's run of a function of the plain module, with the net's start values and inputs. */
static evaluator *reference_run(fixture *f, const ir_module *plain, const char *function)
{
    evaluator *e = evaluator_new(plain, EVAL_F32, BATCH);
    const ir_graph *g = ir_function_find(plain, function);
    const lamina_net *n = f->net.net;
    evaluator_set_call_value(e, "loss_scale", 1.0f / BATCH);
    for (int32_t i = 0; i < n->tensor_count; i++) {
        eval_tensor *t = evaluator_symbol(e, n->tensors[i].name);
        lamina_initial_values(&n->tensors[i], 5, t->data);
    }
    for (int i = 0; i < g->ninputs; i++) {
        int32_t number = lamina_net_input(n, g->inputs[i]->name);
        eval_tensor *t = evaluator_input(e, g, i);
        memcpy(t->data, f->inputs[number], n->inputs[number].bytes * BATCH);
    }
    diag *d = diag_new();
    CU_ASSERT_TRUE(evaluator_run(e, g, d));
    diag_free(d);
    return e;
}

/* Equal but for rounding, and not all zero. */
static void check_near(const float *wanted, const float *got, int64_t count)
{
    float largest = 0, worst = 0;
    for (int64_t i = 0; i < count; i++) {
        largest = fmaxf(largest, fabsf(wanted[i]));
        worst = fmaxf(worst, fabsf(wanted[i] - got[i]));
    }
    CU_ASSERT_TRUE(largest > 0);
    CU_ASSERT_TRUE(worst <= 2e-5f * largest);
}

static void near_the_evaluator(void)
{
    const char *yaml = LAMINA_SOURCE_DIR "/examples/fashion_mlp.yaml";
    fixture f;
    fixture_open(&f, yaml);
    CU_ASSERT_EQUAL(count_kernels(f.module, "infer", "gemm"), 2);
    CU_ASSERT_EQUAL(count_kernels(f.module, "train_step", "gemm"), 5);
    CU_ASSERT_EQUAL(count_kernels(f.module, "train_step", "contraction"), 0);
    const net_variant v = {.max_batch = BATCH};
    ir_module *plain = net_module(yaml, &v);
    evaluator *forward = reference_run(&f, plain, "infer"), *backward = reference_run(&f, plain, "gradients");
    CU_ASSERT_EQUAL(net_infer(&f.net, BATCH), LAMINA_CALL_OK);
    CU_ASSERT_EQUAL(f.net.net->gradients(&f.net.call), LAMINA_CALL_OK);
    check_near(evaluator_result(forward, 0)->data, f.outputs[0], (int64_t)f.output_bytes[0] / 4);
    int compared = 0;
    for (const ir_symbol *y = f.module->symbols; y; y = y->next) {
        if (y->segment != SEG_GRADIENT)
            continue;
        const float *got = (const float *)((const char *)f.net.call.gradients + y->place.offset);
        check_near(evaluator_symbol(backward, y->name)->data, got, ir_static_count(&y->type));
        compared++;
    }
    CU_ASSERT_EQUAL(compared, 4);
    evaluator_free(forward);
    evaluator_free(backward);
    ir_module_free(plain);
    fixture_close(&f);
}

/* Products are cut into the same tasks whoever runs them. */
static void any_workers(void)
{
    fixture f;
    fixture_open(&f, LAMINA_SOURCE_DIR "/examples/fashion_mlp.yaml");
    char *after[2];
    size_t bytes;
    for (int64_t workers = 1; workers <= 2; workers++) {
        CU_ASSERT_TRUE(net_set_workers(&f.net, workers));
        net_initialize(&f.net, 5);
        for (int step = 0; step < 3; step++)
            CU_ASSERT_EQUAL(net_step(&f.net, BATCH - step), LAMINA_CALL_OK);
        after[workers - 1] = net_export(&f.net, &bytes);
    }
    CU_ASSERT_EQUAL(memcmp(after[0], after[1], bytes), 0);
    free(after[0]);
    free(after[1]);
    fixture_close(&f);
}

/* What OpenBLAS cannot do stays a kernel of ours; a net of convolutions uses both. */
static void convolutions_stay(void)
{
    fixture f;
    fixture_open(&f, LAMINA_TESTS_DIR "/nets/cnn.yaml");
    CU_ASSERT_TRUE(count_kernels(f.module, "train_step", "gemm") > 0);
    CU_ASSERT_TRUE(count_kernels(f.module, "train_step", "contraction") > 0);
    CU_ASSERT_EQUAL(net_step(&f.net, BATCH), LAMINA_CALL_OK);
    fixture_close(&f);
}

static void host_without_sgemm(void)
{
    fixture f;
    fixture_open(&f, LAMINA_TESTS_DIR "/nets/mlp.yaml");
    CU_ASSERT_EQUAL(f.net.net->needs, LAMINA_NEEDS_SGEMM | LAMINA_NEEDS_SUMS);
    lamina_sgemm *product = f.net.call.sgemm;
    f.net.call.sgemm = NULL;
    CU_ASSERT_EQUAL(net_step(&f.net, BATCH), LAMINA_CALL_NO_SGEMM);
    f.net.call.sgemm = product;
    f.net.call.struct_size = offsetof(lamina_call, sgemm); /* a host of version 1.0 */
    CU_ASSERT_EQUAL(net_step(&f.net, BATCH), LAMINA_CALL_BAD_SIZE);
    fixture_close(&f);
    const net_variant v = {.max_batch = BATCH};
    CU_ASSERT_TRUE_FATAL(net_open(&f.net, LAMINA_TESTS_DIR "/nets/mlp.yaml", &v, 1));
    CU_ASSERT_EQUAL(f.net.net->needs, LAMINA_NEEDS_SUMS);
    f.net.call.struct_size = offsetof(lamina_call, sgemm);
    f.net.call.batch = 0;
    CU_ASSERT_EQUAL(f.net.net->train_step(&f.net.call), LAMINA_CALL_BAD_BATCH); /* the size was right */
    net_close(&f.net);
}

void suite_gemm(void);
void suite_gemm(void)
{
    CU_pSuite s = CU_add_suite("gemm", NULL, NULL);
    CU_add_test(s, "values and gradients are near the evaluator's", near_the_evaluator);
    CU_add_test(s, "any number of workers", any_workers);
    CU_add_test(s, "convolutions stay kernels", convolutions_stay);
    CU_add_test(s, "a host without sgemm", host_without_sgemm);
}
