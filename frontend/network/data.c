/* frontend/network/data.c - the `data:` and `train:` sections. */
#include "frontend/network/network.h"
#include "frontend/network/sections.h"
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
    static const char *const known[] = {"idx", "npy", "npz", "raw", "csv", "tsv", "jsonl", "libsvm", "images"};
    if (!fe_expect_kind(r, y, "format", FE_SCALAR, "a word"))
        return false;
    set->format = y->word;
    size_t count = sizeof known / sizeof *known;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(y->word, known[i]))
            return true;
    return fe_unknown(r, y->at, "format", y->word, known, count);
}

/* An input of whole numbers, one an example. */
static bool read_stratify(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_option *o)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->ninputs + 1);
    if (!o->present)
        return true;
    set->stratify = o->word;
    for (int i = 0; i < n->ninputs; i++) {
        const fe_input *input = &n->inputs[i];
        known[i] = input->name;
        if (strcmp(known[i], o->word) != 0)
            continue;
        if (input->failed || (input->type.dtype != IR_F32 && input->type.rank == 1))
            return !input->failed;
        return fe_mismatch(r, o->at, "stratify", "an input of int32 or uint8 of shape []",
                           fe_describe_type(r->mem, &input->type));
    }
    return !fe_may_be_lost(n, o->word) && fe_unknown(r, o->at, "input", o->word, known, (size_t)n->ninputs);
}

const fe_kind fe_folds_keys = {.name = "folds",
                               .keys = {{"folds", FE_COUNT, FE_REQUIRED},
                                        {"fold", FE_WHOLE, FE_REQUIRED},
                                        {"stratify", FE_NAME, NULL},
                                        {"seed", FE_WHOLE, "0"}}};

/* {folds: 5, fold: 0}: every run has the same folds, whatever its seed. */
static bool read_fold(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *y)
{
    const fe_choice *c = fe_read_options(r, &fe_folds_keys, NULL, y);
    if (!c)
        return false;
    set->folds = fe_get_int(c, "folds");
    set->fold = fe_get_int(c, "fold");
    set->split_seed = fe_get_int(c, "seed");
    if (set->folds < 2)
        return fe_mismatch(r, fe_get(c, "folds")->at, "folds", "2 or more", "1");
    if (set->fold >= set->folds)
        return fe_mismatch(r, fe_get(c, "fold")->at, "fold", "a number below that of the folds, from 0",
                           arena_printf(r->mem, "%d of %d", (int)set->fold, (int)set->folds));
    set->split = 1 / (double)set->folds;
    return read_stratify(r, n, set, fe_get(c, "stratify"));
}

const fe_kind fe_split_keys = {
    .name = "split",
    .keys = {{"split", FE_FRACTION, FE_REQUIRED}, {"stratify", FE_NAME, NULL}, {"seed", FE_WHOLE, NULL}}};

static bool read_fraction(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *y)
{
    const fe_choice *c = fe_read_options(r, &fe_split_keys, NULL, y);
    if (!c)
        return false;
    set->split = fe_get_number(c, "split");
    if (fe_get(c, "seed")->present)
        set->split_seed = fe_get_int(c, "seed");
    return read_stratify(r, n, set, fe_get(c, "stratify"));
}

static bool read_split(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *y)
{
    bool folds = fe_yaml_find(y, "folds");
    if (set == &n->data[TRAIN])
        return fe_mismatch(r, set->loc, "train", "files (validation and test are split from them)",
                           folds ? "'folds'" : "'split'");
    if (fe_yaml_find(y, "format"))
        return fe_mismatch(r, set->loc, set_names[set - n->data], "a split or files", "both");
    return folds ? read_fold(r, n, set, y) : read_fraction(r, n, set, y);
}

/* {path: FILE, key: KEY} as the path FILE:KEY, and so in a list. NULL after an error. */
static fe_yaml *with_keys(fe_reader *r, const fe_yaml *y)
{
    static const fe_kind kind = {.name = "npz",
                                 .keys = {{"path", FE_PATH, FE_REQUIRED}, {"key", FE_NAME, FE_REQUIRED}}};
    fe_yaml *all = arena_make(r->mem, fe_yaml);
    *all = *y;
    if (y->kind == FE_LIST) {
        all->item = arena_new_array(r->mem, fe_yaml *, (size_t)y->count);
        for (int i = 0; i < y->count; i++)
            if (!(all->item[i] = with_keys(r, y->item[i])))
                return NULL;
    }
    if (y->kind != FE_MAP)
        return all;
    const fe_choice *c = fe_read_options(r, &kind, NULL, y);
    if (!c)
        return NULL;
    all->kind = FE_SCALAR;
    all->word = arena_printf(r->mem, "%s:%s", fe_get(c, "path")->word, fe_get(c, "key")->word);
    return all;
}

static bool read_field(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *key, const fe_yaml *y)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->ninputs + 2);
    if (!strcmp(key->word, "format"))
        return true;
    for (int i = 0; i < n->ninputs; i++) {
        known[i] = n->inputs[i].name;
        if (strcmp(known[i], key->word))
            continue;
        fe_data_field *f = &set->fields[set->field_count++];
        *f = (fe_data_field){.input = known[i], .loc = y->at};
        if (set->format && !strcmp(set->format, "npz") && !(y = with_keys(r, y)))
            return false;
        f->paths = fe_read_paths(r, n, y, key->word, &f->path_count);
        return f->paths;
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

static bool read_fields(fe_reader *r, const fe_network *n, fe_data_set *set, const char *name, const fe_yaml *y)
{
    bool ok = !y->broken;
    set->fields = arena_new_array(r->mem, fe_data_field, (size_t)n->ninputs + 1);
    for (int i = 0; i < y->count && !fe_enough(r); i++)
        ok &= read_field(r, n, set, y->key[i], y->item[i]);
    if (!ok)
        return false;
    if (!set->format)
        return fe_missing(r, set->loc, name, "format", "idx, npy, npz, raw, csv, tsv, jsonl, libsvm or images");
    for (int i = 0; i < n->ninputs; i++)
        if (!has_field(set, n->inputs[i].name))
            return fe_missing(r, set->loc, name, n->inputs[i].name, "the path of a file");
    return true;
}

/* A set is a part of train, or files for every input. */
static bool read_set(fe_reader *r, const fe_network *n, fe_data_set *set, const char *name, const fe_yaml *y,
                     const fe_yaml *train)
{
    *set = (fe_data_set){.present = true, .loc = y->at, .split_seed = set == &n->data[TEST] ? 0 : -1};
    if (!fe_expect_kind(r, y, name, FE_MAP, "a mapping of format and files"))
        return false;
    if (fe_yaml_find(y, "split") || fe_yaml_find(y, "folds"))
        return read_split(r, n, set, y);
    if (!(y = fe_read_records(r, n, set, y)))
        return false;
    const fe_yaml *format = fe_yaml_find(y, "format");
    if (format && !read_format(r, set, format))
        return false;
    if (set->format && !strcmp(set->format, "images"))
        return fe_read_images(r, n, set, y, train);
    if (!set->format || !fe_is_table(set->format))
        return read_fields(r, n, set, name, y);
    set->table = fe_read_table(r, n, y, n->data[TRAIN].table ? train : NULL);
    return set->table;
}

/* Classes are numbered by all words that there are: sets with files of their own might have others. */
static bool check_categories(fe_reader *r, const fe_network *n)
{
    for (int s = VALIDATION; s < SETS; s++)
        for (int k = TRAIN; n->data[s].table && k < SETS; k++)
            for (int i = 0; n->data[k].table && i < n->data[k].table->count; i++) {
                const fe_column *c = &n->data[k].table->columns[i];
                if (c->sorted)
                    return fe_mismatch(r, c->at, "categories", "a list of words, since two sets have files",
                                       arena_printf(r->mem, "the words of a file for '%s'", c->name));
            }
    return true;
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
        ok &= !set || read_set(r, n, &n->data[s], set_names[s], set, fe_yaml_find(y, "train"));
    }
    for (int s = VALIDATION; named && s < SETS; s++)
        if (n->data[s].split > 0 && !n->data[TRAIN].present)
            ok = named = fe_missing(r, n->data[s].loc, "data", "train", "the data to split");
    return ok && check_categories(r, n);
}

const fe_kind fe_train_keys = {.name = "train",
                               .keys = {{"epochs", FE_COUNT, "1"},
                                        {"batch", FE_COUNT, "128"},
                                        {"seed", FE_WHOLE, "0"},
                                        {"max_steps", FE_WHOLE, "0"},
                                        {"checkpoint_minutes", FE_POSITIVE, "5"},
                                        {"gradient_clip", FE_TREE, NULL},
                                        {"averaging", FE_TREE, NULL},
                                        {"accumulate", FE_COUNT, "1"},
                                        {"checkpoint_steps", FE_WHOLE, "0"},
                                        {"keep", FE_WHOLE, "0"},
                                        {"keep_best", FE_BOOL, "false"},
                                        {"early_stopping", FE_TREE, NULL},
                                        {"reduce_on_plateau", FE_TREE, NULL}}};

bool fe_read_train(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml none = {.kind = FE_SCALAR, .word = "", .at = n->at}, *y = fe_yaml_find(root, "train");
    const fe_choice *c = fe_read_options(r, &fe_train_keys, NULL, y ? y : &none);
    if (!c)
        return false;
    n->train = (fe_train){.epochs = fe_get_int(c, "epochs"),
                          .batch = fe_get_int(c, "batch"),
                          .accumulate = fe_get_int(c, "accumulate"),
                          .seed = fe_get_int(c, "seed"),
                          .max_steps = fe_get_int(c, "max_steps"),
                          .checkpoint_minutes = fe_get_number(c, "checkpoint_minutes"),
                          .checkpoint_steps = fe_get_int(c, "checkpoint_steps"),
                          .keep = fe_get_int(c, "keep"),
                          .keep_best = fe_get_bool(c, "keep_best"),
                          .loc = c->at};
    bool ok = fe_read_clip(r, n, c);
    ok &= fe_read_averaging(r, n, c);
    return fe_read_watches(r, c, &n->train) && ok;
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
