/* passes/passes.h - module to module. passes.def is the pipeline; run.c says how it runs. */
#ifndef PASSES_PASSES_H
#define PASSES_PASSES_H

#include "ir/ir.h"

/* What a user may ask of a run. Decisions that change the result (partition, max_batch ...) are attributes of the
 * module, so that a dump says them. */
typedef struct {
    const char *disabled;   /* comma-separated pass names, or NULL; only optional passes may be named */
    const char *dump_after; /* a pass name, "all", or NULL */
    const char *dump_dir;   /* write dumps as DIR/NN-pass.lmir; NULL: append to *dump */
    bool dump_locations;
    text *dump;             /* where dumps go without dump_dir; may be NULL */
    const char *stop_after; /* end the run after this pass, or NULL */
    text *timing;           /* a table of times goes here, or NULL */
    /* What a driver does to the module between two passes, after hook_after; false after an error in d. The module is
     * verified again. hook_name goes into the timing. NULL: nothing. */
    bool (*hook)(ir_module *m, void *user, diag *d);
    const char *hook_after, *hook_name;
    void *hook_user;
} pass_options;

#define PASS(name, function, optional, meaning) bool pass_##function(ir_module *m, diag *d);
#include "passes/passes.def"

typedef struct {
    const char *name, *meaning;
    bool (*run)(ir_module *m, diag *d);
    bool optional;
} pass_info;

/* The rules for the places that a module has after pass number 'after' (check_memory.c). False after an error. */
bool passes_check_memory(const ir_module *m, int after, diag *d);

extern const pass_info passes[];
extern const int passes_count;
int pass_index(const char *name); /* or -1 */

/* Run the passes that come after the module's `after` attribute (all of them if it has none), verifying after each.
 * False after errors in d. A broken graph after a pass is our mistake and ends in ir_bug. */
bool passes_run(ir_module *m, const pass_options *o, diag *d);

#endif
