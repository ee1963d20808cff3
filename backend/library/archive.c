/* backend/library/archive.c - the ar format, for one object.
 *
 *     "!<arch>\n", then members: a header of 60 characters, the bytes, a newline if their number is odd
 *     member "/": how many symbols, the file offset of each one's member (4 bytes each, big-endian), the names
 *
 * Dates, owners and modes are fixed, so equal objects give equal archives. */
#include "backend/library/link.h"
#include <stdint.h>
#include <string.h>

enum { MAGIC_SIZE = 8, HEADER_SIZE = 60 };

static void add_header(text *out, const char *name, size_t size)
{
    text_printf(out, "%-16s%-12d%-6d%-6d%-8s%-10zu`\n", name, 0, 0, 0, "644", size);
}

static void add_big_endian(text *out, uint32_t x)
{
    const char bytes[] = {(char)(x >> 24), (char)(x >> 16), (char)(x >> 8), (char)x};
    text_add_bytes(out, bytes, sizeof bytes);
}

static size_t padded(size_t size)
{
    return size + size % 2;
}

static void add_member(text *out, const char *name, const void *bytes, size_t size)
{
    add_header(out, name, size);
    text_add_bytes(out, bytes, size);
    if (size % 2)
        text_add(out, "\n");
}

void be_archive(const void *object, size_t size, const char *const *names, text *out)
{
    uint32_t count = 0;
    size_t index_size = 4;
    for (const char *const *n = names; *n; n++, count++)
        index_size += 4 + strlen(*n) + 1;
    text index = {0};
    uint32_t member = (uint32_t)(MAGIC_SIZE + HEADER_SIZE + padded(index_size));
    add_big_endian(&index, count);
    for (uint32_t i = 0; i < count; i++)
        add_big_endian(&index, member);
    for (const char *const *n = names; *n; n++)
        text_add_bytes(&index, *n, strlen(*n) + 1);
    text_add(out, "!<arch>\n");
    add_member(out, "/", text_get(&index), index.length);
    add_member(out, "net.o/", object, size);
    text_free(&index);
}
