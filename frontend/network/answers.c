/* frontend/network/answers.c - what a driver may know of the meaning of a network's outputs. */
#include "frontend/network/network.h"
#include <string.h>

bool fe_is_inferred_from(const fe_network *n, int input)
{
    return n->inputs[input].layer_reads;
}

static const fe_loss *loss_of(const fe_network *n, const char *output)
{
    for (int i = 0; i < n->nlosses; i++)
        if (!n->losses[i].in[0].is_input && !strcmp(n->layers[n->losses[i].in[0].index].name, output))
            return &n->losses[i];
    return NULL;
}

/* The folders of pictures whose class is the input; NULL: it is nothing of the kind. */
static const fe_images *images_of(const fe_data_set *set, const char *input)
{
    for (int i = 0; set->images && i < set->field_count; i++)
        if (!strcmp(set->fields[i].input, input) && !strcmp(set->fields[i].paths[0], "class"))
            return set->images;
    return NULL;
}

/* The words of a table's column that is the input, as they are numbered; NULL: not known. */
static const fe_column *column_of(const fe_data_set *set, const char *input)
{
    for (int i = 0; set->table && i < set->table->count; i++)
        if (!strcmp(set->table->columns[i].input, input))
            return &set->table->columns[i];
    return NULL;
}

/* Are classes called by words that only the files tell? */
static bool is_sorted(const fe_data_set *set, const char *input)
{
    const fe_column *c = column_of(set, input);
    const fe_images *images = images_of(set, input);
    return (c && c->sorted) || (images && !images->classes);
}

/* Of numbers of classes some may have been chosen, and numbered anew. */
static const char *class_name(const fe_network *n, const fe_data_set *set, const char *input, int64_t number)
{
    const fe_records *r = set->records;
    const fe_column *c = column_of(set, input);
    const fe_images *images = images_of(set, input);
    if (r && r->input && !strcmp(r->input, input))
        number = number < r->count ? r->values[number] : -1;
    if (c && c->categories && number >= 0 && number < c->category_count)
        return c->categories[number];
    if (images && images->classes && number >= 0 && number < images->class_count)
        return images->classes[number];
    return number < 0 || is_sorted(set, input) ? NULL : arena_printf(n->mem, "%lld", (long long)number);
}

fe_answer fe_answer_of(const fe_network *n, const char *output)
{
    const fe_loss *l = loss_of(n, output);
    fe_answer a = {.applies = l && fe_reads_logits(l) ? l->kind->applies : NULL};
    const fe_data_set *set = &n->data[0];
    const fe_option *from_logits = NULL;
    if (!l)
        return a;
    for (int i = 0; i < l->options->count; i++)
        if (!strcmp(l->options->options[i].key->name, "from_logits"))
            from_logits = &l->options->options[i];
    const ir_type *type = &l->in_type[0];
    a.classes = type->rank == 2 && (l->kind->classes || from_logits) ? type->dim[1].n : 0;
    if (!a.classes || !l->in[1].is_input)
        return a;
    a.target = n->inputs[l->in[1].index].name;
    a.sorted = is_sorted(set, a.target);
    a.names = arena_new_array(n->mem, const char *, (size_t)a.classes);
    for (int64_t i = 0; i < a.classes; i++)
        a.names[i] = class_name(n, set, a.target, i);
    return a;
}
