/* passes/plan_memory.c - a place for every buffer.
 *
 *     symbols      their segments, one after the other
 *     inputs       the number of their `row input`; each has its own pointer in the call
 *     results      the number of their `row output`: the kernel that makes one writes it there
 *     saved        what crosses between a stage's functions has its place from split
 *     worker       a slice of what only its own chain reads (mem_is_slice); scratch that says so by its segment
 *     workspace    all others, shared by all functions
 *
 * A buffer lives from the kernel that writes it to its last reader (reshapes are aliases and read for their operand),
 * scratch while its kernel runs. A chain's members take turns: a buffer of the workspace that one of them touches lives
 * through the whole chain. A worker runs the members in order on one slice: its buffers live as if they were alone.
 *
 * An elementwise kernel with one result writes over an operand of equal type and segment that ends with it, if it reads
 * element i for result i only. Offsets: largest buffer first, each into the tightest gap between those it lives with. A
 * checker then proves that no two buffers that live together overlap.
 *
 * Needs:  every value outside kernels is a symbol's, an input's, a kernel's or a reshape of one; schedule done.
 * Keeps:  the graph.      Leaves: places; module attributes params_bytes, ..., workspace_worker_bytes. */
#include "ir/graph/build.h"
#include "passes/memory.h"
#include "passes/passes.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, HOLDERS = 8 };

typedef struct {
    const ir_node *owner; /* who wrote it first */
    int64_t bytes, offset;
    int32_t first, last; /* node positions, both included */
    ir_segment segment;  /* workspace or worker */
} buffer;

typedef struct {
    ir_graph *g;
    arena *mem;
    diag *d;
    int64_t max_batch;
    ir_node **node;     /* by id */
    int32_t *last_use;  /* by root's id */
    int32_t *buffer_of; /* by root's id, -1 for values with memory of another kind */
    buffer *buffers;
    int32_t count;
} planner;

static int64_t align_up(int64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- segments that outlive the call ---- */

/* The number of the row of that kind and name. Without any such row, the place in the function counts. */
static bool row_number(planner *p, const char *kind, const char *name, int fallback, src_loc loc, int64_t *out)
{
    int64_t number = 0;
    for (const ir_row *r = p->g->module->rows; r; r = r->next) {
        if (strcmp(r->kind, kind))
            continue;
        if (name && !strcmp(r->name, name)) {
            *out = number;
            return true;
        }
        number++;
    }
    *out = fallback;
    if (number)
        diag_error(p->d, loc, "function @%s: expected a `row %s @%s`, found none", p->g->name, kind, name ? name : "");
    return !number;
}

static bool place_symbols(ir_module *m, int64_t total[SEG_COUNT], diag *d)
{
    for (ir_symbol *y = m->symbols; y; y = y->next) {
        int64_t bytes = mem_bytes(&y->type, y->attrs, mem_max_batch(m));
        y->place = (ir_place){y->segment, total[y->segment]};
        total[y->segment] += align_up(bytes);
        if (total[y->segment] >= MEM_LIMIT) {
            diag_error(d, y->loc, "'%s' makes the %s segment larger than %" PRId64 " bytes", y->name,
                       ir_segment_name(y->segment), MEM_LIMIT);
            return false;
        }
    }
    return true;
}

static bool place_inputs(planner *p)
{
    for (int i = 0; i < p->g->ninputs; i++) {
        ir_node *n = p->g->inputs[i];
        if (n->place.segment == SEG_SAVED)
            continue;
        n->place.segment = SEG_INPUT;
        if (!row_number(p, "input", n->name, i, n->loc, &n->place.offset))
            return false;
    }
    return true;
}

static bool place_results(planner *p)
{
    for (int i = 0; i < p->g->nresults; i++) {
        ir_node *n = p->node[ir_memory(p->g->results[i])->id];
        if (n->place.segment == SEG_SAVED)
            continue;
        const char *name = p->g->result_names[i];
        bool is_written = mem_is_kernel(n) || n->op == IR_RESULT;
        if (!is_written || n->place.segment == SEG_OUTPUT || ir_attr_find(n->attrs, "halo")) {
            diag_error(p->d, p->g->loc, "result '%s' of @%s: expected a value that a kernel writes for it alone", name,
                       p->g->name);
            return false;
        }
        n->place.segment = SEG_OUTPUT;
        if (!row_number(p, "output", name, i, p->g->loc, &n->place.offset))
            return false;
    }
    return true;
}

/* ---- lifetimes ---- */

static void find_last_uses(planner *p)
{
    for (const ir_node *n = p->g->first; n; n = n->next)
        for (int i = 0; i < n->nin && n->op != IR_RESHAPE && n->op != IR_RESULT; i++)
            p->last_use[ir_memory(n->in[i])->id] = n->id;
}

/* In the worker segment a value has the batch of one slice. */
static void add_buffer(planner *p, const ir_node *n, int32_t first, int32_t last, ir_segment segment)
{
    int64_t batch = p->max_batch;
    if (segment == SEG_WORKER)
        ir_chain(mem_producer(n), &batch);
    p->buffer_of[n->id] = p->count;
    p->buffers[p->count++] = (buffer){.owner = n,
                                      .bytes = align_up(mem_bytes(&n->type, n->attrs, batch)),
                                      .first = first,
                                      .last = last > first ? last : first,
                                      .segment = segment};
}

/* Does the region read its input x only at the element it writes? Elementwise all the way, and of one shape. */
static bool reads_pointwise(const planner *p, ir_graph *region, const ir_node *x)
{
    bool *from_x = arena_new_array(p->mem, bool, (size_t)ir_number(region) + 1);
    from_x[x->id] = true;
    for (const ir_node *n = region->first; n; n = n->next) {
        for (int i = 0; i < n->nin; i++)
            from_x[n->id] |= from_x[n->in[i]->id];
        if (from_x[n->id] && (!(ir_ops[n->op].traits & OP_ELTWISE) || !ir_shape_equal(&n->type, &x->type)))
            return false;
    }
    return true;
}

/* One result and no assign: what is written first cannot be read for the next. */
static bool may_run_in_place(const ir_node *kernel)
{
    if (kernel->op != IR_FUSED || !ir_word_is(kernel, "kind", "elementwise") || kernel->region->nresults != 1)
        return false;
    for (const ir_node *n = kernel->region->first; n; n = n->next)
        if (n->op == IR_ASSIGN)
            return false;
    return true;
}

/* The operand whose buffer the kernel's result may take over, or NULL. */
static const ir_node *operand_in_place(const planner *p, const ir_node *kernel, ir_segment segment)
{
    for (int i = 0; may_run_in_place(kernel) && i < kernel->nin; i++) {
        const ir_node *root = ir_memory(kernel->in[i]);
        int32_t b = p->buffer_of[root->id];
        if (b < 0 || p->buffers[b].last != kernel->id || p->buffers[b].segment != segment || root->op == IR_SCRATCH ||
            !ir_type_equal(&kernel->in[i]->type, &kernel->type) || ir_attr_find(root->attrs, "halo") ||
            ir_attr_find(kernel->attrs, "halo"))
            continue;
        int aliases = 0;
        for (int k = 0; k < kernel->nin; k++)
            aliases += ir_memory(kernel->in[k]) == root;
        if (aliases == 1 && reads_pointwise(p, kernel->region, kernel->region->inputs[i]))
            return root;
    }
    return NULL;
}

static bool place_kernel_result(planner *p, ir_node *n)
{
    if (n->op != IR_FUSED && n->op != IR_RESULT && n->op != IR_ASSIGN) {
        diag_error(p->d, n->loc, "plan_memory: expected kernels only, found a bare %s", ir_ops[n->op].name);
        return false;
    }
    if (n->type.dtype == IR_NONE || n->place.segment == SEG_OUTPUT || n->place.segment == SEG_SAVED)
        return true;
    ir_segment segment = mem_is_slice(n) ? SEG_WORKER : SEG_WORKSPACE;
    const ir_node *operand = n->op == IR_FUSED ? operand_in_place(p, n, segment) : NULL;
    int32_t written = mem_producer(n)->id, last = p->last_use[n->id];
    if (!operand) {
        add_buffer(p, n, written, last, segment);
        return true;
    }
    int32_t b = p->buffer_of[n->id] = p->buffer_of[operand->id];
    p->buffers[b].last = last > written ? last : written;
    return true;
}

/* Results and scratch of the function's kernels, in order. Scratch that its kernel wants once a worker has said so by
 * its segment. */
static bool find_buffers(planner *p)
{
    for (ir_node *n = p->g->first; n; n = n->next) {
        if (n->op == IR_SCRATCH) {
            int32_t user = p->last_use[n->id] ? p->last_use[n->id] : n->id;
            bool per_worker = n->place.segment == SEG_WORKER;
            add_buffer(p, n, user, user, per_worker ? SEG_WORKER : SEG_WORKSPACE);
        } else if ((mem_is_kernel(n) || n->op == IR_RESULT) && !place_kernel_result(p, n)) {
            return false;
        }
    }
    return true;
}

/* The first or last kernel of the chain that stands at a position; the position itself if none does. */
static int32_t chain_end(const planner *p, int32_t at, bool last)
{
    const ir_node *n = p->node[at];
    int64_t chain = ir_chain(n, NULL);
    for (; chain && n; n = last ? n->next : n->prev) {
        if (n->op == IR_FUSED && ir_chain(n, NULL) != chain)
            break;
        if (n->op == IR_FUSED)
            at = n->id;
    }
    return at;
}

/* Kernels of a chain take turns, slice by slice: what one of them touches lives as long as the chain runs. Not so what
 * a worker has to itself. */
static void live_through_chains(planner *p)
{
    for (int32_t i = 0; i < p->count; i++) {
        if (p->buffers[i].segment == SEG_WORKER)
            continue;
        p->buffers[i].first = chain_end(p, p->buffers[i].first, false);
        p->buffers[i].last = chain_end(p, p->buffers[i].last, true);
    }
}

/* ---- offsets ---- */

static int by_size(const void *a, const void *b)
{
    const buffer *x = *(buffer *const *)a, *y = *(buffer *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->owner->id < y->owner->id ? -1 : x->owner->id > y->owner->id;
}

static int by_offset(const void *a, const void *b)
{
    const buffer *x = *(buffer *const *)a, *y = *(buffer *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static bool live_together(const buffer *a, const buffer *b)
{
    return a->segment == b->segment && a->first <= b->last && b->first <= a->last;
}

/* The start of the tightest gap between 'busy' (sorted) that holds b, else the end of them all. */
static int64_t best_gap(const buffer *b, buffer *const *busy, int32_t count)
{
    int64_t end = 0, best = -1, best_size = 0;
    for (int32_t i = 0; i < count; i++) {
        int64_t gap = busy[i]->offset - end;
        if (gap >= b->bytes && (best < 0 || gap < best_size)) {
            best = end;
            best_size = gap;
        }
        int64_t after = busy[i]->offset + busy[i]->bytes;
        end = after > end ? after : end;
    }
    return best < 0 ? end : best;
}

static void place_buffers(planner *p, int64_t total[SEG_COUNT])
{
    buffer **order = arena_new_array(p->mem, buffer *, (size_t)p->count + 1);
    buffer **busy = arena_new_array(p->mem, buffer *, (size_t)p->count + 1);
    for (int32_t i = 0; i < p->count; i++)
        order[i] = &p->buffers[i];
    qsort(order, (size_t)p->count, sizeof *order, by_size);
    for (int32_t i = 0; i < p->count; i++) {
        int32_t n = 0;
        for (int32_t k = 0; k < i; k++)
            if (live_together(order[i], order[k]))
                busy[n++] = order[k];
        qsort(busy, (size_t)n, sizeof *busy, by_offset);
        order[i]->offset = best_gap(order[i], busy, n);
        int64_t end = order[i]->offset + order[i]->bytes;
        if (end > total[order[i]->segment])
            total[order[i]->segment] = end;
    }
}

static void check_overlaps(const planner *p)
{
    for (int32_t i = 0; i < p->count; i++) {
        const buffer *a = &p->buffers[i];
        if (a->offset % ALIGNMENT)
            ir_bug("buffer %d of @%s is not aligned", i, p->g->name);
        for (int32_t k = 0; k < i; k++) {
            const buffer *b = &p->buffers[k];
            if (live_together(a, b) && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes)
                ir_bug("buffers %d and %d of @%s live together and overlap", k, i, p->g->name);
        }
    }
}

/* ---- writing it down ---- */

static void write_places(planner *p)
{
    for (ir_node *n = p->g->first; n; n = n->next) {
        const ir_symbol *y = n->op == IR_PARAM || n->op == IR_STATE ? n->symbol : NULL;
        int32_t b = p->buffer_of[n->id];
        if (y)
            n->place = y->place;
        else if (n->op == IR_RESHAPE)
            n->place = n->in[0]->place;
        else if (b >= 0)
            n->place = (ir_place){p->buffers[b].segment, p->buffers[b].offset};
    }
}

static const char *name_of(const ir_node *n)
{
    const ir_node *kernel = n->op == IR_RESULT ? n->in[0] : n;
    return n->label ? n->label : kernel->label ? kernel->label : n->name ? n->name : ir_ops[n->op].name;
}

static bool lives_at(const buffer *b, ir_segment segment, int32_t at)
{
    return b->segment == segment && b->first <= at && at <= b->last;
}

/* Where most of a segment is live: where some buffer begins. */
static int32_t find_peak(const planner *p, ir_segment segment, int64_t *peak)
{
    int32_t at = 0;
    *peak = 0;
    for (int32_t i = 0; i < p->count; i++) {
        int64_t live = 0;
        for (int32_t k = 0; k < p->count; k++)
            live += lives_at(&p->buffers[k], segment, p->buffers[i].first) ? p->buffers[k].bytes : 0;
        if (live > *peak) {
            *peak = live;
            at = p->buffers[i].first;
        }
    }
    return at;
}

/* "workspace peak N bytes, held by ...": at the moment when most is live, the largest buffers. */
static void remark_peak(const planner *p, ir_segment segment)
{
    int64_t peak, others = 0;
    int32_t at = find_peak(p, segment, &peak), listed = 0;
    if (!peak)
        return;
    buffer **order = arena_new_array(p->mem, buffer *, (size_t)p->count);
    for (int32_t i = 0; i < p->count; i++)
        order[i] = &p->buffers[i];
    qsort(order, (size_t)p->count, sizeof *order, by_size);
    text holders = {0};
    src_loc where = p->g->loc;
    for (int32_t i = 0; i < p->count; i++) {
        const buffer *b = order[i];
        if (!lives_at(b, segment, at))
            continue;
        where = listed ? where : b->owner->loc;
        if (listed < HOLDERS)
            text_printf(&holders, "%s'%s' (%" PRId64 ")", listed ? ", " : "", name_of(b->owner), b->bytes);
        else
            others += b->bytes;
        listed++;
    }
    if (others)
        text_printf(&holders, " and %d smaller ones (%" PRId64 ")", (int)(listed - HOLDERS), others);
    diag_remark(p->d, where, "@%s: %s peak %" PRId64 " bytes, held by %s", p->g->name,
                segment == SEG_WORKER ? "a worker's" : "workspace", peak, text_get(&holders));
    text_free(&holders);
}

static bool check_sizes(const planner *p)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < p->count; i++) {
        sum += p->buffers[i].bytes;
        if (sum >= MEM_LIMIT) {
            diag_error(p->d, p->buffers[i].owner->loc, "'%s' makes the workspace of @%s larger than %" PRId64 " bytes",
                       name_of(p->buffers[i].owner), p->g->name, MEM_LIMIT);
            return false;
        }
    }
    return true;
}

static bool plan_function(ir_graph *g, int64_t total[SEG_COUNT], diag *d)
{
    planner p = {.g = g, .mem = arena_new(), .d = d, .max_batch = mem_max_batch(g->module)};
    size_t count = (size_t)ir_number(g) + 1;
    p.node = arena_new_array(p.mem, ir_node *, count);
    p.last_use = arena_new_array(p.mem, int32_t, count);
    p.buffer_of = arena_new_array(p.mem, int32_t, count);
    p.buffers = arena_new_array(p.mem, buffer, count);
    for (int i = 0; i < g->ninputs; i++)
        p.node[g->inputs[i]->id] = g->inputs[i];
    for (ir_node *n = g->first; n; n = n->next) {
        p.node[n->id] = n;
        if (n->place.segment != SEG_WORKER && n->place.segment != SEG_SAVED)
            n->place = (ir_place){SEG_NONE, 0};
    }
    for (size_t i = 0; i < count; i++)
        p.buffer_of[i] = -1;
    find_last_uses(&p);
    bool ok = place_inputs(&p) && place_results(&p) && find_buffers(&p) && check_sizes(&p);
    if (ok)
        live_through_chains(&p);
    if (ok) {
        place_buffers(&p, total);
        check_overlaps(&p);
        write_places(&p);
        remark_peak(&p, SEG_WORKSPACE);
        remark_peak(&p, SEG_WORKER);
    }
    arena_free(p.mem);
    return ok;
}

bool pass_plan_memory(ir_module *m, diag *d)
{
    static const struct {
        const char *name;
        ir_segment segment;
    } sizes[] = {{"params_bytes", SEG_PARAM},        {"state_bytes", SEG_STATE},
                 {"gradient_bytes", SEG_GRADIENT},   {"saved_bytes", SEG_SAVED},
                 {"workspace_bytes", SEG_WORKSPACE}, {"workspace_worker_bytes", SEG_WORKER}};
    int64_t total[SEG_COUNT] = {0};
    const ir_attr *saved = ir_attr_find(m->attrs, "saved_bytes"); /* of the slots that split gave out */
    total[SEG_SAVED] = saved && saved->count == 1 ? (int64_t)saved->number[0] : 0;
    bool ok = place_symbols(m, total, d);
    for (ir_graph *g = m->functions; g && ok; g = g->next)
        ok = plan_function(g, total, d);
    for (size_t i = 0; ok && i < sizeof sizes / sizeof *sizes; i++)
        ir_attr_set_ints(m->mem, &m->attrs, sizes[i].name, &total[sizes[i].segment], 1);
    return ok;
}
