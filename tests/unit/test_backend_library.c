/* tests/unit/test_backend_library.c - a whole library from a planned module, used as a host would.
 *
 * The module is small and planned by hand; what matters here is what surrounds the kernels: checks of the call, tasks
 * in parallel and serial, cancelling, weights in and out, the descriptor, the header in C99 and C++17, every kind of
 * file. */
#include "backend/backend.h"
#include "backend/library/abi.h"
#include "runtime/lamina_abi.h"
#include <CUnit/CUnit.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char tiny[] =
    "module @tiny-net {abi = [1], source = \"tiny.yaml\", hash = a1b2, max_batch = [8], params_bytes = [128], "
    "state_bytes = [128], workspace_bytes = [256], workspace_worker_bytes = [128], "
    "inference_state_bytes = [72], inference_workspace_bytes = [128]}\n"
    "row input @x\n"
    "row input @class\n"
    "row output @z\n"
    "row metric @loss {kind = mean, sum = metric.loss, count = metric.examples, higher_is_better = [0]}\n"
    "row rate @learning_rate {kind = constant, a = [0.5]}\n"
    "param @dense1.weight : f32[4] {init = uniform, a = [-1], b = [1], stream = [4294967295]} @param+0\n"
    "param @dense1.bias : f32[3] @param+64\n"
    "state @metric.loss : f64[] @state+0\n"
    "state @metric.examples : f64[] @state+64\n"
    "func @infer(%x : f32[B, 4] @input+0) -> (z : f32[B, 4]) {\n"
    "  %w = param @dense1.weight : f32[4]\n"
    "  %1 = fused \"dense1.forward\" (%x, %w) {kind = elementwise, plan = [4]} {\n"
    "    %2 = broadcast_in_dim %w {dims = [1]} : f32[B, 4]\n"
    "    %3 = multiply %x, %2 : f32[B, 4]\n"
    "    return %3\n"
    "  } : f32[B, 4] @workspace+0\n"
    "  %4 = fused \"dense2.forward\" (%1, %w) {kind = elementwise, plan = [4]} {\n"
    "    %5 = broadcast_in_dim %w {dims = [1]} : f32[B, 4]\n"
    "    %6 = multiply %1, %5 : f32[B, 4]\n"
    "    return %6\n"
    "  } : f32[B, 4] @output+0\n"
    "  return %4\n"
    "}\n"
    "func @evaluate(%x : f32[B, 4] @input+0) {\n"
    "  %1 = fused \"dense3.forward\" (%x) {kind = elementwise, plan = [4]} {\n"
    "    %2 = negate %x : f32[B, 4]\n"
    "    return %2\n"
    "  } : f32[B, 4] @worker+0\n"
    "}\n"
    "func @train_step(%x : f32[B, 4] @input+0, %class : f32[B, 4] @input+1) {\n"
    "  %w = param @dense1.weight : f32[4]\n"
    "  %rate = call_value {field = learning_rate} : f32[]\n"
    "  fused \"dense1.update\" (%w, %rate) {kind = elementwise} {\n"
    "    %7 = broadcast_in_dim %rate {dims = []} : f32[4]\n"
    "    %8 = subtract %w, %7 : f32[4]\n"
    "    assign @dense1.weight %8\n"
    "  }\n"
    "}\n";

/* ---- compile ---- */

static void path_of(char *path, const char *name)
{
    sprintf(path, "/tmp/lamina-library-%ld-%s", (long)getpid(), name);
}

static ir_module *parse_module(const char *source)
{
    diag *d = diag_new();
    ir_module *m = ir_parse(source, "tiny.lmir", d);
    text said = {0};
    diag_print(d, &said, false);
    if (!m)
        printf("%s", text_get(&said));
    text_free(&said);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_TRUE_FATAL(be_target("x86-64-v2", m->mem, &m->target, d));
    diag_free(d);
    return m;
}

static void compile_source(const char *source, be_kind kind, const char *path, bool debug_info, text *timing)
{
    ir_module *m = parse_module(source);
    diag *d = diag_new();
    const be_options o = {kind, path, debug_info, timing};
    CU_ASSERT_TRUE_FATAL(be_compile(m, &o, d));
    CU_ASSERT_EQUAL(diag_errors(d), 0);
    diag_free(d);
    ir_module_free(m);
}

static void compile_tiny(be_kind kind, const char *path, bool debug_info, text *timing)
{
    compile_source(tiny, kind, path, debug_info, timing);
}

/* ---- the loaded library and its memory ---- */

typedef struct {
    void *handle;
    const lamina_net *net;
    _Alignas(64) float params[32];
    _Alignas(64) char state[128], workspace[512];
    float x[8][4], z[8][4];
    const void *inputs[2];
    void *outputs[1];
    lamina_call call;
} host;

static void host_open(host *h)
{
    char path[64];
    path_of(path, "net.so");
    compile_tiny(BE_SO, path, true, NULL);
    memset(h, 0, sizeof *h);
    h->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(h->handle);
    unlink(path);
    lamina_query *query, *alias;
    *(void **)&query = dlsym(h->handle, "tiny_net_query");
    *(void **)&alias = dlsym(h->handle, "lamina_net_query");
    CU_ASSERT_PTR_NOT_NULL_FATAL(query);
    CU_ASSERT_PTR_NOT_NULL_FATAL(alias);
    CU_ASSERT_PTR_NULL(query(LAMINA_ABI_MAJOR + 1));
    h->net = query(LAMINA_ABI_MAJOR);
    CU_ASSERT_PTR_NOT_NULL_FATAL(h->net);
    CU_ASSERT_PTR_EQUAL(alias(LAMINA_ABI_MAJOR), h->net);
    for (int i = 0; i < 32; i++)
        h->x[i / 4][i % 4] = (float)i;
    h->inputs[0] = h->x;
    h->inputs[1] = h->x;
    h->outputs[0] = h->z;
    h->call = (lamina_call){.struct_size = sizeof h->call,
                            .batch = 8,
                            .params = h->params,
                            .state = h->state,
                            .inputs = h->inputs,
                            .outputs = h->outputs,
                            .workspace = h->workspace,
                            .workers = 1};
}

static void import(host *h, const float *weight)
{
    void *tensors[4] = {(void *)weight};
    const lamina_weights w = {sizeof w, h->params, h->state, tensors};
    CU_ASSERT_EQUAL_FATAL(h->net->import_weights(&w), LAMINA_CALL_OK);
}

static const float some_weight[] = {1, 2, 3, 4};

static bool outputs_right(const host *h, int batch)
{
    for (int i = 0; i < 4 * batch; i++)
        if (h->z[i / 4][i % 4] != h->x[i / 4][i % 4] * some_weight[i % 4] * some_weight[i % 4])
            return false;
    return true;
}

/* ---- cases ---- */

static void calls(void)
{
    host h;
    host_open(&h);
    import(&h, some_weight);
    CU_ASSERT_EQUAL(h.net->infer(&h.call), LAMINA_CALL_OK);
    CU_ASSERT_TRUE(outputs_right(&h, 8));
    memset(h.z, 0, sizeof h.z);
    h.call.batch = 3;
    CU_ASSERT_EQUAL(h.net->infer(&h.call), LAMINA_CALL_OK);
    CU_ASSERT_TRUE(outputs_right(&h, 3));
    CU_ASSERT_EQUAL(h.z[3][1], 0);
    h.call.learning_rate = 0.25f;
    CU_ASSERT_EQUAL(h.net->train_step(&h.call), LAMINA_CALL_OK);
    float weight[4];
    void *tensors[4] = {weight};
    const lamina_weights w = {sizeof w, h.params, h.state, tensors};
    CU_ASSERT_EQUAL(h.net->export_weights(&w), LAMINA_CALL_OK);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(weight[i], some_weight[i] - 0.25f);
    dlclose(h.handle);
}

/* Weights in panels: the caller sees row-major tensors. */
static void weights_in_panels(void)
{
    enum { ROWS = 3, COLUMNS = 32, WIDTH = 16, COUNT = ROWS * COLUMNS };
    static const char source[] =
        "module @panels {abi = [1], max_batch = [8], params_bytes = [768], state_bytes = [128]}\n"
        "param @wide : f32[3, 32] {panels = [1, 16]} @param+0\n"
        "param @tall : f32[32, 3] {panels = [0, 16]} @param+384\n"
        "state @plain : i64[2] @state+0\n";
    static float wide[COUNT], tall[COUNT], back[2][COUNT];
    static _Alignas(64) float params[2][COUNT];
    static _Alignas(64) int64_t state[16];
    int64_t plain[2] = {7, 8}, plain_back[2] = {0, 0};
    char path[64];
    path_of(path, "panels.so");
    compile_source(source, BE_SO, path, false, NULL);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(handle);
    unlink(path);
    lamina_query *query;
    *(void **)&query = dlsym(handle, "panels_query");
    const lamina_net *net = query(LAMINA_ABI_MAJOR);
    for (int i = 0; i < COUNT; i++) {
        wide[i] = (float)i;
        tall[i] = (float)-i;
    }
    void *tensors[] = {wide, tall, plain}, *tensors_back[] = {back[0], back[1], plain_back};
    lamina_weights w = {sizeof w, params, state, tensors};
    CU_ASSERT_EQUAL_FATAL(net->import_weights(&w), LAMINA_CALL_OK);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++) {
            int resident = c / WIDTH * ROWS * WIDTH + r * WIDTH + c % WIDTH;
            CU_ASSERT_EQUAL(params[0][resident], wide[r * COLUMNS + c]);
            CU_ASSERT_EQUAL(params[1][resident], tall[c * ROWS + r]);
        }
    w.tensors = tensors_back;
    CU_ASSERT_EQUAL_FATAL(net->export_weights(&w), LAMINA_CALL_OK);
    CU_ASSERT_EQUAL(memcmp(back[0], wide, sizeof wide), 0);
    CU_ASSERT_EQUAL(memcmp(back[1], tall, sizeof tall), 0);
    CU_ASSERT_EQUAL(memcmp(plain_back, plain, sizeof plain), 0);
    dlclose(handle);
}

static void refused_calls(void)
{
    host h;
    host_open(&h);
    lamina_call good = h.call;
#define REFUSED(change, status)                                                                                        \
    do {                                                                                                               \
        h.call = good;                                                                                                 \
        change;                                                                                                        \
        CU_ASSERT_EQUAL(h.net->infer(&h.call), status);                                                                \
    } while (0)
    REFUSED(h.call.struct_size = 8, LAMINA_CALL_BAD_SIZE);
    REFUSED(h.call.batch = 0, LAMINA_CALL_BAD_BATCH);
    REFUSED(h.call.batch = -1, LAMINA_CALL_BAD_BATCH);
    REFUSED(h.call.batch = 9, LAMINA_CALL_BAD_BATCH);
    REFUSED(h.call.params = NULL, LAMINA_CALL_BAD_POINTER);
    REFUSED(h.call.params = h.params + 1, LAMINA_CALL_BAD_POINTER);
    REFUSED(h.call.workspace = NULL, LAMINA_CALL_BAD_POINTER);
    REFUSED(h.call.inputs = NULL, LAMINA_CALL_BAD_POINTER);
    REFUSED(h.call.outputs = NULL, LAMINA_CALL_BAD_POINTER);
    REFUSED(h.inputs[0] = NULL, LAMINA_CALL_BAD_POINTER);
    h.inputs[0] = h.x;
    REFUSED(h.call.state = NULL, LAMINA_CALL_OK); /* infer has no use for it */
    REFUSED(h.inputs[1] = NULL, LAMINA_CALL_OK);
#undef REFUSED
    CU_ASSERT_EQUAL(h.net->infer(NULL), LAMINA_CALL_BAD_POINTER);
    const lamina_weights w = {4, h.params, h.state, NULL};
    CU_ASSERT_EQUAL(h.net->import_weights(&w), LAMINA_CALL_BAD_SIZE);
    dlclose(h.handle);
}

/* Tasks backwards, as a host may. */
static void backwards(void *counter, lamina_task *task, void *context, int64_t tasks)
{
    *(int64_t *)counter += tasks;
    while (tasks-- > 0)
        task(context, tasks);
}

static void parallel_calls(void)
{
    host h;
    host_open(&h);
    import(&h, some_weight);
    int64_t handed_out = 0;
    h.call.workers = 2;
    h.call.parallel_for = backwards;
    h.call.host = &handed_out;
    CU_ASSERT_EQUAL(h.net->infer(&h.call), LAMINA_CALL_OK);
    CU_ASSERT_TRUE(outputs_right(&h, 8));
    CU_ASSERT_TRUE(handed_out > 2);
    h.call.workers = 1;
    handed_out = 0;
    CU_ASSERT_EQUAL(h.net->infer(&h.call), LAMINA_CALL_OK);
    CU_ASSERT_EQUAL(handed_out, 0);
    dlclose(h.handle);
}

/* evaluate writes into the memory of workers, which is behind the workspace of inference: every example is done by one
 * launch, in that launch's memory. The last one runs first here, and leaves the others nothing to take. */
static void worker_memory(void)
{
    for (int workers = 1; workers <= 2; workers++) {
        host h;
        host_open(&h);
        int64_t handed_out = 0;
        h.call.workers = workers;
        h.call.parallel_for = backwards;
        h.call.host = &handed_out;
        CU_ASSERT_EQUAL(h.net->evaluate(&h.call), LAMINA_CALL_OK);
        CU_ASSERT_EQUAL(handed_out, workers > 1 ? workers : 0);
        for (int worker = 0; worker < 2; worker++) {
            float slice[8][4];
            memcpy(slice, h.workspace + 128 + worker * 128, sizeof slice);
            for (int i = 0; i < 8; i++)
                CU_ASSERT_EQUAL(slice[i][1], worker == workers - 1 ? -h.x[i][1] : 0);
        }
        dlclose(h.handle);
    }
}

static void cancelling(void)
{
    host h;
    host_open(&h);
    int32_t cancel = 0;
    h.call.cancel = &cancel;
    CU_ASSERT_EQUAL(h.net->infer(&h.call), LAMINA_CALL_OK);
    cancel = 1;
    CU_ASSERT_EQUAL(h.net->infer(&h.call), LAMINA_CALL_CANCELLED);
    CU_ASSERT_EQUAL(h.net->train_step(&h.call), LAMINA_CALL_OK);
    dlclose(h.handle);
}

static void descriptor(void)
{
    host h;
    host_open(&h);
    const lamina_net *n = h.net;
    CU_ASSERT_EQUAL(n->struct_size, sizeof *n);
    CU_ASSERT_STRING_EQUAL(n->name, "tiny-net");
    CU_ASSERT_STRING_EQUAL(n->hash, "a1b2");
    CU_ASSERT_STRING_EQUAL(n->cpu, "x86-64-v2");
    CU_ASSERT_PTR_NOT_NULL(strstr(n->features, "sse4.2"));
    CU_ASSERT_EQUAL(n->max_batch, 8);
    CU_ASSERT_EQUAL(n->workspace_bytes, 256);
    CU_ASSERT_EQUAL(n->inference_state_bytes, 72);
    CU_ASSERT_EQUAL(n->inference_workspace_bytes, 128);
    CU_ASSERT_EQUAL(n->inference_worker_bytes, 128); /* all there is, where the module does not say */
    CU_ASSERT_EQUAL_FATAL(n->tensor_count, 4);
    CU_ASSERT_EQUAL(n->param_count, 2);
    CU_ASSERT_EQUAL(n->input_count, 2);
    CU_ASSERT_EQUAL(n->output_count, 1);
    const lamina_tensor *t = &n->tensors[0];
    CU_ASSERT_STRING_EQUAL(t->name, "dense1.weight");
    CU_ASSERT_EQUAL(t->init, LAMINA_INIT_UNIFORM);
    CU_ASSERT_EQUAL(t->init_a, -1);
    CU_ASSERT_EQUAL(t->stream, 4294967295u);
    CU_ASSERT_EQUAL(t->bytes, 16);
    CU_ASSERT_EQUAL(n->tensors[1].offset, 64);
    CU_ASSERT_EQUAL(n->tensors[3].kind, LAMINA_TENSOR_STATE);
    CU_ASSERT_STRING_EQUAL(n->inputs[1].name, "class");
    CU_ASSERT_EQUAL(n->inputs[0].batch_dim, 0);
    CU_ASSERT_EQUAL(n->inputs[0].dim[1], 4);
    CU_ASSERT_EQUAL(n->metrics[0].sum, 2);
    CU_ASSERT_EQUAL(n->metrics[0].count, 3);
    CU_ASSERT_EQUAL(n->rate.a, 0.5);
    CU_ASSERT_PTR_NULL(n->gradients);
    CU_ASSERT_PTR_NULL(n->stages);
    dlclose(h.handle);
}

/* Here the table says what C says; for pointers of 4 bytes, what C says on wasm32 and ARM. */
static void abi_places(void)
{
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_call, struct_size), 8), offsetof(lamina_call, struct_size));
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_call, loss_scale), 8), offsetof(lamina_call, loss_scale));
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_call, sgemm), 8), offsetof(lamina_call, sgemm));
    CU_ASSERT_EQUAL(abi_offset(ABI_SIZE(lamina_call), 8), sizeof(lamina_call));
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_tensor, bytes), 8), offsetof(lamina_tensor, bytes));
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_net, infer), 8), offsetof(lamina_net, infer));
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_net, needs), 8), offsetof(lamina_net, needs));
    CU_ASSERT_EQUAL(abi_offset(ABI_SIZE(lamina_net), 8), sizeof(lamina_net));
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_call, params), 4), 16);
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_call, state), 4), 20);
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_call, workers), 4), 48); /* after 7 pointers and 4 bytes of padding */
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_call, sgemm), 4), 84);
    CU_ASSERT_EQUAL(abi_offset(ABI_SIZE(lamina_call), 4), 88);
    CU_ASSERT_EQUAL(abi_offset(ABI(lamina_tensor, dim), 4), 24);
    CU_ASSERT_EQUAL(abi_offset(ABI_SIZE(lamina_metric), 4), 20);
    CU_ASSERT_EQUAL(abi_offset(ABI_SIZE(lamina_stage), 4), 20);
}

static int shell(const char *format, const char *a, const char *b, const char *c)
{
    char command[1024];
    snprintf(command, sizeof command, format, a, b, c);
    int status = system(command);
    return status;
}

static const char program[] = "#include \"net.h\"\n"
                              "static float x[8][4] = {{1, 2, 3, 4}}, z[8][4], weight[4] = {1, 2, 3, 4};\n"
                              "static char memory[1024];\n"
                              "int main(void)\n"
                              "{\n"
                              "    char *aligned = memory + (64 - (size_t)memory % 64) % 64;\n"
                              "    tiny_net_memory net = {};\n"
                              "    void *tensors[TINY_NET_TENSORS] = {};\n"
                              "    lamina_weights weights = {sizeof weights, aligned, aligned + 128, tensors};\n"
                              "    tensors[TINY_NET_TENSOR_DENSE1_WEIGHT] = weight;\n"
                              "    net.params = aligned;\n"
                              "    net.state = aligned + 128;\n"
                              "    net.workspace = aligned + 256;\n"
                              "    if (tiny_net_import_weights(&weights) != LAMINA_CALL_OK)\n"
                              "        return 1;\n"
                              "    if (tiny_net_run_infer(&net, 1, x[0], z[0], NULL) != LAMINA_CALL_OK)\n"
                              "        return 2;\n"
                              "    if (tiny_net_run_train_step(&net, 1, x[0], x[0], 0.5f) != LAMINA_CALL_OK)\n"
                              "        return 3;\n"
                              "    if (TINY_NET_WORKSPACE_BYTES_INFERENCE(3) != 128 + 3 * 128)\n"
                              "        return 5;\n"
                              "    if (TINY_NET_STATE_BYTES_INFERENCE != 72)\n"
                              "        return 6;\n"
                              "    return z[0][3] == 64 && ((float *)aligned)[0] == 0.5f ? 0 : 4;\n"
                              "}\n";

static void write_text(const char *path, const char *words)
{
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(words, f);
    fclose(f);
}

/* The header and the archive in a program of C99 and of C++17, no warning allowed. */
static void programs(void)
{
    char folder[64], path[96];
    path_of(folder, "programs");
    mkdir(folder, 0777);
    sprintf(path, "%s/net.h", folder);
    compile_tiny(BE_HEADER, path, false, NULL);
    sprintf(path, "%s/net.a", folder);
    compile_tiny(BE_ARCHIVE, path, false, NULL);
    sprintf(path, "%s/main.c", folder);
    write_text(path, program);
    static const char c99[] = "cd %s && sed 's/{};/{0};/' main.c >c.c && cc -std=c99 -pedantic -Wall -Wextra -Wshadow "
                              "-Wstrict-prototypes -Werror -I%s/runtime c.c net.a -o c%s && ./c";
    static const char cpp17[] = "cd %s && cp main.c p.cc && c++ -std=c++17 -pedantic -Wall -Wextra -Wshadow -Werror "
                                "-I%s/runtime p.cc net.a -o p%s && ./p";
    if (shell("command -v cc >/dev/null%s%s%s", "", "", "") == 0)
        CU_ASSERT_EQUAL(shell(c99, folder, LAMINA_SOURCE_DIR, ""), 0);
    if (shell("command -v c++ >/dev/null%s%s%s", "", "", "") == 0)
        CU_ASSERT_EQUAL(shell(cpp17, folder, LAMINA_SOURCE_DIR, ""), 0);
    shell("rm -r '%s'%s%s", folder, "", "");
}

static bool file_has(const char *path, const char *words)
{
    text t = {0};
    CU_ASSERT_TRUE_FATAL(text_read_file(&t, path));
    bool found = false;
    size_t n = strlen(words);
    for (size_t i = 0; !found && i + n <= t.length; i++)
        found = memcmp(t.bytes + i, words, n) == 0;
    text_free(&t);
    return found;
}

static void kinds_of_files(void)
{
    char path[64];
    path_of(path, "file");
    text timing = {0};
    compile_tiny(BE_LLVM, path, true, NULL);
    CU_ASSERT_TRUE(file_has(path, "@tiny_net_infer"));
    CU_ASSERT_TRUE(file_has(path, "DISubprogram(name: \"dense1.forward\""));
    compile_tiny(BE_ASM, path, false, &timing);
    CU_ASSERT_TRUE(file_has(path, "dense1.forward:"));
    CU_ASSERT_FALSE(file_has(path, "dense2.forward:")); /* the same nest: one body */
    CU_ASSERT_PTR_NOT_NULL(strstr(text_get(&timing), "lower "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text_get(&timing), "llvm "));
    compile_tiny(BE_OBJECT, path, false, NULL);
    CU_ASSERT_TRUE(file_has(path, "\x7f"
                                  "ELF"));
    unlink(path);
    text_free(&timing);
}

/* Equal modules give equal bytes, and a library asks for nothing but memcpy and its like. */
static void one_library(void)
{
    char first[64], second[64];
    path_of(first, "1.o");
    path_of(second, "2.o");
    compile_tiny(BE_OBJECT, first, true, NULL);
    compile_tiny(BE_OBJECT, second, true, NULL);
    CU_ASSERT_EQUAL(shell("cmp -s %s %s%s", first, second, ""), 0);
    compile_tiny(BE_SO, first, false, NULL);
    if (shell("command -v nm >/dev/null%s%s%s", "", "", "") == 0)
        CU_ASSERT_EQUAL(
            shell("test -z \"$(nm -D --undefined-only %s | grep -vE ' (memcpy|memmove|memset)$')\"%s%s", first, "", ""),
            0);
    unlink(first);
    unlink(second);
}

/* The linker must not take such a name for an option. */
static void name_like_an_option(void)
{
    char folder[64], before[4096];
    path_of(folder, "dash");
    CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(before, sizeof before));
    CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0777), 0);
    CU_ASSERT_EQUAL_FATAL(chdir(folder), 0);
    compile_tiny(BE_SO, "-shared.so", false, NULL);
    CU_ASSERT_TRUE(file_has("./-shared.so", "ELF"));
    CU_ASSERT_EQUAL(unlink("./-shared.so"), 0);
    CU_ASSERT_EQUAL(chdir(before), 0);
    CU_ASSERT_EQUAL(rmdir(folder), 0); /* nothing else is left in it */
}

static void unknown_target(void)
{
    ir_module *m = parse_module(tiny);
    diag *d = diag_new();
    m->target.cpu = "pentium-pro";
    const be_options o = {BE_OBJECT, "/nowhere/at/all", false, NULL};
    CU_ASSERT_FALSE(be_compile(m, &o, d));
    CU_ASSERT_EQUAL(diag_errors(d), 1);
    diag_free(d);
    ir_module_free(m);
}

void suite_backend_library(void)
{
    CU_pSuite s = CU_add_suite("backend library", NULL, NULL);
    CU_add_test(s, "calls", calls);
    CU_add_test(s, "weights in panels", weights_in_panels);
    CU_add_test(s, "refused calls", refused_calls);
    CU_add_test(s, "parallel calls", parallel_calls);
    CU_add_test(s, "memory of workers", worker_memory);
    CU_add_test(s, "cancelling", cancelling);
    CU_add_test(s, "descriptor", descriptor);
    CU_add_test(s, "programs in C and C++", programs);
    CU_add_test(s, "places of the ABI's fields", abi_places);
    CU_add_test(s, "kinds of files", kinds_of_files);
    CU_add_test(s, "one library", one_library);
    CU_add_test(s, "a name like an option", name_like_an_option);
    CU_add_test(s, "unknown target", unknown_target);
}
