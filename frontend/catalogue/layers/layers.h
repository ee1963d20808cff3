/* frontend/catalogue/layers/layers.h - the tables of layers, a file a family, and what their rules share.
 *
 * A row names the layer as Keras does, lists its keys with types and defaults, and points at two rules beside it:
 * shape_<layer> checks the inputs, infers the output and declares the parameters; build_<layer> writes the layer as a
 * graph of IR operators (one node a statement: C leaves the order of arguments open). A layer made of known operators
 * is added in its family's file and nowhere else; a new family is a line here and one in layers.c. Tensors are
 * [B, ...]; images are NHWC. */
#ifndef FRONTEND_LAYERS_H
#define FRONTEND_LAYERS_H

#include "frontend/catalogue/catalogue.h"

extern const fe_rows fe_dense_layers, fe_reshaping_layers, fe_resizing_layers, fe_elementwise_layers, fe_random_layers,
    fe_convolution_layers, fe_pooling_layers, fe_normalising_layers, fe_statistical_layers, fe_joining_layers;

/* ---- rows ---- */

/* An entry of a list of keys: name, type, default (FE_REQUIRED: none; NULL: absence has a meaning). */
#define KEY(name, type, fallback)                                                                                      \
    {                                                                                                                  \
        name, type, fallback                                                                                           \
    }
/* The keys of what multiplies with a kernel, adds a bias and activates: see fe_add_bias, fe_biased, fe_activated. */
#define KERNEL_KEYS                                                                                                    \
    KEY("use_bias", FE_BOOL, "true"), KEY("activation", FE_ACTIVATION, "linear"),                                      \
        KEY("kernel_initializer", FE_INITIALIZER, "glorot_uniform"), KEY("bias_initializer", FE_INITIALIZER, "zeros"), \
        KEY("kernel_regularizer", FE_REGULARIZER, NULL), KEY("bias_regularizer", FE_REGULARIZER, NULL)

/* How many inputs: least, most. */
#define ONE 1, 1
#define TWO 2, 2
#define SEVERAL 2, 64
/* name, inputs, short key, rules, keys of its own (all layers have name, input, inputs, trainable) */
#define LAYER(name, inputs, short_key, shape, build, ...)                                                              \
    {                                                                                                                  \
        {#name, short_key, {__VA_ARGS__}}, inputs, shape, build                                                        \
    }

/* ---- for shape rules ---- */

ir_type fe_batched_type(int rank, const int64_t *sizes); /* f32[B, sizes] */
ir_type fe_plain_type(int rank, const int64_t *sizes);   /* f32[sizes] */
int64_t fe_last_size(const ir_type *t);

/* Declare a parameter, or a running statistic that begins as 'value'. False if it is too large. */
bool fe_add_param(fe_reader *r, fe_layer *l, const char *role, ir_type type, fe_init init);
bool fe_add_state(fe_reader *r, fe_layer *l, const char *role, ir_type type, double value);
/* One of the training data of the layer's input: "data_mean" and the like; 'value' until they are known. */
bool fe_add_statistic(fe_reader *r, fe_layer *l, const char *role, ir_type type, const char *kind, double value);
/* A bias a unit, where use_bias is true. */
bool fe_add_bias(fe_reader *r, fe_layer *l, int64_t units);
/* What the initialiser of a key says, for so many inputs and outputs. */
fe_init fe_init_of(const fe_layer *l, const char *key, double fan_in, double fan_out);

/* False (and a message) unless the first input is an image, a sequence, a vector, or has a dimension at least. */
bool fe_expect_image(fe_reader *r, const fe_layer *l);
bool fe_expect_sequence(fe_reader *r, const fe_layer *l);
bool fe_expect_vector(fe_reader *r, const fe_layer *l);
bool fe_expect_features(fe_reader *r, const fe_layer *l);
/* A whole rule: the output is as the input. */
bool fe_shape_same(fe_reader *r, fe_layer *l);

/* ---- for build rules ---- */

/* What the keys activation and use_bias ask for. */
ir_node *fe_activated(fe_builder *b, const fe_layer *l, ir_node *x);
ir_node *fe_biased(fe_builder *b, const fe_layer *l, ir_node *x);
/* Elements first .. end - 1 of a dimension. */
ir_node *fe_slice(ir_graph *g, ir_node *x, int dim, int64_t first, int64_t end);

#endif
