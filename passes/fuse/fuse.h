/* passes/fuse/fuse.h - what the parts of pass fuse share: groups of nodes on their way to kernels. */
#ifndef PASSES_FUSE_H
#define PASSES_FUSE_H

#include "ir/graph/uses.h"

typedef enum {
    KIND_NONE,
    KIND_ELEMENTWISE,
    KIND_ROW,
    KIND_REDUCE,
    KIND_BATCH_REDUCE,
    KIND_WINDOW,
    KIND_CONTRACTION
} kind;

typedef enum { PHASE_FORWARD, PHASE_BACKWARD, PHASE_UPDATE } phase;

typedef struct {
    kind kind;
    phase phase;
    int64_t stage;
    ir_type domain;      /* shape of results: the core's, or of the elementwise nodes; a row's full shape F */
    ir_type inner;       /* reductions: the operand's shape; a row's short shape R */
    const ir_node *core; /* the node it began with */
    int32_t *member, count;
    int32_t steps; /* of all members: fuse_steps */
    bool spliced;  /* some member is: fuse_is_spliced */
} group;

typedef struct {
    int32_t *to, count;
} edges;

typedef struct {
    ir_graph *g;
    arena *mem;
    int32_t n;
    int64_t last_stage;     /* 0 in a net without stages */
    ir_uses *uses;          /* of the function's own nodes; those made here get ids from n on */
    ir_node **node;         /* by id, below n */
    int32_t *of;            /* node id -> group, or -1 for nodes outside kernels and leaves */
    group *groups;          /* as many as nodes; count 0 once merged away */
    edges *next, *previous; /* between node ids, leaves jumped over, with "reader before assign" */
    int32_t *place;         /* by group, or node outside groups: edges go to larger ones */
    int32_t *mark, *stack;  /* of the search for paths */
    int32_t epoch;
    ir_node **inside;          /* by id, a node's value in the region at hand; all NULL between two regions */
    int32_t *entered, entries; /* for which ids */
} fuser;

/* ---- passes/fuse/edges.c: who depends on whom ---- */

void fuse_add_to(arena *mem, int32_t **list, int32_t *count, int32_t x);
bool fuse_is_leaf(const ir_node *n); /* cheap: in no group, each group has its own copy */
/* Does it read n's value, itself or through leaves? (An edge may also only keep a reader before an assign.) */
bool fuse_uses(const ir_node *user, const ir_node *n);
/* Does n read the symbol's memory, itself or through leaves that will be copied into its kernel? */
bool fuse_reads(const ir_node *n, const ir_symbol *y);
void fuse_build_edges(fuser *f);
/* Is there a path from a group to the other that leaves them in between? */
bool fuse_path_around(fuser *f, int32_t from, int32_t to);
/* Before two groups merge: the place of the new one, and of what is bound to it. */
void fuse_place_merged(fuser *f, int32_t a, int32_t b);

/* ---- passes/fuse/rules.c: which groups one loop nest can do ---- */

kind fuse_kind_of(const ir_node *n);
/* Its elements are those of its operand, in other places. */
bool fuse_is_view(const ir_node *n);
phase fuse_phase_of(const ir_node *n);
/* About how many instructions an element of it takes. */
int32_t fuse_steps(const ir_node *n);
/* Does n have neighbours that come from different places, so that no vector reads them at once? */
bool fuse_is_spliced(const ir_node *n);
/* Why b cannot join a; NULL if it can. The one with the core is a: fuse_core_first. */
const char *fuse_refusal(fuser *f, int32_t a, int32_t b);

/* ---- passes/fuse/groups.c: nodes to groups ---- */

/* Swap the two if only b has a core; false where they are not two groups. */
bool fuse_core_first(const fuser *f, int32_t *a, int32_t *b);
void fuse_make_groups(fuser *f);

#endif
