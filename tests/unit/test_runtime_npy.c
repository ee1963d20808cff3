/* tests/unit/test_runtime_npy.c - NumPy's files and raw elements. */
#include "runtime/base/memory.h"
#include "runtime/data/npy.h"
#include "tests/unit/runtime_case.h"
#include <math.h>

/* A file of version 1 with this text and these elements. */
static const char *write_npy(const char *header, const void *data, size_t bytes)
{
    static char path[128];
    char file[512] = "\x93NUMPY\1";
    size_t n = strlen(header);
    file[8] = (char)n;
    strcpy(file + 10, header);
    memcpy(file + 10 + n, data, bytes);
    strcpy(path, path_of("a.npy"));
    write_file(path, file, 10 + n + bytes);
    return path;
}

#define DICTIONARY(descr, shape) "{'descr': '" descr "', 'fortran_order': False, 'shape': " shape ", }   \n"

static double first_of(const char *header, const void *data, size_t bytes)
{
    lamina_array x;
    OK(lamina_npy_read(write_npy(header, data, bytes), &x, &error));
    double v = 0;
    switch (x.type) {
    case ARRAY_UI8:
        v = *(const uint8_t *)x.data;
        break;
    case ARRAY_I8:
        v = *(const int8_t *)x.data;
        break;
    case ARRAY_UI16:
        v = *(const uint16_t *)x.data;
        break;
    case ARRAY_I16:
        v = *(const int16_t *)x.data;
        break;
    case ARRAY_UI32:
        v = *(const uint32_t *)x.data;
        break;
    case ARRAY_I32:
        v = *(const int32_t *)x.data;
        break;
    case ARRAY_I64:
        v = (double)*(const int64_t *)x.data;
        break;
    case ARRAY_F32:
        v = (double)*(const float *)x.data;
        break;
    default:
        v = *(const double *)x.data;
    }
    lamina_release(x.data);
    return v;
}

/* Every type, of both orders where it has one. */
static void test_npy_types(void)
{
    CU_ASSERT_EQUAL(first_of(DICTIONARY("|b1", "(2,)"), "\1\0", 2), 1);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("|u1", "(1,)"), "\xff", 1), 255);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("|i1", "(1,)"), "\xff", 1), -1);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("<u2", "(1,)"), "\1\xff", 2), 0xff01);
    CU_ASSERT_EQUAL(first_of(DICTIONARY(">u2", "(1,)"), "\1\xff", 2), 0x01ff);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("<i2", "(1,)"), "\xfe\xff", 2), -2);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("<u4", "(1,)"), "\0\0\0\x80", 4), 2147483648.0);
    CU_ASSERT_EQUAL(first_of(DICTIONARY(">i4", "(1,)"), "\xff\xff\xff\xfd", 4), -3);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("<i8", "(1,)"), "\xfc\xff\xff\xff\xff\xff\xff\xff", 8), -4);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("<u8", "(1,)"), "\0\0\0\0\1\0\0\0", 8), 4294967296.0);
    CU_ASSERT_EQUAL(first_of(DICTIONARY(">f4", "(1,)"), "\x3f\xc0\0\0", 4), 1.5);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("<f8", "(1,)"), "\0\0\0\0\0\0\xf8\xbf", 8), -1.5);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("<f2", "(1,)"), "\0\x3e", 2), 1.5);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("<f2", "(1,)"), "\xff\xfb", 2), -65504);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("<f2", "(1,)"), "\1\0", 2), 0x1p-24);
    CU_ASSERT_EQUAL(first_of(DICTIONARY("<f2", "(1,)"), "\0\x7c", 2), (double)INFINITY);
    CU_ASSERT_TRUE(isnan(first_of(DICTIONARY(">f2", "(1,)"), "\x7e\1", 2)));
}

static void refuses(const char *header, const void *data, size_t bytes, const char *words)
{
    lamina_array x;
    FAILS(lamina_npy_read(write_npy(header, data, bytes), &x, &error), LAMINA_BAD_FILE, words);
    CU_ASSERT_PTR_NULL(x.data);
}

static void test_npy_refuses_bad_files(void)
{
    lamina_array x;
    const char *path = path_of("a.npy");
    FAILS(lamina_npy_read(path_of("none"), &x, &error), LAMINA_IO, "cannot open");
    write_file(path, "PK\3\4....", 8);
    FAILS(lamina_npy_read(path, &x, &error), LAMINA_BAD_FILE,
          "not a NumPy file of version 1 to 3: it begins with 50 4b 03");
    write_file(path, "\x93NUMPY\1", 7);
    FAILS(lamina_npy_read(path, &x, &error), LAMINA_BAD_FILE, "truncated: expected 8 bytes of a NumPy header, found 7");
    write_file(path, "\x93NUMPY\2\0\0\0\1\0{", 13);
    FAILS(lamina_npy_read(path, &x, &error), LAMINA_BAD_FILE, "expected a header of at most 4096 bytes, found 65536");
    refuses("(1,)", "", 0, "a.npy: byte 10 of the header: expected {, found '(1,)'");
    refuses("{'descr': '<c8'}", "", 0, "byte 20 of the header: expected a type such as '<f4'");
    refuses("{'descr': [('a', '<f4')]}", "", 0, "expected a type such as '<f4'");
    refuses("{'fortran_order': True}", "", 0,
            "expected False (C order, as numpy.ascontiguousarray gives it), found 'True}'");
    refuses("{'shape': 3}", "", 0, "expected a tuple of whole numbers, found '3}'");
    refuses("{'shape': (3 4)}", "", 0, "expected a comma or ), found '4)}'");
    refuses("{'shape': (-3,)}", "", 0, "expected at most 8 whole numbers and ), found '-3,)}'");
    refuses("{'shape': (1,1,1,1,1,1,1,1,1)}", "", 0, "expected at most 8 whole numbers and )");
    refuses("{'shape': (99999999999999999999,)}", "", 0, "expected a dimension below 2^63");
    refuses("{'shape': ()}", "", 0, "expected a dimension that counts records before this");
    refuses("{'shape': (1,) 'descr'", "", 0, "expected a comma or }, found ''descr''");
    refuses("{'shape': (1,), 'color': 1}", "", 0,
            "expected 'descr':, 'fortran_order':, 'shape': or }, found ''color': 1}'");
    refuses("{'shape': (1,)}", "", 0, "expected 'descr', 'fortran_order' and 'shape' before the end");
    refuses(DICTIONARY("<f4", "(0,)"), "", 0, "dimension 1: expected 1 or more, found 0");
    refuses(DICTIONARY("<f4", "(2,)"), "\0\0\0\0\0\0\0", 7, "2 records of f32 need 8 bytes of data");
    refuses(DICTIONARY("<f4", "(1,)"), "\0\0\0\0\0", 5, "to end after 4 bytes of data, found more");
    refuses(DICTIONARY("<f4", "(2000000000, 2000000000, 2000000000)"), "", 0, "multiply to more than 2^63");
    refuses(DICTIONARY("<u8", "(1,)"), "\0\0\0\0\0\0\0\x80", 8, "element 0: expected a number below 2^63, found more");
}

static void test_npy_becomes_an_input(void)
{
    lamina_dataset *d = NULL;
    OK(lamina_dataset_new(&label_net, &d, &error));
    OK(lamina_dataset_add_npy(d, "label", write_npy(DICTIONARY("<i8", "(2,)"), "\5\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0", 16),
                              &error));
    CU_ASSERT_EQUAL(*(const int32_t *)lamina_dataset_record(d, 1, 1), 6);
    FAILS(lamina_dataset_add_npy(d, "image", write_npy(DICTIONARY("<f4", "(2, 1)"), "\0\0\0\0\0\0\0\0", 8), &error),
          LAMINA_BAD_FILE, "expected records of shape [3, 1], found [1]");
    lamina_dataset_free(d);
    OK(lamina_dataset_new(&label_net, &d, &error));
    FAILS(lamina_dataset_add_npy(d, "label", write_npy(DICTIONARY("<i8", "(1,)"), "\0\0\0\0\1\0\0\0", 8), &error),
          LAMINA_BAD_FILE, "record 0: expected a value that i32 holds, found 4294967296");
    FAILS(lamina_dataset_add_npy(NULL, "label", "x", &error), LAMINA_BAD_ARG, "argument 'd'");
    FAILS(lamina_dataset_add_npy(d, NULL, "x", &error), LAMINA_BAD_ARG, "argument 'name'");
    FAILS(lamina_dataset_add_npy(d, "label", NULL, &error), LAMINA_BAD_ARG, "argument 'path'");
    lamina_dataset_free(d);
}

static void test_raw_elements(void)
{
    lamina_dataset *d = NULL;
    const char *path = path_of("a.npy");
    OK(lamina_dataset_new(&label_net, &d, &error));
    write_file(path, "\1\2\3\4\5\6", 6);
    OK(lamina_dataset_add_raw(d, "image", path, &error));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 2);
    CU_ASSERT_EQUAL(((const uint8_t *)lamina_dataset_record(d, 0, 1))[2], 6);
    FAILS(lamina_dataset_add_raw(d, "label", path, &error), LAMINA_BAD_FILE,
          "input 'label': expected plain records of 4 bytes, found 6 bytes");
    write_file(path, "", 0);
    FAILS(lamina_dataset_add_raw(d, "label", path, &error), LAMINA_BAD_FILE, "found 0 bytes");
    write_gzip(path, "\1\2\3\4", 4);
    FAILS(lamina_dataset_add_raw(d, "label", path, &error), LAMINA_BAD_FILE, "found gzip data of at most");
    FAILS(lamina_dataset_add_raw(NULL, "label", "x", &error), LAMINA_BAD_ARG, "argument 'd'");
    FAILS(lamina_dataset_add_raw(d, NULL, "x", &error), LAMINA_BAD_ARG, "argument 'name'");
    FAILS(lamina_dataset_add_raw(d, "label", NULL, &error), LAMINA_BAD_ARG, "argument 'path'");
    lamina_dataset_free(d);
}

/* The file tests/fuzz/NAME with one byte changed, as a.npz; 'at' counts from the end where it is negative. */
static const char *npz_with(const char *name, long at, char byte)
{
    static char path[128], file[2048];
    char from[512];
    snprintf(from, sizeof from, "%s/fuzz/%s", LAMINA_TESTS_DIR, name);
    size_t n = read_file(from, file, sizeof file);
    file[at < 0 ? (long)n + at : at] = byte;
    strcpy(path, path_of("a.npz"));
    write_file(path, file, n);
    return path;
}

static void refuses_npz(const char *name, long at, char byte, const char *key, const char *words)
{
    lamina_array x;
    char path[160];
    snprintf(path, sizeof path, "%s%s", npz_with(name, at, byte), key);
    FAILS(lamina_npz_read(path, &x, &error), LAMINA_BAD_FILE, words);
    CU_ASSERT_PTR_NULL(x.data);
}

/* Two arrays, stored; and one, deflated, which needs no key. */
static void test_npz(void)
{
    lamina_array x;
    char path[160];
    const char *keys[] = {":image", ":image.npy", ":label"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", npz_with("pair.npz", 0, 'P'), keys[i]);
        OK(lamina_npz_read(path, &x, &error));
        CU_ASSERT_EQUAL(x.count, i < 2 ? 6 : 2);
        CU_ASSERT_EQUAL(i < 2 ? ((const uint8_t *)x.data)[5] : ((const int64_t *)x.data)[1], i < 2 ? 5 : 6);
        lamina_array_release(&x);
    }
    OK(lamina_npz_read(npz_with("packed.npz", 0, 'P'), &x, &error));
    CU_ASSERT_EQUAL(((const int64_t *)x.data)[0], 5);
    lamina_array_release(&x);
}

static void test_npz_refuses_bad_files(void)
{
    lamina_array x;
    FAILS(lamina_npz_read(path_of("none.npz"), &x, &error), LAMINA_IO, "cannot open");
    refuses_npz("pair.npz", 0, 'P', ":pixels",
                "a.npz:pixels: expected the key of one of its 2 arrays, found another: image, label");
    refuses_npz("pair.npz", 0, 'P', "", "expected the key of one of its 2 arrays, found none");
    refuses_npz("pair.npz", 0, 'Q', ":image", "expected its parts to lie within it");
    refuses_npz("pair.npz", -22, 'Q', ":image", "not a zip file that can be read: expected an end record");
    refuses_npz("pair.npz", -7, 1, ":image", "a directory of at most 16 MB");
    refuses_npz("pair.npz", -22 - 2 * 55 + 10, 9, ":image", "stored or deflated, and not encrypted");
    refuses_npz("pair.npz", -22 - 2 * 55 + 10, 8, ":image", "a.npz:image: truncated");
    refuses_npz("pair.npz", -22 - 2 * 55 + 16, 9, ":image", "expected the checksum");
    refuses_npz("packed.npz", -22 - 55 + 20, 9, ":label", "truncated: the zip data end in the middle");
    memset(&x, 0, sizeof x);
    write_file(path_of("a.npz"), "PK", 2);
    FAILS(lamina_npz_read(path_of("a.npz"), &x, &error), LAMINA_BAD_FILE, "expected an end record");
}

static lamina_status scenario_npz(void)
{
    lamina_array x;
    lamina_status s = lamina_npz_read(path_of("a.npz"), &x, &error);
    lamina_array_release(&x);
    return s;
}

static void test_npz_without_memory(void)
{
    npz_with("packed.npz", 0, 'P');
    fail_each(scenario_npz, LAMINA_NO_MEMORY, 5);
}

static lamina_status scenario_npy(void)
{
    lamina_dataset *d = NULL;
    lamina_status s = lamina_dataset_new(&label_net, &d, &error);
    if (!s)
        s = lamina_dataset_add_npy(d, "label", path_of("a.npy"), &error);
    lamina_dataset_free(d);
    return s;
}

static void test_npy_without_memory(void)
{
    lamina_array x;
    write_npy(DICTIONARY("<i8", "(2,)"), "\5\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0", 16);
    fail_each(scenario_npy, LAMINA_NO_MEMORY, 5);
    OK(lamina_npy_read(write_npy(DICTIONARY("<f2", "(2,)"), "\0\0\0\0", 4), &x, &error));
    lamina_release(x.data);
}

void add_runtime_npy(CU_pSuite s)
{
    CU_add_test(s, "npy types", test_npy_types);
    CU_add_test(s, "npy refuses bad files", test_npy_refuses_bad_files);
    CU_add_test(s, "npy becomes an input", test_npy_becomes_an_input);
    CU_add_test(s, "raw elements", test_raw_elements);
    CU_add_test(s, "npy without memory", test_npy_without_memory);
    CU_add_test(s, "npz", test_npz);
    CU_add_test(s, "npz refuses bad files", test_npz_refuses_bad_files);
    CU_add_test(s, "npz without memory", test_npz_without_memory);
}
