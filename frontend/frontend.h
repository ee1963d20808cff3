/* frontend/frontend.h - YAML to a description of a network, and from there to a module. */
#ifndef FRONTEND_FRONTEND_H
#define FRONTEND_FRONTEND_H

#include "ir/ir.h"

/* Files for an input: paths, or patterns of the shell's, made relative to the current directory, from the YAML's. */
typedef struct {
    const char *input; /* name of the network's input */
    const char **paths;
    int path_count;
    src_loc loc;
} fe_data_field;

/* A column of a table, or several in a row, as lamina.h has them. */
typedef struct {
    const char *name, *input;
    src_loc at;
    const char **categories; /* words; NULL: none, or sorted */
    int category_count;
    bool sorted;
    const char *fill; /* NULL: nothing */
    bool clipped;
    double least, most;
} fe_column;

/* Files of records whose columns are the inputs. */
typedef struct {
    const char *format; /* "csv", "tsv", "jsonl", "libsvm" */
    const char **paths; /* as a field's */
    int path_count;
    src_loc at; /* of the paths */
    char delimiter;
    bool header, drop_missing, drop_duplicates, keep_missing;
    const char **missing; /* NULL: the usual texts */
    int missing_count;
    fe_column *columns; /* in the order of an input's elements */
    int count;
} fe_table;

/* Pictures in folders. The set's fields say what of a picture an input holds: their path is "pixels" or "class". */
typedef struct {
    const char *path;   /* the folder that holds one for each class; without a class pictures lie anywhere in it */
    const char **files; /* in place of the path: pictures, or folders of them; NULL: there are none */
    int file_count;
    src_loc at; /* of the path */
    bool by_class;
    const char **classes; /* folders in the order of their numbers; NULL: all of the next, sorted */
    int class_count;
    const char *classes_of; /* a folder; NULL: the path's own */
    int resize;             /* 0: all have the input's size; 1: bilinear; 2: nearest */
} fe_images;

/* Which of its files' records a data set has. */
typedef struct {
    src_loc at;
    const char *input; /* of classes; NULL: all records */
    int64_t *values;   /* that stay, and are numbered in this order from 0 */
    int count;
    int64_t take;        /* of those the first ones; 0: all */
    int64_t window;      /* of a shuffle that is nearly in order; 0: of all records */
    const char *balance; /* the input whose classes training draws equally often; NULL: none */
} fe_records;

/* How records of the training data are changed at random: lamina_augment_options, but for what a word says. */
typedef struct {
    src_loc at;
    const char **images, **masks;
    int image_count, mask_count;
    bool flip_horizontal, flip_vertical;
    int fill; /* 0: constant; 1: nearest; 2: reflect */
    int64_t crop, cutout;
    double shift, rotate, zoom, shear, fill_value, brightness, contrast, saturation, noise, mixup;
} fe_augment;

/* One data set: files for all inputs, or a part of train. */
typedef struct {
    bool present;
    const char *format; /* "idx", "npy", "npz", "raw", "images", or a table's; NULL: a part of train */
    fe_data_field *fields;
    int field_count;
    const fe_table *table;     /* NULL: it is none */
    const fe_images *images;   /* of images, else NULL */
    const fe_records *records; /* NULL: all */
    const fe_augment *augment; /* NULL: training takes records as they are */
    double split;              /* the part; 0 where it has its own files */
    const char *stratify;      /* the input by whose classes it is split; NULL: none */
    int64_t split_seed;        /* -1: the run's */
    int64_t folds, fold;       /* the part is fold number 'fold' of so many; 0: it is no fold */
    src_loc loc;
} fe_data_set;

/* A metric that a run watches from epoch to epoch, and what it then does. */
typedef struct {
    bool present;
    src_loc loc;
    const char *metric; /* "validation.loss" */
    int mode;           /* 0: as the metric says; 1: lower is better; 2: higher is */
    int64_t patience;
    double min_delta;
    bool restore_best;      /* early stopping */
    double factor, minimum; /* of the learning rate on a plateau */
    int64_t cooldown;
} fe_watch;

typedef struct {
    int64_t epochs, batch, seed, max_steps; /* max_steps 0: no limit */
    int64_t accumulate;                     /* batches in a step */
    double checkpoint_minutes;              /* a run saves at the latest after these */
    int64_t checkpoint_steps;               /* and after so many steps; 0: there is no such limit */
    int64_t keep;                           /* checkpoints of epochs, besides the last one */
    bool keep_best;                         /* the weights of the best epoch, in a file of their own */
    fe_watch early_stopping, plateau;
    src_loc loc;
} fe_train;

typedef struct fe_network fe_network; /* layers, losses, metrics, optimizer: private to the frontend */

/* A file of another network to begin with; of the names there those that begin with 'from' count, and mean those here
 * that begin with 'to'. */
typedef struct {
    const char *path; /* made relative to the current directory, from the YAML's */
    src_loc at;
    const char *from, *to;
    bool strict; /* what does not match is an error */
} fe_weights;

/* Read and check a YAML file: syntax, keys, values, shapes of every layer. NULL after errors: each mistake gives one,
 * and they come in the order of their places, 20 at most. 'd' holds none before. Everything lives in mem. */
fe_network *fe_read(const char *path, arena *mem, diag *d);
/* The same with single values replaced: "train.epochs=3", "layers.dense1.units=64", as frontend/network/changes.c has
 * them, NULL behind the last; 'changes' may be NULL. An error in one has `--set` and the change for its place. */
fe_network *fe_read_changed(const char *path, const char *const *changes, arena *mem, diag *d);
/* As fe_read, from text; 'path' names it in messages, and data files are looked for beside it. */
fe_network *fe_read_text(const char *content, size_t length, const char *path, arena *mem, diag *d);

const char *fe_name(const fe_network *n);
const fe_data_set *fe_data(const fe_network *n, const char *which); /* "train", "validation", "test" */
/* The network's inputs in order: name, type with the batch; NULL behind the last. */
const char *fe_input_at(const fe_network *n, int index, ir_type *type);
const fe_train *fe_train_options(const fe_network *n);
const fe_weights *fe_weights_of(const fe_network *n); /* NULL: it begins with its initialisers' values */
/* How many classes an input's labels name: 10 if it is the labels of a softmax_cross_entropy over 10 logits; 0 if it is
 * not labels. */
int64_t fe_classes(const fe_network *n, const char *input);
/* The input with the labels of a metric's loss; NULL if there is none, or no such metric. */
const char *fe_metric_labels(const fe_network *n, const char *metric);

/* Does inference read the input of that number? */
bool fe_is_inferred_from(const fe_network *n, int input);

/* What an output means, as the loss that measures it says. */
typedef struct {
    const char
        *applies;       /* "softmax" or "sigmoid": it is logits, and that makes probabilities; NULL: take it as it is */
    int64_t classes;    /* its elements are one for each of so many classes; 0: they are not */
    const char *target; /* the input that says the right class; NULL: none does */
    const char **names; /* of the classes, words or numbers, some perhaps NULL; NULL where there is no target */
    bool sorted;        /* they are the sorted words of the training data's files, which these names lack */
} fe_answer;

fe_answer fe_answer_of(const fe_network *n, const char *output);

/* ---- networks whose stages learn on their own ---- */

/* One net of a hierarchy: a stage, its teacher, all stages at once, or the combination of their answers. */
typedef struct {
    const char *name; /* the stage's; "stages" for all at once; "combine" */
    src_loc at;
    fe_network *net;           /* an ordinary description; some of its inputs are outputs of parts above */
    bool frozen;               /* has inference alone */
    const fe_weights *weights; /* NULL: none of its own */
    /* Another file's network, from whose output later parts learn: it is frozen, has weights, and its output NAME is
     * their input PART_NAME. Its tensors are its own. */
    bool teacher;
} fe_part;

typedef enum { FE_SEQUENTIAL, FE_SIMULTANEOUS, FE_ALTERNATING } fe_schedule;

typedef struct {
    fe_schedule schedule;
    const char *cache; /* auto memory disk none: of the values at boundaries */
    int64_t rounds;    /* alternating: how often each stage's epochs are done */
    int count;
    fe_part *parts; /* in the order in which they learn */
    int stage_count;
    const char **stages; /* names of the YAML's stages, which parts are of, or all in one */
    bool learns_combination;
    int64_t fine_tune_epochs; /* of the whole, after its parts; 0: none */
    fe_network *scores; /* measures the combination, the combination of the stages up to one, and without one: metrics
                           "whole_loss", "upto_STAGE_loss", "without_STAGE_loss" ...; NULL: no loss is the whole's */
    fe_network *whole;
} fe_hierarchy;

/* NULL where all layers learn together. The network itself is the whole: what ships. */
const fe_hierarchy *fe_stages(const fe_network *n);

/* Is a stage a file of its own? Then *at says where the first one stands. */
bool fe_has_file_stage(const fe_network *n, src_loc *at);

/* A layer as the YAML lists it. */
typedef struct {
    const char *name, *kind;
    src_loc at;
    ir_type type;                   /* of its value; the first dimension is the batch */
    int64_t parameters, statistics; /* elements that are learned, and that are kept beside them */
} fe_layer_info;

int fe_layer_count(const fe_network *n);
fe_layer_info fe_layer_at(const fe_network *n, int index);

/* The module of a network: functions infer, evaluate, train_step (with `minimize`), symbols, rows. NULL after errors.
 */
ir_module *fe_build(const fe_network *n, diag *d);

#endif
