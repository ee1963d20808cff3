/* tests/unit/test_backend.c - generated code against the reference, bit for bit.
 *
 * Kernels are built by hand in the loop-nest form, compiled to a shared object, loaded and run: every elementwise
 * operator over random bit patterns (NaNs, infinities and subnormals among them) against the evaluator's rule, at
 * several widths and for several CPUs; masked, strided and broadcast memory; loops; folds; random numbers. Then the
 * files that the backend writes. */
#include "backend/kernels.h"
#include "backend/library/link.h"
#include "backend/target.h"
#include "ir/graph/build.h"
#include "ir/math/math.h"
#include "ir/ops/eval.h"
#include <CUnit/CUnit.h>
#include <dirent.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- kernels: build, compile, load, run ---- */

enum { MOST_KERNELS = 512 };

typedef struct {
    arena *mem;
    ir_target target;
    nest_kernel *kernels[MOST_KERNELS];
    int count;
    void *handle;
} fixture;

static bool host_runs(const char *cpu)
{
    if (strcmp(cpu, "x86-64-v4") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (strcmp(cpu, "x86-64-v3") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return true;
}

static void fixture_open(fixture *f, const char *cpu)
{
    memset(f, 0, sizeof *f);
    f->mem = arena_new();
    diag *d = diag_new();
    CU_ASSERT_TRUE_FATAL(be_target(cpu, f->mem, &f->target, d));
    diag_free(d);
}

static void fixture_close(fixture *f)
{
    if (f->handle)
        dlclose(f->handle);
    arena_free(f->mem);
}

static nest_kernel *new_kernel(fixture *f, const char *name)
{
    nest_kernel *k = arena_make(f->mem, nest_kernel);
    *k = (nest_kernel){.mem = f->mem, .name = name, .target = &f->target, .nphases = 1};
    k->phase[0].tasks = (nest_tasks){1, 1, 1, false};
    k->block = &k->phase[0].body;
    CU_ASSERT_TRUE_FATAL(f->count < MOST_KERNELS);
    f->kernels[f->count++] = k;
    return k;
}

static int buffer(nest_kernel *k, const char *name, ir_dtype t)
{
    return nest_add_buffer(k, (nest_buffer){.name = name, .dtype = t});
}

static void temporary_path(char *path, const char *ending)
{
    sprintf(path, "/tmp/lamina-test-%ld%s", (long)getpid(), ending);
}

static void fixture_load(fixture *f)
{
    char path[64];
    temporary_path(path, ".so");
    diag *d = diag_new();
    be_options o = {.kind = BE_SO, .output = path};
    bool ok = be_compile_kernels(f->kernels, f->count, &f->target, &o, d);
    text t = {0};
    diag_print_plain(d, &t, false);
    if (!ok)
        printf("%s", text_get(&t));
    text_free(&t);
    diag_free(d);
    CU_ASSERT_TRUE_FATAL(ok);
    f->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->handle);
    unlink(path);
}

static void run(fixture *f, const char *name, int64_t batch, void *const *buffers)
{
    be_kernel *function;
    *(void **)&function = dlsym(f->handle, name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(function);
    function(batch, 0, buffers);
}

/* ---- numbers ---- */

static uint64_t random_state = 1;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545F4914F6CDD1Du;
}

static const float special_floats[] = {
    0.0f,           -0.0f,          1.0f,       -1.0f,    0.5f,     1.5f,      2.5f,    -2.5f,       1e-45f,
    -1e-45f,        1.1754944e-38f, 3.4e38f,    -3.4e38f, INFINITY, -INFINITY, NAN,     -NAN,        2147483648.0f,
    -2147483648.0f, 4294967296.0f,  8388607.5f, 255.5f,   256.0f,   88.7f,     -103.9f, 9.22337e18f, 1e10f};
static const int64_t special_wholes[] = {0,  1,  -1, 2,   7,         8,         31,        32,
                                         33, 63, 64, 255, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX};

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* Any bits, special values, and numbers of a moderate size, a third each. */
static void fill_one(ir_dtype t, void *out, int64_t i)
{
    uint64_t bits = random_bits();
    int kind = (int)(random_bits() % 3);
    float real = kind == 0   ? special_floats[bits % COUNT(special_floats)]
                 : kind == 1 ? (float)((double)(int32_t)bits * 0x1p-26)
                             : 0;
    if (kind == 2)
        memcpy(&real, &bits, sizeof real);
    if (isnan(real)) /* a signalling one may come out quiet on either side */
        real = NAN;
    int64_t whole = kind == 0 ? special_wholes[bits % COUNT(special_wholes)] : kind == 1 ? (int8_t)bits : (int64_t)bits;
    switch (t) {
    case IR_F32:
        ((float *)out)[i] = real;
        break;
    case IR_F64:
        ((double *)out)[i] = kind == 2 ? (double)real * 1.0000000001 : real;
        break;
    case IR_I64:
        ((int64_t *)out)[i] = whole;
        break;
    case IR_I32:
    case IR_UI32:
        ((uint32_t *)out)[i] = (uint32_t)whole;
        break;
    default:
        ((uint8_t *)out)[i] = t == IR_I1 ? whole & 1 : (uint8_t)whole;
    }
}

static void fill(ir_dtype t, void *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        fill_one(t, out, i);
}

static bool same_element(ir_dtype t, const void *a, const void *b, int64_t i)
{
    if (t == IR_F32 && isnan(((const float *)a)[i]) && isnan(((const float *)b)[i]))
        return true;
    if (t == IR_F64 && isnan(((const double *)a)[i]) && isnan(((const double *)b)[i]))
        return true;
    size_t size = (size_t)ir_dtype_size(t);
    return memcmp((const char *)a + (size_t)i * size, (const char *)b + (size_t)i * size, size) == 0;
}

static void print_element(ir_dtype t, const void *x, int64_t i)
{
    if (t == IR_F32)
        printf("%a ", (double)((const float *)x)[i]);
    else if (t == IR_F64)
        printf("%a ", ((const double *)x)[i]);
    else if (t == IR_I64)
        printf("%" PRId64 " ", ((const int64_t *)x)[i]);
    else if (t == IR_I32 || t == IR_UI32)
        printf("%" PRId32 " ", ((const int32_t *)x)[i]);
    else
        printf("%d ", ((const uint8_t *)x)[i]);
}

/* ---- every elementwise operator ---- */

enum { ELEMENTS_TESTED = 1003 }; /* no multiple of a width: the last vector is masked */

typedef struct {
    char name[48];
    ir_op op;
    ir_dtype operand[3], result;
    int nin;
    const char *word;
} op_case;

static op_case make_case(ir_op op, ir_dtype from, ir_dtype to, const char *word)
{
    op_case c = {.op = op, .operand = {from, from, from}, .result = to, .nin = ir_ops[op].inputs, .word = word};
    if (op == IR_SELECT)
        c.operand[0] = IR_I1;
    sprintf(c.name, "%s_%s_%s_%s", ir_ops[op].name, ir_dtype_name(from), ir_dtype_name(to), word ? word : "");
    return c;
}

/* for (i = 0; i < B; i += lanes) out[i] = op(x[i], y[i], z[i]) */
static void build_op(fixture *f, const op_case *c, int lanes)
{
    nest_kernel *k = new_kernel(f, arena_printf(f->mem, "%s_%d", c->name, lanes));
    nest_value *in[3];
    nest_block *outer;
    int from[3];
    for (int i = 0; i < c->nin; i++)
        from[i] = buffer(k, "in", c->operand[i]);
    int to = buffer(k, "out", c->result);
    nest_value *batch = nest_batch(k);
    nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), batch, lanes, NULL, 0, &outer);
    nest_value *index = nest_loop_index(loop), *left = lanes > 1 ? nest_sub(k, batch, index) : NULL;
    for (int i = 0; i < c->nin; i++)
        in[i] = nest_load(k, from[i], index, 0, 1, lanes, lanes, left);
    nest_value *out = nest_op(k, c->op, c->result, in, c->nin, c->word);
    nest_store(k, to, index, 0, 1, out, lanes, left);
    nest_loop_end(k, loop, NULL, outer);
}

static void reference(const op_case *c, void *const *data)
{
    ir_module *m = ir_module_new("reference");
    ir_graph *g = ir_function_new(m, "f", (src_loc){0});
    ir_dim all = {ELEMENTS_TESTED, false};
    ir_node *in[3];
    eval_tensor tensor[4];
    const eval_tensor *operand[3];
    for (int i = 0; i < c->nin; i++) {
        in[i] = ir_input_new(g, NULL, ir_type_make(c->operand[i], 1, &all));
        tensor[i] = (eval_tensor){in[i]->type, 1, data[i]};
        operand[i] = &tensor[i];
    }
    ir_node *n = ir_node_new(g, c->op, in, c->nin, ir_type_make(c->result, 1, &all));
    if (c->word)
        ir_set_word(n, "direction", c->word);
    diag *d = diag_new();
    CU_ASSERT_TRUE_FATAL(ir_infer(n, d));
    diag_free(d);
    eval_tensor out = {n->type, 1, data[3]};
    eval_context context = {.mode = EVAL_F32, .batch = 1, .mem = m->mem};
    eval_rules[c->op](&context, n, operand, &out);
    ir_module_free(m);
}

/* data[3] is the reference's result, data[4] the code's. */
static void compare_op(fixture *f, const op_case *c, int lanes, void *const *data)
{
    char name[64];
    void *buffers[4];
    snprintf(name, sizeof name, "%s_%d", c->name, lanes);
    for (int i = 0; i < c->nin; i++)
        buffers[i] = data[i];
    buffers[c->nin] = data[4];
    memset(data[4], 0xA5, 8 * (ELEMENTS_TESTED + 16));
    run(f, name, ELEMENTS_TESTED, buffers);
    int wrong = 0;
    for (int64_t i = 0; i < ELEMENTS_TESTED; i++)
        if (!same_element(c->result, data[3], data[4], i) && wrong++ == 0) {
            printf("\n%s for %s: ", name, f->target.cpu);
            for (int o = 0; o < c->nin; o++)
                print_element(c->operand[o], data[o], i);
            printf("gives ");
            print_element(c->result, data[4], i);
            printf("not ");
            print_element(c->result, data[3], i);
        }
    CU_ASSERT_EQUAL(wrong, 0);
    size_t end = (size_t)ir_dtype_size(c->result) * ELEMENTS_TESTED;
    CU_ASSERT_EQUAL(((unsigned char *)data[4])[end], 0xA5);
}

static int add_alike(op_case *list, int n, ir_op op, const ir_dtype *types, int count)
{
    for (int i = 0; i < count; i++)
        list[n++] = make_case(op, types[i], types[i], NULL);
    return n;
}

static const ir_dtype numbers[] = {IR_F32, IR_I32, IR_I64, IR_UI32, IR_UI8};
static const ir_dtype wholes[] = {IR_I32, IR_I64, IR_UI32, IR_UI8};
static const ir_dtype bits[] = {IR_I32, IR_I64, IR_UI32, IR_UI8, IR_I1};
static const ir_dtype everything[] = {IR_F32, IR_F64, IR_I32, IR_I64, IR_UI32, IR_UI8, IR_I1};

static int plain_cases(op_case *list)
{
    static const ir_op of_numbers[] = {IR_ADD,     IR_SUBTRACT, IR_MULTIPLY, IR_DIVIDE, IR_MAXIMUM,
                                       IR_MINIMUM, IR_NEGATE,   IR_ABS,      IR_SIGN,   IR_CLAMP};
    static const ir_op of_bits[] = {IR_AND, IR_OR, IR_XOR, IR_NOT};
    static const ir_op of_floats[] = {IR_ROUND_NEAREST_EVEN, IR_FLOOR, IR_SQRT, IR_RSQRT};
    int n = 0;
    for (size_t i = 0; i < COUNT(of_numbers); i++)
        n = add_alike(list, n, of_numbers[i], numbers, COUNT(numbers));
    for (size_t i = 0; i < COUNT(of_bits); i++)
        n = add_alike(list, n, of_bits[i], bits, COUNT(bits));
    for (size_t i = 0; i < COUNT(of_floats); i++)
        list[n++] = make_case(of_floats[i], IR_F32, IR_F32, NULL);
    n = add_alike(list, n, IR_SHIFT_LEFT, wholes, COUNT(wholes));
    n = add_alike(list, n, IR_SHIFT_RIGHT, wholes, COUNT(wholes));
    n = add_alike(list, n, IR_SELECT, everything, COUNT(everything));
    list[n++] = make_case(IR_ADD, IR_F64, IR_F64, NULL);
    list[n++] = make_case(IR_IS_FINITE, IR_F32, IR_I1, NULL);
    list[n++] = make_case(IR_BITCAST_CONVERT, IR_F32, IR_I32, NULL);
    list[n++] = make_case(IR_BITCAST_CONVERT, IR_UI32, IR_F32, NULL);
    return n;
}

static int typed_cases(op_case *list)
{
    static const char *const directions[] = {"EQ", "NE", "LT", "LE", "GT", "GE"};
    int n = 0;
    for (size_t i = 0; i < COUNT(directions); i++) {
        for (size_t t = 0; t < COUNT(numbers); t++)
            list[n++] = make_case(IR_COMPARE, numbers[t], IR_I1, directions[i]);
        list[n++] = make_case(IR_COMPARE, IR_I1, IR_I1, directions[i]);
    }
    for (size_t from = 0; from < COUNT(everything); from++)
        for (size_t to = 0; to < COUNT(everything); to++)
            list[n++] = make_case(IR_CONVERT, everything[from], everything[to], NULL);
    return n;
}

static int math_cases(op_case *list)
{
    int n = 0;
    for (int op = 0; op < IR_NOPS; op++)
        if (math_find((ir_op)op))
            list[n++] = make_case((ir_op)op, IR_F32, IR_F32, NULL);
    return n;
}

static void check_cases(const char *cpu, const op_case *list, int count, const int *widths, int width_count)
{
    if (!host_runs(cpu))
        return;
    fixture f;
    fixture_open(&f, cpu);
    void *data[5];
    for (int i = 0; i < 5; i++)
        data[i] = arena_array(f.mem, ELEMENTS_TESTED + 16, 8);
    for (int w = 0; w < width_count; w++)
        for (int i = 0; i < count; i++)
            build_op(&f, &list[i], widths[w]);
    fixture_load(&f);
    for (int i = 0; i < count; i++) {
        for (int o = 0; o < list[i].nin; o++)
            fill(list[i].operand[o], data[o], ELEMENTS_TESTED);
        reference(&list[i], data);
        for (int w = 0; w < width_count; w++)
            compare_op(&f, &list[i], widths[w], data);
    }
    fixture_close(&f);
}

static void elementwise(void)
{
    static op_case list[160];
    int count = plain_cases(list);
    check_cases("x86-64-v4", list, count, (int[]){1, 8, 16}, 3);
    check_cases("x86-64-v3", list, count, (int[]){8}, 1);
    check_cases("x86-64-v2", list, count, (int[]){4}, 1);
    check_cases("x86-64", list, count, (int[]){1, 4}, 2);
}

static void comparisons_and_conversions(void)
{
    static op_case list[160];
    int count = typed_cases(list);
    check_cases("x86-64-v4", list, count, (int[]){1, 16}, 2);
    check_cases("x86-64-v3", list, count, (int[]){8}, 1);
    check_cases("x86-64", list, count, (int[]){4}, 1);
}

/* Without a fused multiply-add the tables give other bits, so only CPUs with one are compared. */
static void math_tables(void)
{
    static op_case list[IR_NOPS];
    int count = math_cases(list);
    CU_ASSERT_TRUE(count > 0);
    check_cases("x86-64-v4", list, count, (int[]){1, 8, 16}, 3);
    check_cases("x86-64-v3", list, count, (int[]){1, 8, 16}, 3);
}

/* ---- arithmetic that must not be contracted, and that which must ---- */

static void build_chain(fixture *f, const char *name, bool fused)
{
    nest_kernel *k = new_kernel(f, name);
    nest_value *x[3];
    for (int i = 0; i < 3; i++)
        x[i] = nest_load(k, buffer(k, "in", IR_F32), nest_i64(k, 0), 16 * i, 1, 16, 16, NULL);
    nest_value *product = nest_op(k, IR_MULTIPLY, IR_F32, x, 2, NULL), *terms[] = {product, x[2]};
    nest_value *sum = fused ? nest_fma(k, x[0], x[1], x[2]) : nest_op(k, IR_ADD, IR_F32, terms, 2, NULL);
    nest_store(k, buffer(k, "out", IR_F32), nest_i64(k, 0), 0, 1, sum, 16, NULL);
}

static void contraction(void)
{
    static const char *const cpus[] = {"x86-64-v3", "x86-64-v4"};
    for (size_t c = 0; c < COUNT(cpus) && host_runs(cpus[c]); c++) {
        fixture f;
        fixture_open(&f, cpus[c]);
        build_chain(&f, "apart", false);
        build_chain(&f, "fused", true);
        fixture_load(&f);
        int wrong = 0;
        for (int round = 0; round < 100; round++) {
            float x[3][16], apart[16], fused[16];
            for (int i = 0; i < 48; i++)
                x[i / 16][i % 16] = (float)((double)(int32_t)random_bits() * 0x1p-31);
            void *buffers[] = {x, x, x, apart}, *others[] = {x, x, x, fused};
            run(&f, "apart", 1, buffers);
            run(&f, "fused", 1, others);
            for (int i = 0; i < 16; i++) {
                volatile float product = x[0][i] * x[1][i];
                wrong += apart[i] != product + x[2][i];
                wrong += fused[i] != fmaf(x[0][i], x[1][i], x[2][i]);
            }
        }
        CU_ASSERT_EQUAL(wrong, 0);
        fixture_close(&f);
    }
}

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
    nest_kernel *k = new_kernel(f, name);
    int in = buffer(k, "in", t), out = buffer(k, "out", t);
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
    fill(c->dtype, page[0], (end[0] - page[0]) / size);
    void *buffers[] = {in, out};
    run(f, c->name, live, buffers);
    for (int64_t i = 0; i < live; i++)
        CU_ASSERT_EQUAL(memcmp(out + i * c->to * size, in + i * c->from * size, (size_t)size), 0);
    munmap(page[0], (size_t)(2 * (end[0] - page[0])));
    munmap(page[1], (size_t)(2 * (end[1] - page[1])));
}

static void memory(void)
{
    static const char *const cpus[] = {"x86-64", "x86-64-v3", "x86-64-v4"};
    for (size_t c = 0; c < COUNT(cpus) && host_runs(cpus[c]); c++) {
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
    nest_kernel *k = new_kernel(f, "dot");
    int in = buffer(k, "x", IR_F32), out = buffer(k, "out", IR_F32);
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
    nest_kernel *k = new_kernel(f, "trips");
    int out = buffer(k, "out", IR_I64);
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
    run(f, "dot", count, buffers);
    CU_ASSERT_EQUAL(memcmp(&got, &chain[0], sizeof got), 0);
}

static void loops(void)
{
    static const char *const cpus[] = {"x86-64-v3", "x86-64-v4"};
    for (size_t c = 0; c < COUNT(cpus) && host_runs(cpus[c]); c++) {
        fixture f;
        fixture_open(&f, cpus[c]);
        build_dot(&f);
        build_trips(&f);
        fixture_load(&f);
        for (int64_t count = 0; count <= 5; count++)
            check_dot(&f, count);
        int64_t got[4] = {0};
        void *buffers[] = {got};
        run(&f, "trips", 2, buffers);
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
    nest_kernel *k = new_kernel(f, name);
    int in = buffer(k, "keys", IR_I64), out = buffer(k, "out", IR_UI32);
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
    run(f, name, batch, buffers);
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
    for (size_t c = 0; c < COUNT(cpus) && host_runs(cpus[c]); c++) {
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
    nest_kernel *k = new_kernel(&f, "folding");
    nest_value *b = nest_batch(k), *x = nest_add(k, nest_add(k, b, nest_i64(k, 2)), nest_i64(k, 3));
    CU_ASSERT_PTR_EQUAL(x->in[0], b);
    CU_ASSERT_EQUAL(x->in[1]->number, 5);
    CU_ASSERT_PTR_EQUAL(nest_sub(k, x, nest_i64(k, 5)), b);
    CU_ASSERT_PTR_EQUAL(nest_mul(k, b, 1), b);
    CU_ASSERT_EQUAL(nest_mul(k, b, 0)->kind, NEST_CONST);
    CU_ASSERT_EQUAL(nest_rem(k, nest_i64(k, 17), 5)->number, 2);
    CU_ASSERT_EQUAL(nest_min(k, nest_i64(k, 17), nest_i64(k, 5))->number, 5);
    nest_value *load = nest_load(k, buffer(k, "in", IR_F32), nest_mul(k, x, 10), 1, 1, 8, 8, NULL);
    CU_ASSERT_EQUAL(load->disp, 51);
    text t = {0};
    nest_print(k, &t);
    CU_ASSERT_PTR_NOT_NULL(strstr(text_get(&t), " + 51] : f32x8"));
    text_free(&t);
    fixture_close(&f);
}

/* ---- targets ---- */

/* A row of answers: a cache's level, type, threads that share it, bytes of 8 ways in lines of 64. */
static void fake_cache(uint32_t r[4], uint32_t level, uint32_t type, uint32_t threads, uint32_t bytes)
{
    r[0] = type | level << 5 | (threads - 1) << 14;
    r[1] = 63 | 7u << 22;
    r[2] = bytes / (64 * 8) - 1;
}

/* Intel: two threads a core, and a second cache of four cores. */
static void fake_intel(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    memset(r, 0, 4 * sizeof *r);
    if (leaf == 4 && subleaf == 0)
        fake_cache(r, 1, 1, 2, 48 << 10);
    else if (leaf == 4 && subleaf == 1)
        fake_cache(r, 1, 2, 2, 32 << 10);
    else if (leaf == 4 && subleaf == 2)
        fake_cache(r, 2, 3, 8, 4 << 20);
    else if (leaf == 4 && subleaf == 3)
        fake_cache(r, 3, 3, 128, 300 << 20);
}

static void fake_amd(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    memset(r, 0, 4 * sizeof *r);
    if (leaf == 0x8000001d && subleaf < 2)
        fake_cache(r, subleaf + 1, subleaf ? 3 : 1, 2, (subleaf ? 1024 : 32) << 10);
}

static void fake_none(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    (void)leaf;
    (void)subleaf;
    memset(r, 0, 4 * sizeof *r);
}

static void host_caches(void)
{
    int64_t l1, l2;
    be_host_caches(fake_intel, &l1, &l2);
    CU_ASSERT_EQUAL(l1, 48 << 10);
    CU_ASSERT_EQUAL(l2, 1 << 20);
    be_host_caches(fake_amd, &l1, &l2);
    CU_ASSERT_EQUAL(l1, 32 << 10);
    CU_ASSERT_EQUAL(l2, 1 << 20);
    be_host_caches(fake_none, &l1, &l2);
    CU_ASSERT_EQUAL(l1 + l2, 0);
}

/* Instruction sets and caches count; a name does only where it goes with them. */
static void hosts(void)
{
    static const char v3[] = "+sse4.2,+popcnt,+avx2,+fma,+bmi2,+f16c,+avx512f,-avx512bw",
                      v4[] = "+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,+sse4.2,+popcnt,+avx2,+fma,+bmi2,+f16c";
    arena *mem = arena_new();
    ir_target t = be_target_of_host(&(be_host){"rocketlake", v4, 48 << 10, 2 << 20}, mem);
    CU_ASSERT_STRING_EQUAL(t.cpu, "rocketlake");
    CU_ASSERT_EQUAL(t.vector, 16);
    CU_ASSERT_EQUAL(t.l1, 48 << 10);
    CU_ASSERT_EQUAL(t.l2, 2 << 20);
    t = be_target_of_host(&(be_host){"rocketlake", v3, 0, 0}, mem);
    CU_ASSERT_STRING_EQUAL(t.cpu, "x86-64-v3");
    CU_ASSERT_EQUAL(t.vector, 8);
    CU_ASSERT_EQUAL(t.l2, 1 << 20);
    t = be_target_of_host(&(be_host){"nehalem", v4, 0, 3 << 20}, mem);
    CU_ASSERT_STRING_EQUAL(t.cpu, "x86-64-v4");
    CU_ASSERT_EQUAL(t.l2, 3 << 20);
    t = be_target_of_host(&(be_host){"znver99", "+sse2,-sse4.2", 0, 0}, mem);
    CU_ASSERT_STRING_EQUAL(t.cpu, "x86-64");
    CU_ASSERT_FALSE(t.fma);
    arena_free(mem);
}

static void targets(void)
{
    arena *mem = arena_new();
    diag *d = diag_new();
    ir_target t;
    CU_ASSERT_TRUE(be_target("znver4", mem, &t, d));
    CU_ASSERT_EQUAL(t.vector, 16);
    CU_ASSERT_EQUAL(t.registers, 32);
    CU_ASSERT_TRUE(be_target("x86-64-v3", mem, &t, d));
    CU_ASSERT_EQUAL(t.vector, 8);
    CU_ASSERT_EQUAL(t.registers, 16);
    CU_ASSERT_TRUE(be_target("x86-64", mem, &t, d));
    CU_ASSERT_EQUAL(t.vector, 4);
    CU_ASSERT_FALSE(t.fma);
    CU_ASSERT_TRUE(be_target("native", mem, &t, d));
    CU_ASSERT_FALSE(be_target("znver44", mem, &t, d));
    text said = {0};
    diag_print_plain(d, &said, false);
    CU_ASSERT_PTR_NOT_NULL(strstr(text_get(&said), "unknown CPU 'znver44'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text_get(&said), "did you mean 'znver4'"));
    text_free(&said);
    diag_free(d);
    arena_free(mem);
}

/* ---- files ---- */

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
    CU_add_test(s, "targets", targets);
    CU_add_test(s, "caches by CPUID", host_caches);
    CU_add_test(s, "hosts by instruction sets, caches and name", hosts);
    CU_add_test(s, "folding while building", folding);
    CU_add_test(s, "elementwise operators", elementwise);
    CU_add_test(s, "comparisons and conversions", comparisons_and_conversions);
    CU_add_test(s, "math tables", math_tables);
    CU_add_test(s, "contraction only where asked", contraction);
    CU_add_test(s, "masked and strided memory", memory);
    CU_add_test(s, "loops and folds", loops);
    CU_add_test(s, "random numbers", random_numbers);
    CU_add_test(s, "failures leave nothing", failures_leave_nothing);
    CU_add_test(s, "a linker that does not start", linker_not_started);
    suite_backend_library();
}
