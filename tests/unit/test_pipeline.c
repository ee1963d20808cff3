/* tests/unit/test_pipeline.c - stages that each have a library of their own, trained as a pipeline: the bits of one
 * process that trains the whole network in the same micro-batches, whatever the schedule, the threads, how long each
 * piece of work takes, and where the stages live. */
#include "examples/pipeline/bands.h"
#include "tests/unit/extent.h"
#include "tests/unit/net_run.h"
#include "tests/unit/shell.h"
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MICRO = 8, STEPS = 2, MOST = 3, MOST_INPUTS = 8, SEED = 5 };

static lamina_error error;

#define OK(call) CU_ASSERT_EQUAL_FATAL(call, LAMINA_OK)

/* ---- a network, whole and in stages ---- */

typedef struct {
    int stages;
    lamina_library *library[MOST], *whole_library;
    const lamina_net *stage[MOST], *whole;
} libraries;

static lamina_library *open_library(const char *name, const lamina_net **net)
{
    char path[128];
    lamina_library *l = NULL;
    snprintf(path, sizeof path, "%s/%s.so", directory, name);
    OK(lamina_library_open(path, &l, &error));
    *net = lamina_library_net(l);
    return l;
}

static libraries open_net(const char *name, int stages)
{
    libraries l = {.stages = stages};
    CU_ASSERT_EQUAL_FATAL(run("%s compile --max-batch=%d %s/nets/%s.yaml --partition=fused -o whole.so", LAMINA_BINARY,
                              MICRO, LAMINA_TESTS_DIR, name),
                          0);
    CU_ASSERT_EQUAL_FATAL(
        run("%s compile --max-batch=%d %s/nets/%s.yaml --partition=auto --stages=%d --emit-stages -o net.so",
            LAMINA_BINARY, MICRO, LAMINA_TESTS_DIR, name, stages),
        0);
    l.whole_library = open_library("whole", &l.whole);
    for (int i = 0; i < stages; i++) {
        char file[32];
        snprintf(file, sizeof file, "net_stage%d", i + 1);
        l.library[i] = open_library(file, &l.stage[i]);
    }
    return l;
}

static void close_net(libraries *l)
{
    lamina_library_free(l->whole_library);
    for (int i = 0; i < l->stages; i++)
        lamina_library_free(l->library[i]);
}

/* ---- data, and what came of it ---- */

/* Values for the inputs of 'net', by their names in the whole network. */
static void fill_inputs(const lamina_net *whole, const lamina_net *net, int64_t count, uint32_t step,
                        const void *inputs[MOST_INPUTS])
{
    for (int32_t i = 0; i < net->input_count; i++) {
        int32_t number = lamina_net_input(whole, net->inputs[i].name);
        void *values = malloc((size_t)count * net->inputs[i].bytes);
        fill_input(&net->inputs[i], values, count, 5, input_seed(step, number));
        inputs[i] = values;
    }
}

static void free_inputs(const lamina_net *net, const void *inputs[MOST_INPUTS])
{
    for (int32_t i = 0; i < net->input_count; i++)
        free((void *)inputs[i]);
}

static lamina_model *train_whole(const libraries *l, int64_t count, int steps)
{
    lamina_model *m = NULL;
    OK(lamina_model_new(l->whole, NULL, &m, &error));
    OK(lamina_initialize(m, SEED, &error));
    for (int i = 0; i < steps; i++) {
        const void *inputs[MOST_INPUTS];
        fill_inputs(l->whole, l->whole, count, (uint32_t)i, inputs);
        OK(lamina_train_step(m, inputs, count, &error));
        free_inputs(l->whole, inputs);
    }
    return m;
}

static void train_pipeline(const libraries *l, lamina_pipeline *p, int64_t count, int steps)
{
    const lamina_net *fields = lamina_pipeline_fields(p);
    for (int i = 0; i < steps; i++) {
        const void *inputs[MOST_INPUTS];
        fill_inputs(l->whole, fields, count, (uint32_t)i, inputs);
        OK(lamina_pipeline_train_step(p, inputs, count, &error));
        free_inputs(fields, inputs);
    }
}

/* What the stages here have learned, and their sums of metrics, is what the whole has; how many tensors they were. */
static int check_stages(const libraries *l, lamina_pipeline *p, lamina_model *whole)
{
    int same = 0;
    for (int i = 0; i < l->stages; i++) {
        lamina_model *stage = lamina_pipeline_model(p, i);
        for (int32_t k = 0; stage && k < l->stage[i]->tensor_count; k++) {
            const lamina_tensor *t = &l->stage[i]->tensors[k];
            void *x = malloc(t->bytes), *y = malloc(t->bytes);
            OK(lamina_get_tensor(stage, t->name, x, t->bytes, &error));
            OK(lamina_get_tensor(whole, t->name, y, t->bytes, &error));
            if (memcmp(x, y, t->bytes))
                fprintf(stderr, "%s: tensor %s differs\n", l->stage[i]->name, t->name);
            CU_ASSERT_EQUAL(memcmp(x, y, t->bytes), 0);
            same++;
            free(x);
            free(y);
        }
    }
    return same;
}

static void check_metrics(const libraries *l, const lamina_pipeline *p, const lamina_model *whole)
{
    const lamina_net *fields = lamina_pipeline_fields(p);
    CU_ASSERT_EQUAL(fields->metric_count, l->whole->metric_count);
    for (int32_t i = 0; i < fields->metric_count; i++)
        for (int32_t k = 0; k < l->whole->metric_count; k++)
            if (!strcmp(fields->metrics[i].name, l->whole->metrics[k].name))
                CU_ASSERT_EQUAL(lamina_pipeline_metric_value(p, i), lamina_metric_value(whole, k));
}

/* ---- equal bits ---- */

static void compare(const libraries *l, lamina_pipeline_options options, int64_t count)
{
    lamina_model *whole = train_whole(l, count, STEPS), *copy = NULL;
    lamina_pipeline *p = NULL;
    OK(lamina_pipeline_new(l->stage, l->stages, &options, &p, &error));
    OK(lamina_pipeline_initialize(p, SEED, &error));
    train_pipeline(l, p, count, STEPS);
    check_stages(l, p, whole);
    check_metrics(l, p, whole);
    OK(lamina_model_new(l->whole, NULL, &copy, &error));
    for (int i = 0; i < l->stages; i++)
        OK(lamina_copy_tensors(copy, lamina_pipeline_model(p, i), &error));
    CU_ASSERT_EQUAL(lamina_steps(copy), STEPS);
    for (int32_t i = 0; i < l->whole->param_count; i++) {
        const lamina_tensor *t = &l->whole->tensors[i];
        void *x = malloc(t->bytes), *y = malloc(t->bytes);
        OK(lamina_get_tensor(copy, t->name, x, t->bytes, &error));
        OK(lamina_get_tensor(whole, t->name, y, t->bytes, &error));
        CU_ASSERT_EQUAL(memcmp(x, y, t->bytes), 0);
        free(x);
        free(y);
    }
    lamina_model_free(copy);
    lamina_model_free(whole);
    lamina_pipeline_free(p);
}

/* Each parameter is in one stage, and no stage has memory for those of others. */
static void check_memory(const libraries *l)
{
    uint64_t params = 0, gradients = 0, most = (uint64_t)l->whole->tensor_count * 64;
    for (int32_t i = 0; i < l->whole->param_count; i++) {
        int homes = 0;
        for (int k = 0; k < l->stages; k++)
            homes += lamina_net_tensor(l->stage[k], l->whole->tensors[i].name) >= 0;
        CU_ASSERT_EQUAL(homes, 1);
    }
    for (int k = 0; k < l->stages; k++) {
        params += l->stage[k]->params_bytes;
        gradients += l->stage[k]->gradient_bytes;
        CU_ASSERT(l->stage[k]->params_bytes < l->whole->params_bytes);
    }
    CU_ASSERT(params <= l->whole->params_bytes + most);
    CU_ASSERT(gradients <= l->whole->gradient_bytes + most);
}

static void check_net(const char *name, int stages)
{
    libraries l = open_net(name, stages);
    check_memory(&l);
    for (int schedule = 0; schedule < 2; schedule++) {
        const lamina_pipeline_options o = {.schedule = schedule ? LAMINA_GPIPE : LAMINA_1F1B};
        compare(&l, o, 4 * MICRO);
        compare(&l, o, 8 * MICRO - 3);
        compare(&l, o, 1);
    }
    compare(&l, (lamina_pipeline_options){.threads = 1}, 8 * MICRO - 3);
    compare(&l, (lamina_pipeline_options){.threads = 5, .stage = {.workers = 2}}, 3 * MICRO);
    close_net(&l);
}

static void test_bits(void)
{
    static const char *const names[] = {"mlp", "cnn", "residual", "branches", "frozen"};
    int nets = extent_sanitized ? 2 : (int)(sizeof names / sizeof *names);
    for (int i = 0; i < nets; i++) {
        check_net(names[i], 2);
        check_net(names[i], 3);
    }
}

/* ---- delays ---- */

static lamina_function *real_forward[MOST], *real_backward[MOST];
static atomic_uint delay_seed;
static atomic_int delays;

/* A pause of up to a fifth of a millisecond, often none. */
static void pause_a_little(void)
{
    uint32_t x = atomic_fetch_add(&delay_seed, 0x9e3779b9u);
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    atomic_fetch_add(&delays, 1);
    if (x % 3)
        usleep(x / 3 % 200);
}

#define DELAYED(i)                                                                                                     \
    static int32_t forward##i(const lamina_call *c)                                                                    \
    {                                                                                                                  \
        pause_a_little();                                                                                              \
        return real_forward[i](c);                                                                                     \
    }                                                                                                                  \
    static int32_t backward##i(const lamina_call *c)                                                                   \
    {                                                                                                                  \
        pause_a_little();                                                                                              \
        return real_backward[i](c);                                                                                    \
    }
DELAYED(0)
DELAYED(1)
DELAYED(2)

static lamina_stage delayed[MOST] = {{.forward = forward0, .backward = backward0},
                                     {.forward = forward1, .backward = backward1},
                                     {.forward = forward2, .backward = backward2}};

/* The same libraries, whose functions pause before they begin. */
static libraries delay(const libraries *l, lamina_net slow[MOST])
{
    libraries other = *l;
    for (int i = 0; i < l->stages; i++) {
        real_forward[i] = l->stage[i]->stages[0].forward;
        real_backward[i] = l->stage[i]->stages[0].backward;
        delayed[i].update = l->stage[i]->stages[0].update;
        delayed[i].name = l->stage[i]->stages[0].name;
        slow[i] = *l->stage[i];
        slow[i].stages = &delayed[i];
        other.stage[i] = &slow[i];
    }
    return other;
}

static void run_delayed(const libraries *l, lamina_pipeline_options o, int wanted)
{
    enum { EACH = 10 };
    static const int64_t counts[] = {4 * MICRO - 5, 8 * MICRO - 1};
    for (int round = 0; atomic_load(&delays) < wanted; round++) {
        int64_t count = counts[round % 2];
        lamina_model *whole = train_whole(l, count, EACH);
        lamina_pipeline *p = NULL;
        OK(lamina_pipeline_new(l->stage, l->stages, &o, &p, &error));
        OK(lamina_pipeline_initialize(p, SEED, &error));
        train_pipeline(l, p, count, EACH);
        check_stages(l, p, whole);
        lamina_pipeline_free(p);
        lamina_model_free(whole);
    }
}

static void test_delays(void)
{
    int wanted = extent_full() ? 10000 : 1000;
    for (int stages = 2; stages <= MOST; stages++) {
        lamina_net slow[MOST];
        libraries l = open_net("mlp", stages), other = delay(&l, slow);
        atomic_store(&delays, 0);
        run_delayed(&other, (lamina_pipeline_options){.schedule = LAMINA_1F1B}, wanted);
        run_delayed(&other, (lamina_pipeline_options){.schedule = LAMINA_GPIPE}, wanted + wanted / 4);
        run_delayed(&other, (lamina_pipeline_options){.threads = 2}, wanted + wanted / 2);
        close_net(&l);
    }
}

/* ---- stages elsewhere ---- */

typedef struct {
    const libraries *l;
    lamina_pipeline *own, *peers[MOST];
    int64_t count;
} place;

/* What a stage elsewhere reads goes to it at once. */
static lamina_status hand_over(void *user, const lamina_parcel *parcel, lamina_error *e)
{
    const place *from = user;
    lamina_pipeline *to = NULL;
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < parcel->to_count; i++) {
        if (from->peers[parcel->to[i]] == to)
            continue;
        to = from->peers[parcel->to[i]];
        s = lamina_pipeline_deliver(to, parcel, e);
    }
    return s;
}

static void *train_place(void *argument)
{
    const place *here = argument;
    train_pipeline(here->l, here->own, here->count, STEPS);
    return NULL;
}

/* Three stages in three places, or in two. */
static void check_places(const libraries *l, lamina_pipeline_schedule schedule, const int32_t *first, int places)
{
    place here[MOST];
    pthread_t thread[MOST];
    lamina_model *whole = train_whole(l, 8 * MICRO - 3, STEPS);
    for (int i = 0; i < places; i++) {
        int32_t end = i + 1 < places ? first[i + 1] : l->stages;
        here[i] = (place){.l = l, .count = 8 * MICRO - 3};
        const lamina_pipeline_options o = {
            .schedule = schedule, .first = first[i], .here = end - first[i], .send = hand_over, .user = &here[i]};
        OK(lamina_pipeline_new(l->stage, l->stages, &o, &here[i].own, &error));
        OK(lamina_pipeline_initialize(here[i].own, SEED, &error));
        for (int32_t k = first[i]; k < end; k++)
            for (int n = 0; n < MOST; n++)
                here[n].peers[k] = here[i].own;
    }
    for (int i = 0; i < places; i++)
        for (int32_t k = 0; k < l->stages; k++)
            for (int n = 0; n < places; n++)
                here[i].peers[k] = lamina_pipeline_model(here[n].own, k) ? here[n].own : here[i].peers[k];
    for (int i = 0; i < places; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, train_place, &here[i]), 0);
    for (int i = 0; i < places; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < places; i++) {
        CU_ASSERT(check_stages(l, here[i].own, whole) > 0);
        lamina_pipeline_free(here[i].own);
    }
    lamina_model_free(whole);
}

static void test_places(void)
{
    libraries l = open_net("residual", 3);
    check_places(&l, LAMINA_1F1B, (const int32_t[]){0, 1, 2}, 3);
    check_places(&l, LAMINA_1F1B, (const int32_t[]){0, 2}, 2);
    check_places(&l, LAMINA_GPIPE, (const int32_t[]){0, 1}, 2);
    close_net(&l);
}

/* ---- the programs of examples/pipeline ---- */

/* What the whole network learns of the same points in one process. */
static void train_bands(void)
{
    static float point[BATCH][2];
    static int32_t band[BATCH];
    const lamina_net *net;
    lamina_library *l = open_library("bands", &net);
    lamina_model *m = NULL;
    const void *inputs[2];
    char path[128];
    CU_ASSERT_EQUAL(net->max_batch, MICRO_BATCH);
    inputs[lamina_net_input(net, "point")] = point;
    inputs[lamina_net_input(net, "band")] = band;
    OK(lamina_model_new(net, NULL, &m, &error));
    OK(lamina_initialize(m, BANDS_SEED, &error));
    for (int step = 0; step < BANDS_STEPS; step++) {
        make_points(step, point, band);
        lamina_reset_metrics(m);
        OK(lamina_train_step(m, inputs, BATCH, &error));
    }
    CU_ASSERT(lamina_metric_value(m, 1) > 0.9);
    snprintf(path, sizeof path, "%s/one.safetensors", directory);
    OK(lamina_save_weights(m, path, &error));
    lamina_model_free(m);
    lamina_library_free(l);
}

/* On two threads and in two processes, without sanitizers, which the programs know nothing of. */
static void test_examples(void)
{
    if (extent_sanitized)
        return;
    CU_ASSERT_EQUAL_FATAL(run("S=%s && L=%s && Y=$S/examples/pipeline && "
                              "$L compile $Y/bands.yaml --partition=fused -o bands.so && "
                              "$L compile $Y/bands.yaml --emit-stages -o bands.so && "
                              "for p in threads processes; do cc -std=gnu11 -Wall -Wextra -Werror -I$S/runtime $Y/$p.c "
                              "$(dirname $L)/liblamina.a -ljansson -lz -lm -lpthread -ldl -o $p && ./$p . >said || "
                              "exit; grep -q accuracy said || exit; done",
                              LAMINA_SOURCE_DIR, LAMINA_BINARY),
                          0);
    CU_ASSERT_EQUAL(run("%s inspect bands_first.so >said && grep -q 'bands_first_backward$' said && "
                        "grep -q 'wide .*  boundary, backward$' said && grep -q 'point .*  forward and backward$' said",
                        LAMINA_BINARY),
                    0);
    train_bands();
    CU_ASSERT_EQUAL(run("cmp one.safetensors threads.safetensors"), 0);
    CU_ASSERT_EQUAL(run("cmp one.safetensors processes.safetensors"), 0);
}

void suite_pipeline(void);

void suite_pipeline(void)
{
    CU_pSuite s = CU_add_suite("pipeline", open_directory, remove_directory);
    CU_add_test(s, "the bits of one process", test_bits);
    CU_add_test(s, "pieces of work of any length", test_delays);
    CU_add_test(s, "stages elsewhere", test_places);
    CU_add_test(s, "the examples", test_examples);
}
