/* runtime/model/series.c - log, exp, cosine and sine without libm. */
#include "runtime/model/series.h"
#include <math.h>

/* ln x for normal x > 0: with x = m * 2^k, m near 1 and s = (m - 1) / (m + 1), ln m = 2 (s + s^3/3 + s^5/5 + ...). */
double lamina_series_log(double x)
{
    int k;
    double m = frexp(x, &k);
    if (m < 0.70710678118654752) {
        m *= 2;
        k--;
    }
    double s = (m - 1) / (m + 1), square = s * s, sum = 0;
    for (int n = 23; n >= 1; n -= 2)
        sum = sum * square + 1.0 / n;
    return 2 * s * sum + k * 0.69314718055994531;
}

/* x = k ln 2 + r with |r| <= ln 2 / 2, and e^r = 1 + r (1 + r / 2 (1 + r / 3 ...)). */
double lamina_series_exp(double x)
{
    const double ln2 = 0.69314718055994531;
    int k = (int)(x / ln2 + (x < 0 ? -0.5 : 0.5));
    double r = x - k * ln2, sum = 1;
    for (int n = 16; n >= 1; n--)
        sum = 1 + sum * r / n;
    return ldexp(sum, k);
}

/* Cosine and sine of 2 pi u for u in [0, 1): the nearest quarter turn, and a series for the rest, within pi / 4. */
void lamina_circle(double u, double *cosine, double *sine)
{
    int quarter = (int)(u * 4 + 0.5);
    double x = (u - quarter * 0.25) * 6.28318530717958648, square = x * x;
    double c = 0, s = 0;
    for (int n = 18; n >= 2; n -= 2) {
        c = 1 - c * square / (n * (n - 1));
        s = 1 - s * square / (n * (n + 1));
    }
    /* c holds 1 - x^2/2 (1 - ...), s the same of sin(x) / x */
    s *= x;
    switch (quarter & 3) {
    case 0:
        *cosine = c, *sine = s;
        break;
    case 1:
        *cosine = -s, *sine = c;
        break;
    case 2:
        *cosine = -c, *sine = -s;
        break;
    default:
        *cosine = s, *sine = -c;
    }
}

void lamina_normal_pair(const uint32_t word[2], double out[2])
{
    double radius = sqrt(-2 * lamina_series_log((word[0] + 1.0) * 0x1p-32)); /* of a number in (0, 1] */
    lamina_circle(word[1] * 0x1p-32, &out[0], &out[1]);
    out[0] *= radius;
    out[1] *= radius;
}

double lamina_normal(const uint32_t word[4], int lane)
{
    double pair[2];
    lamina_normal_pair(word + (lane & 2), pair);
    return pair[lane & 1];
}
