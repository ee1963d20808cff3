/* frontend/command/sweep.h - many runs of one network with other values: what is tried, what came of it. */
#ifndef FRONTEND_CMD_SWEEP_H
#define FRONTEND_CMD_SWEEP_H

#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include <stdint.h>
#include <stdio.h>

/* A key and what it may be: words of a list, or numbers between two. */
typedef struct {
    const char *key;
    const char **words; /* NULL: numbers */
    int count;
    double low, high;
    bool log, whole;
} sweep_key;

typedef struct {
    const char **values; /* of each key, as YAML */
    const char *dir;
    int64_t epochs; /* so many were asked for last */
    bool failed;
    const char *why; /* it failed */
    double metric;   /* NaN: none */
} sweep_trial;

typedef struct {
    const char *net, *dir, *metric;
    bool higher_is_better;
    sweep_key *keys;
    int key_count;
    sweep_trial *trials;
    int count;
    arena *mem;
    diag *d;
} sweep;

/* ---- sweep_plan.c ---- */

/* "key=a,b,c" and "key=low..high", ":log" or ":int" behind it. False after an error. */
bool sweep_add_list(sweep *s, const char *word);
bool sweep_add_range(sweep *s, const char *word);
/* Make the trials: every combination of the lists, or, where there are ranges or a count is given (else 0), so many
 * that are drawn. */
bool sweep_make_trials(sweep *s, int64_t count, uint64_t seed);

/* ---- sweep_report.c ---- */

/* The metric "validation.loss" in a run's log, after the last of so many epochs; NaN if it is not there. */
double sweep_read_metric(const char *log, const char *metric, int64_t epochs);
/* Trials from best to worst, those that failed or were not asked for as many epochs as others behind. */
const sweep_trial **sweep_order(const sweep *s);
/* A table for people, one object for programs, and DIR/sweep.csv and sweep.svg. False after an error. */
void sweep_print(const sweep *s, FILE *out);
void sweep_print_json(const sweep *s, FILE *out);
bool sweep_write_csv(const sweep *s);

/* ---- sweep_plot.c ---- */

/* DIR/sweep.svg: for each key a panel, with a dot for each trial, its value across and its metric upwards. */
bool sweep_write_plot(const sweep *s);

#endif
