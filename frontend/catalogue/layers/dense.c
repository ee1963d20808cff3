/* frontend/catalogue/layers/dense.c - matrix products with a learned weight. */
#include "frontend/catalogue/layers/layers.h"

static bool shape_dense(fe_reader *r, fe_layer *l)
{
    int64_t units = fe_get_int(l->options, "units");
    if (!fe_expect_features(r, l))
        return false;
    l->type = l->in_type[0];
    int64_t features = fe_last_size(&l->type);
    l->type.dim[l->type.rank - 1].n = units;
    ir_type weight = fe_plain_type(2, (int64_t[]){features, units});
    return fe_add_param(r, l, "weight", weight, fe_init_of(l, "kernel_initializer", (double)features, (double)units)) &&
           fe_add_bias(r, l, units);
}

static ir_node *build_dense(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return fe_activated(b, l, fe_biased(b, l, ir_matmul(b->g, in[0], fe_use_param(b, l, "weight"))));
}

static const fe_layer_kind rows[] = {
    LAYER(dense, ONE, "units", shape_dense, build_dense, KEY("units", FE_COUNT, FE_REQUIRED), KERNEL_KEYS),
};

const fe_rows fe_dense_layers = FE_ROWS(rows);
