/* frontend/command/train_stages.c - lamina train of a network whose stages learn on their own.
 *
 * Each part of the description (fe_stages) is compiled to a library of its own, DIR/NAME_STAGE.so; liblamina trains
 * them one after the other (lamina_stages_fit), and the whole takes what they learned: DIR/NAME.so and
 * DIR/weights.safetensors are what ships. The log has a line an epoch, counted over all stages. */
#include "frontend/command/data.h"
#include "frontend/command/scores.h"
#include "frontend/command/session.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    cmd_session *run;
    const fe_hierarchy *h;
    lamina_library **loaded; /* of each part, then of the whole, then of the scores, or NULL */
    lamina_stage_options *part;
    lamina_dataset **own, **own_validation; /* of parts that have data of their own */
    int64_t *records;                       /* of these, before a dry run shortened them */
    lamina_net fields;                      /* see all_fields */
    lamina_stages *stages;
    lamina_dataset *train, *validation, *test;
    lamina_stages_fit_options fit;
    const char *announced; /* the stage that the last words were about */
    int64_t round;
} hierarchy;

/* ---- libraries ---- */

static bool build_part(hierarchy *t, const fe_network *net, int index)
{
    cmd_session *s = t->run;
    ir_module *m = cmd_module(net, &s->o->build, s->d);
    const char *library;
    bool ok = m && cmd_session_build(s, m, &library) && cmd_library(library, &t->loaded[index], s->d);
    ir_module_free(m);
    return ok;
}

static bool build_all(hierarchy *t, ir_module *whole)
{
    const char *library;
    for (int i = 0; i < t->h->count; i++)
        if (!build_part(t, t->h->parts[i].net, i))
            return false;
    if (t->h->scores && !build_part(t, t->h->scores, t->h->count + 1))
        return false;
    return cmd_session_build(t->run, whole, &library) && cmd_library(library, &t->loaded[t->h->count], t->run->d);
}

/* ---- the plan ---- */

/* Everything that any of the networks reads: data of a stage's own may have what the whole does not ask for. */
static const lamina_net *all_fields(hierarchy *t)
{
    if (t->fields.inputs)
        return &t->fields;
    size_t most = 0;
    for (int i = 0; i <= t->h->count; i++)
        most += (size_t)lamina_library_net(t->loaded[i])->input_count;
    lamina_tensor *inputs = arena_new_array(t->run->mem, lamina_tensor, most);
    t->fields = (lamina_net){.name = fe_name(t->run->net), .inputs = inputs};
    for (int i = 0; i <= t->h->count; i++) {
        const lamina_net *net = lamina_library_net(t->loaded[i]);
        for (int32_t k = 0; k < net->input_count; k++)
            if (lamina_net_input(&t->fields, net->inputs[k].name) < 0)
                inputs[t->fields.input_count++] = net->inputs[k];
    }
    return &t->fields;
}

/* A stage has data of its own where its part says other files than the whole. */
static bool open_own_data(hierarchy *t, int index)
{
    cmd_session *s = t->run;
    const fe_network *net = t->h->parts[index].net;
    src_loc own = fe_data(net, "train")->loc, file = fe_data(s->net, "train")->loc;
    if (!fe_data(net, "train")->present ||
        (own.line == file.line && own.col == file.col && !strcmp(own.file, file.file)))
        return true;
    bool ok = cmd_training_data(net, all_fields(t), (uint64_t)s->o->seed, &t->own[index], &t->own_validation[index],
                                NULL, s->d);
    t->records[index] = ok ? lamina_dataset_count(t->own[index]) : 0;
    ok = ok && cmd_session_shorten(s, t->own[index], &t->own_validation[index], NULL);
    t->part[index].train = t->own[index];
    t->part[index].validation = t->own_validation[index];
    return ok;
}

static bool plan_part(hierarchy *t, int index)
{
    const cmd_train_options *o = t->run->o;
    const fe_train *train = fe_train_options(t->h->parts[index].net);
    t->part[index] = cmd_stage_options(t->h, index, lamina_library_net(t->loaded[index]), t->run->mem);
    t->part[index].fit = (lamina_fit_options){.epochs = o->dry_run ? 1 : cmd_session_epochs(t->run, train),
                                              .batch = cmd_session_step(t->run, train)};
    if (!t->part[index].frozen)
        cmd_session_watch(train, &t->part[index].fit);
    return open_own_data(t, index);
}

static lamina_cache cache_of(const fe_hierarchy *h)
{
    static const char *const words[] = {"auto", "memory", "disk", "none"};
    static const lamina_cache caches[] = {LAMINA_CACHE_AUTO, LAMINA_CACHE_MEMORY, LAMINA_CACHE_DISK, LAMINA_CACHE_NONE};
    int i = 0;
    while (strcmp(words[i], h->cache) != 0)
        i++;
    return caches[i];
}

static void plan_whole(hierarchy *t)
{
    const fe_hierarchy *h = t->h;
    const cmd_train_options *o = t->run->o;
    t->fit = (lamina_stages_fit_options){
        .schedule = h->schedule == FE_ALTERNATING ? LAMINA_ALTERNATING : LAMINA_SEQUENTIAL,
        .rounds = o->dry_run ? 1 : h->rounds,
        .cache = cache_of(h),
        .cache_directory = t->run->dir,
        .seed = (uint64_t)o->seed,
        .max_steps = o->max_steps,
        .validation = t->validation,
        .fine_tune = {.epochs = o->dry_run && h->fine_tune_epochs ? 1 : h->fine_tune_epochs,
                      .batch = cmd_session_step(t->run, fe_train_options(t->run->net))},
    };
    if (h->fine_tune_epochs > 0)
        cmd_session_watch(fe_train_options(t->run->net), &t->fit.fine_tune);
}

/* A fault of a teacher's weights file, whose name comes first in the text, stands where the YAML names the file. */
static bool fail_values(const hierarchy *t, const lamina_error *e)
{
    for (int i = 0; i < t->h->count; i++) {
        const fe_part *part = &t->h->parts[i];
        if (!part->teacher || strncmp(e->text, part->weights->path, strlen(part->weights->path)) != 0)
            continue;
        diag_error(t->run->d, part->weights->at, "%s", e->text);
        return false;
    }
    return cmd_session_fail(t->run, e);
}

/* Values to begin with: of initialisers and of the data, then of weights, the whole's and after them each stage's own.
 * A checkpoint has them all. */
static bool begin(hierarchy *t)
{
    cmd_session *s = t->run;
    lamina_error e;
    if (lamina_stages_initialize(t->stages, (uint64_t)s->o->seed, &e) != LAMINA_OK)
        return fail_values(t, &e);
    if (!s->o->resume && lamina_stages_adapt(t->stages, t->train, &e) != LAMINA_OK)
        return cmd_session_fail(s, &e);
    const fe_weights *start = cmd_session_start(s);
    bool ok = !start || cmd_session_transfer(s, start, NULL, t->stages, NULL);
    for (int i = 0; ok && !s->o->resume && i < t->h->count; i++)
        if (t->h->parts[i].weights && !t->h->parts[i].teacher)
            ok = cmd_session_transfer(s, t->h->parts[i].weights, NULL, t->stages, t->h->parts[i].name);
    return ok;
}

/* Everything but the training itself. */
static bool open_stages(hierarchy *t)
{
    cmd_session *s = t->run;
    lamina_error e;
    const lamina_options options = {.workers = s->o->threads, .dedicated = s->o->threads > 1};
    for (int i = 0; i < t->h->count; i++)
        if (!plan_part(t, i))
            return false;
    const lamina_net *whole = lamina_library_net(t->loaded[t->h->count]);
    lamina_library *scores = t->loaded[t->h->count + 1];
    if (lamina_stages_new(whole, t->part, t->h->count, &options, &t->stages, &e) != LAMINA_OK ||
        (scores && lamina_stages_set_scores(t->stages, lamina_library_net(scores), &e) != LAMINA_OK))
        return cmd_session_fail(s, &e);
    const lamina_net *fields = lamina_stages_fields(t->stages);
    if (!cmd_training_data(s->net, fields, (uint64_t)s->o->seed, &t->train, &t->validation, NULL, s->d) ||
        (fe_data(s->net, "test")->present && !cmd_dataset(s->net, "test", whole, (uint64_t)s->o->seed, &t->test, s->d)))
        return false;
    if (!cmd_session_shorten(s, t->train, &t->validation, &t->test))
        return false;
    plan_whole(t);
    return begin(t);
}

/* ---- reports ---- */

/* Epochs of a round's first stages. */
static int64_t epochs_of(const hierarchy *t, int32_t stages)
{
    int64_t epochs = 0;
    for (int32_t i = 0; i < stages && i < t->h->count; i++)
        epochs += t->part[i].frozen ? 0 : t->part[i].fit.epochs;
    return epochs;
}

/* Before this place. A stage's own count goes on from round to round; fine-tuning follows the last one. */
static int64_t epochs_done(const hierarchy *t, const lamina_stages_place *at)
{
    int64_t a_round = epochs_of(t, t->h->count);
    if (at->stage > t->h->count)
        return INT64_MAX;
    if (at->stage == t->h->count)
        return (at->round + 1) * a_round + at->at.epoch;
    return at->round * (a_round - t->part[at->stage].fit.epochs) + epochs_of(t, at->stage) + at->at.epoch;
}

static void announce(hierarchy *t, const lamina_stages_report *r)
{
    if (!t->run->progress || (t->announced == r->stage && t->round == r->round))
        return;
    cmd_session_begin_words(t->run);
    if (r->number > r->count)
        printf("fine-tuning %s\n", r->stage);
    else if (r->rounds > 1)
        printf("stage %s (%" PRId32 " of %" PRId32 ", round %" PRId64 " of %" PRId64 ")\n", r->stage, r->number,
               r->count, r->round, r->rounds);
    else
        printf("stage %s (%" PRId32 " of %" PRId32 ")\n", r->stage, r->number, r->count);
    t->announced = r->stage;
    t->round = r->round;
}

static void log_epoch(const hierarchy *t, const lamina_stages_report *r)
{
    lamina_report line = *r->fit;
    line.epoch = epochs_done(t, &r->at);
    lamina_log_scores(t->run->file_log, r->stage, &line, r->scores, r->score_count);
    if (t->run->json_log)
        lamina_log_scores(t->run->json_log, r->stage, &line, r->scores, r->score_count);
    if (t->run->events)
        lamina_events_stage(t->run->events, r->stage, &line);
}

/* Of a stage that diverges the last good checkpoint stays, as of a net that learns end to end. */
static void keep(hierarchy *t, const lamina_stages_report *r)
{
    bool asked, due = cmd_session_is_due(t->run, r->fit->event, &asked);
    bool keeps = r->fit->event == LAMINA_EVENT_EPOCH && fe_train_options(t->run->net)->keep;
    if ((!due && !keeps) || cmd_not_finite(r->model))
        return;
    if (keeps)
        cmd_session_keep_epoch(t->run, epochs_done(t, &r->at), &r->at);
    if (due && cmd_session_save(t->run, &r->at) && asked)
        cmd_session_tell_saved(t->run, r->fit->total_steps);
}

static void report(void *user, const lamina_stages_report *r)
{
    hierarchy *t = user;
    if (r->event == LAMINA_STAGES_STAGE || cmd_session_note(t->run, r->stage, r->fit))
        return;
    announce(t, r);
    if (r->event == LAMINA_STAGES_EPOCH)
        log_epoch(t, r);
    if (t->run->progress)
        lamina_progress_report(t->run->progress, r->fit);
    if (t->run->progress && r->score_count > 1) {
        cmd_session_begin_words(t->run);
        cmd_print_scores_line(stdout, r->scores, r->score_count);
    }
    keep(t, r);
}

static lamina_status save(void *user, const void *place, const char *path, lamina_error *e)
{
    return lamina_stages_save(((hierarchy *)user)->stages, place, path, e);
}

/* ---- the whole ---- */

static bool find_place(hierarchy *t, lamina_stages_place *at)
{
    lamina_error e;
    cmd_session *s = t->run;
    lamina_status status = s->o->resume ? lamina_stages_load(t->stages, s->checkpoint, t->train, &t->fit, at, &e)
                                        : lamina_stages_start(t->stages, t->train, &t->fit, at, &e);
    return status == LAMINA_OK || cmd_session_fail(s, &e);
}

/* The final report: the whole and each stage on a data set, which may be NULL. */
static bool print_scores(hierarchy *t, const char *name, const lamina_dataset *d)
{
    lamina_error e;
    const lamina_stages_score *scores;
    int32_t count;
    FILE *out = t->run->o->json ? stderr : stdout;
    if (!d || t->run->o->dry_run)
        return true;
    if (lamina_stages_evaluate(t->stages, d, &scores, &count, &e) != LAMINA_OK)
        return cmd_session_fail(t->run, &e);
    cmd_print_scores(out, name, lamina_dataset_count(d), scores, count);
    return true;
}

/* Keep what was learned; of a run that was interrupted in a stage too. */
static bool end(hierarchy *t, lamina_status status, const lamina_stages_place *at, lamina_error *e)
{
    cmd_session *s = t->run;
    lamina_model *whole = NULL;
    if ((status != LAMINA_OK && status != LAMINA_INTERRUPTED) ||
        lamina_stages_model(t->stages, NULL, &whole, e) != LAMINA_OK)
        return cmd_session_fail(s, e);
    return cmd_session_keep(s, whole, at) &&
           (status == LAMINA_INTERRUPTED ||
            (print_scores(t, "validation", t->validation) && print_scores(t, "test", t->test)));
}

/* What each stage would take, and all. */
static void print_dry(hierarchy *t)
{
    cmd_session *s = t->run;
    const fe_train *whole = fe_train_options(s->net);
    double seconds = 0;
    for (int i = 0; i < t->h->count; i++) {
        const fe_train *train = fe_train_options(t->h->parts[i].net);
        int64_t rounds = t->h->rounds > 1 ? t->h->rounds : 1;
        seconds += cmd_session_print_stage(s, t->h->parts[i].name, rounds * cmd_session_epochs(s, train),
                                           t->records[i] ? t->records[i] : s->records, cmd_session_step(s, train));
    }
    seconds +=
        cmd_session_print_stage(s, fe_name(s->net), t->h->fine_tune_epochs, s->records, cmd_session_step(s, whole));
    cmd_session_print_dry(s, seconds, lamina_stages_bytes(t->stages));
}

static int learn(hierarchy *t)
{
    cmd_session *s = t->run;
    lamina_stages_place at;
    lamina_error e;
    if (!open_stages(t) || !find_place(t, &at))
        return cmd_report(s->d, s->o->build.remarks);
    if (!cmd_session_begin(s, &at) || !cmd_session_open_reports(s, epochs_done(t, &at)))
        return cmd_report(s->d, s->o->build.remarks);
    const volatile int32_t *stop = t->fit.stop = cmd_catch_interrupts();
    const lamina_stages_place from = at;
    t->fit.from = &from;
    t->fit.report = report;
    t->fit.user = t;
    lamina_status status = lamina_stages_fit(t->stages, t->train, &t->fit, &at, &e);
    bool ok = end(t, status, &at, &e);
    ok &= cmd_session_close_reports(s);
    if (ok && status == LAMINA_OK && s->o->dry_run)
        print_dry(t);
    else if (ok && status == LAMINA_OK && !s->o->json)
        printf("saved %s\n", s->weights);
    int code = cmd_report(s->d, s->o->build.remarks);
    if (!ok || (status == LAMINA_OK && !cmd_session_judge(s)))
        return EXIT_FAILED;
    if (status != LAMINA_INTERRUPTED)
        return code;
    fprintf(stderr, "interrupted in stage %d; saved to %s: go on with --resume\n", at.stage + 1, s->checkpoint);
    return EXIT_SIGNAL + *stop;
}

int cmd_train_stages(cmd_session *s, ir_module *m)
{
    const fe_hierarchy *h = fe_stages(s->net);
    size_t parts = (size_t)h->count;
    hierarchy t = {.run = s, .h = h};
    t.loaded = arena_new_array(s->mem, lamina_library *, parts + 2);
    t.part = arena_new_array(s->mem, lamina_stage_options, parts);
    t.own = arena_new_array(s->mem, lamina_dataset *, parts);
    t.records = arena_new_array(s->mem, int64_t, parts);
    t.own_validation = arena_new_array(s->mem, lamina_dataset *, parts);
    s->save = save;
    s->user = &t;
    bool ok = build_all(&t, m);
    int code = ok ? learn(&t) : cmd_report(s->d, s->o->build.remarks);
    lamina_stages_free(t.stages);
    for (size_t i = 0; i < parts; i++) {
        if (t.own_validation[i] != t.own[i])
            lamina_dataset_free(t.own_validation[i]);
        lamina_dataset_free(t.own[i]);
    }
    lamina_dataset_free(t.test);
    if (t.validation != t.train)
        lamina_dataset_free(t.validation);
    lamina_dataset_free(t.train);
    for (size_t i = 0; i < parts + 2; i++)
        lamina_library_free(t.loaded[i]);
    return ok || code != EXIT_OK ? code : EXIT_FAILED;
}
