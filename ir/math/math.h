/* ir/math/math.h - elementary functions as tables of steps.
 *
 * A program is straight-line code over 32-bit values: step i makes value inputs + i from earlier values. The evaluator
 * runs it a number at a time, the backend emits it a vector at a time, so both give the same bits for every x, on every
 * machine with a fused multiply-add, without libm. */
#ifndef IR_MATH_H
#define IR_MATH_H

#include "ir/ir.h"

/* Values are bits; F operators read and write them as f32, I operators as two's complement i32. */
typedef enum {
    MATH_CONST_F, /* the float whose bits are in 'bits' */
    MATH_CONST_I, /* 'bits' */
    MATH_FMA,     /* a * b + c, one rounding */
    MATH_ADD,
    MATH_SUB,
    MATH_MUL,
    MATH_DIV,
    MATH_NEG,   /* sign bit flipped */
    MATH_ABS,   /* sign bit cleared */
    MATH_ROUND, /* to the nearest whole number, ties to even */
    MATH_LT,    /* a < b, all ones or 0; false with NaN */
    MATH_LE,
    MATH_EQ,
    MATH_SELECT, /* a (all ones or 0) ? b : c */
    MATH_IADD,
    MATH_ISUB,
    MATH_IMUL,
    MATH_AND,
    MATH_OR,
    MATH_XOR,
    MATH_SHL, /* a << bits */
    MATH_SHR, /* a >> bits, zeros in */
    MATH_SAR, /* a >> bits, sign in */
    MATH_ILT, /* a < b as i32, all ones or 0 */
    MATH_I2F, /* i32 to f32, nearest even */
    MATH_F2I  /* f32 to i32, towards zero; only used where the value fits, anything otherwise */
} math_op;

typedef struct {
    uint8_t op; /* math_op */
    uint8_t a, b, c;
    uint32_t bits;
} math_step;

typedef struct {
    const char *name;
    int32_t inputs; /* 1, or 2 (power) */
    int32_t count;
    const math_step *steps; /* the last one's value is the result */
} math_program;

/* The program of an operator, or NULL if the operator is a machine operation (add, sqrt, ...) or not f32 arithmetic. */
const math_program *math_find(ir_op op);

float math_run(const math_program *p, float x, float y); /* y unused where inputs is 1 */
/* math_run for count arguments, cheaper than one at a time. y may be NULL where inputs is 1; out may be x or y. */
void math_run_each(const math_program *p, const float *x, const float *y, float *out, int64_t count);

#endif
