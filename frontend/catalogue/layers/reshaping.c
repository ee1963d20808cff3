/* frontend/catalogue/layers/reshaping.c - flatten, reshape: the same elements in another shape. */
#include "frontend/catalogue/layers/layers.h"
#include <inttypes.h>

static bool shape_flatten(fe_reader *r, fe_layer *l)
{
    (void)r;
    int64_t count = ir_static_count(&l->in_type[0]);
    l->type = fe_batched_type(1, &count);
    return true;
}

static bool shape_reshape(fe_reader *r, fe_layer *l)
{
    const fe_option *target = fe_get(l->options, "target_shape");
    int64_t count = ir_static_count(&l->in_type[0]), known = 1;
    int open = -1;
    l->type = fe_batched_type(target->count, target->list);
    for (int i = 0; i < target->count; i++) {
        if (target->list[i] < 0)
            open = i;
        else if (known <= count)
            known *= target->list[i];
    }
    if (open >= 0 && known <= count)
        l->type.dim[open + 1].n = count / known;
    if (open >= 0 ? known <= count && count % known == 0 : known == count)
        return true;
    const char *expected = arena_printf(r->mem, "a shape of %" PRId64 " elements", count);
    const char *found = open >= 0       ? arena_printf(r->mem, "%" PRId64 " in the known dimensions", known)
                        : known > count ? "more"
                                        : arena_printf(r->mem, "%" PRId64, known);
    return fe_mismatch(r, target->at, "target_shape", expected, found);
}

/* Both are one operator: same elements, same order, the shape that was inferred. */
static ir_node *build_reshape(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return ir_reshape(b->g, in[0], l->type.rank, l->type.dim);
}

static const fe_layer_kind rows[] = {
    LAYER(flatten, ONE, NULL, shape_flatten, build_reshape, {0}),
    LAYER(reshape, ONE, "target_shape", shape_reshape, build_reshape, KEY("target_shape", FE_TARGET, FE_REQUIRED)),
};

const fe_rows fe_reshaping_layers = FE_ROWS(rows);
