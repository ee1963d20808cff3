/* frontend/staging/staging.h - networks whose stages learn on their own: private to the frontend.
 *
 * A staged description is read as one network that has everything: the layers of the file, then those of the stages'
 * heads, then the combination's; the losses of the file, then those of stages. What is compiled are parts of it
 * (project.c), each an ordinary network: one for each stage, one for a combination that learns, and the whole.
 *
 * A stage may be a file of its own (files.c), which is read by itself in the same way. What its output needs are then
 * layers of this network (network/runs.c); its stages, with heads, losses and whatever else they have to learn by, are
 * stages of this one (inner.c). */
#ifndef FRONTEND_STAGING_H
#define FRONTEND_STAGING_H

#include "frontend/document/tree.h"
#include "frontend/network/network.h"

/* What a part keeps of a network. */
typedef struct {
    const char *name; /* of the part */
    src_loc at;
    const bool *layers, *losses; /* by number */
    const char *const *prefix;   /* by loss: what its name and its metrics' names begin with; NULL: as they are. Losses
                                    of one prefix have one pointer; one alone is called PREFIX_loss */
    const int *stage;            /* by layer: gradients stop where a value goes to another number; NULL: nowhere */
    bool exports;                /* layers that are read outside of the part are outputs of its infer */
} fe_selection;

/* A file by itself, from its tree on; NULL after an error. */
fe_staging *fe_read_sections(fe_reader *r, const fe_yaml *root, const char *path);
/* The file that is read first; those that it names may not name it. */
void fe_begin_file(fe_reader *r, const char *path);
/* The files that the section `stages` of a tree names, as runs of layers in order. */
fe_run *fe_read_files(fe_reader *r, const fe_yaml *root, const char *path, int *count);
/* `staging`, `stages` and `combine` of a network; one stage where all layers learn together. NULL after an error. */
fe_staging *fe_read_staging(fe_reader *r, fe_network *n, const fe_yaml *root);

fe_network *fe_project(const fe_network *all, const fe_selection *keep);

/* A network of another file that teaches a stage. */
typedef struct {
    const char *name;
    src_loc at;
    const fe_network *net;
    int output; /* the layer whose value is learned from */
    const char *weights;
    src_loc weights_at;
} fe_teacher;

/* A stage as it is read; numbers are those of the network that has everything. */
typedef struct {
    const fe_choice *options;
    const char *name;
    src_loc at;
    int first, last;            /* its layers in the file's list */
    int head_first, head_count; /* and its head's */
    int loss_first, loss_count; /* losses of its own; without any, those of the file that measure its layers */
    int answer;                 /* the layer that says what the stage makes of an example */
    bool frozen;
    const fe_choice *optimizer; /* NULL: none */
    const fe_yaml *train;       /* a mapping of keys; NULL: all by default */
    const fe_data_set *data;    /* train, validation, test of its own; NULL: the run's */
    const fe_weights *weights;  /* a file to start from, or NULL */
    const char *prefix;         /* what names of its layers have in front that they lack in its file; NULL: none */
    const fe_teacher *teacher;  /* or NULL */
} fe_part_stage;

/* The answers that are combined. */
typedef struct {
    src_loc at;
    int count;            /* 0: the last stage answers alone */
    const char **answers; /* layers */
    int *stage;           /* whose they are, by number */
    const fe_option *weights;
    bool learned;
} fe_combination;

struct fe_staging {
    fe_reader *r;
    const fe_yaml *root;
    fe_network *file; /* as its sections say, without staging */
    fe_network *all;
    fe_hierarchy *h;
    fe_part_stage *stage;
    int nstages;
    int combination_first, combination_count; /* layers that combine the stages' answers */
    int combined_loss;                        /* the loss of the whole: the file's first, or the combination's */
    int own_losses;                           /* the file's: 0 .. own_losses - 1 */
    fe_combination combination;
    struct {
        int first_layer, first_loss; /* all that follow are the scores' */
        const char **prefix;         /* by loss */
    } scores;
    fe_network *whole;               /* what ships */
    const fe_option *fine_tune_rate; /* of the whole; NULL: the optimizer's */
};

/* The stages of a stage's file, appended to those of 's'. */
bool fe_add_inner_stages(fe_staging *s, const fe_stage *read);
/* What a stage learns by, where its own keys say so; else what is there already, of its file, and then the file's. */
bool fe_read_ways(fe_staging *s, fe_part_stage *stage);

/* The head of a stage, appended to 'all'. */
bool fe_read_head(fe_staging *s, fe_part_stage *stage);
/* What a stage learns from: its own losses, appended to 'all', or those of the file. */
bool fe_read_stage_losses(fe_staging *s, fe_part_stage *stage);
/* `teacher:` of a stage: an input of 'all', and a loss that reads it beside those that the stage has. */
bool fe_read_teacher(fe_staging *s, fe_part_stage *stage);
/* A teacher as a net to compile, called 'name'. */
fe_network *fe_teacher_part(const fe_staging *s, const fe_teacher *t, const char *name);
/* The sections of a file that has a teacher itself, as those of a file of one stage that has it; else as they are.
 * NULL after an error. */
const fe_yaml *fe_as_student(fe_reader *r, const fe_network *n, const fe_yaml *root);
/* The network of a teacher's file, which 'at' names; NULL after an error. */
fe_network *fe_read_teacher_file(const fe_reader *r, const char *path, src_loc at);
/* `combine:`: its layers and loss, appended to 'all'. */
bool fe_read_combination(fe_staging *s);
/* What measures combinations of answers, appended to 'all'; and how many losses that are at most, of so many stages. */
bool fe_add_scores(fe_staging *s);
int fe_scores_losses(const fe_staging *s, int stages);
/* The nets to compile. */
bool fe_make_parts(fe_staging *s);
fe_network *fe_make_scores(const fe_staging *s, const char *name);

#endif
