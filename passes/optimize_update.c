/* passes/optimize_update.c - from gradients to new parameters, as the module's `row optimizer` says.
 *     train_step:  param_gradient @w %g      =>      train_step:  assign @w <- update(w, g, moments)
 *                                                    gradients:   assign @gradient/w <- g
 *                                                    update:      assign @w <- update(w, @gradient/w, moments)
 * gradients then update gives train_step's bits: both updates are made by the same function here. All assigns stand at
 * the function's end, after every read.
 *     sgd:   w -= lr g;    with momentum:  v = momentum v - lr g,  w += v  (nesterov: w += momentum v - lr g)
 *     adam:  Kingma & Ba 2015, algorithm 1; the bias corrections are folded into one pair of scalars a step:
 *            alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)        eps_t = epsilon sqrt(1 - beta_2^t)
 *            m = beta_1 m + (1 - beta_1) g     v = beta_2 v + ((1 - beta_2) g) g     w -= alpha m / (sqrt(v) + eps_t)
 * Needs:  autodiff.      Keeps:  the forward and backward graph.      Leaves no param_gradient. */
#include "ir/graph/build.h"
#include "passes/labels.h"
#include "passes/passes.h"
#include <string.h>

typedef struct {
    ir_graph *graph;
    const ir_row *row;
    ir_symbol **symbol; /* assigns to come, in order */
    ir_node **value;
    int nassigns;
    ir_map *readers;             /* read_symbol's */
    ir_node *rate, *alpha, *eps; /* scalars of this step */
} update;

typedef struct {
    const char *name;
    const char *const *options;
    const char *moments[2], *powers[2]; /* states: "adam.m/NAME" for each parameter; scalars of f32 */
    void (*scalars)(update *u);
    ir_node *(*step)(update *u, const ir_symbol *p, ir_node *w, ir_node *g);
    int assigns; /* of one parameter, itself included, and those of the step; an upper bound of each */
} optimizer;

/* ---- pieces ---- */

static double option(const update *u, const char *name, double fallback)
{
    const ir_attr *a = ir_attr_find(u->row->attrs, name);
    return a && a->count == 1 ? a->number[0] : fallback;
}

/* The state of that name, made on first use: it starts as 'init' in every element. */
static ir_symbol *state_symbol(ir_module *m, ir_segment s, const char *name, ir_type type, double init, src_loc loc)
{
    ir_symbol *y = ir_symbol_find(m, name);
    if (y)
        return y;
    y = ir_symbol_new(m, s, name, type, loc);
    if (s == SEG_STATE) {
        ir_attr_set_word(m->mem, &y->attrs, "init", "constant");
        ir_attr_set_numbers(m->mem, &y->attrs, "a", &init, 1);
    }
    return y;
}

static ir_symbol *moment(update *u, const char *what, const ir_symbol *p)
{
    ir_module *m = u->graph->module;
    const char *name = arena_printf(m->mem, "%s/%s", what, p->name);
    return state_symbol(m, SEG_STATE, name, p->type, 0, p->loc);
}

/* The function's nodes that read symbols, by symbol: the first of each. */
static ir_map *readers_of(const ir_graph *g, arena *mem)
{
    ir_map *readers = ir_map_new(mem, IR_MAP_POINTERS);
    for (ir_node *n = g->first; n; n = n->next)
        if ((n->op == IR_STATE || n->op == IR_PARAM) && !ir_map_get(readers, n->symbol))
            ir_map_set(readers, n->symbol, n);
    return readers;
}

/* The node that reads y, or a new one. */
static ir_node *read_symbol(update *u, ir_symbol *y)
{
    ir_node *n = ir_map_get(u->readers, y);
    if (!n) {
        n = y->segment == SEG_PARAM ? ir_param(u->graph, y) : ir_state(u->graph, y);
        ir_map_set(u->readers, y, n);
    }
    return n;
}

static void assign_later(update *u, ir_symbol *y, ir_node *value)
{
    u->symbol[u->nassigns] = y;
    u->value[u->nassigns++] = value;
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

/* ---- sgd ---- */

static const char *const sgd_options[] = {"learning_rate", "momentum", "nesterov", NULL};

static void sgd_scalars(update *u)
{
    u->rate = ir_call_value(u->graph, "learning_rate");
}

static ir_node *sgd_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    double momentum = option(u, "momentum", 0);
    ir_node *step = ir_multiply(at, ir_broadcast_scalar(at, u->rate, w->type), g);
    if (momentum == 0)
        return ir_subtract(at, w, step);
    ir_symbol *y = moment(u, "sgd.velocity", p);
    ir_node *v = ir_subtract(at, scaled(at, read_symbol(u, y), momentum), step);
    v = ir_flush_below(at, v, LEAST_MOMENT);
    assign_later(u, y, v);
    if (option(u, "nesterov", 0) != 0)
        v = ir_subtract(at, scaled(at, v, momentum), step);
    return ir_add(at, w, v);
}

/* ---- adam ---- */

static const char *const adam_options[] = {"learning_rate", "beta_1", "beta_2", "epsilon", NULL};

/* 1 - beta^t, from the state that holds beta^(t - 1). */
static ir_node *one_minus_power(update *u, const char *name, double beta)
{
    ir_graph *at = u->graph;
    ir_symbol *y = state_symbol(at->module, SEG_STATE, name, ir_type_scalar(IR_F32), 1, u->row->loc);
    ir_node *power = ir_flush_below(at, scaled(at, read_symbol(u, y), beta), LEAST_MOMENT);
    assign_later(u, y, power);
    return ir_subtract(at, ir_like(at, power, 1), power);
}

static void adam_scalars(update *u)
{
    ir_graph *at = u->graph;
    u->rate = ir_call_value(at, "learning_rate");
    ir_node *first = one_minus_power(u, "adam.beta_1_power", option(u, "beta_1", 0.9));
    ir_node *root = ir_sqrt(at, one_minus_power(u, "adam.beta_2_power", option(u, "beta_2", 0.999)));
    u->alpha = ir_divide(at, ir_multiply(at, u->rate, root), first);
    u->eps = scaled(at, root, option(u, "epsilon", 1e-7));
}

static ir_node *adam_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g)
{
    ir_graph *at = u->graph;
    double beta_1 = option(u, "beta_1", 0.9), beta_2 = option(u, "beta_2", 0.999);
    ir_symbol *my = moment(u, "adam.m", p), *vy = moment(u, "adam.v", p);
    ir_node *m = ir_add(at, scaled(at, read_symbol(u, my), beta_1), scaled(at, g, 1 - beta_1));
    ir_node *square = ir_multiply(at, scaled(at, g, 1 - beta_2), g);
    ir_node *v = ir_add(at, scaled(at, read_symbol(u, vy), beta_2), square);
    m = ir_flush_below(at, m, LEAST_MOMENT);
    v = ir_flush_below(at, v, LEAST_SQUARE);
    assign_later(u, my, m);
    assign_later(u, vy, v);
    ir_node *over = ir_multiply(at, ir_broadcast_scalar(at, u->alpha, w->type), m);
    ir_node *under = ir_add(at, ir_sqrt(at, v), ir_broadcast_scalar(at, u->eps, w->type));
    return ir_subtract(at, w, ir_divide(at, over, under));
}

/* ---- which optimizer ---- */

static const optimizer optimizers[] = {
    {"sgd", sgd_options, {"sgd.velocity"}, {NULL}, sgd_scalars, sgd_step, 2},
    {"adam",
     adam_options,
     {"adam.m", "adam.v"},
     {"adam.beta_1_power", "adam.beta_2_power"},
     adam_scalars,
     adam_step,
     3},
};

static void add_nearest(diag *d, src_loc at, const char *name, const char *const *known, size_t count)
{
    const char *near = diag_nearest(name, known, count);
    if (near)
        diag_note(d, at, "did you mean '%s'?", near);
}

static bool check_options(const optimizer *o, const ir_row *row, diag *d)
{
    for (const ir_attr *a = row->attrs; a; a = a->next) {
        size_t count = 0;
        bool known = false;
        for (; o->options[count]; count++)
            known |= !strcmp(o->options[count], a->name);
        if (!known) {
            diag_error(d, row->loc, "%s: there is no option '%s'", o->name, a->name);
            add_nearest(d, row->loc, a->name, o->options, count);
            return false;
        }
        if (a->count != 1) {
            diag_error(d, row->loc, "%s: expected one number for '%s'", o->name, a->name);
            return false;
        }
    }
    return true;
}

static const optimizer *find_optimizer(const ir_row *row, diag *d)
{
    enum { COUNT = sizeof optimizers / sizeof *optimizers };
    const char *names[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        names[i] = optimizers[i].name;
        if (!strcmp(row->name, names[i]))
            return check_options(&optimizers[i], row, d) ? &optimizers[i] : NULL;
    }
    diag_error(d, row->loc, "expected an optimizer (sgd adam), found '%s'", row->name);
    add_nearest(d, row->loc, row->name, names, COUNT);
    return NULL;
}

/* ---- the functions ---- */

typedef struct {
    int count;
    ir_symbol **param;
    ir_node **value;
    int64_t *stage;
} gradients;

static void aim(ir_graph *g, src_loc loc, const char *label, int64_t stage)
{
    g->before = NULL;
    g->at = loc;
    g->at_label = label;
    g->at_stage = stage;
}

static const char *update_label(arena *mem, const char *param)
{
    const char *layer = label_layer(mem, param);
    return arena_printf(mem, "%s.update", layer ? layer : param);
}

/* Take g's param_gradients out of it. */
static gradients take_gradients(ir_graph *g, arena *mem)
{
    gradients all = {0};
    size_t count = (size_t)ir_number(g);
    all.param = arena_new_array(mem, ir_symbol *, count + 1);
    all.value = arena_new_array(mem, ir_node *, count + 1);
    all.stage = arena_new_array(mem, int64_t, count + 1);
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op != IR_PARAM_GRADIENT)
            continue;
        all.param[all.count] = n->symbol;
        all.value[all.count] = n->in[0];
        all.stage[all.count++] = ir_int(n, "stage", 0);
        ir_unlink(n);
    }
    return all;
}

/* The update of every parameter at the end of g, then all assigns. */
static void add_update(ir_graph *g, const ir_row *row, const optimizer *o, const gradients *all)
{
    arena *tmp = arena_new(), *mem = g->module->mem;
    size_t most = (size_t)all->count * (size_t)o->assigns + 4;
    update u = {.graph = g, .row = row, .readers = readers_of(g, tmp)};
    u.symbol = arena_new_array(tmp, ir_symbol *, most);
    u.value = arena_new_array(tmp, ir_node *, most);
    const char **label = arena_new_array(tmp, const char *, most);
    int64_t *stage = arena_new_array(tmp, int64_t, most);

    label[0] = arena_printf(mem, "%s.step", o->name);
    aim(g, row->loc, label[0], 0);
    ir_symbol *step = state_symbol(g->module, SEG_STATE, "step", ir_type_scalar(IR_I64), 0, row->loc);
    ir_node *t = read_symbol(&u, step);
    assign_later(&u, step, ir_add(g, t, ir_like(g, t, 1)));
    o->scalars(&u);
    for (int i = 1; i < u.nassigns; i++)
        label[i] = label[0];
    for (int p = 0; p < all->count; p++) {
        int first = u.nassigns;
        ir_symbol *y = all->param[p];
        aim(g, y->loc, update_label(mem, y->name), all->stage[p]);
        assign_later(&u, y, o->step(&u, y, read_symbol(&u, y), all->value[p]));
        for (int i = first; i < u.nassigns; i++) {
            label[i] = g->at_label;
            stage[i] = all->stage[p];
        }
    }
    for (int i = 0; i < u.nassigns; i++) {
        aim(g, u.value[i]->loc, label[i], stage[i]);
        ir_assign(g, u.symbol[i], u.value[i]);
    }
    aim(g, (src_loc){0}, NULL, 0);
    arena_free(tmp);
}

static ir_symbol *gradient_symbol(ir_module *m, const ir_symbol *p)
{
    return state_symbol(m, SEG_GRADIENT, arena_printf(m->mem, "gradient/%s", p->name), p->type, 0, p->loc);
}

/* Of this call's examples alone: who runs several micro-batches a step adds them up (runtime/model/accumulate.c). */
static void store_gradients(ir_graph *g, const gradients *all)
{
    for (int i = 0; i < all->count; i++) {
        aim(g, all->value[i]->loc, all->value[i]->label, all->stage[i]);
        ir_assign(g, gradient_symbol(g->module, all->param[i]), all->value[i]);
    }
    aim(g, (src_loc){0}, NULL, 0);
}

static void make_update(ir_module *m, const ir_row *row, const optimizer *o, const gradients *of_step, src_loc loc,
                        arena *tmp)
{
    ir_graph *g = ir_function_new(m, "update", loc);
    gradients all = *of_step;
    all.value = arena_new_array(tmp, ir_node *, (size_t)all.count + 1);
    for (int i = 0; i < all.count; i++) {
        aim(g, all.param[i]->loc, update_label(m->mem, all.param[i]->name), all.stage[i]);
        all.value[i] = ir_state(g, gradient_symbol(m, all.param[i]));
    }
    add_update(g, row, o, &all);
}

static bool has_gradients(const ir_graph *g)
{
    for (const ir_node *n = g->first; n; n = n->next)
        if (n->op == IR_PARAM_GRADIENT)
            return true;
    return false;
}

/* ---- what a text may have in the way ---- */

static bool reads(const ir_node *n, const ir_symbol *y)
{
    while (n->op == IR_RESHAPE)
        n = n->in[0];
    return (n->op == IR_PARAM || n->op == IR_STATE) && n->symbol == y;
}

/* A symbol that the update assigns: of the type it takes it for, and nobody else's to assign or to return. */
static bool check_symbol(const ir_graph *step, const ir_map *assigns, const char *name, ir_segment segment,
                         ir_type type, diag *d)
{
    const ir_symbol *y = ir_symbol_find(step->module, name);
    if (!y)
        return true;
    if (y->segment != segment || !ir_type_equal(&y->type, &type)) {
        diag_error(d, y->loc, "@%s: expected a %s of the optimizer's type for it", name, ir_segment_name(segment));
        return false;
    }
    const ir_node *assign = ir_map_get(assigns, y);
    if (assign) {
        diag_error(d, assign->loc, "assign: @%s is the optimizer's to assign", name);
        return false;
    }
    for (int i = 0; i < step->nresults; i++)
        if (reads(step->results[i], y)) {
            diag_error(d, step->loc, "function @%s returns the value on entry of @%s, which the optimizer assigns",
                       step->name, name);
            return false;
        }
    return true;
}

static bool check_parameter(const ir_graph *step, const ir_map *assigns, const optimizer *o, const ir_node *gradient,
                            diag *d)
{
    const ir_symbol *p = gradient->symbol;
    arena *mem = step->module->mem;
    bool ok = p->type.dtype == IR_F32;
    if (!ok)
        diag_error(d, gradient->loc, "param_gradient: expected a parameter of f32, found @%s", p->name);
    for (int i = 0; i < 2 && ok && o->moments[i]; i++)
        ok = check_symbol(step, assigns, arena_printf(mem, "%s/%s", o->moments[i], p->name), SEG_STATE, p->type, d);
    return ok && check_symbol(step, assigns, p->name, SEG_PARAM, p->type, d) &&
           check_symbol(step, assigns, arena_printf(mem, "gradient/%s", p->name), SEG_GRADIENT, p->type, d);
}

static bool check_parameters(const ir_graph *step, const ir_map *assigns, const optimizer *o, diag *d, arena *tmp)
{
    ir_map *seen = ir_map_new(tmp, IR_MAP_POINTERS);
    for (ir_node *n = step->first; n; n = n->next) {
        if (n->op != IR_PARAM_GRADIENT)
            continue;
        if (ir_map_get(seen, n->symbol)) {
            diag_error(d, n->loc, "param_gradient: @%s has a gradient already", n->symbol->name);
            return false;
        }
        ir_map_set(seen, n->symbol, n);
        if (!check_parameter(step, assigns, o, n, d))
            return false;
    }
    return true;
}

static bool check_symbols(const ir_graph *step, const optimizer *o, diag *d)
{
    arena *tmp = arena_new();
    ir_map *assigns = ir_map_new(tmp, IR_MAP_POINTERS);
    for (ir_node *n = step->first; n; n = n->next)
        if (n->op == IR_ASSIGN)
            ir_map_set(assigns, n->symbol, n);
    bool ok = check_symbol(step, assigns, "step", SEG_STATE, ir_type_scalar(IR_I64), d);
    for (int i = 0; i < 2 && ok && o->powers[i]; i++)
        ok = check_symbol(step, assigns, o->powers[i], SEG_STATE, ir_type_scalar(IR_F32), d);
    ok = ok && check_parameters(step, assigns, o, d, tmp);
    arena_free(tmp);
    return ok;
}

static bool update_function(ir_graph *step, diag *d)
{
    ir_module *m = step->module;
    const ir_row *row = ir_row_find(m, "optimizer", NULL);
    if (!row) {
        diag_error(d, step->loc, "function @%s has gradients and the module no optimizer: expected a `row optimizer`",
                   step->name);
        return false;
    }
    const optimizer *o = find_optimizer(row, d);
    if (!o)
        return false;
    const ir_graph *taken = ir_function_find(m, "gradients");
    taken = taken ? taken : ir_function_find(m, "update");
    if (taken) {
        diag_error(d, taken->loc, "@%s is the name of a function that optimize_update makes, found one", taken->name);
        return false;
    }
    if (!check_symbols(step, o, d))
        return false;
    arena *tmp = arena_new();
    ir_graph *store = ir_clone_graph(step, "gradients");
    gradients of_step = take_gradients(step, tmp), of_store = take_gradients(store, tmp);
    store_gradients(store, &of_store);
    add_update(step, row, o, &of_step);
    make_update(m, row, o, &of_step, step->loc, tmp);
    arena_free(tmp);
    return true;
}

bool pass_optimize_update(ir_module *m, diag *d)
{
    ir_graph *step = NULL;
    for (ir_graph *g = m->functions; g; g = g->next) {
        if (!has_gradients(g))
            continue;
        if (step) {
            diag_error(d, g->loc, "expected one function with minimize, found @%s and @%s", step->name, g->name);
            return false;
        }
        step = g;
    }
    return step ? update_function(step, d) : true;
}
