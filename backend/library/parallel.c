/* backend/library/parallel.c - how the tasks of a launch are shared: by the host's parallel loop, or taken in turns. */
#include "backend/module.h"
#include "runtime/lamina_abi.h"

/* ---- how many ---- */

LLVMValueRef emit_task_count(emitter *e, const nest_tasks *t, LLVMValueRef batch)
{
    LLVMBuilderRef b = e->builder;
    int64_t chunk = t->chunk > 0 ? t->chunk : 1, inner = t->inner > 0 ? t->inner : 1;
    LLVMValueRef n = emit_i64(e, t->n);
    if (t->batch)
        n = LLVMBuildMul(b, n, batch, "");
    LLVMValueRef chunks = LLVMBuildSDiv(b, LLVMBuildAdd(b, n, emit_i64(e, chunk - 1), ""), emit_i64(e, chunk), "");
    return LLVMBuildMul(b, chunks, emit_i64(e, inner), "");
}

LLVMValueRef emit_launches(emitter *e, LLVMValueRef call, LLVMValueRef tasks)
{
    LLVMValueRef most[] = {emit_field(e, call, e->i64, ABI(lamina_call, workers)), emit_i64(e, 1)};
    LLVMValueRef least[] = {emit_intrinsic(e, "llvm.smax", &e->i64, 1, most, 2), tasks};
    return emit_intrinsic(e, "llvm.smin", &e->i64, 1, least, 2);
}

/* ---- in turns ---- */

turns emit_turns_begin(emitter *e, LLVMValueRef from)
{
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->builder);
    turns t = {.body = emit_block(e)};
    LLVMBuildBr(e->builder, t.body);
    LLVMPositionBuilderAtEnd(e->builder, t.body);
    t.index = LLVMBuildPhi(e->builder, e->i64, "");
    LLVMAddIncoming(t.index, &from, &before, 1);
    return t;
}

void emit_turns_end(emitter *e, const turns *t, LLVMValueRef step, LLVMValueRef end)
{
    LLVMBasicBlockRef last = LLVMGetInsertBlock(e->builder), after = emit_block(e);
    LLVMValueRef next = LLVMBuildAdd(e->builder, t->index, step, "");
    LLVMAddIncoming(t->index, &next, &last, 1);
    LLVMBuildCondBr(e->builder, LLVMBuildICmp(e->builder, LLVMIntSLT, next, end, ""), t->body, after);
    LLVMPositionBuilderAtEnd(e->builder, after);
}

_Static_assert(sizeof(lamina_call) <= COPY_ROW, "row and counter lie behind the copy of the call");

LLVMValueRef emit_copy_field(emitter *e, LLVMValueRef copy, int field)
{
    return emit_offset(e, e->i8, copy, emit_i64(e, field));
}

/* Nothing else is told by the counter: threads meet where the parallel loop begins and ends. */
shared_turns emit_shared_turns_begin(emitter *e, LLVMValueRef call, LLVMValueRef tasks)
{
    LLVMBuilderRef b = e->builder;
    shared_turns t = {.next = emit_block(e)};
    LLVMBasicBlockRef body = emit_block(e);
    t.after = emit_block(e);
    LLVMBuildBr(b, t.next);
    LLVMPositionBuilderAtEnd(b, t.next);
    LLVMValueRef taken = emit_copy_field(e, call, COPY_TAKEN);
    t.task = LLVMBuildAtomicRMW(b, LLVMAtomicRMWBinOpAdd, taken, emit_i64(e, 1), LLVMAtomicOrderingMonotonic, 0);
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, t.task, tasks, ""), body, t.after);
    LLVMPositionBuilderAtEnd(b, body);
    return t;
}

void emit_shared_turns_end(emitter *e, const shared_turns *t)
{
    LLVMBuildBr(e->builder, t->next);
    LLVMPositionBuilderAtEnd(e->builder, t->after);
}

/* ---- run_tasks: in the host's parallel loop if there is one and something to share, else one after the other ---- */

static void emit_parallel(emitter *e, LLVMValueRef call, LLVMValueRef task, LLVMValueRef tasks)
{
    LLVMTypeRef types[] = {e->pointer, e->pointer, e->pointer, e->i64};
    LLVMValueRef loop = emit_field(e, call, e->pointer, ABI(lamina_call, parallel_for));
    LLVMValueRef host = emit_field(e, call, e->pointer, ABI(lamina_call, host));
    LLVMValueRef arguments[] = {host, task, call, tasks};
    LLVMBuildCall2(e->builder, LLVMFunctionType(e->void_type, types, 4, 0), loop, arguments, 4, "");
    LLVMBuildRetVoid(e->builder);
}

static void emit_serial(library *l, LLVMValueRef call, LLVMValueRef task, LLVMValueRef tasks)
{
    emitter *e = &l->e;
    LLVMBuilderRef b = e->builder;
    LLVMBasicBlockRef before = LLVMGetInsertBlock(b), body = emit_block(e), after = emit_block(e);
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSGT, tasks, emit_i64(e, 0), ""), body, after);
    LLVMPositionBuilderAtEnd(b, body);
    LLVMValueRef i = LLVMBuildPhi(b, e->i64, ""), zero = emit_i64(e, 0), arguments[] = {call, i};
    LLVMBuildCall2(b, l->task_type, task, arguments, 2, "");
    LLVMValueRef next = LLVMBuildAdd(b, i, emit_i64(e, 1), "");
    LLVMAddIncoming(i, &zero, &before, 1);
    LLVMAddIncoming(i, &next, &body, 1);
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, next, tasks, ""), body, after);
    LLVMPositionBuilderAtEnd(b, after);
    LLVMBuildRetVoid(b);
}

/* Several tasks, several workers, and a loop for them. */
static LLVMValueRef emit_is_shared(emitter *e, LLVMValueRef call, LLVMValueRef tasks, LLVMValueRef loop)
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef workers = emit_field(e, call, e->i64, ABI(lamina_call, workers));
    LLVMValueRef several = LLVMBuildICmp(b, LLVMIntSGT, tasks, emit_i64(e, 1), "");
    LLVMValueRef shared = LLVMBuildICmp(b, LLVMIntSGT, workers, emit_i64(e, 1), "");
    LLVMValueRef both = LLVMBuildAnd(b, several, shared, "");
    return LLVMBuildAnd(b, both, LLVMBuildIsNotNull(b, loop, ""), "");
}

void make_run_tasks(library *l)
{
    emitter *e = &l->e;
    LLVMBuilderRef b = e->builder;
    LLVMTypeRef types[] = {e->pointer, e->pointer, e->i64};
    l->run_tasks =
        emit_function(e, "lamina.run_tasks", LLVMFunctionType(e->void_type, types, 3, 0), LLVMInternalLinkage);
    emit_function_begin(e, l->run_tasks, (src_loc){0});
    LLVMValueRef call = LLVMGetParam(l->run_tasks, 0), task = LLVMGetParam(l->run_tasks, 1);
    LLVMValueRef tasks = LLVMGetParam(l->run_tasks, 2);
    LLVMValueRef loop = emit_field(e, call, e->pointer, ABI(lamina_call, parallel_for));
    LLVMValueRef parallel = l->profile ? LLVMBuildIsNotNull(b, loop, "") : emit_is_shared(e, call, tasks, loop);
    LLVMBasicBlockRef share = emit_block(e), serial = emit_block(e);
    LLVMBuildCondBr(b, parallel, share, serial);
    LLVMPositionBuilderAtEnd(b, share);
    emit_parallel(e, call, task, tasks);
    LLVMPositionBuilderAtEnd(b, serial);
    emit_serial(l, call, task, tasks);
}
