/* frontend/staging/head.c - what a stage says of an example, and what it learns from.
 *
 *     {name: features, through: pool2, head: [global_average_pool2d, {dense: 10}], losses: [softmax_cross_entropy]}
 *
 * The head's layers read the stage's last layer; the value of its last one is the stage's answer. A stage without a
 * head answers by its last layer. Losses are the stage's own, read as a file's are; else those of the file that measure
 * one of its layers; else the file's only loss, of the answer. */
#include "frontend/staging/staging.h"
#include <string.h>

/* ---- the head ---- */

/* How many numbers the file's only loss compares with its labels or targets, for an example: what a head must give. */
static int64_t answer_size(const fe_staging *s)
{
    const ir_type *t = &s->all->losses[0].in_type[0];
    return s->own_losses == 1 && t->rank == 2 ? t->dim[1].n : 0;
}

/* Global average pooling of images, then a dense layer of as many units as the file's loss has classes. */
static fe_yaml *automatic_head(fe_staging *s, const fe_part_stage *stage, const fe_yaml *y)
{
    arena *mem = s->r->mem;
    const ir_type *t = &s->all->layers[stage->last].type;
    int64_t units = answer_size(s);
    if (!units) {
        fe_mismatch(s->r, y->at, "head", "one loss in the file, on a vector, for 'auto' to copy", "none or several");
        return NULL;
    }
    fe_yaml *list = fe_tree_list(mem, y->at, 2), *dense = fe_tree_map(mem, y->at, 1);
    if (t->rank > 2)
        fe_tree_append(list, fe_tree_word(mem, y->at, t->rank == 4 ? "global_average_pool2d" : "flatten"));
    fe_tree_set(mem, dense, "dense", fe_tree_number(mem, y->at, units));
    fe_tree_append(list, dense);
    return list;
}

/* A head reads its stage and what stands before it: that is all there is where the stage learns. */
static bool check_head(fe_staging *s, const fe_part_stage *stage)
{
    for (int i = stage->head_first; i < stage->head_first + stage->head_count; i++) {
        const fe_layer *l = &s->all->layers[i];
        for (int k = 0; k < l->nin; k++) {
            int read = l->in[k].is_input ? 0 : l->in[k].index;
            if (read > stage->last && read < stage->head_first)
                return fe_mismatch(s->r, l->at, "head", "an input, a layer of this stage or of one before it",
                                   arena_printf(s->r->mem, "'%s'", s->all->layers[read].name));
        }
    }
    return true;
}

bool fe_read_head(fe_staging *s, fe_part_stage *stage)
{
    const fe_option *o = fe_get(stage->options, "head");
    stage->head_first = s->all->nlayers;
    stage->answer = stage->last;
    if (!o->present)
        return true;
    if (stage->frozen)
        return fe_mismatch(s->r, o->at, "head", "a stage that learns", "a frozen one");
    bool is_auto = o->tree->kind == FE_SCALAR && !strcmp(o->tree->word, "auto");
    const fe_yaml *list = is_auto ? automatic_head(s, stage, o->tree) : o->tree;
    const char *prefix = arena_printf(s->r->mem, "%s_head_", stage->name);
    if (!list || !fe_expect_kind(s->r, list, "head", FE_LIST, "a list of layers, or auto"))
        return false;
    if (!list->count)
        return fe_mismatch(s->r, list->at, "head", "a list of layers, or auto", "[]");
    if (!fe_read_layer_list(s->r, s->all, list, prefix, s->all->layers[stage->last].name))
        return false;
    stage->head_count = s->all->nlayers - stage->head_first;
    stage->answer = s->all->nlayers - 1;
    return check_head(s, stage);
}

/* ---- losses ---- */

/* The same network as a stage's losses see it: its answer is the last layer, and it has no losses yet. */
static fe_network view_of(const fe_staging *s, const fe_part_stage *stage)
{
    fe_network view = *s->all;
    view.nlayers = stage->answer + 1;
    view.losses = NULL;
    view.metrics = NULL;
    view.nlosses = view.nmetrics = 0;
    return view;
}

static void append_losses(fe_staging *s, fe_part_stage *stage, const fe_network *view)
{
    fe_network *all = s->all;
    stage->loss_first = all->nlosses;
    stage->loss_count = view->nlosses;
    for (int i = 0; i < view->nlosses; i++)
        all->losses[all->nlosses++] = view->losses[i];
    for (int i = 0; i < view->nmetrics; i++) {
        fe_metric *m = &all->metrics[all->nmetrics++];
        *m = view->metrics[i];
        m->loss = &all->losses[stage->loss_first + (int)(view->metrics[i].loss - view->losses)];
    }
}

/* Nor do its losses look at what comes after the stage, or at another one's head. */
static bool check_losses(fe_staging *s, const fe_part_stage *stage, const fe_network *view)
{
    for (int i = 0; i < view->nlosses; i++)
        for (int k = 0; k < view->losses[i].nin; k++) {
            fe_ref of = view->losses[i].in[k];
            if (!of.is_input && of.index > stage->last && of.index < stage->head_first)
                return fe_mismatch(s->r, view->losses[i].at, "losses",
                                   "an input, a layer of this stage or of one before it",
                                   arena_printf(s->r->mem, "'%s'", s->all->layers[of.index].name));
        }
    return true;
}

static bool read_own_losses(fe_staging *s, fe_part_stage *stage, const fe_yaml *losses)
{
    const fe_option *metrics = fe_get(stage->options, "metrics");
    fe_network view = view_of(s, stage);
    if (!fe_read_losses(s->r, &view, losses) || !check_losses(s, stage, &view) ||
        (metrics->present && !fe_read_metrics(s->r, &view, metrics->tree)))
        return false;
    append_losses(s, stage, &view);
    return true;
}

/* The file's only loss and its metrics, of another layer. */
static bool copy_loss(fe_staging *s, fe_part_stage *stage)
{
    fe_network view = view_of(s, stage);
    fe_loss loss = s->all->losses[0];
    loss.at = stage->at;
    loss.in[0] = (fe_ref){false, stage->answer};
    loss.in_type[0] = s->all->layers[stage->answer].type;
    if (!loss.kind->check(s->r, &loss))
        return false;
    view.losses = &loss;
    view.nlosses = 1;
    view.metrics = arena_new_array(s->r->mem, fe_metric, (size_t)s->file->nmetrics + 1);
    for (int i = 0; i < s->file->nmetrics; i++)
        view.metrics[view.nmetrics++] = fe_metric_at(&s->file->metrics[i], stage->at, &loss);
    append_losses(s, stage, &view);
    return true;
}

/* Does a loss of the file measure one of the stage's layers? */
static bool has_loss_of_file(const fe_staging *s, const fe_part_stage *stage)
{
    for (int i = 0; i < s->own_losses; i++) {
        fe_ref of = s->all->losses[i].in[0];
        if (!of.is_input && of.index >= stage->first && of.index <= stage->last)
            return true;
    }
    return false;
}

bool fe_read_stage_losses(fe_staging *s, fe_part_stage *stage)
{
    const fe_option *own = fe_get(stage->options, "losses"), *metrics = fe_get(stage->options, "metrics");
    if (own->present)
        return read_own_losses(s, stage, own->tree);
    if (metrics->present)
        return fe_mismatch(s->r, metrics->at, "metrics", "the stage's own losses with them", "none");
    bool has_loss = has_loss_of_file(s, stage);
    if (stage->frozen || (has_loss && !stage->head_count))
        return true;
    if (stage->head_count && !has_loss && s->own_losses == 1)
        return copy_loss(s, stage);
    return fe_missing(s->r, stage->at, arena_printf(s->r->mem, "stage '%s'", stage->name),
                      stage->head_count ? "losses" : "head", "something to learn from");
}
