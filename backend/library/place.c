/* backend/library/place.c - where things lie in a call: segments, fields, and the places of a kernel's buffers. */
#include "backend/module.h"
#include "ir/graph/build.h"
#include "runtime/lamina_abi.h"

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

/* The field that a call_value names. */
static abi_place value_field(const ir_node *n)
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

const ir_node *buffer_holder(const nest_buffer *b)
{
    const ir_node *n = b->node;
    while (n->place.segment == SEG_NONE && (n->op == IR_RESHAPE || n->op == IR_STOP_GRADIENT))
        n = n->in[0];
    return n;
}

bool is_call_value(const nest_buffer *b)
{
    return b->node && buffer_holder(b)->op == IR_CALL_VALUE;
}

abi_place call_value_field(const nest_buffer *b)
{
    return value_field(buffer_holder(b));
}

ir_place buffer_place(const nest_buffer *b)
{
    if (b->symbol)
        return b->symbol->place;
    const ir_node *n = buffer_holder(b);
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
