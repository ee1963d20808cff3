/* runtime/model/pool.c - persistent worker threads behind lamina_parallel_for.
 *
 *     caller                              worker
 *     write the job; open = 1             wait until `loops` changes: spin, then sleep
 *     loops++; wake who sleeps            inside++
 *     take tasks until none is left       if open: take tasks until none is left
 *     open = 0; wait until inside == 0    inside--
 *
 * The caller never waits for a worker to arrive, only for those inside to leave: a sleeping worker costs a loop nothing
 * but its help. A worker reads the job only between inside++ and a look at `open`, the caller rewrites it only between
 * open = 0 and a look at `inside`; all four are sequentially consistent, so one of the two sees the other. A child of
 * fork() has the pool without its threads, which it sees where it would wake or await one; it then goes on alone. */
#include "runtime/model/pool.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

enum {
    MAX_WORKERS = 1024,
    SPIN_NS = 50 * 1000,                 /* about what waking a thread costs: longer would only burn power */
    DEDICATED_SPIN_NS = 20 * 1000 * 1000 /* longer than the host's work between two steps */
};

/* Each group on its own cache line: the job is read by all, the counters are written by all. */
struct lamina_pool {
    lamina_task *task;
    void *context;
    int64_t tasks;
    uint32_t modes; /* the caller's rounding and flush modes */
    alignas(64) atomic_llong next;
    alignas(64) atomic_int inside;
    alignas(64) atomic_int open;
    alignas(64) atomic_uint loops;
    alignas(64) atomic_int sleepers; /* changed with the lock held */
    atomic_int running;
    atomic_int quit;
    int64_t spin_ns;
    int64_t threads; /* started ones; the caller is one more worker */
    pid_t process;   /* that has them */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool pinned;
    cpu_set_t callers_cpus;
    pthread_t thread[];
};

/* ---- floating-point modes: rounding, flush to zero, denormals are zero ---- */

#if defined(__SSE__)
enum { MODE_BITS = 0x6000 | 0x8000 | 0x0040 };

static uint32_t get_modes(void)
{
    return _mm_getcsr() & MODE_BITS;
}

static void set_modes(uint32_t modes)
{
    uint32_t now = _mm_getcsr();
    if ((now & MODE_BITS) != modes)
        _mm_setcsr((now & ~(uint32_t)MODE_BITS) | modes);
}

static void relax(void)
{
    _mm_pause();
}
#else
static uint32_t get_modes(void)
{
    return (uint32_t)fegetround();
}

static void set_modes(uint32_t modes)
{
    if (fegetround() != (int)modes)
        fesetround((int)modes);
}

static void relax(void)
{
}
#endif

/* ---- workers ---- */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void take_tasks(lamina_pool *p)
{
    for (;;) {
        long long i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (i >= p->tasks)
            return;
        p->task(p->context, i);
    }
}

static void help(lamina_pool *p)
{
    atomic_fetch_add(&p->inside, 1);
    if (atomic_load(&p->open)) {
        uint32_t own = get_modes();
        set_modes(p->modes);
        take_tasks(p);
        set_modes(own);
    }
    atomic_fetch_sub(&p->inside, 1);
}

static bool spin_for_loop(lamina_pool *p, unsigned seen)
{
    if (p->spin_ns == 0)
        return false;
    int64_t end = now_ns() + p->spin_ns;
    do {
        for (int i = 0; i < 64; i++) {
            if (atomic_load_explicit(&p->loops, memory_order_acquire) != seen)
                return true;
            relax();
        }
    } while (now_ns() < end);
    return false;
}

static void sleep_for_loop(lamina_pool *p, unsigned seen)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1); /* before the look at loops: publish() looks the other way round */
    while (atomic_load(&p->loops) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

static void *worker(void *argument)
{
    lamina_pool *p = argument;
    unsigned seen = 0;
    for (;;) {
        if (!spin_for_loop(p, seen))
            sleep_for_loop(p, seen);
        seen = atomic_load(&p->loops);
        if (atomic_load(&p->quit))
            return NULL;
        help(p);
    }
}

/* False in a child of fork(), from then on without asking the system. */
static bool has_threads(lamina_pool *p)
{
    if (p->threads && p->process != getpid())
        p->threads = 0;
    return p->threads > 0;
}

static void publish(lamina_pool *p)
{
    atomic_fetch_add(&p->loops, 1);
    if (atomic_load(&p->sleepers) == 0 || !has_threads(p))
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

/* Workers inside are busy with their last task; one that lost its processor needs ours. */
static void wait_for_workers(lamina_pool *p)
{
    for (int spins = 0; atomic_load(&p->inside) != 0; spins++) {
        if (spins < 4096)
            relax();
        else if (has_threads(p))
            sched_yield();
        else
            return;
    }
}

static void serial(lamina_task *task, void *context, int64_t tasks)
{
    for (int64_t i = 0; i < tasks; i++)
        task(context, i);
}

void lamina_pool_run(void *pool, lamina_task *task, void *context, int64_t tasks)
{
    lamina_pool *p = pool;
    if (!p || p->threads == 0 || tasks <= 1 || atomic_exchange(&p->running, 1)) {
        serial(task, context, tasks);
        return;
    }
    p->task = task;
    p->context = context;
    p->tasks = tasks;
    p->modes = get_modes();
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store(&p->open, 1);
    publish(p);
    take_tasks(p);
    atomic_store(&p->open, 0);
    wait_for_workers(p);
    atomic_store(&p->running, 0);
}

/* ---- processors ---- */

int64_t lamina_processors(void)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 1;
    int count = CPU_COUNT(&cpus);
    return count > 0 ? count : 1;
}

/* A set of the n-th processor of `all` alone. */
static cpu_set_t nth_cpu(const cpu_set_t *all, int64_t n)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, all) && n-- == 0)
            CPU_SET(cpu, &one);
    return one;
}

/* Pinning is a help, not a promise: where the system refuses, threads float. */
static void pin(lamina_pool *p)
{
    if (pthread_getaffinity_np(pthread_self(), sizeof p->callers_cpus, &p->callers_cpus) != 0)
        return;
    p->pinned = true;
    cpu_set_t one = nth_cpu(&p->callers_cpus, 0);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    for (int64_t i = 0; i < p->threads; i++) {
        one = nth_cpu(&p->callers_cpus, i + 1);
        pthread_setaffinity_np(p->thread[i], sizeof one, &one);
    }
}

void lamina_pool_unpin(const lamina_pool *p)
{
    if (p && p->pinned)
        pthread_setaffinity_np(pthread_self(), sizeof p->callers_cpus, &p->callers_cpus);
}

/* ---- life ---- */

void lamina_pool_free(lamina_pool *p)
{
    if (!p)
        return;
    if (p->process == getpid()) {
        atomic_store(&p->quit, 1);
        publish(p);
        for (int64_t i = 0; i < p->threads; i++)
            pthread_join(p->thread[i], NULL);
        pthread_cond_destroy(&p->wake); /* a child would wait here for the sleepers of its parent */
        pthread_mutex_destroy(&p->lock);
    }
    lamina_pool_unpin(p);
    lamina_release(p);
}

lamina_status lamina_pool_new(int64_t workers, bool dedicated, lamina_pool **out, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_pool_new", "out", out);
    if (s)
        return s;
    *out = NULL;
    if (workers < 1 || workers > MAX_WORKERS)
        return lamina_fail(e, LAMINA_BAD_ARG, "workers: expected 1 .. %d, found %lld", MAX_WORKERS, (long long)workers);
    size_t bytes = sizeof(lamina_pool) + (size_t)(workers - 1) * sizeof(pthread_t);
    lamina_pool *p = lamina_allocate(1, bytes);
    if (!p)
        return lamina_fail_memory(e, "the worker pool", bytes);
    int64_t processors = lamina_processors();
    /* More threads than processors: a spinning one would keep a working one out. */
    p->spin_ns = workers > processors ? 0 : dedicated ? DEDICATED_SPIN_NS : SPIN_NS;
    p->process = getpid();
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    for (; p->threads < workers - 1; p->threads++) {
        int failed = pthread_create(&p->thread[p->threads], NULL, worker, p);
        if (failed) {
            lamina_fail(e, LAMINA_NO_MEMORY, "cannot start worker %lld of %lld: %s", (long long)p->threads + 2,
                        (long long)workers, strerror(failed));
            lamina_pool_free(p);
            return LAMINA_NO_MEMORY;
        }
    }
    if (dedicated && workers <= processors)
        pin(p);
    *out = p;
    return LAMINA_OK;
}
