/* ir/graph/build.h - one function an operator, for code that builds graphs.
 *
 * Each appends at the graph's cursor, infers the type and returns the node. They are for graphs we make ourselves,
 * where a type error is our mistake: it is an ir_bug. */
#ifndef IR_BUILD_H
#define IR_BUILD_H

#include "ir/ir.h"

#define UNARY(ID, name, ...) ir_node *ir_##name(ir_graph *g, ir_node *x);
#define BINARY(ID, name, ...) ir_node *ir_##name(ir_graph *g, ir_node *x, ir_node *y);
#define OP(...)
#include "ir/ops.def"

ir_node *ir_compare(ir_graph *g, const char *direction, ir_node *x, ir_node *y); /* EQ NE LT LE GT GE */
ir_node *ir_select(ir_graph *g, ir_node *condition, ir_node *x, ir_node *y);
ir_node *ir_clamp(ir_graph *g, ir_node *low, ir_node *x, ir_node *high);
ir_node *ir_convert(ir_graph *g, ir_node *x, ir_dtype to);
ir_node *ir_bitcast_convert(ir_graph *g, ir_node *x, ir_dtype to);

ir_node *ir_constant(ir_graph *g, ir_type type, double value); /* the value in every element, rounded to the dtype */
ir_node *ir_constants(ir_graph *g, ir_type type, const double *values); /* one each, row-major; the type has no batch */
ir_node *ir_like(ir_graph *g, const ir_node *x, double value);          /* a constant of x's type */
ir_node *ir_iota(ir_graph *g, ir_type type, int dim);
ir_node *ir_reshape(ir_graph *g, ir_node *x, int rank, const ir_dim *dims);
ir_node *ir_transpose(ir_graph *g, ir_node *x, const int64_t *permutation);
ir_node *ir_broadcast_in_dim(ir_graph *g, ir_node *x, ir_type shape, const int64_t *dims); /* shape's dtype ignored */
ir_node *ir_broadcast_scalar(ir_graph *g, ir_node *x, ir_type shape);
/* x, but 0 where its magnitude is below 'least': a value that only decays would else end among the subnormal numbers,
 * which many processors compute with a hundred times as slowly, and stay there. NaN passes. */
ir_node *ir_flush_below(ir_graph *g, ir_node *x, double least);
ir_node *ir_slice(ir_graph *g, ir_node *x, const int64_t *start, const int64_t *limit, const int64_t *stride);
ir_node *ir_pad(ir_graph *g, ir_node *x, ir_node *value, const int64_t *low, const int64_t *high,
                const int64_t *interior);
ir_node *ir_concatenate(ir_graph *g, ir_node *const *x, int count, int dim);
ir_node *ir_reverse(ir_graph *g, ir_node *x, const int64_t *dims, int count);
ir_node *ir_batch_size(ir_graph *g);
ir_node *ir_stop_gradient(ir_graph *g, ir_node *x);

/* kind: sum max min argmax. A `leaf = [8]` is added where the dims include the batch and the kind is sum. */
ir_node *ir_reduce(ir_graph *g, const char *kind, ir_node *x, const int64_t *dims, int count);

typedef struct { /* one entry a dimension of the operand, 1 / 1 / 0 / 0 where the window does not reach */
    int64_t window[IR_MAX_RANK], stride[IR_MAX_RANK], low[IR_MAX_RANK], high[IR_MAX_RANK];
} ir_window;
ir_node *ir_reduce_window(ir_graph *g, const char *kind, ir_node *x, const ir_window *w);
ir_node *ir_select_and_scatter(ir_graph *g, ir_node *position, ir_node *y, ir_type shape, const ir_window *w);

typedef struct {
    int lhs_batch_count, contract_count;
    int64_t lhs_batch[IR_MAX_RANK], rhs_batch[IR_MAX_RANK], lhs_contract[IR_MAX_RANK], rhs_contract[IR_MAX_RANK];
    bool leaf; /* sum the batch, the first dimension to contract, by leaves */
} ir_dot;
ir_node *ir_dot_general(ir_graph *g, ir_node *x, ir_node *y, const ir_dot *dot);
ir_node *ir_matmul(ir_graph *g, ir_node *x, ir_node *y); /* last dimension of x with first of y */

typedef struct { /* 'spatial' spatial dimensions; the lists lhs, rhs, out have 2 + spatial entries (see ops.def) */
    int spatial;
    int64_t lhs[IR_MAX_RANK], rhs[IR_MAX_RANK], out[IR_MAX_RANK];
    int64_t stride[IR_MAX_RANK], low[IR_MAX_RANK], high[IR_MAX_RANK];
    int64_t lhs_dilation[IR_MAX_RANK], rhs_dilation[IR_MAX_RANK];
    int64_t feature_groups, batch_groups;
    bool leaf; /* sum the batch, where it is the lhs's features, by leaves */
} ir_conv;
/* A `leaf = [8]` is added where the contracted feature is the batch. */
ir_node *ir_convolution(ir_graph *g, ir_node *x, ir_node *w, const ir_conv *conv);
/* low: of kind input, else NULL; outputs: of kinds input and output. */
ir_node *ir_winograd(ir_graph *g, const char *kind, ir_node *x, const int64_t *low, const int64_t *outputs);
void ir_conv_read(const ir_node *n, ir_conv *out); /* a convolution's attributes */
void ir_dot_read(const ir_node *n, ir_dot *out);
/* The number of the chain that a fused node is a member of, 0: of none. *slice, if wanted: how many examples a member's
 * task takes. */
int64_t ir_chain(const ir_node *n, int64_t *slice);
void ir_window_read(const ir_node *n, ir_window *out);

ir_node *ir_rng_bits(ir_graph *g, ir_node *seed, ir_node *step, ir_node *lane, ir_type shape, uint32_t stream);
ir_node *ir_param(ir_graph *g, ir_symbol *s);
ir_node *ir_state(ir_graph *g, ir_symbol *s);
ir_node *ir_assign(ir_graph *g, ir_symbol *s, ir_node *x);
ir_node *ir_call_value(ir_graph *g, const char *field);
ir_node *ir_minimize(ir_graph *g, ir_node *loss, ir_node *cotangent);
ir_node *ir_param_gradient(ir_graph *g, ir_symbol *s, ir_node *x);
/* A composite whose region is 'region' over 'in'; rule is its label. */
ir_node *ir_composite(ir_graph *g, const char *rule, ir_node *const *in, int nin, ir_graph *region);

#endif
