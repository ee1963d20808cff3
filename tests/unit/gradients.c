/* tests/unit/gradients.c - see gradients.h. */
#include "tests/unit/gradients.h"
#include "passes/passes.h"

bool return_gradients(ir_module *m, ir_graph *f, diag *d)
{
    for (ir_node *n = f->first; n; n = n->next)
        if (n->op == IR_MINIMIZE)
            ir_result_add(f, "loss", n->in[0]);
    if (!pass_autodiff(m, d) || !ir_verify(m, d))
        return false;
    for (ir_node *n = f->first, *next; n; n = next) {
        next = n->next;
        if (n->op != IR_PARAM_GRADIENT)
            continue;
        ir_result_add(f, n->symbol->name, n->in[0]);
        ir_unlink(n);
    }
    return ir_verify(m, d);
}
