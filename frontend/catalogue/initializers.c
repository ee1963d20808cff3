/* frontend/catalogue/initializers.c - Keras' initialisers, brought down to those that the descriptor knows: a
 * constant, uniform numbers, normal ones, normal ones without tails, identity and orthogonal matrices.
 *
 * Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998: variance 'scale' over the number of inputs, or over the mean
 * of inputs and outputs. */
#include "frontend/catalogue/catalogue.h"
#include <math.h>
#include <string.h>

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
    {{.name = "orthogonal", .short_key = "gain", .keys = {{"gain", FE_NUMBER, "1"}}}, "orthogonal", .a = "gain"},
    {{.name = "variance_scaling",
      .keys = {{"scale", FE_POSITIVE, "1"},
               {"mode", FE_NAME, "fan_in"},
               {"distribution", FE_NAME, "truncated_normal"}}},
     .over = FAN_IN},
    {{.name = "random_uniform", UNIFORM_KEYS}, "uniform", .a = "minval", .b = "maxval"},
    {{.name = "random_normal", NORMAL_KEYS}, "normal", .a = "mean", .b = "stddev"},
    {{.name = "truncated_normal", NORMAL_KEYS}, "truncated_normal", .a = "mean", .b = "stddev"},
};

static const char *const modes[] = {"fan_in", "fan_out", "fan_avg"};
static const char *const distributions[] = {"truncated_normal", "untruncated_normal", "uniform"};

static bool is_one_of(fe_reader *r, const fe_choice *c, const char *key, const char *const *words)
{
    const fe_option *o = fe_get(c, key);
    for (int i = 0; i < 3; i++)
        if (!strcmp(o->word, words[i]))
            return true;
    return fe_unknown(r, o->at, key, o->word, words, 3);
}

static bool check(fe_reader *r, fe_choice *c)
{
    return strcmp(c->kind->name, "variance_scaling") != 0 ||
           (is_one_of(r, c, "mode", modes) && is_one_of(r, c, "distribution", distributions));
}

const fe_catalogue fe_initializers = {"initializer", FE_ONE_TABLE(rows), {{0}}, check};

/* The deviation of a normal distribution cut at two deviations, in units of the uncut one. */
static const double CUT_DEVIATION = 0.87962566103423978;

/* Numbers of mean 0 and this variance. */
static fe_init spread(const char *kind, double variance)
{
    if (!strcmp(kind, "uniform"))
        return (fe_init){.kind = kind, .a = -sqrt(3 * variance), .b = sqrt(3 * variance)};
    return (fe_init){.kind = kind, .b = sqrt(variance) / (!strcmp(kind, "normal") ? 1 : CUT_DEVIATION)};
}

static fe_init scaled_variance(const fe_choice *c, double fan_in, double fan_out)
{
    const char *mode = fe_get(c, "mode")->word, *kind = fe_get(c, "distribution")->word;
    double over = !strcmp(mode, "fan_in") ? fan_in : !strcmp(mode, "fan_out") ? fan_out : (fan_in + fan_out) / 2;
    kind = !strcmp(kind, "untruncated_normal") ? "normal" : kind;
    return spread(kind, fe_get_number(c, "scale") / over);
}

fe_init fe_resolve_init(const fe_choice *c, double fan_in, double fan_out)
{
    const initializer *row = (const initializer *)(const void *)c->kind;
    fe_init init = {.kind = row->init};
    if (!row->init) {
        init = scaled_variance(c, fan_in, fan_out);
    } else if (row->over == FAN_NONE) {
        init.a = row->a ? fe_get_number(c, row->a) : row->value;
        init.b = row->b ? fe_get_number(c, row->b) : 0;
    } else {
        init = spread(row->init, row->scale / (row->over == FAN_IN ? fan_in : (fan_in + fan_out) / 2));
    }
    init.at = c->at;
    return init;
}
