/* tests/bench/side.h - what both C programs of the bench do as its other sides do (peer.py): numbers that every side
 * starts from, and the timing of one operation. */
#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#include <stdint.h>
#include <time.h>

static inline double side_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* 24 well mixed bits for element i of tensor t. */
static inline uint32_t side_bits(uint32_t t, uint32_t i)
{
    uint32_t u = i * 2654435761u + (t + 1) * 2246822519u;
    u = (u ^ u >> 16) * 2246822507u;
    u = (u ^ u >> 13) * 3266489909u;
    return (u ^ u >> 16) >> 8;
}

/* The same as a number in [-1, 1), exact. */
static inline float side_value(uint32_t t, uint32_t i)
{
    return (float)side_bits(t, i) * 0x1p-23f - 1;
}

typedef void side_operation(void *context);

/* Seconds that one operation takes, over at least 'seconds' of them. Runs grow, so that reading the clock costs nothing
 * beside the shortest operation. */
static inline double side_time(side_operation *operation, void *context, double seconds)
{
    int64_t done = 0, run = 1;
    double start = side_now(), before = start;
    for (;;) {
        for (int64_t i = 0; i < run; i++)
            operation(context);
        done += run;
        double now = side_now();
        if (now - start >= seconds)
            return (now - start) / (double)done;
        if (now - before < seconds / 16)
            run *= 2;
        before = now;
    }
}

#endif
