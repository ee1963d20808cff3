/* ir/text/scan.c - bytes and tokens of IR text. '#' starts a comment that ends with its line. */
#include "ir/text/parse.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

src_loc scan_here(const parser *p)
{
    return (src_loc){p->file, p->line, (int32_t)(p->at - p->line_start) + 1};
}

void scan_space(parser *p)
{
    for (;; p->at++) {
        if (*p->at == '#')
            while (*p->at && *p->at != '\n')
                p->at++;
        if (*p->at == '\n') {
            p->line++;
            p->line_start = p->at + 1;
        } else if (*p->at != ' ' && *p->at != '\t' && *p->at != '\r') {
            return;
        }
    }
}

bool scan_peek(parser *p, const char *token)
{
    scan_space(p);
    return !strncmp(p->at, token, strlen(token));
}

bool scan_accept(parser *p, const char *token)
{
    if (p->failed || !scan_peek(p, token))
        return false;
    p->at += strlen(token);
    return true;
}

const char *scan_found(parser *p)
{
    scan_space(p);
    size_t n = 0;
    while (p->at[n] && !isspace((unsigned char)p->at[n]) && n < 20 && (n == 0 || !strchr(",(){}[]", p->at[n])))
        n++;
    return n ? arena_printf(p->m->mem, "'%.*s'", (int)n, p->at) : "the end";
}

void scan_expect(parser *p, const char *token)
{
    if (!scan_accept(p, token) && !p->failed)
        FAIL(p, scan_here(p), "expected '%s', found %s", token, scan_found(p));
}

bool scan_is_name_byte(int c)
{
    return isalnum(c) || (c && strchr("_.-/+", c));
}

bool scan_word(parser *p, const char *word)
{
    return scan_peek(p, word) && !scan_is_name_byte((unsigned char)p->at[strlen(word)]) && scan_accept(p, word);
}

const char *scan_name(parser *p, const char *what)
{
    scan_space(p);
    size_t n = 0;
    while (scan_is_name_byte((unsigned char)p->at[n]))
        n++;
    if (p->failed || !n) {
        FAIL(p, scan_here(p), "expected %s, found %s", what, scan_found(p));
        return "";
    }
    const char *s = arena_strndup(p->m->mem, p->at, n);
    p->at += n;
    return s;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *scan_string(parser *p)
{
    scan_expect(p, "\"");
    if (p->failed)
        return "";
    size_t length = strcspn(p->at, "\n");
    char *s = arena_array(p->m->mem, length + 1, 1);
    size_t n = 0;
    while (*p->at && *p->at != '"' && *p->at != '\n') {
        char c = *p->at++;
        if (c == '\\' && *p->at == 'x' && hex_digit(p->at[1]) >= 0 && hex_digit(p->at[2]) >= 0) {
            c = (char)(hex_digit(p->at[1]) * 16 + hex_digit(p->at[2]));
            p->at += 3;
        } else if (c == '\\' && *p->at && *p->at != '\n') {
            c = *p->at++;
        }
        s[n++] = c;
    }
    scan_expect(p, "\"");
    return s;
}

double scan_number(parser *p)
{
    scan_space(p);
    char *end;
    double v = strtod(p->at, &end);
    if (p->failed || end == p->at) {
        FAIL(p, scan_here(p), "expected a number, found %s", scan_found(p));
        return 0;
    }
    p->at = end;
    return v;
}

static int64_t whole(parser *p)
{
    scan_space(p);
    src_loc at = scan_here(p);
    double v = scan_number(p);
    if (!p->failed && !(v >= -9e15 && v <= 9e15 && v == (double)(int64_t)v)) {
        FAIL(p, at, "expected a whole number, found %g", v);
        return 0;
    }
    return p->failed ? 0 : (int64_t)v;
}

int64_t scan_whole(parser *p, int64_t least, int64_t most)
{
    scan_space(p);
    src_loc at = scan_here(p);
    int64_t v = whole(p);
    if (!p->failed && v >= least && v <= most)
        return v;
    FAIL(p, at, "expected a whole number from %lld to %lld, found %lld", (long long)least, (long long)most,
         (long long)v);
    return least;
}
