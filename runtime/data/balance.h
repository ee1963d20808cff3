/* runtime/data/balance.h - epochs in which all classes are equally frequent; private to data/. */
#ifndef RUNTIME_BALANCE_H
#define RUNTIME_BALANCE_H

#include "runtime/data/store.h"

typedef struct lamina_balance lamina_balance;

/* For a data set whose 'balanced' is not NULL. On an error *out is NULL. */
lamina_status lamina_balance_new(const lamina_dataset *d, lamina_balance **out, lamina_error *e);
void lamina_balance_free(lamina_balance *b); /* NULL is allowed */
/* The places in the data set of an epoch's records, as many as it has, by seed and epoch. */
void lamina_balance_draw(lamina_balance *b, int64_t *places, uint64_t seed, int64_t epoch);

#endif
