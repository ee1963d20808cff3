/* tests/unit/commands.h - run a command line as a user would and look at what it says. */
#ifndef TESTS_UNIT_COMMANDS_H
#define TESTS_UNIT_COMMANDS_H

#include "ir/base/text.h"
#include <stdbool.h>

/* The case tests/errors/NAME is a shell script. Its first lines say what is wanted:
 *     # EXIT 3                     the exit code of the last command
 *     # ERROR words                "error: words" on stderr, with a place or without; WARNING and NOTE alike
 *     # SAYS words                 that line on stderr
 * ERROR, WARNING and NOTE must be all there is of these, in order. The script runs in an empty directory, where
 * $LAMINA is the program, $TESTS the folder tests and $SOURCE the folder above. What it said on stderr is added to
 * 'seen', kinds and places taken off. False, with the difference on stderr, if it did otherwise. */
bool command_case(const char *name, text *seen);

#endif
