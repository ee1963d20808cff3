/* passes/partition/trial.h - what each layer's kernels are expected to take. */
#ifndef PASSES_PARTITION_TRIAL_H
#define PASSES_PARTITION_TRIAL_H

#include "passes/partition/layers.h"

/* Add to every layer the cycles of its kernels and what a cut behind it costs. False after an error in d: the passes
 * cannot make kernels of this module. */
bool trial_run(const ir_module *m, layer_costs *l, diag *d);

#endif
