/* runtime/data/data.c - data sets in memory.
 *
 * A data set is an order of records that lie in a store. A split gives a second data set over the same store, which
 * lives until its last data set is freed. */
#include "runtime/data/data.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/data/augment.h"
#include "runtime/data/store.h"
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

/* ---- life ---- */

void lamina_release_field(lamina_field *f)
{
    for (int32_t i = 0; i < f->piece_count; i++) {
        lamina_array x = {.data = f->pieces[i].data, .map = f->pieces[i].map, .map_bytes = f->pieces[i].map_bytes};
        lamina_array_release(&x);
        lamina_release(f->pieces[i].source);
    }
    if (!f->pieces)
        lamina_release(f->data);
    lamina_release(f->pieces);
    lamina_release(f->source);
    lamina_words_free(&f->names);
}

static void release_store(lamina_store *s)
{
    if (!s || --s->views > 0)
        return;
    for (int32_t i = 0; i < s->inputs; i++)
        if (!s->fields[i].lent)
            lamina_release_field(&s->fields[i]);
    lamina_release(s);
}

void lamina_dataset_free(lamina_dataset *d)
{
    if (!d)
        return;
    release_store(d->store);
    lamina_release(d->order);
    lamina_augment_free(d->augment);
    lamina_release(d);
}

lamina_status lamina_dataset_new(const lamina_net *net, lamina_dataset **out, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_dataset_new", "out", out);
    if (status)
        return status;
    *out = NULL;
    if (!net)
        return lamina_net_check(net, e);
    size_t bytes = sizeof(lamina_store) + (size_t)net->input_count * sizeof(lamina_field);
    lamina_dataset *d = lamina_allocate(1, sizeof *d);
    lamina_store *s = lamina_allocate(1, bytes);
    if (!d || !s) {
        lamina_release(d);
        lamina_release(s);
        return lamina_fail_memory(e, "a data set", bytes);
    }
    s->views = 1;
    s->inputs = net->input_count;
    d->net = net;
    d->store = s;
    *out = d;
    return LAMINA_OK;
}

/* ---- adding ---- */

lamina_status lamina_find_field(const lamina_dataset *d, const char *name, int32_t *out, lamina_error *e)
{
    *out = lamina_net_input(d->net, name);
    if (*out < 0)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: no input '%s'", d->net->name, name);
    return LAMINA_OK;
}

lamina_status lamina_check_new(const lamina_dataset *d, int32_t input, const char *source, int64_t count,
                               lamina_error *e)
{
    const char *name = d->net->inputs[input].name;
    if (d->store->fields[input].data)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: input '%s' already has data from %s", source, name,
                           d->store->fields[input].source);
    if (d->order)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: input '%s': a data set that was split takes no more data", source,
                           name);
    if (count < 1)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: input '%s': expected 1 or more records, found %" PRId64, source,
                           name, count);
    if (d->store->count && d->store->count != count)
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: input '%s': expected %" PRId64 " records as the other inputs have, found %" PRId64,
                           source, name, d->store->count, count);
    return LAMINA_OK;
}

lamina_status lamina_add_field(lamina_dataset *d, int32_t input, const char *source, void *data, int64_t count,
                               lamina_error *e)
{
    char *copy = lamina_copy_text(source);
    if (!copy) {
        lamina_release(data);
        return lamina_fail_memory(e, source, strlen(source) + 1);
    }
    d->store->fields[input] = (lamina_field){.data = data, .source = copy};
    d->store->count = d->count = count;
    return LAMINA_OK;
}

lamina_status lamina_dataset_add(lamina_dataset *d, const char *name, const void *records, int64_t count,
                                 lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_dataset_add", "d name records", d, name, records);
    if (s)
        return s;
    int32_t input;
    s = lamina_find_field(d, name, &input, e);
    if (!s)
        s = lamina_check_new(d, input, "memory", count, e);
    if (s)
        return s;
    uint64_t bytes = d->net->inputs[input].bytes;
    void *data = lamina_allocate((size_t)count, bytes);
    if (!data)
        return lamina_fail_memory(e, name, (size_t)count * bytes);
    memcpy(data, records, (size_t)count * bytes);
    return lamina_add_field(d, input, "memory", data, count, e);
}

/* ---- looking ---- */

const lamina_piece *lamina_find_piece(const lamina_field *f, int64_t at)
{
    int32_t low = 0, high = f->piece_count;
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        *(f->pieces[middle].first <= at ? &low : &high) = middle;
    }
    return &f->pieces[low];
}

const char *lamina_place_of(const lamina_dataset *d, int32_t input, int64_t at, int64_t *record)
{
    const lamina_field *f = &d->store->fields[input];
    at = lamina_lies_at(d, input, at);
    const lamina_piece *p = f->pieces ? lamina_find_piece(f, at) : NULL;
    *record = p ? at - p->first : at;
    return p ? p->source : f->source;
}

int64_t lamina_dataset_count(const lamina_dataset *d)
{
    return d->count;
}

const void *lamina_dataset_record(const lamina_dataset *d, int32_t input, int64_t i)
{
    if (input < 0 || input >= d->store->inputs || i < 0 || i >= d->count || !d->store->fields[input].data)
        return NULL;
    return lamina_record(d, input, lamina_order(d, i));
}

const char *lamina_dataset_name(const lamina_dataset *d, int32_t input, int64_t i)
{
    if (input < 0 || input >= d->store->inputs)
        return NULL;
    const lamina_words *names = &d->store->fields[input].names;
    return i >= 0 && i < names->count ? names->word[i] : NULL;
}

int64_t lamina_integer_at(int32_t dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case LAMINA_I32:
        return ((const int32_t *)data)[i];
    case LAMINA_I64:
        return ((const int64_t *)data)[i];
    case LAMINA_UI32:
        return ((const uint32_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

lamina_status lamina_dataset_check_labels(const lamina_dataset *d, const char *name, int64_t classes, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_dataset_check_labels", "d name", d, name);
    if (s)
        return s;
    int32_t input;
    s = lamina_find_field(d, name, &input, e);
    if (s)
        return s;
    if (classes < 1)
        return lamina_fail(e, LAMINA_BAD_ARG, "input '%s': classes: expected 1 or more, found %" PRId64, name, classes);
    const lamina_tensor *t = &d->net->inputs[input];
    const lamina_field *f = &d->store->fields[input];
    if (lamina_is_real(t->dtype) || !f->data)
        return lamina_fail(e, LAMINA_BAD_ARG, "input '%s': expected integer labels, found %s", name,
                           f->data ? lamina_dtype_name(t->dtype) : "no data");
    int64_t each = (int64_t)(t->bytes / lamina_dtype_bytes(t->dtype));
    for (int64_t i = 0; i < d->count * each; i++) {
        int64_t at = lamina_order(d, i / each), v = lamina_integer_at(t->dtype, lamina_record(d, input, at), i % each);
        if (v >= 0 && v < classes)
            continue;
        const char *source = lamina_place_of(d, input, at, &at);
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: input '%s': record %" PRId64 ": expected a label in 0 .. %" PRId64 ", found %" PRId64,
                           source, name, at, classes - 1, v);
    }
    return LAMINA_OK;
}

uint64_t lamina_dataset_fingerprint(const lamina_dataset *d)
{
    uint64_t print = 0;
    for (int32_t input = 0; input < d->store->inputs; input++) {
        uLong crc = crc32(0, NULL, 0);
        if (d->store->fields[input].data)
            for (int64_t i = 0; i < d->count; i++)
                crc = crc32_z(crc, (const Bytef *)lamina_record(d, input, lamina_order(d, i)),
                              d->net->inputs[input].bytes);
        print = print * UINT64_C(0x100000001b3) + crc;
    }
    if (d->augment)
        print += d->augment->print;
    if (d->balanced)
        print += (uint64_t)d->balance + 1;
    return print ^ (uint64_t)d->count << 32;
}

bool lamina_same_type(const lamina_tensor *a, const lamina_tensor *b)
{
    return a->dtype == b->dtype && a->bytes == b->bytes && a->rank == b->rank && a->batch_dim == b->batch_dim &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
}

static bool same_input(const lamina_tensor *a, const lamina_tensor *b)
{
    return strcmp(a->name, b->name) == 0 && lamina_same_type(a, b);
}

lamina_status lamina_dataset_check_net(const lamina_dataset *d, const lamina_net *net, lamina_error *e)
{
    if (d->net->input_count != net->input_count)
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "%s: expected a data set of %" PRId32 " inputs, found one of network '%s' with %" PRId32,
                           net->name, net->input_count, d->net->name, d->net->input_count);
    for (int32_t i = 0; i < net->input_count; i++) {
        const lamina_tensor *want = &net->inputs[i], *have = &d->net->inputs[i];
        if (same_input(want, have))
            continue;
        char wanted[128], found[128];
        lamina_shape_text(want->dtype, want->rank, want->dim, want->batch_dim, wanted, sizeof wanted);
        lamina_shape_text(have->dtype, have->rank, have->dim, have->batch_dim, found, sizeof found);
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "%s: expected a data set with input '%s' of %s, found '%s' of %s, of network '%s'",
                           net->name, want->name, wanted, have->name, found, d->net->name);
    }
    return LAMINA_OK;
}
