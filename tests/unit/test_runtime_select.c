/* tests/unit/test_runtime_select.c - data sets of some of the records: those of certain classes, the first ones. */
#include "tests/unit/runtime_case.h"

enum { COUNT = 7 };

static const uint8_t pixels[COUNT][3] = {{0}, {1}, {2}, {3}, {4}, {5}, {6}};
static const int32_t labels[COUNT] = {3, 1, 2, 3, 9, 1, 3};

static lamina_dataset *labelled(void)
{
    lamina_dataset *d = NULL;
    OK(lamina_dataset_new(&label_net, &d, &error));
    OK(lamina_dataset_add(d, label_net.inputs[1].name, labels, COUNT, &error));
    OK(lamina_dataset_add(d, label_net.inputs[0].name, pixels, COUNT, &error));
    return d;
}

static int32_t label_at(const lamina_dataset *d, int64_t i)
{
    int32_t value = -1;
    memcpy(&value, lamina_dataset_record(d, 1, i), sizeof value);
    return value;
}

static void test_select_by_class(void)
{
    static const int64_t values[] = {3, 1};
    static const int32_t kept[] = {0, 1, 0, 1, 0}, from[] = {0, 1, 3, 5, 6};
    const char *name = label_net.inputs[1].name;
    lamina_dataset *d = labelled(), *half;
    uint64_t all = lamina_dataset_fingerprint(d);
    FAILS(lamina_dataset_check_labels(d, name, 2, &error), LAMINA_BAD_FILE, "expected a label in 0 .. 1, found 3");
    OK(lamina_dataset_select(d, name, values, 2, &error));
    CU_ASSERT_EQUAL_FATAL(lamina_dataset_count(d), 5);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(label_at(d, i), kept[i]);
        CU_ASSERT_EQUAL(*(const uint8_t *)lamina_dataset_record(d, 0, i), from[i]);
    }
    OK(lamina_dataset_check_labels(d, name, 2, &error));
    CU_ASSERT_NOT_EQUAL(lamina_dataset_fingerprint(d), all);
    OK(lamina_dataset_take(d, 3, &error));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 3);
    CU_ASSERT_EQUAL(*(const uint8_t *)lamina_dataset_record(d, 0, 2), 3);
    OK(lamina_dataset_split(d, 0.4, 1, &half, &error));
    FAILS(lamina_dataset_select(d, name, values, 2, &error), LAMINA_BAD_ARG, "expected a data set that was not split");
    CU_ASSERT_EQUAL(lamina_dataset_take(d, 1, &error), LAMINA_OK); /* the other part keeps its own */
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 1);
    lamina_dataset_free(half);
    lamina_dataset_free(d);
}

static void test_select_refused(void)
{
    static const int64_t values[] = {3, 4, 3};
    const char *name = label_net.inputs[1].name;
    lamina_dataset *d = labelled();
    FAILS(lamina_dataset_select(d, name, values, 2, &error), LAMINA_BAD_FILE,
          "expected records with the value 4, found none");
    FAILS(lamina_dataset_select(d, name, values, 3, &error), LAMINA_BAD_ARG, "values that differ, found 3 twice");
    FAILS(lamina_dataset_select(d, name, values, 0, &error), LAMINA_BAD_ARG,
          "expected 1 to 256 values to keep, found 0");
    FAILS(lamina_dataset_select(d, "none", values, 1, &error), LAMINA_BAD_ARG, "no input 'none'");
    FAILS(lamina_dataset_select(d, label_net.inputs[0].name, values, 1, &error), LAMINA_BAD_ARG,
          "expected classes to select by, one integer a record, found other values");
    FAILS(lamina_dataset_select(d, name, NULL, 1, &error), LAMINA_BAD_ARG, "lamina_dataset_select");
    FAILS(lamina_dataset_take(d, 8, &error), LAMINA_BAD_ARG, "expected 1 to 7, the records that there are, found 8");
    FAILS(lamina_dataset_take(NULL, 8, &error), LAMINA_BAD_ARG, "lamina_dataset_take");
    CU_ASSERT_EQUAL(lamina_dataset_count(d), COUNT);
    CU_ASSERT_EQUAL(label_at(d, 0), 3); /* nothing has changed */
    lamina_dataset_free(d);
    OK(lamina_dataset_new(&label_net, &d, &error));
    FAILS(lamina_dataset_select(d, name, values, 1, &error), LAMINA_BAD_ARG, "found no data");
    lamina_dataset_free(d);
}

static lamina_status select_and_take(void)
{
    static const int64_t values[] = {1, 3};
    lamina_dataset *d = NULL;
    lamina_status s = lamina_dataset_new(&label_net, &d, &error);
    if (!s && !(s = lamina_dataset_add(d, label_net.inputs[1].name, labels, COUNT, &error)) &&
        !(s = lamina_dataset_select(d, label_net.inputs[1].name, values, 2, &error)))
        s = lamina_dataset_take(d, 2, &error);
    lamina_dataset_free(d);
    return s;
}

static void test_select_without_memory(void)
{
    fail_each(select_and_take, LAMINA_OK, 5);
}

void add_runtime_select(CU_pSuite s)
{
    CU_add_test(s, "data: records of some classes", test_select_by_class);
    CU_add_test(s, "data: selections refused", test_select_refused);
    CU_add_test(s, "data: selections without memory", test_select_without_memory);
}
