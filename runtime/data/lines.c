/* runtime/data/lines.c - read a file of text, a line at a time. */
#include "runtime/data/lines.h"
#include "runtime/base/error.h"
#include <inttypes.h>
#include <string.h>

static lamina_status fill(lamina_lines *l, lamina_error *e)
{
    l->at = 0;
    return lamina_stream_get(l->stream, l->buffer, sizeof l->buffer, &l->end, e);
}

lamina_status lamina_lines_open(lamina_lines *l, const char *path, lamina_error *e)
{
    l->path = path;
    lamina_status s = lamina_stream_open(path, &l->stream, e);
    if (!s)
        s = fill(l, e);
    if (!s && l->end >= 3 && !memcmp(l->buffer, "\xef\xbb\xbf", 3))
        l->at = 3;
    return s;
}

void lamina_lines_close(lamina_lines *l)
{
    lamina_stream_close(l->stream);
}

static lamina_status append(lamina_lines *l, size_t count, lamina_error *e)
{
    const char *zero = memchr(l->buffer + l->at, 0, count);
    if (zero)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s:%" PRId64 ":%zu: expected text, found a byte of 0", l->path, l->line,
                           l->length + (size_t)(zero - l->buffer) - l->at + 1);
    if (l->length + count >= sizeof l->text)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s:%" PRId64 ": expected a line of less than %d bytes", l->path,
                           l->line, LINES_MOST_BYTES);
    memcpy(l->text + l->length, l->buffer + l->at, count);
    l->length += count;
    l->at += count;
    return LAMINA_OK;
}

lamina_status lamina_lines_next(lamina_lines *l, bool *more, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    const char *end = NULL;
    *more = false;
    l->length = 0;
    l->line++;
    for (;;) {
        if (l->at == l->end && (s = fill(l, e)))
            return s;
        if (l->at == l->end)
            break;
        *more = true;
        end = memchr(l->buffer + l->at, '\n', l->end - l->at);
        if ((s = append(l, end ? (size_t)(end - l->buffer) - l->at : l->end - l->at, e)))
            return s;
        if (end)
            break;
    }
    l->at += end != NULL;
    l->length -= l->length && l->text[l->length - 1] == '\r';
    l->text[l->length] = 0;
    return s;
}
