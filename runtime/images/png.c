/* runtime/images/png.c - PNG by libpng: of any depth and kind, as grey or red, green and blue of 8 bits, with alpha
 * where the file has some.
 *
 * libpng jumps out of its functions to report an error. Everything that is needed behind the jump lies in a struct, not
 * in variables, which the jump may leave undefined. */
#include "runtime/images/image.h"

#ifdef LAMINA_PNG
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include <png.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const lamina_image_file *file;
    size_t at;
    png_structp png;
    png_infop info;
    lamina_image *out;
    lamina_status status; /* of what is not libpng's own error */
    lamina_error *e;
    bool no_memory;
    char message[128];
} reader;

static void on_error(png_structp png, png_const_charp message)
{
    reader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static png_voidp allocate(png_structp png, png_alloc_size_t bytes)
{
    reader *r = png_get_mem_ptr(png);
    void *p = lamina_allocate(1, bytes);
    r->no_memory |= !p;
    return p;
}

static void release(png_structp png, png_voidp p)
{
    (void)png;
    lamina_release(p);
}

static void get(png_structp png, png_bytep to, size_t bytes)
{
    reader *r = png_get_io_ptr(png);
    if (bytes > r->file->size - r->at)
        png_error(png, "it is truncated");
    memcpy(to, r->file->bytes + r->at, bytes);
    r->at += bytes;
}

static void read_rows(reader *r)
{
    size_t row = (size_t)r->out->width * (size_t)r->out->channels;
    int passes = png_set_interlace_handling(r->png);
    for (int pass = 0; pass < passes; pass++)
        for (int64_t i = 0; i < r->out->height; i++)
            png_read_row(r->png, r->out->pixels + (size_t)i * row, NULL);
    png_read_end(r->png, NULL); /* the checksum of the last rows, and that the file has an end */
}

static void read_picture(reader *r)
{
    png_set_read_fn(r->png, r, get);
    png_read_info(r->png, r->info);
    png_set_expand(r->png); /* palettes, fewer bits, and a transparent colour as alpha */
    png_set_scale_16(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    r->out->width = png_get_image_width(r->png, r->info);
    r->out->height = png_get_image_height(r->png, r->info);
    r->out->channels = png_get_channels(r->png, r->info);
    r->status = lamina_image_allocate(r->file, r->out, r->e);
    if (!r->status)
        read_rows(r);
}

static lamina_status decode(reader *r)
{
    r->info = png_create_info_struct(r->png);
    if (!r->info)
        return lamina_fail_memory(r->e, r->file->path, r->file->size);
    if (setjmp(png_jmpbuf(r->png)))
        return r->no_memory ? lamina_fail_memory(r->e, r->file->path, r->file->size)
                            : lamina_image_refuse(r->file->path, "a sound PNG file", r->message, r->e);
    read_picture(r);
    return r->status;
}

lamina_status lamina_png_read(const lamina_image_file *f, lamina_image *out, lamina_error *e)
{
    reader r = {.file = f, .out = out, .e = e};
    *out = (lamina_image){0};
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning, &r, allocate, release);
    if (!r.png)
        return lamina_fail_memory(e, f->path, f->size);
    lamina_status s = decode(&r);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (s)
        lamina_image_free(out);
    return s;
}

#else

lamina_status lamina_png_read(const lamina_image_file *f, lamina_image *out, lamina_error *e)
{
    *out = (lamina_image){0};
    return lamina_image_refuse(f->path, "a format that this build reads", "PNG, and it was built without libpng", e);
}
#endif
