/* frontend/command/inspect.c - lamina inspect: what a compiled library says of itself. */
#include "frontend/command/cmd.h"
#include "frontend/command/data.h"
#include <inttypes.h>
#include <stdio.h>

static void print_shape(const lamina_tensor *t)
{
    printf("%s[", lamina_dtype_name(t->dtype));
    for (int32_t i = 0; i < t->rank; i++) {
        printf("%s", i ? ", " : "");
        if (i != t->batch_dim)
            printf("%" PRId64, t->dim[i]);
        else if (t->dim[i] == 1)
            printf("B");
        else
            printf("%" PRId64 "*B", t->dim[i]);
    }
    printf("]");
}

/* Of the library of one stage. */
static bool is_stage(const lamina_net *n)
{
    return n->struct_size >= offsetof(lamina_net, output_use) + sizeof n->output_use && (n->input_use || n->output_use);
}

/* Which of its functions use a value, and whether other stages do. */
static void print_use(int32_t use)
{
    bool forward = use & LAMINA_USE_FORWARD, backward = use & LAMINA_USE_BACKWARD;
    printf("  %s%s%s%s", use & LAMINA_USE_BOUNDARY ? "boundary, " : "", forward ? "forward" : "",
           forward && backward ? " and " : "", backward ? "backward" : "");
}

/* 'use' is NULL but for inputs and outputs of a stage. */
static void print_tensors(const char *title, const lamina_tensor *t, int32_t count, const int32_t *use)
{
    if (count)
        printf("%s\n", title);
    for (int32_t i = 0; i < count; i++) {
        printf("  %-32s ", t[i].name);
        print_shape(&t[i]);
        if (use)
            print_use(use[i]);
        printf("\n");
    }
}

static void print_functions(const lamina_net *n)
{
    const struct {
        const char *name;
        lamina_function *f;
    } functions[] = {{"infer", n->infer},
                     {"evaluate", n->evaluate},
                     {"train_step", n->train_step},
                     {"gradients", n->gradients},
                     {"update", n->update}};
    printf("functions\n");
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (functions[i].f)
            printf("  %s_%s\n", n->name, functions[i].name);
    if (is_stage(n))
        printf("  %s_forward\n  %s_backward\n", n->name, n->name);
    for (int32_t i = 0; i < n->stage_count && !is_stage(n); i++)
        printf("  stage %" PRId32 ": %s\n", i + 1, n->stages[i].name);
}

static void print_memory(const char *title, lamina_sizes s)
{
    printf("%s\n", title);
    printf("  %-32s %" PRIu64 "\n  %-32s %" PRIu64 "\n", "params", s.params, "state", s.state);
    printf("  %-32s %" PRIu64 "\n  %-32s %" PRIu64 "\n", "gradients", s.gradients, "saved", s.saved);
    printf("  %-32s %" PRIu64 " + %" PRIu64 " a worker\n", "workspace", s.workspace, s.worker);
}

static void print_net(const lamina_net *n)
{
    int64_t parameters = 0;
    for (int32_t i = 0; i < n->param_count; i++)
        parameters += (int64_t)n->tensors[i].bytes / (int64_t)lamina_dtype_bytes(n->tensors[i].dtype);
    printf("network %s (%s, ABI %d.%d, graph %s)\n", n->name, n->compiler, n->abi_major, n->abi_minor, n->hash);
    printf("cpu %s, needs %s\n", n->cpu, *n->features ? n->features : "nothing special");
    if (n->struct_size >= offsetof(lamina_net, needs) + sizeof n->needs && n->needs & LAMINA_NEEDS_SGEMM)
        printf("needs of its host: sgemm (compiled with --gemm=openblas)\n");
    printf("%" PRId64 " parameters, batches up to %" PRId64 "\n", parameters, n->max_batch);
    print_tensors("inputs", n->inputs, n->input_count, is_stage(n) ? n->input_use : NULL);
    print_tensors("outputs", n->outputs, n->output_count, is_stage(n) ? n->output_use : NULL);
    print_tensors("parameters", n->tensors, n->param_count, NULL);
    print_tensors("states", n->tensors + n->param_count, n->tensor_count - n->param_count, NULL);
    if (n->metric_count)
        printf("metrics\n");
    for (int32_t i = 0; i < n->metric_count; i++)
        printf("  %s\n", n->metrics[i].name);
    print_functions(n);
    print_memory("memory, bytes", lamina_net_sizes(n, false));
    if (!is_stage(n))
        print_memory("memory for inference alone, bytes", lamina_net_sizes(n, true));
}

int cmd_inspect(int argc, char **argv)
{
    const cmd_option options[] = {{0}};
    const cmd_syntax syntax = {"inspect", "lamina inspect NET.so",
                               "Prints a compiled library's tensors, functions and memory. Opening it runs its\n"
                               "constructors, as of any shared object: look only into libraries that you trust.",
                               options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    diag *d = diag_new();
    lamina_library *library = NULL;
    if (cmd_library(path, &library, d))
        print_net(lamina_library_net(library));
    lamina_library_free(library);
    code = cmd_report(d, false);
    diag_free(d);
    return code;
}
