/* tests/unit/test_bench.c - what `lamina bench` and --autotune rely on.
 *
 * Operations and bytes are counted exactly. A library whose kernels are launched one by one to be measured computes
 * the same bits as the ordinary library, and so does one with any plan that is measured. No test here looks at a
 * time. */
#include "backend/backend.h"
#include "ir/graph/cost.h"
#include "passes/select/plans.h"
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- counting ---- */

/* The cost of the only kernel of a function whose head and region are given. */
static ir_cost cost_of(const char *inputs, const char *kernel, int64_t batch)
{
    text source = {0}, messages = {0};
    diag *d = diag_new();
    text_printf(&source,
                "module @m\nfunc @f(%s) -> (r : f32[]) {\n%s  %%c = constant {value = [0]} : f32[]\n  return %%c\n}\n",
                inputs, kernel);
    ir_module *m = ir_parse(text_get(&source), "cost", d);
    diag_print_plain(d, &messages, false);
    CU_ASSERT_STRING_EQUAL(text_get(&messages), "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    ir_cost cost = ir_function_cost(m->functions, batch);
    ir_module_free(m);
    diag_free(d);
    text_free(&messages);
    text_free(&source);
    return cost;
}

static void products(void)
{
    ir_cost c = cost_of("%x : f32[B, 20], %w : f32[20, 3], %b : f32[3]",
                        "  %1 = reshape %x : f32[B, 20]\n"
                        "  %2 = fused \"dense\" (%x, %w, %b, %1) {kind = contraction} {\n"
                        "    %2 = dot_general %1, %w {lhs_contract = [1], rhs_contract = [0]} : f32[B, 3]\n"
                        "    %3 = broadcast_in_dim %b {dims = [1]} : f32[B, 3]\n"
                        "    %4 = add %2, %3 : f32[B, 3]\n"
                        "    %5 = slice %x {start = [0, 0], limit = [1, 3], stride = [1, 1]} : f32[B, 3]\n"
                        "    %6 = add %4, %5 : f32[B, 3]\n"
                        "    return %6\n"
                        "  } : f32[B, 3]\n",
                        7);
    CU_ASSERT_EQUAL(c.operations, 2 * 7 * 20 * 3 + 2 * 7 * 3);
    CU_ASSERT_EQUAL(c.bytes, 4 * (7 * 20 + 20 * 3 + 3 + 7 * 3)); /* %x once, though it is two operands */
}

/* 5 places of 3 taps each with one padded on either side, 2 channels to 4: padding is a term. */
static void convolutions(void)
{
    static const char form[] = "  %%1 = fused \"conv\" (%%x, %%w) {kind = contraction} {\n"
                               "    %%2 = convolution %%x, %%w {lhs = [0, 2, 1], rhs = [1, 2, 0], out = [0, 2, 1], "
                               "stride = [%d], low = [%d], high = [%d], lhs_dilation = [%d], rhs_dilation = [1], "
                               "feature_groups = [1], batch_groups = [1]} : f32[B, %d, 4]\n"
                               "    return %%2\n"
                               "  } : f32[B, %d, 4]\n";
    char kernel[1024];
    snprintf(kernel, sizeof kernel, form, 1, 1, 1, 1, 5, 5);
    ir_cost c = cost_of("%x : f32[B, 5, 2], %w : f32[3, 2, 4]", kernel, 3);
    CU_ASSERT_EQUAL(c.operations, 2 * 3 * 5 * 3 * 2 * 4);
    /* The lhs spread: elements at 0, 2, 4 of 7 places with padding 1; taps between elements are no terms.
     * Places -1..5 in threes: (-1 0 1) (0 1 2) (1 2 3) (2 3 4) (3 4 5) have 2 2 1 2 2 terms. */
    snprintf(kernel, sizeof kernel, form, 1, 1, 1, 2, 5, 5);
    c = cost_of("%x : f32[B, 3, 2], %w : f32[3, 2, 4]", kernel, 3);
    CU_ASSERT_EQUAL(c.operations, 2 * 3 * (2 + 2 + 1 + 2 + 2) * 2 * 4);
}

static void sums_and_states(void)
{
    ir_cost c = cost_of("%x : f32[B, 16]",
                        "  %1 = fused \"sum\" (%x) {kind = batch_reduce} {\n"
                        "    %2 = reduce %x {kind = sum, dims = [0], leaf = [8]} : f32[16]\n"
                        "    return %2\n"
                        "  } : f32[16]\n",
                        10);
    CU_ASSERT_EQUAL(c.operations, 160);
    CU_ASSERT_EQUAL(c.bytes, 4 * (160 + 16));
}

/* ---- launches ---- */

typedef struct {
    int64_t loops, tasks;
} counter;

static void counting_loop(void *host, lamina_task *task, void *context, int64_t tasks)
{
    counter *c = host;
    c->loops++;
    c->tasks += tasks;
    for (int64_t i = tasks; i-- > 0;)
        task(context, i);
}

static lamina_library *open_library(const ir_module *m, be_profile *profile, int number)
{
    char path[64];
    diag *d = diag_new();
    lamina_error e = {.text = ""};
    lamina_library *library = NULL;
    snprintf(path, sizeof path, "/tmp/lamina-bench-%ld-%s%d.so", (long)getpid(), profile ? "measured" : "plain",
             number);
    const be_options o = {BE_SO, path, false, NULL};
    CU_ASSERT_TRUE_FATAL(profile ? be_compile_profiled(m, &o, profile, d) : be_compile(m, &o, d));
    lamina_library_open(path, &library, &e);
    CU_ASSERT_STRING_EQUAL(e.text, "");
    unlink(path);
    diag_free(d);
    return library;
}

/* All tensors after three steps, then what infer gives. */
static char *train(const lamina_library *library, const lamina_options *o, size_t *bytes)
{
    enum { BATCH = 20 };
    const lamina_net *n = lamina_library_net(library);
    lamina_model *m = NULL;
    void *inputs[8], *outputs[8];
    *bytes = 0;
    for (int32_t i = 0; i < n->tensor_count; i++)
        *bytes += n->tensors[i].bytes;
    for (int32_t i = 0; i < n->output_count; i++)
        *bytes += n->outputs[i].bytes * BATCH;
    char *all = calloc(*bytes, 1), *at = all;
    for (int32_t i = 0; i < n->input_count; i++) {
        inputs[i] = malloc(n->inputs[i].bytes * BATCH);
        fill_input(&n->inputs[i], inputs[i], BATCH, 10, (uint32_t)i + 1);
    }
    CU_ASSERT_EQUAL_FATAL(lamina_model_new(n, o, &m, NULL), LAMINA_OK);
    CU_ASSERT_EQUAL(lamina_initialize(m, 3, NULL), LAMINA_OK);
    for (int step = 0; step < 3; step++)
        CU_ASSERT_EQUAL(lamina_train_step(m, (const void *const *)inputs, BATCH, NULL), LAMINA_OK);
    for (int32_t i = 0; i < n->tensor_count; at += n->tensors[i++].bytes)
        lamina_get_tensor(m, n->tensors[i].name, at, n->tensors[i].bytes, NULL);
    for (int32_t i = 0; i < n->output_count; at += n->outputs[i++].bytes * BATCH)
        outputs[i] = at;
    CU_ASSERT_EQUAL(lamina_infer(m, (const void *const *)inputs, BATCH, outputs, NULL), LAMINA_OK);
    lamina_model_free(m);
    for (int32_t i = 0; i < n->input_count; i++)
        free(inputs[i]);
    return all;
}

static int64_t launches_of(const be_profile *p, const char *function)
{
    int64_t count = 0;
    for (int32_t i = 0; i < p->count; i++)
        count += !strcmp(p->launch[i].function->name, function);
    return count;
}

/* Two-phase kernels and scratch memory are in the CNN. */
static void measured_bits(void)
{
    const net_variant v = {.max_batch = 40, .disabled = "chain"};
    ir_module *m = net_module(LAMINA_TESTS_DIR "/nets/cnn.yaml", &v);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    be_profile profile = {.mem = arena_new()};
    lamina_library *plain = open_library(m, NULL, 0), *measured = open_library(m, &profile, 0);
    size_t bytes, same;
    char *wanted = train(plain, NULL, &bytes);
    for (int64_t workers = 1; workers <= 2; workers++) {
        counter c = {0};
        const lamina_options o = {.workers = workers, .parallel_for = counting_loop, .host = &c};
        char *got = train(measured, &o, &same);
        CU_ASSERT_EQUAL(bytes, same);
        CU_ASSERT_EQUAL(memcmp(wanted, got, bytes), 0);
        CU_ASSERT_EQUAL(c.loops, 3 * launches_of(&profile, "train_step") + launches_of(&profile, "infer"));
        CU_ASSERT_TRUE(c.tasks > c.loops);
        free(got);
    }
    free(wanted);
    lamina_library_free(plain);
    lamina_library_free(measured);
    arena_free(profile.mem);
    ir_module_free(m);
}

/* Without a loop of the host's a measured library still runs. */
static void measured_alone(void)
{
    ir_module *m = net_module(LAMINA_TESTS_DIR "/nets/mlp.yaml", &(net_variant){0});
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    be_profile profile = {.mem = arena_new()};
    lamina_library *plain = open_library(m, NULL, 0), *measured = open_library(m, &profile, 0);
    size_t bytes, same;
    char *wanted = train(plain, NULL, &bytes), *got = train(measured, NULL, &same);
    CU_ASSERT_EQUAL(memcmp(wanted, got, bytes), 0);
    free(wanted);
    free(got);
    lamina_library_free(plain);
    lamina_library_free(measured);
    arena_free(profile.mem);
    ir_module_free(m);
}

/* ---- plans to measure ---- */

static const ir_node *product_of(const ir_node *kernel)
{
    for (const ir_node *n = kernel->op == IR_FUSED ? kernel->region->first : NULL; n; n = n->next)
        if (n->op == IR_DOT_GENERAL || n->op == IR_CONVOLUTION)
            return n;
    return NULL;
}

static int64_t scratch_of(const ir_node *kernel)
{
    for (int i = 0; i < kernel->nin; i++)
        if (kernel->in[i]->op == IR_SCRATCH)
            return ir_static_count(&kernel->in[i]->type);
    return 0;
}

typedef struct {
    int round, changed;
} round_choice;

/* Every contraction takes its candidate of that round, if it has so many. */
static bool take_candidates(ir_module *m, void *user, diag *d)
{
    round_choice *r = user;
    arena *mem = arena_new();
    (void)d;
    int64_t max_batch = (int64_t)ir_attr_find(m->attrs, "max_batch")->number[0];
    for (ir_graph *g = m->functions; g; g = g->next)
        for (ir_node *n = g->first; n; n = n->next) {
            contraction_plan candidates[SELECT_CANDIDATES];
            const ir_attr *a = ir_attr_find(n->attrs, "plan");
            contraction c;
            if (!product_of(n) || a->count != CONTRACTION_PLAN || !contraction_describe(product_of(n), 0, mem, &c))
                continue;
            contraction_plan base;
            CU_ASSERT_TRUE_FATAL(contraction_plan_read(n, &base));
            int count = select_candidates(&c, &m->target, max_batch, &base, scratch_of(n), candidates);
            CU_ASSERT_TRUE(count >= 2 && count <= SELECT_CANDIDATES);
            if (r->round >= count)
                continue;
            const contraction_plan *p = &candidates[r->round];
            CU_ASSERT_TRUE(contraction_plan_fits(&c, m->target.vector, max_batch, p, scratch_of(n)));
            contraction_plan_write(n, p);
            r->changed++;
        }
    arena_free(mem);
    return true;
}

static void candidates_keep_bits(void)
{
    const net_variant usual = {.max_batch = 40};
    ir_module *m = net_module(LAMINA_TESTS_DIR "/nets/cnn.yaml", &usual);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    size_t bytes, same;
    lamina_library *plain = open_library(m, NULL, -1);
    char *wanted = train(plain, NULL, &bytes);
    for (int round = 0; round < SELECT_CANDIDATES; round++) {
        round_choice r = {.round = round};
        const net_variant v = {.max_batch = 40, .hook = take_candidates, .hook_user = &r};
        ir_module *other = net_module(LAMINA_TESTS_DIR "/nets/cnn.yaml", &v);
        CU_ASSERT_PTR_NOT_NULL_FATAL(other);
        CU_ASSERT_TRUE(r.changed > 0);
        lamina_library *library = open_library(other, NULL, round);
        char *got = train(library, NULL, &same);
        CU_ASSERT_TRUE(bytes == same && !memcmp(wanted, got, bytes));
        free(got);
        lamina_library_free(library);
        ir_module_free(other);
    }
    free(wanted);
    lamina_library_free(plain);
    ir_module_free(m);
}

void suite_bench(void);
void suite_bench(void)
{
    CU_pSuite s = CU_add_suite("bench", NULL, NULL);
    CU_add_test(s, "operations and bytes of products", products);
    CU_add_test(s, "operations of convolutions", convolutions);
    CU_add_test(s, "operations and bytes of sums", sums_and_states);
    CU_add_test(s, "a measured library has the same bits", measured_bits);
    CU_add_test(s, "plans to measure keep the bits", candidates_keep_bits);
    CU_add_test(s, "a measured library runs without a loop", measured_alone);
}
