/* runtime/base/error.h - how a function of the runtime fails: it fills in the caller's lamina_error and returns a
 * status. */
#ifndef RUNTIME_ERROR_H
#define RUNTIME_ERROR_H

#include "runtime/lamina.h"

/* Write status and text to e (may be NULL) and give the status back. */
__attribute__((format(printf, 3, 4))) lamina_status lamina_fail(lamina_error *e, lamina_status status,
                                                                const char *format, ...);
/* BAD_ARG that names the first NULL among the pointers, whose names stand in 'names' with a space between two. */
lamina_status lamina_need(lamina_error *e, const char *function, const char *names, ...);
/* LAMINA_NO_MEMORY for 'bytes' of 'what'. */
lamina_status lamina_fail_memory(lamina_error *e, const char *what, size_t bytes);

/* "f32[784, 10]" into a buffer, cut where it ends. A dimension with the batch is left out: the shape of one record. */
void lamina_shape_text(int32_t dtype, int32_t rank, const int64_t *dim, int32_t batch_dim, char *out, size_t size);

#endif
