/* tests/unit/formats.h - is there a case for every message that sources can give?
 *
 * Sources are read as text: every literal format string given to a reporting function must have made one of the
 * messages that were seen while the cases ran, its conversions being wildcards. */
#ifndef TESTS_UNIT_FORMATS_H
#define TESTS_UNIT_FORMATS_H

#include "ir/base/text.h"

/* What reports: 'call' as it stands in the source, up to its opening parenthesis or further; then 'skip' arguments that
 * are not the format. The message has 'before' in front of the words and maybe more behind: patterns in which
 * FORMAT_ANY is any run of bytes. */
typedef struct {
    const char *call;
    int skip;
    const char *before, *behind;
} format_reporter;

#define FORMAT_ANY "\1"

typedef struct {
    const char *root, *folder;        /* every .c file there and in the folders below is a source */
    const char *except;               /* a folder below that is not looked at; NULL: none */
    const format_reporter *reporters; /* ends with a call of NULL */
    const char *seen;                 /* the words of all messages, one a line */
    const char *cases;                /* where cases stand, to say what lacks one */
} format_scan;

/* How many formats were found; says on stderr which have no message and counts them in *missing. */
int formats_check(const format_scan *s, int *missing);

#endif
