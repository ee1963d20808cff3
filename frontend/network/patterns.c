/* frontend/network/patterns.c - the section `groups` as a mapping: what is otherwise about layers and parameters whose
 * names match a pattern of the shell.
 *     "dense*": {learning_rate: 0.1x}      layers
 *     "*.bias": {weight_decay: 0}          with a dot: parameters
 * The first pattern that a parameter matches is the one that counts. */
#include "frontend/network/network.h"
#include "frontend/network/sections.h"
#include <fnmatch.h>
#include <string.h>

static bool of_parameters(const char *pattern)
{
    return strchr(pattern, '.');
}

/* Parameters that layers share are those of the layer above the others. */
static bool matches(const char *pattern, const fe_layer *l, const fe_param *p)
{
    return !l->owner && !p->state && !fnmatch(pattern, of_parameters(pattern) ? p->name : l->name, 0);
}

/* ---- what a pattern says ---- */

const fe_kind fe_pattern_keys = {.name = "groups",
                                 .keys = {{"learning_rate", FE_MULTIPLE, NULL},
                                          {"weight_decay", FE_NOT_NEGATIVE, NULL},
                                          {"frozen", FE_BOOL, "false"},
                                          {"optimizer", FE_TREE, NULL}}};

static bool read_settings(fe_reader *r, const fe_yaml *pattern, const fe_yaml *y, fe_group *g, bool *freezes)
{
    const fe_choice *c = fe_read_options(r, &fe_pattern_keys, NULL, y);
    if (!c)
        return false;
    const fe_option *rate = fe_get(c, "learning_rate"), *decay = fe_get(c, "weight_decay");
    const fe_option *optimizer = fe_get(c, "optimizer");
    *g = (fe_group){.name = g->name, .at = pattern->at, .decays_all = of_parameters(pattern->word)};
    g->rate = rate->present ? rate : NULL;
    g->decay = decay->present ? decay : NULL;
    *freezes = fe_get_bool(c, "frozen");
    if (optimizer->present)
        g->optimizer = fe_read_choice(r, &fe_optimizers, optimizer->tree);
    return g->optimizer || !optimizer->present;
}

/* ---- whom it is about ---- */

/* Parameters that match; *taken: how many of them have an earlier pattern. */
static int count_matches(const fe_network *n, const char *pattern, int *taken)
{
    int count = 0;
    for (int i = 0; i < n->nlayers; i++)
        for (int k = 0; k < n->layers[i].nparams; k++)
            if (matches(pattern, &n->layers[i], &n->layers[i].param[k])) {
                count++;
                *taken += n->layers[i].param[k].group != NULL;
            }
    return count;
}

static bool unknown_pattern(fe_reader *r, const fe_network *n, const fe_yaml *pattern)
{
    bool parameters = of_parameters(pattern->word);
    size_t most = 0, count = 0;
    for (int i = 0; i < n->nlayers; i++)
        most += 1 + (size_t)n->layers[i].nparams;
    const char **known = arena_new_array(r->mem, const char *, most + 1);
    for (int i = 0; i < n->nlayers; i++) {
        const fe_layer *l = &n->layers[i];
        bool any = false;
        for (int k = 0; !l->owner && k < l->nparams; k++) {
            any |= !l->param[k].state;
            if (parameters && !l->param[k].state)
                known[count++] = l->param[k].name;
        }
        if (!parameters && any)
            known[count++] = l->name;
    }
    return fe_unknown(r, pattern->at, parameters ? "groups: parameter" : "groups: layer with parameters", pattern->word,
                      known, count);
}

static bool check_matches(fe_reader *r, const fe_network *n, const fe_yaml *pattern)
{
    int taken = 0, count = count_matches(n, pattern->word, &taken);
    if (!count)
        return unknown_pattern(r, n, pattern);
    return taken < count || fe_mismatch(r, pattern->at, arena_printf(r->mem, "groups: '%s'", pattern->word),
                                        "a parameter that matches no pattern above", "none");
}

/* A layer all of whose parameters a pattern of layers freezes is frozen as by `trainable: false`. */
static void take(fe_layer *l, const char *pattern, const fe_group *g, bool freezes)
{
    int kept = 0;
    for (int k = 0; k < l->nparams; k++) {
        fe_param *p = &l->param[k];
        bool mine = !p->group && matches(pattern, l, p);
        if (mine) {
            p->group = g->name;
            p->frozen = freezes;
        }
        kept += !p->state && !(mine && freezes);
    }
    if (l->nparams && !kept && !of_parameters(pattern))
        l->trainable = false;
}

static bool read_pattern(fe_reader *r, fe_network *n, const fe_yaml *pattern, const fe_yaml *y)
{
    bool freezes;
    fe_group *g = &n->groups[n->ngroups++];
    g->name = arena_printf(r->mem, "pattern%d", n->ngroups);
    if (!read_settings(r, pattern, y, g, &freezes) || !check_matches(r, n, pattern))
        return false;
    for (int i = 0; i < n->nlayers; i++)
        take(&n->layers[i], pattern->word, g, freezes);
    return true;
}

bool fe_read_patterns(fe_reader *r, fe_network *n, const fe_yaml *y)
{
    bool ok = !y->broken;
    for (int i = 0; i < y->count && !fe_enough(r); i++)
        ok &= read_pattern(r, n, y->key[i], y->item[i]);
    for (int i = 0; i < n->nlayers; i++)
        if (n->layers[i].owner)
            n->layers[i].trainable = n->layers[i].owner->trainable;
    return ok;
}
