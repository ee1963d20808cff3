/* tests/unit/test_runtime.c - liblamina on a network written by hand: pool, files, data, model, training, and every
 * allocation failing once. */
#include "runtime/data.h"
#include "runtime/idx.h"
#include "runtime/lamina.h"
#include "runtime/memory.h"
#include "runtime/philox.h"
#include "tests/unit/fake_net.h"
#include <CUnit/CUnit.h>
#include <dlfcn.h>
#include <fenv.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char folder[64];
static lamina_error error;

#define OK(call) CU_ASSERT_EQUAL(call, LAMINA_OK)
#define SAYS(words) CU_ASSERT_PTR_NOT_NULL(strstr(error.text, words))
/* The call fails with a status, and its text holds the words. */
#define FAILS(call, status, words)                                                                                     \
    do {                                                                                                               \
        error.text[0] = 0;                                                                                             \
        CU_ASSERT_EQUAL(call, status);                                                                                 \
        SAYS(words);                                                                                                   \
    } while (0)

static int make_folder(void)
{
    strcpy(folder, "/tmp/lamina-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static const char *path_of(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static int remove_folder(void)
{
    static const char *const names[] = {"a.idx", "b.idx", "x.idx", "y.idx", "z.idx.gz",
                                        "w.st",  "v.st",  "c.st",  "log",   "out"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
    return rmdir(folder); /* fails if a temporary file was left */
}

static void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fwrite(data, 1, bytes, f), bytes);
    CU_ASSERT_EQUAL(fclose(f), 0);
}

static size_t read_file(const char *path, char *data, size_t most)
{
    FILE *f = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    size_t n = fread(data, 1, most, f);
    fclose(f);
    return n;
}

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

/* ---- IDX ---- */

/* 2 records of 3 bytes */
static const unsigned char small_idx[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255};

static lamina_status read_idx_bytes(const void *data, size_t bytes, lamina_idx *x)
{
    write_file(path_of("a.idx"), data, bytes);
    return lamina_idx_read(path_of("a.idx"), x, &error);
}

static void test_idx_reads_each_type(void)
{
    static const unsigned char i8[] = {0, 0, 9, 1, 0, 0, 0, 2, 1, 0xff};
    static const unsigned char i16[] = {0, 0, 11, 1, 0, 0, 0, 2, 1, 2, 0xff, 0xfe};
    static const unsigned char i32[] = {0, 0, 12, 1, 0, 0, 0, 1, 1, 2, 3, 4};
    static const unsigned char f32[] = {0, 0, 13, 1, 0, 0, 0, 1, 0x3f, 0xc0, 0, 0};
    static const unsigned char f64[] = {0, 0, 14, 1, 0, 0, 0, 1, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0};
    lamina_idx x;
    OK(read_idx_bytes(small_idx, sizeof small_idx, &x));
    CU_ASSERT_EQUAL(x.rank, 2);
    CU_ASSERT_EQUAL(x.dim[1], 3);
    CU_ASSERT_EQUAL(((uint8_t *)x.data)[5], 255);
    lamina_release(x.data);
    OK(read_idx_bytes(i8, sizeof i8, &x));
    CU_ASSERT_EQUAL(((int8_t *)x.data)[1], -1);
    lamina_release(x.data);
    OK(read_idx_bytes(i16, sizeof i16, &x));
    CU_ASSERT_EQUAL(((int16_t *)x.data)[0], 258);
    CU_ASSERT_EQUAL(((int16_t *)x.data)[1], -2);
    lamina_release(x.data);
    OK(read_idx_bytes(i32, sizeof i32, &x));
    CU_ASSERT_EQUAL(((int32_t *)x.data)[0], 0x01020304);
    lamina_release(x.data);
    OK(read_idx_bytes(f32, sizeof f32, &x));
    CU_ASSERT_EQUAL(((float *)x.data)[0], 1.5f);
    lamina_release(x.data);
    OK(read_idx_bytes(f64, sizeof f64, &x));
    CU_ASSERT_EQUAL(((double *)x.data)[0], 1.5);
    lamina_release(x.data);
}

static void test_idx_refuses_bad_files(void)
{
    lamina_idx x;
    FAILS(lamina_idx_read(path_of("none"), &x, &error), LAMINA_IO, "none: cannot open: No such file");
    FAILS(lamina_idx_read(folder, &x, &error), LAMINA_IO, "expected a regular file");
    FAILS(read_idx_bytes("", 0, &x), LAMINA_BAD_FILE, "expected a header of 4 bytes, found 0");
    FAILS(read_idx_bytes("\x89PNG....", 8, &x), LAMINA_BAD_FILE, "not an IDX file");
    SAYS("found 89 50 4e");
    FAILS(read_idx_bytes("\0\0\x0a\1\0\0\0\1", 8, &x), LAMINA_BAD_FILE, "found 00 00 0a");
    FAILS(read_idx_bytes("\0\0\x08\0\0\0\0\1", 8, &x), LAMINA_BAD_FILE, "expected 1 .. 8 dimensions, found 0");
    FAILS(read_idx_bytes("\0\0\x08\x09\0\0\0\1", 8, &x), LAMINA_BAD_FILE, "found 9");
    FAILS(read_idx_bytes("\0\0\x08\2\0\0\0\1\0", 9, &x), LAMINA_BAD_FILE, "expected 2 dimensions of 4 bytes, found 5");
    FAILS(read_idx_bytes("\0\0\x08\1\0\0\0\0", 8, &x), LAMINA_BAD_FILE, "dimension 1: expected 1 or more, found 0");
    FAILS(read_idx_bytes(small_idx, sizeof small_idx - 1, &x), LAMINA_BAD_FILE, "need 6 bytes of data, found 5");
    unsigned char longer[sizeof small_idx + 1];
    memcpy(longer, small_idx, sizeof small_idx);
    longer[sizeof small_idx] = 0;
    FAILS(read_idx_bytes(longer, sizeof longer, &x), LAMINA_BAD_FILE, "to end after 6 bytes of data, found more");
    /* headers that ask for the whole address space */
    FAILS(read_idx_bytes("\0\0\x0e\2\xff\xff\xff\xff\xff\xff\xff\xff", 12, &x), LAMINA_BAD_FILE, "multiply to more");
    FAILS(read_idx_bytes("\0\0\x0e\2\x7f\xff\xff\xff\x7f\xff\xff\xff", 12, &x), LAMINA_BAD_FILE, "truncated");
    CU_ASSERT_PTR_NULL(x.data);
}

static void write_gzip(const char *path, const void *data, unsigned bytes)
{
    gzFile f = gzopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(gzwrite(f, data, bytes), (int)bytes);
    CU_ASSERT_EQUAL(gzclose(f), Z_OK);
}

/* 300 KB that do not compress, so that they cross buffers */
static void test_idx_reads_gzip(void)
{
    enum { COUNT = 300000 };
    unsigned char *big = malloc(8 + COUNT), *packed = malloc(2 * COUNT);
    memcpy(big, "\0\0\x08\1", 4);
    for (int i = 0; i < 4; i++)
        big[4 + i] = (unsigned char)(COUNT >> (24 - 8 * i));
    for (int i = 0; i < COUNT; i++) {
        uint32_t w[4];
        lamina_philox(1, (const uint32_t[4]){(uint32_t)i, 0, 0, 0}, w);
        big[8 + i] = (unsigned char)w[0];
    }
    lamina_idx x;
    write_gzip(path_of("z.idx.gz"), big, 8 + COUNT);
    OK(lamina_idx_read(path_of("z.idx.gz"), &x, &error));
    CU_ASSERT_EQUAL(memcmp(x.data, big + 8, COUNT), 0);
    lamina_release(x.data);
    size_t n = read_file(path_of("z.idx.gz"), (char *)packed, 2 * COUNT);
    write_file(path_of("z.idx.gz"), packed, n / 2);
    FAILS(lamina_idx_read(path_of("z.idx.gz"), &x, &error), LAMINA_BAD_FILE, "the gzip data end in the middle");
    write_file(path_of("z.idx.gz"), packed, n - 3);
    FAILS(lamina_idx_read(path_of("z.idx.gz"), &x, &error), LAMINA_BAD_FILE, "the gzip data end in the middle");
    packed[n - 6] ^= 1; /* the checksum */
    write_file(path_of("z.idx.gz"), packed, n);
    FAILS(lamina_idx_read(path_of("z.idx.gz"), &x, &error), LAMINA_BAD_FILE, "damaged gzip data");
    write_gzip(path_of("z.idx.gz"), big, 1000);
    FAILS(lamina_idx_read(path_of("z.idx.gz"), &x, &error), LAMINA_BAD_FILE, "need 300000 bytes of data, found 992");
    write_gzip(path_of("z.idx.gz"), small_idx, sizeof small_idx);
    OK(lamina_idx_read(path_of("z.idx.gz"), &x, &error));
    CU_ASSERT_EQUAL(x.count, 6);
    lamina_release(x.data);
    free(big);
    free(packed);
}

/* ---- data ---- */

/* A network of labels and pixels that only data sets look at. */
static const lamina_tensor label_inputs[] = {
    {"image", LAMINA_TENSOR_INPUT, LAMINA_UI8, 3, 0, {1, 3, 1}, 3, 0, LAMINA_INIT_NONE, 0, 0, 0},
    {"label", LAMINA_TENSOR_INPUT, LAMINA_I32, 1, 0, {1}, 4, 1, LAMINA_INIT_NONE, 0, 0, 0},
};
static const lamina_net label_net = {.name = "labels", .inputs = label_inputs, .input_count = 2};

static void test_data_converts_and_checks(void)
{
    lamina_dataset *d;
    OK(lamina_dataset_new(&label_net, &d, &error));
    write_file(path_of("a.idx"), small_idx, sizeof small_idx);
    OK(lamina_dataset_add_idx(d, "image", path_of("a.idx"), &error));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 2);
    CU_ASSERT_EQUAL(((const uint8_t *)lamina_dataset_record(d, 0, 1))[0], 4);
    CU_ASSERT_PTR_NULL(lamina_dataset_record(d, 0, 2));
    CU_ASSERT_PTR_NULL(lamina_dataset_record(d, 1, 0));
    FAILS(lamina_dataset_add_idx(d, "image", path_of("a.idx"), &error), LAMINA_BAD_ARG, "already has data");
    FAILS(lamina_dataset_add_idx(d, "images", path_of("a.idx"), &error), LAMINA_BAD_ARG, "labels: no input 'images'");
    FAILS(lamina_dataset_add_idx(d, "label", path_of("a.idx"), &error), LAMINA_BAD_FILE,
          "a.idx: input 'label': expected records of shape [], found [3]");
    write_file(path_of("b.idx"), "\0\0\x08\1\0\0\0\3\1\2\3", 11);
    FAILS(lamina_dataset_add_idx(d, "label", path_of("b.idx"), &error), LAMINA_BAD_FILE,
          "expected 2 records as the other inputs have, found 3");
    write_file(path_of("b.idx"), "\0\0\x0d\1\0\0\0\2\0\0\0\0\0\0\0\0", 16);
    FAILS(lamina_dataset_add_idx(d, "label", path_of("b.idx"), &error), LAMINA_BAD_FILE,
          "expected integers for i32, found f32");
    write_file(path_of("b.idx"), "\0\0\x08\2\0\0\0\2\0\0\0\1\1\x0a", 14);
    OK(lamina_dataset_add_idx(d, "label", path_of("b.idx"), &error));
    CU_ASSERT_EQUAL(*(const int32_t *)lamina_dataset_record(d, 1, 1), 10);
    OK(lamina_dataset_check_labels(d, "label", 11, &error));
    FAILS(lamina_dataset_check_labels(d, "label", 10, &error), LAMINA_BAD_FILE,
          "b.idx: input 'label': record 1: expected a label in 0 .. 9, found 10");
    lamina_dataset_free(d);
    OK(lamina_dataset_new(&label_net, &d, &error));
    write_file(path_of("b.idx"), "\0\0\x0b\2\0\0\0\2\0\0\0\3\0\1\0\2\0\3\0\4\1\0\0\6", 24);
    FAILS(lamina_dataset_add_idx(d, "image", path_of("b.idx"), &error), LAMINA_BAD_FILE,
          "record 1: expected a value that ui8 holds, found 256");
    lamina_dataset_free(d);
    lamina_dataset_free(NULL);
}

static void test_shuffle_is_a_permutation_of_seed_and_epoch(void)
{
    enum { COUNT = 1000 };
    int64_t a[COUNT], b[COUNT], seen[COUNT] = {0};
    for (int i = 0; i < COUNT; i++)
        a[i] = b[i] = i;
    lamina_shuffle(a, COUNT, 3, 5, PHILOX_SHUFFLE);
    lamina_shuffle(b, COUNT, 3, 5, PHILOX_SHUFFLE);
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    int fixed = 0;
    for (int i = 0; i < COUNT; i++) {
        seen[a[i]]++;
        fixed += a[i] == i;
    }
    for (int i = 0; i < COUNT; i++)
        CU_ASSERT_EQUAL(seen[i], 1);
    CU_ASSERT_TRUE(fixed < 10);
    for (int i = 0; i < COUNT; i++)
        b[i] = i;
    lamina_shuffle(b, COUNT, 3, 6, PHILOX_SHUFFLE);
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof a), 0);
}

enum { RECORDS = 61 };

/* y = 2 x0 - x1 + 0.5 x2 + 1 over a grid of small numbers */
static lamina_dataset *line_data(int64_t records)
{
    float x[RECORDS * FAKE_INPUTS], y[RECORDS];
    for (int i = 0; i < RECORDS; i++) {
        float *r = x + i * FAKE_INPUTS;
        r[0] = (float)(i % 5) * 0.25f - 0.5f;
        r[1] = (float)(i % 7) * 0.125f - 0.375f;
        r[2] = (float)(i % 3) * 0.5f - 0.5f;
        y[i] = 2 * r[0] - r[1] + 0.5f * r[2] + 1;
    }
    lamina_dataset *d = NULL;
    OK(lamina_dataset_new(fake_net_query(LAMINA_ABI_MAJOR), &d, &error));
    OK(lamina_dataset_add(d, "x", x, records, &error));
    OK(lamina_dataset_add(d, "y", y, records, &error));
    return d;
}

/* Split and shuffled records stay together, and nothing is lost or doubled. */
static void test_loader_gathers_records(void)
{
    lamina_dataset *d = line_data(RECORDS), *v;
    uint64_t whole = lamina_dataset_fingerprint(d);
    FAILS(lamina_dataset_split(d, 0.001, 1, &v, &error), LAMINA_BAD_ARG, "leaves both parts a record");
    FAILS(lamina_dataset_split(d, 1.5, 1, &v, &error), LAMINA_BAD_ARG, "found 1.5");
    OK(lamina_dataset_split(d, 0.1, 1, &v, &error));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 55);
    CU_ASSERT_EQUAL(lamina_dataset_count(v), 6);
    CU_ASSERT_NOT_EQUAL(lamina_dataset_fingerprint(d), whole);
    FAILS(lamina_dataset_add(d, "x", &whole, 1, &error), LAMINA_BAD_ARG, "already has data");
    lamina_dataset_free(v);
    lamina_loader l;
    OK(lamina_loader_new(d, 10, true, &l, &error));
    double sum[2] = {0};
    for (int64_t epoch = 0; epoch < 2; epoch++) {
        lamina_loader_start(&l, 4, epoch);
        int64_t total = 0, count;
        while ((count = lamina_loader_next(&l)) > 0) {
            CU_ASSERT_EQUAL(count, total < 50 ? 10 : 5);
            total += count;
            const float *x = l.inputs[0], *y = l.inputs[1];
            for (int64_t i = 0; i < count; i++, x += FAKE_INPUTS) {
                CU_ASSERT_EQUAL(y[i], 2 * x[0] - x[1] + 0.5f * x[2] + 1);
                sum[epoch] += (double)y[i];
            }
        }
        CU_ASSERT_EQUAL(total, 55);
    }
    CU_ASSERT_EQUAL(sum[0], sum[1]);
    lamina_loader_start(&l, 4, 0);
    lamina_loader_skip(&l, 5);
    CU_ASSERT_EQUAL(lamina_loader_next(&l), 5);
    lamina_loader_skip(&l, INT64_MAX);
    CU_ASSERT_EQUAL(lamina_loader_next(&l), 0);
    lamina_loader_free(&l);
    lamina_dataset_free(d);
}

/* ---- model ---- */

static const float pattern_x[20 * FAKE_INPUTS] = {1, 2, 3, 4, 5, 6, -1, -2, 0.5f, 8, 1, 0.25f, [45] = 2, 3, 1};
static const float pattern_y[20] = {1, -1, 2, 0.5f, [15] = 4};
static const void *const pattern[] = {pattern_x, pattern_y};

static lamina_model *new_model(int64_t workers, bool staged)
{
    const lamina_options options = {.workers = workers, .staged = staged};
    lamina_model *m = NULL;
    OK(lamina_model_new(fake_net_query(LAMINA_ABI_MAJOR), &options, &m, &error));
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    OK(lamina_initialize(m, 1, &error));
    return m;
}

static void get_params(lamina_model *m, float p[FAKE_INPUTS + 1])
{
    OK(lamina_get_tensor(m, "dense1.weight", p, 4 * FAKE_INPUTS, &error));
    OK(lamina_get_tensor(m, "dense1.bias", p + FAKE_INPUTS, 4, &error));
}

static void test_model_tensors(void)
{
    lamina_model *m = new_model(1, false);
    float p[FAKE_INPUTS + 1], expected[FAKE_INPUTS];
    get_params(m, p);
    lamina_initial_values(&lamina_model_net(m)->tensors[0], 1, expected);
    CU_ASSERT_EQUAL(memcmp(p, expected, sizeof expected), 0);
    CU_ASSERT_EQUAL(p[FAKE_INPUTS], 0.25f);
    const float w[] = {3, 2, 1};
    OK(lamina_set_tensor(m, "dense1.weight", w, sizeof w, &error));
    get_params(m, p);
    CU_ASSERT_EQUAL(memcmp(p, w, sizeof w), 0);
    int64_t seed = 0;
    OK(lamina_get_tensor(m, "seed", &seed, sizeof seed, &error));
    CU_ASSERT_EQUAL(seed, 1);
    FAILS(lamina_get_tensor(m, "dense2.weight", p, 4, &error), LAMINA_BAD_ARG, "no parameter or state 'dense2.weight'");
    FAILS(lamina_set_tensor(m, "dense1.bias", p, 8, &error), LAMINA_BAD_ARG, "expected 4 bytes, found 8");
    CU_ASSERT_TRUE(lamina_model_bytes(m) >= 128 + 64 + 64 + 192);
    lamina_model_free(m);
    lamina_model_free(NULL);
}

static void test_model_infers_in_pieces(void)
{
    lamina_model *m = new_model(2, false);
    float out[20], p[FAKE_INPUTS + 1];
    void *const outputs[] = {out};
    const void *const only_x[] = {pattern_x, NULL};
    get_params(m, p);
    OK(lamina_infer(m, only_x, 20, outputs, &error));
    for (int i = 0; i < 20; i++) {
        float y = 0;
        for (int k = 0; k < FAKE_INPUTS; k++)
            y += pattern_x[i * FAKE_INPUTS + k] * p[k];
        CU_ASSERT_EQUAL(out[i], y + p[FAKE_INPUTS]);
    }
    void *const none[] = {NULL};
    FAILS(lamina_infer(m, only_x, 20, none, &error), LAMINA_BAD_ARG, "output 'prediction'");
    FAILS(lamina_infer(m, only_x, 0, outputs, &error), LAMINA_BAD_ARG, "expected 1 or more, found 0");
    FAILS(lamina_evaluate(m, only_x, 1, &error), LAMINA_BAD_ARG, "input 'y': expected data");
    FAILS(lamina_train_step(m, NULL, 1, &error), LAMINA_BAD_ARG, "inputs");
    lamina_model_free(m);
    const int32_t cancel = 1;
    const lamina_options options = {.cancel = &cancel};
    OK(lamina_model_new(fake_net_query(LAMINA_ABI_MAJOR), &options, &m, &error));
    FAILS(lamina_infer(m, only_x, 20, outputs, &error), LAMINA_INTERRUPTED, "cancelled");
    lamina_model_free(m);
}

static void test_model_steps_have_the_same_bits(void)
{
    lamina_model *whole = new_model(1, false), *staged = new_model(3, true), *halves = new_model(2, false);
    float a[FAKE_INPUTS + 1], b[FAKE_INPUTS + 1], c[FAKE_INPUTS + 1];
    for (int i = 0; i < 4; i++) {
        OK(lamina_train_step(whole, pattern, 7, &error));
        OK(lamina_train_step(staged, pattern, 7, &error));
        OK(lamina_gradients(halves, pattern, 7, 0, 1.0f / 7, &error));
        OK(lamina_update(halves, &error));
    }
    /* more than max_batch: gradients accumulate, one update */
    OK(lamina_train_step(whole, pattern, 20, &error));
    OK(lamina_train_step(staged, pattern, 20, &error));
    for (int64_t i = 0; i < 3; i++) {
        const void *const at[] = {pattern_x + 8 * i * FAKE_INPUTS, pattern_y + 8 * i};
        OK(lamina_gradients(halves, at, i < 2 ? 8 : 4, i, 1.0f / 20, &error));
    }
    OK(lamina_update(halves, &error));
    get_params(whole, a);
    get_params(staged, b);
    get_params(halves, c);
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    CU_ASSERT_EQUAL(memcmp(a, c, sizeof a), 0);
    int64_t step = 0;
    OK(lamina_get_tensor(whole, "step", &step, sizeof step, &error));
    CU_ASSERT_EQUAL(step, 5);
    CU_ASSERT_EQUAL(lamina_steps(whole), 5);
    CU_ASSERT_EQUAL(lamina_metric_value(whole, 0), lamina_metric_value(staged, 0));
    FAILS(lamina_gradients(halves, pattern, 9, 0, 1, &error), LAMINA_BAD_ARG, "expected 1 .. 8, found 9");
    lamina_model_free(whole);
    lamina_model_free(staged);
    lamina_model_free(halves);
}

static void test_model_metrics_and_rate(void)
{
    lamina_model *m = new_model(1, false);
    CU_ASSERT_TRUE(isnan(lamina_metric_value(m, 0)));
    CU_ASSERT_TRUE(isnan(lamina_metric_value(m, 1)));
    OK(lamina_evaluate(m, pattern, 20, &error));
    double loss = lamina_metric_value(m, 0);
    OK(lamina_evaluate(m, pattern, 20, &error));
    CU_ASSERT_DOUBLE_EQUAL(lamina_metric_value(m, 0), loss, 1e-12);
    lamina_reset_metrics(m);
    CU_ASSERT_TRUE(isnan(lamina_metric_value(m, 0)));
    CU_ASSERT_EQUAL(lamina_learning_rate(m), 0.05f);
    float before[FAKE_INPUTS + 1], after[FAKE_INPUTS + 1];
    get_params(m, before);
    lamina_set_learning_rate(m, 0);
    OK(lamina_train_step(m, pattern, 8, &error));
    get_params(m, after);
    CU_ASSERT_EQUAL(memcmp(before, after, sizeof before), 0);
    lamina_set_learning_rate(m, NAN);
    CU_ASSERT_EQUAL(lamina_learning_rate(m), 0.05f);
    lamina_model_free(m);
}

static void test_net_check(void)
{
    lamina_model *m;
    FAILS(lamina_model_new(fake_net_query(99), NULL, &m, &error), LAMINA_UNSUPPORTED, "recompile");
    lamina_net other = *fake_net_query(LAMINA_ABI_MAJOR);
    OK(lamina_net_check(&other, &error));
    other.abi_major = 7;
    FAILS(lamina_model_new(&other, NULL, &m, &error), LAMINA_UNSUPPORTED, "compiled for ABI 7.0");
    SAYS("this runtime has ABI 1.0");
    SAYS("lamina compile");
    other = *fake_net_query(LAMINA_ABI_MAJOR);
    other.struct_size = 8;
    FAILS(lamina_model_new(&other, NULL, &m, &error), LAMINA_UNSUPPORTED, "descriptor of 8 bytes");
    other = *fake_net_query(LAMINA_ABI_MAJOR);
    other.features = "quantum";
    FAILS(lamina_model_new(&other, NULL, &m, &error), LAMINA_UNSUPPORTED, "instruction set 'quantum'");
#if defined(__x86_64__)
    other.features = "sse,sse2";
    OK(lamina_net_check(&other, &error));
#endif
    other = *fake_net_query(LAMINA_ABI_MAJOR);
    const lamina_metric bad = {"loss", LAMINA_METRIC_MEAN, 4, 3, 0};
    other.metrics = &bad;
    FAILS(lamina_net_check(&other, &error), LAMINA_UNSUPPORTED, "metric 'loss'");
    other = *fake_net_query(LAMINA_ABI_MAJOR);
    other.workspace_worker_bytes = UINT64_MAX / 2;
    FAILS(lamina_model_new(&other, &(lamina_options){.workers = 3}, &m, &error), LAMINA_NO_MEMORY, "workspace");
    CU_ASSERT_PTR_NULL(m);
}

static void test_library_refuses_bad_files(void)
{
    lamina_library *l;
    FAILS(lamina_library_open(path_of("none.so"), &l, &error), LAMINA_IO, "none.so: cannot load");
    write_file(path_of("a.idx"), small_idx, sizeof small_idx);
    FAILS(lamina_library_open(path_of("a.idx"), &l, &error), LAMINA_IO, "a.idx: cannot load");
    Dl_info info;
    CU_ASSERT_NOT_EQUAL_FATAL(dladdr(dlsym(RTLD_DEFAULT, "json_object"), &info), 0);
    FAILS(lamina_library_open(info.dli_fname, &l, &error), LAMINA_BAD_FILE, "no symbol lamina_net_query");
    CU_ASSERT_PTR_NULL(l);
}

/* ---- safetensors ---- */

static void test_weights_round_trip(void)
{
    lamina_model *a = new_model(1, false), *b = new_model(1, false);
    OK(lamina_train_step(a, pattern, 8, &error));
    OK(lamina_save_weights(a, path_of("w.st"), &error));
    OK(lamina_load_weights(b, path_of("w.st"), &error));
    float p[FAKE_INPUTS + 1], q[FAKE_INPUTS + 1];
    get_params(a, p);
    get_params(b, q);
    CU_ASSERT_EQUAL(memcmp(p, q, sizeof p), 0);
    OK(lamina_save_weights(b, path_of("v.st"), &error));
    char x[1024], y[1024];
    size_t n = read_file(path_of("w.st"), x, sizeof x);
    CU_ASSERT_EQUAL(read_file(path_of("v.st"), y, sizeof y), n);
    CU_ASSERT_EQUAL(memcmp(x, y, n), 0);
    static const char header[] = "{\"dense1.weight\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[0,12]},"
                                 "\"dense1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}";
    CU_ASSERT_EQUAL(memcmp(x + 8, header, sizeof header - 1), 0);
    CU_ASSERT_EQUAL(x[0] % 8, 0);
    CU_ASSERT_EQUAL(n, 8 + (size_t)(unsigned char)x[0] + 16);
    FAILS(lamina_save_weights(a, path_of("no/folder"), &error), LAMINA_IO, "no/folder: cannot create");
    FAILS(lamina_save_weights(a, folder, &error), LAMINA_IO, "cannot write");
    lamina_model_free(a);
    lamina_model_free(b);
}

static lamina_status load_text(lamina_model *m, const char *header, size_t data)
{
    char file[2048] = {0};
    size_t length = strlen(header);
    for (int i = 0; i < 8; i++)
        file[i] = (char)(length >> (8 * i));
    memcpy(file + 8, header, length);
    write_file(path_of("w.st"), file, 8 + length + data);
    return lamina_load_weights(m, path_of("w.st"), &error);
}

#define WEIGHT(shape, from, to)                                                                                        \
    "\"dense1.weight\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"
#define BIAS(from, to) "\"dense1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" from "," to "]}"

static void test_weights_refuse_bad_files(void)
{
    lamina_model *m = new_model(1, false);
    float before[FAKE_INPUTS + 1], after[FAKE_INPUTS + 1];
    get_params(m, before);
    FAILS(lamina_load_weights(m, path_of("none"), &error), LAMINA_IO, "none: cannot open");
    write_file(path_of("w.st"), "abc", 3);
    FAILS(lamina_load_weights(m, path_of("w.st"), &error), LAMINA_BAD_FILE, "expected 8 bytes or more, found 3");
    write_file(path_of("w.st"), "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    FAILS(lamina_load_weights(m, path_of("w.st"), &error), LAMINA_BAD_FILE, "not a safetensors file, or truncated");
    FAILS(load_text(m, "{\"a\"", 0), LAMINA_BAD_FILE, "w.st: header, byte");
    FAILS(load_text(m, "[]", 0), LAMINA_BAD_FILE, "expected a JSON object");
    FAILS(load_text(m, "{}", 0), LAMINA_BAD_FILE, "tensor 'dense1.weight' of network 'fake' is missing");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "0", "12") "," WEIGHT("[3,1]", "0", "12") "}", 16), LAMINA_BAD_FILE,
          "duplicate");
    FAILS(load_text(m, "{" WEIGHT("[1,3]", "0", "12") "," BIAS("12", "16") "}", 16), LAMINA_BAD_FILE,
          "w.st: tensor 'dense1.weight': expected F32[3, 1], found F32[1, 3]");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "0", "12") "}", 12), LAMINA_BAD_FILE, "tensor 'dense1.bias'");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "0", "12") "," BIAS("12", "16") "}", 15), LAMINA_BAD_FILE,
          "expected 4 bytes within the file's 15 bytes");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "0", "12") "," BIAS("12", "16") "}", 17), LAMINA_BAD_FILE,
          "expected 16 bytes of data, found 17");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "0", "12") "," BIAS("8", "12") "}", 16), LAMINA_BAD_FILE,
          "expected it at byte");
    FAILS(load_text(m, "{" WEIGHT("[3,1]", "-4", "8") "," BIAS("12", "16") "}", 16), LAMINA_BAD_FILE,
          "offsets -4 .. 8");
    FAILS(load_text(m, "{\"dense9.bias\":{}}", 0), LAMINA_BAD_FILE, "tensor 'dense9.bias': network 'fake' has none");
    FAILS(load_text(m, "{\"dense1.bias\":3}", 0), LAMINA_BAD_FILE, "expected a dtype, a shape and two data_offsets");
    get_params(m, after);
    CU_ASSERT_EQUAL(memcmp(before, after, sizeof before), 0);
    OK(load_text(m, "{\"__metadata__\":{\"format\":\"pt\"}," BIAS("0", "4") "," WEIGHT("[3,1]", "4", "16") "}  ", 16));
    get_params(m, after);
    CU_ASSERT_EQUAL(after[0], 0);
    lamina_model_free(m);
}

/* ---- training ---- */

typedef struct {
    int64_t steps, epochs, examples;
    double first_loss, last_loss, validation;
    double loss[4]; /* by the number of the epoch, as far as there is room */
    volatile int32_t stop;
    int64_t stop_at;
} watcher;

static void watch(void *user, const lamina_report *r)
{
    watcher *w = user;
    w->examples = r->examples;
    if (r->event == LAMINA_EVENT_STEP) {
        w->steps++;
        if (w->steps == w->stop_at)
            w->stop = 1;
        return;
    }
    w->epochs++;
    if (r->epoch < 4)
        w->loss[r->epoch] = r->train[0];
    if (w->epochs == 1)
        w->first_loss = r->train[0];
    w->last_loss = r->train[0];
    w->validation = r->validation ? r->validation[0] : -1;
}

static void test_fit_learns_the_line(void)
{
    lamina_dataset *d = line_data(RECORDS), *v;
    OK(lamina_dataset_split(d, 0.2, 1, &v, &error));
    lamina_model *m = new_model(2, false);
    watcher w = {0};
    const lamina_fit_options o = {.epochs = 200, .batch = 5, .validation = v, .report = watch, .user = &w, .seed = 2};
    lamina_checkpoint c;
    OK(lamina_fit(m, d, &o, &c, &error));
    CU_ASSERT_EQUAL(w.steps, 200 * 10); /* 49 examples: the tenth batch has 4 */
    CU_ASSERT_EQUAL(w.epochs, 200);
    CU_ASSERT_EQUAL(w.examples, 49);
    CU_ASSERT_TRUE(w.last_loss < 1e-6 && w.first_loss > 0.1 && w.validation < 1e-6);
    CU_ASSERT_EQUAL(c.epoch, 200);
    CU_ASSERT_EQUAL(c.step, 0);
    float p[FAKE_INPUTS + 1];
    get_params(m, p);
    CU_ASSERT_DOUBLE_EQUAL((double)p[0], 2, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL((double)p[1], -1, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL((double)p[FAKE_INPUTS], 1, 1e-3);
    double value;
    OK(lamina_evaluate_dataset(m, v, &value, &error));
    CU_ASSERT_EQUAL(value, w.validation);
    lamina_model_free(m);
    lamina_dataset_free(v);
    lamina_dataset_free(d);
}

/* Stop in the middle of an epoch, save, load into a new model, go on: the bits of a run without a stop. */
static void test_fit_resumes_to_the_same_bits(void)
{
    lamina_dataset *d = line_data(RECORDS);
    lamina_fit_options o = {.epochs = 3, .batch = 8, .seed = 9};
    lamina_model *straight = new_model(1, false), *first = new_model(2, false), *second = new_model(1, true);
    watcher all = {0}, w = {.stop_at = 11};
    o.report = watch;
    o.user = &all;
    OK(lamina_fit(straight, d, &o, NULL, &error));
    o.user = &w;
    o.stop = &w.stop;
    lamina_checkpoint c, found;
    FAILS(lamina_fit(first, d, &o, &c, &error), LAMINA_INTERRUPTED, "interrupted after step 3 of epoch 2");
    CU_ASSERT_EQUAL(c.epoch, 1);
    CU_ASSERT_EQUAL(c.step, 3);
    CU_ASSERT_EQUAL(c.batch, 8);
    OK(lamina_save_checkpoint(first, &c, path_of("c.st"), &error));
    OK(lamina_load_checkpoint(second, path_of("c.st"), &c, &found, &error));
    CU_ASSERT_EQUAL(memcmp(&found, &c, sizeof c), 0);
    CU_ASSERT_EQUAL(lamina_steps(second), 11);
    o.first_epoch = found.epoch;
    o.first_step = found.step;
    o.stop = NULL;
    watcher rest = {0};
    o.user = &rest;
    OK(lamina_fit(second, d, &o, NULL, &error));
    CU_ASSERT_EQUAL(rest.steps, 3 * 8 - 11);
    CU_ASSERT_EQUAL(rest.last_loss, all.last_loss);
    CU_ASSERT_EQUAL(rest.loss[2], all.loss[2]); /* the sums of the interrupted epoch went on */
    float a[FAKE_INPUTS + 1], b[FAKE_INPUTS + 1];
    get_params(straight, a);
    get_params(second, b);
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    lamina_checkpoint other = c;
    other.seed = 10;
    FAILS(lamina_load_checkpoint(second, path_of("c.st"), &other, &found, &error), LAMINA_BAD_FILE,
          "seed: expected 10, found 9");
    other = c;
    other.data++;
    FAILS(lamina_load_checkpoint(second, path_of("c.st"), &other, &found, &error), LAMINA_BAD_FILE, "fingerprint");
    OK(lamina_save_weights(first, path_of("w.st"), &error));
    FAILS(lamina_load_checkpoint(second, path_of("w.st"), &c, &found, &error), LAMINA_BAD_FILE, "not a checkpoint");
    OK(lamina_load_weights(second, path_of("c.st"), &error)); /* a checkpoint is a weights file too */
    lamina_model_free(straight);
    lamina_model_free(first);
    lamina_model_free(second);
    lamina_dataset_free(d);
}

static void test_fit_stops_where_told(void)
{
    lamina_dataset *d = line_data(RECORDS), *empty;
    lamina_model *m = new_model(1, false);
    watcher w = {0};
    lamina_fit_options o = {.epochs = 3, .max_steps = 8, .report = watch, .user = &w};
    lamina_checkpoint c;
    OK(lamina_fit(m, d, &o, &c, &error)); /* 8 steps are one epoch */
    CU_ASSERT_EQUAL(w.steps, 8);
    CU_ASSERT_EQUAL(w.epochs, 1);
    CU_ASSERT_EQUAL(c.epoch, 1);
    o.max_steps = 10;
    o.batch = 20; /* over max_batch: accumulated */
    OK(lamina_fit(m, d, &o, &c, &error));
    CU_ASSERT_EQUAL(w.steps, 8 + 10);
    CU_ASSERT_EQUAL(c.epoch, 2);
    CU_ASSERT_EQUAL(c.step, 2);
    OK(lamina_fit(m, d, NULL, NULL, &error));
    lamina_set_learning_rate(m, INFINITY);
    FAILS(lamina_fit(m, d, &o, &c, &error), LAMINA_NOT_FINITE, "the loss is not finite");
    SAYS("at step 2 of epoch 1");
    o.epochs = -1;
    FAILS(lamina_fit(m, d, &o, NULL, &error), LAMINA_BAD_ARG, "epochs: expected 0 or more, found -1");
    OK(lamina_dataset_new(fake_net_query(1), &empty, &error));
    FAILS(lamina_fit(m, empty, NULL, NULL, &error), LAMINA_BAD_ARG, "input 'x': expected data, found none");
    lamina_dataset_free(empty);
    lamina_model_free(m);
    lamina_dataset_free(d);
}

typedef struct {
    lamina_log *log;
    lamina_progress *progress;
} listeners;

static void tell_both(void *user, const lamina_report *r)
{
    listeners *l = user;
    lamina_log_report(l->log, r);
    lamina_progress_report(l->progress, r);
}

static void test_log_and_progress(void)
{
    lamina_dataset *d = line_data(RECORDS);
    lamina_model *m = new_model(1, false);
    listeners l;
    FILE *out = fopen(path_of("out"), "w");
    OK(lamina_log_new(path_of("log"), false, &l.log, &error));
    OK(lamina_progress_new(out, &l.progress, &error));
    const lamina_fit_options o = {.epochs = 2, .validation = d, .report = tell_both, .user = &l};
    OK(lamina_fit(m, d, &o, NULL, &error));
    OK(lamina_log_free(l.log, &error));
    lamina_progress_free(l.progress);
    fclose(out);
    char text[2048] = {0};
    read_file(path_of("out"), text, sizeof text - 1);
    CU_ASSERT_EQUAL(strncmp(text, "epoch 1/2 8/8  loss ", 20), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "validation loss "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nepoch 2/2 8/8  loss "));
    memset(text, 0, sizeof text);
    read_file(path_of("log"), text, sizeof text - 1);
    char *end = strchr(text, '\n');
    CU_ASSERT_PTR_NOT_NULL_FATAL(end);
    json_t *first = json_loadb(text, (size_t)(end - text), 0, NULL), *second = json_loads(end, 0, NULL);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(first, "examples")), RECORDS);
    CU_ASSERT_EQUAL(json_real_value(json_object_get(first, "learning_rate")), 0.05);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(second, "epoch")), 2);
    CU_ASSERT_TRUE(json_real_value(json_object_get(json_object_get(second, "validation"), "loss")) > 0);
    json_decref(first);
    json_decref(second);
    FAILS(lamina_log_new(path_of("no/log"), false, &l.log, &error), LAMINA_IO, "no/log: cannot open");
    lamina_model_free(m);
    lamina_dataset_free(d);
}

/* ---- every allocation fails once ---- */

typedef struct {
    int64_t fail_at, asked;
} allocation_plan;

static bool allow(void *user, size_t bytes)
{
    allocation_plan *p = user;
    (void)bytes;
    return ++p->asked != p->fail_at;
}

static void *json_allocate(size_t bytes)
{
    return lamina_allocate(1, bytes);
}

static lamina_status train_once(lamina_model *m, lamina_dataset *d)
{
    lamina_dataset *v = NULL;
    lamina_status s = lamina_dataset_split(d, 0.2, 1, &v, &error);
    if (!s)
        s = lamina_fit(m, d, &(lamina_fit_options){.validation = v}, NULL, &error);
    lamina_dataset_free(v);
    return s;
}

static lamina_status scenario_train(void)
{
    lamina_model *m = NULL;
    lamina_dataset *d = NULL;
    const lamina_net *net = fake_net_query(LAMINA_ABI_MAJOR);
    lamina_status s;
    if (!(s = lamina_model_new(net, &(lamina_options){.workers = 2}, &m, &error)) &&
        !(s = lamina_initialize(m, 1, &error)) && !(s = lamina_dataset_new(net, &d, &error)) &&
        !(s = lamina_dataset_add_idx(d, "x", path_of("x.idx"), &error)) &&
        !(s = lamina_dataset_add(d, "y", pattern_y, 20, &error)))
        s = train_once(m, d);
    lamina_dataset_free(d);
    lamina_model_free(m);
    return s;
}

static lamina_status scenario_gzip_labels(void)
{
    lamina_dataset *d = NULL;
    lamina_status s = lamina_dataset_new(&label_net, &d, &error);
    if (!s)
        s = lamina_dataset_add_idx(d, "label", path_of("z.idx.gz"), &error);
    lamina_dataset_free(d);
    return s;
}

static lamina_model *saved_model;

static lamina_status scenario_save(void)
{
    return lamina_save_checkpoint(saved_model, &(lamina_checkpoint){.epoch = 3}, path_of("c.st"), &error);
}

static lamina_status scenario_load(void)
{
    lamina_checkpoint c = {0};
    return lamina_load_checkpoint(saved_model, path_of("c.st"), &c, &c, &error);
}

static lamina_status scenario_listeners(void)
{
    lamina_log *log = NULL;
    lamina_progress *progress = NULL;
    lamina_status s = lamina_progress_new(stderr, &progress, &error);
    lamina_progress_free(progress);
    if (!s)
        s = lamina_log_new(path_of("log"), false, &log, &error);
    if (s)
        return s;
    const double value = 0.5;
    const lamina_net *net = fake_net_query(LAMINA_ABI_MAJOR);
    const lamina_report r = {
        .event = LAMINA_EVENT_EPOCH, .metric_count = 1, .metrics = net->metrics, .train = &value, .validation = &value};
    lamina_log_report(log, &r);
    return lamina_log_free(log, &error);
}

static lamina_status scenario_library(void)
{
    lamina_library *l;
    lamina_status s = lamina_library_open("none.so", &l, &error);
    return s == LAMINA_IO && strstr(error.text, "No such file") ? LAMINA_OK : s;
}

/* Until a run gets through, let its first, second, ... allocation fail. */
static void fail_each(lamina_status (*scenario)(void), lamina_status expected, int64_t least)
{
    allocation_plan plan = {.fail_at = 1};
    for (;; plan.fail_at++) {
        plan.asked = 0;
        lamina_set_allocation_hook(allow, &plan);
        error.text[0] = 0;
        lamina_status s = scenario();
        lamina_set_allocation_hook(NULL, NULL);
        if (plan.asked < plan.fail_at) {
            CU_ASSERT_EQUAL(s, LAMINA_OK);
            break;
        }
        CU_ASSERT_TRUE(s == expected || s == LAMINA_NO_MEMORY);
        CU_ASSERT_NOT_EQUAL(error.text[0], 0);
    }
    CU_ASSERT_TRUE(plan.fail_at > least);
}

static void test_failing_allocations(void)
{
    unsigned char x[12 + 20 * 4 * FAKE_INPUTS] = {0, 0, IDX_F32, 2, 0, 0, 0, 20, 0, 0, 0, FAKE_INPUTS};
    write_file(path_of("x.idx"), x, sizeof x);
    write_gzip(path_of("z.idx.gz"), "\0\0\x08\1\0\0\0\2\1\2", 10);
    fail_each(scenario_train, LAMINA_NO_MEMORY, 30);
    fail_each(scenario_gzip_labels, LAMINA_NO_MEMORY, 6);
    saved_model = new_model(1, false);
    json_malloc_t old_malloc;
    json_free_t old_free;
    json_get_alloc_funcs(&old_malloc, &old_free);
    json_set_alloc_funcs(json_allocate, lamina_release);
    fail_each(scenario_save, LAMINA_NO_MEMORY, 50);
    fail_each(scenario_load, LAMINA_BAD_FILE, 50); /* jansson may tell it as broken text */
    ;
    fail_each(scenario_listeners, LAMINA_IO, 10);
    json_set_alloc_funcs(old_malloc, old_free);
    fail_each(scenario_library, LAMINA_IO, 1);
    lamina_model_free(saved_model);
}

void suite_runtime(void);

void suite_runtime(void)
{
    static const struct {
        const char *name;
        CU_TestFunc test;
    } cases[] = {
        {"pool runs each task once", test_pool_runs_each_task_once},
        {"pool nests", test_pool_nests},
        {"pool takes many tiny loops", test_pool_takes_many_tiny_loops},
        {"pool hands on the rounding mode", test_pool_hands_on_the_rounding_mode},
        {"pool refuses bad sizes", test_pool_refuses_bad_sizes},
        {"philox known words", test_philox_known_words},
        {"init statistics", test_init_statistics},
        {"init normal is the formula", test_init_normal_is_the_formula},
        {"init is determined", test_init_is_determined},
        {"idx reads each type", test_idx_reads_each_type},
        {"idx refuses bad files", test_idx_refuses_bad_files},
        {"idx reads gzip", test_idx_reads_gzip},
        {"data converts and checks", test_data_converts_and_checks},
        {"shuffle is a permutation of seed and epoch", test_shuffle_is_a_permutation_of_seed_and_epoch},
        {"loader gathers records", test_loader_gathers_records},
        {"model tensors", test_model_tensors},
        {"model infers in pieces", test_model_infers_in_pieces},
        {"model steps have the same bits", test_model_steps_have_the_same_bits},
        {"model metrics and rate", test_model_metrics_and_rate},
        {"net check", test_net_check},
        {"library refuses bad files", test_library_refuses_bad_files},
        {"weights round trip", test_weights_round_trip},
        {"weights refuse bad files", test_weights_refuse_bad_files},
        {"fit learns the line", test_fit_learns_the_line},
        {"fit resumes to the same bits", test_fit_resumes_to_the_same_bits},
        {"fit stops where told", test_fit_stops_where_told},
        {"log and progress", test_log_and_progress},
        {"failing allocations", test_failing_allocations},
    };
    CU_Suite *suite = CU_add_suite("runtime", make_folder, remove_folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CU_add_test(suite, cases[i].name, cases[i].test);
}
