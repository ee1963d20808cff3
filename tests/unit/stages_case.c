/* tests/unit/stages_case.c - see stages_case.h. */
#include "tests/unit/stages_case.h"

net_run stage_nets[NETS];
char stages_folder[64];
lamina_error stages_error;
lamina_dataset *stages_data, *stages_valid;

lamina_dataset *stages_make_data(int64_t records, uint32_t seed)
{
    const lamina_net *whole = stage_nets[WHOLE].net;
    lamina_dataset *d = NULL;
    lamina_status s = lamina_dataset_new(whole, &d, &stages_error);
    for (int32_t i = 0; !s && i < whole->input_count; i++) {
        void *values = malloc((size_t)records * whole->inputs[i].bytes);
        fill_input(&whole->inputs[i], values, records, CLASSES, seed + (uint32_t)i);
        s = lamina_dataset_add(d, whole->inputs[i].name, values, records, &stages_error);
        free(values);
    }
    return s ? NULL : d;
}

int stages_open_nets(void)
{
    static const char *const names[NETS] = {"first", "second", "third", "whole"};
    strcpy(stages_folder, "/tmp/lamina-stages-XXXXXX");
    if (!mkdtemp(stages_folder))
        return 1;
    for (int i = 0; i < NETS; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/nets/stages/%s.yaml", LAMINA_TESTS_DIR, names[i]);
        if (!net_open(&stage_nets[i], path, &(net_variant){.max_batch = BATCH}, 1))
            return 1;
    }
    stages_data = stages_make_data(RECORDS, 1);
    stages_valid = stages_make_data(VALID, 7);
    return !stages_data || !stages_valid;
}

int stages_close_nets(void)
{
    lamina_dataset_free(stages_data);
    lamina_dataset_free(stages_valid);
    for (int i = 0; i < NETS; i++)
        net_close(&stage_nets[i]);
    return rmdir(stages_folder); /* fails if anything was left in it */
}

static const char *const stage_names[STAGES] = {"first", "second", "third"};

lamina_stages *stages_new(const lamina_stage_options *change)
{
    lamina_stage_options o[STAGES];
    lamina_stages *s = NULL;
    for (int i = 0; i < STAGES; i++)
        o[i] = change ? change[i] : (lamina_stage_options){.fit = {.epochs = 2, .batch = i == 1 ? 20 : 0}};
    for (int i = 0; i < STAGES; i++) {
        o[i].name = stage_names[i];
        o[i].net = stage_nets[i].net;
    }
    OK(lamina_stages_new(stage_nets[WHOLE].net, o, STAGES, NULL, &s, &stages_error));
    OK(lamina_stages_initialize(s, SEED, &stages_error));
    return s;
}

int stages_compare(lamina_model *a, lamina_model *b)
{
    const lamina_net *n = lamina_model_net(a), *other = lamina_model_net(b);
    int same = 0;
    for (int32_t i = 0; i < n->tensor_count; i++) {
        const lamina_tensor *t = &n->tensors[i];
        if (t->rank == 0 || strchr(t->name, '/') || lamina_net_tensor(other, t->name) < 0)
            continue;
        void *x = malloc(t->bytes), *y = malloc(t->bytes);
        OK(lamina_get_tensor(a, t->name, x, t->bytes, &stages_error));
        OK(lamina_get_tensor(b, t->name, y, t->bytes, &stages_error));
        CU_ASSERT_EQUAL(memcmp(x, y, t->bytes), 0);
        same++;
        free(x);
        free(y);
    }
    return same;
}

lamina_model *stages_whole(lamina_stages *s)
{
    lamina_model *m;
    OK(lamina_stages_model(s, NULL, &m, &stages_error));
    return m;
}
