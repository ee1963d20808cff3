/* frontend/command/inference.h - what eval and predict share: a network compiled at once, weights of a file, and
 * records. */
#ifndef FRONTEND_CMD_INFERENCE_H
#define FRONTEND_CMD_INFERENCE_H

#include "frontend/command/cmd.h"
#include "frontend/command/data.h"

enum { CMD_MOST_FILES = 1024 }; /* a network's file among them */

/* Which weights, and of which records. */
typedef struct {
    const char *weights, *set;
    const char *const *files; /* in place of the set */
    int file_count;
    bool all;              /* none of the files' records is left out */
    int64_t threads, seed; /* threads 0: all processors; seed -1: the YAML's */
} cmd_records;

/* The set that a word behind --set names, which no KEY=VALUE is, else "test"; or files, whose list ends with NULL; then
 * the set is "given". False, and the words printed, of options of the command that say no records, or no weights. */
bool cmd_choose_records(const char *command, const char *const *files, cmd_build *b, cmd_records *r);
/* What the records come from must be there before the network is compiled. False after an error in d. */
bool cmd_check_records(const char *path, const fe_network *net, const cmd_records *r, diag *d);
bool cmd_read_chosen(const fe_network *net, const lamina_net *compiled, const cmd_records *r, lamina_dataset **out,
                     arena *mem, diag *d);

/* Compile to a library in a directory under TMPDIR, which is gone once it is loaded. False after an error in d. */
bool cmd_load_compiled(ir_module *m, arena *mem, const cmd_build *b, lamina_library **out, diag *d);

/* A model that infers, on so many threads (0: all processors), with what a weights file or checkpoint holds. False
 * after an error in d, with *out the caller's to free all the same. */
bool cmd_load_model(const lamina_net *net, const char *weights, int64_t threads, lamina_model **out, diag *d);

#endif
