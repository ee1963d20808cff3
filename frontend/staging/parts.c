/* frontend/staging/parts.c - the nets that a staged description is compiled as.
 *
 *     sequential, alternating     one for each stage: its layers, its head, its losses
 *     simultaneous                one for all stages, with all heads and losses; gradients stop at the boundaries
 *     a combination that learns   one of its layers alone, on the stages' answers
 *     teachers                    each as it stands in its own file, for inference alone
 *     the whole                   the file's layers, and the combination's with the heads it needs: what ships
 *
 * A frozen stage is one without losses: it has inference alone. */
#include "frontend/staging/staging.h"
#include <string.h>

enum { LONGEST_NAME = 63 };

typedef struct {
    bool *layers, *losses;
} keep;

static keep keep_nothing(const fe_staging *s)
{
    return (keep){arena_new_array(s->r->mem, bool, (size_t)s->all->nlayers + 1),
                  arena_new_array(s->r->mem, bool, (size_t)s->all->nlosses + 1)};
}

static void keep_range(bool *kept, int first, int count)
{
    for (int i = first; i < first + count; i++)
        kept[i] = true;
}

static void keep_stage(const fe_part_stage *stage, keep *k)
{
    keep_range(k->layers, stage->first, stage->last - stage->first + 1);
    if (!stage->frozen)
        keep_range(k->layers, stage->head_first, stage->head_count);
}

static void keep_losses(const fe_staging *s, const fe_part_stage *stage, keep *k)
{
    if (stage->frozen)
        return;
    keep_range(k->losses, stage->loss_first, stage->loss_count);
    for (int i = 0; !stage->loss_count && i < s->own_losses; i++) {
        fe_ref of = s->all->losses[i].in[0];
        k->losses[i] = !of.is_input && of.index >= stage->first && of.index <= stage->last;
    }
}

static const char *part_name(fe_staging *s, const char *name, src_loc at)
{
    const char *whole = arena_printf(s->r->mem, "%s_%s", s->file->name, name);
    if (strlen(whole) <= LONGEST_NAME)
        return whole;
    fe_mismatch(s->r, at, "name", "at most 63 characters in the network's name, '_' and the stage's", whole);
    return NULL;
}

/* What is no part's own is the file's. */
static bool read_train(fe_staging *s, fe_network *part, const fe_yaml *train)
{
    fe_yaml *root = fe_tree_map(s->r->mem, part->at, 1);
    if (train)
        fe_tree_set(s->r->mem, root, "train", fe_tree_copy(s->r->mem, train));
    if (!fe_read_train(s->r, part, root))
        return false;
    return !part->averaging || fe_mismatch(s->r, part->averaging->at, "averaging",
                                           "none where stages learn on their own", part->averaging->kind->name);
}

static bool read_train_of_file(fe_staging *s, fe_network *part)
{
    return read_train(s, part, fe_yaml_find(s->root, "train"));
}

static void set_data(const fe_staging *s, fe_network *part, const fe_data_set *own)
{
    memcpy(part->data, own ? own : s->file->data, sizeof part->data);
}

static fe_part *add_part(fe_staging *s, const char *name, src_loc at, const fe_selection *selection)
{
    fe_part *part = &s->h->parts[s->h->count++];
    fe_network *net = fe_project(s->all, selection);
    net->optimizer = net->nlosses ? s->file->optimizer : NULL;
    *part = (fe_part){.name = name, .at = at, .net = net};
    return part;
}

/* ---- a stage ---- */

static bool has_parameters(const fe_network *n)
{
    for (int i = 0; i < n->nlayers; i++)
        if (fe_learns(&n->layers[i]))
            return true;
    return false;
}

static bool add_stage(fe_staging *s, const fe_part_stage *stage)
{
    keep k = keep_nothing(s);
    fe_selection selection = {.name = part_name(s, stage->name, stage->at), .at = stage->at, .exports = true};
    if (!selection.name)
        return false;
    keep_stage(stage, &k);
    keep_losses(s, stage, &k);
    selection.layers = k.layers;
    selection.losses = k.losses;
    fe_part *part = add_part(s, stage->name, stage->at, &selection);
    part->frozen = stage->frozen;
    part->weights = stage->weights;
    fe_network *net = part->net;
    if (net->nlosses && !has_parameters(net))
        return fe_mismatch(s->r, stage->at, arena_printf(s->r->mem, "stage '%s'", stage->name),
                           "a layer with parameters to train, or 'frozen: true'", "neither");
    net->optimizer = net->nlosses ? stage->optimizer : NULL;
    if (!net->optimizer && net->nlosses)
        return fe_missing(s->r, stage->at, arena_printf(s->r->mem, "stage '%s'", stage->name), "optimizer",
                          "one here or in the file");
    set_data(s, net, stage->data);
    return fe_check_group_rates(s->r, net) && read_train(s, net, stage->train);
}

/* ---- all stages at once ---- */

/* What stands here for one stage cannot be for a step that all take together. */
static bool check_together(fe_staging *s, const fe_part_stage *stage)
{
    static const char *const keys[] = {"train", "data", "weights"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (fe_get(stage->options, keys[i])->present)
            return fe_mismatch(s->r, fe_get(stage->options, keys[i])->at, keys[i],
                               "a schedule in which stages learn in turn", "'simultaneous'");
    return true;
}

static bool name_is_free(fe_staging *s, const fe_network *net, const fe_part_stage *stage)
{
    for (int i = 0; i < net->ngroups; i++)
        if (!strcmp(net->groups[i].name, stage->name))
            return fe_twice(s->r, stage->at, "group name", stage->name, net->groups[i].at);
    return true;
}

/* A stage's own optimizer is that of a group: its layers that are in none of the file's. Where the file has none, the
 * first is the net's. 'numbers' are the net's layers in 'all'. */
static bool add_optimizer(fe_staging *s, fe_network *net, int number, const int *stage_of, const int *numbers)
{
    const fe_part_stage *stage = &s->stage[number];
    bool own = stage->optimizer != s->file->optimizer;
    if (stage->frozen)
        return true;
    if (!stage->optimizer)
        return fe_missing(s->r, stage->at, arena_printf(s->r->mem, "stage '%s'", stage->name), "optimizer",
                          "one here or in the file");
    if (!own || !net->optimizer) {
        net->optimizer = net->optimizer ? net->optimizer : stage->optimizer;
        return true;
    }
    if (!name_is_free(s, net, stage))
        return false;
    net->groups[net->ngroups++] = (fe_group){.name = stage->name, .optimizer = stage->optimizer, .at = stage->at};
    for (int i = 0; i < net->nlayers; i++)
        if (stage_of[numbers[i]] == number && !net->layers[i].group)
            net->layers[i].group = stage->name;
    return true;
}

static bool add_optimizers(fe_staging *s, fe_network *net, const keep *k, const int *stage_of)
{
    int *numbers = arena_new_array(s->r->mem, int, (size_t)net->nlayers + 1), count = 0;
    fe_group *files = net->groups;
    for (int i = 0; i < s->all->nlayers; i++)
        if (k->layers[i])
            numbers[count++] = i;
    net->groups = arena_new_array(s->r->mem, fe_group, (size_t)(net->ngroups + s->nstages) + 1);
    for (int i = 0; i < net->ngroups; i++)
        net->groups[i] = files[i];
    for (int i = 0; i < s->nstages; i++)
        if (!check_together(s, &s->stage[i]) || !add_optimizer(s, net, i, stage_of, numbers))
            return false;
    return fe_check_group_rates(s->r, net);
}

/* Names of the stages' losses and metrics begin with the stage's, as there are several of each. */
static bool add_simultaneous(fe_staging *s)
{
    keep k = keep_nothing(s);
    int *stage = arena_new_array(s->r->mem, int, (size_t)s->all->nlayers + 1);
    const char **prefix = arena_new_array(s->r->mem, const char *, (size_t)s->all->nlosses + 1);
    fe_selection selection = {
        part_name(s, "stages", s->file->at), s->file->at, k.layers, k.losses, prefix, stage, true};
    if (!selection.name)
        return false;
    for (int i = 0; i < s->nstages; i++) {
        keep mine = keep_nothing(s);
        keep_stage(&s->stage[i], &mine);
        keep_losses(s, &s->stage[i], &mine);
        for (int l = 0; l < s->all->nlayers; l++)
            if (mine.layers[l]) {
                k.layers[l] = true;
                stage[l] = i;
            }
        for (int l = 0; l < s->all->nlosses; l++)
            if (mine.losses[l]) {
                k.losses[l] = true;
                prefix[l] = s->stage[i].name;
            }
    }
    fe_part *part = add_part(s, "stages", s->file->at, &selection);
    set_data(s, part->net, NULL);
    return add_optimizers(s, part->net, &k, stage) && read_train_of_file(s, part->net);
}

/* ---- the combination and the whole ---- */

static bool add_combination(fe_staging *s)
{
    keep k = keep_nothing(s);
    src_loc at = s->all->losses[s->combined_loss].at;
    fe_selection selection = {part_name(s, "combine", at), at, k.layers, k.losses, NULL, NULL, false};
    if (!selection.name)
        return false;
    keep_range(k.layers, s->combination_first, s->combination_count);
    k.losses[s->combined_loss] = true;
    fe_part *part = add_part(s, "combine", at, &selection);
    set_data(s, part->net, NULL);
    return read_train_of_file(s, part->net);
}

/* Is the stage's answer one of those that are combined? */
static bool is_combined(const fe_staging *s, const fe_part_stage *stage)
{
    for (int i = s->combination_first; i < s->combination_first + s->combination_count; i++) {
        const fe_layer *l = &s->all->layers[i];
        for (int k = 0; k < l->nin; k++)
            if (!l->in[k].is_input && l->in[k].index == stage->answer)
                return true;
    }
    return false;
}

static bool make_whole(fe_staging *s)
{
    keep k = keep_nothing(s);
    keep_range(k.layers, 0, s->file->nlayers);
    keep_range(k.layers, s->combination_first, s->combination_count);
    for (int i = 0; i < s->nstages; i++)
        if (is_combined(s, &s->stage[i]))
            keep_range(k.layers, s->stage[i].head_first, s->stage[i].head_count);
    if (s->combination_count)
        k.losses[s->combined_loss] = true;
    else
        keep_range(k.losses, 0, s->own_losses);
    const fe_selection selection = {s->file->name, s->file->at, k.layers, k.losses, NULL, NULL, false};
    fe_network *whole = fe_project(s->all, &selection);
    whole->optimizer = s->file->optimizer;
    whole->own_rate = s->fine_tune_rate;
    whole->train = s->file->train;
    whole->gradient_clip = s->file->gradient_clip;
    set_data(s, whole, NULL);
    whole->weights = s->file->weights;
    whole->ngroups = whole->optimizer ? whole->ngroups : 0; /* of stages' files, where the whole learns nothing */
    whole->hierarchy = s->h;
    s->whole = s->h->whole = whole;
    if (!fe_check_group_rates(s->r, whole))
        return false;
    return has_parameters(whole) || fe_mismatch(s->r, whole->at, "stages", "one that learns", "all of them frozen");
}

static bool add_teacher(fe_staging *s, const fe_teacher *t)
{
    const char *name = part_name(s, t->name, t->at);
    if (!name)
        return false;
    fe_network *net = fe_teacher_part(s, t, name);
    if (!net || !read_train_of_file(s, net))
        return false;
    set_data(s, net, NULL);
    fe_weights *weights = arena_make(s->r->mem, fe_weights);
    *weights = (fe_weights){.path = t->weights, .at = t->weights_at, .from = "", .to = ""};
    s->h->parts[s->h->count++] =
        (fe_part){.name = t->name, .at = t->at, .net = net, .frozen = true, .weights = weights, .teacher = true};
    return true;
}

/* A parameter is one value for all stages that have one of that name: what one stage learned, another would move. */
static bool check_own(fe_staging *s, ir_map *owners, fe_part_stage *stage, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        const fe_layer *l = &s->all->layers[i];
        for (int k = 0; k < l->nparams; k++) {
            const fe_part_stage *other = ir_map_get(owners, l->param[k].name);
            if (other && other != stage)
                return fe_mismatch(s->r, fe_get(l->options, "share")->at, "share",
                                   "a layer of the same stage, as the stages learn on their own",
                                   arena_printf(s->r->mem, "'%s' of '%s'", l->owner->name, other->name));
            ir_map_set(owners, l->param[k].name, stage);
        }
    }
    return true;
}

static bool check_sharing(fe_staging *s)
{
    ir_map *owners = ir_map_new(s->r->mem, IR_MAP_TEXTS);
    for (int i = 0; i < s->nstages; i++) {
        fe_part_stage *stage = &s->stage[i];
        if (!check_own(s, owners, stage, stage->first, stage->last - stage->first + 1) ||
            !check_own(s, owners, stage, stage->head_first, stage->head_count))
            return false;
    }
    return true;
}

/* What a stage makes of a record is read for many epochs. */
static bool check_data(fe_staging *s)
{
    const fe_augment *a = fe_data(s->whole, "train")->augment;
    for (int i = 0; !a && i < s->h->count; i++)
        a = fe_data(s->h->parts[i].net, "train")->augment;
    return !a || fe_mismatch(s->r, a->at, "augment", "a network that learns as a whole, without a teacher",
                             "one with stages that learn on their own");
}

bool fe_make_parts(fe_staging *s)
{
    if (!check_sharing(s))
        return false;
    s->h->parts = arena_new_array(s->r->mem, fe_part, 2 * (size_t)s->nstages + 1);
    s->h->stages = arena_new_array(s->r->mem, const char *, (size_t)s->nstages + 1);
    for (int i = 0; i < s->nstages; i++)
        s->h->stages[s->h->stage_count++] = s->stage[i].name;
    for (int i = 0; i < s->nstages; i++)
        if (s->stage[i].teacher && !add_teacher(s, s->stage[i].teacher))
            return false;
    if (s->h->schedule == FE_SIMULTANEOUS && !add_simultaneous(s))
        return false;
    for (int i = 0; s->h->schedule != FE_SIMULTANEOUS && i < s->nstages; i++)
        if (!add_stage(s, &s->stage[i]))
            return false;
    if (!make_whole(s) || !check_data(s) || (s->h->learns_combination && !add_combination(s)))
        return false;
    const char *name = s->all->nlosses > s->scores.first_loss ? part_name(s, "scores", s->file->at) : NULL;
    s->h->scores = name ? fe_make_scores(s, name) : NULL;
    return name || s->all->nlosses == s->scores.first_loss;
}
