/* tests/unit/test_gradients.c - gradients against central differences.
 *
 * A file of tests/gradients is a module whose @train_step minimizes a loss. A parameter takes numbers of the range
 * [a, b) that its attribute `init = uniform` states, otherwise of [-1, 1); integer inputs are 0, 1, 2, 0, ... The
 * module is differentiated, its gradients are evaluated in double, and each is compared with how the loss changes
 * when that element of the parameter does. It is a failure if all gradients are zero, since then the operator under
 * test was never reached. Together the files must contain every operator that has a gradient rule. */
#include "ir/ops/eval.h"
#include "passes/grad/grad.h"
#include "passes/passes.h"
#include "tests/unit/gradients.h"
#include "tests/unit/ir_files.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void suite_gradients(void);

static bool seen[IR_NOPS];

#define OP(ID, name, ...) [IR_##ID] = grad_##name,
static grad_rule *const rules[IR_NOPS] = {
#include "ir/ops.def"
};

static double noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / 16777216.0;
}

static double number(const ir_symbol *y, const char *name, double fallback)
{
    const ir_attr *a = ir_attr_find(y->attrs, name);
    return a && a->count == 1 ? a->number[0] : fallback;
}

static void fill(evaluator *e, eval_tensor *t, uint32_t seed, double low, double high)
{
    for (int64_t i = 0; i < ir_count(&t->type, t->batch); i++) {
        double v = low + (high - low) * noise(&seed);
        evaluator_put(e, t, i, ir_dtype_is_float(t->type.dtype) ? v : (double)(i % 3));
    }
}

static void run(evaluator *e, const ir_graph *f)
{
    diag *d = diag_new();
    CU_ASSERT_FATAL(evaluator_run(e, f, d));
    diag_free(d);
}

static void note_operators(const ir_graph *g)
{
    for (const ir_node *n = g->first; n; n = n->next) {
        seen[n->op] = true;
        if (n->region)
            note_operators(n->region);
    }
}

static double loss_with(evaluator *e, const ir_graph *f, eval_tensor *p, int64_t i, double value)
{
    double old = evaluator_get(e, p, i);
    evaluator_put(e, p, i, value);
    run(e, f);
    double loss = evaluator_get(e, evaluator_result(e, 0), 0);
    evaluator_put(e, p, i, old);
    return loss;
}

/* The largest gradient of the parameter, after comparing up to 40 of its elements. */
static double check_param(const char *path, evaluator *e, const ir_graph *f, const ir_symbol *y, int result,
                          double scale)
{
    const double h = 1e-5;
    double largest = 0;
    eval_tensor *p = evaluator_symbol(e, y->name);
    int64_t count = ir_count(&p->type, 1), stride = count > 40 ? count / 40 : 1;
    for (int64_t i = 0; i < count; i += stride) {
        double x = evaluator_get(e, p, i);
        run(e, f);
        double got = evaluator_get(e, evaluator_result(e, result), i);
        double wanted = scale * (loss_with(e, f, p, i, x + h) - loss_with(e, f, p, i, x - h)) / (2 * h);
        if (!(fabs(got - wanted) <= 1e-6 * (1 + fabs(wanted)))) {
            fprintf(stderr, "%s: @%s[%d]: gradient %.9g, difference %.9g\n", path, y->name, (int)i, got, wanted);
            CU_FAIL("a gradient is not the slope of its loss");
            return INFINITY;
        }
        largest = fmax(largest, fabs(got));
    }
    return largest;
}

static void check_all(const char *path, const ir_module *m, const ir_graph *f)
{
    const double scale = 0.75;
    evaluator *e = evaluator_new(m, EVAL_F64, 3);
    uint32_t seed = 1;
    int result = 1;
    double largest = 0;
    evaluator_set_call_value(e, "loss_scale", scale);
    for (const ir_symbol *y = m->symbols; y; y = y->next)
        fill(e, evaluator_symbol(e, y->name), seed++, number(y, "a", -1), number(y, "b", 1));
    for (int i = 0; i < f->ninputs; i++)
        fill(e, evaluator_input(e, f, i), 100 + seed++, -1, 1);
    for (const ir_symbol *y = m->symbols; y; y = y->next)
        if (y->segment == SEG_PARAM)
            largest = fmax(largest, check_param(path, e, f, y, result++, scale));
    if (largest == 0)
        fprintf(stderr, "%s: every gradient is zero\n", path);
    CU_ASSERT(largest > 0);
    evaluator_free(e);
}

static void gradient(void)
{
    char path[4096];
    ir_files_path("gradients", path, sizeof path);
    text source = {0}, said = {0};
    diag *d = diag_new();
    CU_ASSERT_FATAL(text_read_file(&source, path));
    ir_module *m = ir_parse(source.bytes, path, d);
    ir_graph *f = m ? ir_function_find(m, "train_step") : NULL;
    if (f)
        note_operators(f);
    if (!f || !return_gradients(m, f, d)) {
        diag_print_plain(d, &said, false);
        fprintf(stderr, "%s", text_get(&said));
        CU_FAIL("cannot differentiate");
    } else {
        check_all(path, m, f);
    }
    ir_module_free(m);
    diag_free(d);
    text_free(&source);
    text_free(&said);
}

static void every_rule_is_tested(void)
{
    for (int op = 0; op < IR_NOPS; op++)
        if (rules[op] != grad_none && !seen[op]) {
            fprintf(stderr, "no file of tests/gradients has '%s'\n", ir_ops[op].name);
            CU_FAIL("an operator with a gradient rule has no gradient test");
        }
}

void suite_gradients(void)
{
    CU_pSuite s = CU_add_suite("gradients", NULL, NULL);
    ir_files_add(s, "gradients", gradient);
    CU_add_test(s, "every rule is tested", every_rule_is_tested);
}
