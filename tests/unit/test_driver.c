/* tests/unit/test_driver.c - the command line as a user meets it: dumps that can be read back, libraries from dumps,
 * exit codes, training that is interrupted and resumed. The lamina binary runs in a directory of its own. */
#include "passes/passes.h"
#include "tests/unit/extent.h"
#include "tests/unit/shell.h"
#include <CUnit/CUnit.h>
#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void yaml_check(const char *path);

static void for_each_yaml(const char *folder, yaml_check *check)
{
    char path[512];
    DIR *d = opendir(folder);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    int found = 0;
    for (const struct dirent *e; (e = readdir(d));) {
        const char *end = strrchr(e->d_name, '.');
        if (!end || strcmp(end, ".yaml"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        check(path);
        found++;
    }
    closedir(d);
    CU_ASSERT_TRUE(found >= 2);
}

static void check_dumps(const char *yaml)
{
    for (int p = 0; p < passes_count; p++)
        for (int locations = 0; locations < 2; locations++) {
            const char *option = locations ? "--dump-locations" : "";
            int code =
                run("%s dump %s --after=%s %s >a.lmir 2>err && %s dump a.lmir %s >b.lmir 2>err && cmp a.lmir b.lmir",
                    LAMINA_BINARY, yaml, passes[p].name, option, LAMINA_BINARY, option);
            if (code)
                fprintf(stderr, "%s after %s %s does not read back\n", yaml, passes[p].name, option);
            CU_ASSERT_EQUAL(code, 0);
        }
}

static void dumps_read_back(void)
{
    for_each_yaml(LAMINA_SOURCE_DIR "/examples", check_dumps);
    for_each_yaml(LAMINA_TESTS_DIR "/nets", check_dumps);
}

static void check_from_dump(const char *yaml)
{
    static const char *const options[] = {"",
                                          "--after=simplify",
                                          "--after=partition",
                                          "--after=autodiff",
                                          "--after=cleanup --dump-locations",
                                          "--after=fuse",
                                          "--after=split",
                                          "--after=plan_memory",
                                          "--after=plan_memory --dump-locations"};
    CU_ASSERT_EQUAL(run("mkdir -p x y && %s compile %s -o x/net.so", LAMINA_BINARY, yaml), 0);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        int code = run("%s dump %s %s >a.lmir && %s compile a.lmir -o y/net.so && "
                       "cmp x/net.so y/net.so && cmp x/net.h y/net.h",
                       LAMINA_BINARY, yaml, options[i], LAMINA_BINARY);
        if (code)
            fprintf(stderr, "%s compiled from its dump with %s is another library\n", yaml, options[i]);
        CU_ASSERT_EQUAL(code, 0);
    }
}

/* Options that the text still has room for count as they do with the YAML. */
static void check_options_of_text(const char *yaml)
{
    static const char options[] = "--max-batch=33 --partition=staged --stages=2";
    CU_ASSERT_EQUAL(run("%s compile %s %s -o x/net.so && %s dump %s --after=simplify >a.lmir && "
                        "%s compile a.lmir %s -o y/net.so && cmp x/net.so y/net.so",
                        LAMINA_BINARY, yaml, options, LAMINA_BINARY, yaml, LAMINA_BINARY, options),
                    0);
}

static void libraries_from_dumps(void)
{
    check_from_dump(LAMINA_SOURCE_DIR "/examples/fashion_mlp.yaml");
    check_from_dump(LAMINA_SOURCE_DIR "/examples/linear_two_stage.yaml");
    check_from_dump(LAMINA_TESTS_DIR "/nets/cnn.yaml");
    check_options_of_text(LAMINA_TESTS_DIR "/nets/mlp.yaml");
}

static void examples_are_networks(void)
{
    CU_ASSERT_EQUAL(run("for net in %s/examples/*.yaml; do %s check $net || exit; done 2>err && ! grep . err",
                        LAMINA_SOURCE_DIR, LAMINA_BINARY),
                    0);
}

static void few_kernels(void)
{
    text out = {0};
    CU_ASSERT_EQUAL(run_into(&out,
                             "%s dump %s/examples/fashion_mlp.yaml --after=fuse | sed -n '/func @train_step/,/^}/p' | "
                             "grep -c '^  [^ ].*fused \"\\|^  fused \"'",
                             LAMINA_BINARY, LAMINA_SOURCE_DIR),
                    0);
    int kernels = atoi(text_get(&out));
    CU_ASSERT_TRUE(kernels >= 5 && kernels <= 12);
    text_free(&out);
    CU_ASSERT_EQUAL(run("%s dump %s/examples/fashion_mlp.yaml --after=fuse | grep -q '\"dense1.weight_gradient+adam\"'",
                        LAMINA_BINARY, LAMINA_SOURCE_DIR),
                    0);
}

/* What an engineer checks of a library: no writable data, no symbol from elsewhere but the three memory functions. */
static void library_stands_alone(void)
{
    CU_ASSERT_EQUAL(run("%s compile %s/nets/cnn.yaml -o alone.so", LAMINA_BINARY, LAMINA_TESTS_DIR), 0);
    text out = {0};
    run_into(&out, "nm -D --undefined-only alone.so | awk '{print $NF}' | grep -vxE 'memcpy|memmove|memset' || true");
    CU_ASSERT_STRING_EQUAL(text_get(&out), "");
    text_free(&out);
    run_into(
        &out,
        "objdump -h alone.so | awk '$2 == \".data\" || $2 == \".bss\" {print $2, $3}' | grep -v ' 00000000' || true");
    CU_ASSERT_STRING_EQUAL(text_get(&out), "");
    text_free(&out);
    run_into(&out, "nm -D --defined-only alone.so | awk '{print $NF}' | grep -v '^cnn_\\|^lamina_net_query$' || true");
    CU_ASSERT_STRING_EQUAL(text_get(&out), "");
    text_free(&out);
}

static void header_is_clean(void)
{
    CU_ASSERT_EQUAL(run("%s compile %s/examples/fashion_mlp.yaml -o h.so", LAMINA_BINARY, LAMINA_SOURCE_DIR), 0);
    CU_ASSERT_EQUAL(run("printf '#include \"h.h\"\\nint main(void) { return 0; }\\n' >h.c && cp h.c h.cpp && "
                        "cc -std=c99 -pedantic -Wall -Wextra -Wconversion -Werror -I%s/runtime -c h.c && "
                        "c++ -std=c++17 -pedantic -Wall -Wextra -Wconversion -Werror -I%s/runtime -c h.cpp",
                        LAMINA_SOURCE_DIR, LAMINA_SOURCE_DIR),
                    0);
}

static void exit_codes(void)
{
    text out = {0};
    CU_ASSERT_EQUAL(run("%s 2>err", LAMINA_BINARY), 2);
    CU_ASSERT_EQUAL(run("%s --help >out", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("%s comple 2>err; c=$?; grep -q \"did you mean 'compile'\" err && exit $c", LAMINA_BINARY), 2);
    CU_ASSERT_EQUAL(run("%s compile 2>err", LAMINA_BINARY), 2);
    CU_ASSERT_EQUAL(run("%s compile a.yaml --max-batch=x 2>err", LAMINA_BINARY), 2);
    CU_ASSERT_EQUAL(run("%s compile no-such.yaml 2>err", LAMINA_BINARY), 3);
    CU_ASSERT_EQUAL(run("head -c 3000 /dev/urandom >noise.lmir; %s compile noise.lmir 2>err", LAMINA_BINARY), 3);
    CU_ASSERT_EQUAL(run("%s inspect noise.lmir 2>err", LAMINA_BINARY), 3);
    CU_ASSERT_EQUAL(
        run("%s check %s/examples/fashion_mlp.yaml --partition=auto 2>err", LAMINA_BINARY, LAMINA_SOURCE_DIR), 3);
    CU_ASSERT_EQUAL(run("%s check %s/examples/fashion_mlp.yaml --cpu=znver44 2>err", LAMINA_BINARY, LAMINA_SOURCE_DIR),
                    3);
    CU_ASSERT_EQUAL(run("sed 's/dense/dens/' %s/examples/fashion_mlp.yaml >typo.yaml; %s compile typo.yaml -o t.so "
                        "2>err; c=$?; grep -q 'typo.yaml:10:5: error' err && ! test -e t.so && exit $c",
                        LAMINA_SOURCE_DIR, LAMINA_BINARY),
                    3);
    CU_ASSERT_EQUAL(
        run("%s compile %s/examples/fashion_mlp.yaml -o no/such/dir/t.so 2>err", LAMINA_BINARY, LAMINA_SOURCE_DIR), 3);
    text_free(&out);
}

/* A small set, so that a run takes a second: 20 epochs in one go, and the same cut by SIGINT and resumed. */
static void interrupted_and_resumed(void)
{
    const char *yaml = LAMINA_SOURCE_DIR "/examples/linear_two_stage.yaml";
    CU_ASSERT_EQUAL(run("%s train %s --out=whole --epochs=40 >out 2>err", LAMINA_BINARY, yaml), 0);
    CU_ASSERT_EQUAL(run("timeout --preserve-status -s INT 4 %s train %s --out=cut --epochs=1000000 >out 2>err; c=$?; "
                        "grep -q 'saved to cut/checkpoint' err && test -s cut/weights.safetensors && exit $c",
                        LAMINA_BINARY, yaml),
                    130);
    CU_ASSERT_EQUAL(run("%s train %s --out=parts --epochs=40 --max-steps=333 >out 2>err", LAMINA_BINARY, yaml), 0);
    CU_ASSERT_EQUAL(run("%s train %s --out=parts --epochs=40 --resume --threads=1 >out 2>err", LAMINA_BINARY, yaml), 0);
    CU_ASSERT_EQUAL(run("cmp whole/weights.safetensors parts/weights.safetensors"), 0);
    CU_ASSERT_EQUAL(run("%s train %s --out=parts --epochs=50 --batch=64 --resume >out 2>err; c=$?; "
                        "grep -q batch err && exit $c",
                        LAMINA_BINARY, yaml),
                    3);
    CU_ASSERT_EQUAL(run("%s eval %s --weights=whole/weights.safetensors >out", LAMINA_BINARY, yaml), 0);
    CU_ASSERT_EQUAL(run("echo no >w; %s eval %s --weights=w 2>err", LAMINA_BINARY, yaml), 3);
}

/* What changed in a network since its checkpoint is named; another rate or more epochs are no other network. */
static void resumed_with_changes(void)
{
    static const struct {
        const char *change, *message;
        int code;
    } all[] = {
        {"s/units: 5/units: 6/", "tensor .hidden.weight.: expected F32.10, 6., found F32.10, 5.", 3},
        {"s/sgd: {/adam: {/", "adam.* is missing", 3},
        {"s/0.05/0.05, momentum: 0.5/", "sgd.velocity.* is missing", 3},
        {"s/units: 5}/units: 5, activation: tanh}/", "layers, losses or optimizer have changed", 3},
        {"s/0.05/0.02/; s/epochs: 20/epochs: 3/", "", 0},
    };
    const char *yaml = LAMINA_SOURCE_DIR "/examples/linear_two_stage.yaml";
    CU_ASSERT_EQUAL(run("sed 's#data/#%s/examples/data/#g' %s >before.yaml && "
                        "%s train before.yaml --out=changed --epochs=2 >out 2>err",
                        LAMINA_SOURCE_DIR, yaml, LAMINA_BINARY),
                    0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        CU_ASSERT_EQUAL(run("sed '%s' before.yaml >after.yaml; %s train after.yaml --out=changed --resume >out 2>err; "
                            "c=$?; test -z '%s' || grep -q '%s' err && exit $c",
                            all[i].change, LAMINA_BINARY, all[i].message, all[i].message),
                        all[i].code);
}

/* A library that lies in DIR already (one that acts when opened, another network's, a cut one) is replaced unopened. */
static void old_libraries_are_not_opened(void)
{
    const char *yaml = LAMINA_SOURCE_DIR "/examples/linear_two_stage.yaml";
    static const char *const planted[] = {
        "printf '#include <stdlib.h>\n__attribute__((constructor)) static void act(void) { exit(77); }\n' >act.c && "
        "cc -shared -fPIC -o plant.so act.c",
        LAMINA_BINARY " compile " LAMINA_TESTS_DIR "/nets/mlp.yaml -o plant.so",
        "head -c 10000 clean/linear_two_stage.so >plant.so",
    };
    CU_ASSERT_EQUAL(run("%s train %s --out=clean --epochs=2 >out 2>err", LAMINA_BINARY, yaml), 0);
    for (size_t i = 0; i < sizeof planted / sizeof *planted; i++) {
        CU_ASSERT_EQUAL(run("%s", planted[i]), 0);
        CU_ASSERT_EQUAL(run("mkdir planted%zu && mv plant.so planted%zu/linear_two_stage.so && "
                            "%s train %s --out=planted%zu --epochs=2 >out 2>err",
                            i, i, LAMINA_BINARY, yaml, i),
                        0);
        CU_ASSERT_EQUAL(run("cd planted%zu && cmp weights.safetensors ../clean/weights.safetensors && "
                            "cmp linear_two_stage.so ../clean/linear_two_stage.so",
                            i),
                        0);
    }
}

/* Lines of a log without what two runs may differ in. */
#define UNTIMED "sed 's/\"seconds\": [^,]*, //'"

/* Killed at any moment, again and again, and resumed: the bits, and the log, of the run that nobody disturbed. */
static void killed_and_resumed(void)
{
    const int rounds = extent_full() ? 60 : extent_sanitized ? 1 : 6;
    CU_ASSERT_EQUAL(run("sed 's#data/#%s/examples/data/#g; s#epochs: 20#epochs: 10, checkpoint_minutes: 1/6000000#' "
                        "%s/examples/linear_two_stage.yaml >often.yaml && "
                        "%s train often.yaml --out=calm >out 2>err",
                        LAMINA_SOURCE_DIR, LAMINA_SOURCE_DIR, LAMINA_BINARY),
                    0);
    for (int i = 0; i < rounds; i++)
        CU_ASSERT_EQUAL(run("rm -f killed/log.jsonl killed/*.safetensors killed/checkpoint/*.safetensors; "
                            "for n in 1 2 3 4; do mode=; [ -e killed/checkpoint/last.safetensors ] && mode=--resume; "
                            "%s train often.yaml --out=killed --threads=$((n %% 2 + 1)) $mode >out 2>err & "
                            "sleep 0.$(shuf -i 100-400 -n 1); kill -KILL $!; wait $! 2>/dev/null; done; "
                            "mode=; [ -e killed/checkpoint/last.safetensors ] && mode=--resume; "
                            "%s train often.yaml --out=killed $mode >out 2>err && "
                            "cmp calm/weights.safetensors killed/weights.safetensors && "
                            "cmp calm/checkpoint/last.safetensors killed/checkpoint/last.safetensors && "
                            "" UNTIMED " calm/log.jsonl >a && " UNTIMED " killed/log.jsonl >b && cmp a b && "
                            "test -z \"$(find killed -name '*.tmp')\"",
                            LAMINA_BINARY, LAMINA_BINARY),
                        0);
}

/* Every way in which a run is told to end saves, and the exit code says which it was. */
static void ended_by_signals(void)
{
    static const struct {
        const char *signal;
        int code;
    } all[] = {{"HUP", 129}, {"INT", 130}, {"TERM", 143}, {"XCPU", 152}};
    const char *yaml = LAMINA_SOURCE_DIR "/examples/linear_regression.yaml";
    /* At most ten seconds, so that a run that never begins is a failure and no hang. */
    const char *begun = "for n in $(seq 200); do [ -s ended/log.jsonl ] && break; sleep 0.05; done";
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        CU_ASSERT_EQUAL(run("rm -rf ended; %s train %s --out=ended --epochs=1000000 >out 2>err & %s; kill -%s $!; "
                            "wait $!; c=$?; test -s ended/weights.safetensors && exit $c",
                            LAMINA_BINARY, yaml, begun, all[i].signal),
                        all[i].code);
        CU_ASSERT_EQUAL(run("%s train %s --out=ended --epochs=2 --resume >out 2>err", LAMINA_BINARY, yaml), 0);
    }
    /* nohup: the end of the terminal is not the run's. */
    CU_ASSERT_EQUAL(run("rm -rf ended; (trap '' HUP; exec %s train %s --out=ended --epochs=1000000) >out 2>err & %s; "
                        "kill -HUP $!; sleep 0.2; kill -TERM $!; wait $!",
                        LAMINA_BINARY, yaml, begun),
                    143);
}

/* Output that nobody takes does not end a training run, but is a failure; closed files are nobody else's. */
static void output_lost(void)
{
    const char *yaml = LAMINA_SOURCE_DIR "/examples/linear_regression.yaml";
    static const char *const lost[] = {"dump %s", "inspect whole/linear_two_stage.so", "train %s --out=full",
                                       "train %s --json --out=json", "eval %s --weights=full/weights.safetensors"};
    text command = {0};
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
        text_printf(&command, lost[i], yaml);
        CU_ASSERT_EQUAL(run("%s %s >/dev/full 2>err", LAMINA_BINARY, text_get(&command)), 1);
        text_free(&command);
        command = (text){0};
    }
    CU_ASSERT_EQUAL(run("test -s full/weights.safetensors && test -s json/weights.safetensors"), 0);
    CU_ASSERT_EQUAL(run("%s train %s --out=unread 2>err | true; test -s unread/weights.safetensors && "
                        "grep -q 'Broken pipe' err",
                        LAMINA_BINARY, yaml),
                    0);
    CU_ASSERT_EQUAL(run("%s train %s --out=closed <&- >&- 2>&- && test $(wc -l <closed/log.jsonl) = 20 && "
                        "! grep -v '^{.*}$' closed/log.jsonl",
                        LAMINA_BINARY, yaml),
                    0);
    CU_ASSERT_EQUAL(run("rm closed/log.jsonl; echo kept >target; ln -s ../target closed/log.jsonl; "
                        "%s train %s --out=closed --overwrite >out 2>err; c=$?; grep -q kept target && exit $c",
                        LAMINA_BINARY, yaml),
                    3);
}

/* What dead processes left half written goes; what is another's, or a living one's, stays. */
static void leftovers_swept(void)
{
    const char *yaml = LAMINA_SOURCE_DIR "/examples/linear_regression.yaml";
    CU_ASSERT_EQUAL(run("mkdir -p swept/checkpoint && cd swept && dead=$(sh -c 'echo $$') && "
                        "mkdir weights.safetensors.$dead-7.tmp && "
                        "touch weights.safetensors.$dead-0.tmp linear_regression.so.$dead-aB3xyz.o "
                        "linear_regression.h.$dead-aB3xyz checkpoint/last.safetensors.$dead-0.tmp && "
                        "touch weights.safetensors.$dead weights.safetensors.1-0.tmp other.$dead-0.tmp "
                        "linear_regression.so.notes weights.safetensors.-5-0 && cd .. && "
                        "%s train %s --out=swept >out 2>err && ls swept swept/checkpoint | grep $dead- >left; "
                        "ls swept >have; printf 'other.%%s-0.tmp\nweights.safetensors.%%s-7.tmp\n' $dead $dead | "
                        "cmp - left && grep -q 1-0.tmp have && grep -q notes have && grep -q -- -5-0 have && "
                        "grep -qx weights.safetensors.$dead have",
                        LAMINA_BINARY, yaml),
                    0);
}

/* What bench prints can be read by programs, one row a kernel of the dump; no time is looked at. */
static void measured(void)
{
    const char *yaml = LAMINA_SOURCE_DIR "/examples/fashion_mlp.yaml";
    text out = {0};
    CU_ASSERT_EQUAL(
        run("mkdir tmp && TMPDIR=$PWD/tmp %s bench %s --roofline --seconds=0.01 --threads=2 --batch=16 >table 2>err",
            LAMINA_BINARY, yaml),
        0);
    CU_ASSERT_EQUAL(run("grep -q '^function  *median us' table && grep -q '^peaks: .* GFLOP/s' table && "
                        "grep -q '^train_step  *[0-9.]* ' table && ! test -s err"),
                    0);
    run("%s dump %s --after=plan_memory --max-batch=16 | awk '/^func @train_step/ {on = 1} /^}/ {on = 0} "
        "on && match($0, /fused \"[^\"]*/) {print substr($0, RSTART + 7, RLENGTH - 7)}' | sort >wanted && "
        "awk '/^train_step .*kind/ {on = 1; next} /^$/ {on = 0} on {print $1}' table | sort >got",
        LAMINA_BINARY, yaml);
    CU_ASSERT_EQUAL(run_into(&out, "test -s wanted && diff wanted got"), 0);
    CU_ASSERT_STRING_EQUAL(text_get(&out), "");
    CU_ASSERT_EQUAL(run("%s dump %s/examples/linear_two_stage.yaml --after=split >net.lmir && "
                        "%s bench net.lmir --json --roofline --seconds=0.01 --threads=1 >net.json 2>err",
                        LAMINA_BINARY, LAMINA_SOURCE_DIR, LAMINA_BINARY),
                    0);
    text_free(&out);
    char path[128];
    snprintf(path, sizeof path, "%s/net.json", directory);
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_PTR_NOT_NULL(all);
    CU_ASSERT_TRUE(json_number_value(json_object_get(json_object_get(all, "peaks"), "gflop_per_s")) > 0);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(all, "functions")), 2);
    CU_ASSERT_TRUE(json_array_size(json_object_get(all, "kernels")) >= 5);
    CU_ASSERT_TRUE(json_integer_value(json_object_get(all, "library_bytes")) > 1000);
    json_decref(all);
    CU_ASSERT_EQUAL(run("rmdir tmp"), 0); /* nothing was left in it */
}

static json_t *measured_json(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/data.json", directory);
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_PTR_NOT_NULL(all);
    return all;
}

/* Bench on the data trains on its records: as many as are left beside the validation set, epoch by epoch, and a NaN
 * among them is found. */
static void measured_on_data(void)
{
    static const char options[] = "--seconds=0.01 --threads=1 --batch=100 --json >data.json 2>err";
    CU_ASSERT_EQUAL(
        run("mkdir -p data && cp %s/examples/data/linear-train-?.idx data && "
            "sed '/^  test:/s/.*/  validation: {split: 0.25}/' %s/examples/linear_two_stage.yaml >data.yaml && "
            "%s bench data.yaml --data --epochs=3 %s",
            LAMINA_SOURCE_DIR, LAMINA_SOURCE_DIR, LAMINA_BINARY, options),
        0);
    json_t *all = measured_json(), *data = json_object_get(all, "data"), *epochs = json_object_get(data, "epochs");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(data, "records")), 3072);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(data, "steps")), 31);
    CU_ASSERT_EQUAL(json_array_size(epochs), 3);
    for (size_t i = 0; i < json_array_size(epochs); i++)
        CU_ASSERT_TRUE(json_number_value(json_object_get(json_array_get(epochs, i), "examples_per_s")) > 0);
    json_decref(all);
    CU_ASSERT_EQUAL(run("%s bench data.yaml --data %s", LAMINA_BINARY, options), 0);
    all = measured_json();
    CU_ASSERT_EQUAL(json_array_size(json_object_get(json_object_get(all, "data"), "epochs")), 0);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(all, "functions")), 2);
    json_decref(all);
    CU_ASSERT_EQUAL(run("printf '\\177\\300\\0\\0' | dd of=data/linear-train-x.idx bs=4 seek=$((3 + 7 * 10)) "
                        "conv=notrunc 2>/dev/null && sed -i '/validation/d' data.yaml && "
                        "%s bench data.yaml --data --epochs=1 %s",
                        LAMINA_BINARY, options),
                    3);
    CU_ASSERT_EQUAL(run("grep -q \"linear-train-x.idx: input 'x': record 7: expected finite\" err"), 0);
}

/* Who computes products: kernels of ours on every machine, if nothing else is asked for. */
static void products_by_default(void)
{
    const char *net = LAMINA_TESTS_DIR "/nets/mlp.yaml", *count = "grep -c 'kind = gemm'";
    CU_ASSERT_EQUAL(run("%s dump %s --cpu=x86-64-v3 --after=select | %s >n", LAMINA_BINARY, net, count), 1);
    CU_ASSERT_EQUAL(run("%s dump %s --cpu=x86-64-v2 --after=select | %s >n", LAMINA_BINARY, net, count), 1);
    CU_ASSERT_EQUAL(run("%s dump %s --cpu=x86-64-v2 --gemm=openblas --after=select | %s >n", LAMINA_BINARY, net, count),
                    0);
    CU_ASSERT_EQUAL(run("%s dump %s --gemm=openblas --after=lower | grep -q '^ *product '", LAMINA_BINARY, net), 0);
    CU_ASSERT_EQUAL(run("%s compile %s --gemm=openblas -o g.so && grep -q 'call.sgemm = net->sgemm' g.h && "
                        "printf '#include \"g.h\"\\nint main(void) { return 0; }\\n' >g.c && "
                        "cc -std=c99 -pedantic -Wall -Wextra -Wconversion -Werror -I%s/runtime -c g.c",
                        LAMINA_BINARY, net, LAMINA_SOURCE_DIR),
                    0);
    CU_ASSERT_EQUAL(run("%s inspect g.so | grep -q '^needs of its host: sgemm'", LAMINA_BINARY), 0);
}

/* A library tells how much of its memory inference takes: other sizes, and no gradients. */
static void inspected(void)
{
    const char *yaml = LAMINA_SOURCE_DIR "/examples/linear_two_stage.yaml";
    CU_ASSERT_EQUAL(run("%s compile %s -o i.so && %s inspect i.so >i", LAMINA_BINARY, yaml, LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("sed '1,/^memory, bytes$/d; /^memory for/,$d' i >whole.txt && "
                        "sed '1,/^memory for inference alone, bytes$/d' i >part.txt && "
                        "test $(wc -l <whole.txt) = 5 && test $(wc -l <part.txt) = 5 && "
                        "grep -q '^  gradients  *0$' part.txt && ! grep -q '^  gradients  *0$' whole.txt && "
                        "test $(awk '/state/ {print $2}' part.txt) -lt $(awk '/state/ {print $2}' whole.txt)"),
                    0);
}

/* Measured tiles change no bit; what was measured once is not measured again; a cache of rubbish does no harm. */
static void autotuned(void)
{
    const char *yaml = LAMINA_SOURCE_DIR "/examples/linear_two_stage.yaml", *net = LAMINA_TESTS_DIR "/nets/mlp.yaml";
    const char *tune = "XDG_CACHE_HOME=$PWD/cache " LAMINA_BINARY;
    text first = {0}, second = {0};
    CU_ASSERT_EQUAL(run("%s train %s --out=usual --epochs=2 --threads=1 >out 2>err", LAMINA_BINARY, yaml), 0);
    CU_ASSERT_EQUAL(run("%s train %s --out=tuned --epochs=2 --threads=1 --autotune >out 2>err", tune, yaml), 0);
    CU_ASSERT_EQUAL(run("cmp usual/weights.safetensors tuned/weights.safetensors"), 0);
    CU_ASSERT_EQUAL(run("%s compile %s --autotune --time-passes -o t.so 2>err && grep -q '^autotune ' err && "
                        "cp t.so once.so && ls cache/lamina/*.plan >plans && cat cache/lamina/*.plan >before",
                        tune, net),
                    0);
    CU_ASSERT_EQUAL(run("%s compile %s --autotune -o t.so 2>err && cmp t.so once.so && "
                        "cat cache/lamina/*.plan | cmp - before",
                        tune, net),
                    0);
    /* Files of every kind of wrong: empty, cut, of another kernel, a plan that is none, a folder. */
    CU_ASSERT_EQUAL(run("cd cache/lamina && i=0; for f in *.plan; do i=$((i+1)); case $((i%%5)) in "
                        "0) : >$f;; 1) head -c 90 $f >x; cat x >$f;; 2) sed -i 1s/lamina/lumina/ $f;; "
                        "3) sed -i '$s/[0-9]/-7/' $f;; 4) rm $f; mkdir $f;; esac; done; rm -f x"),
                    0);
    CU_ASSERT_EQUAL(run("%s compile %s --autotune -o t.so 2>err && ! test -s err", tune, net), 0);
    run_into(&first, "ls cache/lamina | wc -l");
    run_into(&second, "wc -l <plans");
    CU_ASSERT_EQUAL(atoi(text_get(&first)), atoi(text_get(&second)));
    CU_ASSERT_TRUE(atoi(text_get(&first)) > 2);
    CU_ASSERT_EQUAL(run("test -z \"$(find cache -name '*.plan.*')\""), 0);
    CU_ASSERT_EQUAL(
        run("XDG_CACHE_HOME=/proc/none %s compile %s --autotune -o t.so 2>err && ! test -s err", LAMINA_BINARY, net),
        0);
    text_free(&first);
    text_free(&second);
}

static void measuring_interrupted(void)
{
    CU_ASSERT_EQUAL(run("timeout --preserve-status -s INT 2 %s bench %s/nets/mlp.yaml --seconds=100 --threads=1 "
                        ">out 2>err; c=$?; ! test -s out && ! test -s err && exit $c",
                        LAMINA_BINARY, LAMINA_TESTS_DIR),
                    130);
}

void suite_driver(void);
void suite_driver(void)
{
    CU_pSuite s = CU_add_suite("driver", open_directory, remove_directory);
    CU_add_test(s, "every pass's dump reads back to the same bytes", dumps_read_back);
    CU_add_test(s, "every dump compiles to the same library", libraries_from_dumps);
    CU_add_test(s, "every example is a network, without a warning", examples_are_networks);
    CU_add_test(s, "a step of fashion_mlp is at most 12 named kernels", few_kernels);
    CU_add_test(s, "a library stands alone", library_stands_alone);
    CU_add_test(s, "the header is clean C99 and C++17", header_is_clean);
    CU_add_test(s, "exit codes", exit_codes);
    CU_add_test(s, "training interrupted and resumed", interrupted_and_resumed);
    CU_add_test(s, "training resumed after changes", resumed_with_changes);
    CU_add_test(s, "train opens no library but its own", old_libraries_are_not_opened);
    CU_add_test(s, "training killed and resumed", killed_and_resumed);
    CU_add_test(s, "training ended by signals", ended_by_signals);
    CU_add_test(s, "output lost", output_lost);
    CU_add_test(s, "leftovers swept", leftovers_swept);
    CU_add_test(s, "bench: a row a kernel, JSON", measured);
    CU_add_test(s, "bench on the network's data", measured_on_data);
    CU_add_test(s, "inspect: memory to train and for inference", inspected);
    CU_add_test(s, "products by default and by OpenBLAS", products_by_default);
    CU_add_test(s, "autotune: the same bits, a cache", autotuned);
    CU_add_test(s, "bench interrupted", measuring_interrupted);
}
