/* tests/unit/test_runtime_augment.c - records changed at random: pictures against PyTorch's, every option by what it
 * promises, and the same bits however training takes them. */
#include "runtime/data/augment.h"
#include "runtime/data/reader.h"
#include "tests/unit/runtime_case.h"
#include "tests/unit/runtime_school.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef LAMINA_TESTS_DIR
#define LAMINA_TESTS_DIR "tests"
#endif

/* ---- data sets ---- */

enum { ROWS = 5, COLUMNS = 7, PIXELS = ROWS * COLUMNS, COUNT = 40 };

/* Images of bytes, masks, targets and, of other nets, labels and colours. */
static const lamina_tensor inputs[] = {
    {.name = "image", .dtype = LAMINA_UI8, .rank = 4, .dim = {1, ROWS, COLUMNS, 1}, .bytes = PIXELS},
    {.name = "mask", .dtype = LAMINA_I32, .rank = 3, .dim = {1, ROWS, COLUMNS}, .bytes = 4 * PIXELS},
    {.name = "target", .dtype = LAMINA_F32, .rank = 2, .dim = {1, 3}, .bytes = 12},
    {.name = "label", .dtype = LAMINA_I32, .rank = 1, .dim = {1}, .bytes = 4},
    {.name = "wide", .dtype = LAMINA_F32, .rank = 3, .dim = {1, ROWS, COLUMNS + 1}, .bytes = 4 * (PIXELS + ROWS)}};
static const lamina_net masked_net = {.name = "masked", .inputs = inputs, .input_count = 3};
static const lamina_net mixed_net = {.name = "mixed", .inputs = inputs, .input_count = 4};
static const lamina_net all_net = {.name = "all", .inputs = inputs, .input_count = 5};

static uint8_t pixel(int64_t record, int64_t i)
{
    return (uint8_t)(1 + (37 * i * i + 11 * i + 53 * record) % 100);
}

/* A mask is twice the image, a target the record's number in three forms. */
static lamina_dataset *pictures(const lamina_net *net)
{
    static uint8_t image[COUNT * PIXELS];
    static int32_t mask[COUNT * PIXELS], label[COUNT];
    static float target[COUNT * 3];
    for (int64_t i = 0; i < COUNT * PIXELS; i++)
        mask[i] = 2 * (image[i] = pixel(i / PIXELS, i % PIXELS));
    for (int i = 0; i < COUNT; i++) {
        target[3 * i] = (float)i;
        target[3 * i + 1] = 1 - (float)i;
        target[3 * i + 2] = 0;
    }
    const void *const records[] = {image, mask, target, label};
    lamina_dataset *d = NULL;
    OK(lamina_dataset_new(net, &d, &error));
    for (int32_t i = 0; i < net->input_count && i < 4; i++)
        OK(lamina_dataset_add(d, net->inputs[i].name, records[i], COUNT, &error));
    return d;
}

typedef struct {
    uint8_t image[PIXELS];
    int32_t mask[PIXELS];
    float target[3];
} record;

static record look(const lamina_dataset *d, int64_t epoch, int64_t i)
{
    record r = {0};
    void *const to[] = {r.image, r.mask, r.target};
    OK(lamina_dataset_augmented(d, 3, epoch, i, to, &error));
    return r;
}

static const char *const image_only[] = {"image"}, *const mask_only[] = {"mask"};

static lamina_dataset *augmented(lamina_augment_options o)
{
    lamina_dataset *d = pictures(&masked_net);
    o.images = image_only;
    o.image_count = 1;
    OK(lamina_dataset_augment(d, &o, &error));
    return d;
}

/* ---- where pixels go ---- */

static void test_warps_are_pytorchs(void)
{
    static const lamina_fill fills[] = {LAMINA_FILL_CONSTANT, LAMINA_FILL_NEAREST, LAMINA_FILL_REFLECT};
    const lamina_extent x = {ROWS, COLUMNS, 2};
    lamina_warp w = {.none = false};
    float in[2 * PIXELS], out[2 * PIXELS];
    for (int i = 0; i < 2 * PIXELS; i++)
        in[i] = (float)((37 * i * i + 11 * i) % 101);
    FILE *f = fopen(LAMINA_TESTS_DIR "/reference/warp_values.txt", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fscanf(f, "%*s"), 0);
    for (int i = 0; i < 6; i++)
        CU_ASSERT_EQUAL(fscanf(f, "%f", &w.m[i]), 1);
    for (int k = 0; k < 3; k++) {
        lamina_warp_image(&x, &w, fills[k], 0, in, out);
        CU_ASSERT_EQUAL(fscanf(f, "%*s"), 0);
        for (int i = 0; i < 2 * PIXELS; i++) {
            float want = NAN;
            CU_ASSERT_EQUAL(fscanf(f, "%f", &want), 1);
            CU_ASSERT_TRUE(fabsf(out[i] - want) < 2e-3f);
        }
    }
    fclose(f);
}

/* The pixel that number i of n is under a rule; 0: the constant. */
static int place(lamina_fill fill, int i, int n)
{
    if (fill == LAMINA_FILL_REFLECT)
        return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i;
    if (fill == LAMINA_FILL_NEAREST)
        return i < 0 ? 0 : i >= n ? n - 1 : i;
    return i < 0 || i >= n ? -1 : i;
}

static bool is_moved(const record *r, int64_t number, lamina_fill fill, int down, int right, bool flipped)
{
    for (int i = 0; i < PIXELS; i++) {
        int row = place(fill, i / COLUMNS + down, ROWS);
        int column = place(fill, (flipped ? COLUMNS - 1 - i % COLUMNS : i % COLUMNS) + right, COLUMNS);
        int want = row < 0 || column < 0 ? 9 : pixel(number, row * COLUMNS + column);
        if (r->image[i] != want)
            return false;
    }
    return true;
}

/* Whole pixels are copied, to every place with and without a flip, and nowhere else. */
static void check_crops(lamina_fill fill)
{
    lamina_dataset *d =
        augmented((lamina_augment_options){.crop = 2, .flip_horizontal = true, .fill = fill, .fill_value = 9});
    int seen[2][5][5] = {0}, found = 0;
    for (int64_t epoch = 0; epoch < 10; epoch++)
        for (int64_t i = 0; i < COUNT; i++) {
            record r = look(d, epoch, i);
            int before = found;
            for (int k = 0; k < 50; k++)
                if (found == before && is_moved(&r, i, fill, k / 5 % 5 - 2, k % 5 - 2, k / 25)) {
                    seen[k / 25][k / 5 % 5][k % 5]++;
                    found++;
                }
        }
    CU_ASSERT_EQUAL(found, 10 * COUNT);
    for (int k = 0; k < 50; k++)
        CU_ASSERT_TRUE(seen[k / 25][k / 5 % 5][k % 5] > 0);
    lamina_dataset_free(d);
}

static void test_crops_go_by_whole_pixels(void)
{
    check_crops(LAMINA_FILL_CONSTANT);
    check_crops(LAMINA_FILL_NEAREST);
    check_crops(LAMINA_FILL_REFLECT);
}

/* Turned by the nearest pixel, a mask holds what it held; by whole pixels it stays with its image. */
static void test_masks_go_with_images(void)
{
    lamina_augment_options o = {
        .images = image_only, .image_count = 1, .masks = mask_only, .mask_count = 1, .crop = 2, .flip_vertical = true};
    lamina_dataset *d = pictures(&masked_net);
    OK(lamina_dataset_augment(d, &o, &error));
    for (int64_t i = 0; i < COUNT; i++) {
        record r = look(d, 1, i);
        for (int k = 0; k < PIXELS; k++)
            CU_ASSERT_EQUAL(r.mask[k], 2 * r.image[k]);
        CU_ASSERT_EQUAL(r.target[0], (float)i);
    }
    o = (lamina_augment_options){.images = image_only,
                                 .image_count = 1,
                                 .masks = mask_only,
                                 .mask_count = 1,
                                 .rotate = 40,
                                 .shear = 20,
                                 .zoom = 0.3,
                                 .shift = 0.2,
                                 .noise = 5,
                                 .fill = LAMINA_FILL_NEAREST};
    OK(lamina_dataset_augment(d, &o, &error));
    for (int64_t i = 0; i < COUNT; i++) {
        record r = look(d, 1, i);
        for (int k = 0; k < PIXELS; k++) {
            bool held = false;
            for (int j = 0; j < PIXELS; j++)
                held |= r.mask[k] == 2 * pixel(i, j);
            CU_ASSERT_TRUE(held);
        }
    }
    lamina_dataset_free(d);
}

/* A point three columns from the centre goes round it in both directions, as far as it may. */
static void test_turns_are_within_their_range(void)
{
    lamina_augment a = {.o = {.rotate = 30}, .size = {101, 101, 0}};
    double least = 0, most = 0;
    for (int64_t i = 0; i < 2000; i++) {
        lamina_variation v = lamina_vary(&a, 1, 0, i);
        const float *m = v.warp.m;
        double angle = atan2((double)m[3], (double)m[4]) * 180 / acos(-1);
        CU_ASSERT_DOUBLE_EQUAL(hypot((double)m[3], (double)m[4]), 1, 1e-6);
        CU_ASSERT_DOUBLE_EQUAL((double)(m[0] * 50 + m[1] * 50 + m[2]), 50, 1e-4); /* the centre stays */
        least = fmin(least, angle);
        most = fmax(most, angle);
    }
    CU_ASSERT_TRUE(least < -29.9 && least >= -30.001 && most > 29.9 && most <= 30.001);
}

/* ---- what becomes of values ---- */

static void test_colours(void)
{
    const lamina_extent x = {1, 2, 3};
    const float in[6] = {10, 20, 30, 200, 100, 50};
    const double grey[2] = {0.2989 * 10 + 0.587 * 20 + 0.114 * 30, 0.2989 * 200 + 0.587 * 100 + 0.114 * 50};
    lamina_variation v = {.brightness = 1.5f, .contrast = 0.5f, .saturation = 0.25f};
    lamina_augment a = {.size = x};
    for (int kind = 0; kind < 3; kind++) {
        float out[6];
        memcpy(out, in, sizeof in);
        a.o = (lamina_augment_options){.brightness = kind == 0, .contrast = kind == 1, .saturation = kind == 2};
        lamina_vary_values(&a, &v, 0, &x, out);
        for (int i = 0; i < 6; i++) {
            double centre = kind == 1 ? (grey[0] + grey[1]) / 2 : kind == 2 ? grey[i / 3] : 0;
            double factor = kind == 0 ? 1.5 : kind == 1 ? 0.5 : 0.25;
            CU_ASSERT_DOUBLE_EQUAL((double)out[i], centre + factor * ((double)in[i] - centre), 1e-3);
        }
    }
}

static void test_noise_and_holes(void)
{
    enum { SIDE = 64, ALL = SIDE * SIDE };
    const lamina_extent x = {SIDE, SIDE, 1};
    static lamina_noise normal;
    lamina_augment a = {.noise = &normal, .size = x};
    lamina_variation v = {.seed = 1, .place = 2, .cut_row = 0, .cut_column = 10};
    static float out[ALL];
    double sum = 0, squares = 0, fourth = 0, pairs = 0;
    lamina_fill_noise(&normal, 3);
    lamina_vary_values(&a, &v, 0, &x, out);
    for (int i = 0; i < ALL; i++) {
        sum += (double)out[i];
        squares += (double)out[i] * (double)out[i];
        fourth += pow((double)out[i], 4);
        pairs += (double)(out[i] * out[i ^ 1]);
    }
    CU_ASSERT_DOUBLE_EQUAL(sum / ALL, 0, 0.2);
    CU_ASSERT_DOUBLE_EQUAL(squares / ALL, 9, 0.8);
    CU_ASSERT_DOUBLE_EQUAL(fourth / ALL, 3 * 81, 40);
    CU_ASSERT_DOUBLE_EQUAL(pairs / ALL, 0, 0.5);
    a.noise = NULL;
    a.o = (lamina_augment_options){.cutout = 4, .fill_value = 77};
    lamina_vary_values(&a, &v, 0, &x, out);
    for (int i = 0; i < ALL; i++)
        CU_ASSERT_EQUAL(out[i] == 77, i / SIDE < 2 && i % SIDE >= 8 && i % SIDE < 12);
}

/* Bytes end where bytes end. */
static void test_bytes_stay_within_their_range(void)
{
    lamina_dataset *d = augmented((lamina_augment_options){.noise = 200});
    int least = 0, most = 0, between = 0;
    for (int64_t i = 0; i < COUNT; i++) {
        record r = look(d, 0, i);
        for (int k = 0; k < PIXELS; k++) {
            least += r.image[k] == 0;
            most += r.image[k] == 255;
            between += r.image[k] > 0 && r.image[k] < 255;
        }
    }
    CU_ASSERT_TRUE(least > PIXELS && most > PIXELS && between > PIXELS);
    lamina_dataset_free(d);
}

/* ---- mixup ---- */

static void check_weights(double alpha)
{
    enum { DRAWS = 20000 };
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        double w = lamina_vary_weight(7, 1, i, alpha);
        CU_ASSERT_TRUE(w >= 0 && w <= 1);
        sum += w;
        squares += (w - 0.5) * (w - 0.5);
    }
    CU_ASSERT_DOUBLE_EQUAL(sum / DRAWS, 0.5, 0.015);
    CU_ASSERT_DOUBLE_EQUAL(squares / DRAWS * 4 * (2 * alpha + 1), 1, 0.04);
}

static void test_weights_of_mixtures(void)
{
    check_weights(0.2);
    check_weights(1);
    check_weights(6);
    check_weights(0.001);
}

/* Image and target say the same of which records were mixed, and how. */
static void test_mixtures(void)
{
    const lamina_tensor two[] = {inputs[0], inputs[2]};
    const lamina_net net = {.name = "two", .inputs = two, .input_count = 2};
    uint8_t image[COUNT * PIXELS];
    float target[COUNT * 3] = {0};
    for (int i = 0; i < COUNT * PIXELS; i++)
        image[i] = (uint8_t)(i / PIXELS * 5);
    for (int i = 0; i < COUNT; i++)
        target[3 * i] = (float)i * 5;
    lamina_dataset *d;
    OK(lamina_dataset_new(&net, &d, &error));
    OK(lamina_dataset_add(d, "image", image, COUNT, &error));
    OK(lamina_dataset_add(d, "target", target, COUNT, &error));
    OK(lamina_dataset_augment(d, &(lamina_augment_options){.mixup = 1}, &error));
    int mixed = 0;
    for (int64_t i = 0; i < COUNT; i++) {
        uint8_t got[PIXELS];
        float said[3];
        void *const to[] = {got, said};
        OK(lamina_dataset_augmented(d, 3, 0, i, to, &error));
        CU_ASSERT_DOUBLE_EQUAL((double)said[0], got[0], 0.5001);
        CU_ASSERT_EQUAL(got[0], got[PIXELS - 1]);
        mixed += got[0] != image[i * PIXELS];
    }
    CU_ASSERT_TRUE(mixed > COUNT / 2);
    lamina_dataset_free(d);
}

/* ---- the same bits ---- */

/* An epoch's batches give the records of its places, whatever the size of a batch and where it begins. */
static void check_batches(const lamina_dataset *d, int64_t batch, int64_t skipped)
{
    lamina_reader r;
    lamina_pool *pool;
    OK(lamina_pool_new(2, true, &pool, &error));
    OK(lamina_reader_new(d, batch, false, pool, &r, &error));
    for (int64_t epoch = 1; epoch < 3; epoch++) {
        int64_t at = skipped * batch, count = 1;
        lamina_reader_start(&r, 3, epoch, skipped);
        for (; count > 0; at += count) {
            OK(lamina_reader_next(&r, &count, &error));
            for (int64_t i = 0; i < count; i++) {
                record want = look(d, epoch, at + i);
                CU_ASSERT_EQUAL(memcmp((const char *)r.inputs[0] + i * PIXELS, want.image, PIXELS), 0);
                CU_ASSERT_EQUAL(memcmp((const float *)r.inputs[2] + 3 * i, want.target, 12), 0);
            }
        }
        CU_ASSERT_EQUAL(at, COUNT);
        OK(lamina_reader_next(&r, &count, &error));
        CU_ASSERT_EQUAL(count, 0);
    }
    lamina_reader_start(&r, 3, 0, 0); /* and leave in the middle */
    lamina_reader_free(&r);
    lamina_pool_free(pool);
}

static void test_batches_do_not_matter(void)
{
    lamina_dataset *d = augmented((lamina_augment_options){.rotate = 20, .noise = 3, .flip_horizontal = true});
    check_batches(d, 1, 0);
    check_batches(d, 7, 2);
    check_batches(d, COUNT, 0);
    record a = look(d, 0, 5), b = look(d, 1, 5);
    CU_ASSERT_NOT_EQUAL(memcmp(a.image, b.image, PIXELS), 0);
    lamina_dataset_free(d);
}

/* The hand-written net, whose x is a picture of one row here. */
typedef struct {
    lamina_net net;
    lamina_tensor inputs[2];
} picture_net;

static const lamina_augment_options line_options = {.noise = 0.1, .flip_horizontal = true};

static void make_picture_net(picture_net *n)
{
    n->net = *fake_net_query(LAMINA_ABI_MAJOR);
    memcpy(n->inputs, n->net.inputs, sizeof n->inputs);
    n->inputs[0].rank = 3;
    n->inputs[0].dim[1] = 1;
    n->inputs[0].dim[2] = FAKE_INPUTS;
    n->net.inputs = n->inputs;
}

static lamina_status line_pictures(const picture_net *n, const float *x, lamina_dataset **out)
{
    lamina_status s = lamina_dataset_new(&n->net, out, &error);
    s = s ? s : lamina_dataset_add(*out, "x", x, 20, &error);
    s = s ? s : lamina_dataset_add(*out, "y", pattern_y, 20, &error);
    return s ? s : lamina_dataset_augment(*out, &line_options, &error);
}

static lamina_dataset *open_line(picture_net *n, const float *x)
{
    lamina_dataset *d = NULL;
    make_picture_net(n);
    OK(line_pictures(n, x, &d));
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    return d;
}

/* In pieces of so many steps; 0: in one. */
static void train(const lamina_dataset *d, const lamina_net *net, int64_t workers, int64_t piece,
                  float p[FAKE_INPUTS + 1])
{
    lamina_model *m;
    lamina_checkpoint at = {0};
    OK(lamina_model_new(net, &(lamina_options){.workers = workers, .dedicated = true}, &m, &error));
    OK(lamina_initialize(m, 1, &error));
    do {
        const lamina_fit_options o = {
            .epochs = 3, .batch = 3, .seed = 9, .max_steps = piece, .first_epoch = at.epoch, .first_step = at.step};
        OK(lamina_fit(m, d, &o, &at, &error));
    } while (at.epoch < 3);
    get_params(m, p);
    lamina_model_free(m);
}

static void test_training_has_the_same_bits(void)
{
    picture_net n;
    float one[FAKE_INPUTS + 1], four[FAKE_INPUTS + 1], pieces[FAKE_INPUTS + 1], plain[FAKE_INPUTS + 1];
    lamina_dataset *d = open_line(&n, pattern_x);
    uint64_t print = lamina_dataset_fingerprint(d);
    train(d, &n.net, 1, 0, one);
    train(d, &n.net, 4, 0, four);
    train(d, &n.net, 2, 2, pieces);
    CU_ASSERT_EQUAL(memcmp(one, four, sizeof one), 0);
    CU_ASSERT_EQUAL(memcmp(one, pieces, sizeof one), 0);
    OK(lamina_dataset_augment(d, NULL, &error));
    CU_ASSERT_NOT_EQUAL(lamina_dataset_fingerprint(d), print);
    train(d, &n.net, 1, 0, plain);
    CU_ASSERT_NOT_EQUAL(memcmp(one, plain, sizeof one), 0);
    lamina_dataset_free(d);
}

/* ---- what goes wrong ---- */

static void test_bad_record_is_named(void)
{
    picture_net n;
    float x[20 * FAKE_INPUTS];
    memcpy(x, pattern_x, sizeof x);
    x[14 * FAKE_INPUTS + 1] = NAN;
    lamina_dataset *d = open_line(&n, x);
    lamina_model *m;
    OK(lamina_model_new(&n.net, NULL, &m, &error));
    OK(lamina_initialize(m, 1, &error));
    FAILS(lamina_fit(m, d, &(lamina_fit_options){.batch = 4}, NULL, &error), LAMINA_NOT_FINITE,
          "memory: input 'x': record 14: expected finite values, found nan");
    lamina_model_free(m);
    lamina_dataset_free(d);
}

static void test_no_reader(void)
{
    picture_net n;
    lamina_reader r;
    lamina_dataset *d = open_line(&n, pattern_x);
    pthread_attr_t usual, huge;
    CU_ASSERT_EQUAL_FATAL(pthread_getattr_default_np(&usual), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_getattr_default_np(&huge), 0);
    pthread_attr_setstacksize(&huge, (size_t)1 << 60);
    CU_ASSERT_EQUAL_FATAL(pthread_setattr_default_np(&huge), 0);
    FAILS(lamina_reader_new(d, 4, true, NULL, &r, &error), LAMINA_NO_MEMORY, "cannot start a reader");
    CU_ASSERT_EQUAL(pthread_setattr_default_np(&usual), 0);
    pthread_attr_destroy(&usual);
    pthread_attr_destroy(&huge);
    lamina_dataset_free(d);
}

static void refused(lamina_dataset *d, const char *image, const char *mask, lamina_augment_options o, const char *words)
{
    o.images = image ? &image : NULL;
    o.image_count = image ? 1 : 0;
    o.masks = mask ? &mask : NULL;
    o.mask_count = mask ? 1 : 0;
    FAILS(lamina_dataset_augment(d, &o, &error), LAMINA_BAD_ARG, words);
}

static void test_augment_refuses(void)
{
    const lamina_augment_options none = {0};
    lamina_dataset *d = pictures(&all_net), *whole = pictures(&mixed_net);
    uint8_t room[PIXELS];
    void *const to[] = {room, NULL, NULL, NULL};
    FAILS(lamina_dataset_augmented(whole, 0, 0, 1, to, &error), LAMINA_BAD_ARG, "found one that is not");
    OK(lamina_dataset_augment(whole, &(lamina_augment_options){.crop = 1}, &error)); /* one input can be an image */
    OK(lamina_dataset_augmented(whole, 0, 0, 1, to, &error));
    FAILS(lamina_dataset_augmented(whole, 0, 0, COUNT, to, &error), LAMINA_BAD_ARG, "found a number of none");
    FAILS(lamina_dataset_augmented(d, 0, 0, 1, to, &error), LAMINA_BAD_ARG, "'wide': expected data, found none");
    refused(d, NULL, NULL, none, "expected the names of the images among the inputs, since 2 of them could be one");
    refused(d, "picture", NULL, none, "all: no input 'picture'");
    refused(d, "mask", NULL, none, "input 'mask': expected images of uint8 or float32 of shape [rows, columns] or");
    refused(d, "image", "label", none, "input 'label': expected masks of shape");
    refused(d, "image", "image", none, "expected inputs that differ, found 'image' twice");
    refused(d, "image", "wide", none,
            "input 'wide': expected 5 rows of 7 columns, as the first image has, found 5 of 8");
    refused(d, "image", NULL, (lamina_augment_options){.rotate = 181}, "rotate: expected a number from 0 to 180");
    refused(d, "image", NULL, (lamina_augment_options){.zoom = NAN}, "zoom: expected a number from 0 to 0.9");
    refused(d, "image", NULL, (lamina_augment_options){.saturation = 1}, "saturation: expected 3 channels, found 1");
    refused(d, "image", NULL, (lamina_augment_options){.mixup = 1}, "mixup: expected float32 targets");
    SAYS("found i32");
    refused(d, "image", "mask", (lamina_augment_options){.mixup = 1}, "found a mask");
    lamina_dataset_free(d);
    lamina_dataset_free(whole);
}

static void test_stages_refuse(void)
{
    school c;
    make_school(&c);
    picture_net n;
    lamina_dataset *d = open_line(&n, pattern_x);
    OK(open_stages(&c));
    FAILS(lamina_stages_fit(c.s, d, NULL, NULL, &error), LAMINA_BAD_ARG, "found data that is augmented");
    lamina_dataset_free(d);
    close_school(&c);
}

static lamina_status scenario_augment(void)
{
    lamina_dataset *d = NULL;
    lamina_reader r;
    picture_net n;
    uint8_t room[4 * FAKE_INPUTS];
    void *const to[] = {room, NULL};
    make_picture_net(&n);
    lamina_status s = line_pictures(&n, pattern_x, &d);
    s = s ? s : lamina_dataset_augmented(d, 0, 0, 0, to, &error);
    if (!s && !(s = lamina_reader_new(d, 4, true, NULL, &r, &error)))
        lamina_reader_free(&r);
    lamina_dataset_free(d);
    return s;
}

static void test_augment_without_memory(void)
{
    fail_each(scenario_augment, LAMINA_NO_MEMORY, 15);
}

void add_runtime_augment(CU_pSuite s)
{
    CU_add_test(s, "warps are PyTorch's", test_warps_are_pytorchs);
    CU_add_test(s, "crops go by whole pixels", test_crops_go_by_whole_pixels);
    CU_add_test(s, "masks go with images", test_masks_go_with_images);
    CU_add_test(s, "turns are within their range", test_turns_are_within_their_range);
    CU_add_test(s, "colours", test_colours);
    CU_add_test(s, "noise and holes", test_noise_and_holes);
    CU_add_test(s, "bytes stay within their range", test_bytes_stay_within_their_range);
    CU_add_test(s, "weights of mixtures", test_weights_of_mixtures);
    CU_add_test(s, "mixtures", test_mixtures);
    CU_add_test(s, "batches do not matter", test_batches_do_not_matter);
    CU_add_test(s, "augmented training has the same bits", test_training_has_the_same_bits);
    CU_add_test(s, "a bad record is named", test_bad_record_is_named);
    CU_add_test(s, "no reader", test_no_reader);
    CU_add_test(s, "augment refuses", test_augment_refuses);
    CU_add_test(s, "stages refuse augmented data", test_stages_refuse);
    CU_add_test(s, "augment without memory", test_augment_without_memory);
}
