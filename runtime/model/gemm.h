/* runtime/model/gemm.h - matrix products for networks that leave them to a library. */
#ifndef RUNTIME_GEMM_H
#define RUNTIME_GEMM_H

#include "runtime/lamina.h"

/* Load OpenBLAS (the library that LAMINA_OPENBLAS names, else libopenblas.so.0) and tell it to use one thread a call,
 * which holds for the whole process. *handle is ended with lamina_gemm_close. */
lamina_status lamina_gemm_open(const lamina_net *net, void **handle, lamina_sgemm **out, lamina_error *e);
void lamina_gemm_close(void *handle); /* NULL is allowed */

#endif
