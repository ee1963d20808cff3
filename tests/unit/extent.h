/* tests/unit/extent.h - how much of a long test runs.
 *
 * Usually a sample runs that takes seconds. LAMINA_FULL=1 in the environment asks for all of it, which may take hours.
 * Under sanitizers, which are slow and look at the compiler and the runtime but not at generated code, what differs in
 * generated code only is left out. */
#ifndef TESTS_UNIT_EXTENT_H
#define TESTS_UNIT_EXTENT_H

#include <stdbool.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
static const bool extent_sanitized = true;
#else
static const bool extent_sanitized = false;
#endif

static inline bool extent_full(void)
{
    return getenv("LAMINA_FULL") != NULL;
}

#endif
