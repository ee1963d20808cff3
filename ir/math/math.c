/* ir/math/math.c - run a step program.
 *
 * What each step does is decided here, once; the backend's vector steps give the same bits. fmaf rounds once whether or
 * not the machine has the instruction. A step is done for a group of arguments before the next one is looked at, which
 * spreads the cost of the switch. */
#include "ir/math/math.h"
#include "ir/base/diag.h"
#include <math.h>
#include <string.h>

enum { MAX_VALUES = 256, GROUP = 16 }; /* an operand is a uint8_t */

static inline float as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t as_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline uint32_t mask(bool condition)
{
    return condition ? UINT32_MAX : 0;
}

/* Outside i32 the x86 answer, so that no undefined conversion is made. */
static inline uint32_t to_int(float x)
{
    return fabsf(x) < 0x1p31f ? (uint32_t)(int32_t)x : 0x80000000u;
}

/* r[i] from a[i], b[i], c[i] for every argument of the group */
#define EACH(result)                                                                                                   \
    for (int i = 0; i < n; i++)                                                                                        \
        r[i] = (result);                                                                                               \
    return

static inline void run_step(const math_step *s, uint32_t v[][GROUP], uint32_t *restrict r, int n)
{
    const uint32_t *a = v[s->a], *b = v[s->b], *c = v[s->c];
    switch ((math_op)s->op) {
    case MATH_CONST_F:
    case MATH_CONST_I:
        EACH(s->bits);
    case MATH_FMA:
        EACH(as_bits(fmaf(as_float(a[i]), as_float(b[i]), as_float(c[i]))));
    case MATH_ADD:
        EACH(as_bits(as_float(a[i]) + as_float(b[i])));
    case MATH_SUB:
        EACH(as_bits(as_float(a[i]) - as_float(b[i])));
    case MATH_MUL:
        EACH(as_bits(as_float(a[i]) * as_float(b[i])));
    case MATH_DIV:
        EACH(as_bits(as_float(a[i]) / as_float(b[i])));
    case MATH_NEG:
        EACH(a[i] ^ 0x80000000u);
    case MATH_ABS:
        EACH(a[i] & 0x7fffffffu);
    case MATH_ROUND:
        EACH(as_bits(rintf(as_float(a[i]))));
    case MATH_LT:
        EACH(mask(as_float(a[i]) < as_float(b[i])));
    case MATH_LE:
        EACH(mask(as_float(a[i]) <= as_float(b[i])));
    case MATH_EQ:
        EACH(mask(as_float(a[i]) == as_float(b[i])));
    case MATH_SELECT:
        EACH(a[i] ? b[i] : c[i]);
    case MATH_IADD:
        EACH(a[i] + b[i]);
    case MATH_ISUB:
        EACH(a[i] - b[i]);
    case MATH_IMUL:
        EACH(a[i] * b[i]);
    case MATH_AND:
        EACH(a[i] & b[i]);
    case MATH_OR:
        EACH(a[i] | b[i]);
    case MATH_XOR:
        EACH(a[i] ^ b[i]);
    case MATH_SHL:
        EACH(a[i] << s->bits);
    case MATH_SHR:
        EACH(a[i] >> s->bits);
    case MATH_SAR:
        EACH(a[i] >> s->bits | (a[i] >> 31 ? ~(UINT32_MAX >> s->bits) : 0));
    case MATH_ILT:
        EACH(mask((a[i] ^ 0x80000000u) < (b[i] ^ 0x80000000u)));
    case MATH_I2F:
        EACH(as_bits((float)(int32_t)a[i]));
    case MATH_F2I:
        EACH(to_int(as_float(a[i])));
    }
    ir_bug("%d is no math step", s->op);
}

static void run_group(const math_program *p, const float *x, const float *y, float *out, int n)
{
    uint32_t v[MAX_VALUES][GROUP];
    memcpy(v[0], x, (size_t)n * sizeof *x);
    if (p->inputs > 1)
        memcpy(v[1], y, (size_t)n * sizeof *y);
    for (int32_t i = 0; i < p->count; i++)
        run_step(&p->steps[i], v, v[p->inputs + i], n);
    memcpy(out, v[p->inputs + p->count - 1], (size_t)n * sizeof *out);
}

void math_run_each(const math_program *p, const float *x, const float *y, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i += GROUP) {
        int n = count - i < GROUP ? (int)(count - i) : GROUP;
        run_group(p, x + i, p->inputs > 1 ? y + i : NULL, out + i, n);
    }
}

float math_run(const math_program *p, float x, float y)
{
    float result;
    run_group(p, &x, &y, &result, 1);
    return result;
}
