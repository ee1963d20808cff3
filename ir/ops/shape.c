/* ir/ops/shape.c - infer and eval of the operators that make, move and repeat elements.
 *
 * All operators that only move elements are one copy along nested loops (copy_plan in rules.h): first the batch,
 * then each of the other dimensions. The operators differ in the strides and in where they start. None of them cuts,
 * joins, pads or reverses the batch. */
#include "ir/ops/rules.h"
#include <inttypes.h>
#include <math.h>

/* Strides of dimensions with the batch's as entry 0, as copy_plan counts its loops. */
typedef struct {
    int64_t at[MAX_AXES];
} loop_strides;

static loop_strides strides_of(const ir_type *t)
{
    loop_strides s;
    ir_strides(t, s.at + 1, &s.at[0]);
    if (ir_batch_dim(t) < 0)
        s.at[0] = 0;
    return s;
}

/* ---- constant, iota ---- */

static bool fits(double v, ir_dtype t)
{
    if (ir_dtype_is_float(t))
        return true;
    elements e = {.whole = {whole_from_real(v, t)}};
    return v == floor(v) && fabs(v) < 0x1p63 && (double)e.whole[0] == v;
}

bool infer_constant(const ir_node *n, ir_type *type, diag *d)
{
    const ir_attr *value = ir_attr_find(n->attrs, "value");
    if (!value || value->word)
        return rule_error(n, d, "'value' must be a list of numbers, found %s", value ? "a word" : "none");
    int64_t wanted = ir_static_count(type);
    if (value->count != 1 && (ir_batch_dim(type) >= 0 || value->count != wanted))
        return rule_error(n, d, "expected one number or one for each of the elements of %s, found %d",
                          rule_type_text(n, type), value->count);
    for (int i = 0; i < value->count; i++)
        if (!fits(value->number[i], type->dtype))
            return rule_error(n, d, "expected numbers that fit %s, found %.17g", ir_dtype_name(type->dtype),
                              value->number[i]);
    return true;
}

/* The number rounded to the dtype: to float under EVAL_F64 too, since it is the graph's number, not a computed one. */
static void put_constant(eval_mode mode, eval_tensor *out, int64_t index, double v)
{
    elements e;
    if (!ir_dtype_is_float(out->type.dtype))
        e.whole[0] = whole_from_real(v, out->type.dtype);
    else
        e.real[0] = out->type.dtype == IR_F32 ? (double)(float)v : v;
    elements_store(mode, out, index, 1, &e);
}

void eval_constant(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    const ir_attr *value = ir_attr_find(n->attrs, "value");
    int64_t total = ir_count(&out->type, c->batch);
    (void)in;
    for (int64_t i = 0; i < total; i++)
        put_constant(c->mode, out, i, value->number[value->count > 1 ? i : 0]);
}

bool infer_iota(const ir_node *n, ir_type *type, diag *d)
{
    int64_t dim;
    if (!rule_ints(n, "dim", 1, &dim, d))
        return false;
    if (dim < 0 || dim >= type->rank)
        return rule_error(n, d, "'dim' must name a dimension of %s, found %" PRId64, rule_type_text(n, type), dim);
    return type->dtype != IR_I1 || rule_error(n, d, "expected a number type, found i1");
}

void eval_iota(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    int dim = (int)ir_int(n, "dim", 0);
    ir_dim along = out->type.dim[dim];
    loop_strides s = strides_of(&out->type);
    int64_t total = ir_count(&out->type, c->batch), example = ir_static_count(&out->type);
    (void)in;
    for (int64_t i = 0; i < total; i++) {
        elements e;
        int64_t index = i / s.at[1 + dim] % along.n;
        if (along.batch)
            index += i / example * along.n;
        if (ir_dtype_is_float(out->type.dtype))
            e.real[0] = (double)index;
        else
            e.whole[0] = index;
        elements_store(c->mode, out, i, 1, &e);
    }
}

/* ---- reshape ---- */

/* How many steps the dimensions before the batch take. */
static int64_t count_before_batch(const ir_type *t)
{
    int64_t count = 1;
    for (int i = 0; i < ir_batch_dim(t); i++)
        count *= t->dim[i].n;
    return count;
}

bool infer_reshape(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type;
    bool batched = ir_batch_dim(x) >= 0;
    if (type->dtype != x->dtype || batched != (ir_batch_dim(type) >= 0) || ir_static_count(type) != ir_static_count(x))
        return rule_error(n, d, "expected a result with the elements of %s, found %s", rule_type_text(n, x),
                          rule_type_text(n, type));
    return count_before_batch(type) == count_before_batch(x) ||
           rule_error(n, d, "expected the batch to keep its place in row-major order, found %s from %s",
                      rule_type_text(n, type), rule_type_text(n, x));
}

/* With as much before the batch as ever, memory order is the same. */
static void copy_whole(const eval_context *c, const eval_tensor *from, eval_tensor *to)
{
    copy_plan p = {.count = 1, .axis = {{ir_count(&to->type, c->batch), 1, 1}}};
    copy_run(&p, to->data, from->data, element_size(c->mode, to->type.dtype));
}

void eval_reshape(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)n;
    copy_whole(c, in[0], out);
}

/* ---- transpose, broadcast_in_dim ---- */

bool infer_transpose(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type;
    int64_t permutation[IR_MAX_RANK];
    int count;
    if (!rule_dims(n, "permutation", x->rank, permutation, &count, d))
        return false;
    if (count != x->rank)
        return rule_error(n, d, "'permutation' must have %d numbers, found %d", x->rank, count);
    *type = *x;
    for (int i = 0; i < x->rank; i++)
        type->dim[i] = x->dim[permutation[i]];
    return true;
}

void eval_transpose(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    int64_t permutation[IR_MAX_RANK];
    ir_ints(n, "permutation", permutation);
    loop_strides from = strides_of(&in[0]->type);
    copy_plan p = copy_all(&out->type, c->batch);
    p.axis[0].from = from.at[0];
    for (int i = 0; i < out->type.rank; i++)
        p.axis[1 + i].from = from.at[1 + permutation[i]];
    copy_run(&p, out->data, in[0]->data, element_size(c->mode, out->type.dtype));
}

bool infer_broadcast_in_dim(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type;
    int64_t dims[IR_MAX_RANK];
    int count;
    if (!rule_dims(n, "dims", type->rank, dims, &count, d))
        return false;
    if (count != x->rank)
        return rule_error(n, d, "'dims' must have %d numbers, found %d", x->rank, count);
    if (type->dtype != x->dtype)
        return rule_error(n, d, "expected a result of %s, found %s", ir_dtype_name(x->dtype),
                          ir_dtype_name(type->dtype));
    for (int i = 0; i < count; i++) {
        ir_dim from = x->dim[i], to = type->dim[dims[i]];
        bool single = from.n == 1 && !from.batch;
        if (!single && (from.n != to.n || from.batch != to.batch))
            return rule_error(n, d, "operand dimension %d must be 1 or %s, found %s", i, rule_dim_text(n, to),
                              rule_dim_text(n, from));
    }
    return true;
}

void eval_broadcast_in_dim(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    const ir_type *x = &in[0]->type;
    int64_t dims[IR_MAX_RANK];
    ir_ints(n, "dims", dims);
    loop_strides from = strides_of(x);
    copy_plan p = copy_all(&out->type, c->batch);
    p.axis[0].from = from.at[0];
    for (int i = 0; i < x->rank; i++)
        if (x->dim[i].n != 1)
            p.axis[1 + dims[i]].from = from.at[1 + i];
    copy_run(&p, out->data, in[0]->data, element_size(c->mode, out->type.dtype));
}

/* ---- slice, pad, concatenate, reverse ---- */

bool infer_slice(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type;
    int64_t start[IR_MAX_RANK], limit[IR_MAX_RANK], stride[IR_MAX_RANK];
    if (!rule_ints(n, "start", x->rank, start, d) || !rule_ints(n, "limit", x->rank, limit, d) ||
        !rule_ints(n, "stride", x->rank, stride, d))
        return false;
    *type = *x;
    for (int i = 0; i < x->rank; i++) {
        int64_t size = x->dim[i].n;
        if (x->dim[i].batch && (start[i] != 0 || limit[i] != size || stride[i] != 1))
            return rule_error(n, d,
                              "the batch, dimension %d, cannot be cut: expected 0 to %" PRId64 " by 1, found %" PRId64
                              " to %" PRId64 " by %" PRId64,
                              i, size, start[i], limit[i], stride[i]);
        if (start[i] < 0 || start[i] >= limit[i] || limit[i] > size)
            return rule_error(n, d,
                              "expected 0 <= start < limit <= %" PRId64 " in dimension %d, found start %" PRId64
                              " and limit %" PRId64,
                              size, i, start[i], limit[i]);
        if (stride[i] < 1)
            return rule_error(n, d, "expected a stride of at least 1 in dimension %d, found %" PRId64, i, stride[i]);
        type->dim[i].n = (limit[i] - start[i] + stride[i] - 1) / stride[i];
    }
    return true;
}

void eval_slice(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    int64_t start[IR_MAX_RANK], stride[IR_MAX_RANK];
    ir_ints(n, "start", start);
    ir_ints(n, "stride", stride);
    loop_strides from = strides_of(&in[0]->type);
    copy_plan p = copy_all(&out->type, c->batch);
    p.axis[0].from = from.at[0];
    for (int i = 0; i < out->type.rank; i++) {
        p.axis[1 + i].from = from.at[1 + i] * stride[i];
        p.from += from.at[1 + i] * start[i];
    }
    copy_run(&p, out->data, in[0]->data, element_size(c->mode, out->type.dtype));
}

bool infer_pad(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type, *value = &n->in[1]->type;
    int64_t low[IR_MAX_RANK], high[IR_MAX_RANK], interior[IR_MAX_RANK];
    if (value->rank != 0 || value->dtype != x->dtype)
        return rule_error(n, d, "the filling must be %s[], found %s", ir_dtype_name(x->dtype),
                          rule_type_text(n, value));
    if (!rule_ints(n, "low", x->rank, low, d) || !rule_ints(n, "high", x->rank, high, d) ||
        !rule_ints(n, "interior", x->rank, interior, d))
        return false;
    *type = *x;
    for (int i = 0; i < x->rank; i++) {
        if (x->dim[i].batch && (low[i] || high[i] || interior[i]))
            return rule_error(n, d,
                              "the batch, dimension %d, cannot be padded: expected 0, 0 and 0, found %" PRId64
                              ", %" PRId64 " and %" PRId64,
                              i, low[i], high[i], interior[i]);
        if (interior[i] < 0)
            return rule_error(n, d, "expected an interior of at least 0 in dimension %d, found %" PRId64, i,
                              interior[i]);
        int64_t size = x->dim[i].n + (x->dim[i].n - 1) * interior[i] + low[i] + high[i];
        if (size < 1)
            return rule_error(n, d, "expected something left of dimension %d, found a size of %" PRId64, i, size);
        type->dim[i].n = size;
    }
    return true;
}

void eval_pad(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    const ir_type *x = &in[0]->type;
    int64_t low[IR_MAX_RANK], interior[IR_MAX_RANK], size = element_size(c->mode, out->type.dtype);
    ir_ints(n, "low", low);
    ir_ints(n, "interior", interior);
    copy_plan fill = {.count = 1, .axis = {{ir_count(&out->type, c->batch), 1, 0}}};
    copy_run(&fill, out->data, in[1]->data, size);
    loop_strides from = strides_of(x);
    copy_plan p = copy_all(&out->type, c->batch);
    p.axis[0].from = from.at[0];
    for (int i = 0; i < x->rank; i++) {
        /* Operand elements first..last land inside the result; negative edges leave out the others. */
        int64_t step = interior[i] + 1, extent = out->type.dim[i].n;
        int64_t first = low[i] < 0 ? (-low[i] + step - 1) / step : 0;
        int64_t last = extent - 1 < low[i] ? -1 : (extent - 1 - low[i]) / step;
        if (last > x->dim[i].n - 1)
            last = x->dim[i].n - 1;
        if (first > last)
            return;
        p.to += (low[i] + first * step) * p.axis[1 + i].to;
        p.from += first * from.at[1 + i];
        p.axis[1 + i] = (copy_axis){last - first + 1, p.axis[1 + i].to * step, from.at[1 + i]};
    }
    copy_run(&p, out->data, in[0]->data, size);
}

bool infer_concatenate(const ir_node *n, ir_type *type, diag *d)
{
    int64_t dim;
    if (n->nin < 1)
        return rule_error(n, d, "expected at least 1 operand, found none");
    *type = n->in[0]->type;
    if (!rule_ints(n, "dim", 1, &dim, d))
        return false;
    if (dim < 0 || dim >= type->rank)
        return rule_error(n, d, "'dim' must name a dimension of %s, found %" PRId64, rule_type_text(n, type), dim);
    if (type->dim[dim].batch)
        return rule_error(n, d, "expected a dimension without the batch, found %s as dimension %" PRId64,
                          rule_dim_text(n, type->dim[dim]), dim);
    for (int i = 1; i < n->nin; i++) {
        ir_type same = n->in[i]->type;
        if (same.rank == type->rank && !same.dim[dim].batch)
            same.dim[dim].n = type->dim[dim].n;
        if (!ir_type_equal(&same, type))
            return rule_error(n, d, "operand %d must be like %s but for dimension %" PRId64 ", found %s", i,
                              rule_type_text(n, &n->in[0]->type), dim, rule_type_text(n, &n->in[i]->type));
        type->dim[dim].n += n->in[i]->type.dim[dim].n;
    }
    return true;
}

void eval_concatenate(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    int dim = (int)ir_int(n, "dim", 0);
    int64_t start = 0;
    for (int k = 0; k < n->nin; k++) {
        const ir_type *x = &in[k]->type;
        loop_strides from = strides_of(x);
        copy_plan p = copy_all(&out->type, c->batch);
        for (int i = 0; i <= x->rank; i++)
            p.axis[i].from = from.at[i];
        p.axis[1 + dim].extent = x->dim[dim].n;
        p.to = start * p.axis[1 + dim].to;
        copy_run(&p, out->data, in[k]->data, element_size(c->mode, out->type.dtype));
        start += x->dim[dim].n;
    }
}

bool infer_reverse(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type;
    int64_t dims[IR_MAX_RANK];
    int count;
    if (!rule_dims(n, "dims", x->rank, dims, &count, d))
        return false;
    for (int i = 0; i < count; i++)
        if (x->dim[dims[i]].batch)
            return rule_error(n, d, "expected dimensions without the batch, found %s as dimension %" PRId64,
                              rule_dim_text(n, x->dim[dims[i]]), dims[i]);
    *type = *x;
    return true;
}

void eval_reverse(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims);
    loop_strides from = strides_of(&in[0]->type);
    copy_plan p = copy_all(&out->type, c->batch);
    for (int i = 0; i < p.count; i++)
        p.axis[i].from = from.at[i];
    for (int i = 0; i < count; i++) {
        copy_axis *a = &p.axis[1 + dims[i]];
        p.from += (a->extent - 1) * a->from;
        a->from = -a->from;
    }
    copy_run(&p, out->data, in[0]->data, element_size(c->mode, out->type.dtype));
}

/* ---- batch_size, stop_gradient ---- */

bool infer_batch_size(const ir_node *n, ir_type *type, diag *d)
{
    return rule_scalar(n, type, IR_I64, d);
}

void eval_batch_size(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)n, (void)in;
    *(int64_t *)out->data = c->batch;
}

bool infer_stop_gradient(const ir_node *n, ir_type *type, diag *d)
{
    (void)d;
    *type = n->in[0]->type;
    return true;
}

void eval_stop_gradient(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)n;
    copy_whole(c, in[0], out);
}
