/* passes/update/check.c - a text may have symbols and assigns of its own where the update's are to be. */
#include "passes/update/update.h"

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

static bool check_parameter(const ir_graph *step, const ir_map *assigns, const update_groups *groups,
                            const ir_node *gradient, diag *d)
{
    const ir_symbol *p = gradient->symbol;
    arena *mem = step->module->mem;
    const update_group *g = update_group_find(groups, p);
    bool ok = g && p->type.dtype == IR_F32;
    if (!g)
        diag_error(d, p->loc, "@%s: expected for 'group' the name of a row group, found none such", p->name);
    else if (!ok)
        diag_error(d, gradient->loc, "param_gradient: expected a parameter of f32, found @%s", p->name);
    for (int i = 0; i < 3 && ok && g->rule->moments[i]; i++)
        ok = check_symbol(step, assigns, arena_printf(mem, "%s/%s", g->rule->moments[i], p->name), SEG_STATE, p->type,
                          d);
    ok = ok && (!ir_row_find(step->module, "average", NULL) ||
                check_symbol(step, assigns, arena_printf(mem, "average/%s", p->name), SEG_STATE, p->type, d));
    return ok && check_symbol(step, assigns, p->name, SEG_PARAM, p->type, d) &&
           check_symbol(step, assigns, arena_printf(mem, "gradient/%s", p->name), SEG_GRADIENT, p->type, d);
}

static bool check_parameters(const ir_graph *step, const ir_map *assigns, const update_groups *groups, diag *d,
                             arena *tmp)
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
        if (!check_parameter(step, assigns, groups, n, d))
            return false;
    }
    return true;
}

static bool check_scalars(const ir_graph *step, const ir_map *assigns, const update_groups *groups, diag *d, arena *tmp)
{
    bool ok = check_symbol(step, assigns, "step", SEG_STATE, ir_type_scalar(IR_I64), d);
    for (const update_group *g = groups->list; g < groups->list + groups->count; g++)
        for (const optimizer_power *p = g->rule->powers; ok && p && p->state; p++)
            ok =
                check_symbol(step, assigns, update_power_name(groups, g, p, tmp), SEG_STATE, ir_type_scalar(IR_F32), d);
    return ok;
}

bool update_check(const ir_graph *step, const update_groups *groups, diag *d)
{
    arena *tmp = arena_new();
    ir_map *assigns = ir_map_new(tmp, IR_MAP_POINTERS);
    for (ir_node *n = step->first; n; n = n->next)
        if (n->op == IR_ASSIGN)
            ir_map_set(assigns, n->symbol, n);
    bool ok = check_scalars(step, assigns, groups, d, tmp) && check_parameters(step, assigns, groups, d, tmp);
    arena_free(tmp);
    return ok;
}
