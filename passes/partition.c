/* passes/partition.c - write on every node to which stage it belongs.
 *     partition = staged, stages = [2]:
 *     %1 = dot_general %x, %w {...}   =>   %1 = dot_general %x, %w {..., stage = [1]}
 *
 * The label of a node names its layer: "dense1.forward" belongs to dense1. The layers are taken in the order in which
 * train_step first computes them, and stages cut that order into runs. Where the YAML says `stages`, each run ends at
 * the layer that it names (`row stage @a {through = dense1}`); else there are N runs of nearly equal parameter count,
 * each with at least one parameter. What stands before the first layer with a parameter, such as the scaling of an
 * input, belongs to the first.
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
#include "passes/passes.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;
    int64_t parameters; /* elements */
    int64_t stage;
} layer;

typedef struct {
    arena *mem;
    layer *layers;
    int count;
} layers;

static layer *find_layer(layers *l, const char *name)
{
    for (int i = 0; name && i < l->count; i++)
        if (!strcmp(l->layers[i].name, name))
            return &l->layers[i];
    return NULL;
}

static layer *add_layer(layers *l, const char *name)
{
    l->layers = arena_grown(l->mem, l->layers, (size_t)l->count, sizeof *l->layers);
    layer *fresh = &l->layers[l->count++];
    *fresh = (layer){.name = name};
    return fresh;
}

/* The layers of a function in order, with the parameters they read. */
static void collect(layers *l, const ir_graph *g)
{
    for (const ir_node *n = g->first; n; n = n->next) {
        const char *name = label_layer(l->mem, n->label);
        if (!name)
            continue;
        layer *at = find_layer(l, name);
        if (!at)
            at = add_layer(l, name);
        if (n->op == IR_PARAM)
            at->parameters += ir_static_count(&n->symbol->type);
    }
}

/* Stages as the YAML names them: each goes through a layer. */
static bool cut_by_name(layers *l, const ir_module *m, int64_t *stages, diag *d)
{
    int at = 0;
    *stages = 0;
    for (const ir_row *r = m->rows; r; r = r->next) {
        if (strcmp(r->kind, "stage"))
            continue;
        const ir_attr *through = ir_attr_find(r->attrs, "through");
        const layer *last = through && through->word ? find_layer(l, through->word) : NULL;
        if (!last) {
            diag_error(d, r->loc, "stage '%s': expected a layer that training computes after 'through', found '%s'",
                       r->name, through && through->word ? through->word : "nothing");
            return false;
        }
        int end = (int)(last - l->layers);
        if (end < at) {
            diag_error(d, r->loc, "stage '%s': layer '%s' belongs to an earlier stage", r->name, last->name);
            return false;
        }
        ++*stages;
        int64_t parameters = 0;
        for (; at <= end; at++) {
            l->layers[at].stage = *stages;
            parameters += l->layers[at].parameters;
        }
        if (!parameters) {
            diag_error(d, r->loc, "stage '%s': expected a layer with parameters in it, found none", r->name);
            return false;
        }
    }
    for (; at < l->count; at++) {
        if (l->layers[at].parameters) {
            diag_error(d, (src_loc){0}, "layer '%s' is in no stage: expected the last stage to go through it",
                       l->layers[at].name);
            return false;
        }
        l->layers[at].stage = *stages;
    }
    return true;
}

/* N runs, each ended where the parameters so far are nearest to their share, with enough left for the others. */
static bool cut_evenly(layers *l, int64_t stages, diag *d)
{
    int64_t total = 0, holders = 0, sum = 0;
    for (int i = 0; i < l->count; i++) {
        total += l->layers[i].parameters;
        holders += l->layers[i].parameters > 0;
    }
    if (stages > holders) {
        diag_error(d, (src_loc){0},
                   "--stages=%" PRId64 ": expected at most %" PRId64 " stages, as many as layers with parameters",
                   stages, holders);
        return false;
    }
    int64_t stage = 1, in_stage = 0;
    for (int i = 0; i < l->count; i++) {
        int64_t own = l->layers[i].parameters;
        if (own && in_stage && stage < stages) {
            int64_t with = llabs((sum + own) * stages - total * stage), without = llabs(sum * stages - total * stage);
            /* The stages that follow need a holder each, this layer and those after it. */
            if (without <= with || holders <= stages - stage) {
                stage++;
                in_stage = 0;
            }
        }
        l->layers[i].stage = stage;
        sum += own;
        in_stage += own > 0;
        holders -= own > 0;
    }
    return true;
}

static void label_nodes(layers *l, ir_graph *g)
{
    int64_t stage = 1;
    for (ir_node *n = g->first; n; n = n->next) {
        const layer *own = find_layer(l, label_layer(l->mem, n->label));
        if (own && own->stage > stage)
            stage = own->stage;
        ir_set_int(n, "stage", stage);
    }
}

bool pass_partition(ir_module *m, diag *d)
{
    const ir_attr *how = ir_attr_find(m->attrs, "partition"), *count = ir_attr_find(m->attrs, "stages");
    const ir_graph *train = ir_function_find(m, "train_step");
    if (!how || !how->word || strcmp(how->word, "staged") || !train)
        return true;
    layers l = {.mem = arena_new()};
    int64_t stages = count && count->count == 1 ? (int64_t)count->number[0] : 0;
    collect(&l, train);
    bool ok = stages ? cut_evenly(&l, stages, d) : cut_by_name(&l, m, &stages, d);
    for (ir_graph *g = m->functions; ok && g; g = g->next)
        label_nodes(&l, g);
    if (ok)
        ir_attr_set_ints(m->mem, &m->attrs, "stages", &stages, 1);
    arena_free(l.mem);
    return ok;
}
