/* backend/lower/walkable.c - how a kernel may walk over the points of a node.
 *
 * Two questions are asked of a node and of everything that it is computed from, down to memory. May the last
 * dimensions be walked as one (lower_merges)? They may if no operator on the way tells them apart and if they lie in
 * memory as one. May a dimension be spread over the lanes of vectors (lower_takes_lanes)? It may if neighbours along
 * it are a constant step apart wherever they are read.
 *
 * There may be many more paths from a node down to memory than there are nodes. So each answer is kept. */
#include "backend/lower/lower.h"

/* ---- answers ---- */

typedef enum { MERGES, TAKES_LANES, READS_PANELS, QUESTIONS } question;
enum { UNKNOWN, NO, YES };

/* Of the node with that id: by question, and by the number that it has, of dimensions or of the dimension. */
struct lower_answers {
    unsigned char to[QUESTIONS][IR_MAX_RANK + 1];
};

lower_answers *lower_no_answers(const lowering *l)
{
    return arena_new_array(l->kernel->mem, lower_answers, (size_t)l->count + 1);
}

static bool ask(const lowering *l, question q, const ir_node *n, int number,
                bool (*find)(const lowering *l, const ir_node *n, int number))
{
    unsigned char *answer = &l->answers[n->id].to[q][number];
    if (*answer == UNKNOWN)
        *answer = find(l, n, number) ? YES : NO;
    return *answer == YES;
}

/* ---- merged dimensions ---- */

static bool lies_as(const ir_type *own, const ir_node *memory, const ir_type *t, const ir_layout *as)
{
    ir_layout at = ir_layout_of(own, memory);
    return !ir_shape_equal(own, t) || ir_layout_equal(&at, as, t->rank);
}

/* Does all that this kernel reads and writes of shape t lie alike? Then a walk over all elements in memory order meets
 * the same element everywhere, panels or not. */
static bool all_alike(const lowering *l, const ir_type *t, const ir_layout *as)
{
    const ir_graph *r = l->region;
    for (int i = 0; i < r->ninputs; i++)
        if (!lies_as(&r->inputs[i]->type, lower_memory_of_input(l, r->inputs[i]), t, as))
            return false;
    for (int i = 0; i < r->nresults; i++)
        if (!lies_as(&r->results[i]->type, lower_memory_of_result(l, i), t, as))
            return false;
    for (const ir_node *n = r->first; n; n = n->next)
        if (n->op == IR_ASSIGN && !lies_as(&n->in[0]->type, n, t, as))
            return false;
    return true;
}

bool lower_memory_merges(const lowering *l, const ir_type *t, const ir_node *memory, int merged)
{
    if (memory && ir_attr_find(memory->attrs, "halo"))
        return false;
    ir_layout at = ir_layout_of(t, memory);
    return at.cut < 0 || (merged == t->rank && all_alike(l, t, &at));
}

/* Dimensions first .. rank - 1 lie in memory as one. */
static bool lies_merged(const ir_type *t, int merged)
{
    int first = t->rank - merged, batch = ir_batch_dim(t);
    return merged == t->rank || batch < first;
}

static bool broadcast_merges(const lowering *l, const ir_node *n, int merged)
{
    const ir_node *x = n->in[0];
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims), first = n->type.rank - merged, reached = 0;
    for (int i = 0; i < count; i++)
        if (dims[i] >= first && !lower_is_single(x->type.dim[i]))
            reached++;
    if (!reached)
        return true;
    if (x->type.rank < merged)
        return false;
    for (int i = 0; i < merged; i++) {
        int own = x->type.rank - merged + i, to = first + i;
        if (dims[own] != to || x->type.dim[own].n != n->type.dim[to].n ||
            x->type.dim[own].batch != n->type.dim[to].batch)
            return false;
    }
    return lower_merges(l, x, merged);
}

/* The operator leaves the merged dimensions alone. */
static bool leaves_alone(const ir_node *n, int merged)
{
    int64_t a[IR_MAX_RANK], b[IR_MAX_RANK];
    int first = n->type.rank - merged, count;
    switch (n->op) {
    case IR_TRANSPOSE:
        ir_ints(n, "permutation", a);
        for (int i = first; i < n->type.rank; i++)
            if (a[i] != i)
                return false;
        return true;
    case IR_SLICE:
        ir_ints(n, "start", a);
        ir_ints(n, "stride", b);
        for (int i = first; i < n->type.rank; i++)
            if (a[i] || b[i] != 1 || n->in[0]->type.dim[i].n != n->type.dim[i].n)
                return false;
        return true;
    case IR_PAD:
        for (int i = first; i < n->type.rank; i++)
            if (lower_is_padded(n, i))
                return false;
        return true;
    case IR_REVERSE:
        count = ir_ints(n, "dims", a);
        for (int i = 0; i < count; i++)
            if (a[i] >= first)
                return false;
        return true;
    case IR_CONCATENATE:
    case IR_IOTA:
        return ir_int(n, "dim", 0) < first;
    default:
        return false;
    }
}

static bool merges(const lowering *l, const ir_node *n, int merged)
{
    if (!lies_merged(&n->type, merged))
        return false;
    switch (n->op) {
    case IR_INPUT:
        return lower_memory_merges(l, &n->type, lower_memory_of_input(l, n), merged);
    case IR_CONSTANT:
        return lower_is_uniform(n);
    case IR_BATCH_SIZE:
        return true;
    case IR_BROADCAST_IN_DIM:
        return broadcast_merges(l, n, merged);
    case IR_RNG_BITS:
        return ir_batch_dim(&n->type) <= 0;
    case IR_IOTA:
        return leaves_alone(n, merged);
    case IR_TRANSPOSE:
    case IR_SLICE:
    case IR_REVERSE:
    case IR_CONCATENATE:
    case IR_PAD:
        for (int i = 0; i < n->nin && i < (n->op == IR_PAD ? 1 : n->nin); i++)
            if (!lower_merges(l, n->in[i], merged))
                return false;
        return leaves_alone(n, merged);
    default:
        if (lower_is_core(n)) /* bound to a value when it is asked for */
            return true;
        if (!(ir_ops[n->op].traits & OP_ELTWISE) && n->op != IR_STOP_GRADIENT)
            return false;
        for (int i = 0; i < n->nin; i++)
            if (!lower_merges(l, n->in[i], merged))
                return false;
        return true;
    }
}

bool lower_merges(const lowering *l, const ir_node *n, int merged)
{
    return ask(l, MERGES, n, merged, merges);
}

/* ---- lanes ---- */

static bool all_take_lanes(const lowering *l, const ir_node *n, int dim)
{
    for (int i = 0; i < n->nin; i++)
        if (!lower_takes_lanes(l, n->in[i], dim))
            return false;
    return true;
}

/* A dimension n*B whose examples do not follow each other in memory is not walked by vectors. */
static bool memory_takes_lanes(const lowering *l, const ir_node *n, int dim)
{
    ir_layout at = ir_layout_of(&n->type, n->op == IR_INPUT ? lower_memory_of_input(l, n) : NULL);
    if (!n->type.dim[dim].batch || n->type.dim[dim].n == 1)
        return true;
    return at.batch_stride == n->type.dim[dim].n * at.stride[dim];
}

/* Does anything below n lie in panels? A vector that does not start at a multiple of its length would reach over a
 * panel's end. */
static bool reads_panels(const lowering *l, const ir_node *n, int unused)
{
    if (n->op == IR_INPUT)
        return ir_layout_of(&n->type, lower_memory_of_input(l, n)).cut >= 0;
    for (int i = 0; i < n->nin; i++)
        if (ask(l, READS_PANELS, n->in[i], unused, reads_panels))
            return true;
    return false;
}

static bool takes_lanes(const lowering *l, const ir_node *n, int dim)
{
    int64_t dims[IR_MAX_RANK];
    int count;
    if (lower_is_core(n))
        return true;
    switch (n->op) {
    case IR_INPUT:
        return memory_takes_lanes(l, n, dim);
    case IR_BROADCAST_IN_DIM:
        count = ir_ints(n, "dims", dims);
        for (int i = 0; i < count; i++)
            if (dims[i] == dim && !lower_is_single(n->in[0]->type.dim[i]))
                return lower_takes_lanes(l, n->in[0], i);
        return true;
    case IR_TRANSPOSE:
        ir_ints(n, "permutation", dims);
        return lower_takes_lanes(l, n->in[0], (int)dims[dim]);
    case IR_PAD:
        return !lower_is_padded(n, dim) && lower_takes_lanes(l, n->in[0], dim);
    case IR_SLICE:
    case IR_REVERSE:
        return !ask(l, READS_PANELS, n, 0, reads_panels) && lower_takes_lanes(l, n->in[0], dim);
    case IR_CONCATENATE:
        return ir_int(n, "dim", 0) != dim && all_take_lanes(l, n, dim);
    case IR_RNG_BITS: /* along any other, each lane would make four words to take one */
        return dim == n->type.rank - 1;
    case IR_RESHAPE:
        return false;
    default:
        return all_take_lanes(l, n, dim);
    }
}

bool lower_takes_lanes(const lowering *l, const ir_node *n, int dim)
{
    return ask(l, TAKES_LANES, n, dim, takes_lanes);
}
