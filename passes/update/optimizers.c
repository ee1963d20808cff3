/* passes/update/optimizers.c - what each optimizer does with a parameter w and its gradient g.
 *     sgd:   w -= lr g;    with momentum:  v = momentum v - lr g,  w += v  (nesterov: w += momentum v - lr g)
 *     adam:  Kingma & Ba 2015, algorithm 1; the bias corrections are folded into one pair of scalars a step:
 *            alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)        eps_t = epsilon sqrt(1 - beta_2^t)
 *            m = beta_1 m + (1 - beta_1) g     v = beta_2 v + ((1 - beta_2) g) g     w -= alpha m / (sqrt(v) + eps_t)
 */
#include "passes/labels.h"
#include "passes/update/update.h"
#include <string.h>

double update_option(const ir_row *row, const char *name, double fallback)
{
    const ir_attr *a = ir_attr_find(row->attrs, name);
    return a && a->count == 1 ? a->number[0] : fallback;
}

static double option(const update *u, const char *name, double fallback)
{
    return update_option(u->group->row, name, fallback);
}

static ir_symbol *moment(update *u, const char *what, const ir_symbol *p)
{
    ir_module *m = u->graph->module;
    const char *name = arena_printf(m->mem, "%s/%s", what, p->name);
    return update_state(m, SEG_STATE, name, p->type, 0, p->loc);
}

static ir_node *scaled(ir_graph *g, ir_node *x, double by)
{
    return ir_multiply(g, ir_like(g, x, by), x);
}

/* Where a gradient is 0, moments only decay, as powers of the betas always do. What is below these is flushed to 0, so
 * that neither a moment nor its product with a learning rate becomes subnormal. A first moment or velocity of 2^-100
 * moves no parameter; a second moment is a square, and its root of 2^-60 still far below any epsilon. */
#define LEAST_MOMENT 0x1p-100
#define LEAST_SQUARE 0x1p-120

/* The call's, or in a group its multiple: a schedule, and who sets the rate, acts on all groups alike. */
static ir_node *learning_rate(update *u)
{
    ir_node *rate = ir_call_value(u->graph, "learning_rate");
    return ir_attr_find(u->group->row->attrs, "rate") ? scaled(u->graph, rate, option(u, "rate", 1)) : rate;
}

/* ---- sgd ---- */

static const char *const sgd_options[] = {"learning_rate", "momentum", "nesterov", NULL};

static void sgd_scalars(update *u)
{
    u->group->rate = learning_rate(u);
}

static ir_node *sgd_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    double momentum = option(u, "momentum", 0);
    ir_node *step = ir_multiply(at, ir_broadcast_scalar(at, u->group->rate, w->type), g);
    if (momentum == 0)
        return ir_subtract(at, w, step);
    ir_symbol *y = moment(u, "sgd.velocity", p);
    ir_node *v = ir_subtract(at, scaled(at, update_read(u, y), momentum), step);
    v = ir_flush_below(at, v, LEAST_MOMENT);
    update_assign_later(u, y, v);
    if (option(u, "nesterov", 0) != 0)
        v = ir_subtract(at, scaled(at, v, momentum), step);
    return ir_add(at, w, v);
}

/* ---- adam ---- */

static const char *const adam_options[] = {"learning_rate", "beta_1", "beta_2", "epsilon", NULL};

static const optimizer_power adam_powers[2] = {{"adam.beta_1_power", "beta_1", 0.9},
                                               {"adam.beta_2_power", "beta_2", 0.999}};

static ir_node *assigned(const update *u, const ir_symbol *y)
{
    for (size_t i = 0; i < u->nassigns; i++)
        if (u->assigns[i].symbol == y)
            return u->assigns[i].value;
    return NULL;
}

/* 1 - beta^t, from the state that holds beta^(t - 1). */
static ir_node *one_minus_power(update *u, const optimizer_power *p)
{
    ir_graph *at = u->graph;
    const char *name = update_power_name(u->groups, u->group, p, u->mem);
    double beta = option(u, p->option, p->fallback);
    ir_symbol *y = update_state(at->module, SEG_STATE, name, ir_type_scalar(IR_F32), 1, u->group->row->loc);
    ir_node *power = assigned(u, y);
    if (!power) {
        power = ir_flush_below(at, scaled(at, update_read(u, y), beta), LEAST_MOMENT);
        update_assign_later(u, y, power);
    }
    return ir_subtract(at, ir_like(at, power, 1), power);
}

static void adam_scalars(update *u)
{
    ir_graph *at = u->graph;
    u->group->rate = learning_rate(u);
    ir_node *first = one_minus_power(u, &adam_powers[0]);
    ir_node *root = ir_sqrt(at, one_minus_power(u, &adam_powers[1]));
    u->group->alpha = ir_divide(at, ir_multiply(at, u->group->rate, root), first);
    u->group->eps = scaled(at, root, option(u, "epsilon", 1e-7));
}

static ir_node *adam_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    double beta_1 = option(u, "beta_1", 0.9), beta_2 = option(u, "beta_2", 0.999);
    ir_symbol *my = moment(u, "adam.m", p), *vy = moment(u, "adam.v", p);
    ir_node *m = ir_add(at, scaled(at, update_read(u, my), beta_1), scaled(at, g, 1 - beta_1));
    ir_node *square = ir_multiply(at, scaled(at, g, 1 - beta_2), g);
    ir_node *v = ir_add(at, scaled(at, update_read(u, vy), beta_2), square);
    m = ir_flush_below(at, m, LEAST_MOMENT);
    v = ir_flush_below(at, v, LEAST_SQUARE);
    update_assign_later(u, my, m);
    update_assign_later(u, vy, v);
    ir_node *over = ir_multiply(at, ir_broadcast_scalar(at, u->group->alpha, w->type), m);
    ir_node *under = ir_add(at, ir_sqrt(at, v), ir_broadcast_scalar(at, u->group->eps, w->type));
    return ir_subtract(at, w, ir_divide(at, over, under));
}

/* ---- which optimizer ---- */

static const optimizer optimizers[] = {
    {"sgd", sgd_options, {"sgd.velocity"}, NULL, sgd_scalars, sgd_step},
    {"adam", adam_options, {"adam.m", "adam.v"}, adam_powers, adam_scalars, adam_step},
};

static void add_nearest(diag *d, src_loc at, const char *name, const char *const *known, size_t count)
{
    const char *near = diag_nearest(name, known, count);
    if (near)
        diag_note(d, at, "did you mean '%s'?", near);
}

/* What a group says besides its optimizer's options. */
static bool is_group_option(const ir_row *row, const char *name)
{
    return !strcmp(row->kind, "group") && (!strcmp(name, "optimizer") || !strcmp(name, "rate"));
}

static bool check_options(const optimizer *o, const ir_row *row, diag *d)
{
    for (const ir_attr *a = row->attrs; a; a = a->next) {
        size_t count = 0;
        bool known = is_group_option(row, a->name);
        for (; o->options[count]; count++)
            known |= !strcmp(o->options[count], a->name);
        if (!known) {
            diag_error(d, row->loc, "%s: there is no option '%s'", o->name, a->name);
            add_nearest(d, row->loc, a->name, o->options, count);
            return false;
        }
        if (a->count != 1 && strcmp(a->name, "optimizer")) {
            diag_error(d, row->loc, "%s: expected one number for '%s'", o->name, a->name);
            return false;
        }
    }
    return true;
}

const optimizer *update_optimizer(const ir_row *row, diag *d)
{
    enum { COUNT = sizeof optimizers / sizeof *optimizers };
    const char *names[COUNT], *name = label_optimizer(row);
    for (size_t i = 0; i < COUNT; i++) {
        names[i] = optimizers[i].name;
        if (!strcmp(name, names[i]))
            return check_options(&optimizers[i], row, d) ? &optimizers[i] : NULL;
    }
    diag_error(d, row->loc, "expected an optimizer (sgd adam), found '%s'", name);
    add_nearest(d, row->loc, name, names, COUNT);
    return NULL;
}
