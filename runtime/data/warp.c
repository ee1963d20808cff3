/* runtime/data/warp.c - pictures moved, turned and scaled: each pixel of the result is looked up where it comes from.
 *
 *     constant   v v v | a b c d | v v v
 *     nearest    a a a | a b c d | d d d
 *     reflect    c b a | a b c d | d c b      again and again
 *
 * Coordinates are those of pixels' centres, so that warps by whole pixels copy them to the bit. */
#include "runtime/data/warp.h"
#include <string.h>

/* The pixel that stands for number i of n; -1: the constant. */
static int64_t find_pixel(lamina_fill fill, int64_t i, int64_t n)
{
    if (i >= 0 && i < n)
        return i;
    if (fill == LAMINA_FILL_CONSTANT)
        return -1;
    if (fill == LAMINA_FILL_NEAREST)
        return i < 0 ? 0 : n - 1;
    int64_t period = 2 * n, k = ((i % period) + period) % period;
    return k < n ? k : period - 1 - k;
}

static int32_t floor_of(float v)
{
    int32_t i = (int32_t)v;
    return i - (v < (float)i);
}

/* ---- images ---- */

typedef struct {
    lamina_extent x;
    const lamina_warp *w;
    lamina_fill fill;
    float value;
    const float *in;
} picture;

static float tap(const picture *p, int64_t row, int64_t column, int64_t channel)
{
    int64_t r = find_pixel(p->fill, row, p->x.rows), c = find_pixel(p->fill, column, p->x.columns);
    return r < 0 || c < 0 ? p->value : p->in[(r * p->x.columns + c) * p->x.channels + channel];
}

static void blend_at_edge(const picture *p, int64_t row, int64_t column, float down, float right, float *out)
{
    for (int64_t k = 0; k < p->x.channels; k++) {
        float a = tap(p, row, column, k), b = tap(p, row, column + 1, k);
        float c = tap(p, row + 1, column, k), d = tap(p, row + 1, column + 1, k);
        float above = a + right * (b - a), below = c + right * (d - c);
        out[k] = above + down * (below - above);
    }
}

/* 'channels' is x.channels, as a constant where it is 1 or 3. */
static inline __attribute__((always_inline)) void blend_rows(const picture *p, int64_t channels, float *restrict out)
{
    float m[6];
    memcpy(m, p->w->m, sizeof m); /* which stay in registers whatever is written to 'out' */
    const int64_t rows = p->x.rows, columns = p->x.columns, line = columns * channels;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++, out += channels) {
            float y = m[0] * (float)r + m[1] * (float)c + m[2], x = m[3] * (float)r + m[4] * (float)c + m[5];
            int32_t row = floor_of(y), column = floor_of(x);
            float down = y - (float)row, right = x - (float)column;
            if (row < 0 || row >= rows - 1 || column < 0 || column >= columns - 1) {
                blend_at_edge(p, row, column, down, right, out);
                continue;
            }
            const float *at = p->in + row * line + column * channels;
            for (int64_t k = 0; k < channels; k++) {
                float above = at[k] + right * (at[k + channels] - at[k]);
                float below = at[k + line] + right * (at[k + line + channels] - at[k + line]);
                out[k] = above + down * (below - above);
            }
        }
}

static void fill_pixels(float *out, int64_t count, float value)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = value;
}

/* One row of whole pixels; those of the row 'from' that stand in a row are copied together. */
static void copy_row(const picture *p, const float *from, float *out)
{
    const int64_t columns = p->x.columns, channels = p->x.channels, first = floor_of(p->w->m[5]);
    for (int64_t c = 0; c < columns;) {
        int64_t at = p->w->m[4] < 0 ? first - c : first + c, run = 1;
        int64_t source = find_pixel(p->fill, at, columns);
        if (p->w->m[4] > 0 && at >= 0 && at < columns)
            run = columns - at < columns - c ? columns - at : columns - c;
        if (source < 0)
            fill_pixels(out + c * channels, channels, p->value);
        else
            for (int64_t k = 0; k < run * channels; k++)
                out[c * channels + k] = from[source * channels + k];
        c += run;
    }
}

static void copy_rows(const picture *p, float *out)
{
    const int64_t line = p->x.columns * p->x.channels;
    for (int64_t r = 0; r < p->x.rows; r++, out += line) {
        int64_t source = find_pixel(p->fill, floor_of(p->w->m[0] * (float)r + p->w->m[2]), p->x.rows);
        if (source < 0)
            fill_pixels(out, line, p->value);
        else
            copy_row(p, p->in + source * line, out);
    }
}

void lamina_warp_image(const lamina_extent *x, const lamina_warp *w, lamina_fill fill, float value, const float *in,
                       float *out)
{
    const picture p = {*x, w, fill, value, in};
    if (w->whole)
        copy_rows(&p, out);
    else if (x->channels == 1)
        blend_rows(&p, 1, out);
    else if (x->channels == 3)
        blend_rows(&p, 3, out);
    else
        blend_rows(&p, x->channels, out);
}

/* ---- masks ---- */

void lamina_warp_mask(const lamina_extent *x, const lamina_warp *w, lamina_fill fill, const void *value, size_t size,
                      const char *in, char *out)
{
    const float *m = w->m;
    const size_t pixel = size * (size_t)x->channels;
    for (int64_t r = 0; r < x->rows; r++)
        for (int64_t c = 0; c < x->columns; c++, out += pixel) {
            float y = m[0] * (float)r + m[1] * (float)c + m[2], z = m[3] * (float)r + m[4] * (float)c + m[5];
            int64_t row = find_pixel(fill, floor_of(y + 0.5f), x->rows);
            int64_t column = find_pixel(fill, floor_of(z + 0.5f), x->columns);
            if (row >= 0 && column >= 0)
                memcpy(out, in + (size_t)(row * x->columns + column) * pixel, pixel);
            else
                for (size_t k = 0; k < pixel; k += size)
                    memcpy(out + k, value, size);
        }
}
