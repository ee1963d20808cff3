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
    void *data;    /* row-major, in this machine's byte order */
    void *map;     /* where the file is mapped that they lie in; NULL: they are in memory of their own */
    size_t map_bytes;
} lamina_array;

/* Files are mapped, not read, from this size on, where they are plain and their elements aligned. */
enum { ARRAY_MAPS_FROM = 1 << 26 };

const char *lamina_array_type_name(int32_t type);
size_t lamina_array_type_bytes(int32_t type);

void lamina_array_release(lamina_array *x); /* its elements */

/* Give x's elements the input's type, whatever x->type says from then on. */
lamina_status lamina_convert(lamina_array *x, const lamina_tensor *t, const char *path, lamina_error *e);

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
/* Read or map x->count elements, behind which the file ends; 'header' bytes of it are read already. Memory is taken
 * only if a file of this size can hold so many. On an error x->data is NULL. */
lamina_status lamina_array_read(lamina_stream *s, uint64_t header, lamina_array *x, lamina_error *e);
void lamina_swap_bytes(void *data, int64_t count, size_t size);

#endif
