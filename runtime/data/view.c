/* runtime/data/view.c - data sets whose fields are another data set's, lie in somebody else's memory, or are made with
 * each batch. */
#include "runtime/data/store.h"

static void set_field(lamina_dataset *d, int32_t input, const char *data, const char *source, const int64_t *order,
                      int64_t count)
{
    d->store->fields[input] =
        (lamina_field){.data = (char *)data, .source = (char *)source, .order = order, .lent = true}; /* only read */
    d->store->count = d->count = count;
}

void lamina_dataset_lend(lamina_dataset *d, int32_t input, const lamina_dataset *from, int32_t from_input)
{
    const lamina_field *f = &from->store->fields[from_input];
    set_field(d, input, f->data, f->source, from->order, from->count);
}

void lamina_dataset_lend_memory(lamina_dataset *d, int32_t input, const void *records, const char *source,
                                int64_t count)
{
    set_field(d, input, records, source, NULL, count);
}

void lamina_dataset_set_maker(lamina_dataset *d, lamina_make *make, void *maker)
{
    d->make = make;
    d->maker = maker;
}

void lamina_dataset_make(lamina_dataset *d, int32_t input, const char *source, int64_t count)
{
    set_field(d, input, NULL, source, NULL, count);
}

bool lamina_dataset_has(const lamina_dataset *d, int32_t input)
{
    return d->store->fields[input].data != NULL;
}

const lamina_net *lamina_dataset_net(const lamina_dataset *d)
{
    return d->net;
}
