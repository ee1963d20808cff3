/* ir/graph/build.c - append one node to a graph: operands, attributes, inferred type.
 *
 * A rule that fails here was broken by code of ours, so it ends in ir_bug with the rule's message. */
#include "ir/graph/build.h"
#include <string.h>

static ir_node *finish(ir_node *n)
{
    diag *d = diag_new();
    if (!ir_infer(n, d)) {
        text message = {0};
        diag_print_plain(d, &message, false);
        ir_bug("a graph was built wrongly: %s", text_get(&message));
    }
    diag_free(d);
    return n;
}

static ir_node *node(ir_graph *g, ir_op op, int nin, ir_node *const *in)
{
    return ir_node_new(g, op, in, nin, ir_type_none());
}

static ir_node *typed_node(ir_graph *g, ir_op op, int nin, ir_node *const *in, ir_type type)
{
    return ir_node_new(g, op, in, nin, type);
}

/* ---- elementwise ---- */

#define UNARY(ID, name, ...)                                                                                           \
    ir_node *ir_##name(ir_graph *g, ir_node *x)                                                                        \
    {                                                                                                                  \
        return finish(node(g, IR_##ID, 1, &x));                                                                        \
    }
#define BINARY(ID, name, ...)                                                                                          \
    ir_node *ir_##name(ir_graph *g, ir_node *x, ir_node *y)                                                            \
    {                                                                                                                  \
        return finish(node(g, IR_##ID, 2, (ir_node *[]){x, y}));                                                       \
    }
#define OP(...)
#include "ir/ops.def"

ir_node *ir_compare(ir_graph *g, const char *direction, ir_node *x, ir_node *y)
{
    ir_node *n = node(g, IR_COMPARE, 2, (ir_node *[]){x, y});
    ir_set_word(n, "direction", direction);
    return finish(n);
}

ir_node *ir_select(ir_graph *g, ir_node *condition, ir_node *x, ir_node *y)
{
    return finish(node(g, IR_SELECT, 3, (ir_node *[]){condition, x, y}));
}

ir_node *ir_clamp(ir_graph *g, ir_node *low, ir_node *x, ir_node *high)
{
    return finish(node(g, IR_CLAMP, 3, (ir_node *[]){low, x, high}));
}

static ir_type with_dtype(ir_type type, ir_dtype t)
{
    type.dtype = t;
    return type;
}

ir_node *ir_convert(ir_graph *g, ir_node *x, ir_dtype to)
{
    return finish(typed_node(g, IR_CONVERT, 1, &x, with_dtype(x->type, to)));
}

ir_node *ir_bitcast_convert(ir_graph *g, ir_node *x, ir_dtype to)
{
    return finish(typed_node(g, IR_BITCAST_CONVERT, 1, &x, with_dtype(x->type, to)));
}

/* ---- shape ---- */

ir_node *ir_constant(ir_graph *g, ir_type type, double value)
{
    double rounded = type.dtype == IR_F32 ? (double)(float)value : value;
    ir_node *n = typed_node(g, IR_CONSTANT, 0, NULL, type);
    ir_set_numbers(n, "value", &rounded, 1);
    return finish(n);
}

ir_node *ir_constants(ir_graph *g, ir_type type, const double *values)
{
    int count = (int)ir_static_count(&type);
    arena *scratch = arena_new();
    double *rounded = arena_new_array(scratch, double, (size_t)count);
    for (int i = 0; i < count; i++)
        rounded[i] = type.dtype == IR_F32 ? (double)(float)values[i] : values[i];
    ir_node *n = typed_node(g, IR_CONSTANT, 0, NULL, type);
    ir_set_numbers(n, "value", rounded, count);
    arena_free(scratch);
    return finish(n);
}

ir_node *ir_like(ir_graph *g, const ir_node *x, double value)
{
    return ir_constant(g, x->type, value);
}

ir_node *ir_iota(ir_graph *g, ir_type type, int dim)
{
    ir_node *n = typed_node(g, IR_IOTA, 0, NULL, type);
    ir_set_int(n, "dim", dim);
    return finish(n);
}

ir_node *ir_reshape(ir_graph *g, ir_node *x, int rank, const ir_dim *dims)
{
    return finish(typed_node(g, IR_RESHAPE, 1, &x, ir_type_make(x->type.dtype, rank, dims)));
}

ir_node *ir_transpose(ir_graph *g, ir_node *x, const int64_t *permutation)
{
    ir_node *n = node(g, IR_TRANSPOSE, 1, &x);
    ir_set_ints(n, "permutation", permutation, x->type.rank);
    return finish(n);
}

ir_node *ir_broadcast_in_dim(ir_graph *g, ir_node *x, ir_type shape, const int64_t *dims)
{
    ir_node *n = typed_node(g, IR_BROADCAST_IN_DIM, 1, &x, with_dtype(shape, x->type.dtype));
    ir_set_ints(n, "dims", dims, x->type.rank);
    return finish(n);
}

ir_node *ir_broadcast_scalar(ir_graph *g, ir_node *x, ir_type shape)
{
    return ir_broadcast_in_dim(g, x, shape, NULL);
}

ir_node *ir_flush_below(ir_graph *g, ir_node *x, double least)
{
    ir_node *edge = ir_like(g, x, least); /* C leaves the order of arguments open, and texts must not depend on it */
    ir_node *small = ir_compare(g, "LT", ir_abs(g, x), edge);
    return ir_select(g, small, ir_like(g, x, 0), x);
}

ir_node *ir_slice(ir_graph *g, ir_node *x, const int64_t *start, const int64_t *limit, const int64_t *stride)
{
    ir_node *n = node(g, IR_SLICE, 1, &x);
    ir_set_ints(n, "start", start, x->type.rank);
    ir_set_ints(n, "limit", limit, x->type.rank);
    ir_set_ints(n, "stride", stride, x->type.rank);
    return finish(n);
}

ir_node *ir_pad(ir_graph *g, ir_node *x, ir_node *value, const int64_t *low, const int64_t *high,
                const int64_t *interior)
{
    ir_node *n = node(g, IR_PAD, 2, (ir_node *[]){x, value});
    ir_set_ints(n, "low", low, x->type.rank);
    ir_set_ints(n, "high", high, x->type.rank);
    ir_set_ints(n, "interior", interior, x->type.rank);
    return finish(n);
}

ir_node *ir_concatenate(ir_graph *g, ir_node *const *x, int count, int dim)
{
    ir_node *n = node(g, IR_CONCATENATE, count, x);
    ir_set_int(n, "dim", dim);
    return finish(n);
}

ir_node *ir_reverse(ir_graph *g, ir_node *x, const int64_t *dims, int count)
{
    ir_node *n = node(g, IR_REVERSE, 1, &x);
    ir_set_ints(n, "dims", dims, count);
    return finish(n);
}

ir_node *ir_batch_size(ir_graph *g)
{
    return finish(typed_node(g, IR_BATCH_SIZE, 0, NULL, ir_type_scalar(IR_I64)));
}

ir_node *ir_stop_gradient(ir_graph *g, ir_node *x)
{
    return finish(node(g, IR_STOP_GRADIENT, 1, &x));
}

/* ---- reduction and windows ---- */

ir_node *ir_reduce(ir_graph *g, const char *kind, ir_node *x, const int64_t *dims, int count)
{
    ir_node *n = node(g, IR_REDUCE, 1, &x);
    int batch = ir_batch_dim(&x->type);
    ir_set_word(n, "kind", kind);
    ir_set_ints(n, "dims", dims, count);
    for (int i = 0; i < count; i++)
        if (dims[i] == batch && !strcmp(kind, "sum"))
            ir_set_int(n, "leaf", IR_LEAF);
    return finish(n);
}

static void set_window(ir_node *n, const ir_window *w, int rank)
{
    ir_set_ints(n, "window", w->window, rank);
    ir_set_ints(n, "stride", w->stride, rank);
    ir_set_ints(n, "low", w->low, rank);
    ir_set_ints(n, "high", w->high, rank);
}

void ir_window_read(const ir_node *n, ir_window *out)
{
    ir_ints(n, "window", out->window);
    ir_ints(n, "stride", out->stride);
    ir_ints(n, "low", out->low);
    ir_ints(n, "high", out->high);
}

ir_node *ir_reduce_window(ir_graph *g, const char *kind, ir_node *x, const ir_window *w)
{
    ir_node *n = node(g, IR_REDUCE_WINDOW, 1, &x);
    ir_set_word(n, "kind", kind);
    set_window(n, w, x->type.rank);
    return finish(n);
}

ir_node *ir_select_and_scatter(ir_graph *g, ir_node *position, ir_node *y, ir_type shape, const ir_window *w)
{
    ir_node *n = typed_node(g, IR_SELECT_AND_SCATTER, 2, (ir_node *[]){position, y}, with_dtype(shape, y->type.dtype));
    set_window(n, w, shape.rank);
    return finish(n);
}

/* ---- contraction ---- */

ir_node *ir_dot_general(ir_graph *g, ir_node *x, ir_node *y, const ir_dot *dot)
{
    ir_node *n = node(g, IR_DOT_GENERAL, 2, (ir_node *[]){x, y});
    if (dot->lhs_batch_count) {
        ir_set_ints(n, "lhs_batch", dot->lhs_batch, dot->lhs_batch_count);
        ir_set_ints(n, "rhs_batch", dot->rhs_batch, dot->lhs_batch_count);
    }
    ir_set_ints(n, "lhs_contract", dot->lhs_contract, dot->contract_count);
    ir_set_ints(n, "rhs_contract", dot->rhs_contract, dot->contract_count);
    if (dot->leaf)
        ir_set_int(n, "leaf", IR_LEAF);
    return finish(n);
}

void ir_dot_read(const ir_node *n, ir_dot *out)
{
    out->lhs_batch_count = ir_ints(n, "lhs_batch", out->lhs_batch);
    ir_ints(n, "rhs_batch", out->rhs_batch);
    out->contract_count = ir_ints(n, "lhs_contract", out->lhs_contract);
    ir_ints(n, "rhs_contract", out->rhs_contract);
    out->leaf = ir_attr_find(n->attrs, "leaf");
}

ir_node *ir_matmul(ir_graph *g, ir_node *x, ir_node *y)
{
    ir_dot dot = {.contract_count = 1, .lhs_contract = {x->type.rank - 1}, .rhs_contract = {0}};
    return ir_dot_general(g, x, y, &dot);
}

ir_node *ir_convolution(ir_graph *g, ir_node *x, ir_node *w, const ir_conv *conv)
{
    ir_node *n = node(g, IR_CONVOLUTION, 2, (ir_node *[]){x, w});
    int spatial = conv->spatial;
    ir_set_ints(n, "lhs", conv->lhs, 2 + spatial);
    ir_set_ints(n, "rhs", conv->rhs, 2 + spatial);
    ir_set_ints(n, "out", conv->out, 2 + spatial);
    ir_set_ints(n, "stride", conv->stride, spatial);
    ir_set_ints(n, "low", conv->low, spatial);
    ir_set_ints(n, "high", conv->high, spatial);
    ir_set_ints(n, "lhs_dilation", conv->lhs_dilation, spatial);
    ir_set_ints(n, "rhs_dilation", conv->rhs_dilation, spatial);
    ir_set_int(n, "feature_groups", conv->feature_groups);
    ir_set_int(n, "batch_groups", conv->batch_groups);
    if (conv->leaf)
        ir_set_int(n, "leaf", IR_LEAF);
    return finish(n);
}

ir_node *ir_winograd(ir_graph *g, const char *kind, ir_node *x, const int64_t *low, const int64_t *outputs)
{
    ir_node *n = node(g, IR_WINOGRAD, 1, &x);
    ir_set_word(n, "kind", kind);
    if (low)
        ir_set_ints(n, "low", low, 2);
    if (outputs)
        ir_set_ints(n, "outputs", outputs, 2);
    return finish(n);
}

void ir_conv_read(const ir_node *n, ir_conv *out)
{
    out->spatial = ir_ints(n, "stride", out->stride);
    ir_ints(n, "lhs", out->lhs);
    ir_ints(n, "rhs", out->rhs);
    ir_ints(n, "out", out->out);
    ir_ints(n, "low", out->low);
    ir_ints(n, "high", out->high);
    ir_ints(n, "lhs_dilation", out->lhs_dilation);
    ir_ints(n, "rhs_dilation", out->rhs_dilation);
    out->feature_groups = ir_int(n, "feature_groups", 1);
    out->batch_groups = ir_int(n, "batch_groups", 1);
    out->leaf = ir_attr_find(n->attrs, "leaf");
}

int64_t ir_chain(const ir_node *n, int64_t *slice)
{
    int64_t chain[IR_MAX_RANK];
    if (n->op != IR_FUSED || ir_ints(n, "chain", chain) != 2)
        return 0;
    if (slice)
        *slice = chain[1];
    return chain[0];
}

/* ---- random numbers, structure, state ---- */

ir_node *ir_rng_bits(ir_graph *g, ir_node *seed, ir_node *step, ir_node *lane, ir_type shape, uint32_t stream)
{
    ir_node *n = typed_node(g, IR_RNG_BITS, 3, (ir_node *[]){seed, step, lane}, with_dtype(shape, IR_UI32));
    ir_set_int(n, "stream", stream);
    return finish(n);
}

static ir_node *symbol_node(ir_graph *g, ir_op op, ir_symbol *s, int nin, ir_node *const *in)
{
    ir_node *n = node(g, op, nin, in);
    n->symbol = s;
    return finish(n);
}

ir_node *ir_param(ir_graph *g, ir_symbol *s)
{
    return symbol_node(g, IR_PARAM, s, 0, NULL);
}

ir_node *ir_state(ir_graph *g, ir_symbol *s)
{
    return symbol_node(g, IR_STATE, s, 0, NULL);
}

ir_node *ir_assign(ir_graph *g, ir_symbol *s, ir_node *x)
{
    return symbol_node(g, IR_ASSIGN, s, 1, &x);
}

ir_node *ir_call_value(ir_graph *g, const char *field)
{
    ir_dtype t = strcmp(field, "micro_batch") && strcmp(field, "sgemm") ? IR_F32 : IR_I64;
    ir_node *n = typed_node(g, IR_CALL_VALUE, 0, NULL, ir_type_scalar(t));
    ir_set_word(n, "field", field);
    return finish(n);
}

ir_node *ir_minimize(ir_graph *g, ir_node *loss, ir_node *cotangent)
{
    return finish(node(g, IR_MINIMIZE, 2, (ir_node *[]){loss, cotangent}));
}

ir_node *ir_param_gradient(ir_graph *g, ir_symbol *s, ir_node *x)
{
    return symbol_node(g, IR_PARAM_GRADIENT, s, 1, &x);
}

ir_node *ir_composite(ir_graph *g, const char *rule, ir_node *const *in, int nin, ir_graph *region)
{
    ir_node *n = node(g, IR_COMPOSITE, nin, in);
    n->label = arena_strdup(g->module->mem, rule);
    ir_set_region(n, region);
    return finish(n);
}
