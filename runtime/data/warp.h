/* runtime/data/warp.h - pictures moved, turned and scaled. */
#ifndef RUNTIME_WARP_H
#define RUNTIME_WARP_H

#include "runtime/lamina.h"

/* [rows, columns, channels], row-major */
typedef struct {
    int64_t rows, columns, channels;
} lamina_extent;

/* Where a pixel of the result comes from: row m[0] r + m[1] c + m[2], column m[3] r + m[4] c + m[5]. */
typedef struct {
    float m[6];
    bool none, whole; /* it is the identity; rows and columns stay such, and go by whole pixels */
} lamina_warp;

/* out = in under the warp, between pixels bilinear; what lies outside is as 'fill' says. */
void lamina_warp_image(const lamina_extent *x, const lamina_warp *w, lamina_fill fill, float value, const float *in,
                       float *out);
/* The same by the nearest pixel, of elements of any type of 'size' bytes; 'value' is one of them. */
void lamina_warp_mask(const lamina_extent *x, const lamina_warp *w, lamina_fill fill, const void *value, size_t size,
                      const char *in, char *out);

#endif
