/* passes/layout.c - how values lie in memory.
 *
 * A function's results must be values of its own: one that is an input, a parameter, a reshape of something or another
 * result as well gets a copy here (copies.c).
 *
 * Needs:  autodiff and optimize_update done.      Keeps:  values, order. */
#include "passes/copies.h"
#include "passes/passes.h"

bool pass_layout(ir_module *m, diag *d)
{
    (void)d;
    copies_for_results(m);
    return true;
}
