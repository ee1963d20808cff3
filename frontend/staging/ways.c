/* frontend/staging/ways.c - by what a stage learns: optimizer, `train`, data, and the weights that it begins with.
 *
 * Its own keys count first; then what its file says, if it is one; then what the file says in which it stands. */
#include "frontend/staging/staging.h"
#include <string.h>

static bool read_optimizer(fe_staging *s, fe_part_stage *stage)
{
    const fe_option *own = fe_get(stage->options, "optimizer");
    if (own->present)
        stage->optimizer = fe_read_choice(s->r, &fe_optimizers, own->tree);
    else if (!stage->optimizer)
        stage->optimizer = s->file->optimizer;
    return stage->optimizer || !own->present;
}

static bool read_train(fe_staging *s, fe_part_stage *stage)
{
    const fe_option *own = fe_get(stage->options, "train");
    if (own->present && !fe_expect_kind(s->r, own->tree, "train", FE_MAP, "a mapping of epochs and the like"))
        return false;
    stage->train = fe_tree_merge(s->r->mem, own->present ? own->tree : NULL, stage->train);
    const fe_yaml *file = fe_yaml_find(s->root, "train");
    stage->train = fe_tree_merge(s->r->mem, stage->train, file && file->kind == FE_MAP ? file : NULL);
    return true;
}

/* A sub-problem's own data, for the inputs of the file. */
static bool read_data(fe_staging *s, fe_part_stage *stage)
{
    const fe_option *own = fe_get(stage->options, "data");
    if (!own->present)
        return true;
    fe_network *view = arena_make(s->r->mem, fe_network);
    *view = *s->file;
    memset(view->data, 0, sizeof view->data);
    fe_yaml *root = fe_tree_map(s->r->mem, own->at, 1);
    fe_tree_set(s->r->mem, root, "data", fe_tree_copy(s->r->mem, own->tree));
    stage->data = view->data;
    return fe_read_data(s->r, view, root);
}

static bool read_weights(fe_staging *s, fe_part_stage *stage)
{
    const fe_option *own = fe_get(stage->options, "weights");
    if (own->present)
        stage->weights = fe_read_weights(s->r, s->file->path, own->tree, stage->prefix ? stage->prefix : "");
    return stage->weights || !own->present;
}

bool fe_read_ways(fe_staging *s, fe_part_stage *stage)
{
    return read_optimizer(s, stage) && read_train(s, stage) && read_data(s, stage) && read_weights(s, stage);
}
