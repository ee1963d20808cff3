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
    ir_type type;        /* as the caller passes it */
    ir_type read_type;   /* as layers read it: f32, channels last */
    bool channels_first; /* in what the caller passes */
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
    const fe_metric_kind *kind;
    const fe_choice *options;
} fe_metric;

typedef struct fe_staging fe_staging;

/* Layers of another file among those of a network: what a stage's `net` is needed for (runs.c). */
typedef struct {
    const char *name; /* the stage's: names of the layers begin with it and '_' */
    src_loc at;
    const char *behind;     /* the layer behind which they stand; NULL: behind the run before, or in front of all */
    const fe_network *net;  /* the file, read by itself, with the heads of its stages; NULL after an error */
    const fe_yaml *binding; /* what its inputs are called here; NULL: as there */
    bool *taken;            /* by layer of net: its output needs it */
    int output, count;      /* among the layers of net; how many are taken */
    int first;              /* of them here; -1: they are not here yet */
    int *place;             /* by layer of net: its number here, or -1 */
    fe_ref *bound;          /* by input of net */
    bool *is_bound;
    const fe_staging *file; /* the stages of the file */
} fe_run;

typedef struct {
    const char *name;
    const fe_layer *through;
    src_loc at;
    const fe_choice *options;
    fe_run *run; /* of a stage that is a file of its own; else NULL */
} fe_stage;

/* Layers or parameters that learn in a way of their own. */
typedef struct {
    const char *name;
    const fe_choice *optimizer; /* NULL: the net's */
    src_loc at;
    const fe_option *rate, *decay; /* in place of the optimizer's; NULL: as it says */
    bool decays_all;               /* such a decay is of vectors too */
} fe_group;

struct fe_network {
    arena *mem;
    const char *path, *name;
    src_loc at;
    int ninputs, nlayers, nlosses, nmetrics, nstages, ngroups, nruns;
    fe_run *runs; /* in the order of the stages */
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
    const fe_option *own_rate;  /* in place of the optimizer's; NULL: there is none */
    fe_group *groups;
    const fe_option *gradient_clip; /* the key that says how; NULL: it is not */
    const fe_choice *averaging;     /* of parameters, for inference; NULL: it reads them as they are */
    const fe_weights *weights;      /* to begin with; NULL: none */
    fe_data_set data[3];            /* train, validation, test */
    fe_train train;
    const fe_hierarchy *hierarchy; /* of a whole whose stages learn on their own, else NULL */
};

/* ---- reading ---- */

bool fe_read_data(fe_reader *r, fe_network *n, const fe_yaml *root);
/* A path or a list of them, as they are seen from the current directory. NULL after an error. */
const char **fe_read_paths(fe_reader *r, const fe_network *n, const fe_yaml *y, const char *what, int *count);
/* Is a set of this format a table? */
bool fe_is_table(const char *format);
/* The table of such a set; keys that it lacks are those of 'above', which may be NULL. NULL after an error. */
const fe_table *fe_read_table(fe_reader *r, const fe_network *n, const fe_yaml *y, const fe_yaml *above);
/* What an images set says; keys that it lacks are those of 'above', train's, where that has images too. */
bool fe_read_images(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *y, const fe_yaml *above);
/* The set's own keys, and those of train that it lacks. */
const fe_yaml *fe_with_keys_of(fe_reader *r, const fe_yaml *y, const fe_yaml *above);
bool fe_read_train(fe_reader *r, fe_network *n, const fe_yaml *root);
/* The section `weights`; and what it or a stage's key says, NULL after an error. Without `into`, names here begin with
 * 'into'. */
bool fe_read_start(fe_reader *r, fe_network *n, const fe_yaml *root);
fe_weights *fe_read_weights(fe_reader *r, const char *path, const fe_yaml *y, const char *into);
/* Is it a key that says which records a set has, or what training makes of them? */
bool fe_is_records_key(const char *word);
/* `only`, `take`, `shuffle` and `augment` of a data set; the other keys, or NULL after an error. */
const fe_yaml *fe_read_records(fe_reader *r, const fe_network *n, fe_data_set *set, const fe_yaml *y);
/* What its value says; NULL after an error. */
const fe_augment *fe_read_augment(fe_reader *r, const fe_network *n, const fe_yaml *y);
/* 'path' as seen from the current directory, where it is written as seen from the YAML's. */
const char *fe_beside_yaml(fe_reader *r, const char *yaml, const char *path);
/* Losses, metrics and optimizer. */
bool fe_read_objective(fe_reader *r, fe_network *n, const fe_yaml *root);
bool fe_read_losses(fe_reader *r, fe_network *n, const fe_yaml *y);
bool fe_read_metrics(fe_reader *r, fe_network *n, const fe_yaml *y);
/* A metric of another loss of the same arguments' types, which 'at' asks for. */
fe_metric fe_metric_at(const fe_metric *m, src_loc at, const fe_loss *l);
/* What argument 'index' of a loss reads, and how: its type, and the input's marks. */
void fe_note_reading(fe_network *n, fe_loss *l, int index);
/* False (and a message) unless the section `blocks` is sound. */
bool fe_check_blocks(fe_reader *r, const fe_yaml *blocks);
/* The list with all that `repeat` and blocks (NULL: there are none) stand for in their place. NULL after an error. */
const fe_yaml *fe_expand_layers(fe_reader *r, const fe_yaml *layers, const fe_yaml *blocks);
/* Append a list of layers to n, which has room for them. Their names begin with 'prefix'; the first reads 'above' where
 * it names nothing. */
bool fe_read_layer_list(fe_reader *r, fe_network *n, const fe_yaml *y, const char *prefix, const char *above);
/* ---- layers that share parameters ---- */

/* Does the layer whose parameters are shared say this for all that share them? */
bool fe_is_owners_key(const fe_kind *kind, const char *name);
/* The value of the key `share` of an entry of `layers`, or NULL. */
const fe_yaml *fe_shared_name(const fe_yaml *entry);
/* Such an entry, with the keys of the layer named there; NULL: an error was reported of it. */
const fe_choice *fe_read_sharing(fe_reader *r, const fe_yaml *entry, const fe_layer *owner);
/* Once its shapes are known: let it use its owner's parameters. False (and a message) if they have other shapes. */
bool fe_share_params(fe_reader *r, fe_layer *l);

bool fe_read_groups(fe_reader *r, fe_network *n, const fe_yaml *root);
/* `gradient_clip` and `averaging` of a section `train`. */
bool fe_read_clip(fe_reader *r, fe_network *n, const fe_choice *train);
bool fe_read_averaging(fe_reader *r, fe_network *n, const fe_choice *train);
/* `early_stopping` and `reduce_on_plateau` of a section `train`; whether a network and the nets of its stages have what
 * they watch. */
bool fe_read_watches(fe_reader *r, const fe_choice *train, fe_train *t);
bool fe_check_watches(fe_reader *r, const fe_network *n);
/* Rates of groups are multiples of the net's, which a schedule or a program may change: false where they cannot be. */
bool fe_check_group_rates(fe_reader *r, const fe_network *n);
/* The section as a mapping of patterns. */
bool fe_read_patterns(fe_reader *r, fe_network *n, const fe_yaml *y);
const fe_choice *fe_group_optimizer(const fe_network *n, const fe_group *g);
double fe_group_multiple(const fe_network *n, const fe_group *g); /* of the net's rate */
/* Does something of the layer learn by the group of that name? */
bool fe_learns_by(const fe_layer *l, const char *group);
bool fe_learns_param(const fe_layer *l, int param);
bool fe_learns(const fe_layer *l); /* has it trainable parameters? */
bool fe_check_trainable(fe_reader *r, const fe_network *n, src_loc at);
bool fe_check_inputs_read(fe_reader *r, const fe_network *n);
/* Name, inputs, layers, with those of other files among them, losses, metrics, optimizer and groups. After errors, what
 * could be read of them. */
fe_network *fe_read_network(fe_reader *r, const fe_yaml *root, const char *path, fe_run *runs, int count);
/* Give a name to layer number 'index', which has it already; and to a run's output the stage's. */
bool fe_take_name(fe_reader *r, fe_network *n, const fe_layer *l, int index);
bool fe_name_output(fe_reader *r, fe_network *n, const char *name, src_loc at, int index);

/* ---- layers of other files ---- */

int64_t fe_run_layers(const fe_network *n); /* how many all runs bring */
/* Append the runs that stand behind the layer of that name; NULL: in front of all. */
bool fe_place_runs(fe_reader *r, fe_network *n, const char *behind);
/* The run whose first layer this is, or NULL. */
fe_run *fe_run_at(const fe_network *n, int layer);
/* Let the layers of a run that is in its place read what they should. */
bool fe_bind_run(fe_reader *r, fe_network *n, fe_run *run);
/* What an input of the file is here, among inputs and the first 'layers'. */
bool fe_bind(fe_reader *r, fe_network *n, fe_run *run, int input, int layers, fe_ref *out);
/* And what any value of it is that stands here. */
bool fe_run_ref(fe_reader *r, fe_network *n, fe_run *run, fe_ref from, int layers, fe_ref *out);
/* The error that a layer is not here which a stage of the file reads of another one; false. */
bool fe_not_shared(fe_reader *r, const fe_run *run, int layer);
/* One more layer of the file, at the end. */
bool fe_append_run_layer(fe_reader *r, fe_network *n, fe_run *run, int index);

/* Does the layer end in this activation? */
bool fe_ends_in(const fe_layer *l, const char *activation);
/* Does the loss apply an activation to its first argument itself? */
bool fe_reads_logits(const fe_loss *l);
/* Warnings about a network that was read without an error. */
void fe_warn(fe_reader *r, const fe_network *n);

/* How much of a kind its entries are called by: all but the 2d of conv2d and its like. */
size_t fe_kind_length(const char *kind);
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

/* A function being built. Values of inputs (raw and as f32) and layers, and what these are penalised by, are NULL until
 * they exist. */
typedef struct {
    fe_builder b;
    const fe_network *net;
    ir_node **raw, **inputs, **layers, **penalties;
} fe_function;

/* What is built from here on is called "<name>.<role>" and comes from 'at'. */
void fe_aim(fe_builder *b, src_loc at, const char *name, const char *role);
void fe_build_rows(const fe_network *n, ir_module *m);
/* What may change while a network learns, and is no part of its hash: learning rates. */
void fe_build_rate(const fe_network *n, ir_module *m);
/* Metric sums of a function, and in train_step the `minimize`. */
void fe_build_objective(fe_function *f);
/* What the regularisers of a layer that is built say, summed over the batch: in train_step it is minimised; and what
 * all of them say, or NULL. */
void fe_build_penalties(fe_function *f, int index);
ir_node *fe_all_penalties(fe_function *f);
bool fe_has_penalties(const fe_network *n);
void fe_declare_metrics(const fe_network *n, ir_module *m); /* their sums, as states */
void fe_metric_rows(const fe_network *n, ir_module *m);

#endif
