/* backend/lower/known.c - remember the values that are written already, so that none is computed twice.
 *
 * A value is known by its node and its point, from where it was written to the end of the block in which it stands;
 * when a loop is opened or left, everything is forgotten. A node may also be bound to a value, which it then has at
 * every point. In this way a finished sum, or a scalar computed above all loops, takes part in what follows. */
#include "backend/lower/lower.h"

typedef struct known known;
struct known {
    lower_point point;
    nest_value *value;
    known *next;
};

/* Of the node with that id. */
struct lower_memo {
    const ir_node *node;
    known *values;
    nest_value *bound;
};

void lower_know_nothing(lowering *l)
{
    l->memo = arena_new_array(l->kernel->mem, lower_memo, (size_t)l->count + 1);
    for (int i = 0; i < l->region->ninputs; i++)
        l->memo[l->region->inputs[i]->id].node = l->region->inputs[i];
    for (const ir_node *n = l->region->first; n; n = n->next)
        l->memo[n->id].node = n;
}

static lower_memo *memo_of(const lowering *l, const ir_node *n)
{
    if (n->id < 0 || n->id >= l->count || l->memo[n->id].node != n)
        ir_bug("%s is not in the region of '%s'", ir_ops[n->op].name, l->kernel->name);
    return &l->memo[n->id];
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
    const lower_memo *s = memo_of(l, n);
    if (s->bound)
        return s->bound->lanes == p->lanes ? s->bound : nest_splat(l->kernel, s->bound, p->lanes);
    for (const known *at = s->values; at; at = at->next)
        if (same_point(&at->point, p, n->type.rank))
            return at->value;
    return NULL;
}

void lower_remember(lowering *l, const ir_node *n, const lower_point *p, nest_value *v)
{
    lower_memo *s = memo_of(l, n);
    known *fresh = arena_make(l->kernel->mem, known);
    *fresh = (known){*p, v, s->values};
    s->values = fresh;
}

static void forget_dependents(lowering *l, const ir_node *n)
{
    const bool *depends = lower_dependents(l, n);
    for (int32_t id = 0; id < l->count; id++)
        if (depends[id])
            l->memo[id].values = NULL;
}

void lower_bind(lowering *l, const ir_node *n, nest_value *v)
{
    forget_dependents(l, n);
    memo_of(l, n)->bound = v;
}

void lower_unbind(lowering *l, const ir_node *n)
{
    if (!memo_of(l, n)->bound)
        return;
    forget_dependents(l, n);
    memo_of(l, n)->bound = NULL;
}

void lower_forget(lowering *l)
{
    for (int32_t id = 0; id < l->count; id++)
        l->memo[id].values = NULL;
}
