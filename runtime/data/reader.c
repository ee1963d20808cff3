/* runtime/data/reader.c - batches to train on. Those of augmented data are made by a thread, one ahead:
 *
 *     training   takes batch n, asks for n + 1 | trains on n        | takes n + 1, asks for n + 2 | ...
 *     reader                                   | makes n + 1 meanwhile
 *
 * There is room for two. What is in a batch depends on its place in the epoch alone, so neither the thread nor the size
 * of batches changes a bit. Everything is allocated before the first one. */
#include "runtime/data/reader.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/augment.h"
#include "runtime/model/pool.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>

typedef struct {
    void **buffer; /* for each input, a batch's records */
    int64_t count, end;
} slot;

struct lamina_ahead {
    lamina_loader *loader; /* its order and place; the thread's while a batch is asked for */
    lamina_epoch epoch;
    slot slots[2];
    const lamina_pool *pool;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of the numbers below */
    pthread_cond_t asked, ready;
    int64_t wanted, made, taken; /* batches, all epochs together; taken <= made <= wanted <= taken + 1 */
    bool quit;
};

/* ---- the thread ---- */

static void make_batch(lamina_ahead *a, slot *s)
{
    lamina_loader *l = a->loader;
    int64_t left = l->data->count - l->at;
    s->count = left < l->batch ? left : l->batch;
    a->epoch.order = l->order;
    for (int64_t i = 0; i < s->count; i++)
        lamina_augment_record(&a->epoch, l->at + i, s->buffer, i);
    s->end = l->at += s->count;
}

static void *work(void *argument)
{
    lamina_ahead *a = argument;
    lamina_pool_unpin(a->pool);
    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->quit && a->made == a->wanted)
            pthread_cond_wait(&a->asked, &a->lock);
        if (a->quit)
            break;
        slot *s = &a->slots[a->made & 1];
        pthread_mutex_unlock(&a->lock);
        make_batch(a, s);
        pthread_mutex_lock(&a->lock);
        a->made++;
        pthread_cond_signal(&a->ready);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* With the lock held. */
static void ask(lamina_ahead *a)
{
    a->wanted++;
    pthread_cond_signal(&a->asked);
}

static void wait_for_all(lamina_ahead *a)
{
    while (a->made < a->wanted)
        pthread_cond_wait(&a->ready, &a->lock);
}

/* ---- life ---- */

static void free_ahead(lamina_ahead *a, int32_t inputs)
{
    if (!a)
        return;
    if (a->started) {
        pthread_mutex_lock(&a->lock);
        a->quit = true;
        pthread_cond_signal(&a->asked);
        pthread_mutex_unlock(&a->lock);
        pthread_join(a->thread, NULL);
    }
    for (int k = 0; k < 2; k++) {
        for (int32_t i = 0; a->slots[k].buffer && i < inputs; i++)
            lamina_release(a->slots[k].buffer[i]);
        lamina_release(a->slots[k].buffer);
    }
    lamina_release(a->epoch.room);
    pthread_cond_destroy(&a->ready);
    pthread_cond_destroy(&a->asked);
    pthread_mutex_destroy(&a->lock);
    lamina_release(a);
}

void lamina_reader_free(lamina_reader *r)
{
    free_ahead(r->ahead, r->ahead ? r->loader.data->store->inputs : 0);
    lamina_loader_free(&r->loader);
    r->ahead = NULL;
}

static lamina_status add_slot(const lamina_loader *l, slot *s, lamina_error *e)
{
    int32_t inputs = l->data->store->inputs;
    s->buffer = lamina_allocate((size_t)inputs, sizeof *s->buffer);
    bool ok = s->buffer;
    for (int32_t i = 0; ok && i < inputs; i++)
        ok = (s->buffer[i] = lamina_allocate((size_t)l->batch, l->data->net->inputs[i].bytes));
    return ok ? LAMINA_OK : lamina_fail_memory(e, "a batch", (size_t)l->batch);
}

/* Signals are for the threads of the program. */
static lamina_status start_thread(lamina_ahead *a, lamina_error *e)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&a->thread, NULL, work, a);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    a->started = !failed;
    return failed ? lamina_fail(e, LAMINA_NO_MEMORY, "cannot start a reader: %s", strerror(failed)) : LAMINA_OK;
}

static lamina_status read_ahead(lamina_reader *r, const lamina_pool *pool, lamina_error *e)
{
    lamina_ahead *a = r->ahead = lamina_allocate(1, sizeof *a);
    size_t room = lamina_augment_room(r->loader.data->augment);
    if (!a)
        return lamina_fail_memory(e, "a reader", sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->asked, NULL);
    pthread_cond_init(&a->ready, NULL);
    a->loader = &r->loader;
    a->pool = pool;
    a->epoch.data = r->loader.data;
    if (!(a->epoch.room = lamina_allocate(room, sizeof(float))))
        return lamina_fail_memory(e, "augmentation", room * sizeof(float));
    lamina_status s = add_slot(&r->loader, &a->slots[0], e);
    s = s ? s : add_slot(&r->loader, &a->slots[1], e);
    return s ? s : start_thread(a, e);
}

lamina_status lamina_reader_new(const lamina_dataset *d, int64_t batch, bool shuffled, const lamina_pool *pool,
                                lamina_reader *out, lamina_error *e)
{
    out->ahead = NULL;
    lamina_status s = lamina_loader_new(d, batch, shuffled, &out->loader, e);
    if (s || !d->augment)
        return s;
    if ((s = read_ahead(out, pool, e)))
        lamina_reader_free(out);
    return s;
}

/* ---- batches ---- */

void lamina_reader_start(lamina_reader *r, uint64_t seed, int64_t epoch, int64_t batches)
{
    lamina_ahead *a = r->ahead;
    if (a)
        pthread_mutex_lock(&a->lock);
    if (a)
        wait_for_all(a);
    lamina_loader_start(&r->loader, seed, epoch);
    lamina_loader_skip(&r->loader, batches);
    if (!a)
        return;
    a->taken = a->made;
    a->epoch.seed = seed;
    a->epoch.epoch = epoch;
    ask(a);
    pthread_mutex_unlock(&a->lock);
}

lamina_status lamina_reader_next(lamina_reader *r, int64_t *count, lamina_error *e)
{
    lamina_ahead *a = r->ahead;
    if (!a) {
        lamina_status s = lamina_loader_next(&r->loader, count, e);
        r->inputs = r->loader.inputs;
        return s;
    }
    *count = 0;
    pthread_mutex_lock(&a->lock);
    if (a->wanted > a->taken) {
        wait_for_all(a);
        const slot *s = &a->slots[a->taken++ & 1];
        *count = s->count;
        r->inputs = (const void **)s->buffer;
        if (s->count > 0 && s->end < r->loader.data->count)
            ask(a);
    }
    pthread_mutex_unlock(&a->lock);
    return LAMINA_OK;
}

/* What the thread made may be a mixture of numbers from everywhere: the loader has the records as they are. */
bool lamina_reader_bad_value(lamina_reader *r, int64_t count, lamina_bad_value *out)
{
    lamina_ahead *a = r->ahead;
    if (!a)
        return lamina_loader_bad_value(&r->loader, count, out);
    pthread_mutex_lock(&a->lock);
    wait_for_all(a);
    lamina_loader plain = r->loader;
    pthread_mutex_unlock(&a->lock);
    plain.at = a->slots[(a->taken - 1) & 1].end - count;
    return lamina_loader_next(&plain, &count, NULL) == LAMINA_OK && lamina_loader_bad_value(&plain, count, out);
}
