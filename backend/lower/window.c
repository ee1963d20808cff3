/* backend/lower/window.c - sums, maxima and positions of windows, as in pooling; and select_and_scatter, their
 * gradient.
 *
 * The places of a window are unrolled in row-major order, and places in the padding are left out. The channels,
 * which no window spans, are the lanes. A maximum and its position in the same windows share one loop.
 *
 * select_and_scatter is turned round. It could go over the windows and add to elements; instead each element looks
 * at the windows that cover it, in their order, and adds what those give whose stored position names the element. So
 * each element is written once. Which windows cover an element depends on its place in its cell, a block as large as
 * the stride. The loops go over cells, with the elements of a cell and their windows unrolled.
 *
 *     stride 2, window 3:
 *         cells        0    |    1    |    2
 *         elements   0   1  |  2   3  |  4   5
 *     the even element of cell q asks windows q - 1 and q, the odd one window q
 *
 * Cells at the edges, where elements or windows are missing, have code of their own.
 *
 * plan = [elements a task] */
#include "backend/lower/lower.h"
#include "ir/graph/build.h"

enum {
    WHOLE = 64,        /* windows up to this many places are written out */
    CELL_WINDOWS = 256 /* and at most so many questions of elements to windows, all kinds of cells together */
};

/* ---- reduce_window ---- */

typedef struct {
    lowering *l;
    const ir_node *value, *position; /* a sum or maximum, an argmax, of the same windows; one may be NULL */
    const ir_node *n;                /* either */
    ir_window w;
    const lower_point *p; /* a window */
    int64_t places;
    bool seen; /* a place that is no padding has surely come by */
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

/* Carried from place to place: carry[0] the sum or the best so far, carry[1] its position, -1 before the first. The
 * running maximum will do for the best: it differs from it in the sign of a zero and a NaN's bits, which no comparison
 * sees. */
static void window_step(window *w, nest_value *place, nest_value **carry)
{
    lowering *l = w->l;
    nest_kernel *k = l->kernel;
    int lanes = w->p->lanes;
    nest_value *inside, *x = at_place(w, place, &inside), *next = x, *position = NULL;
    bool known = place->kind == NEST_CONST && !inside;
    bool first = known && place->number == 0 && !ir_word_is(w->n, "kind", "sum");
    if (w->position && first) {
        position = nest_const(k, IR_I32, lanes, 0);
    } else if (w->position) {
        nest_value *number = nest_splat(k, lower_op(l, IR_CONVERT, IR_I32, place, NULL, NULL), lanes);
        nest_value *better = lower_is_better(l, x, carry[0]);
        if (!w->seen)
            better = lower_op(l, IR_OR, IR_I1, better,
                              lower_op(l, IR_COMPARE, IR_I1, carry[1], nest_const(k, IR_I32, lanes, 0), "LT"), NULL);
        if (inside)
            better = lower_op(l, IR_AND, IR_I1, better, nest_splat(k, inside, lanes), NULL);
        position = lower_choose(l, better, number, carry[1]);
        next = lower_choose(l, better, x, carry[0]);
    }
    if (w->value && !first) {
        next = lower_combine(l, w->value, carry[0], x);
        next = inside ? lower_choose(l, inside, next, carry[0]) : next;
    }
    carry[0] = next;
    carry[1] = position ? position : carry[1];
    w->seen |= known;
}

static void window_values(window *w, nest_value **carry)
{
    lowering *l = w->l;
    nest_kernel *k = l->kernel;
    carry[0] =
        w->value ? lower_neutral(l, w->value, w->p->lanes) : nest_const(k, w->n->in[0]->type.dtype, w->p->lanes, 0);
    carry[1] = nest_const(k, IR_I32, w->p->lanes, -1);
    if (w->places <= WHOLE) {
        for (int64_t i = 0; i < w->places; i++)
            window_step(w, nest_i64(k, i), carry);
        return;
    }
    nest_block *outer;
    nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), nest_i64(k, w->places), 1, carry, 2, &outer);
    lower_forget(l);
    carry[0] = loop->carry[0];
    carry[1] = loop->carry[1];
    window_step(w, nest_loop_index(loop), carry);
    nest_loop_end(k, loop, carry, outer);
    lower_forget(l);
    carry[0] = loop->final[0];
    carry[1] = loop->final[1];
}

static bool same_windows(const ir_node *a, const ir_node *b)
{
    ir_window v, w;
    ir_window_read(a, &v);
    ir_window_read(b, &w);
    bool same = a->in[0] == b->in[0];
    for (int i = 0; i < a->type.rank; i++)
        same &= v.window[i] == w.window[i] && v.stride[i] == w.stride[i] && v.low[i] == w.low[i];
    return same;
}

/* The argmax of the region over the windows of this maximum, or NULL. */
static const ir_node *position_beside(const lowering *l, const ir_node *max)
{
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_REDUCE_WINDOW && ir_word_is(n, "kind", "argmax") && ir_word_is(max, "kind", "max") &&
            same_windows(n, max))
            return n;
    return NULL;
}

/* Bind a sum or maximum with the position beside it, or a position alone. */
static void bind_windows(lowering *l, const ir_node *n, const lower_point *p)
{
    bool alone = ir_word_is(n, "kind", "argmax");
    window w = {.l = l, .n = n, .p = p, .places = 1};
    w.value = alone ? NULL : n;
    w.position = alone ? n : position_beside(l, n);
    ir_window_read(n, &w.w);
    for (int i = 0; i < n->type.rank; i++)
        w.places *= w.w.window[i];
    nest_value *carry[2];
    window_values(&w, carry);
    if (w.value)
        lower_bind(l, w.value, carry[0]);
    if (w.position)
        lower_bind(l, w.position, lower_op(l, IR_CONVERT, IR_UI8, carry[1], NULL, NULL));
}

static bool has_value_beside(const lowering *l, const ir_node *position)
{
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_REDUCE_WINDOW && position_beside(l, n) == position)
            return true;
    return false;
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
    nest_value *position = lower_value(l, s->n->in[0], &q);
    nest_value *place = lower_op(l, IR_CONVERT, IR_UI8, s->place, NULL, NULL);
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

/* ---- select_and_scatter, cell by cell ---- */

typedef struct {
    int64_t first, inner, inner_end, end; /* cells first .. end - 1, of which inner .. inner_end - 1 miss nothing */
    int64_t back;                         /* the window farthest back that reaches a cell */
    int64_t kinds, asked;                 /* kinds of cells; questions of a whole cell's elements to windows */
} cell_range;

typedef struct {
    lowering *l;
    const ir_node *n;
    ir_window w;
    const ir_type *domain;
    const lower_walk *walk;
    nest_value *from, *to; /* examples */
    cell_range range[IR_MAX_RANK];
    ir_type visited;                    /* as many cells as one walk goes over */
    int64_t start[IR_MAX_RANK];         /* and which is its first */
    nest_value *cell[IR_MAX_RANK];      /* the cell at hand */
    int64_t place_in_cell[IR_MAX_RANK]; /* the element at hand in its cell */
    lower_point element;
} cells;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static cell_range range_of(const ir_node *n, const ir_window *w, int dim)
{
    int64_t size = w->window[dim], stride = w->stride[dim], low = w->low[dim], elements = n->type.dim[dim].n;
    cell_range r = {.back = (size - 1) / stride, .first = low / stride, .end = (elements - 1 + low) / stride + 1};
    r.inner = most(most(r.first, (low + stride - 1) / stride), r.back);
    r.inner_end = least((elements + low) / stride, n->in[0]->type.dim[dim].n);
    if (r.inner >= r.inner_end)
        r.inner = r.inner_end = r.end;
    r.kinds = r.inner - r.first + (r.inner_end > r.inner) + r.end - r.inner_end;
    r.asked = size > stride ? size : stride;
    return r;
}

/* Add what the windows give that reach the element, in order. */
static void cell_windows(cells *c, scatter *s, int dim)
{
    nest_kernel *k = c->l->kernel;
    if (dim == c->n->type.rank) {
        add_window(s);
        return;
    }
    int64_t size = c->w.window[dim], windows = c->n->in[0]->type.dim[dim].n;
    nest_value *place = s->place;
    for (int64_t back = c->range[dim].back; back >= 0; back--) {
        int64_t step = c->place_in_cell[dim] + back * c->w.stride[dim];
        nest_value *at = nest_add(k, c->cell[dim], nest_i64(k, -back));
        if (step >= size || (at->kind == NEST_CONST && (at->number < 0 || at->number >= (double)windows)))
            continue;
        s->index[dim] = at;
        s->place = nest_add(k, nest_mul(k, place, size), nest_i64(k, step));
        cell_windows(c, s, dim + 1);
    }
    s->place = place;
}

/* The elements of the cell, from dimension 'dim' on. */
static void cell_elements(cells *c, int dim)
{
    lowering *l = c->l;
    nest_kernel *k = l->kernel;
    if (dim == c->n->type.rank) {
        scatter s = {.l = l, .n = c->n, .w = c->w, .p = &c->element, .place = nest_i64(k, 0)};
        s.sum = nest_const(k, c->n->type.dtype, c->element.lanes, 0);
        cell_windows(c, &s, 0);
        lower_bind(l, c->n, s.sum);
        lower_store_results(l, c->domain, &c->element);
        lower_unbind(l, c->n);
        return;
    }
    for (int64_t i = 0; i < c->w.stride[dim]; i++) {
        nest_value *at = nest_add(k, nest_mul(k, c->cell[dim], c->w.stride[dim]), nest_i64(k, i - c->w.low[dim]));
        if (at->kind == NEST_CONST && (at->number < 0 || at->number >= (double)c->domain->dim[dim].n))
            continue;
        c->place_in_cell[dim] = i;
        c->element.index[dim] = at;
        cell_elements(c, dim + 1);
    }
}

static void cell_point(lowering *l, const lower_point *p, void *context)
{
    cells *c = context;
    c->element = *p;
    for (int i = 0; i < c->n->type.rank; i++)
        c->cell[i] = nest_add(l->kernel, p->index[i], nest_i64(l->kernel, c->start[i]));
    cell_elements(c, 0);
}

/* Walk all kinds of cells from dimension 'dim' on: those at an edge one by one, the others in one loop. */
static void each_kind_of_cell(cells *c, int dim)
{
    if (dim == c->n->type.rank) {
        lower_each(c->l, &c->visited, c->walk, c->from, c->to, cell_point, c);
        return;
    }
    const cell_range *r = &c->range[dim];
    for (int64_t at = r->first; at < r->end; at += c->visited.dim[dim].n) {
        c->start[dim] = at;
        c->visited.dim[dim].n = at == r->inner && r->inner < r->inner_end ? r->inner_end - r->inner : 1;
        each_kind_of_cell(c, dim + 1);
    }
}

/* The region's one core if it is a select_and_scatter over examples whose cells are few to write out; else NULL. */
static const ir_node *core_by_cells(const lowering *l, const lower_walk *walk)
{
    const ir_node *core = NULL;
    int64_t questions = 1;
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (lower_is_core(n)) {
            if (core || n->op != IR_SELECT_AND_SCATTER)
                return NULL;
            core = n;
        }
    int batch = core ? ir_batch_dim(&core->type) : -1;
    if (batch < 0 || batch == walk->lane_dim)
        return NULL;
    ir_window w;
    ir_window_read(core, &w);
    for (int i = 0; i < core->type.rank && questions <= CELL_WINDOWS; i++) {
        cell_range r = range_of(core, &w, i);
        questions *= r.kinds <= CELL_WINDOWS && r.asked <= CELL_WINDOWS ? r.kinds * r.asked : CELL_WINDOWS + 1;
    }
    return questions <= CELL_WINDOWS ? core : NULL;
}

static void lower_cells(lowering *l, const ir_node *n, const ir_type *domain, const lower_walk *walk)
{
    cells c = {.l = l, .n = n, .domain = domain, .walk = walk, .visited = *domain};
    int64_t chunk = lower_plan(l, 0, 16384) / ir_static_count(domain);
    nest_tasks tasks = {.n = 1, .chunk = most(chunk, 1), .inner = 1, .batch = true};
    ir_window_read(n, &c.w);
    for (int i = 0; i < n->type.rank; i++)
        c.range[i] = range_of(n, &c.w, i);
    lower_phase(l, 0, tasks);
    lower_share(l, tasks, &c.from, &c.to, NULL);
    each_kind_of_cell(&c, 0);
    lower_zero_halos(l, c.from, c.to);
}

/* ---- the kind ---- */

static void window_point(lowering *l, const lower_point *p, void *context)
{
    const ir_type *domain = context;
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_REDUCE_WINDOW && !has_value_beside(l, n))
            bind_windows(l, n, p);
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
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_WINOGRAD)
            return lower_winograd(l, d);
    if (!check(l, &domain, d))
        return false;
    lower_roots roots = lower_roots_of(l, domain, NULL);
    lower_walk walk = {.lane_dim = -1, .lanes = 1};
    for (int i = 0; i < domain->rank; i++)
        if (domain->dim[i].n > 1 && !domain->dim[i].batch && takes_lanes(l, i, &roots))
            walk = (lower_walk){.lane_dim = i, .lanes = l->kernel->target->vector};
    const ir_node *by_cells = core_by_cells(l, &walk);
    if (by_cells)
        lower_cells(l, by_cells, domain, &walk);
    else
        lower_one_phase(l, domain, &walk, ir_static_count(domain), window_point, (void *)domain);
    return true;
}
