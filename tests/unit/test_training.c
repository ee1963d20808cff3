/* `lamina train` with what a run has besides a fixed rate, as a user runs it: whole and in pieces, whose weights files
 * and logs are equal to the byte but for the times. */
#include "tests/unit/extent.h"
#include <CUnit/CUnit.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static char directory[64];

/* Run a shell command in the test's directory. Returns the exit code. */
__attribute__((format(printf, 1, 2))) static int run(const char *format, ...)
{
    char command[2048];
    int n = snprintf(command, sizeof command, "cd %s && ", directory);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command + n, sizeof command - (size_t)n, format, arguments);
    va_end(arguments);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int open_directory(void)
{
    strcpy(directory, "/tmp/lamina-training-XXXXXX");
    return mkdtemp(directory) && !run("mkdir data && cp %s/examples/data/linear-*.idx data", LAMINA_SOURCE_DIR) ? 0 : 1;
}

static int remove_directory(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

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

/* Train NAME to NAME-whole in one go, and to NAME-parts in pieces of 'steps'. */
static void check_pieces(const char *name, int steps)
{
    CU_ASSERT_EQUAL(run("%s train %s.yaml --out=%s-whole >out 2>err", LAMINA_BINARY, name, name), 0);
    CU_ASSERT_EQUAL(
        run("%s train %s.yaml --out=%s-parts --threads=1 --max-steps=%d >out 2>err", LAMINA_BINARY, name, name, steps),
        0);
    int parts = 1;
    while (parts < 60 && run("cmp -s %s-whole/weights.safetensors %s-parts/weights.safetensors", name, name)) {
        if (run("%s train %s.yaml --out=%s-parts --resume --max-steps=%d >out 2>err", LAMINA_BINARY, name, name, steps))
            break;
        parts++;
    }
    CU_ASSERT_TRUE(parts > 2 && parts < 60);
    CU_ASSERT_EQUAL(run("cmp %s-whole/weights.safetensors %s-parts/weights.safetensors", name, name), 0);
    CU_ASSERT_EQUAL(run("for d in whole parts; do sed 's/\"seconds\": [^,]*//' %s-$d/log.jsonl >log-$d; done; "
                        "cmp log-whole log-parts",
                        name),
                    0);
}

static void schedules(void)
{
    write_net("cosine", "{cosine: {initial: 0.05, epochs: 3, final: 0.001, warmup: {epochs: 0.5}}}", ", epochs: 4", "");
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
    check_pieces("stages", 67);
    CU_ASSERT_EQUAL(run("grep '\"stage\": \"two\"' stages-whole/log.jsonl | grep -o '\"learning_rate\": [^,]*' >rates; "
                        "printf '\"learning_rate\": %%s\\n' 0.05 0.025 0.0125 0.00625 | cmp - rates"),
                    0);
    CU_ASSERT_EQUAL(run("grep '\"stage\": \"stages\"' stages-whole/log.jsonl | tail -n 1 | "
                        "grep -q '\"learning_rate\": 6.7567'"),
                    0);
}

void suite_training(void);
void suite_training(void)
{
    CU_pSuite s = CU_add_suite("training", open_directory, remove_directory);
    CU_add_test(s, "schedules, whole and in pieces", schedules);
    CU_add_test(s, "schedules of stages", schedules_of_stages);
}
