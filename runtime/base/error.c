/* runtime/base/error.c - write error texts, and the names of types and shapes that stand in them. */
#include "runtime/base/error.h"
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

lamina_status lamina_fail(lamina_error *e, lamina_status status, const char *format, ...)
{
    if (!e)
        return status;
    e->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    return status;
}

lamina_status lamina_need(lamina_error *e, const char *function, const char *names, ...)
{
    lamina_status s = LAMINA_OK;
    va_list args;
    va_start(args, names);
    for (const char *name = names; !s && *name;) {
        int length = (int)strcspn(name, " ");
        if (!va_arg(args, const void *))
            s = lamina_fail(e, LAMINA_BAD_ARG, "%s: argument '%.*s': expected a pointer, found NULL", function, length,
                            name);
        name += length;
        name += *name == ' ';
    }
    va_end(args);
    return s;
}

lamina_status lamina_fail_memory(lamina_error *e, const char *what, size_t bytes)
{
    return lamina_fail(e, LAMINA_NO_MEMORY, "out of memory: %s needs %zu bytes", what, bytes);
}

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [LAMINA_F32] = {"f32", 4},   [LAMINA_F64] = {"f64", 8}, [LAMINA_I32] = {"i32", 4}, [LAMINA_I64] = {"i64", 8},
    [LAMINA_UI32] = {"ui32", 4}, [LAMINA_UI8] = {"ui8", 1}, [LAMINA_I1] = {"i1", 1},
};

size_t lamina_dtype_bytes(int32_t dtype)
{
    return dtype >= LAMINA_F32 && dtype <= LAMINA_I1 ? dtypes[dtype].bytes : 0;
}

const char *lamina_dtype_name(int32_t dtype)
{
    return dtype >= LAMINA_F32 && dtype <= LAMINA_I1 ? dtypes[dtype].name : "unknown";
}

void lamina_shape_text(int32_t dtype, int32_t rank, const int64_t *dim, int32_t batch_dim, char *out, size_t size)
{
    size_t at = (size_t)snprintf(out, size, "%s[", lamina_dtype_name(dtype));
    const char *comma = "";
    for (int32_t i = 0; i < rank && at < size; i++) {
        if (i == batch_dim && dim[i] == 1)
            continue;
        at += (size_t)snprintf(out + at, size - at, "%s%" PRId64, comma, dim[i]);
        comma = ", ";
    }
    if (at < size)
        snprintf(out + at, size - at, "]");
}
