/* frontend/catalogue/layers.c - the layer catalogue: the tables of its families, which stand in layers/. */
#include "frontend/catalogue/layers/layers.h"

static const fe_rows *const tables[] = {&fe_dense_layers,
                                        &fe_reshaping_layers,
                                        &fe_resizing_layers,
                                        &fe_elementwise_layers,
                                        &fe_random_layers,
                                        &fe_convolution_layers,
                                        &fe_pooling_layers,
                                        &fe_normalising_layers,
                                        &fe_statistical_layers,
                                        &fe_joining_layers,
                                        NULL};

const fe_catalogue fe_layers = {"layer",
                                tables,
                                {{"name", FE_NAME, NULL},
                                 {"input", FE_NAME, NULL},
                                 {"inputs", FE_NAMES, NULL},
                                 {"share", FE_NAME, NULL},
                                 {"activity_regularizer", FE_REGULARIZER, NULL},
                                 {"trainable", FE_BOOL, "true"}},
                                NULL};
