/* frontend/network/blocks.c - layers that are written once and stand in many places: blocks and `repeat`.
 *
 *     blocks: {residual: {parameters: {units: 64}, layers: [dense: {name: a, units: $units}, add: [a, $input]]}}
 *     layers: [residual: {name: r}]
 *  => layers: [activation: {name: r_input, activation: linear}, dense: {name: r_a, units: 64}, add: {name: r, inputs:
 *              [r_a, r_input]}]
 *
 * A list with such entries becomes one without, tree to tree, before anybody reads layers, so nobody else knows of
 * blocks. Nodes keep their places: an error in a layer of a block is reported where the block is written, and one in
 * an argument where it is given. */
#include "frontend/network/blocks.h"
#include "frontend/network/sections.h"
#include <string.h>

enum { MOST_LAYERS = 1 << 16 };

typedef struct {
    fe_reader *r;
    const fe_yaml *blocks;
    fe_yaml *out;
} expander;

static bool append(expander *e, const fe_yaml *entry)
{
    if (e->out->count >= MOST_LAYERS)
        return fe_mismatch(e->r, entry->at, "layers", arena_printf(e->r->mem, "at most %d layers", MOST_LAYERS),
                           "more");
    e->out->item = arena_grown(e->r->mem, e->out->item, (size_t)e->out->count, sizeof *e->out->item);
    e->out->item[e->out->count++] = fe_tree_copy(e->r->mem, entry);
    return true;
}

/* ---- blocks ---- */

/* What 'owner' has for layers. */
static bool check_layers(fe_reader *r, const char *owner, src_loc at, const fe_yaml *y)
{
    if (!y)
        return fe_missing(r, at, owner, "layers", "a list of layers");
    return fe_expect_kind(r, y, "layers", FE_LIST, "a list of layers") &&
           (y->count || fe_mismatch(r, y->at, "layers", "a list of layers", "[]"));
}

static bool expand_list(expander *e, fe_scope *s);

static bool mentions_input(const fe_yaml *y)
{
    if (y->kind == FE_SCALAR)
        return strstr(y->word, "$input");
    if (y->short_value && mentions_input(y->short_value))
        return true;
    for (int i = 0; i < y->count; i++)
        if (mentions_input(y->item[i]))
            return true;
    return false;
}

/* A layer that hands on what the block reads, and gives it a name. */
static bool append_input(expander *e, const fe_scope *s, src_loc at, const char *reads)
{
    arena *mem = e->r->mem;
    fe_yaml *keys = fe_tree_map(mem, at, 3), *entry = fe_tree_map(mem, at, 1);
    fe_tree_set(mem, keys, "name", fe_tree_word(mem, at, s->input));
    fe_tree_set(mem, keys, "activation", fe_tree_word(mem, at, "linear"));
    if (reads)
        fe_tree_set(mem, keys, "input", fe_tree_word(mem, at, reads));
    fe_tree_set(mem, entry, "activation", keys);
    return append(e, entry);
}

/* The layers of 's' once. Their names begin with 'name', the last one is called so, or 'last' where that is not NULL.
 * 'reads' is what the key `input` says, or NULL. */
static bool expand_use(expander *e, fe_scope *s, src_loc at, const char *name, const char *last, const char *reads)
{
    s->names = fe_names_of(e->r->mem, s->layers);
    s->prefix = arena_printf(e->r->mem, "%s_", name);
    s->last = last ? last : name;
    s->input = arena_printf(e->r->mem, "%s_input", name);
    bool ok = !(reads || mentions_input(s->layers)) || append_input(e, s, at, reads);
    return ok && expand_list(e, s);
}

/* What `repeat` says, with arguments put in everywhere but in its layers, which have parameters of their own. */
static const fe_yaml *substituted_keys(expander *e, const fe_scope *s, const fe_yaml *entry)
{
    const fe_yaml *value = fe_value_of(entry);
    if (!value || value->kind != FE_MAP)
        return value ? value : fe_tree_map(e->r->mem, entry->at, 0);
    fe_yaml *keys = fe_tree_map(e->r->mem, value->at, value->count);
    for (; keys->count < value->count; keys->count++) {
        bool is_list = !strcmp(value->key[keys->count]->word, "layers");
        const fe_yaml *item = is_list ? value->item[keys->count] : fe_substituted(e->r, s, value->item[keys->count]);
        if (!item)
            return NULL;
        keys->key[keys->count] = value->key[keys->count];
        keys->item[keys->count] = fe_tree_copy(e->r->mem, item);
    }
    return keys;
}

const fe_kind fe_repeat_keys = {.name = "repeat",
                                .keys = {{"name", FE_NAME, NULL},
                                         {"input", FE_NAME, NULL},
                                         {"times", FE_COUNT, FE_REQUIRED},
                                         {"share", FE_BOOL, "false"},
                                         {"layers", FE_TREE, FE_REQUIRED}}};

/* NAME_1, NAME_2, ... If they share, all with the first. */
static bool expand_repeat(expander *e, const fe_scope *outer, int index, const fe_yaml *entry, const char *name,
                          const char *last)
{
    fe_reader *r = e->r;
    const fe_yaml *keys = substituted_keys(e, outer, entry);
    const fe_choice *c = keys ? fe_read_options(r, &fe_repeat_keys, NULL, keys) : NULL;
    if (!c || !check_layers(r, "repeat", c->at, fe_get(c, "layers")->tree))
        return false;
    const fe_option *input = fe_get(c, "input");
    int times = (int)fe_get_int(c, "times");
    for (int i = 1; i <= times; i++) {
        fe_scope s = {.outer = outer, .block = "repeat", .layers = fe_get(c, "layers")->tree, .number = i};
        const char *reads = input->present && i == 1 ? fe_resolved_name(e->r->mem, outer, input->word) : NULL;
        const char *each = arena_printf(r->mem, "%s_%d", name, i), *twin = fe_twin_name(r->mem, outer, index);
        s.twin_at = outer->twin_at;
        if (fe_get_bool(c, "share") && i > 1) {
            s.twin = s.twin_last = arena_printf(r->mem, "%s_1", name);
            s.twin_at = entry->at;
        } else if (twin) {
            s.twin = arena_printf(r->mem, "%s_%d", twin, i);
            s.twin_last = i == times && last ? fe_twin_last(r->mem, outer, index) : s.twin;
        }
        if (!expand_use(e, &s, entry->at, each, i == times ? last : NULL, reads))
            return false;
    }
    return true;
}

/* All parameters with their values: as the use says, else by default. */
static const fe_yaml *arguments(expander *e, const fe_yaml *block, const char *kind, const fe_yaml *entry)
{
    fe_reader *r = e->r;
    const fe_yaml *value = fe_value_of(entry), *parameters = fe_yaml_find(block, "parameters");
    int count = parameters ? parameters->count : 0;
    const char **known = arena_new_array(r->mem, const char *, (size_t)count + 3);
    fe_yaml *given = fe_tree_map(r->mem, entry->at, count + 1);
    bool ok = true, is_short = value && value->kind != FE_MAP && !fe_yaml_is_null(value);
    known[count] = "name";
    known[count + 1] = "input";
    known[count + 2] = "share";
    for (int i = 0; i < count; i++) {
        known[i] = parameters->key[i]->word;
        const fe_yaml *own = value && value->kind == FE_MAP ? fe_yaml_find(value, known[i])
                             : is_short && !i               ? value
                                                            : NULL;
        if (!own && !i && value && value->kind == FE_MAP)
            own = value->short_value;
        if (!own && fe_yaml_is_null(parameters->item[i]))
            ok = fe_missing(r, entry->at, kind, known[i], "a value, as the block has none for it");
        fe_tree_set(r->mem, given, known[i], fe_tree_copy(r->mem, own ? own : parameters->item[i]));
    }
    if (is_short && !count)
        ok = fe_mismatch(r, value->at, kind, "no value, as the block has no parameters",
                         fe_yaml_describe(value, r->mem));
    for (int i = 0; value && value->kind == FE_MAP && i < value->count; i++) {
        int k = 0;
        while (k < count + 3 && strcmp(known[k], value->key[i]->word) != 0)
            k++;
        if (k == count + 3)
            ok = fe_unknown(r, value->key[i]->at, arena_printf(r->mem, "%s: parameter", kind), value->key[i]->word,
                            known, (size_t)count + 3);
    }
    return ok ? given : NULL;
}

static bool is_in_itself(const fe_scope *s, const char *block)
{
    for (; s; s = s->outer)
        if (s->block && !strcmp(s->block, block))
            return true;
    return false;
}

static bool expand_block(expander *e, const fe_scope *outer, int index, const fe_yaml *entry, const fe_yaml *block,
                         const char *name, const char *last)
{
    fe_reader *r = e->r;
    const char *kind = fe_kind_of(entry);
    const fe_yaml *value = fe_value_of(entry),
                  *input = value && value->kind == FE_MAP ? fe_yaml_find(value, "input") : NULL,
                  *share = value && value->kind == FE_MAP ? fe_yaml_find(value, "share") : NULL;
    if (is_in_itself(outer, kind)) {
        diag_error(r->d, entry->at, "block '%s' comes to use itself", kind);
        return false;
    }
    fe_scope s = {.outer = outer, .block = kind, .layers = fe_yaml_find(block, "layers")};
    s.given = arguments(e, block, kind, entry);
    if (!s.given || (input && !fe_expect_kind(r, input, "input", FE_SCALAR, "a name")) ||
        (share && !fe_expect_kind(r, share, "share", FE_SCALAR, "a name")))
        return false;
    s.twin = share ? share->word : fe_twin_name(r->mem, outer, index);
    s.twin_last = share ? share->word : fe_twin_last(r->mem, outer, index);
    s.twin_at = share ? share->at : outer->twin_at;
    return expand_use(e, &s, entry->at, name, last, input ? input->word : NULL);
}

/* ---- lists ---- */

static bool expand_entry(expander *e, const fe_scope *s, int index)
{
    const fe_yaml *entry = s->layers->item[index];
    const char *kind = fe_kind_of(entry), *name = kind ? fe_full_name(e->r->mem, s, index) : NULL,
               *last = fe_last_name(s, index);
    if (kind && !strcmp(kind, "repeat"))
        return expand_repeat(e, s, index, entry, name, last);
    const fe_yaml *block = kind && e->blocks ? fe_yaml_find(e->blocks, kind) : NULL;
    if (!(entry = fe_substituted(e->r, s, fe_resolved_entry(e->r->mem, s, entry, block))))
        return false;
    if (block)
        return expand_block(e, s, index, entry, block, name, last);
    entry = kind ? fe_named_entry(e->r->mem, entry, last ? last : name) : entry;
    if (kind && s->twin)
        entry = fe_sharing_entry(e->r->mem, entry, fe_twin_last(e->r->mem, s, index), s->twin_at);
    return append(e, entry);
}

static bool expand_list(expander *e, fe_scope *s)
{
    bool ok = true;
    for (int i = 0; i < s->layers->count && ok; i++)
        ok = expand_entry(e, s, i);
    return ok;
}

static bool has_anything(const fe_yaml *layers, const fe_yaml *blocks)
{
    for (int i = 0; i < layers->count; i++) {
        const char *kind = fe_kind_of(layers->item[i]);
        if (kind && (!strcmp(kind, "repeat") || (blocks && fe_yaml_find(blocks, kind))))
            return true;
    }
    return false;
}

const fe_yaml *fe_expand_layers(fe_reader *r, const fe_yaml *layers, const fe_yaml *blocks)
{
    if (!has_anything(layers, blocks))
        return layers;
    expander e = {.r = r, .blocks = blocks, .out = fe_tree_list(r->mem, layers->at, layers->count)};
    fe_scope s = {.layers = layers, .prefix = ""};
    e.out->broken = layers->broken;
    s.names = fe_names_of(r->mem, layers);
    return expand_list(&e, &s) ? e.out : NULL;
}

/* ---- the section ---- */

static bool check_parameters(fe_reader *r, const fe_yaml *y)
{
    bool ok = fe_expect_kind(r, y, "parameters", FE_MAP, "a mapping of names and values");
    for (int i = 0; ok && i < y->count; i++) {
        const char *word = y->key[i]->word;
        bool taken =
            !strcmp(word, "name") || !strcmp(word, "input") || !strcmp(word, "share") || !strcmp(word, "index");
        if (taken || !fe_is_name(word))
            ok = fe_mismatch(r, y->key[i]->at, "parameters", "a name other than name, input, share and index",
                             fe_yaml_describe(y->key[i], r->mem));
    }
    return ok;
}

static bool check_block(fe_reader *r, const fe_yaml *key, const fe_yaml *y)
{
    static const char *const known[] = {"parameters", "layers"};
    bool ok = true;
    if (!fe_is_name(key->word) || fe_layer_kind_called(key->word) || !strcmp(key->word, "repeat"))
        return fe_mismatch(r, key->at, "blocks", "a name that no layer has", fe_yaml_describe(key, r->mem));
    if (!fe_expect_kind(r, y, key->word, FE_MAP, "a mapping of parameters and layers"))
        return false;
    for (int i = 0; i < y->count; i++)
        if (strcmp(y->key[i]->word, known[0]) != 0 && strcmp(y->key[i]->word, known[1]) != 0)
            ok = fe_unknown(r, y->key[i]->at, "blocks: key", y->key[i]->word, known, 2);
    const fe_yaml *parameters = fe_yaml_find(y, "parameters");
    ok &= !parameters || check_parameters(r, parameters);
    return ok & check_layers(r, key->word, key->at, fe_yaml_find(y, "layers"));
}

bool fe_check_blocks(fe_reader *r, const fe_yaml *blocks)
{
    bool ok = fe_expect_kind(r, blocks, "blocks", FE_MAP, "a mapping of names and blocks");
    for (int i = 0; ok && i < blocks->count; i++)
        ok &= check_block(r, blocks->key[i], blocks->item[i]);
    return ok;
}
