/* frontend/staging/inner.c - the stages of a stage's file, as stages of the network that names it.
 *
 *     encoder.yaml: stages low, high; output latent        =>      stages encoder_low, encoder_high
 *
 * A file without stages is one, and is called as the stage that names it. Each brings its head, its losses and what it
 * learns by. Layers that the output does not need come in front of the head of their stage: they are the file's own way
 * to say what it makes of an example, and its losses measure them. A stage of which the output needs nothing is left
 * out. How the file orders and combines its stages is its own business when it is trained by itself. */
#include "frontend/staging/staging.h"
#include <string.h>

typedef struct {
    fe_staging *s;
    const fe_stage *read; /* the stage that names the file */
    fe_run *run;
    const fe_staging *file;
    const fe_part_stage *inner; /* a stage of the file, */
    fe_part_stage *stage;       /* and what it becomes */
} adoption;

/* ---- layers ---- */

static const char *name_here(const adoption *a, const char *name)
{
    return arena_printf(a->s->r->mem, "%s_%s", a->run->name, name);
}

static bool find_layers(adoption *a)
{
    a->stage->first = -1;
    for (int i = a->inner->first; i <= a->inner->last; i++)
        if (a->run->taken[i]) {
            a->stage->last = a->run->place[i];
            a->stage->first = a->stage->first < 0 ? a->stage->last : a->stage->first;
        }
    return a->stage->first >= 0;
}

static bool is_inner(const fe_part_stage *inner, int layer)
{
    return (layer >= inner->first && layer <= inner->last) ||
           (layer >= inner->head_first && layer < inner->head_first + inner->head_count);
}

/* A head is of one stage alone, or what combines heads could be short of one. */
static bool append_layer(adoption *a, int index)
{
    const fe_layer *l = &a->run->net->layers[index];
    for (int k = 0; k < l->nin; k++)
        if (!l->in[k].is_input && !a->run->taken[l->in[k].index] && !is_inner(a->inner, l->in[k].index))
            return fe_not_shared(a->s->r, a->run, l->in[k].index);
    return fe_append_run_layer(a->s->r, a->s->all, a->run, index);
}

static bool append_layers(adoption *a, int first, int count)
{
    for (int i = first; i < first + count; i++)
        if (a->run->place[i] < 0 && !append_layer(a, i))
            return false;
    return true;
}

static bool append_head(adoption *a)
{
    const fe_part_stage *inner = a->inner;
    fe_part_stage *stage = a->stage;
    stage->head_first = a->s->all->nlayers;
    stage->answer = stage->last;
    if (stage->frozen)
        return true;
    if (!append_layers(a, inner->first, inner->last - inner->first + 1) ||
        !append_layers(a, inner->head_first, inner->head_count))
        return false;
    stage->head_count = a->s->all->nlayers - stage->head_first;
    stage->answer = a->run->place[inner->answer];
    return true;
}

/* ---- groups ---- */

/* The group here of that name in the file. */
static const char *group_here(const adoption *a, const char *name)
{
    fe_network *all = a->s->all;
    const char *here = name_here(a, name);
    for (int g = 0; g < all->ngroups; g++)
        if (!strcmp(all->groups[g].name, here))
            return all->groups[g].name;
    for (int g = 0; g < a->run->net->ngroups; g++)
        if (a->run->net->groups[g].name == name) {
            all->groups[all->ngroups] = a->run->net->groups[g];
            all->groups[all->ngroups].name = here;
            return all->groups[all->ngroups++].name;
        }
    return NULL;
}

static void set_groups(const adoption *a)
{
    for (int i = 0; i < a->run->net->nlayers; i++) {
        const fe_layer *from = &a->run->net->layers[i];
        int here = a->run->place[i];
        fe_layer *to = here >= 0 ? &a->s->all->layers[here] : NULL;
        if (to && from->group)
            to->group = group_here(a, from->group);
        for (int k = 0; to && k < from->nparams; k++)
            if (from->param[k].group && !to->param[k].group)
                to->param[k].group = group_here(a, from->param[k].group);
    }
}

/* ---- losses ---- */

static bool is_measured_by(const adoption *a, int loss)
{
    const fe_part_stage *inner = a->inner;
    fe_ref of = a->file->all->losses[loss].in[0];
    if (inner->loss_count)
        return loss >= inner->loss_first && loss < inner->loss_first + inner->loss_count;
    return loss < a->file->own_losses && !of.is_input && of.index >= inner->first && of.index <= inner->last;
}

static bool append_loss(adoption *a, int index)
{
    const fe_network *from = a->file->all;
    fe_network *all = a->s->all;
    fe_loss *l = &all->losses[all->nlosses++];
    *l = from->losses[index];
    for (int k = 0; k < l->nin; k++) {
        if (!fe_run_ref(a->s->r, all, a->run, from->losses[index].in[k], all->nlayers, &l->in[k]))
            return false;
        if (k == FE_SAMPLE_WEIGHTS && !l->in[k].is_input)
            return fe_mismatch(a->s->r, fe_get(l->options, "sample_weights")->at, "sample_weights",
                               "an input that is one of the whole net too",
                               arena_printf(a->s->r->mem, "layer '%s' there", all->layers[l->in[k].index].name));
        fe_note_reading(all, l, k);
    }
    for (int i = 0; i < from->nmetrics; i++)
        if (from->metrics[i].loss == &from->losses[index])
            all->metrics[all->nmetrics++] = fe_metric_at(&from->metrics[i], from->metrics[i].at, l);
    return true;
}

/* Those of the file, unless the stage has some of its own or there are none. */
static bool append_losses(adoption *a)
{
    fe_part_stage *stage = a->stage;
    bool own = fe_get(stage->options, "losses")->present || fe_get(stage->options, "metrics")->present;
    stage->loss_first = a->s->all->nlosses;
    if (stage->frozen)
        return true;
    for (int i = 0; !own && i < a->file->all->nlosses; i++)
        if (is_measured_by(a, i) && !append_loss(a, i))
            return false;
    stage->loss_count = a->s->all->nlosses - stage->loss_first;
    return stage->loss_count || fe_read_stage_losses(a->s, stage);
}

/* ---- data ---- */

/* Data of the file are those of the stage where all that it reads are inputs of the network; what reads other stages
 * learns from what they say. */
static bool reads_inputs_alone(const adoption *a)
{
    for (int i = 0; i < a->run->net->ninputs; i++)
        if (!a->run->is_bound[i] || !a->run->bound[i].is_input)
            return false;
    return true;
}

static bool same_paths(const fe_data_field *a, const fe_data_field *b)
{
    bool same = a->path_count == b->path_count;
    for (int i = 0; same && i < a->path_count; i++)
        same = !strcmp(a->paths[i], b->paths[i]);
    return same;
}

static bool is_same_set(const fe_data_set *a, const fe_data_set *b)
{
    bool same = a->present == b->present && !a->records && !b->records && !a->table && !b->table && !a->images &&
                !b->images && a->split_seed == b->split_seed && a->split == b->split && a->folds == b->folds &&
                a->fold == b->fold && a->field_count == b->field_count &&
                (a->format && b->format ? !strcmp(a->format, b->format) : a->format == b->format);
    for (int i = 0; same && i < a->field_count; i++) {
        int k = 0;
        while (k < b->field_count && strcmp(a->fields[i].input, b->fields[k].input))
            k++;
        same = k < b->field_count && same_paths(&a->fields[i], &b->fields[k]);
    }
    return same;
}

/* What an input of the file, which is bound to one here, is called here. */
static const char *input_here(const adoption *a, const char *name)
{
    int k = 0;
    while (k < a->run->net->ninputs && strcmp(a->run->net->inputs[k].name, name))
        k++;
    return k < a->run->net->ninputs ? a->s->file->inputs[a->run->bound[k].index].name : name;
}

static const fe_table *table_here(const adoption *a, const fe_table *from)
{
    fe_table *here = arena_make(a->s->r->mem, fe_table);
    *here = *from;
    here->columns = arena_new_array(a->s->r->mem, fe_column, (size_t)from->count);
    for (int i = 0; i < from->count; i++) {
        here->columns[i] = from->columns[i];
        here->columns[i].input = input_here(a, from->columns[i].input);
    }
    return here;
}

static const fe_records *records_here(const adoption *a, const fe_records *from)
{
    fe_records *here = arena_make(a->s->r->mem, fe_records);
    *here = *from;
    here->input = from->input ? input_here(a, from->input) : NULL;
    return here;
}

static const fe_data_set *data_here(const adoption *a)
{
    enum { SETS = 3 };
    arena *mem = a->s->r->mem;
    const fe_data_set *from = a->inner->data ? a->inner->data : a->file->file->data, *run = a->s->file->data;
    if (!from->present || !reads_inputs_alone(a))
        return NULL;
    fe_data_set *here = arena_new_array(mem, fe_data_set, SETS);
    for (int s = 0; s < SETS; s++) {
        here[s] = from[s];
        here[s].fields = arena_new_array(mem, fe_data_field, (size_t)from[s].field_count);
        for (int i = 0; i < from[s].field_count; i++) {
            here[s].fields[i] = from[s].fields[i];
            here[s].fields[i].input = input_here(a, from[s].fields[i].input);
        }
        here[s].table = from[s].table ? table_here(a, from[s].table) : NULL;
        here[s].records = from[s].records ? records_here(a, from[s].records) : NULL;
        here[s].stratify = from[s].stratify ? input_here(a, from[s].stratify) : NULL;
    }
    return is_same_set(&here[0], &run[0]) && is_same_set(&here[1], &run[1]) ? NULL : here;
}

/* ---- a stage ---- */

/* A head in place of the file's is for a file that is one stage. */
static bool read_own_head(adoption *a)
{
    if (a->file->nstages > 1)
        return fe_mismatch(a->s->r, fe_get(a->stage->options, "head")->at, "head", "a file without stages", "some");
    return fe_read_head(a->s, a->stage) && fe_read_stage_losses(a->s, a->stage);
}

/* A file's own weights, of the file or of its stage, name tensors as the file does. */
static const fe_weights *weights_here(const adoption *a)
{
    const fe_weights *from = a->inner->weights ? a->inner->weights : a->file->file->weights;
    if (!from)
        return NULL;
    fe_weights *here = arena_make(a->s->r->mem, fe_weights);
    *here = *from;
    here->to = name_here(a, from->to);
    return here;
}

static bool adopt(adoption *a)
{
    fe_staging *s = a->s;
    const fe_part_stage *inner = a->inner;
    fe_part_stage *stage = a->stage;
    bool alone = !a->file->h;
    *stage = (fe_part_stage){.options = a->read->options,
                             .name = alone ? a->run->name : name_here(a, inner->name),
                             .at = a->read->at,
                             .frozen = fe_get_bool(a->read->options, "frozen") || inner->frozen,
                             .optimizer = inner->optimizer,
                             .train = inner->train,
                             .weights = weights_here(a),
                             .prefix = name_here(a, "")};
    if (!find_layers(a))
        return true;
    s->nstages++;
    for (int i = stage->first; stage->frozen && i <= stage->last; i++)
        s->all->layers[i].trainable = false;
    if (fe_get(stage->options, "head")->present ? !read_own_head(a) : !append_head(a) || !append_losses(a))
        return false;
    set_groups(a);
    stage->data = data_here(a);
    return fe_read_teacher(s, stage) && fe_read_ways(s, stage);
}

/* A stage is taught where it stands. */
static bool check_teachers(const adoption *a)
{
    const fe_option *here = fe_get(a->read->options, "teacher");
    for (int i = 0; i < a->file->nstages; i++)
        if (a->file->stage[i].teacher)
            return fe_mismatch(a->s->r, a->read->at, "net", "a file without a teacher, which a stage here may have",
                               arena_printf(a->s->r->mem, "'%s'", a->file->stage[i].teacher->name));
    return !here->present || a->file->nstages == 1 ||
           fe_mismatch(a->s->r, here->at, "teacher", "a file without stages", "some");
}

bool fe_add_inner_stages(fe_staging *s, const fe_stage *read)
{
    adoption a = {.s = s, .read = read, .run = read->run, .file = read->run->file};
    if (!check_teachers(&a))
        return false;
    for (int i = 0; i < a.file->nstages; i++) {
        a.inner = &a.file->stage[i];
        a.stage = &s->stage[s->nstages];
        if (!adopt(&a))
            return false;
    }
    return true;
}
