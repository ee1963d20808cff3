/* frontend/document/section.c - change one section of a YAML file and leave the rest as it is.
 *     # by hand                        # by hand
 *     stages:  # so far            =>  stages:  # so far
 *       # all convolutions               # all convolutions
 *       - {name: a, through: c1}         - {name: stage1, through: c2}
 *
 * Sections are found where the tree says they begin. One ends with its last line that holds anything but a comment:
 * what follows belongs to the next one. */
#include "frontend/document/section.h"
#include <string.h>

typedef struct {
    const char *at; /* its first byte */
    size_t length;  /* with the end of the line */
} line;

typedef struct {
    line *line;
    int count;
} lines;

static lines split(const char *content, arena *mem)
{
    lines l = {0};
    while (*content) {
        size_t length = strcspn(content, "\n");
        length += content[length] == '\n';
        l.line = arena_grown(mem, l.line, (size_t)l.count, sizeof *l.line);
        l.line[l.count++] = (line){content, length};
        content += length;
    }
    return l;
}

/* The first byte of a line that is no space; 0 at its end. */
static char first_byte(const line *l)
{
    size_t i = strspn(l->at, " \t\r");
    return i < l->length && l->at[i] != '\n' ? l->at[i] : 0;
}

static bool holds_nothing(const line *l)
{
    char c = first_byte(l);
    return !c || c == '#';
}

static bool is_document_end(const line *l)
{
    return !strncmp(l->at, "...", 3) && (l->length == 3 || strchr(" \t\r\n", l->at[3]));
}

/* The line, from 0, on which what follows section i begins. */
static int section_end(const lines *l, const fe_yaml *root, int i)
{
    int begin = root->key[i]->at.line - 1, end = l->count;
    for (int k = 0; k < root->count; k++) {
        int other = root->key[k]->at.line - 1;
        end = other > begin && other < end ? other : end;
    }
    while (end > begin + 1 && (holds_nothing(&l->line[end - 1]) || is_document_end(&l->line[end - 1])))
        end--;
    return end;
}

static void add_lines(text *out, const lines *l, int begin, int end)
{
    for (int i = begin; i < end; i++)
        text_add_bytes(out, l->line[i].at, l->line[i].length);
}

typedef struct {
    const char *name, *const *entries;
    int count, indent;
    const char *end; /* of lines, as the file has them */
} section;

static void add_entries(text *out, const section *s)
{
    for (int i = 0; i < s->count; i++)
        text_printf(out, "%*s  - %s%s", s->indent, "", s->entries[i], s->end);
}

static void replace(text *out, const lines *l, const section *s, const fe_yaml *root, int at)
{
    int begin = root->key[at]->at.line - 1, end = section_end(l, root, at);
    add_lines(out, l, 0, begin);
    if (root->item[at]->at.line > root->key[at]->at.line) /* the name has a line to itself, perhaps with a comment */
        add_lines(out, l, begin, begin + 1);
    else
        text_printf(out, "%*s%s:%s", s->indent, "", s->name, s->end);
    for (int i = begin + 1; i < end; i++)
        if (first_byte(&l->line[i]) == '#')
            add_lines(out, l, i, i + 1);
    add_entries(out, s);
    add_lines(out, l, end, l->count);
}

static void append(text *out, const lines *l, const section *s)
{
    int end = 0;
    while (end < l->count && !is_document_end(&l->line[end]))
        end++;
    add_lines(out, l, 0, end);
    if (out->length && out->bytes[out->length - 1] != '\n')
        text_add(out, s->end);
    text_printf(out, "%*s%s:%s", s->indent, "", s->name, s->end);
    add_entries(out, s);
    add_lines(out, l, end, l->count);
}

bool fe_section_replace(const char *content, const fe_yaml *root, const char *name, const char *const *entries,
                        int count, text *out, diag *d)
{
    arena *mem = arena_new();
    lines l = split(content, mem);
    const line *first = l.count ? &l.line[root->at.line - 1] : NULL;
    bool braces = !first || memchr(first->at, '{', strcspn(first->at, ":\n"));
    if (braces) {
        diag_error(d, root->at, "%s: expected sections that begin a line each, to write them into, found braces", name);
    } else {
        bool crlf = first->length > 1 && first->at[first->length - 2] == '\r';
        section s = {name, entries, count, root->key[0]->at.col - 1, crlf ? "\r\n" : "\n"};
        int at = 0;
        while (at < root->count && strcmp(root->key[at]->word, name) != 0)
            at++;
        if (at < root->count)
            replace(out, &l, &s, root, at);
        else
            append(out, &l, &s);
    }
    arena_free(mem);
    return !braces;
}
