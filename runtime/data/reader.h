/* runtime/data/reader.h - the batches that a network trains on, as they should be when they are needed. */
#ifndef RUNTIME_READER_H
#define RUNTIME_READER_H

#include "runtime/data/data.h"

typedef struct lamina_ahead lamina_ahead; /* a thread that makes the next batch of augmented data */

/* A loader's batches; of a data set that is augmented, made by a thread while the one before is trained on. */
typedef struct {
    lamina_loader loader;
    lamina_ahead *ahead; /* NULL: nothing is augmented */
    const void **inputs; /* of the batch that is current */
} lamina_reader;

/* As lamina_loader_new, and NO_MEMORY without a thread, which keeps off the processors of a pinned caller ('pool', may
 * be NULL). */
lamina_status lamina_reader_new(const lamina_dataset *d, int64_t batch, bool shuffled, const lamina_pool *pool,
                                lamina_reader *out, lamina_error *e);
void lamina_reader_free(lamina_reader *r); /* what it holds; not r */
/* Go to an epoch, behind so many batches. */
void lamina_reader_start(lamina_reader *r, uint64_t seed, int64_t epoch, int64_t batches);
/* As lamina_loader_next. The batch before is gone. */
lamina_status lamina_reader_next(lamina_reader *r, int64_t *count, lamina_error *e);
/* The first value of the current batch's records, as the data have them, that is not finite. */
bool lamina_reader_bad_value(lamina_reader *r, int64_t count, lamina_bad_value *out);

#endif
