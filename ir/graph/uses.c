/* ir/graph/uses.c - which nodes read each value; see uses.h.
 *
 * The readers of a value are a linked list, found by the value's id. Each list knows its last entry, so that
 * replacing one value by another joins two lists in a single step. */
#include "ir/graph/uses.h"
#include <string.h>

typedef struct {
    ir_use *first, *last;
    int32_t count; /* of readers that are not gone */
    bool gone;
} use_list;

struct ir_uses {
    ir_graph *g;
    arena *mem;
    use_list *of; /* by id */
    int32_t count, capacity;
};

static void note(ir_uses *u, const ir_node *x, ir_node *user)
{
    use_list *list = &u->of[x->id];
    ir_use *use = arena_make(u->mem, ir_use);
    use->user = user;
    *(list->last ? &list->last->next : &list->first) = use;
    list->last = use;
    list->count++;
}

static void note_operands(ir_uses *u, ir_node *n)
{
    for (int i = 0; i < n->nin; i++)
        note(u, n->in[i], n);
}

ir_uses *ir_uses_new(ir_graph *g, arena *mem)
{
    ir_uses *u = arena_make(mem, ir_uses);
    u->g = g;
    u->mem = mem;
    u->count = ir_number(g);
    u->capacity = u->count + 16;
    u->of = arena_new_array(mem, use_list, (size_t)u->capacity);
    for (ir_node *n = g->first; n; n = n->next)
        note_operands(u, n);
    for (int i = 0; i < g->nresults; i++)
        note(u, g->results[i], NULL);
    return u;
}

void ir_uses_add(ir_uses *u, ir_node *n)
{
    if (u->count == u->capacity) {
        use_list *more = arena_new_array(u->mem, use_list, 2 * (size_t)u->capacity);
        memcpy(more, u->of, (size_t)u->count * sizeof *more);
        u->of = more;
        u->capacity *= 2;
    }
    n->id = u->count++;
    note_operands(u, n);
}

static void turn(ir_node **list, int count, const ir_node *old, ir_node *with)
{
    for (int i = 0; i < count; i++)
        if (list[i] == old)
            list[i] = with;
}

void ir_uses_replace(ir_uses *u, ir_node *old, ir_node *with)
{
    use_list *from = &u->of[old->id], *to = &u->of[with->id];
    if (old == with || !from->first)
        return;
    for (const ir_use *use = from->first; use; use = use->next)
        if (!use->user)
            turn(u->g->results, u->g->nresults, old, with);
        else if (!ir_uses_is_gone(u, use->user))
            turn(use->user->in, use->user->nin, old, with);
    *(to->last ? &to->last->next : &to->first) = from->first;
    to->last = from->last;
    to->count += from->count;
    *from = (use_list){.gone = from->gone};
}

void ir_uses_unlink(ir_uses *u, ir_node *n)
{
    for (int i = 0; i < n->nin; i++)
        u->of[n->in[i]->id].count--;
    u->of[n->id].gone = true;
    ir_unlink(n);
}

int32_t ir_uses_count(const ir_uses *u, const ir_node *n)
{
    return u->of[n->id].count;
}

const ir_use *ir_uses_of(const ir_uses *u, const ir_node *n)
{
    return u->of[n->id].first;
}

bool ir_uses_is_gone(const ir_uses *u, const ir_node *n)
{
    return u->of[n->id].gone;
}
