/* runtime/lamina.h - train, evaluate and run compiled networks from C or C++.
 *
 *     #include "fashion_mlp.h"                   generated beside the library
 *     #include "lamina.h"
 *     int main(void)
 *     {
 *         lamina_error e;
 *         lamina_model *m = NULL;
 *         lamina_dataset *d = NULL;
 *         const lamina_net *net = fashion_mlp_query(LAMINA_ABI_MAJOR);
 *         const lamina_fit_options options = {.epochs = 5, .batch = 128};
 *         if (lamina_model_new(net, NULL, &m, &e) || lamina_initialize(m, 1, &e) ||
 *             lamina_dataset_new(net, &d, &e) || lamina_dataset_add_idx(d, "image", "images.gz", &e) ||
 *             lamina_dataset_add_idx(d, "label", "labels.gz", &e) || lamina_fit(m, d, &options, NULL, &e) ||
 *             lamina_save_weights(m, "weights.safetensors", &e))
 *             fprintf(stderr, "%s\n", e.text);
 *         lamina_dataset_free(d);
 *         lamina_model_free(m);
 *     }
 *
 * Every call that can fail returns a status, LAMINA_OK being 0, and writes what went wrong to the lamina_error given
 * last, which may be NULL. Any other pointer that is NULL where nothing says that it may be is BAD_ARG. Nothing exits,
 * prints (the progress bar apart) or keeps global state. A `_new` gives an object to the caller, who ends it with
 * `_free` (NULL is allowed); on failure `*out` is NULL. One thread at a time may use an object; different objects are
 * independent. A child of fork() may use its parent's objects, but has none of their threads: it works on its own
 * alone, with the same bits. Floating-point traps must be off, as they are unless a program calls feenableexcept:
 * generated code computes lanes that nobody reads, whose exceptions mean nothing. */
#ifndef LAMINA_H
#define LAMINA_H

#include "lamina_abi.h" /* beside this file, in the tree and where it is installed */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---- */

typedef enum lamina_status {
    LAMINA_OK,
    LAMINA_BAD_ARG,     /* the caller's mistake */
    LAMINA_NO_MEMORY,   /* or no thread */
    LAMINA_IO,          /* the operating system refused */
    LAMINA_BAD_FILE,    /* a file that is not what it should be */
    LAMINA_UNSUPPORTED, /* compiled for another version of Lamina or another processor */
    LAMINA_NOT_FINITE,  /* the loss became infinite or NaN */
    LAMINA_INTERRUPTED  /* a stop or cancel flag was raised */
} lamina_status;

typedef struct lamina_error {
    lamina_status status;
    char text[1024]; /* one line: the file or name, what was expected, what was found */
} lamina_error;

/* ---- compiled networks ---- */

typedef struct lamina_library lamina_library; /* a compiled network loaded from a .so */

/* Load a shared object that `lamina compile` made, and check it with lamina_net_check. One that was cut short, of which
 * a bit changed (strip apart, which takes the checksum away), or that is no library for this machine, is BAD_FILE.
 * Loading runs the constructors of a file, so it must be one that you trust. */
lamina_status lamina_library_open(const char *path, lamina_library **out, lamina_error *e);
/* The network, lent: it lives as long as the library. */
const lamina_net *lamina_library_net(const lamina_library *l);
/* Models of the library's network must be freed before. */
void lamina_library_free(lamina_library *l);

/* UNSUPPORTED unless this runtime can drive 'net' (NULL is what NAME_query returns for another version) and this
 * processor can run its code. lamina_model_new asks this too. */
lamina_status lamina_net_check(const lamina_net *net, lamina_error *e);
/* The number of the input, output or tensor (parameters, then states) of that name, or -1. */
int32_t lamina_net_input(const lamina_net *net, const char *name);
int32_t lamina_net_output(const lamina_net *net, const char *name);
int32_t lamina_net_tensor(const lamina_net *net, const char *name);
/* The learning rate that the network's schedule has at a step, counted from 0. Where it counts in epochs 'epoch_steps'
 * is how many steps one has, and the rate is NaN if that is not known (0). LAMINA_RATE_CONSTANT says the formulas. */
float lamina_net_rate(const lamina_net *net, int64_t step, int64_t epoch_steps);
/* Bytes that a model has of each segment, 'worker' for each of its workers. */
typedef struct lamina_sizes {
    uint64_t params, state, gradients, saved, workspace, worker;
} lamina_sizes;

/* Of a model that trains, or of one that has 'inference' alone. They differ in state and workspace only if the library
 * says so, as those of ABI 1.3 and later do. */
lamina_sizes lamina_net_sizes(const lamina_net *net, bool inference);
/* Bytes of one element of a LAMINA_F32 ... type, 0 for an unknown one; and its name, as "f32". */
size_t lamina_dtype_bytes(int32_t dtype);
const char *lamina_dtype_name(int32_t dtype);

/* ---- workers ---- */

typedef struct lamina_pool lamina_pool; /* threads that share the tasks of parallel loops with the caller */

/* 'workers' threads in all, the caller being one of them. A dedicated pool is for a program that has the machine to
 * itself: it pins each thread, the caller too, to a processor and lets idle threads spin for long. Others sleep after
 * 50 us and are never pinned. */
lamina_status lamina_pool_new(int64_t workers, bool dedicated, lamina_pool **out, lamina_error *e);
/* Call it from the thread that called _new: it gives that thread its old processors back. */
void lamina_pool_free(lamina_pool *p);
/* A lamina_parallel_for whose host is a pool, or NULL for a plain loop. Tasks run with the caller's rounding and flush
 * modes. A loop begun while another one runs in the same pool runs on its own thread alone. */
void lamina_pool_run(void *pool, lamina_task *task, void *context, int64_t tasks);
/* Processors that this process may use, at least 1. */
int64_t lamina_processors(void);

/* ---- models ---- */

typedef struct lamina_model lamina_model; /* one network's parameters, optimizer state and buffers */

/* All zero is a good default. */
typedef struct lamina_options {
    int64_t workers;                   /* threads, 0 being one; results have the same bits with any number */
    bool dedicated;                    /* as of lamina_pool_new */
    bool staged;                       /* train through the stage functions of a net that has them */
    const volatile int32_t *cancel;    /* lamina_infer gives up between two kernels once this is not 0; may be NULL */
    lamina_parallel_for *parallel_for; /* the program's own loop for 'workers' threads; NULL: a pool of the model's */
    void *host;                        /* passed to parallel_for */
    bool inference;                    /* memory to infer and evaluate only: what trains gives BAD_ARG */
} lamina_options;

/* Make a model: every buffer that training needs, or else inference, allocated now (steps of many micro-batches:
 * lamina_reserve). 'net' is borrowed and must outlive the model, 'options' (NULL: all zero) is copied. States begin at
 * their initial values with seed 0; parameters are zero until lamina_initialize, lamina_load_weights or
 * lamina_set_tensor. */
lamina_status lamina_model_new(const lamina_net *net, const lamina_options *options, lamina_model **out,
                               lamina_error *e);
void lamina_model_free(lamina_model *m);
const lamina_net *lamina_model_net(const lamina_model *m);
/* What the model holds: all segments, in bytes. */
size_t lamina_model_bytes(const lamina_model *m);
/* Does the model hold the parameter or state of that number? One for inference has no states that only training uses;
 * initialising and loading pass them over, and to ask for one is BAD_ARG. */
bool lamina_model_holds(const lamina_model *m, int32_t tensor);

/* Begin anew: every parameter and state as the network's initialisers say. The values depend on the seed, the tensor's
 * name and the element only. */
lamina_status lamina_initialize(lamina_model *m, uint64_t seed, lamina_error *e);
/* The values lamina_initialize gives one tensor: t->bytes of them, row-major. */
void lamina_initial_values(const lamina_tensor *t, uint64_t seed, void *dst);

/* Copy a parameter or state in or out, plain row-major; BAD_ARG if 'bytes' is not the tensor's size. */
lamina_status lamina_get_tensor(lamina_model *m, const char *name, void *dst, size_t bytes, lamina_error *e);
lamina_status lamina_set_tensor(lamina_model *m, const char *name, const void *src, size_t bytes, lamina_error *e);

/* Copy every parameter and state that both models hold, by name, and the number of steps taken: between a whole network
 * and its stages. BAD_ARG, and nothing copied, if their types differ. */
lamina_status lamina_copy_tensors(lamina_model *to, lamina_model *from, lamina_error *e);

/* 'inputs' has a pointer for each of the net's inputs, in the net's order, to 'count' examples one after the other, of
 * the input's own dtype. Any count from 1: more than max_batch are fed in pieces. */

/* Write each output (a pointer for each, as with inputs). Labels may be NULL here. INTERRUPTED after a cancel. */
lamina_status lamina_infer(lamina_model *m, const void *const *inputs, int64_t count, void *const *outputs,
                           lamina_error *e);
/* Add these examples to the metric sums, with dropout and the like off. It takes memory where a network has a metric of
 * the order of all scores, as AUC: for a score (8 bytes) and a label (4) of each class, and 16 bytes an example (or
 * class of one) to sort them, until the model is freed. */
lamina_status lamina_evaluate(lamina_model *m, const void *const *inputs, int64_t count, lamina_error *e);
/* One step of the optimizer on the mean gradient of these examples; adds to the metric sums too. More than max_batch
 * examples are micro-batches of max_batch, the last one of what is left, and one update. */
lamina_status lamina_train_step(lamina_model *m, const void *const *inputs, int64_t count, lamina_error *e);
/* The two halves of a step. Gradients of 'count' <= max_batch examples, times loss_scale, for each micro-batch 0, 1,
 * ... in order; 0 begins anew. lamina_update then takes the step with their sum, and adds to the metric sums.
 * Gradients, and the sums of a step's metrics, combine as neighbours: 0+1, 2+3, ..., then the sums of two, an odd last
 * one passing up unchanged, until one is left. That takes log2(n) + 1 gradients of memory for n micro-batches, and the
 * same bits wherever a power of two of neighbours is added up. */
lamina_status lamina_gradients(lamina_model *m, const void *const *inputs, int64_t count, int64_t micro_batch,
                               float loss_scale, lamina_error *e);
lamina_status lamina_update(lamina_model *m, lamina_error *e);
/* Memory for steps of so many micro-batches, beforehand: no call allocates any but the first of more micro-batches than
 * there ever was room for. lamina_fit does this itself. */
lamina_status lamina_reserve(lamina_model *m, int64_t micro_batches, lamina_error *e);

/* Steps taken since lamina_initialize; a checkpoint restores it. */
int64_t lamina_steps(const lamina_model *m);
/* Use this rate in place of the network's schedule; NaN goes back to the schedule. Where groups of layers have rates of
 * their own, those follow: they are multiples of this one. */
void lamina_set_learning_rate(lamina_model *m, float rate);
/* The rate of the next step; NaN where it takes lamina_set_epoch_steps to know it. */
float lamina_learning_rate(const lamina_model *m);
/* How many steps an epoch has, for schedules that count in epochs. lamina_fit says it itself; a program that takes the
 * steps says it before the first one (until then a step is BAD_ARG), or sets its own rates. */
void lamina_set_epoch_steps(lamina_model *m, int64_t steps);

/* Metric 'index' of the net over all examples since the last reset; NaN before the first, and for a bad index. Of one
 * that is more numbers than one (below) it is their one-number form: of each class the mean of those that are numbers,
 * as 'average: macro' would have it; of a confusion matrix the share on its diagonal. Some metrics are measured by
 * lamina_evaluate alone and NaN after training steps (LAMINA_METRIC_CONFUSION_MATRIX and what follows it). */
double lamina_metric_value(const lamina_model *m, int32_t index);
void lamina_reset_metrics(lamina_model *m);

/* What a metric is besides that one number. Rank 0: nothing; 1: a number for each class; 2: a row for each true class,
 * a column for each that is said. 'at' holds them row-major, NaN where nothing is to divide by; NULL: not measured. */
typedef struct lamina_numbers {
    int32_t rank;
    int64_t classes;
    const double *at;
} lamina_numbers;

/* For each metric of the net its numbers, lent until the next call for this model; NULL if no metric has any. */
const lamina_numbers *lamina_metric_numbers(lamina_model *m);

/* ---- files ---- */

/* What inference reads, parameters and running statistics, as a safetensors file: plain row-major tensors by name, the
 * file's checksum among the metadata. Of a net that averages its parameters it has the averages by the parameters'
 * names (they are states "average/NAME", which infer and evaluate read). Equal tensors give equal files. The file is
 * replaced whole or, on an error, not at all. */
lamina_status lamina_save_weights(lamina_model *m, const char *path, lamina_error *e);
/* The file must have every parameter and nothing unknown; states it has are taken too, others stay as they are, but an
 * average that it lacks is the parameter. All is checked before the model changes; the checksum only where
 * lamina_save_weights wrote the file, since other programs write none. */
lamina_status lamina_load_weights(lamina_model *m, const char *path, lamina_error *e);
/* Tensor 'i', from 0, of those running statistics that the file loaded last lacks, as other programs' files may: what
 * the model infers then may be far from what the file's network does. NULL: there are no more. */
const char *lamina_missing_statistic(const lamina_model *m, int32_t i);

/* Transfer: a tensor that only the model or only the file has, or that both have with different shapes. Lent for the
 * call. */
typedef struct lamina_mismatch {
    const char *name;         /* the model's, or the file's where the model has none */
    const char *here, *there; /* "F32[784, 10]": in the model, and in the file; NULL: it has none */
} lamina_mismatch;

typedef void lamina_mismatch_function(void *user, const lamina_mismatch *m);

/* All zero is a good default. */
typedef struct lamina_match_options {
    const char *from,
        *to;     /* a name in the file that begins with 'from' means the model's with 'to' in its place, and no
                              other name means any; NULL is "": names that are equal */
    bool strict; /* what does not match is BAD_FILE */
    lamina_mismatch_function *report; /* is told all that does not, before anything changes; may be NULL */
    void *user;                       /* passed to report */
} lamina_match_options;

/* Take over what inference reads of another network's weights file or checkpoint, of stages too: each parameter and
 * running statistic that the file has by name and shape; the others stay. BAD_FILE if none is. */
lamina_status lamina_load_matching(lamina_model *m, const char *path, const lamina_match_options *o, lamina_error *e);

/* Where a run stands. */
typedef struct lamina_checkpoint {
    int64_t epoch, step; /* whole epochs done; steps done in the next one */
    int64_t batch;       /* examples in a step */
    uint64_t seed;       /* of the run: shuffling */
    uint64_t data;       /* lamina_dataset_fingerprint of the training data */
} lamina_checkpoint;

/* Parameters, all states, what the run has seen of metrics that it watches, and the place in it, as one safetensors
 * file; written as lamina_save_weights does. A
 * model for inference neither saves nor loads one; lamina_load_weights takes what it needs of a checkpoint. */
lamina_status lamina_save_checkpoint(lamina_model *m, const lamina_checkpoint *c, const char *path, lamina_error *e);
/* Load one. BAD_FILE if a bit of it changed, if it is of another graph (but any partition), or if batch, seed or data
 * differ from those in *expected; the message names which. */
lamina_status lamina_load_checkpoint(lamina_model *m, const char *path, const lamina_checkpoint *expected,
                                     lamina_checkpoint *out, lamina_error *e);

/* ---- data ---- */

typedef struct lamina_dataset lamina_dataset; /* records for a network's inputs, in memory */

/* An empty data set for the inputs of 'net', which is borrowed. */
lamina_status lamina_dataset_new(const lamina_net *net, lamina_dataset **out, lamina_error *e);
void lamina_dataset_free(lamina_dataset *d);
/* Fill the input 'name' from an IDX file, plain or gzip. Its records must have the input's shape (dimensions of size 1
 * do not matter). Integers are converted where every value fits, and to float where every value is exact; f32 and f64
 * to each other by rounding. All inputs must have equally many records. */
lamina_status lamina_dataset_add_idx(lamina_dataset *d, const char *name, const char *path, lamina_error *e);
/* The same from NumPy's .npy file, plain or gzip: booleans, integers and reals of either byte order, in C order. */
lamina_status lamina_dataset_add_npy(lamina_dataset *d, const char *name, const char *path, lamina_error *e);
/* The same from a file that holds records of the input's own dtype, in this machine's byte order, and nothing else. */
lamina_status lamina_dataset_add_raw(lamina_dataset *d, const char *name, const char *path, lamina_error *e);
/* The same from several files of such a format, whose records come one after the other. Plain files from 64 MB on whose
 * elements are of the input's type, or convert to it, are mapped and not read; they must stay as they are while the
 * data set lives, and what of them is in memory is the system's to decide. */
typedef enum lamina_file_format {
    LAMINA_FILE_IDX,
    LAMINA_FILE_NPY,
    LAMINA_FILE_RAW,
    LAMINA_FILE_NPZ /* numpy.savez, savez_compressed: paths are "FILE:KEY", or FILE where it has one array */
} lamina_file_format;
lamina_status lamina_dataset_add_files(lamina_dataset *d, const char *name, lamina_file_format format,
                                       const char *const *paths, int32_t count, lamina_error *e);
/* The same from memory, copied: 'count' records of the input's own dtype. */
lamina_status lamina_dataset_add(lamina_dataset *d, const char *name, const void *records, int64_t count,
                                 lamina_error *e);
/* BAD_FILE, naming file and record, unless all values of an integer input are in 0 .. classes - 1. */
lamina_status lamina_dataset_check_labels(const lamina_dataset *d, const char *name, int64_t classes, lamina_error *e);
/* Move 'fraction' of the records, chosen by the seed, to a new data set; both share the memory. */
lamina_status lamina_dataset_split(lamina_dataset *d, double fraction, uint64_t seed, lamina_dataset **out,
                                   lamina_error *e);
/* The same with each class of an input of whole numbers from 0 to 65535, of one element, in both parts as it is in the
 * whole, up to a record. */
lamina_status lamina_dataset_split_classes(lamina_dataset *d, const char *name, double fraction, uint64_t seed,
                                           lamina_dataset **out, lamina_error *e);
/* Move fold number 'fold', from 0, of 'folds' to a new data set: each record is in one fold, and they are equally large
 * up to a record. With 'name' each has as much of each class of that input, up to a record, else NULL. Data sets of the
 * same records and seed have the same folds. */
lamina_status lamina_dataset_fold(lamina_dataset *d, int64_t folds, int64_t fold, const char *name, uint64_t seed,
                                  lamina_dataset **out, lamina_error *e);
/* Keep the records whose value of the integer input 'name', of one element, is among these, 256 at most; it becomes its
 * number in the list, from 0. BAD_FILE if no record has one of them; BAD_ARG of a data set that was split. */
lamina_status lamina_dataset_select(lamina_dataset *d, const char *name, const int64_t *values, int32_t count,
                                    lamina_error *e);
/* Keep the first 'count' records; BAD_ARG if there are fewer. */
lamina_status lamina_dataset_take(lamina_dataset *d, int64_t count, lamina_error *e);
/* Training draws an epoch's records nearly in the order in which they lie: each is one of the next 'window' records, or
 * of those that were passed over before; 0: of all. Files that are larger than memory are then read from front to end.
 * By seed and epoch, as all orders. */
lamina_status lamina_dataset_set_window(lamina_dataset *d, int64_t window, lamina_error *e);
/* Training draws as many records of each class of the integer input 'name' an epoch, up to one; as many in all as
 * there are. Of a class with many not all come, of one with few some do more than once, others in each epoch, by seed
 * and epoch. What is split from the data set, before or after, is as it was. */
lamina_status lamina_dataset_set_balance(lamina_dataset *d, const char *name, lamina_error *e);
int64_t lamina_dataset_count(const lamina_dataset *d);
/* Record 'i' of input number 'input', lent; NULL where there is none. */
const void *lamina_dataset_record(const lamina_dataset *d, int32_t input, int64_t i);
/* A number that changes with any byte or the order of the records. */
uint64_t lamina_dataset_fingerprint(const lamina_dataset *d);

/* ---- data changed at random ---- */

/* What stands where a picture was moved away: a value; the edge's pixel; or the picture mirrored, "c b a | a b c". */
typedef enum lamina_fill { LAMINA_FILL_CONSTANT, LAMINA_FILL_NEAREST, LAMINA_FILL_REFLECT } lamina_fill;

/* How records are changed at random while a network trains on them. All zero changes nothing. Each number is drawn
 * anew for each record of each epoch, uniformly from the range that is said. */
typedef struct lamina_augment_options {
    /* Inputs of uint8 or float32 and shape [rows, columns] or [rows, columns, channels], all of the same rows and
     * columns, which are changed alike; NULL: the only input of such a shape. */
    const char *const *images;
    int32_t image_count;
    /* Inputs of any type that are moved with them, by the nearest pixel, and not changed otherwise: for each pixel of
     * the image its class. */
    const char *const *masks;
    int32_t mask_count;
    /* Where pixels go; between pixels of an image bilinear. 0: not done. */
    bool flip_horizontal, flip_vertical; /* one time in two */
    int64_t crop;  /* whole pixels: the picture with so many more on each side, cut to its size at random */
    double shift;  /* of rows and of columns, -s .. s: pixels from 1 on, below it a part of the size */
    double rotate; /* degrees, -r .. r, about the centre */
    double zoom;   /* size times 1 - z .. 1 + z */
    double shear;  /* degrees, -s .. s: columns go with rows by its tangent */
    lamina_fill fill;
    double fill_value;
    /* What becomes of values, in this order. Those of uint8 end within 0 .. 255, rounded. */
    double brightness; /* times 1 - b .. 1 + b */
    double contrast;   /* distances from the mean of the picture, as a grey one, times 1 - c .. 1 + c */
    double saturation; /* of three channels, red, green, blue: distances from grey times 1 - s .. 1 + s */
    double noise;      /* standard deviation of normal numbers that are added */
    int64_t cutout;    /* side of a square about any pixel that becomes fill_value (DeVries and Taylor 2017) */
    /* Above 0: the record becomes w times itself and 1 - w times another one, as augmented; w has the Beta distribution
     * of mixup, mixup (Zhang et al. 2018). So do all float32 inputs, such as targets: there may be no other ones. */
    double mixup;
} lamina_augment_options;

/* From now on lamina_fit trains on records so changed. What is evaluated, adapted to, split off or looked at is not.
 * The numbers depend on the run's seed, the epoch and the record's place in it alone, so results have the same bits for
 * any number of workers, any max_batch, and after an interruption. 'options' are copied; a second call replaces them,
 * NULL ends it. Stages that learn on their own refuse such data. BAD_ARG names what does not fit. */
lamina_status lamina_dataset_augment(lamina_dataset *d, const lamina_augment_options *options, lamina_error *e);
/* To look at: record 'i' as it is at place 'i' of an epoch, which is where it stands if the order is kept. 'records'
 * has a pointer for each input of the net to room for one record, or NULL. */
lamina_status lamina_dataset_augmented(const lamina_dataset *d, uint64_t seed, int64_t epoch, int64_t i,
                                       void *const *records, lamina_error *e);

/* ---- data from text ---- */

/* A column of a table, or several: what they mean. An input's record is its columns one after the other, in the
 * order in which they are listed. A column of words has categories: an integer input holds a word's number in their
 * list, from 0; a real one an element for each category, 1 for the record's own and 0 for the others. Every other
 * column holds a number, one element. */
typedef struct lamina_table_column {
    /* In the header, or the column's number from 1; "a..b": all from a to b. Of JSON a key, or a key, a dot and a name
     * within its value, where arrays have an index from 0; "px.0..px.63": all that count up so. Of LIBSVM "label",
     * or an index as the file has it; "1..784": all these, which are 0 where a record has none. */
    const char *name;
    const char *input;             /* of the network */
    const char *const *categories; /* the words, in the order of their numbers; NULL: numbers, or sorted */
    int32_t category_count;
    bool sorted;      /* the categories are the files' own words, by their bytes */
    const char *fill; /* what a missing value is read as; NULL: it stays missing */
    bool clipped;     /* numbers beyond these two become them */
    double least, most;
} lamina_table_column;

/* What a file is: values separated by a delimiter, as RFC 4180 has them; or JSON lines, an object a line; or the
 * sparse lines of LIBSVM and SVMlight, "label index:value ...". */
typedef enum { LAMINA_CSV, LAMINA_JSON_LINES, LAMINA_LIBSVM } lamina_table_format;

/* All zero, but for the columns, is a good default. */
typedef struct lamina_table_options {
    lamina_table_format format;
    const lamina_table_column *columns;
    int32_t column_count;
    char delimiter; /* of CSV; 0: a comma */
    bool no_header; /* of CSV: the first line is a record like all others */
    /* Texts that mean that a value is missing; NULL: nothing, NA and NaN. Of JSON it also is where it is null, or there
     * is no such key. Then one of these: leave such records out;
     * keep them with NaN, and without a category, which integer inputs cannot; neither: it is an error. */
    const char *const *missing;
    int32_t missing_count;
    bool drop_missing, keep_missing;
    bool drop_duplicates; /* of records that are alike in all inputs, keep the first */
} lamina_table_options;

/* What became of a file's records. */
typedef struct lamina_table_report {
    int64_t records;             /* in the files */
    int64_t missing, duplicates; /* records left out for that */
    int64_t filled, clipped;     /* values changed in the records that stay */
    int64_t kept_missing;        /* values kept as NaN or without a category */
} lamina_table_report;

/* Fill inputs from the columns of 'count' files, plain or gzip, one after the other; CSV files all begin with the same
 * header. Texts are UTF-8, or any other bytes without a 0 but in JSON. Files are read twice, first to count, through a
 * buffer of up to 5 MB: no more memory is taken than the records need, for one record of JSON, and 16 to 32 bytes a
 * record to find duplicates. Errors name file, line and place in the line. 'report' may be NULL. */
lamina_status lamina_dataset_add_table(lamina_dataset *d, const char *const *paths, int32_t count,
                                       const lamina_table_options *o, lamina_table_report *report, lamina_error *e);
/* The name of element 'i' of a record of a real input that was filled so, "island=Biscoe" if it is a category's; of an
 * integer input of one element, that of category 'i'. Lent; NULL where there is none. */
const char *lamina_dataset_name(const lamina_dataset *d, int32_t input, int64_t i);

/* ---- training ---- */

typedef enum lamina_event { LAMINA_EVENT_STEP, LAMINA_EVENT_EPOCH } lamina_event;

/* What lamina_fit tells after each step and each epoch; lent for the call. */
typedef struct lamina_report {
    lamina_event event;
    int64_t epoch, epochs; /* this one, from 1, and how many */
    int64_t step, steps;   /* in this epoch */
    int64_t total_steps;   /* of the model */
    int64_t records;       /* in the training data */
    int64_t examples;      /* trained on in this epoch */
    double seconds;        /* spent training in this epoch, by this call */
    double total_seconds;  /* since lamina_fit began */
    double learning_rate;  /* of the last step */
    int32_t metric_count;
    const lamina_metric *metrics;
    const double *train;      /* a value for each metric, over this epoch */
    const double *validation; /* the same over the validation data after an EPOCH, else NULL */
    int64_t examples_before;  /* of 'examples', those that an earlier call trained on */
    lamina_checkpoint at;     /* where the run stands */
    double reduced_to; /* after an EPOCH at which 'plateau' reduced the learning rate: that of the next step; else 0 */
    const char *stopped; /* after an EPOCH with which early stopping ends the run: why, on one line; else NULL */
    int64_t best_epoch;  /* with early stopping, after an EPOCH: that of the best value, from 1; 0: none */
    /* After an EPOCH, for each metric what it is besides its value; NULL elsewhere, and if no metric is more. */
    const lamina_numbers *train_numbers, *validation_numbers;
} lamina_report;

/* It may save: between two steps a model is sound, and lamina_save_checkpoint(m, &r->at, ...) is where lamina_fit goes
 * on from after lamina_load_checkpoint, with first_epoch and first_step, to the same bits. */

typedef void lamina_report_function(void *user, const lamina_report *r);

/* Told the examples of a step before it is taken, lent for the call; the model may be read meanwhile. */
typedef void lamina_batch_function(void *user, const void *const *inputs, int64_t count);

typedef enum lamina_mode {
    LAMINA_MODE_AUTO, /* as the metric says */
    LAMINA_MODE_MIN,  /* lower is better */
    LAMINA_MODE_MAX
} lamina_mode;

/* A metric that is looked at after each epoch: does it improve, to less than its best so far - min_delta, or to more
 * than that + min_delta? NaN never does. */
typedef struct lamina_monitor {
    const char *metric; /* "train.NAME" or "validation.NAME"; NULL: "validation.loss" */
    lamina_mode mode;
    int64_t patience; /* so many epochs in a row without an improvement, and something is done; 0: nothing ever is */
    double min_delta;
} lamina_monitor;

/* The run ends early, as by Keras' EarlyStopping. With restore_best a run that ends, early or not, leaves the model
 * with the weights of its best epoch. Meanwhile they are kept beside the model's, and in checkpoints; one
 * that is saved after the end still has the last weights for a run that goes on from it, as with more epochs. */
typedef struct lamina_early_stopping {
    lamina_monitor monitor;
    bool restore_best; /* parameters and running statistics */
} lamina_early_stopping;

/* The learning rate is multiplied by 'factor', as by Keras' ReduceLROnPlateau: whatever a schedule or
 * lamina_set_learning_rate makes of it, for the rest of the run, but not below 'minimum'. Then 'cooldown' epochs count
 * for nothing. */
typedef struct lamina_plateau {
    lamina_monitor monitor;
    double factor; /* below 1; 0: 0.1 */
    double minimum;
    int64_t cooldown;
} lamina_plateau;

/* All zero means: one epoch in batches of max_batch, shuffled with seed 0. */
typedef struct lamina_fit_options {
    int64_t epochs, batch;            /* 0: 1 and max_batch; a larger batch accumulates gradients */
    int64_t max_steps;                /* of this call; 0: no limit */
    uint64_t seed;                    /* of the shuffling */
    bool keep_order;                  /* no shuffling */
    int64_t first_epoch, first_step;  /* epochs done before, and steps of the next: where a checkpoint stood */
    const lamina_dataset *validation; /* evaluated after each epoch; may be NULL */
    lamina_report_function *report;   /* may be NULL */
    void *user;                       /* passed to report */
    const volatile int32_t *stop;     /* not 0: stop after the step that runs; may be NULL */
    lamina_early_stopping early_stopping;
    lamina_plateau plateau;
    lamina_batch_function *before; /* with 'user'; may be NULL */
} lamina_fit_options;

/* Give those states that are statistics of the training data (of layers `normalization`) the values of this data, which
 * should be the training part alone. Between lamina_initialize and the first step; a weights file and a checkpoint hold
 * them from there on. Nothing where a network has none. Without this call such a layer leaves its input as it is. */
lamina_status lamina_adapt(lamina_model *m, const lamina_dataset *d, lamina_error *e);
/* Train over a data set that has every input. The last, smaller batch of an epoch is never dropped. If out is not NULL
 * it is told where training stopped, ready for lamina_save_checkpoint. NOT_FINITE at the first step whose loss is not
 * finite; if that step's examples hold a NaN or an infinity, the text names file, input and record (from 0) of the
 * first. INTERRUPTED if stopped by the flag: the model is then sound, between two steps. */
lamina_status lamina_fit(lamina_model *m, const lamina_dataset *d, const lamina_fit_options *o, lamina_checkpoint *out,
                         lamina_error *e);
/* Reset the metrics, evaluate the whole data set and write each metric's value to 'values' (NULL: ask for them with
 * lamina_metric_value). */
lamina_status lamina_evaluate_dataset(lamina_model *m, const lamina_dataset *d, double *values, lamina_error *e);

/* ---- stages that learn on their own ---- */

/* Hierarchical learning: no gradient crosses from one stage to another. Each stage is a compiled network, whose inputs
 * are fields of the data or outputs, by name, of earlier stages' infer; it learns by its own loss and optimizer. One
 * more network is the whole, which has all layers. Tensors of layers go from network to network by name:
 *
 *     lamina_stages *s = NULL;
 *     const lamina_stage_options stages[] = {{.name = "features", .net = features, .fit = {.epochs = 3}},
 *                                            {.name = "classifier", .net = classifier, .fit = {.epochs = 5}}};
 *     if (lamina_stages_new(whole, stages, 2, NULL, &s, &e) || lamina_stages_initialize(s, 1, &e) ||
 *         lamina_stages_fit(s, data, NULL, NULL, &e) || lamina_stages_model(s, NULL, &m, &e) ||
 *         lamina_save_weights(m, "weights.safetensors", &e))
 *
 * A network that combines the answers of several stages is a last stage like any other. */
typedef struct lamina_stages lamina_stages;

/* Names, networks and data sets are borrowed. */
typedef struct lamina_stage_options {
    const char *name;
    const lamina_net *net;
    bool frozen;         /* it never learns: only its infer counts, and its evaluate where there is validation data */
    float learning_rate; /* in place of the network's schedule; 0: as the network says */
    /* A weights file to begin with, or NULL: of it those tensors count that the stage has, whose shapes must agree. A
     * frozen stage must find all its parameters and running statistics there. */
    const char *weights;
    /* A data set of its own with its own records, or NULL: the run's. It may lack fields that earlier stages make of
     * those that it has. Without validation data of its own such a stage has none. */
    const lamina_dataset *train, *validation;
    lamina_fit_options fit; /* how it learns: epochs (of each round), batch, keep_order; what tells of a place in a run,
                               and the seed, are the run's */
    bool teacher;           /* another network, from whose answers later stages learn; see below */
    bool combination;       /* it learns to combine the others' answers: it has no score but that of the whole */
    /* Stages that this network trains in one step, each of whose metrics is called as one of them, as in
     * "features_loss"; NULL: it is one stage. */
    const char *const *members;
    int32_t member_count;
} lamina_stage_options;

/* Distillation (Hinton, Vinyals and Dean 2015): a student learns what a larger network says of an example, which is
 * more than its label. A teacher is a stage, and any compiled network can be one:
 *
 *     const lamina_stage_options stages[] = {
 *         {.name = "teacher", .net = big, .teacher = true, .weights = "big.safetensors"},
 *         {.name = "student", .net = student, .fit = {.epochs = 5}}};
 *     lamina_stages_new(small, stages, 2, NULL, &s, &e)
 *
 * It is frozen and needs a weights file. It reads fields of the data alone. Its output 'logits' is an input of later
 * stages under the name 'teacher_logits', the stage's before its own, and is kept as other boundary values are; its
 * tensors are its own, however they are called. So 'student' has the layers of 'small', an input 'teacher_logits', and
 * a loss that reads it. With a weight w and a temperature T that of Hinton et al. is
 *
 *     (1 - w) x the cross-entropy with the labels + w T^2 x KL(softmax(teacher / T) || softmax(student / T))
 *
 * T^2 gives both parts gradients of one size whatever T is. What ships is 'small', with what the student learned. */

/* The stages come in the order in which they learn; 'options' are those of every model. What reads what is checked
 * here: BAD_ARG names both sides of what does not fit. */
lamina_status lamina_stages_new(const lamina_net *whole, const lamina_stage_options *stages, int32_t count,
                                const lamina_options *options, lamina_stages **out, lamina_error *e);
void lamina_stages_free(lamina_stages *s);
/* Begin anew, as lamina_initialize does, and load the stages' weights files. */
lamina_status lamina_stages_initialize(lamina_stages *s, uint64_t seed, lamina_error *e);
/* What lamina_adapt does, in all networks, between lamina_stages_initialize and the first step. Stages with weights
 * files keep what those hold; stages with data of their own take the statistics of that. */
lamina_status lamina_stages_adapt(lamina_stages *s, const lamina_dataset *train, lamina_error *e);
/* lamina_load_matching for all stages, or for one of them, of whose tensors alone the file is asked then: values to
 * begin with, after lamina_stages_initialize. A frozen stage must find all its tensors. */
lamina_status lamina_stages_load_matching(lamina_stages *s, const char *stage, const char *path,
                                          const lamina_match_options *o, lamina_error *e);
/* A network that is only evaluated, borrowed: for what the whole makes of the answers of fewer stages than it has. Its
 * inputs are outputs of stages and fields of the data, its parameters those of the whole, and its metrics are called as
 * the whole's with a word in front: "whole_loss", "upto_STAGE_loss" of the stages up to one, "without_STAGE_loss" of
 * all but one; those of the whole may be called as they are. Without it scores (below) know of the whole only while
 * that is trained itself. BAD_ARG names what does not fit. */
lamina_status lamina_stages_set_scores(lamina_stages *s, const lamina_net *net, lamina_error *e);
/* What lamina_dataset_new takes in place of a network for data sets with every field that the stages and the whole read
 * of the data; lent. */
const lamina_net *lamina_stages_fields(const lamina_stages *s);
/* Tensor 'i', from 0, of those parameters of the whole that no stage learns: they keep their initial values unless the
 * whole is fine-tuned; NULL: there are no more. */
const char *lamina_stages_untrained(const lamina_stages *s, int32_t i);
/* Most bytes that were held at a time: models, boundary values in memory, tensors of the others. */
size_t lamina_stages_bytes(const lamina_stages *s);

typedef enum lamina_schedule {
    LAMINA_SEQUENTIAL, /* one stage after the other */
    LAMINA_ALTERNATING /* the same in several rounds, each going on where the last one ended */
} lamina_schedule;

/* Where boundary values, which later stages read of earlier ones, are kept meanwhile: the bits are the same. */
typedef enum lamina_cache {
    LAMINA_CACHE_AUTO,   /* in memory while they fit, else on disk if there is a directory, else nowhere */
    LAMINA_CACHE_MEMORY, /* for every record at a time */
    LAMINA_CACHE_DISK,   /* in a mapped file without a name, which is gone with the run however it ends */
    LAMINA_CACHE_NONE    /* earlier stages infer again for each batch */
} lamina_cache;

/* Where a run stands: the next step is 'at' in a stage. */
typedef struct lamina_stages_place {
    int64_t round; /* whole rounds done */
    int32_t stage; /* stages done in this one; as many as there are: fine-tuning; one more: all is done */
    lamina_checkpoint at;
} lamina_stages_place;

typedef enum lamina_stages_event { LAMINA_STAGES_STEP, LAMINA_STAGES_EPOCH, LAMINA_STAGES_STAGE } lamina_stages_event;

/* How good a stage's own answer is, or that of the whole. */
typedef struct lamina_stages_score {
    const char *stage; /* its name; NULL: the whole, as far as it has learned: the combination of the stages so far */
    int32_t metric_count;
    const lamina_metric *metrics; /* names and which way is better */
    const double *values;         /* one for each metric */
    double share;                 /* of the sum of all stages' weighted losses; NaN: not known, as of the whole */
    double contribution; /* by how much the whole's loss rises when this stage's answer is left out; NaN: not known */
} lamina_stages_score;

/* What lamina_stages_fit tells after each step and epoch, and when a stage ends; lent for the call. */
typedef struct lamina_stages_report {
    lamina_stages_event event;
    const char *stage;     /* its name; fine-tuning: that of the whole network */
    int32_t number, count; /* from 1, and how many stages; fine-tuning: one more */
    int64_t round, rounds; /* from 1 */
    const lamina_net *net;
    const lamina_report *fit; /* as lamina_fit tells it; at the end of a stage with 'train' NULL, and with the metrics
                                 of what it has learned on validation data, if there is any */
    lamina_model *model;      /* that learns; NULL at the end of a stage */
    lamina_stages_place at;   /* in place of that in 'fit'; of all functions with the stages only lamina_stages_save may
                                 be called meanwhile, and takes it */
    /* After epochs and stages, where there is validation data: the whole first, if it has something to say, then each
     * stage that has begun to learn. A stage with data of its own is measured on its own validation data. */
    const lamina_stages_score *scores;
    int32_t score_count;
} lamina_stages_report;

typedef void lamina_stages_report_function(void *user, const lamina_stages_report *r);

/* All zero means: sequential, each stage as its options say, no fine-tuning. */
typedef struct lamina_stages_fit_options {
    lamina_schedule schedule;
    int64_t rounds; /* of alternating; 0: 1 */
    lamina_cache cache;
    const char *cache_directory;           /* for values on disk; may be NULL */
    uint64_t cache_bytes;                  /* most in memory where 'cache' is AUTO; 0: half of what is free */
    uint64_t seed;                         /* of all shuffling */
    int64_t max_steps;                     /* of this call; 0: no limit */
    const lamina_dataset *validation;      /* evaluated after each epoch and stage; may be NULL */
    lamina_fit_options fine_tune;          /* of the whole when all stages are done; epochs 0: none */
    float fine_tune_rate;                  /* in place of the whole network's schedule; 0: as it says */
    const lamina_stages_place *from;       /* where to go on; NULL: at the beginning */
    lamina_stages_report_function *report; /* may be NULL */
    void *user;                            /* passed to report */
    const volatile int32_t *stop;          /* not 0: stop after the step that runs; may be NULL */
} lamina_stages_fit_options;

/* Train all stages, and the whole if it is to be fine-tuned. One stage's training memory is held at a time, and moments
 * and counters of a stage end with its last round: another run goes on from the weights alone. Ends as lamina_fit does;
 * *out (may be NULL) is told where, for lamina_stages_save and 'from'. */
lamina_status lamina_stages_fit(lamina_stages *s, const lamina_dataset *train, const lamina_stages_fit_options *o,
                                lamina_stages_place *out, lamina_error *e);
/* Where a run begins that lamina_stages_fit would make of these, without making it: for a first checkpoint. */
lamina_status lamina_stages_start(lamina_stages *s, const lamina_dataset *train, const lamina_stages_fit_options *o,
                                  lamina_stages_place *out, lamina_error *e);
/* All that a run has learned, and its place, as one file, written as lamina_save_weights does. */
lamina_status lamina_stages_save(lamina_stages *s, const lamina_stages_place *at, const char *path, lamina_error *e);
/* Load one, for a run of lamina_stages_fit with the same data and options that goes on at *out ('from'), to the same
 * bits. BAD_FILE if a bit of it changed, or if it is of other networks, data, seed or plan; the message names which. */
lamina_status lamina_stages_load(lamina_stages *s, const char *path, const lamina_dataset *train,
                                 const lamina_stages_fit_options *o, lamina_stages_place *out, lamina_error *e);
/* The scores of the whole and of all stages, with what they have learned, on any data set for lamina_stages_fields;
 * lent until the next call. Stages that have data of their own, or inference alone, have none. */
lamina_status lamina_stages_evaluate(lamina_stages *s, const lamina_dataset *d, const lamina_stages_score **scores,
                                     int32_t *count, lamina_error *e);
/* The model of a stage, or of the whole (NULL), with what has been learned; lent until 's' is freed, initialized,
 * loaded or trained again. What changes in it does not change the stages. */
lamina_status lamina_stages_model(lamina_stages *s, const char *name, lamina_model **out, lamina_error *e);

/* ---- pipelines ---- */

/* Coupled stages that each have a library of their own (`lamina compile --emit-stages`), trained at once: while one
 * stage works on a micro-batch, others work on those before and behind it. The bits are those of one process that
 * trains the whole network in micro-batches of the same size, whatever the schedule and the threads.
 *
 *     lamina_pipeline *p = NULL;
 *     const lamina_net *stages[NET_STAGES];                 in order: net_stage_query(i), or libraries' networks
 *     if (lamina_pipeline_new(stages, NET_STAGES, &(lamina_pipeline_options){.micro_batch = 32}, &p, &e) ||
 *         lamina_pipeline_initialize(p, 1, &e) || lamina_pipeline_train_step(p, inputs, 256, &e) ||
 *         lamina_copy_tensors(whole, lamina_pipeline_model(p, 0), &e) || ...
 *
 * The stages of one pipeline may live in several processes, on several machines. Each makes the same pipeline, with all
 * descriptions, of which it says which stages it has ('first', 'here'), and calls lamina_pipeline_train_step with the
 * same count. What a stage elsewhere reads goes to 'send', as it is made; what arrives is given to
 * lamina_pipeline_deliver by another thread, so that both sides may send at a time. */
typedef struct lamina_pipeline lamina_pipeline;

typedef enum lamina_pipeline_schedule {
    LAMINA_1F1B, /* one forward, one backward: stage s of N has at most N - s micro-batches on their way */
    LAMINA_GPIPE /* all forwards, then all backwards */
} lamina_pipeline_schedule;

/* A boundary value of one micro-batch on its way to another process. */
typedef struct lamina_parcel {
    int32_t value;       /* which one: the same number in every process */
    int64_t step;        /* lamina_pipeline_train_step's call, from 0 */
    int64_t micro_batch; /* from 0 */
    const void *data;
    size_t bytes;
    const int32_t *to; /* the stages elsewhere that read it; what is delivered need not say so */
    int32_t to_count;
} lamina_parcel;

/* 'parcel' is lent for the call. Any status but OK ends the step with it. */
typedef lamina_status lamina_send_function(void *user, const lamina_parcel *parcel, lamina_error *e);

/* All zero means: 1F1B in micro-batches of max_batch, every stage here, with a thread of its own. */
typedef struct lamina_pipeline_options {
    lamina_pipeline_schedule schedule;
    int64_t micro_batch;        /* examples; 0: the least max_batch of all stages */
    int64_t threads;            /* that the stages here share; 0: as many as there are */
    lamina_options stage;       /* of every stage's model; 'staged' and 'inference' do not count */
    int32_t first, here;        /* the stages in this process: from 'first' (0) on; here 0: all others */
    lamina_send_function *send; /* may be NULL where all stages are here */
    void *user;                 /* passed to send; it may be called from several threads at a time */
} lamina_pipeline_options;

/* 'nets' are borrowed. What each reads is found by name and checked: BAD_ARG names both sides of what does not fit. */
lamina_status lamina_pipeline_new(const lamina_net *const *nets, int32_t count, const lamina_pipeline_options *options,
                                  lamina_pipeline **out, lamina_error *e);
void lamina_pipeline_free(lamina_pipeline *p);
/* lamina_initialize of every stage here: a parameter begins as it does in the whole network. */
lamina_status lamina_pipeline_initialize(lamina_pipeline *p, uint64_t seed, lamina_error *e);
/* The model of a stage, lent; NULL if it is not here. Between two steps it may be read, set, saved and loaded like any
 * other, though it infers nothing: that is the whole network's. */
lamina_model *lamina_pipeline_model(lamina_pipeline *p, int32_t stage);
/* A description with the inputs that come from data, in the order in which the stages first read them, and the metrics
 * of all stages; lent. It is what lamina_dataset_new takes in place of a network. */
const lamina_net *lamina_pipeline_fields(const lamina_pipeline *p);
/* One step on the mean gradient of 'count' examples, as lamina_train_step of the whole network takes it. 'inputs' has a
 * pointer for each input of lamina_pipeline_fields; those that only stages elsewhere read may be NULL. It allocates
 * nothing but for the first step of more micro-batches than there ever were. If it fails on the way, stages differ in
 * what they have learned: initialize or load them. */
lamina_status lamina_pipeline_train_step(lamina_pipeline *p, const void *const *inputs, int64_t count, lamina_error *e);
/* Metric 'index' of lamina_pipeline_fields over all examples since the last reset, as far as its sums are in stages
 * here; NaN before the first, and where no stage here has it. */
double lamina_pipeline_metric_value(const lamina_pipeline *p, int32_t index);
void lamina_pipeline_reset_metrics(lamina_pipeline *p);

/* A value that a stage elsewhere made; it is copied. Waits until the step it belongs to is at work and there is room:
 * call it from a thread of its own, in the order of sending. INTERRUPTED once lamina_pipeline_stop was called. */
lamina_status lamina_pipeline_deliver(lamina_pipeline *p, const lamina_parcel *parcel, lamina_error *e);
/* End the step that runs, and all later ones, with INTERRUPTED and this text: for when another process is gone. From
 * any thread; only lamina_pipeline_free comes after. */
void lamina_pipeline_stop(lamina_pipeline *p, const char *why);
/* Bytes of the largest parcel. */
size_t lamina_pipeline_parcel_bytes(const lamina_pipeline *p);

/* ---- telling the user ---- */

typedef struct lamina_progress lamina_progress; /* a bar on a terminal; a line an epoch elsewhere */

/* 'f' is borrowed. */
lamina_status lamina_progress_new(FILE *f, lamina_progress **out, lamina_error *e);
void lamina_progress_free(lamina_progress *p);
/* A lamina_report_function whose user is a lamina_progress. */
void lamina_progress_report(void *progress, const lamina_report *r);
/* The bar stays where it is, and is drawn anew below what the program prints next. */
void lamina_progress_leave(lamina_progress *p);

typedef struct lamina_log lamina_log; /* a file of one JSON object a line, one line an epoch */

/* Open for appending, or afresh; "-" is the standard output. */
lamina_status lamina_log_new(const char *path, bool append, lamina_log **out, lamina_error *e);
/* Open to go on after so many epochs: later lines, which a run wrote that then went back to a checkpoint, are cut off,
 * and so is half a line. A symbolic link is not followed. */
lamina_status lamina_log_resume(const char *path, int64_t epochs, lamina_log **out, lamina_error *e);
/* A lamina_report_function whose user is a lamina_log. */
void lamina_log_report(void *log, const lamina_report *r);
/* The same with the name of the stage that the epoch is of; NULL: none. */
void lamina_log_stage(lamina_log *l, const char *stage, const lamina_report *r);
/* And with scores of the whole and of the stages: "whole" and "stages" in the line. */
void lamina_log_scores(lamina_log *l, const char *stage, const lamina_report *r, const lamina_stages_score *scores,
                       int32_t count);
/* Close and free; IO if any line could not be written. */
lamina_status lamina_log_free(lamina_log *l, lamina_error *e);

/* The same for TensorBoard: `train/NAME` and `validation/NAME` of each metric, and `learning_rate`, epoch by epoch. */
typedef struct lamina_events lamina_events;

/* Open a new event file in a directory, for a run that goes on after so many epochs: what other files there have of
 * later ones does not count any more. */
lamina_status lamina_events_new(const char *directory, int64_t epochs, lamina_events **out, lamina_error *e);
/* A lamina_report_function whose user is a lamina_events. */
void lamina_events_report(void *events, const lamina_report *r);
/* The same with the name of a stage before the others, `STAGE/train/NAME`; NULL: none. */
void lamina_events_stage(lamina_events *e, const char *stage, const lamina_report *r);
/* Close and free; IO if any event could not be written. */
lamina_status lamina_events_free(lamina_events *events, lamina_error *e);

#ifdef __cplusplus
}
#endif

#endif
