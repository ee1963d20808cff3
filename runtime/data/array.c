/* runtime/data/array.c - the types of a file's elements, and the elements themselves from a stream. */
#include "runtime/data/array.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include <inttypes.h>
#include <sys/mman.h>

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [ARRAY_UI8] = {"ui8", 1}, [ARRAY_I8] = {"i8", 1},     [ARRAY_UI16] = {"ui16", 2},
    [ARRAY_I16] = {"i16", 2}, [ARRAY_UI32] = {"ui32", 4}, [ARRAY_I32] = {"i32", 4},
    [ARRAY_I64] = {"i64", 8}, [ARRAY_F32] = {"f32", 4},   [ARRAY_F64] = {"f64", 8},
};

const char *lamina_array_type_name(int32_t type)
{
    return types[type].name;
}

size_t lamina_array_type_bytes(int32_t type)
{
    return types[type].bytes;
}

lamina_status lamina_array_count(lamina_array *x, const char *path, lamina_error *e)
{
    x->count = 1;
    for (int32_t i = 0; i < x->rank; i++) {
        if (x->dim[i] < 1)
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: dimension %" PRId32 ": expected 1 or more, found %" PRId64,
                               path, i + 1, x->dim[i]);
        if (__builtin_mul_overflow(x->count, x->dim[i], &x->count))
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: the dimensions multiply to more than 2^63 elements", path);
    }
    return LAMINA_OK;
}

void lamina_swap_bytes(void *data, int64_t count, size_t size)
{
    for (int64_t i = 0; size > 1 && i < count; i++) {
        if (size == 2)
            ((uint16_t *)data)[i] = __builtin_bswap16(((uint16_t *)data)[i]);
        else if (size == 4)
            ((uint32_t *)data)[i] = __builtin_bswap32(((uint32_t *)data)[i]);
        else
            ((uint64_t *)data)[i] = __builtin_bswap64(((uint64_t *)data)[i]);
    }
}

static lamina_status fail_truncated(const lamina_stream *s, const lamina_array *x, uint64_t expected, const char *bound,
                                    uint64_t found, lamina_error *e)
{
    return lamina_fail(e, LAMINA_BAD_FILE,
                       "%s: truncated: %" PRId64 " records of %s need %" PRIu64 " bytes of data, found %s%" PRIu64,
                       lamina_stream_path(s), x->dim[0], types[x->type].name, expected, bound, found);
}

void lamina_array_release(lamina_array *x)
{
    if (x->map)
        munmap(x->map, x->map_bytes);
    else
        lamina_release(x->data);
    x->data = x->map = NULL;
}

/* Is a plain file of just this size mapped instead of read? */
static bool map(lamina_stream *s, uint64_t header, uint64_t bytes, uint64_t most, lamina_array *x)
{
    if (bytes < ARRAY_MAPS_FROM || bytes != most || header % types[x->type].bytes)
        return false;
    x->map = lamina_stream_map(s, &x->map_bytes);
    x->data = x->map ? (char *)x->map + header : NULL;
    return x->map;
}

lamina_status lamina_array_read(lamina_stream *s, uint64_t header, lamina_array *x, lamina_error *e)
{
    bool packed;
    size_t got;
    uint64_t bytes, most = lamina_stream_most(s, &packed);
    if (__builtin_mul_overflow((uint64_t)x->count, types[x->type].bytes, &bytes))
        bytes = UINT64_MAX;
    most = most > header ? most - header : 0;
    if (bytes > most)
        return fail_truncated(s, x, bytes, packed ? "at most " : "", most, e);
    if (!packed && map(s, header, bytes, most, x))
        return LAMINA_OK;
    x->data = lamina_allocate(1, bytes);
    if (!x->data)
        return lamina_fail_memory(e, lamina_stream_path(s), bytes);
    lamina_status status = lamina_stream_get(s, x->data, bytes, &got, e);
    if (!status)
        status = got < bytes ? fail_truncated(s, x, bytes, "", got, e) : lamina_stream_end(s, bytes, e);
    if (status) {
        lamina_release(x->data);
        x->data = NULL;
    }
    return status;
}
