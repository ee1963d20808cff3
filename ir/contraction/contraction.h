/* ir/contraction/contraction.h - dot_general and convolution as one thing: affine contractions.
 *
 *     out[axes] = sum over sums of lhs[first + axes . stride + sums . stride] * rhs[likewise]
 *
 * An axis walks a dimension of the result; the sums walk the chain of multiply-adds, outermost first. Pass select
 * chooses tiles by this description and the backend generates code from it, so it lies in ir/.
 *
 * A convolution whose lhs is spread (lhs_dilation) has at each output position only some of the kernel's taps. Outputs
 * that have the same ones are a part, which is a contraction with even strides. All parts have the same axes. */
#ifndef IR_CONTRACTION_H
#define IR_CONTRACTION_H

#include "ir/graph/layout.h"

/* A value that is a region input seen through transpose, slice, reverse or broadcast_in_dim. */
typedef struct {
    const ir_node *input;
    ir_layout at; /* of the view's own dimensions */
} affine_view;

bool affine_view_of(const ir_node *n, affine_view *out); /* false: something is computed on the way */
/* Outside the region, the value whose memory a region input is. */
const ir_node *affine_memory(const ir_node *input);

typedef struct {
    int64_t n; /* steps; of the batch, per example */
    bool batch;
    int64_t lhs, rhs;         /* stride in each operand, 0 where it does not vary */
    int32_t dim;              /* the result's dimension that it walks */
    int64_t first, step;      /* index there = first + i * step, summed over the axes of that dimension */
    int64_t out;              /* stride in a result without halo */
    int32_t lhs_dim, rhs_dim; /* the operands' dimensions it walks, or -1 */
} contraction_axis;

/* A stretch of a sum with even strides. */
typedef struct {
    int64_t n;
    bool batch;
    int64_t lhs, rhs, lhs_first, rhs_first;
} contraction_run;

typedef struct {
    contraction_run *run;
    int32_t count;
} contraction_sum;

/* A spatial dimension of a convolution: output o and tap k meet at position o * stride + k * dilation - low of the lhs,
 * whose elements stand `spread` apart. */
typedef struct {
    int64_t in, out, kernel, stride, low, spread, dilation;
    int64_t lhs, rhs; /* element strides */
    int32_t axis;     /* the axis that walks it */
} contraction_spatial;

enum { CONTRACTION_AXES = 2 * IR_MAX_RANK, CONTRACTION_SUMS = IR_MAX_RANK + 2 };

typedef struct {
    const ir_node *node;
    affine_view lhs, rhs;
    contraction_axis axis[CONTRACTION_AXES];
    int32_t naxes;
    contraction_sum sum[CONTRACTION_SUMS];
    int32_t nsums;
    bool leaf; /* the outermost sum is the batch, cut into leaves */
    contraction_spatial spatial[IR_MAX_RANK];
    int32_t nspatial;
} contraction;

static inline int64_t contraction_steps(const contraction_axis *a, int64_t max_batch)
{
    return a->batch ? a->n * max_batch : a->n;
}

/* An axis's stride in the vector operand, in the scalar operand (see plan.h). */
static inline int64_t contraction_vector_stride(const contraction_axis *a, bool swap)
{
    return swap ? a->lhs : a->rhs;
}

static inline int64_t contraction_scalar_stride(const contraction_axis *a, bool swap)
{
    return swap ? a->rhs : a->lhs;
}

/* The dot_general or convolution that a kernel is built around, or NULL. */
ir_node *contraction_core(const ir_node *kernel);

int contraction_parts(const ir_node *n);
/* Can operand 'side' be read where it lies: is it an affine view, in panels only if n can follow them? */
bool contraction_reads(const ir_node *n, int side);
/* Describe a part. False if an operand cannot be read where it lies. Everything lives in mem. */
bool contraction_describe(const ir_node *n, int part, arena *mem, contraction *out);

/* How far a convolution reads beyond the lhs at each of its dimensions; 0 for dot_general. The caller has zeros there.
 */
void contraction_reach(const ir_node *n, int64_t low[IR_MAX_RANK], int64_t high[IR_MAX_RANK]);

#endif
