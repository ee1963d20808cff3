/* runtime/data/idx.h - IDX files: the format of MNIST and its successors. */
#ifndef RUNTIME_IDX_H
#define RUNTIME_IDX_H

#include "runtime/data/array.h"

/* Read a whole file, plain or gzip. On an error nothing is left to release. */
lamina_status lamina_idx_read(const char *path, lamina_array *out, lamina_error *e);

#endif
