/* tests/unit/gradients.h - the gradients of a module's train_step as values that the evaluator can tell. */
#ifndef TESTS_GRADIENTS_H
#define TESTS_GRADIENTS_H

#include "ir/ir.h"

/* Differentiate f, whose results are then the loss and, in the order of the parameters, its gradients. False after an
 * error in d. */
bool return_gradients(ir_module *m, ir_graph *f, diag *d);

#endif
