/* backend/emit/elementwise.c - one rule an elementwise operator, used at every width in every kernel.
 *
 * Each rule gives exactly what the reference evaluator gives (ir/ops/elementwise.c): IEEE maximum and minimum,
 * saturating conversions, all ones for integer division by zero, nothing undefined for any operand. No instruction
 * carries a fast-math flag. The table is filled from ir/ops.def, so an operator without a rule is a build error that
 * names emit_<op>. */
#include "backend/emit/emit.h"
#include <math.h>
#include <string.h>

typedef LLVMValueRef emit_rule(emitter *e, const emit_what *w, const LLVMValueRef *in);

/* ---- what the rules share ---- */

static LLVMTypeRef result_type(emitter *e, const emit_what *w)
{
    return emit_type(e, w->to, w->lanes);
}

static LLVMValueRef number(emitter *e, const emit_what *w, double x)
{
    return emit_number(e, w->from, w->lanes, x);
}

static LLVMValueRef choose(emitter *e, LLVMValueRef condition, LLVMValueRef x, LLVMValueRef y)
{
    return LLVMBuildSelect(e->builder, condition, x, y, "");
}

static LLVMValueRef float_compare(emitter *e, LLVMRealPredicate p, LLVMValueRef x, LLVMValueRef y)
{
    return LLVMBuildFCmp(e->builder, p, x, y, "");
}

static LLVMValueRef whole_compare(emitter *e, LLVMIntPredicate p, LLVMValueRef x, LLVMValueRef y)
{
    return LLVMBuildICmp(e->builder, p, x, y, "");
}

static LLVMValueRef two(emitter *e, const char *name, LLVMValueRef x, LLVMValueRef y)
{
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef in[] = {x, y};
    return emit_intrinsic(e, name, &type, 1, in, 2);
}

/* Elementary functions, and those operators that ir/math/math.h gives a table. */
static LLVMValueRef emit_program(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    if (w->from != IR_F32)
        ir_bug("%s of %s has no program", ir_ops[w->op].name, ir_dtype_name(w->from));
    return emit_math(e, w->op, w->lanes, in);
}

/* ---- one operand ---- */

static LLVMValueRef emit_negate(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    return ir_dtype_is_float(w->to) ? LLVMBuildFNeg(e->builder, in[0], "") : LLVMBuildNeg(e->builder, in[0], "");
}

static LLVMValueRef emit_abs(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    if (ir_dtype_is_float(w->to))
        return emit_intrinsic_1(e, "llvm.fabs", in[0]);
    if (!ir_dtype_is_signed(w->to))
        return in[0];
    LLVMValueRef negative = whole_compare(e, LLVMIntSLT, in[0], number(e, w, 0));
    return choose(e, negative, LLVMBuildNeg(e->builder, in[0], ""), in[0]);
}

static LLVMValueRef emit_sign(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    LLVMValueRef zero = number(e, w, 0), one = number(e, w, 1);
    if (ir_dtype_is_float(w->to)) {
        LLVMValueRef moved = float_compare(e, LLVMRealONE, in[0], zero); /* neither zero nor NaN */
        return choose(e, moved, two(e, "llvm.copysign", one, in[0]), in[0]);
    }
    if (!ir_dtype_is_signed(w->to))
        return choose(e, whole_compare(e, LLVMIntEQ, in[0], zero), zero, one);
    LLVMValueRef below = choose(e, whole_compare(e, LLVMIntSLT, in[0], zero), number(e, w, -1), zero);
    return choose(e, whole_compare(e, LLVMIntSGT, in[0], zero), one, below);
}

static LLVMValueRef emit_round_nearest_even(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    return emit_round(e, in[0], w->to, w->lanes);
}

static LLVMValueRef emit_floor(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    if (e->target->fma)
        return emit_intrinsic_1(e, "llvm.floor", in[0]);
    LLVMValueRef nearest = emit_round(e, in[0], w->to, w->lanes);
    LLVMValueRef below = LLVMBuildFSub(e->builder, nearest, number(e, w, 1), "");
    return choose(e, float_compare(e, LLVMRealOGT, nearest, in[0]), below, nearest);
}

static LLVMValueRef emit_sqrt(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    (void)w;
    return emit_intrinsic_1(e, "llvm.sqrt", in[0]);
}

static LLVMValueRef emit_rsqrt(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    return LLVMBuildFDiv(e->builder, number(e, w, 1), emit_intrinsic_1(e, "llvm.sqrt", in[0]), "");
}

static LLVMValueRef emit_not(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    (void)w;
    return LLVMBuildNot(e->builder, in[0], "");
}

static LLVMValueRef emit_is_finite(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    LLVMValueRef size = emit_intrinsic_1(e, "llvm.fabs", in[0]);
    return float_compare(e, LLVMRealOLT, size, number(e, w, (double)INFINITY));
}

#define emit_exponential emit_program
#define emit_log emit_program
#define emit_log_plus_one emit_program
#define emit_tanh emit_program
#define emit_logistic emit_program
#define emit_erf emit_program
#define emit_cosine emit_program
#define emit_sine emit_program
#define emit_power emit_program

/* ---- two operands ---- */

#define ARITHMETIC(name, real, whole)                                                                                  \
    static LLVMValueRef emit_##name(emitter *e, const emit_what *w, const LLVMValueRef *in)                            \
    {                                                                                                                  \
        if (ir_dtype_is_float(w->to))                                                                                  \
            return LLVMBuild##real(e->builder, in[0], in[1], "");                                                      \
        return LLVMBuild##whole(e->builder, in[0], in[1], "");                                                         \
    }

ARITHMETIC(add, FAdd, Add)
ARITHMETIC(subtract, FSub, Sub)
ARITHMETIC(multiply, FMul, Mul)

#define BITWISE(name, build)                                                                                           \
    static LLVMValueRef emit_##name(emitter *e, const emit_what *w, const LLVMValueRef *in)                            \
    {                                                                                                                  \
        (void)w;                                                                                                       \
        return LLVMBuild##build(e->builder, in[0], in[1], "");                                                         \
    }

BITWISE(and, And)
BITWISE(or, Or)
BITWISE(xor, Xor)

/* Dividing by a constant that is neither 0 nor -1, as index arithmetic does, needs no care. */
static bool plain_divisor(LLVMValueRef y)
{
    if (!LLVMIsAConstantInt(y))
        return false;
    long long by = LLVMConstIntGetSExtValue(y);
    return by != 0 && by != -1;
}

static LLVMValueRef divide_unsigned(emitter *e, const emit_what *w, LLVMValueRef x, LLVMValueRef y)
{
    LLVMValueRef by_zero = whole_compare(e, LLVMIntEQ, y, number(e, w, 0));
    LLVMValueRef quotient = LLVMBuildUDiv(e->builder, x, choose(e, by_zero, number(e, w, 1), y), "");
    return choose(e, by_zero, number(e, w, -1), quotient);
}

/* x86 traps on the lowest number by -1, so that is a negation, which wraps. */
static LLVMValueRef divide_signed(emitter *e, const emit_what *w, LLVMValueRef x, LLVMValueRef y)
{
    if (plain_divisor(y))
        return LLVMBuildSDiv(e->builder, x, y, "");
    LLVMValueRef by_zero = whole_compare(e, LLVMIntEQ, y, number(e, w, 0));
    LLVMValueRef by_minus_one = whole_compare(e, LLVMIntEQ, y, number(e, w, -1));
    LLVMValueRef special = LLVMBuildOr(e->builder, by_zero, by_minus_one, "");
    LLVMValueRef quotient = LLVMBuildSDiv(e->builder, x, choose(e, special, number(e, w, 1), y), "");
    LLVMValueRef negated = choose(e, by_minus_one, LLVMBuildNeg(e->builder, x, ""), quotient);
    return choose(e, by_zero, number(e, w, -1), negated);
}

static LLVMValueRef emit_divide(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    if (ir_dtype_is_float(w->to))
        return LLVMBuildFDiv(e->builder, in[0], in[1], "");
    return ir_dtype_is_signed(w->to) ? divide_signed(e, w, in[0], in[1]) : divide_unsigned(e, w, in[0], in[1]);
}

static LLVMValueRef emit_maximum(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    if (ir_dtype_is_float(w->to))
        return two(e, "llvm.maximum", in[0], in[1]);
    return two(e, ir_dtype_is_signed(w->to) ? "llvm.smax" : "llvm.umax", in[0], in[1]);
}

static LLVMValueRef emit_minimum(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    if (ir_dtype_is_float(w->to))
        return two(e, "llvm.minimum", in[0], in[1]);
    return two(e, ir_dtype_is_signed(w->to) ? "llvm.smin" : "llvm.umin", in[0], in[1]);
}

/* LLVM's shifts by the width or more are undefined: the count is made small first. A negative count is a large one. */
static LLVMValueRef in_width(emitter *e, const emit_what *w, LLVMValueRef count)
{
    return whole_compare(e, LLVMIntULT, count, number(e, w, 8 * (double)ir_dtype_size(w->to)));
}

static LLVMValueRef emit_shift_left(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    LLVMValueRef fits = in_width(e, w, in[1]), zero = number(e, w, 0);
    return choose(e, fits, LLVMBuildShl(e->builder, in[0], choose(e, fits, in[1], zero), ""), zero);
}

static LLVMValueRef emit_shift_right(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    LLVMValueRef fits = in_width(e, w, in[1]), zero = number(e, w, 0);
    if (!ir_dtype_is_signed(w->to))
        return choose(e, fits, LLVMBuildLShr(e->builder, in[0], choose(e, fits, in[1], zero), ""), zero);
    LLVMValueRef most = number(e, w, 8 * (double)ir_dtype_size(w->to) - 1);
    return LLVMBuildAShr(e->builder, in[0], choose(e, fits, in[1], most), "");
}

/* ---- comparison and choice ---- */

typedef struct {
    const char *direction;
    LLVMRealPredicate real;
    LLVMIntPredicate as_signed, as_unsigned;
} predicate;

static const predicate predicates[] = {
    {"EQ", LLVMRealOEQ, LLVMIntEQ, LLVMIntEQ},   {"NE", LLVMRealUNE, LLVMIntNE, LLVMIntNE},
    {"LT", LLVMRealOLT, LLVMIntSLT, LLVMIntULT}, {"LE", LLVMRealOLE, LLVMIntSLE, LLVMIntULE},
    {"GT", LLVMRealOGT, LLVMIntSGT, LLVMIntUGT}, {"GE", LLVMRealOGE, LLVMIntSGE, LLVMIntUGE},
};

static LLVMValueRef emit_compare(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    const predicate *p = predicates;
    for (size_t left = sizeof predicates / sizeof *predicates; strcmp(p->direction, w->word) != 0; p++)
        if (--left == 0)
            ir_bug("compare has no direction %s", w->word);
    if (ir_dtype_is_float(w->from))
        return float_compare(e, p->real, in[0], in[1]);
    return whole_compare(e, ir_dtype_is_signed(w->from) ? p->as_signed : p->as_unsigned, in[0], in[1]);
}

static LLVMValueRef emit_select(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    (void)w;
    return choose(e, in[0], in[1], in[2]);
}

static LLVMValueRef emit_clamp(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    LLVMValueRef not_below[] = {in[1], in[0]};
    LLVMValueRef then[] = {emit_maximum(e, w, not_below), in[2]};
    return emit_minimum(e, w, then);
}

/* ---- conversion ---- */

static LLVMValueRef float_to_whole(emitter *e, const emit_what *w, LLVMValueRef x)
{
    if (w->to == IR_I1)
        return float_compare(e, LLVMRealUNE, x, number(e, w, 0));
    LLVMTypeRef types[] = {result_type(e, w), LLVMTypeOf(x)};
    return emit_intrinsic(e, ir_dtype_is_signed(w->to) ? "llvm.fptosi.sat" : "llvm.fptoui.sat", types, 2, &x, 1);
}

static LLVMValueRef float_to_float(emitter *e, const emit_what *w, LLVMValueRef x)
{
    if (w->to == w->from)
        return x;
    return w->to == IR_F64 ? LLVMBuildFPExt(e->builder, x, result_type(e, w), "")
                           : LLVMBuildFPTrunc(e->builder, x, result_type(e, w), "");
}

static LLVMValueRef whole_to_whole(emitter *e, const emit_what *w, LLVMValueRef x)
{
    if (w->to == IR_I1)
        return whole_compare(e, LLVMIntNE, x, number(e, w, 0));
    return LLVMBuildIntCast2(e->builder, x, result_type(e, w), ir_dtype_is_signed(w->from), "");
}

static LLVMValueRef emit_convert(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    bool from_float = ir_dtype_is_float(w->from), to_float = ir_dtype_is_float(w->to);
    if (from_float)
        return to_float ? float_to_float(e, w, in[0]) : float_to_whole(e, w, in[0]);
    if (!to_float)
        return whole_to_whole(e, w, in[0]);
    return ir_dtype_is_signed(w->from) ? LLVMBuildSIToFP(e->builder, in[0], result_type(e, w), "")
                                       : LLVMBuildUIToFP(e->builder, in[0], result_type(e, w), "");
}

static LLVMValueRef emit_bitcast_convert(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    return LLVMBuildBitCast(e->builder, in[0], result_type(e, w), "");
}

/* ---- operators that are no instruction: lowering turns them into index maps, loops, loads and stores ---- */

#define emit_constant NULL
#define emit_iota NULL
#define emit_reshape NULL
#define emit_transpose NULL
#define emit_broadcast_in_dim NULL
#define emit_slice NULL
#define emit_pad NULL
#define emit_concatenate NULL
#define emit_reverse NULL
#define emit_batch_size NULL
#define emit_stop_gradient NULL
#define emit_reduce NULL
#define emit_reduce_window NULL
#define emit_select_and_scatter NULL
#define emit_dot_general NULL
#define emit_convolution NULL
#define emit_winograd NULL
#define emit_rng_bits NULL /* a nest value of its own: backend/emit/rng.c */
#define emit_composite NULL
#define emit_fused NULL
#define emit_result NULL
#define emit_scratch NULL
#define emit_input NULL
#define emit_param NULL
#define emit_state NULL
#define emit_assign NULL
#define emit_call_value NULL
#define emit_minimize NULL
#define emit_param_gradient NULL

#define OP(ID, name, ...) [IR_##ID] = emit_##name,
static emit_rule *const emit_rules[IR_NOPS] = {
#include "ir/ops.def"
};

LLVMValueRef emit_elementwise(emitter *e, const emit_what *w, const LLVMValueRef *in)
{
    if (!emit_rules[w->op])
        ir_bug("%s is no elementwise operator", ir_ops[w->op].name);
    return emit_rules[w->op](e, w, in);
}
