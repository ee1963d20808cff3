/* frontend/command/emit.h - what lamina compile writes, and where. */
#ifndef FRONTEND_CMD_EMIT_H
#define FRONTEND_CMD_EMIT_H

#include "backend/backend.h"
#include "frontend/command/cmd.h"

typedef struct {
    const char *name;
    be_kind kind;
    const char *ending;
    bool header; /* a header goes beside it */
} emit_kind;

typedef struct {
    cmd_build build;
    const char *output, *emit; /* output NULL: NAME and the kind's ending */
    bool debug, stages;
} emit_options;

/* "dir/net.so" with another ending. */
const char *emit_beside(arena *mem, const char *path, const char *ending);
/* The file 'output' of a planned module, and its header beside it. False after errors. */
bool emit_module(const ir_module *m, const emit_kind *kind, const char *output, const emit_options *o, arena *mem,
                 diag *d);
/* A file for each stage, NAME_STAGE, and a header of them all, NAME_all_stages.h. Stages that learn on their own are
 * nets, and there is a file for each part of the hierarchy and for the whole. False after errors. */
bool emit_stages(const char *path, const emit_kind *kind, const emit_options *o, arena *mem, diag *d);

#endif
