/* ir/contraction/axes.h - the steps in which contraction_describe builds a contraction; for this folder. */
#ifndef IR_CONTRACTION_AXES_H
#define IR_CONTRACTION_AXES_H

#include "ir/contraction/contraction.h"

void contraction_add_axis(contraction *c, contraction_axis a);
void contraction_add_sum(contraction *c, arena *mem, const contraction_run *runs, int count);
/* Dimension 'dim' of the result, which is dimension 'lhs' of the lhs and 'rhs' of the rhs (-1: not there). */
void contraction_add_free(contraction *c, int lhs, int rhs, int dim);
/* Dimension 'lhs' of the lhs, summed with dimension 'rhs' of the rhs. */
void contraction_add_contracted(contraction *c, arena *mem, int lhs, int rhs);

/* convolution.c: everything, of one part. */
void contraction_add_convolution(contraction *c, arena *mem, int part);

#endif
