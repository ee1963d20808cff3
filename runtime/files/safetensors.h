/* runtime/files/safetensors.h - tensors and a few words of metadata as one safetensors file. */
#ifndef RUNTIME_SAFETENSORS_H
#define RUNTIME_SAFETENSORS_H

#include "runtime/lamina.h"

typedef struct {
    char key[32], value[96];
} lamina_metadata;

/* Tensors that a file holds: a model's, or others that 'get' and 'set' know. */
typedef struct {
    const char *owner; /* the network's name, for errors */
    const lamina_tensor *tensors;
    int32_t count;
    bool some; /* of a file that is read only those that are known here count, and one must be */
    /* With 'some', of a file that is another network's: */
    const char *from, *to; /* names there that begin with 'from' mean those here that begin with 'to'; NULL: all
                                     names are as they are */
    lamina_mismatch_function
        *mismatch; /* is told what only one side has, or both with other shapes, which is then left;
                                           NULL: another shape is an error */
    void *listener;
    bool (*counts)(void *user, int32_t tensor);   /* here; NULL: all do */
    bool (*required)(void *user, int32_t tensor); /* must be in a file that is read, the others may; NULL: all must */
    bool (*written)(void *user, int32_t tensor);  /* to a file that is written; NULL: all are */
    lamina_status (*get)(void *user, int32_t tensor, void *plain, lamina_error *e);
    lamina_status (*set)(void *user, int32_t tensor, const void *plain, lamina_error *e);
    void *user;
} lamina_tensor_set;

/* A model's tensors. Of its states a file that is written has those that inference reads; in one that is read all may
 * be, and must be with `states`. */
lamina_tensor_set lamina_tensors_to_write(lamina_model *m);
lamina_tensor_set lamina_tensors_to_read(lamina_model *m, bool states);
/* Those that inference reads. */
lamina_tensor_set lamina_tensors_to_match(lamina_model *m);

/* The value as a number of 0 .. most; BAD_FILE if it is none. */
lamina_status lamina_metadata_number(const lamina_metadata *word, const char *path, uint64_t most, uint64_t *out,
                                     lamina_error *e);

/* Write all. The file is replaced whole or not at all. */
lamina_status lamina_safetensors_write(const lamina_tensor_set *set, const char *path, const lamina_metadata *metadata,
                                       int count, lamina_error *e);

/* Every required tensor must be in the file, all of the set may, and none that is unknown unless 'some'
 * or its name begins with a slash: that is a run's, not a network's. The `count`
 * keys of metadata must be there too and get their values. accept (may be NULL) then sees the metadata and may refuse.
 * Only after that is anything set. */
typedef lamina_status lamina_accept(void *user, const lamina_metadata *metadata, lamina_error *e);
lamina_status lamina_safetensors_read(const lamina_tensor_set *set, const char *path, lamina_metadata *metadata,
                                      int count, lamina_accept *accept, void *user, lamina_error *e);

#endif
