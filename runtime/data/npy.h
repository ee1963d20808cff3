/* runtime/data/npy.h - NumPy's files of one array, and files of elements without any header. */
#ifndef RUNTIME_NPY_H
#define RUNTIME_NPY_H

#include "runtime/data/array.h"

/* Read a whole .npy file, plain or gzip, of any version: booleans, integers and reals of either byte order, in C order.
 * On an error nothing is left to release. */
lamina_status lamina_npy_read(const char *path, lamina_array *out, lamina_error *e);
/* The same of an array in a .npz file, stored or deflated: "FILE:KEY", or FILE alone, which then ends in .npz and has
 * one array. */
lamina_status lamina_npz_read(const char *name, lamina_array *out, lamina_error *e);
/* Read a whole file as records of a tensor: its elements one after the other, in this machine's byte order. */
lamina_status lamina_raw_read(const char *path, const lamina_tensor *t, lamina_array *out, lamina_error *e);

#endif
