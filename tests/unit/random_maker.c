/* tests/unit/random_maker.c - see random_maker.h. */
#include "tests/unit/random_maker.h"
#include <stdio.h>
#include <string.h>

/* ---- drawing ---- */

/* Vigna's splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t random_below(uint64_t *state, int64_t count)
{
    return (int64_t)(next(state) % (uint64_t)count);
}

int draw(maker *m, int count)
{
    return (int)random_below(&m->state, count);
}

bool chance(maker *m, int percent)
{
    return draw(m, 100) < percent;
}

int64_t any_size(maker *m)
{
    static const int64_t sizes[] = {1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 16, 17, 24, 31, 33};
    return DRAW(m, sizes);
}

int64_t element_count(const shape *s)
{
    int64_t count = 1;
    for (int i = 0; i < s->rank; i++)
        count *= s->dim[i];
    return count;
}

bool same_shape(const shape *a, const shape *b)
{
    return a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
}

/* ---- writing ---- */

void add_list(text *t, const int64_t *numbers, int count)
{
    for (int i = 0; i < count; i++)
        text_printf(t, "%s%lld", i ? ", " : "[", (long long)numbers[i]);
    text_add(t, count ? "]" : "[]");
}

/* A pair of rows and columns, as one number where it can be. */
void maybe_add(maker *m, int percent, const char *option)
{
    if (chance(m, percent))
        text_add(&m->layers, option);
}

/* The last two are over the last dimension and need one. */
const char *any_activation(maker *m, const shape *s)
{
    static const char *const kinds[] = {"relu",
                                        "relu",
                                        "leaky_relu",
                                        "{leaky_relu: {negative_slope: 0.1}}",
                                        "{leaky_relu: -1/4}",
                                        "elu",
                                        "selu",
                                        "gelu",
                                        "silu",
                                        "sigmoid",
                                        "{elu: {alpha: 0.7}}",
                                        "{elu: 1.5}",
                                        "tanh",
                                        "softplus",
                                        "linear",
                                        "{gelu: {approximate: true}}",
                                        "relu6",
                                        "hard_sigmoid",
                                        "hard_swish",
                                        "hard_tanh",
                                        "mish",
                                        "softsign",
                                        "log_sigmoid",
                                        "{celu: 1.5}",
                                        "log_softmax",
                                        "softmax"};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    return kinds[draw(m, s->rank ? KINDS : KINDS - 2)];
}

void maybe_add_initializer(maker *m, int percent, const char *key)
{
    static const char *const kinds[] = {"glorot_uniform",
                                        "glorot_normal",
                                        "he_uniform",
                                        "he_normal",
                                        "lecun_uniform",
                                        "lecun_normal",
                                        "ones",
                                        "truncated_normal",
                                        "{truncated_normal: {mean: 0.1, stddev: 0.3}}",
                                        "{random_uniform: {minval: -0.3, maxval: 0.4}}",
                                        "{random_normal: {mean: 1/2, stddev: 0.2}}",
                                        "{random_normal: {stddev: 0.2}}",
                                        "{constant: 0.25}",
                                        "{constant: {value: -0.5}}"};
    if (chance(m, percent))
        text_printf(&m->layers, ", %s_initializer: %s", key, DRAW(m, kinds));
}

void add_kernel_options(maker *m, const shape *result)
{
    maybe_add(m, 20, ", use_bias: false");
    maybe_add_initializer(m, 50, "bias");
    if (chance(m, 50))
        text_printf(&m->layers, ", activation: %s", any_activation(m, result));
    maybe_add_initializer(m, 20, "kernel");
}

/* ---- values ---- */

value *new_value(maker *m, const char *prefix, const shape *s)
{
    value *v = &m->values[m->count++];
    *v = (value){.shape = *s};
    snprintf(v->name, sizeof v->name, "%s%d", prefix, m->count);
    return v;
}

value *open_layer(maker *m, const char *kind, const int *in, int nin, const shape *result)
{
    value *v = new_value(m, "v", result);
    text_printf(&m->layers, "  - %s: {name: %s", kind, v->name);
    for (int i = 0; i < nin; i++) {
        v->in[v->nin++] = in[i];
        m->values[in[i]].is_read = true;
    }
    if (nin == 1 && v[-1].nin && in[0] == m->count - 2 && chance(m, 40))
        return v; /* the layer above, which is read where no other is named */
    text_add(&m->layers, nin == 1 ? ", input: " : ", inputs: [");
    for (int i = 0; i < nin; i++)
        text_printf(&m->layers, "%s%s", i ? ", " : "", m->values[in[i]].name);
    text_add(&m->layers, nin == 1 ? "" : "]");
    return v;
}

void close_layer(maker *m)
{
    value *v = &m->values[m->count - 1];
    v->is_frozen = !m->must_train && chance(m, 10);
    text_add(&m->layers, v->is_frozen ? ", trainable: false}\n" : "}\n");
}

/* dtype and scale, for inputs that are read as f32. */
