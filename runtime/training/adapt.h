/* runtime/training/adapt.h - tensors that begin as statistics of the training data. */
#ifndef RUNTIME_ADAPT_H
#define RUNTIME_ADAPT_H

#include "runtime/lamina.h"

bool lamina_is_of_data(const lamina_tensor *t);
/* The values of such a tensor, of the data of that input; BAD_ARG if there is none. */
lamina_status lamina_data_statistic(const lamina_tensor *t, const char *input, const lamina_dataset *d, float *out,
                                    lamina_error *e);

#endif
