/* frontend/command/bench_report.c - what a benchmark measured, as tables or as JSON. */
#include "frontend/command/bench.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} segments[] = {{"parameters", offsetof(lamina_net, params_bytes)},
                {"state", offsetof(lamina_net, state_bytes)},
                {"gradients", offsetof(lamina_net, gradient_bytes)},
                {"saved", offsetof(lamina_net, saved_bytes)},
                {"workspace", offsetof(lamina_net, workspace_bytes)},
                {"workspace_per_worker", offsetof(lamina_net, workspace_worker_bytes)},
                {"inference_state", offsetof(lamina_net, inference_state_bytes)},
                {"inference_workspace", offsetof(lamina_net, inference_workspace_bytes)},
                {"inference_workspace_per_worker", offsetof(lamina_net, inference_worker_bytes)}};
enum { SEGMENTS = sizeof segments / sizeof *segments };

static uint64_t segment_bytes(const lamina_net *n, int i)
{
    uint64_t bytes;
    memcpy(&bytes, (const char *)n + segments[i].offset, sizeof bytes);
    return bytes;
}

static int longest_label(const bench *b)
{
    size_t longest = 0;
    for (int32_t i = 0; i < b->kernel_count; i++)
        longest = strlen(b->kernels[i].label) > longest ? strlen(b->kernels[i].label) : longest;
    return (int)longest;
}

static void print_kernels(const bench *b)
{
    int width = longest_label(b);
    const char *function = "";
    printf("\npeaks: %.1f GFLOP/s; read from L2 %.1f, L3 %.1f, memory %.1f GB/s\n", 1e-9 * b->peaks.operations,
           1e-9 * b->peaks.l2, 1e-9 * b->peaks.l3, 1e-9 * b->peaks.memory);
    for (int32_t i = 0; i < b->kernel_count; i++) {
        const bench_kernel *k = &b->kernels[i];
        if (strcmp(function, k->function))
            printf("\n%-*s %-12s %10s %7s %10s %10s %9s %9s %-8s %6s\n", width, k->function, "kind", "us", "share %",
                   "GFLOP", "MB", "GFLOP/s", "GB/s", "bound", "of it %");
        function = k->function;
        printf("%-*s %-12s %10.2f %7.1f %10.6f %10.4f %9.1f %9.1f %-8s %6.1f\n", width, k->label, k->kind,
               1e6 * k->seconds, 100 * k->share, 1e-9 * k->operations, 1e-6 * k->bytes,
               1e-9 * k->operations / k->seconds, 1e-9 * k->bytes / k->seconds, k->bound, 100 * k->reached);
    }
}

static void print_epochs(const bench *b)
{
    int64_t records = lamina_dataset_count(b->data.train);
    printf("\n%" PRId64 " records, %" PRId64 " steps of %" PRId64 " an epoch\n", records, b->data.steps, b->data.batch);
    if (b->data.epochs)
        printf("%-20s %10s %10s\n", "epoch", "seconds", "examples/s");
    for (int32_t i = 0; i < b->data.measured.count; i++)
        printf("%-20d %10.4f %10.0f\n", (int)i + 1, b->data.measured.seconds[i],
               (double)records / b->data.measured.seconds[i]);
}

void bench_print_text(const bench *b)
{
    const lamina_net *n = b->net;
    printf("%s: batch %" PRId64 ", %" PRId64 " thread%s, %s with vectors of %d f32\n", n->name, b->batch, b->threads,
           b->threads == 1 ? "" : "s", n->cpu, (int)b->module->target.vector);
    printf("\n%-20s %10s %10s %14s %10s\n", "function", "median us", "least us", "examples/s", "GFLOP/s");
    for (int32_t i = 0; i < b->function_count; i++) {
        const bench_function *f = &b->functions[i];
        printf("%-20s %10.2f %10.2f %14.0f %10.1f\n", f->name, 1e6 * f->median, 1e6 * f->least,
               (double)f->examples / f->median, 1e-9 * f->operations / f->median);
    }
    if (b->data.asked)
        print_epochs(b);
    printf("\n%-30s %10.1f ms\n%-30s %10" PRId64 " bytes\n", "compiled in", 1e3 * b->compile_seconds, "library",
           b->library_bytes);
    for (int i = 0; i < SEGMENTS; i++)
        printf("%-30s %10" PRIu64 " bytes\n", segments[i].name, segment_bytes(n, i));
    if (b->kernel_count)
        print_kernels(b);
}

static json_t *functions_json(const bench *b)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < b->function_count; i++) {
        const bench_function *f = &b->functions[i];
        json_array_append_new(all,
                              json_pack("{s:s, s:f, s:f, s:f, s:f}", "name", f->name, "median_us", 1e6 * f->median,
                                        "least_us", 1e6 * f->least, "examples_per_s", (double)f->examples / f->median,
                                        "gflop_per_s", 1e-9 * f->operations / f->median));
    }
    return all;
}

static json_t *data_json(const bench *b)
{
    double records = (double)lamina_dataset_count(b->data.train);
    json_t *epochs = json_array();
    for (int32_t i = 0; i < b->data.measured.count; i++) {
        double seconds = b->data.measured.seconds[i];
        json_array_append_new(epochs, json_pack("{s:f, s:f}", "seconds", seconds, "examples_per_s", records / seconds));
    }
    return json_pack("{s:I, s:I, s:I, s:o}", "records", (json_int_t)records, "steps", (json_int_t)b->data.steps,
                     "step_examples", (json_int_t)b->data.batch, "epochs", epochs);
}

static json_t *kernels_json(const bench *b)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < b->kernel_count; i++) {
        const bench_kernel *k = &b->kernels[i];
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:s, s:f}", "function", k->function,
                                             "label", k->label, "kind", k->kind, "us", 1e6 * k->seconds, "share",
                                             k->share, "flop", k->operations, "bytes", k->bytes, "bound", k->bound,
                                             "reached", k->reached));
    }
    return all;
}

void bench_print_json(const bench *b)
{
    const lamina_net *n = b->net;
    json_t *memory = json_object();
    for (int i = 0; i < SEGMENTS; i++)
        json_object_set_new(memory, segments[i].name, json_integer((json_int_t)segment_bytes(n, i)));
    json_t *all = json_pack("{s:s, s:s, s:I, s:I, s:f, s:I, s:o, s:o}", "net", n->name, "cpu", n->cpu, "batch",
                            (json_int_t)b->batch, "threads", (json_int_t)b->threads, "compile_ms",
                            1e3 * b->compile_seconds, "library_bytes", (json_int_t)b->library_bytes, "memory_bytes",
                            memory, "functions", functions_json(b));
    if (b->data.asked)
        json_object_set_new(all, "data", data_json(b));
    if (b->kernel_count) {
        json_object_set_new(all, "peaks",
                            json_pack("{s:f, s:f, s:f, s:f}", "gflop_per_s", 1e-9 * b->peaks.operations, "l2_gb_per_s",
                                      1e-9 * b->peaks.l2, "l3_gb_per_s", 1e-9 * b->peaks.l3, "memory_gb_per_s",
                                      1e-9 * b->peaks.memory));
        json_object_set_new(all, "kernels", kernels_json(b));
    }
    char *words = json_dumps(all, JSON_INDENT(2));
    puts(words ? words : "");
    free(words);
    json_decref(all);
}
