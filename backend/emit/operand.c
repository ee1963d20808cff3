/* backend/emit/operand.c - the LLVM value of an operand: what was made of that nest value, or a constant. */
#include "backend/emit/emit.h"

/* A value in use. Those without a place in a block are made where they are needed. */
LLVMValueRef emit_value(emitter *e, nest_value *v)
{
    switch (v->kind) {
    case NEST_CONST:
        return emit_number(e, v->dtype, v->lanes, v->number);
    case NEST_BATCH:
        return e->batch;
    case NEST_TASK:
        return e->task;
    case NEST_LANES:
        return emit_counting(e->i64, v->lanes);
    case NEST_NUMBER:
        return e->numbers[v->index];
    default:
        if (!v->emitted)
            ir_bug("kernel %s: a nest value of kind %d is used before its turn", e->kernel->name, (int)v->kind);
        return v->emitted;
    }
}
