/* backend/module.h - the parts of a library's LLVM module: kernels, calls, descriptor. Knows LLVM. */
#ifndef BACKEND_MODULE_H
#define BACKEND_MODULE_H

#include "backend/backend.h"
#include "backend/emit/emit.h"
#include "backend/library/abi.h"
#include "backend/library/interface.h"

typedef struct kernel_code kernel_code; /* a phase's function, found by the text of its nest */

typedef struct {
    emitter e;
    const ir_module *module;
    const be_interface *interface;
    arena *mem;
    kernel_code *kernels;
    LLVMTypeRef call_type, task_type, member_type; /* i32 (ptr), void (ptr, i64), void (ptr, i64, i64) */
    LLVMValueRef run_tasks;                        /* void (ptr call, ptr task, i64 tasks); made on first use */
    double lower_ms;                               /* time in lowering, which runs between emissions */
    be_profile *profile;                           /* NULL, or: every phase is a launch of its own, listed here */
} library;

/* ---- task.c: one phase of one fused node ---- */

/* void task(ptr call, i64 task): finds the buffers and runs the kernel's body. */
LLVMValueRef emit_task(library *l, const nest_kernel *k, int phase);
/* void member(ptr call, i64 launch, i64 task): the same of a chain's member, on the memory of that launch's worker. */
LLVMValueRef emit_member(library *l, const nest_kernel *k);
/* How many tasks the phase has in the call whose batch is 'batch' (i64). */
LLVMValueRef emit_task_count(emitter *e, const nest_tasks *t, LLVMValueRef batch);
/* Whether a phase has memory for each worker; then this many launches share its tasks: min(workers, tasks). */
bool uses_worker_memory(const nest_kernel *k, int phase);
LLVMValueRef emit_launches(emitter *e, LLVMValueRef call, LLVMValueRef tasks);
/* for (index = from; index < end; index += step) of i64, where the first turn is sure. */
typedef struct {
    LLVMValueRef index;
    LLVMBasicBlockRef body;
} turns;
turns emit_turns_begin(emitter *e, LLVMValueRef from);
void emit_turns_end(emitter *e, const turns *t, LLVMValueRef step, LLVMValueRef end);

/* Launches take the tasks that are left, one at a time: while ((task = taken++) < tasks) body. They get a copy of the
 * call in its place, behind which lie the pointer to the workers' memory, the bytes of each worker's part, and the
 * counter, in a line alone. */
enum { TURNS_CALL = 256, TURNS_TAKEN = TURNS_CALL - 64, TURNS_MEMORY = TURNS_TAKEN - 16, TURNS_PART = TURNS_TAKEN - 8 };
typedef struct {
    LLVMValueRef task;
    LLVMBasicBlockRef next, after;
} shared_turns;
shared_turns emit_shared_turns_begin(emitter *e, LLVMValueRef call, LLVMValueRef tasks);
void emit_shared_turns_end(emitter *e, const shared_turns *t);
/* Where a buffer lies; its segment is SEG_NONE for a field of the call. */
ir_place buffer_place(const nest_buffer *b);
/* A field of the call, or of another struct of the ABI: where it lies on the target, as a pointer, and as its value. */
size_t emit_place(const emitter *e, abi_place field);
LLVMValueRef emit_field_address(emitter *e, LLVMValueRef from, abi_place field);
LLVMValueRef emit_field(emitter *e, LLVMValueRef from, LLVMTypeRef type, abi_place field);
/* The pointer to a segment. */
abi_place segment_field(ir_segment s);

/* ---- call.c: one function of the module ---- */

/* int32_t prefix_function(const lamina_call *). False after an error in d. */
bool emit_call(library *l, const ir_graph *f, diag *d);

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
