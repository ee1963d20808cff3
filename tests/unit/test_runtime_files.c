/* tests/unit/test_runtime_files.c - inputs from several files, and from files that are mapped. */
#include "runtime/data/array.h"
#include "runtime/data/data.h"
#include "runtime/data/idx.h"
#include "tests/unit/runtime_case.h"
#include <stdio.h>
#include <unistd.h>

/* Two files of pixels, with 2 records and with 1. */
static const char *const *two_files(void)
{
    static char path[2][128];
    static const char *const paths[2] = {path[0], path[1]};
    static const unsigned char one[] = {0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9};
    strcpy(path[0], path_of("a.idx"));
    strcpy(path[1], path_of("b.idx"));
    write_file(path[0], small_idx, sizeof small_idx);
    write_file(path[1], one, sizeof one);
    return paths;
}

static void test_files_come_one_after_the_other(void)
{
    lamina_dataset *d = NULL;
    lamina_loader l;
    int64_t count;
    const char *const *paths = two_files();
    const int32_t labels[3] = {0, 1, 99};
    OK(lamina_dataset_new(&label_net, &d, &error));
    OK(lamina_dataset_add_files(d, "image", LAMINA_FILE_IDX, paths, 2, &error));
    OK(lamina_dataset_add(d, "label", labels, 3, &error));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 3);
    for (int64_t i = 0; i < 3; i++) {
        const uint8_t *record = lamina_dataset_record(d, 0, i);
        CU_ASSERT_EQUAL(memcmp(record, i < 2 ? small_idx + 12 + 3 * i : (const unsigned char *)"\7\10\11", 3), 0);
    }
    OK(lamina_loader_new(d, 3, false, &l, &error)); /* no run of records: they are gathered */
    OK(lamina_loader_next(&l, &count, &error));
    CU_ASSERT_EQUAL(count, 3);
    CU_ASSERT_EQUAL(memcmp(l.inputs[0], small_idx + 12, 6), 0);
    CU_ASSERT_EQUAL(memcmp((const char *)l.inputs[0] + 6, "\7\10\11", 3), 0);
    lamina_loader_free(&l);
    lamina_dataset_free(d);
}

static void test_files_that_do_not_fit(void)
{
    lamina_dataset *d = NULL;
    const char *const *paths = two_files(), *const none[] = {paths[0], NULL};
    OK(lamina_dataset_new(&label_net, &d, &error));
    FAILS(lamina_dataset_add_files(d, "image", LAMINA_FILE_IDX, paths, 0, &error), LAMINA_BAD_ARG,
          "expected 1 or more files, found 0");
    FAILS(lamina_dataset_add_files(d, "image", LAMINA_FILE_IDX, none, 2, &error), LAMINA_BAD_ARG, "argument 'path'");
    FAILS(lamina_dataset_add_files(d, "picture", LAMINA_FILE_IDX, paths, 2, &error), LAMINA_BAD_ARG,
          "no input 'picture'");
    write_file(paths[1], small_idx, 11);
    FAILS(lamina_dataset_add_files(d, "image", LAMINA_FILE_IDX, paths, 2, &error), LAMINA_BAD_FILE,
          "b.idx: truncated: expected 2 dimensions of 4 bytes, found 7");
    lamina_dataset_free(d);
}

/* An error names the file and the record in it, behind a split too. */
static void test_labels_name_their_file(void)
{
    static const unsigned char first[] = {0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2}, second[] = {0, 0, 8, 1, 0, 0, 0, 2, 0, 99};
    lamina_dataset *d = NULL, *part = NULL;
    const char *const *paths = two_files();
    write_file(paths[0], first, sizeof first);
    write_file(paths[1], second, sizeof second);
    OK(lamina_dataset_new(&label_net, &d, &error));
    OK(lamina_dataset_add_files(d, "label", LAMINA_FILE_IDX, paths, 2, &error));
    FAILS(lamina_dataset_check_labels(d, "label", 10, &error), LAMINA_BAD_FILE,
          "b.idx: input 'label': record 1: expected a label in 0 .. 9, found 99");
    OK(lamina_dataset_split(d, 0.4, 1, &part, &error));
    CU_ASSERT_EQUAL(lamina_dataset_count(d) + lamina_dataset_count(part), 5);
    lamina_dataset_free(part);
    lamina_dataset_free(d);
}

/* A large file is mapped: its last byte is there, and what changes in the data set does not change the file. */
static void test_large_files_are_mapped(void)
{
    lamina_array x;
    lamina_dataset *d = NULL;
    char path[128], last;
    const int64_t values[] = {5, 0};
    strcpy(path, path_of("a.npy"));
    write_file(path, "\5", 1);
    CU_ASSERT_EQUAL(truncate(path, ARRAY_MAPS_FROM), 0);
    OK(lamina_dataset_new(&label_net, &d, &error));
    OK(lamina_dataset_add_files(d, "label", LAMINA_FILE_RAW, (const char *[]){path}, 1, &error));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), ARRAY_MAPS_FROM / 4);
    OK(lamina_dataset_select(d, "label", values, 2, &error));
    CU_ASSERT_EQUAL(*(const int32_t *)lamina_dataset_record(d, 1, 0), 0);
    CU_ASSERT_EQUAL(*(const int32_t *)lamina_dataset_record(d, 1, ARRAY_MAPS_FROM / 4 - 1), 1);
    CU_ASSERT_EQUAL(read_file(path, &last, 1), 1);
    CU_ASSERT_EQUAL(last, 5);
    lamina_dataset_free(d);
    write_file(path, "\0\0\10\1\4\0\0\0", 8);
    CU_ASSERT_EQUAL(truncate(path, ARRAY_MAPS_FROM + 8), 0);
    OK(lamina_idx_read(path, &x, &error));
    CU_ASSERT_PTR_NOT_NULL(x.map);
    CU_ASSERT_EQUAL(((const char *)x.data)[ARRAY_MAPS_FROM - 1], 0);
    lamina_array_release(&x);
    CU_ASSERT_EQUAL(truncate(path, ARRAY_MAPS_FROM + 9), 0);
    FAILS(lamina_idx_read(path, &x, &error), LAMINA_BAD_FILE, "expected the file to end after 67108864 bytes");
    write_file(path, "", 0);
}

/* The order of an epoch into 'order', its 20 records being numbered. */
static void draw(const lamina_dataset *d, int64_t epoch, int64_t *order)
{
    lamina_loader l;
    OK(lamina_loader_new(d, 3, true, &l, &error));
    lamina_loader_start(&l, 7, epoch);
    memcpy(order, l.order, 20 * sizeof *order);
    lamina_loader_free(&l);
}

/* Every record comes once, none before its window, in another order with each epoch and in the same with each run. */
static void test_shuffles_nearly_in_order(void)
{
    lamina_dataset *d = NULL;
    int32_t labels[20] = {0};
    int64_t order[20], other[20], seen = 0;
    OK(lamina_dataset_new(&label_net, &d, &error));
    OK(lamina_dataset_add(d, "label", labels, 20, &error));
    OK(lamina_dataset_add(d, "image", labels, 20, &error));
    FAILS(lamina_dataset_set_window(d, -1, &error), LAMINA_BAD_ARG, "expected a window of 0 or more records, found -1");
    OK(lamina_dataset_set_window(d, 4, &error));
    draw(d, 0, order);
    for (int64_t i = 0; i < 20; i++) {
        CU_ASSERT_TRUE(order[i] <= i + 3);
        seen |= INT64_C(1) << order[i];
    }
    CU_ASSERT_EQUAL(seen, (1 << 20) - 1);
    draw(d, 0, other);
    CU_ASSERT_EQUAL(memcmp(order, other, sizeof order), 0);
    draw(d, 1, other);
    CU_ASSERT_NOT_EQUAL(memcmp(order, other, sizeof order), 0);
    OK(lamina_dataset_set_window(d, 1, &error));
    draw(d, 0, order);
    for (int64_t i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(order[i], i);
    lamina_dataset_free(d);
}

/* 23 records of 3 classes, numbered in their pixels. */
static lamina_dataset *classes(void)
{
    lamina_dataset *d = NULL;
    int32_t labels[23];
    uint8_t pixels[23][3] = {{0}};
    for (int i = 0; i < 23; i++) {
        labels[i] = i % 5 ? i % 3 : 2;
        pixels[i][0] = (uint8_t)i;
    }
    OK(lamina_dataset_new(&label_net, &d, &error));
    OK(lamina_dataset_add(d, "label", labels, 23, &error));
    OK(lamina_dataset_add(d, "image", pixels, 23, &error));
    return d;
}

/* Each record is in one fold of four, which are equally large, and by classes have as many of each. */
static void check_folds(const char *name)
{
    int64_t seen = 0, least[3] = {99, 99, 99}, most[3] = {0};
    for (int64_t fold = 0; fold < 4; fold++) {
        lamina_dataset *d = classes(), *part = NULL;
        int64_t count[3] = {0};
        OK(lamina_dataset_fold(d, 4, fold, name, 9, &part, &error));
        CU_ASSERT_EQUAL(lamina_dataset_count(part), fold < 3 ? 6 : 5);
        CU_ASSERT_EQUAL(lamina_dataset_count(d) + lamina_dataset_count(part), 23);
        for (int64_t i = 0; i < lamina_dataset_count(part); i++) {
            int64_t bit = INT64_C(1) << *(const uint8_t *)lamina_dataset_record(part, 0, i);
            CU_ASSERT_EQUAL(seen & bit, 0);
            seen |= bit;
            count[*(const int32_t *)lamina_dataset_record(part, 1, i)]++;
        }
        for (int c = 0; c < 3; c++) {
            least[c] = count[c] < least[c] ? count[c] : least[c];
            most[c] = count[c] > most[c] ? count[c] : most[c];
        }
        lamina_dataset_free(part);
        lamina_dataset_free(d);
    }
    CU_ASSERT_EQUAL(seen, (1 << 23) - 1);
    for (int c = 0; c < 3; c++)
        CU_ASSERT_TRUE(!name || most[c] - least[c] <= 1);
}

static void test_folds(void)
{
    lamina_dataset *d = classes(), *part = NULL;
    check_folds(NULL);
    check_folds("label");
    FAILS(lamina_dataset_fold(d, 1, 0, NULL, 0, &part, &error), LAMINA_BAD_ARG, "folds: expected 2 to 23");
    FAILS(lamina_dataset_fold(d, 24, 0, NULL, 0, &part, &error), LAMINA_BAD_ARG, "found 24");
    FAILS(lamina_dataset_fold(d, 4, 4, NULL, 0, &part, &error), LAMINA_BAD_ARG, "fold: expected 0 to 3, found 4");
    FAILS(lamina_dataset_fold(d, 4, 0, "image", 0, &part, &error), LAMINA_BAD_ARG,
          "expected classes, one integer a record");
    lamina_dataset_free(d);
}

static lamina_status scenario_fold(void)
{
    static const int32_t labels[4] = {0, 1, 0, 1};
    lamina_dataset *d = NULL, *part = NULL;
    lamina_status s = lamina_dataset_new(&label_net, &d, &error);
    if (!s)
        s = lamina_dataset_add(d, "label", labels, 4, &error);
    if (!s)
        s = lamina_dataset_fold(d, 2, 1, "label", 1, &part, &error);
    lamina_dataset_free(part);
    lamina_dataset_free(d);
    return s;
}

static lamina_status scenario_files(void)
{
    lamina_dataset *d = NULL;
    lamina_status s = lamina_dataset_new(&label_net, &d, &error);
    if (!s)
        s = lamina_dataset_add_files(d, "image", LAMINA_FILE_IDX, two_files(), 2, &error);
    lamina_dataset_free(d);
    return s;
}

static void test_files_without_memory(void)
{
    fail_each(scenario_files, LAMINA_NO_MEMORY, 8);
    fail_each(scenario_fold, LAMINA_NO_MEMORY, 8);
}

void add_runtime_files(CU_pSuite s)
{
    CU_add_test(s, "files come one after the other", test_files_come_one_after_the_other);
    CU_add_test(s, "files that do not fit", test_files_that_do_not_fit);
    CU_add_test(s, "labels name their file", test_labels_name_their_file);
    CU_add_test(s, "large files are mapped", test_large_files_are_mapped);
    CU_add_test(s, "shuffles nearly in order", test_shuffles_nearly_in_order);
    CU_add_test(s, "folds", test_folds);
    CU_add_test(s, "files without memory", test_files_without_memory);
}
