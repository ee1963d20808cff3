/* frontend/command/trial.c - what runs that only try look at, and how they clean up; see trial.h. */
#include "frontend/command/trial.h"
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

static const double near_zero = 1.0 / 20; /* of the first loss */

static int find(const cmd_trial *t, const char *stage)
{
    for (int i = 0; i < t->count; i++)
        if (t->rows[i].stage == stage || (stage && t->rows[i].stage && !strcmp(t->rows[i].stage, stage)))
            return i;
    return -1;
}

const cmd_trial_row *cmd_trial_find(const cmd_trial *t, const char *stage)
{
    int i = find(t, stage);
    return i < 0 ? NULL : &t->rows[i];
}

static cmd_trial_row *row_of(cmd_trial *t, const char *stage, arena *mem)
{
    int i = find(t, stage);
    if (i >= 0)
        return &t->rows[i];
    t->rows = arena_grown(mem, t->rows, (size_t)t->count, sizeof *t->rows);
    t->rows[t->count] = (cmd_trial_row){.stage = stage, .first_loss = NAN, .last_loss = NAN};
    return &t->rows[t->count++];
}

static double loss_of(const lamina_report *r, const double *values)
{
    for (int32_t i = 0; values && i < r->metric_count; i++)
        if (!strcmp(r->metrics[i].name, "loss"))
            return values[i];
    return NAN;
}

void cmd_trial_note(cmd_trial *t, const char *stage, const lamina_report *r, arena *mem)
{
    cmd_trial_row *row = row_of(t, stage, mem);
    if (r->event == LAMINA_EVENT_EPOCH) {
        row->last_loss = loss_of(r, r->validation ? r->validation : r->train);
        row->validation_seconds = r->total_seconds - row->total_seconds;
        return;
    }
    if (isnan(row->first_loss))
        row->first_loss = loss_of(r, r->train);
    row->step_seconds = r->seconds - (r->step > 1 ? row->seconds : 0);
    row->seconds = r->seconds;
    row->total_seconds = r->total_seconds;
}

bool cmd_trial_print_overfit(const cmd_trial *t, int64_t records, FILE *out)
{
    bool all = t->count > 0;
    for (int i = 0; i < t->count; i++) {
        const cmd_trial_row *r = &t->rows[i];
        bool learned = r->last_loss <= near_zero * r->first_loss;
        all &= learned;
        fprintf(out, "overfit: %s%sloss %.4g at first, %.4g of %" PRId64 " records at the end: %s\n",
                r->stage ? r->stage : "", r->stage ? ": " : "", r->first_loss, r->last_loss, records,
                learned ? "it learned them" : "it did not learn them");
    }
    return all;
}

lamina_status cmd_trial_take(lamina_dataset *d, int64_t most, lamina_error *e)
{
    return d && lamina_dataset_count(d) > most ? lamina_dataset_take(d, most, e) : LAMINA_OK;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

void cmd_trial_remove(const char *dir)
{
    enum { OPEN_FILES = 8 };
    nftw(dir, remove_entry, OPEN_FILES, FTW_DEPTH | FTW_PHYS);
}
