/* ir/text/parse.c - a module from its text. print.c mirrors the files of the parser function by function; the grammar
 * stands there. */
#include "ir/text/parse.h"
#include <string.h>

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
                 {"inference_worker_bytes", 0, 1e15},
                 {"workers", 1, 1024}};
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
    scan_expect(p, "@");
    const char *symbol = scan_name(p, "a symbol's name");
    if (!p->failed && ir_symbol_find(p->m, symbol))
        FAIL(p, at, "symbol @%s is declared twice", symbol);
    scan_expect(p, ":");
    ir_symbol *y = ir_symbol_new(p->m, segment, symbol, parse_type(p), at);
    if (parse_at_attrs(p))
        parse_attrs(p, &y->attrs);
    y->place = parse_place(p);
    y->loc = parse_loc(p, at);
}

static void parse_row(parser *p, src_loc at)
{
    const char *kind = scan_name(p, "a row's kind");
    scan_expect(p, "@");
    ir_row *r = ir_row_new(p->m, kind, scan_name(p, "a row's name"), at);
    if (scan_peek(p, "{"))
        parse_attrs(p, &r->attrs);
    r->loc = parse_loc(p, at);
}

static void parse_line(parser *p)
{
    src_loc at = scan_here(p);
    if (scan_word(p, "target")) {
        parse_target(p, at);
    } else if (scan_word(p, "row")) {
        parse_row(p, at);
    } else if (scan_word(p, "func")) {
        parse_function(p, at);
    } else {
        static const ir_segment kinds[] = {SEG_PARAM, SEG_STATE, SEG_GRADIENT, SEG_SAVED};
        for (int i = 0; i < 4; i++)
            if (scan_word(p, ir_segment_name(kinds[i]))) {
                parse_symbol(p, kinds[i], at);
                return;
            }
        FAIL(p, at, "expected target, row, param, state, gradient, saved or func, found %s", scan_found(p));
    }
}

ir_module *ir_parse(const char *source, const char *file, diag *d)
{
    ir_module *m = ir_module_new("");
    parser p = {.at = source, .line_start = source, .line = 1, .m = m, .d = d};
    p.file = arena_strdup(m->mem, file);
    m->attrs = NULL;
    scan_expect(&p, "module");
    scan_expect(&p, "@");
    m->name = scan_name(&p, "a module's name");
    if (parse_at_attrs(&p)) {
        src_loc at = scan_here(&p);
        parse_attrs(&p, &m->attrs);
        check_header(&p, at);
    }
    scan_space(&p);
    while (!p.failed && *p.at) {
        parse_line(&p);
        scan_space(&p);
    }
    if (!p.failed && ir_verify(m, d))
        return m;
    ir_module_free(m);
    return NULL;
}
