/* frontend/catalogue/metrics/classes.c - metrics made of how often classes are said, are true, and both: precision,
 * recall, f1, iou of one class, of all elements or averaged over classes; and the matrix that counts each pair. */
#include "frontend/catalogue/metrics/metrics.h"
#include <inttypes.h>
#include <string.h>

/* ---- of one class, or of yes and no ---- */

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
    fe_answers a = fe_read_answers(g, l, in);
    if (!fe_is_of_truths(l)) {
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

/* ---- of every class ---- */

static const char *const averages[] = {"macro", "micro", "weighted", "none"};

enum { AVERAGES = sizeof averages / sizeof *averages };

/* Which of numbers along a new last dimension each one is, as i1. */
static ir_node *one_hot(ir_graph *g, ir_node *number, int64_t classes)
{
    ir_type wide = number->type;
    int64_t dims[IR_MAX_RANK];
    for (int i = 0; i < wide.rank; i++)
        dims[i] = i;
    wide.dim[wide.rank++] = (ir_dim){classes, false};
    ir_node *each = ir_broadcast_in_dim(g, number, wide, dims);
    return ir_compare(g, "EQ", each, ir_iota(g, wide, wide.rank - 1));
}

/* i1 of [B, ..., rows, ...] without dimension 'dim', the rows: how many of them are 1. */
static ir_node *count_rows(ir_graph *g, ir_node *x, int dim)
{
    ir_dim dims[IR_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->type.rank; i++)
        if (i != dim)
            dims[rank++] = x->type.dim[i];
    if (x->type.dim[dim].n == 1)
        return ir_reshape(g, x, rank, dims);
    return ir_reduce(g, "sum", ir_convert(g, x, IR_F32), (int64_t[]){dim}, 1);
}

/* [B, 3, classes] of class numbers: a row that is right counts as its class, one that is wrong as -1, which none is. */
static ir_node *count_numbers(ir_graph *g, fe_answers a, int64_t classes)
{
    ir_node *hit = ir_compare(g, "EQ", a.said, a.true_one);
    ir_node *numbers[3] = {ir_select(g, hit, a.said, ir_like(g, a.said, -1)), a.said, a.true_one};
    const ir_dim dims[3] = {a.said->type.dim[0], {ir_static_count(&a.said->type), false}, {1, false}};
    for (int i = 0; i < 3; i++)
        numbers[i] = ir_reshape(g, numbers[i], 3, dims);
    ir_node *all = ir_concatenate(g, numbers, 3, 2);
    if (dims[1].n == 1) { /* without the rows from here on: there is no more than a comparison to fuse */
        all = ir_reshape(g, all, 2, (const ir_dim[]){dims[0], {3, false}});
        return one_hot(g, all, classes);
    }
    return count_rows(g, one_hot(g, all, classes), 1);
}

/* The same of yes and no for each place in the last dimension. */
static ir_node *count_truths(ir_graph *g, fe_answers a, int64_t places)
{
    const ir_dim dims[4] = {
        a.said->type.dim[0], {1, false}, {ir_static_count(&a.said->type) / places, false}, {places, false}};
    ir_node *truths[3] = {ir_and(g, a.said, a.true_one), a.said, a.true_one};
    for (int i = 0; i < 3; i++)
        truths[i] = ir_reshape(g, truths[i], 4, dims);
    return count_rows(g, ir_concatenate(g, truths, 3, 1), 2);
}

static fe_quotient build_counts(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    (void)c;
    fe_answers a = fe_read_answers(b->g, l, in);
    int64_t classes = fe_metric_classes(l);
    return (fe_quotient){fe_is_of_truths(l) ? count_truths(b->g, a, classes) : count_numbers(b->g, a, classes), NULL};
}

bool fe_check_average(fe_reader *r, const fe_option *average)
{
    for (int i = 0; i < AVERAGES; i++)
        if (!strcmp(averages[i], average->word))
            return true;
    return fe_unknown(r, average->at, "average", average->word, averages, AVERAGES);
}

/* One class, or an average over all; of yes and no, without either, all elements together. */
static bool check_classes(fe_reader *r, const fe_choice *c, const fe_loss *l)
{
    const fe_option *of = fe_get(c, "of"), *average = fe_get(c, "average");
    if (!fe_check_answers(r, c, l))
        return false;
    if (of->present && average->present)
        return fe_mismatch(r, average->at, "average", "one of 'of' and 'average'", "both");
    if (average->present)
        return fe_check_average(r, average);
    if (fe_is_of_truths(l))
        return !of->present ||
               fe_mismatch(r, of->at, "of", "a loss on classes, of which it is one", l->kind->kind.name);
    int64_t classes = fe_metric_classes(l);
    if (!of->present)
        return fe_missing(r, c->at, c->kind->name, "of",
                          "the number of the class that is measured, or 'average: macro' or its like");
    return of->list[0] < classes ||
           fe_mismatch(r, of->at, "of", arena_printf(r->mem, "a class below %" PRId64, classes),
                       arena_printf(r->mem, "%" PRId64, of->list[0]));
}

/* Averages are made of counts that all metrics of a loss share. */
static void adjust_classes(fe_measure *m, const fe_choice *c, const fe_loss *l)
{
    const fe_option *average = fe_get(c, "average");
    if (average->present)
        *m = (fe_measure){.formula = c->kind->name,
                          .average = average->word,
                          .shared = "classes",
                          .rank = 2,
                          .dim = {3, fe_metric_classes(l)},
                          .build = build_counts};
    else
        m->counts = true;
}

/* ---- every class against every other ---- */

/* [B, rows] of class numbers; yes and no are two classes of all elements. */
static ir_node *flat(ir_graph *g, ir_node *x)
{
    ir_node *number = x->type.dtype == IR_I1 ? ir_convert(g, x, IR_I32) : x;
    const ir_dim dims[2] = {x->type.dim[0], {ir_static_count(&x->type), false}};
    return ir_reshape(g, number, 2, dims);
}

static int64_t matrix_classes(const fe_loss *l)
{
    return fe_is_of_truths(l) ? 2 : fe_metric_classes(l);
}

/* Products of whole numbers in f32 are exact up to 2^24 rows, so an example that has many is counted by itself. */
static fe_quotient build_matrix(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    (void)c;
    ir_graph *g = b->g;
    fe_answers a = fe_read_answers(g, l, in);
    ir_node *is = flat(g, a.true_one), *says = flat(g, a.said);
    int64_t classes = matrix_classes(l);
    ir_node *rows = ir_convert(g, one_hot(g, is, classes), IR_F32);
    ir_node *columns = ir_convert(g, one_hot(g, says, classes), IR_F32);
    const ir_dot few = {.contract_count = 2, .lhs_contract = {0, 1}, .rhs_contract = {0, 1}};
    const ir_dot many = {.lhs_batch_count = 1, .contract_count = 1, .lhs_contract = {1}, .rhs_contract = {1}};
    return (fe_quotient){ir_dot_general(g, rows, columns, is->type.dim[1].n > 64 ? &many : &few), NULL};
}

static void adjust_matrix(fe_measure *m, const fe_choice *c, const fe_loss *l)
{
    (void)c;
    m->shared = "matrix";
    m->evaluated = true;
    m->rank = 2;
    m->dim[0] = m->dim[1] = matrix_classes(l);
}

#define OF_CLASS(name, builds)                                                                                         \
    METRIC(name, "of", true, check_classes, adjust_classes, MEASURE("mean", builds), {"of", FE_WHOLE, NULL},           \
           {"average", FE_NAME, NULL})

static const fe_metric_kind rows[] = {
    OF_CLASS(precision, build_precision),
    OF_CLASS(recall, build_recall),
    OF_CLASS(f1, build_f1),
    OF_CLASS(iou, build_iou),
    METRIC(confusion_matrix, NULL, true, fe_check_answers, adjust_matrix, MEASURE("confusion_matrix", build_matrix),
           NONE),
    METRIC(matthews, NULL, true, fe_check_answers, adjust_matrix, MEASURE("matthews", build_matrix), NONE),
    METRIC(cohen_kappa, NULL, true, fe_check_answers, adjust_matrix, MEASURE("cohen_kappa", build_matrix), NONE),
};

const fe_rows fe_class_metrics = FE_ROWS(rows);
