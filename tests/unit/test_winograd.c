/* tests/unit/test_winograd.c - pass winograd against the convolutions it replaces: in double they give the same, in f32
 * the errors are of one size, in all three directions and for odd sizes. (They are smaller from a few channels on; of a
 * single one, whose sum has nine terms, nearly twice as large.) */
#include "ir/graph/verify.h"
#include "ir/ops/eval.h"
#include "passes/passes.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 11 };

#define PLAIN "lhs_dilation = [1, 1], rhs_dilation = [1, 1], feature_groups = [1], batch_groups = [1]"

static const char source[] =
    "module @m {convolution = winograd}\n"
    "func @forward(%x : f32[B, 9, 14, 24], %w : f32[3, 3, 24, 40]) -> (y : f32[B, 9, 14, 40]) {\n"
    "  %y = convolution %x, %w {lhs = [0, 3, 1, 2], rhs = [2, 3, 0, 1], out = [0, 3, 1, 2], stride = [1, 1], "
    "low = [1, 1], high = [1, 1], " PLAIN "} : f32[B, 9, 14, 40]\n"
    "  return %y\n}\n"
    "func @bare(%x : f32[B, 8, 7, 5], %w : f32[3, 3, 5, 3]) -> (y : f32[B, 7, 5, 3]) {\n"
    "  %y = convolution %x, %w {lhs = [0, 3, 1, 2], rhs = [2, 3, 0, 1], out = [0, 3, 1, 2], stride = [1, 1], "
    "low = [0, 1], high = [1, -1], " PLAIN "} : f32[B, 7, 5, 3]\n"
    "  return %y\n}\n"
    "func @one(%x : f32[B, 8, 8, 1], %w : f32[3, 3, 1, 40]) -> (y : f32[B, 8, 8, 40]) {\n"
    "  %y = convolution %x, %w {lhs = [0, 3, 1, 2], rhs = [2, 3, 0, 1], out = [0, 3, 1, 2], stride = [1, 1], "
    "low = [1, 1], high = [1, 1], " PLAIN "} : f32[B, 8, 8, 40]\n"
    "  return %y\n}\n"
    "func @one_weight(%x : f32[B, 9, 7, 1], %dy : f32[B, 9, 7, 40]) -> (dw : f32[3, 3, 1, 40]) {\n"
    "  %1 = convolution %x, %dy {lhs = [3, 0, 1, 2], rhs = [0, 3, 1, 2], out = [2, 3, 0, 1], stride = [1, 1], "
    "low = [1, 1], high = [1, 1], " PLAIN ", leaf = [8]} : f32[3, 3, 1, 40]\n"
    "  return %1\n}\n"
    "func @input(%dy : f32[B, 7, 5, 40], %w : f32[3, 3, 24, 40]) -> (dx : f32[B, 9, 7, 24]) {\n"
    "  %1 = reverse %w {dims = [0, 1]} : f32[3, 3, 24, 40]\n"
    "  %2 = convolution %dy, %1 {lhs = [0, 3, 1, 2], rhs = [3, 2, 0, 1], out = [0, 3, 1, 2], stride = [1, 1], "
    "low = [2, 2], high = [2, 2], " PLAIN "} : f32[B, 9, 7, 24]\n"
    "  return %2\n}\n"
    "func @weight(%x : f32[B, 9, 7, 24], %dy : f32[B, 9, 7, 40]) -> (dw : f32[3, 3, 24, 40]) {\n"
    "  %1 = convolution %x, %dy {lhs = [3, 0, 1, 2], rhs = [0, 3, 1, 2], out = [2, 3, 0, 1], stride = [1, 1], "
    "low = [1, 1], high = [1, 1], " PLAIN ", leaf = [8]} : f32[3, 3, 24, 40]\n"
    "  return %1\n}\n";

static ir_module *read_module(bool rewritten)
{
    diag *d = diag_new();
    ir_module *m = ir_parse(source, "winograd", d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    if (rewritten)
        CU_ASSERT_TRUE_FATAL(pass_winograd(m, d) && ir_verify(m, d));
    for (const ir_graph *f = m->functions; f; f = f->next)
        for (const ir_node *n = f->first; n; n = n->next)
            CU_ASSERT_FALSE(rewritten && n->op == IR_CONVOLUTION);
    diag_free(d);
    return m;
}

/* Numbers of [-1, 1) that f32 holds. */
static double *result_of(const ir_module *m, const char *function, eval_mode mode, int64_t *count)
{
    const ir_graph *f = ir_function_find(m, function);
    evaluator *e = evaluator_new(m, mode, BATCH);
    diag *d = diag_new();
    uint32_t state = 1;
    for (int k = 0; k < f->ninputs; k++) {
        eval_tensor *t = evaluator_input(e, f, k);
        for (int64_t i = 0; i < ir_count(&t->type, BATCH); i++) {
            state = state * 1664525u + 1013904223u;
            evaluator_put(e, t, i, (double)(state >> 8) / 8388608.0 - 1);
        }
    }
    CU_ASSERT_TRUE_FATAL(evaluator_run(e, f, d));
    const eval_tensor *r = evaluator_result(e, 0);
    *count = ir_count(&r->type, BATCH);
    double *values = malloc((size_t)*count * sizeof *values);
    for (int64_t i = 0; i < *count; i++)
        values[i] = evaluator_get(e, r, i);
    diag_free(d);
    evaluator_free(e);
    return values;
}

/* The root of the mean square of the differences. */
static double distance(const ir_module *a, eval_mode a_mode, const ir_module *b, eval_mode b_mode, const char *function)
{
    int64_t count, other;
    double *x = result_of(a, function, a_mode, &count), *y = result_of(b, function, b_mode, &other), sum = 0;
    CU_ASSERT_EQUAL_FATAL(count, other);
    for (int64_t i = 0; i < count; i++)
        sum += (x[i] - y[i]) * (x[i] - y[i]);
    free(x);
    free(y);
    return sqrt(sum / (double)count);
}

static void as_convolutions(void)
{
    static const char *const functions[] = {"forward", "bare", "one", "one_weight", "input", "weight"};
    ir_module *direct = read_module(false), *fast = read_module(true);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        double same = distance(direct, EVAL_F64, fast, EVAL_F64, functions[i]);
        double own = distance(direct, EVAL_F64, direct, EVAL_F32, functions[i]);
        double other = distance(direct, EVAL_F64, fast, EVAL_F32, functions[i]);
        if (!(same < 1e-13) || !(other < 2 * own))
            fprintf(stderr, "winograd, %s: %g in double; in f32 %g, direct %g\n", functions[i], same, other, own);
        CU_ASSERT_TRUE(same < 1e-13);
        CU_ASSERT_TRUE(other < 2 * own);
    }
    ir_module_free(direct);
    ir_module_free(fast);
}

void suite_winograd(void);
void suite_winograd(void)
{
    CU_pSuite s = CU_add_suite("winograd", NULL, NULL);
    CU_add_test(s, "as convolutions", as_convolutions);
}
