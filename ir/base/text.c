/* ir/base/text.c - a string that grows. */
#include "ir/base/text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(text *t, size_t more)
{
    if (t->bytes && t->capacity - t->length > more)
        return;
    size_t capacity = t->capacity ? t->capacity : 64;
    while (capacity - t->length <= more)
        capacity *= 2;
    char *bytes = realloc(t->bytes, capacity);
    if (!bytes) {
        fputs("lamina: out of memory\n", stderr);
        exit(1);
    }
    t->bytes = bytes;
    t->capacity = capacity;
}

void text_add_bytes(text *t, const char *s, size_t n)
{
    reserve(t, n);
    memcpy(t->bytes + t->length, s, n);
    t->length += n;
    t->bytes[t->length] = 0;
}

void text_add(text *t, const char *s)
{
    text_add_bytes(t, s, strlen(s));
}

void text_vprintf(text *t, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    reserve(t, 1);
    size_t room = t->capacity - t->length;
    int n = vsnprintf(t->bytes + t->length, room, format, arguments);
    if ((size_t)n >= room) {
        reserve(t, (size_t)n + 1);
        vsnprintf(t->bytes + t->length, (size_t)n + 1, format, again);
    }
    va_end(again);
    t->length += (size_t)n;
}

void text_printf(text *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(t, format, arguments);
    va_end(arguments);
}

const char *text_get(const text *t)
{
    return t->bytes ? t->bytes : "";
}

void text_free(text *t)
{
    free(t->bytes);
    *t = (text){0};
}

bool text_read_file(text *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    char buffer[16384];
    size_t n, start = t->length;
    while (t->length - start <= TEXT_MOST_READ && (n = fread(buffer, 1, sizeof buffer, f)) > 0)
        text_add_bytes(t, buffer, n);
    bool fits = t->length - start <= TEXT_MOST_READ, ok = fits && !ferror(f);
    fclose(f);
    if (!fits)
        errno = EFBIG;
    return ok;
}
