/* runtime/training/watch.h - what a run has seen of the metrics that it watches from epoch to epoch, and does about
 * them: early stopping, and learning rates that are reduced on a plateau.
 *
 * What was seen is the model's, beside its steps: a checkpoint holds both, and a run goes on from there. */
#ifndef RUNTIME_WATCH_H
#define RUNTIME_WATCH_H

#include "runtime/model/model.h"

/* How a run watches: its options, with the metrics found. */
typedef struct {
    const lamina_fit_options *o;
    int32_t stop, plateau; /* metrics, or -1: not watched */
    bool stop_validation, plateau_validation;
    char why[256]; /* it stopped */
} lamina_watcher;

/* BAD_ARG if an option is wrong. Else the model's watch is that of this run: anew where it begins, or as it was. */
lamina_status lamina_watch_begin(lamina_watcher *w, lamina_model *m, const lamina_fit_options *o, lamina_error *e);
/* Has the run stopped early, in this call or before it? */
bool lamina_watch_stopped(const lamina_watcher *w, const lamina_model *m);
/* Look at the metrics of the epoch that ended, and put into the report what came of it. */
lamina_status lamina_watch_epoch(lamina_watcher *w, lamina_model *m, lamina_report *r, lamina_error *e);
/* The run ended: take the best weights, if that was asked for. */
lamina_status lamina_watch_end(const lamina_watcher *w, lamina_model *m, lamina_error *e);
/* lamina_fit returns: the rate is no longer reduced. */
void lamina_watch_leave(lamina_model *m);

#endif
