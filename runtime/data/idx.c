/* runtime/data/idx.c - read IDX files, plain or gzip.
 *
 *     0 0 TYPE RANK | dimensions, 4 bytes each, big-endian | elements, big-endian, row-major
 *
 * Memory for the elements is allocated only if a file of this size can hold so many, so that a broken header cannot ask
 * for all memory. */
#include "runtime/data/idx.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/stream.h"
#include <inttypes.h>

/* The type that the code of a file means. */
static bool find_type(int code, int32_t *type)
{
    static const struct {
        int code;
        int32_t type;
    } types[] = {{0x08, ARRAY_UI8}, {0x09, ARRAY_I8},  {0x0b, ARRAY_I16},
                 {0x0c, ARRAY_I32}, {0x0d, ARRAY_F32}, {0x0e, ARRAY_F64}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].code == code) {
            *type = types[i].type;
            return true;
        }
    return false;
}

static lamina_status read_dims(lamina_stream *s, lamina_array *x, lamina_error *e)
{
    const char *path = lamina_stream_path(s);
    unsigned char b[4 * LAMINA_MAX_RANK];
    size_t got;
    lamina_status status = lamina_stream_get(s, b, 4 * (size_t)x->rank, &got, e);
    if (status)
        return status;
    if (got < 4 * (size_t)x->rank)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: truncated: expected %d dimensions of 4 bytes, found %zu bytes",
                           path, x->rank, got);
    for (int32_t i = 0; i < x->rank; i++) {
        const unsigned char *d = b + 4 * i;
        x->dim[i] = (int64_t)d[0] << 24 | (int64_t)d[1] << 16 | (int64_t)d[2] << 8 | d[3];
    }
    return lamina_array_count(x, path, e);
}

static lamina_status read_header(lamina_stream *s, lamina_array *x, lamina_error *e)
{
    const char *path = lamina_stream_path(s);
    unsigned char b[4];
    size_t got;
    lamina_status status = lamina_stream_get(s, b, 4, &got, e);
    if (status)
        return status;
    if (got < 4)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: not an IDX file: expected a header of 4 bytes, found %zu", path,
                           got);
    x->rank = b[3];
    if (b[0] || b[1] || !find_type(b[2], &x->type))
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: not an IDX file: expected it to begin with 00 00 and a type 08, 09, 0b .. 0e, found "
                           "%02x %02x %02x",
                           path, b[0], b[1], b[2]);
    if (x->rank < 1 || x->rank > LAMINA_MAX_RANK)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: expected 1 .. %d dimensions, found %d", path, LAMINA_MAX_RANK,
                           x->rank);
    return read_dims(s, x, e);
}

lamina_status lamina_idx_read(const char *path, lamina_array *out, lamina_error *e)
{
    lamina_stream *s;
    *out = (lamina_array){0};
    lamina_status status = lamina_stream_open(path, &s, e);
    if (!status)
        status = read_header(s, out, e);
    if (!status)
        status = lamina_array_read(s, 4 + 4 * (uint64_t)out->rank, out, e);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (!status)
        lamina_swap_bytes(out->data, out->count, lamina_array_type_bytes(out->type));
#endif
    lamina_stream_close(s);
    if (status)
        *out = (lamina_array){0};
    return status;
}
