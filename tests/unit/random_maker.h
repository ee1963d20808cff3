/* tests/unit/random_maker.h - a random net while it is made (random_net.c), for the rules that add layers to it.
 *
 * A rule draws its options for one value, writes its line between open_layer and close_layer and is true; or says that
 * it does not suit the value, and has written nothing. */
#ifndef TESTS_RANDOM_MAKER_H
#define TESTS_RANDOM_MAKER_H

#include "tests/unit/random_net.h"
#include <stdbool.h>

enum { MOST_VALUES = 64, MOST_JOINED = 4, MOST_RANK = 4, MOST_ELEMENTS = 1000, MOST_WEIGHTS = 6000, MOST_LEAVES = 4 };

typedef struct {
    int rank;
    int64_t dim[MOST_RANK];
} shape;

typedef struct {
    char name[16];
    shape shape;
    int in[MOST_JOINED], nin; /* of a layer; 0 for inputs */
    bool has_parameters, is_read, is_trained, is_frozen, is_grouped;
} value;

typedef struct {
    uint64_t state;
    random_net *net;
    text inputs, layers, losses, metrics, groups;
    value values[MOST_VALUES];
    int count, nlosses;
    bool must_train; /* the layer that is being made: no other may be left to */
} maker;

typedef bool random_rule(maker *m, int x);

/* ---- random_maker.c ---- */

int draw(maker *m, int count);
bool chance(maker *m, int percent);
#define DRAW(m, list) (list)[draw(m, (int)(sizeof(list) / sizeof *(list)))]
int64_t any_size(maker *m); /* around vectors, and what is one or odd */

int64_t element_count(const shape *s);
bool same_shape(const shape *a, const shape *b);

void add_list(text *t, const int64_t *numbers, int count);
void maybe_add(maker *m, int percent, const char *option);
const char *any_activation(maker *m, const shape *s);
void maybe_add_initializer(maker *m, int percent, const char *key); /* "bias" */
void add_kernel_options(maker *m, const shape *result);

value *new_value(maker *m, const char *prefix, const shape *s);
/* The head of a layer's line; its options and close_layer follow. */
value *open_layer(maker *m, const char *kind, const int *in, int nin, const shape *result);
void close_layer(maker *m);

/* ---- rules: random_layers.c, random_windows.c ---- */

random_rule make_dense, make_flatten, make_reshape, make_permute, make_repeat_vector, make_activation, make_prelu,
    make_noise, make_norm, make_join, make_subtract, make_dot, make_concatenate;
random_rule make_conv, make_depthwise, make_transposed, make_pool, make_global_pool, make_margins, make_upsample;

#endif
