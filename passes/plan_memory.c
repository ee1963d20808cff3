/* passes/plan_memory.c - a place for every buffer.
 *
 *     symbols      their segments, one after the other; those that inference needs first
 *     inputs       the number of their `row input`; each has its own pointer in the call
 *     results      the number of their `row output`: the kernel that makes one writes it there
 *     saved        what crosses between a stage's functions has its place from split
 *     worker       a slice of what only its own chain reads (mem_is_slice); scratch that says so by its segment
 *     workspace    all others, shared by all functions
 *
 * How long a buffer lives and which follow each other in place: buffers.c. Offsets: largest buffer first, each into the
 * tightest gap between those it lives with. check_memory.c then proves that no two that live together overlap.
 *
 * A segment is as large as the function asks that takes the most of it. A second size is the most that `infer` and
 * `evaluate` take: all that a model needs which does not train.
 *
 * Needs:  every value outside kernels is a symbol's, an input's, a kernel's or a reshape of one; schedule done.
 * Keeps:  the graph.      Leaves: places; module attributes params_bytes, ..., inference_worker_bytes. */
#include "ir/graph/build.h"
#include "passes/buffers.h"
#include "passes/memory.h"
#include "passes/passes.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HOLDERS = 8 };

typedef struct {
    int64_t whole[SEG_COUNT], inference[SEG_COUNT];
} sizes;

/* ---- segments that outlive the call ---- */

static bool place_symbol(const ir_module *m, ir_symbol *y, int64_t total[SEG_COUNT], diag *d)
{
    y->place = (ir_place){y->segment, total[y->segment]};
    total[y->segment] += mem_align(mem_bytes(&y->type, y->attrs, mem_max_batch(m)));
    if (total[y->segment] < MEM_LIMIT)
        return true;
    diag_error(d, y->loc, "'%s' makes the %s segment larger than %" PRId64 " bytes", y->name,
               ir_segment_name(y->segment), MEM_LIMIT);
    return false;
}

static bool place_symbols(ir_module *m, sizes *s, diag *d)
{
    arena *tmp = arena_new();
    const ir_map *needed = mem_inference_symbols(m, tmp);
    bool ok = true;
    for (int training = 0; training < 2; training++) {
        for (ir_symbol *y = m->symbols; y && ok; y = y->next)
            if (training == !ir_map_get(needed, y))
                ok = place_symbol(m, y, s->whole, d);
        if (!training)
            s->inference[SEG_STATE] = s->whole[SEG_STATE];
    }
    arena_free(tmp);
    return ok;
}

static bool place_inputs(mem_function *f)
{
    for (int i = 0; i < f->g->ninputs; i++)
        if (f->g->inputs[i]->place.segment != SEG_SAVED && !mem_input_place(f, i, &f->g->inputs[i]->place))
            return false;
    return true;
}

static bool place_results(mem_function *f)
{
    for (int i = 0; i < f->g->nresults; i++) {
        ir_node *n = f->node[ir_memory(f->g->results[i])->id];
        if (n->place.segment == SEG_SAVED)
            continue;
        bool is_written = mem_is_kernel(n) || n->op == IR_RESULT;
        if (!is_written || n->place.segment == SEG_OUTPUT || ir_attr_find(n->attrs, "halo")) {
            diag_error(f->d, f->g->loc, "result '%s' of @%s: expected a value that a kernel writes for it alone",
                       f->g->result_names[i], f->g->name);
            return false;
        }
        if (!mem_result_place(f, i, &n->place))
            return false;
    }
    return true;
}

/* ---- offsets ---- */

static int by_size(const void *a, const void *b)
{
    const mem_buffer *x = *(mem_buffer *const *)a, *y = *(mem_buffer *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->owner->id < y->owner->id ? -1 : x->owner->id > y->owner->id;
}

static int by_offset(const void *a, const void *b)
{
    const mem_buffer *x = *(mem_buffer *const *)a, *y = *(mem_buffer *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The start of the tightest gap between 'busy' (sorted) that holds b, else the end of them all. */
static int64_t best_gap(const mem_buffer *b, mem_buffer *const *busy, int32_t count)
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

static void place_buffers(mem_function *f, int64_t total[SEG_COUNT])
{
    mem_buffer **order = arena_new_array(f->mem, mem_buffer *, (size_t)f->count + 1);
    mem_buffer **busy = arena_new_array(f->mem, mem_buffer *, (size_t)f->count + 1);
    for (int32_t i = 0; i < f->count; i++)
        order[i] = &f->buffers[i];
    qsort(order, (size_t)f->count, sizeof *order, by_size);
    for (int32_t i = 0; i < f->count; i++) {
        int32_t n = 0;
        for (int32_t k = 0; k < i; k++)
            if (mem_live_together(order[i], order[k]))
                busy[n++] = order[k];
        qsort(busy, (size_t)n, sizeof *busy, by_offset);
        order[i]->offset = best_gap(order[i], busy, n);
        int64_t end = order[i]->offset + order[i]->bytes;
        if (end > total[order[i]->segment])
            total[order[i]->segment] = end;
    }
}

/* ---- writing it down ---- */

static void write_places(mem_function *f)
{
    for (ir_node *n = f->g->first; n; n = n->next) {
        const ir_symbol *y = n->op == IR_PARAM || n->op == IR_STATE ? n->symbol : NULL;
        int32_t b = f->buffer_of[n->id];
        if (y)
            n->place = y->place;
        else if (n->op == IR_RESHAPE)
            n->place = n->in[0]->place;
        else if (b >= 0)
            n->place = (ir_place){f->buffers[b].segment, f->buffers[b].offset};
    }
}

static const char *name_of(const ir_node *n)
{
    const ir_node *kernel = n->op == IR_RESULT ? n->in[0] : n;
    return n->label ? n->label : kernel->label ? kernel->label : n->name ? n->name : ir_ops[n->op].name;
}

static bool lives_at(const mem_buffer *b, ir_segment segment, int32_t at)
{
    return b->segment == segment && b->first <= at && at <= b->last;
}

/* Where most of a segment is live: where some buffer begins. */
static int32_t find_peak(const mem_function *f, ir_segment segment, int64_t *peak)
{
    int32_t at = 0;
    *peak = 0;
    for (int32_t i = 0; i < f->count; i++) {
        int64_t live = 0;
        for (int32_t k = 0; k < f->count; k++)
            live += lives_at(&f->buffers[k], segment, f->buffers[i].first) ? f->buffers[k].bytes : 0;
        if (live > *peak) {
            *peak = live;
            at = f->buffers[i].first;
        }
    }
    return at;
}

/* "workspace peak N bytes, held by ...": at the moment when most is live, the largest buffers. */
static void remark_peak(const mem_function *f, ir_segment segment)
{
    int64_t peak, others = 0;
    int32_t at = find_peak(f, segment, &peak), listed = 0;
    if (!peak)
        return;
    mem_buffer **order = arena_new_array(f->mem, mem_buffer *, (size_t)f->count);
    for (int32_t i = 0; i < f->count; i++)
        order[i] = &f->buffers[i];
    qsort(order, (size_t)f->count, sizeof *order, by_size);
    text holders = {0};
    src_loc where = f->g->loc;
    for (int32_t i = 0; i < f->count; i++) {
        const mem_buffer *b = order[i];
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
    diag_remark(f->d, where, "@%s: %s peak %" PRId64 " bytes, held by %s", f->g->name,
                segment == SEG_WORKER ? "a worker's" : "workspace", peak, text_get(&holders));
    text_free(&holders);
}

static bool check_sizes(const mem_function *f)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < f->count; i++) {
        sum += f->buffers[i].bytes;
        if (sum >= MEM_LIMIT) {
            diag_error(f->d, f->buffers[i].owner->loc, "'%s' makes the workspace of @%s larger than %" PRId64 " bytes",
                       name_of(f->buffers[i].owner), f->g->name, MEM_LIMIT);
            return false;
        }
    }
    return true;
}

static void grow(int64_t total[SEG_COUNT], const int64_t size[SEG_COUNT])
{
    for (int i = 0; i < SEG_COUNT; i++)
        total[i] = size[i] > total[i] ? size[i] : total[i];
}

static bool plan_function(ir_graph *g, sizes *s, diag *d)
{
    arena *tmp = arena_new();
    mem_function f = mem_function_open(g, false, tmp, d);
    for (ir_node *n = g->first; n; n = n->next)
        if (n->place.segment != SEG_WORKER && n->place.segment != SEG_SAVED)
            n->place = (ir_place){SEG_NONE, 0};
    bool ok = place_inputs(&f) && place_results(&f) && mem_find_buffers(&f) && check_sizes(&f);
    if (ok) {
        int64_t size[SEG_COUNT] = {0};
        place_buffers(&f, size);
        grow(s->whole, size);
        if (ir_is_inference(g))
            grow(s->inference, size);
        write_places(&f);
        remark_peak(&f, SEG_WORKSPACE);
        remark_peak(&f, SEG_WORKER);
    }
    arena_free(tmp);
    return ok;
}

static void set_size(ir_module *m, const char *name, int64_t bytes)
{
    if (*name)
        ir_attr_set_ints(m->mem, &m->attrs, name, &bytes, 1);
}

bool pass_plan_memory(ir_module *m, diag *d)
{
    sizes s = {0};
    const ir_attr *saved = ir_attr_find(m->attrs, "saved_bytes"); /* of the slots that split gave out */
    s.whole[SEG_SAVED] = saved && saved->count == 1 ? (int64_t)saved->number[0] : 0;
    bool ok = place_symbols(m, &s, d);
    for (ir_graph *g = m->functions; g && ok; g = g->next)
        ok = plan_function(g, &s, d);
    for (int i = 0; ok && i < SEG_COUNT; i++)
        set_size(m, mem_size_name((ir_segment)i), s.whole[i]);
    for (int i = 0; ok && i < SEG_COUNT; i++)
        set_size(m, mem_inference_size_name((ir_segment)i), s.inference[i]);
    return ok;
}
