/* frontend/command/summary.c - lamina summary: a network's layers, and with --partition its stages.
 *
 * Layers and their parameters are as the YAML lists them; operations are counted in the graph of `infer` as it was
 * built, for one example. Stages are what the passes make of the network, so their figures are of the compiled code. */
#include "frontend/command/data.h"
#include "frontend/command/stages.h"
#include "ir/graph/cost.h"
#include "passes/labels.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    cmd_build build;
    const char *seconds;
    bool partition, measure, json;
} summary_options;

typedef struct {
    bench b;
    int layer_count, stage_count;
    double *operations; /* a layer */
    stage_figures *stages;
} summary;

/* ---- layers ---- */

static double node_operations(const ir_node *n)
{
    double operations = 0;
    for (const ir_node *x = n; x; x = ir_inside(n, x))
        operations += ir_node_operations(x, 1);
    return operations;
}

static void count_operations(summary *s)
{
    const ir_graph *infer = ir_function_find(s->b.module, "infer");
    s->layer_count = fe_layer_count(s->b.network);
    s->operations = arena_new_array(s->b.mem, double, (size_t)s->layer_count);
    ir_map *by_name = ir_map_new(s->b.mem, IR_MAP_TEXTS);
    for (int i = 0; i < s->layer_count; i++)
        ir_map_set(by_name, fe_layer_at(s->b.network, i).name, &s->operations[i]);
    for (const ir_node *n = infer->first; n; n = n->next) {
        const char *name = label_layer(s->b.mem, n->label);
        double *own = name ? ir_map_get(by_name, name) : NULL;
        if (own)
            *own += node_operations(n);
    }
}

/* "[28, 28, 32]", of one example */
static const char *shape_of(const fe_layer_info *l, arena *mem)
{
    const char *words = "[";
    for (int i = 1; i < l->type.rank; i++)
        words = arena_printf(mem, "%s%s%" PRId64, words, i > 1 ? ", " : "", l->type.dim[i].n);
    return arena_printf(mem, "%s]", words);
}

/* ---- stages ---- */

static int layer_number(const fe_network *n, const char *name)
{
    for (int i = 0; i < fe_layer_count(n); i++)
        if (!strcmp(fe_layer_at(n, i).name, name))
            return i;
    ir_bug("stages end at '%s', which is no layer", name);
}

/* The last stage goes through the last layer, whatever is computed behind it. */
static void list_stages(summary *s)
{
    const fe_network *n = s->b.network;
    int next = 0;
    for (const ir_row *r = s->b.module->rows; r; r = r->next) {
        if (strcmp(r->kind, "stage") != 0)
            continue;
        s->stages = arena_grown(s->b.mem, s->stages, (size_t)s->stage_count, sizeof *s->stages);
        stage_figures *stage = &s->stages[s->stage_count++];
        *stage = (stage_figures){.name = r->name, .first = next};
        bool ends = !r->next || strcmp(r->next->kind, "stage") != 0;
        stage->last = ends ? fe_layer_count(n) - 1 : layer_number(n, ir_attr_find(r->attrs, "through")->word);
        next = stage->last + 1;
        for (int i = stage->first; i <= stage->last; i++) {
            stage->parameters += fe_layer_at(n, i).parameters;
            stage->operations += s->operations[i];
        }
    }
}

static bool measure(summary *s)
{
    bench *b = &s->b;
    lamina_library *library = NULL;
    const char *path = cmd_temporary(b->mem, "stages.so", b->d);
    const be_options output = {BE_SO, path, false, NULL};
    bool ok = path && be_compile(b->module, &output, b->d) && cmd_library(path, &library, b->d);
    if (path)
        cmd_temporary_remove(b->mem, path);
    if (ok) {
        b->net = lamina_library_net(library);
        bench_data(b);
        ok = stages_measure(b, s->stages, s->stage_count);
    }
    lamina_library_free(library);
    return ok;
}

static bool cut(summary *s, const summary_options *o)
{
    if (!ir_function_find(s->b.module, "train_step")) {
        diag_error(s->b.d, (src_loc){s->b.path, 0, 0},
                   "stages cut a training step: expected losses and an optimizer, found none");
        return false;
    }
    if (!cmd_learns_together(s->b.network, s->b.d) || !cmd_run_passes(s->b.module, &o->build, s->b.d))
        return false;
    list_stages(s);
    stages_predict(s->b.module, s->stages, s->stage_count);
    return !o->measure || measure(s);
}

/* ---- text ---- */

static int longest(const summary *s, bool kinds)
{
    size_t most = 5;
    for (int i = 0; i < s->layer_count; i++) {
        const fe_layer_info l = fe_layer_at(s->b.network, i);
        size_t n = strlen(kinds ? l.kind : l.name);
        most = n > most ? n : most;
    }
    return (int)most;
}

static void print_layers(const summary *s)
{
    int names = longest(s, false), kinds = longest(s, true);
    int64_t parameters = 0, statistics = 0;
    double operations = 0;
    printf("%s: %d layers\n\n%-*s  %-*s  %-20s %12s %14s\n", fe_name(s->b.network), s->layer_count, names, "layer",
           kinds, "kind", "output", "parameters", "FLOP");
    for (int i = 0; i < s->layer_count; i++) {
        const fe_layer_info l = fe_layer_at(s->b.network, i);
        printf("%-*s  %-*s  %-20s %12" PRId64 " %14.0f\n", names, l.name, kinds, l.kind, shape_of(&l, s->b.mem),
               l.parameters + l.statistics, s->operations[i]);
        parameters += l.parameters;
        statistics += l.statistics;
        operations += s->operations[i];
    }
    printf("\nparameters %" PRId64 ", of them trained %" PRId64 "; forward %.0f FLOP an example\n",
           parameters + statistics, parameters, operations);
}

static void print_stages(const summary *s, bool measured)
{
    printf("\nbatch %" PRId64 ", predicted for one thread at 4 GHz%s\n\n", s->b.batch,
           measured ? ", measured on one thread" : "");
    printf("%-12s %-28s %12s %14s %12s %12s %10s %10s%s\n", "stage", "layers", "parameters", "FLOP", "saved bytes",
           "boundary", "forward us", "step us", measured ? "   measured" : "");
    for (int k = 0; k < s->stage_count; k++) {
        const stage_figures *f = &s->stages[k];
        const char *layers = arena_printf(s->b.mem, "%s to %s", fe_layer_at(s->b.network, f->first).name,
                                          fe_layer_at(s->b.network, f->last).name);
        printf("%-12s %-28s %12" PRId64 " %14.0f %12.0f %12.0f %10.1f %10.1f", f->name, layers, f->parameters,
               f->operations, f->saved, f->boundary, 1e6 * f->forward, 1e6 * f->step);
        if (measured)
            printf(" %10.1f", 1e6 * f->measured);
        puts("");
    }
}

/* ---- JSON ---- */

static json_t *layers_json(const summary *s)
{
    json_t *all = json_array();
    for (int i = 0; i < s->layer_count; i++) {
        const fe_layer_info l = fe_layer_at(s->b.network, i);
        json_t *shape = json_array();
        for (int k = 1; k < l.type.rank; k++)
            json_array_append_new(shape, json_integer((json_int_t)l.type.dim[k].n));
        json_array_append_new(all, json_pack("{s:s, s:s, s:o, s:I, s:I, s:f}", "name", l.name, "kind", l.kind, "output",
                                             shape, "parameters", (json_int_t)l.parameters, "statistics",
                                             (json_int_t)l.statistics, "flop", s->operations[i]));
    }
    return all;
}

static json_t *stages_json(const summary *s, bool measured)
{
    json_t *all = json_array();
    for (int k = 0; k < s->stage_count; k++) {
        const stage_figures *f = &s->stages[k];
        json_t *one =
            json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "name", f->name, "from",
                      fe_layer_at(s->b.network, f->first).name, "through", fe_layer_at(s->b.network, f->last).name,
                      "parameters", (json_int_t)f->parameters, "flop", f->operations, "saved_bytes", f->saved,
                      "boundary_bytes", f->boundary, "forward_us", 1e6 * f->forward, "backward_us", 1e6 * f->backward,
                      "update_us", 1e6 * f->update, "step_us", 1e6 * f->step);
        if (measured) {
            json_object_set_new(one, "measured_us", json_real(1e6 * f->measured));
            json_object_set_new(one, "measured_least_us", json_real(1e6 * f->least));
        }
        json_array_append_new(all, one);
    }
    return all;
}

static void print_json(const summary *s, const summary_options *o)
{
    json_int_t parameters = 0, statistics = 0;
    double operations = 0;
    for (int i = 0; i < s->layer_count; i++) {
        const fe_layer_info l = fe_layer_at(s->b.network, i);
        parameters += (json_int_t)l.parameters;
        statistics += (json_int_t)l.statistics;
        operations += s->operations[i];
    }
    json_t *all = json_pack("{s:s, s:o, s:I, s:I, s:f}", "net", fe_name(s->b.network), "layers", layers_json(s),
                            "parameters", parameters, "statistics", statistics, "flop", operations);
    if (o->partition) {
        json_object_set_new(all, "batch", json_integer((json_int_t)s->b.batch));
        json_object_set_new(all, "stages", stages_json(s, o->measure));
    }
    char *words = json_dumps(all, JSON_INDENT(2));
    puts(words ? words : "");
    free(words);
    json_decref(all);
}

/* ---- the command ---- */

/* Stages as asked for; else as the YAML has them; else as many as are fastest. */
static bool load(summary *s, summary_options *o)
{
    bench *b = &s->b;
    if (o->partition && (o->build.stages || o->build.balance || o->build.workers))
        o->build.partition = "auto";
    b->module = cmd_load(b->path, &o->build, b->mem, &b->network, b->d);
    if (b->module && !b->network) {
        diag_error(b->d, (src_loc){b->path, 0, 0}, "summary needs the YAML: an IR text has operators and no layers");
        return false;
    }
    if (b->module && o->partition && !o->build.partition && !ir_row_find(b->module, "stage", NULL)) {
        ir_module_free(b->module);
        o->build.partition = o->build.stages = "auto";
        b->module = cmd_load(b->path, &o->build, b->mem, &b->network, b->d);
    }
    if (b->module)
        b->batch = (int64_t)ir_attr_find(b->module->attrs, "max_batch")->number[0];
    return b->module;
}

static void run(summary *s, summary_options *o)
{
    bool ok = load(s, o);
    if (ok)
        count_operations(s);
    ok = ok && (!o->partition || cut(s, o));
    if (ok && o->json) {
        print_json(s, o);
    } else if (ok) {
        print_layers(s);
        if (o->partition)
            print_stages(s, o->measure);
    }
    ir_module_free(s->b.module);
}

static int usage(const char *words)
{
    fprintf(stderr, "lamina summary: %s\n", words);
    return EXIT_USAGE;
}

int cmd_summary(int argc, char **argv)
{
    summary_options o = {.seconds = "0.5"};
    const cmd_option options[] = {
        {"partition", NULL, "list the stages too (default: the YAML's, else as many as are fastest)", &o.partition,
         NULL, NULL, 0, 0},
        CMD_STAGE_OPTIONS(o.build),
        {"measure", NULL, "with --partition: measure each stage, on one thread", &o.measure, NULL, NULL, 0, 0},
        {"seconds", "S", "how long all stages are measured (default: 0.5)", NULL, &o.seconds, NULL, 0, 0},
        {"json", NULL, "print JSON", &o.json, NULL, NULL, 0, 0},
        CMD_SET_OPTION(o.build),
        CMD_TARGET_OPTIONS(o.build),
        {"remarks", NULL, "say what passes did and did not do", &o.build.remarks, NULL, NULL, 0, 0},
        {0}};
    const cmd_syntax syntax = {"summary", "lamina summary NET.yaml [--partition] [--stages=N] [--measure] [options]",
                               "Lists a network's layers: shapes, parameters, operations of the forward pass for one\n"
                               "example. With --partition it lists the stages of its training step too.",
                               options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    if (!o.partition && (o.measure || o.build.stages || o.build.balance || o.build.workers))
        return usage("expected --partition with options that are about stages");
    summary s = {.b = {.mem = arena_new(),
                       .d = diag_new(),
                       .path = path,
                       .build = &o.build,
                       .threads = 1,
                       .stop = cmd_catch_interrupts()}};
    if (!cmd_read_seconds(o.seconds, &s.b.seconds)) {
        code = usage("--seconds: expected a number from 0.001 to 3600");
    } else {
        run(&s, &o);
        code = cmd_report(s.b.d, o.build.remarks);
        code = *s.b.stop ? EXIT_SIGNAL + *s.b.stop : code;
    }
    diag_free(s.b.d);
    arena_free(s.b.mem);
    return code;
}
