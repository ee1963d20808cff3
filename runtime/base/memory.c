/* runtime/base/memory.c - zeroed, aligned allocation with a hook for tests. */
#include "runtime/base/memory.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static lamina_allocation_hook *allocation_hook;
static void *allocation_user;

void lamina_set_allocation_hook(lamina_allocation_hook *hook, void *user)
{
    allocation_hook = hook;
    allocation_user = user;
}

void *lamina_allocate(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    if (allocation_hook && !allocation_hook(allocation_user, bytes))
        return NULL;
    void *p;
    if (posix_memalign(&p, 64, bytes ? bytes : 1))
        return NULL;
    return memset(p, 0, bytes);
}

void lamina_release(void *p)
{
    free(p);
}
