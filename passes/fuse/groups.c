/* passes/fuse/groups.c - nodes to groups: along edges, then siblings, then the optimizer's loops. */
#include "passes/fuse/fuse.h"
#include "passes/memory.h"

bool fuse_core_first(const fuser *f, int32_t *a, int32_t *b)
{
    if (*a == *b || *a < 0 || *b < 0)
        return false;
    if (f->groups[*a].kind == KIND_ELEMENTWISE && f->groups[*b].kind != KIND_ELEMENTWISE) {
        int32_t swap = *a;
        *a = *b;
        *b = swap;
    }
    return true;
}

static bool try_merge(fuser *f, int32_t a, int32_t b)
{
    if (!fuse_core_first(f, &a, &b) || fuse_refusal(f, a, b))
        return false;
    group *ga = &f->groups[a], *gb = &f->groups[b];
    fuse_place_merged(f, a, b);
    for (int32_t i = 0; i < gb->count; i++) {
        f->of[gb->member[i]] = a;
        fuse_add_to(f->mem, &ga->member, &ga->count, gb->member[i]);
    }
    if (gb->phase > ga->phase)
        ga->phase = gb->phase;
    ga->steps += gb->steps;
    ga->spliced |= gb->spliced;
    gb->count = 0;
    return true;
}

static void merge_with_producers(fuser *f, int32_t id)
{
    static const kind preference[] = {KIND_CONTRACTION, KIND_WINDOW,       KIND_ROW,
                                      KIND_REDUCE,      KIND_BATCH_REDUCE, KIND_ELEMENTWISE};
    for (size_t p = 0; p < sizeof preference / sizeof *preference; p++)
        for (int32_t i = f->previous[id].count - 1; i >= 0; i--) {
            int32_t from = f->previous[id].to[i], producer = f->of[from];
            if (producer >= 0 && producer != f->of[id] && f->groups[producer].kind == preference[p] &&
                try_merge(f, producer, f->of[id]) && fuse_is_view(f->node[from]))
                merge_with_producers(f, from); /* a view of a view */
        }
}

static bool share_operand(const fuser *f, int32_t a, int32_t b)
{
    for (int32_t i = 0; i < f->groups[a].count; i++) {
        const edges *x = &f->previous[f->groups[a].member[i]];
        for (int32_t k = 0; k < f->groups[b].count; k++) {
            const edges *y = &f->previous[f->groups[b].member[k]];
            for (int32_t m = 0; m < x->count; m++)
                for (int32_t n = 0; n < y->count; n++)
                    if (x->to[m] == y->to[n])
                        return true;
        }
    }
    return false;
}

/* Without an edge between them: reductions of the batch over one shape, rows or windows of one operand, scalars. */
static bool are_siblings(const fuser *f, int32_t a, int32_t b)
{
    const group *x = &f->groups[a], *y = &f->groups[b];
    bool x_scalar = x->kind == KIND_ELEMENTWISE && x->domain.rank == 0;
    bool y_scalar = y->kind == KIND_ELEMENTWISE && y->domain.rank == 0;
    if (x_scalar || y_scalar)
        return (x_scalar && y_scalar) || x->kind == KIND_BATCH_REDUCE || y->kind == KIND_BATCH_REDUCE;
    if (x->kind != y->kind)
        return false;
    return x->kind == KIND_BATCH_REDUCE || ((x->kind == KIND_ROW || x->kind == KIND_WINDOW) && share_operand(f, a, b));
}

static bool may_have_siblings(const group *x)
{
    return x->count && (x->kind == KIND_BATCH_REDUCE || x->kind == KIND_ROW || x->kind == KIND_WINDOW ||
                        (x->kind == KIND_ELEMENTWISE && x->domain.rank == 0));
}

static int32_t count_of(const fuser *f, const group *x, ir_op op)
{
    int32_t count = 0;
    for (int32_t i = 0; i < x->count; i++)
        count += f->node[x->member[i]]->op == op;
    return count;
}

/* Reductions go over their operands side by side, and no loop streams any number of arrays well. */
static bool are_few(const fuser *f, int32_t a, int32_t b)
{
    enum { REDUCTIONS = 16 };
    return count_of(f, &f->groups[a], IR_REDUCE) + count_of(f, &f->groups[b], IR_REDUCE) <= REDUCTIONS;
}

static void merge_siblings(fuser *f)
{
    int32_t *candidate = NULL, count = 0;
    for (int32_t a = 0; a < f->n; a++)
        if (may_have_siblings(&f->groups[a]))
            fuse_add_to(f->mem, &candidate, &count, a);
    for (int32_t i = 0; i < count; i++)
        for (int32_t k = i + 1; k < count && f->groups[candidate[i]].count; k++)
            if (f->groups[candidate[k]].count && are_few(f, candidate[i], candidate[k]) &&
                are_siblings(f, candidate[i], candidate[k]))
                try_merge(f, candidate[i], candidate[k]);
}

/* One kernel for the optimizer over parameters whose update stands alone, of several shapes; but not of more arrays
 * than a loop can stream. */
static void merge_updates(fuser *f)
{
    enum { ARRAYS = 24 };
    int32_t first = -1, arrays = 0;
    for (int32_t b = 0; b < f->n; b++) {
        group *gb = &f->groups[b];
        if (!gb->count || gb->kind != KIND_ELEMENTWISE || gb->phase != PHASE_UPDATE || gb->domain.rank == 0)
            continue;
        int32_t own_arrays = count_of(f, gb, IR_ASSIGN);
        if (first < 0 || f->groups[first].stage != gb->stage || arrays + own_arrays > ARRAYS) {
            first = b;
            arrays = own_arrays;
            continue;
        }
        ir_type own = gb->domain;
        gb->domain = f->groups[first].domain;
        if (try_merge(f, first, b))
            arrays += own_arrays;
        else
            gb->domain = own;
    }
}

static void start_groups(fuser *f)
{
    for (int32_t id = 0; id < f->n; id++) {
        ir_node *n = f->node[id];
        if (!mem_is_bare(n) || fuse_is_leaf(n))
            continue;
        group *own = &f->groups[id];
        f->of[id] = id;
        own->kind = fuse_kind_of(n);
        own->core = n;
        own->phase = fuse_phase_of(n);
        own->stage = ir_int(n, "stage", 0);
        own->steps = fuse_steps(n);
        own->spliced = fuse_is_spliced(n);
        own->domain = n->op == IR_ASSIGN ? n->in[0]->type : n->type;
        if (n->op == IR_REDUCE)
            own->inner = n->in[0]->type;
        if (own->kind == KIND_ROW) {
            own->inner = n->type;
            own->domain = n->in[0]->type;
        }
        fuse_add_to(f->mem, &own->member, &own->count, id);
    }
}

void fuse_make_groups(fuser *f)
{
    start_groups(f);
    for (int32_t id = 0; id < f->n; id++)
        if (f->of[id] >= 0)
            merge_with_producers(f, id);
    merge_siblings(f);
    merge_updates(f);
}
