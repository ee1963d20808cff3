/* runtime/data/augment.h - records changed at random, for training; private to data/. */
#ifndef RUNTIME_AUGMENT_H
#define RUNTIME_AUGMENT_H

#include "runtime/data/store.h"
#include "runtime/data/warp.h"

typedef enum { AUGMENT_COPIED, AUGMENT_IMAGE, AUGMENT_MASK, AUGMENT_MIXED } lamina_augment_role;

/* Radii and cosines of normal numbers by Box and Muller's formula, for 12 bits of a random word each: a normal number
 * is one of 2^24, within 4.3 deviations. */
enum { NOISE_STEPS = 4096 };

typedef struct {
    float radius[NOISE_STEPS], cosine[NOISE_STEPS];
} lamina_noise;

/* What a data set's augmentation is. */
typedef struct lamina_augment {
    lamina_augment_options o; /* its names are gone */
    lamina_extent size;       /* of all pictures, but for the channels */
    lamina_noise *noise;      /* NULL: none is added */
    int64_t most;             /* elements of the largest image */
    uint32_t print;           /* changes with any option */
    lamina_augment_role role[];
} lamina_augment;

/* The numbers of one record, drawn for its place in an epoch. */
typedef struct {
    uint64_t seed;
    uint32_t place, epoch;
    lamina_warp warp;
    float brightness, contrast, saturation; /* factors */
    int64_t cut_row, cut_column;            /* centre of the square */
} lamina_variation;

/* Purposes of random words, added to PHILOX_VARY; noise has input x 16 more. */
enum { VARY_MOVE, VARY_TURN, VARY_VALUES, VARY_CUT, VARY_NOISE, VARY_PARTNER, VARY_WEIGHT };

void lamina_vary_words(uint64_t seed, uint32_t epoch, uint32_t place, uint32_t block, uint32_t what, uint32_t word[4]);
/* From -1 to 1, by one word. */
double lamina_vary_sign(uint32_t word);
lamina_variation lamina_vary(const lamina_augment *a, uint64_t seed, int64_t epoch, int64_t place);
/* What becomes of an image's values once all pixels are where they go; 'input' sets its noise apart. */
void lamina_vary_values(const lamina_augment *a, const lamina_variation *v, int32_t input, const lamina_extent *x,
                        float *pixels);
void lamina_fill_noise(lamina_noise *n, double deviation);
void lamina_augment_free(lamina_augment *a); /* NULL is allowed */
/* A number with the Beta distribution of (alpha, alpha). */
double lamina_vary_weight(uint64_t seed, uint32_t epoch, uint32_t place, double alpha);

/* An epoch as augmentation sees it: which record stands where, and room for three images. */
typedef struct {
    const lamina_dataset *data;
    const int64_t *order; /* of the epoch's places in the store; NULL: the data set's own */
    uint64_t seed;
    int64_t epoch;
    float *room;
} lamina_epoch;

/* Floats of lamina_epoch's room. */
size_t lamina_augment_room(const lamina_augment *a);
/* The record at a place of the epoch, to records[input] + index records of each. */
void lamina_augment_record(const lamina_epoch *at, int64_t place, void *const *records, int64_t index);

#endif
