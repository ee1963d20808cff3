/* runtime/model/pool.h - what other threads of the runtime need of a pool. */
#ifndef RUNTIME_POOL_H
#define RUNTIME_POOL_H

#include "runtime/lamina.h"

/* The calling thread may use all processors that the pool's maker had before it was pinned, whatever it inherited.
 * NULL is allowed. */
void lamina_pool_unpin(const lamina_pool *p);

#endif
