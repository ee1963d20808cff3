/* tests/unit/shell.h - the program as a user runs it: shell commands in a directory of the suite's own. */
#ifndef TESTS_UNIT_SHELL_H
#define TESTS_UNIT_SHELL_H

#include "ir/base/text.h"

extern char directory[64];

/* Make the directory, remove it with all that is in it: what CUnit calls before and after a suite. 0: done. */
int open_directory(void);
int remove_directory(void);

/* Run a shell command in the directory: its exit code, or 128 and the signal that ended it. The second one's output is
 * added to 'out'. */
int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
int run_into(text *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
