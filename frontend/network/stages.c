/* frontend/network/stages.c - the sections `stages` and `staging`: runs of layers, and how they learn together. */
#include "frontend/network/network.h"
#include <string.h>

static bool read_stage(fe_reader *r, fe_network *n, const fe_yaml *y, int *after)
{
    static const fe_kind kind = {.name = "stage",
                                 .keys = {{"name", FE_NAME, FE_REQUIRED},
                                          {"through", FE_NAME, FE_REQUIRED},
                                          {"head", FE_LATER, NULL},
                                          {"loss", FE_LATER, NULL},
                                          {"optimizer", FE_LATER, NULL},
                                          {"epochs", FE_LATER, NULL},
                                          {"data", FE_LATER, NULL},
                                          {"weights", FE_LATER, NULL},
                                          {"frozen", FE_LATER, NULL}}};
    const fe_choice *c = fe_read_options(r, &kind, NULL, y);
    if (!c)
        return false;
    const fe_option *name = fe_get(c, "name"), *through = fe_get(c, "through");
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->nlayers);
    int last = 0;
    for (int i = 0; i < n->nlayers; i++)
        known[i] = n->layers[i].name;
    while (last < n->nlayers && strcmp(known[last], through->word))
        last++;
    if (last == n->nlayers)
        return fe_unknown(r, through->at, "layer", through->word, known, (size_t)n->nlayers);
    if (last <= *after)
        return fe_mismatch(r, through->at, "through", arena_printf(r->mem, "a layer below '%s'", known[*after]),
                           fe_yaml_describe(fe_yaml_find(y, "through"), r->mem));
    for (int i = 0; i < n->nstages; i++)
        if (!strcmp(n->stages[i].name, name->word))
            return fe_twice(r, name->at, "stage name", name->word, n->stages[i].at);
    *after = last;
    n->stages[n->nstages++] = (fe_stage){name->word, &n->layers[last], c->at};
    return true;
}

static bool read_stages(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml *y = fe_yaml_find(root, "stages");
    int after = -1;
    if (!y)
        return true;
    if (y->kind == FE_SCALAR && !strcmp(y->word, "auto"))
        return fe_later(r, y->at, "stages", "auto");
    if (!fe_expect_kind(r, y, "stages", FE_LIST, "a list of stages"))
        return false;
    n->stages = arena_new_array(r->mem, fe_stage, (size_t)y->count + 1);
    for (int i = 0; i < y->count; i++)
        if (!read_stage(r, n, y->item[i], &after))
            return false;
    if (after == n->nlayers - 1)
        return true;
    const char *expected =
        arena_printf(r->mem, "the last stage to end at the last layer, '%s'", n->layers[n->nlayers - 1].name);
    const char *found = after < 0 ? "no stage" : arena_printf(r->mem, "'%s'", n->layers[after].name);
    return fe_mismatch(r, after < 0 ? y->at : n->stages[n->nstages - 1].at, "stages", expected, found);
}

/* Coupled stages are the whole net cut up; everything else is a way of learning that is still to come. */
static bool read_staging(fe_reader *r, const fe_yaml *root)
{
    static const char *const known[] = {"coupled", "local"};
    static const fe_kind kind = {.name = "staging",
                                 .keys = {{"coupling", FE_NAME, "coupled"},
                                          {"schedule", FE_LATER, NULL},
                                          {"partition", FE_LATER, NULL},
                                          {"balance", FE_LATER, NULL}}};
    const fe_yaml *y = fe_yaml_find(root, "staging");
    const fe_choice *c = y ? fe_read_options(r, &kind, NULL, y) : NULL;
    if (!c)
        return !y;
    const fe_option *coupling = fe_get(c, "coupling");
    if (!strcmp(coupling->word, "local"))
        return fe_later(r, coupling->at, "coupling", "local");
    return !strcmp(coupling->word, "coupled") || fe_unknown(r, coupling->at, "coupling", coupling->word, known, 2);
}

bool fe_read_stages(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    return read_staging(r, root) && read_stages(r, n, root);
}
