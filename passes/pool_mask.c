/* passes/pool_mask.c - see pool_mask.h. A rule of simplify: relu's gradient asks the pooled value, not the whole map.
 *     %c = compare %x, 0 {LE}                                %c = compare %x, 0 {LE}
 *     %r = select %c, 0, %x                                  %r = select %c, 0, %x
 *     %y = reduce_window %r {max}                      =>    %y = reduce_window %r {max}
 *     %p = reduce_window %r {argmax}                         %p = reduce_window %r {argmax}
 *     %d = select_and_scatter %p, %dy                        %m = select (compare %y, 0 {LE}), 0, %dy
 *     %n = select %c, 0, %d                                  %n = select_and_scatter %p, %m
 * So %c is no longer kept for the backward pass, and %m has as many elements as there are windows.
 *
 * No bit changes, whatever the windows' size, stride and padding:
 *   - c[i] holds exactly where r[i] <= 0. Where c[i] holds, r[i] is 0; elsewhere it is x[i], above 0 or NaN.
 *   - Let window k name the element i = p[k], which is never padding. Then y[k] is r[i] but for the sign of a zero and
 *     the bits of a NaN, and `<= 0` sees neither: so window k's mask is c[i], for all the windows that name i.
 *   - Where c[i] holds, %n was 0 and is now the sum of zeros from +0; elsewhere no term of the sum has changed, nor
 *     their order. An element that no window names was 0 with either mask, and is +0 now. All zeros are +0.
 * The same holds where %c compares %r itself. */
#include "passes/pool_mask.h"
#include "ir/graph/build.h"
#include <math.h>
#include <string.h>

static bool is_zero(const ir_node *n)
{
    const ir_attr *a = n->op == IR_CONSTANT ? ir_attr_find(n->attrs, "value") : NULL;
    return a && a->count == 1 && a->number[0] == 0;
}

static bool is_plus_zero(const ir_node *n)
{
    return is_zero(n) && !signbit(ir_attr_find(n->attrs, "value")->number[0]);
}

/* Does the condition hold exactly where r <= 0? */
static bool says_not_positive(const ir_node *condition, const ir_node *r)
{
    if (condition->op != IR_COMPARE || !ir_word_is(condition, "direction", "LE") || !is_zero(condition->in[1]))
        return false;
    const ir_node *x = condition->in[0];
    return x == r || (r->op == IR_SELECT && r->in[0] == condition && is_zero(r->in[1]) && r->in[2] == x);
}

static bool same_windows(const ir_node *a, const ir_node *b)
{
    ir_window v, w;
    ir_window_read(a, &v);
    ir_window_read(b, &w);
    size_t bytes = (size_t)a->in[0]->type.rank * sizeof(int64_t);
    return !memcmp(v.window, w.window, bytes) && !memcmp(v.stride, w.stride, bytes) && !memcmp(v.low, w.low, bytes) &&
           !memcmp(v.high, w.high, bytes);
}

/* The maxima of the windows whose positions these are, computed above n; or NULL. */
static ir_node *maxima_of(const ir_node *positions, const ir_node *n)
{
    for (ir_node *y = n->prev; y; y = y->prev)
        if (y->op == IR_REDUCE_WINDOW && ir_word_is(y, "kind", "max") && y->in[0] == positions->in[0] &&
            same_windows(y, positions))
            return y;
    return NULL;
}

/* Users that nobody uses in turn do not count: a rule of simplify left them, and they go at its end. */
static bool is_read_once(const ir_uses *uses, const ir_node *n)
{
    int readers = 0;
    for (const ir_use *use = ir_uses_of(uses, n); use; use = use->next) {
        const ir_node *user = use->user;
        bool dead = user && (ir_uses_is_gone(uses, user) ||
                             (!ir_uses_count(uses, user) && !(ir_ops[user->op].traits & OP_EFFECT)));
        readers += !dead;
    }
    return readers == 1;
}

/* dy, zero where y <= 0; on the shape before a flatten was undone, so that it can join the product that gives dy. */
static ir_node *masked(ir_graph *g, ir_node *y, ir_node *dy)
{
    ir_node *flat = dy->op == IR_RESHAPE ? dy->in[0] : dy;
    ir_node *value = flat == dy ? y : ir_reshape(g, y, flat->type.rank, flat->type.dim);
    ir_node *not_positive = ir_compare(g, "LE", value, ir_like(g, value, 0));
    ir_node *kept = ir_select(g, not_positive, ir_like(g, flat, 0), flat);
    return flat == dy ? kept : ir_reshape(g, kept, dy->type.rank, dy->type.dim);
}

ir_node *pool_mask_moved(ir_graph *g, const ir_uses *uses, ir_node *n)
{
    ir_node *spread = n->in[2], *positions = spread->nin ? spread->in[0] : NULL;
    if (spread->op != IR_SELECT_AND_SCATTER || !is_plus_zero(n->in[1]) || positions->op != IR_REDUCE_WINDOW ||
        !ir_word_is(positions, "kind", "argmax") || !same_windows(positions, spread) ||
        !ir_shape_equal(&positions->in[0]->type, &spread->type) || !says_not_positive(n->in[0], positions->in[0]) ||
        ir_int(n, "stage", 0) != ir_int(spread, "stage", 0) || !is_read_once(uses, spread))
        return NULL;
    ir_node *y = maxima_of(positions, n);
    if (!y)
        return NULL;
    ir_window w;
    ir_window_read(spread, &w);
    ir_node *kept = masked(g, y, spread->in[1]);
    g->at = spread->loc;
    g->at_label = spread->label;
    return ir_select_and_scatter(g, positions, kept, spread->type, &w);
}
