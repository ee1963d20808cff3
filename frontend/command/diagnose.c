/* frontend/command/diagnose.c - where the first number came from that is none.
 *
 * Nothing is looked at while a run goes well. Once its loss or its parameters are not finite, the run is done again
 * from its last checkpoint, to the same bits; its last two steps, as what breaks in one step may show in the loss of
 * the next one, go through the reference evaluator first, which has the value of every node. From the first value that
 * a step keeps and that is not finite the way leads back along operands that are not either, to a node whose operands
 * all are: that an infinity stands somewhere is no fault as long as nothing comes of it. */
#include "frontend/command/data.h"
#include "frontend/command/session.h"
#include "ir/ops/eval.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    cmd_session *run;
    lamina_model *model;
    const lamina_net *net;
    ir_module *module;
    const ir_graph *step; /* function train_step */
    evaluator *values;
    int64_t last; /* the step that failed */
    bool found;
} diagnosis;

/* ---- values ---- */

static int64_t elements(const diagnosis *g, const eval_tensor *t)
{
    size_t size = ir_dtype_size(t->type.dtype);
    return size ? evaluator_bytes(g->values, t) / (int64_t)size : 0;
}

/* The first element that is not finite, or -1. */
static int64_t find_broken(const diagnosis *g, const ir_node *n)
{
    const eval_tensor *t = evaluator_value(g->values, n);
    if (!ir_dtype_is_float(t->type.dtype))
        return -1;
    for (int64_t i = 0, count = elements(g, t); i < count; i++)
        if (!isfinite(evaluator_get(g->values, t, i)))
            return i;
    return -1;
}

static double largest(const diagnosis *g, const ir_node *n)
{
    double most = 0;
    for (int k = 0; k < n->nin; k++) {
        const eval_tensor *t = evaluator_value(g->values, n->in[k]);
        for (int64_t i = 0, count = ir_dtype_is_float(t->type.dtype) ? elements(g, t) : 0; i < count; i++)
            most = fmax(most, fabs(evaluator_get(g->values, t, i)));
    }
    return most;
}

/* The first of its operands that is not finite, or NULL. */
static const ir_node *broken_operand(const diagnosis *g, const ir_node *n)
{
    const ir_node *first = NULL;
    for (int i = 0; i < n->nin; i++)
        if ((!first || n->in[i]->id < first->id) && find_broken(g, n->in[i]) >= 0)
            first = n->in[i];
    return first;
}

static const ir_node *find_culprit(const diagnosis *g)
{
    for (const ir_node *n = g->step->first; n; n = n->next) {
        const ir_node *bad = n->op == IR_ASSIGN ? broken_operand(g, n) : NULL;
        for (const ir_node *before; bad && (before = broken_operand(g, bad));)
            bad = before;
        if (bad)
            return bad;
    }
    return NULL;
}

/* ---- words ---- */

/* "layer.weight_gradient" */
static void tell(const diagnosis *g, const ir_node *n, int64_t step)
{
    const char *label = n->label ? n->label : "", *dot = strchr(label, '.');
    double value = evaluator_get(g->values, evaluator_value(g->values, n), find_broken(g, n));
    diag *d = g->run->d;
    if (n->op == IR_PARAM || n->op == IR_STATE)
        diag_note(d, n->loc, "'%s' holds %g before step %" PRId64, n->symbol->name, value, step);
    else if (n->op == IR_INPUT)
        diag_note(d, n->loc, "step %" PRId64 " reads %g from input '%s'", step, value, n->name);
    else
        diag_note(d, n->loc, "step %" PRId64 ": first in '%.*s', %s: %s makes %g of numbers up to %.3g", step,
                  dot ? (int)(dot - label) : (int)strlen(label), label, dot ? dot + 1 : "its value", ir_ops[n->op].name,
                  value, largest(g, n));
}

/* ---- a step ---- */

static bool set_symbols(diagnosis *g)
{
    for (const ir_symbol *y = g->module->symbols; y; y = y->next) {
        eval_tensor *t = evaluator_symbol(g->values, y->name);
        size_t bytes = (size_t)evaluator_bytes(g->values, t);
        bool kept = y->segment == SEG_PARAM || y->segment == SEG_STATE;
        if (kept && lamina_get_tensor(g->model, y->name, t->data, bytes, NULL) != LAMINA_OK)
            return false;
    }
    return true;
}

static void set_inputs(diagnosis *g, const void *const *inputs, int64_t from)
{
    for (int i = 0; i < g->step->ninputs; i++) {
        int32_t input = lamina_net_input(g->net, g->step->inputs[i]->name);
        eval_tensor *t = evaluator_input(g->values, g->step, i);
        if (input >= 0)
            memcpy(t->data, (const char *)inputs[input] + (size_t)from * g->net->inputs[input].bytes,
                   (size_t)evaluator_bytes(g->values, t));
    }
}

/* One micro-batch of a step. */
static void look_at(diagnosis *g, const void *const *inputs, int64_t from, int64_t count, int64_t all)
{
    const int64_t micro_batch = from / g->net->max_batch;
    evaluator_set_batch(g->values, count);
    evaluator_set_call_value(g->values, "learning_rate", (double)lamina_learning_rate(g->model));
    evaluator_set_call_value(g->values, "loss_scale", 1.0 / (double)all);
    evaluator_set_call_value(g->values, "micro_batch", (double)micro_batch);
    if (!set_symbols(g))
        return;
    set_inputs(g, inputs, from);
    const ir_node *culprit = evaluator_run(g->values, g->step, g->run->d) ? find_culprit(g) : NULL;
    if (!culprit)
        return;
    tell(g, culprit, lamina_steps(g->model) + 1);
    g->found = true;
}

static void before_step(void *user, const void *const *inputs, int64_t count)
{
    diagnosis *g = user;
    int64_t most = g->net->max_batch;
    if (lamina_steps(g->model) + 1 < g->last - 1)
        return;
    for (int64_t from = 0; from < count && !g->found; from += most)
        look_at(g, inputs, from, count - from < most ? count - from : most, count);
}

/* ---- the run once more ---- */

static bool prepare(diagnosis *g)
{
    const pass_options o = {.stop_after = "optimize_update"};
    g->module = cmd_module(g->run->net, &g->run->o->build, g->run->d);
    g->step = g->module && passes_run(g->module, &o, g->run->d) ? ir_function_find(g->module, "train_step") : NULL;
    if (!g->step)
        return false;
    ir_number((ir_graph *)g->step);
    g->values = evaluator_new(g->module, EVAL_F32, 1);
    return true;
}

void cmd_diagnose(cmd_session *s, lamina_model *m, const lamina_dataset *train, const lamina_fit_options *fit,
                  const lamina_checkpoint *run)
{
    diagnosis g = {.run = s, .model = m, .net = lamina_model_net(m), .last = lamina_steps(m)};
    lamina_checkpoint at;
    if (prepare(&g) && lamina_load_checkpoint(m, s->checkpoint, run, &at, NULL) == LAMINA_OK &&
        lamina_steps(m) < g.last) {
        lamina_fit_options again = *fit;
        again.first_epoch = at.epoch;
        again.first_step = at.step;
        again.max_steps = g.last - lamina_steps(m);
        again.report = NULL;
        again.before = before_step;
        again.user = &g;
        lamina_fit(m, train, &again, NULL, NULL); /* which fails as it did before */
    }
    evaluator_free(g.values);
    ir_module_free(g.module);
}
