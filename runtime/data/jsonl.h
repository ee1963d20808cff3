/* runtime/data/jsonl.h - JSON lines as records of a table. */
#ifndef RUNTIME_JSONL_H
#define RUNTIME_JSONL_H

#include "runtime/data/table.h"

/* Open a file, plain or gzip, whose records have a field for each of the table's columns, which outlive it. On an error
 * *out is NULL. */
lamina_status lamina_jsonl_open(const lamina_table *t, const char *path, lamina_records **out, lamina_error *e);

#endif
