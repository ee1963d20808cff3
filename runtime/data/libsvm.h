/* runtime/data/libsvm.h - sparse records of LIBSVM and SVMlight as records of a table. */
#ifndef RUNTIME_LIBSVM_H
#define RUNTIME_LIBSVM_H

#include "runtime/data/table.h"

/* Open a file, plain or gzip, whose records have a field for each of the table's columns, which outlive it: "label", or
 * a number as the file has it. On an error *out is NULL. */
lamina_status lamina_libsvm_open(const lamina_table *t, const char *path, lamina_records **out, lamina_error *e);

#endif
