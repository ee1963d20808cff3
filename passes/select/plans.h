/* passes/select/plans.h - the choice of a contraction's plan (ir/contraction/plan.h), by estimates of what code for the
 * target will take. No bit depends on a choice. */
#ifndef PASSES_SELECT_PLANS_H
#define PASSES_SELECT_PLANS_H

#include "ir/contraction/plan.h"

/* tile.c: the analytic choice of columns, tile and tasks. 'repack': assume that the vector operand can be laid out
 * anew; *packs says whether the choice wants that. */
contraction_plan select_tile(const contraction *c, const ir_target *t, int64_t max_batch, bool repack, bool *packs);

/* The time that a plan will take, its tiles and its epilogue, in multiply-adds of vectors; the plan is one of tiles. */
double select_time(const contraction *c, const ir_target *t, int64_t max_batch, const contraction_plan *p);

/* Let p pack, if its vector operand is large, or one small panel, and can be packed. False: p stays as it is. */
bool select_pack(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p);

/* Plans to measure beside p: other tiles, the best by the analytic model first, and p's tile unrolled less and more.
 * The operands lie as p wants them. Returns how many. */
enum { SELECT_CANDIDATES = 10 };
int select_candidates(const contraction *c, const ir_target *t, int64_t max_batch, const contraction_plan *p,
                      int64_t scratch, contraction_plan out[SELECT_CANDIDATES]);

/* tasks.c: cut, chunk and pieces. */
void select_tasks(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p);
/* Tasks that the work is worth. */
int64_t select_wanted_tasks(const contraction *c, int64_t max_batch);
/* Is it a product of one matrix after the other of both operands, as Winograd's has one for each place of a tile? */
bool select_has_matrices(const contraction *c);
/* How many pieces of panels there are if none gets more than its part. */
int64_t select_even_pieces(int64_t panels, int64_t wanted);

/* block.c: let p take the chain by blocks, if a panel's tiles pass over more of both operands than a cache holds. Of a
 * contraction in leaves they are blocks of an example, whose sums wait where the leaf's do. After select_pack. */
void select_block(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p);
/* Let p copy both operands, if both have a long chain along their rows, as large weight gradients have. It does all of
 * select_pack and select_block by itself, and chooses the tasks anew. */
bool select_gather(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p);

/* stream.c: if it pays, make p the plan of a convolution of few features. The elements of its scratch; 0: p stays as it
 * is. It needs no zeros around the lhs. */
int64_t select_stream(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p);

static inline double select_operand_count(const contraction *c, bool swap, int64_t max_batch)
{
    return (double)ir_count(&c->node->in[swap ? 0 : 1]->type, max_batch);
}

#endif
