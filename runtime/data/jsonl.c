/* runtime/data/jsonl.c - read JSON lines: an object a line, of which the table's columns are taken.
 *
 *     {"px": [0, 3.5], "from": {"city": "Bern"}, "kind": "u"}         columns: px.0, px.1, from.city, kind
 *
 * A name is a key, or a key, a dot and a name within its value; arrays are named by index, from 0. */
#include "runtime/data/jsonl.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/lines.h"
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

enum { NUMBER_BYTES = 32 };

typedef struct {
    lamina_records records; /* first, as record.h has it */
    const lamina_table *table;
    json_t *record;
    char (*numbers)[NUMBER_BYTES]; /* of each field, as text */
    lamina_lines lines;
} jsonl;

/* ---- names ---- */

static json_t *step(const json_t *v, const char *name, size_t length)
{
    size_t index = 0;
    if (!json_is_array(v))
        return json_object_getn(v, name, length);
    for (size_t i = 0; i < length; i++) {
        if (name[i] < '0' || name[i] > '9' || index > INT32_MAX)
            return NULL;
        index = index * 10 + (size_t)(name[i] - '0');
    }
    return length ? json_array_get(v, index) : NULL;
}

static json_t *look_up(const json_t *v, const char *name)
{
    json_t *found = v ? step(v, name, strlen(name)) : NULL;
    for (const char *dot = strchr(name, '.'); v && !found && dot; dot = strchr(dot + 1, '.'))
        found = look_up(step(v, name, (size_t)(dot - name)), dot + 1);
    return found;
}

/* ---- values ---- */

static const char *describe(const json_t *v)
{
    static const char *const kinds[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string", [JSON_INTEGER] = "a number",
        [JSON_REAL] = "a number",    [JSON_TRUE] = "true",      [JSON_FALSE] = "false",     [JSON_NULL] = "null"};
    return kinds[json_typeof(v)];
}

/* A number's text matters where it is a word, or may mean that the value is missing. */
static lamina_status take_number(jsonl *j, int32_t i, const json_t *v, lamina_error *e)
{
    lamina_record_field *f = &j->records.field[i];
    f->numeric = true;
    f->number = json_number_value(v);
    if (!j->table->column[i].words && !j->table->options->missing)
        return LAMINA_OK;
    f->length = json_dumpb(v, j->numbers[i], NUMBER_BYTES - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    if (!f->length || f->length >= NUMBER_BYTES)
        return lamina_fail_memory(e, j->records.path, NUMBER_BYTES);
    j->numbers[i][f->length] = 0;
    f->text = j->numbers[i];
    return LAMINA_OK;
}

static lamina_status take_value(jsonl *j, int32_t i, lamina_error *e)
{
    const json_t *v = look_up(j->record, j->table->column[i].name);
    lamina_record_field *f = &j->records.field[i];
    *f = (lamina_record_field){.line = j->lines.line, .column = 1, .absent = !v || json_is_null(v)};
    if (!v)
        return LAMINA_OK;
    if (json_is_number(v))
        return take_number(j, i, v, e);
    if (json_is_object(v) || json_is_array(v))
        return lamina_fail(e, LAMINA_BAD_FILE, "%s:%" PRId64 ":1: column '%s': expected a value, found %s",
                           j->records.path, f->line, j->table->column[i].name, describe(v));
    f->text = json_is_string(v) ? json_string_value(v) : describe(v);
    f->length = strlen(f->text);
    f->numeric = json_is_boolean(v);
    f->number = json_is_true(v);
    return LAMINA_OK;
}

/* ---- records ---- */

static lamina_status parse(jsonl *j, lamina_error *e)
{
    json_error_t error = {0};
    const lamina_lines *l = &j->lines;
    json_decref(j->record);
    j->record = json_loadb(l->text, l->length, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(j->record))
        return LAMINA_OK;
    if (j->record)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s:%" PRId64 ":1: expected an object, found %s", l->path, l->line,
                           describe(j->record));
    if (!error.text[0] || json_error_code(&error) == json_error_out_of_memory) /* some paths leave no text */
        return lamina_fail(e, LAMINA_NO_MEMORY, "%s:%" PRId64 ": out of memory for the record", l->path, l->line);
    return lamina_fail(e, LAMINA_BAD_FILE, "%s:%" PRId64 ":%d: expected a JSON object, but %s", l->path, l->line,
                       error.position > 0 ? error.position : 1, error.text);
}

static lamina_status read_record(lamina_records *r, bool *more, lamina_error *e)
{
    jsonl *j = (jsonl *)r;
    lamina_status s;
    do
        s = lamina_lines_next(&j->lines, more, e);
    while (!s && *more && j->lines.text[strspn(j->lines.text, " \t")] == 0);
    if (s || !*more)
        return s;
    s = parse(j, e);
    for (int32_t i = 0; !s && i < r->count; i++)
        s = take_value(j, i, e);
    return s;
}

static void close_file(lamina_records *r)
{
    jsonl *j = (jsonl *)r;
    lamina_lines_close(&j->lines);
    json_decref(j->record);
    lamina_release(j->numbers);
    lamina_release(r->field);
    lamina_release(j);
}

lamina_status lamina_jsonl_open(const lamina_table *t, const char *path, lamina_records **out, lamina_error *e)
{
    jsonl *j = lamina_allocate(1, sizeof *j);
    *out = NULL;
    if (!j)
        return lamina_fail_memory(e, path, sizeof *j);
    j->table = t;
    j->records = (lamina_records){.read = read_record, .close = close_file, .path = path, .count = t->count};
    j->records.field = lamina_allocate((size_t)t->count, sizeof *j->records.field);
    j->numbers = lamina_allocate((size_t)t->count, sizeof *j->numbers);
    lamina_status s = !j->records.field || !j->numbers
                          ? lamina_fail_memory(e, path, (size_t)t->count * sizeof *j->records.field)
                          : lamina_lines_open(&j->lines, path, e);
    if (s)
        close_file(&j->records);
    else
        *out = &j->records;
    return s;
}
