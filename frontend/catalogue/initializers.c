/* frontend/catalogue/initializers.c - Keras' initialisers, brought down to the five that the descriptor knows: a
 * constant, uniform numbers, normal ones, normal ones without tails, identity matrices.
 *
 * Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998: variance 'scale' over the number of inputs, or over the mean
 * of inputs and outputs. */
#include "frontend/catalogue/catalogue.h"
#include <math.h>

typedef enum { FAN_NONE, FAN_IN, FAN_MEAN } fan;

typedef struct {
    fe_kind kind;
    const char *init;
    const char *a, *b; /* the keys of the two numbers ... */
    double value;      /* ... or, without keys, a */
    fan over;
    double scale;
} initializer;

#define UNIFORM_KEYS .keys = {{"minval", FE_NUMBER, "-0.05"}, {"maxval", FE_NUMBER, "0.05"}}
#define NORMAL_KEYS .keys = {{"mean", FE_NUMBER, "0"}, {"stddev", FE_NOT_NEGATIVE, "0.05"}}

static const initializer rows[] = {
    {{.name = "glorot_uniform"}, "uniform", .over = FAN_MEAN, .scale = 1},
    {{.name = "glorot_normal"}, "truncated_normal", .over = FAN_MEAN, .scale = 1},
    {{.name = "he_uniform"}, "uniform", .over = FAN_IN, .scale = 2},
    {{.name = "he_normal"}, "truncated_normal", .over = FAN_IN, .scale = 2},
    {{.name = "lecun_uniform"}, "uniform", .over = FAN_IN, .scale = 1},
    {{.name = "lecun_normal"}, "truncated_normal", .over = FAN_IN, .scale = 1},
    {{.name = "zeros"}, "constant", .value = 0},
    {{.name = "ones"}, "constant", .value = 1},
    {{.name = "constant", .short_key = "value", .keys = {{"value", FE_NUMBER, "0"}}}, "constant", .a = "value"},
    {{.name = "identity", .short_key = "gain", .keys = {{"gain", FE_NUMBER, "1"}}}, "identity", .a = "gain"},
    {{.name = "random_uniform", UNIFORM_KEYS}, "uniform", .a = "minval", .b = "maxval"},
    {{.name = "random_normal", NORMAL_KEYS}, "normal", .a = "mean", .b = "stddev"},
    {{.name = "truncated_normal", NORMAL_KEYS}, "truncated_normal", .a = "mean", .b = "stddev"},
};

const fe_catalogue fe_initializers = {"initializer", FE_ONE_TABLE(rows), {{0}}, NULL};

/* The deviation of a normal distribution cut at two deviations, in units of the uncut one. */
static const double CUT_DEVIATION = 0.87962566103423978;

fe_init fe_resolve_init(const fe_choice *c, double fan_in, double fan_out)
{
    const initializer *row = (const initializer *)(const void *)c->kind;
    fe_init init = {.kind = row->init, .at = c->at};
    if (row->over == FAN_NONE) {
        init.a = row->a ? fe_get_number(c, row->a) : row->value;
        init.b = row->b ? fe_get_number(c, row->b) : 0;
        return init;
    }
    double variance = row->scale / (row->over == FAN_IN ? fan_in : (fan_in + fan_out) / 2);
    bool uniform = row->init[0] == 'u';
    init.a = uniform ? -sqrt(3 * variance) : 0;
    init.b = uniform ? sqrt(3 * variance) : sqrt(variance) / CUT_DEVIATION;
    return init;
}
