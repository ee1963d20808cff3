/* frontend/catalogue/layers/joining.c - layers that make one value of several: add, concatenate. */
#include "frontend/catalogue/layers/layers.h"
#include <inttypes.h>

static bool differing_input(fe_reader *r, const fe_layer *l, int index)
{
    const fe_option *inputs = fe_get(l->options, "inputs");
    return fe_mismatch(r, inputs->name_at[index], inputs->names[index], fe_describe_type(r->mem, &l->in_type[0]),
                       fe_describe_type(r->mem, &l->in_type[index]));
}

static bool shape_add(fe_reader *r, fe_layer *l)
{
    l->type = l->in_type[0];
    for (int i = 1; i < l->nin; i++)
        if (!ir_shape_equal(&l->in_type[i], &l->type))
            return differing_input(r, l, i);
    return true;
}

static ir_node *build_add(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_node *sum = in[0];
    for (int i = 1; i < l->nin; i++)
        sum = ir_add(b->g, sum, in[i]);
    return sum;
}

/* The axis as in Keras: 0 is the batch, negative ones count from the end. 0 stands for one that is none. */
static int joined_axis(const fe_layer *l)
{
    int64_t axis = fe_get_int(l->options, "axis");
    int rank = l->in_type[0].rank;
    if (axis < 0)
        axis += rank;
    return axis > 0 && axis < rank ? (int)axis : 0;
}

static bool shape_concatenate(fe_reader *r, fe_layer *l)
{
    int axis = joined_axis(l);
    if (!axis) {
        const char *expected = arena_printf(r->mem, "1 to %d, or -1 and below from the end", l->in_type[0].rank - 1);
        const fe_option *given = fe_get(l->options, "axis");
        return fe_mismatch(r, given->at, "axis", expected, arena_printf(r->mem, "%" PRId64, given->list[0]));
    }
    l->type = l->in_type[0];
    for (int i = 1; i < l->nin; i++) {
        ir_type same = l->in_type[i];
        if (same.rank == l->type.rank)
            same.dim[axis].n = l->in_type[0].dim[axis].n;
        if (!ir_shape_equal(&same, &l->in_type[0]))
            return differing_input(r, l, i);
        l->type.dim[axis].n += l->in_type[i].dim[axis].n;
    }
    return true;
}

static ir_node *build_concatenate(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return ir_concatenate(b->g, in, l->nin, joined_axis(l));
}

static const fe_layer_kind rows[] = {
    LAYER(add, SEVERAL, "inputs", shape_add, build_add, {0}),
    LAYER(concatenate, SEVERAL, "inputs", shape_concatenate, build_concatenate, KEY("axis", FE_AXIS, "-1")),
};

const fe_rows fe_joining_layers = FE_ROWS(rows);
