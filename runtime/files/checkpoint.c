/* runtime/files/checkpoint.c - a model with all its state and its place in a run, in one file.
 *
 * A safetensors file whose metadata hold the place; 64-bit numbers are text, since JSON numbers are not that long. One
 * file, replaced in one move: there is never half a checkpoint. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/files/safetensors.h"
#include "runtime/model/model.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Besides the model's tensors, where a run watches its metrics: what it has seen, as numbers, and its best weights.
 * Names with a slash in front are not a network's. */
static const char watch_name[] = "/watch", best_prefix[] = "/best/";

typedef struct {
    lamina_model *m;
    lamina_tensor_set model;
    lamina_watch *watch; /* that is written, or to fill */
    lamina_tensor *rows; /* the model's tensors, the watch, the best weights */
    int32_t *tensor;     /* of the best weights: the model's tensor */
    char *names;
    int32_t count, own; /* rows in all; the model's */
    int32_t found;      /* best weights that were read */
} contents;

enum { EPOCH, STEP, TOTAL_STEPS, BATCH, MICRO_BATCH, SEED, DATA, HASH, WORDS };

static const char *const keys[WORDS] = {"epoch",       "step", "total_steps", "batch",
                                        "micro_batch", "seed", "data",        "graph"};

/* Of a step's examples: gradients of more than one micro-batch add up in another order than those of one. */
static uint64_t micro_batch(const lamina_net *net, int64_t batch)
{
    return (uint64_t)(batch < net->max_batch ? batch : net->max_batch);
}

static void close_contents(contents *c)
{
    lamina_release(c->rows);
    lamina_release(c->tensor);
    lamina_release(c->names);
}

static int32_t add_best(contents *c, char *name)
{
    int32_t count = c->own + 1;
    for (int32_t i = 0; i < c->own; i++) {
        if (!lamina_is_for_inference(c->m->net, i))
            continue;
        c->rows[count] = c->m->net->tensors[i];
        c->rows[count].name = name;
        c->tensor[count++] = i;
        name += sprintf(name, "%s%s", best_prefix, c->m->net->tensors[i].name) + 1;
    }
    return count;
}

static lamina_status open_contents(contents *c, lamina_error *e)
{
    const lamina_net *net = c->m->net;
    size_t most = 2 * (size_t)net->tensor_count + 1, letters = 1;
    for (int32_t i = 0; i < net->tensor_count; i++)
        letters += strlen(net->tensors[i].name) + sizeof best_prefix;
    c->own = net->tensor_count;
    c->model = lamina_tensors_to_read(c->m, true);
    c->rows = lamina_allocate(most, sizeof *c->rows);
    c->tensor = lamina_allocate(most, sizeof *c->tensor);
    c->names = lamina_allocate(letters, 1);
    if (!c->rows || !c->tensor || !c->names)
        return lamina_fail_memory(e, net->name, most * sizeof *c->rows + letters);
    memcpy(c->rows, net->tensors, (size_t)c->own * sizeof *c->rows);
    c->rows[c->own] = lamina_watch_row(watch_name, 1);
    c->count = add_best(c, c->names);
    return LAMINA_OK;
}

/* Where the model has the best weights, the last ones are those that were kept. */
static lamina_status get(void *user, int32_t row, void *plain, lamina_error *e)
{
    const contents *c = user;
    int32_t tensor = row < c->own ? row : c->tensor[row];
    bool kept = (row > c->own) != c->watch->exchanged;
    if (row == c->own)
        memcpy(plain, &c->watch->seen, sizeof c->watch->seen);
    else if (c->watch->best && c->watch->best[tensor] && kept)
        memcpy(plain, c->watch->best[tensor], c->rows[row].bytes);
    else
        return lamina_export(c->m, tensor, plain, e);
    return LAMINA_OK;
}

static lamina_status set(void *user, int32_t row, const void *plain, lamina_error *e)
{
    contents *c = user;
    if (row < c->own)
        return c->model.set(c->model.user, row, plain, e);
    if (row == c->own) {
        memcpy(&c->watch->seen, plain, sizeof c->watch->seen);
        return LAMINA_OK;
    }
    lamina_status s = lamina_watch_reserve(c->watch, c->m->net, e);
    if (s)
        return s;
    memcpy(c->watch->best[c->tensor[row]], plain, c->rows[row].bytes);
    c->found++;
    return LAMINA_OK;
}

/* What the run has not watched is not written, and need not be in a file. */
static bool is_written(void *user, int32_t row)
{
    const contents *c = user;
    return row < c->own || (row == c->own ? lamina_watch_has_seen(c->watch) : c->watch->kept);
}

static bool is_required(void *user, int32_t row)
{
    return row < ((const contents *)user)->own;
}

static lamina_tensor_set as_set(contents *c)
{
    return (lamina_tensor_set){.owner = c->m->net->name,
                               .tensors = c->rows,
                               .count = c->count,
                               .required = is_required,
                               .written = is_written,
                               .get = get,
                               .set = set,
                               .user = c};
}

/* ---- saving ---- */

lamina_status lamina_save_checkpoint(lamina_model *m, const lamina_checkpoint *c, const char *path, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_save_checkpoint", "m c path", m, c, path);
    s = s ? s : lamina_need_training(m, "save_checkpoint", e);
    if (s)
        return s;
    const int64_t counts[] = {c->epoch, c->step, c->batch};
    static const char *const names[] = {"epoch", "step", "batch"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i] < 0)
            return lamina_fail(e, LAMINA_BAD_ARG, "%s: checkpoint: %s: expected 0 or more, found %" PRId64,
                               m->net->name, names[i], counts[i]);
    const uint64_t number[HASH] = {[EPOCH] = (uint64_t)c->epoch,
                                   [STEP] = (uint64_t)c->step,
                                   [TOTAL_STEPS] = (uint64_t)m->steps,
                                   [BATCH] = (uint64_t)c->batch,
                                   [MICRO_BATCH] = micro_batch(m->net, c->batch),
                                   [SEED] = c->seed,
                                   [DATA] = c->data};
    lamina_metadata word[WORDS];
    for (int i = 0; i < WORDS; i++) {
        snprintf(word[i].key, sizeof word[i].key, "%s", keys[i]);
        if (i < HASH)
            snprintf(word[i].value, sizeof word[i].value, "%" PRIu64, number[i]);
    }
    snprintf(word[HASH].value, sizeof word[HASH].value, "%s", m->net->hash);
    contents all = {.m = m, .watch = &m->watch};
    if (!(s = open_contents(&all, e))) {
        const lamina_tensor_set tensors = as_set(&all);
        s = lamina_safetensors_write(&tensors, path, word, WORDS, e);
    }
    close_contents(&all);
    return s;
}

/* ---- loading ---- */

typedef struct {
    const lamina_net *net;
    const char *path;
    const lamina_checkpoint *expected;
    lamina_checkpoint found;
    int64_t total_steps;
} check;

lamina_status lamina_metadata_number(const lamina_metadata *word, const char *path, uint64_t most, uint64_t *out,
                                     lamina_error *e)
{
    char *end;
    errno = 0;
    *out = strtoull(word->value, &end, 10);
    if (word->value[0] >= '0' && word->value[0] <= '9' && !*end && !errno && *out <= most)
        return LAMINA_OK;
    return lamina_fail(e, LAMINA_BAD_FILE, "%s: metadata: '%s': expected a number, found '%s'", path, word->key,
                       word->value);
}

static lamina_status accept_run(void *user, const lamina_metadata *word, lamina_error *e)
{
    check *c = user;
    uint64_t number[HASH];
    for (int i = 0; i < HASH; i++) {
        lamina_status s = lamina_metadata_number(&word[i], c->path, i < SEED ? INT64_MAX : UINT64_MAX, &number[i], e);
        if (s)
            return s;
    }
    if (strcmp(word[HASH].value, c->net->hash) != 0)
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: a checkpoint of another network: its tensors have the same shapes, but layers, losses "
                           "or optimizer have changed since (graph %s; that of '%s' is %s)",
                           c->path, word[HASH].value, c->net->name, c->net->hash);
    const uint64_t wanted[HASH] = {[BATCH] = (uint64_t)c->expected->batch,
                                   [MICRO_BATCH] = micro_batch(c->net, c->expected->batch),
                                   [SEED] = c->expected->seed,
                                   [DATA] = c->expected->data};
    for (int i = BATCH; i <= DATA; i++)
        if (number[i] != wanted[i])
            return lamina_fail(e, LAMINA_BAD_FILE,
                               "%s: a checkpoint of another run: %s: expected %" PRIu64 ", found %" PRIu64, c->path,
                               i == DATA ? "fingerprint of the training data" : keys[i], wanted[i], number[i]);
    c->found = (lamina_checkpoint){(int64_t)number[EPOCH], (int64_t)number[STEP], (int64_t)number[BATCH], number[SEED],
                                   number[DATA]};
    c->total_steps = (int64_t)number[TOTAL_STEPS];
    return LAMINA_OK;
}

lamina_status lamina_load_checkpoint(lamina_model *m, const char *path, const lamina_checkpoint *expected,
                                     lamina_checkpoint *out, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_load_checkpoint", "m path expected out", m, path, expected, out);
    s = s ? s : lamina_need_training(m, "load_checkpoint", e);
    if (s)
        return s;
    check c = {.net = m->net, .path = path, .expected = expected};
    lamina_metadata word[WORDS];
    for (int i = 0; i < WORDS; i++)
        snprintf(word[i].key, sizeof word[i].key, "%s", keys[i]);
    lamina_watch watch = {.best = NULL};
    contents all = {.m = m, .watch = &watch};
    if (!(s = open_contents(&all, e))) {
        const lamina_tensor_set tensors = as_set(&all);
        s = lamina_safetensors_read(&tensors, path, word, WORDS, accept_run, &c, e);
    }
    if (!s && all.found > 0 && all.found < all.count - all.own - 1)
        s = lamina_fail(e, LAMINA_BAD_FILE, "%s: the weights of its best epoch are not complete", path);
    watch.kept = all.found > 0;
    if (!s) {
        lamina_watch_take(m, &watch);
        m->steps = c.total_steps;
        *out = c.found;
    }
    lamina_watch_free(&watch, m->net);
    close_contents(&all);
    return s;
}
