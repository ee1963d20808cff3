/* `lamina train` with `accumulate`, as a user runs it: several batches a step give the weights, to the byte, of one
 * batch that is as large and is computed in pieces. */
#include "runtime/lamina.h"
#include "tests/unit/train_runs.h"
#include <CUnit/CUnit.h>
#include <stdio.h>

/* A regression of 3686 records, and 410 to validate with: layers a, dropout and batch norm, b, c. */
static void write_net(const char *name, const char *optimizer, const char *train, const char *more)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.yaml", directory, name);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fprintf(f,
            "inputs: {x: [10], y: [1]}\n"
            "layers:\n"
            "  - dense: {name: a, units: 6, activation: tanh}\n"
            "  - batch_norm\n"
            "  - dropout: {name: d, rate: 0.1}\n"
            "  - dense: {name: b, units: 4, activation: tanh}\n"
            "  - dense: {name: c, units: 1}\n"
            "losses: [mean_squared_error]\n"
            "optimizer: %s\n"
            "data:\n"
            "  train: {format: idx, x: data/linear-train-x.idx, y: data/linear-train-y.idx}\n"
            "  validation: {split: 0.1}\n"
            "train: {seed: 4, %s}\n%s",
            optimizer, train, more);
    fclose(f);
}

/* Train NAME to NAME-whole, and to NAME-pieces with one batch of N0 in place of N of 10. Everything but times is equal
 * to the byte. */
static void check_as_one(const char *name)
{
    train_whole(name);
    CU_ASSERT_EQUAL(run("sed 's/batch: 10, accumulate: \\([0-9]*\\)/batch: \\10/' %s.yaml >large.yaml && "
                        "%s train large.yaml --out=%s-pieces --max-batch=10 --threads=1 >out 2>err",
                        name, LAMINA_BINARY, name),
                    0);
    CU_ASSERT_EQUAL(run("cmp %s-whole/weights.safetensors %s-pieces/weights.safetensors", name, name), 0);
    CU_ASSERT_EQUAL(run("for d in whole pieces; do sed 's/\"seconds\": [^,]*,//; s/\"large/\"%s/' %s-$d/log.jsonl "
                        ">$d.log; done; cmp whole.log pieces.log",
                        name, name),
                    0);
}

/* Batches of 10, 7 a step: 53 steps an epoch, the last one of 46 records in 5 batches. */
static void end_to_end(void)
{
    write_net("plain", "{sgd: {learning_rate: 0.05, momentum: 0.5}}", "batch: 10, accumulate: 7, epochs: 3", "");
    check_as_one("plain");
    check_pieces("plain", 50);
    CU_ASSERT_EQUAL(run("grep -q '\"epoch\": 3, \"steps\": 53, \"total_steps\": 159' plain-whole/log.jsonl"), 0);
    CU_ASSERT_EQUAL(run("sed 's/, accumulate: 7//' plain.yaml >alone.yaml && "
                        "%s train alone.yaml --out=alone --batch=70 >out 2>err && "
                        "%s train plain.yaml --out=asked --batch=70 >out 2>err",
                        LAMINA_BINARY, LAMINA_BINARY),
                    0);
    CU_ASSERT_NOT_EQUAL(run("cmp -s plain-whole/weights.safetensors alone/weights.safetensors"), 0);
    CU_ASSERT_EQUAL(run("grep -q '\"epoch\": 3, \"steps\": 8,' asked/log.jsonl"), 0);
}

static void clip_groups_schedule(void)
{
    write_net("rich", "{adam: {learning_rate: {cosine: {initial: 0.05, epochs: 3, warmup: {steps: 9}}}}}",
              "batch: 10, accumulate: 12, epochs: 4, gradient_clip: 0.5, averaging: {ema: {decay: 0.9, warmup: "
              "true}}, early_stopping: {patience: 2, restore_best: true}",
              "groups:\n  - {name: last, layers: [c], optimizer: {sgd: 0.02}}\n");
    check_as_one("rich");
    check_pieces("rich", 30);
}

/* More batches than there are: all records a step. */
static void all_records(void)
{
    write_net("all", "adam", "batch: 10, accumulate: 1000, epochs: 4", "");
    check_as_one("all");
    check_pieces("all", 1);
    CU_ASSERT_EQUAL(run("tail -n 1 all-whole/log.jsonl | grep -q '\"epoch\": 4, \"steps\": 1, \"total_steps\": 4'"), 0);
}

/* Each stage has its own, or the file's. */
static const char stages[] =
    "stages:\n"
    "  - {name: one, through: d, head: auto, train: {batch: 10, accumulate: 5}}\n"
    "  - {name: two, through: b, head: [{dense: 1}], optimizer: {sgd: 0.05}, train: {epochs: 2}}\n"
    "  - {name: three, through: c, train: {batch: 10, accumulate: 1}}\n"
    "combine: {method: learned, fine_tune: {epochs: 1, learning_rate: 0.001}}\n";

static void write_stages(const char *name, const char *schedule, const char *list)
{
    char more[1024];
    snprintf(more, sizeof more, "staging: {coupling: local, schedule: %s}\n%s", schedule, list);
    write_net(name, "adam", "batch: 10, accumulate: 9", more);
}

static void stages_in_turn(void)
{
    write_stages("sequential", "sequential", stages);
    write_stages("alternating", "alternating, rounds: 2", stages);
    check_as_one("sequential");
    check_pieces("sequential", 151);
    check_as_one("alternating");
    CU_ASSERT_EQUAL(run("for s in one:74 two:41 three:369 sequential:41; do grep '\"stage\": \"'${s%%:*}'\"' "
                        "sequential-whole/log.jsonl | grep -q '\"steps\": '${s#*:}, || exit; done"),
                    0);
}

static void stages_at_once(void)
{
    write_stages("simultaneous", "simultaneous",
                 "stages:\n"
                 "  - {name: one, through: d, head: auto}\n"
                 "  - {name: two, through: c, optimizer: {sgd: 0.05}}\n"
                 "combine: {fine_tune: {epochs: 1, learning_rate: 0.001}}\n");
    check_as_one("simultaneous");
    check_pieces("simultaneous", 33);
}

/* Another number is another run, end to end and of a stage alone; and so is another way to come to the same step. */
static void resumed_with_another(void)
{
    write_net("other", "adam", "batch: 10, accumulate: 7", "");
    CU_ASSERT_EQUAL(run("%s train other.yaml --out=other --max-steps=3 >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("sed -i 's/accumulate: 7/accumulate: 3/' other.yaml; "
                        "%s train other.yaml --out=other --resume >out 2>err",
                        LAMINA_BINARY),
                    3);
    CU_ASSERT_EQUAL(run("grep -q 'a checkpoint of another run: batch: expected 30, found 70' err"), 0);
    CU_ASSERT_EQUAL(run("sed -i 's/batch: 10, accumulate: 3/batch: 70/' other.yaml; "
                        "%s train other.yaml --out=other --resume >out 2>err",
                        LAMINA_BINARY),
                    3);
    CU_ASSERT_EQUAL(run("grep -q 'a checkpoint of another run: micro_batch: expected 70, found 10' err"), 0);
    write_stages("staged", "sequential", stages);
    CU_ASSERT_EQUAL(run("%s train staged.yaml --out=staged --max-steps=80 >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("sed -i 's/accumulate: 5/accumulate: 6/' staged.yaml; "
                        "%s train staged.yaml --out=staged --resume >out 2>err",
                        LAMINA_BINARY),
                    3);
    CU_ASSERT_EQUAL(run("grep -q 'a checkpoint of another run' err"), 0);
    CU_ASSERT_EQUAL(run("sed -i 's/batch: 10, accumulate: 6/batch: 50/' staged.yaml; "
                        "%s train staged.yaml --out=staged --resume >out 2>err",
                        LAMINA_BINARY),
                    3);
    CU_ASSERT_EQUAL(run("grep -q 'a checkpoint of another run' err"), 0);
}

/* What a program of its own learns with the library that `train` made. */
static lamina_status learn(const char *library, const char *weights, int64_t batch, lamina_error *e)
{
    lamina_library *l = NULL;
    lamina_model *m = NULL;
    lamina_dataset *d = NULL, *held = NULL;
    char x[256], y[256];
    snprintf(x, sizeof x, "%s/data/linear-train-x.idx", directory);
    snprintf(y, sizeof y, "%s/data/linear-train-y.idx", directory);
    lamina_status s = lamina_library_open(library, &l, e);
    const lamina_net *net = s ? NULL : lamina_library_net(l);
    if (!s && !(s = lamina_model_new(net, NULL, &m, e)) && !(s = lamina_initialize(m, 4, e)) &&
        !(s = lamina_dataset_new(net, &d, e)) && !(s = lamina_dataset_add_idx(d, "x", x, e)) &&
        !(s = lamina_dataset_add_idx(d, "y", y, e)) && !(s = lamina_dataset_split(d, 0.1, 4, &held, e))) {
        CU_ASSERT_EQUAL(net->max_batch, 10);
        const lamina_fit_options o = {.epochs = 2, .batch = batch, .seed = 4};
        s = lamina_fit(m, d, &o, NULL, e);
    }
    s = s ? s : lamina_save_weights(m, weights, e);
    lamina_dataset_free(held);
    lamina_dataset_free(d);
    lamina_model_free(m);
    lamina_library_free(l);
    return s;
}

static void as_a_program(void)
{
    lamina_error e = {0};
    char library[256], weights[256];
    write_net("program", "{sgd: {learning_rate: 0.05, momentum: 0.5}}", "batch: 10, accumulate: 7, epochs: 2", "");
    CU_ASSERT_EQUAL(run("%s train program.yaml --out=program >out 2>err", LAMINA_BINARY), 0);
    snprintf(library, sizeof library, "%s/program/program.so", directory);
    snprintf(weights, sizeof weights, "%s/own.safetensors", directory);
    CU_ASSERT_EQUAL(learn(library, weights, 70, &e), LAMINA_OK);
    CU_ASSERT_STRING_EQUAL(e.text, "");
    CU_ASSERT_EQUAL(run("cmp program/weights.safetensors own.safetensors"), 0);
    CU_ASSERT_EQUAL(learn(library, weights, 60, &e), LAMINA_OK);
    CU_ASSERT_NOT_EQUAL(run("cmp -s program/weights.safetensors own.safetensors"), 0);
}

/* Bench takes the steps that train takes. */
static void measured(void)
{
    write_net("bench", "adam", "batch: 10, accumulate: 7", "");
    CU_ASSERT_EQUAL(run("%s bench bench.yaml --data --epochs=1 --json >json 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("grep -q '\"steps\": 53' json && grep -q '\"step_examples\": 70' json && "
                        "grep -q '\"batch\": 10' json"),
                    0);
    CU_ASSERT_EQUAL(run("%s bench bench.yaml --data --batch=20 --seconds=0.001 >said 2>err && "
                        "grep -q '^3686 records, 27 steps of 140 an epoch' said",
                        LAMINA_BINARY),
                    0);
}

void suite_train_accumulate(void);
void suite_train_accumulate(void)
{
    CU_pSuite s = CU_add_suite("several batches a step", open_with_data, remove_directory);
    CU_add_test(s, "end to end, in pieces", end_to_end);
    CU_add_test(s, "with clipping, groups, a schedule", clip_groups_schedule);
    CU_add_test(s, "all records a step", all_records);
    CU_add_test(s, "stages in turn", stages_in_turn);
    CU_add_test(s, "stages at once", stages_at_once);
    CU_add_test(s, "resumed with another number", resumed_with_another);
    CU_add_test(s, "as a program of its own", as_a_program);
    CU_add_test(s, "measured", measured);
}
