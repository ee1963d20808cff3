/* passes/partition/cut.c - cut a list of layers into stages of nearly equal cost, where little crosses.
 *
 * Two searches by dynamic programming over the positions between layers, both exact:
 *   1. the least cost that the dearest stage can have: M[k][i], for the first i layers in k stages, is the least over
 *      all j < i of max(M[k - 1][j], cost of a stage of layers j to i - 1);
 *   2. of all cuts whose dearest stage is within a tenth of that, the one over whose boundaries the fewest bytes go. By
 *      time the bytes have their price in it already, and only what no prediction can tell apart gives way to them.
 * Both take time in stages x layers^2. Equal cuts: the one with the later boundary, so that the result does not depend
 * on rounding of equal sums in different order. */
#include "passes/partition/cut.h"
#include <float.h>

const char *const balance_names[BALANCE_COUNT] = {"time", "flops", "memory", "parameters"};

/* How much dearer the dearest stage may be for fewer bytes at the boundaries. */
static const double slack[BALANCE_COUNT] = {[BALANCE_TIME] = 1.01, 1.1, 1.1, 1.1};

typedef struct {
    const layer_costs *layers;
    int stages;
    balance by;
    double *sum;  /* cost of the first i layers */
    int *holders; /* of which layers with parameters */
    double *best; /* of k stages and i layers, at k * (count + 1) + i */
    int *from;    /* where the last of these stages begins */
    int barred,
        barred_from; /* stage 'barred', from 1, must not begin there or where no cost lies between; 0: none is barred */
} search;

static double layer_share(const layer_cost *l, balance by)
{
    switch (by) {
    case BALANCE_TIME:
        return l->forward + l->backward + l->update;
    case BALANCE_FLOPS:
        return l->operations;
    case BALANCE_MEMORY:
        return l->bytes;
    default:
        return (double)l->parameters;
    }
}

/* What cuts before and behind a stage add to it. */
static double parting(const layer_costs *l, balance by, int begin, int end)
{
    double before = begin ? l->layer[begin - 1].parting : 0, behind = end < l->count ? l->layer[end - 1].parting : 0;
    return by == BALANCE_TIME ? before + behind : 0;
}

double stage_cost(const layer_costs *l, balance by, int begin, int end)
{
    double cost = parting(l, by, begin, end);
    for (int i = begin; i < end; i++)
        cost += layer_share(&l->layer[i], by);
    return cost;
}

int most_stages(const layer_costs *l)
{
    int holders = 0;
    for (int i = 0; i < l->count; i++)
        holders += l->layer[i].parameters > 0;
    return holders;
}

/* ---- the searches ---- */

/* The price of ending k - 1 stages at j and one more at i; DBL_MAX if that cannot be. 'limit': of one stage's cost, in
 * the second search; 0 in the first. */
static double price(const search *s, int k, int j, int i, double limit)
{
    double before = s->best[(k - 1) * (s->layers->count + 1) + j];
    double own = s->sum[i] - s->sum[j] + parting(s->layers, s->by, j, i);
    if (before == DBL_MAX || s->holders[i] == s->holders[j] || (k == s->barred && s->sum[j] == s->sum[s->barred_from]))
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
    search s = {.layers = l, .stages = stages, .by = by};
    s.sum = arena_new_array(mem, double, count);
    s.holders = arena_new_array(mem, int, count);
    s.best = arena_new_array(mem, double, all);
    s.from = arena_new_array(mem, int, all);
    for (int i = 0; i < l->count; i++) {
        s.sum[i + 1] = s.sum[i] + layer_share(&l->layer[i], by);
        s.holders[i + 1] = s.holders[i] + (l->layer[i].parameters > 0);
    }
    return s;
}

/* Both searches; false if no cut is left. */
static bool find_cut(search *s, double allowed, arena *mem, layer_cut *out)
{
    const layer_costs *l = s->layers;
    double dearest = run_search(s, 0);
    if (dearest == DBL_MAX)
        return false;
    *out = (layer_cut){.stages = s->stages, .begin = arena_new_array(mem, int, (size_t)s->stages + 1)};
    out->crossing = run_search(s, allowed * dearest);
    out->begin[s->stages] = l->count;
    for (int k = s->stages; k > 0; k--) {
        int end = out->begin[k], begin = out->begin[k - 1] = s->from[k * (l->count + 1) + end];
        double own = s->sum[end] - s->sum[begin] + parting(l, s->by, begin, end);
        out->dearest = own > out->dearest ? own : out->dearest;
    }
    return true;
}

layer_cut cut_layers(const layer_costs *l, int stages, balance by, arena *mem)
{
    search s = search_new(l, stages, by, mem);
    layer_cut cut;
    if (stages < 1 || !find_cut(&s, slack[by], mem, &cut))
        ir_bug("%d layers with parameters, but not %d stages", most_stages(l), stages);
    return cut;
}

/* Another cut lacks at least one of the boundaries. To move one over a layer that costs nothing makes no other cut. */
bool cut_next(const layer_costs *l, const layer_cut *but, balance by, arena *mem, layer_cut *out)
{
    bool found = false;
    search s = search_new(l, but->stages, by, mem);
    for (s.barred = 2; s.barred <= but->stages; s.barred++) {
        layer_cut other;
        s.barred_from = but->begin[s.barred - 1];
        if (!find_cut(&s, 1, mem, &other))
            continue;
        if (!found || other.dearest < out->dearest || (other.dearest == out->dearest && other.crossing < out->crossing))
            *out = other;
        found = true;
    }
    return found;
}

/* ---- how many stages ---- */

/* A step of M micro-batches in a pipeline of N stages takes as long as its dearest stage takes for M + N - 1 of them:
 * the others wait for it, and it waits until the first one arrives and the last gradient is back. Then it updates.
 *     M = 4 N (as GPipe advises: the idle part is then a fifth at most), of at least a leaf of examples each
 *     step = (M + N - 1) / M x (forward + backward + parting) + (M + N - 1) x hand-over + update */
double pipeline_cycles(const layer_costs *l, const layer_cut *cut, int64_t batch)
{
    const double handover = 4000; /* both ways: a microsecond of two threads that spin */
    int64_t batches = (batch + IR_LEAF - 1) / IR_LEAF;
    double n = cut->stages, leaves = (double)batches, dearest = 0;
    double m = 4 * n < leaves ? 4 * n : leaves, turns = m + n - 1;
    for (int k = 0; k < cut->stages; k++) {
        double update = 0, all = stage_cost(l, BALANCE_TIME, cut->begin[k], cut->begin[k + 1]);
        for (int i = cut->begin[k]; i < cut->begin[k + 1]; i++)
            update += l->layer[i].update;
        double step = turns / m * (all - update) + update + (n > 1 ? turns * handover : 0);
        dearest = step > dearest ? step : dearest;
    }
    return dearest;
}

int cut_count(const layer_costs *l, int64_t workers, int64_t batch)
{
    int best = 1, most = most_stages(l);
    double least = DBL_MAX;
    arena *mem = arena_new();
    for (int n = 1; n <= most && n <= workers; n++) {
        layer_cut cut = cut_layers(l, n, BALANCE_TIME, mem);
        double step = pipeline_cycles(l, &cut, batch);
        if (step < least) {
            least = step;
            best = n;
        }
    }
    arena_free(mem);
    return best;
}
