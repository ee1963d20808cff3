/* tests/unit/test_math.c - the elementary functions of ir/math/math.h against the C library's in double.
 *
 * Every 257th f32 is tried, or all of them if LAMINA_FULL is set in the environment. For power, pairs are drawn at
 * random, more of them with LAMINA_FULL. */
#include "ir/math/math.h"
#include "tests/unit/extent.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096 };

static float as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t as_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static bool same(float a, float b)
{
    return as_bits(a) == as_bits(b) || (isnan(a) && isnan(b));
}

/* The distance of got from want in units of the last place of an f32 of want's size. NaN, infinities, zeros and signs
 * must match; beyond the largest f32, infinity counts as 2^128. */
static double ulps(float got, double want)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) ? 0 : INFINITY;
    if (!signbit(got) != !signbit(want) || (isinf(want) && !isinf(got)) || (want == 0 && got != 0))
        return INFINITY;
    if (want == 0 || (isinf(got) && fabs(want) >= 0x1p128))
        return 0;
    int exponent;
    frexp(want, &exponent);
    exponent = exponent < -125 ? -149 : exponent > 128 ? 104 : exponent - 24;
    double value = isinf(got) ? copysign(0x1p128, got) : got;
    return fabs(value - want) * ldexp(1, -exponent);
}

/* The same for functions that give 0 instead of results below 2^-126, and no subnormal number ever. */
static double flushed_ulps(float got, double want)
{
    if (got == 0 && fabs(want) < 0x1p-126)
        return !signbit(got) == !signbit(want) ? 0 : INFINITY;
    return fpclassify(got) == FP_SUBNORMAL ? INFINITY : ulps(got, want);
}

/* ---- steps ---- */

static uint32_t run_one(math_op op, const uint32_t v[3], uint32_t bits)
{
    math_step steps[] = {{MATH_CONST_I, 0, 0, 0, v[0]},
                         {MATH_CONST_I, 0, 0, 0, v[1]},
                         {MATH_CONST_I, 0, 0, 0, v[2]},
                         {(uint8_t)op, 1, 2, 3, bits}};
    math_program p = {"one", 1, 4, steps};
    return as_bits(math_run(&p, 0, 0));
}

static void check_float(math_op op, float a, float b, float c, float want)
{
    float got = as_float(run_one(op, (uint32_t[]){as_bits(a), as_bits(b), as_bits(c)}, 0));
    if (!same(got, want))
        printf("\n    step %d of %a, %a, %a: got %a, expected %a", op, a, b, c, got, want);
    CU_ASSERT(same(got, want));
}

static void check_word(math_op op, uint32_t a, uint32_t b, uint32_t c, uint32_t bits, uint32_t want)
{
    uint32_t got = run_one(op, (uint32_t[]){a, b, c}, bits);
    if (got != want)
        printf("\n    step %d of %x, %x, %x: got %x, expected %x", op, a, b, c, got, want);
    CU_ASSERT_EQUAL(got, want);
}

static void each_step(void)
{
    check_float(MATH_FMA, 0x1.000002p0f, 0x1.fffffcp-1f, -1, -0x1p-46f);
    check_float(MATH_ADD, 1, 0x1p-24f, 0, 1);
    check_float(MATH_SUB, 1, 0x1p-24f, 0, 0x1.fffffep-1f);
    check_float(MATH_MUL, 3, -5, 0, -15);
    check_float(MATH_DIV, 1, 3, 0, 0x1.555556p-2f);
    check_float(MATH_NEG, 0, 0, 0, -0.0f);
    check_float(MATH_ABS, -0.0f, 0, 0, 0);
    check_float(MATH_ROUND, 2.5f, 0, 0, 2);
    check_float(MATH_ROUND, -3.5f, 0, 0, -4);

    uint32_t one = as_bits(1), nan = as_bits(NAN), all = UINT32_MAX, minus = 0x80000000u;
    check_word(MATH_CONST_F, 0, 0, 0, one, one);
    check_word(MATH_CONST_I, 0, 0, 0, 7, 7);
    check_word(MATH_LT, minus, one, 0, 0, all);
    check_word(MATH_LT, one, one, 0, 0, 0);
    check_word(MATH_LT, nan, one, 0, 0, 0);
    check_word(MATH_LE, one, one, 0, 0, all);
    check_word(MATH_LE, one, nan, 0, 0, 0);
    check_word(MATH_EQ, 0, minus, 0, 0, all);
    check_word(MATH_EQ, nan, nan, 0, 0, 0);
    check_word(MATH_SELECT, all, 5, 6, 0, 5);
    check_word(MATH_SELECT, 0, 5, 6, 0, 6);
    check_word(MATH_IADD, all, 2, 0, 0, 1);
    check_word(MATH_ISUB, 1, 2, 0, 0, all);
    check_word(MATH_IMUL, 0x10001, 0x10001, 0, 0, 0x20001);
    check_word(MATH_AND, 12, 10, 0, 0, 8);
    check_word(MATH_OR, 12, 10, 0, 0, 14);
    check_word(MATH_XOR, 12, 10, 0, 0, 6);
    check_word(MATH_SHL, 3, 0, 0, 31, minus);
    check_word(MATH_SHR, minus, 0, 0, 31, 1);
    check_word(MATH_SAR, minus, 0, 0, 31, all);
    check_word(MATH_SAR, 4, 0, 0, 1, 2);
    check_word(MATH_SAR, minus, 0, 0, 0, minus);
    check_word(MATH_ILT, minus, 1, 0, 0, all);
    check_word(MATH_ILT, 1, 1, 0, 0, 0);
    check_word(MATH_I2F, all, 0, 0, 0, as_bits(-1));
    check_word(MATH_I2F, 0x01000001, 0, 0, 0, as_bits(0x1p24f));
    check_word(MATH_F2I, as_bits(-2.9f), 0, 0, 0, (uint32_t)-2);
}

/* ---- the programs ---- */

static double logistic(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

typedef struct {
    ir_op op;
    double (*truth)(double);
    double limit; /* ulp */
    float range;  /* of |x|; beyond it the result only has to lie in [-1, 1] or be NaN */
    bool flushes; /* to 0 what is below 2^-126 */
} function;

static const function functions[] = {
    {IR_EXPONENTIAL, exp, 2, INFINITY, true},
    {IR_LOG, log, 2, INFINITY, false},
    {IR_LOG_PLUS_ONE, log1p, 4, INFINITY, false},
    {IR_TANH, tanh, 2, INFINITY, false},
    {IR_ERF, erf, 4, INFINITY, false},
    {IR_LOGISTIC, logistic, 4, INFINITY, true},
    {IR_SINE, sin, 4, 0x1p15f, false},
    {IR_COSINE, cos, 4, 0x1p15f, false},
};

enum { NFUNCTIONS = sizeof functions / sizeof *functions };

/* Operands come before their step and all indices fit; every step but the last is used. */
static void well_formed(void)
{
    for (int op = 0; op < IR_NOPS; op++) {
        const math_program *p = math_find((ir_op)op);
        if (!p)
            continue;
        CU_ASSERT_STRING_EQUAL(p->name, ir_ops[op].name);
        CU_ASSERT_EQUAL(p->inputs, ir_ops[op].inputs);
        CU_ASSERT(p->inputs + p->count <= 256);
        bool used[256] = {false};
        for (int i = 0; i < p->count; i++) {
            const math_step *s = &p->steps[i];
            used[s->a] = used[s->b] = used[s->c] = true;
            CU_ASSERT(s->op <= MATH_CONST_I || s->a < p->inputs + i);
            CU_ASSERT(s->b < p->inputs + i || !s->b);
            CU_ASSERT(s->c < p->inputs + i || !s->c);
        }
        for (int i = 0; i < p->inputs + p->count - 1; i++)
            CU_ASSERT(used[i]);
    }
    CU_ASSERT_PTR_NULL(math_find(IR_ADD));
    CU_ASSERT_PTR_NULL(math_find(IR_SQRT));
}

/* One at a time or many: the same bits; the group may end anywhere, the result may overwrite an argument. */
static void in_groups(void)
{
    float x[40], y[40], want[40], got[40];
    for (int i = 0; i < 40; i++) {
        x[i] = (float)(i + 1) / 8;
        y[i] = 3 - (float)i / 4;
        want[i] = math_run(math_find(IR_POWER), x[i], y[i]);
    }
    for (int n = 0; n <= 40; n++) {
        memcpy(got, x, sizeof x);
        math_run_each(math_find(IR_POWER), got, y, got, n);
        CU_ASSERT(!memcmp(got, want, (size_t)n * sizeof *got) && !memcmp(got + n, x + n, (size_t)(40 - n) * sizeof *x));
    }
    math_run_each(math_find(IR_TANH), x, NULL, got, 40);
    for (int i = 0; i < 40; i++)
        CU_ASSERT(same(got[i], math_run(math_find(IR_TANH), x[i], 0)));
}

static double error_at(const function *f, float x, float got)
{
    if (!(fabsf(x) <= f->range))
        return isfinite(x) ? (fabsf(got) <= 1 ? 0 : INFINITY) : (isnan(got) ? 0 : INFINITY);
    return (f->flushes ? flushed_ulps : ulps)(got, f->truth(x));
}

typedef struct {
    double error;
    float x, y;
} worst_case;

static void note_error(worst_case *w, double error, float x, float y)
{
    if (error > w->error)
        *w = (worst_case){error, x, y};
}

static void report(const char *name, const worst_case *w, double limit)
{
    if (extent_full() || w->error > limit)
        printf("\n    %s: %.3f ulp at %a (y %a), limit %g", name, w->error, w->x, w->y, limit);
    CU_ASSERT(w->error <= limit);
}

/* Bit patterns first, first + stride, ... modulo 2^32; an odd stride meets every exponent and both signs. */
static void check_patterns(const function *f, uint32_t stride, int64_t count)
{
    const math_program *p = math_find(f->op);
    float x[BLOCK], got[BLOCK];
    worst_case w = {-1, 0, 0};
    uint32_t pattern = 0;
    for (int64_t done = 0; done < count; done += BLOCK) {
        for (int i = 0; i < BLOCK; i++, pattern += stride)
            x[i] = as_float(pattern);
        math_run_each(p, x, NULL, got, BLOCK);
        for (int i = 0; i < BLOCK; i++)
            note_error(&w, error_at(f, x[i], got[i]), x[i], 0);
    }
    report(p->name, &w, f->limit);
}

static void accuracy(void)
{
    int shift = extent_full() ? 0 : extent_sanitized ? 12 : 8;
    for (int i = 0; i < NFUNCTIONS; i++)
        check_patterns(&functions[i], shift ? (1u << shift) + 1 : 1, (int64_t)1 << (32 - shift));
}

/* Edges of formats, domains and reductions, each also negative, and both neighbours of each. */
static const float special[] = {0,
                                0x1p-149f,
                                0x1p-126f,
                                0x1p-25f,
                                0x1p-12f,
                                0.173287f,
                                0.25f,
                                1 / 3.0f,
                                0.5f,
                                2 / 3.0f,
                                0.82f,
                                0.9f,
                                1,
                                1.2f,
                                4 / 3.0f,
                                1.570796f,
                                1.64f,
                                2,
                                3,
                                3.1415927f,
                                3.832f,
                                4,
                                9.01f,
                                9.1f,
                                16,
                                17.32868f,
                                41,
                                87.33655f,
                                88.72284f,
                                89,
                                103.97f,
                                104,
                                127,
                                128,
                                149,
                                150,
                                0x1p15f,
                                0x1p22f,
                                0x1p23f,
                                0x1p24f,
                                0x1p26f,
                                0x1p40f,
                                0x1.555554p127f,
                                0x1.fffffep127f,
                                INFINITY,
                                NAN,
                                2.5f,
                                0x1p63f};

enum { NSPECIAL = sizeof special / sizeof *special, NCASES = 6 * NSPECIAL };

static float special_case(int i)
{
    uint32_t bits = as_bits(special[i / 6]);
    uint32_t near = bits + (uint32_t)(i % 3) - 1;
    if ((bits == 0 && i % 3 == 0) || isnan(special[i / 6]))
        near = bits;
    return i % 6 < 3 ? as_float(near) : -as_float(near);
}

static void special_values(void)
{
    for (int f = 0; f < NFUNCTIONS; f++) {
        worst_case w = {-1, 0, 0};
        for (int i = 0; i < NCASES; i++) {
            float x = special_case(i);
            note_error(&w, error_at(&functions[f], x, math_run(math_find(functions[f].op), x, 0)), x, 0);
        }
        report(ir_ops[functions[f].op].name, &w, functions[f].limit);
    }
}

static void exact_values(void)
{
    static const struct {
        ir_op op;
        float x, want;
    } cases[] = {
        {IR_EXPONENTIAL, 0, 1},
        {IR_EXPONENTIAL, -INFINITY, 0},
        {IR_EXPONENTIAL, -0x1.5d58ap+6f, 0},
        {IR_EXPONENTIAL, -0x1.5d589ep+6f, 0x1.00004cp-126f},
        {IR_LOGISTIC, -0x1.5d58ap+6f, 0},
        {IR_LOG, 1, 0},
        {IR_LOG, -0.0f, -INFINITY},
        {IR_LOG, -1, NAN},
        {IR_LOG_PLUS_ONE, -0.0f, -0.0f},
        {IR_LOG_PLUS_ONE, -1, -INFINITY},
        {IR_TANH, -0.0f, -0.0f},
        {IR_TANH, 10, 1},
        {IR_TANH, -INFINITY, -1},
        {IR_TANH, 0x1p-149f, 0x1p-149f},
        {IR_LOGISTIC, 0, 0.5f},
        {IR_LOGISTIC, -INFINITY, 0},
        {IR_LOGISTIC, INFINITY, 1},
        {IR_ERF, -0.0f, -0.0f},
        {IR_ERF, 4, 1},
        {IR_ERF, -INFINITY, -1},
        {IR_SINE, -0.0f, -0.0f},
        {IR_SINE, INFINITY, NAN},
        {IR_SINE, 0x1p30f, 0},
        {IR_COSINE, 0, 1},
        {IR_COSINE, -INFINITY, NAN},
        {IR_COSINE, 0x1p30f, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float got = math_run(math_find(cases[i].op), cases[i].x, 0);
        if (!same(got, cases[i].want))
            printf("\n    %s of %a: got %a, expected %a", ir_ops[cases[i].op].name, cases[i].x, got, cases[i].want);
        CU_ASSERT(same(got, cases[i].want));
    }
}

/* Nothing rounds above the functions' bounds. */
static void bounded(void)
{
    static const ir_op ops[] = {IR_TANH, IR_ERF, IR_LOGISTIC};
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
        for (uint32_t pattern = as_bits(0.5f); pattern < as_bits(32); pattern += 257) {
            float got = math_run(math_find(ops[k]), as_float(pattern), 0);
            if (!(got <= 1)) {
                CU_FAIL("a result above 1");
                break;
            }
        }
}

/* ---- power ---- */

static void power_special_values(void)
{
    const math_program *p = math_find(IR_POWER);
    worst_case w = {-1, 0, 0};
    for (int i = 0; i < NCASES; i++)
        for (int k = 0; k < NCASES; k++) {
            float x = special_case(i), y = special_case(k);
            note_error(&w, flushed_ulps(math_run(p, x, y), pow(x, y)), x, y);
        }
    report(p->name, &w, 4);
}

/* A small generator of well mixed bits (splitmix64). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* A pair by one of four rules; most pairs of patterns overflow, so all but the first aim at finite results. */
static void draw_pair(uint64_t *state, int rule, float *x, float *y)
{
    uint64_t r = next_random(state);
    double exponent = (double)(r >> 32) * 0x1p-32 * 300 - 150;
    *x = as_float((uint32_t)r);
    *y = as_float((uint32_t)(r >> 32));
    if (rule == 1) { /* any x */
        *x = fabsf(*x);
        *y = (float)(exponent / log2(*x));
    } else if (rule == 2) { /* x within a factor of 2 of 1, where the logarithm cancels */
        *x = as_float(0x3f000000 + ((uint32_t)r & 0xffffff));
        *y = (float)(exponent / log2(*x));
    } else if (rule == 3) { /* small whole y */
        *y = (float)((int)(r >> 32 & 63) - 32);
    }
}

static void power_accuracy(void)
{
    const math_program *p = math_find(IR_POWER);
    float x[BLOCK], y[BLOCK], got[BLOCK];
    worst_case w = {-1, 0, 0};
    uint64_t state = 1;
    int64_t count = (int64_t)1 << (extent_full() ? 28 : 21);
    for (int64_t done = 0; done < count; done += BLOCK) {
        for (int i = 0; i < BLOCK; i++)
            draw_pair(&state, i % 4, &x[i], &y[i]);
        math_run_each(p, x, y, got, BLOCK);
        for (int i = 0; i < BLOCK; i++)
            note_error(&w, flushed_ulps(got[i], pow(x[i], y[i])), x[i], y[i]);
    }
    report(p->name, &w, 4);
}

void suite_math(void)
{
    CU_pSuite s = CU_add_suite("math", NULL, NULL);
    CU_add_test(s, "each step", each_step);
    CU_add_test(s, "programs are well formed", well_formed);
    CU_add_test(s, "groups", in_groups);
    CU_add_test(s, "special values", special_values);
    CU_add_test(s, "exact values", exact_values);
    CU_add_test(s, "bounds", bounded);
    CU_add_test(s, "power, special values", power_special_values);
    CU_add_test(s, "accuracy", accuracy);
    CU_add_test(s, "power, accuracy", power_accuracy);
}
