/* runtime/data/table.c - which columns of tables an input holds, and which words are their categories.
 *
 * Files are read twice. The first reading, here, counts records and collects words: then every size is known. */
#include "runtime/data/table.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/data/csv.h"
#include "runtime/data/jsonl.h"
#include "runtime/data/libsvm.h"
#include <inttypes.h>
#include <string.h>

bool lamina_table_is_missing(const lamina_table *t, const lamina_record_field *f)
{
    static const char *const usual[] = {"", "NA", "NaN"};
    const char *const *missing = t->options->missing ? t->options->missing : usual;
    int32_t count = t->options->missing ? t->options->missing_count : 3;
    for (int32_t i = 0; f->text && i < count; i++)
        if (!strcmp(missing[i], f->text))
            return true;
    return f->absent;
}

/* ---- files ---- */

static bool has_header(const lamina_table *t)
{
    return t->options->format == LAMINA_CSV;
}

static lamina_status open_file(const lamina_table *t, const char *path, lamina_records **out, lamina_error *e)
{
    if (t->options->format == LAMINA_JSON_LINES)
        return lamina_jsonl_open(t, path, out, e);
    if (t->options->format == LAMINA_LIBSVM)
        return lamina_libsvm_open(t, path, out, e);
    return lamina_csv_open(path, t->delimiter, out, e);
}

/* ---- columns ---- */

/* The field that a column's name means: the header's, or its number. */
static int32_t find_name(const lamina_table *t, const lamina_records *header, const char *name, size_t length)
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

static lamina_status no_column(const lamina_table *t, const lamina_records *header, const char *name, lamina_error *e)
{
    char known[512] = "";
    size_t at = 0;
    for (int32_t i = 0; !t->options->no_header && i < header->count && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : ": ", header->field[i].text);
    return lamina_fail(e, LAMINA_BAD_FILE, "%s:%" PRId64 ": expected a column '%s', found %" PRId32 " columns%s",
                       header->path, header->field[0].line, name, header->count, known);
}

/* What a column's name means: fields of the header; without one, the name itself, or its stem and numbers. */
typedef struct {
    int32_t first, last;
    int stem, digits; /* "px.00..px.63": 3 and at least 2 */
} range;

/* "a", or "a..b" unless there is a column of that name. */
static lamina_status find_fields(const lamina_table *t, const lamina_records *header, const char *name, range *r,
                                 lamina_error *e)
{
    const char *dots = strstr(name, "..");
    r->first = r->last = find_name(t, header, name, strlen(name));
    if (r->first < 0 && dots) {
        r->first = find_name(t, header, name, (size_t)(dots - name));
        r->last = find_name(t, header, dots + 2, strlen(dots + 2));
    }
    return r->first < 0 || r->last < r->first ? no_column(t, header, name, e) : LAMINA_OK;
}

/* The number at the end of a name, of up to 9 digits; -1: none. */
static int32_t read_end(const char *name, size_t length, int *stem)
{
    int32_t number = 0;
    size_t at = length;
    while (at && name[at - 1] >= '0' && name[at - 1] <= '9')
        at--;
    *stem = (int)at;
    if (at == length || length - at > 9)
        return -1;
    for (; at < length; at++)
        number = number * 10 + (name[at] - '0');
    return number;
}

/* "px.0..px.63" counts up; all other names stand for themselves. */
static range count_up(const char *name)
{
    const char *dots = strstr(name, "..");
    range r = {0};
    int stem;
    if (!dots)
        return r;
    r.first = read_end(name, (size_t)(dots - name), &r.stem);
    r.last = read_end(dots + 2, strlen(dots + 2), &stem);
    r.digits = (int)(dots - name) - r.stem;
    bool same = stem == r.stem && !memcmp(name, dots + 2, (size_t)stem);
    return same && r.first >= 0 && r.last >= r.first ? r : (range){0};
}

static lamina_status find_range(const lamina_table *t, const lamina_records *header, const char *name, range *r,
                                lamina_error *e)
{
    if (header)
        return find_fields(t, header, name, r, e);
    *r = count_up(name);
    return LAMINA_OK;
}

/* Column number 'i' of the range. A file without a header calls it by its number. */
static char *name_column(const lamina_table *t, const lamina_records *header, const char *name, const range *r,
                         int32_t i)
{
    char *text;
    size_t bytes = strlen(name) + 16;
    if (header && !t->options->no_header)
        return lamina_copy_text(header->field[i].text);
    if (!(text = lamina_allocate(bytes, 1)))
        return NULL;
    if (header)
        snprintf(text, bytes, "%" PRId32, i + 1);
    else if (r->digits)
        snprintf(text, bytes, "%.*s%0*" PRId32, r->stem, name, r->digits, i);
    else
        snprintf(text, bytes, "%s", name);
    return text;
}

static lamina_status add_column(lamina_table *t, const lamina_records *header, const lamina_table_column *spec,
                                const range *r, int32_t i, lamina_error *e)
{
    lamina_column *c = &t->column[t->count];
    *c = (lamina_column){.spec = spec,
                         .field = header ? i : t->count,
                         .input = lamina_net_input(t->net, spec->input),
                         .words = spec->sorted || spec->categories};
    t->count++;
    c->name = name_column(t, header, spec->name, r, i);
    if (!c->name)
        return lamina_fail_memory(e, "a column", strlen(spec->name) + 1);
    lamina_status s = LAMINA_OK;
    for (int32_t k = 0; !s && !spec->sorted && k < spec->category_count; k++)
        s = lamina_words_insert(&c->categories, k, spec->categories[k], e);
    return s;
}

/* No input has more columns than elements. */
static lamina_status check_room(const lamina_table *t, const lamina_table_column *spec, const range *r, lamina_error *e)
{
    const lamina_tensor *x = &t->net->inputs[lamina_net_input(t->net, spec->input)];
    int64_t room = (int64_t)(x->bytes / lamina_dtype_bytes(x->dtype)), count = r->last - r->first + 1;
    if (count <= room)
        return LAMINA_OK;
    return lamina_fail(e, LAMINA_BAD_FILE,
                       "%s: input '%s': expected columns for %" PRId64 " elements, found %" PRId64 " in '%s'",
                       t->paths[0], x->name, room, count, spec->name);
}

static lamina_status find_columns(lamina_table *t, const lamina_records *header, lamina_error *e)
{
    const lamina_table_options *o = t->options;
    int64_t count = 0;
    range r;
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < o->column_count; i++) {
        if (!(s = find_range(t, header, o->columns[i].name, &r, e)))
            s = check_room(t, &o->columns[i], &r, e);
        count += s ? 0 : r.last - r.first + 1;
    }
    if (s)
        return s;
    t->column = lamina_allocate((size_t)count, sizeof *t->column);
    if (!t->column)
        return lamina_fail_memory(e, "columns", (size_t)count * sizeof *t->column);
    for (int32_t i = 0; !s && i < o->column_count; i++) {
        s = find_range(t, header, o->columns[i].name, &r, e);
        for (int32_t k = r.first; !s && k <= r.last; k++)
            s = add_column(t, header, &o->columns[i], &r, k, e);
    }
    t->fields = header ? header->count : t->count;
    return s;
}

lamina_status lamina_table_find(lamina_table *t, lamina_error *e)
{
    lamina_records *header;
    bool more;
    if (!has_header(t))
        return find_columns(t, NULL, e);
    lamina_status s = open_file(t, t->paths[0], &header, e);
    if (!s)
        s = lamina_records_read(header, &more, e);
    if (!s && !more)
        s = lamina_fail(e, LAMINA_BAD_FILE, "%s: expected records, found an empty file", t->paths[0]);
    if (!s)
        s = find_columns(t, header, e);
    lamina_records_close(header);
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

lamina_status lamina_table_next(const lamina_table *t, lamina_records *r, bool *more, lamina_error *e)
{
    lamina_status s = lamina_records_read(r, more, e);
    if (s || !*more || r->count == t->fields)
        return s;
    return lamina_fail(e, LAMINA_BAD_FILE,
                       "%s:%" PRId64 ":%" PRId64 ": expected %" PRId32 " fields as in the first line, found %" PRId32,
                       r->path, r->field[0].line, r->field[0].column, t->fields, r->count);
}

static lamina_status skip_header(const lamina_table *t, lamina_records *r, lamina_error *e)
{
    bool more;
    lamina_status s = lamina_table_next(t, r, &more, e);
    for (int32_t i = 0; !s && more && i < t->count; i++) {
        const lamina_record_field *f = &r->field[t->column[i].field];
        if (strcmp(f->text, t->column[i].name) != 0)
            s = lamina_fail(e, LAMINA_BAD_FILE,
                            "%s:%" PRId64 ":%" PRId64 ": expected the column '%s' as in '%s', found '%s'", r->path,
                            f->line, f->column, t->column[i].name, t->paths[0], f->text);
    }
    return s;
}

lamina_status lamina_table_open(const lamina_table *t, const char *path, lamina_records **out, lamina_error *e)
{
    lamina_status s = open_file(t, path, out, e);
    if (s || !has_header(t) || t->options->no_header)
        return s;
    s = skip_header(t, *out, e);
    if (s) {
        lamina_records_close(*out);
        *out = NULL;
    }
    return s;
}

static lamina_status collect(const lamina_table *t, const lamina_records *r, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < t->count; i++) {
        lamina_column *column = &t->column[i];
        const lamina_record_field *f = &r->field[column->field];
        const char *text = f->text;
        bool found;
        column->seen |= !f->absent || text;
        if (!column->spec->sorted)
            continue;
        if (lamina_table_is_missing(t, f)) {
            if (!column->spec->fill)
                continue;
            text = column->spec->fill;
        }
        int64_t at = lamina_words_place(&column->categories, text, &found);
        if (!found && column->categories.count == TABLE_MOST_WORDS)
            return lamina_fail(e, LAMINA_BAD_FILE,
                               "%s:%" PRId64 ":%" PRId64 ": column '%s': expected at most %d categories", r->path,
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
            bool spread = lamina_is_real(x->dtype) && c->words;
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

/* Records that name their values may all lack one, which is then likely misspelt. */
static lamina_status check_seen(const lamina_table *t, lamina_error *e)
{
    if (!t->records)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: expected records, found an empty file", t->paths[0]);
    for (int32_t i = 0; i < t->count; i++)
        if (!t->column[i].seen)
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: expected a column '%s', found %" PRId64 " records without one",
                               t->paths[0], t->column[i].name, t->records);
    return LAMINA_OK;
}

lamina_status lamina_table_measure(lamina_table *t, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < t->path_count; i++) {
        lamina_records *r;
        bool more = true;
        s = lamina_table_open(t, t->paths[i], &r, e);
        while (!s && !(s = lamina_table_next(t, r, &more, e)) && more) {
            t->records++;
            s = collect(t, r, e);
        }
        lamina_records_close(r);
    }
    if (!s && !has_header(t))
        s = check_seen(t, e);
    return s ? s : place_columns(t, e);
}
