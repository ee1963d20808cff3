/* ir/graph/attr.c - attribute lists, and those of nodes. */
#include "ir/ir.h"
#include <string.h>

const ir_attr *ir_attr_find(const ir_attr *list, const char *name)
{
    for (; list; list = list->next)
        if (!strcmp(list->name, name))
            return list;
    return NULL;
}

/* Replace the attribute of that name, or append. Older cells are never changed: nodes may share them, so the list up to
 * the replaced cell is copied. */
static void put(arena *mem, ir_attr **list, ir_attr *fresh)
{
    ir_attr *head = NULL, **tail = &head;
    bool placed = false;
    for (const ir_attr *a = *list; a; a = a->next) {
        ir_attr *cell = arena_make(mem, ir_attr);
        bool same = !strcmp(a->name, fresh->name);
        *cell = same ? *fresh : *a;
        placed |= same;
        cell->next = NULL;
        *tail = cell;
        tail = &cell->next;
    }
    if (!placed)
        *tail = fresh;
    *list = head;
}

void ir_attr_set_word(arena *mem, ir_attr **list, const char *name, const char *word)
{
    ir_attr *a = arena_make(mem, ir_attr);
    a->name = arena_strdup(mem, name);
    a->word = arena_strdup(mem, word);
    put(mem, list, a);
}

void ir_attr_set_numbers(arena *mem, ir_attr **list, const char *name, const double *number, int count)
{
    ir_attr *a = arena_make(mem, ir_attr);
    double *copy = arena_new_array(mem, double, (size_t)(count > 0 ? count : 1));
    for (int i = 0; i < count; i++)
        copy[i] = number[i];
    a->name = arena_strdup(mem, name);
    a->count = count;
    a->number = copy;
    put(mem, list, a);
}

void ir_attr_set_ints(arena *mem, ir_attr **list, const char *name, const int64_t *number, int count)
{
    double as_double[64];
    if (count > 64)
        ir_bug("a list of %d whole numbers", count);
    for (int i = 0; i < count; i++)
        as_double[i] = (double)number[i];
    ir_attr_set_numbers(mem, list, name, as_double, count);
}

void ir_attr_remove(arena *mem, ir_attr **list, const char *name)
{
    if (!ir_attr_find(*list, name))
        return;
    ir_attr *head = NULL, **tail = &head;
    for (const ir_attr *a = *list; a; a = a->next) {
        if (!strcmp(a->name, name))
            continue;
        ir_attr *cell = arena_make(mem, ir_attr);
        *cell = *a;
        cell->next = NULL;
        *tail = cell;
        tail = &cell->next;
    }
    *list = head;
}

static bool equal(const ir_attr *a, const ir_attr *b)
{
    if (strcmp(a->name, b->name) || !a->word != !b->word || a->count != b->count)
        return false;
    if (a->word)
        return !strcmp(a->word, b->word);
    return !a->count || !memcmp(a->number, b->number, (size_t)a->count * sizeof *a->number);
}

bool ir_attrs_equal(const ir_attr *a, const ir_attr *b)
{
    for (; a && b; a = a->next, b = b->next)
        if (!equal(a, b))
            return false;
    return !a && !b;
}

ir_attr *ir_attrs_copy(arena *mem, const ir_attr *list)
{
    ir_attr *head = NULL, **tail = &head;
    for (; list; list = list->next) {
        if (list->word)
            ir_attr_set_word(mem, tail, list->name, list->word);
        else
            ir_attr_set_numbers(mem, tail, list->name, list->number, list->count);
        tail = &(*tail)->next;
    }
    return head;
}

void ir_set_word(ir_node *n, const char *name, const char *word)
{
    ir_attr_set_word(n->graph->module->mem, &n->attrs, name, word);
}

void ir_set_numbers(ir_node *n, const char *name, const double *v, int count)
{
    ir_attr_set_numbers(n->graph->module->mem, &n->attrs, name, v, count);
}

void ir_set_ints(ir_node *n, const char *name, const int64_t *v, int count)
{
    ir_attr_set_ints(n->graph->module->mem, &n->attrs, name, v, count);
}

void ir_set_int(ir_node *n, const char *name, int64_t v)
{
    ir_set_ints(n, name, &v, 1);
}

const char *ir_word(const ir_node *n, const char *name)
{
    const ir_attr *a = ir_attr_find(n->attrs, name);
    if (!a || !a->word)
        ir_bug("%s without the word '%s'", ir_ops[n->op].name, name);
    return a->word;
}

bool ir_word_is(const ir_node *n, const char *name, const char *word)
{
    const ir_attr *a = ir_attr_find(n->attrs, name);
    return a && a->word && !strcmp(a->word, word);
}

int64_t ir_int(const ir_node *n, const char *name, int64_t fallback)
{
    const ir_attr *a = ir_attr_find(n->attrs, name);
    return a && !a->word && a->count == 1 ? (int64_t)a->number[0] : fallback;
}

int ir_ints(const ir_node *n, const char *name, int64_t out[IR_MAX_RANK])
{
    const ir_attr *a = ir_attr_find(n->attrs, name);
    if (!a || a->word)
        return 0;
    int count = a->count < IR_MAX_RANK ? a->count : IR_MAX_RANK;
    for (int i = 0; i < count; i++)
        out[i] = (int64_t)a->number[i];
    return count;
}

bool ir_in_list(const int64_t *list, int count, int64_t x)
{
    for (int i = 0; i < count; i++)
        if (list[i] == x)
            return true;
    return false;
}
