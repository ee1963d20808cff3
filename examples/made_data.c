/* examples/made_data.c - data sets that the examples need and nobody ships: made_data DIRECTORY, which writes
 *
 * linear-{train,test}-{x,y}.idx, float32: ten numbers x between -1 and 1, and y = map . x + 0.7 with a little noise.
 * wide-{train,test}-{x,label}.idx, bytes: a thousand measurements x of sixteen hidden numbers, each a weighted sum of
 * them, and the class, 0 to 9, of which of thirty places those lie about, three to a class. Places overlap, so that no
 * classifier is always right.
 * tabular-{train,test}-{x,label}.idx, bytes: the same with a hundred measurements and other places.
 *
 * made_data noise <IMAGES >NOISY: reads an IDX file of byte images and writes it with noise of deviation 0.3 on every
 * pixel, black being 0 and white 1.
 *
 * The numbers come from a generator of this file's own, so every machine writes the same bytes. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- random numbers ---- */

/* Knuth's MMIX generator; the upper bits are the good ones. In [-1, 1). */
static float next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(int32_t)(*state >> 40) * 0x1p-23f - 1;
}

/* Near enough to a normal number of deviation 1. */
static float normal(uint64_t *state)
{
    float sum = 0;
    for (int i = 0; i < 12; i++)
        sum += next(state);
    return sum / 2;
}

/* ---- IDX files ---- */

enum { BYTES = 0x08, FLOATS = 0x0d };

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

/* With records of 'width' elements; 0: of one, without a dimension for it. */
static FILE *begin(const char *folder, const char *set, const char *field, uint32_t type, int records, int width)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s-%s.idx", folder, set, field);
    FILE *f = fopen(path, "wb");
    if (!f) {
        perror(path);
        return NULL;
    }
    put_word(f, type << 8 | (width ? 2 : 1));
    put_word(f, (uint32_t)records);
    if (width)
        put_word(f, (uint32_t)width);
    return f;
}

static int end(FILE *f)
{
    int failed = f && ferror(f);
    return (f && fclose(f) != 0) || failed || !f;
}

static int ended(FILE *x, FILE *y, const char *folder, const char *set)
{
    int failed = end(x) | end(y);
    if (failed)
        fprintf(stderr, "made_data: could not write %s to %s\n", set, folder);
    return failed;
}

/* ---- ten numbers and their sum ---- */

enum { LINEAR_WIDTH = 10, LINEAR_TRAIN = 4096, LINEAR_TEST = 512 };

static int write_linear(const char *folder, const char *set, int records, uint64_t *state)
{
    static const float map[LINEAR_WIDTH] = {1.5f, -2, 0.5f, 3, -1, 0.25f, -0.75f, 2, -1.25f, 1};
    const float offset = 0.7f, noise = 0.02f;
    FILE *x = begin(folder, set, "x", FLOATS, records, LINEAR_WIDTH), *y = begin(folder, set, "y", FLOATS, records, 1);
    for (int i = 0; x && y && i < records; i++) {
        float sum = offset;
        for (int k = 0; k < LINEAR_WIDTH; k++) {
            float v = next(state);
            put_float(x, v);
            sum += map[k] * v;
        }
        put_float(y, sum + noise * next(state));
    }
    return ended(x, y, folder, set);
}

/* ---- many measurements of a few hidden numbers ---- */

enum { WIDE_WIDTH = 1000, TABULAR_WIDTH = 100, MEASURED_TRAIN = 8000, MEASURED_TEST = 2000 };
enum { HIDDEN = 16, PLACES = 30, CLASSES = 10 };

typedef struct {
    int width;
    float place[PLACES][HIDDEN], weight[WIDE_WIDTH][HIDDEN];
} measured;

static void make_places(measured *m, int width, uint64_t *state)
{
    m->width = width;
    for (int p = 0; p < PLACES; p++)
        for (int h = 0; h < HIDDEN; h++)
            m->place[p][h] = normal(state);
    for (int k = 0; k < width; k++)
        for (int h = 0; h < HIDDEN; h++)
            m->weight[k][h] = normal(state);
}

static unsigned char byte_of(float v)
{
    return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static int write_measured(const measured *m, const char *folder, const char *set, int records, uint64_t *state)
{
    FILE *x = begin(folder, set, "x", BYTES, records, m->width),
         *label = begin(folder, set, "label", BYTES, records, 0);
    for (int i = 0; x && label && i < records; i++) {
        float hidden[HIDDEN];
        int place = (int)((next(state) + 1) / 2 * PLACES);
        for (int h = 0; h < HIDDEN; h++)
            hidden[h] = m->place[place][h] + 0.9f * normal(state);
        for (int k = 0; k < m->width; k++) {
            float sum = 3 * normal(state);
            for (int h = 0; h < HIDDEN; h++)
                sum += m->weight[k][h] * hidden[h];
            fputc(byte_of(128 + 12 * sum), x);
        }
        fputc(place % CLASSES, label);
    }
    return ended(x, label, folder, set);
}

static int write_sets(const char *folder)
{
    static measured m;
    uint64_t state = 1;
    int failed = write_linear(folder, "linear-train", LINEAR_TRAIN, &state) |
                 write_linear(folder, "linear-test", LINEAR_TEST, &state);
    make_places(&m, WIDE_WIDTH, &state);
    failed |= write_measured(&m, folder, "wide-train", MEASURED_TRAIN, &state) |
              write_measured(&m, folder, "wide-test", MEASURED_TEST, &state);
    make_places(&m, TABULAR_WIDTH, &state);
    return failed | write_measured(&m, folder, "tabular-train", MEASURED_TRAIN, &state) |
           write_measured(&m, folder, "tabular-test", MEASURED_TEST, &state);
}

/* ---- noise ---- */

enum { IMAGE_HEADER = 16 };

static int add_noise(FILE *in, FILE *out)
{
    unsigned char header[IMAGE_HEADER];
    uint64_t state = 1;
    int failed = fread(header, sizeof header, 1, in) != 1 || fwrite(header, sizeof header, 1, out) != 1;
    for (int c; !failed && (c = getc(in)) != EOF;)
        putc(byte_of((float)c + 0.3f * 255 * normal(&state)), out);
    failed |= ferror(in) || fflush(out) != 0 || ferror(out);
    if (failed)
        fprintf(stderr, "made_data: cannot add noise to these images\n");
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: made_data DIRECTORY, or made_data noise <IMAGES >NOISY\n");
        return 2;
    }
    return strcmp(argv[1], "noise") == 0 ? add_noise(stdin, stdout) : write_sets(argv[1]);
}
