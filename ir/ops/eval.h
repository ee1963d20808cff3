/* ir/ops/eval.h - the reference evaluator.
 *
 * Plain loops, in two number types. EVAL_F32 follows the IR's rules for bits (the order of every sum) and gives exactly
 * what generated code gives. EVAL_F64 computes every f32 value in double; gradient checks stand on it.
 *
 * Tensors lie in memory order without gaps: B outermost, the rest row-major. An f32 element is stored as float under
 * EVAL_F32 and as double under EVAL_F64; every other dtype as itself. */
#ifndef IR_EVAL_H
#define IR_EVAL_H

#include "ir/ir.h"

typedef enum { EVAL_F32, EVAL_F64 } eval_mode;

typedef struct {
    ir_type type;
    int64_t batch;
    void *data;
} eval_tensor;

typedef struct evaluator evaluator;

/* An environment with zeroed memory for every symbol of m, batch size 'batch' (at least 1). It borrows m. */
evaluator *evaluator_new(const ir_module *m, eval_mode mode, int64_t batch);
void evaluator_free(evaluator *e);

/* Change the batch; inputs set before are forgotten, symbols stay. */
void evaluator_set_batch(evaluator *e, int64_t batch);
/* learning_rate, loss_scale or micro_batch; 0 at the start. */
void evaluator_set_call_value(evaluator *e, const char *field, double value);
/* The tensor of a symbol, to read or write; NULL if there is none of that name. */
eval_tensor *evaluator_symbol(evaluator *e, const char *name);
/* The tensor of a function input, zeroed when first asked for, to be filled before evaluator_run. */
eval_tensor *evaluator_input(evaluator *e, const ir_graph *f, int index);
/* Run a function: assigns take effect at once, in order, as in memory. False (with a message) only if the module asks
 * for something the evaluator does not have. */
bool evaluator_run(evaluator *e, const ir_graph *f, diag *d);
/* A result of the last evaluator_run; valid until the next one. */
const eval_tensor *evaluator_result(const evaluator *e, int index);

/* The value of a node of the function that was run last, or of its inputs; valid until the next run. */
const eval_tensor *evaluator_value(const evaluator *e, const ir_node *n);

/* Any element as a double and back, rounded to the tensor's storage; 'index' counts in memory order. */
double evaluator_get(const evaluator *e, const eval_tensor *t, int64_t index);
void evaluator_put(const evaluator *e, eval_tensor *t, int64_t index, double value);
int64_t evaluator_bytes(const evaluator *e, const eval_tensor *t);

/* ---- for the operators' rules ---- */

typedef struct {
    eval_mode mode;
    int64_t batch;
    arena *mem; /* scratch of this run */
    evaluator *env;
} eval_context;

/* Compute n's result into out (allocated, zeroed) from its operands. */
typedef void eval_rule(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out);
extern eval_rule *const eval_rules[IR_NOPS];
#define OP(ID, name, ...) eval_rule eval_##name;
#include "ir/ops.def"

#endif
