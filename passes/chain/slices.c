/* passes/chain/slices.c - how many examples a slice has, and the members' plans cut to that.
 *
 * The longest slice of 8, 4, 2 or 1 examples whose values fit into half of the L2 cache and into half a megabyte,
 * counted at the member where most of them are live; but where a member reads weights that are large, each slice
 * streams them anew, and slices are so long that their values are as many bytes. If max_batch is not longer than one
 * leaf, slices are so short that there are at least four tasks. */
#include "ir/contraction/plan.h"
#include "ir/graph/build.h"
#include "passes/chain/chain.h"
#include "passes/memory.h"

enum { MOST_BYTES = 512 << 10 };

/* A value of the chain of which one slice is enough, and the positions of the members that write it and read it last.
 */
typedef struct {
    const ir_node *value;
    int32_t first, last;
} lifetime;

static int32_t find_lifetimes(const chain *b, lifetime *out)
{
    int32_t count = 0;
    for (const ir_node *n = b->first; n; n = n->next) {
        if (!mem_is_slice(n) || !chain_has(b, mem_producer(n)))
            continue;
        lifetime *t = &out[count++];
        *t = (lifetime){n, mem_producer(n)->id, mem_producer(n)->id};
        for (const ir_node *m = n->next; m; m = m->next)
            for (int i = 0; chain_has(b, m) && i < m->nin; i++)
                t->last = ir_memory(m->in[i]) == n ? m->id : t->last;
    }
    return count;
}

/* Bytes of a slice's values while most are live. */
static int64_t worker_bytes(const chain *b, const lifetime *of, int32_t count, int64_t slice)
{
    int64_t most = 0;
    for (const ir_node *m = b->first; m; m = m->next) {
        int64_t live = 0;
        for (int32_t i = 0; i < count && chain_has(b, m); i++)
            if (of[i].first <= m->id && m->id <= of[i].last)
                live += mem_bytes(&of[i].value->type, of[i].value->attrs, slice);
        most = live > most ? live : most;
    }
    return most;
}

/* Bytes of the largest operand that is the same for all slices, if no slice finds it in cache; else 0. */
static int64_t streamed_bytes(const chain *b)
{
    ir_target target = mem_target(b->g->module);
    int64_t most = 0;
    for (const ir_node *m = b->first; m; m = m->next)
        for (int i = 0; chain_has(b, m) && i < m->nin; i++) {
            const ir_node *x = ir_memory(m->in[i]);
            int64_t bytes = ir_batch_dim(&x->type) < 0 && x->op != IR_SCRATCH ? mem_bytes(&x->type, x->attrs, 1) : 0;
            most = mem_is_large(&target, (double)bytes) && bytes > most ? bytes : most;
        }
    return most;
}

/* The first of 'slice', its half, ... whose values stay in cache; 0: none does. */
static int64_t fitting_slice(const chain *b, int64_t slice, const lifetime *of, int32_t count)
{
    int64_t budget = mem_target(b->g->module).l2 / 2;
    budget = budget < MOST_BYTES ? budget : MOST_BYTES;
    while (slice && worker_bytes(b, of, count, slice) > budget)
        slice /= 2;
    return slice;
}

int64_t chain_choose_slice(const chain *b)
{
    int64_t max_batch = mem_max_batch(b->g->module);
    int64_t most = max_batch > IR_LEAF ? IR_LEAF : max_batch / CHAIN_TASKS, streamed = streamed_bytes(b);
    arena *mem = arena_new();
    lifetime *of = arena_new_array(mem, lifetime, (size_t)ir_number(b->g) + 1);
    int32_t count = find_lifetimes(b, of);
    int64_t slice = fitting_slice(b, most, of, count);
    slice = slice ? slice : 1;
    while (slice < most && worker_bytes(b, of, count, slice) < streamed)
        slice *= 2;
    arena_free(mem);
    return slice;
}

bool chain_stays_in_cache(const chain *b)
{
    int64_t max_batch = mem_max_batch(b->g->module);
    arena *mem = arena_new();
    lifetime *of = arena_new_array(mem, lifetime, (size_t)ir_number(b->g) + 1);
    int32_t count = find_lifetimes(b, of);
    bool stays = max_batch <= IR_LEAF && fitting_slice(b, max_batch, of, count) == max_batch;
    arena_free(mem);
    return stays;
}

bool chain_has_rows(const chain *b)
{
    for (const ir_node *n = b->first; n; n = n->next)
        if (chain_has(b, n) && chain_takes_rows(n))
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

void chain_cut(const chain *b, int64_t slice)
{
    for (ir_node *n = b->first; n; n = n->next) {
        if (!chain_has(b, n))
            continue;
        chain_mark(b, n, slice);
        if (ir_word_is(n, "kind", "contraction"))
            cut_contraction(n, slice);
        else if (!ir_word_is(n, "kind", "batch_reduce"))
            ir_set_int(n, "plan", slice * chain_walked_elements(n));
    }
}
