/* backend/lower/lower.c - from a fused node to its loop nest, which the file for the node's `kind` writes.
 *
 * Pass select has made every operator part of a fused node with a kind and a plan. What the kinds share stands in files
 * of its own: region.c answers questions about the node's region, value.c writes the value of one of its nodes at a
 * point, walk.c the loops over the points of a shape, phase.c the frame of phases and tasks around them. */
#include "backend/lower/lower.h"

static const struct {
    const char *kind;
    bool (*lower)(lowering *l, diag *d);
} kinds[] = {{"elementwise", lower_elementwise},
             {"row", lower_row},
             {"reduce", lower_reduce},
             {"batch_reduce", lower_batch_reduce},
             {"window", lower_window},
             {"contraction", lower_contraction},
             {"gemm", lower_gemm}};

nest_kernel *nest_lower(const ir_node *fused, const ir_target *target, arena *mem, diag *d)
{
    nest_kernel *k = arena_make(mem, nest_kernel);
    k->mem = mem;
    k->name = fused->label ? fused->label : ir_ops[fused->op].name;
    k->node = fused;
    k->target = target;
    k->at = fused->loc;
    lowering *l = arena_make(mem, lowering);
    *l = (lowering){.kernel = k, .fused = fused, .region = fused->region, .count = ir_number(fused->region)};
    lower_know_nothing(l);
    l->answers = lower_no_answers(l);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (ir_word_is(fused, "kind", kinds[i].kind)) {
            if (!kinds[i].lower(l, d))
                return NULL;
            nest_sweep(k);
            return k;
        }
    lower_unsupported(fused, d, "this kind of kernel");
    return NULL;
}
