/* passes/chain/chain.h - what the parts of pass chain share: a chain that is being made. */
#ifndef PASSES_CHAIN_H
#define PASSES_CHAIN_H

#include "ir/graph/build.h"

enum { CHAIN_TASKS = 4 }; /* as many are wanted at least */

typedef struct {
    ir_graph *g;
    arena *mem;      /* while the pass works on g */
    ir_node *first;  /* the first member */
    int64_t number;  /* of this chain, marked on its members */
    bool narrow;     /* without contractions that want a leaf's examples */
    int32_t *after;  /* by node id: kernels that come after the chain have the attempt's number */
    int32_t *side;   /* by node id: what stands from 'first' on has side_of its place; all others have less */
    ir_map *readers; /* by symbol */
    int32_t attempt;
    ir_node *below;   /* the first of them */
    int64_t elements; /* of one example, all members */
    int members;
} chain;

/* Is n one of its members? */
static inline bool chain_has(const chain *c, const ir_node *n)
{
    return ir_chain(n, NULL) == c->number;
}

static inline void chain_mark(const chain *c, ir_node *kernel, int64_t slice)
{
    ir_set_ints(kernel, "chain", (const int64_t[]){c->number, slice}, 2);
}

/* ---- members.c ---- */

bool chain_can_join(const ir_node *kernel);
/* Partial sums, which a second phase combines; what a worker packs is gone with its task. */
bool chain_has_scratch(const ir_node *kernel);
/* Does it want 8 examples, as the rows of its register tiles? */
bool chain_takes_rows(const ir_node *kernel);
/* Elements of one example of the shape that tasks of this kind cut, which are the plan's unit: of a result, in row
 * kernels of what a row is reduced from. */
int64_t chain_walked_elements(const ir_node *kernel);

/* ---- slices.c ---- */

/* How many examples its slices should have. */
int64_t chain_choose_slice(const chain *c);
/* Of batches that are one leaf: do the values stay in cache without a chain? */
bool chain_stays_in_cache(const chain *c);
/* Has it members that want 8 examples? */
bool chain_has_rows(const chain *c);
/* Give all members slices of so many examples. */
void chain_cut(const chain *c, int64_t slice);

#endif
