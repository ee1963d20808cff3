/* frontend/command/sweep_plan.c - which values a sweep tries.
 *
 * Numbers that are drawn depend on seed, trial and key alone (splitmix64), so the first trials of a larger sweep are
 * those of a smaller one. */
#include "frontend/command/sweep.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TRIALS = 10000 };

static bool fail(const sweep *s, const char *option, const char *word, const char *expected)
{
    diag_error(s->d, (src_loc){0}, "%s %s: expected %s", option, word, expected);
    return false;
}

/* What stands before '=' becomes the key of a new row. NULL: there is none, or it is taken. */
static sweep_key *add_key(sweep *s, const char *word)
{
    size_t length = strcspn(word, "=");
    const char *key = arena_strndup(s->mem, word, length);
    for (int i = 0; i < s->key_count; i++)
        if (!strcmp(s->keys[i].key, key))
            return NULL;
    if (!length || !word[length] || !word[length + 1])
        return NULL;
    s->keys = arena_grown(s->mem, s->keys, (size_t)s->key_count, sizeof *s->keys);
    sweep_key *k = &s->keys[s->key_count++];
    *k = (sweep_key){.key = key};
    return k;
}

/* Commas within brackets do not part. */
bool sweep_add_list(sweep *s, const char *word)
{
    sweep_key *k = add_key(s, word);
    int depth = 0;
    if (!k)
        return fail(s, "--grid", word, "KEY=VALUE,VALUE... of a key that is not there yet");
    for (const char *at = word + strlen(k->key) + 1, *from = at;; at++) {
        depth += *at == '[' || *at == '{' ? 1 : *at == ']' || *at == '}' ? -1 : 0;
        if (*at && (*at != ',' || depth > 0))
            continue;
        if (at == from)
            return fail(s, "--grid", word, "a value between two commas");
        k->words = arena_grown(s->mem, k->words, (size_t)k->count, sizeof *k->words);
        k->words[k->count++] = arena_strndup(s->mem, from, (size_t)(at - from));
        if (!*at)
            return true;
        from = at + 1;
    }
}

bool sweep_add_range(sweep *s, const char *word)
{
    static const char expected[] = "KEY=LOW..HIGH, with :log or :int behind it, of a key that is not there yet";
    sweep_key *k = add_key(s, word);
    if (!k)
        return fail(s, "--random", word, expected);
    const char *from = word + strlen(k->key) + 1, *dots = strstr(from, "..");
    char *end, *kind;
    k->low = strtod(arena_strndup(s->mem, from, dots ? (size_t)(dots - from) : 0), &end);
    k->high = dots ? strtod(dots + 2, &kind) : 0;
    if (!dots || end[0] || kind == dots + 2 || !(k->low < k->high) || !isfinite(k->low) || !isfinite(k->high))
        return fail(s, "--random", word, expected);
    k->log = !strcmp(kind, ":log");
    k->whole = !strcmp(kind, ":int");
    if (*kind && !k->log && !k->whole)
        return fail(s, "--random", word, expected);
    return !k->log || k->low > 0 || fail(s, "--random", word, "numbers above 0 with :log");
}

static uint64_t mixed(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* From 0, below 1. */
static double drawn(uint64_t seed, int trial, int key)
{
    return (double)(mixed(mixed(mixed(seed) + (uint64_t)trial) + (uint64_t)key) >> 11) * 0x1p-53;
}

static const char *drawn_value(const sweep *s, const sweep_key *k, double u)
{
    if (k->words)
        return k->words[(int)(u * k->count)];
    if (k->whole)
        return arena_printf(s->mem, "%.0f", floor(k->low + u * (k->high - k->low + 1)));
    double v = k->log ? exp(log(k->low) + u * (log(k->high) - log(k->low))) : k->low + u * (k->high - k->low);
    return arena_printf(s->mem, "%.4g", v);
}

/* The value of a key in the combination 'number', the last key's changing fastest. */
static const char *combined_value(const sweep *s, int key, int64_t number)
{
    for (int k = s->key_count - 1; k > key; k--)
        number /= s->keys[k].count;
    return s->keys[key].words[number % s->keys[key].count];
}

bool sweep_make_trials(sweep *s, int64_t count, uint64_t seed)
{
    int64_t all = 1;
    bool draws = count > 0;
    for (int k = 0; k < s->key_count; k++) {
        draws |= !s->keys[k].words;
        all = all <= MOST_TRIALS && s->keys[k].words ? all * s->keys[k].count : all;
    }
    const int64_t usual = 10;
    int64_t trials = !draws ? all : count ? count : usual;
    if (!s->key_count || trials > MOST_TRIALS) {
        diag_error(s->d, (src_loc){0}, "expected --grid or --random, and at most %d trials, found %" PRId64,
                   MOST_TRIALS, s->key_count ? trials : 0);
        return false;
    }
    s->count = (int)trials;
    s->trials = arena_new_array(s->mem, sweep_trial, (size_t)trials);
    for (int t = 0; t < s->count; t++) {
        s->trials[t] = (sweep_trial){.values = arena_new_array(s->mem, const char *, (size_t)s->key_count),
                                     .dir = arena_printf(s->mem, "%s/trial_%04d", s->dir, t + 1),
                                     .metric = NAN};
        for (int k = 0; k < s->key_count; k++)
            s->trials[t].values[k] = draws ? drawn_value(s, &s->keys[k], drawn(seed, t, k)) : combined_value(s, k, t);
    }
    return true;
}
