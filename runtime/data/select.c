/* runtime/data/select.c - some of a data set's records: those of certain classes, or the first ones; and the order in
 * which training takes them. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/data/store.h"
#include <inttypes.h>
#include <string.h>

/* No other data set may look at the records, whose labels change. */
static lamina_status check_whole(const lamina_dataset *d, const char *what, lamina_error *e)
{
    if (d->store->views == 1 && !d->make)
        return LAMINA_OK;
    return lamina_fail(e, LAMINA_BAD_ARG, "%s: expected a data set that was not split, found one that was", what);
}

static int32_t find_value(const int64_t *values, int32_t count, int64_t value)
{
    for (int32_t i = 0; i < count; i++)
        if (values[i] == value)
            return i;
    return -1;
}

static lamina_status check_select(const lamina_dataset *d, const char *name, const int64_t *values, int32_t count,
                                  int32_t *input, lamina_error *e)
{
    lamina_status s = lamina_find_field(d, name, input, e);
    if (s)
        return s;
    const lamina_tensor *t = &d->net->inputs[*input];
    const lamina_field *f = &d->store->fields[*input];
    if (lamina_is_real(t->dtype) || t->bytes != lamina_dtype_bytes(t->dtype) || !f->data || f->lent || f->order)
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "input '%s': expected classes to select by, one integer a record, found %s", name,
                           f->data ? "other values" : "no data");
    if (count < 1 || count > 256)
        return lamina_fail(e, LAMINA_BAD_ARG, "input '%s': expected 1 to 256 values to keep, found %" PRId32, name,
                           count);
    for (int32_t i = 0; i < count; i++)
        if (find_value(values, i, values[i]) >= 0)
            return lamina_fail(e, LAMINA_BAD_ARG, "input '%s': expected values that differ, found %" PRId64 " twice",
                               name, values[i]);
    return check_whole(d, name, e);
}

/* The numbers of the records that are kept go to 'order'; *missing is the first value that no record has, or -1. */
static int64_t keep(const lamina_dataset *d, int32_t input, const int64_t *values, int32_t count, int64_t *order,
                    int32_t *missing)
{
    bool seen[256] = {false};
    int64_t kept = 0;
    const lamina_tensor *t = &d->net->inputs[input];
    for (int64_t i = 0; i < d->count; i++) {
        int64_t at = lamina_order(d, i);
        int32_t k = find_value(values, count, lamina_integer_at(t->dtype, lamina_record(d, input, at), 0));
        if (k < 0)
            continue;
        seen[k] = true;
        order[kept++] = at;
    }
    *missing = 0;
    while (*missing < count && seen[*missing])
        ++*missing;
    *missing = *missing < count ? *missing : -1;
    return kept;
}

static void renumber(const lamina_dataset *d, int32_t input, const int64_t *values, int32_t count, int64_t at)
{
    const lamina_tensor *t = &d->net->inputs[input];
    char *value = (char *)lamina_record(d, input, at); /* of the store's own, or of a private mapping */
    int64_t k = find_value(values, count, lamina_integer_at(t->dtype, value, 0));
    memcpy(value, &k, t->bytes); /* little-endian, as everything that generated code reads */
}

/* The classes' names in their new order; classes that had none have none. */
static lamina_status choose_names(const lamina_words *from, const int64_t *values, int32_t count, lamina_words *out,
                                  lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && from->count && i < count; i++)
        s = lamina_words_insert(out, i, from->word[values[i]], e); /* each value was seen, so that it has a name */
    return s;
}

lamina_status lamina_dataset_select(lamina_dataset *d, const char *name, const int64_t *values, int32_t count,
                                    lamina_error *e)
{
    int32_t input, missing;
    lamina_status s = lamina_need(e, "lamina_dataset_select", "d name values", d, name, values);
    if (!s)
        s = check_select(d, name, values, count, &input, e);
    if (s)
        return s;
    int64_t *order = lamina_allocate((size_t)d->count, sizeof *order);
    if (!order)
        return lamina_fail_memory(e, "a selection", (size_t)d->count * sizeof *order);
    int64_t kept = keep(d, input, values, count, order, &missing);
    lamina_words names = {0};
    if (missing >= 0)
        s = lamina_fail(e, LAMINA_BAD_FILE, "%s: input '%s': expected records with the value %" PRId64 ", found none",
                        d->store->fields[input].source, name, values[missing]);
    if (!s)
        s = choose_names(&d->store->fields[input].names, values, count, &names, e);
    if (s) {
        lamina_words_free(&names);
        lamina_release(order);
        return s;
    }
    for (int64_t i = 0; i < kept; i++)
        renumber(d, input, values, count, order[i]);
    lamina_words_free(&d->store->fields[input].names);
    d->store->fields[input].names = names;
    lamina_release(d->order);
    d->order = order;
    d->count = kept;
    return LAMINA_OK;
}

lamina_status lamina_dataset_take(lamina_dataset *d, int64_t count, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_dataset_take", "d", d);
    if (s)
        return s;
    if (count < 1 || count > d->count)
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "take: expected 1 to %" PRId64 ", the records that there are, found %" PRId64, d->count,
                           count);
    int64_t *order = lamina_allocate((size_t)count, sizeof *order);
    if (!order)
        return lamina_fail_memory(e, "a selection", (size_t)count * sizeof *order);
    for (int64_t i = 0; i < count; i++)
        order[i] = lamina_order(d, i);
    lamina_release(d->order);
    d->order = order;
    d->count = count;
    return LAMINA_OK;
}

lamina_status lamina_dataset_set_window(lamina_dataset *d, int64_t window, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_dataset_set_window", "d", d);
    if (!s && window < 0)
        s = lamina_fail(e, LAMINA_BAD_ARG, "shuffle: expected a window of 0 or more records, found %" PRId64, window);
    if (!s)
        d->window = window;
    return s;
}

lamina_status lamina_dataset_set_balance(lamina_dataset *d, const char *name, lamina_error *e)
{
    int32_t input;
    lamina_status s = lamina_need(e, "lamina_dataset_set_balance", "d name", d, name);
    if (!s && d->window)
        s = lamina_fail(e, LAMINA_BAD_ARG, "balance: expected no window of a shuffle, found %" PRId64, d->window);
    if (!s && !(s = lamina_find_classes(d, name, &input, e))) {
        d->balance = input;
        d->balanced = d;
    }
    return s;
}
