/* runtime/data/table.h - the columns of CSV files as they become elements of inputs; private to data/. */
#ifndef RUNTIME_TABLE_H
#define RUNTIME_TABLE_H

#include "runtime/data/csv.h"
#include "runtime/data/words.h"

/* A column of the file that an input holds. */
typedef struct {
    const lamina_csv_column *spec;
    char *name;    /* in the header */
    int32_t field; /* of a record, from 0 */
    int32_t input;
    int64_t first, width;    /* elements of the input's record */
    lamina_words categories; /* none: numbers */
} lamina_column;

typedef struct {
    const lamina_csv_options *options;
    const lamina_net *net;
    const char *const *paths;
    int32_t path_count;
    char delimiter;
    int32_t fields; /* of each record */
    int32_t count;
    lamina_column *column;
    int64_t records;
} lamina_table;

/* The most categories of a column. */
enum { TABLE_MOST_WORDS = 65536 };

/* Find the columns in the header of the first file; then lamina_table_free. */
lamina_status lamina_table_find(lamina_table *t, lamina_error *e);
/* Read all files: count records, collect the words of sorted columns, and place all columns in their inputs. */
lamina_status lamina_table_measure(lamina_table *t, lamina_error *e);
void lamina_table_free(lamina_table *t);

/* Open one of the files, behind its header, which must be the first one's. */
lamina_status lamina_table_open(const lamina_table *t, const char *path, lamina_csv **out, lamina_error *e);
/* The next record, of as many fields as the header. */
lamina_status lamina_table_next(const lamina_table *t, lamina_csv *c, bool *more, lamina_error *e);

bool lamina_table_is_missing(const lamina_table *t, const char *text);

#endif
