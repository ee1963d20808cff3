/* runtime/files/checkpoint.c - a model with all its state and its place in a run, in one file.
 *
 * A safetensors file whose metadata hold the place; 64-bit numbers are text, since JSON numbers are not that long. One
 * file, replaced in one move: there is never half a checkpoint. */
#include "runtime/base/error.h"
#include "runtime/files/safetensors.h"
#include "runtime/model/model.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { EPOCH, STEP, TOTAL_STEPS, BATCH, SEED, DATA, HASH, WORDS };

static const char *const keys[WORDS] = {"epoch", "step", "total_steps", "batch", "seed", "data", "graph"};

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
    const uint64_t number[HASH] = {(uint64_t)c->epoch, (uint64_t)c->step, (uint64_t)m->steps,
                                   (uint64_t)c->batch, c->seed,           c->data};
    lamina_metadata word[WORDS];
    for (int i = 0; i < WORDS; i++) {
        snprintf(word[i].key, sizeof word[i].key, "%s", keys[i]);
        if (i < HASH)
            snprintf(word[i].value, sizeof word[i].value, "%" PRIu64, number[i]);
    }
    snprintf(word[HASH].value, sizeof word[HASH].value, "%s", m->net->hash);
    const lamina_tensor_set set = lamina_tensors_to_write(m, true);
    return lamina_safetensors_write(&set, path, word, WORDS, e);
}

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
    const uint64_t wanted[HASH] = {
        [BATCH] = (uint64_t)c->expected->batch, [SEED] = c->expected->seed, [DATA] = c->expected->data};
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
    const lamina_tensor_set set = lamina_tensors_to_read(m, true);
    s = lamina_safetensors_read(&set, path, word, WORDS, accept_run, &c, e);
    if (s)
        return s;
    m->steps = c.total_steps;
    *out = c.found;
    return LAMINA_OK;
}
