/* ir/base/arena.c - blocks that double, chained so that they can be freed together. */
#include "ir/base/arena.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct block block;
struct block {
    block *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
};

struct arena {
    block *blocks;
};

static _Noreturn void out_of_memory(void)
{
    fputs("lamina: out of memory\n", stderr);
    exit(1);
}

arena *arena_new(void)
{
    arena *a = calloc(1, sizeof *a);
    if (!a)
        out_of_memory();
    return a;
}

void arena_free(arena *a)
{
    if (!a)
        return;
    for (block *b = a->blocks; b;) {
        block *next = b->next;
        free(b);
        b = next;
    }
    free(a);
}

static block *add_block(arena *a, size_t least)
{
    size_t size = a->blocks ? a->blocks->size * 2 : 4096;
    if (size > (size_t)1 << 20)
        size = (size_t)1 << 20;
    if (size < least)
        size = least;
    if (size > SIZE_MAX - sizeof(block))
        out_of_memory();
    block *b = calloc(1, sizeof(block) + size);
    if (!b)
        out_of_memory();
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *arena_array(arena *a, size_t count, size_t size)
{
    if (size && count > (SIZE_MAX - 15) / size)
        out_of_memory();
    size_t bytes = (count * size + 15) & ~(size_t)15;
    block *b = a->blocks;
    if (!b || b->size - b->used < bytes)
        b = add_block(a, bytes);
    void *p = b->bytes + b->used;
    b->used += bytes;
    return p;
}

void *arena_grown(arena *a, void *list, size_t count, size_t size)
{
    if (count & (count - 1))
        return list;
    if (count > SIZE_MAX / 2)
        out_of_memory();
    void *more = arena_array(a, count ? 2 * count : 1, size);
    if (count)
        memcpy(more, list, count * size);
    return more;
}

char *arena_strndup(arena *a, const char *s, size_t n)
{
    char *copy = arena_array(a, n + 1, 1);
    memcpy(copy, s, n);
    return copy;
}

char *arena_strdup(arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(arena *a, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *s = arena_array(a, (size_t)n + 1, 1);
    va_start(arguments, format);
    vsnprintf(s, (size_t)n + 1, format, arguments);
    va_end(arguments);
    return s;
}
