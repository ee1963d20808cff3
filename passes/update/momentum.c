/* passes/update/momentum.c - optimizers that keep a direction.
 *     sgd:   w -= lr g;    with momentum:  v = momentum v - lr g,  w += v  (nesterov: w += momentum v - lr g)
 *            as Keras has it; with rate_in_velocity 0 as PyTorch does, which differs where the rate changes:
 *            v = momentum v + g,  w -= lr v  (nesterov: w -= lr (g + momentum v))
 *     lion:  Chen et al. 2023, algorithm 2, as Keras has it (PyTorch has none):
 *            w -= lr sign(beta_1 m + (1 - beta_1) g)      m = beta_2 m + (1 - beta_2) g */
#include "passes/update/update.h"

/* w - lr v, v being a mean of gradients. */
static ir_node *pytorch_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    double momentum = update_own_option(u, "momentum", 0);
    ir_node *v = update_mean(u, update_moment(u, "sgd.velocity", p, 0), momentum, g, LEAST_MOMENT);
    if (update_own_option(u, "nesterov", 0) != 0)
        v = ir_add(at, g, update_scaled(at, v, momentum));
    return ir_subtract(at, w, update_times(at, u->group->rate, v));
}

ir_node *sgd_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    double momentum = update_own_option(u, "momentum", 0);
    if (momentum != 0 && update_own_option(u, "rate_in_velocity", 1) == 0)
        return pytorch_step(u, p, w, g);
    ir_node *step = update_times(at, u->group->rate, g);
    if (momentum == 0)
        return ir_subtract(at, w, step);
    ir_symbol *y = update_moment(u, "sgd.velocity", p, 0);
    ir_node *v = ir_subtract(at, update_scaled(at, update_read(u, y), momentum), step);
    v = ir_flush_below(at, v, LEAST_MOMENT);
    update_assign_later(u, y, v);
    if (update_own_option(u, "nesterov", 0) != 0)
        v = ir_subtract(at, update_scaled(at, v, momentum), step);
    return ir_add(at, w, v);
}

ir_node *lion_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    double beta_1 = update_own_option(u, "beta_1", 0.9), beta_2 = update_own_option(u, "beta_2", 0.99);
    ir_symbol *y = update_moment(u, "lion.m", p, 0);
    ir_node *fresh = update_scaled(at, g, 1 - beta_1);
    ir_node *toward = ir_add(at, update_scaled(at, update_read(u, y), beta_1), fresh);
    update_mean(u, y, beta_2, update_scaled(at, g, 1 - beta_2), LEAST_MOMENT);
    return ir_subtract(at, w, update_times(at, u->group->rate, ir_sign(at, toward)));
}
