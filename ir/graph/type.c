/* ir/graph/type.c - element types, shapes, and where elements lie in memory. */
#include "ir/ir.h"
#include <inttypes.h>
#include <string.h>

static const struct {
    const char *name;
    int64_t size;
} dtypes[IR_NDTYPES] = {[IR_NONE] = {"none", 0}, [IR_F32] = {"f32", 4},   [IR_F64] = {"f64", 8}, [IR_I32] = {"i32", 4},
                        [IR_I64] = {"i64", 8},   [IR_UI32] = {"ui32", 4}, [IR_UI8] = {"ui8", 1}, [IR_I1] = {"i1", 1}};

const char *ir_dtype_name(ir_dtype t)
{
    return dtypes[t].name;
}

bool ir_dtype_parse(const char *name, ir_dtype *out)
{
    for (int t = IR_NONE + 1; t < IR_NDTYPES; t++)
        if (!strcmp(dtypes[t].name, name)) {
            *out = (ir_dtype)t;
            return true;
        }
    return false;
}

int64_t ir_dtype_size(ir_dtype t)
{
    return dtypes[t].size;
}

bool ir_dtype_is_float(ir_dtype t)
{
    return t == IR_F32 || t == IR_F64;
}

bool ir_dtype_is_signed(ir_dtype t)
{
    return ir_dtype_is_float(t) || t == IR_I32 || t == IR_I64;
}

ir_type ir_type_none(void)
{
    return (ir_type){.dtype = IR_NONE};
}

ir_type ir_type_scalar(ir_dtype t)
{
    return (ir_type){.dtype = t};
}

ir_type ir_type_make(ir_dtype t, int rank, const ir_dim *dims)
{
    if (rank < 0 || rank > IR_MAX_RANK)
        ir_bug("a type of rank %d", rank);
    ir_type type = {.dtype = t, .rank = rank};
    for (int i = 0; i < rank; i++)
        type.dim[i] = dims[i];
    return type;
}

bool ir_shape_equal(const ir_type *a, const ir_type *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i].n != b->dim[i].n || a->dim[i].batch != b->dim[i].batch)
            return false;
    return true;
}

bool ir_type_equal(const ir_type *a, const ir_type *b)
{
    return a->dtype == b->dtype && ir_shape_equal(a, b);
}

int ir_batch_dim(const ir_type *t)
{
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i].batch)
            return i;
    return -1;
}

int64_t ir_static_count(const ir_type *t)
{
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++)
        count *= t->dim[i].n;
    return count;
}

int64_t ir_extent(ir_dim d, int64_t batch)
{
    return d.batch ? d.n * batch : d.n;
}

int64_t ir_count(const ir_type *t, int64_t batch)
{
    return ir_static_count(t) * (ir_batch_dim(t) >= 0 ? batch : 1);
}

void ir_strides(const ir_type *t, int64_t stride[IR_MAX_RANK], int64_t *batch_stride)
{
    int64_t step = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= t->dim[i].n;
    }
    *batch_stride = step;
}

void ir_type_print(const ir_type *t, text *out)
{
    text_add(out, ir_dtype_name(t->dtype));
    text_add(out, "[");
    for (int i = 0; i < t->rank; i++) {
        text_add(out, i ? ", " : "");
        if (!t->dim[i].batch)
            text_printf(out, "%" PRId64, t->dim[i].n);
        else if (t->dim[i].n == 1)
            text_add(out, "B");
        else
            text_printf(out, "%" PRId64 "*B", t->dim[i].n);
    }
    text_add(out, "]");
}
