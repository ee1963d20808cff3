/* frontend/command/stages.c - what the stages of a planned network cost: predicted, and measured.
 *
 * Bytes are read from the functions that split made: a value that one function makes and another reads is a result of
 * the one and an input of the other, both called saved.N. Where both are of one stage it is saved, else it crosses
 * every boundary between them, as a value or as a gradient.
 *
 * Measured times are those of one thread: in a pipeline each stage has one. The functions are called as any program can
 * call them (runtime/lamina_abi.h), on memory of our own with small random numbers for weights. */
#include "frontend/command/stages.h"
#include "passes/memory.h"
#include "passes/partition/kernels.h"
#include "runtime/lamina_abi.h"
#include <string.h>

static const ir_graph *function_of(const ir_module *m, const char *stage, const char *part)
{
    text name = {0};
    text_printf(&name, "%s.%s", stage, part);
    const ir_graph *g = ir_function_find(m, text_get(&name));
    text_free(&name);
    return g;
}

/* ---- predicted time ---- */

static double predicted_seconds(const ir_graph *g)
{
    double cycles = 0;
    for (const ir_node *n = g ? g->first : NULL; n; n = n->next)
        if (n->op == IR_FUSED)
            cycles += kernel_cycles(n, &g->module->target, mem_max_batch(g->module));
    return cycles / NOMINAL_FREQUENCY;
}

/* ---- bytes ---- */

static bool is_saved(const char *name)
{
    return name && !strncmp(name, "saved.", 6);
}

static bool reads(const ir_graph *g, const char *name)
{
    for (int i = 0; i < g->ninputs; i++)
        if (g->inputs[i]->name && !strcmp(g->inputs[i]->name, name))
            return true;
    return false;
}

/* The functions of a training step: a stage's forward and the way back. */
static const ir_graph *step_function(const ir_module *m, const stage_figures *s, bool back)
{
    return function_of(m, s->name, back ? "backward_update" : "forward");
}

/* A value that a function of stage 'home' makes. */
static void add_value(const ir_module *m, stage_figures *stages, int count, int home, bool back, const char *name,
                      double bytes)
{
    int first = home, last = home;
    bool kept = false;
    for (int k = 0; k < count; k++)
        for (int other = 0; other < 2; other++) {
            if (!reads(step_function(m, &stages[k], other), name))
                continue;
            kept |= k == home && !back;
            first = k < first ? k : first;
            last = k > last ? k : last;
        }
    stages[home].saved += kept ? bytes : 0;
    for (int k = first; k < last; k++)
        stages[k].boundary += bytes;
}

static void count_bytes(const ir_module *m, stage_figures *stages, int count)
{
    int64_t batch = mem_max_batch(m);
    for (int k = 0; k < count; k++)
        for (int back = 0; back < 2; back++) {
            const ir_graph *g = step_function(m, &stages[k], back);
            for (int i = 0; i < g->nresults; i++) {
                const ir_type *t = &g->results[i]->type;
                if (is_saved(g->result_names[i]))
                    add_value(m, stages, count, k, back, g->result_names[i],
                              (double)ir_count(t, batch) * (double)ir_dtype_size(t->dtype));
            }
        }
}

void stages_predict(const ir_module *m, stage_figures *stages, int count)
{
    for (int k = 0; k < count; k++) {
        stage_figures *s = &stages[k];
        s->forward = predicted_seconds(step_function(m, s, false));
        s->backward = predicted_seconds(function_of(m, s->name, "backward"));
        s->update = predicted_seconds(function_of(m, s->name, "update"));
        s->step = s->forward + predicted_seconds(step_function(m, s, true));
    }
    count_bytes(m, stages, count);
}

/* ---- measured time ---- */

static void *new_segment(arena *mem, uint64_t bytes)
{
    enum { ALIGNMENT = 64 };
    char *p = arena_array(mem, (size_t)bytes + ALIGNMENT, 1);
    return p + (ALIGNMENT - (uintptr_t)p % ALIGNMENT) % ALIGNMENT;
}

/* Small weights of both signs, so that no value grows and none decays; everything else begins with zeros. */
static lamina_call new_call(bench *b)
{
    const lamina_net *n = b->net;
    float *weights = new_segment(b->mem, n->params_bytes);
    uint32_t state = 12345;
    for (size_t i = 0; i < n->params_bytes / sizeof *weights; i++) {
        state = state * 1664525u + 1013904223u;
        weights[i] = ((float)(state >> 8) * 0x1p-23f - 1) / 16;
    }
    return (lamina_call){.struct_size = sizeof(lamina_call),
                         .batch = b->batch,
                         .params = weights,
                         .state = new_segment(b->mem, n->state_bytes),
                         .gradients = new_segment(b->mem, n->gradient_bytes),
                         .inputs = b->inputs,
                         .outputs = b->outputs,
                         .saved = new_segment(b->mem, n->saved_bytes),
                         .workspace = new_segment(b->mem, n->workspace_bytes + n->workspace_worker_bytes),
                         .workers = 1,
                         .learning_rate = 1e-6f,
                         .loss_scale = 1.0f / (float)b->batch};
}

static bool time_function(bench *b, lamina_function *function, const lamina_call *call, cmd_samples *s)
{
    double start = cmd_seconds();
    int32_t code = function(call);
    cmd_sample_add(b->mem, s, cmd_seconds() - start);
    if (code != LAMINA_CALL_OK)
        ir_bug("a stage cannot be called: its function says %d", (int)code);
    return !*b->stop;
}

/* One step of all stages; samples 2 k and 2 k + 1 are of stage k's way there and back. */
static bool time_step(bench *b, const lamina_call *call, cmd_samples *samples, int count)
{
    bool ok = true;
    for (int k = 0; k < count && ok; k++)
        ok = time_function(b, b->net->stages[k].forward, call, &samples[2 * k]);
    for (int k = count - 1; k >= 0 && ok; k--)
        ok = time_function(b, b->net->stages[k].backward_update, call, &samples[2 * k + 1]);
    return ok;
}

bool stages_measure(bench *b, stage_figures *stages, int count)
{
    enum { WARM_UP = 2, LEAST = 5, MOST = 1 << 16 };
    if (b->net->needs & LAMINA_NEEDS_SGEMM) {
        diag_error(b->d, (src_loc){0}, "--measure: expected kernels of our own, found products left to OpenBLAS");
        return false;
    }
    const lamina_call call = new_call(b);
    cmd_samples *samples = arena_new_array(b->mem, cmd_samples, 2 * (size_t)count);
    for (int i = 0; i < WARM_UP; i++)
        if (!time_step(b, &call, samples, count))
            return false;
    memset(samples, 0, 2 * (size_t)count * sizeof *samples);
    double end = cmd_seconds() + b->seconds;
    for (int i = 0; i < LEAST || (i < MOST && cmd_seconds() < end); i++)
        if (!time_step(b, &call, samples, count))
            return false;
    for (int k = 0; k < count; k++)
        for (int i = 2 * k; i < 2 * k + 2; i++) {
            stages[k].measured += cmd_sample_median(&samples[i]);
            stages[k].least += cmd_sample_least(&samples[i]);
        }
    return true;
}
