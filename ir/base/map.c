/* ir/base/map.c - see map.h. Open addressing; the table is a power of two and at most half full. */
#include "ir/base/map.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const void *key; /* NULL: free */
    void *value;
} slot;

struct ir_map {
    arena *mem;
    ir_map_keys keys;
    slot *slots;
    size_t size, count;
};

/* Fowler, Noll and Vo's hash (FNV-1a) of texts; of pointers a product whose high half has seen all bits. */
static size_t hash(const ir_map *m, const void *key)
{
    if (m->keys == IR_MAP_POINTERS)
        return (size_t)(((uint64_t)(uintptr_t)key * 0x9E3779B97F4A7C15u) >> 32);
    uint64_t h = 0xCBF29CE484222325u;
    for (const unsigned char *s = key; *s; s++)
        h = (h ^ *s) * 0x100000001B3u;
    return (size_t)(h ^ (h >> 32));
}

static bool equal(const ir_map *m, const void *a, const void *b)
{
    return a == b || (m->keys == IR_MAP_TEXTS && !strcmp(a, b));
}

/* The key's slot, or the free one where it belongs. */
static slot *find(const ir_map *m, const void *key)
{
    size_t k = hash(m, key) & (m->size - 1);
    while (m->slots[k].key && !equal(m, m->slots[k].key, key))
        k = (k + 1) & (m->size - 1);
    return &m->slots[k];
}

ir_map *ir_map_new(arena *mem, ir_map_keys keys)
{
    ir_map *m = arena_make(mem, ir_map);
    *m = (ir_map){.mem = mem, .keys = keys, .size = 16};
    m->slots = arena_new_array(mem, slot, m->size);
    return m;
}

void *ir_map_get(const ir_map *m, const void *key)
{
    return find(m, key)->value;
}

static void grow(ir_map *m)
{
    slot *old = m->slots;
    size_t size = m->size;
    m->size *= 2;
    m->slots = arena_new_array(m->mem, slot, m->size);
    for (size_t i = 0; i < size; i++)
        if (old[i].key)
            *find(m, old[i].key) = old[i];
}

void ir_map_set(ir_map *m, const void *key, void *value)
{
    if (2 * (m->count + 1) > m->size)
        grow(m);
    slot *at = find(m, key);
    m->count += !at->key;
    *at = (slot){key, value};
}
