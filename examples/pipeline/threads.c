/* examples/pipeline/threads.c - two stages on two threads: threads DIRECTORY
 *
 * DIRECTORY has bands.so, the whole network, and bands_first.so and bands_last.so, its stages (README.md says how they
 * are made). What they learn together goes to DIRECTORY/threads.safetensors. */
#include "both.h"

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
    lamina_status s = open_all(argv[1], library, net, &e);
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
