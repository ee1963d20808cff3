/* passes/fuse/fuse.c - make one kernel of what one loop nest can compute.
 *     %1 = dot_general %x, %w {...}
 *     %3 = add %1, %2                       =>    %3 = fused "dense1.forward" (%x, %w, %b) {kind = contraction} {...}
 *     %5 = select %4, %zero, %3
 *
 * A group of nodes is to become a kernel. At first every node is a group of its own. A group may have a core, which is
 * a contraction, a window or a reduction; around the core stand elementwise nodes, either behind it on the shape of its
 * result (the epilogue), or, for reductions, before it on the shape of its operand (the prologue). A group without a
 * core is elementwise.
 *
 * Groups merge first along the edges of the graph, in its order, and then with siblings, which read the same value. A
 * merge is made if a loop nest can follow every edge inside the merged group (rules.c), and if it closes no cycle
 * (edges.c); for that, the order "all readers before the assign that overwrites in place" counts as an edge too. Leaves
 * that cost nothing, such as constants and broadcasts, belong to no group: each group gets copies of its own.
 *
 * Three things stay apart, whatever a loop nest could do. Nodes of different stages never share a kernel. A backward
 * node joins a forward kernel only where the row that both work on is in cache, as for softmax with its loss, and where
 * no other stage runs between the two, which is so in the last stage. An update joins the kernel of the gradient that
 * it consumes, and no other.
 *
 * Needs:  autodiff and optimize_update done, composites dissolved.
 * Keeps:  every value's bits, results, effects.      Breaks: node order (a new topological one). */
#include "passes/fuse/fuse.h"
#include "passes/labels.h"
#include "passes/memory.h"
#include "passes/passes.h"
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {"", "elementwise", "row", "reduce", "batch_reduce", "window", "contraction"};

/* ---- making the fused nodes ---- */

static void set_inside(fuser *f, const ir_node *n, ir_node *value)
{
    f->inside[n->id] = value;
    f->entered[f->entries++] = n->id;
}

/* The region's value for x: a member that is there already, a fresh copy of a leaf, or an input. */
static ir_node *region_value(fuser *f, ir_node *owner, ir_node *x, int32_t a)
{
    if (f->inside[x->id])
        return f->inside[x->id];
    ir_graph *region = owner->region;
    if (fuse_is_leaf(x)) {
        for (int i = 0; i < x->nin; i++)
            region_value(f, owner, x->in[i], a);
        ir_node *copy = ir_clone_node(region, x, f->inside);
        ir_attr_remove(f->g->module->mem, &copy->attrs, "stage");
        set_inside(f, x, copy);
        return copy;
    }
    if (f->of[x->id] == a)
        ir_bug("%s is used in its kernel before it is made", ir_ops[x->op].name);
    owner->in = arena_grown(f->g->module->mem, owner->in, (size_t)owner->nin, sizeof *owner->in);
    owner->in[owner->nin++] = x;
    ir_node *input = ir_input_new(region, x->name, x->type);
    set_inside(f, x, input);
    return input;
}

/* A member leaves the function for the region, and reads the region's values from then on. */
static void move_inside(fuser *f, ir_node *owner, ir_node *n, int32_t a)
{
    ir_uses_unlink(f->uses, n);
    for (int i = 0; i < n->nin; i++)
        n->in[i] = region_value(f, owner, n->in[i], a);
    ir_append(owner->region, n);
    ir_attr_remove(f->g->module->mem, &n->attrs, "stage");
    set_inside(f, n, n);
}

static bool used_outside(const fuser *f, const ir_node *n, int32_t a)
{
    const edges *e = &f->next[n->id];
    for (int32_t i = 0; i < e->count; i++)
        if (f->of[e->to[i]] != a && fuse_uses(f->node[e->to[i]], n))
            return true;
    for (int i = 0; i < f->g->nresults; i++)
        if (f->g->results[i] == n || (fuse_is_leaf(f->g->results[i]) && fuse_uses(f->g->results[i], n)))
            return true;
    return false;
}

/* Is 'word' one of those that '+' joins? */
static bool is_among(const char *joined, const char *word)
{
    for (size_t n = 0; *joined; joined += n + (joined[n] == '+')) {
        n = strcspn(joined, "+");
        if (strlen(word) == n && !strncmp(joined, word, n))
            return true;
    }
    return false;
}

/* Who updates in this kernel: the optimizers of the parameters that it assigns, else what its last node of the update
 * belongs to, "clip" or an optimizer. NULL: nobody. */
static const char *group_updater(const fuser *f, const group *a)
{
    const ir_module *m = f->g->module;
    const char *all = NULL, *other = NULL;
    for (int32_t i = 0; i < a->count; i++) {
        const ir_node *n = f->node[a->member[i]];
        if (fuse_phase_of(n) != PHASE_UPDATE)
            continue;
        const char *role = label_role(n->label);
        other = !strcmp(role, "step") ? label_layer(m->mem, n->label) : other;
        const char *own =
            n->op == IR_ASSIGN && n->symbol->segment == SEG_PARAM ? label_optimizer_of(m, n->symbol) : NULL;
        if (own && (!all || !is_among(all, own)))
            all = all ? arena_printf(m->mem, "%s+%s", all, own) : own;
    }
    const ir_row *row = ir_row_find(m, "optimizer", NULL);
    return all ? all : other ? other : row ? row->name : NULL;
}

/* "dense1.weight_gradient+adam": the core's label (or the last node's), with what else is inside. */
static const char *group_label(const fuser *f, const group *a)
{
    const ir_node *core = NULL, *last = NULL;
    bool forward = false, backward = false, update = false;
    for (int32_t i = 0; i < a->count; i++) {
        const ir_node *n = f->node[a->member[i]];
        phase p = fuse_phase_of(n);
        forward |= p == PHASE_FORWARD;
        backward |= p == PHASE_BACKWARD;
        update |= p == PHASE_UPDATE;
        if (n->label && fuse_kind_of(n) == a->kind && a->kind != KIND_ELEMENTWISE && (!core || n->id < core->id))
            core = n;
        if (n->label && (!last || n->id > last->id))
            last = n;
    }
    const ir_node *chosen = core ? core : last;
    if (!chosen)
        return ir_ops[a->core->op].name;
    const char *label = chosen->label;
    arena *mem = f->g->module->mem;
    const char *updater = update ? group_updater(f, a) : NULL;
    if (updater && (backward || forward))
        label = arena_printf(mem, "%s+%s", label, updater);
    else if (updater && a->kind == KIND_ELEMENTWISE && a->domain.rank)
        label = arena_printf(mem, "%s.update", updater);
    else if (forward && backward)
        label = arena_printf(mem, "%s+backward", label);
    return label;
}

static int by_number(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* Members that others use become results; their users turn to the fused node and its `result` nodes. */
static void add_results(fuser *f, ir_node *fused, int32_t a)
{
    const group *ga = &f->groups[a];
    for (int32_t i = 0; i < ga->count; i++) {
        ir_node *n = f->node[ga->member[i]], *value = fused;
        if (n->type.dtype == IR_NONE || !used_outside(f, n, a))
            continue;
        int index = fused->region->nresults;
        ir_result_add(fused->region, NULL, n);
        if (index == 0) {
            fused->type = n->type;
        } else {
            value = ir_node_new(f->g, IR_RESULT, &fused, 1, n->type);
            if (ga->stage)
                ir_set_int(value, "stage", ga->stage);
            ir_set_int(value, "index", index);
            value->loc = n->loc;
            value->label = n->label;
            ir_uses_add(f->uses, value);
        }
        ir_uses_replace(f->uses, n, value);
    }
}

static void make_fused(fuser *f, int32_t a)
{
    group *ga = &f->groups[a];
    arena *mem = f->g->module->mem;
    qsort(ga->member, (size_t)ga->count, sizeof *ga->member, by_number);
    f->g->before = NULL;
    ir_node *fused = ir_node_new(f->g, IR_FUSED, NULL, 0, ir_type_none());
    fused->in = NULL; /* it grows */
    ir_set_region(fused, ir_region_new(f->g->module));
    ir_set_word(fused, "kind", kind_names[ga->kind]);
    if (ga->stage)
        ir_set_int(fused, "stage", ga->stage);
    fused->label = arena_strdup(mem, group_label(f, ga));
    fused->loc = f->node[ga->member[0]]->loc;
    for (int32_t i = 0; i < ga->count; i++)
        move_inside(f, fused, f->node[ga->member[i]], a);
    ir_uses_add(f->uses, fused);
    add_results(f, fused, a);
    while (f->entries)
        f->inside[f->entered[--f->entries]] = NULL;
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
            if (!fuse_core_first(f, &core, &other) || f->mark[from] == f->epoch ||
                !fuse_uses(f->node[id], f->node[p->to[k]]))
                continue;
            f->mark[from] = f->epoch;
            const char *why = fuse_refusal(f, core, other);
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
        if (fuse_is_leaf(x->in[i]))
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
            if (fuse_is_leaf(n->in[i]))
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
        if (!fuse_is_leaf(f->node[id]))
            emit(&e, id);
    for (int i = 0; i < f->g->nresults; i++)
        if (fuse_is_leaf(f->g->results[i]))
            emit_leaf(&e, f->g->results[i]);
    for (int32_t id = f->n - 1; id >= 0; id--) /* leaves that no node outside kernels needs */
        if (fuse_is_leaf(f->node[id]) && !ir_uses_count(f->uses, f->node[id]))
            ir_uses_unlink(f->uses, f->node[id]);
}

static void fuse_graph(ir_graph *g, diag *d)
{
    fuser f = {.g = g, .mem = arena_new()};
    f.uses = ir_uses_new(g, f.mem);
    f.n = ir_number(g);
    size_t most = 3 * (size_t)f.n + 1; /* every node is at most one fused node and one result more */
    f.node = arena_new_array(f.mem, ir_node *, (size_t)f.n + 1);
    f.of = arena_new_array(f.mem, int32_t, most);
    for (size_t id = 0; id < most; id++)
        f.of[id] = -1;
    f.groups = arena_new_array(f.mem, group, (size_t)f.n + 1);
    f.next = arena_new_array(f.mem, edges, (size_t)f.n + 1);
    f.previous = arena_new_array(f.mem, edges, (size_t)f.n + 1);
    f.place = arena_new_array(f.mem, int32_t, (size_t)f.n + 1);
    for (int32_t id = 0; id < f.n; id++)
        f.place[id] = id;
    f.mark = arena_new_array(f.mem, int32_t, (size_t)f.n + 1);
    f.stack = arena_new_array(f.mem, int32_t, (size_t)f.n + 1);
    f.inside = arena_new_array(f.mem, ir_node *, most);
    f.entered = arena_new_array(f.mem, int32_t, most);
    for (int i = 0; i < g->ninputs; i++)
        f.node[g->inputs[i]->id] = g->inputs[i];
    for (ir_node *n = g->first; n; n = n->next) {
        int64_t stage = ir_int(n, "stage", 0);
        f.node[n->id] = n;
        f.last_stage = stage > f.last_stage ? stage : f.last_stage;
    }
    fuse_build_edges(&f);
    fuse_make_groups(&f);
    for (int32_t b = 0; b < f.n; b++)
        remark_group(&f, b, d);
    rebuild(&f);
    arena_free(f.mem);
}

bool pass_fuse(ir_module *m, diag *d)
{
    for (ir_graph *g = m->functions; g; g = g->next) {
        ir_drop_unused(g); /* else there were kernels without a result, which nothing later asks for */
        fuse_graph(g, d);
    }
    return true;
}
