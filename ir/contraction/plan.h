/* ir/contraction/plan.h - a contraction's plan: the numbers by which its code is made, as the kernel's attribute `plan`
 * lists them.
 *
 * Pass select chooses them (passes/select/), autotune tries others, pass chain cuts the tasks of short slices anew, and
 * code generation follows them. No bit of a result depends on a plan. README.md in this folder explains the terms. */
#ifndef IR_CONTRACTION_PLAN_H
#define IR_CONTRACTION_PLAN_H

#include "ir/contraction/contraction.h"

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

/* Can code be made by this plan, which may come from a text? 'scratch': elements of the kernel's scratch. */
bool contraction_plan_fits(const contraction *c, int64_t vector, int64_t max_batch, const contraction_plan *p,
                           int64_t scratch);

/* ---- chains, rows and columns ---- */

/* Steps of a chain; an empty sum counts as one. */
int64_t contraction_chain(const contraction *c, int64_t max_batch);
/* May there be more than one leaf? */
bool contraction_has_leaves(const contraction *c, int64_t max_batch);

/* The axis whose steps in a tile of so many rows lie side by side in the result, where columns do not and there are
 * enough rows to turn the tile before its epilogue; else -1. */
int contraction_turned(const contraction *c, const contraction_plan *p, int64_t rows);

/* May tasks cut axis i? Not a spatial one whose length differs from part to part. */
bool contraction_may_cut(const contraction *c, const contraction_plan *p, int i);
/* Panels that all columns come to. */
int64_t contraction_panels(const contraction *c, int64_t vector, const contraction_plan *p);

/* ---- packing ---- */

/* The elements of a panel if p packs; 0: it cannot. */
int64_t contraction_panel(const contraction *c, int64_t vector, int64_t max_batch, const contraction_plan *p);

/* Does more than the columns vary the vector operand? Then a panel is packed once all but the rows is placed. */
bool contraction_packs_late(const contraction *c, const contraction_plan *p);

/* ---- blocks of the chain, and what waits between them ---- */

/* Blocks are stretches of `steps` of sum number `level`, one step each of the sums before it. */
typedef struct {
    int level;
    int64_t steps;
} contraction_blocks;
contraction_blocks contraction_blocks_of(const contraction *c, const contraction_plan *p);

/* Can the chains be taken by blocks; can both operands be copied too; are p's blocks and strips such? */
bool contraction_may_block(const contraction *c);
bool contraction_may_gather(const contraction *c, const contraction_plan *p);
bool contraction_block_fits(const contraction *c, int64_t max_batch, const contraction_plan *p);

/* Steps of axis i whose sums wait at the same time. */
int64_t contraction_waiting_steps(const contraction *c, int64_t max_batch, const contraction_plan *p, int i);
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
bool contraction_stream_fits(const contraction *c, int64_t vector, const contraction_plan *p, int64_t scratch);

#endif
