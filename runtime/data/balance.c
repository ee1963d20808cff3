/* runtime/data/balance.c - epochs in which all classes are equally frequent.
 *
 * Every class has an equal share of an epoch; what does not divide goes to other classes each epoch. Records are dealt
 * out to the classes in a random order until a share is full. A class with too few repeats those that it has, in the
 * order in which they came. Then all are shuffled. */
#include "runtime/data/balance.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/data/data.h"
#include "runtime/model/philox.h"
#include <string.h>

struct lamina_balance {
    int64_t count, classes;
    int32_t *class;  /* of each place: its number among those that there are */
    int64_t *begin;  /* of each class's share, and the end of the last one */
    int64_t *filled; /* so far, of each share */
    int64_t *order;
};

void lamina_balance_free(lamina_balance *b)
{
    if (!b)
        return;
    lamina_release(b->class);
    lamina_release(b->begin);
    lamina_release(b->filled);
    lamina_release(b->order);
    lamina_release(b);
}

/* Number the classes that there are; 'numbers' has room for all that there may be. */
static lamina_status number_classes(lamina_balance *b, const lamina_dataset *d, int32_t *numbers, lamina_error *e)
{
    int64_t class;
    for (int64_t i = 0; i < b->count; i++) {
        lamina_status s = lamina_class_at(d, d->balance, lamina_order(d, i), &class, e);
        if (s)
            return s;
        if (!numbers[class])
            numbers[class] = (int32_t)++b->classes;
        b->class[i] = numbers[class] - 1;
    }
    return LAMINA_OK;
}

lamina_status lamina_balance_new(const lamina_dataset *d, lamina_balance **out, lamina_error *e)
{
    const lamina_dataset *from = d->balanced;
    size_t count = (size_t)from->count;
    lamina_balance *b = lamina_allocate(1, sizeof *b);
    int32_t *numbers = lamina_allocate(LAMINA_MOST_CLASSES, sizeof *numbers);
    lamina_status s = LAMINA_OK;
    *out = NULL;
    if (b) {
        b->count = from->count;
        b->class = lamina_allocate(count, sizeof *b->class);
        b->order = lamina_allocate(count, sizeof *b->order);
        b->begin = lamina_allocate(LAMINA_MOST_CLASSES + 1, sizeof *b->begin);
        b->filled = lamina_allocate(LAMINA_MOST_CLASSES, sizeof *b->filled);
    }
    if (!b || !numbers || !b->class || !b->order || !b->begin || !b->filled)
        s = lamina_fail_memory(e, "balanced classes", count * sizeof *b->order);
    else
        s = number_classes(b, from, numbers, e);
    lamina_release(numbers);
    if (s)
        lamina_balance_free(b);
    else
        *out = b;
    return s;
}

static void share_out(lamina_balance *b, int64_t epoch)
{
    int64_t share = b->count / b->classes, rest = b->count % b->classes, at = 0;
    for (int64_t c = 0; c < b->classes; c++) {
        b->begin[c] = at;
        b->filled[c] = 0;
        at += share + ((c + epoch) % b->classes < rest);
    }
    b->begin[b->classes] = at;
}

void lamina_balance_draw(lamina_balance *b, int64_t *places, uint64_t seed, int64_t epoch)
{
    share_out(b, epoch);
    for (int64_t i = 0; i < b->count; i++)
        b->order[i] = i;
    lamina_shuffle(b->order, b->count, seed, epoch, PHILOX_BALANCE);
    for (int64_t i = 0; i < b->count; i++) {
        int32_t c = b->class[b->order[i]];
        if (b->begin[c] + b->filled[c] < b->begin[c + 1])
            places[b->begin[c] + b->filled[c]++] = b->order[i];
    }
    for (int64_t c = 0; c < b->classes; c++)
        for (int64_t i = b->begin[c] + b->filled[c]; i < b->begin[c + 1]; i++)
            places[i] = places[i - b->filled[c]];
    lamina_shuffle(places, b->count, seed, epoch, PHILOX_SHUFFLE);
}
