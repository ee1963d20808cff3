/* ir/math/programs.c - the elementary functions, each written as a program of steps.
 *
 * The methods are the classical ones: argument reduction with the constant split in parts (Cody & Waite, "Software
 * Manual for the Elementary Functions", 1980), here by fused multiply-adds; rounding to a whole number by adding 1.5 *
 * 2^23, and pairs of floats for the digits beyond 24 (Muller et al., "Handbook of Floating-Point Arithmetic", 2nd ed.,
 * chapters 4, 5 and 10); minimax polynomials by Remez' algorithm, computed with 40 digits and rounded to f32
 * coefficient by coefficient, the remaining ones refitted after each (for 2^r, a search among the neighbouring floats).
 *
 * The error stated with each function is the largest over all 2^32 arguments, in units of the last place of the true
 * result (power: over a sample of pairs). There are no branches: every path is computed, and the edges of the domain
 * are chosen last. */
#include "ir/math/asm.h"
#include <math.h>
#include <threads.h>

/* ln 2 in two parts, the first rounded down: both parts positive, see log_sum. */
#define LN2_HIGH 0x1.62e42ep-1f
#define LN2_LOW 0x1.efa39ep-25f
#define LOG2_E 0x1.715476p+0f

/* Adding this to x, |x| <= 2^22, leaves the nearest whole number in the low bits of the sum's significand; subtracting
 * it again gives that number as a float. With a small bias added, the low bits hold the number plus the bias. */
#define TO_WHOLE 0x1.8p+23f

#define LEAST_NORMAL 0x1p-126f

enum { EXPONENT_ONE = 1 << 23, EXPONENT_BIAS = 127 };

#define SIGN_BIT 0x80000000u
#define EXPONENT_AND_SIGN 0xff800000u

/* The values of the inputs. */
enum { X, Y };

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* ---- e to the x and its kin ---- */

/* exp(r), |r| <= ln(2)/2; the error of exp(r) - 1 is below 2^-26 of itself. */
static const float exp_series[] = {
    1, 1, 0x1.fffffep-2f, 0x1.5554aap-3f, 0x1.555798p-5f, 0x1.122ca8p-7f, 0x1.6ab9ccp-10f};

/* x = n ln 2 + rest, |rest| <= ln(2)/2; n plus the bias in the low bits of 'whole'. */
typedef struct {
    value whole, rest;
} exp_argument;

static exp_argument reduce_exp(assembler *s, value x, int bias)
{
    value to_whole = number(s, TO_WHOLE + (float)bias);
    value whole = mul_add(s, x, number(s, LOG2_E), to_whole);
    value n = sub(s, whole, to_whole);
    value rest = mul_add(s, n, number(s, -LN2_HIGH), x);
    return (exp_argument){whole, mul_add(s, n, number(s, -LN2_LOW), rest)};
}

/* p 2^n, where 'whole' has n + 2 * 127 in its low bits and -252 <= n <= 254. Two factors of half the exponent reach
 * infinity with one rounding. Shifting by 23 drops the bits above n. */
static value scale(assembler *s, value p, value whole)
{
    value half = shift_right(s, whole, 1);
    value first = mul(s, p, shift_left(s, half, 23));
    return mul(s, first, shift_left(s, word_sub(s, whole, half), 23));
}

/* The least float whose exponential is not below 2^-126. Smaller results are flushed to 0: in a softmax they count for
 * nothing, and arithmetic with subnormal numbers is slow on many processors. */
#define LEAST_EXPONENT -0x1.5d589ep+6f

/* exp(x), x <= 170 or NaN; 0 instead of results below 2^-126. */
static value exp_or_zero(assembler *s, value x)
{
    exp_argument a = reduce_exp(s, at_least(s, x, LEAST_EXPONENT), 2 * EXPONENT_BIAS);
    value y = scale(s, polynomial(s, a.rest, exp_series, COUNT(exp_series)), a.whole);
    return choose(s, less(s, x, number(s, LEAST_EXPONENT)), number(s, 0), y);
}

/* exp(x) = 2^n exp(r), x = n ln 2 + r; 0 for results below 2^-126. 0.92 ulp. */
static value write_exponential(assembler *s)
{
    return exp_or_zero(s, at_most(s, X, 89));
}

/* logistic(x) = 1 / (1 + exp(-|x|)) for x >= 0, exp(-|x|) / (1 + exp(-|x|)) for x < 0: no overflow on the way, full
 * precision down to the least result, 2^-126, and 0 below it. 2.41 ulp. */
static value write_logistic(assembler *s)
{
    value one = number(s, 1);
    value e = exp_or_zero(s, bits_or(s, X, word(s, SIGN_BIT)));
    return quotient(s, choose(s, less(s, X, number(s, 0)), e, one), add(s, e, one));
}

/* tanh(x) = h / (1 + h) with x's sign, h = (exp(2|x|) - 1) / 2. For h <= 1 as h - h h / (1 + h), beyond as 1 - 1 / (1 +
 * h): each subtracts little, so the errors of the quotient count little; both are a - a a / (1 + h) with a = min(h, 1).
 * With exp(2|x|) = 2 k (1 + p), k a power of two, h is one multiply-add: k p + (k - 1/2). 1.86 ulp. */
static value write_tanh(assembler *s)
{
    value m = at_most(s, magnitude(s, X), 9.1f); /* tanh rounds to 1 from 9.011 on */
    exp_argument e = reduce_exp(s, add(s, m, m), EXPONENT_BIAS - 1);
    value tail = polynomial(s, e.rest, exp_series + 2, COUNT(exp_series) - 2);
    value p = mul_add(s, mul(s, e.rest, e.rest), tail, e.rest);
    value k = shift_left(s, e.whole, 23);
    value h = mul_add(s, p, k, sub(s, k, number(s, 0.5f)));
    value a = at_most(s, h, 1);
    value t = mul_add(s, negated(s, a), quotient(s, a, add(s, h, number(s, 1))), a);
    return bits_or(s, t, bits_and(s, X, word(s, SIGN_BIT)));
}

/* ---- logarithms ---- */

/* (log(1 + f) - f) / f^2, -1/3 <= f <= 1/3, error of the logarithm below 2^-27 of itself. */
static const float log_tail[] = {-0x1p-1f,       0x1.5554fap-2f,  -0x1.ffff94p-3f, 0x1.99d58cp-3f, -0x1.557e26p-3f,
                                 0x1.1e8252p-3f, -0x1.f6b65ap-4f, 0x1.1ff4dep-3f,  -0x1.ff988ep-4f};

/* -k 2^23 for the k that puts x 2^-k into [low, 2 low), x normal and positive: added to the bits of a float it scales
 * it by 2^-k. */
static value minus_exponent(assembler *s, value x, uint32_t low_bits)
{
    value above = word_sub(s, word(s, low_bits + EXPONENT_ONE - 1), x);
    return bits_and(s, above, word(s, EXPONENT_AND_SIGN));
}

/* x with subnormals made normal by a factor 2^23, and the correction of their exponent. */
typedef struct {
    value x, exponent;
} normal;

static normal make_normal(assembler *s, value x)
{
    value tiny = less(s, x, number(s, LEAST_NORMAL));
    value exponent = bits_and(s, tiny, word(s, 23 * EXPONENT_ONE));
    return (normal){choose(s, tiny, mul(s, x, number(s, 0x1p23f)), x), exponent};
}

/* k ln 2 + log(1 + f), given -k 2^23 as an integer. The factors are negative and an integer's zero is +0, so for k = 0
 * both products are -0 and a result -0 survives. */
static value log_sum(assembler *s, value minus_k, value f)
{
    value k = to_float(s, minus_k);
    value y = mul_add(s, mul(s, f, f), polynomial(s, f, log_tail, COUNT(log_tail)), f);
    y = mul_add(s, k, number(s, -LN2_LOW * 0x1p-23f), y);
    return mul_add(s, k, number(s, -LN2_HIGH * 0x1p-23f), y);
}

/* y, but x itself for infinity and NaN, -infinity where x is the pole, NaN below it. */
static value log_edges(assembler *s, float pole, value y)
{
    value at = number(s, pole);
    value inside = choose(s, less(s, X, number(s, INFINITY)), y, X);
    value outside = choose(s, equal(s, X, at), number(s, -INFINITY), number(s, NAN));
    return choose(s, less(s, at, X), inside, outside);
}

#define TWO_THIRDS_BITS 0x3f2aaaab

/* log(x) = k ln 2 + log(1 + f), x = 2^k (1 + f), 2/3 <= 1 + f < 4/3. 0.95 ulp. */
static value write_log(assembler *s)
{
    normal a = make_normal(s, X);
    value minus_k = minus_exponent(s, a.x, TWO_THIRDS_BITS);
    value f = sub(s, word_add(s, a.x, minus_k), number(s, 1));
    return log_edges(s, 0, log_sum(s, word_add(s, minus_k, a.exponent), f));
}

/* log(1 + x) = k ln 2 + log(1 + f), k taken from the rounded 1 + x, but f = 2^-k x - (1 - 2^-k) from x itself: 2^-k x
 * is exact, so is 1 - 2^-k where it matters. 1.55 ulp. */
static value write_log_plus_one(assembler *s)
{
    value one = number(s, 1);
    value minus_k = minus_exponent(s, add(s, X, one), TWO_THIRDS_BITS);
    /* 2^-k, but 0 for large x, where 2^-128 would not be a normal number */
    value factor = word_add(s, minus_k, one);
    factor = choose(s, less(s, X, number(s, 0x1p26f)), factor, number(s, 0));
    value f = sub(s, word_add(s, X, minus_k), sub(s, one, factor));
    return log_edges(s, -1, log_sum(s, minus_k, f));
}

/* ---- error function ---- */

/* erf(x)/x - 1 in x^2, |x| <= 0.9, error of erf below 2^-26 of itself. */
static const float erf_small[] = {0x1.06eba6p-3f,  -0x1.8126ecp-2f, 0x1.ce1b86p-4f,
                                  -0x1.b69b96p-6f, 0x1.479c9ep-8f,  -0x1.3ba9cep-11f};

/* (1 - erf(x))^(1/8), 0.9 <= x <= 4, error of erf below 2^-27. The eighth root is nearly straight where the function
 * itself falls through eight orders of magnitude. */
static const float erf_large[] = {0x1.000f68p+0f, -0x1.237886p-3f, -0x1.11293ap-4f,  -0x1.80f46ap-8f,
                                  0x1.38fd3cp-7f, -0x1.49004p-10f, -0x1.6f57d4p-14f, 0x1.45fa4cp-16f};

/* erf(x) = x + x P(x^2) for small |x|, 1 - Q(|x|)^8 beyond, with x's sign. 2.40 ulp. */
static value write_erf(assembler *s)
{
    value m = at_most(s, magnitude(s, X), 4); /* erf rounds to 1 from 3.833 on */
    value small = mul_add(s, m, polynomial(s, mul(s, m, m), erf_small, COUNT(erf_small)), m);
    value q = polynomial(s, m, erf_large, COUNT(erf_large));
    value q2 = mul(s, q, q), q4 = mul(s, q2, q2);
    value large = mul_add(s, negated(s, q4), q4, number(s, 1));
    value y = choose(s, less(s, m, number(s, 0.9f)), small, large);
    return bits_or(s, y, bits_and(s, X, word(s, SIGN_BIT)));
}

/* ---- circular functions ---- */

/* pi/2 in three parts, the first two rounded down: all positive, so -0 survives as in log_sum. */
#define HALF_PI_1 0x1.921fb4p+0f
#define HALF_PI_2 0x1.4442d0p-24f
#define HALF_PI_3 0x1.84698ap-48f
#define TWO_OVER_PI 0x1.45f306p-1f

/* (sin(r)/r - 1) / r^2 and (cos(r) - 1) / r^2 in r^2, |r| <= pi/4; errors of sin and cos 2^-27.9 and 2^-33. */
static const float sin_tail[] = {-0x1.555546p-3f, 0x1.110774p-7f, -0x1.9951e8p-13f};
static const float cos_tail[] = {-0x1p-1f, 0x1.55554ap-5f, -0x1.6c0c28p-10f, 0x1.99e80cp-16f};

/* sin(x + quarter pi/2): x = n pi/2 + r, and n + quarter selects sin(r), cos(r), -sin(r) or -cos(r). Subtracting the
 * first part is exact; the relative error of r is some 2^-23 for |x| <= 2^15. It grows with n from there, and beyond
 * 2^22 the quotient no longer tells n: x counts as 0 (as NaN if infinite). Sine 1.99 ulp, cosine 2.00 ulp for |x| <=
 * 2^15. */
static value write_circular(assembler *s, uint32_t quarter)
{
    value to_whole = number(s, TO_WHOLE), one = number(s, 1);
    value known = less(s, magnitude(s, X), number(s, 0x1p22f));
    value x = choose(s, known, X, mul(s, X, number(s, 0)));
    value whole = mul_add(s, x, number(s, TWO_OVER_PI), to_whole);
    value n = sub(s, whole, to_whole);
    value r = mul_add(s, n, number(s, -HALF_PI_1), x);
    r = mul_add(s, n, number(s, -HALF_PI_2), r);
    r = mul_add(s, n, number(s, -HALF_PI_3), r);
    if (quarter)
        whole = word_add(s, whole, word(s, quarter));
    value z = mul(s, r, r);
    value odd = word_less(s, shift_left(s, whole, 31), word(s, 0));
    value tail =
        choose(s, odd, polynomial(s, z, cos_tail, COUNT(cos_tail)), polynomial(s, z, sin_tail, COUNT(sin_tail)));
    value y = mul(s, choose(s, odd, one, r), mul_add(s, tail, z, one));
    return bits_xor(s, y, shift_left(s, shift_right(s, whole, 1), 31));
}

static value write_sine(assembler *s)
{
    return write_circular(s, 0);
}

static value write_cosine(assembler *s)
{
    return write_circular(s, 1);
}

/* ---- power ---- */

/* A sum of two floats, the second at most half a unit in the last place of the first. */
typedef struct {
    value high, low;
} pair;

/* a + b exactly, where |a| >= |b| or a = 0 (Dekker's fast two-sum). */
static pair exact_sum(assembler *s, value a, value b)
{
    value high = add(s, a, b);
    return (pair){high, add(s, sub(s, a, high), b)};
}

/* (atanh(t)/t - 1) / t^2 in t^2, |t| <= 0.104, error of atanh(t)/t below 2^-35. */
static const float atanh_tail[] = {0x1.555558p-2f, 0x1.998f6ep-3f, 0x1.2a120ep-3f};

/* 2^r, |r| <= 1/2, error below 2^-27. */
static const float exp2_series[] = {
    1, 0x1.62e430p-1f, 0x1.ebfbdap-3f, 0x1.c6af2ap-5f, 0x1.3b2e30p-7f, 0x1.5f3fb8p-10f, 0x1.41fba8p-13f};

/* 2 / ln 2 in two parts */
#define TWO_LOG2_E_HIGH 0x1.715476p+1f
#define TWO_LOG2_E_LOW 0x1.4ae0c0p-25f

/* log2(4/3) in two parts, the first of 16 bits: exact when added to an exponent */
#define LOG2_4_3_HIGH 0x1.a9p-2f
#define LOG2_4_3_LOW -0x1.a39fbep-20f

#define POINT_82_BITS 0x3f51eb85

/* t = f / (2 + f) as a pair. The rounding errors of the divisor and of the quotient are found exactly. */
static pair atanh_argument(assembler *s, value f)
{
    value two = number(s, 2);
    value divisor = add(s, f, two);
    value divisor_low = sub(s, f, sub(s, divisor, two));
    value inverse = quotient(s, number(s, 1), divisor);
    value t = mul(s, f, inverse), minus_t = negated(s, t);
    value left = mul_add(s, minus_t, divisor_low, mul_add(s, minus_t, divisor, f));
    return (pair){t, mul(s, left, inverse)};
}

/* log2(1 + f) = (2 / ln 2) atanh(f / (2 + f)). What follows the first term of the series is below 1/250 of it, so its
 * rounding does not matter. */
static pair log2_of_sum(assembler *s, value f)
{
    pair t = atanh_argument(s, f);
    value z = mul(s, t.high, t.high);
    value tail = mul(s, z, polynomial(s, z, atanh_tail, COUNT(atanh_tail)));
    value rest = mul_add(s, t.high, tail, t.low);

    value factor = number(s, TWO_LOG2_E_HIGH);
    value high = mul(s, factor, t.high);
    value low = mul_add(s, factor, t.high, negated(s, high));
    low = mul_add(s, number(s, TWO_LOG2_E_LOW), t.high, low);
    return (pair){high, mul_add(s, factor, rest, low)};
}

/* log2(x), x > 0 and finite: x = 2^k m, 0.82 <= m < 1.64; m >= 1.2 is multiplied by 3/4, which is exact in f = 3/4 m
 * - 1. Then -0.18 <= f <= 0.23, and the sum of exponent and log2(4/3) is exact and, if not 0, larger than log2(1 + f).
 */
static pair log2_pair(assembler *s, value x)
{
    value zero = number(s, 0), one = number(s, 1);
    normal a = make_normal(s, x);
    value minus_k = minus_exponent(s, a.x, POINT_82_BITS);
    value m = word_add(s, a.x, minus_k);
    value upper = less(s, number(s, 1.2f), m);
    value f = mul_add(s, m, choose(s, upper, number(s, 0.75f), one), number(s, -1));
    pair l = log2_of_sum(s, f);

    value whole_high = choose(s, upper, number(s, LOG2_4_3_HIGH), zero);
    value whole_low = choose(s, upper, number(s, LOG2_4_3_LOW), zero);
    value k = to_float(s, word_add(s, minus_k, a.exponent));
    pair sum = exact_sum(s, mul_add(s, k, number(s, -0x1p-23f), whole_high), l.high);
    return exact_sum(s, sum.high, add(s, sum.low, add(s, whole_low, l.low)));
}

/* 2^(p.high + p.low); beyond the exponents of f32 infinity or 0, whatever p.low; 0 for results below 2^-126. */
static value exp2_pair(assembler *s, pair p)
{
    value to_whole = number(s, TO_WHOLE + 2 * EXPONENT_BIAS);
    value whole = add(s, p.high, to_whole);
    value r = add(s, sub(s, p.high, sub(s, whole, to_whole)), p.low);
    value y = scale(s, polynomial(s, r, exp2_series, COUNT(exp2_series)), whole);
    y = choose(s, less(s, number(s, 200), p.high), number(s, INFINITY), y);
    value zero = number(s, 0);
    y = choose(s, less(s, y, number(s, LEAST_NORMAL)), zero, y);
    return choose(s, less(s, p.high, number(s, -126)), zero, y);
}

/* |x|^y given y in [-2^40, 2^40]. The logarithm of 0 is -infinity, of infinity infinity. */
static value power_of_magnitude(assembler *s, value y)
{
    value m = magnitude(s, X), infinity = number(s, INFINITY);
    pair l = log2_pair(s, m);
    l.high = choose(s, less(s, m, infinity), l.high, m);
    l.high = choose(s, equal(s, m, number(s, 0)), number(s, -INFINITY), l.high);
    value high = mul(s, y, l.high);
    value low = mul_add(s, y, l.low, mul_add(s, y, l.high, negated(s, high)));
    return exp2_pair(s, (pair){high, low});
}

/* x^y = 2^(y log2 |x|), log2 and the product in pairs. y is cut to 2^40: for every x but 1 the result is 0 or infinity
 * long before. Then as C's pow: a negative x gives the sign of an odd y, and NaN if it is finite and y not whole (an
 * infinite y is whole and even); x^0 and 1^y are 1 even for NaN. 2.63 ulp over 1.5e9 pairs. */
static value write_power(assembler *s)
{
    value zero = number(s, 0), one = number(s, 1);
    value result = power_of_magnitude(s, at_most(s, at_least(s, Y, -0x1p40f), 0x1p40f));

    value half = mul(s, Y, number(s, 0.5f));
    value whole = equal(s, nearest_whole(s, Y), Y);
    value even = equal(s, nearest_whole(s, half), half);
    value signed_result = bits_or(s, result, bits_and(s, X, word(s, SIGN_BIT)));
    value finite_negative = bits_and(s, less(s, X, zero), less(s, number(s, -INFINITY), X));
    value fraction_power = choose(s, finite_negative, number(s, NAN), result);
    result = choose(s, whole, choose(s, even, result, signed_result), fraction_power);
    return choose(s, bits_or(s, equal(s, Y, zero), equal(s, X, one)), one, result);
}

/* ---- the table ---- */

typedef struct {
    ir_op op;
    const char *name;
    int32_t inputs;
    value (*write)(assembler *s);
} function;

static const function functions[] = {
    {IR_EXPONENTIAL, "exponential", 1, write_exponential},
    {IR_LOG, "log", 1, write_log},
    {IR_LOG_PLUS_ONE, "log_plus_one", 1, write_log_plus_one},
    {IR_TANH, "tanh", 1, write_tanh},
    {IR_LOGISTIC, "logistic", 1, write_logistic},
    {IR_ERF, "erf", 1, write_erf},
    {IR_COSINE, "cosine", 1, write_cosine},
    {IR_SINE, "sine", 1, write_sine},
    {IR_POWER, "power", 2, write_power},
};

/* Written on the first call of math_find, constant from then on. */
static assembler assembled[COUNT(functions)];
static math_program programs[COUNT(functions)];
static once_flag assembled_once = ONCE_FLAG_INIT;

static void assemble(const function *f, assembler *s, math_program *p)
{
    s->inputs = f->inputs;
    if (f->write(s) != s->inputs + s->count - 1)
        ir_bug("%s: the result is not the last step", f->name);
    *p = (math_program){f->name, s->inputs, s->count, s->steps};
}

static void assemble_all(void)
{
    for (int i = 0; i < COUNT(functions); i++)
        assemble(&functions[i], &assembled[i], &programs[i]);
}

const math_program *math_find(ir_op op)
{
    call_once(&assembled_once, assemble_all);
    for (int i = 0; i < COUNT(functions); i++)
        if (functions[i].op == op)
            return &programs[i];
    return NULL;
}
