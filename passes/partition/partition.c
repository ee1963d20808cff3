/* passes/partition/partition.c - write on every node to which stage it belongs.
 *     partition = staged, stages = [2]:
 *     %1 = dot_general %x, %w {...}   =>   %1 = dot_general %x, %w {..., stage = [1]}
 *
 * The label of a node names its layer: "dense1.forward" belongs to dense1. The layers are taken in the order in which
 * train_step first computes them (layers.c), and stages cut that order into runs. Where the YAML says `stages`, each
 * run ends at the layer that it names (`row stage @a {through = dense1}`). Else there are N runs that share equally
 * what `balance` says (cut.c): predicted time (trial.c), operations, memory or parameters; with `workers = [W]` in
 * place of `stages = [N]`, N is what is fastest in a pipeline of W threads. The cut is then written as such rows, in
 * place of others. Each stage has at least one parameter. What stands before the first layer with a parameter, such as
 * the scaling of an input, belongs to the first.
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
#include "passes/memory.h"
#include "passes/partition/cut.h"
#include "passes/partition/kernels.h"
#include "passes/partition/trial.h"
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

/* ---- stages by cost ---- */

/* "34.1 % of all time (0.52 ms)"; of what is no time, the share alone. */
static const char *share_of(double cost, double all, balance by, arena *mem)
{
    const char *time = by == BALANCE_TIME ? arena_printf(mem, " (%.3g ms)", 1e3 * cost / NOMINAL_FREQUENCY) : "";
    return arena_printf(mem, "%.1f %% of all %s%s", all > 0 ? 100 * cost / all : 0, balance_names[by], time);
}

/* "behind dense1 and dense3" */
static const char *boundaries_of(const layer_costs *l, const layer_cut *cut, arena *mem)
{
    const char *words = "behind ";
    for (int k = 1; k < cut->stages; k++)
        words = arena_printf(mem, "%s%s%s", words,
                             k == 1                ? ""
                             : k + 1 < cut->stages ? ", "
                                                   : " and ",
                             l->layer[cut->begin[k] - 1].name);
    return words;
}

/* Say of every stage what it holds and what leaves it, and which cut came second. */
static void remark_cut(const layer_costs *l, const layer_cut *cut, balance by, arena *mem, diag *d)
{
    layer_cut next;
    double all = stage_cost(l, by, 0, l->count);
    for (int k = 0; k < cut->stages; k++) {
        int first = cut->begin[k], end = cut->begin[k + 1];
        const layer_cost *last = &l->layer[end - 1];
        diag_remark(d, last->at, "stage %d of %d: %s to %s, %s; %.0f bytes leave it", k + 1, cut->stages,
                    l->layer[first].name, last->name, share_of(stage_cost(l, by, first, end), all, by, mem),
                    end < l->count ? last->crossing : 0);
    }
    if (cut_next(l, cut, by, mem, &next))
        diag_remark(d, l->layer[cut->begin[1] - 1].at,
                    "the next best cut is %s: its dearest stage has %s instead of %s, and %.0f bytes cross instead of "
                    "%.0f",
                    boundaries_of(l, &next, mem), share_of(next.dearest, all, by, mem),
                    share_of(cut->dearest, all, by, mem), next.crossing, cut->crossing);
}

/* The cut as the YAML would say it. */
static void write_rows(const layer_costs *l, const layer_cut *cut, ir_module *m)
{
    for (ir_row **r = &m->rows; *r;)
        if (strcmp((*r)->kind, "stage"))
            r = &(*r)->next;
        else
            *r = (*r)->next;
    for (int k = 0; k < cut->stages; k++) {
        const layer_cost *last = &l->layer[cut->begin[k + 1] - 1];
        ir_row *row = ir_row_new(m, "stage", arena_printf(m->mem, "stage%d", k + 1), last->at);
        ir_attr_set_word(m->mem, &row->attrs, "through", last->name);
    }
}

/* How many stages the module asks for: a number, or what a pipeline of so many workers likes best. */
static bool read_stages(const layer_costs *l, const ir_module *m, int64_t *stages, diag *d)
{
    const ir_attr *count = ir_attr_find(m->attrs, "stages"), *workers = ir_attr_find(m->attrs, "workers");
    int64_t most = most_stages(l);
    *stages = count ? (int64_t)count->number[0] : cut_count(l, (int64_t)workers->number[0], mem_max_batch(m));
    if (*stages >= 1 && *stages <= most)
        return true;
    diag_error(d, (src_loc){0},
               "--stages=%" PRId64 ": expected at most %" PRId64 " stages, as many as layers with parameters", *stages,
               most);
    return false;
}

/* N runs of nearly equal cost. */
static bool cut_evenly(layer_costs *l, ir_module *m, int64_t *stages, arena *mem, diag *d)
{
    balance by;
    bool count = !ir_attr_find(m->attrs, "stages");
    if (!read_balance(m, &by, d) || ((by == BALANCE_TIME || count) && !trial_run(m, l, d)) ||
        !read_stages(l, m, stages, d))
        return false;
    layer_cut cut = cut_layers(l, (int)*stages, by, mem);
    for (int k = 0; k < cut.stages; k++)
        for (int i = cut.begin[k]; i < cut.begin[k + 1]; i++)
            l->layer[i].stage = k + 1;
    remark_cut(l, &cut, by, mem, d);
    write_rows(l, &cut, m);
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
    const ir_attr *how = ir_attr_find(m->attrs, "partition");
    bool by_cost = ir_attr_find(m->attrs, "stages") || ir_attr_find(m->attrs, "workers");
    ir_graph *train = ir_function_find(m, "train_step");
    if (!how || !how->word || strcmp(how->word, "staged") || !train)
        return true;
    arena *mem = arena_new();
    layer_costs l = layer_costs_of(train, mem);
    int64_t stages;
    bool ok = by_cost ? cut_evenly(&l, m, &stages, mem, d) : cut_by_name(&l, m, &stages, d);
    for (ir_graph *g = m->functions; ok && g; g = g->next)
        label_nodes(&l, g, mem);
    if (ok)
        ir_attr_set_ints(m->mem, &m->attrs, "stages", &stages, 1);
    arena_free(mem);
    return ok;
}
