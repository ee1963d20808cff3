/* frontend/catalogue/layers/random.c - noise, in training alone. Random words are Philox's, by seed, step, micro-batch,
 * the layer's name and the element: no number of threads, stage or interruption changes one. */
#include "frontend/catalogue/layers/layers.h"
#include <math.h>

static ir_node *random_words(fe_builder *b, ir_type shape, const char *path)
{
    ir_graph *g = b->g;
    ir_node *seed = ir_state(g, ir_symbol_find(b->m, "seed"));
    ir_node *step = ir_state(g, ir_symbol_find(b->m, "step"));
    ir_node *micro_batch = ir_call_value(g, "micro_batch");
    ir_node *lane = ir_multiply(g, micro_batch, ir_like(g, micro_batch, 65536));
    return ir_rng_bits(g, seed, step, lane, shape, fe_stream(path));
}

/* 24 random bits as a number in [0, 1). */
static ir_node *uniform(fe_builder *b, ir_type shape, const char *path)
{
    ir_graph *g = b->g;
    ir_node *bits = random_words(b, shape, path);
    ir_node *whole = ir_convert(g, ir_shift_right(g, bits, ir_like(g, bits, 8)), IR_F32);
    return ir_multiply(g, whole, ir_like(g, whole, 0x1p-24));
}

/* Mean 0, deviation 1: sqrt(-2 log u) cos(2 pi v) (Box & Muller 1958), of u in (0, 1]. */
static ir_node *normal(fe_builder *b, const fe_layer *l, ir_type shape)
{
    ir_graph *g = b->g;
    ir_node *u = uniform(b, shape, l->name);
    ir_node *positive = ir_add(g, u, ir_like(g, u, 0x1p-24));
    ir_node *factor = ir_like(g, u, -2);
    ir_node *radius = ir_sqrt(g, ir_multiply(g, ir_log(g, positive), factor));
    ir_node *turn = uniform(b, shape, arena_printf(b->m->mem, "%s.angle", l->name));
    ir_node *cosine = ir_cosine(g, ir_multiply(g, turn, ir_like(g, turn, 6.283185307179586)));
    return ir_multiply(g, radius, cosine);
}

static bool is_off(const fe_builder *b, const fe_layer *l, const char *key)
{
    return !b->training || fe_get_number(l->options, key) == 0;
}

/* ---- dropout ---- */

/* x / (1 - rate) where 'chance' reaches the rate, else 0. */
static ir_node *dropped(ir_graph *g, ir_node *x, ir_node *chance, double rate)
{
    ir_node *kept = ir_compare(g, "GE", chance, ir_like(g, chance, rate));
    ir_node *larger = ir_multiply(g, x, ir_like(g, x, 1 / (1 - rate)));
    return ir_select(g, kept, larger, ir_like(g, x, 0));
}

static ir_node *build_dropout(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    if (is_off(b, l, "rate"))
        return in[0];
    return dropped(b->g, in[0], uniform(b, in[0]->type, l->name), fe_get_number(l->options, "rate"));
}

static bool shape_spatial_dropout1d(fe_reader *r, fe_layer *l)
{
    return fe_expect_sequence(r, l) && fe_shape_same(r, l);
}

static bool shape_spatial_dropout2d(fe_reader *r, fe_layer *l)
{
    return fe_expect_image(r, l) && fe_shape_same(r, l);
}

/* Tompson et al. 2015: whole maps are dropped, a channel of an example at a time. */
static ir_node *build_spatial_dropout(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    if (is_off(b, l, "rate"))
        return in[0];
    ir_node *x = in[0];
    int64_t channels = fe_last_size(&x->type);
    ir_node *chance = uniform(b, fe_batched_type(1, &channels), l->name);
    chance = ir_broadcast_in_dim(b->g, chance, x->type, (int64_t[]){0, x->type.rank - 1});
    return dropped(b->g, x, chance, fe_get_number(l->options, "rate"));
}

/* Klambauer et al. 2017: what is dropped becomes selu's value far below 0, and all is scaled so that mean 0 and
 * variance 1 stay. */
static ir_node *build_alpha_dropout(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    if (is_off(b, l, "rate"))
        return in[0];
    ir_graph *g = b->g;
    ir_node *x = in[0];
    const double low = -1.7580993408473766;
    double rate = fe_get_number(l->options, "rate"), a = 1 / sqrt((1 - rate) * (1 + rate * low * low));
    ir_node *chance = uniform(b, x->type, l->name);
    ir_node *kept = ir_compare(g, "GE", chance, ir_like(g, chance, rate));
    ir_node *value = ir_select(g, kept, x, ir_like(g, x, low));
    ir_node *scaled = ir_multiply(g, value, ir_like(g, x, a));
    return ir_add(g, scaled, ir_like(g, x, -a * low * rate));
}

/* ---- gaussian ---- */

static ir_node *build_gaussian_noise(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    if (is_off(b, l, "stddev"))
        return in[0];
    ir_node *noise = normal(b, l, in[0]->type);
    return ir_add(b->g, in[0], ir_multiply(b->g, noise, ir_like(b->g, noise, fe_get_number(l->options, "stddev"))));
}

/* Srivastava et al. 2014, section 10: times a normal number of mean 1 and variance rate / (1 - rate). */
static ir_node *build_gaussian_dropout(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    if (is_off(b, l, "rate"))
        return in[0];
    double rate = fe_get_number(l->options, "rate");
    ir_node *noise = normal(b, l, in[0]->type);
    ir_node *scaled = ir_multiply(b->g, noise, ir_like(b->g, noise, sqrt(rate / (1 - rate))));
    return ir_multiply(b->g, in[0], ir_add(b->g, scaled, ir_like(b->g, scaled, 1)));
}

static const fe_layer_kind rows[] = {
    LAYER(dropout, ONE, "rate", fe_shape_same, build_dropout, KEY("rate", FE_UNIT, FE_REQUIRED)),
    LAYER(spatial_dropout1d, ONE, "rate", shape_spatial_dropout1d, build_spatial_dropout,
          KEY("rate", FE_UNIT, FE_REQUIRED)),
    LAYER(spatial_dropout2d, ONE, "rate", shape_spatial_dropout2d, build_spatial_dropout,
          KEY("rate", FE_UNIT, FE_REQUIRED)),
    LAYER(alpha_dropout, ONE, "rate", fe_shape_same, build_alpha_dropout, KEY("rate", FE_UNIT, FE_REQUIRED)),
    LAYER(gaussian_dropout, ONE, "rate", fe_shape_same, build_gaussian_dropout, KEY("rate", FE_UNIT, FE_REQUIRED)),
    LAYER(gaussian_noise, ONE, "stddev", fe_shape_same, build_gaussian_noise,
          KEY("stddev", FE_NOT_NEGATIVE, FE_REQUIRED)),
};

const fe_rows fe_random_layers = FE_ROWS(rows);
