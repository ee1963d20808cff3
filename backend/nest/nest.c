/* backend/nest/nest.c - building the loop-nest form.
 *
 * Every function appends one value to the block that is open (k->block). Arithmetic on i64 scalars, which is all that
 * index computation is, folds as it is built: constants meet, x + 0, x * 1 and x * 0 disappear, constants drift to the
 * right ((x + 2) + 3 becomes x + 5) and from there into the displacement of loads and stores, so that the addresses of
 * a register tile differ in displacements only. */
#include "backend/nest/nest.h"
#include <string.h>

static nest_value *new_value(nest_kernel *k, nest_kind kind, ir_dtype t, int lanes)
{
    nest_value *v = arena_make(k->mem, nest_value);
    v->kind = kind;
    v->dtype = t;
    v->lanes = lanes;
    v->loc = k->at;
    return v;
}

static nest_value *append(nest_kernel *k, nest_value *v)
{
    if (k->block->last)
        k->block->last->following = v;
    else
        k->block->first = v;
    k->block->last = v;
    return v;
}

static nest_value *append_new(nest_kernel *k, nest_kind kind, ir_dtype t, int lanes)
{
    return append(k, new_value(k, kind, t, lanes));
}

static void set_operands(nest_value *v, nest_value *const *in, int nin)
{
    v->nin = nin;
    for (int i = 0; i < nin; i++)
        v->in[i] = in[i];
}

/* ---- leaves ---- */

nest_value *nest_const(nest_kernel *k, ir_dtype t, int lanes, double number)
{
    nest_value *v = append_new(k, NEST_CONST, t, lanes);
    v->number = number;
    return v;
}

nest_value *nest_i64(nest_kernel *k, int64_t number)
{
    return nest_const(k, IR_I64, 1, (double)number);
}

nest_value *nest_batch(nest_kernel *k)
{
    return append_new(k, NEST_BATCH, IR_I64, 1);
}

nest_value *nest_task(nest_kernel *k)
{
    return append_new(k, NEST_TASK, IR_I64, 1);
}

nest_value *nest_lanes(nest_kernel *k, int lanes)
{
    return append_new(k, NEST_LANES, IR_I64, lanes);
}

nest_value *nest_number(nest_kernel *k, int64_t number)
{
    int32_t index = 0;
    while (index < k->nnumbers && k->numbers[index] != number)
        index++;
    if (index == k->nnumbers) {
        k->numbers = arena_grown(k->mem, k->numbers, (size_t)k->nnumbers, sizeof *k->numbers);
        k->numbers[k->nnumbers++] = number;
    }
    nest_value *v = append_new(k, NEST_NUMBER, IR_I64, 1);
    v->index = index;
    return v;
}

bool nest_stands_alone(const nest_value *v)
{
    return v->kind == NEST_CONST || v->kind == NEST_BATCH || v->kind == NEST_TASK || v->kind == NEST_LANES ||
           v->kind == NEST_NUMBER;
}

/* ---- scalars and vectors ---- */

nest_value *nest_splat(nest_kernel *k, nest_value *scalar, int lanes)
{
    if (lanes == 1)
        return scalar;
    if (scalar->kind == NEST_CONST)
        return nest_const(k, scalar->dtype, lanes, scalar->number);
    nest_value *v = append_new(k, NEST_SPLAT, scalar->dtype, lanes);
    set_operands(v, &scalar, 1);
    return v;
}

nest_value *nest_lane(nest_kernel *k, nest_value *vector, int index)
{
    if (vector->lanes == 1)
        return vector;
    nest_value *v = append_new(k, NEST_LANE, vector->dtype, 1);
    set_operands(v, &vector, 1);
    v->index = index;
    return v;
}

nest_value *nest_unzip(nest_kernel *k, nest_value *a, nest_value *b, int64_t unit, int odd)
{
    nest_value *v = append_new(k, NEST_UNZIP, a->dtype, a->lanes);
    set_operands(v, (nest_value *const[]){a, b}, 2);
    v->step = unit;
    v->index = odd;
    return v;
}

/* Rows i, i + unit, ... of v, 'group' of them, exchange the bits of their number in the group with those of the unit's
 * number in the lanes: an unzip moves the lowest bit of the lane's to the top of the row's, and the row's lowest bit to
 * the top of the lane's. */
static void exchange_units(nest_kernel *k, nest_value **v, int64_t unit, int64_t group)
{
    nest_value *next[4] = {NULL};
    for (int64_t round = 1; round < group; round *= 2) {
        for (int64_t i = 0; i < group / 2; i++) {
            next[i] = nest_unzip(k, v[2 * i * unit], v[(2 * i + 1) * unit], unit, 0);
            next[i + group / 2] = nest_unzip(k, v[2 * i * unit], v[(2 * i + 1) * unit], unit, 1);
        }
        for (int64_t i = 0; i < group; i++)
            v[i * unit] = next[i];
    }
}

/* Two bits of the place at a time: lanes within 4, which processors do faster than across, then fours of lanes. */
void nest_transpose(nest_kernel *k, nest_value **v)
{
    int64_t lanes = v[0]->lanes;
    for (int64_t unit = 1; unit < lanes; unit *= 4) {
        int64_t group = lanes / unit < 4 ? lanes / unit : 4;
        for (int64_t i = 0; i < lanes; i++)
            if (i % (group * unit) < unit)
                exchange_units(k, v + i, unit, group);
    }
}

nest_value *nest_fold(nest_kernel *k, ir_op op, nest_value *vector)
{
    if (vector->lanes == 1)
        return vector;
    nest_value *v = append_new(k, NEST_FOLD, vector->dtype, 1);
    set_operands(v, &vector, 1);
    v->op = op;
    return v;
}

/* ---- memory ---- */

void nest_multiply(nest_kernel *k, const nest_product *p, nest_value *const in[6])
{
    nest_product *copy = arena_make(k->mem, nest_product);
    nest_value *v = append_new(k, NEST_PRODUCT, IR_NONE, 1);
    *copy = *p;
    v->product = copy;
    set_operands(v, in, 6);
    k->buffers[p->buffer[2]].written = true;
}

/* The constant part of an offset moves into the displacement. */
static nest_value *split_offset(nest_kernel *k, nest_value *offset, int64_t *disp)
{
    if (offset->kind == NEST_CONST) {
        *disp += (int64_t)offset->number;
        return offset->number == 0 ? offset : nest_i64(k, 0);
    }
    if (offset->kind == NEST_OP && offset->op == IR_ADD && offset->in[1]->kind == NEST_CONST) {
        *disp += (int64_t)offset->in[1]->number;
        return offset->in[0];
    }
    return offset;
}

static void set_memory(nest_value *v, int buffer, int64_t disp, int64_t stride, int active_count, nest_value *active)
{
    v->buffer = buffer;
    v->disp = disp;
    v->stride = stride;
    v->active_count = active_count;
    v->active = active;
}

nest_value *nest_load(nest_kernel *k, int buffer, nest_value *offset, int64_t disp, int64_t stride, int lanes,
                      int active_count, nest_value *active)
{
    nest_value *in[] = {split_offset(k, offset, &disp)};
    nest_value *v = append_new(k, NEST_LOAD, k->buffers[buffer].dtype, lanes);
    set_operands(v, in, 1);
    set_memory(v, buffer, disp, stride, active_count, active);
    return v;
}

void nest_store(nest_kernel *k, int buffer, nest_value *offset, int64_t disp, int64_t stride, nest_value *value,
                int active_count, nest_value *active)
{
    nest_value *in[] = {split_offset(k, offset, &disp), value};
    nest_value *v = append_new(k, NEST_STORE, IR_NONE, value->lanes);
    set_operands(v, in, 2);
    set_memory(v, buffer, disp, stride, active_count, active);
    k->buffers[buffer].written = true;
}

/* ---- arithmetic ---- */

static bool is_number(const nest_value *v, double number)
{
    return v->kind == NEST_CONST && v->number == number;
}

static bool fold_constants(ir_op op, int64_t a, int64_t b, int64_t *out)
{
    switch (op) {
    case IR_ADD:
        *out = a + b;
        return true;
    case IR_SUBTRACT:
        *out = a - b;
        return true;
    case IR_MULTIPLY:
        *out = a * b;
        return true;
    case IR_DIVIDE:
        *out = b ? a / b : -1;
        return true;
    case IR_MINIMUM:
        *out = a < b ? a : b;
        return true;
    case IR_MAXIMUM:
        *out = a > b ? a : b;
        return true;
    default:
        return false;
    }
}

/* What a op b is without a new operation, or NULL. A constant operand stands right wherever that is the same. */
static nest_value *fold_identity(nest_kernel *k, ir_op op, nest_value *a, nest_value *b)
{
    if (op == IR_ADD || op == IR_SUBTRACT) {
        if (is_number(b, 0))
            return a;
        if (op == IR_SUBTRACT && a == b)
            return nest_i64(k, 0);
    }
    if (op == IR_MULTIPLY && is_number(b, 0))
        return b;
    if ((op == IR_MULTIPLY || op == IR_DIVIDE) && is_number(b, 1))
        return a;
    if ((op == IR_MINIMUM || op == IR_MAXIMUM) && a == b)
        return a;
    return NULL;
}

/* (x + c) + y: the constant goes outwards, where loads and stores take it up. */
static bool has_constant_part(const nest_value *v)
{
    return v->kind == NEST_OP && v->op == IR_ADD && v->in[1]->kind == NEST_CONST;
}

static nest_value *fold_i64(nest_kernel *k, ir_op op, nest_value *a, nest_value *b)
{
    int64_t number;
    if (a->kind == NEST_CONST && b->kind == NEST_CONST &&
        fold_constants(op, (int64_t)a->number, (int64_t)b->number, &number))
        return nest_i64(k, number);
    nest_value *same = fold_identity(k, op, a, b);
    if (same)
        return same;
    if (op == IR_SUBTRACT && b->kind == NEST_CONST)
        return nest_add(k, a, nest_i64(k, -(int64_t)b->number));
    if (op != IR_ADD)
        return NULL;
    if (has_constant_part(a) && b->kind == NEST_CONST)
        return nest_add(k, a->in[0], nest_i64(k, (int64_t)a->in[1]->number + (int64_t)b->number));
    if (has_constant_part(a))
        return nest_add(k, nest_add(k, a->in[0], b), a->in[1]);
    if (has_constant_part(b))
        return nest_add(k, nest_add(k, a, b->in[0]), b->in[1]);
    return NULL;
}

nest_value *nest_op(nest_kernel *k, ir_op op, ir_dtype t, nest_value *const *in, int nin, const char *word)
{
    nest_value *operand[3];
    memcpy(operand, in, sizeof *in * (size_t)nin);
    bool scalar_i64 = nin == 2 && t == IR_I64 && in[0]->dtype == IR_I64 && in[0]->lanes == 1;
    if (scalar_i64) {
        if ((ir_ops[op].traits & OP_COMMUTES) && in[0]->kind == NEST_CONST) {
            operand[0] = in[1];
            operand[1] = in[0];
        }
        nest_value *folded = fold_i64(k, op, operand[0], operand[1]);
        if (folded)
            return folded;
    }
    nest_value *v = append_new(k, NEST_OP, t, in[0]->lanes);
    set_operands(v, operand, nin);
    v->op = op;
    v->word = word;
    return v;
}

nest_value *nest_fma(nest_kernel *k, nest_value *a, nest_value *b, nest_value *c)
{
    nest_value *in[] = {a, b, c};
    nest_value *v = append_new(k, NEST_FMA, a->dtype, a->lanes);
    set_operands(v, in, 3);
    return v;
}

nest_value *nest_rng(nest_kernel *k, nest_value *const in[4], int64_t by, int lanes, uint32_t stream)
{
    nest_value *all[] = {in[0], in[1], in[2], in[3], nest_number(k, stream)};
    nest_value *v = append_new(k, NEST_RNG, IR_UI32, lanes);
    set_operands(v, all, 5);
    v->step = by;
    return v;
}

static nest_value *binary(nest_kernel *k, ir_op op, nest_value *a, nest_value *b)
{
    nest_value *in[] = {a, b};
    return nest_op(k, op, IR_I64, in, 2, NULL);
}

nest_value *nest_add(nest_kernel *k, nest_value *a, nest_value *b)
{
    return binary(k, IR_ADD, a, b);
}

nest_value *nest_sub(nest_kernel *k, nest_value *a, nest_value *b)
{
    return binary(k, IR_SUBTRACT, a, b);
}

nest_value *nest_mul(nest_kernel *k, nest_value *a, int64_t by)
{
    /* (x + c) * by gives x * by + c * by: displacements survive a change of stride. */
    if (has_constant_part(a))
        return nest_add(k, nest_mul(k, a->in[0], by), nest_i64(k, (int64_t)a->in[1]->number * by));
    return binary(k, IR_MULTIPLY, a, nest_i64(k, by));
}

nest_value *nest_div(nest_kernel *k, nest_value *a, int64_t by)
{
    return binary(k, IR_DIVIDE, a, nest_i64(k, by));
}

nest_value *nest_rem(nest_kernel *k, nest_value *a, int64_t by)
{
    return nest_sub(k, a, nest_mul(k, nest_div(k, a, by), by));
}

nest_value *nest_min(nest_kernel *k, nest_value *a, nest_value *b)
{
    return binary(k, IR_MINIMUM, a, b);
}

nest_value *nest_max(nest_kernel *k, nest_value *a, nest_value *b)
{
    return binary(k, IR_MAXIMUM, a, b);
}

/* ---- loops ---- */

/* A value that belongs to a loop rather than to a place in a block. */
static nest_value *loop_value(nest_kernel *k, nest_value *loop, nest_kind kind, const nest_value *like, int index)
{
    nest_value *v = new_value(k, kind, like->dtype, like->lanes);
    v->loop = loop;
    v->index = index;
    return v;
}

nest_value *nest_loop_begin(nest_kernel *k, nest_value *from, nest_value *to, int64_t step, nest_value *const *init,
                            int ncarry, nest_block **outer)
{
    nest_value *loop = append_new(k, NEST_LOOP, IR_NONE, 1);
    nest_value *in[] = {from, to, loop_value(k, loop, NEST_INDEX, from, 0)};
    set_operands(loop, in, 3);
    loop->step = step;
    loop->ncarry = ncarry;
    loop->init = arena_new_array(k->mem, nest_value *, (size_t)ncarry);
    loop->carry = arena_new_array(k->mem, nest_value *, (size_t)ncarry);
    loop->next = arena_new_array(k->mem, nest_value *, (size_t)ncarry);
    loop->final = arena_new_array(k->mem, nest_value *, (size_t)ncarry);
    for (int i = 0; i < ncarry; i++) {
        loop->init[i] = init[i];
        loop->carry[i] = loop_value(k, loop, NEST_CARRY, init[i], i);
        loop->final[i] = loop_value(k, loop, NEST_FINAL, init[i], i);
    }
    *outer = k->block;
    k->block = &loop->body;
    return loop;
}

void nest_loop_end(nest_kernel *k, nest_value *loop, nest_value *const *next, nest_block *outer)
{
    for (int i = 0; i < loop->ncarry; i++)
        loop->next[i] = next[i];
    k->block = outer;
}

nest_value *nest_loop_index(nest_value *loop)
{
    return loop->in[2];
}
