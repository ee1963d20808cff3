/* frontend/command/sweep_report.c - what came of a sweep's trials, best first: a table, JSON, a CSV file. */
#include "backend/library/link.h"
#include "frontend/command/sweep.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The number behind "name": in a line that log.c wrote, within the object behind "group":; NaN if there is none. */
static double number_in(const char *line, const char *group, size_t group_length, const char *name)
{
    char key[160];
    snprintf(key, sizeof key, "\"%.*s\": {", (int)group_length, group);
    const char *at = strstr(line, key);
    size_t length = at ? strcspn(at, "}") : 0;
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *found = at ? strstr(at, key) : NULL;
    char *end;
    if (!found || found >= at + length)
        return NAN;
    double value = strtod(found + strlen(key), &end);
    return end == found + strlen(key) ? NAN : value; /* null */
}

double sweep_read_metric(const char *log, const char *metric, int64_t epochs)
{
    static const char head[] = "{\"epoch\": ";
    text content = {0};
    double value = NAN;
    const char *dot = strchr(metric, '.');
    if (text_read_file(&content, log))
        for (char *line = strdup(text_get(&content)), *kept = line, *end;; line = end + 1) {
            end = line ? strchr(line, '\n') : NULL;
            if (!end) {
                free(kept);
                break;
            }
            *end = 0;
            if (!strncmp(line, head, sizeof head - 1) && strtoll(line + sizeof head - 1, NULL, 10) <= epochs)
                value = number_in(line, metric, (size_t)(dot - metric), dot + 1);
        }
    text_free(&content);
    return value;
}

/* qsort has no room for the direction: values are compared as losses. */
typedef struct {
    const sweep_trial *trial;
    double loss;
    int index;
} ranked;

static int compare(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->trial->epochs != y->trial->epochs)
        return x->trial->epochs > y->trial->epochs ? -1 : 1;
    if (isnan(x->loss) != isnan(y->loss))
        return isnan(x->loss) ? 1 : -1;
    if (x->loss != y->loss && !isnan(x->loss))
        return x->loss < y->loss ? -1 : 1;
    return x->index - y->index;
}

const sweep_trial **sweep_order(const sweep *s)
{
    ranked *all = arena_new_array(s->mem, ranked, (size_t)s->count);
    const sweep_trial **order = arena_new_array(s->mem, const sweep_trial *, (size_t)s->count);
    for (int i = 0; i < s->count; i++) {
        double m = s->trials[i].failed ? NAN : s->trials[i].metric;
        all[i] = (ranked){&s->trials[i], s->higher_is_better ? -m : m, i};
    }
    qsort(all, (size_t)s->count, sizeof *all, compare);
    for (int i = 0; i < s->count; i++)
        order[i] = all[i].trial;
    return order;
}

static int number_of(const sweep *s, const sweep_trial *t)
{
    return (int)(t - s->trials) + 1;
}

void sweep_print(const sweep *s, FILE *out)
{
    const sweep_trial **order = sweep_order(s);
    fprintf(out, "%5s %6s %14s", "trial", "epochs", s->metric);
    for (int k = 0; k < s->key_count; k++)
        fprintf(out, "  %s", s->keys[k].key);
    fputs("\n", out);
    for (int i = 0; i < s->count; i++) {
        const sweep_trial *t = order[i];
        fprintf(out, "%5d %6" PRId64 " ", number_of(s, t), t->epochs);
        if (t->failed || isnan(t->metric))
            fprintf(out, "%14s", t->failed ? "failed" : "-");
        else
            fprintf(out, "%14.6g", t->metric);
        for (int k = 0; k < s->key_count; k++)
            fprintf(out, "  %*s", (int)strlen(s->keys[k].key), t->values[k]);
        fprintf(out, "%s%s\n", t->why ? "  " : "", t->why ? t->why : "");
    }
}

static void put_quoted(FILE *out, const char *word)
{
    fputc('"', out);
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            fputc('\\', out);
        fputc((unsigned char)*word < 32 ? ' ' : *word, out);
    }
    fputc('"', out);
}

void sweep_print_json(const sweep *s, FILE *out)
{
    const sweep_trial **order = sweep_order(s);
    fputs("{\"metric\": ", out);
    put_quoted(out, s->metric);
    fputs(", \"trials\": [", out);
    for (int i = 0; i < s->count; i++) {
        const sweep_trial *t = order[i];
        fprintf(out, "%s{\"trial\": %d, \"epochs\": %" PRId64 ", \"failed\": %s, \"value\": ", i ? ", " : "",
                number_of(s, t), t->epochs, t->failed ? "true" : "false");
        if (isfinite(t->metric))
            fprintf(out, "%.9g, \"set\": {", t->metric);
        else
            fputs("null, \"set\": {", out);
        for (int k = 0; k < s->key_count; k++) {
            fputs(k ? ", " : "", out);
            put_quoted(out, s->keys[k].key);
            fputs(": ", out);
            put_quoted(out, t->values[k]);
        }
        fputs("}}", out);
    }
    fputs("]}\n", out);
}

/* RFC 4180: quotes around everything that is no plain word. */
static void add_field(text *out, const char *word)
{
    if (!strpbrk(word, ",\"\n")) {
        text_add(out, word);
        return;
    }
    text_add(out, "\"");
    for (; *word; word++)
        text_printf(out, "%s%c", *word == '"' ? "\"" : "", *word);
    text_add(out, "\"");
}

bool sweep_write_csv(const sweep *s)
{
    text out = {0};
    text_add(&out, "trial,epochs,failed,");
    add_field(&out, s->metric);
    for (int k = 0; k < s->key_count; k++) {
        text_add(&out, ",");
        add_field(&out, s->keys[k].key);
    }
    for (int i = 0; i < s->count; i++) {
        const sweep_trial *t = &s->trials[i];
        text_printf(&out, "\n%d,%" PRId64 ",%d,", i + 1, t->epochs, t->failed);
        if (isfinite(t->metric))
            text_printf(&out, "%.9g", t->metric);
        for (int k = 0; k < s->key_count; k++) {
            text_add(&out, ",");
            add_field(&out, t->values[k]);
        }
    }
    text_add(&out, "\n");
    bool ok = be_write_file(arena_printf(s->mem, "%s/sweep.csv", s->dir), text_get(&out), out.length, s->d);
    text_free(&out);
    return ok;
}
