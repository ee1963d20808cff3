/* backend/peak.h - code that runs a machine at its limits, for `lamina bench` to measure them. */
#ifndef BACKEND_PEAK_H
#define BACKEND_PEAK_H

#include "backend/kernels.h"

/* Operations of one iteration of peak_fma, elements read by one of peak_read. */
int64_t be_peak_operations(const ir_target *t);
int64_t be_peak_elements(const ir_target *t);

/* A library of two be_kernels, whose 'batch' is how many iterations to run:
 *     peak_fma    buffer 0: f32, one vector that it reads and writes; independent multiply-adds in registers
 *     peak_read   buffer 0: f32, iterations * be_peak_elements, read in order; buffer 1: f32, one vector written */
bool be_compile_peaks(const ir_target *t, const be_options *o, diag *d);

#endif
