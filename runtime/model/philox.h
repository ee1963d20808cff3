/* runtime/model/philox.h - Philox 4x32-10, the counter-based generator behind initial values, shuffles, splits and
 * augmentation. */
#ifndef RUNTIME_PHILOX_H
#define RUNTIME_PHILOX_H

#include <stdint.h>

/* The last counter word says what the numbers are for, so that no two uses meet. Generated code has there
 * micro_batch * 2^16 + time index, which stays below these. */
enum {
    PHILOX_INIT = 0x494e4954,
    PHILOX_SHUFFLE = 0x53485546,
    PHILOX_SPLIT = 0x53504c54,
    PHILOX_VARY = 0x56415259,
    PHILOX_BALANCE = 0x42414c41
};

/* Four words of the stream (key, counter). */
void lamina_philox(uint64_t key, const uint32_t counter[4], uint32_t out[4]);

#endif
