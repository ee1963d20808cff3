/* passes/partition/cut.h - where to cut a list of layers into stages. */
#ifndef PASSES_PARTITION_CUT_H
#define PASSES_PARTITION_CUT_H

#include "passes/partition/layers.h"

/* What stages share equally. */
typedef enum { BALANCE_TIME, BALANCE_FLOPS, BALANCE_MEMORY, BALANCE_PARAMETERS, BALANCE_COUNT } balance;

extern const char *const balance_names[BALANCE_COUNT]; /* "time" ... */

typedef struct {
    int stages;
    int *begin;      /* stages + 1 positions: stage k, from 0, is the layers from begin[k] to begin[k + 1] - 1 */
    double dearest;  /* cost of its dearest stage, in the unit of the balance */
    double crossing; /* bytes over all boundaries */
} layer_cut;

/* Of a stage of the layers from 'begin' to before 'end', in the unit of that balance. */
double stage_cost(const layer_costs *l, balance by, int begin, int end);

/* How many stages there can be: each has a layer with parameters. */
int most_stages(const layer_costs *l);

/* The best cut into that many stages, from 1 to most_stages; lives in 'mem'. */
layer_cut cut_layers(const layer_costs *l, int stages, balance by, arena *mem);
/* The best of all cuts into as many stages but this one and those that differ from it by layers without cost: the least
 * dearest stage, then the fewest bytes. False: there is no other. */
bool cut_next(const layer_costs *l, const layer_cut *but, balance by, arena *mem, layer_cut *out);

/* Cycles of a step with these stages in a pipeline, each on a worker of its own (cut.c says how). */
double pipeline_cycles(const layer_costs *l, const layer_cut *cut, int64_t batch);
/* The number of stages, at most 'workers', with the shortest such step if each is cut in the best way by time. */
int cut_count(const layer_costs *l, int64_t workers, int64_t batch);

#endif
