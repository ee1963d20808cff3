/* runtime/data/csv.c - read records of text, a byte at a time.
 *
 *     field  = spaces (text | '"' (byte | '""')* '"') spaces
 *     record = field (delimiter field)* (LF | CRLF | CR | end)
 *
 * In quotes a field may hold delimiters and line ends; a quote inside a field that does not begin with one is an
 * ordinary byte. */
#include "runtime/data/csv.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include <inttypes.h>
#include <string.h>

enum { END = -1 };

/* The next byte, which stays there; END at the end. */
static lamina_status peek(lamina_csv *c, int *byte, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    if (c->at == c->end) {
        c->at = 0;
        s = lamina_stream_get(c->stream, c->buffer, sizeof c->buffer, &c->end, e);
    }
    *byte = !s && c->at < c->end ? (unsigned char)c->buffer[c->at] : END;
    return s;
}

static void advance(lamina_csv *c)
{
    bool line = c->buffer[c->at++] == '\n';
    c->line += line;
    c->column = line ? 1 : c->column + 1;
}

static bool ends_field(const lamina_csv *c, int byte)
{
    return byte == END || byte == '\n' || byte == '\r' || byte == (unsigned char)c->delimiter;
}

static lamina_status append(lamina_csv *c, int byte, lamina_error *e)
{
    if (!byte)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s:%" PRId64 ":%" PRId64 ": expected text, found a byte of 0", c->path,
                           c->line, c->column);
    if (c->used + 2 > sizeof c->text)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s:%" PRId64 ":%" PRId64 ": expected a record of less than %d bytes",
                           c->path, c->line, c->column, CSV_MOST_BYTES);
    c->text[c->used++] = (char)byte;
    return LAMINA_OK;
}

static lamina_status skip_spaces(lamina_csv *c, int *byte, lamina_error *e)
{
    lamina_status s;
    while (!(s = peek(c, byte, e)) && *byte == ' ' && c->delimiter != ' ')
        advance(c);
    return s;
}

static lamina_status read_quoted(lamina_csv *c, lamina_record_field *f, lamina_error *e)
{
    int byte;
    lamina_status s = LAMINA_OK;
    advance(c);
    for (;;) {
        if ((s = peek(c, &byte, e)))
            return s;
        if (byte == END)
            return lamina_fail(e, LAMINA_BAD_FILE,
                               "%s:%" PRId64 ":%" PRId64 ": expected another quote that ends this one, found none",
                               c->path, f->line, f->column);
        advance(c);
        if (byte == '"') {
            if ((s = peek(c, &byte, e)))
                return s;
            if (byte != '"')
                break;
            advance(c);
        }
        if ((s = append(c, byte, e)))
            return s;
    }
    f->length = (size_t)(c->text + c->used - f->text);
    if ((s = skip_spaces(c, &byte, e)) || ends_field(c, byte))
        return s;
    return lamina_fail(e, LAMINA_BAD_FILE,
                       "%s:%" PRId64 ":%" PRId64 ": expected '%c' or the end of the line behind the quote, found '%c'",
                       c->path, c->line, c->column, c->delimiter, byte > ' ' && byte < 127 ? byte : '?');
}

static lamina_status read_bare(lamina_csv *c, lamina_record_field *f, lamina_error *e)
{
    int byte;
    lamina_status s;
    while (!(s = peek(c, &byte, e)) && !ends_field(c, byte) && !(s = append(c, byte, e)))
        advance(c);
    f->length = (size_t)(c->text + c->used - f->text);
    while (f->length && f->text[f->length - 1] == ' ' && c->delimiter != ' ')
        f->length--;
    c->used = (size_t)(f->text - c->text) + f->length;
    return s;
}

static lamina_status read_field(lamina_csv *c, bool *quoted, lamina_error *e)
{
    int byte;
    lamina_status s = skip_spaces(c, &byte, e);
    if (s)
        return s;
    if (c->records.count == CSV_MOST_FIELDS)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s:%" PRId64 ":%" PRId64 ": expected at most %d fields", c->path,
                           c->line, c->column, CSV_MOST_FIELDS);
    lamina_record_field *f = &c->field[c->records.count++];
    *f = (lamina_record_field){.text = c->text + c->used, .line = c->line, .column = c->column};
    *quoted = byte == '"';
    s = *quoted ? read_quoted(c, f, e) : read_bare(c, f, e);
    c->text[c->used++] = 0; /* append leaves room for it */
    return s;
}

/* Behind a record: LF, CRLF or CR, which counts as a line too. */
static lamina_status end_line(lamina_csv *c, int byte, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    if (byte == '\r') {
        advance(c);
        if ((s = peek(c, &byte, e)))
            return s;
        c->line += byte != '\n';
        c->column = 1;
    }
    if (byte == '\n')
        advance(c);
    return s;
}

static lamina_status read_line(lamina_csv *c, bool *empty, lamina_error *e)
{
    int byte;
    bool quoted = false;
    c->records.count = 0;
    c->used = 0;
    for (;;) {
        lamina_status s = read_field(c, &quoted, e);
        if (s || (s = peek(c, &byte, e)))
            return s;
        if (byte != (unsigned char)c->delimiter)
            break;
        advance(c);
    }
    *empty = c->records.count == 1 && !c->field[0].length && !quoted;
    return end_line(c, byte, e);
}

static lamina_status read_record(lamina_records *r, bool *more, lamina_error *e)
{
    lamina_csv *c = (lamina_csv *)r;
    int byte;
    lamina_status s;
    bool empty = true;
    while (!(s = peek(c, &byte, e)) && byte != END && empty)
        if ((s = read_line(c, &empty, e)))
            return s;
    *more = !empty;
    return s;
}

static void close_file(lamina_records *r)
{
    lamina_csv *c = (lamina_csv *)r;
    lamina_stream_close(c->stream);
    lamina_release(c);
}

lamina_status lamina_csv_open(const char *path, char delimiter, lamina_records **out, lamina_error *e)
{
    int byte;
    lamina_csv *c = lamina_allocate(1, sizeof *c);
    *out = NULL;
    if (!c)
        return lamina_fail_memory(e, path, sizeof *c);
    c->records = (lamina_records){.read = read_record, .close = close_file, .path = path, .field = c->field};
    c->path = path;
    c->delimiter = delimiter;
    c->line = c->column = 1;
    lamina_status s = lamina_stream_open(path, &c->stream, e);
    if (!s)
        s = peek(c, &byte, e);
    if (!s && c->end >= 3 && !memcmp(c->buffer, "\xef\xbb\xbf", 3))
        c->at = 3;
    if (s)
        close_file(&c->records);
    else
        *out = &c->records;
    return s;
}
