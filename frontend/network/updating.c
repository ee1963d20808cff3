/* frontend/network/updating.c - what a section `train` does before an optimizer's step, to gradients, and behind it. */
#include "frontend/network/network.h"
#include "frontend/network/sections.h"

const fe_kind fe_clip_keys = {
    .name = "gradient_clip",
    .short_key = "global_norm",
    .keys = {{"value", FE_POSITIVE, NULL}, {"norm", FE_POSITIVE, NULL}, {"global_norm", FE_POSITIVE, NULL}}};

bool fe_read_clip(fe_reader *r, fe_network *n, const fe_choice *train)
{
    static const char expected[] = "one of value, norm and global_norm";
    const fe_option *given = fe_get(train, "gradient_clip");
    const fe_choice *c = given->present ? fe_read_options(r, &fe_clip_keys, NULL, given->tree) : NULL;
    n->gradient_clip = NULL;
    for (int i = 0; c && i < c->count; i++) {
        const fe_option *o = &c->options[i];
        if (o->present && n->gradient_clip)
            return fe_mismatch(r, o->at, fe_clip_keys.name, expected,
                               arena_printf(r->mem, "%s and %s", n->gradient_clip->key->name, o->key->name));
        n->gradient_clip = o->present ? o : n->gradient_clip;
    }
    return !given->present || n->gradient_clip || (c && fe_mismatch(r, given->at, fe_clip_keys.name, expected, "none"));
}

static const fe_kind averages[] = {
    {.name = "ema", .short_key = "decay", .keys = {{"decay", FE_FRACTION, "0.999"}, {"warmup", FE_BOOL, "false"}}},
    {.name = "swa", .keys = {{"start", FE_COUNT, FE_REQUIRED}, {"every", FE_COUNT, FE_REQUIRED}}},
};

const fe_catalogue fe_averagings = {"averaging", FE_ONE_TABLE(averages), {{0}}, NULL};

bool fe_read_averaging(fe_reader *r, fe_network *n, const fe_choice *train)
{
    const fe_option *given = fe_get(train, "averaging");
    n->averaging = given->present ? fe_read_choice(r, &fe_averagings, given->tree) : NULL;
    return n->averaging || !given->present;
}
