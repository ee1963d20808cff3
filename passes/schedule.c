/* passes/schedule.c - order kernels for short lifetimes.
 *
 *     forward 1, forward 2, backward 2, backward 1, update 2, update 1
 *         =>  forward 1, forward 2, backward 2, update 2, backward 1, update 1
 *
 * List scheduling: of the kernels whose needs are met, next comes the one that adds the least memory, frees counted;
 * the older one at a tie. The old order stays unless the new one's peak is smaller. What binds the order: values before
 * their uses; uses of a symbol's value on entry before the kernel that assigns the symbol. Assigns of different symbols
 * may change places: no one sees their order. Parameters, states, reshapes and scratch memory stand right above their
 * first user, a kernel's further results right below it. Needs:  a legal order; select done.      Keeps:  every kernel
 * and value.      Breaks: order, unused reads. */
#include "passes/memory.h"
#include "passes/passes.h"
#include <string.h>

typedef struct {
    ir_node *node;
    int64_t bytes; /* of its results, outputs apart, and of its scratch while it runs */
    int64_t scratch;
    int32_t *before, nbefore; /* kernels that have to come before */
    int32_t *reads, nreads;   /* kernels whose results it reads */
} kernel;

typedef struct {
    ir_graph *g;
    arena *mem;
    int32_t count;
    kernel *kernels; /* in the old order */
    int32_t *of;     /* by node id: the kernel that writes its memory, or -1 */
    int32_t *users;  /* by kernel: how many kernels read it; one more where the function returns it */
} scheduler;

/* ---- the dependences ---- */

static void add_once(int32_t *list, int32_t *count, int32_t x)
{
    for (int32_t i = 0; i < *count; i++)
        if (list[i] == x)
            return;
    list[(*count)++] = x;
}

static bool reads_symbol(const ir_node *n, const ir_symbol *y)
{
    for (int i = 0; i < n->nin; i++)
        if (ir_memory_symbol(n->in[i]) == y)
            return true;
    return false;
}

static bool is_output(const ir_graph *g, const ir_node *root)
{
    for (int i = 0; i < g->nresults; i++)
        if (ir_memory(g->results[i]) == root)
            return true;
    return false;
}

static void read_operands(scheduler *s, int32_t k)
{
    kernel *x = &s->kernels[k];
    int64_t max_batch = mem_max_batch(s->g->module);
    for (int i = 0; i < x->node->nin; i++) {
        const ir_node *in = x->node->in[i];
        int32_t producer = s->of[mem_producer(in)->id];
        if (in->op == IR_SCRATCH && in->place.segment != SEG_WORKER)
            x->scratch += mem_bytes(&in->type, in->attrs, max_batch);
        if (producer < 0)
            continue;
        add_once(x->before, &x->nbefore, producer);
        int32_t old = x->nreads;
        add_once(x->reads, &x->nreads, producer);
        s->users[producer] += x->nreads - old;
    }
}

/* Every reader of what x assigns comes before x. */
static void order_readers(scheduler *s, int32_t k, const ir_symbol *y)
{
    kernel *x = &s->kernels[k];
    for (int32_t r = 0; r < s->count; r++)
        if (r != k && reads_symbol(s->kernels[r].node, y))
            add_once(x->before, &x->nbefore, r);
}

static void order_assigns(scheduler *s, int32_t k)
{
    const ir_node *n = s->kernels[k].node;
    if (n->op == IR_ASSIGN)
        order_readers(s, k, n->symbol);
    for (const ir_node *inner = n->region ? n->region->first : NULL; inner; inner = inner->next)
        if (inner->op == IR_ASSIGN)
            order_readers(s, k, inner->symbol);
}

static void count_memory(scheduler *s)
{
    ir_graph *g = s->g;
    int64_t max_batch = mem_max_batch(g->module);
    for (const ir_node *n = g->first; n; n = n->next) {
        bool has_memory = (mem_is_kernel(n) && n->type.dtype != IR_NONE) || n->op == IR_RESULT;
        int32_t k = has_memory ? s->of[mem_producer(n)->id] : -1;
        if (k >= 0 && is_output(g, n))
            s->users[k]++;
        else if (k >= 0)
            s->kernels[k].bytes += mem_bytes(&n->type, n->attrs, max_batch);
    }
}

static void find_kernels(scheduler *s)
{
    int32_t nodes = ir_number(s->g);
    s->of = arena_new_array(s->mem, int32_t, (size_t)nodes + 1);
    s->kernels = arena_new_array(s->mem, kernel, (size_t)nodes + 1);
    for (int32_t i = 0; i < nodes; i++)
        s->of[i] = -1;
    for (ir_node *n = s->g->first; n; n = n->next)
        if (mem_is_kernel(n)) {
            s->of[n->id] = s->count;
            s->kernels[s->count++].node = n;
        }
    s->users = arena_new_array(s->mem, int32_t, (size_t)s->count + 1);
    for (int32_t k = 0; k < s->count; k++) {
        s->kernels[k].before = arena_new_array(s->mem, int32_t, (size_t)s->count);
        s->kernels[k].reads = arena_new_array(s->mem, int32_t, (size_t)s->count);
    }
    for (int32_t k = 0; k < s->count; k++) {
        read_operands(s, k);
        order_assigns(s, k);
    }
    count_memory(s);
}

/* ---- orders ---- */

/* Bytes that end with kernel k, 'left' being the readers still to come of each kernel. */
static int64_t freed_by(const scheduler *s, const int32_t *left, int32_t k)
{
    const kernel *x = &s->kernels[k];
    int64_t bytes = s->users[k] ? 0 : x->bytes;
    for (int32_t i = 0; i < x->nreads; i++)
        if (left[x->reads[i]] == 1)
            bytes += s->kernels[x->reads[i]].bytes;
    return bytes;
}

static int64_t peak_of(const scheduler *s, const int32_t *order)
{
    int32_t *left = arena_new_array(s->mem, int32_t, (size_t)s->count + 1);
    int64_t live = 0, peak = 0;
    memcpy(left, s->users, (size_t)s->count * sizeof *left);
    for (int32_t i = 0; i < s->count; i++) {
        const kernel *x = &s->kernels[order[i]];
        live += x->bytes;
        peak = live + x->scratch > peak ? live + x->scratch : peak;
        live -= freed_by(s, left, order[i]);
        for (int32_t r = 0; r < x->nreads; r++)
            left[x->reads[r]]--;
    }
    return peak;
}

static bool is_ready(const scheduler *s, const bool *done, int32_t k)
{
    for (int32_t i = 0; i < s->kernels[k].nbefore; i++)
        if (!done[s->kernels[k].before[i]])
            return false;
    return !done[k];
}

static int32_t pick(const scheduler *s, const bool *done, const int32_t *left)
{
    int32_t best = -1;
    int64_t least = 0;
    for (int32_t k = 0; k < s->count; k++) {
        if (!is_ready(s, done, k))
            continue;
        int64_t added = s->kernels[k].bytes - freed_by(s, left, k);
        if (best < 0 || added < least) {
            best = k;
            least = added;
        }
    }
    if (best < 0)
        ir_bug("the order of kernels in @%s has a cycle", s->g->name);
    return best;
}

static int32_t *greedy_order(const scheduler *s)
{
    int32_t *order = arena_new_array(s->mem, int32_t, (size_t)s->count + 1);
    int32_t *left = arena_new_array(s->mem, int32_t, (size_t)s->count + 1);
    bool *done = arena_new_array(s->mem, bool, (size_t)s->count + 1);
    memcpy(left, s->users, (size_t)s->count * sizeof *left);
    for (int32_t i = 0; i < s->count; i++) {
        int32_t k = order[i] = pick(s, done, left);
        done[k] = true;
        for (int32_t r = 0; r < s->kernels[k].nreads; r++)
            left[s->kernels[k].reads[r]]--;
    }
    return order;
}

/* ---- the new list ---- */

/* Move what n stands on to the end of the list, scratch memory last. */
static void place_needs(ir_node *n, bool *placed)
{
    for (int scratch = 0; scratch < 2; scratch++)
        for (int i = 0; i < n->nin; i++) {
            ir_node *x = n->in[i];
            if (mem_is_kernel(x) || placed[x->id] || (x->op == IR_SCRATCH) != scratch)
                continue;
            placed[x->id] = true;
            place_needs(x, placed);
            ir_move_before(x, NULL);
        }
}

static void place_kernel(ir_graph *g, ir_node *n, bool *placed)
{
    place_needs(n, placed);
    ir_move_before(n, NULL);
    for (ir_node *r = g->first, *next; r != n; r = next) {
        next = r->next;
        if (r->op == IR_RESULT && r->in[0] == n) {
            placed[r->id] = true;
            ir_move_before(r, NULL);
        }
    }
}

static void rebuild(scheduler *s, const int32_t *order)
{
    ir_graph *g = s->g;
    bool *placed = arena_new_array(s->mem, bool, (size_t)ir_number(g) + 1);
    for (int i = 0; i < g->ninputs; i++)
        placed[g->inputs[i]->id] = true;
    for (int32_t i = 0; i < s->count; i++)
        place_kernel(g, s->kernels[order[i]].node, placed);
    for (int i = 0; i < g->nresults; i++) {
        ir_node *x = g->results[i];
        if (mem_is_kernel(x) || placed[x->id])
            continue;
        placed[x->id] = true;
        place_needs(x, placed);
        ir_move_before(x, NULL);
    }
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!mem_is_kernel(n) && !placed[n->id])
            ir_unlink(n);
    }
}

static void schedule_graph(ir_graph *g)
{
    scheduler s = {.g = g, .mem = arena_new()};
    find_kernels(&s);
    int32_t *old = arena_new_array(s.mem, int32_t, (size_t)s.count + 1);
    for (int32_t k = 0; k < s.count; k++)
        old[k] = k;
    int32_t *order = greedy_order(&s);
    rebuild(&s, peak_of(&s, order) < peak_of(&s, old) ? order : old);
    arena_free(s.mem);
}

bool pass_schedule(ir_module *m, diag *d)
{
    (void)d;
    for (ir_graph *g = m->functions; g; g = g->next)
        schedule_graph(g);
    return true;
}
