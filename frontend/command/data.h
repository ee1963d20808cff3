/* frontend/command/data.h - what train, eval and inspect share: libraries, data sets, models. */
#ifndef FRONTEND_CMD_DATA_H
#define FRONTEND_CMD_DATA_H

#include "frontend/frontend.h"
#include "runtime/lamina.h"

/* Load a compiled network; false after an error in d. */
bool cmd_library(const char *path, lamina_library **out, diag *d);

/* The data set "train", "validation" or "test" of a network, which must be present, as a run of that seed has it: parts
 * are split off. False after an error in d; what was read is the caller's to free all the same. */
bool cmd_dataset(const fe_network *net, const char *which, const lamina_net *compiled, uint64_t seed,
                 lamina_dataset **out, diag *d);

/* Records of files that words of the command line name, read as the train set, which must be present, says: INPUT=FILE
 * for each input, of tables the files, or of images the folder that holds the classes'. With 'all' no record is left
 * out for what it lacks or is, so that their order says which is which, and images may be pictures and folders of
 * them. False after an error in d, with *out NULL. */
bool cmd_read_files(const fe_network *net, const char *const *words, int count, bool all, const lamina_net *compiled,
                    lamina_dataset **out, arena *mem, diag *d);

/* The train set without the parts that validation and test take of it, chosen by the seed; the validation set and the
 * test set, or NULL where there is none. 'validation' and 'test' may be NULL. False after an error in d; what was read
 * is the caller's to free all the same. */
bool cmd_training_data(const fe_network *net, const lamina_net *compiled, uint64_t seed, lamina_dataset **train,
                       lamina_dataset **validation, lamina_dataset **test, diag *d);

/* All records of a set's own files; 'report' is zero where they are no tables. False after an error in d, with *out
 * NULL. */
bool cmd_read_records(const fe_network *net, const fe_data_set *set, const lamina_net *compiled, lamina_dataset **out,
                      lamina_table_report *report, diag *d);
/* The same of the set of that name. */
bool cmd_read_set(const fe_network *net, const char *which, const lamina_net *compiled, lamina_dataset **out,
                  lamina_table_report *report, diag *d);

/* The records of a set of images into 'out'. False after an error in d. */
bool cmd_read_images(const fe_data_set *set, const lamina_net *compiled, lamina_dataset *out, diag *d);

/* A set that is present: its own files' records, or its part of 'train', which lacks them from then on. Test comes
 * before validation. False after an error in d, with *out NULL. */
bool cmd_take_set(const fe_network *net, const char *which, const lamina_net *compiled, uint64_t seed,
                  lamina_dataset *train, lamina_dataset **out, lamina_table_report *report, diag *d);

/* Let training change the records of the train set as the YAML says, once other sets have taken their parts of it,
 * which stay as they are. False after an error in d. */
bool cmd_augment(const fe_network *net, lamina_dataset *train, diag *d);

/* Do the place, the steps and the states agree that the model has of the checkpoint 'path'? In runs of train they do,
 * on 'records' of data. False after an error in d. */
bool cmd_check_place(lamina_model *m, const lamina_checkpoint *at, int64_t records, const char *path, diag *d);

/* Warn where a metric over the set of that name is no finite number though all of the model's tensors are, and name the
 * record to blame if there is one. False if it warned. */
bool cmd_check_metrics(lamina_model *m, const lamina_dataset *d, const char *set, const double *values, diag *dg);

/* The first parameter or f32 state that holds a NaN or an infinity, or NULL. */
const char *cmd_not_finite(lamina_model *m);

#endif
