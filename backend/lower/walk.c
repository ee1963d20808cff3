/* backend/lower/walk.c - loops over the points of a shape, stores at these points, and the zero borders around
 * values.
 *
 *     for example                          the batch, outermost in memory
 *       for dimension 0, 1, ...            the dimensions that are not merged
 *         for the lanes' dimension         whole vectors, then one vector for the elements that are left
 *
 * A walk is chosen so that as many of the last dimensions as possible are one long loop. */
#include "backend/lower/lower.h"
#include <string.h>

/* ---- what a kernel must store ---- */

lower_roots lower_roots_of(lowering *l, const ir_type *domain, const ir_node *more)
{
    int most = l->region->nresults + 1;
    for (const ir_node *n = l->region->first; n; n = n->next)
        most++;
    lower_roots roots = {.node = arena_new_array(l->kernel->mem, const ir_node *, (size_t)most)};
    for (int i = 0; i < l->region->nresults; i++)
        if (ir_shape_equal(&l->region->results[i]->type, domain))
            roots.node[roots.count++] = l->region->results[i];
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_ASSIGN && ir_shape_equal(&n->in[0]->type, domain))
            roots.node[roots.count++] = n->in[0];
    if (more)
        roots.node[roots.count++] = more;
    return roots;
}

typedef struct {
    nest_value *value;
    int buffer;
    const ir_type *type;
    const ir_node *memory;
} pending_store;

void lower_store_results(lowering *l, const ir_type *domain, const lower_point *p)
{
    lower_roots roots = lower_roots_of(l, domain, NULL);
    pending_store *pending = arena_new_array(l->kernel->mem, pending_store, (size_t)roots.count + 1);
    int count = 0;
    for (int i = 0; i < l->region->nresults; i++) {
        const ir_node *r = l->region->results[i];
        int buffer = ir_shape_equal(&r->type, domain) ? lower_result_buffer(l, i) : -1;
        if (buffer >= 0)
            pending[count++] = (pending_store){lower_value(l, r, p), buffer, &r->type, lower_memory_of_result(l, i)};
    }
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_ASSIGN && ir_shape_equal(&n->in[0]->type, domain))
            pending[count++] =
                (pending_store){lower_value(l, n->in[0], p), lower_assign_buffer(l, n), &n->symbol->type, n};
    for (int i = 0; i < count; i++) {
        int64_t lane_stride;
        nest_value *offset = lower_offset(l, pending[i].type, pending[i].memory, p, &lane_stride);
        nest_store(l->kernel, pending[i].buffer, offset, 0, lane_stride, pending[i].value, p->active_count, p->active);
    }
}

/* ---- choosing a walk ---- */

/* What is stored of this shape lies so in memory that the last 'merged' dimensions can be walked as one. */
static bool stores_merge(const lowering *l, const ir_type *domain, int merged)
{
    for (int i = 0; i < l->region->nresults; i++) {
        const ir_type *t = &l->region->results[i]->type;
        if (ir_shape_equal(t, domain) && !lower_memory_merges(l, t, lower_memory_of_result(l, i), merged))
            return false;
    }
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_ASSIGN && ir_shape_equal(&n->in[0]->type, domain) &&
            !lower_memory_merges(l, &n->in[0]->type, n, merged))
            return false;
    return true;
}

static bool all_merge(const lowering *l, const lower_roots *roots, int merged)
{
    for (int i = 0; i < roots->count; i++)
        if (!lower_merges(l, roots->node[i], merged))
            return false;
    return true;
}

/* The innermost dimension in memory that has more than one element; the batch where nothing else has. */
static int innermost(const ir_type *t)
{
    for (int i = t->rank - 1; i >= 0; i--)
        if (t->dim[i].n > 1)
            return i;
    return ir_batch_dim(t);
}

/* A dimension n*B, n > 1, is one run of memory only where it stands first. */
static bool is_one_run(const ir_type *t, int dim)
{
    return !t->dim[dim].batch || t->dim[dim].n == 1 || dim == 0;
}

/* The dimension of n along which memory is read element after element, seen through transposes; -1 if none stands out.
 * 'fast': those of its operands, by node id. */
static int fast_dim(const ir_node *n, const int *fast)
{
    int64_t permutation[IR_MAX_RANK];
    int dim = -1;
    switch (n->op) {
    case IR_INPUT:
        return innermost(&n->type);
    case IR_TRANSPOSE:
        dim = fast[n->in[0]->id];
        ir_ints(n, "permutation", permutation);
        for (int i = 0; i < n->type.rank && dim >= 0; i++)
            if (permutation[i] == dim)
                return i;
        return -1;
    case IR_REVERSE:
    case IR_SLICE:
    case IR_PAD:
    case IR_STOP_GRADIENT:
        return fast[n->in[0]->id];
    default:
        for (int i = 0; i < n->nin && (ir_ops[n->op].traits & OP_ELTWISE); i++) {
            int own = fast[n->in[i]->id];
            if (own >= 0 && own != innermost(&n->type))
                return own;
            dim = own >= 0 ? own : dim;
        }
        return dim;
    }
}

/* A transposition goes along memory on both sides: a vector of the result, then the next one that reads the same lines
 * of the operand. */
static int32_t transposed_dim(const lowering *l, const ir_type *domain, const lower_roots *roots, int lane_dim)
{
    int *fast = arena_new_array(l->kernel->mem, int, (size_t)l->count + 1);
    for (int i = 0; i < l->region->ninputs; i++)
        fast[l->region->inputs[i]->id] = fast_dim(l->region->inputs[i], fast);
    for (const ir_node *n = l->region->first; n; n = n->next)
        fast[n->id] = fast_dim(n, fast);
    for (int i = 0; i < roots->count; i++) {
        int dim = fast[roots->node[i]->id];
        if (dim >= 0 && dim != lane_dim && !domain->dim[dim].batch)
            return dim + 1;
    }
    return 0;
}

lower_walk lower_walk_of(lowering *l, const ir_type *domain, const lower_roots *roots, int lanes)
{
    for (int merged = domain->rank; merged > 1; merged--)
        if (stores_merge(l, domain, merged) && all_merge(l, roots, merged))
            return (lower_walk){merged, domain->rank - merged, lanes, 0};
    int dim = innermost(domain);
    bool fits = dim >= 0 && is_one_run(domain, dim);
    for (int i = 0; i < roots->count && fits; i++)
        fits = lower_takes_lanes(l, roots->node[i], dim);
    return fits ? (lower_walk){0, dim, lanes, transposed_dim(l, domain, roots, dim)} : (lower_walk){0, -1, 1, 0};
}

/* ---- walking ---- */

typedef struct {
    lowering *l;
    const ir_type *domain;
    const lower_walk *w;
    nest_value *from, *to; /* of the outermost loop; NULL once they are used */
    nest_value *example;
    lower_body *body;
    void *context;
} walker;

/* Whether a dimension has a loop of its own: not a merged one, not the lanes', not of one element. */
static bool has_loop(const walker *w, int dim)
{
    const ir_dim *d = &w->domain->dim[dim];
    return dim < w->domain->rank - w->w->merged && dim != w->w->lane_dim && dim != w->w->inner - 1 && d->n > 1;
}

int64_t lower_walk_units(const ir_type *domain, const lower_walk *w)
{
    if (ir_batch_dim(domain) >= 0)
        return 1;
    walker k = {.domain = domain, .w = w};
    for (int i = 0; i < domain->rank; i++)
        if (has_loop(&k, i))
            return domain->dim[i].n;
    if (w->merged)
        return ir_static_count(domain);
    return w->lane_dim >= 0 ? domain->dim[w->lane_dim].n : 1;
}

static void take_bounds(walker *w, nest_value **from, nest_value **to)
{
    if (w->from) {
        *from = w->from;
        *to = w->to;
    }
    w->from = w->to = NULL;
}

/* The body at a vector, for each index of the inner dimension if there is one. */
static void visit(walker *w, lower_point *p)
{
    int inner = w->w->inner - 1;
    if (inner < 0) {
        w->body(w->l, p, w->context);
        return;
    }
    nest_kernel *k = w->l->kernel;
    lower_loop loop = lower_loop_begin(w->l, nest_i64(k, 0), nest_i64(k, w->domain->dim[inner].n), 1);
    p->index[inner] = nest_loop_index(loop.loop);
    w->body(w->l, p, w->context);
    lower_loop_end(w->l, loop);
}

/* The vectors of the lanes' dimension with indices from .. to - 1. */
static void walk_lanes(walker *w, lower_point *p, int dim, nest_value *from, nest_value *to)
{
    lowering *l = w->l;
    nest_kernel *k = l->kernel;
    int lanes = w->w->lanes;
    p->lane_dim = lanes > 1 ? dim : -1;
    p->lanes = p->active_count = lanes;
    nest_value *whole = nest_mul(k, nest_div(k, nest_sub(k, to, from), lanes), lanes);
    nest_value *middle = nest_add(k, from, whole);
    lower_loop loop = lower_loop_begin(l, from, middle, lanes);
    p->index[dim] = nest_loop_index(loop.loop);
    visit(w, p);
    lower_loop_end(l, loop);
    if (lanes == 1)
        return;
    nest_value *left = nest_sub(k, to, middle);
    if (left->kind == NEST_CONST && left->number == 0)
        return;
    loop = lower_loop_begin(l, middle, to, lanes);
    p->index[dim] = nest_loop_index(loop.loop);
    if (left->kind == NEST_CONST)
        p->active_count = (int32_t)left->number;
    else
        p->active = nest_sub(k, to, p->index[dim]);
    visit(w, p);
    lower_loop_end(l, loop);
    p->active = NULL;
}

static void walk_vectors(walker *w, lower_point *p)
{
    lowering *l = w->l;
    nest_kernel *k = l->kernel;
    const ir_type *t = w->domain;
    int merged = w->w->merged, dim = merged ? t->rank - merged : w->w->lane_dim;
    if (dim < 0) {
        w->body(l, p, w->context);
        return;
    }
    int64_t n = 1;
    for (int i = dim; i < (merged ? t->rank : dim + 1); i++)
        n *= t->dim[i].n;
    nest_value *from = nest_i64(k, 0), *to = nest_i64(k, n);
    bool batch_inside = merged == t->rank ? ir_batch_dim(t) >= 0 : t->dim[dim].batch;
    if (batch_inside) { /* examples become elements */
        to = nest_batch(k);
        take_bounds(w, &from, &to);
        from = nest_mul(k, from, n);
        to = nest_mul(k, to, n);
    } else {
        take_bounds(w, &from, &to);
    }
    p->merged = merged;
    walk_lanes(w, p, dim, from, to);
}

static void walk_dim(walker *w, lower_point *p, int dim)
{
    lowering *l = w->l;
    nest_kernel *k = l->kernel;
    if (dim == w->domain->rank) {
        walk_vectors(w, p);
        return;
    }
    const ir_dim *d = &w->domain->dim[dim];
    bool own_batch = d->batch && w->example;
    if (!has_loop(w, dim)) {
        if (own_batch && dim != w->w->lane_dim)
            p->index[dim] = nest_mul(k, w->example, d->n);
        walk_dim(w, p, dim + 1);
        return;
    }
    nest_value *from = nest_i64(k, 0), *to = nest_i64(k, d->n);
    take_bounds(w, &from, &to);
    lower_loop loop = lower_loop_begin(l, from, to, 1);
    p->index[dim] = nest_loop_index(loop.loop);
    if (own_batch)
        p->index[dim] = nest_add(k, nest_mul(k, w->example, d->n), p->index[dim]);
    walk_dim(w, p, dim + 1);
    lower_loop_end(l, loop);
}

void lower_each(lowering *l, const ir_type *domain, const lower_walk *walk, nest_value *from, nest_value *to,
                lower_body *body, void *context)
{
    walker w = {.l = l, .domain = domain, .w = walk, .from = from, .to = to, .body = body, .context = context};
    lower_point p = lower_scalar_point(l, domain->rank);
    int batch = ir_batch_dim(domain);
    bool outside = batch >= 0 && batch != walk->lane_dim && walk->merged < domain->rank;
    if (!outside) {
        /* Without any loop the bounds still say whether the one point is this task's. */
        bool loops = batch >= 0 || walk->merged || walk->lane_dim >= 0;
        for (int i = 0; i < domain->rank; i++)
            loops |= has_loop(&w, i);
        if (loops) {
            walk_dim(&w, &p, 0);
            return;
        }
        lower_loop once = lower_loop_begin(l, from, to, 1);
        walk_dim(&w, &p, 0);
        lower_loop_end(l, once);
        return;
    }
    take_bounds(&w, &from, &to);
    lower_loop loop = lower_loop_begin(l, from, to, 1);
    w.example = nest_loop_index(loop.loop);
    walk_dim(&w, &p, 0);
    lower_loop_end(l, loop);
}

/* ---- zero borders ---- */

/* Zeros at 'count' elements that follow each other. */
static void zero_run(lowering *l, int buffer, nest_value *offset, int64_t count)
{
    nest_kernel *k = l->kernel;
    int lanes = k->target->vector;
    ir_dtype t = k->buffers[buffer].dtype;
    lower_loop loop = lower_loop_begin(l, nest_i64(k, 0), nest_i64(k, count / lanes * lanes), lanes);
    nest_value *at = nest_add(k, offset, nest_loop_index(loop.loop));
    nest_store(k, buffer, at, 0, 1, nest_const(k, t, lanes, 0), lanes, NULL);
    lower_loop_end(l, loop);
    int left = (int)(count % lanes);
    if (left)
        nest_store(k, buffer, nest_add(k, offset, nest_i64(k, count - left)), 0, 1, nest_const(k, t, lanes, 0), left,
                   NULL);
}

/* The border of one dimension, at every inner index of those before it. */
static void zero_border(lowering *l, const ir_type *t, const ir_node *memory, int buffer, int at, int dim,
                        nest_value *offset)
{
    nest_kernel *k = l->kernel;
    ir_layout lies = ir_layout_of(t, memory);
    if (at < dim && (t->dim[at].n == 1 || t->dim[at].batch)) {
        zero_border(l, t, memory, buffer, at + 1, dim, offset);
        return;
    }
    if (at < dim) {
        lower_loop loop = lower_loop_begin(l, nest_i64(k, 0), nest_i64(k, t->dim[at].n), 1);
        nest_value *inner = nest_add(k, offset, nest_mul(k, nest_loop_index(loop.loop), lies.stride[at]));
        zero_border(l, t, memory, buffer, at + 1, dim, inner);
        lower_loop_end(l, loop);
        return;
    }
    const double *halo = ir_attr_find(memory->attrs, "halo")->number;
    int64_t low = (int64_t)halo[2 * dim], high = (int64_t)halo[2 * dim + 1];
    /* The borders of later dimensions belong to this one's: a run starts at their first element. */
    int64_t start = 0;
    for (int i = dim + 1; i < t->rank; i++)
        start -= (int64_t)halo[2 * i] * lies.stride[i];
    if (low)
        zero_run(l, buffer, nest_add(k, offset, nest_i64(k, start - low * lies.stride[dim])), low * lies.stride[dim]);
    if (high)
        zero_run(l, buffer, nest_add(k, offset, nest_i64(k, start + t->dim[dim].n * lies.stride[dim])),
                 high * lies.stride[dim]);
}

static void zero_halo(lowering *l, const ir_type *t, const ir_node *memory, int buffer, nest_value *from,
                      nest_value *to)
{
    nest_kernel *k = l->kernel;
    ir_layout lies = ir_layout_of(t, memory);
    bool batch = ir_batch_dim(t) >= 0;
    lower_loop loop = batch ? lower_loop_begin(l, from, to, 1)
                            : lower_loop_begin(l, nest_min(k, nest_task(k), nest_i64(k, 1)), nest_i64(k, 1), 1);
    nest_value *offset = nest_i64(k, lies.first);
    if (batch)
        offset = nest_add(k, nest_mul(k, nest_loop_index(loop.loop), lies.batch_stride), offset);
    for (int dim = 0; dim < t->rank; dim++)
        zero_border(l, t, memory, buffer, 0, dim, offset);
    lower_loop_end(l, loop);
}

void lower_zero_halos(lowering *l, nest_value *from, nest_value *to)
{
    for (int i = 0; i < l->region->nresults; i++) {
        const ir_node *memory = lower_memory_of_result(l, i);
        if (memory && ir_attr_find(memory->attrs, "halo"))
            zero_halo(l, &l->region->results[i]->type, memory, lower_result_buffer(l, i), from, to);
    }
}

void lower_one_phase(lowering *l, const ir_type *domain, const lower_walk *w, int64_t elements, lower_body *body,
                     void *context)
{
    bool batch = ir_batch_dim(domain) >= 0;
    int64_t units = lower_walk_units(domain, w), most = lower_plan(l, 0, 16384);
    int64_t work = elements / (batch ? 1 : units);
    nest_tasks tasks = {.n = units, .chunk = most / work > 1 ? most / work : 1, .inner = 1, .batch = batch};
    nest_value *from, *to;
    lower_phase(l, 0, tasks);
    lower_share(l, tasks, &from, &to, NULL);
    lower_each(l, domain, w, from, to, body, context);
    lower_zero_halos(l, from, to);
}
