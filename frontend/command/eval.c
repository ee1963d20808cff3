/* frontend/command/eval.c - lamina eval: the metrics of trained weights on a network's data, or on other files. */
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

enum { MOST_FILES = 1024 };

typedef struct {
    cmd_build build;
    const char *weights, *set;
    const char *const *files; /* in place of the set */
    int file_count;
    int64_t threads, seed; /* seed -1: the YAML's */
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

/* What the records come from must be there before the network is compiled. */
static bool check_data(const char *path, const fe_network *net, const eval_options *o, diag *d)
{
    const char *needed = o->file_count ? "train" : o->set;
    if (net && fe_data(net, needed)->present)
        return true;
    diag_error(d, (src_loc){path, 0, 0}, "expected a YAML with 'data:' and a '%s:' set, found none", needed);
    return false;
}

static bool read_data(const fe_network *net, const lamina_net *compiled, const eval_options *o, lamina_dataset **out,
                      arena *mem, diag *d)
{
    if (o->file_count)
        return cmd_read_files(net, o->files, o->file_count, compiled, out, mem, d);
    int64_t seed = o->seed >= 0 ? o->seed : fe_train_options(net)->seed;
    return cmd_dataset(net, o->set, compiled, (uint64_t)seed, out, d);
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
    bool ok = m && check_data(path, net, o, d) && load_compiled(m, mem, &o->build, &library, d) &&
              read_data(net, lamina_library_net(library), o, &data, mem, d);
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

/* Of the words behind --set the last one that is no KEY=VALUE is a data set's name. It is taken out. */
static const char *take_set(const char **changes)
{
    const char *set = NULL, **kept = changes;
    for (const char **word = changes; *word; word++) {
        if (strchr(*word, '='))
            *kept++ = *word;
        else
            set = *word;
    }
    *kept = NULL;
    return set;
}

/* False, and the words printed, of options that say no data set. */
static bool choose_set(eval_options *o, const char *set)
{
    o->set = o->file_count ? "given" : set ? set : "test";
    if (!o->weights)
        fputs("lamina eval: expected --weights=FILE, found none\n", stderr);
    else if (o->file_count && set)
        fputs("lamina eval: expected --set or files, found both\n", stderr);
    else if (set && strcmp(set, "train") != 0 && strcmp(set, "validation") != 0 && strcmp(set, "test") != 0)
        fprintf(stderr, "lamina eval: --set: expected train, validation or test, found '%s'\n", set);
    else
        return true;
    return false;
}

int cmd_eval(int argc, char **argv)
{
    eval_options o = {.seed = -1};
    const char *words[MOST_FILES] = {0};
    const cmd_option options[] = {
        {"weights", "FILE", "the trained parameters, safetensors", NULL, &o.weights, NULL, 0, 0},
        {"seed", "N", "the one that train was given: it chooses what a split takes", NULL, NULL, &o.seed, 0, INT64_MAX},
        {"threads", "N", "workers (default: all processors)", NULL, NULL, &o.threads, 1, 1024},
        {"json", NULL, "print the values as JSON", &o.json, NULL, NULL, 0, 0},
        CMD_BUILD_OPTIONS(o.build),
        {0}};
    const cmd_syntax syntax = {
        "eval", "lamina eval NET.yaml [INPUT=FILE ... | TABLE ...] --weights=FILE [options]",
        "Measures trained weights on a data set of the network's, or on other files: one for "
        "each input,\nor tables, in the format of its training data. --set=train, --set=validation "
        "and --set=test (default)\nchoose the records, --set=KEY=VALUE changes the YAML.",
        options};
    int code = cmd_parse(&syntax, argc, argv, words, 1, MOST_FILES);
    if (code >= 0)
        return code;
    o.files = words + 1;
    while (o.file_count < MOST_FILES - 1 && o.files[o.file_count])
        o.file_count++;
    return choose_set(&o, take_set(o.build.changes)) ? cmd_run(evaluate, words[0], &o, o.build.remarks) : EXIT_USAGE;
}
