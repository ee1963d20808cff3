/* passes/simplify.c - the same bits with fewer nodes.
 *     %1 = multiply %x, 1           %4 = add %a, %b
 *     %2 = transpose %1 [1, 0]      %5 = add %a, %b             =>  nothing, %x, nothing, one add
 *     %3 = transpose %2 [1, 0]      %6 = tanh %9 (unused)
 * In one walk over each graph a node is folded (all operands constant), replaced by an older value (a rule below), or
 * merged with an equal node above; then unused nodes go. Every rule holds for each bit pattern, -0 and infinities
 * included, any NaN counting as any other: so `x + 0` stays (it turns -0 into +0) and `x + -0` does not.
 * Where a function still has to be differentiated, only constants are folded and unused nodes dropped: sharing a node
 * changes the order in which its gradients are added. The run after autodiff does the rest.
 * Needs:  nothing.      Keeps:  outputs, effects, what a function takes; region operators keep their operands' places.
 * Breaks: nothing. */
#include "ir/graph/build.h"
#include "ir/graph/uses.h"
#include "ir/math/math.h"
#include "ir/ops/eval.h"
#include "passes/passes.h"
#include "passes/pool_mask.h"
#include <math.h>
#include <string.h>

/* Constants with a number for each element are folded up to this many elements: text stays readable. */
enum { FOLD_ELEMENTS = 64 };

/* ---- constants ---- */

static bool is_splat(const ir_node *n, double *value)
{
    const ir_attr *a = n->op == IR_CONSTANT ? ir_attr_find(n->attrs, "value") : NULL;
    if (!a || a->count != 1)
        return false;
    *value = a->number[0];
    return true;
}

/* A constant whose elements are all this number, the sign of zero included. */
static bool is_all(const ir_node *n, double wanted)
{
    double v;
    return is_splat(n, &v) && v == wanted && !signbit(v) == !signbit(wanted);
}

/* What adding leaves every x as it is: -0 for floats, 0 for integers. */
static bool is_neutral_term(const ir_node *n)
{
    return is_all(n, ir_dtype_is_float(n->type.dtype) ? -0.0 : 0.0);
}

static bool is_small(const ir_type *t)
{
    return ir_batch_dim(t) < 0 && ir_static_count(t) <= FOLD_ELEMENTS;
}

/* Operators that multiply and add in one rounding, or in two on a target without: their bits are not ours to fix. */
static bool depends_on_target(ir_op op)
{
    return math_find(op) || op == IR_DOT_GENERAL || op == IR_CONVOLUTION;
}

/* All operands splat: the node can be computed on scalars. */
static bool folds_as_scalars(const ir_node *n)
{
    double ignored;
    for (int i = 0; i < n->nin; i++)
        if (!is_splat(n->in[i], &ignored))
            return false;
    return ir_ops[n->op].traits & OP_ELTWISE;
}

static bool folds_as_arrays(const ir_node *n)
{
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]->op != IR_CONSTANT || !is_small(&n->in[i]->type))
            return false;
    return is_small(&n->type);
}

static ir_type scalar_of(ir_type t, bool as_scalar)
{
    return as_scalar ? ir_type_scalar(t.dtype) : t;
}

/* The node alone in a module of its own, its operands' shapes dropped if as_scalar. */
static ir_graph *only_this(ir_module *m, const ir_node *n, bool as_scalar)
{
    ir_graph *g = ir_function_new(m, "fold", n->loc);
    ir_node *in[4];
    for (int i = 0; i < n->nin; i++) {
        in[i] = ir_node_new(g, IR_CONSTANT, NULL, 0, scalar_of(n->in[i]->type, as_scalar));
        in[i]->attrs = n->in[i]->attrs;
    }
    ir_node *copy = ir_node_new(g, n->op, in, n->nin, scalar_of(n->type, as_scalar));
    copy->attrs = n->attrs;
    ir_result_add(g, "value", copy);
    return g;
}

/* An attribute's numbers are doubles: whole numbers beyond 2^53 would not survive. */
static bool is_kept_by_text(double v)
{
    return fabs(v) <= 9007199254740992.0;
}

/* Text keeps the sign of a zero and a NaN apart from numbers, so equality of numbers will not do. */
static bool same_bits(double a, double b)
{
    uint64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return x == y;
}

/* A constant of n's type with the numbers of t, or NULL if text could not hold them. */
static ir_node *constant_of(ir_graph *g, const ir_node *n, const evaluator *e, const eval_tensor *t)
{
    double value[FOLD_ELEMENTS];
    int count = (int)ir_count(&t->type, 1);
    bool all_same = true;
    for (int i = 0; i < count; i++) {
        value[i] = evaluator_get(e, t, i);
        all_same &= same_bits(value[i], value[0]);
        if (!ir_dtype_is_float(n->type.dtype) && !is_kept_by_text(value[i]))
            return NULL;
    }
    ir_node *constant = ir_node_new(g, IR_CONSTANT, NULL, 0, n->type);
    ir_set_numbers(constant, "value", value, all_same ? 1 : count);
    return constant;
}

static ir_node *fold(ir_graph *g, const ir_node *n)
{
    if (n->nin == 0 || n->nin > 4 || n->region || n->symbol || depends_on_target(n->op))
        return NULL;
    bool as_scalar = folds_as_scalars(n);
    if (!as_scalar && !folds_as_arrays(n))
        return NULL;
    ir_module *m = ir_module_new("fold");
    diag *d = diag_new();
    ir_graph *f = only_this(m, n, as_scalar);
    evaluator *e = evaluator_new(m, EVAL_F32, 1);
    ir_node *folded = evaluator_run(e, f, d) ? constant_of(g, n, e, evaluator_result(e, 0)) : NULL;
    evaluator_free(e);
    diag_free(d);
    ir_module_free(m);
    return folded;
}

/* ---- rules for elementwise operators: an older value that n equals, or NULL ---- */

static ir_node *of_either(ir_node *n, bool (*neutral)(const ir_node *))
{
    return neutral(n->in[1]) ? n->in[0] : neutral(n->in[0]) ? n->in[1] : NULL;
}

static bool is_one(const ir_node *n)
{
    return is_all(n, 1);
}

/* A conversion that keeps every value of 'from' apart, so that converting back gives it again. */
static bool is_lossless(ir_dtype from, ir_dtype to)
{
    if (from == IR_I1)
        return true;
    if (from == IR_UI8)
        return to != IR_I1;
    if (from == IR_F32 || from == IR_UI32)
        return to == IR_F64 || (from == IR_UI32 && to == IR_I64);
    return from == IR_I32 && (to == IR_I64 || to == IR_F64);
}

static ir_node *simplify_convert(ir_graph *g, ir_node *n)
{
    ir_node *x = n->in[0];
    if (ir_type_equal(&x->type, &n->type))
        return x;
    if (x->op != IR_CONVERT || !is_lossless(x->in[0]->type.dtype, x->type.dtype))
        return NULL;
    return ir_type_equal(&x->in[0]->type, &n->type) ? x->in[0] : ir_convert(g, x->in[0], n->type.dtype);
}

static ir_node *simplify_select(ir_graph *g, const ir_uses *uses, ir_node *n)
{
    double condition;
    if (is_splat(n->in[0], &condition))
        return n->in[condition != 0 ? 1 : 2];
    return n->in[1] == n->in[2] ? n->in[1] : pool_mask_moved(g, uses, n);
}

static ir_node *simplify_elementwise(ir_graph *g, const ir_uses *uses, ir_node *n)
{
    ir_node *x = n->in[0];
    switch (n->op) {
    case IR_NEGATE:
    case IR_NOT:
        return x->op == n->op ? x->in[0] : NULL;
    case IR_ABS:
        return x->op == IR_ABS ? x : NULL;
    case IR_ADD:
        return of_either(n, is_neutral_term);
    case IR_SUBTRACT:
        return is_all(n->in[1], 0) ? x : NULL;
    case IR_MULTIPLY:
        return of_either(n, is_one);
    case IR_DIVIDE:
        return is_one(n->in[1]) ? x : NULL;
    case IR_MAXIMUM:
    case IR_MINIMUM:
    case IR_AND:
    case IR_OR:
        return n->in[1] == x ? x : NULL;
    case IR_SELECT:
        return simplify_select(g, uses, n);
    case IR_CONVERT:
        return simplify_convert(g, n);
    case IR_BITCAST_CONVERT:
        return ir_type_equal(&x->type, &n->type) ? x : NULL;
    default:
        return NULL;
    }
}

/* ---- rules for operators on shapes ---- */

static bool is_identity(const int64_t *map, int count)
{
    for (int i = 0; i < count; i++)
        if (map[i] != i)
            return false;
    return true;
}

static ir_node *simplify_reshape(ir_graph *g, ir_node *n)
{
    ir_node *x = n->in[0];
    if (ir_type_equal(&x->type, &n->type))
        return x;
    return x->op == IR_RESHAPE ? ir_reshape(g, x->in[0], n->type.rank, n->type.dim) : NULL;
}

static ir_node *simplify_transpose(ir_graph *g, ir_node *n)
{
    ir_node *x = n->in[0];
    int64_t outer[IR_MAX_RANK], inner[IR_MAX_RANK], both[IR_MAX_RANK];
    int rank = ir_ints(n, "permutation", outer);
    if (is_identity(outer, rank))
        return x;
    if (x->op != IR_TRANSPOSE)
        return NULL;
    ir_ints(x, "permutation", inner);
    for (int i = 0; i < rank; i++)
        both[i] = inner[outer[i]];
    return is_identity(both, rank) ? x->in[0] : ir_transpose(g, x->in[0], both);
}

static ir_node *simplify_broadcast(ir_graph *g, ir_node *n)
{
    ir_node *x = n->in[0];
    double value;
    int64_t outer[IR_MAX_RANK], inner[IR_MAX_RANK];
    int rank = ir_ints(n, "dims", outer);
    if (ir_type_equal(&x->type, &n->type) && is_identity(outer, rank))
        return x;
    if (is_splat(x, &value))
        return ir_constant(g, n->type, value);
    if (x->op != IR_BROADCAST_IN_DIM)
        return NULL;
    int inner_rank = ir_ints(x, "dims", inner);
    for (int i = 0; i < inner_rank; i++)
        inner[i] = outer[inner[i]];
    return ir_broadcast_in_dim(g, x->in[0], n->type, inner);
}

static bool all_zero(const ir_node *n, const char *attribute)
{
    int64_t v[IR_MAX_RANK];
    int count = ir_ints(n, attribute, v);
    for (int i = 0; i < count; i++)
        if (v[i])
            return false;
    return true;
}

static ir_node *simplify_reverse(ir_node *n)
{
    ir_node *x = n->in[0];
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims);
    if (x->op == IR_REVERSE && ir_attrs_equal(x->attrs, n->attrs))
        return x->in[0];
    for (int i = 0; i < count; i++)
        if (x->type.dim[dims[i]].n != 1 || x->type.dim[dims[i]].batch)
            return NULL;
    return x;
}

static ir_node *simplify_shape(ir_graph *g, ir_node *n)
{
    switch (n->op) {
    case IR_RESHAPE:
        return simplify_reshape(g, n);
    case IR_TRANSPOSE:
        return simplify_transpose(g, n);
    case IR_BROADCAST_IN_DIM:
        return simplify_broadcast(g, n);
    case IR_SLICE:
        /* As many elements as the operand has, in order: all of them. */
        return ir_type_equal(&n->in[0]->type, &n->type) ? n->in[0] : NULL;
    case IR_PAD:
        return all_zero(n, "low") && all_zero(n, "high") && all_zero(n, "interior") ? n->in[0] : NULL;
    case IR_CONCATENATE:
        return n->nin == 1 ? n->in[0] : NULL;
    case IR_REVERSE:
        return simplify_reverse(n);
    default:
        return NULL;
    }
}

/* ---- equal nodes ---- */

static bool may_merge(const ir_node *n)
{
    return !(ir_ops[n->op].traits & (OP_EFFECT | OP_IMPURE | OP_REGION)) && n->op != IR_RESULT;
}

static bool equal_nodes(const ir_node *a, const ir_node *b)
{
    if (a->op != b->op || a->nin != b->nin || a->symbol != b->symbol || !ir_type_equal(&a->type, &b->type))
        return false;
    bool same = true, swapped = ir_ops[a->op].traits & OP_COMMUTES || ir_word_is(a, "direction", "EQ");
    for (int i = 0; i < a->nin; i++)
        same &= a->in[i] == b->in[i];
    if (!same && swapped)
        same = a->in[0] == b->in[1] && a->in[1] == b->in[0];
    return same && ir_attrs_equal(a->attrs, b->attrs);
}

typedef struct {
    ir_node **slot; /* open addressing; a power of two, at most half full */
    size_t size;
    arena *mem;
    size_t count;
} node_set;

/* Operands enter as a sum, so that swapped ones of a commuting operator meet. */
static size_t hash_node(const ir_node *n)
{
    uintptr_t h = (uintptr_t)n->op * 31 + (uintptr_t)n->type.rank;
    for (int i = 0; i < n->nin; i++)
        h += ((uintptr_t)n->in[i] >> 4) * 2654435761u;
    h += ((uintptr_t)n->symbol >> 4) * 40503u;
    return (size_t)(h ^ (h >> 15));
}

static void grow(node_set *s)
{
    node_set bigger = {.size = s->size ? 2 * s->size : 64, .mem = s->mem, .count = s->count};
    bigger.slot = arena_new_array(s->mem, ir_node *, bigger.size);
    for (size_t i = 0; i < s->size; i++)
        if (s->slot[i]) {
            size_t k = hash_node(s->slot[i]) & (bigger.size - 1);
            while (bigger.slot[k])
                k = (k + 1) & (bigger.size - 1);
            bigger.slot[k] = s->slot[i];
        }
    *s = bigger;
}

/* An equal node seen before, or NULL after remembering this one. */
static ir_node *seen_before(node_set *s, ir_node *n)
{
    if (2 * (s->count + 1) > s->size)
        grow(s);
    size_t k = hash_node(n) & (s->size - 1);
    for (; s->slot[k]; k = (k + 1) & (s->size - 1))
        if (equal_nodes(s->slot[k], n))
            return s->slot[k];
    s->slot[k] = n;
    s->count++;
    return NULL;
}

/* ---- the walk ---- */

static bool takes(const ir_node *n, const ir_node *x)
{
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] == x)
            return true;
    return false;
}

/* A region operator takes no value twice: where 'old' stands beside 'with' there, it has to stay. */
static bool meet_in_region(const ir_uses *uses, const ir_node *old, const ir_node *with)
{
    for (const ir_use *use = ir_uses_of(uses, old); use; use = use->next)
        if (use->user && use->user->region && takes(use->user, with))
            return true;
    return false;
}

static ir_node *find_replacement(ir_graph *g, const ir_uses *uses, ir_node *n)
{
    return ir_ops[n->op].traits & OP_ELTWISE ? simplify_elementwise(g, uses, n) : simplify_shape(g, n);
}

/* Nodes made between 'last' (NULL: the start) and n enter the table; were there any? */
static bool add_fresh(ir_uses *uses, const ir_graph *g, const ir_node *last, const ir_node *n)
{
    for (ir_node *made = last ? last->next : g->first; made != n; made = made->next)
        ir_uses_add(uses, made);
    return n->prev != last;
}

/* New nodes go before n and take its place in the YAML, label and stage. */
static void aim(ir_graph *g, ir_node *n)
{
    g->before = n;
    g->at = n ? n->loc : (src_loc){0};
    g->at_label = n ? n->label : NULL;
    g->at_stage = n ? ir_int(n, "stage", 0) : 0;
}

static void simplify_graph(ir_graph *g, bool to_differentiate);

static void rewrite(ir_graph *g, bool to_differentiate)
{
    arena *tmp = arena_new();
    node_set seen = {.mem = tmp};
    ir_uses *uses = ir_uses_new(g, tmp);
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->region)
            simplify_graph(n->region, to_differentiate);
        if (!may_merge(n))
            continue;
        aim(g, n);
        ir_node *last = n->prev, *with = fold(g, n);
        if (!with && !to_differentiate)
            with = find_replacement(g, uses, n);
        bool fresh = add_fresh(uses, g, last, n); /* they may fit a rule themselves and are looked at next */
        if (!with && !to_differentiate)
            with = seen_before(&seen, n);
        if (!with || meet_in_region(uses, n, with))
            continue;
        ir_uses_replace(uses, n, with);
        if (fresh) {
            with->name = with == n->prev ? n->name : with->name;
            next = last ? last->next : g->first;
        }
        if (next == n)
            next = n->next;
        ir_uses_unlink(uses, n);
    }
    aim(g, NULL);
    arena_free(tmp);
}

static void simplify_graph(ir_graph *g, bool to_differentiate)
{
    rewrite(g, to_differentiate);
    ir_drop_unused(g);
}

static bool has_minimize(const ir_graph *g)
{
    for (const ir_node *n = g->first; n; n = n->next)
        if (n->op == IR_MINIMIZE)
            return true;
    return false;
}

bool pass_simplify(ir_module *m, diag *d)
{
    (void)d;
    for (ir_graph *g = m->functions; g; g = g->next)
        simplify_graph(g, has_minimize(g));
    return true;
}
