/* runtime/training/stages_checkpoint.c - a run of stages as one file: its place, and the tensors of all stages.
 *
 *     /steps, /prints                      steps that each network has taken; fingerprints of boundaries
 *     trunk.weight, norm.moving_mean       of layers, whichever networks have them
 *     teacher/trunk.weight                 of a teacher, which has its own of everything
 *     features/adam.m/trunk.weight         of a stage's training, where it has begun and goes on
 *
 *     /watch, /best/trunk.weight           what stages have seen of metrics that they watch, and the best weights of
 *                                          the one that learns
 *
 * Names of layers and states have no slash in front. What the stage that learns has in its model is taken from
 * there. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/files/safetensors.h"
#include "runtime/model/model.h"
#include "runtime/training/stages.h"
#include <inttypes.h>
#include <string.h>

enum { ROUND, STAGE, EPOCH, STEP, BATCH, INITIAL_SEED, SEED, DATA, PLAN, GRAPH, WORDS };

static const char *const keys[WORDS] = {"round",        "stage", "epoch", "step", "batch",
                                        "initial_seed", "seed",  "data",  "plan", "graphs"};

enum { STEPS, PRINTS, COUNTERS, WATCH = COUNTERS, FIRST }; /* tensors that come before the rows */

static const char best_prefix[] = "/best/";

/* ---- what a run is recognised by ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    for (int i = 0; i < 8; i++, word >>= 8)
        hash = (hash ^ (word & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t graphs(const lamina_stages *s)
{
    uint64_t hash = 0;
    for (int32_t i = 0; i <= s->count; i++)
        for (const char *c = s->parts[i].o.net->hash; *c; c++)
            hash = mix(hash, (uint64_t)*c);
    return hash;
}

static uint64_t mix_fit(uint64_t hash, const lamina_fit_options *f, const lamina_net *net, bool with_epochs)
{
    int64_t batch = f->batch ? f->batch : net->max_batch;
    hash = mix(mix(hash, (uint64_t)batch), (uint64_t)(batch < net->max_batch ? batch : net->max_batch));
    return mix(mix(hash, f->keep_order), with_epochs ? (uint64_t)f->epochs : 0);
}

/* Epochs count where a round has an end: elsewhere more of them may be asked for. */
uint64_t lamina_stages_plan(const lamina_stages *s, const lamina_stages_fit_options *o)
{
    bool alternating = o->schedule == LAMINA_ALTERNATING;
    uint64_t hash = mix(0, (uint64_t)o->schedule);
    for (int32_t i = 0; i < s->count; i++)
        hash = mix(mix_fit(hash, &s->parts[i].o.fit, s->parts[i].o.net, alternating), s->parts[i].o.frozen);
    return mix_fit(hash, &o->fine_tune, s->parts[s->count].o.net, false);
}

/* ---- tensors ---- */

/* The file's tensors: their rows, and where they come from or go to. */
typedef struct {
    lamina_stages *s;
    lamina_tensor *tensors;
    int32_t *row, count; /* a row for each tensor; FIRST of them have none */
    int32_t best;        /* from which on they are the best weights */
    int64_t *counter[COUNTERS];
    lamina_watch_seen *seen;      /* of each part */
    const lamina_watch *watch;    /* written: of the stage that learns, */
    const lamina_part *learns;    /* which is this one */
    char *names, *name;           /* of the best weights; where the next one goes */
    void **values, **best_values; /* read: for each row */
} contents;

static void close_contents(contents *c)
{
    for (int32_t i = 0; c->values && i < c->s->row_count; i++)
        lamina_release(c->values[i]);
    for (int32_t i = 0; c->best_values && i < c->s->shared_count; i++)
        lamina_release(c->best_values[i]);
    lamina_release(c->best_values);
    lamina_release(c->seen);
    lamina_release(c->names);
    for (int i = 0; i < COUNTERS; i++)
        lamina_release(c->counter[i]);
    lamina_release(c->values);
    lamina_release(c->tensors);
    lamina_release(c->row);
}

static lamina_status open_contents(lamina_stages *s, contents *c, lamina_error *e)
{
    static const char *const names[COUNTERS] = {"/steps", "/prints"};
    size_t most = 2 * (size_t)s->row_count + FIRST, parts = (size_t)s->count + 1, letters = 1;
    for (int32_t row = 0; row < s->shared_count; row++)
        letters += strlen(s->rows[row].name) + sizeof best_prefix;
    *c = (contents){.s = s, .count = FIRST, .best = INT32_MAX};
    c->seen = lamina_allocate(parts, sizeof *c->seen);
    c->names = c->name = lamina_allocate(letters, 1);
    c->best_values = lamina_allocate((size_t)s->shared_count, sizeof *c->best_values);
    c->tensors = lamina_allocate(most, sizeof *c->tensors);
    c->row = lamina_allocate(most, sizeof *c->row);
    c->values = lamina_allocate((size_t)s->row_count, sizeof *c->values);
    if (!c->tensors || !c->row || !c->values || !c->seen || !c->names || !c->best_values)
        return lamina_fail_memory(e, "a checkpoint of stages", most * sizeof *c->tensors + letters);
    c->tensors[WATCH] = lamina_watch_row("/watch", (int64_t)parts);
    for (int i = 0; i < COUNTERS; i++) {
        c->tensors[i] = (lamina_tensor){.name = names[i],
                                        .kind = LAMINA_TENSOR_STATE,
                                        .dtype = LAMINA_I64,
                                        .rank = 1,
                                        .batch_dim = -1,
                                        .dim = {(int64_t)parts},
                                        .bytes = parts * sizeof(int64_t)};
        c->counter[i] = lamina_allocate(parts, sizeof(int64_t));
        if (!c->counter[i])
            return lamina_fail_memory(e, "a checkpoint of stages", parts * sizeof(int64_t));
    }
    return LAMINA_OK;
}

static void add_tensor(contents *c, int32_t row)
{
    c->tensors[c->count] = c->s->rows[row];
    c->row[c->count++] = row;
}

static void add_best(contents *c, int32_t row)
{
    c->best = c->best < c->count ? c->best : c->count;
    c->tensors[c->count] = c->s->rows[row];
    c->tensors[c->count].name = c->name;
    c->row[c->count++] = row;
    c->name += sprintf(c->name, "%s%s", best_prefix, c->s->rows[row].name) + 1;
}

static int32_t in_part(const lamina_part *p, int32_t row)
{
    for (int32_t i = 0; i < p->o.net->tensor_count; i++)
        if (p->row[i] == row)
            return i;
    return -1;
}

/* The number of a row among the tensors of the model that learns, or -1. */
static int32_t in_model(const lamina_stages *s, int32_t row)
{
    return s->running >= 0 ? in_part(&s->parts[s->running], row) : -1;
}

static const lamina_watch *watch_of(const lamina_stages *s, int32_t part)
{
    return part == s->running ? &s->model->watch : &s->parts[part].watch;
}

static lamina_status get(void *user, int32_t tensor, void *plain, lamina_error *e)
{
    const contents *c = user;
    if (tensor < COUNTERS) {
        memcpy(plain, c->counter[tensor], c->tensors[tensor].bytes);
        return LAMINA_OK;
    }
    if (tensor == WATCH) {
        memcpy(plain, c->seen, c->tensors[WATCH].bytes);
        return LAMINA_OK;
    }
    int32_t row = c->row[tensor], there = in_model(c->s, row);
    if (tensor >= c->best) {
        memcpy(plain, c->watch->best[in_part(c->learns, row)], c->tensors[tensor].bytes);
        return LAMINA_OK;
    }
    if (there >= 0)
        return lamina_export(c->s->model, there, plain, e);
    memcpy(plain, c->s->values[row], c->s->rows[row].bytes);
    return LAMINA_OK;
}

static lamina_status set(void *user, int32_t tensor, const void *plain, lamina_error *e)
{
    contents *c = user;
    bool fixed = tensor < FIRST;
    void *to = tensor < COUNTERS ? (void *)c->counter[tensor]
               : fixed           ? (void *)c->seen
                                 : lamina_allocate(1, c->tensors[tensor].bytes);
    if (!to)
        return lamina_fail_memory(e, c->tensors[tensor].name, c->tensors[tensor].bytes);
    memcpy(to, plain, c->tensors[tensor].bytes);
    if (!fixed)
        (tensor < c->best ? c->values : c->best_values)[c->row[tensor]] = to;
    return LAMINA_OK;
}

/* The counters and what stages share are in every checkpoint; the rest is of stages that have begun. */
static bool is_required(void *user, int32_t tensor)
{
    const contents *c = user;
    return tensor != WATCH && tensor < FIRST + c->s->shared_count;
}

/* Where no stage watches anything the file is as if there were no watching. */
static bool is_written(void *user, int32_t tensor)
{
    const contents *c = user;
    bool any = tensor != WATCH;
    for (int32_t i = 0; !any && i <= c->s->count; i++)
        any = lamina_watch_has_seen(&(lamina_watch){.seen = c->seen[i]});
    return any;
}

static lamina_tensor_set as_set(contents *c)
{
    return (lamina_tensor_set){.owner = c->s->parts[c->s->count].o.name,
                               .tensors = c->tensors,
                               .count = c->count,
                               .required = is_required,
                               .written = is_written,
                               .get = get,
                               .set = set,
                               .user = c};
}

/* ---- saving ---- */

static void name_words(lamina_metadata *word)
{
    for (int i = 0; i < WORDS; i++)
        snprintf(word[i].key, sizeof word[i].key, "%s", keys[i]);
}

/* Of a stage that is done they are its weights already. */
static void add_best_of(contents *c, int32_t stage)
{
    if (stage < 0 || stage > c->s->count)
        return;
    c->learns = &c->s->parts[stage];
    c->watch = watch_of(c->s, stage);
    for (int32_t i = 0; c->watch->kept && !c->watch->exchanged && i < c->learns->o.net->tensor_count; i++)
        if (c->watch->best[i])
            add_best(c, c->learns->row[i]);
}

static lamina_status save(lamina_stages *s, contents *c, const lamina_stages_place *at, const char *path,
                          lamina_error *e)
{
    for (int32_t i = 0; i <= s->count; i++) {
        c->counter[STEPS][i] = i == s->running ? lamina_steps(s->model) : s->parts[i].steps;
        c->counter[PRINTS][i] = s->parts[i].print;
        c->seen[i] = watch_of(s, i)->seen;
    }
    for (int32_t row = 0; row < s->row_count; row++)
        if (s->values[row] || in_model(s, row) >= 0)
            add_tensor(c, row);
    add_best_of(c, at->stage);
    const uint64_t number[WORDS] = {[ROUND] = (uint64_t)at->round,
                                    [STAGE] = (uint64_t)at->stage,
                                    [EPOCH] = (uint64_t)at->at.epoch,
                                    [STEP] = (uint64_t)at->at.step,
                                    [BATCH] = (uint64_t)at->at.batch,
                                    [INITIAL_SEED] = s->seed,
                                    [SEED] = at->at.seed,
                                    [DATA] = at->at.data,
                                    [PLAN] = s->plan,
                                    [GRAPH] = graphs(s)};
    lamina_metadata word[WORDS];
    name_words(word);
    for (int i = 0; i < WORDS; i++)
        snprintf(word[i].value, sizeof word[i].value, "%" PRIu64, number[i]);
    const lamina_tensor_set all = as_set(c);
    return lamina_safetensors_write(&all, path, word, WORDS, e);
}

lamina_status lamina_stages_save(lamina_stages *s, const lamina_stages_place *at, const char *path, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_save", "s at path", s, at, path);
    if (status)
        return status;
    contents c;
    if (!(status = open_contents(s, &c, e)))
        status = save(s, &c, at, path, e);
    close_contents(&c);
    return status;
}

/* ---- loading ---- */

typedef struct {
    const lamina_stages *s;
    const char *path;
    uint64_t number[WORDS]; /* wanted where a run is recognised by it, then found */
} check;

static lamina_status accept_run(void *user, const lamina_metadata *word, lamina_error *e)
{
    static const char *const what[WORDS] = {
        [SEED] = "seed of the shuffling",
        [DATA] = "fingerprint of the training data",
        [PLAN] = "schedule, or a stage's batch, order, epochs of a round or being frozen, as a number",
        [GRAPH] = "networks, as a number"};
    check *c = user;
    for (int i = 0; i < WORDS; i++) {
        uint64_t found, most = i < INITIAL_SEED ? INT64_MAX : UINT64_MAX;
        lamina_status s =
            lamina_metadata_number(&word[i], c->path, i == STAGE ? (uint64_t)c->s->count + 1 : most, &found, e);
        if (s)
            return s;
        if (what[i] && found != c->number[i])
            return lamina_fail(e, LAMINA_BAD_FILE,
                               "%s: a checkpoint of another run of stages: %s: expected %" PRIu64 ", found %" PRIu64,
                               c->path, what[i], c->number[i], found);
        c->number[i] = found;
    }
    return LAMINA_OK;
}

/* The best weights of the stage that the file's run is in: all of them, or none. */
static lamina_status take_best(lamina_stages *s, const contents *c, int32_t stage, const char *path, lamina_error *e)
{
    lamina_part *p = stage <= s->count ? &s->parts[stage] : NULL;
    if (!p || c->best_values[p->row[0]] == NULL)
        return LAMINA_OK;
    lamina_status status = lamina_watch_reserve(&p->watch, p->o.net, e);
    for (int32_t i = 0; !status && i < p->o.net->tensor_count; i++) {
        if (!p->watch.best[i])
            continue;
        const void *best = c->best_values[p->row[i]];
        if (!best)
            status = lamina_fail(e, LAMINA_BAD_FILE, "%s: the weights of the best epoch of stage '%s' are not complete",
                                 path, p->o.name);
        else
            memcpy(p->watch.best[i], best, p->o.net->tensors[i].bytes);
    }
    p->watch.kept = !status;
    lamina_stages_hold(s, p->watch.bytes);
    return status;
}

/* The stages have what the file had, and nothing else. */
static void take_contents(lamina_stages *s, contents *c)
{
    lamina_stages_stop(s);
    for (int32_t row = 0; row < s->row_count; row++) {
        s->bytes -= s->values[row] ? s->rows[row].bytes : 0;
        lamina_release(s->values[row]);
        s->values[row] = c->values[row];
        c->values[row] = NULL;
        lamina_stages_hold(s, s->values[row] ? s->rows[row].bytes : 0);
    }
    for (int32_t i = 0; i <= s->count; i++) {
        s->parts[i].steps = c->counter[STEPS][i];
        s->parts[i].print = c->counter[PRINTS][i];
        s->bytes -= s->parts[i].watch.bytes;
        lamina_watch_free(&s->parts[i].watch, s->parts[i].o.net);
        s->parts[i].watch.seen = c->seen[i];
    }
}

lamina_status lamina_stages_load(lamina_stages *s, const char *path, const lamina_dataset *train,
                                 const lamina_stages_fit_options *o, lamina_stages_place *out, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_load", "s path train out", s, path, train, out);
    if (status)
        return status;
    static const lamina_stages_fit_options defaults;
    o = o ? o : &defaults;
    check k = {.s = s,
               .path = path,
               .number = {[SEED] = o->seed,
                          [DATA] = lamina_stages_fingerprint(s, train),
                          [PLAN] = lamina_stages_plan(s, o),
                          [GRAPH] = graphs(s)}};
    lamina_metadata word[WORDS];
    name_words(word);
    contents c;
    status = open_contents(s, &c, e);
    for (int32_t row = 0; !status && row < s->row_count; row++)
        add_tensor(&c, row);
    for (int32_t row = 0; !status && row < s->shared_count; row++)
        add_best(&c, row);
    if (!status) {
        const lamina_tensor_set all = as_set(&c);
        status = lamina_safetensors_read(&all, path, word, WORDS, accept_run, &k, e);
    }
    if (!status) {
        take_contents(s, &c);
        status = take_best(s, &c, (int32_t)k.number[STAGE], path, e);
    }
    if (!status) {
        s->seed = k.number[INITIAL_SEED];
        *out = (lamina_stages_place){(int64_t)k.number[ROUND],
                                     (int32_t)k.number[STAGE],
                                     {(int64_t)k.number[EPOCH], (int64_t)k.number[STEP], (int64_t)k.number[BATCH],
                                      k.number[SEED], k.number[DATA]}};
    }
    close_contents(&c);
    return status;
}
