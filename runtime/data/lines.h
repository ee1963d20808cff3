/* runtime/data/lines.h - a file of text as lines. */
#ifndef RUNTIME_LINES_H
#define RUNTIME_LINES_H

#include "runtime/data/stream.h"

/* Less than this is a line's length. */
enum { LINES_MOST_BYTES = 1 << 22 };

typedef struct {
    lamina_stream *stream;
    const char *path;
    int64_t line; /* the current one's number, from 1 */
    size_t length, at, end;
    char text[LINES_MOST_BYTES]; /* the current line, without its end: LF or CRLF; a 0 is behind it */
    char buffer[1 << 16];
} lamina_lines;

/* Open a file, plain or gzip, behind a byte order mark if it begins with one, for a zeroed *l. Close it in any case. */
lamina_status lamina_lines_open(lamina_lines *l, const char *path, lamina_error *e);
void lamina_lines_close(lamina_lines *l);
/* The next line, which has no byte of 0; *more is false at the end. */
lamina_status lamina_lines_next(lamina_lines *l, bool *more, lamina_error *e);

#endif
