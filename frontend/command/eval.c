/* frontend/command/eval.c - lamina eval: the metrics of trained weights on a network's data, or on other files. */
#include "frontend/command/inference.h"
#include "frontend/command/values.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    cmd_build build;
    cmd_records records;
    bool json;
} eval_options;

/* Numbers that are none are printed all the same, but say what they come from and fail. */
static bool check_finite(lamina_model *model, const lamina_dataset *data, const eval_options *o, const double *values,
                         diag *d)
{
    const char *tensor = cmd_not_finite(model);
    if (!tensor)
        return cmd_check_metrics(model, data, o->records.set, values, d);
    diag_warning(d, (src_loc){o->records.weights, 0, 0}, "tensor '%s' holds values that are not finite", tensor);
    return false;
}

static bool measure(lamina_model *model, const fe_network *net, const lamina_dataset *data, const eval_options *o,
                    arena *mem, diag *d)
{
    double *values = arena_new_array(mem, double, (size_t)lamina_model_net(model)->metric_count);
    lamina_error e;
    if (lamina_evaluate_dataset(model, data, values, &e) != LAMINA_OK) {
        diag_error(d, (src_loc){0}, "%s", e.text);
        return false;
    }
    const cmd_values v = {model, net, data, o->records.set, values};
    (o->json ? cmd_print_values_json : cmd_print_values)(stdout, &v);
    return check_finite(model, data, o, values, d);
}

static bool evaluate(const char *path, const void *options, arena *mem, diag *d)
{
    const eval_options *o = options;
    fe_network *net;
    lamina_library *library = NULL;
    lamina_dataset *data = NULL;
    lamina_model *model = NULL;
    ir_module *m = cmd_load(path, &o->build, mem, &net, d);
    bool ok = m && cmd_check_records(path, net, &o->records, d) && cmd_load_compiled(m, mem, &o->build, &library, d) &&
              cmd_read_chosen(net, lamina_library_net(library), &o->records, &data, mem, d);
    ok = ok && cmd_load_model(lamina_library_net(library), o->records.weights, o->records.threads, &model, d) &&
         measure(model, net, data, o, mem, d);
    lamina_model_free(model);
    lamina_dataset_free(data);
    lamina_library_free(library);
    ir_module_free(m);
    return ok;
}

int cmd_eval(int argc, char **argv)
{
    eval_options o = {.records.seed = -1};
    const char *words[CMD_MOST_FILES + 1] = {0};
    const cmd_option options[] = {
        {"weights", "FILE", "the trained parameters, safetensors", NULL, &o.records.weights, NULL, 0, 0},
        {"seed", "N", "the one that train was given: it chooses what a split takes", NULL, NULL, &o.records.seed, 0,
         INT64_MAX},
        {"threads", "N", "workers (default: all processors)", NULL, NULL, &o.records.threads, 1, 1024},
        {"json", NULL, "print the values as JSON", &o.json, NULL, NULL, 0, 0},
        CMD_BUILD_OPTIONS(o.build),
        {0}};
    const cmd_syntax syntax = {
        "eval", "lamina eval NET.yaml [INPUT=FILE ... | TABLE ...] --weights=FILE [options]",
        "Measures trained weights on a data set of the network's, or on other files: one for "
        "each input,\nor tables, in the format of its training data. --set=train, --set=validation "
        "and --set=test (default)\nchoose the records, --set=KEY=VALUE changes the YAML.",
        options};
    int code = cmd_parse(&syntax, argc, argv, words, 1, CMD_MOST_FILES);
    if (code >= 0)
        return code;
    return cmd_choose_records("eval", words + 1, &o.build, &o.records)
               ? cmd_run(evaluate, words[0], &o, o.build.remarks)
               : EXIT_USAGE;
}
