/* frontend/catalogue/losses/losses.h - the tables of losses, a file a family, and what their rules share.
 *
 * A row names the loss, lists its keys, of which the first two are what the net says and what is true, and points at
 * two rules: check_<loss> looks at their types, build_<loss> writes the loss as a graph, f32[B], one number an example
 * (one node a statement: C leaves the order of arguments open). Each is written so that its gradient, made operator by
 * operator, is as exact as its value; where that cannot be, it is a composite. */
#ifndef FRONTEND_LOSSES_H
#define FRONTEND_LOSSES_H

#include "frontend/catalogue/catalogue.h"

extern const fe_rows fe_value_losses, fe_class_losses, fe_truth_losses;

/* name, first and second argument, do labels number classes, what it applies to the first itself, rules, keys of its
 * own (all losses have weight, name, sample_weights) */
#define LOSS(name, of, against, classes, applies, check, build, ...)                                                   \
    {                                                                                                                  \
        {#name, NULL, {{of, FE_NAME, NULL}, {against, FE_NAME, NULL}, __VA_ARGS__}}, check, build, classes, applies    \
    }
/* No more keys. */
#define NONE                                                                                                           \
    {                                                                                                                  \
        NULL, FE_NO_KEY, NULL                                                                                          \
    }
/* The key that fe_smoothed reads. */
#define SMOOTHED                                                                                                       \
    {                                                                                                                  \
        "label_smoothing", FE_UNIT, "0"                                                                                \
    }

/* ---- for check rules ---- */

/* False, and a message where argument 'index' is named. */
bool fe_wrong_argument(fe_reader *r, const fe_loss *l, int index, const char *expected);
/* Whole rules: both are of one type; and have a last dimension, of classes or features. */
bool fe_check_equal(fe_reader *r, fe_loss *l);
bool fe_check_vectors(fe_reader *r, fe_loss *l);

/* ---- for build rules ---- */

/* The sum, and the mean, over an example's elements: f32[B]. */
ir_node *fe_sum_each(ir_graph *g, ir_node *x);
ir_node *fe_mean_each(ir_graph *g, ir_node *x);
/* x by a number. */
ir_node *fe_scaled(ir_graph *g, ir_node *x, double by);
/* Targets t, each one of 'of' alternatives, as label_smoothing s says: (1 - s) t + s / of. */
ir_node *fe_smoothed(ir_graph *g, const fe_loss *l, ir_node *t, double of);

#endif
