/* frontend/catalogue/catalogue.h - what a network is made of: the kinds of layers, losses, optimizers, activations and
 * initialisers, each a row of a table, and what the rules of these rows see of a network.
 *
 * This folder stands on document/ alone. network/ reads a network by these tables and calls their rules: 'shape' and
 * 'check' while it reads, 'build' once for each function of the module. */
#ifndef FRONTEND_CATALOGUE_H
#define FRONTEND_CATALOGUE_H

#include "frontend/document/options.h"
#include "ir/graph/build.h"

typedef struct fe_layer fe_layer;
typedef struct fe_loss fe_loss;

/* The first values of a parameter: constant a; uniform in [a, b); normal with mean a, deviation b; identity matrices
 * times a, one below the other; "data_mean" and its like, of lamina_abi.h: a statistic of the layer's input over the
 * training data, a until it is known. */
typedef struct {
    const char *kind;
    double a, b;
    src_loc at; /* where the YAML asks for it, if it does */
} fe_init;

typedef struct {
    const char *name; /* "dense1.weight" */
    const char *role; /* "weight" */
    bool state;       /* a running statistic, not learned */
    bool frozen;      /* stays as it is, though its layer learns */
    ir_type type;
    fe_init init;
    const char *group; /* that it learns by; NULL: its layer's */
} fe_param;

/* A layer's value or an input's. */
typedef struct {
    bool is_input;
    int index; /* -1: of two that have the same name, which is an error */
} fe_ref;

/* A function being built, as rules see it. */
typedef struct {
    ir_module *m;
    ir_graph *g;
    bool training;
} fe_builder;

/* A row of the layer catalogue. 'shape' checks the inputs, sets l->type and adds the parameters; 'build' appends the
 * layer's graph and returns its value. */
typedef struct {
    fe_kind kind;
    int least_inputs, most_inputs;
    bool (*shape)(fe_reader *r, fe_layer *l);
    ir_node *(*build)(fe_builder *b, const fe_layer *l, ir_node *const *in);
} fe_layer_kind;

struct fe_layer {
    const fe_layer_kind *kind;
    const fe_choice *options;
    const char *name;
    src_loc at;
    int nin;
    fe_ref *in;
    ir_type *in_type;
    ir_type type;
    const void *found; /* what 'shape' found out for 'build', of a type that its family has for this; else NULL */
    int nparams;
    fe_param *param;
    const fe_layer *owner; /* above, whose parameters it uses (`share`); NULL: they are its own */
    bool trainable;        /* false: frozen, its parameters stay as they are */
    const char *group;     /* that learns it by an optimizer of its own; NULL: the net's does */
    const bool *stops;     /* by input: no gradient goes back to it; NULL: to all it does */
    bool is_read;          /* by another layer */
    bool is_output;        /* a result of infer */
    bool failed;           /* an error was reported: its type is not known, and what reads it is not looked at */
};

/* A row of the loss catalogue. The arguments are the kind's first two keys. 'build' gives f32[B]. */
typedef struct {
    fe_kind kind;
    bool (*check)(fe_reader *r, fe_loss *l);
    ir_node *(*build)(fe_builder *b, const fe_loss *l, ir_node *const *in);
    bool classes;        /* labels are class numbers: accuracy has a meaning */
    const char *applies; /* the activation that it applies to its first argument, logits, itself; NULL: none */
} fe_loss_kind;

/* What a loss reads: what the net says, what is true, and, where nin says so, an input that weighs the examples. */
enum { FE_SAID, FE_TRUE, FE_SAMPLE_WEIGHTS, FE_LOSS_INPUTS };

struct fe_loss {
    const fe_loss_kind *kind;
    const fe_choice *options;
    const char *name;
    src_loc at;
    int nin;
    fe_ref in[FE_LOSS_INPUTS];
    ir_type in_type[FE_LOSS_INPUTS];
    bool stops[FE_LOSS_INPUTS]; /* no gradient goes back to this argument */
    bool scaled;                /* the second argument is an input with a scale */
    double weight;
    bool failed; /* an error was reported */
};

/* What is added to a metric's sums: above, of type [B] and then the sums', one for each example, or all of them added
 * up already; and below, [B]; NULL there: 1. */
typedef struct {
    ir_node *above, *below;
} fe_quotient;

/* How a metric is measured: the host makes its value, by a formula of lamina_abi.h, of sums over all examples. */
typedef struct {
    const char *formula, *average; /* as in the metric's row; average NULL: none */
    const char *shared; /* what metrics of one loss that have the same sums call them; NULL: the metric has its own */
    bool counts;        /* the quotient has a sum of its own below, not the number of examples */
    bool evaluated;     /* never while the network learns */
    int rank;           /* of the sums above; 0: it is one */
    int64_t dim[2];
    /* NULL: it is no matter of sums, but of the order of all scores, which evaluate gives. */
    fe_quotient (*build)(fe_builder *b, const fe_choice *c, const fe_loss *l, ir_node *const *in);
} fe_measure;

/* A row of the metric catalogue, of what a loss compares: 'check' looks at it, 'adjust' (or NULL) says of 'measure'
 * what depends on the keys and the loss. */
typedef struct {
    fe_kind kind;
    bool higher_is_better;
    bool (*check)(fe_reader *r, const fe_choice *c, const fe_loss *l);
    void (*adjust)(fe_measure *m, const fe_choice *c, const fe_loss *l);
    fe_measure measure;
} fe_metric_kind;

extern const fe_catalogue fe_layers, fe_losses, fe_metrics, fe_optimizers, fe_rates, fe_activations, fe_initializers,
    fe_regularizers;
extern const fe_kind fe_warmup_keys; /* of every schedule in fe_rates */

/* An activation's graph. */
ir_node *fe_activate(ir_graph *g, const fe_choice *c, ir_node *x);
fe_measure fe_measure_of(const fe_metric_kind *k, const fe_choice *c, const fe_loss *l);
/* A learning rate, a number or a schedule, as the attributes of `row rate`. */
void fe_build_schedule(ir_module *m, ir_row *row, const fe_option *rate);
/* An initialiser as numbers, for a parameter between so many inputs and outputs. */
fe_init fe_resolve_init(const fe_choice *c, double fan_in, double fan_out);

/* Does a regulariser (NULL: none) say anything; and what it says of x, summed over dimension 'first' and up. */
bool fe_is_penalty(const fe_choice *c);
ir_node *fe_penalty(ir_graph *g, const fe_choice *c, ir_node *x, int first);

/* ---- for rules that read ---- */

/* False (and a message) if a tensor is too large to address with comfort. */
bool fe_check_size(fe_reader *r, src_loc at, const char *what, const ir_type *t);
/* "float32 of shape [28, 28]": one example of a tensor, in the YAML's words. */
const char *fe_describe_type(arena *mem, const ir_type *t);

/* ---- for rules that build ---- */

ir_node *fe_use_param(fe_builder *b, const fe_layer *l, const char *role);
/* A state by now: as an earlier use of its layer leaves it, else as it is on entry; and what this use leaves. */
ir_node *fe_use_state(fe_builder *b, const fe_layer *l, const char *role);
void fe_leave_state(fe_builder *b, const fe_layer *l, const char *role, ir_node *value);
/* Row-wise work: reduce the last dimension; spread a value that lacks x's last dimension, or has only it, over x. */
ir_node *fe_reduce_last(ir_graph *g, const char *kind, ir_node *x);
ir_node *fe_spread_rows(ir_graph *g, ir_node *v, const ir_node *x);
ir_node *fe_spread_last(ir_graph *g, ir_node *v, const ir_node *x);
/* x - max - log(sum e^(x - max)) over the last dimension. */
ir_node *fe_log_softmax(ir_graph *g, ir_node *x);
uint32_t fe_stream(const char *path); /* FNV-1a, 32 bits */

#endif
