/* tests/unit/test_runtime_errors.c - every error text of the runtime is provoked by some test. The tests of data,
 * models and training provoke most of them, and this file the others. Then the sources are searched for texts that
 * nobody saw. */
#include "backend/backend.h"
#include "runtime/base/memory.h"
#include "runtime/data/data.h"
#include "runtime/data/idx.h"
#include "runtime/files/safetensors.h"
#include "tests/unit/formats.h"
#include "tests/unit/net_run.h"
#include "tests/unit/runtime_case.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static int32_t fail_weights(const lamina_weights *w)
{
    (void)w;
    return 5;
}

static int32_t fail_call(const lamina_call *c)
{
    (void)c;
    return LAMINA_CALL_BAD_POINTER;
}

/* A net that lacks functions, or whose functions fail. */
static void test_broken_functions(void)
{
    float out[20] = {0};
    void *const outputs[] = {out};
    lamina_model *m = NULL;
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    OK(lamina_model_new(&net, NULL, &m, &error));
    net.infer = fail_call;
    FAILS(lamina_infer(m, pattern, 1, outputs, &error), LAMINA_BAD_ARG, "fake: infer failed with result");
    SAYS("a segment is missing or not aligned to 64 bytes");
    net.infer = NULL;
    FAILS(lamina_infer(m, pattern, 1, outputs, &error), LAMINA_BAD_ARG, "fake: compiled without infer");
    net.stage_count = 0;
    net.update = NULL;
    FAILS(lamina_update(m, &error), LAMINA_BAD_ARG, "fake: compiled without update");
    FAILS(lamina_gradients(m, pattern, 8, 3, 1, &error), LAMINA_BAD_ARG, "compiled without gradients");
    net.update = fake_net_query(LAMINA_ABI_MAJOR)->update;
    FAILS(lamina_update(m, &error), LAMINA_BAD_ARG, "update: expected gradients of this step before it, found none");
    FAILS(lamina_gradients(m, pattern, 8, 3, 1, &error), LAMINA_BAD_ARG,
          "micro_batch: expected 0 or the next, 0, found 3");
    FAILS(lamina_reserve(m, 0, &error), LAMINA_BAD_ARG, "micro_batches: expected 1 or more, found 0");
    net.import_weights = fail_weights;
    FAILS(lamina_set_tensor(m, "dense1.bias", out, 4, &error), LAMINA_BAD_ARG,
          "moving tensor 'dense1.bias' failed with result 5");
    net.import_weights = NULL;
    FAILS(lamina_set_tensor(m, "dense1.bias", out, 4, &error), LAMINA_UNSUPPORTED, "compiled without functions");
    lamina_model_free(m);
}

static void test_broken_descriptors(void)
{
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    lamina_model *m;
    FAILS(lamina_model_new(&net, &(lamina_options){.workers = -1}, &m, &error), LAMINA_BAD_ARG,
          "fake: workers: expected 0 or more, found -1");
    net.rate.kind = 10;
    FAILS(lamina_net_check(&net, &error), LAMINA_UNSUPPORTED, "fake: learning rate of unknown kind 10");
    net = *fake_net_query(LAMINA_ABI_MAJOR);
    lamina_tensor inputs[] = {net.inputs[0], net.inputs[1]};
    inputs[1].rank = LAMINA_MAX_RANK + 1;
    net.inputs = inputs;
    FAILS(lamina_net_check(&net, &error), LAMINA_UNSUPPORTED, "tensor 'y': expected a type and rank known to ABI 1.8");
    net = *fake_net_query(LAMINA_ABI_MAJOR);
    net.needs = 1 << 20;
    FAILS(lamina_net_check(&net, &error), LAMINA_UNSUPPORTED, "needs more of its host than this runtime's 1.8 gives");
    net.struct_size = offsetof(lamina_net, needs); /* version 1.0, which said nothing of it */
    OK(lamina_net_check(&net, &error));
}

static int32_t want_sgemm(const lamina_call *c)
{
    return c->sgemm ? LAMINA_CALL_OK : LAMINA_CALL_NO_SGEMM;
}

static void make_library(const char *name, const char *source)
{
    char command[512], c[128];
    strcpy(c, path_of("net.c"));
    write_file(c, source, strlen(source));
    snprintf(command, sizeof command, "cc -shared -fPIC -o %s %s", path_of(name), c);
    CU_ASSERT_EQUAL(system(command), 0);
    unlink(c);
}

/* OpenBLAS: not needed, needed and there, missing, not what it should be. */
static void test_sgemm(void)
{
    float out[20] = {0};
    void *const outputs[] = {out};
    lamina_model *m = NULL;
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    net.infer = want_sgemm;
    OK(lamina_model_new(&net, NULL, &m, &error));
    FAILS(lamina_infer(m, pattern, 1, outputs, &error), LAMINA_BAD_ARG, "it needs an sgemm of the host's");
    lamina_model_free(m);
    net.needs = LAMINA_NEEDS_SGEMM;
    OK(lamina_model_new(&net, NULL, &m, &error));
    OK(lamina_infer(m, pattern, 1, outputs, &error));
    lamina_model_free(m);
    make_library("blas.so", "int cblas_sgemm;\n");
    setenv("LAMINA_OPENBLAS", path_of("blas.so"), 1);
    FAILS(lamina_model_new(&net, NULL, &m, &error), LAMINA_UNSUPPORTED, "no function openblas_set_num_threads");
    unlink(path_of("blas.so"));
    setenv("LAMINA_OPENBLAS", path_of("none.so"), 1);
    FAILS(lamina_model_new(&net, NULL, &m, &error), LAMINA_UNSUPPORTED, "cannot load OpenBLAS: ");
    unsetenv("LAMINA_OPENBLAS");
}

/* A system without room for another stack. */
static void test_no_thread(void)
{
    lamina_pool *p;
    pthread_attr_t usual, huge;
    CU_ASSERT_EQUAL_FATAL(pthread_getattr_default_np(&usual), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_getattr_default_np(&huge), 0);
    pthread_attr_setstacksize(&huge, (size_t)1 << 60);
    CU_ASSERT_EQUAL_FATAL(pthread_setattr_default_np(&huge), 0);
    FAILS(lamina_pool_new(3, false, &p, &error), LAMINA_NO_MEMORY, "cannot start worker 2 of 3");
    CU_ASSERT_EQUAL(pthread_setattr_default_np(&usual), 0);
    pthread_attr_destroy(&usual);
    pthread_attr_destroy(&huge);
}

static void test_data_sets(void)
{
    const float x[FAKE_INPUTS] = {0};
    lamina_dataset *d, *part;
    lamina_net net = *fake_net_query(LAMINA_ABI_MAJOR);
    OK(lamina_dataset_new(&net, &d, &error));
    FAILS(lamina_dataset_add(d, "x", x, 0, &error), LAMINA_BAD_ARG, "input 'x': expected 1 or more records, found 0");
    FAILS(lamina_dataset_check_labels(d, "y", 3, &error), LAMINA_BAD_ARG, "expected integer labels, found no data");
    OK(lamina_dataset_add(d, "x", pattern_x, 20, &error));
    FAILS(lamina_dataset_check_labels(d, "x", 3, &error), LAMINA_BAD_ARG, "expected integer labels, found f32");
    OK(lamina_dataset_split(d, 0.5, 1, &part, &error));
    FAILS(lamina_dataset_add(d, "y", pattern_y, 20, &error), LAMINA_BAD_ARG, "that was split takes no more data");
    lamina_dataset_free(part);
    lamina_dataset_free(d);
    net.input_count = 0;
    lamina_loader l;
    OK(lamina_dataset_new(&net, &d, &error));
    FAILS(lamina_loader_new(d, 1, false, &l, &error), LAMINA_BAD_ARG, "fake: expected 1 or more records, found none");
    lamina_dataset_free(d);
}

/* Cuts a file between its header's length and the header itself, as another program might. */
static bool cut_file(void *path, size_t bytes)
{
    (void)bytes;
    return truncate(path, 8) == 0;
}

static void test_failing_reads(void)
{
    lamina_array x;
    FAILS(lamina_idx_read("/proc/self/mem", &x, &error), LAMINA_IO, "/proc/self/mem: cannot read: Input/output error");
    lamina_model *m = new_model(1, false);
    OK(lamina_save_weights(m, path_of("w.st"), &error));
    char path[128];
    strcpy(path, path_of("w.st"));
    lamina_set_allocation_hook(cut_file, path);
    FAILS(lamina_load_weights(m, path, &error), LAMINA_IO, "w.st: cannot read: it became shorter");
    lamina_set_allocation_hook(NULL, NULL);
    lamina_model_free(m);
}

/* Metadata of a checkpoint whose checksum is right, but that no lamina_save_checkpoint writes. */
static void test_checkpoint_of_words(void)
{
    lamina_checkpoint c = {.epoch = 7}, odd = {.step = -1};
    lamina_model *m = new_model(1, false);
    char file[4096] = {0}, path[128];
    strcpy(path, path_of("c.st"));
    FAILS(lamina_save_checkpoint(m, &odd, path, &error), LAMINA_BAD_ARG, "step: expected 0 or more, found -1");
    OK(lamina_save_checkpoint(m, &c, path, &error));
    size_t n = read_file(path, file, sizeof file);
    char *epoch = strstr(file + 8, "\"7\"");
    CU_ASSERT_PTR_NOT_NULL_FATAL(epoch);
    epoch[1] = 'x';
    seal(file, n);
    write_file(path, file, n);
    FAILS(lamina_load_checkpoint(m, path, &c, &c, &error), LAMINA_BAD_FILE, "expected a number, found 'x'");
    /* 500 digits: the data move up, and the header's length says so */
    memmove(epoch + 1 + 504, epoch + 1, n - (size_t)(epoch + 1 - file));
    memset(epoch + 1, '7', 504);
    unsigned length = (unsigned char)file[0] + 256u * (unsigned char)file[1] + 504;
    file[0] = (char)length;
    file[1] = (char)(length >> 8);
    seal(file, n + 504);
    write_file(path, file, n + 504);
    FAILS(lamina_load_checkpoint(m, path, &c, &c, &error), LAMINA_BAD_FILE,
          "metadata: 'epoch': expected less than 96 characters, found 505");
    write_file(path, "\2\0\0\0\0\0\0\0{}", 10);
    FAILS(lamina_load_checkpoint(m, path, &c, &c, &error), LAMINA_BAD_FILE, "it does not begin with a checksum");
    OK(lamina_save_weights(m, path, &error));
    FAILS(lamina_load_checkpoint(m, path, &c, &c, &error), LAMINA_BAD_FILE, "its metadata lack 'epoch'");
    lamina_model_free(m);
}

static bool no_tensor(void *user, int32_t tensor)
{
    (void)user, (void)tensor;
    return false;
}

/* Some tensors of another network's file: those that are known, if one is and they have the shapes. */
static void test_some_tensors(void)
{
    lamina_model *m = new_model(1, false), *other = new_model(1, false);
    float p[FAKE_INPUTS + 1], q[FAKE_INPUTS + 1] = {0};
    OK(lamina_set_tensor(m, "dense1.bias", &q[0], 4, &error));
    OK(lamina_save_weights(m, path_of("w.st"), &error));
    lamina_tensor_set set = lamina_tensors_to_read(other, false);
    lamina_tensor tensors[2] = {set.tensors[0], set.tensors[1]};
    set.tensors = tensors;
    set.count = 2;
    set.required = no_tensor;
    set.some = true;
    get_params(other, p);
    tensors[0].name = "dense1.other";
    OK(lamina_safetensors_read(&set, path_of("w.st"), NULL, 0, NULL, NULL, &error));
    get_params(other, q);
    CU_ASSERT_EQUAL(memcmp(p, q, 4 * FAKE_INPUTS), 0);
    CU_ASSERT_EQUAL(q[FAKE_INPUTS], 0);
    tensors[0].name = "dense1.weight";
    tensors[0].dim[0] = 2;
    tensors[1].dtype = LAMINA_I32;
    FAILS(lamina_safetensors_read(&set, path_of("w.st"), NULL, 0, NULL, NULL, &error), LAMINA_BAD_FILE,
          "tensors that differ from those of network 'fake': 'dense1.");
    SAYS("'dense1.weight' expected F32[2, 1], found F32[3, 1]");
    SAYS("'dense1.bias' expected I32[1], found F32[1]");
    tensors[0].name = tensors[1].name = "other";
    FAILS(lamina_safetensors_read(&set, path_of("w.st"), NULL, 0, NULL, NULL, &error), LAMINA_BAD_FILE,
          "none of its tensors has the name of one of network 'fake'");
    lamina_model_free(other);
    lamina_model_free(m);
}

/* Libraries that answer to another ABI, and to none. */
static void test_other_versions(void)
{
    static const char *const bodies[] = {"return v == 7 ? &v : (int *)0;", "return (int *)0;"};
    static const char *const says[] = {"compiled for ABI 7, this runtime has ABI 1", "compiled for an unknown ABI"};
    lamina_library *l;
    for (int i = 0; i < 2; i++) {
        char source[128];
        snprintf(source, sizeof source, "int *lamina_net_query(int w) { static int v; v = w; %s }\n", bodies[i]);
        make_library("net.so", source);
        FAILS(lamina_library_open(path_of("net.so"), &l, &error), LAMINA_UNSUPPORTED, says[i]);
        unlink(path_of("net.so"));
    }
}

/* A name that is data, and a library that lacks another one. */
static void test_odd_libraries(void)
{
    lamina_library *l;
    make_library("net.so", "int lamina_net_query = 1;\n");
    FAILS(lamina_library_open(path_of("net.so"), &l, &error), LAMINA_BAD_FILE, "no function lamina_net_query");
    make_library("net.so", "int nowhere(void); int lamina_net_query(int v) { return nowhere(); }\n");
    FAILS(lamina_library_open(path_of("net.so"), &l, &error), LAMINA_IO, "net.so: cannot load: ");
    SAYS("nowhere");
    unlink(path_of("net.so"));
}

/* A partial copy, however long, is refused before it is mapped; so is a broken header of segments. */
static void test_cut_libraries(void)
{
    enum { MOST = 1 << 20, CUTS = 1000 };
    char *bytes = malloc(MOST), path[128];
    lamina_library *l;
    strcpy(path, path_of("net.so"));
    make_library("net.so", "int *lamina_net_query(int w) { return (int *)0; }\n");
    size_t n = read_file(path, bytes, MOST);
    for (size_t i = 0; i < CUTS; i++) {
        CU_ASSERT_EQUAL_FATAL(truncate(path, (off_t)(n * (CUTS - 1 - i) / CUTS)), 0);
        CU_ASSERT_EQUAL(lamina_library_open(path, &l, &error), LAMINA_BAD_FILE);
    }
    bytes[64 + 8 + 5] ^= 1; /* where the first segment begins in the file */
    write_file(path, bytes, n);
    FAILS(lamina_library_open(path, &l, &error), LAMINA_BAD_FILE, "truncated: the library's parts do not all lie");
    unlink(path);
    free(bytes);
}

static void compile_library(const char *path)
{
    ir_module *m = net_module(LAMINA_TESTS_DIR "/nets/mlp.yaml", &(net_variant){0});
    diag *d = diag_new();
    const be_options o = {BE_SO, path, true, NULL};
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_TRUE_FATAL(be_compile(m, &o, d));
    diag_free(d);
    ir_module_free(m);
}

/* What comes of opening the library while one bit is changed. */
static lamina_status open_flipped(int fd, const char *path, size_t bit)
{
    unsigned char byte, changed;
    lamina_library *l;
    CU_ASSERT_EQUAL_FATAL(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
    changed = byte ^ (unsigned char)(1 << bit % 8);
    CU_ASSERT_EQUAL_FATAL(pwrite(fd, &changed, 1, (off_t)(bit / 8)), 1);
    lamina_status s = lamina_library_open(path, &l, &error);
    lamina_library_free(l);
    CU_ASSERT_EQUAL_FATAL(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
    return s;
}

/* A changed bit is found wherever it is, before any code of the library runs. One in the word that says that there is a
 * checksum leaves the library whole. */
static void test_flipped_libraries(void)
{
    enum { FLIPS = 1000, HEADER = 64 * 8, WORD = 8 * LAMINA_SEAL_WORD, DIGITS = 32 };
    char path[128];
    strcpy(path, path_of("net.so"));
    compile_library(path);
    int fd = open(path, O_RDWR);
    size_t end = 8 * (size_t)lseek(fd, 0, SEEK_END) - WORD - DIGITS, missed = 0;
    CU_ASSERT_TRUE_FATAL(fd >= 0 && end > (size_t)8 * 1000);
    for (size_t i = 0; i < FLIPS; i++)
        missed += open_flipped(fd, path, (size_t)(i * 0x9e3779b97f4a7c15u >> 20) % end) != LAMINA_BAD_FILE;
    for (size_t i = 0; i < HEADER; i++)
        missed += open_flipped(fd, path, i) != LAMINA_BAD_FILE;
    for (size_t i = 0; i < DIGITS; i++)
        missed += open_flipped(fd, path, end + WORD + i) != LAMINA_BAD_FILE;
    CU_ASSERT_EQUAL(missed, 0);
    FAILS(open_flipped(fd, path, end / 2), LAMINA_BAD_FILE,
          "net.so: damaged, or changed since it was linked: expected the checksum ");
    for (size_t i = 0; i < WORD; i++)
        CU_ASSERT_EQUAL(open_flipped(fd, path, end + i), LAMINA_OK);
    close(fd);
    unlink(path);
}

/* What strip makes of a library is smaller and has no checksum left. */
static void test_stripped_library(void)
{
    char path[128], command[256];
    lamina_library *l;
    if (system("command -v strip >/dev/null") != 0)
        return;
    strcpy(path, path_of("net.so"));
    compile_library(path);
    snprintf(command, sizeof command, "strip %s", path);
    CU_ASSERT_EQUAL(system(command), 0);
    OK(lamina_library_open(path, &l, &error));
    lamina_library_free(l);
    unlink(path);
}

static void test_every_text_was_seen(void)
{
    static const format_reporter reporters[] = {{"lamina_fail(", 2, NULL, NULL}, {0}};
    int missing = 0;
    format_scan scan = {.root = LAMINA_SOURCE_DIR,
                        .folder = "runtime",
                        .reporters = reporters,
                        .seen = text_get(&error_texts),
                        .cases = "tests/unit/test_runtime*.c"};
    CU_ASSERT(formats_check(&scan, &missing) > 0);
    CU_ASSERT_EQUAL(missing, 0);
    text_free(&error_texts);
}

void add_runtime_errors(CU_pSuite s)
{
    CU_add_test(s, "broken functions", test_broken_functions);
    CU_add_test(s, "broken descriptors", test_broken_descriptors);
    CU_add_test(s, "sgemm", test_sgemm);
    CU_add_test(s, "no thread", test_no_thread);
    CU_add_test(s, "data sets", test_data_sets);
    CU_add_test(s, "failing reads", test_failing_reads);
    CU_add_test(s, "a checkpoint with words for numbers", test_checkpoint_of_words);
    CU_add_test(s, "some tensors of a file", test_some_tensors);
    CU_add_test(s, "libraries of other versions", test_other_versions);
    CU_add_test(s, "odd libraries", test_odd_libraries);
    CU_add_test(s, "cut libraries", test_cut_libraries);
    CU_add_test(s, "libraries with a changed bit", test_flipped_libraries);
    CU_add_test(s, "a stripped library", test_stripped_library);
    CU_add_test(s, "every error text was seen", test_every_text_was_seen);
}
