/* frontend/command/diagnostics.c - what is wrong with a file as JSON, for editors and other programs: an object a line,
 * since a long run says things more than once.
 *     {"file": "mlp.yaml", "line": 9, "column": 7, "severity": "error", "message": "...", "notes": [...]} */
#include "frontend/command/cmd.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* How many bytes the character at 's' has; 0: they are no UTF-8. */
static size_t character_length(const char *s)
{
    for (size_t n = 1; n <= 4 && s[n - 1]; n++) {
        json_t *one = json_stringn(s, n);
        json_decref(one);
        if (one)
            return n;
    }
    return 0;
}

/* A string of any bytes; those that are no UTF-8, of which a file's name may have some, become U+FFFD. */
static json_t *any_string(const char *s)
{
    json_t *string = json_string(s);
    if (string)
        return string;
    text sound = {0};
    for (size_t n; *s; s += n ? n : 1) {
        n = character_length(s);
        text_add_bytes(&sound, n ? s : "\xEF\xBF\xBD", n ? n : 3);
    }
    string = json_string(text_get(&sound));
    text_free(&sound);
    return string;
}

/* Of a place what is known of it. */
static json_t *object_of(const diag_message *m)
{
    json_t *o = json_object();
    if (m->at.file)
        json_object_set_new(o, "file", any_string(m->at.file));
    if (m->at.file && m->at.line > 0)
        json_object_set_new(o, "line", json_integer(m->at.line));
    if (m->at.file && m->at.line > 0 && m->at.col > 0)
        json_object_set_new(o, "column", json_integer(m->at.col));
    return o;
}

/* A note without anything before it stands for itself, as a training run's do. */
static json_t *message_with_notes(const diag_message *m)
{
    static const char *const kinds[] = {"error", "warning", "note", "remark"};
    json_t *o = object_of(m), *notes = json_array();
    json_object_set_new(o, "severity", json_string(kinds[m->kind]));
    json_object_set_new(o, "message", any_string(m->words));
    if (m->suggestion)
        json_object_set_new(o, "suggestion", any_string(m->suggestion));
    for (const diag_message *n = m->next; n && n->kind == DIAG_NOTE && m->kind != DIAG_NOTE; n = n->next) {
        json_t *note = object_of(n);
        json_object_set_new(note, "message", any_string(n->words));
        json_array_append_new(notes, note);
    }
    json_object_set_new(o, "notes", notes);
    return o;
}

void cmd_add_json(const diag *d, bool remarks, text *out)
{
    bool noted = false; /* has a message that its notes are in been seen? */
    for (const diag_message *m = diag_first(d); m; m = m->next) {
        bool hidden = (m->kind == DIAG_NOTE && noted) || (m->kind == DIAG_REMARK && !remarks);
        noted |= m->kind != DIAG_NOTE;
        if (hidden)
            continue;
        json_t *o = message_with_notes(m);
        char *line = json_dumps(o, JSON_COMPACT);
        text_printf(out, "%s\n", line ? line : "{}");
        free(line);
        json_decref(o);
    }
}
