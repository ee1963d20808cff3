/* runtime/data/convert.h - convert the elements of a file to an input's type. */
#ifndef RUNTIME_CONVERT_H
#define RUNTIME_CONVERT_H

#include "runtime/data/idx.h"

/* x's elements as the input's type; takes x->data over or leaves it. */
lamina_status lamina_convert(lamina_idx *x, const lamina_tensor *t, const char *path, void **out, lamina_error *e);
bool lamina_is_real(int32_t dtype);

#endif
