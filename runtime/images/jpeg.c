/* runtime/images/jpeg.c - JPEG by libjpeg: baseline and progressive, as grey or red, green and blue.
 *
 * Errors jump, as in png.c. libjpeg's own memory is malloc's, since a program cannot give it another one. */
#include "runtime/images/image.h"

#ifdef LAMINA_JPEG
#include "runtime/base/error.h"
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

enum { MOST_SCANS = 500 }; /* of a progressive file: each one takes time for the whole picture */

typedef struct {
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    const lamina_image_file *file;
    lamina_image *out;
    lamina_status status;
    lamina_error *e;
    char message[JMSG_LENGTH_MAX];
} reader;

static void on_error(j_common_ptr c)
{
    reader *r = c->client_data;
    c->err->format_message(c, r->message);
    longjmp(r->back, 1);
}

/* Level -1 warns of damage, after which the picture is not what it was; other levels trace. Superfluous bytes do no
 * harm, and well-known data sets have them. */
static void on_message(j_common_ptr c, int level)
{
    if (level < 0 && c->err->msg_code != JWRN_EXTRANEOUS_DATA)
        on_error(c);
}

static void on_progress(j_common_ptr c)
{
    reader *r = c->client_data;
    if (r->c.input_scan_number <= MOST_SCANS)
        return;
    snprintf(r->message, sizeof r->message, "more than %d scans", MOST_SCANS);
    longjmp(r->back, 1);
}

static const char *describe(J_COLOR_SPACE space)
{
    return space == JCS_CMYK || space == JCS_YCCK ? "CMYK" : "other colours";
}

static void read_picture(reader *r)
{
    struct jpeg_decompress_struct *c = &r->c;
    jpeg_mem_src(c, r->file->bytes, r->file->size);
    jpeg_read_header(c, TRUE);
    bool grey = c->jpeg_color_space == JCS_GRAYSCALE;
    if (!grey && c->jpeg_color_space != JCS_YCbCr && c->jpeg_color_space != JCS_RGB) {
        r->status =
            lamina_image_refuse(r->file->path, "grey, or red, green and blue", describe(c->jpeg_color_space), r->e);
        return;
    }
    c->out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    *r->out = (lamina_image){.width = c->image_width, .height = c->image_height, .channels = grey ? 1 : 3};
    r->status = lamina_image_allocate(r->file, r->out, r->e);
    if (r->status)
        return;
    jpeg_start_decompress(c);
    while (c->output_scanline < c->output_height) {
        JSAMPROW row = r->out->pixels + (size_t)c->output_scanline * (size_t)r->out->width * (size_t)r->out->channels;
        jpeg_read_scanlines(c, &row, 1);
    }
    jpeg_finish_decompress(c);
}

static lamina_status decode(reader *r)
{
    if (setjmp(r->back))
        return r->errors.msg_code == JERR_OUT_OF_MEMORY
                   ? lamina_fail_memory(r->e, r->file->path, r->file->size)
                   : lamina_image_refuse(r->file->path, "a sound JPEG file", r->message, r->e);
    jpeg_create_decompress(&r->c);
    r->c.progress = &r->progress;
    read_picture(r);
    return r->status;
}

lamina_status lamina_jpeg_read(const lamina_image_file *f, lamina_image *out, lamina_error *e)
{
    reader r = {.file = f, .out = out, .e = e, .progress.progress_monitor = on_progress};
    *out = (lamina_image){0};
    r.c.err = jpeg_std_error(&r.errors);
    r.c.client_data = &r;
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    lamina_status s = decode(&r);
    jpeg_destroy_decompress(&r.c);
    if (s)
        lamina_image_free(out);
    return s;
}

#else

lamina_status lamina_jpeg_read(const lamina_image_file *f, lamina_image *out, lamina_error *e)
{
    *out = (lamina_image){0};
    return lamina_image_refuse(f->path, "a format that this build reads", "JPEG, and it was built without libjpeg", e);
}
#endif
