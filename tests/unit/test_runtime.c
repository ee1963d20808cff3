/* tests/unit/test_runtime.c - liblamina on a network written by hand: the pool and random numbers here, data, models,
 * training and error texts in files beside this one. */
#include "runtime/model/philox.h"
#include "tests/unit/runtime_case.h"
#include <fenv.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- pool ---- */

typedef struct {
    lamina_pool *pool;
    atomic_int hits[1000];
    atomic_llong inner;
    int64_t inner_tasks;
} pool_work;

static void hit(void *context, int64_t task)
{
    atomic_fetch_add(&((pool_work *)context)->hits[task], 1);
}

static void inner_task(void *context, int64_t task)
{
    atomic_fetch_add(&((pool_work *)context)->inner, task + 1);
}

static void nesting_task(void *context, int64_t task)
{
    pool_work *w = context;
    (void)task;
    lamina_pool_run(w->pool, inner_task, w, w->inner_tasks);
}

static void check_loop(pool_work *w, int64_t tasks)
{
    memset(w->hits, 0, sizeof w->hits);
    lamina_pool_run(w->pool, hit, w, tasks);
    bool once = true;
    for (int64_t i = 0; i < 1000; i++)
        once = once && w->hits[i] == (i < tasks);
    CU_ASSERT_TRUE(once);
}

static void test_pool_runs_each_task_once(void)
{
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, 1000};
    static pool_work w;
    for (int64_t workers = 1; workers <= 3; workers++) {
        OK(lamina_pool_new(workers, false, &w.pool, &error));
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            check_loop(&w, sizes[i]);
            usleep(200); /* some loops find the workers asleep */
        }
        lamina_pool_free(w.pool);
    }
    w.pool = NULL;
    check_loop(&w, 5);
}

static void test_pool_nests(void)
{
    static pool_work w;
    for (int64_t workers = 1; workers <= 3; workers++) {
        OK(lamina_pool_new(workers, false, &w.pool, &error));
        for (w.inner_tasks = 1; w.inner_tasks < 50; w.inner_tasks += 7) {
            w.inner = 0;
            lamina_pool_run(w.pool, nesting_task, &w, 20);
            CU_ASSERT_EQUAL(w.inner, 20 * w.inner_tasks * (w.inner_tasks + 1) / 2);
        }
        lamina_pool_free(w.pool);
    }
}

static void test_pool_takes_many_tiny_loops(void)
{
    static pool_work w;
    for (int64_t workers = 2; workers <= 3; workers++) {
        OK(lamina_pool_new(workers, workers == 2, &w.pool, &error));
        w.inner = 0;
        for (int i = 0; i < 20000; i++)
            lamina_pool_run(w.pool, inner_task, &w, 3);
        CU_ASSERT_EQUAL(w.inner, 20000 * 6);
        lamina_pool_free(w.pool);
    }
}

static void rounding_task(void *context, int64_t task)
{
    (void)task;
    volatile float one = 1, little = 0x1p-40f; /* a sum: fegetround reads the mode of another unit */
    atomic_fetch_add((atomic_int *)context, one + little > 1);
    usleep(100); /* long enough for the other worker to come */
}

static void test_pool_hands_on_the_rounding_mode(void)
{
    lamina_pool *p;
    OK(lamina_pool_new(2, false, &p, &error));
    atomic_int upward = 0;
    fesetround(FE_UPWARD);
    lamina_pool_run(p, rounding_task, &upward, 20);
    fesetround(FE_TONEAREST);
    CU_ASSERT_EQUAL(upward, 20);
    lamina_pool_run(p, rounding_task, &upward, 20);
    CU_ASSERT_EQUAL(upward, 20);
    lamina_pool_free(p);
}

static void test_pool_refuses_bad_sizes(void)
{
    lamina_pool *p;
    FAILS(lamina_pool_new(0, false, &p, &error), LAMINA_BAD_ARG, "expected 1 .. 1024, found 0");
    CU_ASSERT_PTR_NULL(p);
    lamina_pool_free(NULL);
    CU_ASSERT_TRUE(lamina_processors() >= 1);
}

/* ---- random numbers, initial values ---- */

static void test_philox_known_words(void)
{
    /* from the known-answer test that the authors of the generator give */
    uint32_t out[4];
    lamina_philox(0, (const uint32_t[4]){0, 0, 0, 0}, out);
    CU_ASSERT_EQUAL(out[0], 0x6627e8d5);
    CU_ASSERT_EQUAL(out[1], 0xe169c58d);
    CU_ASSERT_EQUAL(out[2], 0xbc57ac4c);
    CU_ASSERT_EQUAL(out[3], 0x9b00dbd8);
    lamina_philox(UINT64_C(0x299f31d0a4093822), (const uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                  out);
    CU_ASSERT_EQUAL(out[0], 0xd16cfe09);
    CU_ASSERT_EQUAL(out[1], 0x94fdcceb);
    CU_ASSERT_EQUAL(out[2], 0x5001e420);
    CU_ASSERT_EQUAL(out[3], 0x24126ea1);
}

enum { DRAWS = 100001 };

typedef struct {
    double mean, deviation, least, most;
} statistics;

static statistics draw(int32_t init, double a, double b, uint64_t seed, float *values)
{
    const lamina_tensor t = {"t", LAMINA_TENSOR_PARAM, LAMINA_F32, 1, -1, {DRAWS}, 4 * DRAWS, 0, init, 5, a, b};
    lamina_initial_values(&t, seed, values);
    statistics s = {0, 0, values[0], values[0]};
    for (int i = 0; i < DRAWS; i++) {
        s.mean += (double)values[i] / DRAWS;
        s.deviation += (double)values[i] * (double)values[i] / DRAWS;
        s.least = fmin(s.least, (double)values[i]);
        s.most = fmax(s.most, (double)values[i]);
    }
    s.deviation = sqrt(s.deviation - s.mean * s.mean);
    return s;
}

static void test_init_statistics(void)
{
    float *v = malloc(sizeof(float) * DRAWS);
    statistics s = draw(LAMINA_INIT_UNIFORM, -3, 1, 7, v);
    CU_ASSERT_DOUBLE_EQUAL(s.mean, -1, 0.02);
    CU_ASSERT_DOUBLE_EQUAL(s.deviation, 4 / sqrt(12), 0.02);
    CU_ASSERT_TRUE(s.least >= -3 && s.most < 1 && s.least < -2.99 && s.most > 0.99);
    s = draw(LAMINA_INIT_NORMAL, 2, 0.5, 7, v);
    CU_ASSERT_DOUBLE_EQUAL(s.mean, 2, 0.01);
    CU_ASSERT_DOUBLE_EQUAL(s.deviation, 0.5, 0.01);
    CU_ASSERT_TRUE(s.most > 3.5 && s.least < 0.5);
    s = draw(LAMINA_INIT_TRUNCATED_NORMAL, 0, 1, 7, v);
    CU_ASSERT_DOUBLE_EQUAL(s.mean, 0, 0.01);
    CU_ASSERT_DOUBLE_EQUAL(s.deviation, 0.8796, 0.01); /* of a normal cut at two deviations */
    CU_ASSERT_TRUE(s.least >= -2 && s.most <= 2 && s.most > 1.99);
    s = draw(LAMINA_INIT_CONSTANT, 0.25, 0, 7, v);
    CU_ASSERT_TRUE(s.least == 0.25 && s.most == 0.25);
    /* one unit in the last place wide: rounding must not reach the end */
    s = draw(LAMINA_INIT_UNIFORM, 1, 1 + 0x1p-23, 7, v);
    CU_ASSERT_TRUE(s.least == 1 && s.most == 1);
    free(v);
}

/* Identity matrices below each other; of fewer rows than columns, a part of one. */
static void test_init_identity(void)
{
    float v[12];
    static const float tall[] = {0.5f, 0, 0, 0.5f, 0.5f, 0, 0, 0.5f, 0.5f, 0}, wide[] = {2, 0, 0, 0, 0, 2, 0, 0};
    lamina_tensor t = {"t", 1, LAMINA_F32, 2, -1, {5, 2}, sizeof tall, 0, LAMINA_INIT_IDENTITY, 9, 0.5, 0};
    lamina_initial_values(&t, 1, v);
    CU_ASSERT_EQUAL(memcmp(v, tall, sizeof tall), 0);
    t = (lamina_tensor){"t", 1, LAMINA_F32, 2, -1, {2, 4}, sizeof wide, 0, LAMINA_INIT_IDENTITY, 9, 2, 0};
    lamina_initial_values(&t, 1, v);
    CU_ASSERT_EQUAL(memcmp(v, wide, sizeof wide), 0);
}

static double inner(const float *a, const float *b, int count, int step)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)a[i * step] * (double)b[i * step];
    return sum;
}

/* W^T W, or W W^T of fewer rows, is gain^2 I; each vector keeps the direction of the normal numbers' own part. */
static void check_orthogonal(int rows, int columns)
{
    size_t bytes = (size_t)rows * (size_t)columns * sizeof(float);
    float *w = malloc(bytes), *z = malloc(bytes);
    int count = rows < columns ? rows : columns, length = rows + columns - count;
    int apart = rows < columns ? columns : 1, step = rows < columns ? 1 : columns;
    lamina_tensor t = {"t", 1, LAMINA_F32, 3, -1, {rows, 1, columns}, bytes, 0, LAMINA_INIT_ORTHOGONAL, 9, 1.5, 0};
    lamina_initial_values(&t, 4, w);
    t.init = LAMINA_INIT_NORMAL;
    t.init_a = 0;
    t.init_b = 1;
    lamina_initial_values(&t, 4, z);
    for (int i = 0; i < count; i++) {
        CU_ASSERT_TRUE(inner(w + i * apart, z + i * apart, length, step) > 0);
        for (int k = 0; k < count; k++)
            CU_ASSERT_DOUBLE_EQUAL(inner(w + i * apart, w + k * apart, length, step), i == k ? 2.25 : 0, 2e-6);
    }
    free(w);
    free(z);
}

static void test_init_orthogonal(void)
{
    check_orthogonal(40, 7);
    check_orthogonal(7, 40);
    check_orthogonal(65, 65);
    check_orthogonal(1, 5);
    check_orthogonal(300, 290);
}

static void test_init_normal_is_the_formula(void)
{
    /* against libm, which may differ in the last bit */
    float v[4];
    const lamina_tensor t = {"t", 1, LAMINA_F32, 1, -1, {4}, sizeof v, 0, LAMINA_INIT_NORMAL, 9, 0, 1};
    double worst = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        uint32_t w[4];
        lamina_initial_values(&t, seed, v);
        lamina_philox(seed, (const uint32_t[4]){0, 0, 9, PHILOX_INIT}, w);
        for (int i = 0; i < 4; i += 2) {
            double r = sqrt(-2 * log((w[i] + 1.0) / 4294967296)), angle = w[i + 1] / 4294967296.0 * 2 * acos(-1);
            worst = fmax(worst, fabs((double)v[i] - r * cos(angle)));
            worst = fmax(worst, fabs((double)v[i + 1] - r * sin(angle)));
        }
    }
    CU_ASSERT_TRUE(worst < 5e-7);
}

static void test_init_is_determined(void)
{
    float *a = malloc(sizeof(float) * DRAWS), *b = malloc(sizeof(float) * DRAWS);
    draw(LAMINA_INIT_TRUNCATED_NORMAL, 0, 1, 7, a);
    draw(LAMINA_INIT_TRUNCATED_NORMAL, 0, 1, 7, b);
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof(float) * DRAWS), 0);
    draw(LAMINA_INIT_TRUNCATED_NORMAL, 0, 1, UINT64_C(7) << 32, b);
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof(float) * DRAWS), 0);
    free(a);
    free(b);
    int64_t seed = 0;
    const lamina_tensor t = {"seed", LAMINA_TENSOR_STATE, LAMINA_I64, 0, -1, {0}, 8, 0, LAMINA_INIT_SEED, 5, 0, 0};
    lamina_initial_values(&t, UINT64_MAX - 3, &seed);
    CU_ASSERT_EQUAL(seed, -4);
}

void suite_runtime(void);
void suite_runtime(void)
{
    CU_pSuite s = CU_add_suite("runtime", make_folder, remove_folder);
    CU_add_test(s, "pool runs each task once", test_pool_runs_each_task_once);
    CU_add_test(s, "pool nests", test_pool_nests);
    CU_add_test(s, "pool takes many tiny loops", test_pool_takes_many_tiny_loops);
    CU_add_test(s, "pool hands on the rounding mode", test_pool_hands_on_the_rounding_mode);
    CU_add_test(s, "pool refuses bad sizes", test_pool_refuses_bad_sizes);
    CU_add_test(s, "philox known words", test_philox_known_words);
    CU_add_test(s, "init statistics", test_init_statistics);
    CU_add_test(s, "init identity", test_init_identity);
    CU_add_test(s, "init orthogonal", test_init_orthogonal);
    CU_add_test(s, "init normal is the formula", test_init_normal_is_the_formula);
    CU_add_test(s, "init is determined", test_init_is_determined);
    add_runtime_data(s);
    add_runtime_csv(s);
    add_runtime_tables(s);
    add_runtime_npy(s);
    add_runtime_files(s);
    add_runtime_adapt(s);
    add_runtime_model(s);
    add_runtime_select(s);
    add_runtime_images(s);
    add_runtime_matching(s);
    add_runtime_augment(s);
    add_runtime_train(s);
    add_runtime_rates(s);
    add_runtime_watch(s);
    add_runtime_metrics(s);
    add_runtime_stages(s);
    add_runtime_pipeline(s);
    add_runtime_teacher(s);
    add_runtime_scores(s);
    add_runtime_arguments(s);
    add_runtime_errors(s);
}
