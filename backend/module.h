/* backend/module.h - the parts of a library's LLVM module: kernels, calls, descriptor. Knows LLVM. */
#ifndef BACKEND_MODULE_H
#define BACKEND_MODULE_H

#include "backend/backend.h"
#include "backend/emit/emit.h"
#include "backend/library/abi.h"
#include "backend/library/interface.h"

typedef struct task_kind task_kind;

typedef struct {
    emitter e;
    const ir_module *module;
    const be_interface *interface;
    arena *mem;
    ir_map *bodies;                                /* phases' functions, by the text of their nests */
    ir_map *kinds;                                 /* what task functions know of places, by its text */
    LLVMTypeRef call_type, task_type, member_type; /* i32 (ptr), void (ptr, i64), void (ptr, i64, i64, ptr) */
    LLVMValueRef run_tasks;                        /* void (ptr call, ptr task, i64 tasks); made on first use */
    double lower_ms;                               /* time in lowering, which runs between emissions */
    be_profile *profile;                           /* NULL, or: every phase is a launch of its own, listed here */
} library;

/* ---- place.c: where things lie in a call ---- */

/* A buffer may be a field of the call itself: which one. Others have a place: */
bool is_call_value(const nest_buffer *b);
abi_place call_value_field(const nest_buffer *b);
ir_place buffer_place(const nest_buffer *b);
/* The node whose memory it is: a reshape is another name for its operand's. */
const ir_node *buffer_holder(const nest_buffer *b);
/* A field of the call, or of another struct of the ABI: where it lies on the target, as a pointer, and as its value. */
size_t emit_place(const emitter *e, abi_place field);
LLVMValueRef emit_field_address(emitter *e, LLVMValueRef from, abi_place field);
LLVMValueRef emit_field(emitter *e, LLVMValueRef from, LLVMTypeRef type, abi_place field);
/* The pointer to a segment. */
abi_place segment_field(ir_segment s);

/* ---- parallel.c: how tasks are shared ---- */

/* How many tasks the phase has in the call whose batch is 'batch' (i64). */
LLVMValueRef emit_task_count(emitter *e, const nest_tasks *t, LLVMValueRef batch);
/* Where a phase has memory for each worker, this many launches share its tasks: min(workers, tasks). */
LLVMValueRef emit_launches(emitter *e, LLVMValueRef call, LLVMValueRef tasks);
/* for (index = from; index < end; index += step) of i64, where the first turn is sure. */
typedef struct {
    LLVMValueRef index;
    LLVMBasicBlockRef body;
} turns;
turns emit_turns_begin(emitter *e, LLVMValueRef from);
void emit_turns_end(emitter *e, const turns *t, LLVMValueRef step, LLVMValueRef end);

/* Launches take the tasks that are left, one at a time: while ((task = taken++) < tasks) body. The counter is in the
 * copy of the call. */
typedef struct {
    LLVMValueRef task;
    LLVMBasicBlockRef next, after;
} shared_turns;
shared_turns emit_shared_turns_begin(emitter *e, LLVMValueRef call, LLVMValueRef tasks);
void emit_shared_turns_end(emitter *e, const shared_turns *t);

/* Some tasks get a copy of the call in its place, behind which lie the row of a launch, the pointer to the workers'
 * memory, the bytes of each worker's part, and the counter of tasks, in a line alone. In bytes from the start: */
enum {
    COPY_BYTES = 256,
    COPY_TAKEN = COPY_BYTES - 64,
    COPY_PART = COPY_TAKEN - 8,
    COPY_MEMORY = COPY_PART - 8,
    COPY_ROW = COPY_MEMORY - 8
};
LLVMValueRef emit_copy_field(emitter *e, LLVMValueRef copy, int field);

/* void run_tasks(ptr call, ptr task, i64 tasks): in the host's parallel loop if there is one and something to share,
 * else one after the other. */
void make_run_tasks(library *l);

/* ---- body.c ---- */

/* The function of a phase, which the phases share whose nests have equal text. */
LLVMValueRef find_body(library *l, const nest_kernel *k, int phase);
/* A symbol's name: quotes and control characters would spoil assembly text; a name without a dot might be a function
 * that code generation calls, such as memcpy. */
const char *symbol_name(arena *mem, const char *label, const char *ending);

/* ---- task.c: one phase of one fused node ---- */

/* What is left of a phase once its body is there: where the buffers lie. */
typedef struct {
    task_kind *kind;
    int row; /* among those of its kind */
    bool by_worker;
    const char *name;
    src_loc loc;
} bound_task;

bound_task bind_task(library *l, const nest_kernel *k, int phase, bool member);
/* Its function, once all tasks of the library are bound: void task(ptr call, i64 task), which finds the buffers and
 * runs the kernel's body; or, of a chain's member, void member(ptr call, i64 launch, i64 task, ptr row), the same on
 * the memory of that launch's worker. *row is a pointer to the numbers it reads, NULL if it reads none; a task that is
 * no member finds this pointer in the copy of the call. */
LLVMValueRef emit_task(library *l, const bound_task *b, LLVMValueRef *row);

/* ---- call.c: one function of the module ---- */

typedef struct call_emitter call_emitter;

/* The function's kernels, down to their bodies. NULL after an error in d. */
call_emitter *gather_kernels(library *l, const ir_graph *f, diag *d);
/* int32_t prefix_function(const lamina_call *), once the kernels of all functions are there. */
void emit_call(call_emitter *c);

double milliseconds(void); /* of a clock that only runs forwards */

/* ---- weights.c, descriptor.c ---- */

/* int32_t prefix_import_weights(const lamina_weights *), and export_weights. */
void emit_weights(library *l, LLVMValueRef *import, LLVMValueRef *export);
/* These two, the descriptor and its query function. */
void emit_descriptor(library *l);

/* ---- symbols.c ---- */

/* A private constant. */
LLVMValueRef emit_constant_global(emitter *e, const char *name, LLVMValueRef value);
/* The function of an exported symbol, default visibility. */
LLVMValueRef emit_exported(library *l, const char *function, LLVMTypeRef type);

#endif
