/* runtime/training/stages_fit.c - the order in which stages learn.
 *
 *     for each round: for each stage:
 *         the boundaries that it reads of earlier stages are made; lamina_fit trains it on them
 *     then the whole is fine-tuned, if that was asked for
 *
 * A frozen stage is passed over. Rounds count a stage's epochs on, so each has other orders of the records. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/training/stages.h"
#include <inttypes.h>
#include <string.h>

typedef struct {
    lamina_supply supply;
    lamina_stages *s;
    const lamina_stages_fit_options *o;
    lamina_stages_place at;
    int64_t rounds, taken; /* taken: steps of this call */
    bool stopped;          /* the stage that learns did so early */
    lamina_report last;    /* of the stage that learns, as far as it holds on */
    int32_t stop;          /* not 0: the caller's flag is raised, or scores failed, as these two say */
    lamina_status failed;
    lamina_error error;
} run;

static const lamina_part *part_of(const run *r)
{
    return &r->s->parts[r->at.stage];
}

static bool is_whole(const run *r)
{
    return r->at.stage == r->s->count;
}

static const lamina_fit_options *how(const run *r)
{
    return is_whole(r) ? &r->o->fine_tune : &part_of(r)->o.fit;
}

static int64_t epochs_a_round(const run *r)
{
    int64_t epochs = how(r)->epochs;
    return epochs || is_whole(r) ? epochs : 1;
}

static int64_t epochs_of(const run *r, int64_t rounds)
{
    int64_t epochs;
    return __builtin_mul_overflow(rounds, epochs_a_round(r), &epochs) ? INT64_MAX : epochs;
}

static int64_t batch_of(const run *r)
{
    return how(r)->batch ? how(r)->batch : part_of(r)->o.net->max_batch;
}

/* Those that it has at the end of this round, of all rounds. */
static int64_t last_epoch(const run *r)
{
    return epochs_of(r, is_whole(r) ? 1 : r->at.round + 1);
}

static bool enough(const run *r)
{
    return r->o->max_steps > 0 && r->taken >= r->o->max_steps;
}

/* ---- places ---- */

/* The beginning of the part that at.stage names. */
static void enter(run *r)
{
    r->at.at.step = 0;
    r->at.at.epoch = 0;
    if (r->at.stage > r->s->count)
        return;
    r->at.at.epoch = is_whole(r) ? 0 : epochs_of(r, r->at.round);
    r->at.at.batch = batch_of(r);
}

static void advance(run *r)
{
    r->at.stage++;
    if (r->at.stage == r->s->count && r->at.round + 1 < r->rounds) {
        r->at.round++;
        r->at.stage = 0;
    }
    enter(r);
}

static bool another_round(const run *r)
{
    return !is_whole(r) && r->at.round + 1 < r->rounds;
}

/* ---- telling ---- */

static void tell(const run *r, lamina_stages_event event, int32_t stage, int64_t round, const lamina_report *fit)
{
    const lamina_part *p = &r->s->parts[stage];
    const lamina_stages_report report = {.event = event,
                                         .stage = p->o.name,
                                         .number = stage + 1,
                                         .count = r->s->count,
                                         .round = round + 1,
                                         .rounds = r->rounds,
                                         .net = p->o.net,
                                         .fit = fit,
                                         .model = event == LAMINA_STAGES_STAGE ? NULL : r->s->model,
                                         .at = r->at,
                                         .scores = r->s->scores,
                                         .score_count = event == LAMINA_STAGES_STEP ? 0 : r->s->score_count};
    if (r->o->report)
        r->o->report(r->o->user, &report);
}

static void hear(void *user, const lamina_report *fit)
{
    run *r = user;
    uint64_t data = r->at.at.data;
    r->at.at = fit->at;
    r->at.at.data = data; /* of the run's: a stage's own would be that of its view */
    r->taken += fit->event == LAMINA_EVENT_STEP;
    r->last = *fit;
    r->last.train = r->last.validation = NULL;
    r->stopped = fit->stopped;
    lamina_stages_event event = fit->event == LAMINA_EVENT_STEP ? LAMINA_STAGES_STEP : LAMINA_STAGES_EPOCH;
    if (event == LAMINA_STAGES_EPOCH)
        r->failed = lamina_scores_make(&r->supply, &r->at, r->at.stage, fit->validation, &r->error);
    if (!r->failed)
        tell(r, event, r->at.stage, r->at.round, fit);
    r->stop = r->failed || (r->o->stop && *r->o->stop);
}

/* ---- what is kept ---- */

/* Boundaries of stages that depend on this one are of its old values. */
static void drop_changed(run *r)
{
    lamina_stages *s = r->s;
    lamina_stages_mark(s, r->at.stage);
    lamina_boundaries_drop(&r->supply, s->marked, true);
    for (int32_t stage = 0; stage < s->count; stage++)
        s->parts[stage].print = s->marked[stage] ? 0 : s->parts[stage].print;
}

/* Boundaries that no stage reads any more, this one or a later one. */
static void drop_read(run *r)
{
    lamina_stages *s = r->s;
    for (int32_t i = 0; i < s->count; i++)
        s->marked[i] = true;
    for (int32_t stage = another_round(r) ? 0 : r->at.stage; stage < s->count; stage++)
        for (int32_t i = 0; i < s->parts[stage].o.net->input_count; i++)
            if (s->parts[stage].maker[i] >= 0)
                s->marked[s->parts[stage].maker[i]] = false;
    lamina_boundaries_drop(&r->supply, s->marked, false);
}

/* ---- a stage ---- */

/* A stage with data of its own has no other validation data than its own. */
static const lamina_dataset *validation_of(const run *r)
{
    const lamina_stage_options *o = &part_of(r)->o;
    return o->validation || o->train ? o->validation : r->o->validation;
}

static lamina_status open_validation(run *r, lamina_view *out, lamina_error *e)
{
    const lamina_dataset *d = validation_of(r);
    return d ? lamina_view_open(&r->supply, r->at.stage, d, part_of(r)->o.net->max_batch, true, out, e) : LAMINA_OK;
}

/* The model of the stage that learns: that of an interrupted run, if it is there. */
static lamina_status open_model(run *r, lamina_error *e)
{
    lamina_stages *s = r->s;
    float rate = is_whole(r) ? r->o->fine_tune_rate : part_of(r)->o.learning_rate;
    lamina_status status = LAMINA_OK;
    if (s->running != r->at.stage && !(status = lamina_part_finish(s, true, e)) &&
        !(status = lamina_part_open(s, r->at.stage, false, &s->model, e))) {
        s->running = r->at.stage;
        lamina_watch_take(s->model, &s->parts[r->at.stage].watch);
    }
    if (!status && rate > 0)
        lamina_set_learning_rate(s->model, rate);
    return status;
}

static lamina_status train(run *r, const lamina_view *learn, const lamina_view *check, lamina_error *e)
{
    size_t before = lamina_model_bytes(r->s->model);
    lamina_fit_options f = *how(r);
    f.epochs = last_epoch(r);
    f.max_steps = r->o->max_steps > 0 ? r->o->max_steps - r->taken : 0;
    f.seed = r->o->seed;
    f.first_epoch = r->at.at.epoch;
    f.first_step = r->at.at.step;
    f.validation = check->data;
    f.report = hear;
    f.user = r;
    f.stop = &r->stop;
    r->stop = r->o->stop && *r->o->stop;
    r->last = (lamina_report){0};
    r->stopped = false;
    lamina_status s = lamina_fit(r->s->model, learn->data, &f, NULL, e);
    lamina_stages_hold(r->s, lamina_model_bytes(r->s->model) - before);
    return r->failed ? lamina_fail(e, r->failed, "%s", r->error.text) : s;
}

/* Tell the metrics of what a stage has learned; 'at' is where the next one begins. */
static lamina_status end_stage(run *r, const double *validation, lamina_error *e)
{
    int32_t stage = r->at.stage;
    int64_t round = r->at.round;
    lamina_status s = lamina_scores_make(&r->supply, &r->at, stage, validation, e);
    if (s)
        return s;
    r->last.event = LAMINA_EVENT_EPOCH;
    r->last.metrics = part_of(r)->o.net->metrics;
    r->last.metric_count = part_of(r)->o.net->metric_count;
    r->last.validation = validation;
    advance(r);
    r->last.at = r->at.at;
    tell(r, LAMINA_STAGES_STAGE, stage, round, &r->last);
    return LAMINA_OK;
}

static lamina_status measure(const run *r, lamina_model *m, const lamina_view *check, double **out, lamina_error *e)
{
    size_t metrics = (size_t)part_of(r)->o.net->metric_count;
    if (!check->data)
        return LAMINA_OK;
    *out = lamina_allocate(metrics, sizeof **out);
    return *out ? lamina_evaluate_dataset(m, check->data, *out, e)
                : lamina_fail_memory(e, part_of(r)->o.name, metrics * sizeof **out);
}

/* Between two rounds: what is best begins anew, as what the stage reads changes, but its learning rate goes on. */
static void rest(const run *r)
{
    lamina_part *p = &r->s->parts[r->at.stage];
    double reduced = p->watch.seen.reduced;
    r->s->bytes -= p->watch.bytes;
    lamina_watch_free(&p->watch, p->o.net);
    p->watch.seen.reduced = reduced;
}

/* *ended: it has learned all that it should; not if max_steps came before. */
static lamina_status learn(run *r, bool *ended, lamina_error *e)
{
    lamina_view records = {0}, check = {0};
    double *values = NULL;
    const lamina_part *p = part_of(r);
    const lamina_dataset *d = p->o.train ? p->o.train : r->supply.train;
    int64_t most = p->o.net->max_batch > batch_of(r) ? p->o.net->max_batch : batch_of(r);
    drop_changed(r);
    lamina_status s = lamina_view_open(&r->supply, r->at.stage, d, most, true, &records, e);
    if (!s)
        s = open_validation(r, &check, e);
    drop_read(r);
    if (!s && !(s = open_model(r, e)))
        s = train(r, &records, &check, e);
    *ended = !s && (!enough(r) || r->stopped || r->at.at.epoch >= last_epoch(r));
    if (*ended && !(s = measure(r, r->s->model, &check, &values, e)))
        s = lamina_part_finish(r->s, another_round(r), e);
    if (*ended && !s)
        rest(r);
    lamina_view_close(&records);
    lamina_view_close(&check);
    if (!s && *ended)
        s = end_stage(r, values, e);
    lamina_release(values);
    return s;
}

static lamina_status pass_frozen(run *r, lamina_error *e)
{
    lamina_view check = {0};
    lamina_model *m = NULL;
    double *values = NULL;
    lamina_status s = LAMINA_OK;
    r->last = (lamina_report){0};
    if (validation_of(r) && lamina_part_measurable(&r->supply, r->at.stage, validation_of(r)))
        s = open_validation(r, &check, e);
    if (!s && check.data && !(s = lamina_part_open(r->s, r->at.stage, true, &m, e)))
        s = measure(r, m, &check, &values, e);
    lamina_part_close(r->s, m);
    lamina_view_close(&check);
    if (!s)
        s = end_stage(r, values, e);
    lamina_release(values);
    return s;
}

static lamina_status run_stages(run *r, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    bool ended = true;
    while (!s && ended && r->at.stage <= r->s->count) {
        if (is_whole(r) && epochs_a_round(r) == 0)
            advance(r);
        else if (part_of(r)->o.frozen)
            s = pass_frozen(r, e);
        else if (enough(r) && r->at.at.epoch < last_epoch(r))
            ended = false;
        else
            s = learn(r, &ended, e);
    }
    return s;
}

/* ---- the whole ---- */

static lamina_status check_options(const lamina_stages *s, const lamina_stages_fit_options *o, int64_t rounds,
                                   lamina_error *e)
{
    const struct {
        const char *name;
        int64_t value;
    } all[] = {{"rounds", o->rounds},
               {"max_steps", o->max_steps},
               {"fine_tune.epochs", o->fine_tune.epochs},
               {"fine_tune.batch", o->fine_tune.batch}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].value < 0)
            return lamina_fail(e, LAMINA_BAD_ARG, "stages: %s: expected 0 or more, found %" PRId64, all[i].name,
                               all[i].value);
    if (!(o->fine_tune_rate >= 0))
        return lamina_fail(e, LAMINA_BAD_ARG, "stages: fine_tune_rate: expected 0 or more, found %g",
                           (double)o->fine_tune_rate);
    if (o->cache == LAMINA_CACHE_DISK && !o->cache_directory)
        return lamina_fail(e, LAMINA_BAD_ARG, "stages: cache_directory: expected the name of a directory, found none");
    const lamina_stages_place *at = o->from;
    if (at && (at->round < 0 || at->round >= rounds || at->stage < 0 || at->stage > s->count + 1))
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "stages: from: expected a round below %" PRId64 " and a stage of 0 .. %" PRId32
                           ", found round %" PRId64 ", stage %" PRId32,
                           rounds, s->count + 1, at->round, at->stage);
    return LAMINA_OK;
}

/* Later stages read values that earlier ones made of a record once. */
static lamina_status check_data(const lamina_stages *s, const lamina_dataset *train, lamina_error *e)
{
    bool changes = lamina_dataset_is_augmented(train);
    for (int32_t i = 0; i < s->count; i++)
        changes |= s->parts[i].o.train && lamina_dataset_is_augmented(s->parts[i].o.train);
    return !changes ? LAMINA_OK
                    : lamina_fail(e, LAMINA_BAD_ARG,
                                  "stages: expected records that stay as they are from epoch to epoch, since later "
                                  "stages read what earlier ones made of them, found data that is augmented");
}

static lamina_status begin(run *r, lamina_error *e)
{
    const lamina_stages_fit_options *o = r->o;
    r->rounds = o->schedule == LAMINA_ALTERNATING && o->rounds > 0 ? o->rounds : 1;
    lamina_status status = check_options(r->s, o, r->rounds, e);
    status = status ? status : check_data(r->s, r->supply.train, e);
    if (status)
        return status;
    if (o->from)
        r->at = *o->from;
    else
        enter(r);
    r->at.at.seed = o->seed;
    r->at.at.data = lamina_stages_fingerprint(r->s, r->supply.train);
    if (r->at.stage <= r->s->count)
        r->at.at.batch = batch_of(r);
    r->s->plan = lamina_stages_plan(r->s, o);
    return LAMINA_OK;
}

static const lamina_stages_fit_options defaults;

lamina_status lamina_stages_start(lamina_stages *s, const lamina_dataset *train, const lamina_stages_fit_options *o,
                                  lamina_stages_place *out, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_start", "s train out", s, train, out);
    if (status)
        return status;
    o = o ? o : &defaults;
    run r = {.supply = {.s = s, .o = o, .train = train}, .s = s, .o = o};
    status = begin(&r, e);
    *out = r.at;
    return status;
}

lamina_status lamina_stages_fit(lamina_stages *s, const lamina_dataset *train, const lamina_stages_fit_options *o,
                                lamina_stages_place *out, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_fit", "s train", s, train);
    if (status)
        return status;
    o = o ? o : &defaults;
    run r = {.supply = {.s = s, .o = o, .train = train}, .s = s, .o = o};
    if ((status = begin(&r, e)))
        return status;
    lamina_stages_drop_lent(s);
    lamina_scores_forget(s);
    status = run_stages(&r, e);
    lamina_boundaries_drop(&r.supply, NULL, true);
    if (out)
        *out = r.at;
    return status;
}
