/* frontend/command/predict.c - lamina predict: what trained weights say of records, written down. */
#include "frontend/command/inference.h"
#include "frontend/command/predictions.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    cmd_build build;
    cmd_records records;
    cmd_prediction_options written;
} predict_options;

/* The inputs that inference reads: of other files nothing else is asked for. */
static lamina_net asked_of(const fe_network *n, const lamina_net *compiled, arena *mem)
{
    lamina_net net = *compiled;
    ir_type type;
    const char *name;
    lamina_tensor *inputs = arena_new_array(mem, lamina_tensor, (size_t)compiled->input_count);
    net.input_count = 0;
    for (int i = 0; (name = fe_input_at(n, i, &type)); i++) {
        int32_t at = lamina_net_input(compiled, name);
        if (at >= 0 && fe_is_inferred_from(n, i))
            inputs[net.input_count++] = compiled->inputs[at];
    }
    net.inputs = inputs;
    return net;
}

/* Sorted words of a table's files are known to whoever reads these. */
static bool name_classes(const fe_network *n, const lamina_net *compiled, fe_answer *a, arena *mem, diag *d)
{
    lamina_dataset *train = NULL;
    lamina_table_report report;
    lamina_net net = *compiled;
    int32_t at = a->sorted ? lamina_net_input(compiled, a->target) : -1;
    if (at < 0)
        return true;
    net.inputs = &compiled->inputs[at];
    net.input_count = 1;
    bool ok = cmd_read_set(n, "train", &net, &train, &report, d);
    for (int64_t i = 0; ok && i < a->classes; i++) {
        const char *word = lamina_dataset_name(train, 0, i);
        a->names[i] = word ? arena_strdup(mem, word) : NULL;
    }
    lamina_dataset_free(train);
    return ok;
}

static bool find_answers(const fe_network *n, const lamina_net *compiled, const predict_options *o, fe_answer *answers,
                         arena *mem, diag *d)
{
    bool found = !o->written.output, any = false;
    for (int32_t i = 0; i < compiled->output_count; i++) {
        const char *name = compiled->outputs[i].name;
        answers[i] = fe_answer_of(n, name);
        bool chosen = !o->written.output || !strcmp(o->written.output, name);
        found |= chosen;
        any |= chosen && answers[i].classes;
        if (chosen && !o->written.npy && !name_classes(n, compiled, &answers[i], mem, d))
            return false;
    }
    if (!found) {
        const char **names = arena_new_array(mem, const char *, (size_t)compiled->output_count);
        for (int32_t i = 0; i < compiled->output_count; i++)
            names[i] = compiled->outputs[i].name;
        const char *near = diag_nearest(o->written.output, names, (size_t)compiled->output_count);
        diag_error(d, (src_loc){0}, "--output: expected an output of the network as '%s', found '%s'",
                   near ? near : names[0], o->written.output);
    } else if (o->written.top && !any)
        diag_error(d, (src_loc){0}, "--top: expected an output of classes, found none");
    return found && (!o->written.top || any);
}

/* ---- a batch ---- */

typedef struct {
    const lamina_net *net;
    const lamina_dataset *data;
    const int32_t *field; /* by input of the net: the data's, or -1 */
    void **buffers;
    const void **inputs;
    float **outputs;
} batch;

static batch make_batch(const lamina_net *net, const lamina_net *asked, const lamina_dataset *data, arena *mem)
{
    size_t inputs = (size_t)net->input_count, outputs = (size_t)net->output_count, most = (size_t)net->max_batch;
    int32_t *field = arena_new_array(mem, int32_t, inputs);
    batch b = {net,
               data,
               field,
               arena_new_array(mem, void *, inputs),
               arena_new_array(mem, const void *, inputs),
               arena_new_array(mem, float *, outputs)};
    for (size_t i = 0; i < inputs; i++) {
        field[i] = lamina_net_input(asked, net->inputs[i].name);
        if (field[i] >= 0)
            b.inputs[i] = b.buffers[i] = arena_array(mem, most, net->inputs[i].bytes);
    }
    for (size_t i = 0; i < outputs; i++)
        b.outputs[i] = arena_array(mem, most, net->outputs[i].bytes);
    return b;
}

static void gather(const batch *b, int64_t first, int64_t count)
{
    for (int32_t i = 0; i < b->net->input_count; i++)
        for (int64_t k = 0; b->field[i] >= 0 && k < count; k++)
            memcpy((char *)b->buffers[i] + (uint64_t)k * b->net->inputs[i].bytes,
                   lamina_dataset_record(b->data, b->field[i], first + k), b->net->inputs[i].bytes);
}

/* The first value that is no number is told of, and makes the whole a failure. */
static bool check_finite(const batch *b, int64_t first, int64_t count, bool warned, diag *d)
{
    for (int32_t i = 0; !warned && i < b->net->output_count; i++) {
        int64_t each = (int64_t)(b->net->outputs[i].bytes / sizeof(float));
        for (int64_t k = 0; k < count * each; k++) {
            float v = b->outputs[i][k];
            if (!isfinite(v)) {
                diag_warning(d, (src_loc){0}, "output '%s': record %" PRId64 ": expected finite values, found %g",
                             b->net->outputs[i].name, first + k / each,
                             isnan(v) ? (double)NAN : (double)v); /* without a sign */
                return false;
            }
        }
    }
    return !warned;
}

/* Of all records; *stop says that it was interrupted. */
static bool infer_all(const batch *b, lamina_model *m, cmd_predictions *p, const volatile int32_t *stop, bool *finite,
                      diag *d)
{
    lamina_error e;
    int64_t all = lamina_dataset_count(b->data);
    for (int64_t first = 0, count; first < all && !*stop; first += count) {
        count = all - first < b->net->max_batch ? all - first : b->net->max_batch;
        gather(b, first, count);
        if (lamina_infer(m, b->inputs, count, (void *const *)b->outputs, &e) != LAMINA_OK) {
            diag_error(d, (src_loc){0}, "%s", e.text);
            return false;
        }
        *finite = check_finite(b, first, count, !*finite, d);
        if (!cmd_predictions_add(p, b->outputs, count, d))
            return false;
    }
    return !*stop;
}

/* ---- the whole ---- */

static bool write_all(const fe_network *n, const lamina_net *compiled, lamina_model *model, const predict_options *o,
                      arena *mem, diag *d)
{
    lamina_dataset *data = NULL;
    const lamina_net asked = o->records.file_count ? asked_of(n, compiled, mem) : *compiled;
    fe_answer *answers = arena_new_array(mem, fe_answer, (size_t)compiled->output_count);
    bool finite = true,
         ok = find_answers(n, compiled, o, answers, mem, d) && cmd_read_chosen(n, &asked, &o->records, &data, mem, d);
    const volatile int32_t *stop = cmd_catch_interrupts();
    cmd_predictions *p =
        ok ? cmd_predictions_open(compiled, answers, &o->written, lamina_dataset_count(data), mem, d) : NULL;
    if (p) {
        batch b = make_batch(compiled, &asked, data, mem);
        ok = infer_all(&b, model, p, stop, &finite, d);
        ok = cmd_predictions_close(p, ok, d) && ok;
    }
    lamina_dataset_free(data);
    return p && ok && finite;
}

static bool predict(const char *path, const void *options, arena *mem, diag *d)
{
    const predict_options *o = options;
    fe_network *net;
    lamina_library *library = NULL;
    lamina_model *model = NULL;
    ir_module *m = cmd_load(path, &o->build, mem, &net, d);
    bool ok = m && cmd_check_records(path, net, &o->records, d) && cmd_load_compiled(m, mem, &o->build, &library, d);
    ok = ok && cmd_load_model(lamina_library_net(library), o->records.weights, o->records.threads, &model, d) &&
         write_all(net, lamina_library_net(library), model, o, mem, d);
    lamina_model_free(model);
    lamina_library_free(library);
    ir_module_free(m);
    return ok;
}

static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), k = strlen(end);
    return n > k && !strcmp(path + n - k, end);
}

/* False, and the words printed, of a name that says no format, or options that do not go with it. */
static bool choose_format(cmd_prediction_options *o)
{
    o->delimiter = o->path && ends_in(o->path, ".tsv") ? '\t' : ',';
    o->npy = o->path && ends_in(o->path, ".npy");
    if (o->path && !o->npy && !ends_in(o->path, ".csv") && !ends_in(o->path, ".tsv"))
        fprintf(stderr, "lamina predict: -o: expected a name that ends in .npy, .csv or .tsv, found '%s'\n", o->path);
    else if (o->npy && o->top)
        fputs("lamina predict: --top: expected a table, found '-o' with a name that ends in .npy\n", stderr);
    else
        return true;
    return false;
}

int cmd_predict(int argc, char **argv)
{
    predict_options o = {.records = {.seed = -1, .all = true}};
    const char *words[CMD_MOST_FILES + 1] = {0};
    cmd_prediction_options *w = &o.written;
    const cmd_option options[] = {
        {"weights", "FILE", "the trained parameters, safetensors", NULL, &o.records.weights, NULL, 0, 0},
        {"o", "FILE", "where to (.csv, .tsv, .npy); default: a table to the standard output", NULL, &w->path, NULL, 0,
         0},
        {"output", "NAME", "this output alone", NULL, &w->output, NULL, 0, 0},
        {"top", "K", "the K most probable classes in place of all", NULL, NULL, &w->top, 1, 1 << 20},
        {"logits", NULL, "values as they are, in place of probabilities", &w->raw_logits, NULL, NULL, 0, 0},
        {"seed", "N", "the one that train was given: it chooses what a split takes", NULL, NULL, &o.records.seed, 0,
         INT64_MAX},
        {"threads", "N", "workers (default: all processors)", NULL, NULL, &o.records.threads, 1, 1024},
        CMD_BUILD_OPTIONS(o.build),
        {0}};
    const cmd_syntax syntax = {
        "predict", "lamina predict NET.yaml [INPUT=FILE ... | TABLE ...] --weights=FILE [-o FILE] [options]",
        "Writes what trained weights say of records: of files, one for each input that inference reads,\nor tables, in "
        "the format of the network's training data; or of a data set (--set=train,\n--set=validation, --set=test, the "
        "default). --set=KEY=VALUE changes the YAML.",
        options};
    int code = cmd_parse(&syntax, argc, argv, words, 1, CMD_MOST_FILES);
    if (code >= 0)
        return code;
    if (!cmd_choose_records("predict", words + 1, &o.build, &o.records) || !choose_format(w))
        return EXIT_USAGE;
    code = cmd_run(predict, words[0], &o, o.build.remarks);
    int32_t stop = *cmd_catch_interrupts();
    return stop ? EXIT_SIGNAL + stop : code;
}
