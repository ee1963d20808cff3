/* tests/unit/random_net.h - networks nobody thought of: valid YAML by the number of a seed.
 *
 * Any acyclic graph of the catalogue's layers, of odd and small shapes: several inputs of every dtype, joins of several
 * values, losses on several branches, every optimizer. The same seed gives the same text on every machine. */
#ifndef TESTS_RANDOM_NET_H
#define TESTS_RANDOM_NET_H

#include "ir/base/text.h"
#include <stdint.h>

enum { RANDOM_INPUTS = 8 };

typedef struct {
    text yaml;
    int trained; /* layers with parameters that a loss depends on: stages may be as many */
    int ninputs;
    int64_t classes[RANDOM_INPUTS]; /* of an int32 input: its values lie below */
    int64_t max_batch;
} random_net;

void random_net_new(random_net *n, uint64_t seed);
void random_net_free(random_net *n);

/* A number from 0 to below 'count', and the next state. */
int64_t random_below(uint64_t *state, int64_t count);

#endif
