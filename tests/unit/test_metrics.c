/* tests/unit/test_metrics.c - metrics against plain counts of what a network says and what is true, in one batch and in
 * several, whose sums add up. */
#include "frontend/frontend.h"
#include "ir/ops/eval.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EXAMPLES = 23, WIDTH = 4, ONE = 1 };

static double said[EXAMPLES][WIDTH], given[EXAMPLES][WIDTH];
static int label[EXAMPLES];

/* Numbers of both signs, with ties; labels that are often right. */
static void draw(void)
{
    unsigned state = 7;
    for (int i = 0; i < EXAMPLES; i++) {
        int best = 0;
        for (int k = 0; k < WIDTH; k++) {
            state = state * 1664525u + 1013904223u;
            said[i][k] = (double)((int)(state >> 28) - 8) / 4;
            given[i][k] = (double)((state >> 20 & 7) > 3);
            best = said[i][k] > said[i][best] ? k : best;
        }
        label[i] = state >> 16 & 1 ? best : (int)(state >> 12 & 3);
    }
}

static ir_module *build(const char *loss, const char *metrics)
{
    char yaml[1024];
    arena *mem = arena_new();
    diag *d = diag_new();
    snprintf(yaml, sizeof yaml,
             "inputs: {x: [4], t: {shape: %s}}\n"
             "layers: [dense: {name: unused, units: 1}, activation: {name: out, activation: linear, input: x}]\n"
             "losses: [%s]\n"
             "metrics: [%s]\n"
             "optimizer: sgd\n",
             strstr(loss, "softmax") ? "[], dtype: int32" : "[4]", loss, metrics);
    fe_network *n = fe_read_text(yaml, strlen(yaml), "case.yaml", mem, d);
    ir_module *m = n ? fe_build(n, d) : NULL;
    if (!m) {
        text words = {0};
        diag_print_plain(d, &words, false);
        fprintf(stderr, "%s", text_get(&words));
        text_free(&words);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    diag_free(d);
    arena_free(mem);
    return m;
}

/* Add the sums of examples first .. first + count - 1. */
static void add_batch(const ir_module *m, int first, int count, double *sum, double *of, const char *metric)
{
    char above[64], below[64];
    evaluator *e = evaluator_new(m, EVAL_F32, count);
    const ir_graph *f = ir_function_find(m, "evaluate");
    bool labels = evaluator_input(e, f, 1)->type.rank == 1;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < WIDTH; k++)
            evaluator_put(e, evaluator_input(e, f, 0), i * WIDTH + k, said[first + i][k]);
        for (int k = 0; k < (labels ? 1 : WIDTH); k++)
            evaluator_put(e, evaluator_input(e, f, 1), labels ? i : i * WIDTH + k,
                          labels ? label[first + i] : given[first + i][k]);
    }
    diag *d = diag_new();
    CU_ASSERT_FATAL(evaluator_run(e, f, d));
    diag_free(d);
    const ir_row *row = ir_row_find((ir_module *)m, "metric", metric);
    snprintf(above, sizeof above, "%s", ir_attr_find(row->attrs, "sum")->word);
    snprintf(below, sizeof below, "%s", ir_attr_find(row->attrs, "count")->word);
    *sum += evaluator_get(e, evaluator_symbol(e, above), 0);
    *of += evaluator_get(e, evaluator_symbol(e, below), 0);
    evaluator_free(e);
}

static void expect(const char *loss, const char *metric, const char *keys, double want)
{
    char metrics[128];
    snprintf(metrics, sizeof metrics, "%s%s%s", metric, *keys ? ": " : "", keys);
    ir_module *m = build(loss, metrics);
    for (int batch = 5; batch <= EXAMPLES; batch += 9) {
        double sum = 0, of = 0;
        for (int first = 0; first < EXAMPLES; first += batch)
            add_batch(m, first, first + batch > EXAMPLES ? EXAMPLES - first : batch, &sum, &of, metric);
        if (fabs(sum / of - want) > 1e-6)
            fprintf(stderr, "%s of %s, batch %d: wanted %.9g, got %.9g / %.9g\n", metric, loss, batch, want, sum, of);
        CU_ASSERT(fabs(sum / of - want) <= 1e-6);
    }
    ir_module_free(m);
}

/* precision, recall, f1 and iou of so many that are rightly and wrongly found, and missed. */
static void expect_all(const char *loss, const char *keys, double right, double wrong, double missed)
{
    CU_ASSERT(right > 0 && wrong > 0 && missed > 0);
    expect(loss, "precision", keys, right / (right + wrong));
    expect(loss, "recall", keys, right / (right + missed));
    expect(loss, "f1", keys, 2 * right / (2 * right + wrong + missed));
    expect(loss, "iou", keys, right / (right + wrong + missed));
}

static int best_of(const double *x)
{
    int best = 0;
    for (int k = 1; k < WIDTH; k++)
        best = x[k] > x[best] ? k : best;
    return best;
}

static void classes(void)
{
    double hits = 0, near = 0, right = 0, wrong = 0, missed = 0;
    draw();
    for (int i = 0; i < EXAMPLES; i++) {
        int best = best_of(said[i]), larger = 0;
        for (int k = 0; k < WIDTH; k++)
            larger += said[i][k] > said[i][label[i]];
        hits += best == label[i];
        near += larger < 2;
        right += best == ONE && label[i] == ONE;
        wrong += best == ONE && label[i] != ONE;
        missed += best != ONE && label[i] == ONE;
    }
    CU_ASSERT(hits < near && near < EXAMPLES);
    expect("softmax_cross_entropy", "accuracy", "", hits / EXAMPLES);
    expect("softmax_cross_entropy", "top_k", "{k: 2}", near / EXAMPLES);
    expect("softmax_cross_entropy", "top_k", "2", near / EXAMPLES);
    expect_all("softmax_cross_entropy", "{of: 1}", right, wrong, missed);
}

static void dense_targets(void)
{
    double hits = 0, right = 0, wrong = 0, missed = 0;
    draw();
    for (int i = 0; i < EXAMPLES; i++) {
        bool says = best_of(said[i]) == ONE, is = best_of(given[i]) == ONE;
        hits += best_of(said[i]) == best_of(given[i]);
        right += says && is;
        wrong += says && !is;
        missed += !says && is;
    }
    expect("categorical_cross_entropy", "accuracy", "", hits / EXAMPLES);
    expect_all("categorical_cross_entropy", "{of: 1}", right, wrong, missed);
}

static void truths(void)
{
    double hits = 0, right = 0, wrong = 0, missed = 0;
    draw();
    for (int i = 0; i < EXAMPLES * WIDTH; i++) {
        bool says = said[i / WIDTH][i % WIDTH] > 0, is = given[i / WIDTH][i % WIDTH] > 0;
        hits += says == is;
        right += says && is;
        wrong += says && !is;
        missed += !says && is;
    }
    expect("sigmoid_cross_entropy", "accuracy", "", hits / (EXAMPLES * WIDTH));
    expect_all("focal", "", right, wrong, missed);
}

static void values(void)
{
    double sum = 0;
    draw();
    for (int i = 0; i < EXAMPLES * WIDTH; i++)
        sum += fabs(said[i / WIDTH][i % WIDTH] - given[i / WIDTH][i % WIDTH]);
    expect("mean_squared_error", "mean_absolute_error", "", sum / (EXAMPLES * WIDTH));
}

void add_metric_values(CU_pSuite s);
void suite_metrics(void);
void suite_metrics(void)
{
    CU_pSuite s = CU_add_suite("metrics", NULL, NULL);
    CU_add_test(s, "of class labels", classes);
    CU_add_test(s, "of classes with dense targets", dense_targets);
    CU_add_test(s, "of yes and no", truths);
    CU_add_test(s, "of values", values);
    add_metric_values(s);
}
