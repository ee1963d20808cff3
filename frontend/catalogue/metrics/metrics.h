/* frontend/catalogue/metrics/metrics.h - the tables of metrics, a file a family, and what their rules share. */
#ifndef FRONTEND_METRICS_H
#define FRONTEND_METRICS_H

#include "frontend/catalogue/losses/losses.h"

extern const fe_rows fe_answer_metrics, fe_class_metrics, fe_value_metrics, fe_score_metrics;

/* name, short key, is higher better, rules, how it is measured, keys of its own (all metrics have loss, name) */
#define METRIC(name, short_key, higher, check, adjust, measure, ...)                                                   \
    {                                                                                                                  \
        {#name, short_key, {__VA_ARGS__}}, higher, check, adjust, measure                                              \
    }
#define MEASURE(of_sums, builds)                                                                                       \
    {                                                                                                                  \
        .formula = of_sums, .build = builds                                                                            \
    }

/* ---- answers.c ---- */

/* Class numbers, i32, or yes and no, i1, of each row or element of an example: what the net says, and what is true. */
typedef struct {
    ir_node *said, *true_one;
} fe_answers;

fe_answers fe_read_answers(ir_graph *g, const fe_loss *l, ir_node *const *in);
/* Is each element a yes or a no by itself? */
bool fe_is_of_truths(const fe_loss *l);
/* The last dimension of what the net says: classes, or things of which each is there or not. */
int64_t fe_metric_classes(const fe_loss *l);
bool fe_check_answers(fe_reader *r, const fe_choice *c, const fe_loss *l);

/* ---- classes.c ---- */

/* Is it macro, micro, weighted or none? */
bool fe_check_average(fe_reader *r, const fe_option *average);

#endif
