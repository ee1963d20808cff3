/* passes/partition/partition.c - write on every node to which stage it belongs.
 *     partition = staged, stages = [2]:
 *     %1 = dot_general %x, %w {...}   =>   %1 = dot_general %x, %w {..., stage = [1]}
 *
 * The label of a node names its layer: "dense1.forward" belongs to dense1. The layers are taken in the order in which
 * train_step first computes them (layers.c), and stages cut that order into runs. Where the YAML says `stages`, each
 * run ends at the layer that it names (`row stage @a {through = dense1}`). Else there are N runs that share equally
 * what `balance` says (cut.c): predicted time, operations, memory or parameters. Each stage has at least one parameter.
 * What stands before the first layer with a parameter, such as the scaling of an input, belongs to the first.
 *
 * The stage of a node is never below that of a node before it. So losses and metrics belong to the last stage,
 * whichever layers they look at; and the backward pass, which goes through the nodes in reverse, never comes back to a
 * stage that it has left.
 *
 * Nothing is cut yet. The graph stays whole, and so does every bit of what it computes; the passes after this one copy
 * a node's stage to the nodes that they make of it, and pass split cuts.
 *
 * Needs:  labels.      Keeps:  everything but `stage` attributes. */
#include "passes/labels.h"
#include "passes/partition/cut.h"
#include "passes/passes.h"
#include <inttypes.h>
#include <string.h>

/* Stages as the YAML names them: each goes through a layer. */
static bool cut_by_name(layer_costs *l, const ir_module *m, int64_t *stages, diag *d)
{
    int at = 0;
    *stages = 0;
    for (const ir_row *r = m->rows; r; r = r->next) {
        if (strcmp(r->kind, "stage"))
            continue;
        const ir_attr *through = ir_attr_find(r->attrs, "through");
        const layer_cost *last = through ? layer_cost_find(l, through->word) : NULL;
        if (!last) {
            diag_error(d, r->loc, "stage '%s': expected a layer that training computes after 'through', found '%s'",
                       r->name, through && through->word ? through->word : "nothing");
            return false;
        }
        int end = (int)(last - l->layer);
        if (end < at) {
            diag_error(d, r->loc, "stage '%s': layer '%s' belongs to an earlier stage", r->name, last->name);
            return false;
        }
        ++*stages;
        int64_t parameters = 0;
        for (; at <= end; at++) {
            l->layer[at].stage = *stages;
            parameters += l->layer[at].parameters;
        }
        if (!parameters) {
            diag_error(d, r->loc, "stage '%s': expected a layer with parameters in it, found none", r->name);
            return false;
        }
    }
    for (; at < l->count; at++) {
        if (l->layer[at].parameters) {
            diag_error(d, (src_loc){0}, "layer '%s' is in no stage: expected the last stage to go through it",
                       l->layer[at].name);
            return false;
        }
        l->layer[at].stage = *stages;
    }
    return true;
}

/* What the module asks stages to share; time where it does not say. False after an error. */
static bool read_balance(const ir_module *m, balance *by, diag *d)
{
    const ir_attr *a = ir_attr_find(m->attrs, "balance");
    *by = BALANCE_TIME;
    for (int i = 0; a && a->word && i < BALANCE_COUNT; i++)
        if (!strcmp(a->word, balance_names[i])) {
            *by = (balance)i;
            return true;
        }
    if (a)
        diag_error(d, (src_loc){0}, "balance: expected time, flops, memory or parameters, found '%s'",
                   a->word ? a->word : "numbers");
    return !a;
}

/* Say of every stage what it holds and what leaves it. */
static void remark_stages(const layer_costs *l, int64_t stages, balance by, diag *d)
{
    double all = 0;
    for (int i = 0; i < l->count; i++)
        all += balance_of(&l->layer[i], by);
    for (int i = 0, first = 0; i < l->count; i++) {
        if (i + 1 < l->count && l->layer[i + 1].stage == l->layer[i].stage)
            continue;
        double own = 0;
        for (int k = first; k <= i; k++)
            own += balance_of(&l->layer[k], by);
        diag_remark(d, l->layer[i].at,
                    "stage %" PRId64 " of %" PRId64 ": %s to %s, %.1f %% of all %s; %.0f bytes leave it",
                    l->layer[i].stage, stages, l->layer[first].name, l->layer[i].name, all > 0 ? 100 * own / all : 0,
                    balance_names[by], l->layer[i].crossing);
        first = i + 1;
    }
}

/* N runs of nearly equal cost. */
static bool cut_evenly(layer_costs *l, const ir_module *m, int64_t stages, diag *d)
{
    balance by;
    if (!read_balance(m, &by, d))
        return false;
    int64_t holders = 0;
    for (int i = 0; i < l->count; i++)
        holders += l->layer[i].parameters > 0;
    if (stages < 1 || stages > holders || !cut_layers(l, (int)stages, by)) {
        diag_error(d, (src_loc){0},
                   "--stages=%" PRId64 ": expected at most %" PRId64 " stages, as many as layers with parameters",
                   stages, holders);
        return false;
    }
    remark_stages(l, stages, by, d);
    return true;
}

static void label_nodes(const layer_costs *l, ir_graph *g, arena *mem)
{
    int64_t stage = 1;
    for (ir_node *n = g->first; n; n = n->next) {
        const layer_cost *own = layer_cost_find(l, label_layer(mem, n->label));
        if (own && own->stage > stage)
            stage = own->stage;
        ir_set_int(n, "stage", stage);
    }
}

bool pass_partition(ir_module *m, diag *d)
{
    const ir_attr *how = ir_attr_find(m->attrs, "partition"), *count = ir_attr_find(m->attrs, "stages");
    ir_graph *train = ir_function_find(m, "train_step");
    if (!how || !how->word || strcmp(how->word, "staged") || !train)
        return true;
    arena *mem = arena_new();
    layer_costs l = layer_costs_of(train, mem);
    int64_t stages = count && count->count == 1 ? (int64_t)count->number[0] : 0;
    bool ok = stages ? cut_evenly(&l, m, stages, d) : cut_by_name(&l, m, &stages, d);
    for (ir_graph *g = m->functions; ok && g; g = g->next)
        label_nodes(&l, g, mem);
    if (ok)
        ir_attr_set_ints(m->mem, &m->attrs, "stages", &stages, 1);
    arena_free(mem);
    return ok;
}
