/* frontend/catalogue/losses/values.c - losses that compare numbers: mean_squared_error, mean_absolute_error, huber,
 * poisson, cosine_similarity. */
#include "frontend/catalogue/losses/losses.h"

/* Keras' guards against a logarithm of 0 and a division by the length 0. */
static const double LEAST_RATE = 1e-7, LEAST_LENGTH = 1e-7;

static ir_node *build_mean_squared_error(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    ir_node *error = ir_subtract(b->g, in[0], in[1]);
    return fe_mean_each(b->g, ir_multiply(b->g, error, error));
}

static ir_node *build_mean_absolute_error(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    return fe_mean_each(b->g, ir_abs(b->g, ir_subtract(b->g, in[0], in[1])));
}

/* With e = |p - t| and c = min(e, delta): c (e - c/2), which is e^2/2 up to delta and delta (e - delta/2) beyond
 * (Huber 1964). No branch, so no error squares to an infinity. */
static ir_node *build_huber(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *error = ir_abs(g, ir_subtract(g, in[0], in[1]));
    ir_node *cut = ir_minimum(g, error, ir_like(g, error, fe_get_number(l->options, "delta")));
    ir_node *rest = ir_subtract(g, error, fe_scaled(g, cut, 0.5));
    return fe_mean_each(g, ir_multiply(g, cut, rest));
}

/* p - t log(p + 1e-7) of a rate p; of its logarithm x, e^x - t x: the negative log of Poisson's probability of t, but
 * for a term of t alone. */
static ir_node *build_poisson(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    bool is_log = fe_get_bool(l->options, "log_input");
    ir_node *rate = is_log ? ir_exponential(g, in[0]) : in[0];
    ir_node *log_rate = is_log ? in[0] : ir_log(g, ir_add(g, rate, ir_like(g, rate, LEAST_RATE)));
    return fe_mean_each(g, ir_subtract(g, rate, ir_multiply(g, in[1], log_rate)));
}

/* x over its length along the last dimension; a length below 1e-7 counts as that. x is divided by its largest value
 * first, so that no square overflows or vanishes: the length's square is then 1 or more, or x is too short. That value
 * may be taken as a constant, since it has no part in the result. */
static ir_node *unit_vectors(ir_graph *g, ir_node *x)
{
    ir_node *largest = fe_reduce_last(g, "max", ir_abs(g, x));
    largest = ir_stop_gradient(g, ir_maximum(g, largest, ir_like(g, largest, LEAST_LENGTH)));
    ir_node *even = ir_divide(g, x, fe_spread_rows(g, largest, x));
    ir_node *square = fe_reduce_last(g, "sum", ir_multiply(g, even, even)), *one = ir_like(g, square, 1);
    ir_node *length = ir_sqrt(g, ir_select(g, ir_compare(g, "LT", square, one), one, square));
    return ir_divide(g, even, fe_spread_rows(g, length, x));
}

/* Minus the cosine of the angle between the two: -1 where they point the same way. */
static ir_node *build_cosine_similarity(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    ir_node *p = unit_vectors(b->g, in[0]);
    ir_node *t = unit_vectors(b->g, in[1]);
    ir_node *cosine = fe_reduce_last(b->g, "sum", ir_multiply(b->g, p, t));
    return fe_mean_each(b->g, ir_negate(b->g, cosine));
}

#define VALUES(name, check, ...) LOSS(name, "predictions", "targets", false, NULL, check, build_##name, __VA_ARGS__)

static const fe_loss_kind rows[] = {
    VALUES(mean_squared_error, fe_check_equal, NONE),
    VALUES(mean_absolute_error, fe_check_equal, NONE),
    VALUES(huber, fe_check_equal, {"delta", FE_POSITIVE, "1"}),
    VALUES(poisson, fe_check_equal, {"log_input", FE_BOOL, "false"}),
    VALUES(cosine_similarity, fe_check_vectors, NONE),
};

const fe_rows fe_value_losses = FE_ROWS(rows);
