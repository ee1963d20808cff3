/* frontend/command/dump.c - lamina dump: a module's text, as read or after a pass; or the loop nests of its kernels. */
#include "backend/backend.h"
#include "frontend/command/cmd.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    cmd_build build;
    const char *after;
} dump_options;

static bool dump(const char *path, const void *options, arena *mem, diag *d)
{
    const dump_options *o = options;
    fe_network *net;
    ir_module *m = cmd_load(path, &o->build, mem, &net, d);
    if (!m)
        return false;
    bool lower = o->after && !strcmp(o->after, "lower");
    text out = {0};
    pass_options until = cmd_pass_options(&o->build);
    until.stop_after = lower ? NULL : o->after;
    bool ok = !o->after || passes_run(m, &until, d);
    if (ok && lower)
        ok = be_print_nests(m, &out, d);
    else if (ok)
        ir_print(m, o->build.dump_locations, &out);
    if (ok)
        fputs(text_get(&out), stdout);
    text_free(&out);
    ir_module_free(m);
    return ok;
}

int cmd_dump(int argc, char **argv)
{
    dump_options o = {0};
    const cmd_option options[] = {{"after", "PASS",
                                   "run the passes up to this one (or lower: print loop nests); default: none", NULL,
                                   &o.after, NULL, 0, 0},
                                  CMD_BUILD_OPTIONS(o.build),
                                  {0}};
    const cmd_syntax syntax = {"dump", "lamina dump NET [--after=PASS] [options]",
                               "Prints the IR of a network (YAML or IR text). What it prints can be read back.",
                               options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    return cmd_run(dump, path, &o, o.build.remarks);
}
