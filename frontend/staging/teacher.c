/* frontend/staging/teacher.c - stages that learn what a larger network says of an example (Hinton et al. 2015).
 *
 *     teacher: {net: big.yaml, weights: big.safetensors, temperature: 4, weight: 0.7}
 *
 * The teacher is a part of the run like a frozen stage, and what it says an input of the stage that it teaches, whose
 * losses then count 1 - weight, beside one that compares with the teacher and counts
 *     weight x T^2, of the KL divergence from its softmax at temperature T, where classes are told apart;
 *     weight, of the mean squared error from its values, else.
 * The whole has neither. A file that has a teacher itself is a file of one stage that has it. */
#include "frontend/network/sections.h"
#include "frontend/staging/staging.h"
#include <string.h>

const fe_kind fe_teacher_keys = {.name = "teacher",
                                 .keys = {{"net", FE_TREE, FE_REQUIRED},
                                          {"weights", FE_TREE, NULL},
                                          {"output", FE_NAME, NULL},
                                          {"layer", FE_NAME, NULL},
                                          {"temperature", FE_POSITIVE, NULL},
                                          {"weight", FE_NOT_NEGATIVE, "0.5"},
                                          {"cache", FE_NAME, NULL}}};

static const char STUDENT[] = "student";

/* ---- a file that has a teacher itself ---- */

static bool is_only_stage(const fe_staging *s)
{
    return fe_yaml_find(s->root, "teacher");
}

const fe_yaml *fe_as_student(fe_reader *r, const fe_network *n, const fe_yaml *root)
{
    const fe_yaml *teacher = fe_yaml_find(root, "teacher"), *cache = teacher ? fe_yaml_find(teacher, "cache") : NULL;
    const fe_yaml *stages = fe_yaml_find(root, "stages"), *staging = fe_yaml_find(root, "staging");
    arena *mem = r->mem;
    if (!teacher || r->is_teacher || !n->nlayers)
        return root;
    if (stages || staging) {
        fe_mismatch(r, teacher->at, "teacher", "the key of a local stage where there are stages", "a section");
        return NULL;
    }
    fe_yaml *ways = fe_tree_map(mem, teacher->at, 2), *stage = fe_tree_map(mem, teacher->at, 3);
    fe_yaml *list = fe_tree_list(mem, teacher->at, 1), *both = fe_tree_map(mem, root->at, root->count + 2);
    fe_tree_set(mem, ways, "coupling", fe_tree_word(mem, teacher->at, "local"));
    if (cache)
        fe_tree_set(mem, ways, "cache", fe_tree_copy(mem, cache));
    fe_tree_set(mem, stage, "name", fe_tree_word(mem, teacher->at, STUDENT));
    fe_tree_set(mem, stage, "through", fe_tree_word(mem, teacher->at, n->layers[n->nlayers - 1].name));
    fe_tree_set(mem, stage, "teacher", fe_tree_copy(mem, teacher));
    fe_tree_append(list, stage);
    for (int i = 0; i < root->count; i++)
        fe_tree_set(mem, both, root->key[i]->word, root->item[i]);
    fe_tree_set(mem, both, "staging", ways);
    fe_tree_set(mem, both, "stages", list);
    return both;
}

/* ---- the teacher's file ---- */

static const char *path_of(fe_staging *s, const fe_choice *c, const char *key, const char *expected)
{
    const fe_yaml *y = fe_get(c, key)->tree;
    if (!fe_expect_kind(s->r, y, key, FE_SCALAR, expected))
        return NULL;
    return fe_beside_yaml(s->r, s->file->path, y->word);
}

/* The layer that a name means, or -1. */
static int find_layer(const fe_network *n, const char *name)
{
    int i = n->nlayers - 1;
    while (i >= 0 && strcmp(n->layers[i].name, name))
        i--;
    return i;
}

static bool unknown_layer(fe_reader *r, const fe_network *n, const fe_option *o)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->nlayers);
    for (int i = 0; i < n->nlayers; i++)
        known[i] = n->layers[i].name;
    return fe_unknown(r, o->at, arena_printf(r->mem, "%s: layer", o->key->name), o->word, known, (size_t)n->nlayers);
}

/* The layer named, else what the teacher's only loss measures, else its last one. */
static bool find_output(fe_staging *s, const fe_choice *c, fe_teacher *t)
{
    const fe_option *o = fe_get(c, "output");
    const fe_network *n = t->net;
    t->output = n->nlayers - 1;
    if (n->nlosses == 1 && !n->losses[0].in[0].is_input)
        t->output = n->losses[0].in[0].index;
    if (o->present)
        t->output = find_layer(n, o->word);
    return t->output >= 0 || unknown_layer(s->r, n, o);
}

static bool name_is_free(fe_staging *s, const fe_teacher *t)
{
    for (int i = 0; i < s->file->nstages; i++)
        if (!strcmp(s->file->stages[i].name, t->name))
            return fe_twice(s->r, t->at, "stage name", t->name, s->file->stages[i].at);
    return true;
}

static fe_teacher *read_file(fe_staging *s, const fe_part_stage *stage, const fe_choice *c)
{
    fe_teacher *t = arena_make(s->r->mem, fe_teacher);
    const char *path = path_of(s, c, "net", "the path of a YAML file");
    t->name = is_only_stage(s) ? "teacher" : arena_printf(s->r->mem, "%s_teacher", stage->name);
    t->at = c->at;
    t->weights = path_of(s, c, "weights", "the path of a weights file");
    t->weights_at = fe_get(c, "weights")->tree->at;
    if (!path || !t->weights || !name_is_free(s, t))
        return NULL;
    t->net = fe_read_teacher_file(s->r, path, fe_get(c, "net")->tree->at);
    return t->net && find_output(s, c, t) ? t : NULL;
}

/* ---- what the stage learns without it ---- */

/* Losses of the file become the stage's own, as they will weigh less here than in the whole. */
static void take_losses(fe_staging *s, fe_part_stage *stage)
{
    fe_network *all = s->all;
    if (stage->loss_count)
        return;
    stage->loss_first = all->nlosses;
    for (int i = 0; i < s->own_losses; i++) {
        fe_ref of = all->losses[i].in[0];
        if (of.is_input || of.index < stage->first || of.index > stage->last)
            continue;
        fe_loss *copy = &all->losses[all->nlosses++];
        *copy = all->losses[i];
        for (int k = 0; k < s->file->nmetrics; k++)
            if (all->metrics[k].loss == &all->losses[i]) {
                all->metrics[all->nmetrics] = all->metrics[k];
                all->metrics[all->nmetrics++].loss = copy;
            }
    }
    stage->loss_count = all->nlosses - stage->loss_first;
}

/* The loss of the stage that measures a layer, or NULL. */
static const fe_loss *loss_of(const fe_staging *s, const fe_part_stage *stage, int layer)
{
    const fe_loss *l = s->all->losses + stage->loss_first;
    for (int i = 0; i < stage->loss_count; i++)
        if (!l[i].in[0].is_input && l[i].in[0].index == layer)
            return &l[i];
    return NULL;
}

/* The layer that is taught: the one named, of this stage or its head, else what the stage's only loss measures. */
static bool find_taught(fe_staging *s, const fe_part_stage *stage, const fe_choice *c, int *layer)
{
    const fe_option *o = fe_get(c, "layer");
    if (!o->present && stage->loss_count != 1)
        return fe_missing(s->r, c->at, "teacher", "layer",
                          "the name of the layer it teaches, as there are several losses");
    *layer = o->present ? find_layer(s->all, o->word) : s->all->losses[stage->loss_first].in[0].index;
    if (*layer < 0)
        return unknown_layer(s->r, s->all, o);
    bool of_head = *layer >= stage->head_first && *layer < stage->head_first + stage->head_count;
    return of_head || (*layer >= stage->first && *layer <= stage->last) ||
           fe_mismatch(s->r, o->at, "layer", arena_printf(s->r->mem, "one of stage '%s'", stage->name),
                       arena_printf(s->r->mem, "'%s'", o->word));
}

/* ---- what it learns from the teacher ---- */

static bool check_output(fe_staging *s, const fe_teacher *t, const fe_layer *taught)
{
    const fe_layer *output = &t->net->layers[t->output];
    if (ir_type_equal(&output->type, &taught->type))
        return true;
    const char *expected = arena_printf(s->r->mem, "one that gives %s, as '%s' does",
                                        fe_describe_type(s->r->mem, &taught->type), taught->name);
    return fe_mismatch(
        s->r, t->at, "teacher", expected,
        arena_printf(s->r->mem, "layer '%s' of %s", output->name, fe_describe_type(s->r->mem, &output->type)));
}

/* What the teacher says, as an input of 'all' that no data set has; -1 after an error. */
static int add_input(fe_staging *s, const fe_teacher *t)
{
    const fe_layer *output = &t->net->layers[t->output];
    const char *name = arena_printf(s->r->mem, "%s_%s", t->name, output->name);
    fe_network *all = s->all;
    if (!fe_is_name(name) || ir_map_get(all->named, name)) {
        fe_mismatch(s->r, t->at, "teacher", "a name of at most 63 characters, which nothing else has, for its output",
                    arena_printf(s->r->mem, "'%s'", name));
        return -1;
    }
    all->inputs[all->ninputs] = (fe_input){.name = name, .at = t->at, .type = output->type, .read_type = output->type};
    return all->ninputs++;
}

/* `kl_divergence: {name: teacher, temperature: 4}`, or mean_squared_error. 'hard' is what the layer learns from beside
 * the teacher; NULL: nothing. */
static fe_yaml *soft_tree(fe_staging *s, const fe_choice *c, const fe_loss *hard, double *scale)
{
    arena *mem = s->r->mem;
    const fe_option *temperature = fe_get(c, "temperature");
    bool of_classes = hard && hard->kind->applies && !strcmp(hard->kind->applies, "softmax");
    fe_yaml *tree = fe_tree_map(mem, c->at, 1), *keys = fe_tree_map(mem, c->at, 3);
    fe_tree_set(mem, keys, "name", fe_tree_word(mem, c->at, "teacher"));
    fe_tree_set(mem, tree, of_classes ? "kl_divergence" : "mean_squared_error", keys);
    *scale = 1;
    if (!of_classes && temperature->present) {
        fe_mismatch(s->r, temperature->at, "temperature", "a loss that tells classes apart by a softmax",
                    hard ? hard->kind->kind.name : "none");
        return NULL;
    }
    if (of_classes && !fe_reads_logits(hard))
        fe_tree_set(mem, keys, "from_logits", fe_tree_word(mem, c->at, "false"));
    if (temperature->present) {
        *scale = temperature->number * temperature->number;
        const char *number = arena_printf(mem, "%.17g", temperature->number);
        fe_tree_set(mem, keys, "temperature", fe_tree_word(mem, temperature->at, number));
    }
    return tree;
}

/* Where a loss applies softmax itself the teacher's answer is to be logits as well. */
static bool check_logits(fe_staging *s, const fe_teacher *t, const fe_loss *hard)
{
    const fe_layer *output = &t->net->layers[t->output];
    if (!hard || !hard->kind->applies || !fe_reads_logits(hard) || !fe_ends_in(output, hard->kind->applies))
        return true;
    return fe_mismatch(
        s->r, t->at, "teacher", "logits",
        arena_printf(s->r->mem, "layer '%s', which ends in %s already", output->name, hard->kind->applies));
}

/* Each loss has a metric of its name now. */
static bool check_names(fe_staging *s, const fe_part_stage *stage)
{
    static const char *const taken[] = {"teacher", "loss", "examples"};
    for (int i = stage->loss_first; i < stage->loss_first + stage->loss_count; i++)
        for (size_t k = 0; k < sizeof taken / sizeof *taken; k++)
            if (!strcmp(s->all->losses[i].name, taken[k]))
                return fe_mismatch(s->r, s->all->losses[i].at, "name",
                                   "a name other than teacher, loss and examples, where there is a teacher", taken[k]);
    return true;
}

static bool add_loss(fe_staging *s, fe_part_stage *stage, const fe_teacher *t, const fe_choice *c, int layer)
{
    fe_network *all = s->all;
    const fe_loss *hard = loss_of(s, stage, layer);
    double scale, weight = fe_get_number(c, "weight");
    fe_yaml *tree = soft_tree(s, c, hard, &scale);
    int input = tree && check_logits(s, t, hard) && check_names(s, stage) ? add_input(s, t) : -1;
    if (input < 0)
        return false;
    fe_loss *soft = &all->losses[all->nlosses++];
    *soft = (fe_loss){.options = fe_read_entry(s->r, &fe_losses, tree), .name = "teacher", .at = t->at, .nin = 2};
    soft->kind = (const fe_loss_kind *)(const void *)soft->options->kind;
    soft->in[0] = (fe_ref){false, layer};
    soft->in_type[0] = all->layers[layer].type;
    soft->in[1] = (fe_ref){true, input};
    soft->in_type[1] = all->inputs[input].type;
    soft->weight = weight * scale;
    for (int i = 0; i < stage->loss_count; i++)
        all->losses[stage->loss_first + i].weight *= 1 - weight;
    stage->loss_count++;
    return soft->kind->check(s->r, soft);
}

static bool check_keys(fe_staging *s, const fe_part_stage *stage, const fe_choice *c)
{
    if (!fe_get(c, "weights")->present)
        return fe_missing(s->r, c->at, "teacher", "weights", "the path of the weights file that its net learned");
    const fe_option *weight = fe_get(c, "weight"), *cache = fe_get(c, "cache");
    if (stage->frozen)
        return fe_mismatch(s->r, c->at, "teacher", "a stage that learns", "a frozen one");
    if (weight->number > 1)
        return fe_mismatch(s->r, weight->at, "weight", "a number from 0 to 1",
                           arena_printf(s->r->mem, "%g", weight->number));
    return !cache->present || is_only_stage(s) ||
           fe_mismatch(s->r, cache->at, "cache", "it in 'staging' where there are stages", "a teacher's");
}

bool fe_read_teacher(fe_staging *s, fe_part_stage *stage)
{
    const fe_option *o = fe_get(stage->options, "teacher");
    int layer = 0;
    if (!o->present || s->r->is_teacher)
        return true;
    const fe_choice *c = fe_read_options(s->r, &fe_teacher_keys, NULL, o->tree);
    if (!c || !check_keys(s, stage, c))
        return false;
    take_losses(s, stage);
    fe_teacher *t = read_file(s, stage, c);
    stage->teacher = t;
    return t && find_taught(s, stage, c, &layer) && check_output(s, t, &s->all->layers[layer]) &&
           add_loss(s, stage, t, c, layer);
}

/* ---- the net to compile ---- */

/* Its inputs are among the file's, which may scale them otherwise. */
static bool check_inputs(const fe_staging *s, const fe_teacher *t, const fe_network *net)
{
    fe_reader *r = s->r;
    for (int i = 0; i < net->ninputs; i++) {
        const fe_input *input = &net->inputs[i], *mine = NULL;
        for (int k = 0; k < s->file->ninputs; k++)
            if (!strcmp(s->file->inputs[k].name, input->name))
                mine = &s->file->inputs[k];
        if (mine && ir_type_equal(&mine->type, &input->type))
            continue;
        const char *expected = arena_printf(r->mem, "one whose inputs this file has, as '%s' of %s", input->name,
                                            fe_describe_type(r->mem, &input->type));
        return fe_mismatch(r, t->at, "teacher", expected, mine ? fe_describe_type(r->mem, &mine->type) : "none");
    }
    return true;
}

fe_network *fe_teacher_part(const fe_staging *s, const fe_teacher *t, const char *name)
{
    const fe_network *n = t->net;
    bool *layers = arena_new_array(s->r->mem, bool, (size_t)n->nlayers);
    bool *losses = arena_new_array(s->r->mem, bool, (size_t)n->nlosses + 1);
    layers[t->output] = true;
    for (int i = t->output; i >= 0; i--)
        for (int k = 0; layers[i] && k < n->layers[i].nin; k++)
            if (!n->layers[i].in[k].is_input)
                layers[n->layers[i].in[k].index] = true;
    const fe_selection selection = {.name = name, .at = n->at, .layers = layers, .losses = losses};
    fe_network *net = fe_project(n, &selection);
    for (int i = 0; i < net->nlayers; i++) {
        net->layers[i].trainable = false;
        net->layers[i].group = NULL;
    }
    net->ngroups = 0;
    return check_inputs(s, t, net) ? net : NULL;
}
