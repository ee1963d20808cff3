/* runtime/data/record.h - the records of a table, whatever its format: fields, each a text, a number or nothing. */
#ifndef RUNTIME_RECORD_H
#define RUNTIME_RECORD_H

#include "runtime/lamina.h"

typedef struct {
    const char *text; /* ends with a 0; lives until the next record is read. NULL: none, or nobody needs a number's */
    size_t length;
    int64_t line, column; /* where it begins, both from 1, the column in bytes */
    bool absent;          /* there is no value, whatever the text says */
    bool numeric;         /* the value is 'number' */
    double number;
} lamina_record_field;

/* A file that is being read; each format's reader begins with one. 'field' has the current record's fields. */
typedef struct lamina_records lamina_records;
struct lamina_records {
    /* The next record; *more is false at the end. */
    lamina_status (*read)(lamina_records *r, bool *more, lamina_error *e);
    void (*close)(lamina_records *r);
    const char *path;
    int32_t count; /* fields of the record */
    lamina_record_field *field;
};

static inline lamina_status lamina_records_read(lamina_records *r, bool *more, lamina_error *e)
{
    return r->read(r, more, e);
}

/* NULL is allowed. */
static inline void lamina_records_close(lamina_records *r)
{
    if (r)
        r->close(r);
}

#endif
