/* runtime/data/convert.c - convert the elements of a file to an input's type; a value that the type cannot hold is
 * an error. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include <inttypes.h>

static lamina_number read_number(int32_t type, const void *data, int64_t i)
{
    switch (type) {
    case ARRAY_UI8:
        return (lamina_number){.i = ((const uint8_t *)data)[i]};
    case ARRAY_I8:
        return (lamina_number){.i = ((const int8_t *)data)[i]};
    case ARRAY_UI16:
        return (lamina_number){.i = ((const uint16_t *)data)[i]};
    case ARRAY_I16:
        return (lamina_number){.i = ((const int16_t *)data)[i]};
    case ARRAY_UI32:
        return (lamina_number){.i = ((const uint32_t *)data)[i]};
    case ARRAY_I32:
        return (lamina_number){.i = ((const int32_t *)data)[i]};
    case ARRAY_I64:
        return (lamina_number){.i = ((const int64_t *)data)[i]};
    case ARRAY_F32:
        return (lamina_number){.real = true, .f = (double)((const float *)data)[i]};
    default:
        return (lamina_number){.real = true, .f = ((const double *)data)[i]};
    }
}

bool lamina_write_number(int32_t dtype, void *data, int64_t i, lamina_number v)
{
    switch (dtype) {
    case LAMINA_F32:
        ((float *)data)[i] = v.real ? (float)v.f : (float)v.i;
        return v.real || (v.i >= -(1 << 24) && v.i <= 1 << 24);
    case LAMINA_F64:
        ((double *)data)[i] = v.real ? v.f : (double)v.i;
        return v.real || (v.i >= -(INT64_C(1) << 53) && v.i <= INT64_C(1) << 53);
    case LAMINA_I32:
        ((int32_t *)data)[i] = (int32_t)v.i;
        return v.i >= INT32_MIN && v.i <= INT32_MAX;
    case LAMINA_I64:
        ((int64_t *)data)[i] = v.i;
        return true;
    case LAMINA_UI32:
        ((uint32_t *)data)[i] = (uint32_t)v.i;
        return v.i >= 0 && v.i <= UINT32_MAX;
    case LAMINA_UI8:
        ((uint8_t *)data)[i] = (uint8_t)v.i;
        return v.i >= 0 && v.i <= UINT8_MAX;
    default:
        ((uint8_t *)data)[i] = (uint8_t)v.i;
        return v.i == 0 || v.i == 1;
    }
}

static bool same_type(int32_t type, int32_t dtype)
{
    return (type == ARRAY_UI8 && dtype == LAMINA_UI8) || (type == ARRAY_UI32 && dtype == LAMINA_UI32) ||
           (type == ARRAY_I32 && dtype == LAMINA_I32) || (type == ARRAY_I64 && dtype == LAMINA_I64) ||
           (type == ARRAY_F32 && dtype == LAMINA_F32) || (type == ARRAY_F64 && dtype == LAMINA_F64);
}

bool lamina_is_real(int32_t dtype)
{
    return dtype == LAMINA_F32 || dtype == LAMINA_F64;
}

lamina_status lamina_convert(lamina_array *x, const lamina_tensor *t, const char *path, lamina_error *e)
{
    if (same_type(x->type, t->dtype))
        return LAMINA_OK;
    if (x->type >= ARRAY_F32 && !lamina_is_real(t->dtype))
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: input '%s': expected integers for %s, found %s", path, t->name,
                           lamina_dtype_name(t->dtype), lamina_array_type_name(x->type));
    size_t size = lamina_dtype_bytes(t->dtype);
    void *data = lamina_allocate((size_t)x->count, size);
    if (!data)
        return lamina_fail_memory(e, path, (size_t)x->count * size);
    for (int64_t i = 0; i < x->count; i++) {
        lamina_number v = read_number(x->type, x->data, i);
        if (!lamina_write_number(t->dtype, data, i, v)) {
            lamina_release(data);
            return lamina_fail(e, LAMINA_BAD_FILE,
                               "%s: input '%s': record %" PRId64 ": expected a value that %s holds, found %" PRId64,
                               path, t->name, i / (x->count / x->dim[0]), lamina_dtype_name(t->dtype), v.i);
        }
    }
    lamina_array_release(x);
    x->data = data;
    return LAMINA_OK;
}
