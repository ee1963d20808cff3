/* passes/fuse.c - make one kernel of what one loop nest can do.
 *     %1 = dot_general %x, %w {...}
 *     %3 = add %1, %2                       =>    %3 = fused "dense1.forward" (%x, %w, %b) {kind = contraction} {...}
 *     %5 = select %4, %zero, %3
 *
 * Every node starts as a group of its own. A group has a core (a contraction, window or reduction), or is elementwise;
 * around the core it holds elementwise nodes on one shape: the core's result (epilogue), for reductions also the
 * operand's (prologue). Groups merge along edges in the order of the graph, then siblings merge; a merge is made where
 * every edge inside the result is one that its loop nest can follow, and where it closes no cycle, the order "readers
 * before the assign in place" being among the edges. Cheap leaves (constants, broadcasts) belong to no group: each
 * group gets its own copy.
 *
 * Nodes of different stages never join; backward nodes join forward kernels only where the row is in cache (softmax
 * with its loss), updates join the gradient they consume.
 *
 * Needs:  autodiff and optimize_update done, composites dissolved.
 * Keeps:  every value's bits, results, effects.      Breaks: node order (a new topological one). */
#include "passes/labels.h"
#include "passes/memory.h"
#include "passes/passes.h"
#include <string.h>

typedef enum {
    KIND_NONE,
    KIND_ELEMENTWISE,
    KIND_ROW,
    KIND_REDUCE,
    KIND_BATCH_REDUCE,
    KIND_WINDOW,
    KIND_CONTRACTION
} kind;

static const char *const kind_names[] = {"", "elementwise", "row", "reduce", "batch_reduce", "window", "contraction"};

typedef enum { PHASE_FORWARD, PHASE_BACKWARD, PHASE_UPDATE } phase;

typedef struct {
    kind kind;
    phase phase;
    int64_t stage;
    ir_type domain;      /* shape of results: the core's, or of the elementwise nodes; a row's full shape F */
    ir_type inner;       /* reductions: the operand's shape; a row's short shape R */
    const ir_node *core; /* the node it began with */
    int32_t *member, count;
} group;

typedef struct {
    int32_t *to, count;
} edges;

typedef struct {
    ir_graph *g;
    arena *mem;
    int32_t n;
    int32_t next_id, capacity; /* nodes made here get ids too: from n on */
    ir_node **node;            /* by id, below n */
    int32_t *of;               /* node id -> group, or -1 for nodes outside kernels and leaves */
    group *groups;             /* as many as nodes; count 0 once merged away */
    edges *next, *previous;    /* between node ids, leaves jumped over, with "reader before assign" */
    int32_t *mark, *stack;     /* of the search for paths */
    int32_t epoch;
} fuser;

static void add_to(arena *mem, int32_t **list, int32_t *count, int32_t x)
{
    *list = arena_grown(mem, *list, (size_t)*count, sizeof **list);
    (*list)[(*count)++] = x;
}

static bool is_leaf(const ir_node *n)
{
    return mem_is_leaf(n) || n->op == IR_BROADCAST_IN_DIM;
}

static bool reduces_batch(const ir_node *n)
{
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims);
    for (int i = 0; i < count; i++)
        if (n->in[0]->type.dim[dims[i]].batch)
            return true;
    return false;
}

/* The reduced dimensions are the last ones. */
static bool reduces_tail(const ir_node *n)
{
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims), rank = n->in[0]->type.rank;
    for (int i = 0; i < count; i++)
        if (dims[i] < rank - count)
            return false;
    return true;
}

static kind kind_of(const ir_node *n)
{
    switch (n->op) {
    case IR_DOT_GENERAL:
    case IR_CONVOLUTION:
        return KIND_CONTRACTION;
    case IR_REDUCE_WINDOW:
    case IR_SELECT_AND_SCATTER:
        return KIND_WINDOW;
    case IR_REDUCE:
        return reduces_batch(n) ? KIND_BATCH_REDUCE : reduces_tail(n) ? KIND_ROW : KIND_REDUCE;
    default:
        return KIND_ELEMENTWISE;
    }
}

static phase phase_of(const ir_node *n)
{
    if (!label_role(n->label) || label_is_forward(n))
        return PHASE_FORWARD;
    return label_is_update(n) ? PHASE_UPDATE : PHASE_BACKWARD;
}

/* ---- the dependence graph ---- */

static void add_edge(fuser *f, int32_t from, int32_t to)
{
    if (from == to)
        return;
    edges *next = &f->next[from], *previous = &f->previous[to];
    for (int32_t i = 0; i < next->count; i++)
        if (next->to[i] == to)
            return;
    add_to(f->mem, &next->to, &next->count, to);
    add_to(f->mem, &previous->to, &previous->count, from);
}

/* Edges from what x stands for, leaves jumped over, to user. */
static void add_operand_edges(fuser *f, const ir_node *x, int32_t user)
{
    if (!is_leaf(x)) {
        add_edge(f, x->id, user);
        return;
    }
    for (int i = 0; i < x->nin; i++)
        add_operand_edges(f, x->in[i], user);
}

/* Does n read the symbol's memory, itself or through leaves that will be copied into its kernel? */
static bool reads(const ir_node *n, const ir_symbol *y)
{
    for (int i = 0; i < n->nin; i++)
        if (ir_memory_symbol(n->in[i]) == y || (is_leaf(n->in[i]) && reads(n->in[i], y)))
            return true;
    return false;
}

static void build_edges(fuser *f)
{
    for (int32_t id = 0; id < f->n; id++)
        for (int i = 0; i < f->node[id]->nin && !is_leaf(f->node[id]); i++)
            add_operand_edges(f, f->node[id]->in[i], id);
    for (int32_t a = 0; a < f->n; a++) {
        if (f->node[a]->op != IR_ASSIGN)
            continue;
        for (int32_t id = 0; id < f->n; id++)
            if (id != a && f->node[id]->op != IR_RESHAPE && reads(f->node[id], f->node[a]->symbol))
                add_edge(f, id, a);
    }
}

/* Is there a path from a group to the other that leaves them in between? */
static bool path_around(fuser *f, int32_t from, int32_t to)
{
    int32_t *stack = f->stack, top = 0;
    f->epoch++;
    for (int32_t i = 0; i < f->groups[from].count; i++) {
        const edges *e = &f->next[f->groups[from].member[i]];
        for (int32_t k = 0; k < e->count; k++) {
            int32_t x = e->to[k];
            if (f->of[x] != from && f->of[x] != to && f->mark[x] != f->epoch) {
                f->mark[x] = f->epoch;
                stack[top++] = x;
            }
        }
    }
    while (top) {
        int32_t x = stack[--top];
        if (f->of[x] == to)
            return true;
        /* A step into a group is a step into all its members. */
        const int32_t self[1] = {x};
        const int32_t *member = f->of[x] < 0 ? self : f->groups[f->of[x]].member;
        int32_t members = f->of[x] < 0 ? 1 : f->groups[f->of[x]].count;
        for (int32_t m = 0; m < members; m++) {
            const edges *e = &f->next[member[m]];
            for (int32_t k = 0; k < e->count; k++)
                if (f->of[e->to[k]] != from && f->mark[e->to[k]] != f->epoch) {
                    f->mark[e->to[k]] = f->epoch;
                    stack[top++] = e->to[k];
                }
        }
    }
    return false;
}

/* ---- which edges a loop nest can follow ---- */

/* A broadcast that repeats R over the trailing dimensions of F. */
static bool spreads_rows(const ir_node *b)
{
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(b, "dims", dims);
    for (int i = 0; i < count; i++)
        if (dims[i] != i || b->in[0]->type.dim[i].n != b->type.dim[i].n ||
            b->in[0]->type.dim[i].batch != b->type.dim[i].batch)
            return false;
    return true;
}

static bool is_pointwise(const ir_node *n)
{
    return (ir_ops[n->op].traits & OP_ELTWISE) || n->op == IR_ASSIGN || n->op == IR_STOP_GRADIENT;
}

/* A contraction reads its operands by strides: seen through these they have strides still. */
static bool is_view(const ir_node *n)
{
    return n->op == IR_TRANSPOSE || n->op == IR_REVERSE || n->op == IR_SLICE;
}

/* May n use x, both being in one kernel of this kind? 'through' is the leaf between them, or NULL. */
static bool edge_fits(kind k, const ir_node *n, const ir_node *x, const ir_node *through)
{
    if (through)
        return k == KIND_ROW && is_pointwise(n) && through->op == IR_BROADCAST_IN_DIM && through->in[0] == x &&
               spreads_rows(through);
    if (n->op == IR_REDUCE)
        return k == KIND_ROW || k == KIND_BATCH_REDUCE || k == KIND_REDUCE;
    return is_pointwise(n) || (k == KIND_CONTRACTION && is_view(x));
}

static bool edges_fit_from(fuser *f, kind k, const ir_node *n, const ir_node *x, const ir_node *through, int32_t a,
                           int32_t b)
{
    if (is_leaf(x)) {
        for (int i = 0; i < x->nin; i++)
            if (!edges_fit_from(f, k, n, x->in[i], x, a, b))
                return false;
        return true;
    }
    int32_t of = f->of[x->id];
    return (of != a && of != b) || edge_fits(k, n, x, through);
}

/* Every edge between the two groups, and no assign in place of what another node of them reads elsewhere. */
static bool edges_fit(fuser *f, kind k, int32_t a, int32_t b)
{
    for (int side = 0; side < 2; side++) {
        const group *from = &f->groups[side ? b : a];
        for (int32_t m = 0; m < from->count; m++) {
            const ir_node *n = f->node[from->member[m]];
            for (int i = 0; i < n->nin; i++)
                if (!edges_fit_from(f, k, n, n->in[i], NULL, a, b))
                    return false;
        }
    }
    return true;
}

/* Reading and assigning a symbol in one kernel needs reads at the element that is written: by pointwise nodes,
 * directly. */
static bool assigns_fit(fuser *f, int32_t a, int32_t b)
{
    for (int side = 0; side < 2; side++) {
        const group *writer = &f->groups[side ? b : a], *reader = &f->groups[side ? a : b];
        for (int32_t m = 0; m < writer->count; m++) {
            const ir_node *assign = f->node[writer->member[m]];
            if (assign->op != IR_ASSIGN)
                continue;
            for (int32_t r = 0; r < reader->count; r++) {
                const ir_node *n = f->node[reader->member[r]];
                if (!reads(n, assign->symbol))
                    continue;
                bool direct = is_pointwise(n);
                for (int i = 0; i < n->nin; i++)
                    direct &= !is_leaf(n->in[i]) || !reads(n->in[i], assign->symbol);
                if (!direct || !ir_shape_equal(&n->type, &assign->symbol->type))
                    return false;
            }
        }
    }
    return true;
}

static bool shape_is(const ir_type *a, const ir_type *b)
{
    return ir_shape_equal(a, b);
}

/* A maximum and its position in the same windows of the same operand. */
static bool same_windows(const ir_node *a, const ir_node *b)
{
    static const char *const shape[] = {"window", "stride", "low", "high"};
    if (a->op != IR_REDUCE_WINDOW || b->op != IR_REDUCE_WINDOW || a->in[0] != b->in[0] ||
        ir_word_is(a, "kind", "sum") || ir_word_is(b, "kind", "sum"))
        return false;
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        int64_t x[IR_MAX_RANK], y[IR_MAX_RANK];
        int count = ir_ints(a, shape[i], x);
        if (count != ir_ints(b, shape[i], y) || memcmp(x, y, (size_t)count * sizeof *x))
            return false;
    }
    return true;
}

static bool only_views(const fuser *f, const group *g)
{
    for (int32_t i = 0; i < g->count; i++)
        if (!is_view(f->node[g->member[i]]))
            return false;
    return true;
}

/* The kind of the merged group, or KIND_NONE. The one with the core is a; b's nodes must stand on shapes a knows. */
static kind merged_kind(const fuser *f, const group *a, const group *b)
{
    if (a->kind == KIND_CONTRACTION && b->kind == KIND_ELEMENTWISE && only_views(f, b))
        return KIND_CONTRACTION;
    if (a->kind == KIND_ELEMENTWISE && b->kind == KIND_ELEMENTWISE)
        return shape_is(&a->domain, &b->domain) ? KIND_ELEMENTWISE : KIND_NONE;
    if (b->kind == KIND_ELEMENTWISE) {
        bool fits = shape_is(&a->domain, &b->domain);
        if (a->kind == KIND_ROW || a->kind == KIND_BATCH_REDUCE || a->kind == KIND_REDUCE)
            fits = fits || shape_is(&a->inner, &b->domain);
        return fits ? a->kind : KIND_NONE;
    }
    bool same = a->kind == b->kind && shape_is(&a->domain, &b->domain) && shape_is(&a->inner, &b->inner);
    bool joins = a->kind == KIND_ROW || a->kind == KIND_BATCH_REDUCE ||
                 (a->kind == KIND_WINDOW && same_windows(a->core, b->core));
    return same && joins ? a->kind : KIND_NONE;
}

static bool phases_fit(const group *a, const group *b, kind k)
{
    if (a->phase == b->phase)
        return true;
    if (k == KIND_ROW)
        return a->phase != PHASE_UPDATE && b->phase != PHASE_UPDATE;
    return a->phase != PHASE_FORWARD && b->phase != PHASE_FORWARD;
}

/* ---- merging ---- */

/* Does it read n's value, itself or through leaves? (An edge may also only keep a reader before an assign.) */
static bool uses(const ir_node *user, const ir_node *n)
{
    for (int i = 0; i < user->nin; i++)
        if (user->in[i] == n || (is_leaf(user->in[i]) && uses(user->in[i], n)))
            return true;
    return false;
}

/* Is every use of the group's values inside the other group (or itself)? */
static bool used_only_in(fuser *f, int32_t a, int32_t b)
{
    for (int32_t m = 0; m < f->groups[a].count; m++) {
        int32_t id = f->groups[a].member[m];
        const edges *e = &f->next[id];
        for (int32_t i = 0; i < e->count; i++)
            if (f->of[e->to[i]] != a && f->of[e->to[i]] != b && uses(f->node[e->to[i]], f->node[id]))
                return false;
        for (int i = 0; i < f->g->nresults; i++)
            if (f->g->results[i] == f->node[id])
                return false;
    }
    return true;
}

/* What is computed on the way to a core has no other user: reductions over other dimensions than the last and
 * contractions never store it. */
static bool is_prologue(const fuser *f, const group *a, const group *b, kind k)
{
    if (k == KIND_CONTRACTION)
        return b->kind == KIND_ELEMENTWISE && only_views(f, b);
    return (k == KIND_BATCH_REDUCE || k == KIND_REDUCE) && !shape_is(&a->domain, &b->domain);
}

/* Why b cannot join a; NULL if it can. */
static const char *refusal(fuser *f, int32_t a, int32_t b)
{
    const group *ga = &f->groups[a], *gb = &f->groups[b];
    kind k = merged_kind(f, ga, gb);
    if (k == KIND_NONE)
        return gb->kind == KIND_ELEMENTWISE ? "their shapes differ"
                                            : "each is built around a contraction, window or reduction";
    if (ga->stage != gb->stage)
        return "they belong to different stages";
    if (!phases_fit(ga, gb, k))
        return "one is of the forward, the other of the backward pass";
    if (!edges_fit(f, k, a, b))
        return "one reads the other at other elements than those at hand";
    if (!assigns_fit(f, a, b))
        return "one assigns in place what the other reads at other elements";
    if (is_prologue(f, ga, gb, k) && !used_only_in(f, b, a))
        return "others need its value too";
    if (path_around(f, a, b) || path_around(f, b, a))
        return "a third kernel must run between them";
    return NULL;
}

static bool core_first(const fuser *f, int32_t *a, int32_t *b)
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
    if (!core_first(f, &a, &b) || refusal(f, a, b))
        return false;
    group *ga = &f->groups[a], *gb = &f->groups[b];
    for (int32_t i = 0; i < gb->count; i++) {
        f->of[gb->member[i]] = a;
        add_to(f->mem, &ga->member, &ga->count, gb->member[i]);
    }
    if (gb->phase > ga->phase)
        ga->phase = gb->phase;
    gb->count = 0;
    return true;
}

static void merge_with_producers(fuser *f, int32_t id)
{
    static const kind preference[] = {KIND_CONTRACTION, KIND_WINDOW,       KIND_ROW,
                                      KIND_REDUCE,      KIND_BATCH_REDUCE, KIND_ELEMENTWISE};
    for (size_t p = 0; p < sizeof preference / sizeof *preference; p++)
        for (int32_t i = f->previous[id].count - 1; i >= 0; i--) {
            int32_t producer = f->of[f->previous[id].to[i]];
            if (producer >= 0 && producer != f->of[id] && f->groups[producer].kind == preference[p])
                try_merge(f, producer, f->of[id]);
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

static void merge_siblings(fuser *f)
{
    for (int32_t a = 0; a < f->n; a++)
        for (int32_t b = a + 1; b < f->n && f->groups[a].count; b++)
            if (f->groups[b].count && are_siblings(f, a, b))
                try_merge(f, a, b);
}

/* One loop for the optimizer over all parameters whose update stands alone: several shapes in one kernel. */
static void merge_updates(fuser *f)
{
    int32_t first = -1;
    for (int32_t b = 0; b < f->n; b++) {
        group *gb = &f->groups[b];
        if (!gb->count || gb->kind != KIND_ELEMENTWISE || gb->phase != PHASE_UPDATE || gb->domain.rank == 0)
            continue;
        if (first < 0 || f->groups[first].stage != gb->stage) {
            first = b;
            continue;
        }
        ir_type own = gb->domain;
        gb->domain = f->groups[first].domain;
        if (!try_merge(f, first, b))
            gb->domain = own;
    }
}

static void start_groups(fuser *f)
{
    for (int32_t id = 0; id < f->n; id++) {
        ir_node *n = f->node[id];
        if (!mem_is_bare(n) || is_leaf(n))
            continue;
        group *own = &f->groups[id];
        f->of[id] = id;
        own->kind = kind_of(n);
        own->core = n;
        own->phase = phase_of(n);
        own->stage = ir_int(n, "stage", 0);
        own->domain = n->op == IR_ASSIGN ? n->in[0]->type : n->type;
        if (n->op == IR_REDUCE)
            own->inner = n->in[0]->type;
        if (own->kind == KIND_ROW) {
            own->inner = n->type;
            own->domain = n->in[0]->type;
        }
        add_to(f->mem, &own->member, &own->count, id);
    }
}

/* ---- making the fused nodes ---- */

/* The region's value for x: a member already copied, a fresh copy of a leaf, or an input. */
static ir_node *region_value(fuser *f, ir_node *owner, ir_node *x, ir_node **map, int32_t a)
{
    if (map[x->id])
        return map[x->id];
    ir_graph *region = owner->region;
    if (is_leaf(x)) {
        for (int i = 0; i < x->nin; i++)
            region_value(f, owner, x->in[i], map, a);
        map[x->id] = ir_clone_node(region, x, map);
        ir_attr_remove(f->g->module->mem, &map[x->id]->attrs, "stage");
        return map[x->id];
    }
    if (f->of[x->id] == a)
        ir_bug("%s is used in its kernel before it is made", ir_ops[x->op].name);
    ir_node **in = arena_new_array(f->g->module->mem, ir_node *, (size_t)owner->nin + 1);
    memcpy(in, owner->in, (size_t)owner->nin * sizeof *in);
    in[owner->nin++] = x;
    owner->in = in;
    return map[x->id] = ir_input_new(region, x->name, x->type);
}

static bool used_outside(const fuser *f, const ir_node *n, int32_t a)
{
    const edges *e = &f->next[n->id];
    for (int32_t i = 0; i < e->count; i++)
        if (f->of[e->to[i]] != a && uses(f->node[e->to[i]], n))
            return true;
    for (int i = 0; i < f->g->nresults; i++)
        if (f->g->results[i] == n || (is_leaf(f->g->results[i]) && uses(f->g->results[i], n)))
            return true;
    return false;
}

/* "dense1.weight_gradient+adam": the core's label (or the last node's), with what else is inside. */
static const char *group_label(const fuser *f, const group *a)
{
    const ir_node *core = NULL, *last = NULL;
    bool forward = false, backward = false, update = false;
    for (int32_t i = 0; i < a->count; i++) {
        const ir_node *n = f->node[a->member[i]];
        phase p = phase_of(n);
        forward |= p == PHASE_FORWARD;
        backward |= p == PHASE_BACKWARD;
        update |= p == PHASE_UPDATE;
        if (n->label && kind_of(n) == a->kind && a->kind != KIND_ELEMENTWISE && (!core || n->id < core->id))
            core = n;
        if (n->label && (!last || n->id > last->id))
            last = n;
    }
    const ir_node *chosen = core ? core : last;
    if (!chosen)
        return ir_ops[a->core->op].name;
    const char *label = chosen->label;
    arena *mem = f->g->module->mem;
    const ir_row *optimizer = ir_row_find(f->g->module, "optimizer", NULL);
    if (update && (backward || forward) && optimizer)
        label = arena_printf(mem, "%s+%s", label, optimizer->name);
    else if (update && optimizer && a->kind == KIND_ELEMENTWISE && a->domain.rank)
        label = arena_printf(mem, "%s.update", optimizer->name);
    else if (forward && backward)
        label = arena_printf(mem, "%s+backward", label);
    return label;
}

static void sort_members(group *a)
{
    for (int32_t i = 1; i < a->count; i++)
        for (int32_t k = i; k > 0 && a->member[k - 1] > a->member[k]; k--) {
            int32_t swap = a->member[k];
            a->member[k] = a->member[k - 1];
            a->member[k - 1] = swap;
        }
}

/* A node of ours in the function, with an id that maps can use. */
static ir_node *new_node(fuser *f, ir_op op, ir_node *const *in, int nin, ir_type type, int64_t stage)
{
    ir_node *n = ir_node_new(f->g, op, in, nin, type);
    n->id = f->next_id++;
    if (stage)
        ir_set_int(n, "stage", stage);
    return n;
}

/* Members that others use become results; their users turn to the fused node and its `result` nodes. */
static void add_results(fuser *f, ir_node *fused, int32_t a, ir_node **map)
{
    const group *ga = &f->groups[a];
    for (int32_t i = 0; i < ga->count; i++) {
        ir_node *n = f->node[ga->member[i]], *value = fused;
        if (n->type.dtype == IR_NONE || !used_outside(f, n, a))
            continue;
        int index = fused->region->nresults;
        ir_result_add(fused->region, NULL, map[n->id]);
        if (index == 0) {
            fused->type = n->type;
        } else {
            value = new_node(f, IR_RESULT, &fused, 1, n->type, ga->stage);
            ir_set_int(value, "index", index);
            value->loc = n->loc;
            value->label = n->label;
        }
        ir_replace_uses(f->g, n, value);
    }
}

static void make_fused(fuser *f, int32_t a)
{
    group *ga = &f->groups[a];
    arena *mem = f->g->module->mem;
    sort_members(ga);
    f->g->before = NULL;
    ir_node *fused = new_node(f, IR_FUSED, NULL, 0, ir_type_none(), 0);
    ir_set_region(fused, ir_region_new(f->g->module));
    ir_set_word(fused, "kind", kind_names[ga->kind]);
    if (ga->stage)
        ir_set_int(fused, "stage", ga->stage);
    fused->label = arena_strdup(mem, group_label(f, ga));
    fused->loc = f->node[ga->member[0]]->loc;
    ir_node **map = arena_new_array(f->mem, ir_node *, (size_t)f->capacity);
    for (int32_t i = 0; i < ga->count; i++) {
        ir_node *n = f->node[ga->member[i]];
        for (int k = 0; k < n->nin; k++)
            region_value(f, fused, n->in[k], map, a);
        map[n->id] = ir_clone_node(fused->region, n, map);
        ir_attr_remove(mem, &map[n->id]->attrs, "stage");
    }
    add_results(f, fused, a, map);
}

/* ---- remarks ---- */

/* For each kernel that reads another's value: why the two are not one. */
static void remark_group(fuser *f, int32_t b, diag *d)
{
    f->epoch++;
    for (int32_t i = 0; i < f->groups[b].count; i++) {
        int32_t id = f->groups[b].member[i];
        const edges *p = &f->previous[id];
        for (int32_t k = 0; k < p->count; k++) {
            int32_t from = f->of[p->to[k]], core = from, other = b;
            if (!core_first(f, &core, &other) || f->mark[from] == f->epoch || !uses(f->node[id], f->node[p->to[k]]))
                continue;
            f->mark[from] = f->epoch;
            const char *why = refusal(f, core, other);
            if (why)
                diag_remark(d, f->node[id]->loc, "@%s: '%s' reads '%s' and is not fused with it: %s", f->g->name,
                            group_label(f, &f->groups[b]), group_label(f, &f->groups[from]), why);
        }
    }
}

/* ---- order ---- */

/* Emit what a node needs, then the node: depth first over the dependences, in the old order. */
typedef struct {
    fuser *f;
    bool *done; /* by node id */
} emitter;

static void emit(emitter *e, int32_t id);

static void emit_needs(emitter *e, int32_t id, int32_t own_group)
{
    const edges *p = &e->f->previous[id];
    for (int32_t i = 0; i < p->count; i++)
        if (own_group < 0 || e->f->of[p->to[i]] != own_group)
            emit(e, p->to[i]);
}

/* Leaves that stay as nodes of their own go right before their first user outside kernels. */
static void emit_leaf(emitter *e, ir_node *x)
{
    if (e->done[x->id])
        return;
    e->done[x->id] = true;
    for (int i = 0; i < x->nin; i++)
        if (is_leaf(x->in[i]))
            emit_leaf(e, x->in[i]);
    ir_move_before(x, NULL);
}

static void emit(emitter *e, int32_t id)
{
    fuser *f = e->f;
    if (e->done[id])
        return;
    int32_t a = f->of[id];
    ir_node *n = f->node[id];
    if (a < 0) {
        e->done[id] = true;
        if (n->op == IR_INPUT)
            return;
        emit_needs(e, id, -1);
        for (int i = 0; i < n->nin; i++)
            if (is_leaf(n->in[i]))
                emit_leaf(e, n->in[i]);
        ir_move_before(n, NULL);
        return;
    }
    for (int32_t i = 0; i < f->groups[a].count; i++)
        e->done[f->groups[a].member[i]] = true;
    for (int32_t i = 0; i < f->groups[a].count; i++)
        emit_needs(e, f->groups[a].member[i], a);
    make_fused(f, a);
}

static void rebuild(fuser *f)
{
    emitter e = {f, arena_new_array(f->mem, bool, (size_t)f->n + 1)};
    for (int32_t id = 0; id < f->n; id++)
        if (!is_leaf(f->node[id]))
            emit(&e, id);
    for (int i = 0; i < f->g->nresults; i++)
        if (is_leaf(f->g->results[i]))
            emit_leaf(&e, f->g->results[i]);
    for (int32_t id = 0; id < f->n; id++)
        if (f->of[id] >= 0)
            ir_unlink(f->node[id]);
    for (int32_t id = f->n - 1; id >= 0; id--) /* leaves that no node outside kernels needs */
        if (is_leaf(f->node[id]) && !ir_is_used(f->g, f->node[id]))
            ir_unlink(f->node[id]);
}

static void fuse_graph(ir_graph *g, diag *d)
{
    fuser f = {.g = g, .mem = arena_new()};
    f.n = ir_number(g);
    f.next_id = f.n;
    f.capacity = 3 * f.n + 1; /* every node is at most one fused node and one result more */
    f.node = arena_new_array(f.mem, ir_node *, (size_t)f.n + 1);
    f.of = arena_new_array(f.mem, int32_t, (size_t)f.capacity);
    for (int32_t id = 0; id < f.capacity; id++)
        f.of[id] = -1;
    f.groups = arena_new_array(f.mem, group, (size_t)f.n + 1);
    f.next = arena_new_array(f.mem, edges, (size_t)f.n + 1);
    f.previous = arena_new_array(f.mem, edges, (size_t)f.n + 1);
    f.mark = arena_new_array(f.mem, int32_t, (size_t)f.n + 1);
    f.stack = arena_new_array(f.mem, int32_t, (size_t)f.n + 1);
    for (int i = 0; i < g->ninputs; i++)
        f.node[g->inputs[i]->id] = g->inputs[i];
    for (ir_node *n = g->first; n; n = n->next)
        f.node[n->id] = n;
    build_edges(&f);
    start_groups(&f);
    for (int32_t id = 0; id < f.n; id++)
        if (f.of[id] >= 0)
            merge_with_producers(&f, id);
    merge_siblings(&f);
    merge_updates(&f);
    for (int32_t b = 0; b < f.n; b++)
        remark_group(&f, b, d);
    rebuild(&f);
    arena_free(f.mem);
}

bool pass_fuse(ir_module *m, diag *d)
{
    for (ir_graph *g = m->functions; g; g = g->next)
        fuse_graph(g, d);
    return true;
}
