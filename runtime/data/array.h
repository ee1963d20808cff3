/* runtime/data/array.h - the elements of a file as they come: a type, dimensions, values in this machine's order. */
#ifndef RUNTIME_ARRAY_H
#define RUNTIME_ARRAY_H

#include "runtime/data/stream.h"

enum {
    ARRAY_UI8,
    ARRAY_I8,
    ARRAY_UI16,
    ARRAY_I16,
    ARRAY_UI32,
    ARRAY_I32,
    ARRAY_I64,
    ARRAY_F32,
    ARRAY_F64 /* reals come last */
};

typedef struct {
    int32_t type; /* ARRAY_* */
    int32_t rank; /* 1 .. LAMINA_MAX_RANK; the first dimension counts records */
    int64_t dim[LAMINA_MAX_RANK];
    int64_t count; /* elements */
    void *data;    /* row-major, in this machine's byte order; end it with lamina_release */
} lamina_array;

const char *lamina_array_type_name(int32_t type);
size_t lamina_array_type_bytes(int32_t type);

/* x's elements as the input's type; takes x->data over or leaves it. */
lamina_status lamina_convert(lamina_array *x, const lamina_tensor *t, const char *path, void **out, lamina_error *e);

/* One element on its way: integers stay integers, since a double holds no i64 exactly. */
typedef struct {
    bool real;
    int64_t i;
    double f;
} lamina_number;

/* data[i] = v. False if the type cannot hold the value. */
bool lamina_write_number(int32_t dtype, void *data, int64_t i, lamina_number v);
bool lamina_is_real(int32_t dtype);

/* Multiply the dimensions, into x->count; BAD_FILE for a dimension below 1, or too many elements. */
lamina_status lamina_array_count(lamina_array *x, const char *path, lamina_error *e);
/* Read x->count elements into memory of x's, where the file ends; 'header' bytes of it are read already. Memory is
 * taken only if a file of this size can hold so many. On an error x->data is NULL. */
lamina_status lamina_array_read(lamina_stream *s, uint64_t header, lamina_array *x, lamina_error *e);
void lamina_swap_bytes(void *data, int64_t count, size_t size);

#endif
