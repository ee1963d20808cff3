/* passes/fuse/edges.c - who depends on whom, and whether a merge of two groups would close a cycle. */
#include "passes/fuse/fuse.h"
#include "passes/memory.h"
#include <stdlib.h>

void fuse_add_to(arena *mem, int32_t **list, int32_t *count, int32_t x)
{
    *list = arena_grown(mem, *list, (size_t)*count, sizeof **list);
    (*list)[(*count)++] = x;
}

bool fuse_is_leaf(const ir_node *n)
{
    return mem_is_leaf(n) || n->op == IR_BROADCAST_IN_DIM;
}

bool fuse_uses(const ir_node *user, const ir_node *n)
{
    for (int i = 0; i < user->nin; i++)
        if (user->in[i] == n || (fuse_is_leaf(user->in[i]) && fuse_uses(user->in[i], n)))
            return true;
    return false;
}

/* ---- the dependence graph ---- */

static bool has(const edges *e, int32_t x)
{
    for (int32_t i = 0; i < e->count; i++)
        if (e->to[i] == x)
            return true;
    return false;
}

/* An edge stands in two lists; whether it is there already, the shorter one tells. */
static void add_edge(fuser *f, int32_t from, int32_t to)
{
    edges *next = &f->next[from], *previous = &f->previous[to];
    if (from == to || (next->count < previous->count ? has(next, to) : has(previous, from)))
        return;
    fuse_add_to(f->mem, &next->to, &next->count, to);
    fuse_add_to(f->mem, &previous->to, &previous->count, from);
}

/* Edges from what x stands for, leaves jumped over, to user. */
static void add_operand_edges(fuser *f, const ir_node *x, int32_t user)
{
    if (!fuse_is_leaf(x)) {
        add_edge(f, x->id, user);
        return;
    }
    for (int i = 0; i < x->nin; i++)
        add_operand_edges(f, x->in[i], user);
}

bool fuse_reads(const ir_node *n, const ir_symbol *y)
{
    for (int i = 0; i < n->nin; i++)
        if (ir_memory_symbol(n->in[i]) == y || (fuse_is_leaf(n->in[i]) && fuse_reads(n->in[i], y)))
            return true;
    return false;
}

/* The assigns by what they write: lists of ids, ascending. */
static ir_map *writers_of(const fuser *f)
{
    ir_map *writers = ir_map_new(f->mem, IR_MAP_POINTERS);
    for (int32_t id = 0; id < f->n; id++) {
        const ir_symbol *y = f->node[id]->symbol;
        if (f->node[id]->op != IR_ASSIGN)
            continue;
        edges *list = ir_map_get(writers, y);
        if (!list)
            ir_map_set(writers, y, list = arena_make(f->mem, edges));
        fuse_add_to(f->mem, &list->to, &list->count, id);
    }
    return writers;
}

/* Add the assigns to what n reads, itself or through leaves, to a list. */
static void find_writers(fuser *f, const ir_map *writers, const ir_node *n, edges *found)
{
    for (int i = 0; i < n->nin; i++) {
        const ir_symbol *y = ir_memory_symbol(n->in[i]);
        const edges *list = y ? ir_map_get(writers, y) : NULL;
        for (int32_t k = 0; list && k < list->count; k++)
            fuse_add_to(f->mem, &found->to, &found->count, list->to[k]);
        if (fuse_is_leaf(n->in[i]))
            find_writers(f, writers, n->in[i], found);
    }
}

static int by_number(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

void fuse_build_edges(fuser *f)
{
    for (int32_t id = 0; id < f->n; id++)
        for (int i = 0; i < f->node[id]->nin && !fuse_is_leaf(f->node[id]); i++)
            add_operand_edges(f, f->node[id]->in[i], id);
    const ir_map *writers = writers_of(f);
    for (int32_t id = 0; id < f->n; id++) {
        edges found = {0};
        if (f->node[id]->op == IR_RESHAPE)
            continue;
        find_writers(f, writers, f->node[id], &found);
        if (found.count)
            qsort(found.to, (size_t)found.count, sizeof *found.to, by_number);
        for (int32_t i = 0; i < found.count; i++)
            add_edge(f, id, found.to[i]);
    }
}

/* ---- the order of groups ---- */

/* Groups, and nodes outside of them, have places such that every edge goes to a larger one: at first the nodes'
 * numbers. So a path is searched between two places only. A merge takes what lies between and is bound to the two into
 * a new order (Pearce and Kelly 2006): first what leads to the later one, then the new group, then what the earlier one
 * leads to. That no value belongs to both is what fuse_path_around says. */

/* A group by its first node, a node outside by itself. */
static int32_t group_of(const fuser *f, int32_t node)
{
    return f->of[node] < 0 ? node : f->of[node];
}

/* Put what is one step from 'at' on the stack if its place is right, once; is 'wanted' among the steps? */
static bool step(fuser *f, int32_t at, const edges *from_node, int32_t low, int32_t high, int32_t wanted, int32_t *top)
{
    const int32_t self[1] = {at};
    bool grouped = f->of[at] >= 0, found = false;
    const int32_t *member = grouped ? f->groups[at].member : self;
    int32_t members = grouped ? f->groups[at].count : 1;
    for (int32_t m = 0; m < members; m++) {
        const edges *e = &from_node[member[m]];
        for (int32_t k = 0; k < e->count; k++) {
            int32_t to = group_of(f, e->to[k]);
            found |= to == wanted;
            if (to == at || f->place[to] <= low || f->place[to] >= high || f->mark[to] == f->epoch)
                continue;
            f->mark[to] = f->epoch;
            f->stack[(*top)++] = to;
        }
    }
    return found;
}

bool fuse_path_around(fuser *f, int32_t from, int32_t to)
{
    int32_t low = f->place[from], high = f->place[to], top = 0;
    if (low > high)
        return false;
    f->epoch++;
    step(f, from, f->next, low, high, to, &top); /* straight from one to the other is no way around */
    while (top)
        if (step(f, f->stack[--top], f->next, low, high, to, &top))
            return true;
    return false;
}

/* What lies between the two places and is bound to 'from' along these edges, added to a list. */
static void find_bound(fuser *f, int32_t from, const edges *along, int32_t low, int32_t high, edges *found)
{
    int32_t top = 0;
    f->epoch++;
    step(f, from, along, low, high, -1, &top);
    while (top) {
        int32_t x = f->stack[--top];
        fuse_add_to(f->mem, &found->to, &found->count, x);
        step(f, x, along, low, high, -1, &top);
    }
}

typedef struct {
    int32_t place, of;
} placed;

static int by_place(const void *a, const void *b)
{
    return ((const placed *)a)->place - ((const placed *)b)->place;
}

/* The list, ascending by place. */
static placed *in_order(fuser *f, const edges *list)
{
    placed *sorted = arena_new_array(f->mem, placed, (size_t)list->count + 1);
    for (int32_t i = 0; i < list->count; i++)
        sorted[i] = (placed){f->place[list->to[i]], list->to[i]};
    qsort(sorted, (size_t)list->count, sizeof *sorted, by_place);
    return sorted;
}

void fuse_place_merged(fuser *f, int32_t a, int32_t b)
{
    int32_t early = f->place[a] < f->place[b] ? a : b, late = early == a ? b : a;
    int32_t low = f->place[early], high = f->place[late], at = 0;
    edges leading = {0}, following = {0}, all = {0};
    find_bound(f, late, f->previous, low, high, &leading);
    find_bound(f, early, f->next, low, high, &following);
    const int32_t both[] = {early, late};
    for (int32_t i = 0; i < 2; i++)
        fuse_add_to(f->mem, &all.to, &all.count, both[i]);
    for (int32_t i = 0; i < leading.count; i++)
        fuse_add_to(f->mem, &all.to, &all.count, leading.to[i]);
    for (int32_t i = 0; i < following.count; i++)
        fuse_add_to(f->mem, &all.to, &all.count, following.to[i]);
    const placed *slots = in_order(f, &all), *before = in_order(f, &leading), *after = in_order(f, &following);
    for (int32_t i = 0; i < leading.count; i++)
        f->place[before[i].of] = slots[at++].place;
    f->place[a] = f->place[b] = slots[at].place;
    at += 2;
    for (int32_t i = 0; i < following.count; i++)
        f->place[after[i].of] = slots[at++].place;
}
