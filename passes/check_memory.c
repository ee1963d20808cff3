/* passes/check_memory.c - are the places right that a module has? Asked after every pass, and of every text that is
 * read, since a text may have been edited.
 *
 * Once pass split is done:
 *  1. What crosses between the functions of stages has one type and one place in `saved` under one name, and overlaps
 *     nothing there. Before, nothing has a place in `saved`.
 * Once pass plan_memory is done:
 *  2. Symbols lie in the segment of their kind and do not overlap.
 *  3. A `param`, a `state` or a reshape lies where its symbol or operand does; inputs and results have the numbers of
 *     their rows.
 *  4. What kernels write else lies in the workspace, or in a worker's if it is a slice for its own chain. No two
 * buffers that live together overlap, save where a kernel may write over its operand (buffers.c).
 *  5. Every offset in memory is a multiple of 64, and what lies there ends inside its segment; if `infer` or `evaluate`
 * use it, inside the part of the segment that inference has, which is all of it where the module does not say. */
#include "passes/buffers.h"
#include "passes/memory.h"
#include "passes/passes.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Memory of a symbol, of what crosses between stages, or of a value. */
typedef struct {
    const char *name;
    const ir_type *type;
    ir_place place;
    int64_t bytes;
    src_loc loc;
} range;

typedef struct {
    const ir_module *m;
    arena *mem;
    diag *d;
    int after;     /* the number of the pass that was the last */
    ir_map *named; /* ranges of what crosses between stages */
    range **ranges;
    size_t count;
} checker;

static const char *name_of(const ir_node *n)
{
    const ir_node *kernel = n->op == IR_RESULT ? n->in[0] : n;
    return n->label ? n->label : kernel->label ? kernel->label : n->name ? n->name : "";
}

static const char *place_text(const checker *c, ir_place p)
{
    if (p.segment == SEG_NONE)
        return "none";
    return arena_printf(c->mem, "@%s+%" PRId64, ir_segment_name(p.segment), p.offset);
}

static bool check_place(const checker *c, const ir_node *n, ir_place expected)
{
    if (n->place.segment == expected.segment && n->place.offset == expected.offset)
        return true;
    diag_error(c->d, n->loc, "%s '%s': expected the place %s, found %s", ir_ops[n->op].name, name_of(n),
               place_text(c, expected), place_text(c, n->place));
    return false;
}

static int64_t size_of(const checker *c, const char *name, int64_t fallback)
{
    const ir_attr *a = ir_attr_find(c->m->attrs, name);
    return a && a->count == 1 ? (int64_t)a->number[0] : fallback;
}

/* Rule 5. */
static bool check_inside(const checker *c, const range *r, bool inference, const char *what)
{
    int64_t room = size_of(c, mem_size_name(r->place.segment), 0), end = r->place.offset + r->bytes;
    if (inference)
        room = size_of(c, mem_inference_size_name(r->place.segment), room);
    if (r->place.offset % MEM_ALIGNMENT) {
        diag_error(c->d, r->loc, "%s '%s': expected an offset that is a multiple of %d, found %" PRId64, what, r->name,
                   MEM_ALIGNMENT, r->place.offset);
        return false;
    }
    if (end <= room)
        return true;
    diag_error(c->d, r->loc,
               "%s '%s': expected it to end within the %" PRId64 " bytes of %s%s, found its end at %" PRId64, what,
               r->name, room, ir_segment_name(r->place.segment), inference ? " that inference has" : "", end);
    return false;
}

/* A model that trains has room for inference, too. */
static bool check_sizes(const checker *c)
{
    for (int i = 0; i < SEG_COUNT; i++) {
        const char *part = mem_inference_size_name((ir_segment)i), *whole = mem_size_name((ir_segment)i);
        int64_t most = size_of(c, whole, 0), found = size_of(c, part, 0);
        if (found <= most)
            continue;
        diag_error(c->d, (src_loc){0}, "%s: expected at most %s, %" PRId64 ", found %" PRId64, part, whole, most,
                   found);
        return false;
    }
    return true;
}

/* ---- memory that outlives a function ---- */

static bool add_range(checker *c, range r, bool inference, const char *what)
{
    if (!check_inside(c, &r, inference, what))
        return false;
    range *kept = arena_make(c->mem, range);
    *kept = r;
    c->ranges = arena_grown(c->mem, c->ranges, c->count, sizeof *c->ranges);
    c->ranges[c->count++] = kept;
    return true;
}

static bool check_symbols(checker *c)
{
    const ir_map *needed = mem_inference_symbols(c->m, c->mem);
    for (const ir_symbol *y = c->m->symbols; y; y = y->next) {
        if (y->place.segment != y->segment) {
            diag_error(c->d, y->loc, "@%s: expected a place in %s, found %s", y->name, ir_segment_name(y->segment),
                       y->place.segment ? ir_segment_name(y->place.segment) : "none");
            return false;
        }
        range r = {y->name, &y->type, y->place, mem_bytes(&y->type, y->attrs, mem_max_batch(c->m)), y->loc};
        bool inference = y->segment == SEG_STATE && ir_map_get(needed, y);
        if (!add_range(c, r, inference, "symbol"))
            return false;
    }
    return true;
}

/* An input of a stage's function, or a result, that lies in `saved`. */
static bool check_saved(checker *c, const ir_node *n, const char *name)
{
    if (n->place.segment != SEG_SAVED)
        return true;
    if (c->after < pass_index("split")) {
        diag_error(c->d, n->loc, "%s '%s': expected no place in saved before pass split, found %s", ir_ops[n->op].name,
                   name ? name : "", place_text(c, n->place));
        return false;
    }
    const range *known = name ? ir_map_get(c->named, name) : NULL;
    range r = {name ? name : "", &n->type, n->place, mem_bytes(&n->type, n->attrs, mem_max_batch(c->m)), n->loc};
    if (known && !ir_type_equal(known->type, &n->type)) {
        diag_error(c->d, n->loc, "%s '%s': expected the type that it has in other functions, found another",
                   ir_ops[n->op].name, name);
        return false;
    }
    if (known)
        return check_place(c, n, known->place);
    if (!add_range(c, r, false, ir_ops[n->op].name))
        return false;
    if (name)
        ir_map_set(c->named, name, c->ranges[c->count - 1]);
    return true;
}

static bool check_crossing(checker *c, const ir_graph *g)
{
    for (int i = 0; i < g->ninputs; i++)
        if (!check_saved(c, g->inputs[i], g->inputs[i]->name))
            return false;
    for (int i = 0; i < g->nresults; i++)
        if (!check_saved(c, ir_memory(g->results[i]), g->result_names[i]))
            return false;
    return true;
}

static bool overlap_error(const checker *c, src_loc at, const char *name, const char *other, ir_place place)
{
    diag_error(c->d, at, "'%s': expected memory of its own, found some of that of '%s' at %s", name, other,
               place_text(c, place));
    return false;
}

static int by_place(const void *a, const void *b)
{
    const range *x = *(range *const *)a, *y = *(range *const *)b;
    if (x->place.segment != y->place.segment)
        return x->place.segment < y->place.segment ? -1 : 1;
    return x->place.offset < y->place.offset ? -1 : x->place.offset > y->place.offset;
}

static bool check_ranges(checker *c)
{
    if (c->count > 0)
        qsort(c->ranges, c->count, sizeof *c->ranges, by_place);
    for (size_t i = 1; i < c->count; i++) {
        const range *x = c->ranges[i - 1], *y = c->ranges[i];
        if (x->place.segment == y->place.segment && x->place.offset + x->bytes > y->place.offset)
            return overlap_error(c, y->loc, y->name, x->name, x->place);
    }
    return true;
}

/* ---- functions ---- */

static bool check_inputs(const checker *c, const mem_function *f)
{
    ir_place expected;
    for (int i = 0; i < f->g->ninputs; i++)
        if (f->g->inputs[i]->place.segment != SEG_SAVED &&
            (!mem_input_place(f, i, &expected) || !check_place(c, f->g->inputs[i], expected)))
            return false;
    return true;
}

/* A value that two results share has the wrong place for one of them. */
static bool check_results(const checker *c, const mem_function *f, bool *is_result)
{
    ir_place expected;
    for (int i = 0; i < f->g->nresults; i++) {
        const ir_node *n = ir_memory(f->g->results[i]);
        if (n->place.segment != SEG_SAVED && (!mem_result_place(f, i, &expected) || !check_place(c, n, expected)))
            return false;
        is_result[n->id] = true;
    }
    return true;
}

/* Where a value that a kernel writes may lie, but for a result of the function. */
static bool check_written(const checker *c, const ir_node *n)
{
    bool scratch = n->op == IR_SCRATCH;
    if (n->place.segment == SEG_WORKSPACE || (n->place.segment == SEG_WORKER && (scratch || mem_is_slice(n))))
        return true;
    diag_error(c->d, n->loc, "%s '%s': expected a place in workspace, found %s", ir_ops[n->op].name, name_of(n),
               place_text(c, n->place));
    return false;
}

/* Rules 2 and 4, for one node. */
static bool check_node(const checker *c, const ir_node *n, bool is_result)
{
    static const ir_place nowhere = {SEG_NONE, 0};
    switch (n->op) {
    case IR_PARAM:
    case IR_STATE:
        return check_place(c, n, n->symbol->place);
    case IR_RESHAPE:
        return check_place(c, n, n->in[0]->place);
    case IR_FUSED:
    case IR_RESULT:
    case IR_SCRATCH:
        return is_result || n->type.dtype == IR_NONE || check_written(c, n);
    default:
        return check_place(c, n, nowhere);
    }
}

static int by_first(const void *a, const void *b)
{
    const mem_buffer *x = *(mem_buffer *const *)a, *y = *(mem_buffer *const *)b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static bool check_buffers(const checker *c, mem_function *f)
{
    mem_buffer **order = arena_new_array(c->mem, mem_buffer *, (size_t)f->count + 1);
    for (int32_t i = 0; i < f->count; i++) {
        mem_buffer *b = order[i] = &f->buffers[i];
        const ir_node *n = b->owner;
        b->offset = n->place.offset;
        const range r = {name_of(n), &n->type, n->place, b->bytes, n->loc};
        if (!check_inside(c, &r, ir_is_inference(f->g), ir_ops[n->op].name))
            return false;
    }
    qsort(order, (size_t)f->count, sizeof *order, by_first);
    for (int32_t i = 0; i < f->count; i++)
        for (int32_t k = i + 1; k < f->count && order[k]->first <= order[i]->last; k++) {
            const mem_buffer *a = order[i], *b = order[k];
            if (mem_live_together(a, b) && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes)
                return overlap_error(c, b->owner->loc, name_of(b->owner), name_of(a->owner), a->owner->place);
        }
    return true;
}

static bool check_function(const checker *c, ir_graph *g)
{
    mem_function f = mem_function_open(g, true, c->mem, c->d);
    bool *is_result = arena_new_array(c->mem, bool, (size_t)ir_number(g) + 1);
    if (!check_inputs(c, &f) || !check_results(c, &f, is_result))
        return false;
    for (const ir_node *n = g->first; n; n = n->next)
        if (!check_node(c, n, is_result[n->id]))
            return false;
    return mem_find_buffers(&f) && check_buffers(c, &f);
}

bool passes_check_memory(const ir_module *m, int after, diag *d)
{
    checker c = {.m = m, .mem = arena_new(), .d = d, .after = after};
    c.named = ir_map_new(c.mem, IR_MAP_TEXTS);
    bool planned = c.after >= pass_index("plan_memory"), ok = !planned || (check_sizes(&c) && check_symbols(&c));
    for (const ir_graph *g = m->functions; g && ok; g = g->next)
        ok = check_crossing(&c, g);
    for (ir_graph *g = m->functions; g && ok && planned; g = g->next)
        ok = check_function(&c, g);
    ok = ok && check_ranges(&c);
    arena_free(c.mem);
    return ok;
}
