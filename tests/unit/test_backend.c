/* tests/unit/test_backend.c - what a loop nest is made of, in generated code: masked, strided and broadcast memory;
 * loops; folds; random numbers. Then the files that the backend writes. Elementwise operators: test_elementwise.c. */
#include "backend/library/link.h"
#include "tests/unit/bare_kernels.h"
#include <CUnit/CUnit.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory ---- */

/* A page that ends where nothing may be touched; *end is its last byte's successor. */
static char *guarded_page(char **end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(at, MAP_FAILED);
    mprotect(at + page, page, PROT_NONE);
    *end = at + page;
    return at;
}

/* out[i] = in[i * stride] for i < B in one vector; the count of live lanes is B or a constant. */
static void build_move(fixture *f, const char *name, ir_dtype t, int lanes, int64_t from, int64_t to, int constant)
{
    nest_kernel *k = fixture_kernel(f, name);
    int in = fixture_buffer(k, "in", t), out = fixture_buffer(k, "out", t);
    nest_value *active = constant < 0 ? nest_batch(k) : NULL, *zero = nest_i64(k, 0);
    nest_value *x = nest_load(k, in, zero, 0, from, lanes, constant, active);
    nest_store(k, out, zero, 0, to, x, constant, active);
}

typedef struct {
    const char *name;
    ir_dtype dtype;
    int lanes;
    int64_t from, to;
    int constant; /* live lanes, or -1: B */
} move_case;

static const move_case moves[] = {
    {"contiguous", IR_F32, 16, 1, 1, -1}, {"contiguous_7", IR_F32, 16, 1, 1, 7}, {"bytes", IR_UI8, 16, 1, 1, -1},
    {"bytes_5", IR_UI8, 16, 1, 1, 5},     {"doubles", IR_F64, 8, 1, 1, -1},      {"longs", IR_I64, 16, 1, 1, -1},
    {"gather", IR_F32, 16, 3, 1, -1},     {"gather_5", IR_F32, 16, 3, 1, 5},     {"gather_bytes", IR_UI8, 8, 3, 1, -1},
    {"scatter", IR_F32, 16, 1, 3, -1},    {"scatter_9", IR_F32, 16, 1, 3, 9},    {"broadcast", IR_F32, 16, 0, 1, -1},
    {"broadcast_3", IR_F32, 16, 0, 1, 3}, {"scalar", IR_F32, 1, 1, 1, -1},       {"bits", IR_I1, 16, 1, 1, -1},
    {"backwards", IR_F32, 8, -1, 1, -1},
};

/* Both vectors end at the guard: a lane too many is a fault, a lane too few a difference. */
static void check_move(fixture *f, const move_case *c, int live)
{
    char *end[2], *page[2] = {guarded_page(&end[0]), guarded_page(&end[1])};
    int64_t size = ir_dtype_size(c->dtype), last = live > 0 ? live - 1 : 0;
    int64_t back = c->from < 0 ? 0 : last * c->from;
    char *in = end[0] - (back + 1) * size, *out = end[1] - (last * c->to + 1) * size;
    random_elements(c->dtype, page[0], (end[0] - page[0]) / size);
    void *buffers[] = {in, out};
    fixture_run(f, c->name, live, buffers);
    for (int64_t i = 0; i < live; i++)
        CU_ASSERT_EQUAL(memcmp(out + i * c->to * size, in + i * c->from * size, (size_t)size), 0);
    munmap(page[0], (size_t)(2 * (end[0] - page[0])));
    munmap(page[1], (size_t)(2 * (end[1] - page[1])));
}

static void memory(void)
{
    static const char *const cpus[] = {"x86-64", "x86-64-v3", "x86-64-v4"};
    for (size_t c = 0; c < COUNT(cpus) && fixture_host_runs(cpus[c]); c++) {
        fixture f;
        fixture_open(&f, cpus[c]);
        for (size_t i = 0; i < COUNT(moves); i++)
            build_move(&f, moves[i].name, moves[i].dtype, moves[i].lanes, moves[i].from, moves[i].to,
                       moves[i].constant);
        fixture_load(&f);
        for (size_t i = 0; i < COUNT(moves); i++)
            if (moves[i].constant >= 0)
                check_move(&f, &moves[i], moves[i].constant);
            else
                for (int live = 0; live <= moves[i].lanes; live++)
                    check_move(&f, &moves[i], live);
        fixture_close(&f);
    }
}

/* ---- loops, folds, lanes ---- */

/* out[0] = fold of the sum over i < B of x[16 i ..] * x[16 i ..] */
static void build_dot(fixture *f)
{
    nest_kernel *k = fixture_kernel(f, "dot");
    int in = fixture_buffer(k, "x", IR_F32), out = fixture_buffer(k, "out", IR_F32);
    nest_block *outer;
    nest_value *zero = nest_const(k, IR_F32, 16, 0);
    nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), nest_batch(k), 1, &zero, 1, &outer);
    nest_value *x = nest_load(k, in, nest_mul(k, nest_loop_index(loop), 16), 0, 1, 16, 16, NULL);
    nest_value *sum = nest_fma(k, x, x, loop->carry[0]);
    nest_loop_end(k, loop, &sum, outer);
    nest_store(k, out, nest_i64(k, 0), 0, 1, nest_fold(k, IR_ADD, loop->final[0]), 1, NULL);
}

/* out[0..] = what two nested loops with constant trips count, and a loop that never runs: 12, 5 + 3, 7 */
static void build_trips(fixture *f)
{
    nest_kernel *k = fixture_kernel(f, "trips");
    int out = fixture_buffer(k, "out", IR_I64);
    nest_block *outer, *middle;
    nest_value *zero = nest_i64(k, 0), *seven = nest_i64(k, 7);
    nest_value *a = nest_loop_begin(k, zero, nest_i64(k, 10), 3, &zero, 1, &outer);
    nest_value *b = nest_loop_begin(k, nest_i64(k, 2), nest_i64(k, 5), 1, &a->carry[0], 1, &middle);
    nest_value *more = nest_add(k, b->carry[0], nest_i64(k, 1));
    nest_loop_end(k, b, &more, middle);
    nest_loop_end(k, a, &b->final[0], outer);
    nest_store(k, out, zero, 0, 1, a->final[0], 1, NULL);
    nest_value *once = nest_loop_begin(k, nest_i64(k, 5), nest_i64(k, 6), 4, &zero, 1, &outer);
    nest_value *sum = nest_add(k, nest_add(k, nest_loop_index(once), once->carry[0]), nest_i64(k, 3));
    nest_loop_end(k, once, &sum, outer);
    nest_store(k, out, zero, 1, 1, once->final[0], 1, NULL);
    nest_value *never = nest_loop_begin(k, nest_batch(k), nest_i64(k, -100), 1, &seven, 1, &outer);
    nest_value *nine = nest_i64(k, 9);
    nest_loop_end(k, never, &nine, outer);
    nest_store(k, out, zero, 2, 1, never->final[0], 1, NULL);
    nest_value *lanes = nest_lanes(k, 4), *two = nest_splat(k, nest_batch(k), 4), *both[] = {lanes, two};
    nest_store(k, out, zero, 3, 1, nest_lane(k, nest_op(k, IR_ADD, IR_I64, both, 2, NULL), 3), 1, NULL);
}

static void check_dot(fixture *f, int64_t count)
{
    float x[16 * 5], chain[16] = {0}, got = -1;
    for (int i = 0; i < 16 * 5; i++)
        x[i] = (float)((double)(int32_t)random_bits() * 0x1p-31);
    for (int64_t i = 0; i < count * 16; i++)
        chain[i % 16] = fmaf(x[i], x[i], chain[i % 16]);
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++)
            chain[i] += chain[i + half];
    void *buffers[] = {x, &got};
    fixture_run(f, "dot", count, buffers);
    CU_ASSERT_EQUAL(memcmp(&got, &chain[0], sizeof got), 0);
}

static void loops(void)
{
    static const char *const cpus[] = {"x86-64-v3", "x86-64-v4"};
    for (size_t c = 0; c < COUNT(cpus) && fixture_host_runs(cpus[c]); c++) {
        fixture f;
        fixture_open(&f, cpus[c]);
        build_dot(&f);
        build_trips(&f);
        fixture_load(&f);
        for (int64_t count = 0; count <= 5; count++)
            check_dot(&f, count);
        int64_t got[4] = {0};
        void *buffers[] = {got};
        fixture_run(&f, "trips", 2, buffers);
        CU_ASSERT_EQUAL(got[0], 12);
        CU_ASSERT_EQUAL(got[1], 8);
        CU_ASSERT_EQUAL(got[2], 7);
        CU_ASSERT_EQUAL(got[3], 5);
        fixture_close(&f);
    }
}

/* ---- random numbers ---- */

static void philox(const uint32_t counter[4], const uint32_t start[2], uint32_t out[4])
{
    uint32_t key[] = {start[0], start[1]};
    memcpy(out, counter, 4 * sizeof *out);
    for (int i = 0; i < 10; i++) {
        uint64_t a = (uint64_t)0xD2511F53u * out[0], b = (uint64_t)0xCD9E8D57u * out[2];
        uint32_t next[] = {(uint32_t)(b >> 32) ^ out[1] ^ key[0], (uint32_t)b, (uint32_t)(a >> 32) ^ out[3] ^ key[1],
                           (uint32_t)a};
        memcpy(out, next, sizeof next);
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
}

/* out[i] = word B + i * by for 0 <= i < 32; the first is a multiple of four, 4 B, or of nothing known. */
static void build_rng(fixture *f, const char *name, int lanes, int64_t by, bool aligned)
{
    nest_kernel *k = fixture_kernel(f, name);
    int in = fixture_buffer(k, "keys", IR_I64), out = fixture_buffer(k, "out", IR_UI32);
    nest_value *key[4], *zero = nest_i64(k, 0);
    nest_block *outer;
    for (int i = 0; i < 3; i++)
        key[i] = nest_load(k, in, zero, i, 1, 1, 1, NULL);
    nest_value *first = aligned ? nest_mul(k, nest_batch(k), 4) : nest_batch(k);
    nest_value *loop = nest_loop_begin(k, zero, nest_i64(k, 32), lanes, NULL, 0, &outer);
    nest_value *index = nest_loop_index(loop);
    key[3] = nest_add(k, first, nest_mul(k, index, by));
    nest_value *words = nest_rng(k, key, by, lanes, 0xDEADBEEFu);
    nest_store(k, out, index, 0, 1, words, lanes, NULL);
    nest_loop_end(k, loop, NULL, outer);
}

static void check_rng(fixture *f, const char *name, int64_t batch, int64_t by, int64_t first)
{
    int64_t keys[] = {0x123456789ABCDEF0, 77, 0x10002};
    uint32_t got[32], want[4];
    void *buffers[] = {keys, got};
    fixture_run(f, name, batch, buffers);
    int wrong = 0;
    for (int64_t i = 0; i < 32; i++) {
        int64_t element = first + i * by;
        philox((const uint32_t[]){(uint32_t)(element / 4), 77, 0xDEADBEEFu, 0x10002},
               (const uint32_t[]){0x9ABCDEF0u, 0x12345678u}, want);
        wrong += got[i] != want[element % 4];
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void random_numbers_by(const char *cpu, int64_t by)
{
    static const int widths[] = {1, 4, 8, 16};
    fixture f;
    fixture_open(&f, cpu);
    for (size_t w = 0; w < COUNT(widths); w++)
        for (int aligned = 0; aligned < 2; aligned++)
            build_rng(&f, arena_printf(f.mem, "rng_%d_%d", widths[w], aligned), widths[w], by, aligned);
    fixture_load(&f);
    for (size_t w = 0; w < COUNT(widths); w++)
        for (int64_t batch = 1; batch <= 9; batch++)
            for (int aligned = 0; aligned < 2; aligned++)
                check_rng(&f, arena_printf(f.mem, "rng_%d_%d", widths[w], aligned), batch, by,
                          aligned ? 4 * batch : batch);
    fixture_close(&f);
}

static void random_numbers(void)
{
    /* The authors' first test vector: the reference here is Philox indeed. */
    uint32_t zero[4];
    philox((const uint32_t[]){0, 0, 0, 0}, (const uint32_t[]){0, 0}, zero);
    CU_ASSERT_EQUAL(zero[0], 0x6627e8d5u);
    CU_ASSERT_EQUAL(zero[3], 0x9b00dbd8u);
    static const char *const cpus[] = {"x86-64", "x86-64-v3", "x86-64-v4"};
    for (size_t c = 0; c < COUNT(cpus) && fixture_host_runs(cpus[c]); c++) {
        random_numbers_by(cpus[c], 1);
        random_numbers_by(cpus[c], 2);
        random_numbers_by(cpus[c], 7);
    }
}

/* ---- building folds ---- */

static void folding(void)
{
    fixture f;
    fixture_open(&f, "x86-64-v3");
    nest_kernel *k = fixture_kernel(&f, "folding");
    nest_value *b = nest_batch(k), *x = nest_add(k, nest_add(k, b, nest_i64(k, 2)), nest_i64(k, 3));
    CU_ASSERT_PTR_EQUAL(x->in[0], b);
    CU_ASSERT_EQUAL(x->in[1]->number, 5);
    CU_ASSERT_PTR_EQUAL(nest_sub(k, x, nest_i64(k, 5)), b);
    CU_ASSERT_PTR_EQUAL(nest_mul(k, b, 1), b);
    CU_ASSERT_EQUAL(nest_mul(k, b, 0)->kind, NEST_CONST);
    CU_ASSERT_EQUAL(nest_rem(k, nest_i64(k, 17), 5)->number, 2);
    CU_ASSERT_EQUAL(nest_min(k, nest_i64(k, 17), nest_i64(k, 5))->number, 5);
    nest_value *load = nest_load(k, fixture_buffer(k, "in", IR_F32), nest_mul(k, x, 10), 1, 1, 8, 8, NULL);
    CU_ASSERT_EQUAL(load->disp, 51);
    text t = {0};
    nest_print(k, &t);
    CU_ASSERT_PTR_NOT_NULL(strstr(text_get(&t), " + 51] : f32x8"));
    text_free(&t);
    fixture_close(&f);
}

/* ---- files ---- */

static void temporary_path(char *path, const char *ending)
{
    sprintf(path, "/tmp/lamina-test-%ld%s", (long)getpid(), ending);
}

static int files_in(const char *folder)
{
    DIR *open = opendir(folder);
    CU_ASSERT_PTR_NOT_NULL_FATAL(open);
    int count = 0;
    for (const struct dirent *e; (e = readdir(open));)
        count += e->d_name[0] != '.';
    closedir(open);
    return count;
}

static void failures_leave_nothing(void)
{
    char folder[64], path[80];
    temporary_path(folder, ".folder");
    sprintf(path, "%s/net.so", folder);
    CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0777), 0);
    diag *d = diag_new();
    CU_ASSERT_FALSE(be_link_shared(path, "not an object", 13, d)); /* the linker refuses it */
    CU_ASSERT_FALSE(be_write_file(folder, "x", 1, d));             /* a folder in the way */
    CU_ASSERT_EQUAL(files_in(folder), 0);
    CU_ASSERT_TRUE(be_write_file(path, "x", 1, d));
    CU_ASSERT_EQUAL(files_in(folder), 1);
    unlink(path);
    rmdir(folder);
    CU_ASSERT_FALSE(be_write_file(path, "x", 1, d)); /* no folder */
    CU_ASSERT_FALSE(be_link_shared(path, "x", 1, d));
    CU_ASSERT_EQUAL(diag_errors(d), 4);
    diag_free(d);
}

/* With one descriptor left the object can be written, but no pipe to the linker be made. */
static void linker_not_started(void)
{
    char path[64];
    temporary_path(path, ".so");
    int next = dup(STDERR_FILENO);
    close(next);
    struct rlimit before, few;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)next + 1;
    diag *d = diag_new();
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &few), 0);
    CU_ASSERT_FALSE(be_link_shared(path, "x", 1, d));
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &before), 0);
    text said = {0};
    diag_print_plain(d, &said, false);
    CU_ASSERT_PTR_NOT_NULL(strstr(text_get(&said), "the linker 'ld' failed: Too many open files"));
    text_free(&said);
    diag_free(d);
}

void suite_backend_library(void); /* test_backend_library.c: whole libraries, run as part of this suite's name */

void suite_backend(void)
{
    CU_pSuite s = CU_add_suite("backend", NULL, NULL);
    CU_add_test(s, "folding while building", folding);
    CU_add_test(s, "masked and strided memory", memory);
    CU_add_test(s, "loops and folds", loops);
    CU_add_test(s, "random numbers", random_numbers);
    CU_add_test(s, "failures leave nothing", failures_leave_nothing);
    CU_add_test(s, "a linker that does not start", linker_not_started);
    suite_backend_library();
}
