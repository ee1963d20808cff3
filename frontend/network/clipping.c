/* frontend/network/clipping.c - what a section `train` does to gradients before the optimizer sees them. */
#include "frontend/network/network.h"

bool fe_read_clip(fe_reader *r, fe_network *n, const fe_choice *train)
{
    static const fe_kind kind = {
        .name = "gradient_clip",
        .short_key = "global_norm",
        .keys = {{"value", FE_POSITIVE, NULL}, {"norm", FE_POSITIVE, NULL}, {"global_norm", FE_POSITIVE, NULL}}};
    static const char expected[] = "one of value, norm and global_norm";
    const fe_option *given = fe_get(train, "gradient_clip");
    const fe_choice *c = given->present ? fe_read_options(r, &kind, NULL, given->tree) : NULL;
    n->gradient_clip = NULL;
    for (int i = 0; c && i < c->count; i++) {
        const fe_option *o = &c->options[i];
        if (o->present && n->gradient_clip)
            return fe_mismatch(r, o->at, kind.name, expected,
                               arena_printf(r->mem, "%s and %s", n->gradient_clip->key->name, o->key->name));
        n->gradient_clip = o->present ? o : n->gradient_clip;
    }
    return !given->present || n->gradient_clip || (c && fe_mismatch(r, given->at, kind.name, expected, "none"));
}
