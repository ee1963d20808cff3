/* runtime/images/image.h - one picture: a file's bytes, what they decode to, and what becomes of that in a record;
 * private to images/. */
#ifndef RUNTIME_IMAGE_H
#define RUNTIME_IMAGE_H

#include "runtime/data/words.h"
#include "runtime/images/images.h"

/* The bytes of a file, and the size that its picture must have; 0: any. */
typedef struct {
    const char *path;
    const unsigned char *bytes;
    size_t size;
    int64_t width, height;
} lamina_image_file;

typedef struct {
    int64_t width, height;
    int32_t channels;      /* 1: grey; 2: with alpha; 3: red, green, blue; 4: with alpha */
    unsigned char *pixels; /* row by row */
} lamina_image;

/* "PATH: expected ..., found ...", BAD_FILE. */
lamina_status lamina_image_refuse(const char *path, const char *expected, const char *found, lamina_error *e);
/* What a reader calls once it knows width, height and channels: are they what is wanted, and no more than can be? Then
 * there is room for the pixels. */
lamina_status lamina_image_allocate(const lamina_image_file *f, lamina_image *image, lamina_error *e);
void lamina_image_free(lamina_image *image); /* what it holds */

/* Readers; on an error no pixels are left to release. */
lamina_status lamina_png_read(const lamina_image_file *f, lamina_image *out, lamina_error *e);
lamina_status lamina_jpeg_read(const lamina_image_file *f, lamina_image *out, lamina_error *e);
lamina_status lamina_pnm_read(const lamina_image_file *f, lamina_image *out, lamina_error *e);

/* Any of them, chosen by the first bytes. 'width' and 'height' are as in lamina_image_file. */
lamina_status lamina_image_read(const char *path, int64_t width, int64_t height, lamina_image *out, lamina_error *e);

/* Write a picture as a record of the tensor, f32 or ui8, resized where its size differs. */
void lamina_image_write(const lamina_image *image, lamina_resize how, const lamina_tensor *t, void *record);

/* Pictures by their paths, and how many there are of the classes up to each one. */
typedef struct {
    lamina_words files, classes;
    int64_t *end; /* by class: number of the file behind its last one; NULL: there are no classes */
    int64_t skipped;
} lamina_image_list;

/* On an error too lamina_image_list_free. */
lamina_status lamina_image_list_make(const char *const *paths, int32_t count, const lamina_image_options *o,
                                     lamina_image_list *out, lamina_error *e);
void lamina_image_list_free(lamina_image_list *l);

#endif
