/* frontend/staging/combine.c - how the answers of stages become the answer of the whole.
 *     last       the last stage's answer; the default
 *     average    the mean of the answers: of class probabilities where they are logits, else of values
 *     weighted   the same with a weight for each stage
 *     learned    a dense layer over all answers, which learns when all stages have (stacking: Wolpert 1992); it begins
 *                as their mean: identity matrices below each other, divided by their number
 * A combination is layers of the whole like any others: `combine`, and what it reads. */
#include "frontend/network/sections.h"
#include "frontend/staging/staging.h"
#include <string.h>

static const char *const methods[] = {"last", "average", "weighted", "learned"};
enum { METHODS = sizeof methods / sizeof *methods };

const fe_kind fe_combine_keys = {.name = "combine",
                                 .short_key = "method",
                                 .keys = {{"method", FE_NAME, "last"},
                                          {"heads", FE_NAMES, NULL},
                                          {"weights", FE_TREE, NULL},
                                          {"fine_tune", FE_TREE, NULL}}};

const fe_kind fe_fine_tune_keys = {.name = "fine_tune",
                                   .short_key = "epochs",
                                   .keys = {{"epochs", FE_COUNT, FE_REQUIRED}, {"learning_rate", FE_RATE, NULL}}};

static void add_answer(const fe_staging *s, int stage, fe_combination *found)
{
    found->stage[found->count] = stage;
    found->answers[found->count++] = s->all->layers[s->stage[stage].answer].name;
}

/* The answers to combine: of the stages named, or of all that have one. */
static bool find_answers(fe_staging *s, const fe_choice *c, fe_combination *found)
{
    const fe_option *heads = fe_get(c, "heads");
    const char **known = arena_new_array(s->r->mem, const char *, (size_t)s->nstages);
    for (int i = 0; i < s->nstages; i++) {
        const fe_part_stage *stage = &s->stage[i];
        known[i] = stage->name;
        if (!heads->present && (stage->head_count || i == s->nstages - 1))
            add_answer(s, i, found);
    }
    for (int k = 0; heads->present && k < heads->count; k++) {
        int i = 0;
        while (i < s->nstages && strcmp(known[i], heads->names[k]))
            i++;
        if (i == s->nstages)
            return fe_unknown(s->r, heads->name_at[k], "stage", heads->names[k], known, (size_t)s->nstages);
        for (int before = 0; before < k; before++)
            if (!strcmp(heads->names[before], heads->names[k]))
                return fe_twice(s->r, heads->name_at[k], "stage", heads->names[k], heads->name_at[before]);
        if (!s->stage[i].head_count && i < s->nstages - 1)
            return fe_mismatch(s->r, heads->name_at[k], "heads", "stages that have a head",
                               arena_printf(s->r->mem, "'%s', which has none", known[i]));
        add_answer(s, i, found);
    }
    return found->count > 1 ||
           fe_mismatch(s->r, c->at, "combine", "two stages or more with a head (the last has the net's)",
                       found->count ? "one" : "none");
}

/* `mixture: {name: combine, inputs: [...], weights: [...]}`, or average. */
static fe_yaml *mean_layer(const fe_staging *s, const fe_choice *c, fe_yaml *answers)
{
    arena *mem = s->r->mem;
    const fe_option *weights = fe_get(c, "weights");
    fe_yaml *keys = fe_tree_map(mem, c->at, 3), *layer = fe_tree_map(mem, c->at, 1);
    fe_tree_set(mem, keys, "name", fe_tree_word(mem, c->at, "combine"));
    fe_tree_set(mem, keys, "inputs", answers);
    if (weights->present)
        fe_tree_set(mem, keys, "weights", fe_tree_copy(mem, weights->tree));
    fe_tree_set(mem, layer, s->all->losses[0].kind->classes ? "mixture" : "average", keys);
    return layer;
}

/* `concatenate: {name: answers, ...}` and `dense: {name: combine, units: as many as an answer has, kernel_initializer:
 * {identity: 1/count}}`. */
static void append_learned(const fe_staging *s, const fe_choice *c, fe_yaml *answers, fe_yaml *list)
{
    arena *mem = s->r->mem;
    const ir_type *t = &s->all->losses[0].in_type[0];
    fe_yaml *join = fe_tree_map(mem, c->at, 2), *dense = fe_tree_map(mem, c->at, 3), *mean = fe_tree_map(mem, c->at, 1);
    fe_yaml *first = fe_tree_map(mem, c->at, 1), *second = fe_tree_map(mem, c->at, 1);
    fe_tree_set(mem, mean, "identity", fe_tree_word(mem, c->at, arena_printf(mem, "1/%d", answers->count)));
    fe_tree_set(mem, join, "name", fe_tree_word(mem, c->at, "combine_answers"));
    fe_tree_set(mem, join, "inputs", answers);
    fe_tree_set(mem, first, "concatenate", join);
    fe_tree_set(mem, dense, "name", fe_tree_word(mem, c->at, "combine"));
    fe_tree_set(mem, dense, "units", fe_tree_number(mem, c->at, t->dim[t->rank - 1].n));
    fe_tree_set(mem, dense, "kernel_initializer", mean);
    fe_tree_set(mem, second, "dense", dense);
    fe_tree_append(list, first);
    fe_tree_append(list, second);
}

/* The whole's loss is the file's, of the combination. */
static bool append_loss(fe_staging *s, const fe_choice *c)
{
    fe_network *all = s->all;
    fe_loss *l = &all->losses[s->combined_loss = all->nlosses++];
    *l = all->losses[0];
    l->in[0] = (fe_ref){false, all->nlayers - 1};
    l->in_type[0] = all->layers[all->nlayers - 1].type;
    l->at = c->at;
    if (!l->kind->check(s->r, l))
        return false;
    for (int i = 0; i < s->file->nmetrics; i++)
        all->metrics[all->nmetrics++] = fe_metric_at(&s->file->metrics[i], c->at, l);
    return true;
}

/* A combination that learns is a part like the stages, of that name. */
static bool name_is_free(fe_staging *s, const fe_choice *c)
{
    for (int i = 0; i < s->nstages; i++)
        if (!strcmp(s->stage[i].name, "combine"))
            return fe_twice(s->r, s->stage[i].at, "stage name", "combine", c->at);
    return true;
}

static bool append_layers(fe_staging *s, const fe_choice *c, const char *method, const fe_yaml *y)
{
    arena *mem = s->r->mem;
    fe_combination *found = &s->combination;
    *found = (fe_combination){.at = c->at, .weights = fe_get(c, "weights"), .learned = !strcmp(method, "learned")};
    found->answers = arena_new_array(mem, const char *, (size_t)s->nstages + 1);
    found->stage = arena_new_array(mem, int, (size_t)s->nstages + 1);
    if (s->own_losses != 1)
        return fe_mismatch(s->r, c->at, "combine", "one loss in the file, for the combination to learn from",
                           s->own_losses ? "several" : "none");
    if (!find_answers(s, c, found))
        return false;
    const fe_option *weights = found->weights;
    if (!strcmp(method, "weighted") ? !weights->present : weights->present)
        return fe_mismatch(s->r, weights->present ? weights->at : c->at, "weights",
                           "a weight for each head, with method weighted", weights->present ? method : "none");
    fe_yaml *list = fe_tree_list(mem, y->at, 2), *words = fe_tree_words(mem, c->at, found->answers, found->count);
    if (found->learned && !name_is_free(s, c))
        return false;
    if (found->learned)
        append_learned(s, c, words, list);
    else
        fe_tree_append(list, mean_layer(s, c, words));
    s->combination_first = s->all->nlayers;
    if (!fe_read_layer_list(s->r, s->all, list, "", found->answers[0]))
        return false;
    s->combination_count = s->all->nlayers - s->combination_first;
    return append_loss(s, c);
}

static bool read_fine_tune(fe_staging *s, const fe_option *o)
{
    if (!o->present)
        return true;
    const fe_choice *c = fe_read_options(s->r, &fe_fine_tune_keys, NULL, o->tree);
    if (!c)
        return false;
    s->h->fine_tune_epochs = fe_get_int(c, "epochs");
    s->fine_tune_rate = fe_get(c, "learning_rate")->present ? fe_get(c, "learning_rate") : NULL;
    return s->own_losses > 0 ||
           fe_mismatch(s->r, o->at, "fine_tune", "losses in the file, for the whole to learn from", "none");
}

bool fe_read_combination(fe_staging *s)
{
    const fe_yaml *y = fe_yaml_find(s->root, "combine");
    const fe_choice *c = y ? fe_read_options(s->r, &fe_combine_keys, NULL, y) : NULL;
    if (!c)
        return !y;
    const fe_option *method = fe_get(c, "method");
    int k = 0;
    while (k < METHODS && strcmp(methods[k], method->word))
        k++;
    if (k == METHODS)
        return fe_unknown(s->r, method->at, "method", method->word, methods, METHODS);
    if (k && !append_layers(s, c, method->word, y))
        return false;
    s->h->learns_combination = k == 3;
    return read_fine_tune(s, fe_get(c, "fine_tune"));
}
