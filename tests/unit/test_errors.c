/* tests/unit/test_errors.c - every error a user can meet has a case, and says file, line and column.
 *
 * A case is one broken file in tests/errors: a network (.yaml: read and built), IR text (.ir: parsed, verified, run
 * through the passes) or a command line (.cmd: see commands.h). Its first lines are the wanted messages, in order, and
 * nothing else may be reported:
 *     # ERROR 9:5: units: expected a whole number from 1 to 16777216, found '-1'
 *     # NOTE 4:5: 'fc1' is here
 *     # ERROR files/encoder.yaml:3:1: ...        of another file, which stands in tests/errors/files
 * So that no message can lack a case, the sources of the layers are read too (formats.h): every format string given to
 * diag_error and its like must have produced one of the messages. Operators and passes have files of their own, in
 * tests/ops and tests/passes, whose '# ERROR' lines their suites check: these count here. */
#include "frontend/frontend.h"
#include "ir/ops/eval.h"
#include "passes/passes.h"
#include "tests/unit/any_target.h"
#include "tests/unit/commands.h"
#include "tests/unit/formats.h"
#include <CUnit/CUnit.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LAMINA_SOURCE_DIR
#define LAMINA_SOURCE_DIR "."
#endif

enum { MOST_FILES = 1024 };

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

/* The names in 'folder' that end in one of these, sorted. */
static int list_files(errors *e, const char *folder, const char *const *ends, const char **names)
{
    int count = 0;
    DIR *dir = opendir(arena_printf(e->mem, "%s/%s", e->root, folder));
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        for (int i = 0; ends[i]; i++)
            if (count < MOST_FILES && ends_with(entry->d_name, ends[i]))
                names[count++] = arena_strdup(e->mem, entry->d_name);
    if (dir)
        closedir(dir);
    qsort(names, (size_t)count, sizeof *names, compare_names);
    return count;
}

/* ---- cases ---- */

/* "9:5: error: ..." for "# ERROR 9:5: ...": the head of a case as the messages it wants. Some have no place. */
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
            size_t line = strcspn(content, "\n"), place = strncmp(content, "files/", 6) ? 0 : strcspn(content, ":\n");
            place += strspn(content + place, "0123456789:");
            place += place && content[place] == ' ';
            text_printf(wanted, "%.*s%s: %.*s\n", (int)place, content, heads[i].kind, (int)(line - place),
                        content + place);
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
    if (m && !m->target.triple)
        m->target = any_target;
    if (m)
        passes_run(m, &none, d);
    ir_module_free(m);
}

/* A line without the folder that names of files have in front. */
static void add_without_folder(const char *line, size_t length, const char *folder, text *out)
{
    size_t n = strlen(folder);
    for (const char *end = line + length; line < end;) {
        const char *found = strstr(line, folder);
        size_t before = found && found < end ? (size_t)(found - line) : (size_t)(end - line);
        text_add_bytes(out, line, before);
        line += before + (found && found < end ? n : 0);
    }
}

/* The messages of a run without the path they begin with, nor the folder of other files. */
static void plain_messages(const diag *d, const char *path, text *out)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') + 1 - path), path);
    text all = {0};
    size_t n = strlen(path);
    diag_print_plain(d, &all, false);
    for (const char *line = text_get(&all); *line;) {
        size_t length = strcspn(line, "\n") + 1;
        size_t skip = !strncmp(line, path, n) ? n + 1 : 0;
        skip += skip && line[skip] == ' '; /* of the file, at no place in it */
        add_without_folder(line + skip, length - skip, folder, out);
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
    if (ends_with(name, ".cmd"))
        return command_case(name, &e->messages);
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

/* What only a pass of ours could break: an operand below its user. */
static bool check_order(errors *e)
{
    diag *d = diag_new();
    text got = {0};
    ir_module *m = ir_parse("module @m\nfunc @f(%x : f32[4]) -> (y : f32[4]) {\n  %z = negate %x : f32[4]\n"
                            "  %y = negate %z : f32[4]\n  return %y\n}\n",
                            "order.ir", d);
    ir_move_before(m->functions->first, NULL);
    bool ok = !ir_verify(m, d);
    diag_print_plain(d, &got, false);
    ok = ok && !strcmp(text_get(&got), "order.ir:4:3: error: negate: operand 0 is not a value defined above\n");
    collect_words(e, text_get(&got) + strlen("order.ir:"));
    ir_module_free(m);
    text_free(&got);
    diag_free(d);
    return ok;
}

/* A size that only the batch makes too large. */
static bool check_evaluation(errors *e)
{
    static const char ir[] = "module @m\n"
                             "func @f(%x : f32[B, 1048576, 1048576]) -> (y : f32[B, 1048576, 1048576]) {\n"
                             "  %y = stop_gradient %x : f32[B, 1048576, 1048576]\n"
                             "  return %y\n"
                             "}\n";
    diag *d = diag_new();
    text got = {0};
    ir_module *m = ir_parse(ir, "large.ir", d);
    evaluator *run = evaluator_new(m, EVAL_F32, 1 << 20);
    bool ok = !evaluator_run(run, ir_function_find(m, "f"), d);
    diag_print_plain(d, &got, false);
    ok = ok && !strcmp(text_get(&got), "large.ir:3:3: error: stop_gradient: expected fewer than 2^59 elements, found "
                                       "more at batch size 1048576\n");
    collect_words(e, text_get(&got) + strlen("large.ir:"));
    evaluator_free(run);
    ir_module_free(m);
    text_free(&got);
    diag_free(d);
    return ok;
}

/* The '# ERROR' lines of a folder's IR files. */
static void collect_goldens(errors *e, const char *folder)
{
    const char **names = arena_new_array(e->mem, const char *, MOST_FILES);
    int count = list_files(e, folder, (const char *const[]){".ir", NULL}, names);
    for (int i = 0; i < count; i++) {
        text content = {0};
        text_read_file(&content, arena_printf(e->mem, "%s/%s/%s", e->root, folder, names[i]));
        for (const char *line = text_get(&content); *line; line += strcspn(line, "\n") + 1)
            if (!strncmp(line, "# ERROR ", 8)) {
                const char *words = line + 8 + strspn(line + 8, "0123456789: ");
                text_add_bytes(&e->messages, words, strcspn(words, "\n") + 1);
            }
        text_free(&content);
    }
}

static errors *errors_new(void)
{
    arena *mem = arena_new();
    errors *e = arena_make(mem, errors);
    const char *root = getenv("LAMINA_SOURCE_DIR");
    e->mem = mem;
    e->root = root ? root : LAMINA_SOURCE_DIR;
    e->count = list_files(e, "tests/errors", (const char *const[]){".yaml", ".ir", ".cmd", NULL}, e->names);
    return e;
}

static void errors_free(errors *e)
{
    text_free(&e->messages);
    arena_free(e->mem);
}

/* ---- every message has a case ---- */

static const format_reporter in_layers[] = {{"diag_error(", 2, NULL, NULL},
                                            {"diag_warning(", 2, NULL, NULL},
                                            {"FAIL(", 2, NULL, NULL},
                                            {"rule_error(", 2, FORMAT_ANY ": ", NULL},
                                            {0}};
static const format_reporter in_driver[] = {{"diag_error(", 2, NULL, NULL},
                                            {"diag_warning(", 2, NULL, NULL},
                                            {"fprintf(stderr,", 0, NULL, NULL},
                                            {"usage_error(", 1, FORMAT_ANY, FORMAT_ANY},
                                            {0}};

static const struct {
    const char *folder, *except;
    const format_reporter *reporters;
} scanned[] = {{"ir", NULL, in_layers},
               {"passes", NULL, in_layers},
               {"backend", NULL, in_layers},
               {"frontend", "frontend/command", in_layers},
               {"frontend/command", NULL, in_driver}};

static void test_every_message(void)
{
    errors *e = errors_new();
    CU_ASSERT(e->count > 0);
    for (int i = 0; i < e->count; i++)
        CU_ASSERT(check_case(e, e->names[i]));
    CU_ASSERT(check_missing_file(e));
    CU_ASSERT(check_order(e));
    CU_ASSERT(check_evaluation(e));
    collect_goldens(e, "tests/ops");
    collect_goldens(e, "tests/passes");
    for (size_t i = 0; i < sizeof scanned / sizeof *scanned; i++) {
        int missing = 0;
        format_scan scan = {.root = e->root,
                            .folder = scanned[i].folder,
                            .except = scanned[i].except,
                            .reporters = scanned[i].reporters,
                            .seen = text_get(&e->messages),
                            .cases = "tests/errors"};
        CU_ASSERT(formats_check(&scan, &missing) > 0);
        CU_ASSERT_EQUAL(missing, 0);
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
