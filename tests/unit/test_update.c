/* tests/unit/test_update.c - what is learned, and how: frozen layers, groups, clipped gradients.
 *
 * Steps of small nets in the f32 evaluator, whose bits generated code has (suites matrix and random), against what must
 * come out by a way of its own: a frozen layer next to the same net without one, a group next to a net that is
 * all of its kind, a norm by the rule written out. */
#include "frontend/frontend.h"
#include "ir/ops/eval.h"
#include "passes/labels.h"
#include "passes/passes.h"
#include "tests/unit/any_target.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 11, CLASSES = 5 };

static const float RATE = 0.03f;

/* ---- a net and the evaluator that trains it ---- */

typedef struct {
    ir_module *m;
    evaluator *e;
} learner;

static ir_module *compiled_as(const char *yaml, const char *partition, const char *stop_after)
{
    arena *mem = arena_new();
    diag *d = diag_new();
    const pass_options o = {.stop_after = stop_after};
    fe_network *n = fe_read_text(yaml, strlen(yaml), "net.yaml", mem, d);
    ir_module *m = n ? fe_build(n, d) : NULL;
    if (m) {
        m->target = any_target;
        ir_attr_set_word(m->mem, &m->attrs, "partition", partition);
    }
    bool ok = m && passes_run(m, &o, d);
    text messages = {0};
    diag_print(d, &messages, false);
    fputs(text_get(&messages), stderr);
    text_free(&messages);
    diag_free(d);
    arena_free(mem);
    if (!ok)
        abort();
    return m;
}

static ir_module *compiled(const char *yaml, const char *stop_after)
{
    return compiled_as(yaml, "fused", stop_after);
}

static ir_module *staged(const char *yaml)
{
    return compiled_as(yaml, "staged", NULL);
}

/* Numbers in [-1, 1) that differ from call to call. */
static double noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / 8388608.0 - 1.0;
}

/* Of parameters, by their order; other symbols start as the module says. */
static void fill_symbols(learner *l)
{
    uint32_t seed = 7;
    for (const ir_symbol *y = l->m->symbols; y; y = y->next) {
        eval_tensor *t = evaluator_symbol(l->e, y->name);
        const ir_attr *a = ir_attr_find(y->attrs, "a");
        for (int64_t i = 0; i < ir_static_count(&y->type); i++)
            evaluator_put(l->e, t, i, y->segment == SEG_PARAM ? noise(&seed) : a ? a->number[0] : 0);
    }
}

static learner learner_new(const char *yaml)
{
    learner l = {.m = compiled(yaml, "cleanup")};
    l.e = evaluator_new(l.m, EVAL_F32, BATCH);
    evaluator_set_call_value(l.e, "learning_rate", RATE);
    evaluator_set_call_value(l.e, "loss_scale", 1.0f / BATCH);
    fill_symbols(&l);
    return l;
}

static void learner_free(learner *l)
{
    evaluator_free(l->e);
    ir_module_free(l->m);
}

static void call(learner *l, const char *function)
{
    diag *d = diag_new();
    const ir_graph *f = ir_function_find(l->m, function);
    if (!f)
        abort();
    for (int i = 0; i < f->ninputs; i++) {
        eval_tensor *t = evaluator_input(l->e, f, i);
        uint32_t seed = 100 + (uint32_t)i;
        for (int64_t k = 0; k < ir_count(&t->type, t->batch); k++)
            evaluator_put(l->e, t, k, t->type.dtype == IR_I32 ? (double)(k % CLASSES) : noise(&seed));
    }
    CU_ASSERT(evaluator_run(l->e, f, d));
    diag_free(d);
}

static bool same(const learner *a, const learner *b, const char *symbol)
{
    const eval_tensor *x = evaluator_symbol(a->e, symbol), *y = evaluator_symbol(b->e, symbol);
    CU_ASSERT_FATAL(x && y);
    return !memcmp(x->data, y->data, (size_t)evaluator_bytes(a->e, x));
}

/* ---- frozen layers ---- */

/* Frozen below everything that is trained, and between. 'frozen' is what to say of these layers. */
static char *deep_net(arena *mem, const char *frozen)
{
    return arena_printf(mem,
                        "inputs: {x: [6, 6, 2], y: {shape: [], dtype: int32}}\n"
                        "layers:\n"
                        "  - conv2d: {name: low, filters: 3, kernel_size: 3, activation: relu%s}\n"
                        "  - layer_norm: {name: norm%s}\n"
                        "  - flatten\n"
                        "  - dense: {name: middle, units: 7, activation: tanh}\n"
                        "  - dense: {name: fixed, units: 6, activation: gelu%s}\n"
                        "  - dense: {name: top, units: 5}\n"
                        "losses: [softmax_cross_entropy]\n"
                        "optimizer: {adam: {learning_rate: 0.03}}\n"
                        "train: {batch: 16}\n",
                        frozen, frozen, frozen);
}

static bool is_frozen(const char *name)
{
    return !strncmp(name, "low.", 4) || !strncmp(name, "norm.", 5) || !strncmp(name, "fixed.", 6);
}

/* Nobody's gradient depends on whether other layers learn: the first step of those that do is the same. */
static void frozen_layers_stay(void)
{
    arena *mem = arena_new();
    learner all = learner_new(deep_net(mem, "")), some = learner_new(deep_net(mem, ", trainable: false")),
            unmoved = learner_new(deep_net(mem, ""));
    call(&all, "train_step");
    call(&some, "train_step");
    int frozen = 0, moved = 0;
    for (const ir_symbol *y = all.m->symbols; y; y = y->next)
        if (y->segment == SEG_PARAM) {
            frozen += is_frozen(y->name);
            moved += !same(&all, &unmoved, y->name);
            CU_ASSERT(same(&some, is_frozen(y->name) ? &unmoved : &all, y->name));
        }
    CU_ASSERT_EQUAL(frozen, 6);
    CU_ASSERT_EQUAL(moved, 10);
    learner_free(&all);
    learner_free(&some);
    learner_free(&unmoved);
    arena_free(mem);
}

/* Its own batch's statistics neither normalise in training nor move the running ones. */
static void frozen_batch_norm(void)
{
    static const char yaml[] = "inputs: {x: [4], y: [3]}\n"
                               "layers:\n"
                               "  - dense: {name: low, units: 4, use_bias: false}\n"
                               "  - batch_norm: {name: norm, momentum: 0.5, trainable: false}\n"
                               "  - dense: {name: top, units: 3}\n"
                               "losses: [mean_squared_error]\n"
                               "optimizer: sgd\n";
    learner l = learner_new(yaml), unmoved = learner_new(yaml);
    call(&l, "evaluate");
    double inference = evaluator_get(l.e, evaluator_symbol(l.e, "metric.loss"), 0);
    evaluator_put(l.e, evaluator_symbol(l.e, "metric.loss"), 0, 0);
    call(&l, "train_step");
    CU_ASSERT_EQUAL(evaluator_get(l.e, evaluator_symbol(l.e, "metric.loss"), 0), inference);
    CU_ASSERT(same(&l, &unmoved, "norm.moving_mean"));
    CU_ASSERT(same(&l, &unmoved, "norm.moving_variance"));
    CU_ASSERT(same(&l, &unmoved, "norm.gamma"));
    CU_ASSERT_FALSE(same(&l, &unmoved, "low.weight"));
    learner_free(&l);
    learner_free(&unmoved);
}

static int64_t bytes_of(const ir_module *m, const char *segment)
{
    const ir_attr *a = ir_attr_find(m->attrs, segment);
    return a ? (int64_t)a->number[0] : 0;
}

/* Kernels of a layer in one of the roles that learning has. */
static int count_learning(const ir_module *m, const char *layer, bool below)
{
    int count = 0;
    arena *mem = arena_new();
    for (const ir_graph *g = m->functions; g; g = g->next)
        for (const ir_node *n = g->first; n; n = n->next) {
            const char *of = label_layer(mem, n->label), *role = n->label ? label_role(n->label) : "";
            if (n->op == IR_FUSED && of && !strcmp(of, layer))
                count += !strncmp(role, "weight_gradient", 15) || !strncmp(role, "bias_gradient", 13) ||
                         !strcmp(role, "update") || (below && strcmp(role, "forward"));
        }
    arena_free(mem);
    return count;
}

/* Neither code nor memory: conv and norm have no backward kernel at all, as nothing below them learns. */
static void frozen_layers_cost_nothing(void)
{
    arena *mem = arena_new();
    ir_module *all = compiled(deep_net(mem, ""), NULL), *some = compiled(deep_net(mem, ", trainable: false"), NULL);
    int64_t of_frozen = 0;
    for (const ir_symbol *y = some->symbols; y; y = y->next) {
        if (y->segment == SEG_PARAM && is_frozen(y->name))
            of_frozen += ir_static_count(&y->type) * (int64_t)sizeof(float);
        if (y->segment != SEG_PARAM && strchr(y->name, '/'))
            CU_ASSERT_FALSE(is_frozen(strchr(y->name, '/') + 1));
    }
    CU_ASSERT(bytes_of(all, "gradient_bytes") >= bytes_of(some, "gradient_bytes") + of_frozen);
    CU_ASSERT(bytes_of(all, "state_bytes") >= bytes_of(some, "state_bytes") + 2 * of_frozen);
    CU_ASSERT_EQUAL(bytes_of(all, "params_bytes"), bytes_of(some, "params_bytes"));
    CU_ASSERT(count_learning(all, "low", true) > 0 && count_learning(all, "fixed", false) > 0);
    CU_ASSERT_EQUAL(count_learning(some, "low", true), 0);
    CU_ASSERT_EQUAL(count_learning(some, "norm", true), 0);
    CU_ASSERT_EQUAL(count_learning(some, "fixed", false), 0);
    ir_module_free(all);
    ir_module_free(some);
    arena_free(mem);
}

/* ---- groups ---- */

static char *grouped_net(arena *mem, const char *optimizer, const char *groups)
{
    return arena_printf(mem,
                        "inputs: {x: [6], y: [3]}\n"
                        "layers:\n"
                        "  - dense: {name: low, units: 5}\n"
                        "  - dense: {name: middle, units: 4}\n"
                        "  - dense: {name: top, units: 3}\n"
                        "losses: [mean_squared_error]\n"
                        "optimizer: %s\n%s",
                        optimizer, groups);
}

/* A parameter's gradient in a step, whatever others there are. */
static void fill_gradient(learner *l, const ir_symbol *y, int step)
{
    uint32_t seed = 3 + (uint32_t)step;
    for (const char *c = y->name; *c; c++)
        seed = 31 * seed + (uint32_t)*c;
    for (int64_t i = 0; i < ir_static_count(&y->type); i++)
        evaluator_put(l->e, evaluator_symbol(l->e, y->name), i, noise(&seed));
}

/* Updates from gradients that are the same for every net of these layers. */
static learner updated(const char *yaml, double rate)
{
    learner l = learner_new(yaml);
    evaluator_set_call_value(l.e, "learning_rate", rate);
    for (int step = 0; step < 4; step++) {
        for (const ir_symbol *y = l.m->symbols; y; y = y->next)
            if (y->segment == SEG_GRADIENT)
                fill_gradient(&l, y, step);
        call(&l, "update");
    }
    return l;
}

/* Every group's parameters and moments are those of a net that learns by its optimizer alone, at its rate. */
static void groups_learn_by_their_own(void)
{
    static const char low[] = "{sgd: {learning_rate: 0.06, momentum: 0.9}}",
                      middle[] = "{adam: {learning_rate: 0.015, beta_1: 0.8}}", top[] = "{adam: {learning_rate: 0.03}}";
    arena *mem = arena_new();
    const char *groups = arena_printf(mem,
                                      "groups:\n  - {name: a, layers: [low], optimizer: %s}\n"
                                      "  - {name: b, layers: [middle], optimizer: %s}\n",
                                      low, middle);
    learner all = updated(grouped_net(mem, top, groups), RATE), of_low = updated(grouped_net(mem, low, ""), 2 * RATE),
            of_middle = updated(grouped_net(mem, middle, ""), RATE / 2),
            of_top = updated(grouped_net(mem, top, ""), RATE);
    CU_ASSERT(same(&all, &of_low, "low.weight") && same(&all, &of_low, "low.bias"));
    CU_ASSERT(same(&all, &of_low, "sgd.velocity/low.weight"));
    CU_ASSERT(same(&all, &of_middle, "middle.weight") && same(&all, &of_middle, "middle.bias"));
    CU_ASSERT(same(&all, &of_middle, "adam.v/middle.weight"));
    CU_ASSERT(same(&all, &of_top, "top.weight") && same(&all, &of_top, "top.bias"));
    CU_ASSERT(same(&all, &of_top, "adam.m/top.bias") && same(&all, &of_top, "step"));
    CU_ASSERT_FALSE(same(&all, &of_top, "low.weight") || same(&all, &of_top, "middle.weight"));
    CU_ASSERT_PTR_NOT_NULL(ir_symbol_find(all.m, "adam.beta_1_power/b")); /* another beta than the net's */
    CU_ASSERT_PTR_NULL(ir_symbol_find(all.m, "adam.beta_2_power/b"));
    CU_ASSERT_PTR_NULL(ir_symbol_find(all.m, "adam.m/low.weight"));
    learner_free(&all);
    learner_free(&of_low);
    learner_free(&of_middle);
    learner_free(&of_top);
    arena_free(mem);
}

/* The first pattern counts: of layers and parameters, for optimizers, rates and what is frozen. */
static void patterns_learn_as_they_say(void)
{
    static const char low[] = "{sgd: {learning_rate: 0.06, momentum: 0.9}}", net[] = "{adam: {learning_rate: 0.03}}";
    arena *mem = arena_new();
    const char *groups = arena_printf(mem,
                                      "groups: {\"middle.bias\": {frozen: true}, l?w: {optimizer: %s},\n"
                                      "  \"[m]*\": {learning_rate: 0.5x}, \"t*.weight\": {}, \"*\": {frozen: true}}\n",
                                      low);
    learner all = updated(grouped_net(mem, net, groups), RATE), of_low = updated(grouped_net(mem, low, ""), 2 * RATE),
            of_middle = updated(grouped_net(mem, net, ""), RATE / 2), of_top = updated(grouped_net(mem, net, ""), RATE);
    CU_ASSERT(same(&all, &of_low, "low.weight") && same(&all, &of_low, "sgd.velocity/low.bias"));
    CU_ASSERT_PTR_NULL(ir_symbol_find(all.m, "gradient/middle.bias"));
    CU_ASSERT_PTR_NULL(ir_symbol_find(all.m, "gradient/top.bias"));
    CU_ASSERT(same(&all, &of_middle, "middle.weight") && same(&all, &of_middle, "adam.v/middle.weight"));
    CU_ASSERT(same(&all, &of_top, "top.weight") && !same(&all, &of_top, "middle.weight"));
    learner_free(&all);
    learner_free(&of_low);
    learner_free(&of_middle);
    learner_free(&of_top);
    arena_free(mem);
}

/* A pattern of parameters means vectors too. */
static void patterns_decay_what_they_name(void)
{
    arena *mem = arena_new();
    learner plain = updated(grouped_net(mem, "sgd", ""), RATE),
            layers = updated(grouped_net(mem, "sgd", "groups: {\"*\": {weight_decay: 0.5}}\n"), RATE),
            biases = updated(grouped_net(mem, "sgd", "groups: {\"*.bias\": {weight_decay: 0.5}}\n"), RATE);
    CU_ASSERT(same(&plain, &layers, "low.bias") && !same(&plain, &layers, "low.weight"));
    CU_ASSERT(!same(&plain, &biases, "low.bias") && same(&plain, &biases, "low.weight"));
    learner_free(&plain);
    learner_free(&layers);
    learner_free(&biases);
    arena_free(mem);
}

/* Rank 4, 2, 1 and rows longer than the sum has chains. */
static char *clipped_net(arena *mem, const char *clip)
{
    return arena_printf(mem,
                        "inputs: {x: [6, 6, 2], y: {shape: [], dtype: int32}}\n"
                        "layers:\n"
                        "  - conv2d: {name: conv, filters: 3, kernel_size: 3, activation: relu}\n"
                        "  - flatten\n"
                        "  - dense: {name: middle, units: 37, activation: tanh}\n"
                        "  - dense: {name: top, units: 5}\n"
                        "losses: [softmax_cross_entropy]\n"
                        "optimizer: {sgd: {learning_rate: 0.03}}\n"
                        "train: {batch: 16%s}\n",
                        clip);
}

/* A layer that a pattern freezes is frozen in all that this means. */
static void patterns_freeze_layers(void)
{
    arena *mem = arena_new();
    learner keys = learner_new(deep_net(mem, ", trainable: false")),
            patterns = learner_new(arena_printf(mem, "%sgroups: {\"[ln]o*\": {frozen: true}, fixed: {frozen: true}}\n",
                                                deep_net(mem, "")));
    call(&keys, "train_step");
    call(&patterns, "train_step");
    for (const ir_symbol *y = keys.m->symbols; y; y = y->next)
        CU_ASSERT(same(&keys, &patterns, y->name));
    CU_ASSERT_EQUAL(count_learning(patterns.m, "low", true), 0);
    CU_ASSERT_PTR_NULL(ir_symbol_find(patterns.m, "adam.m/fixed.weight"));
    learner_free(&keys);
    learner_free(&patterns);
    arena_free(mem);
}

static double evaluated(learner *l)
{
    evaluator_put(l->e, evaluator_symbol(l->e, "metric.loss"), 0, 0);
    call(l, "evaluate");
    return evaluator_get(l->e, evaluator_symbol(l->e, "metric.loss"), 0);
}

/* After the first step the mean is the values, to rounding; then it stays behind, in inference alone. */
static void inference_reads_averages(void)
{
    arena *mem = arena_new();
    learner plain = learner_new(clipped_net(mem, "")), mean = learner_new(clipped_net(mem, ", averaging: {ema: 0.9}"));
    call(&plain, "train_step");
    call(&mean, "train_step");
    CU_ASSERT_DOUBLE_EQUAL(evaluated(&plain), evaluated(&mean), 1e-5);
    call(&plain, "train_step");
    call(&mean, "train_step");
    CU_ASSERT(fabs(evaluated(&plain) - evaluated(&mean)) > 1e-3);
    CU_ASSERT(same(&plain, &mean, "conv.weight") && same(&plain, &mean, "top.bias"));
    CU_ASSERT_PTR_NULL(ir_symbol_find(plain.m, "average/top.bias"));
    learner_free(&plain);
    learner_free(&mean);
    arena_free(mem);
}

/* A run may go on at other rates; with another optimizer in a group it is another net. */
static void rates_are_no_part_of_the_hash(void)
{
    static const char *const groups[] = {"groups: [{name: a, layers: [low], optimizer: {sgd: {learning_rate: 0.1}}}]\n",
                                         "groups: [{name: a, layers: [low], optimizer: {sgd: {learning_rate: 0.2}}}]\n",
                                         "groups: [{name: a, layers: [low], optimizer: {sgd: {momentum: 0.5}}}]\n"};
    arena *mem = arena_new();
    const char *hash[3];
    for (int i = 0; i < 3; i++) {
        ir_module *m = compiled(grouped_net(mem, "sgd", groups[i]), "simplify");
        hash[i] = arena_strdup(mem, ir_attr_find(m->attrs, "hash")->word);
        ir_module_free(m);
    }
    CU_ASSERT_STRING_EQUAL(hash[0], hash[1]);
    CU_ASSERT_STRING_NOT_EQUAL(hash[0], hash[2]);
    arena_free(mem);
}

/* ---- clipped gradients ---- */

/* Element i goes to chain i mod 16; the chains add as 8 and 8, 4 and 4, ... */
static float sum_of_row(const float *x, int64_t count)
{
    float chain[16] = {0};
    for (int64_t i = 0; i < count; i++)
        chain[i % 16] += x[i] * x[i];
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++)
            chain[i] += chain[i + half];
    return chain[0];
}

/* Of one gradient, or of all. */
static float norm_of(const learner *l, const char *gradient)
{
    float all = 0;
    for (const ir_symbol *y = l->m->symbols; y; y = y->next) {
        if (y->segment != SEG_GRADIENT || (gradient && strcmp(y->name, gradient)))
            continue;
        const float *x = evaluator_symbol(l->e, y->name)->data;
        int64_t count = ir_static_count(&y->type), row = y->type.dim[y->type.rank - 1].n;
        float own = 0;
        for (int64_t i = 0; i < count; i += row)
            own += sum_of_row(x + i, row);
        all += own;
    }
    return sqrtf(all);
}

/* By the norm of each ('each') or of all together. */
static float clip_factor(const learner *l, bool each, const char *gradient, float most)
{
    float norm = norm_of(l, each ? gradient : NULL);
    return most / norm < 1 ? most / norm : 1;
}

/* Does each parameter stand where its clipped gradient leads, from where 'from' has it? */
static bool moved_by(const learner *l, const learner *from, bool each, float most)
{
    bool ok = true;
    for (const ir_symbol *y = l->m->symbols; y; y = y->next) {
        if (y->segment != SEG_PARAM)
            continue;
        char name[64];
        snprintf(name, sizeof name, "gradient/%s", y->name);
        const float *g = evaluator_symbol(l->e, name)->data, *w = evaluator_symbol(from->e, y->name)->data,
                    *got = evaluator_symbol(l->e, y->name)->data, factor = clip_factor(l, each, name, most);
        for (int64_t i = 0; i < ir_static_count(&y->type); i++)
            ok &= got[i] == w[i] - RATE * (factor * g[i]);
    }
    return ok;
}

static void clip_and_check(const char *kind, float most)
{
    arena *mem = arena_new();
    const char *clip = arena_printf(mem, ", gradient_clip: {%s: %.9g}", kind, most);
    learner l = learner_new(clipped_net(mem, clip)), whole = learner_new(clipped_net(mem, clip)),
            unmoved = learner_new(clipped_net(mem, ""));
    call(&l, "gradients");
    float norm = norm_of(&l, NULL);
    CU_ASSERT(norm > 0.1f && norm < 10);
    call(&l, "update");
    CU_ASSERT(moved_by(&l, &unmoved, !strcmp(kind, "norm"), most));
    call(&whole, "train_step");
    for (const ir_symbol *y = l.m->symbols; y; y = y->next)
        CU_ASSERT(y->segment != SEG_PARAM || same(&l, &whole, y->name));
    learner_free(&l);
    learner_free(&whole);
    learner_free(&unmoved);
    arena_free(mem);
}

static void clipping(void)
{
    clip_and_check("global_norm", 0.01f);
    clip_and_check("global_norm", 0.1f);
    clip_and_check("global_norm", 20); /* longer than they are: nothing changes */
    clip_and_check("norm", 0.01f);
    clip_and_check("norm", 0.2f);
}

/* Gradients of a batch that was too much: the norm is NaN, infinite, or finite gradients' whose square is not. */
static void clipping_what_is_not_finite(void)
{
    static const float wrong[] = {NAN, INFINITY, 1e30f};
    arena *mem = arena_new();
    for (int i = 0; i < 3; i++) {
        learner l = learner_new(clipped_net(mem, ", gradient_clip: 1"));
        call(&l, "gradients");
        evaluator_put(l.e, evaluator_symbol(l.e, "gradient/middle.bias"), 5, wrong[i]);
        call(&l, "update");
        for (const ir_symbol *y = l.m->symbols; y; y = y->next)
            if (y->segment == SEG_PARAM)
                CU_ASSERT(isnan(evaluator_get(l.e, evaluator_symbol(l.e, y->name), 0)));
        learner_free(&l);
    }
    arena_free(mem);
}

/* The norm of all needs the gradients of all stages: no stage updates in its backward part. A parameter's own norm, or
 * values, need nothing of other stages. */
static void clipping_in_stages(void)
{
    static const char stages[] = "stages: [{name: a, through: conv}, {name: b, through: top}]\n";
    static const char *const clips[] = {"", ", gradient_clip: {value: 1}", ", gradient_clip: {norm: 1}",
                                        ", gradient_clip: 1"};
    arena *mem = arena_new();
    for (int i = 0; i < 4; i++) {
        bool apart = i == 3;
        ir_module *m = staged(arena_printf(mem, "%s%s", clipped_net(mem, clips[i]), stages));
        CU_ASSERT_EQUAL(ir_function_find(m, "a.backward_update") == NULL, apart);
        CU_ASSERT_EQUAL(ir_function_find(m, "b.backward_update") == NULL, apart);
        CU_ASSERT_PTR_NOT_NULL(ir_function_find(m, "a.backward"));
        CU_ASSERT_PTR_NOT_NULL(ir_function_find(m, "b.update"));
        ir_module_free(m);
    }
    arena_free(mem);
}

void suite_update(void);
void suite_update(void)
{
    CU_pSuite s = CU_add_suite("update", NULL, NULL);
    CU_add_test(s, "frozen layers stay, and others learn as beside any", frozen_layers_stay);
    CU_add_test(s, "a frozen batch norm uses its running statistics", frozen_batch_norm);
    CU_add_test(s, "frozen layers have no backward code, gradients or moments", frozen_layers_cost_nothing);
    CU_add_test(s, "groups learn as nets of their optimizers", groups_learn_by_their_own);
    CU_add_test(s, "the first pattern that a parameter matches counts", patterns_learn_as_they_say);
    CU_add_test(s, "patterns of parameters decay vectors too", patterns_decay_what_they_name);
    CU_add_test(s, "patterns freeze layers as their own key does", patterns_freeze_layers);
    CU_add_test(s, "inference reads averages, training what they are of", inference_reads_averages);
    CU_add_test(s, "learning rates of groups are no part of the hash", rates_are_no_part_of_the_hash);
    CU_add_test(s, "gradients are clipped by their norm, summed in the stated order", clipping);
    CU_add_test(s, "a norm that is not finite shows", clipping_what_is_not_finite);
    CU_add_test(s, "clipping keeps updates behind all stages", clipping_in_stages);
}
