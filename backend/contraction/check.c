/* backend/contraction/check.c - whether a kernel of kind `contraction` can be lowered at all, since a text may have
 * been edited. It must hold exactly one contraction, of f32, must not overwrite an operand of it, and where a
 * convolution reads beyond an image there must be zeros in memory. */
#include "backend/contraction/tile.h"

const ir_node *tile_find_contraction(const lowering *l, diag *d)
{
    const ir_node *found = NULL;
    for (const ir_node *n = l->region->first; n; n = n->next) {
        if (!lower_is_core(n))
            continue;
        if (found || (n->op != IR_DOT_GENERAL && n->op != IR_CONVOLUTION)) {
            lower_unsupported(n, d, "a second contraction or a reduction in one kernel");
            return NULL;
        }
        found = n;
    }
    if (!found)
        lower_unsupported(l->fused, d, "a contraction kernel without contraction");
    return found;
}

/* Zeros lie around the lhs as far as the convolution reads. */
static bool has_zeros(const contraction *c)
{
    int64_t low[IR_MAX_RANK], high[IR_MAX_RANK];
    contraction_reach(c->node, low, high);
    const ir_attr *halo = ir_attr_find(affine_memory(c->lhs.input)->attrs, "halo");
    for (int i = 0; i < c->node->in[0]->type.rank; i++) {
        if (low[i] <= 0 && high[i] <= 0)
            continue;
        bool direct = c->node->in[0] == c->lhs.input && halo && 2 * i + 1 < halo->count;
        if (!direct || (int64_t)halo->number[2 * i] < low[i] || (int64_t)halo->number[2 * i + 1] < high[i])
            return false;
    }
    return true;
}

static bool assigns_operand(const lowering *l, const contraction *c)
{
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_ASSIGN &&
            (affine_memory(c->lhs.input)->symbol == n->symbol || affine_memory(c->rhs.input)->symbol == n->symbol))
            return true;
    return false;
}

bool tile_check_contraction(const lowering *l, const contraction *c, bool own_zeros, diag *d)
{
    const ir_node *n = c->node;
    if (n->type.dtype != IR_F32)
        return lower_unsupported(n, d, "another element type than f32");
    if (!own_zeros && !has_zeros(c))
        return lower_unsupported(n, d, "padding of an operand without zeros around it");
    if (assigns_operand(l, c))
        return lower_unsupported(n, d, "an assign of its own operand");
    return lower_check_shapes(l, &n->type, NULL, d);
}
