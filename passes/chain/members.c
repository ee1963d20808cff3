/* passes/chain/members.c - which kernels can be members of a chain: those whose tasks can be whole slices of the batch.
 *
 * These are elementwise, row and window kernels whose results all have the batch, contractions whose tasks cut the
 * batch by leaves, and sums over the batch in two phases. Contractions that take examples as the rows of their register
 * tiles want 8 of them, so a chain of shorter slices does without them. */
#include "ir/contraction/plan.h"
#include "ir/graph/build.h"
#include "passes/chain/chain.h"

bool chain_has_scratch(const ir_node *kernel)
{
    for (int i = 0; i < kernel->nin; i++)
        if (kernel->in[i]->op == IR_SCRATCH && kernel->in[i]->place.segment != SEG_WORKER)
            return true;
    return false;
}

/* Is that scratch for the sums of leaves, and not a worker's own? */
static bool has_leaves(const ir_node *kernel)
{
    for (int i = 0; i < kernel->nin; i++)
        if (kernel->in[i]->op == IR_SCRATCH && kernel->in[i]->type.dim[0].n > 1)
            return true;
    return false;
}

bool chain_takes_rows(const ir_node *kernel)
{
    contraction_plan p;
    return contraction_core(kernel) && !chain_has_scratch(kernel) && contraction_plan_read(kernel, &p) &&
           p.row == p.cut;
}

/* Its tasks are leaves, or cut the batch and nothing else. */
static bool contraction_cuts_slices(const ir_node *kernel)
{
    const ir_node *core = contraction_core(kernel);
    contraction_plan p;
    if (!core || !contraction_plan_read(kernel, &p) || (p.pack && p.pack != CONTRACTION_STREAM))
        return false;
    if (chain_has_scratch(kernel))
        return has_leaves(kernel) || p.pack == CONTRACTION_STREAM;
    arena *mem = arena_new();
    contraction c;
    bool leaves = p.chunk == IR_LEAF || !chain_takes_rows(kernel);
    bool ok = p.cut >= 0 && leaves && contraction_describe(core, 0, mem, &c) && p.cut < c.naxes &&
              c.axis[p.cut].batch && c.axis[p.cut].n == 1;
    arena_free(mem);
    return ok;
}

/* All of the kernel's results have the batch, and nothing is assigned. */
static bool gives_examples(const ir_node *kernel)
{
    for (int i = 0; i < kernel->region->nresults; i++) {
        const ir_type *t = &kernel->region->results[i]->type;
        int batch = ir_batch_dim(t);
        if (batch < 0 || t->dim[batch].n != 1)
            return false;
    }
    return kernel->region->nresults > 0 && !ir_has_effect(kernel);
}

static bool one_shape(const ir_node *kernel)
{
    for (int i = 1; i < kernel->region->nresults; i++)
        if (!ir_shape_equal(&kernel->region->results[0]->type, &kernel->region->results[i]->type))
            return false;
    return true;
}

int64_t chain_walked_elements(const ir_node *kernel)
{
    for (const ir_node *n = kernel->region->first; n && ir_word_is(kernel, "kind", "row"); n = n->next)
        if (n->op == IR_REDUCE)
            return ir_static_count(&n->in[0]->type);
    return ir_static_count(&kernel->region->results[0]->type);
}

bool chain_can_join(const ir_node *kernel)
{
    if (kernel->op != IR_FUSED)
        return false;
    if (ir_word_is(kernel, "kind", "contraction"))
        return contraction_cuts_slices(kernel);
    if (ir_word_is(kernel, "kind", "batch_reduce")) {
        const ir_attr *plan = ir_attr_find(kernel->attrs, "plan");
        return plan && plan->count == 2 && plan->number[0] == 2;
    }
    bool walks = ir_word_is(kernel, "kind", "elementwise") || ir_word_is(kernel, "kind", "window") ||
                 ir_word_is(kernel, "kind", "row");
    if (!walks || !gives_examples(kernel) || (!ir_word_is(kernel, "kind", "row") && !one_shape(kernel)))
        return false;
    return chain_walked_elements(kernel) <= INT32_MAX / IR_LEAF; /* a plan's number is below 2^31 */
}
