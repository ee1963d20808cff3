/* Networks whose stages learn on their own: the nets that a description becomes compute, and learn, what its stages do
 * in the whole. Everything is compared bit for bit. */
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Three stages, the middle one frozen, with a value of the first that the last one reads past it. */
static const char layers[] = "inputs: {x: [7], label: {shape: [], dtype: int32}, w: []}\n"
                             "layers:\n"
                             "  - dense: {name: a, units: 9, activation: relu}\n"
                             "  - dense: {name: b, units: 6, activation: tanh}\n"
                             "  - dense: {name: c, units: 5}\n"
                             "  - concatenate: {name: joined, inputs: [a, c]}\n"
                             "  - dense: {name: logits, units: 4}\n"
                             "losses: [softmax_cross_entropy: {sample_weights: w, class_weights: [1, 0, 2, 1/3]}]\n"
                             "metrics: [accuracy]\n"
                             "optimizer: {sgd: {learning_rate: 0.1, momentum: 0.5}}\n"
                             "train: {batch: 8}\n";
static const char learning[] = "stages:\n"
                               "  - {name: one, through: a, head: auto}\n"
                               "  - {name: two, through: c, head: [{dense: {units: 5, input: b}}, {dense: 4}],\n"
                               "     optimizer: {adam: {learning_rate: 0.2}}}\n"
                               "  - {name: three, through: logits}\n";
static const char with_frozen[] = "stages:\n"
                                  "  - {name: one, through: a, head: auto}\n"
                                  "  - {name: two, through: c, frozen: true}\n"
                                  "  - {name: three, through: logits}\n";

enum { BATCH = 8, PARTS = 3 };

static const char *write_combined(const char *schedule, const char *stages, const char *combine)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/lamina-hierarchy-%ld.yaml", (long)getpid());
    FILE *f = fopen(path, "w");
    fprintf(f, "%sstaging: {coupling: local, schedule: %s}\n%scombine: %s\n", layers, schedule, stages, combine);
    fclose(f);
    return path;
}

static const char *write_net(const char *schedule, const char *stages)
{
    return write_combined(schedule, stages, "average");
}

static bool open_part(net_run *r, const char *path, const char *part)
{
    const net_variant v = {.part = part, .cpu = "x86-64-v3"};
    bool ok = net_open(r, path, &v, 1);
    if (ok) {
        net_initialize(r, 3);
        r->call.learning_rate = (float)r->net->rate.a;
        r->call.loss_scale = 1.0f / BATCH;
    }
    return ok;
}

/* ---- values that flow between nets, by name ---- */

static const void *find_output(const net_run *r, const char *name)
{
    for (int32_t i = 0; i < r->net->output_count; i++)
        if (!strcmp(r->net->outputs[i].name, name))
            return r->outputs[i];
    return NULL;
}

/* Room for a batch; inputs that an earlier net makes are taken from it, the others depend on their name alone. */
static void feed(net_run *r, net_run *const *earlier, int count)
{
    const int64_t classes[NET_RUN_TENSORS] = {4, 4, 4, 4};
    net_set_batch(r, BATCH, classes, 0);
    for (int32_t i = 0; i < r->net->input_count; i++) {
        const lamina_tensor *t = &r->net->inputs[i];
        const void *made = NULL;
        for (int k = 0; k < count && !made; k++)
            made = find_output(earlier[k], t->name);
        if (made)
            memcpy((void *)r->inputs[i], made, r->input_bytes[i]);
        else
            fill_input(t, (void *)r->inputs[i], BATCH, 4, (uint32_t)t->name[0]);
    }
    r->call.batch = BATCH;
}

/* A tensor among all that a net exports, or NULL. */
static const char *find_tensor(const lamina_net *n, const char *all, const char *name, size_t *bytes)
{
    for (int32_t i = 0; i < n->tensor_count; all += n->tensors[i++].bytes)
        if (!strcmp(n->tensors[i].name, name)) {
            *bytes = n->tensors[i].bytes;
            return all;
        }
    return NULL;
}

/* How many parameters of 'part' the other net has with equal bits; -1 if one differs. */
static int same_parameters(net_run *part, net_run *other)
{
    size_t bytes;
    char *mine = net_export(part, &bytes), *theirs = net_export(other, &bytes), *at = mine;
    int same = 0;
    for (int32_t i = 0; i < part->net->param_count; at += part->net->tensors[i++].bytes) {
        size_t size;
        const char *t = find_tensor(other->net, theirs, part->net->tensors[i].name, &size);
        if (t && (size != part->net->tensors[i].bytes || memcmp(t, at, size)))
            same = -1;
        else if (t && same >= 0)
            same++;
    }
    free(mine);
    free(theirs);
    return same;
}

/* ---- the tests ---- */

static const char *const parts[PARTS] = {"one", "two", "three"};

/* The stages one after the other say what the whole says. */
static void chain_is_whole(void)
{
    const char *path = write_net("sequential", learning);
    net_run stage[PARTS] = {0}, whole = {0};
    net_run *const chain[PARTS] = {&stage[0], &stage[1], &stage[2]};
    for (int i = 0; i < PARTS; i++) {
        CU_ASSERT_TRUE_FATAL(open_part(chain[i], path, parts[i]));
        feed(chain[i], chain, i);
        CU_ASSERT_EQUAL(chain[i]->net->infer(&chain[i]->call), 0);
    }
    CU_ASSERT_TRUE_FATAL(open_part(&whole, path, NULL));
    feed(&whole, NULL, 0);
    CU_ASSERT_EQUAL(whole.net->infer(&whole.call), 0);
    CU_ASSERT_EQUAL(whole.net->output_count, 1);
    for (int i = 0; i < PARTS; i++)
        CU_ASSERT_EQUAL(same_parameters(chain[i], &whole), chain[i]->net->param_count);

    /* The combination, from the answers: log of the mean of the three softmaxes. */
    const float *got = find_output(&whole, "combine"), *answer[PARTS];
    answer[0] = find_output(chain[0], "one_head_dense1");
    answer[1] = find_output(chain[1], "two_head_dense2");
    answer[2] = find_output(chain[2], "logits");
    CU_ASSERT_TRUE_FATAL(got && answer[0] && answer[1] && answer[2]);
    for (int e = 0; e < BATCH; e++)
        for (int c = 0; c < 4; c++) {
            double sum = 0;
            for (int k = 0; k < PARTS; k++) {
                double all = 0;
                for (int j = 0; j < 4; j++)
                    all += __builtin_exp((double)answer[k][4 * e + j]);
                sum += __builtin_exp((double)answer[k][4 * e + c]) / all / PARTS;
            }
            CU_ASSERT_DOUBLE_EQUAL((double)got[4 * e + c], __builtin_log(sum), 1e-5);
        }
    for (int i = 0; i < PARTS; i++)
        net_close(chain[i]);
    net_close(&whole);
    unlink(path);
}

/* Before it has learned, a combination that learns is the mean of the answers. */
static void learned_begins_as_mean(void)
{
    const char *path = write_combined("sequential", learning, "learned");
    net_run stage[PARTS] = {0}, combine = {0};
    net_run *const chain[PARTS] = {&stage[0], &stage[1], &stage[2]};
    for (int i = 0; i < PARTS; i++) {
        CU_ASSERT_TRUE_FATAL(open_part(chain[i], path, parts[i]));
        feed(chain[i], chain, i);
        CU_ASSERT_EQUAL(chain[i]->net->infer(&chain[i]->call), 0);
    }
    CU_ASSERT_TRUE_FATAL(open_part(&combine, path, "combine"));
    CU_ASSERT_EQUAL(combine.net->param_count, 2);
    CU_ASSERT_TRUE(combine.net->needs & LAMINA_NEEDS_IDENTITY);
    feed(&combine, chain, PARTS);
    CU_ASSERT_EQUAL(combine.net->infer(&combine.call), 0);
    const float *got = find_output(&combine, "combine"), *answer[PARTS];
    answer[0] = find_output(chain[0], "one_head_dense1");
    answer[1] = find_output(chain[1], "two_head_dense2");
    answer[2] = find_output(chain[2], "logits");
    CU_ASSERT_TRUE_FATAL(got && answer[0] && answer[1] && answer[2]);
    for (int i = 0; i < 4 * BATCH; i++)
        CU_ASSERT_DOUBLE_EQUAL((double)got[i], ((double)answer[0][i] + (double)answer[1][i] + (double)answer[2][i]) / 3,
                               1e-6);
    for (int i = 0; i < PARTS; i++)
        net_close(chain[i]);
    net_close(&combine);
    unlink(path);
}

/* One step of all stages at once is a step of each one alone, on what the stages before it said before that step. */
static void simultaneous_is_each(void)
{
    const char *path = write_net("sequential", learning);
    net_run stage[PARTS] = {0}, all = {0};
    net_run *const chain[PARTS] = {&stage[0], &stage[1], &stage[2]};
    for (int i = 0; i < PARTS; i++) {
        CU_ASSERT_TRUE_FATAL(open_part(chain[i], path, parts[i]));
        feed(chain[i], chain, i);
        CU_ASSERT_EQUAL(chain[i]->net->infer(&chain[i]->call), 0);
    }
    for (int i = 0; i < PARTS; i++)
        CU_ASSERT_EQUAL(net_step(chain[i], BATCH), 0);
    path = write_net("simultaneous", learning);
    CU_ASSERT_TRUE_FATAL(open_part(&all, path, "stages"));
    feed(&all, NULL, 0);
    CU_ASSERT_EQUAL(net_step(&all, BATCH), 0);
    int32_t params = 0;
    for (int i = 0; i < PARTS; i++) {
        params += chain[i]->net->param_count;
        CU_ASSERT_EQUAL(same_parameters(chain[i], &all), chain[i]->net->param_count);
        net_close(chain[i]);
    }
    CU_ASSERT_EQUAL(all.net->param_count, params);
    CU_ASSERT_EQUAL(all.net->metric_count, 7); /* the loss; one of each stage, and its accuracy */
    net_close(&all);
    unlink(path);
}

/* A frozen stage has nothing to learn with: no training code, no gradients, no optimizer's state. */
static void frozen_has_inference_alone(void)
{
    const char *path = write_net("sequential", with_frozen);
    net_run r = {0};
    CU_ASSERT_TRUE_FATAL(open_part(&r, path, "two"));
    CU_ASSERT_TRUE(r.net->infer && !r.net->train_step && !r.net->gradients && !r.net->update && !r.net->evaluate);
    CU_ASSERT_EQUAL(r.net->gradient_bytes, 0);
    CU_ASSERT_EQUAL(r.net->tensor_count, r.net->param_count);
    CU_ASSERT_EQUAL(r.net->param_count, 4);
    net_close(&r);
    unlink(path);
}

void suite_hierarchy(void);
void suite_hierarchy(void)
{
    CU_pSuite s = CU_add_suite("hierarchies", NULL, NULL);
    CU_add_test(s, "stages one after the other are the whole", chain_is_whole);
    CU_add_test(s, "a learned combination begins as the mean", learned_begins_as_mean);
    CU_add_test(s, "all stages at once learn as each one alone", simultaneous_is_each);
    CU_add_test(s, "a frozen stage has inference alone", frozen_has_inference_alone);
}
