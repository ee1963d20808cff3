/* ir/contraction/contraction.h - dot_general and convolution as one thing: affine contractions.
 *
 *     out[axes] = sum over sums of lhs[first + axes . stride + sums . stride] * rhs[likewise]
 *
 * An axis walks dimensions of the result, a sum walks the chain of multiply-adds, outermost first. pass select chooses
 * tiles by it, the backend generates code from it, so it lies in ir/.
 *
 * A convolution whose lhs is spread (lhs_dilation) has at each output position only some of the kernel's taps. Outputs
 * fall into parts: those that see the same taps, all of them elements, are a contraction with even strides; those that
 * see beyond the edge are one part, the border, whose taps are found while it runs. All parts have the same axes. */
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
 * whose elements stand `spread` apart. Outputs from interior to interior_end - 1 see nothing beyond the edge. */
typedef struct {
    int64_t in, out, kernel, stride, low, spread, dilation, interior, interior_end;
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
    /* The border of a spread convolution: its spatial axes have no stride in the lhs, and the innermost sum, over
     * channels, is taken for each tap that is a term. An element that is padding lies at lhs offset 'zero'. */
    bool border;
    contraction_spatial spatial[IR_MAX_RANK];
    int32_t nspatial;
    int64_t zero;
} contraction;

static inline int64_t contraction_steps(const contraction_axis *a, int64_t max_batch)
{
    return a->batch ? a->n * max_batch : a->n;
}

/* An axis's stride in the vector operand, in the scalar operand (see contraction_plan). */
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

/* ---- choosing a register tile ---- */

/* Printed as the kernel's plan, in this order. The "vector operand" is loaded by vectors, the "scalar operand" element
 * by element (by vectors too, if it varies along the columns); axes are numbers of contraction.axis. A tile is `rows`
 * steps of axis `row` by all of axis `inner` (-1: none) by `vectors` registers of axis `column` (-1: none, scalars).
 * Tasks take `chunk` steps of axis `cut`, and the panels of columns are dealt to `pieces` tasks. With `pack`, a task
 * copies each panel of the vector operand to scratch before its rows pass over it; with pack = CONTRACTION_STREAM it
 * is a convolution of few features (ir/contraction/stream.c). With `block` (0: none), all tiles of a panel take so many
 * steps of their chains before any of them takes more, and their sums wait in scratch. With `strip` (0: none), a task
 * packs the block of all its panels, and copies so many rows of the scalar operand at a time, tile by tile, before the
 * panels pass over them. */
typedef struct {
    int64_t swap; /* the vector operand is the lhs */
    int64_t column, row, inner, rows, vectors, unroll, cut, chunk, pieces, pack, block, strip;
} contraction_plan;

enum { CONTRACTION_STREAM = 2 };

/* Numbers in a plan; the largest tile: rows (inner ones counted), vectors; how wide panels are if nothing speaks
 * against it, in vectors. */
enum { CONTRACTION_PLAN = 13, CONTRACTION_ROWS = 64, CONTRACTION_VECTORS = 8, CONTRACTION_PANEL = 2 };

/* A kernel's plan, as its attribute says. False: it has no list of that many numbers. */
bool contraction_plan_read(const ir_node *kernel, contraction_plan *out);
void contraction_plan_write(ir_node *kernel, const contraction_plan *p);
void contraction_plan_numbers(const contraction_plan *p, int64_t out[CONTRACTION_PLAN]);

/* The analytic choice. 'repack': assume that the vector operand can be laid out anew; *packs says whether the choice
 * wants that. */
contraction_plan contraction_choose(const contraction *c, const ir_target *t, int64_t max_batch, bool repack,
                                    bool *packs);

/* How many pieces of panels there are if none gets more than its part. */
int64_t contraction_even_pieces(int64_t panels, int64_t wanted);
int64_t contraction_panels(const contraction *c, int64_t vector, const contraction_plan *p);

/* Let p pack, if its vector operand is large, or one small panel, and can be packed. False: p stays as it is. */
bool contraction_pack(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p);

/* Let p take the chain by blocks, if a panel's tiles pass over more of both operands than a cache holds. Of a
 * contraction in leaves they are blocks of an example, whose sums wait where the leaf's do. After contraction_pack. */
void contraction_block(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p);

/* Blocks are stretches of `steps` of sum number `level`, one step each of the sums before it. */
typedef struct {
    int level;
    int64_t steps;
} contraction_blocks;
contraction_blocks contraction_blocks_of(const contraction *c, const contraction_plan *p);

/* Can code be made by these blocks? */
bool contraction_block_fits(const contraction *c, int64_t max_batch, const contraction_plan *p);

/* Let p copy both operands, if both have a long chain along their rows: of large weight gradients. It does all of
 * contraction_pack and contraction_block by itself, and chooses the tasks anew. */
bool contraction_gather(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p);

/* Elements of scratch that p wants: of a packed panel; all in all, with the gathered rows from `rows` on and the sums
 * that wait between blocks from `sums` on. */
typedef struct {
    int64_t panel, rows, sums, all;
} contraction_room;
contraction_room contraction_room_of(const contraction *c, int64_t vector, int64_t max_batch,
                                     const contraction_plan *p);
/* How far apart the sums of two neighbours on an axis lie there. */
int64_t contraction_partial_stride(const contraction *c, int64_t vector, int64_t max_batch, const contraction_plan *p,
                                   int axis);

/* The elements of a panel if p packs; 0: it cannot. */
int64_t contraction_panel(const contraction *c, int64_t vector, int64_t max_batch, const contraction_plan *p);

/* The tiles, of how many rows each, that take what tiles of `rows` rows leave of the batch, in this order, each as
 * often as it fits. 'total': rows of the largest batch, of which the first one takes all that is left. Their number. */
enum { CONTRACTION_LEFT = 3 };
int contraction_left(int64_t total, int64_t rows, int64_t out[CONTRACTION_LEFT]);

/* Does more than the columns vary the vector operand? Then a panel is packed once all but the rows is placed. */
bool contraction_packs_late(const contraction *c, const contraction_plan *p);

/* The axis whose steps in a tile of so many rows lie side by side in the result, where columns do not and there are
 * enough rows to turn the tile before its epilogue; else -1. */
int contraction_turned(const contraction *c, const contraction_plan *p, int64_t rows);

/* Plans to measure beside p: other tiles, the best by the analytic model first, and p's tile unrolled less and more.
 * The operands lie as p wants them, and no bit depends on the choice. Returns how many. */
enum { CONTRACTION_CANDIDATES = 10 };
int contraction_candidates(const contraction *c, const ir_target *t, int64_t max_batch, const contraction_plan *p,
                           int64_t scratch, contraction_plan out[CONTRACTION_CANDIDATES]);

/* Tasks that the work is worth. */
int64_t contraction_wanted_tasks(const contraction *c, int64_t max_batch);

/* ---- convolutions of few features ---- */

/* What scratch holds: a row of the image, pixel p of channel c at lead + c * pitch + p, with zeros before and after
 * each channel's pixels; from `sums` on, for each kernel row but the first and each feature, a row of `columns` sums
 * that are under way. */
typedef struct {
    int64_t channels, weight; /* the weights' stride from channel to channel */
    int32_t features;         /* axis */
    int64_t lead, pitch, columns, sums, elements;
} contraction_stream;

/* False: c is no such convolution. */
bool contraction_stream_of(const contraction *c, int64_t vector, contraction_stream *out);
/* If it pays, make p a plan for it. The elements of its scratch; 0: p stays as it is. It needs no zeros around the lhs.
 */
int64_t contraction_choose_stream(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p);
bool contraction_stream_fits(const contraction *c, int64_t vector, const contraction_plan *p, int64_t scratch);

/* Can code be made by this plan, which may come from a text? 'scratch': elements of the kernel's scratch. */
bool contraction_plan_fits(const contraction *c, int64_t vector, int64_t max_batch, const contraction_plan *p,
                           int64_t scratch);

#endif
