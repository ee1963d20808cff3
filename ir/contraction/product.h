/* ir/contraction/product.h - contractions that are products of two matrices where they lie, perhaps many of them side
 * by side. */
#ifndef IR_PRODUCT_H
#define IR_PRODUCT_H

#include "ir/contraction/contraction.h"

/* C[m, n] = A[m, k] B[k, n], row-major, for each step of the other axes. An operand that lies the other way round is
 * 'transposed'. -1: the matrix has one row, or one column. */
typedef struct {
    int32_t row, column; /* axes of the contraction */
    ir_dim depth;        /* k */
    int64_t ld[3];       /* elements from row to row of a, b, c as they lie */
    bool transposed[2];
} product;

/* False if c is no such product: elements of a row of each matrix must lie side by side, and all numbers be within 31
 * bits. */
bool product_describe(const contraction *c, int64_t max_batch, product *out);

#endif
