/* frontend/command/sheet.c - a sheet of pictures: records as they are, and beside each what training makes of it in its
 * first epochs. Written as PGM (grey) or PPM (red, green, blue), which every viewer knows. */
#include "frontend/command/sheet.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { DOWN = 8, ACROSS = 8, GAP = 2 };

typedef struct {
    const lamina_tensor *input;
    int64_t rows, columns, channels, kept; /* kept: 1 or 3 of the channels are shown */
    int64_t wide, high;
    unsigned char *pixels;
} sheet;

/* The image that is named first, or the first input that can be one. */
static const lamina_tensor *find_image(const lamina_net *net, const fe_augment *a)
{
    for (int32_t i = 0; i < net->input_count; i++) {
        const lamina_tensor *t = &net->inputs[i];
        bool real = t->dtype == LAMINA_UI8 || t->dtype == LAMINA_F32;
        if (a->image_count ? !strcmp(t->name, a->images[0]) : real && (t->rank == 3 || t->rank == 4))
            return t;
    }
    ir_bug("data of '%s' are augmented that have no image", net->name);
}

static double value_at(const lamina_tensor *t, const void *record, int64_t i)
{
    return t->dtype == LAMINA_F32 ? (double)((const float *)record)[i] : ((const unsigned char *)record)[i];
}

/* Bytes are shown as they are, other numbers between the least and the most of the record as it is. */
static void find_range(const sheet *s, const void *record, double *least, double *most)
{
    *least = 0;
    *most = 255;
    if (s->input->dtype != LAMINA_F32)
        return;
    *least = *most = value_at(s->input, record, 0);
    for (int64_t i = 0; i < s->rows * s->columns * s->channels; i++) {
        double v = value_at(s->input, record, i);
        *least = v < *least ? v : *least;
        *most = v > *most ? v : *most;
    }
    *most = *most > *least ? *most : *least + 1;
}

static void draw(const sheet *s, int64_t down, int64_t across, const void *record, double least, double most)
{
    int64_t top = down * (s->rows + GAP), left = across * (s->columns + GAP);
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t c = 0; c < s->columns; c++)
            for (int64_t k = 0; k < s->kept; k++) {
                double v = value_at(s->input, record, (r * s->columns + c) * s->channels + k);
                v = (v - least) / (most - least) * 255 + 0.5;
                s->pixels[((top + r) * s->wide + left + c) * s->kept + k] =
                    (unsigned char)(v > 0 ? v < 255 ? v : 255 : 0);
            }
}

static bool write_sheet(const sheet *s, const char *path, diag *d)
{
    size_t bytes = (size_t)(s->wide * s->high * s->kept);
    FILE *f = fopen(path, "wb");
    bool ok =
        f && fprintf(f, "P%d\n%lld %lld\n255\n", s->kept == 3 ? 6 : 5, (long long)s->wide, (long long)s->high) > 0;
    ok = ok && fwrite(s->pixels, 1, bytes, f) == bytes;
    int code = errno;
    if (f && fclose(f) != 0)
        ok = false;
    if (!ok)
        diag_error(d, (src_loc){0}, "%s: cannot be written: %s", path, strerror(code));
    return ok;
}

bool cmd_write_sheet(const lamina_net *net, const fe_augment *a, const lamina_dataset *train, uint64_t seed,
                     const char *path, arena *mem, diag *d)
{
    lamina_error e;
    sheet s = {.input = find_image(net, a)};
    int32_t input = (int32_t)(s.input - net->inputs);
    s.rows = s.input->dim[1];
    s.columns = s.input->dim[2];
    s.channels = s.input->rank == 4 ? s.input->dim[3] : 1;
    s.kept = s.channels >= 3 ? 3 : 1;
    int64_t records = lamina_dataset_count(train) < DOWN ? lamina_dataset_count(train) : DOWN;
    s.wide = ACROSS * (s.columns + GAP) - GAP;
    s.high = records * (s.rows + GAP) - GAP;
    s.pixels = arena_new_array(mem, unsigned char, (size_t)(s.wide * s.high * s.kept));
    void **changed = arena_new_array(mem, void *, (size_t)net->input_count);
    changed[input] = arena_array(mem, 1, s.input->bytes);
    for (int64_t i = 0; i < records; i++) {
        double least, most;
        const void *record = lamina_dataset_record(train, input, i);
        find_range(&s, record, &least, &most);
        draw(&s, i, 0, record, least, most);
        for (int64_t epoch = 0; epoch < ACROSS - 1; epoch++) {
            if (lamina_dataset_augmented(train, seed, epoch, i, changed, &e) != LAMINA_OK) {
                diag_error(d, a->at, "%s", e.text);
                return false;
            }
            draw(&s, i, epoch + 1, changed[input], least, most);
        }
    }
    return write_sheet(&s, path, d);
}
