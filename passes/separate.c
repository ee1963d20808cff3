/* passes/separate.c - keep one stage of a staged net, for a library of its own.
 *     module @net {alone = [2]}    @train_step ..., @A.forward, @A.backward, @A.update, @B.forward ...
 *  => module @net_B                @forward, @backward, @update of B, the second stage
 *
 * Stages of their own may live in different threads, processes or machines. So what one of them makes and another reads
 * is an output of the one's function and an input of the other's, under one name: that of the layer's value, else that
 * of the kernel. A stage that made such a value reads it again as an input. In `saved` remains what no other stage
 * reads. Rows {boundary = [1]} say which inputs and outputs these are.
 *
 * Symbols are those that the stage's functions have. What all stages share (the step's number, Adam's powers), each has
 * for itself and assigns in its own update, always to the same bits. A stage has the row of a metric if it assigns one
 * of its two sums: these are then the sums of all stages together, as each is assigned in one stage and 0 elsewhere.
 *
 * No stage can read what another one assigns, as a weight that both use or the norm of all gradients: an error.
 *
 * Needs:  split.      Keeps:  kernels.      Breaks: nothing; a module without `alone` stays as it is. */
#include "passes/memory.h"
#include "passes/passes.h"
#include <inttypes.h>
#include <string.h>

/* What split keeps in a slot of `saved`. */
typedef struct value value;
struct value {
    const char *name; /* to other stages */
    int64_t maker, offset;
    bool crosses; /* another stage reads it */
    value *next;
};

typedef struct {
    ir_module *m;
    arena *mem;
    diag *d;
    int64_t alone, stages;
    const char *name;      /* of the stage alone */
    const ir_node *orphan; /* reads from a slot that no function writes, or what no stage alone has; NULL: none does */
    value *values, **end;
    ir_map *by_slot, *by_name;
    ir_map *used, *assigned; /* symbols of this stage's functions */
} separation;

static const char *stage_name(const separation *s, int64_t stage)
{
    for (const ir_row *r = s->m->rows; r; r = r->next)
        if (!strcmp(r->kind, "stage") && --stage == 0)
            return r->name;
    return "";
}

static ir_graph *function_of(const separation *s, int64_t stage, const char *part)
{
    return ir_function_find(s->m, arena_printf(s->mem, "%s.%s", stage_name(s, stage), part));
}

/* ---- values ---- */

/* The name that a layer gave its value, else that of the kernel which makes it. */
static const char *value_name(const ir_node *n)
{
    const ir_node *kernel = n->op == IR_RESULT ? n->in[0] : n;
    const ir_node *inner = kernel->region ? kernel->region->results[ir_int(n, "index", 0)] : n;
    return inner->name ? inner->name : n->label ? n->label : kernel->label ? kernel->label : "value";
}

static bool is_taken(const separation *s, const char *name)
{
    return ir_map_get(s->by_name, name) || ir_row_find(s->m, "input", name);
}

/* Whose memory a result of the function is. */
static ir_node *result_memory(const ir_graph *g, int i)
{
    ir_node *n = g->results[i];
    while (n->op == IR_RESHAPE)
        n = n->in[0];
    return n;
}

static void add_values(separation *s, const ir_graph *g, int64_t stage)
{
    for (int i = 0; i < g->nresults; i++) {
        const ir_node *n = result_memory(g, i);
        if (n->place.segment != SEG_SAVED || ir_map_get(s->by_slot, g->result_names[i]))
            continue;
        const char *base = value_name(n), *name = base;
        for (int k = 2; is_taken(s, name); k++)
            name = arena_printf(s->m->mem, "%s.%d", base, k);
        value *v = arena_make(s->mem, value);
        *v = (value){.name = name, .maker = stage};
        ir_map_set(s->by_slot, g->result_names[i], v);
        ir_map_set(s->by_name, name, v);
        *s->end = v;
        s->end = &v->next;
    }
}

static void mark_crossing(separation *s, const ir_graph *g, int64_t stage)
{
    for (int i = 0; i < g->ninputs; i++) {
        const ir_node *n = g->inputs[i];
        value *v = n->place.segment == SEG_SAVED ? ir_map_get(s->by_slot, n->name) : NULL;
        if (v)
            v->crosses |= v->maker != stage;
        else if (n->place.segment == SEG_SAVED && !s->orphan)
            s->orphan = n;
    }
}

typedef void visitor(separation *s, const ir_graph *g, int64_t stage);

static void visit_each(separation *s, visitor *visit)
{
    for (int64_t i = 1; i <= s->stages; i++) {
        visit(s, function_of(s, i, "forward"), i);
        visit(s, function_of(s, i, "backward"), i);
    }
}

/* Offsets of what stays in this stage. */
static void place_values(separation *s, const ir_graph *g, int64_t *at)
{
    for (int i = 0; i < g->nresults; i++) {
        const ir_node *n = result_memory(g, i);
        value *v = ir_map_get(s->by_slot, g->result_names[i]);
        if (!v || v->crosses)
            continue;
        v->offset = *at;
        *at = (*at + mem_bytes(&n->type, n->attrs, mem_max_batch(s->m)) + 63) & ~(int64_t)63;
    }
}

/* ---- functions ---- */

static void move(const separation *s, ir_node *n, const char **name)
{
    const value *v = n->place.segment == SEG_SAVED ? ir_map_get(s->by_slot, *name) : NULL;
    if (!v)
        return;
    n->place = v->crosses ? (ir_place){SEG_NONE, 0} : (ir_place){SEG_SAVED, v->offset};
    *name = v->crosses ? v->name : *name;
}

static void open_boundaries(const separation *s, ir_graph *g)
{
    for (int i = 0; i < g->ninputs; i++)
        move(s, g->inputs[i], &g->inputs[i]->name);
    for (int i = 0; i < g->nresults; i++)
        move(s, result_memory(g, i), &g->result_names[i]);
}

static bool has_assign(const ir_node *n)
{
    if (n->op == IR_ASSIGN)
        return true;
    for (const ir_node *k = n->region ? n->region->first : NULL; k; k = k->next)
        if (has_assign(k))
            return true;
    return false;
}

static bool is_foreign(const separation *s, const ir_node *n)
{
    int64_t stage = ir_int(n, "stage", 0);
    return stage && stage != s->alone;
}

/* Of the whole update what this stage and all stages do, with every assign. */
static ir_graph *own_update(separation *s, const ir_graph *whole)
{
    ir_map *gone = ir_map_new(s->mem, IR_MAP_POINTERS);
    ir_graph *g = ir_clone_graph(whole, "alone");
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!is_foreign(s, n) || !has_assign(n))
            continue;
        ir_map_set(gone, n, n);
        ir_unlink(n);
    }
    ir_drop_unused(g);
    for (const ir_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->nin; i++)
            s->orphan = !s->orphan && ir_map_get(gone, n->in[i]) ? n : s->orphan;
    return g;
}

/* ---- symbols ---- */

/* Who uses and who assigns each symbol: nodes of the function, whose regions count as they do. */
static void add_symbols(const ir_graph *g, ir_node *outer, ir_map *used, ir_map *assigned)
{
    for (ir_node *n = g->first; n; n = n->next) {
        if (n->symbol)
            ir_map_set(used, n->symbol, outer ? outer : n);
        if (n->op == IR_ASSIGN)
            ir_map_set(assigned, n->symbol, outer ? outer : n);
        if (n->region)
            add_symbols(n->region, outer ? outer : n, used, assigned);
    }
}

static void find_symbols(const ir_graph *g, ir_map *used, ir_map *assigned)
{
    add_symbols(g, NULL, used, assigned);
}

/* What other stages assign, and all stages but this one do not assign alike. */
static ir_map *foreign_assigns(separation *s, const ir_graph *update)
{
    ir_map *used = ir_map_new(s->mem, IR_MAP_POINTERS), *out = ir_map_new(s->mem, IR_MAP_POINTERS);
    for (int64_t i = 1; i <= s->stages; i++)
        if (i != s->alone) {
            find_symbols(function_of(s, i, "forward"), used, out);
            find_symbols(function_of(s, i, "backward"), used, out);
        }
    for (ir_node *n = update->first; n; n = n->next)
        if (is_foreign(s, n) && n->op == IR_ASSIGN)
            ir_map_set(out, n->symbol, n);
        else if (is_foreign(s, n) && n->region)
            add_symbols(n->region, n, used, out);
    return out;
}

static bool check_symbols(const separation *s, const ir_map *foreign)
{
    for (const ir_symbol *y = s->m->symbols; y; y = y->next) {
        const ir_node *reader = ir_map_get(s->used, y), *writer = ir_map_get(foreign, y);
        if (!reader || !writer || ir_map_get(s->assigned, y))
            continue;
        diag_error(
            s->d, reader->loc,
            "'%s': expected what stage '%s' alone assigns, found a value of stage '%s', whose library has memory "
            "of its own",
            y->name, stage_name(s, s->alone), stage_name(s, ir_int(writer, "stage", 0)));
        return false;
    }
    return true;
}

/* The others go. Which states inference reads stays known, as those are what a weights file holds. */
static void drop_symbols(const separation *s, const ir_map *inference)
{
    static const int64_t yes = 1;
    ir_symbol **at = &s->m->symbols;
    s->m->last_symbol = NULL;
    while (*at) {
        ir_symbol *y = *at;
        if (ir_map_get(s->used, y)) {
            if (y->segment == SEG_STATE && ir_map_get(inference, y))
                ir_attr_set_ints(s->m->mem, &y->attrs, "inference", &yes, 1);
            s->m->last_symbol = y;
            at = &y->next;
        } else {
            ir_map_set(s->m->symbol_named, y->name, NULL);
            *at = y->next;
        }
    }
}

/* ---- rows ---- */

static bool takes(const ir_graph *g, const char *name)
{
    for (int i = 0; i < g->ninputs; i++)
        if (g->inputs[i]->name && !strcmp(g->inputs[i]->name, name))
            return true;
    return false;
}

static bool gives(const ir_graph *g, const char *name)
{
    for (int i = 0; i < g->nresults; i++)
        if (!strcmp(g->result_names[i], name))
            return true;
    return false;
}

static ir_symbol *sum_of(const separation *s, const ir_row *metric, const char *which)
{
    const ir_attr *a = ir_attr_find(metric->attrs, which);
    return a && a->word ? ir_symbol_find(s->m, a->word) : NULL;
}

/* Both sums come along with a metric that stays. One that only evaluate measures has nothing to do in a stage. */
static bool keeps_metric(const separation *s, const ir_row *metric)
{
    if (ir_attr_find(metric->attrs, "evaluated") || ir_attr_find(metric->attrs, "scores"))
        return false;
    ir_symbol *sum = sum_of(s, metric, "sum"), *count = sum_of(s, metric, "count");
    if (!ir_map_get(s->assigned, sum) && !ir_map_get(s->assigned, count))
        return false;
    ir_map_set(s->used, sum, sum);
    ir_map_set(s->used, count, count);
    return true;
}

static bool keeps_row(const separation *s, const ir_row *r, const ir_graph *forward, const ir_graph *backward)
{
    if (!strcmp(r->kind, "input"))
        return takes(forward, r->name) || takes(backward, r->name);
    if (!strcmp(r->kind, "metric"))
        return keeps_metric(s, r);
    if (!strcmp(r->kind, "stage"))
        return !strcmp(r->name, s->name);
    return strcmp(r->kind, "output") != 0;
}

static void add_row(const separation *s, const char *kind, const value *v, bool wanted)
{
    if (!v->crosses || !wanted)
        return;
    static const int64_t yes = 1;
    ir_row *r = ir_row_new(s->m, kind, v->name, s->m->functions->loc);
    ir_attr_set_ints(s->m->mem, &r->attrs, "boundary", &yes, 1);
}

static void replace_rows(const separation *s, const ir_graph *forward, const ir_graph *backward)
{
    ir_row *kept = NULL, **end = &kept;
    for (ir_row *r = s->m->rows; r; r = r->next)
        if (keeps_row(s, r, forward, backward)) {
            ir_row *copy = arena_make(s->m->mem, ir_row);
            *copy = *r;
            copy->next = NULL;
            *end = copy;
            end = &copy->next;
        }
    s->m->rows = kept;
    for (const value *v = s->values; v; v = v->next) {
        add_row(s, "input", v, takes(forward, v->name) || takes(backward, v->name));
        add_row(s, "output", v, gives(forward, v->name) || gives(backward, v->name));
    }
}

/* ---- the module ---- */

static void keep_functions(const separation *s, ir_graph *const *keep)
{
    ir_module *m = s->m;
    m->functions = keep[0];
    keep[0]->name = "forward";
    keep[0]->next = keep[1];
    keep[1]->name = "backward";
    keep[1]->next = keep[2];
    keep[2]->name = "update";
    keep[2]->next = NULL;
    m->name = arena_printf(m->mem, "%s_%s", m->name, s->name);
    ir_attr_remove(m->mem, &m->attrs, "stages");
    ir_attr_remove(m->mem, &m->attrs, "alone");
}

static bool separate(separation *s)
{
    const ir_graph *update = ir_function_find(s->m, "update");
    visit_each(s, add_values);
    visit_each(s, mark_crossing);
    ir_graph *keep[] = {function_of(s, s->alone, "forward"), function_of(s, s->alone, "backward"),
                        own_update(s, update)};
    if (s->orphan) {
        diag_error(s->d, s->orphan->loc, "%s: expected values that a stage's functions have, found another",
                   ir_ops[s->orphan->op].name);
        return false;
    }
    for (int i = 0; i < 3; i++)
        find_symbols(keep[i], s->used, s->assigned);
    if (!check_symbols(s, foreign_assigns(s, update)))
        return false;
    const ir_map *inference = mem_inference_symbols(s->m, s->mem);
    int64_t saved = 0;
    for (int i = 0; i < 2; i++)
        place_values(s, keep[i], &saved);
    for (int i = 0; i < 2; i++)
        open_boundaries(s, keep[i]);
    ir_attr_set_ints(s->m->mem, &s->m->attrs, "saved_bytes", &saved, 1);
    replace_rows(s, keep[0], keep[1]);
    drop_symbols(s, inference);
    keep_functions(s, keep);
    return true;
}

/* A stage's library takes a step apart, and the norm by which gradients are clipped is of all stages' gradients. */
static bool check_module(const separation *s)
{
    const ir_row *clip = ir_row_find(s->m, "clip", "global_norm");
    src_loc at = clip ? clip->loc : s->m->functions ? s->m->functions->loc : (src_loc){0};
    if (clip)
        diag_error(
            s->d, at,
            "gradient_clip: expected value or norm where each stage has a library of its own, found global_norm, "
            "which is of the gradients of all stages");
    for (int64_t i = 1; i <= s->stages && !clip; i++)
        if (!function_of(s, i, "forward") || !function_of(s, i, "backward") || !ir_function_find(s->m, "update")) {
            diag_error(s->d, at,
                       "separate: expected functions of stage %" PRId64 ", which pass split makes, found none", i);
            return false;
        }
    return !clip;
}

bool pass_separate(ir_module *m, diag *d)
{
    const ir_attr *alone = ir_attr_find(m->attrs, "alone");
    if (!alone)
        return true;
    separation s = {.m = m, .mem = arena_new(), .d = d};
    const ir_attr *stages = ir_attr_find(m->attrs, "stages");
    s.alone = alone->count == 1 ? (int64_t)alone->number[0] : 0;
    s.stages = stages && stages->count == 1 ? (int64_t)stages->number[0] : 0;
    s.name = stage_name(&s, s.alone);
    s.end = &s.values;
    s.by_slot = ir_map_new(s.mem, IR_MAP_TEXTS);
    s.by_name = ir_map_new(s.mem, IR_MAP_TEXTS);
    s.used = ir_map_new(s.mem, IR_MAP_POINTERS);
    s.assigned = ir_map_new(s.mem, IR_MAP_POINTERS);
    bool ok = s.alone >= 1 && s.alone <= s.stages;
    if (!ok)
        diag_error(d, (src_loc){0}, "module attribute 'alone': expected a stage from 1 to %" PRId64 ", found another",
                   s.stages);
    ok = ok && check_module(&s) && separate(&s);
    arena_free(s.mem);
    return ok;
}
