/* backend/emit/emitter.c - one LLVM module: opening it, types and constants, debug lines, verification, code
 * generation.
 *
 * The target machine keeps LLVM's default for fusing a multiply and an add, which does so only for llvm.fmuladd.
 * That is never written here, so a multiply and an add are rounded twice. */
#include "backend/emit/emit.h"
#include "backend/target.h"
#include <llvm-c/Analysis.h>
#include <llvm/Config/llvm-config.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening and closing ---- */

static void report(LLVMDiagnosticInfoRef info, void *context)
{
    (void)context;
    if (LLVMGetDiagInfoSeverity(info) == LLVMDSError)
        ir_bug("LLVM: %s", LLVMGetDiagInfoDescription(info));
}

static LLVMTargetMachineRef new_machine(const ir_target *t)
{
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMTargetRef target;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(t->triple, &target, &message))
        ir_bug("LLVM does not know the target %s: %s", t->triple, message);
    return LLVMCreateTargetMachine(target, t->triple, be_target_code_cpu(t), t->features, LLVMCodeGenLevelAggressive,
                                   LLVMRelocPIC, LLVMCodeModelDefault);
}

static void add_flag(emitter *e, const char *name, LLVMModuleFlagBehavior how, uint64_t value)
{
    LLVMMetadataRef number = LLVMValueAsMetadata(LLVMConstInt(e->i32, value, 0));
    LLVMAddModuleFlag(e->module, how, name, strlen(name), number);
}

static void open_debug(emitter *e, const char *source)
{
    static const char producer[] = "lamina";
    e->debug = LLVMCreateDIBuilder(e->module);
    e->debug_file = LLVMDIBuilderCreateFile(e->debug, source, strlen(source), ".", 1);
    LLVMDIBuilderCreateCompileUnit(e->debug, LLVMDWARFSourceLanguageC, e->debug_file, producer, sizeof producer - 1, 1,
                                   "", 0, 0, "", 0, LLVMDWARFEmissionFull, 0, 0, 0, "", 0, "", 0);
    e->debug_type = LLVMDIBuilderCreateSubroutineType(e->debug, e->debug_file, NULL, 0, LLVMDIFlagZero);
    add_flag(e, "Debug Info Version", LLVMModuleFlagBehaviorWarning, LLVMDebugMetadataVersion());
    add_flag(e, "Dwarf Version", LLVMModuleFlagBehaviorWarning, 4);
}

void emitter_open(emitter *e, const char *name, const ir_target *target, const char *source, bool debug_info)
{
    memset(e, 0, sizeof *e);
    e->target = target;
    e->machine = new_machine(target);
    e->data = LLVMCreateTargetDataLayout(e->machine);
    e->context = LLVMContextCreate();
    LLVMContextSetDiagnosticHandler(e->context, report, NULL);
    e->module = LLVMModuleCreateWithNameInContext(name, e->context);
    e->builder = LLVMCreateBuilderInContext(e->context);
    LLVMSetTarget(e->module, target->triple);
    LLVMSetModuleDataLayout(e->module, e->data);
    LLVMSetSourceFileName(e->module, source, strlen(source));
    e->void_type = LLVMVoidTypeInContext(e->context);
    e->pointer = LLVMPointerTypeInContext(e->context, 0);
    e->i1 = LLVMInt1TypeInContext(e->context);
    e->i8 = LLVMInt8TypeInContext(e->context);
    e->i32 = LLVMInt32TypeInContext(e->context);
    e->i64 = LLVMInt64TypeInContext(e->context);
    add_flag(e, "PIC Level", LLVMModuleFlagBehaviorWarning, 2);
    if (debug_info)
        open_debug(e, source);
}

void emitter_close(emitter *e)
{
    if (e->debug)
        LLVMDisposeDIBuilder(e->debug);
    LLVMDisposeBuilder(e->builder);
    LLVMDisposeModule(e->module);
    LLVMContextDispose(e->context);
    LLVMDisposeTargetData(e->data);
    LLVMDisposeTargetMachine(e->machine);
}

void emitter_verify(emitter *e)
{
    if (e->debug)
        LLVMDIBuilderFinalize(e->debug);
    char *message = NULL;
    if (LLVMVerifyModule(e->module, LLVMReturnStatusAction, &message))
        ir_bug("the LLVM module is broken: %s", message);
    LLVMDisposeMessage(message);
}

LLVMMemoryBufferRef emitter_generate(emitter *e, LLVMCodeGenFileType kind)
{
    char *message = NULL;
    LLVMMemoryBufferRef out;
    if (LLVMTargetMachineEmitToMemoryBuffer(e->machine, e->module, kind, &message, &out))
        ir_bug("LLVM cannot generate code: %s", message);
    return out;
}

/* ---- functions ---- */

static void add_word(emitter *e, LLVMValueRef function, const char *name, const char *value)
{
    LLVMAttributeRef a =
        LLVMCreateStringAttribute(e->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, a);
}

static void add_flag_attribute(emitter *e, LLVMValueRef function, const char *name, uint64_t value)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(e->context, kind, value));
}

LLVMValueRef emit_function(emitter *e, const char *name, LLVMTypeRef type, LLVMLinkage linkage)
{
    LLVMValueRef function = LLVMAddFunction(e->module, name, type);
    LLVMSetLinkage(function, linkage);
    add_flag_attribute(e, function, "nounwind", 0);
    /* Some CPUs' descriptions prefer narrower registers than they have. */
    add_word(e, function, "prefer-vector-width",
             e->target->vector == 16  ? "512"
             : e->target->vector == 8 ? "256"
                                      : "128");
    add_word(e, function, "tune-cpu", e->target->cpu);
    if (e->debug)
        add_flag_attribute(e, function, "uwtable", 2);
    return function;
}

void emit_function_begin(emitter *e, LLVMValueRef function, src_loc loc)
{
    e->function = function;
    LLVMPositionBuilderAtEnd(e->builder, emit_block(e));
    if (!e->debug)
        return;
    LLVMMetadataRef file = e->debug_file;
    if (loc.file)
        file = LLVMDIBuilderCreateFile(e->debug, loc.file, strlen(loc.file), ".", 1);
    unsigned line = loc.line > 0 ? (unsigned)loc.line : 1;
    size_t length;
    const char *name = LLVMGetValueName2(function, &length);
    e->debug_name = loc.file;
    e->debug_scope = LLVMDIBuilderCreateFunction(e->debug, file, name, length, name, length, file, line, e->debug_type,
                                                 1, 1, line, LLVMDIFlagZero, 1);
    LLVMSetSubprogram(function, e->debug_scope);
    LLVMSetCurrentDebugLocation2(
        e->builder, LLVMDIBuilderCreateDebugLocation(e->context, line, (unsigned)loc.col, e->debug_scope, NULL));
}

/* A line of another file than the function's is left to the line before: a scope has one file. */
void emit_at(emitter *e, src_loc loc)
{
    if (!e->debug || loc.line <= 0 || !loc.file || !e->debug_name || strcmp(loc.file, e->debug_name) != 0)
        return;
    LLVMMetadataRef at = LLVMDIBuilderCreateDebugLocation(e->context, (unsigned)loc.line,
                                                          loc.col > 0 ? (unsigned)loc.col : 0, e->debug_scope, NULL);
    LLVMSetCurrentDebugLocation2(e->builder, at);
}

LLVMBasicBlockRef emit_block(emitter *e)
{
    return LLVMAppendBasicBlockInContext(e->context, e->function, "");
}

/* ---- types and constants ---- */

LLVMTypeRef emit_element(emitter *e, ir_dtype t)
{
    switch (t) {
    case IR_F32:
        return LLVMFloatTypeInContext(e->context);
    case IR_F64:
        return LLVMDoubleTypeInContext(e->context);
    case IR_I32:
    case IR_UI32:
        return e->i32;
    case IR_I64:
        return e->i64;
    case IR_UI8:
        return e->i8;
    case IR_I1:
        return e->i1;
    default:
        ir_bug("no LLVM type for dtype %d", (int)t);
    }
}

LLVMTypeRef emit_memory(emitter *e, ir_dtype t)
{
    return t == IR_I1 ? e->i8 : emit_element(e, t);
}

LLVMTypeRef emit_lanes(LLVMTypeRef element, int lanes)
{
    return lanes == 1 ? element : LLVMVectorType(element, (unsigned)lanes);
}

LLVMTypeRef emit_type(emitter *e, ir_dtype t, int lanes)
{
    return emit_lanes(emit_element(e, t), lanes);
}

/* LLVM wants a constant that fits its type as a signed number: keep the low bits and extend their sign. */
static LLVMValueRef whole(LLVMTypeRef type, int64_t number)
{
    unsigned unused = 64 - LLVMGetIntTypeWidth(type);
    int64_t fitting = (int64_t)((uint64_t)number << unused) >> unused;
    return LLVMConstInt(type, (unsigned long long)fitting, 1);
}

LLVMValueRef emit_i64(emitter *e, int64_t number)
{
    return whole(e->i64, number);
}

LLVMValueRef emit_i32(emitter *e, int64_t number)
{
    return whole(e->i32, number);
}

enum { MOST_LANES = 64 };

static LLVMValueRef repeat(LLVMValueRef scalar, int lanes)
{
    if (lanes == 1)
        return scalar;
    if (lanes > MOST_LANES)
        ir_bug("%d lanes, at most %d are known", lanes, MOST_LANES);
    LLVMValueRef all[MOST_LANES];
    for (int i = 0; i < lanes; i++)
        all[i] = scalar;
    return LLVMConstVector(all, (unsigned)lanes);
}

LLVMValueRef emit_integer(LLVMTypeRef type, int64_t number)
{
    bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    LLVMTypeRef element = vector ? LLVMGetElementType(type) : type;
    return repeat(whole(element, number), vector ? (int)LLVMGetVectorSize(type) : 1);
}

LLVMValueRef emit_number(emitter *e, ir_dtype t, int lanes, double number)
{
    LLVMTypeRef element = emit_element(e, t);
    if (ir_dtype_is_float(t))
        return repeat(LLVMConstReal(element, number), lanes);
    if (t == IR_I1)
        return repeat(LLVMConstInt(element, number != 0, 0), lanes);
    return repeat(whole(element, (int64_t)number), lanes);
}

/* 0, 1, 2 ... of an integer type. */
LLVMValueRef emit_counting(LLVMTypeRef element, int lanes)
{
    if (lanes == 1)
        return LLVMConstInt(element, 0, 0);
    LLVMValueRef number[MOST_LANES];
    for (int i = 0; i < lanes; i++)
        number[i] = LLVMConstInt(element, (unsigned)i, 0);
    return LLVMConstVector(number, (unsigned)lanes);
}

LLVMValueRef emit_splat(emitter *e, LLVMValueRef scalar, int lanes)
{
    if (lanes == 1)
        return scalar;
    if (LLVMIsConstant(scalar))
        return repeat(scalar, lanes);
    LLVMTypeRef type = emit_lanes(LLVMTypeOf(scalar), lanes);
    LLVMValueRef first = LLVMBuildInsertElement(e->builder, LLVMGetPoison(type), scalar, emit_i32(e, 0), "");
    return LLVMBuildShuffleVector(e->builder, first, LLVMGetPoison(type), LLVMConstNull(emit_lanes(e->i32, lanes)), "");
}

LLVMValueRef emit_shuffle(emitter *e, LLVMValueRef a, LLVMValueRef b, const int *index, int count)
{
    LLVMValueRef mask[MOST_LANES];
    for (int i = 0; i < count; i++)
        mask[i] = emit_i32(e, index[i]);
    return LLVMBuildShuffleVector(e->builder, a, b, LLVMConstVector(mask, (unsigned)count), "");
}

LLVMValueRef emit_intrinsic(emitter *e, const char *name, LLVMTypeRef *types, int ntypes, LLVMValueRef *arguments,
                            int count)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id)
        ir_bug("LLVM has no intrinsic %s", name);
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, id, types, (size_t)ntypes);
    return LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(f), f, arguments, (unsigned)count, "");
}

LLVMValueRef emit_intrinsic_1(emitter *e, const char *name, LLVMValueRef x)
{
    LLVMTypeRef type = LLVMTypeOf(x);
    return emit_intrinsic(e, name, &type, 1, &x, 1);
}

LLVMValueRef emit_offset(emitter *e, LLVMTypeRef element, LLVMValueRef base, LLVMValueRef number)
{
    if (LLVMIsAConstantInt(number) && LLVMConstIntGetSExtValue(number) == 0)
        return base;
    return LLVMBuildGEP2(e->builder, element, base, &number, 1, "");
}
