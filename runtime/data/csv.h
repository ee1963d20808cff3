/* runtime/data/csv.h - records of text: comma-separated values as RFC 4180 has them, and their relatives. */
#ifndef RUNTIME_CSV_H
#define RUNTIME_CSV_H

#include "runtime/data/record.h"
#include "runtime/data/stream.h"

/* Limits of one record; every file is read in this much memory. */
enum { CSV_MOST_BYTES = 1 << 20, CSV_MOST_FIELDS = 1 << 14 };

/* A file that is being read. */
typedef struct {
    lamina_records records; /* first, as record.h has it */
    lamina_stream *stream;
    const char *path;
    char delimiter;
    int64_t line, column; /* of the next byte */
    size_t used, at, end;
    lamina_record_field field[CSV_MOST_FIELDS];
    char text[CSV_MOST_BYTES];
    char buffer[1 << 16];
} lamina_csv;

/* Open a file, plain or gzip, behind a byte order mark if it begins with one. On an error *out is NULL. Empty lines are
 * no records. Lines end with LF, CRLF or CR, the last one anywhere. Spaces around a field are not part of it, but in
 * quotes. */
lamina_status lamina_csv_open(const char *path, char delimiter, lamina_records **out, lamina_error *e);

/* A decimal number, whatever the locale: false for anything else, or what no double holds. */
bool lamina_parse_number(const char *text, double *value);

#endif
