/* frontend/command/stages.h - what the stages of a planned network cost: predicted, and measured. */
#ifndef FRONTEND_CMD_STAGES_H
#define FRONTEND_CMD_STAGES_H

#include "frontend/command/bench.h"

typedef struct {
    const char *name;
    int first, last;                  /* layers, as numbers of fe_layer_at */
    int64_t parameters;               /* elements */
    double operations;                /* of the forward pass, for one example */
    double saved, boundary;           /* bytes kept from forward to backward; bytes to and from the stage behind */
    double forward, backward, update; /* predicted seconds of each by itself, */
    double step;                      /* and of forward and backward_update, which is what trains */
    double measured, least;           /* seconds of these two: medians and shortest times, added up; 0: not measured */
} stage_figures;

/* All but names, layers and measured times, of a module that all passes have seen. 'stages' have their names. */
void stages_predict(const ir_module *m, stage_figures *stages, int count);

/* Call the functions of all stages in turn on one thread, for b->seconds, 5 times at least. b->net and its data are
 * set. False after an error in b->d, and when b->stop was raised. */
bool stages_measure(bench *b, stage_figures *stages, int count);

#endif
