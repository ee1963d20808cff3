/* frontend/frontend.h - YAML to a description of a network, and from there to a module. */
#ifndef FRONTEND_FRONTEND_H
#define FRONTEND_FRONTEND_H

#include "ir/ir.h"

/* One data set: fields of the network's inputs, each from a file. */
typedef struct {
    const char *input; /* name of the network's input */
    const char *path;  /* made relative to the current directory, from the YAML's */
    src_loc loc;
} fe_data_field;

typedef struct {
    bool present;
    const char *format; /* "idx" */
    fe_data_field *fields;
    int field_count;
    double split; /* validation: the part taken from the end of a shuffled train; 0 where it has its own files */
    src_loc loc;
} fe_data_set;

typedef struct {
    int64_t epochs, batch, seed, max_steps; /* max_steps 0: no limit */
    double checkpoint_minutes;              /* a run saves at the latest after these */
    src_loc loc;
} fe_train;

typedef struct fe_network fe_network; /* layers, losses, metrics, optimizer: private to the frontend */

/* Read and check a YAML file: syntax, keys, values, shapes of every layer. NULL after errors. Everything lives in mem.
 */
fe_network *fe_read(const char *path, arena *mem, diag *d);
/* The same from text; 'path' names it in messages, and data files are looked for beside it. */
fe_network *fe_read_text(const char *content, size_t length, const char *path, arena *mem, diag *d);

const char *fe_name(const fe_network *n);
const fe_data_set *fe_data(const fe_network *n, const char *which); /* "train", "validation", "test" */
const fe_train *fe_train_options(const fe_network *n);
/* How many classes an input's labels name: 10 if it is the labels of a softmax_cross_entropy over 10 logits; 0 if it is
 * not labels. */
int64_t fe_classes(const fe_network *n, const char *input);

/* The module of a network: functions infer, evaluate, train_step (with `minimize`), symbols, rows. NULL after errors.
 */
ir_module *fe_build(const fe_network *n, diag *d);

#endif
