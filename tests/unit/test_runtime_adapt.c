/* tests/unit/test_runtime_adapt.c - tensors that begin as statistics of the training data. */
#include "tests/unit/runtime_case.h"
#include <math.h>

/* The hand-written net, whose weight begins as a statistic of x. */
static lamina_tensor tensors[16];
static lamina_net adapting;

static const lamina_net *adapting_net(int32_t init, double scale)
{
    adapting = *fake_net_query(LAMINA_ABI_MAJOR);
    memcpy(tensors, adapting.tensors, (size_t)adapting.tensor_count * sizeof *tensors);
    tensors[0].init = init;
    tensors[0].init_a = 9;
    tensors[0].init_b = scale;
    tensors[0].stream = 0;
    adapting.tensors = tensors;
    adapting.needs |= LAMINA_NEEDS_DATA;
    return &adapting;
}

static const float nan_x[5][FAKE_INPUTS] = {{1, 4, NAN}, {2, 4, NAN}, {6, 4, NAN}, {NAN, 4, NAN}, {11, 4, NAN}};
static const float zeros[5];

static lamina_dataset *nan_data(const lamina_net *net)
{
    lamina_dataset *d = NULL;
    OK(lamina_dataset_new(net, &d, &error));
    OK(lamina_dataset_add(d, "x", nan_x, 5, &error));
    OK(lamina_dataset_add(d, "y", zeros, 5, &error));
    return d;
}

static void expect_statistic(int32_t init, double scale, double first, double constant)
{
    const lamina_net *net = adapting_net(init, scale);
    lamina_dataset *d = nan_data(net);
    lamina_model *m = NULL;
    float got[FAKE_INPUTS];
    OK(lamina_model_new(net, NULL, &m, &error));
    OK(lamina_initialize(m, 1, &error));
    OK(lamina_get_tensor(m, "dense1.weight", got, sizeof got, &error));
    CU_ASSERT_EQUAL(got[0], 9); /* until the data is known */
    OK(lamina_adapt(m, d, &error));
    OK(lamina_get_tensor(m, "dense1.weight", got, sizeof got, &error));
    CU_ASSERT_DOUBLE_EQUAL((double)got[0], first, 1e-6);
    CU_ASSERT_EQUAL((double)got[1], constant);
    CU_ASSERT_EQUAL(got[2], 9); /* no number there */
    lamina_model_free(m);
    lamina_dataset_free(d);
}

static void test_statistics(void)
{
    expect_statistic(LAMINA_INIT_DATA_MEAN, 1, 5, 4);
    expect_statistic(LAMINA_INIT_DATA_MEAN, 0.5, 2.5, 2);
    expect_statistic(LAMINA_INIT_DATA_DEVIATION, 1, sqrt(62 / 4.0), 1);
    expect_statistic(LAMINA_INIT_DATA_MINIMUM, -1, -11, -4);
    expect_statistic(LAMINA_INIT_DATA_RANGE, 1, 10, 1);
    expect_statistic(LAMINA_INIT_DATA_MEDIAN, 1, 4, 4);
}

/* Of a split only the part counts. */
static void test_adapts_to_a_part(void)
{
    const lamina_net *net = adapting_net(LAMINA_INIT_DATA_MEAN, 1);
    lamina_dataset *d = line_data(RECORDS), *part = NULL;
    lamina_model *m = NULL;
    OK(lamina_dataset_split(d, 0.3, 4, &part, &error));
    OK(lamina_model_new(net, NULL, &m, &error));
    OK(lamina_adapt(m, part, &error));
    float got[FAKE_INPUTS];
    double sum = 0;
    for (int64_t i = 0; i < lamina_dataset_count(part); i++)
        sum += (double)((const float *)lamina_dataset_record(part, 0, i))[1];
    OK(lamina_get_tensor(m, "dense1.weight", got, sizeof got, &error));
    CU_ASSERT_DOUBLE_EQUAL((double)got[1], sum / (double)lamina_dataset_count(part), 1e-6);
    lamina_model_free(m);
    lamina_dataset_free(part);
    lamina_dataset_free(d);
}

static void test_adapt_without_data(void)
{
    const lamina_net *net = adapting_net(LAMINA_INIT_DATA_MEAN, 1);
    lamina_dataset *d = NULL, *other = NULL;
    lamina_model *m = NULL, *plain = new_model(1, false);
    OK(lamina_model_new(net, NULL, &m, &error));
    OK(lamina_dataset_new(net, &d, &error));
    OK(lamina_dataset_new(&label_net, &other, &error));
    FAILS(lamina_adapt(m, d, &error), LAMINA_BAD_ARG,
          "fake: expected data for input 'x', of which 'dense1.weight' is a statistic, found none");
    FAILS(lamina_adapt(m, other, &error), LAMINA_BAD_ARG, "expected a data set with input 'x'");
    FAILS(lamina_adapt(NULL, d, &error), LAMINA_BAD_ARG, "argument 'm': expected a pointer, found NULL");
    FAILS(lamina_adapt(m, NULL, &error), LAMINA_BAD_ARG, "argument 'd': expected a pointer, found NULL");
    FAILS(lamina_stages_adapt(NULL, d, &error), LAMINA_BAD_ARG, "argument 's': expected a pointer, found NULL");
    OK(lamina_adapt(plain, d, &error)); /* has nothing to ask of the data */
    lamina_model_free(plain);
    lamina_model_free(m);
    lamina_dataset_free(other);
    lamina_dataset_free(d);
}

/* The whole as its only stage; 'weights' as a stage's. */
static lamina_status adapt_stages(const char *weights, float *got)
{
    const lamina_net *net = adapting_net(LAMINA_INIT_DATA_MEDIAN, 1);
    const lamina_stage_options stage = {.name = "only", .net = net, .weights = weights};
    lamina_stages *stages = NULL;
    lamina_dataset *d = NULL;
    lamina_model *m;
    lamina_status s = lamina_stages_new(net, &stage, 1, NULL, &stages, &error);
    if (!s)
        s = lamina_stages_initialize(stages, 1, &error);
    if (!s)
        s = lamina_dataset_new(net, &d, &error);
    if (!s)
        s = lamina_dataset_add(d, "x", nan_x, 5, &error);
    if (!s)
        s = lamina_stages_adapt(stages, d, &error);
    if (!s && !(s = lamina_stages_model(stages, NULL, &m, &error)))
        s = lamina_get_tensor(m, "dense1.weight", got, FAKE_INPUTS * sizeof *got, &error);
    lamina_dataset_free(d);
    lamina_stages_free(stages);
    return s;
}

static void test_stages_adapt(void)
{
    float got[FAKE_INPUTS];
    lamina_model *m = new_model(1, false);
    OK(lamina_set_tensor(m, "dense1.weight", ((const float[]){7, 8, 6}), 12, &error));
    OK(lamina_save_weights(m, path_of("w.st"), &error));
    OK(adapt_stages(NULL, got));
    CU_ASSERT_EQUAL(memcmp(got, ((const float[]){4, 4, 9}), sizeof got), 0);
    OK(adapt_stages(path_of("w.st"), got));
    CU_ASSERT_EQUAL(got[0], 7); /* as its weights file has it */
    lamina_model_free(m);
}

static lamina_status scenario_adapt(void)
{
    float got[FAKE_INPUTS];
    lamina_model *m = NULL;
    lamina_dataset *d = NULL;
    const lamina_net *net = adapting_net(LAMINA_INIT_DATA_MEDIAN, 1);
    lamina_status s = lamina_model_new(net, NULL, &m, &error);
    if (!s)
        s = lamina_dataset_new(net, &d, &error);
    if (!s)
        s = lamina_dataset_add(d, "x", nan_x, 5, &error);
    if (!s)
        s = lamina_adapt(m, d, &error);
    lamina_dataset_free(d);
    lamina_model_free(m);
    return s ? s : adapt_stages(NULL, got);
}

static void test_adapt_without_memory(void)
{
    fail_each(scenario_adapt, LAMINA_NO_MEMORY, 20);
}

void add_runtime_adapt(CU_pSuite s)
{
    CU_add_test(s, "statistics of the data", test_statistics);
    CU_add_test(s, "adapts to a part", test_adapts_to_a_part);
    CU_add_test(s, "adapt without data", test_adapt_without_data);
    CU_add_test(s, "stages adapt", test_stages_adapt);
    CU_add_test(s, "adapt without memory", test_adapt_without_memory);
}
