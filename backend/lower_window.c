/* backend/lower_window.c - sums, maxima and positions of windows, and select_and_scatter, the way back.
 *
 * A window's places are written out one by one, row-major; places in the padding count for nothing. The channels, which
 * no window spans, are the lanes. select_and_scatter is turned round: an element looks at the windows that cover it, in
 * their order, and adds what those give whose position names it; so every element is written once.
 *
 * plan = [elements a task] */
#include "backend/lower.h"
#include "ir/build.h"

enum { WHOLE = 64 }; /* windows up to this many places are written out */

/* ---- reduce_window ---- */

typedef struct {
    lowering *l;
    const ir_node *n;
    ir_window w;
    const lower_point *p; /* a window */
    int64_t places;
} window;

/* Does some window reach beyond the operand in this dimension? */
static bool reaches_out(const window *w, int dim)
{
    int64_t last = (w->n->type.dim[dim].n - 1) * w->w.stride[dim] + w->w.window[dim] - 1 - w->w.low[dim];
    return w->w.low[dim] > 0 || last >= w->n->in[0]->type.dim[dim].n;
}

/* The operand at a place of the window; *inside says if it is no padding (NULL: surely). */
static nest_value *at_place(const window *w, nest_value *place, nest_value **inside)
{
    lowering *l = w->l;
    nest_kernel *k = l->kernel;
    lower_point q = *w->p;
    int64_t below = w->places;
    *inside = NULL;
    for (int i = 0; i < w->n->type.rank; i++) {
        below /= w->w.window[i];
        if (w->n->type.dim[i].batch)
            continue;
        nest_value *step = nest_rem(k, nest_div(k, place, below), w->w.window[i]);
        q.index[i] = nest_add(k, nest_mul(k, w->p->index[i], w->w.stride[i]), nest_i64(k, -w->w.low[i]));
        q.index[i] = nest_add(k, q.index[i], step);
        if (i == q.lane_dim)
            q.lane_step *= w->w.stride[i];
        if (reaches_out(w, i))
            q.index[i] = lower_clamp(l, q.index[i], w->n->in[0]->type.dim[i].n, inside);
    }
    return lower_value(l, w->n->in[0], &q);
}

/* What the kinds carry from place to place: a sum or extreme; for an argmax also the position, -1 before the first. */
static void window_step(const window *w, nest_value *place, nest_value **carry)
{
    lowering *l = w->l;
    nest_kernel *k = l->kernel;
    int lanes = w->p->lanes;
    nest_value *inside, *x = at_place(w, place, &inside);
    if (!ir_word_is(w->n, "kind", "argmax")) {
        nest_value *next = lower_combine(l, w->n, carry[0], x);
        carry[0] = inside ? lower_choose(l, inside, next, carry[0]) : next;
        return;
    }
    nest_value *unseen = lower_op(l, IR_COMPARE, IR_I1, carry[1], nest_const(k, IR_I32, lanes, 0), "LT");
    nest_value *better = lower_op(l, IR_OR, IR_I1, lower_is_better(l, x, carry[0]), unseen, NULL);
    if (inside)
        better = lower_op(l, IR_AND, IR_I1, better, nest_splat(k, inside, lanes), NULL);
    nest_value *number = lower_op(l, IR_CONVERT, IR_I32, place, NULL, NULL);
    carry[0] = lower_choose(l, better, x, carry[0]);
    carry[1] = lower_choose(l, better, nest_splat(k, number, lanes), carry[1]);
}

static nest_value *window_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    window w = {.l = l, .n = n, .p = p, .places = 1};
    ir_window_read(n, &w.w);
    for (int i = 0; i < n->type.rank; i++)
        w.places *= w.w.window[i];
    bool argmax = ir_word_is(n, "kind", "argmax");
    nest_value *carry[2] = {argmax ? nest_const(k, n->in[0]->type.dtype, p->lanes, 0) : lower_neutral(l, n, p->lanes),
                            nest_const(k, IR_I32, p->lanes, -1)};
    if (w.places <= WHOLE) {
        for (int64_t i = 0; i < w.places; i++)
            window_step(&w, nest_i64(k, i), carry);
    } else {
        nest_block *outer;
        nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), nest_i64(k, w.places), 1, carry, 2, &outer);
        lower_forget(l);
        carry[0] = loop->carry[0];
        carry[1] = loop->carry[1];
        window_step(&w, nest_loop_index(loop), carry);
        nest_loop_end(k, loop, carry, outer);
        lower_forget(l);
        carry[0] = loop->final[0];
        carry[1] = loop->final[1];
    }
    return argmax ? lower_op(l, IR_CONVERT, IR_UI8, carry[1], NULL, NULL) : carry[0];
}

/* ---- select_and_scatter ---- */

typedef struct {
    lowering *l;
    const ir_node *n;
    ir_window w;
    const lower_point *p;           /* an element of the result */
    nest_value *index[IR_MAX_RANK]; /* of the window, as chosen so far */
    nest_value *place, *inside;     /* the element's place in that window; whether there is such a window */
    nest_value *sum;
} scatter;

static void add_window(scatter *s)
{
    lowering *l = s->l;
    nest_kernel *k = l->kernel;
    lower_point q = *s->p;
    for (int i = 0; i < s->n->type.rank; i++)
        q.index[i] = s->index[i];
    int lanes = s->p->lanes;
    nest_value *position = lower_op(l, IR_CONVERT, IR_I32, lower_value(l, s->n->in[0], &q), NULL, NULL);
    nest_value *place = lower_op(l, IR_CONVERT, IR_I32, s->place, NULL, NULL);
    nest_value *named = lower_op(l, IR_COMPARE, IR_I1, position, nest_splat(k, place, lanes), "EQ");
    if (s->inside)
        named = lower_op(l, IR_AND, IR_I1, named, nest_splat(k, s->inside, lanes), NULL);
    nest_value *y = lower_value(l, s->n->in[1], &q);
    s->sum = lower_choose(l, named, lower_op(l, IR_ADD, y->dtype, s->sum, y, NULL), s->sum);
}

/* The windows that cover the element, from dimension 'dim' on, in order. */
static void each_window(scatter *s, int dim)
{
    lowering *l = s->l;
    nest_kernel *k = l->kernel;
    if (dim == s->n->type.rank) {
        add_window(s);
        return;
    }
    int64_t size = s->w.window[dim], stride = s->w.stride[dim], windows = s->n->in[0]->type.dim[dim].n;
    nest_value *index = s->p->index[dim], *place = s->place, *inside = s->inside;
    if (s->n->type.dim[dim].batch || (size == 1 && stride == 1 && s->w.low[dim] == 0)) {
        s->index[dim] = index;
        each_window(s, dim + 1);
        return;
    }
    nest_value *from_low = nest_add(k, index, nest_i64(k, s->w.low[dim]));
    nest_value *last = nest_div(k, from_low, stride);
    for (int64_t back = (size - 1) / stride; back >= 0; back--) {
        nest_value *at = nest_add(k, last, nest_i64(k, -back));
        nest_value *step = nest_sub(k, from_low, nest_mul(k, at, stride));
        bool always_below = size >= (back + 1) * stride;
        s->inside = inside;
        s->index[dim] = lower_clamp(l, at, windows, &s->inside);
        if (!always_below)
            s->inside = lower_both(l, s->inside, lower_op(l, IR_COMPARE, IR_I1, step, nest_i64(k, size), "LT"));
        s->place = nest_add(k, nest_mul(k, place, size), step);
        each_window(s, dim + 1);
    }
    s->place = place;
    s->inside = inside;
}

static nest_value *scatter_value(lowering *l, const ir_node *n, const lower_point *p)
{
    nest_kernel *k = l->kernel;
    scatter s = {.l = l, .n = n, .p = p, .place = nest_i64(k, 0)};
    ir_window_read(n, &s.w);
    s.sum = nest_const(k, n->type.dtype, p->lanes, 0);
    each_window(&s, 0);
    return s.sum;
}

/* ---- the kind ---- */

static void window_point(lowering *l, const lower_point *p, void *context)
{
    const ir_type *domain = context;
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_REDUCE_WINDOW)
            lower_bind(l, n, window_value(l, n, p));
        else if (n->op == IR_SELECT_AND_SCATTER)
            lower_bind(l, n, scatter_value(l, n, p));
    lower_store_results(l, domain, p);
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (lower_is_core(n))
            lower_unbind(l, n);
}

static bool check(const lowering *l, const ir_type **domain, diag *d)
{
    *domain = NULL;
    for (const ir_node *n = l->region->first; n; n = n->next) {
        if (!lower_is_core(n))
            continue;
        if (n->op != IR_REDUCE_WINDOW && n->op != IR_SELECT_AND_SCATTER)
            return lower_unsupported(n, d, "something else than windows in their kernel");
        if (*domain && !ir_shape_equal(*domain, &n->type))
            return lower_unsupported(n, d, "a second window of another shape");
        *domain = &n->type;
    }
    return *domain ? lower_check_shapes(l, *domain, NULL, d)
                   : lower_unsupported(l->fused, d, "a window kernel without window");
}

/* May the dimension be spread over lanes: no window spans it, and all operands follow? */
static bool takes_lanes(const lowering *l, int dim, const lower_roots *roots)
{
    for (const ir_node *n = l->region->first; n; n = n->next) {
        if (!lower_is_core(n))
            continue;
        ir_window w;
        ir_window_read(n, &w);
        if (w.window[dim] != 1 || w.stride[dim] != 1 || w.low[dim] || w.high[dim])
            return false;
        for (int i = 0; i < n->nin; i++)
            if (!lower_takes_lanes(l, n->in[i], dim))
                return false;
    }
    for (int i = 0; i < roots->count; i++)
        if (!lower_takes_lanes(l, roots->node[i], dim))
            return false;
    return true;
}

bool lower_window(lowering *l, diag *d)
{
    const ir_type *domain;
    if (!check(l, &domain, d))
        return false;
    lower_roots roots = lower_roots_of(l, domain, NULL);
    lower_walk walk = {.lane_dim = -1, .lanes = 1};
    for (int i = 0; i < domain->rank; i++)
        if (domain->dim[i].n > 1 && !domain->dim[i].batch && takes_lanes(l, i, &roots))
            walk = (lower_walk){.lane_dim = i, .lanes = l->kernel->target->vector};
    lower_one_phase(l, domain, &walk, ir_static_count(domain), window_point, (void *)domain);
    return true;
}
