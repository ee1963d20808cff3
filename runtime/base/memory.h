/* runtime/base/memory.h - the one place where the runtime allocates, so that a test can make any allocation fail. */
#ifndef RUNTIME_MEMORY_H
#define RUNTIME_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* count * size zeroed bytes aligned to 64, or NULL: none left, or the product overflows. A pointer for 0 bytes too. */
void *lamina_allocate(size_t count, size_t size);
void lamina_release(void *p); /* NULL is allowed */

/* For tests: asked before each allocation, false makes it fail. NULL: none is refused. The only writable global of the
 * runtime; set it while nothing else runs. */
typedef bool lamina_allocation_hook(void *user, size_t bytes);
void lamina_set_allocation_hook(lamina_allocation_hook *hook, void *user);

#endif
