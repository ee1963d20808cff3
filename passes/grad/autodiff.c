/* passes/grad/autodiff.c - reverse-mode differentiation.
 *     minimize %loss, %scale      =>      backward nodes ...
 *                                         param_gradient @dense1.weight %g     one for every trainable parameter
 *
 * In a function with `minimize` the forward nodes are visited from last to first. When the visit comes to a node, all
 * readers of its result have been visited, so its gradient is complete; the node's rule (passes/grad/<family>.c) then
 * adds a share to the gradient of each operand. This is Linnainmaa's accumulation (1970).
 *
 * A backward node carries the location and the stage of the forward node that it comes from, and the name of its layer
 * with another role:
 *     dense1.weight_gradient     what leads to the gradient of a parameter named ....weight
 *     dense1.bias_gradient       what leads to that of a parameter named ....bias
 *     dense1.input_gradient      the other gradient of a product or convolution
 *     dense1.backward            everything else
 *
 * Nothing is made for the gradient of a value that no trainable parameter flows into: what lies below the lowest layer
 * that is trained has no backward nodes.
 *
 * A composite with a gradient rule of its own, and one result, is one node for this pass. Other composites are
 * dissolved into their nodes before it, and the rest after it, in every function. stop_gradient goes too: its work is
 * done.
 *
 * Needs:  composites and minimize as the frontend writes them.     Keeps:  forward nodes, their order and bits.
 * Breaks: nothing.       Leaves:  no minimize, composite or stop_gradient. */
#include "passes/grad/grad.h"
#include "passes/labels.h"
#include "passes/passes.h"
#include <string.h>

#define OP(ID, name, ...) [IR_##ID] = grad_##name,
static grad_rule *const grad_rules[IR_NOPS] = {
#include "ir/ops.def"
};

/* ---- what rules ask ---- */

ir_node *upstream(const grad *g, const ir_node *y)
{
    return g->gradient[y->id];
}

/* The parameter that x is, shape and type aside, or NULL. */
static const ir_symbol *param_behind(const ir_node *x)
{
    while (x->op == IR_RESHAPE || x->op == IR_TRANSPOSE || x->op == IR_BROADCAST_IN_DIM || x->op == IR_CONVERT ||
           x->op == IR_REVERSE)
        x = x->in[0];
    return x->op == IR_PARAM ? x->symbol : NULL;
}

/* A name without a role is a layer's own. */
static const char *layer_of(arena *mem, const char *name)
{
    const char *layer = label_layer(mem, name);
    return layer ? layer : name;
}

static const char *role_label(const grad *g, const ir_node *x)
{
    arena *mem = g->graph->module->mem;
    const ir_symbol *p = param_behind(x);
    const char *layer = g->node->label ? layer_of(mem, g->node->label) : p ? layer_of(mem, p->name) : NULL;
    if (!layer)
        return NULL;
    if (p) {
        const char *role = label_role(p->name);
        return arena_printf(mem, "%s.%s_gradient", layer, role ? role : p->name);
    }
    bool is_product = g->node->op == IR_DOT_GENERAL || g->node->op == IR_CONVOLUTION;
    return arena_printf(mem, "%s.%s", layer, is_product ? "input_gradient" : "backward");
}

bool toward(grad *g, const ir_node *x)
{
    if (!g->wanted[x->id])
        return false;
    g->graph->at_label = role_label(g, x);
    return true;
}

void accumulate(grad *g, ir_node *x, ir_node *dx)
{
    if (!g->wanted[x->id])
        return;
    if (!ir_type_equal(&x->type, &dx->type))
        ir_bug("%s: a gradient of another type than its operand's", ir_ops[g->node->op].name);
    ir_node *sum = g->gradient[x->id];
    g->gradient[x->id] = sum ? ir_add(g->graph, sum, dx) : dx;
}

/* ---- dissolving ---- */

static void aim(ir_graph *g, ir_node *before, const ir_node *like)
{
    g->before = before;
    g->at = like ? like->loc : (src_loc){0};
    g->at_label = like ? like->label : NULL;
    g->at_stage = like ? ir_int(like, "stage", 0) : 0;
}

/* Put the nodes of c's region in c's place. */
static void dissolve(ir_graph *g, ir_node *c)
{
    arena *mem = g->module->mem;
    ir_graph *region = c->region;
    ir_node **map = arena_new_array(mem, ir_node *, (size_t)ir_number(region) + 1);
    int64_t stage = ir_int(c, "stage", 0);
    for (int i = 0; i < c->nin; i++)
        map[region->inputs[i]->id] = c->in[i];
    aim(g, c, c);
    for (ir_node *n = region->first; n; n = n->next) {
        ir_node *copy = map[n->id] = ir_clone_node(g, n, map);
        if (!copy->label && c->label)
            copy->label = label_role(c->label) ? c->label : arena_printf(mem, "%s.forward", c->label);
        if (!copy->loc.file)
            copy->loc = c->loc;
        if (stage && !ir_int(copy, "stage", 0))
            ir_set_int(copy, "stage", stage);
    }
    for (ir_node *n = c->next, *next; n; n = next) {
        next = n->next;
        if (n->op == IR_RESULT && n->in[0] == c) {
            ir_replace_uses(g, n, map[region->results[ir_int(n, "index", 0)]->id]);
            ir_unlink(n);
        }
    }
    if (region->nresults)
        ir_replace_uses(g, c, map[region->results[0]->id]);
    ir_unlink(c);
    aim(g, NULL, NULL);
}

/* Composites without a rule, or all of them; those that come out of a composite are met on the way. */
static void dissolve_composites(ir_graph *g, bool all)
{
    for (ir_node *n = g->first, *next; n; n = next) {
        ir_node *last = n->prev;
        next = n->next;
        if (n->op != IR_COMPOSITE || (!all && grad_find_composite(n)))
            continue;
        dissolve(g, n);
        next = last ? last->next : g->first;
    }
}

static void dissolve_stops(ir_graph *g)
{
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op != IR_STOP_GRADIENT)
            continue;
        ir_replace_uses(g, n, n->in[0]);
        ir_unlink(n);
    }
}

/* ---- the backward graph ---- */

static ir_node *last_minimize(const ir_graph *g)
{
    ir_node *last = NULL;
    for (ir_node *n = g->first; n; n = n->next)
        if (n->op == IR_MINIMIZE)
            last = n;
    return last;
}

/* Who needs a gradient: float values that a trainable parameter flows into. */
static const bool *find_wanted(const ir_graph *g, int32_t count, arena *mem)
{
    bool *wanted = arena_new_array(mem, bool, (size_t)count + 1);
    for (const ir_node *n = g->first; n; n = n->next) {
        if (!ir_dtype_is_float(n->type.dtype))
            continue;
        wanted[n->id] = n->op == IR_PARAM && ir_is_trainable(n->symbol);
        for (int i = 0; i < n->nin && grad_rules[n->op] != grad_none; i++)
            wanted[n->id] |= wanted[n->in[i]->id];
    }
    return wanted;
}

static void visit(grad *g, ir_node *n)
{
    ir_graph *at = g->graph;
    if (n->op == IR_MINIMIZE) {
        g->node = n;
        aim(at, at->before, n);
        accumulate(g, n->in[0], n->in[1]);
    } else if (g->gradient[n->id] && grad_rules[n->op] != grad_none) {
        g->node = n;
        aim(at, at->before, n);
        for (int i = 0; i < n->nin; i++) /* the rule's first nodes are for the first operand that wants any */
            if (toward(g, n->in[i]))
                break;
        grad_rules[n->op](g, n);
    }
}

/* The sum over all nodes that read p; a zero where the loss does not depend on p. */
static ir_node *gradient_of(grad *g, const ir_symbol *p, ir_node *const *forward, int32_t count)
{
    ir_node *sum = NULL, *like = NULL;
    for (int32_t i = 0; i < count; i++) {
        ir_node *n = forward[i];
        if (n->op != IR_PARAM || n->symbol != p)
            continue;
        like = like ? like : n; /* the stage whose backward part runs last */
        if (!g->gradient[n->id])
            continue;
        aim(g->graph, g->graph->before, like);
        g->graph->at_label = g->gradient[n->id]->label;
        sum = sum ? ir_add(g->graph, sum, g->gradient[n->id]) : g->gradient[n->id];
    }
    if (sum)
        return sum;
    diag_remark(g->d, p->loc, "the loss does not depend on '%s': its gradient is zero", p->name);
    aim(g->graph, g->graph->before, like);
    /* Some stage must write it, in its backward part. */
    g->graph->at_label = arena_printf(g->graph->module->mem, "%s_gradient", p->name);
    if (!like)
        g->graph->at_stage = ir_int(forward[0], "stage", 0);
    return ir_constant(g->graph, p->type, 0);
}

static void answer(grad *g, ir_node *const *forward, int32_t count)
{
    for (ir_symbol *p = g->graph->module->symbols; p; p = p->next) {
        if (!ir_is_trainable(p) || !ir_dtype_is_float(p->type.dtype))
            continue;
        ir_node *value = gradient_of(g, p, forward, count);
        aim(g->graph, g->graph->before, value);
        ir_param_gradient(g->graph, p, value);
    }
}

static void drop_minimizes(ir_graph *g)
{
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op == IR_MINIMIZE)
            ir_unlink(n);
    }
}

static bool differentiate(ir_graph *f, diag *d)
{
    ir_node *end = last_minimize(f);
    if (!end)
        return true;
    arena *tmp = arena_new();
    int32_t count = ir_number(f), nodes = 0;
    ir_node **forward = arena_new_array(tmp, ir_node *, (size_t)count);
    grad g = {.graph = f, .d = d, .mem = tmp};
    g.gradient = arena_new_array(tmp, ir_node *, (size_t)count);
    g.wanted = find_wanted(f, count, tmp);
    for (ir_node *n = f->first; n; n = n->next) {
        forward[nodes++] = n;
        if (n == end)
            break;
    }
    f->before = end;
    for (int32_t i = nodes - 1; i >= 0 && !g.failed; i--)
        visit(&g, forward[i]);
    if (!g.failed)
        answer(&g, forward, nodes);
    drop_minimizes(f);
    aim(f, NULL, NULL);
    arena_free(tmp);
    return !g.failed;
}

bool pass_autodiff(ir_module *m, diag *d)
{
    for (ir_graph *g = m->functions; g; g = g->next) {
        dissolve_composites(g, false);
        if (!differentiate(g, d))
            return false;
        dissolve_composites(g, true);
        dissolve_stops(g);
    }
    return true;
}
