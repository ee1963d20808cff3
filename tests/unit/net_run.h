/* tests/unit/net_run.h - compile a network and call it through the ABI alone, its memory fenced by guard pages. */
#ifndef TESTS_NET_RUN_H
#define TESTS_NET_RUN_H

#include "ir/ir.h"
#include "runtime/lamina.h"

typedef struct {
    const char *cpu;       /* NULL: native */
    const char *partition; /* NULL: as the YAML says */
    const char *balance;   /* what stages share; NULL: time */
    const char *part;      /* of a net whose stages learn on their own; NULL: the whole */
    int64_t stages, max_batch;
    int64_t l2; /* bytes of the target's cache; 0: as the CPU has it */
    const char *disabled;
    const char *gemm;                                /* openblas, or NULL */
    const char *convolution;                         /* direct or winograd, or NULL */
    bool (*hook)(ir_module *m, void *user, diag *d); /* after select, or NULL */
    void *hook_user;
    text *dumps; /* the module's text after each pass goes here, or NULL */
} net_variant;

enum { NET_RUN_TENSORS = 16 };
/* The memory of a call; the last two are what infer and evaluate get in place of the whole. */
enum { PARAMS, STATE, GRADIENTS, SAVED, WORKSPACE, INFERENCE_STATE, INFERENCE_WORKSPACE, NET_RUN_SEGMENTS };

typedef struct {
    lamina_library *library;
    const lamina_net *net;
    lamina_call call;
    lamina_pool *pool;
    void *segment[NET_RUN_SEGMENTS];
    size_t segment_bytes[NET_RUN_SEGMENTS];
    const void *inputs[NET_RUN_TENSORS];
    size_t input_bytes[NET_RUN_TENSORS];
    void *outputs[NET_RUN_TENSORS];
    size_t output_bytes[NET_RUN_TENSORS];
} net_run;

/* The module of a YAML file after all passes of a variant; NULL with messages on stderr. */
ir_module *net_module(const char *yaml, const net_variant *v);
/* Compile, load and allocate for 'workers'; false with messages on stderr. */
bool net_open(net_run *r, const char *yaml, const net_variant *v, int64_t workers);
bool net_open_module(net_run *r, const ir_module *m, int64_t workers);
/* Run on another number of workers from now on, at most as many as it was opened for. */
bool net_set_workers(net_run *r, int64_t workers);
void net_close(net_run *r);
/* Start values by the descriptor's initialisers. */
void net_initialize(net_run *r, uint64_t seed);
/* Inputs for a batch by fill_input, and room for the outputs, all ended by guard pages; they last until the next call
 * or net_close. classes[i] is of input i; NULL means ten for all. */
void net_set_batch(net_run *r, int64_t batch, const int64_t *classes, uint32_t seed);
/* One training step through the stage functions if the net has them, else train_step. Returns the call's code. */
int32_t net_step(net_run *r, int64_t batch);
/* The same step as gradients, then update: one micro-batch. */
int32_t net_gradients_update(net_run *r, int64_t batch);
/* infer or evaluate, with the memory that inference has and no other. */
int32_t net_infer(net_run *r, int64_t batch);
int32_t net_evaluate(net_run *r, int64_t batch);
/* All parameters and states, plain, in one block of *bytes; the caller frees it. */
void *net_export(net_run *r, size_t *bytes);

/* Memory whose last byte is right before a page that faults, its start aligned to 64; ended by guarded_free. */
void *guarded_new(size_t bytes, size_t *mapped);
void guarded_free(void *p, size_t bytes);

/* The seed of an input's values in a step. */
uint32_t input_seed(uint32_t step, int32_t input);
/* Reproducible bytes: images, labels below 'classes', or floats in -1..1, as the input's dtype asks. */
void fill_input(const lamina_tensor *t, void *data, int64_t count, int64_t classes, uint32_t seed);

#endif
