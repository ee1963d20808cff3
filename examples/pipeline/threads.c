/* examples/pipeline/threads.c - two stages on two threads: threads DIRECTORY
 *
 * DIRECTORY has bands.so, the whole network, and bands_first.so and bands_last.so, its stages (README.md says how they
 * are made). What they learn together goes to DIRECTORY/threads.safetensors. */
#include "bands.h"
#include "lamina.h"

enum { STAGES = 2 };

static const char *const names[STAGES + 1] = {"bands_first", "bands_last", "bands"};

static lamina_status train(lamina_pipeline *p, lamina_error *e)
{
    static float point[BATCH][2];
    static int32_t band[BATCH];
    const lamina_net *fields = lamina_pipeline_fields(p);
    const void *inputs[2];
    inputs[lamina_net_input(fields, "point")] = point;
    inputs[lamina_net_input(fields, "band")] = band;
    lamina_status s = lamina_pipeline_initialize(p, BANDS_SEED, e);
    for (int step = 0; !s && step < BANDS_STEPS; step++) {
        make_points(step, point, band);
        lamina_pipeline_reset_metrics(p);
        s = lamina_pipeline_train_step(p, inputs, BATCH, e);
    }
    for (int32_t i = 0; !s && i < fields->metric_count; i++)
        printf("%s %.4f\n", fields->metrics[i].name, lamina_pipeline_metric_value(p, i));
    return s;
}

/* The whole network ships, with what its stages have learned. */
static lamina_status save(lamina_pipeline *p, const lamina_net *net, const char *directory, lamina_error *e)
{
    char path[1024];
    lamina_model *whole = NULL;
    lamina_status s = lamina_model_new(net, NULL, &whole, e);
    for (int32_t i = 0; !s && i < STAGES; i++)
        s = lamina_copy_tensors(whole, lamina_pipeline_model(p, i), e);
    snprintf(path, sizeof path, "%s/threads.safetensors", directory);
    s = s ? s : lamina_save_weights(whole, path, e);
    lamina_model_free(whole);
    return s;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: threads DIRECTORY\n");
        return 2;
    }
    lamina_error e;
    lamina_library *library[STAGES + 1] = {NULL};
    const lamina_net *net[STAGES + 1] = {NULL};
    lamina_pipeline *p = NULL;
    lamina_status s = LAMINA_OK;
    for (int i = 0; !s && i <= STAGES; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s.so", argv[1], names[i]);
        s = lamina_library_open(path, &library[i], &e);
        net[i] = s ? NULL : lamina_library_net(library[i]);
    }
    const lamina_pipeline_options options = {.schedule = LAMINA_1F1B, .micro_batch = MICRO_BATCH};
    if (!s && !(s = lamina_pipeline_new(net, STAGES, &options, &p, &e)) && !(s = train(p, &e)))
        s = save(p, net[STAGES], argv[1], &e);
    if (s)
        fprintf(stderr, "threads: %s\n", e.text);
    lamina_pipeline_free(p);
    for (int i = 0; i <= STAGES; i++)
        lamina_library_free(library[i]);
    return s != LAMINA_OK;
}
