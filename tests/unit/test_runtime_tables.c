/* tests/unit/test_runtime_tables.c - tables whose records name their values: JSON lines, sparse lines. */
#include "runtime/base/memory.h"
#include "runtime/data/lines.h"
#include "tests/unit/runtime_case.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static const lamina_tensor inputs[] = {
    {"x", LAMINA_TENSOR_INPUT, LAMINA_F32, 2, 0, {1, 4}, 16, 0, LAMINA_INIT_NONE, 0, 0, 0},
    {"label", LAMINA_TENSOR_INPUT, LAMINA_I32, 1, 0, {1}, 4, 1, LAMINA_INIT_NONE, 0, 0, 0},
};
static const lamina_net net = {.name = "table", .inputs = inputs, .input_count = 2};

static lamina_table_report report;

#define COLUMNS(...)                                                                                                   \
    .columns = (const lamina_table_column[]){__VA_ARGS__},                                                             \
    .column_count = sizeof((const lamina_table_column[]){__VA_ARGS__}) / sizeof(lamina_table_column)

static lamina_dataset *empty(void)
{
    lamina_dataset *d = NULL;
    OK(lamina_dataset_new(&net, &d, &error));
    return d;
}

static lamina_status add_bytes(lamina_dataset *d, const char *content, size_t bytes, const lamina_table_options *o)
{
    const char *const paths[] = {path_of("a.csv")};
    write_file(paths[0], content, bytes);
    return lamina_dataset_add_table(d, paths, 1, o, &report, &error);
}

static lamina_dataset *read_text(const char *content, const lamina_table_options *o)
{
    lamina_dataset *d = empty();
    OK(add_bytes(d, content, strlen(content), o));
    return d;
}

static const float *x_of(const lamina_dataset *d, int64_t i)
{
    return lamina_dataset_record(d, 0, i);
}

static int32_t label_of(const lamina_dataset *d, int64_t i)
{
    return *(const int32_t *)lamina_dataset_record(d, 1, i);
}

static void refuses_bytes(const char *content, size_t bytes, const lamina_table_options *o, const char *words)
{
    lamina_dataset *d = empty();
    FAILS(add_bytes(d, content, bytes, o), LAMINA_BAD_FILE, words);
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 0);
    lamina_dataset_free(d);
}

static void refuses(const char *content, const lamina_table_options *o, const char *words)
{
    refuses_bytes(content, strlen(content), o, words);
}

/* ---- JSON lines ---- */

/* Arrays by index, objects by key, keys with dots by themselves; numbers, true and words. */
static void test_json_names(void)
{
    static const char records[] =
        "\xef\xbb\xbf{\"px\": [0.5, [1, 2]], \"from\": {\"a.b\": {\"c\": true}}, \"k\": \"v\"}\r\n"
        "\n \t\n"
        "{\"k\": \"u\", \"px\": [1e-3, [1, -7]], \"from.a\": {\"b\": {\"c\": 3}}, \"more\": {}}";
    lamina_dataset *d = read_text(
        records, &(lamina_table_options){
                     .format = LAMINA_JSON_LINES,
                     COLUMNS({.name = "px.0", .input = "x"}, {.name = "px.1.0..px.1.1", .input = "x"},
                             {.name = "from.a.b.c", .input = "x"}, {.name = "k", .input = "label", .sorted = true})});
    CU_ASSERT_EQUAL(report.records, 2);
    CU_ASSERT_EQUAL(memcmp(x_of(d, 0), ((const float[]){0.5f, 1, 2, 1}), 16), 0);
    CU_ASSERT_EQUAL(memcmp(x_of(d, 1), ((const float[]){1e-3f, 1, -7, 3}), 16), 0);
    CU_ASSERT_EQUAL(label_of(d, 0), 1);
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 0, 2), "px.1.1");
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 1, 0), "u");
    lamina_dataset_free(d);
}

/* Numbers may be words, or say that nothing is there; counting keeps the digits of the first name. */
static void test_json_words(void)
{
    static const char *const kinds[] = {"7", "1.5", "false"}, *const missing[] = {"-999"};
    static const char records[] = "{\"p08\":1,\"p09\":2,\"p10\":-999,\"k\":1.5}\n"
                                  "{\"p08\":1,\"p09\":2,\"p10\":\"4\",\"p11\":\"\\u00e9\",\"k\":false}\n"
                                  "{\"p08\":1,\"p09\":2,\"p10\":\"4\",\"k\":7}\n";
    lamina_dataset *d = read_text(
        records,
        &(lamina_table_options){.format = LAMINA_JSON_LINES,
                                .missing = missing,
                                .missing_count = 1,
                                COLUMNS({.name = "p08..p10", .input = "x", .fill = "0.25"},
                                        {.name = "p11",
                                         .input = "x",
                                         .categories = (const char *const[]){"\xc3\xa9"},
                                         .category_count = 1,
                                         .fill = "\xc3\xa9"},
                                        {.name = "k", .input = "label", .categories = kinds, .category_count = 3})});
    CU_ASSERT_EQUAL(report.filled, 3);
    CU_ASSERT_EQUAL(memcmp(x_of(d, 0), ((const float[]){1, 2, 0.25f, 1}), 16), 0);
    CU_ASSERT_EQUAL(label_of(d, 0), 1);
    CU_ASSERT_EQUAL(label_of(d, 1), 2);
    CU_ASSERT_EQUAL(label_of(d, 2), 0);
    lamina_dataset_free(d);
}

static void test_json_cleaning(void)
{
    static const char records[] = "{\"p\":[1,2,3,90],\"k\":0}\n"
                                  "{\"p\":[1,2,3],\"k\":0}\n"
                                  "{\"p\":[1,2,3,null],\"k\":1}\n"
                                  "{\"p\":[1,2,3,91],\"k\":0}\n"
                                  "{\"p\":[1,2,3,-4],\"k\":1}\n";
    lamina_table_options o = {
        .format = LAMINA_JSON_LINES,
        .drop_missing = true,
        .drop_duplicates = true,
        COLUMNS({.name = "p.0..p.3", .input = "x", .clipped = true, .most = 50}, {.name = "k", .input = "label"})};
    lamina_dataset *d = read_text(records, &o);
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 2);
    CU_ASSERT_EQUAL(report.missing, 2);
    CU_ASSERT_EQUAL(report.duplicates, 1);
    CU_ASSERT_EQUAL(report.clipped, 2);
    CU_ASSERT_EQUAL(x_of(d, 1)[3], 0);
    lamina_dataset_free(d);
    o.drop_missing = o.drop_duplicates = false;
    o.keep_missing = true;
    d = read_text(records, &o);
    CU_ASSERT_EQUAL(report.kept_missing, 2);
    CU_ASSERT_TRUE(isnan(x_of(d, 1)[3]) && isnan(x_of(d, 2)[3]));
    lamina_dataset_free(d);
}

static void test_bad_json(void)
{
    static const char zero[] = "{\"k\":1}\n{\"k\0\":1}\n";
    const lamina_table_options o = {.format = LAMINA_JSON_LINES, COLUMNS({.name = "k", .input = "label"})};
    const lamina_table_options x = {.format = LAMINA_JSON_LINES, COLUMNS({.name = "p.1..p.4", .input = "x"})};
    const lamina_table_options wide = {.format = LAMINA_JSON_LINES, COLUMNS({.name = "0..999999999", .input = "x"})};
    refuses("{\"k\":1}\n{\"k\":1,}\n", &o, "a.csv:2:8: expected a JSON object, but string or '}' expected near '}'");
    refuses("{\"k\":1} 2\n", &o, "a.csv:1:9: expected a JSON object, but end of file expected near '2'");
    refuses("{\"k\":1,\"k\":2}\n", &o, "duplicate object key");
    refuses("{\"k\":1e999}\n", &o, "real number overflow");
    refuses("[1]\n", &o, "a.csv:1:1: expected an object, found an array");
    refuses("{\"k\":[1]}\n", &o, "a.csv:1:1: column 'k': expected a value, found an array");
    refuses("{\"k\":1}\n{\"k\":1.5}\n", &o,
            "a.csv:2:1: column 'k': expected a whole number that it holds for input 'label', found '1.5'");
    refuses("{\"k\":1}\n{\"k\":\"far\"}\n", &o, "for input 'label', found 'far'");
    refuses("{\"k\":1}\n{}\n", &o, "a.csv:2:1: column 'k': expected a value (missing ones may be dropped");
    refuses("\n", &o, "a.csv: expected records, found an empty file");
    refuses("{\"q\":1}\n{}\n", &o, "a.csv: expected a column 'k', found 2 records without one");
    refuses("{\"p\":[1,2,3,4]}\n", &x, "a.csv: expected a column 'p.4', found 1 records without one");
    refuses("{}", &wide, "a.csv: input 'x': expected columns for 4 elements, found 1000000000 in '0..999999999'");
    refuses_bytes(zero, sizeof zero - 1, &o, "a.csv:2:4: expected text, found a byte of 0");
    char *large = malloc(LINES_MOST_BYTES);
    memset(large, '[', LINES_MOST_BYTES);
    refuses_bytes(large, LINES_MOST_BYTES, &o, "a.csv:1: expected a line of less than 4194304 bytes");
    refuses_bytes(large, LINES_MOST_BYTES - 1, &o, "maximum parsing depth reached");
    free(large);
}

static void *allocate_json(size_t bytes)
{
    return lamina_allocate(1, bytes);
}

static const char *scenario_text;
static lamina_table_options scenario_options;

static lamina_status scenario(void)
{
    lamina_dataset *d = NULL;
    lamina_status s = lamina_dataset_new(&net, &d, &error);
    if (!s)
        s = add_bytes(d, scenario_text, strlen(scenario_text), &scenario_options);
    lamina_dataset_free(d);
    return s;
}

static void test_json_without_memory(void)
{
    json_malloc_t old_malloc;
    json_free_t old_free;
    scenario_text = "{\"p\":[1,2,3,4],\"k\":7}\n";
    scenario_options = (lamina_table_options){
        .format = LAMINA_JSON_LINES,
        COLUMNS({.name = "p.0..p.3", .input = "x"}, {.name = "k", .input = "label", .sorted = true})};
    json_get_alloc_funcs(&old_malloc, &old_free);
    json_set_alloc_funcs(allocate_json, lamina_release);
    fail_each(scenario, LAMINA_BAD_FILE, 30); /* jansson may tell it as broken text */
    json_set_alloc_funcs(old_malloc, old_free);
}

/* ---- sparse lines ---- */

/* What a line lacks is 0, also as a word; a column may be in two inputs. */
static void test_sparse_lines(void)
{
    static const char *const signs[] = {"-1", "+1"};
    static const char records[] = "# nothing\n+1 qid:7 0:9 1:0.5 4:2e1 900:3 # 3:3\r\n\n \t-1\t2:0\n+1 3:1 4:NaN";
    lamina_dataset *d =
        read_text(records, &(lamina_table_options){
                               .format = LAMINA_LIBSVM,
                               COLUMNS({.name = "4", .input = "x", .fill = "-3"}, {.name = "1", .input = "x"},
                                       {.name = "3", .input = "x", .sorted = true},
                                       {.name = "label", .input = "label", .categories = signs, .category_count = 2})});
    CU_ASSERT_EQUAL(report.records, 3);
    CU_ASSERT_EQUAL(memcmp(x_of(d, 0), ((const float[]){20, 0.5f, 1, 0}), 16), 0);
    CU_ASSERT_EQUAL(memcmp(x_of(d, 1), ((const float[]){0, 0, 1, 0}), 16), 0);
    CU_ASSERT_EQUAL(memcmp(x_of(d, 2), ((const float[]){-3, 0, 0, 1}), 16), 0);
    CU_ASSERT_TRUE(label_of(d, 0) == 1 && label_of(d, 1) == 0);
    lamina_dataset_free(d);
    d = read_text("2 1:1 2:2 3:3 4:4\n", &(lamina_table_options){.format = LAMINA_LIBSVM,
                                                                 COLUMNS({.name = "1..4", .input = "x"},
                                                                         {.name = "label", .input = "label"})});
    CU_ASSERT_EQUAL(memcmp(x_of(d, 0), ((const float[]){1, 2, 3, 4}), 16), 0);
    CU_ASSERT_EQUAL(label_of(d, 0), 2);
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 0, 3), "4");
    lamina_dataset_free(d);
}

static void test_bad_sparse_lines(void)
{
    const lamina_table_options o = {.format = LAMINA_LIBSVM, COLUMNS({.name = "0..3", .input = "x"})};
    const lamina_table_options label = {.format = LAMINA_LIBSVM, COLUMNS({.name = "label", .input = "label"})};
    const lamina_table_options name = {.format = LAMINA_LIBSVM, COLUMNS({.name = "kind", .input = "label"})};
    refuses("1 1:1\n1 2:1 x:3\n", &o, "a.csv:2:7: expected 'index:value' with an index from 3, found 'x:3'");
    refuses("1 2:1 2:3\n", &o, "an index from 3, found '2:3'");
    refuses("1 -2:1\n", &o, "a.csv:1:3: expected 'index:value' with an index from 0, found '-2:1'");
    refuses("1 0\n", &o, "found '0'");
    refuses("1 10000000000:1\n", &o, "found '10000000000:1'");
    refuses("1 2:1 3:far\n", &o, "a.csv:1:9: column '3': expected a number for input 'x', found 'far'");
    refuses("1 2:\n", &o, "a.csv:1:5: column '2': expected a value (missing ones may be");
    refuses("1,3 2:1\n", &label, "a.csv:1:1: column 'label': expected a whole number that it holds");
    refuses("1\n", &name, "a.csv: expected a column 'label' or an index, found 'kind'");
    refuses("# 1\n", &label, "a.csv: expected records, found an empty file");
}

static void test_sparse_lines_without_memory(void)
{
    scenario_text = "7 0:1 3:4\n";
    scenario_options = (lamina_table_options){
        .format = LAMINA_LIBSVM,
        COLUMNS({.name = "0..3", .input = "x"}, {.name = "label", .input = "label", .sorted = true})};
    fail_each(scenario, LAMINA_NO_MEMORY, 20);
}

void add_runtime_tables(CU_pSuite s)
{
    CU_add_test(s, "json names", test_json_names);
    CU_add_test(s, "json words", test_json_words);
    CU_add_test(s, "json cleaning", test_json_cleaning);
    CU_add_test(s, "bad json", test_bad_json);
    CU_add_test(s, "json without memory", test_json_without_memory);
    CU_add_test(s, "sparse lines", test_sparse_lines);
    CU_add_test(s, "bad sparse lines", test_bad_sparse_lines);
    CU_add_test(s, "sparse lines without memory", test_sparse_lines_without_memory);
}
