/* frontend/command/train.c - lamina train: compile a network, train it on its data, keep what it learned.
 *
 *     DIR/NAME.so, NAME.h         the compiled network, never an old one
 *     DIR/log.jsonl               a line an epoch
 *     DIR/checkpoint/last.safetensors   where to go on from
 *     DIR/weights.safetensors     the parameters
 *
 * Ctrl-C lets the running step end, saves the checkpoint and exits 130; --resume goes on to the same bits. */
#include "backend/backend.h"
#include "frontend/command/cmd.h"
#include "frontend/command/data.h"
#include <inttypes.h>
#include <stdio.h>

typedef struct {
    cmd_build build;
    const char *out;
    bool resume, json;
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
    ok = ok && cmd_make_directories(s->dir, s->d) &&
         cmd_make_directories(arena_printf(s->mem, "%s/checkpoint", s->dir), s->d) && build(s, m) &&
         cmd_library(s->library, &s->loaded, s->d);
    ir_module_free(m);
    return ok;
}

static bool open_data(session *s)
{
    const lamina_net *compiled = lamina_library_net(s->loaded);
    const fe_data_set *validation = fe_data(s->net, "validation");
    lamina_error e;
    if (!cmd_dataset(s->net, "train", compiled, &s->train, s->d))
        return false;
    if (validation->present && validation->split > 0) {
        if (lamina_dataset_split(s->train, validation->split, (uint64_t)s->o->seed, &s->validation, &e) != LAMINA_OK)
            return fail(s, &e);
    } else if (validation->present && !cmd_dataset(s->net, "validation", compiled, &s->validation, s->d)) {
        return false;
    }
    return !fe_data(s->net, "test")->present || cmd_dataset(s->net, "test", compiled, &s->test, s->d);
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
    }
    return true;
}

static bool open_reports(session *s)
{
    lamina_error e;
    if (lamina_log_new(s->log, s->o->resume, &s->file_log, &e) != LAMINA_OK)
        return fail(s, &e);
    lamina_status ok = s->o->json ? lamina_log_new("/dev/stdout", true, &s->json_log, &e)
                                  : lamina_progress_new(stdout, &s->progress, &e);
    return ok == LAMINA_OK || fail(s, &e);
}

static void report(void *user, const lamina_report *r)
{
    session *s = user;
    lamina_log_report(s->file_log, r);
    if (s->json_log)
        lamina_log_report(s->json_log, r);
    if (s->progress)
        lamina_progress_report(s->progress, r);
}

static bool save(session *s, const lamina_checkpoint *at)
{
    lamina_error e;
    if (lamina_save_checkpoint(s->model, at, s->checkpoint, &e) != LAMINA_OK ||
        lamina_save_weights(s->model, s->weights, &e) != LAMINA_OK)
        return fail(s, &e);
    return true;
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

static int run(session *s)
{
    lamina_checkpoint at;
    lamina_error e;
    if (!open_data(s) || !open_model(s, &at) || !open_reports(s))
        return cmd_report(s->d, s->o->build.remarks);
    const lamina_fit_options fit = {.epochs = s->o->epochs,
                                    .batch = s->o->batch,
                                    .max_steps = s->o->max_steps,
                                    .seed = (uint64_t)s->o->seed,
                                    .first_epoch = at.epoch,
                                    .first_step = at.step,
                                    .validation = s->validation,
                                    .report = report,
                                    .user = s,
                                    .stop = cmd_catch_interrupts()};
    lamina_status status = lamina_fit(s->model, s->train, &fit, &at, &e);
    if (status != LAMINA_OK && status != LAMINA_INTERRUPTED) {
        /* Of a run that diverged the last good checkpoint stays. */
        diag_error(s->d, (src_loc){0}, "%s", e.text);
        cmd_report(s->d, s->o->build.remarks);
        return EXIT_FAILED;
    }
    if (!save(s, &at)) {
        cmd_report(s->d, s->o->build.remarks);
        return EXIT_FAILED;
    }
    if (status == LAMINA_INTERRUPTED) {
        fprintf(stderr, "interrupted after %" PRId64 " steps; saved to %s: go on with --resume\n",
                lamina_steps(s->model), s->checkpoint);
        return EXIT_INTERRUPTED;
    }
    if (!print_test(s)) {
        cmd_report(s->d, s->o->build.remarks);
        return EXIT_FAILED;
    }
    if (!s->o->json)
        printf("saved %s\n", s->weights);
    return cmd_report(s->d, s->o->build.remarks);
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
}

int cmd_train(int argc, char **argv)
{
    train_options o = {.seed = -1};
    const cmd_option options[] = {
        {"out", "DIR", "where everything goes (default: runs/NAME)", NULL, &o.out, NULL, 0, 0},
        {"resume", NULL, "go on from the checkpoint in DIR", &o.resume, NULL, NULL, 0, 0},
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
                               "Compiles a network and trains it on its data; Ctrl-C saves, --resume goes on.",
                               options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    if (o.batch && !o.build.max_batch)
        o.build.max_batch = o.batch;
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
