/* backend/check.c - check what the backend takes for granted of a planned module. The passes keep these rules, but a
 * dump that was edited by hand may not.
 *
 *  1. Functions have different names in C, and none has the name of a function that the library itself makes.
 *  2. Outside kernels there are only values that exist without being computed, such as parameters and constants.
 *  3. An elementwise kernel has no reduction, window or contraction inside.
 *  4. All members of a chain, kernels that run depth-first over slices of the batch, have the same length of slice.
 * Where values lie in memory was checked before (passes/check_memory.c). */
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
        return true;
    default:
        diag_error(c->d, n->loc, "%s: expected every operator in a kernel after plan_memory, found one outside",
                   ir_ops[n->op].name);
        return false;
    }
    return true;
}

bool be_check(const ir_module *m, diag *d)
{
    check c = {.module = m, .mem = arena_new(), .d = d};
    be_interface_read(m, c.mem, &c.interface);
    bool ok = check_names(&c);
    for (const ir_graph *f = m->functions; f; f = f->next)
        for (const ir_node *n = f->first, *kernel = NULL; n && ok; n = n->next) {
            ok = check_node(&c, n) && (n->op != IR_FUSED || check_chain(&c, n, kernel));
            kernel = n->op == IR_FUSED ? n : kernel;
        }
    arena_free(c.mem);
    return ok;
}
