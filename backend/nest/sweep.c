/* backend/nest/sweep.c - drop the values of a kernel that nothing needs.
 *
 * Lowering computes what it may need, such as offsets and masks of a whole point, and not all of it ends in a store.
 * Stores, loops and products stay, and what they use, and what that uses; a mark on each value, then a sweep. */
#include "backend/nest/nest.h"

static void mark(nest_value *const *v, int count)
{
    for (int i = 0; i < count; i++)
        v[i]->live = true;
}

static void mark_block(nest_kernel *k, const nest_block *b);

static void mark_value(nest_kernel *k, nest_value *v)
{
    if (v->kind == NEST_LOOP) {
        mark(v->next, v->ncarry);
        mark(v->init, v->ncarry);
        mark_block(k, &v->body);
    }
    v->live |= v->kind == NEST_LOOP || v->kind == NEST_STORE || v->kind == NEST_PRODUCT;
    if (!v->live)
        return;
    mark(v->in, v->nin);
    if (v->active)
        v->active->live = true;
}

/* Uses stand below what they use, so going backwards meets every use first. */
static void mark_block(nest_kernel *k, const nest_block *b)
{
    size_t count = 0, i = 0;
    for (const nest_value *v = b->first; v; v = v->following)
        count++;
    nest_value **values = arena_new_array(k->mem, nest_value *, count + 1);
    for (nest_value *v = b->first; v; v = v->following)
        values[i++] = v;
    while (i > 0)
        mark_value(k, values[--i]);
}

static void sweep_block(nest_block *b)
{
    nest_value *kept = NULL;
    for (nest_value *v = b->first; v; v = v->following) {
        if (v->kind == NEST_LOOP)
            sweep_block(&v->body);
        if (!v->live)
            continue;
        *(kept ? &kept->following : &b->first) = v;
        kept = v;
    }
    if (kept)
        kept->following = NULL;
    else
        b->first = NULL;
    b->last = kept;
}

void nest_sweep(nest_kernel *k)
{
    for (int i = 0; i < k->nphases; i++) {
        mark_block(k, &k->phase[i].body);
        sweep_block(&k->phase[i].body);
    }
}
