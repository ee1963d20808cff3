/* frontend/network/share.c - layers that use the parameters of a layer above them, as where one layer object is called
 * twice.
 *
 *     dense: {name: left, input: a, units: 8}        =>      left:   left.weight [5, 8], left.bias [8]
 *     dense: {name: right, input: b, share: left}            right:  the same two
 *
 * Such a layer has the keys of the other one, but for those that it gives itself, and declares parameters by its own
 * rule, which must come out as the other's. Then it takes the other's names for them, and symbols go by names: the rest
 * of the compiler sees parameters and states that several nodes read. */
#include "frontend/network/network.h"
#include <string.h>

const fe_yaml *fe_shared_name(const fe_yaml *entry)
{
    const fe_yaml *keys = entry->kind == FE_MAP && entry->count == 1 ? entry->item[0] : NULL;
    const fe_yaml *name = keys && keys->kind == FE_MAP ? fe_yaml_find(keys, "share") : NULL;
    return name && name->kind == FE_SCALAR ? name : NULL;
}

bool fe_is_owners_key(const fe_kind *kind, const char *name)
{
    for (int i = 0; i < FE_MAX_KEYS && kind->keys[i].name; i++)
        if (!strcmp(kind->keys[i].name, name))
            return kind->keys[i].type == FE_INITIALIZER || kind->keys[i].type == FE_REGULARIZER;
    return !strcmp(name, "trainable");
}

static bool check_given(fe_reader *r, const fe_choice *c, const fe_yaml *keys, const fe_layer *owner)
{
    for (int i = 0; i < keys->count; i++)
        if (fe_is_owners_key(c->kind, keys->key[i]->word))
            return fe_mismatch(r, keys->key[i]->at, keys->key[i]->word,
                               arena_printf(r->mem, "none of its own, as '%s' says it for both", owner->name),
                               fe_yaml_describe(keys->item[i], r->mem));
    return true;
}

const fe_choice *fe_read_sharing(fe_reader *r, const fe_yaml *entry, const fe_layer *owner)
{
    const char *kind = entry->key[0]->word;
    bool fits = owner && !strcmp(owner->kind->kind.name, kind);
    if (owner && !fits)
        fe_mismatch(r, fe_shared_name(entry)->at, "share", arena_printf(r->mem, "a layer '%s'", kind),
                    arena_printf(r->mem, "'%s', which is '%s'", owner->name, owner->kind->kind.name));
    fe_choice *c = fe_read_entry_like(r, &fe_layers, entry, fits ? owner->options : NULL);
    c->failed |= fits && !check_given(r, c, entry->item[0], owner);
    return c;
}

/* "weight [5, 8], bias [8]" */
static const char *describe_params(arena *mem, const fe_layer *l)
{
    text s = {0};
    for (int i = 0; i < l->nparams; i++) {
        const fe_param *p = &l->param[i];
        text_printf(&s, "%s%s [", i ? ", " : "", p->role);
        for (int k = 0; k < p->type.rank; k++)
            text_printf(&s, "%s%lld", k ? ", " : "", (long long)p->type.dim[k].n);
        text_add(&s, "]");
    }
    const char *words = l->nparams ? arena_strdup(mem, text_get(&s)) : "no parameters";
    text_free(&s);
    return words;
}

bool fe_share_params(fe_reader *r, fe_layer *l)
{
    const fe_layer *owner = l->owner;
    bool same = l->nparams == owner->nparams;
    for (int i = 0; same && i < l->nparams; i++)
        same =
            !strcmp(l->param[i].role, owner->param[i].role) && ir_type_equal(&l->param[i].type, &owner->param[i].type);
    if (!same)
        return fe_mismatch(
            r, fe_get(l->options, "share")->at, "share",
            arena_printf(r->mem, "the parameters of '%s', %s", owner->name, describe_params(r->mem, owner)),
            describe_params(r->mem, l));
    l->param = owner->param;
    return true;
}
