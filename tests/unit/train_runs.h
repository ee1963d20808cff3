/* tests/unit/train_runs.h - runs of `lamina train` in the directory of shell.h, whole and in pieces. */
#ifndef TESTS_UNIT_TRAIN_RUNS_H
#define TESTS_UNIT_TRAIN_RUNS_H

#include "tests/unit/shell.h"

/* open_directory, with the linear data of the examples in data/. 0: done. */
int open_with_data(void);
/* The file NAME.yaml. */
void write_yaml(const char *name, const char *content);
/* Train NAME.yaml to NAME-whole in one go. */
void train_whole(const char *name);
/* And to NAME-parts, on one thread at first, stopped every so many steps and gone on with, three pieces at least: the
 * weights are those of NAME-whole to the byte, and so is the log but for times. */
void check_pieces(const char *name, int steps);

#endif
