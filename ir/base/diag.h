/* ir/base/diag.h - errors the user can act on.
 *
 * Messages are collected, never printed here: the driver prints them, tests read them. A message says what was
 * expected and what was found, in the user's names, in lower case, without a final full stop.
 *     mlp.yaml:9:7: error: dense: inner sizes differ, 784 and 768
 *         9 |     - dense: {units: 10, weight: fc1}
 *           |       ^
 * The user's mistake: diag_error, return false or NULL, unwind. Our mistake: ir_bug. */
#ifndef IR_DIAG_H
#define IR_DIAG_H

#include "ir/base/text.h"
#include <stdbool.h>
#include <stdint.h>

/* line and column count from 1; 0 means unknown, file NULL means no place at all. 'file' must outlive the diag: it
 * comes from an arena or is a literal. */
typedef struct {
    const char *file;
    int32_t line, col;
} src_loc;

typedef enum { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE, DIAG_REMARK } diag_kind;

typedef struct diag diag;

/* A message as it is kept; a note belongs to the last message before it that is none. */
typedef struct diag_message diag_message;
struct diag_message {
    diag_kind kind;
    src_loc at;
    const char *words, *suggestion; /* the name that was meant, perhaps; NULL: nobody knows */
    diag_message *next;
};

diag *diag_new(void);
void diag_free(diag *d);

void diag_error(diag *d, src_loc at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_warning(diag *d, src_loc at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_note(diag *d, src_loc at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_remark(diag *d, src_loc at, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The last message is about a name in whose place this one was meant, perhaps; 'word' is copied. */
void diag_suggest(diag *d, const char *word);

/* The messages from the first on, for whoever prints them in a form of its own; NULL: there are none. */
const diag_message *diag_first(const diag *d);
int diag_errors(const diag *d); /* how many errors so far */

/* Keep the text of a file, so that messages about it can show the line (files on disk are read on demand; text that
 * came from elsewhere must be given). 'content' is copied. */
void diag_source(diag *d, const char *file, const char *content);

/* Put the messages, which came in the order in which a file was looked at, in the order of their places; those of
 * several files one file after the other, as their first ones came. Notes stay with theirs. What was said of a place
 * twice is kept once, and of the errors no more than 'most'. */
void diag_arrange(diag *d, int most);

/* All messages as the user sees them, with source lines and carets; remarks only if asked for. */
void diag_print(const diag *d, text *out, bool remarks);
/* One line a message, "file:line:col: kind: message", without source lines. */
void diag_print_plain(const diag *d, text *out, bool remarks);
void diag_clear(diag *d);

/* The nearest of 'count' candidates to 'word' (edit distance at most a third of its length, 2 at least), or NULL. */
const char *diag_nearest(const char *word, const char *const *candidates, size_t count);

/* A broken invariant of ours: prints file, line and message, and aborts. */
#define ir_bug(...) ir_bug_at(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void ir_bug_at(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
