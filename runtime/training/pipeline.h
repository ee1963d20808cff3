/* runtime/training/pipeline.h - what a pipeline is made of.
 *
 *     pipeline.c         the stages, what they read of each other, their memory
 *     pipeline_step.c    one step of training: who may run what, and when */
#ifndef RUNTIME_PIPELINE_H
#define RUNTIME_PIPELINE_H

#include "runtime/lamina.h"
#include <pthread.h>
#include <stdatomic.h>

/* Pieces of memory of one size. */
typedef struct {
    void **at;
    int64_t count;
} lamina_slots;

/* A value that one stage makes and others read. Micro-batch i lies in slot i mod slots until all who read it here have
 * done so. */
typedef struct {
    const lamina_tensor *type; /* as its maker has it */
    int32_t maker, output;     /* stage, and its output's number there */
    bool backward;             /* its maker's backward makes it, else forward */
    int32_t first;             /* the first stage that makes or reads it */
    int32_t *readers;          /* stages elsewhere that read it */
    int32_t reader_count;
    bool used; /* a stage here makes or reads it */
    lamina_slots slots;
    int64_t room; /* slots that this step uses */
    int64_t made; /* micro-batches of this step that are there */
} lamina_pipeline_value;

/* Where a stage's input comes from: a field of the data, or a value. */
typedef struct {
    int32_t field, value; /* one of them is -1 */
} lamina_pipeline_source;

typedef struct {
    const lamina_net *net;
    lamina_model *model;             /* NULL: it is elsewhere */
    lamina_pipeline_source *sources; /* for each input */
    int32_t *values;                 /* for each output */
    lamina_slots slots;              /* for each micro-batch on its way: saved, then its forward's sums of metrics */
    double *sums;                    /* room to keep others */
    int64_t window;                  /* micro-batches between forward and backward in this step, at most */
    int64_t forwards, backwards;     /* done in this step */
    bool updated, busy;
} lamina_pipeline_stage;

struct lamina_pipeline {
    lamina_pipeline_options options;
    int32_t count; /* stages in all */
    lamina_pipeline_stage *stages;
    lamina_pipeline_value *values;
    int32_t value_count;
    lamina_net fields; /* inputs that come from data, and metrics; nothing else in it counts */
    lamina_tensor *field_rows;
    lamina_metric *metric_rows;
    int64_t micro_batch, room; /* examples; micro-batches there is memory for */
    lamina_pool *pool;
    bool spins; /* threads wait a little before they sleep */
    /* The step that runs; all of it, and all counts above, under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_uint changes;  /* how often it did */
    bool failed, stopped; /* this step; and all that follow */
    int64_t step, examples, micro_batches;
    const void *const *inputs;
    lamina_error error;
};

/* Is the stage here? */
bool lamina_pipeline_has(const lamina_pipeline *p, int32_t stage);
/* Where the sums of metrics begin in a stage's slot. */
size_t lamina_pipeline_sums(const lamina_pipeline_stage *stage);
/* Memory for so many micro-batches a step. */
lamina_status lamina_pipeline_reserve(lamina_pipeline *p, int64_t micro_batches, lamina_error *e);
/* Micro-batches that stage may have between forward and backward, of so many in a step. */
int64_t lamina_pipeline_window(const lamina_pipeline *p, int32_t stage, int64_t micro_batches);

#endif
