/* tests/unit/test_runtime_scores.c - how a run of stages tells where the whole stands and each stage: of hand-written
 * nets, whose combinations are the same net with other names. */
#include "runtime/base/memory.h"
#include "tests/unit/runtime_school.h"
#include <math.h>
#include <stdlib.h>

/* 'net' measures what the student says, by the teacher's parameters. */
typedef struct {
    school of;
    lamina_net net;
    lamina_tensor inputs[2], tensors[16];
    lamina_metric metrics[3];
} scored;

static void make_scored(scored *c)
{
    static const char *const names[] = {"whole_loss", "upto_teacher_loss", "without_teacher_loss"};
    const lamina_net *net = fake_net_query(LAMINA_ABI_MAJOR);
    make_school(&c->of);
    c->net = *net;
    c->net.name = "scores";
    memcpy(c->inputs, net->inputs, sizeof c->inputs);
    memcpy(c->tensors, net->tensors, (size_t)net->tensor_count * sizeof *net->tensors);
    c->inputs[1].name = "copy";
    c->net.inputs = c->inputs;
    c->net.tensors = c->tensors;
    for (int i = 0; i < 3; i++) {
        c->metrics[i] = net->metrics[0];
        c->metrics[i].name = names[i];
    }
    c->net.metrics = c->metrics;
    c->net.metric_count = 3;
}

static void open_scored(scored *c)
{
    make_scored(c);
    OK(open_stages(&c->of));
    CU_ASSERT_PTR_NOT_NULL_FATAL(c->of.s);
    c->of.d = line_data(RECORDS);
}

static void test_scores_that_do_not_fit(void)
{
    scored x;
    open_scored(&x);
    x.net.evaluate = NULL;
    FAILS(lamina_stages_set_scores(x.of.s, &x.net, &error), LAMINA_BAD_ARG,
          "scores: expected a network with losses, found none");
    x.net.evaluate = x.of.whole.evaluate;
    x.inputs[1].name = "nothing";
    FAILS(lamina_stages_set_scores(x.of.s, &x.net, &error), LAMINA_BAD_ARG,
          "scores: input 'nothing': expected an output of a stage or a field of the data, found neither");
    x.inputs[1].name = "copy";
    x.tensors[0].name = "dense3.weight";
    FAILS(lamina_stages_set_scores(x.of.s, &x.net, &error), LAMINA_BAD_ARG,
          "scores: tensor 'dense3.weight': expected one that a stage or the whole has, found none");
    x.tensors[0].name = "dense1.bias";
    FAILS(lamina_stages_set_scores(x.of.s, &x.net, &error), LAMINA_BAD_ARG, "found one of another type");
    FAILS(lamina_stages_set_scores(NULL, &x.net, &error), LAMINA_BAD_ARG, "argument 's'");
    FAILS(lamina_stages_evaluate(x.of.s, x.of.d, NULL, NULL, &error), LAMINA_BAD_ARG, "argument 'scores'");
    close_school(&x.of);
}

/* ---- while stages learn ---- */

typedef struct {
    double validation[3], whole[3], own[3]; /* after each stage: of its own network, of the whole, of its score */
    int stages, counts[8], epochs;
} listener;

static void listen(void *user, const lamina_stages_report *r)
{
    listener *l = user;
    if (r->event == LAMINA_STAGES_STEP)
        CU_ASSERT_EQUAL(r->score_count, 0);
    if (r->event == LAMINA_STAGES_EPOCH)
        l->counts[l->epochs++] = r->score_count;
    if (r->event != LAMINA_STAGES_STAGE)
        return;
    CU_ASSERT_PTR_NULL(r->scores[0].stage);
    CU_ASSERT_STRING_EQUAL(r->scores[0].metrics[0].name, "loss");
    CU_ASSERT_TRUE(isnan(r->scores[0].share) && isnan(r->scores[0].contribution));
    double shares = 0;
    for (int32_t i = 1; i < r->score_count; i++) {
        const lamina_stages_score *score = &r->scores[i];
        shares += score->share;
        if (!strcmp(score->stage, r->stage))
            l->own[l->stages] = score->values[0];
        /* without the teacher there is the same as with it, here; of the student nothing is said */
        CU_ASSERT_TRUE(l->stages > 0 && i == 1 ? score->contribution == 0 : isnan(score->contribution));
    }
    CU_ASSERT_DOUBLE_EQUAL(shares, 1, 1e-12);
    l->whole[l->stages] = r->scores[0].values[0];
    l->validation[l->stages++] = r->fit->validation[0];
}

static void test_scores_are_told(void)
{
    scored x;
    open_scored(&x);
    listener l = {0};
    OK(lamina_stages_set_scores(x.of.s, &x.net, &error));
    const lamina_stages_fit_options o = {
        .report = listen, .user = &l, .validation = x.of.d, .fine_tune = {.epochs = 1}};
    OK(lamina_stages_fit(x.of.s, x.of.d, &o, NULL, &error));
    CU_ASSERT_TRUE(l.epochs == 4 && l.stages == 3);
    CU_ASSERT_TRUE(l.counts[0] == 2 && l.counts[1] == 2 && l.counts[2] == 3 && l.counts[3] == 3);
    CU_ASSERT_TRUE(l.own[0] == l.validation[0] && l.own[1] == l.validation[1]);
    CU_ASSERT_TRUE(l.whole[2] == l.validation[2]); /* of the whole, when that itself learns */
    CU_ASSERT_TRUE(isfinite(l.whole[0]) && l.whole[0] != l.whole[1]);
    close_school(&x.of);
}

/* ---- of any data ---- */

static void test_scores_of_any_data(void)
{
    scored x;
    const lamina_stages_score *scores;
    int32_t count;
    lamina_model *m;
    double teacher, whole;
    open_scored(&x);
    OK(lamina_stages_fit(x.of.s, x.of.d, NULL, NULL, &error));
    lamina_dataset *d = line_data(17);
    OK(lamina_stages_evaluate(x.of.s, d, &scores, &count, &error));
    CU_ASSERT_EQUAL_FATAL(count, 3);
    CU_ASSERT_TRUE(isnan(scores[1].contribution)); /* no combinations */
    const double found[] = {scores[0].values[0], scores[1].values[0]};
    OK(lamina_stages_model(x.of.s, "teacher", &m, &error));
    OK(lamina_evaluate_dataset(m, d, &teacher, &error));
    OK(lamina_stages_model(x.of.s, NULL, &m, &error));
    OK(lamina_evaluate_dataset(m, d, &whole, &error));
    CU_ASSERT_TRUE(found[0] == whole && found[1] == teacher);
    lamina_dataset_free(d);
    close_school(&x.of);
}

/* A network that trains two stages at once has a score for each, of the metrics that begin with its name. */
static void test_scores_of_members(void)
{
    static const char *const members[] = {"a", "a_b", "idle"};
    scored x;
    const lamina_stages_score *scores;
    int32_t count;
    make_scored(&x);
    static const char *const names[] = {"a_loss", "a_b_loss", "a_b_accuracy"};
    for (int i = 0; i < 3; i++)
        x.metrics[i].name = names[i];
    x.metrics[2].higher_is_better = 1;
    x.of.teacher.metrics = x.metrics;
    x.of.teacher.metric_count = 3;
    x.of.stages[0].members = members;
    x.of.stages[0].member_count = 3;
    OK(lamina_stages_new(&x.of.whole, x.of.stages, 1, NULL, &x.of.s, &error));
    OK(lamina_stages_initialize(x.of.s, 1, &error));
    x.of.d = line_data(RECORDS);
    OK(lamina_stages_evaluate(x.of.s, x.of.d, &scores, &count, &error));
    CU_ASSERT_EQUAL_FATAL(count, 3);
    CU_ASSERT_STRING_EQUAL(scores[1].stage, "a");
    CU_ASSERT_STRING_EQUAL(scores[2].stage, "a_b");
    CU_ASSERT_TRUE(scores[1].metric_count == 1 && scores[2].metric_count == 2);
    CU_ASSERT_STRING_EQUAL(scores[1].metrics[0].name, "loss");
    CU_ASSERT_STRING_EQUAL(scores[2].metrics[1].name, "accuracy");
    CU_ASSERT_TRUE(scores[1].share == 0.5 && scores[2].share == 0.5);
    close_school(&x.of);
}

/* ---- every allocation fails once ---- */

static lamina_dataset *failing_data;

static lamina_status scenario_scores(void)
{
    scored x;
    const lamina_stages_score *scores;
    int32_t count;
    const lamina_stages_fit_options o = {.validation = failing_data, .fine_tune = {.epochs = 1}};
    make_scored(&x);
    lamina_status s = open_stages(&x.of);
    if (!s)
        s = lamina_stages_set_scores(x.of.s, &x.net, &error);
    if (!s)
        s = lamina_stages_fit(x.of.s, failing_data, &o, NULL, &error);
    if (!s)
        s = lamina_stages_evaluate(x.of.s, failing_data, &scores, &count, &error);
    lamina_stages_free(x.of.s);
    return s;
}

static void test_scores_without_memory(void)
{
    failing_data = line_data(20);
    fail_each(scenario_scores, LAMINA_NO_MEMORY, 150);
    lamina_dataset_free(failing_data);
}

void add_runtime_scores(CU_pSuite s)
{
    CU_add_test(s, "scores that do not fit", test_scores_that_do_not_fit);
    CU_add_test(s, "scores are told", test_scores_are_told);
    CU_add_test(s, "scores of any data", test_scores_of_any_data);
    CU_add_test(s, "scores of members", test_scores_of_members);
    CU_add_test(s, "scores without memory", test_scores_without_memory);
}
