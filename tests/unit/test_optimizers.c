/* tests/unit/test_optimizers.c - a hundred steps of each optimizer, against PyTorch.
 *
 * The function `update` of a small net in the f32 evaluator, whose bits generated code has (suites matrix and random).
 * Every parameter must be within 1e-5 of the largest value of its tensor. The expected values, and the formulas of
 * starts, rates and gradients, are those of tests/reference/optimizers.py. */
#include "frontend/frontend.h"
#include "ir/ops/eval.h"
#include "passes/passes.h"
#include "tests/unit/any_target.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LAMINA_TESTS_DIR
#define LAMINA_TESTS_DIR "tests"
#endif

typedef struct {
    ir_module *m;
    evaluator *e;
    double rate;
    int steps;
    char optimizer[256];
} learner;

static const struct {
    const char *name;
    int count;
} tensors[] = {{"out.weight", 6}, {"out.bias", 2}};

static ir_module *compiled(const char *optimizer, const char *stop_after)
{
    arena *mem = arena_new();
    diag *d = diag_new();
    const pass_options o = {.stop_after = stop_after};
    const char *yaml = arena_printf(mem,
                                    "inputs: {x: [3], y: [2]}\n"
                                    "layers: [{dense: {name: out, units: 2}}]\n"
                                    "losses: [mean_squared_error]\n"
                                    "optimizer: %s\n",
                                    optimizer);
    fe_network *n = fe_read_text(yaml, strlen(yaml), "net.yaml", mem, d);
    ir_module *m = n ? fe_build(n, d) : NULL;
    if (m)
        m->target = any_target;
    bool ok = m && passes_run(m, &o, d);
    text messages = {0};
    diag_print(d, &messages, false);
    fputs(text_get(&messages), stderr);
    text_free(&messages);
    diag_free(d);
    arena_free(mem);
    CU_ASSERT_TRUE_FATAL(ok);
    return m;
}

static void learner_start(learner *l)
{
    l->m = compiled(l->optimizer, "cleanup");
    l->e = evaluator_new(l->m, EVAL_F32, 1);
    l->steps = 0;
    for (const ir_symbol *y = l->m->symbols; y; y = y->next) {
        const ir_attr *a = ir_attr_find(y->attrs, "a");
        for (int64_t i = 0; i < ir_static_count(&y->type); i++)
            evaluator_put(l->e, evaluator_symbol(l->e, y->name), i,
                          y->segment == SEG_PARAM ? sin((double)i + 1) / 2
                          : a                     ? a->number[0]
                                                  : 0);
    }
}

static void learner_end(learner *l)
{
    if (!l->m)
        return;
    evaluator_free(l->e);
    ir_module_free(l->m);
    l->m = NULL;
}

static double value_of(const learner *l, int tensor, int i)
{
    return evaluator_get(l->e, evaluator_symbol(l->e, tensors[tensor].name), i);
}

/* As inference reads it. */
static double average_of(const learner *l, int tensor, int i)
{
    char name[64];
    snprintf(name, sizeof name, "average/%s", tensors[tensor].name);
    if (!ir_symbol_find(l->m, name))
        return value_of(l, tensor, i);
    return evaluator_get(l->e, evaluator_symbol(l->e, name), i);
}

static void take_step(learner *l)
{
    diag *d = diag_new();
    int t = l->steps++;
    evaluator_set_call_value(l->e, "learning_rate", l->rate * (1 - t / 200.0));
    for (int k = 0; k < 2; k++) {
        char name[64];
        snprintf(name, sizeof name, "gradient/%s", tensors[k].name);
        for (int i = 0; i < tensors[k].count; i++)
            evaluator_put(l->e, evaluator_symbol(l->e, name), i,
                          t % 10 == 9 ? 0 : value_of(l, k, i) / 4 + cos(1.3 * t + 0.7 * i) / 2);
    }
    CU_ASSERT_TRUE(evaluator_run(l->e, ir_function_find(l->m, "update"), d));
    diag_free(d);
}

static void check_tensor(const learner *l, int tensor, FILE *f)
{
    double want[6], largest = 0;
    for (int i = 0; i < tensors[tensor].count; i++) {
        CU_ASSERT_EQUAL_FATAL(fscanf(f, "%lf", &want[i]), 1);
        largest = fmax(largest, fabs(want[i]));
    }
    for (int i = 0; i < tensors[tensor].count; i++) {
        double off = fabs(average_of(l, tensor, i) - want[i]) / largest;
        if (!(off <= 1e-5))
            fprintf(stderr, "%s, %s[%d] after %d steps: off by %.3g of the largest\n", l->optimizer,
                    tensors[tensor].name, i, l->steps, off);
        CU_ASSERT_TRUE(off <= 1e-5);
    }
}

/* Lines of YAML stand in one, with \\n between them. */
static void break_lines(char *s)
{
    for (char *at; (at = strstr(s, "\\n"));) {
        *at = '\n';
        memmove(at + 1, at + 2, strlen(at + 2) + 1);
    }
}

static void steps_of_pytorch(void)
{
    FILE *f = fopen(LAMINA_TESTS_DIR "/reference/optimizers.txt", "r");
    learner l = {0};
    char word[16];
    int optimizers = 0, checks = 0, step;
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while (fscanf(f, "%15s", word) == 1)
        if (!strcmp(word, "optimizer")) {
            learner_end(&l);
            CU_ASSERT_EQUAL_FATAL(fscanf(f, "%lf %255[^\n]", &l.rate, l.optimizer), 2);
            break_lines(l.optimizer);
            learner_start(&l);
            optimizers++;
        } else {
            CU_ASSERT_EQUAL_FATAL(fscanf(f, "%d", &step), 1);
            while (l.steps < step)
                take_step(&l);
            check_tensor(&l, 0, f);
            check_tensor(&l, 1, f);
            checks++;
        }
    learner_end(&l);
    fclose(f);
    CU_ASSERT_TRUE(optimizers >= 31);
    CU_ASSERT_EQUAL(checks, 5 * optimizers);
}

static bool assigns(const ir_node *kernel, const char *symbol)
{
    for (const ir_node *n = kernel->region->first; n; n = n->next)
        if (n->op == IR_ASSIGN && !strcmp(n->symbol->name, symbol))
            return true;
    return false;
}

/* How many kernels make the weight's gradient and take the whole step with it. */
static int count_fused(const char *optimizer, const char *clip)
{
    char yaml[128], label[64];
    int fused = 0;
    snprintf(yaml, sizeof yaml, "%s\n%s", optimizer, clip);
    ir_module *m = compiled(yaml, "fuse");
    snprintf(label, sizeof label, "out.weight_gradient+%s", optimizer);
    for (const ir_node *n = ir_function_find(m, "train_step")->first; n; n = n->next) {
        fused += n->op == IR_FUSED && n->label && !strcmp(n->label, label) && assigns(n, "out.weight");
        CU_ASSERT_FALSE(n->op == IR_ASSIGN && n->symbol->segment == SEG_GRADIENT);
    }
    ir_module_free(m);
    return fused;
}

/* The weight's gradient is used where it is made, clipped by value or not: one kernel, which stores no gradient. What
 * needs a norm needs all of it first. */
static void updates_are_fused(void)
{
    static const char *const names[] = {"sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "adadelta", "lion"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CU_ASSERT_EQUAL(count_fused(names[i], ""), 1);
        CU_ASSERT_EQUAL(count_fused(names[i], "train: {gradient_clip: {value: 0.5}}"), 1);
        CU_ASSERT_EQUAL(count_fused(names[i], "train: {averaging: ema}"), 1);
        CU_ASSERT_EQUAL(count_fused(names[i], "train: {averaging: {swa: {start: 5, every: 2}}}"), 1);
    }
    CU_ASSERT_EQUAL(count_fused("adam", "train: {gradient_clip: {norm: 0.5}}"), 0);
    CU_ASSERT_EQUAL(count_fused("adam", "train: {gradient_clip: {global_norm: 0.5}}"), 0);
    CU_ASSERT_EQUAL(count_fused("lamb", ""), 0);
}

/* A bias decays only where that is asked for: no gradient, no momentum, one step. */
static void vectors_decay_where_asked(void)
{
    static const char *const decays[] = {"{sgd: {weight_decay: 0.5}}",
                                         "{sgd: {weight_decay: 0.5, decay_vectors: true}}"};
    for (int all = 0; all < 2; all++) {
        learner l = {.rate = 0.5};
        snprintf(l.optimizer, sizeof l.optimizer, "%s", decays[all]);
        learner_start(&l);
        l.steps = 9;
        take_step(&l);
        float rate = (float)(0.5 * (1 - 9 / 200.0)) * 0.5f, weight = (float)(sin(1) / 2);
        CU_ASSERT_EQUAL((float)value_of(&l, 0, 0), weight - rate * weight);
        CU_ASSERT_EQUAL((float)value_of(&l, 1, 0), all ? weight - rate * weight : weight);
        learner_end(&l);
    }
}

void suite_optimizers(void);
void suite_optimizers(void)
{
    CU_pSuite s = CU_add_suite("optimizers", NULL, NULL);
    CU_add_test(s, "a hundred steps as PyTorch takes them", steps_of_pytorch);
    CU_add_test(s, "updates stand in the kernels of gradients", updates_are_fused);
    CU_add_test(s, "vectors decay where that is asked for", vectors_decay_where_asked);
}
