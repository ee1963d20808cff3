/* frontend/command/sweep_plot.c - a sweep as a picture: the metric against each key, in panels side by side.
 *
 * Numbers go along a line, of `:log` ranges by their logarithms, the words of a list to places of their own. The best
 * trial is filled. */
#include "backend/library/link.h"
#include "frontend/command/sweep.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PANEL = 220, HEIGHT = 180, LEFT = 70, TOP = 24, GAP = 26, BOTTOM = 46 };

typedef struct {
    const sweep *s;
    text out;
    double least, most; /* of the metric */
} plot;

static void add_escaped(text *out, const char *word)
{
    for (; *word; word++)
        if (*word == '<' || *word == '&')
            text_add(out, *word == '<' ? "&lt;" : "&amp;");
        else
            text_printf(out, "%c", *word);
}

static void add_text(plot *p, double x, double y, const char *anchor, const char *words)
{
    text_printf(&p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    add_escaped(&p->out, words);
    text_add(&p->out, "</text>\n");
}

/* From 0 to 1 across a panel. */
static double place_of(const sweep_key *k, const char *value)
{
    int i = 0;
    if (k->words) {
        while (strcmp(k->words[i], value) != 0)
            i++;
        return (i + 0.5) / k->count;
    }
    double v = strtod(value, NULL);
    return k->log ? (log(v) - log(k->low)) / (log(k->high) - log(k->low)) : (v - k->low) / (k->high - k->low);
}

static bool is_shown(const sweep_trial *t)
{
    return !t->failed && isfinite(t->metric);
}

static void find_range(plot *p)
{
    p->least = INFINITY;
    p->most = -INFINITY;
    for (int i = 0; i < p->s->count; i++)
        if (is_shown(&p->s->trials[i])) {
            p->least = fmin(p->least, p->s->trials[i].metric);
            p->most = fmax(p->most, p->s->trials[i].metric);
        }
    if (!(p->least < p->most)) {
        p->least = isfinite(p->least) ? p->least - 0.5 : 0;
        p->most = p->least + 1;
    }
}

static double height_of(const plot *p, double metric)
{
    return TOP + HEIGHT - HEIGHT * (metric - p->least) / (p->most - p->least);
}

static void add_marks(plot *p, const sweep_key *k, double x)
{
    for (int i = 0; k->words && i < k->count; i++)
        add_text(p, x + PANEL * (i + 0.5) / k->count, TOP + HEIGHT + 16, "middle", k->words[i]);
    if (k->words)
        return;
    add_text(p, x, TOP + HEIGHT + 16, "start", arena_printf(p->s->mem, "%.3g", k->low));
    add_text(p, x + PANEL, TOP + HEIGHT + 16, "end", arena_printf(p->s->mem, "%.3g", k->high));
}

static void add_panel(plot *p, int key, const sweep_trial *best)
{
    const sweep_key *k = &p->s->keys[key];
    double x = LEFT + key * (PANEL + GAP);
    text_printf(&p->out, "<rect x=\"%.1f\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#999\"/>\n", x,
                TOP, PANEL, HEIGHT);
    add_text(p, x + PANEL / 2.0, TOP + HEIGHT + 34, "middle",
             arena_printf(p->s->mem, "%s%s", k->key, k->log ? " (log)" : ""));
    add_marks(p, k, x);
    for (int i = 0; i < p->s->count; i++) {
        const sweep_trial *t = &p->s->trials[i];
        if (is_shown(t))
            text_printf(&p->out,
                        "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\" stroke=\"#036\"><title>trial %d: "
                        "%.6g</title></circle>\n",
                        x + PANEL * place_of(k, t->values[key]), height_of(p, t->metric), t == best ? "#036" : "#9bd",
                        i + 1, t->metric);
    }
}

bool sweep_write_plot(const sweep *s)
{
    plot p = {.s = s};
    find_range(&p);
    int width = LEFT + s->key_count * (PANEL + GAP), height = TOP + HEIGHT + BOTTOM;
    text_printf(&p.out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
                "font-size=\"11\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                width, height);
    add_text(&p, LEFT - 6, TOP + 8, "end", arena_printf(s->mem, "%.4g", p.most));
    add_text(&p, LEFT - 6, TOP + HEIGHT, "end", arena_printf(s->mem, "%.4g", p.least));
    add_text(&p, LEFT, TOP - 8, "start", s->metric);
    for (int k = 0; k < s->key_count; k++)
        add_panel(&p, k, sweep_order(s)[0]);
    text_add(&p.out, "</svg>\n");
    bool ok = be_write_file(arena_printf(s->mem, "%s/sweep.svg", s->dir), text_get(&p.out), p.out.length, s->d);
    text_free(&p.out);
    return ok;
}
