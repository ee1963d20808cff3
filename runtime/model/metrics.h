/* runtime/model/metrics.h - what metrics are made of, and how. */
#ifndef RUNTIME_METRICS_H
#define RUNTIME_METRICS_H

#include "runtime/lamina.h"

/* The formula of a kind, and how classes are averaged, LAMINA_METRIC_MACRO and so on; 0: they are not. */
int32_t lamina_metric_formula(const lamina_metric *m);
int32_t lamina_metric_average(const lamina_metric *m);
/* Is it made of sums, or of scores in their order? And is it measured while the net learns too? */
bool lamina_metric_sums(const lamina_metric *m);
bool lamina_metric_learns(const lamina_metric *m);
/* Is it one number? */
bool lamina_metric_is_one(const lamina_metric *m);
/* UNSUPPORTED unless all metrics of the net are such as this runtime knows. */
lamina_status lamina_metrics_check(const lamina_net *net, lamina_error *e);

/* ---- sums: f64 states, whose resident form is the plain one ---- */

/* How many numbers the sums of metric 'index' are, besides the one that 'count' names; 0: it is of scores. */
int64_t lamina_metric_width(const lamina_net *net, int32_t index);
/* The value that such sums make. */
double lamina_metric_of(const lamina_net *net, int32_t index, const double *sum, double count);
/* The sums in the model's state. */
double *lamina_metric_sum(const lamina_model *m, int32_t index);
double *lamina_metric_count(const lamina_model *m, int32_t index);
/* All that a step adds to: how many they are, and between the state and memory for as many. A sum that several metrics
 * have is there as often. */
int64_t lamina_sum_count(const lamina_net *net);
void lamina_read_sums(const lamina_model *m, double *out);
void lamina_write_sums(lamina_model *m, const double *from);
void lamina_clear_sums(lamina_model *m);

/* ---- metrics that are more numbers than one ---- */

/* Room for the numbers of all metrics; *out NULL where each is one. */
lamina_status lamina_numbers_new(const lamina_net *net, lamina_numbers **out, lamina_error *e);
/* Write them, if there is room. */
void lamina_numbers_read(const lamina_model *m, lamina_numbers *numbers);

#endif
