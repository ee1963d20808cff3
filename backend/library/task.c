/* backend/library/task.c - from a call to a kernel's body: void task(lamina_call *, int64_t task).
 *
 * The function of a body takes the batch, the number of the task, a pointer for each buffer and the kernel's own
 * numbers, such as the stream of its random numbers; so kernels whose loop nests are equal share one function. A task
 * function knows these numbers and where the buffers of its kernel lie: in which segments, and how far from their
 * starts. Offsets and numbers are constants in its code where at most two kernels are alike in all else. Where more
 * are, as the layers of a deep net, they share a task function too, which reads them from the kernel's row in a table:
 * a thousand layers that are alike have as much code as three.
 *
 * If a buffer is of the worker segment, the tasks are done by at most `workers` launches. Each launch has its own
 * part of the segment, which thus belongs to one thread at a time, and it takes the next task that nobody has, as
 * long as there is one. Where the parts lie depends on the function of the net, which tells its tasks (call.c).
 *
 * In a chain, kernels run depth-first over slices of the batch (passes/chain/). There a value of the worker segment
 * that has the batch holds only one slice. Bodies index it by example as if all examples were there. So they get a
 * pointer that is moved back until the first example of the slice lies where it does in memory. This pointer may lie
 * outside the workspace, but what is read and written through it does not. */
#include "backend/module.h"
#include "ir/graph/build.h"
#include "ir/graph/layout.h"
#include "runtime/lamina_abi.h"

/* ---- what tasks have in common ---- */

/* A body's pointer: into a segment, or to a field of the call, as which it has the segment SEG_NONE. */
typedef struct {
    ir_segment segment;
    abi_place field;
    int64_t step; /* bytes from one example to the next in a buffer that holds one slice; 0 for all others */
} operand;

struct task_kind {
    LLVMValueRef body;
    operand *operand;
    int operands, numbers;
    nest_tasks tasks;
    bool member, by_worker;
    /* The rows: for each task an offset for each operand (of inputs and outputs which one it is), then its numbers. */
    int64_t *number;
    int uses;
    LLVMValueRef function, rows; /* of tasks that share them; NULL before the first of them is emitted */
};

static int row_length(const task_kind *t)
{
    return t->operands + t->numbers;
}

static bool share(const task_kind *t)
{
    enum { MANY = 3 };
    return t->uses >= MANY;
}

static int64_t slice_step(const nest_kernel *k, const nest_buffer *b)
{
    if (b->symbol || b->local || !ir_chain(k->node, NULL))
        return 0;
    const ir_node *n = buffer_holder(b);
    if (n->place.segment != SEG_WORKER || ir_batch_dim(&n->type) < 0)
        return 0;
    return ir_layout_of(&n->type, n).batch_stride * ir_dtype_size(n->type.dtype);
}

static operand operand_of(const nest_kernel *k, int phase, const nest_buffer *b)
{
    if (is_call_value(b))
        return (operand){SEG_NONE, call_value_field(b), 0};
    ir_segment segment = buffer_place(b).segment;
    operand o = {segment, segment_field(segment), slice_step(k, b)};
    if (o.step && phase)
        ir_bug("'%s' reads a slice after its chain", k->name);
    return o;
}

/* Everything that decides a task function's code, its row apart. */
static char *kind_text(library *l, const task_kind *t)
{
    text key = {0};
    text_printf(&key, "%p %d %d %d %lld %lld %lld", (void *)t->body, t->member, t->by_worker, t->tasks.batch,
                (long long)t->tasks.n, (long long)t->tasks.chunk, (long long)t->tasks.inner);
    for (int i = 0; i < t->operands; i++)
        text_printf(&key, ", %d %d %lld", (int)t->operand[i].segment, (int)t->operand[i].field,
                    (long long)t->operand[i].step);
    char *copy = arena_strdup(l->mem, text_get(&key));
    text_free(&key);
    return copy;
}

/* The kind that t is one of: found, or a copy of t. */
static task_kind *find_kind(library *l, const task_kind *t)
{
    if (!l->kinds)
        l->kinds = ir_map_new(l->mem, IR_MAP_TEXTS);
    const char *key = kind_text(l, t);
    task_kind *found = ir_map_get(l->kinds, key);
    if (!found) {
        found = arena_make(l->mem, task_kind);
        *found = *t;
        found->operand = arena_new_array(l->mem, operand, (size_t)t->operands + 1);
        for (int i = 0; i < t->operands; i++)
            found->operand[i] = t->operand[i];
        ir_map_set(l->kinds, key, found);
    }
    return found;
}

static void add_to_row(library *l, task_kind *t, int *length, int64_t number)
{
    size_t at = (size_t)t->uses * (size_t)row_length(t) + (size_t)(*length)++;
    t->number = arena_grown(l->mem, t->number, at, sizeof *t->number);
    t->number[at] = number;
}

/* The row of one more task, whose operands are the buffers of these numbers. */
static int add_row(library *l, task_kind *t, const nest_kernel *k, const int *buffer)
{
    int length = 0;
    for (int i = 0; i < t->operands; i++) {
        const nest_buffer *b = &k->buffers[buffer[i]];
        add_to_row(l, t, &length, is_call_value(b) ? 0 : buffer_place(b).offset);
    }
    for (int i = 0; i < t->numbers; i++)
        add_to_row(l, t, &length, k->numbers[i]);
    return t->uses++;
}

bound_task bind_task(library *l, const nest_kernel *k, int phase, bool member)
{
    arena *tmp = arena_new();
    int *buffer = arena_new_array(tmp, int, (size_t)k->nbuffers + 1);
    task_kind own = {.body = find_body(l, k, phase), .tasks = k->phase[phase].tasks, .member = member};
    own.operands = nest_phase_buffers(k, phase, buffer);
    own.numbers = k->nnumbers;
    own.operand = arena_new_array(tmp, operand, (size_t)own.operands + 1);
    for (int i = 0; i < own.operands; i++) {
        own.operand[i] = operand_of(k, phase, &k->buffers[buffer[i]]);
        own.by_worker |= own.operand[i].segment == SEG_WORKER;
    }
    task_kind *kind = find_kind(l, &own);
    bound_task t = {.kind = kind, .by_worker = own.by_worker, .loc = k->node->loc};
    t.row = add_row(l, kind, k, buffer);
    t.name = symbol_name(l->mem, k->name, phase ? ".task.2" : ".task");
    arena_free(tmp);
    return t;
}

/* ---- a task function ---- */

typedef struct {
    library *l;
    const task_kind *kind;
    LLVMValueRef call, launch, row; /* the row of a task that shares its function, or NULL */
    const int64_t *number;          /* a row that is known */
} task_emitter;

/* A launch's part of the workers' memory. */
static LLVMValueRef worker_part(emitter *e, LLVMValueRef call, LLVMValueRef launch)
{
    LLVMValueRef first = LLVMBuildLoad2(e->builder, e->pointer, emit_copy_field(e, call, COPY_MEMORY), "");
    LLVMValueRef size = LLVMBuildLoad2(e->builder, e->i64, emit_copy_field(e, call, COPY_PART), "");
    return emit_offset(e, e->i8, first, LLVMBuildMul(e->builder, launch, size, ""));
}

/* The first example of a task. */
static LLVMValueRef first_example(emitter *e, const nest_tasks *t, LLVMValueRef task)
{
    LLVMValueRef slice = t->inner > 1 ? LLVMBuildSDiv(e->builder, task, emit_i64(e, t->inner), "") : task;
    return LLVMBuildMul(e->builder, slice, emit_i64(e, t->chunk / t->n), "");
}

static LLVMValueRef row_number(const task_emitter *t, int i)
{
    emitter *e = &t->l->e;
    if (!t->row)
        return emit_i64(e, t->number[i]);
    return LLVMBuildLoad2(e->builder, e->i64, emit_offset(e, e->i64, t->row, emit_i64(e, i)), "");
}

static LLVMValueRef operand_address(const task_emitter *t, int i, LLVMValueRef task)
{
    const operand *o = &t->kind->operand[i];
    emitter *e = &t->l->e;
    if (o->segment == SEG_NONE)
        return emit_field_address(e, t->call, o->field);
    LLVMValueRef offset = row_number(t, i);
    LLVMValueRef start =
        o->segment == SEG_WORKER ? worker_part(e, t->call, t->launch) : emit_field(e, t->call, e->pointer, o->field);
    if (o->segment == SEG_INPUT || o->segment == SEG_OUTPUT)
        return LLVMBuildLoad2(e->builder, e->pointer, emit_offset(e, e->pointer, start, offset), "");
    if (o->step) {
        LLVMValueRef example = first_example(e, &t->kind->tasks, task);
        offset = LLVMBuildSub(e->builder, offset, LLVMBuildMul(e->builder, example, emit_i64(e, o->step), ""), "");
    }
    return emit_offset(e, e->i8, start, offset);
}

static void call_body(const task_emitter *t, LLVMValueRef task)
{
    emitter *e = &t->l->e;
    size_t count = (size_t)row_length(t->kind) + 2;
    LLVMValueRef *arguments = arena_new_array(t->l->mem, LLVMValueRef, count), body = t->kind->body;
    arguments[0] = emit_field(e, t->call, e->i64, ABI(lamina_call, batch));
    arguments[1] = task;
    for (int i = 0; i < t->kind->operands; i++)
        arguments[i + 2] = operand_address(t, i, task);
    for (int i = t->kind->operands; i < row_length(t->kind); i++)
        arguments[i + 2] = row_number(t, i);
    LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(body), body, arguments, (unsigned)count, "");
}

static void call_body_in_turns(const task_emitter *t)
{
    emitter *e = &t->l->e;
    LLVMValueRef batch = emit_field(e, t->call, e->i64, ABI(lamina_call, batch));
    shared_turns each = emit_shared_turns_begin(e, t->call, emit_task_count(e, &t->kind->tasks, batch));
    call_body(t, each.task);
    emit_shared_turns_end(e, &each);
}

/* A member is told its launch, its task and its row; other tasks are told their task, which is a launch where launches
 * take tasks in turns, and find their row in the copy of the call. */
static LLVMValueRef emit_function_of(library *l, const bound_task *b)
{
    emitter *e = &l->e;
    const task_kind *k = b->kind;
    LLVMValueRef f = emit_function(e, b->name, k->member ? l->member_type : l->task_type, LLVMInternalLinkage);
    emit_function_begin(e, f, b->loc);
    task_emitter t = {.l = l, .kind = k, .number = k->number + b->row * row_length(k)};
    t.call = LLVMGetParam(f, 0);
    t.launch = LLVMGetParam(f, 1);
    if (share(k))
        t.row = k->member ? LLVMGetParam(f, 3)
                          : LLVMBuildLoad2(e->builder, e->pointer, emit_copy_field(e, t.call, COPY_ROW), "");
    if (k->member)
        call_body(&t, LLVMGetParam(f, 2));
    else if (k->by_worker)
        call_body_in_turns(&t);
    else
        call_body(&t, t.launch);
    LLVMBuildRetVoid(e->builder);
    return f;
}

static LLVMValueRef emit_rows(library *l, const bound_task *b)
{
    emitter *e = &l->e;
    const task_kind *k = b->kind;
    unsigned count = (unsigned)(k->uses * row_length(k));
    LLVMValueRef *number = arena_new_array(l->mem, LLVMValueRef, count + 1);
    for (unsigned i = 0; i < count; i++)
        number[i] = emit_i64(e, k->number[i]);
    return emit_constant_global(e, arena_printf(l->mem, "%s.rows", b->name), LLVMConstArray(e->i64, number, count));
}

LLVMValueRef emit_task(library *l, const bound_task *b, LLVMValueRef *row)
{
    task_kind *k = b->kind;
    *row = NULL;
    if (!share(k))
        return emit_function_of(l, b);
    if (!k->function) {
        k->function = emit_function_of(l, b);
        k->rows = emit_rows(l, b);
    }
    *row = emit_offset(&l->e, l->e.i64, k->rows, emit_i64(&l->e, (int64_t)b->row * row_length(k)));
    return k->function;
}
