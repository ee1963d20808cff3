/* ir/contraction/product.c - contractions that a matrix library can compute: which are products of two matrices as they
 * lie in memory, and the numbers that such a library is called with. */
#include "ir/contraction/product.h"

static int64_t extent(int64_t n, bool batch, int64_t max_batch)
{
    return batch ? n * max_batch : n;
}

/* All sums as one, if each step of an outer one is where the inner ones end. */
static bool merge_sums(const contraction *c, contraction_run *out)
{
    *out = (contraction_run){.n = 1, .lhs = 1, .rhs = 1};
    for (int i = c->nsums; i-- > 0;) {
        const contraction_run *r = c->sum[i].run;
        if (c->sum[i].count != 1 || r->lhs_first || r->rhs_first)
            return false;
        if (r->n == 1 && !r->batch)
            continue;
        if (out->n == 1 && !out->batch) {
            *out = *r;
            continue;
        }
        if (out->batch || r->lhs != out->n * out->lhs || r->rhs != out->n * out->rhs)
            return false;
        out->n *= r->n;
        out->batch = r->batch;
    }
    return true;
}

/* The longest axis along which one operand varies and the other does not; columns must lie side by side in the result.
 */
static int32_t find_axis(const contraction *c, int64_t max_batch, bool column)
{
    int32_t best = -1;
    for (int32_t i = 0; i < c->naxes; i++) {
        const contraction_axis *a = &c->axis[i];
        int64_t own = column ? a->rhs : a->lhs, other = column ? a->lhs : a->rhs;
        if (own <= 0 || other || (column && a->out != 1))
            continue;
        if (best < 0 || extent(a->n, a->batch, max_batch) > extent(c->axis[best].n, c->axis[best].batch, max_batch))
            best = i;
    }
    return best;
}

/* A matrix of 'rows' by 'columns' steps of these strides: how it lies. A stride of which there is one step does not
 * matter. */
static bool lies(int64_t rows, int64_t row, int64_t columns, int64_t column, bool *transposed, int64_t *ld)
{
    int64_t down = rows == 1 ? columns : row;
    *transposed = !((columns == 1 || column == 1) && down >= columns);
    *ld = !*transposed ? down : columns == 1 ? rows : column;
    if (*transposed && ((rows > 1 && row != 1) || *ld < rows))
        return false;
    return *ld <= INT32_MAX;
}

bool product_describe(const contraction *c, int64_t max_batch, product *out)
{
    contraction_run sum;
    if (c->node->op != IR_DOT_GENERAL || c->leaf || !merge_sums(c, &sum))
        return false;
    *out = (product){.column = find_axis(c, max_batch, true), .row = find_axis(c, max_batch, false)};
    out->depth = (ir_dim){sum.n, sum.batch};
    const contraction_axis *row = out->row < 0 ? NULL : &c->axis[out->row];
    const contraction_axis *column = out->column < 0 ? NULL : &c->axis[out->column];
    int64_t m = row ? extent(row->n, row->batch, max_batch) : 1, k = extent(sum.n, sum.batch, max_batch);
    int64_t n = column ? extent(column->n, column->batch, max_batch) : 1;
    bool flipped;
    return m <= INT32_MAX && n <= INT32_MAX && k <= INT32_MAX &&
           lies(m, row ? row->lhs : 1, k, sum.lhs, &out->transposed[0], &out->ld[0]) &&
           lies(k, sum.rhs, n, column ? column->rhs : 1, &out->transposed[1], &out->ld[1]) &&
           lies(m, row ? row->out : 1, n, 1, &flipped, &out->ld[2]) && !flipped;
}
