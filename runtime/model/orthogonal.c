/* runtime/model/orthogonal.c - the vectors of a matrix made orthonormal, for initial values.
 *
 * Each vector in turn loses what it has of those before it, block by block of them, and becomes of length 1 (Gram and
 * Schmidt). What rounding leaves of a nearly dependent vector is far from orthogonal, so it is done twice, which is
 * enough (Giraud et al. 2005). Sums are in double and their order is fixed; vectors stay where they are, as floats. */
#include "runtime/model/model.h"
#include <math.h>

enum { BLOCK = 256 };

/* 'count' vectors: element i of vector v is x[v * apart + i * step]. */
typedef struct {
    float *x;
    int64_t count, length, apart, step;
} vectors;

/* Vector v without what it has of vectors first .. end - 1, at most BLOCK of them. */
static void take_off(const vectors *s, int64_t v, int64_t first, int64_t end)
{
    double share[BLOCK] = {0};
    for (int64_t i = 0; i < s->length; i++) {
        const float *row = s->x + i * s->step;
        double own = (double)row[v * s->apart];
        for (int64_t k = first; k < end; k++)
            share[k - first] += (double)row[k * s->apart] * own;
    }
    for (int64_t i = 0; i < s->length; i++) {
        float *row = s->x + i * s->step;
        double sum = 0;
        for (int64_t k = first; k < end; k++)
            sum += share[k - first] * (double)row[k * s->apart];
        row[v * s->apart] = (float)((double)row[v * s->apart] - sum);
    }
}

static void scale(const vectors *s, int64_t v, double by)
{
    for (int64_t i = 0; i < s->length; i++) {
        float *at = &s->x[v * s->apart + i * s->step];
        *at = (float)((double)*at * by);
    }
}

static void make_unit(const vectors *s, int64_t v)
{
    double square = 0;
    for (int64_t i = 0; i < s->length; i++) {
        double own = (double)s->x[v * s->apart + i * s->step];
        square += own * own;
    }
    if (square > 0)
        scale(s, v, 1 / sqrt(square));
}

void lamina_orthonormalize(float *x, int64_t rows, int64_t columns, double gain)
{
    vectors s = {.x = x, .count = columns, .length = rows, .apart = 1, .step = columns};
    if (rows < columns)
        s = (vectors){.x = x, .count = rows, .length = columns, .apart = columns, .step = 1};
    for (int64_t v = 0; v < s.count; v++)
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t first = 0; first < v; first += BLOCK)
                take_off(&s, v, first, first + BLOCK < v ? first + BLOCK : v);
            make_unit(&s, v);
        }
    for (int64_t v = 0; v < s.count; v++)
        scale(&s, v, gain);
}
