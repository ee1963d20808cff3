/* tests/unit/test_edits.c - a text that was edited is refused, or computes what it says.
 *
 * Nets are dumped after each pass from winograd on, the last that changes a bit. In each dump one number is replaced by
 * another, in many ways that are the same in every run. What is still accepted goes through the remaining passes and
 * the backend. Then one training step on a full batch and one on a short one must give the bits that the evaluator
 * gives for the edited text. All memory ends at pages that fault. The stages' functions of a staged net run too, but
 * they are not compared: an edit may well change one of them and not the whole step.
 *
 * Each edit has a process of its own: a fault ends that, not the test. LAMINA_FULL=1 makes many more edits. */
#include "ir/ops/eval.h"
#include "passes/passes.h"
#include "tests/unit/extent.h"
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef LAMINA_TESTS_DIR
#define LAMINA_TESTS_DIR "tests"
#endif

enum { EDITS = 6, FULL_EDITS = 100, SHORT_BATCH = 7, MOST_BATCH = 64, CLASSES = 10, SECONDS = 120 };

typedef enum { REFUSED, EQUAL, DIFFERENT } verdict;

/* ---- edits ---- */

/* splitmix64 */
static uint64_t random_state;

static uint64_t below(uint64_t n)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % n;
}

/* A whole number that is no part of a name: the position of its first digit. */
static size_t find_number(const char *source, size_t length)
{
    for (;;) {
        size_t at = 1 + below(length - 1);
        if (isdigit((unsigned char)source[at]) && strchr(" [+-*,", source[at - 1]))
            return at;
    }
}

static long long changed(long long n)
{
    switch (below(10)) {
    case 0:
        return 0;
    case 1:
        return n + 1;
    case 2:
        return n - 1;
    case 3:
        return 2 * n;
    case 4:
        return n / 2;
    case 5:
        return n + 64;
    case 6:
        return n + 8;
    case 7:
        return 1000000;
    case 8:
        return (long long)below(20);
    default:
        return n + 64 * (long long)below(40);
    }
}

/* Says on stderr, if asked to, which line was changed to what. */
static char *edited(const char *source, uint64_t seed, bool say)
{
    random_state = seed;
    size_t length = strlen(source), at = find_number(source, length), digits = strspn(source + at, "0123456789");
    char *out = malloc(length + 32);
    long long number = changed(atoll(source + at));
    sprintf(out, "%.*s%lld%s", (int)at, source, number, source + at + digits);
    if (say) {
        while (at && source[at - 1] != '\n')
            at--;
        fprintf(stderr, "    %.*s\n    %.*s\n", (int)strcspn(source + at, "\n"), source + at,
                (int)strcspn(out + at, "\n"), out + at);
    }
    return out;
}

/* ---- one edited text ---- */

static int64_t max_batch(const ir_module *m)
{
    const ir_attr *a = ir_attr_find(m->attrs, "max_batch");
    return a ? (int64_t)a->number[0] : MOST_BATCH + 1;
}

/* NaNs have no bits of their own. */
static bool equal_values(const lamina_tensor *t, const void *x, const void *y)
{
    for (size_t i = 0; i < t->bytes; i += t->dtype == LAMINA_F32 ? 4 : 8) {
        const char *a = (const char *)x + i, *b = (const char *)y + i;
        if (t->dtype == LAMINA_F32 && memcmp(a, b, 4)) {
            float p, q;
            memcpy(&p, a, 4);
            memcpy(&q, b, 4);
            if (!isnan(p) || !isnan(q))
                return false;
        } else if (t->dtype != LAMINA_F32 && memcmp(a, b, 8)) {
            double p, q;
            memcpy(&p, a, 8);
            memcpy(&q, b, 8);
            if (t->dtype != LAMINA_F64 || !isnan(p) || !isnan(q))
                return false;
        }
    }
    return true;
}

/* Inputs of one step for both sides. */
static void fill_inputs(net_run *r, evaluator *e, const ir_graph *f, int64_t batch, size_t *bytes)
{
    for (int32_t i = 0; i < r->net->input_count; i++) {
        size_t mapped;
        const lamina_tensor *t = &r->net->inputs[i];
        bytes[i] = (size_t)t->bytes * (size_t)batch;
        void *data = guarded_new(bytes[i], &mapped);
        fill_input(t, data, batch, CLASSES, (uint32_t)(batch + i));
        memcpy(evaluator_input(e, f, i)->data, data, bytes[i]);
        r->inputs[i] = data;
    }
}

static bool step_both(net_run *r, evaluator *e, const ir_graph *f, int64_t batch, diag *d)
{
    size_t bytes[8];
    r->call.batch = batch;
    r->call.learning_rate = 0.01f;
    r->call.loss_scale = 1.0f / (float)batch;
    evaluator_set_batch(e, batch);
    evaluator_set_call_value(e, "learning_rate", 0.01f);
    evaluator_set_call_value(e, "loss_scale", 1.0f / (float)batch);
    fill_inputs(r, e, f, batch, bytes);
    bool ok = r->net->train_step(&r->call) == LAMINA_CALL_OK && evaluator_run(e, f, d);
    for (int32_t i = 0; i < r->net->input_count; i++)
        guarded_free((void *)r->inputs[i], bytes[i]);
    return ok;
}

/* The tensors of the library against those of the evaluator. */
static bool same_tensors(net_run *r, evaluator *e)
{
    size_t bytes;
    bool same = true;
    char *all = net_export(r, &bytes), *at = all;
    for (int32_t i = 0; i < r->net->tensor_count && same; at += r->net->tensors[i++].bytes)
        same = equal_values(&r->net->tensors[i], at, evaluator_symbol(e, r->net->tensors[i].name)->data);
    free(all);
    return same;
}

/* A step by the stages' functions, for the pages that fault. */
static void run_stages(net_run *r, int64_t batch)
{
    size_t bytes[8], mapped;
    for (int32_t i = 0; i < r->net->input_count; i++) {
        bytes[i] = (size_t)r->net->inputs[i].bytes * (size_t)batch;
        r->inputs[i] = guarded_new(bytes[i], &mapped);
        fill_input(&r->net->inputs[i], (void *)r->inputs[i], batch, CLASSES, (uint32_t)i);
    }
    net_step(r, batch);
    for (int32_t i = 0; i < r->net->input_count; i++)
        guarded_free((void *)r->inputs[i], bytes[i]);
}

/* 'said' is the text as it was edited, 'm' the same after the passes. */
static verdict compare(const ir_module *said, const ir_module *m, int64_t workers, diag *d)
{
    net_run r;
    const ir_graph *f = ir_function_find(said, "train_step");
    if (!f || max_batch(m) > MOST_BATCH || !net_open_module(&r, m, workers))
        return REFUSED;
    evaluator *e = evaluator_new(said, EVAL_F32, 1);
    net_initialize(&r, 5);
    for (int32_t i = 0; i < r.net->tensor_count; i++)
        lamina_initial_values(&r.net->tensors[i], 5, evaluator_symbol(e, r.net->tensors[i].name)->data);
    int64_t full = max_batch(m), few = full < SHORT_BATCH ? full : SHORT_BATCH;
    bool ok = step_both(&r, e, f, full, d) && step_both(&r, e, f, few, d) && same_tensors(&r, e);
    if (ok && r.net->stage_count)
        run_stages(&r, full);
    evaluator_free(e);
    net_close(&r);
    return ok ? EQUAL : DIFFERENT;
}

static verdict try_text(const char *source, int64_t workers)
{
    const pass_options none = {0};
    diag *d = diag_new();
    verdict v = REFUSED;
    ir_module *said = ir_parse(source, "edited.ir", d), *m = said ? ir_parse(source, "edited.ir", d) : NULL;
    if (m && passes_run(m, &none, d))
        v = compare(said, m, workers, d);
    ir_module_free(said);
    ir_module_free(m);
    diag_free(d);
    return v;
}

/* ---- the run ---- */

/* In a process of its own; below 0 if a signal ended it. */
static int try_edit(const char *dump, uint64_t seed)
{
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        alarm(SECONDS);
        if (!freopen("/dev/null", "w", stderr)) /* what is refused says so */
            _exit(DIFFERENT);
        char *source = edited(dump, seed, false);
        verdict v = try_text(source, 1 + (int64_t)(seed % 3));
        free(source);
        _exit((int)v);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void edit_dump(const char *what, const char *dump, int number, int edits, int count[3])
{
    const char *after = strstr(dump, "after = ") + 8;
    for (int i = 0; i < edits; i++) {
        int v = try_edit(dump, (uint64_t)(100 * i + number));
        if (v == REFUSED || v == EQUAL) {
            count[v]++;
            continue;
        }
        CU_FAIL("an edited text is accepted and miscompiled");
        fprintf(stderr, "%s after %.*s, edit %d: %s %d\n", what, (int)strcspn(after, ",}"), after, i,
                v < 0 ? "signal" : "other bits", v < 0 ? -v : 0);
        free(edited(dump, (uint64_t)(100 * i + number), true));
    }
}

/* Every dump begins with "module @". */
static void edit_net(const char *net, const net_variant *v)
{
    char path[512];
    text dumps = {0};
    net_variant dumped = *v;
    int count[3] = {0}, edits = extent_full() ? FULL_EDITS : EDITS;
    snprintf(path, sizeof path, "%s/nets/%s.yaml", LAMINA_TESTS_DIR, net);
    dumped.dumps = &dumps;
    ir_module_free(net_module(path, &dumped));
    CU_ASSERT_FATAL(dumps.length > 0);
    int number = 0;
    for (char *dump = dumps.bytes, *next; dump; dump = next) {
        next = strstr(dump + 1, "\nmodule @");
        if (next)
            *next++ = 0;
        if (number++ >= pass_index("winograd"))
            edit_dump(net, dump, number, edits, count);
    }
    CU_ASSERT(count[REFUSED] > 0);
    CU_ASSERT(count[EQUAL] > 0);
    text_free(&dumps);
}

static void test_fused(void)
{
    edit_net("mlp", &(net_variant){.cpu = "x86-64-v3"});
}

static void test_staged(void)
{
    edit_net("mlp", &(net_variant){.cpu = "x86-64-v3", .partition = "staged", .stages = 2, .max_batch = 9});
}

static void test_chains(void)
{
    edit_net("chains", &(net_variant){.cpu = "x86-64-v3", .l2 = 160 << 10, .max_batch = 9});
}

void suite_edits(void);
void suite_edits(void)
{
    CU_pSuite s = CU_add_suite("edited texts", NULL, NULL);
    CU_add_test(s, "an MLP", test_fused);
    CU_add_test(s, "an MLP in stages", test_staged);
    CU_add_test(s, "a CNN in chains", test_chains);
}
