/* runtime/data/data.h - batches of a data set, in the order of an epoch; and data sets made of others' fields. */
#ifndef RUNTIME_DATA_H
#define RUNTIME_DATA_H

#include "runtime/lamina.h"

/* Gathers records into buffers made once. Records that already lie one after the other are lent where they are. */
typedef struct {
    const lamina_dataset *data;
    int64_t *order; /* of this epoch, or NULL: as they lie */
    int64_t batch, at;
    bool shuffled;
    struct lamina_balance *balance; /* NULL: each record comes once an epoch */
    void **buffer;                  /* for each input, `batch` records; NULL entries if nothing is gathered */
    const void **inputs;            /* of the batch that is current */
} lamina_loader;

/* BAD_ARG if an input of the net has no data. On an error nothing is left to free. */
lamina_status lamina_loader_new(const lamina_dataset *d, int64_t batch, bool shuffled, lamina_loader *out,
                                lamina_error *e);
void lamina_loader_free(lamina_loader *l); /* what it holds; not l */
/* Go to the start of an epoch; if shuffled give it its order: Fisher and Yates with Philox of (seed, epoch). */
void lamina_loader_start(lamina_loader *l, uint64_t seed, int64_t epoch);
/* Skip whole batches, as a run that goes on from a checkpoint does. */
void lamina_loader_skip(lamina_loader *l, int64_t batches);
/* The next batch into l->inputs, and how many records it has: 0 at the end. Only the last one has fewer than `batch`.
 * It fails only where fields are made. */
lamina_status lamina_loader_next(lamina_loader *l, int64_t *count, lamina_error *e);

/* A value of the data that is no number to learn from. */
typedef struct {
    const char *input, *source; /* the file, or "memory" */
    int64_t record;             /* counted from 0, as the file has them: neither order nor split changes it */
    double value;
} lamina_bad_value;

/* The first NaN or infinity among the real inputs of the current batch, which has 'count' records; false if there is
 * none. */
bool lamina_loader_bad_value(const lamina_loader *l, int64_t count, lamina_bad_value *out);

/* ---- views: data sets whose fields are lent, or made with each batch. ---- */

/* A new data set's input takes the records of an input of the same type of 'from', which must outlive it and does not
 * change meanwhile; all fields of a view must have equally many. */
void lamina_dataset_lend(lamina_dataset *d, int32_t input, const lamina_dataset *from, int32_t from_input);
/* The same of 'count' records in memory; 'source' is where errors say that they are from. */
void lamina_dataset_lend_memory(lamina_dataset *d, int32_t input, const void *records, const char *source,
                                int64_t count);
/* Write the records of the inputs that are made into l->buffer: those numbered l->order[l->at], ..., 'count' of them.
 * l->inputs has the other ones already. */
typedef lamina_status lamina_make(void *maker, lamina_loader *l, int64_t count, lamina_error *e);
void lamina_dataset_set_maker(lamina_dataset *d, lamina_make *make, void *maker);
/* This input is one of those that are made. */
void lamina_dataset_make(lamina_dataset *d, int32_t input, const char *source, int64_t count);
/* Element 'i' of integers. */
int64_t lamina_integer_at(int32_t dtype, const void *data, int64_t i);
/* Has the input data? */
bool lamina_dataset_has(const lamina_dataset *d, int32_t input);
const lamina_net *lamina_dataset_net(const lamina_dataset *d);

/* BAD_ARG, naming an input, unless the records are what a model of 'net' reads. */
lamina_status lamina_dataset_check_net(const lamina_dataset *d, const lamina_net *net, lamina_error *e);

/* BAD_ARG unless every input has data, and there is a record. */
lamina_status lamina_dataset_check_full(const lamina_dataset *d, lamina_error *e);
/* Does training change its records at random? */
bool lamina_dataset_is_augmented(const lamina_dataset *d);

/* The element type and dimensions of two tensors, the batch among them. */
bool lamina_same_type(const lamina_tensor *a, const lamina_tensor *b);

/* Shuffle `count` numbers; purpose is a PHILOX_ word. */
void lamina_shuffle(int64_t *order, int64_t count, uint64_t seed, int64_t epoch, uint32_t purpose);

#endif
