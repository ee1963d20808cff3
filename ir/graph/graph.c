/* ir/graph/graph.c - make modules, functions and nodes, and change them. */
#include "ir/ir.h"
#include <string.h>

const ir_op_info ir_ops[IR_NOPS] = {
#define OP(ID, name, inputs, attributes, traits, meaning) {#name, attributes, meaning, inputs, traits},
#include "ir/ops.def"
};

bool ir_op_parse(const char *name, ir_op *out)
{
    for (int op = 0; op < IR_NOPS; op++)
        if (!strcmp(ir_ops[op].name, name)) {
            *out = (ir_op)op;
            return true;
        }
    return false;
}

const char *ir_segment_name(ir_segment s)
{
    static const char *const names[SEG_COUNT] = {"",       "param", "state",     "gradient", "input",
                                                 "output", "saved", "workspace", "worker"};
    return names[s];
}

ir_module *ir_module_new(const char *name)
{
    arena *mem = arena_new();
    ir_module *m = arena_make(mem, ir_module);
    m->mem = mem;
    m->name = arena_strdup(mem, name);
    m->symbol_named = ir_map_new(mem, IR_MAP_TEXTS);
    int64_t abi = IR_ABI;
    ir_attr_set_ints(mem, &m->attrs, "abi", &abi, 1);
    return m;
}

void ir_module_free(ir_module *m)
{
    if (m)
        arena_free(m->mem);
}

static const char *copy_or_null(arena *mem, const char *s)
{
    return s ? arena_strdup(mem, s) : NULL;
}

static src_loc copy_loc(arena *mem, src_loc at)
{
    at.file = copy_or_null(mem, at.file);
    return at;
}

ir_symbol *ir_symbol_find(const ir_module *m, const char *name)
{
    return ir_map_get(m->symbol_named, name);
}

ir_symbol *ir_symbol_new(ir_module *m, ir_segment s, const char *name, ir_type type, src_loc loc)
{
    ir_symbol *y = arena_make(m->mem, ir_symbol);
    y->name = arena_strdup(m->mem, name);
    y->segment = s;
    y->type = type;
    y->loc = copy_loc(m->mem, loc);
    *(m->last_symbol ? &m->last_symbol->next : &m->symbols) = y;
    m->last_symbol = y;
    if (!ir_symbol_find(m, name))
        ir_map_set(m->symbol_named, y->name, y);
    return y;
}

bool ir_is_trainable(const ir_symbol *y)
{
    const ir_attr *a = ir_attr_find(y->attrs, "trainable");
    return y->segment == SEG_PARAM && (!a || a->number[0] != 0);
}

ir_row *ir_row_new(ir_module *m, const char *kind, const char *name, src_loc loc)
{
    ir_row *r = arena_make(m->mem, ir_row), **end = &m->rows;
    r->kind = arena_strdup(m->mem, kind);
    r->name = arena_strdup(m->mem, name);
    r->loc = copy_loc(m->mem, loc);
    while (*end)
        end = &(*end)->next;
    return *end = r;
}

ir_row *ir_row_find(const ir_module *m, const char *kind, const char *name)
{
    for (ir_row *r = m->rows; r; r = r->next)
        if (!strcmp(r->kind, kind) && (!name || !strcmp(r->name, name)))
            return r;
    return NULL;
}

static ir_graph *graph_new(ir_module *m)
{
    ir_graph *g = arena_make(m->mem, ir_graph);
    g->module = m;
    return g;
}

ir_graph *ir_function_new(ir_module *m, const char *name, src_loc loc)
{
    ir_graph *g = graph_new(m), **end = &m->functions;
    g->name = arena_strdup(m->mem, name);
    g->loc = copy_loc(m->mem, loc);
    while (*end)
        end = &(*end)->next;
    return *end = g;
}

ir_graph *ir_function_find(const ir_module *m, const char *name)
{
    for (ir_graph *g = m->functions; g; g = g->next)
        if (!strcmp(g->name, name))
            return g;
    return NULL;
}

bool ir_is_inference(const ir_graph *function)
{
    return !strcmp(function->name, "infer") || !strcmp(function->name, "evaluate");
}

ir_graph *ir_region_new(ir_module *m)
{
    return graph_new(m);
}

static ir_node *make_node(ir_graph *g, ir_op op, ir_type type)
{
    ir_node *n = arena_make(g->module->mem, ir_node);
    n->op = op;
    n->type = type;
    n->graph = g;
    n->loc = g->at;
    n->label = g->at_label;
    return n;
}

ir_node *ir_input_new(ir_graph *g, const char *name, ir_type type)
{
    arena *mem = g->module->mem;
    ir_node *n = make_node(g, IR_INPUT, type);
    n->name = copy_or_null(mem, name);
    g->inputs = arena_grown(mem, g->inputs, (size_t)g->ninputs, sizeof *g->inputs);
    g->inputs[g->ninputs++] = n;
    return n;
}

void ir_result_add(ir_graph *g, const char *name, ir_node *value)
{
    arena *mem = g->module->mem;
    g->results = arena_grown(mem, g->results, (size_t)g->nresults, sizeof *g->results);
    g->result_names = arena_grown(mem, g->result_names, (size_t)g->nresults, sizeof *g->result_names);
    g->results[g->nresults] = value;
    g->result_names[g->nresults++] = copy_or_null(mem, name);
}

static void link_before(ir_node *n, ir_graph *g, ir_node *before)
{
    n->graph = g;
    n->next = before;
    n->prev = before ? before->prev : g->last;
    *(n->prev ? &n->prev->next : &g->first) = n;
    *(before ? &before->prev : &g->last) = n;
}

ir_node *ir_node_new(ir_graph *g, ir_op op, ir_node *const *in, int nin, ir_type type)
{
    ir_node *n = make_node(g, op, type);
    n->nin = nin;
    n->in = arena_new_array(g->module->mem, ir_node *, (size_t)(nin ? nin : 1));
    for (int i = 0; i < nin; i++)
        n->in[i] = in[i];
    link_before(n, g, g->before);
    if (g->at_stage)
        ir_set_int(n, "stage", g->at_stage);
    return n;
}

void ir_set_region(ir_node *n, ir_graph *region)
{
    n->region = region;
    region->owner = n;
}

void ir_unlink(ir_node *n)
{
    ir_graph *g = n->graph;
    if (g->before == n)
        g->before = n->next;
    *(n->prev ? &n->prev->next : &g->first) = n->next;
    *(n->next ? &n->next->prev : &g->last) = n->prev;
    n->prev = n->next = NULL;
}

void ir_append(ir_graph *g, ir_node *n)
{
    link_before(n, g, NULL);
}

void ir_move_before(ir_node *n, ir_node *before)
{
    if (n == before)
        return;
    ir_unlink(n);
    link_before(n, n->graph, before);
}

void ir_replace_uses(ir_graph *g, ir_node *old, ir_node *with)
{
    for (ir_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->nin; i++)
            if (n->in[i] == old)
                n->in[i] = with;
    for (int i = 0; i < g->nresults; i++)
        if (g->results[i] == old)
            g->results[i] = with;
}

int32_t ir_number(ir_graph *g)
{
    int32_t id = 0;
    for (int i = 0; i < g->ninputs; i++)
        g->inputs[i]->id = id++;
    for (ir_node *n = g->first; n; n = n->next)
        n->id = id++;
    return id;
}

bool ir_is_used(const ir_graph *g, const ir_node *n)
{
    for (const ir_node *user = g->first; user; user = user->next)
        for (int i = 0; i < user->nin; i++)
            if (user->in[i] == n)
                return true;
    for (int i = 0; i < g->nresults; i++)
        if (g->results[i] == n)
            return true;
    return false;
}

ir_node *ir_inside(const ir_node *n, const ir_node *x)
{
    if (x->region && x->region->first)
        return x->region->first;
    while (x != n && !x->next)
        x = x->graph->owner;
    return x == n ? NULL : x->next;
}

bool ir_has_effect(const ir_node *n)
{
    for (const ir_node *x = n; x; x = ir_inside(n, x))
        if (ir_ops[x->op].traits & OP_EFFECT)
            return true;
    return false;
}

void ir_drop_unused(ir_graph *g)
{
    arena *tmp = arena_new();
    bool *used = arena_new_array(tmp, bool, (size_t)ir_number(g) + 1);
    for (int i = 0; i < g->nresults; i++)
        used[g->results[i]->id] = true;
    for (ir_node *n = g->last, *prev; n; n = prev) {
        prev = n->prev;
        if (used[n->id] || ir_has_effect(n))
            for (int i = 0; i < n->nin; i++)
                used[n->in[i]->id] = true;
        else
            ir_unlink(n);
    }
    arena_free(tmp);
}

static void copy_body(ir_graph *to, const ir_graph *from);

ir_node *ir_clone_node(ir_graph *g, const ir_node *n, ir_node **map)
{
    ir_node *copy = make_node(g, n->op, n->type);
    ir_node *home_prev, *home_next;
    link_before(copy, g, g->before);
    home_prev = copy->prev;
    home_next = copy->next;
    *copy = *n;
    copy->graph = g;
    copy->prev = home_prev;
    copy->next = home_next;
    copy->in = arena_new_array(g->module->mem, ir_node *, (size_t)(n->nin ? n->nin : 1));
    for (int i = 0; i < n->nin; i++) {
        ir_node *mapped = map ? map[n->in[i]->id] : NULL;
        copy->in[i] = mapped ? mapped : n->in[i];
    }
    if (n->region) {
        ir_graph *region = graph_new(g->module);
        copy_body(region, n->region);
        ir_set_region(copy, region);
    }
    return copy;
}

static void copy_body(ir_graph *to, const ir_graph *from)
{
    /* Numbering writes ids only; the source stays as it is for its readers. */
    int32_t count = ir_number((ir_graph *)from);
    arena *mem = to->module->mem;
    ir_node **map = arena_new_array(mem, ir_node *, (size_t)count + 1);
    for (int i = 0; i < from->ninputs; i++) {
        ir_node *in = from->inputs[i], *copy = ir_input_new(to, in->name, in->type);
        copy->label = in->label;
        copy->loc = in->loc;
        copy->place = in->place;
        copy->attrs = in->attrs;
        map[in->id] = copy;
    }
    for (const ir_node *n = from->first; n; n = n->next)
        map[n->id] = ir_clone_node(to, n, map);
    for (int i = 0; i < from->nresults; i++)
        ir_result_add(to, from->result_names[i], map[from->results[i]->id]);
    to->attrs = from->attrs;
    to->loc = from->loc;
}

ir_graph *ir_clone_graph(const ir_graph *g, const char *new_name)
{
    ir_graph *copy = new_name ? ir_function_new(g->module, new_name, g->loc) : graph_new(g->module);
    copy_body(copy, g);
    return copy;
}

ir_node *ir_region_result(ir_node *n, int index)
{
    if (index == 0)
        return n;
    ir_graph *g = n->graph;
    for (ir_node *user = n->next; user; user = user->next)
        if (user->op == IR_RESULT && user->in[0] == n && ir_int(user, "index", 0) == index)
            return user;
    ir_node *r = ir_node_new(g, IR_RESULT, &n, 1, n->region->results[index]->type);
    ir_set_int(r, "index", index);
    return r;
}

const ir_node *ir_memory(const ir_node *n)
{
    while (n->op == IR_RESHAPE)
        n = n->in[0];
    return n;
}

const ir_symbol *ir_memory_symbol(const ir_node *n)
{
    n = ir_memory(n);
    return n->op == IR_PARAM || n->op == IR_STATE ? n->symbol : NULL;
}
