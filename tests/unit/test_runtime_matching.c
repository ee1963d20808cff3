/* tests/unit/test_runtime_matching.c - weights of another network: what is taken by name and shape, what is told of the
 * rest, and what is refused. */
#include "tests/unit/runtime_case.h"
#include <stdio.h>

static char told[1024];

static void hear(void *user, const lamina_mismatch *m)
{
    size_t at = strlen(told);
    CU_ASSERT_PTR_EQUAL(user, told);
    snprintf(told + at, sizeof told - at, "%s %s %s\n", m->name, m->here ? m->here : "-", m->there ? m->there : "-");
}

/* A network like the hand-written one, with other names or shapes. */
typedef struct {
    lamina_net net;
    lamina_tensor tensors[16];
} other_net;

static void make_other(other_net *o)
{
    o->net = *fake_net_query(LAMINA_ABI_MAJOR);
    memcpy(o->tensors, o->net.tensors, (size_t)o->net.tensor_count * sizeof *o->tensors);
    o->net.name = "other";
    o->net.tensors = o->tensors;
}

static void save_fake(void)
{
    const float weight[FAKE_INPUTS] = {1, 2, 3}, bias = 4;
    const lamina_checkpoint at = {.batch = 8};
    lamina_model *m = new_model(1, false);
    OK(lamina_set_tensor(m, "dense1.weight", weight, sizeof weight, &error));
    OK(lamina_set_tensor(m, "dense1.bias", &bias, sizeof bias, &error));
    OK(lamina_save_weights(m, path_of("w.st"), &error));
    OK(lamina_save_checkpoint(m, &at, path_of("c.st"), &error));
    lamina_model_free(m);
}

/* Load into a new model; its bias then, which is 0 where it was not taken over. */
static float load(const other_net *o, const char *file, const char *from, const char *to, lamina_status expected)
{
    float bias = -1;
    lamina_model *m = NULL;
    const lamina_match_options how = {.from = from, .to = to, .report = hear, .user = told};
    told[0] = 0;
    OK(lamina_model_new(&o->net, NULL, &m, &error));
    CU_ASSERT_EQUAL(lamina_load_matching(m, path_of(file), &how, &error), expected);
    if (expected)
        keep_error();
    OK(lamina_get_tensor(m, o->tensors[1].name, &bias, sizeof bias, &error));
    lamina_model_free(m);
    return bias;
}

static void test_matching_by_name_and_shape(void)
{
    other_net o;
    save_fake();
    make_other(&o);
    CU_ASSERT_EQUAL(load(&o, "w.st", NULL, NULL, LAMINA_OK), 4);
    CU_ASSERT_STRING_EQUAL(told, "");
    CU_ASSERT_EQUAL(load(&o, "c.st", NULL, NULL, LAMINA_OK), 4); /* states of training are nobody's loss */
    CU_ASSERT_STRING_EQUAL(told, "");
    o.tensors[0].dim[0] = 1;
    o.tensors[0].dim[1] = FAKE_INPUTS;
    CU_ASSERT_EQUAL(load(&o, "w.st", NULL, NULL, LAMINA_OK), 4);
    CU_ASSERT_STRING_EQUAL(told, "dense1.weight F32[1, 3] F32[3, 1]\n");
    o.tensors[0].name = "trunk.weight";
    CU_ASSERT_EQUAL(load(&o, "w.st", NULL, NULL, LAMINA_OK), 4);
    CU_ASSERT_STRING_EQUAL(told, "dense1.weight - F32[3, 1]\ntrunk.weight F32[1, 3] -\n");
}

static void test_matching_with_other_beginnings(void)
{
    other_net o;
    save_fake();
    make_other(&o);
    o.tensors[0].name = "a_dense1.weight";
    o.tensors[1].name = "a_dense1.bias";
    CU_ASSERT_EQUAL(load(&o, "w.st", "", "a_", LAMINA_OK), 4);
    CU_ASSERT_STRING_EQUAL(told, "");
    o.tensors[0].name = "b1.weight";
    o.tensors[1].name = "b1.bias";
    CU_ASSERT_EQUAL(load(&o, "w.st", "dense", "b", LAMINA_OK), 4);
    CU_ASSERT_STRING_EQUAL(told, "");
    CU_ASSERT_EQUAL(load(&o, "w.st", "dens", "c", LAMINA_BAD_FILE), 0);
}

static void test_matching_refused(void)
{
    other_net o;
    lamina_model *m = NULL;
    save_fake();
    make_other(&o);
    o.tensors[0].name = "trunk.weight";
    OK(lamina_model_new(&o.net, NULL, &m, &error));
    const lamina_match_options strict = {.strict = true};
    FAILS(
        lamina_load_matching(m, path_of("w.st"), &strict, &error), LAMINA_BAD_FILE,
        "w.st: expected the tensors of network 'other', found 2 that differ, of which the first 'dense1.weight' is not "
        "here, F32[3, 1] there");
    o.tensors[1].name = "trunk.bias";
    FAILS(lamina_load_matching(m, path_of("w.st"), NULL, &error), LAMINA_BAD_FILE,
          "w.st: none of its tensors has the name and the shape of one of network 'other'");
    FAILS(lamina_load_matching(m, path_of("none"), NULL, &error), LAMINA_IO, "cannot open");
    FAILS(lamina_load_matching(NULL, path_of("w.st"), NULL, &error), LAMINA_BAD_ARG, "lamina_load_matching");
    FAILS(lamina_load_matching(m, NULL, NULL, &error), LAMINA_BAD_ARG, "lamina_load_matching");
    lamina_model_free(m);
}

/* Of a stage only its own tensors are looked for; of all stages, all of theirs. */
static void test_matching_of_stages(void)
{
    static const lamina_match_options how = {.report = hear, .user = told};
    other_net o;
    save_fake();
    make_other(&o);
    lamina_stages *s = NULL;
    lamina_model *m;
    float bias = 0;
    const lamina_stage_options stages[] = {{.name = "one", .net = &o.net},
                                           {.name = "two", .net = fake_net_query(LAMINA_ABI_MAJOR), .frozen = true}};
    o.tensors[0].name = "trunk.weight";
    o.tensors[1].name = "trunk.bias";
    OK(lamina_stages_new(&o.net, stages, 2, NULL, &s, &error));
    OK(lamina_stages_initialize(s, 1, &error));
    told[0] = 0;
    OK(lamina_stages_load_matching(s, "two", path_of("c.st"), &how, &error));
    CU_ASSERT_STRING_EQUAL(told, "");
    OK(lamina_stages_model(s, "two", &m, &error));
    OK(lamina_get_tensor(m, "dense1.bias", &bias, sizeof bias, &error));
    CU_ASSERT_EQUAL(bias, 4);
    OK(lamina_stages_load_matching(s, NULL, path_of("w.st"), &how, &error));
    CU_ASSERT_STRING_EQUAL(told, "trunk.weight F32[3, 1] -\ntrunk.bias F32[1] -\n");
    FAILS(lamina_stages_load_matching(s, "one", path_of("w.st"), &how, &error), LAMINA_BAD_FILE, "none of its tensors");
    FAILS(lamina_stages_load_matching(s, "three", path_of("w.st"), &how, &error), LAMINA_BAD_ARG, "no stage 'three'");
    FAILS(lamina_stages_load_matching(NULL, "one", path_of("w.st"), &how, &error), LAMINA_BAD_ARG, "load_matching");
    lamina_stages_free(s);
}

void add_runtime_matching(CU_pSuite s)
{
    CU_add_test(s, "transfer: by name and shape", test_matching_by_name_and_shape);
    CU_add_test(s, "transfer: names that begin otherwise", test_matching_with_other_beginnings);
    CU_add_test(s, "transfer: refused", test_matching_refused);
    CU_add_test(s, "transfer: of stages", test_matching_of_stages);
}
