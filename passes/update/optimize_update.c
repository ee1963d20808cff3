/* passes/update/optimize_update.c - from gradients to new parameters, as the module's `row optimizer` says, and a
 * `row group` for the parameters that name it (groups.c).
 *     train_step:  param_gradient @w %g      =>      train_step:  assign @w <- update(w, g, moments)
 *                                                    gradients:   assign @gradient/w <- g
 *                                                    update:      assign @w <- update(w, @gradient/w, moments)
 * gradients then update gives train_step's bits: both updates are made by the same function here. All assigns stand at
 * the function's end, after every read. What optimizers do: optimizers.c; with a `row clip`, gradients are
 * clipped before (clip.c).
 *
 * Needs:  autodiff.      Keeps:  the forward and backward graph.      Leaves no param_gradient. */
#include "passes/labels.h"
#include "passes/passes.h"
#include "passes/update/update.h"

/* ---- pieces ---- */

/* The state of that name, made on first use: it starts as 'init' in every element. */
ir_symbol *update_state(ir_module *m, ir_segment s, const char *name, ir_type type, double init, src_loc loc)
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
ir_node *update_read(update *u, ir_symbol *y)
{
    ir_node *n = ir_map_get(u->readers, y);
    if (!n) {
        n = y->segment == SEG_PARAM ? ir_param(u->graph, y) : ir_state(u->graph, y);
        ir_map_set(u->readers, y, n);
    }
    return n;
}

void update_assign_later(update *u, ir_symbol *y, ir_node *value)
{
    u->assigns = arena_grown(u->mem, u->assigns, u->nassigns, sizeof *u->assigns);
    u->assigns[u->nassigns++] = (update_assign){y, value, u->graph->at_label, u->graph->at_stage};
}

ir_symbol *update_gradient(ir_module *m, const ir_symbol *p)
{
    return update_state(m, SEG_GRADIENT, arena_printf(m->mem, "gradient/%s", p->name), p->type, 0, p->loc);
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

/* What parameters share: the step's number and each optimizer's scalars. No stage's own, as their role says. */
static void update_scalars(update *u, const gradients *all)
{
    ir_graph *g = u->graph;
    ir_map *done = ir_map_new(u->mem, IR_MAP_POINTERS);
    src_loc loc = u->groups->list->row->loc;
    aim(g, loc, arena_printf(g->module->mem, "%s.step", u->groups->list->rule->name), 0);
    ir_symbol *step = update_state(g->module, SEG_STATE, "step", ir_type_scalar(IR_I64), 0, loc);
    ir_node *t = update_read(u, step);
    update_assign_later(u, step, ir_add(g, t, ir_like(g, t, 1)));
    if (u->average)
        update_average_share(u, t);
    for (int p = 0; p < all->count; p++) {
        u->group = update_group_find(u->groups, all->param[p]);
        if (ir_map_get(done, u->group))
            continue;
        ir_map_set(done, u->group, u->group);
        aim(g, u->group->row->loc, arena_printf(g->module->mem, "%s.step", u->group->rule->name), 0);
        u->group->rule->scalars(u);
        update_decay(u);
    }
}

/* As shared as these; NULL where gradients have none in common. */
static ir_node *clip_factor(ir_graph *g, const ir_row *clip, const gradients *all)
{
    if (!update_clips_globally(clip))
        return NULL;
    aim(g, clip->loc, "clip.step", 0);
    return update_clip_factor(g, clip, all->value, all->count);
}

/* The update of every parameter at the end of g, then all assigns. */
static void add_update(ir_graph *g, const update_groups *groups, const gradients *all)
{
    arena *tmp = arena_new();
    update u = {.graph = g, .groups = groups, .mem = tmp, .readers = readers_of(g, tmp)};
    u.average = ir_row_find(g->module, "average", NULL);
    update_scalars(&u, all);
    u.clip = ir_row_find(g->module, "clip", NULL);
    u.clip_factor = clip_factor(g, u.clip, all);
    for (int p = 0; p < all->count; p++) {
        ir_symbol *y = all->param[p];
        aim(g, y->loc, update_label(g->module->mem, y->name), all->stage[p]);
        ir_node *w = update_read(&u, y), *value = update_clipped(&u, all->value[p]);
        u.group = update_group_find(groups, y);
        ir_node *after = u.group->rule->step(&u, y, update_decayed(&u, w), value);
        update_assign_later(&u, y, after);
        if (u.average)
            update_average(&u, y, after);
    }
    for (size_t i = 0; i < u.nassigns; i++) {
        const update_assign *a = &u.assigns[i];
        aim(g, a->value->loc, a->label, a->stage);
        ir_assign(g, a->symbol, a->value);
    }
    aim(g, (src_loc){0}, NULL, 0);
    arena_free(tmp);
}

/* Of this call's examples alone: who runs several micro-batches a step adds them up (runtime/model/accumulate.c). */
static void store_gradients(ir_graph *g, const gradients *all)
{
    for (int i = 0; i < all->count; i++) {
        aim(g, all->value[i]->loc, all->value[i]->label, all->stage[i]);
        ir_assign(g, update_gradient(g->module, all->param[i]), all->value[i]);
    }
    aim(g, (src_loc){0}, NULL, 0);
}

static void make_update(ir_module *m, const update_groups *groups, const gradients *of_step, src_loc loc, arena *tmp)
{
    ir_graph *g = ir_function_new(m, "update", loc);
    gradients all = *of_step;
    all.value = arena_new_array(tmp, ir_node *, (size_t)all.count + 1);
    for (int i = 0; i < all.count; i++) {
        aim(g, all.param[i]->loc, update_label(m->mem, all.param[i]->name), all.stage[i]);
        all.value[i] = ir_state(g, update_gradient(m, all.param[i]));
    }
    add_update(g, groups, &all);
}

static bool has_gradients(const ir_graph *g)
{
    for (const ir_node *n = g->first; n; n = n->next)
        if (n->op == IR_PARAM_GRADIENT)
            return true;
    return false;
}

static bool check_module(const ir_graph *step, diag *d)
{
    const ir_module *m = step->module;
    if (!ir_row_find(m, "optimizer", NULL)) {
        diag_error(d, step->loc, "function @%s has gradients and the module no optimizer: expected a `row optimizer`",
                   step->name);
        return false;
    }
    const ir_graph *taken = ir_function_find(m, "gradients");
    taken = taken ? taken : ir_function_find(m, "update");
    if (taken)
        diag_error(d, taken->loc, "@%s is the name of a function that optimize_update makes, found one", taken->name);
    return !taken;
}

static void update_function(ir_graph *step, const update_groups *groups, arena *tmp)
{
    ir_graph *store = ir_clone_graph(step, "gradients");
    gradients of_step = take_gradients(step, tmp), of_store = take_gradients(store, tmp);
    store_gradients(store, &of_store);
    add_update(step, groups, &of_step);
    make_update(step->module, groups, &of_step, step->loc, tmp);
}

static bool optimize(ir_graph *step, diag *d)
{
    arena *tmp = arena_new();
    update_groups groups = {0};
    bool ok = check_module(step, d);
    if (ok)
        groups = update_groups_of(step->module, tmp, d);
    ok = groups.count && update_check(step, &groups, d);
    if (ok)
        update_function(step, &groups, tmp);
    arena_free(tmp);
    return ok;
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
    return !step || optimize(step, d);
}
