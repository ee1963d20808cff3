/* frontend/command/values.h - what a model's metrics over a data set are, in words. */
#ifndef FRONTEND_COMMAND_VALUES_H
#define FRONTEND_COMMAND_VALUES_H

#include "frontend/frontend.h"
#include "runtime/lamina.h"

/* All metrics over a set that the model has just evaluated. 'net' knows the names of classes. */
typedef struct {
    lamina_model *model;
    const fe_network *net;
    const lamina_dataset *data;
    const char *set;
    const double *values;
} cmd_values;

/* A line of those that are one number; below it a table of those that have one for each class, and matrices. */
void cmd_print_values(FILE *out, const cmd_values *v);
/* One JSON object on a line. */
void cmd_print_values_json(FILE *out, const cmd_values *v);

#endif
