/* tests/unit/test_runtime_images.c - folders of pictures as data: what tests/reference/images.py made, to the values of
 * Pillow and PyTorch, and folders that the tests make. */
#include "runtime/images/images.h"
#include "tests/unit/runtime_case.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PICTURES LAMINA_TESTS_DIR "/reference/images/"
enum { ROWS = 5, COLUMNS = 7, MOST_BYTES = 1 << 16 };

static lamina_tensor input_of(int32_t dtype, int64_t rows, int64_t columns, int64_t channels)
{
    lamina_tensor t = {.name = "image", .kind = LAMINA_TENSOR_INPUT, .dtype = dtype, .rank = 4};
    t.dim[0] = 1;
    t.dim[1] = rows;
    t.dim[2] = columns;
    t.dim[3] = channels;
    t.bytes = (uint64_t)(rows * columns * channels) * lamina_dtype_bytes(dtype);
    return t;
}

/* ---- all kinds of pictures ---- */

static lamina_dataset *read_pictures(const lamina_net *net, lamina_resize resize)
{
    static const char *const paths[] = {PICTURES "pictures"};
    const lamina_image_options o = {.pixels = "image", .resize = resize};
    lamina_dataset *d = NULL;
    int64_t skipped = -1;
    OK(lamina_dataset_new(net, &d, &error));
    OK(lamina_dataset_add_images(d, paths, 1, &o, &skipped, &error));
    CU_ASSERT_EQUAL(skipped, 0);
    return d;
}

/* The records are those of a file, to a difference of at most 'least' in floats. */
static void compare(lamina_tensor t, lamina_resize resize, const char *file, float least)
{
    static char wanted[MOST_BYTES];
    const lamina_net net = {.name = "pictures", .inputs = &t, .input_count = 1};
    lamina_dataset *d = read_pictures(&net, resize);
    size_t bytes = read_file(file, wanted, sizeof wanted);
    CU_ASSERT_EQUAL_FATAL((uint64_t)lamina_dataset_count(d) * t.bytes, bytes);
    for (int64_t i = 0; i < lamina_dataset_count(d); i++) {
        const char *want = wanted + (uint64_t)i * t.bytes, *have = lamina_dataset_record(d, 0, i);
        if (t.dtype == LAMINA_UI8) {
            CU_ASSERT_EQUAL(memcmp(want, have, t.bytes), 0);
        }
        for (size_t k = 0; t.dtype == LAMINA_F32 && k < t.bytes / sizeof(float); k++) {
            float a, b;
            memcpy(&a, want + 4 * k, sizeof a);
            memcpy(&b, have + 4 * k, sizeof b);
            CU_ASSERT(a - b <= least && b - a <= least);
        }
    }
    lamina_dataset_free(d);
}

static void test_kinds(void)
{
    compare(input_of(LAMINA_UI8, ROWS, COLUMNS, 3), LAMINA_RESIZE_NONE, PICTURES "rgb.raw", 0);
    compare(input_of(LAMINA_UI8, ROWS, COLUMNS, 4), LAMINA_RESIZE_NONE, PICTURES "rgba.raw", 0);
    compare(input_of(LAMINA_UI8, ROWS, COLUMNS, 1), LAMINA_RESIZE_NONE, PICTURES "grey.raw", 0);
    compare(input_of(LAMINA_UI8, ROWS, COLUMNS, 3), LAMINA_RESIZE_BILINEAR, PICTURES "rgb.raw", 0);
    lamina_tensor flat = input_of(LAMINA_UI8, ROWS, COLUMNS, 1);
    flat.rank = 3;
    compare(flat, LAMINA_RESIZE_NONE, PICTURES "grey.raw", 0);
}

static void test_resize(void)
{
    compare(input_of(LAMINA_F32, 8, 3, 3), LAMINA_RESIZE_BILINEAR, PICTURES "bilinear.raw", 1e-4f);
    compare(input_of(LAMINA_F32, 8, 3, 3), LAMINA_RESIZE_NEAREST, PICTURES "nearest.raw", 0);
}

/* ---- folders of the tests' own: pictures of three rows and one column ---- */

static void make(const char *names)
{
    char copy[512], *rest = copy;
    snprintf(copy, sizeof copy, "%s", names);
    for (const char *name; (name = strsep(&rest, "|"));) {
        const char *path = path_of(name);
        if (name[strlen(name) - 1] == '/') {
            CU_ASSERT_EQUAL(mkdir(path, 0777), 0);
        } else {
            write_file(path, "P5 1 3 255\n\1\2\3", 14);
        }
    }
}

static void clear(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s/*", folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

static lamina_status add(lamina_dataset **out, const lamina_net *net, const char *path, const lamina_image_options *o,
                         int64_t *skipped)
{
    lamina_status s = lamina_dataset_new(net, out, &error);
    return s ? s : lamina_dataset_add_images(*out, &path, 1, o, skipped, &error);
}

static int32_t label_at(const lamina_dataset *d, int64_t i)
{
    int32_t label;
    memcpy(&label, lamina_dataset_record(d, 1, i), sizeof label);
    return label;
}

static const lamina_image_options labelled = {.pixels = "image", .label = "label", .by_class = true};

static void test_classes(void)
{
    static const int32_t wanted[] = {0, 0, 0, 2};
    static const int64_t kept[] = {2, 0};
    lamina_dataset *d = NULL;
    int64_t skipped;
    make("a b/|a b/z.pgm|a b/\xc3\xa9.PNM|a b/deep/|a b/deep/a.ppm|a b/text.txt|a b/.hidden.png|empty/|na\xc3\xafve/"
         "|na\xc3\xafve/1.png|loose.png");
    OK(add(&d, &label_net, folder, &labelled, &skipped));
    CU_ASSERT_EQUAL_FATAL(lamina_dataset_count(d), 4);
    CU_ASSERT_EQUAL(skipped, 1);
    for (int64_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(label_at(d, i), wanted[i]);
        CU_ASSERT_EQUAL(memcmp(lamina_dataset_record(d, 0, i), "\1\2\3", 3), 0);
    }
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 1, 1), "empty");
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 1, 2), "na\xc3\xafve");
    OK(lamina_dataset_select(d, "label", kept, 2, &error)); /* names go with their classes */
    CU_ASSERT_EQUAL(label_at(d, 3), 0);
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 1, 0), "na\xc3\xafve");
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 1, 1), "a b");
    lamina_dataset_free(d);
    clear();
}

static void test_chosen_classes(void)
{
    static const char *const classes[] = {"b", "a"};
    lamina_image_options o = labelled;
    lamina_dataset *d = NULL;
    char train[128];
    make("train/|train/a/|train/b/|train/c/|train/a/1.pgm|train/b/1.pgm|test/|test/b/|test/b/1.pgm");
    o.classes = classes;
    o.class_count = 2;
    OK(add(&d, &label_net, path_of("train"), &o, NULL));
    CU_ASSERT_EQUAL(lamina_dataset_count(d), 2);
    CU_ASSERT_EQUAL(label_at(d, 1), 1);
    CU_ASSERT_STRING_EQUAL(lamina_dataset_name(d, 1, 1), "a");
    lamina_dataset_free(d);
    FAILS(add(&d, &label_net, path_of("test"), &o, NULL), LAMINA_IO, "test/a: cannot open the folder: No such file");
    lamina_dataset_free(d);
    o = labelled;
    snprintf(train, sizeof train, "%s", path_of("train"));
    o.classes_of = train; /* b is class 1 there */
    OK(add(&d, &label_net, path_of("test"), &o, NULL));
    CU_ASSERT_EQUAL(label_at(d, 0), 1);
    lamina_dataset_free(d);
    make("test/x/");
    FAILS(add(&d, &label_net, path_of("test"), &o, NULL), LAMINA_BAD_FILE, "which are the classes, found 'x'");
    lamina_dataset_free(d);
    clear();
}

/* ---- errors ---- */

static void fails_with(const char *name, const void *data, size_t bytes, lamina_status status, const char *words)
{
    const lamina_image_options o = {.pixels = "image"};
    lamina_dataset *d = NULL;
    write_file(path_of("out"), data, bytes);
    FAILS(add(&d, &label_net, name ? name : path_of("out"), &o, NULL), status, words);
    lamina_dataset_free(d);
}

static void test_refused_pictures(void)
{
    const char *header = "in the header of PNM, found others";
    fails_with(NULL, "", 0, LAMINA_BAD_FILE,
               "expected a picture: PNG, JPEG, PGM (P5) or PPM (P6), found an empty file");
    fails_with(NULL, "P1 3 1 1", 8, LAMINA_BAD_FILE, "found other bytes at its beginning");
    fails_with(NULL, "P5 1 3 255\n\1\2", 13, LAMINA_BAD_FILE, "as many pixels as the header says, found fewer");
    fails_with(NULL, "P5 1 3 65535\n\1\2\3\4\5", 18, LAMINA_BAD_FILE, "found fewer");
    fails_with(NULL, "P5 1 3 65536\n\1\2\3", 16, LAMINA_BAD_FILE, header);
    fails_with(NULL, "P5 1 3 255", 10, LAMINA_BAD_FILE, header);
    fails_with(NULL, "P5 1 3 # 255", 12, LAMINA_BAD_FILE, header);
    fails_with(NULL, "P5 99999999999 1 1\n\1", 20, LAMINA_BAD_FILE, header);
    fails_with(NULL, "P5 2 4 255\n\1\2\3", 14, LAMINA_BAD_FILE,
               "expected a picture of 3 x 1 (rows x columns), found 4 x 2; 'resize' makes them fit");
    fails_with(path_of("none.png"), "", 0, LAMINA_IO, "none.png: cannot open");
    fails_with(PICTURES "pictures/rgb.png", "", 0, LAMINA_BAD_FILE, "found 5 x 7");
    fails_with(PICTURES "pictures/grey.jpg", "", 0, LAMINA_BAD_FILE, "found 5 x 7");
}

static void test_damaged_pictures(void)
{
    static const struct {
        const char *name, *says;
    } cases[] = {{"cmyk.jpg", "expected grey, or red, green and blue, found CMYK"},
                 {"cut_rgb.png", "expected a sound PNG file, found it is truncated"},
                 {"cut_interlaced.png", "expected a sound PNG file, found it is truncated"},
                 {"cut_progressive.jpg", "expected a sound JPEG file, found Premature end of JPEG file"},
                 {"cut_plain.ppm", "it is truncated"}};
    lamina_tensor t = input_of(LAMINA_UI8, ROWS, COLUMNS, 3);
    const lamina_net net = {.name = "pictures", .inputs = &t, .input_count = 1};
    const lamina_image_options o = {.pixels = "image"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        lamina_dataset *d = NULL;
        snprintf(path, sizeof path, PICTURES "refused/%s", cases[i].name);
        FAILS(add(&d, &net, path, &o, NULL), LAMINA_BAD_FILE, cases[i].says);
        lamina_dataset_free(d);
    }
}

/* A header that claims more than anybody believes. */
static void test_huge_picture(void)
{
    const lamina_image_options o = {.pixels = "image", .resize = LAMINA_RESIZE_NEAREST};
    lamina_dataset *d = NULL;
    write_file(path_of("out"), "P5 20000 20000 255\n\1", 20);
    FAILS(add(&d, &label_net, path_of("out"), &o, NULL), LAMINA_BAD_FILE,
          "expected at most 134217728 pixels, found a picture of 20000 x 20000");
    lamina_dataset_free(d);
}

static void test_refused_folders(void)
{
    lamina_image_options o = labelled;
    lamina_dataset *d = NULL;
    char deep[512];
    make("a/");
    FAILS(add(&d, &label_net, folder, &o, NULL), LAMINA_BAD_FILE, "expected pictures in the classes' folders");
    lamina_dataset_free(d);
    FAILS(add(&d, &label_net, path_of("a"), &o, NULL), LAMINA_BAD_FILE, "expected a folder for each class, found none");
    lamina_dataset_free(d);
    snprintf(deep, sizeof deep, "cd %s/a && for i in $(seq 33); do mkdir a && cd a; done", folder);
    CU_ASSERT_EQUAL(system(deep), 0);
    FAILS(add(&d, &label_net, folder, &o, NULL), LAMINA_BAD_FILE, "expected at most 32 folders in each other");
    lamina_dataset_free(d);
    o.by_class = false;
    FAILS(add(&d, &label_net, folder, &o, NULL), LAMINA_BAD_ARG, "expected a folder for each class, as it is");
    lamina_dataset_free(d);
    o = labelled;
    o.pixels = "label";
    FAILS(add(&d, &label_net, folder, &o, NULL), LAMINA_BAD_ARG, "input 'label': expected uint8 or float32");
    FAILS(lamina_dataset_add_images(d, (const char *const[]){"a", "b"}, 2, &labelled, NULL, &error), LAMINA_BAD_ARG,
          "lamina_dataset_add_images: expected one folder, found 2 paths");
    FAILS(lamina_dataset_add_images(NULL, NULL, 1, &o, NULL, &error), LAMINA_BAD_ARG, "lamina_dataset_add_images");
    lamina_dataset_free(d);
    clear();
}

static void test_many_classes(void)
{
    lamina_tensor t = {.name = "label", .dtype = LAMINA_UI8, .rank = 1, .dim = {1}, .bytes = 1};
    const lamina_net net = {.name = "many", .inputs = &t, .input_count = 1};
    const lamina_image_options o = {.label = "label", .by_class = true};
    lamina_dataset *d = NULL;
    char command[256];
    snprintf(command, sizeof command, "cd %s && mkdir $(seq 257) && : >7/1.png", folder);
    CU_ASSERT_EQUAL(system(command), 0);
    FAILS(add(&d, &net, folder, &o, NULL), LAMINA_BAD_FILE, "expected at most 256 classes for ui8, found 257");
    lamina_dataset_free(d);
    clear();
}

/* ---- out of memory ---- */

static lamina_status read_classes(void)
{
    static const int64_t kept[] = {1};
    lamina_dataset *d = NULL;
    lamina_status s = add(&d, &label_net, folder, &labelled, NULL);
    if (!s)
        s = lamina_dataset_select(d, "label", kept, 1, &error);
    lamina_dataset_free(d);
    return s;
}

static lamina_status read_kinds(void)
{
    lamina_tensor t = input_of(LAMINA_UI8, ROWS, COLUMNS, 3);
    const lamina_net net = {.name = "pictures", .inputs = &t, .input_count = 1};
    const lamina_image_options o = {.pixels = "image"};
    lamina_dataset *d = NULL;
    lamina_status s = add(&d, &net, PICTURES "pictures", &o, NULL);
    lamina_dataset_free(d);
    return s;
}

static void test_without_memory(void)
{
    make("a/|a/1.pgm|b/|b/2.pgm|b/c/|b/c/3.pgm");
    fail_each(read_classes, LAMINA_OK, 20);
    clear();
    fail_each(read_kinds, LAMINA_OK, 100);
}

void add_runtime_images(CU_pSuite s)
{
    CU_add_test(s, "images: all kinds of pictures", test_kinds);
    CU_add_test(s, "images: resize", test_resize);
    CU_add_test(s, "images: a folder for each class", test_classes);
    CU_add_test(s, "images: chosen classes", test_chosen_classes);
    CU_add_test(s, "images: pictures refused", test_refused_pictures);
    CU_add_test(s, "images: damaged pictures", test_damaged_pictures);
    CU_add_test(s, "images: a huge picture", test_huge_picture);
    CU_add_test(s, "images: folders refused", test_refused_folders);
    CU_add_test(s, "images: many classes", test_many_classes);
    CU_add_test(s, "images: without memory", test_without_memory);
}
