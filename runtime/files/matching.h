/* runtime/files/matching.h - what of a file's tensors becomes whose: for models, and for stages. */
#ifndef RUNTIME_MATCHING_H
#define RUNTIME_MATCHING_H

#include "runtime/files/safetensors.h"

typedef struct {
    const lamina_match_options *o;
    const char *path, *owner;
    bool strict;   /* whatever the options say */
    bool part;     /* the file may hold more than is asked for */
    int64_t count; /* of what does not match */
    char first[320];
} lamina_matching;

/* Read the tensors of 'set' that the file has by name and shape, as lamina_load_matching does. NULL options: all zero;
 * 'k' has owner, strict and part. Of 'set', tensors, count, counts, set and user are looked at. */
lamina_status lamina_read_matching(lamina_tensor_set set, const char *path, const lamina_match_options *o,
                                   lamina_matching *k, lamina_error *e);

#endif
