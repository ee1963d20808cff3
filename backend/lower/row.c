/* backend/lower/row.c - reductions over the last dimensions whose results are used again along the same row.
 *
 * A row is what such a reduction reads for one result, such as the logits of one example. In softmax the maximum and
 * the sum of a row are needed again for each of its elements. The code is
 *     for each row
 *       one loop over the row for each layer of reductions (in softmax the maximum, then the sum)
 *       one loop that stores the results which are as long as the row; then the results with one element a row
 * A sum's 16 chains are the 16 lanes of a vector; a target with narrower registers takes several registers for it. A
 * row that fits into a few vectors is written without loops, and what several of its loops would compute is computed
 * once. The lanes of the last vector that lie past the end of the row leave their chains alone.
 *
 * plan = [elements a task] */
#include "backend/lower/lower.h"

enum { WHOLE = 64 }; /* rows up to this long are written without a loop */

typedef struct {
    lowering *l;
    const ir_type *full, *row; /* shapes: of the operands, of the reductions */
    int64_t length;
    int merged;      /* reduced dimensions, walked as one if more than one */
    bool by_element; /* where they cannot be */
    int *depth;      /* by node id: for how many layers of other reductions it waits */
} rows;

/* ---- a pass over the row ---- */

static lower_point row_vector(const rows *r, const lower_point *row, nest_value *column, int live)
{
    lower_point p = *row;
    int dim = r->full->rank - r->merged;
    p.index[dim] = column;
    p.lane_dim = dim;
    p.lanes = IR_CHAINS;
    p.lane_step = 1;
    p.active_count = live;
    p.merged = r->merged > 1 ? r->merged : 0;
    return p;
}

typedef struct {
    const ir_node **reduce;
    int count;
} layer;

static bool is_argmax(const ir_node *reduce)
{
    return ir_word_is(reduce, "kind", "argmax");
}

/* An argmax carries two values, the best and where it stood. */
static int carried(const layer *y)
{
    int n = 0;
    for (int i = 0; i < y->count; i++)
        n += is_argmax(y->reduce[i]) ? 2 : 1;
    return n;
}

static void start(const rows *r, const layer *y, nest_value **carry)
{
    nest_kernel *k = r->l->kernel;
    for (int i = 0; i < y->count; i++) {
        ir_dtype t = y->reduce[i]->in[0]->type.dtype;
        if (is_argmax(y->reduce[i])) {
            *carry++ = nest_const(k, t, IR_CHAINS, ir_dtype_is_float(t) ? -__builtin_inf() : 0);
            *carry++ = nest_const(k, IR_I32, IR_CHAINS, -1); /* nothing seen yet */
        } else {
            *carry++ = lower_neutral(r->l, y->reduce[i], IR_CHAINS);
        }
    }
}

static nest_value *lane_numbers(lowering *l, nest_value *column)
{
    nest_kernel *k = l->kernel;
    nest_value *number = nest_splat(k, column, IR_CHAINS);
    number = lower_op(l, IR_ADD, IR_I64, number, nest_lanes(k, IR_CHAINS), NULL);
    return lower_op(l, IR_CONVERT, IR_I32, number, NULL, NULL);
}

/* One vector of the row into all reductions of the layer. 'live' is NULL where all lanes are. */
static void step(const rows *r, const layer *y, const lower_point *p, nest_value *live, nest_value **carry)
{
    lowering *l = r->l;
    nest_kernel *k = l->kernel;
    for (int i = 0; i < y->count; i++) {
        nest_value *x = lower_value(l, y->reduce[i]->in[0], p);
        if (!is_argmax(y->reduce[i])) {
            nest_value *next = lower_combine(l, y->reduce[i], *carry, x);
            *carry = live ? lower_choose(l, live, next, *carry) : next;
            carry++;
            continue;
        }
        nest_value *unseen = lower_op(l, IR_COMPARE, IR_I1, carry[1], nest_const(k, IR_I32, IR_CHAINS, 0), "LT");
        nest_value *better = lower_op(l, IR_OR, IR_I1, lower_is_better(l, x, carry[0]), unseen, NULL);
        if (live)
            better = lower_op(l, IR_AND, IR_I1, better, live, NULL);
        nest_value *number = lane_numbers(l, p->index[p->lane_dim]);
        carry[0] = lower_choose(l, better, x, carry[0]);
        carry[1] = lower_choose(l, better, number, carry[1]);
        carry += 2;
    }
}

/* The lanes' bests: of the largest ones the first; NaNs are the largest. */
static nest_value *fold_argmax(lowering *l, nest_value *best, nest_value *at)
{
    nest_kernel *k = l->kernel;
    nest_value *value = nest_lane(k, best, 0), *index = nest_lane(k, at, 0);
    for (int i = 1; i < IR_CHAINS; i++) {
        nest_value *x = nest_lane(k, best, i), *x_at = nest_lane(k, at, i);
        nest_value *zero = nest_const(k, IR_I32, 1, 0);
        nest_value *seen = lower_op(l, IR_COMPARE, IR_I1, x_at, zero, "GE");
        nest_value *worse = lower_is_better(l, value, x);
        nest_value *better = lower_is_better(l, x, value);
        nest_value *equal = lower_op(l, IR_NOT, IR_I1, lower_op(l, IR_OR, IR_I1, better, worse, NULL), NULL, NULL);
        nest_value *earlier = lower_op(l, IR_COMPARE, IR_I1, x_at, index, "LT");
        better = lower_op(l, IR_OR, IR_I1, better, lower_op(l, IR_AND, IR_I1, equal, earlier, NULL), NULL);
        better = lower_op(l, IR_AND, IR_I1, better, seen, NULL);
        value = lower_choose(l, better, x, value);
        index = lower_choose(l, better, x_at, index);
    }
    return index;
}

static void finish(const rows *r, const layer *y, nest_value **carry)
{
    for (int i = 0; i < y->count; i++) {
        const ir_node *n = y->reduce[i];
        if (is_argmax(n)) {
            lower_bind(r->l, n, fold_argmax(r->l, carry[0], carry[1]));
            carry += 2;
            continue;
        }
        ir_op op = ir_word_is(n, "kind", "max") ? IR_MAXIMUM : ir_word_is(n, "kind", "min") ? IR_MINIMUM : IR_ADD;
        lower_bind(r->l, n, nest_fold(r->l->kernel, op, *carry++));
    }
}

static nest_value *live_lanes(lowering *l, int64_t count)
{
    nest_kernel *k = l->kernel;
    return lower_op(l, IR_COMPARE, IR_I1, nest_lanes(k, IR_CHAINS), nest_const(k, IR_I64, IR_CHAINS, (double)count),
                    "LT");
}

static void reduce_layer(const rows *r, const layer *y, const lower_point *row)
{
    lowering *l = r->l;
    nest_kernel *k = l->kernel;
    int n = carried(y);
    nest_value **carry = arena_new_array(k->mem, nest_value *, (size_t)n + 1);
    start(r, y, carry);
    int64_t whole = r->length / IR_CHAINS * IR_CHAINS;
    if (r->length <= WHOLE) {
        for (int64_t c = 0; c < whole; c += IR_CHAINS) {
            lower_point p = row_vector(r, row, nest_i64(k, c), IR_CHAINS);
            step(r, y, &p, NULL, carry);
        }
    } else {
        nest_block *outer;
        nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), nest_i64(k, whole), IR_CHAINS, carry, n, &outer);
        lower_forget(l);
        for (int i = 0; i < n; i++)
            carry[i] = loop->carry[i];
        lower_point p = row_vector(r, row, nest_loop_index(loop), IR_CHAINS);
        step(r, y, &p, NULL, carry);
        nest_loop_end(k, loop, carry, outer);
        lower_forget(l);
        for (int i = 0; i < n; i++)
            carry[i] = loop->final[i];
    }
    if (whole < r->length) {
        int left = (int)(r->length - whole);
        lower_point p = row_vector(r, row, nest_i64(k, whole), left);
        step(r, y, &p, live_lanes(l, left), carry);
    }
    finish(r, y, carry);
}

/* ---- a row ---- */

static void find_depths(rows *r)
{
    const lowering *l = r->l;
    r->depth = arena_new_array(l->kernel->mem, int, (size_t)l->count + 1);
    for (const ir_node *n = l->region->first; n; n = n->next)
        for (int i = 0; i < n->nin; i++) {
            int depth = r->depth[n->in[i]->id] + (n->in[i]->op == IR_REDUCE);
            r->depth[n->id] = depth > r->depth[n->id] ? depth : r->depth[n->id];
        }
}

static layer layer_at(const rows *r, int depth)
{
    const lowering *l = r->l;
    layer y = {.reduce = arena_new_array(l->kernel->mem, const ir_node *, (size_t)l->count + 1)};
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_REDUCE && r->depth[n->id] == depth)
            y.reduce[y.count++] = n;
    return y;
}

static void store_row(const rows *r, const lower_point *row)
{
    lowering *l = r->l;
    nest_kernel *k = l->kernel;
    if (!lower_roots_of(l, r->full, NULL).count)
        return;
    int64_t whole = r->length / IR_CHAINS * IR_CHAINS;
    if (r->length <= WHOLE) {
        for (int64_t c = 0; c < whole; c += IR_CHAINS) {
            lower_point p = row_vector(r, row, nest_i64(k, c), IR_CHAINS);
            lower_store_results(l, r->full, &p);
        }
    } else {
        lower_loop loop = lower_loop_begin(l, nest_i64(k, 0), nest_i64(k, whole), IR_CHAINS);
        lower_point p = row_vector(r, row, nest_loop_index(loop.loop), IR_CHAINS);
        lower_store_results(l, r->full, &p);
        lower_loop_end(l, loop);
    }
    if (whole < r->length) {
        lower_point p = row_vector(r, row, nest_i64(k, whole), (int)(r->length - whole));
        lower_store_results(l, r->full, &p);
    }
}

/* Element by element, where a dimension inside the row is not where its neighbours are. */
static void store_row_by_element(const rows *r, const lower_point *row)
{
    lowering *l = r->l;
    nest_kernel *k = l->kernel;
    if (!lower_roots_of(l, r->full, NULL).count)
        return;
    lower_loop loop = lower_loop_begin(l, nest_i64(k, 0), nest_i64(k, r->length), 1);
    lower_point p = *row;
    int64_t below = r->length;
    for (int dim = r->full->rank - r->merged; dim < r->full->rank; dim++) {
        below /= r->full->dim[dim].n;
        p.index[dim] = nest_rem(k, nest_div(k, nest_loop_index(loop.loop), below), r->full->dim[dim].n);
    }
    lower_store_results(l, r->full, &p);
    lower_loop_end(l, loop);
}

static void do_row(lowering *l, const lower_point *p, void *context)
{
    rows *r = context;
    for (int depth = 0;; depth++) {
        layer y = layer_at(r, depth);
        if (!y.count)
            break;
        if (r->by_element)
            for (int i = 0; i < y.count; i++)
                lower_bind(l, y.reduce[i], lower_reduce_at(l, y.reduce[i], p));
        else
            reduce_layer(r, &y, p);
    }
    (r->by_element ? store_row_by_element : store_row)(r, p);
    if (!ir_shape_equal(r->full, r->row))
        lower_store_results(l, r->row, p);
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_REDUCE)
            lower_unbind(l, n);
}

/* ---- the kind ---- */

static bool check(rows *r, diag *d)
{
    lowering *l = r->l;
    for (const ir_node *n = l->region->first; n; n = n->next) {
        if (!lower_is_core(n))
            continue;
        if (n->op != IR_REDUCE)
            return lower_unsupported(n, d, "something else than reductions in their kernel");
        int64_t dims[IR_MAX_RANK];
        const ir_type *t = &n->in[0]->type;
        int count = ir_ints(n, "dims", dims);
        for (int i = 0; i < count; i++)
            if (dims[i] < t->rank - count || t->dim[dims[i]].batch)
                return lower_unsupported(n, d, "a reduction of other than the last dimensions in a row's kernel");
        if (r->full && (!ir_shape_equal(r->full, t) || !ir_shape_equal(r->row, &n->type)))
            return lower_unsupported(n, d, "a second reduction of another shape");
        r->full = t;
        r->row = &n->type;
        r->merged = count;
    }
    return r->full ? lower_check_shapes(l, r->full, r->row, d)
                   : lower_unsupported(l->fused, d, "a reduction kernel without reduction");
}

/* May the row be walked by vectors: every operand of a reduction, every value as long as the row? */
static bool takes_vectors(rows *r)
{
    lowering *l = r->l;
    int dim = r->full->rank - r->merged;
    lower_roots roots = lower_roots_of(l, r->full, NULL);
    bool fits = r->merged > 0;
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_REDUCE)
            fits = fits && (r->merged > 1 ? lower_merges(l, n->in[0], r->merged) : lower_takes_lanes(l, n->in[0], dim));
    for (int i = 0; i < roots.count; i++)
        fits = fits &&
               (r->merged > 1 ? lower_merges(l, roots.node[i], r->merged) : lower_takes_lanes(l, roots.node[i], dim));
    for (int i = 0; i < l->region->nresults && r->merged > 1; i++)
        fits = fits && lower_memory_merges(l, &l->region->results[i]->type, lower_memory_of_result(l, i), r->merged);
    return fits;
}

bool lower_row(lowering *l, diag *d)
{
    rows *r = arena_make(l->kernel->mem, rows);
    r->l = l;
    if (!check(r, d))
        return false;
    r->length = 1;
    for (int i = r->full->rank - r->merged; i < r->full->rank; i++)
        r->length *= r->full->dim[i].n;
    r->by_element = !takes_vectors(r);
    find_depths(r);
    lower_walk walk = {.lane_dim = -1, .lanes = 1};
    lower_one_phase(l, r->row, &walk, ir_static_count(r->full), do_row, r);
    return true;
}
