/* tests/unit/test_passes.c - passes on IR files, and what a run of them promises.
 *
 * A file of tests/passes says which passes run on it and what comes out:
 *     # RUN: simplify autodiff            "locations" among them prints with locations
 *     module @m ...
 *     # WANT                              or # ERROR 4:8: message, the line counted in the file
 *     module @m ...
 * LAMINA_UPDATE=1 rewrites what is wanted to what came, for review. */
#include "ir/ops/eval.h"
#include "passes/copies.h"
#include "passes/memory.h"
#include "passes/passes.h"
#include "tests/unit/ir_files.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void suite_passes(void);
void suite_gradients(void); /* test_gradients.c: the other half of this folder's tests */

/* ---- golden files ---- */

static bool run_words(ir_module *m, char *words, diag *d)
{
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) {
        if (!strcmp(w, "locations"))
            continue;
        int i = pass_index(w);
        CU_ASSERT_FATAL(i >= 0);
        if (!passes[i].run(m, d))
            return false;
        CU_ASSERT(ir_verify(m, d));
        CU_ASSERT(passes_check_memory(m, i, d));
    }
    return true;
}

/* "in:4:8: error: message" as "# ERROR 4:8: message". */
static void add_errors(text *got, const diag *d)
{
    text plain = {0};
    diag_print_plain(d, &plain, false);
    for (char *line = plain.bytes, *end; line && *line; line = end + 1) {
        end = strchr(line, '\n');
        *end = 0;
        const char *mark = strstr(line, " error: ");
        const char *at = strncmp(line, "in:", 3) ? line : line + 3;
        if (mark && at < mark)
            text_printf(got, "# ERROR %.*s %s\n", (int)(mark - at), at, mark + 8);
        else if (!strncmp(line, "error: ", 7))
            text_printf(got, "# ERROR %s\n", line + 7);
    }
    text_free(&plain);
}

static void compare(const char *path, const text *source, size_t head, const text *got)
{
    if (!strcmp(source->bytes + head, text_get(got)))
        return;
    if (getenv("LAMINA_UPDATE")) {
        FILE *f = fopen(path, "wb");
        CU_ASSERT_FATAL(f != NULL);
        fwrite(source->bytes, 1, head, f);
        fputs(text_get(got), f);
        fclose(f);
        return;
    }
    fprintf(stderr, "%s: came\n%s\n", path, text_get(got));
    CU_FAIL("the passes gave something else than the file wants");
}

static void golden(void)
{
    char path[4096];
    ir_files_path("passes", path, sizeof path);
    text source = {0}, got = {0};
    CU_ASSERT_FATAL(text_read_file(&source, path));
    CU_ASSERT_FATAL(!strncmp(source.bytes, "# RUN: ", 7));
    const char *want = strstr(source.bytes, "\n# WANT"), *error = strstr(source.bytes, "\n# ERROR");
    const char *expected = want ? want : error;
    size_t head = expected ? (size_t)(expected - source.bytes) + 1 : source.length;
    char *input = strndup(source.bytes, head), *words = strndup(source.bytes + 7, strcspn(source.bytes + 7, "\n"));
    bool locations = strstr(words, "locations") != NULL;
    diag *d = diag_new();
    ir_module *m = ir_parse(input, "in", d);
    if (m && run_words(m, words, d)) {
        text_add(&got, "# WANT\n");
        ir_print(m, locations, &got);
    } else {
        add_errors(&got, d);
    }
    compare(path, &source, head, &got);
    ir_module_free(m);
    diag_free(d);
    free(input);
    free(words);
    text_free(&source);
    text_free(&got);
}

/* ---- a small net ---- */

static const char mlp[] = "module @mlp {abi = [1], max_batch = [8]}\n"
                          "row input @x {}\n"
                          "row input @t {}\n"
                          "row output @y {}\n"
                          "row optimizer @%s {%s}\n"
                          "param @dense1.weight : f32[3, 4] {init = uniform, a = [-1], b = [1], stream = [1]}\n"
                          "param @dense1.bias : f32[4] {init = uniform, a = [-1], b = [1], stream = [2]}\n"
                          "param @dense2.weight : f32[4, 2] {init = uniform, a = [-1], b = [1], stream = [3]}\n"
                          "state @metric.loss : f64[] {init = constant, a = [0]}\n"
                          "func @train_step(%%x : f32[B, 3], %%t : f32[B, 2]) {\n"
                          "  %%w1 = param @dense1.weight : f32[3, 4]\n"
                          "  %%b1 = param @dense1.bias : f32[4]\n"
                          "  %%w2 = param @dense2.weight : f32[4, 2]\n"
                          "  %%1 = dot_general %%x, %%w1 {lhs_contract = [1], rhs_contract = [0]} : f32[B, 4]\n"
                          "  %%2 = broadcast_in_dim %%b1 {dims = [1]} : f32[B, 4]\n"
                          "  %%3 = add %%1, %%2 : f32[B, 4]\n"
                          "  %%4 = tanh %%3 : f32[B, 4]\n"
                          "  %%y = dot_general %%4, %%w2 {lhs_contract = [1], rhs_contract = [0]} : f32[B, 2]\n"
                          "  %%5 = subtract %%y, %%t : f32[B, 2]\n"
                          "  %%6 = multiply %%5, %%5 : f32[B, 2]\n"
                          "  %%7 = reduce %%6 {kind = sum, dims = [1]} : f32[B]\n"
                          "  %%8 = reduce %%7 {kind = sum, dims = [0], leaf = [8]} : f32[]\n"
                          "  %%9 = call_value {field = loss_scale} : f32[]\n"
                          "  %%10 = convert %%8 : f64[]\n"
                          "  %%11 = state @metric.loss : f64[]\n"
                          "  %%12 = add %%11, %%10 : f64[]\n"
                          "  minimize %%8, %%9\n"
                          "  assign @metric.loss %%12\n"
                          "}\n";

static ir_module *make_mlp(const char *optimizer, const char *options, const pass_options *o)
{
    text source = {0};
    diag *d = diag_new();
    text_printf(&source, mlp, optimizer, options);
    ir_module *m = ir_parse(text_get(&source), "in", d);
    if (!m || !passes_run(m, o, d)) {
        text t = {0};
        diag_print_plain(d, &t, false);
        fprintf(stderr, "%s", text_get(&t));
        text_free(&t);
        CU_FAIL_FATAL("the net does not go through the passes");
    }
    diag_free(d);
    text_free(&source);
    return m;
}

/* Numbers in [-1, 1) that differ from call to call. */
static double noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / 8388608.0 - 1.0;
}

static void fill(evaluator *e, eval_tensor *t, uint32_t seed)
{
    for (int64_t i = 0; i < ir_count(&t->type, t->batch); i++)
        evaluator_put(e, t, i, noise(&seed));
}

static evaluator *start(const ir_module *m, int64_t batch)
{
    evaluator *e = evaluator_new(m, EVAL_F32, batch);
    uint32_t seed = 7;
    for (const ir_symbol *y = m->symbols; y; y = y->next)
        if (y->segment == SEG_PARAM)
            fill(e, evaluator_symbol(e, y->name), seed++);
        else if (strstr(y->name, "_power"))
            evaluator_put(e, evaluator_symbol(e, y->name), 0, 1);
    evaluator_set_call_value(e, "learning_rate", 0.01);
    evaluator_set_call_value(e, "loss_scale", 0.2);
    return e;
}

static void call(evaluator *e, const ir_module *m, const char *function, int64_t micro_batch)
{
    diag *d = diag_new();
    const ir_graph *f = ir_function_find(m, function);
    CU_ASSERT_FATAL(f != NULL);
    for (int i = 0; i < f->ninputs; i++)
        fill(e, evaluator_input(e, f, i), (uint32_t)(100 + i));
    evaluator_set_call_value(e, "micro_batch", (double)micro_batch);
    CU_ASSERT(evaluator_run(e, f, d));
    diag_free(d);
}

static void same_symbols(const ir_module *m, evaluator *a, evaluator *b)
{
    for (const ir_symbol *y = m->symbols; y; y = y->next) {
        const eval_tensor *ta = evaluator_symbol(a, y->name), *tb = evaluator_symbol(b, y->name);
        if (y->segment == SEG_GRADIENT)
            continue;
        if (memcmp(ta->data, tb->data, (size_t)evaluator_bytes(a, ta))) {
            fprintf(stderr, "@%s differs\n", y->name);
            CU_FAIL("train_step and gradients with update differ");
        }
    }
}

static void check_two_ways(const char *optimizer, const char *options)
{
    ir_module *m = make_mlp(optimizer, options, &(pass_options){.stop_after = "cleanup"});
    evaluator *whole = start(m, 5), *apart = start(m, 5), *unmoved = start(m, 5);
    for (int step = 0; step < 3; step++) {
        call(whole, m, "train_step", 0);
        call(apart, m, "gradients", 0);
        call(apart, m, "update", 0);
    }
    same_symbols(m, whole, apart);
    CU_ASSERT(evaluator_get(whole, evaluator_symbol(whole, "step"), 0) == 3);
    const eval_tensor *w = evaluator_symbol(whole, "dense1.weight"), *u = evaluator_symbol(unmoved, "dense1.weight");
    CU_ASSERT(memcmp(w->data, u->data, (size_t)evaluator_bytes(whole, w)) != 0);
    evaluator_free(whole);
    evaluator_free(apart);
    evaluator_free(unmoved);
    ir_module_free(m);
}

static void gradients_then_update(void)
{
    check_two_ways("sgd", "momentum = [0], nesterov = [0]");
    check_two_ways("sgd", "momentum = [0.9], nesterov = [0]");
    check_two_ways("sgd", "momentum = [0.9], nesterov = [1]");
    check_two_ways("adam", "beta_1 = [0.9], beta_2 = [0.999], epsilon = [1e-7]");
}

static void gradients_overwrite(void)
{
    ir_module *m = make_mlp("sgd", "", &(pass_options){.stop_after = "cleanup"});
    evaluator *e = start(m, 5);
    const eval_tensor *g = evaluator_symbol(e, "gradient/dense2.weight");
    evaluator_put(e, evaluator_symbol(e, "gradient/dense2.weight"), 0, 1e30);
    call(e, m, "gradients", 0);
    double once = evaluator_get(e, g, 0);
    call(e, m, "gradients", 1);
    CU_ASSERT(once != 0 && once < 1e20);
    CU_ASSERT(evaluator_get(e, g, 0) == once);
    evaluator_free(e);
    ir_module_free(m);
}

/* One step from zero moments moves every weight by lr g / (|g| + epsilon / sqrt(1 - beta_2) ...), nearly the sign. */
static void adam_first_step(void)
{
    ir_module *m = make_mlp("adam", "", &(pass_options){.stop_after = "cleanup"});
    evaluator *e = start(m, 5), *old = start(m, 5);
    call(e, m, "gradients", 0);
    call(e, m, "update", 0);
    const eval_tensor *w = evaluator_symbol(e, "dense1.weight"), *before = evaluator_symbol(old, "dense1.weight");
    const eval_tensor *g = evaluator_symbol(e, "gradient/dense1.weight");
    for (int64_t i = 0; i < 12; i++) {
        double moved = evaluator_get(e, w, i) - evaluator_get(old, before, i), slope = evaluator_get(e, g, i);
        double root = 0.03162277660168379; /* sqrt(1 - 0.999) */
        double m1 = 0.1 * slope, v1 = root * (slope < 0 ? -slope : slope);
        double wanted = -(0.01 * root / 0.1) * m1 / (v1 + 1e-7 * root);
        CU_ASSERT_DOUBLE_EQUAL(moved, wanted, 1e-6);
    }
    evaluator_free(e);
    evaluator_free(old);
    ir_module_free(m);
}

/* The optional passes before layout change no bit. */
static void disabled_passes_keep_bits(void)
{
    static const char *const disabled[] = {"simplify", "cleanup", "simplify,cleanup"};
    ir_module *plain = make_mlp("adam", "", &(pass_options){.stop_after = "cleanup"});
    evaluator *a = start(plain, 5);
    call(a, plain, "train_step", 0);
    for (size_t i = 0; i < sizeof disabled / sizeof *disabled; i++) {
        pass_options o = {.stop_after = "cleanup", .disabled = disabled[i]};
        ir_module *m = make_mlp("adam", "", &o);
        evaluator *b = start(m, 5);
        call(b, m, "train_step", 0);
        same_symbols(plain, a, b);
        evaluator_free(b);
        ir_module_free(m);
    }
    evaluator_free(a);
    ir_module_free(plain);
}

/* ---- the runner ---- */

static void refuse(const pass_options *o, const char *attrs, const char *message)
{
    text source = {0}, said = {0};
    diag *d = diag_new();
    text_printf(&source, "module @m {%s}\n", attrs);
    ir_module *m = ir_parse(text_get(&source), "in", d);
    CU_ASSERT_FATAL(m != NULL);
    CU_ASSERT(!passes_run(m, o, d));
    diag_print_plain(d, &said, false);
    if (!strstr(text_get(&said), message))
        fprintf(stderr, "%s", text_get(&said));
    CU_ASSERT(strstr(text_get(&said), message) != NULL);
    ir_module_free(m);
    diag_free(d);
    text_free(&source);
    text_free(&said);
}

static void runner_refuses(void)
{
    refuse(&(pass_options){.disabled = "fusee"}, "abi = [1]", "there is no pass 'fusee'; did you mean 'fuse'?");
    refuse(&(pass_options){.disabled = "fuse,autodiff"}, "abi = [1]", "pass 'autodiff' cannot be disabled");
    refuse(&(pass_options){.dump_after = "schedul"}, "abi = [1]", "did you mean 'schedule'?");
    refuse(&(pass_options){.stop_after = "nothing"}, "abi = [1]", "there is no pass 'nothing'");
    refuse(&(pass_options){0}, "after = selec", "module attribute 'after': there is no pass 'selec'");
    refuse(&(pass_options){.stop_after = "autodiff"}, "after = layout", "the module is past pass 'autodiff' already");
}

static void runner_resumes(void)
{
    text dump = {0}, timing = {0}, whole = {0}, resumed = {0};
    diag *d = diag_new();
    ir_module *m =
        make_mlp("adam", "", &(pass_options){.stop_after = "cleanup", .dump_after = "autodiff", .dump = &dump});
    ir_module *again = ir_parse(text_get(&dump), "in", d);
    CU_ASSERT_FATAL(again != NULL);
    CU_ASSERT(!strcmp(ir_attr_find(again->attrs, "after")->word, "autodiff"));
    /* The dump went without locations, so labels are gone; nothing else may differ. */
    CU_ASSERT(passes_run(again, &(pass_options){.stop_after = "cleanup", .timing = &timing}, d));
    ir_print(m, false, &whole);
    ir_print(again, false, &resumed);
    CU_ASSERT(!strcmp(text_get(&whole), text_get(&resumed)));
    CU_ASSERT(strstr(text_get(&timing), "optimize_update") != NULL);
    CU_ASSERT(strstr(text_get(&timing), "autodiff") == NULL);
    ir_module_free(m);
    ir_module_free(again);
    diag_free(d);
    text_free(&dump);
    text_free(&timing);
    text_free(&whole);
    text_free(&resumed);
}

static void runner_writes_dumps(void)
{
    char dir[] = "/tmp/lamina-dumps-XXXXXX", path[64];
    CU_ASSERT_FATAL(mkdtemp(dir) != NULL);
    ir_module *m = make_mlp("sgd", "", &(pass_options){.stop_after = "autodiff", .dump_after = "all", .dump_dir = dir});
    static const char *const names[] = {"01-simplify.lmir", "02-partition.lmir", "03-autodiff.lmir"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        text content = {0};
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        CU_ASSERT(text_read_file(&content, path));
        CU_ASSERT(!strncmp(text_get(&content), "module @mlp", 11));
        text_free(&content);
        unlink(path);
    }
    CU_ASSERT(rmdir(dir) == 0); /* nothing else is left there */
    ir_module_free(m);
}

/* ---- memory plans ---- */

typedef struct {
    const ir_node *node;
    int64_t from, to;    /* bytes */
    int32_t first, last; /* positions */
} span;

/* The plan's rules, found again from the text alone: no value is overwritten while somebody still reads it. A result
 * may lie on an operand that ends with its kernel. */
static void check_plan(const ir_module *m, ir_graph *g)
{
    int32_t count = ir_number(g), n = 0;
    span *spans = calloc((size_t)count + 1, sizeof *spans);
    CU_ASSERT_FATAL(spans != NULL);
    for (const ir_node *x = g->first; x; x = x->next) {
        if (x->place.segment != SEG_WORKSPACE || x->op == IR_RESHAPE)
            continue;
        CU_ASSERT(x->place.offset % 64 == 0);
        span s = {x, x->place.offset, x->place.offset + mem_bytes(&x->type, x->attrs, mem_max_batch(m)), x->id, x->id};
        for (const ir_node *user = x->next; user; user = user->next)
            for (int i = 0; i < user->nin; i++)
                if (ir_memory(user->in[i]) == x && user->op != IR_RESHAPE)
                    s.last = user->id;
        s.first = x->op == IR_SCRATCH ? s.last : mem_producer(x)->id;
        CU_ASSERT(s.to <= (int64_t)ir_attr_find(m->attrs, "workspace_bytes")->number[0]);
        spans[n++] = s;
    }
    for (int32_t i = 0; i < n; i++)
        for (int32_t k = 0; k < i; k++) {
            const span *a = &spans[k], *b = &spans[i];
            bool in_place = a->last == b->first && a->from == b->from &&
                            ir_type_equal(&a->node->type, &b->node->type) && b->node->region &&
                            ir_ops[b->node->region->first->op].traits & OP_ELTWISE;
            bool meet = a->first <= b->last && b->first <= a->last && a->from < b->to && b->from < a->to;
            CU_ASSERT(!meet || in_place);
        }
    free(spans);
}

/* A kernel of a function over vectors of three sizes: negate (may run in place), reverse (may not), add, or pad; each
 * third one with scratch memory, in turn shared and one a worker. */
static void add_random_kernel(text *t, int k, const int *size, uint32_t *seed)
{
    int a = (int)((noise(seed) + 1) * 0.5 * k), b = (int)((noise(seed) + 1) * 0.5 * k);
    bool pads = size[a] != size[k], adds = !pads && a != b && size[b] == size[k];
    if (k % 3 == 0)
        text_printf(t, "  %%s%d = scratch : f32[%d]%s\n", k, 10 * k, k % 2 ? "" : " @worker+0");
    text_printf(t, "  %%v%d = fused \"k%d\" (%%v%d", k, k, a);
    if (adds)
        text_printf(t, ", %%v%d", b);
    if (k % 3 == 0)
        text_printf(t, ", %%s%d", k);
    text_add(t, ") {kind = elementwise} {\n");
    if (pads)
        text_printf(t,
                    "    %%z%d = constant {value = [0]} : f32[]\n"
                    "    %%p%d = pad %%v%d, %%z%d {low = [0], high = [%d], interior = [0]} : f32[%d]\n",
                    k, k, a, k, size[k] - size[a], size[k]);
    else if (adds)
        text_printf(t, "    %%p%d = add %%v%d, %%v%d : f32[%d]\n", k, a, b, size[k]);
    else
        text_printf(t, "    %%p%d = %s %%v%d%s : f32[%d]\n", k, k % 2 ? "negate" : "reverse", a,
                    k % 2 ? "" : " {dims = [0]}", size[k]);
    text_printf(t, "    return %%p%d\n  } : f32[%d]\n", k, size[k]);
}

static void random_plans(void)
{
    enum { KERNELS = 24, GRAPHS = 60 };
    uint32_t seed = 3;
    for (int graph = 0; graph < GRAPHS; graph++) {
        int size[KERNELS + 1];
        text t = {0};
        diag *d = diag_new();
        size[0] = 16;
        text_add(&t, "module @random {after = select}\n");
        text_add(&t, "func @f(%v0 : f32[16]) -> (y : f32[100]) {\n");
        for (int k = 1; k <= KERNELS; k++) {
            size[k] = k == KERNELS ? 100 : (int[]){16, 40, 100}[(int)((noise(&seed) + 1) * 1.5)];
            add_random_kernel(&t, k, size, &seed);
        }
        text_printf(&t, "  return %%v%d\n}\n", KERNELS);
        ir_module *m = ir_parse(text_get(&t), "in", d);
        CU_ASSERT_FATAL(m != NULL);
        CU_ASSERT_FATAL(passes_run(m, &(pass_options){.disabled = graph % 2 ? "schedule" : NULL}, d));
        check_plan(m, m->functions);
        CU_ASSERT(ir_attr_find(m->attrs, "workspace_worker_bytes")->number[0] == 24 * 10 * 4);
        CU_ASSERT(m->functions->results[0]->place.segment == SEG_OUTPUT);
        ir_module_free(m);
        diag_free(d);
        text_free(&t);
    }
}

static void results_are_copied(void)
{
    static const char source[] = "module @m\nparam @w : f32[2]\n"
                                 "func @f(%x : f32[B]) -> (a : f32[B], b : f32[2], c : f32[B], d : f32[B]) {\n"
                                 "  %w = param @w : f32[2]\n  %1 = negate %x : f32[B]\n  return %x, %w, %1, %1\n}\n";
    diag *d = diag_new();
    ir_module *m = ir_parse(source, "in", d);
    CU_ASSERT_FATAL(m != NULL);
    ir_graph *g = m->functions;
    copies_for_results(m);
    CU_ASSERT(ir_verify(m, d));
    for (int i = 0; i < g->nresults; i++) {
        CU_ASSERT((g->results[i]->op == IR_BROADCAST_IN_DIM) == (i != 2));
        for (int k = 0; k < i; k++)
            CU_ASSERT(g->results[i] != g->results[k]);
    }
    ir_module_free(m);
    diag_free(d);
}

void suite_passes(void)
{
    CU_pSuite s = CU_add_suite("passes", NULL, NULL);
    ir_files_add(s, "passes", golden);
    CU_add_test(s, "gradients then update is train_step", gradients_then_update);
    CU_add_test(s, "gradients overwrite", gradients_overwrite);
    CU_add_test(s, "adam's first step", adam_first_step);
    CU_add_test(s, "disabled passes keep bits", disabled_passes_keep_bits);
    CU_add_test(s, "the runner refuses", runner_refuses);
    CU_add_test(s, "the runner resumes", runner_resumes);
    CU_add_test(s, "the runner writes dumps", runner_writes_dumps);
    CU_add_test(s, "random memory plans", random_plans);
    CU_add_test(s, "results are copied", results_are_copied);
    suite_gradients();
}
