/* backend/weights.c - import_weights and export_weights: a table of where each tensor lies, and one loop over it.
 *
 * Resident layouts are plain, so a tensor is one memcpy; a NULL among the caller's pointers leaves its tensor alone. */
#include "backend/module.h"
#include "runtime/lamina_abi.h"
#include <stddef.h>

enum { ROW_OFFSET, ROW_BYTES, ROW_IN_STATE, ROW_SIZE }; /* a row of the table: i64 each; in_state 0: params */

static LLVMValueRef copy_table(library *l)
{
    emitter *e = &l->e;
    const be_interface *f = l->interface;
    LLVMValueRef *rows = arena_new_array(l->mem, LLVMValueRef, (size_t)f->tensor_count * ROW_SIZE);
    for (int i = 0; i < f->tensor_count; i++) {
        const ir_symbol *s = f->tensors[i];
        LLVMValueRef *row = rows + (size_t)i * ROW_SIZE;
        row[ROW_OFFSET] = emit_i64(e, s->place.offset);
        row[ROW_BYTES] = emit_i64(e, ir_static_count(&s->type) * ir_dtype_size(s->type.dtype));
        row[ROW_IN_STATE] = emit_i64(e, i >= f->param_count);
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

/* Copy tensor i unless its pointer is NULL. */
static void emit_copy(emitter *e, const copier *c, LLVMValueRef i)
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef tensors = emit_field(e, c->weights, e->pointer, offsetof(lamina_weights, tensors));
    LLVMValueRef plain = LLVMBuildLoad2(b, e->pointer, emit_offset(e, e->pointer, tensors, i), "");
    LLVMBasicBlockRef copy = emit_block(e), after = emit_block(e);
    LLVMBuildCondBr(b, LLVMBuildIsNull(b, plain, ""), after, copy);
    LLVMPositionBuilderAtEnd(b, copy);
    LLVMValueRef row = emit_offset(e, LLVMArrayType(e->i64, ROW_SIZE), c->rows, i);
    LLVMValueRef params = emit_field(e, c->weights, e->pointer, offsetof(lamina_weights, params));
    LLVMValueRef state = emit_field(e, c->weights, e->pointer, offsetof(lamina_weights, state));
    LLVMValueRef in_state = LLVMBuildICmp(b, LLVMIntNE, row_field(e, row, ROW_IN_STATE), emit_i64(e, 0), "");
    LLVMValueRef segment = LLVMBuildSelect(b, in_state, state, params, "");
    LLVMValueRef resident = emit_offset(e, e->i8, segment, row_field(e, row, ROW_OFFSET));
    LLVMBuildMemCpy(b, c->import ? resident : plain, 1, c->import ? plain : resident, 1, row_field(e, row, ROW_BYTES));
    LLVMBuildBr(b, after);
    LLVMPositionBuilderAtEnd(b, after);
}

static void emit_copy_loop(emitter *e, const copier *c, int count)
{
    LLVMBuilderRef b = e->builder;
    LLVMBasicBlockRef before = LLVMGetInsertBlock(b), body = emit_block(e);
    LLVMBuildBr(b, body);
    LLVMPositionBuilderAtEnd(b, body);
    LLVMValueRef i = LLVMBuildPhi(b, e->i64, ""), zero = emit_i64(e, 0);
    emit_copy(e, c, i);
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(b), after = emit_block(e);
    LLVMValueRef next = LLVMBuildAdd(b, i, emit_i64(e, 1), "");
    LLVMAddIncoming(i, &zero, &before, 1);
    LLVMAddIncoming(i, &next, &latch, 1);
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, next, emit_i64(e, count), ""), body, after);
    LLVMPositionBuilderAtEnd(b, after);
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
    LLVMValueRef size = emit_field(e, c.weights, e->i64, offsetof(lamina_weights, struct_size));
    refuse(e, LLVMBuildICmp(b, LLVMIntULT, size, emit_i64(e, sizeof(lamina_weights)), ""), LAMINA_CALL_BAD_SIZE);
    const struct {
        bool used;
        size_t offset;
    } pointers[] = {{f->param_count > 0, offsetof(lamina_weights, params)},
                    {f->tensor_count > f->param_count, offsetof(lamina_weights, state)},
                    {f->tensor_count > 0, offsetof(lamina_weights, tensors)}};
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++)
        if (pointers[i].used)
            refuse(e, LLVMBuildIsNull(b, emit_field(e, c.weights, e->pointer, pointers[i].offset), ""),
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
