/* tests/unit/test_errors.c - every error a user can meet has a case, and says file, line and column.
 *
 * A case is one broken file in tests/errors: a network (.yaml: read and built) or IR text (.ir: parsed, verified, run
 * through the passes). Its first lines are the wanted messages, in order, and nothing else may be reported:
 *     # ERROR 9:5: units: expected a whole number from 1 to 16777216, found '-1'
 *     # NOTE 4:5: 'fc1' is here
 * So that no message can lack a case, the sources of the folders in 'scanned' are read too: every format string given
 * to diag_error or diag_warning there must have produced one of the messages, its conversions being wildcards. */
#include "frontend/frontend.h"
#include "passes/passes.h"
#include <CUnit/CUnit.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LAMINA_SOURCE_DIR
#define LAMINA_SOURCE_DIR "."
#endif

/* Folders whose messages must have cases, and files in them that belong to the command line. */
static const char *const scanned[] = {"frontend"};
static const char *const command_line[] = {"main.c", "cmd_"};

/* What takes (diag, place, format, ...). */
static const char *const reporters[] = {"diag_error", "diag_warning", "FAIL"};

enum { MOST_FILES = 1024 };

/* In a pattern: any run of bytes. */
static const char WILD = '\1';

typedef struct {
    arena *mem;
    const char *root;
    int count;
    const char *names[MOST_FILES]; /* of cases, sorted */
    text messages;                 /* of all cases, one a line, without their places */
} errors;

/* ---- files ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* The names in 'folder' that end in one of two ways, sorted. */
static int list_files(errors *e, const char *folder, const char *end, const char *other_end, const char **names)
{
    int count = 0;
    DIR *dir = opendir(arena_printf(e->mem, "%s/%s", e->root, folder));
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (count < MOST_FILES && (ends_with(entry->d_name, end) || ends_with(entry->d_name, other_end)))
            names[count++] = arena_strdup(e->mem, entry->d_name);
    if (dir)
        closedir(dir);
    qsort(names, (size_t)count, sizeof *names, compare_names);
    return count;
}

/* ---- cases ---- */

/* "9:5: error: ..." for "# ERROR 9:5: ...": the head of a case as the messages it wants. */
static void read_wanted(const char *content, text *wanted)
{
    static const struct {
        const char *mark, *kind;
    } heads[] = {{"# ERROR ", "error"}, {"# WARNING ", "warning"}, {"# NOTE ", "note"}};
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
            size_t n = strlen(heads[i].mark);
            if (strncmp(content, heads[i].mark, n))
                continue;
            content += n;
            size_t place = strcspn(content, " \n"), line = strcspn(content, "\n");
            if (place < line)
                text_printf(wanted, "%.*s %s: %.*s\n", (int)place, content, heads[i].kind, (int)(line - place - 1),
                            content + place + 1);
            content += line + (content[line] == '\n');
            more = true;
        }
    }
}

static void run_case(const char *path, const char *content, diag *d)
{
    if (ends_with(path, ".yaml")) {
        arena *mem = arena_new();
        fe_network *n = fe_read(path, mem, d);
        ir_module_free(n ? fe_build(n, d) : NULL);
        arena_free(mem);
        return;
    }
    pass_options none = {0};
    ir_module *m = ir_parse(content, path, d);
    if (m && ir_verify(m, d))
        passes_run(m, &none, d);
    ir_module_free(m);
}

/* The messages of a run without the path they begin with. */
static void plain_messages(const diag *d, const char *path, text *out)
{
    text all = {0};
    size_t n = strlen(path);
    diag_print_plain(d, &all, false);
    for (const char *line = text_get(&all); *line;) {
        size_t length = strcspn(line, "\n") + 1;
        size_t skip = !strncmp(line, path, n) ? n + 1 : 0;
        text_add_bytes(out, line + skip, length - skip);
        line += length;
    }
    text_free(&all);
}

/* The words of errors and warnings alone: what the format strings made. */
static void collect_words(errors *e, const char *messages)
{
    static const char *const kinds[] = {"error: ", "warning: "};
    for (const char *line = messages; *line; line += strcspn(line, "\n") + 1) {
        size_t place = strspn(line, "0123456789: ");
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            size_t n = strlen(kinds[i]);
            const char *words = line + place + n;
            if (!strncmp(line + place, kinds[i], n))
                text_add_bytes(&e->messages, words, strcspn(words, "\n") + 1);
        }
    }
}

static bool check_case(errors *e, const char *name)
{
    char *path = arena_printf(e->mem, "%s/tests/errors/%s", e->root, name);
    text content = {0}, wanted = {0}, got = {0};
    diag *d = diag_new();
    bool ok = text_read_file(&content, path);
    read_wanted(text_get(&content), &wanted);
    run_case(path, text_get(&content), d);
    plain_messages(d, path, &got);
    ok = ok && wanted.length && !strcmp(text_get(&wanted), text_get(&got));
    if (!ok)
        fprintf(stderr, "tests/errors/%s: wanted\n%sgot\n%s", name, text_get(&wanted), text_get(&got));
    collect_words(e, text_get(&got));
    diag_free(d);
    text_free(&content);
    text_free(&wanted);
    text_free(&got);
    return ok;
}

/* What no file can show: a file that is not there. */
static bool check_missing_file(errors *e)
{
    diag *d = diag_new();
    text got = {0};
    bool ok = !fe_read("no/such/file.yaml", e->mem, d);
    diag_print_plain(d, &got, false);
    ok = ok && !strcmp(text_get(&got), "no/such/file.yaml: error: cannot be read: No such file or directory\n");
    collect_words(e, text_get(&got) + strlen("no/such/file.yaml: "));
    text_free(&got);
    diag_free(d);
    return ok;
}

static errors *errors_new(void)
{
    arena *mem = arena_new();
    errors *e = arena_make(mem, errors);
    const char *root = getenv("LAMINA_SOURCE_DIR");
    e->mem = mem;
    e->root = root ? root : LAMINA_SOURCE_DIR;
    e->count = list_files(e, "tests/errors", ".yaml", ".ir", e->names);
    return e;
}

static void errors_free(errors *e)
{
    text_free(&e->messages);
    arena_free(e->mem);
}

/* ---- the sources' format strings ---- */

/* One string literal at *s, without its quotes, added to out; *s goes behind it. */
static void read_literal(const char **s, text *out)
{
    const char *c = *s + 1;
    for (; *c && *c != '"'; c++) {
        if (*c == '\\' && c[1])
            c++;
        text_add_bytes(out, c, 1);
    }
    *s = *c ? c + 1 : c;
}

/* Past one argument, to its comma or the closing parenthesis. */
static const char *skip_argument(const char *s)
{
    int depth = 0;
    for (; *s; s++) {
        if (*s == '"') {
            text ignored = {0};
            read_literal(&s, &ignored);
            text_free(&ignored);
            s--;
        } else if (*s == '(' || *s == '{') {
            depth++;
        } else if (*s == '}') {
            depth--;
        } else if ((*s == ')' && depth-- == 0) || (*s == ',' && depth == 0)) {
            break;
        }
    }
    return s;
}

/* A format: literals and PRI macros side by side. False if something else stands there. */
static bool read_format(const char *s, text *format)
{
    for (;;) {
        s += strspn(s, " \t\n");
        if (*s == '"') {
            read_literal(&s, format);
        } else if (!strncmp(s, "PRI", 3)) {
            text_add(format, "d");
            while (isalnum((unsigned char)*s))
                s++;
        } else {
            return format->length && (*s == ',' || *s == ')');
        }
    }
}

/* Each conversion becomes a wildcard. */
static void make_pattern(const char *format, text *pattern)
{
    for (const char *c = format; *c; c++) {
        if (*c == '%' && c[1] == '%') {
            c++;
            text_add(pattern, "%");
        } else if (*c == '%') {
            c += 1 + strspn(c + 1, "-+ #0123456789.*lhzjt");
            text_add_bytes(pattern, &WILD, 1);
        } else {
            text_add_bytes(pattern, c, 1);
        }
    }
}

/* Does the pattern give the line at 'words'? Back to the last wildcard where it does not go on. */
static bool matches(const char *pattern, const char *words)
{
    const char *retry = NULL, *from = NULL;
    while (*words != '\n' && *words) {
        if (*pattern == WILD) {
            retry = ++pattern;
            from = words;
        } else if (*pattern == *words) {
            pattern++;
            words++;
        } else if (retry) {
            pattern = retry;
            words = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == WILD)
        pattern++;
    return !*pattern;
}

static bool was_seen(const errors *e, const char *pattern)
{
    for (const char *line = text_get(&e->messages); *line; line += strcspn(line, "\n") + 1)
        if (matches(pattern, line))
            return true;
    return false;
}

static int line_of(const char *content, const char *at)
{
    int line = 1;
    for (; content < at; content++)
        line += *content == '\n';
    return line;
}

/* The call at 's' (behind the reporter's name): has its message a case? */
static bool check_call(const errors *e, const char *path, const char *content, const char *s)
{
    for (int i = 0; i < 2 && *s; i++)
        s = skip_argument(s + 1);
    const char *argument = s + 1 + strspn(s + 1, " \t\n");
    /* A declaration, or a macro that hands its arguments on. */
    if (!strncmp(argument, "const char", 10) || !strncmp(argument, "__VA_ARGS__", 11) || !strncmp(argument, "...", 3))
        return true;
    text format = {0}, pattern = {0};
    bool literal = read_format(argument, &format);
    make_pattern(text_get(&format), &pattern);
    bool ok = literal && was_seen(e, text_get(&pattern));
    if (!ok)
        fprintf(stderr, "%s:%d: %s \"%s\"\n", path, line_of(content, s),
                literal ? "no case in tests/errors gives" : "expected a literal format, found", text_get(&format));
    text_free(&format);
    text_free(&pattern);
    return ok;
}

static bool check_source(errors *e, const char *folder, const char *name, int *calls)
{
    char *path = arena_printf(e->mem, "%s/%s/%s", e->root, folder, name);
    text content = {0};
    bool ok = text_read_file(&content, path);
    const char *source = text_get(&content);
    for (size_t i = 0; i < sizeof reporters / sizeof *reporters; i++) {
        size_t n = strlen(reporters[i]);
        for (const char *s = source; (s = strstr(s, reporters[i])); s += n) {
            if ((s > source && (isalnum((unsigned char)s[-1]) || s[-1] == '_')) || s[n] != '(')
                continue;
            ok = check_call(e, path, source, s + n) && ok;
            ++*calls;
        }
    }
    text_free(&content);
    return ok;
}

static bool is_command_line(const char *name)
{
    for (size_t i = 0; i < sizeof command_line / sizeof *command_line; i++)
        if (!strncmp(name, command_line[i], strlen(command_line[i])))
            return true;
    return false;
}

static void test_every_message(void)
{
    errors *e = errors_new();
    CU_ASSERT(e->count > 0);
    for (int i = 0; i < e->count; i++)
        CU_ASSERT(check_case(e, e->names[i]));
    CU_ASSERT(check_missing_file(e));
    for (size_t i = 0; i < sizeof scanned / sizeof *scanned; i++) {
        const char **names = arena_new_array(e->mem, const char *, MOST_FILES);
        int calls = 0, count = list_files(e, scanned[i], ".c", ".def", names);
        for (int k = 0; k < count; k++)
            if (!is_command_line(names[k]))
                CU_ASSERT(check_source(e, scanned[i], names[k], &calls));
        CU_ASSERT(calls > 0);
    }
    errors_free(e);
}

/* A message shows its line and a caret under the column. */
static void test_shows_the_line(void)
{
    static const char yaml[] = "inputs: {x: [4]}\nlayers:\n  - dense: {unit: 2}\n";
    arena *mem = arena_new();
    diag *d = diag_new();
    text got = {0};
    CU_ASSERT_PTR_NULL(fe_read_text(yaml, strlen(yaml), "net.yaml", mem, d));
    diag_print(d, &got, false);
    CU_ASSERT_STRING_EQUAL(text_get(&got), "net.yaml:3:13: error: dense: key 'unit' is unknown, did you mean 'units'?\n"
                                           "    3 |   - dense: {unit: 2}\n"
                                           "      |             ^\n");
    text_free(&got);
    diag_free(d);
    arena_free(mem);
}

void suite_errors(void)
{
    CU_pSuite s = CU_add_suite("errors", NULL, NULL);
    CU_add_test(s, "every message has a case and says its place", test_every_message);
    CU_add_test(s, "a message shows the line", test_shows_the_line);
}
