/* passes/partition/layers.h - the layers of a training step, in order, and what each is expected to cost.
 *
 * A cut between two layers is a position in this list: what stands before it is in earlier stages. All figures are of a
 * whole training step with max_batch examples. They are predictions, made before the net is cut: they are for comparing
 * layers with each other, and no bit of a result depends on them. */
#ifndef PASSES_PARTITION_LAYERS_H
#define PASSES_PARTITION_LAYERS_H

#include "ir/ir.h"

typedef struct {
    const char *name;
    src_loc at;
    int64_t parameters;               /* elements of the parameters that this layer is the first to read */
    double operations;                /* floating-point, of forward and backward pass and update */
    double forward, backward, update; /* cycles of one core (trial.c) */
    double bytes;    /* memory: parameters, gradients, optimizer state, and values kept for the backward pass */
    double crossing; /* bytes that a cut right behind this layer passes on, in the forward pass */
    double parting;  /* cycles that such a cut adds to the stage before it and to the one behind it */
    int64_t stage;   /* from 1, once cut */
} layer_cost;

typedef struct {
    layer_cost *layer;
    int count;
    ir_map *by_name; /* to layer_cost */
} layer_costs;

/* Of the function, which is not differentiated yet, but for cycles; lives in 'mem'. Layers are what node labels name,
 * in the order of their first nodes; the nodes are numbered. */
layer_costs layer_costs_of(ir_graph *train_step, arena *mem);
/* The layer called so, or NULL. */
layer_cost *layer_cost_find(const layer_costs *l, const char *name);

#endif
