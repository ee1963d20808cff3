/* runtime/data/loader.c - the batches of a shuffled epoch. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/data/balance.h"
#include "runtime/data/data.h"
#include "runtime/data/store.h"
#include "runtime/model/philox.h"
#include <math.h>
#include <string.h>

void lamina_shuffle(int64_t *order, int64_t count, uint64_t seed, int64_t epoch, uint32_t purpose)
{
    for (int64_t i = count - 1; i > 0; i--) {
        const uint32_t counter[4] = {(uint32_t)i, (uint32_t)((uint64_t)i >> 32), (uint32_t)epoch, purpose};
        uint32_t word[4];
        lamina_philox(seed, counter, word);
        uint64_t r = (uint64_t)word[1] << 32 | word[0];
        int64_t j = (int64_t)(r % ((uint64_t)i + 1)); /* the bias, (i + 1) / 2^64, is nothing */
        int64_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

/* Let order[i] be one of 'window' numbers: those that stood at i up to i + window - 1, or that earlier draws put there
 * in place of what they took. That is the shuffle of a buffer of so many records, done in place. */
static void shuffle_nearly(int64_t *order, int64_t count, int64_t window, uint64_t seed, int64_t epoch)
{
    for (int64_t i = 0; i + 1 < count; i++) {
        const uint32_t counter[4] = {(uint32_t)i, (uint32_t)((uint64_t)i >> 32), (uint32_t)epoch, PHILOX_SHUFFLE};
        uint32_t word[4];
        lamina_philox(seed, counter, word);
        uint64_t r = (uint64_t)word[1] << 32 | word[0];
        int64_t j = i + (int64_t)(r % (uint64_t)(window < count - i ? window : count - i));
        int64_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

static void base_order(const lamina_dataset *d, int64_t *order)
{
    for (int64_t i = 0; i < d->count; i++)
        order[i] = lamina_order(d, i);
}

void lamina_loader_free(lamina_loader *l)
{
    for (int32_t i = 0; l->buffer && i < l->data->store->inputs; i++)
        lamina_release(l->buffer[i]);
    lamina_release(l->buffer);
    lamina_release(l->inputs);
    lamina_release(l->order);
    lamina_balance_free(l->balance);
    l->balance = NULL;
    l->buffer = NULL;
    l->inputs = NULL;
    l->order = NULL;
}

/* Records that do not lie one after the other in the order of a batch are copied together. */
static bool gathers(const lamina_dataset *d, bool shuffled)
{
    bool scattered = shuffled || d->order || d->make;
    for (int32_t i = 0; !scattered && i < d->store->inputs; i++)
        scattered = d->store->fields[i].order || d->store->fields[i].piece_count > 1;
    return scattered;
}

static lamina_status add_buffers(lamina_loader *l, lamina_error *e)
{
    for (int32_t i = 0; i < l->data->store->inputs; i++) {
        uint64_t bytes = l->data->net->inputs[i].bytes;
        l->buffer[i] = lamina_allocate((size_t)l->batch, bytes);
        if (!l->buffer[i])
            return lamina_fail_memory(e, "a batch", (size_t)l->batch * bytes);
    }
    return LAMINA_OK;
}

lamina_status lamina_dataset_check_full(const lamina_dataset *d, lamina_error *e)
{
    for (int32_t i = 0; i < d->store->inputs; i++)
        if (!d->store->fields[i].source)
            return lamina_fail(e, LAMINA_BAD_ARG, "%s: input '%s': expected data, found none", d->net->name,
                               d->net->inputs[i].name);
    if (d->count < 1)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: expected 1 or more records, found none", d->net->name);
    return LAMINA_OK;
}

lamina_status lamina_loader_new(const lamina_dataset *d, int64_t batch, bool shuffled, lamina_loader *out,
                                lamina_error *e)
{
    *out = (lamina_loader){.data = d, .batch = batch < d->count ? batch : d->count, .shuffled = shuffled};
    lamina_status s = lamina_dataset_check_full(d, e);
    if (s)
        return s;
    bool copies = gathers(d, shuffled);
    size_t inputs = (size_t)d->store->inputs;
    out->inputs = lamina_allocate(inputs, sizeof *out->inputs);
    out->buffer = lamina_allocate(inputs, sizeof *out->buffer);
    out->order = copies ? lamina_allocate((size_t)d->count, sizeof *out->order) : NULL;
    if (!out->inputs || !out->buffer || (copies && !out->order))
        s = lamina_fail_memory(e, "the order of an epoch", (size_t)d->count * sizeof *out->order);
    else if (copies)
        s = add_buffers(out, e);
    if (!s && shuffled && d->balanced)
        s = lamina_balance_new(d, &out->balance, e);
    if (s)
        lamina_loader_free(out);
    else if (copies)
        base_order(d, out->order);
    return s;
}

void lamina_loader_start(lamina_loader *l, uint64_t seed, int64_t epoch)
{
    l->at = 0;
    if (!l->shuffled)
        return;
    if (l->balance) {
        lamina_balance_draw(l->balance, l->order, seed, epoch);
        for (int64_t i = 0; i < l->data->count; i++)
            l->order[i] = lamina_order(l->data, l->order[i]);
        return;
    }
    base_order(l->data, l->order); /* not the last epoch's: a resumed run has none */
    if (l->data->window)
        shuffle_nearly(l->order, l->data->count, l->data->window, seed, epoch);
    else
        lamina_shuffle(l->order, l->data->count, seed, epoch, PHILOX_SHUFFLE);
}

void lamina_loader_skip(lamina_loader *l, int64_t batches)
{
    int64_t left = l->data->count - l->at;
    l->at += batches > left / l->batch ? left : batches * l->batch;
}

static void gather(lamina_loader *l, int32_t input, int64_t count)
{
    uint64_t bytes = l->data->net->inputs[input].bytes;
    const char *from = l->data->store->fields[input].data;
    char *to = l->buffer[input];
    for (int64_t i = 0; from && i < count; i++)
        memcpy(to + (uint64_t)i * bytes, lamina_record(l->data, input, l->order[l->at + i]), bytes);
    l->inputs[input] = to;
}

lamina_status lamina_loader_next(lamina_loader *l, int64_t *count, lamina_error *e)
{
    int64_t left = l->data->count - l->at;
    *count = left < l->batch ? left : l->batch;
    for (int32_t i = 0; *count > 0 && i < l->data->store->inputs; i++) {
        if (l->order)
            gather(l, i, *count);
        else
            l->inputs[i] = lamina_record(l->data, i, l->at);
    }
    lamina_status s = *count > 0 && l->data->make ? l->data->make(l->data->maker, l, *count, e) : LAMINA_OK;
    l->at += *count;
    return s;
}

static double real_at(int32_t dtype, const void *data, int64_t i)
{
    return dtype == LAMINA_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

static bool input_bad_value(const lamina_loader *l, int32_t input, int64_t count, lamina_bad_value *out)
{
    const lamina_tensor *t = &l->data->net->inputs[input];
    int64_t first = l->at - count, each = (int64_t)(t->bytes / lamina_dtype_bytes(t->dtype));
    for (int64_t i = 0; lamina_is_real(t->dtype) && i < count * each; i++) {
        double value = real_at(t->dtype, l->inputs[input], i);
        if (isfinite(value))
            continue;
        int64_t at = first + i / each;
        *out = (lamina_bad_value){.input = t->name, .value = value};
        out->source = lamina_place_of(l->data, input, l->order ? l->order[at] : at, &out->record);
        return true;
    }
    return false;
}

bool lamina_loader_bad_value(const lamina_loader *l, int64_t count, lamina_bad_value *out)
{
    for (int32_t i = 0; i < l->data->store->inputs; i++)
        if (input_bad_value(l, i, count, out))
            return true;
    return false;
}
