/* frontend/catalogue/metrics/scores.c - metrics of the order of all scores: auc, average_precision. The host makes them
 * of what evaluate gives and of the labels, so they have no graph. */
#include "frontend/catalogue/metrics/metrics.h"

/* Labels are read by the host, which knows an input's numbers and no scale. */
static bool check_scores(fe_reader *r, const fe_choice *c, const fe_loss *l)
{
    const char *name = c->kind->name;
    if (!l->kind->classes && !fe_is_of_truths(l))
        return fe_mismatch(r, c->at, name, "a loss with class labels, or on yes and no (softmax_cross_entropy, ...)",
                           l->kind->kind.name);
    if (l->in[0].is_input)
        return fe_mismatch(r, c->at, name, "logits of a layer", "an input");
    if (!l->in[1].is_input || l->scaled)
        return fe_mismatch(r, c->at, name, "labels that are an input without a scale", "others");
    return fe_check_average(r, fe_get(c, "average"));
}

static void adjust_scores(fe_measure *m, const fe_choice *c, const fe_loss *l)
{
    (void)l;
    m->average = fe_get(c, "average")->word;
}

#define OF_SCORES(name)                                                                                                \
    METRIC(name, "average", true, check_scores, adjust_scores, MEASURE(#name, NULL), {"average", FE_NAME, "macro"})

static const fe_metric_kind rows[] = {
    OF_SCORES(auc),
    OF_SCORES(average_precision),
};

const fe_rows fe_score_metrics = FE_ROWS(rows);
