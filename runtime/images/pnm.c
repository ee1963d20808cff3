/* runtime/images/pnm.c - PGM and PPM, whose numbers are bytes:
 *
 *     P5 or P6 | width height most, with white space and # comments between | one white space | rows
 *
 * Numbers lie in 0 .. most, which is at most 65535; above 255 they have two bytes, big-endian. */
#include "runtime/images/image.h"

typedef struct {
    const lamina_image_file *file;
    size_t at;
} reader;

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(reader *r)
{
    const unsigned char *b = r->file->bytes;
    for (; r->at < r->file->size && (is_space(b[r->at]) || b[r->at] == '#'); r->at++)
        if (b[r->at] == '#')
            while (r->at + 1 < r->file->size && b[r->at] != '\n')
                r->at++;
}

/* A number of the header; -1 if there is none, or one of more than nine digits. */
static int64_t read_number(reader *r)
{
    int64_t v = -1;
    skip_space(r);
    for (; r->at < r->file->size && r->file->bytes[r->at] >= '0' && r->file->bytes[r->at] <= '9'; r->at++) {
        v = (v < 0 ? 0 : v) * 10 + (r->file->bytes[r->at] - '0');
        if (v > 999999999)
            return -1;
    }
    return v;
}

static unsigned char scale(int64_t v, int64_t most)
{
    return v >= most ? 255 : (unsigned char)((2 * 255 * v + most) / (2 * most));
}

lamina_status lamina_pnm_read(const lamina_image_file *f, lamina_image *out, lamina_error *e)
{
    reader r = {.file = f, .at = 2};
    int64_t width = read_number(&r), height = read_number(&r), most = read_number(&r);
    *out = (lamina_image){.width = width, .height = height, .channels = f->bytes[1] == '6' ? 3 : 1};
    if (width < 1 || height < 1 || most < 1 || most > 65535 || r.at == f->size || !is_space(f->bytes[r.at]))
        return lamina_image_refuse(f->path, "width, height and a greatest value up to 65535 in the header of PNM",
                                   "others", e);
    const unsigned char *data = f->bytes + r.at + 1;
    size_t left = f->size - r.at - 1, each = most > 255 ? 2 : 1;
    lamina_status s = lamina_image_allocate(f, out, e); /* which checks the product */
    size_t count = s ? 0 : (size_t)(width * height * out->channels);
    for (size_t i = 0; i < count && (i + 1) * each <= left; i++)
        out->pixels[i] = scale(each == 2 ? data[2 * i] << 8 | data[2 * i + 1] : data[i], most);
    if (s || count * each <= left)
        return s;
    lamina_image_free(out);
    return lamina_image_refuse(f->path, "as many pixels as the header says", "fewer: it is truncated", e);
}
