/* runtime/images/dataset.c - folders of pictures as the records of a data set. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/data/store.h"
#include "runtime/images/image.h"
#include <inttypes.h>
#include <string.h>

static bool is_image(const lamina_tensor *t)
{
    int64_t channels = t->rank == 4 ? t->dim[3] : 1;
    return (t->dtype == LAMINA_UI8 || t->dtype == LAMINA_F32) && (t->rank == 3 || t->rank == 4) &&
           (channels == 1 || channels == 3 || channels == 4);
}

static bool is_label(const lamina_tensor *t)
{
    return (t->dtype == LAMINA_I32 || t->dtype == LAMINA_UI8) && t->rank == 1;
}

/* The number of an input that is wanted and fits, else -1. */
static lamina_status find_input(const lamina_dataset *d, const char *name, bool fits(const lamina_tensor *),
                                const char *expected, int32_t *out, lamina_error *e)
{
    *out = -1;
    lamina_status s = name ? lamina_find_field(d, name, out, e) : LAMINA_OK;
    if (s || !name || fits(&d->net->inputs[*out]))
        return s;
    const lamina_tensor *t = &d->net->inputs[*out];
    char found[128];
    lamina_shape_text(t->dtype, t->rank, t->dim, t->batch_dim, found, sizeof found);
    return lamina_fail(e, LAMINA_BAD_ARG, "input '%s': expected %s, found %s", name, expected, found);
}

static lamina_status fill_pixels(const lamina_image_list *l, lamina_resize how, const lamina_tensor *t, char *data,
                                 lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int64_t i = 0; !s && i < l->files.count; i++) {
        lamina_image image;
        bool any = how != LAMINA_RESIZE_NONE;
        s = lamina_image_read(l->files.word[i], any ? 0 : t->dim[2], any ? 0 : t->dim[1], &image, e);
        if (!s)
            lamina_image_write(&image, how, t, data + (uint64_t)i * t->bytes);
        lamina_image_free(&image);
    }
    return s;
}

static void fill_labels(const lamina_image_list *l, const lamina_tensor *t, char *data)
{
    for (int64_t i = 0, class = 0; i < l->files.count; i++) {
        while (i >= l->end[class])
            class ++;
        memcpy(data + (uint64_t)i * t->bytes, &class, t->bytes); /* little-endian */
    }
}

static lamina_status add_pixels(lamina_dataset *d, int32_t input, const char *path, const lamina_image_list *l,
                                lamina_resize how, lamina_error *e)
{
    const lamina_tensor *t = &d->net->inputs[input];
    lamina_status s = lamina_check_new(d, input, path, l->files.count, e);
    if (s)
        return s;
    char *data = lamina_allocate((size_t)l->files.count, t->bytes);
    if (!data)
        return lamina_fail_memory(e, path, (size_t)l->files.count * t->bytes);
    s = fill_pixels(l, how, t, data, e);
    if (!s)
        return lamina_add_field(d, input, path, data, l->files.count, e);
    lamina_release(data);
    return s;
}

static lamina_status add_labels(lamina_dataset *d, int32_t input, const char *path, lamina_image_list *l,
                                lamina_error *e)
{
    const lamina_tensor *t = &d->net->inputs[input];
    lamina_status s = lamina_check_new(d, input, path, l->files.count, e);
    if (!s && t->dtype == LAMINA_UI8 && l->classes.count > 256)
        s = lamina_fail(e, LAMINA_BAD_FILE, "%s: input '%s': expected at most 256 classes for ui8, found %" PRId64,
                        path, t->name, l->classes.count);
    if (s)
        return s;
    char *data = lamina_allocate((size_t)l->files.count, t->bytes);
    if (!data)
        return lamina_fail_memory(e, path, (size_t)l->files.count * t->bytes);
    fill_labels(l, t, data);
    s = lamina_add_field(d, input, path, data, l->files.count, e);
    if (!s) {
        d->store->fields[input].names = l->classes;
        l->classes = (lamina_words){0};
    }
    return s;
}

static lamina_status check(const lamina_image_options *o, int32_t count, lamina_error *e)
{
    if (count < 1 || (o->by_class && count > 1))
        return lamina_fail(e, LAMINA_BAD_ARG, "lamina_dataset_add_images: expected %s, found %" PRId32 " paths",
                           o->by_class ? "one folder" : "files or folders", count);
    if (o->label && !o->by_class)
        return lamina_fail(e, LAMINA_BAD_ARG, "input '%s': expected a folder for each class, as it is their number",
                           o->label);
    return LAMINA_OK;
}

lamina_status lamina_dataset_add_images(lamina_dataset *d, const char *const *paths, int32_t count,
                                        const lamina_image_options *o, int64_t *skipped, lamina_error *e)
{
    int32_t pixels, label;
    lamina_status s = lamina_need(e, "lamina_dataset_add_images", "d paths o", d, paths, o);
    if (!s)
        s = check(o, count, e);
    if (!s)
        s = find_input(d, o->pixels, is_image, "uint8 or float32 of [rows, columns] or [rows, columns, 1, 3 or 4]",
                       &pixels, e);
    if (!s)
        s = find_input(d, o->label, is_label, "int32 or uint8 of shape []", &label, e);
    if (s)
        return s;
    lamina_image_list l;
    s = lamina_image_list_make(paths, count, o, &l, e);
    if (!s && pixels >= 0)
        s = add_pixels(d, pixels, paths[0], &l, o->resize, e);
    if (!s && label >= 0)
        s = add_labels(d, label, paths[0], &l, e);
    if (skipped)
        *skipped = l.skipped;
    lamina_image_list_free(&l);
    return s;
}
