/* runtime/data/columns.c - tables to inputs: every record's values, cleaned on their way. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/data/csv.h"
#include "runtime/data/store.h"
#include "runtime/data/table.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <zlib.h>

/* The inputs that are being filled. */
typedef struct {
    lamina_table table;
    lamina_dataset *dataset;
    char **data;    /* of each input; NULL: no column is for it */
    int64_t rows;   /* kept so far */
    int64_t *found; /* rows by the hash of their bytes, from 1; 0: none. NULL: duplicates stay */
    uint64_t slots;
    lamina_table_report report;
} filling;

/* ---- one value ---- */

static const lamina_tensor *tensor_of(const filling *f, const lamina_column *c)
{
    return &f->table.net->inputs[c->input];
}

static lamina_status refuse(const filling *f, const lamina_records *r, const lamina_column *c, const char *expected,
                            lamina_error *e)
{
    const lamina_record_field *at = &r->field[c->field];
    char number[32];
    snprintf(number, sizeof number, "%.15g", at->number);
    return lamina_fail(e, LAMINA_BAD_FILE,
                       "%s:%" PRId64 ":%" PRId64 ": column '%s': expected %s for input '%s', found '%.80s'", r->path,
                       at->line, at->column, c->name, expected, tensor_of(f, c)->name,
                       at->text      ? at->text
                       : at->numeric ? number
                                     : "");
}

static lamina_status refuse_word(const filling *f, const lamina_records *r, const lamina_column *c, lamina_error *e)
{
    char expected[256];
    size_t at = (size_t)snprintf(expected, sizeof expected, "one of");
    for (int64_t i = 0; i < c->categories.count && at < sizeof expected; i++)
        at += (size_t)snprintf(expected + at, sizeof expected - at, "%s '%s'", i ? "," : "", c->categories.word[i]);
    return refuse(f, r, c, expected, e);
}

static lamina_status refuse_number(const filling *f, const lamina_records *r, const lamina_column *c, lamina_error *e)
{
    bool real = lamina_is_real(tensor_of(f, c)->dtype);
    return refuse(f, r, c, real ? "a number" : "a whole number that it holds", e);
}

/* NaN, or no category at all. */
static void write_missing(const filling *f, const lamina_column *c)
{
    const lamina_tensor *x = tensor_of(f, c);
    char *row = f->data[c->input] + (uint64_t)f->rows * x->bytes;
    for (int64_t k = 0; k < c->width; k++)
        lamina_write_number(x->dtype, row, c->first + k, (lamina_number){true, 0, c->words ? 0 : NAN});
}

static void write_category(const filling *f, const lamina_column *c, int64_t category)
{
    const lamina_tensor *x = tensor_of(f, c);
    char *row = f->data[c->input] + (uint64_t)f->rows * x->bytes;
    if (!lamina_is_real(x->dtype))
        lamina_write_number(x->dtype, row, c->first, (lamina_number){false, category, 0});
    else
        for (int64_t k = 0; k < c->width; k++)
            lamina_write_number(x->dtype, row, c->first + k, (lamina_number){true, 0, k == category});
}

static bool write_number(filling *f, const lamina_column *c, double value)
{
    const lamina_tensor *x = tensor_of(f, c);
    char *row = f->data[c->input] + (uint64_t)f->rows * x->bytes;
    if (c->spec->clipped && (value < c->spec->least || value > c->spec->most)) {
        value = value < c->spec->least ? c->spec->least : c->spec->most;
        f->report.clipped++;
    }
    if (lamina_is_real(x->dtype))
        return lamina_write_number(x->dtype, row, c->first, (lamina_number){true, 0, value}) &&
               (x->dtype == LAMINA_F64 || isfinite((float)value));
    bool whole = value == floor(value) && fabs(value) <= 0x1p53;
    return whole && lamina_write_number(x->dtype, row, c->first, (lamina_number){false, (int64_t)value, 0});
}

static lamina_status write_text(filling *f, const lamina_records *r, const lamina_column *c, const char *text,
                                lamina_error *e)
{
    double value;
    if (c->words) {
        int64_t category = lamina_words_find(&c->categories, c->spec->sorted, text);
        if (category < 0 || (tensor_of(f, c)->dtype == LAMINA_UI8 && category > UINT8_MAX))
            return refuse_word(f, r, c, e);
        write_category(f, c, category);
        return LAMINA_OK;
    }
    if (lamina_parse_number(text, &value) && write_number(f, c, value))
        return LAMINA_OK;
    return refuse_number(f, r, c, e);
}

/* *drop: the record is to be left out, for it lacks a value. */
static lamina_status write_value(filling *f, const lamina_records *r, const lamina_column *c, bool *drop,
                                 lamina_error *e)
{
    const lamina_table_options *o = f->table.options;
    const lamina_record_field *field = &r->field[c->field];
    if (!lamina_table_is_missing(&f->table, field)) {
        if (!field->numeric || c->words)
            return write_text(f, r, c, field->text, e);
        return write_number(f, c, field->number) ? LAMINA_OK : refuse_number(f, r, c, e);
    }
    if (c->spec->fill) {
        f->report.filled++;
        return write_text(f, r, c, c->spec->fill, e);
    }
    *drop = o->drop_missing;
    if (*drop)
        return LAMINA_OK;
    if (!o->keep_missing)
        return refuse(f, r, c, "a value (missing ones may be dropped, filled or kept)", e);
    if (!lamina_is_real(tensor_of(f, c)->dtype))
        return refuse(f, r, c, "a value (only real inputs keep missing ones)", e);
    write_missing(f, c);
    f->report.kept_missing++;
    return LAMINA_OK;
}

/* ---- records ---- */

static bool same_row(const filling *f, int64_t other)
{
    for (int32_t i = 0; i < f->table.net->input_count; i++) {
        uint64_t bytes = f->table.net->inputs[i].bytes;
        if (f->data[i] &&
            memcmp(f->data[i] + (uint64_t)other * bytes, f->data[i] + (uint64_t)f->rows * bytes, bytes) != 0)
            return false;
    }
    return true;
}

/* Is the record that was just written like one before? If not, remember it: open addressing, at most half full. */
static bool is_duplicate(filling *f)
{
    uLong crc = crc32(0, NULL, 0), sum = adler32(0, NULL, 0);
    for (int32_t i = 0; i < f->table.net->input_count; i++) {
        uint64_t bytes = f->table.net->inputs[i].bytes;
        if (!f->data[i])
            continue;
        const Bytef *row = (const Bytef *)f->data[i] + (uint64_t)f->rows * bytes;
        crc = crc32_z(crc, row, bytes);
        sum = adler32_z(sum, row, bytes);
    }
    uint64_t slot = ((uint64_t)sum << 32 ^ crc) * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    for (;; slot++) {
        int64_t *at = &f->found[slot & (f->slots - 1)];
        if (!*at) {
            *at = f->rows + 1;
            return false;
        }
        if (same_row(f, *at - 1))
            return true;
    }
}

static lamina_status write_record(filling *f, const lamina_records *r, lamina_error *e)
{
    const lamina_table_report before = f->report;
    bool drop = false;
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && !drop && i < f->table.count; i++)
        s = write_value(f, r, &f->table.column[i], &drop, e);
    if (s)
        return s;
    bool again = !drop && f->found && is_duplicate(f);
    if (drop || again)
        f->report = before;
    else
        f->rows++;
    f->report.missing += drop;
    f->report.duplicates += again;
    return s;
}

/* A file that grows while it is read has but the records that were counted. */
static lamina_status write_files(filling *f, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < f->table.path_count; i++) {
        lamina_records *r;
        bool more = true;
        s = lamina_table_open(&f->table, f->table.paths[i], &r, e);
        while (!s && f->report.records < f->table.records && !(s = lamina_table_next(&f->table, r, &more, e)) && more) {
            f->report.records++;
            s = write_record(f, r, e);
        }
        lamina_records_close(r);
    }
    return s;
}

/* ---- the whole ---- */

static lamina_status check_options(const lamina_dataset *d, const lamina_table_options *o, lamina_error *e)
{
    if (o->column_count < 1 || !o->columns)
        return lamina_fail(e, LAMINA_BAD_ARG, "lamina_dataset_add_table: expected 1 or more columns, found none");
    if (o->delimiter == '"' || o->delimiter == '\n' || o->delimiter == '\r')
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "lamina_dataset_add_table: expected a delimiter that is no quote and no line end");
    for (int32_t i = 0; i < o->column_count; i++) {
        const lamina_table_column *c = &o->columns[i];
        if (!c->name || !c->input)
            return lamina_fail(e, LAMINA_BAD_ARG,
                               "lamina_dataset_add_table: column %" PRId32 ": expected a name and an input, found NULL",
                               i);
        if (lamina_net_input(d->net, c->input) < 0)
            return lamina_fail(e, LAMINA_BAD_ARG, "%s: no input '%s'", d->net->name, c->input);
    }
    return LAMINA_OK;
}

static bool holds(const filling *f, int32_t input)
{
    for (int32_t i = 0; i < f->table.count; i++)
        if (f->table.column[i].input == input)
            return true;
    return false;
}

static lamina_status allocate(filling *f, lamina_error *e)
{
    const lamina_net *net = f->table.net;
    size_t records = (size_t)f->table.records;
    f->data = lamina_allocate((size_t)net->input_count, sizeof *f->data);
    if (!f->data)
        return lamina_fail_memory(e, f->table.paths[0], (size_t)net->input_count * sizeof *f->data);
    for (int32_t i = 0; i < net->input_count; i++) {
        if (!holds(f, i))
            continue;
        f->data[i] = lamina_allocate(records, net->inputs[i].bytes);
        if (!f->data[i])
            return lamina_fail_memory(e, f->table.paths[0], records * net->inputs[i].bytes);
    }
    if (!f->table.options->drop_duplicates)
        return LAMINA_OK;
    for (f->slots = 16; f->slots < 2 * records;)
        f->slots *= 2;
    f->found = lamina_allocate(f->slots, sizeof *f->found);
    return f->found ? LAMINA_OK : lamina_fail_memory(e, f->table.paths[0], f->slots * sizeof *f->found);
}

static lamina_status add_name(lamina_words *names, const char *name, const char *word, lamina_error *e)
{
    char text[256];
    snprintf(text, sizeof text, "%.120s%s%.120s", name, word ? "=" : "", word ? word : "");
    return lamina_words_insert(names, names->count, text, e);
}

/* What the elements, or the classes, of an input are called. */
static lamina_status add_names(filling *f, int32_t input, lamina_error *e)
{
    const lamina_tensor *x = &f->table.net->inputs[input];
    lamina_words *names = &f->dataset->store->fields[input].names;
    bool real = lamina_is_real(x->dtype), one = x->bytes == lamina_dtype_bytes(x->dtype);
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < f->table.count; i++) {
        const lamina_column *c = &f->table.column[i];
        if (c->input != input || (!real && !(c->words && one)))
            continue;
        for (int64_t k = 0; !s && k < (c->words ? c->categories.count : 1); k++) {
            const char *word = c->words ? c->categories.word[k] : NULL;
            s = add_name(names, real ? c->name : word, real ? word : NULL, e);
        }
    }
    return s;
}

/* Hand the records over to the data set, all inputs or none. */
static lamina_status take(filling *f, lamina_error *e)
{
    const char *path = f->table.paths[0];
    lamina_status s = LAMINA_OK;
    if (!f->rows)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: expected a record that stays, found none of %" PRId64, path,
                           f->report.records);
    for (int32_t i = 0; !s && i < f->table.net->input_count; i++)
        if (f->data[i])
            s = lamina_check_new(f->dataset, i, path, f->rows, e);
    for (int32_t i = 0; !s && i < f->table.net->input_count; i++) {
        if (!f->data[i])
            continue;
        s = lamina_add_field(f->dataset, i, path, f->data[i], f->rows, e);
        f->data[i] = NULL;
        if (!s)
            s = add_names(f, i, e);
    }
    return s;
}

lamina_status lamina_dataset_add_table(lamina_dataset *d, const char *const *paths, int32_t count,
                                       const lamina_table_options *o, lamina_table_report *report, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_dataset_add_table", "d paths o", d, paths, o);
    if (!s && count < 1)
        s = lamina_fail(e, LAMINA_BAD_ARG, "lamina_dataset_add_table: expected 1 or more files, found %" PRId32, count);
    if (!s)
        s = check_options(d, o, e);
    if (s)
        return s;
    filling f = {.dataset = d,
                 .table = {.options = o,
                           .net = d->net,
                           .paths = paths,
                           .path_count = count,
                           .delimiter = o->delimiter ? o->delimiter : ','}};
    if (!(s = lamina_table_find(&f.table, e)) && !(s = lamina_table_measure(&f.table, e)) && !(s = allocate(&f, e)) &&
        !(s = write_files(&f, e)))
        s = take(&f, e);
    for (int32_t i = 0; f.data && i < d->net->input_count; i++)
        lamina_release(f.data[i]);
    lamina_release(f.data);
    lamina_release(f.found);
    lamina_table_free(&f.table);
    if (report)
        *report = f.report;
    return s;
}
