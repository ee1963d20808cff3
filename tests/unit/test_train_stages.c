/* `lamina train` of networks whose stages learn on their own, as a user runs it: every schedule, every way to keep what
 * flows between stages, stopped and gone on with, from weights of another run. What is compared is the weights file, to
 * the byte. */
#include "tests/unit/extent.h"
#include "tests/unit/train_runs.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A network NAME.yaml with this staging and these stages. */
static void write_net(const char *name, const char *staging, const char *stages)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.yaml", directory, name);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fprintf(f,
            "inputs: {x: [10], y: [1]}\n"
            "layers:\n"
            "  - dense: {name: a, units: 5, activation: tanh}\n"
            "  - dense: {name: b, units: 4, activation: tanh}\n"
            "  - dense: {name: c, units: 1}\n"
            "losses: [mean_squared_error]\n"
            "optimizer: {adam: {learning_rate: 0.01}}\n"
            "data:\n"
            "  train: {format: idx, x: data/linear-train-x.idx, y: data/linear-train-y.idx}\n"
            "  validation: {split: 0.2}\n"
            "  test: {format: idx, x: data/linear-test-x.idx, y: data/linear-test-y.idx}\n"
            "train: {epochs: 2, batch: 50, seed: 4}\n"
            "staging: {coupling: local%s}\n%s",
            staging, stages);
    fclose(f);
}

static const char stages[] =
    "stages:\n"
    "  - {name: one, through: a, head: auto}\n"
    "  - {name: two, through: b, head: [{dense: 1}], optimizer: {sgd: 0.05}, train: {epochs: 3}}\n"
    "  - {name: three, through: c}\n"
    "combine: {method: learned, fine_tune: {epochs: 1, learning_rate: 0.001}}\n";

/* All stages of a simultaneous run take the same steps. */
static const char together[] = "stages:\n"
                               "  - {name: one, through: a, head: auto}\n"
                               "  - {name: two, through: b, head: [{dense: 1}], optimizer: {sgd: 0.05}}\n"
                               "  - {name: three, through: c}\n"
                               "combine: {method: learned, fine_tune: {epochs: 1, learning_rate: 0.001}}\n";

static void schedules(void)
{
    write_net("sequential", "", stages);
    write_net("alternating", ", schedule: alternating, rounds: 2", stages);
    write_net("simultaneous", ", schedule: simultaneous", together);
    /* Each piece compiles all nets anew, which takes long under sanitizers. */
    const int longer = extent_sanitized ? 2 : 1;
    train_whole("sequential");
    check_pieces("sequential", 97 * longer);
    train_whole("alternating");
    check_pieces("alternating", 151 * longer);
    train_whole("simultaneous");
    check_pieces("simultaneous", 61 * longer);
    CU_ASSERT_NOT_EQUAL(run("cmp -s sequential-whole/weights.safetensors alternating-whole/weights.safetensors"), 0);
}

/* A stage that is a file with two stages, one of them with data of the file's own, in a network without losses of its
 * own. */
static void files(void)
{
    write_yaml("inner", "inputs: {x: [10], y: [1]}\n"
                        "layers:\n"
                        "  - dense: {name: a, units: 6, activation: tanh}\n"
                        "  - batch_norm: {name: code}\n"
                        "  - dense: {name: guess, units: 1}\n"
                        "losses: [mean_squared_error]\n"
                        "optimizer: {adam: {learning_rate: 0.01}}\n"
                        "data: {train: {format: idx, x: data/linear-test-x.idx, y: data/linear-test-y.idx}}\n"
                        "train: {epochs: 3, batch: 40}\n"
                        "staging: {coupling: local}\n"
                        "stages: [{name: low, through: a, head: auto}, {name: high, through: guess}]\n");
    write_yaml("outer", "inputs: {u: [10], y: [1]}\n"
                        "layers: [{dense: {name: end, units: 2}}]\n"
                        "data: {train: {format: idx, u: data/linear-train-x.idx, y: data/linear-train-y.idx}}\n"
                        "train: {epochs: 2, batch: 50, seed: 4}\n"
                        "staging: {coupling: local}\n"
                        "stages:\n"
                        "  - {name: inner, net: inner.yaml, output: code, inputs: {x: u}}\n"
                        "  - {name: end, through: end, head: [{dense: 1}], losses: [mean_squared_error],\n"
                        "     optimizer: {sgd: 0.01}}\n");
    train_whole("outer");
    check_pieces("outer", 61);
    CU_ASSERT_EQUAL(run("test $(grep -c '\"stage\": \"inner_low\".*\"examples\": 512,' outer-whole/log.jsonl) = 3"), 0);
    CU_ASSERT_EQUAL(run("test $(grep -c '\"stage\": \"end\"' outer-whole/log.jsonl) = 2"), 0);
}

/* A file that was trained by itself gives its weights to the stage that it is; names there lack the stage's. */
static void weights_of_files(void)
{
    CU_ASSERT_EQUAL(run("sed 's/net: inner.yaml/weights: alone\\/weights.safetensors, frozen: true, &/' outer.yaml "
                        ">kept.yaml && grep -q frozen kept.yaml"),
                    0);
    CU_ASSERT_EQUAL(run("%s train inner.yaml --out=alone >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("%s train kept.yaml --out=kept_file >out 2>err && ! test -s err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("! grep -q inner_ kept_file/log.jsonl && grep -q end kept_file/log.jsonl"), 0);
}

/* Where boundary values are kept makes no difference. */
static void caches(void)
{
    static const char *const all[] = {"memory", "disk", "none"};
    for (int i = 0; i < 3; i++) {
        char staging[64];
        snprintf(staging, sizeof staging, ", cache: %s", all[i]);
        write_net("net", staging, stages);
        CU_ASSERT_EQUAL(run("%s train net.yaml --out=%s >out 2>err", LAMINA_BINARY, all[i]), 0);
        CU_ASSERT_EQUAL(run("cmp sequential-whole/weights.safetensors %s/weights.safetensors", all[i]), 0);
    }
}

/* ---- where the whole stands, and each stage ---- */

/* A number from line 'line' of a run's log: the first one behind the words. */
static double logged(const char *name, const char *line, const char *words)
{
    char path[128];
    double value = -1;
    CU_ASSERT_EQUAL(run("sed -n '%s{s/.*%s: \\([-0-9.e]*\\).*/\\1/p}' %s/log.jsonl >value", line, words, name), 0);
    snprintf(path, sizeof path, "%s/value", directory);
    FILE *f = fopen(path, "r");
    CU_ASSERT_TRUE(f && fscanf(f, "%lf", &value) == 1);
    if (f)
        fclose(f);
    return value;
}

static void train_combined(const char *name, const char *schedule, const char *combine)
{
    char content[512];
    snprintf(content, sizeof content,
             "stages:\n"
             "  - {name: one, through: a, head: auto}\n"
             "  - {name: two, through: b, head: auto}\n"
             "  - {name: three, through: c}\n"
             "combine: %s\n",
             combine);
    write_net(name, schedule, content);
    CU_ASSERT_EQUAL(run("%s train %s.yaml --out=%s >out 2>err", LAMINA_BINARY, name, name), 0);
}

#define WHOLE "\"whole\": {\"loss\""
#define OWN(stage) "\"" stage "\": {\"loss\""
#define CONTRIBUTION(stage) "\"" stage "\": {[^}]*\"contribution\""

/* Without a stage the whole is that of a file that does not combine its answer; up to one, that of a file that combines
 * no later one. */
static void scores(void)
{
    const double close = 1e-6;
    train_combined("mean", "", "average");
    train_combined("late", "", "{method: average, heads: [two, three]}");
    train_combined("early", "", "{method: average, heads: [one, two]}");
    CU_ASSERT_EQUAL(run("grep -c '\"whole\"' mean/log.jsonl | grep -qx 4"), 0); /* two epochs of the last two stages */
    double whole = logged("mean", "6", WHOLE);
    CU_ASSERT_DOUBLE_EQUAL(whole + logged("mean", "6", CONTRIBUTION("one")), logged("late", "6", WHOLE), close);
    CU_ASSERT_DOUBLE_EQUAL(whole + logged("mean", "6", CONTRIBUTION("three")), logged("early", "6", WHOLE), close);
    CU_ASSERT_DOUBLE_EQUAL(logged("mean", "4", WHOLE), logged("early", "6", WHOLE), close);
    CU_ASSERT_EQUAL(logged("mean", "4", OWN("two")), logged("mean", "4", "\"validation\": {\"loss\""));
    CU_ASSERT_EQUAL(logged("mean", "6", OWN("two")), logged("mean", "4", OWN("two")));
    CU_ASSERT_EQUAL(run("grep -q '^  so far whole: loss' out && grep -q '^  two: loss .* %% of the loss, ' out"), 0);
    /* alternating: an earlier stage's score changes in the second round */
    train_combined("rounds", ", schedule: alternating, rounds: 2", "average");
    CU_ASSERT_NOT_EQUAL(logged("rounds", "6", OWN("two")), logged("rounds", "7", OWN("two")));
    /* simultaneous: the same form, and the sum of the stages' losses is the step's */
    train_combined("once", ", schedule: simultaneous", "average");
    CU_ASSERT_DOUBLE_EQUAL(logged("once", "2", OWN("one")) + logged("once", "2", OWN("two")) +
                               logged("once", "2", OWN("three")),
                           logged("once", "2", "\"validation\": {\"loss\""), close);
    CU_ASSERT_TRUE(logged("once", "2", CONTRIBUTION("one")) != 0);
    /* learned: its own line is the whole's; last: the whole is the last stage */
    train_combined("stacked", "", "learned");
    CU_ASSERT_EQUAL(logged("stacked", "8", WHOLE), logged("stacked", "8", "\"validation\": {\"loss\""));
    CU_ASSERT_DOUBLE_EQUAL(logged("stacked", "6", WHOLE), logged("mean", "6", WHOLE),
                           close); /* it begins as the mean */
    train_combined("last", "", "last");
    CU_ASSERT_EQUAL(logged("last", "6", WHOLE), logged("last", "6", "\"validation\": {\"loss\""));
}

/* A stage that begins with what another run learned and is frozen keeps it. */
static void transfer(void)
{
    static const char frozen[] =
        "stages:\n"
        "  - {name: one, through: b, weights: sequential-whole/weights.safetensors, frozen: true}\n"
        "  - {name: two, through: c}\n";
    write_net("transfer", "", frozen);
    CU_ASSERT_EQUAL(run("%s train transfer.yaml --out=transfer >out 2>err", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("grep -q '^stage two (2 of 2)' out && ! grep -q '^stage one' out"), 0);
    write_net("missing", "",
              "stages:\n"
              "  - {name: one, through: b, frozen: true, weights: nothing.safetensors}\n"
              "  - {name: two, through: c}\n");
    CU_ASSERT_EQUAL(run("%s train missing.yaml >out 2>err", LAMINA_BINARY), 3);
    CU_ASSERT_EQUAL(run("grep -q 'nothing.safetensors' err"), 0);
}

static const char normalized[] = "inputs: {x: [10], y: [1]}\n"
                                 "layers:\n"
                                 "  - dense: {name: a, units: 5}\n"
                                 "  - batch_norm: {name: norm, momentum: 0.9}\n"
                                 "  - activation: {name: h, activation: tanh}\n"
                                 "  - dense: {name: c, units: 1}\n"
                                 "losses: [mean_squared_error]\n"
                                 "optimizer: {adam: {learning_rate: 0.01}}\n"
                                 "data:\n"
                                 "  train: {format: idx, x: data/linear-train-x.idx, y: data/linear-train-y.idx}\n"
                                 "  test: {format: idx, x: data/linear-test-x.idx, y: data/linear-test-y.idx}\n"
                                 "train: {epochs: 2, batch: 50, seed: 4}\n";

/* Train it with these stages, and let the test data tell of the weights file what they told of the trained network. */
static void check_evaluated(const char *name, const char *staging)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.yaml", directory, name);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fprintf(f, "%s%s", normalized, staging);
    fclose(f);
    CU_ASSERT_EQUAL(run("%s train %s.yaml --out=%s --json >out 2>err && grep '^test' err >trained && test -s trained",
                        LAMINA_BINARY, name, name),
                    0);
    CU_ASSERT_EQUAL(run("%s eval %s.yaml --weights=%s/weights.safetensors >evaluated 2>err && ! test -s err && "
                        "cmp trained evaluated",
                        LAMINA_BINARY, name, name),
                    0);
}

/* Running statistics reach the weights file of the whole, and a frozen stage from there. */
static void statistics(void)
{
    check_evaluated("one_piece", "");
    CU_ASSERT_EQUAL(run("for w in weights checkpoint/last; do %s eval one_piece.yaml --json "
                        "--weights=one_piece/$w.safetensors >>both || exit; done; test $(uniq both | wc -l) = 1",
                        LAMINA_BINARY),
                    0);
    check_evaluated("two_stages", "staging: {coupling: local}\n"
                                  "stages:\n"
                                  "  - {name: one, through: h, head: auto}\n"
                                  "  - {name: two, through: c}\n");
    check_evaluated("together", "staging: {coupling: local, schedule: simultaneous}\n"
                                "stages:\n"
                                "  - {name: one, through: h, head: auto}\n"
                                "  - {name: two, through: c}\n");
    check_evaluated("kept", "staging: {coupling: local}\n"
                            "stages:\n"
                            "  - {name: one, through: h, frozen: true, weights: one_piece/weights.safetensors}\n"
                            "  - {name: two, through: c}\n");
}

/* ---- kill -9 ---- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Train 'name' to killed/, or go on with it. What stands in 'then' follows the command. */
static int train_or_resume(const char *name, const char *then)
{
    return run("mode=; [ -e killed/checkpoint/last.safetensors ] && mode=--resume; "
               "%s train %s.yaml --out=killed --threads=%d $mode >out 2>err %s",
               LAMINA_BINARY, name, 1 + rand() % 2, then);
}

/* Killed after so many seconds: 137, or what it ended with before. */
static int train_and_kill(const char *name, double seconds)
{
    char then[96];
    snprintf(then, sizeof then, "& p=$!; sleep %.3f; { kill -KILL $p; wait $p; } 2>/dev/null", seconds);
    return train_or_resume(name, then);
}

/* Killed at random moments, and resumed, until it ends: the bytes of weights and log of a run that nobody disturbed.
 * Returns how many kills there were; at most 'most'. */
static int kill_until_done(const char *name, double seconds, int most)
{
    int kills = 0, code = 0;
    CU_ASSERT_EQUAL(run("rm -rf killed"), 0);
    while (kills < most && (code = train_and_kill(name, seconds * (rand() % 1000) / 1000)) == 137)
        kills++;
    CU_ASSERT_TRUE(kills == most || code == 0);
    CU_ASSERT_TRUE(kills < most || train_or_resume(name, "") == 0);
    CU_ASSERT_EQUAL(run("cmp calm/weights.safetensors killed/weights.safetensors && "
                        "for i in calm killed; do sed 's/\"seconds\": [^,]*, //' $i/log.jsonl >$i.log; done; "
                        "cmp calm.log killed.log && test -s calm.log && test -z \"$(find killed -name '*.tmp')\""),
                    0);
    return kills;
}

/* A run that saves after each step, killed 'most' times in all. */
static void check_killed(const char *schedule, const char *cache, const char *how, int most)
{
    char staging[96];
    snprintf(staging, sizeof staging, ", schedule: %s%s%s", schedule, cache ? ", cache: " : "", cache ? cache : "");
    write_net("kills", staging, how);
    CU_ASSERT_EQUAL(run("sed -i 's#seed: 4#seed: 4, checkpoint_minutes: 1/6000000#' kills.yaml && rm -rf calm"), 0);
    double begin = now();
    CU_ASSERT_EQUAL(run("%s train kills.yaml --out=calm >out 2>err", LAMINA_BINARY), 0);
    double seconds = now() - begin;
    for (int kills = 0, runs = 0; kills < most && runs < most; runs++)
        kills += kill_until_done("kills", seconds, most - kills);
}

static void killed(void)
{
    static const char *const caches_of_stages[] = {"memory", "disk", "none"};
    const int most = extent_full() ? 20 : extent_sanitized ? 1 : 3;
    srand(11);
    for (int i = 0; i < 3; i++) {
        if (extent_full() || i == 1)
            check_killed("sequential", caches_of_stages[i], stages, most);
        if (!extent_sanitized && (extent_full() || i == 2))
            check_killed("alternating, rounds: 2", caches_of_stages[i], stages, most);
    }
    if (!extent_sanitized)
        check_killed("simultaneous", NULL, together, most);
}

void suite_train_stages(void);
void suite_train_stages(void)
{
    CU_pSuite s = CU_add_suite("training of stages", open_with_data, remove_directory);
    CU_add_test(s, "each schedule, whole and in pieces", schedules);
    CU_add_test(s, "files with stages", files);
    CU_add_test(s, "weights of files with stages", weights_of_files);
    CU_add_test(s, "each cache", caches);
    CU_add_test(s, "killed and resumed", killed);
    CU_add_test(s, "scores", scores);
    CU_add_test(s, "transfer", transfer);
    CU_add_test(s, "running statistics", statistics);
}
