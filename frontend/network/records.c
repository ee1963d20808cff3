/* frontend/network/records.c - `only` and `take`: which of its files' records a data set has; `shuffle` and
 * `balance`, in which order and how often training takes them, and `augment`, how it changes them.
 *
 *     train: {format: idx, image: i.gz, label: l.gz, only: {label: [5, 6, 9]}, take: 250}
 *
 * Records with these labels stay, which are then 0, 1 and 2; of them the first 250. */
#include "frontend/network/network.h"
#include <string.h>

enum { MOST_CLASSES = 256 };

static bool read_class(fe_reader *r, fe_records *records, const fe_yaml *y)
{
    static const fe_kind kind = {.name = "only", .short_key = "only", .keys = {{"only", FE_WHOLE, FE_REQUIRED}}};
    const fe_choice *c = fe_read_options(r, &kind, NULL, y);
    if (!c)
        return false;
    int64_t value = fe_get_int(c, "only");
    for (int i = 0; i < records->count; i++)
        if (records->values[i] == value)
            return fe_mismatch(r, y->at, "only", "values that differ", fe_yaml_describe(y, r->mem));
    records->values[records->count++] = value;
    return true;
}

static bool find_input(fe_reader *r, const fe_network *n, const char *what, const fe_yaml *key)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->ninputs + 1);
    for (int i = 0; i < n->ninputs; i++) {
        const fe_input *input = &n->inputs[i];
        known[i] = input->name;
        if (strcmp(input->name, key->word) != 0)
            continue;
        if (input->failed || (input->type.dtype != IR_F32 && input->type.rank == 1))
            return !input->failed;
        return fe_mismatch(r, key->at, what, "an input of int32 or uint8 of shape []",
                           fe_describe_type(r->mem, &input->type));
    }
    return !fe_may_be_lost(n, key->word) && fe_unknown(r, key->at, "input", key->word, known, (size_t)n->ninputs);
}

static bool read_only(fe_reader *r, const fe_network *n, fe_records *records, const fe_yaml *y)
{
    if (y->kind != FE_MAP || y->count != 1 || y->item[0]->kind != FE_LIST || !y->item[0]->count ||
        y->item[0]->count > MOST_CLASSES)
        return y->broken ||
               fe_mismatch(r, y->at, "only", "one input with a list of up to 256 values", fe_yaml_describe(y, r->mem));
    const fe_yaml *list = y->item[0];
    records->input = y->key[0]->word;
    records->values = arena_new_array(r->mem, int64_t, (size_t)list->count);
    bool ok = find_input(r, n, "only", y->key[0]);
    for (int i = 0; i < list->count && !fe_enough(r); i++)
        ok &= read_class(r, records, list->item[i]);
    return ok;
}

static bool read_take(fe_reader *r, fe_records *records, const fe_yaml *y)
{
    static const fe_kind kind = {.name = "take", .short_key = "take", .keys = {{"take", FE_COUNT, FE_REQUIRED}}};
    const fe_choice *c = fe_read_options(r, &kind, NULL, y);
    records->take = c ? fe_get_int(c, "take") : 0;
    return c;
}

static bool read_shuffle(fe_reader *r, const fe_network *n, const fe_data_set *set, fe_records *records,
                         const fe_yaml *y)
{
    static const fe_kind kind = {.name = "shuffle", .keys = {{"window", FE_COUNT, FE_REQUIRED}}};
    if (set != &n->data[0])
        return fe_mismatch(r, y->at, "shuffle", "records to train on: it is a key of train", "another set");
    const fe_choice *c = fe_read_options(r, &kind, NULL, y);
    records->window = c ? fe_get_int(c, "window") : 0;
    return c;
}

static bool read_balance(fe_reader *r, const fe_network *n, const fe_data_set *set, fe_records *records,
                         const fe_yaml *y)
{
    if (set != &n->data[0])
        return fe_mismatch(r, y->at, "balance", "records to train on: it is a key of train", "another set");
    if (records->window)
        return fe_mismatch(r, y->at, "balance", "a shuffle of all records", "one with a window");
    records->balance = y->word;
    return fe_expect_kind(r, y, "balance", FE_SCALAR, "an input") && find_input(r, n, "balance", y);
}

bool fe_is_records_key(const char *word)
{
    static const char *const keys[] = {"only", "take", "shuffle", "balance", "augment"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(word, keys[i]))
            return true;
    return false;
}

/* The keys that are not of records. */
static const fe_yaml *other_keys(fe_reader *r, const fe_yaml *y)
{
    fe_yaml *rest = arena_make(r->mem, fe_yaml);
    *rest = *y;
    rest->key = arena_new_array(r->mem, fe_yaml *, (size_t)y->count);
    rest->item = arena_new_array(r->mem, fe_yaml *, (size_t)y->count);
    rest->count = 0;
    for (int i = 0; i < y->count; i++)
        if (!fe_is_records_key(y->key[i]->word)) {
            rest->key[rest->count] = y->key[i];
            rest->item[rest->count++] = y->item[i];
        }
    return rest;
}

const fe_yaml *fe_read_records(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *y)
{
    const fe_yaml *only = fe_yaml_find(y, "only"), *take = fe_yaml_find(y, "take"),
                  *shuffle = fe_yaml_find(y, "shuffle"), *balance = fe_yaml_find(y, "balance"),
                  *change = fe_yaml_find(y, "augment");
    if (!only && !take && !shuffle && !balance && !change)
        return y;
    fe_records *records = arena_make(r->mem, fe_records);
    if (only || take || shuffle || balance) {
        records->at = (only ? only : take ? take : shuffle ? shuffle : balance)->at;
        set->records = records;
    }
    bool ok = !only || read_only(r, n, records, only);
    ok &= !take || read_take(r, records, take);
    ok &= !shuffle || read_shuffle(r, n, set, records, shuffle);
    ok &= !balance || read_balance(r, n, set, records, balance);
    if (change && set != &n->data[0])
        ok = fe_mismatch(r, change->at, "augment", "the training data, which alone is changed", "another set");
    else if (change)
        ok &= (set->augment = fe_read_augment(r, n, change)) != NULL;
    return ok ? other_keys(r, y) : NULL;
}
