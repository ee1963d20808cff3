/* tests/unit/test_accumulate.c - the gradients of a step's micro-batches are combined as neighbours.
 *
 * A step of 1 to 9 micro-batches gives the bits of the rule written out in the plainest way: keep the gradients of
 * every micro-batch, then add neighbours until one is left. An odd last one passes up unchanged. */
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 9, MAX_BATCH = 8, CLASSES = 10, SUMS = 8 };

/* A micro-batch's gradients, and its sums of metrics: sum and count, one metric after the other. */
typedef struct {
    float *gradient;
    double sum[SUMS];
} part;

static double *state_sum(const net_run *r, int32_t i)
{
    const lamina_metric *m = &r->net->metrics[i / 2];
    return (double *)((char *)r->call.state + r->net->tensors[i % 2 ? m->count : m->sum].offset);
}

static void add_part(const lamina_net *n, part *left, const part *right)
{
    for (size_t i = 0; i < n->gradient_bytes / sizeof(float); i++)
        left->gradient[i] += right->gradient[i];
    for (int32_t i = 0; i < 2 * n->metric_count; i++)
        left->sum[i] += right->sum[i];
}

static void combine(const lamina_net *n, part *row, int count)
{
    for (; count > 1; count = (count + 1) / 2)
        for (int i = 0; i < count; i += 2) {
            part whole = row[i];
            if (i + 1 < count)
                add_part(n, &whole, &row[i + 1]);
            row[i] = row[i / 2]; /* its gradients' memory is free */
            row[i / 2] = whole;
        }
}

static void forward_backward(net_run *r)
{
    const lamina_net *n = r->net;
    if (!n->stage_count)
        CU_ASSERT_EQUAL_FATAL(n->gradients(&r->call), LAMINA_CALL_OK);
    for (int32_t i = 0; i < n->stage_count; i++)
        CU_ASSERT_EQUAL_FATAL(n->stages[i].forward(&r->call), LAMINA_CALL_OK);
    for (int32_t i = n->stage_count - 1; i >= 0; i--)
        CU_ASSERT_EQUAL_FATAL(n->stages[i].backward(&r->call), LAMINA_CALL_OK);
}

static void update(net_run *r)
{
    const lamina_net *n = r->net;
    if (!n->stage_count)
        CU_ASSERT_EQUAL_FATAL(n->update(&r->call), LAMINA_CALL_OK);
    for (int32_t i = n->stage_count - 1; i >= 0; i--)
        CU_ASSERT_EQUAL_FATAL(n->stages[i].update(&r->call), LAMINA_CALL_OK);
}

static void run_part(net_run *r, const void *const *inputs, int64_t first, int64_t count, part *out)
{
    const lamina_net *n = r->net;
    for (int32_t i = 0; i < n->input_count; i++)
        r->inputs[i] = (const char *)inputs[i] + (size_t)first * n->inputs[i].bytes;
    r->call.batch = count;
    r->call.gradients = out->gradient;
    for (int32_t i = 0; i < 2 * n->metric_count; i++)
        *state_sum(r, i) = 0;
    forward_backward(r);
    for (int32_t i = 0; i < 2 * n->metric_count; i++)
        out->sum[i] = *state_sum(r, i);
}

static void step_by_the_rule(net_run *r, const void *const *inputs, int64_t count)
{
    const lamina_net *n = r->net;
    part row[MOST] = {{0}};
    double total[SUMS];
    int parts = 0;
    for (int32_t i = 0; i < 2 * n->metric_count; i++)
        total[i] = *state_sum(r, i);
    r->call.loss_scale = 1.0f / (float)count;
    r->call.learning_rate = 0.01f;
    for (int64_t first = 0; first < count; first += MAX_BATCH, parts++) {
        row[parts].gradient = aligned_alloc(64, (n->gradient_bytes + 63) / 64 * 64);
        r->call.micro_batch = parts;
        run_part(r, inputs, first, count - first < MAX_BATCH ? count - first : MAX_BATCH, &row[parts]);
    }
    combine(n, row, parts);
    r->call.micro_batch = 0;
    r->call.gradients = row[0].gradient;
    for (int32_t i = 0; i < 2 * n->metric_count; i++)
        *state_sum(r, i) = total[i] + row[0].sum[i];
    update(r);
    for (int i = 0; i < parts; i++)
        free(row[i].gradient);
}

static void *model_values(lamina_model *m)
{
    const lamina_net *n = lamina_model_net(m);
    size_t bytes = 0;
    for (int32_t i = 0; i < n->tensor_count; i++)
        bytes += n->tensors[i].bytes;
    char *all = malloc(bytes), *at = all;
    for (int32_t i = 0; i < n->tensor_count; at += n->tensors[i++].bytes)
        CU_ASSERT_EQUAL(lamina_get_tensor(m, n->tensors[i].name, at, n->tensors[i].bytes, NULL), LAMINA_OK);
    return all;
}

static void compare(net_run *r, lamina_model *m, const char *net, int64_t examples)
{
    size_t bytes;
    void *want = net_export(r, &bytes), *got = model_values(m);
    bool same = !memcmp(want, got, bytes);
    if (!same)
        fprintf(stderr, "%s: other bits after a step on %lld examples\n", net, (long long)examples);
    CU_ASSERT_TRUE(same);
    free(want);
    free(got);
}

static void check_net(const char *net, const net_variant *v, int64_t workers)
{
    char path[512];
    net_run r;
    const void *inputs[8];
    lamina_model *m;
    snprintf(path, sizeof path, "%s/nets/%s.yaml", LAMINA_TESTS_DIR, net);
    CU_ASSERT_TRUE_FATAL(net_open(&r, path, v, 1));
    const lamina_options options = {.workers = workers, .staged = r.net->stage_count > 0};
    CU_ASSERT_EQUAL_FATAL(lamina_model_new(r.net, &options, &m, NULL), LAMINA_OK);
    CU_ASSERT_EQUAL_FATAL(lamina_initialize(m, 5, NULL), LAMINA_OK);
    net_initialize(&r, 5);
    for (int32_t i = 0; i < r.net->input_count; i++) {
        void *data = malloc(MOST * MAX_BATCH * r.net->inputs[i].bytes);
        fill_input(&r.net->inputs[i], data, MOST * MAX_BATCH, CLASSES, (uint32_t)i + 1);
        inputs[i] = data;
    }
    lamina_set_learning_rate(m, 0.01f);
    for (int parts = 1; parts <= MOST; parts++) {
        int64_t examples = MAX_BATCH * parts - parts % 3;
        CU_ASSERT_EQUAL(lamina_train_step(m, inputs, examples, NULL), LAMINA_OK);
        step_by_the_rule(&r, inputs, examples);
        compare(&r, m, net, examples);
    }
    for (int32_t i = 0; i < r.net->input_count; i++)
        free((void *)inputs[i]);
    lamina_model_free(m);
    net_close(&r);
}

static void one_to_nine(void)
{
    check_net("mlp", &(net_variant){.max_batch = MAX_BATCH}, 1);
    check_net("cnn", &(net_variant){.max_batch = MAX_BATCH}, 3);
    check_net("mlp", &(net_variant){.max_batch = MAX_BATCH, .partition = "staged", .stages = 2}, 2);
    check_net("clipped", &(net_variant){.max_batch = MAX_BATCH}, 2);
    check_net("clipped", &(net_variant){.max_batch = MAX_BATCH, .partition = "staged", .stages = 2}, 1);
}

void suite_accumulate(void);
void suite_accumulate(void)
{
    CU_pSuite s = CU_add_suite("accumulate", NULL, NULL);
    CU_add_test(s, "1 to 9 micro-batches are the sum that the rule makes", one_to_nine);
}
