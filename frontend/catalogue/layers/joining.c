/* frontend/catalogue/layers/joining.c - layers that make one value of several, element by element or side by side. */
#include "frontend/catalogue/layers/layers.h"
#include <inttypes.h>
#include <math.h>

static bool differing_input(fe_reader *r, const fe_layer *l, int index)
{
    const fe_option *inputs = fe_get(l->options, "inputs");
    return fe_mismatch(r, inputs->name_at[index], inputs->names[index], fe_describe_type(r->mem, &l->in_type[0]),
                       fe_describe_type(r->mem, &l->in_type[index]));
}

static bool shape_alike(fe_reader *r, fe_layer *l)
{
    l->type = l->in_type[0];
    for (int i = 1; i < l->nin; i++)
        if (!ir_shape_equal(&l->in_type[i], &l->type))
            return differing_input(r, l, i);
    return true;
}

static ir_node *combined(fe_builder *b, const fe_layer *l, ir_node *const *in,
                         ir_node *(*combine)(ir_graph *g, ir_node *x, ir_node *y))
{
    ir_node *all = in[0];
    for (int i = 1; i < l->nin; i++)
        all = combine(b->g, all, in[i]);
    return all;
}

static ir_node *build_add(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return combined(b, l, in, ir_add);
}

static ir_node *build_subtract(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return combined(b, l, in, ir_subtract);
}

static ir_node *build_multiply(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return combined(b, l, in, ir_multiply);
}

static ir_node *build_maximum(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return combined(b, l, in, ir_maximum);
}

static ir_node *build_minimum(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return combined(b, l, in, ir_minimum);
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
    return shape_alike(r, l);
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

/* log(sum of w softmax(x)), by each summand's logarithm, as probabilities themselves may be too small for f32. */
static ir_node *build_mixture(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node **log_part = arena_new_array(b->m->mem, ir_node *, (size_t)l->nin), *highest = NULL, *sum = NULL;
    for (int i = 0; i < l->nin; i++) {
        ir_node *x = fe_log_softmax(g, in[i]);
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

/* ---- dot ---- */

/* The dimension of input 'index' that is summed over, from 1; 0: the key names none. */
static int summed_axis(const fe_layer *l, int index)
{
    int64_t axis = fe_get(l->options, "axes")->list[index];
    return axis < l->in_type[index].rank ? (int)axis : 0;
}

static bool shape_dot(fe_reader *r, fe_layer *l)
{
    const fe_option *axes = fe_get(l->options, "axes");
    ir_type t = fe_batched_type(0, NULL);
    for (int i = 0; i < 2; i++) {
        const ir_type *x = &l->in_type[i];
        int axis = summed_axis(l, i);
        if (!axis) {
            const char *expected = arena_printf(r->mem, "dimensions of '%s' from 1 to %d",
                                                fe_get(l->options, "inputs")->names[i], x->rank - 1);
            return fe_mismatch(r, axes->at, "axes", expected, arena_printf(r->mem, "%" PRId64, axes->list[i]));
        }
        for (int j = 1; j < x->rank; j++)
            if (j != axis && t.rank < IR_MAX_RANK)
                t.dim[t.rank++] = x->dim[j];
    }
    int64_t n = l->in_type[0].dim[summed_axis(l, 0)].n, m = l->in_type[1].dim[summed_axis(l, 1)].n;
    if (n != m)
        return fe_mismatch(r, axes->present ? axes->at : l->at, "axes", "dimensions of one size",
                           arena_printf(r->mem, "%" PRId64 " and %" PRId64, n, m));
    int rank = l->in_type[0].rank + l->in_type[1].rank - 4;
    if (rank >= IR_MAX_RANK)
        return fe_mismatch(r, l->at, "dot", arena_printf(r->mem, "a result of at most %d dimensions", IR_MAX_RANK - 1),
                           arena_printf(r->mem, "%d", rank));
    if (t.rank == 1)
        t.dim[t.rank++] = (ir_dim){.n = 1};
    l->type = t;
    return fe_check_size(r, l->at, l->name, &t);
}

/* x over its length along a dimension, as Keras: by rsqrt(max(sum of squares, 1e-12)). */
static ir_node *normalized(ir_graph *g, ir_node *x, int axis)
{
    int64_t dims[IR_MAX_RANK];
    int count = 0;
    ir_node *squares = ir_reduce(g, "sum", ir_multiply(g, x, x), (int64_t[]){axis}, 1);
    ir_node *inverse = ir_rsqrt(g, ir_maximum(g, squares, ir_like(g, squares, 1e-12)));
    for (int i = 0; i < x->type.rank; i++)
        if (i != axis)
            dims[count++] = i;
    return ir_multiply(g, x, ir_broadcast_in_dim(g, inverse, x->type, dims));
}

static ir_node *build_dot(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_node *x[2];
    ir_dot dot = {.lhs_batch_count = 1, .contract_count = 1};
    for (int i = 0; i < 2; i++)
        x[i] = fe_get_bool(l->options, "normalize") ? normalized(b->g, in[i], summed_axis(l, i)) : in[i];
    dot.lhs_contract[0] = summed_axis(l, 0);
    dot.rhs_contract[0] = summed_axis(l, 1);
    ir_node *y = ir_dot_general(b->g, x[0], x[1], &dot);
    return y->type.rank < l->type.rank ? ir_reshape(b->g, y, l->type.rank, l->type.dim) : y;
}

static const fe_layer_kind rows[] = {
    LAYER(add, SEVERAL, "inputs", shape_alike, build_add, {0}),
    LAYER(subtract, TWO, "inputs", shape_alike, build_subtract, {0}),
    LAYER(multiply, SEVERAL, "inputs", shape_alike, build_multiply, {0}),
    LAYER(maximum, SEVERAL, "inputs", shape_alike, build_maximum, {0}),
    LAYER(minimum, SEVERAL, "inputs", shape_alike, build_minimum, {0}),
    LAYER(dot, TWO, "inputs", shape_dot, build_dot, KEY("axes", FE_PAIR, "1"), KEY("normalize", FE_BOOL, "false")),
    LAYER(average, SEVERAL, "inputs", shape_average, build_average, KEY("weights", FE_NUMBERS, NULL)),
    LAYER(mixture, SEVERAL, "inputs", shape_mixture, build_mixture, KEY("weights", FE_NUMBERS, NULL)),
    LAYER(concatenate, SEVERAL, "inputs", shape_concatenate, build_concatenate, KEY("axis", FE_AXIS, "-1")),
};

const fe_rows fe_joining_layers = FE_ROWS(rows);
