/* frontend/catalogue/losses.c - the loss catalogue: the tables of its families, which stand in losses/, and what their
 * rules have in common. */
#include "frontend/catalogue/losses/losses.h"

/* ---- checking ---- */

bool fe_wrong_argument(fe_reader *r, const fe_loss *l, int index, const char *expected)
{
    const fe_key *key = &l->kind->kind.keys[index];
    const fe_option *given = fe_get(l->options, key->name);
    return fe_mismatch(r, given->present ? given->at : l->at, key->name, expected,
                       fe_describe_type(r->mem, &l->in_type[index]));
}

bool fe_check_equal(fe_reader *r, fe_loss *l)
{
    if (ir_type_equal(&l->in_type[0], &l->in_type[1]))
        return true;
    return fe_wrong_argument(r, l, 1, fe_describe_type(r->mem, &l->in_type[0]));
}

bool fe_check_vectors(fe_reader *r, fe_loss *l)
{
    if (l->in_type[0].rank < 2)
        return fe_wrong_argument(r, l, 0, "one dimension or more");
    return fe_check_equal(r, l);
}

/* ---- building ---- */

ir_node *fe_sum_each(ir_graph *g, ir_node *x)
{
    int64_t dims[IR_MAX_RANK];
    int count = x->type.rank - 1;
    for (int i = 0; i < count; i++)
        dims[i] = i + 1;
    return count ? ir_reduce(g, "sum", x, dims, count) : x;
}

ir_node *fe_mean_each(ir_graph *g, ir_node *x)
{
    ir_node *sum = fe_sum_each(g, x);
    return sum == x ? x : ir_divide(g, sum, ir_like(g, sum, (double)ir_static_count(&x->type)));
}

ir_node *fe_scaled(ir_graph *g, ir_node *x, double by)
{
    return ir_multiply(g, x, ir_like(g, x, by));
}

ir_node *fe_smoothed(ir_graph *g, const fe_loss *l, ir_node *t, double of)
{
    double s = fe_get_number(l->options, "label_smoothing");
    if (s == 0)
        return t;
    ir_node *kept = fe_scaled(g, t, 1 - s);
    return ir_add(g, kept, ir_like(g, t, s / of));
}

static const fe_rows *const tables[] = {&fe_value_losses, &fe_class_losses, &fe_truth_losses, NULL};

const fe_catalogue fe_losses = {
    "loss",
    tables,
    {{"weight", FE_NOT_NEGATIVE, "1"}, {"name", FE_NAME, NULL}, {"sample_weights", FE_NAME, NULL}},
    NULL};
