/* frontend/network/images.c - data in folders of pictures: a folder a class.
 *
 *     train: {format: images, path: flowers, image: pixels, label: class, resize: bilinear}
 *
 * Each input is named with what it holds of a picture. */
#include "frontend/network/network.h"
#include <string.h>

static const char *const contents[] = {"pixels", "class"};
static const char *const own_keys[] = {"format", "path", "classes", "resize"};
enum { CONTENTS = 2, OWN_KEYS = 4 };

static bool is_picture(const ir_type *t)
{
    int64_t channels = t->rank == 4 ? t->dim[3].n : 1;
    return t->dtype != IR_I32 && (t->rank == 3 || t->rank == 4) && (channels == 1 || channels == 3 || channels == 4);
}

static bool check_type(fe_reader *r, const fe_input *input, const char *content, const fe_yaml *y)
{
    bool pixels = !strcmp(content, contents[0]);
    if (input->failed || (pixels ? is_picture(&input->type) : input->type.dtype != IR_F32 && input->type.rank == 1))
        return !input->failed;
    return fe_mismatch(r, y->at, content,
                       pixels ? "an input of uint8 or float32 of shape [rows, columns] or [rows, columns, 1, 3 or 4]"
                              : "an input of int32 or uint8 of shape []",
                       fe_describe_type(r->mem, &input->type));
}

static bool read_input(fe_reader *r, fe_data_set *set, const fe_input *input, const fe_yaml *y)
{
    if (!fe_expect_kind(r, y, input->name, FE_SCALAR, "pixels or class"))
        return false;
    for (int i = 0; i < CONTENTS; i++) {
        if (strcmp(y->word, contents[i]) != 0)
            continue;
        fe_data_field *f = &set->fields[set->field_count++];
        *f = (fe_data_field){.input = input->name, .loc = y->at};
        f->paths = arena_make(r->mem, const char *);
        f->paths[0] = contents[i];
        f->path_count = 1;
        return check_type(r, input, contents[i], y);
    }
    return fe_unknown(r, y->at, arena_printf(r->mem, "%s: content", input->name), y->word, contents, CONTENTS);
}

static bool is_own_key(const char *word)
{
    for (int i = 0; i < OWN_KEYS; i++)
        if (!strcmp(word, own_keys[i]))
            return true;
    return false;
}

static bool read_key(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *key, const fe_yaml *y)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->ninputs + OWN_KEYS);
    if (is_own_key(key->word))
        return true;
    for (int i = 0; i < n->ninputs; i++) {
        known[i] = n->inputs[i].name;
        if (!strcmp(known[i], key->word))
            return read_input(r, set, &n->inputs[i], y);
    }
    memcpy(known + n->ninputs, own_keys, sizeof own_keys);
    return !fe_may_be_lost(n, key->word) &&
           fe_unknown(r, key->at, "images: key", key->word, known, (size_t)n->ninputs + OWN_KEYS);
}

static bool read_inputs(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *y)
{
    bool ok = !y->broken;
    set->fields = arena_new_array(r->mem, fe_data_field, (size_t)y->count + 1);
    for (int i = 0; i < y->count && !fe_enough(r); i++)
        ok &= read_key(r, n, set, y->key[i], y->item[i]);
    for (int i = 0; ok && i < n->ninputs; i++)
        if (!fe_yaml_find(y, n->inputs[i].name))
            return fe_missing(r, set->loc, "images", n->inputs[i].name, "pixels or class, what the input holds");
    return ok;
}

static bool read_classes(fe_reader *r, fe_images *images, const fe_yaml *y)
{
    static const char expected[] = "a list of folders that differ";
    if (!fe_expect_kind(r, y, "classes", FE_LIST, expected))
        return false;
    images->classes = arena_new_array(r->mem, const char *, (size_t)y->count + 1);
    for (int i = 0; i < y->count; i++) {
        const fe_yaml *item = y->item[i];
        if (!fe_expect_kind(r, item, "classes", FE_SCALAR, "the name of a folder"))
            return false;
        for (int k = 0; k < i; k++)
            if (!strcmp(images->classes[k], item->word))
                return fe_mismatch(r, item->at, "classes", expected, fe_yaml_describe(item, r->mem));
        images->classes[images->class_count++] = item->word;
    }
    return images->class_count || fe_mismatch(r, y->at, "classes", expected, "[]");
}

static bool read_resize(fe_reader *r, fe_images *images, const fe_yaml *y)
{
    static const char *const known[] = {"bilinear", "nearest"};
    if (!fe_expect_kind(r, y, "resize", FE_SCALAR, "bilinear or nearest"))
        return false;
    for (int i = 0; i < 2; i++)
        if (!strcmp(y->word, known[i])) {
            images->resize = i + 1;
            return true;
        }
    return fe_unknown(r, y->at, "resize", y->word, known, 2);
}

static bool read_path(fe_reader *r, const fe_network *n, fe_images *images, const fe_yaml *y, src_loc at)
{
    if (!y)
        return fe_missing(r, at, "images", "path", "a folder that holds a folder for each class");
    images->at = y->at;
    if (!fe_expect_kind(r, y, "path", FE_SCALAR, "the path of a folder"))
        return false;
    images->path = fe_beside_yaml(r, n->path, y->word);
    return *y->word || fe_mismatch(r, y->at, "path", "the path of a folder", "nothing");
}

static bool has_class(const fe_data_set *set)
{
    for (int i = 0; i < set->field_count; i++)
        if (!strcmp(set->fields[i].paths[0], contents[1]))
            return true;
    return false;
}

bool fe_read_images(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *y, const fe_yaml *above)
{
    const fe_images *train = set == &n->data[0] ? NULL : n->data[0].images;
    const fe_yaml *both = train ? fe_with_keys_of(r, y, above) : y;
    const fe_yaml *classes = fe_yaml_find(both, "classes"), *resize = fe_yaml_find(both, "resize");
    fe_images *images = arena_make(r->mem, fe_images);
    bool ok = read_path(r, n, images, fe_yaml_find(both, "path"), set->loc) && read_inputs(r, n, set, both);
    ok &= !classes || read_classes(r, images, classes);
    ok &= !resize || read_resize(r, images, resize);
    images->by_class = classes || has_class(set);
    if (train && !images->classes)
        images->classes_of = train->path;
    set->images = images;
    return ok;
}
