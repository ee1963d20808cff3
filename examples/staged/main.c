/* examples/staged/main.c - stages that learn on their own, one after the other: rings DIRECTORY
 *
 * DIRECTORY has the network of rings.yaml and its stages, each compiled by itself:
 *
 *     lamina compile rings.yaml -o DIRECTORY/whole.so
 *     lamina compile rings.yaml --part=features -o DIRECTORY/features.so
 *     lamina compile rings.yaml --part=classifier -o DIRECTORY/classifier.so
 *     cc main.c -I../../runtime ../../build/liblamina.a -ljansson -lz -lm -lpthread -ldl -o rings
 *
 * It makes points around the middle, trains the stages, and leaves DIRECTORY/weights.safetensors of the whole, which
 * needs no stages any more. */
#include "lamina.h"
#include <math.h>

enum { PARTS = 3, POINTS = 3000, RINGS = 3 };

static const char *const parts[PARTS] = {"features", "classifier", "whole"};

static double next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / (1 << 24);
}

/* Points in a ring's reach lie between two circles; a little room is between two rings. */
static lamina_status make_points(lamina_stages *s, uint32_t seed, lamina_dataset **out, lamina_error *e)
{
    static float point[POINTS][2];
    static int32_t ring[POINTS];
    for (int i = 0; i < POINTS; i++) {
        ring[i] = i % RINGS;
        double radius = 0.5 + 0.8 * ring[i] + 0.6 * next_random(&seed), angle = 6.283185307 * next_random(&seed);
        point[i][0] = (float)(radius * cos(angle));
        point[i][1] = (float)(radius * sin(angle));
    }
    lamina_status status = lamina_dataset_new(lamina_stages_fields(s), out, e);
    if (!status)
        status = lamina_dataset_add(*out, "point", point, POINTS, e);
    return status ? status : lamina_dataset_add(*out, "ring", ring, POINTS, e);
}

static void tell(void *user, const lamina_stages_report *r)
{
    (void)user;
    if (r->event != LAMINA_STAGES_STAGE)
        return;
    printf("stage %d of %d, %s:", (int)r->number, (int)r->count, r->stage);
    for (int32_t i = 0; i < r->fit->metric_count; i++)
        printf("  %s %.4f", r->fit->metrics[i].name, r->fit->validation[i]);
    putchar('\n');
}

static lamina_status train(const lamina_net *const net[PARTS], const char *weights, lamina_error *e)
{
    const lamina_stage_options stages[] = {{.name = "features", .net = net[0], .fit = {.epochs = 10}},
                                           {.name = "classifier", .net = net[1], .fit = {.epochs = 5}}};
    lamina_stages *s = NULL;
    lamina_dataset *points = NULL, *others = NULL;
    lamina_model *whole;
    lamina_stages_fit_options how = {.report = tell};
    lamina_status status;
    if (!(status = lamina_stages_new(net[2], stages, 2, NULL, &s, e)) &&
        !(status = lamina_stages_initialize(s, 1, e)) && !(status = make_points(s, 1, &points, e)) &&
        !(status = make_points(s, 2, &others, e))) {
        how.validation = others;
        if (!(status = lamina_stages_fit(s, points, &how, NULL, e)) &&
            !(status = lamina_stages_model(s, NULL, &whole, e)) && !(status = lamina_save_weights(whole, weights, e)) &&
            !(status = lamina_evaluate_dataset(whole, others, NULL, e)))
            printf("the whole, other points:  %s %.4f\n", net[2]->metrics[1].name, lamina_metric_value(whole, 1));
    }
    lamina_dataset_free(others);
    lamina_dataset_free(points);
    lamina_stages_free(s);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: rings DIRECTORY\n");
        return 2;
    }
    lamina_error e;
    lamina_library *library[PARTS] = {NULL};
    const lamina_net *net[PARTS] = {NULL};
    lamina_status status = LAMINA_OK;
    char path[1024];
    for (int i = 0; !status && i < PARTS; i++) {
        snprintf(path, sizeof path, "%s/%s.so", argv[1], parts[i]);
        status = lamina_library_open(path, &library[i], &e);
        net[i] = status ? NULL : lamina_library_net(library[i]);
    }
    snprintf(path, sizeof path, "%s/weights.safetensors", argv[1]);
    if (!status)
        status = train(net, path, &e);
    if (status)
        fprintf(stderr, "rings: %s\n", e.text);
    for (int i = 0; i < PARTS; i++)
        lamina_library_free(library[i]);
    return status != LAMINA_OK;
}
