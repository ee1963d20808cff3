/* frontend/catalogue/metrics.c - the metric catalogue: a row a metric, and the rules it points at.
 *
 * A metric is a quotient of two sums over all examples, so it is exact over an epoch whatever the batches were: of what
 * the arguments of a loss say, one number an example goes into the sum above, and another, or 1, into the one below. */
#include "frontend/catalogue/losses/losses.h"
#include <inttypes.h>
#include <string.h>

static bool applies(const fe_loss *l, const char *activation)
{
    return l->kind->applies && !strcmp(l->kind->applies, activation);
}

static const char *kind_of(const fe_loss *l)
{
    return l->kind->kind.name;
}

/* ---- what is said, and what is true ---- */

/* Class numbers, or yes and no, of each row or element of an example. */
typedef struct {
    ir_node *said, *true_one;
} answers;

static ir_node *is_above(ir_graph *g, ir_node *x, double least)
{
    return ir_compare(g, "GT", x, ir_like(g, x, least));
}

static answers read_answers(ir_graph *g, const fe_loss *l, ir_node *const *in)
{
    answers a;
    if (applies(l, "sigmoid")) {
        a.said = is_above(g, in[0], 0);
        a.true_one = is_above(g, in[1], 0.5);
        return a;
    }
    a.said = fe_reduce_last(g, "argmax", in[0]);
    a.true_one = l->kind->classes ? in[1] : fe_reduce_last(g, "argmax", in[1]);
    return a;
}

static bool check_answers(fe_reader *r, const fe_choice *c, const fe_loss *l)
{
    return l->kind->applies ||
           fe_mismatch(r, c->at, c->kind->name, "a loss on classes, or on yes and no (softmax_cross_entropy, ...)",
                       kind_of(l));
}

/* ---- accuracy, top_k, mean_absolute_error ---- */

static fe_quotient build_accuracy(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    (void)c;
    answers a = read_answers(b->g, l, in);
    ir_node *hit = applies(l, "sigmoid") ? ir_not(b->g, ir_xor(b->g, a.said, a.true_one))
                                         : ir_compare(b->g, "EQ", a.said, a.true_one);
    return (fe_quotient){hit->type.rank > 1 ? fe_mean_each(b->g, ir_convert(b->g, hit, IR_F32)) : hit, NULL};
}

static bool check_top(fe_reader *r, const fe_choice *c, const fe_loss *l)
{
    const fe_option *k = fe_get(c, "k");
    if (!l->kind->classes)
        return fe_mismatch(r, c->at, c->kind->name, "a loss with class labels (softmax_cross_entropy)", kind_of(l));
    int64_t classes = l->in_type[0].dim[1].n;
    return k->list[0] < classes ||
           fe_mismatch(r, k->at, "k", arena_printf(r->mem, "fewer than the %" PRId64 " classes", classes),
                       arena_printf(r->mem, "%" PRId64, k->list[0]));
}

/* Is the label's logit among the k largest? Equal ones do not push it out, NaN does. */
static fe_quotient build_top(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    ir_graph *g = b->g;
    ir_type numbers = in[0]->type;
    numbers.dtype = IR_I32;
    ir_node *label = fe_spread_rows(g, in[1], in[0]);
    ir_node *chosen = ir_compare(g, "EQ", label, ir_iota(g, numbers, 1));
    ir_node *of_label = fe_reduce_last(g, "sum", ir_select(g, chosen, in[0], ir_like(g, in[0], 0)));
    ir_node *no_larger = ir_compare(g, "LE", in[0], fe_spread_rows(g, of_label, in[0]));
    ir_node *larger = fe_reduce_last(g, "sum", ir_convert(g, ir_not(g, no_larger), IR_F32));
    return (fe_quotient){ir_compare(g, "LT", larger, ir_like(g, larger, (double)fe_get_int(c, "k"))), NULL};
}

static bool check_values(fe_reader *r, const fe_choice *c, const fe_loss *l)
{
    return !l->kind->applies ||
           fe_mismatch(r, c->at, c->kind->name, "a loss on values (mean_squared_error, ...)", kind_of(l));
}

static fe_quotient build_absolute(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    (void)c;
    (void)l;
    return (fe_quotient){fe_mean_each(b->g, ir_abs(b->g, ir_subtract(b->g, in[0], in[1]))), NULL};
}

/* ---- what is said of one class ---- */

static bool check_one_class(fe_reader *r, const fe_choice *c, const fe_loss *l)
{
    const fe_option *of = fe_get(c, "of");
    if (!check_answers(r, c, l))
        return false;
    if (applies(l, "sigmoid"))
        return !of->present || fe_mismatch(r, of->at, "of", "a loss on classes, of which it is one", kind_of(l));
    int64_t classes = l->in_type[0].dim[l->in_type[0].rank - 1].n;
    if (!of->present)
        return fe_missing(r, c->at, c->kind->name, "of", "the number of the class that is measured");
    return of->list[0] < classes ||
           fe_mismatch(r, of->at, "of", arena_printf(r->mem, "a class below %" PRId64, classes),
                       arena_printf(r->mem, "%" PRId64, of->list[0]));
}

/* How many rows or elements of an example are said to be of the class, are of it, and both: whole numbers. */
typedef struct {
    ir_node *said, *are, *both;
} counts;

static ir_node *count_each(ir_graph *g, ir_node *truths)
{
    return fe_sum_each(g, ir_convert(g, truths, IR_F32));
}

static counts count_class(ir_graph *g, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    answers a = read_answers(g, l, in);
    if (!applies(l, "sigmoid")) {
        ir_node *number = ir_like(g, a.said, (double)fe_get_int(c, "of"));
        a.said = ir_compare(g, "EQ", a.said, number);
        a.true_one = ir_compare(g, "EQ", a.true_one, number);
    }
    counts n;
    n.said = count_each(g, a.said);
    n.are = count_each(g, a.true_one);
    n.both = count_each(g, ir_and(g, a.said, a.true_one));
    return n;
}

static fe_quotient build_precision(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    counts n = count_class(b->g, c, l, in);
    return (fe_quotient){n.both, n.said};
}

static fe_quotient build_recall(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    counts n = count_class(b->g, c, l, in);
    return (fe_quotient){n.both, n.are};
}

/* The harmonic mean of precision and recall. */
static fe_quotient build_f1(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    counts n = count_class(b->g, c, l, in);
    ir_node *twice = ir_add(b->g, n.both, n.both);
    return (fe_quotient){twice, ir_add(b->g, n.said, n.are)};
}

/* The intersection over the union. */
static fe_quotient build_iou(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    counts n = count_class(b->g, c, l, in);
    ir_node *all = ir_add(b->g, n.said, n.are);
    return (fe_quotient){n.both, ir_subtract(b->g, all, n.both)};
}

/* ---- the table ---- */

#define METRIC(name, short_key, higher, own_count, check, build, ...)                                                  \
    {                                                                                                                  \
        {#name, short_key, {__VA_ARGS__}}, higher, own_count, check, build                                             \
    }
#define OF_CLASS                                                                                                       \
    {                                                                                                                  \
        "of", FE_WHOLE, NULL                                                                                           \
    }

static const fe_metric_kind rows[] = {
    METRIC(accuracy, NULL, true, false, check_answers, build_accuracy, NONE),
    METRIC(top_k, "k", true, false, check_top, build_top, {"k", FE_COUNT, "5"}),
    METRIC(mean_absolute_error, NULL, false, false, check_values, build_absolute, NONE),
    METRIC(precision, "of", true, true, check_one_class, build_precision, OF_CLASS),
    METRIC(recall, "of", true, true, check_one_class, build_recall, OF_CLASS),
    METRIC(f1, "of", true, true, check_one_class, build_f1, OF_CLASS),
    METRIC(iou, "of", true, true, check_one_class, build_iou, OF_CLASS),
};

const fe_catalogue fe_metrics = {
    "metric", FE_ONE_TABLE(rows), {{"loss", FE_NAME, NULL}, {"name", FE_NAME, NULL}}, NULL};
