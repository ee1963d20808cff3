/* frontend/catalogue/layers/joining.c - layers that make one value of several: add, average, mixture, concatenate. */
#include "frontend/catalogue/layers/layers.h"
#include <inttypes.h>
#include <math.h>

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

/* ---- means ---- */

/* Weights as parts of 1: those of the key, or equal ones. */
static double weight_of(const fe_layer *l, int index)
{
    const fe_option *weights = fe_get(l->options, "weights");
    double sum = 0;
    for (int i = 0; weights->present && i < weights->count; i++)
        sum += weights->numbers[i];
    return weights->present ? weights->numbers[index] / sum : 1.0 / l->nin;
}

static bool shape_average(fe_reader *r, fe_layer *l)
{
    const fe_option *weights = fe_get(l->options, "weights");
    if (weights->present && weights->count != l->nin)
        return fe_mismatch(r, weights->at, "weights", arena_printf(r->mem, "%d, one for each input", l->nin),
                           arena_printf(r->mem, "%d", weights->count));
    return shape_add(r, l);
}

static ir_node *build_average(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_node *sum = NULL;
    for (int i = 0; i < l->nin; i++) {
        ir_node *part = ir_multiply(b->g, in[i], ir_like(b->g, in[i], weight_of(l, i)));
        sum = sum ? ir_add(b->g, sum, part) : part;
    }
    return sum;
}

static bool shape_mixture(fe_reader *r, fe_layer *l)
{
    return fe_expect_features(r, l) && shape_average(r, l);
}

/* x - max - log(sum e^(x - max)) over the last dimension. */
static ir_node *log_softmax(ir_graph *g, ir_node *x)
{
    ir_node *highest = ir_stop_gradient(g, fe_reduce_last(g, "max", x));
    ir_node *shifted = ir_subtract(g, x, fe_spread_rows(g, highest, x));
    ir_node *log_sum = ir_log(g, fe_reduce_last(g, "sum", ir_exponential(g, shifted)));
    return ir_subtract(g, shifted, fe_spread_rows(g, log_sum, x));
}

/* log(sum of w softmax(x)), by each summand's logarithm, as probabilities themselves may be too small for f32. */
static ir_node *build_mixture(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node **log_part = arena_new_array(b->m->mem, ir_node *, (size_t)l->nin), *highest = NULL, *sum = NULL;
    for (int i = 0; i < l->nin; i++) {
        ir_node *x = log_softmax(g, in[i]);
        log_part[i] = ir_add(g, x, ir_like(g, x, log(weight_of(l, i))));
        highest = highest ? ir_maximum(g, highest, log_part[i]) : log_part[i];
    }
    highest = ir_stop_gradient(g, highest);
    for (int i = 0; i < l->nin; i++) {
        ir_node *part = ir_exponential(g, ir_subtract(g, log_part[i], highest));
        sum = sum ? ir_add(g, sum, part) : part;
    }
    return ir_add(g, highest, ir_log(g, sum));
}

/* ---- concatenate ---- */

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
    LAYER(average, SEVERAL, "inputs", shape_average, build_average, KEY("weights", FE_NUMBERS, NULL)),
    LAYER(mixture, SEVERAL, "inputs", shape_mixture, build_mixture, KEY("weights", FE_NUMBERS, NULL)),
    LAYER(concatenate, SEVERAL, "inputs", shape_concatenate, build_concatenate, KEY("axis", FE_AXIS, "-1")),
};

const fe_rows fe_joining_layers = FE_ROWS(rows);
