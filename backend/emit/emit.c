/* backend/emit/emit.c - a phase of a kernel as an LLVM function.
 *
 * One nest value becomes one LLVM value, in order. A loop becomes
 *
 *     before:  br (from < to), body, after        no test where the trip is a positive constant
 *     body:    index = phi [from, before], [index + step, body's end]; a phi for each carried value
 *              ...
 *              br (index + step < to), body, after
 *     after:   a phi for each final value (only where `before` may jump here)
 *
 * and a constant trip of one becomes its body alone. */
#include "backend/emit/emit.h"

/* ---- computing ---- */

static LLVMValueRef operation(emitter *e, nest_value *v)
{
    LLVMValueRef in[4];
    for (int i = 0; i < v->nin; i++)
        in[i] = emit_value(e, v->in[i]);
    int typed = v->op == IR_SELECT ? 1 : 0;
    emit_what w = {v->op, v->in[typed]->dtype, v->dtype, v->lanes, v->word};
    return emit_elementwise(e, &w, in);
}

/* Lanes from..from+count-1 of x. */
static LLVMValueRef part(emitter *e, LLVMValueRef x, int from, int count)
{
    if (count == 1)
        return LLVMBuildExtractElement(e->builder, x, emit_i32(e, from), "");
    int index[64];
    for (int i = 0; i < count; i++)
        index[i] = from + i;
    return emit_shuffle(e, x, LLVMGetPoison(LLVMTypeOf(x)), index, count);
}

static LLVMValueRef unzip(emitter *e, const nest_value *v)
{
    enum { MOST_LANES = 64 };
    int from[MOST_LANES], unit = (int)v->step, half = v->lanes / unit < 4 ? 1 : 2;
    for (int i = 0; i < v->lanes; i++) {
        int place = i / unit % (2 * half), group = i / (2 * half * unit);
        from[i] =
            group * 2 * half * unit + (2 * (place % half) + v->index) * unit + i % unit + (place < half ? 0 : v->lanes);
    }
    return emit_shuffle(e, emit_value(e, v->in[0]), emit_value(e, v->in[1]), from, v->lanes);
}

/* Upper half onto lower half, until one lane is left: the order of sums that every width shares. */
static LLVMValueRef fold(emitter *e, nest_value *v)
{
    LLVMValueRef x = emit_value(e, v->in[0]);
    int lanes = v->in[0]->lanes;
    if (lanes & (lanes - 1))
        ir_bug("fold of %d lanes, not a power of two", lanes);
    while (lanes > 1) {
        lanes /= 2;
        LLVMValueRef half[] = {part(e, x, 0, lanes), part(e, x, lanes, lanes)};
        emit_what w = {v->op, v->dtype, v->dtype, lanes, NULL};
        x = emit_elementwise(e, &w, half);
    }
    return x;
}

/* Whether an i64 scalar is surely a multiple of 'by'. */
static bool is_multiple(const nest_value *v, int64_t by)
{
    if (v->kind == NEST_CONST)
        return (int64_t)v->number % by == 0;
    if (v->kind == NEST_INDEX)
        return v->loop->step % by == 0 && is_multiple(v->loop->in[0], by);
    if (v->kind != NEST_OP)
        return false;
    if (v->op == IR_MULTIPLY)
        return is_multiple(v->in[0], by) || is_multiple(v->in[1], by);
    if (v->op == IR_ADD || v->op == IR_SUBTRACT)
        return is_multiple(v->in[0], by) && is_multiple(v->in[1], by);
    return false;
}

static LLVMValueRef random_words(emitter *e, nest_value *v)
{
    const emit_random r = {.seed = emit_value(e, v->in[0]),
                           .step = emit_value(e, v->in[1]),
                           .lane = emit_value(e, v->in[2]),
                           .element = emit_value(e, v->in[3]),
                           .by = v->step,
                           .aligned = is_multiple(v->in[3], 4),
                           .lanes = v->lanes,
                           .stream = emit_value(e, v->in[4])};
    return emit_rng(e, &r);
}

/* ---- loops ---- */

static void emit_body(emitter *e, const nest_block *b);

static bool constant_trip(const nest_value *loop, int64_t *trip)
{
    if (loop->in[0]->kind != NEST_CONST || loop->in[1]->kind != NEST_CONST)
        return false;
    int64_t from = (int64_t)loop->in[0]->number, to = (int64_t)loop->in[1]->number;
    *trip = to > from ? (to - from + loop->step - 1) / loop->step : 0;
    return true;
}

/* A loop that runs once, or never, is no loop. */
static void emit_straight(emitter *e, nest_value *loop, int64_t trip)
{
    nest_loop_index(loop)->emitted = emit_value(e, loop->in[0]);
    for (int i = 0; i < loop->ncarry; i++)
        loop->carry[i]->emitted = emit_value(e, loop->init[i]);
    if (trip)
        emit_body(e, &loop->body);
    for (int i = 0; i < loop->ncarry; i++)
        loop->final[i]->emitted = emit_value(e, trip ? loop->next[i] : loop->init[i]);
}

static LLVMValueRef start_phi(emitter *e, LLVMValueRef start, LLVMBasicBlockRef before)
{
    LLVMValueRef phi = LLVMBuildPhi(e->builder, LLVMTypeOf(start), "");
    LLVMAddIncoming(phi, &start, &before, 1);
    return phi;
}

/* The last values: the carried ones of the latch, or the first ones where the loop did not run. */
static void emit_finals(emitter *e, nest_value *loop, bool guarded, LLVMBasicBlockRef before, LLVMBasicBlockRef latch)
{
    for (int i = 0; i < loop->ncarry; i++) {
        LLVMValueRef next = emit_value(e, loop->next[i]);
        loop->final[i]->emitted = next;
        if (guarded) {
            LLVMValueRef phi = start_phi(e, emit_value(e, loop->init[i]), before);
            LLVMAddIncoming(phi, &next, &latch, 1);
            loop->final[i]->emitted = phi;
        }
    }
}

static void emit_loop(emitter *e, nest_value *loop)
{
    int64_t trip = -1;
    bool guarded = !constant_trip(loop, &trip);
    if (!guarded && trip <= 1) {
        emit_straight(e, loop, trip);
        return;
    }
    LLVMValueRef from = emit_value(e, loop->in[0]), to = emit_value(e, loop->in[1]);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->builder), body = emit_block(e), after = emit_block(e);
    if (guarded)
        LLVMBuildCondBr(e->builder, LLVMBuildICmp(e->builder, LLVMIntSLT, from, to, ""), body, after);
    else
        LLVMBuildBr(e->builder, body);
    LLVMPositionBuilderAtEnd(e->builder, body);
    LLVMValueRef index = start_phi(e, from, before);
    nest_loop_index(loop)->emitted = index;
    for (int i = 0; i < loop->ncarry; i++)
        loop->carry[i]->emitted = start_phi(e, emit_value(e, loop->init[i]), before);
    emit_body(e, &loop->body);
    emit_at(e, loop->loc);
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->builder);
    LLVMValueRef next_index = LLVMBuildNSWAdd(e->builder, index, emit_i64(e, loop->step), "");
    LLVMAddIncoming(index, &next_index, &latch, 1);
    for (int i = 0; i < loop->ncarry; i++) {
        LLVMValueRef next = emit_value(e, loop->next[i]);
        LLVMAddIncoming(loop->carry[i]->emitted, &next, &latch, 1);
    }
    LLVMBuildCondBr(e->builder, LLVMBuildICmp(e->builder, LLVMIntSLT, next_index, to, ""), body, after);
    LLVMMoveBasicBlockAfter(after, latch);
    LLVMPositionBuilderAtEnd(e->builder, after);
    emit_finals(e, loop, guarded, before, latch);
}

/* ---- matrix products ---- */

/* function(101, 111 or 112, 111 or 112, m, n, k, 1, a, lda, b, ldb, 0, c, ldc), as lamina_sgemm. */
static void emit_product(emitter *e, nest_value *v)
{
    enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112, ARGUMENTS = 14 };
    const nest_product *p = v->product;
    LLVMTypeRef i = e->i32, f = emit_element(e, IR_F32);
    LLVMTypeRef types[ARGUMENTS] = {i, i, i, i, i, i, f, e->pointer, i, e->pointer, i, f, e->pointer, i};
    LLVMValueRef matrix[3], size[3];
    for (int k = 0; k < 3; k++) {
        matrix[k] = emit_offset(e, f, e->buffers[p->buffer[k]], emit_value(e, v->in[3 + k]));
        size[k] = LLVMBuildTrunc(e->builder, emit_value(e, v->in[k]), i, "");
    }
    LLVMValueRef function = LLVMBuildLoad2(e->builder, e->pointer, e->buffers[p->function], "");
    LLVMValueRef arguments[ARGUMENTS] = {emit_i32(e, ROW_MAJOR),
                                         emit_i32(e, p->transposed[0] ? TRANSPOSED : PLAIN),
                                         emit_i32(e, p->transposed[1] ? TRANSPOSED : PLAIN),
                                         size[0],
                                         size[1],
                                         size[2],
                                         emit_number(e, IR_F32, 1, 1),
                                         matrix[0],
                                         emit_i32(e, p->ld[0]),
                                         matrix[1],
                                         emit_i32(e, p->ld[1]),
                                         emit_number(e, IR_F32, 1, 0),
                                         matrix[2],
                                         emit_i32(e, p->ld[2])};
    LLVMTypeRef type = LLVMFunctionType(e->void_type, types, ARGUMENTS, 0);
    LLVMBuildCall2(e->builder, type, function, arguments, ARGUMENTS, "");
}

/* ---- values ---- */

/* A value in its turn. */
static LLVMValueRef compute(emitter *e, nest_value *v)
{
    switch (v->kind) {
    case NEST_SPLAT:
        return emit_splat(e, emit_value(e, v->in[0]), v->lanes);
    case NEST_LANE:
        return LLVMBuildExtractElement(e->builder, emit_value(e, v->in[0]), emit_i32(e, v->index), "");
    case NEST_UNZIP:
        return unzip(e, v);
    case NEST_FOLD:
        return fold(e, v);
    case NEST_LOAD:
        return emit_load(e, v);
    case NEST_OP:
        return operation(e, v);
    case NEST_FMA:
        return emit_fma(e, emit_value(e, v->in[0]), emit_value(e, v->in[1]), emit_value(e, v->in[2]));
    case NEST_RNG:
        return random_words(e, v);
    default:
        ir_bug("a nest value of kind %d is used before its turn", (int)v->kind);
    }
}

static void emit_body(emitter *e, const nest_block *b)
{
    for (nest_value *v = b->first; v; v = v->following) {
        if (nest_stands_alone(v))
            continue;
        emit_at(e, v->loc);
        if (v->kind == NEST_LOOP)
            emit_loop(e, v);
        else if (v->kind == NEST_STORE)
            emit_store(e, v);
        else if (v->kind == NEST_PRODUCT)
            emit_product(e, v);
        else
            v->emitted = compute(e, v);
    }
}

/* A tile on the stack, at the start of a vector register's line. */
static LLVMValueRef emit_local(emitter *e, const nest_buffer *b)
{
    LLVMTypeRef type = LLVMArrayType(emit_memory(e, b->dtype), (unsigned)b->local);
    LLVMValueRef tile = LLVMBuildAlloca(e->builder, type, "");
    LLVMSetAlignment(tile, 64);
    return tile;
}

LLVMValueRef emit_phase(emitter *e, const nest_kernel *k, int phase, const char *name, const bool *alone)
{
    arena *scratch = arena_new();
    int *number = arena_new_array(scratch, int, (size_t)k->nbuffers + 1);
    int used = nest_phase_buffers(k, phase, number);
    unsigned after_buffers = (unsigned)used + 2, count = after_buffers + (unsigned)k->nnumbers;
    LLVMTypeRef *types = arena_new_array(scratch, LLVMTypeRef, count);
    for (unsigned i = 0; i < count; i++)
        types[i] = i >= 2 && i < after_buffers ? e->pointer : e->i64;
    LLVMTypeRef type = LLVMFunctionType(e->void_type, types, count, 0);
    LLVMValueRef function = emit_function(e, name, type, LLVMInternalLinkage);
    unsigned noalias = LLVMGetEnumAttributeKindForName("noalias", 7);
    e->kernel = k;
    e->batch = LLVMGetParam(function, 0);
    e->task = LLVMGetParam(function, 1);
    e->buffers = arena_new_array(scratch, LLVMValueRef, (size_t)k->nbuffers + 1);
    for (int i = 0; i < used; i++) {
        e->buffers[number[i]] = LLVMGetParam(function, (unsigned)i + 2);
        if (alone[number[i]]) /* attributes count parameters from 1 */
            LLVMAddAttributeAtIndex(function, (unsigned)i + 3, LLVMCreateEnumAttribute(e->context, noalias, 0));
    }
    e->numbers = arena_new_array(scratch, LLVMValueRef, (size_t)k->nnumbers + 1);
    for (int i = 0; i < k->nnumbers; i++)
        e->numbers[i] = LLVMGetParam(function, after_buffers + (unsigned)i);
    emit_function_begin(e, function, k->node ? k->node->loc : (src_loc){0});
    for (int i = 0; i < k->nbuffers; i++)
        if (k->buffers[i].local)
            e->buffers[i] = emit_local(e, &k->buffers[i]);
    emit_body(e, &k->phase[phase].body);
    LLVMBuildRetVoid(e->builder);
    arena_free(scratch);
    return function;
}
