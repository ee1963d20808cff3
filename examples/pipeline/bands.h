/* examples/pipeline/bands.h - the data of both programs, and how long they learn from it. */
#ifndef BANDS_H
#define BANDS_H

#include <math.h>
#include <stdint.h>

enum { BANDS = 4, BANDS_STEPS = 60, BANDS_SEED = 1, BATCH = 250, MICRO_BATCH = 32 };

/* The points of a step, always the same ones. */
static inline void make_points(int step, float point[BATCH][2], int32_t band[BATCH])
{
    uint32_t state = 12345u + 977u * (uint32_t)step;
    for (int i = 0; i < BATCH; i++) {
        double u[2];
        for (int k = 0; k < 2; k++) {
            state = state * 1664525u + 1013904223u;
            u[k] = (double)(state >> 8) / (1 << 24);
        }
        band[i] = i % BANDS;
        double angle = 6.283185307 * (u[0] + (double)band[i] / BANDS), radius = 0.3 + u[0] + 0.1 * u[1];
        point[i][0] = (float)(radius * cos(angle));
        point[i][1] = (float)(radius * sin(angle));
    }
}

#endif
