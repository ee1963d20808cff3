/* frontend/command/options.c - options from a table, the same for every subcommand: --name=VALUE or --name VALUE, -o
 * VALUE,
 * `--` ends them. The table is the help text too. */
#include "frontend/command/cmd.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In which form the process says what is wrong, from wherever it reports. */
static const char *form = "text";

/* What every subcommand has. */
static const cmd_option common[] = {
    {"diagnostics", "FORM", "what is wrong as text (default), or as json, an object a line", NULL, &form, NULL, 0, 0},
    {0}};

static void print_options(const cmd_option *list)
{
    for (const cmd_option *o = list; o->name; o++) {
        char left[48];
        snprintf(left, sizeof left, "%s%s%s%s", o->name[1] ? "--" : "-", o->name,
                 !o->argument ? ""
                 : o->name[1] ? "="
                              : " ",
                 o->argument ? o->argument : "");
        printf("  %-22s %s\n", left, o->help);
    }
}

static void print_help(const cmd_syntax *s)
{
    printf("usage: %s\n\n%s\n\noptions:\n", s->usage, s->about);
    print_options(s->options);
    print_options(common);
    printf("  %-22s %s\n", "--help", "print this");
}

static int usage_error(const cmd_syntax *s, const char *what, const char *word, const char *hint)
{
    fprintf(stderr, "lamina %s: %s '%s'%s%s%s\nusage: %s\n", s->name, what, word, hint ? "; did you mean '--" : "",
            hint ? hint : "", hint ? "'?" : "", s->usage);
    return EXIT_USAGE;
}

static const cmd_option *find(const cmd_option *list, const char *name, size_t length)
{
    for (const cmd_option *o = list; o->name; o++)
        if (strlen(o->name) == length && !strncmp(o->name, name, length))
            return o;
    return NULL;
}

static int unknown(const cmd_syntax *s, const char *word, size_t dashes, size_t length)
{
    const char *names[64];
    char found[64];
    size_t count = 0;
    for (const cmd_option *o = s->options; o->name && count < 63; o++)
        names[count++] = o->name;
    names[count++] = common[0].name;
    snprintf(found, sizeof found, "%.*s", (int)length, word + dashes);
    return usage_error(s, "expected a known option, found", word, diag_nearest(found, names, count));
}

/* An empty word is what a variable of a script leaves that was never set. */
static int empty(const cmd_syntax *s)
{
    fprintf(stderr, "lamina %s: expected a file, found an empty word\nusage: %s\n", s->name, s->usage);
    return EXIT_USAGE;
}

static int set_one_more(const cmd_syntax *s, const cmd_option *o, const char *value)
{
    int64_t count = 0;
    while (o->value[count])
        count++;
    if (count == o->most) {
        fprintf(stderr, "lamina %s: --%s: expected it at most %" PRId64 " times\n", s->name, o->name, o->most);
        return EXIT_USAGE;
    }
    o->value[count] = value;
    return -1;
}

static int set(const cmd_syntax *s, const cmd_option *o, const char *value)
{
    if (!*value) {
        fprintf(stderr, "lamina %s: %s%s: expected %s, found an empty word\n", s->name, o->name[1] ? "--" : "-",
                o->name, o->argument);
        return EXIT_USAGE;
    }
    if (o->value && o->most)
        return set_one_more(s, o, value);
    if (o->value)
        *o->value = value;
    if (!o->number)
        return -1;
    char *end;
    errno = 0;
    long long v = strtoll(value, &end, 10);
    if (errno || end == value || *end || v < o->least || v > o->most) {
        fprintf(stderr, "lamina %s: --%s: expected a whole number from %" PRId64 " to %" PRId64 ", found '%s'\n",
                s->name, o->name, o->least, o->most, value);
        return EXIT_USAGE;
    }
    *o->number = v;
    return -1;
}

static int check_form(const cmd_syntax *s)
{
    if (!strcmp(form, "text") || !strcmp(form, "json"))
        return -1;
    fprintf(stderr, "lamina %s: --diagnostics: expected text or json, found '%s'\n", s->name, form);
    return EXIT_USAGE;
}

int cmd_parse(const cmd_syntax *s, int argc, char **argv, const char **words, int least, int most)
{
    int count = 0;
    bool options = true;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (!options || word[0] != '-' || !word[1]) {
            if (count == most)
                return usage_error(s, "expected no further argument, found", word, NULL);
            if (!*word)
                return empty(s);
            words[count++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            options = false;
            continue;
        }
        if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
            print_help(s);
            return EXIT_OK;
        }
        size_t dashes = word[1] == '-' ? 2 : 1, length = strcspn(word + dashes, "=");
        const cmd_option *o = find(s->options, word + dashes, length);
        o = o ? o : find(common, word + dashes, length);
        if (!o)
            return unknown(s, word, dashes, length);
        const char *value = word[dashes + length] ? word + dashes + length + 1 : NULL;
        if (!o->argument) {
            if (value)
                return usage_error(s, "expected no value, found", word, NULL);
            *o->flag = true;
            continue;
        }
        if (!value && i + 1 < argc)
            value = argv[++i];
        if (!value)
            return usage_error(s, "expected a value after", word, NULL);
        int code = set(s, o, value);
        if (code >= 0)
            return code;
    }
    if (count < least) {
        fprintf(stderr, "lamina %s: expected %d file%s, found %d\nusage: %s\n", s->name, least, least == 1 ? "" : "s",
                count, s->usage);
        return EXIT_USAGE;
    }
    return check_form(s);
}

int cmd_report(const diag *d, bool remarks)
{
    text out = {0};
    if (!strcmp(form, "json"))
        cmd_add_json(d, remarks, &out);
    else
        diag_print(d, &out, remarks);
    fputs(text_get(&out), stderr);
    text_free(&out);
    return diag_errors(d) ? EXIT_INVALID : EXIT_OK;
}

int cmd_run(cmd_work *work, const char *path, const void *options, bool remarks)
{
    arena *mem = arena_new();
    diag *d = diag_new();
    bool ok = work(path, options, mem, d);
    int code = cmd_report(d, remarks);
    diag_free(d);
    arena_free(mem);
    return ok || code != EXIT_OK ? code : EXIT_FAILED;
}
