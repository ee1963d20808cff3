/* passes/chain.c - run consecutive kernels depth-first over slices of the batch.
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
 * Which kernels can be members: those whose tasks can be whole slices. These are elementwise, row and window kernels
 * whose results all have the batch, contractions whose tasks cut the batch by leaves, and sums over the batch in two
 * phases. Contractions that take examples as the rows of their register tiles want 8 of them, so a chain of shorter
 * slices does without them. What a few operators make of inputs alone, such as a scaled image, is made again by every
 * chain that reads it.
 *
 * Where a chain ends: at a kernel that cannot be a member and that reads one. A kernel that reads the second phase of a
 * member, as an optimizer's update does, comes after the chain. So does what reads that kernel, and what assigns a
 * symbol that it reads: if that moved up, as a member or before the chain, the reader would find the new value. Other
 * kernels that stand between members move up before the chain, if they need nothing of it and assign nothing that it
 * reads.
 *
 * Where chains do not pay: short work is left alone, since more tasks would cost more than they give. If max_batch is
 * not longer than one leaf, a chain is made only of what would not stay in cache anyhow, in slices so short that there
 * are at least four tasks.
 *
 * Needs:  plans and the order of kernels.      Keeps:  every value and every bit.
 * Leaves: chain = [number, examples a slice] on members, which stand together; their plans cut slices.
 * Breaks: node order. */
#include "ir/base/map.h"
#include "ir/contraction/plan.h"
#include "ir/graph/build.h"
#include "passes/memory.h"
#include "passes/passes.h"

enum { TASKS = 4, WORTH = 65536, MOST_BYTES = 512 << 10 };

/* ---- who can be a member ---- */

/* Partial sums, which a second phase combines; what a worker packs is gone with its task. */
static bool has_scratch(const ir_node *kernel)
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

static bool takes_examples_as_rows(const ir_node *kernel)
{
    contraction_plan p;
    return contraction_core(kernel) && !has_scratch(kernel) && contraction_plan_read(kernel, &p) && p.row == p.cut;
}

/* Its tasks are leaves, or cut the batch and nothing else. */
static bool contraction_cuts_slices(const ir_node *kernel)
{
    const ir_node *core = contraction_core(kernel);
    contraction_plan p;
    if (!core || !contraction_plan_read(kernel, &p) || (p.pack && p.pack != CONTRACTION_STREAM))
        return false;
    if (has_scratch(kernel))
        return has_leaves(kernel) || p.pack == CONTRACTION_STREAM;
    arena *mem = arena_new();
    contraction c;
    bool leaves = p.chunk == IR_LEAF || !takes_examples_as_rows(kernel);
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

/* Elements of one example of the shape that tasks of this kind cut, which are the plan's unit: of a result, in row
 * kernels of what a row is reduced from. */
static int64_t walked_elements(const ir_node *kernel)
{
    for (const ir_node *n = kernel->region->first; n && ir_word_is(kernel, "kind", "row"); n = n->next)
        if (n->op == IR_REDUCE)
            return ir_static_count(&n->in[0]->type);
    return ir_static_count(&kernel->region->results[0]->type);
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
    if (!walks || !gives_examples(kernel) || (!ir_word_is(kernel, "kind", "row") && !one_shape(kernel)))
        return false;
    return walked_elements(kernel) <= INT32_MAX / IR_LEAF; /* a plan's number is below 2^31 */
}

/* ---- what stands in the way ---- */

/* Who reads a symbol's value on entry: the last attempts of which a member does, and a kernel that comes after. */
typedef struct {
    int32_t member, after;
} readers;

typedef struct {
    ir_graph *g;
    arena *mem;      /* while the pass works on g */
    ir_node *first;  /* the first member */
    int64_t number;  /* of this chain, marked on its members */
    bool narrow;     /* without contractions that want a leaf's examples */
    int32_t *after;  /* by node id: kernels that come after the chain have the attempt's number */
    int32_t *side;   /* by node id: what stands from 'first' on has side_of its place; all others have less */
    ir_map *readers; /* by symbol */
    int32_t attempt;
    ir_node *below;   /* the first of them */
    int64_t elements; /* of one example, all members */
    int members;
} builder;

static bool is_member(const builder *b, const ir_node *n)
{
    return ir_chain(n, NULL) == b->number;
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

/* Does the kernel assign what others, of the chain or of what comes after it, read on entry? */
static bool assigns_what_is_read(const builder *b, const ir_node *kernel, bool after)
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
static bool comes_after(const builder *b, const ir_node *kernel)
{
    bool after = reads_second_phase(b, kernel) || assigns_what_is_read(b, kernel, true);
    for (int i = 0; i < kernel->nin; i++)
        after |= b->after[kernel_of(kernel->in[i])->id] == b->attempt;
    return after;
}

/* Note what the kernel, a member or one that comes after the chain, reads on entry. */
static void note_reads(const builder *b, const ir_node *kernel, bool after)
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

/* ---- building ---- */

/* Of what stands from 'first' on, above or from 'below' on. */
static int32_t side_of(const builder *b, bool below)
{
    return 2 * b->attempt + below;
}

/* Move what n needs, where it stands after 'before', and n itself, up to there: 'before' is b->first or b->below. */
static void move_up(const builder *b, ir_node *n, ir_node *before)
{
    bool chain = before == b->below;
    if (n == before || b->side[n->id] < side_of(b, chain))
        return;
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]->op != IR_INPUT)
            move_up(b, n->in[i], before);
    ir_move_before(n, before);
    b->side[n->id] = chain ? side_of(b, false) : 0;
}

static void set_chain(const builder *b, ir_node *kernel, int64_t slice)
{
    ir_set_ints(kernel, "chain", (const int64_t[]){b->number, slice}, 2);
}

static bool may_join(const builder *b, const ir_node *kernel)
{
    return can_join(kernel) && !(b->narrow && takes_examples_as_rows(kernel));
}

static void add_member(builder *b, ir_node *kernel)
{
    if (b->below)
        move_up(b, kernel, b->below);
    set_chain(b, kernel, IR_LEAF);
    note_reads(b, kernel, false);
    b->elements += contraction_core(kernel)   ? ir_static_count(&contraction_core(kernel)->type)
                   : kernel->region->nresults ? walked_elements(kernel)
                                              : 0;
    b->members++;
}

/* Take up kernels from b->first on, as far as the chain goes. */
static void grow(builder *b)
{
    for (ir_node *n = b->first, *next; n; n = next) {
        next = n->next;
        b->side[n->id] = side_of(b, b->below);
        if (n->op != IR_FUSED)
            continue;
        if (comes_after(b, n)) {
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
            move_up(b, n, b->first);
        }
    }
}

static bool is_worth_it(const builder *b)
{
    return b->members > 1 && b->elements * IR_LEAF >= WORTH;
}

static void dissolve(const builder *b)
{
    for (ir_node *n = b->first; n; n = n->next)
        if (is_member(b, n))
            ir_attr_remove(b->g->module->mem, &n->attrs, "chain");
}

/* ---- slices ---- */

/* A value of the chain of which one slice is enough, and the positions of the members that write it and read it last.
 */
typedef struct {
    const ir_node *value;
    int32_t first, last;
} lifetime;

static int32_t find_lifetimes(const builder *b, lifetime *out)
{
    int32_t count = 0;
    for (const ir_node *n = b->first; n; n = n->next) {
        if (!mem_is_slice(n) || !is_member(b, mem_producer(n)))
            continue;
        lifetime *t = &out[count++];
        *t = (lifetime){n, mem_producer(n)->id, mem_producer(n)->id};
        for (const ir_node *m = n->next; m; m = m->next)
            for (int i = 0; is_member(b, m) && i < m->nin; i++)
                t->last = ir_memory(m->in[i]) == n ? m->id : t->last;
    }
    return count;
}

/* Bytes of a slice's values while most are live. */
static int64_t worker_bytes(const builder *b, const lifetime *of, int32_t count, int64_t slice)
{
    int64_t most = 0;
    for (const ir_node *m = b->first; m; m = m->next) {
        int64_t live = 0;
        for (int32_t i = 0; i < count && is_member(b, m); i++)
            if (of[i].first <= m->id && m->id <= of[i].last)
                live += mem_bytes(&of[i].value->type, of[i].value->attrs, slice);
        most = live > most ? live : most;
    }
    return most;
}

/* The first of 'slice', its half, ... whose values stay in cache; 0: none does. */
static int64_t fitting_slice(const builder *b, int64_t slice)
{
    int64_t budget = mem_target(b->g->module).l2 / 2;
    budget = budget < MOST_BYTES ? budget : MOST_BYTES;
    arena *mem = arena_new();
    lifetime *of = arena_new_array(mem, lifetime, (size_t)ir_number(b->g) + 1);
    int32_t count = find_lifetimes(b, of);
    while (slice && worker_bytes(b, of, count, slice) > budget)
        slice /= 2;
    arena_free(mem);
    return slice;
}

static int64_t choose_slice(const builder *b)
{
    int64_t max_batch = mem_max_batch(b->g->module);
    int64_t slice = fitting_slice(b, max_batch > IR_LEAF ? IR_LEAF : max_batch / TASKS);
    return slice ? slice : 1;
}

/* Of batches that are one leaf: do the values stay in cache without a chain? */
static bool stays_in_cache(const builder *b)
{
    int64_t max_batch = mem_max_batch(b->g->module);
    return max_batch <= IR_LEAF && fitting_slice(b, max_batch) == max_batch;
}

static bool has_examples_as_rows(const builder *b)
{
    for (const ir_node *n = b->first; n; n = n->next)
        if (is_member(b, n) && takes_examples_as_rows(n))
            return true;
    return false;
}

static void cut_contraction(ir_node *kernel, int64_t slice)
{
    contraction_plan p;
    if (!contraction_plan_read(kernel, &p))
        ir_bug("a chain's contraction has no plan");
    p.chunk = slice;
    contraction_plan_write(kernel, &p);
}

static void cut_slices(const builder *b, int64_t slice)
{
    for (ir_node *n = b->first; n; n = n->next) {
        if (!is_member(b, n))
            continue;
        set_chain(b, n, slice);
        if (ir_word_is(n, "kind", "contraction"))
            cut_contraction(n, slice);
        else if (!ir_word_is(n, "kind", "batch_reduce"))
            ir_set_int(n, "plan", slice * walked_elements(n));
    }
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
static void repeat_in(builder *b, const ir_node *kernel)
{
    ir_graph *g = b->g;
    ir_node *again = NULL;
    for (ir_node *n = b->first; n; n = n->next)
        for (int i = 0; is_member(b, n) && i < n->nin; i++) {
            if (n->in[i] != kernel)
                continue;
            if (!again) {
                g->before = n;
                again = ir_clone_node(g, kernel, NULL);
                g->before = NULL;
                again->attrs = ir_attrs_copy(g->module->mem, kernel->attrs);
                again->name = NULL;
                set_chain(b, again, IR_LEAF);
                b->first = n == b->first ? again : b->first;
            }
            n->in[i] = again;
        }
}

/* ---- all chains of a function ---- */

typedef struct {
    builder *of;
    int32_t count;
} builders;

static void find_chains(ir_graph *g, bool narrow, arena *mem, builders *all)
{
    int32_t *after = arena_new_array(mem, int32_t, (size_t)ir_number(g) + 1), attempt = 0;
    int32_t *side = arena_new_array(mem, int32_t, (size_t)ir_number(g) + 1);
    ir_map *by_symbol = ir_map_new(mem, IR_MAP_POINTERS);
    all->count = 0;
    for (ir_node *n = g->first; n; n = n->next) {
        builder *b = &all->of[all->count];
        *b = (builder){.g = g, .mem = mem, .first = n, .number = all->count + 1, .narrow = narrow};
        b->after = after;
        b->side = side;
        b->readers = by_symbol;
        b->attempt = ++attempt;
        if (!may_join(b, n) || ir_chain(n, NULL))
            continue;
        grow(b);
        if (is_worth_it(b) && !stays_in_cache(b))
            all->count++;
        else
            dissolve(b);
    }
}

static void repeat_for_chains(builders *all)
{
    for (int32_t i = 0; i < all->count; i++)
        for (const ir_node *n = all->of[i].first; n; n = n->next)
            for (int32_t k = i + 1; is_member(&all->of[i], n) && k < all->count; k++)
                if (is_of_inputs(n) && only_chains_read(n))
                    repeat_in(&all->of[k], n);
}

/* True if some chain takes shorter slices than its dense layers want. */
static bool choose_slices(const builders *all, int64_t *slice)
{
    bool short_of_rows = false;
    for (int32_t i = 0; i < all->count; i++) {
        slice[i] = choose_slice(&all->of[i]);
        short_of_rows |= slice[i] < IR_LEAF && has_examples_as_rows(&all->of[i]);
    }
    return short_of_rows;
}

static void chain_graph(ir_graph *g)
{
    arena *mem = arena_new();
    size_t most = (size_t)ir_number(g) + 1;
    builders all = {.of = arena_new_array(mem, builder, most)};
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
        cut_slices(&all.of[i], slice[i]);
    arena_free(mem);
}

bool pass_chain(ir_module *m, diag *d)
{
    (void)d;
    if (mem_max_batch(m) < TASKS)
        return true;
    for (ir_graph *g = m->functions; g; g = g->next)
        chain_graph(g);
    return true;
}
