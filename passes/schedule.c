/* passes/schedule.c - order kernels for short lifetimes.
 *
 *     forward 1, forward 2, backward 2, backward 1, update 2, update 1
 *         =>  forward 1, forward 2, backward 2, update 2, backward 1, update 1
 *
 * List scheduling: of the kernels whose needs are met, next comes the one that adds the least memory, frees counted;
 * the older one at a tie. The old order stays unless the new one's peak is smaller. Then neighbours change places where
 * that makes less live at once, wherever the peak is: chains, which come later, may take it away.
 *
 * What binds the order: values before their uses; uses of a symbol's value on entry before the kernel that assigns the
 * symbol. Assigns of different symbols may change places: no one sees their order. Parameters, states, reshapes and
 * scratch memory stand right above their first user, a kernel's further results right below it.
 *
 * Needs:  a legal order; select done.      Keeps:  every kernel and value.      Breaks: order, unused reads. */
#include "passes/memory.h"
#include "passes/passes.h"
#include <string.h>

typedef struct {
    ir_node *node;
    int64_t bytes, unread, scratch; /* of its results, outputs apart; of those that nobody reads; while it runs */
    int32_t *before, nbefore;       /* kernels that have to come before */
    int32_t *after, nafter;         /* and those that have to come after: the same pairs */
    int32_t *reads, nreads;         /* results of kernels that it reads, by node id */
    ir_node **results;              /* further ones: its `result` nodes, in order */
    int32_t nresults;
} kernel;

typedef struct {
    ir_graph *g;
    arena *mem;
    int32_t count;
    kernel *kernels; /* in the old order */
    /* by node id */
    int32_t *of;    /* the kernel that writes its memory, or -1 */
    int32_t *users; /* how many kernels read it; one more where the function returns it */
    int64_t *bytes; /* of a kernel's result; 0 of an output */
    int32_t nodes;
} scheduler;

/* ---- the dependences ---- */

static void add_once(int32_t *list, int32_t *count, int32_t x)
{
    for (int32_t i = 0; i < *count; i++)
        if (list[i] == x)
            return;
    list[(*count)++] = x;
}

static bool needs(const kernel *x, int32_t k)
{
    for (int32_t i = 0; i < x->nbefore; i++)
        if (x->before[i] == k)
            return true;
    return false;
}

static void set_order(scheduler *s, int32_t first, int32_t then)
{
    kernel *a = &s->kernels[first], *b = &s->kernels[then];
    if (needs(b, first))
        return;
    b->before = arena_grown(s->mem, b->before, (size_t)b->nbefore, sizeof *b->before);
    b->before[b->nbefore++] = first;
    a->after = arena_grown(s->mem, a->after, (size_t)a->nafter, sizeof *a->after);
    a->after[a->nafter++] = then;
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
        set_order(s, producer, k);
        int32_t old = x->nreads, value = ir_memory(in)->id;
        add_once(x->reads, &x->nreads, value);
        s->users[value] += x->nreads - old;
    }
}

/* Kernels, in order. */
typedef struct {
    int32_t *of, count;
} readers;

/* By symbol: who reads its memory. */
static ir_map *find_readers(const scheduler *s)
{
    ir_map *all = ir_map_new(s->mem, IR_MAP_POINTERS);
    for (int32_t k = 0; k < s->count; k++)
        for (int i = 0; i < s->kernels[k].node->nin; i++) {
            const ir_symbol *y = ir_memory_symbol(s->kernels[k].node->in[i]);
            readers *r = y ? ir_map_get(all, y) : NULL;
            if (y && !r)
                ir_map_set(all, y, r = arena_make(s->mem, readers));
            if (!y || (r->count && r->of[r->count - 1] == k))
                continue;
            r->of = arena_grown(s->mem, r->of, (size_t)r->count, sizeof *r->of);
            r->of[r->count++] = k;
        }
    return all;
}

/* Every reader of what kernel k assigns comes before it. */
static void order_readers(scheduler *s, const ir_map *all, int32_t k, const ir_symbol *y)
{
    const readers *r = ir_map_get(all, y);
    for (int32_t i = 0; r && i < r->count; i++)
        if (r->of[i] != k)
            set_order(s, r->of[i], k);
}

static void order_assigns(scheduler *s, const ir_map *all, int32_t k)
{
    const ir_node *n = s->kernels[k].node;
    for (const ir_node *x = n; x; x = ir_inside(n, x))
        if (x->op == IR_ASSIGN)
            order_readers(s, all, k, x->symbol);
}

static void count_memory(scheduler *s)
{
    ir_graph *g = s->g;
    int64_t max_batch = mem_max_batch(g->module);
    for (const ir_node *n = g->first; n; n = n->next) {
        bool has_memory = (mem_is_kernel(n) && n->type.dtype != IR_NONE) || n->op == IR_RESULT;
        int32_t k = has_memory ? s->of[mem_producer(n)->id] : -1;
        if (k < 0)
            continue;
        if (is_output(g, n))
            s->users[n->id]++;
        else
            s->bytes[n->id] = mem_bytes(&n->type, n->attrs, max_batch);
        s->kernels[k].bytes += s->bytes[n->id];
        s->kernels[k].unread += s->users[n->id] ? 0 : s->bytes[n->id];
    }
}

static void find_results(scheduler *s)
{
    for (ir_node *n = s->g->first; n; n = n->next) {
        if (n->op != IR_RESULT)
            continue;
        kernel *k = &s->kernels[s->of[n->in[0]->id]];
        k->results = arena_grown(s->mem, k->results, (size_t)k->nresults, sizeof *k->results);
        k->results[k->nresults++] = n;
    }
}

static void find_kernels(scheduler *s)
{
    int32_t nodes = s->nodes = ir_number(s->g);
    s->of = arena_new_array(s->mem, int32_t, (size_t)nodes + 1);
    s->kernels = arena_new_array(s->mem, kernel, (size_t)nodes + 1);
    for (int32_t i = 0; i < nodes; i++)
        s->of[i] = -1;
    for (ir_node *n = s->g->first; n; n = n->next)
        if (mem_is_kernel(n)) {
            s->of[n->id] = s->count;
            s->kernels[s->count++].node = n;
        }
    s->users = arena_new_array(s->mem, int32_t, (size_t)nodes + 1);
    s->bytes = arena_new_array(s->mem, int64_t, (size_t)nodes + 1);
    for (int32_t k = 0; k < s->count; k++)
        s->kernels[k].reads = arena_new_array(s->mem, int32_t, (size_t)s->kernels[k].node->nin + 1);
    const ir_map *all = find_readers(s);
    for (int32_t k = 0; k < s->count; k++) {
        read_operands(s, k);
        order_assigns(s, all, k);
    }
    count_memory(s);
    find_results(s);
}

/* ---- orders ---- */

/* Bytes that end with kernel k, 'left' being the readers still to come of each result. */
static int64_t freed_by(const scheduler *s, const int32_t *left, int32_t k)
{
    const kernel *x = &s->kernels[k];
    int64_t bytes = x->unread;
    for (int32_t i = 0; i < x->nreads; i++)
        if (left[x->reads[i]] == 1)
            bytes += s->bytes[x->reads[i]];
    return bytes;
}

/* A run of an order, as far as it has come. */
typedef struct {
    const scheduler *s;
    int32_t *left; /* readers still to come, by node id */
    int64_t live, peak;
} run;

static run run_begin(const scheduler *s)
{
    run r = {.s = s, .left = arena_new_array(s->mem, int32_t, (size_t)s->nodes + 1)};
    memcpy(r.left, s->users, (size_t)s->nodes * sizeof *r.left);
    return r;
}

static void run_kernel(run *r, int32_t k)
{
    const kernel *x = &r->s->kernels[k];
    r->live += x->bytes;
    r->peak = r->live + x->scratch > r->peak ? r->live + x->scratch : r->peak;
    r->live -= freed_by(r->s, r->left, k);
    for (int32_t i = 0; i < x->nreads; i++)
        r->left[x->reads[i]]--;
}

static int64_t peak_of(const scheduler *s, const int32_t *order)
{
    run r = run_begin(s);
    for (int32_t i = 0; i < s->count; i++)
        run_kernel(&r, order[i]);
    return r.peak;
}

/* The most that lives while the two run next, one after the other. */
static int64_t peak_of_two(const run *before, int32_t a, int32_t b)
{
    run r = *before;
    const kernel *x = &r.s->kernels[a], *y = &r.s->kernels[b];
    r.peak = 0;
    run_kernel(&r, a);
    run_kernel(&r, b);
    for (int32_t i = 0; i < x->nreads; i++)
        r.left[x->reads[i]]++;
    for (int32_t i = 0; i < y->nreads; i++)
        r.left[y->reads[i]]++;
    return r.peak;
}

/* Let neighbours change places until no two gain by it; so many times at most that each could have gone all the way. */
static void exchange_neighbours(const scheduler *s, int32_t *order)
{
    bool changed = true;
    for (int32_t times = 0; changed && times < s->count; times++) {
        run r = run_begin(s);
        changed = false;
        for (int32_t i = 0; i < s->count; i++) {
            int32_t a = order[i], b = i + 1 < s->count ? order[i + 1] : a;
            if (a != b && !needs(&s->kernels[b], a) && peak_of_two(&r, b, a) < peak_of_two(&r, a, b)) {
                order[i] = b;
                order[i + 1] = a;
                changed = true;
            }
            run_kernel(&r, order[i]);
        }
    }
}

/* Of the kernels that are ready, the one to run next: its place in that list. */
static int32_t pick(const scheduler *s, const int32_t *ready, int32_t count, const int32_t *left)
{
    int32_t best = -1;
    int64_t least = 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t k = ready[i];
        int64_t added = s->kernels[k].bytes - freed_by(s, left, k);
        if (best < 0 || added < least || (added == least && k < ready[best])) {
            best = i;
            least = added;
        }
    }
    if (best < 0)
        ir_bug("the order of kernels in @%s has a cycle", s->g->name);
    return best;
}

static int32_t *greedy_order(const scheduler *s)
{
    int32_t *found = arena_new_array(s->mem, int32_t, (size_t)s->count + 1);
    int32_t *ready = arena_new_array(s->mem, int32_t, (size_t)s->count + 1), count = 0;
    int32_t *waits = arena_new_array(s->mem, int32_t, (size_t)s->count + 1); /* by kernel: for how many */
    run r = run_begin(s);
    for (int32_t k = 0; k < s->count; k++)
        if (!(waits[k] = s->kernels[k].nbefore))
            ready[count++] = k;
    for (int32_t i = 0; i < s->count; i++) {
        int32_t at = pick(s, ready, count, r.left), k = found[i] = ready[at];
        ready[at] = ready[--count];
        run_kernel(&r, k);
        for (int32_t n = 0; n < s->kernels[k].nafter; n++)
            if (!--waits[s->kernels[k].after[n]])
                ready[count++] = s->kernels[k].after[n];
    }
    return found;
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

static void place_kernel(const kernel *k, bool *placed)
{
    place_needs(k->node, placed);
    ir_move_before(k->node, NULL);
    for (int32_t i = 0; i < k->nresults; i++) {
        placed[k->results[i]->id] = true;
        ir_move_before(k->results[i], NULL);
    }
}

static void rebuild(scheduler *s, const int32_t *order)
{
    ir_graph *g = s->g;
    bool *placed = arena_new_array(s->mem, bool, (size_t)ir_number(g) + 1);
    for (int i = 0; i < g->ninputs; i++)
        placed[g->inputs[i]->id] = true;
    for (int32_t i = 0; i < s->count; i++)
        place_kernel(&s->kernels[order[i]], placed);
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
    if (peak_of(&s, order) >= peak_of(&s, old))
        order = old;
    exchange_neighbours(&s, order);
    rebuild(&s, order);
    arena_free(s.mem);
}

bool pass_schedule(ir_module *m, diag *d)
{
    (void)d;
    for (ir_graph *g = m->functions; g; g = g->next)
        schedule_graph(g);
    return true;
}
