/* ir/text/print.c - a module as text. The parser (parse.h) mirrors this file function by function.
 *
 * One node a line, no addresses, order fixed by the graph. Neither file knows an operator by name: a line is
 *     %value = operator @symbol "label" operands {attributes} {region} : type @segment+offset loc(...)
 * with the parts that a node has. A node with a region always has a label. Inside a kernel, labels are printed only
 * together with locations: for reading they are noise, and no pass looks at them there. A value is %name where its node
 * has a name that no earlier value of the function has, else a number counted through the function, regions included.
 * Inside a region the inputs go by the outer operands' names. */
#include "ir/ir.h"
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    text *out;
    bool locations;
    arena *mem;
    int32_t next_number;
    const char **taken; /* names used in this function */
    size_t ntaken;
} printer;

/* Fewest digits that read back as the same number: as the same f32 where that is all the reader keeps. */
static void print_number(printer *p, double v, bool as_f32)
{
    char digits[40];
    if (isnan(v)) {
        text_add(p->out, "nan");
        return;
    }
    if (v == floor(v) && fabs(v) < 1e15) {
        text_printf(p->out, "%.0f", v);
        return;
    }
    as_f32 = as_f32 && (double)(float)v == v;
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, v);
        double back = strtod(digits, NULL);
        if (as_f32 ? (float)back == (float)v : back == v)
            break;
    }
    text_add(p->out, digits);
}

static bool is_bare_word(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("_.-/+", *s))
            return false;
    return true;
}

static void print_string(printer *p, const char *s)
{
    text_add(p->out, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            text_printf(p->out, "\\%c", c);
        else if (c < 32 || c == 127)
            text_printf(p->out, "\\x%02x", c);
        else
            text_add_bytes(p->out, s, 1);
    }
    text_add(p->out, "\"");
}

static void print_attrs(printer *p, const ir_attr *a, bool as_f32)
{
    if (!a)
        return;
    text_add(p->out, " {");
    for (const char *comma = ""; a; a = a->next, comma = ", ") {
        text_printf(p->out, "%s%s = ", comma, a->name);
        if (a->word && is_bare_word(a->word)) {
            text_add(p->out, a->word);
        } else if (a->word) {
            print_string(p, a->word);
        } else {
            text_add(p->out, "[");
            for (int i = 0; i < a->count; i++) {
                text_add(p->out, i ? ", " : "");
                print_number(p, a->number[i], as_f32);
            }
            text_add(p->out, "]");
        }
    }
    text_add(p->out, "}");
}

static void print_place(printer *p, ir_place place)
{
    if (place.segment != SEG_NONE)
        text_printf(p->out, " @%s+%" PRId64, ir_segment_name(place.segment), place.offset);
}

/* An unknown place is said too: without it the reader would take the line of this text. */
static void print_loc(printer *p, src_loc at)
{
    if (!p->locations)
        return;
    text_add(p->out, " loc(");
    print_string(p, at.file ? at.file : "");
    text_printf(p->out, ":%d:%d)", at.line, at.col);
}

static bool is_taken(const printer *p, const char *name)
{
    for (size_t i = 0; i < p->ntaken; i++)
        if (!strcmp(p->taken[i], name))
            return true;
    return false;
}

static void take(printer *p, const char *name)
{
    p->taken = arena_grown(p->mem, p->taken, p->ntaken, sizeof *p->taken);
    p->taken[p->ntaken++] = name;
}

static const char *name_value(printer *p, const ir_node *n)
{
    if (n->name && !isdigit((unsigned char)n->name[0]) && !is_taken(p, n->name)) {
        take(p, n->name);
        return n->name;
    }
    return arena_printf(p->mem, "%d", p->next_number++);
}

static void print_label(printer *p, const ir_node *n)
{
    bool in_kernel = n->graph->owner && n->graph->owner->op == IR_FUSED;
    if (!n->region && (!n->label || (in_kernel && !p->locations)))
        return;
    text_add(p->out, " ");
    print_string(p, n->label ? n->label : "");
}

static void print_body(printer *p, const ir_graph *g, const char **names, int depth);

static void print_operands(printer *p, const ir_node *n, const char **names)
{
    bool region = ir_ops[n->op].traits & OP_REGION;
    if (region)
        text_add(p->out, " (");
    for (int i = 0; i < n->nin; i++)
        text_printf(p->out, "%s%%%s", i ? ", " : region ? "" : " ", names[n->in[i]->id]);
    if (region)
        text_add(p->out, ")");
}

static void print_region(printer *p, const ir_node *n, const char **names, int depth)
{
    const ir_graph *g = n->region;
    const char **inner = arena_new_array(p->mem, const char *, (size_t)ir_number((ir_graph *)g) + 1);
    for (int i = 0; i < g->ninputs; i++)
        inner[g->inputs[i]->id] = names[n->in[i]->id];
    text_add(p->out, " {\n");
    print_body(p, g, inner, depth + 1);
    text_printf(p->out, "%*s}", 2 * depth, "");
}

static void print_node(printer *p, const ir_node *n, const char **names, int depth)
{
    text_printf(p->out, "%*s", 2 * depth, "");
    if (n->type.dtype != IR_NONE) {
        names[n->id] = name_value(p, n);
        text_printf(p->out, "%%%s = ", names[n->id]);
    }
    text_add(p->out, ir_ops[n->op].name);
    if (n->symbol)
        text_printf(p->out, " @%s", n->symbol->name);
    print_label(p, n);
    print_operands(p, n, names);
    print_attrs(p, n->attrs, n->type.dtype == IR_F32);
    if (n->region)
        print_region(p, n, names, depth);
    if (n->type.dtype != IR_NONE) {
        text_add(p->out, " : ");
        ir_type_print(&n->type, p->out);
    }
    print_place(p, n->place);
    print_loc(p, n->loc);
    text_add(p->out, "\n");
}

static void print_body(printer *p, const ir_graph *g, const char **names, int depth)
{
    for (const ir_node *n = g->first; n; n = n->next)
        print_node(p, n, names, depth);
    if (!g->nresults)
        return;
    text_printf(p->out, "%*sreturn", 2 * depth, "");
    for (int i = 0; i < g->nresults; i++)
        text_printf(p->out, "%s%%%s", i ? ", " : " ", names[g->results[i]->id]);
    text_add(p->out, "\n");
}

static void print_function(printer *p, const ir_graph *g)
{
    const char **names = arena_new_array(p->mem, const char *, (size_t)ir_number((ir_graph *)g) + 1);
    p->next_number = 1;
    p->ntaken = 0;
    text_printf(p->out, "func @%s(", g->name ? g->name : "");
    for (int i = 0; i < g->ninputs; i++) {
        const ir_node *in = g->inputs[i];
        names[in->id] = name_value(p, in);
        text_printf(p->out, "%s%%%s : ", i ? ", " : "", names[in->id]);
        ir_type_print(&in->type, p->out);
        print_place(p, in->place);
        print_loc(p, in->loc);
    }
    text_add(p->out, ")");
    if (g->nresults) {
        text_add(p->out, " -> (");
        for (int i = 0; i < g->nresults; i++) {
            text_printf(p->out, "%s%s : ", i ? ", " : "", g->result_names[i]);
            ir_type_print(&g->results[i]->type, p->out);
        }
        text_add(p->out, ")");
    }
    print_attrs(p, g->attrs, false);
    print_loc(p, g->loc);
    text_add(p->out, " {\n");
    print_body(p, g, names, 1);
    text_add(p->out, "}\n");
}

static void print_target(printer *p, const ir_target *t)
{
    text_add(p->out, "target {triple = ");
    print_string(p, t->triple);
    text_add(p->out, ", cpu = ");
    print_string(p, t->cpu);
    text_add(p->out, ", features = ");
    print_string(p, t->features);
    text_printf(p->out, ", vector = [%d], registers = [%d], fma = [%d]", t->vector, t->registers, t->fma);
    text_printf(p->out, ", cache = [%" PRId64 ", %" PRId64 ", %" PRId64 "]}\n", t->l1, t->l2, t->l3);
}

static void print_symbol(printer *p, const ir_symbol *y)
{
    text_printf(p->out, "%s @%s : ", ir_segment_name(y->segment), y->name);
    ir_type_print(&y->type, p->out);
    print_attrs(p, y->attrs, false);
    print_place(p, y->place);
    print_loc(p, y->loc);
    text_add(p->out, "\n");
}

void ir_print(const ir_module *m, bool locations, text *out)
{
    printer p = {.out = out, .locations = locations, .mem = arena_new()};
    text_printf(out, "module @%s", m->name);
    print_attrs(&p, m->attrs, false);
    text_add(out, "\n");
    if (m->target.triple)
        print_target(&p, &m->target);
    for (const ir_row *r = m->rows; r; r = r->next) {
        text_printf(out, "row %s @%s", r->kind, r->name);
        print_attrs(&p, r->attrs, false);
        print_loc(&p, r->loc);
        text_add(out, "\n");
    }
    for (const ir_symbol *y = m->symbols; y; y = y->next)
        print_symbol(&p, y);
    for (const ir_graph *g = m->functions; g; g = g->next)
        print_function(&p, g);
    arena_free(p.mem);
}

void ir_print_graph(const ir_graph *g, bool locations, text *out)
{
    printer p = {.out = out, .locations = locations, .mem = arena_new()};
    print_function(&p, g);
    arena_free(p.mem);
}
