/* frontend/network/table.c - data in tables: which columns are the inputs, and how they are cleaned. */
#include "frontend/network/network.h"
#include "frontend/network/sections.h"
#include <string.h>

enum { LONGEST_WORD = 120 };

/* ---- words ---- */

/* A scalar as it stands, quoted or not. */
static bool read_word(fe_reader *r, const fe_yaml *y, const char *what, const char *expected, const char **out)
{
    if (!fe_expect_kind(r, y, what, FE_SCALAR, expected))
        return false;
    *out = y->word;
    return strlen(y->word) <= LONGEST_WORD ||
           fe_mismatch(r, y->at, what, "a text of at most 120 bytes", fe_yaml_describe(y, r->mem));
}

/* One, or a list of them. */
static const char **read_words(fe_reader *r, const fe_yaml *y, const char *what, const char *expected, int *count)
{
    const fe_yaml *one[] = {y};
    const fe_yaml *const *item = y->kind == FE_LIST ? (const fe_yaml *const *)y->item : one;
    int n = y->kind == FE_LIST ? y->count : 1;
    const char **words = arena_new_array(r->mem, const char *, (size_t)n + 1);
    for (*count = 0; *count < n; ++*count)
        if (!read_word(r, item[*count], what, expected, &words[*count]))
            return NULL;
    return words;
}

/* The column listed under that name, the next one behind number 'from'; -1 if there is none. */
static int find_column(const fe_table *t, const char *name, int from)
{
    for (int i = from; i < t->count; i++)
        if (!strcmp(t->columns[i].name, name))
            return i;
    return -1;
}

static bool unknown_column(fe_reader *r, const fe_table *t, const fe_yaml *y, const char *what)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)t->count + 1);
    for (int i = 0; i < t->count; i++)
        known[i] = t->columns[i].name;
    return fe_unknown(r, y->at, arena_printf(r->mem, "%s: column", what), y->word, known, (size_t)t->count);
}

/* ---- columns ---- */

static bool add_columns(fe_reader *r, fe_table *t, const fe_yaml *key, const fe_yaml *y)
{
    int count;
    const char **names = read_words(r, y, key->word, "a column or a list of columns", &count);
    for (int i = 0; names && i < count; i++)
        t->columns[t->count++] = (fe_column){.name = names[i], .input = key->word, .at = y->at};
    return names && (count || fe_mismatch(r, y->at, key->word, "a column or a list of columns", "[]"));
}

static bool is_input(const fe_network *n, const char *name)
{
    for (int i = 0; i < n->ninputs; i++)
        if (!strcmp(n->inputs[i].name, name))
            return true;
    return false;
}

static bool unknown_input(fe_reader *r, const fe_network *n, const fe_yaml *key)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->ninputs + 1);
    for (int i = 0; i < n->ninputs; i++)
        known[i] = n->inputs[i].name;
    return !fe_may_be_lost(n, key->word) &&
           fe_unknown(r, key->at, "columns: input", key->word, known, (size_t)n->ninputs);
}

static bool read_columns(fe_reader *r, const fe_network *n, fe_table *t, const fe_yaml *y)
{
    bool ok = fe_expect_kind(r, y, "columns", FE_MAP, "a mapping of inputs to columns") && !y->broken;
    size_t room = 0;
    for (int i = 0; ok && i < y->count; i++)
        room += y->item[i]->kind == FE_LIST ? (size_t)y->item[i]->count : 1;
    t->columns = arena_new_array(r->mem, fe_column, room + 1);
    for (int i = 0; ok && i < y->count; i++)
        ok = is_input(n, y->key[i]->word) ? add_columns(r, t, y->key[i], y->item[i]) : unknown_input(r, n, y->key[i]);
    for (int i = 0; ok && i < n->ninputs; i++)
        if (!fe_yaml_find(y, n->inputs[i].name))
            ok = fe_missing(r, y->at, "columns", n->inputs[i].name, "a column or a list of columns");
    return ok;
}

/* ---- what is said of columns by their names ---- */

typedef bool set_column(fe_reader *r, fe_column *c, const fe_yaml *y);

static bool set_categories(fe_reader *r, fe_column *c, const fe_yaml *y)
{
    c->at = y->at;
    c->sorted = y->kind == FE_SCALAR && !strcmp(y->word, "sorted");
    if (c->sorted)
        return true;
    if (!fe_expect_kind(r, y, "categories", FE_LIST, "a list of words, or sorted"))
        return false;
    c->categories = read_words(r, y, "categories", "a word", &c->category_count);
    return c->categories &&
           (c->category_count || fe_mismatch(r, y->at, "categories", "a list of words, or sorted", "[]"));
}

static bool set_fill(fe_reader *r, fe_column *c, const fe_yaml *y)
{
    return read_word(r, y, "fill", "a value in place of missing ones", &c->fill);
}

static bool set_clip(fe_reader *r, fe_column *c, const fe_yaml *y)
{
    double *bound[] = {&c->least, &c->most};
    c->clipped = y->kind == FE_LIST && y->count == 2;
    for (int i = 0; c->clipped && i < 2; i++)
        c->clipped = y->item[i]->kind == FE_SCALAR && !y->item[i]->quoted && !fe_number(y->item[i]->word, bound[i]);
    c->clipped = c->clipped && c->least <= c->most;
    return c->clipped || fe_mismatch(r, y->at, "clip", "[least, most], two numbers", fe_yaml_describe(y, r->mem));
}

static bool set_named(fe_reader *r, fe_table *t, const char *what, const fe_yaml *key, const fe_yaml *y,
                      set_column *set)
{
    int at = find_column(t, key->word, 0);
    if (at < 0)
        return unknown_column(r, t, key, what);
    bool ok = true;
    for (; ok && at >= 0; at = find_column(t, key->word, at + 1))
        ok = set(r, &t->columns[at], y);
    return ok;
}

/* {column: value, ...}; a list of columns gives each of them 'given', if there is one. */
static bool read_named(fe_reader *r, fe_table *t, const char *what, const char *expected, const fe_yaml *y,
                       set_column *set, const char *given)
{
    bool list = given && y->kind == FE_LIST, ok = true;
    if (!list && !fe_expect_kind(r, y, what, FE_MAP, expected))
        return false;
    for (int i = 0; ok && i < y->count; i++) {
        const fe_yaml *key = list ? y->item[i] : y->key[i];
        const fe_yaml value = {.kind = FE_SCALAR, .word = given, .at = key->at};
        ok = fe_expect_kind(r, key, what, FE_SCALAR, "a column") &&
             set_named(r, t, what, key, list ? &value : y->item[i], set);
    }
    return ok;
}

/* ---- the other keys ---- */

static bool read_delimiter(fe_reader *r, fe_table *t, const fe_yaml *y)
{
    bool tab = y->kind == FE_SCALAR && !strcmp(y->word, "tab");
    bool one = y->kind == FE_SCALAR && strlen(y->word) == 1 && !strchr("\"\r\n", *y->word);
    t->delimiter = tab ? '\t' : one ? *y->word : 0;
    return tab || one || fe_mismatch(r, y->at, "delimiter", "one character, or tab", fe_yaml_describe(y, r->mem));
}

static bool read_drop(fe_reader *r, fe_table *t, const fe_yaml *y)
{
    static const char *const known[] = {"missing", "duplicates"};
    int count;
    const char **words = read_words(r, y, "drop", "missing, duplicates or both in a list", &count);
    for (int i = 0; words && i < count; i++) {
        bool missing = !strcmp(words[i], known[0]);
        if (!missing && strcmp(words[i], known[1]) != 0)
            return fe_unknown(r, y->at, "drop: records", words[i], known, 2);
        *(missing ? &t->drop_missing : &t->drop_duplicates) = true;
    }
    return words;
}

const char **fe_read_paths(fe_reader *r, const fe_network *n, const fe_yaml *y, const char *what, int *count)
{
    static const char expected[] = "the path of a file, or a list of them";
    const char **paths = read_words(r, y, what, expected, count);
    bool ok = paths && (*count || fe_mismatch(r, y->at, what, expected, "[]"));
    for (int i = 0; ok && i < *count; i++) {
        ok = *paths[i] || fe_mismatch(r, y->at, what, expected, "nothing");
        paths[i] = fe_beside_yaml(r, n->path, paths[i]);
    }
    return ok ? paths : NULL;
}

/* ---- the whole ---- */

const fe_yaml *fe_with_keys_of(fe_reader *r, const fe_yaml *y, const fe_yaml *above)
{
    fe_yaml *both = arena_make(r->mem, fe_yaml);
    *both = *y;
    both->key = arena_new_array(r->mem, fe_yaml *, (size_t)(y->count + above->count) + 1);
    both->item = arena_new_array(r->mem, fe_yaml *, (size_t)(y->count + above->count) + 1);
    memcpy(both->key, y->key, (size_t)y->count * sizeof *y->key);
    memcpy(both->item, y->item, (size_t)y->count * sizeof *y->item);
    for (int i = 0; i < above->count; i++) {
        if (fe_yaml_find(y, above->key[i]->word) || fe_is_records_key(above->key[i]->word))
            continue;
        both->key[both->count] = above->key[i];
        both->item[both->count++] = above->item[i];
    }
    return both;
}

static bool read_cleaning(fe_reader *r, fe_table *t, const fe_choice *c)
{
    static const struct {
        const char *key, *expected, *given;
        set_column *set;
    } named[] = {
        {"categories", "a list of columns, or a mapping of columns to lists of words", "sorted", set_categories},
        {"fill", "a mapping of columns to values", NULL, set_fill},
        {"clip", "a mapping of columns to [least, most]", NULL, set_clip}};
    const fe_option *missing = fe_get(c, "missing"), *drop = fe_get(c, "drop");
    bool ok = true;
    if (missing->present)
        t->missing = read_words(r, missing->tree, "missing", "a text or a list of texts", &t->missing_count);
    ok &= !missing->present || t->missing;
    ok &= !drop->present || read_drop(r, t, drop->tree);
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        const fe_option *o = fe_get(c, named[i].key);
        ok &= !o->present || read_named(r, t, named[i].key, named[i].expected, o->tree, named[i].set, named[i].given);
    }
    if (ok && t->keep_missing && t->drop_missing)
        return fe_mismatch(r, drop->at, "drop", "either missing values dropped, or keep_missing", "both");
    return ok;
}

bool fe_is_table(const char *format)
{
    static const char *const known[] = {"csv", "tsv", "jsonl", "libsvm"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(format, known[i]))
            return true;
    return false;
}

/* Only lines of fields have a delimiter, and may lack a header. */
static bool read_lines(fe_reader *r, fe_table *t, const fe_choice *c)
{
    const fe_option *header = fe_get(c, "header"), *delimiter = fe_get(c, "delimiter");
    bool lines = !strcmp(t->format, "csv") || !strcmp(t->format, "tsv");
    const fe_option *wrong = delimiter->present ? delimiter : !t->header ? header : NULL;
    if (!lines && wrong)
        return fe_mismatch(r, wrong->at, wrong->key->name, "a table of csv or tsv", t->format);
    return !delimiter->present || read_delimiter(r, t, delimiter->tree);
}

const fe_kind fe_table_keys = {.name = "csv",
                               .keys = {{"format", FE_TREE, NULL},
                                        {"path", FE_TREE, NULL},
                                        {"columns", FE_TREE, NULL},
                                        {"header", FE_BOOL, "true"},
                                        {"delimiter", FE_TREE, NULL},
                                        {"missing", FE_TREE, NULL},
                                        {"keep_missing", FE_BOOL, "false"},
                                        {"categories", FE_TREE, NULL},
                                        {"drop", FE_TREE, NULL},
                                        {"fill", FE_TREE, NULL},
                                        {"clip", FE_TREE, NULL}}};

const fe_table *fe_read_table(fe_reader *r, const fe_network *n, const fe_yaml *y, const fe_yaml *above)
{
    const fe_yaml *both = above && above != y ? fe_with_keys_of(r, y, above) : y;
    const fe_choice *c = fe_read_options(r, &fe_table_keys, NULL, both);
    if (!c)
        return NULL;
    fe_table *t = arena_make(r->mem, fe_table);
    const fe_option *path = fe_get(c, "path"), *columns = fe_get(c, "columns");
    const char *format = fe_yaml_find(y, "format")->word;
    *t = (fe_table){.format = format,
                    .delimiter = !strcmp(format, "tsv") ? '\t' : ',',
                    .at = path->at,
                    .header = fe_get_bool(c, "header"),
                    .keep_missing = fe_get_bool(c, "keep_missing")};
    if (path->present)
        t->paths = fe_read_paths(r, n, path->tree, "path", &t->path_count);
    else
        fe_missing(r, y->at, "csv", "path", "the path of a file");
    bool ok = t->paths;
    ok &= columns->present ? read_columns(r, n, t, columns->tree)
                           : fe_missing(r, y->at, "csv", "columns", "a mapping of inputs to columns");
    ok &= read_lines(r, t, c);
    return ok && read_cleaning(r, t, c) ? t : NULL;
}
