/* frontend/document/tree.h - YAML made by hand, of nodes that stand where 'at' says: for what a file asks for in other
 * words. */
#ifndef FRONTEND_TREE_H
#define FRONTEND_TREE_H

#include "frontend/document/yaml.h"

fe_yaml *fe_tree_word(arena *mem, src_loc at, const char *word);
fe_yaml *fe_tree_number(arena *mem, src_loc at, int64_t number);
fe_yaml *fe_tree_words(arena *mem, src_loc at, const char *const *words, int count);
fe_yaml *fe_tree_copy(arena *mem, const fe_yaml *y); /* of the node; what is below it is shared */
/* With room for so many entries; append and set take no more. */
fe_yaml *fe_tree_list(arena *mem, src_loc at, int room);
fe_yaml *fe_tree_map(arena *mem, src_loc at, int room);
void fe_tree_append(fe_yaml *list, fe_yaml *item);
void fe_tree_set(arena *mem, fe_yaml *map, const char *key, fe_yaml *value);
/* A mapping of the keys of both, each of which may be NULL; of those that both have, 'mine' counts. */
const fe_yaml *fe_tree_merge(arena *mem, const fe_yaml *mine, const fe_yaml *other);

#endif
