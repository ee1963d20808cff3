/* backend/emit/memory.c - loads and stores of nest values.
 *
 * An address is base + offset + displacement, where the displacement is a constant that x86 folds into the
 * instruction. Lanes that are masked off touch no memory, so a vector may reach past the end of a buffer. No
 * alignment is assumed beyond that of the elements. */
#include "backend/emit/emit.h"
#include <llvm/Config/llvm-config.h>

/* The element in[0] + disp + more of v's buffer. */
static LLVMValueRef address(emitter *e, nest_value *v, int64_t more)
{
    LLVMTypeRef element = emit_memory(e, e->kernel->buffers[v->buffer].dtype);
    LLVMValueRef start = emit_offset(e, element, e->buffers[v->buffer], emit_value(e, v->in[0]));
    return emit_offset(e, element, start, emit_i64(e, v->disp + more));
}

static ir_dtype buffer_dtype(emitter *e, const nest_value *v)
{
    return e->kernel->buffers[v->buffer].dtype;
}

static unsigned element_alignment(emitter *e, const nest_value *v)
{
    return (unsigned)ir_dtype_size(buffer_dtype(e, v));
}

static LLVMValueRef load_element(emitter *e, nest_value *v, int64_t more)
{
    LLVMValueRef x = LLVMBuildLoad2(e->builder, emit_memory(e, buffer_dtype(e, v)), address(e, v, more), "");
    LLVMSetAlignment(x, element_alignment(e, v));
    return x;
}

static void store_element(emitter *e, nest_value *v, LLVMValueRef x, int64_t more)
{
    LLVMSetAlignment(LLVMBuildStore(e->builder, x, address(e, v, more)), element_alignment(e, v));
}

static bool all_live(const nest_value *v)
{
    return !v->active && v->active_count >= v->lanes;
}

/* Lanes below a constant count. */
static LLVMValueRef constant_mask(emitter *e, int count, int lanes)
{
    LLVMValueRef bit[64];
    for (int i = 0; i < lanes; i++)
        bit[i] = LLVMConstInt(e->i1, i < count, 0);
    return LLVMConstVector(bit, (unsigned)lanes);
}

/* The count is cut to the lanes first, so that the comparison is one of 32-bit lanes. */
static LLVMValueRef live_mask(emitter *e, nest_value *v)
{
    if (!v->active)
        return constant_mask(e, v->active_count, v->lanes);
    LLVMValueRef count[] = {emit_value(e, v->active), emit_i64(e, v->lanes)};
    LLVMValueRef cut = emit_intrinsic(e, "llvm.smin", &e->i64, 1, count, 2);
    LLVMValueRef narrow = LLVMBuildTrunc(e->builder, cut, e->i32, "");
    LLVMTypeRef type = LLVMVectorType(e->i32, (unsigned)v->lanes);
    LLVMValueRef numbers = v->lanes == 1 ? LLVMConstNull(type) : emit_counting(e->i32, v->lanes);
    LLVMValueRef limit = v->lanes == 1
                             ? LLVMBuildInsertElement(e->builder, LLVMGetPoison(type), narrow, emit_i32(e, 0), "")
                             : emit_splat(e, narrow, v->lanes);
    return LLVMBuildICmp(e->builder, LLVMIntSLT, numbers, limit, "");
}

/* Pointers to the lanes' elements. */
static LLVMValueRef lane_addresses(emitter *e, nest_value *v)
{
    LLVMValueRef step = emit_integer(emit_lanes(e->i64, v->lanes), v->stride);
    LLVMValueRef numbers = LLVMBuildMul(e->builder, emit_counting(e->i64, v->lanes), step, "");
    return LLVMBuildGEP2(e->builder, emit_memory(e, buffer_dtype(e, v)), address(e, v, 0), &numbers, 1, "");
}

/* The masked intrinsics. From LLVM 22 on the alignment is an attribute of the pointer instead of an operand; without it
 * none is assumed. */
static LLVMValueRef masked_load(emitter *e, const char *name, LLVMValueRef pointer, LLVMTypeRef type, LLVMValueRef mask,
                                unsigned alignment)
{
    LLVMTypeRef types[] = {type, LLVMTypeOf(pointer)};
#if LLVM_VERSION_MAJOR >= 22
    (void)alignment;
    LLVMValueRef in[] = {pointer, mask, LLVMConstNull(type)};
    return emit_intrinsic(e, name, types, 2, in, 3);
#else
    LLVMValueRef in[] = {pointer, emit_i32(e, alignment), mask, LLVMConstNull(type)};
    return emit_intrinsic(e, name, types, 2, in, 4);
#endif
}

static void masked_store(emitter *e, const char *name, LLVMValueRef x, LLVMValueRef pointer, LLVMValueRef mask,
                         unsigned alignment)
{
    LLVMTypeRef types[] = {LLVMTypeOf(x), LLVMTypeOf(pointer)};
#if LLVM_VERSION_MAJOR >= 22
    (void)alignment;
    LLVMValueRef in[] = {x, pointer, mask};
    emit_intrinsic(e, name, types, 2, in, 3);
#else
    LLVMValueRef in[] = {x, pointer, emit_i32(e, alignment), mask};
    emit_intrinsic(e, name, types, 2, in, 4);
#endif
}

/* One element for every live lane. */
static LLVMValueRef load_broadcast(emitter *e, nest_value *v, LLVMTypeRef type)
{
    LLVMValueRef x = emit_splat(e, load_element(e, v, 0), v->lanes);
    if (all_live(v))
        return x;
    return LLVMBuildSelect(e->builder, live_mask(e, v), x, LLVMConstNull(type), "");
}

static LLVMValueRef load_strided(emitter *e, nest_value *v, LLVMTypeRef type)
{
    if (v->active) {
        LLVMTypeRef vector = LLVMVectorType(emit_memory(e, buffer_dtype(e, v)), (unsigned)v->lanes);
        return masked_load(e, "llvm.masked.gather", lane_addresses(e, v), vector, live_mask(e, v),
                           element_alignment(e, v));
    }
    LLVMValueRef x = v->active_count < v->lanes ? LLVMConstNull(type) : LLVMGetPoison(type);
    for (int i = 0; i < v->lanes && i < v->active_count; i++)
        x = LLVMBuildInsertElement(e->builder, x, load_element(e, v, i * v->stride), emit_i32(e, i), "");
    return x;
}

static LLVMValueRef load_contiguous(emitter *e, nest_value *v, LLVMTypeRef type)
{
    if (!all_live(v))
        return masked_load(e, "llvm.masked.load", address(e, v, 0), type, live_mask(e, v), element_alignment(e, v));
    LLVMValueRef x = LLVMBuildLoad2(e->builder, type, address(e, v, 0), "");
    LLVMSetAlignment(x, element_alignment(e, v));
    return x;
}

/* A scalar that may be masked off: a vector of one lane. */
static LLVMValueRef load_guarded(emitter *e, nest_value *v)
{
    LLVMTypeRef type = LLVMVectorType(emit_memory(e, buffer_dtype(e, v)), 1);
    LLVMValueRef x =
        masked_load(e, "llvm.masked.load", address(e, v, 0), type, live_mask(e, v), element_alignment(e, v));
    return LLVMBuildExtractElement(e->builder, x, emit_i32(e, 0), "");
}

LLVMValueRef emit_load(emitter *e, nest_value *v)
{
    LLVMTypeRef type = emit_lanes(emit_memory(e, buffer_dtype(e, v)), v->lanes);
    LLVMValueRef x;
    if (v->lanes == 1)
        x = v->active ? load_guarded(e, v) : v->active_count ? load_element(e, v, 0) : LLVMConstNull(type);
    else if (v->stride == 0)
        x = load_broadcast(e, v, type);
    else if (v->stride == 1)
        x = load_contiguous(e, v, type);
    else
        x = load_strided(e, v, type);
    if (buffer_dtype(e, v) != IR_I1)
        return x;
    return LLVMBuildICmp(e->builder, LLVMIntNE, x, LLVMConstNull(type), "");
}

static void store_strided(emitter *e, nest_value *v, LLVMValueRef x)
{
    if (v->active) {
        masked_store(e, "llvm.masked.scatter", x, lane_addresses(e, v), live_mask(e, v), element_alignment(e, v));
        return;
    }
    for (int i = 0; i < v->lanes && i < v->active_count; i++)
        store_element(e, v, LLVMBuildExtractElement(e->builder, x, emit_i32(e, i), ""), i * v->stride);
}

static void store_contiguous(emitter *e, nest_value *v, LLVMValueRef x)
{
    if (all_live(v))
        store_element(e, v, x, 0);
    else
        masked_store(e, "llvm.masked.store", x, address(e, v, 0), live_mask(e, v), element_alignment(e, v));
}

void emit_store(emitter *e, nest_value *v)
{
    LLVMValueRef x = emit_value(e, v->in[1]);
    LLVMTypeRef type = emit_lanes(emit_memory(e, buffer_dtype(e, v)), v->lanes);
    if (buffer_dtype(e, v) == IR_I1)
        x = LLVMBuildZExt(e->builder, x, type, "");
    if (v->lanes == 1 && v->active) {
        LLVMTypeRef one = LLVMVectorType(type, 1);
        x = LLVMBuildInsertElement(e->builder, LLVMGetPoison(one), x, emit_i32(e, 0), "");
        store_contiguous(e, v, x);
    } else if (v->lanes == 1 || v->stride == 1) {
        store_contiguous(e, v, x);
    } else {
        store_strided(e, v, x);
    }
}
