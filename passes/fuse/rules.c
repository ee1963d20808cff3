/* passes/fuse/rules.c - which groups one loop nest can do: kinds, shapes, edges, phases. */
#include "ir/math/math.h"
#include "passes/fuse/fuse.h"
#include "passes/labels.h"
#include <string.h>

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

kind fuse_kind_of(const ir_node *n)
{
    switch (n->op) {
    case IR_DOT_GENERAL:
    case IR_CONVOLUTION:
        return KIND_CONTRACTION;
    case IR_REDUCE_WINDOW:
    case IR_SELECT_AND_SCATTER:
    case IR_WINOGRAD:
        return KIND_WINDOW;
    case IR_REDUCE:
        return reduces_batch(n) ? KIND_BATCH_REDUCE : reduces_tail(n) ? KIND_ROW : KIND_REDUCE;
    default:
        return KIND_ELEMENTWISE;
    }
}

phase fuse_phase_of(const ir_node *n)
{
    if (!label_role(n->label) || label_is_forward(n))
        return PHASE_FORWARD;
    return label_is_update(n) ? PHASE_UPDATE : PHASE_BACKWARD;
}

/* ---- how much a kernel computes ---- */

int32_t fuse_steps(const ir_node *n)
{
    enum { RANDOM = 100 }; /* ten rounds of two products each, and what joins them */
    const math_program *p = n->op == IR_RNG_BITS ? NULL : math_find(n->op);
    return n->op == IR_RNG_BITS ? RANDOM : p ? p->count : 1;
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

/* A contraction reads its operands by strides: seen through these they have strides still. The transforms of a
 * winograd read an element once or twice, wherever it lies. */
bool fuse_is_view(const ir_node *n)
{
    return n->op == IR_TRANSPOSE || n->op == IR_REVERSE || n->op == IR_SLICE;
}

bool fuse_is_spliced(const ir_node *n)
{
    return n->op == IR_CONCATENATE || n->op == IR_PAD;
}

/* May n use x, both being in one kernel of this kind? 'through' is the leaf between them, or NULL. */
static bool edge_fits(kind k, const ir_node *n, const ir_node *x, const ir_node *through)
{
    if (through)
        return k == KIND_ROW && is_pointwise(n) && through->op == IR_BROADCAST_IN_DIM && through->in[0] == x &&
               spreads_rows(through);
    if (n->op == IR_REDUCE)
        return k == KIND_ROW || k == KIND_BATCH_REDUCE || k == KIND_REDUCE;
    bool sees_views = k == KIND_CONTRACTION || n->op == IR_WINOGRAD || (k == KIND_WINDOW && fuse_is_view(n));
    return is_pointwise(n) || (sees_views && fuse_is_view(x));
}

static bool edges_fit_from(fuser *f, kind k, const ir_node *n, const ir_node *x, const ir_node *through, int32_t a,
                           int32_t b)
{
    if (fuse_is_leaf(x)) {
        for (int i = 0; i < x->nin; i++)
            if (!edges_fit_from(f, k, n, x->in[i], x, a, b))
                return false;
        return true;
    }
    int32_t of = f->of[x->id];
    return (of != a && of != b) || edge_fits(k, n, x, through);
}

static bool operands_fit(fuser *f, kind k, int32_t id, int32_t a, int32_t b)
{
    const ir_node *n = f->node[id];
    for (int i = 0; i < n->nin; i++)
        if (!edges_fit_from(f, k, n, n->in[i], NULL, a, b))
            return false;
    return true;
}

/* Every edge between the two groups, and inside of them where their kind changes; looked for from the smaller group. */
static bool edges_fit(fuser *f, kind k, int32_t a, int32_t b)
{
    int32_t small = f->groups[a].count < f->groups[b].count ? a : b, large = small == a ? b : a;
    const group *gs = &f->groups[small], *gl = &f->groups[large];
    for (int32_t m = 0; m < gs->count; m++) {
        const edges *e = &f->next[gs->member[m]];
        if (!operands_fit(f, k, gs->member[m], a, b))
            return false;
        for (int32_t i = 0; i < e->count; i++)
            if (f->of[e->to[i]] == large && !operands_fit(f, k, e->to[i], a, b))
                return false;
    }
    for (int32_t m = 0; m < gl->count && gl->kind != k; m++)
        if (!operands_fit(f, k, gl->member[m], a, b))
            return false;
    return true;
}

static bool assign_fits(const ir_node *n, const ir_node *assign)
{
    if (assign->op != IR_ASSIGN || !fuse_reads(n, assign->symbol))
        return true;
    bool direct = is_pointwise(n);
    for (int i = 0; i < n->nin; i++)
        direct &= !fuse_is_leaf(n->in[i]) || !fuse_reads(n->in[i], assign->symbol);
    return direct && ir_shape_equal(&n->type, &assign->symbol->type);
}

/* Reading and assigning a symbol in one kernel needs reads at the element that is written: by pointwise nodes,
 * directly. Readers have an edge to the assign, so the smaller group's edges tell. */
static bool assigns_fit(fuser *f, int32_t a, int32_t b)
{
    int32_t small = f->groups[a].count < f->groups[b].count ? a : b, large = small == a ? b : a;
    for (int32_t m = 0; m < f->groups[small].count; m++) {
        int32_t id = f->groups[small].member[m];
        const edges *next = &f->next[id], *previous = &f->previous[id];
        for (int32_t i = 0; i < next->count; i++)
            if (f->of[next->to[i]] == large && !assign_fits(f->node[id], f->node[next->to[i]]))
                return false;
        for (int32_t i = 0; i < previous->count; i++)
            if (f->of[previous->to[i]] == large && !assign_fits(f->node[previous->to[i]], f->node[id]))
                return false;
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
        if (!fuse_is_view(f->node[g->member[i]]))
            return false;
    return true;
}

static bool reads_views(const group *a)
{
    return a->kind == KIND_CONTRACTION || a->core->op == IR_WINOGRAD;
}

/* The kind of the merged group, or KIND_NONE. The one with the core is a; b's nodes must stand on shapes a knows. */
static kind merged_kind(const fuser *f, const group *a, const group *b)
{
    if (reads_views(a) && b->kind == KIND_ELEMENTWISE && only_views(f, b))
        return a->kind;
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

/* The row in cache serves forward and backward pass alike, but not where later stages run between the two. */
static bool phases_fit(const fuser *f, const group *a, const group *b, kind k)
{
    if (a->phase == b->phase)
        return true;
    if (k == KIND_ROW && a->stage == f->last_stage)
        return a->phase != PHASE_UPDATE && b->phase != PHASE_UPDATE;
    return a->phase != PHASE_FORWARD && b->phase != PHASE_FORWARD;
}

/* Is every use of the group's values inside the other group (or itself)? */
static bool used_only_in(fuser *f, int32_t a, int32_t b)
{
    for (int32_t m = 0; m < f->groups[a].count; m++) {
        int32_t id = f->groups[a].member[m];
        const edges *e = &f->next[id];
        for (int32_t i = 0; i < e->count; i++)
            if (f->of[e->to[i]] != a && f->of[e->to[i]] != b && fuse_uses(f->node[e->to[i]], f->node[id]))
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
    if (reads_views(a))
        return b->kind == KIND_ELEMENTWISE && only_views(f, b);
    return (k == KIND_BATCH_REDUCE || k == KIND_REDUCE) && !shape_is(&a->domain, &b->domain);
}

const char *fuse_refusal(fuser *f, int32_t a, int32_t b)
{
    /* Compiling a kernel takes more than linear time, and stack as it is deep. A sum over other dimensions than the
     * last holds what it sums 16 times. */
    enum { STEPS = 512, STEPS_OF_SUM = 256 };
    const group *ga = &f->groups[a], *gb = &f->groups[b];
    kind k = merged_kind(f, ga, gb);
    if (ga->steps + gb->steps > (k == KIND_REDUCE ? STEPS_OF_SUM : STEPS))
        return "together they compute more than is put into one kernel";
    if (k == KIND_NONE)
        return gb->kind == KIND_ELEMENTWISE ? "their shapes differ"
                                            : "each is built around a contraction, window or reduction";
    if (k == KIND_CONTRACTION && (ga->spliced || gb->spliced))
        return "a contraction's vectors would reach over the seam of what is joined or padded";
    if (ga->stage != gb->stage)
        return "they belong to different stages";
    if (!phases_fit(f, ga, gb, k))
        return "one is of the forward, the other of the backward pass";
    if (!edges_fit(f, k, a, b))
        return "one reads the other at other elements than those at hand";
    if (!assigns_fit(f, a, b))
        return "one assigns in place what the other reads at other elements";
    if (is_prologue(f, ga, gb, k) && !used_only_in(f, b, a))
        return "others need its value too";
    if (fuse_path_around(f, a, b) || fuse_path_around(f, b, a))
        return "a third kernel must run between them";
    return NULL;
}
