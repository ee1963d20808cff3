/* tests/unit/test_runtime_data.c - IDX files and data sets. */
#include "runtime/base/memory.h"
#include "runtime/data/data.h"
#include "runtime/data/idx.h"
#include "runtime/model/philox.h"
#include "tests/unit/runtime_case.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- IDX ---- */

static lamina_status read_idx_bytes(const void *data, size_t bytes, lamina_array *x)
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
    lamina_array x;
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
    lamina_array x;
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
    lamina_array x;
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
    n = read_file(path_of("z.idx.gz"), (char *)packed, 2 * COUNT);
    memset(packed + n, 0, 2 * COUNT - n);
    write_file(path_of("z.idx.gz"), packed, 2 * COUNT); /* filled up with zeros, more than a buffer of them */
    OK(lamina_idx_read(path_of("z.idx.gz"), &x, &error));
    CU_ASSERT_EQUAL(x.count, 6);
    lamina_release(x.data);
    packed[n + 1000] = 1;
    write_file(path_of("z.idx.gz"), packed, n + 2000);
    FAILS(lamina_idx_read(path_of("z.idx.gz"), &x, &error), LAMINA_BAD_FILE, "damaged gzip data");
    free(big);
    free(packed);
}

/* None of them waits for a writer, and none is read. */
static void test_only_regular_files_are_read(void)
{
    lamina_array x;
    lamina_library *l;
    lamina_checkpoint c = {0};
    lamina_model *m = new_model(1, false);
    CU_ASSERT_EQUAL_FATAL(mkfifo(path_of("b.idx.fifo"), 0600), 0);
    const char *const paths[] = {path_of("b.idx.fifo"), "/dev/zero", folder};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        FAILS(lamina_idx_read(paths[i], &x, &error), LAMINA_IO, "expected a regular file");
        FAILS(lamina_load_weights(m, paths[i], &error), LAMINA_IO, "expected a regular file");
        FAILS(lamina_load_checkpoint(m, paths[i], &c, &c, &error), LAMINA_IO, "expected a regular file");
        FAILS(lamina_library_open(paths[i], &l, &error), LAMINA_IO, "expected a regular file");
    }
    unlink(paths[0]);
    lamina_model_free(m);
}

/* ---- data ---- */

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
    int64_t count;
    for (int64_t epoch = 0; epoch < 2; epoch++) {
        lamina_loader_start(&l, 4, epoch);
        int64_t total = 0;
        while (lamina_loader_next(&l, &count, &error) == LAMINA_OK && count > 0) {
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
    OK(lamina_loader_next(&l, &count, &error));
    CU_ASSERT_EQUAL(count, 5);
    lamina_loader_skip(&l, INT64_MAX);
    OK(lamina_loader_next(&l, &count, &error));
    CU_ASSERT_EQUAL(count, 0);
    lamina_loader_free(&l);
    lamina_dataset_free(d);
}

/* y of the line, from the batch's x; fails once it is told to. */
static lamina_status make_y(void *maker, lamina_loader *l, int64_t count, lamina_error *e)
{
    const float *x = l->inputs[0];
    float *y = l->buffer[1];
    (void)e;
    for (int64_t i = 0; i < count; i++, x += FAKE_INPUTS)
        y[i] = 2 * x[0] - x[1] + 0.5f * x[2] + 1;
    return *(const lamina_status *)maker;
}

/* A view of one half of a split, its labels lent, in memory or made, gives the batches of that half. */
static void test_views(void)
{
    lamina_dataset *d = line_data(RECORDS), *half, *view[3];
    OK(lamina_dataset_split(d, 0.5, 3, &half, &error));
    int64_t records = lamina_dataset_count(half), count = 1;
    float memory[RECORDS];
    lamina_status made = LAMINA_OK;
    for (int64_t i = 0; i < records; i++)
        memory[i] = *(const float *)lamina_dataset_record(half, 1, i);
    for (int i = 0; i < 3; i++) {
        OK(lamina_dataset_new(lamina_dataset_net(d), &view[i], &error));
        lamina_dataset_lend(view[i], 0, half, 0);
    }
    lamina_dataset_lend(view[0], 1, half, 1);
    lamina_dataset_lend_memory(view[1], 1, memory, "memory", records);
    lamina_dataset_make(view[2], 1, "a maker", records);
    lamina_dataset_set_maker(view[2], make_y, &made);
    CU_ASSERT_EQUAL(lamina_dataset_fingerprint(view[0]), lamina_dataset_fingerprint(half));
    CU_ASSERT_EQUAL(lamina_dataset_fingerprint(view[1]), lamina_dataset_fingerprint(half));
    CU_ASSERT_FALSE(lamina_dataset_has(view[2], 1));
    for (int i = 0; i < 6; i++) {
        lamina_loader a, b;
        OK(lamina_loader_new(half, 7, i % 2, &a, &error));
        OK(lamina_loader_new(view[i / 2], 7, i % 2, &b, &error));
        lamina_loader_start(&a, 5, i);
        lamina_loader_start(&b, 5, i);
        for (count = 1; count > 0;) {
            int64_t other;
            OK(lamina_loader_next(&a, &count, &error));
            OK(lamina_loader_next(&b, &other, &error));
            CU_ASSERT_EQUAL(other, count);
            CU_ASSERT_EQUAL(memcmp(a.inputs[0], b.inputs[0], (size_t)count * 4 * FAKE_INPUTS), 0);
            CU_ASSERT_EQUAL(memcmp(a.inputs[1], b.inputs[1], (size_t)count * 4), 0);
        }
        lamina_loader_free(&a);
        lamina_loader_free(&b);
    }
    made = LAMINA_NO_MEMORY;
    lamina_model *m = new_model(1, false);
    CU_ASSERT_EQUAL(lamina_fit(m, view[2], NULL, NULL, &error), LAMINA_NO_MEMORY);
    CU_ASSERT_EQUAL(lamina_evaluate_dataset(m, view[2], NULL, &error), LAMINA_NO_MEMORY);
    lamina_model_free(m);
    for (int i = 0; i < 3; i++)
        lamina_dataset_free(view[i]);
    lamina_dataset_free(half);
    lamina_dataset_free(d);
}

void add_runtime_data(CU_pSuite s)
{
    CU_add_test(s, "idx reads each type", test_idx_reads_each_type);
    CU_add_test(s, "idx refuses bad files", test_idx_refuses_bad_files);
    CU_add_test(s, "idx reads gzip", test_idx_reads_gzip);
    CU_add_test(s, "only regular files are read", test_only_regular_files_are_read);
    CU_add_test(s, "data converts and checks", test_data_converts_and_checks);
    CU_add_test(s, "shuffle is a permutation of seed and epoch", test_shuffle_is_a_permutation_of_seed_and_epoch);
    CU_add_test(s, "loader gathers records", test_loader_gathers_records);
    CU_add_test(s, "views", test_views);
}
