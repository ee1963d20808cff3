/* frontend/catalogue/metrics/answers.c - metrics of what a net says and what is true: accuracy, top_k. */
#include "frontend/catalogue/metrics/metrics.h"
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

static ir_node *is_above(ir_graph *g, ir_node *x, double least)
{
    return ir_compare(g, "GT", x, ir_like(g, x, least));
}

bool fe_is_of_truths(const fe_loss *l)
{
    return applies(l, "sigmoid");
}

int64_t fe_metric_classes(const fe_loss *l)
{
    const ir_type *t = &l->in_type[0];
    return t->rank > 1 ? t->dim[t->rank - 1].n : 1;
}

fe_answers fe_read_answers(ir_graph *g, const fe_loss *l, ir_node *const *in)
{
    fe_answers a;
    if (fe_is_of_truths(l)) {
        a.said = is_above(g, in[0], 0);
        a.true_one = is_above(g, in[1], 0.5);
        return a;
    }
    a.said = fe_reduce_last(g, "argmax", in[0]);
    a.true_one = l->kind->classes ? in[1] : fe_reduce_last(g, "argmax", in[1]);
    return a;
}

bool fe_check_answers(fe_reader *r, const fe_choice *c, const fe_loss *l)
{
    return l->kind->applies ||
           fe_mismatch(r, c->at, c->kind->name, "a loss on classes, or on yes and no (softmax_cross_entropy, ...)",
                       kind_of(l));
}

/* ---- accuracy, top_k ---- */

static fe_quotient build_accuracy(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in)
{
    (void)c;
    fe_answers a = fe_read_answers(b->g, l, in);
    ir_node *hit = fe_is_of_truths(l) ? ir_not(b->g, ir_xor(b->g, a.said, a.true_one))
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

static const fe_metric_kind rows[] = {
    METRIC(accuracy, NULL, true, fe_check_answers, NULL, MEASURE("mean", build_accuracy), NONE),
    METRIC(top_k, "k", true, check_top, NULL, MEASURE("mean", build_top), {"k", FE_COUNT, "5"}),
};

const fe_rows fe_answer_metrics = FE_ROWS(rows);
