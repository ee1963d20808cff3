/* frontend/catalogue/metrics.c - the metric catalogue: the tables of its families, which stand in metrics/.
 *
 * A metric is made of sums over all examples, so it is exact over an epoch whatever the batches were. The sums are
 * states, the formula is the host's (runtime/lamina_abi.h). */
#include "frontend/catalogue/metrics/metrics.h"

fe_measure fe_measure_of(const fe_metric_kind *k, const fe_choice *c, const fe_loss *l)
{
    fe_measure m = k->measure;
    if (k->adjust)
        k->adjust(&m, c, l);
    return m;
}

static const fe_rows *const tables[] = {&fe_answer_metrics, &fe_class_metrics, &fe_value_metrics, &fe_score_metrics,
                                        NULL};

const fe_catalogue fe_metrics = {"metric", tables, {{"loss", FE_NAME, NULL}, {"name", FE_NAME, NULL}}, NULL};
