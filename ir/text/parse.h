/* ir/text/parse.h - the parts of the parser, private to this folder: scan.c reads bytes and tokens, parts.c what nodes,
 * symbols and rows have in common, function.c values, nodes and functions, parse.c the module around them.
 *
 * Recursive descent over bytes. After the first error nothing more is read: the rest would be guesses. Every function
 * may be called after an error; it then reads nothing and returns something harmless. */
#ifndef IR_TEXT_PARSE_H
#define IR_TEXT_PARSE_H

#include "ir/ir.h"

typedef struct {
    const char *at, *line_start;
    int32_t line, depth;
    const char *file;
    ir_module *m;
    diag *d;
    bool failed;
} parser;

/* The first error, at a place; later ones are not reported. */
#define FAIL(p, at, ...) ((p)->failed ? (void)0 : diag_error((p)->d, (at), __VA_ARGS__), (p)->failed = true)

/* ---- scan.c ---- */

src_loc scan_here(const parser *p);
void scan_space(parser *p);                     /* skip space and comments */
bool scan_peek(parser *p, const char *token);   /* does it stand here? */
bool scan_accept(parser *p, const char *token); /* the same, and step over it */
bool scan_word(parser *p, const char *word);    /* the same for a whole word */
void scan_expect(parser *p, const char *token); /* an error if it does not stand here */
const char *scan_found(parser *p);              /* what stands here, for "found ..." */

bool scan_is_name_byte(int c);
/* A run of name bytes; "" (and an error that says 'what' was expected) if there is none. */
const char *scan_name(parser *p, const char *what);
const char *scan_string(parser *p); /* in double quotes */
double scan_number(parser *p);
int64_t scan_whole(parser *p, int64_t least, int64_t most);

/* ---- parts.c ---- */

bool parse_at_attrs(parser *p); /* a brace that opens attributes, rather than a body or a region? */
void parse_attrs(parser *p, ir_attr **list);
ir_type parse_type(parser *p);
ir_place parse_place(parser *p);
/* Where the node says it comes from, else 'line', where its line stands. */
src_loc parse_loc(parser *p, src_loc line);

/* ---- function.c ---- */

/* What follows `func`, which stands at 'at'. */
void parse_function(parser *p, src_loc at);

#endif
