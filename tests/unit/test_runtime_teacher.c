/* tests/unit/test_runtime_teacher.c - a student of hand-written nets learns what a teacher says, whose tensors are
 * called as its own are. What it learns is what it would of data that say so. */
#include "tests/unit/runtime_case.h"
#include <unistd.h>

static const float known[FAKE_INPUTS + 1] = {0.5f, -1, 2, 0.25f};

typedef struct {
    lamina_net big, student, whole;
    lamina_tensor inputs[2];
    char weights[128];
    lamina_stage_options stages[2];
    lamina_stages *s;
    lamina_dataset *d;
} lesson;

/* The teacher's weights file; *says, if wanted: what it makes of the records of 'd'. */
static void teach(const lesson *c, const lamina_dataset *d, float *says)
{
    lamina_model *m;
    OK(lamina_model_new(&c->big, NULL, &m, &error));
    OK(lamina_set_tensor(m, "dense1.weight", known, 4 * FAKE_INPUTS, &error));
    OK(lamina_set_tensor(m, "dense1.bias", known + FAKE_INPUTS, 4, &error));
    OK(lamina_save_weights(m, c->weights, &error));
    for (int64_t i = 0; says && i < lamina_dataset_count(d); i++) {
        const void *in[2] = {lamina_dataset_record(d, 0, i), NULL};
        void *out[1] = {says + i};
        OK(lamina_infer(m, in, 1, out, &error));
    }
    lamina_model_free(m);
}

static void make_lesson(lesson *c)
{
    memset(c, 0, sizeof *c);
    c->big = c->student = c->whole = *fake_net_query(LAMINA_ABI_MAJOR);
    c->whole.name = "whole";
    c->student.name = "student";
    memcpy(c->inputs, c->big.inputs, sizeof c->inputs);
    c->inputs[1].name = "teacher_prediction";
    c->student.inputs = c->inputs;
    strcpy(c->weights, path_of("big.safetensors"));
    c->stages[0] = (lamina_stage_options){.name = "teacher", .net = &c->big, .teacher = true, .weights = c->weights};
    c->stages[1] = (lamina_stage_options){.name = "student", .net = &c->student, .fit = {.epochs = 2}};
    teach(c, NULL, NULL);
}

static lamina_status open_stages(lesson *c)
{
    lamina_status s = lamina_stages_new(&c->whole, c->stages, 2, NULL, &c->s, &error);
    return s ? s : lamina_stages_initialize(c->s, 1, &error);
}

static void open_lesson(lesson *c)
{
    make_lesson(c);
    OK(open_stages(c));
    CU_ASSERT_PTR_NOT_NULL_FATAL(c->s);
    c->d = line_data(RECORDS);
}

static void close_lesson(lesson *c)
{
    lamina_stages_free(c->s);
    lamina_dataset_free(c->d);
    unlink(c->weights);
}

/* To the bit. */
static bool is_same(const void *a, const void *b)
{
    return memcmp(a, b, (FAKE_INPUTS + 1) * sizeof(float)) == 0;
}

static void get_learned(lesson *c, float p[FAKE_INPUTS + 1])
{
    lamina_model *m;
    OK(lamina_stages_model(c->s, NULL, &m, &error));
    get_params(m, p);
}

/* ---- what is learned ---- */

/* The net alone on data whose targets are what the teacher says. */
static void learn_from_data(const lesson *c, float p[FAKE_INPUTS + 1])
{
    float says[RECORDS], x[RECORDS * FAKE_INPUTS];
    lamina_dataset *d;
    lamina_model *m;
    teach(c, c->d, says);
    for (int i = 0; i < RECORDS; i++)
        memcpy(x + i * FAKE_INPUTS, lamina_dataset_record(c->d, 0, i), 4 * FAKE_INPUTS);
    OK(lamina_dataset_new(&c->big, &d, &error));
    OK(lamina_dataset_add(d, "x", x, RECORDS, &error));
    OK(lamina_dataset_add(d, "y", says, RECORDS, &error));
    OK(lamina_model_new(&c->big, NULL, &m, &error));
    OK(lamina_initialize(m, 1, &error));
    OK(lamina_fit(m, d, &(lamina_fit_options){.epochs = 2}, NULL, &error));
    get_params(m, p);
    lamina_model_free(m);
    lamina_dataset_free(d);
}

static void test_student_learns_what_the_teacher_says(void)
{
    float want[FAKE_INPUTS + 1], got[FAKE_INPUTS + 1];
    lesson c;
    lamina_model *m;
    for (int cache = LAMINA_CACHE_MEMORY; cache <= LAMINA_CACHE_NONE; cache++) {
        open_lesson(&c);
        learn_from_data(&c, want);
        const lamina_stages_fit_options o = {
            .cache = (lamina_cache)cache, .cache_directory = folder, .validation = c.d};
        OK(lamina_stages_fit(c.s, c.d, &o, NULL, &error));
        get_learned(&c, got);
        CU_ASSERT_TRUE(is_same(want, got));
        OK(lamina_stages_model(c.s, "teacher", &m, &error)); /* it knows what it knew */
        get_params(m, got);
        CU_ASSERT_TRUE(is_same(known, got));
        CU_ASSERT_EQUAL(lamina_net_input(lamina_stages_fields(c.s), "teacher_prediction"), -1);
        CU_ASSERT_PTR_NULL(lamina_stages_untrained(c.s, 0));
        close_lesson(&c);
    }
}

/* A checkpoint has what the teacher knows: the file is no longer needed. */
static void test_interrupted_lesson(void)
{
    float want[FAKE_INPUTS + 1], got[FAKE_INPUTS + 1];
    lesson c;
    lamina_stages_place at;
    open_lesson(&c);
    learn_from_data(&c, want);
    OK(lamina_stages_fit(c.s, c.d, &(lamina_stages_fit_options){.max_steps = 5}, &at, &error));
    OK(lamina_stages_save(c.s, &at, path_of("c.st"), &error));
    lamina_stages_free(c.s);
    OK(open_stages(&c));
    OK(lamina_stages_load(c.s, path_of("c.st"), c.d, NULL, &at, &error));
    OK(lamina_stages_fit(c.s, c.d, &(lamina_stages_fit_options){.from = &at}, NULL, &error));
    get_learned(&c, got);
    CU_ASSERT_TRUE(is_same(want, got));
    unlink(path_of("c.st"));
    close_lesson(&c);
}

/* ---- what does not fit ---- */

static void test_teachers_that_do_not_fit(void)
{
    lesson c;
    make_lesson(&c);
    c.stages[0].weights = NULL;
    FAILS(open_stages(&c), LAMINA_BAD_ARG,
          "stage 'teacher': expected a weights file, which a teacher needs, found none");
    c.stages[0].weights = path_of("none.safetensors");
    FAILS(open_stages(&c), LAMINA_IO, "none.safetensors: cannot open");
    lamina_stages_free(c.s);
    c.stages[0].weights = c.weights;
    lamina_tensor tensors[16];
    memcpy(tensors, c.big.tensors, (size_t)c.big.tensor_count * sizeof *tensors);
    tensors[1].name = "dense2.bias";
    c.big.tensors = tensors;
    FAILS(open_stages(&c), LAMINA_BAD_FILE, "dense2.bias");
    lamina_stages_free(c.s);
    c.big.tensors = c.whole.tensors;
    c.inputs[1].dtype = LAMINA_I32;
    FAILS(
        open_stages(&c), LAMINA_BAD_ARG,
        "stage 'student': input 'teacher_prediction': expected i32[1], found that of stage 'teacher', which is f32[1]");
    c.inputs[1].dtype = LAMINA_F32;
    c.inputs[1].name = "prediction"; /* nobody's, as a teacher's outputs have its name before theirs */
    OK(open_stages(&c));
    c.d = line_data(RECORDS);
    FAILS(lamina_stages_fit(c.s, c.d, NULL, NULL, &error), LAMINA_BAD_ARG,
          "stage 'student': input 'prediction': expected a field of the data or an output of an earlier stage");
    close_lesson(&c);
}

/* ---- every allocation fails once ---- */

static lesson prepared;

static lamina_status scenario_lesson(void)
{
    lamina_status s = open_stages(&prepared);
    if (!s)
        s = lamina_stages_fit(prepared.s, prepared.d, NULL, NULL, &error);
    lamina_stages_free(prepared.s);
    prepared.s = NULL;
    return s;
}

static void test_lesson_without_memory(void)
{
    make_lesson(&prepared);
    prepared.d = line_data(RECORDS);
    fail_each(scenario_lesson, LAMINA_NO_MEMORY, 50);
    close_lesson(&prepared);
}

void add_runtime_teacher(CU_pSuite s)
{
    CU_add_test(s, "a student learns what the teacher says", test_student_learns_what_the_teacher_says);
    CU_add_test(s, "an interrupted lesson", test_interrupted_lesson);
    CU_add_test(s, "teachers that do not fit", test_teachers_that_do_not_fit);
    CU_add_test(s, "a lesson without memory", test_lesson_without_memory);
}
