/* passes/partition/layers.c - predict what each layer of a training step costs, from its forward graph.
 *
 * The model is deliberately plain. A contraction (dot_general, convolution) runs at a share of the machine's
 * multiply-adds that falls where its result has fewer columns than a vector register. Its backward pass has one product
 * of the same size for every operand whose gradient is wanted. Elementwise operators are fused into their neighbours,
 * so only what a layer reads from other layers and leaves to them goes through memory; their arithmetic counts by what
 * an operator costs a vector. The update reads and writes parameters and their moments once. */
#include "passes/partition/layers.h"
#include "ir/graph/cost.h"
#include "passes/labels.h"
#include <string.h>

enum {
    BYTES_A_CYCLE = 16,    /* between the core and its second cache, there and back */
    TRANSCENDENTAL = 20,   /* cycles for a vector of an exponential, logarithm and the like */
    UPDATE_VALUES = 4,     /* a parameter, its gradient and two moments */
    UPDATE_OPERATIONS = 12 /* on each element */
};

typedef struct {
    const ir_graph *graph;
    double batch, lanes, multiply_adds; /* a cycle */
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
    return (double)ir_count(&n->type, (int64_t)p->batch) * (double)ir_dtype_size(n->type.dtype);
}

/* ---- which layer a node belongs to ---- */

static int add_layer(predictor *p, const char *name, src_loc at)
{
    layer_costs *l = &p->costs;
    l->layer[l->count] = (layer_cost){.name = name, .at = at};
    ir_map_set(l->by_name, name, &l->layer[l->count]);
    return l->count++;
}

/* A node without a label of a layer belongs where its latest operand does. */
static int home_of(predictor *p, const ir_node *n)
{
    const char *name = label_layer(p->mem, n->label);
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

static bool is_transcendental(ir_op op)
{
    static const ir_op list[] = {IR_EXPONENTIAL, IR_LOG,   IR_LOG_PLUS_ONE, IR_TANH, IR_LOGISTIC,
                                 IR_ERF,         IR_POWER, IR_COSINE,       IR_SINE, IR_RNG_BITS};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (op == list[i])
            return true;
    return false;
}

/* The product itself, and one as large for each gradient that is wanted. */
static int products_of(const predictor *p, const ir_node *n)
{
    return 1 + p->trained[n->in[0]->id] + p->trained[n->in[1]->id];
}

/* A result of few columns leaves lanes empty, unless its other side can take them. */
static double lanes_used(const predictor *p, const ir_node *n)
{
    double widest = 1;
    for (int i = 0; i < n->type.rank; i++) {
        double extent = (double)ir_extent(n->type.dim[i], (int64_t)p->batch);
        widest = extent > widest ? extent : widest;
    }
    return widest < p->lanes ? widest / p->lanes : 1;
}

static void add_node(predictor *p, const ir_node *n, layer_cost *l)
{
    double operations = ir_node_operations(n, (int64_t)p->batch);
    if (n->op == IR_PARAM) {
        double elements = (double)ir_static_count(&n->symbol->type);
        int values = p->trained[n->id] ? UPDATE_VALUES : 1;
        l->parameters += (int64_t)elements;
        l->bytes += (double)values * sizeof(float) * elements;
        if (!p->trained[n->id])
            return;
        l->operations += UPDATE_OPERATIONS * elements;
        l->cycles += 2 * UPDATE_VALUES * sizeof(float) * elements / BYTES_A_CYCLE;
    } else if (n->op == IR_DOT_GENERAL || n->op == IR_CONVOLUTION) {
        operations *= products_of(p, n);
        l->operations += operations;
        l->cycles += operations / (2 * p->multiply_adds * lanes_used(p, n));
    } else {
        int passes = p->trained[n->id] ? 2 : 1;
        l->operations += passes * operations;
        l->cycles += passes * operations * (is_transcendental(n->op) ? TRANSCENDENTAL : 1) / p->lanes;
    }
}

/* A value that other layers read is written once and read by each; its gradient takes the same way back. What is needed
 * again by the backward pass stays in memory. */
static void add_value(predictor *p, const ir_node *n, int home)
{
    if (p->last[n->id] <= home || n->op == IR_PARAM || n->op == IR_STATE || n->op == IR_CONSTANT)
        return;
    double bytes = bytes_of(p, n);
    int passes = p->trained[n->id] ? 2 : 1;
    p->costs.layer[home].cycles += passes * bytes / BYTES_A_CYCLE;
    p->costs.layer[p->last[n->id]].cycles += passes * bytes / BYTES_A_CYCLE;
    p->costs.layer[home].bytes += bytes;
    for (int i = home; i < p->last[n->id]; i++)
        p->costs.layer[i].crossing += bytes;
}

static int module_batch(const ir_module *m)
{
    const ir_attr *most = ir_attr_find(m->attrs, "max_batch");
    return most && most->count == 1 ? (int)most->number[0] : 1;
}

static predictor predictor_new(ir_graph *g, arena *mem)
{
    size_t nodes = (size_t)ir_number(g);
    predictor p = {.graph = g, .mem = mem, .batch = module_batch(g->module)};
    p.lanes = g->module->target.vector ? g->module->target.vector : 1;
    p.multiply_adds = 2 * p.lanes;
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
