/* tests/unit/bare_kernels.c - kernels built by hand; see bare_kernels.h. */
#include "tests/unit/bare_kernels.h"
#include "backend/target.h"
#include <CUnit/CUnit.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool fixture_host_runs(const char *cpu)
{
    if (strcmp(cpu, "x86-64-v4") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (strcmp(cpu, "x86-64-v3") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return true;
}

void fixture_open(fixture *f, const char *cpu)
{
    memset(f, 0, sizeof *f);
    f->mem = arena_new();
    diag *d = diag_new();
    CU_ASSERT_TRUE_FATAL(be_target(cpu, f->mem, &f->target, d));
    diag_free(d);
}

void fixture_close(fixture *f)
{
    if (f->handle)
        dlclose(f->handle);
    arena_free(f->mem);
}

nest_kernel *fixture_kernel(fixture *f, const char *name)
{
    nest_kernel *k = arena_make(f->mem, nest_kernel);
    *k = (nest_kernel){.mem = f->mem, .name = name, .target = &f->target, .nphases = 1};
    k->phase[0].tasks = (nest_tasks){1, 1, 1, false};
    k->block = &k->phase[0].body;
    CU_ASSERT_TRUE_FATAL(f->count < MOST_KERNELS);
    f->kernels[f->count++] = k;
    return k;
}

int fixture_buffer(nest_kernel *k, const char *name, ir_dtype t)
{
    return nest_add_buffer(k, (nest_buffer){.name = name, .dtype = t});
}

void fixture_load(fixture *f)
{
    char path[64];
    sprintf(path, "/tmp/lamina-test-%ld.so", (long)getpid());
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

void fixture_run(fixture *f, const char *name, int64_t batch, void *const *buffers)
{
    be_kernel *function;
    *(void **)&function = dlsym(f->handle, name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(function);
    function(batch, 0, buffers);
}

/* ---- elements ---- */

static uint64_t random_state = 1;

uint64_t random_bits(void)
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

static void fill_one(ir_dtype t, void *out, int64_t i)
{
    uint64_t bits = random_bits();
    int kind = (int)(random_bits() % 3);
    float real = kind == 0   ? special_floats[bits % (sizeof special_floats / sizeof *special_floats)]
                 : kind == 1 ? (float)((double)(int32_t)bits * 0x1p-26)
                             : 0;
    if (kind == 2)
        memcpy(&real, &bits, sizeof real);
    if (isnan(real)) /* a signalling one may come out quiet on either side */
        real = NAN;
    int64_t whole = kind == 0   ? special_wholes[bits % (sizeof special_wholes / sizeof *special_wholes)]
                    : kind == 1 ? (int8_t)bits
                                : (int64_t)bits;
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

void random_elements(ir_dtype t, void *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        fill_one(t, out, i);
}

bool same_element(ir_dtype t, const void *a, const void *b, int64_t i)
{
    if (t == IR_F32 && isnan(((const float *)a)[i]) && isnan(((const float *)b)[i]))
        return true;
    if (t == IR_F64 && isnan(((const double *)a)[i]) && isnan(((const double *)b)[i]))
        return true;
    size_t size = (size_t)ir_dtype_size(t);
    return memcmp((const char *)a + (size_t)i * size, (const char *)b + (size_t)i * size, size) == 0;
}

void print_element(ir_dtype t, const void *x, int64_t i)
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
