/* runtime/model/model.h - what a model is made of, for the files of the runtime that fill it, read it and save it. */
#ifndef RUNTIME_MODEL_H
#define RUNTIME_MODEL_H

#include "runtime/lamina.h"

enum { LAMINA_LEVELS = 63 }; /* of micro-batches in an int64_t */

/* ---- best.c: what a run has seen of the metrics that it watches (training/watch.c), and its best weights ---- */

/* Of one metric: numbers as a file can hold them. */
typedef struct {
    double best, epoch; /* the best value, and after which epoch (from 1) that was; 0: there is none yet */
    double wait;        /* epochs since, or since the last thing that was done about it */
} lamina_seen;

/* All zero before the first epoch. */
typedef struct {
    lamina_seen stop, plateau;
    double cooldown; /* epochs that do not count */
    double reduced;  /* what the learning rate is multiplied by; 0: nothing yet */
} lamina_watch_seen;

enum { LAMINA_WATCH_NUMBERS = sizeof(lamina_watch_seen) / sizeof(double) };

typedef struct {
    lamina_watch_seen seen;
    void **best;    /* a plain tensor for each that inference reads, NULL for others; NULL: there is no room */
    size_t bytes;   /* of them */
    bool kept;      /* they have been set */
    bool exchanged; /* the model has the best weights, and 'best' the last ones */
} lamina_watch;

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
    lamina_watch watch;
    lamina_numbers *numbers;         /* of metrics that are more than one; NULL: there are none */
    struct lamina_ranking *rankings; /* scores and labels of metrics of their order (ranking.c) */
    void **ranked;              /* by output: where evaluate writes such scores, or NULL; NULL: there are none yet */
    double reduced, least_rate; /* while lamina_fit reduces the rate: by what, and down to where; 0: it does not */
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
/* Put the rate of the step that 'function' takes now into the call; BAD_ARG if it is not known. */
lamina_status lamina_take_rate(lamina_model *m, const char *function, lamina_error *e);
/* Initial values for the tensors from number `first` on. */
lamina_status lamina_initialize_from(lamina_model *m, int32_t first, uint64_t seed, lamina_error *e);

/* ---- best.c ---- */

/* Does inference read the tensor: a parameter, or a running statistic? */
bool lamina_is_for_inference(const lamina_net *net, int32_t tensor);
/* Something other than all zero. */
bool lamina_watch_has_seen(const lamina_watch *w);
/* What so many watches have seen, as a tensor of a file. */
lamina_tensor lamina_watch_row(const char *name, int64_t watches);
/* All that was seen is forgotten, the best weights too. */
void lamina_watch_forget(lamina_model *m);
/* The same where no model has it. */
void lamina_watch_free(lamina_watch *w, const lamina_net *net);
/* Somebody else changes the model's weights: if they were the best ones, the last are of no use any more. */
void lamina_watch_settle(lamina_model *m);
/* The model has it from here on, or has it no more. */
void lamina_watch_take(lamina_model *m, lamina_watch *from);
void lamina_watch_give(lamina_model *m, lamina_watch *to);
/* Room for the best weights, unless there is. */
lamina_status lamina_watch_reserve(lamina_watch *w, const lamina_net *net, lamina_error *e);
lamina_status lamina_best_reserve(lamina_model *m, lamina_error *e);
/* Keep the weights as they are. */
lamina_status lamina_best_keep(lamina_model *m, lamina_error *e);
/* The model has the best weights and the last ones are kept, or the other way round. */
lamina_status lamina_best_exchange(lamina_model *m, lamina_error *e);
/* The rate of a step, reduced if that is so now. */
float lamina_rate_of(const lamina_model *m, int64_t step);

/* ---- accumulate.c ---- */

/* The first level, and room for sums. */
lamina_status lamina_add_accumulator(lamina_model *m, lamina_error *e);
void lamina_free_accumulator(lamina_model *m);
/* Let the call write the gradients of the next micro-batch, and the metrics' sums over it alone. */
lamina_status lamina_begin_micro_batch(lamina_model *m, lamina_error *e);
/* It joins those before it if it was 'done'; if not, it never was. */
void lamina_end_micro_batch(lamina_model *m, bool done);
/* Let update read the sum of all that were gathered, and the metrics have theirs. */
void lamina_combine_micro_batches(lamina_model *m);

/* Make the columns of a matrix, or its rows if these are fewer, orthonormal, then all of it 'gain' times as large. */
void lamina_orthonormalize(float *x, int64_t rows, int64_t columns, double gain);

#endif
