/* `lamina train` with what a run has besides a fixed rate, as a user runs it: whole and in pieces, whose weights files
 * and logs are equal to the byte but for the times. */
#include "tests/unit/extent.h"
#include "tests/unit/train_runs.h"
#include <CUnit/CUnit.h>
#include <stdio.h>

/* A regression of 3686 records, which take 74 steps an epoch, and 410 to validate with. */
static void write_net(const char *name, const char *rate, const char *train, const char *more)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.yaml", directory, name);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fprintf(f,
            "inputs: {x: [10], y: [1]}\n"
            "layers:\n"
            "  - dense: {name: a, units: 6, activation: tanh}\n"
            "  - dense: {name: b, units: 1}\n"
            "losses: [mean_squared_error]\n"
            "optimizer: {adam: {learning_rate: %s}}\n"
            "data:\n"
            "  train: {format: idx, x: data/linear-train-x.idx, y: data/linear-train-y.idx}\n"
            "  validation: {split: 0.1}\n"
            "train: {batch: 50, seed: 4%s}\n%s",
            rate, train, more);
    fclose(f);
}

static void schedules(void)
{
    write_net("cosine", "{cosine: {initial: 0.05, epochs: 3, final: 0.001, warmup: {epochs: 0.5}}}", ", epochs: 4", "");
    train_whole("cosine");
    check_pieces("cosine", 50);
    CU_ASSERT_EQUAL(run("grep -q '\"learning_rate\": 0.001,' cosine-whole/log.jsonl"), 0);
    write_net("fixed", "0.05", ", epochs: 4", "");
    CU_ASSERT_EQUAL(run("%s train fixed.yaml --out=fixed >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_NOT_EQUAL(run("cmp -s fixed/weights.safetensors cosine-whole/weights.safetensors"), 0);
    /* A rate may change between runs, and so may a schedule. */
    write_net("fixed", "{cosine: {initial: 0.05, epochs: 3, final: 0.001}}", ", epochs: 4", "");
    CU_ASSERT_EQUAL(run("%s train fixed.yaml --out=fixed --resume --epochs=5 >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("tail -n 1 fixed/log.jsonl | grep -q '\"epoch\": 5.*\"learning_rate\": 0.001,'"), 0);
}

/* Each stage, and fine-tuning, has a schedule of its own. */
static void schedules_of_stages(void)
{
    write_net("stages", "0.01", ", epochs: 2",
              "staging: {coupling: local, schedule: alternating, rounds: 2}\n"
              "stages:\n"
              "  - {name: one, through: a, head: auto, optimizer: {adam: {one_cycle: {maximum: 0.02, epochs: 4}}}}\n"
              "  - {name: two, through: b, optimizer: {sgd: {step: {initial: 0.05, epochs: 1, gamma: 0.5}}}}\n"
              "combine: {fine_tune: {epochs: 2, learning_rate: {polynomial: {initial: 0.001, epochs: 2}}}}\n");
    train_whole("stages");
    check_pieces("stages", 67);
    CU_ASSERT_EQUAL(run("grep '\"stage\": \"two\"' stages-whole/log.jsonl | grep -o '\"learning_rate\": [^,]*' >rates; "
                        "printf '\"learning_rate\": %%s\\n' 0.05 0.025 0.0125 0.00625 | cmp - rates"),
                    0);
    CU_ASSERT_EQUAL(run("grep '\"stage\": \"stages\"' stages-whole/log.jsonl | tail -n 1 | "
                        "grep -q '\"learning_rate\": 6.7567'"),
                    0);
}

/* Rates so high that the loss is restless. */
static void early_stopping(void)
{
    write_net("best", "0.3", ", epochs: 30, early_stopping: {patience: 3, restore_best: true}", "");
    train_whole("best");
    check_pieces("best", 113);
    CU_ASSERT_EQUAL(
        run("test $(wc -l <best-whole/log.jsonl) -lt 30 && "
            "tail -n 1 best-whole/log.jsonl | grep -q '\"stopped\": \"validation.loss has not improved for 3'"),
        0);
    CU_ASSERT_EQUAL(
        run("%s train best.yaml --out=told >out && grep -q '^stopped early: validation.loss' out", LAMINA_BINARY), 0);
    write_net("best", "0.3", ", epochs: 30, early_stopping: {patience: 3}", "");
    CU_ASSERT_EQUAL(run("%s train best.yaml --out=last >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_NOT_EQUAL(run("cmp -s last/weights.safetensors best-whole/weights.safetensors"), 0);
    CU_ASSERT_EQUAL(run("cut -d, -f1-4 <last/log.jsonl >a && cut -d, -f1-4 <best-whole/log.jsonl | cmp - a"), 0);
}

static void plateaus(void)
{
    write_net("plateau", "{cosine: {initial: 0.3, epochs: 20}}",
              ", epochs: 8, reduce_on_plateau: {monitor: train.loss, patience: 1, factor: 0.3, minimum: 0.001}", "");
    train_whole("plateau");
    check_pieces("plateau", 97);
    CU_ASSERT_EQUAL(run("grep -q '\"reduced_to\": 0.0' plateau-whole/log.jsonl"), 0);
    CU_ASSERT_EQUAL(
        run("%s train plateau.yaml --out=told-too >out && grep -q '^learning rate reduced to 0.0' out", LAMINA_BINARY),
        0);
}

/* What stages watch is each one's own. */
static void stages_that_watch(void)
{
    write_net("watching", "0.3", ", epochs: 7, early_stopping: {patience: 2, restore_best: true}",
              "staging: {coupling: local, schedule: alternating, rounds: 2}\n"
              "stages:\n"
              "  - {name: one, through: a, head: auto, train: {reduce_on_plateau: {patience: 1, min_delta: 0.01}}}\n"
              "  - {name: two, through: b, optimizer: {sgd: 0.05}, train: {early_stopping: {monitor: train.loss, "
              "patience: 1, min_delta: 0.02}}}\n"
              "combine: {fine_tune: {epochs: 9, learning_rate: 0.2}}\n");
    train_whole("watching");
    check_pieces("watching", 131);
    CU_ASSERT_EQUAL(run("for s in one two watching; do grep '\"stopped\"' watching-whole/log.jsonl | "
                        "grep -q '\"stage\": \"'$s'\"' || exit; done"),
                    0);
}

/* What --set says is as if the file said it, and a run that goes on need not be told again. */
static void changed(void)
{
    write_net("changed", "0.02", ", epochs: 2, accumulate: 2", "");
    train_whole("changed");
    write_net("changed", "0.5", ", epochs: 9", "");
    CU_ASSERT_EQUAL(run("%s train changed.yaml --out=changed --max-steps=30 --set train.epochs=2 --set "
                        "train.accumulate=2 --set optimizer.adam.learning_rate=0.02 >out 2>err",
                        LAMINA_BINARY),
                    0);
    CU_ASSERT_EQUAL(run("%s train changed.yaml --out=changed --resume >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("cmp changed/weights.safetensors changed-whole/weights.safetensors"), 0);
    CU_ASSERT_EQUAL(run("%s train changed.yaml --out=changed --resume --set train.epochs=3 >out 2>err", LAMINA_BINARY),
                    0);
    CU_ASSERT_EQUAL(run("test $(wc -l <changed/log.jsonl) -eq 3 && test $(wc -l <changed/set.txt) -eq 4"), 0);
}

/* A dry run does everything, of stages too, and leaves nothing; what is wrong it finds. */
static void dry_runs(void)
{
    write_net("dry", "0.02", ", epochs: 900000, early_stopping: {patience: 3, restore_best: true}", "");
    CU_ASSERT_EQUAL(run("mkdir tmp && TMPDIR=$PWD/tmp %s train dry.yaml --dry-run >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("grep -q '^900000 epochs of 74 steps, 3686 records: ' out"), 0);
    CU_ASSERT_EQUAL(run("grep -q '^dry run: all is well; the whole would take about ' out"), 0);
    write_net("dry", "0.02", ", epochs: 900000",
              "staging: {coupling: local, schedule: alternating, rounds: 3}\n"
              "stages: [{name: one, through: a, head: auto}, {name: two, through: b, train: {epochs: 5}}]\n"
              "combine: {fine_tune: 2}\n");
    CU_ASSERT_EQUAL(run("TMPDIR=$PWD/tmp %s train dry.yaml --dry-run >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(
        run("grep -q '^one: 2700000 epochs' out && grep -q '^two: 15 epochs' out && grep -q '^dry: 2 ' out"), 0);
    CU_ASSERT_EQUAL(run("rmdir tmp && test ! -e runs"), 0);
}

/* Of a few records the loss goes to nearly 0, or the run fails. */
static void overfitting(void)
{
    write_net("few", "0.02", ", epochs: 2", "");
    CU_ASSERT_EQUAL(run("%s train few.yaml --overfit=5 >out 2>err && grep -q 'it learned them$' out", LAMINA_BINARY),
                    0);
    CU_ASSERT_EQUAL(run("test $(wc -l <runs/few_overfit/log.jsonl) -eq 300"), 0);
    CU_ASSERT_EQUAL(run("%s train few.yaml --overfit=5 --overwrite --epochs=1 >out 2>err", LAMINA_BINARY), 1);
    CU_ASSERT_EQUAL(run("grep -q 'of 5 records at the end: it did not learn them$' out"), 0);
    CU_ASSERT_EQUAL(run("%s train few.yaml --overfit=5 --resume >out 2>err", LAMINA_BINARY), 0);
}

/* Checkpoints of the newest epochs, from each of which a run goes on to the same bits, and the best weights. */
static void kept(void)
{
    write_net("kept", "0.3", ", epochs: 6, keep: 2, keep_best: true", "");
    train_whole("kept");
    CU_ASSERT_EQUAL(run("test \"$(ls kept-whole/checkpoint | xargs)\" = "
                        "'epoch-5.safetensors epoch-6.safetensors last.safetensors'"),
                    0);
    CU_ASSERT_EQUAL(run("cp kept-whole/best.safetensors best.safetensors"), 0);
    check_pieces("kept", 100);
    CU_ASSERT_EQUAL(run("cmp best.safetensors kept-parts/best.safetensors"), 0);
    CU_ASSERT_EQUAL(run("cd kept-whole && cp checkpoint/epoch-5.safetensors checkpoint/last.safetensors && cp "
                        "weights.safetensors ../w && cd .. && %s train kept.yaml --out=kept-whole --resume >out && cmp "
                        "w kept-whole/weights.safetensors",
                        LAMINA_BINARY),
                    0);
    write_net("kept", "0.3", ", epochs: 6, early_stopping: {patience: 6, restore_best: true}", "");
    CU_ASSERT_EQUAL(run("%s train kept.yaml --out=restored >out && %s eval kept.yaml --set=validation "
                        "--weights=restored/weights.safetensors >a && %s eval kept.yaml --set=validation "
                        "--weights=best.safetensors | cmp - a",
                        LAMINA_BINARY, LAMINA_BINARY, LAMINA_BINARY),
                    0);
}

/* Which of sixty layers makes the first number that is none, forward, backward or in its update. */
static void diagnosed(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/deep.yaml", directory);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fprintf(f, "inputs: {x: [10], y: [1]}\nlayers:\n");
    for (int i = 1; i <= 60; i++)
        fprintf(f, "  - dense: {units: 8, activation: %s}\n", i == 37 ? "exponential" : "relu");
    fprintf(f, "  - dense: 1\nlosses: [mean_squared_error]\noptimizer: {sgd: 0.5}\ndata:\n"
               "  train: {format: idx, x: data/linear-train-x.idx, y: data/linear-train-y.idx}\n");
    fclose(f);
    CU_ASSERT_EQUAL(
        run("%s train deep.yaml --overwrite --set layers.36.bias_initializer.constant.value=3000 >out 2>err",
            LAMINA_BINARY),
        1);
    CU_ASSERT_EQUAL(run("grep -q \"^deep.yaml:39:5: note: step 1: first in 'dense37', forward: exponential makes inf\" "
                        "err"),
                    0);
    write_net("hot", "1e38", "", "");
    CU_ASSERT_EQUAL(run("%s train hot.yaml >out 2>err", LAMINA_BINARY), 1);
    CU_ASSERT_EQUAL(run("grep -q \"note: step [12]: first in '[ab]', [a-z_]*: [a-z_]* makes .* of numbers up to\" err"),
                    0);
}

/* Killed at any moment, a run goes on from at most so many steps before. */
static void killed_and_resumed(void)
{
    const int kills = extent_sanitized ? 3 : 8;
    write_net("killed", "{step: {initial: 0.2, epochs: 3}}",
              ", epochs: 60, checkpoint_steps: 5, early_stopping: {patience: 50, restore_best: true}, "
              "reduce_on_plateau: 2",
              "");
    CU_ASSERT_EQUAL(run("%s train killed.yaml --out=calm >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("%s train killed.yaml --out=killed --max-steps=1 >out 2>err", LAMINA_BINARY), 0);
    for (int i = 0; i < kills; i++)
        run("timeout -s KILL 0.%d %s train killed.yaml --out=killed --resume >out 2>err", 2 + i, LAMINA_BINARY);
    CU_ASSERT_EQUAL(run("%s train killed.yaml --out=killed --resume >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("cmp calm/weights.safetensors killed/weights.safetensors"), 0);
}

void suite_training(void);
void suite_training(void)
{
    CU_pSuite s = CU_add_suite("training", open_with_data, remove_directory);
    CU_add_test(s, "schedules, whole and in pieces", schedules);
    CU_add_test(s, "schedules of stages", schedules_of_stages);
    CU_add_test(s, "early stopping", early_stopping);
    CU_add_test(s, "plateaus", plateaus);
    CU_add_test(s, "stages that watch", stages_that_watch);
    CU_add_test(s, "changed on the command line", changed);
    CU_add_test(s, "dry runs", dry_runs);
    CU_add_test(s, "overfitting", overfitting);
    CU_add_test(s, "checkpoints of epochs and the best weights", kept);
    CU_add_test(s, "where a number came from that is none", diagnosed);
    CU_add_test(s, "killed and resumed", killed_and_resumed);
}
