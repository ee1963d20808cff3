/* runtime/model/series.h - log, exp and the circle as series of additions and multiplications, and what random numbers
 * are made of them: libm's last bit differs from processor to processor. */
#ifndef RUNTIME_SERIES_H
#define RUNTIME_SERIES_H

#include <stdint.h>

double lamina_series_log(double x); /* ln x for normal x > 0 */
double lamina_series_exp(double x); /* e^x for |x| <= 700 */
/* Cosine and sine of 2 pi u for u in [0, 1). */
void lamina_circle(double u, double *cosine, double *sine);
/* Two standard normal numbers of two random words: cosine and sine of one angle (Box and Muller, 1958). */
void lamina_normal_pair(const uint32_t word[2], double out[2]);
/* Number 'lane' of the two pairs that four words give. */
double lamina_normal(const uint32_t word[4], int lane);

#endif
