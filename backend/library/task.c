/* backend/library/task.c - from a call to a kernel's body: void task(lamina_call *, int64_t task).
 *
 * The function of a body takes the batch, the number of the task and a pointer for each buffer, so kernels whose
 * loop nests have equal text share one function. A task function belongs to one fused node: it knows where that
 * node's buffers lie.
 *
 * If a buffer is of the worker segment, the tasks are done by at most `workers` launches. Each launch has its own
 * part of the segment, which thus belongs to one thread at a time, and it takes the next task that nobody has, as
 * long as there is one. Where the parts lie depends on the function of the net, which tells its tasks (call.c).
 *
 * In a chain, kernels run depth-first over slices of the batch (passes/chain.c). There a value of the worker segment
 * that has the batch holds only one slice. Bodies index it by example as if all examples were there. So they get a
 * pointer that is moved back until the first example of the slice lies where it does in memory. This pointer may lie
 * outside the workspace, but what is read and written through it does not. */
#include "backend/module.h"
#include "ir/graph/build.h"
#include "ir/graph/layout.h"
#include "runtime/lamina_abi.h"
#include <string.h>

struct kernel_code {
    const char *text; /* of the nest, buffers numbered; then which buffers stand alone */
    LLVMValueRef function;
    kernel_code *next;
};

/* ---- places ---- */

abi_place segment_field(ir_segment s)
{
    switch (s) {
    case SEG_PARAM:
        return ABI(lamina_call, params);
    case SEG_STATE:
        return ABI(lamina_call, state);
    case SEG_GRADIENT:
        return ABI(lamina_call, gradients);
    case SEG_INPUT:
        return ABI(lamina_call, inputs);
    case SEG_OUTPUT:
        return ABI(lamina_call, outputs);
    case SEG_SAVED:
        return ABI(lamina_call, saved);
    case SEG_WORKSPACE:
    case SEG_WORKER:
        return ABI(lamina_call, workspace);
    default:
        ir_bug("segment %d has no pointer in the call", (int)s);
    }
}

static abi_place call_value_field(const ir_node *n)
{
    static const struct {
        const char *name;
        abi_place field;
    } fields[] = {{"learning_rate", ABI(lamina_call, learning_rate)},
                  {"loss_scale", ABI(lamina_call, loss_scale)},
                  {"micro_batch", ABI(lamina_call, micro_batch)},
                  {"sgemm", ABI(lamina_call, sgemm)}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (ir_word_is(n, "field", fields[i].name))
            return fields[i].field;
    ir_bug("a call has no field %s", ir_word(n, "field"));
}

/* A reshape is another name for its operand's memory. */
static const ir_node *holder(const ir_node *n)
{
    while (n->place.segment == SEG_NONE && (n->op == IR_RESHAPE || n->op == IR_STOP_GRADIENT))
        n = n->in[0];
    return n;
}

static bool is_call_value(const nest_buffer *b)
{
    return b->node && holder(b->node)->op == IR_CALL_VALUE;
}

ir_place buffer_place(const nest_buffer *b)
{
    if (b->symbol)
        return b->symbol->place;
    const ir_node *n = holder(b->node);
    if (n->place.segment == SEG_NONE && n->symbol)
        return n->symbol->place;
    if (n->place.segment == SEG_NONE && n->op != IR_CALL_VALUE)
        ir_bug("no memory was planned for %s '%s'", ir_ops[n->op].name, n->label ? n->label : n->name ? n->name : "");
    return n->place;
}

size_t emit_place(const emitter *e, abi_place field)
{
    return abi_offset(field, LLVMPointerSize(e->data));
}

LLVMValueRef emit_field_address(emitter *e, LLVMValueRef from, abi_place field)
{
    return emit_offset(e, e->i8, from, emit_i64(e, (int64_t)emit_place(e, field)));
}

LLVMValueRef emit_field(emitter *e, LLVMValueRef from, LLVMTypeRef type, abi_place field)
{
    return LLVMBuildLoad2(e->builder, type, emit_field_address(e, from, field), "");
}

/* A launch's part of the workers' memory. */
static LLVMValueRef worker_part(emitter *e, LLVMValueRef call, LLVMValueRef launch)
{
    LLVMValueRef first = emit_offset(e, e->i8, call, emit_i64(e, TURNS_MEMORY));
    LLVMValueRef size = emit_offset(e, e->i8, call, emit_i64(e, TURNS_PART));
    first = LLVMBuildLoad2(e->builder, e->pointer, first, "");
    size = LLVMBuildLoad2(e->builder, e->i64, size, "");
    return emit_offset(e, e->i8, first, LLVMBuildMul(e->builder, launch, size, ""));
}

/* Bytes from one example to the next in a buffer that holds one slice; 0 for all others. */
static int64_t slice_step(const nest_kernel *k, const nest_buffer *b)
{
    if (b->symbol || b->local || !ir_chain(k->node, NULL))
        return 0;
    const ir_node *n = holder(b->node);
    if (n->place.segment != SEG_WORKER || ir_batch_dim(&n->type) < 0)
        return 0;
    return ir_layout_of(&n->type, n).batch_stride * ir_dtype_size(n->type.dtype);
}

/* The first example of a task. */
static LLVMValueRef first_example(emitter *e, const nest_tasks *t, LLVMValueRef task)
{
    LLVMValueRef slice = t->inner > 1 ? LLVMBuildSDiv(e->builder, task, emit_i64(e, t->inner), "") : task;
    return LLVMBuildMul(e->builder, slice, emit_i64(e, t->chunk / t->n), "");
}

static LLVMValueRef buffer_address(library *l, const nest_kernel *k, int phase, int buffer, LLVMValueRef call,
                                   LLVMValueRef launch, LLVMValueRef task)
{
    const nest_buffer *b = &k->buffers[buffer];
    emitter *e = &l->e;
    if (is_call_value(b))
        return emit_field_address(e, call, call_value_field(holder(b->node)));
    ir_place place = buffer_place(b);
    LLVMValueRef start = place.segment == SEG_WORKER ? worker_part(e, call, launch)
                                                     : emit_field(e, call, e->pointer, segment_field(place.segment));
    if (place.segment == SEG_INPUT || place.segment == SEG_OUTPUT)
        return LLVMBuildLoad2(e->builder, e->pointer, emit_offset(e, e->pointer, start, emit_i64(e, place.offset)), "");
    LLVMValueRef offset = emit_i64(e, place.offset);
    int64_t step = slice_step(k, b);
    if (step && phase)
        ir_bug("'%s' reads a slice after its chain", k->name);
    if (step) {
        LLVMValueRef example = first_example(e, &k->phase[phase].tasks, task);
        offset = LLVMBuildSub(e->builder, offset, LLVMBuildMul(e->builder, example, emit_i64(e, step), ""), "");
    }
    return emit_offset(e, e->i8, start, offset);
}

/* ---- bodies ---- */

/* Values that lie in one place are one value updated in place; the plan keeps all others apart. Different inputs or
 * outputs of a caller must not overlap where one is written, as for any C function. */
static bool is_alone(const nest_kernel *k, int index)
{
    if (k->buffers[index].local)
        return true;
    if (is_call_value(&k->buffers[index]))
        return true;
    ir_place place = buffer_place(&k->buffers[index]);
    for (int i = 0; i < k->nbuffers; i++) {
        if (i == index || k->buffers[i].local || is_call_value(&k->buffers[i]))
            continue;
        ir_place other = buffer_place(&k->buffers[i]);
        if (other.segment == place.segment && other.offset == place.offset)
            return false;
    }
    return true;
}

/* Everything that decides a body's code, and no names. */
static const char *body_text(library *l, const nest_kernel *k, int phase, const bool *alone)
{
    text t = {0};
    int *number = arena_new_array(l->mem, int, (size_t)k->nbuffers + 1), used = nest_phase_buffers(k, phase, number);
    for (int i = 0; i < used; i++)
        text_printf(&t, "%s%s ", ir_dtype_name(k->buffers[number[i]].dtype), alone[number[i]] ? "" : "*");
    nest_print_phase(k, phase, false, &t);
    const char *copy = arena_strdup(l->mem, text_get(&t));
    text_free(&t);
    return copy;
}

/* A symbol's name: quotes and control characters would spoil assembly text; a name without a dot might be a function
 * that code generation calls, such as memcpy. */
static const char *symbol_name(arena *mem, const char *label, const char *ending)
{
    char *name = arena_printf(mem, "%s%s%s", label, strchr(label, '.') ? "" : ".kernel", ending);
    for (char *c = name; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127 || *c == '"' || *c == '\\' || *c == '@')
            *c = '_';
    return name;
}

static LLVMValueRef find_body(library *l, const nest_kernel *k, int phase)
{
    bool *alone = arena_new_array(l->mem, bool, (size_t)k->nbuffers);
    for (int i = 0; i < k->nbuffers; i++)
        alone[i] = is_alone(k, i);
    const char *key = body_text(l, k, phase, alone);
    for (kernel_code *c = l->kernels; c; c = c->next)
        if (strcmp(c->text, key) == 0)
            return c->function;
    kernel_code *code = arena_make(l->mem, kernel_code);
    const char *name = symbol_name(l->mem, k->name, phase ? ".2" : "");
    *code = (kernel_code){key, emit_phase(&l->e, k, phase, name, alone), l->kernels};
    l->kernels = code;
    return code->function;
}

/* ---- tasks ---- */

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

static void call_body(library *l, const nest_kernel *k, int phase, LLVMValueRef body, LLVMValueRef call,
                      LLVMValueRef launch, LLVMValueRef task)
{
    emitter *e = &l->e;
    int *number = arena_new_array(l->mem, int, (size_t)k->nbuffers + 1), used = nest_phase_buffers(k, phase, number);
    size_t count = (size_t)used + 2;
    LLVMValueRef *arguments = arena_new_array(l->mem, LLVMValueRef, count);
    arguments[0] = emit_field(e, call, e->i64, ABI(lamina_call, batch));
    arguments[1] = task;
    for (int i = 0; i < used; i++)
        arguments[i + 2] = buffer_address(l, k, phase, number[i], call, launch, task);
    LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(body), body, arguments, (unsigned)count, "");
}

bool uses_worker_memory(const nest_kernel *k, int phase)
{
    arena *mem = arena_new();
    int *number = arena_new_array(mem, int, (size_t)k->nbuffers + 1), used = nest_phase_buffers(k, phase, number);
    bool uses = false;
    for (int i = 0; i < used && !uses; i++)
        uses = !is_call_value(&k->buffers[number[i]]) && buffer_place(&k->buffers[number[i]]).segment == SEG_WORKER;
    arena_free(mem);
    return uses;
}

LLVMValueRef emit_launches(emitter *e, LLVMValueRef call, LLVMValueRef tasks)
{
    LLVMValueRef most[] = {emit_field(e, call, e->i64, ABI(lamina_call, workers)), emit_i64(e, 1)};
    LLVMValueRef least[] = {emit_intrinsic(e, "llvm.smax", &e->i64, 1, most, 2), tasks};
    return emit_intrinsic(e, "llvm.smin", &e->i64, 1, least, 2);
}

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

_Static_assert(sizeof(lamina_call) <= TURNS_MEMORY, "the workers' memory lies in the copy of the call");

/* Nothing else is told by the counter: threads meet where the parallel loop begins and ends. */
shared_turns emit_shared_turns_begin(emitter *e, LLVMValueRef call, LLVMValueRef tasks)
{
    LLVMBuilderRef b = e->builder;
    shared_turns t = {.next = emit_block(e)};
    LLVMBasicBlockRef body = emit_block(e);
    t.after = emit_block(e);
    LLVMBuildBr(b, t.next);
    LLVMPositionBuilderAtEnd(b, t.next);
    LLVMValueRef taken = emit_offset(e, e->i8, call, emit_i64(e, TURNS_TAKEN));
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

static void call_body_in_turns(library *l, const nest_kernel *k, int phase, LLVMValueRef body, LLVMValueRef call,
                               LLVMValueRef launch)
{
    emitter *e = &l->e;
    LLVMValueRef batch = emit_field(e, call, e->i64, ABI(lamina_call, batch));
    LLVMValueRef tasks = emit_task_count(e, &k->phase[phase].tasks, batch);
    shared_turns t = emit_shared_turns_begin(e, call, tasks);
    call_body(l, k, phase, body, call, launch, t.task);
    emit_shared_turns_end(e, &t);
}

LLVMValueRef emit_member(library *l, const nest_kernel *k)
{
    emitter *e = &l->e;
    LLVMValueRef body = find_body(l, k, 0);
    LLVMValueRef function =
        emit_function(e, symbol_name(l->mem, k->name, ".task"), l->member_type, LLVMInternalLinkage);
    emit_function_begin(e, function, k->node->loc);
    call_body(l, k, 0, body, LLVMGetParam(function, 0), LLVMGetParam(function, 1), LLVMGetParam(function, 2));
    LLVMBuildRetVoid(e->builder);
    return function;
}

LLVMValueRef emit_task(library *l, const nest_kernel *k, int phase)
{
    emitter *e = &l->e;
    LLVMValueRef body = find_body(l, k, phase);
    const char *name = symbol_name(l->mem, k->name, phase ? ".task.2" : ".task");
    LLVMValueRef function = emit_function(e, name, l->task_type, LLVMInternalLinkage);
    emit_function_begin(e, function, k->node->loc);
    LLVMValueRef call = LLVMGetParam(function, 0), task = LLVMGetParam(function, 1);
    if (uses_worker_memory(k, phase))
        call_body_in_turns(l, k, phase, body, call, task);
    else
        call_body(l, k, phase, body, call, task, task);
    LLVMBuildRetVoid(e->builder);
    return function;
}
