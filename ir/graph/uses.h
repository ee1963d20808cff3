/* ir/graph/uses.h - who reads each value of a graph: for passes that replace values as they go, without a walk over the
 * whole graph for each.
 *
 * A table is made for one graph and numbers its nodes (ir_number); ids stay as they are while it is in use. Nodes made
 * later are told to it with ir_uses_add before anything is asked about them; operands are changed through it only. */
#ifndef IR_USES_H
#define IR_USES_H

#include "ir/ir.h"

typedef struct ir_uses ir_uses;

/* A reader of a value: a node, once for each operand that is the value, or a result of the graph (user NULL). The list
 * may have nodes that were unlinked since: ir_uses_is_gone. */
typedef struct ir_use ir_use;
struct ir_use {
    ir_node *user;
    ir_use *next;
};

ir_uses *ir_uses_new(ir_graph *g, arena *mem); /* lives in 'mem' */
void ir_uses_add(ir_uses *u, ir_node *n);      /* a node made since: it gets the next id */
void ir_uses_replace(ir_uses *u, ir_node *old, ir_node *with);
/* As ir_unlink: its operands have a reader less, and it keeps them, whatever is replaced. */
void ir_uses_unlink(ir_uses *u, ir_node *n);
int32_t ir_uses_count(const ir_uses *u, const ir_node *n);
const ir_use *ir_uses_of(const ir_uses *u, const ir_node *n);
bool ir_uses_is_gone(const ir_uses *u, const ir_node *n);

#endif
