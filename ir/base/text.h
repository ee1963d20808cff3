/* ir/base/text.h - a string that grows. Zero-initialise it; text_free ends it. 'bytes' is always terminated once
 * anything was added, and NULL before. */
#ifndef IR_TEXT_H
#define IR_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *bytes;
    size_t length, capacity;
} text;

void text_add(text *t, const char *s);
void text_add_bytes(text *t, const char *s, size_t n);
void text_printf(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(text *t, const char *format, va_list arguments);
const char *text_get(const text *t); /* never NULL */
void text_free(text *t);

/* A file that is longer is no text that anyone wrote; some, such as /dev/zero, have no end. */
enum { TEXT_MOST_READ = 256 << 20 };

/* The whole of a file, or false with errno set: to EFBIG if there is more of it than that. */
bool text_read_file(text *t, const char *path);

#endif
