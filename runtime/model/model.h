/* runtime/model/model.h - what a model is made of, for the files of the runtime that fill it, read it and save it. */
#ifndef RUNTIME_MODEL_H
#define RUNTIME_MODEL_H

#include "runtime/lamina.h"

struct lamina_model {
    const lamina_net *net;
    lamina_options options;
    lamina_pool *pool;   /* NULL with one worker */
    void *gemm;          /* OpenBLAS, NULL where the net does not need it */
    lamina_call call;    /* segments, workers: filled once; batch, rate and the like before each call */
    const void **inputs; /* of the piece that runs */
    void **outputs;
    void **tensors; /* for import and export: all NULL between two calls */
    int64_t steps;
    float rate; /* NaN: the schedule's */
    size_t bytes;
};

/* Tensor number `tensor` from or to plain row-major memory of its size. */
lamina_status lamina_import(lamina_model *m, int32_t tensor, const void *plain, lamina_error *e);
lamina_status lamina_export(lamina_model *m, int32_t tensor, void *plain, lamina_error *e);
/* Bytes of the largest parameter or state. */
size_t lamina_largest_tensor(const lamina_net *net);
/* Initial values for the tensors from number `first` on. */
lamina_status lamina_initialize_from(lamina_model *m, int32_t first, uint64_t seed, lamina_error *e);

#endif
