/* tests/unit/test_summary.c - `lamina summary` and `lamina partition`: what they list is what the net has, and a YAML
 * with stages written into it is the same file but for them, and the same library as with --partition=auto. */
#include "frontend/document/section.h"
#include "tests/unit/shell.h"
#include <CUnit/CUnit.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- sections ---- */

static void check_section(const char *before, const char *after)
{
    static const char *const entries[] = {"{name: s1, through: a}", "{name: s2, through: b}"};
    arena *mem = arena_new();
    diag *d = diag_new();
    text out = {0};
    const fe_yaml *root = fe_yaml_parse(before, strlen(before), "net.yaml", mem, d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(root);
    CU_ASSERT_TRUE(fe_section_replace(before, root, "stages", entries, 2, &out, d));
    CU_ASSERT_STRING_EQUAL(text_get(&out), after);
    CU_ASSERT_EQUAL(diag_errors(d), 0);
    text_free(&out);
    diag_free(d);
    arena_free(mem);
}

#define ENTRIES "  - {name: s1, through: a}\n  - {name: s2, through: b}\n"

static void sections_replaced(void)
{
    check_section("name: x\n", "name: x\nstages:\n" ENTRIES);
    check_section("name: x", "name: x\nstages:\n" ENTRIES);
    check_section("---\nname: x\n...\n# end\n", "---\nname: x\nstages:\n" ENTRIES "...\n# end\n");
    check_section("stages: [{name: q, through: c}]  # old\nname: x # kept\n", "stages:\n" ENTRIES "name: x # kept\n");
    check_section(
        "# top\nstages:   # by hand\n  # all of it\n  - name: q\n    through: c   # here\n\n# next\nname: x\n",
        "# top\nstages:   # by hand\n  # all of it\n" ENTRIES "\n# next\nname: x\n");
    check_section("name: x\nstages:\n- {name: q,\n   through: c}\n\n", "name: x\nstages:\n" ENTRIES "\n");
    check_section("name: x\n\"stages\":\n- {name: q, through: c}", "name: x\n\"stages\":\n" ENTRIES);
    check_section("  name: x\n  stages: []\n  train: {}\n",
                  "  name: x\n  stages:\n    - {name: s1, through: a}\n    - {name: s2, through: b}\n  train: {}\n");
    check_section("name: x\r\nstages: []\r\ntrain: {}\r\n",
                  "name: x\r\nstages:\r\n  - {name: s1, through: a}\r\n  - {name: s2, through: b}\r\ntrain: {}\r\n");
    check_section("name: x\nstages: []\n...\n", "name: x\nstages:\n" ENTRIES "...\n");
}

/* ---- lamina partition ---- */

/* Written out, then compiled; compiled with options: the same library, whichever way it is balanced. */
static void check_written(const char *folder, const char *name, const char *options)
{
    int code = run("rm -rf a b && mkdir a b && cp %s/%s.yaml a && %s partition a/%s.yaml %s -o b/%s.yaml && "
                   "%s compile a/%s.yaml --partition=auto %s -o a/net.so && %s compile b/%s.yaml -o b/net.so && "
                   "cmp a/net.so b/net.so && cmp a/net.h b/net.h",
                   folder, name, LAMINA_BINARY, name, options, name, LAMINA_BINARY, name, options, LAMINA_BINARY, name);
    if (code)
        fprintf(stderr, "%s with %s is another library when the stages are written out\n", name, options);
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_EQUAL(run("grep -v '^stages:$\\|^  - {name: stage[0-9]*, ' b/%s.yaml >rest; "
                        "grep -v '^stages:$\\|^  - {name: .*, through: ' a/%s.yaml | cmp rest -",
                        name, name),
                    0);
}

static void stages_written(void)
{
    const char *nets = LAMINA_TESTS_DIR "/nets", *examples = LAMINA_SOURCE_DIR "/examples";
    check_written(nets, "mlp", "--stages=2");
    check_written(nets, "cnn", "--stages=3 --balance=memory");
    check_written(nets, "branches", "--stages=3");
    check_written(nets, "chains", "--stages=auto --workers=2");
    check_written(examples, "fashion_cnn", "--stages=4 --balance=flops");
    check_written(examples, "linear_two_stage", "--stages=2 --balance=parameters");
}

/* An input that is scaled where it is first read, behind other layers, is no layer to end a stage with. */
static void late_inputs(void)
{
    CU_ASSERT_EQUAL(
        run("mkdir -p late && printf 'inputs: {x: [40], z: {shape: [30], dtype: uint8, scale: 1/255}, y: [6]}"
            "\\nlayers: [dense: {name: a, units: 30}, concatenate: {inputs: [a, z]}, dense: 6]\\n"
            "losses: [mean_squared_error: {targets: y}]\\noptimizer: sgd\\n' >late/net.yaml"),
        0);
    text folder = {0};
    text_printf(&folder, "%s/late", directory);
    check_written(text_get(&folder), "net", "--stages=2");
    check_written(text_get(&folder), "net", "--stages=2 --balance=parameters");
    CU_ASSERT_EQUAL(run("%s summary late/net.yaml --partition --stages=2 >out", LAMINA_BINARY), 0);
    text_free(&folder);
}

/* The last layer computes nothing, and the stage goes through it all the same. */
static void silent_layer_ends(void)
{
    CU_ASSERT_EQUAL(
        run("mkdir -p silent && printf 'inputs: {x: [40], y: [6]}\\nlayers: [dense: 30, activation: linear, "
            "dense: 6, activation: linear]\\nlosses: [mean_squared_error: {targets: y}]\\noptimizer: sgd\\n' "
            ">silent/net.yaml"),
        0);
    text folder = {0};
    text_printf(&folder, "%s/silent", directory);
    check_written(text_get(&folder), "net", "--stages=2");
    CU_ASSERT_EQUAL(
        run("grep -q 'through: activation2}' b/net.yaml && "
            "sed -i 's/through: dense1/through: activation1/' b/net.yaml && %s compile b/net.yaml -o b/n.so",
            LAMINA_BINARY),
        0);
    text_free(&folder);
}

static void remarks_say_why(void)
{
    CU_ASSERT_EQUAL(run("%s partition %s/examples/fashion_mlp_deep.yaml --stages=2 --remarks >out 2>err && "
                        "grep -q 'remark: stage 1 of 2: .* of all time (.* ms); [1-9][0-9]* bytes leave it' err && "
                        "grep -q 'remark: stage 2 of 2: .* ; 0 bytes leave it' err; "
                        "grep -q 'remark: the next best cut is behind .*: its dearest stage has .* instead of' err",
                        LAMINA_BINARY, LAMINA_SOURCE_DIR),
                    0);
}

/* ---- lamina summary ---- */

static json_t *summary_of(const char *arguments)
{
    CU_ASSERT_EQUAL_FATAL(run("%s summary %s --json >out.json", LAMINA_BINARY, arguments), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/out.json", directory);
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(all);
    return all;
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    CU_ASSERT_TRUE(json_is_number(v));
    return json_number_value(v);
}

/* The layers of the example's network, counted by hand. */
static void layers_listed(void)
{
    static const struct {
        const char *name, *kind;
        double parameters, flop;
    } wanted[] = {{"conv1", "conv2d", 320, 28 * 28 * 32 * (2 * 9 + 3)},
                  {"max_pool1", "max_pool2d", 0, 14 * 14 * 32 * 4},
                  {"conv2", "conv2d", 18496, 14 * 14 * 64 * (2 * 9 * 32 + 3)},
                  {"max_pool2", "max_pool2d", 0, 7 * 7 * 64 * 4},
                  {"flatten1", "flatten", 0, 0},
                  {"dense1", "dense", 401536, 128 * (2 * 3136 + 3)},
                  {"logits", "dense", 1290, 10 * (2 * 128 + 1)}};
    json_t *all = summary_of(LAMINA_SOURCE_DIR "/examples/fashion_cnn.yaml"), *layer;
    size_t i;
    double flop = 0;
    CU_ASSERT_EQUAL_FATAL(json_array_size(json_object_get(all, "layers")), sizeof wanted / sizeof *wanted);
    json_array_foreach(json_object_get(all, "layers"), i, layer)
    {
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(layer, "name")), wanted[i].name);
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(layer, "kind")), wanted[i].kind);
        CU_ASSERT_EQUAL(number_of(layer, "parameters"), wanted[i].parameters);
        CU_ASSERT_EQUAL(number_of(layer, "flop"), wanted[i].flop);
        flop += wanted[i].flop;
    }
    CU_ASSERT_EQUAL(number_of(all, "parameters"), 421642);
    CU_ASSERT_EQUAL(number_of(all, "statistics"), 0);
    CU_ASSERT_EQUAL(number_of(all, "flop"), flop);
    CU_ASSERT_PTR_NULL(json_object_get(all, "stages"));
    json_decref(all);
}

/* What is not learned is counted apart. */
static void statistics_apart(void)
{
    json_t *all = summary_of(LAMINA_TESTS_DIR "/nets/cnn.yaml");
    const json_t *norm = json_array_get(json_object_get(all, "layers"), 1);
    CU_ASSERT_EQUAL(number_of(norm, "parameters"), 10);
    CU_ASSERT_EQUAL(number_of(norm, "statistics"), 10);
    CU_ASSERT_EQUAL(number_of(all, "statistics"), 10);
    json_decref(all);
}

/* Stages hold all layers, in order; of a chain of dense layers the value between two crosses, and its gradient. */
static void stages_listed(void)
{
    json_t *all = summary_of(LAMINA_SOURCE_DIR "/examples/fashion_cnn.yaml --partition --stages=2 --measure "
                                               "--seconds=0.01 --max-batch=16"),
           *stage;
    size_t i;
    double parameters = 0, flop = 0;
    const json_t *stages = json_object_get(all, "stages");
    CU_ASSERT_EQUAL_FATAL(json_array_size(stages), 2);
    json_array_foreach(json_object_get(all, "stages"), i, stage)
    {
        parameters += number_of(stage, "parameters");
        flop += number_of(stage, "flop");
        CU_ASSERT_TRUE(number_of(stage, "forward_us") > 0 && number_of(stage, "backward_us") > 0);
        CU_ASSERT_TRUE(number_of(stage, "update_us") > 0);
        CU_ASSERT_TRUE(number_of(stage, "step_us") > number_of(stage, "forward_us"));
        CU_ASSERT_TRUE(number_of(stage, "measured_us") >= number_of(stage, "measured_least_us"));
        CU_ASSERT_TRUE(number_of(stage, "measured_least_us") > 0);
        CU_ASSERT_TRUE(number_of(stage, "saved_bytes") > 0);
    }
    CU_ASSERT_EQUAL(parameters, number_of(all, "parameters"));
    CU_ASSERT_EQUAL(flop, number_of(all, "flop"));
    CU_ASSERT_EQUAL(number_of(all, "batch"), 16);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(stages, 0), "through")), "flatten1");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(stages, 1), "through")), "logits");
    CU_ASSERT_EQUAL(number_of(json_array_get(stages, 0), "boundary_bytes"), 2 * 16 * 4 * 3136);
    CU_ASSERT_EQUAL(number_of(json_array_get(stages, 1), "boundary_bytes"), 0);
    json_decref(all);
}

/* Without options the stages are the YAML's, else as many as are fastest. */
static void stages_by_default(void)
{
    json_t *all = summary_of(LAMINA_SOURCE_DIR "/examples/linear_two_stage.yaml --partition");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(all, "stages")), 2);
    json_decref(all);
    all = summary_of(LAMINA_SOURCE_DIR "/examples/fashion_cnn.yaml --partition --stages=auto --workers=1");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(all, "stages")), 1);
    json_decref(all);
    CU_ASSERT_EQUAL(
        run("%s summary %s/examples/fashion_cnn.yaml --partition --stages=3 --measure --seconds=0.01 >out && "
            "test $(grep -c '^stage[123] ' out) = 3 && grep -q '^conv2 .* 18496 ' out",
            LAMINA_BINARY, LAMINA_SOURCE_DIR),
        0);
}

void suite_summary(void);
void suite_summary(void)
{
    CU_pSuite s = CU_add_suite("summary", open_directory, remove_directory);
    CU_add_test(s, "sections of a file are replaced", sections_replaced);
    CU_add_test(s, "stages written out are those of --partition=auto", stages_written);
    CU_add_test(s, "an input that is read late", late_inputs);
    CU_add_test(s, "a stage ends with a layer that computes nothing", silent_layer_ends);
    CU_add_test(s, "remarks say why", remarks_say_why);
    CU_add_test(s, "layers", layers_listed);
    CU_add_test(s, "statistics", statistics_apart);
    CU_add_test(s, "stages", stages_listed);
    CU_add_test(s, "stages by default", stages_by_default);
}
