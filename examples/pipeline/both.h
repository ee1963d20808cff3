/* examples/pipeline/both.h - what both programs do: open the network and its stages, and train them. */
#ifndef BOTH_H
#define BOTH_H

#include "bands.h"
#include "lamina.h"
#include <stdio.h>

enum { FIRST, LAST, STAGES };

/* The stages in order, then the whole network. */
static const char *const names[STAGES + 1] = {"bands_first", "bands_last", "bands"};

static inline lamina_status open_all(const char *directory, lamina_library *library[STAGES + 1],
                                     const lamina_net *net[STAGES + 1], lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int i = 0; !s && i <= STAGES; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s.so", directory, names[i]);
        s = lamina_library_open(path, &library[i], e);
        net[i] = s ? NULL : lamina_library_net(library[i]);
    }
    return s;
}

/* Tell the metrics of the last step, if the stage that has them is in this process. */
static inline lamina_status train(lamina_pipeline *p, lamina_error *e)
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
    for (int32_t i = 0; !s && lamina_pipeline_model(p, LAST) && i < fields->metric_count; i++)
        printf("%s %.4f\n", fields->metrics[i].name, lamina_pipeline_metric_value(p, i));
    return s;
}

#endif
