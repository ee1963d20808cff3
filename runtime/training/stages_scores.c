/* runtime/training/stages_scores.c - how the whole stands while its stages learn, and each stage beside it.
 *
 * A stage is measured by its own network, whenever its parameters, or those of stages that it reads of, have changed.
 * What the whole makes of the answers there are so far, and what it makes without one of them, says the network of
 * lamina_stages_set_scores, which has all these combinations. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/model.h"
#include "runtime/training/stages.h"
#include <math.h>
#include <string.h>

enum { LONGEST_NAME = 256 };

void lamina_scores_free(lamina_stages *s)
{
    lamina_release(s->scores);
    lamina_release(s->score_metrics);
    lamina_release(s->score_values);
    lamina_release(s->combined);
    s->scores = NULL;
    s->score_metrics = NULL;
    s->score_values = s->combined = NULL;
    s->score_count = 0;
}

void lamina_scores_forget(lamina_stages *s)
{
    for (int32_t i = 0; i <= s->count; i++)
        s->parts[i].measured = false;
    s->score_count = 0;
}

static const lamina_net *combinations(const lamina_stages *s)
{
    return s->parts[s->count + 1].o.net;
}

/* Each score that there may be, and all their metrics. */
static lamina_status make_room(lamina_stages *s, lamina_error *e)
{
    const lamina_net *net = combinations(s);
    size_t scores = 1, metrics = 0;
    for (int32_t i = 0; i <= s->count; i++) {
        scores += s->parts[i].o.members ? (size_t)s->parts[i].o.member_count : 1;
        metrics += (size_t)s->parts[i].o.net->metric_count;
    }
    lamina_scores_free(s);
    s->scores = lamina_allocate(scores, sizeof *s->scores);
    s->score_metrics = lamina_allocate(metrics, sizeof *s->score_metrics);
    s->score_values = lamina_allocate(metrics, sizeof *s->score_values);
    s->combined = lamina_allocate(net ? (size_t)net->metric_count : 0, sizeof *s->combined);
    if (s->scores && s->score_metrics && s->score_values && s->combined)
        return LAMINA_OK;
    return lamina_fail_memory(e, "scores", scores * sizeof *s->scores + metrics * sizeof *s->score_metrics);
}

/* ---- measuring ---- */

bool lamina_part_measurable(const lamina_supply *u, int32_t part, const lamina_dataset *d)
{
    const lamina_net *net = u->s->parts[part].o.net;
    for (int32_t i = 0; i < net->input_count; i++) {
        lamina_origin o = lamina_stages_origin(u, part, i, d);
        if (!o.data && o.maker < 0)
            return false;
    }
    return net->evaluate;
}

static lamina_status measure(lamina_supply *u, int32_t part, const lamina_dataset *d, double *values, lamina_error *e)
{
    lamina_stages *s = u->s;
    lamina_view view = {0};
    lamina_model *m = NULL;
    lamina_status status = lamina_view_open(u, part, d, s->parts[part].o.net->max_batch, false, &view, e);
    if (!status)
        status = lamina_part_open(s, part, true, &m, e);
    if (!status)
        status = lamina_evaluate_dataset(m, view.data, values, e);
    lamina_part_close(s, m);
    lamina_view_close(&view);
    return status;
}

/* Whatever of the stages before 'end' is not known. */
static lamina_status measure_stages(lamina_supply *u, int32_t end, bool own_data, lamina_error *e)
{
    lamina_stages *s = u->s;
    lamina_status status = LAMINA_OK;
    for (int32_t i = 0; !status && i < end; i++) {
        lamina_part *p = &s->parts[i];
        const lamina_dataset *d = p->o.validation || p->o.train ? p->o.validation : u->o->validation;
        if (p->measured || p->o.combination || p->o.teacher || !d || (!own_data && d != u->o->validation) ||
            !lamina_part_measurable(u, i, d))
            continue;
        status = measure(u, i, d, p->values, e);
        p->measured = !status;
    }
    return status;
}

/* ---- names ---- */

/* The metric "WORD_STAGE_METRIC" (without what is NULL) of the net of combinations, or -1. */
static int32_t find_combined(const lamina_stages *s, const char *word, const char *stage, const char *metric)
{
    const lamina_net *net = combinations(s);
    char name[LONGEST_NAME];
    snprintf(name, sizeof name, "%s%s%s%s%s", word ? word : "", word ? "_" : "", stage ? stage : "", stage ? "_" : "",
             metric);
    for (int32_t i = 0; net && i < net->metric_count; i++)
        if (strcmp(net->metrics[i].name, name) == 0)
            return i;
    return -1;
}

/* How many characters of a metric's name are that of a member, with the '_' behind it. */
static size_t prefix_of(const char *metric, const char *member)
{
    size_t n = strlen(member);
    return strncmp(metric, member, n) == 0 && metric[n] == '_' ? n + 1 : 0;
}

/* No other member's name is a longer beginning of it. */
static bool belongs_to(const lamina_stage_options *o, const char *metric, const char *member)
{
    size_t mine = prefix_of(metric, member);
    for (int32_t i = 0; mine && i < o->member_count; i++)
        if (prefix_of(metric, o->members[i]) > mine)
            return false;
    return mine > 0;
}

/* ---- the list ---- */

/* Where the next score's metrics and values go. */
typedef struct {
    lamina_stages *s;
    lamina_metric *metrics;
    double *values;
} writer;

static lamina_stages_score *begin_score(writer *w, const char *stage)
{
    lamina_stages_score *score = &w->s->scores[w->s->score_count++];
    *score = (lamina_stages_score){
        .stage = stage, .metrics = w->metrics, .values = w->values, .share = NAN, .contribution = NAN};
    return score;
}

static void add_metric(writer *w, lamina_stages_score *score, const lamina_metric *m, const char *name, double value)
{
    *w->metrics = *m;
    w->metrics++->name = name;
    *w->values++ = value;
    score->metric_count++;
}

/* The whole, by the combination that 'word' and 'stage' say, or as it was measured itself. False: it is not known. */
static bool add_whole(writer *w, const char *word, const char *stage)
{
    const lamina_part *whole = &w->s->parts[w->s->count];
    const lamina_net *net = whole->o.net;
    for (int32_t i = 0; !whole->measured && i < net->metric_count; i++)
        if (find_combined(w->s, word, stage, net->metrics[i].name) < 0)
            return false;
    lamina_stages_score *score = begin_score(w, NULL);
    for (int32_t i = 0; i < net->metric_count; i++) {
        const lamina_metric *m = &net->metrics[i];
        add_metric(w, score, m, m->name,
                   whole->measured ? whole->values[i] : w->s->combined[find_combined(w->s, word, stage, m->name)]);
    }
    return true;
}

static void add_stage(writer *w, const lamina_part *p)
{
    const lamina_net *net = p->o.net;
    if (!p->measured || p->o.combination || p->o.teacher)
        return;
    for (int32_t k = 0; k < (p->o.members ? p->o.member_count : 1); k++) {
        const char *member = p->o.members ? p->o.members[k] : NULL;
        lamina_stages_score *score = begin_score(w, member ? member : p->o.name);
        for (int32_t i = 0; i < net->metric_count; i++) {
            const lamina_metric *m = &net->metrics[i];
            if (!member || belongs_to(&p->o, m->name, member))
                add_metric(w, score, m, m->name + (member ? prefix_of(m->name, member) : 0), p->values[i]);
        }
        if (!score->metric_count) /* a frozen one among them */
            w->s->score_count--;
    }
}

/* The total, or the sum of the losses of a member that has several. */
static double loss_of(const lamina_stages_score *score)
{
    double sum = 0;
    for (int32_t i = 0; i < score->metric_count; i++) {
        if (strcmp(score->metrics[i].name, "loss") == 0)
            return score->values[i];
        sum += score->metrics[i].higher_is_better ? 0 : score->values[i];
    }
    return sum;
}

static void compare(lamina_stages *s, bool complete)
{
    double sum = 0;
    int32_t whole = complete ? find_combined(s, "whole", NULL, "loss") : -1;
    for (int32_t i = 0; i < s->score_count; i++)
        sum += s->scores[i].stage ? loss_of(&s->scores[i]) : 0;
    for (int32_t i = 0; i < s->score_count; i++) {
        lamina_stages_score *score = &s->scores[i];
        int32_t without = score->stage ? find_combined(s, "without", score->stage, "loss") : -1;
        if (score->stage && sum > 0)
            score->share = loss_of(score) / sum;
        if (whole >= 0 && without >= 0)
            score->contribution = s->combined[without] - s->combined[whole];
    }
}

/* The last stage before 'end' up to which there is a combination, or NULL. */
static const char *last_combined(const lamina_stages *s, int32_t end)
{
    for (int32_t i = end - 1; i >= 0; i--)
        if (find_combined(s, "upto", s->parts[i].o.name, "loss") >= 0)
            return s->parts[i].o.name;
    return NULL;
}

/* Have all stages learned whose answers are combined? */
static bool is_complete(const lamina_stages *s, int32_t end)
{
    const lamina_part *p = &s->parts[s->count + 1];
    for (int32_t i = 0; i < p->o.net->input_count; i++)
        if (p->maker[i] >= end)
            return false;
    return true;
}

/* Of stages before 'end'. */
static lamina_status make(lamina_supply *u, int32_t end, bool own_data, lamina_error *e)
{
    lamina_stages *s = u->s;
    bool measurable = combinations(s) && lamina_part_measurable(u, s->count + 1, u->o->validation);
    bool complete = measurable && is_complete(s, end);
    const char *upto = measurable && !complete ? last_combined(s, end) : NULL;
    lamina_status status = measure_stages(u, end, own_data, e);
    if (!status && (complete || upto))
        status = measure(u, s->count + 1, u->o->validation, s->combined, e);
    if (status)
        return status;
    writer w = {s, s->score_metrics, s->score_values};
    s->score_count = 0;
    const char *word = find_combined(s, "whole", NULL, "loss") >= 0 ? "whole" : NULL;
    if (s->parts[s->count].measured || complete)
        add_whole(&w, word, NULL);
    else if (upto)
        add_whole(&w, "upto", upto);
    for (int32_t i = 0; i < end; i++)
        add_stage(&w, &s->parts[i]);
    compare(s, complete);
    return LAMINA_OK;
}

lamina_status lamina_scores_make(lamina_supply *u, const lamina_stages_place *at, int32_t part, const double *own,
                                 lamina_error *e)
{
    lamina_stages *s = u->s;
    int32_t end = at->round > 0 || at->stage >= s->count ? s->count : at->stage + 1;
    s->score_count = 0;
    if (!u->o->validation)
        return LAMINA_OK;
    lamina_status status = s->scores ? LAMINA_OK : make_room(s, e);
    if (status || (status = lamina_part_show(s, e)))
        return status;
    lamina_stages_mark(s, part);
    for (int32_t i = 0; i <= s->count; i++)
        s->parts[i].measured &= !s->marked[i];
    if (own) {
        memcpy(s->parts[part].values, own, (size_t)s->parts[part].o.net->metric_count * sizeof *own);
        s->parts[part].measured = true;
    }
    return make(u, end, true, e);
}

/* ---- of any data ---- */

lamina_status lamina_stages_evaluate(lamina_stages *s, const lamina_dataset *d, const lamina_stages_score **scores,
                                     int32_t *count, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_evaluate", "s d scores count", s, d, scores, count);
    if (status)
        return status;
    const lamina_stages_fit_options o = {.validation = d, .cache = LAMINA_CACHE_NONE};
    lamina_supply u = {.s = s, .o = &o, .train = d};
    lamina_part *whole = &s->parts[s->count];
    *scores = NULL;
    *count = 0;
    if ((status = lamina_part_finish(s, true, e)) || (status = make_room(s, e)))
        return status;
    lamina_scores_forget(s);
    if (lamina_part_measurable(&u, s->count, d)) {
        status = measure(&u, s->count, d, whole->values, e);
        whole->measured = !status;
    }
    if (!status)
        status = make(&u, s->count, false, e);
    for (int32_t i = 0; i <= s->count; i++)
        s->parts[i].measured = false; /* of a run's validation data */
    if (status)
        return status;
    *scores = s->scores;
    *count = s->score_count;
    return LAMINA_OK;
}
