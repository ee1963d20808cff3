/* passes/update/optimizers.c - which optimizer a row names, its options checked, and what their rules share. The rules
 * stand in momentum.c (sgd, lion), adam.c (adam, adamw, lamb, nadam) and adaptive.c (rmsprop, adagrad, adadelta).
 *
 * With a `weight_decay` d every rule finds w - (lr d) w in place of w (Loshchilov & Hutter 2019, as Keras does for all
 * its optimizers and PyTorch for its AdamW): what a gradient's size does to the step does nothing to the decay. */
#include "passes/labels.h"
#include "passes/update/update.h"
#include <string.h>

/* ---- what rules share ---- */

double update_option(const ir_row *row, const char *name, double fallback)
{
    const ir_attr *a = ir_attr_find(row->attrs, name);
    return a && a->count == 1 ? a->number[0] : fallback;
}

double update_own_option(const update *u, const char *name, double fallback)
{
    return update_option(u->group->row, name, fallback);
}

ir_symbol *update_moment(update *u, const char *what, const ir_symbol *p, double init)
{
    ir_module *m = u->graph->module;
    const char *name = arena_printf(m->mem, "%s/%s", what, p->name);
    return update_state(m, SEG_STATE, name, p->type, init, p->loc);
}

ir_node *update_scaled(ir_graph *g, ir_node *x, double by)
{
    return ir_multiply(g, ir_like(g, x, by), x);
}

ir_node *update_times(ir_graph *g, ir_node *scalar, ir_node *x)
{
    return ir_multiply(g, ir_broadcast_scalar(g, scalar, x->type), x);
}

ir_node *update_mean(update *u, ir_symbol *y, double beta, ir_node *x, double least)
{
    ir_graph *at = u->graph;
    ir_node *m = ir_add(at, update_scaled(at, update_read(u, y), beta), x);
    m = ir_flush_below(at, m, least);
    update_assign_later(u, y, m);
    return m;
}

/* The call's, or in a group its multiple: a schedule, and who sets the rate, acts on all groups alike. */
void update_rate(update *u)
{
    ir_node *rate = ir_call_value(u->graph, "learning_rate");
    bool multiple = ir_attr_find(u->group->row->attrs, "rate");
    u->group->rate = multiple ? update_scaled(u->graph, rate, update_own_option(u, "rate", 1)) : rate;
}

void update_decay(update *u)
{
    double decay = update_own_option(u, "weight_decay", 0);
    u->group->decay = decay != 0 ? update_scaled(u->graph, u->group->rate, decay) : NULL;
}

ir_node *update_decayed(const update *u, ir_node *w)
{
    bool decays = u->group->decay && (w->type.rank > 1 || update_own_option(u, "decay_vectors", 0) != 0);
    return decays ? ir_subtract(u->graph, w, update_times(u->graph, u->group->decay, w)) : w;
}

/* ---- which optimizer ---- */

#define ANY_OPTIONS "learning_rate", "weight_decay", "decay_vectors"
#define OPTIONS(...)                                                                                                   \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        ANY_OPTIONS, __VA_ARGS__, NULL                                                                                 \
    }

static const optimizer optimizers[] = {
    {"sgd", OPTIONS("momentum", "nesterov", "rate_in_velocity"), {"sgd.velocity"}, NULL, update_rate, sgd_step},
    {"adam", OPTIONS("beta_1", "beta_2", "epsilon"), {"adam.m", "adam.v"}, adam_powers, adam_scalars, adam_step},
    {"adamw", OPTIONS("beta_1", "beta_2", "epsilon"), {"adam.m", "adam.v"}, adam_powers, adam_scalars, adam_step},
    {"lamb", OPTIONS("beta_1", "beta_2", "epsilon"), {"lamb.m", "lamb.v"}, adam_powers, lamb_scalars, lamb_step},
    {"nadam",
     OPTIONS("beta_1", "beta_2", "epsilon", "momentum_decay"),
     {"nadam.m", "nadam.v"},
     nadam_powers,
     nadam_scalars,
     nadam_step},
    {"rmsprop",
     OPTIONS("rho", "momentum", "epsilon", "centered"),
     {"rmsprop.square", "rmsprop.mean", "rmsprop.velocity"},
     NULL,
     update_rate,
     rmsprop_step},
    {"adagrad", OPTIONS("initial_accumulator_value", "epsilon"), {"adagrad.sum"}, NULL, update_rate, adagrad_step},
    {"adadelta",
     OPTIONS("rho", "epsilon"),
     {"adadelta.square", "adadelta.step_square"},
     NULL,
     update_rate,
     adadelta_step},
    {"lion", OPTIONS("beta_1", "beta_2"), {"lion.m"}, NULL, update_rate, lion_step},
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

static void unknown_optimizer(const ir_row *row, const char *name, const char *const *known, size_t count, diag *d)
{
    arena *tmp = arena_new();
    const char *all = known[0];
    for (size_t i = 1; i < count; i++)
        all = arena_printf(tmp, "%s %s", all, known[i]);
    diag_error(d, row->loc, "expected an optimizer (%s), found '%s'", all, name);
    add_nearest(d, row->loc, name, known, count);
    arena_free(tmp);
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
    unknown_optimizer(row, name, names, COUNT, d);
    return NULL;
}
