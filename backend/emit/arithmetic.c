/* backend/emit/arithmetic.c - arithmetic that takes one instruction on newer CPUs and several on older ones. */
#include "backend/emit/emit.h"

LLVMValueRef emit_fma(emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
    if (!e->target->fma)
        return LLVMBuildFAdd(e->builder, LLVMBuildFMul(e->builder, a, b, ""), c, "");
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef in[] = {a, b, c};
    return emit_intrinsic(e, "llvm.fma", &type, 1, in, 3);
}

/* Without SSE4.1 LLVM would call libm. Adding and subtracting 2^23 (2^52) rounds what is smaller; what is not is whole
 * already, and so are infinities and NaNs left alone. */
LLVMValueRef emit_round(emitter *e, LLVMValueRef x, ir_dtype t, int lanes)
{
    if (e->target->fma) /* every CPU with it has the rounding instruction */
        return emit_intrinsic_1(e, "llvm.roundeven", x);
    LLVMValueRef big = emit_number(e, t, lanes, t == IR_F64 ? 0x1p52 : 0x1p23);
    LLVMValueRef size = emit_intrinsic_1(e, "llvm.fabs", x);
    LLVMValueRef rounded = LLVMBuildFSub(e->builder, LLVMBuildFAdd(e->builder, size, big, ""), big, "");
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef sign[] = {rounded, x};
    LLVMValueRef signed_again = emit_intrinsic(e, "llvm.copysign", &type, 1, sign, 2);
    LLVMValueRef is_small = LLVMBuildFCmp(e->builder, LLVMRealOLT, size, big, "");
    return LLVMBuildSelect(e->builder, is_small, signed_again, x, "");
}
