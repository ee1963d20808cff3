/* frontend/network/scope.c - names and parameters within a block, and what they mean outside of it. */
#include "frontend/network/blocks.h"
#include <ctype.h>
#include <string.h>

/* ---- names ---- */

const fe_yaml *fe_value_of(const fe_yaml *entry)
{
    return entry->kind == FE_MAP && entry->count == 1 ? entry->item[0] : NULL;
}

const char *fe_kind_of(const fe_yaml *entry)
{
    if (entry->kind == FE_SCALAR)
        return entry->word;
    return fe_value_of(entry) ? entry->key[0]->word : NULL;
}

static const char *given_name(const fe_yaml *entry)
{
    const fe_yaml *value = fe_value_of(entry),
                  *name = value && value->kind == FE_MAP ? fe_yaml_find(value, "name") : NULL;
    return name && name->kind == FE_SCALAR ? name->word : NULL;
}

const char **fe_names_of(arena *mem, const fe_yaml *layers)
{
    const char **names = arena_new_array(mem, const char *, (size_t)layers->count + 1);
    for (int i = 0; i < layers->count; i++) {
        const char *kind = fe_kind_of(layers->item[i]);
        int ordinal = 1;
        names[i] = given_name(layers->item[i]);
        if (names[i] || !kind)
            continue;
        for (int j = 0; j < i; j++) {
            const char *other = fe_kind_of(layers->item[j]);
            ordinal +=
                other && fe_kind_length(other) == fe_kind_length(kind) && !strncmp(other, kind, fe_kind_length(kind));
        }
        names[i] = arena_printf(mem, "%.*s%d", (int)fe_kind_length(kind), kind, ordinal);
    }
    return names;
}

const char *fe_full_name(arena *mem, const fe_scope *s, int index)
{
    return arena_printf(mem, "%s%s", s->prefix, s->names[index]);
}

const char *fe_last_name(const fe_scope *s, int index)
{
    return index == s->layers->count - 1 ? s->last : NULL;
}

const char *fe_twin_name(arena *mem, const fe_scope *s, int index)
{
    return s->twin ? arena_printf(mem, "%s_%s", s->twin, s->names[index]) : NULL;
}

const char *fe_twin_last(arena *mem, const fe_scope *s, int index)
{
    return s->twin && index == s->layers->count - 1 ? s->twin_last : fe_twin_name(mem, s, index);
}

/* Is it NAME_1 or its like, of a `repeat` called NAME? */
static bool is_repetition(const fe_scope *s, int index, const char *name)
{
    const char *kind = fe_kind_of(s->layers->item[index]);
    size_t length = strlen(s->names[index]);
    return kind && !strcmp(kind, "repeat") && !strncmp(name, s->names[index], length) && name[length] == '_';
}

const char *fe_resolved_name(arena *mem, const fe_scope *s, const char *name)
{
    for (; s && s->outer; s = s->outer)
        for (int i = 0; i < s->layers->count; i++) {
            if (s->names[i] && !strcmp(s->names[i], name))
                return fe_last_name(s, i) ? fe_last_name(s, i) : fe_full_name(mem, s, i);
            if (s->names[i] && is_repetition(s, i, name))
                return arena_printf(mem, "%s%s", s->prefix, name);
        }
    return name;
}

/* ---- arguments ---- */

/* The value of `$word`; NULL (and a message) if it has none. */
static const fe_yaml *argument(fe_reader *r, const fe_scope *s, src_loc at, const char *word)
{
    if (s->input && !strcmp(word, "input"))
        return fe_tree_word(r->mem, at, s->input);
    if (s->number && !strcmp(word, "index"))
        return fe_tree_number(r->mem, at, s->number);
    const fe_yaml *found = s->given ? fe_yaml_find(s->given, word) : NULL;
    if (found)
        return found;
    if (!strcmp(s->block, "repeat") && s->outer->block)
        return argument(r, s->outer, at, word);
    const char **known = arena_new_array(r->mem, const char *, (size_t)(s->given ? s->given->count : 0) + 2);
    size_t count = 0;
    known[count++] = "input";
    if (s->number)
        known[count++] = "index";
    for (int i = 0; s->given && i < s->given->count; i++)
        known[count++] = s->given->key[i]->word;
    fe_unknown(r, at, arena_printf(r->mem, "%s: parameter", s->block), word, known, count);
    return NULL;
}

static size_t word_length(const char *at)
{
    size_t n = 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_')
        n++;
    return n;
}

/* A scalar with each `$word` replaced: all of it by whatever the argument is, parts of it by words. */
static const fe_yaml *substituted_word(fe_reader *r, const fe_scope *s, const fe_yaml *y)
{
    const char *dollar = strchr(y->word, '$'), *rest = y->word, *before = "";
    while (dollar) {
        size_t length = word_length(dollar + 1);
        const fe_yaml *value = argument(r, s, y->at, arena_printf(r->mem, "%.*s", (int)length, dollar + 1));
        if (!value)
            return NULL;
        if (dollar == y->word && !dollar[1 + length])
            return value;
        if (value->kind != FE_SCALAR) {
            fe_mismatch(r, value->at, "argument", "a number or a word within an expression",
                        fe_yaml_describe(value, r->mem));
            return NULL;
        }
        before = arena_printf(r->mem, "%s%.*s%s", before, (int)(dollar - rest), rest, value->word);
        rest = dollar + 1 + length;
        dollar = strchr(rest, '$');
    }
    if (rest == y->word)
        return y;
    fe_yaml *word = fe_tree_copy(r->mem, y);
    word->word = arena_printf(r->mem, "%s%s", before, rest);
    return word;
}

const fe_yaml *fe_substituted(fe_reader *r, const fe_scope *s, const fe_yaml *y)
{
    if (!s->outer)
        return y;
    if (y->kind == FE_SCALAR)
        return y->word ? substituted_word(r, s, y) : y;
    fe_yaml *copy = y->kind == FE_MAP ? fe_tree_map(r->mem, y->at, y->count) : fe_tree_list(r->mem, y->at, y->count);
    copy->broken = y->broken;
    copy->short_value = y->short_value ? fe_substituted(r, s, y->short_value) : NULL;
    if (y->short_value && !copy->short_value)
        return NULL;
    for (; copy->count < y->count; copy->count++) {
        const fe_yaml *item = fe_substituted(r, s, y->item[copy->count]);
        if (!item)
            return NULL;
        copy->item[copy->count] = fe_tree_copy(r->mem, item);
        if (y->kind == FE_MAP)
            copy->key[copy->count] = y->key[copy->count];
    }
    return copy;
}

/* ---- entries ---- */

const fe_kind *fe_layer_kind_called(const char *name)
{
    const fe_kind *kind = NULL;
    for (size_t i = 0; (kind = fe_row(&fe_layers, i)) && strcmp(kind->name, name) != 0; i++)
        ;
    return kind;
}

/* Names of inputs as they are called outside. */
static fe_yaml *resolved_names(arena *mem, const fe_scope *s, const fe_yaml *y)
{
    fe_yaml *copy = fe_tree_copy(mem, y);
    if (y->kind == FE_SCALAR)
        copy->word = fe_resolved_name(mem, s, y->word);
    if (y->kind != FE_LIST)
        return copy;
    copy->item = arena_new_array(mem, fe_yaml *, (size_t)y->count + 1);
    for (int i = 0; i < y->count; i++)
        copy->item[i] = y->item[i]->kind == FE_SCALAR ? resolved_names(mem, s, y->item[i]) : y->item[i];
    return copy;
}

/* Does the value of that key name layers? Of a block's parameters each may; of a layer's keys these do. */
static bool is_reference(const fe_yaml *block, const char *key)
{
    return block ? strcmp(key, "name") != 0 : !strcmp(key, "input") || !strcmp(key, "inputs") || !strcmp(key, "share");
}

const fe_yaml *fe_resolved_entry(arena *mem, const fe_scope *s, const fe_yaml *entry, const fe_yaml *block)
{
    const fe_yaml *value = fe_value_of(entry);
    const fe_kind *kind = value && !block ? fe_layer_kind_called(entry->key[0]->word) : NULL;
    if (!value || !s->outer || (!block && !kind))
        return entry;
    fe_yaml *out = fe_tree_copy(mem, entry);
    out->item = arena_new_array(mem, fe_yaml *, 1);
    out->item[0] = fe_tree_copy(mem, value);
    bool short_reference = block || (kind->short_key && is_reference(NULL, kind->short_key));
    if (value->kind != FE_MAP) {
        if (short_reference)
            out->item[0] = resolved_names(mem, s, value);
        return out;
    }
    if (value->short_value && short_reference)
        out->item[0]->short_value = resolved_names(mem, s, value->short_value);
    out->item[0]->item = arena_new_array(mem, fe_yaml *, (size_t)value->count + 1);
    for (int i = 0; i < value->count; i++)
        out->item[0]->item[i] =
            is_reference(block, value->key[i]->word) ? resolved_names(mem, s, value->item[i]) : value->item[i];
    return out;
}

const fe_yaml *fe_named_entry(arena *mem, const fe_yaml *entry, const char *name)
{
    const fe_yaml *value = fe_value_of(entry);
    const fe_kind *kind = fe_layer_kind_called(fe_kind_of(entry));
    bool is_short = value && value->kind != FE_MAP && !fe_yaml_is_null(value);
    if (!kind || (is_short && !kind->short_key))
        return entry;
    fe_yaml *keys = fe_tree_map(mem, entry->at, (value && value->kind == FE_MAP ? value->count : 1) + 1);
    fe_tree_set(mem, keys, "name", fe_tree_word(mem, entry->at, name));
    if (is_short)
        fe_tree_set(mem, keys, kind->short_key, fe_tree_copy(mem, value));
    for (int i = 0; value && value->kind == FE_MAP && i < value->count; i++) {
        if (!strcmp(value->key[i]->word, "name"))
            continue;
        keys->key[keys->count] = value->key[i];
        keys->item[keys->count++] = value->item[i];
    }
    keys->short_value = value && value->kind == FE_MAP ? value->short_value : NULL;
    fe_yaml *out = fe_tree_map(mem, entry->at, 1);
    out->key[0] = entry->kind == FE_MAP ? entry->key[0] : fe_tree_word(mem, entry->at, entry->word);
    out->item[0] = keys;
    out->count = 1;
    return out;
}

const fe_yaml *fe_sharing_entry(arena *mem, const fe_yaml *entry, const char *twin, src_loc at)
{
    const fe_yaml *given = fe_value_of(entry);
    const fe_kind *kind = fe_layer_kind_called(fe_kind_of(entry));
    if (!kind || !given || given->kind != FE_MAP || fe_yaml_find(given, "share"))
        return entry;
    fe_yaml *keys = fe_tree_map(mem, given->at, given->count + 1), *out = fe_tree_copy(mem, entry);
    for (int i = 0; i < given->count; i++)
        if (!fe_is_owners_key(kind, given->key[i]->word)) {
            keys->key[keys->count] = given->key[i];
            keys->item[keys->count++] = given->item[i];
        }
    fe_tree_set(mem, keys, "share", fe_tree_word(mem, at, twin));
    out->item = arena_new_array(mem, fe_yaml *, 1);
    out->item[0] = keys;
    return out;
}
