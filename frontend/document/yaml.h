/* frontend/document/yaml.h - a YAML document as a tree that knows where it stands.
 *
 * Scalars stay text: what a word means depends on the key it belongs to. Anchors and aliases work (an alias is the
 * anchored node itself); tags, several documents and duplicate keys are errors. After an error that leaves the rest of
 * the document readable, the tree has a broken node, of which nobody complains again. */
#ifndef FRONTEND_YAML_H
#define FRONTEND_YAML_H

#include "ir/base/arena.h"
#include "ir/base/diag.h"

typedef enum { FE_SCALAR, FE_LIST, FE_MAP } fe_yaml_kind;

typedef struct fe_yaml fe_yaml;
struct fe_yaml {
    fe_yaml_kind kind;
    src_loc at;
    const char *word; /* FE_SCALAR: the text */
    bool quoted;      /* FE_SCALAR: in quotes, or a block of text */
    bool broken;      /* an error in it, or in what it holds, was reported */
    int count;        /* entries of a list or map */
    fe_yaml **item;   /* a list's entries, a map's values */
    fe_yaml **key;    /* a map's keys, all scalars */
    /* FE_MAP: what stands for the kind's short key where the map lacks it, or NULL; changes.c makes such maps. */
    const fe_yaml *short_value;
};

/* The tree of 'content'; NULL after an error behind which nothing can be read. 'file' names it in messages and must
 * live as long as mem. */
fe_yaml *fe_yaml_parse(const char *content, size_t length, const char *file, arena *mem, diag *d);

/* The value of a map's key, or NULL. */
const fe_yaml *fe_yaml_find(const fe_yaml *map, const char *key);
/* Nothing written, `~` or `null`. */
bool fe_yaml_is_null(const fe_yaml *y);
/* For messages: "'same'", "the text '2'" where it is quoted, "[28, 0]", "a list", "a mapping" or "nothing". Long words
 * are cut, control characters show as '?'. */
const char *fe_yaml_describe(const fe_yaml *y, arena *mem);

/* The value of an expression of numbers, + - * / and parentheses, such as 1/255. NULL, or why it is none: a clause for
 * the end of a message, empty if there is nothing more to say. */
const char *fe_number(const char *expression, double *value);

#endif
