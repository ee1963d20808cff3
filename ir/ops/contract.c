/* ir/ops/contract.c - infer and eval of dot_general and convolution.
 *
 * Each element of a result is a chain: a running sum that begins with +0 and takes one fused multiply-add for each
 * k, in increasing order. For dot_general, k runs row-major over the contracting dimensions in the order in which
 * they are listed; for a convolution, over (kernel position, channel). A padded position where an element could lie is
 * a term, zero times the weight; a zero that dilation put between elements is none, nor is one beyond the edge.
 *
 * A convolution that contracts the batch is the gradient of a weight, with k over (example, kernel position, channel).
 * There `leaf = 8` may cut the sum: each leaf of eight examples is a chain, and neighbouring leaves are added in pairs.
 * A dot_general that contracts the batch may have a leaf too, if the batch is the first dimension that it lists.
 * Without one, either is a single chain.
 *
 * Both operators are evaluated as a product of matrices: each row of the left operand is a list of terms, and the
 * right operand is packed. */
#include "ir/ops/rules.h"
#include <inttypes.h>
#include <math.h>

enum { NARROW = 4, WIDE = 32 }; /* panel widths in elements: few columns, many */

/* ---- rows times a matrix ---- */

/* A right operand of 'depth' rows and 'columns' columns and the result's columns, as offsets of elements. */
typedef struct {
    arena *mem;
    eval_mode mode;
    int64_t depth, columns;
    const int64_t *rhs_row, *rhs_column, *out_column;
    int width;                        /* of a panel */
    void *row_scratch, *leaf_scratch; /* depth elements; a panel's width for each leaf */
} contraction;

/* A row of the left operand: term t is element lhs[t] (-1: a zero) times row k[t] of the right one. A new leaf starts
 * every 'leaf' terms; 0 for one chain. */
typedef struct {
    int64_t count, leaf;
    int64_t *lhs, *k;
} term_list;

#define T float
#define FMA fmaf
#define FN(f) f##_f32
#include "ir/ops/contract.inc"
#define T double
#define FMA fma
#define FN(f) f##_f64
#include "ir/ops/contract.inc"

static void contraction_scratch(contraction *c, int64_t leaves)
{
    c->width = c->columns <= NARROW ? NARROW : WIDE;
    c->row_scratch = arena_array(c->mem, (size_t)c->depth, sizeof(double));
    c->leaf_scratch = arena_array(c->mem, (size_t)(leaves * c->width), sizeof(double));
}

static void *pack(const contraction *c, const void *rhs)
{
    return c->mode == EVAL_F32 ? pack_f32(c, rhs) : pack_f64(c, rhs);
}

static void multiply_row(const contraction *c, const term_list *terms, const void *lhs, void *packed, void *out)
{
    (c->mode == EVAL_F32 ? row_f32 : row_f64)(c, terms, lhs, packed, out);
}

/* The address of an f32 element. */
static char *at(eval_mode mode, const eval_tensor *t, int64_t index)
{
    return (char *)t->data + index * element_size(mode, IR_F32);
}

/* ---- dot_general ---- */

static bool same_dim(ir_dim a, ir_dim b)
{
    return a.n == b.n && a.batch == b.batch;
}

static bool check_pair(const ir_node *n, const char *what, int64_t x, int64_t y, diag *d)
{
    ir_dim a = n->in[0]->type.dim[x], b = n->in[1]->type.dim[y];
    return same_dim(a, b) ||
           rule_error(n, d, "%s sizes differ, %s and %s", what, rule_dim_text(n, a), rule_dim_text(n, b));
}

/* The attributes, each list by itself and against the other. */
static bool check_dot_dims(const ir_node *n, ir_dot *dot, diag *d)
{
    int lhs_rank = n->in[0]->type.rank, rhs_rank = n->in[1]->type.rank, rhs_batch_count = 0, rhs_contract_count;
    dot->lhs_batch_count = 0;
    if (ir_attr_find(n->attrs, "lhs_batch") &&
        !rule_dims(n, "lhs_batch", lhs_rank, dot->lhs_batch, &dot->lhs_batch_count, d))
        return false;
    if (ir_attr_find(n->attrs, "rhs_batch") &&
        !rule_dims(n, "rhs_batch", rhs_rank, dot->rhs_batch, &rhs_batch_count, d))
        return false;
    if (!rule_dims(n, "lhs_contract", lhs_rank, dot->lhs_contract, &dot->contract_count, d) ||
        !rule_dims(n, "rhs_contract", rhs_rank, dot->rhs_contract, &rhs_contract_count, d))
        return false;
    if (dot->lhs_batch_count != rhs_batch_count || dot->contract_count != rhs_contract_count)
        return rule_error(n, d,
                          "expected as many dimensions on both sides, found %d and %d to batch, %d and %d to contract",
                          dot->lhs_batch_count, rhs_batch_count, dot->contract_count, rhs_contract_count);
    for (int i = 0; i < dot->contract_count; i++)
        if (ir_in_list(dot->lhs_batch, rhs_batch_count, dot->lhs_contract[i]) ||
            ir_in_list(dot->rhs_batch, rhs_batch_count, dot->rhs_contract[i]))
            return rule_error(n, d, "expected a dimension to be batched or contracted, found both for pair %d", i);
    return true;
}

/* The free dimensions of an operand, in order. */
static int free_dims(const ir_type *t, const int64_t *batch, int batch_count, const int64_t *contract,
                     int contract_count, int *out)
{
    int count = 0;
    for (int i = 0; i < t->rank; i++)
        if (!ir_in_list(batch, batch_count, i) && !ir_in_list(contract, contract_count, i))
            out[count++] = i;
    return count;
}

static int lhs_free(const ir_type *x, const ir_dot *dot, int *out)
{
    return free_dims(x, dot->lhs_batch, dot->lhs_batch_count, dot->lhs_contract, dot->contract_count, out);
}

static int rhs_free(const ir_type *y, const ir_dot *dot, int *out)
{
    return free_dims(y, dot->rhs_batch, dot->lhs_batch_count, dot->rhs_contract, dot->contract_count, out);
}

static bool check_one_batch(const ir_node *n, const ir_type *type, diag *d)
{
    int batched = 0;
    for (int i = 0; i < type->rank; i++)
        batched += type->dim[i].batch;
    return batched <= 1 || rule_error(n, d, "expected a result with the batch once, found %s", rule_type_text(n, type));
}

static bool check_dot_leaf(const ir_node *n, const ir_dot *dot, diag *d)
{
    if (!ir_attr_find(n->attrs, "leaf"))
        return true;
    ir_dim first = {0};
    if (dot->contract_count)
        first = n->in[0]->type.dim[dot->lhs_contract[0]];
    return rule_leaf(n, first.batch && first.n == 1, d);
}

bool infer_dot_general(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type, *y = &n->in[1]->type;
    int left[IR_MAX_RANK], right[IR_MAX_RANK];
    ir_dot dot;
    if (!rule_dtype(n, 0, DTYPE_F32, d) || !rule_dtype(n, 1, DTYPE_F32, d) || !check_dot_dims(n, &dot, d))
        return false;
    for (int i = 0; i < dot.contract_count; i++)
        if (!check_pair(n, "inner", dot.lhs_contract[i], dot.rhs_contract[i], d))
            return false;
    for (int i = 0; i < dot.lhs_batch_count; i++)
        if (!check_pair(n, "batch", dot.lhs_batch[i], dot.rhs_batch[i], d))
            return false;
    int left_count = lhs_free(x, &dot, left), right_count = rhs_free(y, &dot, right);
    if (dot.lhs_batch_count + left_count + right_count > IR_MAX_RANK)
        return rule_error(n, d, "expected a result of at most %d dimensions, found %d", IR_MAX_RANK,
                          dot.lhs_batch_count + left_count + right_count);
    *type = ir_type_scalar(IR_F32);
    for (int i = 0; i < dot.lhs_batch_count; i++)
        type->dim[type->rank++] = x->dim[dot.lhs_batch[i]];
    for (int i = 0; i < left_count; i++)
        type->dim[type->rank++] = x->dim[left[i]];
    for (int i = 0; i < right_count; i++)
        type->dim[type->rank++] = y->dim[right[i]];
    return check_one_batch(n, type, d) && check_dot_leaf(n, &dot, d);
}

/* Offsets over the dimensions 'dims' of t. */
static int64_t *offsets_of(const eval_context *c, const ir_type *t, const int64_t *dims, int count, int64_t *total)
{
    axis list[2 * IR_MAX_RANK];
    int axes = 0;
    for (int i = 0; i < count; i++)
        axes = axes_add(t, (int)dims[i], c->batch, list, axes);
    return axes_offsets(c->mem, list, axes, total);
}

/* Dimensions as offsets_of takes them. */
typedef struct {
    int64_t dim[IR_MAX_RANK];
    int count;
} dim_list;

static dim_list dims_of(const int *dims, int count)
{
    dim_list l = {.count = count};
    for (int i = 0; i < count; i++)
        l.dim[i] = dims[i];
    return l;
}

static dim_list dims_from(int first, int count)
{
    dim_list l = {.count = count};
    for (int i = 0; i < count; i++)
        l.dim[i] = first + i;
    return l;
}

void eval_dot_general(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    const ir_type *x = &in[0]->type, *y = &in[1]->type, *r = &out->type;
    int left[IR_MAX_RANK], right[IR_MAX_RANK];
    ir_dot dot;
    ir_dot_read(n, &dot);
    int batches = dot.lhs_batch_count;
    dim_list lhs_dims = dims_of(left, lhs_free(x, &dot, left)), rhs_dims = dims_of(right, rhs_free(y, &dot, right));
    dim_list out_batch = dims_from(0, batches), out_left = dims_from(batches, lhs_dims.count),
             out_right = dims_from(batches + lhs_dims.count, rhs_dims.count);

    contraction m = {.mem = c->mem, .mode = c->mode};
    int64_t batch_count, rows;
    const int64_t *lhs_batch = offsets_of(c, x, dot.lhs_batch, batches, &batch_count);
    const int64_t *rhs_batch = offsets_of(c, y, dot.rhs_batch, batches, &batch_count);
    const int64_t *result_batch = offsets_of(c, r, out_batch.dim, batches, &batch_count);
    const int64_t *lhs_row = offsets_of(c, x, lhs_dims.dim, lhs_dims.count, &rows);
    const int64_t *out_row = offsets_of(c, r, out_left.dim, out_left.count, &rows);
    m.rhs_column = offsets_of(c, y, rhs_dims.dim, rhs_dims.count, &m.columns);
    m.out_column = offsets_of(c, r, out_right.dim, out_right.count, &m.columns);
    m.rhs_row = offsets_of(c, y, dot.rhs_contract, dot.contract_count, &m.depth);
    contraction_scratch(&m, dot.leaf ? c->batch / IR_LEAF + 1 : 1);

    term_list terms = {.count = m.depth, .lhs = offsets_of(c, x, dot.lhs_contract, dot.contract_count, &m.depth)};
    terms.leaf = dot.leaf ? m.depth / c->batch * IR_LEAF : 0;
    terms.k = arena_new_array(c->mem, int64_t, (size_t)m.depth);
    for (int64_t k = 0; k < m.depth; k++)
        terms.k[k] = k;
    for (int64_t b = 0; b < batch_count; b++) {
        void *packed = pack(&m, at(c->mode, in[1], rhs_batch[b]));
        for (int64_t i = 0; i < rows; i++)
            multiply_row(&m, &terms, at(c->mode, in[0], lhs_batch[b] + lhs_row[i]), packed,
                         at(c->mode, out, result_batch[b] + out_row[i]));
    }
}

/* ---- convolution: the rule ---- */

static bool check_conv_lists(const ir_node *n, int rank, ir_conv *v, diag *d)
{
    static const char *const names[] = {"lhs", "rhs", "out"};
    int64_t *const lists[] = {v->lhs, v->rhs, v->out};
    int count;
    for (int i = 0; i < 3; i++) {
        if (!rule_dims(n, names[i], rank, lists[i], &count, d))
            return false;
        if (count != rank)
            return rule_error(n, d, "'%s' must have %d numbers, found %d", names[i], rank, count);
    }
    return rule_ints(n, "stride", v->spatial, v->stride, d) && rule_ints(n, "low", v->spatial, v->low, d) &&
           rule_ints(n, "high", v->spatial, v->high, d) &&
           rule_ints(n, "lhs_dilation", v->spatial, v->lhs_dilation, d) &&
           rule_ints(n, "rhs_dilation", v->spatial, v->rhs_dilation, d) &&
           rule_ints(n, "feature_groups", 1, &v->feature_groups, d) &&
           rule_ints(n, "batch_groups", 1, &v->batch_groups, d);
}

/* Groups divide what they split, and the channels of both sides agree. */
static bool check_features(const ir_node *n, const ir_conv *v, diag *d)
{
    const ir_type *x = &n->in[0]->type, *w = &n->in[1]->type;
    ir_dim samples = x->dim[v->lhs[0]], features = x->dim[v->lhs[1]];
    ir_dim inputs = w->dim[v->rhs[0]], outputs = w->dim[v->rhs[1]];
    int64_t fg = v->feature_groups, bg = v->batch_groups, groups = fg * bg;
    if (fg < 1 || bg < 1 || (fg > 1 && bg > 1))
        return rule_error(n, d,
                          "expected feature_groups and batch_groups of at least 1, one of them 1, found %" PRId64
                          " and %" PRId64,
                          fg, bg);
    if (groups > 1 && (outputs.batch || (fg > 1 ? features : samples).batch))
        return rule_error(n, d, "expected groups of dimensions without the batch, found %s and %s",
                          rule_dim_text(n, fg > 1 ? features : samples), rule_dim_text(n, outputs));
    if (features.n % fg || samples.n % bg || outputs.n % groups)
        return rule_error(n, d, "expected %" PRId64 " groups to divide %s and %s", groups,
                          rule_dim_text(n, fg > 1 ? features : samples), rule_dim_text(n, outputs));
    features.n /= fg;
    return same_dim(features, inputs) || rule_error(n, d, "input features of a group differ, %s and %s",
                                                    rule_dim_text(n, features), rule_dim_text(n, inputs));
}

static bool infer_spatial(const ir_node *n, const ir_conv *v, int i, int64_t *size, diag *d)
{
    ir_dim x = n->in[0]->type.dim[v->lhs[2 + i]], w = n->in[1]->type.dim[v->rhs[2 + i]];
    if (x.batch || w.batch)
        return rule_error(n, d, "expected spatial dimensions without the batch, found %s and %s", rule_dim_text(n, x),
                          rule_dim_text(n, w));
    if (v->stride[i] < 1 || v->lhs_dilation[i] < 1 || v->rhs_dilation[i] < 1)
        return rule_error(n, d,
                          "expected stride and dilations of at least 1 in spatial dimension %d, found %" PRId64
                          ", %" PRId64 " and %" PRId64,
                          i, v->stride[i], v->lhs_dilation[i], v->rhs_dilation[i]);
    int64_t room = (x.n - 1) * v->lhs_dilation[i] + 1 + v->low[i] + v->high[i];
    int64_t kernel = (w.n - 1) * v->rhs_dilation[i] + 1;
    if (kernel > room)
        return rule_error(n, d, "expected a kernel of at most %" PRId64 " in spatial dimension %d, found %" PRId64,
                          room, i, kernel);
    *size = (room - kernel) / v->stride[i] + 1;
    return true;
}

bool infer_convolution(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type, *w = &n->in[1]->type;
    if (!rule_dtype(n, 0, DTYPE_F32, d) || !rule_dtype(n, 1, DTYPE_F32, d))
        return false;
    if (x->rank < 2 || x->rank != w->rank)
        return rule_error(n, d, "expected operands of one rank, 2 or more, found %s and %s", rule_type_text(n, x),
                          rule_type_text(n, w));
    ir_conv v = {.spatial = x->rank - 2, .leaf = ir_attr_find(n->attrs, "leaf")};
    if (!check_conv_lists(n, x->rank, &v, d) || !check_features(n, &v, d))
        return false;
    *type = ir_type_scalar(IR_F32);
    type->rank = x->rank;
    type->dim[v.out[0]] = x->dim[v.lhs[0]];
    type->dim[v.out[0]].n /= v.batch_groups;
    type->dim[v.out[1]] = w->dim[v.rhs[1]];
    for (int i = 0; i < v.spatial; i++) {
        ir_dim *size = &type->dim[v.out[2 + i]];
        size->batch = false;
        if (!infer_spatial(n, &v, i, &size->n, d))
            return false;
    }
    return check_one_batch(n, type, d) && (!v.leaf || rule_leaf(n, x->dim[v.lhs[1]].batch, d));
}

/* ---- convolution: the evaluator ---- */

typedef struct {
    ir_conv v;
    const ir_type *x, *w, *r;
    int64_t x_stride[IR_MAX_RANK], w_stride[IR_MAX_RANK], r_stride[IR_MAX_RANK];
    int64_t x_batch, w_batch, r_batch;
    int64_t examples; /* contracted: 1 where the features are not the batch */
    int64_t channels; /* of a group, in one example */
    int64_t kernel;   /* positions in the kernel */
} conv_walk;

static conv_walk conv_walk_of(const eval_context *c, const ir_node *n, const eval_tensor *const *in,
                              const eval_tensor *out)
{
    conv_walk k = {.x = &in[0]->type, .w = &in[1]->type, .r = &out->type, .kernel = 1};
    ir_conv_read(n, &k.v);
    ir_strides(k.x, k.x_stride, &k.x_batch);
    ir_strides(k.w, k.w_stride, &k.w_batch);
    ir_strides(k.r, k.r_stride, &k.r_batch);
    k.examples = k.x->dim[k.v.lhs[1]].batch ? c->batch : 1;
    k.channels = k.w->dim[k.v.rhs[0]].n;
    for (int i = 0; i < k.v.spatial; i++)
        k.kernel *= k.w->dim[k.v.rhs[2 + i]].n;
    return k;
}

typedef enum { TAP_ELEMENT, TAP_PADDED, TAP_NONE } tap;

/* What a position of the kernel meets when the window stands at 'place' (each spatial dimension's place in the
 * result): an element, at *offset; padding, where an element would lie if there were more; or a gap that dilation made,
 * within the operand or beyond it. */
static tap tap_at(const conv_walk *k, const int64_t *place, int64_t position, int64_t *offset)
{
    tap found = TAP_ELEMENT;
    *offset = 0;
    for (int i = k->v.spatial; i-- > 0;) {
        int64_t size = k->w->dim[k->v.rhs[2 + i]].n, dilation = k->v.lhs_dilation[i];
        int64_t at = place[i] * k->v.stride[i] - k->v.low[i] + position % size * k->v.rhs_dilation[i];
        int dim = (int)k->v.lhs[2 + i];
        position /= size;
        if (at % dilation)
            found = TAP_NONE;
        else if ((at < 0 || at / dilation >= k->x->dim[dim].n) && found == TAP_ELEMENT)
            found = TAP_PADDED;
        *offset += at / dilation * k->x_stride[dim];
    }
    return found;
}

/* The terms of the rows at 'place': over (example, kernel position, channel). */
static void list_terms(const conv_walk *k, const int64_t *place, term_list *terms)
{
    int64_t channel_stride = k->x_stride[k->v.lhs[1]], offset, count = 0;
    for (int64_t position = 0; position < k->kernel; position++) {
        tap found = tap_at(k, place, position, &offset);
        for (int64_t i = 0; found != TAP_NONE && i < k->channels; i++) {
            terms->lhs[count] = found == TAP_PADDED ? -1 : offset + i * channel_stride;
            terms->k[count++] = position * k->channels + i;
        }
    }
    terms->leaf = k->v.leaf ? count * IR_LEAF : 0;
    terms->count = count * k->examples;
    for (int64_t t = count; t < terms->count; t++) {
        int64_t before = terms->lhs[t - count];
        terms->lhs[t] = before < 0 ? -1 : before + k->x_batch;
        terms->k[t] = terms->k[t - count] + k->kernel * k->channels;
    }
}

/* Offsets of one group's part of a dimension, which may hold the batch where there is one group. */
static int64_t *group_offsets(const eval_context *c, const ir_type *t, int64_t dim, int64_t groups, int64_t *total)
{
    ir_type part = *t;
    axis list[2];
    int count = axes_add(&part, (int)dim, c->batch, list, 0);
    list[count - 1].extent /= groups;
    return axes_offsets(c->mem, list, count, total);
}

/* The right operand as a matrix: rows over (example, kernel position, channel), columns over a group's outputs. */
static contraction conv_matrix(const eval_context *c, const conv_walk *k)
{
    axis list[IR_MAX_RANK + 1];
    int count = 0;
    int64_t groups = k->v.feature_groups * k->v.batch_groups;
    list[count++] = (axis){k->examples, k->w_batch};
    for (int i = 0; i < k->v.spatial; i++)
        count = axes_add(k->w, (int)k->v.rhs[2 + i], c->batch, list, count);
    list[count++] = (axis){k->channels, k->w_stride[k->v.rhs[0]]};
    contraction m = {.mem = c->mem, .mode = c->mode};
    m.rhs_row = axes_offsets(c->mem, list, count, &m.depth);
    m.rhs_column = group_offsets(c, k->w, k->v.rhs[1], groups, &m.columns);
    m.out_column = group_offsets(c, k->r, k->v.out[1], groups, &m.columns);
    contraction_scratch(&m, k->examples / IR_LEAF + 1);
    return m;
}

/* The next place in row-major order; false after the last. */
static bool next_place(const conv_walk *k, int64_t *place)
{
    for (int i = k->v.spatial - 1; i >= 0; i--) {
        if (++place[i] < k->r->dim[k->v.out[2 + i]].n)
            return true;
        place[i] = 0;
    }
    return false;
}

void eval_convolution(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    conv_walk k = conv_walk_of(c, n, in, out);
    contraction m = conv_matrix(c, &k);
    int64_t samples, groups = k.v.feature_groups * k.v.batch_groups, place[IR_MAX_RANK];
    const int64_t *x_sample = group_offsets(c, k.x, k.v.lhs[0], k.v.batch_groups, &samples);
    const int64_t *r_sample = group_offsets(c, k.r, k.v.out[0], 1, &samples);
    int64_t x_group = k.v.feature_groups > 1 ? k.channels * k.x_stride[k.v.lhs[1]] : samples * k.x_stride[k.v.lhs[0]];
    term_list terms = {.lhs = arena_new_array(c->mem, int64_t, (size_t)m.depth),
                       .k = arena_new_array(c->mem, int64_t, (size_t)m.depth)};
    for (int64_t g = 0; g < groups; g++) {
        void *packed = pack(&m, at(c->mode, in[1], g * m.columns * k.w_stride[k.v.rhs[1]]));
        for (int i = 0; i < k.v.spatial; i++)
            place[i] = 0;
        do {
            int64_t r_place = g * m.columns * k.r_stride[k.v.out[1]];
            for (int i = 0; i < k.v.spatial; i++)
                r_place += place[i] * k.r_stride[k.v.out[2 + i]];
            list_terms(&k, place, &terms);
            for (int64_t s = 0; s < samples; s++)
                multiply_row(&m, &terms, at(c->mode, in[0], g * x_group + x_sample[s]), packed,
                             at(c->mode, out, r_place + r_sample[s]));
        } while (next_place(&k, place));
    }
}
