/* ir/ops/eval.c - run a function node by node.
 *
 * Symbols live from evaluator_new to evaluator_free, inputs until the batch changes, values of a run until the next
 * run. Every node gets memory of its own and its operator's eval rule fills it. A region runs as a frame of its own
 * inside the frame of the graph that holds it; its results stay with that outer frame, where `result` nodes find them.
 */
#include "ir/ops/rules.h"
#include <stdlib.h>
#include <string.h>

eval_rule *const eval_rules[IR_NOPS] = {
#define OP(ID, name, ...) [IR_##ID] = eval_##name,
#include "ir/ops.def"
};

/* What a node gave: one tensor, or a region operator's several. */
typedef struct {
    const ir_node *node;
    const eval_tensor *result; /* result 0, 1, ... */
} value;

/* The values of one graph under way, by node: a hash table, since a reader's graph is not ours to number. */
typedef struct frame frame;
struct frame {
    frame *outer;
    size_t capacity; /* a power of two above twice the count of nodes */
    value *values;
};

typedef struct {
    const ir_graph *function;
    int index;
    eval_tensor tensor;
} input_slot;

static const char *const fields[] = {"learning_rate", "loss_scale", "micro_batch", "sgemm"};
enum { FIELDS = sizeof fields / sizeof *fields };

struct evaluator {
    const ir_module *module;
    eval_mode mode;
    int64_t batch;
    double field[FIELDS];
    int symbol_count, input_count, result_count;
    eval_tensor *symbols; /* in module order */
    input_slot *inputs;
    const eval_tensor **results;
    frame *frame;
    arena *mem;       /* symbols */
    arena *input_mem; /* until the batch changes */
    arena *run_mem;   /* until the next run */
};

/* ---- tensors ---- */

int64_t evaluator_bytes(const evaluator *e, const eval_tensor *t)
{
    return ir_count(&t->type, t->batch) * element_size(e->mode, t->type.dtype);
}

static eval_tensor make_tensor(const evaluator *e, arena *mem, ir_type type)
{
    eval_tensor t = {.type = type, .batch = e->batch};
    t.data = arena_array(mem, (size_t)evaluator_bytes(e, &t), 1);
    return t;
}

double evaluator_get(const evaluator *e, const eval_tensor *t, int64_t index)
{
    elements v;
    elements_load(e->mode, t, index, 1, &v);
    return ir_dtype_is_float(t->type.dtype) ? v.real[0] : (double)v.whole[0];
}

void evaluator_put(const evaluator *e, eval_tensor *t, int64_t index, double number)
{
    elements v;
    if (ir_dtype_is_float(t->type.dtype))
        v.real[0] = number;
    else
        v.whole[0] = whole_from_real(number, t->type.dtype);
    elements_store(e->mode, t, index, 1, &v);
}

/* ---- the environment ---- */

evaluator *evaluator_new(const ir_module *m, eval_mode mode, int64_t batch)
{
    arena *mem = arena_new();
    evaluator *e = arena_make(mem, evaluator);
    *e = (evaluator){.module = m, .mode = mode, .batch = batch, .mem = mem};
    e->input_mem = arena_new();
    for (const ir_symbol *s = m->symbols; s; s = s->next)
        e->symbol_count++;
    e->symbols = arena_new_array(mem, eval_tensor, (size_t)e->symbol_count + 1);
    int i = 0;
    for (const ir_symbol *s = m->symbols; s; s = s->next)
        e->symbols[i++] = make_tensor(e, mem, s->type);
    return e;
}

void evaluator_free(evaluator *e)
{
    if (!e)
        return;
    arena_free(e->run_mem);
    arena_free(e->input_mem);
    arena_free(e->mem);
}

/* Symbols stay, but those that have the batch are as large as it: they start at zero again. */
void evaluator_set_batch(evaluator *e, int64_t batch)
{
    arena_free(e->input_mem);
    e->input_mem = arena_new();
    e->inputs = NULL;
    e->input_count = 0;
    bool changed = batch != e->batch;
    e->batch = batch;
    for (int i = 0; i < e->symbol_count; i++)
        if (changed && ir_batch_dim(&e->symbols[i].type) >= 0)
            e->symbols[i] = make_tensor(e, e->mem, e->symbols[i].type);
}

static int field_index(const char *field)
{
    for (int i = 0; i < FIELDS; i++)
        if (!strcmp(fields[i], field))
            return i;
    ir_bug("a call has no field '%s'", field);
}

void evaluator_set_call_value(evaluator *e, const char *field, double number)
{
    e->field[field_index(field)] = number;
}

double eval_call_field(const eval_context *c, const char *field)
{
    return c->env->field[field_index(field)];
}

eval_tensor *evaluator_symbol(evaluator *e, const char *name)
{
    int i = 0;
    for (const ir_symbol *s = e->module->symbols; s; s = s->next, i++)
        if (!strcmp(s->name, name))
            return &e->symbols[i];
    return NULL;
}

eval_tensor *eval_symbol(const eval_context *c, const ir_symbol *symbol)
{
    int i = 0;
    for (const ir_symbol *s = c->env->module->symbols; s; s = s->next, i++)
        if (s == symbol)
            return &c->env->symbols[i];
    ir_bug("symbol @%s is not the module's", symbol->name);
}

eval_tensor *evaluator_input(evaluator *e, const ir_graph *f, int index)
{
    for (int i = 0; i < e->input_count; i++)
        if (e->inputs[i].function == f && e->inputs[i].index == index)
            return &e->inputs[i].tensor;
    if (!e->inputs) {
        /* All at once, so that what was handed out never moves. */
        int all = 0;
        for (const ir_graph *g = e->module->functions; g; g = g->next)
            all += g->ninputs;
        e->inputs = arena_new_array(e->input_mem, input_slot, (size_t)all + 1);
    }
    input_slot *slot = &e->inputs[e->input_count++];
    *slot = (input_slot){f, index, make_tensor(e, e->input_mem, f->inputs[index]->type)};
    return &slot->tensor;
}

/* ---- frames ---- */

static value *find(const frame *f, const ir_node *n)
{
    size_t i = ((uintptr_t)n >> 4) * 0x9E3779B97F4A7C15u >> 20;
    for (;; i++) {
        value *v = &f->values[i & (f->capacity - 1)];
        if (!v->node || v->node == n)
            return v;
    }
}

static const eval_tensor *look_up(const frame *f, const ir_node *n)
{
    const value *v = find(f, n);
    if (!v->node)
        ir_bug("%s is used before it is computed", ir_ops[n->op].name);
    return v->result;
}

static void keep(frame *f, const ir_node *n, const eval_tensor *result)
{
    *find(f, n) = (value){n, result};
}

static frame *open_frame(eval_context *c, const ir_graph *g)
{
    size_t count = (size_t)g->ninputs;
    for (const ir_node *n = g->first; n; n = n->next)
        count++;
    frame *f = arena_make(c->mem, frame);
    for (f->capacity = 8; f->capacity < 2 * count + 2; f->capacity *= 2)
        ;
    f->values = arena_new_array(c->mem, value, f->capacity);
    f->outer = c->env->frame;
    return c->env->frame = f;
}

static void run_node(eval_context *c, const ir_node *n)
{
    const eval_tensor **in = arena_new_array(c->mem, const eval_tensor *, (size_t)n->nin + 1);
    for (int i = 0; i < n->nin; i++)
        in[i] = look_up(c->env->frame, n->in[i]);
    int results = n->region && n->region->nresults > 1 ? n->region->nresults : 1;
    eval_tensor *out = arena_new_array(c->mem, eval_tensor, (size_t)results);
    if (n->type.dtype != IR_NONE && !n->region)
        *out = make_tensor(c->env, c->mem, n->type);
    keep(c->env->frame, n, out);
    eval_rules[n->op](c, n, in, out);
}

/* The tensors inside the region serve as results. */
void eval_region(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    frame *f = open_frame(c, n->region);
    for (int i = 0; i < n->nin; i++)
        keep(f, n->region->inputs[i], in[i]);
    for (const ir_node *inner = n->region->first; inner; inner = inner->next)
        run_node(c, inner);
    for (int i = 0; i < n->region->nresults; i++)
        out[i] = *look_up(f, n->region->results[i]);
    c->env->frame = f->outer;
}

const eval_tensor *eval_region_result(const eval_context *c, const ir_node *n, int64_t index)
{
    return look_up(c->env->frame, n) + index;
}

/* ---- a run ---- */

/* What stands in no rule: a size this machine cannot hold for this batch. */
static bool check_size(const evaluator *e, const ir_node *n, diag *d)
{
    if (n->type.dtype == IR_NONE || ir_static_count(&n->type) <= INT64_MAX / 16 / e->batch)
        return true;
    diag_error(d, n->loc, "%s: expected fewer than 2^59 elements, found more at batch size %lld", ir_ops[n->op].name,
               (long long)e->batch);
    return false;
}

static bool check_sizes(const evaluator *e, const ir_graph *g, diag *d)
{
    for (const ir_node *n = g->first; n; n = n->next)
        for (const ir_node *x = n; x; x = ir_inside(n, x))
            if (!check_size(e, x, d))
                return false;
    return true;
}

bool evaluator_run(evaluator *e, const ir_graph *f, diag *d)
{
    arena_free(e->run_mem);
    e->run_mem = arena_new();
    e->result_count = 0;
    if (!check_sizes(e, f, d))
        return false;
    eval_context c = {e->mode, e->batch, e->run_mem, e};
    e->frame = NULL;
    frame *top = open_frame(&c, f);
    for (int i = 0; i < f->ninputs; i++)
        keep(top, f->inputs[i], evaluator_input(e, f, i));
    for (const ir_node *n = f->first; n; n = n->next)
        run_node(&c, n);
    e->results = arena_new_array(c.mem, const eval_tensor *, (size_t)f->nresults + 1);
    for (int i = 0; i < f->nresults; i++)
        e->results[i] = look_up(top, f->results[i]);
    e->result_count = f->nresults;
    return true;
}

const eval_tensor *evaluator_result(const evaluator *e, int index)
{
    if (index < 0 || index >= e->result_count)
        ir_bug("result %d of a run that gave %d", index, e->result_count);
    return e->results[index];
}

const eval_tensor *evaluator_value(const evaluator *e, const ir_node *n)
{
    return look_up(e->frame, n);
}
