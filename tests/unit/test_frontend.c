/* tests/unit/test_frontend.c - what a YAML network becomes: names, shapes, symbols, rows, functions, and what its
 * layers and losses compute, by the reference evaluator, where that can be said in a few numbers. */
#include "frontend/frontend.h"
#include "ir/ops/eval.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef LAMINA_SOURCE_DIR
#define LAMINA_SOURCE_DIR "."
#endif

static ir_module *build_named(const char *yaml, const char *path)
{
    arena *mem = arena_new();
    diag *d = diag_new();
    fe_network *n = fe_read_text(yaml, strlen(yaml), path, mem, d);
    ir_module *m = n ? fe_build(n, d) : NULL;
    CU_ASSERT_EQUAL(diag_errors(d), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    diag_free(d);
    arena_free(mem);
    return m;
}

static ir_module *build(const char *yaml)
{
    return build_named(yaml, "net.yaml");
}

static void expect_symbol(const ir_module *m, const char *name, const char *type)
{
    ir_symbol *s = ir_symbol_find(m, name);
    text got = {0};
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    ir_type_print(&s->type, &got);
    CU_ASSERT_STRING_EQUAL(text_get(&got), type);
    text_free(&got);
}

static double attr_number(const ir_attr *attrs, const char *name)
{
    const ir_attr *a = ir_attr_find(attrs, name);
    return a && a->count == 1 ? a->number[0] : NAN;
}

static const char *attr_word(const ir_attr *attrs, const char *name)
{
    const ir_attr *a = ir_attr_find(attrs, name);
    return a && a->word ? a->word : "";
}

/* ---- structure ---- */

static void test_names_count_all_of_a_kind(void)
{
    ir_module *m = build("inputs: {image: [8, 8, 2]}\n"
                         "layers:\n"
                         "  - conv2d: {name: first, filters: 4, kernel_size: 3}\n"
                         "  - conv2d: {filters: 4, kernel_size: 3}\n"
                         "  - max_pool2d\n"
                         "  - flatten\n"
                         "  - dense: 3\n");
    expect_symbol(m, "first.weight", "f32[3, 3, 2, 4]");
    expect_symbol(m, "conv2.weight", "f32[3, 3, 4, 4]");
    expect_symbol(m, "conv2.bias", "f32[4]");
    expect_symbol(m, "dense1.weight", "f32[16, 3]");
    ir_graph *infer = ir_function_find(m, "infer");
    CU_ASSERT_STRING_EQUAL(infer->result_names[0], "dense1");
    CU_ASSERT_STRING_EQUAL(infer->first->label, "first.forward");
    CU_ASSERT_EQUAL(infer->first->loc.line, 3);
    CU_ASSERT_EQUAL(infer->first->loc.col, 5);
    ir_module_free(m);
}

static void test_shortest_network(void)
{
    ir_module *m = build_named("inputs: {x: [4]}\nlayers: [dense: 2]\n", "some/dir/my-net.yaml");
    CU_ASSERT_STRING_EQUAL(m->name, "my_net");
    CU_ASSERT_STRING_EQUAL(attr_word(m->attrs, "source"), "my-net.yaml");
    CU_ASSERT_PTR_NOT_NULL(ir_function_find(m, "infer"));
    CU_ASSERT_PTR_NULL(ir_function_find(m, "train_step"));
    CU_ASSERT_PTR_NULL(ir_symbol_find(m, "seed"));
    ir_module_free(m);
}

static void test_trained_network(void)
{
    ir_module *m = build("inputs: {image: {shape: [4], dtype: uint8, scale: 1/255}, label: {shape: [], dtype: int32}}\n"
                         "layers: [dense: 3]\n"
                         "losses: [softmax_cross_entropy]\n"
                         "metrics: [accuracy]\n"
                         "optimizer: {adam: {learning_rate: 0.01}}\n"
                         "stages: [{name: only, through: dense1}]\n");
    CU_ASSERT_EQUAL(ir_function_find(m, "infer")->ninputs, 1);
    CU_ASSERT_EQUAL(ir_function_find(m, "evaluate")->ninputs, 2);
    CU_ASSERT_EQUAL(ir_function_find(m, "train_step")->ninputs, 2);
    CU_ASSERT_EQUAL(ir_function_find(m, "train_step")->nresults, 0);
    expect_symbol(m, "seed", "i64[]");
    expect_symbol(m, "step", "i64[]");
    expect_symbol(m, "metric.loss", "f64[]");
    expect_symbol(m, "metric.examples", "f64[]");
    expect_symbol(m, "metric.accuracy", "f64[]");
    CU_ASSERT_PTR_NOT_NULL(ir_row_find(m, "input", "image"));
    CU_ASSERT_PTR_NOT_NULL(ir_row_find(m, "output", "dense1"));
    CU_ASSERT_EQUAL(attr_number(ir_row_find(m, "rate", "learning_rate")->attrs, "a"), 0.01);
    CU_ASSERT_EQUAL(attr_number(ir_row_find(m, "optimizer", "adam")->attrs, "beta_2"), 0.999);
    CU_ASSERT_PTR_NULL(ir_attr_find(ir_row_find(m, "optimizer", "adam")->attrs, "learning_rate"));
    CU_ASSERT_EQUAL(attr_number(ir_row_find(m, "metric", "accuracy")->attrs, "higher_is_better"), 1);
    CU_ASSERT_STRING_EQUAL(attr_word(ir_row_find(m, "stage", "only")->attrs, "through"), "dense1");
    const ir_attr *init = ir_symbol_find(m, "dense1.weight")->attrs;
    CU_ASSERT_STRING_EQUAL(attr_word(init, "init"), "uniform");
    CU_ASSERT_DOUBLE_EQUAL(attr_number(init, "b"), sqrt(6.0 / 7), 1e-15);
    CU_ASSERT_STRING_EQUAL(attr_word(ir_symbol_find(m, "seed")->attrs, "init"), "seed");
    ir_module_free(m);
}

static void expect_number(const ir_row *row, const char *name, double wanted)
{
    CU_ASSERT_EQUAL(attr_number(row->attrs, name), wanted);
}

/* A schedule is no part of the hash, as a rate is not; of groups the multiples go by its first number. */
static void test_schedules(void)
{
    static const char net[] = "inputs: {x: [4], y: [2]}\n"
                              "layers: [dense: {name: a, units: 3}, dense: {name: b, units: 2}]\n"
                              "losses: [mean_squared_error]\n"
                              "groups: [{name: low, layers: [a], optimizer: {sgd: 0.01}}]\n"
                              "optimizer: ";
    char yaml[1024];
    snprintf(yaml, sizeof yaml, "%s{sgd: 0.5}\n", net);
    ir_module *plain = build(yaml);
    snprintf(yaml, sizeof yaml, "%s{sgd: {cosine: {initial: 0.5, epochs: 10, warmup: {steps: 30}}}}\n", net);
    ir_module *m = build(yaml);
    const ir_row *row = ir_row_find(m, "rate", "learning_rate");
    CU_ASSERT_STRING_EQUAL(attr_word(row->attrs, "kind"), "cosine");
    CU_ASSERT_STRING_EQUAL(attr_word(row->attrs, "unit"), "epochs");
    CU_ASSERT_STRING_EQUAL(attr_word(row->attrs, "warmup_unit"), "steps");
    expect_number(row, "initial", 0.5);
    expect_number(row, "length", 10);
    expect_number(row, "final", 0);
    CU_ASSERT_EQUAL(ir_attr_find(row->attrs, "warmup")->number[0], 30);
    expect_number(ir_row_find(m, "group", "low"), "rate", 0.01 / 0.5);
    CU_ASSERT_STRING_EQUAL(attr_word(m->attrs, "hash"), attr_word(plain->attrs, "hash"));
    ir_module_free(m);
    snprintf(yaml, sizeof yaml, "%s{sgd: {piecewise: {values: [0.4, 0.2, 0.1], steps: [3, 6]}}}\n", net);
    m = build(yaml);
    row = ir_row_find(m, "rate", "learning_rate");
    double numbers[7];
    CU_ASSERT_EQUAL_FATAL(ir_rate_numbers(row, NULL), 7);
    CU_ASSERT_EQUAL(ir_rate_numbers(row, numbers), 7);
    CU_ASSERT_EQUAL(memcmp(numbers, ((const double[]){0, 0, 0.4, 0.2, 0.1, 3, 6}), sizeof numbers), 0);
    expect_number(ir_row_find(m, "group", "low"), "rate", 0.01 / 0.4);
    ir_module_free(m);
    ir_module_free(plain);
}

static void test_windows(void)
{
    ir_module *m = build("inputs: {image: [28, 27, 1]}\n"
                         "layers:\n"
                         "  - conv2d: {filters: 2, kernel_size: [3, 5], strides: 2, padding: same}\n"
                         "  - average_pool2d: {pool_size: 3, strides: 2, padding: same}\n"
                         "  - conv2d: {filters: 2, kernel_size: 3, padding: [[0, 1], [2, 3]]}\n");
    ir_graph *infer = ir_function_find(m, "infer");
    text got = {0};
    ir_type_print(&infer->results[0]->type, &got); /* 28 x 27, 14 x 14, 7 x 7, then 7+1-2 x 7+5-2 */
    CU_ASSERT_STRING_EQUAL(text_get(&got), "f32[B, 6, 10, 2]");
    text_free(&got);
    ir_module_free(m);
}

static void test_a_graph_of_layers(void)
{
    ir_module *m = build("inputs: {a: [4], b: [4]}\n"
                         "layers:\n"
                         "  - dense: {name: left, input: a, units: 3}\n"
                         "  - dense: {name: right, input: b, units: 3}\n"
                         "  - add: [left, right]\n"
                         "  - concatenate: [add1, a]\n"
                         "  - dense: {name: side, input: right, units: 2}\n");
    ir_graph *infer = ir_function_find(m, "infer");
    CU_ASSERT_EQUAL(infer->nresults, 2);
    CU_ASSERT_STRING_EQUAL(infer->result_names[0], "concatenate1");
    CU_ASSERT_EQUAL(infer->results[0]->type.dim[1].n, 7);
    CU_ASSERT_STRING_EQUAL(infer->result_names[1], "side");
    ir_module_free(m);
}

static const char *hash_of(const char *yaml, const char *path, arena *mem)
{
    ir_module *m = build_named(yaml, path);
    const char *hash = arena_strdup(mem, attr_word(m->attrs, "hash"));
    ir_module_free(m);
    return hash;
}

static void test_hash_is_of_the_graph(void)
{
    arena *mem = arena_new();
    const char *one = hash_of("name: n\ninputs: {x: [4]}\nlayers: [dense: 2]\n", "a.yaml", mem);
    const char *moved =
        hash_of("# note\nname: n\ninputs: {x: [2*2]}\nlayers:\n  - dense: {units: 2}\n", "b/c.yaml", mem);
    const char *other = hash_of("name: n\ninputs: {x: [4]}\nlayers: [dense: 3]\n", "a.yaml", mem);
    CU_ASSERT_EQUAL(strlen(one), 16);
    const char *renamed = hash_of("name: m\ninputs: {x: [4]}\nlayers: [dense: 2]\n", "a.yaml", mem);
    CU_ASSERT_STRING_EQUAL(one, moved);
    CU_ASSERT_STRING_EQUAL(one, renamed);
    CU_ASSERT_STRING_NOT_EQUAL(one, other);
    arena_free(mem);
}

/* What the driver asks of a description. */
static void test_data_and_training(void)
{
    static const char yaml[] = "inputs: {x: [4], y: {shape: [], dtype: int32}}\n"
                               "layers: [dense: 10]\n"
                               "losses: [softmax_cross_entropy]\n"
                               "optimizer: sgd\n"
                               "data:\n"
                               "  train: {format: idx, x: data/x.gz, y: /abs/y.gz}\n"
                               "  validation: {split: 1/10}\n"
                               "train: {epochs: 3, seed: 7}\n";
    arena *mem = arena_new();
    diag *d = diag_new();
    fe_network *n = fe_read_text(yaml, strlen(yaml), "some/net.yaml", mem, d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(n);
    CU_ASSERT_STRING_EQUAL(fe_data(n, "train")->fields[0].paths[0], "some/data/x.gz");
    CU_ASSERT_STRING_EQUAL(fe_data(n, "train")->fields[1].paths[0], "/abs/y.gz");
    CU_ASSERT_EQUAL(fe_data(n, "validation")->split, 0.1);
    CU_ASSERT_FALSE(fe_data(n, "test")->present);
    CU_ASSERT_EQUAL(fe_train_options(n)->epochs, 3);
    CU_ASSERT_EQUAL(fe_train_options(n)->batch, 128);
    CU_ASSERT_EQUAL(fe_train_options(n)->seed, 7);
    CU_ASSERT_EQUAL(fe_classes(n, "y"), 10);
    CU_ASSERT_EQUAL(fe_classes(n, "x"), 0);
    diag_free(d);
    arena_free(mem);
}

/* The examples are read, and their modules' text parses back to the same bytes. */
static void test_examples(void)
{
    static const char *const names[] = {"fashion_mlp",       "fashion_mlp_deep",  "fashion_cnn",
                                        "fashion_cnn_valid", "linear_regression", "linear_two_stage",
                                        "distill_cnn_to_mlp"};
    const char *root = getenv("LAMINA_SOURCE_DIR");
    arena *mem = arena_new();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        diag *d = diag_new();
        const char *path = arena_printf(mem, "%s/examples/%s.yaml", root ? root : LAMINA_SOURCE_DIR, names[i]);
        fe_network *n = fe_read(path, mem, d);
        CU_ASSERT_PTR_NOT_NULL_FATAL(n);
        CU_ASSERT_STRING_EQUAL(fe_name(n), names[i]);
        ir_module *m = fe_build(n, d);
        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        text once = {0}, twice = {0};
        ir_print(m, true, &once);
        ir_module *back = ir_parse(text_get(&once), "dump", d);
        CU_ASSERT_PTR_NOT_NULL_FATAL(back);
        ir_print(back, true, &twice);
        CU_ASSERT_STRING_EQUAL(text_get(&once), text_get(&twice));
        text_free(&once);
        text_free(&twice);
        ir_module_free(back);
        ir_module_free(m);
        diag_free(d);
    }
    arena_free(mem);
}

/* ---- values ---- */

static void put_all(evaluator *e, eval_tensor *t, const double *values, int count)
{
    for (int i = 0; i < count; i++)
        evaluator_put(e, t, i, values[i]);
}

static void run(evaluator *e, const ir_graph *f)
{
    diag *d = diag_new();
    CU_ASSERT(evaluator_run(e, f, d));
    diag_free(d);
}

static double symbol_value(evaluator *e, const char *name, int index)
{
    eval_tensor *t = evaluator_symbol(e, name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    return evaluator_get(e, t, index);
}

/* infer on one example: the wanted result. */
static void expect_infer(const char *yaml, const double *in, int count, const double *want, int want_count)
{
    ir_module *m = build(yaml);
    evaluator *e = evaluator_new(m, EVAL_F64, 1);
    const ir_graph *infer = ir_function_find(m, "infer");
    put_all(e, evaluator_input(e, infer, 0), in, count);
    run(e, infer);
    CU_ASSERT_EQUAL(ir_static_count(&infer->results[0]->type), want_count);
    for (int i = 0; i < want_count; i++)
        CU_ASSERT_DOUBLE_EQUAL(evaluator_get(e, evaluator_result(e, 0), i), want[i], 1e-6);
    evaluator_free(e);
    ir_module_free(m);
}

static void test_activations(void)
{
    static const double x[] = {-2, 0, 0.5, 3};
    static const struct {
        const char *name;
        double want[4];
    } cases[] = {
        {"linear", {-2, 0, 0.5, 3}},
        {"relu", {0, 0, 0.5, 3}},
        {"leaky_relu", {-0.4, 0, 0.5, 3}},
        {"{leaky_relu: 0.1}", {-0.2, 0, 0.5, 3}},
        {"elu", {-0.8646647168, 0, 0.5, 3}},
        {"{elu: {alpha: 2}}", {-1.7293294336, 0, 0.5, 3}},
        {"selu", {-1.5201664686, 0, 0.5253504937, 3.1521029606}},
        {"gelu", {-0.0455002639, 0, 0.3457312306, 2.9959503059}},
        {"silu", {-0.2384058440, 0, 0.3112296656, 2.8577223804}},
        {"softplus", {0.1269280110, 0.6931471806, 0.9740769842, 3.0485873516}},
        {"sigmoid", {0.1192029220, 0.5, 0.6224593312, 0.9525741268}},
        {"tanh", {-0.9640275801, 0, 0.4621171573, 0.9950547537}},
        {"softmax", {0.0059176952, 0.0437261817, 0.0720922859, 0.8782638372}},
    };
    arena *mem = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_infer(arena_printf(mem, "inputs: {x: [4]}\nlayers: [activation: {activation: %s}]\n", cases[i].name), x,
                     4, cases[i].want, 4);
    expect_infer("inputs: {x: [4]}\nlayers: [activation: {leaky_relu: {negative_slope: 0.1}}]\n", x, 4, cases[3].want,
                 4);
    arena_free(mem);
}

static void test_pools(void)
{
    static const double image[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const double most[] = {5, 6, 8, 9}, mean[] = {3, 4.5, 7.5, 9}, whole[] = {5};
    expect_infer("inputs: {x: [3, 3, 1]}\nlayers: [max_pool2d: {pool_size: 2, strides: 1}]\n", image, 9, most, 4);
    expect_infer("inputs: {x: [3, 3, 1]}\nlayers: [average_pool2d: {padding: same}]\n", image, 9, mean, 4);
    expect_infer("inputs: {x: [3, 3, 1]}\nlayers: [global_average_pool2d]\n", image, 9, whole, 1);
}

static void test_layer_norm(void)
{
    static const double x[] = {1, 2, 3, 6}, want[] = {-1.0688, -0.5344, 0, 1.6032};
    ir_module *m = build("inputs: {x: [4]}\nlayers: [layer_norm]\n");
    evaluator *e = evaluator_new(m, EVAL_F64, 1);
    const ir_graph *infer = ir_function_find(m, "infer");
    put_all(e, evaluator_input(e, infer, 0), x, 4);
    put_all(e, evaluator_symbol(e, "layer_norm1.gamma"), (const double[]){1, 1, 1, 1}, 4);
    run(e, infer);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_DOUBLE_EQUAL(evaluator_get(e, evaluator_result(e, 0), i), want[i], 1e-3);
    evaluator_free(e);
    ir_module_free(m);
}

/* By given statistics; a missing value is the number or the statistic that is said. */
static void expect_normalized(const char *keys, const char *from, const char *by, double filled)
{
    arena *mem = arena_new();
    ir_module *m = build(arena_printf(mem, "inputs: {x: [2]}\nlayers: [normalization: %s]\n", keys));
    evaluator *e = evaluator_new(m, EVAL_F64, 2);
    const ir_graph *infer = ir_function_find(m, "infer");
    put_all(e, evaluator_input(e, infer, 0), (const double[]){3, NAN, 5, 10}, 4);
    put_all(e, evaluator_symbol(e, arena_printf(mem, "normalization1.%s", from)), (const double[]){1, 2}, 2);
    put_all(e, evaluator_symbol(e, arena_printf(mem, "normalization1.%s", by)), (const double[]){2, 4}, 2);
    if (strstr(keys, "median"))
        put_all(e, evaluator_symbol(e, "normalization1.fill"), (const double[]){50, 6}, 2);
    run(e, infer);
    CU_ASSERT_EQUAL(evaluator_get(e, evaluator_result(e, 0), 0), 1);
    CU_ASSERT_EQUAL(evaluator_get(e, evaluator_result(e, 0), 1), filled);
    CU_ASSERT_EQUAL(evaluator_get(e, evaluator_result(e, 0), 3), 2);
    evaluator_free(e);
    ir_module_free(m);
    arena_free(mem);
}

static void test_normalization(void)
{
    expect_normalized("{missing: 10}", "mean", "deviation", 2);
    expect_normalized("{method: minmax, missing: median}", "minimum", "range", 1);
}

/* Batch 3 of values 1, 2, 6: mean 3, variance 14/3, unbiased 7. */
static void test_batch_norm(void)
{
    ir_module *m = build("inputs: {x: [1], y: [1]}\n"
                         "layers: [batch_norm: {momentum: 0.75}]\n"
                         "losses: [mean_squared_error]\n"
                         "optimizer: sgd\n");
    evaluator *e = evaluator_new(m, EVAL_F64, 3);
    const ir_graph *step = ir_function_find(m, "train_step");
    put_all(e, evaluator_input(e, step, 0), (const double[]){1, 2, 6}, 3);
    evaluator_put(e, evaluator_symbol(e, "batch_norm1.gamma"), 0, 1);
    evaluator_put(e, evaluator_symbol(e, "batch_norm1.moving_variance"), 0, 1);
    run(e, step);
    CU_ASSERT_DOUBLE_EQUAL(symbol_value(e, "batch_norm1.moving_mean", 0), 0.75, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(symbol_value(e, "batch_norm1.moving_variance", 0), 0.75 + 0.25 * 7, 1e-6);
    /* y = 0, so the loss is the sum of squares of what was normalised: 3 var / (var + 0.001). */
    CU_ASSERT_DOUBLE_EQUAL(symbol_value(e, "metric.loss", 0), 3 * (14.0 / 3) / (14.0 / 3 + 0.001), 1e-6);
    const ir_graph *evaluate = ir_function_find(m, "evaluate");
    put_all(e, evaluator_input(e, evaluate, 0), (const double[]){1, 2, 6}, 3);
    run(e, evaluate);
    CU_ASSERT_DOUBLE_EQUAL(symbol_value(e, "batch_norm1.moving_mean", 0), 0.75, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(symbol_value(e, "metric.examples", 0), 6, 0);
    evaluator_free(e);
    ir_module_free(m);
}

/* Two losses, weighted, and their metrics; logits straight from the input. */
static void test_losses(void)
{
    ir_module *m = build("inputs: {x: [3], y: [3], label: {shape: [], dtype: int32}}\n"
                         "layers:\n"
                         "  - dense: {name: unused, units: 1}\n"
                         "  - activation: {name: out, activation: linear, input: x}\n"
                         "losses:\n"
                         "  - softmax_cross_entropy: {name: classes, logits: out, labels: label}\n"
                         "  - mean_squared_error: {name: values, predictions: out, targets: y, weight: 1/2}\n"
                         "metrics:\n"
                         "  - accuracy: {loss: classes}\n"
                         "optimizer: sgd\n");
    evaluator *e = evaluator_new(m, EVAL_F64, 2);
    const ir_graph *f = ir_function_find(m, "evaluate");
    put_all(e, evaluator_input(e, f, 0), (const double[]){1, 2, 3, 0, 0, 1000}, 6);
    put_all(e, evaluator_input(e, f, 1), (const double[]){1, 2, 0, 0, 0, 1000}, 6);
    put_all(e, evaluator_input(e, f, 2), (const double[]){0, 2}, 2);
    run(e, f);
    double entropy = log(exp(-2.0) + exp(-1.0) + 1) + 2;
    CU_ASSERT_DOUBLE_EQUAL(symbol_value(e, "metric.classes", 0), entropy, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(symbol_value(e, "metric.values", 0), 1.5, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(symbol_value(e, "metric.loss", 0), entropy + 1.5, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(symbol_value(e, "metric.accuracy", 0), 1, 0);
    CU_ASSERT_DOUBLE_EQUAL(symbol_value(e, "metric.examples", 0), 2, 0);
    evaluator_free(e);
    ir_module_free(m);
}

/* Loss of a dropped all-ones example against zeros: 4 where kept, at a rate of 1/2. */
static void test_dropout(void)
{
    enum { WIDTH = 1000 };
    ir_module *m = build("inputs: {x: [1000], y: [1000]}\n"
                         "layers:\n"
                         "  - dense: {name: unused, units: 1}\n"
                         "  - dropout: {rate: 0.5, input: x}\n"
                         "losses: [mean_squared_error]\n"
                         "optimizer: sgd\n");
    evaluator *e = evaluator_new(m, EVAL_F64, 1);
    double seen[3];
    for (int step = 0; step < 3; step++) {
        const ir_graph *f = ir_function_find(m, step < 2 ? "train_step" : "evaluate");
        eval_tensor *x = evaluator_input(e, f, 0);
        for (int i = 0; i < WIDTH; i++)
            evaluator_put(e, x, i, 1);
        evaluator_put(e, evaluator_symbol(e, "step"), 0, step);
        evaluator_put(e, evaluator_symbol(e, "metric.loss"), 0, 0);
        run(e, f);
        seen[step] = symbol_value(e, "metric.loss", 0);
    }
    CU_ASSERT(seen[0] > 1.8 && seen[0] < 2.2 && seen[1] > 1.8 && seen[1] < 2.2);
    CU_ASSERT_NOT_EQUAL(seen[0], seen[1]);
    CU_ASSERT_DOUBLE_EQUAL(seen[2], 1, 1e-6);
    evaluator_free(e);
    ir_module_free(m);
}

void suite_frontend(void)
{
    CU_pSuite s = CU_add_suite("frontend", NULL, NULL);
    CU_add_test(s, "names count all of a kind", test_names_count_all_of_a_kind);
    CU_add_test(s, "shortest network", test_shortest_network);
    CU_add_test(s, "trained network", test_trained_network);
    CU_add_test(s, "schedules", test_schedules);
    CU_add_test(s, "windows", test_windows);
    CU_add_test(s, "a graph of layers", test_a_graph_of_layers);
    CU_add_test(s, "hash is of the graph", test_hash_is_of_the_graph);
    CU_add_test(s, "data and training", test_data_and_training);
    CU_add_test(s, "examples", test_examples);
    CU_add_test(s, "activations", test_activations);
    CU_add_test(s, "pools", test_pools);
    CU_add_test(s, "layer norm", test_layer_norm);
    CU_add_test(s, "normalization", test_normalization);
    CU_add_test(s, "batch norm", test_batch_norm);
    CU_add_test(s, "losses", test_losses);
    CU_add_test(s, "dropout", test_dropout);
}
