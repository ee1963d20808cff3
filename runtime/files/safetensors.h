/* runtime/files/safetensors.h - a model's tensors and a few words of metadata as one safetensors file. */
#ifndef RUNTIME_SAFETENSORS_H
#define RUNTIME_SAFETENSORS_H

#include "runtime/lamina.h"

typedef struct {
    char key[32], value[96];
} lamina_metadata;

/* Parameters, and with `states` also states. The file is replaced whole or not at all. */
lamina_status lamina_safetensors_write(lamina_model *m, const char *path, bool states, const lamina_metadata *metadata,
                                       int count, lamina_error *e);

/* Every parameter, with `states` also every state, must be in the file; other tensors of the net may, unknown ones not.
 * The `count` keys of metadata must be there too and get their values. accept (may be NULL) then sees the metadata and
 * may refuse. Only after that does the model change. */
typedef lamina_status lamina_accept(void *user, const lamina_metadata *metadata, lamina_error *e);
lamina_status lamina_safetensors_read(lamina_model *m, const char *path, bool states, lamina_metadata *metadata,
                                      int count, lamina_accept *accept, void *user, lamina_error *e);

#endif
