/* frontend/catalogue/layers/window.h - where a window stands that moves along one or two dimensions: of pools and of
 * convolutions. Inputs are [steps, channels] or [rows, columns, channels]. */
#ifndef FRONTEND_WINDOW_H
#define FRONTEND_WINDOW_H

#include "frontend/catalogue/layers/layers.h"

typedef struct {
    int dims; /* 1: steps; 2: rows, columns */
    int64_t size[2], stride[2], dilation[2], low[2], high[2], out[2];
    bool mirrored; /* the padding is the input's own elements, mirrored at the edge; else zeros */
} fe_window;

/* "rows", "columns" or "steps". */
const char *fe_window_axis(int dims, int axis);
/* False (and a message) unless the first input is [steps, channels] or, of two dimensions, an image. */
bool fe_expect_spatial(fe_reader *r, const fe_layer *l, int dims);
/* Find the window by the keys size_key, strides (absent: the size), padding and, if 'dilated', dilation_rate, and keep
 * it for fe_window_of. False (and a message) if it is larger than what it is to move over. */
bool fe_place_window(fe_reader *r, fe_layer *l, int dims, const char *size_key, bool dilated);
const fe_window *fe_window_of(const fe_layer *l);
/* f32[B, out, channels] */
ir_type fe_window_result(const fe_window *w, int64_t channels);

#endif
