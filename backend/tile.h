/* backend/tile.h - the register tile that lower_contraction.c builds, and the packing of its vector operand. */
#ifndef BACKEND_TILE_H
#define BACKEND_TILE_H

#include "backend/lower.h"
#include "ir/contraction.h"

/* What is being built: of one contraction, or one part of it. */
typedef struct {
    lowering *l;
    nest_kernel *k;
    const contraction *c;
    contraction_plan plan;
    int scalars, vectors; /* buffers */
    int lanes;
    nest_value *at[CONTRACTION_AXES]; /* where the tile starts on each axis */
    /* this tile */
    int64_t rows, nvectors, live; /* live lanes of the last vector */
    nest_value *accumulator[CONTRACTION_ROWS * CONTRACTION_VECTORS];
    int spill;   /* local buffer of a tile, -1 before the first use */
    bool rolled; /* the epilogue is a loop over rows of that buffer */
    /* leaves: the example, the first of its leaf, and the leaf's place in scratch; else NULL */
    nest_value *example, *first_example, *leaf_offset;
    int scratch;
    /* a packed vector operand: c as its panels are read; its own description and buffer; else NULL */
    contraction *packed;
    const contraction *unpacked;
    int source;
    bool late; /* contraction_packs_late */
} tile;

/* Steps of the inner axis, of the whole tile's rows. */
static inline int64_t tile_inner_rows(const tile *t)
{
    return t->plan.inner >= 0 ? t->c->axis[t->plan.inner].n : 1;
}

static inline int64_t tile_all_rows(const tile *t)
{
    return t->rows * tile_inner_rows(t);
}

/* Live lanes of a vector of the tile. */
static inline int tile_live_lanes(const tile *t, int64_t vector)
{
    return (int)(vector == t->nvectors - 1 ? t->live : t->lanes);
}

/* From now on, vectors come from this buffer, where each panel is packed before it is used. */
void tile_pack_into(tile *t, int buffer);
/* Pack the panel whose columns begin at t->at[column], t->nvectors wide. */
void tile_pack_panel(tile *t);

/* A loop over a run of the sums' level, carrying the accumulators and both offsets; 'unroll' steps a time. */
void tile_run_loop(tile *t, int level, const contraction_run *run, nest_value *from, nest_value *to, int64_t unroll,
                   nest_value **a, nest_value **b);

/* lower_contraction.c: add the chain's terms to t->accumulator; then the rest of the region at the tile's points. */
void tile_run_chain(tile *t);
void tile_store_results(tile *t);

/* lower_stream.c: all of a convolution of few features from .. to - 1 of the cut axis. */
void tile_stream(tile *t, nest_value *from, nest_value *to);

/* lower_border.c: 1 where the tile's output sees beyond the edge, else 0; its chain, which where leaves are one goes
 * over all examples. */
nest_value *tile_on_border(tile *t);
void tile_border_chain(tile *t, int level, nest_value *a, nest_value *b);

#endif
