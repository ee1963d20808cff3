/* frontend/cmd_check.c - lamina check: read a network, build its module, say what is wrong. */
#include "frontend/cmd.h"
#include <stdio.h>

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
    arena *mem = arena_new();
    diag *d = diag_new();
    fe_network *net;
    ir_module *m = cmd_load(path, &b, mem, &net, d);
    if (m)
        cmd_run_passes(m, &b, d);
    code = cmd_report(d, b.remarks);
    ir_module_free(m);
    diag_free(d);
    arena_free(mem);
    return code;
}
