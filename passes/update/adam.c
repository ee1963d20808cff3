/* passes/update/adam.c - optimizers with moments whose bias is corrected. t counts steps from 1.
 *     adam:  Kingma & Ba 2015, algorithm 1; the bias corrections are folded into one pair of scalars a step:
 *            alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)        eps_t = epsilon sqrt(1 - beta_2^t)
 *            m = beta_1 m + (1 - beta_1) g     v = beta_2 v + ((1 - beta_2) g) g     w -= alpha m / (sqrt(v) + eps_t)
 *     adamw: the same; its weight decay is not 0 where nothing is said
 *     lamb:  You et al. 2019, as Keras has it: adam's step u, taken as far as the parameter is long,
 *            u = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)
 *            w -= lr (|w| / |u|) u, over each parameter by itself, and lr u where one of the lengths is 0.
 *            In the paper, weight decay is a part of u
 *     nadam: Dozat 2016, as PyTorch has it; Keras' is the one with a momentum_decay of 1. The same m and v,
 *            mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2)      c_t = mu_1 mu_2 ... mu_t
 *            u = mu_(t+1) m / (1 - c_t mu_(t+1)) + (1 - mu_t) g / (1 - c_t)
 *            w -= lr u / (sqrt(v / (1 - beta_2^t)) + epsilon)
 */
#include "passes/update/update.h"
#include <math.h>

static ir_node *assigned(const update *u, const ir_symbol *y)
{
    for (size_t i = 0; i < u->nassigns; i++)
        if (u->assigns[i].symbol == y)
            return u->assigns[i].value;
    return NULL;
}

/* What a power is after this step: times a scalar, or times a number where there is none. */
static ir_node *next_power(update *u, const optimizer_power *p, ir_node *scalar, double number)
{
    ir_graph *at = u->graph;
    const char *name = update_power_name(u->groups, u->group, p, u->mem);
    ir_symbol *y = update_state(at->module, SEG_STATE, name, ir_type_scalar(IR_F32), 1, u->group->row->loc);
    ir_node *power = assigned(u, y);
    if (!power) {
        ir_node *before = update_read(u, y);
        power = scalar ? ir_multiply(at, scalar, before) : update_scaled(at, before, number);
        power = ir_flush_below(at, power, LEAST_MOMENT);
        update_assign_later(u, y, power);
    }
    return power;
}

static ir_node *one_minus(ir_graph *g, ir_node *x)
{
    return ir_subtract(g, ir_like(g, x, 1), x);
}

/* 1 - beta^t, from the state that holds beta^(t - 1). */
static ir_node *one_minus_power(update *u, const optimizer_power *p)
{
    return one_minus(u->graph, next_power(u, p, NULL, update_own_option(u, p->option, p->fallback)));
}

typedef struct {
    ir_node *m, *v;
} moments;

static moments next_moments(update *u, ir_symbol *my, ir_symbol *vy, ir_node *g)
{
    ir_graph *at = u->graph;
    double beta_1 = update_own_option(u, "beta_1", 0.9), beta_2 = update_own_option(u, "beta_2", 0.999);
    ir_node *fresh = update_scaled(at, g, 1 - beta_1);
    ir_node *m = ir_add(at, update_scaled(at, update_read(u, my), beta_1), fresh);
    ir_node *square = ir_multiply(at, update_scaled(at, g, 1 - beta_2), g);
    ir_node *v = ir_add(at, update_scaled(at, update_read(u, vy), beta_2), square);
    m = ir_flush_below(at, m, LEAST_MOMENT);
    v = ir_flush_below(at, v, LEAST_SQUARE);
    update_assign_later(u, my, m);
    update_assign_later(u, vy, v);
    return (moments){m, v};
}

/* sqrt(v) + eps_t */
static ir_node *denominator(const update *u, ir_node *v)
{
    ir_graph *at = u->graph;
    ir_node *eps = ir_broadcast_scalar(at, u->group->eps, v->type);
    return ir_add(at, ir_sqrt(at, v), eps);
}

/* ---- adam, adamw ---- */

const optimizer_power adam_powers[] = {{.state = "adam.beta_1_power", .option = "beta_1", .fallback = 0.9},
                                       {.state = "adam.beta_2_power", .option = "beta_2", .fallback = 0.999},
                                       {0}};

/* alpha = over sqrt(1 - beta_2^t) / (1 - beta_1^t), where NULL is 1; and eps_t. */
static void bias_corrections(update *u, ir_node *over)
{
    ir_graph *at = u->graph;
    ir_node *first = one_minus_power(u, &adam_powers[0]);
    ir_node *root = ir_sqrt(at, one_minus_power(u, &adam_powers[1]));
    u->group->alpha = ir_divide(at, over ? ir_multiply(at, over, root) : root, first);
    u->group->eps = update_scaled(at, root, update_own_option(u, "epsilon", 1e-7));
}

void adam_scalars(update *u)
{
    update_rate(u);
    bias_corrections(u, u->group->rate);
}

ir_node *adam_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    ir_symbol *m = update_moment(u, "adam.m", p, 0), *v = update_moment(u, "adam.v", p, 0);
    moments of = next_moments(u, m, v, g);
    ir_node *over = update_times(at, u->group->alpha, of.m);
    return ir_subtract(at, w, ir_divide(at, over, denominator(u, of.v)));
}

/* ---- lamb ---- */

void lamb_scalars(update *u)
{
    update_rate(u);
    bias_corrections(u, NULL);
}

static ir_node *length(ir_graph *g, ir_node *x)
{
    return ir_sqrt(g, update_sum_of_squares(g, x));
}

/* |w| / |step|, but 1 where one of them is 0. */
static ir_node *trust_ratio(ir_graph *g, ir_node *w, ir_node *step)
{
    ir_node *of_w = length(g, w), *of_step = length(g, step);
    ir_node *zero = ir_like(g, of_w, 0), *one = ir_like(g, of_w, 1);
    ir_node *ratio = ir_divide(g, of_w, of_step);
    ratio = ir_select(g, ir_compare(g, "GT", of_step, zero), ratio, one);
    return ir_select(g, ir_compare(g, "GT", of_w, zero), ratio, one);
}

ir_node *lamb_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    ir_symbol *m = update_moment(u, "lamb.m", p, 0), *v = update_moment(u, "lamb.v", p, 0);
    moments of = next_moments(u, m, v, g);
    ir_node *step = ir_divide(at, update_times(at, u->group->alpha, of.m), denominator(u, of.v));
    ir_node *rate = ir_multiply(at, u->group->rate, trust_ratio(at, w, step));
    return ir_subtract(at, w, update_times(at, rate, step));
}

/* ---- nadam ---- */

const optimizer_power nadam_powers[] = {{.state = "nadam.beta_2_power", .option = "beta_2", .fallback = 0.999},
                                        {.state = "nadam.decay_power", .option = "momentum_decay", .fallback = 0.004},
                                        {"nadam.momentum_product", "beta_1", 0.9, "momentum_decay", 0.004},
                                        {0}};

/* beta_1 (1 - power / 2) */
static ir_node *momentum_at(update *u, ir_node *power)
{
    return update_scaled(u->graph, one_minus(u->graph, update_scaled(u->graph, power, 0.5)),
                         update_own_option(u, "beta_1", 0.9));
}

void nadam_scalars(update *u)
{
    ir_graph *at = u->graph;
    update_rate(u);
    double each = pow(0.96, update_own_option(u, "momentum_decay", 0.004));
    ir_node *root = ir_sqrt(at, one_minus_power(u, &nadam_powers[0]));
    ir_node *power = next_power(u, &nadam_powers[1], NULL, each);
    ir_node *momentum = momentum_at(u, power), *next = momentum_at(u, update_scaled(at, power, each));
    ir_node *product = next_power(u, &nadam_powers[2], momentum, 0);
    ir_node *rate = ir_multiply(at, u->group->rate, root);
    ir_node *of_moment = ir_divide(at, next, one_minus(at, ir_multiply(at, product, next)));
    u->group->alpha = ir_multiply(at, rate, of_moment);
    ir_node *below = one_minus(at, product);
    u->group->of_gradient = ir_multiply(at, rate, ir_divide(at, one_minus(at, momentum), below));
    u->group->eps = update_scaled(at, root, update_own_option(u, "epsilon", 1e-7));
}

ir_node *nadam_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    ir_symbol *m = update_moment(u, "nadam.m", p, 0), *v = update_moment(u, "nadam.v", p, 0);
    moments of = next_moments(u, m, v, g);
    ir_node *of_gradient = update_times(at, u->group->of_gradient, g);
    ir_node *over = ir_add(at, update_times(at, u->group->alpha, of.m), of_gradient);
    return ir_subtract(at, w, ir_divide(at, over, denominator(u, of.v)));
}
