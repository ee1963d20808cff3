/* tests/unit/test_runtime_metrics.c - metrics of the order of scores as a program meets them: kept until they are
 * reset, with more memory as more examples come, and refused where a network names none that there are. */
#include "runtime/model/metrics.h"
#include "tests/unit/runtime_case.h"
#include <math.h>

static const lamina_metric ranked[] = {{"loss", LAMINA_METRIC_MEAN, 2, 3, 0},
                                       {"auc", LAMINA_METRIC_AUC + LAMINA_METRIC_MACRO, 0, 1, 1},
                                       {"each", LAMINA_METRIC_AVERAGE_PRECISION + LAMINA_METRIC_EACH, 0, 1, 1}};

/* The hand-written net, with its predictions as scores and what is above 1/2 as yes. */
static lamina_net ranked_net(void)
{
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    net.metrics = ranked;
    net.metric_count = 3;
    return net;
}

static double plain_auc(const float *score, int count)
{
    double above = 0, pairs = 0;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < count; k++)
            if (pattern_y[i] > 0.5f && !(pattern_y[k] > 0.5f)) {
                above += score[i] > score[k] ? 1 : score[i] == score[k] ? 0.5 : 0;
                pairs++;
            }
    return above / pairs;
}

static void test_scores(void)
{
    const lamina_net net = ranked_net();
    lamina_model *m = NULL;
    float score[20];
    void *const outputs[] = {score};
    OK(lamina_model_new(&net, NULL, &m, &error));
    OK(lamina_initialize(m, 1, &error));
    CU_ASSERT(isnan(lamina_metric_value(m, 1)));
    CU_ASSERT_PTR_NULL(lamina_metric_numbers(m)[2].at);
    OK(lamina_infer(m, pattern, 20, outputs, &error));
    OK(lamina_evaluate(m, pattern, 20, &error));
    CU_ASSERT_DOUBLE_EQUAL(lamina_metric_value(m, 1), plain_auc(score, 20), 1e-12);
    OK(lamina_evaluate(m, pattern, 20, &error)); /* the same again changes nothing */
    CU_ASSERT_DOUBLE_EQUAL(lamina_metric_value(m, 1), plain_auc(score, 20), 1e-12);
    const lamina_numbers *all = lamina_metric_numbers(m);
    CU_ASSERT(all[0].rank == 0 && all[1].rank == 0 && all[2].rank == 1 && all[2].classes == 1);
    CU_ASSERT_EQUAL(all[2].at[0], lamina_metric_value(m, 2));
    lamina_reset_metrics(m);
    CU_ASSERT(isnan(lamina_metric_value(m, 1)));
    OK(lamina_train_step(m, pattern, 20, &error));
    CU_ASSERT(isnan(lamina_metric_value(m, 1)) && !isnan(lamina_metric_value(m, 0)));
    lamina_model_free(m);
}

/* What is no number has no place in an order. */
static void test_scores_that_are_none(void)
{
    const lamina_net net = ranked_net();
    lamina_model *m = NULL;
    const float none = NAN;
    OK(lamina_model_new(&net, NULL, &m, &error));
    OK(lamina_set_tensor(m, "dense1.bias", &none, sizeof none, &error));
    OK(lamina_evaluate(m, pattern, 20, &error));
    CU_ASSERT(isnan(lamina_metric_value(m, 1)) && isnan(lamina_metric_numbers(m)[2].at[0]));
    lamina_model_free(m);
}

static void test_unknown_metrics(void)
{
    lamina_net net = ranked_net();
    lamina_metric metrics[3];
    net.metrics = metrics;
    const struct {
        int32_t kind, sum, count;
    } wrong[] = {{99, 2, 3},
                 {LAMINA_METRIC_MEAN, 0, 3},
                 {LAMINA_METRIC_F1 + LAMINA_METRIC_MACRO, 2, 3},
                 {LAMINA_METRIC_AUC, 0, 1},
                 {LAMINA_METRIC_AUC + LAMINA_METRIC_MICRO, 1, 1},
                 {LAMINA_METRIC_MEAN + LAMINA_METRIC_MACRO, 2, 3}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memcpy(metrics, ranked, sizeof metrics);
        metrics[1] = (lamina_metric){"odd", wrong[i].kind, wrong[i].sum, wrong[i].count, 0};
        FAILS(lamina_net_check(&net, &error), LAMINA_UNSUPPORTED, "fake: metric 'odd': expected a kind known to ABI");
    }
}

static void test_monitors(void)
{
    const lamina_net net = ranked_net();
    lamina_model *m = NULL;
    lamina_dataset *d = line_data(20);
    OK(lamina_model_new(&net, NULL, &m, &error));
    lamina_fit_options o = {.validation = d, .early_stopping = {{.metric = "train.auc", .patience = 1}, false}};
    FAILS(lamina_fit(m, d, &o, NULL, &error), LAMINA_BAD_ARG,
          "expected one of train.loss, validation.loss, validation.auc, found 'train.auc'");
    o.early_stopping.monitor.metric = "validation.each";
    FAILS(lamina_fit(m, d, &o, NULL, &error), LAMINA_BAD_ARG, "found 'validation.each'");
    o.early_stopping.monitor.metric = "validation.auc";
    OK(lamina_fit(m, d, &o, NULL, &error));
    lamina_model_free(m);
    lamina_dataset_free(d);
}

static lamina_status ranked_run(void)
{
    const lamina_net net = ranked_net();
    lamina_model *m = NULL;
    lamina_dataset *d = NULL;
    lamina_status s = lamina_dataset_new(&net, &d, &error);
    s = s ? s : lamina_dataset_add(d, "x", pattern_x, 20, &error);
    s = s ? s : lamina_dataset_add(d, "y", pattern_y, 20, &error);
    s = s ? s : lamina_model_new(&net, NULL, &m, &error);
    const lamina_fit_options o = {.epochs = 2, .validation = d};
    s = s ? s : lamina_fit(m, d, &o, NULL, &error);
    lamina_model_free(m);
    lamina_dataset_free(d);
    return s;
}

static void test_metrics_without_memory(void)
{
    fail_each(ranked_run, LAMINA_NO_MEMORY, 20);
}

void add_runtime_metrics(CU_pSuite s)
{
    CU_add_test(s, "metrics of scores", test_scores);
    CU_add_test(s, "scores that are none", test_scores_that_are_none);
    CU_add_test(s, "metrics that are unknown", test_unknown_metrics);
    CU_add_test(s, "metrics that can be watched", test_monitors);
    CU_add_test(s, "metrics without memory", test_metrics_without_memory);
}
