/* frontend/catalogue/losses.c - the loss catalogue: a row a loss, and the rules it points at. A loss gives f32[B], one
 * number an example. */
#include "frontend/catalogue/catalogue.h"

static bool wrong_argument(fe_reader *r, const fe_loss *l, int index, const char *expected)
{
    const fe_key *key = &l->kind->kind.keys[index];
    const fe_option *given = fe_get(l->options, key->name);
    return fe_mismatch(r, given->present ? given->at : l->at, key->name, expected,
                       fe_describe_type(r->mem, &l->in_type[index]));
}

static bool check_error(fe_reader *r, fe_loss *l)
{
    if (ir_type_equal(&l->in_type[0], &l->in_type[1]))
        return true;
    return wrong_argument(r, l, 1, fe_describe_type(r->mem, &l->in_type[0]));
}

/* The mean over an example's elements, f32[B]. */
static ir_node *mean_each(ir_graph *g, ir_node *x)
{
    int64_t dims[IR_MAX_RANK];
    int count = x->type.rank - 1;
    for (int i = 0; i < count; i++)
        dims[i] = i + 1;
    if (!count)
        return x;
    ir_node *sum = ir_reduce(g, "sum", x, dims, count);
    return ir_divide(g, sum, ir_like(g, sum, (double)ir_static_count(&x->type)));
}

static ir_node *build_mean_squared_error(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    ir_node *error = ir_subtract(b->g, in[0], in[1]);
    return mean_each(b->g, ir_multiply(b->g, error, error));
}

static ir_node *build_mean_absolute_error(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    return mean_each(b->g, ir_abs(b->g, ir_subtract(b->g, in[0], in[1])));
}

static bool check_classes(fe_reader *r, fe_loss *l)
{
    if (l->in_type[0].rank != 2)
        return wrong_argument(r, l, 0, "float32 of shape [classes]");
    if (l->in_type[1].rank != 1 || l->in_type[1].dtype != IR_I32)
        return wrong_argument(r, l, 1, "an input of int32 of shape [], without scale");
    return true;
}

/* log(sum e^(x - max)) - (x[label] - max), as a composite: its own gradient, softmax minus one-hot, is exact where the
 * primitive one would cancel. */
static ir_node *build_softmax_cross_entropy(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    ir_graph *g = ir_region_new(b->m);
    g->at = b->g->at;
    ir_node *logits = ir_input_new(g, "logits", in[0]->type), *labels = ir_input_new(g, "labels", in[1]->type);
    ir_type numbers = logits->type;
    numbers.dtype = IR_I32;
    ir_node *highest = ir_stop_gradient(g, fe_reduce_last(g, "max", logits));
    ir_node *shifted = ir_subtract(g, logits, fe_spread_rows(g, highest, logits));
    ir_node *log_sum = ir_log(g, fe_reduce_last(g, "sum", ir_exponential(g, shifted)));
    ir_node *label = fe_spread_rows(g, labels, logits);
    ir_node *chosen = ir_compare(g, "EQ", label, ir_iota(g, numbers, 1));
    ir_node *picked = fe_reduce_last(g, "sum", ir_select(g, chosen, shifted, ir_like(g, shifted, 0)));
    ir_result_add(g, NULL, ir_subtract(g, log_sum, picked));
    return ir_composite(b->g, "softmax_cross_entropy", in, 2, g);
}

#define LOSS(name, of, against, later, check, build, classes)                                                          \
    {                                                                                                                  \
        {#name, NULL, {{of, FE_NAME, NULL}, {against, FE_NAME, NULL}}, later}, check, build, classes                   \
    }

static const fe_loss_kind rows[] = {
    LOSS(mean_squared_error, "predictions", "targets", false, check_error, build_mean_squared_error, false),
    LOSS(mean_absolute_error, "predictions", "targets", false, check_error, build_mean_absolute_error, false),
    LOSS(softmax_cross_entropy, "logits", "labels", false, check_classes, build_softmax_cross_entropy, true),
    LOSS(huber, "predictions", "targets", true, NULL, NULL, false),
    LOSS(sigmoid_cross_entropy, "logits", "labels", true, NULL, NULL, false),
};

const fe_catalogue fe_losses = {
    "loss", FE_ONE_TABLE(rows), {{"weight", FE_NOT_NEGATIVE, "1"}, {"name", FE_NAME, NULL}}};
