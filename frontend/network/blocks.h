/* frontend/network/blocks.h - one use of a list of layers, such as a block's, and what its words mean: private to
 * blocks.c, which says what all this is for, and scope.c. */
#ifndef FRONTEND_BLOCKS_H
#define FRONTEND_BLOCKS_H

#include "frontend/document/tree.h"
#include "frontend/network/network.h"

/* What stands for one use of a list of layers. */
typedef struct fe_scope fe_scope;
struct fe_scope {
    const fe_scope *outer; /* where it is used; NULL: the file's own list */
    const char *block;     /* whose layers these are: the block's name, or "repeat"; NULL: the file's */
    const fe_yaml *layers; /* the list */
    const char **names;    /* of its entries, as the list knows them */
    const char *prefix;    /* of what they are called outside */
    const char *last;      /* what the last layer is called there; NULL: as the others */
    const char *twin;      /* what the use is called whose parameters its layers share; NULL: they have their own */
    const char *twin_last; /* and its last layer */
    src_loc twin_at;       /* who said so */
    const char *input;     /* what `$input` is called; NULL: there is none */
    const fe_yaml *given;  /* arguments by name, all that there are, from the outer scope's point of view */
    int number;            /* `$index`; 0: there is none */
};

/* The kind of an entry that is `kind` or `{kind: ...}`, else NULL; and the value in the latter form, else NULL. */
const char *fe_kind_of(const fe_yaml *entry);
const fe_yaml *fe_value_of(const fe_yaml *entry);
/* The catalogue's kind of layer that is called so, or NULL. */
const fe_kind *fe_layer_kind_called(const char *name);

/* What each entry is called: as it says, else by its kind and how many of it stand above, itself counted. */
const char **fe_names_of(arena *mem, const fe_yaml *layers);
const char *fe_full_name(arena *mem, const fe_scope *s, int index);
/* The name that the last layer of entry 'index' must have: that of what is made of the whole list; NULL: its own. */
const char *fe_last_name(const fe_scope *s, int index);

/* An entry with the names in it as they are called outside, before arguments come in, which have names of their own.
 * 'block': that the entry uses, or NULL. */
const fe_yaml *fe_resolved_entry(arena *mem, const fe_scope *s, const fe_yaml *entry, const fe_yaml *block);
/* What a name within a scope means outside of all scopes. */
const char *fe_resolved_name(arena *mem, const fe_scope *s, const char *name);
/* With each `$word` replaced by what it stands for; NULL (and a message) if that is nothing. */
const fe_yaml *fe_substituted(fe_reader *r, const fe_scope *s, const fe_yaml *y);
/* What the layer, or the last one, of entry 'index' is called there; and the entry as a whole. NULL: no twin. */
const char *fe_twin_last(arena *mem, const fe_scope *s, int index);
const char *fe_twin_name(arena *mem, const fe_scope *s, int index);
/* A layer's entry with `share: twin` in place of what that one says for both; as it is if it shares another's. */
const fe_yaml *fe_sharing_entry(arena *mem, const fe_yaml *entry, const char *twin, src_loc at);
/* `{kind: {name: ..., ...}}`, whichever form the entry has; the entry itself where that cannot be. */
const fe_yaml *fe_named_entry(arena *mem, const fe_yaml *entry, const char *name);

#endif
