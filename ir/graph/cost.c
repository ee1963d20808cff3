/* ir/graph/cost.c - count a kernel's operations and bytes. */
#include "ir/graph/cost.h"
#include "ir/graph/build.h"

/* ---- operations ---- */

static double dot_terms(const ir_node *n, int64_t batch)
{
    ir_dot dot;
    ir_dot_read(n, &dot);
    double terms = (double)ir_count(&n->type, batch);
    for (int i = 0; i < dot.contract_count; i++)
        terms *= (double)ir_extent(n->in[0]->type.dim[dot.lhs_contract[i]], batch);
    return terms;
}

/* How pairs of a place in the result and a tap of the kernel fall, along one spatial dimension. */
typedef struct {
    double all, inside, on_element; /* inside: not padding; on_element: of these, not between elements either */
} tap_count;

static tap_count count_taps(const ir_node *n, const ir_conv *v, int i)
{
    tap_count t = {0};
    int64_t size = n->in[0]->type.dim[v->lhs[2 + i]].n, kernel = n->in[1]->type.dim[v->rhs[2 + i]].n;
    int64_t places = n->type.dim[v->out[2 + i]].n, spread = v->lhs_dilation[i];
    for (int64_t place = 0; place < places; place++)
        for (int64_t tap = 0; tap < kernel; tap++) {
            int64_t at = place * v->stride[i] - v->low[i] + tap * v->rhs_dilation[i];
            bool inside = at >= 0 && at <= (size - 1) * spread;
            t.all++;
            t.inside += inside;
            t.on_element += inside && at % spread == 0;
        }
    return t;
}

/* A padded position is a term, a gap that dilation made is none: gaps are the positions inside in every dimension but
 * between elements in one. */
static double convolution_terms(const ir_node *n, int64_t batch)
{
    ir_conv v;
    ir_conv_read(n, &v);
    const ir_type *x = &n->in[0]->type, *w = &n->in[1]->type;
    tap_count all = {1, 1, 1};
    for (int i = 0; i < v.spatial; i++) {
        tap_count t = count_taps(n, &v, i);
        all = (tap_count){all.all * t.all, all.inside * t.inside, all.on_element * t.on_element};
    }
    double examples = x->dim[v.lhs[1]].batch ? (double)batch : 1; /* contracted in a weight gradient */
    double outputs = (double)ir_extent(n->type.dim[v.out[0]], batch) * (double)ir_extent(n->type.dim[v.out[1]], batch);
    return (all.all - (all.inside - all.on_element)) * outputs * examples * (double)w->dim[v.rhs[0]].n;
}

static double window_elements(const ir_node *n, int64_t batch)
{
    ir_window w;
    ir_window_read(n, &w);
    double elements = (double)ir_count(&n->type, batch);
    for (int i = 0; i < n->type.rank; i++)
        elements *= (double)w.window[i];
    return elements;
}

double ir_node_operations(const ir_node *n, int64_t batch)
{
    switch (n->op) {
    case IR_DOT_GENERAL:
        return 2 * dot_terms(n, batch);
    case IR_CONVOLUTION:
        return 2 * convolution_terms(n, batch);
    case IR_REDUCE:
        return (double)ir_count(&n->in[0]->type, batch);
    case IR_REDUCE_WINDOW:
        return window_elements(n, batch);
    case IR_SELECT_AND_SCATTER:
        return (double)ir_count(&n->in[1]->type, batch);
    default:
        return ir_ops[n->op].traits & OP_ELTWISE ? (double)ir_count(&n->type, batch) : 0;
    }
}

/* ---- bytes ---- */

static double type_bytes(const ir_type *t, int64_t batch)
{
    return (double)ir_count(t, batch) * (double)ir_dtype_size(t->dtype);
}

/* Two operands may be one memory: reshapes of a value, or a parameter read twice. */
static bool is_same_memory(const ir_node *a, const ir_node *b)
{
    const ir_symbol *y = ir_memory_symbol(a);
    return ir_memory(a) == ir_memory(b) || (y && y == ir_memory_symbol(b));
}

static double operand_bytes(const ir_node *fused, int64_t batch)
{
    double bytes = 0;
    for (int i = 0; i < fused->nin; i++) {
        bool seen = fused->in[i]->op == IR_SCRATCH;
        for (int k = 0; k < i && !seen; k++)
            seen = is_same_memory(fused->in[k], fused->in[i]);
        if (!seen)
            bytes += type_bytes(&fused->in[i]->type, batch);
    }
    return bytes;
}

static double result_bytes(const ir_node *fused, int64_t batch)
{
    double bytes = fused->region->nresults ? type_bytes(&fused->type, batch) : 0;
    for (const ir_node *n = fused->next; n; n = n->next)
        if (n->op == IR_RESULT && n->in[0] == fused)
            bytes += type_bytes(&n->type, batch);
    for (const ir_node *n = fused->region->first; n; n = n->next)
        if (n->op == IR_ASSIGN)
            bytes += type_bytes(&n->symbol->type, batch);
    return bytes;
}

ir_cost ir_kernel_cost(const ir_node *fused, int64_t batch)
{
    ir_cost cost = {.bytes = operand_bytes(fused, batch) + result_bytes(fused, batch)};
    for (const ir_node *n = fused->region->first; n; n = n->next)
        cost.operations += ir_node_operations(n, batch);
    return cost;
}

ir_cost ir_function_cost(const ir_graph *f, int64_t batch)
{
    ir_cost total = {0};
    for (const ir_node *n = f->first; n; n = n->next) {
        if (n->op != IR_FUSED)
            continue;
        ir_cost one = ir_kernel_cost(n, batch);
        total.operations += one.operations;
        total.bytes += one.bytes;
    }
    return total;
}
