/* backend/backend.h - planned module to object, library and header. No LLVM type leaves this folder. */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include "ir/ir.h"

/* Fill a target from a CPU name as LLVM knows it, or "native" for this machine's. The strings live in mem. False after
 * an error: an unknown name, with the nearest one. */
bool be_target(const char *cpu, arena *mem, ir_target *out, diag *d);

typedef enum { BE_SO, BE_ARCHIVE, BE_OBJECT, BE_LLVM, BE_ASM, BE_HEADER } be_kind;

typedef struct {
    be_kind kind;
    const char *output; /* path; written whole or not at all */
    bool debug_info;    /* DWARF lines that point at the YAML */
    text *timing;       /* lines of "name milliseconds" are added, or NULL */
} be_options;

/* Compile a module that went through plan_memory. False after errors; then nothing is left at o->output. */
bool be_compile(const ir_module *m, const be_options *o, diag *d);

/* A part of a kernel that the host's parallel_for runs: one of its phases, in one function. */
typedef struct {
    const ir_graph *function;
    const ir_node *kernel;
} be_launch;

typedef struct {
    arena *mem; /* where the list grows; set by the caller */
    be_launch *launch;
    int32_t count;
} be_profile;

/* be_compile of a library made to be measured: every phase of every kernel goes through call->parallel_for by itself,
 * if it is not NULL, however many tasks or workers there are. The bits are those of the ordinary library. The launches
 * of all functions are added to *out, each function's in the order of its calls. There may be no chains: members share
 * memory that holds a slice. */
bool be_compile_profiled(const ir_module *m, const be_options *o, be_profile *out, diag *d);

/* The C header of a planned module. */
void be_header(const ir_module *m, text *out);

/* Over the headers of all stages of a net, one for them together, at 'stem' and "_all_stages.h": their descriptions by
 * number and the boundary values. 'stem' is the path of the net's own files without an ending. False after errors. */
bool be_stages_header(const char *net, const char *stem, const ir_module *const *stages, int count, diag *d);

/* The loop nests of every kernel, as text: for reading only. */
bool be_print_nests(const ir_module *m, text *out, diag *d);

#endif
