/* backend/lower/value.c - the value of a region's node at a point.
 *
 * lower_value walks from a node to memory: elementwise operators compute at the same point, shape operators change the
 * point, inputs load. Each shape operator stands here three times, side by side in meaning: its value, whether merged
 * dimensions may pass through it (lower_merges), and whether a dimension spread over lanes may (lower_takes_lanes). */
#include "backend/lower/lower.h"
#include "ir/contraction/contraction.h"
#include <string.h>

/* A value that was computed at a point, for the next that asks. */
typedef struct known known;
struct known {
    lower_point point;
    nest_value *value;
    known *next;
};

typedef struct {
    const ir_node *node;
    known *values;
    nest_value *bound;
} state;

typedef struct {
    state *of; /* by node id */
    int32_t count;
} memo;

lowering *lower_new(nest_kernel *k, const ir_node *fused)
{
    lowering *l = arena_make(k->mem, lowering);
    memo *m = arena_make(k->mem, memo);
    l->kernel = k;
    l->fused = fused;
    l->region = fused->region;
    l->memo = m;
    m->count = ir_number(fused->region);
    m->of = arena_new_array(k->mem, state, (size_t)m->count + 1);
    for (int i = 0; i < l->region->ninputs; i++)
        m->of[l->region->inputs[i]->id].node = l->region->inputs[i];
    for (const ir_node *n = l->region->first; n; n = n->next)
        m->of[n->id].node = n;
    return l;
}

static state *state_of(const lowering *l, const ir_node *n)
{
    memo *m = l->memo;
    if (n->id < 0 || n->id >= m->count || m->of[n->id].node != n)
        ir_bug("%s is not in the region of '%s'", ir_ops[n->op].name, l->kernel->name);
    return &m->of[n->id];
}

/* ---- what is known ---- */

/* The same i64 scalar for sure: one value, or the same arithmetic on the same values. */
static bool same_index(const nest_value *a, const nest_value *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->kind != b->kind || a->lanes != b->lanes || a->dtype != b->dtype)
        return false;
    if (a->kind == NEST_CONST)
        return a->number == b->number;
    if (a->kind == NEST_BATCH || a->kind == NEST_TASK)
        return true;
    if (a->kind != NEST_OP || a->op != b->op || a->nin != 2)
        return false;
    return same_index(a->in[0], b->in[0]) && same_index(a->in[1], b->in[1]);
}

static bool same_point(const lower_point *a, const lower_point *b, int rank)
{
    if (a->lanes != b->lanes || a->lane_dim != b->lane_dim || a->merged != b->merged || a->active != b->active)
        return false;
    if (a->lanes > 1 && (a->lane_step != b->lane_step || a->active_count != b->active_count))
        return false;
    int indices = a->merged ? rank - a->merged + 1 : rank;
    for (int i = 0; i < indices; i++)
        if (!same_index(a->index[i], b->index[i]))
            return false;
    return true;
}

bool lower_depends(const lowering *l, const ir_node *n, const ir_node *on)
{
    if (n == on)
        return true;
    if (n->id < on->id)
        return false;
    for (int i = 0; i < n->nin; i++)
        if (lower_depends(l, n->in[i], on))
            return true;
    return false;
}

static void forget_dependents(lowering *l, const ir_node *n)
{
    memo *m = l->memo;
    bool *depends = arena_new_array(l->kernel->mem, bool, (size_t)m->count + 1);
    depends[n->id] = true;
    for (int32_t id = n->id; id < m->count; id++) {
        const ir_node *user = m->of[id].node;
        for (int i = 0; user && i < user->nin; i++)
            depends[id] |= depends[user->in[i]->id];
        if (depends[id])
            m->of[id].values = NULL;
    }
}

void lower_bind(lowering *l, const ir_node *n, nest_value *v)
{
    forget_dependents(l, n);
    state_of(l, n)->bound = v;
}

void lower_unbind(lowering *l, const ir_node *n)
{
    if (!state_of(l, n)->bound)
        return;
    forget_dependents(l, n);
    state_of(l, n)->bound = NULL;
}

void lower_forget(lowering *l)
{
    memo *m = l->memo;
    for (int32_t id = 0; id < m->count; id++)
        m->of[id].values = NULL;
}

/* ---- points ---- */

lower_point lower_scalar_point(lowering *l, int rank)
{
    lower_point p = {.lane_dim = -1, .lanes = 1, .lane_step = 1, .active_count = 1};
    for (int i = 0; i < rank; i++)
        p.index[i] = nest_i64(l->kernel, 0);
    return p;
}

static bool is_single(ir_dim d)
{
    return d.n == 1 && !d.batch;
}

/* The point's lanes, on no dimension yet. */
static lower_point without_lanes(const lower_point *p)
{
    lower_point q = {.lane_dim = -1, .lanes = 1, .lane_step = 1, .active_count = 1, .merged = p->merged};
    memcpy(q.index, p->index, sizeof q.index);
    return q;
}

static void set_lanes(lower_point *q, int dim, const lower_point *p)
{
    q->lane_dim = dim;
    q->lanes = p->lanes;
    q->lane_step = p->lane_step;
    q->active_count = p->active_count;
    q->active = p->active;
}

/* The value at a point that may have lost the lanes on the way. */
static nest_value *value_widened(lowering *l, const ir_node *n, const lower_point *q, int lanes)
{
    nest_value *v = lower_value(l, n, q);
    return v->lanes == lanes ? v : nest_splat(l->kernel, v, lanes);
}

nest_value *lower_op(lowering *l, ir_op op, ir_dtype t, nest_value *a, nest_value *b, const char *word)
{
    nest_value *in[] = {a, b};
    return nest_op(l->kernel, op, t, in, b ? 2 : 1, word);
}

nest_value *lower_choose(lowering *l, nest_value *condition, nest_value *yes, nest_value *no)
{
    if (condition->lanes != yes->lanes)
        condition = nest_splat(l->kernel, condition, yes->lanes);
    nest_value *in[] = {condition, yes, no};
    return nest_op(l->kernel, IR_SELECT, yes->dtype, in, 3, NULL);
}

static nest_value *is_less(lowering *l, nest_value *a, int64_t b)
{
    return lower_op(l, IR_COMPARE, IR_I1, a, nest_i64(l->kernel, b), "LT");
}

nest_value *lower_both(lowering *l, nest_value *a, nest_value *b)
{
    return !a ? b : !b ? a : lower_op(l, IR_AND, IR_I1, a, b, NULL);
}

/* ---- memory ---- */

/* Where an index of a dimension leads. */
static nest_value *index_offset(lowering *l, const ir_type *t, const ir_layout *at, int dim, nest_value *index)
{
    nest_kernel *k = l->kernel;
    int64_t n = t->dim[dim].n, own = at->stride[dim];
    if (dim == at->cut) {
        nest_value *panel = nest_mul(k, nest_div(k, index, at->width), at->panel);
        return nest_add(k, panel, nest_mul(k, nest_rem(k, index, at->width), own));
    }
    if (!t->dim[dim].batch)
        return nest_mul(k, index, own);
    if (n == 1 || at->batch_stride == n * own)
        return nest_mul(k, index, n == 1 ? at->batch_stride : own);
    nest_value *example = nest_mul(k, nest_div(k, index, n), at->batch_stride);
    return nest_add(k, example, nest_mul(k, nest_rem(k, index, n), own));
}

static int64_t lane_stride_of(const ir_type *t, const ir_layout *at, int dim)
{
    return t->dim[dim].batch && t->dim[dim].n == 1 ? at->batch_stride : at->stride[dim];
}

nest_value *lower_offset(lowering *l, const ir_type *t, const ir_node *memory, const lower_point *p,
                         int64_t *lane_stride)
{
    nest_kernel *k = l->kernel;
    ir_layout at = ir_layout_of(t, memory);
    int single = p->merged ? t->rank - p->merged : t->rank; /* dimensions with an index of their own */
    nest_value *offset = nest_i64(k, at.first);
    *lane_stride = 0;
    for (int i = 0; i < single; i++) {
        if (!is_single(t->dim[i]))
            offset = nest_add(k, offset, index_offset(l, t, &at, i, p->index[i]));
        if (i == p->lane_dim)
            *lane_stride = lane_stride_of(t, &at, i) * p->lane_step;
    }
    if (p->merged) {
        offset = nest_add(k, offset, p->index[single]);
        if (p->lane_dim == single)
            *lane_stride = p->lane_step;
    }
    return offset;
}

static nest_value *input_value(lowering *l, const ir_node *n, const lower_point *p)
{
    int64_t lane_stride;
    nest_value *offset = lower_offset(l, &n->type, lower_memory_of_input(l, n), p, &lane_stride);
    return nest_load(l->kernel, lower_input_buffer(l, n), offset, 0, lane_stride, p->lanes, p->active_count, p->active);
}

/* ---- shape operators ---- */

static nest_value *broadcast_value(lowering *l, const ir_node *n, const lower_point *p)
{
    const ir_node *x = n->in[0];
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims), first_merged = n->type.rank - p->merged;
    lower_point q = without_lanes(p);
    q.merged = 0;
    for (int i = 0; i < count; i++) {
        if (is_single(x->type.dim[i])) {
            q.index[i] = nest_i64(l->kernel, 0);
            continue;
        }
        q.index[i] = p->index[dims[i]];
        if (dims[i] == p->lane_dim)
            set_lanes(&q, i, p);
        if (p->merged && dims[i] >= first_merged)
            q.merged = p->merged;
    }
    if (q.merged) {
        int own_first = x->type.rank - q.merged;
        q.index[own_first] = p->index[first_merged];
        if (p->lane_dim == first_merged)
            set_lanes(&q, own_first, p);
    }
    return value_widened(l, x, &q, p->lanes);
}

static nest_value *transpose_value(lowering *l, const ir_node *n, const lower_point *p)
{
    int64_t permutation[IR_MAX_RANK];
    int count = ir_ints(n, "permutation", permutation);
    lower_point q = *p;
    for (int i = 0; i < count; i++) {
        q.index[permutation[i]] = p->index[i];
        if (i == p->lane_dim)
            q.lane_dim = (int32_t)permutation[i];
    }
    return lower_value(l, n->in[0], &q);
}

static nest_value *slice_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    int64_t start[IR_MAX_RANK], stride[IR_MAX_RANK];
    ir_ints(n, "start", start);
    ir_ints(n, "stride", stride);
    lower_point q = *p;
    for (int i = 0; i < n->type.rank - p->merged; i++) {
        q.index[i] = nest_add(k, nest_mul(k, p->index[i], stride[i]), nest_i64(k, start[i]));
        if (i == p->lane_dim)
            q.lane_step = p->lane_step * stride[i];
    }
    return lower_value(l, n->in[0], &q);
}

static nest_value *reverse_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims);
    lower_point q = *p;
    for (int i = 0; i < count; i++) {
        int d = (int)dims[i];
        q.index[d] = nest_add(k, nest_mul(k, p->index[d], -1), nest_i64(k, n->type.dim[d].n - 1));
        if (d == p->lane_dim)
            q.lane_step = -p->lane_step;
    }
    return lower_value(l, n->in[0], &q);
}

nest_value *lower_clamp(lowering *l, nest_value *index, int64_t n, nest_value **inside)
{
    nest_kernel *k = l->kernel;
    if (index->kind == NEST_CONST && index->number >= 0 && index->number < (double)n)
        return index;
    nest_value *not_below = lower_op(l, IR_COMPARE, IR_I1, index, nest_i64(k, 0), "GE");
    *inside = lower_both(l, *inside, lower_both(l, not_below, is_less(l, index, n)));
    return nest_max(k, nest_min(k, index, nest_i64(k, n - 1)), nest_i64(k, 0));
}

static bool is_padded(const ir_node *n, int dim)
{
    int64_t low[IR_MAX_RANK], high[IR_MAX_RANK], interior[IR_MAX_RANK];
    ir_ints(n, "low", low);
    ir_ints(n, "high", high);
    ir_ints(n, "interior", interior);
    return low[dim] || high[dim] || interior[dim];
}

static nest_value *pad_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    const ir_node *x = n->in[0];
    int64_t low[IR_MAX_RANK], interior[IR_MAX_RANK];
    ir_ints(n, "low", low);
    ir_ints(n, "interior", interior);
    lower_point q = *p;
    nest_value *inside = NULL;
    for (int i = 0; i < n->type.rank - p->merged; i++) {
        if (!is_padded(n, i))
            continue;
        int64_t gap = interior[i] + 1;
        nest_value *at = nest_add(k, p->index[i], nest_i64(k, -low[i]));
        at = lower_clamp(l, at, (x->type.dim[i].n - 1) * gap + 1, &inside);
        if (gap > 1) {
            nest_value *rest = nest_rem(k, at, gap);
            inside = lower_both(l, inside, lower_op(l, IR_COMPARE, IR_I1, rest, nest_i64(k, 0), "EQ"));
        }
        q.index[i] = nest_div(k, at, gap);
    }
    nest_value *value = lower_value(l, x, &q);
    if (!inside)
        return value;
    lower_point scalar = lower_scalar_point(l, 0);
    return lower_choose(l, inside, value, value_widened(l, n->in[1], &scalar, p->lanes));
}

static nest_value *concatenate_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    int dim = (int)ir_int(n, "dim", 0);
    nest_value *index = p->index[dim], *value = NULL;
    int64_t end = n->type.dim[dim].n;
    for (int i = n->nin - 1; i >= 0; i--) {
        int64_t start = end - n->in[i]->type.dim[dim].n;
        bool constant = index->kind == NEST_CONST;
        if (!constant || (index->number >= (double)start && index->number < (double)end)) {
            nest_value *inside = NULL;
            lower_point q = *p;
            q.index[dim] = lower_clamp(l, nest_add(k, index, nest_i64(k, -start)), end - start, &inside);
            nest_value *own = lower_value(l, n->in[i], &q);
            value = value ? lower_choose(l, is_less(l, index, end), own, value) : own;
        }
        end = start;
    }
    return value;
}

/* The row-major element number of a point, within one example and with the example's own part. */
static nest_value *element_number(lowering *l, const ir_type *t, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    int single = t->rank - p->merged;
    nest_value *number = nest_i64(k, 0);
    int64_t step = 1;
    bool batch_below = false;
    if (p->merged) {
        number = p->index[single];
        for (int i = single; i < t->rank; i++)
            step *= t->dim[i].n;
    }
    for (int i = single - 1; i >= 0; i--) {
        nest_value *part = nest_mul(k, p->index[i], step);
        if (batch_below)
            part = lower_op(l, IR_MULTIPLY, IR_I64, part, nest_batch(k), NULL);
        number = nest_add(k, number, part);
        step *= t->dim[i].n;
        batch_below |= t->dim[i].batch;
    }
    return number;
}

/* By which step element numbers grow from lane to lane. */
static int64_t element_step(const ir_type *t, const lower_point *p)
{
    int64_t step = p->lane_step;
    for (int i = p->lane_dim + 1; i < t->rank && !p->merged; i++)
        step *= t->dim[i].n;
    return p->lanes > 1 && p->lane_dim >= 0 ? step : 0;
}

/* A number that grows from lane to lane. */
static nest_value *counting(lowering *l, nest_value *first, int64_t step, int lanes)
{
    nest_kernel *k = l->kernel;
    if (lanes == 1 || step == 0)
        return nest_splat(k, first, lanes);
    nest_value *number = nest_lanes(k, lanes);
    if (step != 1)
        number = lower_op(l, IR_MULTIPLY, IR_I64, number, nest_const(k, IR_I64, lanes, (double)step), NULL);
    return lower_op(l, IR_ADD, IR_I64, nest_splat(k, first, lanes), number, NULL);
}

static nest_value *iota_value(lowering *l, const ir_node *n, const lower_point *p)
{
    int dim = (int)ir_int(n, "dim", 0);
    nest_value *number = counting(l, p->index[dim], dim == p->lane_dim ? p->lane_step : 0, p->lanes);
    return n->type.dtype == IR_I64 ? number : lower_op(l, IR_CONVERT, n->type.dtype, number, NULL, NULL);
}

static bool is_uniform(const ir_node *constant)
{
    const ir_attr *value = ir_attr_find(constant->attrs, "value");
    for (int i = 1; i < value->count; i++)
        if (value->number[i] != value->number[0])
            return false;
    return true;
}

/* A table is a chain of selects: tables in graphs are small. */
static nest_value *constant_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    const ir_attr *value = ir_attr_find(n->attrs, "value");
    ir_dtype t = n->type.dtype;
    if (is_uniform(n))
        return nest_const(k, t, p->lanes, value->number[0]);
    nest_value *at = counting(l, element_number(l, &n->type, p), element_step(&n->type, p), p->lanes);
    nest_value *chosen = nest_const(k, t, p->lanes, value->number[value->count - 1]);
    for (int i = value->count - 2; i >= 0; i--) {
        if (value->number[i] == value->number[i + 1])
            continue;
        nest_value *limit = nest_const(k, IR_I64, p->lanes, i + 1);
        chosen = lower_choose(l, lower_op(l, IR_COMPARE, IR_I1, at, limit, "LT"),
                              nest_const(k, t, p->lanes, value->number[i]), chosen);
    }
    return chosen;
}

/* Through the element number: one example's elements keep their memory order. */
static nest_value *reshape_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    const ir_type *from = &n->in[0]->type, *to = &n->type;
    int64_t stride[IR_MAX_RANK], batch_stride;
    nest_value *example = nest_i64(k, 0), *element = nest_i64(k, 0);
    ir_strides(to, stride, &batch_stride);
    for (int i = 0; i < to->rank; i++) {
        nest_value *index = p->index[i];
        if (to->dim[i].batch) {
            example = nest_div(k, index, to->dim[i].n);
            index = nest_rem(k, index, to->dim[i].n);
        }
        if (to->dim[i].n > 1)
            element = nest_add(k, element, nest_mul(k, index, stride[i]));
    }
    lower_point q = lower_scalar_point(l, from->rank);
    ir_strides(from, stride, &batch_stride);
    for (int i = 0; i < from->rank; i++) {
        int64_t n_i = from->dim[i].n;
        if (n_i > 1)
            q.index[i] = i == 0 ? nest_div(k, element, stride[i]) : nest_rem(k, nest_div(k, element, stride[i]), n_i);
        if (from->dim[i].batch)
            q.index[i] = nest_add(k, nest_mul(k, example, n_i), q.index[i]);
    }
    return lower_value(l, n->in[0], &q);
}

static nest_value *rng_value(lowering *l, const ir_node *n, const lower_point *p)
{
    lower_point scalar = lower_scalar_point(l, 0);
    nest_value *in[3];
    for (int i = 0; i < 3; i++)
        in[i] = lower_value(l, n->in[i], &scalar);
    return nest_rng(l->kernel, in[0], in[1], in[2], element_number(l, &n->type, p), p->lanes,
                    (uint32_t)ir_attr_find(n->attrs, "stream")->number[0]);
}

static nest_value *elementwise_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_value *in[4];
    for (int i = 0; i < n->nin; i++)
        in[i] = lower_value(l, n->in[i], p);
    const char *word = n->op == IR_COMPARE ? ir_word(n, "direction") : NULL;
    return nest_op(l->kernel, n->op, n->type.dtype, in, n->nin, word);
}

static nest_value *compute(lowering *l, const ir_node *n, const lower_point *p)
{
    switch (n->op) {
    case IR_INPUT:
        return input_value(l, n, p);
    case IR_BROADCAST_IN_DIM:
        return broadcast_value(l, n, p);
    case IR_TRANSPOSE:
        return transpose_value(l, n, p);
    case IR_SLICE:
        return slice_value(l, n, p);
    case IR_REVERSE:
        return reverse_value(l, n, p);
    case IR_PAD:
        return pad_value(l, n, p);
    case IR_CONCATENATE:
        return concatenate_value(l, n, p);
    case IR_IOTA:
        return iota_value(l, n, p);
    case IR_CONSTANT:
        return constant_value(l, n, p);
    case IR_RESHAPE:
        return reshape_value(l, n, p);
    case IR_RNG_BITS:
        return rng_value(l, n, p);
    case IR_BATCH_SIZE:
        return nest_splat(l->kernel, nest_batch(l->kernel), p->lanes);
    case IR_STOP_GRADIENT:
        return lower_value(l, n->in[0], p);
    default:
        if (!(ir_ops[n->op].traits & OP_ELTWISE))
            ir_bug("kernel '%s' asks for %s at a point", l->kernel->name, ir_ops[n->op].name);
        return elementwise_value(l, n, p);
    }
}

nest_value *lower_value(lowering *l, const ir_node *n, const lower_point *p)
{
    state *s = state_of(l, n);
    if (s->bound)
        return s->bound->lanes == p->lanes ? s->bound : nest_splat(l->kernel, s->bound, p->lanes);
    for (known *at = s->values; at; at = at->next)
        if (same_point(&at->point, p, n->type.rank))
            return at->value;
    src_loc before = l->kernel->at;
    if (n->loc.line)
        l->kernel->at = n->loc;
    known *fresh = arena_make(l->kernel->mem, known);
    fresh->point = *p;
    fresh->value = compute(l, n, p);
    l->kernel->at = before;
    fresh->next = s->values;
    s->values = fresh;
    return fresh->value;
}

/* ---- merged dimensions ---- */

static bool lies_as(const ir_type *own, const ir_node *memory, const ir_type *t, const ir_layout *as)
{
    ir_layout at = ir_layout_of(own, memory);
    return !ir_shape_equal(own, t) || ir_layout_equal(&at, as, t->rank);
}

/* Does all that this kernel reads and writes of shape t lie alike? Then a walk over all elements in memory order meets
 * the same element everywhere, panels or not. */
static bool all_alike(const lowering *l, const ir_type *t, const ir_layout *as)
{
    const ir_graph *r = l->region;
    for (int i = 0; i < r->ninputs; i++)
        if (!lies_as(&r->inputs[i]->type, lower_memory_of_input(l, r->inputs[i]), t, as))
            return false;
    for (int i = 0; i < r->nresults; i++)
        if (!lies_as(&r->results[i]->type, lower_memory_of_result(l, i), t, as))
            return false;
    for (const ir_node *n = r->first; n; n = n->next)
        if (n->op == IR_ASSIGN && !lies_as(&n->in[0]->type, n, t, as))
            return false;
    return true;
}

bool lower_memory_merges(const lowering *l, const ir_type *t, const ir_node *memory, int merged)
{
    if (memory && ir_attr_find(memory->attrs, "halo"))
        return false;
    ir_layout at = ir_layout_of(t, memory);
    return at.cut < 0 || (merged == t->rank && all_alike(l, t, &at));
}

/* Dimensions first .. rank - 1 lie in memory as one. */
static bool lies_merged(const ir_type *t, int merged)
{
    int first = t->rank - merged, batch = ir_batch_dim(t);
    return merged == t->rank || batch < first;
}

static bool broadcast_merges(const lowering *l, const ir_node *n, int merged)
{
    const ir_node *x = n->in[0];
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims), first = n->type.rank - merged, reached = 0;
    for (int i = 0; i < count; i++)
        if (dims[i] >= first && !is_single(x->type.dim[i]))
            reached++;
    if (!reached)
        return true;
    if (x->type.rank < merged)
        return false;
    for (int i = 0; i < merged; i++) {
        int own = x->type.rank - merged + i, to = first + i;
        if (dims[own] != to || x->type.dim[own].n != n->type.dim[to].n ||
            x->type.dim[own].batch != n->type.dim[to].batch)
            return false;
    }
    return lower_merges(l, x, merged);
}

/* The operator leaves the merged dimensions alone. */
static bool leaves_alone(const ir_node *n, int merged)
{
    int64_t a[IR_MAX_RANK], b[IR_MAX_RANK];
    int first = n->type.rank - merged, count;
    switch (n->op) {
    case IR_TRANSPOSE:
        ir_ints(n, "permutation", a);
        for (int i = first; i < n->type.rank; i++)
            if (a[i] != i)
                return false;
        return true;
    case IR_SLICE:
        ir_ints(n, "start", a);
        ir_ints(n, "stride", b);
        for (int i = first; i < n->type.rank; i++)
            if (a[i] || b[i] != 1 || n->in[0]->type.dim[i].n != n->type.dim[i].n)
                return false;
        return true;
    case IR_PAD:
        for (int i = first; i < n->type.rank; i++)
            if (is_padded(n, i))
                return false;
        return true;
    case IR_REVERSE:
        count = ir_ints(n, "dims", a);
        for (int i = 0; i < count; i++)
            if (a[i] >= first)
                return false;
        return true;
    case IR_CONCATENATE:
    case IR_IOTA:
        return ir_int(n, "dim", 0) < first;
    default:
        return false;
    }
}

bool lower_merges(const lowering *l, const ir_node *n, int merged)
{
    if (!lies_merged(&n->type, merged))
        return false;
    switch (n->op) {
    case IR_INPUT:
        return lower_memory_merges(l, &n->type, lower_memory_of_input(l, n), merged);
    case IR_CONSTANT:
        return is_uniform(n);
    case IR_BATCH_SIZE:
        return true;
    case IR_BROADCAST_IN_DIM:
        return broadcast_merges(l, n, merged);
    case IR_RNG_BITS:
        return ir_batch_dim(&n->type) <= 0;
    case IR_IOTA:
        return leaves_alone(n, merged);
    case IR_TRANSPOSE:
    case IR_SLICE:
    case IR_REVERSE:
    case IR_CONCATENATE:
    case IR_PAD:
        for (int i = 0; i < n->nin && i < (n->op == IR_PAD ? 1 : n->nin); i++)
            if (!lower_merges(l, n->in[i], merged))
                return false;
        return leaves_alone(n, merged);
    default:
        if (lower_is_core(n)) /* bound to a value when it is asked for */
            return true;
        if (!(ir_ops[n->op].traits & OP_ELTWISE) && n->op != IR_STOP_GRADIENT)
            return false;
        for (int i = 0; i < n->nin; i++)
            if (!lower_merges(l, n->in[i], merged))
                return false;
        return true;
    }
}

/* ---- lanes ---- */

static bool all_take_lanes(const lowering *l, const ir_node *n, int dim)
{
    for (int i = 0; i < n->nin; i++)
        if (!lower_takes_lanes(l, n->in[i], dim))
            return false;
    return true;
}

/* A dimension n*B whose examples do not follow each other in memory is not walked by vectors. */
static bool memory_takes_lanes(const lowering *l, const ir_node *n, int dim)
{
    ir_layout at = ir_layout_of(&n->type, n->op == IR_INPUT ? lower_memory_of_input(l, n) : NULL);
    if (!n->type.dim[dim].batch || n->type.dim[dim].n == 1)
        return true;
    return at.batch_stride == n->type.dim[dim].n * at.stride[dim];
}

/* Does anything below n lie in panels? A vector that does not start at a multiple of its length would reach over a
 * panel's end. */
static bool reads_panels(const lowering *l, const ir_node *n)
{
    if (n->op == IR_INPUT)
        return ir_layout_of(&n->type, lower_memory_of_input(l, n)).cut >= 0;
    for (int i = 0; i < n->nin; i++)
        if (reads_panels(l, n->in[i]))
            return true;
    return false;
}

bool lower_takes_lanes(const lowering *l, const ir_node *n, int dim)
{
    int64_t dims[IR_MAX_RANK];
    int count;
    if (lower_is_core(n))
        return true;
    switch (n->op) {
    case IR_INPUT:
        return memory_takes_lanes(l, n, dim);
    case IR_BROADCAST_IN_DIM:
        count = ir_ints(n, "dims", dims);
        for (int i = 0; i < count; i++)
            if (dims[i] == dim && !is_single(n->in[0]->type.dim[i]))
                return lower_takes_lanes(l, n->in[0], i);
        return true;
    case IR_TRANSPOSE:
        ir_ints(n, "permutation", dims);
        return lower_takes_lanes(l, n->in[0], (int)dims[dim]);
    case IR_PAD:
        return !is_padded(n, dim) && lower_takes_lanes(l, n->in[0], dim);
    case IR_SLICE:
    case IR_REVERSE:
        return !reads_panels(l, n) && lower_takes_lanes(l, n->in[0], dim);
    case IR_CONCATENATE:
        return ir_int(n, "dim", 0) != dim && all_take_lanes(l, n, dim);
    case IR_RNG_BITS:
        return dim == n->type.rank - 1;
    case IR_RESHAPE:
        return false;
    default:
        return all_take_lanes(l, n, dim);
    }
}
