/* tests/unit/test_lowering.c - the modules of tests/lower, generated against the evaluator (tests/unit/lowered.h).
 *
 * Each tests/lower/NAME.ir goes through all passes (once as they are, once with the optional ones off, so that every
 * operator is also a kernel of its own, and for caches so small that chains take short slices and contractions take
 * theirs by blocks), is compiled for AVX2 and AVX-512, and runs at batch sizes around a leaf. */
#include "ir/base/text.h"
#include "tests/unit/extent.h"
#include "tests/unit/ir_files.h"
#include "tests/unit/lowered.h"
#include <CUnit/CUnit.h>
#include <string.h>

/* Caches: chain.ir's slices, and one for which contractions take their chains by blocks. */
enum { ONE_EXAMPLE = 1, TWO_EXAMPLES = 160 << 10, BLOCKS = 12 << 10 };

static const char everything_off[] = "simplify,cleanup,fuse,split,schedule";

static const lowered_variant avx2[] = {{"x86-64-v3", NULL, 0, NULL},
                                       {"x86-64-v3", everything_off, 0, NULL},
                                       {"x86-64-v3", NULL, ONE_EXAMPLE, NULL},
                                       {"x86-64-v3", NULL, BLOCKS, NULL}};
static const lowered_variant avx512[] = {
    {"x86-64-v4", NULL, 0, NULL}, {"x86-64-v4", everything_off, 0, NULL}, {"x86-64-v4", NULL, TWO_EXAMPLES, NULL}};

static void check_variants(const char *source, const char *name, const lowered_variant *v, size_t count)
{
    static const int64_t batches[] = {1, 7, 8, 9, 20, 70};
    for (size_t i = 0; i < count; i++)
        lowered_check(source, name, &v[i], batches, sizeof batches / sizeof *batches);
}

static void test_file(void)
{
    char path[4096];
    text source = {0};
    ir_files_path("lower", path, sizeof path);
    CU_ASSERT_TRUE_FATAL(text_read_file(&source, path));
    const char *name = strrchr(path, '/') + 1;
    check_variants(text_get(&source), name, avx2, sizeof avx2 / sizeof *avx2);
    if (lowered_for_avx512() && !extent_sanitized)
        check_variants(text_get(&source), name, avx512, sizeof avx512 / sizeof *avx512);
    text_free(&source);
}

/* ---- many alike ---- */

enum { LAYERS = 140, CHAINED = 4 };

static void add_params(text *t, const char *name, int count, const char *type)
{
    for (int i = 0; i < count; i++)
        text_printf(t, "param @%s%d : %s\n", name, i, type);
}

/* More kernels than one function launches, all of them alike; the call may be cancelled between them. */
static void add_deep(text *t)
{
    text_add(t, "func @infer(%x : f32[B, 5]) -> (y : f32[B, 5]) {\n");
    for (int i = 0; i < LAYERS; i++) {
        text_printf(t, "  %%w%d = param @w%d : f32[5, 5]\n  %%p%d = dot_general %%", i, i, i);
        text_printf(t, i ? "t%d" : "x", i - 1);
        text_printf(t, ", %%w%d {lhs_contract = [1], rhs_contract = [0]} : f32[B, 5]\n", i);
        text_printf(t, "  %%t%d = tanh %%p%d : f32[B, 5]\n", i, i);
    }
    text_printf(t, "  return %%t%d\n}\n", LAYERS - 1);
}

/* A chain whose members are alike. */
static void add_chain(text *t)
{
    text_add(t, "func @chain(%x : f32[B, 20, 20, 8]) -> (y : f32[B, 20, 20, 8]) {\n");
    for (int i = 0; i < CHAINED; i++) {
        text_printf(t, "  %%k%d = param @k%d : f32[3, 3, 8, 8]\n  %%c%d = convolution %%", i, i, i);
        text_printf(t, i ? "r%d" : "x", i - 1);
        text_printf(t,
                    ", %%k%d {lhs = [0, 3, 1, 2], rhs = [2, 3, 0, 1], out = [0, 3, 1, 2], stride = [1, 1], "
                    "low = [1, 1], high = [1, 1], lhs_dilation = [1, 1], rhs_dilation = [1, 1], feature_groups = [1], "
                    "batch_groups = [1]} : f32[B, 20, 20, 8]\n",
                    i);
        text_printf(t, "  %%r%d = negate %%c%d : f32[B, 20, 20, 8]\n", i, i);
    }
    text_printf(t, "  return %%r%d\n}\n", CHAINED - 1);
}

/* Kernels that share a task function find their own buffers. */
static void alike(void)
{
    text t = {0};
    text_add(&t, "module @alike {convolution = direct, max_batch = [20]}\n");
    add_params(&t, "w", LAYERS, "f32[5, 5]");
    add_params(&t, "k", CHAINED, "f32[3, 3, 8, 8]");
    add_deep(&t);
    add_chain(&t);
    check_variants(text_get(&t), "alike", avx2, 1);
    text_free(&t);
}

void suite_lowering(void);

void suite_lowering(void)
{
    CU_pSuite s = CU_add_suite("lowering", NULL, NULL);
    ir_files_add(s, "lower", test_file);
    CU_add_test(s, "many alike", alike);
}
