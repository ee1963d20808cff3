/* frontend/command/train.c - lamina train: compile a network, train it on its data, keep what it learned.
 *
 *     DIR/NAME.so, NAME.h         the compiled network, never an old one
 *     DIR/log.jsonl               a line an epoch
 *     DIR/checkpoint/last.safetensors   where to go on from
 *     DIR/weights.safetensors     the parameters, once training ended or was interrupted
 *     DIR/.lock                   held while a process trains there
 *
 * Ctrl-C lets the running step end, saves and exits; --resume goes on to the same bits. A process that is killed has
 * saved a checkpoint now and then, from the very beginning on. What is in DIR is of one run, and no run begins over
 * what another one has learned unless it is told to. */
#include "backend/backend.h"
#include "frontend/command/cmd.h"
#include "frontend/command/data.h"
#include "frontend/command/directory.h"
#include "frontend/command/measure.h"
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

typedef struct {
    cmd_build build;
    const char *out;
    bool resume, overwrite, json;
    int64_t epochs, batch, seed, threads, max_steps;
} train_options;

typedef struct {
    train_options *o;
    const char *dir, *library, *log, *checkpoint, *weights;
    arena *mem;
    fe_network *net;
    lamina_library *loaded;
    lamina_model *model;
    lamina_dataset *train, *validation, *test;
    lamina_progress *progress;
    lamina_log *file_log, *json_log;
    double save_every;             /* seconds, at the latest */
    double saved_at, save_seconds; /* of the last checkpoint: when, and how long it took */
    bool save_failed;
    diag *d;
} session;

static bool fail(session *s, const lamina_error *e)
{
    diag_error(s->d, (src_loc){0}, "%s", e->text);
    return false;
}

/* Compiled anew each time: that takes less than a second, and what lies in DIR already may be damaged, of an older
 * compiler, or come with somebody else's project; opening it would run its code. */
static bool build(session *s, ir_module *m)
{
    be_options library = {BE_SO, s->library, true, NULL};
    be_options header = {BE_HEADER, arena_printf(s->mem, "%s/%s.h", s->dir, m->name), false, NULL};
    return cmd_run_passes(m, &s->o->build, s->d) && be_compile(m, &library, s->d) && be_compile(m, &header, s->d);
}

static void name_files(session *s)
{
    const char *name = fe_name(s->net);
    s->dir = s->o->out ? s->o->out : arena_printf(s->mem, "runs/%s", name);
    s->library = arena_printf(s->mem, "%s/%s.so", s->dir, name);
    s->log = arena_printf(s->mem, "%s/log.jsonl", s->dir);
    s->checkpoint = arena_printf(s->mem, "%s/checkpoint/last.safetensors", s->dir);
    s->weights = arena_printf(s->mem, "%s/weights.safetensors", s->dir);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool check_resume(session *s)
{
    if (!s->o->resume || exists(s->checkpoint))
        return true;
    diag_error(s->d, (src_loc){0}, "%s: there is nothing to go on from: begin without --resume", s->checkpoint);
    return false;
}

static bool check_overwrite(session *s)
{
    if (s->o->resume || s->o->overwrite || (!exists(s->checkpoint) && !exists(s->weights)))
        return true;
    diag_error(s->d, (src_loc){0},
               "%s: holds what another run learned: --resume goes on with it, --overwrite begins anew in its place",
               s->dir);
    return false;
}

/* Make the directory ours. */
static bool enter_directory(session *s)
{
    const char *name = fe_name(s->net), *checkpoints = arena_printf(s->mem, "%s/checkpoint", s->dir);
    if (!check_resume(s) || !cmd_make_directories(s->dir, s->d) || !cmd_make_directories(checkpoints, s->d) ||
        !cmd_lock_directory(s->dir, s->d) || !check_overwrite(s))
        return false;
    cmd_sweep(s->dir, arena_printf(s->mem, "%s.so", name));
    cmd_sweep(s->dir, arena_printf(s->mem, "%s.h", name));
    cmd_sweep(s->dir, arena_printf(s->mem, "%s.key", name));
    cmd_sweep(s->dir, "weights.safetensors");
    cmd_sweep(checkpoints, "last.safetensors");
    return true;
}

/* YAML to a loaded library: everything about the network itself is checked before any data is read. */
static bool open_network(session *s, const char *path)
{
    ir_module *m = cmd_load(path, &s->o->build, s->mem, &s->net, s->d);
    if (m && !s->net)
        diag_error(s->d, (src_loc){path, 0, 0}, "train needs the YAML: an IR text has no data and no schedule");
    bool ok = m && s->net && !diag_errors(s->d);
    if (ok && !fe_data(s->net, "train")->present) {
        diag_error(s->d, (src_loc){path, 0, 0}, "expected 'data:' with a 'train:' set, found none");
        ok = false;
    }
    if (ok)
        name_files(s);
    ok = ok && enter_directory(s) && build(s, m) && cmd_library(s->library, &s->loaded, s->d);
    ir_module_free(m);
    return ok;
}

static bool open_data(session *s)
{
    const lamina_net *compiled = lamina_library_net(s->loaded);
    return cmd_training_data(s->net, compiled, (uint64_t)s->o->seed, &s->train, &s->validation, s->d) &&
           (!fe_data(s->net, "test")->present || cmd_dataset(s->net, "test", compiled, &s->test, s->d));
}

static bool open_model(session *s, lamina_checkpoint *at)
{
    lamina_error e;
    const lamina_net *compiled = lamina_library_net(s->loaded);
    const lamina_options options = {
        .workers = s->o->threads, .dedicated = s->o->threads > 1, .staged = compiled->stage_count > 0};
    *at = (lamina_checkpoint){
        .batch = s->o->batch, .seed = (uint64_t)s->o->seed, .data = lamina_dataset_fingerprint(s->train)};
    if (lamina_model_new(compiled, &options, &s->model, &e) != LAMINA_OK ||
        lamina_initialize(s->model, (uint64_t)s->o->seed, &e) != LAMINA_OK)
        return fail(s, &e);
    if (s->o->resume) {
        const lamina_checkpoint expected = *at;
        if (lamina_load_checkpoint(s->model, s->checkpoint, &expected, at, &e) != LAMINA_OK)
            return fail(s, &e);
        return cmd_check_place(s->model, at, lamina_dataset_count(s->train), s->checkpoint, s->d);
    }
    return true;
}

static bool open_reports(session *s, const lamina_checkpoint *at)
{
    lamina_error e;
    if (lamina_log_resume(s->log, at->epoch, &s->file_log, &e) != LAMINA_OK)
        return fail(s, &e);
    lamina_status ok =
        s->o->json ? lamina_log_new("-", true, &s->json_log, &e) : lamina_progress_new(stdout, &s->progress, &e);
    return ok == LAMINA_OK || fail(s, &e);
}

static bool close_log(session *s, lamina_log **log)
{
    lamina_error e;
    lamina_log *l = *log;
    *log = NULL;
    return lamina_log_free(l, &e) == LAMINA_OK || fail(s, &e);
}

/* ---- saving ---- */

/* Words between two redrawings of the bar. */
static void begin_words(session *s)
{
    if (s->progress)
        lamina_progress_leave(s->progress);
}

static void warn_at_once(session *s, const lamina_error *e)
{
    diag *d = diag_new();
    begin_words(s);
    diag_warning(d, (src_loc){0}, "no checkpoint was saved, and none will be before this is mended: %s", e->text);
    cmd_report(d, false);
    diag_free(d);
}

/* Training goes on without, so that what it learns can still be saved at the end. */
static bool save_checkpoint(session *s, const lamina_checkpoint *at)
{
    lamina_error e;
    double began = cmd_seconds();
    bool saved = lamina_save_checkpoint(s->model, at, s->checkpoint, &e) == LAMINA_OK;
    if (!saved && !s->save_failed)
        warn_at_once(s, &e);
    s->save_failed = !saved;
    s->saved_at = cmd_seconds();
    s->save_seconds = s->saved_at - began;
    return saved;
}

/* At the end of an epoch, as long as saving takes little of the time and small nets are not saved all the time; within
 * one, when the last checkpoint has become old. */
static bool is_due(const session *s, const lamina_report *r)
{
    const double least = 1, times_as_long = 20;
    double since = cmd_seconds() - s->saved_at;
    return since >= s->save_every ||
           (r->event == LAMINA_EVENT_EPOCH && since >= least && since >= times_as_long * s->save_seconds);
}

/* Parameters that broke in this step show in the next one's loss: of a run that diverges the last good checkpoint
 * stays. */
static void keep(session *s, const lamina_report *r)
{
    bool asked = cmd_save_asked();
    if ((!asked && !is_due(s, r)) || cmd_not_finite(s->model) || !save_checkpoint(s, &r->at) || !asked)
        return;
    begin_words(s);
    fprintf(stderr, "saved %s after %" PRId64 " steps\n", s->checkpoint, r->total_steps);
}

static void report(void *user, const lamina_report *r)
{
    session *s = user;
    lamina_log_report(s->file_log, r);
    if (s->json_log)
        lamina_log_report(s->json_log, r);
    if (s->progress)
        lamina_progress_report(s->progress, r);
    keep(s, r);
}

/* From here on the directory is this run's: an earlier one's results go, and a run that is killed at any moment can be
 * resumed. */
static void begin(session *s, const lamina_checkpoint *at)
{
    if (s->o->resume) {
        s->saved_at = cmd_seconds();
        return;
    }
    unlink(s->checkpoint);
    unlink(s->weights);
    save_checkpoint(s, at);
}

/* Each file is tried, whatever became of the other one: where one has no room the other may have. */
static bool save(session *s, const lamina_checkpoint *at)
{
    lamina_error e, f;
    const char *broken = cmd_not_finite(s->model);
    if (broken) {
        diag_error(s->d, (src_loc){0}, "'%s' is not finite after the last step: nothing was saved since the checkpoint",
                   broken);
        return false;
    }
    bool weights = lamina_save_weights(s->model, s->weights, &e) == LAMINA_OK || fail(s, &e);
    bool checkpoint = lamina_save_checkpoint(s->model, at, s->checkpoint, &f) == LAMINA_OK || fail(s, &f);
    if (weights && !checkpoint)
        diag_note(s->d, (src_loc){0}, "the weights were saved to %s", s->weights);
    return weights && checkpoint;
}

static bool print_test(session *s)
{
    lamina_error e;
    const lamina_net *compiled = lamina_library_net(s->loaded);
    double *values = arena_new_array(s->mem, double, (size_t)compiled->metric_count);
    if (!s->test)
        return true;
    if (lamina_evaluate_dataset(s->model, s->test, values, &e) != LAMINA_OK)
        return fail(s, &e);
    FILE *out = s->o->json ? stderr : stdout;
    fprintf(out, "test (%" PRId64 " examples):", lamina_dataset_count(s->test));
    for (int32_t i = 0; i < compiled->metric_count; i++)
        fprintf(out, "%s %s %.4f", i ? "," : "", compiled->metrics[i].name, values[i]);
    fputs("\n", out);
    return true;
}

/* What is left once training ended: false if something was lost. */
static bool end(session *s, lamina_status status, const lamina_checkpoint *at, const lamina_error *e)
{
    bool sound = status == LAMINA_OK || status == LAMINA_INTERRUPTED;
    bool ok = sound ? save(s, at) : fail(s, e);
    ok = ok && (status == LAMINA_INTERRUPTED || print_test(s));
    ok &= close_log(s, &s->file_log);
    ok &= close_log(s, &s->json_log);
    if (ok && status == LAMINA_OK && !s->o->json)
        printf("saved %s\n", s->weights);
    return ok;
}

static int run(session *s)
{
    lamina_checkpoint at;
    lamina_error e;
    if (!open_data(s) || !open_model(s, &at))
        return cmd_report(s->d, s->o->build.remarks);
    begin(s, &at);
    if (!open_reports(s, &at))
        return cmd_report(s->d, s->o->build.remarks);
    const volatile int32_t *stop = cmd_catch_interrupts();
    const lamina_fit_options fit = {.epochs = s->o->epochs,
                                    .batch = s->o->batch,
                                    .max_steps = s->o->max_steps,
                                    .seed = (uint64_t)s->o->seed,
                                    .first_epoch = at.epoch,
                                    .first_step = at.step,
                                    .validation = s->validation,
                                    .report = report,
                                    .user = s,
                                    .stop = stop};
    lamina_status status = lamina_fit(s->model, s->train, &fit, &at, &e);
    bool ok = end(s, status, &at, &e);
    int code = cmd_report(s->d, s->o->build.remarks);
    if (!ok)
        return EXIT_FAILED;
    if (status != LAMINA_INTERRUPTED)
        return code;
    fprintf(stderr, "interrupted after %" PRId64 " steps; saved to %s: go on with --resume\n", lamina_steps(s->model),
            s->checkpoint);
    return EXIT_SIGNAL + *stop;
}

static void close_session(session *s)
{
    lamina_progress_free(s->progress);
    if (s->file_log)
        lamina_log_free(s->file_log, NULL);
    if (s->json_log)
        lamina_log_free(s->json_log, NULL);
    lamina_dataset_free(s->test);
    lamina_dataset_free(s->validation);
    lamina_dataset_free(s->train);
    lamina_model_free(s->model);
    lamina_library_free(s->loaded);
    diag_free(s->d);
    arena_free(s->mem);
}

/* What the command line leaves open the YAML says. */
static void settle_options(session *s)
{
    const fe_train *t = fe_train_options(s->net);
    train_options *o = s->o;
    o->epochs = o->epochs ? o->epochs : t->epochs;
    o->batch = o->batch ? o->batch : t->batch;
    o->seed = o->seed >= 0 ? o->seed : t->seed;
    o->max_steps = o->max_steps ? o->max_steps : t->max_steps;
    o->threads = o->threads ? o->threads : lamina_processors();
    s->save_every = 60 * t->checkpoint_minutes;
}

int cmd_train(int argc, char **argv)
{
    train_options o = {.seed = -1};
    const cmd_option options[] = {
        {"out", "DIR", "where everything goes (default: runs/NAME)", NULL, &o.out, NULL, 0, 0},
        {"resume", NULL, "go on from the checkpoint in DIR", &o.resume, NULL, NULL, 0, 0},
        {"overwrite", NULL, "begin anew in a DIR that holds what another run learned", &o.overwrite, NULL, NULL, 0, 0},
        {"epochs", "N", "instead of the YAML's", NULL, NULL, &o.epochs, 1, 1000000},
        {"batch", "N", "instead of the YAML's", NULL, NULL, &o.batch, 1, 1 << 20},
        {"seed", "N", "instead of the YAML's", NULL, NULL, &o.seed, 0, INT64_MAX},
        {"max-steps", "N", "stop after so many steps", NULL, NULL, &o.max_steps, 1, INT64_MAX},
        {"threads", "N", "workers (default: all processors); the bits do not depend on it", NULL, NULL, &o.threads, 1,
         1024},
        {"json", NULL, "print a JSON line an epoch instead of a bar", &o.json, NULL, NULL, 0, 0},
        CMD_BUILD_OPTIONS(o.build),
        {0}};
    const cmd_syntax syntax = {"train", "lamina train NET.yaml [--out=DIR] [options]",
                               "Compiles a network and trains it on its data. Ctrl-C, TERM and HUP save and end, USR1 "
                               "saves and goes on;\n--resume goes on where a run ended or was killed.",
                               options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    if (o.batch && !o.build.max_batch)
        o.build.max_batch = o.batch;
    cmd_catch_for_training();
    session s = {.o = &o, .mem = arena_new(), .d = diag_new()};
    if (open_network(&s, path)) {
        settle_options(&s);
        code = run(&s);
    } else {
        code = cmd_report(s.d, o.build.remarks);
        code = code == EXIT_OK ? EXIT_FAILED : code;
    }
    close_session(&s);
    return code;
}
