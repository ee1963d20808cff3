/* frontend/catalogue/activations.c - activation functions as graphs, named and defined as in Keras.
 *
 * Two nodes are never made in the arguments of one call: C leaves their order open, and the text must not depend on the
 * compiler that built us. Where a branch is not taken its argument is replaced by a harmless one first: the gradient of
 * select is 0 there, and 0 times the infinity of an overflowed exponential would be NaN. */
#include "frontend/catalogue/catalogue.h"

typedef ir_node *activate_rule(ir_graph *g, const fe_choice *c, ir_node *x);

static ir_node *linear(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)g;
    (void)c;
    return x;
}

/* x <= 0: false for NaN, which so passes. */
static ir_node *not_positive(ir_graph *g, ir_node *x)
{
    return ir_compare(g, "LE", x, ir_like(g, x, 0));
}

static ir_node *scaled(ir_graph *g, ir_node *x, double by)
{
    return ir_multiply(g, x, ir_like(g, x, by));
}

static ir_node *relu(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    ir_node *below = not_positive(g, x);
    return ir_select(g, below, ir_like(g, x, 0), x);
}

static ir_node *leaky_relu(ir_graph *g, const fe_choice *c, ir_node *x)
{
    ir_node *below = not_positive(g, x);
    return ir_select(g, below, scaled(g, x, fe_get_number(c, "negative_slope")), x);
}

/* x > 0 ? x : alpha (e^x - 1) */
static ir_node *exponential_unit(ir_graph *g, ir_node *x, double alpha)
{
    ir_node *below = not_positive(g, x);
    ir_node *safe = ir_select(g, below, x, ir_like(g, x, 0));
    ir_node *power = ir_exponential(g, safe);
    ir_node *curve = ir_subtract(g, power, ir_like(g, x, 1));
    return ir_select(g, below, scaled(g, curve, alpha), x);
}

static ir_node *elu(ir_graph *g, const fe_choice *c, ir_node *x)
{
    return exponential_unit(g, x, fe_get_number(c, "alpha"));
}

/* Klambauer et al. 2017: the fixed point that keeps mean 0 and variance 1. */
static ir_node *selu(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    return scaled(g, exponential_unit(g, x, 1.67326324235437728), 1.05070098735548049);
}

static ir_node *sigmoid(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    return ir_logistic(g, x);
}

static ir_node *tanh_of(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    return ir_tanh(g, x);
}

static ir_node *silu(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    return ir_multiply(g, x, ir_logistic(g, x));
}

/* x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), Hendrycks & Gimpel 2016 */
static ir_node *gelu_by_tanh(ir_graph *g, ir_node *x)
{
    ir_node *cube = ir_multiply(g, ir_multiply(g, x, x), x);
    ir_node *inner = ir_add(g, x, scaled(g, cube, 0.044715));
    ir_node *curve = ir_tanh(g, scaled(g, inner, 0.797884560802865356));
    ir_node *share = ir_add(g, curve, ir_like(g, x, 1));
    return ir_multiply(g, scaled(g, x, 0.5), share);
}

/* x/2 (1 + erf(x / sqrt 2)) */
static ir_node *gelu(ir_graph *g, const fe_choice *c, ir_node *x)
{
    if (fe_get_bool(c, "approximate"))
        return gelu_by_tanh(g, x);
    ir_node *curve = ir_erf(g, scaled(g, x, 0.707106781186547524));
    ir_node *share = ir_add(g, curve, ir_like(g, x, 1));
    return ir_multiply(g, scaled(g, x, 0.5), share);
}

/* max(x, 0) + log(1 + e^-|x|): neither half overflows, and at 0 the shared tie of maximum gives the true slope, 1/2. */
static ir_node *softplus(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    ir_node *rest = ir_log_plus_one(g, ir_exponential(g, ir_negate(g, ir_abs(g, x))));
    return ir_add(g, ir_maximum(g, x, ir_like(g, x, 0)), rest);
}

/* Over the last dimension. The maximum only keeps the exponentials small, so no gradient goes through it. */
static ir_node *softmax(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    ir_node *highest = ir_stop_gradient(g, fe_reduce_last(g, "max", x));
    ir_node *e = ir_exponential(g, ir_subtract(g, x, fe_spread_rows(g, highest, x)));
    return ir_divide(g, e, fe_spread_rows(g, fe_reduce_last(g, "sum", e), x));
}

/* ---- pieces of straight lines ---- */

/* x within [low, high], the edge elsewhere, where the gradient is 0 as it is at relu's. */
static ir_node *between(ir_graph *g, ir_node *x, double low, double high)
{
    ir_node *from = ir_like(g, x, low), *to = ir_like(g, x, high);
    ir_node *below = ir_compare(g, "LE", x, from);
    ir_node *above = ir_compare(g, "GE", x, to);
    return ir_select(g, below, from, ir_select(g, above, to, x));
}

static ir_node *relu6(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    return between(g, x, 0, 6);
}

static ir_node *hard_tanh(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    return between(g, x, -1, 1);
}

/* min(max(x + 3, 0), 6) / 6 */
static ir_node *hard_sigmoid(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    ir_node *moved = ir_add(g, x, ir_like(g, x, 3));
    return scaled(g, between(g, moved, 0, 6), 1.0 / 6);
}

static ir_node *hard_swish(ir_graph *g, const fe_choice *c, ir_node *x)
{
    return ir_multiply(g, x, hard_sigmoid(g, c, x));
}

/* ---- smooth ones ---- */

/* Misra 2019: x tanh(softplus(x)) */
static ir_node *mish(ir_graph *g, const fe_choice *c, ir_node *x)
{
    return ir_multiply(g, x, ir_tanh(g, softplus(g, c, x)));
}

/* x / (1 + |x|) */
static ir_node *softsign(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    ir_node *one = ir_like(g, x, 1);
    return ir_divide(g, x, ir_add(g, ir_abs(g, x), one));
}

static ir_node *exponential(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    return ir_exponential(g, x);
}

/* max(x, 0) + alpha (e^(min(x, 0) / alpha) - 1), Barron 2017 */
static ir_node *celu(ir_graph *g, const fe_choice *c, ir_node *x)
{
    double alpha = fe_get_number(c, "alpha");
    ir_node *below = not_positive(g, x);
    ir_node *safe = ir_select(g, below, x, ir_like(g, x, 0));
    ir_node *power = ir_exponential(g, scaled(g, safe, 1 / alpha));
    ir_node *curve = ir_subtract(g, power, ir_like(g, x, 1));
    return ir_select(g, below, scaled(g, curve, alpha), x);
}

/* -softplus(-x) */
static ir_node *log_sigmoid(ir_graph *g, const fe_choice *c, ir_node *x)
{
    return ir_negate(g, softplus(g, c, ir_negate(g, x)));
}

static ir_node *log_softmax(ir_graph *g, const fe_choice *c, ir_node *x)
{
    (void)c;
    return fe_log_softmax(g, x);
}

typedef struct {
    fe_kind kind;
    activate_rule *activate;
} activation;

static const activation rows[] = {
    {{.name = "linear"}, linear},
    {{.name = "relu"}, relu},
    {{.name = "leaky_relu", .short_key = "negative_slope", .keys = {{"negative_slope", FE_NUMBER, "0.2"}}}, leaky_relu},
    {{.name = "elu", .short_key = "alpha", .keys = {{"alpha", FE_NUMBER, "1"}}}, elu},
    {{.name = "selu"}, selu},
    {{.name = "gelu", .keys = {{"approximate", FE_BOOL, "false"}}}, gelu},
    {{.name = "silu"}, silu},
    {{.name = "softplus"}, softplus},
    {{.name = "sigmoid"}, sigmoid},
    {{.name = "tanh"}, tanh_of},
    {{.name = "softmax"}, softmax},
    {{.name = "log_softmax"}, log_softmax},
    {{.name = "log_sigmoid"}, log_sigmoid},
    {{.name = "relu6"}, relu6},
    {{.name = "hard_sigmoid"}, hard_sigmoid},
    {{.name = "hard_swish"}, hard_swish},
    {{.name = "hard_tanh"}, hard_tanh},
    {{.name = "mish"}, mish},
    {{.name = "softsign"}, softsign},
    {{.name = "celu", .short_key = "alpha", .keys = {{"alpha", FE_POSITIVE, "1"}}}, celu},
    {{.name = "exponential"}, exponential},
};

const fe_catalogue fe_activations = {"activation", FE_ONE_TABLE(rows), {{0}}, NULL};

ir_node *fe_activate(ir_graph *g, const fe_choice *c, ir_node *x)
{
    return ((const activation *)(const void *)c->kind)->activate(g, c, x);
}
