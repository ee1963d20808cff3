/* frontend/staging/read.c - the sections `staging`, `stages` and `combine`.
 *
 * Stages cut the list of layers into runs. Coupled ones are a way to compile one network; that is the compiler's
 * business (passes/partition). Local ones are networks of their own, which learn apart (staging.h). */
#include "frontend/network/sections.h"
#include "frontend/staging/staging.h"
#include <string.h>

const fe_kind fe_staging_keys = {.name = "staging",
                                 .keys = {{"coupling", FE_NAME, "coupled"},
                                          {"schedule", FE_NAME, "sequential"},
                                          {"cache", FE_NAME, "auto"},
                                          {"rounds", FE_COUNT, "1"}}};

const fe_kind fe_stage_keys = {.name = "stage",
                               .keys = {{"name", FE_NAME, FE_REQUIRED},
                                        {"through", FE_NAME, NULL},
                                        {"net", FE_TREE, NULL},
                                        {"inputs", FE_TREE, NULL},
                                        {"output", FE_NAME, NULL},
                                        {"head", FE_TREE, NULL},
                                        {"losses", FE_TREE, NULL},
                                        {"metrics", FE_TREE, NULL},
                                        {"optimizer", FE_TREE, NULL},
                                        {"train", FE_TREE, NULL},
                                        {"data", FE_TREE, NULL},
                                        {"weights", FE_TREE, NULL},
                                        {"frozen", FE_BOOL, "false"},
                                        {"teacher", FE_TREE, NULL}}};

static const char *const couplings[] = {"coupled", "local"},
                         *const schedules[] = {"sequential", "simultaneous", "alternating"},
                         *const caches[] = {"auto", "memory", "disk", "none"};

/* ---- stages, of either coupling ---- */

/* What the keys of a stage that is a file, and of one that is not, cannot be. */
static bool check_way(fe_reader *r, const fe_choice *c)
{
    const fe_option *through = fe_get(c, "through"), *net = fe_get(c, "net");
    static const char *const of_files[] = {"inputs", "output"};
    if (net->present && through->present)
        return fe_mismatch(r, through->at, "stage", "either 'through' or 'net'", "both");
    if (!net->present && !through->present)
        return fe_missing(r, c->at, "stage", "through", "a layer, or 'net' with it");
    for (size_t i = 0; !net->present && i < sizeof of_files / sizeof *of_files; i++)
        if (fe_get(c, of_files[i])->present)
            return fe_mismatch(r, fe_get(c, of_files[i])->at, of_files[i], "'net' with it", "'through'");
    return true;
}

/* The number of the last layer of a stage; -1 after an error. */
static int find_last(fe_reader *r, const fe_network *n, const fe_choice *c, const fe_run *run)
{
    const fe_option *through = fe_get(c, "through");
    const char **known = arena_new_array(r->mem, const char *, (size_t)n->nlayers);
    int last = 0;
    if (run)
        return run->first >= 0 ? run->place[run->output] : -1;
    for (int i = 0; i < n->nlayers; i++)
        known[i] = n->layers[i].name;
    while (last < n->nlayers && strcmp(known[last], through->word))
        last++;
    if (last < n->nlayers)
        return last;
    if (!fe_may_be_lost(n, through->word))
        fe_unknown(r, through->at, "layer", through->word, known, (size_t)n->nlayers);
    return -1;
}

static fe_run *find_run(const fe_network *n, const fe_choice *c)
{
    for (int i = 0; fe_get(c, "net")->present && i < n->nruns; i++)
        if (!strcmp(n->runs[i].name, fe_get(c, "name")->word))
            return &n->runs[i];
    return NULL;
}

static bool read_stage(fe_reader *r, fe_network *n, const fe_yaml *y, int *after)
{
    const fe_choice *c = fe_read_options(r, &fe_stage_keys, NULL, y);
    if (!c || !check_way(r, c))
        return false;
    const fe_option *name = fe_get(c, "name"), *through = fe_get(c, "through");
    fe_run *run = find_run(n, c);
    int last = find_last(r, n, c, run);
    if (last < 0)
        return false;
    if (last <= *after && !run)
        return fe_mismatch(r, through->at, "through",
                           arena_printf(r->mem, "a layer below '%s'", n->layers[*after].name),
                           fe_yaml_describe(fe_yaml_find(y, "through"), r->mem));
    for (int i = 0; i < n->nstages; i++)
        if (!strcmp(n->stages[i].name, name->word))
            return fe_twice(r, name->at, "stage name", name->word, n->stages[i].at);
    *after = last;
    n->stages[n->nstages++] = (fe_stage){name->word, &n->layers[last], c->at, c, run};
    return true;
}

static bool read_stages(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml *y = fe_yaml_find(root, "stages");
    int after = -1;
    if (!y)
        return true;
    if (!fe_expect_kind(r, y, "stages", FE_LIST, "a list of stages (`lamina partition` proposes one)"))
        return false;
    n->stages = arena_new_array(r->mem, fe_stage, (size_t)y->count + 1);
    bool ok = true;
    for (int i = 0; i < y->count && !fe_enough(r); i++)
        ok &= read_stage(r, n, y->item[i], &after);
    if (!ok || after == n->nlayers - 1)
        return ok;
    const char *expected =
        arena_printf(r->mem, "the last stage to end at the last layer, '%s'", n->layers[n->nlayers - 1].name);
    const char *found = after < 0 ? "no stage" : arena_printf(r->mem, "'%s'", n->layers[after].name);
    return fe_mismatch(r, after < 0 ? y->at : n->stages[n->nstages - 1].at, "stages", expected, found);
}

/* ---- coupled ---- */

/* Everything that a stage has to itself is for stages that learn on their own. */
static bool check_coupled(fe_reader *r, const fe_network *n, const fe_yaml *root, const fe_yaml *staging)
{
    static const char *const keys[] = {"head", "losses", "metrics", "optimizer", "train", "data", "weights", "teacher"};
    static const char *const ways[] = {"schedule", "cache", "rounds"};
    static const char local[] = "'staging: {coupling: local}' with it";
    const fe_yaml *combine = fe_yaml_find(root, "combine");
    for (int i = 0; i < n->nstages; i++)
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            if (fe_get(n->stages[i].options, keys[k])->present)
                return fe_mismatch(r, fe_get(n->stages[i].options, keys[k])->at, keys[k], local, "coupled stages");
    for (int i = 0; i < n->nstages; i++)
        if (fe_get_bool(n->stages[i].options, "frozen"))
            return fe_mismatch(r, fe_get(n->stages[i].options, "frozen")->at, "frozen", local, "coupled stages");
    if (combine)
        return fe_mismatch(r, combine->at, "combine", local, "coupled stages");
    for (size_t k = 0; staging && k < sizeof ways / sizeof *ways; k++)
        if (fe_yaml_find(staging, ways[k]))
            return fe_mismatch(r, fe_yaml_find(staging, ways[k])->at, ways[k], "'coupling: local' with it",
                               "coupled stages");
    return true;
}

/* ---- local ---- */

static int choice_of(fe_reader *r, const fe_choice *c, const char *key, const char *const *words, int count)
{
    const fe_option *o = fe_get(c, key);
    for (int i = 0; i < count; i++)
        if (!strcmp(words[i], o->word))
            return i;
    fe_unknown(r, o->at, key, o->word, words, (size_t)count);
    return -1;
}

/* How much stages and the combination may append. */
typedef struct {
    size_t layers, losses, metrics, groups;
} room;

static void add_room(const fe_network *file, const fe_stage *stage, room *most)
{
    const fe_choice *c = stage->options;
    const fe_option *head = fe_get(c, "head"), *own = fe_get(c, "losses"), *mine = fe_get(c, "metrics");
    const fe_network *inner = stage->run ? stage->run->net : NULL;
    size_t copies = stage->run ? (size_t)stage->run->file->nstages : 1;
    most->layers += head->present ? (size_t)head->tree->count + 2 : 0;
    most->losses += copies * (own->present ? (size_t)own->tree->count : 1);
    most->losses += (size_t)file->nlosses + 1; /* with a teacher: copies of the file's, and its own */
    most->metrics += copies * ((mine->present ? (size_t)mine->tree->count : 0) + 2 * (size_t)file->nmetrics);
    if (!inner)
        return;
    most->layers += (size_t)inner->nlayers;
    most->losses += (size_t)inner->nlosses;
    most->metrics += (size_t)inner->nmetrics;
    most->groups += (size_t)inner->ngroups;
}

/* With those of the stages' files. */
static int count_stages(const fe_staging *s)
{
    int count = 0;
    for (int i = 0; i < s->file->nstages; i++)
        count += s->file->stages[i].run ? s->file->stages[i].run->file->nstages : 1;
    return count;
}

/* A copy with room for that. */
static fe_network *make_room(fe_staging *s)
{
    const fe_network *file = s->file;
    arena *mem = s->r->mem;
    fe_network *all = arena_make(mem, fe_network);
    size_t scores = (size_t)fe_scores_losses(s, count_stages(s)); /* each of one to three layers */
    room most = {(size_t)file->nlayers + 2, (size_t)file->nlosses + 1, 2 * (size_t)file->nmetrics + 1,
                 (size_t)file->ngroups};
    for (int i = 0; i < file->nstages; i++)
        add_room(file, &file->stages[i], &most);
    most.layers += 3 * scores;
    most.losses += scores;
    most.metrics += scores * (size_t)file->nmetrics;
    *all = *file;
    all->inputs = arena_new_array(mem, fe_input, (size_t)(file->ninputs + file->nstages));
    memcpy(all->inputs, file->inputs, (size_t)file->ninputs * sizeof *all->inputs);
    all->layers = arena_new_array(mem, fe_layer, most.layers);
    all->losses = arena_new_array(mem, fe_loss, most.losses);
    all->metrics = arena_new_array(mem, fe_metric, most.metrics);
    all->groups = arena_new_array(mem, fe_group, most.groups);
    memcpy(all->layers, file->layers, (size_t)file->nlayers * sizeof *all->layers);
    for (int i = 0; i < file->ngroups; i++)
        all->groups[i] = file->groups[i];
    for (int i = 0; i < file->nlosses; i++)
        all->losses[i] = file->losses[i];
    for (int i = 0; i < file->nmetrics; i++) {
        all->metrics[i] = file->metrics[i];
        all->metrics[i].loss = &all->losses[file->metrics[i].loss - file->losses];
    }
    return all;
}

static bool add_stage(fe_staging *s, const fe_stage *read)
{
    if (!strcmp(read->name, "scores"))
        return fe_mismatch(s->r, fe_get(read->options, "name")->at, "name",
                           "another one than that of the net which measures combinations", "'scores'");
    fe_part_stage *stage = &s->stage[s->nstages++];
    *stage = (fe_part_stage){.options = read->options, .name = read->name, .at = read->at};
    stage->first = s->nstages > 1 ? stage[-1].last + 1 : 0;
    stage->last = (int)(read->through - s->file->layers);
    stage->frozen = fe_get_bool(read->options, "frozen");
    for (int k = stage->first; stage->frozen && k <= stage->last; k++)
        s->all->layers[k].trainable = false;
    return fe_read_head(s, stage) && fe_read_stage_losses(s, stage) && fe_read_teacher(s, stage) &&
           fe_read_ways(s, stage);
}

/* A name that is made of a stage's and one of its file's may be there already. */
static bool check_names(const fe_staging *s)
{
    for (int i = 0; i < s->nstages; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(s->stage[i].name, s->stage[k].name))
                return fe_twice(s->r, s->stage[i].at, "stage name", s->stage[i].name, s->stage[k].at);
    return true;
}

/* A key that this schedule has no use for. */
static bool check_schedule(fe_reader *r, const fe_yaml *root, fe_schedule schedule)
{
    const fe_yaml *staging = fe_yaml_find(root, "staging");
    const fe_yaml *rounds = fe_yaml_find(staging, "rounds"), *cache = fe_yaml_find(staging, "cache");
    const char *found = arena_printf(r->mem, "'%s'", schedules[schedule]);
    if (rounds && schedule != FE_ALTERNATING)
        return fe_mismatch(r, rounds->at, "rounds", "'schedule: alternating' with it", found);
    return !cache || schedule != FE_SIMULTANEOUS ||
           fe_mismatch(r, cache->at, "cache", "a schedule in which stages learn in turn", found);
}

static bool read_local_stages(fe_staging *s)
{
    s->stage = arena_new_array(s->r->mem, fe_part_stage, (size_t)count_stages(s) + 1);
    bool ok = true;
    for (int i = 0; i < s->file->nstages && !fe_enough(s->r); i++) {
        const fe_stage *read = &s->file->stages[i];
        ok &= read->run ? fe_add_inner_stages(s, read) : add_stage(s, read);
    }
    return ok && check_names(s);
}

static bool read_local(fe_staging *s, const fe_choice *c)
{
    fe_reader *r = s->r;
    fe_hierarchy *h = s->h = arena_make(r->mem, fe_hierarchy);
    int schedule = choice_of(r, c, "schedule", schedules, 3), cache = choice_of(r, c, "cache", caches, 4);
    if (schedule < 0 || cache < 0 || !check_schedule(r, s->root, (fe_schedule)schedule))
        return false;
    *h = (fe_hierarchy){.schedule = (fe_schedule)schedule, .cache = caches[cache], .rounds = fe_get_int(c, "rounds")};
    if (!s->file->nstages)
        return fe_missing(r, c->at, "network", "stages", "the stages that learn on their own");
    s->all = make_room(s);
    return read_local_stages(s) && fe_read_combination(s) && fe_add_scores(s) && fe_make_parts(s);
}

/* Layers that learn together are one stage, for a file that takes them as its. */
static void take_whole(fe_staging *s)
{
    fe_network *n = s->whole = s->all = s->file;
    s->stage = arena_make(s->r->mem, fe_part_stage);
    s->nstages = 1;
    *s->stage = (fe_part_stage){.name = n->name,
                                .at = n->at,
                                .last = n->nlayers - 1,
                                .head_first = n->nlayers,
                                .answer = n->nlayers - 1,
                                .optimizer = n->optimizer,
                                .train = fe_yaml_find(s->root, "train")};
}

fe_staging *fe_read_staging(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    if (!(root = fe_as_student(r, n, root)))
        return NULL;
    const fe_yaml *y = fe_yaml_find(root, "staging");
    const fe_choice *c = y ? fe_read_options(r, &fe_staging_keys, NULL, y) : NULL;
    int coupling = c ? choice_of(r, c, "coupling", couplings, 2) : 0;
    bool ok = (!y || c) && coupling >= 0;
    ok &= read_stages(r, n, root);
    if (ok && !coupling && !check_coupled(r, n, root, y))
        return NULL;
    if (!ok || diag_errors(r->d)) /* heads and losses of stages are read of networks without an error */
        return NULL;
    fe_staging *s = arena_make(r->mem, fe_staging);
    *s = (fe_staging){.r = r, .root = root, .file = n, .own_losses = n->nlosses};
    if (!coupling)
        take_whole(s);
    return !coupling || read_local(s, c) ? s : NULL;
}
