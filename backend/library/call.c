/* backend/library/call.c - one function of the network: int32_t prefix_function(const lamina_call *).
 *
 *     check the call; for each kernel, each phase: run_tasks(call, task function, number of tasks); return 0
 *
 * All checks come before the first kernel, so a call is either done as a whole or not begun. The exception is
 * `infer`, which may stop between two kernels if the host raises its cancel flag. */
#include "backend/module.h"
#include "ir/graph/build.h"
#include "runtime/lamina_abi.h"
#include <string.h>
#include <time.h>

typedef struct launch launch;

typedef struct {
    launch *of;
    int count;
} launch_list;

struct launch {
    const ir_node *kernel; /* NULL for a chain */
    bound_task bound;
    launch_list members;   /* of a chain */
    int64_t number, slice; /* of a chain: its own, and examples of a slice */
    nest_tasks tasks;
    bool by_worker; /* launches, not tasks, are handed out */
    src_loc loc;
    LLVMValueRef task, row; /* once its function is there; the row may be NULL */
};

struct call_emitter {
    library *l;
    const ir_graph *function;
    launch_list launches, members, later; /* the last two of the chain that is being made; later: second phases */
    bool segment[SEG_COUNT];
    bool *input, *output;    /* which of the net's are used */
    bool copies;             /* some launches share tasks, or have a row: they get a copy of the call */
    LLVMValueRef call, copy; /* the latter NULL without copies */
    LLVMValueRef *part;      /* functions of many launches each, where there are too many for one */
    int nparts;
};

double milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* ---- kernels ---- */

static void note_places(call_emitter *c, const nest_kernel *k)
{
    for (int i = 0; i < k->nbuffers; i++) {
        if (k->buffers[i].local)
            continue;
        ir_place place = buffer_place(&k->buffers[i]);
        c->segment[place.segment] = true;
        if (place.segment == SEG_INPUT)
            c->input[place.offset] = true;
        if (place.segment == SEG_OUTPUT)
            c->output[place.offset] = true;
    }
}

static void add_to(call_emitter *c, launch_list *l, launch one)
{
    l->of = arena_grown(c->l->mem, l->of, (size_t)l->count, sizeof *l->of);
    l->of[l->count++] = one;
}

/* A chain calls a member's tasks for one slice after the other. */
static bool works_in_slices(const nest_tasks *t, const ir_node *n, diag *d)
{
    int64_t slice, number = ir_chain(n, &slice);
    if (t->batch && t->chunk == slice * t->n)
        return true;
    diag_error(d, n->loc, "fused: expected in chain %d a kernel that works in slices of %d examples, found another",
               (int)number, (int)slice);
    return false;
}

static bool add_kernel(call_emitter *c, const ir_node *n, diag *d)
{
    bool member = ir_chain(n, NULL) > 0;
    if (member && c->l->profile) {
        diag_error(d, n->loc, "kernel '%s' is measured in no chain: expected a module that pass chain left alone",
                   n->label ? n->label : "");
        return false;
    }
    arena *mem = arena_new();
    double start = milliseconds();
    const nest_kernel *k = nest_lower(n, c->l->e.target, mem, d);
    c->l->lower_ms += milliseconds() - start;
    bool ok = k;
    if (k)
        note_places(c, k);
    for (int i = 0; ok && i < k->nphases; i++) {
        bound_task bound = bind_task(c->l, k, i, member && i == 0);
        launch one = {
            .kernel = n, .bound = bound, .tasks = k->phase[i].tasks, .by_worker = bound.by_worker, .loc = n->loc};
        add_to(c, !member ? &c->launches : i ? &c->later : &c->members, one);
        ok = !member || i || works_in_slices(&one.tasks, n, d);
    }
    arena_free(mem);
    return ok;
}

/* ---- chains ---- */

/* The chain whose members were gathered; then the phases that waited for its end. A task is a slice; where members sum
 * by leaves, a leaf, so that its slices come in order. */
static void close_chain(call_emitter *c, const ir_node *first)
{
    launch one = {.loc = first->loc, .members = c->members};
    one.number = ir_chain(first, &one.slice);
    one.tasks = (nest_tasks){.n = 1, .batch = true, .chunk = c->later.count ? IR_LEAF : one.slice, .inner = 1};
    for (int i = 0; i < c->members.count; i++)
        one.by_worker |= c->members.of[i].by_worker;
    add_to(c, &c->launches, one);
    for (int i = 0; i < c->later.count; i++)
        add_to(c, &c->launches, c->later.of[i]);
    c->members = (launch_list){0};
    c->later.count = 0;
}

static bool add_kernels(call_emitter *c, diag *d)
{
    const ir_node *first = NULL; /* of the chain that is being made */
    for (const ir_node *n = c->function->first; n; n = n->next) {
        if (n->op != IR_FUSED) /* a name of memory: check.c */
            continue;
        int64_t own = ir_chain(n, NULL);
        if (first && own != ir_chain(first, NULL)) {
            close_chain(c, first);
            first = NULL;
        }
        first = own && !first ? n : first;
        if (!add_kernel(c, n, d))
            return false;
    }
    if (first)
        close_chain(c, first);
    return true;
}

/* ---- task functions ---- */

/* The task function of a chain: for each slice, the tasks of one member after the other. */
typedef struct {
    library *l;
    const launch *chain;
    LLVMValueRef call, launch;
} chain_emitter;

/* A slice's tasks of one member. */
static void call_member(const chain_emitter *c, const launch *one, LLVMValueRef slice)
{
    emitter *e = &c->l->e;
    const nest_tasks *t = &one->tasks;
    int64_t inner = t->inner > 0 ? t->inner : 1;
    for (int64_t i = 0; i < inner; i++) {
        LLVMValueRef task = LLVMBuildMul(e->builder, slice, emit_i64(e, inner), "");
        LLVMValueRef arguments[] = {c->call, c->launch, LLVMBuildAdd(e->builder, task, emit_i64(e, i), ""),
                                    one->row ? one->row : LLVMConstNull(e->pointer)};
        LLVMBuildCall2(e->builder, c->l->member_type, one->task, arguments, 4, "");
    }
}

/* The slices of a task, which has at least one. */
static void call_slices(const chain_emitter *c, LLVMValueRef task)
{
    emitter *e = &c->l->e;
    LLVMBuilderRef b = e->builder;
    const launch_list *members = &c->chain->members;
    int64_t slice = c->chain->slice, most = c->chain->tasks.chunk / slice;
    turns t = {.index = task};
    if (most > 1)
        t = emit_turns_begin(e, LLVMBuildMul(b, task, emit_i64(e, most), ""));
    for (int i = 0; i < members->count; i++)
        call_member(c, &members->of[i], t.index);
    if (most == 1)
        return;
    const nest_tasks slices = {.n = 1, .batch = true, .chunk = slice, .inner = 1};
    LLVMValueRef batch = emit_field(e, c->call, e->i64, ABI(lamina_call, batch));
    LLVMValueRef next = LLVMBuildMul(b, LLVMBuildAdd(b, task, emit_i64(e, 1), ""), emit_i64(e, most), "");
    LLVMValueRef ends[] = {next, emit_task_count(e, &slices, batch)};
    emit_turns_end(e, &t, emit_i64(e, 1), emit_intrinsic(e, "llvm.smin", &e->i64, 1, ends, 2));
}

static void emit_slices(const chain_emitter *c)
{
    emitter *e = &c->l->e;
    if (!c->chain->by_worker) {
        call_slices(c, c->launch);
        return;
    }
    LLVMValueRef batch = emit_field(e, c->call, e->i64, ABI(lamina_call, batch));
    LLVMValueRef tasks = emit_task_count(e, &c->chain->tasks, batch);
    shared_turns t = emit_shared_turns_begin(e, c->call, tasks);
    call_slices(c, t.task);
    emit_shared_turns_end(e, &t);
}

static void emit_tasks(const call_emitter *c, const launch_list *list);

static void emit_chain(const call_emitter *c, launch *chain)
{
    library *l = c->l;
    emit_tasks(c, &chain->members);
    const char *name = arena_printf(l->mem, "%s.chain%d", c->function->name, (int)chain->number);
    chain->task = emit_function(&l->e, name, l->task_type, LLVMInternalLinkage);
    emit_function_begin(&l->e, chain->task, chain->loc);
    chain_emitter e = {l, chain, LLVMGetParam(chain->task, 0), LLVMGetParam(chain->task, 1)};
    emit_slices(&e);
    LLVMBuildRetVoid(l->e.builder);
}

static void emit_tasks(const call_emitter *c, const launch_list *list)
{
    for (int i = 0; i < list->count; i++)
        if (list->of[i].kernel)
            list->of[i].task = emit_task(c->l, &list->of[i].bound, &list->of[i].row);
        else
            emit_chain(c, &list->of[i]);
}

/* ---- checks ---- */

static void return_if(call_emitter *c, LLVMValueRef condition, int status)
{
    emitter *e = &c->l->e;
    LLVMBasicBlockRef leave = emit_block(e), go_on = emit_block(e);
    LLVMBuildCondBr(e->builder, condition, leave, go_on);
    LLVMPositionBuilderAtEnd(e->builder, leave);
    LLVMBuildRet(e->builder, emit_i32(e, status));
    LLVMPositionBuilderAtEnd(e->builder, go_on);
}

static LLVMValueRef call_field(call_emitter *c, LLVMTypeRef type, abi_place field)
{
    return emit_field(&c->l->e, c->call, type, field);
}

/* Bytes of the call that the function reads: a host of version 1.0 serves those that ask for no more than it has. */
static size_t call_size(const call_emitter *c)
{
    bool all = be_takes_field(c->function, "sgemm");
    return emit_place(&c->l->e, all ? ABI_SIZE(lamina_call) : ABI(lamina_call, sgemm));
}

static void check_size_and_batch(call_emitter *c)
{
    emitter *e = &c->l->e;
    LLVMBuilderRef b = e->builder;
    return_if(c, LLVMBuildIsNull(b, c->call, ""), LAMINA_CALL_BAD_POINTER);
    LLVMValueRef size = call_field(c, e->i64, ABI(lamina_call, struct_size));
    return_if(c, LLVMBuildICmp(b, LLVMIntULT, size, emit_i64(e, (int64_t)call_size(c)), ""), LAMINA_CALL_BAD_SIZE);
    if (be_takes_field(c->function, "sgemm")) {
        LLVMValueRef product = call_field(c, e->pointer, ABI(lamina_call, sgemm));
        return_if(c, LLVMBuildIsNull(b, product, ""), LAMINA_CALL_NO_SGEMM);
    }
    /* One comparison for both ends: 0 becomes the largest unsigned number. */
    LLVMValueRef batch = call_field(c, e->i64, ABI(lamina_call, batch));
    LLVMValueRef less_one = LLVMBuildSub(b, batch, emit_i64(e, 1), "");
    LLVMValueRef most = emit_i64(e, c->l->interface->max_batch);
    return_if(c, LLVMBuildICmp(b, LLVMIntUGE, less_one, most, ""), LAMINA_CALL_BAD_BATCH);
}

/* NULL or not aligned to 64 bytes: the address less one, in its low bits, tells misaligned ones, and NULL is asked for.
 */
static void check_segment(call_emitter *c, ir_segment s)
{
    emitter *e = &c->l->e;
    LLVMBuilderRef b = e->builder;
    LLVMValueRef pointer = call_field(c, e->pointer, segment_field(s));
    LLVMValueRef low = LLVMBuildAnd(b, LLVMBuildPtrToInt(b, pointer, e->i64, ""), emit_i64(e, 63), "");
    LLVMValueRef misaligned = LLVMBuildICmp(b, LLVMIntNE, low, emit_i64(e, 0), "");
    return_if(c, LLVMBuildOr(b, LLVMBuildIsNull(b, pointer, ""), misaligned, ""), LAMINA_CALL_BAD_POINTER);
}

static void check_each(call_emitter *c, ir_segment s, const bool *used, int count)
{
    emitter *e = &c->l->e;
    LLVMValueRef list = call_field(c, e->pointer, segment_field(s));
    return_if(c, LLVMBuildIsNull(e->builder, list, ""), LAMINA_CALL_BAD_POINTER);
    for (int i = 0; i < count; i++)
        if (used[i]) {
            LLVMValueRef at = emit_offset(e, e->pointer, list, emit_i64(e, i));
            LLVMValueRef pointer = LLVMBuildLoad2(e->builder, e->pointer, at, "");
            return_if(c, LLVMBuildIsNull(e->builder, pointer, ""), LAMINA_CALL_BAD_POINTER);
        }
}

static void emit_checks(call_emitter *c)
{
    check_size_and_batch(c);
    static const ir_segment plain[] = {SEG_PARAM, SEG_STATE, SEG_GRADIENT, SEG_SAVED};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (c->segment[plain[i]])
            check_segment(c, plain[i]);
    if (c->segment[SEG_WORKSPACE] || c->segment[SEG_WORKER])
        check_segment(c, SEG_WORKSPACE);
    if (c->segment[SEG_INPUT])
        check_each(c, SEG_INPUT, c->input, c->l->interface->input_count);
    if (c->segment[SEG_OUTPUT])
        check_each(c, SEG_OUTPUT, c->output, c->l->interface->output_count);
}

/* ---- the function ---- */

static void emit_cancel(call_emitter *c)
{
    emitter *e = &c->l->e;
    LLVMBuilderRef b = e->builder;
    LLVMValueRef flag = call_field(c, e->pointer, ABI(lamina_call, cancel));
    LLVMBasicBlockRef look = emit_block(e), go_on;
    LLVMBasicBlockRef skip = LLVMGetInsertBlock(b);
    LLVMValueRef absent = LLVMBuildIsNull(b, flag, "");
    LLVMPositionBuilderAtEnd(b, look);
    LLVMValueRef raised = LLVMBuildLoad2(b, e->i32, flag, "");
    LLVMSetVolatile(raised, 1);
    return_if(c, LLVMBuildICmp(b, LLVMIntNE, raised, emit_i32(e, 0), ""), LAMINA_CALL_CANCELLED);
    LLVMBasicBlockRef looked = LLVMGetInsertBlock(b);
    go_on = emit_block(e);
    LLVMBuildBr(b, go_on);
    LLVMPositionBuilderAtEnd(b, skip);
    LLVMBuildCondBr(b, absent, go_on, look);
    LLVMMoveBasicBlockAfter(go_on, looked);
    LLVMPositionBuilderAtEnd(b, go_on);
}

/* Room for a copy of the call and what follows it; it is filled once the call is known to be good. */
static void emit_room_for_copy(call_emitter *c)
{
    emitter *e = &c->l->e;
    c->copy = NULL;
    if (!c->copies)
        return;
    c->copy = LLVMBuildAlloca(e->builder, LLVMArrayType(e->i8, COPY_BYTES), "");
    LLVMSetAlignment(c->copy, 64);
}

static void emit_copy_word(emitter *e, LLVMValueRef to, LLVMValueRef from, int64_t at)
{
    LLVMValueRef word = LLVMBuildLoad2(e->builder, e->i64, emit_offset(e, e->i8, from, emit_i64(e, at)), "");
    LLVMBuildStore(e->builder, word, emit_offset(e, e->i8, to, emit_i64(e, at)));
}

/* The workers' parts follow the workspace, whose size is another one for inference. */
static void emit_worker_memory(call_emitter *c)
{
    emitter *e = &c->l->e;
    const be_interface *i = c->l->interface;
    LLVMValueRef workspace = call_field(c, e->pointer, segment_field(SEG_WORKSPACE));
    bool inference = ir_is_inference(c->function);
    int64_t before = inference ? i->inference_workspace_bytes : i->workspace_bytes;
    int64_t part = inference ? i->inference_worker_bytes : i->workspace_worker_bytes;
    LLVMValueRef first = emit_offset(e, e->i8, workspace, emit_i64(e, before));
    LLVMBuildStore(e->builder, first, emit_copy_field(e, c->copy, COPY_MEMORY));
    LLVMBuildStore(e->builder, emit_i64(e, part), emit_copy_field(e, c->copy, COPY_PART));
}

static void emit_copy(call_emitter *c)
{
    emitter *e = &c->l->e;
    if (!c->copy)
        return;
    for (size_t at = 0; at < call_size(c); at += sizeof(int64_t))
        emit_copy_word(e, c->copy, c->call, (int64_t)at);
    emit_worker_memory(c);
}

static void list_launches(const call_emitter *c)
{
    be_profile *p = c->l->profile;
    for (int i = 0; p && i < c->launches.count; i++) {
        p->launch = arena_grown(p->mem, p->launch, (size_t)p->count, sizeof *p->launch);
        p->launch[p->count++] = (be_launch){c->function, c->launches.of[i].kernel};
    }
}

static void emit_launch(call_emitter *c, const launch *one)
{
    emitter *e = &c->l->e;
    emit_at(e, one->loc);
    LLVMValueRef batch = call_field(c, e->i64, ABI(lamina_call, batch));
    LLVMValueRef tasks = emit_task_count(e, &one->tasks, batch);
    if (one->by_worker)
        tasks = emit_launches(e, c->call, tasks);
    LLVMValueRef arguments[] = {c->call, one->task, tasks};
    if (one->by_worker || one->row)
        arguments[0] = c->copy;
    if (one->by_worker)
        LLVMBuildStore(e->builder, emit_i64(e, 0), emit_copy_field(e, c->copy, COPY_TAKEN));
    if (one->row)
        LLVMBuildStore(e->builder, one->row, emit_copy_field(e, c->copy, COPY_ROW));
    if (!c->l->profile && LLVMIsAConstantInt(tasks) && LLVMConstIntGetSExtValue(tasks) == 1) {
        arguments[1] = emit_i64(e, 0);
        LLVMBuildCall2(e->builder, c->l->task_type, one->task, arguments, 2, "");
        return;
    }
    LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(c->l->run_tasks), c->l->run_tasks, arguments, 3, "");
}

call_emitter *gather_kernels(library *l, const ir_graph *f, diag *d)
{
    call_emitter *c = arena_make(l->mem, call_emitter);
    c->l = l;
    c->function = f;
    c->input = arena_new_array(l->mem, bool, (size_t)l->interface->input_count);
    c->output = arena_new_array(l->mem, bool, (size_t)l->interface->output_count);
    return add_kernels(c, d) ? c : NULL;
}

static void emit_launches_from(call_emitter *c, int from, int to)
{
    bool cancellable = strcmp(c->function->name, "infer") == 0;
    for (int i = from; i < to; i++) {
        if (cancellable)
            emit_cancel(c);
        emit_launch(c, &c->launches.of[i]);
    }
}

/* int32_t part(const lamina_call *, void *copy): some of the launches, as a function of their own. */
static LLVMValueRef emit_part(call_emitter *c, int from, int to)
{
    emitter *e = &c->l->e;
    LLVMTypeRef types[] = {e->pointer, e->pointer};
    const char *name = arena_printf(c->l->mem, "%s.part", c->function->name);
    LLVMValueRef part = emit_function(e, name, LLVMFunctionType(e->i32, types, 2, 0), LLVMInternalLinkage);
    emit_function_begin(e, part, c->launches.of[from].loc);
    c->call = LLVMGetParam(part, 0);
    c->copy = c->copies ? LLVMGetParam(part, 1) : NULL;
    emit_launches_from(c, from, to);
    LLVMBuildRet(e->builder, emit_i32(e, LAMINA_CALL_OK));
    return part;
}

/* Code generation takes more than linear time and memory for a function, so that many launches have several. */
static void emit_parts(call_emitter *c)
{
    enum { LAUNCHES = 128 };
    c->nparts = c->launches.count > LAUNCHES ? (c->launches.count + LAUNCHES - 1) / LAUNCHES : 0;
    c->part = arena_new_array(c->l->mem, LLVMValueRef, (size_t)c->nparts + 1);
    for (int i = 0; i < c->nparts; i++) {
        int from = i * LAUNCHES, to = from + LAUNCHES < c->launches.count ? from + LAUNCHES : c->launches.count;
        c->part[i] = emit_part(c, from, to);
    }
}

static void call_part(call_emitter *c, LLVMValueRef part)
{
    emitter *e = &c->l->e;
    LLVMValueRef arguments[] = {c->call, c->copy ? c->copy : LLVMConstNull(e->pointer)};
    LLVMValueRef status = LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(part), part, arguments, 2, "");
    return_if(c, LLVMBuildICmp(e->builder, LLVMIntNE, status, emit_i32(e, LAMINA_CALL_OK), ""), LAMINA_CALL_CANCELLED);
}

void emit_call(call_emitter *c)
{
    library *l = c->l;
    if (!l->run_tasks)
        make_run_tasks(l);
    emit_tasks(c, &c->launches);
    for (int i = 0; i < c->launches.count; i++)
        c->copies |= c->launches.of[i].by_worker || c->launches.of[i].row;
    emit_parts(c);
    LLVMValueRef function = emit_exported(l, c->function->name, l->call_type);
    emit_function_begin(&l->e, function, c->function->loc);
    c->call = LLVMGetParam(function, 0);
    emit_room_for_copy(c);
    emit_checks(c);
    emit_copy(c);
    for (int i = 0; i < c->nparts; i++)
        call_part(c, c->part[i]);
    if (!c->nparts)
        emit_launches_from(c, 0, c->launches.count);
    LLVMBuildRet(l->e.builder, emit_i32(&l->e, LAMINA_CALL_OK));
    list_launches(c);
}
