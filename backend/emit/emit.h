/* backend/emit/emit.h - what the files that write LLVM's IR share; no other file includes it, since it exposes
 * LLVM's types.
 *
 * LLVM's IR passes do not run on what is written here, so it is written in the form in which it shall run: SSA
 * values, loops with phis, one instruction for each nest value. LLVM's code generation runs at its highest level. */
#ifndef BACKEND_EMIT_H
#define BACKEND_EMIT_H

#include "backend/nest/nest.h"
#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>

typedef struct {
    const ir_target *target;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTargetMachineRef machine;
    LLVMTargetDataRef data;
    LLVMTypeRef void_type, pointer, i1, i8, i32, i64;
    LLVMValueRef function; /* the one being written */
    /* DWARF; debug is NULL without it */
    LLVMDIBuilderRef debug;
    LLVMMetadataRef debug_file, debug_type, debug_scope;
    const char *debug_name; /* the file of debug_scope */
    /* the kernel being written */
    const nest_kernel *kernel;
    LLVMValueRef batch, task;
    LLVMValueRef *buffers, *numbers;
} emitter;

/* ---- emitter.c: one LLVM module ---- */

void emitter_open(emitter *e, const char *name, const ir_target *target, const char *source, bool debug_info);
void emitter_close(emitter *e);
/* Check the finished module; a broken one is our mistake. */
void emitter_verify(emitter *e);
/* Object code or assembly text of the verified module, to be disposed of with LLVMDisposeMemoryBuffer. */
LLVMMemoryBufferRef emitter_generate(emitter *e, LLVMCodeGenFileType kind);

/* Declare a function with our target's attributes; then start its body. */
LLVMValueRef emit_function(emitter *e, const char *name, LLVMTypeRef type, LLVMLinkage linkage);
void emit_function_begin(emitter *e, LLVMValueRef function, src_loc loc);
/* From now on instructions belong to this line. */
void emit_at(emitter *e, src_loc loc);
LLVMBasicBlockRef emit_block(emitter *e);

LLVMValueRef emit_i64(emitter *e, int64_t number);
LLVMValueRef emit_i32(emitter *e, int64_t number);
LLVMTypeRef emit_element(emitter *e, ir_dtype t);       /* in a register: i1 for an i1 */
LLVMTypeRef emit_memory(emitter *e, ir_dtype t);        /* in memory: i8 for an i1 */
LLVMTypeRef emit_lanes(LLVMTypeRef element, int lanes); /* the element itself for one lane */
LLVMTypeRef emit_type(emitter *e, ir_dtype t, int lanes);
LLVMValueRef emit_number(emitter *e, ir_dtype t, int lanes, double number); /* rounded to t, in every lane */
LLVMValueRef emit_integer(LLVMTypeRef type, int64_t number);                /* of an integer or integer vector type */
LLVMValueRef emit_counting(LLVMTypeRef element, int lanes);                 /* 0, 1, 2 ... of an integer type */
LLVMValueRef emit_splat(emitter *e, LLVMValueRef scalar, int lanes);
LLVMValueRef emit_intrinsic(emitter *e, const char *name, LLVMTypeRef *types, int ntypes, LLVMValueRef *arguments,
                            int count);
LLVMValueRef emit_intrinsic_1(emitter *e, const char *name, LLVMValueRef x);
LLVMValueRef emit_shuffle(emitter *e, LLVMValueRef a, LLVMValueRef b, const int *index, int count);
/* base + number * size of element, a pointer. */
LLVMValueRef emit_offset(emitter *e, LLVMTypeRef element, LLVMValueRef base, LLVMValueRef number);

/* ---- operand.c: nest values in use ---- */

/* The LLVM value that was made of v before; or a constant, if v is one that stands alone: it has no place in a block
 * and is made anew wherever it is used. */
LLVMValueRef emit_value(emitter *e, nest_value *v);

/* ---- emit.c: a kernel's phase ---- */

/* A function void name(i64 batch, i64 task, ptr buffer0, ..., i64 number0, ...) of internal linkage. Pointers of which
 * 'alone' is true are the only way to what they point to. */
LLVMValueRef emit_phase(emitter *e, const nest_kernel *k, int phase, const char *name, const bool *alone);

/* ---- memory.c ---- */

LLVMValueRef emit_load(emitter *e, nest_value *v);
void emit_store(emitter *e, nest_value *v);

/* ---- arithmetic.c ---- */

LLVMValueRef emit_fma(emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c); /* one rounding, if the CPU can */
LLVMValueRef emit_round(emitter *e, LLVMValueRef x, ir_dtype t, int lanes);        /* to nearest, ties to even */

/* ---- elementwise.c ---- */

typedef struct {
    ir_op op;
    ir_dtype from, to; /* of the first operand that is not a condition, of the result */
    int lanes;
    const char *word;
} emit_what;

LLVMValueRef emit_elementwise(emitter *e, const emit_what *w, const LLVMValueRef *in);

/* ---- math.c, rng.c ---- */

/* The operator by its table in ir/math/math.h, on f32. */
LLVMValueRef emit_math(emitter *e, ir_op op, int lanes, const LLVMValueRef *in);

/* The random words of some elements of a stream. */
typedef struct {
    LLVMValueRef seed, step, lane, stream, element; /* i64; element: the first one's number */
    int64_t by;                                     /* from an element to the next lane's */
    bool aligned;                                   /* the first is known to be a multiple of 4 */
    int lanes;
} emit_random;

LLVMValueRef emit_rng(emitter *e, const emit_random *r);

#endif
