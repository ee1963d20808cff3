/* backend/library/weights.c - import_weights and export_weights: a table of where each tensor lies, and one loop
 * over it.
 *
 * A tensor in panels (ir/graph/layout.h) is copied panel by panel, a row at a time; a plain tensor is copied as if
 * it were a panel of a single row. A tensor whose pointer is NULL in the caller's list is left alone. */
#include "backend/module.h"
#include "ir/graph/layout.h"
#include "runtime/lamina_abi.h"

/* A row of the table: i64 each. In the segment (in_state 0: params) a tensor lies from its offset on as panels * rows *
 * runs runs of so many bytes, one after the other; in the caller's memory, which is row-major, from panel to panel, row
 * to row, run to run so many bytes apart. */
enum { OFFSET, IN_STATE, RUN_BYTES, PANELS, ROWS, RUNS, PANEL_STEP, ROW_STEP, RUN_STEP, ROW_SIZE };

static void fill_row(const ir_symbol *y, bool in_state, int64_t row[ROW_SIZE])
{
    int64_t size = ir_dtype_size(y->type.dtype), width;
    int32_t dim;
    row[OFFSET] = y->place.offset;
    row[IN_STATE] = in_state;
    if (!ir_panels(y, &dim, &width)) {
        row[RUN_BYTES] = ir_static_count(&y->type) * size;
        row[PANELS] = row[ROWS] = row[RUNS] = 1;
        row[PANEL_STEP] = row[ROW_STEP] = row[RUN_STEP] = 0; /* the only one */
        return;
    }
    int64_t n = y->type.dim[dim].n, other = y->type.dim[1 - dim].n;
    row[RUN_BYTES] = dim ? width * size : size;
    row[PANELS] = n / width;
    row[ROWS] = other;
    row[RUNS] = dim ? 1 : width;
    row[PANEL_STEP] = dim ? width * size : width * other * size;
    row[ROW_STEP] = dim ? n * size : size;
    row[RUN_STEP] = other * size;
}

static LLVMValueRef copy_table(library *l)
{
    emitter *e = &l->e;
    const be_interface *f = l->interface;
    LLVMValueRef *rows = arena_new_array(l->mem, LLVMValueRef, (size_t)f->tensor_count * ROW_SIZE);
    for (int i = 0; i < f->tensor_count; i++) {
        int64_t row[ROW_SIZE];
        fill_row(f->tensors[i], i >= f->param_count, row);
        for (int k = 0; k < ROW_SIZE; k++)
            rows[i * ROW_SIZE + k] = emit_i64(e, row[k]);
    }
    return emit_constant_global(e, "lamina.copies",
                                LLVMConstArray(e->i64, rows, (unsigned)(f->tensor_count * ROW_SIZE)));
}

typedef struct {
    LLVMValueRef weights, rows;
    bool import;
} copier;

static LLVMValueRef row_field(emitter *e, LLVMValueRef row, int field)
{
    return LLVMBuildLoad2(e->builder, e->i64, emit_offset(e, e->i64, row, emit_i64(e, field)), "");
}

/* for (index = 0; index < count; index++), count at least 1, carrying one value round. */
typedef struct {
    LLVMBasicBlockRef before, body;
    LLVMValueRef index, carried, count, start;
} counted;

static counted counted_begin(emitter *e, LLVMValueRef count, LLVMValueRef start)
{
    LLVMBuilderRef b = e->builder;
    counted c = {.before = LLVMGetInsertBlock(b), .body = emit_block(e), .count = count, .start = start};
    LLVMBuildBr(b, c.body);
    LLVMPositionBuilderAtEnd(b, c.body);
    c.index = LLVMBuildPhi(b, e->i64, "");
    c.carried = LLVMBuildPhi(b, LLVMTypeOf(start), "");
    return c;
}

static void counted_end(emitter *e, const counted *c, LLVMValueRef carried)
{
    LLVMBuilderRef b = e->builder;
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(b), after = emit_block(e), before = c->before;
    LLVMValueRef next = LLVMBuildAdd(b, c->index, emit_i64(e, 1), ""), zero = emit_i64(e, 0), start = c->start;
    LLVMAddIncoming(c->index, &zero, &before, 1);
    LLVMAddIncoming(c->index, &next, &latch, 1);
    LLVMAddIncoming(c->carried, &start, &before, 1);
    LLVMAddIncoming(c->carried, &carried, &latch, 1);
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, next, c->count, ""), c->body, after);
    LLVMPositionBuilderAtEnd(b, after);
}

static LLVMValueRef step(emitter *e, LLVMValueRef from, const counted *c, LLVMValueRef row, int field)
{
    return emit_offset(e, e->i8, from, LLVMBuildMul(e->builder, c->index, row_field(e, row, field), ""));
}

/* The runs of a tensor, in the order in which they are resident. */
static void emit_runs(emitter *e, const copier *c, LLVMValueRef row, LLVMValueRef resident, LLVMValueRef plain)
{
    LLVMValueRef bytes = row_field(e, row, RUN_BYTES);
    counted panel = counted_begin(e, row_field(e, row, PANELS), resident);
    LLVMValueRef panel_at = step(e, plain, &panel, row, PANEL_STEP);
    counted line = counted_begin(e, row_field(e, row, ROWS), panel.carried);
    LLVMValueRef line_at = step(e, panel_at, &line, row, ROW_STEP);
    counted run = counted_begin(e, row_field(e, row, RUNS), line.carried);
    LLVMValueRef at = step(e, line_at, &run, row, RUN_STEP);
    LLVMBuildMemCpy(e->builder, c->import ? run.carried : at, 1, c->import ? at : run.carried, 1, bytes);
    LLVMValueRef next = emit_offset(e, e->i8, run.carried, bytes);
    counted_end(e, &run, next);
    counted_end(e, &line, next);
    counted_end(e, &panel, next);
}

/* Copy tensor i unless its pointer is NULL. */
static void emit_copy(emitter *e, const copier *c, LLVMValueRef i)
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef tensors = emit_field(e, c->weights, e->pointer, ABI(lamina_weights, tensors));
    LLVMValueRef plain = LLVMBuildLoad2(b, e->pointer, emit_offset(e, e->pointer, tensors, i), "");
    LLVMBasicBlockRef copy = emit_block(e), after = emit_block(e);
    LLVMBuildCondBr(b, LLVMBuildIsNull(b, plain, ""), after, copy);
    LLVMPositionBuilderAtEnd(b, copy);
    LLVMValueRef row = emit_offset(e, LLVMArrayType(e->i64, ROW_SIZE), c->rows, i);
    LLVMValueRef params = emit_field(e, c->weights, e->pointer, ABI(lamina_weights, params));
    LLVMValueRef state = emit_field(e, c->weights, e->pointer, ABI(lamina_weights, state));
    LLVMValueRef in_state = LLVMBuildICmp(b, LLVMIntNE, row_field(e, row, IN_STATE), emit_i64(e, 0), "");
    LLVMValueRef segment = LLVMBuildSelect(b, in_state, state, params, "");
    emit_runs(e, c, row, emit_offset(e, e->i8, segment, row_field(e, row, OFFSET)), plain);
    LLVMBuildBr(b, after);
    LLVMPositionBuilderAtEnd(b, after);
}

static void emit_copy_loop(emitter *e, const copier *c, int count)
{
    counted tensor = counted_begin(e, emit_i64(e, count), emit_i64(e, 0));
    emit_copy(e, c, tensor.index);
    counted_end(e, &tensor, tensor.carried);
}

/* Return 'status' here if the condition holds. */
static void refuse(emitter *e, LLVMValueRef condition, int status)
{
    LLVMBasicBlockRef leave = emit_block(e), go_on = emit_block(e);
    LLVMBuildCondBr(e->builder, condition, leave, go_on);
    LLVMPositionBuilderAtEnd(e->builder, leave);
    LLVMBuildRet(e->builder, emit_i32(e, status));
    LLVMPositionBuilderAtEnd(e->builder, go_on);
}

static LLVMValueRef emit_mover(library *l, const char *name, LLVMValueRef rows, bool import)
{
    emitter *e = &l->e;
    LLVMBuilderRef b = e->builder;
    const be_interface *f = l->interface;
    LLVMValueRef function = emit_exported(l, name, l->call_type);
    emit_function_begin(e, function, (src_loc){0});
    copier c = {LLVMGetParam(function, 0), rows, import};
    LLVMValueRef size = emit_field(e, c.weights, e->i64, ABI(lamina_weights, struct_size));
    refuse(e, LLVMBuildICmp(b, LLVMIntULT, size, emit_i64(e, (int64_t)emit_place(e, ABI_SIZE(lamina_weights))), ""),
           LAMINA_CALL_BAD_SIZE);
    const struct {
        bool used;
        abi_place field;
    } pointers[] = {{f->param_count > 0, ABI(lamina_weights, params)},
                    {f->tensor_count > f->param_count, ABI(lamina_weights, state)},
                    {f->tensor_count > 0, ABI(lamina_weights, tensors)}};
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++)
        if (pointers[i].used)
            refuse(e, LLVMBuildIsNull(b, emit_field(e, c.weights, e->pointer, pointers[i].field), ""),
                   LAMINA_CALL_BAD_POINTER);
    if (f->tensor_count)
        emit_copy_loop(e, &c, f->tensor_count);
    LLVMBuildRet(b, emit_i32(e, LAMINA_CALL_OK));
    return function;
}

void emit_weights(library *l, LLVMValueRef *import, LLVMValueRef *export)
{
    LLVMValueRef rows = copy_table(l);
    *import = emit_mover(l, "import_weights", rows, true);
    *export = emit_mover(l, "export_weights", rows, false);
}
