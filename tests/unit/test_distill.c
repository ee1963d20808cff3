/* `lamina train` of a network that has a teacher, as a user runs it: values and classes, a whole network and a stage of
 * one, every way to keep what the teacher says, stopped and gone on with. What is compared is the weights file, to the
 * byte. */
#include "tests/unit/extent.h"
#include "tests/unit/train_runs.h"
#include <CUnit/CUnit.h>
#include <stdio.h>

/* inputs x and what a loss compares with, data, and what all nets of a kind have in common */
static const char of_values[] = "inputs: {x: [10], y: [1]}\n"
                                "optimizer: {adam: {learning_rate: 0.01}}\n"
                                "data:\n"
                                "  train: {format: idx, x: data/linear-train-x.idx, y: data/linear-train-y.idx}\n"
                                "  validation: {split: 0.2}\n"
                                "  test: {format: idx, x: data/linear-test-x.idx, y: data/linear-test-y.idx}\n"
                                "train: {epochs: 2, batch: 50, seed: 4}\n";
static const char of_classes[] = "inputs: {x: {shape: [28, 28], dtype: uint8, scale: 1/255},\n"
                                 "         y: {shape: [], dtype: int32}}\n"
                                 "optimizer: {adam: {learning_rate: 0.01}}\n"
                                 "metrics: [accuracy]\n"
                                 "data:\n"
                                 "  train: {format: idx, x: data/t10k-images-idx3-ubyte.gz,\n"
                                 "          y: data/t10k-labels-idx1-ubyte.gz}\n"
                                 "  test: {format: idx, x: data/t10k-images-idx3-ubyte.gz,\n"
                                 "         y: data/t10k-labels-idx1-ubyte.gz}\n"
                                 "train: {epochs: 1, batch: 250, seed: 4}\n";

static void write_net(const char *name, const char *kind, const char *rest)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.yaml", directory, name);
    FILE *f = fopen(path, "w");
    fprintf(f, "%s%s", kind, rest);
    fclose(f);
}

/* Train NAME.yaml to DIR. */
static bool trained(const char *name, const char *dir, const char *options)
{
    int code = run("%s train %s.yaml --out=%s %s >out 2>err", LAMINA_BINARY, name, dir, options);
    if (code)
        run("cat err >&2");
    return code == 0;
}

static void train(const char *name, const char *dir, const char *options)
{
    CU_ASSERT_TRUE(trained(name, dir, options));
}

/* The teachers, whose layers are called as the students' are, with dropout and batch statistics. */
static int open_with_teachers(void)
{
    if (open_directory() || run("mkdir data && cp %s/examples/data/* data", LAMINA_SOURCE_DIR))
        return 1;
    write_net("big", of_values,
              "layers:\n"
              "  - dense: {units: 20, activation: tanh}\n"
              "  - batch_norm: {momentum: 0.5}\n"
              "  - dropout: 0.2\n"
              "  - dense: {name: out, units: 1}\n"
              "losses: [mean_squared_error]\n");
    write_net(
        "wise", of_classes,
        "layers: [flatten, dense: {units: 24, activation: relu}, dropout: 0.1, dense: {name: logits, units: 10}]\n"
        "losses: [softmax_cross_entropy]\n");
    return trained("big", "big", "") && trained("wise", "wise", "") ? 0 : 1;
}

static const char small[] = "layers: [dense: {units: 3, activation: tanh}, dense: {name: out, units: 1}]\n"
                            "losses: [mean_squared_error]\n";

static void values(void)
{
    char net[1024];
    snprintf(net, sizeof net, "%steacher: {net: big.yaml, weights: big/weights.safetensors, weight: 0.8}\n", small);
    write_net("values", of_values, net);
    train_whole("values");
    check_pieces("values", extent_sanitized ? 40 : 25);
    CU_ASSERT_EQUAL(run("grep -q '\"stage\": *\"student\"' values-whole/log.jsonl"), 0);
    static const char *const caches[] = {"memory", "disk", "none"};
    for (int i = 0; i < 3; i++) {
        snprintf(net, sizeof net,
                 "%steacher: {net: big.yaml, weights: big/weights.safetensors, weight: 0.8, cache: %s}\n", small,
                 caches[i]);
        write_net("kept", of_values, net);
        train("kept", caches[i], "");
        CU_ASSERT_EQUAL(run("cmp values-whole/weights.safetensors %s/weights.safetensors", caches[i]), 0);
    }
}

/* What ships is the student alone, and what is said of it is what its own losses say. */
static void student_ships_alone(void)
{
    CU_ASSERT_EQUAL(run("%s eval values.yaml --weights=values-whole/weights.safetensors --json >said", LAMINA_BINARY),
                    0);
    write_net("alone", of_values, small);
    CU_ASSERT_EQUAL(run("%s eval alone.yaml --weights=values-whole/weights.safetensors --json >told && cmp said told",
                        LAMINA_BINARY),
                    0);
    CU_ASSERT_NOT_EQUAL(run("grep -q teacher values-whole/weights.safetensors"), 0);
    CU_ASSERT_EQUAL(run("%s inspect values-whole/values.so | grep -q teacher", LAMINA_BINARY), 1);
}

/* Of weight 0 a teacher changes nothing; of weight 1 the labels do not matter. */
static void weights(void)
{
    char net[1024];
    train("alone", "alone", "");
    snprintf(net, sizeof net, "%steacher: {net: big.yaml, weights: big/weights.safetensors, weight: 0}\n", small);
    write_net("deaf", of_values, net);
    train("deaf", "deaf", "");
    CU_ASSERT_EQUAL(run("cmp alone/weights.safetensors deaf/weights.safetensors"), 0);
    snprintf(net, sizeof net, "%steacher: {net: big.yaml, weights: big/weights.safetensors, weight: 1}\n", small);
    write_net("true", of_values, net);
    train("true", "true", "");
    CU_ASSERT_EQUAL(run("sed 's/^losses.*/losses: [mean_absolute_error]/' true.yaml >other.yaml"), 0);
    train("other", "other", "");
    CU_ASSERT_EQUAL(run("cmp true/weights.safetensors other/weights.safetensors"), 0);
}

static void classes(void)
{
    write_net("classes", of_classes,
              "layers: [flatten, dense: {units: 6, activation: relu}, dense: {name: logits, units: 10}]\n"
              "losses: [softmax_cross_entropy: {label_smoothing: 0.1}]\n"
              "teacher: {net: wise.yaml, weights: wise/weights.safetensors, temperature: 3, weight: 0.6}\n");
    train_whole("classes");
    check_pieces("classes", 15);
}

/* A stage in the middle of others is taught, one after the other and at once; a file may teach itself anew. */
static void stages(void)
{
    static const char *const schedules[] = {"sequential", "simultaneous"};
    char net[2048];
    for (int i = 0; i < 2; i++) {
        snprintf(net, sizeof net,
                 "layers:\n"
                 "  - flatten\n"
                 "  - dense: {name: a, units: 8, activation: relu}\n"
                 "  - dense: {name: b, units: 8, activation: relu}\n"
                 "  - dense: {name: c, units: 10}\n"
                 "losses: [softmax_cross_entropy]\n"
                 "staging: {coupling: local, schedule: %s}\n"
                 "stages:\n"
                 "  - {name: first, through: a, head: auto,\n"
                 "     teacher: {net: wise.yaml, weights: wise/weights.safetensors, temperature: 2}}\n"
                 "  - {name: middle, through: b, losses: [mean_absolute_error: {targets: a}], optimizer: sgd}\n"
                 "  - {name: last, through: c, teacher: {net: wise.yaml, weights: wise/weights.safetensors}}\n"
                 "combine: average\n",
                 schedules[i]);
        write_net(schedules[i], of_classes, net);
        train_whole(schedules[i]);
        check_pieces(schedules[i], i ? 15 : 30);
    }
    CU_ASSERT_EQUAL(
        run("(cat wise.yaml; echo 'teacher: {net: again.yaml, weights: wise/weights.safetensors}') >again.yaml"), 0);
    train("again", "again", "--max-steps=3");
}

void suite_distill(void);
void suite_distill(void)
{
    CU_pSuite s = CU_add_suite("distillation", open_with_teachers, remove_directory);
    CU_add_test(s, "a teacher of values, whole and in pieces, each cache", values);
    CU_add_test(s, "the student ships alone", student_ships_alone);
    CU_add_test(s, "weights of 0 and 1", weights);
    CU_add_test(s, "a teacher of classes", classes);
    CU_add_test(s, "stages that are taught", stages);
}
