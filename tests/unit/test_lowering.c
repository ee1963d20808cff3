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

void suite_lowering(void);

void suite_lowering(void)
{
    ir_files_add(CU_add_suite("lowering", NULL, NULL), "lower", test_file);
}
