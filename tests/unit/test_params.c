/* tests/unit/test_params.c - parameters of a YAML network: how they begin, what they are penalised by, and inputs with
 * their channels first. What layers share is in test_blocks.c, test_coupled.c and test_reference.c. */
#include "frontend/frontend.h"
#include "ir/ops/eval.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <string.h>

static ir_module *build(const char *yaml)
{
    arena *mem = arena_new();
    diag *d = diag_new();
    fe_network *n = fe_read_text(yaml, strlen(yaml), "net.yaml", mem, d);
    ir_module *m = n ? fe_build(n, d) : NULL;
    CU_ASSERT_EQUAL(diag_errors(d), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    diag_free(d);
    arena_free(mem);
    return m;
}

static void put(evaluator *e, eval_tensor *t, const double *values, int count)
{
    for (int i = 0; i < count; i++)
        evaluator_put(e, t, i, values[i]);
}

static void run(evaluator *e, const ir_graph *f)
{
    diag *d = diag_new();
    CU_ASSERT_TRUE(evaluator_run(e, f, d));
    diag_free(d);
}

static double value_of(evaluator *e, const char *symbol)
{
    return evaluator_get(e, evaluator_symbol(e, symbol), 0);
}

static double number_of(const ir_attr *attrs, const char *name)
{
    const ir_attr *a = ir_attr_find(attrs, name);
    return a && a->count == 1 ? a->number[0] : NAN;
}

/* ---- initialisers ---- */

static void expect_init(const char *yaml, const char *kind, double a, double b)
{
    char yaml_text[256];
    snprintf(yaml_text, sizeof yaml_text, "inputs: {x: [6]}\nlayers: [dense: {units: 2, kernel_initializer: %s}]\n",
             yaml);
    ir_module *m = build(yaml_text);
    const ir_attr *attrs = ir_symbol_find(m, "dense1.weight")->attrs;
    CU_ASSERT_STRING_EQUAL(ir_attr_find(attrs, "init")->word, kind);
    CU_ASSERT_DOUBLE_EQUAL(number_of(attrs, "a"), a, 1e-15);
    CU_ASSERT_DOUBLE_EQUAL(number_of(attrs, "b"), b, 1e-15);
    ir_module_free(m);
}

/* Of 6 inputs and 2 outputs; what is cut at two deviations has 0.8796 of them left. */
static void initializers(void)
{
    expect_init("{variance_scaling: {scale: 3, distribution: untruncated_normal}}", "normal", 0, sqrt(0.5));
    expect_init("{variance_scaling: {scale: 3, mode: fan_out, distribution: uniform}}", "uniform", -sqrt(4.5),
                sqrt(4.5));
    expect_init("{variance_scaling: {mode: fan_avg}}", "truncated_normal", 0, 0.5 / 0.87962566103423978);
    expect_init("he_normal", "truncated_normal", 0, sqrt(2.0 / 6) / 0.87962566103423978);
    expect_init("{orthogonal: 2}", "orthogonal", 2, 0);
}

/* ---- channels first ---- */

static void expect_read(const char *input, const double *want)
{
    static const double in[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    char yaml_text[256];
    snprintf(yaml_text, sizeof yaml_text, "inputs: {x: %s}\nlayers: [flatten]\n", input);
    ir_module *m = build(yaml_text);
    evaluator *e = evaluator_new(m, EVAL_F64, 1);
    const ir_graph *f = ir_function_find(m, "infer");
    put(e, evaluator_input(e, f, 0), in, 12);
    run(e, f);
    for (int i = 0; i < 12; i++)
        CU_ASSERT_EQUAL(evaluator_get(e, evaluator_result(e, 0), i), want[i]);
    evaluator_free(e);
    ir_module_free(m);
}

static void layouts(void)
{
    static const double same[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    expect_read("{shape: [2, 2, 3], layout: nchw}", (const double[]){1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 6, 12});
    expect_read("{shape: [3, 4], layout: ncw}", (const double[]){1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8, 12});
    expect_read("{shape: [3, 4], layout: nwc}", same);
    expect_read("{shape: [2, 2, 3], layout: nhwc}", same);
}

/* ---- penalties ---- */

/* Of a weight of two threes 0.5 (3^2 + 3^2), of an example's values 0.1 (6 + 6): apart from the loss, as means. */
static void penalties(void)
{
    ir_module *m = build("inputs: {x: [1], y: [2]}\n"
                         "layers: [dense: {units: 2, use_bias: false, kernel_regularizer: {l2: 0.5},\n"
                         "                 activity_regularizer: {l1: 0.1}}]\n"
                         "losses: [mean_squared_error]\n"
                         "optimizer: {sgd: 1}\n");
    evaluator *e = evaluator_new(m, EVAL_F64, 2);
    const ir_graph *f = ir_function_find(m, "evaluate");
    put(e, evaluator_input(e, f, 0), (const double[]){2, 2}, 2);
    put(e, evaluator_input(e, f, 1), (const double[]){6, 6, 6, 7}, 4);
    put(e, evaluator_symbol(e, "dense1.weight"), (const double[]){3, 3}, 2);
    run(e, f);
    CU_ASSERT_DOUBLE_EQUAL(value_of(e, "metric.loss"), 0.5, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(value_of(e, "metric.penalty"), 2 * (9 + 1.2), 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(value_of(e, "metric.examples"), 2, 0);
    CU_ASSERT_PTR_NOT_NULL(ir_row_find(m, "metric", "penalty"));
    evaluator_free(e);
    ir_module_free(m);
}

/* A frozen layer's, one that says nothing and a network without losses have none. */
static void no_penalties(void)
{
    ir_module *m = build("inputs: {x: [1], y: [1]}\n"
                         "layers: [dense: {units: 2, trainable: false, kernel_regularizer: l2},\n"
                         "         dense: {units: 1, kernel_regularizer: {l2: 0}}]\n"
                         "losses: [mean_squared_error]\n"
                         "optimizer: sgd\n");
    CU_ASSERT_PTR_NULL(ir_symbol_find(m, "metric.penalty"));
    ir_module_free(m);
    m = build("inputs: {x: [1]}\nlayers: [dense: {units: 2, kernel_regularizer: l2}]\n");
    CU_ASSERT_PTR_NULL(ir_symbol_find(m, "metric.penalty"));
    ir_module_free(m);
}

void suite_params(void);
void suite_params(void)
{
    CU_pSuite s = CU_add_suite("params", NULL, NULL);
    CU_add_test(s, "initialisers by fans", initializers);
    CU_add_test(s, "inputs with their channels first", layouts);
    CU_add_test(s, "penalties beside the loss", penalties);
    CU_add_test(s, "nothing to penalise", no_penalties);
}
