/* tests/unit/test_stages_resume.c - a run of stages that is stopped or killed anywhere, and goes on, has the bits of
 * one that nobody disturbed. */
#include "tests/unit/extent.h"
#include "tests/unit/stages_case.h"
#include <signal.h>
#include <sys/wait.h>

static lamina_stages_fit_options long_run(lamina_schedule schedule)
{
    return (lamina_stages_fit_options){.schedule = schedule,
                                       .rounds = 2,
                                       .seed = 11,
                                       .validation = stages_valid,
                                       .fine_tune = {.epochs = 1, .batch = 20},
                                       .fine_tune_rate = 0.002f};
}

typedef struct {
    lamina_stages *s;
    const char *path;
    int64_t events, save_at, stop_at; /* numbers of reports, from 1; save_at -1: all */
    volatile int32_t stop;
} keeper;

static void keep(void *user, const lamina_stages_report *r)
{
    keeper *k = user;
    k->events++;
    if (k->save_at < 0 || k->events == k->save_at)
        CU_ASSERT_EQUAL(lamina_stages_save(k->s, &r->at, k->path, &stages_error), LAMINA_OK);
    if (k->events == k->stop_at)
        k->stop = 1;
}

static void equal_to(lamina_model *want, lamina_stages *s)
{
    CU_ASSERT_EQUAL(stages_compare(want, stages_whole(s)), 12);
}

/* Save at one report, stop at it or go on; load into new stages, and go on from there. */
static void resume_from(lamina_schedule schedule, lamina_model *want, int64_t event, bool stops)
{
    char path[128];
    snprintf(path, sizeof path, "%s/c", stages_folder);
    lamina_stages_fit_options o = long_run(schedule);
    lamina_stages *s = stages_new(NULL), *other = stages_new(NULL);
    keeper k = {.s = s, .path = path, .save_at = stops ? 0 : event, .stop_at = stops ? event : 0};
    lamina_stages_place at, found;
    o.report = keep;
    o.user = &k;
    o.stop = &k.stop;
    o.cache = event % 2 ? LAMINA_CACHE_MEMORY : LAMINA_CACHE_NONE;
    lamina_status status = lamina_stages_fit(s, stages_data, &o, &at, &stages_error);
    CU_ASSERT_TRUE(status == LAMINA_OK || (stops && status == LAMINA_INTERRUPTED));
    if (stops)
        OK(lamina_stages_save(s, &at, path, &stages_error));
    o = long_run(schedule);
    OK(lamina_stages_initialize(other, 99, &stages_error)); /* the file has the other seed's */
    OK(lamina_stages_load(other, path, stages_data, &o, &found, &stages_error));
    o.from = &found;
    OK(lamina_stages_fit(other, stages_data, &o, NULL, &stages_error));
    equal_to(want, other);
    if (stops) { /* and without a file */
        o.from = &at;
        OK(lamina_stages_fit(s, stages_data, &o, NULL, &stages_error));
    }
    equal_to(want, s);
    unlink(path);
    lamina_stages_free(s);
    lamina_stages_free(other);
}

static void resume_everywhere(lamina_schedule schedule)
{
    lamina_stages *calm = stages_new(NULL);
    lamina_stages_fit_options o = long_run(schedule);
    keeper k = {0};
    o.report = keep;
    o.user = &k;
    OK(lamina_stages_fit(calm, stages_data, &o, NULL, &stages_error));
    CU_ASSERT_TRUE(k.events > 40);
    for (int64_t event = 1; event <= k.events; event++) {
        resume_from(schedule, stages_whole(calm), event, true);
        resume_from(schedule, stages_whole(calm), event, false);
    }
    lamina_stages_free(calm);
}

static void resumed_at_every_step(void)
{
    resume_everywhere(LAMINA_SEQUENTIAL);
    resume_everywhere(LAMINA_ALTERNATING);
}

/* One step a call. */
static void step_by_step(void)
{
    lamina_stages *calm = stages_new(NULL), *s = stages_new(NULL);
    lamina_stages_fit_options o = long_run(LAMINA_ALTERNATING);
    lamina_stages_place at = {0};
    OK(lamina_stages_fit(calm, stages_data, &o, NULL, &stages_error));
    o.max_steps = 1;
    int calls = 0;
    OK(lamina_stages_start(s, stages_data, &o, &at, &stages_error));
    for (o.from = &at; at.stage <= STAGES && calls < 1000; calls++)
        OK(lamina_stages_fit(s, stages_data, &o, &at, &stages_error));
    CU_ASSERT_EQUAL(calls, 2 * (2 * 6 + 2 * 3 + 2 * 6) + 3);
    equal_to(stages_whole(calm), s);
    lamina_stages_free(calm);
    lamina_stages_free(s);
}

/* Nothing that a child of fork has makes it end otherwise than a kill would. */
static void run_child(const char *path)
{
    lamina_stages *s = stages_new(NULL);
    lamina_stages_fit_options o = long_run(LAMINA_ALTERNATING);
    keeper k = {.s = s, .path = path, .save_at = -1};
    lamina_stages_place at;
    o.report = keep;
    o.user = &k;
    o.cache = LAMINA_CACHE_DISK;
    o.cache_directory = stages_folder;
    if (access(path, F_OK) == 0) {
        if (lamina_stages_load(s, path, stages_data, &o, &at, &stages_error))
            _exit(3);
        o.from = &at;
    }
    _exit(lamina_stages_fit(s, stages_data, &o, NULL, &stages_error) ? 3 : 0);
}

/* Killed at random moments, and begun again from its last file, until one gets through. */
static void killed_and_resumed(void)
{
    char path[128], command[256];
    snprintf(path, sizeof path, "%s/c", stages_folder);
    lamina_stages *calm = stages_new(NULL), *s = stages_new(NULL);
    lamina_stages_fit_options o = long_run(LAMINA_ALTERNATING);
    lamina_stages_place at;
    OK(lamina_stages_fit(calm, stages_data, &o, NULL, &stages_error));
    int kills = 0, status = 0;
    srand(7);
    for (;;) {
        pid_t child = fork();
        CU_ASSERT_TRUE_FATAL(child >= 0);
        if (child == 0)
            run_child(path);
        if (kills < 12)
            usleep((useconds_t)(5000 + rand() % (extent_sanitized ? 200000 : 40000)));
        kill(child, kills < 12 ? SIGKILL : 0);
        CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
        if (WIFEXITED(status))
            break;
        kills++;
    }
    CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CU_ASSERT_TRUE(kills > 0);
    OK(lamina_stages_load(s, path, stages_data, &o, &at, &stages_error));
    CU_ASSERT_EQUAL(at.stage, STAGES + 1);
    equal_to(stages_whole(calm), s);
    lamina_stages_free(calm);
    lamina_stages_free(s);
    snprintf(command, sizeof command, "rm -f %s/c %s/c.*.tmp", stages_folder,
             stages_folder); /* kills leave half a file's */
    CU_ASSERT_EQUAL(system(command), 0);
}

void add_stages_resume(CU_pSuite s)
{
    CU_add_test(s, "resumed at every step", resumed_at_every_step);
    CU_add_test(s, "step by step", step_by_step);
    CU_add_test(s, "killed and resumed", killed_and_resumed);
}
