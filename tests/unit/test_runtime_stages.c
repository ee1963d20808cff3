/* tests/unit/test_runtime_stages.c - stages of hand-written nets: what does not fit together is named, every allocation
 * may fail, and a stop is one at any moment. What they learn to the bit is the suite stages'. */
#include "runtime/base/memory.h"
#include "tests/unit/runtime_school.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- what does not fit ---- */

static void fails_to_open(school *c, const char *words)
{
    FAILS(open_stages(c), LAMINA_BAD_ARG, words);
    CU_ASSERT_PTR_NULL(c->s);
}

static void test_stages_that_do_not_fit(void)
{
    school c;
    make_school(&c);
    c.inputs[1].dtype = LAMINA_I32;
    fails_to_open(&c, "stage 'student': input 'prediction': expected i32[1], found that of stage 'teacher', which is "
                      "f32[1]");
    make_school(&c);
    c.inputs[0].dim[1] = 2;
    c.inputs[0].bytes = 8;
    fails_to_open(&c, "stage 'student': input 'x': expected f32[2], found that of stage 'teacher', which is f32[3]");
    make_school(&c);
    c.tensors[0].name = "dense1.weight";
    c.tensors[0].dim[0] = 4;
    fails_to_open(&c, "stage 'student': tensor 'dense1.weight': expected f32[3, 1] as in stage 'teacher', found f32[4, "
                      "1]");
    make_school(&c);
    c.stages[0].name = "";
    fails_to_open(&c, "stage 1: expected a name, found none");
    c.stages[0].name = "student";
    fails_to_open(&c, "stages 1 and 2: expected two names, found 'student'");
    make_school(&c);
    c.stages[1].learning_rate = -1;
    fails_to_open(&c, "stage 'student': learning_rate: expected 0 or more, found -1");
    make_school(&c);
    const lamina_stage_options three[] = {c.stages[0], {.name = "other", .net = &c.teacher}, c.stages[1]};
    FAILS(lamina_stages_new(&c.whole, three, 3, NULL, &c.s, &error), LAMINA_BAD_ARG,
          "input 'prediction': expected one earlier stage that has such an output, found 'teacher' and 'other'");
    FAILS(lamina_stages_new(&c.whole, three, 0, NULL, &c.s, &error), LAMINA_BAD_ARG,
          "stages: expected 1 or more, found 0");
    FAILS(lamina_stages_new(NULL, three, 3, NULL, &c.s, &error), LAMINA_UNSUPPORTED, "");
    FAILS(lamina_stages_new(&c.whole, three, 3, &(lamina_options){.inference = true}, &c.s, &error), LAMINA_BAD_ARG,
          "stages: expected models that train, found options for inference only");
}

static void test_options_that_do_not_fit(void)
{
    school c;
    open_school(&c);
    lamina_model *m;
    const lamina_stages_place places[] = {{.round = 1}, {.stage = 4}, {.round = -1}, {.stage = -1}};
    const struct {
        lamina_stages_fit_options o;
        const char *words;
    } all[] = {
        {{.rounds = -1}, "stages: rounds: expected 0 or more, found -1"},
        {{.max_steps = -2}, "stages: max_steps: expected 0 or more, found -2"},
        {{.fine_tune = {.epochs = -3}}, "stages: fine_tune.epochs: expected 0 or more, found -3"},
        {{.fine_tune_rate = NAN}, "stages: fine_tune_rate: expected 0 or more, found"},
        {{.cache = LAMINA_CACHE_DISK}, "stages: cache_directory: expected the name of a directory, found none"},
        {{.from = &places[0]}, "from: expected a round below 1 and a stage of 0 .. 3, found round 1, stage 0"},
        {{.from = &places[1]}, "found round 0, stage 4"},
        {{.from = &places[2]}, "found round -1, stage 0"},
        {{.from = &places[3]}, "found round 0, stage -1"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        FAILS(lamina_stages_fit(c.s, c.d, &all[i].o, NULL, &error), LAMINA_BAD_ARG, all[i].words);
    FAILS(lamina_stages_model(c.s, "pupil", &m, &error), LAMINA_BAD_ARG, "no stage 'pupil'");
    FAILS(lamina_stages_fit(NULL, c.d, NULL, NULL, &error), LAMINA_BAD_ARG, "argument 's'");
    FAILS(lamina_stages_fit(c.s, NULL, NULL, NULL, &error), LAMINA_BAD_ARG, "argument 'train'");
    FAILS(lamina_stages_model(c.s, NULL, NULL, &error), LAMINA_BAD_ARG, "argument 'out'");
    FAILS(lamina_stages_initialize(NULL, 1, &error), LAMINA_BAD_ARG, "argument 's'");
    FAILS(lamina_stages_new(&c.whole, NULL, 1, NULL, &c.s, &error), LAMINA_BAD_ARG, "argument 'stages'");
    close_school(&c);
}

static void test_data_that_do_not_fit(void)
{
    school c;
    open_school(&c);
    lamina_dataset *d;
    lamina_net other = c.teacher;
    lamina_tensor inputs[] = {c.teacher.inputs[0], c.teacher.inputs[1]};
    other.inputs = inputs;
    other.input_count = 1;
    OK(lamina_dataset_new(&other, &d, &error));
    OK(lamina_dataset_add(d, "x", pattern_x, 20, &error));
    FAILS(lamina_stages_fit(c.s, d, NULL, NULL, &error), LAMINA_BAD_ARG,
          "stage 'teacher': input 'y': expected a field of the data or an output of an earlier stage, found neither");
    lamina_dataset_free(d);
    inputs[0].dtype = LAMINA_I32;
    OK(lamina_dataset_new(&other, &d, &error));
    OK(lamina_dataset_add(d, "x", pattern_x, 20, &error));
    FAILS(lamina_stages_fit(c.s, d, NULL, NULL, &error), LAMINA_BAD_ARG,
          "stage 'teacher': input 'x': expected f32[3], found a field of the data of i32[3]");
    lamina_dataset_free(d);
    close_school(&c);
}

/* ---- fields ---- */

static void test_fields_of_stages(void)
{
    school c;
    open_school(&c);
    const lamina_net *fields = lamina_stages_fields(c.s);
    CU_ASSERT_EQUAL(fields->input_count, 2); /* not the prediction */
    CU_ASSERT_EQUAL(lamina_net_input(fields, "prediction"), -1);
    CU_ASSERT_PTR_NULL(lamina_stages_untrained(c.s, 0)); /* the whole has the teacher's tensors */
    close_school(&c);
    make_school(&c);
    c.stages[0].frozen = true;
    OK(open_stages(&c));
    CU_ASSERT_STRING_EQUAL(lamina_stages_untrained(c.s, 1), "dense1.bias");
    CU_ASSERT_PTR_NULL(lamina_stages_untrained(c.s, 2));
    close_school(&c);
}

/* ---- stops and places ---- */

typedef struct {
    volatile int32_t stop;
    lamina_stages_event stop_at;
    int steps, epochs, stages;
    double validation;
    lamina_stages_place at;
} listener;

static void listen(void *user, const lamina_stages_report *r)
{
    listener *l = user;
    l->steps += r->event == LAMINA_STAGES_STEP;
    l->epochs += r->event == LAMINA_STAGES_EPOCH;
    l->stages += r->event == LAMINA_STAGES_STAGE;
    l->stop |= r->event == l->stop_at;
    l->at = r->at;
    if (r->event == LAMINA_STAGES_STAGE)
        l->validation = r->fit->validation ? r->fit->validation[0] : -1;
}

static void test_stages_tell(void)
{
    school c;
    open_school(&c);
    listener l = {.stop_at = (lamina_stages_event)-1};
    lamina_stages_fit_options o = {.report = listen, .user = &l, .stop = &l.stop, .fine_tune = {.epochs = 1}};
    lamina_stages_place at;
    OK(lamina_stages_fit(c.s, c.d, &o, &at, &error));
    CU_ASSERT_TRUE(l.steps == 4 * 8 && l.epochs == 4 && l.stages == 3 && l.validation == -1);
    CU_ASSERT_TRUE(at.stage == 3 && at.round == 0 && l.at.stage == 3 && l.at.at.data == at.at.data);
    CU_ASSERT_EQUAL(at.at.data, lamina_dataset_fingerprint(c.d));
    CU_ASSERT_TRUE(lamina_stages_bytes(c.s) > 2 * 61 * 4);
    o.from = &at;
    OK(lamina_stages_fit(c.s, c.d, &o, NULL, &error)); /* nothing is left */
    CU_ASSERT_EQUAL(l.steps, 4 * 8);
    o.from = NULL;
    o.validation = c.d;
    l.stop_at = LAMINA_STAGES_STAGE;
    FAILS(lamina_stages_fit(c.s, c.d, &o, &at, &error), LAMINA_INTERRUPTED,
          "stage 'teacher': interrupted while its outputs were made");
    CU_ASSERT_TRUE(at.stage == 1 && at.at.epoch == 0 && l.validation >= 0);
    close_school(&c);
}

static void test_boundaries_without_room(void)
{
    school c;
    open_school(&c);
    const lamina_stages_fit_options o = {.cache = LAMINA_CACHE_DISK, .cache_directory = path_of("none")};
    FAILS(lamina_stages_fit(c.s, c.d, &o, NULL, &error), LAMINA_IO,
          "none: cannot keep 244 bytes of boundary values there: No such file or directory");
    close_school(&c);
}

/* ---- checkpoints ---- */

/* A run that was stopped in the student, and its file c.st. */
static void stop_in_student(school *c, lamina_stages_place *at)
{
    lamina_stages_fit_options o = {.max_steps = 16 + 3};
    open_school(c);
    OK(lamina_stages_fit(c->s, c->d, &o, at, &error));
    CU_ASSERT_TRUE(at->stage == 1 && at->at.step == 3);
    OK(lamina_stages_save(c->s, at, path_of("c.st"), &error));
}

static void fails_to_load(const school *c, const lamina_stages_fit_options *o, const char *words)
{
    lamina_stages_place at;
    FAILS(lamina_stages_load(c->s, path_of("c.st"), c->d, o, &at, &error), LAMINA_BAD_FILE, words);
}

/* The best weights of the stage that learns are in the file, all of them. */
static void test_best_weights_of_a_stage(void)
{
    static char file[1 << 16];
    lamina_stages_fit_options o = {.max_steps = 12};
    lamina_stages_place at, found;
    school c;
    make_school(&c);
    c.stages[0].fit.early_stopping =
        (lamina_early_stopping){{.metric = "train.loss", .patience = 9}, .restore_best = true};
    OK(open_stages(&c));
    c.d = line_data(RECORDS);
    OK(lamina_stages_fit(c.s, c.d, &o, &at, &error));
    CU_ASSERT_TRUE(at.stage == 0 && at.at.epoch == 1 && at.at.step == 4);
    OK(lamina_stages_save(c.s, &at, path_of("c.st"), &error));
    OK(lamina_stages_load(c.s, path_of("c.st"), c.d, NULL, &found, &error));
    size_t bytes = read_file(path_of("c.st"), file, sizeof file);
    char *name = memmem(file, bytes, "/best/dense", 11);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    name = memmem(name + 1, bytes - (size_t)(name + 1 - file), "/best/dense", 11);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    name[1] = 'r';
    seal(file, bytes);
    write_file(path_of("c.st"), file, bytes);
    fails_to_load(&c, NULL, "the weights of the best epoch of stage 'teacher' are not complete");
    close_school(&c);
}

static int32_t infer_otherwise(const lamina_call *c)
{
    int32_t result = fake_net_query(LAMINA_ABI_MAJOR)->infer(c);
    for (int64_t i = 0; i < c->batch; i++)
        ((float *)c->outputs[0])[i] += 1;
    return result;
}

static void test_checkpoints_of_other_runs(void)
{
    school c;
    lamina_stages_place at;
    stop_in_student(&c, &at);
    fails_to_load(&c, &(lamina_stages_fit_options){.seed = 3}, "seed of the shuffling: expected 3, found 0");
    fails_to_load(&c, &(lamina_stages_fit_options){.fine_tune = {.batch = 7}}, "schedule, or a stage's batch");
    fails_to_load(&c, &(lamina_stages_fit_options){.schedule = LAMINA_ALTERNATING}, "schedule, or a stage's batch");
    c.whole.hash = "fedcba9876543210";
    fails_to_load(&c, NULL, "networks, as a number: expected");
    c.whole.hash = c.teacher.hash;
    lamina_dataset *d = c.d;
    c.d = line_data(RECORDS - 1);
    fails_to_load(&c, NULL, "fingerprint of the training data: expected");
    lamina_dataset_free(c.d);
    c.d = d;
    OK(lamina_stages_load(c.s, path_of("c.st"), c.d, NULL, &at, &error));
    c.teacher.infer = infer_otherwise;
    const lamina_stages_fit_options o = {.from = &at};
    FAILS(lamina_stages_fit(c.s, c.d, &o, NULL, &error), LAMINA_BAD_FILE,
          "stage 'teacher': its outputs are not those that it had before the run was interrupted");
    c.teacher.infer = c.student.infer;
    OK(lamina_stages_fit(c.s, c.d, &o, NULL, &error));
    FAILS(lamina_stages_save(NULL, &at, "x", &error), LAMINA_BAD_ARG, "argument 's'");
    FAILS(lamina_stages_save(c.s, NULL, "x", &error), LAMINA_BAD_ARG, "argument 'at'");
    FAILS(lamina_stages_save(c.s, &at, NULL, &error), LAMINA_BAD_ARG, "argument 'path'");
    FAILS(lamina_stages_save(c.s, &at, path_of("no/c"), &error), LAMINA_IO, "no/c: cannot create");
    FAILS(lamina_stages_load(NULL, "x", c.d, NULL, &at, &error), LAMINA_BAD_ARG, "argument 's'");
    FAILS(lamina_stages_load(c.s, NULL, c.d, NULL, &at, &error), LAMINA_BAD_ARG, "argument 'path'");
    FAILS(lamina_stages_load(c.s, "x", NULL, NULL, &at, &error), LAMINA_BAD_ARG, "argument 'train'");
    FAILS(lamina_stages_load(c.s, "x", c.d, NULL, NULL, &error), LAMINA_BAD_ARG, "argument 'out'");
    FAILS(lamina_stages_start(c.s, NULL, NULL, &at, &error), LAMINA_BAD_ARG, "argument 'train'");
    close_school(&c);
}

/* Every bit of the file is looked at, and a place that is none is refused even with the right checksum. */
static void test_broken_checkpoints_of_stages(void)
{
    school c;
    lamina_stages_place at;
    stop_in_student(&c, &at);
    static char file[16384];
    char path[128];
    strcpy(path, path_of("c.st"));
    size_t n = read_file(path, file, sizeof file);
    for (size_t i = 0; i < n; i += 7) {
        file[i] ^= 1;
        write_file(path, file, n);
        CU_ASSERT_EQUAL(lamina_stages_load(c.s, path, c.d, NULL, &at, &error), LAMINA_BAD_FILE);
        file[i] ^= 1;
    }
    char *stage = strstr(file + 8, "\"stage\":\"1\"");
    CU_ASSERT_PTR_NOT_NULL(stage);
    if (stage)
        stage[9] = '4';
    seal(file, n);
    write_file(path, file, n);
    fails_to_load(&c, NULL, "metadata: 'stage': expected a number, found '4'");
    close_school(&c);
}

/* ---- every allocation fails once ---- */

static lamina_stages_fit_options failing;
static lamina_dataset *failing_data;

static lamina_status scenario_stages(void)
{
    school c;
    lamina_model *m;
    make_school(&c);
    lamina_status s = open_stages(&c);
    if (!s)
        s = lamina_stages_fit(c.s, failing_data, &failing, NULL, &error);
    if (!s)
        s = lamina_stages_model(c.s, NULL, &m, &error);
    lamina_stages_free(c.s);
    return s;
}

static school saved;
static lamina_stages_place saved_at;

static lamina_status scenario_save(void)
{
    return lamina_stages_save(saved.s, &saved_at, path_of("c.st"), &error);
}

static lamina_status scenario_load(void)
{
    lamina_stages_place at;
    return lamina_stages_load(saved.s, path_of("c.st"), saved.d, NULL, &at, &error);
}

static void *json_allocate(size_t bytes)
{
    return lamina_allocate(1, bytes);
}

static void test_checkpoints_without_memory(void)
{
    json_malloc_t old_malloc;
    json_free_t old_free;
    stop_in_student(&saved, &saved_at);
    json_get_alloc_funcs(&old_malloc, &old_free);
    json_set_alloc_funcs(json_allocate, lamina_release);
    fail_each(scenario_save, LAMINA_NO_MEMORY, 50);
    fail_each(scenario_load, LAMINA_BAD_FILE, 50); /* jansson may tell it as broken text */
    json_set_alloc_funcs(old_malloc, old_free);
    close_school(&saved);
}

static void test_stages_without_memory(void)
{
    failing_data = line_data(20);
    for (int cache = LAMINA_CACHE_MEMORY; cache <= LAMINA_CACHE_NONE; cache++) {
        failing = (lamina_stages_fit_options){.cache = (lamina_cache)cache,
                                              .cache_directory = folder,
                                              .validation = failing_data,
                                              .schedule = LAMINA_ALTERNATING,
                                              .rounds = 2,
                                              .fine_tune = {.epochs = 1}};
        fail_each(scenario_stages, LAMINA_NO_MEMORY, 100);
    }
    lamina_dataset_free(failing_data);
}

void add_runtime_stages(CU_pSuite s)
{
    CU_add_test(s, "stages that do not fit", test_stages_that_do_not_fit);
    CU_add_test(s, "stages' options that do not fit", test_options_that_do_not_fit);
    CU_add_test(s, "stages' data that do not fit", test_data_that_do_not_fit);
    CU_add_test(s, "fields of stages", test_fields_of_stages);
    CU_add_test(s, "stages tell", test_stages_tell);
    CU_add_test(s, "boundaries without room", test_boundaries_without_room);
    CU_add_test(s, "best weights of a stage", test_best_weights_of_a_stage);
    CU_add_test(s, "checkpoints of other runs of stages", test_checkpoints_of_other_runs);
    CU_add_test(s, "broken checkpoints of stages", test_broken_checkpoints_of_stages);
    CU_add_test(s, "checkpoints of stages without memory", test_checkpoints_without_memory);
    CU_add_test(s, "stages without memory", test_stages_without_memory);
}
