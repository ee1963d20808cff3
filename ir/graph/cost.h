/* ir/graph/cost.h - what a kernel does, counted: for measurements, never for decisions about bits. */
#ifndef IR_COST_H
#define IR_COST_H

#include "ir/ir.h"

typedef struct {
    /* Contractions: 2 for each term of each chain, exactly. Reductions and windows: 1 for each element that goes in.
     * Elementwise operators: 1 for each result element, whatever the operator costs. All else: 0. */
    double operations;
    /* Operands, results and assigned symbols, each once; scratch memory is not counted. */
    double bytes;
} ir_cost;

/* Operations of one node that is no kernel, counted as above. */
double ir_node_operations(const ir_node *n, int64_t batch);
/* Of a fused node, for a batch of this size. */
ir_cost ir_kernel_cost(const ir_node *fused, int64_t batch);
/* Of all fused nodes of a function together. */
ir_cost ir_function_cost(const ir_graph *f, int64_t batch);

#endif
