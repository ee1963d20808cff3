/* passes/select/kernel.c - kernels in the making: their inputs, copies of nodes, scratch memory (select.h). */
#include "ir/graph/build.h"
#include "passes/select/select.h"

ir_node *select_kernel(ir_graph *g, const char *kind, const char *label, int64_t stage, src_loc loc, ir_type type)
{
    ir_node *fused = ir_node_new(g, IR_FUSED, NULL, 0, type);
    ir_set_region(fused, ir_region_new(g->module));
    ir_set_word(fused, "kind", kind);
    if (stage)
        ir_set_int(fused, "stage", stage);
    fused->label = label;
    fused->loc = loc;
    return fused;
}

ir_node *select_input(ir_node *fused, ir_node *x)
{
    for (int i = 0; i < fused->nin; i++)
        if (fused->in[i] == x)
            return fused->region->inputs[i];
    ir_node **in = arena_new_array(fused->graph->module->mem, ir_node *, (size_t)fused->nin + 1);
    for (int i = 0; i < fused->nin; i++)
        in[i] = fused->in[i];
    in[fused->nin++] = x;
    fused->in = in;
    return ir_input_new(fused->region, x->name, x->type);
}

void select_sweep(ir_node *fused)
{
    ir_graph *r = fused->region;
    for (ir_node *n = r->last, *before; n; n = before) {
        before = n->prev;
        if (n->op != IR_ASSIGN && !ir_is_used(r, n))
            ir_unlink(n);
    }
    int kept = 0;
    for (int i = 0; i < fused->nin; i++)
        if (fused->in[i]->op == IR_SCRATCH || ir_is_used(r, r->inputs[i])) {
            fused->in[kept] = fused->in[i];
            r->inputs[kept++] = r->inputs[i];
        }
    fused->nin = r->ninputs = kept;
}

ir_node *select_copy(ir_node *from, ir_node *to, ir_node *x, ir_node **map)
{
    if (map[x->id])
        return map[x->id];
    if (x->op == IR_INPUT) {
        for (int i = 0; i < from->nin; i++)
            if (from->region->inputs[i] == x)
                return map[x->id] = select_input(to, from->in[i]);
        ir_bug("a region input without operand");
    }
    for (int i = 0; i < x->nin; i++)
        select_copy(from, to, x->in[i], map);
    return map[x->id] = ir_clone_node(to->region, x, map);
}

ir_node *select_scratch(ir_node *fused, ir_dtype t, int64_t rows, int64_t count)
{
    ir_graph *g = fused->graph;
    g->before = fused;
    ir_node *scratch =
        ir_node_new(g, IR_SCRATCH, NULL, 0, ir_type_make(t, 2, (const ir_dim[]){{rows, false}, {count, false}}));
    g->before = NULL;
    scratch->loc = fused->loc;
    select_input(fused, scratch);
    return scratch;
}
