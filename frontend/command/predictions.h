/* frontend/command/predictions.h - files of what a network says of records, one batch after the other. */
#ifndef FRONTEND_CMD_PREDICTIONS_H
#define FRONTEND_CMD_PREDICTIONS_H

#include "frontend/frontend.h"
#include "runtime/lamina.h"

/* How they are written. */
typedef struct {
    const char *path;   /* NULL: the standard output */
    const char *output; /* the only one; NULL: all */
    bool npy;           /* a file an output; else a table of all */
    char delimiter;
    int64_t top;     /* of classes the most probable ones; 0: all, in order */
    bool raw_logits; /* as they are */
} cmd_prediction_options;

typedef struct cmd_predictions cmd_predictions;

/* Begin files for 'count' records. They get their names at the end: until then they are beside them. NULL after an
 * error in d. */
cmd_predictions *cmd_predictions_open(const lamina_net *net, const fe_answer *answers, const cmd_prediction_options *o,
                                      int64_t count, arena *mem, diag *d);
/* The next records' outputs, a pointer for each of the net's; values become probabilities in place. False after an
 * error in d. */
bool cmd_predictions_add(cmd_predictions *p, float *const *outputs, int64_t count, diag *d);
/* End the files; unless 'keep', they are removed. False after an error in d. */
bool cmd_predictions_close(cmd_predictions *p, bool keep, diag *d);

#endif
