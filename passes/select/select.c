/* passes/select/select.c - every kernel's plan and scratch memory.
 *     %1 = tanh %x
 *         =>   %1 = fused "tanh1.forward" (%x) {kind = elementwise, plan = [16384]} { tanh }
 *
 * Compute nodes that stand alone become kernels of one node. Then every kernel gets a plan; of contractions, operands
 * are laid out for it too (passes/select/contraction.c).
 *
 * Plans (lists of numbers, for the lowering of the kind):
 *     elementwise, row, reduce, window   [elements a task]
 *     batch_reduce                       [phases, kept elements a task]
 *     contraction                        a contraction_plan (ir/contraction/plan.h)
 *     gemm                               [rows a task] (passes/select/gemm.c)
 * Sums over the batch get a scratch operand [leaves, elements] each, if there may be more than one leaf.
 *
 * Needs:  fuse and split done.      Keeps:  every value's bits, results, effects.
 * Leaves: only kernels outside of which nothing is computed; as the module's planned_batch, the largest batch that the
 *         plans are for. */
#include "passes/select/select.h"
#include "ir/contraction/contraction.h"
#include "passes/memory.h"
#include "passes/passes.h"

enum { ELEMENTS = 16384, KEPT_ELEMENTS = 4096, LITTLE = 65536 };

/* ---- kernels of one node ---- */

static const char *kind_of_reduce(const ir_node *n)
{
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims), rank = n->in[0]->type.rank;
    if (ir_in_list(dims, count, ir_batch_dim(&n->in[0]->type)))
        return "batch_reduce";
    for (int i = rank - count; i < rank; i++)
        if (!ir_in_list(dims, count, i))
            return "reduce";
    return "row";
}

static const char *kind_of(const ir_node *n)
{
    switch (n->op) {
    case IR_DOT_GENERAL:
    case IR_CONVOLUTION:
        return "contraction";
    case IR_REDUCE_WINDOW:
    case IR_SELECT_AND_SCATTER:
    case IR_WINOGRAD:
        return "window";
    case IR_REDUCE:
        return kind_of_reduce(n);
    default:
        return "elementwise";
    }
}

static void wrap(ir_node *n)
{
    ir_graph *g = n->graph;
    arena *mem = g->module->mem;
    g->before = n;
    ir_node *fused =
        select_kernel(g, kind_of(n), n->label ? n->label : ir_ops[n->op].name, ir_int(n, "stage", 0), n->loc, n->type);
    const ir_attr *halo = ir_attr_find(n->attrs, "halo");
    if (halo)
        ir_set_numbers(fused, "halo", halo->number, halo->count);
    fused->name = n->name;
    fused->place = n->place;
    ir_node *copy = ir_clone_node(fused->region, n, NULL);
    ir_attr_remove(mem, &copy->attrs, "stage");
    ir_attr_remove(mem, &copy->attrs, "halo");
    copy->name = NULL;
    copy->place = (ir_place){SEG_NONE, 0};
    for (int i = 0; i < n->nin; i++) {
        if (!mem_is_leaf(n->in[i])) {
            copy->in[i] = select_input(fused, n->in[i]);
            continue;
        }
        fused->region->before = copy;
        copy->in[i] = ir_clone_node(fused->region, n->in[i], NULL);
        ir_attr_remove(mem, &copy->in[i]->attrs, "stage");
        fused->region->before = NULL;
    }
    if (n->type.dtype != IR_NONE) {
        ir_result_add(fused->region, NULL, copy);
        ir_replace_uses(g, n, fused);
    }
    g->before = NULL;
    ir_unlink(n);
}

/* Leaves become kernels only where something needs them in memory. */
static void wrap_all(ir_graph *g)
{
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (mem_is_bare(n) && !mem_is_leaf(n))
            wrap(n);
    }
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!mem_is_leaf(n))
            continue;
        if (ir_is_used(g, n))
            wrap(n);
        else
            ir_unlink(n);
    }
}

/* A kernel that neither gives nor assigns anything needs no plan. With simplify disabled there are such. */
static void drop_idle(ir_graph *g)
{
    for (ir_node *n = g->last, *before; n; n = before) {
        before = n->prev;
        if (n->op == IR_FUSED && !n->region->nresults && !ir_has_effect(n))
            ir_unlink(n);
    }
}

/* ---- plans ---- */

static void plan_batch_reduce(ir_node *fused, int64_t max_batch)
{
    int64_t work = 0, leaves = (max_batch + IR_LEAF - 1) / IR_LEAF;
    for (ir_node *n = fused->region->first; n; n = n->next) {
        if (n->op != IR_REDUCE)
            continue;
        work += ir_count(&n->in[0]->type, max_batch);
        if (leaves > 1)
            select_scratch(fused, n->type.dtype, leaves, ir_static_count(&n->type));
    }
    ir_set_ints(fused, "plan", (const int64_t[]){leaves > 1 && work > LITTLE ? 2 : 1, KEPT_ELEMENTS}, 2);
}

static void plan_kernels(ir_graph *g)
{
    ir_target target = mem_target(g->module);
    int64_t max_batch = mem_max_batch(g->module);
    for (ir_node *n = g->first; n; n = n->next) {
        if (n->op != IR_FUSED)
            continue;
        if (ir_word_is(n, "kind", "contraction") && contraction_core(n))
            select_contraction(n, &target, max_batch);
        else if (ir_word_is(n, "kind", "batch_reduce"))
            plan_batch_reduce(n, max_batch);
        else if (!ir_word_is(n, "kind", "gemm"))
            ir_set_int(n, "plan", ELEMENTS);
    }
    for (ir_node *n = g->first; n; n = n->next) /* the copies that packing made, which stand before their users */
        if (n->op == IR_FUSED && !ir_attr_find(n->attrs, "plan"))
            ir_set_int(n, "plan", ELEMENTS);
}

bool pass_select(ir_module *m, diag *d)
{
    (void)d;
    ir_target target = mem_target(m);
    int64_t max_batch = mem_max_batch(m);
    for (ir_graph *g = m->functions; g; g = g->next) {
        wrap_all(g);
        drop_idle(g);
        for (ir_node *n = g->first; n; n = n->next) {
            if (n->op == IR_FUSED && ir_word_is(n, "kind", "contraction") && contraction_core(n))
                select_operands(n, &target, max_batch);
            else if (n->op == IR_FUSED && ir_word_is(n, "kind", "window"))
                select_filter(n);
        }
        select_gemm(g);
        plan_kernels(g);
    }
    ir_attr_set_ints(m->mem, &m->attrs, "planned_batch", &max_batch, 1);
    return true;
}
