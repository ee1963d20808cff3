/* tests/unit/test_stages.c - stages that learn on their own, on the nets of tests/nets/stages: what a program does that
 * trains one after the other by hand, lamina_stages_fit does to the bit, wherever boundary values are kept. */
#include "tests/unit/extent.h"
#include "tests/unit/stages_case.h"

/* ---- by hand ---- */

/* Output 'name' of a model for all records of a data set for it. */
static void *outputs_of(lamina_model *m, const lamina_dataset *d, const char *name)
{
    const lamina_net *net = lamina_model_net(m);
    int64_t records = lamina_dataset_count(d);
    const void *inputs[8];
    void *outputs[8];
    for (int32_t i = 0; i < net->input_count; i++)
        inputs[i] = lamina_dataset_record(d, i, 0);
    for (int32_t i = 0; i < net->output_count; i++)
        outputs[i] = malloc((size_t)records * net->outputs[i].bytes);
    OK(lamina_infer(m, inputs, records, outputs, &stages_error));
    int32_t wanted = lamina_net_output(net, name);
    for (int32_t i = 0; i < net->output_count; i++)
        if (i != wanted)
            free(outputs[i]);
    return outputs[wanted];
}

typedef struct {
    const char *name;
    const void *values;
} column;

static lamina_dataset *hand_data(const lamina_net *net, const column *columns)
{
    lamina_dataset *d = NULL;
    OK(lamina_dataset_new(net, &d, &stages_error));
    for (; columns->name; columns++)
        if (lamina_net_input(net, columns->name) >= 0)
            OK(lamina_dataset_add(d, columns->name, columns->values, RECORDS, &stages_error));
    return d;
}

/* The three stages one after the other, with nothing but lamina_fit and lamina_infer. */
static void train_by_hand(lamina_model *m[STAGES])
{
    column columns[5] = {{"image", lamina_dataset_record(stages_data, 0, 0)},
                         {"label", lamina_dataset_record(stages_data, 1, 0)}};
    static const char *const made[STAGES] = {"hidden", "middle", NULL};
    for (int i = 0; i < STAGES; i++) {
        const lamina_fit_options fit = {.epochs = 2, .batch = i == 1 ? 20 : 0, .seed = 11};
        lamina_dataset *d = hand_data(stage_nets[i].net, columns);
        OK(lamina_model_new(stage_nets[i].net, NULL, &m[i], &stages_error));
        OK(lamina_initialize(m[i], SEED, &stages_error));
        OK(lamina_fit(m[i], d, &fit, NULL, &stages_error));
        if (made[i])
            columns[2 + i] = (column){made[i], outputs_of(m[i], d, made[i])};
        lamina_dataset_free(d);
    }
    free((void *)columns[2].values);
    free((void *)columns[3].values);
}

static void check_like_by_hand(lamina_model *const hand[STAGES], const lamina_stages_fit_options *o)
{
    lamina_stages *s = stages_new(NULL);
    lamina_model *whole, *m;
    OK(lamina_stages_fit(s, stages_data, o, NULL, &stages_error));
    OK(lamina_stages_model(s, NULL, &whole, &stages_error));
    CU_ASSERT_EQUAL(stages_compare(hand[0], whole), 6); /* trunk and norm, with its running mean and variance */
    CU_ASSERT_EQUAL(stages_compare(hand[1], whole), 2);
    CU_ASSERT_EQUAL(stages_compare(hand[2], whole), 2);
    OK(lamina_stages_model(s, "second", &m, &stages_error));
    CU_ASSERT_EQUAL(stages_compare(hand[1], m), 4);
    int64_t step = -1; /* training it again would begin anew, in states and schedule alike */
    OK(lamina_get_tensor(m, "step", &step, sizeof step, &stages_error));
    CU_ASSERT_TRUE(step == 0 && lamina_steps(m) == 0);
    lamina_stages_free(s);
}

static void sequential(void)
{
    lamina_model *hand[STAGES];
    train_by_hand(hand);
    lamina_stages_fit_options o = {.seed = 11, .cache_directory = stages_folder};
    check_like_by_hand(hand, &o);
    for (int cache = LAMINA_CACHE_MEMORY; cache <= LAMINA_CACHE_NONE; cache++) {
        o.cache = (lamina_cache)cache;
        check_like_by_hand(hand, &o);
    }
    o.validation = stages_valid; /* it changes nothing */
    check_like_by_hand(hand, &o);
    o.cache = LAMINA_CACHE_AUTO;
    for (o.cache_bytes = 1; o.cache_bytes < 4000; o.cache_bytes += 1000) /* the first boundary fits, the second not */
        check_like_by_hand(hand, &o);
    for (int i = 0; i < STAGES; i++)
        lamina_model_free(hand[i]);
}

/* In rounds: each stage's moments, step counter and order of records go on. */
static void alternating(void)
{
    enum { ROUNDS = 3 };
    lamina_model *hand[STAGES], *whole;
    for (int i = 0; i < STAGES; i++) {
        OK(lamina_model_new(stage_nets[i].net, NULL, &hand[i], &stages_error));
        OK(lamina_initialize(hand[i], SEED, &stages_error));
    }
    for (int64_t round = 0; round < ROUNDS; round++) {
        column columns[5] = {{"image", lamina_dataset_record(stages_data, 0, 0)},
                             {"label", lamina_dataset_record(stages_data, 1, 0)}};
        static const char *const made[STAGES] = {"hidden", "middle", NULL};
        for (int i = 0; i < STAGES; i++) {
            const lamina_fit_options fit = {
                .first_epoch = 2 * round, .epochs = 2 * round + 2, .batch = i == 1 ? 20 : 0, .seed = 11};
            lamina_dataset *d = hand_data(stage_nets[i].net, columns);
            OK(lamina_fit(hand[i], d, &fit, NULL, &stages_error));
            if (made[i])
                columns[2 + i] = (column){made[i], outputs_of(hand[i], d, made[i])};
            lamina_dataset_free(d);
        }
        free((void *)columns[2].values);
        free((void *)columns[3].values);
    }
    for (int cache = LAMINA_CACHE_MEMORY; cache <= LAMINA_CACHE_NONE; cache++) {
        const lamina_stages_fit_options o = {.schedule = LAMINA_ALTERNATING,
                                             .rounds = ROUNDS,
                                             .seed = 11,
                                             .cache = (lamina_cache)cache,
                                             .cache_directory = stages_folder};
        lamina_stages *s = stages_new(NULL);
        OK(lamina_stages_fit(s, stages_data, &o, NULL, &stages_error));
        OK(lamina_stages_model(s, NULL, &whole, &stages_error));
        for (int i = 0; i < STAGES; i++)
            CU_ASSERT_TRUE(stages_compare(hand[i], whole) >= 2);
        lamina_stages_free(s);
    }
    for (int i = 0; i < STAGES; i++)
        lamina_model_free(hand[i]);
}

static void fine_tuned(void)
{
    lamina_stages *s = stages_new(NULL), *tuned = stages_new(NULL);
    lamina_model *by_hand;
    char path[128];
    snprintf(path, sizeof path, "%s/w", stages_folder);
    lamina_stages_fit_options o = {.seed = 11};
    OK(lamina_stages_fit(s, stages_data, &o, NULL, &stages_error));
    OK(lamina_model_new(stage_nets[WHOLE].net, NULL, &by_hand, &stages_error));
    OK(lamina_initialize(by_hand, SEED, &stages_error));
    OK(lamina_save_weights(stages_whole(s), path, &stages_error));
    OK(lamina_load_weights(by_hand, path, &stages_error));
    lamina_set_learning_rate(by_hand, 0.003f);
    OK(lamina_fit(by_hand, stages_data, &(lamina_fit_options){.epochs = 3, .batch = 16, .seed = 11}, NULL,
                  &stages_error));
    o.fine_tune = (lamina_fit_options){.epochs = 3, .batch = 16};
    o.fine_tune_rate = 0.003f;
    OK(lamina_stages_fit(tuned, stages_data, &o, NULL, &stages_error));
    CU_ASSERT_EQUAL(stages_compare(by_hand, stages_whole(tuned)), 12);
    CU_ASSERT_STRING_EQUAL(lamina_stages_untrained(s, 0), "scores.weight");
    CU_ASSERT_STRING_EQUAL(lamina_stages_untrained(s, 1), "scores.bias");
    CU_ASSERT_PTR_NULL(lamina_stages_untrained(s, 2));
    unlink(path);
    lamina_model_free(by_hand);
    lamina_stages_free(s);
    lamina_stages_free(tuned);
}

/* A frozen stage with another run's weights, and a sub-problem's own records: what the last stage learns is what it
 * learns by hand from them. */
static void frozen_and_own_data(void)
{
    lamina_stages *donor = stages_new(NULL), *s;
    lamina_dataset *own = stages_make_data(21, 31);
    lamina_model *first, *third, *before;
    char path[128];
    snprintf(path, sizeof path, "%s/w", stages_folder);
    OK(lamina_stages_fit(donor, stages_data, NULL, NULL, &stages_error));
    OK(lamina_save_weights(stages_whole(donor), path, &stages_error));
    const lamina_stage_options o[STAGES] = {
        {.weights = path, .fit = {.epochs = 1}}, {.frozen = true}, {.train = own, .fit = {.epochs = 4, .batch = 5}}};
    s = stages_new(o);
    OK(lamina_stages_model(s, "second", &before, &stages_error));
    uint32_t values[2][11 * 7]; /* bits */
    OK(lamina_get_tensor(before, "deep.weight", values[0], sizeof values[0], &stages_error));
    OK(lamina_stages_fit(s, stages_data, &(lamina_stages_fit_options){.validation = stages_valid}, NULL,
                         &stages_error));
    OK(lamina_stages_model(s, "first", &first, &stages_error));
    OK(lamina_stages_model(s, "third", &third, &stages_error));
    OK(lamina_get_tensor(stages_whole(s), "deep.weight", values[1], sizeof values[1], &stages_error));
    CU_ASSERT_EQUAL(memcmp(values[0], values[1], sizeof values[0]), 0);
    OK(lamina_stages_model(s, "second", &before, &stages_error));
    float hidden[21 * 6], middle[21 * 7], head[21 * 5], first_head[21 * 3];
    OK(lamina_infer(first, (const void *const[]){lamina_dataset_record(own, 0, 0), NULL}, 21,
                    (void *const[]){hidden, first_head}, &stages_error));
    OK(lamina_infer(before, (const void *const[]){lamina_dataset_record(own, 0, 0), hidden}, 21,
                    (void *const[]){middle, head}, &stages_error));
    lamina_dataset *d;
    lamina_model *by_hand;
    OK(lamina_dataset_new(stage_nets[2].net, &d, &stages_error));
    OK(lamina_dataset_add(d, "hidden", hidden, 21, &stages_error));
    OK(lamina_dataset_add(d, "middle", middle, 21, &stages_error));
    OK(lamina_dataset_add(d, "label", lamina_dataset_record(own, 1, 0), 21, &stages_error));
    OK(lamina_model_new(stage_nets[2].net, NULL, &by_hand, &stages_error));
    OK(lamina_initialize(by_hand, SEED, &stages_error));
    OK(lamina_fit(by_hand, d, &o[2].fit, NULL, &stages_error));
    CU_ASSERT_EQUAL(stages_compare(by_hand, third), 2);
    unlink(path);
    lamina_dataset_free(d);
    lamina_dataset_free(own);
    lamina_model_free(by_hand);
    lamina_stages_free(donor);
    lamina_stages_free(s);
}

/* What makes all caches equal: an example's inference does not depend on its batch. */
static void inference_by_itself(void)
{
    for (int n = 0; n < 2; n++) {
        lamina_model *m;
        float whole[2][RECORDS * 7], parts[2][RECORDS * 7];
        const void *const image = lamina_dataset_record(stages_data, 0, 0);
        float other[RECORDS * 6];
        for (int i = 0; i < RECORDS * 6; i++)
            other[i] = (float)(i % 17) / 16;
        OK(lamina_model_new(stage_nets[n].net, NULL, &m, &stages_error));
        OK(lamina_initialize(m, SEED, &stages_error));
        uint64_t a = stage_nets[n].net->outputs[0].bytes, b = stage_nets[n].net->outputs[1].bytes;
        OK(lamina_infer(m, (const void *const[]){image, other}, RECORDS, (void *const[]){whole[0], whole[1]},
                        &stages_error));
        for (int64_t batch = 1; batch <= BATCH; batch++) {
            for (int64_t i = 0; i < RECORDS; i += batch) {
                const char *from = (const char *)image + (uint64_t)i * 20;
                const char *hidden = (const char *)other + (uint64_t)i * stage_nets[n].net->inputs[1].bytes;
                void *const out[] = {(char *)parts[0] + (uint64_t)i * a, (char *)parts[1] + (uint64_t)i * b};
                OK(lamina_infer(m, (const void *const[]){from, hidden}, i + batch < RECORDS ? batch : RECORDS - i, out,
                                &stages_error));
            }
            CU_ASSERT_EQUAL(memcmp(whole[0], parts[0], RECORDS * a), 0);
            CU_ASSERT_EQUAL(memcmp(whole[1], parts[1], RECORDS * b), 0);
        }
        lamina_model_free(m);
    }
}

static size_t bytes_of(int net, bool inference)
{
    lamina_model *m;
    OK(lamina_model_new(stage_nets[net].net, &(lamina_options){.inference = inference}, &m, &stages_error));
    size_t bytes = lamina_model_bytes(m);
    lamina_model_free(m);
    return bytes;
}

static size_t peak_of(lamina_cache cache)
{
    lamina_stages *s = stages_new(NULL);
    OK(lamina_stages_fit(s, stages_data, &(lamina_stages_fit_options){.cache = cache}, NULL, &stages_error));
    size_t peak = lamina_stages_bytes(s);
    lamina_stages_free(s);
    return peak;
}

/* One stage trains at a time; beside it are values that cross, or stages that infer, and the tensors of the others. */
static void memory_of_one_stage(void)
{
    size_t models = 0, largest = 0, tensors = 4096; /* a step of several micro-batches needs a little more */
    size_t boundaries = RECORDS * (6 + 7) * 4, inferring = bytes_of(0, true) + bytes_of(1, true);
    for (int i = 0; i < NETS; i++) {
        size_t bytes = i < STAGES ? bytes_of(i, false) : 0;
        models += bytes;
        largest = bytes > largest ? bytes : largest;
        for (int32_t k = 0; k < stage_nets[i].net->param_count; k++)
            tensors += stage_nets[i].net->tensors[k].bytes;
    }
    size_t kept = peak_of(LAMINA_CACHE_MEMORY), made = peak_of(LAMINA_CACHE_NONE);
    CU_ASSERT_TRUE(kept >= largest && kept < models && kept <= largest + boundaries + tensors);
    CU_ASSERT_TRUE(made >= largest && made <= largest + inferring + tensors);
    CU_ASSERT_TRUE(inferring < bytes_of(0, false) + bytes_of(1, false));
}

/* The program of examples/staged, as its first lines say, without sanitizers, which it knows nothing of. */
static void example(void)
{
    char command[2048], said[1024] = "";
    if (extent_sanitized)
        return;
    snprintf(command, sizeof command,
             "cd %s && for part in features classifier; do %s compile %s/examples/staged/rings.yaml --part=$part -o "
             "$part.so || exit; done && %s compile %s/examples/staged/rings.yaml -o whole.so && "
             "cc -std=c11 -Wall -Wextra -Werror -I%s/runtime %s/examples/staged/main.c $(dirname %s)/liblamina.a "
             "-ljansson -lz -lm -lpthread -ldl -o rings && ./rings . && test -s weights.safetensors && "
             "rm whole.* features.* classifier.* weights.* rings",
             stages_folder, LAMINA_BINARY, LAMINA_SOURCE_DIR, LAMINA_BINARY, LAMINA_SOURCE_DIR, LAMINA_SOURCE_DIR,
             LAMINA_SOURCE_DIR, LAMINA_BINARY);
    FILE *f = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    size_t n = fread(said, 1, sizeof said - 1, f);
    CU_ASSERT_TRUE(n > 0);
    CU_ASSERT_EQUAL(pclose(f), 0);
    double accuracy = 0;
    const char *last = strstr(said, "the whole, other points:");
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "stage 1 of 2, features:  loss 0."));
    CU_ASSERT_TRUE(last && sscanf(last, "the whole, other points:  accuracy %lf", &accuracy) == 1);
    CU_ASSERT_TRUE(accuracy > 0.95);
}

void suite_stages(void);
void suite_stages(void)
{
    CU_pSuite s = CU_add_suite("stages", stages_open_nets, stages_close_nets);
    CU_add_test(s, "sequential, as by hand", sequential);
    CU_add_test(s, "alternating, as by hand", alternating);
    CU_add_test(s, "fine-tuned, as by hand", fine_tuned);
    CU_add_test(s, "frozen, and with stages_data of its own", frozen_and_own_data);
    CU_add_test(s, "inference by itself", inference_by_itself);
    CU_add_test(s, "the memory of one stage", memory_of_one_stage);
    add_stages_resume(s);
    CU_add_test(s, "the example's program", example);
}
