/* backend/nest/nest.h - the loop-nest form, between graph and LLVM.
 *
 * A kernel is one or two phases; a phase is a body that runs once a task, tasks in any order on any threads, all of
 * phase 0 before phase 1. A body is a block of values in order; a value is a scalar or a vector of `lanes` elements of
 * one dtype. Loops carry values round. backend/lower writes this form, backend/emit turns it into LLVM,
 * backend/nest/print.c into text for people. */
#ifndef BACKEND_NEST_H
#define BACKEND_NEST_H

#include "ir/ir.h"

typedef enum {
    NEST_CONST,   /* 'number' in every lane, of 'dtype' */
    NEST_BATCH,   /* i64: examples in this call */
    NEST_TASK,    /* i64: this task's number */
    NEST_INDEX,   /* i64: the loop's variable; loop is 'loop' */
    NEST_CARRY,   /* what the loop carries at the start of an iteration, number 'index' of 'loop' */
    NEST_FINAL,   /* what the loop carried in the end, number 'index' of 'loop' */
    NEST_LOOP,    /* no value: for (i = in[0]; i < in[1]; i += step) body */
    NEST_LANES,   /* 0, 1, ..., lanes - 1 as i64 */
    NEST_NUMBER,  /* i64: the kernel's number 'index', of which its code knows no more than that */
    NEST_SPLAT,   /* in[0], a scalar, in every lane */
    NEST_LANE,    /* element 'index' of in[0], as a scalar */
    NEST_UNZIP,   /* in each group of units of 'step' lanes: the even (index 0) or odd (1) of in[0], then of in[1] */
    NEST_FOLD,    /* the lanes of in[0] into a scalar by op: upper half onto lower half until one is left */
    NEST_LOAD,    /* from buffer: lane l reads element in[0] + disp + l * stride */
    NEST_STORE,   /* no value: lane l of in[1] goes to element in[0] + disp + l * stride */
    NEST_OP,      /* elementwise operator 'op' on in[], lane by lane; compare's direction in 'word' */
    NEST_PRODUCT, /* no value: a matrix product by the host's function: in[] are m, n, k, then offsets into a, b, c */
    NEST_FMA,     /* in[0] * in[1] + in[2], one rounding (two on a target without) */
    NEST_RNG      /* ui32 words of the elements in[3], in[3] + step, ...; the others: seed, step, lane, stream (i64) */
} nest_kind;

typedef struct nest_value nest_value;

/* C = A B, row-major; 'transposed' operands lie the other way round. Buffers by number: a, b, c, and the i64 that is
 * the function's address. */
typedef struct {
    int32_t buffer[3], function;
    int64_t ld[3]; /* elements from row to row as it lies */
    bool transposed[2];
} nest_product;

typedef struct {
    nest_value *first, *last;
} nest_block;

struct nest_value {
    nest_kind kind;
    ir_dtype dtype;
    int32_t lanes; /* 1: a scalar */
    int32_t nin;
    nest_value *in[6];
    ir_op op;
    const char *word;
    double number;
    int32_t index;
    nest_value *loop;
    /* loads and stores. Lanes from 'active' on are neither read nor written (they read as 0); active NULL and
     * active_count == lanes mean all of them. */
    int32_t buffer;
    int64_t disp, stride; /* elements; stride 1 is contiguous */
    int32_t active_count; /* constant number of live lanes */
    nest_value *active;   /* i64 scalar number of live lanes, may be >= lanes; NULL: active_count counts */
    /* loops, and unzips */
    int64_t step;
    nest_block body;
    int32_t ncarry;
    nest_value **init, **carry, **next, **final;
    src_loc loc;
    bool live; /* nest_sweep's own */
    const nest_product *product;
    int32_t id;            /* for printing and emission */
    nest_value *following; /* next in its block */
    void *emitted;         /* the LLVM value, emit.c's own */
};

/* Memory the kernel works on. Where it lies is the node's or symbol's place (a call_value: the call's field); a local
 * buffer is a tile of the body's own, on its stack. */
typedef struct {
    const char *name;
    ir_dtype dtype;
    const ir_node *node;     /* operand, scratch or result of the kernel; or NULL */
    const ir_symbol *symbol; /* assigned symbol; or NULL */
    bool written;
    int64_t local; /* elements; 0 where it is memory of the call */
} nest_buffer;

/* tasks = ceil((batch ? n * B : n) / chunk) * inner */
typedef struct {
    int64_t n, chunk, inner;
    bool batch;
} nest_tasks;

typedef struct {
    nest_block body;
    nest_tasks tasks;
} nest_phase;

typedef struct nest_kernel {
    arena *mem;
    const char *name; /* the fused node's label */
    const ir_node *node;
    const ir_target *target;
    nest_buffer *buffers;
    int32_t nbuffers;
    /* What kernels that are alike in all else differ in, such as the streams of their random numbers: the function of a
     * phase has a parameter for each, so that they can share it. */
    int64_t *numbers;
    int32_t nnumbers;
    nest_phase phase[2];
    int32_t nphases;
    /* building: where new values go */
    nest_block *block;
    src_loc at;
} nest_kernel;

/* ---- building: each appends to k->block ---- */
nest_value *nest_const(nest_kernel *k, ir_dtype t, int lanes, double number);
nest_value *nest_i64(nest_kernel *k, int64_t number);
nest_value *nest_batch(nest_kernel *k);
nest_value *nest_task(nest_kernel *k);
nest_value *nest_lanes(nest_kernel *k, int lanes);
nest_value *nest_number(nest_kernel *k, int64_t number); /* one of the kernel's numbers, new if it has none like it */
nest_value *nest_splat(nest_kernel *k, nest_value *scalar, int lanes); /* scalar itself if lanes is 1 */
nest_value *nest_lane(nest_kernel *k, nest_value *v, int index);
/* A group has four units of lanes, or two, if there are no more. */
nest_value *nest_unzip(nest_kernel *k, nest_value *a, nest_value *b, int64_t unit, int odd);
/* v[i], as many vectors as lanes, become the columns of the matrix whose rows they are. */
void nest_transpose(nest_kernel *k, nest_value **v);
nest_value *nest_fold(nest_kernel *k, ir_op op, nest_value *v);
nest_value *nest_load(nest_kernel *k, int buffer, nest_value *offset, int64_t disp, int64_t stride, int lanes,
                      int active_count, nest_value *active);
void nest_store(nest_kernel *k, int buffer, nest_value *offset, int64_t disp, int64_t stride, nest_value *v,
                int active_count, nest_value *active);
/* Elementwise operator; result dtype t (that of in[0] for most). All operands have equal lanes. i64 scalar arithmetic
 * on constants is folded here, and x*1, x+0, x*0. */
nest_value *nest_op(nest_kernel *k, ir_op op, ir_dtype t, nest_value *const *in, int nin, const char *word);
nest_value *nest_fma(nest_kernel *k, nest_value *a, nest_value *b, nest_value *c);
/* 'in': m, n, k and the offsets into a, b, c, all i64 scalars; *p is copied. */
void nest_multiply(nest_kernel *k, const nest_product *p, nest_value *const in[6]);
/* 'in': seed, step, lane and the first element's number, all i64 scalars; 'by': from there to the next lane's. */
nest_value *nest_rng(nest_kernel *k, nest_value *const in[4], int64_t by, int lanes, uint32_t stream);

/* i64 scalars */
nest_value *nest_add(nest_kernel *k, nest_value *a, nest_value *b);
nest_value *nest_sub(nest_kernel *k, nest_value *a, nest_value *b);
nest_value *nest_mul(nest_kernel *k, nest_value *a, int64_t by);
nest_value *nest_div(nest_kernel *k, nest_value *a, int64_t by); /* a >= 0, towards zero */
nest_value *nest_rem(nest_kernel *k, nest_value *a, int64_t by);
nest_value *nest_min(nest_kernel *k, nest_value *a, nest_value *b);
nest_value *nest_max(nest_kernel *k, nest_value *a, nest_value *b);

/* Open a loop: until nest_loop_end new values go into its body. Carried values start as init[]; loop->carry[i] is their
 * value in the body. nest_loop_end takes their next values; then loop->final[i] are their last ones. A loop whose trip
 * is not positive does not run. */
nest_value *nest_loop_begin(nest_kernel *k, nest_value *from, nest_value *to, int64_t step, nest_value *const *init,
                            int ncarry, nest_block **outer);
void nest_loop_end(nest_kernel *k, nest_value *loop, nest_value *const *next, nest_block *outer);
nest_value *nest_loop_index(nest_value *loop); /* its NEST_INDEX */

/* Does it have no place of its own in its block, since it is the same wherever it is used: a constant, or a parameter
 * of the phase's function? */
bool nest_stands_alone(const nest_value *v);

int nest_add_buffer(nest_kernel *k, nest_buffer b); /* its number; the same node or symbol gives the same number */
int nest_add_local(nest_kernel *k, const char *name, ir_dtype t, int64_t elements); /* always a new one */
/* The buffers that a phase touches and that are memory of the call: their numbers in order of first use, k->nbuffers at
 * most. They are the parameters of the phase's function. */
int nest_phase_buffers(const nest_kernel *k, int phase, int *number);

/* Drop what no store and no loop needs. */
void nest_sweep(nest_kernel *k);

void nest_print(const nest_kernel *k, text *out);
/* One phase as a string without names, for a machine: phases have equal code exactly where they have equal strings. */
void nest_key(const nest_kernel *k, int phase, text *out);

/* ---- lowering: a fused node (passes/select/select.c has planned it) to its kernel ---- */
nest_kernel *nest_lower(const ir_node *fused, const ir_target *target, arena *mem, diag *d);

#endif
