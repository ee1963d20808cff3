/* tests/unit/test_predict.c - lamina predict: tables and NumPy files of what a network says, against each other and
 * against what its own logits mean. */
#include "tests/unit/shell.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 300, CLASSES = 3 };

/* Two answers of a table: a class by its word, and whether something is so. */
static int write_net(const char *name, const char *kinds)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s.yaml", directory, name);
    FILE *f = fopen(path, "w");
    if (!f)
        return 1;
    fprintf(f,
            "name: %s\n"
            "inputs: {x: [3], kind: {shape: [], dtype: int32}, truth: [1]}\n"
            "layers:\n"
            "  - dense: {name: hidden, units: 8, activation: relu}\n"
            "  - dense: {name: answer, units: 3}\n"
            "  - dense: {name: sure, input: hidden, units: 1}\n"
            "losses:\n"
            "  - softmax_cross_entropy: {logits: answer, labels: kind}\n"
            "  - sigmoid_cross_entropy: {logits: sure, labels: truth}\n"
            "optimizer: {adam: 0.05}\n"
            "data:\n"
            "  train:\n"
            "    format: csv\n"
            "    path: train.csv\n"
            "    columns: {x: [a, b, where], kind: kind, truth: truth}\n"
            "    categories: {where: [here], kind: %s}\n"
            "    drop: [missing, duplicates]\n"
            "  test: {split: 0.2}\n"
            "train: {batch: 16, epochs: 3}\n",
            name, kinds);
    return fclose(f);
}

static int make_data(void)
{
    char path[128];
    if (open_directory())
        return 1;
    snprintf(path, sizeof path, "%s/train.csv", directory);
    FILE *f = fopen(path, "w");
    if (!f)
        return 1;
    static const char *const kinds[] = {"red", "\"blue, dark\"", "green"};
    fputs("a,b,where,kind,truth\n", f);
    for (int i = 0; i < ROWS; i++)
        fprintf(f, "%g,%g,here,%s,%d\n", i % 17 / 17.0, i % 3 - 1.0, kinds[i % 3], i % 2);
    fclose(f);
    snprintf(path, sizeof path, "%s/other.csv", directory);
    f = fopen(path, "w");
    if (!f)
        return 1;
    fputs("where,b,a\n", f); /* no answers, another order, the same record again and again */
    for (int i = 0; i < ROWS; i++)
        fprintf(f, "here,%d,0.5\n", i % 50 ? 1 : -1);
    fclose(f);
    if (write_net("net", "[red, \"blue, dark\", green]") || write_net("sorted", "sorted"))
        return 1;
    return run("%s train net.yaml >out && %s train sorted.yaml >out", LAMINA_BINARY, LAMINA_BINARY);
}

static int predict(const char *rest)
{
    return run("%s predict %s", LAMINA_BINARY, rest);
}

static text read_all(const char *name)
{
    text t = {0};
    CU_ASSERT_EQUAL(run_into(&t, "cat %s", name), 0);
    return t;
}

static void read_npy(const char *name, const char *shape, float *to, size_t count)
{
    char path[128], header[256] = "";
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fread(header, 1, 128, f), 128);
    CU_ASSERT_EQUAL(memcmp(header, "\x93NUMPY\1\0\x76\0", 10), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(header + 10, shape));
    CU_ASSERT_EQUAL(header[127], '\n');
    CU_ASSERT_EQUAL(fread(to, sizeof *to, count, f), count);
    CU_ASSERT_EQUAL(getc(f), EOF);
    fclose(f);
}

/* A table says what the NumPy files do, in the order of the records; logits become probabilities. */
static void tables_and_arrays(void)
{
    static float p[ROWS][CLASSES], logit[ROWS][CLASSES], sure[ROWS], raw[ROWS];
    static const char *const names[] = {"red", "\"blue, dark\"", "green"};
#define FILES "net.yaml other.csv --weights=runs/net/weights.safetensors "
    CU_ASSERT_EQUAL(predict(FILES "-o p.npy"), 0);
    CU_ASSERT_EQUAL(predict(FILES "-o raw.npy --logits --threads=1"), 0);
    CU_ASSERT_EQUAL(predict(FILES "-o one.npy --output=answer --max-batch=7"), 0);
    CU_ASSERT_EQUAL(predict(FILES "-o p.csv --set train.batch=13"), 0);
    CU_ASSERT_EQUAL(run("cmp p_answer.npy one.npy"), 0);
    read_npy("p_answer.npy", "'shape': (300, 3,)", &p[0][0], ROWS * CLASSES);
    read_npy("raw_answer.npy", "'shape': (300, 3,)", &logit[0][0], ROWS * CLASSES);
    read_npy("p_sure.npy", "'shape': (300, 1,)", sure, ROWS);
    read_npy("raw_sure.npy", "'shape': (300, 1,)", raw, ROWS);
    text t = read_all("p.csv");
    char *line = strtok((char *)text_get(&t), "\n");
    CU_ASSERT_STRING_EQUAL(line, "answer,answer=red,\"answer=blue, dark\",answer=green,sure");
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;
        int best = 0;
        char want[256];
        for (int k = 0; k < CLASSES; k++) {
            sum += exp((double)logit[i][k]);
            best = p[i][k] > p[i][best] ? k : best;
        }
        for (int k = 0; k < CLASSES; k++)
            CU_ASSERT_DOUBLE_EQUAL((double)p[i][k], exp((double)logit[i][k]) / sum, 1e-6);
        CU_ASSERT_DOUBLE_EQUAL((double)sure[i], 1 / (1 + exp(-(double)raw[i])), 1e-6);
        snprintf(want, sizeof want, "%s,%.9g,%.9g,%.9g,%.9g", names[best], (double)p[i][0], (double)p[i][1],
                 (double)p[i][2], (double)sure[i]);
        line = strtok(NULL, "\n");
        CU_ASSERT_STRING_EQUAL(line, want);
    }
    CU_ASSERT_PTR_NULL(strtok(NULL, "\n"));
    text_free(&t);
    CU_ASSERT_NOT_EQUAL(p[0][0], p[1][0]); /* rows 0, 50, ... differ from the others, which are alike */
    CU_ASSERT_EQUAL(p[0][0], p[50][0]);
}

static void the_most_probable(void)
{
    CU_ASSERT_EQUAL(predict(FILES "--output=answer --top=2 -o top.tsv && head -n 1 top.tsv >head"), 0);
    text t = read_all("head");
    CU_ASSERT_STRING_EQUAL(text_get(&t), "answer_1\tanswer_1_probability\tanswer_2\tanswer_2_probability\n");
    text_free(&t);
    CU_ASSERT_EQUAL(run("cut -f 1 top.tsv | tail -n +2 >a && tail -n +2 p.csv | sed 's/\"blue, dark\"/blue; dark/' | "
                        "cut -d , -f 1 | tr ';' ',' >b && cmp a b"),
                    0);
    CU_ASSERT_EQUAL(run("awk -F '\\t' 'NR > 1 && $2 < $4 {exit 1}' top.tsv"), 0);
    CU_ASSERT_EQUAL(predict(FILES "--top=9 | head -n 2 | tail -n 1 | tr -cd , | wc -c | grep -qx '[78]'"), 0);
}

/* A set of the YAML's, of a checkpoint, and words that only the training data's files know. */
static void sets_and_words(void)
{
    CU_ASSERT_EQUAL(predict("net.yaml --weights=runs/net/checkpoint/last.safetensors >test.csv && "
                            "test $(wc -l <test.csv) -gt 10"),
                    0);
    CU_ASSERT_EQUAL(predict("sorted.yaml other.csv --weights=runs/sorted/weights.safetensors | head -n 1 | "
                            "grep -qxF 'answer,\"answer=blue, dark\",answer=green,answer=red,sure'"),
                    0);
}

static void what_goes_wrong(void)
{
    CU_ASSERT_EQUAL(predict(FILES "-o p.txt 2>err"), 2);
    CU_ASSERT_EQUAL(predict(FILES "-o p.npy --top=1 2>err"), 2);
    CU_ASSERT_EQUAL(predict("net.yaml other.csv 2>err"), 2);
    CU_ASSERT_EQUAL(predict(FILES ">/dev/full 2>err"), 1);
    CU_ASSERT_EQUAL(run("mkdir -p full/p.csv"), 0);
    CU_ASSERT_EQUAL(predict(FILES "-o full/p.csv 2>err"), 3);
    CU_ASSERT_EQUAL(run("grep -q 'full/p.csv: cannot write: Is a directory' err && test \"$(ls full)\" = p.csv"), 0);
    CU_ASSERT_EQUAL(run("printf 'a,b,where\\n1,2,here\\n2,1,here\\nNaN,1,here\\n' >bad.csv; "
                        "sed 's/drop: .*/keep_missing: true/' net.yaml >kept.yaml; %s predict kept.yaml bad.csv "
                        "--weights=runs/net/weights.safetensors -o bad_out.csv 2>err",
                        LAMINA_BINARY),
                    1);
    CU_ASSERT_EQUAL(run("grep -q \"warning: output 'answer': record 2: expected finite values, found nan\" err && "
                        "test \"$(tail -n 1 bad_out.csv)\" = ,nan,nan,nan,nan"),
                    0);
}

/* Ctrl-C while it waits for somebody to read leaves nothing half written. */
static void interrupted(void)
{
    CU_ASSERT_EQUAL(run("mkdir -p late && { head -n 1 other.csv; for i in $(seq 400); do tail -n +2 other.csv; done; } "
                        ">large.csv"),
                    0);
    CU_ASSERT_EQUAL(run("trap '' INT; %s predict net.yaml large.csv --weights=runs/net/weights.safetensors "
                        "-o late/p.csv 2>err & p=$!; while kill -0 $p 2>&- && ! ls late | grep -q tmp; do :; done; "
                        "kill -TERM $p; wait $p; code=$?; test $code -eq 143 -a -z \"$(ls late)\" || "
                        "test $code -eq 0 -a \"$(ls late)\" = p.csv",
                        LAMINA_BINARY),
                    0);
}

void suite_predict(void);
void suite_predict(void)
{
    CU_pSuite s = CU_add_suite("predict", make_data, remove_directory);
    CU_add_test(s, "tables and arrays", tables_and_arrays);
    CU_add_test(s, "the most probable", the_most_probable);
    CU_add_test(s, "sets and words", sets_and_words);
    CU_add_test(s, "what goes wrong", what_goes_wrong);
    CU_add_test(s, "interrupted", interrupted);
}
