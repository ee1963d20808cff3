/* frontend/staging/scores.c - the net that measures what a combination makes of the stages' answers, and what each of
 * them is worth.
 *
 *     whole_loss            of the combination itself
 *     upto_STAGE_loss       of the mean of the answers up to this stage's: what a run that has come so far can say
 *     without_STAGE_loss    of the combination without this stage's answer; one that learned has the mean of the others
 *                           in its place
 *
 * and the file's metrics likewise. It reads answers, labels and the combination's parameters, and never learns. Where
 * the last stage answers alone, there is nothing but the file's losses, named as they are in the whole. */
#include "frontend/staging/staging.h"
#include <string.h>

static void append_layer(const fe_staging *s, fe_yaml *list, const char *kind, fe_yaml *keys)
{
    fe_yaml *layer = fe_tree_map(s->r->mem, keys->at, 1);
    fe_tree_set(s->r->mem, layer, kind, keys);
    fe_tree_append(list, layer);
}

/* `mixture: {name: NAME, inputs: [...], weights: [...]}`, or average, of the first 'count' answers but number
 * 'without'. Of one alone it is the mean with itself. */
static void append_mean(const fe_staging *s, fe_yaml *list, const char *name, int count, int without)
{
    const fe_combination *c = &s->combination;
    arena *mem = s->r->mem;
    fe_yaml *keys = fe_tree_map(mem, c->at, 3);
    fe_yaml *inputs = fe_tree_list(mem, c->at, count + 1), *weights = fe_tree_list(mem, c->at, count + 1);
    for (int i = 0; i < count; i++)
        for (int again = count - (without >= 0) == 1; i != without && again >= 0; again--) {
            fe_tree_append(inputs, fe_tree_word(mem, c->at, c->answers[i]));
            if (c->weights->present)
                fe_tree_append(weights, c->weights->tree->item[i]);
        }
    fe_tree_set(mem, keys, "name", fe_tree_word(mem, c->at, name));
    fe_tree_set(mem, keys, "inputs", inputs);
    if (c->weights->present)
        fe_tree_set(mem, keys, "weights", weights);
    append_layer(s, list, c->learned || !s->all->losses[0].kind->classes ? "average" : "mixture", keys);
}

/* A combination that learned, with the mean of the others in the place of answer number 'without'. */
static void append_learned(const fe_staging *s, fe_yaml *list, const char *name, int without)
{
    const fe_combination *c = &s->combination;
    arena *mem = s->r->mem;
    const char *others = arena_printf(mem, "%s_others", name), *joined = arena_printf(mem, "%s_answers", name);
    const ir_type *t = &s->all->losses[0].in_type[0];
    fe_yaml *inputs = fe_tree_list(mem, c->at, c->count);
    fe_yaml *join = fe_tree_map(mem, c->at, 2), *dense = fe_tree_map(mem, c->at, 2);
    append_mean(s, list, others, c->count, without);
    for (int i = 0; i < c->count; i++)
        fe_tree_append(inputs, fe_tree_word(mem, c->at, i == without ? others : c->answers[i]));
    fe_tree_set(mem, join, "name", fe_tree_word(mem, c->at, joined));
    fe_tree_set(mem, join, "inputs", inputs);
    append_layer(s, list, "concatenate", join);
    fe_tree_set(mem, dense, "name", fe_tree_word(mem, c->at, name));
    fe_tree_set(mem, dense, "units", fe_tree_number(mem, c->at, t->dim[t->rank - 1].n));
    append_layer(s, list, "dense", dense);
}

/* Its parameters are those of the layer `combine`. */
static void share_parameters(const fe_staging *s)
{
    const fe_layer *l = &s->all->layers[s->all->nlayers - 1];
    for (int i = 0; i < l->nparams; i++)
        l->param[i].name = arena_printf(s->r->mem, "combine.%s", l->param[i].role);
}

/* The file's loss number 'number' and its metrics, of another layer. */
static void append_loss(fe_staging *s, int number, int layer, const char *prefix)
{
    fe_network *all = s->all;
    fe_loss *l = &all->losses[all->nlosses];
    *l = all->losses[number];
    l->in[0] = (fe_ref){false, layer};
    l->in_type[0] = all->layers[layer].type;
    for (int i = 0; i < s->file->nmetrics; i++)
        if (s->file->metrics[i].loss == &s->file->losses[number])
            all->metrics[all->nmetrics++] = fe_metric_at(&s->file->metrics[i], l->at, l);
    s->scores.prefix[all->nlosses++] = prefix;
}

static bool read_layers(fe_staging *s, const fe_yaml *list)
{
    return fe_read_layer_list(s->r, s->all, list, "", s->all->layers[0].name);
}

static bool append_without(fe_staging *s, int number)
{
    const fe_combination *c = &s->combination;
    fe_yaml *list = fe_tree_list(s->r->mem, c->at, 3);
    const char *name = arena_printf(s->r->mem, "combine_without_%d", number + 1);
    if (c->learned)
        append_learned(s, list, name, number);
    else
        append_mean(s, list, name, c->count, number);
    if (!read_layers(s, list))
        return false;
    if (c->learned)
        share_parameters(s);
    append_loss(s, 0, s->all->nlayers - 1, arena_printf(s->r->mem, "without_%s", s->stage[c->stage[number]].name));
    return true;
}

static bool append_upto(fe_staging *s, int number)
{
    const fe_combination *c = &s->combination;
    fe_yaml *list = fe_tree_list(s->r->mem, c->at, 1);
    append_mean(s, list, arena_printf(s->r->mem, "combine_upto_%d", number + 1), number + 1, -1);
    if (!read_layers(s, list))
        return false;
    append_loss(s, 0, s->all->nlayers - 1, arena_printf(s->r->mem, "upto_%s", s->stage[c->stage[number]].name));
    return true;
}

static bool append_combinations(fe_staging *s)
{
    append_loss(s, 0, s->all->nlayers - 1, "whole");
    for (int i = 0; i < s->combination.count; i++)
        if (!append_without(s, i) || (i > 0 && i < s->combination.count - 1 && !append_upto(s, i)))
            return false;
    return true;
}

/* The value that a loss of the file measures, as a layer of its own. */
static bool append_last(fe_staging *s, int number)
{
    arena *mem = s->r->mem;
    const fe_loss *l = &s->all->losses[number];
    fe_yaml *list = fe_tree_list(mem, l->at, 1), *keys = fe_tree_map(mem, l->at, 3);
    if (l->in[0].is_input)
        return true;
    fe_tree_set(mem, keys, "name", fe_tree_word(mem, l->at, arena_printf(mem, "combine_last_%d", number + 1)));
    fe_tree_set(mem, keys, "activation", fe_tree_word(mem, l->at, "linear"));
    fe_tree_set(mem, keys, "input", fe_tree_word(mem, l->at, s->all->layers[l->in[0].index].name));
    append_layer(s, list, "activation", keys);
    if (!read_layers(s, list))
        return false;
    append_loss(s, number, s->all->nlayers - 1, NULL);
    return true;
}

bool fe_add_scores(fe_staging *s)
{
    s->scores.first_layer = s->all->nlayers;
    s->scores.first_loss = s->all->nlosses;
    s->scores.prefix =
        arena_new_array(s->r->mem, const char *, (size_t)fe_scores_losses(s, s->nstages) + (size_t)s->all->nlosses);
    if (s->combination.count)
        return append_combinations(s);
    for (int i = 0; i < s->own_losses; i++)
        if (!append_last(s, i))
            return false;
    return true;
}

int fe_scores_losses(const fe_staging *s, int stages)
{
    return s->own_losses + 2 * stages + 1;
}

fe_network *fe_make_scores(const fe_staging *s, const char *name)
{
    bool *layers = arena_new_array(s->r->mem, bool, (size_t)s->all->nlayers + 1);
    bool *losses = arena_new_array(s->r->mem, bool, (size_t)s->all->nlosses + 1);
    const fe_selection selection = {name, s->file->at, layers, losses, s->scores.prefix, NULL, false};
    for (int i = s->scores.first_layer; i < s->all->nlayers; i++)
        layers[i] = true;
    for (int i = s->combination_first; i < s->combination_first + s->combination_count; i++)
        layers[i] = true;
    for (int i = s->scores.first_loss; i < s->all->nlosses; i++)
        losses[i] = true;
    fe_network *net = fe_project(s->all, &selection);
    net->train = s->file->train; /* the batch */
    return net;
}
