/* ir/ops/reduce.c - infer and eval of reduce, reduce_window and select_and_scatter.
 *
 * The order of every sum is part of the operator, since it decides the bits. A chain is a running sum whose terms
 * are added one after the other, beginning with +0:
 *   reduce sum            There are 16 chains. Element i of the reduced dimensions, counted row-major, goes to chain
 *                         i mod 16. At the end chain i + 8 is added to chain i, then i + 4, i + 2 and i + 1.
 *   over the batch        With `leaf = 8`, examples 0-7, 8-15, ... are leaves. A leaf is one chain over its examples
 *                         and, within an example, the other reduced dimensions row-major. Neighbouring leaves are
 *                         added in pairs until one is left; an odd last one passes up unchanged.
 *   windows               There is one chain, with the contributions in row-major order.
 * An argmax moves on only to an element that is greater, or that is the first NaN. So it names the first NaN if there
 * is one, else the first element that equals the maximum, where +0 and -0 count as equal. */
#include "ir/ops/rules.h"
#include <inttypes.h>
#include <math.h>

enum { SUMMABLE = DTYPE_F32 | DTYPE_F64 | DTYPE_WHOLE, ORDERED = DTYPE_F32 | DTYPE_WHOLE };

/* ---- one element at a time ---- */

typedef enum { KIND_SUM, KIND_MAX, KIND_MIN, KIND_ARGMAX } reduce_kind;

static reduce_kind kind_of(const ir_node *n)
{
    return ir_word_is(n, "kind", "sum")   ? KIND_SUM
           : ir_word_is(n, "kind", "max") ? KIND_MAX
           : ir_word_is(n, "kind", "min") ? KIND_MIN
                                          : KIND_ARGMAX;
}

/* An element on its way through a reduction, a float or not. */
typedef struct {
    double real;
    int64_t whole;
} number;

/* How the numbers of one tensor are read, added and compared. */
typedef struct {
    const eval_tensor *x;
    eval_mode mode;
    bool real, narrow; /* a float; rounded to f32 after each addition */
} numbers;

static numbers numbers_of(const eval_context *c, const eval_tensor *x)
{
    ir_dtype t = x->type.dtype;
    return (numbers){x, c->mode, ir_dtype_is_float(t), t == IR_F32 && c->mode == EVAL_F32};
}

static number get(const numbers *s, int64_t at)
{
    if (s->narrow)
        return (number){((const float *)s->x->data)[at], 0};
    if (s->real)
        return (number){((const double *)s->x->data)[at], 0};
    elements e;
    elements_load(s->mode, s->x, at, 1, &e);
    return (number){0, e.whole[0]};
}

static void put(const numbers *s, eval_tensor *out, int64_t at, number v)
{
    elements e;
    if (s->real)
        e.real[0] = v.real;
    else
        e.whole[0] = v.whole;
    elements_store(s->mode, out, at, 1, &e);
}

static number add(const numbers *s, number a, number b)
{
    double sum = a.real + b.real;
    return (number){s->narrow ? (double)(float)sum : sum, (int64_t)((uint64_t)a.whole + (uint64_t)b.whole)};
}

static number larger(const numbers *s, number a, number b)
{
    return s->real ? (number){real_maximum(a.real, b.real), 0} : a.whole > b.whole ? a : b;
}

static number smaller(const numbers *s, number a, number b)
{
    return s->real ? (number){-real_maximum(-a.real, -b.real), 0} : a.whole < b.whole ? a : b;
}

/* Whether the argmax moves from 'best' to v. */
static bool takes_over(const numbers *s, number best, number v)
{
    return s->real ? v.real > best.real || (isnan(v.real) && !isnan(best.real)) : v.whole > best.whole;
}

/* ---- reduce ---- */

static bool reduces(const int64_t *dims, int count, int dim)
{
    for (int i = 0; i < count; i++)
        if (dims[i] == dim)
            return true;
    return false;
}

bool infer_reduce(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type;
    int64_t dims[IR_MAX_RANK];
    int count;
    if (!rule_word(n, "kind", "sum max min argmax", d) || !rule_dims(n, "dims", x->rank, dims, &count, d) ||
        !rule_dtype(n, 0, kind_of(n) == KIND_SUM ? SUMMABLE : ORDERED, d))
        return false;
    if (count == 0)
        return rule_error(n, d, "expected at least 1 dimension in 'dims', found none");
    int batch = ir_batch_dim(x);
    bool over_batch = batch >= 0 && reduces(dims, count, batch);
    reduce_kind kind = kind_of(n);
    if (kind == KIND_ARGMAX && over_batch)
        return rule_error(n, d, "an argmax must be over dimensions without the batch, found %s as dimension %d",
                          rule_dim_text(n, x->dim[batch]), batch);
    if (!rule_leaf(n, over_batch && kind == KIND_SUM, d))
        return false;
    *type = ir_type_scalar(kind == KIND_ARGMAX ? IR_I32 : x->dtype);
    for (int i = 0; i < x->rank; i++)
        if (!reduces(dims, count, i))
            type->dim[type->rank++] = x->dim[i];
    return true;
}

/* Where a reduction reads: result element k, in memory order, starts at start[k] and takes in the elements at
 * start[k] + reduced[...], for each of 'examples' examples if the batch is reduced. */
typedef struct {
    int64_t *start, *reduced;
    int64_t starts, count, examples, batch_stride;
} reduce_walk;

static reduce_walk walk_of(const eval_context *c, const ir_node *n, const ir_type *x)
{
    int64_t dims[IR_MAX_RANK], stride[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims), kept_count = 0, reduced_count = 0, batch = ir_batch_dim(x);
    bool over_batch = batch >= 0 && reduces(dims, count, batch);
    axis kept[MAX_AXES], reduced[MAX_AXES];
    reduce_walk w = {.examples = over_batch ? c->batch : 1};
    ir_strides(x, stride, &w.batch_stride);
    if (batch >= 0 && !over_batch)
        kept[kept_count++] = (axis){c->batch, w.batch_stride};
    for (int i = 0; i < x->rank; i++)
        if (reduces(dims, count, i))
            reduced[reduced_count++] = (axis){x->dim[i].n, stride[i]};
        else
            kept[kept_count++] = (axis){x->dim[i].n, stride[i]};
    w.start = axes_offsets(c->mem, kept, kept_count, &w.starts);
    w.reduced = axes_offsets(c->mem, reduced, reduced_count, &w.count);
    return w;
}

static number sum_interleaved(const numbers *s, const reduce_walk *w, int64_t start)
{
    number chain[IR_CHAINS] = {{0, 0}};
    for (int64_t i = 0; i < w->count; i++)
        chain[i % IR_CHAINS] = add(s, chain[i % IR_CHAINS], get(s, start + w->reduced[i]));
    for (int half = IR_CHAINS / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            chain[i] = add(s, chain[i], chain[i + half]);
    return chain[0];
}

static number sum_leaf(const numbers *s, const reduce_walk *w, int64_t start, int64_t first, int64_t end)
{
    number sum = {0, 0};
    for (int64_t b = first; b < end; b++)
        for (int64_t i = 0; i < w->count; i++)
            sum = add(s, sum, get(s, start + b * w->batch_stride + w->reduced[i]));
    return sum;
}

/* 'leaves' has room for a number each leaf. */
static number sum_over_batch(const numbers *s, const reduce_walk *w, int64_t start, number *leaves)
{
    int64_t count = 0;
    for (int64_t b = 0; b < w->examples; b += IR_LEAF)
        leaves[count++] = sum_leaf(s, w, start, b, b + IR_LEAF < w->examples ? b + IR_LEAF : w->examples);
    for (; count > 1; count = (count + 1) / 2)
        for (int64_t i = 0; i < count; i += 2)
            leaves[i / 2] = i + 1 < count ? add(s, leaves[i], leaves[i + 1]) : leaves[i];
    return leaves[0];
}

static number extreme(const numbers *s, const reduce_walk *w, int64_t start, reduce_kind kind)
{
    number best = get(s, start + w->reduced[0]);
    for (int64_t b = 0; b < w->examples; b++)
        for (int64_t i = 0; i < w->count; i++) {
            number v = get(s, start + b * w->batch_stride + w->reduced[i]);
            best = kind == KIND_MAX ? larger(s, best, v) : smaller(s, best, v);
        }
    return best;
}

static int64_t position_of_largest(const numbers *s, const reduce_walk *w, int64_t start)
{
    number best = get(s, start + w->reduced[0]);
    int64_t position = 0;
    for (int64_t i = 1; i < w->count; i++) {
        number v = get(s, start + w->reduced[i]);
        if (takes_over(s, best, v)) {
            best = v;
            position = i;
        }
    }
    return position;
}

void eval_reduce(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    numbers s = numbers_of(c, in[0]);
    reduce_walk w = walk_of(c, n, &in[0]->type);
    reduce_kind kind = kind_of(n);
    bool leaf = ir_attr_find(n->attrs, "leaf");
    number *leaves = arena_new_array(c->mem, number, (size_t)(w.examples / IR_LEAF + 1));
    for (int64_t k = 0; k < w.starts; k++)
        if (kind == KIND_ARGMAX)
            ((int32_t *)out->data)[k] = (int32_t)position_of_largest(&s, &w, w.start[k]);
        else if (kind != KIND_SUM)
            put(&s, out, k, extreme(&s, &w, w.start[k], kind));
        else
            put(&s, out, k, leaf ? sum_over_batch(&s, &w, w.start[k], leaves) : sum_interleaved(&s, &w, w.start[k]));
}

/* ---- windows ---- */

/* The window's attributes against an operand, and the shape of what the windows give. Every window holds an element. */
static bool infer_window(const ir_node *n, const ir_type *x, ir_type *out, diag *d)
{
    ir_window w;
    int rank = x->rank;
    int64_t places = 1;
    if (!rule_ints(n, "window", rank, w.window, d) || !rule_ints(n, "stride", rank, w.stride, d) ||
        !rule_ints(n, "low", rank, w.low, d) || !rule_ints(n, "high", rank, w.high, d))
        return false;
    *out = *x;
    for (int i = 0; i < rank; i++) {
        int64_t low = w.low[i], high = w.high[i];
        if (w.window[i] < 1 || w.stride[i] < 1)
            return rule_error(
                n, d, "expected a window and a stride of at least 1 in dimension %d, found %" PRId64 " and %" PRId64, i,
                w.window[i], w.stride[i]);
        if (x->dim[i].batch && (w.window[i] != 1 || w.stride[i] != 1 || low || high))
            return rule_error(n, d, "expected no window over the batch, found one in dimension %d", i);
        if (low < 0 || low >= w.window[i] || high >= w.window[i])
            return rule_error(n, d,
                              "expected edges smaller than the window, %" PRId64 ", in dimension %d, found %" PRId64
                              " and %" PRId64,
                              w.window[i], i, low, high);
        int64_t room = x->dim[i].n + low + high - w.window[i];
        if (room < 0)
            return rule_error(n, d, "expected a window of at most %" PRId64 " in dimension %d, found %" PRId64,
                              x->dim[i].n + low + high, i, w.window[i]);
        if (places > INT32_MAX / w.window[i])
            return rule_error(n, d, "expected a window of less than 2^31 elements, found a larger one");
        places *= w.window[i];
        out->dim[i].n = room / w.stride[i] + 1;
    }
    return true;
}

static bool check_position_fits(const ir_node *n, diag *d)
{
    ir_window w;
    int64_t places = 1;
    ir_window_read(n, &w);
    for (int i = 0; i < n->in[0]->type.rank; i++)
        places *= w.window[i];
    return places <= UINT8_MAX + 1 ||
           rule_error(n, d, "expected a window of at most 256 elements, found %" PRId64, places);
}

/* The windows over a tensor: for each window in memory order of the windows, each of its places. */
typedef struct {
    ir_window w;
    int rank;
    int64_t stride[IR_MAX_RANK], batch_stride; /* of the tensor under the windows */
    ir_type under, windows;
    int64_t size; /* places in a window */
} window_walk;

static window_walk window_walk_of(const ir_node *n, const ir_type *under, const ir_type *windows)
{
    window_walk v = {.rank = under->rank, .under = *under, .windows = *windows, .size = 1};
    ir_window_read(n, &v.w);
    ir_strides(under, v.stride, &v.batch_stride);
    for (int i = 0; i < v.rank; i++)
        v.size *= v.w.window[i];
    return v;
}

/* Where the element at a place of a window lies, or -1 in the padding. 'corner' is the window's first place. */
static int64_t element_at(const window_walk *v, const int64_t *corner, int64_t base, int64_t place)
{
    int64_t at = base;
    for (int i = v->rank - 1; i >= 0; i--) {
        int64_t index = corner[i] + place % v->w.window[i];
        place /= v->w.window[i];
        if (index < 0 || index >= v->under.dim[i].n)
            return -1;
        at += index * v->stride[i];
    }
    return at;
}

/* The first place of window number k, and where its example starts. */
static int64_t corner_of(const window_walk *v, int64_t k, int64_t *corner)
{
    for (int i = v->rank - 1; i >= 0; i--) {
        corner[i] = k % v->windows.dim[i].n * (v->windows.dim[i].batch ? 1 : v->w.stride[i]) - v->w.low[i];
        k /= v->windows.dim[i].n;
    }
    return k * v->batch_stride;
}

bool infer_reduce_window(const ir_node *n, ir_type *type, diag *d)
{
    if (!rule_word(n, "kind", "sum max argmax", d) || !rule_dtype(n, 0, ORDERED, d) ||
        !infer_window(n, &n->in[0]->type, type, d))
        return false;
    if (kind_of(n) != KIND_ARGMAX)
        return true;
    type->dtype = IR_UI8;
    return check_position_fits(n, d);
}

void eval_reduce_window(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    numbers s = numbers_of(c, in[0]);
    window_walk v = window_walk_of(n, &in[0]->type, &out->type);
    reduce_kind kind = kind_of(n);
    int64_t total = ir_count(&out->type, c->batch), corner[IR_MAX_RANK];
    for (int64_t k = 0; k < total; k++) {
        int64_t base = corner_of(&v, k, corner), position = -1;
        number result = {0, 0};
        for (int64_t place = 0; place < v.size; place++) {
            int64_t at = element_at(&v, corner, base, place);
            if (at < 0)
                continue;
            number x = get(&s, at);
            bool first = position < 0;
            if (first || takes_over(&s, result, x))
                position = place;
            if (kind == KIND_SUM)
                result = add(&s, result, x);
            else if (kind == KIND_MAX)
                result = first ? x : larger(&s, result, x);
            else if (position == place)
                result = x;
        }
        if (kind == KIND_ARGMAX)
            ((uint8_t *)out->data)[k] = (uint8_t)position;
        else
            put(&s, out, k, result);
    }
}

bool infer_select_and_scatter(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *position = &n->in[0]->type, *y = &n->in[1]->type;
    ir_type windows;
    if (!rule_dtype(n, 0, 1 << IR_UI8, d) || !rule_dtype(n, 1, ORDERED, d) || !infer_window(n, type, &windows, d) ||
        !check_position_fits(n, d))
        return false;
    if (!ir_shape_equal(position, y))
        return rule_error(n, d, "operand shapes differ, %s and %s", rule_type_text(n, position), rule_type_text(n, y));
    return ir_type_equal(&windows, y) || rule_error(n, d, "the windows of the result give %s, found the operand %s",
                                                    rule_type_text(n, &windows), rule_type_text(n, y));
}

/* A position in the padding, which no reduce_window gives, adds nothing. */
void eval_select_and_scatter(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    numbers y = numbers_of(c, in[1]), sum = numbers_of(c, out);
    window_walk v = window_walk_of(n, &out->type, &in[1]->type);
    const uint8_t *position = in[0]->data;
    int64_t total = ir_count(&in[1]->type, c->batch), corner[IR_MAX_RANK];
    for (int64_t k = 0; k < total; k++) {
        int64_t base = corner_of(&v, k, corner);
        int64_t at = position[k] < v.size ? element_at(&v, corner, base, position[k]) : -1;
        if (at >= 0)
            put(&sum, out, at, add(&sum, get(&sum, at), get(&y, k)));
    }
}
