/* runtime/training/stages.h - what a run of stages is made of, for the files that order, feed and save it.
 *
 *     stages.c             the nets, and which reads what of whom
 *     stages_tensors.c     parameters and states of all of them, by name
 *     stages_flow.c        stages' outputs for a batch, by their infer
 *     stages_boundary.c    the same for all records, kept in memory or in a file
 *     stages_view.c        the data set that a stage learns from
 *     stages_fit.c         the order of training
 *     stages_scores.c      how the whole stands, and each stage beside it
 *     stages_checkpoint.c  all of it as one file */
#ifndef RUNTIME_STAGES_H
#define RUNTIME_STAGES_H

#include "runtime/data/data.h"
#include "runtime/model/model.h"

enum { LAMINA_FROM_DATA = -1 };

/* A stage; or the whole, which is the part behind them; or what measures combinations, behind the whole. */
typedef struct {
    lamina_stage_options o;
    int32_t *maker;  /* for each input, the earlier stage whose output it is, or FROM_DATA */
    int32_t *output; /* and the output's number there */
    int32_t *row;    /* for each tensor, its number among the rows */
    bool *wanted;    /* for each output: a later stage reads it */
    bool *scored;    /* for each output: scores are made of it */
    double *values;  /* of its metrics over validation data, as its parameters now are; if they were measured */
    bool measured;
    int64_t steps;      /* taken so far */
    int64_t print;      /* fingerprint of its boundary for the run's data, as its values now make it; 0: not known */
    lamina_watch watch; /* what its run has seen of metrics, while no model has it */
} lamina_part;

struct lamina_stages {
    lamina_options options;
    int32_t count; /* stages: the whole is part number 'count' */
    lamina_part *parts;
    uint64_t seed;
    lamina_net fields; /* inputs that come from data; nothing else in it counts */
    lamina_tensor *field_rows;
    /* Tensors by name, shared ones first: parameters and states of layers are one value for all nets that have them;
     * those of a stage's training are its own, named "stage/state". A value that is NULL is as it begins. */
    lamina_tensor *rows;
    char **names; /* of a stage's own, which are made here */
    void **values;
    int32_t row_count, shared_count;
    uint64_t plan;   /* of the last run, see lamina_stages_plan */
    int32_t running; /* the part whose values are in 'model', or -1 */
    lamina_model *model;
    lamina_model **lent;         /* for each part; NULL: not asked for */
    bool *marked;                /* for each part; of whoever writes it */
    size_t bytes, peak;          /* held now, and at most */
    lamina_stages_score *scores; /* the last ones, and what they point to */
    lamina_metric *score_metrics;
    double *score_values, *combined; /* combined: the values of the net that measures combinations */
    int32_t score_count;
};

/* A stage's outputs for every record of a data set. */
typedef struct lamina_boundary lamina_boundary;

/* A run of lamina_stages_fit: what feeds the stages. */
typedef struct {
    lamina_stages *s;
    const lamina_stages_fit_options *o;
    const lamina_dataset *train;
    lamina_boundary *boundaries;
} lamina_supply;

/* ---- stages.c ---- */

void lamina_stages_drop_lent(lamina_stages *s);
/* Close all models; what the one that learns has learned since it was opened is lost. */
void lamina_stages_stop(lamina_stages *s);
/* Mark a stage and what depends on it, the whole always: its values have changed. */
void lamina_stages_mark(lamina_stages *s, int32_t stage);
/* Of the data of the run, and those that stages have of their own. */
uint64_t lamina_stages_fingerprint(const lamina_stages *s, const lamina_dataset *train);

/* ---- stages_tensors.c ---- */

lamina_status lamina_stages_add_rows(lamina_stages *s, lamina_error *e);
void lamina_stages_free_rows(lamina_stages *s);
/* The row of a layer's tensor, or -1. */
int32_t lamina_stages_shared(const lamina_stages *s, const char *name);
/* A new model of a part, to train or for inference alone, with the values that stand in the rows. */
lamina_status lamina_part_open(lamina_stages *s, int32_t part, bool inference, lamina_model **out, lamina_error *e);
void lamina_part_close(lamina_stages *s, lamina_model *m);
/* Move the values of the running part to the rows, those of its training too if they will be needed, and close it. */
lamina_status lamina_part_finish(lamina_stages *s, bool needed, lamina_error *e);
/* Copy what others may read of the running part to the rows; it goes on. */
lamina_status lamina_part_show(lamina_stages *s, lamina_error *e);
/* The values of a stage's training begin anew, should it begin again. */
void lamina_part_forget(lamina_stages *s, int32_t part);
/* Memory that is held in addition. */
void lamina_stages_hold(lamina_stages *s, size_t bytes);

/* ---- stages_flow.c ---- */

/* Where the records of an input are. */
typedef struct {
    const lamina_dataset *data; /* with it, 'input' is the number there */
    const char *records;        /* of a boundary */
    int32_t maker, input;       /* else output 'input' of stage 'maker', made with each batch; FROM_DATA: nowhere */
} lamina_origin;

/* One stage of a flow. */
typedef struct {
    lamina_model *model; /* NULL: the stage is no part of the flow */
    lamina_origin *origins;
    void **gathered, **outputs; /* records of a batch, for each input that lies elsewhere and for each output */
    const void **inputs;
} lamina_producer;

typedef struct {
    lamina_stages *s;
    lamina_producer *producers; /* for each stage */
    int64_t batch;              /* records at most */
} lamina_flow;

lamina_origin lamina_stages_origin(const lamina_supply *u, int32_t part, int32_t input, const lamina_dataset *d);
/* BAD_ARG unless data that it is from has the input's type. */
lamina_status lamina_origin_check(const lamina_part *p, int32_t input, const lamina_origin *o, lamina_error *e);
/* For batches of the outputs of the stages that are asked for, as far as no boundary has them. */
lamina_status lamina_flow_open(const lamina_supply *u, const lamina_dataset *d, const bool *stages, int64_t batch,
                               lamina_flow *out, lamina_error *e);
void lamina_flow_close(lamina_flow *f);
/* Run on the records numbered order[0], ... (NULL: 0, ...) from 'first' on. */
lamina_status lamina_flow_run(lamina_flow *f, const int64_t *order, int64_t first, int64_t count, lamina_error *e);

/* ---- stages_checkpoint.c ---- */

/* A number that differs where a run takes other steps. */
uint64_t lamina_stages_plan(const lamina_stages *s, const lamina_stages_fit_options *o);

/* ---- stages_boundary.c ---- */

struct lamina_boundary {
    lamina_boundary *next;
    int32_t stage;
    const lamina_dataset *data;
    char **records;   /* for each output, or NULL where it is not wanted */
    uint64_t *mapped; /* bytes of a file's map, 0 in memory */
    size_t bytes;     /* in memory */
};

/* NULL: there is none. */
lamina_boundary *lamina_boundary_find(const lamina_supply *u, int32_t stage, const lamina_dataset *d);
/* Make it, unless it is there or outputs are to be made with each batch. */
lamina_status lamina_boundary_make(lamina_supply *u, int32_t stage, const lamina_dataset *d, lamina_error *e);
/* Drop those of the stages that are marked (NULL: all), and of those what scores are made of only if 'scored'. */
void lamina_boundaries_drop(lamina_supply *u, const bool *marked, bool scored);

/* ---- stages_view.c ---- */

typedef struct {
    lamina_dataset *data;
    lamina_origin *origins;
    lamina_flow flow;
} lamina_view;

/* The records of 'd' as a part reads them, in batches of at most 'batch'. Boundaries that it reads are made and kept,
 * or else only those are read that there are. */
lamina_status lamina_view_open(lamina_supply *u, int32_t part, const lamina_dataset *d, int64_t batch, bool keep,
                               lamina_view *out, lamina_error *e);
void lamina_view_close(lamina_view *v);

/* ---- stages_scores.c ---- */

/* Has the data set, or an earlier stage, all that the part's metrics are of? */
bool lamina_part_measurable(const lamina_supply *u, int32_t part, const lamina_dataset *d);
/* Forget what was measured. */
void lamina_scores_forget(lamina_stages *s);
/* Make s->scores of the run's validation data as stages are at a place, where a part (-1: none) has just been measured
 * by itself; 'own' may be NULL. */
lamina_status lamina_scores_make(lamina_supply *u, const lamina_stages_place *at, int32_t part, const double *own,
                                 lamina_error *e);
void lamina_scores_free(lamina_stages *s);

#endif
