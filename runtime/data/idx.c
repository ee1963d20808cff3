/* runtime/data/idx.c - read IDX files, plain or gzip.
 *
 *     0 0 TYPE RANK | dimensions, 4 bytes each, big-endian | elements, big-endian, row-major
 *
 * The file is read through a small buffer, and inflated on the way if it begins as a gzip file does. Memory for the
 * elements is allocated only if a file of this size can hold so many, so that a broken header cannot ask for all
 * memory. */
#include "runtime/data/idx.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { MAX_INFLATION = 1032 }; /* the most that deflate can give for a byte */

typedef struct {
    const char *path;
    int fd;
    uint64_t file_bytes;
    bool gzip, ended; /* ended: the gzip member is complete */
    z_stream z;       /* next_in and avail_in serve plain files too */
    unsigned char buffer[1 << 16];
} stream;

/* ---- types ---- */

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [IDX_UI8] = {"ui8", 1}, [IDX_I8] = {"i8", 1},   [IDX_I16] = {"i16", 2},
    [IDX_I32] = {"i32", 4}, [IDX_F32] = {"f32", 4}, [IDX_F64] = {"f64", 8},
};

const char *lamina_idx_type_name(int32_t type)
{
    return lamina_idx_type_bytes(type) ? types[type].name : "unknown";
}

size_t lamina_idx_type_bytes(int32_t type)
{
    return type >= IDX_UI8 && type <= IDX_F64 ? types[type].bytes : 0;
}

/* ---- stream ---- */

static void *z_allocate(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return lamina_allocate(count, size);
}

static void z_release(void *opaque, void *p)
{
    (void)opaque;
    lamina_release(p);
}

/* Refill an empty buffer; at the end of the file it stays empty. */
static lamina_status fill(stream *s, lamina_error *e)
{
    if (s->z.avail_in > 0)
        return LAMINA_OK;
    ssize_t n;
    do
        n = read(s->fd, s->buffer, sizeof s->buffer);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return lamina_fail(e, LAMINA_IO, "%s: cannot read: %s", s->path, strerror(errno));
    s->z.next_in = s->buffer;
    s->z.avail_in = (unsigned)n;
    return LAMINA_OK;
}

static lamina_status inflate_some(stream *s, unsigned char *dst, size_t want, size_t *got, lamina_error *e)
{
    s->z.next_out = dst;
    s->z.avail_out = want < 1u << 30 ? (unsigned)want : 1u << 30;
    int result = inflate(&s->z, Z_NO_FLUSH);
    *got = (size_t)(s->z.next_out - dst);
    if (result == Z_STREAM_END)
        s->ended = true;
    else if (result == Z_MEM_ERROR)
        return lamina_fail(e, LAMINA_NO_MEMORY, "%s: out of memory while inflating", s->path);
    else if (result != Z_OK && result != Z_BUF_ERROR)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: damaged gzip data: %s", s->path,
                           s->z.msg ? s->z.msg : "unexpected end");
    return LAMINA_OK;
}

/* A gzip file may be several members, one after the other, and zeros, as tapes and blocks are filled up with. */
static lamina_status next_member(stream *s, lamina_error *e)
{
    lamina_status status;
    while (!(status = fill(s, e)) && s->z.avail_in > 0 && *s->z.next_in == 0) {
        s->z.next_in++;
        s->z.avail_in--;
    }
    if (!status && s->z.avail_in > 0) {
        s->ended = false;
        inflateReset(&s->z);
    }
    return status;
}

/* Read up to `want` bytes; fewer only at the end. */
static lamina_status get(stream *s, void *dst, size_t want, size_t *got, lamina_error *e)
{
    *got = 0;
    while (*got < want) {
        lamina_status status = s->gzip && s->ended ? next_member(s, e) : fill(s, e);
        if (status)
            return status;
        if (s->z.avail_in == 0 && s->gzip && !s->ended)
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: truncated: the gzip data end in the middle", s->path);
        if (s->z.avail_in == 0)
            return LAMINA_OK;
        size_t n = want - *got;
        if (s->gzip) {
            if ((status = inflate_some(s, (unsigned char *)dst + *got, n, &n, e)))
                return status;
        } else {
            n = n < s->z.avail_in ? n : s->z.avail_in;
            memcpy((unsigned char *)dst + *got, s->z.next_in, n);
            s->z.next_in += n;
            s->z.avail_in -= (unsigned)n;
        }
        *got += n;
    }
    return LAMINA_OK;
}

static lamina_status open_stream(stream *s, lamina_error *e)
{
    lamina_status status = lamina_open_regular(s->path, &s->fd, &s->file_bytes, e);
    if (!status)
        status = fill(s, e);
    if (status || s->z.avail_in < 2 || s->buffer[0] != 0x1f || s->buffer[1] != 0x8b)
        return status;
    s->z.zalloc = z_allocate;
    s->z.zfree = z_release;
    if (inflateInit2(&s->z, 15 + 16) != Z_OK) /* the largest window; a gzip header */
        return lamina_fail(e, LAMINA_NO_MEMORY, "%s: out of memory while inflating", s->path);
    s->gzip = true;
    return LAMINA_OK;
}

static void close_stream(stream *s)
{
    if (s->gzip)
        inflateEnd(&s->z);
    if (s->fd >= 0)
        close(s->fd);
}

/* ---- file ---- */

static lamina_status read_header(stream *s, lamina_idx *x, lamina_error *e)
{
    unsigned char b[4 * LAMINA_MAX_RANK];
    size_t got;
    lamina_status status = get(s, b, 4, &got, e);
    if (status)
        return status;
    if (got < 4)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: not an IDX file: expected a header of 4 bytes, found %zu", s->path,
                           got);
    x->type = b[2];
    x->rank = b[3];
    if (b[0] || b[1] || !lamina_idx_type_bytes(x->type))
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: not an IDX file: expected it to begin with 00 00 and a type 08, 09, 0b .. 0e, found "
                           "%02x %02x %02x",
                           s->path, b[0], b[1], b[2]);
    if (x->rank < 1 || x->rank > LAMINA_MAX_RANK)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: expected 1 .. %d dimensions, found %d", s->path, LAMINA_MAX_RANK,
                           x->rank);
    if ((status = get(s, b, 4 * (size_t)x->rank, &got, e)))
        return status;
    if (got < 4 * (size_t)x->rank)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: truncated: expected %d dimensions of 4 bytes, found %zu bytes",
                           s->path, x->rank, got);
    x->count = 1;
    for (int32_t i = 0; i < x->rank; i++) {
        const unsigned char *d = b + 4 * i;
        x->dim[i] = (int64_t)d[0] << 24 | (int64_t)d[1] << 16 | (int64_t)d[2] << 8 | d[3];
        if (x->dim[i] == 0)
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: dimension %" PRId32 ": expected 1 or more, found 0", s->path,
                               i + 1);
        if (__builtin_mul_overflow(x->count, x->dim[i], &x->count))
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: the dimensions multiply to more than 2^63 elements", s->path);
    }
    return LAMINA_OK;
}

static void swap_bytes(void *data, int64_t count, size_t size)
{
    for (int64_t i = 0; i < count; i++) {
        if (size == 2)
            ((uint16_t *)data)[i] = __builtin_bswap16(((uint16_t *)data)[i]);
        else if (size == 4)
            ((uint32_t *)data)[i] = __builtin_bswap32(((uint32_t *)data)[i]);
        else
            ((uint64_t *)data)[i] = __builtin_bswap64(((uint64_t *)data)[i]);
    }
}

static lamina_status fail_truncated(const stream *s, const lamina_idx *x, uint64_t expected, const char *bound,
                                    uint64_t found, lamina_error *e)
{
    return lamina_fail(e, LAMINA_BAD_FILE,
                       "%s: truncated: %" PRId64 " records of %s need %" PRIu64 " bytes of data, found %s%" PRIu64,
                       s->path, x->dim[0], lamina_idx_type_name(x->type), expected, bound, found);
}

static lamina_status read_data(stream *s, lamina_idx *x, lamina_error *e)
{
    size_t size = lamina_idx_type_bytes(x->type), got;
    uint64_t header = 4 + 4 * (uint64_t)x->rank, bytes, most = s->file_bytes;
    if (__builtin_mul_overflow((uint64_t)x->count, size, &bytes))
        bytes = UINT64_MAX;
    if (s->gzip && __builtin_mul_overflow(s->file_bytes, (uint64_t)MAX_INFLATION, &most))
        most = UINT64_MAX;
    most = most > header ? most - header : 0;
    if (bytes > most)
        return fail_truncated(s, x, bytes, s->gzip ? "at most " : "", most, e);
    x->data = lamina_allocate(1, bytes);
    if (!x->data)
        return lamina_fail_memory(e, s->path, bytes);
    lamina_status status = get(s, x->data, bytes, &got, e);
    if (status)
        return status;
    if (got < bytes)
        return fail_truncated(s, x, bytes, "", got, e);
    unsigned char more;
    if ((status = get(s, &more, 1, &got, e)))
        return status;
    if (got > 0)
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: expected the file to end after %" PRIu64 " bytes of data, found more", s->path, bytes);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (size > 1)
        swap_bytes(x->data, x->count, size);
#endif
    return LAMINA_OK;
}

lamina_status lamina_idx_read(const char *path, lamina_idx *out, lamina_error *e)
{
    *out = (lamina_idx){0};
    stream *s = lamina_allocate(1, sizeof *s);
    if (!s)
        return lamina_fail_memory(e, path, sizeof *s);
    s->path = path;
    lamina_status status = open_stream(s, e);
    if (!status)
        status = read_header(s, out, e);
    if (!status)
        status = read_data(s, out, e);
    close_stream(s);
    lamina_release(s);
    if (status) {
        lamina_release(out->data);
        *out = (lamina_idx){0};
    }
    return status;
}
