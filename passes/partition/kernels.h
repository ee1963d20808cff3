/* passes/partition/kernels.h - how long a kernel is expected to take. */
#ifndef PASSES_PARTITION_KERNELS_H
#define PASSES_PARTITION_KERNELS_H

#include "ir/ir.h"

/* Cycles of one core for a fused node with its plan and, if it has one, its chain. A prediction, for comparing kernels
 * with each other: no bit depends on it. */
double kernel_cycles(const ir_node *fused, const ir_target *t, int64_t batch);

/* Cycles in which so many bytes come from the nearest cache that holds them. */
double memory_cycles(const ir_target *t, double bytes);

/* Cycles of a second, where a person reads predictions. */
#define NOMINAL_FREQUENCY 4e9

#endif
