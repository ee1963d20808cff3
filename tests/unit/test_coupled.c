/* tests/unit/test_coupled.c - coupled stages have the weights of the whole.
 *
 * An MLP, a CNN and a residual net with batch norm, dropout, groups and clipping take 200 steps of several
 * micro-batches, every fifth of them short: end to end, and in as many stages as there are layers with parameters for,
 * cut by parameters, by time, or as the YAML names them. All parameters, moments, running statistics and metric sums
 * have equal bits. Usually numbers of stages are cut by parameters and by time in turns, and one cut by name is tried
 * for each of them; with LAMINA_FULL=1 every number both ways, and all cuts by name there are. */
#include "tests/unit/extent.h"
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 200, COUNT = 10, SHORT_COUNT = 7, RECORDS = 60, CLASSES = 5, MOST_LAYERS = 6, MOST_INPUTS = 4 };

typedef struct {
    const char *name, *layers[MOST_LAYERS]; /* where stages may end: those with parameters */
    int count;
} net;

/* ---- a run ---- */

static void draw_records(const lamina_net *n, void **data)
{
    for (int32_t i = 0; i < n->input_count; i++) {
        data[i] = malloc(RECORDS * n->inputs[i].bytes);
        fill_input(&n->inputs[i], data[i], RECORDS, CLASSES, (uint32_t)i + 1);
    }
}

static void *all_tensors(lamina_model *m, size_t *bytes)
{
    const lamina_net *n = lamina_model_net(m);
    *bytes = 0;
    for (int32_t i = 0; i < n->tensor_count; i++)
        *bytes += n->tensors[i].bytes;
    char *all = malloc(*bytes + 1), *at = all;
    for (int32_t i = 0; i < n->tensor_count; at += n->tensors[i++].bytes)
        CU_ASSERT_EQUAL(lamina_get_tensor(m, n->tensors[i].name, at, n->tensors[i].bytes, NULL), LAMINA_OK);
    return all;
}

static void take_steps(lamina_model *m)
{
    const lamina_net *n = lamina_model_net(m);
    void *data[MOST_INPUTS];
    CU_ASSERT_FATAL(n->input_count <= MOST_INPUTS);
    draw_records(n, data);
    for (int step = 0; step < STEPS; step++) {
        const void *inputs[MOST_INPUTS];
        int64_t first = step * COUNT % (RECORDS - COUNT), count = step % 5 == 4 ? SHORT_COUNT : COUNT;
        for (int i = 0; i < n->input_count; i++)
            inputs[i] = (const char *)data[i] + (uint64_t)first * n->inputs[i].bytes;
        CU_ASSERT_EQUAL(lamina_train_step(m, inputs, count, NULL), LAMINA_OK);
    }
    for (int i = 0; i < n->input_count; i++)
        free(data[i]);
}

/* What a variant has learned; NULL, with messages, if it does not compile. */
static void *learned(const char *path, const net_variant *v, int64_t workers, size_t *bytes)
{
    net_run r = {0};
    lamina_model *m = NULL;
    void *all = NULL;
    if (net_open(&r, path, v, 1)) {
        const lamina_options o = {.workers = workers, .staged = r.net->stage_count > 0};
        CU_ASSERT_EQUAL(r.net->stage_count > 0, v->partition != NULL);
        CU_ASSERT_EQUAL_FATAL(lamina_model_new(r.net, &o, &m, NULL), LAMINA_OK);
        CU_ASSERT_EQUAL(lamina_initialize(m, 7, NULL), LAMINA_OK);
        take_steps(m);
        all = all_tensors(m, bytes);
        lamina_model_free(m);
    }
    net_close(&r);
    return all;
}

/* ---- the whole, to compare with ---- */

typedef struct {
    const net *net;
    char path[512];
    void *want;
    size_t bytes;
} whole;

/* Training did something, and all of it is numbers. */
static bool has_learned(const char *path, const void *want)
{
    net_run r;
    bool ok = net_open(&r, path, &(net_variant){.cpu = "x86-64-v3"}, 1);
    const char *at = want;
    for (int32_t i = 0; ok && i < r.net->param_count; at += r.net->tensors[i++].bytes) {
        const lamina_tensor *t = &r.net->tensors[i];
        float *start = malloc(t->bytes), *end = malloc(t->bytes);
        memcpy(end, at, t->bytes);
        lamina_initial_values(t, 7, start);
        ok = memcmp(start, end, t->bytes) != 0;
        for (size_t e = 0; e < t->bytes / sizeof *end; e++)
            ok = ok && isfinite(end[e]);
        free(start);
        free(end);
    }
    net_close(&r);
    return ok;
}

static void check_stages(const whole *w, const char *path, const net_variant *v, const char *how, int64_t stages)
{
    size_t bytes = 0;
    void *got = learned(path, v, 1 + stages % 3, &bytes);
    bool ok = got && bytes == w->bytes && !memcmp(got, w->want, bytes);
    if (!ok)
        fprintf(stderr, "%s in %lld stages, cut by %s: not the whole's bits\n", w->net->name, (long long)stages, how);
    CU_ASSERT_TRUE(ok);
    free(got);
}

/* ---- cuts ---- */

static void check_balance(const whole *w, const char *balance, int turn)
{
    for (int64_t stages = 2; stages <= w->net->count; stages++) {
        if (!extent_full() && stages % 2 != turn)
            continue;
        const net_variant v = {.cpu = "x86-64-v3", .partition = "staged", .stages = stages, .balance = balance};
        check_stages(w, w->path, &v, balance, stages);
    }
}

/* The net with stages that end behind the layers whose bits are set in 'ends', and at its end. */
static void write_stages(const whole *w, unsigned ends, const char *path)
{
    text yaml = {0};
    CU_ASSERT_TRUE_FATAL(text_read_file(&yaml, w->path));
    text_add(&yaml, "stages:\n");
    for (int i = 0; i < w->net->count; i++)
        if (i + 1 == w->net->count || ends >> i & 1)
            text_printf(&yaml, "  - {name: s%d, through: %s}\n", i, w->net->layers[i]);
    FILE *f = fopen(path, "w");
    CU_ASSERT_TRUE_FATAL(f && fputs(text_get(&yaml), f) >= 0 && !fclose(f));
    text_free(&yaml);
}

static void check_names(const whole *w)
{
    char path[64];
    unsigned tried = 0; /* bit n: n stages */
    snprintf(path, sizeof path, "/tmp/lamina-coupled-%ld.yaml", (long)getpid());
    for (unsigned ends = 1; ends < 1u << (w->net->count - 1); ends++) {
        int stages = 1 + __builtin_popcount(ends);
        if (!extent_full() && tried >> stages & 1)
            continue;
        tried |= 1u << stages;
        write_stages(w, ends, path);
        check_stages(w, path, &(net_variant){.cpu = "x86-64-v3", .partition = "staged"}, "name", stages);
    }
    unlink(path);
}

static void check_net(const net *n)
{
    whole w = {.net = n};
    snprintf(w.path, sizeof w.path, "%s/nets/coupled/%s.yaml", LAMINA_TESTS_DIR, n->name);
    w.want = learned(w.path, &(net_variant){.cpu = "x86-64-v3"}, 1, &w.bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(w.want);
    CU_ASSERT_TRUE(has_learned(w.path, w.want));
    check_balance(&w, "parameters", 1);
    check_balance(&w, "time", 0);
    check_names(&w);
    free(w.want);
}

static void mlp(void)
{
    check_net(&(net){"mlp", {"dense1", "dense2", "batch_norm1", "dense3", "logits"}, 5});
}

static void cnn(void)
{
    check_net(&(net){"cnn", {"conv1", "batch_norm1", "conv2", "dense1", "logits"}, 5});
}

static void residual(void)
{
    check_net(&(net){"residual", {"stem", "norm1", "branch", "norm2", "hidden", "logits"}, 6});
}

static void shared(void)
{
    check_net(&(net){"shared", {"a_dense1", "a", "side", "logits"}, 4});
}

static void weighted(void)
{
    check_net(&(net){"weighted", {"first", "middle", "third", "logits"}, 4});
}

void suite_coupled(void);
void suite_coupled(void)
{
    CU_pSuite s = CU_add_suite("coupled stages", NULL, NULL);
    CU_add_test(s, "an MLP", mlp);
    CU_add_test(s, "a CNN", cnn);
    CU_add_test(s, "a residual net with batch norm", residual);
    CU_add_test(s, "parameters that stages share", shared);
    CU_add_test(s, "weights of classes and examples", weighted);
}
