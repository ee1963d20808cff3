/* runtime/model/ranking.h - metrics of the order of all scores: see ranking.c. */
#ifndef RUNTIME_RANKING_H
#define RUNTIME_RANKING_H

#include "runtime/lamina.h"

typedef struct lamina_ranking lamina_ranking;

/* Memory for the outputs that evaluate gives of at most max_batch examples, named in m->ranked; once. */
lamina_status lamina_ranking_begin(lamina_model *m, lamina_error *e);
/* The scores and labels of the piece that evaluate has just seen. */
lamina_status lamina_ranking_add(lamina_model *m, lamina_error *e);
void lamina_ranking_reset(lamina_model *m);
void lamina_ranking_free(lamina_model *m);
/* How many classes a metric has scores of. */
int64_t lamina_ranking_classes(const lamina_net *net, const lamina_metric *metric);
/* Each class's value, or that of the metric's average; NaN where there is none. */
double lamina_ranking_value(const lamina_model *m, const lamina_metric *metric);
/* False, and nothing written: there are no scores. */
bool lamina_ranking_each(const lamina_model *m, const lamina_metric *metric, double *out);

#endif
