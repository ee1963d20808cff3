/* ir/text/parse.c - a module from its text. print.c mirrors this file function by function; the grammar stands there.
 *
 * Recursive descent over bytes. After the first error nothing more is read: the rest would be guesses. '#' starts a
 * comment that ends with its line. */
#include "ir/ir.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct scope scope;
struct scope { /* values by name, of one graph */
    const char **name;
    ir_node **value;
    size_t count;
};

enum { MOST_DEPTH = 16 }; /* of regions */

typedef struct {
    const char *at, *line_start;
    int32_t line, depth;
    const char *file;
    ir_module *m;
    diag *d;
    bool failed;
} parser;

/* ---- bytes ---- */

static src_loc here(const parser *p)
{
    return (src_loc){p->file, p->line, (int32_t)(p->at - p->line_start) + 1};
}

#define FAIL(p, at, ...) ((p)->failed ? (void)0 : diag_error((p)->d, (at), __VA_ARGS__), (p)->failed = true)

static void skip_space(parser *p)
{
    for (;; p->at++) {
        if (*p->at == '#')
            while (*p->at && *p->at != '\n')
                p->at++;
        if (*p->at == '\n') {
            p->line++;
            p->line_start = p->at + 1;
        } else if (*p->at != ' ' && *p->at != '\t' && *p->at != '\r') {
            return;
        }
    }
}

static bool peek(parser *p, const char *token)
{
    skip_space(p);
    return !strncmp(p->at, token, strlen(token));
}

static bool accept(parser *p, const char *token)
{
    if (p->failed || !peek(p, token))
        return false;
    p->at += strlen(token);
    return true;
}

/* What stands at the cursor, for "found ...". */
static const char *found(parser *p)
{
    skip_space(p);
    size_t n = 0;
    while (p->at[n] && !isspace((unsigned char)p->at[n]) && n < 20 && (n == 0 || !strchr(",(){}[]", p->at[n])))
        n++;
    return n ? arena_printf(p->m->mem, "'%.*s'", (int)n, p->at) : "the end";
}

static void expect(parser *p, const char *token)
{
    if (!accept(p, token) && !p->failed)
        FAIL(p, here(p), "expected '%s', found %s", token, found(p));
}

static bool is_name_byte(int c)
{
    return isalnum(c) || (c && strchr("_.-/+", c));
}

static bool accept_word(parser *p, const char *word)
{
    return peek(p, word) && !is_name_byte((unsigned char)p->at[strlen(word)]) && accept(p, word);
}

/* A run of name bytes; "" (and an error that says 'what' was expected) if there is none. */
static const char *name(parser *p, const char *what)
{
    skip_space(p);
    size_t n = 0;
    while (is_name_byte((unsigned char)p->at[n]))
        n++;
    if (p->failed || !n) {
        FAIL(p, here(p), "expected %s, found %s", what, found(p));
        return "";
    }
    const char *s = arena_strndup(p->m->mem, p->at, n);
    p->at += n;
    return s;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *string(parser *p)
{
    expect(p, "\"");
    if (p->failed)
        return "";
    size_t length = strcspn(p->at, "\n");
    char *s = arena_array(p->m->mem, length + 1, 1);
    size_t n = 0;
    while (*p->at && *p->at != '"' && *p->at != '\n') {
        char c = *p->at++;
        if (c == '\\' && *p->at == 'x' && hex_digit(p->at[1]) >= 0 && hex_digit(p->at[2]) >= 0) {
            c = (char)(hex_digit(p->at[1]) * 16 + hex_digit(p->at[2]));
            p->at += 3;
        } else if (c == '\\' && *p->at && *p->at != '\n') {
            c = *p->at++;
        }
        s[n++] = c;
    }
    expect(p, "\"");
    return s;
}

static double number(parser *p)
{
    skip_space(p);
    char *end;
    double v = strtod(p->at, &end);
    if (p->failed || end == p->at) {
        FAIL(p, here(p), "expected a number, found %s", found(p));
        return 0;
    }
    p->at = end;
    return v;
}

static int64_t whole(parser *p)
{
    skip_space(p);
    src_loc at = here(p);
    double v = number(p);
    if (!p->failed && !(v >= -9e15 && v <= 9e15 && v == (double)(int64_t)v)) {
        FAIL(p, at, "expected a whole number, found %g", v);
        return 0;
    }
    return p->failed ? 0 : (int64_t)v;
}

static int64_t whole_within(parser *p, int64_t least, int64_t most)
{
    skip_space(p);
    src_loc at = here(p);
    int64_t v = whole(p);
    if (!p->failed && v >= least && v <= most)
        return v;
    FAIL(p, at, "expected a whole number from %lld to %lld, found %lld", (long long)least, (long long)most,
         (long long)v);
    return least;
}

/* ---- attributes, types, places, locations ---- */

static void parse_number_list(parser *p, ir_attr **list, const char *key)
{
    double *v = NULL;
    int count = 0, capacity = 0;
    while (!p->failed && !peek(p, "]")) {
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 8;
            v = realloc(v, (size_t)capacity * sizeof *v);
            if (!v)
                ir_bug("out of memory");
        }
        v[count++] = number(p);
        if (!accept(p, ","))
            break;
    }
    expect(p, "]");
    if (!p->failed)
        ir_attr_set_numbers(p->m->mem, list, key, v, count);
    free(v);
}

static void parse_attrs(parser *p, ir_attr **list)
{
    expect(p, "{");
    while (!p->failed && !peek(p, "}")) {
        src_loc at = here(p);
        const char *key = name(p, "an attribute's name");
        if (!p->failed && ir_attr_find(*list, key))
            FAIL(p, at, "attribute '%s' stands here twice", key);
        expect(p, "=");
        if (accept(p, "["))
            parse_number_list(p, list, key);
        else if (peek(p, "\""))
            ir_attr_set_word(p->m->mem, list, key, string(p));
        else
            ir_attr_set_word(p->m->mem, list, key, name(p, "a word or a list of numbers"));
        if (!accept(p, ","))
            break;
    }
    expect(p, "}");
}

static ir_dim parse_dim(parser *p)
{
    if (accept(p, "B"))
        return (ir_dim){1, true};
    int64_t n = whole_within(p, 0, (int64_t)1 << 40);
    bool batch = accept(p, "*");
    if (batch)
        expect(p, "B");
    return (ir_dim){n, batch};
}

static ir_type parse_type(parser *p)
{
    ir_type t = ir_type_none();
    skip_space(p);
    src_loc at = here(p);
    const char *dtype = name(p, "an element type");
    if (!p->failed && !ir_dtype_parse(dtype, &t.dtype))
        FAIL(p, at, "expected an element type (f32 f64 i32 i64 ui32 ui8 i1), found '%s'", dtype);
    expect(p, "[");
    while (!p->failed && !peek(p, "]")) {
        if (t.rank == IR_MAX_RANK) {
            FAIL(p, here(p), "expected at most %d dimensions, found more", IR_MAX_RANK);
            break;
        }
        t.dim[t.rank++] = parse_dim(p);
        if (!accept(p, ","))
            break;
    }
    expect(p, "]");
    return t;
}

static ir_place parse_place(parser *p)
{
    ir_place place = {SEG_NONE, 0};
    if (!peek(p, "@"))
        return place;
    src_loc at = here(p);
    expect(p, "@");
    skip_space(p);
    size_t n = strcspn(p->at, "+ \n");
    for (int s = SEG_NONE + 1; s < SEG_COUNT; s++)
        if (strlen(ir_segment_name(s)) == n && !strncmp(ir_segment_name(s), p->at, n))
            place.segment = (ir_segment)s;
    if (place.segment == SEG_NONE)
        FAIL(p, at, "expected a segment (param state gradient input output saved workspace worker), found %s",
             found(p));
    else
        p->at += n;
    expect(p, "+");
    place.offset = whole_within(p, 0, (int64_t)1 << 52);
    return place;
}

/* Where the node says it comes from, else where its line stands. */
static src_loc parse_loc(parser *p, src_loc line)
{
    if (!accept(p, "loc("))
        return line;
    src_loc at = {0};
    const char *file = string(p);
    at.file = *file ? file : NULL;
    expect(p, ":");
    at.line = (int32_t)whole_within(p, 0, INT32_MAX);
    expect(p, ":");
    at.col = (int32_t)whole_within(p, 0, INT32_MAX);
    expect(p, ")");
    return at;
}

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
    skip_space(p);
    src_loc at = here(p);
    expect(p, "%");
    const char *value_name = name(p, "a value's name");
    ir_node *n = p->failed ? NULL : find_value(s, value_name);
    if (!n)
        FAIL(p, at, "expected a value that is defined above, found '%%%s'", value_name);
    return n;
}

/* ---- nodes ---- */

static void parse_body(parser *p, ir_graph *g, scope *s);

/* A brace that opens attributes is followed by `name =`. */
static bool at_attrs(parser *p)
{
    if (!peek(p, "{"))
        return false;
    parser look = *p;
    look.at++;
    skip_space(&look);
    while (is_name_byte((unsigned char)*look.at))
        look.at++;
    return peek(&look, "=");
}

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
    expect(p, "{");
    parse_body(p, region, &inner);
    expect(p, "}");
    p->depth--;
    ir_set_region(n, region);
}

static int parse_operands(parser *p, scope *s, bool region, ir_node **in)
{
    int count = 0;
    if (region)
        expect(p, "(");
    while (!p->failed && peek(p, "%")) {
        if (count == 256) {
            FAIL(p, here(p), "expected at most 256 operands, found more");
            break;
        }
        in[count++] = parse_value(p, s);
        if (!accept(p, ","))
            break;
    }
    if (region)
        expect(p, ")");
    return count;
}

static ir_symbol *parse_symbol_use(parser *p)
{
    src_loc at = here(p);
    expect(p, "@");
    const char *symbol = name(p, "a symbol's name");
    ir_symbol *y = p->failed ? NULL : ir_symbol_find(p->m, symbol);
    if (!y && !p->failed)
        FAIL(p, at, "expected a symbol that is declared above, found '@%s'", symbol);
    return y;
}

static void parse_node(parser *p, ir_graph *g, scope *s)
{
    src_loc at = here(p);
    const char *value_name = NULL, *label = NULL;
    if (accept(p, "%")) {
        value_name = name(p, "a value's name");
        expect(p, "=");
    }
    skip_space(p);
    src_loc op_at = here(p);
    const char *op_name = name(p, "an operator");
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
    ir_symbol *symbol = peek(p, "@") ? parse_symbol_use(p) : NULL;
    if (region || peek(p, "\""))
        label = string(p);
    ir_node *in[256];
    int nin = parse_operands(p, s, region, in);
    if (p->failed)
        return;
    ir_node *n = ir_node_new(g, op, in, nin, ir_type_none());
    n->symbol = symbol;
    n->loc = at;
    if (at_attrs(p))
        parse_attrs(p, &n->attrs);
    if (region)
        parse_region(p, n, s);
    if (value_name) {
        expect(p, ":");
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
    while (!p->failed && !peek(p, "}") && !accept_word(p, "return"))
        parse_node(p, g, s);
    int count = 0;
    while (!p->failed && peek(p, "%")) {
        const char *result = g->result_names && count < g->nresults ? g->result_names[count] : NULL;
        ir_node *value = parse_value(p, s);
        if (result)
            g->results[count] = value;
        else
            ir_result_add(g, NULL, value);
        count++;
        if (!accept(p, ","))
            break;
    }
}

/* ---- the module ---- */

static void parse_results(parser *p, ir_graph *g, ir_type *types)
{
    expect(p, "(");
    while (!p->failed && !peek(p, ")")) {
        if (g->nresults == 64) {
            FAIL(p, here(p), "expected at most 64 results, found more");
            break;
        }
        ir_result_add(g, name(p, "a result's name"), NULL);
        expect(p, ":");
        types[g->nresults - 1] = parse_type(p);
        if (!accept(p, ","))
            break;
    }
    expect(p, ")");
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

static void parse_function(parser *p, src_loc at)
{
    scope s = {0};
    ir_type types[64];
    expect(p, "@");
    const char *function = name(p, "a function's name");
    if (!p->failed && ir_function_find(p->m, function))
        FAIL(p, at, "function @%s is defined twice", function);
    if (p->failed)
        return;
    ir_graph *g = ir_function_new(p->m, function, at);
    expect(p, "(");
    while (!p->failed && peek(p, "%")) {
        src_loc in_at = here(p);
        expect(p, "%");
        const char *value_name = name(p, "an input's name");
        expect(p, ":");
        ir_node *n = ir_input_new(g, value_name, parse_type(p));
        n->place = parse_place(p);
        n->loc = parse_loc(p, in_at);
        define(p, &s, value_name, n, in_at);
        if (!accept(p, ","))
            break;
    }
    expect(p, ")");
    if (accept(p, "->"))
        parse_results(p, g, types);
    int declared = g->nresults;
    if (at_attrs(p))
        parse_attrs(p, &g->attrs);
    g->loc = parse_loc(p, at);
    expect(p, "{");
    parse_body(p, g, &s);
    expect(p, "}");
    if (!p->failed)
        check_results(p, g, declared, types);
}

/* One of the numbers of an attribute; an error if it is not there, not whole or out of bounds. */
static int64_t number_of(parser *p, const ir_attr *list, const char *key, int index, int count, double least,
                         double most, src_loc at)
{
    const ir_attr *a = ir_attr_find(list, key);
    double v = a && !a->word && a->count == count ? a->number[index] : least - 1;
    if (v >= least && v <= most && v == (double)(int64_t)v)
        return (int64_t)v;
    FAIL(p, at, "expected for '%s' %d whole number%s from %.0f to %.0f, found others", key, count,
         count == 1 ? "" : "s", least, most);
    return (int64_t)least;
}

static const char *word_of(parser *p, const ir_attr *list, const char *key, src_loc at)
{
    const ir_attr *a = ir_attr_find(list, key);
    if (a && a->word)
        return a->word;
    FAIL(p, at, "expected a word '%s' in the target line, found none", key);
    return "";
}

static void parse_target(parser *p, src_loc at)
{
    const double most_bytes = 1099511627776.0;
    ir_attr *a = NULL;
    parse_attrs(p, &a);
    if (p->failed)
        return;
    p->m->target = (ir_target){.triple = word_of(p, a, "triple", at),
                               .cpu = word_of(p, a, "cpu", at),
                               .features = word_of(p, a, "features", at),
                               .vector = (int32_t)number_of(p, a, "vector", 0, 1, 1, 64, at),
                               .registers = (int32_t)number_of(p, a, "registers", 0, 1, 1, 64, at),
                               .fma = number_of(p, a, "fma", 0, 1, 0, 1, at) != 0,
                               .l1 = number_of(p, a, "cache", 0, 3, 0, most_bytes, at),
                               .l2 = number_of(p, a, "cache", 1, 3, 0, most_bytes, at),
                               .l3 = number_of(p, a, "cache", 2, 3, 0, most_bytes, at)};
    if (p->m->target.vector & (p->m->target.vector - 1))
        FAIL(p, at, "expected for 'vector' a power of two, found %d", p->m->target.vector);
}

/* Sizes that passes compute with. */
static void check_header(parser *p, src_loc at)
{
    static const struct {
        const char *name;
        double least, most;
    } sizes[] = {{"abi", 1, INT32_MAX},
                 {"max_batch", 1, 1 << 20},
                 {"planned_batch", 1, 1 << 20},
                 {"stages", 0, 64},
                 {"params_bytes", 0, 1e15},
                 {"state_bytes", 0, 1e15},
                 {"gradient_bytes", 0, 1e15},
                 {"saved_bytes", 0, 1e15},
                 {"workspace_bytes", 0, 1e15},
                 {"workspace_worker_bytes", 0, 1e15},
                 {"inference_state_bytes", 0, 1e15},
                 {"inference_workspace_bytes", 0, 1e15},
                 {"inference_worker_bytes", 0, 1e15}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (ir_attr_find(p->m->attrs, sizes[i].name))
            number_of(p, p->m->attrs, sizes[i].name, 0, 1, sizes[i].least, sizes[i].most, at);
    const ir_attr *batch = ir_attr_find(p->m->attrs, "max_batch"),
                  *planned = ir_attr_find(p->m->attrs, "planned_batch");
    if (!p->failed && planned && (!batch || batch->number[0] != planned->number[0]))
        FAIL(p, at, "expected 'max_batch' to be %.0f, for which pass select planned the kernels, found another",
             planned->number[0]);
}

static void parse_symbol(parser *p, ir_segment segment, src_loc at)
{
    expect(p, "@");
    const char *symbol = name(p, "a symbol's name");
    if (!p->failed && ir_symbol_find(p->m, symbol))
        FAIL(p, at, "symbol @%s is declared twice", symbol);
    expect(p, ":");
    ir_symbol *y = ir_symbol_new(p->m, segment, symbol, parse_type(p), at);
    if (at_attrs(p))
        parse_attrs(p, &y->attrs);
    y->place = parse_place(p);
    y->loc = parse_loc(p, at);
}

static void parse_row(parser *p, src_loc at)
{
    const char *kind = name(p, "a row's kind");
    expect(p, "@");
    ir_row *r = ir_row_new(p->m, kind, name(p, "a row's name"), at);
    if (peek(p, "{"))
        parse_attrs(p, &r->attrs);
    r->loc = parse_loc(p, at);
}

static void parse_line(parser *p)
{
    src_loc at = here(p);
    if (accept_word(p, "target")) {
        parse_target(p, at);
    } else if (accept_word(p, "row")) {
        parse_row(p, at);
    } else if (accept_word(p, "func")) {
        parse_function(p, at);
    } else {
        static const ir_segment kinds[] = {SEG_PARAM, SEG_STATE, SEG_GRADIENT, SEG_SAVED};
        for (int i = 0; i < 4; i++)
            if (accept_word(p, ir_segment_name(kinds[i]))) {
                parse_symbol(p, kinds[i], at);
                return;
            }
        FAIL(p, at, "expected target, row, param, state, gradient, saved or func, found %s", found(p));
    }
}

ir_module *ir_parse(const char *source, const char *file, diag *d)
{
    ir_module *m = ir_module_new("");
    parser p = {.at = source, .line_start = source, .line = 1, .m = m, .d = d};
    p.file = arena_strdup(m->mem, file);
    m->attrs = NULL;
    expect(&p, "module");
    expect(&p, "@");
    m->name = name(&p, "a module's name");
    if (at_attrs(&p)) {
        src_loc at = here(&p);
        parse_attrs(&p, &m->attrs);
        check_header(&p, at);
    }
    skip_space(&p);
    while (!p.failed && *p.at) {
        parse_line(&p);
        skip_space(&p);
    }
    if (!p.failed && ir_verify(m, d))
        return m;
    ir_module_free(m);
    return NULL;
}
