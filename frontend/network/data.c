/* frontend/network/data.c - the `data:` and `train:` sections. */
#include "frontend/network/network.h"
#include <string.h>

static const char *const set_names[] = {"train", "validation", "test"};

enum { TRAIN, VALIDATION, TEST, SETS };

const char *fe_beside_yaml(fe_reader *r, const char *yaml, const char *path)
{
    const char *slash = strrchr(yaml, '/');
    if (path[0] == '/' || !slash)
        return path;
    return arena_printf(r->mem, "%.*s/%s", (int)(slash - yaml), yaml, path);
}

static bool read_format(fe_reader *r, fe_data_set *set, const fe_yaml *y)
{
    static const char *const known[] = {"idx", "npy", "csv"};
    if (!fe_expect_kind(r, y, "format", FE_SCALAR, "a word"))
        return false;
    set->format = y->word;
    if (!strcmp(y->word, "npy") || !strcmp(y->word, "csv"))
        return fe_later(r, y->at, "format", y->word);
    return !strcmp(y->word, "idx") || fe_unknown(r, y->at, "format", y->word, known, 3);
}

static bool read_split(fe_reader *r, fe_data_set *set, const fe_yaml *y)
{
    static const fe_kind split = {.name = "split", .short_key = "split", .keys = {{"split", FE_FRACTION, NULL}}};
    const fe_choice *c = fe_read_options(r, &split, NULL, y);
    if (!c)
        return false;
    set->split = fe_get_number(c, "split");
    return set->split > 0 || fe_mismatch(r, y->at, "split", "a number above 0, below 1", fe_yaml_describe(y, r->mem));
}

static bool read_field(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *key, const fe_yaml *y)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->ninputs + 2);
    for (int i = 0; i < n->ninputs; i++) {
        known[i] = n->inputs[i].name;
        if (strcmp(known[i], key->word))
            continue;
        if (!fe_expect_kind(r, y, key->word, FE_SCALAR, "the path of a file"))
            return false;
        if (!*y->word)
            return fe_mismatch(r, y->at, key->word, "the path of a file", "nothing");
        set->fields[set->field_count++] = (fe_data_field){known[i], fe_beside_yaml(r, n->path, y->word), y->at};
        return true;
    }
    if (fe_may_be_lost(n, key->word))
        return false;
    known[n->ninputs] = "format";
    known[n->ninputs + 1] = "split";
    return fe_unknown(r, key->at, "data: key", key->word, known, (size_t)n->ninputs + 2);
}

static bool has_field(const fe_data_set *set, const char *input)
{
    for (int i = 0; i < set->field_count; i++)
        if (!strcmp(set->fields[i].input, input))
            return true;
    return false;
}

/* A set is a part of train, or files for every input. */
static bool check_set(fe_reader *r, const fe_network *n, const fe_data_set *set, const char *name)
{
    if (set->split > 0) {
        if (set != &n->data[VALIDATION])
            return fe_mismatch(r, set->loc, name, "files (split is for validation)", "'split'");
        if (set->format || set->field_count)
            return fe_mismatch(r, set->loc, name, "a split or files", "both");
        return true;
    }
    if (!set->format)
        return fe_missing(r, set->loc, name, "format", "idx");
    for (int i = 0; i < n->ninputs; i++)
        if (!has_field(set, n->inputs[i].name))
            return fe_missing(r, set->loc, name, n->inputs[i].name, "the path of a file");
    return true;
}

static bool read_set(fe_reader *r, const fe_network *n, fe_data_set *set, const char *name, const fe_yaml *y)
{
    *set = (fe_data_set){.present = true, .loc = y->at};
    set->fields = arena_new_array(r->mem, fe_data_field, (size_t)n->ninputs + 1);
    if (!fe_expect_kind(r, y, name, FE_MAP, "a mapping of format and files"))
        return false;
    bool ok = !y->broken;
    for (int i = 0; i < y->count && !fe_enough(r); i++) {
        const fe_yaml *key = y->key[i], *value = y->item[i];
        ok &= !strcmp(key->word, "format")  ? read_format(r, set, value)
              : !strcmp(key->word, "split") ? read_split(r, set, value)
                                            : read_field(r, n, set, key, value);
    }
    return ok && check_set(r, n, set, name);
}

bool fe_read_data(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml *y = fe_yaml_find(root, "data");
    if (!y)
        return true;
    if (!fe_expect_kind(r, y, "data", FE_MAP, "a mapping of train, validation and test"))
        return false;
    bool ok = true;
    for (int i = 0; i < y->count && !fe_enough(r); i++) {
        bool known = false;
        for (int s = 0; s < SETS; s++)
            known |= !strcmp(y->key[i]->word, set_names[s]);
        ok &= known || fe_unknown(r, y->key[i]->at, "data: key", y->key[i]->word, set_names, SETS);
    }
    bool named = ok && !y->broken;
    for (int s = 0; s < SETS; s++) {
        const fe_yaml *set = fe_yaml_find(y, set_names[s]);
        ok &= !set || read_set(r, n, &n->data[s], set_names[s], set);
    }
    if (named && n->data[VALIDATION].split > 0 && !n->data[TRAIN].present)
        ok = fe_missing(r, n->data[VALIDATION].loc, "data", "train", "the data to split");
    return ok;
}

bool fe_read_train(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    static const fe_kind train = {.name = "train",
                                  .keys = {{"epochs", FE_COUNT, "1"},
                                           {"batch", FE_COUNT, "128"},
                                           {"seed", FE_WHOLE, "0"},
                                           {"max_steps", FE_WHOLE, "0"},
                                           {"checkpoint_minutes", FE_POSITIVE, "5"},
                                           {"gradient_clip", FE_POSITIVE, NULL},
                                           {"accumulate", FE_LATER, NULL},
                                           {"early_stopping", FE_LATER, NULL}}};
    const fe_yaml none = {.kind = FE_SCALAR, .word = "", .at = n->at}, *y = fe_yaml_find(root, "train");
    const fe_choice *c = fe_read_options(r, &train, NULL, y ? y : &none);
    if (!c)
        return false;
    n->train = (fe_train){.epochs = fe_get_int(c, "epochs"),
                          .batch = fe_get_int(c, "batch"),
                          .seed = fe_get_int(c, "seed"),
                          .max_steps = fe_get_int(c, "max_steps"),
                          .checkpoint_minutes = fe_get_number(c, "checkpoint_minutes"),
                          .loc = c->at};
    const fe_option *clip = fe_get(c, "gradient_clip");
    n->gradient_clip = clip->present ? clip : NULL;
    return true;
}

const fe_data_set *fe_data(const fe_network *n, const char *which)
{
    for (int s = 0; s < SETS; s++)
        if (!strcmp(which, set_names[s]))
            return &n->data[s];
    ir_bug("no data set is called '%s'", which);
}

const fe_train *fe_train_options(const fe_network *n)
{
    return &n->train;
}
