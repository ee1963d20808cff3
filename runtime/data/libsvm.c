/* runtime/data/libsvm.c - read sparse records as LIBSVM and SVMlight write them.
 *
 *     record = label (index ':' value)* ('#' comment)?                 "+1 1:0.5 7:2" has 0 in all other columns
 *
 * Indices rise. SVMlight's "qid:3", which says what is ranked with what, is passed over. */
#include "runtime/data/libsvm.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/lines.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL = -1, INDEX_DIGITS = 9 };

typedef struct {
    int64_t index; /* or LABEL */
    int32_t field;
} place;

typedef struct {
    lamina_records records; /* first, as record.h has it */
    const lamina_table *table;
    place *places; /* of all fields, by their indices */
    lamina_lines lines;
} libsvm;

/* ---- columns ---- */

static int64_t read_index(const char *text, size_t length)
{
    int64_t index = 0;
    if (!length || length > INDEX_DIGITS)
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        index = index * 10 + (text[i] - '0');
    }
    return index;
}

static int compare_places(const void *a, const void *b)
{
    const place *p = a, *q = b;
    return p->index != q->index ? (p->index > q->index) - (p->index < q->index) : p->field - q->field;
}

static lamina_status find_places(libsvm *v, lamina_error *e)
{
    int32_t count = v->records.count;
    for (int32_t i = 0; i < count; i++) {
        const char *name = v->table->column[i].name;
        bool label = !strcmp(name, "label");
        v->places[i] = (place){label ? LABEL : read_index(name, strlen(name)), i};
        if (!label && v->places[i].index < 0)
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: expected a column 'label' or an index, found '%s'",
                               v->records.path, name);
    }
    qsort(v->places, (size_t)count, sizeof *v->places, compare_places);
    return LAMINA_OK;
}

/* ---- records ---- */

/* Of what is not there a text matters where it is a word, or may mean that the value is missing. */
static void clear_fields(libsvm *v)
{
    for (int32_t i = 0; i < v->records.count; i++) {
        bool word = v->table->column[i].words || v->table->options->missing;
        v->records.field[i] = (lamina_record_field){
            .text = word ? "0" : NULL, .length = word, .line = v->lines.line, .column = 1, .numeric = true};
    }
}

/* The next token, with a 0 behind it; NULL at the end. */
static char *next_token(char **at)
{
    char *token = *at + strspn(*at, " \t"), *end = token + strcspn(token, " \t");
    *at = end + (*end != 0);
    *end = 0;
    return *token ? token : NULL;
}

/* *at goes through the places once a record, for indices rise. */
static void take_value(libsvm *v, int64_t index, const char *text, int32_t *at)
{
    while (*at < v->records.count && v->places[*at].index < index)
        ++*at;
    for (; *at < v->records.count && v->places[*at].index == index; ++*at)
        v->records.field[v->places[*at].field] = (lamina_record_field){
            .text = text, .length = strlen(text), .line = v->lines.line, .column = text - v->lines.text + 1};
}

static lamina_status parse(libsvm *v, lamina_error *e)
{
    const lamina_lines *l = &v->lines;
    char *rest = v->lines.text, *token;
    int32_t at = 0;
    int64_t next = 0;
    clear_fields(v);
    take_value(v, LABEL, next_token(&rest), &at);
    while ((token = next_token(&rest))) {
        const char *colon = strchr(token, ':');
        if (!strncmp(token, "qid:", 4))
            continue;
        int64_t index = colon ? read_index(token, (size_t)(colon - token)) : -1;
        if (index < next)
            return lamina_fail(e, LAMINA_BAD_FILE,
                               "%s:%" PRId64 ":%td: expected 'index:value' with an index from %" PRId64
                               ", found '%.80s'",
                               l->path, l->line, token - l->text + 1, next, token);
        take_value(v, index, colon + 1, &at);
        next = index + 1;
    }
    return LAMINA_OK;
}

static lamina_status read_record(lamina_records *r, bool *more, lamina_error *e)
{
    libsvm *v = (libsvm *)r;
    char *text = v->lines.text;
    lamina_status s;
    do {
        s = lamina_lines_next(&v->lines, more, e);
        text[strcspn(text, "#")] = 0;
    } while (!s && *more && !text[strspn(text, " \t")]);
    return s || !*more ? s : parse(v, e);
}

static void close_file(lamina_records *r)
{
    libsvm *v = (libsvm *)r;
    lamina_lines_close(&v->lines);
    lamina_release(v->places);
    lamina_release(r->field);
    lamina_release(v);
}

lamina_status lamina_libsvm_open(const lamina_table *t, const char *path, lamina_records **out, lamina_error *e)
{
    size_t count = (size_t)t->count;
    libsvm *v = lamina_allocate(1, sizeof *v);
    *out = NULL;
    if (!v)
        return lamina_fail_memory(e, path, sizeof *v);
    v->table = t;
    v->records = (lamina_records){.read = read_record, .close = close_file, .path = path, .count = t->count};
    v->records.field = lamina_allocate(count, sizeof *v->records.field);
    v->places = lamina_allocate(count, sizeof *v->places);
    lamina_status s = v->records.field && v->places ? find_places(v, e)
                                                    : lamina_fail_memory(e, path, count * sizeof *v->records.field);
    if (!s)
        s = lamina_lines_open(&v->lines, path, e);
    if (s)
        close_file(&v->records);
    else
        *out = &v->records;
    return s;
}
