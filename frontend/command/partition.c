/* frontend/command/partition.c - lamina partition: choose stages and write them into the YAML.
 *
 * What pass partition decides is read from the module, where it stands as rows; only the lines of the section `stages`
 * change. The result is read again before it is given out. */
#include "backend/library/link.h"
#include "frontend/command/cmd.h"
#include "frontend/document/section.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    cmd_build build;
    const char *output; /* NULL: the standard output */
} partition_options;

/* An entry of the section for each stage. The last one goes through the last layer, whatever is computed behind it. */
static const char **entries_of(const ir_module *m, const fe_network *net, arena *mem, int *count)
{
    const char **entries = NULL;
    for (const ir_row *r = m->rows; r; r = r->next) {
        if (strcmp(r->kind, "stage") != 0)
            continue;
        bool last = !r->next || strcmp(r->next->kind, "stage") != 0;
        const char *through =
            last ? fe_layer_at(net, fe_layer_count(net) - 1).name : ir_attr_find(r->attrs, "through")->word;
        entries = arena_grown(mem, entries, (size_t)*count, sizeof *entries);
        entries[(*count)++] = arena_printf(mem, "{name: %s, through: %s}", r->name, through);
    }
    return entries;
}

/* Other sections may lean on what stood here, by an alias. */
static bool can_be_read(const text *written, const fe_yaml *root, const char *path, arena *mem, diag *d)
{
    diag *unheard = diag_new();
    const fe_network *again = fe_read_text(text_get(written), written->length, path, mem, unheard);
    diag_free(unheard);
    if (!again)
        diag_error(d, root->at, "stages: expected a section that no other needs, found an anchor or alias in it");
    return again;
}

static bool write_yaml(const ir_module *m, const fe_network *net, const char *path, arena *mem, text *out, diag *d)
{
    text content = {0};
    int count = 0;
    const char **entries = entries_of(m, net, mem, &count);
    bool ok = text_read_file(&content, path);
    if (!ok)
        diag_error(d, (src_loc){path, 0, 0}, "cannot be read: %s", strerror(errno));
    const fe_yaml *root = ok ? fe_yaml_parse(text_get(&content), content.length, path, mem, d) : NULL;
    ok = root && fe_section_replace(text_get(&content), root, "stages", entries, count, out, d) &&
         can_be_read(out, root, path, mem, d);
    text_free(&content);
    return ok;
}

/* The section says where layers of other files stand: another one in its place would lose them. */
static bool check_layers(const fe_network *net, diag *d)
{
    src_loc at;
    if (!fe_has_file_stage(net, &at))
        return true;
    diag_error(d, at, "stages: expected none that is a file of its own, to write others in their place");
    return false;
}

static bool partition(const char *path, const void *options, arena *mem, diag *d)
{
    const partition_options *o = options;
    fe_network *net;
    text out = {0};
    ir_module *m = cmd_load(path, &o->build, mem, &net, d);
    bool ok = m && net && ir_function_find(m, "train_step");
    if (m && !net)
        diag_error(d, (src_loc){path, 0, 0},
                   "partition needs the YAML: an IR text has no sections to write stages into");
    else if (m && !ok)
        diag_error(d, (src_loc){path, 0, 0},
                   "stages cut a training step: expected losses and an optimizer, found none");
    ok = ok && cmd_learns_together(net, d) && check_layers(net, d) &&
         passes_run(m, &(pass_options){.disabled = o->build.disabled, .stop_after = "partition"}, d) &&
         write_yaml(m, net, path, mem, &out, d);
    if (ok && o->output)
        ok = be_write_file(o->output, text_get(&out), out.length, d);
    else if (ok)
        fputs(text_get(&out), stdout);
    text_free(&out);
    ir_module_free(m);
    return ok;
}

int cmd_partition(int argc, char **argv)
{
    partition_options o = {.build = {.partition = "auto", .stages = "auto"}};
    const cmd_option options[] = {
        {"o", "FILE", "write there instead of to the standard output", NULL, &o.output, NULL, 0, 0},
        CMD_STAGE_OPTIONS(o.build),
        CMD_TARGET_OPTIONS(o.build),
        {"remarks", NULL, "say why the cut is where it is", &o.build.remarks, NULL, NULL, 0, 0},
        {0}};
    const cmd_syntax syntax = {
        "partition", "lamina partition NET.yaml [--stages=N] [-o FILE] [options]",
        "Cuts a network into stages that share its training step equally, and prints its YAML with\n"
        "them as the section `stages`. All other lines stay as they are.",
        options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    return cmd_run(partition, path, &o, o.build.remarks);
}
