/* tests/unit/test_stages.c - stages that learn on their own, on nets of tests/nets/stages: what a program does that
 * trains one after the other by hand, lamina_stages_fit does to the bit, wherever boundary values are kept. */
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STAGES = 3, WHOLE = STAGES, NETS, BATCH = 8, RECORDS = 45, VALID = 13, CLASSES = 3, SEED = 5 };

static net_run nets[NETS];
static char folder[64];
static lamina_error error;
static lamina_dataset *data, *valid;

#define OK(call) CU_ASSERT_EQUAL_FATAL(call, LAMINA_OK)

static lamina_dataset *make_data(int64_t records, uint32_t seed)
{
    const lamina_net *whole = nets[WHOLE].net;
    lamina_dataset *d = NULL;
    lamina_status s = lamina_dataset_new(whole, &d, &error);
    for (int32_t i = 0; !s && i < whole->input_count; i++) {
        void *values = malloc((size_t)records * whole->inputs[i].bytes);
        fill_input(&whole->inputs[i], values, records, CLASSES, seed + (uint32_t)i);
        s = lamina_dataset_add(d, whole->inputs[i].name, values, records, &error);
        free(values);
    }
    return s ? NULL : d;
}

static int open_nets(void)
{
    static const char *const names[NETS] = {"first", "second", "third", "whole"};
    strcpy(folder, "/tmp/lamina-stages-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    for (int i = 0; i < NETS; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/nets/stages/%s.yaml", LAMINA_TESTS_DIR, names[i]);
        if (!net_open(&nets[i], path, &(net_variant){.max_batch = BATCH}, 1))
            return 1;
    }
    data = make_data(RECORDS, 1);
    valid = make_data(VALID, 7);
    return !data || !valid;
}

static int close_nets(void)
{
    lamina_dataset_free(data);
    lamina_dataset_free(valid);
    for (int i = 0; i < NETS; i++)
        net_close(&nets[i]);
    return rmdir(folder); /* fails if anything was left in it */
}

static const char *const stage_names[STAGES] = {"first", "second", "third"};

static lamina_stages *new_stages(const lamina_stage_options *change)
{
    lamina_stage_options o[STAGES];
    lamina_stages *s = NULL;
    for (int i = 0; i < STAGES; i++)
        o[i] = change ? change[i] : (lamina_stage_options){.fit = {.epochs = 2, .batch = i == 1 ? 20 : 0}};
    for (int i = 0; i < STAGES; i++) {
        o[i].name = stage_names[i];
        o[i].net = nets[i].net;
    }
    OK(lamina_stages_new(nets[WHOLE].net, o, STAGES, NULL, &s, &error));
    OK(lamina_stages_initialize(s, SEED, &error));
    return s;
}

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
    OK(lamina_infer(m, inputs, records, outputs, &error));
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
    OK(lamina_dataset_new(net, &d, &error));
    for (; columns->name; columns++)
        if (lamina_net_input(net, columns->name) >= 0)
            OK(lamina_dataset_add(d, columns->name, columns->values, RECORDS, &error));
    return d;
}

/* The three stages one after the other, with nothing but lamina_fit and lamina_infer. */
static void train_by_hand(lamina_model *m[STAGES])
{
    column columns[5] = {{"image", lamina_dataset_record(data, 0, 0)}, {"label", lamina_dataset_record(data, 1, 0)}};
    static const char *const made[STAGES] = {"hidden", "middle", NULL};
    for (int i = 0; i < STAGES; i++) {
        const lamina_fit_options fit = {.epochs = 2, .batch = i == 1 ? 20 : 0, .seed = 11};
        lamina_dataset *d = hand_data(nets[i].net, columns);
        OK(lamina_model_new(nets[i].net, NULL, &m[i], &error));
        OK(lamina_initialize(m[i], SEED, &error));
        OK(lamina_fit(m[i], d, &fit, NULL, &error));
        if (made[i])
            columns[2 + i] = (column){made[i], outputs_of(m[i], d, made[i])};
        lamina_dataset_free(d);
    }
    free((void *)columns[2].values);
    free((void *)columns[3].values);
}

/* Tensors that both have and no training owns alone; how many they are. */
static int compare(lamina_model *a, lamina_model *b)
{
    const lamina_net *n = lamina_model_net(a), *other = lamina_model_net(b);
    int same = 0;
    for (int32_t i = 0; i < n->tensor_count; i++) {
        const lamina_tensor *t = &n->tensors[i];
        if (t->rank == 0 || strchr(t->name, '/') || lamina_net_tensor(other, t->name) < 0)
            continue;
        void *x = malloc(t->bytes), *y = malloc(t->bytes);
        OK(lamina_get_tensor(a, t->name, x, t->bytes, &error));
        OK(lamina_get_tensor(b, t->name, y, t->bytes, &error));
        CU_ASSERT_EQUAL(memcmp(x, y, t->bytes), 0);
        same++;
        free(x);
        free(y);
    }
    return same;
}

static void check_like_by_hand(lamina_model *const hand[STAGES], const lamina_stages_fit_options *o)
{
    lamina_stages *s = new_stages(NULL);
    lamina_model *whole, *m;
    OK(lamina_stages_fit(s, data, o, NULL, &error));
    OK(lamina_stages_model(s, NULL, &whole, &error));
    CU_ASSERT_EQUAL(compare(hand[0], whole), 6); /* trunk and norm, with its running mean and variance */
    CU_ASSERT_EQUAL(compare(hand[1], whole), 2);
    CU_ASSERT_EQUAL(compare(hand[2], whole), 2);
    OK(lamina_stages_model(s, "second", &m, &error));
    CU_ASSERT_EQUAL(compare(hand[1], m), 4);
    lamina_stages_free(s);
}

static void sequential(void)
{
    lamina_model *hand[STAGES];
    train_by_hand(hand);
    lamina_stages_fit_options o = {.seed = 11, .cache_directory = folder};
    check_like_by_hand(hand, &o);
    for (int cache = LAMINA_CACHE_MEMORY; cache <= LAMINA_CACHE_NONE; cache++) {
        o.cache = (lamina_cache)cache;
        check_like_by_hand(hand, &o);
    }
    o.validation = valid; /* it changes nothing */
    check_like_by_hand(hand, &o);
    o.cache = LAMINA_CACHE_AUTO;
    for (o.cache_bytes = 1; o.cache_bytes < 4000; o.cache_bytes += 1000) /* the first boundary fits, the second not */
        check_like_by_hand(hand, &o);
    for (int i = 0; i < STAGES; i++)
        lamina_model_free(hand[i]);
}

void suite_stages(void);
void suite_stages(void)
{
    CU_pSuite s = CU_add_suite("stages", open_nets, close_nets);
    CU_add_test(s, "sequential, as by hand", sequential);
}
