/* runtime/data/idx.h - IDX files: the format of MNIST and its successors. */
#ifndef RUNTIME_IDX_H
#define RUNTIME_IDX_H

#include "runtime/lamina.h"

/* Element types by their code in the file. */
enum { IDX_UI8 = 0x08, IDX_I8 = 0x09, IDX_I16 = 0x0b, IDX_I32 = 0x0c, IDX_F32 = 0x0d, IDX_F64 = 0x0e };

typedef struct {
    int32_t type; /* IDX_* */
    int32_t rank; /* 1 .. LAMINA_MAX_RANK; the first dimension counts records */
    int64_t dim[LAMINA_MAX_RANK];
    int64_t count; /* elements */
    void *data;    /* row-major, in this machine's byte order; end it with lamina_release */
} lamina_idx;

const char *lamina_idx_type_name(int32_t type);
size_t lamina_idx_type_bytes(int32_t type); /* 0 for a code that is none */

/* Read a whole file, plain or gzip. On an error nothing is left to release. */
lamina_status lamina_idx_read(const char *path, lamina_idx *out, lamina_error *e);

#endif
