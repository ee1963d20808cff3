/* tests/unit/test_runtime_pipeline.c - pipelines of two stages written by hand: what they call in which order, what
 * they refuse, and that every allocation may fail. test_pipeline.c has compiled ones. */
#include "tests/unit/runtime_case.h"
#include <stdio.h>
#include <stdlib.h>

enum { MOST_BATCH = 4, FORWARD = LAMINA_USE_FORWARD, BACKWARD = LAMINA_USE_BACKWARD, BOUNDARY = LAMINA_USE_BOUNDARY };

/* ---- two stages: h = 2 x; then the gradient h + 1 goes back ---- */

static char calls[256]; /* "F0 F1 f0 b0 ...", of the first stage in capitals */
static bool noting;     /* where one thread does all the work */

static void note(char what, const lamina_call *c)
{
    size_t n = noting ? strlen(calls) : 0;
    if (noting && n + 8 < sizeof calls)
        snprintf(calls + n, sizeof calls - n, "%c%d ", what, (int)c->micro_batch);
}

static int32_t first_forward(const lamina_call *c)
{
    note('F', c);
    for (int64_t i = 0; i < c->batch; i++) {
        ((float *)c->outputs[0])[i] = 2 * ((const float *)c->inputs[0])[i];
        ((float *)c->saved)[i] = ((const float *)c->inputs[0])[i];
    }
    return LAMINA_CALL_OK;
}

/* Each micro-batch has the saved values of its own forward, and the gradient of its own way back. */
static int32_t first_backward(const lamina_call *c)
{
    note('B', c);
    for (int64_t i = 0; i < c->batch; i++)
        if (((const float *)c->inputs[1])[i] != 2 * ((float *)c->saved)[i] + 1)
            return LAMINA_CALL_BAD_POINTER;
    return LAMINA_CALL_OK;
}

static int32_t last_forward(const lamina_call *c)
{
    note('f', c);
    return LAMINA_CALL_OK;
}

static int32_t last_backward(const lamina_call *c)
{
    note('b', c);
    for (int64_t i = 0; i < c->batch; i++)
        ((float *)c->outputs[0])[i] = ((const float *)c->inputs[0])[i] + 1;
    return LAMINA_CALL_OK;
}

static int32_t update(const lamina_call *c)
{
    note('U', c);
    return LAMINA_CALL_OK;
}

#define VALUE(n)                                                                                                       \
    {                                                                                                                  \
        .name = n, .dtype = LAMINA_F32, .rank = 1, .batch_dim = 0, .dim = {1}, .bytes = sizeof(float)                  \
    }

static const lamina_tensor first_inputs[] = {VALUE("x"), VALUE("back")}, last_inputs[] = {VALUE("h")};
static const lamina_tensor first_outputs[] = {VALUE("h")}, last_outputs[] = {VALUE("back")};
static const int32_t first_reads[] = {FORWARD, BACKWARD | BOUNDARY}, last_reads[] = {FORWARD | BACKWARD | BOUNDARY};
static const int32_t first_makes[] = {FORWARD | BOUNDARY}, last_makes[] = {BACKWARD | BOUNDARY};
static const lamina_stage first_stage = {"first", first_forward, first_backward, update, NULL};
static const lamina_stage last_stage = {"last", last_forward, last_backward, update, NULL};

static const lamina_net first_net = {.struct_size = sizeof(lamina_net),
                                     .abi_major = LAMINA_ABI_MAJOR,
                                     .abi_minor = LAMINA_ABI_MINOR,
                                     .name = "net_first",
                                     .hash = "0",
                                     .max_batch = MOST_BATCH,
                                     .saved_bytes = sizeof(float) * MOST_BATCH,
                                     .input_count = 2,
                                     .output_count = 1,
                                     .stage_count = 1,
                                     .inputs = first_inputs,
                                     .outputs = first_outputs,
                                     .stages = &first_stage,
                                     .rate = {.kind = LAMINA_RATE_CONSTANT, .a = 0.1},
                                     .update = update,
                                     .input_use = first_reads,
                                     .output_use = first_makes};
static const lamina_net last_net = {.struct_size = sizeof(lamina_net),
                                    .abi_major = LAMINA_ABI_MAJOR,
                                    .abi_minor = LAMINA_ABI_MINOR,
                                    .name = "net_last",
                                    .hash = "0",
                                    .max_batch = MOST_BATCH,
                                    .input_count = 1,
                                    .output_count = 1,
                                    .stage_count = 1,
                                    .inputs = last_inputs,
                                    .outputs = last_outputs,
                                    .stages = &last_stage,
                                    .rate = {.kind = LAMINA_RATE_CONSTANT, .a = 0.1},
                                    .update = update,
                                    .input_use = last_reads,
                                    .output_use = last_makes};
static const lamina_net *const both[] = {&first_net, &last_net};
static const float xs[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
static const void *const inputs[] = {xs};

#define NEW(nets, count, ...) lamina_pipeline_new(nets, count, &(lamina_pipeline_options){__VA_ARGS__}, &p, &error)

/* ---- order ---- */

/* Both schedules, as one thread works them off: 10 examples are micro-batches of 3, 3, 3 and 1. */
static void test_order(void)
{
    lamina_pipeline *p = NULL;
    OK(NEW(both, 2, .micro_batch = 3, .threads = 1));
    noting = true;
    calls[0] = 0;
    OK(lamina_pipeline_train_step(p, inputs, 10, &error));
    CU_ASSERT_STRING_EQUAL(calls, "F0 F1 f0 b0 B0 F2 f1 b1 B1 F3 f2 b2 B2 f3 b3 B3 U0 U0 ");
    CU_ASSERT_EQUAL(lamina_steps(lamina_pipeline_model(p, 1)), 1);
    lamina_pipeline_free(p);
    OK(NEW(both, 2, .micro_batch = 4, .threads = 1, .schedule = LAMINA_GPIPE));
    calls[0] = 0;
    OK(lamina_pipeline_train_step(p, inputs, 10, &error));
    CU_ASSERT_STRING_EQUAL(calls, "F0 F1 F2 f0 f1 f2 b0 B0 b1 B1 b2 B2 U0 U0 ");
    noting = false;
    lamina_pipeline_free(p);
}

/* ---- mistakes ---- */

static lamina_status refuse(void *user, const lamina_parcel *parcel, lamina_error *e)
{
    (void)user, (void)parcel;
    snprintf(e->text, sizeof e->text, "the other side is gone");
    return e->status = LAMINA_IO;
}

static void test_options(void)
{
    lamina_pipeline *p = NULL;
    FAILS(lamina_pipeline_new(NULL, 2, NULL, &p, &error), LAMINA_BAD_ARG, "nets");
    FAILS(NEW(both, 0, .first = 0), LAMINA_BAD_ARG, "expected one stage or more, found 0");
    FAILS(NEW(both, 2, .first = 2), LAMINA_BAD_ARG, "first: expected a stage from 0 to 1, found 2");
    FAILS(NEW(both, 2, .here = 3), LAMINA_BAD_ARG, "here: expected 0 to 2 stages, found 3");
    FAILS(NEW(both, 2, .here = 1), LAMINA_BAD_ARG, "send: expected a function");
    FAILS(NEW(both, 2, .micro_batch = 9), LAMINA_BAD_ARG, "micro_batch: expected 1 to 4 examples, found 9");
    FAILS(NEW(both, 2, .threads = -1), LAMINA_BAD_ARG, "threads: expected 0 or more, found -1");
    CU_ASSERT_PTR_NULL(p);
}

static void test_nets(void)
{
    lamina_pipeline *p = NULL;
    lamina_net other = last_net;
    const lamina_net *nets[] = {&first_net, &other}, *twice[] = {&first_net, &first_net}, *whole[] = {NULL};
    lamina_tensor wide = last_inputs[0];
    FAILS(NEW(twice, 2, .first = 0), LAMINA_BAD_ARG,
          "'h': expected what no other stage makes, found that of net_first");
    FAILS(NEW(&nets[1], 1, .first = 0), LAMINA_BAD_ARG, "'h': expected a stage that makes it, found none");
    other.hash = "1";
    FAILS(NEW(nets, 2, .first = 0), LAMINA_BAD_ARG,
          "expected a stage of the network of net_first, found one of another");
    other.hash = "0";
    wide.dim[0] = 2;
    other.inputs = &wide;
    FAILS(NEW(nets, 2, .first = 0), LAMINA_BAD_ARG, "input 'h': expected f32[");
    whole[0] = fake_net_query(LAMINA_ABI_MAJOR);
    FAILS(NEW(whole, 1, .first = 0), LAMINA_BAD_ARG, "expected the library of one stage");
    CU_ASSERT_PTR_NULL(p);
}

static void test_circle(void)
{
    static const int32_t reads[] = {FORWARD, FORWARD | BOUNDARY}, makes[] = {FORWARD | BOUNDARY};
    lamina_net first = first_net, last = last_net;
    const lamina_net *nets[] = {&first, &last};
    lamina_pipeline *p = NULL;
    first.input_use = reads;
    last.output_use = makes;
    OK(NEW(nets, 2, .first = 0));
    FAILS(lamina_pipeline_train_step(p, inputs, 4, &error), LAMINA_BAD_ARG, "found all waiting");
    lamina_pipeline_free(p);
}

static void test_steps(void)
{
    lamina_pipeline *p = NULL;
    const void *none[] = {NULL};
    OK(NEW(both, 2, .first = 0));
    FAILS(lamina_pipeline_train_step(p, none, 4, &error), LAMINA_BAD_ARG, "input 'x': expected data, found NULL");
    FAILS(lamina_pipeline_train_step(p, inputs, 0, &error), LAMINA_BAD_ARG, "count: expected 1 or more, found 0");
    OK(lamina_pipeline_train_step(p, inputs, 10, &error));
    CU_ASSERT_PTR_NULL(lamina_pipeline_model(p, 2));
    lamina_pipeline_stop(p, "enough");
    FAILS(lamina_pipeline_train_step(p, inputs, 10, &error), LAMINA_INTERRUPTED, "enough");
    lamina_pipeline_free(p);
    OK(NEW(both, 2, .here = 1, .send = refuse));
    FAILS(lamina_pipeline_train_step(p, inputs, 4, &error), LAMINA_IO, "the other side is gone");
    lamina_pipeline_free(p);
}

/* ---- values from elsewhere ---- */

static lamina_status wrong_size;

/* What net_last would answer, once with a byte too few. */
static lamina_status answer(void *user, const lamina_parcel *parcel, lamina_error *e)
{
    float back[MOST_BATCH];
    size_t count = parcel->bytes / sizeof(float);
    for (size_t i = 0; i < count; i++)
        back[i] = ((const float *)parcel->data)[i] + 1;
    lamina_parcel reply = {.value = 1, .step = parcel->step, .micro_batch = parcel->micro_batch, .data = back};
    reply.bytes = parcel->bytes - 1;
    wrong_size = lamina_pipeline_deliver(*(lamina_pipeline **)user, &reply, &error);
    keep_error();
    reply.bytes++;
    return lamina_pipeline_deliver(*(lamina_pipeline **)user, &reply, e);
}

static void test_parcels(void)
{
    lamina_pipeline *p = NULL;
    const lamina_parcel unknown = {.value = 99}, own = {.value = 0}, late = {.value = 1, .step = -1};
    OK(NEW(both, 2, .here = 1, .send = answer, .user = &p));
    CU_ASSERT_EQUAL(lamina_pipeline_parcel_bytes(p), sizeof(float) * MOST_BATCH);
    FAILS(lamina_pipeline_deliver(p, &unknown, &error), LAMINA_BAD_ARG, "expected a value from elsewhere");
    FAILS(lamina_pipeline_deliver(p, &own, &error), LAMINA_BAD_ARG, "expected a value from elsewhere");
    FAILS(lamina_pipeline_deliver(p, &late, &error), LAMINA_BAD_ARG, "expected micro-batch 0 of step -1");
    OK(lamina_pipeline_train_step(p, inputs, 10, &error));
    CU_ASSERT_EQUAL(wrong_size, LAMINA_BAD_ARG);
    lamina_pipeline_free(p);
}

/* ---- memory ---- */

static lamina_status scenario(void)
{
    lamina_pipeline *p = NULL;
    lamina_status s = NEW(both, 2, .micro_batch = 1);
    if (!s && !(s = lamina_pipeline_initialize(p, 1, &error)) &&
        !(s = lamina_pipeline_train_step(p, inputs, 2, &error)))
        s = lamina_pipeline_train_step(p, inputs, 9, &error);
    lamina_pipeline_free(p);
    return s;
}

static void test_memory(void)
{
    fail_each(scenario, LAMINA_NO_MEMORY, 20);
}

static lamina_status copy(void)
{
    lamina_model *a = NULL, *b = NULL;
    const lamina_net *net = fake_net_query(LAMINA_ABI_MAJOR);
    lamina_status s = lamina_model_new(net, NULL, &a, &error);
    s = s ? s : lamina_model_new(net, NULL, &b, &error);
    s = s ? s : lamina_copy_tensors(a, b, &error);
    lamina_model_free(a);
    lamina_model_free(b);
    return s;
}

static void test_copy(void)
{
    lamina_net other = *fake_net_query(LAMINA_ABI_MAJOR);
    lamina_tensor *tensors = malloc((size_t)other.tensor_count * sizeof *tensors);
    lamina_model *a = NULL, *b = new_model(1, false), *c = NULL;
    float wanted[FAKE_INPUTS + 1], found[FAKE_INPUTS + 1];
    fail_each(copy, LAMINA_NO_MEMORY, 5);
    OK(lamina_model_new(fake_net_query(LAMINA_ABI_MAJOR), NULL, &a, &error));
    OK(lamina_copy_tensors(a, b, &error));
    get_params(b, wanted);
    get_params(a, found);
    for (int i = 0; i <= FAKE_INPUTS; i++)
        CU_ASSERT_EQUAL(wanted[i], found[i]);
    memcpy(tensors, other.tensors, (size_t)other.tensor_count * sizeof *tensors);
    OK(lamina_model_new(&other, NULL, &c, &error));
    tensors[0].dim[0]++;
    other.tensors = tensors;
    FAILS(lamina_copy_tensors(c, b, &error), LAMINA_BAD_ARG, "expected f32[");
    lamina_model_free(a);
    lamina_model_free(b);
    lamina_model_free(c);
    free(tensors);
}

void add_runtime_pipeline(CU_pSuite s)
{
    CU_add_test(s, "pipeline: order", test_order);
    CU_add_test(s, "pipeline: options", test_options);
    CU_add_test(s, "pipeline: nets", test_nets);
    CU_add_test(s, "pipeline: a circle", test_circle);
    CU_add_test(s, "pipeline: steps", test_steps);
    CU_add_test(s, "pipeline: parcels", test_parcels);
    CU_add_test(s, "pipeline: memory", test_memory);
    CU_add_test(s, "copied tensors", test_copy);
}
