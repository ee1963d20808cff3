/* frontend/catalogue/layers/reshaping.c - the same elements in another shape or order, or repeated. */
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

/* ---- permute, repeat_vector ---- */

/* As in Keras the key counts dimensions from 1, the batch being none of them. */
static bool shape_permute(fe_reader *r, fe_layer *l)
{
    const fe_option *dims = fe_get(l->options, "dims");
    int rank = l->in_type[0].rank - 1;
    unsigned seen = 0;
    for (int i = 0; i < dims->count; i++)
        if (dims->list[i] <= rank)
            seen |= 1u << (dims->list[i] - 1);
    if (dims->count != rank || seen != (1u << rank) - 1) {
        const char *expected = arena_printf(r->mem, "each of 1 to %d once", rank);
        const char *found = "";
        for (int i = 0; i < dims->count; i++)
            found = arena_printf(r->mem, "%s%s%" PRId64, found, i ? ", " : "", dims->list[i]);
        return fe_mismatch(r, dims->at, "dims", expected, arena_printf(r->mem, "[%s]", found));
    }
    l->type = l->in_type[0];
    for (int i = 0; i < rank; i++)
        l->type.dim[i + 1] = l->in_type[0].dim[dims->list[i]];
    return true;
}

static ir_node *build_permute(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    int64_t permutation[IR_MAX_RANK] = {0};
    for (int i = 1; i < l->type.rank; i++)
        permutation[i] = fe_get(l->options, "dims")->list[i - 1];
    return ir_transpose(b->g, in[0], permutation);
}

static bool shape_repeat_vector(fe_reader *r, fe_layer *l)
{
    if (!fe_expect_vector(r, l))
        return false;
    l->type = fe_batched_type(2, (int64_t[]){fe_get_int(l->options, "n"), fe_last_size(&l->in_type[0])});
    return fe_check_size(r, l->at, l->name, &l->type);
}

static ir_node *build_repeat_vector(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return ir_broadcast_in_dim(b->g, in[0], l->type, (int64_t[]){0, 2});
}

static const fe_layer_kind rows[] = {
    LAYER(flatten, ONE, NULL, shape_flatten, build_reshape, {0}),
    LAYER(reshape, ONE, "target_shape", shape_reshape, build_reshape, KEY("target_shape", FE_TARGET, FE_REQUIRED)),
    LAYER(permute, ONE, "dims", shape_permute, build_permute, KEY("dims", FE_SHAPE, FE_REQUIRED)),
    LAYER(repeat_vector, ONE, "n", shape_repeat_vector, build_repeat_vector, KEY("n", FE_COUNT, FE_REQUIRED)),
};

const fe_rows fe_reshaping_layers = FE_ROWS(rows);
