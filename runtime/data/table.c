/* runtime/data/table.c - which columns of CSV files an input holds, and which words are their categories.
 *
 * Files are read twice. The first reading, here, counts records and collects words: then every size is known. */
#include "runtime/data/table.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include <inttypes.h>
#include <string.h>

bool lamina_table_is_missing(const lamina_table *t, const char *text)
{
    static const char *const usual[] = {"", "NA", "NaN"};
    const char *const *missing = t->options->missing ? t->options->missing : usual;
    int32_t count = t->options->missing ? t->options->missing_count : 3;
    for (int32_t i = 0; i < count; i++)
        if (!strcmp(missing[i], text))
            return true;
    return false;
}

/* ---- columns ---- */

/* The field that a column's name means: the header's, or its number. */
static int32_t find_name(const lamina_table *t, const lamina_csv *header, const char *name, size_t length)
{
    for (int32_t i = 0; !t->options->no_header && i < header->count; i++)
        if (header->field[i].length == length && !memcmp(header->field[i].text, name, length))
            return i;
    int32_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (name[i] < '0' || name[i] > '9' || number > CSV_MOST_FIELDS)
            return -1;
        number = number * 10 + (name[i] - '0');
    }
    return number <= header->count ? number - 1 : -1;
}

static lamina_status no_column(const lamina_table *t, const lamina_csv *header, const char *name, lamina_error *e)
{
    char known[512] = "";
    size_t at = 0;
    for (int32_t i = 0; !t->options->no_header && i < header->count && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : ": ", header->field[i].text);
    return lamina_fail(e, LAMINA_BAD_FILE, "%s:%" PRId64 ": expected a column '%s', found %" PRId32 " columns%s",
                       header->path, header->field[0].line, name, header->count, known);
}

/* "a", or "a..b" unless there is a column of that name. */
static lamina_status find_range(const lamina_table *t, const lamina_csv *header, const char *name, int32_t *first,
                                int32_t *last, lamina_error *e)
{
    const char *dots = strstr(name, "..");
    *first = *last = find_name(t, header, name, strlen(name));
    if (*first < 0 && dots) {
        *first = find_name(t, header, name, (size_t)(dots - name));
        *last = find_name(t, header, dots + 2, strlen(dots + 2));
    }
    return *first < 0 || *last < *first ? no_column(t, header, name, e) : LAMINA_OK;
}

/* "17", or what the header says. */
static lamina_status add_column(lamina_table *t, const lamina_csv *header, const lamina_csv_column *spec, int32_t field,
                                lamina_error *e)
{
    char number[16];
    snprintf(number, sizeof number, "%" PRId32, field + 1);
    lamina_column *c = &t->column[t->count++];
    *c = (lamina_column){.spec = spec, .field = field, .input = lamina_net_input(t->net, spec->input)};
    c->name = lamina_copy_text(t->options->no_header ? number : header->field[field].text);
    if (!c->name)
        return lamina_fail_memory(e, "a column", strlen(spec->name) + 1);
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && !spec->sorted && i < spec->category_count; i++)
        s = lamina_words_insert(&c->categories, i, spec->categories[i], e);
    return s;
}

static lamina_status find_columns(lamina_table *t, const lamina_csv *header, lamina_error *e)
{
    const lamina_csv_options *o = t->options;
    int32_t count = 0, first, last;
    lamina_status s = LAMINA_OK;
    t->fields = header->count;
    for (int32_t i = 0; !s && i < o->column_count; i++) {
        s = find_range(t, header, o->columns[i].name, &first, &last, e);
        count += s ? 0 : last - first + 1;
    }
    if (s)
        return s;
    t->column = lamina_allocate((size_t)count, sizeof *t->column);
    if (!t->column)
        return lamina_fail_memory(e, "columns", (size_t)count * sizeof *t->column);
    for (int32_t i = 0; !s && i < o->column_count; i++) {
        s = find_range(t, header, o->columns[i].name, &first, &last, e);
        for (int32_t field = first; !s && field <= last; field++)
            s = add_column(t, header, &o->columns[i], field, e);
    }
    return s;
}

lamina_status lamina_table_find(lamina_table *t, lamina_error *e)
{
    lamina_csv *c;
    bool more;
    lamina_status s = lamina_csv_open(t->paths[0], t->delimiter, &c, e);
    if (!s)
        s = lamina_csv_read(c, &more, e);
    if (!s && !more)
        s = lamina_fail(e, LAMINA_BAD_FILE, "%s: expected records, found an empty file", t->paths[0]);
    if (!s)
        s = find_columns(t, c, e);
    lamina_csv_close(c);
    return s;
}

void lamina_table_free(lamina_table *t)
{
    for (int32_t i = 0; i < t->count; i++) {
        lamina_words_free(&t->column[i].categories);
        lamina_release(t->column[i].name);
    }
    lamina_release(t->column);
    t->column = NULL;
    t->count = 0;
}

/* ---- records ---- */

lamina_status lamina_table_next(const lamina_table *t, lamina_csv *c, bool *more, lamina_error *e)
{
    lamina_status s = lamina_csv_read(c, more, e);
    if (s || !*more || c->count == t->fields)
        return s;
    return lamina_fail(e, LAMINA_BAD_FILE,
                       "%s:%" PRId64 ":%" PRId64 ": expected %" PRId32 " fields as in the first line, found %" PRId32,
                       c->path, c->field[0].line, c->field[0].column, t->fields, c->count);
}

static lamina_status skip_header(const lamina_table *t, lamina_csv *c, lamina_error *e)
{
    bool more;
    lamina_status s = lamina_table_next(t, c, &more, e);
    for (int32_t i = 0; !s && more && i < t->count; i++) {
        const lamina_csv_field *f = &c->field[t->column[i].field];
        if (strcmp(f->text, t->column[i].name) != 0)
            s = lamina_fail(e, LAMINA_BAD_FILE,
                            "%s:%" PRId64 ":%" PRId64 ": expected the column '%s' as in '%s', found '%s'", c->path,
                            f->line, f->column, t->column[i].name, t->paths[0], f->text);
    }
    return s;
}

lamina_status lamina_table_open(const lamina_table *t, const char *path, lamina_csv **out, lamina_error *e)
{
    lamina_status s = lamina_csv_open(path, t->delimiter, out, e);
    if (s || t->options->no_header)
        return s;
    s = skip_header(t, *out, e);
    if (s) {
        lamina_csv_close(*out);
        *out = NULL;
    }
    return s;
}

static lamina_status collect(const lamina_table *t, const lamina_csv *c, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < t->count; i++) {
        lamina_column *column = &t->column[i];
        const lamina_csv_field *f = &c->field[column->field];
        const char *text = f->text;
        bool found;
        if (!column->spec->sorted)
            continue;
        if (lamina_table_is_missing(t, text)) {
            if (!column->spec->fill)
                continue;
            text = column->spec->fill;
        }
        int64_t at = lamina_words_place(&column->categories, text, &found);
        if (!found && column->categories.count == TABLE_MOST_WORDS)
            return lamina_fail(e, LAMINA_BAD_FILE,
                               "%s:%" PRId64 ":%" PRId64 ": column '%s': expected at most %d categories", c->path,
                               f->line, f->column, column->name, TABLE_MOST_WORDS);
        if (!found)
            s = lamina_words_insert(&column->categories, at, text, e);
    }
    return s;
}

/* Each column's elements, one after the other in its input, which they must fill. */
static lamina_status place_columns(lamina_table *t, lamina_error *e)
{
    for (int32_t input = 0; input < t->net->input_count; input++) {
        const lamina_tensor *x = &t->net->inputs[input];
        int64_t wanted = (int64_t)(x->bytes / lamina_dtype_bytes(x->dtype)), width = 0;
        const lamina_column *widest = NULL;
        for (int32_t i = 0; i < t->count; i++) {
            lamina_column *c = &t->column[i];
            if (c->input != input)
                continue;
            bool spread = lamina_is_real(x->dtype) && (c->spec->sorted || c->spec->categories);
            c->first = width;
            c->width = spread ? c->categories.count : 1;
            width += c->width;
            if (spread && (!widest || c->width > widest->width))
                widest = c;
        }
        char note[128] = "";
        if (widest)
            snprintf(note, sizeof note, " ('%.60s' has %" PRId64 ", one for each category)", widest->name,
                     widest->width);
        if (width && width != wanted)
            return lamina_fail(e, LAMINA_BAD_FILE,
                               "%s: input '%s': expected columns for %" PRId64 " elements, found %" PRId64 "%s",
                               t->paths[0], x->name, wanted, width, note);
    }
    return LAMINA_OK;
}

lamina_status lamina_table_measure(lamina_table *t, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < t->path_count; i++) {
        lamina_csv *c;
        bool more = true;
        s = lamina_table_open(t, t->paths[i], &c, e);
        while (!s && !(s = lamina_table_next(t, c, &more, e)) && more) {
            t->records++;
            s = collect(t, c, e);
        }
        lamina_csv_close(c);
    }
    return s ? s : place_columns(t, e);
}
