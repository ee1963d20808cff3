/* runtime/model/model.c - the memory of one network, and the calls of its generated functions.
 *
 * More than max_batch examples are passed on in pieces. infer and evaluate run on each piece; a training step adds
 * up the gradients of all pieces (accumulate.c) and updates once. A staged model trains by the functions of its
 * stages: forward from the first stage to the last, then backward and update from the last to the first. The first
 * stage updates last, so it is the one that assigns the optimizer scalars that all stages share. */
#include "runtime/model/model.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/gemm.h"
#include "runtime/model/metrics.h"
#include "runtime/model/ranking.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- memory ---- */

void lamina_model_free(lamina_model *m)
{
    if (!m)
        return;
    lamina_watch_free(&m->watch, m->net);
    lamina_pool_free(m->pool);
    lamina_gemm_close(m->gemm);
    lamina_release(m->call.params);
    lamina_release(m->call.state);
    lamina_free_accumulator(m);
    lamina_ranking_free(m);
    lamina_release(m->numbers);
    lamina_release(m->call.saved);
    lamina_release(m->call.workspace);
    lamina_release(m->inputs);
    lamina_release(m->outputs);
    lamina_release(m->tensors);
    lamina_release(m->missing);
    lamina_release(m);
}

static lamina_status add_segment(lamina_model *m, const char *name, uint64_t bytes, void **out, lamina_error *e)
{
    *out = lamina_allocate(1, bytes);
    if (!*out)
        return lamina_fail(e, LAMINA_NO_MEMORY, "%s: out of memory: %s needs %" PRIu64 " bytes", m->net->name, name,
                           bytes);
    m->bytes += bytes;
    return LAMINA_OK;
}

static lamina_status add_segments(lamina_model *m, lamina_error *e)
{
    const lamina_net *n = m->net;
    lamina_call *c = &m->call;
    uint64_t workers, workspace;
    if (__builtin_mul_overflow(m->sizes.worker, (uint64_t)c->workers, &workers) ||
        __builtin_add_overflow(m->sizes.workspace, workers, &workspace))
        workspace = UINT64_MAX; /* which no allocator gives */
    lamina_status s;
    if ((s = add_segment(m, "parameters", m->sizes.params, &c->params, e)) ||
        (s = add_segment(m, "state", m->sizes.state, &c->state, e)) ||
        (s = add_segment(m, "saved", m->sizes.saved, &c->saved, e)) ||
        (s = add_segment(m, "workspace", workspace, &c->workspace, e)) ||
        (s = m->options.inference ? LAMINA_OK : lamina_add_accumulator(m, e)))
        return s;
    m->inputs = lamina_allocate((size_t)n->input_count, sizeof *m->inputs);
    m->outputs = lamina_allocate((size_t)n->output_count, sizeof *m->outputs);
    m->tensors = lamina_allocate((size_t)n->tensor_count, sizeof *m->tensors);
    m->missing = lamina_allocate((size_t)n->tensor_count, sizeof *m->missing);
    if (!m->inputs || !m->outputs || !m->tensors || !m->missing)
        return lamina_fail_memory(e, n->name, sizeof(void *) * (size_t)(n->tensor_count + n->input_count));
    return LAMINA_OK;
}

static lamina_status add_workers(lamina_model *m, lamina_error *e)
{
    m->call.parallel_for = m->options.parallel_for;
    m->call.host = m->options.host;
    if (m->call.workers == 1 || m->call.parallel_for)
        return LAMINA_OK;
    lamina_status s = lamina_pool_new(m->call.workers, m->options.dedicated, &m->pool, e);
    m->call.parallel_for = lamina_pool_run;
    m->call.host = m->pool;
    return s;
}

static lamina_status add_gemm(lamina_model *m, lamina_error *e)
{
    bool needed = lamina_net_needs(m->net) & LAMINA_NEEDS_SGEMM;
    return needed ? lamina_gemm_open(m->net, &m->gemm, &m->call.sgemm, e) : LAMINA_OK;
}

lamina_status lamina_model_new(const lamina_net *net, const lamina_options *options, lamina_model **out,
                               lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_model_new", "out", out);
    if (s)
        return s;
    *out = NULL;
    s = lamina_net_check(net, e);
    if (s)
        return s;
    if (options && options->workers < 0)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: workers: expected 0 or more, found %" PRId64, net->name,
                           options->workers);
    lamina_model *m = lamina_allocate(1, sizeof *m);
    if (!m)
        return lamina_fail_memory(e, net->name, sizeof *m);
    m->net = net;
    if (options)
        m->options = *options;
    m->sizes = lamina_net_sizes(net, m->options.inference);
    m->rate = NAN;
    m->call.struct_size = sizeof m->call;
    m->call.workers = m->options.workers ? m->options.workers : 1;
    m->call.loss_scale = 1;
    if (!(s = add_segments(m, e)) && !(s = lamina_numbers_new(net, &m->numbers, e)) && !(s = add_workers(m, e)) &&
        !(s = add_gemm(m, e)))
        s = lamina_initialize_from(m, net->param_count, 0, e);
    if (s)
        lamina_model_free(m);
    else
        *out = m;
    return s;
}

const lamina_net *lamina_model_net(const lamina_model *m)
{
    return m->net;
}

size_t lamina_model_bytes(const lamina_model *m)
{
    return m->bytes;
}

lamina_status lamina_need_training(const lamina_model *m, const char *function, lamina_error *e)
{
    if (!m->options.inference)
        return LAMINA_OK;
    return lamina_fail(e, LAMINA_BAD_ARG, "%s: %s: expected a model that trains, found one made for inference only",
                       m->net->name, function);
}

/* ---- tensors ---- */

size_t lamina_largest_of(const lamina_tensor *tensors, int32_t count)
{
    size_t largest = 0;
    for (int32_t i = 0; i < count; i++)
        if (tensors[i].bytes > largest)
            largest = tensors[i].bytes;
    return largest;
}

size_t lamina_largest_tensor(const lamina_net *net)
{
    return lamina_largest_of(net->tensors, net->tensor_count);
}

bool lamina_model_holds(const lamina_model *m, int32_t tensor)
{
    if (tensor < m->net->param_count)
        return tensor >= 0;
    if (tensor >= m->net->tensor_count)
        return false;
    const lamina_tensor *t = &m->net->tensors[tensor];
    return t->bytes <= m->sizes.state && t->offset <= m->sizes.state - t->bytes;
}

static lamina_status move(lamina_model *m, lamina_weights_function *function, int32_t tensor, void *plain,
                          lamina_error *e)
{
    if (!function)
        return lamina_fail(e, LAMINA_UNSUPPORTED, "%s: compiled without functions to import and export weights",
                           m->net->name);
    const lamina_weights w = {sizeof w, m->call.params, m->call.state, m->tensors};
    m->tensors[tensor] = plain;
    int32_t result = function(&w);
    m->tensors[tensor] = NULL;
    if (result != LAMINA_CALL_OK)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: moving tensor '%s' failed with result %" PRId32, m->net->name,
                           m->net->tensors[tensor].name, result);
    return LAMINA_OK;
}

lamina_status lamina_import(lamina_model *m, int32_t tensor, const void *plain, lamina_error *e)
{
    return move(m, m->net->import_weights, tensor, (void *)plain, e); /* import only reads */
}

lamina_status lamina_export(lamina_model *m, int32_t tensor, void *plain, lamina_error *e)
{
    return move(m, m->net->export_weights, tensor, plain, e);
}

static lamina_status find_tensor(const lamina_model *m, const char *name, size_t bytes, int32_t *out, lamina_error *e)
{
    *out = lamina_net_tensor(m->net, name);
    if (*out < 0)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: no parameter or state '%s'", m->net->name, name);
    if (bytes != m->net->tensors[*out].bytes)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: tensor '%s': expected %" PRIu64 " bytes, found %zu", m->net->name,
                           name, m->net->tensors[*out].bytes, bytes);
    if (!lamina_model_holds(m, *out))
        return lamina_fail(
            e, LAMINA_BAD_ARG,
            "%s: tensor '%s': expected one that inference uses, as the model was made for no more, found "
            "one that only training does",
            m->net->name, name);
    return LAMINA_OK;
}

lamina_status lamina_get_tensor(lamina_model *m, const char *name, void *dst, size_t bytes, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_get_tensor", "m name dst", m, name, dst);
    if (s)
        return s;
    int32_t tensor;
    s = find_tensor(m, name, bytes, &tensor, e);
    return s ? s : lamina_export(m, tensor, dst, e);
}

lamina_status lamina_set_tensor(lamina_model *m, const char *name, const void *src, size_t bytes, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_set_tensor", "m name src", m, name, src);
    if (s)
        return s;
    int32_t tensor;
    s = find_tensor(m, name, bytes, &tensor, e);
    if (s)
        return s;
    lamina_watch_settle(m);
    return lamina_import(m, tensor, src, e);
}

/* ---- calls ---- */

/* The generated code knows which inputs it reads; it says that one is missing, not which. */
static const char *missing_input(const lamina_model *m)
{
    for (int32_t i = 0; m->call.inputs && i < m->net->input_count; i++)
        if (!m->inputs[i])
            return m->net->inputs[i].name;
    return NULL;
}

lamina_status lamina_run(lamina_model *m, lamina_function *function, const char *what, lamina_error *e)
{
    static const char *const reason[] = {
        [LAMINA_CALL_BAD_SIZE] = "the network needs a newer lamina_call; rebuild this program with the newer runtime",
        [LAMINA_CALL_BAD_BATCH] = "the batch is not in 1 .. max_batch",
        [LAMINA_CALL_BAD_POINTER] = "a segment is missing or not aligned to 64 bytes",
        [LAMINA_CALL_NO_SGEMM] = "it needs an sgemm of the host's (compiled with --gemm=openblas), found none",
    };
    int32_t result = function(&m->call);
    if (result == LAMINA_CALL_OK)
        return LAMINA_OK;
    if (result == LAMINA_CALL_CANCELLED)
        return lamina_fail(e, LAMINA_INTERRUPTED, "%s: %s was cancelled", m->net->name, what);
    const char *missing = result == LAMINA_CALL_BAD_POINTER ? missing_input(m) : NULL;
    if (missing)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: %s: expected data for each input that it reads, found NULL for '%s'",
                           m->net->name, what, missing);
    bool known = result > 0 && result <= LAMINA_CALL_NO_SGEMM;
    return lamina_fail(e, LAMINA_BAD_ARG, "%s: %s failed with result %" PRId32 ": %s", m->net->name, what, result,
                       known ? reason[result] : "unknown");
}

static const void *example(const lamina_tensor *t, const void *base, int64_t i)
{
    return base && t->batch_dim >= 0 ? (const char *)base + (uint64_t)i * t->bytes : base;
}

/* Let the call see `count` examples from number `first` on. */
static void set_piece(lamina_model *m, const void *const *inputs, void *const *outputs, int64_t first, int64_t count)
{
    const lamina_net *n = m->net;
    for (int32_t i = 0; i < n->input_count; i++)
        m->inputs[i] = example(&n->inputs[i], inputs[i], first);
    for (int32_t i = 0; i < n->output_count; i++)
        m->outputs[i] = outputs ? (void *)example(&n->outputs[i], outputs[i], first) : NULL;
    m->call.inputs = m->inputs;
    m->call.outputs = m->outputs;
    m->call.batch = count;
}

static lamina_status check_call(const lamina_model *m, const char *what, bool compiled, int64_t count, lamina_error *e)
{
    if (!compiled)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: compiled without %s", m->net->name, what);
    if (count < 1)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: %s: count: expected 1 or more, found %" PRId64, m->net->name, what,
                           count);
    return LAMINA_OK;
}

/* Training and evaluation read every input. */
static lamina_status check_inputs(const lamina_model *m, const char *what, const void *const *inputs, lamina_error *e)
{
    for (int32_t i = 0; i < m->net->input_count; i++)
        if (!inputs[i])
            return lamina_fail(e, LAMINA_BAD_ARG, "%s: %s: input '%s': expected data, found NULL", m->net->name, what,
                               m->net->inputs[i].name);
    return LAMINA_OK;
}

static lamina_status check_training(const lamina_model *m, const char *what, bool compiled, const void *const *inputs,
                                    int64_t count, lamina_error *e)
{
    lamina_status s = lamina_need_training(m, what, e);
    if (!s)
        s = check_call(m, what, compiled, count, e);
    return s ? s : check_inputs(m, what, inputs, e);
}

static int64_t piece(const lamina_model *m, int64_t left)
{
    return left < m->net->max_batch ? left : m->net->max_batch;
}

lamina_status lamina_infer(lamina_model *m, const void *const *inputs, int64_t count, void *const *outputs,
                           lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_infer", "m inputs outputs", m, inputs, outputs);
    if (s)
        return s;
    s = check_call(m, "infer", m->net->infer, count, e);
    if (s)
        return s;
    for (int32_t i = 0; i < m->net->output_count; i++)
        if (!outputs[i])
            return lamina_fail(e, LAMINA_BAD_ARG, "%s: infer: output '%s': expected memory, found NULL", m->net->name,
                               m->net->outputs[i].name);
    m->call.cancel = m->options.cancel;
    for (int64_t first = 0; !s && first < count; first += m->net->max_batch) {
        set_piece(m, inputs, outputs, first, piece(m, count - first));
        s = lamina_run(m, m->net->infer, "infer", e);
    }
    m->call.cancel = NULL;
    return s;
}

lamina_status lamina_evaluate(lamina_model *m, const void *const *inputs, int64_t count, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_evaluate", "m inputs", m, inputs);
    if (s)
        return s;
    s = check_call(m, "evaluate", m->net->evaluate, count, e);
    if (!s)
        s = check_inputs(m, "evaluate", inputs, e);
    s = s ? s : lamina_ranking_begin(m, e);
    for (int64_t first = 0; !s && first < count; first += m->net->max_batch) {
        set_piece(m, inputs, NULL, first, piece(m, count - first));
        for (int32_t i = 0; m->ranked && i < m->net->output_count; i++)
            m->outputs[i] = m->ranked[i];
        s = lamina_run(m, m->net->evaluate, "evaluate", e);
        s = s ? s : lamina_ranking_add(m, e);
    }
    return s;
}

/* ---- training ---- */

static bool staged(const lamina_model *m)
{
    return m->options.staged && m->net->stage_count > 0;
}

static bool has_halves(const lamina_model *m)
{
    if (!staged(m))
        return m->net->gradients && m->net->update;
    for (int32_t i = 0; i < m->net->stage_count; i++) {
        const lamina_stage *stage = &m->net->stages[i];
        if (!stage->forward || !stage->backward || !stage->update)
            return false;
    }
    return true;
}

static bool has_whole_step(const lamina_model *m)
{
    if (!staged(m))
        return m->net->train_step;
    for (int32_t i = 0; i < m->net->stage_count; i++)
        if (!m->net->stages[i].forward || !m->net->stages[i].backward_update)
            return false;
    return true;
}

static lamina_status stages_forward(lamina_model *m, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < m->net->stage_count; i++)
        s = lamina_run(m, m->net->stages[i].forward, m->net->stages[i].name, e);
    return s;
}

static lamina_status run_forward_backward(lamina_model *m, lamina_error *e)
{
    if (!staged(m))
        return lamina_run(m, m->net->gradients, "gradients", e);
    lamina_status s = stages_forward(m, e);
    for (int32_t i = m->net->stage_count - 1; !s && i >= 0; i--)
        s = lamina_run(m, m->net->stages[i].backward, m->net->stages[i].name, e);
    return s;
}

static lamina_status run_gradients(lamina_model *m, lamina_error *e)
{
    lamina_status s = lamina_begin_micro_batch(m, e);
    if (s)
        return s;
    s = run_forward_backward(m, e);
    lamina_end_micro_batch(m, s == LAMINA_OK);
    return s;
}

lamina_status lamina_run_update(lamina_model *m, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    lamina_combine_micro_batches(m);
    if (!staged(m))
        s = lamina_run(m, m->net->update, "update", e);
    else
        for (int32_t i = m->net->stage_count - 1; !s && i >= 0; i--)
            s = lamina_run(m, m->net->stages[i].update, m->net->stages[i].name, e);
    m->steps += s == LAMINA_OK;
    return s;
}

static lamina_status run_whole_step(lamina_model *m, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    if (!staged(m)) {
        s = lamina_run(m, m->net->train_step, "train_step", e);
    } else {
        s = stages_forward(m, e);
        for (int32_t i = m->net->stage_count - 1; !s && i >= 0; i--)
            s = lamina_run(m, m->net->stages[i].backward_update, m->net->stages[i].name, e);
    }
    m->steps += s == LAMINA_OK;
    return s;
}

lamina_status lamina_gradients(lamina_model *m, const void *const *inputs, int64_t count, int64_t micro_batch,
                               float loss_scale, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_gradients", "m inputs", m, inputs);
    if (s)
        return s;
    s = check_training(m, "gradients", has_halves(m), inputs, count, e);
    if (s)
        return s;
    if (count > m->net->max_batch)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: gradients: count: expected 1 .. %" PRId64 ", found %" PRId64,
                           m->net->name, m->net->max_batch, count);
    if (micro_batch == 0)
        m->gathered = 0;
    if (micro_batch != m->gathered)
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "%s: gradients: micro_batch: expected 0 or the next, %" PRId64 ", found %" PRId64,
                           m->net->name, m->gathered, micro_batch);
    set_piece(m, inputs, NULL, 0, count);
    m->call.micro_batch = micro_batch;
    m->call.loss_scale = loss_scale;
    return run_gradients(m, e);
}

lamina_status lamina_take_rate(lamina_model *m, const char *function, lamina_error *e)
{
    lamina_watch_settle(m);
    m->call.learning_rate = lamina_learning_rate(m);
    if (!isnan(m->call.learning_rate))
        return LAMINA_OK;
    return lamina_fail(
        e, LAMINA_BAD_ARG,
        "%s: %s: the learning rate is scheduled in epochs: expected lamina_set_epoch_steps, or a rate by "
        "lamina_set_learning_rate, before it",
        m->net->name, function);
}

lamina_status lamina_update(lamina_model *m, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_update", "m", m);
    s = s ? s : lamina_need_training(m, "update", e);
    if (s)
        return s;
    if (!has_halves(m))
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: compiled without update", m->net->name);
    if (m->gathered == 0)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: update: expected gradients of this step before it, found none",
                           m->net->name);
    m->call.micro_batch = 0;
    s = lamina_take_rate(m, "update", e);
    return s ? s : lamina_run_update(m, e);
}

lamina_status lamina_train_step(lamina_model *m, const void *const *inputs, int64_t count, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_train_step", "m inputs", m, inputs);
    if (s)
        return s;
    bool whole = count <= m->net->max_batch && has_whole_step(m);
    s = check_training(m, "train_step", whole || has_halves(m), inputs, count, e);
    if (s || (s = lamina_take_rate(m, "train_step", e)))
        return s;
    m->call.loss_scale = 1.0f / (float)count;
    m->call.micro_batch = m->gathered = 0;
    if (whole) {
        set_piece(m, inputs, NULL, 0, count);
        return run_whole_step(m, e);
    }
    for (int64_t first = 0; !s && first < count; first += m->net->max_batch) {
        set_piece(m, inputs, NULL, first, piece(m, count - first));
        m->call.micro_batch = m->gathered;
        s = run_gradients(m, e);
    }
    m->call.micro_batch = 0;
    return s ? s : lamina_run_update(m, e);
}

int64_t lamina_steps(const lamina_model *m)
{
    return m->steps;
}

void lamina_set_learning_rate(lamina_model *m, float rate)
{
    m->rate = rate;
}

float lamina_rate_of(const lamina_model *m, int64_t step)
{
    float rate = isnan(m->rate) ? lamina_net_rate(m->net, step, m->epoch_steps) : m->rate;
    if (m->reduced == 0)
        return rate;
    float least = (float)m->least_rate, reduced = (float)((double)rate * m->reduced);
    return reduced < least ? fminf(rate, least) : reduced;
}

float lamina_learning_rate(const lamina_model *m)
{
    return lamina_rate_of(m, m->steps);
}

void lamina_set_epoch_steps(lamina_model *m, int64_t steps)
{
    m->epoch_steps = steps;
}
