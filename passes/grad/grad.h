/* passes/grad/grad.h - what the gradient rules share. autodiff.c calls the rules; each family of operators has a file.
 *
 * A rule is given a forward node y whose gradient is complete, and adds to the gradients of the operands of y. It
 * speaks in three verbs. upstream(g, y) is the gradient of y. toward(g, x) says whether anybody wants the gradient of
 * x, and names the nodes that are made from then on after the parameter or layer that will receive it. accumulate(g, x,
 * dx) adds dx to the gradient of x. */
#ifndef PASSES_GRAD_H
#define PASSES_GRAD_H

#include "ir/graph/build.h"

typedef struct {
    ir_graph *graph; /* new nodes go to its cursor */
    diag *d;
    bool failed;         /* after an error in d */
    ir_node **gradient;  /* by forward node's id; NULL: none yet */
    const bool *wanted;  /* by forward node's id: a trainable parameter lies upstream of it */
    const ir_node *node; /* the node whose rule runs */
    arena *mem;          /* scratch of this function's differentiation */
} grad;

typedef void grad_rule(grad *g, ir_node *y);

ir_node *upstream(const grad *g, const ir_node *y);
bool toward(grad *g, const ir_node *x);
void accumulate(grad *g, ir_node *x, ir_node *dx); /* nothing happens if no one wants it */

/* Operators without a rule. grad_none says that no gradient flows through, which is true of these: */
void grad_none(grad *g, ir_node *y);
/* steps: flat wherever they have a derivative */
#define grad_sign grad_none
#define grad_round_nearest_even grad_none
#define grad_floor grad_none
/* bits, whole numbers and truths */
#define grad_not grad_none
#define grad_is_finite grad_none
#define grad_and grad_none
#define grad_or grad_none
#define grad_xor grad_none
#define grad_shift_left grad_none
#define grad_shift_right grad_none
#define grad_compare grad_none
#define grad_bitcast_convert grad_none
#define grad_rng_bits grad_none
/* without operands */
#define grad_constant grad_none
#define grad_iota grad_none
#define grad_batch_size grad_none
#define grad_scratch grad_none
#define grad_input grad_none
#define grad_param grad_none
#define grad_state grad_none
#define grad_call_value grad_none
/* that is what it is for */
#define grad_stop_gradient grad_none
/* without a result */
#define grad_assign grad_none
#define grad_minimize grad_none
#define grad_param_gradient grad_none
/* only passes after autodiff make them (select_and_scatter: only autodiff itself) */
#define grad_fused grad_none
#define grad_result grad_none
#define grad_select_and_scatter grad_none
#define grad_winograd grad_none

#define OP(ID, name, ...) grad_rule grad_##name;
#include "ir/ops.def"

/* The rule of a composite by its label, or NULL: then it is differentiated through its region. A rule is told the
 * gradient of one result, so a composite with several has none. */
grad_rule *grad_find_composite(const ir_node *c);

#endif
