/* backend/library/interface.h - what a planned module shows its users: names, tensors, inputs, outputs and sizes.
 * The descriptor and the C header are written from it. */
#ifndef BACKEND_INTERFACE_H
#define BACKEND_INTERFACE_H

#include "ir/ir.h"

typedef struct {
    const char *name;
    ir_type type;
} be_value;

typedef struct {
    const char *prefix; /* the module's name as a C identifier; net_lamina for a net called lamina */
    const char *hash, *source;
    int64_t max_batch;
    int64_t params_bytes, state_bytes, gradient_bytes, saved_bytes, workspace_bytes, workspace_worker_bytes;
    int64_t inference_state_bytes, inference_workspace_bytes, inference_worker_bytes; /* of infer and evaluate */
    const ir_symbol **tensors;                                                        /* parameters, then states */
    int tensor_count, param_count;
    be_value *inputs, *outputs; /* in the network's order */
    int input_count, output_count;
} be_interface;

void be_interface_read(const ir_module *m, arena *mem, be_interface *out);

/* Does a function ask for this field of the call? And does any of the module? */
bool be_takes_field(const ir_graph *f, const char *field);
bool be_module_takes_field(const ir_module *m, const char *field);

/* Does a function take an input, or give an output, of that name? */
typedef bool be_takes(const ir_graph *f, const char *name);
be_takes be_takes_input, be_gives_output;

/* Is it the module of one stage alone, as pass separate makes it? And LAMINA_USE_ bits of one of its inputs
 * (be_takes_input) or outputs (be_gives_output). */
bool be_is_stage(const ir_module *m);
int32_t be_stage_use(const ir_module *m, const char *kind, const char *name, be_takes *has);

/* The index of a tensor, an input or an output by name, or -1. */
int be_tensor_index(const be_interface *i, const char *name);
int be_input_index(const be_interface *i, const char *name);
int be_output_index(const be_interface *i, const char *name);

/* In capitals. */
const char *be_upper_case(arena *mem, const char *name);
/* A name as a C identifier: what is neither letter nor digit becomes '_'. */
const char *be_identifier(arena *mem, const char *name);
/* A module's name as what its symbols begin with. */
const char *be_prefix(arena *mem, const char *name);
/* prefix_function, the exported symbol of a module's function. */
const char *be_function_symbol(const be_interface *i, arena *mem, const char *function);

/* A module's attribute: its first number, or its word. */
int64_t be_module_number(const ir_attr *list, const char *name, int64_t fallback);
const char *be_module_word(const ir_attr *list, const char *name, const char *fallback);
/* As above, for numbers that need not be whole. */
double be_module_real(const ir_attr *list, const char *name, double fallback);

/* Does the module keep what the backend takes for granted after plan_memory (check.c)? False after an error in d. */
bool be_check(const ir_module *m, diag *d);

#endif
