/* passes/pool_mask.h - relu's gradient before a max pool. */
#ifndef PASSES_POOL_MASK_H
#define PASSES_POOL_MASK_H

#include "ir/graph/uses.h"

/* If the select n masks the gradient of a max pool by the sign of what went into the pool: the gradient made of the
 * pool's own signs, new nodes at g's cursor. Else NULL. */
ir_node *pool_mask_moved(ir_graph *g, const ir_uses *uses, ir_node *n);

#endif
