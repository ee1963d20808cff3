/* examples/linear_data.c - data sets for the linear examples: linear_data DIRECTORY
 *
 * Ten numbers x between -1 and 1, and one number y = map . x + 0.7 with a little noise, as float32 IDX files:
 * linear-{train,test}-{x,y}.idx. The numbers come from a generator of this file's own, so every machine writes the same
 * bytes. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 10, TRAIN = 4096, TEST = 512 };

static const float map[WIDTH] = {1.5f, -2, 0.5f, 3, -1, 0.25f, -0.75f, 2, -1.25f, 1};
static const float offset = 0.7f, noise = 0.02f;

/* Knuth's MMIX generator; the upper bits are the good ones. In [-1, 1). */
static float next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(int32_t)(*state >> 40) * 0x1p-23f - 1;
}

static void put_word(FILE *f, uint32_t w)
{
    const unsigned char b[4] = {(unsigned char)(w >> 24), (unsigned char)(w >> 16), (unsigned char)(w >> 8),
                                (unsigned char)w};
    fwrite(b, 1, sizeof b, f);
}

static void put_float(FILE *f, float v)
{
    uint32_t w;
    memcpy(&w, &v, sizeof w);
    put_word(f, w);
}

static FILE *begin(const char *folder, const char *set, const char *field, uint32_t records, uint32_t width)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/linear-%s-%s.idx", folder, set, field);
    FILE *f = fopen(path, "wb");
    if (!f) {
        perror(path);
        return NULL;
    }
    put_word(f, 0x0d02); /* float32, two dimensions */
    put_word(f, records);
    put_word(f, width);
    return f;
}

static int end(FILE *f)
{
    int failed = f && ferror(f);
    return (f && fclose(f) != 0) || failed || !f;
}

static int write_set(const char *folder, const char *set, int records, uint64_t *state)
{
    FILE *x = begin(folder, set, "x", (uint32_t)records, WIDTH), *y = begin(folder, set, "y", (uint32_t)records, 1);
    for (int i = 0; x && y && i < records; i++) {
        float sum = offset;
        for (int k = 0; k < WIDTH; k++) {
            float v = next(state);
            put_float(x, v);
            sum += map[k] * v;
        }
        put_float(y, sum + noise * next(state));
    }
    int failed = end(x) | end(y);
    if (failed)
        fprintf(stderr, "linear_data: could not write the %s set to %s\n", set, folder);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: linear_data DIRECTORY\n");
        return 2;
    }
    uint64_t state = 1;
    return write_set(argv[1], "train", TRAIN, &state) | write_set(argv[1], "test", TEST, &state);
}
