/* passes/partition/layers.c - the layers of a training step, counted from its forward graph: parameters, operations,
 * memory, and what crosses from layer to layer.
 *
 * The backward pass of a contraction has one product of the same size for every operand whose gradient is wanted, that
 * of another operator as many operations as it has. The update reads and writes parameters and their moments once. */
#include "passes/partition/layers.h"
#include "ir/graph/cost.h"
#include "passes/labels.h"
#include "passes/memory.h"
#include <string.h>

enum {
    UPDATE_VALUES = 4,     /* a parameter, its gradient and two moments */
    UPDATE_OPERATIONS = 12 /* on each element */
};

typedef struct {
    const ir_graph *graph;
    int64_t batch;
    layer_costs costs;
    int *home;     /* a node's layer, by id; -1: none */
    bool *trained; /* does a node's value depend on a trainable parameter? */
    int *last;     /* the last layer that reads a node's value */
    arena *mem;
} predictor;

layer_cost *layer_cost_find(const layer_costs *l, const char *name)
{
    return name ? ir_map_get(l->by_name, name) : NULL;
}

static double bytes_of(const predictor *p, const ir_node *n)
{
    return (double)ir_count(&n->type, p->batch) * (double)ir_dtype_size(n->type.dtype);
}

/* ---- which layer a node belongs to ---- */

static int add_layer(predictor *p, const char *name, src_loc at)
{
    layer_costs *l = &p->costs;
    l->layer[l->count] = (layer_cost){.name = name, .at = at};
    ir_map_set(l->by_name, name, &l->layer[l->count]);
    return l->count++;
}

/* A node without a label of a layer belongs where its latest operand does. The scaling of an input, which any stage can
 * do that reads it, belongs to none. */
static int home_of(predictor *p, const ir_node *n)
{
    const char *role = label_role(n->label);
    const char *name = role && !strcmp(role, "scale") ? NULL : label_layer(p->mem, n->label);
    const layer_cost *known = layer_cost_find(&p->costs, name);
    if (known)
        return (int)(known - p->costs.layer);
    if (name)
        return add_layer(p, name, n->loc);
    int latest = -1;
    for (int i = 0; i < n->nin; i++)
        latest = p->home[n->in[i]->id] > latest ? p->home[n->in[i]->id] : latest;
    return latest;
}

static void place_nodes(predictor *p)
{
    for (ir_node *n = p->graph->first; n; n = n->next) {
        int home = p->home[n->id] = home_of(p, n);
        p->trained[n->id] = n->op == IR_PARAM && ir_is_trainable(n->symbol);
        for (int i = 0; i < n->nin; i++) {
            int *last = &p->last[n->in[i]->id];
            *last = home > *last ? home : *last;
            p->trained[n->id] |= p->trained[n->in[i]->id];
        }
    }
}

/* ---- what it costs ---- */

/* The product itself, and one as large for each gradient that is wanted. */
static int products_of(const predictor *p, const ir_node *n)
{
    return 1 + p->trained[n->in[0]->id] + p->trained[n->in[1]->id];
}

static void add_node(predictor *p, const ir_node *n, layer_cost *l)
{
    double operations = ir_node_operations(n, p->batch);
    if (n->op == IR_PARAM) {
        double elements = (double)ir_static_count(&n->symbol->type);
        int values = p->trained[n->id] ? UPDATE_VALUES : 1;
        l->parameters += (int64_t)elements;
        l->bytes += (double)values * sizeof(float) * elements;
        if (!p->trained[n->id])
            return;
        l->operations += UPDATE_OPERATIONS * elements;
    } else if (n->op == IR_DOT_GENERAL || n->op == IR_CONVOLUTION) {
        l->operations += products_of(p, n) * operations;
    } else {
        l->operations += (p->trained[n->id] ? 2 : 1) * operations;
    }
}

/* A value that other layers read stays in memory for the backward pass, and crosses every cut on its way to them. */
static void add_value(predictor *p, const ir_node *n, int home)
{
    if (p->last[n->id] <= home || n->op == IR_PARAM || n->op == IR_STATE || n->op == IR_CONSTANT)
        return;
    double bytes = bytes_of(p, n);
    p->costs.layer[home].bytes += bytes;
    for (int i = home; i < p->last[n->id]; i++)
        p->costs.layer[i].crossing += bytes;
}

static predictor predictor_new(ir_graph *g, arena *mem)
{
    size_t nodes = (size_t)ir_number(g);
    predictor p = {.graph = g, .mem = mem, .batch = mem_max_batch(g->module)};
    p.costs.layer = arena_new_array(mem, layer_cost, nodes + 1);
    p.costs.by_name = ir_map_new(mem, IR_MAP_TEXTS);
    p.home = arena_new_array(mem, int, nodes + 1);
    p.last = arena_new_array(mem, int, nodes + 1);
    p.trained = arena_new_array(mem, bool, nodes + 1);
    for (size_t i = 0; i < nodes; i++)
        p.home[i] = p.last[i] = -1;
    return p;
}

layer_costs layer_costs_of(ir_graph *train_step, arena *mem)
{
    predictor p = predictor_new(train_step, mem);
    place_nodes(&p);
    ir_map *seen = ir_map_new(mem, IR_MAP_POINTERS);
    for (ir_node *n = train_step->first; n; n = n->next) {
        int home = p.home[n->id];
        if (home < 0 || (n->op == IR_PARAM && ir_map_get(seen, n->symbol)))
            continue;
        if (n->op == IR_PARAM)
            ir_map_set(seen, n->symbol, n);
        add_node(&p, n, &p.costs.layer[home]);
        add_value(&p, n, home);
    }
    return p.costs;
}
