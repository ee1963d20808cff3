/* runtime/model/accumulate.c - add up the micro-batches of a step by the rule of leaves.
 *
 * Micro-batches combine as neighbours (0+1, 2+3, ...), an odd last one passing up unchanged, until one is left. So 2^j
 * of them that begin at a multiple of 2^j are a sum of their own, the same one wherever it is made. They come one after
 * the other, which makes this a binary counter: after n of them, level j holds the sum of 2^j neighbours where bit j of
 * n is set, and is free where it is not. Micro-batch n is written to the lowest free level and takes up all levels
 * below:
 *
 *     after micro-batch       0     1      2      3             4             5
 *     level 0                 0            2                    4
 *     level 1                       0+1    0+1                                4+5
 *     level 2                                     (0+1)+(2+3)   (0+1)+(2+3)   (0+1)+(2+3)
 *
 * At the end what is left is added from the lowest level to the highest, which is where an odd last one passes up. A
 * level is gradient_bytes of f32 sums, then the f64 sums of all metrics over the same examples. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/metrics.h"
#include "runtime/model/model.h"
#include <inttypes.h>
#include <string.h>

enum { LINE = 64, FLOATS = LINE / sizeof(float), TASK_LINES = 1024 };

static uint64_t lines(const lamina_model *m)
{
    return m->net->gradient_bytes / LINE + (m->net->gradient_bytes % LINE != 0);
}

/* ---- levels ---- */

static double *level_sums(const lamina_model *m, int level)
{
    return (double *)(void *)((char *)m->level[level] + lines(m) * LINE);
}

static lamina_status add_level(lamina_model *m, int level, lamina_error *e)
{
    uint64_t bytes = sizeof(double) * (uint64_t)lamina_sum_count(m->net);
    if (__builtin_add_overflow(bytes, lines(m) * LINE, &bytes) || !(m->level[level] = lamina_allocate(1, bytes)))
        return lamina_fail(e, LAMINA_NO_MEMORY, "%s: out of memory: gradients need %" PRIu64 " bytes", m->net->name,
                           m->net->gradient_bytes);
    m->bytes += bytes;
    return LAMINA_OK;
}

static lamina_status need_levels(lamina_model *m, int count, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int i = 0; !s && i < count; i++)
        if (!m->level[i])
            s = add_level(m, i, e);
    return s;
}

typedef struct {
    float *to;
    const float *from;
    int64_t lines;
} addition;

static void add_lines(void *context, int64_t task)
{
    const addition *a = context;
    int64_t first = task * TASK_LINES, end = first + TASK_LINES < a->lines ? first + TASK_LINES : a->lines;
    float *restrict to = a->to + first * FLOATS;
    const float *restrict from = a->from + first * FLOATS;
    for (int64_t i = first; i < end; i++, to += FLOATS, from += FLOATS)
        for (int k = 0; k < (int)FLOATS; k++)
            to[k] += from[k];
}

static void add_levels(lamina_model *m, int to, int from)
{
    addition a = {m->level[to], m->level[from], (int64_t)lines(m)};
    int64_t tasks = (a.lines + TASK_LINES - 1) / TASK_LINES;
    if (m->call.parallel_for)
        m->call.parallel_for(m->call.host, add_lines, &a, tasks);
    else
        lamina_pool_run(NULL, add_lines, &a, tasks);
    for (int64_t i = 0; i < lamina_sum_count(m->net); i++)
        level_sums(m, to)[i] += level_sums(m, from)[i];
}

/* ---- the interface ---- */

lamina_status lamina_reserve(lamina_model *m, int64_t micro_batches, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_reserve", "m", m);
    s = s ? s : lamina_need_training(m, "reserve", e);
    if (s)
        return s;
    if (micro_batches < 1)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: micro_batches: expected 1 or more, found %" PRId64, m->net->name,
                           micro_batches);
    return need_levels(m, 64 - __builtin_clzll((uint64_t)micro_batches), e);
}

lamina_status lamina_add_accumulator(lamina_model *m, lamina_error *e)
{
    lamina_status s = need_levels(m, 1, e);
    m->call.gradients = m->level[0];
    m->totals = lamina_allocate((size_t)lamina_sum_count(m->net), sizeof(double));
    return s || m->totals ? s : lamina_fail_memory(e, m->net->name, sizeof(double) * (size_t)lamina_sum_count(m->net));
}

void lamina_free_accumulator(lamina_model *m)
{
    for (int i = 0; i < LAMINA_LEVELS; i++)
        lamina_release(m->level[i]);
    lamina_release(m->totals);
}

static int lowest_free(int64_t gathered)
{
    return __builtin_ctzll(~(uint64_t)gathered);
}

lamina_status lamina_begin_micro_batch(lamina_model *m, lamina_error *e)
{
    int level = lowest_free(m->gathered);
    lamina_status s = need_levels(m, level + 1, e);
    if (s)
        return s;
    m->call.gradients = m->level[level];
    if (!(lamina_net_needs(m->net) & LAMINA_NEEDS_SUMS)) /* it adds to what is there */
        memset(m->call.gradients, 0, m->net->gradient_bytes);
    lamina_read_sums(m, m->totals);
    lamina_clear_sums(m);
    return LAMINA_OK;
}

void lamina_end_micro_batch(lamina_model *m, bool done)
{
    int level = lowest_free(m->gathered);
    lamina_read_sums(m, level_sums(m, level));
    lamina_write_sums(m, m->totals);
    for (int i = 0; done && i < level; i++)
        add_levels(m, level, i);
    m->gathered += done;
}

void lamina_combine_micro_batches(lamina_model *m)
{
    int sum = __builtin_ctzll((uint64_t)m->gathered);
    for (int i = sum + 1; i < LAMINA_LEVELS; i++)
        if (m->gathered >> i & 1) {
            add_levels(m, i, sum);
            sum = i;
        }
    m->call.gradients = m->level[sum];
    lamina_read_sums(m, m->totals);
    for (int64_t i = 0; i < lamina_sum_count(m->net); i++)
        level_sums(m, sum)[i] += m->totals[i];
    lamina_write_sums(m, level_sums(m, sum));
    m->gathered = 0;
}
