/* ir/text/function.c - functions from their text: values by name, nodes, regions, results. */
#include "ir/text/parse.h"
#include <ctype.h>
#include <string.h>

typedef struct scope scope;
struct scope { /* values by name, of one graph */
    const char **name;
    ir_node **value;
    size_t count;
};

enum { MOST_DEPTH = 16 }; /* of regions */

/* ---- values ---- */

static ir_node *find_value(const scope *s, const char *value_name)
{
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->name[i], value_name))
            return s->value[i];
    return NULL;
}

static const char *name_of(const scope *s, const ir_node *n)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->value[i] == n)
            return s->name[i];
    return "";
}

static void define(parser *p, scope *s, const char *value_name, ir_node *n, src_loc at)
{
    if (!p->failed && find_value(s, value_name))
        FAIL(p, at, "value '%%%s' is defined twice", value_name);
    s->name = arena_grown(p->m->mem, s->name, s->count, sizeof *s->name);
    s->value = arena_grown(p->m->mem, s->value, s->count, sizeof *s->value);
    s->name[s->count] = value_name;
    s->value[s->count++] = n;
    if (!isdigit((unsigned char)value_name[0]))
        n->name = value_name;
}

static ir_node *parse_value(parser *p, scope *s)
{
    scan_space(p);
    src_loc at = scan_here(p);
    scan_expect(p, "%");
    const char *value_name = scan_name(p, "a value's name");
    ir_node *n = p->failed ? NULL : find_value(s, value_name);
    if (!n)
        FAIL(p, at, "expected a value that is defined above, found '%%%s'", value_name);
    return n;
}

/* ---- nodes ---- */

static void parse_body(parser *p, ir_graph *g, scope *s);

static void parse_region(parser *p, ir_node *n, const scope *outer)
{
    ir_graph *region = ir_region_new(p->m);
    scope inner = {0};
    if (p->depth == MOST_DEPTH)
        FAIL(p, n->loc, "expected regions at most %d deep, found a deeper one", MOST_DEPTH);
    p->depth++;
    for (int i = 0; i < n->nin && !p->failed; i++) {
        ir_node *input = ir_input_new(region, NULL, n->in[i]->type);
        const char *value_name = name_of(outer, n->in[i]);
        if (!find_value(&inner, value_name)) /* the verifier says what is wrong with operands that stand twice */
            define(p, &inner, value_name, input, n->loc);
    }
    scan_expect(p, "{");
    parse_body(p, region, &inner);
    scan_expect(p, "}");
    p->depth--;
    ir_set_region(n, region);
}

static int parse_operands(parser *p, scope *s, bool region, ir_node **in)
{
    int count = 0;
    if (region)
        scan_expect(p, "(");
    while (!p->failed && scan_peek(p, "%")) {
        if (count == 256) {
            FAIL(p, scan_here(p), "expected at most 256 operands, found more");
            break;
        }
        in[count++] = parse_value(p, s);
        if (!scan_accept(p, ","))
            break;
    }
    if (region)
        scan_expect(p, ")");
    return count;
}

static ir_symbol *parse_symbol_use(parser *p)
{
    src_loc at = scan_here(p);
    scan_expect(p, "@");
    const char *symbol = scan_name(p, "a symbol's name");
    ir_symbol *y = p->failed ? NULL : ir_symbol_find(p->m, symbol);
    if (!y && !p->failed)
        FAIL(p, at, "expected a symbol that is declared above, found '@%s'", symbol);
    return y;
}

static void parse_node(parser *p, ir_graph *g, scope *s)
{
    src_loc at = scan_here(p);
    const char *value_name = NULL, *label = NULL;
    if (scan_accept(p, "%")) {
        value_name = scan_name(p, "a value's name");
        scan_expect(p, "=");
    }
    scan_space(p);
    src_loc op_at = scan_here(p);
    const char *op_name = scan_name(p, "an operator");
    ir_op op = IR_NOPS;
    if (!p->failed && !ir_op_parse(op_name, &op)) {
        const char *known[IR_NOPS];
        for (int i = 0; i < IR_NOPS; i++)
            known[i] = ir_ops[i].name;
        const char *near = diag_nearest(op_name, known, IR_NOPS);
        FAIL(p, op_at, "expected an operator, found '%s'%s%s%s", op_name, near ? "; did you mean '" : "",
             near ? near : "", near ? "'?" : "");
    }
    if (p->failed)
        return;
    bool region = ir_ops[op].traits & OP_REGION;
    ir_symbol *symbol = scan_peek(p, "@") ? parse_symbol_use(p) : NULL;
    if (region || scan_peek(p, "\""))
        label = scan_string(p);
    ir_node *in[256];
    int nin = parse_operands(p, s, region, in);
    if (p->failed)
        return;
    ir_node *n = ir_node_new(g, op, in, nin, ir_type_none());
    n->symbol = symbol;
    n->loc = at;
    if (parse_at_attrs(p))
        parse_attrs(p, &n->attrs);
    if (region)
        parse_region(p, n, s);
    if (value_name) {
        scan_expect(p, ":");
        n->type = parse_type(p);
    }
    n->place = parse_place(p);
    n->loc = parse_loc(p, at);
    n->label = label && *label ? label : NULL;
    if (value_name && !p->failed)
        define(p, s, value_name, n, at);
}

static void parse_body(parser *p, ir_graph *g, scope *s)
{
    while (!p->failed && !scan_peek(p, "}") && !scan_word(p, "return"))
        parse_node(p, g, s);
    int count = 0;
    while (!p->failed && scan_peek(p, "%")) {
        const char *result = g->result_names && count < g->nresults ? g->result_names[count] : NULL;
        ir_node *value = parse_value(p, s);
        if (result)
            g->results[count] = value;
        else
            ir_result_add(g, NULL, value);
        count++;
        if (!scan_accept(p, ","))
            break;
    }
}

/* ---- functions ---- */

static void parse_results(parser *p, ir_graph *g, ir_type *types)
{
    scan_expect(p, "(");
    while (!p->failed && !scan_peek(p, ")")) {
        if (g->nresults == 64) {
            FAIL(p, scan_here(p), "expected at most 64 results, found more");
            break;
        }
        ir_result_add(g, scan_name(p, "a result's name"), NULL);
        scan_expect(p, ":");
        types[g->nresults - 1] = parse_type(p);
        if (!scan_accept(p, ","))
            break;
    }
    scan_expect(p, ")");
}

static void check_results(parser *p, const ir_graph *g, int declared, const ir_type *types)
{
    if (g->nresults != declared) {
        FAIL(p, g->loc, "function @%s declares %d results and returns %d", g->name, declared, g->nresults);
        return;
    }
    for (int i = 0; i < declared; i++) {
        if (!g->results[i])
            FAIL(p, g->loc, "function @%s does not return its result '%s'", g->name, g->result_names[i]);
        else if (!ir_type_equal(&types[i], &g->results[i]->type))
            FAIL(p, g->loc, "function @%s declares another type for '%s' than it returns", g->name, g->result_names[i]);
        if (p->failed)
            return;
    }
}

void parse_function(parser *p, src_loc at)
{
    scope s = {0};
    ir_type types[64];
    scan_expect(p, "@");
    const char *function = scan_name(p, "a function's name");
    if (!p->failed && ir_function_find(p->m, function))
        FAIL(p, at, "function @%s is defined twice", function);
    if (p->failed)
        return;
    ir_graph *g = ir_function_new(p->m, function, at);
    scan_expect(p, "(");
    while (!p->failed && scan_peek(p, "%")) {
        src_loc in_at = scan_here(p);
        scan_expect(p, "%");
        const char *value_name = scan_name(p, "an input's name");
        scan_expect(p, ":");
        ir_node *n = ir_input_new(g, value_name, parse_type(p));
        n->place = parse_place(p);
        n->loc = parse_loc(p, in_at);
        define(p, &s, value_name, n, in_at);
        if (!scan_accept(p, ","))
            break;
    }
    scan_expect(p, ")");
    if (scan_accept(p, "->"))
        parse_results(p, g, types);
    int declared = g->nresults;
    if (parse_at_attrs(p))
        parse_attrs(p, &g->attrs);
    g->loc = parse_loc(p, at);
    scan_expect(p, "{");
    parse_body(p, g, &s);
    scan_expect(p, "}");
    if (!p->failed)
        check_results(p, g, declared, types);
}
