/* runtime/data/zip.c - the directory of a zip file (PKWARE's APPNOTE.TXT, sections 4.3 and 4.4).
 *
 *     (local header | data)* | a directory entry for each | end record | comment
 *
 * It is read from the end: end record, directory, and of the member that is wanted the local header, behind which its
 * data lie. Every length is held against the file's. */
#include "runtime/data/zip.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { END = 22, ENTRY = 46, LOCAL = 30, MOST_COMMENT = 65535, MOST_DIRECTORY = 1 << 24, ENCRYPTED = 1 };

typedef struct {
    const char *name;
    int fd;
    uint64_t bytes;
    unsigned char *directory;
    uint32_t directory_bytes;
} zip;

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static lamina_status refuse(const zip *z, const char *what, lamina_error *e)
{
    return lamina_fail(e, LAMINA_BAD_FILE, "%s: not a zip file that can be read: expected %s", z->name, what);
}

static lamina_status read_at(const zip *z, uint64_t at, void *dst, size_t bytes, lamina_error *e)
{
    for (size_t got = 0; got < bytes;) {
        ssize_t n = pread(z->fd, (char *)dst + got, bytes - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return lamina_fail(e, LAMINA_IO, "%s: cannot read: %s", z->name, strerror(errno));
        if (n == 0)
            return refuse(z, "its parts to lie within it", e);
        got += (size_t)n;
    }
    return LAMINA_OK;
}

/* The directory into z->directory. */
static lamina_status read_directory(zip *z, lamina_error *e)
{
    unsigned char *tail = lamina_allocate(1, END + MOST_COMMENT);
    uint64_t bytes = z->bytes < END + MOST_COMMENT ? z->bytes : END + MOST_COMMENT;
    if (!tail)
        return lamina_fail_memory(e, z->name, END + MOST_COMMENT);
    lamina_status s = read_at(z, z->bytes - bytes, tail, bytes, e);
    int64_t at = (int64_t)bytes - END;
    while (!s && at >= 0 && (u32(tail + at) != 0x06054b50 || u16(tail + at + 20) != bytes - (uint64_t)at - END))
        at--;
    if (!s && at < 0)
        s = refuse(z, "an end record", e);
    uint32_t begin = s ? 0 : u32(tail + at + 16);
    z->directory_bytes = s ? 0 : u32(tail + at + 12);
    lamina_release(tail);
    if (s)
        return s;
    if (begin == UINT32_MAX || z->directory_bytes > MOST_DIRECTORY)
        return refuse(z, "one of less than 4 GB and a directory of at most 16 MB", e);
    z->directory = lamina_allocate(1, z->directory_bytes);
    if (!z->directory)
        return lamina_fail_memory(e, z->name, z->directory_bytes);
    return read_at(z, begin, z->directory, z->directory_bytes, e);
}

/* The entry behind this one, or the first for NULL; NULL at the end, or where no whole entry is. */
static const unsigned char *next_entry(const zip *z, const unsigned char *entry)
{
    const unsigned char *end = z->directory + z->directory_bytes,
                        *p = entry ? entry + ENTRY + u16(entry + 28) + u16(entry + 30) + u16(entry + 32) : z->directory;
    if (end - p < ENTRY || u32(p) != 0x02014b50)
        return NULL;
    return (uint64_t)(end - p) >= (uint64_t)ENTRY + u16(p + 28) + u16(p + 30) + u16(p + 32) ? p : NULL;
}

static size_t key_length(const unsigned char *entry)
{
    size_t n = u16(entry + 28);
    return n >= 4 && !memcmp(entry + ENTRY + n - 4, ".npy", 4) ? n - 4 : n;
}

static bool is_key(const unsigned char *entry, const char *key)
{
    size_t n = strlen(key);
    return (key_length(entry) == n || u16(entry + 28) == n) && !memcmp(entry + ENTRY, key, n);
}

static const unsigned char *find_entry(const zip *z, const char *key, lamina_error *e)
{
    char known[256] = "";
    const unsigned char *found = NULL;
    size_t at = 0, count = 0;
    for (const unsigned char *p = next_entry(z, NULL); p; p = next_entry(z, p), count++) {
        if (key ? is_key(p, key) : !count)
            found = p;
        if (at < sizeof known)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%.*s", count ? ", " : "", (int)key_length(p),
                                   (const char *)p + ENTRY);
    }
    if (found && (key || count == 1))
        return found;
    lamina_fail(e, LAMINA_BAD_FILE, "%s: expected the key of one of its %zu arrays, found %s: %s", z->name, count,
                key ? "another" : "none", known);
    return NULL;
}

static lamina_status find_part(const zip *z, const char *key, lamina_stream_part *out, lamina_error *e)
{
    unsigned char local[LOCAL];
    const unsigned char *p = find_entry(z, key, e);
    if (!p)
        return LAMINA_BAD_FILE;
    uint32_t method = u16(p + 10), begin = u32(p + 42), bytes = u32(p + 24);
    *out = (lamina_stream_part){.packed_bytes = u32(p + 20), .crc = u32(p + 16), .deflated = method != 0};
    if (u16(p + 8) & ENCRYPTED || (method != 0 && method != 8))
        return refuse(z, "members that are stored or deflated, and not encrypted", e);
    if (begin == UINT32_MAX || out->packed_bytes == UINT32_MAX || bytes == UINT32_MAX)
        return refuse(z, "members of less than 4 GB", e);
    lamina_status s = read_at(z, begin, local, LOCAL, e);
    if (s)
        return s;
    out->begin = (uint64_t)begin + LOCAL + u16(local + 26) + u16(local + 28);
    if (u32(local) != 0x04034b50 || out->begin + out->packed_bytes > z->bytes ||
        (!out->deflated && bytes != out->packed_bytes))
        return refuse(z, "its parts to lie within it", e);
    return LAMINA_OK;
}

lamina_status lamina_zip_find(const char *path, const char *key, const char *name, lamina_stream_part *out,
                              lamina_error *e)
{
    zip z = {.name = name};
    lamina_status s = lamina_open_regular(path, &z.fd, &z.bytes, e);
    if (s)
        return s;
    s = read_directory(&z, e);
    if (!s)
        s = find_part(&z, key, out, e);
    lamina_release(z.directory);
    close(z.fd);
    return s;
}
