/* frontend/command/train.c - lamina train: compile a network, train it on its data, keep what it learned.
 *
 * Ctrl-C lets the running step end, saves and exits; --resume goes on to the same bits. A process that is killed has
 * saved a checkpoint now and then, from the very beginning on. What lies in the run's directory: session.c. */
#include "frontend/command/data.h"
#include "frontend/command/measure.h"
#include "frontend/command/session.h"
#include <inttypes.h>
#include <stdio.h>

typedef struct {
    cmd_session *run;
    lamina_library *loaded;
    lamina_model *model;
    lamina_dataset *train, *validation, *test;
} training;

static bool open_data(training *t)
{
    const lamina_net *compiled = lamina_library_net(t->loaded);
    cmd_session *s = t->run;
    return cmd_training_data(s->net, compiled, (uint64_t)s->o->seed, &t->train, &t->validation, &t->test, s->d) &&
           cmd_session_shorten(s, t->train, &t->validation, &t->test);
}

static bool open_model(training *t, lamina_checkpoint *at)
{
    lamina_error e;
    cmd_session *s = t->run;
    const lamina_net *compiled = lamina_library_net(t->loaded);
    const lamina_options options = {
        .workers = s->o->threads, .dedicated = s->o->threads > 1, .staged = compiled->stage_count > 0};
    *at = (lamina_checkpoint){.batch = cmd_session_step(s, fe_train_options(s->net)),
                              .seed = (uint64_t)s->o->seed,
                              .data = lamina_dataset_fingerprint(t->train)};
    if (lamina_model_new(compiled, &options, &t->model, &e) != LAMINA_OK ||
        lamina_initialize(t->model, (uint64_t)s->o->seed, &e) != LAMINA_OK)
        return cmd_session_fail(s, &e);
    if (!s->o->resume && lamina_adapt(t->model, t->train, &e) != LAMINA_OK)
        return cmd_session_fail(s, &e);
    if (s->o->resume) {
        const lamina_checkpoint expected = *at;
        if (lamina_load_checkpoint(t->model, s->checkpoint, &expected, at, &e) != LAMINA_OK)
            return cmd_session_fail(s, &e);
        return cmd_check_place(t->model, at, lamina_dataset_count(t->train), s->checkpoint, s->d);
    }
    const fe_weights *start = cmd_session_start(s);
    return !start || cmd_session_transfer(s, start, t->model, NULL, NULL);
}

static lamina_status save(void *user, const void *place, const char *path, lamina_error *e)
{
    return lamina_save_checkpoint(((training *)user)->model, place, path, e);
}

/* Parameters that broke in this step show in the next one's loss: of a run that diverges the last good checkpoint
 * stays. */
static void keep(training *t, const lamina_report *r)
{
    bool asked, due = cmd_session_is_due(t->run, r->event, &asked);
    const fe_train *o = fe_train_options(t->run->net);
    bool keeps = r->event == LAMINA_EVENT_EPOCH && (o->keep || o->keep_best);
    if ((!due && !keeps) || cmd_not_finite(t->model))
        return;
    cmd_session_keep_best(t->run, t->model, r);
    if (keeps)
        cmd_session_keep_epoch(t->run, r->epoch, &r->at);
    if (due && cmd_session_save(t->run, &r->at) && asked)
        cmd_session_tell_saved(t->run, r->total_steps);
}

static void report(void *user, const lamina_report *r)
{
    training *t = user;
    if (cmd_session_note(t->run, NULL, r))
        return;
    lamina_log_report(t->run->file_log, r);
    if (t->run->json_log)
        lamina_log_report(t->run->json_log, r);
    if (t->run->events)
        lamina_events_report(t->run->events, r);
    if (t->run->progress)
        lamina_progress_report(t->run->progress, r);
    keep(t, r);
}

/* What is left once training ended: false if something was lost. */
static bool end(training *t, lamina_status status, const lamina_checkpoint *at, const lamina_error *e)
{
    cmd_session *s = t->run;
    bool sound = status == LAMINA_OK || status == LAMINA_INTERRUPTED;
    bool ok = sound ? cmd_session_keep(s, t->model, at) : cmd_session_fail(s, e);
    ok = ok && (status == LAMINA_INTERRUPTED || cmd_session_print_test(s, t->model, t->test));
    ok &= cmd_session_close_reports(s);
    if (!ok || status != LAMINA_OK)
        return ok;
    if (s->o->dry_run)
        cmd_session_print_dry(s, cmd_session_print_stage(s, NULL, s->o->epochs, s->records, at->batch),
                              lamina_model_bytes(t->model));
    else if (!s->o->json)
        printf("saved %s\n", s->weights);
    return true;
}

static int learn(training *t)
{
    lamina_checkpoint at;
    lamina_error e;
    cmd_session *s = t->run;
    if (!open_data(t) || !open_model(t, &at))
        return cmd_report(s->d, s->o->build.remarks);
    if (!cmd_session_begin(s, &at) || !cmd_session_open_reports(s, at.epoch))
        return cmd_report(s->d, s->o->build.remarks);
    const volatile int32_t *stop = cmd_catch_interrupts();
    lamina_fit_options fit = {.epochs = s->o->dry_run ? 1 : s->o->epochs,
                              .batch = at.batch,
                              .max_steps = s->o->max_steps,
                              .seed = (uint64_t)s->o->seed,
                              .first_epoch = at.epoch,
                              .first_step = at.step,
                              .validation = t->validation,
                              .report = report,
                              .user = t,
                              .stop = stop};
    cmd_session_watch(fe_train_options(s->net), &fit);
    const lamina_checkpoint run = at;
    lamina_status status = lamina_fit(t->model, t->train, &fit, &at, &e);
    bool ok = end(t, status, &at, &e);
    if (status == LAMINA_NOT_FINITE || (!ok && cmd_not_finite(t->model)))
        cmd_diagnose(s, t->model, t->train, &fit, &run);
    int code = cmd_report(s->d, s->o->build.remarks);
    if (!ok || (status == LAMINA_OK && !cmd_session_judge(s)))
        return EXIT_FAILED;
    if (status != LAMINA_INTERRUPTED)
        return code;
    fprintf(stderr, "interrupted after %" PRId64 " steps; saved to %s: go on with --resume\n", lamina_steps(t->model),
            s->checkpoint);
    return EXIT_SIGNAL + *stop;
}

static int train_end_to_end(cmd_session *s, ir_module *m)
{
    training t = {.run = s};
    const char *library;
    s->save = save;
    s->user = &t;
    bool ok = cmd_session_build(s, m, &library) && cmd_library(library, &t.loaded, s->d);
    int code = ok ? learn(&t) : cmd_report(s->d, s->o->build.remarks);
    code = ok || code != EXIT_OK ? code : EXIT_FAILED;
    lamina_dataset_free(t.test);
    if (t.validation != t.train)
        lamina_dataset_free(t.validation);
    lamina_dataset_free(t.train);
    lamina_model_free(t.model);
    lamina_library_free(t.loaded);
    return code;
}

/* ---- the command ---- */

/* YAML to a module: everything about the network itself is checked before any data is read. */
static ir_module *load(cmd_session *s, const char *path)
{
    fe_network *net;
    ir_module *m = cmd_load(path, &s->o->build, s->mem, &net, s->d);
    s->net = net;
    if (m && !net)
        diag_error(s->d, (src_loc){path, 0, 0}, "train needs the YAML: an IR text has no data and no schedule");
    if (m && net && !diag_errors(s->d) && !fe_data(net, "train")->present)
        diag_error(s->d, (src_loc){path, 0, 0}, "expected 'data:' with a 'train:' set, found none");
    if (m && !diag_errors(s->d))
        return m;
    ir_module_free(m);
    return NULL;
}

/* A run that goes on is that of the YAML as it was changed, with what is changed now. The directory is called as the
 * network, which may take a first reading. */
static ir_module *load_resumed(cmd_session *s, const char *path, cmd_train_options *o)
{
    bool more;
    ir_module *m = o->out ? NULL : load(s, path);
    if (!o->out && !m)
        return NULL;
    cmd_session_name(s, o->out ? "" : fe_name(s->net));
    bool ok = cmd_session_recall(s, &o->build, &more);
    if (ok && m && !more)
        return m;
    ir_module_free(m);
    if (ok)
        diag_clear(s->d);
    return ok ? load(s, path) : NULL;
}

/* What the command line leaves open the YAML says; of stages each one's own keys do. */
static void settle_options(cmd_session *s, cmd_train_options *o)
{
    const fe_train *t = fe_train_options(s->net);
    bool stages = fe_stages(s->net);
    o->epochs = stages ? o->epochs : cmd_session_epochs(s, t);
    o->seed = o->seed >= 0 ? o->seed : t->seed;
    o->max_steps = o->max_steps ? o->max_steps : t->max_steps;
    o->threads = o->threads ? o->threads : lamina_processors();
    s->save_every = 60 * t->checkpoint_minutes;
    s->save_steps = t->checkpoint_steps;
}

static int train(cmd_session *s, const char *path, cmd_train_options *o)
{
    ir_module *m = o->resume ? load_resumed(s, path, o) : load(s, path);
    int code = EXIT_FAILED;
    if (m) {
        cmd_session_name(s, fe_name(s->net));
        settle_options(s, o);
        if (cmd_session_enter(s))
            code = fe_stages(s->net) ? cmd_train_stages(s, m) : train_end_to_end(s, m);
        else
            code = cmd_report(s->d, o->build.remarks);
    } else {
        code = cmd_report(s->d, o->build.remarks);
    }
    ir_module_free(m);
    cmd_session_close_reports(s);
    return code == EXIT_OK && diag_errors(s->d) ? EXIT_FAILED : code;
}

/* All of it, in a directory that is gone afterwards. */
static int try_out(cmd_session *s, const char *path, cmd_train_options *o)
{
    const char *run = cmd_temporary(s->mem, "run", s->d);
    if (!run)
        return cmd_report(s->d, false);
    o->out = run;
    int code = train(s, path, o);
    cmd_trial_remove(run);
    cmd_temporary_remove(s->mem, run);
    return code;
}

int cmd_train(int argc, char **argv)
{
    cmd_train_options o = {.seed = -1};
    const cmd_option options[] = {
        {"out", "DIR", "where everything goes (default: runs/NAME)", NULL, &o.out, NULL, 0, 0},
        {"resume", NULL, "go on from the checkpoint in DIR", &o.resume, NULL, NULL, 0, 0},
        {"overwrite", NULL, "begin anew in a DIR that holds what another run learned", &o.overwrite, NULL, NULL, 0, 0},
        {"weights", "FILE", "begin with another network's, where names and shapes agree", NULL, &o.weights, NULL, 0, 0},
        {"epochs", "N", "instead of the YAML's", NULL, NULL, &o.epochs, 1, 1000000},
        {"batch", "N", "instead of the YAML's", NULL, NULL, &o.batch, 1, 1 << 20},
        {"seed", "N", "instead of the YAML's", NULL, NULL, &o.seed, 0, INT64_MAX},
        {"max-steps", "N", "stop after so many steps", NULL, NULL, &o.max_steps, 1, INT64_MAX},
        {"threads", "N", "workers (default: all processors); the bits do not depend on it", NULL, NULL, &o.threads, 1,
         1024},
        {"dry-run", NULL, "two steps of everything in a temporary directory, and how long the whole would take",
         &o.dry_run, NULL, NULL, 0, 0},
        {"overfit", "N", "train and validate on the first N records: does the loss go to nearly 0?", NULL, NULL,
         &o.overfit, 1, INT64_MAX},
        {"json", NULL, "print a JSON line an epoch instead of a bar", &o.json, NULL, NULL, 0, 0},
        {"tensorboard", NULL, "write event files for TensorBoard to DIR, too", &o.tensorboard, NULL, NULL, 0, 0},
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
    if (o.dry_run && (o.resume || o.overfit)) {
        fputs("lamina train: --dry-run: expected neither --resume nor --overfit with it\n", stderr);
        return EXIT_USAGE;
    }
    if (o.batch && !o.build.max_batch)
        o.build.max_batch = o.batch;
    cmd_catch_for_training();
    cmd_session s = {.o = &o, .mem = arena_new(), .d = diag_new()};
    code = o.dry_run ? try_out(&s, path, &o) : train(&s, path, &o);
    diag_free(s.d);
    arena_free(s.mem);
    return code;
}
