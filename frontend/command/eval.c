/* frontend/command/eval.c - lamina eval: the metrics of trained weights on a network's test data. */
#include "backend/backend.h"
#include "frontend/command/cmd.h"
#include "frontend/command/data.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    cmd_build build;
    const char *weights, *set;
    int64_t threads;
    bool json;
} eval_options;

/* A library in a directory of its own under TMPDIR, gone once it is loaded. */
static bool load_compiled(ir_module *m, arena *mem, const cmd_build *b, lamina_library **out, diag *d)
{
    const char *tmp = getenv("TMPDIR");
    tmp = tmp && *tmp ? tmp : "/tmp";
    char *dir = arena_printf(mem, "%s/lamina-XXXXXX", tmp);
    if (!mkdtemp(dir)) {
        diag_error(d, (src_loc){0}, "%s: a directory cannot be made there: %s", tmp, strerror(errno));
        return false;
    }
    const char *library = arena_printf(mem, "%s/%s.so", dir, m->name);
    be_options o = {BE_SO, library, false, NULL};
    bool ok = cmd_run_passes(m, b, d) && be_compile(m, &o, d) && cmd_library(library, out, d);
    unlink(library);
    rmdir(dir);
    return ok;
}

static void print_values(const lamina_net *net, const char *set, int64_t count, const double *values, bool json)
{
    printf(json ? "{\"set\": \"%s\", \"examples\": %" PRId64 : "%s (%" PRId64 " examples):", set, count);
    for (int32_t i = 0; i < net->metric_count; i++) {
        if (json && !isfinite(values[i]))
            printf(", \"%s\": null", net->metrics[i].name); /* JSON has no word for it */
        else
            printf(json ? ", \"%s\": %.9g" : " %s %.4f", net->metrics[i].name, values[i]);
    }
    puts(json ? "}" : "");
}

/* Numbers that are none are printed all the same, but say what they come from and fail. */
static bool check_finite(lamina_model *model, const lamina_dataset *data, const eval_options *o, const double *values,
                         diag *d)
{
    const char *tensor = cmd_not_finite(model);
    if (!tensor)
        return cmd_check_metrics(model, data, o->set, values, d);
    diag_warning(d, (src_loc){o->weights, 0, 0}, "tensor '%s' holds values that are not finite", tensor);
    return false;
}

static void warn_of_missing(const lamina_model *model, const char *weights, diag *d)
{
    const char *name;
    for (int32_t i = 0; (name = lamina_missing_statistic(model, i)); i++)
        diag_warning(d, (src_loc){0}, "%s lacks '%s': its initial values are used", weights, name);
}

static bool measure(lamina_model *model, const lamina_dataset *data, const eval_options *o, arena *mem, diag *d)
{
    double *values = arena_new_array(mem, double, (size_t)lamina_model_net(model)->metric_count);
    lamina_error e;
    if (lamina_load_weights(model, o->weights, &e) != LAMINA_OK) {
        diag_error(d, (src_loc){0}, "%s", e.text);
        return false;
    }
    warn_of_missing(model, o->weights, d);
    if (lamina_evaluate_dataset(model, data, values, &e) != LAMINA_OK) {
        diag_error(d, (src_loc){0}, "%s", e.text);
        return false;
    }
    print_values(lamina_model_net(model), o->set, lamina_dataset_count(data), values, o->json);
    return check_finite(model, data, o, values, d);
}

static bool evaluate(const char *path, const void *options, arena *mem, diag *d)
{
    const eval_options *o = options;
    fe_network *net;
    lamina_library *library = NULL;
    lamina_dataset *data = NULL;
    lamina_model *model = NULL;
    lamina_error e;
    ir_module *m = cmd_load(path, &o->build, mem, &net, d);
    bool ok = m != NULL;
    if (ok && (!net || !fe_data(net, o->set)->present)) {
        diag_error(d, (src_loc){path, 0, 0}, "expected a YAML with 'data:' and a '%s:' set, found none", o->set);
        ok = false;
    }
    ok = ok && load_compiled(m, mem, &o->build, &library, d) &&
         cmd_dataset(net, o->set, lamina_library_net(library), &data, d);
    const lamina_options how = {.workers = o->threads ? o->threads : lamina_processors(), .inference = true};
    if (ok && lamina_model_new(lamina_library_net(library), &how, &model, &e) != LAMINA_OK) {
        diag_error(d, (src_loc){0}, "%s", e.text);
        ok = false;
    }
    ok = ok && measure(model, data, o, mem, d);
    lamina_model_free(model);
    lamina_dataset_free(data);
    lamina_library_free(library);
    ir_module_free(m);
    return ok;
}

int cmd_eval(int argc, char **argv)
{
    eval_options o = {.set = "test"};
    const cmd_option options[] = {
        {"weights", "FILE", "the trained parameters, safetensors", NULL, &o.weights, NULL, 0, 0},
        {"set", "NAME", "train, validation or test (default: test)", NULL, &o.set, NULL, 0, 0},
        {"threads", "N", "workers (default: all processors)", NULL, NULL, &o.threads, 1, 1024},
        {"json", NULL, "print the values as JSON", &o.json, NULL, NULL, 0, 0},
        CMD_BUILD_OPTIONS(o.build),
        {0}};
    const cmd_syntax syntax = {"eval", "lamina eval NET.yaml --weights=FILE [options]",
                               "Measures trained weights on the network's test data.", options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    if (!o.weights) {
        fputs("lamina eval: expected --weights=FILE, found none\n", stderr);
        return EXIT_USAGE;
    }
    return cmd_run(evaluate, path, &o, o.build.remarks);
}
