/* backend/lower/lower.h - what the lowerings of the kinds of kernels share: values of a region's nodes at a point.
 *
 * A point is an index for each dimension of a node; at most one dimension is spread over lanes, consecutive from its
 * index on. lower_value walks from a node to the region's inputs, mapping the point through broadcasts, transposes,
 * slices and so on, and writes loads and elementwise operators on the way. Values are remembered for the current block
 * and point, so that what two results share is computed once. */
#ifndef BACKEND_LOWER_H
#define BACKEND_LOWER_H

#include "backend/nest/nest.h"
#include "ir/graph/layout.h"

typedef struct {
    nest_value *index[IR_MAX_RANK]; /* i64 scalars; along the batch, the example's number (for n*B: example * n + i) */
    int32_t lane_dim;               /* the dimension spread over lanes, or -1 */
    int32_t lanes;                  /* 1 where lane_dim is -1 */
    int64_t lane_step;              /* by how much the index grows from lane to lane */
    int32_t active_count;           /* live lanes, as in nest_load */
    nest_value *active;
    /* The last 'merged' dimensions are walked as one (0: each by itself): the index of the first of them counts their
     * elements in memory order. Only where lower_merges says so. */
    int32_t merged;
} lower_point;

typedef struct lowering lowering;
typedef struct lower_memo lower_memo;
typedef struct lower_answers lower_answers;

/* Begin without anything known. */
void lower_know_nothing(lowering *l);

/* The value of region node n at a point of n's own shape, point->lanes lanes (a value that does not vary over the lanes
 * is splat). */
nest_value *lower_value(lowering *l, const ir_node *n, const lower_point *p);
/* What is known of n at this point: its bound value, or the one that was remembered; else NULL. */
nest_value *lower_known(const lowering *l, const ir_node *n, const lower_point *p);
void lower_remember(lowering *l, const ir_node *n, const lower_point *p, nest_value *v);
/* From now on, until lower_unbind, n has this value at whatever point it is asked for: an accumulator, a row's sum. */
void lower_bind(lowering *l, const ir_node *n, nest_value *v);
void lower_unbind(lowering *l, const ir_node *n);
/* Forget remembered values (at the start of a loop body, or after leaving one). Bindings stay. */
void lower_forget(lowering *l);

/* Element offset of a point in a buffer of this type (laid out as ir_layout_of says), as an i64 scalar; *lane_stride
 * gets the step between lanes. */
nest_value *lower_offset(lowering *l, const ir_type *t, const ir_node *memory, const lower_point *p,
                         int64_t *lane_stride);

/* The number of a point's element in row-major order within its example; the step by which it grows from lane to lane
 * (0: not at all); and a vector that counts so from 'first' on. */
nest_value *lower_element_number(lowering *l, const ir_type *t, const lower_point *p);
int64_t lower_element_step(const ir_type *t, const lower_point *p);
nest_value *lower_counting(lowering *l, nest_value *first, int64_t step, int lanes);

/* Store every result and assign of the region whose value has the shape of 'domain' at this point. All are computed
 * before the first is stored, so an assign in place spoils nothing. */
void lower_store_results(lowering *l, const ir_type *domain, const lower_point *p);

/* A point of scalars: no lanes, nothing merged, all indices 0 so far. */
lower_point lower_scalar_point(lowering *l, int rank);

/* ---- walking a shape ---- */

/* How the points of a shape are visited: dimensions one by one in memory order, the last `merged` as one; one of them
 * (or the merged ones) by vectors. Dimension number `inner` - 1 (0: none) is walked inside the vectors. */
typedef struct {
    int32_t merged, lane_dim, lanes, inner;
} lower_walk;

typedef struct {
    const ir_node **node;
    int32_t count;
} lower_roots;

typedef void lower_body(lowering *l, const lower_point *p, void *context);

/* The values of shape 'domain' that the kernel must have: results and what assigns store, then 'more', if not NULL. */
lower_roots lower_roots_of(lowering *l, const ir_type *domain, const ir_node *more);
lower_answers *lower_no_answers(const lowering *l); /* to the questions about walks, so far */
/* May the last 'merged' dimensions of n be walked as one: does everything below n follow, down to memory? */
bool lower_merges(const lowering *l, const ir_node *n, int merged);
/* The same of memory that is read or written: t's, laid out as ir_layout_of says. */
bool lower_memory_merges(const lowering *l, const ir_type *t, const ir_node *memory, int merged);
/* Can n be computed with dimension 'dim' spread over lanes? */
bool lower_takes_lanes(const lowering *l, const ir_node *n, int dim);
/* The best walk of 'domain' for these values of that shape. */
lower_walk lower_walk_of(lowering *l, const ir_type *domain, const lower_roots *roots, int lanes);
/* What the outermost loop of a walk counts: examples where the shape has the batch; else elements where all dimensions
 * are merged; else steps of the first dimension. Its number, without the batch. */
int64_t lower_walk_units(const ir_type *domain, const lower_walk *w);
/* Visit the points with units from .. to - 1. */
void lower_each(lowering *l, const ir_type *domain, const lower_walk *w, nest_value *from, nest_value *to,
                lower_body *body, void *context);

/* ---- loops, phases, tasks ---- */

/* A loop without carried values whose body starts with nothing remembered; lower_loop_end forgets again. */
typedef struct {
    nest_value *loop;
    nest_block *outer;
} lower_loop;
lower_loop lower_loop_begin(lowering *l, nest_value *from, nest_value *to, int64_t step);
void lower_loop_end(lowering *l, lower_loop loop);

/* Open phase 'index' of the kernel with these tasks. Scalars that do not come from the kernel's core are computed at
 * its start and bound. */
void lower_phase(lowering *l, int index, nest_tasks tasks);
/* The task's share of what the open phase's tasks were cut from: from .. to - 1 of 'extent'; *piece, if wanted, gets
 * its number below tasks.inner. */
void lower_share(lowering *l, nest_tasks tasks, nest_value **from, nest_value **to, nest_value **piece);
/* Examples that a task takes of a kernel that sums by leaves: a leaf, or the slice of the kernel's chain. */
int64_t lower_slice(const lowering *l);
/* n or n*B as an i64. */
nest_value *lower_extent(lowering *l, int64_t n, bool batch);

/* Zero the halos of the results; of those with the batch, only for examples from .. to - 1. */
void lower_zero_halos(lowering *l, nest_value *from, nest_value *to);

/* All of a kernel that is one phase: visit the points of a walk, zero the halos. A task is as many units as come to
 * plan[0] elements, where the whole work is 'elements' (of an example, if the domain has the batch). */
void lower_one_phase(lowering *l, const ir_type *domain, const lower_walk *w, int64_t elements, lower_body *body,
                     void *context);

/* ---- what is asked about a region ---- */

/* Reductions, windows and contractions: what a kernel is built around. */
bool lower_is_core(const ir_node *n);
/* By node id: is it 'on' (NULL: any core), or computed from it? */
const bool *lower_dependents(const lowering *l, const ir_node *on);
bool lower_is_padded(const ir_node *pad, int dim); /* does a pad widen this dimension? */
bool lower_is_uniform(const ir_node *constant);    /* is it one number everywhere? */
static inline bool lower_is_single(ir_dim d)       /* one index, 0, whatever the batch */
{
    return d.n == 1 && !d.batch;
}
/* Number 'index' of the plan attribute. */
int64_t lower_plan(const lowering *l, int index, int64_t fallback);
/* The region's input for the fused node's scratch number 'index', or NULL. */
const ir_node *lower_scratch(const lowering *l, int index);
/* Every result and assign has one of the shapes (b may be NULL); else an error. */
bool lower_check_shapes(const lowering *l, const ir_type *a, const ir_type *b, diag *d);
/* "... is not supported yet" at n's place; false, which is to be seen from here: checks end in it. */
static inline bool lower_unsupported(const ir_node *n, diag *d, const char *what)
{
    diag_error(d, n->loc, "%s: %s is not supported yet", ir_ops[n->op].name, what);
    return false;
}

/* Elementwise operators on values: one or two operands (b NULL), select (the condition may be a scalar), and of i1
 * (NULL stands for true). */
nest_value *lower_op(lowering *l, ir_op op, ir_dtype t, nest_value *a, nest_value *b, const char *word);
nest_value *lower_choose(lowering *l, nest_value *condition, nest_value *yes, nest_value *no);
nest_value *lower_both(lowering *l, nest_value *a, nest_value *b);
/* An index that may lie outside 0 .. n - 1, brought inside; *inside gains the condition that it was there (NULL:
 * surely). */
nest_value *lower_clamp(lowering *l, nest_value *index, int64_t n, nest_value **inside);

/* Sum, maximum or minimum of two, as a reduce of this kind combines them; and what it starts from. */
nest_value *lower_combine(lowering *l, const ir_node *reduce, nest_value *a, nest_value *b);
nest_value *lower_neutral(lowering *l, const ir_node *reduce, int lanes);
/* Does x win over the best so far of an argmax: larger, or the first NaN? */
nest_value *lower_is_better(lowering *l, nest_value *x, nest_value *best);
/* A reduce at a point of its own shape, the reduced dimensions walked one element at a time. */
nest_value *lower_reduce_at(lowering *l, const ir_node *reduce, const lower_point *p);
/* The partial sums that lie in scratch [leaves, elements of 'sum'], combined as neighbours, at a point of 'sum'. */
nest_value *lower_leaf_tree(lowering *l, const ir_node *sum, const ir_node *scratch, const lower_point *p);

/* Buffer numbers of a region input (the outer operand's memory), of fused result 'index' (-1 where nothing uses it), of
 * an assign node. */
int lower_input_buffer(lowering *l, const ir_node *input);
int lower_result_buffer(lowering *l, int index);
int lower_assign_buffer(lowering *l, const ir_node *assign);
/* The nodes that say how a region input, a result (NULL where nothing uses it) lie in memory (ir_layout_of). */
const ir_node *lower_memory_of_input(const lowering *l, const ir_node *input);
const ir_node *lower_memory_of_result(const lowering *l, int index);

/* One lowering a kind; each fills k->phase[]. False after an error in d. */
bool lower_elementwise(lowering *l, diag *d);
bool lower_row(lowering *l, diag *d);
bool lower_reduce(lowering *l, diag *d);
bool lower_batch_reduce(lowering *l, diag *d);
bool lower_window(lowering *l, diag *d); /* of kernels around winograd: lower_winograd */
bool lower_winograd(lowering *l, diag *d);
bool lower_contraction(lowering *l, diag *d);
bool lower_gemm(lowering *l, diag *d);

struct lowering {
    nest_kernel *kernel;
    const ir_node *fused;
    const ir_graph *region;
    int32_t count;          /* of the region's nodes, inputs among them: their ids are below it */
    lower_memo *memo;       /* backend/lower/known.c */
    lower_answers *answers; /* backend/lower/walkable.c */
};

#endif
