/* passes/partition/cut.c - cut a list of layers into stages of nearly equal cost, where little crosses.
 *
 * Two searches by dynamic programming over the positions between layers, both exact:
 *   1. the least cost that the dearest stage can have: M[k][i], for the first i layers in k stages, is the least over
 *      all j < i of max(M[k - 1][j], cost of layers j to i - 1);
 *   2. of all cuts whose dearest stage is within a tenth of that, the one over whose boundaries the fewest bytes go.
 * Both take time in stages x layers^2. Equal cuts: the one with the later boundary, so that the result does not depend
 * on rounding of equal sums in different order. */
#include "passes/partition/cut.h"
#include <float.h>

static const double SLACK = 1.1; /* of the dearest stage, to save bytes at the boundaries */

const char *const balance_names[BALANCE_COUNT] = {"time", "flops", "memory", "parameters"};

typedef struct {
    const layer_costs *layers;
    int stages;
    double *sum;  /* cost of the first i layers */
    int *holders; /* of which layers with parameters */
    double *best; /* of k stages and i layers, at k * (count + 1) + i */
    int *from;    /* where the last of these stages begins */
} search;

double balance_of(const layer_cost *l, balance by)
{
    switch (by) {
    case BALANCE_TIME:
        return l->cycles;
    case BALANCE_FLOPS:
        return l->operations;
    case BALANCE_MEMORY:
        return l->bytes;
    default:
        return (double)l->parameters;
    }
}

/* The price of ending k - 1 stages at j and one more at i; DBL_MAX if that cannot be. 'limit': of one stage's cost, in
 * the second search; 0 in the first. */
static double price(const search *s, int k, int j, int i, double limit)
{
    double before = s->best[(k - 1) * (s->layers->count + 1) + j], own = s->sum[i] - s->sum[j];
    if (before == DBL_MAX || s->holders[i] == s->holders[j])
        return DBL_MAX;
    if (!limit)
        return before > own ? before : own;
    return own > limit ? DBL_MAX : before + (j ? s->layers->layer[j - 1].crossing : 0);
}

/* Fill best and from; the price of the whole. */
static double run_search(search *s, double limit)
{
    int count = s->layers->count, row = count + 1;
    for (int i = 0; i <= count; i++)
        s->best[i] = i ? DBL_MAX : 0;
    for (int k = 1; k <= s->stages; k++)
        for (int i = 0; i <= count; i++) {
            double *best = &s->best[k * row + i];
            *best = DBL_MAX;
            for (int j = 0; j < i; j++) {
                double with = price(s, k, j, i, limit);
                if (with == DBL_MAX || with > *best)
                    continue;
                *best = with;
                s->from[k * row + i] = j;
            }
        }
    return s->best[s->stages * row + count];
}

static search search_new(const layer_costs *l, int stages, balance by, arena *mem)
{
    size_t count = (size_t)l->count + 1, all = count * ((size_t)stages + 1);
    search s = {.layers = l, .stages = stages};
    s.sum = arena_new_array(mem, double, count);
    s.holders = arena_new_array(mem, int, count);
    s.best = arena_new_array(mem, double, all);
    s.from = arena_new_array(mem, int, all);
    for (int i = 0; i < l->count; i++) {
        s.sum[i + 1] = s.sum[i] + balance_of(&l->layer[i], by);
        s.holders[i + 1] = s.holders[i] + (l->layer[i].parameters > 0);
    }
    return s;
}

bool cut_layers(layer_costs *l, int stages, balance by)
{
    arena *mem = arena_new();
    search s = search_new(l, stages, by, mem);
    double dearest = run_search(&s, 0);
    bool ok = dearest != DBL_MAX;
    if (ok) {
        run_search(&s, SLACK * dearest);
        for (int k = stages, end = l->count; k > 0; end = s.from[k-- * (l->count + 1) + end])
            for (int i = s.from[k * (l->count + 1) + end]; i < end; i++)
                l->layer[i].stage = k;
    }
    arena_free(mem);
    return ok;
}
