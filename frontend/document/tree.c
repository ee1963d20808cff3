/* frontend/document/tree.c - YAML made by hand: what a short form stands for, to be read as if a file had it written
 * out. */
#include "frontend/document/tree.h"
#include <inttypes.h>

static fe_yaml *tree_new(arena *mem, src_loc at, fe_yaml_kind kind, int room)
{
    fe_yaml *y = arena_make(mem, fe_yaml);
    *y = (fe_yaml){.kind = kind, .at = at};
    if (kind != FE_SCALAR)
        y->item = arena_new_array(mem, fe_yaml *, (size_t)room + 1);
    if (kind == FE_MAP)
        y->key = arena_new_array(mem, fe_yaml *, (size_t)room + 1);
    return y;
}

fe_yaml *fe_tree_word(arena *mem, src_loc at, const char *word)
{
    fe_yaml *y = tree_new(mem, at, FE_SCALAR, 0);
    y->word = word;
    return y;
}

fe_yaml *fe_tree_number(arena *mem, src_loc at, int64_t number)
{
    return fe_tree_word(mem, at, arena_printf(mem, "%" PRId64, number));
}

fe_yaml *fe_tree_copy(arena *mem, const fe_yaml *y)
{
    fe_yaml *copy = arena_make(mem, fe_yaml);
    *copy = *y;
    return copy;
}

fe_yaml *fe_tree_words(arena *mem, src_loc at, const char *const *words, int count)
{
    fe_yaml *y = fe_tree_list(mem, at, count);
    for (int i = 0; i < count; i++)
        fe_tree_append(y, fe_tree_word(mem, at, words[i]));
    return y;
}

fe_yaml *fe_tree_list(arena *mem, src_loc at, int room)
{
    return tree_new(mem, at, FE_LIST, room);
}

fe_yaml *fe_tree_map(arena *mem, src_loc at, int room)
{
    return tree_new(mem, at, FE_MAP, room);
}

void fe_tree_append(fe_yaml *list, fe_yaml *item)
{
    list->item[list->count++] = item;
}

void fe_tree_set(arena *mem, fe_yaml *map, const char *key, fe_yaml *value)
{
    map->key[map->count] = fe_tree_word(mem, value->at, key);
    map->item[map->count++] = value;
}

const fe_yaml *fe_tree_merge(arena *mem, const fe_yaml *mine, const fe_yaml *other)
{
    if (!mine || !other)
        return mine ? mine : other;
    fe_yaml *both = fe_tree_map(mem, mine->at, mine->count + other->count);
    for (int i = 0; i < mine->count + other->count; i++) {
        const fe_yaml *from = i < mine->count ? mine : other;
        int k = from == mine ? i : i - mine->count;
        if (from == other && fe_yaml_find(mine, other->key[k]->word))
            continue;
        both->key[both->count] = from->key[k];
        both->item[both->count++] = from->item[k];
    }
    return both;
}
