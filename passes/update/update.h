/* passes/update/update.h - what the files of optimize_update share: an update that is being written, and the rules of
 * the optimizers. */
#ifndef PASSES_UPDATE_H
#define PASSES_UPDATE_H

#include "ir/graph/build.h"

typedef struct update update;

/* A scalar of f32 that begins as 1 and is multiplied by the option's value in every step. */
typedef struct {
    const char *state, *option;
    double fallback; /* where the row has no such option */
} optimizer_power;

typedef struct {
    const char *name;
    const char *const *options;
    const char *moments[2];        /* states: "adam.m/NAME" for each parameter */
    const optimizer_power *powers; /* two; NULL: none */
    void (*scalars)(update *u);
    ir_node *(*step)(update *u, const ir_symbol *p, ir_node *w, ir_node *g);
} optimizer;

/* Parameters with an optimizer of their own: `row group @trunk {optimizer = sgd, rate = [0.1], ...}`, whose learning
 * rate is 'rate' times that of the call. The first is `row optimizer @adam {...}`, of all other parameters. */
typedef struct {
    const ir_row *row;
    const optimizer *rule;
    ir_node *rate, *alpha, *eps; /* scalars of the update that is being written */
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
    arena *mem;             /* scratch */
    update_assign *assigns; /* to come, in order */
    size_t nassigns;
    ir_map *readers; /* update_read's */
};

/* The optimizer that a row names, its options checked; NULL after an error. */
const optimizer *update_optimizer(const ir_row *row, diag *d);
double update_option(const ir_row *row, const char *name, double fallback);

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

/* Of gradients that are clipped: what each is multiplied by, and one that is. */
ir_node *update_clip_factor(ir_graph *g, const ir_row *row, ir_node *const *gradient, int count);
ir_node *update_clipped(ir_graph *g, ir_node *gradient, ir_node *factor);

/* False after an error: the text has in the way what the update of 'step' needs. */
bool update_check(const ir_graph *step, const update_groups *groups, diag *d);

#endif
