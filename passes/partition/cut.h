/* passes/partition/cut.h - where to cut a list of layers into stages. */
#ifndef PASSES_PARTITION_CUT_H
#define PASSES_PARTITION_CUT_H

#include "passes/partition/layers.h"

/* What stages share equally. */
typedef enum { BALANCE_TIME, BALANCE_FLOPS, BALANCE_MEMORY, BALANCE_PARAMETERS, BALANCE_COUNT } balance;

extern const char *const balance_names[BALANCE_COUNT]; /* "time" ... */

/* Of one layer, in the unit of that balance. */
double balance_of(const layer_cost *l, balance by);

/* Give every layer its stage, 1 to 'stages', each stage with a layer that has parameters. False if there are too few
 * such layers. */
bool cut_layers(layer_costs *l, int stages, balance by);

#endif
