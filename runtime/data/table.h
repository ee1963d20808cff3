/* runtime/data/table.h - the columns of tables' files as they become elements of inputs; private to data/. */
#ifndef RUNTIME_TABLE_H
#define RUNTIME_TABLE_H

#include "runtime/data/record.h"
#include "runtime/data/words.h"

/* A column of the file that an input holds. */
typedef struct {
    const lamina_table_column *spec;
    char *name;    /* in the header, or of the value in each record */
    int32_t field; /* of a record, from 0 */
    int32_t input;
    bool words;           /* it has categories */
    bool seen;            /* a record has it */
    int64_t first, width; /* elements of the input's record */
    lamina_words categories;
} lamina_column;

typedef struct {
    const lamina_table_options *options;
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

/* Find the columns in the header of the first file, or by their names; then lamina_table_free. */
lamina_status lamina_table_find(lamina_table *t, lamina_error *e);
/* Read all files: count records, collect the words of sorted columns, and place all columns in their inputs. */
lamina_status lamina_table_measure(lamina_table *t, lamina_error *e);
void lamina_table_free(lamina_table *t);

/* Open one of the files, behind its header, which must be the first one's. */
lamina_status lamina_table_open(const lamina_table *t, const char *path, lamina_records **out, lamina_error *e);
/* The next record, of as many fields as the header. */
lamina_status lamina_table_next(const lamina_table *t, lamina_records *r, bool *more, lamina_error *e);

bool lamina_table_is_missing(const lamina_table *t, const lamina_record_field *f);

#endif
