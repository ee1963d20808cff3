/* backend/kernels.h - nests compiled by themselves, without a module around them: for tests and measurements. */
#ifndef BACKEND_KERNELS_H
#define BACKEND_KERNELS_H

#include "backend/backend.h"
#include "backend/nest/nest.h"

/* What each becomes: void name(int64_t batch, int64_t task, void *const *buffers), a pointer for each of its buffers. A
 * kernel of two phases has a second function, name_1. */
typedef void be_kernel(int64_t batch, int64_t task, void *const *buffers);

/* Compile kernels, all with names of their own that are C identifiers, to o->output. */
bool be_compile_kernels(nest_kernel *const *kernels, int count, const ir_target *target, const be_options *o, diag *d);

#endif
