/* ir/base/arena.h - memory that dies together.
 *
 * A graph, a pass or a parse owns one arena; nothing in it is freed singly. Memory is zeroed, sizes are checked for
 * overflow, and allocation never returns NULL: an exhausted compiler says so and exits with status 1. */
#ifndef IR_ARENA_H
#define IR_ARENA_H

#include <stddef.h>

typedef struct arena arena;

arena *arena_new(void);
void arena_free(arena *a); /* NULL is allowed */

/* 'count' objects of 'size' bytes, zeroed, aligned to 16 bytes. */
void *arena_array(arena *a, size_t count, size_t size);
#define arena_new_array(a, type, count) ((type *)arena_array((a), (count), sizeof(type)))
#define arena_make(a, type) ((type *)arena_array((a), 1, sizeof(type)))

/* 'list', of 'count' objects, with room for one more. It moves where the count is a power of two, its capacity then:
 * only for lists that grow by this alone. NULL is the empty list. */
void *arena_grown(arena *a, void *list, size_t count, size_t size);

char *arena_strdup(arena *a, const char *s);
char *arena_strndup(arena *a, const char *s, size_t n);
char *arena_printf(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
