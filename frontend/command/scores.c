/* frontend/command/scores.c - see scores.h. */
#include "frontend/command/scores.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static void print_metrics(FILE *out, const lamina_stages_score *s)
{
    for (int32_t i = 0; i < s->metric_count; i++)
        fprintf(out, "%s %s %.4f", i ? "," : "", s->metrics[i].name, s->values[i]);
}

static void print_stage(FILE *out, const lamina_stages_score *s)
{
    fprintf(out, "  %s:", s->stage);
    print_metrics(out, s);
    if (!isnan(s->share))
        fprintf(out, "; %.1f %% of the loss", 100 * s->share);
    if (!isnan(s->contribution))
        fprintf(out, ", %+.4f without it", s->contribution);
    fputs("\n", out);
}

void cmd_print_scores(FILE *out, const char *set, int64_t examples, const lamina_stages_score *scores, int32_t count)
{
    fprintf(out, "%s (%" PRId64 " examples):", set, examples);
    bool whole = count > 0 && !scores[0].stage;
    if (whole)
        print_metrics(out, &scores[0]);
    fputs("\n", out);
    for (int32_t i = whole; i < count; i++)
        print_stage(out, &scores[i]);
}

void cmd_print_scores_line(FILE *out, const lamina_stages_score *scores, int32_t count)
{
    fputs("  so far", out);
    for (int32_t i = 0; i < count; i++) {
        fprintf(out, "%s %s:", i ? " |" : "", scores[i].stage ? scores[i].stage : "whole");
        print_metrics(out, &scores[i]);
    }
    fputs("\n", out);
}

lamina_stage_options cmd_stage_options(const fe_hierarchy *h, int part, const lamina_net *net, arena *mem)
{
    const fe_part *p = &h->parts[part];
    lamina_stage_options o = {.name = p->name, .net = net, .frozen = p->frozen, .teacher = p->teacher};
    o.weights = p->teacher ? p->weights->path : NULL;
    o.combination = h->learns_combination && part == h->count - 1;
    if (h->schedule == FE_SIMULTANEOUS && !strcmp(p->name, "stages")) {
        const char **names = arena_new_array(mem, const char *, (size_t)h->stage_count);
        memcpy(names, h->stages, (size_t)h->stage_count * sizeof *names);
        o.members = names;
        o.member_count = h->stage_count;
    }
    return o;
}
