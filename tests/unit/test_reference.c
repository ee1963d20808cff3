/* tests/unit/test_reference.c - generated code against PyTorch.
 *
 * The nets of tests/nets/torch train for five steps. Then every parameter must be within 1e-5 of the largest value
 * of its tensor. The expected values, and the formulas of the inputs, are those of tests/reference/torch_values.py. */
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 5, BATCH = 20 };

static void start_parameters(net_run *r)
{
    net_initialize(r, 1);
    const lamina_net *n = r->net;
    void **tensors = calloc((size_t)n->tensor_count, sizeof *tensors);
    for (int32_t t = 0; t < n->param_count; t++) {
        size_t count = n->tensors[t].bytes / sizeof(float);
        float *v = tensors[t] = malloc(n->tensors[t].bytes);
        for (size_t i = 0; i < count; i++)
            v[i] = (float)(0.3 * sin(0.7 * (double)i + t));
    }
    const lamina_weights w = {sizeof w, r->call.params, r->call.state, tensors};
    n->import_weights(&w);
    for (int32_t t = 0; t < n->param_count; t++)
        free(tensors[t]);
    free(tensors);
}

/* The inputs of a step; a float input is 100 steps further on than the one before it. */
static void *make_input(const lamina_tensor *t, int32_t index, int step)
{
    int64_t count = BATCH;
    for (int32_t i = 0; i < t->rank; i++)
        count *= t->dim[i];
    char *data = malloc((size_t)t->bytes * BATCH);
    for (int64_t i = 0; i < count; i++)
        if (t->dtype == LAMINA_UI8)
            ((uint8_t *)data)[i] = (uint8_t)((7919 * i + 104729 * step) % 256);
        else if (t->dtype == LAMINA_I32)
            ((int32_t *)data)[i] = (int32_t)((31 * i + 7 * step) % 10);
        else
            ((float *)data)[i] = (float)sin(0.37 * (double)i + step + 100 * index);
    return data;
}

static double loss_sum(net_run *r)
{
    const lamina_net *n = r->net;
    for (int32_t i = 0; i < n->tensor_count; i++)
        if (!strcmp(n->tensors[i].name, "metric.loss"))
            return *(double *)((char *)r->call.state + n->tensors[i].offset);
    CU_FAIL("no state metric.loss");
    return 0;
}

static void check_tensor(net_run *r, FILE *f, const char *name, double largest, int count)
{
    const lamina_net *n = r->net;
    size_t bytes;
    char *all = net_export(r, &bytes), *at = all;
    int32_t t = 0;
    while (t < n->param_count && strcmp(n->tensors[t].name, name))
        at += n->tensors[t++].bytes;
    CU_ASSERT_TRUE_FATAL(t < n->param_count);
    size_t elements = n->tensors[t].bytes / sizeof(float);
    double worst = 0;
    for (int i = 0; i < count; i++) {
        double want;
        CU_ASSERT_EQUAL_FATAL(fscanf(f, "%lf", &want), 1);
        double off = fabs(((float *)at)[(size_t)i * elements / (size_t)count] - want) / largest;
        worst = off > worst || isnan(off) ? off : worst;
    }
    if (!(worst <= 1e-5))
        fprintf(stderr, "%s of %s: off by %.3g of its largest value\n", name, n->name, worst);
    CU_ASSERT_TRUE(worst <= 1e-5);
    free(all);
}

static void check_net(FILE *f, const char *name)
{
    char path[512], word[64], tensor[128];
    net_run r;
    const net_variant v = {0};
    snprintf(path, sizeof path, "%s/nets/torch/%s.yaml", LAMINA_TESTS_DIR, name);
    CU_ASSERT_TRUE_FATAL(net_open(&r, path, &v, 1));
    start_parameters(&r);
    r.call.learning_rate = (float)r.net->rate.a;
    double before = 0;
    for (int step = 0; step < STEPS; step++) {
        int at;
        double want;
        for (int32_t i = 0; i < r.net->input_count; i++)
            r.inputs[i] = make_input(&r.net->inputs[i], i, step);
        CU_ASSERT_EQUAL(net_step(&r, BATCH), LAMINA_CALL_OK);
        for (int32_t i = 0; i < r.net->input_count; i++)
            free((void *)r.inputs[i]);
        CU_ASSERT_EQUAL_FATAL(fscanf(f, "%63s %d %lf", word, &at, &want), 3);
        double loss = (loss_sum(&r) - before) / BATCH;
        before = loss_sum(&r);
        CU_ASSERT_DOUBLE_EQUAL(loss, want, 2e-5 * fabs(want));
    }
    for (int32_t t = 0; t < r.net->param_count; t++) {
        double largest;
        int count;
        CU_ASSERT_EQUAL_FATAL(fscanf(f, "%63s %127s %lf %d", word, tensor, &largest, &count), 4);
        CU_ASSERT_STRING_EQUAL_FATAL(word, "tensor");
        check_tensor(&r, f, tensor, largest, count);
    }
    net_close(&r);
}

static void pytorch(void)
{
    char path[512], word[64], name[64];
    snprintf(path, sizeof path, "%s/reference/torch_values.txt", LAMINA_TESTS_DIR);
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    if (fscanf(f, "#%*[^\n]"))
        CU_FAIL("unexpected head");
    int nets = 0;
    while (fscanf(f, "%63s %63s", word, name) == 2) {
        CU_ASSERT_STRING_EQUAL_FATAL(word, "net");
        check_net(f, name);
        nets++;
    }
    CU_ASSERT_EQUAL(nets, 7);
    fclose(f);
}

void suite_reference(void);
void suite_reference(void)
{
    CU_pSuite s = CU_add_suite("reference", NULL, NULL);
    CU_add_test(s, "five steps as PyTorch takes them", pytorch);
}
