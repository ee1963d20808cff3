/* backend/library/interface.c - collect what a planned module shows its users; the fields are described in
 * interface.h. */
#include "backend/library/interface.h"
#include "runtime/lamina_abi.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

double be_module_real(const ir_attr *list, const char *name, double fallback)
{
    const ir_attr *a = ir_attr_find(list, name);
    return a && !a->word && a->count > 0 ? a->number[0] : fallback;
}

int64_t be_module_number(const ir_attr *list, const char *name, int64_t fallback)
{
    return (int64_t)be_module_real(list, name, (double)fallback);
}

const char *be_module_word(const ir_attr *list, const char *name, const char *fallback)
{
    const ir_attr *a = ir_attr_find(list, name);
    return a && a->word ? a->word : fallback;
}

const char *be_identifier(arena *mem, const char *name)
{
    bool digit = isdigit((unsigned char)*name);
    char *copy = arena_printf(mem, "%s%s", digit || !*name ? "_" : "", name);
    for (char *c = copy; *c; c++)
        if (!isalnum((unsigned char)*c) || (unsigned char)*c > 127)
            *c = '_';
    return copy;
}

const char *be_upper_case(arena *mem, const char *name)
{
    char *copy = arena_strdup(mem, name);
    for (char *c = copy; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return copy;
}

/* What begins with lamina_ in C, or LAMINA_, is the runtime's. */
const char *be_prefix(arena *mem, const char *name)
{
    static const char ours[] = "lamina";
    const char *clean = be_identifier(mem, name);
    char after = strncasecmp(clean, ours, sizeof ours - 1) ? 'x' : clean[sizeof ours - 1];
    return after == '_' || !after ? arena_printf(mem, "net_%s", clean) : clean;
}

const char *be_function_symbol(const be_interface *i, arena *mem, const char *function)
{
    return arena_printf(mem, "%s_%s", i->prefix, be_identifier(mem, function));
}

/* ---- tensors ---- */

static int add_symbols(const ir_module *m, ir_segment segment, be_interface *out)
{
    int before = out->tensor_count;
    for (const ir_symbol *s = m->symbols; s; s = s->next)
        if (s->segment == segment)
            out->tensors[out->tensor_count++] = s;
    return out->tensor_count - before;
}

static void read_tensors(const ir_module *m, arena *mem, be_interface *out)
{
    size_t count = 0;
    for (const ir_symbol *s = m->symbols; s; s = s->next)
        count++;
    out->tensors = arena_new_array(mem, const ir_symbol *, count);
    out->param_count = add_symbols(m, SEG_PARAM, out);
    add_symbols(m, SEG_STATE, out);
}

/* ---- inputs and outputs: the rows say which and in what order, the functions say their types ---- */

static const ir_type *input_type(const ir_module *m, const char *name)
{
    for (const ir_graph *f = m->functions; f; f = f->next)
        for (int i = 0; i < f->ninputs; i++)
            if (f->inputs[i]->name && strcmp(f->inputs[i]->name, name) == 0)
                return &f->inputs[i]->type;
    return NULL;
}

static const ir_type *output_type(const ir_module *m, const char *name)
{
    for (const ir_graph *f = m->functions; f; f = f->next)
        for (int i = 0; f->result_names && i < f->nresults; i++)
            if (f->result_names[i] && strcmp(f->result_names[i], name) == 0)
                return &f->results[i]->type;
    return NULL;
}

typedef const ir_type *type_finder(const ir_module *m, const char *name);

/* A row whose name no function has keeps its number, as a scalar nobody reads. */
static be_value *read_values(const ir_module *m, const char *kind, type_finder *find, arena *mem, int *count)
{
    int n = 0;
    for (const ir_row *r = m->rows; r; r = r->next)
        n += strcmp(r->kind, kind) == 0;
    be_value *out = arena_new_array(mem, be_value, (size_t)n);
    *count = 0;
    for (const ir_row *r = m->rows; r; r = r->next) {
        if (strcmp(r->kind, kind) != 0)
            continue;
        const ir_type *type = find(m, r->name);
        out[(*count)++] = (be_value){r->name, type ? *type : ir_type_scalar(IR_F32)};
    }
    return out;
}

/* A module without such rows numbers what its functions take and give by position: the longest list stands. */
static be_value *count_inputs(const ir_module *m, arena *mem, int *count)
{
    const ir_graph *longest = NULL;
    for (const ir_graph *f = m->functions; f; f = f->next)
        if (!longest || f->ninputs > longest->ninputs)
            longest = f;
    *count = longest ? longest->ninputs : 0;
    be_value *out = arena_new_array(mem, be_value, (size_t)*count);
    for (int i = 0; i < *count; i++) {
        const ir_node *n = longest->inputs[i];
        out[i] = (be_value){n->name ? n->name : arena_printf(mem, "input%d", i), n->type};
    }
    return out;
}

static be_value *count_outputs(const ir_module *m, arena *mem, int *count)
{
    const ir_graph *longest = NULL;
    for (const ir_graph *f = m->functions; f; f = f->next)
        if (!longest || f->nresults > longest->nresults)
            longest = f;
    *count = longest ? longest->nresults : 0;
    be_value *out = arena_new_array(mem, be_value, (size_t)*count);
    for (int i = 0; i < *count; i++)
        out[i] = (be_value){longest->result_names[i], longest->results[i]->type};
    return out;
}

void be_interface_read(const ir_module *m, arena *mem, be_interface *out)
{
    const ir_attr *a = m->attrs;
    *out = (be_interface){.prefix = be_prefix(mem, m->name),
                          .hash = be_module_word(a, "hash", ""),
                          .source = be_module_word(a, "source", ""),
                          .max_batch = be_module_number(a, "max_batch", 128),
                          .params_bytes = be_module_number(a, "params_bytes", 0),
                          .state_bytes = be_module_number(a, "state_bytes", 0),
                          .gradient_bytes = be_module_number(a, "gradient_bytes", 0),
                          .saved_bytes = be_module_number(a, "saved_bytes", 0),
                          .workspace_bytes = be_module_number(a, "workspace_bytes", 0),
                          .workspace_worker_bytes = be_module_number(a, "workspace_worker_bytes", 0)};
    out->inference_state_bytes = be_module_number(a, "inference_state_bytes", out->state_bytes);
    out->inference_workspace_bytes = be_module_number(a, "inference_workspace_bytes", out->workspace_bytes);
    out->inference_worker_bytes = be_module_number(a, "inference_worker_bytes", out->workspace_worker_bytes);
    read_tensors(m, mem, out);
    out->inputs = read_values(m, "input", input_type, mem, &out->input_count);
    out->outputs = read_values(m, "output", output_type, mem, &out->output_count);
    if (!out->input_count)
        out->inputs = count_inputs(m, mem, &out->input_count);
    if (!out->output_count)
        out->outputs = count_outputs(m, mem, &out->output_count);
}

int be_tensor_index(const be_interface *i, const char *name)
{
    for (int t = 0; t < i->tensor_count; t++)
        if (strcmp(i->tensors[t]->name, name) == 0)
            return t;
    return -1;
}

static int value_index(const be_value *list, int count, const char *name)
{
    for (int v = 0; v < count; v++)
        if (strcmp(list[v].name, name) == 0)
            return v;
    return -1;
}

int be_input_index(const be_interface *i, const char *name)
{
    return value_index(i->inputs, i->input_count, name);
}

int be_output_index(const be_interface *i, const char *name)
{
    return value_index(i->outputs, i->output_count, name);
}

bool be_takes_input(const ir_graph *f, const char *name)
{
    for (int i = 0; i < f->ninputs; i++)
        if (f->inputs[i]->name && strcmp(f->inputs[i]->name, name) == 0)
            return true;
    return false;
}

bool be_gives_output(const ir_graph *f, const char *name)
{
    for (int i = 0; f->result_names && i < f->nresults; i++)
        if (f->result_names[i] && strcmp(f->result_names[i], name) == 0)
            return true;
    return false;
}

bool be_is_stage(const ir_module *m)
{
    return ir_function_find(m, "forward") && ir_function_find(m, "backward");
}

int32_t be_stage_use(const ir_module *m, const char *kind, const char *name, be_takes *has)
{
    const ir_graph *forward = ir_function_find(m, "forward"), *backward = ir_function_find(m, "backward");
    const ir_row *row = ir_row_find(m, kind, name);
    return (forward && has(forward, name) ? LAMINA_USE_FORWARD : 0) |
           (backward && has(backward, name) ? LAMINA_USE_BACKWARD : 0) |
           (row && ir_attr_find(row->attrs, "boundary") ? LAMINA_USE_BOUNDARY : 0);
}

bool be_takes_field(const ir_graph *f, const char *field)
{
    for (const ir_node *n = f->first; n; n = n->next)
        if (n->op == IR_CALL_VALUE && ir_word_is(n, "field", field))
            return true;
    return false;
}

bool be_module_takes_field(const ir_module *m, const char *field)
{
    for (const ir_graph *f = m->functions; f; f = f->next)
        if (be_takes_field(f, field))
            return true;
    return false;
}
