/* runtime/model/init.c - initial values of parameters and states, from the descriptor's rows.
 *
 * Element e takes word e mod 4 of the Philox block (e / 4, attempt, stream), so a value depends on the seed, the
 * tensor's stream and e only. A truncated normal value is drawn again, at the next attempt, while it lies beyond two
 * deviations. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/model.h"
#include "runtime/model/philox.h"
#include "runtime/model/series.h"
#include <math.h>
#include <string.h>

/* Four words of block `block`, at an attempt. */
static void draw(const lamina_tensor *t, uint64_t seed, uint64_t block, uint32_t attempt, uint32_t word[4])
{
    const uint32_t counter[4] = {(uint32_t)block, attempt, t->stream, PHILOX_INIT};
    lamina_philox(seed, counter, word);
}

/* In [a, b), also after the rounding to the element's type. */
static double uniform(const lamina_tensor *t, uint32_t word)
{
    double v = t->init_a + (word >> 8) * 0x1p-24 * (t->init_b - t->init_a);
    if (t->dtype == LAMINA_F32 && (float)v >= (float)t->init_b && t->init_a < t->init_b)
        v = nextafterf((float)t->init_b, (float)t->init_a);
    return v;
}

static double truncated_normal(const lamina_tensor *t, uint64_t seed, uint64_t block, int lane, double first)
{
    double z = first;
    for (uint32_t attempt = 1; fabs(z) > 2; attempt++) {
        uint32_t word[4];
        draw(t, seed, block, attempt, word);
        z = lamina_normal(word, lane);
    }
    return z;
}

static void values_of_block(const lamina_tensor *t, uint64_t seed, uint64_t block, double value[4])
{
    uint32_t word[4];
    draw(t, seed, block, 0, word);
    for (int lane = 0; lane < 4; lane++) {
        if (t->init == LAMINA_INIT_UNIFORM) {
            value[lane] = uniform(t, word[lane]);
            continue;
        }
        double z = lamina_normal(word, lane);
        if (t->init == LAMINA_INIT_TRUNCATED_NORMAL)
            z = truncated_normal(t, seed, block, lane, z);
        value[lane] = t->init_a + t->init_b * z;
    }
}

static void store(int32_t dtype, void *dst, uint64_t i, double v)
{
    switch (dtype) {
    case LAMINA_F32:
        ((float *)dst)[i] = (float)v;
        break;
    case LAMINA_F64:
        ((double *)dst)[i] = v;
        break;
    case LAMINA_I32:
        ((int32_t *)dst)[i] = (int32_t)v;
        break;
    case LAMINA_I64:
        ((int64_t *)dst)[i] = (int64_t)v;
        break;
    case LAMINA_UI32:
        ((uint32_t *)dst)[i] = (uint32_t)v;
        break;
    case LAMINA_UI8:
        ((uint8_t *)dst)[i] = (uint8_t)v;
        break;
    default:
        ((uint8_t *)dst)[i] = v != 0;
    }
}

static void fill(const lamina_tensor *t, uint64_t seed, void *dst)
{
    uint64_t count = t->bytes / lamina_dtype_bytes(t->dtype);
    for (uint64_t block = 0; block * 4 < count; block++) {
        double value[4];
        values_of_block(t, seed, block, value);
        for (uint64_t i = block * 4; i < count && i < block * 4 + 4; i++)
            store(t->dtype, dst, i, value[i & 3]);
    }
}

static void orthogonal(const lamina_tensor *t, uint64_t seed, float *dst)
{
    lamina_tensor numbers = *t;
    int64_t columns = t->dim[t->rank - 1];
    numbers.init = LAMINA_INIT_NORMAL;
    numbers.init_a = 0;
    numbers.init_b = 1;
    fill(&numbers, seed, dst);
    lamina_orthonormalize(dst, (int64_t)(t->bytes / sizeof *dst) / columns, columns, t->init_a);
}

void lamina_initial_values(const lamina_tensor *t, uint64_t seed, void *dst)
{
    uint64_t count = t->bytes / lamina_dtype_bytes(t->dtype);
    switch (t->init) {
    case LAMINA_INIT_CONSTANT:
    case LAMINA_INIT_DATA_MEAN:
    case LAMINA_INIT_DATA_DEVIATION:
    case LAMINA_INIT_DATA_MINIMUM:
    case LAMINA_INIT_DATA_RANGE:
    case LAMINA_INIT_DATA_MEDIAN:
        for (uint64_t i = 0; i < count; i++)
            store(t->dtype, dst, i, t->init_a);
        break;
    case LAMINA_INIT_UNIFORM:
    case LAMINA_INIT_NORMAL:
    case LAMINA_INIT_TRUNCATED_NORMAL:
        fill(t, seed, dst);
        break;
    case LAMINA_INIT_ORTHOGONAL:
        orthogonal(t, seed, dst);
        break;
    case LAMINA_INIT_IDENTITY:
        for (uint64_t i = 0, columns = (uint64_t)t->dim[1]; i < count; i++)
            store(t->dtype, dst, i, i / columns % columns == i % columns ? t->init_a : 0);
        break;
    case LAMINA_INIT_SEED: /* all 64 bits: not by way of a double */
        for (uint64_t i = 0; i < count; i++)
            if (t->dtype == LAMINA_I64)
                ((uint64_t *)dst)[i] = seed;
            else
                store(t->dtype, dst, i, (double)(uint32_t)seed);
        break;
    default:
        memset(dst, 0, t->bytes);
    }
}

lamina_status lamina_initialize_from(lamina_model *m, int32_t first, uint64_t seed, lamina_error *e)
{
    size_t largest = lamina_largest_tensor(m->net);
    void *plain = lamina_allocate(1, largest);
    if (!plain)
        return lamina_fail_memory(e, "initialising", largest);
    lamina_status s = LAMINA_OK;
    for (int32_t i = first; !s && i < m->net->tensor_count; i++) {
        if (!lamina_model_holds(m, i))
            continue;
        lamina_initial_values(&m->net->tensors[i], seed, plain);
        s = lamina_import(m, i, plain, e);
    }
    lamina_release(plain);
    m->steps = 0;
    return s;
}

lamina_status lamina_initialize(lamina_model *m, uint64_t seed, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_initialize", "m", m);
    if (s)
        return s;
    lamina_watch_forget(m);
    return lamina_initialize_from(m, 0, seed, e);
}
