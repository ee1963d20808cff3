/* `lamina sweep`, as a user runs it: what it tries, what it says, and that a sweep that was killed goes on to the same
 * end. */
#include "tests/unit/extent.h"
#include "tests/unit/train_runs.h"
#include <CUnit/CUnit.h>

static void write_net(void)
{
    write_yaml("net", "inputs: {x: [10], y: [1]}\n"
                      "layers:\n"
                      "  - dense: {name: a, units: 6, activation: tanh}\n"
                      "  - dense: {name: b, units: 1}\n"
                      "losses: [mean_squared_error]\n"
                      "optimizer: {adam: 0.01}\n"
                      "data:\n"
                      "  train: {format: idx, x: data/linear-train-x.idx, y: data/linear-train-y.idx}\n"
                      "  validation: {split: 0.1}\n"
                      "train: {batch: 50, seed: 4, epochs: 4}\n");
}

/* All combinations; each trial is the run of train with these values. */
static void grid(void)
{
    write_net();
    CU_ASSERT_EQUAL(run("%s sweep net.yaml --out=grid --grid layers.a.units=2,8 --grid "
                        "'optimizer={sgd: 0.05},[adam],{sgd: {learning_rate: 0.05, momentum: 0.9}}' --jobs=3 >out",
                        LAMINA_BINARY),
                    0);
    CU_ASSERT_EQUAL(run("test $(wc -l <grid/sweep.csv) -eq 7 && grep -c failed out | grep -qx 2"),
                    0); /* a list is none */
    CU_ASSERT_EQUAL(run("%s train net.yaml --out=one --set layers.a.units=8 --set 'optimizer={sgd: 0.05}' >out && "
                        "cmp one/weights.safetensors grid/trial_0004/weights.safetensors",
                        LAMINA_BINARY),
                    0);
    CU_ASSERT_EQUAL(run("grep -q '^<svg' grid/sweep.svg && test $(grep -c '<circle' grid/sweep.svg) -eq 8"), 0);
}

/* The best first, as the metric says. */
static void order(void)
{
    write_net();
    CU_ASSERT_EQUAL(run("%s sweep net.yaml --out=order --random optimizer.adam=1e-4..1:log --trials=3 --seed=3 --json "
                        ">out && grep -o '\"value\": [^,]*' out | cut -d' ' -f2 >a && sort -g a | cmp - a",
                        LAMINA_BINARY),
                    0);
    CU_ASSERT_EQUAL(
        run("%s sweep net.yaml --out=order --random optimizer.adam=1e-4..1:log --trials=3 --seed=3 --json "
            "--resume --mode=max >out && grep -o '\"value\": [^,]*' out | cut -d' ' -f2 >b && tac b | cmp - a",
            LAMINA_BINARY),
        0);
}

/* Halved, killed now and then, and with more processes: the same table to the byte. */
static void halving(void)
{
    static const char sweep[] = "sweep net.yaml --grid layers.a.units=2,8 --random optimizer.adam=1e-4..1:log "
                                "--trials=4 --halving";
    const int kills = extent_sanitized ? 0 : 1;
    write_net();
    CU_ASSERT_EQUAL(run("%s %s --out=calm --jobs=2 >out 2>err", LAMINA_BINARY, sweep), 0);
    CU_ASSERT_EQUAL(run("cut -d, -f2 calm/sweep.csv | sort | xargs | grep -qx '1 1 2 4 epochs'"), 0);
    run("timeout -s KILL 1 %s %s --out=killed >out 2>err", LAMINA_BINARY, sweep);
    for (int i = 0; i < kills; i++)
        run("timeout -s KILL %d %s %s --out=killed --jobs=3 --resume >out 2>err", 1 + i, LAMINA_BINARY, sweep);
    CU_ASSERT_EQUAL(run("%s %s --out=killed --resume >out 2>err", LAMINA_BINARY, sweep), 0);
    CU_ASSERT_EQUAL(run("cmp calm/sweep.csv killed/sweep.csv"), 0);
    CU_ASSERT_EQUAL(run("for i in 1 2 3 4; do cmp calm/trial_000$i/weights.safetensors "
                        "killed/trial_000$i/weights.safetensors || exit; done"),
                    0);
}

static void interrupted(void)
{
    write_net();
    CU_ASSERT_EQUAL(
        run("{ %s sweep net.yaml --out=stopped --grid train.seed=1,2,3 --epochs=900000 --jobs=2 >out 2>err & "
            "sweep=$!; until [ -s stopped/trial_0001/log.jsonl -a -s stopped/trial_0002/log.jsonl ] || "
            "! kill -0 $sweep; do sleep 0.1; done; kill -INT $sweep; wait $sweep; }",
            LAMINA_BINARY),
        130);
    CU_ASSERT_EQUAL(
        run("grep -q '^interrupted: go on with --resume' err && test -s stopped/trial_0001/weights.safetensors"), 0);
}

void suite_sweep(void);
void suite_sweep(void)
{
    CU_pSuite s = CU_add_suite("sweep", open_with_data, remove_directory);
    CU_add_test(s, "all combinations", grid);
    CU_add_test(s, "the best first", order);
    CU_add_test(s, "halved, killed and resumed", halving);
    CU_add_test(s, "interrupted", interrupted);
}
