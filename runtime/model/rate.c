/* runtime/model/rate.c - the learning rate of a step. lamina_abi.h says in which order a schedule's numbers come.
 *
 * A rule gives the rate 't' steps behind the warm-up. 'unit' is how many steps a length of 1 has: 1, or those of an
 * epoch. A rate follows from the number of its step alone, so runs that are interrupted have the same ones. */
#include "runtime/base/error.h"
#include "runtime/model/model.h"
#include <inttypes.h>
#include <math.h>

typedef double rule(const double *n, int64_t count, double t, double unit);

/* The numbers before those of the kind. */
enum { WARMUP, WARMUP_INITIAL, OWN };

static const double pi = 3.14159265358979323846;

static double constant(const double *n, int64_t count, double t, double unit)
{
    (void)count, (void)t, (void)unit;
    return n[0];
}

static double step(const double *n, int64_t count, double t, double unit)
{
    (void)count;
    return n[0] * pow(n[2], floor(t / (n[1] * unit)));
}

static double piecewise(const double *n, int64_t count, double t, double unit)
{
    int64_t values = (count + 1) / 2, k = 0;
    while (k < values - 1 && t >= n[values + k] * unit)
        k++;
    return n[k];
}

static double exponential(const double *n, int64_t count, double t, double unit)
{
    (void)count;
    return n[0] * pow(n[2], t / (n[1] * unit));
}

static double polynomial(const double *n, int64_t count, double t, double unit)
{
    (void)count;
    double part = t / (n[1] * unit);
    return part < 1 ? n[2] + (n[0] - n[2]) * pow(1 - part, n[3]) : n[2];
}

/* Half a cosine from 'from' to 'to'. */
static double half_cosine(double from, double to, double part)
{
    return to + (from - to) * (1 + cos(pi * part)) / 2;
}

static double cosine(const double *n, int64_t count, double t, double unit)
{
    (void)count;
    double part = t / (n[1] * unit);
    return part < 1 ? half_cosine(n[0], n[2], part) : n[2];
}

static double cosine_restarts(const double *n, int64_t count, double t, double unit)
{
    (void)count;
    double length = n[1] * unit, height = n[0] - n[2], past = n[3] == 1 ? floor(t / length) : 0;
    height *= pow(n[4], past);
    t -= past * length;
    while (t >= length) {
        t -= length;
        length *= n[3];
        height *= n[4];
    }
    return half_cosine(n[2] + height, n[2], t / length);
}

static double one_cycle(const double *n, int64_t count, double t, double unit)
{
    (void)count;
    double most = n[0], first = most / n[3], end = first / n[4], top = n[2] * n[1] * unit - 1, last = n[1] * unit - 1;
    if (t <= top && top > 0)
        return half_cosine(first, most, t / top);
    return t < last ? half_cosine(most, end, (t - top) / (last - top)) : end;
}

static double inverse_sqrt(const double *n, int64_t count, double t, double unit)
{
    (void)count;
    return n[0] / sqrt(1 + t / (n[1] * unit));
}

static const struct {
    int64_t numbers; /* of the kind; of PIECEWISE as many more as there are, an even number */
    rule *at;
} rules[] = {[LAMINA_RATE_CONSTANT] = {1, constant},
             [LAMINA_RATE_STEP] = {3, step},
             [LAMINA_RATE_PIECEWISE] = {1, piecewise},
             [LAMINA_RATE_EXPONENTIAL] = {3, exponential},
             [LAMINA_RATE_POLYNOMIAL] = {4, polynomial},
             [LAMINA_RATE_COSINE] = {3, cosine},
             [LAMINA_RATE_COSINE_RESTARTS] = {5, cosine_restarts},
             [LAMINA_RATE_ONE_CYCLE] = {5, one_cycle},
             [LAMINA_RATE_INVERSE_SQRT] = {2, inverse_sqrt}};

enum { KINDS = sizeof rules / sizeof *rules };

/* How many numbers the net's schedule has; 0 without one, as in descriptors that are older than the question. */
static int64_t count_of(const lamina_net *net)
{
    return net->struct_size >= offsetof(lamina_net, rate_count) + sizeof net->rate_count && net->rate_numbers
               ? (int64_t)net->rate_count
               : 0;
}

lamina_status lamina_rate_check(const lamina_net *net, lamina_error *e)
{
    int32_t kind = net->rate.kind;
    int64_t count = count_of(net), own = count - OWN;
    if (kind < LAMINA_RATE_CONSTANT || kind >= KINDS)
        return lamina_fail(e, LAMINA_UNSUPPORTED, "%s: learning rate of unknown kind %" PRId32, net->name, kind);
    if (kind == LAMINA_RATE_CONSTANT && count == 0)
        return LAMINA_OK;
    int64_t wanted = rules[kind].numbers;
    if (own == wanted || (kind == LAMINA_RATE_PIECEWISE && own > wanted && own % 2 == 1))
        return LAMINA_OK;
    return lamina_fail(e, LAMINA_UNSUPPORTED,
                       "%s: learning rate of kind %" PRId32 ": expected %" PRId64 " numbers, found %" PRId64, net->name,
                       kind, wanted + OWN, count);
}

float lamina_net_rate(const lamina_net *net, int64_t t, int64_t epoch_steps)
{
    int64_t count = count_of(net);
    if (count == 0)
        return (float)net->rate.a;
    if (net->rate.units && epoch_steps < 1)
        return NAN;
    const double *n = net->rate_numbers, epoch = (double)epoch_steps;
    rule *at = rules[net->rate.kind].at;
    double unit = net->rate.units & LAMINA_RATE_IN_EPOCHS ? epoch : 1;
    double warmup = n[WARMUP] * (net->rate.units & LAMINA_RATE_WARMUP_IN_EPOCHS ? epoch : 1);
    if ((double)t >= warmup)
        return (float)at(n + OWN, count - OWN, (double)t - warmup, unit);
    double first = at(n + OWN, count - OWN, 0, unit);
    return (float)(n[WARMUP_INITIAL] + (first - n[WARMUP_INITIAL]) * (double)t / warmup);
}
