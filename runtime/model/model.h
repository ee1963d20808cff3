/* runtime/model/model.h - what a model is made of, for the files of the runtime that fill it, read it and save it. */
#ifndef RUNTIME_MODEL_H
#define RUNTIME_MODEL_H

#include "runtime/lamina.h"

enum { LAMINA_LEVELS = 63 }; /* of micro-batches in an int64_t */

struct lamina_model {
    const lamina_net *net;
    lamina_options options;
    lamina_sizes sizes;
    lamina_pool *pool;   /* NULL with one worker */
    void *gemm;          /* OpenBLAS, NULL where the net does not need it */
    lamina_call call;    /* segments, workers: filled once; batch, rate and the like before each call */
    const void **inputs; /* of the piece that runs */
    void **outputs;
    void **tensors;             /* for import and export: all NULL between two calls */
    bool *missing;              /* statistics that the weights file which was loaded last lacks */
    void *level[LAMINA_LEVELS]; /* gradients and sums of micro-batches, see accumulate.c; the first is always there */
    int64_t gathered;           /* micro-batches in them */
    double *totals;             /* the metrics' sums while a micro-batch runs */
    int64_t steps;
    float rate;          /* NaN: the schedule's */
    int64_t epoch_steps; /* 0: not known */
    size_t bytes;
};

/* What a net needs of its host, LAMINA_NEEDS_*; nothing where it is older than the question. */
uint64_t lamina_net_needs(const lamina_net *net);
/* Is the tensor a running statistic: a state that inference reads, and no metric's sum? */
bool lamina_is_statistic(const lamina_net *net, int32_t tensor);
/* UNSUPPORTED unless the net's learning rate is one that this runtime knows. */
lamina_status lamina_rate_check(const lamina_net *net, lamina_error *e);
/* BAD_ARG for a model that was made for inference, in the name of the function that trains. */
lamina_status lamina_need_training(const lamina_model *m, const char *function, lamina_error *e);
/* Tensor number `tensor`, which the model holds, from or to plain row-major memory of its size. */
lamina_status lamina_import(lamina_model *m, int32_t tensor, const void *plain, lamina_error *e);
lamina_status lamina_export(lamina_model *m, int32_t tensor, void *plain, lamina_error *e);
/* Bytes of the largest parameter or state of a net, or of an array of tensors. */
size_t lamina_largest_tensor(const lamina_net *net);
size_t lamina_largest_of(const lamina_tensor *tensors, int32_t count);
/* Call a function of the net's with m->call; 'what' names it in errors. */
lamina_status lamina_run(lamina_model *m, lamina_function *function, const char *what, lamina_error *e);
/* The update of a step whose micro-batches were gathered, at the rate in m->call. */
lamina_status lamina_run_update(lamina_model *m, lamina_error *e);
/* Initial values for the tensors from number `first` on. */
lamina_status lamina_initialize_from(lamina_model *m, int32_t first, uint64_t seed, lamina_error *e);

/* ---- accumulate.c ---- */

/* The two sums of every metric, in the state: f64 scalars, whose resident form is the plain one. */
double *lamina_metric_sum(const lamina_model *m, int32_t index);
double *lamina_metric_count(const lamina_model *m, int32_t index);
/* All of them: how many, and between the state and memory for as many. */
int32_t lamina_sum_count(const lamina_model *m);
void lamina_read_sums(const lamina_model *m, double *out);
void lamina_write_sums(lamina_model *m, const double *from);
/* The first level, and room for sums. */
lamina_status lamina_add_accumulator(lamina_model *m, lamina_error *e);
void lamina_free_accumulator(lamina_model *m);
/* Let the call write the gradients of the next micro-batch, and the metrics' sums over it alone. */
lamina_status lamina_begin_micro_batch(lamina_model *m, lamina_error *e);
/* It joins those before it if it was 'done'; if not, it never was. */
void lamina_end_micro_batch(lamina_model *m, bool done);
/* Let update read the sum of all that were gathered, and the metrics have theirs. */
void lamina_combine_micro_batches(lamina_model *m);

#endif
