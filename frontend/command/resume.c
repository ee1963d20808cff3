/* frontend/command/resume.c - whether a checkpoint says the same thing everywhere.
 *
 * A run takes the same number of steps in each epoch and has one seed, so its place, the steps it counted and the
 * states that its network keeps of both are one fact told several times. A checksum finds damage, this what somebody
 * wrote there. */
#include "frontend/command/data.h"
#include <inttypes.h>

/* The steps taken before a place in a run; -1 if there are more than can be counted. */
static int64_t steps_before(const lamina_checkpoint *at, int64_t epoch)
{
    int64_t steps;
    if (at->step > epoch || __builtin_mul_overflow(at->epoch, epoch, &steps) ||
        __builtin_add_overflow(steps, at->step, &steps))
        return -1;
    return steps;
}

/* Nets that have no such state contradict nothing. */
static bool check_state(lamina_model *m, const char *name, int64_t wanted, const char *path, diag *d)
{
    int64_t found;
    if (lamina_get_tensor(m, name, &found, sizeof found, NULL) != LAMINA_OK || found == wanted)
        return true;
    diag_error(d, (src_loc){0}, "%s: contradicts itself: state '%s': expected %" PRId64 ", found %" PRId64, path, name,
               wanted, found);
    return false;
}

bool cmd_check_place(lamina_model *m, const lamina_checkpoint *at, int64_t records, const char *path, diag *d)
{
    int64_t epoch = (records - 1) / at->batch + 1, steps = lamina_steps(m);
    if (steps_before(at, epoch) != steps) {
        diag_error(d, (src_loc){0},
                   "%s: contradicts itself: 'epoch' %" PRId64 " and 'step' %" PRId64 " of %" PRId64
                   " an epoch, but 'total_steps' %" PRId64,
                   path, at->epoch, at->step, epoch, steps);
        return false;
    }
    return check_state(m, "step", steps, path, d) && check_state(m, "seed", (int64_t)at->seed, path, d);
}
