/* tests/unit/test_runtime_csv.c - CSV files: their records, and their columns as inputs of a data set. */
#include "runtime/base/memory.h"
#include "runtime/data/csv.h"
#include "tests/unit/runtime_case.h"
#include <math.h>
#include <stdlib.h>

/* ---- records ---- */

static lamina_records *open_text(const char *content, char delimiter)
{
    lamina_records *c = NULL;
    write_file(path_of("a.csv"), content, strlen(content));
    static char path[128];
    strcpy(path, path_of("a.csv"));
    OK(lamina_csv_open(path, delimiter, &c, &error));
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    return c;
}

/* All records of a text as one, "a|b/c|d/". */
static const char *records_of(const char *content, char delimiter)
{
    static char all[256];
    lamina_records *c = open_text(content, delimiter);
    bool more = true;
    all[0] = 0;
    while (lamina_records_read(c, &more, &error) == LAMINA_OK && more)
        for (int32_t i = 0; i < c->count; i++) {
            strcat(all, c->field[i].text);
            strcat(all, i + 1 < c->count ? "|" : "/");
        }
    lamina_records_close(c);
    return all;
}

static void test_csv_records(void)
{
    CU_ASSERT_STRING_EQUAL(records_of("a,b\n1,2\n", ','), "a|b/1|2/");
    CU_ASSERT_STRING_EQUAL(records_of("a,b\r\n1,2\r\n\r\n3,4", ','), "a|b/1|2/3|4/");
    CU_ASSERT_STRING_EQUAL(records_of("a,b\r1,2\r", ','), "a|b/1|2/");
    CU_ASSERT_STRING_EQUAL(records_of("\xef\xbb\xbf"
                                      "a\n\n\n1\n",
                                      ','),
                           "a/1/");
    CU_ASSERT_STRING_EQUAL(records_of("\"a,\"\"b\",\"c\nd\" , e f \n", ','), "a,\"b|c\nd|e f/");
    CU_ASSERT_STRING_EQUAL(records_of("5\" pipe, \"x\"\n", ','), "5\" pipe|x/");
    CU_ASSERT_STRING_EQUAL(records_of(",\n,,", ','), "|/||/");
    CU_ASSERT_STRING_EQUAL(records_of("\"\"\n", ','), "/");
    CU_ASSERT_STRING_EQUAL(records_of("a\t b\nc;\td", '\t'), "a|b/c;|d/");
    CU_ASSERT_STRING_EQUAL(records_of("a  b", ' '), "a||b/");
    CU_ASSERT_STRING_EQUAL(records_of("", ','), "");
}

/* Places count bytes and lines, in quotes too, and CR as a line. */
static void test_csv_places(void)
{
    bool more;
    lamina_records *c = open_text("a,\"b\nb\",  c\r\nd,e\rf,g", ',');
    OK(lamina_records_read(c, &more, &error));
    CU_ASSERT_EQUAL(c->field[1].line, 1);
    CU_ASSERT_EQUAL(c->field[1].column, 3);
    CU_ASSERT_EQUAL(c->field[2].line, 2);
    CU_ASSERT_EQUAL(c->field[2].column, 6);
    OK(lamina_records_read(c, &more, &error));
    CU_ASSERT_EQUAL(c->field[1].line, 3);
    CU_ASSERT_EQUAL(c->field[1].column, 3);
    OK(lamina_records_read(c, &more, &error));
    CU_ASSERT_EQUAL(c->field[0].line, 4);
    CU_ASSERT_EQUAL(c->field[0].column, 1);
    lamina_records_close(c);
}

static lamina_status read_all(lamina_records *c)
{
    bool more = true;
    lamina_status s = LAMINA_OK;
    while (!s && more)
        s = lamina_records_read(c, &more, &error);
    return s;
}

static void refuses_text(const char *content, size_t bytes, const char *words)
{
    static char path[128];
    lamina_records *c;
    strcpy(path, path_of("a.csv"));
    write_file(path, content, bytes);
    OK(lamina_csv_open(path, ',', &c, &error));
    FAILS(read_all(c), LAMINA_BAD_FILE, words);
    lamina_records_close(c);
}

static void test_csv_refuses_bad_records(void)
{
    static const char quote[] = "a,b\n1,\"2\n3", behind[] = "a,b\n1,\"2\"3\n", zero[] = "a\nb\0c\n";
    refuses_text(quote, strlen(quote), "a.csv:2:3: expected another quote that ends this one, found none");
    refuses_text(behind, strlen(behind), "a.csv:2:6: expected ',' or the end of the line behind the quote, found '3'");
    refuses_text(zero, sizeof zero - 1, "a.csv:2:2: expected text, found a byte of 0");
    char *large = malloc(CSV_MOST_BYTES + 100);
    memset(large, 'x', CSV_MOST_BYTES + 100);
    refuses_text(large, CSV_MOST_BYTES + 100, "expected a record of less than 1048576 bytes");
    memset(large, ',', CSV_MOST_BYTES + 100);
    refuses_text(large, CSV_MOST_BYTES + 100, "a.csv:1:16385: expected at most 16384 fields");
    free(large);
}

/* Every number as strtod has it, wherever it takes the short way; and in any locale. */
static void test_numbers(void)
{
    static const char *const good[] = {"0",
                                       "-0",
                                       "1",
                                       "-1.5",
                                       "+.5",
                                       "5.",
                                       "1e3",
                                       "1E-3",
                                       "3.1415",
                                       "0.1",
                                       "1e22",
                                       "1e23",
                                       "1e-23",
                                       "1e308",
                                       "5e-324",
                                       "0.000001",
                                       "123456789012345",
                                       "1234567890123456789",
                                       "9007199254740993",
                                       "0.30000000000000004",
                                       "1e0000000000000003",
                                       "000000000000000000001.25",
                                       "2.2250738585072011e-308",
                                       "1e-400",
                                       "100000000000000000000000000000e-20"};
    static const char *const bad[] = {"",    "-",   "x",     "1x",  "1e",    "1e+", ".",  "1.2.3", "0x10",
                                      "inf", "nan", "1e400", "1,5", "1 000", "--1", "e5", "1e5 "};
    double value;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CU_ASSERT_TRUE(lamina_parse_number(good[i], &value));
        double wanted = strtod(good[i], NULL);
        CU_ASSERT_EQUAL(memcmp(&value, &wanted, sizeof value), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_FALSE(lamina_parse_number(bad[i], &value));
    for (uint64_t i = 0, z = 1; i < 20000; i++) {
        char t[64];
        z = z * 6364136223846793005u + 1442695040888963407u;
        snprintf(t, sizeof t, i % 2 ? "%.*g" : "%.*f", (int)(z >> 60) + 1,
                 ldexp((double)(int64_t)z, (int)(z >> 40 & 63) - 80));
        CU_ASSERT_TRUE(lamina_parse_number(t, &value));
        CU_ASSERT_EQUAL(value, strtod(t, NULL));
    }
}

/* ---- columns ---- */

/* Three numbers, a class, four small ones. */
static const lamina_tensor table_inputs[] = {
    {"x", LAMINA_TENSOR_INPUT, LAMINA_F32, 2, 0, {1, 3}, 12, 0, LAMINA_INIT_NONE, 0, 0, 0},
    {"label", LAMINA_TENSOR_INPUT, LAMINA_I32, 1, 0, {1}, 4, 1, LAMINA_INIT_NONE, 0, 0, 0},
    {"small", LAMINA_TENSOR_INPUT, LAMINA_UI8, 2, 0, {1, 2}, 2, 2, LAMINA_INIT_NONE, 0, 0, 0},
    {"wide", LAMINA_TENSOR_INPUT, LAMINA_F64, 2, 0, {1, 4}, 32, 3, LAMINA_INIT_NONE, 0, 0, 0},
};
static const lamina_net table_net = {.name = "table", .inputs = table_inputs, .input_count = 4};

static lamina_table_report report;

static lamina_status add_files(lamina_dataset *d, const char *const *paths, int32_t count,
                               const lamina_table_options *o)
{
    return lamina_dataset_add_table(d, paths, count, o, &report, &error);
}

static lamina_status add_text(lamina_dataset *d, const char *content, const lamina_table_options *o)
{
    const char *const paths[] = {path_of("a.csv")};
    write_file(paths[0], content, strlen(content));
    return add_files(d, paths, 1, o);
}

#define OPTIONS(...)                                                                                                   \
    .columns = (const lamina_table_column[]){__VA_ARGS__},                                                             \
    .column_count = sizeof((const lamina_table_column[]){__VA_ARGS__}) / sizeof(lamina_table_column)

static lamina_dataset *empty(void)
{
    lamina_dataset *d = NULL;
    OK(lamina_dataset_new(&table_net, &d, &error));
    return d;
}

static const float *x_of(const lamina_dataset *d, int64_t i)
{
    return lamina_dataset_record(d, 0, i);
}

static void test_columns_become_inputs(void)
{
    static const char *const kinds[] = {"c", "a", "b"};
    lamina_dataset *d = empty();
    OK(add_text(
        d,
        "id,a,b,kind,island,t\n"
        "1,0.5,-2,a,North,7\n"
        "2,1e1,.25,c,\"South, far\",255\n",
        &(lamina_table_options){OPTIONS({.name = "b", .input = "x"}, {.name = "island", .input = "x", .sorted = true},
                                        {.name = "kind", .input = "label", .categories = kinds, .category_count = 3},
                                        {.name = "id", .input = "small"}, {.name = "6", .input = "small"})}));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 2);
    CU_ASSERT_EQUAL(report.records, 2);
    CU_ASSERT_EQUAL(memcmp(x_of(d, 0), ((const float[]){-2, 1, 0}), 12), 0);
    CU_ASSERT_EQUAL(memcmp(x_of(d, 1), ((const float[]){0.25f, 0, 1}), 12), 0);
    CU_ASSERT_EQUAL(*(const int32_t *)lamina_dataset_record(d, 1, 0), 1);
    CU_ASSERT_EQUAL(*(const int32_t *)lamina_dataset_record(d, 1, 1), 0);
    CU_ASSERT_EQUAL(memcmp(lamina_dataset_record(d, 2, 1), "\2\xff", 2), 0);
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 0, 0), "b");
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 0, 2), "island=South, far");
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 1, 2), "b");
    CU_ASSERT_PTR_NULL(lamina_dataset_name(d, 0, 3));
    CU_ASSERT_PTR_NULL(lamina_dataset_name(d, 0, -1));
    CU_ASSERT_PTR_NULL(lamina_dataset_name(d, 2, 0));
    CU_ASSERT_PTR_NULL(lamina_dataset_name(d, 4, 0));
    OK(lamina_dataset_check_labels(d, "label", 2, &error));
    OK(add_text(
        d, "1 2;3;4;5\n6;7;8;9\n" + 2,
        &(lamina_table_options){.delimiter = ';', .no_header = true, OPTIONS({.name = "1..4", .input = "wide"})}));
    CU_ASSERT_EQUAL(((const double *)lamina_dataset_record(d, 3, 1))[3], 9);
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 3, 3), "4");
    lamina_dataset_free(d);
}

/* Several files are one; a header is not a record; gzip is read. */
static void test_files_are_joined(void)
{
    lamina_dataset *d = empty();
    const char *const paths[] = {path_of("a.csv"), path_of("z.csv.gz")};
    const lamina_table_options o = {OPTIONS({.name = "a..c", .input = "x"})};
    write_file(paths[0], "a,b,c\n1,2,3\n", 12);
    write_gzip(paths[1], "a,b,c\n4,5,6\n7,8,9\n", 18);
    OK(add_files(d, paths, 2, &o));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 3);
    CU_ASSERT_EQUAL(x_of(d, 2)[1], 8);
    lamina_dataset_free(d);
    d = empty();
    write_gzip(paths[1], "a,c,b\n4,5,6\n", 12);
    FAILS(add_files(d, paths, 2, &o), LAMINA_BAD_FILE, "z.csv.gz:1:3: expected the column 'b' as in '");
    FAILS(add_text(d, "a,c,b\n", &o), LAMINA_BAD_FILE, "expected columns for 3 elements, found 2");
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 0);
    lamina_dataset_free(d);
}

static const char dirty[] = "a,b,c,kind\n"
                            "1,2,3,u\n"
                            "NA,2,3,v\n"
                            "4,?,6,\n"
                            "1,2,3,u\n"
                            "7,8,99,v\n";

/* The same file, cleaned in each way. */
static void test_cleaning(void)
{
    static const char *const question[] = {"?"};
    lamina_dataset *d = empty();
    OK(add_text(d, dirty,
                &(lamina_table_options){.drop_missing = true,
                                        .drop_duplicates = true,
                                        OPTIONS({.name = "a", .input = "x"}, {.name = "b", .input = "x", .fill = "-1"},
                                                {.name = "c", .input = "x", .clipped = true, .least = 3.5, .most = 50},
                                                {.name = "kind", .input = "label", .sorted = true}),
                                        .missing = (const char *const[]){"NA", "", "?"},
                                        .missing_count = 3}));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 2);
    CU_ASSERT_EQUAL(report.records, 5);
    CU_ASSERT_EQUAL(report.missing, 2);
    CU_ASSERT_EQUAL(report.duplicates, 1);
    CU_ASSERT_EQUAL(report.filled, 0); /* that record lacks its class */
    CU_ASSERT_EQUAL(report.clipped, 2);
    CU_ASSERT_EQUAL(memcmp(x_of(d, 1), ((const float[]){7, 8, 50}), 12), 0);
    lamina_dataset_free(d);
    d = empty();
    OK(add_text(
        d, dirty,
        &(lamina_table_options){.keep_missing = true,
                                OPTIONS({.name = "a", .input = "x"}, {.name = "kind", .input = "x", .sorted = true},
                                        {.name = "kind", .input = "label", .sorted = true, .fill = "u"})}));
    CU_ASSERT_EQUAL(report.kept_missing, 2);
    CU_ASSERT_EQUAL(report.filled, 1);
    CU_ASSERT_TRUE(isnan(x_of(d, 1)[0]));
    CU_ASSERT_EQUAL(x_of(d, 1)[2], 1);
    CU_ASSERT_EQUAL(x_of(d, 2)[1] + x_of(d, 2)[2], 0);
    lamina_dataset_free(d);
    d = empty();
    FAILS(add_text(d, dirty,
                   &(lamina_table_options){OPTIONS({.name = "a..c", .input = "x"}), .missing = question,
                                           .missing_count = 1}),
          LAMINA_BAD_FILE, "a.csv:3:1: column 'a': expected a number for input 'x', found 'NA'");
    lamina_dataset_free(d);
}

/* Of many records all duplicates are found, and no others. */
static void test_duplicates(void)
{
    enum { COUNT = 5000, KINDS = 700 };
    char *content = malloc(COUNT * 32), *at = content + sprintf(content, "a,b,c\n");
    for (int i = 0; i < COUNT; i++)
        at += sprintf(at, "%d,%d,0.5\n", i * 7919 % KINDS, i * 7919 % KINDS / 2);
    lamina_dataset *d = empty();
    OK(add_text(d, content, &(lamina_table_options){.drop_duplicates = true, OPTIONS({.name = "a..c", .input = "x"})}));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), KINDS);
    CU_ASSERT_EQUAL(report.duplicates, COUNT - KINDS);
    lamina_dataset_free(d);
    free(content);
}

static void refuses(const char *content, const lamina_table_options *o, const char *words)
{
    lamina_dataset *d = empty();
    FAILS(add_text(d, content, o), LAMINA_BAD_FILE, words);
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 0);
    lamina_dataset_free(d);
}

static void test_bad_tables(void)
{
    static const char *const kinds[] = {"u", "v"};
    const lamina_table_options abc = {OPTIONS({.name = "a..c", .input = "x"})};
    const lamina_table_options label = {
        OPTIONS({.name = "kind", .input = "label", .categories = kinds, .category_count = 2})};
    const lamina_table_options number = {OPTIONS({.name = "a", .input = "label"})};
    const lamina_table_options kept = {.keep_missing = true, OPTIONS({.name = "a", .input = "label"})};
    const lamina_table_options drop = {.drop_missing = true, OPTIONS({.name = "a", .input = "label"})};
    const lamina_table_options spread = {
        OPTIONS({.name = "a", .input = "x"}, {.name = "kind", .input = "x", .sorted = true})};
    const lamina_table_options words = {OPTIONS({.name = "a", .input = "label", .sorted = true})};
    refuses("", &abc, "a.csv: expected records, found an empty file");
    refuses("x,y\n1,2\n", &abc, "a.csv:1: expected a column 'a..c', found 2 columns: x, y");
    refuses("c,b,a\n1,2,3\n", &abc, "expected a column 'a..c'");
    refuses("a,b,c\n1,2,3\n1,2\n", &abc, "a.csv:3:1: expected 3 fields as in the first line, found 2");
    refuses("a,b,c\n1,2,three\n", &abc, "a.csv:2:5: column 'c': expected a number for input 'x', found 'three'");
    refuses("a,b,c\n1,2,1e39\n", &abc, "found '1e39'");
    refuses("a,b,c\n1,2,\n", &abc, "a value (missing ones may be dropped, filled or kept) for input 'x', found ''");
    refuses("a\n1.5\n", &number, "expected a whole number that it holds for input 'label', found '1.5'");
    refuses("a\n3000000000\n", &number, "found '3000000000'");
    refuses("a\n1\n\"\"\n", &kept, "a.csv:3:1: column 'a': expected a value (only real inputs keep missing ones)");
    refuses("a\nNA\nNA\n", &drop, "a.csv: expected a record that stays, found none of 2");
    refuses("kind\nw\n", &label, "a.csv:2:1: column 'kind': expected one of 'u', 'v' for input 'label', found 'w'");
    refuses("a,kind\n1,u\n1,v\n1,w\n", &spread,
            "input 'x': expected columns for 3 elements, found 4 ('kind' has 3, one for each category)");
    size_t at = 2;
    char *many = malloc(8 * 65537);
    strcpy(many, "a\n");
    for (int i = 0; i <= 65536; i++)
        at += (size_t)sprintf(many + at, "%05x\n", i);
    refuses(many, &words, "a.csv:65538:1: column 'a': expected at most 65536 categories");
    free(many);
}

static void test_bad_arguments(void)
{
    const char *const paths[] = {"/nowhere/x"};
    const lamina_table_options none = {0}, unnamed = {OPTIONS({.input = "x"})};
    const lamina_table_options other = {OPTIONS({.name = "a", .input = "y"})},
                               abc = {OPTIONS({.name = "a..c", .input = "x"})};
    const lamina_table_options quote = {.delimiter = '"', OPTIONS({.name = "a..c", .input = "x"})};
    lamina_dataset *d = empty();
    FAILS(add_files(d, paths, 1, &none), LAMINA_BAD_ARG, "expected 1 or more columns, found none");
    FAILS(add_files(d, paths, 1, &quote), LAMINA_BAD_ARG, "expected a delimiter that is no quote and no line end");
    FAILS(add_files(d, paths, 0, &abc), LAMINA_BAD_ARG, "expected 1 or more files, found 0");
    FAILS(add_files(d, paths, 1, &unnamed), LAMINA_BAD_ARG, "column 0: expected a name and an input, found NULL");
    FAILS(add_files(d, paths, 1, &other), LAMINA_BAD_ARG, "table: no input 'y'");
    FAILS(add_files(d, paths, 1, &abc), LAMINA_IO, "/nowhere/x: cannot open");
    OK(add_text(d, "a,b,c\n1,2,3\n", &abc));
    FAILS(add_text(d, "a,b,c\n1,2,3\n", &abc), LAMINA_BAD_ARG, "input 'x' already has data");
    lamina_dataset_free(d);
}

/* ---- memory ---- */

static lamina_status scenario_csv(void)
{
    const char *const paths[] = {path_of("a.csv"), path_of("a.csv")};
    const lamina_table_options o = {
        .drop_duplicates = true,
        .drop_missing = true,
        OPTIONS(
            {.name = "a", .input = "x"}, {.name = "kind", .input = "x", .sorted = true},
            {.name = "kind", .input = "label", .categories = (const char *const[]){"u", "v"}, .category_count = 2})};
    lamina_dataset *d = NULL, *part = NULL;
    lamina_status s = lamina_dataset_new(&table_net, &d, &error);
    if (!s)
        s = lamina_dataset_add_table(d, paths, 2, &o, NULL, &error);
    if (!s)
        s = lamina_dataset_split_classes(d, "label", 0.5, 1, &part, &error);
    lamina_dataset_free(part);
    lamina_dataset_free(d);
    return s;
}

static void test_no_memory(void)
{
    write_file(path_of("a.csv"), dirty, sizeof dirty - 1);
    fail_each(scenario_csv, LAMINA_NO_MEMORY, 20);
}

static bool count_bytes(void *user, size_t bytes)
{
    *(size_t *)user += bytes;
    return true;
}

/* Besides the records, all that was ever allocated is a fixed number of bytes. */
static void test_memory_is_bounded(void)
{
    enum { COUNT = 100000 };
    char *content = malloc(COUNT * 16), *at = content + sprintf(content, "a,b,c\n");
    for (int i = 0; i < COUNT; i++)
        at += sprintf(at, "%d,1,2\n", i);
    size_t sum = 0;
    lamina_dataset *d = empty();
    lamina_set_allocation_hook(count_bytes, &sum);
    OK(add_text(d, content, &(lamina_table_options){OPTIONS({.name = "a..c", .input = "x"})}));
    lamina_set_allocation_hook(NULL, NULL);
    CU_ASSERT_TRUE(sum <= COUNT * 12 + 3 * (sizeof(lamina_csv) + (1 << 17))); /* three readers, one at a time */
    lamina_dataset_free(d);
    free(content);
}

/* ---- splits ---- */

/* Each class is in both parts as in the whole, up to a record; parts add up; seeds differ. */
static void test_split_by_classes(void)
{
    enum { COUNT = 103 };
    int32_t label[COUNT];
    float x[COUNT][3];
    for (int i = 0; i < COUNT; i++) {
        label[i] = i % 10 == 0 ? 7 : i % 3;
        x[i][0] = x[i][1] = x[i][2] = (float)i;
    }
    float first[2] = {0};
    for (uint64_t seed = 0; seed < 2; seed++) {
        lamina_dataset *d = empty(), *part;
        int whole[8] = {0}, in_part[8] = {0}, seen[COUNT] = {0};
        OK(lamina_dataset_add(d, "label", label, COUNT, &error));
        OK(lamina_dataset_add(d, "x", x, COUNT, &error));
        OK(lamina_dataset_split_classes(d, "label", 0.2, seed, &part, &error));
        CU_ASSERT_EQUAL(lamina_dataset_count(part), 21);
        CU_ASSERT_EQUAL(lamina_dataset_count(d), COUNT - 21);
        for (int i = 0; i < COUNT; i++) {
            lamina_dataset *from = i < 21 ? part : d;
            int64_t at = i < 21 ? i : i - 21;
            int number = (int)x_of(from, at)[0];
            CU_ASSERT_EQUAL(*(const int32_t *)lamina_dataset_record(from, 1, at), label[number]);
            seen[number]++;
            whole[label[number]]++;
            in_part[label[number]] += i < 21;
        }
        for (int i = 0; i < COUNT; i++)
            CU_ASSERT_EQUAL(seen[i], 1);
        for (int c = 0; c < 8; c++)
            CU_ASSERT_TRUE(fabs(in_part[c] - 0.2 * whole[c]) <= 1);
        first[seed] = x_of(part, 0)[0] + 1000 * x_of(part, 1)[0];
        lamina_dataset_free(part);
        lamina_dataset_free(d);
    }
    CU_ASSERT_NOT_EQUAL(first[0], first[1]);
}

static void test_split_by_no_classes(void)
{
    lamina_dataset *d = empty(), *part;
    static const int32_t bad[] = {0, 1, -1, 2};
    static const float x[12] = {0};
    FAILS(lamina_dataset_split_classes(d, "label", 0.5, 1, &part, &error), LAMINA_BAD_ARG, "found no data");
    OK(lamina_dataset_add(d, "label", bad, 4, &error));
    OK(lamina_dataset_add(d, "x", x, 4, &error));
    FAILS(lamina_dataset_split_classes(d, "x", 0.5, 1, &part, &error), LAMINA_BAD_ARG, "found other values");
    FAILS(lamina_dataset_split_classes(d, "y", 0.5, 1, &part, &error), LAMINA_BAD_ARG, "no input 'y'");
    FAILS(lamina_dataset_split_classes(d, "label", 0.01, 1, &part, &error), LAMINA_BAD_ARG,
          "leaves both parts a record");
    FAILS(lamina_dataset_split_classes(d, "label", 0.5, 1, &part, &error), LAMINA_BAD_FILE,
          "memory: input 'label': record 2: expected a class from 0 to 65535, found -1");
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 4);
    lamina_dataset_free(d);
}

void add_runtime_csv(CU_pSuite s)
{
    CU_add_test(s, "csv records", test_csv_records);
    CU_add_test(s, "csv places", test_csv_places);
    CU_add_test(s, "csv refuses bad records", test_csv_refuses_bad_records);
    CU_add_test(s, "numbers", test_numbers);
    CU_add_test(s, "columns become inputs", test_columns_become_inputs);
    CU_add_test(s, "csv files are joined", test_files_are_joined);
    CU_add_test(s, "cleaning", test_cleaning);
    CU_add_test(s, "duplicates", test_duplicates);
    CU_add_test(s, "bad tables", test_bad_tables);
    CU_add_test(s, "bad arguments of csv", test_bad_arguments);
    CU_add_test(s, "csv without memory", test_no_memory);
    CU_add_test(s, "csv memory is bounded", test_memory_is_bounded);
    CU_add_test(s, "split by classes", test_split_by_classes);
    CU_add_test(s, "split by no classes", test_split_by_no_classes);
}
