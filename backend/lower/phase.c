/* backend/lower/phase.c - the frame of a kernel: how a phase is opened, which share of the work a task takes, and
 * loops that carry no values. */
#include "backend/lower/lower.h"
#include "ir/graph/build.h"

/* ---- phases ---- */

static bool wants_scalar(const ir_node *user, const ir_node *n)
{
    if (user->type.rank == 0 || (user->op != IR_BROADCAST_IN_DIM && user->op != IR_RNG_BITS))
        return false;
    for (int i = 0; i < user->nin; i++)
        if (user->in[i] == n)
            return true;
    return false;
}

/* A scalar stands above every loop if nothing in it waits for the kernel's core. */
static void bind_scalar(lowering *l, const ir_node *n, const bool *waits)
{
    if (n->type.rank || n->op == IR_CONSTANT || n->op == IR_ASSIGN || waits[n->id])
        return;
    for (const ir_node *user = l->region->first; user; user = user->next)
        if (wants_scalar(user, n)) {
            lower_point p = lower_scalar_point(l, 0);
            lower_bind(l, n, lower_value(l, n, &p));
            return;
        }
}

void lower_phase(lowering *l, int index, nest_tasks tasks)
{
    nest_phase *phase = &l->kernel->phase[index];
    phase->tasks = tasks;
    l->kernel->block = &phase->body;
    if (l->kernel->nphases <= index)
        l->kernel->nphases = index + 1;
    for (int i = 0; i < l->region->ninputs; i++)
        lower_unbind(l, l->region->inputs[i]);
    for (const ir_node *n = l->region->first; n; n = n->next)
        lower_unbind(l, n);
    lower_forget(l);
    const bool *waits = lower_dependents(l, NULL);
    for (int i = 0; i < l->region->ninputs; i++)
        bind_scalar(l, l->region->inputs[i], waits);
    for (const ir_node *n = l->region->first; n; n = n->next)
        bind_scalar(l, n, waits);
}

/* ---- tasks ---- */

int64_t lower_slice(const lowering *l)
{
    int64_t slice = IR_LEAF;
    ir_chain(l->fused, &slice);
    return slice;
}

nest_value *lower_extent(lowering *l, int64_t n, bool batch)
{
    return batch ? nest_mul(l->kernel, nest_batch(l->kernel), n) : nest_i64(l->kernel, n);
}

void lower_share(lowering *l, nest_tasks tasks, nest_value **from, nest_value **to, nest_value **piece)
{
    nest_kernel *k = l->kernel;
    nest_value *extent = lower_extent(l, tasks.n, tasks.batch), *task = nest_task(k);
    bool single = !tasks.batch && tasks.chunk >= tasks.n;
    if (piece)
        *piece = tasks.inner == 1 ? nest_i64(k, 0) : single ? task : nest_rem(k, task, tasks.inner);
    if (single) {
        *from = nest_i64(k, 0);
        *to = extent;
        return;
    }
    *from = nest_mul(k, nest_div(k, task, tasks.inner), tasks.chunk);
    *to = nest_min(k, nest_add(k, *from, nest_i64(k, tasks.chunk)), extent);
}

/* ---- loops ---- */

lower_loop lower_loop_begin(lowering *l, nest_value *from, nest_value *to, int64_t step)
{
    lower_loop loop;
    loop.loop = nest_loop_begin(l->kernel, from, to, step, NULL, 0, &loop.outer);
    lower_forget(l);
    return loop;
}

void lower_loop_end(lowering *l, lower_loop loop)
{
    nest_loop_end(l->kernel, loop.loop, NULL, loop.outer);
    lower_forget(l);
}
