/* frontend/command/session_trial.c - what is different in a run that only tries: its data, and its last words. */
#include "frontend/command/session.h"
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

enum { DRY_STEPS = 2, OVERFIT_STEPS = 300 };

int64_t cmd_session_epochs(const cmd_session *s, const fe_train *t)
{
    if (s->o->epochs || !s->o->overfit)
        return s->o->epochs ? s->o->epochs : t->epochs;
    int64_t steps = (s->o->overfit - 1) / cmd_session_step(s, t) + 1, epochs = (OVERFIT_STEPS - 1) / steps + 1;
    return epochs > t->epochs ? epochs : t->epochs;
}

static bool shorten_dry(cmd_session *s, lamina_dataset *train, lamina_dataset *validation, lamina_dataset *test)
{
    lamina_error e;
    int64_t most = DRY_STEPS * cmd_session_step(s, fe_train_options(s->net));
    s->records = lamina_dataset_count(train);
    s->validation_records = validation ? lamina_dataset_count(validation) : 0;
    return (cmd_trial_take(train, most, &e) == LAMINA_OK && cmd_trial_take(validation, most, &e) == LAMINA_OK &&
            cmd_trial_take(test, most, &e) == LAMINA_OK) ||
           cmd_session_fail(s, &e);
}

bool cmd_session_shorten(cmd_session *s, lamina_dataset *train, lamina_dataset **validation, lamina_dataset **test)
{
    lamina_error e;
    if (s->o->dry_run)
        return shorten_dry(s, train, *validation, test ? *test : NULL);
    if (!s->o->overfit)
        return true;
    if (lamina_dataset_take(train, s->o->overfit, &e) != LAMINA_OK) {
        diag_error(s->d, (src_loc){0}, "--overfit: %s", e.text);
        return false;
    }
    lamina_dataset_free(*validation);
    *validation = train;
    if (test) {
        lamina_dataset_free(*test);
        *test = NULL;
    }
    return true;
}

bool cmd_session_note(cmd_session *s, const char *stage, const lamina_report *r)
{
    if (s->o->dry_run || s->o->overfit)
        cmd_trial_note(&s->trial, stage, r, s->mem);
    return s->o->dry_run;
}

bool cmd_session_judge(cmd_session *s)
{
    return !s->o->overfit || cmd_trial_print_overfit(&s->trial, s->o->overfit, s->o->json ? stderr : stdout);
}

double cmd_session_print_stage(cmd_session *s, const char *stage, int64_t epochs, int64_t records, int64_t batch)
{
    const cmd_trial_row *row = cmd_trial_find(&s->trial, stage);
    int64_t steps = (records - 1) / batch + 1, most = DRY_STEPS * cmd_session_step(s, fe_train_options(s->net));
    if (!row)
        return 0;
    double validation = row->validation_seconds;
    if (s->validation_records > most) /* of so many records it was measured */
        validation *= (double)s->validation_records / (double)most;
    printf("%s%s%" PRId64 " epochs of %" PRId64 " steps, %" PRId64 " records: %.3g ms a step, %.3g s an epoch\n",
           stage ? stage : "", stage ? ": " : "", epochs, steps, records, 1e3 * row->step_seconds,
           (double)steps * row->step_seconds + validation);
    return (double)epochs * ((double)steps * row->step_seconds + validation);
}

void cmd_session_print_dry(cmd_session *s, double seconds, size_t bytes)
{
    struct stat file = {0};
    stat(s->checkpoint, &file);
    printf("memory of models %.1f MB; a checkpoint has %.1f MB and took %.3g s\n", 1e-6 * (double)bytes,
           1e-6 * (double)file.st_size, s->save_seconds);
    printf("dry run: all is well; the whole would take about %.3g s, and was not done\n", seconds);
}
