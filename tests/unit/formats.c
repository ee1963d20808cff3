/* tests/unit/formats.c - find format strings in C sources, and whether a message was made by one. */
#include "tests/unit/formats.h"
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char WILD = FORMAT_ANY[0];

/* ---- C, as far as needed ---- */

/* One string literal at *s, without its quotes, added to out; *s goes behind it. */
static void read_literal(const char **s, text *out)
{
    const char *c = *s + 1;
    for (; *c && *c != '"'; c++) {
        if (*c == '\\' && c[1])
            c++;
        text_add_bytes(out, c[-1] == '\\' && *c == 'n' ? "\n" : c, 1);
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

/* A format: literals and macros such as PRId64 side by side. False if something else stands there. */
static bool read_format(const char *s, text *format)
{
    for (;;) {
        s += strspn(s, " \t\n");
        if (*s == '"') {
            read_literal(&s, format);
        } else if (format->length && isupper((unsigned char)*s)) {
            text_add(format, "d");
            while (isalnum((unsigned char)*s) || *s == '_')
                s++;
        } else {
            return format->length && (*s == ',' || *s == ')');
        }
    }
}

/* ---- patterns ---- */

/* Each conversion becomes a wildcard; of a format of several lines the first counts. */
static void add_pattern(const char *format, text *pattern)
{
    for (const char *c = format; *c && *c != '\n'; c++) {
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

static bool was_seen(const char *seen, const char *pattern)
{
    for (; *seen; seen += strcspn(seen, "\n") + (seen[strcspn(seen, "\n")] == '\n'))
        if (matches(pattern, seen))
            return true;
    return false;
}

/* ---- sources ---- */

static int line_of(const char *content, const char *at)
{
    int line = 1;
    for (; content < at; content++)
        line += *content == '\n';
    return line;
}

/* The arguments at 'from': has their format made a message? A declaration or a macro that hands its arguments on
 * has none: *found says. */
static bool check_call(const format_scan *s, const format_reporter *r, const char *path, const char *content,
                       const char *from, bool *found)
{
    const char *at = from;
    for (int i = 0; i < r->skip && *at; i++)
        at = skip_argument(at) + 1;
    at += strspn(at, " \t\n");
    *found = strncmp(at, "const char", 10) && strncmp(at, "__VA_ARGS__", 11) && strncmp(at, "...", 3);
    if (!*found)
        return true;
    text format = {0}, pattern = {0};
    bool literal = read_format(at, &format);
    text_add(&pattern, r->before ? r->before : "");
    add_pattern(text_get(&format), &pattern);
    text_add(&pattern, r->behind ? r->behind : "");
    bool ok = literal && was_seen(s->seen, text_get(&pattern));
    if (!ok)
        fprintf(stderr, "%s:%d: %s \"%s\"\n", path, line_of(content, at),
                literal ? "no case gives" : "expected a literal format, found", text_get(&format));
    text_free(&format);
    text_free(&pattern);
    return ok;
}

static int check_source(const format_scan *s, const char *path, int *missing)
{
    text content = {0};
    int count = 0;
    if (!text_read_file(&content, path))
        ++*missing;
    const char *source = text_get(&content);
    for (const format_reporter *r = s->reporters; r->call; r++) {
        size_t n = strlen(r->call);
        for (const char *at = source; (at = strstr(at, r->call)); at += n) {
            if (at > source && (isalnum((unsigned char)at[-1]) || at[-1] == '_'))
                continue;
            bool found;
            *missing += !check_call(s, r, path, source, at + n, &found);
            count += found;
        }
    }
    text_free(&content);
    return count;
}

static bool is_source(const char *name)
{
    size_t n = strlen(name);
    return n > 2 && !strcmp(name + n - 2, ".c");
}

/* Sources of a folder and of the folders in it. */
static int check_folder(const format_scan *s, const char *folder, int *missing)
{
    char path[1024];
    int count = 0;
    snprintf(path, sizeof path, "%s/%s", s->root, folder);
    DIR *dir = s->except && !strcmp(folder, s->except) ? NULL : opendir(path);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        if (entry->d_type == DT_DIR) {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            count += check_folder(s, path, missing);
        } else if (is_source(entry->d_name)) {
            snprintf(path, sizeof path, "%s/%s/%s", s->root, folder, entry->d_name);
            count += check_source(s, path, missing);
        }
    }
    if (dir)
        closedir(dir);
    return count;
}

int formats_check(const format_scan *s, int *missing)
{
    int before = *missing, count = check_folder(s, s->folder, missing);
    if (*missing > before)
        fprintf(stderr, "%d messages of %s/ have no case in %s\n", *missing - before, s->folder, s->cases);
    return count;
}
