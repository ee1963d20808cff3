/* passes/copies.c - see copies.h. A step of pass layout, after the last simplify, which would take copies out again. */
#include "passes/copies.h"
#include "ir/graph/build.h"
#include "passes/memory.h"

static bool is_written_by_a_kernel(const ir_node *root)
{
    return (mem_is_kernel(root) && root->op != IR_CONSTANT) || root->op == IR_RESULT;
}

static bool returned_before(const ir_graph *g, int result)
{
    for (int i = 0; i < result; i++)
        if (ir_memory(g->results[i]) == ir_memory(g->results[result]))
            return true;
    return false;
}

/* A broadcast along no new dimension. It stands right below the value: a state may be assigned further down. */
static ir_node *copy_of(ir_graph *g, ir_node *x)
{
    int64_t dims[IR_MAX_RANK];
    for (int i = 0; i < x->type.rank; i++)
        dims[i] = i;
    g->before = x->op == IR_INPUT ? g->first : x->next;
    g->at = x->loc;
    g->at_label = x->label;
    g->at_stage = ir_int(x, "stage", 0);
    ir_node *copy = ir_broadcast_in_dim(g, x, x->type, dims);
    g->before = NULL;
    g->at = (src_loc){0};
    g->at_label = NULL;
    g->at_stage = 0;
    return copy;
}

void copies_for_results(ir_module *m)
{
    for (ir_graph *g = m->functions; g; g = g->next)
        for (int i = 0; i < g->nresults; i++)
            if (!is_written_by_a_kernel(ir_memory(g->results[i])) || returned_before(g, i))
                g->results[i] = copy_of(g, g->results[i]);
}
