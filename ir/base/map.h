/* ir/base/map.h - from pointers, or from texts, to pointers: for passes and rules that would else walk a whole graph to
 * find one thing. Never asked for its order, so nothing depends on addresses. */
#ifndef IR_MAP_H
#define IR_MAP_H

#include "ir/base/arena.h"

typedef enum { IR_MAP_POINTERS, IR_MAP_TEXTS } ir_map_keys;
typedef struct ir_map ir_map;

ir_map *ir_map_new(arena *mem, ir_map_keys keys);         /* lives in 'mem'; texts are not copied */
void *ir_map_get(const ir_map *m, const void *key);       /* NULL: none */
void ir_map_set(ir_map *m, const void *key, void *value); /* replaces */

#endif
