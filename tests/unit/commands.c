/* tests/unit/commands.c - see commands.h. */
#include "tests/unit/commands.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *mark, *kind;
} kinds[] = {{"# ERROR ", "error: "}, {"# WARNING ", "warning: "}, {"# NOTE ", "note: "}};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct {
    int exit;
    text messages; /* "error: words", one a line */
    text lines;    /* whole lines, to be found anywhere */
} wanted;

static size_t line_length(const char *line)
{
    size_t n = strcspn(line, "\n");
    return n + (line[n] == '\n');
}

static wanted read_wanted(const char *content)
{
    wanted w = {.exit = -1};
    for (const char *line = content; *line == '#'; line += line_length(line)) {
        if (!strncmp(line, "# EXIT ", 7))
            w.exit = atoi(line + 7);
        if (!strncmp(line, "# SAYS ", 7))
            text_add_bytes(&w.lines, line + 7, line_length(line + 7));
        for (int i = 0; i < KINDS; i++) {
            size_t n = strlen(kinds[i].mark);
            if (!strncmp(line, kinds[i].mark, n))
                text_printf(&w.messages, "%s%.*s", kinds[i].kind, (int)line_length(line + n), line + n);
        }
    }
    return w;
}

/* Where "error: " or the like begins in a line: at its start, or behind a place. */
static const char *find_kind(const char *line, int *kind)
{
    size_t length = strcspn(line, "\n");
    for (int i = 0; i < KINDS; i++) {
        size_t n = strlen(kinds[i].kind);
        for (const char *at = line; at + n <= line + length; at++)
            if (!strncmp(at, kinds[i].kind, n) && (at == line || (at > line + 1 && at[-1] == ' ' && at[-2] == ':'))) {
                *kind = i;
                return at;
            }
    }
    return NULL;
}

static void read_messages(const char *said, text *messages, text *seen)
{
    for (const char *line = said; *line; line += line_length(line)) {
        int kind;
        const char *at = find_kind(line, &kind);
        size_t rest = line_length(line);
        if (at) {
            text_add_bytes(messages, at, rest - (size_t)(at - line));
            at += strlen(kinds[kind].kind);
        }
        at = at ? at : line;
        text_add_bytes(seen, at, rest - (size_t)(at - line));
    }
}

/* Is every line of 'lines' a line of 'said'? */
static bool all_said(const char *lines, const char *said)
{
    for (const char *line = lines; *line; line += line_length(line)) {
        const char *at = said;
        while (*at && strncmp(at, line, line_length(line)) != 0)
            at += line_length(at);
        if (!*at)
            return false;
    }
    return true;
}

static int run_script(const char *name, const char *directory, text *said)
{
    text command = {0};
    text_printf(&command, "cd '%s' && LAMINA='%s' TESTS='%s' SOURCE='%s' sh '%s/errors/%s' 2>&1 >/dev/null </dev/null",
                directory, LAMINA_BINARY, LAMINA_TESTS_DIR, LAMINA_SOURCE_DIR, LAMINA_TESTS_DIR, name);
    FILE *f = popen(text_get(&command), "r");
    text_free(&command);
    if (!f)
        return -1;
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        text_add_bytes(said, buffer, n);
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool remove_directory(const char *directory)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command) == 0;
}

bool command_case(const char *name, text *seen)
{
    char directory[] = "/tmp/lamina-command-XXXXXX", path[1024];
    text content = {0}, said = {0}, messages = {0};
    snprintf(path, sizeof path, "%s/errors/%s", LAMINA_TESTS_DIR, name);
    if (!text_read_file(&content, path) || !mkdtemp(directory))
        return false;
    wanted w = read_wanted(text_get(&content));
    int code = run_script(name, directory, &said);
    read_messages(text_get(&said), &messages, seen);
    bool ok = code == w.exit && !strcmp(text_get(&messages), text_get(&w.messages)) &&
              all_said(text_get(&w.lines), text_get(&said));
    if (!ok)
        fprintf(stderr, "tests/errors/%s: wanted exit code %d and\n%s%sgot exit code %d and\n%s", name, w.exit,
                text_get(&w.messages), text_get(&w.lines), code, text_get(&said));
    ok = remove_directory(directory) && ok;
    text_free(&content);
    text_free(&said);
    text_free(&messages);
    text_free(&w.messages);
    text_free(&w.lines);
    return ok;
}
