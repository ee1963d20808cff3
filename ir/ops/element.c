/* ir/ops/element.c - how the evaluator reads, rounds, writes and moves elements of tensors. */
#include "ir/ops/rules.h"
#include <math.h>
#include <string.h>

/* ---- one element or a block of them ---- */

int64_t element_size(eval_mode mode, ir_dtype t)
{
    return t == IR_F32 && mode == EVAL_F64 ? (int64_t)sizeof(double) : ir_dtype_size(t);
}

/* What a dtype is stored as. */
static ir_dtype stored_as(eval_mode mode, ir_dtype t)
{
    return t == IR_F32 && mode == EVAL_F64 ? IR_F64 : t;
}

#define LOAD(field, ctype)                                                                                             \
    for (int i = 0; i < count; i++)                                                                                    \
    out->field[i] = ((const ctype *)t->data)[first + i]

void elements_load(eval_mode mode, const eval_tensor *t, int64_t first, int count, elements *out)
{
    switch (stored_as(mode, t->type.dtype)) {
    case IR_F32:
        LOAD(real, float);
        break;
    case IR_F64:
        LOAD(real, double);
        break;
    case IR_I32:
        LOAD(whole, int32_t);
        break;
    case IR_I64:
        LOAD(whole, int64_t);
        break;
    case IR_UI32:
        LOAD(whole, uint32_t);
        break;
    default:
        LOAD(whole, uint8_t);
    }
}

#define STORE(field, ctype)                                                                                            \
    for (int i = 0; i < count; i++)                                                                                    \
    ((ctype *)t->data)[first + i] = (ctype)v->field[i]

void elements_store(eval_mode mode, eval_tensor *t, int64_t first, int count, const elements *v)
{
    switch (stored_as(mode, t->type.dtype)) {
    case IR_F32:
        STORE(real, float);
        break;
    case IR_F64:
        STORE(real, double);
        break;
    case IR_I32: /* through unsigned, whose conversion is defined for every value */
    case IR_UI32:
        STORE(whole, uint32_t);
        break;
    case IR_I64:
        STORE(whole, int64_t);
        break;
    case IR_I1:
        for (int i = 0; i < count; i++)
            ((uint8_t *)t->data)[first + i] = v->whole[i] & 1;
        break;
    default:
        STORE(whole, uint8_t);
    }
}

int64_t whole_from_real(double v, ir_dtype t)
{
    static const struct {
        double low, high; /* values from 'high' on do not fit */
        int64_t lowest, highest;
    } range[IR_NDTYPES] = {[IR_I32] = {-0x1p31, 0x1p31, INT32_MIN, INT32_MAX},
                           [IR_I64] = {-0x1p63, 0x1p63, INT64_MIN, INT64_MAX},
                           [IR_UI32] = {0, 0x1p32, 0, UINT32_MAX},
                           [IR_UI8] = {0, 0x1p8, 0, UINT8_MAX}};
    if (t == IR_I1)
        return v != 0;
    if (isnan(v))
        return 0;
    if (v <= range[t].low)
        return range[t].lowest;
    return v >= range[t].high ? range[t].highest : (int64_t)v;
}

double real_maximum(double a, double b)
{
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == b)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

/* ---- where elements lie ---- */

int axes_add(const ir_type *t, int dim, int64_t batch, axis *list, int count)
{
    int64_t stride[IR_MAX_RANK], batch_stride;
    ir_strides(t, stride, &batch_stride);
    if (t->dim[dim].batch)
        list[count++] = (axis){batch, batch_stride};
    list[count++] = (axis){t->dim[dim].n, stride[dim]};
    return count;
}

int64_t *axes_offsets(arena *mem, const axis *list, int count, int64_t *total)
{
    *total = 1;
    for (int i = 0; i < count; i++)
        *total *= list[i].extent;
    int64_t *offset = arena_new_array(mem, int64_t, (size_t)*total), filled = 1;
    /* Outermost first: what is there becomes the first step of each inner loop, so spread it out from the back. */
    for (int i = 0; i < count; i++) {
        for (int64_t k = filled * list[i].extent - 1; k >= 0; k--)
            offset[k] = offset[k / list[i].extent] + k % list[i].extent * list[i].stride;
        filled *= list[i].extent;
    }
    return offset;
}

copy_plan copy_all(const ir_type *to, int64_t batch)
{
    int64_t stride[IR_MAX_RANK], batch_stride;
    ir_strides(to, stride, &batch_stride);
    copy_plan p = {.count = 1 + to->rank};
    p.axis[0] = (copy_axis){ir_batch_dim(to) >= 0 ? batch : 1, batch_stride, 0};
    for (int i = 0; i < to->rank; i++)
        p.axis[1 + i] = (copy_axis){to->dim[i].n, stride[i], 0};
    return p;
}

/* A constant size makes each memcpy one move. */
#define COPY(size)                                                                                                     \
    for (int64_t i = 0; i < last->extent; i++)                                                                         \
    memcpy(to + (i * last->to) * (size), from + (i * last->from) * (size), size)

static void copy_row(const copy_axis *last, char *to, const char *from, int64_t size)
{
    if (size == 1)
        COPY(1);
    else if (size == 4)
        COPY(4);
    else
        COPY(8);
}

static void copy_axes(const copy_plan *p, int level, void *to, int64_t at_to, const void *from, int64_t at_from,
                      int64_t size)
{
    const copy_axis *a = &p->axis[level];
    if (level == p->count - 1)
        copy_row(a, (char *)to + at_to * size, (const char *)from + at_from * size, size);
    else
        for (int64_t i = 0; i < a->extent; i++)
            copy_axes(p, level + 1, to, at_to + i * a->to, from, at_from + i * a->from, size);
}

void copy_run(const copy_plan *p, void *to, const void *from, int64_t size)
{
    copy_axes(p, 0, to, p->to, from, p->from, size);
}
