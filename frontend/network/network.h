/* frontend/network/network.h - the description of a network between the YAML and the IR: private to the frontend.
 *
 * Reading fills it (network.c, data.c), with every shape and parameter known (layers.c, losses.c); building turns it
 * into functions (build.c), calling the catalogues' build rules once a function. */
#ifndef FRONTEND_NETWORK_H
#define FRONTEND_NETWORK_H

#include "frontend/document/options.h"
#include "frontend/frontend.h"
#include "ir/graph/build.h"

typedef struct fe_layer fe_layer;
typedef struct fe_loss fe_loss;
typedef struct fe_builder fe_builder;

/* The first values of a parameter: constant a; uniform in [a, b); normal with mean a, deviation b. */
typedef struct {
    const char *kind;
    double a, b;
} fe_init;

typedef struct {
    const char *name; /* "dense1.weight" */
    const char *role; /* "weight" */
    bool state;       /* a running statistic, not learned */
    ir_type type;
    fe_init init;
} fe_param;

typedef struct {
    const char *name;
    src_loc at;
    ir_type type;      /* as the caller passes it */
    ir_type read_type; /* as layers read it: f32 */
    bool scaled;
    double scale;
    bool layer_reads, loss_reads; /* as f32 */
    bool raw_reads;               /* as it is: labels */
} fe_input;

/* A layer's value or an input's. */
typedef struct {
    bool is_input;
    int index;
} fe_ref;

typedef struct {
    int64_t size[2], stride[2], low[2], high[2], out[2]; /* rows, columns */
} fe_window;

/* A row of the layer catalogue. 'shape' checks the inputs, sets l->type and adds the parameters; 'build' appends the
 * layer's graph and returns its value. */
typedef struct {
    fe_kind kind;
    int least_inputs, most_inputs;
    bool (*shape)(fe_reader *r, fe_layer *l);
    ir_node *(*build)(fe_builder *b, const fe_layer *l, ir_node *const *in);
} fe_layer_kind;

enum { FE_MAX_PARAMS = 4 };

struct fe_layer {
    const fe_layer_kind *kind;
    const fe_choice *options;
    const char *name;
    src_loc at;
    int nin;
    fe_ref *in;
    ir_type *in_type;
    ir_type type;
    fe_window window; /* convolution and pooling */
    int nparams;
    fe_param param[FE_MAX_PARAMS];
    bool is_read;   /* by another layer */
    bool is_output; /* a result of infer */
};

/* A row of the loss catalogue. The arguments are the kind's first two keys. 'build' gives f32[B]. */
typedef struct {
    fe_kind kind;
    bool (*check)(fe_reader *r, fe_loss *l);
    ir_node *(*build)(fe_builder *b, const fe_loss *l, ir_node *const *in);
    bool classes; /* labels are class numbers: accuracy has a meaning */
} fe_loss_kind;

struct fe_loss {
    const fe_loss_kind *kind;
    const fe_choice *options;
    const char *name;
    src_loc at;
    fe_ref in[2];
    ir_type in_type[2];
    double weight;
};

typedef struct {
    const char *name;
    src_loc at;
    const fe_loss *loss;
} fe_metric;

typedef struct {
    const char *name;
    const fe_layer *through;
    src_loc at;
} fe_stage;

struct fe_network {
    arena *mem;
    const char *path, *name;
    src_loc at;
    int ninputs, nlayers, nlosses, nmetrics, nstages;
    fe_input *inputs;
    fe_layer *layers;
    ir_map *named; /* inputs and layers by name: a fe_ref each */
    fe_loss *losses;
    fe_metric *metrics;
    fe_stage *stages;
    const fe_choice *optimizer; /* NULL where nothing trains */
    fe_data_set data[3];        /* train, validation, test */
    fe_train train;
};

/* ---- reading ---- */

extern const fe_catalogue fe_layers, fe_losses, fe_optimizers;

bool fe_read_data(fe_reader *r, fe_network *n, const fe_yaml *root);
bool fe_read_train(fe_reader *r, fe_network *n, const fe_yaml *root);
/* Losses, metrics and optimizer. */
bool fe_read_objective(fe_reader *r, fe_network *n, const fe_yaml *root);

/* Warnings about a network that was read without an error. */
void fe_warn(fe_reader *r, const fe_network *n);

/* The name of entry 'index' of a list of kinds: the one given, or the kind without 1d/2d and its ordinal among all
 * entries so called. */
const char *fe_entry_name(fe_reader *r, const fe_choice *const *entries, int index);
/* The layer (among the first 'layers') or input called 'name'. */
bool fe_resolve(fe_reader *r, const fe_network *n, int layers, const char *name, src_loc at, fe_ref *out);
ir_type fe_ref_type(const fe_network *n, fe_ref ref);
/* False (and a message) if a tensor is too large to address with comfort. */
bool fe_check_size(fe_reader *r, src_loc at, const char *what, const ir_type *t);
/* "float32 of shape [28, 28]": one example of a tensor, in the YAML's words. */
const char *fe_describe_type(arena *mem, const ir_type *t);
fe_init fe_resolve_init(const fe_choice *c, double fan_in, double fan_out);

/* ---- building ---- */

/* A function being built. Values of inputs (raw and as f32) and layers are NULL until they exist. */
struct fe_builder {
    const fe_network *net;
    ir_module *m;
    ir_graph *g;
    bool training;
    ir_node **raw, **inputs, **layers;
};

ir_node *fe_use_param(fe_builder *b, const fe_layer *l, const char *role);
ir_symbol *fe_param_symbol(fe_builder *b, const fe_layer *l, const char *role);
ir_node *fe_activate(ir_graph *g, const fe_choice *c, ir_node *x);
/* Row-wise work: reduce the last dimension; spread a value that lacks x's last dimension, or has only it, over x. */
ir_node *fe_reduce_last(ir_graph *g, const char *kind, ir_node *x);
ir_node *fe_spread_rows(ir_graph *g, ir_node *v, const ir_node *x);
ir_node *fe_spread_last(ir_graph *g, ir_node *v, const ir_node *x);
uint32_t fe_stream(const char *path); /* FNV-1a, 32 bits */
void fe_build_rows(const fe_network *n, ir_module *m);
/* What may change while a network learns, and is no part of its hash: the learning rate. */
void fe_build_rate(const fe_network *n, ir_module *m);
/* Metric sums of a function, and in train_step the `minimize`. */
void fe_build_objective(fe_builder *b);
void fe_declare_metrics(const fe_network *n, ir_module *m); /* their sums, as states */
void fe_metric_rows(const fe_network *n, ir_module *m);

#endif
