/* backend/library/header.c - the C header of a compiled net.
 *
 * Sizes as constants, the exported functions, and over each of them a static inline function with typed parameters, so
 * that a later field of lamina_call breaks no caller. The text is C99 and C++17 alike: no designated initialisers, no
 * compound literals.
 *
 * Names of the user's never stand alone: a parameter is called image_in or logits_out, a constant NET_INPUT_IMAGE. So
 * none is a word of C or C++, a type, a macro or a function, whatever else a program includes. */
#include "backend/backend.h"
#include "backend/library/interface.h"
#include "runtime/lamina_abi.h"
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#ifndef LAMINA_VERSION
#define LAMINA_VERSION "0.1"
#endif

typedef struct {
    const ir_module *module;
    const be_interface *interface;
    arena *mem;
    text *out;
    const char *prefix, *upper;                /* net, NET */
    const char **inputs, **outputs, **tensors; /* their names in C, before what makes them parameters or constants */
} header;

/* ---- names and types ---- */

static const char *c_type(ir_dtype t)
{
    static const char *const names[IR_NDTYPES] = {
        [IR_F32] = "float",     [IR_F64] = "double",  [IR_I32] = "int32_t", [IR_I64] = "int64_t",
        [IR_UI32] = "uint32_t", [IR_UI8] = "uint8_t", [IR_I1] = "uint8_t"};
    return names[t];
}

static bool is_one_of(const char *name, const char *const *list, int count)
{
    for (int i = 0; i < count; i++)
        if (strcasecmp(list[i], name) == 0)
            return true;
    return false;
}

/* As an identifier, other than the 'count' before it in more than the case of letters, which constants do not keep:
 * "a.b", "a_b" and "A_B" become a_b, a_b_ and A_B__. */
static const char *new_name(header *h, const char *name, const char *const *before, int count)
{
    const char *clean = be_identifier(h->mem, name);
    while (is_one_of(clean, before, count))
        clean = arena_printf(h->mem, "%s_", clean);
    return clean;
}

static const char **name_values(header *h, const be_value *values, int count)
{
    const char **list = arena_new_array(h->mem, const char *, (size_t)count);
    for (int i = 0; i < count; i++)
        list[i] = new_name(h, values[i].name, list, i);
    return list;
}

static void name_all(header *h)
{
    const be_interface *f = h->interface;
    h->inputs = name_values(h, f->inputs, f->input_count);
    h->outputs = name_values(h, f->outputs, f->output_count);
    h->tensors = arena_new_array(h->mem, const char *, (size_t)f->tensor_count);
    for (int i = 0; i < f->tensor_count; i++)
        h->tensors[i] = new_name(h, f->tensors[i]->name, h->tensors, i);
}

/* The function with typed parameters: prefix_run_function, unless a stage called 'run' has that name. */
static const char *typed_name(const header *h, const ir_graph *f)
{
    const char *name = arena_printf(h->mem, "%s_run_%s", h->prefix, be_identifier(h->mem, f->name));
    for (const ir_graph *other = h->module->functions; other;) {
        bool taken = strcmp(name, be_function_symbol(h->interface, h->mem, other->name)) == 0;
        name = taken ? arena_printf(h->mem, "%s_", name) : name;
        other = taken ? h->module->functions : other->next;
    }
    return name;
}

/* "[batch][28][28]"; a scalar has nothing. */
static void add_shape(header *h, const ir_type *t)
{
    for (int i = 0; i < t->rank; i++) {
        if (!t->dim[i].batch)
            text_printf(h->out, "[%" PRId64 "]", t->dim[i].n);
        else if (t->dim[i].n == 1)
            text_add(h->out, "[batch]");
        else
            text_printf(h->out, "[%" PRId64 " * batch]", t->dim[i].n);
    }
}

/* Text of the user's inside a comment must neither end it nor seem to begin one. */
static const char *comment_text(header *h, const char *s)
{
    char *copy = arena_strdup(h->mem, s);
    for (char *c = copy; *c; c++)
        if ((*c == '*' && c[1] == '/') || (*c == '/' && c[1] == '*') || (unsigned char)*c < ' ' || *c == '\\')
            *c = '_';
    return copy;
}

/* ---- constants ---- */

static void add_number(header *h, const char *name, int64_t value, const char *meaning)
{
    text_printf(h->out, "#define %s_%s %" PRId64 "%s%s%s\n", h->upper, name, value, *meaning ? " /* " : "", meaning,
                *meaning ? " */" : "");
}

static void add_workspace(header *h, const char *ending, int64_t base, int64_t worker)
{
    add_number(h, arena_printf(h->mem, "WORKSPACE_BASE_BYTES%s", ending), base, "");
    add_number(h, arena_printf(h->mem, "WORKSPACE_WORKER_BYTES%s", ending), worker, "");
    text_printf(h->out,
                "#define %s_WORKSPACE_BYTES%s(workers) \\\n"
                "    (%s_WORKSPACE_BASE_BYTES%s + (workers) * %s_WORKSPACE_WORKER_BYTES%s)\n",
                h->upper, ending, h->upper, ending, h->upper, ending);
}

static void add_sizes(header *h)
{
    const be_interface *f = h->interface;
    text_add(h->out, "\n/* ---- sizes, in bytes; buffers are aligned to 64 bytes ---- */\n\n");
    add_number(h, "MAX_BATCH", f->max_batch, "examples in one call, at most");
    add_number(h, "PARAMS_BYTES", f->params_bytes, "");
    add_number(h, "STATE_BYTES", f->state_bytes, "optimizer moments, step, seed, metric sums");
    add_number(h, "GRADIENT_BYTES", f->gradient_bytes, "for gradients and update; train_step needs none");
    add_number(h, "SAVED_BYTES", f->saved_bytes, "for the functions of stages");
    add_workspace(h, "", f->workspace_bytes, f->workspace_worker_bytes);
    text_add(h->out, "\n/* How much infer and evaluate use of them, which use neither gradients nor saved. A state "
                     "that lies beyond\n"
                     " * is NULL then in a lamina_weights. */\n");
    add_number(h, "STATE_BYTES_INFERENCE", f->inference_state_bytes, "");
    add_workspace(h, "_INFERENCE", f->inference_workspace_bytes, f->inference_worker_bytes);
}

static void add_values(header *h, const char *kind, const be_value *values, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        text_printf(h->out, "    %s_%s_%s = %d, /* %s", h->upper, kind, be_upper_case(h->mem, names[i]), i,
                    c_type(values[i].type.dtype));
        add_shape(h, &values[i].type);
        text_add(h->out, " */\n");
    }
    text_printf(h->out, "    %s_%sS = %d", h->upper, kind, count);
}

static void add_tensors(header *h)
{
    const be_interface *f = h->interface;
    for (int i = 0; i < f->tensor_count; i++) {
        const ir_symbol *s = f->tensors[i];
        text_printf(h->out, "    %s_TENSOR_%s = %d, /* %s", h->upper, be_upper_case(h->mem, h->tensors[i]), i,
                    c_type(s->type.dtype));
        add_shape(h, &s->type);
        text_add(h->out, i < f->param_count ? " */\n" : ", state */\n");
    }
    text_printf(h->out, "    %s_TENSORS = %d", h->upper, f->tensor_count);
}

static void add_enumerations(header *h)
{
    text_add(h->out, "\n/* ---- numbers of inputs, outputs and tensors ---- */\n\nenum {\n");
    add_values(h, "INPUT", h->interface->inputs, h->inputs, h->interface->input_count);
    text_add(h->out, ",\n");
    add_values(h, "OUTPUT", h->interface->outputs, h->outputs, h->interface->output_count);
    text_add(h->out, "\n};\n\n/* Of import_weights and export_weights: plain row-major tensors. */\nenum {\n");
    add_tensors(h);
    text_add(h->out, "\n};\n");
}

/* ---- what a function takes ---- */

static const char *meaning_of(const char *function)
{
    static const struct {
        const char *name, *meaning;
    } known[] = {
        {"infer", "Outputs for a batch of inputs. Stops between kernels once *cancel is not 0; cancel may be NULL."},
        {"evaluate", "Adds the batch's losses and metrics to the sums in the state; trains nothing."},
        {"train_step", "One step of training: forward, backward, and the parameters' update."},
        {"gradients", "Forward and backward: stores the gradients of these examples. Who takes a step on several\n"
                      " * micro-batches adds them up in between, as LAMINA_NEEDS_SUMS says."},
        {"update", "Updates the parameters from the gradients that were stored before."},
        {"forward", "The stage's values, and what its backward needs again in 'saved', one for each micro-batch on the "
                    "way."},
        {"backward", "After the same micro-batch's forward, with its 'saved' and inputs: stores its gradients."}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, function) == 0)
            return known[i].meaning;
    return "A stage's part of the step.";
}

/* ---- typed functions ---- */

static const struct {
    const char *name, *type, *meaning;
} call_fields[] = {
    {"learning_rate", "float", "of this step"},
    {"loss_scale", "float", "1 / examples of the whole batch gives the gradient of the mean loss"},
    {"micro_batch", "int64_t", "0 for the first part of a batch, 1 for the second, ..."},
};

enum { CALL_FIELDS = sizeof call_fields / sizeof *call_fields };

static bool is_infer(const ir_graph *f)
{
    return strcmp(f->name, "infer") == 0;
}

static void add_value_comment(header *h, const char *what, const be_value *v)
{
    text_printf(h->out, " *   %s %s: %s", what, comment_text(h, v->name), c_type(v->type.dtype));
    add_shape(h, &v->type);
    text_add(h->out, "\n");
}

static void add_function_comment(header *h, const ir_graph *f)
{
    const be_interface *i = h->interface;
    text_printf(h->out, "\n/* %s\n", meaning_of(f->name));
    for (int n = 0; n < i->input_count; n++)
        if (be_takes_input(f, i->inputs[n].name))
            add_value_comment(h, "in  ", &i->inputs[n]);
    for (int n = 0; n < i->output_count; n++)
        if (be_gives_output(f, i->outputs[n].name))
            add_value_comment(h, "out ", &i->outputs[n]);
    for (int n = 0; n < CALL_FIELDS; n++)
        if (be_takes_field(f, call_fields[n].name))
            text_printf(h->out, " *   %s: %s\n", call_fields[n].name, call_fields[n].meaning);
    text_add(h->out, " * Gives LAMINA_CALL_OK or the reason why nothing was done. */\n");
}

static void add_parameters(header *h, const ir_graph *f)
{
    const be_interface *i = h->interface;
    text_printf(h->out, "static inline int32_t %s(\n    const %s_memory *net, int64_t batch", typed_name(h, f),
                h->prefix);
    for (int n = 0; n < i->input_count; n++)
        if (be_takes_input(f, i->inputs[n].name))
            text_printf(h->out, ", const %s *%s_in", c_type(i->inputs[n].type.dtype), h->inputs[n]);
    for (int n = 0; n < i->output_count; n++)
        if (be_gives_output(f, i->outputs[n].name))
            text_printf(h->out, ", %s *%s_out", c_type(i->outputs[n].type.dtype), h->outputs[n]);
    for (int n = 0; n < CALL_FIELDS; n++)
        if (be_takes_field(f, call_fields[n].name))
            text_printf(h->out, ", %s %s", call_fields[n].type, call_fields[n].name);
    text_add(h->out, is_infer(f) ? ", const volatile int32_t *cancel)\n" : ")\n");
}

/* "const void *inputs[2] = {image_in, NULL};" */
static void add_inputs(header *h, const ir_graph *f)
{
    const be_interface *i = h->interface;
    text_printf(h->out, "    const void *inputs[%d] = {", i->input_count ? i->input_count : 1);
    for (int n = 0; n < i->input_count; n++) {
        bool taken = be_takes_input(f, i->inputs[n].name);
        text_printf(h->out, "%s%s%s", n ? ", " : "", taken ? h->inputs[n] : "NULL", taken ? "_in" : "");
    }
    text_add(h->out, i->input_count ? "};\n" : "NULL};\n");
}

static void add_outputs(header *h, const ir_graph *f)
{
    const be_interface *i = h->interface;
    text_printf(h->out, "    void *outputs[%d] = {", i->output_count ? i->output_count : 1);
    for (int n = 0; n < i->output_count; n++) {
        bool given = be_gives_output(f, i->outputs[n].name);
        text_printf(h->out, "%s%s%s", n ? ", " : "", given ? h->outputs[n] : "NULL", given ? "_out" : "");
    }
    text_add(h->out, i->output_count ? "};\n" : "NULL};\n");
}

static void add_typed_function(header *h, const ir_graph *f)
{
    const be_interface *i = h->interface;
    add_function_comment(h, f);
    add_parameters(h, f);
    text_add(h->out, "{\n");
    add_inputs(h, f);
    add_outputs(h, f);
    text_printf(h->out, "    lamina_call call = %s_make_call(net, batch, inputs, outputs);\n", h->prefix);
    for (int n = 0; n < CALL_FIELDS; n++)
        if (be_takes_field(f, call_fields[n].name))
            text_printf(h->out, "    call.%s = %s;\n", call_fields[n].name, call_fields[n].name);
    if (is_infer(f))
        text_add(h->out, "    call.cancel = cancel;\n");
    text_printf(h->out, "    return %s(&call);\n}\n", be_function_symbol(i, h->mem, f->name));
}

/* ---- the rest ---- */

static void add_opening(header *h)
{
    const char *source = comment_text(h, h->interface->source);
    text_printf(h->out, "/* %s.h - the compiled net '%s'%s%s.\n", h->prefix, comment_text(h, h->module->name),
                *source ? ", from " : "", source);
    text_printf(
        h->out,
        " *\n"
        " * Generated by lamina " LAMINA_VERSION
        "; link the library made with it. lamina_abi.h comes with Lamina's runtime.\n"
        " *\n"
        " *     %s_memory net = {0};     (in C++: {})\n"
        " *     net.params = aligned_alloc(64, %s_PARAMS_BYTES);     the other segments alike\n"
        " *     %s_import_weights(&weights);     plain row-major tensors, states too\n"
        " *     %s_run_%s(&net, batch, ...);\n"
        " *\n"
        " * Functions keep nothing: memory, threads and files are the caller's, and calls with memory of their own\n"
        " * run side by side. Outputs must not overlap inputs. */\n",
        h->prefix, h->upper, h->prefix, h->prefix, be_is_stage(h->module) ? "forward" : "infer");
    text_printf(h->out, "#ifndef %s_H\n#define %s_H\n\n#include \"lamina_abi.h\"\n#include <stddef.h>\n", h->upper,
                h->upper);
    text_add(h->out, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
}

static void add_declarations(header *h)
{
    text_printf(h->out, "\n/* ---- the library's functions ---- */\n\n");
    for (const ir_graph *f = h->module->functions; f; f = f->next)
        text_printf(h->out, "int32_t %s(const lamina_call *call);\n",
                    be_function_symbol(h->interface, h->mem, f->name));
    text_printf(h->out,
                "int32_t %s_import_weights(const lamina_weights *weights);\n"
                "int32_t %s_export_weights(const lamina_weights *weights);\n"
                "/* The description of this net, or NULL if abi_major is not %d. */\n"
                "const lamina_net *%s_query(int32_t abi_major);\n",
                h->prefix, h->prefix, LAMINA_ABI_MAJOR, h->prefix);
}

static void add_memory(header *h)
{
    bool needs_sgemm = be_module_takes_field(h->module, "sgemm");
    text_printf(
        h->out,
        "\n/* ---- typed calls ---- */\n\n"
        "/* The memory of one instance. A pointer that no function in use needs may be NULL; workers below 2, or no\n"
        " * parallel_for, means the calling thread alone. */\n"
        "typedef struct %s_memory {\n"
        "    void *params, *state, *gradients, *saved, *workspace;\n"
        "    int64_t workers;\n"
        "    lamina_parallel_for *parallel_for;\n"
        "    void *host; /* passed to parallel_for */\n"
        "%s"
        "} %s_memory;\n\n",
        h->prefix,
        needs_sgemm ? "    lamina_sgemm *sgemm; /* cblas_sgemm; must not be NULL: compiled with --gemm=openblas, so\n"
                      "                          * that the bits of products are that library's */\n"
                    : "",
        h->prefix);
    text_printf(h->out,
                "static inline lamina_call %s_make_call(\n"
                "    const %s_memory *net, int64_t batch, const void *const *inputs, void *const *outputs)\n"
                "{\n"
                "    lamina_call call;\n"
                "    call.struct_size = sizeof call;\n"
                "    call.batch = batch;\n"
                "    call.params = net->params;\n"
                "    call.state = net->state;\n"
                "    call.gradients = net->gradients;\n"
                "    call.inputs = inputs;\n"
                "    call.outputs = outputs;\n"
                "    call.saved = net->saved;\n"
                "    call.workspace = net->workspace;\n"
                "    call.workers = net->workers > 1 ? net->workers : 1;\n"
                "    call.parallel_for = net->parallel_for;\n"
                "    call.host = net->host;\n"
                "    call.micro_batch = 0;\n"
                "    call.learning_rate = 0;\n"
                "    call.loss_scale = 0;\n"
                "    call.cancel = NULL;\n"
                "    call.sgemm = %s;\n"
                "    return call;\n"
                "}\n",
                h->prefix, h->prefix, needs_sgemm ? "net->sgemm" : "NULL");
}

void be_header(const ir_module *m, text *out)
{
    arena *mem = arena_new();
    be_interface interface;
    be_interface_read(m, mem, &interface);
    header h = {.module = m, .interface = &interface, .mem = mem, .out = out, .prefix = interface.prefix};
    h.upper = be_upper_case(mem, h.prefix);
    name_all(&h);
    add_opening(&h);
    add_sizes(&h);
    add_enumerations(&h);
    add_declarations(&h);
    add_memory(&h);
    for (const ir_graph *f = m->functions; f; f = f->next)
        add_typed_function(&h, f);
    text_add(out, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
    arena_free(mem);
}
