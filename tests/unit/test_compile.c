/* tests/unit/test_compile.c - compiling takes no more than a little for every layer, however many of them there are.
 *
 * What a pass or a lowering finds out about a value it must not find out once a path to it: paths may double with every
 * layer, and then 40 of them never end. So long nets are compiled of every layer and activation there is, by itself and
 * taking turns with others, of blocks whose values meet again, and deep ones on the stack of a small thread. A layer
 * that is new joins by being in the catalogue.
 *
 * Every net is compiled, down to its loop nests, by a process that may take a minute. The slowest of them takes about a
 * second, so a limit that is reached says that compiling would take for ever. */
#include "backend/backend.h"
#include "frontend/frontend.h"
#include "frontend/network/network.h"
#include "passes/passes.h"
#include "tests/unit/any_target.h"
#include "tests/unit/extent.h"
#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 60 };

/* How many there are of one in a row. */
static int alone(void)
{
    return extent_sanitized ? 10 : 100;
}

/* And of each of two in turns. */
static int in_turns(void)
{
    return extent_sanitized ? 4 : 30;
}

/* ---- compiling with a limit ---- */

static bool compile(const char *yaml, diag *d)
{
    arena *mem = arena_new();
    text nests = {0};
    const pass_options o = {0};
    const fe_network *net = fe_read_text(yaml, strlen(yaml), "net.yaml", mem, d);
    ir_module *m = net ? fe_build(net, d) : NULL;
    if (m)
        m->target = any_target;
    bool ok = m && passes_run(m, &o, d) && be_print_nests(m, &nests, d);
    text_free(&nests);
    ir_module_free(m);
    arena_free(mem);
    return ok;
}

/* A sanitizer's frames are larger, and its stack is set up before main. */
static void limit(void)
{
    setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS, SECONDS});
#ifndef __SANITIZE_ADDRESS__
    setrlimit(RLIMIT_STACK, &(struct rlimit){1 << 20, 1 << 20});
#endif
}

static _Noreturn void compile_and_exit(const char *yaml, bool wrong)
{
    diag *d = diag_new();
    text messages = {0};
    limit();
    bool ok = compile(yaml, d);
    if (ok == wrong)
        diag_print(d, &messages, false);
    fputs(text_get(&messages), stderr);
    fflush(stderr);
    _exit(!ok);
}

/* Compiling ends, in a kernel's nests or, where the net is wrong, in a message. */
static void expect_end(const char *what, const text *yaml, bool wrong)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (!child)
        compile_and_exit(text_get(yaml), wrong);
    CU_ASSERT_FATAL(child > 0 && waitpid(child, &status, 0) == child);
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == wrong;
    if (!ok && WIFSIGNALED(status))
        fprintf(stderr, "%s: %s\n", what,
                WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL ? "compiling does not end"
                                                                           : strsignal(WTERMSIG(status)));
    else if (!ok)
        fprintf(stderr, "%s: is %s\n", what, wrong ? "compiled" : "not compiled");
    CU_ASSERT(ok);
}

static void expect_compiled(const char *what, const text *yaml)
{
    expect_end(what, yaml, false);
}

/* ---- chains of layers ---- */

/* A net of images whose layers take [4, 4, 4] and give it. */
static void begin(text *y, bool training)
{
    text_add(y, "name: net\ninputs:\n  x: {shape: [4, 4, 4]}\n");
    text_add(y, training ? "  target: {shape: [1]}\nlayers:\n" : "layers:\n");
    text_add(y, "  - dense: {name: first, units: 4, input: x}\n");
}

static void end(text *y, bool training)
{
    text_add(y, "  - flatten\n  - dense: {name: last, units: 1}\n");
    if (training)
        text_add(y, "losses:\n  - mean_squared_error: {predictions: last, targets: target}\n"
                    "optimizer: {adam: {learning_rate: 0.001}}\n");
}

/* A value for a key that must be given: one that leaves [4, 4, 4] as it is. */
static const char *value_of(const fe_key *key)
{
    if (!strcmp(key->name, "dims"))
        return "[1, 2, 3]";
    if (!strcmp(key->name, "cropping"))
        return "1";
    switch (key->type) {
    case FE_COUNT:
        return "4";
    case FE_PAIR:
        return "1";
    case FE_TARGET:
        return "[4, 4, 4]";
    case FE_ACTIVATION:
        return "gelu";
    default:
        return "0.5";
    }
}

/* Is it given here, though it need not be, so that 4 channels or 4 rows are enough? */
static bool must_give(const fe_layer_kind *l, const fe_key *key)
{
    return key->fallback == FE_REQUIRED || !strcmp(key->name, "pool_size") ||
           (!strcmp(l->kind.name, "group_norm") && !strcmp(key->name, "groups"));
}

/* May it give another number of elements than it takes? */
static bool changes_size(const fe_layer_kind *l)
{
    static const char *const names[] = {"global_",     "zero_padding", "cropping", "upsample",
                                        "concatenate", "dot",          "repeat_"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(l->kind.name, names[i], strlen(names[i])))
            return true;
    return strstr(l->kind.name, "1d");
}

/* The layer, before it what gives it as many dimensions as it takes, then what brings its value back to [4, 4, 4] if
 * need be. Of several inputs the others are 'first'. */
static void add_layer(text *y, const fe_layer_kind *l, int number, const char *previous)
{
    bool sequence = strstr(l->kind.name, "1d"), vector = !strcmp(l->kind.name, "repeat_vector");
    if (sequence || vector)
        text_add(y, sequence ? "  - reshape: [16, 4]\n" : "  - flatten\n");
    text_printf(y, "  - %s: {name: l%d", l->kind.name, number);
    if (l->most_inputs > 1)
        text_printf(y, ", inputs: [%s, first]", previous);
    for (int k = 0; k < FE_MAX_KEYS && l->kind.keys[k].name; k++)
        if (must_give(l, &l->kind.keys[k]))
            text_printf(y, ", %s: %s", l->kind.keys[k].name, value_of(&l->kind.keys[k]));
    text_add(y, "}\n");
    if (changes_size(l))
        text_add(y, "  - flatten\n  - dense: 64\n");
    if (changes_size(l) || !strcmp(l->kind.name, "flatten"))
        text_add(y, "  - reshape: [4, 4, 4]\n");
    text_printf(y, "  - activation: {name: v%d, activation: linear}\n", number);
}

/* a, b, a, b ...; or a alone. */
static void compile_turns(const fe_layer_kind *a, const fe_layer_kind *b, bool training)
{
    text y = {0}, what = {0};
    char previous[16] = "first";
    begin(&y, training);
    for (int i = 0; i < (b ? 2 * in_turns() : alone()); i++) {
        add_layer(&y, b && i % 2 ? b : a, i, previous);
        snprintf(previous, sizeof previous, "v%d", i);
    }
    end(&y, training);
    text_printf(&what, "%s%s%s, %s", a->kind.name, b ? " and " : "", b ? b->kind.name : "",
                training ? "training" : "inference");
    expect_compiled(text_get(&what), &y);
    text_free(&what);
    text_free(&y);
}

/* Every layer takes turns with one that is a kernel by itself, one that joins others, and one of several reductions. */
static bool takes_turns(const fe_layer_kind *l)
{
    return !strcmp(l->kind.name, "dense") || !strcmp(l->kind.name, "activation") || !strcmp(l->kind.name, "layer_norm");
}

static const fe_layer_kind *layer_kind(size_t index)
{
    return (const fe_layer_kind *)(const void *)fe_row(&fe_layers, index);
}

/* normalization reads inputs of the network, no layers. */
static bool reads_layers(const fe_layer_kind *l)
{
    return strcmp(l->kind.name, "normalization") != 0;
}

static void layers(void)
{
    for (size_t i = 0; layer_kind(i); i++)
        for (int training = 0; reads_layers(layer_kind(i)) && training < 2; training++) {
            compile_turns(layer_kind(i), NULL, training);
            for (size_t k = 0; layer_kind(k); k++)
                if (i != k && takes_turns(layer_kind(k)))
                    compile_turns(layer_kind(i), layer_kind(k), training);
        }
}

static void activations(void)
{
    for (size_t i = 0; fe_row(&fe_activations, i); i++)
        for (int training = 0; training < 2; training++) {
            const fe_kind *kind = fe_row(&fe_activations, i);
            text y = {0};
            begin(&y, training);
            for (int k = 0; k < alone(); k++)
                text_printf(&y, "  - activation: %s\n", kind->name);
            end(&y, training);
            expect_compiled(kind->name, &y);
            text_free(&y);
        }
}

/* ---- values that meet again ---- */

/* The block again and again; '>' in it is its number, '<' that of the block before. */
static void compile_blocks(const char *what, int count, const char *block, bool training)
{
    text y = {0};
    begin(&y, training);
    text_add(&y, "  - activation: {name: v0, activation: linear}\n");
    for (int i = 1; i <= count; i++)
        for (const char *c = block; *c; c++)
            if (*c == '<' || *c == '>')
                text_printf(&y, "%d", *c == '<' ? i - 1 : i);
            else
                text_add_bytes(&y, c, 1);
    end(&y, training);
    expect_compiled(what, &y);
    text_free(&y);
}

static void blocks(void)
{
    static const struct {
        const char *what, *block;
        int count;
    } all[] = {
        {"sums of one value and itself", "  - add: {name: v>, inputs: [v<, v<]}\n", 60},
        {"residual blocks",
         "  - layer_norm: {input: v<}\n  - dense: {units: 4, activation: gelu}\n  - dense: {name: d>, units: 4}\n"
         "  - add: {name: v>, inputs: [v<, d>]}\n",
         24},
        {"residual blocks of one kernel",
         "  - layer_norm: {name: d>, input: v<}\n  - add: {name: v>, inputs: [v<, d>]}\n", 60},
        {"dense blocks",
         "  - conv2d: {name: d>, input: v<, filters: 2, kernel_size: 3, padding: same, activation: relu}\n"
         "  - concatenate: {name: v>, inputs: [v<, d>]}\n",
         24},
        {"doubling blocks",
         "  - activation: {name: d>, input: v<, activation: gelu}\n  - concatenate: {name: v>, inputs: [v<, d>]}\n", 6},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int training = 0; training < 2; training++)
            compile_blocks(all[i].what, all[i].count, all[i].block, training);
}

static void deep(void)
{
    compile_blocks("ten thousand layers", 10000, "  - activation: relu\n", false);
    compile_blocks("a thousand layers that are trained", 1000, "  - activation: relu\n", true);
}

/* ---- layers that are alike ---- */

static ir_module *planned(const char *yaml, arena *mem, diag *d)
{
    const pass_options o = {0};
    const fe_network *net = fe_read_text(yaml, strlen(yaml), "net.yaml", mem, d);
    ir_module *m = net ? fe_build(net, d) : NULL;
    if (m)
        m->target = any_target;
    if (m && passes_run(m, &o, d))
        return m;
    ir_module_free(m);
    return NULL;
}

/* How many functions LLVM gets of a net that is trained and has this block so many times. */
static int functions_of(const char *block, int count)
{
    char path[] = "/tmp/lamina-test-XXXXXX";
    close(mkstemp(path));
    text y = {0}, code = {0};
    diag *d = diag_new();
    arena *mem = arena_new();
    begin(&y, true);
    for (int i = 0; i < count; i++)
        text_add(&y, block);
    end(&y, true);
    ir_module *m = planned(text_get(&y), mem, d);
    const be_options o = {BE_LLVM, path, false, NULL};
    CU_ASSERT_FATAL(m && be_compile(m, &o, d) && text_read_file(&code, path));
    int functions = 0;
    for (const char *at = text_get(&code); (at = strstr(at, "\ndefine ")); at++)
        functions++;
    unlink(path);
    ir_module_free(m);
    arena_free(mem);
    diag_free(d);
    text_free(&y);
    text_free(&code);
    return functions;
}

/* LLVM's time goes by functions: layers that others are like add none, though sums and updates that are put together
 * in groups may add a few. Layers that drop differ in their random numbers, but need no code of their own for that. */
static void alike(void)
{
    enum { FEW = 8, MANY = 40, SPARE = 16 };
    static const char *const blocks[] = {"  - dense: {units: 4, activation: relu}\n",
                                         "  - dense: {units: 4}\n  - dropout: 0.2\n"};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        int few = functions_of(blocks[i], FEW), many = functions_of(blocks[i], MANY);
        CU_ASSERT(few > FEW);
        CU_ASSERT(many < few + SPARE);
    }
}

/* ---- random numbers ---- */

/* Kernels that sum what was dropped hold few copies of the random numbers, each of which is long. */
static void dropped_sums(void)
{
    enum { DROPOUTS = 10, MOST = 32 };
    text y = {0}, nests = {0};
    diag *d = diag_new();
    arena *mem = arena_new();
    text_add(&y, "name: net\ninputs: {x: {shape: [8, 8, 4]}, t: {shape: [4]}}\nlayers:\n");
    for (int i = 0; i < DROPOUTS; i++)
        text_add(&y, "  - dropout: 0.2\n");
    text_add(&y, "  - global_average_pool2d\n  - dense: {name: out, units: 4}\n"
                 "losses: [{mean_squared_error: {predictions: out, targets: t}}]\noptimizer: sgd\n");
    ir_module *m = planned(text_get(&y), mem, d);
    CU_ASSERT_FATAL(m && be_print_nests(m, &nests, d));
    int most = 0, count = 0;
    for (const char *line = text_get(&nests); line; line = strchr(line, '\n')) {
        line += *line == '\n';
        count = strncmp(line, "kernel ", 7) ? count : 0;
        const char *word = strstr(line, " = rng "), *end = strchr(line, '\n');
        count += word && word < end;
        most = count > most ? count : most;
    }
    CU_ASSERT(most > 0 && most <= MOST);
    ir_module_free(m);
    arena_free(mem);
    diag_free(d);
    text_free(&y);
    text_free(&nests);
}

/* A mapping is read in a time that grows as it does, though no key may stand twice. */
static void many_keys(void)
{
    enum { KEYS = 400000 };
    text y = {0};
    text_add(&y, "name: net\ninputs: {x: {shape: [1]}}\nlayers:\n  - dense:\n");
    for (int i = 0; i < KEYS; i++)
        text_printf(&y, "      key%d: 1\n", i);
    expect_end("many keys", &y, true);
    text_free(&y);
}

void suite_compile(void);
void suite_compile(void)
{
    CU_pSuite s = CU_add_suite("compile", NULL, NULL);
    CU_add_test(s, "layers", layers);
    CU_add_test(s, "activations", activations);
    CU_add_test(s, "values that meet again", blocks);
    CU_add_test(s, "deep", deep);
    CU_add_test(s, "layers that are alike", alike);
    CU_add_test(s, "sums of what was dropped", dropped_sums);
    CU_add_test(s, "many keys", many_keys);
}
