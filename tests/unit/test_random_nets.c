/* Random nets (random_net.h): what generated code gives, fused or staged, with passes off, for each vector width and
 * number of workers, is what the f32 evaluator gives for the net without any optional pass, bit for bit: outputs,
 * parameters, states and metric sums after some steps on whole and short batches.
 *
 * A hundred nets a run, each in three variants that its seed draws; with LAMINA_FULL=1 five thousand. LAMINA_SEED=17
 * or LAMINA_SEED=17-30 runs these and prints their YAML. Each net has a process of its own, so that one that crashes or
 * hangs is told with its seed like any other. */
#include "ir/ops/eval.h"
#include "tests/unit/extent.h"
#include "tests/unit/net_run.h"
#include "tests/unit/random_net.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nearly all of the time is LLVM's, so a net is compiled in a few variants of many. */
enum { VARIANTS = 2, STEPS = 3, CODES = STEPS + 2, SECONDS = 300 };

/* A net, what its seed draws besides, and what the evaluator makes of it. */
typedef struct {
    random_net net;
    char path[64]; /* of its YAML */
    uint64_t state;
    int64_t batch[CODES]; /* of the steps, then of inference and evaluation */
    char *want;
    size_t bytes;
} trial;

/* ---- a record: outputs, then parameters and states ---- */

static void draw_batches(trial *t)
{
    for (int i = 0; i < CODES; i++)
        t->batch[i] = i % 2 ? 1 + random_below(&t->state, t->net.max_batch) : t->net.max_batch;
}

static size_t record_bytes(const trial *t, const lamina_net *n)
{
    size_t bytes = 0;
    for (int32_t i = 0; i < n->output_count; i++)
        bytes += n->outputs[i].bytes * (size_t)t->batch[STEPS];
    for (int32_t i = 0; i < n->tensor_count; i++)
        bytes += n->tensors[i].bytes;
    return bytes;
}

/* Steps, inference, evaluation. NULL, with a message, if a call fails. */
static char *run(const trial *t, net_run *r, bool halves)
{
    const lamina_net *n = r->net;
    r->call.learning_rate = (float)n->rate.a;
    net_initialize(r, 5);
    int32_t code = 0;
    for (int i = 0; i < STEPS && !code; i++) {
        net_set_batch(r, t->batch[i], t->net.classes, (uint32_t)i);
        code = halves ? net_gradients_update(r, t->batch[i]) : net_step(r, t->batch[i]);
    }
    net_set_batch(r, t->batch[STEPS], t->net.classes, STEPS);
    code = code ? code : net_infer(r, t->batch[STEPS]);
    char *all = malloc(record_bytes(t, n)), *at = all;
    for (int32_t i = 0; i < n->output_count; at += r->output_bytes[i++])
        memcpy(at, r->outputs[i], r->output_bytes[i]);
    net_set_batch(r, t->batch[STEPS + 1], t->net.classes, STEPS + 1);
    code = code ? code : net_evaluate(r, t->batch[STEPS + 1]);
    size_t bytes;
    void *tensors = net_export(r, &bytes);
    memcpy(at, tensors, bytes);
    free(tensors);
    if (!code)
        return all;
    fprintf(stderr, "a call returned %d\n", code);
    free(all);
    return NULL;
}

static int32_t input_number(const lamina_net *n, const char *name)
{
    int32_t i = 0;
    while (strcmp(n->inputs[i].name, name))
        i++;
    return i;
}

static bool evaluate(const trial *t, evaluator *e, const ir_module *m, const lamina_net *n, const char *function,
                     int call)
{
    const ir_graph *f = ir_function_find(m, function);
    int64_t batch = t->batch[call];
    diag *d = diag_new();
    evaluator_set_batch(e, batch);
    evaluator_set_call_value(e, "learning_rate", (float)n->rate.a);
    evaluator_set_call_value(e, "loss_scale", 1.0f / (float)batch);
    for (int i = 0; i < f->ninputs; i++) {
        int32_t k = input_number(n, f->inputs[i]->name);
        void *data = evaluator_input(e, f, i)->data;
        fill_input(&n->inputs[k], data, batch, t->net.classes[k], input_seed((uint32_t)call, k));
    }
    bool ok = evaluator_run(e, f, d);
    diag_free(d);
    return ok;
}

/* The same as 'run' in the evaluator, on the module without optional passes. */
static bool run_evaluator(trial *t, const ir_module *m, const lamina_net *n)
{
    evaluator *e = evaluator_new(m, EVAL_F32, 1);
    for (int32_t i = 0; i < n->tensor_count; i++)
        lamina_initial_values(&n->tensors[i], 5, evaluator_symbol(e, n->tensors[i].name)->data);
    bool ok = true;
    for (int i = 0; i < STEPS; i++)
        ok = ok && evaluate(t, e, m, n, "train_step", i);
    ok = ok && evaluate(t, e, m, n, "infer", STEPS);
    t->bytes = record_bytes(t, n);
    char *at = t->want = malloc(t->bytes);
    for (int32_t i = 0; ok && i < n->output_count; i++) {
        size_t bytes = n->outputs[i].bytes * (size_t)t->batch[STEPS];
        memcpy(at, evaluator_result(e, i)->data, bytes);
        at += bytes;
    }
    ok = ok && evaluate(t, e, m, n, "evaluate", STEPS + 1);
    for (int32_t i = 0; i < n->tensor_count; at += n->tensors[i++].bytes)
        memcpy(at, evaluator_symbol(e, n->tensors[i].name)->data, n->tensors[i].bytes);
    evaluator_free(e);
    return ok;
}

/* ---- comparing ---- */

static double number_at(const lamina_tensor *t, const char *data, size_t at)
{
    double d; /* a record's numbers lie where the one before ends, aligned or not */
    float f;
    if (t->dtype == LAMINA_F64) {
        memcpy(&d, data + at * sizeof d, sizeof d);
        return d;
    }
    if (t->dtype != LAMINA_F32)
        return 0;
    memcpy(&f, data + at * sizeof f, sizeof f);
    return f;
}

/* Equal bits, any NaN being equal to any other. Says where the first difference is. */
static bool same_tensor(const lamina_tensor *t, const char *got, const char *want, size_t bytes, const char *what)
{
    size_t size = t->dtype == LAMINA_F64 || t->dtype == LAMINA_I64 ? 8 : t->dtype == LAMINA_UI8 ? 1 : 4;
    for (size_t i = 0; i < bytes / size; i++) {
        double a = number_at(t, got, i), b = number_at(t, want, i);
        if (!memcmp(got + i * size, want + i * size, size) || (a != a && b != b))
            continue;
        fprintf(stderr, "%s: element %zu of '%s' is %.9g, expected %.9g\n", what, i, t->name, a, b);
        return false;
    }
    return true;
}

static bool same(const trial *t, const lamina_net *n, const char *got, const char *what)
{
    const char *want = t->want;
    bool ok = true;
    for (int32_t i = 0; i < n->output_count + n->tensor_count; i++) {
        bool is_output = i < n->output_count;
        const lamina_tensor *tensor = is_output ? &n->outputs[i] : &n->tensors[i - n->output_count];
        size_t bytes = tensor->bytes * (is_output ? (size_t)t->batch[STEPS] : 1);
        ok = same_tensor(tensor, got, want, bytes, what) && ok;
        got += bytes;
        want += bytes;
    }
    return ok;
}

/* ---- variants ---- */

static const char *const optional[] = {"simplify", "cleanup", "fuse", "split", "schedule", "chain"};

static void draw_disabled(trial *t, char *out, size_t size)
{
    size_t length = 0;
    out[0] = 0;
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
        if (random_below(&t->state, 2))
            length += (size_t)snprintf(out + length, size - length, "%s%s", length ? "," : "", optional[i]);
}

/* The evaluator's record, of the net without optional passes; the tables of tensors are those of any variant. */
static bool want_record(trial *t, const lamina_net *n)
{
    const net_variant plain = {.cpu = "x86-64-v3", .disabled = "simplify,cleanup,fuse,split,schedule,chain"};
    if (t->want)
        return true;
    ir_module *m = net_module(t->path, &plain);
    bool ok = m && run_evaluator(t, m, n);
    ir_module_free(m);
    return ok;
}

static bool check_variant(trial *t, const net_variant *v)
{
    char what[160];
    static const int64_t some[] = {1, 2, 3, 8};
    int64_t workers = some[random_below(&t->state, 4)];
    bool halves = random_below(&t->state, 2), ok = false;
    snprintf(what, sizeof what, "%s, %lld stages, without %s, %lld workers%s", v->cpu, (long long)v->stages,
             v->disabled ? v->disabled : "nothing", (long long)workers, halves ? ", in halves" : "");
    net_run r = {0};
    if (net_open(&r, t->path, v, workers) && want_record(t, r.net)) {
        char *got = run(t, &r, halves);
        ok = got && same(t, r.net, got, what);
        free(got);
    }
    net_close(&r);
    if (!ok)
        fprintf(stderr, "%s: not as expected\n", what);
    return ok;
}

/* Half of the nets whole, the others in up to three stages; a third with any passes off. */
static net_variant draw_variant(trial *t, char *disabled, size_t size)
{
    const char *const cpu[2] = {"x86-64-v3", __builtin_cpu_supports("avx512f") ? "x86-64-v4" : "x86-64-v3"};
    int64_t most = t->net.trained < 3 ? t->net.trained : 3;
    bool is_staged = most > 1 && random_below(&t->state, 2);
    net_variant v = {.cpu = cpu[random_below(&t->state, 2)], .partition = is_staged ? "staged" : "fused"};
    v.stages = is_staged ? 2 + random_below(&t->state, most - 1) : 0;
    draw_disabled(t, disabled, size);
    v.disabled = disabled[0] && !random_below(&t->state, 3) ? disabled : NULL;
    return v;
}

static bool check_variants(trial *t)
{
    bool ok = true;
    for (int i = 0; i < VARIANTS; i++) {
        char disabled[64];
        const net_variant v = draw_variant(t, disabled, sizeof disabled);
        ok = check_variant(t, &v) && ok;
    }
    return ok;
}

static bool check_net(const random_net *net, uint64_t seed)
{
    trial t = {.net = *net, .state = seed ^ 0x5eed};
    snprintf(t.path, sizeof t.path, "/tmp/lamina-random-%ld.yaml", (long)getpid());
    FILE *f = fopen(t.path, "w");
    bool ok = f && fputs(text_get(&net->yaml), f) >= 0;
    ok = f && !fclose(f) && ok;
    draw_batches(&t);
    ok = ok && check_variants(&t);
    unlink(t.path);
    free(t.want);
    return ok;
}

/* ---- seeds ---- */

static bool check_seed(uint64_t seed, bool print)
{
    random_net net;
    random_net_new(&net, seed);
    if (print)
        printf("# seed %llu\n%s# end\n", (unsigned long long)seed, text_get(&net.yaml));
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        alarm(SECONDS);
        exit(!check_net(&net, seed));
    }
    int status = -1;
    bool ok = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    if (!ok)
        fprintf(stderr, "# seed %llu fails (status %d):\n%s# end\n", (unsigned long long)seed, status,
                text_get(&net.yaml));
    random_net_free(&net);
    return ok;
}

static void random_nets(void)
{
    const char *asked = getenv("LAMINA_SEED");
    unsigned long long first = 1, last = extent_full() ? 5000 : extent_sanitized ? 10 : 100;
    if (asked && sscanf(asked, "%llu-%llu", &first, &last) == 1)
        last = first;
    for (unsigned long long seed = first; seed <= last; seed++)
        CU_ASSERT_TRUE(check_seed(seed, asked));
}

void suite_random(void);
void suite_random(void)
{
    CU_pSuite s = CU_add_suite("random nets", NULL, NULL);
    CU_add_test(s, "generated code and evaluator, in all variants", random_nets);
}
