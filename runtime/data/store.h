/* runtime/data/store.h - where the records of data sets lie; private to data/. */
#ifndef RUNTIME_STORE_H
#define RUNTIME_STORE_H

#include "runtime/data/data.h"
#include "runtime/data/words.h"

/* Records of one of a field's files. */
typedef struct {
    int64_t first; /* number of the first among the field's */
    char *data, *source;
    void *map; /* as an array's */
    size_t map_bytes;
} lamina_piece;

typedef struct {
    char *data; /* records in the input's dtype, one after the other; NULL: none yet, or made with each batch */
    lamina_piece *pieces; /* where they are from files: 'data' is the first one's; else NULL */
    int32_t piece_count;
    char *source;         /* file name for errors, or "memory"; NULL: there is no such field yet */
    const int64_t *order; /* record i is the one that lies at order[i]; NULL: at i */
    bool lent;            /* all these belong to somebody else */
    lamina_words names;   /* of a record's elements, or of classes, if they have any */
} lamina_field;

typedef struct {
    int views;
    int64_t count; /* records; 0 until the first field is there */
    int32_t inputs;
    lamina_field fields[];
} lamina_store;

struct lamina_dataset {
    const lamina_net *net;
    lamina_store *store;
    int64_t *order; /* record numbers in the store, or NULL: all, as they lie */
    int64_t count;
    int64_t window;  /* lamina_dataset_set_window */
    int32_t balance; /* the input of 'balanced' whose classes are to be equally frequent */
    const struct lamina_dataset
        *balanced;     /* this data set, or that of which it is a view; NULL: epochs are as they are */
    lamina_make *make; /* of a view with made fields, else NULL */
    void *maker;
    struct lamina_augment *augment; /* how training changes records; NULL: it does not */
};

enum { LAMINA_MOST_CLASSES = 65536 };

/* An input of classes: one integer a record. */
lamina_status lamina_find_classes(const lamina_dataset *d, const char *name, int32_t *input, lamina_error *e);
/* The class of record 'at' of the store. */
lamina_status lamina_class_at(const lamina_dataset *d, int32_t input, int64_t at, int64_t *class, lamina_error *e);
/* The number of the input of that name. */
lamina_status lamina_find_field(const lamina_dataset *d, const char *name, int32_t *out, lamina_error *e);
/* May the input take 'count' records of 'source'? */
lamina_status lamina_check_new(const lamina_dataset *d, int32_t input, const char *source, int64_t count,
                               lamina_error *e);
/* Add them; takes data over, whatever comes of it. */
lamina_status lamina_add_field(lamina_dataset *d, int32_t input, const char *source, void *data, int64_t count,
                               lamina_error *e);

static inline int64_t lamina_order(const lamina_dataset *d, int64_t i)
{
    return d->order ? d->order[i] : i;
}

/* Where the field has the store's record number 'at'. */
static inline int64_t lamina_lies_at(const lamina_dataset *d, int32_t input, int64_t at)
{
    const lamina_field *f = &d->store->fields[input];
    return f->order ? f->order[at] : at;
}

/* What a field holds that is not lent. */
void lamina_release_field(lamina_field *f);
/* The piece that holds number 'at' of a field of several. */
const lamina_piece *lamina_find_piece(const lamina_field *f, int64_t at);
static inline const char *lamina_record(const lamina_dataset *d, int32_t input, int64_t at)
{
    const lamina_field *f = &d->store->fields[input];
    at = lamina_lies_at(d, input, at);
    const lamina_piece *p = f->piece_count > 1 ? lamina_find_piece(f, at) : NULL;
    return (p ? p->data : f->data) + (uint64_t)(p ? at - p->first : at) * d->net->inputs[input].bytes;
}

/* The file that has the store's record number 'at', for errors; *record is its number there. */
const char *lamina_place_of(const lamina_dataset *d, int32_t input, int64_t at, int64_t *record);

#endif
