/* frontend/network/changes.c - single values of a file replaced, as a command line asks for.
 *
 *     train.epochs=3                  a key, which need not be there before
 *     layers.dense1.units=64          an entry of a list, by its name
 *     layers.2.units=64               or its number from 1
 *     losses.hinge.weight=0.5         or its kind, if no other entry has it
 *
 * Tree to tree, before anybody reads it: so what is wrong with the new value is found, and said, as of a file, with the
 * option as its place. Nodes on the way are copied first: what an anchor names changes here and nowhere else. */
#include "frontend/network/changes.h"
#include "frontend/network/blocks.h"
#include <stdlib.h>
#include <string.h>

enum { MOST_KEYS = 64, SHOWN = 60 };

typedef struct {
    fe_reader *r;
    src_loc at; /* the option */
    const char *key[MOST_KEYS];
    int count;
    fe_yaml *value;
} change;

/* With the keys from 'index' on, in what stands at 'y', or (NULL) where nothing does. NULL after an error. */
static fe_yaml *changed(change *c, const fe_yaml *y, int index);

/* A copy with room for one more. */
static fe_yaml *copied(const change *c, const fe_yaml *y)
{
    fe_yaml *copy =
        y->kind == FE_MAP ? fe_tree_map(c->r->mem, y->at, y->count + 1) : fe_tree_list(c->r->mem, y->at, y->count + 1);
    copy->count = y->count;
    copy->short_value = y->short_value;
    for (int i = 0; i < y->count; i++) {
        copy->item[i] = y->item[i];
        if (y->kind == FE_MAP)
            copy->key[i] = y->key[i];
    }
    return copy;
}

static int find_key(const fe_yaml *map, const char *key)
{
    for (int i = 0; i < map->count; i++)
        if (!strcmp(map->key[i]->word, key))
            return i;
    return -1;
}

static fe_yaml *changed_map(change *c, const fe_yaml *y, int index)
{
    int i = find_key(y, c->key[index]);
    fe_yaml *map = copied(c, y), *value = changed(c, i < 0 ? NULL : y->item[i], index + 1);
    if (i < 0) {
        if (y->count == 1) /* of a kind with its keys this is no longer one */
            map->at = c->at;
        i = map->count++;
        map->key[i] = fe_tree_word(c->r->mem, c->at, c->key[index]);
    }
    map->item[i] = value;
    return value ? map : NULL;
}

/* ---- lists ---- */

static const char *own_name(const fe_yaml *entry)
{
    const fe_yaml *name = fe_yaml_find(entry, "name");
    return name && name->kind == FE_SCALAR ? name->word : NULL;
}

/* The only entry of that kind, or -1. */
static int find_kind(const fe_yaml *list, const char *word)
{
    int found = -1;
    for (int i = 0; i < list->count; i++) {
        const char *kind = fe_kind_of(list->item[i]);
        if (!kind || strcmp(kind, word) != 0)
            continue;
        if (found >= 0)
            return -1;
        found = i;
    }
    return found;
}

static bool is_number(const char *word)
{
    return !word[strspn(word, "0123456789")];
}

static int find_number(const change *c, const fe_yaml *list, const char *word)
{
    int number = strlen(word) < 8 ? atoi(word) : 0;
    if (number >= 1 && number <= list->count)
        return number - 1;
    diag_error(c->r->d, c->at, "expected an entry from 1 to %d, found %s", list->count, word);
    return -1;
}

static int find_entry(const change *c, const fe_yaml *list, const char *word)
{
    const char **names = fe_names_of(c->r->mem, list);
    size_t known = 0;
    if (is_number(word))
        return find_number(c, list, word);
    for (int i = 0; i < list->count; i++) {
        const char *name = own_name(list->item[i]) ? own_name(list->item[i]) : names[i];
        if (name && !strcmp(name, word))
            return i;
        if (name)
            names[known++] = name;
    }
    int i = find_kind(list, word);
    if (i < 0)
        fe_unknown(c->r, c->at, "entry", word, names, known);
    return i;
}

/* Of `kind` and `kind: value` it is the kind's keys that are meant. */
static fe_yaml *changed_entry(change *c, const fe_yaml *entry, int index)
{
    const char *kind = fe_kind_of(entry);
    if (index == c->count || !kind || own_name(entry))
        return changed(c, entry, index);
    fe_yaml *keys = changed(c, fe_value_of(entry), index), *out = fe_tree_map(c->r->mem, entry->at, 1);
    out->count = 1;
    out->key[0] = entry->kind == FE_MAP ? entry->key[0] : fe_tree_copy(c->r->mem, entry);
    out->item[0] = keys;
    return keys ? out : NULL;
}

/* Other lists are values: numbers, sizes, names. */
static bool has_entries(const char *key)
{
    static const char *const lists[] = {"layers", "losses", "metrics", "stages", "groups", "head"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (!strcmp(key, lists[i]))
            return true;
    return false;
}

/* `{kind: value}` becomes `{kind: {key: ...}}`, which keeps the value for its kind's short key. A word alone may be the
 * kind itself, and null is nothing. */
static fe_yaml *changed_value(change *c, const fe_yaml *y, int index)
{
    fe_yaml *map = fe_tree_map(c->r->mem, y ? y->at : c->at, 1);
    bool kind = y && y->kind == FE_SCALAR && (fe_yaml_is_null(y) || !strcmp(y->word, c->key[index]));
    map->short_value = kind ? NULL : y;
    return changed_map(c, map, index);
}

static fe_yaml *changed_list(change *c, const fe_yaml *y, int index)
{
    const char *list_key = index > 0 ? c->key[index - 1] : "";
    if (!has_entries(list_key) && !is_number(c->key[index]))
        return changed_value(c, y, index);
    int i = find_entry(c, y, c->key[index]);
    fe_yaml *list = copied(c, y), *entry = i < 0 ? NULL : changed_entry(c, y->item[i], index + 1);
    if (entry)
        list->item[i] = entry;
    return entry ? list : NULL;
}

static fe_yaml *changed(change *c, const fe_yaml *y, int index)
{
    if (index == c->count)
        return c->value;
    if (!y || y->kind == FE_SCALAR)
        return changed_value(c, y, index);
    return y->kind == FE_MAP ? changed_map(c, y, index) : changed_list(c, y, index);
}

/* ---- the option ---- */

static void set_place(fe_yaml *y, src_loc at)
{
    y->at = at;
    for (int i = 0; i < y->count; i++) {
        set_place(y->item[i], at);
        if (y->kind == FE_MAP)
            set_place(y->key[i], at);
    }
}

/* "a.b.c" to its keys. */
static bool split(change *c, const char *path)
{
    for (const char *at = path;; at++) {
        size_t length = strcspn(at, ".");
        if (!length || c->count == MOST_KEYS)
            return false;
        c->key[c->count++] = arena_strndup(c->r->mem, at, length);
        at += length;
        if (!*at)
            return true;
    }
}

static bool read_change(change *c, const char *word)
{
    arena *mem = c->r->mem;
    const char *equals = strchr(word, '=');
    c->at.file = arena_printf(mem, "--set %.*s%s", SHOWN, word, strlen(word) > SHOWN ? "..." : "");
    if (!equals || strpbrk(word, "\n\r") || !split(c, arena_strndup(mem, word, (size_t)(equals - word)))) {
        diag_error(c->r->d, c->at, "expected KEY=VALUE on one line, with dots between the keys on the way to it");
        return false;
    }
    if (!equals[1 + strspn(equals + 1, " ")]) {
        diag_error(c->r->d, c->at, "expected a value, found nothing: '~' is what YAML writes for that");
        return false;
    }
    diag_source(c->r->d, c->at.file, equals + 1);
    c->value = fe_yaml_parse(equals + 1, strlen(equals + 1), c->at.file, mem, c->r->d);
    if (!c->value || c->value->broken)
        return false;
    set_place(c->value, c->at);
    return true;
}

/* A list is no network, which its reader says. */
const fe_yaml *fe_changed(fe_reader *r, const fe_yaml *root, const char *const *changes)
{
    for (; root && !root->broken && root->kind != FE_LIST && *changes; changes++) {
        change c = {.r = r};
        root = read_change(&c, *changes) ? changed(&c, root, 0) : NULL;
    }
    return root;
}
