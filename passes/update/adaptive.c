/* passes/update/adaptive.c - optimizers that divide by a root of squared gradients.
 *     rmsprop:   Tieleman & Hinton 2012, as PyTorch has it:
 *                v = rho v + (1 - rho) g g      u = g / (sqrt(v) + epsilon)
 *                centered: a = rho a + (1 - rho) g, and v - a a under the root
 *                w -= lr u;  with momentum:  b = momentum b + u,  w -= lr b
 *     adagrad:   Duchi et al. 2011, as PyTorch has it:  s = s + g g      w -= lr g / (sqrt(s) + epsilon)
 *     adadelta:  Zeiler 2012, as PyTorch and Keras have it:
 *                v = rho v + (1 - rho) g g      u = g sqrt(x + epsilon) / sqrt(v + epsilon)
 *                x = rho x + (1 - rho) u u      w -= lr u
 * Keras differs in the place of epsilon, which in its rmsprop and adagrad stands under the root, and in that its
 * velocity b has lr within. A rounded v - a a may be below 0, and counts as 0 then. */
#include "passes/update/update.h"

/* The square's mean with that of x. */
static ir_node *square_mean(update *u, ir_symbol *y, ir_node *x)
{
    double rho = update_own_option(u, "rho", 0.9);
    return update_mean(u, y, rho, ir_multiply(u->graph, update_scaled(u->graph, x, 1 - rho), x), LEAST_SQUARE);
}

static ir_node *plus_epsilon(update *u, ir_node *x, double fallback)
{
    return ir_add(u->graph, x, ir_like(u->graph, x, update_own_option(u, "epsilon", fallback)));
}

static ir_node *minus_rate_times(update *u, ir_node *w, ir_node *x)
{
    return ir_subtract(u->graph, w, update_times(u->graph, u->group->rate, x));
}

/* v - a a */
static ir_node *variance(update *u, const ir_symbol *p, ir_node *square, ir_node *g)
{
    ir_graph *at = u->graph;
    double rho = update_own_option(u, "rho", 0.9);
    ir_symbol *y = update_moment(u, "rmsprop.mean", p, 0);
    ir_node *mean = update_mean(u, y, rho, update_scaled(at, g, 1 - rho), LEAST_MOMENT);
    ir_node *rest = ir_subtract(at, square, ir_multiply(at, mean, mean));
    return ir_maximum(at, ir_like(at, g, 0), rest);
}

ir_node *rmsprop_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    double momentum = update_own_option(u, "momentum", 0);
    ir_node *v = square_mean(u, update_moment(u, "rmsprop.square", p, 0), g);
    if (update_own_option(u, "centered", 0) != 0)
        v = variance(u, p, v, g);
    ir_node *step = ir_divide(at, g, plus_epsilon(u, ir_sqrt(at, v), 1e-7));
    if (momentum != 0)
        step = update_mean(u, update_moment(u, "rmsprop.velocity", p, 0), momentum, step, LEAST_MOMENT);
    return minus_rate_times(u, w, step);
}

ir_node *adagrad_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    double initial = update_own_option(u, "initial_accumulator_value", 0.1);
    ir_symbol *y = update_moment(u, "adagrad.sum", p, initial);
    ir_node *square = ir_multiply(at, g, g);
    ir_node *sum = ir_flush_below(at, ir_add(at, update_read(u, y), square), LEAST_SQUARE);
    update_assign_later(u, y, sum);
    return minus_rate_times(u, w, ir_divide(at, g, plus_epsilon(u, ir_sqrt(at, sum), 1e-7)));
}

ir_node *adadelta_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    ir_symbol *x = update_moment(u, "adadelta.step_square", p, 0);
    ir_node *v = square_mean(u, update_moment(u, "adadelta.square", p, 0), g);
    ir_node *root = ir_sqrt(at, plus_epsilon(u, update_read(u, x), 1e-6));
    ir_node *below = ir_sqrt(at, plus_epsilon(u, v, 1e-6));
    ir_node *step = ir_divide(at, ir_multiply(at, root, g), below);
    square_mean(u, x, step);
    return minus_rate_times(u, w, step);
}
