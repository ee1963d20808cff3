/* tests/unit/bare_kernels.h - kernels that a test builds by hand in the loop-nest form, compiled to a shared object,
 * loaded and run; and elements to run them on. */
#ifndef TESTS_BARE_KERNELS_H
#define TESTS_BARE_KERNELS_H

#include "backend/kernels.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

enum { MOST_KERNELS = 512 };

typedef struct {
    arena *mem;
    ir_target target;
    nest_kernel *kernels[MOST_KERNELS];
    int count;
    void *handle;
} fixture;

/* Does this machine run code for a CPU of that level (x86-64-v4, ...)? */
bool fixture_host_runs(const char *cpu);
void fixture_open(fixture *f, const char *cpu);
void fixture_close(fixture *f);
/* A kernel of one phase and one task, to be filled. */
nest_kernel *fixture_kernel(fixture *f, const char *name);
int fixture_buffer(nest_kernel *k, const char *name, ir_dtype t);
/* Compile and load all kernels; then run one of them by its name. */
void fixture_load(fixture *f);
void fixture_run(fixture *f, const char *name, int64_t batch, void *const *buffers);

uint64_t random_bits(void);
/* Any bits, special values, and numbers of a moderate size, a third each. */
void random_elements(ir_dtype t, void *out, int64_t count);
/* Element i of both: of equal bits, or both NaN. */
bool same_element(ir_dtype t, const void *a, const void *b, int64_t i);
void print_element(ir_dtype t, const void *x, int64_t i);

#endif
