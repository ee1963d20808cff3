/* frontend/command/session.c - the directory, the reports and the checkpoints of a training run.
 *
 *     DIR/NAME.so, NAME.h         the compiled network, never an old one; of stages each one's own beside it
 *     DIR/log.jsonl               a line an epoch
 *     DIR/checkpoint/last.safetensors   where to go on from
 *     DIR/checkpoint/epoch-7.safetensors  the same after an epoch, as many as `keep` says
 *     DIR/best.safetensors        with `keep_best`, the parameters after the best epoch
 *     DIR/weights.safetensors     the parameters, once training ended or was interrupted
 *     DIR/set.txt                 what --set changed of the YAML, a line each
 *     DIR/.lock                   held while a process trains there
 *
 * What is in DIR is of one run, and no run begins over what another one has learned unless it is told to. */
#include "frontend/command/session.h"
#include "backend/backend.h"
#include "backend/library/link.h"
#include "frontend/command/data.h"
#include "frontend/command/directory.h"
#include "frontend/command/measure.h"
#include "frontend/command/values.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool cmd_session_fail(cmd_session *s, const lamina_error *e)
{
    diag_error(s->d, (src_loc){0}, "%s", e->text);
    return false;
}

/* Compiled anew each time: that takes less than a second, and what lies in DIR already may be damaged, of an older
 * compiler, or come with somebody else's project; opening it would run its code. */
bool cmd_session_build(cmd_session *s, ir_module *m, const char **library)
{
    *library = arena_printf(s->mem, "%s/%s.so", s->dir, m->name);
    cmd_sweep(s->dir, arena_printf(s->mem, "%s.so", m->name));
    cmd_sweep(s->dir, arena_printf(s->mem, "%s.h", m->name));
    be_options object = {BE_SO, *library, true, NULL};
    be_options header = {BE_HEADER, arena_printf(s->mem, "%s/%s.h", s->dir, m->name), false, NULL};
    return cmd_run_passes(m, &s->o->build, s->d) && be_compile(m, &object, s->d) && be_compile(m, &header, s->d);
}

void cmd_session_name(cmd_session *s, const char *name)
{
    s->dir = s->o->out ? s->o->out : arena_printf(s->mem, "runs/%s%s", name, s->o->overfit ? "_overfit" : "");
    s->log = arena_printf(s->mem, "%s/log.jsonl", s->dir);
    s->checkpoint = arena_printf(s->mem, "%s/checkpoint/last.safetensors", s->dir);
    s->weights = arena_printf(s->mem, "%s/weights.safetensors", s->dir);
    s->best = arena_printf(s->mem, "%s/best.safetensors", s->dir);
    s->changes = arena_printf(s->mem, "%s/set.txt", s->dir);
}

int64_t cmd_session_step(const cmd_session *s, const fe_train *t)
{
    return (s->o->batch ? s->o->batch : t->batch) * t->accumulate;
}

void cmd_session_watch(const fe_train *t, lamina_fit_options *o)
{
    static const lamina_mode modes[] = {LAMINA_MODE_AUTO, LAMINA_MODE_MIN, LAMINA_MODE_MAX};
    const fe_watch *stop = &t->early_stopping, *plateau = &t->plateau;
    const fe_watch best = {.metric = "validation.loss", .patience = INT64_MAX}; /* looks on, and never stops */
    stop = t->keep_best && !stop->present ? &best : stop;
    o->early_stopping =
        (lamina_early_stopping){{stop->metric, modes[stop->mode], stop->patience, stop->min_delta}, stop->restore_best};
    o->plateau = (lamina_plateau){{plateau->metric, modes[plateau->mode], plateau->patience, plateau->min_delta},
                                  plateau->factor,
                                  plateau->minimum,
                                  plateau->cooldown};
}

/* A change that is made again counts where it is made again. */
static bool is_among(const char *line, const char *const *changes)
{
    for (; *changes; changes++)
        if (!strcmp(line, *changes))
            return true;
    return false;
}

/* The lines of a file; NULL behind the last. */
static const char **read_lines(const char *path, arena *mem)
{
    text content = {0};
    const char **lines = arena_new_array(mem, const char *, 1);
    int count = 0;
    if (text_read_file(&content, path))
        for (char *line = arena_strdup(mem, text_get(&content)), *end; (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            lines = arena_grown(mem, lines, (size_t)count, sizeof *lines);
            lines[count++] = line;
        }
    text_free(&content);
    lines = arena_grown(mem, lines, (size_t)count, sizeof *lines);
    lines[count] = NULL;
    return lines;
}

bool cmd_session_recall(cmd_session *s, cmd_build *b, bool *more)
{
    const char *all[CMD_MOST_CHANGES + 1] = {0};
    int count = 0;
    for (const char **line = read_lines(s->changes, s->mem); *line && count <= CMD_MOST_CHANGES; line++)
        if (!is_among(*line, b->changes))
            all[count++] = *line;
    *more = count > 0;
    for (const char *const *c = b->changes; *c && count <= CMD_MOST_CHANGES; c++)
        all[count++] = *c;
    if (count > CMD_MOST_CHANGES) {
        diag_error(s->d, (src_loc){s->changes, 0, 0}, "expected at most %d changes, with those of --set",
                   CMD_MOST_CHANGES);
        return false;
    }
    memcpy(b->changes, all, sizeof all);
    return true;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool check_resume(cmd_session *s)
{
    if (!s->o->resume || exists(s->checkpoint))
        return true;
    diag_error(s->d, (src_loc){0}, "%s: there is nothing to go on from: begin without --resume", s->checkpoint);
    return false;
}

static bool check_overwrite(cmd_session *s)
{
    if (s->o->resume || s->o->overwrite || (!exists(s->checkpoint) && !exists(s->weights)))
        return true;
    diag_error(s->d, (src_loc){0},
               "%s: holds what another run learned: --resume goes on with it, --overwrite begins anew in its place",
               s->dir);
    return false;
}

bool cmd_session_enter(cmd_session *s)
{
    const char *name = fe_name(s->net), *checkpoints = arena_printf(s->mem, "%s/checkpoint", s->dir);
    if (!check_resume(s) || !cmd_make_directories(s->dir, s->d) || !cmd_make_directories(checkpoints, s->d) ||
        !cmd_lock_directory(s->dir, s->d) || !check_overwrite(s))
        return false;
    cmd_sweep(s->dir, arena_printf(s->mem, "%s.key", name));
    cmd_sweep(s->dir, "weights.safetensors");
    cmd_sweep(s->dir, "best.safetensors");
    cmd_sweep(s->dir, "set.txt");
    cmd_sweep(checkpoints, "last.safetensors");
    return true;
}

bool cmd_session_open_reports(cmd_session *s, int64_t epochs)
{
    lamina_error e;
    if (lamina_log_resume(s->log, epochs, &s->file_log, &e) != LAMINA_OK)
        return cmd_session_fail(s, &e);
    if (s->o->dry_run)
        return true;
    if (s->o->tensorboard && lamina_events_new(s->dir, epochs, &s->events, &e) != LAMINA_OK)
        return cmd_session_fail(s, &e);
    lamina_status ok =
        s->o->json ? lamina_log_new("-", true, &s->json_log, &e) : lamina_progress_new(stdout, &s->progress, &e);
    return ok == LAMINA_OK || cmd_session_fail(s, &e);
}

static bool close_log(cmd_session *s, lamina_log **log)
{
    lamina_error e;
    lamina_log *l = *log;
    *log = NULL;
    return lamina_log_free(l, &e) == LAMINA_OK || cmd_session_fail(s, &e);
}

bool cmd_session_close_reports(cmd_session *s)
{
    lamina_error e;
    bool file = close_log(s, &s->file_log), json = close_log(s, &s->json_log);
    bool events = lamina_events_free(s->events, &e) == LAMINA_OK || cmd_session_fail(s, &e);
    lamina_progress_free(s->progress);
    s->progress = NULL;
    s->events = NULL;
    return file && json && events;
}

/* ---- saving ---- */

/* Words between two redrawings of the bar. */
void cmd_session_begin_words(cmd_session *s)
{
    if (s->progress)
        lamina_progress_leave(s->progress);
}

static void warn_at_once(cmd_session *s, const lamina_error *e)
{
    diag *d = diag_new();
    cmd_session_begin_words(s);
    diag_warning(d, (src_loc){0}, "no checkpoint was saved, and none will be before this is mended: %s", e->text);
    cmd_report(d, false);
    diag_free(d);
}

bool cmd_session_save(cmd_session *s, const void *place)
{
    lamina_error e;
    double began = cmd_seconds();
    bool saved = s->save(s->user, place, s->checkpoint, &e) == LAMINA_OK;
    if (!saved && !s->save_failed)
        warn_at_once(s, &e);
    s->save_failed = !saved;
    s->unsaved = 0;
    s->saved_at = cmd_seconds();
    s->save_seconds = s->saved_at - began;
    return saved;
}

/* At the end of an epoch, as long as saving takes little of the time and small nets are not saved all the time; within
 * one, when the last checkpoint has become old. */
bool cmd_session_is_due(cmd_session *s, lamina_event event, bool *asked)
{
    const double least = 1, times_as_long = 20;
    s->unsaved += event == LAMINA_EVENT_STEP;
    double since = cmd_seconds() - s->saved_at;
    *asked = cmd_save_asked();
    return *asked || since >= s->save_every || (s->save_steps > 0 && s->unsaved >= s->save_steps) ||
           (event == LAMINA_EVENT_EPOCH && since >= least && since >= times_as_long * s->save_seconds);
}

void cmd_session_tell_saved(cmd_session *s, int64_t steps)
{
    cmd_session_begin_words(s);
    fprintf(stderr, "saved %s after %" PRId64 " steps\n", s->checkpoint, steps);
}

static int64_t epoch_of(const char *name)
{
    int64_t epoch = 0;
    int end = 0;
    bool ok = sscanf(name, "epoch-%9" SCNd64 ".safetensors%n", &epoch, &end) == 1 && end && !name[end];
    return ok ? epoch : 0;
}

/* Checkpoints of epochs up to this one. */
static void remove_epochs(const cmd_session *s, int64_t last)
{
    text path = {0};
    text_printf(&path, "%s/checkpoint", s->dir);
    DIR *folder = opendir(text_get(&path));
    text_free(&path);
    for (const struct dirent *e; folder && (e = readdir(folder));)
        if (epoch_of(e->d_name) > 0 && epoch_of(e->d_name) <= last)
            unlinkat(dirfd(folder), e->d_name, 0);
    if (folder)
        closedir(folder);
}

void cmd_session_keep_epoch(cmd_session *s, int64_t epoch, const void *place)
{
    lamina_error e;
    int64_t count = fe_train_options(s->net)->keep;
    text path = {0};
    if (!count)
        return;
    text_printf(&path, "%s/checkpoint/epoch-%" PRId64 ".safetensors", s->dir, epoch);
    if (s->save(s->user, place, text_get(&path), &e) != LAMINA_OK)
        warn_at_once(s, &e);
    else
        remove_epochs(s, epoch - count);
    text_free(&path);
}

void cmd_session_keep_best(cmd_session *s, lamina_model *m, const lamina_report *r)
{
    lamina_error e;
    bool best = r->event == LAMINA_EVENT_EPOCH && fe_train_options(s->net)->keep_best && r->best_epoch == r->epoch;
    if (best && lamina_save_weights(m, s->best, &e) != LAMINA_OK)
        warn_at_once(s, &e);
}

/* Before the first checkpoint, since a run that goes on from it needs them. */
static bool write_changes(cmd_session *s)
{
    text lines = {0};
    for (const char *const *c = s->o->build.changes; *c; c++)
        text_printf(&lines, "%s\n", *c);
    bool ok = true;
    if (lines.length)
        ok = be_write_file(s->changes, text_get(&lines), lines.length, s->d);
    else
        unlink(s->changes);
    text_free(&lines);
    return ok;
}

bool cmd_session_begin(cmd_session *s, const void *place)
{
    if (s->o->resume) {
        s->saved_at = cmd_seconds();
        return write_changes(s);
    }
    unlink(s->checkpoint);
    unlink(s->weights);
    unlink(s->best);
    remove_epochs(s, INT64_MAX);
    bool ok = write_changes(s);
    if (ok)
        cmd_session_save(s, place);
    return ok;
}

bool cmd_session_keep(cmd_session *s, lamina_model *m, const void *place)
{
    lamina_error e, f;
    const char *broken = cmd_not_finite(m);
    if (broken) {
        diag_error(s->d, (src_loc){0}, "'%s' is not finite after the last step: nothing was saved since the checkpoint",
                   broken);
        return false;
    }
    bool weights = lamina_save_weights(m, s->weights, &e) == LAMINA_OK || cmd_session_fail(s, &e);
    bool checkpoint = s->save(s->user, place, s->checkpoint, &f) == LAMINA_OK || cmd_session_fail(s, &f);
    if (weights && !checkpoint)
        diag_note(s->d, (src_loc){0}, "the weights were saved to %s", s->weights);
    return weights && checkpoint;
}

bool cmd_session_print_test(cmd_session *s, lamina_model *m, const lamina_dataset *test)
{
    lamina_error e;
    const lamina_net *net = lamina_model_net(m);
    double *values = arena_new_array(s->mem, double, (size_t)net->metric_count);
    if (!test)
        return true;
    if (lamina_evaluate_dataset(m, test, values, &e) != LAMINA_OK)
        return cmd_session_fail(s, &e);
    if (s->o->dry_run)
        return true;
    cmd_print_values(s->o->json ? stderr : stdout, &(cmd_values){m, s->net, test, "test", values});
    cmd_check_metrics(m, test, "test", values, s->d); /* what was learned is sound, and saved */
    return true;
}
