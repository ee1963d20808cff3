/* frontend/command/trial.h - runs that only try: a dry run, which takes two steps of everything, and overfitting, which
 * trains on a few records to see whether the network can learn them at all. */
#ifndef FRONTEND_CMD_TRIAL_H
#define FRONTEND_CMD_TRIAL_H

#include "ir/base/arena.h"
#include "runtime/lamina.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What was seen of a network's or a stage's training. */
typedef struct {
    const char *stage;             /* NULL: the network learns as a whole */
    double first_loss, last_loss;  /* of its first step; over the records after its last epoch */
    double step_seconds;           /* of its last step */
    double validation_seconds;     /* of its last epoch's validation */
    double seconds, total_seconds; /* of the step before, as reports have them */
} cmd_trial_row;

typedef struct {
    cmd_trial_row *rows;
    int count;
} cmd_trial;

/* What a report says, put down in the row of its stage. */
void cmd_trial_note(cmd_trial *t, const char *stage, const lamina_report *r, arena *mem);
/* The row of a stage, or NULL. */
const cmd_trial_row *cmd_trial_find(const cmd_trial *t, const char *stage);
/* Say of each row whether its loss went to nearly 0, which is to below a twentieth of its first one; false if one did
 * not. */
bool cmd_trial_print_overfit(const cmd_trial *t, int64_t records, FILE *out);

/* Shorten a data set, which may be NULL, to its first records, if it has more. */
lamina_status cmd_trial_take(lamina_dataset *d, int64_t most, lamina_error *e);
/* Remove a directory with all in it. */
void cmd_trial_remove(const char *dir);

#endif
