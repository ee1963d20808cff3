/* frontend/command/measure.h - what measuring needs: a clock, samples, libraries that are gone when the run ends, and
 * the machine's peaks. */
#ifndef FRONTEND_CMD_MEASURE_H
#define FRONTEND_CMD_MEASURE_H

#include "backend/backend.h"
#include "runtime/lamina.h"

double cmd_seconds(void); /* of a clock that only runs forwards */
/* How long to measure, as an option says it: 0.001 to 3600. False: it is no such number. */
bool cmd_read_seconds(const char *word, double *out);

typedef struct {
    double *seconds;
    int32_t count;
    double total;
} cmd_samples;

void cmd_sample_add(arena *mem, cmd_samples *s, double seconds);
double cmd_sample_median(cmd_samples *s); /* sorts them */
double cmd_sample_least(const cmd_samples *s);

/* The path of file 'name' in a new folder of our own in $TMPDIR or /tmp; NULL after an error. */
const char *cmd_temporary(arena *mem, const char *name, diag *d);
/* Remove that file, if it is there, and its folder. A library stays loaded without its file. */
void cmd_temporary_remove(arena *mem, const char *path);

/* What a number of threads can do together, in a second. */
typedef struct {
    double operations;     /* of multiply-adds in registers, 2 each */
    double l2, l3, memory; /* bytes read by each thread from memory of its own: half its L2, its part of L3, beyond */
} cmd_peaks;

/* Measure them for code of target t, which this machine must be able to run. False after an error in d. */
bool cmd_measure_peaks(const ir_target *t, int64_t threads, cmd_peaks *out, diag *d);

#endif
