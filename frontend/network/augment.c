/* frontend/network/augment.c - `augment` of the training data: how records are changed at random.
 *
 *     train: {format: idx, image: i.gz, label: l.gz, augment: {flip: horizontal, crop: 2, rotate: 10}} */
#include "frontend/network/network.h"
#include "frontend/network/sections.h"
#include <string.h>

const fe_kind fe_augment_keys = {.name = "augment",
                                 .keys = {{"images", FE_NAMES, NULL},
                                          {"masks", FE_NAMES, NULL},
                                          {"flip", FE_NAME, NULL},
                                          {"crop", FE_WHOLE, "0"},
                                          {"shift", FE_NOT_NEGATIVE, "0"},
                                          {"rotate", FE_NOT_NEGATIVE, "0"},
                                          {"zoom", FE_NOT_NEGATIVE, "0"},
                                          {"shear", FE_NOT_NEGATIVE, "0"},
                                          {"fill", FE_NAME, "constant"},
                                          {"fill_value", FE_NUMBER, "0"},
                                          {"brightness", FE_NOT_NEGATIVE, "0"},
                                          {"contrast", FE_NOT_NEGATIVE, "0"},
                                          {"saturation", FE_NOT_NEGATIVE, "0"},
                                          {"noise", FE_NOT_NEGATIVE, "0"},
                                          {"cutout", FE_WHOLE, "0"},
                                          {"mixup", FE_NOT_NEGATIVE, "0"}}};

/* The number of a word among those known, which is told to *out; an option that is absent leaves it. */
static bool read_word(fe_reader *r, const fe_option *o, const char *const *known, int count, int *out)
{
    for (int i = 0; o->present && i < count; i++)
        if (!strcmp(o->word, known[i])) {
            *out = i;
            return true;
        }
    return !o->present || fe_unknown(r, o->at, o->key->name, o->word, known, (size_t)count);
}

static bool check_names(fe_reader *r, const fe_network *n, const fe_option *o)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->ninputs + 1);
    bool ok = true;
    for (int i = 0; i < n->ninputs; i++)
        known[i] = n->inputs[i].name;
    for (int k = 0; o->present && k < o->count; k++) {
        bool found = fe_may_be_lost(n, o->names[k]);
        for (int i = 0; i < n->ninputs; i++)
            found |= !strcmp(known[i], o->names[k]);
        ok &= found || fe_unknown(r, o->name_at[k], "input", o->names[k], known, (size_t)n->ninputs);
    }
    return ok;
}

const fe_augment *fe_read_augment(fe_reader *r, const fe_network *n, const fe_yaml *y)
{
    static const char *const flips[] = {"horizontal", "vertical", "horizontal_and_vertical"};
    static const char *const fills[] = {"constant", "nearest", "reflect"};
    const fe_choice *c = fe_read_options(r, &fe_augment_keys, NULL, y);
    if (!c)
        return NULL;
    fe_augment *a = arena_make(r->mem, fe_augment);
    int flip = -1;
    bool ok = read_word(r, fe_get(c, "flip"), flips, 3, &flip);
    ok &= read_word(r, fe_get(c, "fill"), fills, 3, &a->fill);
    ok &= check_names(r, n, fe_get(c, "images"));
    ok &= check_names(r, n, fe_get(c, "masks"));
    a->at = y->at;
    a->images = fe_get(c, "images")->names;
    a->image_count = fe_get(c, "images")->count;
    a->masks = fe_get(c, "masks")->names;
    a->mask_count = fe_get(c, "masks")->count;
    a->flip_horizontal = flip == 0 || flip == 2;
    a->flip_vertical = flip == 1 || flip == 2;
    a->crop = fe_get_int(c, "crop");
    a->shift = fe_get_number(c, "shift");
    a->rotate = fe_get_number(c, "rotate");
    a->zoom = fe_get_number(c, "zoom");
    a->shear = fe_get_number(c, "shear");
    a->fill_value = fe_get_number(c, "fill_value");
    a->brightness = fe_get_number(c, "brightness");
    a->contrast = fe_get_number(c, "contrast");
    a->saturation = fe_get_number(c, "saturation");
    a->noise = fe_get_number(c, "noise");
    a->cutout = fe_get_int(c, "cutout");
    a->mixup = fe_get_number(c, "mixup");
    return ok ? a : NULL;
}
