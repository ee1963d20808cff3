/* frontend/network/network.h - the description of a network between the YAML and the IR: private to the frontend.
 *
 * Reading fills it (network.c, objective.c, data.c), where the rules of the catalogue add every shape and
 * parameter. Building turns it into functions (build.c, build_objective.c) and calls the rules once for each one. */
#ifndef FRONTEND_NETWORK_H
#define FRONTEND_NETWORK_H

#include "frontend/catalogue/catalogue.h"
#include "frontend/frontend.h"

typedef struct {
    const char *name;
    src_loc at;
    ir_type type;      /* as the caller passes it */
    ir_type read_type; /* as layers read it: f32 */
    bool scaled;
    double scale;
    bool layer_reads, loss_reads; /* as f32 */
    bool raw_reads;               /* as it is: labels */
    bool failed;                  /* an error was reported: its type is not known */
} fe_input;

typedef struct {
    const char *name;
    src_loc at;
    const fe_loss *loss;
} fe_metric;

typedef struct {
    const char *name;
    const fe_layer *through;
    src_loc at;
    const fe_choice *options;
} fe_stage;

/* Layers that learn by an optimizer of their own. */
typedef struct {
    const char *name;
    const fe_choice *optimizer;
    src_loc at;
} fe_group;

struct fe_network {
    arena *mem;
    const char *path, *name;
    src_loc at;
    int ninputs, nlayers, nlosses, nmetrics, nstages, ngroups;
    fe_input *inputs;
    fe_layer *layers;
    ir_map *named; /* inputs and layers by name: a fe_ref each */
    fe_loss *losses;
    fe_metric *metrics;
    fe_stage *stages;
    /* After an error: sections, inputs and layers may be among those that could not be read; or only layers that are
     * named by their kind and ordinal, since one is of no kind. Nobody complains then that one is missing. */
    bool lost_sections, lost_names, lost_ordinals;
    const fe_choice *optimizer; /* NULL where nothing trains */
    fe_group *groups;
    const fe_option *gradient_clip; /* NULL: none */
    fe_data_set data[3];            /* train, validation, test */
    fe_train train;
    const fe_hierarchy *hierarchy; /* of a whole whose stages learn on their own, else NULL */
};

/* ---- reading ---- */

bool fe_read_data(fe_reader *r, fe_network *n, const fe_yaml *root);
/* The table of a csv or tsv set; keys that it lacks are those of 'above', which may be NULL. NULL after an error. */
const fe_table *fe_read_table(fe_reader *r, const fe_network *n, const fe_yaml *y, const fe_yaml *above);
bool fe_read_train(fe_reader *r, fe_network *n, const fe_yaml *root);
/* 'path' as seen from the current directory, where it is written as seen from the YAML's. */
const char *fe_beside_yaml(fe_reader *r, const char *yaml, const char *path);
/* Losses, metrics and optimizer. */
bool fe_read_objective(fe_reader *r, fe_network *n, const fe_yaml *root);
bool fe_read_losses(fe_reader *r, fe_network *n, const fe_yaml *y);
bool fe_read_metrics(fe_reader *r, fe_network *n, const fe_yaml *y);
/* What argument 'index' of a loss reads, and how: its type, and the input's marks. */
void fe_note_reading(fe_network *n, fe_loss *l, int index);
/* Append a list of layers to n, which has room for them. Their names begin with 'prefix'; the first reads 'above' where
 * it names nothing. */
bool fe_read_layer_list(fe_reader *r, fe_network *n, const fe_yaml *y, const char *prefix, const char *above);
bool fe_read_groups(fe_reader *r, fe_network *n, const fe_yaml *root);
/* Rates of groups are multiples of the net's, which a schedule or a program may change: false where they cannot be. */
bool fe_check_group_rates(fe_reader *r, const fe_network *n);
bool fe_learns(const fe_layer *l); /* has it trainable parameters? */
bool fe_check_inputs_read(fe_reader *r, const fe_network *n);
/* Name, inputs, layers, losses, metrics, optimizer and groups. After errors, what could be read of them. */
fe_network *fe_read_network(fe_reader *r, const fe_yaml *root, const char *path);

/* Warnings about a network that was read without an error. */
void fe_warn(fe_reader *r, const fe_network *n);

/* The name of entry 'index' of a list of kinds: the one given, or the kind without 1d/2d and its ordinal among all
 * entries so called. */
const char *fe_entry_name(fe_reader *r, const fe_choice *const *entries, int index);
/* The layer (among the first 'layers') or input called 'name'. False if there is none, which is an error that is
 * reported here, or if an error was reported where it stands: then what reads it is not looked at. */
bool fe_resolve(fe_reader *r, const fe_network *n, int layers, const char *name, src_loc at, fe_ref *out);
/* Could 'name' be that of a layer or input that could not be read? */
bool fe_may_be_lost(const fe_network *n, const char *name);
ir_type fe_ref_type(const fe_network *n, fe_ref ref);

/* ---- building ---- */

/* A function being built. Values of inputs (raw and as f32) and layers are NULL until they exist. */
typedef struct {
    fe_builder b;
    const fe_network *net;
    ir_node **raw, **inputs, **layers;
} fe_function;

/* What is built from here on is called "<name>.<role>" and comes from 'at'. */
void fe_aim(fe_builder *b, src_loc at, const char *name, const char *role);
void fe_build_rows(const fe_network *n, ir_module *m);
/* What may change while a network learns, and is no part of its hash: learning rates. */
void fe_build_rate(const fe_network *n, ir_module *m);
/* Metric sums of a function, and in train_step the `minimize`. */
void fe_build_objective(fe_function *f);
void fe_declare_metrics(const fe_network *n, ir_module *m); /* their sums, as states */
void fe_metric_rows(const fe_network *n, ir_module *m);

#endif
