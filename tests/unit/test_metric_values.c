/* tests/unit/test_metric_values.c - every metric against scikit-learn (tests/reference/metric_values.txt): in batches
 * of any size, on one thread and two, and as a step of several micro-batches adds it up. */
#include "frontend/catalogue/catalogue.h"
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_METRICS = 40, MOST_NUMBERS = 64, MOST_VALUES = 1 << 17, MAX_BATCH = 16 };

typedef struct {
    char kind[16], shape[32];
    int64_t size, classes, count, labels; /* elements of an example, of the last dimension; examples; labels of one */
    int metrics, numbers[MOST_METRICS];
    char metric[MOST_METRICS][64];
    double value[MOST_METRICS][MOST_NUMBERS];
} metric_set;

static float said[MOST_VALUES], given[MOST_VALUES];
static int32_t label[MOST_VALUES];

/* ---- the sets ---- */

static uint32_t next(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525 + 1013904223;
    return (*state >> 8) % below;
}

static int32_t best_of(const float *x, int64_t classes)
{
    int32_t best = 0;
    for (int32_t k = 1; k < classes; k++)
        best = x[k] > x[best] ? k : best;
    return best;
}

static void make(const metric_set *s)
{
    uint32_t state = 7, there = s->classes > 2 ? (uint32_t)s->classes - 1 : (uint32_t)s->classes;
    bool values = !strcmp(s->kind, "values");
    for (int64_t i = 0; i < s->count; i++)
        for (int64_t k = 0; k < s->size; k++) {
            float *x = &said[i * s->size + k], *t = &given[i * s->size + k];
            *x = ((float)next(&state, 64) - 32) / 8;
            if (values) {
                *t = 1000 + (k % 3 == 2 ? (float)k : *x + ((float)next(&state, 64) - 32) / 16);
                *x += 1000;
            } else {
                *t = (*x > 0) != (next(&state, 4) == 0);
            }
        }
    for (int64_t i = 0; !strcmp(s->kind, "classes") && i < s->count * s->labels; i++) {
        label[i] = best_of(said + i * s->classes, s->classes);
        if (label[i] >= (int32_t)there || next(&state, 3) == 0)
            label[i] = (int32_t)next(&state, there);
        for (int64_t k = 0; k < s->classes; k++)
            given[i * s->classes + k] = label[i] == k;
    }
}

static bool read_set(FILE *f, char *line, int room, metric_set *s)
{
    *s = (metric_set){.size = 1};
    if (sscanf(line, "set %15s %31s %" SCNd64, s->kind, s->shape, &s->count) != 3)
        return false;
    for (char *at = s->shape; *at; at++)
        *at = *at == 'x' ? ',' : *at;
    for (const char *at = s->shape; at; at = strchr(at, ','), at += at != NULL)
        s->size *= s->classes = strtol(at, NULL, 10);
    s->labels = s->size / s->classes;
    while (fgets(line, room, f) && strncmp(line, "set ", 4)) {
        int n = s->metrics++;
        char *at = strstr(line, "}: ");
        CU_ASSERT_FATAL(n < MOST_METRICS && at && at - line < 62);
        memcpy(s->metric[n], line, (size_t)(at + 1 - line));
        for (char *end, *from = at + 3; s->numbers[n] < MOST_NUMBERS && *from != '\n'; from = end)
            s->value[n][s->numbers[n]++] = strtod(from, &end);
    }
    return true;
}

/* ---- their nets ---- */

static bool has_labels(const metric_set *s)
{
    return !strcmp(s->kind, "classes") && s->labels == 1;
}

static const char *loss_of(const metric_set *s)
{
    if (!strcmp(s->kind, "classes"))
        return has_labels(s) ? "softmax_cross_entropy" : "categorical_cross_entropy";
    return !strcmp(s->kind, "truths") ? "sigmoid_cross_entropy" : "mean_squared_error";
}

static void write_net(const metric_set *s, FILE *f)
{
    fprintf(f, "inputs: {x: [%s], t: {shape: [%s]%s}}\n", s->shape, has_labels(s) ? "" : s->shape,
            has_labels(s) ? ", dtype: int32" : "");
    fprintf(f, "layers: [{dense: {name: out, units: %" PRId64 ", use_bias: false, kernel_initializer: identity}}]\n",
            s->classes);
    fprintf(f, "losses: [%s]\noptimizer: {sgd: 0}\nmetrics:\n", loss_of(s));
    for (int i = 0; i < s->metrics; i++) {
        const char *keys = strchr(s->metric[i], '{');
        fprintf(f, "  - %.*s: {name: m%d%s%s\n", (int)(keys - s->metric[i] - 1), s->metric[i], i,
                keys[1] == '}' ? "" : ", ", keys + 1);
    }
}

static void open_net(net_run *r, const metric_set *s)
{
    char path[] = "/tmp/lamina-metrics-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    write_net(s, f);
    fclose(f);
    CU_ASSERT_FATAL(net_open(r, path, &(net_variant){.max_batch = MAX_BATCH}, 1));
    unlink(path);
}

/* ---- measuring ---- */

static void evaluate(lamina_model *m, const metric_set *s, int64_t piece)
{
    lamina_error e;
    lamina_reset_metrics(m);
    for (int64_t at = 0; at < s->count; at += piece) {
        const void *truth = has_labels(s) ? (const void *)(label + at) : (const void *)(given + at * s->size);
        const void *const inputs[] = {said + at * s->size, truth};
        int64_t count = s->count - at < piece ? s->count - at : piece;
        CU_ASSERT_EQUAL_FATAL(lamina_evaluate(m, inputs, count, &e), LAMINA_OK);
    }
}

static void train(lamina_model *m, const metric_set *s)
{
    lamina_error e;
    const void *const inputs[] = {said, has_labels(s) ? (const void *)label : (const void *)given};
    lamina_reset_metrics(m);
    CU_ASSERT_EQUAL_FATAL(lamina_train_step(m, inputs, s->count, &e), LAMINA_OK);
}

static bool alike(double found, double wanted, double within)
{
    return isnan(wanted) ? isnan(found) : fabs(found - wanted) <= within * fmax(1, fabs(wanted));
}

/* All numbers of all metrics, as they are listed; the loss stands in front. */
static void compare(lamina_model *m, const metric_set *s, const char *how)
{
    const lamina_numbers *all = lamina_metric_numbers(m);
    for (int i = 0; i < s->metrics; i++) {
        const lamina_numbers *n = all && all[i + 1].rank ? &all[i + 1] : NULL;
        int64_t count = !n ? 1 : n->rank == 1 ? n->classes : n->classes * n->classes;
        CU_ASSERT_EQUAL_FATAL(count, s->numbers[i]);
        for (int64_t k = 0; k < count; k++) {
            double found = n ? n->at[k] : lamina_metric_value(m, i + 1);
            if (!alike(found, s->value[i][k], 1e-6)) {
                CU_FAIL("a metric differs");
                fprintf(stderr, "%s of [%s], %s, number %" PRId64 ": wanted %.10g, found %.10g\n", s->metric[i],
                        s->shape, how, k, s->value[i][k], found);
            }
        }
    }
}

/* What learns adds up the same sums, but for those that only evaluate knows. */
static void compare_training(lamina_model *trained, lamina_model *evaluated, const metric_set *s)
{
    for (int i = 0; i < s->metrics; i++) {
        double value = lamina_metric_value(trained, i + 1);
        bool learns = (lamina_model_net(trained)->metrics[i + 1].kind & 255) < LAMINA_METRIC_CONFUSION_MATRIX;
        CU_ASSERT(learns ? alike(value, lamina_metric_value(evaluated, i + 1), 1e-12) : isnan(value));
    }
    const lamina_numbers *n = lamina_metric_numbers(trained);
    for (int i = 0; n && i < s->metrics; i++)
        if (strstr(s->metric[i], "confusion") || strstr(s->metric[i], "auc"))
            CU_ASSERT_PTR_NULL(n[i + 1].at);
}

static void check_set(const metric_set *s)
{
    static const int64_t pieces[] = {1, 7, 100000};
    net_run r;
    open_net(&r, s);
    lamina_model *models[2];
    lamina_error e;
    make(s);
    for (int i = 0; i < 2; i++) {
        const lamina_options o = {.workers = i + 1, .inference = i == 1};
        CU_ASSERT_EQUAL_FATAL(lamina_model_new(r.net, &o, &models[i], &e), LAMINA_OK);
        CU_ASSERT_EQUAL_FATAL(lamina_initialize(models[i], 1, &e), LAMINA_OK);
    }
    for (int i = 0; i < 6; i++) {
        evaluate(models[i % 2], s, pieces[i / 2]);
        compare(models[i % 2], s, i % 2 ? "two threads" : "one thread");
    }
    train(models[0], s);
    compare_training(models[0], models[1], s);
    for (int i = 0; i < 2; i++)
        lamina_model_free(models[i]);
    net_close(&r);
}

/* Every row of the table has a case. */
static void mark_kinds(const metric_set *s, bool *seen)
{
    const fe_kind *k;
    for (size_t i = 0; (k = fe_row(&fe_metrics, i)); i++)
        for (int n = 0; n < s->metrics; n++)
            seen[i] |= !strncmp(s->metric[n], k->name, strlen(k->name)) && s->metric[n][strlen(k->name)] == ' ';
}

static void values(void)
{
    static char line[4096];
    bool seen[64] = {false};
    metric_set s;
    FILE *f = fopen(LAMINA_TESTS_DIR "/reference/metric_values.txt", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof line, f));
    while (read_set(f, line, sizeof line, &s)) {
        check_set(&s);
        mark_kinds(&s, seen);
    }
    fclose(f);
    for (size_t i = 0; fe_row(&fe_metrics, i); i++)
        if (!seen[i] && strcmp(fe_row(&fe_metrics, i)->name, "top_k"))
            CU_FAIL("a metric has no case");
}

void add_metric_values(CU_pSuite s);
void add_metric_values(CU_pSuite s)
{
    CU_add_test(s, "scikit-learn's values", values);
}
