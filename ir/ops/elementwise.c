/* ir/ops/elementwise.c - infer and eval of the elementwise operators.
 *
 * Operands and result have the same shape, so they have the same order in memory, and a rule works on blocks of
 * elements. Under EVAL_F32 floats are computed in double and rounded once when they are stored. A double has more
 * than twice the digits of a float, so a sum, difference, product, quotient or square root comes out exactly as the
 * float operation would give it. Under EVAL_F64 the same code gives doubles. The elementary functions run their
 * program of ir/math/math.h under EVAL_F32 and the C library's function under EVAL_F64. */
#include "ir/math/math.h"
#include "ir/ops/rules.h"
#include <math.h>
#include <string.h>

enum { NUMBERS = DTYPE_F32 | DTYPE_WHOLE, BITS = DTYPE_WHOLE | DTYPE_I1 };

static int block_length(int64_t total, int64_t first)
{
    return total - first < ELEMENTS ? (int)(total - first) : ELEMENTS;
}

static bool infer_alike(const ir_node *n, int set, ir_type *type, diag *d)
{
    if (!rule_dtype(n, 0, set, d) || !rule_alike(n, d))
        return false;
    *type = n->in[0]->type;
    return true;
}

/* ---- whole numbers: 64-bit values, wrapped to the dtype's width when stored ---- */

static int64_t wrapped_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrapped_subtract(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t wrapped_multiply(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

static int64_t whole_divide(int64_t a, int64_t b)
{
    if (b == 0)
        return -1;
    return b == -1 ? wrapped_subtract(0, a) : a / b;
}

static int64_t shift_left(int64_t a, int64_t by, int width)
{
    return by < 0 || by >= width ? 0 : (int64_t)((uint64_t)a << by);
}

/* An unsigned value was widened with zeros, so one shift serves both kinds; a negative count is a large unsigned one.
 */
static int64_t shift_right(int64_t a, int64_t by, int width)
{
    return a >> (by < 0 || by >= width ? 63 : by);
}

/* ---- floats ---- */

static double real_minimum(double a, double b)
{
    return -real_maximum(-a, -b);
}

static double real_sign(double a)
{
    return a > 0 ? 1 : a < 0 ? -1 : a;
}

/* 1 / sqrt(x) is two operations: the square root rounds to float first. */
static double real_rsqrt(double a, bool narrow)
{
    double root = sqrt(a);
    return 1 / (narrow ? (double)(float)root : root);
}

/* ---- the plain rules: one expression for floats, one for whole numbers ----
 *
 * In them a and b are the operands' elements, 'width' is the dtype's width in bits, 'narrow' says that values are
 * rounded to float. */

#define ELEMENT_LOOP(field, ctype, expression)                                                                         \
    for (int i = 0; i < count; i++) {                                                                                  \
        ctype a = x.field[i], b = y.field[i];                                                                          \
        (void)a, (void)b;                                                                                              \
        x.field[i] = (expression);                                                                                     \
    }

#define RULE(name, set, real_expression, whole_expression)                                                             \
    bool infer_##name(const ir_node *n, ir_type *type, diag *d)                                                        \
    {                                                                                                                  \
        return infer_alike(n, set, type, d);                                                                           \
    }                                                                                                                  \
    void eval_##name(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)                \
    {                                                                                                                  \
        ir_dtype t = out->type.dtype;                                                                                  \
        bool narrow = t == IR_F32 && c->mode == EVAL_F32;                                                              \
        int width = 8 * (int)ir_dtype_size(t);                                                                         \
        int64_t total = ir_count(&out->type, c->batch);                                                                \
        elements x, y = {{0}};                                                                                         \
        (void)narrow, (void)width;                                                                                     \
        for (int64_t first = 0; first < total; first += ELEMENTS) {                                                    \
            int count = block_length(total, first);                                                                    \
            elements_load(c->mode, in[0], first, count, &x);                                                           \
            if (n->nin > 1)                                                                                            \
                elements_load(c->mode, in[1], first, count, &y);                                                       \
            if (ir_dtype_is_float(t))                                                                                  \
                ELEMENT_LOOP(real, double, real_expression)                                                            \
            else                                                                                                       \
                ELEMENT_LOOP(whole, int64_t, whole_expression)                                                         \
            elements_store(c->mode, out, first, count, &x);                                                            \
        }                                                                                                              \
    }

#define REAL_RULE(name, expression) RULE(name, DTYPE_F32, expression, 0)
#define BITS_RULE(name, set, expression) RULE(name, set, 0, expression)

RULE(add, NUMBERS | DTYPE_F64, a + b, wrapped_add(a, b))
RULE(subtract, NUMBERS, a - b, wrapped_subtract(a, b))
RULE(multiply, NUMBERS | DTYPE_F64, (a * b), wrapped_multiply(a, b))
RULE(divide, NUMBERS, a / b, whole_divide(a, b))
RULE(maximum, NUMBERS, real_maximum(a, b), a > b ? a : b)
RULE(minimum, NUMBERS, real_minimum(a, b), a < b ? a : b)
RULE(negate, NUMBERS, -a, wrapped_subtract(0, a))
RULE(abs, NUMBERS, fabs(a), a < 0 ? wrapped_subtract(0, a) : a)
RULE(sign, NUMBERS, real_sign(a), (a > 0) - (a < 0))
REAL_RULE(round_nearest_even, rint(a))
REAL_RULE(floor, floor(a))
REAL_RULE(sqrt, sqrt(a))
REAL_RULE(rsqrt, real_rsqrt(a, narrow))
BITS_RULE(and, BITS, (a & b))
BITS_RULE(or, BITS, (a | b))
BITS_RULE(xor, BITS, (a ^ b))
BITS_RULE(not, BITS, ~a)
BITS_RULE(shift_left, DTYPE_WHOLE, shift_left(a, b, width))
BITS_RULE(shift_right, DTYPE_WHOLE, shift_right(a, b, width))

/* ---- elementary functions ---- */

static void apply_program(const math_program *p, const eval_tensor *const *in, eval_tensor *out, int64_t total)
{
    const float *x = in[0]->data, *y = p->inputs > 1 ? in[1]->data : NULL;
    float *r = out->data;
    for (int64_t i = 0; i < total; i++)
        r[i] = math_run(p, x[i], y ? y[i] : 0);
}

#define MATH_RULE(name, ID, libm_expression)                                                                           \
    bool infer_##name(const ir_node *n, ir_type *type, diag *d)                                                        \
    {                                                                                                                  \
        return infer_alike(n, DTYPE_F32, type, d);                                                                     \
    }                                                                                                                  \
    void eval_##name(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)                \
    {                                                                                                                  \
        int64_t total = ir_count(&out->type, c->batch);                                                                \
        if (c->mode == EVAL_F32) {                                                                                     \
            apply_program(math_find(IR_##ID), in, out, total);                                                         \
            return;                                                                                                    \
        }                                                                                                              \
        const double *x = in[0]->data, *y = in[n->nin - 1]->data;                                                      \
        for (int64_t i = 0; i < total; i++) {                                                                          \
            double a = x[i], b = y[i];                                                                                 \
            (void)b;                                                                                                   \
            ((double *)out->data)[i] = (libm_expression);                                                              \
        }                                                                                                              \
    }

MATH_RULE(exponential, EXPONENTIAL, exp(a))
MATH_RULE(log, LOG, log(a))
MATH_RULE(log_plus_one, LOG_PLUS_ONE, log1p(a))
MATH_RULE(tanh, TANH, tanh(a))
MATH_RULE(logistic, LOGISTIC, a < 0 ? exp(a) / (1 + exp(a)) : 1 / (1 + exp(-a)))
MATH_RULE(erf, ERF, erf(a))
MATH_RULE(cosine, COSINE, cos(a))
MATH_RULE(sine, SINE, sin(a))
MATH_RULE(power, POWER, pow(a, b))

/* ---- those whose result or operands differ in dtype ---- */

bool infer_is_finite(const ir_node *n, ir_type *type, diag *d)
{
    if (!infer_alike(n, DTYPE_F32, type, d))
        return false;
    type->dtype = IR_I1;
    return true;
}

void eval_is_finite(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    int64_t total = ir_count(&out->type, c->batch);
    elements x;
    (void)n;
    for (int64_t first = 0; first < total; first += ELEMENTS) {
        int count = block_length(total, first);
        elements_load(c->mode, in[0], first, count, &x);
        for (int i = 0; i < count; i++)
            x.whole[i] = isfinite(x.real[i]) != 0;
        elements_store(c->mode, out, first, count, &x);
    }
}

bool infer_compare(const ir_node *n, ir_type *type, diag *d)
{
    if (!infer_alike(n, NUMBERS | DTYPE_I1, type, d) || !rule_word(n, "direction", "EQ NE LT LE GT GE", d))
        return false;
    type->dtype = IR_I1;
    return true;
}

/* Whether a direction holds where a < b, where they are equal, and where a > b; a NaN is none of these. */
typedef struct {
    const char *direction;
    bool less, equal, greater, unordered;
} compare_row;

static const compare_row compare_rows[] = {{"EQ", 0, 1, 0, 0}, {"NE", 1, 0, 1, 1}, {"LT", 1, 0, 0, 0},
                                           {"LE", 1, 1, 0, 0}, {"GT", 0, 0, 1, 0}, {"GE", 0, 1, 1, 0}};

#define COMPARE_LOOP(field)                                                                                            \
    for (int i = 0; i < count; i++)                                                                                    \
    x.whole[i] = x.field[i] < y.field[i]    ? row->less                                                                \
                 : x.field[i] == y.field[i] ? row->equal                                                               \
                 : x.field[i] > y.field[i]  ? row->greater                                                             \
                                            : row->unordered

void eval_compare(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    const compare_row *row = compare_rows;
    while (strcmp(row->direction, ir_word(n, "direction")))
        row++;
    int64_t total = ir_count(&out->type, c->batch);
    elements x, y;
    for (int64_t first = 0; first < total; first += ELEMENTS) {
        int count = block_length(total, first);
        elements_load(c->mode, in[0], first, count, &x);
        elements_load(c->mode, in[1], first, count, &y);
        if (ir_dtype_is_float(in[0]->type.dtype))
            COMPARE_LOOP(real);
        else
            COMPARE_LOOP(whole);
        elements_store(c->mode, out, first, count, &x);
    }
}

bool infer_select(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *condition = &n->in[0]->type, *x = &n->in[1]->type, *y = &n->in[2]->type;
    if (!rule_dtype(n, 0, DTYPE_I1, d))
        return false;
    if (!ir_type_equal(x, y) || !ir_shape_equal(condition, x))
        return rule_error(n, d, "expected operands of one shape, found %s, %s and %s", rule_type_text(n, condition),
                          rule_type_text(n, x), rule_type_text(n, y));
    *type = *x;
    return true;
}

void eval_select(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    const uint8_t *condition = in[0]->data;
    int64_t total = ir_count(&out->type, c->batch), size = element_size(c->mode, n->type.dtype);
    for (int64_t i = 0; i < total; i++) {
        const eval_tensor *chosen = in[condition[i] ? 1 : 2];
        memcpy((char *)out->data + i * size, (const char *)chosen->data + i * size, (size_t)size);
    }
}

bool infer_clamp(const ir_node *n, ir_type *type, diag *d)
{
    return infer_alike(n, NUMBERS, type, d);
}

void eval_clamp(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    int64_t total = ir_count(&out->type, c->batch);
    elements low, x, high;
    for (int64_t first = 0; first < total; first += ELEMENTS) {
        int count = block_length(total, first);
        elements_load(c->mode, in[0], first, count, &low);
        elements_load(c->mode, in[1], first, count, &x);
        elements_load(c->mode, in[2], first, count, &high);
        if (ir_dtype_is_float(n->type.dtype))
            for (int i = 0; i < count; i++)
                x.real[i] = real_minimum(real_maximum(x.real[i], low.real[i]), high.real[i]);
        else
            for (int i = 0; i < count; i++) {
                int64_t v = x.whole[i] > low.whole[i] ? x.whole[i] : low.whole[i];
                x.whole[i] = v < high.whole[i] ? v : high.whole[i];
            }
        elements_store(c->mode, out, first, count, &x);
    }
}

/* ---- conversions ---- */

static bool check_stated_shape(const ir_node *n, const ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type;
    return ir_shape_equal(type, x) || rule_error(n, d, "expected a result of the operand's shape, found %s from %s",
                                                 rule_type_text(n, type), rule_type_text(n, x));
}

bool infer_convert(const ir_node *n, ir_type *type, diag *d)
{
    return check_stated_shape(n, type, d);
}

/* From i64 straight to float: through double it would round twice. */
static void narrow_from_i64(const int64_t *x, float *r, int64_t total)
{
    for (int64_t i = 0; i < total; i++)
        r[i] = (float)x[i];
}

void eval_convert(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    ir_dtype from = in[0]->type.dtype, to = n->type.dtype;
    int64_t total = ir_count(&out->type, c->batch);
    elements x;
    if (from == IR_I64 && to == IR_F32 && c->mode == EVAL_F32) {
        narrow_from_i64(in[0]->data, out->data, total);
        return;
    }
    for (int64_t first = 0; first < total; first += ELEMENTS) {
        int count = block_length(total, first);
        elements_load(c->mode, in[0], first, count, &x);
        for (int i = 0; i < count; i++)
            if (ir_dtype_is_float(from) && !ir_dtype_is_float(to))
                x.whole[i] = whole_from_real(x.real[i], to);
            else if (!ir_dtype_is_float(from) && ir_dtype_is_float(to))
                x.real[i] = (double)x.whole[i];
            else if (to == IR_I1)
                x.whole[i] = x.whole[i] != 0;
        elements_store(c->mode, out, first, count, &x);
    }
}

bool infer_bitcast_convert(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type;
    if (!rule_dtype(n, 0, NUMBERS, d) || !check_stated_shape(n, type, d))
        return false;
    return (ir_dtype_size(x->dtype) == ir_dtype_size(type->dtype) && NUMBERS & 1 << type->dtype) ||
           rule_error(n, d, "expected a number type as wide as %s, found %s", ir_dtype_name(x->dtype),
                      ir_dtype_name(type->dtype));
}

/* An f32 under EVAL_F64 is cast as the float nearest to it. */
void eval_bitcast_convert(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    ir_dtype from = in[0]->type.dtype, to = n->type.dtype;
    int64_t total = ir_count(&out->type, c->batch);
    elements x;
    for (int64_t first = 0; first < total; first += ELEMENTS) {
        int count = block_length(total, first);
        elements_load(c->mode, in[0], first, count, &x);
        for (int i = 0; i < count; i++) {
            float real;
            uint32_t bits;
            if (from == IR_F32 && to != IR_F32) {
                real = (float)x.real[i];
                memcpy(&bits, &real, sizeof bits);
                x.whole[i] = bits;
            } else if (from != IR_F32 && to == IR_F32) {
                bits = (uint32_t)x.whole[i];
                memcpy(&real, &bits, sizeof real);
                x.real[i] = real;
            }
        }
        elements_store(c->mode, out, first, count, &x);
    }
}
