/* backend/lower/lower.c - a fused node to its kernel: dispatch on the kind, buffers, phases and tasks.
 *
 * passes/select/select.c has made every compute node a fused node with a plan. What the kinds share lies here and in
 * backend/lower/value.c (values at a point) and backend/lower/walk.c (loops over shapes); each kind has a file of its
 * own. */
#include "backend/lower/lower.h"
#include "ir/graph/build.h"
#include <string.h>

/* ---- questions about the region ---- */

bool lower_is_core(const ir_node *n)
{
    return n->op == IR_REDUCE || n->op == IR_REDUCE_WINDOW || n->op == IR_SELECT_AND_SCATTER || n->op == IR_WINOGRAD ||
           n->op == IR_DOT_GENERAL || n->op == IR_CONVOLUTION;
}

int64_t lower_plan(const lowering *l, int index, int64_t fallback)
{
    const ir_attr *plan = ir_attr_find(l->fused->attrs, "plan");
    return plan && !plan->word && index < plan->count ? (int64_t)plan->number[index] : fallback;
}

const ir_node *lower_scratch(const lowering *l, int index)
{
    for (int i = 0; i < l->fused->nin; i++)
        if (l->fused->in[i]->op == IR_SCRATCH && index-- == 0)
            return l->region->inputs[i];
    return NULL;
}

bool lower_check_shapes(const lowering *l, const ir_type *a, const ir_type *b, diag *d)
{
    for (int i = 0; i < l->region->nresults; i++) {
        const ir_node *r = l->region->results[i];
        if (!ir_shape_equal(&r->type, a) && !(b && ir_shape_equal(&r->type, b)))
            return lower_unsupported(r, d, "a result of another shape than its kernel's");
    }
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_ASSIGN && !ir_shape_equal(&n->in[0]->type, a) && !(b && ir_shape_equal(&n->in[0]->type, b)))
            return lower_unsupported(n, d, "a value of another shape than its kernel's");
    return true;
}

/* ---- buffers ---- */

static int input_number(const lowering *l, const ir_node *input)
{
    for (int i = 0; i < l->region->ninputs; i++)
        if (l->region->inputs[i] == input)
            return i;
    ir_bug("a value of another region");
}

int lower_input_buffer(lowering *l, const ir_node *input)
{
    const ir_node *n = ir_memory(l->fused->in[input_number(l, input)]);
    nest_buffer b = {.name = n->symbol ? n->symbol->name : n->name, .dtype = input->type.dtype, .node = n};
    return nest_add_buffer(l->kernel, b);
}

/* The node outside that stands for result 'index', or NULL where nobody wants it. */
static const ir_node *outer_result(const lowering *l, int index)
{
    if (index == 0)
        return l->fused;
    for (const ir_node *n = l->fused->next; n; n = n->next)
        if (n->op == IR_RESULT && n->in[0] == l->fused && ir_int(n, "index", 0) == index)
            return n;
    return NULL;
}

int lower_result_buffer(lowering *l, int index)
{
    const ir_node *n = outer_result(l, index);
    if (!n)
        return -1;
    return nest_add_buffer(
        l->kernel,
        (nest_buffer){.name = n->name, .dtype = l->region->results[index]->type.dtype, .node = n, .written = true});
}

int lower_assign_buffer(lowering *l, const ir_node *assign)
{
    const ir_symbol *y = assign->symbol;
    return nest_add_buffer(l->kernel,
                           (nest_buffer){.name = y->name, .dtype = y->type.dtype, .symbol = y, .written = true});
}

const ir_node *lower_memory_of_input(const lowering *l, const ir_node *input)
{
    return ir_memory(l->fused->in[input_number(l, input)]);
}

const ir_node *lower_memory_of_result(const lowering *l, int index)
{
    return outer_result(l, index);
}

/* ---- phases and tasks ---- */

/* Does a scalar stand above every loop: nothing in it waits for the kernel's core? */
static bool is_free_scalar(const lowering *l, const ir_node *n)
{
    for (const ir_node *core = l->region->first; core; core = core->next)
        if (lower_is_core(core) && lower_depends(l, n, core))
            return false;
    return true;
}

static bool wants_scalar(const ir_node *user, const ir_node *n)
{
    if (user->type.rank == 0 || (user->op != IR_BROADCAST_IN_DIM && user->op != IR_RNG_BITS))
        return false;
    for (int i = 0; i < user->nin; i++)
        if (user->in[i] == n)
            return true;
    return false;
}

static void bind_scalar(lowering *l, const ir_node *n)
{
    if (n->type.rank || n->op == IR_CONSTANT || n->op == IR_ASSIGN || !is_free_scalar(l, n))
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
    for (int i = 0; i < l->region->ninputs; i++)
        bind_scalar(l, l->region->inputs[i]);
    for (const ir_node *n = l->region->first; n; n = n->next)
        bind_scalar(l, n);
}

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

/* ---- dispatch ---- */

static const struct {
    const char *kind;
    bool (*lower)(lowering *l, diag *d);
} kinds[] = {{"elementwise", lower_elementwise},
             {"row", lower_row},
             {"reduce", lower_reduce},
             {"batch_reduce", lower_batch_reduce},
             {"window", lower_window},
             {"contraction", lower_contraction},
             {"gemm", lower_gemm}};

nest_kernel *nest_lower(const ir_node *fused, const ir_target *target, arena *mem, diag *d)
{
    nest_kernel *k = arena_make(mem, nest_kernel);
    k->mem = mem;
    k->name = fused->label ? fused->label : ir_ops[fused->op].name;
    k->node = fused;
    k->target = target;
    k->at = fused->loc;
    lowering *l = lower_new(k, fused);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (ir_word_is(fused, "kind", kinds[i].kind)) {
            if (!kinds[i].lower(l, d))
                return NULL;
            nest_sweep(k);
            return k;
        }
    lower_unsupported(fused, d, "this kind of kernel");
    return NULL;
}
