/* ir/graph/verify.c - the rules of the IR, all of them, checked after parsing and after every pass.
 *
 *  1. Symbols, functions and the results of a function have different names.
 *  2. A node has its operator's operand count, only attributes the operator knows (`stage` and `halo` besides) and all
 *     that it needs; a symbol of the right kind where the operator names one; a region where it holds one. No `halo`
 *     lies along the batch.
 *  3. A value is defined once, above its uses, in the same graph; no two nodes are the same result of a fused one.
 *  4. A region's inputs have its operands' types, no operand stands twice, and the operator's type is that of the first
 *     result (none without results). Composites and fused nodes do not read symbols inside; only fused ones assign.
 *  5. A node's type is the one its operator infers; at most one dimension has the batch.
 *  6. An assign's value has the symbol's type; a function assigns a symbol once, and nothing reads the symbol's value
 *     on entry (or a reshape of it) after that: an assign may write in place.
 *  7. Types of symbols and inputs are within bounds, and only what is saved or an input has the batch. Panels of a
 *     symbol suit its type, and no reshape names its memory. Rows are different, and what the descriptor takes from
 *     them and from symbols is of a known kind (rows.c). */
#include "ir/graph/verify.h"
#include "ir/graph/layout.h"
#include "ir/ops/rules.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool knows_attribute(const char *spec, const char *name, bool *optional)
{
    size_t length = strlen(name);
    for (const char *s = spec; *s;) {
        size_t n = strcspn(s, " ?");
        if (n == length && !strncmp(s, name, n)) {
            *optional = s[n] == '?';
            return true;
        }
        s += n;
        s += strspn(s, " ?");
    }
    return false;
}

static bool verify_attrs(const ir_node *n, diag *d)
{
    const ir_op_info *op = &ir_ops[n->op];
    bool optional;
    for (const ir_attr *a = n->attrs; a; a = a->next)
        if (strcmp(a->name, "stage") && strcmp(a->name, "halo") &&
            !knows_attribute(op->attributes, a->name, &optional)) {
            diag_error(d, n->loc, "%s: expected the attributes '%s', found '%s'", op->name, op->attributes, a->name);
            return false;
        }
    char name[32];
    for (const char *s = op->attributes; *s;) {
        size_t length = strcspn(s, " ?");
        snprintf(name, sizeof name, "%.*s", (int)length, s);
        if (s[length] != '?' && !ir_attr_find(n->attrs, name)) {
            diag_error(d, n->loc, "%s: expected an attribute '%s', found none", op->name, name);
            return false;
        }
        s += length;
        s += strspn(s, " ?");
    }
    return true;
}

/* Numbers that no infer rule looks at; passes and the backend take them as whole. */
static bool verify_numbers(const ir_node *n, diag *d)
{
    static const char *const names[] = {"stage", "halo", "plan", "tasks"};
    int64_t number[64];
    for (int i = 0; i < 4; i++) {
        const ir_attr *a = ir_attr_find(n->attrs, names[i]);
        int count = i == 0 ? 1 : i == 1 ? 2 * n->type.rank : a && a->count < 64 ? a->count : 64;
        if (!a)
            continue;
        if (!rule_ints(n, names[i], count, number, d))
            return false;
        for (int k = 0; i < 2 && k < count; k++)
            if (number[k] < 0) {
                diag_error(d, n->loc, "%s: expected no number below 0 in '%s', found %lld", ir_ops[n->op].name,
                           names[i], (long long)number[k]);
                return false;
            }
    }
    return true;
}

/* A border lies around each example: the batch has none, as there is no memory between its examples' ends. */
static bool verify_halo(const ir_node *n, diag *d)
{
    int batch = ir_batch_dim(&n->type);
    const ir_attr *halo = ir_attr_find(n->attrs, "halo");
    if (!halo || batch < 0 || (!halo->number[2 * batch] && !halo->number[2 * batch + 1]))
        return true;
    return rule_error(n, d, "expected no 'halo' along the batch, found %.0f and %.0f", halo->number[2 * batch],
                      halo->number[2 * batch + 1]);
}

/* chain = [its number, examples a slice], which are a leaf or an even part of one. */
static bool verify_chain(const ir_node *n, diag *d)
{
    int64_t chain[2];
    if (!ir_attr_find(n->attrs, "chain"))
        return true;
    if (!rule_ints(n, "chain", 2, chain, d))
        return false;
    if (chain[0] < 1 || chain[1] < 1 || chain[1] > IR_LEAF || IR_LEAF % chain[1])
        return rule_error(n, d,
                          "'chain' must be a number above 0 and a slice of 1, 2, 4 or 8 examples, found %lld and %lld",
                          (long long)chain[0], (long long)chain[1]);
    return true;
}

static bool verify_symbol(const ir_node *n, diag *d)
{
    const ir_op_info *op = &ir_ops[n->op];
    if (!(op->traits & OP_SYMBOL)) {
        if (n->symbol)
            diag_error(d, n->loc, "%s: expected no symbol, found @%s", op->name, n->symbol->name);
        return !n->symbol;
    }
    if (!n->symbol) {
        diag_error(d, n->loc, "%s: expected a symbol, found none", op->name);
        return false;
    }
    bool wants_param = n->op == IR_PARAM || n->op == IR_PARAM_GRADIENT;
    if (n->op != IR_ASSIGN && wants_param != (n->symbol->segment == SEG_PARAM)) {
        diag_error(d, n->loc, "%s: expected a %s, found the %s @%s", op->name, wants_param ? "param" : "state",
                   ir_segment_name(n->symbol->segment), n->symbol->name);
        return false;
    }
    if (n->op == IR_PARAM_GRADIENT && !ir_is_trainable(n->symbol)) {
        diag_error(d, n->loc, "param_gradient: expected a trainable param, found @%s, which is not", n->symbol->name);
        return false;
    }
    bool has_value = n->op == IR_ASSIGN || n->op == IR_PARAM_GRADIENT;
    if (has_value && !ir_type_equal(&n->in[0]->type, &n->symbol->type)) {
        diag_error(d, n->loc, "%s: the value's type is not that of @%s", op->name, n->symbol->name);
        return false;
    }
    return true;
}

static bool verify_region(const ir_node *n, diag *d)
{
    const ir_op_info *op = &ir_ops[n->op];
    if (!(op->traits & OP_REGION) != !n->region) {
        diag_error(d, n->loc, "%s: expected %s region, found %s", op->name, n->region ? "no" : "a",
                   n->region ? "one" : "none");
        return false;
    }
    if (!n->region)
        return true;
    if (n->region->ninputs != n->nin)
        ir_bug("%s has %d operands and a region of %d inputs", op->name, n->nin, n->region->ninputs);
    for (int i = 0; i < n->nin; i++) {
        if (!ir_type_equal(&n->region->inputs[i]->type, &n->in[i]->type))
            ir_bug("%s: operand %d and its region input have different types", op->name, i);
        for (int k = 0; k < i; k++)
            if (n->in[k] == n->in[i]) {
                diag_error(d, n->loc, "%s: expected different operands, found operand %d again as operand %d", op->name,
                           k, i);
                return false;
            }
    }
    return true;
}

static bool verify_type(ir_node *n, diag *d)
{
    ir_type stated = n->type;
    if (!ir_infer(n, d))
        return false;
    if (!ir_type_equal(&stated, &n->type)) {
        text is = {0}, says = {0};
        ir_type_print(&n->type, &is);
        ir_type_print(&stated, &says);
        diag_error(d, n->loc, "%s: expected the type %s, found %s", ir_ops[n->op].name, text_get(&is), text_get(&says));
        text_free(&is);
        text_free(&says);
        n->type = stated;
        return false;
    }
    int batched = 0;
    for (int i = 0; i < n->type.rank; i++)
        batched += n->type.dim[i].batch;
    if (batched > 1)
        diag_error(d, n->loc, "%s: expected at most one dimension with the batch, found %d", ir_ops[n->op].name,
                   batched);
    return batched <= 1;
}

/* Operands stand above: a node's id is its position, and an operand from elsewhere is not at its own position. 'at' has
 * room for 'count' nodes. */
static bool verify_positions(const ir_graph *g, int32_t count, const ir_node **at, diag *d)
{
    for (int i = 0; i < g->ninputs; i++)
        at[g->inputs[i]->id] = g->inputs[i];
    for (const ir_node *n = g->first; n; n = n->next) {
        for (int i = 0; i < n->nin; i++) {
            const ir_node *x = n->in[i];
            if (!x || x->id < 0 || x->id >= n->id || at[x->id] != x || x->type.dtype == IR_NONE) {
                diag_error(d, n->loc, "%s: operand %d is not a value defined above", ir_ops[n->op].name, i);
                return false;
            }
        }
        at[n->id] = n;
    }
    for (int i = 0; i < g->nresults; i++) {
        const ir_node *x = g->results[i];
        if (!x || x->id < 0 || x->id >= count || at[x->id] != x)
            ir_bug("result %d is not a value of its graph", i);
    }
    return true;
}

static bool verify_order(const ir_graph *g, diag *d)
{
    arena *tmp = arena_new();
    int32_t count = ir_number((ir_graph *)g);
    bool ok = verify_positions(g, count, arena_new_array(tmp, const ir_node *, (size_t)count + 1), d);
    arena_free(tmp);
    return ok;
}

/* Every result of a kernel has one node: two would be one value in two places. */
static bool verify_result(const ir_node *n, diag *d)
{
    if (n->op != IR_RESULT || n->in[0]->op != IR_FUSED || !ir_attr_find(n->attrs, "index"))
        return true;
    int64_t index = ir_int(n, "index", 0);
    for (const ir_node *other = n->prev; other != n->in[0]; other = other->prev)
        if (other->op == IR_RESULT && other->in[0] == n->in[0] && ir_int(other, "index", 0) == index)
            return rule_error(n, d, "expected one node for each result, found another above for 'index' %" PRId64,
                              index);
    return true;
}

/* A reshape is another name for memory: what lies in panels has none. */
static bool verify_memory(const ir_node *n, diag *d)
{
    int32_t dim;
    int64_t width;
    const ir_symbol *y = n->op == IR_RESHAPE ? ir_memory_symbol(n->in[0]) : NULL;
    if (!y || !ir_panels(y, &dim, &width))
        return true;
    diag_error(d, n->loc, "reshape: expected a value that is not in panels, found that of @%s", y->name);
    return false;
}

static bool verify_node(ir_node *n, diag *d)
{
    const ir_op_info *op = &ir_ops[n->op];
    if (op->inputs >= 0 && n->nin != op->inputs) {
        diag_error(d, n->loc, "%s: expected %d operands, found %d", op->name, op->inputs, n->nin);
        return false;
    }
    if (n->op == IR_INPUT) {
        diag_error(d, n->loc, "input: expected in a function's head, found among its nodes");
        return false;
    }
    const ir_node *owner = n->graph->owner;
    if (owner && (op->traits & OP_SYMBOL) && !(n->op == IR_ASSIGN && owner->op == IR_FUSED)) {
        diag_error(d, n->loc, "%s: expected no symbol inside a %s, found @%s", op->name, ir_ops[owner->op].name,
                   n->symbol ? n->symbol->name : "");
        return false;
    }
    return verify_attrs(n, d) && verify_numbers(n, d) && verify_halo(n, d) && verify_chain(n, d) &&
           verify_symbol(n, d) && verify_region(n, d) && verify_memory(n, d);
}

static bool verify_graph(ir_graph *g, diag *d)
{
    if (!verify_order(g, d))
        return false;
    for (ir_node *n = g->first; n; n = n->next) {
        if (!verify_node(n, d) || (n->region && !verify_graph(n->region, d)) || !verify_type(n, d) ||
            !verify_result(n, d))
            return false;
    }
    return true;
}

/* ---- rule 6 ---- */

/* The function's node in whose course the symbol is assigned, by symbol. */
static bool note_assign(ir_map *assigned, const ir_node *assign, ir_node *top, diag *d)
{
    if (ir_map_get(assigned, assign->symbol)) {
        diag_error(d, assign->loc, "assign: @%s is assigned twice", assign->symbol->name);
        return false;
    }
    ir_map_set(assigned, assign->symbol, top);
    return true;
}

static bool verify_reads(const ir_map *assigned, const ir_node *n, diag *d)
{
    for (int i = 0; i < n->nin; i++) {
        const ir_symbol *y = ir_memory_symbol(n->in[i]);
        if (y && ir_map_get(assigned, y)) {
            diag_error(d, n->loc, "%s: reads the value of @%s on entry after it was assigned", ir_ops[n->op].name,
                       y->name);
            return false;
        }
    }
    return true;
}

static bool verify_assigns(const ir_graph *g, diag *d)
{
    arena *tmp = arena_new();
    ir_map *assigned = ir_map_new(tmp, IR_MAP_POINTERS);
    bool ok = true;
    for (ir_node *n = g->first; n && ok; n = n->next) {
        ok = verify_reads(assigned, n, d);
        for (const ir_node *x = n; x && ok; x = ir_inside(n, x))
            ok = x->op != IR_ASSIGN || note_assign(assigned, x, n, d);
    }
    for (int i = 0; i < g->nresults && ok; i++) {
        const ir_symbol *y = ir_memory_symbol(g->results[i]);
        const ir_node *top = y ? ir_map_get(assigned, y) : NULL;
        ok = !top;
        if (top)
            diag_error(d, top->loc, "assign: the function returns the value of @%s on entry", y->name);
    }
    arena_free(tmp);
    return ok;
}

static bool verify_heads(const ir_module *m, diag *d)
{
    for (const ir_symbol *y = m->symbols; y; y = y->next)
        if (ir_symbol_find(m, y->name) != y)
            ir_bug("two symbols @%s", y->name);
    for (const ir_graph *g = m->functions; g; g = g->next) {
        for (int i = 0; i < g->ninputs; i++)
            if (!verify_type_of("input", g->inputs[i]->name ? g->inputs[i]->name : "", &g->inputs[i]->type,
                                g->inputs[i]->loc, d))
                return false;
        for (int i = 0; i < g->nresults; i++)
            for (int k = 0; k < i; k++)
                if (!strcmp(g->result_names[i], g->result_names[k])) {
                    diag_error(d, g->loc, "function @%s has two results '%s'", g->name, g->result_names[i]);
                    return false;
                }
    }
    return true;
}

bool ir_verify(const ir_module *m, diag *d)
{
    if (!verify_heads(m, d) || !verify_symbols(m, d) || !verify_rows(m, d))
        return false;
    for (ir_graph *g = m->functions; g; g = g->next)
        if (!verify_graph(g, d) || !verify_assigns(g, d))
            return false;
    return true;
}
