/* runtime/images/image.c - one picture from a file of any format, and from there to a record. */
#include "runtime/images/image.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* A small file may say that it holds a huge picture: no more than 128 million pixels are believed. */
enum { MOST_PIXELS = 1 << 27, MOST_SIDE = 1 << 20, MOST_BYTES = 1 << 30 };

lamina_status lamina_image_refuse(const char *path, const char *expected, const char *found, lamina_error *e)
{
    return lamina_fail(e, LAMINA_BAD_FILE, "%s: expected %s, found %s", path, expected, found);
}

lamina_status lamina_image_allocate(const lamina_image_file *f, lamina_image *image, lamina_error *e)
{
    if ((f->width && f->width != image->width) || (f->height && f->height != image->height))
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: expected a picture of %" PRId64 " x %" PRId64 " (rows x columns), found %" PRId64
                           " x %" PRId64 "; 'resize' makes them fit",
                           f->path, f->height, f->width, image->height, image->width);
    if (image->width > MOST_SIDE || image->height > MOST_SIDE || image->width * image->height > MOST_PIXELS)
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: expected at most %d pixels, found a picture of %" PRId64 " x %" PRId64, f->path,
                           MOST_PIXELS, image->height, image->width);
    size_t bytes = (size_t)(image->width * image->height * image->channels);
    image->pixels = lamina_allocate(1, bytes);
    return image->pixels ? LAMINA_OK : lamina_fail_memory(e, f->path, bytes);
}

void lamina_image_free(lamina_image *image)
{
    lamina_release(image->pixels);
    image->pixels = NULL;
}

/* ---- files ---- */

static lamina_status read_all(const char *path, int fd, unsigned char *bytes, size_t size, lamina_error *e)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = read(fd, bytes + at, size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return lamina_fail(e, LAMINA_IO, "%s: cannot read: %s", path, n ? strerror(errno) : "it was cut meanwhile");
        at += (size_t)n;
    }
    return LAMINA_OK;
}

static lamina_status decode(const lamina_image_file *f, lamina_image *out, lamina_error *e)
{
    if (f->size >= 8 && !memcmp(f->bytes, "\x89PNG\r\n\x1a\n", 8))
        return lamina_png_read(f, out, e);
    if (f->size >= 3 && !memcmp(f->bytes, "\xff\xd8\xff", 3))
        return lamina_jpeg_read(f, out, e);
    if (f->size >= 3 && f->bytes[0] == 'P' && (f->bytes[1] == '5' || f->bytes[1] == '6'))
        return lamina_pnm_read(f, out, e);
    return lamina_image_refuse(f->path, "a picture: PNG, JPEG, PGM (P5) or PPM (P6)",
                               f->size ? "other bytes at its beginning" : "an empty file", e);
}

lamina_status lamina_image_read(const char *path, int64_t width, int64_t height, lamina_image *out, lamina_error *e)
{
    int fd;
    uint64_t size;
    *out = (lamina_image){0};
    lamina_status s = lamina_open_regular(path, &fd, &size, e);
    if (s)
        return s;
    unsigned char *bytes = size > MOST_BYTES ? NULL : lamina_allocate(1, size);
    if (bytes)
        s = read_all(path, fd, bytes, size, e);
    close(fd);
    if (!bytes)
        return lamina_fail_memory(e, path, size);
    const lamina_image_file f = {path, bytes, size, width, height};
    if (!s)
        s = decode(&f, out, e);
    lamina_release(bytes);
    return s;
}

/* ---- records ---- */

/* Channel 'k' of so many that the record has. */
static int value_of(const lamina_image *image, int64_t row, int64_t column, int32_t k, int64_t channels)
{
    const unsigned char *p = image->pixels + (row * image->width + column) * image->channels;
    if (k == 3)
        return image->channels == 2 || image->channels == 4 ? p[image->channels - 1] : 255;
    if (image->channels < 3)
        return p[0];
    return channels == 1 ? (299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000 : p[k];
}

/* Where a row or column of the record lies in the picture: between two, or at one. */
typedef struct {
    int64_t low, high;
    double part; /* of high */
} place;

static int64_t within(double v, int64_t count)
{
    return v < 0 ? 0 : v >= (double)count ? count - 1 : (int64_t)v;
}

static place find_place(int64_t i, int64_t wanted, int64_t count, lamina_resize how)
{
    double scale = (double)count / (double)wanted, at = ((double)i + 0.5) * scale;
    if (wanted == count)
        return (place){i, i, 0};
    if (how == LAMINA_RESIZE_NEAREST)
        return (place){within(at, count), within(at, count), 0};
    at -= 0.5;
    return (place){within(floor(at), count), within(floor(at) + 1, count), at - floor(at)};
}

static double between(const lamina_image *image, place row, place column, int32_t k, int64_t channels)
{
    double top = value_of(image, row.low, column.low, k, channels);
    double right = value_of(image, row.low, column.high, k, channels);
    double bottom = value_of(image, row.high, column.low, k, channels);
    double last = value_of(image, row.high, column.high, k, channels);
    top += (right - top) * column.part;
    bottom += (last - bottom) * column.part;
    return top + (bottom - top) * row.part;
}

void lamina_image_write(const lamina_image *image, lamina_resize how, const lamina_tensor *t, void *record)
{
    int64_t rows = t->dim[1], columns = t->dim[2], channels = t->rank == 4 ? t->dim[3] : 1;
    for (int64_t r = 0, i = 0; r < rows; r++) {
        place row = find_place(r, rows, image->height, how);
        for (int64_t c = 0; c < columns; c++) {
            place column = find_place(c, columns, image->width, how);
            for (int32_t k = 0; k < channels; k++, i++) {
                double v = between(image, row, column, k, channels);
                if (t->dtype == LAMINA_F32)
                    ((float *)record)[i] = (float)v;
                else
                    ((unsigned char *)record)[i] = (unsigned char)(v + 0.5);
            }
        }
    }
}
