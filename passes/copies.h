/* passes/copies.h - results that need memory of their own. */
#ifndef PASSES_COPIES_H
#define PASSES_COPIES_H

#include "ir/ir.h"

/* Give every function result memory that a kernel writes and nobody else returns: inputs, parameters, states,
 * constants, values of the call and values returned before are copied. */
void copies_for_results(ir_module *m);

#endif
