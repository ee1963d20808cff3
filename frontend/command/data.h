/* frontend/command/data.h - what train, eval and inspect share: libraries, data sets, models. */
#ifndef FRONTEND_CMD_DATA_H
#define FRONTEND_CMD_DATA_H

#include "frontend/frontend.h"
#include "runtime/lamina.h"

/* Load a compiled network; false after an error in d. */
bool cmd_library(const char *path, lamina_library **out, diag *d);

/* The data set "train", "validation" or "test" of a network, which must be present. False after an error in d. */
bool cmd_dataset(const fe_network *net, const char *which, const lamina_net *compiled, lamina_dataset **out, diag *d);

/* The train set, and the validation set or NULL: the YAML's own, or the part of the train set that it splits off,
 * chosen by the seed. False after an error in d; what was read is the caller's to free all the same. */
bool cmd_training_data(const fe_network *net, const lamina_net *compiled, uint64_t seed, lamina_dataset **train,
                       lamina_dataset **validation, diag *d);

/* Do the place, the steps and the states agree that the model has of the checkpoint 'path'? In runs of train they do,
 * on 'records' of data. False after an error in d. */
bool cmd_check_place(lamina_model *m, const lamina_checkpoint *at, int64_t records, const char *path, diag *d);

/* The first parameter or f32 state that holds a NaN or an infinity, or NULL. */
const char *cmd_not_finite(lamina_model *m);

#endif
