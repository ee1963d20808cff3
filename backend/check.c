/* backend/check.c - what the backend takes for granted of a planned module. Passes keep it; a dump that was edited by
 * hand may not.
 *
 *  1. Functions have different names in C, and none that the library makes itself.
 *  2. Outside kernels there is nothing that runs.
 *  3. Symbols lie in their own segment; what kernels write lies somewhere; all of it inside its segment.
 *  4. Only kernels around reductions, windows and contractions have one inside.
 *  5. All members of a chain have one slice. */
#include "backend/library/interface.h"
#include "backend/lower/lower.h"
#include "ir/graph/build.h"
#include <inttypes.h>
#include <string.h>

typedef struct {
    const ir_module *module;
    be_interface interface;
    arena *mem;
    diag *d;
} check;

static bool check_names(const check *c)
{
    static const char *const own[] = {"query", "import_weights", "export_weights"};
    ir_map *taken = ir_map_new(c->mem, IR_MAP_TEXTS);
    for (const ir_graph *f = c->module->functions; f; f = f->next) {
        const char *symbol = be_function_symbol(&c->interface, c->mem, f->name);
        const ir_graph *other = ir_map_get(taken, symbol);
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            if (!strcmp(symbol, be_function_symbol(&c->interface, c->mem, own[i]))) {
                diag_error(c->d, f->loc, "function @%s: expected another name, found that of the library's own %s",
                           f->name, symbol);
                return false;
            }
        if (other) {
            diag_error(c->d, f->loc, "function @%s: expected a name of its own in C, found %s, which is @%s's", f->name,
                       symbol, other->name);
            return false;
        }
        ir_map_set(taken, symbol, (ir_graph *)f);
    }
    return true;
}

/* Of a segment that is one piece of memory; below 0 for the others. */
static int64_t segment_bytes(const check *c, ir_segment s)
{
    switch (s) {
    case SEG_PARAM:
        return c->interface.params_bytes;
    case SEG_STATE:
        return c->interface.state_bytes;
    case SEG_GRADIENT:
        return c->interface.gradient_bytes;
    case SEG_SAVED:
        return c->interface.saved_bytes;
    case SEG_WORKSPACE:
        return c->interface.workspace_bytes;
    case SEG_WORKER:
        return c->interface.workspace_worker_bytes;
    default:
        return -1;
    }
}

/* In doubles, which do not overflow; a packed or bordered value takes more than this, never less. */
static double plain_bytes(const check *c, const ir_type *t, ir_segment s)
{
    double bytes = (double)ir_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++)
        bytes *= (double)t->dim[i].n * (t->dim[i].batch && s != SEG_WORKER ? (double)c->interface.max_batch : 1);
    return bytes;
}

static bool check_inside(const check *c, const ir_type *t, ir_place p, src_loc at, const char *what, const char *name)
{
    int64_t room = segment_bytes(c, p.segment);
    double end = (double)p.offset + plain_bytes(c, t, p.segment);
    if (room < 0 || end <= (double)room)
        return true;
    diag_error(c->d, at, "%s '%s': expected it to end within the %" PRId64 " bytes of %s, found its end at %.0f", what,
               name, room, ir_segment_name(p.segment), end);
    return false;
}

static bool check_symbols(const check *c)
{
    for (const ir_symbol *y = c->module->symbols; y; y = y->next) {
        if (y->place.segment != y->segment) {
            diag_error(c->d, y->loc, "@%s: expected a place in %s, found %s", y->name, ir_segment_name(y->segment),
                       y->place.segment ? ir_segment_name(y->place.segment) : "none");
            return false;
        }
        if (!check_inside(c, &y->type, y->place, y->loc, "symbol", y->name))
            return false;
    }
    return true;
}

static bool has_core(const ir_node *fused)
{
    for (const ir_node *n = fused->region->first; n; n = n->next)
        if (lower_is_core(n))
            return true;
    return false;
}

/* 'before': the kernel above, or NULL. */
static bool check_chain(const check *c, const ir_node *n, const ir_node *before)
{
    int64_t slice, wanted, number = ir_chain(n, &slice);
    if (!number || !before || ir_chain(before, &wanted) != number || slice == wanted)
        return true;
    diag_error(c->d, n->loc,
               "fused: expected slices of %" PRId64 " examples, as in the kernel above of chain %" PRId64
               ", found %" PRId64,
               wanted, number, slice);
    return false;
}

static bool check_node(const check *c, const ir_node *n)
{
    bool written = n->op == IR_FUSED || n->op == IR_RESULT || n->op == IR_SCRATCH;
    const char *name = n->label ? n->label : n->name ? n->name : "";
    switch (n->op) {
    case IR_FUSED:
        if (!ir_word_is(n, "kind", "elementwise") || !has_core(n))
            break;
        diag_error(c->d, n->loc, "kernel '%s': expected no reduction, window or contraction in an elementwise kernel",
                   name);
        return false;
    case IR_PARAM:
    case IR_STATE:
    case IR_CALL_VALUE:
    case IR_SCRATCH:
    case IR_RESULT:
    case IR_RESHAPE:
    case IR_CONSTANT:
        break;
    default:
        diag_error(c->d, n->loc, "%s: expected every operator in a kernel after plan_memory, found one outside",
                   ir_ops[n->op].name);
        return false;
    }
    if (!written || n->type.dtype == IR_NONE)
        return true;
    if (n->place.segment == SEG_NONE) {
        diag_error(c->d, n->loc, "%s '%s': expected a place after plan_memory, found none", ir_ops[n->op].name, name);
        return false;
    }
    return check_inside(c, &n->type, n->place, n->loc, ir_ops[n->op].name, name);
}

bool be_check(const ir_module *m, diag *d)
{
    check c = {.module = m, .mem = arena_new(), .d = d};
    be_interface_read(m, c.mem, &c.interface);
    bool ok = check_names(&c) && check_symbols(&c);
    for (const ir_graph *f = m->functions; f; f = f->next)
        for (const ir_node *n = f->first, *kernel = NULL; n && ok; n = n->next) {
            ok = check_node(&c, n) && (n->op != IR_FUSED || check_chain(&c, n, kernel));
            kernel = n->op == IR_FUSED ? n : kernel;
        }
    arena_free(c.mem);
    return ok;
}
