/* tests/unit/test_targets.c - CPUs: what is known of each by name, and what a machine says of itself. */
#include "backend/backend.h"
#include "backend/target.h"
#include <CUnit/CUnit.h>
#include <string.h>

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

void suite_targets(void);
void suite_targets(void)
{
    CU_pSuite s = CU_add_suite("targets", NULL, NULL);
    CU_add_test(s, "targets", targets);
    CU_add_test(s, "caches by CPUID", host_caches);
    CU_add_test(s, "hosts by instruction sets, caches and name", hosts);
}
