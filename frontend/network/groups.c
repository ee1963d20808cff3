/* frontend/network/groups.c - the section `groups`: layers with an optimizer of their own; or patterns (patterns.c). */
#include "frontend/network/network.h"
#include "frontend/network/sections.h"
#include <float.h>
#include <string.h>

bool fe_learns_param(const fe_layer *l, int param)
{
    return l->trainable && !l->param[param].state && !l->param[param].frozen;
}

bool fe_learns(const fe_layer *l)
{
    for (int i = 0; i < l->nparams; i++)
        if (fe_learns_param(l, i))
            return true;
    return false;
}

bool fe_learns_by(const fe_layer *l, const char *group)
{
    for (int i = 0; i < l->nparams; i++)
        if (fe_learns_param(l, i) && (l->param[i].group ? l->param[i].group : l->group) == group)
            return true;
    return false;
}

const fe_choice *fe_group_optimizer(const fe_network *n, const fe_group *g)
{
    return g->optimizer ? g->optimizer : n->optimizer;
}

/* Its own rate, or multiple; NULL: it has the net's. */
static const fe_option *own_rate(const fe_group *g)
{
    if (g->rate)
        return g->rate;
    return g->optimizer ? fe_get(g->optimizer, "learning_rate") : NULL;
}

static bool is_multiple(const fe_option *rate)
{
    return rate->key->type == FE_MULTIPLE && rate->yes;
}

double fe_group_multiple(const fe_network *n, const fe_group *g)
{
    const fe_option *own = own_rate(g);
    if (!own)
        return 1;
    return is_multiple(own) ? own->number : own->number / fe_get_number(n->optimizer, "learning_rate");
}

static fe_layer *find_layer(fe_reader *r, fe_network *n, const char *name, src_loc at)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->nlayers);
    for (int i = 0; i < n->nlayers; i++) {
        known[i] = n->layers[i].name;
        if (!strcmp(known[i], name))
            return &n->layers[i];
    }
    if (!fe_may_be_lost(n, name))
        fe_unknown(r, at, "layer", name, known, (size_t)n->nlayers);
    return NULL;
}

static bool add_layers(fe_reader *r, fe_network *n, const fe_group *g, const fe_option *layers)
{
    bool any = false;
    for (int i = 0; i < layers->count; i++) {
        fe_layer *l = find_layer(r, n, layers->names[i], layers->name_at[i]);
        if (!l)
            return false;
        if (l->group)
            return fe_mismatch(r, layers->name_at[i], "layers", "a layer that is in no group yet",
                               arena_printf(r->mem, "'%s', which is in '%s'", l->name, l->group));
        if (l->owner)
            return fe_mismatch(r, layers->name_at[i], "layers", "a layer with parameters of its own",
                               arena_printf(r->mem, "'%s', which has those of '%s'", l->name, l->owner->name));
        l->group = g->name;
        any |= fe_learns(l) || l->failed;
    }
    return any || fe_mismatch(r, layers->at, "layers", "a layer with parameters to train", "none");
}

bool fe_check_group_rates(fe_reader *r, const fe_network *n)
{
    const fe_option *net = n->ngroups ? fe_get(n->optimizer, "learning_rate") : NULL;
    for (int i = 0; i < n->ngroups; i++) {
        const fe_option *own = own_rate(&n->groups[i]);
        if (!own || is_multiple(own))
            continue;
        if (own->choice)
            return fe_mismatch(r, own->at, "learning_rate", "a number in a group, which follows the net's schedule",
                               own->choice->kind->name);
        if (!(own->number / net->number <= (double)FLT_MAX))
            return fe_mismatch(r, net->at, "learning_rate", "a number above 0, of which those of groups are multiples",
                               arena_printf(r->mem, "%g", net->number));
    }
    return true;
}

const fe_kind fe_group_keys = {
    .name = "group",
    .keys = {{"name", FE_NAME, FE_REQUIRED}, {"layers", FE_NAMES, FE_REQUIRED}, {"optimizer", FE_TREE, FE_REQUIRED}}};

static bool read_group(fe_reader *r, fe_network *n, const fe_yaml *y)
{
    const fe_choice *c = fe_read_options(r, &fe_group_keys, NULL, y);
    if (!c)
        return false;
    const fe_option *name = fe_get(c, "name");
    for (int i = 0; i < n->ngroups; i++)
        if (!strcmp(n->groups[i].name, name->word))
            return fe_twice(r, name->at, "group name", name->word, n->groups[i].at);
    fe_group *g = &n->groups[n->ngroups++];
    *g = (fe_group){.name = name->word, .at = c->at};
    g->optimizer = fe_read_choice(r, &fe_optimizers, fe_get(c, "optimizer")->tree);
    return g->optimizer && add_layers(r, n, g, fe_get(c, "layers"));
}

static bool read_section(fe_reader *r, fe_network *n, const fe_yaml *y)
{
    if (!n->optimizer)
        return !diag_errors(r->d) && fe_missing(r, y->at, "groups", "losses", "a list of losses");
    n->groups = arena_new_array(r->mem, fe_group, (size_t)y->count + 1);
    if (y->kind == FE_MAP)
        return fe_read_patterns(r, n, y) && fe_check_group_rates(r, n);
    bool ok = fe_expect_kind(r, y, "groups", FE_LIST, "a list of groups, or a mapping of patterns");
    for (int i = 0; ok && i < y->count && !fe_enough(r); i++)
        ok &= read_group(r, n, y->item[i]);
    return ok && fe_check_group_rates(r, n);
}

/* Groups may freeze layers: only now is it known whether one learns. */
bool fe_read_groups(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml *y = fe_yaml_find(root, "groups"), *losses = fe_yaml_find(root, "losses");
    if (y && !read_section(r, n, y))
        return false;
    return !n->optimizer || diag_errors(r->d) || fe_check_trainable(r, n, losses->at);
}
