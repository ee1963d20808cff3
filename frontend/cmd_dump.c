/* frontend/cmd_dump.c - lamina dump: a module's text, as read or after a pass; or the loop nests of its kernels. */
#include "backend/backend.h"
#include "frontend/cmd.h"
#include <stdio.h>
#include <string.h>

static bool dump(const char *path, const char *after, const cmd_build *b, arena *mem, diag *d)
{
    fe_network *net;
    ir_module *m = cmd_load(path, b, mem, &net, d);
    if (!m)
        return false;
    bool lower = after && !strcmp(after, "lower");
    text out = {0};
    pass_options o = {.disabled = b->disabled, .stop_after = lower ? NULL : after};
    bool ok = !after || passes_run(m, &o, d);
    if (ok && lower)
        ok = be_print_nests(m, &out, d);
    else if (ok)
        ir_print(m, b->dump_locations, &out);
    if (ok)
        fputs(text_get(&out), stdout);
    text_free(&out);
    ir_module_free(m);
    return ok;
}

int cmd_dump(int argc, char **argv)
{
    cmd_build b = {0};
    const char *after = NULL;
    const cmd_option options[] = {{"after", "PASS",
                                   "run the passes up to this one (or lower: print loop nests); default: none", NULL,
                                   &after, NULL, 0, 0},
                                  CMD_BUILD_OPTIONS(b),
                                  {0}};
    const cmd_syntax syntax = {"dump", "lamina dump NET [--after=PASS] [options]",
                               "Prints the IR of a network (YAML or IR text). What it prints can be read back.",
                               options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    arena *mem = arena_new();
    diag *d = diag_new();
    bool ok = dump(path, after, &b, mem, d);
    code = cmd_report(d, b.remarks);
    diag_free(d);
    arena_free(mem);
    return ok ? code : code == EXIT_OK ? EXIT_FAILED : code;
}
