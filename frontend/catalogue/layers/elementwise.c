/* frontend/catalogue/layers/elementwise.c - layers that take each element by itself: activation, prelu. */
#include "frontend/catalogue/layers/layers.h"
#include <inttypes.h>

static ir_node *build_activation(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return fe_activated(b, l, in[0]);
}

/* He et al. 2015: a slope an element, or one for all along the shared axes, which are counted from 1 as in Keras. */
static bool shape_prelu(fe_reader *r, fe_layer *l)
{
    const fe_option *shared = fe_get(l->options, "shared_axes");
    if (!fe_expect_features(r, l))
        return false;
    l->type = l->in_type[0];
    int rank = l->type.rank - 1;
    int64_t sizes[IR_MAX_RANK];
    for (int i = 0; i < rank; i++)
        sizes[i] = l->type.dim[i + 1].n;
    for (int i = 0; shared->present && i < shared->count; i++) {
        if (shared->list[i] > rank) {
            const char *expected = arena_printf(r->mem, "numbers from 1 to %d", rank);
            return fe_mismatch(r, shared->at, "shared_axes", expected,
                               arena_printf(r->mem, "%" PRId64, shared->list[i]));
        }
        sizes[shared->list[i] - 1] = 1;
    }
    return fe_add_param(r, l, "alpha", fe_plain_type(rank, sizes), fe_init_of(l, "alpha_initializer", 1, 1));
}

/* alpha without its dimensions of 1 that x has larger, and then spread over x. */
static ir_node *spread_alpha(fe_builder *b, const fe_layer *l, const ir_node *x)
{
    ir_node *alpha = fe_use_param(b, l, "alpha");
    ir_dim kept[IR_MAX_RANK];
    int64_t dims[IR_MAX_RANK];
    int count = 0;
    for (int i = 0; i < alpha->type.rank; i++)
        if (alpha->type.dim[i].n == x->type.dim[i + 1].n) {
            kept[count] = alpha->type.dim[i];
            dims[count++] = i + 1;
        }
    if (count < alpha->type.rank)
        alpha = ir_reshape(b->g, alpha, count, kept);
    return ir_broadcast_in_dim(b->g, alpha, x->type, dims);
}

static ir_node *build_prelu(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_node *x = in[0];
    ir_node *below = ir_compare(b->g, "LE", x, ir_like(b->g, x, 0));
    ir_node *sloped = ir_multiply(b->g, x, spread_alpha(b, l, x));
    return ir_select(b->g, below, sloped, x);
}

static const fe_layer_kind rows[] = {
    LAYER(activation, ONE, "activation", fe_shape_same, build_activation,
          KEY("activation", FE_ACTIVATION, FE_REQUIRED)),
    LAYER(prelu, ONE, NULL, shape_prelu, build_prelu, KEY("shared_axes", FE_SHAPE, NULL),
          KEY("alpha_initializer", FE_INITIALIZER, "zeros"), KEY("alpha_regularizer", FE_REGULARIZER, NULL)),
};

const fe_rows fe_elementwise_layers = FE_ROWS(rows);
