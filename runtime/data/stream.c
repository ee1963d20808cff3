/* runtime/data/stream.c - a file, or a part of one, through a small buffer: plain or deflated. */
#include "runtime/data/stream.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

enum { MAX_INFLATION = 1032 }; /* the most that deflate can give for a byte */

struct lamina_stream {
    const char *path;
    int fd;
    uint64_t file_bytes, left; /* left: to be read */
    bool packed, ended;        /* ended: the gzip member is complete */
    lamina_stream_part part;   /* zero for whole files */
    bool is_part;
    uLong crc;  /* of a part's data so far */
    z_stream z; /* next_in and avail_in serve plain files too */
    unsigned char buffer[1 << 16];
};

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
static lamina_status fill(lamina_stream *s, lamina_error *e)
{
    if (s->z.avail_in > 0)
        return LAMINA_OK;
    ssize_t n;
    do
        n = read(s->fd, s->buffer, s->left < sizeof s->buffer ? s->left : sizeof s->buffer);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return lamina_fail(e, LAMINA_IO, "%s: cannot read: %s", s->path, strerror(errno));
    s->z.next_in = s->buffer;
    s->z.avail_in = (unsigned)n;
    s->left -= (uint64_t)n;
    return LAMINA_OK;
}

static const char *packing(const lamina_stream *s)
{
    return s->is_part ? "zip" : "gzip";
}

static lamina_status inflate_some(lamina_stream *s, unsigned char *dst, size_t want, size_t *got, lamina_error *e)
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
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: damaged %s data: %s", s->path, packing(s),
                           s->z.msg ? s->z.msg : "unexpected end");
    return LAMINA_OK;
}

/* A gzip file may be several members, one after the other, and zeros, as tapes and blocks are filled up with. */
static lamina_status next_member(lamina_stream *s, lamina_error *e)
{
    lamina_status status;
    if (s->is_part) { /* which is one */
        s->z.avail_in = 0;
        return LAMINA_OK;
    }
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

static lamina_status get(lamina_stream *s, void *dst, size_t want, size_t *got, lamina_error *e)
{
    *got = 0;
    while (*got < want) {
        lamina_status status = s->packed && s->ended ? next_member(s, e) : fill(s, e);
        if (status)
            return status;
        if (s->z.avail_in == 0 && s->packed && !s->ended)
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: truncated: the %s data end in the middle", s->path, packing(s));
        if (s->z.avail_in == 0)
            return LAMINA_OK;
        size_t n = want - *got;
        if (s->packed) {
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

lamina_status lamina_stream_get(lamina_stream *s, void *dst, size_t want, size_t *got, lamina_error *e)
{
    lamina_status status = get(s, dst, want, got, e);
    if (s->is_part)
        s->crc = crc32_z(s->crc, dst, *got);
    return status;
}

/* window: of the largest size, and what is around the data, as inflateInit2 has it. */
static lamina_status start_inflating(lamina_stream *s, int window, lamina_error *e)
{
    s->z.zalloc = z_allocate;
    s->z.zfree = z_release;
    if (inflateInit2(&s->z, window) != Z_OK)
        return lamina_fail(e, LAMINA_NO_MEMORY, "%s: out of memory while inflating", s->path);
    s->packed = true;
    return LAMINA_OK;
}

static lamina_status start(lamina_stream *s, lamina_error *e)
{
    lamina_status status = lamina_open_regular(s->path, &s->fd, &s->file_bytes, e);
    s->left = UINT64_MAX;
    if (!status)
        status = fill(s, e);
    if (status || s->z.avail_in < 2 || s->buffer[0] != 0x1f || s->buffer[1] != 0x8b)
        return status;
    return start_inflating(s, 15 + 16, e); /* a gzip header */
}

static lamina_status start_part(lamina_stream *s, const char *path, const lamina_stream_part *part, lamina_error *e)
{
    lamina_status status = lamina_open_regular(path, &s->fd, &s->file_bytes, e);
    if (status)
        return status;
    s->is_part = true;
    s->part = *part;
    s->left = part->packed_bytes;
    s->crc = crc32(0, NULL, 0);
    if (lseek(s->fd, (off_t)part->begin, SEEK_SET) < 0)
        return lamina_fail(e, LAMINA_IO, "%s: cannot read: %s", s->path, strerror(errno));
    return part->deflated ? start_inflating(s, -15, e) : LAMINA_OK; /* no header */
}

void lamina_stream_close(lamina_stream *s)
{
    if (!s)
        return;
    if (s->packed)
        inflateEnd(&s->z);
    if (s->fd >= 0)
        close(s->fd);
    lamina_release(s);
}

lamina_status lamina_stream_open(const char *path, lamina_stream **out, lamina_error *e)
{
    lamina_stream *s = *out = lamina_allocate(1, sizeof *s);
    if (!s)
        return lamina_fail_memory(e, path, sizeof *s);
    s->path = path;
    lamina_status status = start(s, e);
    if (status) {
        lamina_stream_close(s);
        *out = NULL;
    }
    return status;
}

lamina_status lamina_stream_open_part(const char *path, const char *name, const lamina_stream_part *part,
                                      lamina_stream **out, lamina_error *e)
{
    lamina_stream *s = *out = lamina_allocate(1, sizeof *s);
    if (!s)
        return lamina_fail_memory(e, name, sizeof *s);
    s->path = name;
    lamina_status status = start_part(s, path, part, e);
    if (status) {
        lamina_stream_close(s);
        *out = NULL;
    }
    return status;
}

const char *lamina_stream_path(const lamina_stream *s)
{
    return s->path;
}

lamina_status lamina_stream_end(lamina_stream *s, uint64_t bytes, lamina_error *e)
{
    unsigned char more;
    size_t got;
    lamina_status status = lamina_stream_get(s, &more, 1, &got, e);
    if (!status && got > 0)
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: expected the file to end after %" PRIu64 " bytes of data, found more", s->path, bytes);
    if (!status && s->is_part && s->crc != s->part.crc)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: damaged zip data: expected the checksum %08x, found %08lx", s->path,
                           s->part.crc, s->crc);
    return status;
}

uint64_t lamina_stream_most(const lamina_stream *s, bool *packed)
{
    uint64_t bytes = s->is_part ? s->part.packed_bytes : s->file_bytes, most = bytes;
    *packed = s->packed;
    if (s->packed && __builtin_mul_overflow(bytes, (uint64_t)MAX_INFLATION, &most))
        most = UINT64_MAX;
    return most;
}

void *lamina_stream_map(const lamina_stream *s, size_t *bytes)
{
    if (s->is_part)
        return NULL;
    *bytes = s->file_bytes;
    void *at = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, s->fd, 0);
    return at == MAP_FAILED ? NULL : at;
}
