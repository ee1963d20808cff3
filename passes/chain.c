/* passes/chain.c - run consecutive kernels depth-first over slices of the batch.
 *     conv1 over all examples, pool1 over all, conv2 over all   =>   for 8 examples: conv1, pool1, conv2; next 8 ...
 *
 * What one kernel of a chain writes for a slice the next one reads while it is in cache, and between them no thread
 * waits for another: a slice of the whole chain is one task. A slice is a leaf of 8 examples, so kernels that sum over
 * the batch join with their first phase, which works leaf by leaf; their second phases run after the chain.
 *
 * A kernel can be a member if its tasks can be whole slices: elementwise, row and window kernels whose results all have
 * the batch, contractions whose tasks cut the batch by leaves, sums over the batch in two phases. A chain ends where a
 * kernel reads a member's second phase. Other kernels that stand between members move up before the chain if they need
 * nothing of it and assign nothing that it reads. Short work is left alone: more tasks would cost more than they give.
 *
 * Needs:  plans and the order of kernels.      Keeps:  every value and every bit.
 * Leaves: chain = [n] on members, which stand together; their plans cut slices.      Breaks: node order. */
#include "ir/build.h"
#include "ir/contraction.h"
#include "passes/memory.h"
#include "passes/passes.h"

enum { SLICE = 8, WORTH = 65536, PLAN_CUT = 7, PLAN_CHUNK = 8, PLAN_PACK = 10 };

/* ---- who can be a member ---- */

static bool has_scratch(const ir_node *kernel)
{
    for (int i = 0; i < kernel->nin; i++)
        if (kernel->in[i]->op == IR_SCRATCH)
            return true;
    return false;
}

static const ir_node *contraction_of(const ir_node *kernel)
{
    for (const ir_node *n = kernel->region->first; n; n = n->next)
        if (n->op == IR_DOT_GENERAL || n->op == IR_CONVOLUTION)
            return n;
    return NULL;
}

/* Its tasks are slices of the batch already, or leaves. */
static bool contraction_cuts_slices(const ir_node *kernel)
{
    const ir_node *core = contraction_of(kernel);
    const ir_attr *plan = ir_attr_find(kernel->attrs, "plan");
    if (!core || !plan || plan->count != CONTRACTION_PLAN || plan->number[PLAN_PACK])
        return false;
    if (has_scratch(kernel))
        return true;
    arena *mem = arena_new();
    contraction c;
    int64_t cut = (int64_t)plan->number[PLAN_CUT];
    bool ok = cut >= 0 && plan->number[PLAN_CHUNK] == SLICE && contraction_describe(core, 0, mem, &c) &&
              c.axis[cut].batch && c.axis[cut].n == 1;
    arena_free(mem);
    return ok;
}

/* Elements of one example of what the kernel walks: results and, for windows and rows, operands are within a small
 * factor. 0 if some result has no batch, or anything is assigned. */
static int64_t example_elements(const ir_node *kernel)
{
    int64_t most = 0;
    for (const ir_node *n = kernel->region->first; n; n = n->next) {
        if (n->op == IR_ASSIGN)
            return 0;
        int64_t count = ir_static_count(&n->type);
        if (ir_batch_dim(&n->type) >= 0 && count > most)
            most = count;
    }
    for (int i = 0; i < kernel->region->nresults; i++) {
        const ir_type *t = &kernel->region->results[i]->type;
        int batch = ir_batch_dim(t);
        if (batch < 0 || t->dim[batch].n != 1)
            return 0;
    }
    return kernel->region->nresults ? most : 0;
}

static bool one_shape(const ir_node *kernel)
{
    for (int i = 1; i < kernel->region->nresults; i++)
        if (!ir_shape_equal(&kernel->region->results[0]->type, &kernel->region->results[i]->type))
            return false;
    return true;
}

/* The shape that tasks of this kind cut; its elements of one example are the plan's unit. */
static int64_t walked_elements(const ir_node *kernel)
{
    return ir_word_is(kernel, "kind", "row") ? example_elements(kernel)
                                             : ir_static_count(&kernel->region->results[0]->type);
}

static bool can_join(const ir_node *kernel)
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
    int64_t elements = walks ? example_elements(kernel) : 0; /* a plan's number is below 2^31 */
    return elements > 0 && elements <= INT32_MAX / SLICE && (ir_word_is(kernel, "kind", "row") || one_shape(kernel));
}

/* ---- what stands in the way ---- */

typedef struct {
    ir_graph *g;
    ir_node *first;   /* the first member */
    int64_t number;   /* of this chain, marked on its members */
    int64_t elements; /* of one example, all members */
    int members;
} builder;

static bool is_member(const builder *b, const ir_node *n)
{
    return n->op == IR_FUSED && ir_int(n, "chain", 0) == b->number;
}

static const ir_node *kernel_of(const ir_node *x)
{
    x = ir_memory(x);
    return x->op == IR_RESULT ? x->in[0] : x;
}

static bool reads_member(const builder *b, const ir_node *kernel)
{
    for (int i = 0; i < kernel->nin; i++)
        if (is_member(b, kernel_of(kernel->in[i])))
            return true;
    return false;
}

/* A second phase's result comes after the chain. */
static bool reads_second_phase(const builder *b, const ir_node *kernel)
{
    for (int i = 0; i < kernel->nin; i++) {
        const ir_node *from = kernel_of(kernel->in[i]);
        if (is_member(b, from) && has_scratch(from))
            return true;
    }
    return false;
}

static bool assigns_what_members_read(const builder *b, const ir_node *kernel)
{
    for (const ir_node *a = kernel->region->first; a; a = a->next)
        for (const ir_node *m = b->first; m && m != kernel && a->op == IR_ASSIGN; m = m->next)
            for (int i = 0; is_member(b, m) && i < m->nin; i++)
                if (ir_memory_symbol(m->in[i]) == a->symbol)
                    return true;
    return false;
}

/* ---- building ---- */

/* Move what n needs, where it stands after 'before', and n itself, up to there. */
static void move_up(ir_node *n, ir_node *before)
{
    bool below = false;
    for (const ir_node *at = before; at && !below; at = at->next)
        below = at == n;
    if (!below || n == before)
        return;
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]->op != IR_INPUT)
            move_up(n->in[i], before);
    ir_move_before(n, before);
}

static void add_member(builder *b, ir_node *kernel)
{
    ir_set_int(kernel, "chain", b->number);
    b->elements += contraction_of(kernel)     ? ir_static_count(&contraction_of(kernel)->type)
                   : kernel->region->nresults ? walked_elements(kernel)
                                              : 0;
    b->members++;
}

/* Take up kernels from b->first on, as far as the chain goes. */
static void grow(builder *b)
{
    for (ir_node *n = b->first, *next; n; n = next) {
        next = n->next;
        if (n->op != IR_FUSED)
            continue;
        if (can_join(n) && !reads_second_phase(b, n)) {
            add_member(b, n);
        } else {
            if (reads_member(b, n) || assigns_what_members_read(b, n))
                return;
            /* `result` nodes of n follow by themselves: they stand below it wherever it is. */
            move_up(n, b->first);
        }
    }
}

static bool is_worth_it(const builder *b)
{
    return b->members > 1 && b->elements * SLICE >= WORTH;
}

static void cut_slices(const builder *b)
{
    for (ir_node *n = b->first; n; n = n->next) {
        if (!is_member(b, n))
            continue;
        if (!is_worth_it(b))
            ir_attr_remove(b->g->module->mem, &n->attrs, "chain");
        else if (!ir_word_is(n, "kind", "contraction") && !ir_word_is(n, "kind", "batch_reduce"))
            ir_set_int(n, "plan", SLICE * walked_elements(n));
    }
}

static void chain_graph(ir_graph *g)
{
    int64_t number = 1;
    for (ir_node *n = g->first; n; n = n->next) {
        if (!can_join(n) || ir_int(n, "chain", 0))
            continue;
        builder b = {.g = g, .first = n, .number = number};
        grow(&b);
        bool kept = is_worth_it(&b);
        cut_slices(&b);
        number += kept;
    }
}

bool pass_chain(ir_module *m, diag *d)
{
    (void)d;
    if (mem_max_batch(m) <= SLICE)
        return true;
    for (ir_graph *g = m->functions; g; g = g->next)
        chain_graph(g);
    return true;
}
