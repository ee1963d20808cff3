/* frontend/document/options.c - a kind with its keys: which are given, which have defaults, which are unknown. */
#include "frontend/document/options.h"
#include <string.h>

const char FE_REQUIRED[] = "required";

static bool read_default(fe_reader *r, const fe_kind *kind, src_loc at, fe_option *o)
{
    o->at = at;
    if (o->key->fallback == FE_REQUIRED)
        return fe_missing(r, at, kind->name, o->key->name, fe_expected(o->key));
    if (!o->key->fallback)
        return true;
    fe_yaml word = {.kind = FE_SCALAR, .at = at, .word = o->key->fallback};
    return fe_read_value(r, &word, o);
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

static void unknown_key(fe_reader *r, const fe_choice *c, const fe_yaml *key)
{
    const char *known[2 * FE_MAX_KEYS];
    for (int i = 0; i < c->count; i++)
        known[i] = c->options[i].key->name;
    const char *what = arena_printf(r->mem, "%s: key", c->kind->name);
    fe_unknown(r, key->at, what, key->word, known, (size_t)c->count);
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
static bool is_short_value(const fe_reader *r, const fe_choice *c, const fe_yaml *y)
{
    const fe_option *o = c->kind->short_key ? find_option(c, c->kind->short_key) : NULL;
    const fe_catalogue *kinds = !o                              ? NULL
                                : o->key->type == FE_ACTIVATION ? r->activations
                                : o->key->type == FE_RATE       ? r->rates
                                                                : NULL;
    if (!kinds || y->count != 1 || find_option(c, y->key[0]->word))
        return false;
    return find_kind(kinds, y->key[0]->word) != NULL;
}

/* Every key of a mapping. True if each is known: else one that seems to be missing may be there, misspelt. */
static bool read_keys(fe_reader *r, fe_choice *c, const fe_yaml *y)
{
    bool known = true;
    for (int i = 0; i < y->count && !fe_enough(r); i++) {
        fe_option *here = find_option(c, y->key[i]->word);
        if (!here && !c->stranger)
            unknown_key(r, c, y->key[i]);
        c->failed |= !here || !fe_read_value(r, y->item[i], here);
        known &= here != NULL;
    }
    return known;
}

/* A mapping that a change made of the short form; where a kind has none, the mapping stands in its place. */
static void read_short_value(fe_reader *r, fe_choice *c, const fe_yaml *y)
{
    const char *key = c->kind->short_key;
    if (y->short_value && key && !fe_yaml_find(y, key))
        c->failed |= !fe_read_value(r, y->short_value, find_option(c, key));
}

/* What stands behind a kind. True if it is known which keys were given. */
static bool read_given(fe_reader *r, fe_choice *c, const fe_yaml *y)
{
    if (y->broken)
        c->failed = true;
    if (y->kind == FE_MAP && !is_short_value(r, c, y)) {
        read_short_value(r, c, y);
        return read_keys(r, c, y) && !y->broken;
    }
    if (fe_yaml_is_null(y))
        return !y->broken;
    bool ok = c->kind->short_key ? fe_read_value(r, y, find_option(c, c->kind->short_key))
                                 : fe_expect_kind(r, y, c->kind->name, FE_MAP, "a mapping of keys");
    c->failed |= !ok;
    return ok;
}

static fe_choice *read_kind(fe_reader *r, const fe_kind *kind, const fe_key *common, src_loc at, const fe_yaml *y)
{
    fe_choice *c = new_choice(r, kind, common, at);
    bool known = !y || read_given(r, c, y);
    for (int i = 0; known && i < c->count; i++)
        if (!c->options[i].present && !c->options[i].failed)
            c->failed |= !read_default(r, kind, at, &c->options[i]);
    return c;
}

/* Keys of entries, such as their names, are nobody else's; all others are. */
static fe_choice *read_like(fe_reader *r, const fe_kind *kind, const fe_key *common, src_loc at, const fe_yaml *y,
                            const fe_choice *like)
{
    fe_choice *c = new_choice(r, kind, common, at);
    const bool is_known = like && like->kind == kind;
    c->failed = !is_known;
    read_given(r, c, y);
    for (int i = 0; is_known && !c->failed && i < c->count; i++) {
        fe_option *o = &c->options[i];
        bool is_entrys = !o->key->fallback && common <= o->key && o->key < common + FE_MAX_COMMON;
        if (!o->present && !is_entrys)
            *o = like->options[i];
    }
    return c;
}

/* What can be read of an entry whose kind is not known: the keys that all kinds have, its name among them. */
static fe_choice *read_stranger(fe_reader *r, const fe_catalogue *catalogue, const char *name, src_loc at,
                                const fe_yaml *y)
{
    fe_kind *kind = arena_make(r->mem, fe_kind);
    kind->name = name;
    fe_choice *c = new_choice(r, kind, catalogue->common, at);
    c->failed = c->stranger = true;
    if (y && y->kind == FE_MAP)
        read_keys(r, c, y);
    return c;
}

fe_choice *fe_read_options(fe_reader *r, const fe_kind *kind, const fe_key *common, const fe_yaml *y)
{
    fe_choice *c = read_kind(r, kind, common, y->at, y);
    return c->failed ? NULL : c;
}

static const fe_yaml *word_of(const fe_yaml *y)
{
    if (y->kind == FE_MAP && y->count == 1)
        return y->key[0];
    return y->kind == FE_SCALAR && !fe_yaml_is_null(y) ? y : NULL;
}

fe_choice *fe_read_entry(fe_reader *r, const fe_catalogue *c, const fe_yaml *y)
{
    const fe_yaml *word = word_of(y), *given = word && word != y ? y->item[0] : NULL;
    if (!word) {
        const char *expected =
            arena_printf(r->mem, "a name, or one name with its keys ({%s: {...}})", fe_row(c, 0)->name);
        if (!y->broken)
            fe_mismatch(r, y->at, c->what, expected, fe_yaml_describe(y, r->mem));
        return read_stranger(r, c, "", y->at, NULL);
    }
    const fe_kind *kind = find_kind(c, word->word);
    if (kind) {
        fe_choice *choice = read_kind(r, kind, c->common, word->at, given);
        choice->failed = choice->failed || (c->check && !c->check(r, choice));
        return choice;
    }
    unknown_kind(r, c, word);
    return read_stranger(r, c, word->word, word->at, given);
}

fe_choice *fe_read_entry_like(fe_reader *r, const fe_catalogue *c, const fe_yaml *y, const fe_choice *like)
{
    const fe_yaml *word = word_of(y);
    const fe_kind *kind = find_kind(c, word->word);
    return kind ? read_like(r, kind, c->common, word->at, y->item[0], like) : fe_read_entry(r, c, y);
}

fe_choice *fe_read_choice(fe_reader *r, const fe_catalogue *c, const fe_yaml *y)
{
    fe_choice *choice = fe_read_entry(r, c, y);
    return choice->failed ? NULL : choice;
}

bool fe_enough(const fe_reader *r)
{
    return diag_errors(r->d) >= FE_MOST_ERRORS;
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
