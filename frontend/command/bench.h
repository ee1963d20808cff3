/* frontend/command/bench.h - what a benchmark measured. */
#ifndef FRONTEND_CMD_BENCH_H
#define FRONTEND_CMD_BENCH_H

#include "frontend/command/cmd.h"
#include "frontend/command/measure.h"

/* Something that a program calls: train_step or infer. A staged step is several functions of the module, in turn. */
typedef struct {
    const char *name;
    const char **parts;
    int32_t part_count;
    double median, least; /* seconds of one call */
    int64_t examples;     /* of one call */
    double operations;    /* likewise */
} bench_function;

typedef struct {
    const char *function, *label, *kind;
    double seconds, share; /* medians, added up over the kernel's phases; of all kernels of the function */
    double operations, bytes;
    const char *bound; /* "compute", "L2", "L3" or "memory": what it can reach at most, */
    double reached;    /* and how much of that it does: 1 is all */
} bench_kernel;

/* Training on the YAML's own data. */
typedef struct {
    bool asked;
    int64_t epochs; /* whole ones to measure; 0: as many steps as the time allows */
    lamina_dataset *train, *validation;
    uint64_t seed;
    int64_t batch;        /* examples of a step: several calls, if the YAML accumulates them */
    int64_t steps;        /* of an epoch */
    cmd_samples measured; /* the epochs that were done, unless only their steps were asked for */
} bench_training;

/* What times, calls and reports share. */
typedef struct {
    arena *mem;
    diag *d;
    const volatile int32_t *stop; /* raised by Ctrl-C: measuring ends, nothing is printed */
    const char *path;
    const cmd_build *build;
    ir_module *module;   /* planned */
    fe_network *network; /* NULL for an IR text */
    int64_t batch, threads;
    double seconds; /* that each measurement takes about */
    bench_training data;
    const void **inputs;
    void **outputs;
    double compile_seconds;
    int64_t library_bytes;
    const lamina_net *net;
    bench_function functions[2];
    int32_t function_count;
    cmd_peaks peaks;
    bench_kernel *kernels; /* of all functions, in order */
    int32_t kernel_count;
} bench;

/* Inputs and room for outputs, of b->net at b->batch: the first records of the data, where it is open, else random. */
void bench_data(bench *b);
/* A model of a library, ready to be called; parallel_for may be NULL. False after an error in b->d. */
bool bench_model(bench *b, const lamina_net *net, lamina_parallel_for *parallel_for, void *host, lamina_model **out);
/* Read the data of b->network; b->batch is at most all of it then. False after an error in b->d. */
bool bench_training_open(bench *b);
void bench_training_close(bench *b);
/* Train on it as lamina_fit does, from the start values on: the times of steps go to f, of epochs to b->data. False
 * after an error in b->d, and when b->stop was raised. */
bool bench_training_run(bench *b, lamina_model *m, bench_function *f);
/* One call of b->functions[i]. */
bool bench_call(bench *b, lamina_model *m, const bench_function *f);

/* A library whose kernels are launched one by one, and the times of the launches. */
typedef struct {
    bench *b;
    lamina_library *library;
    lamina_model *model;
    lamina_pool *pool; /* NULL with one thread */
    be_profile profile;
    const be_launch **launch; /* of the function that runs, in the order of calls */
    cmd_samples *samples;     /* one a launch */
    int32_t count, at;
} bench_profile;

/* Compile a planned module without chains, which must live until it is closed, and load it; b->net and b->threads are
 * set. False after an error in b->d; bench_profile_close is due in any case. */
bool bench_profile_open(bench *b, const ir_module *m, bench_profile *p);
void bench_profile_close(bench_profile *p);
/* Call f for so many seconds, 5 times at least: p->launch and p->samples are then f's. False after an error, and when
 * b->stop was raised. */
bool bench_profile_run(bench_profile *p, const bench_function *f, double seconds);

/* Peaks, and every kernel by itself. False after an error in b->d. */
bool bench_roofline(bench *b);

/* All that was measured: kernels and epochs where there are any. */
void bench_print_text(const bench *b);
void bench_print_json(const bench *b);

#endif
