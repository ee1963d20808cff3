/* runtime/data/split.c - a part of a data set's records, chosen by a seed, as a data set of its own. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/data/store.h"
#include "runtime/model/philox.h"
#include <inttypes.h>
#include <math.h>

/* Records of 'order' move to the other part where 'moves' says so; both parts keep the order. */
static lamina_status split(lamina_dataset *d, const int64_t *order, const bool *moves, int64_t part,
                           lamina_dataset **out, lamina_error *e)
{
    int64_t stay = 0, move = 0;
    lamina_dataset *other = lamina_allocate(1, sizeof *other);
    int64_t *ours = lamina_allocate((size_t)(d->count - part), sizeof *ours);
    int64_t *others = lamina_allocate((size_t)part, sizeof *others);
    if (!other || !ours || !others) {
        lamina_release(other);
        lamina_release(ours);
        lamina_release(others);
        return lamina_fail_memory(e, "a split", (size_t)d->count * sizeof *ours);
    }
    for (int64_t i = 0; i < d->count; i++)
        *(moves[i] ? &others[move++] : &ours[stay++]) = order[i];
    *other = (lamina_dataset){.net = d->net, .store = d->store, .order = others, .count = move};
    d->store->views++;
    lamina_release(d->order);
    d->order = ours;
    d->count = stay;
    *out = other;
    return LAMINA_OK;
}

/* How many records are a fraction of them; 0, and an error, unless both parts have some. */
static int64_t part_of(const lamina_dataset *d, double fraction, lamina_error *e)
{
    int64_t part = fraction > 0 && fraction < 1 ? (int64_t)floor((double)d->count * fraction + 0.5) : 0;
    if (part > 0 && part < d->count)
        return part;
    lamina_fail(e, LAMINA_BAD_ARG,
                "split: expected a fraction that leaves both parts a record, found %g of %" PRId64 " records", fraction,
                d->count);
    return 0;
}

/* The order of the records, and room to mark those that move: both in one piece of memory. */
static lamina_status new_order(const lamina_dataset *d, int64_t **order, bool **moves, lamina_error *e)
{
    *order = lamina_allocate((size_t)d->count, sizeof **order + sizeof **moves);
    if (!*order)
        return lamina_fail_memory(e, "a split", (size_t)d->count * (sizeof **order + sizeof **moves));
    *moves = (bool *)(*order + d->count);
    for (int64_t i = 0; i < d->count; i++)
        (*order)[i] = lamina_order(d, i);
    return LAMINA_OK;
}

/* How many records the fraction is, and all in a random order, none marked to move yet. */
static lamina_status draw_part(const lamina_dataset *d, double fraction, uint64_t seed, int64_t *part, int64_t **order,
                               bool **moves, lamina_error *e)
{
    if (!(*part = part_of(d, fraction, e)))
        return LAMINA_BAD_ARG;
    lamina_status s = new_order(d, order, moves, e);
    if (!s)
        lamina_shuffle(*order, d->count, seed, 0, PHILOX_SPLIT);
    return s;
}

lamina_status lamina_dataset_split(lamina_dataset *d, double fraction, uint64_t seed, lamina_dataset **out,
                                   lamina_error *e)
{
    int64_t *order = NULL;
    bool *moves = NULL;
    lamina_status s = lamina_need(e, "lamina_dataset_split", "d out", d, out);
    if (s)
        return s;
    *out = NULL;
    int64_t part;
    if ((s = draw_part(d, fraction, seed, &part, &order, &moves, e)))
        return s;
    for (int64_t i = d->count - part; i < d->count; i++)
        moves[i] = true;
    s = split(d, order, moves, part, out, e);
    lamina_release(order);
    return s;
}

/* ---- splitting by classes ---- */

lamina_status lamina_class_at(const lamina_dataset *d, int32_t input, int64_t at, int64_t *class, lamina_error *e)
{
    const lamina_tensor *t = &d->net->inputs[input];
    *class = lamina_integer_at(t->dtype, lamina_record(d, input, at), 0);
    if (*class >= 0 && *class < LAMINA_MOST_CLASSES)
        return LAMINA_OK;
    int64_t record;
    const char *source = lamina_place_of(d, input, at, &record);
    return lamina_fail(e, LAMINA_BAD_FILE,
                       "%s: input '%s': record %" PRId64 ": expected a class from 0 to %d, found %" PRId64, source,
                       t->name, record, LAMINA_MOST_CLASSES - 1, *class);
}

/* Mark each class's share of records, the first ones of 'order': floor(fraction x records up to here + 1/2) in all,
 * class after class, so that the shares add up to the part of the whole. */
static bool mark_classes(const lamina_dataset *d, int32_t input, double fraction, const int64_t *order, int64_t *left,
                         bool *moves, lamina_error *e)
{
    int64_t class, before = 0, given = 0;
    for (int64_t i = 0; i < d->count; i++) {
        if (lamina_class_at(d, input, order[i], &class, e))
            return false;
        left[class]++;
    }
    for (class = 0; class < LAMINA_MOST_CLASSES; class ++) {
        before += left[class];
        left[class] = (int64_t)floor((double)before * fraction + 0.5) - given;
        given += left[class];
    }
    for (int64_t i = 0; i < d->count; i++) {
        lamina_class_at(d, input, order[i], &class, e);
        moves[i] = left[class] > 0;
        left[class] -= moves[i];
    }
    return true;
}

lamina_status lamina_find_classes(const lamina_dataset *d, const char *name, int32_t *input, lamina_error *e)
{
    lamina_status s = lamina_find_field(d, name, input, e);
    if (s)
        return s;
    const lamina_tensor *t = &d->net->inputs[*input];
    if (lamina_is_real(t->dtype) || t->bytes != lamina_dtype_bytes(t->dtype) || !d->store->fields[*input].data)
        return lamina_fail(e, LAMINA_BAD_ARG, "input '%s': expected classes, one integer a record, found %s", name,
                           d->store->fields[*input].data ? "other values" : "no data");
    return LAMINA_OK;
}

lamina_status lamina_dataset_split_classes(lamina_dataset *d, const char *name, double fraction, uint64_t seed,
                                           lamina_dataset **out, lamina_error *e)
{
    int32_t input;
    int64_t *order = NULL;
    bool *moves = NULL;
    lamina_status s = lamina_need(e, "lamina_dataset_split_classes", "d name out", d, name, out);
    if (s)
        return s;
    *out = NULL;
    if ((s = lamina_find_classes(d, name, &input, e)))
        return s;
    int64_t part;
    if ((s = draw_part(d, fraction, seed, &part, &order, &moves, e)))
        return s;
    int64_t *left = lamina_allocate(LAMINA_MOST_CLASSES, sizeof *left);
    if (!left)
        s = lamina_fail_memory(e, "a split", LAMINA_MOST_CLASSES * sizeof *left);
    else if (!mark_classes(d, input, fraction, order, left, moves, e))
        s = LAMINA_BAD_FILE;
    else
        s = split(d, order, moves, part, out, e);
    lamina_release(left);
    lamina_release(order);
    return s;
}

/* ---- folds ---- */

/* Records in a random order, those of a class behind each other, are dealt out: number p to fold p mod 'folds'. Of no
 * input (-1) all are one class. 'next' has room for every class. */
static bool mark_fold(const lamina_dataset *d, int32_t input, int64_t folds, int64_t fold, const int64_t *order,
                      int64_t *next, bool *moves, int64_t *part, lamina_error *e)
{
    int64_t class = 0, before = 0;
    for (int64_t i = 0; i < d->count; i++) {
        if (input >= 0 && lamina_class_at(d, input, order[i], &class, e))
            return false;
        next[class]++;
    }
    for (int64_t c = 0; c < LAMINA_MOST_CLASSES; c++) {
        int64_t count = next[c];
        next[c] = before;
        before += count;
    }
    *part = 0;
    for (int64_t i = 0; i < d->count; i++) {
        if (input >= 0)
            lamina_class_at(d, input, order[i], &class, e);
        moves[i] = next[class]++ % folds == fold;
        *part += moves[i];
    }
    return true;
}

static lamina_status check_folds(const lamina_dataset *d, int64_t folds, int64_t fold, lamina_error *e)
{
    if (folds < 2 || folds > d->count)
        return lamina_fail(e, LAMINA_BAD_ARG, "folds: expected 2 to %" PRId64 ", the number of records, found %" PRId64,
                           d->count, folds);
    if (fold < 0 || fold >= folds)
        return lamina_fail(e, LAMINA_BAD_ARG, "fold: expected 0 to %" PRId64 ", found %" PRId64, folds - 1, fold);
    return LAMINA_OK;
}

lamina_status lamina_dataset_fold(lamina_dataset *d, int64_t folds, int64_t fold, const char *name, uint64_t seed,
                                  lamina_dataset **out, lamina_error *e)
{
    int32_t input = -1;
    int64_t *order, part;
    bool *moves = NULL;
    lamina_status s = lamina_need(e, "lamina_dataset_fold", "d out", d, out);
    if (s)
        return s;
    *out = NULL;
    if ((s = check_folds(d, folds, fold, e)) || (name && (s = lamina_find_classes(d, name, &input, e))) ||
        (s = new_order(d, &order, &moves, e)))
        return s;
    lamina_shuffle(order, d->count, seed, 0, PHILOX_SPLIT);
    int64_t *next = lamina_allocate(LAMINA_MOST_CLASSES, sizeof *next);
    if (!next)
        s = lamina_fail_memory(e, "a split", LAMINA_MOST_CLASSES * sizeof *next);
    else if (!mark_fold(d, input, folds, fold, order, next, moves, &part, e))
        s = LAMINA_BAD_FILE;
    else
        s = split(d, order, moves, part, out, e);
    lamina_release(next);
    lamina_release(order);
    return s;
}
