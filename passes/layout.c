/* passes/layout.c - how values lie in memory.
 *     param @dense1.weight : f32[1024, 2048] {init = uniform}
 *         =>   param @dense1.weight : f32[1024, 2048] {init = uniform, panels = [1, 32]}
 *
 * A large weight of dot_general lies in panels (ir/graph/layout.h), as wide as a register tile's vectors: a product
 * reads a panel from its first byte to its last. In row-major order each step of the sum would touch another page, and
 * rows that lie a power of two apart would fight for few sets of the cache. What an optimizer keeps for the weight, and
 * its gradient, lie as it does, so that the update walks all of them together.
 *
 * A function's results must be values of its own: one that is an input, a parameter, a reshape of something or another
 * result as well gets a copy here (copies.c).
 *
 * Needs:  autodiff and optimize_update done.      Keeps:  values, order.      Leaves: `panels` on symbols. */
#include "ir/graph/layout.h"
#include "ir/contraction/plan.h"
#include "ir/graph/build.h"
#include "passes/copies.h"
#include "passes/memory.h"
#include "passes/passes.h"
#include <string.h>

/* ---- which weights ---- */

static bool takes_panels(const ir_node *user)
{
    switch (user->op) {
    case IR_DOT_GENERAL:
    case IR_TRANSPOSE:
    case IR_REDUCE:
    case IR_ASSIGN:
        return true;
    default:
        return (ir_ops[user->op].traits & OP_ELTWISE) != 0;
    }
}

/* What the nodes that use a symbol's value say. */
typedef struct {
    bool fits;
    int free; /* the dimension that the first product with it as rhs does not sum over; -1: none yet */
} uses;

static void note_use(uses *u, const ir_node *n, const ir_node *user)
{
    u->fits = u->fits && takes_panels(user);
    if (user->op != IR_DOT_GENERAL || user->in[1] != n || u->free >= 0)
        return;
    ir_dot dot;
    ir_dot_read(user, &dot);
    if (dot.contract_count == 1 && dot.lhs_batch_count == 0)
        u->free = 1 - (int)dot.rhs_contract[0];
}

static uses uses_of(const ir_module *m, const ir_symbol *y)
{
    uses u = {true, -1};
    for (const ir_graph *g = m->functions; g; g = g->next) {
        for (const ir_node *n = g->first; n; n = n->next)
            for (int i = 0; i < n->nin; i++)
                if (n->in[i]->symbol == y && n->in[i]->op != IR_ASSIGN)
                    note_use(&u, n->in[i], n);
        for (int i = 0; i < g->nresults; i++)
            u.fits = u.fits && g->results[i]->symbol != y;
    }
    return u;
}

/* "adam.m/dense1.weight" belongs to "dense1.weight". */
static bool belongs_to(const ir_symbol *y, const ir_symbol *weight)
{
    const char *slash = strchr(y->name, '/');
    return slash && !strcmp(slash + 1, weight->name) && ir_type_equal(&y->type, &weight->type);
}

static void lay_in_panels(ir_module *m, ir_symbol *weight, int dim, int64_t width)
{
    const int64_t panels[] = {dim, width};
    for (ir_symbol *y = m->symbols; y; y = y->next)
        if (y == weight || (belongs_to(y, weight) && uses_of(m, y).fits))
            ir_attr_set_ints(m->mem, &y->attrs, "panels", panels, 2);
}

static void lay_out_weights(ir_module *m)
{
    enum { LEAST = 16 };
    ir_target target = mem_target(m);
    int64_t width = CONTRACTION_PANEL * target.vector < LEAST ? LEAST : CONTRACTION_PANEL * target.vector;
    for (ir_symbol *y = m->symbols; y; y = y->next) {
        if (y->segment != SEG_PARAM || y->type.dtype != IR_F32 || y->type.rank != 2 ||
            !mem_is_large(&target, (double)mem_bytes(&y->type, y->attrs, 1)) || ir_attr_find(y->attrs, "panels"))
            continue;
        uses u = uses_of(m, y);
        if (u.fits && u.free >= 0 && y->type.dim[u.free].n % width == 0 && y->type.dim[1 - u.free].n > 1)
            lay_in_panels(m, y, u.free, width);
    }
}

bool pass_layout(ir_module *m, diag *d)
{
    (void)d;
    const ir_attr *gemm = ir_attr_find(m->attrs, "gemm");
    if (!gemm || !gemm->word || strcmp(gemm->word, "openblas")) /* which packs by itself */
        lay_out_weights(m);
    copies_for_results(m);
    return true;
}
