/* frontend/network/build.c - the description of a network to a module.
 *
 * The net is built once a function: infer (inputs that layers read -> outputs; dropout off, running statistics),
 * evaluate (the same with losses and metrics) and train_step (training behaviour, losses, metrics, `minimize`). Every
 * node carries the place of the layer that asked for it and the label "<layer>.forward". A net without losses has infer
 * alone. The module's hash is taken of its text without source name, places, learning rate and stages, so moving a file
 * changes nothing, and a run may go on at another rate or cut in another way. */
#include "frontend/network/network.h"
#include <inttypes.h>
#include <string.h>

typedef enum { INFER, EVALUATE, TRAIN_STEP } purpose;

/* ---- symbols and rows ---- */

/* Is it found in the training data that the layer's input has? */
static bool is_of_data(fe_init init)
{
    return !strncmp(init.kind, "data_", 5);
}

static void set_init(ir_module *m, ir_symbol *s, fe_init init)
{
    ir_attr_set_word(m->mem, &s->attrs, "init", init.kind);
    ir_attr_set_numbers(m->mem, &s->attrs, "a", &init.a, 1);
    if (!strcmp(init.kind, "constant") || !strcmp(init.kind, "identity"))
        return;
    int64_t stream = fe_stream(s->name);
    ir_attr_set_numbers(m->mem, &s->attrs, "b", &init.b, 1);
    ir_attr_set_ints(m->mem, &s->attrs, "stream", &stream, 1);
}

static void set_data_init(const fe_network *n, const fe_layer *l, ir_module *m, ir_symbol *s, fe_init init)
{
    int64_t index = l->in[0].index;
    double scale = n->inputs[index].scaled ? n->inputs[index].scale : 1;
    ir_attr_set_word(m->mem, &s->attrs, "init", init.kind);
    ir_attr_set_numbers(m->mem, &s->attrs, "a", &init.a, 1);
    ir_attr_set_numbers(m->mem, &s->attrs, "b", &scale, 1);
    ir_attr_set_ints(m->mem, &s->attrs, "stream", &index, 1);
}

/* Parameters first, then running statistics: the order of the library's tensors. */
static void declare_params(const fe_network *n, ir_module *m, bool states)
{
    for (int i = 0; i < n->nlayers; i++) {
        const fe_layer *l = &n->layers[i];
        for (int k = 0; k < l->nparams; k++) {
            const fe_param *p = &l->param[k];
            if (p->state != states || ir_symbol_find(m, p->name)) /* layers may share one */
                continue;
            ir_symbol *y = ir_symbol_new(m, states ? SEG_STATE : SEG_PARAM, p->name, p->type, l->at);
            if (is_of_data(p->init))
                set_data_init(n, l, m, y, p->init);
            else
                set_init(m, y, p->init);
            const char *group = p->group ? p->group : l->group;
            if (!states && !fe_learns_param(l, k))
                ir_attr_set_ints(m->mem, &y->attrs, "trainable", &(int64_t){0}, 1);
            if (fe_learns_param(l, k) && group && n->optimizer)
                ir_attr_set_word(m->mem, &y->attrs, "group", group);
        }
    }
}

/* A state for each parameter that learns, which starts as it does: inference reads it in the parameter's place. */
static void declare_averages(const fe_network *n, ir_module *m)
{
    if (!n->optimizer || !n->averaging)
        return;
    for (const ir_symbol *p = m->symbols; p; p = p->next) {
        if (p->segment != SEG_PARAM || ir_attr_find(p->attrs, "trainable"))
            continue;
        const char *name = arena_printf(m->mem, "average/%s", p->name);
        ir_symbol *y = ir_symbol_new(m, SEG_STATE, name, p->type, p->loc);
        for (const ir_attr *a = p->attrs; a; a = a->next)
            if (a->word && !strcmp(a->name, "init"))
                ir_attr_set_word(m->mem, &y->attrs, a->name, a->word);
            else if (!a->word)
                ir_attr_set_numbers(m->mem, &y->attrs, a->name, a->number, a->count);
    }
}

static void declare_training(const fe_network *n, ir_module *m)
{
    if (!n->optimizer)
        return;
    ir_symbol *seed = ir_symbol_new(m, SEG_STATE, "seed", ir_type_scalar(IR_I64), n->optimizer->at);
    ir_attr_set_word(m->mem, &seed->attrs, "init", "seed");
    ir_symbol *step = ir_symbol_new(m, SEG_STATE, "step", ir_type_scalar(IR_I64), n->optimizer->at);
    set_init(m, step, (fe_init){.kind = "constant"});
}

static void declare_rows(const fe_network *n, ir_module *m)
{
    for (int i = 0; i < n->ninputs; i++)
        ir_row_new(m, "input", n->inputs[i].name, n->inputs[i].at);
    for (int i = 0; i < n->nlayers; i++)
        if (n->layers[i].is_output)
            ir_row_new(m, "output", n->layers[i].name, n->layers[i].at);
    fe_metric_rows(n, m);
    fe_build_rows(n, m);
}

/* Does training compute anything that carries the layer's label? */
static bool is_computed(const ir_module *m, const fe_layer *l)
{
    const ir_graph *g = ir_function_find(m, "train_step");
    size_t length = strlen(l->name);
    for (const ir_node *n = g ? g->first : NULL; n; n = n->next)
        if (n->label && !strncmp(n->label, l->name, length) && n->label[length] == '.')
            return true;
    return false;
}

/* Coupled stages have the bits of the whole: they are no part of the hash. A stage that ends with layers that compute
 * nothing, such as a linear activation, ends for the passes before these. */
static void declare_stages(const fe_network *n, ir_module *m)
{
    for (int i = 0; i < n->nstages; i++) {
        const fe_layer *first = i ? n->stages[i - 1].through + 1 : n->layers, *last = n->stages[i].through;
        ir_row *row = ir_row_new(m, "stage", n->stages[i].name, n->stages[i].at);
        while (last > first && !is_computed(m, last))
            last--;
        ir_attr_set_word(m->mem, &row->attrs, "through", last->name);
    }
}

/* ---- functions ---- */

/* What is built from here on comes from there, which may be a stage's file. */
static void set_place(fe_builder *b, src_loc at)
{
    if (at.file && strcmp(at.file, b->g->at.file))
        b->g->at.file = arena_strdup(b->m->mem, at.file);
    b->g->at.line = at.line;
    b->g->at.col = at.col;
}

void fe_aim(fe_builder *b, src_loc at, const char *name, const char *role)
{
    set_place(b, at);
    b->g->at_label = arena_printf(b->m->mem, "%s.%s", name, role);
}

/* [channels, rows, columns] as [rows, columns, channels], and sequences likewise. */
static ir_node *channels_last(ir_graph *g, ir_node *x)
{
    int64_t order[IR_MAX_RANK] = {0};
    for (int i = 1; i < x->type.rank; i++)
        order[i] = i + 1 < x->type.rank ? i + 1 : 1;
    return ir_transpose(g, x, order);
}

/* As f32 where someone reads it so. The scale is part of the graph: programs pass raw values. */
static void build_input(fe_function *f, int index, purpose why)
{
    const fe_input *input = &f->net->inputs[index];
    bool as_f32 = input->layer_reads || (why != INFER && input->loss_reads);
    if (!input->layer_reads && why == INFER)
        return;
    set_place(&f->b, input->at);
    ir_node *x = f->raw[index] = ir_input_new(f->b.g, input->name, input->type);
    if (!as_f32)
        return;
    fe_aim(&f->b, input->at, input->name, "scale");
    if (input->channels_first)
        x = channels_last(f->b.g, x);
    if (x->type.dtype != IR_F32)
        x = ir_convert(f->b.g, x, IR_F32);
    if (input->scaled)
        x = ir_multiply(f->b.g, x, ir_like(f->b.g, x, input->scale));
    f->inputs[index] = x;
}

static void build_layer(fe_function *f, int index, ir_node **scratch)
{
    const fe_layer *l = &f->net->layers[index];
    fe_aim(&f->b, l->at, l->name, "forward");
    for (int i = 0; i < l->nin; i++) {
        scratch[i] = l->in[i].is_input ? f->inputs[l->in[i].index] : f->layers[l->in[i].index];
        if (l->stops && l->stops[i] && f->b.training)
            scratch[i] = ir_stop_gradient(f->b.g, scratch[i]);
    }
    ir_node *y = l->kind->build(&f->b, l, scratch);
    if (!y->name && y->op != IR_INPUT && y != scratch[0])
        y->name = arena_strdup(f->b.m->mem, l->name);
    f->layers[index] = y;
}

static void build_function(const fe_network *n, ir_module *m, const char *file, const char *name, purpose why)
{
    arena *scratch = arena_new();
    int most = 1;
    for (int i = 0; i < n->nlayers; i++)
        most = n->layers[i].nin > most ? n->layers[i].nin : most;
    fe_function f = {.b = {.m = m, .training = why == TRAIN_STEP}, .net = n};
    f.raw = arena_new_array(scratch, ir_node *, (size_t)n->ninputs);
    f.inputs = arena_new_array(scratch, ir_node *, (size_t)n->ninputs);
    f.layers = arena_new_array(scratch, ir_node *, (size_t)n->nlayers);
    f.penalties = arena_new_array(scratch, ir_node *, (size_t)n->nlayers);
    f.b.g = ir_function_new(m, name, (src_loc){file, n->at.line, n->at.col});
    f.b.g->at.file = file;
    for (int i = 0; i < n->ninputs; i++)
        build_input(&f, i, why);
    ir_node **in = arena_new_array(scratch, ir_node *, (size_t)most);
    for (int i = 0; i < n->nlayers; i++) {
        build_layer(&f, i, in);
        if (why != INFER)
            fe_build_penalties(&f, i);
    }
    if (why != INFER)
        fe_build_objective(&f);
    for (int i = 0; why == INFER && i < n->nlayers; i++)
        if (n->layers[i].is_output)
            ir_result_add(f.b.g, n->layers[i].name, f.layers[i]);
    arena_free(scratch);
}

static uint64_t hash_bytes(const char *s)
{
    uint64_t hash = 14695981039346656037u;
    for (; *s; s++)
        hash = (hash ^ (unsigned char)*s) * 1099511628211u;
    return hash;
}

/* Of the graph, not of what it is called: a network without a name has that of its file, which may be renamed. */
static void set_hash(ir_module *m)
{
    text content = {0};
    const char *name = m->name;
    m->name = "";
    ir_print(m, false, &content);
    m->name = name;
    const char *hash = arena_printf(m->mem, "%016" PRIx64, hash_bytes(text_get(&content)));
    text_free(&content);
    ir_attr_set_word(m->mem, &m->attrs, "hash", hash);
}

ir_module *fe_build(const fe_network *n, diag *d)
{
    ir_module *m = ir_module_new(n->name);
    const char *file = arena_strdup(m->mem, n->path), *slash = strrchr(file, '/');
    declare_rows(n, m);
    declare_params(n, m, false);
    declare_training(n, m);
    declare_params(n, m, true);
    declare_averages(n, m);
    fe_declare_metrics(n, m);
    build_function(n, m, file, "infer", INFER);
    if (n->nlosses)
        build_function(n, m, file, "evaluate", EVALUATE);
    if (n->optimizer)
        build_function(n, m, file, "train_step", TRAIN_STEP);
    set_hash(m);
    declare_stages(n, m);
    fe_build_rate(n, m);
    ir_attr_set_word(m->mem, &m->attrs, "source", slash ? slash + 1 : file);
    if (ir_verify(m, d))
        return m;
    ir_module_free(m);
    return NULL;
}
