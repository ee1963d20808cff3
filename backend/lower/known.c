/* backend/lower/known.c - the values that have been written already, so that none is computed twice.
 *
 * A value is known by its node and its point, from the place where it was written to the end of the block it stands in:
 * whoever opens or leaves a loop makes everything be forgotten. Besides, a node may be bound: then it has one value at
 * every point. That is how a finished sum, or a scalar from above all loops, takes part in what follows. */
#include "backend/lower/lower.h"

typedef struct known known;
struct known {
    lower_point point;
    nest_value *value;
    known *next;
};

typedef struct {
    const ir_node *node;
    known *values;
    nest_value *bound;
} state;

struct lower_memo {
    state *of; /* by node id */
    int32_t count;
};

lowering *lower_new(nest_kernel *k, const ir_node *fused)
{
    lowering *l = arena_make(k->mem, lowering);
    lower_memo *m = arena_make(k->mem, lower_memo);
    l->kernel = k;
    l->fused = fused;
    l->region = fused->region;
    l->memo = m;
    m->count = ir_number(fused->region);
    m->of = arena_new_array(k->mem, state, (size_t)m->count + 1);
    for (int i = 0; i < l->region->ninputs; i++)
        m->of[l->region->inputs[i]->id].node = l->region->inputs[i];
    for (const ir_node *n = l->region->first; n; n = n->next)
        m->of[n->id].node = n;
    return l;
}

static state *state_of(const lowering *l, const ir_node *n)
{
    lower_memo *m = l->memo;
    if (n->id < 0 || n->id >= m->count || m->of[n->id].node != n)
        ir_bug("%s is not in the region of '%s'", ir_ops[n->op].name, l->kernel->name);
    return &m->of[n->id];
}

/* ---- equal points ---- */

/* The same i64 scalar for sure: one value, or the same arithmetic on the same values. */
static bool same_index(const nest_value *a, const nest_value *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->kind != b->kind || a->lanes != b->lanes || a->dtype != b->dtype)
        return false;
    if (a->kind == NEST_CONST)
        return a->number == b->number;
    if (a->kind == NEST_BATCH || a->kind == NEST_TASK)
        return true;
    if (a->kind != NEST_OP || a->op != b->op || a->nin != 2)
        return false;
    return same_index(a->in[0], b->in[0]) && same_index(a->in[1], b->in[1]);
}

static bool same_point(const lower_point *a, const lower_point *b, int rank)
{
    if (a->lanes != b->lanes || a->lane_dim != b->lane_dim || a->merged != b->merged || a->active != b->active)
        return false;
    if (a->lanes > 1 && (a->lane_step != b->lane_step || a->active_count != b->active_count))
        return false;
    int indices = a->merged ? rank - a->merged + 1 : rank;
    for (int i = 0; i < indices; i++)
        if (!same_index(a->index[i], b->index[i]))
            return false;
    return true;
}

/* ---- what is known ---- */

nest_value *lower_known(const lowering *l, const ir_node *n, const lower_point *p)
{
    const state *s = state_of(l, n);
    if (s->bound)
        return s->bound->lanes == p->lanes ? s->bound : nest_splat(l->kernel, s->bound, p->lanes);
    for (const known *at = s->values; at; at = at->next)
        if (same_point(&at->point, p, n->type.rank))
            return at->value;
    return NULL;
}

void lower_remember(lowering *l, const ir_node *n, const lower_point *p, nest_value *v)
{
    state *s = state_of(l, n);
    known *fresh = arena_make(l->kernel->mem, known);
    *fresh = (known){*p, v, s->values};
    s->values = fresh;
}

static void forget_dependents(lowering *l, const ir_node *n)
{
    lower_memo *m = l->memo;
    bool *depends = arena_new_array(l->kernel->mem, bool, (size_t)m->count + 1);
    depends[n->id] = true;
    for (int32_t id = n->id; id < m->count; id++) {
        const ir_node *user = m->of[id].node;
        for (int i = 0; user && i < user->nin; i++)
            depends[id] |= depends[user->in[i]->id];
        if (depends[id])
            m->of[id].values = NULL;
    }
}

void lower_bind(lowering *l, const ir_node *n, nest_value *v)
{
    forget_dependents(l, n);
    state_of(l, n)->bound = v;
}

void lower_unbind(lowering *l, const ir_node *n)
{
    if (!state_of(l, n)->bound)
        return;
    forget_dependents(l, n);
    state_of(l, n)->bound = NULL;
}

void lower_forget(lowering *l)
{
    lower_memo *m = l->memo;
    for (int32_t id = 0; id < m->count; id++)
        m->of[id].values = NULL;
}
