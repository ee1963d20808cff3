/* tests/unit/test_rates.c - schedules of the learning rate: their values, those of PyTorch among them, the steps of an
 * epoch, and runs that are resumed. */
#include "tests/unit/runtime_case.h"
#include <math.h>
#include <stdlib.h>

enum { MOST_NUMBERS = 16, EPOCHS = 4, STEPS = 8 };

#define RATE(ID, name, numbers) {#name, LAMINA_RATE_##ID},
static const struct {
    const char *name;
    int32_t kind;
} kinds[] = {
#include "ir/rates.def"
};

static int32_t kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name))
            return kinds[i].kind;
    CU_FAIL_FATAL("no schedule of that name");
    return 0;
}

/* The hand-written net with another rate. */
static lamina_net net_of(int32_t kind, int32_t units, const double *numbers, size_t count)
{
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    net.rate = (lamina_rate){.kind = kind, .units = units, .a = numbers[2]};
    net.rate_numbers = numbers;
    net.rate_count = count;
    return net;
}

static const double cosine[] = {1, 0.001, 0.08, 2, 0.01}; /* for two epochs behind one of warm-up */
enum { COSINE = sizeof cosine / sizeof *cosine, BOTH_IN_EPOCHS = LAMINA_RATE_IN_EPOCHS | LAMINA_RATE_WARMUP_IN_EPOCHS };

static size_t read_numbers(const char *words, double *out)
{
    size_t count = 0;
    for (char *end; count < MOST_NUMBERS; words = end, count++) {
        out[count] = strtod(words, &end);
        if (end == words)
            break;
    }
    return count;
}

/* The same lengths in epochs of 5 steps. */
static lamina_net in_epochs(lamina_net net, double *numbers)
{
    size_t count = net.rate_count, first = 3, last = 3;
    memcpy(numbers, net.rate_numbers, count * sizeof *numbers);
    if (net.rate.kind == LAMINA_RATE_PIECEWISE) {
        first = 2 + (count - 1) / 2;
        last = count - 1;
    }
    numbers[0] = net.rate_numbers[0] / 5;
    for (size_t i = first; i <= last && i < count; i++)
        numbers[i] = net.rate_numbers[i] / 5;
    net.rate.units = BOTH_IN_EPOCHS;
    net.rate_numbers = numbers;
    return net;
}

static void test_rates_of_pytorch(void)
{
    FILE *f = fopen(LAMINA_TESTS_DIR "/reference/rates.txt", "r");
    char line[512];
    double numbers[MOST_NUMBERS] = {0}, other[MOST_NUMBERS] = {0};
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR), same = net;
    int schedules = 0, values = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while (fgets(line, sizeof line, f)) {
        char *word = strtok(line, " "), *name = strtok(NULL, " "), *rest = strtok(NULL, "\n");
        if (!strcmp(word, "rate")) {
            size_t count = read_numbers(rest, numbers);
            net = net_of(kind_of(name), 0, numbers, count);
            same = in_epochs(net, other);
            OK(lamina_net_check(&net, &error));
            schedules++;
            continue;
        }
        int64_t step = strtoll(name, NULL, 10);
        double wanted = strtod(rest, NULL);
        CU_ASSERT_DOUBLE_EQUAL((double)lamina_net_rate(&net, step, 0), wanted, 1e-6 * wanted + 1e-10);
        CU_ASSERT_DOUBLE_EQUAL((double)lamina_net_rate(&same, step, 5), wanted, 1e-6 * wanted + 1e-10);
        values++;
    }
    fclose(f);
    CU_ASSERT_TRUE(schedules >= 15 && values > 300);
}

static float rate_at(const lamina_net *net, int64_t step)
{
    return lamina_net_rate(net, step, 0);
}

/* What comes behind the end, and what PyTorch has not. */
static void test_ends_of_rates(void)
{
    static const double poly[] = {0, 0, 0.1, 10, 0.02, 2}, cycle[] = {0, 0, 0.1, 10, 0.3, 10, 100},
                        restarts[] = {0, 0, 0.1, 10, 0.02, 2, 0.5}, short_cycle[] = {0, 0, 0.1, 2, 0.3, 10, 100},
                        endless[] = {0, 0, 0.1, 10, 0, 1, 0.5};
    lamina_net net = net_of(LAMINA_RATE_COSINE, 0, cosine, COSINE);
    CU_ASSERT_EQUAL(rate_at(&net, 0), 0.001f);
    CU_ASSERT_EQUAL(rate_at(&net, 1), 0.08f);
    CU_ASSERT_EQUAL(rate_at(&net, 2), 0.045f);
    CU_ASSERT_EQUAL(rate_at(&net, 3), 0.01f);
    CU_ASSERT_EQUAL(rate_at(&net, 1000), 0.01f);
    net = net_of(LAMINA_RATE_POLYNOMIAL, 0, poly, 6);
    CU_ASSERT_EQUAL(rate_at(&net, 5), 0.04f);
    CU_ASSERT_EQUAL(rate_at(&net, 11), 0.02f);
    net = net_of(LAMINA_RATE_ONE_CYCLE, 0, cycle, 7);
    CU_ASSERT_EQUAL(rate_at(&net, 0), 0.01f);
    CU_ASSERT_EQUAL(rate_at(&net, 2), 0.1f);
    CU_ASSERT_EQUAL(rate_at(&net, 50), 0.0001f);
    net = net_of(LAMINA_RATE_ONE_CYCLE, 0, short_cycle, 7); /* its way up is shorter than a step */
    CU_ASSERT_TRUE(isfinite(rate_at(&net, 0)) && rate_at(&net, 0) <= 0.1f);
    net = net_of(LAMINA_RATE_COSINE_RESTARTS, 0, restarts, 7);
    CU_ASSERT_EQUAL(rate_at(&net, 10), 0.06f);
    CU_ASSERT_EQUAL(rate_at(&net, 20), 0.04f);
    CU_ASSERT_EQUAL(rate_at(&net, 30), 0.04f);
    net = net_of(LAMINA_RATE_COSINE_RESTARTS, 0, endless, 7);
    CU_ASSERT_EQUAL(rate_at(&net, 30), 0.0125f);
    net = *fake_net_query(LAMINA_ABI_MAJOR);
    CU_ASSERT_EQUAL(rate_at(&net, 7), 0.05f);
    net.struct_size = offsetof(lamina_net, rate_numbers); /* older than the question */
    CU_ASSERT_EQUAL(rate_at(&net, 7), 0.05f);
}

static void test_rates_that_are_refused(void)
{
    lamina_net net = net_of(LAMINA_RATE_COSINE, 0, cosine, COSINE - 1);
    FAILS(lamina_net_check(&net, &error), LAMINA_UNSUPPORTED, "learning rate of kind 6: expected 5 numbers, found 4");
    net = net_of(LAMINA_RATE_PIECEWISE, 0, cosine, 4);
    FAILS(lamina_net_check(&net, &error), LAMINA_UNSUPPORTED, "learning rate of kind 3: expected 3 numbers, found 4");
    net.rate_count = 5;
    OK(lamina_net_check(&net, &error));
    net.rate.kind = LAMINA_RATE_STEP;
    net.rate_numbers = NULL;
    FAILS(lamina_net_check(&net, &error), LAMINA_UNSUPPORTED, "learning rate of kind 2: expected 5 numbers, found 0");
}

/* A program that takes the steps itself says how many an epoch has. */
static void test_steps_of_an_epoch(void)
{
    lamina_net net = net_of(LAMINA_RATE_COSINE, BOTH_IN_EPOCHS, cosine, COSINE);
    lamina_model *m;
    OK(lamina_model_new(&net, NULL, &m, &error));
    OK(lamina_initialize(m, 1, &error));
    CU_ASSERT_TRUE(isnan(lamina_learning_rate(m)));
    FAILS(lamina_train_step(m, pattern, 8, &error), LAMINA_BAD_ARG, "train_step: the learning rate is scheduled in");
    OK(lamina_gradients(m, pattern, 8, 0, 1, &error));
    FAILS(lamina_update(m, &error), LAMINA_BAD_ARG, "update: the learning rate is scheduled in epochs");
    lamina_set_learning_rate(m, 0.5f);
    OK(lamina_train_step(m, pattern, 8, &error));
    lamina_set_learning_rate(m, NAN);
    lamina_set_epoch_steps(m, 2);
    CU_ASSERT_EQUAL(lamina_learning_rate(m), lamina_net_rate(&net, 1, 2));
    OK(lamina_train_step(m, pattern, 8, &error));
    CU_ASSERT_EQUAL(lamina_learning_rate(m), 0.08f);
    lamina_set_learning_rate(m, 0.25f);
    CU_ASSERT_EQUAL(lamina_learning_rate(m), 0.25f);
    lamina_model_free(m);
}

typedef struct {
    lamina_model *m;
    int64_t save_at, told;
    double rates[EPOCHS * STEPS];
} keeper;

static void keep(void *user, const lamina_report *r)
{
    keeper *k = user;
    if (r->event == LAMINA_EVENT_STEP)
        k->rates[r->total_steps - 1] = r->learning_rate;
    if (k->told++ == k->save_at)
        OK(lamina_save_checkpoint(k->m, &r->at, path_of("c.st"), &error));
}

static lamina_model *model_of(const lamina_net *net)
{
    lamina_model *m = NULL;
    OK(lamina_model_new(net, NULL, &m, &error));
    OK(lamina_initialize(m, 3, &error));
    return m;
}

/* lamina_fit knows the steps of an epoch, wherever it begins. */
static void test_fit_follows_the_schedule(void)
{
    const lamina_net net = net_of(LAMINA_RATE_COSINE, BOTH_IN_EPOCHS, cosine, COSINE);
    lamina_dataset *d = line_data(RECORDS);
    float a[FAKE_INPUTS + 1] = {0}, b[FAKE_INPUTS + 1] = {1};
    for (int64_t i = 0; i < EPOCHS * (STEPS + 1); i += 5) {
        lamina_model *straight = model_of(&net), *second = model_of(&net);
        keeper k = {.m = straight, .save_at = i}, rest = {.save_at = -1};
        lamina_fit_options o = {.epochs = EPOCHS, .batch = 8, .report = keep, .user = &k};
        lamina_checkpoint end, found;
        OK(lamina_fit(straight, d, &o, &end, &error));
        for (int64_t t = 0; t < EPOCHS * STEPS; t++)
            CU_ASSERT_EQUAL(k.rates[t], (double)lamina_net_rate(&net, t, STEPS));
        OK(lamina_load_checkpoint(second, path_of("c.st"), &end, &found, &error));
        o.first_epoch = found.epoch;
        o.first_step = found.step;
        o.user = &rest;
        OK(lamina_fit(second, d, &o, NULL, &error));
        get_params(straight, a);
        get_params(second, b);
        for (int w = 0; w <= FAKE_INPUTS; w++)
            CU_ASSERT_EQUAL(a[w], b[w]);
        lamina_model_free(straight);
        lamina_model_free(second);
    }
    lamina_dataset_free(d);
}

void add_runtime_rates(CU_pSuite s)
{
    CU_add_test(s, "rates are those of PyTorch", test_rates_of_pytorch);
    CU_add_test(s, "ends of rates", test_ends_of_rates);
    CU_add_test(s, "rates that are refused", test_rates_that_are_refused);
    CU_add_test(s, "steps of an epoch", test_steps_of_an_epoch);
    CU_add_test(s, "fit follows the schedule", test_fit_follows_the_schedule);
}
