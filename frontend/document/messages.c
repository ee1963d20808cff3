/* frontend/document/messages.c - the messages that all readers of a network share, in the same words everywhere. */
#include "frontend/document/options.h"

enum { MOST_LISTED = 20 }; /* names in one message */

bool fe_mismatch(fe_reader *r, src_loc at, const char *what, const char *expected, const char *found)
{
    diag_error(r->d, at, "%s: expected %s, found %s", what, expected, found);
    return false;
}

bool fe_missing(fe_reader *r, src_loc at, const char *owner, const char *key, const char *expected)
{
    diag_error(r->d, at, "%s: missing key '%s', expected %s", owner, key, expected);
    return false;
}

bool fe_twice(fe_reader *r, src_loc at, const char *what, const char *word, src_loc first)
{
    diag_error(r->d, at, "%s '%s' is already taken", what, word);
    diag_note(r->d, first, "'%s' is here", word);
    return false;
}

bool fe_unknown(fe_reader *r, src_loc at, const char *what, const char *word, const char *const *known, size_t count)
{
    const char *near = diag_nearest(word, known, count);
    if (near) {
        diag_error(r->d, at, "%s '%s' is unknown, did you mean '%s'?", what, word, near);
        diag_suggest(r->d, near);
        return false;
    }
    if (count > MOST_LISTED) {
        diag_error(r->d, at, "%s '%s' is unknown, and none of the %zu that there are has a name like it", what, word,
                   count);
        return false;
    }
    text list = {0};
    for (size_t i = 0; i < count; i++)
        text_printf(&list, "%s%s", i ? ", " : "", known[i]);
    diag_error(r->d, at, "%s '%s' is unknown, expected one of: %s", what, word, text_get(&list));
    text_free(&list);
    return false;
}

bool fe_expect_kind(fe_reader *r, const fe_yaml *y, const char *what, fe_yaml_kind kind, const char *expected)
{
    if (y->kind != kind && !y->broken)
        fe_mismatch(r, y->at, what, expected, fe_yaml_describe(y, r->mem));
    return y->kind == kind;
}
