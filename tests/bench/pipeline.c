/* tests/bench/pipeline.c - a pipeline of two threads against one thread: pipeline DIRECTORY ROUNDS
 *
 * DIRECTORY has deep.so, deep_stage1.so, ... as pipeline.sh compiles them. Rounds alternate: the whole network on one
 * thread, its stages on a thread each, by both schedules, and the whole on as many threads. All take the same batch in
 * the same micro-batches, so they have the same bits, which is checked. Prints medians of a step. */
#include "lamina.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_STAGES = 8, STEPS = 4, MOST_ROUNDS = 100, MOST_INPUTS = 8, WAYS = 4 };

static const char *const ways[WAYS] = {"whole, one thread", "stages, 1F1B", "stages, GPipe", "whole, all threads"};

static lamina_error error;

static void need(lamina_status s)
{
    if (s) {
        fprintf(stderr, "pipeline: %s\n", error.text);
        exit(1);
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const lamina_net *open_net(const char *directory, const char *name)
{
    char path[1024];
    lamina_library *l = NULL;
    snprintf(path, sizeof path, "%s/%s.so", directory, name);
    need(lamina_library_open(path, &l, &error)); /* for as long as the program runs */
    return lamina_library_net(l);
}

/* Small numbers, and 0 for labels. */
static void fill(const lamina_net *net, int64_t count, const void *inputs[MOST_INPUTS])
{
    for (int32_t i = 0; i < net->input_count; i++) {
        size_t bytes = net->inputs[i].bytes * (size_t)count;
        float *x = calloc(1, bytes);
        for (size_t k = 0; net->inputs[i].dtype == LAMINA_F32 && k < bytes / sizeof *x; k++)
            x[k] = (float)(k * 2654435761u % 1000) / 1000 - 0.5f;
        inputs[i] = x;
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    int rounds = argc == 3 ? atoi(argv[2]) : 0, stages = 0;
    const lamina_net *stage[MOST_STAGES], *whole;
    lamina_model *model[2] = {NULL};
    lamina_pipeline *pipeline[2] = {NULL};
    static double took[WAYS][MOST_ROUNDS];
    const void *inputs[MOST_INPUTS], *fields[MOST_INPUTS];
    if (rounds < 1 || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: pipeline DIRECTORY ROUNDS\n");
        return 2;
    }
    whole = open_net(argv[1], "deep");
    for (char name[32], path[1100]; stages < MOST_STAGES; stages++) {
        snprintf(name, sizeof name, "deep_stage%d", stages + 1);
        snprintf(path, sizeof path, "%s/%s.so", argv[1], name);
        FILE *f = fopen(path, "r");
        if (!f)
            break;
        fclose(f);
        stage[stages] = open_net(argv[1], name);
    }
    int64_t count = 8 * whole->max_batch;
    for (int i = 0; i < 2; i++) {
        const lamina_options o = {.workers = i ? stages : 1};
        const lamina_pipeline_options p = {.schedule = i ? LAMINA_GPIPE : LAMINA_1F1B};
        need(lamina_model_new(whole, &o, &model[i], &error));
        need(lamina_initialize(model[i], 1, &error));
        lamina_set_learning_rate(model[i], 1e-6f);
        need(lamina_pipeline_new(stage, stages, &p, &pipeline[i], &error));
        need(lamina_pipeline_initialize(pipeline[i], 1, &error));
        for (int32_t k = 0; k < stages; k++)
            lamina_set_learning_rate(lamina_pipeline_model(pipeline[i], k), 1e-6f);
    }
    fill(whole, count, inputs);
    fill(lamina_pipeline_fields(pipeline[0]), count, fields);
    for (int round = -1; round < rounds; round++)
        for (int way = 0; way < WAYS; way++) {
            double start = seconds();
            for (int i = 0; i < STEPS; i++)
                need(way == 0 || way == 3 ? lamina_train_step(model[way == 3], inputs, count, &error)
                                          : lamina_pipeline_train_step(pipeline[way - 1], fields, count, &error));
            if (round >= 0)
                took[way][round] = (seconds() - start) / STEPS;
        }
    for (int32_t i = 0; i < 2; i++)
        if (lamina_pipeline_metric_value(pipeline[i], 0) != lamina_metric_value(model[0], 0))
            fprintf(stderr, "pipeline: the losses differ\n");
    for (int way = 0; way < WAYS; way++)
        qsort(took[way], (size_t)rounds, sizeof(double), by_size);
    printf("%d stages, 8 micro-batches of %lld\n", stages, (long long)whole->max_batch);
    for (int way = 0; way < WAYS; way++)
        printf("%-20s %8.3f ms   %.2fx\n", ways[way], 1e3 * took[way][rounds / 2],
               took[0][rounds / 2] / took[way][rounds / 2]);
    return 0;
}
