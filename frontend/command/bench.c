/* frontend/command/bench.c - lamina bench: how fast a network's functions are, and with --roofline each kernel.
 *
 * Inputs are random numbers; learning goes on at a rate so small that a thousand steps change little, and nothing
 * decays to numbers that are slow to compute with. With --data they are the network's own, and it learns. */
#include "frontend/command/bench.h"
#include "frontend/command/data.h"
#include "ir/graph/cost.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    cmd_build build;
    int64_t threads, batch;
    const char *seconds;
    bool roofline, json, data;
    int64_t epochs;
} bench_options;

static bool fail(bench *b, const lamina_error *e)
{
    diag_error(b->d, (src_loc){0}, "%s", e->text);
    return false;
}

/* ---- compiling ---- */

static bool check_data(bench *b)
{
    const src_loc place = {b->path, 0, 0};
    if (!b->network)
        diag_error(b->d, place, "--data needs the YAML: an IR text has no data");
    else if (!fe_data(b->network, "train")->present)
        diag_error(b->d, place, "--data: expected 'data:' with a 'train:' set, found none");
    return !diag_errors(b->d);
}

static bool load(bench *b, const bench_options *o)
{
    b->module = cmd_load(b->path, &o->build, b->mem, &b->network, b->d);
    if (!b->module || (o->data && !check_data(b)))
        return false;
    int64_t most = (int64_t)ir_attr_find(b->module->attrs, "max_batch")->number[0];
    b->batch = o->batch ? o->batch : most;
    b->threads = o->threads ? o->threads : lamina_processors();
    if (b->batch <= most)
        return true;
    diag_error(b->d, (src_loc){0}, "--batch=%" PRId64 ": expected at most the largest batch of a call, %" PRId64,
               b->batch, most);
    return false;
}

static bool compile(bench *b, const bench_options *o, lamina_library **library)
{
    struct stat file;
    const char *path = cmd_temporary(b->mem, arena_printf(b->mem, "%s.so", b->module->name), b->d);
    const be_options output = {BE_SO, path, false, NULL};
    double start = cmd_seconds();
    bool ok = path && cmd_run_passes(b->module, &o->build, b->d) && be_compile(b->module, &output, b->d);
    b->compile_seconds = cmd_seconds() - start;
    ok = ok && cmd_library(path, library, b->d) && stat(path, &file) == 0;
    if (path)
        cmd_temporary_remove(b->mem, path);
    if (ok) {
        b->library_bytes = file.st_size;
        b->net = lamina_library_net(*library);
    }
    return ok;
}

/* ---- data ---- */

static uint32_t next_random(uint32_t *state) /* xorshift */
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

/* Labels are classes, bytes any byte, floats in [-1, 1). Of other whole numbers 0 and 1 are surely in range. */
static void fill_input(const lamina_tensor *t, int64_t classes, void *data, size_t elements, uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 12345;
    for (size_t i = 0; i < elements; i++) {
        uint32_t r = next_random(&state) >> 8;
        if (t->dtype == LAMINA_F32)
            ((float *)data)[i] = (float)r * 0x1p-23f - 1;
        else if (t->dtype == LAMINA_UI8)
            ((uint8_t *)data)[i] = (uint8_t)r;
        else if (t->dtype == LAMINA_I32)
            ((int32_t *)data)[i] = (int32_t)(r % (uint32_t)(classes ? classes : 2));
    }
}

static size_t value_bytes(const bench *b, const lamina_tensor *t)
{
    return (size_t)t->bytes * (t->batch_dim >= 0 ? (size_t)b->batch : 1);
}

static void copy_records(const bench *b, int32_t input, char *data)
{
    uint64_t bytes = b->net->inputs[input].bytes;
    for (int64_t i = 0; i < b->batch; i++)
        memcpy(data + (uint64_t)i * bytes, lamina_dataset_record(b->data.train, input, i), bytes);
}

void bench_data(bench *b)
{
    const lamina_net *n = b->net;
    b->inputs = arena_new_array(b->mem, const void *, (size_t)n->input_count + 1);
    b->outputs = arena_new_array(b->mem, void *, (size_t)n->output_count + 1);
    for (int32_t i = 0; i < n->input_count; i++) {
        const lamina_tensor *t = &n->inputs[i];
        void *data = arena_array(b->mem, value_bytes(b, t), 1);
        if (b->data.train)
            copy_records(b, i, data);
        else
            fill_input(t, b->network ? fe_classes(b->network, t->name) : 0, data,
                       value_bytes(b, t) / lamina_dtype_bytes(t->dtype), (uint32_t)i + 1);
        b->inputs[i] = data;
    }
    for (int32_t i = 0; i < n->output_count; i++)
        b->outputs[i] = arena_array(b->mem, value_bytes(b, &n->outputs[i]), 1);
}

/* ---- functions ---- */

static void add_part(bench *b, bench_function *f, const char *part)
{
    f->parts = arena_grown(b->mem, f->parts, (size_t)f->part_count, sizeof *f->parts);
    f->parts[f->part_count++] = part;
    f->operations += ir_function_cost(ir_function_find(b->module, part), f->examples).operations;
}

/* From the last stage to the first, as the way back goes. */
static void add_stage_parts(bench *b, bench_function *f, const char *what)
{
    for (int32_t i = b->net->stage_count - 1; i >= 0; i--)
        add_part(b, f, arena_printf(b->mem, "%s.%s", b->net->stages[i].name, what));
}

static bool list_functions(bench *b)
{
    const lamina_net *n = b->net;
    bench_function *f = b->functions;
    f[0].examples = b->data.asked ? b->data.batch : b->batch;
    f[1].examples = b->batch;
    if (n->stage_count) {
        f->name = "train_step";
        for (int32_t i = 0; i < n->stage_count; i++)
            add_part(b, f, arena_printf(b->mem, "%s.forward", n->stages[i].name));
        add_stage_parts(b, f, n->stages[0].backward_update ? "backward_update" : "backward");
        if (!n->stages[0].backward_update)
            add_stage_parts(b, f, "update");
        f++;
    } else if (n->train_step) {
        f->name = "train_step";
        add_part(b, f++, "train_step");
    }
    if (n->infer) {
        f->name = "infer";
        add_part(b, f++, "infer");
    }
    b->function_count = (int32_t)(f - b->functions);
    if (!b->function_count)
        diag_error(b->d, (src_loc){0}, "%s: expected a function train_step or infer, found neither", b->module->name);
    return b->function_count;
}

bool bench_model(bench *b, const lamina_net *net, lamina_parallel_for *parallel_for, void *host, lamina_model **out)
{
    lamina_error e;
    const lamina_options o = {.workers = b->threads,
                              .dedicated = b->threads > 1,
                              .staged = net->stage_count > 0,
                              .cancel = b->stop,
                              .parallel_for = parallel_for,
                              .host = host};
    if (lamina_model_new(net, &o, out, &e) != LAMINA_OK || lamina_initialize(*out, 1, &e) != LAMINA_OK)
        return fail(b, &e);
    lamina_set_learning_rate(*out, 1e-6f);
    return true;
}

bool bench_call(bench *b, lamina_model *m, const bench_function *f)
{
    lamina_error e;
    lamina_status s;
    if (!strcmp(f->name, "infer"))
        s = lamina_infer(m, b->inputs, b->batch, b->outputs, &e);
    else if (!strcmp(f->name, "evaluate"))
        s = lamina_evaluate(m, b->inputs, b->batch, &e);
    else if (!strcmp(f->name, "gradients"))
        s = lamina_gradients(m, b->inputs, b->batch, 0, 1.0f / (float)b->batch, &e);
    else
        s = lamina_train_step(m, b->inputs, b->batch, &e);
    return s == LAMINA_OK || s == LAMINA_INTERRUPTED || fail(b, &e);
}

static bool time_function(bench *b, lamina_model *m, bench_function *f)
{
    enum { WARM_UP = 3, LEAST = 5, MOST = 1 << 20 };
    cmd_samples s = {0};
    for (int i = 0; i < WARM_UP; i++)
        if (*b->stop || !bench_call(b, m, f))
            return false;
    while (s.count < LEAST || (s.count < MOST && s.total < b->seconds)) {
        double start = cmd_seconds();
        if (!bench_call(b, m, f) || *b->stop)
            return false;
        cmd_sample_add(b->mem, &s, cmd_seconds() - start);
    }
    f->median = cmd_sample_median(&s);
    f->least = cmd_sample_least(&s);
    return true;
}

static bool time_functions(bench *b)
{
    lamina_model *m = NULL;
    bool ok = bench_model(b, b->net, NULL, NULL, &m);
    for (int32_t i = 0; ok && i < b->function_count; i++)
        ok = i == 0 && b->data.asked ? bench_training_run(b, m, &b->functions[i])
                                     : time_function(b, m, &b->functions[i]);
    lamina_model_free(m);
    return ok;
}

/* ---- the command ---- */

static void run(bench *b, const bench_options *o)
{
    lamina_library *library = NULL;
    bool ok = load(b, o) && compile(b, o, &library) && (!o->data || bench_training_open(b)) && list_functions(b);
    if (ok) {
        bench_data(b);
        ok = time_functions(b) && (!o->roofline || *b->stop || bench_roofline(b)) && !*b->stop;
    }
    if (ok && o->json)
        bench_print_json(b);
    else if (ok)
        bench_print_text(b);
    bench_training_close(b);
    lamina_library_free(library);
    ir_module_free(b->module);
}

int cmd_bench(int argc, char **argv)
{
    bench_options o = {.seconds = "1"};
    const cmd_option options[] = {
        {"roofline", NULL, "every kernel beside the machine's peaks, which are measured first", &o.roofline, NULL, NULL,
         0, 0},
        {"data", NULL, "train on the YAML's own data, shuffled, as train does; not on made-up inputs", &o.data, NULL,
         NULL, 0, 0},
        {"epochs", "N", "with --data: measure whole epochs, each by itself", NULL, NULL, &o.epochs, 1, 1000000},
        {"threads", "N", "workers (default: all processors)", NULL, NULL, &o.threads, 1, 1024},
        {"batch", "N", "examples of a call (default: the largest)", NULL, NULL, &o.batch, 1, 1 << 20},
        {"seconds", "S", "how long each function is measured (default: 1)", NULL, &o.seconds, NULL, 0, 0},
        {"json", NULL, "print JSON", &o.json, NULL, NULL, 0, 0},
        CMD_BUILD_OPTIONS(o.build),
        {0}};
    const cmd_syntax syntax = {"bench",
                               "lamina bench NET.yaml [--data] [--roofline] [--threads=N] [--batch=N] [options]",
                               "Measures a network's training step and inference (YAML or IR text).", options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    bench b = {.mem = arena_new(), .d = diag_new(), .path = path, .build = &o.build, .stop = cmd_catch_interrupts()};
    b.data = (bench_training){.asked = o.data, .epochs = o.epochs};
    if (!cmd_read_seconds(o.seconds, &b.seconds)) {
        fprintf(stderr, "lamina bench: --seconds: expected a number from 0.001 to 3600, found '%s'\n", o.seconds);
        code = EXIT_USAGE;
    } else if (o.epochs && !o.data) {
        fputs("lamina bench: --epochs: expected --data with it, found none\n", stderr);
        code = EXIT_USAGE;
    } else {
        if (o.batch && !o.build.max_batch)
            o.build.max_batch = o.batch;
        run(&b, &o);
        code = cmd_report(b.d, o.build.remarks);
        code = *b.stop ? EXIT_SIGNAL + *b.stop : code;
    }
    diag_free(b.d);
    arena_free(b.mem);
    return code;
}
