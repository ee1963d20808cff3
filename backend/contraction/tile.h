/* backend/contraction/tile.h - a register tile while its code is made, and what each file of this folder does for it.
 *
 * A tile computes some rows by some columns of the result at once: an accumulator, which is a vector of columns, for
 * each row and vector. The files stand here from the inside out; each uses only those before it. */
#ifndef BACKEND_TILE_H
#define BACKEND_TILE_H

#include "backend/lower/lower.h"
#include "ir/contraction/plan.h"

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
    /* sums that wait in scratch (backend/contraction/partial.c): the chain goes on at step sum_at[i] of the sums before
     * `fixed`, and takes `steps` of that sum from sum_at[fixed] on (NULL: all of it). past is 0 where it begins, rest
     * below 1 where it ends; NULL: it begins, ends with this tile */
    nest_value *sum_at[CONTRACTION_SUMS], *steps, *past, *rest;
    int fixed;
    int scratch;
    int64_t max_batch;
    nest_value *share_from;  /* the task's first step of the cut axis */
    nest_value *leaf_offset; /* leaves: the leaf's place in scratch; else NULL */
    /* a packed vector operand: c as its panels are read; its own description and buffer; else NULL */
    contraction *packed;
    const contraction *unpacked;
    int source;
    bool late; /* contraction_packs_late */
    /* where plan.strip gathers both operands: the panel's number in the task (NULL: panels are packed one by one), the
     * strip's first row; the scalar operand's own buffer, and where in scratch its rows begin */
    nest_value *panel, *strip_from;
    int rows_source;
    contraction_room room;
} tile;

static inline int64_t tile_scalar_stride(const tile *t, const contraction_axis *a)
{
    return contraction_scalar_stride(a, t->plan.swap);
}

static inline int64_t tile_vector_stride(const tile *t, const contraction_axis *a)
{
    return contraction_vector_stride(a, t->plan.swap);
}

/* Steps of the inner axis, of the whole tile's rows. */
static inline int64_t tile_inner_rows(const tile *t)
{
    return t->plan.inner >= 0 ? t->c->axis[t->plan.inner].n : 1;
}

static inline int64_t tile_all_rows(const tile *t)
{
    return t->rows * tile_inner_rows(t);
}

/* Steps of row r of the tile along axis `row` and axis `inner`. */
static inline void tile_row_steps(const tile *t, int64_t r, int64_t *row, int64_t *inner)
{
    *row = r / tile_inner_rows(t);
    *inner = r % tile_inner_rows(t);
}

/* Live lanes of a vector of the tile. */
static inline int tile_live_lanes(const tile *t, int64_t vector)
{
    return (int)(vector == t->nvectors - 1 ? t->live : t->lanes);
}

/* chain.c: add the terms of the sums from 'level' on, of operands that begin at a and b (the scalar and the vector
 * one), to t->accumulator. */
void tile_chain(tile *t, int level, nest_value *a, nest_value *b);
/* partial.c: body for each block of the chain, or once. */
typedef void tile_body(tile *t, const void *context);
void tile_each_block(tile *t, tile_body *body, const void *context);
/* The sum so far of row r, vector v of the tile, at point p; and back. */
void tile_load_partial(tile *t, const lower_point *p, int64_t r, int64_t v, nest_value **accumulator);
void tile_store_partial(tile *t, const lower_point *p, int64_t r, int64_t v, nest_value **accumulator);
/* 1 and 0 if the chain goes on after this tile, else 0 and 1. */
typedef struct {
    nest_value *more, *last;
} tile_ends;
tile_ends tile_ends_of(tile *t);

/* pack.c: from now on, vectors come from this buffer, where each panel is packed before it is used. */
void tile_pack_into(tile *t, int buffer);
/* Pack the panel whose columns begin at t->at[column], t->nvectors wide. */
void tile_pack_panel(tile *t);
/* Copy rows from .. to - 1 of the scalar operand, for the block of the chain at hand. */
void tile_pack_rows(tile *t, nest_value *from, nest_value *to);

/* epilogue.c: at row r, vector v of the tile, whose point of the result is p. */
typedef void tile_visitor(tile *t, const lower_point *p, int64_t r, int64_t v, nest_value **accumulator);
void tile_each_accumulator(tile *t, tile_visitor *visit);
/* The rest of the region at the tile's points; is it long, so that it is better a loop than written out (t->rolled)? */
void tile_store_results(tile *t);
bool tile_has_long_epilogue(const lowering *l);

/* tile.c: the chains of the tile at t->at; all of a tile of so many rows. */
void tile_run_chain(tile *t);
void tile_make(tile *t, int64_t rows);

/* loops.c: all tiles of t->c, which is one contraction or one part of it, that are a task's. */
typedef struct {
    nest_value *from, *to, *piece; /* the task's share of the cut axis, its piece of the panels */
} tile_share;
void tile_part(tile *t, const tile_share *s);

/* stream.c: all of a convolution of few features from .. to - 1 of the cut axis. */
void tile_stream(tile *t, nest_value *from, nest_value *to);

/* check.c: the kernel's contraction, or NULL; can it be lowered? 'own_zeros': it reads none beyond the image. Both
 * report. */
const ir_node *tile_find_contraction(const lowering *l, diag *d);
bool tile_check_contraction(const lowering *l, const contraction *c, bool own_zeros, diag *d);

#endif
