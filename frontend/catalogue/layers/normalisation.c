/* frontend/catalogue/layers/normalisation.c - layers that bring values to mean 0 and variance 1, or to length 1. */
#include "frontend/catalogue/layers/layers.h"
#include <inttypes.h>

#define NORM_KEYS                                                                                                      \
    KEY("epsilon", FE_POSITIVE, "0.001"), KEY("center", FE_BOOL, "true"), KEY("scale", FE_BOOL, "true"),               \
        KEY("gamma_initializer", FE_INITIALIZER, "ones"), KEY("beta_initializer", FE_INITIALIZER, "zeros"),            \
        KEY("gamma_regularizer", FE_REGULARIZER, NULL), KEY("beta_regularizer", FE_REGULARIZER, NULL)

static bool shape_norm(fe_reader *r, fe_layer *l)
{
    if (!fe_expect_features(r, l))
        return false;
    int64_t features = fe_last_size(&l->in_type[0]);
    double fan = (double)features;
    ir_type row = fe_plain_type(1, &features);
    l->type = l->in_type[0];
    if (fe_get_bool(l->options, "scale") &&
        !fe_add_param(r, l, "gamma", row, fe_init_of(l, "gamma_initializer", fan, fan)))
        return false;
    return !fe_get_bool(l->options, "center") ||
           fe_add_param(r, l, "beta", row, fe_init_of(l, "beta_initializer", fan, fan));
}

static bool shape_batch_norm(fe_reader *r, fe_layer *l)
{
    if (!shape_norm(r, l))
        return false;
    int64_t features = fe_last_size(&l->type);
    return fe_add_state(r, l, "moving_mean", fe_plain_type(1, &features), 0) &&
           fe_add_state(r, l, "moving_variance", fe_plain_type(1, &features), 1);
}

/* normal * gamma + beta, as far as the layer has them */
static ir_node *rescaled(fe_builder *b, const fe_layer *l, ir_node *x)
{
    if (fe_get_bool(l->options, "scale"))
        x = ir_multiply(b->g, x, fe_spread_last(b->g, fe_use_param(b, l, "gamma"), x));
    if (fe_get_bool(l->options, "center"))
        x = ir_add(b->g, x, fe_spread_last(b->g, fe_use_param(b, l, "beta"), x));
    return x;
}

/* 1 / sqrt(variance + epsilon) */
static ir_node *inverse_deviation(fe_builder *b, const fe_layer *l, ir_node *variance)
{
    ir_node *epsilon = ir_like(b->g, variance, fe_get_number(l->options, "epsilon"));
    return ir_rsqrt(b->g, ir_add(b->g, variance, epsilon));
}

/* moving = moving * momentum + seen * (1 - momentum); what has decayed below 2^-100 is 0 */
static void update_moving(fe_builder *b, const fe_layer *l, const char *role, ir_node *seen)
{
    ir_graph *g = b->g;
    double momentum = fe_get_number(l->options, "momentum");
    ir_node *old = fe_use_state(b, l, role);
    old = ir_multiply(g, old, ir_like(g, seen, momentum));
    ir_node *fresh = ir_multiply(g, seen, ir_like(g, seen, 1 - momentum));
    ir_node *moved = ir_flush_below(g, ir_add(g, old, fresh), 0x1p-100);
    fe_leave_state(b, l, role, moved);
}

/* Sum over everything but the last dimension. */
static ir_node *sum_features(ir_graph *g, ir_node *x)
{
    int64_t dims[IR_MAX_RANK];
    int count = x->type.rank - 1;
    for (int i = 0; i < count; i++)
        dims[i] = i;
    return ir_reduce(g, "sum", x, dims, count);
}

/* The number of values that each feature's statistics are taken over, as f32[features]. */
static ir_node *count_features(fe_builder *b, const ir_node *x)
{
    ir_graph *g = b->g;
    ir_node *examples = ir_batch_size(g);
    int64_t each = ir_static_count(&x->type) / fe_last_size(&x->type), features = fe_last_size(&x->type);
    ir_node *n = ir_convert(g, ir_multiply(g, examples, ir_like(g, examples, (double)each)), IR_F32);
    return ir_broadcast_scalar(g, n, fe_plain_type(1, &features));
}

/* Ioffe & Szegedy 2015. In training the batch's own statistics normalise (the variance in two passes, biased) and move
 * the running ones (with the unbiased variance); elsewhere, and in a frozen layer, the running ones normalise. */
static ir_node *build_batch_norm(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *x = in[0], *mean, *variance;
    if (!b->training || !l->trainable) {
        mean = fe_use_param(b, l, "moving_mean");
        variance = fe_use_param(b, l, "moving_variance");
        ir_node *centred = ir_subtract(g, x, fe_spread_last(g, mean, x));
        return rescaled(b, l, ir_multiply(g, centred, fe_spread_last(g, inverse_deviation(b, l, variance), x)));
    }
    ir_node *n = count_features(b, x);
    mean = ir_divide(g, sum_features(g, x), n);
    ir_node *centred = ir_subtract(g, x, fe_spread_last(g, mean, x));
    variance = ir_divide(g, sum_features(g, ir_multiply(g, centred, centred)), n);
    ir_node *y = ir_multiply(g, centred, fe_spread_last(g, inverse_deviation(b, l, variance), x));
    ir_node *one = ir_like(g, n, 1);
    ir_node *unbias = ir_divide(g, n, ir_maximum(g, ir_subtract(g, n, one), one));
    update_moving(b, l, "moving_mean", mean);
    update_moving(b, l, "moving_variance", ir_multiply(g, variance, unbias));
    return rescaled(b, l, y);
}

/* Ba et al. 2016, over the last dimension. */
static ir_node *build_layer_norm(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *x = in[0];
    double n = (double)fe_last_size(&x->type);
    ir_node *sum = fe_reduce_last(g, "sum", x);
    ir_node *mean = ir_divide(g, sum, ir_like(g, sum, n));
    ir_node *centred = ir_subtract(g, x, fe_spread_rows(g, mean, x));
    ir_node *squares = fe_reduce_last(g, "sum", ir_multiply(g, centred, centred));
    ir_node *variance = ir_divide(g, squares, ir_like(g, squares, n));
    return rescaled(b, l, ir_multiply(g, centred, fe_spread_rows(g, inverse_deviation(b, l, variance), x)));
}

/* ---- rms_norm, unit_norm ---- */

static bool shape_rms_norm(fe_reader *r, fe_layer *l)
{
    if (!fe_expect_features(r, l))
        return false;
    int64_t features = fe_last_size(&l->in_type[0]);
    l->type = l->in_type[0];
    return fe_add_param(r, l, "gamma", fe_plain_type(1, &features),
                        fe_init_of(l, "gamma_initializer", (double)features, (double)features));
}

static ir_node *sum_squares(ir_graph *g, ir_node *x)
{
    return fe_reduce_last(g, "sum", ir_multiply(g, x, x));
}

/* Zhang & Sennrich 2019: x / sqrt(mean of squares + epsilon) * gamma, over the last dimension. */
static ir_node *build_rms_norm(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *x = in[0], *squares = sum_squares(g, x);
    ir_node *mean = ir_divide(g, squares, ir_like(g, squares, (double)fe_last_size(&x->type)));
    ir_node *scaled = ir_multiply(g, x, fe_spread_rows(g, inverse_deviation(b, l, mean), x));
    return ir_multiply(g, scaled, fe_spread_last(g, fe_use_param(b, l, "gamma"), x));
}

static bool shape_unit_norm(fe_reader *r, fe_layer *l)
{
    return fe_expect_features(r, l) && fe_shape_same(r, l);
}

/* Length 1 along the last dimension, as Keras' unit_normalization: by rsqrt(max(sum of squares, 1e-12)). */
static ir_node *build_unit_norm(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    (void)l;
    ir_graph *g = b->g;
    ir_node *squares = sum_squares(g, in[0]);
    ir_node *inverse = ir_rsqrt(g, ir_maximum(g, squares, ir_like(g, squares, 1e-12)));
    return ir_multiply(g, in[0], fe_spread_rows(g, inverse, in[0]));
}

/* ---- group_norm ---- */

static bool shape_group_norm(fe_reader *r, fe_layer *l)
{
    const fe_option *groups = fe_get(l->options, "groups");
    if (!shape_norm(r, l))
        return false;
    int64_t features = fe_last_size(&l->type);
    if (features % groups->list[0] == 0)
        return true;
    return fe_mismatch(r, groups->at, "groups", arena_printf(r->mem, "a divisor of the %" PRId64 " features", features),
                       arena_printf(r->mem, "%" PRId64, groups->list[0]));
}

/* Wu & He 2018: over all positions and the features of a group, example by example. */
static ir_node *build_group_norm(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    const ir_type *t = &in[0]->type;
    int64_t groups = fe_get_int(l->options, "groups"), each = fe_last_size(t) / groups;
    int64_t positions = ir_static_count(t) / fe_last_size(t);
    const ir_dim split[] = {{1, true}, {positions, false}, {groups, false}, {each, false}};
    const double n = (double)(positions * each);
    ir_node *x = ir_reshape(g, in[0], 4, split);
    ir_node *sum = ir_reduce(g, "sum", x, (int64_t[]){1, 3}, 2);
    ir_node *mean = ir_divide(g, sum, ir_like(g, sum, n));
    ir_node *centred = ir_subtract(g, x, ir_broadcast_in_dim(g, mean, x->type, (int64_t[]){0, 2}));
    ir_node *squares = ir_reduce(g, "sum", ir_multiply(g, centred, centred), (int64_t[]){1, 3}, 2);
    ir_node *inverse = inverse_deviation(b, l, ir_divide(g, squares, ir_like(g, squares, n)));
    ir_node *y = ir_multiply(g, centred, ir_broadcast_in_dim(g, inverse, x->type, (int64_t[]){0, 2}));
    return rescaled(b, l, ir_reshape(g, y, t->rank, t->dim));
}

static const fe_layer_kind rows[] = {
    LAYER(batch_norm, ONE, NULL, shape_batch_norm, build_batch_norm, KEY("momentum", FE_UNIT, "0.99"), NORM_KEYS),
    LAYER(layer_norm, ONE, NULL, shape_norm, build_layer_norm, NORM_KEYS),
    LAYER(group_norm, ONE, "groups", shape_group_norm, build_group_norm, KEY("groups", FE_COUNT, "32"), NORM_KEYS),
    LAYER(rms_norm, ONE, NULL, shape_rms_norm, build_rms_norm, KEY("epsilon", FE_POSITIVE, "1e-6"),
          KEY("gamma_initializer", FE_INITIALIZER, "ones"), KEY("gamma_regularizer", FE_REGULARIZER, NULL)),
    LAYER(unit_norm, ONE, NULL, shape_unit_norm, build_unit_norm, {0}),
};

const fe_rows fe_normalising_layers = FE_ROWS(rows);
