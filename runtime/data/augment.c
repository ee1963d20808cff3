/* runtime/data/augment.c - records changed at random for training: what a data set is asked for, and each record. */
#include "runtime/data/augment.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/model/philox.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <zlib.h>

enum { MOST_SIZE = 32768 }; /* of a picture: coordinates are floats and 32-bit numbers */

/* ---- which inputs ---- */

/* False for what is no picture of rows and columns. */
static bool extent_of(const lamina_tensor *t, lamina_extent *out)
{
    int64_t dim[LAMINA_MAX_RANK];
    int32_t rank = 0;
    for (int32_t i = 0; i < t->rank; i++)
        if (i != t->batch_dim)
            dim[rank++] = t->dim[i];
    if (rank < 2 || rank > 3 || dim[0] > MOST_SIZE || dim[1] > MOST_SIZE)
        return false;
    *out = (lamina_extent){dim[0], dim[1], rank == 3 ? dim[2] : 1};
    return true;
}

static bool holds_image(const lamina_tensor *t)
{
    lamina_extent x;
    return (t->dtype == LAMINA_UI8 || t->dtype == LAMINA_F32) && extent_of(t, &x);
}

static lamina_status fail_shape(const lamina_tensor *t, const char *expected, lamina_error *e)
{
    char found[128];
    lamina_shape_text(t->dtype, t->rank, t->dim, t->batch_dim, found, sizeof found);
    return lamina_fail(e, LAMINA_BAD_ARG,
                       "augment: input '%s': expected %s of shape [rows, columns] or [rows, columns, channels], found "
                       "%s",
                       t->name, expected, found);
}

static lamina_status add_input(const lamina_dataset *d, lamina_augment *a, const char *name, lamina_augment_role role,
                               lamina_error *e)
{
    int32_t input;
    lamina_extent x;
    lamina_status s = lamina_find_field(d, name, &input, e);
    if (s)
        return s;
    const lamina_tensor *t = &d->net->inputs[input];
    if (role == AUGMENT_IMAGE && !holds_image(t))
        return fail_shape(t, "images of uint8 or float32", e);
    if (!extent_of(t, &x))
        return fail_shape(t, "masks", e);
    if (a->role[input] != AUGMENT_COPIED)
        return lamina_fail(e, LAMINA_BAD_ARG, "augment: expected inputs that differ, found '%s' twice", name);
    if (a->size.rows && (x.rows != a->size.rows || x.columns != a->size.columns))
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "augment: input '%s': expected %" PRId64 " rows of %" PRId64
                           " columns, as the first image has, found %" PRId64 " of %" PRId64,
                           name, a->size.rows, a->size.columns, x.rows, x.columns);
    a->role[input] = role;
    a->size = (lamina_extent){x.rows, x.columns, 0};
    int64_t count = x.rows * x.columns * x.channels;
    a->most = role == AUGMENT_IMAGE && count > a->most ? count : a->most;
    return LAMINA_OK;
}

/* The only input that can be one. */
static lamina_status find_image(const lamina_dataset *d, lamina_augment *a, lamina_error *e)
{
    const char *name = NULL;
    int32_t count = 0;
    for (int32_t i = 0; i < d->net->input_count; i++)
        if (holds_image(&d->net->inputs[i])) {
            name = d->net->inputs[i].name;
            count++;
        }
    if (count == 1)
        return add_input(d, a, name, AUGMENT_IMAGE, e);
    return lamina_fail(e, LAMINA_BAD_ARG,
                       "augment: expected the names of the images among the inputs, since %" PRId32
                       " of them could be one, found none",
                       count);
}

static lamina_status find_inputs(const lamina_dataset *d, lamina_augment *a, lamina_error *e)
{
    lamina_status s = a->o.images ? LAMINA_OK : find_image(d, a, e);
    for (int32_t i = 0; !s && a->o.images && i < a->o.image_count; i++)
        s = add_input(d, a, a->o.images[i], AUGMENT_IMAGE, e);
    for (int32_t i = 0; !s && a->o.masks && i < a->o.mask_count; i++)
        s = add_input(d, a, a->o.masks[i], AUGMENT_MASK, e);
    return s;
}

/* ---- what with them ---- */

static lamina_status check_numbers(const lamina_augment_options *o, lamina_error *e)
{
    const struct {
        const char *name;
        double value, least, most;
    } all[] = {{"crop", (double)o->crop, 0, MOST_SIZE},
               {"shift", o->shift, 0, MOST_SIZE},
               {"rotate", o->rotate, 0, 180},
               {"zoom", o->zoom, 0, 0.9},
               {"shear", o->shear, 0, 80},
               {"fill", (double)o->fill, LAMINA_FILL_CONSTANT, LAMINA_FILL_REFLECT},
               {"fill_value", o->fill_value, -1e30, 1e30},
               {"brightness", o->brightness, 0, 1e6},
               {"contrast", o->contrast, 0, 1e6},
               {"saturation", o->saturation, 0, 1e6},
               {"noise", o->noise, 0, 1e6},
               {"cutout", (double)o->cutout, 0, MOST_SIZE},
               {"mixup", o->mixup, 0, 1e6}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!(all[i].value >= all[i].least && all[i].value <= all[i].most))
            return lamina_fail(e, LAMINA_BAD_ARG, "augment: %s: expected a number from %g to %g, found %g", all[i].name,
                               all[i].least, all[i].most, all[i].value);
    return LAMINA_OK;
}

static lamina_status check_colours(const lamina_dataset *d, const lamina_augment *a, lamina_error *e)
{
    lamina_extent x;
    for (int32_t i = 0; a->o.saturation > 0 && i < d->net->input_count; i++)
        if (a->role[i] == AUGMENT_IMAGE && extent_of(&d->net->inputs[i], &x) && x.channels != 3)
            return lamina_fail(e, LAMINA_BAD_ARG,
                               "augment: input '%s': saturation: expected 3 channels, found %" PRId64,
                               d->net->inputs[i].name, x.channels);
    return LAMINA_OK;
}

/* A mixture has all of two records, so that nothing but real numbers can stand beside the images. */
static lamina_status mix_targets(const lamina_dataset *d, lamina_augment *a, lamina_error *e)
{
    for (int32_t i = 0; a->o.mixup > 0 && i < d->net->input_count; i++) {
        const lamina_tensor *t = &d->net->inputs[i];
        if (a->role[i] == AUGMENT_IMAGE)
            continue;
        if (a->role[i] == AUGMENT_MASK || t->dtype != LAMINA_F32)
            return lamina_fail(e, LAMINA_BAD_ARG,
                               "augment: input '%s': mixup: expected float32 targets, a number for each class, as "
                               "categorical_cross_entropy takes them, found %s",
                               t->name, a->role[i] == AUGMENT_MASK ? "a mask" : lamina_dtype_name(t->dtype));
        a->role[i] = AUGMENT_MIXED;
    }
    return LAMINA_OK;
}

/* A number of all that changes results. */
static uint32_t print_of(const lamina_augment *a, int32_t inputs)
{
    const lamina_augment_options *o = &a->o;
    const double all[] = {o->flip_horizontal, o->flip_vertical, (double)o->crop,  o->shift,
                          o->rotate,          o->zoom,          o->shear,         (double)o->fill,
                          o->fill_value,      o->brightness,    o->contrast,      o->saturation,
                          o->noise,           o->mixup,         (double)o->cutout};
    uLong crc = crc32_z(crc32(0, NULL, 0), (const Bytef *)all, sizeof all);
    return (uint32_t)crc32_z(crc, (const Bytef *)a->role, (size_t)inputs * sizeof *a->role);
}

void lamina_augment_free(lamina_augment *a)
{
    if (a)
        lamina_release(a->noise);
    lamina_release(a);
}

static lamina_status add_noise(lamina_augment *a, lamina_error *e)
{
    if (!(a->o.noise > 0))
        return LAMINA_OK;
    a->noise = lamina_allocate(1, sizeof *a->noise);
    if (!a->noise)
        return lamina_fail_memory(e, "augmentation", sizeof *a->noise);
    lamina_fill_noise(a->noise, a->o.noise);
    return LAMINA_OK;
}

lamina_status lamina_dataset_augment(lamina_dataset *d, const lamina_augment_options *options, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_dataset_augment", "d", d);
    if (s)
        return s;
    lamina_augment_free(d->augment);
    d->augment = NULL;
    if (!options)
        return LAMINA_OK;
    size_t bytes = sizeof(lamina_augment) + (size_t)d->net->input_count * sizeof(lamina_augment_role);
    lamina_augment *a = lamina_allocate(1, bytes);
    if (!a)
        return lamina_fail_memory(e, "augmentation", bytes);
    a->o = *options;
    s = check_numbers(options, e);
    s = s ? s : find_inputs(d, a, e);
    s = s ? s : check_colours(d, a, e);
    s = s ? s : mix_targets(d, a, e);
    s = s ? s : add_noise(a, e);
    a->o.images = a->o.masks = NULL; /* the caller's */
    a->print = print_of(a, d->net->input_count);
    if (s)
        lamina_augment_free(a);
    else
        d->augment = a;
    return s;
}

bool lamina_dataset_is_augmented(const lamina_dataset *d)
{
    return d->augment;
}

/* ---- one record ---- */

static void read_pixels(int32_t dtype, const void *from, int64_t count, float *to)
{
    if (dtype == LAMINA_F32) {
        memcpy(to, from, (size_t)count * sizeof *to);
        return;
    }
    const uint8_t *bytes = from;
    for (int64_t i = 0; i < count; i++)
        to[i] = bytes[i];
}

static void write_pixels(int32_t dtype, const float *from, int64_t count, void *to)
{
    if (dtype == LAMINA_F32) {
        memcpy(to, from, (size_t)count * sizeof *from);
        return;
    }
    uint8_t *bytes = to;
    for (int64_t i = 0; i < count; i++) {
        float v = from[i] + 0.5f;
        v = v > 0 ? v : 0; /* NaN too */
        bytes[i] = (uint8_t)(v < 255 ? v : 255);
    }
}

size_t lamina_augment_room(const lamina_augment *a)
{
    return 3 * (size_t)a->most;
}

/* Where the record of a place lies in the store. */
static int64_t record_at(const lamina_epoch *at, int64_t place)
{
    return at->order ? at->order[place] : lamina_order(at->data, place);
}

/* An image as changed, into one of two rooms behind the first, which is for what lies between. */
static float *draw_image(const lamina_epoch *at, const lamina_variation *v, int32_t input, int64_t place, int which)
{
    const lamina_augment *a = at->data->augment;
    const lamina_tensor *t = &at->data->net->inputs[input];
    lamina_extent x = {0};
    extent_of(t, &x);
    float *plain = at->room, *out = at->room + (1 + which) * a->most;
    int64_t count = x.rows * x.columns * x.channels;
    read_pixels(t->dtype, lamina_record(at->data, input, record_at(at, place)), count, v->warp.none ? out : plain);
    if (!v->warp.none)
        lamina_warp_image(&x, &v->warp, a->o.fill, (float)a->o.fill_value, plain, out);
    lamina_vary_values(a, v, input, &x, out);
    return out;
}

static void mix(float *to, const float *other, int64_t count, float weight)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = other[i] + weight * (to[i] - other[i]);
}

/* The record that another one is mixed with. */
typedef struct {
    int64_t place;
    lamina_variation v;
    float weight; /* of the one that has the place */
} partner;

static partner draw_partner(const lamina_epoch *at, const lamina_variation *v)
{
    uint32_t word[4];
    const lamina_augment *a = at->data->augment;
    lamina_vary_words(v->seed, v->epoch, v->place, 0, VARY_PARTNER, word);
    partner p = {.place = (int64_t)(((uint64_t)word[1] << 32 | word[0]) % (uint64_t)at->data->count)};
    p.v = lamina_vary(a, at->seed, at->epoch, p.place);
    p.weight = (float)lamina_vary_weight(v->seed, v->epoch, v->place, a->o.mixup);
    return p;
}

static void write_mask(const lamina_epoch *at, const lamina_variation *v, int32_t input, int64_t place, char *to)
{
    const lamina_augment *a = at->data->augment;
    const lamina_tensor *t = &at->data->net->inputs[input];
    char value[8] = {0};
    lamina_extent x = {0};
    extent_of(t, &x);
    lamina_write_number(t->dtype, value, 0, (lamina_number){.i = 0});
    lamina_warp_mask(&x, &v->warp, a->o.fill, value, lamina_dtype_bytes(t->dtype),
                     lamina_record(at->data, input, record_at(at, place)), to);
}

static void write_image(const lamina_epoch *at, const lamina_variation *v, const partner *p, int32_t input,
                        int64_t place, char *to)
{
    const lamina_tensor *t = &at->data->net->inputs[input];
    int64_t count = (int64_t)(t->bytes / lamina_dtype_bytes(t->dtype));
    float *image = draw_image(at, v, input, place, 0);
    if (p)
        mix(image, draw_image(at, &p->v, input, p->place, 1), count, p->weight);
    write_pixels(t->dtype, image, count, to);
}

void lamina_augment_record(const lamina_epoch *at, int64_t place, void *const *records, int64_t index)
{
    const lamina_dataset *d = at->data;
    const lamina_augment *a = d->augment;
    lamina_variation v = lamina_vary(a, at->seed, at->epoch, place);
    partner p = {0};
    if (a->o.mixup > 0)
        p = draw_partner(at, &v);
    for (int32_t i = 0; i < d->net->input_count; i++) {
        uint64_t bytes = d->net->inputs[i].bytes;
        char *to = records[i] ? (char *)records[i] + (uint64_t)index * bytes : NULL;
        if (!to)
            continue;
        if (a->role[i] == AUGMENT_IMAGE) {
            write_image(at, &v, a->o.mixup > 0 ? &p : NULL, i, place, to);
            continue;
        }
        if (a->role[i] == AUGMENT_MASK) {
            write_mask(at, &v, i, place, to);
            continue;
        }
        memcpy(to, lamina_record(d, i, record_at(at, place)), bytes);
        if (a->role[i] == AUGMENT_MIXED)
            mix((float *)(void *)to, (const float *)(const void *)lamina_record(d, i, record_at(at, p.place)),
                (int64_t)(bytes / sizeof(float)), p.weight);
    }
}

lamina_status lamina_dataset_augmented(const lamina_dataset *d, uint64_t seed, int64_t epoch, int64_t i,
                                       void *const *records, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_dataset_augmented", "d records", d, records);
    s = s ? s : lamina_dataset_check_full(d, e);
    if (s)
        return s;
    if (i < 0 || i >= d->count || !d->augment)
        return lamina_fail(e, LAMINA_BAD_ARG, "augment: expected a record of a data set that is augmented, found %s",
                           d->augment ? "a number of none" : "one that is not");
    lamina_epoch at = {.data = d, .seed = seed, .epoch = epoch};
    at.room = lamina_allocate(lamina_augment_room(d->augment), sizeof *at.room);
    if (!at.room)
        return lamina_fail_memory(e, "augmentation", lamina_augment_room(d->augment) * sizeof *at.room);
    lamina_augment_record(&at, i, records, 0);
    lamina_release(at.room);
    return LAMINA_OK;
}
