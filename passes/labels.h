/* passes/labels.h - what labels and parameter names say: "dense1.forward" is a node of layer dense1 in role forward,
 * "dense1.weight" the layer's weight; layers have dots too ("stage.head.dense1"). */
#ifndef PASSES_LABELS_H
#define PASSES_LABELS_H

#include "ir/ir.h"

const char *label_layer(arena *mem, const char *name); /* before the last dot; NULL without dot or name */
const char *label_role(const char *name);              /* behind the last dot; NULL without dot or name */
bool label_is_forward(const ir_node *n);               /* in a forward pass, its loss included */
bool label_is_update(const ir_node *n);                /* in an optimizer's step */
/* The optimizer that a row names: `row optimizer @adam`, `row group @trunk {optimizer = adam}`. */
const char *label_optimizer(const ir_row *row);
/* That of a parameter; NULL: the module has no such row. */
const char *label_optimizer_of(const ir_module *m, const ir_symbol *p);

#endif
