/* runtime/data/vary.c - the random numbers of augmentation, and what they make of an image's values.
 *
 * Word k of a record is in Philox block (place in the epoch, k / 4, epoch, what for), whose key is the run's seed. */
#include "runtime/data/augment.h"
#include "runtime/model/philox.h"
#include "runtime/model/series.h"
#include <math.h>
#include <string.h>

void lamina_vary_words(uint64_t seed, uint32_t epoch, uint32_t place, uint32_t block, uint32_t what, uint32_t word[4])
{
    const uint32_t counter[4] = {place, block, epoch, PHILOX_VARY + what};
    lamina_philox(seed, counter, word);
}

double lamina_vary_sign(uint32_t word)
{
    return ((double)word + 0.5) * 0x1p-31 - 1;
}

static double shift_of(double most, int64_t size, uint32_t word)
{
    return (most < 1 ? most * (double)size : most) * lamina_vary_sign(word);
}

/* One of -n .. n. */
static double whole_shift(int64_t n, uint32_t word)
{
    return (double)((int64_t)(((uint64_t)word * (uint64_t)(2 * n + 1)) >> 32) - n);
}

/* What a pixel of the result is, seen from the centre, in the picture: turned back, sheared back, scaled back, flipped.
 * 'm' is [rows; columns] by [row, column]. */
static void turn(const lamina_augment_options *o, const uint32_t word[4], double m[4])
{
    double c, s, slope_c, slope_s, angle = o->rotate / 360 * lamina_vary_sign(word[0]);
    double slope = o->shear / 360 * lamina_vary_sign(word[1]);
    lamina_circle(angle < 0 ? angle + 1 : angle, &c, &s);
    lamina_circle(slope < 0 ? slope + 1 : slope, &slope_c, &slope_s);
    double scale = 1 / (1 + o->zoom * lamina_vary_sign(word[2])), shear = slope_s / slope_c;
    m[0] = c * scale;
    m[1] = -s * scale;
    m[2] = (s - shear * c) * scale;
    m[3] = (c + shear * s) * scale;
}

static lamina_warp draw_warp(const lamina_augment *a, uint64_t seed, uint32_t epoch, uint32_t place)
{
    const lamina_augment_options *o = &a->o;
    uint32_t move[4], turned[4], crop[4];
    double m[4] = {1, 0, 0, 1};
    bool turns = o->rotate > 0 || o->zoom > 0 || o->shear > 0, shifts = o->shift > 0;
    lamina_vary_words(seed, epoch, place, 0, VARY_MOVE, move);
    lamina_vary_words(seed, epoch, place, 1, VARY_MOVE, crop);
    lamina_vary_words(seed, epoch, place, 0, VARY_TURN, turned);
    if (turns)
        turn(o, turned, m);
    double row = shift_of(o->shift, a->size.rows, move[0]) + whole_shift(o->crop, crop[0]);
    double column = shift_of(o->shift, a->size.columns, move[1]) + whole_shift(o->crop, crop[1]);
    double middle_row = (double)(a->size.rows - 1) / 2, middle_column = (double)(a->size.columns - 1) / 2;
    double flip_rows = o->flip_vertical && (move[2] & 1) ? -1 : 1;
    double flip_columns = o->flip_horizontal && (move[3] & 1) ? -1 : 1;
    lamina_warp w = {.whole = !turns && !shifts};
    row += middle_row; /* of the result, seen from where its centre went */
    column += middle_column;
    w.m[0] = (float)(flip_rows * m[0]);
    w.m[1] = (float)(flip_rows * m[1]);
    w.m[2] = (float)(middle_row - flip_rows * (m[0] * row + m[1] * column));
    w.m[3] = (float)(flip_columns * m[2]);
    w.m[4] = (float)(flip_columns * m[3]);
    w.m[5] = (float)(middle_column - flip_columns * (m[2] * row + m[3] * column));
    w.none = w.whole && w.m[0] > 0 && w.m[4] > 0 && w.m[2] == 0 && w.m[5] == 0;
    return w;
}

lamina_variation lamina_vary(const lamina_augment *a, uint64_t seed, int64_t epoch, int64_t place)
{
    uint32_t word[4], cut[4];
    lamina_variation v = {.seed = seed, .place = (uint32_t)place, .epoch = (uint32_t)epoch};
    v.warp = draw_warp(a, seed, v.epoch, v.place);
    lamina_vary_words(seed, v.epoch, v.place, 0, VARY_VALUES, word);
    v.brightness = (float)(1 + a->o.brightness * lamina_vary_sign(word[0]));
    v.contrast = (float)(1 + a->o.contrast * lamina_vary_sign(word[1]));
    v.saturation = (float)(1 + a->o.saturation * lamina_vary_sign(word[2]));
    lamina_vary_words(seed, v.epoch, v.place, 0, VARY_CUT, cut);
    v.cut_row = (int64_t)(((uint64_t)cut[0] * (uint64_t)a->size.rows) >> 32);
    v.cut_column = (int64_t)(((uint64_t)cut[1] * (uint64_t)a->size.columns) >> 32);
    return v;
}

/* The logarithm of a number with the Gamma distribution of (alpha, 1): Marsaglia and Tsang 2000, with alpha + 1 and the
 * boost of their section 6, as alpha may be below 1. 'which' is 0 or 1. */
static double log_gamma_number(uint64_t seed, uint32_t epoch, uint32_t place, double alpha, uint32_t which)
{
    double d = alpha + 2.0 / 3, c = 1 / sqrt(9 * d);
    for (uint32_t attempt = 0;; attempt++) {
        uint32_t word[4];
        double pair[2];
        lamina_vary_words(seed, epoch, place, attempt * 2 + which, VARY_WEIGHT, word);
        lamina_normal_pair(word, pair);
        double x = pair[0], v = (1 + c * x) * (1 + c * x) * (1 + c * x), u = (word[2] + 0.5) * 0x1p-32;
        if (v <= 0 || lamina_series_log(u) >= x * x / 2 + d - d * v + d * lamina_series_log(v))
            continue;
        return lamina_series_log(d * v) + lamina_series_log((word[3] + 0.5) * 0x1p-32) / alpha;
    }
}

double lamina_vary_weight(uint64_t seed, uint32_t epoch, uint32_t place, double alpha)
{
    double x = log_gamma_number(seed, epoch, place, alpha, 0), y = log_gamma_number(seed, epoch, place, alpha, 1);
    double difference = y - x > 700 ? 700 : y - x < -700 ? -700 : y - x;
    return 1 / (1 + lamina_series_exp(difference));
}

/* ---- values ---- */

static const float grey[3] = {0.2989f, 0.587f, 0.114f}; /* of red, green, blue: ITU-R BT.601, as torchvision's */

static void scale(float *pixels, int64_t count, float factor)
{
    for (int64_t i = 0; i < count; i++)
        pixels[i] *= factor;
}

/* In four sums, which the order of additions makes part of the result. */
static float mean_of(const lamina_extent *x, const float *pixels)
{
    int64_t count = x->rows * x->columns * x->channels;
    double sum[4] = {0};
    for (int64_t i = 0; i < count; i++)
        sum[i & 3] += (double)(x->channels == 3 ? 3 * grey[i % 3] * pixels[i] : pixels[i]);
    return (float)(((sum[0] + sum[1]) + (sum[2] + sum[3])) / (double)count);
}

static void scale_from(float *pixels, int64_t count, float factor, float centre)
{
    for (int64_t i = 0; i < count; i++)
        pixels[i] = centre + factor * (pixels[i] - centre);
}

static void saturate(float *pixels, int64_t count, float factor)
{
    for (int64_t i = 0; i < count; i++)
        scale_from(pixels + 3 * i, 3, factor,
                   grey[0] * pixels[3 * i] + grey[1] * pixels[3 * i + 1] + grey[2] * pixels[3 * i + 2]);
}

void lamina_fill_noise(lamina_noise *n, double deviation)
{
    for (int i = 0; i < NOISE_STEPS; i++) {
        double u = (i + 0.5) / NOISE_STEPS, cosine, sine;
        n->radius[i] = (float)(deviation * sqrt(-2 * lamina_series_log(u)));
        lamina_circle(u, &cosine, &sine);
        n->cosine[i] = (float)cosine;
    }
}

/* Two numbers a word: the cosine and, a quarter turn before, the sine of an angle, with one radius. */
static void add_noise(const lamina_noise *n, const lamina_variation *v, int32_t input, float *pixels, int64_t count)
{
    for (int64_t i = 0; i < count; i += 8) {
        uint32_t word[4];
        lamina_vary_words(v->seed, v->epoch, v->place, (uint32_t)(i / 8), VARY_NOISE + ((uint32_t)input << 4), word);
        for (int64_t k = i; k < count && k < i + 8; k++) {
            uint32_t w = word[(k - i) / 2], angle = (w >> 12) - (k & 1 ? NOISE_STEPS / 4 : 0);
            pixels[k] += n->radius[w & (NOISE_STEPS - 1)] * n->cosine[angle & (NOISE_STEPS - 1)];
        }
    }
}

static void cut_out(const lamina_augment *a, const lamina_variation *v, const lamina_extent *x, float *pixels)
{
    int64_t side = a->o.cutout, top = v->cut_row - side / 2, left = v->cut_column - side / 2;
    for (int64_t r = top < 0 ? 0 : top; r < top + side && r < x->rows; r++)
        for (int64_t c = left < 0 ? 0 : left; c < left + side && c < x->columns; c++)
            for (int64_t k = 0; k < x->channels; k++)
                pixels[(r * x->columns + c) * x->channels + k] = (float)a->o.fill_value;
}

void lamina_vary_values(const lamina_augment *a, const lamina_variation *v, int32_t input, const lamina_extent *x,
                        float *pixels)
{
    int64_t points = x->rows * x->columns, count = points * x->channels;
    if (a->o.brightness > 0)
        scale(pixels, count, v->brightness);
    if (a->o.contrast > 0)
        scale_from(pixels, count, v->contrast, mean_of(x, pixels));
    if (a->o.saturation > 0)
        saturate(pixels, points, v->saturation);
    if (a->noise)
        add_noise(a->noise, v, input, pixels, count);
    if (a->o.cutout > 0)
        cut_out(a, v, x, pixels);
}
