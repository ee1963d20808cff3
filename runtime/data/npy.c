/* runtime/data/npy.c - read NumPy's .npy files (numpy.lib.format), and raw elements.
 *
 *     93 "NUMPY" MAJOR MINOR | length of the text, 2 bytes (4 from version 2 on), little-endian
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   then spaces and a line end | elements */
#include "runtime/data/npy.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/words.h"
#include "runtime/data/zip.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MOST_TEXT = 4096, MAGIC = 6 };

/* A header that is being read: 'at' goes through the text. */
typedef struct {
    const char *path;
    char text[MOST_TEXT + 1];
    const char *at;
    uint64_t begin, bytes; /* of the text in the file, and where the elements begin */
    char order, kind;      /* of descr: '<' '>' '|' '='; b i u f */
    int size;              /* of an element */
    bool described, ordered, shaped;
} header;

/* ---- the text: a Python dictionary of three keys ---- */

static lamina_status expect(const header *h, const char *what, lamina_error *e)
{
    char found[24];
    snprintf(found, sizeof found, "%.20s", h->at);
    found[strcspn(found, "\n")] = 0;
    return lamina_fail(e, LAMINA_BAD_FILE, "%s: byte %" PRIu64 " of the header: expected %s, found '%s'", h->path,
                       h->begin + (uint64_t)(h->at - h->text), what, found);
}

static void skip_spaces(header *h)
{
    h->at += strspn(h->at, " \n");
}

/* Go past the word, if it stands here. */
static bool take(header *h, const char *word)
{
    size_t n = strlen(word);
    skip_spaces(h);
    if (strncmp(h->at, word, n) != 0)
        return false;
    h->at += n;
    return true;
}

static lamina_status read_descr(header *h, lamina_error *e)
{
    static const char *const known[] = {"b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"};
    skip_spaces(h);
    const char quote = *h->at, *p = h->at + 1;
    if ((quote == '\'' || quote == '"') && *p && strchr("<>|=", *p) && p[1] && p[2] && p[3] == quote)
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (!strncmp(known[i], p + 1, 2)) {
                h->order = *p;
                h->kind = p[1];
                h->size = p[2] - '0';
                h->at = p + 4;
                h->described = true;
                return LAMINA_OK;
            }
    return expect(h, "a type such as '<f4': b1, i1 .. i8, u1 .. u8, f2 .. f8", e);
}

static lamina_status read_order(header *h, lamina_error *e)
{
    h->ordered = take(h, "False");
    if (h->ordered)
        return LAMINA_OK;
    return expect(h, "False (C order, as numpy.ascontiguousarray gives it)", e);
}

static lamina_status read_shape(header *h, lamina_array *x, lamina_error *e)
{
    if (!take(h, "("))
        return expect(h, "a tuple of whole numbers", e);
    for (x->rank = 0; !take(h, ")");) {
        int64_t n = 0;
        if (x->rank == LAMINA_MAX_RANK || *h->at < '0' || *h->at > '9')
            return expect(h, "at most 8 whole numbers and )", e);
        for (; *h->at >= '0' && *h->at <= '9'; h->at++)
            if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *h->at - '0', &n))
                return expect(h, "a dimension below 2^63", e);
        x->dim[x->rank++] = n;
        if (!take(h, ",") && *h->at != ')')
            return expect(h, "a comma or )", e);
    }
    h->shaped = x->rank > 0;
    return h->shaped ? LAMINA_OK : expect(h, "a dimension that counts records before this", e);
}

static lamina_status read_text(header *h, lamina_array *x, lamina_error *e)
{
    lamina_status s = take(h, "{") ? LAMINA_OK : expect(h, "{", e);
    while (!s && !take(h, "}")) {
        if (take(h, "'descr':"))
            s = read_descr(h, e);
        else if (take(h, "'fortran_order':"))
            s = read_order(h, e);
        else if (take(h, "'shape':"))
            s = read_shape(h, x, e);
        else
            s = expect(h, "'descr':, 'fortran_order':, 'shape': or }", e);
        if (!s && !take(h, ",") && *h->at != '}')
            s = expect(h, "a comma or }", e);
    }
    if (!s && !(h->described && h->ordered && h->shaped))
        s = expect(h, "'descr', 'fortran_order' and 'shape' before the end", e);
    return s;
}

/* ---- the file ---- */

static lamina_status get(lamina_stream *s, void *dst, size_t bytes, lamina_error *e)
{
    size_t got;
    lamina_status status = lamina_stream_get(s, dst, bytes, &got, e);
    if (!status && got < bytes)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: truncated: expected %zu bytes of a NumPy header, found %zu",
                           lamina_stream_path(s), bytes, got);
    return status;
}

static lamina_status read_header(lamina_stream *s, header *h, lamina_array *x, lamina_error *e)
{
    unsigned char b[MAGIC + 2], n[4] = {0};
    lamina_status status = get(s, b, sizeof b, e);
    if (status)
        return status;
    if (memcmp(b, "\x93NUMPY", MAGIC) != 0 || b[MAGIC] < 1 || b[MAGIC] > 3)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: not a NumPy file of version 1 to 3: it begins with %02x %02x %02x",
                           h->path, b[0], b[1], b[2]);
    size_t size = b[MAGIC] == 1 ? 2 : 4;
    if ((status = get(s, n, size, e)))
        return status;
    uint64_t bytes = (uint64_t)n[3] << 24 | (uint64_t)n[2] << 16 | (uint64_t)n[1] << 8 | n[0];
    if (bytes > MOST_TEXT)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: expected a header of at most %d bytes, found %" PRIu64, h->path,
                           MOST_TEXT, bytes);
    h->begin = sizeof b + size;
    h->bytes = h->begin + bytes;
    h->at = h->text;
    status = get(s, h->text, bytes, e);
    return status ? status : read_text(h, x, e);
}

static int32_t type_of(const header *h)
{
    static const int32_t integers[][2] = {[1] = {ARRAY_UI8, ARRAY_I8},
                                          [2] = {ARRAY_UI16, ARRAY_I16},
                                          [4] = {ARRAY_UI32, ARRAY_I32},
                                          [8] = {ARRAY_I64, ARRAY_I64}};
    if (h->kind == 'f')
        return h->size == 2 ? ARRAY_UI16 : h->size == 4 ? ARRAY_F32 : ARRAY_F64;
    return integers[h->size][h->kind == 'i'];
}

/* IEEE 754 binary16. */
static float half_value(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double value = exponent == 31  ? (fraction ? NAN : INFINITY)
                   : exponent == 0 ? ldexp(fraction, -24)
                                   : ldexp(1024 + fraction, exponent - 25);
    return (float)(h >> 15 ? -value : value);
}

static lamina_status widen_halves(lamina_array *x, const char *path, lamina_error *e)
{
    float *wide = lamina_allocate((size_t)x->count, sizeof *wide);
    if (!wide)
        return lamina_fail_memory(e, path, (size_t)x->count * sizeof *wide);
    for (int64_t i = 0; i < x->count; i++)
        wide[i] = half_value(((const uint16_t *)x->data)[i]);
    lamina_array_release(x);
    x->data = wide;
    x->type = ARRAY_F32;
    return LAMINA_OK;
}

/* Unsigned numbers of 64 bits are read as signed ones. */
static lamina_status check_signs(const lamina_array *x, const char *path, lamina_error *e)
{
    for (int64_t i = 0; i < x->count; i++)
        if (((const int64_t *)x->data)[i] < 0)
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: element %" PRId64 ": expected a number below 2^63, found more",
                               path, i);
    return LAMINA_OK;
}

static lamina_status read_elements(lamina_stream *s, const header *h, lamina_array *x, lamina_error *e)
{
    x->type = type_of(h);
    lamina_status status = lamina_array_count(x, h->path, e);
    if (!status)
        status = lamina_array_read(s, h->bytes, x, e);
    if (status)
        return status;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    bool swap = h->order == '>';
#else
    bool swap = h->order == '<';
#endif
    if (swap)
        lamina_swap_bytes(x->data, x->count, (size_t)h->size);
    if (h->kind == 'f' && h->size == 2)
        return widen_halves(x, h->path, e);
    return h->kind == 'u' && h->size == 8 ? check_signs(x, h->path, e) : LAMINA_OK;
}

/* The array of a stream, which it closes; 'status' is what opening it came to. */
static lamina_status read_stream(lamina_status status, lamina_stream *s, const char *name, lamina_array *out,
                                 lamina_error *e)
{
    header h = {.path = name};
    if (!status)
        status = read_header(s, &h, out, e);
    if (!status)
        status = read_elements(s, &h, out, e);
    lamina_stream_close(s);
    if (status) {
        lamina_array_release(out);
        *out = (lamina_array){0};
    }
    return status;
}

lamina_status lamina_npy_read(const char *path, lamina_array *out, lamina_error *e)
{
    lamina_stream *s;
    *out = (lamina_array){0};
    lamina_status status = lamina_stream_open(path, &s, e);
    return read_stream(status, s, path, out, e);
}

/* The file of "FILE:KEY", and *key or NULL; of what ends in .npz all is the file. */
static char *split_name(const char *name, const char **key)
{
    size_t n = strlen(name);
    char *path = lamina_copy_text(name), *colon = path ? strrchr(path, ':') : NULL;
    *key = NULL;
    if (!colon || (n >= 4 && !strcmp(name + n - 4, ".npz")))
        return path;
    *colon = 0;
    *key = colon + 1;
    return path;
}

lamina_status lamina_npz_read(const char *name, lamina_array *out, lamina_error *e)
{
    lamina_stream *s = NULL;
    lamina_stream_part part;
    const char *key;
    char *path = split_name(name, &key);
    *out = (lamina_array){0};
    if (!path)
        return lamina_fail_memory(e, name, strlen(name) + 1);
    lamina_status status = lamina_zip_find(path, key, name, &part, e);
    if (!status)
        status = lamina_stream_open_part(path, name, &part, &s, e);
    lamina_release(path);
    return read_stream(status, s, name, out, e);
}

lamina_status lamina_raw_read(const char *path, const lamina_tensor *t, lamina_array *out, lamina_error *e)
{
    static const int32_t types[] = {
        [LAMINA_F32] = ARRAY_F32,   [LAMINA_F64] = ARRAY_F64, [LAMINA_I32] = ARRAY_I32, [LAMINA_I64] = ARRAY_I64,
        [LAMINA_UI32] = ARRAY_UI32, [LAMINA_UI8] = ARRAY_UI8, [LAMINA_I1] = ARRAY_UI8};
    lamina_stream *s;
    bool packed;
    *out = (lamina_array){.type = types[t->dtype], .rank = t->rank};
    memcpy(out->dim, t->dim, sizeof out->dim);
    lamina_status status = lamina_stream_open(path, &s, e);
    uint64_t bytes = status ? 0 : lamina_stream_most(s, &packed);
    if (!status && (packed || bytes % t->bytes || !bytes))
        status = lamina_fail(e, LAMINA_BAD_FILE,
                             "%s: input '%s': expected plain records of %" PRIu64 " bytes, found %s%" PRIu64 " bytes",
                             path, t->name, t->bytes, packed ? "gzip data of at most " : "", bytes);
    out->dim[0] = (int64_t)(bytes / t->bytes);
    if (!status)
        status = lamina_array_count(out, path, e);
    if (!status)
        status = lamina_array_read(s, 0, out, e);
    lamina_stream_close(s);
    return status;
}
