/* ir/base/diag.c - collect messages, show them with their source lines. */
#include "ir/base/diag.h"
#include "ir/base/arena.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct source source;
struct source {
    const char *file, *content;
    source *next;
};

struct diag {
    arena *mem;
    diag_message *first, *last;
    source *sources;
    int errors;
};

diag *diag_new(void)
{
    arena *mem = arena_new();
    diag *d = arena_make(mem, diag);
    d->mem = mem;
    return d;
}

void diag_free(diag *d)
{
    if (d)
        arena_free(d->mem);
}

/* Put messages that hang together behind the others. */
static void append(diag *d, diag_message *first, diag_message *last)
{
    *(d->last ? &d->last->next : &d->first) = first;
    last->next = NULL;
    d->last = last;
}

static void add(diag *d, diag_kind kind, src_loc at, const char *format, va_list arguments)
{
    text words = {0};
    text_vprintf(&words, format, arguments);
    diag_message *m = arena_make(d->mem, diag_message);
    m->kind = kind;
    m->at = at;
    if (at.file)
        m->at.file = arena_strdup(d->mem, at.file);
    char *kept = arena_strdup(d->mem, text_get(&words));
    for (char *c = kept; *c; c++) /* a message is one line, and obeyed by no terminal */
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
    m->words = kept;
    text_free(&words);
    append(d, m, m);
    d->errors += kind == DIAG_ERROR;
}

#define REPORT(name, KIND)                                                                                             \
    void diag_##name(diag *d, src_loc at, const char *format, ...)                                                     \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        add(d, KIND, at, format, arguments);                                                                           \
        va_end(arguments);                                                                                             \
    }
REPORT(error, DIAG_ERROR)
REPORT(warning, DIAG_WARNING)
REPORT(note, DIAG_NOTE)
REPORT(remark, DIAG_REMARK)

void diag_suggest(diag *d, const char *word)
{
    if (d->last)
        d->last->suggestion = arena_strdup(d->mem, word);
}

const diag_message *diag_first(const diag *d)
{
    return d->first;
}

int diag_errors(const diag *d)
{
    return d->errors;
}

void diag_source(diag *d, const char *file, const char *content)
{
    source *s = arena_make(d->mem, source);
    s->file = arena_strdup(d->mem, file);
    s->content = arena_strdup(d->mem, content);
    s->next = d->sources;
    d->sources = s;
}

/* The text of a file, given or read now; NULL if there is none. */
static const char *content_of(diag *d, const char *file)
{
    for (source *s = d->sources; s; s = s->next)
        if (!strcmp(s->file, file))
            return s->content;
    text t = {0};
    bool ok = text_read_file(&t, file);
    diag_source(d, file, ok ? text_get(&t) : "");
    text_free(&t);
    return d->sources->content;
}

/* "    9 |     - dense: ..." and a caret below the column. Bytes that a terminal would obey show as '?'. */
static void show_line(diag *d, src_loc at, text *out)
{
    const char *line = content_of(d, at.file);
    for (int n = 1; n < at.line && line; n++) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (!line || !*line)
        return;
    text_printf(out, "%5d | ", at.line);
    size_t length = strcspn(line, "\r\n");
    for (size_t i = 0; i < length && i < 200; i++) {
        unsigned char c = (unsigned char)line[i];
        char shown = c == '\t' ? ' ' : c < 32 || c == 127 ? '?' : (char)c;
        text_add_bytes(out, &shown, 1);
    }
    text_add(out, "\n");
    if (at.col >= 1 && at.col <= 200)
        text_printf(out, "      | %*s^\n", at.col - 1, "");
}

static void print_message(const diag_message *m, text *out)
{
    static const char *const kinds[] = {"error", "warning", "note", "remark"};
    if (m->at.file) {
        text_add(out, m->at.file);
        if (m->at.line > 0)
            text_printf(out, ":%d", m->at.line);
        if (m->at.line > 0 && m->at.col > 0)
            text_printf(out, ":%d", m->at.col);
        text_add(out, ": ");
    }
    text_printf(out, "%s: %s\n", kinds[m->kind], m->words);
}

void diag_print(const diag *d, text *out, bool remarks)
{
    for (const diag_message *m = d->first; m; m = m->next) {
        if (m->kind == DIAG_REMARK && !remarks)
            continue;
        print_message(m, out);
        /* Reading a file on demand fills a cache in d: no message changes. */
        if (m->at.file && m->at.line > 0)
            show_line((diag *)d, m->at, out);
    }
}

void diag_print_plain(const diag *d, text *out, bool remarks)
{
    for (const diag_message *m = d->first; m; m = m->next)
        if (m->kind != DIAG_REMARK || remarks)
            print_message(m, out);
}

void diag_clear(diag *d)
{
    d->first = d->last = NULL;
    d->errors = 0;
}

/* A message with the notes behind it. */
typedef struct {
    diag_message *first, *last;
    size_t order; /* in which it came */
    size_t file;  /* the first one that is of its file */
} group;

static int compare_groups(const void *a, const void *b)
{
    const group *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->first->at.line != y->first->at.line)
        return x->first->at.line < y->first->at.line ? -1 : 1;
    if (x->first->at.col != y->first->at.col)
        return x->first->at.col < y->first->at.col ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static bool same_file(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static size_t first_of_file(const group *list, size_t index)
{
    size_t i = 0;
    while (i < index && !same_file(list[i].first->at.file, list[index].first->at.file))
        i++;
    return i;
}

/* Did one of the groups before this one, at the same place, say the same? */
static bool is_repeated(const group *list, size_t index)
{
    const diag_message *m = list[index].first;
    for (size_t i = index; i-- && list[i].file == list[index].file && list[i].first->at.line == m->at.line &&
                           list[i].first->at.col == m->at.col;)
        if (list[i].first->kind == m->kind && !strcmp(list[i].first->words, m->words))
            return true;
    return false;
}

void diag_arrange(diag *d, int most)
{
    size_t count = 0;
    group *list = NULL;
    for (diag_message *m = d->first; m; m = m->next) {
        if (m->kind != DIAG_NOTE || !count) {
            list = arena_grown(d->mem, list, count, sizeof *list);
            list[count] = (group){m, m, count, 0};
            list[count].file = first_of_file(list, count);
            count++;
        }
        list[count - 1].last = m;
    }
    if (count)
        qsort(list, count, sizeof *list, compare_groups);
    diag_clear(d);
    for (size_t i = 0; i < count; i++) {
        bool error = list[i].first->kind == DIAG_ERROR;
        if (is_repeated(list, i) || (error && d->errors == most))
            continue;
        d->errors += error;
        append(d, list[i].first, list[i].last);
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, one row at a time; words over 63 bytes are far from everything. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[64];
    if (n > 63 || m > 63)
        return 64;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(change, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[m];
}

const char *diag_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t limit = strlen(word) / 3 > 2 ? strlen(word) / 3 : 2;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t far = distance(word, candidates[i]);
        if (far <= limit && far < strlen(candidates[i])) {
            best = candidates[i];
            limit = far ? far - 1 : 0;
            if (!far)
                break;
        }
    }
    return best;
}

void ir_bug_at(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "lamina: internal error at %s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}
