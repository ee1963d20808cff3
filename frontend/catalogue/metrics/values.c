/* frontend/catalogue/metrics/values.c - metrics of numbers against numbers: mean_absolute_error, mean_squared_error and
 * its root, r2. */
#include "frontend/catalogue/metrics/metrics.h"

static bool check_values(fe_reader *r, const fe_choice *c, const fe_loss *l)
{
    return !l->kind->applies ||
           fe_mismatch(r, c->at, c->kind->name, "a loss on values (mean_squared_error, ...)", l->kind->kind.name);
}

/* ---- errors ---- */

static fe_quotient build_absolute(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    (void)c;
    (void)l;
    return (fe_quotient){fe_mean_each(b->g, ir_abs(b->g, ir_subtract(b->g, in[0], in[1]))), NULL};
}

static ir_node *squared_error(ir_graph *g, ir_node *const *in)
{
    ir_node *error = ir_subtract(g, in[0], in[1]);
    return ir_multiply(g, error, error);
}

static fe_quotient build_squared(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    (void)c;
    (void)l;
    return (fe_quotient){fe_mean_each(b->g, squared_error(b->g, in)), NULL};
}

/* ---- r2 ---- */

/* x as [B, rows, places in the last dimension]. */
static ir_node *as_rows(ir_graph *g, ir_node *x)
{
    int last = x->type.rank - 1;
    int64_t places = last ? x->type.dim[last].n : 1, rows = ir_static_count(&x->type) / places;
    const ir_dim dims[3] = {x->type.dim[0], {rows, false}, {places, false}};
    return ir_reshape(g, x, 3, dims);
}

/* Of [B, rows, places] the sum over the rows, as [B, 1, places]. */
static ir_node *sum_rows(ir_graph *g, ir_node *x)
{
    const ir_dim dims[3] = {x->type.dim[0], {1, false}, x->type.dim[2]};
    return x->type.dim[1].n == 1 ? x : ir_reshape(g, ir_reduce(g, "sum", x, (int64_t[]){1}, 1), 3, dims);
}

/* Sums, for each place, of squared errors, of targets t and of t^2, and how many rows these are of. A variance is what
 * two large numbers leave when they are far from 0, so no bit of t^2 may be lost: in f64 the square of an f32 is
 * exact. */
static fe_quotient build_r2(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    (void)c;
    (void)l;
    ir_graph *g = b->g;
    ir_node *error = ir_convert(g, as_rows(g, squared_error(g, in)), IR_F64);
    ir_node *target = ir_convert(g, as_rows(g, in[1]), IR_F64);
    ir_node *parts[3] = {error, target, ir_multiply(g, target, target)};
    for (int i = 0; i < 3; i++)
        parts[i] = sum_rows(g, parts[i]);
    ir_type each = ir_type_scalar(IR_F32);
    each.rank = 1;
    each.dim[0] = in[0]->type.dim[0];
    const int64_t rows = ir_static_count(&in[0]->type) / fe_metric_classes(l);
    return (fe_quotient){ir_concatenate(g, parts, 3, 1), ir_constant(g, each, (double)rows)};
}

static void adjust_r2(fe_measure *m, const fe_choice *c, const fe_loss *l)
{
    (void)c;
    m->counts = true;
    m->rank = 2;
    m->dim[0] = 3;
    m->dim[1] = fe_metric_classes(l);
}

static const fe_metric_kind rows[] = {
    METRIC(mean_absolute_error, NULL, false, check_values, NULL, MEASURE("mean", build_absolute), NONE),
    METRIC(mean_squared_error, NULL, false, check_values, NULL, MEASURE("mean", build_squared), NONE),
    METRIC(root_mean_squared_error, NULL, false, check_values, NULL, MEASURE("root_mean", build_squared), NONE),
    METRIC(rmse, NULL, false, check_values, NULL, MEASURE("root_mean", build_squared), NONE),
    METRIC(r2, NULL, true, check_values, adjust_r2, MEASURE("r2", build_r2), NONE),
};

const fe_rows fe_value_metrics = FE_ROWS(rows);
