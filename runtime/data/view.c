/* runtime/data/view.c - data sets whose fields are another data set's, lie in somebody else's memory, or are made with
 * each batch. */
#include "runtime/data/store.h"

static void set_field(lamina_dataset *d, int32_t input, lamina_field field, int64_t count)
{
    field.lent = true;
    field.names = (lamina_words){0};
    d->store->fields[input] = field;
    d->store->count = d->count = count;
}

void lamina_dataset_lend(lamina_dataset *d, int32_t input, const lamina_dataset *from, int32_t from_input)
{
    lamina_field field = from->store->fields[from_input];
    field.order = from->order;
    d->window = from->window;
    d->balanced = from->balanced;
    d->balance = from->balance;
    set_field(d, input, field, from->count);
}

void lamina_dataset_lend_memory(lamina_dataset *d, int32_t input, const void *records, const char *source,
                                int64_t count)
{
    set_field(d, input, (lamina_field){.data = (char *)records, .source = (char *)source}, count); /* only read */
}

void lamina_dataset_set_maker(lamina_dataset *d, lamina_make *make, void *maker)
{
    d->make = make;
    d->maker = maker;
}

void lamina_dataset_make(lamina_dataset *d, int32_t input, const char *source, int64_t count)
{
    set_field(d, input, (lamina_field){.source = (char *)source}, count);
}

bool lamina_dataset_has(const lamina_dataset *d, int32_t input)
{
    return d->store->fields[input].data != NULL;
}

const lamina_net *lamina_dataset_net(const lamina_dataset *d)
{
    return d->net;
}
