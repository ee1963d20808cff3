/* tests/unit/test_reference_stages.c - stages that learn on their own against PyTorch.
 *
 * The stages of tests/nets/stages/torch.yaml take five steps, one after the other or all at once; then a dense layer
 * learns to combine their answers. Every parameter and running statistic, and what the whole says of a sixth batch by
 * each way to combine, must be within 1e-5 of the largest value of its tensor. The expected values, and the formulas of
 * inputs and first values, are those of tests/reference/torch_stages.py. */
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 5, BATCHES = STEPS + 1, BATCH = 20, CLASSES = 10, MOST = 80, MOST_ELEMENTS = 512 };

/* What passes from net to net by name: tensors that were learned, and for each batch what stages say of it. */
typedef struct {
    char name[64];
    float value[BATCHES][MOST_ELEMENTS]; /* of a tensor, the first alone */
} entry;

typedef struct {
    entry entries[MOST];
    int count;
} table;

static entry *find(table *t, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (!strcmp(t->entries[i].name, name))
            return &t->entries[i];
    return NULL;
}

static entry *find_or_add(table *t, const char *name)
{
    entry *e = find(t, name);
    if (e)
        return e;
    CU_ASSERT_TRUE_FATAL(t->count < MOST);
    e = &t->entries[t->count++];
    snprintf(e->name, sizeof e->name, "%s", name);
    return e;
}

/* ---- tensors ---- */

static void start_values(const lamina_tensor *t, float *v)
{
    int phase = 0;
    for (const char *c = t->name; *c; c++)
        phase += (unsigned char)*c;
    for (size_t i = 0; i < t->bytes / sizeof *v; i++)
        v[i] = (float)(0.3 * sin(0.7 * (double)i + phase));
}

/* What was learned before; else parameters by the formula, and states as they begin. */
static void place_tensors(net_run *r, table *learned)
{
    const lamina_net *n = r->net;
    void *tensors[MOST];
    CU_ASSERT_TRUE_FATAL(n->tensor_count <= MOST);
    for (int32_t i = 0; i < n->tensor_count; i++) {
        const lamina_tensor *t = &n->tensors[i];
        const entry *e = find(learned, t->name);
        tensors[i] = malloc(t->bytes);
        if (e)
            memcpy(tensors[i], e->value, t->bytes);
        else if (i < n->param_count)
            start_values(t, tensors[i]);
        else
            lamina_initial_values(t, 1, tensors[i]);
    }
    const lamina_weights w = {sizeof w, r->call.params, r->call.state, tensors};
    n->import_weights(&w);
    for (int32_t i = 0; i < n->tensor_count; i++)
        free(tensors[i]);
}

static void keep_tensors(net_run *r, table *learned)
{
    const lamina_net *n = r->net;
    size_t bytes;
    char *all = net_export(r, &bytes), *at = all;
    for (int32_t i = 0; i < n->tensor_count; at += n->tensors[i++].bytes) {
        const lamina_tensor *t = &n->tensors[i];
        if (i >= n->param_count && !strstr(t->name, ".moving_"))
            continue;
        CU_ASSERT_TRUE_FATAL(t->bytes <= MOST_ELEMENTS * sizeof(float));
        memcpy(find_or_add(learned, t->name)->value, at, t->bytes);
    }
    free(all);
}

/* ---- batches ---- */

static void fill(const lamina_tensor *t, void *data, int step)
{
    for (uint64_t i = 0; i < BATCH * t->bytes / 4; i++)
        if (t->dtype == LAMINA_I32)
            ((int32_t *)data)[i] = (int32_t)((31 * i + 7 * (uint64_t)step) % CLASSES);
        else
            ((float *)data)[i] = (float)sin(0.37 * (double)i + step);
}

/* Inputs that earlier nets made are theirs, the others by formula. Outputs have room for one batch. */
static void set_batch(net_run *r, table *said, int step)
{
    const lamina_net *n = r->net;
    net_set_batch(r, BATCH, NULL, 0);
    for (int32_t i = 0; i < n->input_count; i++) {
        const entry *e = find(said, n->inputs[i].name);
        if (e)
            memcpy((void *)r->inputs[i], e->value[step], r->input_bytes[i]);
        else
            fill(&n->inputs[i], (void *)r->inputs[i], step);
    }
    r->call.batch = BATCH;
}

static void learn(net_run *r, table *said)
{
    r->call.learning_rate = (float)r->net->rate.a;
    for (int step = 0; step < STEPS; step++) {
        set_batch(r, said, step);
        CU_ASSERT_EQUAL(net_step(r, BATCH), LAMINA_CALL_OK);
    }
}

static void say(net_run *r, table *said)
{
    for (int step = 0; step < BATCHES; step++) {
        set_batch(r, said, step);
        CU_ASSERT_EQUAL(net_infer(r, BATCH), LAMINA_CALL_OK);
        for (int32_t i = 0; i < r->net->output_count; i++) {
            CU_ASSERT_TRUE_FATAL(r->output_bytes[i] <= MOST_ELEMENTS * sizeof(float));
            memcpy(find_or_add(said, r->net->outputs[i].name)->value[step], r->outputs[i], r->output_bytes[i]);
        }
    }
}

/* ---- nets ---- */

static bool open_part(net_run *r, const char *schedule, const char *combine, const char *part)
{
    char path[64];
    text yaml = {0};
    snprintf(path, sizeof path, "/tmp/lamina-torch-stages-%ld.yaml", (long)getpid());
    CU_ASSERT_TRUE_FATAL(text_read_file(&yaml, LAMINA_TESTS_DIR "/nets/stages/torch.yaml"));
    text_printf(&yaml, "staging: {coupling: local, schedule: %s}\ncombine: %s\n", schedule, combine);
    FILE *f = fopen(path, "w");
    CU_ASSERT_TRUE_FATAL(f && fputs(text_get(&yaml), f) >= 0 && !fclose(f));
    bool ok = net_open(r, path, &(net_variant){.part = part}, 1);
    unlink(path);
    text_free(&yaml);
    return ok;
}

static void train(const char *schedule, table *learned, table *said)
{
    static const char *const in_turn[] = {"one", "two", "three", "combine"}, *const together[] = {"stages", "combine"};
    bool sequential = !strcmp(schedule, "sequential");
    for (int i = 0; i < (sequential ? 4 : 2); i++) {
        net_run r;
        CU_ASSERT_TRUE_FATAL(open_part(&r, schedule, "learned", sequential ? in_turn[i] : together[i]));
        place_tensors(&r, learned);
        learn(&r, said);
        keep_tensors(&r, learned);
        say(&r, said);
        net_close(&r);
    }
}

/* ---- what PyTorch says ---- */

static void check_values(FILE *f, const char *what, const char *name, const float *got, size_t elements)
{
    double largest, want, worst = 0;
    int count;
    CU_ASSERT_EQUAL_FATAL(fscanf(f, "%lf %d", &largest, &count), 2);
    for (int i = 0; i < count; i++) {
        CU_ASSERT_EQUAL_FATAL(fscanf(f, "%lf", &want), 1);
        double off = fabs((double)got[(size_t)i * elements / (size_t)count] - want) / largest;
        worst = off > worst || isnan(off) ? off : worst;
    }
    if (!(worst <= 1e-5))
        fprintf(stderr, "%s: %s: off by %.3g of its largest value\n", what, name, worst);
    CU_ASSERT_TRUE(worst <= 1e-5);
}

static size_t elements_of(const lamina_net *n, const char *name)
{
    int32_t i = lamina_net_tensor(n, name);
    CU_ASSERT_TRUE_FATAL(i >= 0);
    return n->tensors[i].bytes / sizeof(float);
}

/* The whole's answer to the last batch, combined this way. */
static void check_output(FILE *f, const char *schedule, const char *method, table *learned)
{
    net_run r;
    table nothing = {.count = 0};
    const char *combine = strcmp(method, "weighted") ? method : "{method: weighted, weights: [1, 2, 5]}";
    CU_ASSERT_TRUE_FATAL(open_part(&r, schedule, combine, NULL));
    place_tensors(&r, learned);
    set_batch(&r, &nothing, STEPS);
    CU_ASSERT_EQUAL(net_infer(&r, BATCH), LAMINA_CALL_OK);
    int32_t i = lamina_net_output(r.net, strcmp(method, "last") ? "combine" : "logits");
    CU_ASSERT_TRUE_FATAL(i >= 0);
    check_values(f, schedule, method, r.outputs[i], (size_t)BATCH * CLASSES);
    net_close(&r);
}

static void check_run(FILE *f, const char *schedule)
{
    char kind[64], name[64];
    table *learned = calloc(1, sizeof *learned), *said = calloc(1, sizeof *said);
    net_run whole;
    int tensors = 0, outputs = 0;
    train(schedule, learned, said);
    CU_ASSERT_TRUE_FATAL(open_part(&whole, schedule, "learned", NULL));
    while (outputs < 4 && fscanf(f, "%63s %63s", kind, name) == 2) {
        const entry *e = find(learned, name);
        if (!strcmp(kind, "output")) {
            check_output(f, schedule, name, learned);
            outputs++;
        } else if (e) {
            check_values(f, schedule, name, e->value[0], elements_of(whole.net, name));
            tensors++;
        }
    }
    CU_ASSERT_EQUAL(outputs, 4);
    CU_ASSERT_EQUAL(tensors, learned->count);
    net_close(&whole);
    free(learned);
    free(said);
}

static void pytorch(void)
{
    char word[64], name[64];
    FILE *f = fopen(LAMINA_TESTS_DIR "/reference/torch_stages.txt", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    if (fscanf(f, "#%*[^\n]"))
        CU_FAIL("unexpected head");
    int runs = 0;
    for (; fscanf(f, "%63s %63s", word, name) == 2; runs++) {
        CU_ASSERT_STRING_EQUAL_FATAL(word, "run");
        check_run(f, name);
    }
    CU_ASSERT_EQUAL(runs, 2);
    fclose(f);
}

void suite_reference_stages(void);
void suite_reference_stages(void)
{
    CU_pSuite s = CU_add_suite("reference of stages", NULL, NULL);
    CU_add_test(s, "stages learn as PyTorch's detached ones do", pytorch);
}
