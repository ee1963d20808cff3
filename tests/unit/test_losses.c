/* tests/unit/test_losses.c - every loss against PyTorch, and its gradient against PyTorch and against differences.
 *
 * The cases are those of tests/reference/loss_values.txt. A case becomes a network whose last layer is a bias alone,
 * which is the loss's first argument. */
#include "frontend/catalogue/catalogue.h"
#include "frontend/frontend.h"
#include "ir/ops/eval.h"
#include "tests/unit/gradients.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 32 };

typedef struct {
    char kind[64], options[128], shape[64];
    int rank, count, targets;
    double x[MOST], t[MOST], gradient[MOST], value;
    bool has_gradient;
} loss_case;

/* ---- reading ---- */

static int read_numbers(const char *words, double *out)
{
    int count = 0;
    for (char *end; *words && *words != '\n' && count < MOST; words = end)
        out[count++] = strtod(words, &end);
    return count;
}

static void read_shape(loss_case *c, const char *words)
{
    double sizes[MOST] = {0};
    c->rank = read_numbers(words, sizes);
    int at = 0;
    for (int i = 0; i < c->rank; i++)
        at += snprintf(c->shape + at, sizeof c->shape - (size_t)at, "%s%d", i ? ", " : "", (int)sizes[i]);
}

/* The next case; false at the end of the file. 'line' holds the line read last. */
static bool read_case(FILE *f, char *line, int room, loss_case *c)
{
    *c = (loss_case){0};
    if (sscanf(line, "loss %63s {%127[^}\n]", c->kind, c->options) < 1)
        return false;
    while (fgets(line, room, f) && strncmp(line, "loss ", 5)) {
        const char *rest = strchr(line, ' ') + 1;
        if (line[0] == 's')
            read_shape(c, rest);
        else if (line[0] == 'x')
            c->count = read_numbers(rest, c->x);
        else if (line[0] == 't')
            c->targets = read_numbers(rest, c->t);
        else if (line[0] == 'v')
            c->value = strtod(rest, NULL);
        else if (line[0] == 'g')
            c->has_gradient = read_numbers(rest, c->gradient) == c->count;
    }
    return true;
}

/* ---- one case ---- */

static ir_module *build_case(const loss_case *c)
{
    bool is_label = c->targets == 1 && c->count > 1;
    char yaml[1024];
    arena *mem = arena_new();
    diag *d = diag_new();
    snprintf(yaml, sizeof yaml,
             "inputs: {z: [1], t: {shape: [%s], dtype: %s}}\n"
             "layers: [dense: {units: %d, input: z}, reshape: {name: x, target_shape: [%s]}]\n"
             "losses: [%s: {%s}]\n"
             "optimizer: sgd\n",
             is_label ? "" : c->shape, is_label ? "int32" : "float32", c->count, c->shape, c->kind, c->options);
    fe_network *n = fe_read_text(yaml, strlen(yaml), "case.yaml", mem, d);
    ir_module *m = n ? fe_build(n, d) : NULL;
    if (!m) {
        text said = {0};
        diag_print_plain(d, &said, false);
        fprintf(stderr, "%s", text_get(&said));
        text_free(&said);
    }
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
    CU_ASSERT_FATAL(evaluator_run(e, f, d));
    diag_free(d);
}

static void check_near(const loss_case *c, const char *what, int i, double got, double want, double near)
{
    bool ok = fabs(got - want) <= near * (1 + fabs(want));
    if (!ok)
        fprintf(stderr, "%s {%s}: %s %d: wanted %.9g, got %.9g\n", c->kind, c->options, what, i, want, got);
    CU_ASSERT(ok);
}

static void check_value(const ir_module *m, const loss_case *c, eval_mode type)
{
    evaluator *e = evaluator_new(m, type, 1);
    const ir_graph *f = ir_function_find(m, "evaluate");
    put(e, evaluator_input(e, f, 1), c->t, c->targets);
    put(e, evaluator_symbol(e, "dense1.bias"), c->x, c->count);
    run(e, f);
    double got = evaluator_get(e, evaluator_symbol(e, "metric.loss"), 0);
    check_near(c, type == EVAL_F64 ? "value" : "value in f32", 0, got, c->value, 1e-6);
    evaluator_free(e);
}

/* train_step with results loss, weight's gradient, bias' gradient, at x. */
static evaluator *open_step(const ir_module *m, const loss_case *c, eval_mode type)
{
    evaluator *e = evaluator_new(m, type, 1);
    evaluator_set_call_value(e, "loss_scale", 1);
    put(e, evaluator_input(e, ir_function_find(m, "train_step"), 1), c->t, c->targets);
    put(e, evaluator_symbol(e, "dense1.bias"), c->x, c->count);
    return e;
}

static void check_gradient(const ir_module *m, const loss_case *c, eval_mode type)
{
    enum { OF_BIAS = 2 };
    evaluator *e = open_step(m, c, type);
    run(e, ir_function_find(m, "train_step"));
    for (int i = 0; i < c->count; i++)
        check_near(c, type == EVAL_F64 ? "gradient" : "gradient in f32", i,
                   evaluator_get(e, evaluator_result(e, OF_BIAS), i), c->gradient[i], 1e-6);
    evaluator_free(e);
}

static double loss_at(evaluator *e, const ir_module *m, int i, double x)
{
    evaluator_put(e, evaluator_symbol(e, "dense1.bias"), i, x);
    run(e, ir_function_find(m, "train_step"));
    return evaluator_get(e, evaluator_result(e, 0), 0);
}

static void check_differences(const ir_module *m, const loss_case *c)
{
    evaluator *e = open_step(m, c, EVAL_F64);
    for (int i = 0; i < c->count; i++) {
        double h = 1e-5 * fmax(1, fabs(c->x[i]));
        double slope = (loss_at(e, m, i, c->x[i] + h) - loss_at(e, m, i, c->x[i] - h)) / (2 * h);
        loss_at(e, m, i, c->x[i]);
        check_near(c, "difference", i, slope, c->gradient[i], 2e-6);
    }
    evaluator_free(e);
}

static void check_case(const loss_case *c)
{
    ir_module *m = build_case(c);
    check_value(m, c, EVAL_F64);
    check_value(m, c, EVAL_F32);
    if (c->has_gradient) {
        diag *d = diag_new();
        CU_ASSERT_FATAL(return_gradients(m, ir_function_find(m, "train_step"), d));
        diag_free(d);
        check_gradient(m, c, EVAL_F64);
        check_gradient(m, c, EVAL_F32);
        check_differences(m, c);
    }
    ir_module_free(m);
}

/* ---- all ---- */

static void pytorch(void)
{
    char path[512], line[4096];
    bool seen[64] = {false};
    snprintf(path, sizeof path, "%s/reference/loss_values.txt", LAMINA_TESTS_DIR);
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof line, f)); /* the head */
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof line, f));
    for (loss_case c; read_case(f, line, sizeof line, &c);) {
        check_case(&c);
        for (size_t i = 0; fe_row(&fe_losses, i); i++)
            seen[i] |= c.has_gradient && !strcmp(fe_row(&fe_losses, i)->name, c.kind);
        if (feof(f))
            break;
    }
    fclose(f);
    for (size_t i = 0; fe_row(&fe_losses, i); i++) {
        if (!seen[i])
            fprintf(stderr, "loss_values.txt has no gradient of %s\n", fe_row(&fe_losses, i)->name);
        CU_ASSERT(seen[i]);
    }
}

void suite_losses(void);
void suite_losses(void)
{
    CU_pSuite s = CU_add_suite("losses", NULL, NULL);
    CU_add_test(s, "values and gradients are PyTorch's", pytorch);
}
