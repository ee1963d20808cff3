/* ir/ops/rules.h - what the operators' rules share; only for the files of ir/ops and for ir/graph/verify.c.
 *
 * An infer rule says what is wrong through rule_error, which puts the operator's name in front, and returns false. It
 * must stand any attribute the text form can hold, since the verifier runs it on files. An eval rule may rely on the
 * infer rule having passed. */
#ifndef IR_RULES_H
#define IR_RULES_H

#include "ir/graph/build.h"
#include "ir/ops/eval.h"

/* ---- for infer rules ---- */

/* "reduce: ..." at n's place. Always false. */
bool rule_error(const ir_node *n, diag *d, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A type or a dimension as text for a message; lives in the module's arena. */
const char *rule_type_text(const ir_node *n, const ir_type *t);
const char *rule_dim_text(const ir_node *n, ir_dim dim);

enum { /* sets of dtypes */
       DTYPE_F32 = 1 << IR_F32,
       DTYPE_F64 = 1 << IR_F64,
       DTYPE_WHOLE = 1 << IR_I32 | 1 << IR_I64 | 1 << IR_UI32 | 1 << IR_UI8,
       DTYPE_I1 = 1 << IR_I1,
       DTYPE_ANY = DTYPE_F32 | DTYPE_F64 | DTYPE_WHOLE | DTYPE_I1
};
/* Whether operand 'index' has one of the dtypes in 'set'. */
bool rule_dtype(const ir_node *n, int index, int set, diag *d);
/* Whether all operands have operand 0's type. */
bool rule_alike(const ir_node *n, diag *d);
/* Whether a stated type is a scalar of that dtype. */
bool rule_scalar(const ir_node *n, const ir_type *stated, ir_dtype t, diag *d);

/* The attribute as exactly 'count' whole numbers of magnitude below 2^31. */
bool rule_ints(const ir_node *n, const char *name, int count, int64_t *out, diag *d);
/* The attribute as different dimensions of a tensor of 'rank' dimensions. */
bool rule_dims(const ir_node *n, const char *name, int rank, int64_t out[IR_MAX_RANK], int *count, diag *d);
/* The attribute as one of the words in 'words', which stand there with a space between. */
bool rule_word(const ir_node *n, const char *name, const char *words, diag *d);
/* Whether `leaf = [8]` is there if and only if it is wanted. */
bool rule_leaf(const ir_node *n, bool wanted, diag *d);

/* ---- for eval rules: elements ---- */

/* Elements on their way through an elementwise rule: floats as double, whole numbers and i1 widened with their sign. */
enum { ELEMENTS = 256 };
typedef union {
    double real[ELEMENTS];
    int64_t whole[ELEMENTS];
} elements;

int64_t element_size(eval_mode mode, ir_dtype t); /* bytes in memory: f32 takes 8 under EVAL_F64 */
void elements_load(eval_mode mode, const eval_tensor *t, int64_t first, int count, elements *out);
/* Rounds to the tensor's dtype: floats to nearest, whole numbers modulo their width. */
void elements_store(eval_mode mode, eval_tensor *t, int64_t first, int count, const elements *v);
/* A float as a dtype: saturating for whole numbers, v != 0 for i1. */
int64_t whole_from_real(double v, ir_dtype t);
/* IEEE 754-2019 maximum: a NaN wins, -0 < +0. minimum(a, b) is -maximum(-a, -b). */
double real_maximum(double a, double b);

/* ---- for eval rules: where elements lie ---- */

/* One loop over a tensor: 'extent' steps of 'stride' elements. A dimension n*B is two loops, B outside. */
typedef struct {
    int64_t extent, stride;
} axis;

enum { MAX_AXES = IR_MAX_RANK + 1 };

/* Append the loops of dimension 'dim' of t to list[count ...]; returns the new count. */
int axes_add(const ir_type *t, int dim, int64_t batch, axis *list, int count);
/* The offset of every step of nested loops, the last one innermost; *total gets how many. */
int64_t *axes_offsets(arena *mem, const axis *list, int count, int64_t *total);

/* Copy elements between two tensors along nested loops with a stride in each, in elements. */
typedef struct {
    int64_t extent, to, from;
} copy_axis;

typedef struct {
    int count;
    copy_axis axis[MAX_AXES];
    int64_t to, from; /* offsets of the first elements */
} copy_plan;

/* A plan that visits every element of 'to': axis 0 is the batch (extent 1 without one), axis 1 + i dimension i without
 * it. The from strides are 0, for the caller to fill in. */
copy_plan copy_all(const ir_type *to, int64_t batch);
void copy_run(const copy_plan *p, void *to, const void *from, int64_t size);

/* ---- regions ---- */

/* Run n's region; its first result goes to out, all of them stay with the evaluator for `result` nodes. */
void eval_region(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out);
/* Result 'index' of region operator n, which ran before. */
const eval_tensor *eval_region_result(const eval_context *c, const ir_node *n, int64_t index);
eval_tensor *eval_symbol(const eval_context *c, const ir_symbol *s);
double eval_call_field(const eval_context *c, const char *field);

#endif
