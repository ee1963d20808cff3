/* frontend/document/options.c - read the keys of a kind, each by the type that the kind's table gives it. */
#include "frontend/document/options.h"
#include <ctype.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char FE_REQUIRED[] = "required";

/* Dimensions stay far from overflow, and every whole number stays exact in a double. */
static const double MOST_COUNT = 16777216, MOST_WHOLE = 9007199254740992;

enum { LONGEST_NAME = 63 };

/* ---- messages ---- */

bool fe_mismatch(fe_reader *r, src_loc at, const char *what, const char *expected, const char *found)
{
    diag_error(r->d, at, "%s: expected %s, found %s", what, expected, found);
    return false;
}

bool fe_missing(fe_reader *r, src_loc at, const char *owner, const char *key, const char *expected)
{
    diag_error(r->d, at, "%s: missing key '%s', expected %s", owner, key, expected);
    return false;
}

bool fe_later(fe_reader *r, src_loc at, const char *what, const char *word)
{
    diag_error(r->d, at, "%s '%s' is not supported yet", what, word);
    return false;
}

bool fe_twice(fe_reader *r, src_loc at, const char *what, const char *word, src_loc first)
{
    diag_error(r->d, at, "%s '%s' is already taken", what, word);
    diag_note(r->d, first, "'%s' is here", word);
    return false;
}

bool fe_unknown(fe_reader *r, src_loc at, const char *what, const char *word, const char *const *known, size_t count)
{
    const char *near = diag_nearest(word, known, count);
    if (near) {
        diag_error(r->d, at, "%s '%s' is unknown, did you mean '%s'?", what, word, near);
        return false;
    }
    text list = {0};
    for (size_t i = 0; i < count; i++)
        text_printf(&list, "%s%s", i ? ", " : "", known[i]);
    diag_error(r->d, at, "%s '%s' is unknown, expected one of: %s", what, word, text_get(&list));
    text_free(&list);
    return false;
}

bool fe_expect_kind(fe_reader *r, const fe_yaml *y, const char *what, fe_yaml_kind kind, const char *expected)
{
    return y->kind == kind || fe_mismatch(r, y->at, what, expected, fe_yaml_describe(y, r->mem));
}

/* ---- values ---- */

bool fe_is_name(const char *word)
{
    size_t n = 0;
    for (; word[n]; n++)
        if (!isalnum((unsigned char)word[n]) && word[n] != '_')
            return false;
    return n && n <= LONGEST_NAME && !isdigit((unsigned char)word[0]);
}

/* MISMATCH leaves the message to the caller; REPORTED has already said what is wrong. */
typedef enum { READ, MISMATCH, REPORTED } outcome;

static outcome read_number(const fe_yaml *y, double *value)
{
    if (y->kind != FE_SCALAR || y->quoted || fe_number(y->word, value) || fabs(*value) > FLT_MAX)
        return MISMATCH;
    return READ;
}

static outcome read_whole(const fe_yaml *y, double low, double high, int64_t *value)
{
    double v;
    if (read_number(y, &v) != READ || v < low || v > high || v != floor(v))
        return MISMATCH;
    *value = (int64_t)v;
    return READ;
}

static outcome read_count(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_whole(y, 1, MOST_COUNT, &o->list[0]);
}

static outcome read_from_zero(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_whole(y, 0, MOST_WHOLE, &o->list[0]);
}

static outcome read_axis(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_whole(y, -IR_MAX_RANK, IR_MAX_RANK, &o->list[0]);
}

static outcome read_any(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number);
}

static outcome read_positive(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number) == READ && o->number > 0 ? READ : MISMATCH;
}

static outcome read_not_negative(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number) == READ && o->number >= 0 ? READ : MISMATCH;
}

static outcome read_unit(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number) == READ && o->number >= 0 && o->number < 1 ? READ : MISMATCH;
}

static outcome read_fraction(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number) == READ && o->number > 0 && o->number < 1 ? READ : MISMATCH;
}

static outcome read_rate(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    if (y->kind == FE_MAP && y->count == 1) {
        fe_later(r, y->at, "learning rate schedule", y->key[0]->word);
        return REPORTED;
    }
    return read_not_negative(r, y, o);
}

static outcome read_bool(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    if (y->kind != FE_SCALAR || y->quoted)
        return MISMATCH;
    o->yes = !strcmp(y->word, "true");
    return o->yes || !strcmp(y->word, "false") ? READ : MISMATCH;
}

static outcome read_two(const fe_yaml *y, double low, int64_t value[2])
{
    if (y->kind != FE_LIST) {
        if (read_whole(y, low, MOST_COUNT, &value[0]) != READ)
            return MISMATCH;
        value[1] = value[0];
        return READ;
    }
    if (y->count != 2 || read_whole(y->item[0], low, MOST_COUNT, &value[0]) != READ)
        return MISMATCH;
    return read_whole(y->item[1], low, MOST_COUNT, &value[1]);
}

static outcome read_pair(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_two(y, 1, o->list);
}

static outcome read_padding(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    if (y->kind == FE_SCALAR && !strcmp(y->word, "valid"))
        return READ;
    if (y->kind == FE_SCALAR && !strcmp(y->word, "same")) {
        o->word = y->word;
        return READ;
    }
    if (y->kind == FE_LIST && y->count == 2 && y->item[0]->kind == FE_LIST && y->item[1]->kind == FE_LIST) {
        outcome rows = read_two(y->item[0], 0, &o->list[0]);
        return rows == READ ? read_two(y->item[1], 0, &o->list[2]) : rows;
    }
    int64_t both[2];
    if (read_two(y, 0, both) != READ)
        return MISMATCH;
    o->list[0] = o->list[1] = both[0];
    o->list[2] = o->list[3] = both[1];
    return READ;
}

/* One dimension of a tensor is the batch, which no shape in the YAML names. */
static outcome read_dims(const fe_yaml *y, double low, fe_option *o)
{
    if (y->kind != FE_LIST || y->count > IR_MAX_RANK - 1)
        return MISMATCH;
    for (int i = 0; i < y->count; i++)
        if (read_whole(y->item[i], low, MOST_COUNT, &o->list[i]) != READ || !o->list[i])
            return MISMATCH;
    o->count = y->count;
    return READ;
}

static outcome read_shape(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_dims(y, 1, o);
}

static outcome read_target(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    int open = 0;
    if (read_dims(y, -1, o) != READ)
        return MISMATCH;
    for (int i = 0; i < o->count; i++)
        open += o->list[i] < 0;
    return open <= 1 ? READ : MISMATCH;
}

static outcome read_dtype(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    static const char *const names[] = {"float32", "int32", "uint8"};
    static const ir_dtype types[] = {IR_F32, IR_I32, IR_UI8};
    if (y->kind != FE_SCALAR)
        return MISMATCH;
    for (int i = 0; i < 3; i++)
        if (!strcmp(y->word, names[i])) {
            o->dtype = types[i];
            return READ;
        }
    fe_unknown(r, y->at, "dtype", y->word, names, 3);
    return REPORTED;
}

static outcome read_name(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    o->word = y->word;
    return y->kind == FE_SCALAR && fe_is_name(y->word) ? READ : MISMATCH;
}

static outcome read_names(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    if (y->kind != FE_LIST || !y->count)
        return MISMATCH;
    o->count = y->count;
    o->names = arena_new_array(r->mem, const char *, (size_t)y->count);
    o->name_at = arena_new_array(r->mem, src_loc, (size_t)y->count);
    for (int i = 0; i < y->count; i++) {
        if (y->item[i]->kind != FE_SCALAR || !fe_is_name(y->item[i]->word))
            return MISMATCH;
        o->names[i] = y->item[i]->word;
        o->name_at[i] = y->item[i]->at;
    }
    return READ;
}

static outcome read_activation(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    o->choice = fe_read_choice(r, &fe_activations, y);
    return o->choice ? READ : REPORTED;
}

static outcome read_initializer(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    o->choice = fe_read_choice(r, &fe_initializers, y);
    return o->choice ? READ : REPORTED;
}

typedef outcome value_reader(fe_reader *r, const fe_yaml *y, fe_option *o);

static const struct {
    const char *expected;
    value_reader *read;
} types[] = {
    [FE_COUNT] = {"a whole number from 1 to 16777216", read_count},
    [FE_WHOLE] = {"a whole number from 0", read_from_zero},
    [FE_NUMBER] = {"a number", read_any},
    [FE_POSITIVE] = {"a number above 0", read_positive},
    [FE_NOT_NEGATIVE] = {"a number from 0", read_not_negative},
    [FE_UNIT] = {"a number from 0, below 1", read_unit},
    [FE_FRACTION] = {"a number above 0, below 1", read_fraction},
    [FE_BOOL] = {"true or false", read_bool},
    [FE_AXIS] = {"a whole number", read_axis},
    [FE_PAIR] = {"a whole number from 1, or two in a list", read_pair},
    [FE_PADDING] = {"valid, same, n, [rows, columns] or [[top, bottom], [left, right]]", read_padding},
    [FE_SHAPE] = {"a list of up to 7 whole numbers from 1 to 16777216", read_shape},
    [FE_TARGET] = {"a list of up to 7 whole numbers from 1, one of which may be -1", read_target},
    [FE_DTYPE] = {"float32, int32 or uint8", read_dtype},
    [FE_NAME] = {"a name (letters, digits and _, no digit first, at most 63)", read_name},
    [FE_NAMES] = {"a list of names", read_names},
    [FE_ACTIVATION] = {"an activation", read_activation},
    [FE_INITIALIZER] = {"an initializer", read_initializer},
    [FE_RATE] = {"a number from 0", read_rate},
};

/* ---- kinds ---- */

/* "'1/0', which divides by zero": what stands there, and why it is no number where that is worth saying. */
static const char *describe_value(fe_reader *r, const fe_yaml *y)
{
    double value;
    const char *why = y->kind == FE_SCALAR && !y->quoted ? fe_number(y->word, &value) : NULL;
    return arena_printf(r->mem, "%s%s", fe_yaml_describe(y, r->mem), why ? why : "");
}

static bool read_option(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    o->at = y->at;
    o->present = true;
    outcome done = types[o->key->type].read(r, y, o);
    if (done == MISMATCH)
        fe_mismatch(r, y->at, o->key->name, types[o->key->type].expected, describe_value(r, y));
    return done == READ;
}

static bool read_default(fe_reader *r, const fe_kind *kind, src_loc at, fe_option *o)
{
    o->at = at;
    if (o->key->fallback == FE_REQUIRED)
        return fe_missing(r, at, kind->name, o->key->name, types[o->key->type].expected);
    if (!o->key->fallback)
        return true;
    fe_yaml word = {.kind = FE_SCALAR, .at = at, .word = o->key->fallback};
    return read_option(r, &word, o);
}

static fe_option *find_option(const fe_choice *c, const char *name)
{
    for (int i = 0; i < c->count; i++)
        if (!strcmp(c->options[i].key->name, name))
            return &c->options[i];
    return NULL;
}

static fe_choice *new_choice(fe_reader *r, const fe_kind *kind, const fe_key *common, src_loc at)
{
    fe_choice *c = arena_make(r->mem, fe_choice);
    c->kind = kind;
    c->at = at;
    int count = 0;
    for (int i = 0; i < FE_MAX_KEYS && kind->keys[i].name; i++)
        count++;
    for (int i = 0; common && common[i].name; i++)
        count++;
    c->options = arena_new_array(r->mem, fe_option, (size_t)count);
    for (int i = 0; i < FE_MAX_KEYS && kind->keys[i].name; i++)
        c->options[c->count++].key = &kind->keys[i];
    for (int i = 0; common && common[i].name; i++)
        c->options[c->count++].key = &common[i];
    return c;
}

static bool unknown_key(fe_reader *r, const fe_choice *c, const fe_yaml *key)
{
    const char *known[2 * FE_MAX_KEYS];
    for (int i = 0; i < c->count; i++)
        known[i] = c->options[i].key->name;
    const char *what = arena_printf(r->mem, "%s: key", c->kind->name);
    return fe_unknown(r, key->at, what, key->word, known, (size_t)c->count);
}

static bool read_key(fe_reader *r, const fe_choice *c, const fe_yaml *key, const fe_yaml *value)
{
    fe_option *o = find_option(c, key->word);
    if (!o)
        return unknown_key(r, c, key);
    if (o->key->type == FE_LATER)
        return fe_later(r, key->at, arena_printf(r->mem, "%s: key", c->kind->name), key->word);
    return read_option(r, value, o);
}

const fe_kind *fe_row(const fe_catalogue *c, size_t index)
{
    for (const fe_rows *const *t = c->tables; *t; t++) {
        if (index < (*t)->count)
            return (const fe_kind *)((const char *)(*t)->rows + index * (*t)->row_size);
        index -= (*t)->count;
    }
    return NULL;
}

static const fe_kind *find_kind(const fe_catalogue *c, const char *name)
{
    const fe_kind *kind;
    for (size_t i = 0; (kind = fe_row(c, i)); i++)
        if (!strcmp(kind->name, name))
            return kind;
    return NULL;
}

static void unknown_kind(fe_reader *r, const fe_catalogue *c, const fe_yaml *word)
{
    size_t count = 0;
    while (fe_row(c, count))
        count++;
    const char **known = arena_new_array(r->mem, const char *, count);
    for (size_t i = 0; i < count; i++)
        known[i] = fe_row(c, i)->name;
    fe_unknown(r, word->at, c->what, word->word, known, count);
}

/* Is it the short key's value, and only looks like a mapping of keys? `activation: {leaky_relu: {...}}` */
static bool is_short_value(const fe_choice *c, const fe_yaml *y)
{
    const fe_option *o = c->kind->short_key ? find_option(c, c->kind->short_key) : NULL;
    if (!o || o->key->type != FE_ACTIVATION || y->count != 1 || find_option(c, y->key[0]->word))
        return false;
    return find_kind(&fe_activations, y->key[0]->word) != NULL;
}

static bool read_keys(fe_reader *r, const fe_choice *c, const fe_yaml *y)
{
    if (y->kind == FE_MAP && !is_short_value(c, y)) {
        for (int i = 0; i < y->count; i++)
            if (!read_key(r, c, y->key[i], y->item[i]))
                return false;
        return true;
    }
    if (fe_yaml_is_null(y))
        return true;
    if (!c->kind->short_key)
        return fe_mismatch(r, y->at, c->kind->name, "a mapping of keys", fe_yaml_describe(y, r->mem));
    return read_option(r, y, find_option(c, c->kind->short_key));
}

static fe_choice *read_kind(fe_reader *r, const fe_kind *kind, const fe_key *common, src_loc at, const fe_yaml *y)
{
    fe_choice *c = new_choice(r, kind, common, at);
    if (y && !read_keys(r, c, y))
        return NULL;
    for (int i = 0; i < c->count; i++)
        if (!c->options[i].present && !read_default(r, kind, at, &c->options[i]))
            return NULL;
    return c;
}

fe_choice *fe_read_options(fe_reader *r, const fe_kind *kind, const fe_key *common, const fe_yaml *y)
{
    return read_kind(r, kind, common, y->at, y);
}

fe_choice *fe_read_choice(fe_reader *r, const fe_catalogue *c, const fe_yaml *y)
{
    bool map = y->kind == FE_MAP && y->count == 1;
    if (!map && (y->kind != FE_SCALAR || fe_yaml_is_null(y))) {
        const char *expected =
            arena_printf(r->mem, "a name, or one name with its keys ({%s: {...}})", fe_row(c, 0)->name);
        fe_mismatch(r, y->at, c->what, expected, fe_yaml_describe(y, r->mem));
        return NULL;
    }
    const fe_yaml *word = map ? y->key[0] : y;
    const fe_kind *kind = find_kind(c, word->word);
    if (kind && !kind->later)
        return read_kind(r, kind, c->common, word->at, map ? y->item[0] : NULL);
    if (kind)
        fe_later(r, word->at, c->what, word->word);
    else
        unknown_kind(r, c, word);
    return NULL;
}

const fe_option *fe_get(const fe_choice *c, const char *key)
{
    const fe_option *o = find_option(c, key);
    if (!o)
        ir_bug("'%s' has no key '%s'", c->kind->name, key);
    return o;
}

double fe_get_number(const fe_choice *c, const char *key)
{
    return fe_get(c, key)->number;
}

int64_t fe_get_int(const fe_choice *c, const char *key)
{
    return fe_get(c, key)->list[0];
}

bool fe_get_bool(const fe_choice *c, const char *key)
{
    return fe_get(c, key)->yes;
}
