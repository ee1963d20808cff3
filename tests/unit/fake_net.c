/* tests/unit/fake_net.c - linear regression, written by hand as the compiler might lay it out.
 *
 * The weight in the model's own memory is reversed, padded and not at the start of its segment, so that a runtime
 * that takes this memory for a plain tensor fails. `saved` holds the product of each example, then its derivative.
 * The workspace, or what inference has of it, is filled to its last byte by parallel tasks, one for each worker. */
#include "tests/unit/fake_net.h"
#include <stddef.h>
#include <string.h>

enum { WEIGHT_AT = 64, BIAS_AT = 0, PARAM_BYTES = 128, STATE_BYTES = 64, WORKER_BYTES = 192, BASE_BYTES = 128 };
enum { INFERENCE_STATE = 16, INFERENCE_WORKER = 64, INFERENCE_BASE = 64 };
enum { LOSS_AT = 0, EXAMPLES_AT = 8, STEP_AT = 16, SEED_AT = 24, DECAY_AT = 32 };

static float *weight(void *params, int i)
{
    return (float *)((char *)params + WEIGHT_AT) + (FAKE_INPUTS - 1 - i);
}

static float *bias(void *params)
{
    return (float *)((char *)params + BIAS_AT);
}

static void add_sum(const lamina_call *c, int at, double v)
{
    double sum;
    memcpy(&sum, (char *)c->state + at, sizeof sum);
    sum += v;
    memcpy((char *)c->state + at, &sum, sizeof sum);
}

typedef struct {
    char *first;
    size_t bytes; /* of each */
} slices;

static void touch_slice(void *context, int64_t task)
{
    const slices *s = context;
    memset(s->first + (size_t)task * s->bytes, (int)task, s->bytes);
}

static void touch_workspace(const lamina_call *c, size_t base, size_t worker)
{
    slices s = {(char *)c->workspace + base, worker};
    memset(c->workspace, 0xff, base);
    if (c->parallel_for)
        c->parallel_for(c->host, touch_slice, &s, c->workers);
    else
        touch_slice(&s, 0);
}

static int32_t check_call(const lamina_call *c, const void *const *segments, size_t count)
{
    if (c->struct_size < sizeof *c)
        return LAMINA_CALL_BAD_SIZE;
    if (c->batch < 1 || c->batch > FAKE_MAX_BATCH)
        return LAMINA_CALL_BAD_BATCH;
    for (size_t i = 0; i < count; i++)
        if (!segments[i] || (uintptr_t)segments[i] % 64)
            return LAMINA_CALL_BAD_POINTER;
    return LAMINA_CALL_OK;
}

static int32_t check(const lamina_call *c)
{
    const void *const all[] = {c->params, c->state, c->gradients, c->saved, c->workspace};
    int32_t result = check_call(c, all, sizeof all / sizeof *all);
    if (!result)
        touch_workspace(c, BASE_BYTES, WORKER_BYTES);
    return result;
}

static int32_t check_inference(const lamina_call *c)
{
    const void *const all[] = {c->params, c->state, c->workspace};
    int32_t result = check_call(c, all, sizeof all / sizeof *all);
    if (!result)
        touch_workspace(c, INFERENCE_BASE, INFERENCE_WORKER);
    return result;
}

/* ---- the graph, piece by piece ---- */

static void product(const lamina_call *c, float *out)
{
    const float *x = c->inputs[0];
    for (int64_t b = 0; b < c->batch; b++) {
        out[b] = 0;
        for (int i = 0; i < FAKE_INPUTS; i++)
            out[b] += x[b * FAKE_INPUTS + i] * *weight(c->params, i);
    }
}

/* Of products p, which become the derivative by the prediction if `train`. */
static void loss(const lamina_call *c, float *p, int train)
{
    const float *y = c->inputs[1];
    for (int64_t b = 0; b < c->batch; b++) {
        float off = p[b] + *bias(c->params) - y[b];
        add_sum(c, LOSS_AT, (double)(off * off));
        add_sum(c, EXAMPLES_AT, 1);
        if (train)
            p[b] = 2 * off * c->loss_scale;
    }
}

static float weight_gradient(const lamina_call *c, int i)
{
    const float *x = c->inputs[0], *d = c->saved;
    float sum = 0;
    for (int64_t b = 0; b < c->batch; b++)
        sum += x[b * FAKE_INPUTS + i] * d[b];
    return sum;
}

static float bias_gradient(const lamina_call *c)
{
    const float *d = c->saved;
    float sum = 0;
    for (int64_t b = 0; b < c->batch; b++)
        sum += d[b];
    return sum;
}

static void count_step(const lamina_call *c)
{
    int64_t step;
    memcpy(&step, (char *)c->state + STEP_AT, sizeof step);
    step++;
    memcpy((char *)c->state + STEP_AT, &step, sizeof step);
}

/* ---- stages; the gradient segment is the weights' gradients, then the bias' ---- */

static int32_t forward_1(const lamina_call *c)
{
    int32_t result = check(c);
    if (!result)
        product(c, c->saved);
    return result;
}

static int32_t forward_2(const lamina_call *c)
{
    loss(c, c->saved, 1);
    return LAMINA_CALL_OK;
}

static int32_t backward_1(const lamina_call *c)
{
    float *g = c->gradients;
    for (int i = 0; i < FAKE_INPUTS; i++)
        g[i] = weight_gradient(c, i);
    return LAMINA_CALL_OK;
}

static int32_t backward_2(const lamina_call *c)
{
    float *g = (float *)c->gradients + FAKE_INPUTS;
    *g = bias_gradient(c);
    return LAMINA_CALL_OK;
}

static int32_t update_1(const lamina_call *c)
{
    const float *g = c->gradients;
    for (int i = 0; i < FAKE_INPUTS; i++)
        *weight(c->params, i) -= c->learning_rate * g[i];
    count_step(c);
    return LAMINA_CALL_OK;
}

static int32_t update_2(const lamina_call *c)
{
    *bias(c->params) -= c->learning_rate * ((const float *)c->gradients)[FAKE_INPUTS];
    return LAMINA_CALL_OK;
}

static int32_t backward_update_1(const lamina_call *c)
{
    backward_1(c);
    return update_1(c);
}

static int32_t backward_update_2(const lamina_call *c)
{
    backward_2(c);
    return update_2(c);
}

/* ---- whole functions ---- */

static int32_t infer(const lamina_call *c)
{
    if (c->cancel && *c->cancel)
        return LAMINA_CALL_CANCELLED;
    int32_t result = check_inference(c);
    if (result)
        return result;
    float *out = c->outputs[0];
    product(c, out);
    for (int64_t b = 0; b < c->batch; b++)
        out[b] += *bias(c->params);
    return LAMINA_CALL_OK;
}

static int32_t evaluate(const lamina_call *c)
{
    float p[FAKE_MAX_BATCH];
    int32_t result = check_inference(c);
    if (result)
        return result;
    product(c, p);
    loss(c, p, 0);
    float *out = c->outputs ? c->outputs[0] : NULL; /* where a metric wants it */
    for (int64_t b = 0; out && b < c->batch; b++)
        out[b] = p[b] + *bias(c->params);
    return LAMINA_CALL_OK;
}

static int32_t gradients(const lamina_call *c)
{
    int32_t result = forward_1(c);
    if (result)
        return result;
    forward_2(c);
    backward_2(c);
    return backward_1(c);
}

static int32_t update(const lamina_call *c)
{
    int32_t result = check(c);
    if (result)
        return result;
    update_2(c);
    return update_1(c);
}

static int32_t train_step(const lamina_call *c)
{
    int32_t result = gradients(c);
    return result ? result : update(c);
}

/* ---- weights ---- */

static const lamina_tensor tensors[] = {
    {"dense1.weight",
     LAMINA_TENSOR_PARAM,
     LAMINA_F32,
     2,
     -1,
     {FAKE_INPUTS, 1},
     4 * FAKE_INPUTS,
     WEIGHT_AT,
     LAMINA_INIT_UNIFORM,
     17,
     -0.5,
     0.5},
    {"dense1.bias", LAMINA_TENSOR_PARAM, LAMINA_F32, 1, -1, {1}, 4, BIAS_AT, LAMINA_INIT_CONSTANT, 18, 0.25, 0},
    {"metric.loss", LAMINA_TENSOR_STATE, LAMINA_F64, 0, -1, {0}, 8, LOSS_AT, LAMINA_INIT_CONSTANT, 19, 0, 0},
    {"metric.examples", LAMINA_TENSOR_STATE, LAMINA_F64, 0, -1, {0}, 8, EXAMPLES_AT, LAMINA_INIT_CONSTANT, 20, 0, 0},
    {"step", LAMINA_TENSOR_STATE, LAMINA_I64, 0, -1, {0}, 8, STEP_AT, LAMINA_INIT_CONSTANT, 21, 0, 0},
    {"seed", LAMINA_TENSOR_STATE, LAMINA_I64, 0, -1, {0}, 8, SEED_AT, LAMINA_INIT_SEED, 22, 0, 0},
    {"decay", LAMINA_TENSOR_STATE, LAMINA_F32, 0, -1, {0}, 4, DECAY_AT, LAMINA_INIT_CONSTANT, 23, 1, 0},
};

enum { TENSORS = sizeof tensors / sizeof *tensors, PARAMS = 2 };

static int32_t import_weights(const lamina_weights *w)
{
    if (w->tensors[0])
        for (int i = 0; i < FAKE_INPUTS; i++)
            *weight(w->params, i) = ((const float *)w->tensors[0])[i];
    if (w->tensors[1])
        memcpy(bias(w->params), w->tensors[1], 4);
    for (int i = PARAMS; i < TENSORS; i++)
        if (w->tensors[i])
            memcpy((char *)w->state + tensors[i].offset, w->tensors[i], tensors[i].bytes);
    return LAMINA_CALL_OK;
}

static int32_t export_weights(const lamina_weights *w)
{
    if (w->tensors[0])
        for (int i = 0; i < FAKE_INPUTS; i++)
            ((float *)w->tensors[0])[i] = *weight(w->params, i);
    if (w->tensors[1])
        memcpy(w->tensors[1], bias(w->params), 4);
    for (int i = PARAMS; i < TENSORS; i++)
        if (w->tensors[i])
            memcpy(w->tensors[i], (const char *)w->state + tensors[i].offset, tensors[i].bytes);
    return LAMINA_CALL_OK;
}

/* ---- the descriptor ---- */

static const lamina_tensor inputs[] = {
    {"x", LAMINA_TENSOR_INPUT, LAMINA_F32, 2, 0, {1, FAKE_INPUTS}, 4 * FAKE_INPUTS, 0, LAMINA_INIT_NONE, 0, 0, 0},
    {"y", LAMINA_TENSOR_INPUT, LAMINA_F32, 2, 0, {1, 1}, 4, 1, LAMINA_INIT_NONE, 0, 0, 0},
};

static const lamina_tensor outputs[] = {
    {"prediction", LAMINA_TENSOR_OUTPUT, LAMINA_F32, 2, 0, {1, 1}, 4, 0, LAMINA_INIT_NONE, 0, 0, 0},
};

static const lamina_metric metrics[] = {{"loss", LAMINA_METRIC_MEAN, 2, 3, 0}};

static const lamina_stage stages[] = {
    {"product", forward_1, backward_1, update_1, backward_update_1},
    {"loss", forward_2, backward_2, update_2, backward_update_2},
};

static const lamina_net net = {
    .struct_size = sizeof(lamina_net),
    .abi_major = LAMINA_ABI_MAJOR,
    .abi_minor = LAMINA_ABI_MINOR,
    .name = "fake",
    .hash = "0123456789abcdef",
    .compiler = "none",
    .cpu = "any",
    .features = "",
    .max_batch = FAKE_MAX_BATCH,
    .params_bytes = PARAM_BYTES,
    .state_bytes = STATE_BYTES,
    .gradient_bytes = 4 * (FAKE_INPUTS + 1),
    .saved_bytes = 4 * FAKE_MAX_BATCH,
    .workspace_bytes = BASE_BYTES,
    .workspace_worker_bytes = WORKER_BYTES,
    .tensor_count = TENSORS,
    .param_count = PARAMS,
    .input_count = 2,
    .output_count = 1,
    .metric_count = 1,
    .stage_count = 2,
    .tensors = tensors,
    .inputs = inputs,
    .outputs = outputs,
    .metrics = metrics,
    .stages = stages,
    .rate = {LAMINA_RATE_CONSTANT, 0, 0.05, 0, 0, 0},
    .infer = infer,
    .evaluate = evaluate,
    .train_step = train_step,
    .gradients = gradients,
    .update = update,
    .import_weights = import_weights,
    .export_weights = export_weights,
    .needs = LAMINA_NEEDS_SUMS,
    .inference_state_bytes = INFERENCE_STATE,
    .inference_workspace_bytes = INFERENCE_BASE,
    .inference_worker_bytes = INFERENCE_WORKER,
};

const lamina_net *fake_net_query(int32_t abi_major)
{
    return abi_major == LAMINA_ABI_MAJOR ? &net : NULL;
}
