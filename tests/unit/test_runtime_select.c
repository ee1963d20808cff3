/* tests/unit/test_runtime_select.c - data sets of some of the records: those of certain classes, the first ones. */
#include "runtime/data/data.h"
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

/* ---- balance ---- */

/* The pixels, which differ, of an epoch's records. */
static void draw(lamina_loader *l, int64_t epoch, uint8_t *drawn)
{
    int64_t count, at = 0;
    lamina_loader_start(l, 5, epoch);
    do {
        OK(lamina_loader_next(l, &count, &error));
        for (int64_t i = 0; i < count && at + i < COUNT; i++)
            drawn[at + i] = ((const uint8_t *)l->inputs[0])[3 * i];
        at += count;
    } while (count);
    CU_ASSERT_EQUAL(at, lamina_dataset_count(l->data));
}

/* Of 4 classes each has 1 or 2 of the 7 records of an epoch, whichever it is, and in the end all records came. A view
 * draws the same, and so does a run that begins with a later epoch. */
static void test_balance(void)
{
    enum { EPOCHS = 40 };
    lamina_dataset *d = labelled(), *view = NULL;
    lamina_loader l, again, lent;
    int came[COUNT] = {0};
    OK(lamina_dataset_set_balance(d, "label", &error));
    OK(lamina_dataset_new(&label_net, &view, &error));
    for (int32_t i = 0; i < 2; i++)
        lamina_dataset_lend(view, i, d, i);
    OK(lamina_loader_new(d, 3, true, &l, &error));
    OK(lamina_loader_new(view, 3, true, &lent, &error));
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        uint8_t drawn[COUNT], other[COUNT];
        int of[10] = {0};
        draw(&l, epoch, drawn);
        for (int i = 0; i < COUNT; i++) {
            of[labels[drawn[i]]]++;
            came[drawn[i]]++;
        }
        CU_ASSERT_TRUE(of[1] >= 1 && of[1] <= 2 && of[2] >= 1 && of[2] <= 2 && of[3] >= 1 && of[3] <= 2 && of[9] >= 1 &&
                       of[9] <= 2);
        draw(&lent, epoch, other);
        CU_ASSERT_EQUAL(memcmp(drawn, other, COUNT), 0);
        OK(lamina_loader_new(d, 3, true, &again, &error));
        draw(&again, epoch, other);
        CU_ASSERT_EQUAL(memcmp(drawn, other, COUNT), 0);
        lamina_loader_free(&again);
    }
    for (int i = 0; i < COUNT; i++)
        CU_ASSERT_TRUE(came[i] > EPOCHS / 5);
    CU_ASSERT_EQUAL(came[4], EPOCHS * 7 / 4); /* alone in its class */
    lamina_loader_free(&l);
    lamina_loader_free(&lent);
    lamina_dataset_free(view);
    lamina_dataset_free(d);
}

/* What is split from balanced records keeps theirs; the others are balanced among themselves. */
static void test_balance_of_a_part(void)
{
    lamina_dataset *d = labelled(), *part;
    lamina_loader l;
    uint64_t plain = lamina_dataset_fingerprint(d);
    OK(lamina_dataset_set_balance(d, "label", &error));
    CU_ASSERT_NOT_EQUAL(lamina_dataset_fingerprint(d), plain);
    OK(lamina_dataset_split(d, 0.5, 1, &part, &error));
    OK(lamina_loader_new(d, 2, true, &l, &error));
    for (int64_t epoch = 0; epoch < 10; epoch++) {
        uint8_t drawn[COUNT];
        draw(&l, epoch, drawn);
        for (int64_t i = 0; i < lamina_dataset_count(d); i++)
            for (int64_t k = 0; k < lamina_dataset_count(part); k++)
                CU_ASSERT_NOT_EQUAL(drawn[i], *(const uint8_t *)lamina_dataset_record(part, 0, k));
    }
    lamina_loader_free(&l);
    lamina_dataset_free(part);
    lamina_dataset_free(d);
}

static void test_balance_refused(void)
{
    static const int32_t bad[COUNT] = {0, 1, -1};
    lamina_dataset *d = NULL;
    lamina_loader l;
    OK(lamina_dataset_new(&label_net, &d, &error));
    OK(lamina_dataset_add(d, "label", bad, COUNT, &error));
    OK(lamina_dataset_add(d, "image", pixels, COUNT, &error));
    FAILS(lamina_dataset_set_balance(d, "image", &error), LAMINA_BAD_ARG, "expected classes, one integer a record");
    OK(lamina_dataset_set_window(d, 3, &error));
    FAILS(lamina_dataset_set_balance(d, "label", &error), LAMINA_BAD_ARG, "expected no window of a shuffle, found 3");
    OK(lamina_dataset_set_window(d, 0, &error));
    OK(lamina_dataset_set_balance(d, "label", &error));
    FAILS(lamina_loader_new(d, 2, true, &l, &error), LAMINA_BAD_FILE,
          "memory: input 'label': record 2: expected a class from 0 to 65535, found -1");
    lamina_dataset_free(d);
}

static lamina_status scenario_balance(void)
{
    lamina_dataset *d = NULL;
    lamina_loader l = {0};
    lamina_status s = lamina_dataset_new(&label_net, &d, &error);
    if (!s && !(s = lamina_dataset_add(d, "label", labels, COUNT, &error)) &&
        !(s = lamina_dataset_add(d, "image", pixels, COUNT, &error)) &&
        !(s = lamina_dataset_set_balance(d, "label", &error)) && !(s = lamina_loader_new(d, 2, true, &l, &error)))
        lamina_loader_free(&l);
    lamina_dataset_free(d);
    return s;
}

static void test_balance_without_memory(void)
{
    fail_each(scenario_balance, LAMINA_NO_MEMORY, 12);
}

void add_runtime_select(CU_pSuite s)
{
    CU_add_test(s, "data: classes in balance", test_balance);
    CU_add_test(s, "data: classes of a part in balance", test_balance_of_a_part);
    CU_add_test(s, "data: balance refused", test_balance_refused);
    CU_add_test(s, "data: balance without memory", test_balance_without_memory);
    CU_add_test(s, "data: records of some classes", test_select_by_class);
    CU_add_test(s, "data: selections refused", test_select_refused);
    CU_add_test(s, "data: selections without memory", test_select_without_memory);
}
