/* backend/emit/math.c - the step programs of ir/math/math.h as vector code.
 *
 * The values of a program are 32-bit patterns. Here they are vectors of integers, cast to floats and back around the
 * steps on floats, which takes no instruction. A comparison's mask of all ones or zeros also keeps the i1 from which
 * it was made, since that is what a select takes. */
#include "ir/math/math.h"
#include "backend/emit/emit.h"

enum { MOST_VALUES = 256 };

typedef struct {
    emitter *e;
    int lanes;
    LLVMTypeRef real, whole;
    LLVMValueRef bits[MOST_VALUES]; /* of type 'whole' */
    LLVMValueRef mask[MOST_VALUES]; /* the i1 of a comparison, or NULL */
} program;

static LLVMValueRef as_real(program *p, int value)
{
    return LLVMBuildBitCast(p->e->builder, p->bits[value], p->real, "");
}

static LLVMValueRef as_bits(program *p, LLVMValueRef real)
{
    return LLVMBuildBitCast(p->e->builder, real, p->whole, "");
}

static LLVMValueRef constant(program *p, int64_t number)
{
    return emit_integer(p->whole, number);
}

/* a < b and so on: sets the mask of value 'at' and returns it widened. */
static LLVMValueRef compared(program *p, int at, LLVMValueRef condition)
{
    p->mask[at] = condition;
    return LLVMBuildSExt(p->e->builder, condition, p->whole, "");
}

static LLVMValueRef real_compare(program *p, int at, LLVMRealPredicate predicate, const math_step *s)
{
    return compared(p, at, LLVMBuildFCmp(p->e->builder, predicate, as_real(p, s->a), as_real(p, s->b), ""));
}

static LLVMValueRef select_step(program *p, const math_step *s)
{
    LLVMValueRef condition = p->mask[s->a];
    if (!condition)
        condition = LLVMBuildICmp(p->e->builder, LLVMIntNE, p->bits[s->a], constant(p, 0), "");
    return LLVMBuildSelect(p->e->builder, condition, p->bits[s->b], p->bits[s->c], "");
}

/* What does not fit may be anything, but one thing: the freeze keeps LLVM from treating it as undefined. */
static LLVMValueRef to_whole(program *p, const math_step *s)
{
    LLVMBuilderRef b = p->e->builder;
    return LLVMBuildFreeze(b, LLVMBuildFPToSI(b, as_real(p, s->a), p->whole, ""), "");
}

static LLVMValueRef real_step(program *p, const math_step *s)
{
    LLVMBuilderRef b = p->e->builder;
    LLVMValueRef x = as_real(p, s->a);
    switch (s->op) {
    case MATH_FMA:
        return emit_fma(p->e, x, as_real(p, s->b), as_real(p, s->c));
    case MATH_ADD:
        return LLVMBuildFAdd(b, x, as_real(p, s->b), "");
    case MATH_SUB:
        return LLVMBuildFSub(b, x, as_real(p, s->b), "");
    case MATH_MUL:
        return LLVMBuildFMul(b, x, as_real(p, s->b), "");
    case MATH_DIV:
        return LLVMBuildFDiv(b, x, as_real(p, s->b), "");
    case MATH_NEG:
        return LLVMBuildFNeg(b, x, "");
    case MATH_ABS:
        return emit_intrinsic_1(p->e, "llvm.fabs", x);
    case MATH_ROUND:
        return emit_round(p->e, x, IR_F32, p->lanes);
    default:
        ir_bug("no float step %d", s->op);
    }
}

static LLVMValueRef whole_step(program *p, const math_step *s)
{
    LLVMBuilderRef b = p->e->builder;
    LLVMValueRef x = p->bits[s->a], y = p->bits[s->b];
    switch (s->op) {
    case MATH_IADD:
        return LLVMBuildAdd(b, x, y, "");
    case MATH_ISUB:
        return LLVMBuildSub(b, x, y, "");
    case MATH_IMUL:
        return LLVMBuildMul(b, x, y, "");
    case MATH_AND:
        return LLVMBuildAnd(b, x, y, "");
    case MATH_OR:
        return LLVMBuildOr(b, x, y, "");
    case MATH_XOR:
        return LLVMBuildXor(b, x, y, "");
    case MATH_SHL:
        return LLVMBuildShl(b, x, constant(p, s->bits), "");
    case MATH_SHR:
        return LLVMBuildLShr(b, x, constant(p, s->bits), "");
    case MATH_SAR:
        return LLVMBuildAShr(b, x, constant(p, s->bits), "");
    default:
        ir_bug("no whole-number step %d", s->op);
    }
}

/* Value 'at', made by step s, as bits. */
static LLVMValueRef step(program *p, int at, const math_step *s)
{
    LLVMBuilderRef b = p->e->builder;
    switch (s->op) {
    case MATH_CONST_F:
    case MATH_CONST_I:
        return constant(p, s->bits);
    case MATH_LT:
        return real_compare(p, at, LLVMRealOLT, s);
    case MATH_LE:
        return real_compare(p, at, LLVMRealOLE, s);
    case MATH_EQ:
        return real_compare(p, at, LLVMRealOEQ, s);
    case MATH_ILT:
        return compared(p, at, LLVMBuildICmp(b, LLVMIntSLT, p->bits[s->a], p->bits[s->b], ""));
    case MATH_SELECT:
        return select_step(p, s);
    case MATH_I2F:
        return as_bits(p, LLVMBuildSIToFP(b, p->bits[s->a], p->real, ""));
    case MATH_F2I:
        return to_whole(p, s);
    case MATH_IADD:
    case MATH_ISUB:
    case MATH_IMUL:
    case MATH_AND:
    case MATH_OR:
    case MATH_XOR:
    case MATH_SHL:
    case MATH_SHR:
    case MATH_SAR:
        return whole_step(p, s);
    default:
        return as_bits(p, real_step(p, s));
    }
}

LLVMValueRef emit_math(emitter *e, ir_op op, int lanes, const LLVMValueRef *in)
{
    const math_program *table = math_find(op);
    if (!table)
        ir_bug("%s has no table of steps", ir_ops[op].name);
    if (table->inputs + table->count > MOST_VALUES)
        ir_bug("%s has %d steps, more than a step can name", table->name, table->count);
    program p = {.e = e, .lanes = lanes, .real = emit_type(e, IR_F32, lanes), .whole = emit_type(e, IR_I32, lanes)};
    for (int i = 0; i < table->inputs; i++)
        p.bits[i] = as_bits(&p, in[i]);
    for (int i = 0; i < table->count; i++)
        p.bits[table->inputs + i] = step(&p, table->inputs + i, &table->steps[i]);
    return as_real(&p, table->inputs + table->count - 1);
}
