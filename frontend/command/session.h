/* frontend/command/session.h - a training run as the user sees it: its directory, its reports, its checkpoints. What
 * learns in it, one network or the stages of one, is train.c's and train_stages.c's business. */
#ifndef FRONTEND_CMD_SESSION_H
#define FRONTEND_CMD_SESSION_H

#include "frontend/command/cmd.h"
#include "frontend/command/trial.h"
#include "runtime/lamina.h"

typedef struct {
    cmd_build build;
    const char *out;
    bool resume, overwrite, json, tensorboard;
    int64_t epochs, batch, seed, threads, max_steps;
    const char *weights; /* in place of the YAML's; NULL: as it says */
    bool dry_run;        /* two steps of everything, in a directory that goes again */
    int64_t overfit;     /* records to train on and to validate with; 0: all, as the YAML says */
} cmd_train_options;

typedef struct cmd_session cmd_session;
struct cmd_session {
    const cmd_train_options *o;
    const fe_network *net;
    const char *dir, *library, *log, *checkpoint, *weights, *best, *changes;
    arena *mem;
    diag *d;
    lamina_progress *progress;
    lamina_log *file_log, *json_log;
    lamina_events *events; /* NULL: none are written */
    /* Write a checkpoint of 'place', a lamina_checkpoint or lamina_stages_place. */
    lamina_status (*save)(void *user, const void *place, const char *path, lamina_error *e);
    void *user;
    double save_every;             /* seconds, at the latest */
    int64_t save_steps, unsaved;   /* and steps, 0 for any number; steps since the last checkpoint */
    double saved_at, save_seconds; /* of the last checkpoint: when, and how long it took */
    bool save_failed;
    cmd_trial trial;                     /* of a dry run and of overfitting */
    int64_t records, validation_records; /* of a dry run: those that a real one has */
};

/* False, and the error among the session's. */
bool cmd_session_fail(cmd_session *s, const lamina_error *e);
/* Name the files that a network of this name has. */
void cmd_session_name(cmd_session *s, const char *name);
/* Make the directory ours. */
bool cmd_session_enter(cmd_session *s);
/* Put what an earlier run in the directory changed of its YAML before the changes of this one. *more: there was
 * something. False after an error. */
bool cmd_session_recall(cmd_session *s, cmd_build *b, bool *more);
/* Examples of a step: batches, of the command line's or else the YAML's size, as many as `train` accumulates. */
int64_t cmd_session_step(const cmd_session *s, const fe_train *t);
/* What `train` watches, for a run. */
void cmd_session_watch(const fe_train *t, lamina_fit_options *o);
/* How many epochs a run has: what the command line says, else the YAML, and of few records as many as make 300
 * steps. */
int64_t cmd_session_epochs(const cmd_session *s, const fe_train *t);
/* Leave of the data what a trial asks for; of overfitting *validation is then 'train' itself. False after an error. */
bool cmd_session_shorten(cmd_session *s, lamina_dataset *train, lamina_dataset **validation, lamina_dataset **test);
/* Is it only a trial? Then reports are noted for its last words. */
bool cmd_session_note(cmd_session *s, const char *stage, const lamina_report *r);
/* Of overfitting, say whether it worked; false if it did not. */
bool cmd_session_judge(cmd_session *s);
/* The last words of a dry run: of a network or stage that would learn for so many epochs of 'records', in steps of
 * 'batch'; the seconds that this takes. */
double cmd_session_print_stage(cmd_session *s, const char *stage, int64_t epochs, int64_t records, int64_t batch);
/* The whole takes so long, and a model so much memory. */
void cmd_session_print_dry(cmd_session *s, double seconds, size_t bytes);
/* Compile a module to DIR/NAME.so and its header. */
bool cmd_session_build(cmd_session *s, ir_module *m, const char **library);
/* From here on the directory is this run's: an earlier one's results go, and a run that is killed at any moment can be
 * resumed. False after an error. */
bool cmd_session_begin(cmd_session *s, const void *place);
/* Logs that hold what was logged of so many epochs, and the bar. */
bool cmd_session_open_reports(cmd_session *s, int64_t epochs);
/* False if a line of the logs was lost. */
bool cmd_session_close_reports(cmd_session *s);
/* Words between two redrawings of the bar. */
void cmd_session_begin_words(cmd_session *s);
/* Is it time for a checkpoint? *asked: the user wants one. */
bool cmd_session_is_due(cmd_session *s, lamina_event event, bool *asked);
/* Save one; a failure is told once, and the run goes on, so that what it learns can still be saved at the end. */
bool cmd_session_save(cmd_session *s, const void *place);
/* After an epoch, of all that the run has done: keep its checkpoint, and of those kept before the newest. */
void cmd_session_keep_epoch(cmd_session *s, int64_t epoch, const void *place);
/* If the epoch was the best one, keep the model's weights as such. */
void cmd_session_keep_best(cmd_session *s, lamina_model *m, const lamina_report *r);
/* What the last save gave, if the user asked for it. */
void cmd_session_tell_saved(cmd_session *s, int64_t steps);
/* Weights and checkpoint at the end. Each file is tried, whatever became of the other one: where one has no room the
 * other may have. */
bool cmd_session_keep(cmd_session *s, lamina_model *m, const void *place);
/* What led to a loss, or to parameters, that are not finite: do the steps since the last checkpoint of 'run' again, as
 * 'fit' did them, and note what was not finite first. The model is not that of the run's end any more. */
void cmd_diagnose(cmd_session *s, lamina_model *m, const lamina_dataset *train, const lamina_fit_options *fit,
                  const lamina_checkpoint *run);
/* What the whole begins with, by --weights or the YAML; NULL: its initialisers' values, or the checkpoint's. */
const fe_weights *cmd_session_start(cmd_session *s);
/* Begin a model with weights, or (m is NULL) a stage of 'stages', of all of them (NULL); tells at once what does not
 * match. */
bool cmd_session_transfer(cmd_session *s, const fe_weights *w, lamina_model *m, lamina_stages *stages,
                          const char *stage);
/* The metrics of a data set, on a line; 'test' may be NULL. */
bool cmd_session_print_test(cmd_session *s, lamina_model *m, const lamina_dataset *test);

/* Train a network whose stages learn on their own; m is the module of the whole. The exit code. */
int cmd_train_stages(cmd_session *s, ir_module *m);

#endif
