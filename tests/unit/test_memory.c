/* tests/unit/test_memory.c - once a model is made, a training step allocates nothing, neither by the runtime nor by
 * malloc.
 *
 * malloc and its relatives are defined here, so that they take the place of the C library's, and count their calls.
 * AddressSanitizer has its own malloc, which comes first; with it only the runtime's calls are counted, by its hook. */
#include "runtime/base/memory.h"
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_llong calls; /* workers allocate too, if anyone does */

#ifndef __SANITIZE_ADDRESS__
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);
void __libc_free(void *p);

void *malloc(size_t bytes)
{
    atomic_fetch_add(&calls, 1);
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *p, size_t bytes)
{
    atomic_fetch_add(&calls, 1);
    return __libc_realloc(p, bytes);
}

void *memalign(size_t align, size_t bytes);
void *memalign(size_t align, size_t bytes)
{
    atomic_fetch_add(&calls, 1);
    return __libc_memalign(align, bytes);
}

void *aligned_alloc(size_t align, size_t bytes)
{
    return memalign(align, bytes);
}

int posix_memalign(void **out, size_t align, size_t bytes)
{
    *out = memalign(align, bytes);
    return *out ? 0 : ENOMEM;
}

void free(void *p)
{
    atomic_fetch_add(&calls, p != NULL);
    __libc_free(p);
}
#endif

static bool count_runtime(void *user, size_t bytes)
{
    (void)user;
    (void)bytes;
    atomic_fetch_add(&calls, 1);
    return true;
}

enum { LARGEST = 50, CLASSES = 10 }; /* batches above max_batch are fed in pieces */

typedef struct {
    lamina_model *model;
    const void *inputs[8];
    void *outputs[8];
} subject;

static void open_subject(subject *s, const lamina_net *n, const lamina_options *options)
{
    lamina_error e;
    CU_ASSERT_EQUAL_FATAL(lamina_model_new(n, options, &s->model, &e), LAMINA_OK);
    CU_ASSERT_EQUAL_FATAL(lamina_initialize(s->model, 1, &e), LAMINA_OK);
    if (!options->inference)
        CU_ASSERT_EQUAL_FATAL(lamina_reserve(s->model, (LARGEST - 1) / n->max_batch + 1, &e), LAMINA_OK);
    for (int32_t i = 0; i < n->input_count; i++) {
        void *data = malloc(LARGEST * n->inputs[i].bytes);
        fill_input(&n->inputs[i], data, LARGEST, CLASSES, (uint32_t)i + 1);
        s->inputs[i] = data;
    }
    for (int32_t i = 0; i < n->output_count; i++)
        s->outputs[i] = malloc(LARGEST * n->outputs[i].bytes);
}

static void close_subject(subject *s, const lamina_net *n)
{
    for (int32_t i = 0; i < n->input_count; i++)
        free((void *)s->inputs[i]);
    for (int32_t i = 0; i < n->output_count; i++)
        free(s->outputs[i]);
    lamina_model_free(s->model);
}

/* Every call of a training loop, at the largest batch, a short one, and one in pieces. */
static void call_all(const subject *s)
{
    static const int64_t batches[] = {20, 7, LARGEST};
    lamina_error e;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(lamina_train_step(s->model, s->inputs, batches[i], &e), LAMINA_OK);
        CU_ASSERT_EQUAL(lamina_evaluate(s->model, s->inputs, batches[i], &e), LAMINA_OK);
        CU_ASSERT_EQUAL(lamina_infer(s->model, s->inputs, batches[i], s->outputs, &e), LAMINA_OK);
    }
    CU_ASSERT_EQUAL(lamina_gradients(s->model, s->inputs, 20, 0, 0.05f, &e), LAMINA_OK);
    CU_ASSERT_EQUAL(lamina_update(s->model, &e), LAMINA_OK);
}

static void check_net(const char *yaml, const net_variant *v)
{
    net_run r;
    CU_ASSERT_FATAL(net_open(&r, yaml, v, 1));
    for (int64_t workers = 1; workers <= 3; workers += 2) {
        subject s;
        open_subject(&s, r.net, &(lamina_options){.workers = workers, .staged = r.net->stage_count > 0});
        lamina_set_allocation_hook(count_runtime, NULL);
        long long before = atomic_load(&calls);
        call_all(&s);
        long long after = atomic_load(&calls);
        lamina_set_allocation_hook(NULL, NULL);
        CU_ASSERT_EQUAL(after, before);
        close_subject(&s, r.net);
    }
    net_close(&r);
}

/* Bytes that a call needs besides parameters and states, at the batch the example trains with: whole maps of the
 * forward pass that the backward pass reads, and for each worker a slice of all others. */
static void little_memory(void)
{
    enum { MOST = 9000000, MOST_A_WORKER = 512 << 10 };
    net_run r;
    CU_ASSERT_TRUE_FATAL(net_open(&r, LAMINA_TESTS_DIR "/../examples/fashion_cnn.yaml", &(net_variant){0}, 1));
    CU_ASSERT(r.net->saved_bytes + r.net->workspace_bytes <= MOST);
    CU_ASSERT(r.net->workspace_worker_bytes <= MOST_A_WORKER && r.net->workspace_worker_bytes > 0);
    net_close(&r);
}

/* A model for inference has the outputs and metrics of one that trains, in a fraction of its memory; its calls do not
 * allocate either. */
static void inference_memory(void)
{
    enum { FRACTION = 3 };
    net_run r;
    CU_ASSERT_TRUE_FATAL(net_open(&r, LAMINA_TESTS_DIR "/../examples/fashion_cnn.yaml", &(net_variant){0}, 1));
    subject whole, part;
    open_subject(&whole, r.net, &(lamina_options){.workers = 2});
    open_subject(&part, r.net, &(lamina_options){.workers = 2, .inference = true});
    CU_ASSERT(FRACTION * lamina_model_bytes(part.model) < lamina_model_bytes(whole.model));
    for (int i = 0; i < 2; i++) {
        const subject *s = i ? &part : &whole;
        lamina_error e;
        long long before = atomic_load(&calls);
        CU_ASSERT_EQUAL(lamina_infer(s->model, s->inputs, LARGEST, s->outputs, &e), LAMINA_OK);
        CU_ASSERT_EQUAL(lamina_evaluate(s->model, s->inputs, LARGEST, &e), LAMINA_OK);
        CU_ASSERT_EQUAL(atomic_load(&calls), before);
    }
    CU_ASSERT_EQUAL(memcmp(part.outputs[0], whole.outputs[0], LARGEST * r.net->outputs[0].bytes), 0);
    CU_ASSERT_EQUAL(lamina_metric_value(part.model, 0), lamina_metric_value(whole.model, 0));
    CU_ASSERT(lamina_metric_value(part.model, 0) > 0);
    close_subject(&whole, r.net);
    close_subject(&part, r.net);
    net_close(&r);
}

static void no_allocation(void)
{
    check_net(LAMINA_TESTS_DIR "/nets/mlp.yaml", &(net_variant){0});
    check_net(LAMINA_TESTS_DIR "/nets/mlp.yaml", &(net_variant){.partition = "staged", .stages = 2});
    check_net(LAMINA_TESTS_DIR "/nets/cnn.yaml", &(net_variant){0});
    check_net(LAMINA_TESTS_DIR "/nets/chains.yaml", &(net_variant){0});
}

/* ---- stages that learn on their own ---- */

typedef struct {
    int64_t step, all; /* bytes while a step runs, by one worker; with parameters, states and gradients */
} sizes;

static int64_t bytes_of(const ir_module *m, const char *name)
{
    const ir_attr *a = ir_attr_find(m->attrs, name);
    return a ? (int64_t)a->number[0] : 0;
}

/* Of a part, or of the whole. Slices of chains are as long as the caches allow, so a CPU is named. */
static sizes sizes_of(const char *path, const char *part)
{
    const net_variant v = {.part = part, .cpu = "x86-64-v3"};
    ir_module *m = net_module(path, &v);
    sizes s = {0, 0};
    CU_ASSERT_PTR_NOT_NULL(m);
    if (!m)
        return s;
    s.step = bytes_of(m, "saved_bytes") + bytes_of(m, "workspace_bytes") + bytes_of(m, "workspace_worker_bytes");
    s.all = s.step + bytes_of(m, "params_bytes") + bytes_of(m, "state_bytes") + bytes_of(m, "gradient_bytes");
    ir_module_free(m);
    return s;
}

static sizes largest_stage(const char *path)
{
    static const char *const stages[] = {"edges", "parts", "classes"};
    sizes most = {0, 0};
    for (int i = 0; i < 3; i++) {
        sizes s = sizes_of(path, stages[i]);
        CU_ASSERT_TRUE(s.step > 0);
        most.step = s.step > most.step ? s.step : most.step;
        most.all = s.all > most.all ? s.all : most.all;
    }
    return most;
}

/* A stage at a time takes at most 60 % of what the same layers take end to end: of the memory of a step, and of all
 * that a model holds. The head of the first stage, which has the largest map, looks at a smaller one. */
static void stages_take_less(void)
{
    sizes whole = sizes_of(LAMINA_SOURCE_DIR "/examples/fashion_cnn.yaml", NULL);
    sizes stage = largest_stage(LAMINA_SOURCE_DIR "/examples/fashion_cnn_staged.yaml");
    CU_ASSERT_TRUE(10 * stage.step <= 6 * whole.step);
    CU_ASSERT_TRUE(10 * stage.all <= 6 * whole.all);
}

/* The counters do count. */
static void counters_count(void)
{
    lamina_set_allocation_hook(count_runtime, NULL);
    long long before = atomic_load(&calls);
    lamina_release(lamina_allocate(1, 8));
    CU_ASSERT(atomic_load(&calls) > before);
    lamina_set_allocation_hook(NULL, NULL);
#ifndef __SANITIZE_ADDRESS__
    before = atomic_load(&calls);
    free(strdup("x"));
    CU_ASSERT_EQUAL(atomic_load(&calls), before + 2);
#endif
}

void suite_memory(void);
void suite_memory(void)
{
    CU_pSuite s = CU_add_suite("memory", NULL, NULL);
    CU_add_test(s, "allocations are counted", counters_count);
    CU_add_test(s, "the example CNN takes little memory", little_memory);
    CU_add_test(s, "a model for inference takes less", inference_memory);
    CU_add_test(s, "a stage at a time takes less", stages_take_less);
    CU_add_test(s, "no call of a training loop allocates", no_allocation);
}
