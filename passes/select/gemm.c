/* passes/select/gemm.c - the part of pass select that leaves matrix products to a library of the host's.
 *     %1 = fused "dense1.forward" (%x, %w, %b) {kind = contraction} { dot_general, add, maximum }
 *         =>   %f = call_value {field = sgemm} : i64[]
 *              %2 = fused "dense1.forward.gemm" (%x, %w, %f) {kind = gemm, plan = [16]} { dot_general }
 *              %1 = fused "dense1.forward" (%b, %2) {kind = elementwise} { add, maximum }
 *
 * A library knows nothing of what was fused to a product, so that becomes a kernel of its own. Products that are none
 * of matrices where they lie, convolutions, and products fused with what is not elementwise stay contractions. The plan
 * is the rows of a task: tasks do not depend on the number of workers, so results do not either. */
#include "ir/contraction/product.h"
#include "ir/graph/build.h"
#include "passes/memory.h"
#include "passes/select/select.h"
#include <string.h>

static bool is_heavy(const ir_node *n)
{
    switch (n->op) {
    case IR_REDUCE:
    case IR_REDUCE_WINDOW:
    case IR_SELECT_AND_SCATTER:
    case IR_WINOGRAD:
    case IR_DOT_GENERAL:
    case IR_CONVOLUTION:
        return true;
    default:
        return false;
    }
}

/* The kernel's product, if all else in it is elementwise work on values of the product's shape. */
static ir_node *only_product(const ir_node *fused)
{
    ir_node *core = NULL;
    for (ir_node *n = fused->region->first; n; n = n->next) {
        if (!is_heavy(n))
            continue;
        if (core || n->op != IR_DOT_GENERAL)
            return NULL;
        core = n;
    }
    for (ir_node *n = fused->region->first; core && n; n = n->next)
        if (n->op == IR_ASSIGN && !ir_shape_equal(&n->in[0]->type, &core->type))
            return NULL;
    for (int i = 0; core && i < fused->region->nresults; i++)
        if (!ir_shape_equal(&fused->region->results[i]->type, &core->type))
            return NULL;
    return core;
}

static int64_t rows_of_task(const contraction *c, const product *p, int64_t max_batch)
{
    enum { TASK = 2000000, TASKS = 16, STEP = 8 };
    if (p->row < 0)
        return 1;
    double operations = 2 * (double)p->depth.n * (p->depth.batch ? (double)max_batch : 1);
    for (int i = 0; i < c->naxes; i++)
        operations *= (double)c->axis[i].n * (c->axis[i].batch ? (double)max_batch : 1);
    int64_t rows = c->axis[p->row].n * (c->axis[p->row].batch ? max_batch : 1);
    int64_t tasks = operations / TASK > TASKS ? TASKS : (int64_t)(operations / TASK) + 1;
    int64_t each = (rows + tasks - 1) / tasks;
    return (each + STEP - 1) / STEP * STEP;
}

/* Is the kernel the product and nothing more? */
static bool is_bare_product(const ir_node *fused, const ir_node *core)
{
    const ir_graph *r = fused->region;
    return r->nresults == 1 && r->results[0] == core && r->last == core && !ir_attr_find(fused->attrs, "halo");
}

/* The product leaves the kernel for one of its own before it. */
static ir_node *take_out(ir_node *fused, ir_node *core)
{
    ir_graph *g = fused->graph;
    arena *mem = g->module->mem;
    g->before = fused;
    ir_node *gemm = select_kernel(g, "gemm", arena_printf(mem, "%s.gemm", fused->label ? fused->label : "kernel"),
                                  ir_int(fused, "stage", 0), fused->loc, core->type);
    g->before = NULL;
    ir_node **map = arena_new_array(mem, ir_node *, (size_t)ir_number(fused->region) + 1);
    ir_result_add(gemm->region, NULL, select_copy(fused, gemm, core, map));
    ir_replace_uses(fused->region, core, select_input(fused, gemm));
    ir_set_word(fused, "kind", "elementwise");
    select_sweep(fused);
    return gemm;
}

static void give_away(ir_node *fused, int64_t max_batch)
{
    ir_node *core = only_product(fused);
    arena *tmp = arena_new();
    contraction c;
    product p;
    bool given = core && contraction_describe(core, 0, tmp, &c) && product_describe(&c, max_batch, &p) &&
                 (is_bare_product(fused, core) || fused->region->last != core);
    int64_t rows = given ? rows_of_task(&c, &p, max_batch) : 0;
    arena_free(tmp);
    if (!given)
        return;
    ir_graph *g = fused->graph;
    ir_node *gemm = is_bare_product(fused, core) ? fused : take_out(fused, core);
    g->before = gemm;
    ir_node *function = ir_call_value(g, "sgemm");
    g->before = NULL;
    function->loc = fused->loc;
    select_input(gemm, function);
    ir_set_word(gemm, "kind", "gemm");
    ir_set_int(gemm, "plan", rows);
}

void select_gemm(ir_graph *g)
{
    const ir_attr *gemm = ir_attr_find(g->module->attrs, "gemm");
    if (!gemm || !gemm->word || strcmp(gemm->word, "openblas") != 0)
        return;
    int64_t max_batch = mem_max_batch(g->module);
    for (ir_node *n = g->first; n; n = n->next)
        if (n->op == IR_FUSED && ir_word_is(n, "kind", "contraction"))
            give_away(n, max_batch);
}
