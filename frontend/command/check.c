/* frontend/command/check.c - lamina check: read a network, build its module, say what is wrong. */
#include "frontend/command/cmd.h"
#include <stdio.h>

static bool check(const char *path, const void *options, arena *mem, diag *d)
{
    fe_network *net;
    ir_module *m = cmd_load(path, options, mem, &net, d);
    bool ok = m && cmd_run_passes(m, options, d);
    ir_module_free(m);
    return ok;
}

int cmd_check(int argc, char **argv)
{
    cmd_build b = {0};
    const cmd_option options[] = {CMD_BUILD_OPTIONS(b), {0}};
    const cmd_syntax syntax = {"check", "lamina check NET.yaml [options]",
                               "Reads a network and runs every pass; prints errors, or nothing.", options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    return cmd_run(check, path, &b, b.remarks);
}
