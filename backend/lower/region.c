/* backend/lower/region.c - questions about the region of a fused node, the graph inside it, that need no code to be
 * written: what its nodes are, which buffer an input or a result is, and how that buffer lies in memory. */
#include "backend/lower/lower.h"

/* ---- nodes ---- */

bool lower_is_core(const ir_node *n)
{
    return n->op == IR_REDUCE || n->op == IR_REDUCE_WINDOW || n->op == IR_SELECT_AND_SCATTER || n->op == IR_WINOGRAD ||
           n->op == IR_DOT_GENERAL || n->op == IR_CONVOLUTION;
}

/* A region's list has operands before their users: one way down it tells all. */
const bool *lower_dependents(const lowering *l, const ir_node *on)
{
    bool *depends = arena_new_array(l->kernel->mem, bool, (size_t)l->count + 1);
    if (on)
        depends[on->id] = true;
    for (const ir_node *n = l->region->first; n; n = n->next) {
        depends[n->id] |= !on && lower_is_core(n);
        for (int i = 0; i < n->nin; i++)
            depends[n->id] |= depends[n->in[i]->id];
    }
    return depends;
}

bool lower_is_padded(const ir_node *n, int dim)
{
    int64_t low[IR_MAX_RANK], high[IR_MAX_RANK], interior[IR_MAX_RANK];
    ir_ints(n, "low", low);
    ir_ints(n, "high", high);
    ir_ints(n, "interior", interior);
    return low[dim] || high[dim] || interior[dim];
}

bool lower_is_uniform(const ir_node *constant)
{
    const ir_attr *value = ir_attr_find(constant->attrs, "value");
    for (int i = 1; i < value->count; i++)
        if (value->number[i] != value->number[0])
            return false;
    return true;
}

int64_t lower_plan(const lowering *l, int index, int64_t fallback)
{
    const ir_attr *plan = ir_attr_find(l->fused->attrs, "plan");
    return plan && !plan->word && index < plan->count ? (int64_t)plan->number[index] : fallback;
}

const ir_node *lower_scratch(const lowering *l, int index)
{
    for (int i = 0; i < l->fused->nin; i++)
        if (l->fused->in[i]->op == IR_SCRATCH && index-- == 0)
            return l->region->inputs[i];
    return NULL;
}

bool lower_check_shapes(const lowering *l, const ir_type *a, const ir_type *b, diag *d)
{
    for (int i = 0; i < l->region->nresults; i++) {
        const ir_node *r = l->region->results[i];
        if (!ir_shape_equal(&r->type, a) && !(b && ir_shape_equal(&r->type, b)))
            return lower_unsupported(r, d, "a result of another shape than its kernel's");
    }
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_ASSIGN && !ir_shape_equal(&n->in[0]->type, a) && !(b && ir_shape_equal(&n->in[0]->type, b)))
            return lower_unsupported(n, d, "a value of another shape than its kernel's");
    return true;
}

/* ---- buffers ---- */

static int input_number(const lowering *l, const ir_node *input)
{
    for (int i = 0; i < l->region->ninputs; i++)
        if (l->region->inputs[i] == input)
            return i;
    ir_bug("a value of another region");
}

int lower_input_buffer(lowering *l, const ir_node *input)
{
    const ir_node *n = ir_memory(l->fused->in[input_number(l, input)]);
    nest_buffer b = {.name = n->symbol ? n->symbol->name : n->name, .dtype = input->type.dtype, .node = n};
    return nest_add_buffer(l->kernel, b);
}

/* The node outside that stands for result 'index', or NULL where nobody wants it. */
static const ir_node *outer_result(const lowering *l, int index)
{
    if (index == 0)
        return l->fused;
    for (const ir_node *n = l->fused->next; n; n = n->next)
        if (n->op == IR_RESULT && n->in[0] == l->fused && ir_int(n, "index", 0) == index)
            return n;
    return NULL;
}

int lower_result_buffer(lowering *l, int index)
{
    const ir_node *n = outer_result(l, index);
    if (!n)
        return -1;
    return nest_add_buffer(
        l->kernel,
        (nest_buffer){.name = n->name, .dtype = l->region->results[index]->type.dtype, .node = n, .written = true});
}

int lower_assign_buffer(lowering *l, const ir_node *assign)
{
    const ir_symbol *y = assign->symbol;
    return nest_add_buffer(l->kernel,
                           (nest_buffer){.name = y->name, .dtype = y->type.dtype, .symbol = y, .written = true});
}

const ir_node *lower_memory_of_input(const lowering *l, const ir_node *input)
{
    return ir_memory(l->fused->in[input_number(l, input)]);
}

const ir_node *lower_memory_of_result(const lowering *l, int index)
{
    return outer_result(l, index);
}
