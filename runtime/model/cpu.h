/* runtime/model/cpu.h - what this processor can run. */
#ifndef RUNTIME_CPU_H
#define RUNTIME_CPU_H

#include <stdbool.h>
#include <stddef.h>

/* Does it have, and does the system save the registers of, all instruction sets in the list ("avx2,fma")? If not, the
 * first that it lacks goes to `missing`; a name not known here counts as lacking. */
bool lamina_cpu_has_all(const char *features, char *missing, size_t size);

#endif
