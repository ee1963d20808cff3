/* passes/update/update.h - what the files of optimize_update share: an update that is being written, and the rules of
 * the optimizers. */
#ifndef PASSES_UPDATE_H
#define PASSES_UPDATE_H

#include "ir/graph/build.h"

typedef struct update update;

/* A scalar of f32 that begins as 1 and is multiplied in every step by what follows from an option's value, or from two.
 * Groups in which these are the same share it. */
typedef struct {
    const char *state, *option;
    double fallback;    /* where the row has no such option */
    const char *second; /* option; NULL: none */
    double second_fallback;
} optimizer_power;

typedef struct {
    const char *name;
    const char *const *options;
    const char *moments[3];        /* states: "adam.m/NAME" for each parameter */
    const optimizer_power *powers; /* behind the last one without a state; NULL: none */
    void (*scalars)(update *u);
    ir_node *(*step)(update *u, const ir_symbol *p, ir_node *w, ir_node *g);
} optimizer;

/* Parameters with an optimizer of their own: `row group @trunk {optimizer = sgd, rate = [0.1], ...}`, whose learning
 * rate is 'rate' times that of the call. The first is `row optimizer @adam {...}`, of all other parameters. */
typedef struct {
    const ir_row *row;
    const optimizer *rule;
    /* Scalars of the update that is being written: the learning rate and that times the weight decay (NULL: no decay),
     * which all have, and adam's and nadam's. */
    ir_node *rate, *decay, *alpha, *of_gradient, *eps;
} update_group;

typedef struct {
    update_group *list;
    int count;
} update_groups;

typedef struct {
    ir_symbol *symbol;
    ir_node *value;
    const char *label;
    int64_t stage;
} update_assign;

/* At the end of train_step, or in `update`. */
struct update {
    ir_graph *graph;
    const update_groups *groups;
    update_group *group;    /* of what is being written */
    const ir_row *average;  /* NULL: no parameter has one */
    ir_node *share;         /* of a new value in its average */
    const ir_row *clip;     /* NULL: gradients are not clipped */
    ir_node *clip_factor;   /* that all gradients are multiplied by; NULL: there is none */
    arena *mem;             /* scratch */
    update_assign *assigns; /* to come, in order */
    size_t nassigns;
    ir_map *readers; /* update_read's */
};

/* The optimizer that a row names, its options checked; NULL after an error. */
const optimizer *update_optimizer(const ir_row *row, diag *d);
double update_option(const ir_row *row, const char *name, double fallback);

/* The option of the group that is being written. */
double update_own_option(const update *u, const char *name, double fallback);

/* ---- the rules ---- */

/* Where a gradient is 0, moments only decay, as powers of the betas always do. What is below these is flushed to 0, so
 * that neither a moment nor its product with a learning rate becomes subnormal. A first moment or velocity of 2^-100
 * moves no parameter; a second moment is a square, and its root of 2^-60 still far below any epsilon. */
#define LEAST_MOMENT 0x1p-100
#define LEAST_SQUARE 0x1p-120

/* The group's scalars: its rate, which is all that most rules need; by the others, the bias corrections' too. */
void update_rate(update *u);
void adam_scalars(update *u);
void lamb_scalars(update *u);
void nadam_scalars(update *u);
/* The weight decay's, once the rate is there; and w without what decays of it. */
void update_decay(update *u);
ir_node *update_decayed(const update *u, ir_node *w);

extern const optimizer_power adam_powers[], nadam_powers[];

/* What p becomes, whose value is w and gradient g; the rule's moments are assigned. */
ir_node *sgd_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g);
ir_node *lion_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g);
ir_node *adam_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g);
ir_node *lamb_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g);
ir_node *nadam_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g);
ir_node *rmsprop_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g);
ir_node *adagrad_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g);
ir_node *adadelta_step(update *u, const ir_symbol *p, ir_node *w, ir_node *g);

/* For them: the state of p for this moment; x times a number, and times a scalar. */
ir_symbol *update_moment(update *u, const char *what, const ir_symbol *p, double init);
ir_node *update_scaled(ir_graph *g, ir_node *x, double by);
ir_node *update_times(ir_graph *g, ir_node *scalar, ir_node *x);
/* y = beta y + x, flushed below 'least', assigned later and returned. */
ir_node *update_mean(update *u, ir_symbol *y, double beta, ir_node *x, double least);

/* ---- averages ---- */

/* The step's scalar; and what becomes of the average of p, whose new value is w. */
void update_average_share(update *u, ir_node *step);
void update_average(update *u, const ir_symbol *p, ir_node *w);

/* ---- groups ---- */

/* The module's groups, or none after an error. */
update_groups update_groups_of(const ir_module *m, arena *mem, diag *d);
/* A parameter's group; NULL: its attribute names none. */
update_group *update_group_find(const update_groups *groups, const ir_symbol *p);
/* The name of the state of a group's power, which all groups with the same one share. */
const char *update_power_name(const update_groups *groups, const update_group *g, const optimizer_power *power,
                              arena *mem);

/* The state of that name, made on first use: it starts as 'init' in every element. */
ir_symbol *update_state(ir_module *m, ir_segment s, const char *name, ir_type type, double init, src_loc loc);
ir_symbol *update_gradient(ir_module *m, const ir_symbol *p); /* @gradient/NAME */
/* The node that reads y, or a new one. */
ir_node *update_read(update *u, ir_symbol *y);
/* Assign y at the function's end, after every read, with the label and stage that new nodes have now. */
void update_assign_later(update *u, ir_symbol *y, ir_node *value);

/* ---- clipping ---- */

/* By the norm of all gradients together? NULL: no. Then what each of them is multiplied by. */
bool update_clips_globally(const ir_row *clip);
ir_node *update_clip_factor(ir_graph *g, const ir_row *clip, ir_node *const *gradient, int count);
/* A parameter's gradient as its optimizer is to see it. */
ir_node *update_clipped(const update *u, ir_node *gradient);
/* Of all elements, in an order that no layout changes. */
ir_node *update_sum_of_squares(ir_graph *g, ir_node *x);

/* False after an error: the text has in the way what the update of 'step' needs. */
bool update_check(const ir_graph *step, const update_groups *groups, diag *d);

#endif
