/* passes/chain/chain.c - run consecutive kernels depth-first over slices of the batch.
 *     conv1 over all examples, pool1 over all, conv2 over all   =>   for 8 examples: conv1, pool1, conv2; next 8 ...
 *
 * Why: what one kernel of a chain writes for a slice is still in cache when the next kernel reads it, no thread waits
 * for another between the kernels, and a value that only members of its own chain read (mem_is_slice) needs memory for
 * one slice a worker instead of the whole batch.
 *
 * How: a task takes one leaf, 8 examples, through the whole chain. It goes through its leaf in slices of 8, 4, 2 or 1
 * examples: the longest whose values fit into half of the L2 cache and into half a megabyte. Sums over the examples of
 * a leaf go on from slice to slice, in the order of examples. The first phase of a kernel that sums over the batch
 * works leaf by leaf and can be part of a chain; its second phase, which combines the leaves, runs after it.
 *
 * Which kernels can be members: members.c. How long slices are: slices.c. What a few operators make of inputs alone,
 * such as a scaled image, is made again by every chain that reads it.
 *
 * Where a chain ends: at a kernel that cannot be a member and that reads one. A kernel that reads the second phase of a
 * member, as an optimizer's update does, comes after the chain. So does what reads that kernel, and what assigns a
 * symbol that it reads: if that moved up, as a member or before the chain, the reader would find the new value; and so
 * does a value that is larger than what it is made of and would only wait for what comes after the chain. Other
 * kernels that stand between members move up before the chain, if they need nothing of it and assign nothing that it
 * reads; below the first kernel that comes after it, they stay unless a member needs them.
 *
 * Where chains do not pay: short work is left alone, since more tasks would cost more than they give. If max_batch is
 * not longer than one leaf, a chain is made only of what would not stay in cache anyhow, in slices so short that there
 * are at least four tasks.
 *
 * Needs:  plans and the order of kernels.      Keeps:  every value and every bit.
 * Leaves: chain = [number, examples a slice] on members, which stand together; their plans cut slices.
 * Breaks: node order. */
#include "passes/chain/chain.h"
#include "ir/contraction/plan.h"
#include "ir/graph/build.h"
#include "passes/memory.h"
#include "passes/passes.h"

enum { WORTH = 65536 };

/* ---- what stands in the way ---- */

/* Who reads a symbol's value on entry: the last attempts of which a member does, and a kernel that comes after. */
typedef struct {
    int32_t member, after;
} readers;

static const ir_node *kernel_of(const ir_node *x)
{
    x = ir_memory(x);
    return x->op == IR_RESULT ? x->in[0] : x;
}

static bool reads_member(const chain *b, const ir_node *kernel)
{
    for (int i = 0; i < kernel->nin; i++)
        if (chain_has(b, kernel_of(kernel->in[i])))
            return true;
    return false;
}

/* A second phase's result comes after the chain. */
static bool reads_second_phase(const chain *b, const ir_node *kernel)
{
    for (int i = 0; i < kernel->nin; i++) {
        const ir_node *from = kernel_of(kernel->in[i]);
        if (chain_has(b, from) && chain_has_scratch(from))
            return true;
    }
    return false;
}

/* Does the kernel assign what others, of the chain or of what comes after it, read on entry? */
static bool assigns_what_is_read(const chain *b, const ir_node *kernel, bool after)
{
    for (const ir_node *a = kernel->region->first; a; a = a->next) {
        const readers *r = a->op == IR_ASSIGN ? ir_map_get(b->readers, a->symbol) : NULL;
        if (r && (after ? r->after : r->member) == b->attempt)
            return true;
    }
    return false;
}

/* Must it come after the chain: does it read a second phase, read what comes after the chain itself, or assign what
 * that reads on entry? */
static bool comes_after(const chain *b, const ir_node *kernel)
{
    bool after = reads_second_phase(b, kernel) || assigns_what_is_read(b, kernel, true);
    for (int i = 0; i < kernel->nin; i++)
        after |= b->after[kernel_of(kernel->in[i])->id] == b->attempt;
    return after;
}

/* Note what the kernel, a member or one that comes after the chain, reads on entry. */
static void note_reads(const chain *b, const ir_node *kernel, bool after)
{
    for (int i = 0; i < kernel->nin; i++) {
        const ir_symbol *y = ir_memory_symbol(kernel->in[i]);
        readers *r = y ? ir_map_get(b->readers, y) : NULL;
        if (y && !r)
            ir_map_set(b->readers, y, r = arena_make(b->mem, readers));
        if (r)
            *(after ? &r->after : &r->member) = b->attempt;
    }
}

/* ---- values that would wait ---- */

static int64_t results_bytes(const ir_node *kernel)
{
    int64_t bytes = 0, max_batch = mem_max_batch(kernel->graph->module);
    for (int i = 0; i < kernel->region->nresults; i++)
        bytes += mem_bytes(&kernel->region->results[i]->type, NULL, max_batch);
    return bytes;
}

static int64_t operands_bytes(const ir_node *kernel)
{
    int64_t bytes = 0, max_batch = mem_max_batch(kernel->graph->module);
    for (int i = 0; i < kernel->nin; i++)
        bytes += mem_bytes(&kernel->in[i]->type, NULL, max_batch);
    return bytes;
}

/* Does a kernel below that reads it come after the chain? */
static bool is_read_after(const chain *b, const ir_node *kernel)
{
    bool found = false;
    for (const ir_node *n = kernel->next; n; n = n->next) {
        if (n->op != IR_FUSED)
            continue;
        if (b->after[n->id] != b->attempt && comes_after(b, n))
            b->after[n->id] = b->attempt;
        for (int i = 0; i < n->nin && b->after[n->id] == b->attempt; i++)
            found |= kernel_of(n->in[i]) == kernel;
    }
    return found;
}

/* As a member it would move up past kernels that come after the chain, and its result, which is larger than all that it
 * is made of, would wait for one of them, as the transformed image of a weight gradient would from the forward pass on.
 */
static bool is_better_made_late(const chain *b, const ir_node *kernel)
{
    return b->below && results_bytes(kernel) > operands_bytes(kernel) && is_read_after(b, kernel);
}

/* ---- building ---- */

/* Of what stands from 'first' on, above or from 'below' on. */
static int32_t side_of(const chain *b, bool below)
{
    return 2 * b->attempt + below;
}

/* Move what n needs, where it stands after 'before', and n itself, up to there: 'before' is b->first or b->below. */
static void move_up(const chain *b, ir_node *n, ir_node *before)
{
    bool into = before == b->below;
    if (n == before || b->side[n->id] < side_of(b, into))
        return;
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]->op != IR_INPUT)
            move_up(b, n->in[i], before);
    ir_move_before(n, before);
    b->side[n->id] = into ? side_of(b, false) : 0;
}

static bool may_join(const chain *b, const ir_node *kernel)
{
    return chain_can_join(kernel) && !(b->narrow && chain_takes_rows(kernel));
}

/* What stands below and is no member, but a member needs: before the chain. */
static void raise_needs(chain *b, const ir_node *kernel)
{
    for (int i = 0; i < kernel->nin; i++) {
        ir_node *x = (ir_node *)kernel_of(kernel->in[i]);
        if (x->op == IR_FUSED && !chain_has(b, x) && b->side[x->id] == side_of(b, true))
            move_up(b, x, b->first);
    }
}

static void add_member(chain *b, ir_node *kernel)
{
    if (b->below) {
        raise_needs(b, kernel);
        move_up(b, kernel, b->below);
    }
    chain_mark(b, kernel, IR_LEAF);
    note_reads(b, kernel, false);
    b->elements += contraction_core(kernel)   ? ir_static_count(&contraction_core(kernel)->type)
                   : kernel->region->nresults ? chain_walked_elements(kernel)
                                              : 0;
    b->members++;
}

/* Take up kernels from b->first on, as far as the chain goes. */
static void grow(chain *b)
{
    for (ir_node *n = b->first, *next; n; n = next) {
        next = n->next;
        b->side[n->id] = side_of(b, b->below);
        if (n->op != IR_FUSED)
            continue;
        if (comes_after(b, n) || is_better_made_late(b, n)) {
            b->after[n->id] = b->attempt;
            note_reads(b, n, true);
            b->below = b->below ? b->below : n;
            b->side[n->id] = side_of(b, true);
        } else if (may_join(b, n)) {
            add_member(b, n);
        } else {
            if (reads_member(b, n) || assigns_what_is_read(b, n, false))
                return;
            /* `result` nodes of n follow by themselves: they stand below it wherever it is. */
            if (!b->below)
                move_up(b, n, b->first);
        }
    }
}

static bool is_worth_it(const chain *b)
{
    return b->members > 1 && b->elements * IR_LEAF >= WORTH;
}

static void dissolve(const chain *b)
{
    for (ir_node *n = b->first; n; n = n->next)
        if (chain_has(b, n))
            ir_attr_remove(b->g->module->mem, &n->attrs, "chain");
}

/* ---- what is computed again ---- */

/* A few operators on an element of the function's inputs: quicker done again than kept for another chain. */
static bool is_of_inputs(const ir_node *kernel)
{
    enum { FEW = 4 };
    int operators = 0;
    if (!ir_word_is(kernel, "kind", "elementwise") || kernel->region->nresults != 1)
        return false;
    for (int i = 0; i < kernel->nin; i++)
        if (kernel->in[i]->op != IR_INPUT)
            return false;
    for (const ir_node *n = kernel->region->first; n; n = n->next)
        operators += (ir_ops[n->op].traits & OP_ELTWISE) != 0;
    return operators <= FEW;
}

/* Do members of chains read it, and nobody else, nor through a reshape? */
static bool only_chains_read(const ir_node *kernel)
{
    const ir_graph *g = kernel->graph;
    for (const ir_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->nin; i++)
            if (n->in[i] == kernel && !ir_chain(n, NULL))
                return false;
    for (int i = 0; i < g->nresults; i++)
        if (g->results[i] == kernel)
            return false;
    return true;
}

/* Give the chain a kernel of its own in place of 'kernel', if it reads that. */
static void repeat_in(chain *b, const ir_node *kernel)
{
    ir_graph *g = b->g;
    ir_node *again = NULL;
    for (ir_node *n = b->first; n; n = n->next)
        for (int i = 0; chain_has(b, n) && i < n->nin; i++) {
            if (n->in[i] != kernel)
                continue;
            if (!again) {
                g->before = n;
                again = ir_clone_node(g, kernel, NULL);
                g->before = NULL;
                again->attrs = ir_attrs_copy(g->module->mem, kernel->attrs);
                again->name = NULL;
                chain_mark(b, again, IR_LEAF);
                b->first = n == b->first ? again : b->first;
            }
            n->in[i] = again;
        }
}

/* ---- all chains of a function ---- */

typedef struct {
    chain *of;
    int32_t count;
} chains;

static void find_chains(ir_graph *g, bool narrow, arena *mem, chains *all)
{
    int32_t *after = arena_new_array(mem, int32_t, (size_t)ir_number(g) + 1), attempt = 0;
    int32_t *side = arena_new_array(mem, int32_t, (size_t)ir_number(g) + 1);
    ir_map *by_symbol = ir_map_new(mem, IR_MAP_POINTERS);
    all->count = 0;
    for (ir_node *n = g->first; n; n = n->next) {
        chain *b = &all->of[all->count];
        *b = (chain){.g = g, .mem = mem, .first = n, .number = all->count + 1, .narrow = narrow};
        b->after = after;
        b->side = side;
        b->readers = by_symbol;
        b->attempt = ++attempt;
        if (!may_join(b, n) || ir_chain(n, NULL))
            continue;
        grow(b);
        if (is_worth_it(b) && !chain_stays_in_cache(b))
            all->count++;
        else
            dissolve(b);
    }
}

static void repeat_for_chains(chains *all)
{
    for (int32_t i = 0; i < all->count; i++)
        for (const ir_node *n = all->of[i].first; n; n = n->next)
            for (int32_t k = i + 1; chain_has(&all->of[i], n) && k < all->count; k++)
                if (is_of_inputs(n) && only_chains_read(n))
                    repeat_in(&all->of[k], n);
}

/* True if some chain takes shorter slices than its dense layers want. */
static bool choose_slices(const chains *all, int64_t *slice)
{
    bool short_of_rows = false;
    for (int32_t i = 0; i < all->count; i++) {
        slice[i] = chain_choose_slice(&all->of[i]);
        short_of_rows |= slice[i] < IR_LEAF && chain_has_rows(&all->of[i]);
    }
    return short_of_rows;
}

static void chain_graph(ir_graph *g)
{
    arena *mem = arena_new();
    size_t most = (size_t)ir_number(g) + 1;
    chains all = {.of = arena_new_array(mem, chain, most)};
    int64_t *slice = arena_new_array(mem, int64_t, most);
    find_chains(g, false, mem, &all);
    repeat_for_chains(&all);
    if (choose_slices(&all, slice)) {
        for (int32_t i = 0; i < all.count; i++)
            dissolve(&all.of[i]);
        find_chains(g, true, mem, &all);
        repeat_for_chains(&all);
        choose_slices(&all, slice);
    }
    for (int32_t i = 0; i < all.count; i++)
        chain_cut(&all.of[i], slice[i]);
    arena_free(mem);
}

bool pass_chain(ir_module *m, diag *d)
{
    (void)d;
    if (mem_max_batch(m) < CHAIN_TASKS)
        return true;
    for (ir_graph *g = m->functions; g; g = g->next)
        chain_graph(g);
    return true;
}
