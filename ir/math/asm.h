/* ir/math/asm.h - an assembler for the step programs of ir/math/math.h.
 *
 * Each function appends one step and gives the number of its value, so a program is written as ordinary C over names:
 *     value r = mul_add(s, n, number(s, -LN2), x);
 * A step equal to an earlier one is not repeated; constants need no pool of their own. Where calls are nested, the C
 * compiler chooses which step comes first: that changes numbers of steps, never a value. */
#ifndef IR_MATH_ASM_H
#define IR_MATH_ASM_H

#include "ir/base/diag.h"
#include "ir/math/math.h"
#include <string.h>

enum { MATH_MAX_STEPS = 160 }; /* with two inputs still well within the uint8_t of an operand */

typedef uint8_t value;

typedef struct {
    int32_t inputs, count;
    math_step steps[MATH_MAX_STEPS];
} assembler;

static inline value step(assembler *s, math_op op, value a, value b, value c, uint32_t bits)
{
    for (int32_t i = 0; i < s->count; i++) {
        const math_step *old = &s->steps[i];
        if (old->op == op && old->a == a && old->b == b && old->c == c && old->bits == bits)
            return (value)(s->inputs + i);
    }
    if (s->count == MATH_MAX_STEPS)
        ir_bug("a math program has more than %d steps", MATH_MAX_STEPS);
    s->steps[s->count] = (math_step){(uint8_t)op, a, b, c, bits};
    return (value)(s->inputs + s->count++);
}

static inline value number(assembler *s, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return step(s, MATH_CONST_F, 0, 0, 0, bits);
}

static inline value word(assembler *s, uint32_t bits)
{
    return step(s, MATH_CONST_I, 0, 0, 0, bits);
}

/* a * b + c */
static inline value mul_add(assembler *s, value a, value b, value c)
{
    return step(s, MATH_FMA, a, b, c, 0);
}

static inline value add(assembler *s, value a, value b)
{
    return step(s, MATH_ADD, a, b, 0, 0);
}

static inline value sub(assembler *s, value a, value b)
{
    return step(s, MATH_SUB, a, b, 0, 0);
}

static inline value mul(assembler *s, value a, value b)
{
    return step(s, MATH_MUL, a, b, 0, 0);
}

static inline value quotient(assembler *s, value a, value b)
{
    return step(s, MATH_DIV, a, b, 0, 0);
}

static inline value negated(assembler *s, value a)
{
    return step(s, MATH_NEG, a, 0, 0, 0);
}

static inline value magnitude(assembler *s, value a)
{
    return step(s, MATH_ABS, a, 0, 0, 0);
}

static inline value nearest_whole(assembler *s, value a)
{
    return step(s, MATH_ROUND, a, 0, 0, 0);
}

static inline value less(assembler *s, value a, value b)
{
    return step(s, MATH_LT, a, b, 0, 0);
}

static inline value equal(assembler *s, value a, value b)
{
    return step(s, MATH_EQ, a, b, 0, 0);
}

static inline value word_less(assembler *s, value a, value b)
{
    return step(s, MATH_ILT, a, b, 0, 0);
}

/* condition ? a : b */
static inline value choose(assembler *s, value condition, value a, value b)
{
    return step(s, MATH_SELECT, condition, a, b, 0);
}

static inline value word_add(assembler *s, value a, value b)
{
    return step(s, MATH_IADD, a, b, 0, 0);
}

static inline value word_sub(assembler *s, value a, value b)
{
    return step(s, MATH_ISUB, a, b, 0, 0);
}

static inline value bits_and(assembler *s, value a, value b)
{
    return step(s, MATH_AND, a, b, 0, 0);
}

static inline value bits_or(assembler *s, value a, value b)
{
    return step(s, MATH_OR, a, b, 0, 0);
}

static inline value bits_xor(assembler *s, value a, value b)
{
    return step(s, MATH_XOR, a, b, 0, 0);
}

static inline value shift_left(assembler *s, value a, uint32_t by)
{
    return step(s, MATH_SHL, a, 0, 0, by);
}

static inline value shift_right(assembler *s, value a, uint32_t by)
{
    return step(s, MATH_SHR, a, 0, 0, by);
}

/* An i32 as a float. */
static inline value to_float(assembler *s, value a)
{
    return step(s, MATH_I2F, a, 0, 0, 0);
}

/* The smaller (larger) of x and a limit; a NaN passes, which is why the limit comes first. One machine instruction. */
static inline value at_most(assembler *s, value x, float limit)
{
    value l = number(s, limit);
    return choose(s, less(s, l, x), l, x);
}

static inline value at_least(assembler *s, value x, float limit)
{
    value l = number(s, limit);
    return choose(s, less(s, x, l), l, x);
}

/* c[0] + c[1] x + ... + c[n-1] x^(n-1), by Horner's rule. */
static inline value polynomial(assembler *s, value x, const float *c, int n)
{
    value p = number(s, c[n - 1]);
    for (int i = n - 2; i >= 0; i--)
        p = mul_add(s, p, x, number(s, c[i]));
    return p;
}

#endif
