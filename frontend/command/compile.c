/* frontend/command/compile.c - lamina compile: a network to a library and its header. */
#include "backend/backend.h"
#include "frontend/command/cmd.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name;
    be_kind kind;
    const char *ending;
    bool header; /* a header goes beside it */
} emit_kind;

typedef struct {
    cmd_build build;
    const char *output, *emit; /* output NULL: NAME and the kind's ending */
    bool debug;
} compile_options;

static const emit_kind kinds[] = {{"so", BE_SO, ".so", true},     {"archive", BE_ARCHIVE, ".a", true},
                                  {"obj", BE_OBJECT, ".o", true}, {"llvm", BE_LLVM, ".ll", false},
                                  {"asm", BE_ASM, ".s", false},   {"header", BE_HEADER, ".h", false}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const emit_kind *find_kind(const char *name, diag *d)
{
    const char *names[KINDS + 1];
    for (int i = 0; i < KINDS; i++) {
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
        names[i] = kinds[i].name;
    }
    names[KINDS] = "ir";
    const char *near = diag_nearest(name, names, KINDS + 1);
    diag_error(d, (src_loc){0}, "--emit: expected so, archive, obj, llvm, asm, header or ir, found '%s'%s%s%s", name,
               near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

/* "dir/net.so" with another ending. */
static const char *beside(arena *mem, const char *path, const char *ending)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    size_t length = dot && (!slash || dot > slash) ? (size_t)(dot - path) : strlen(path);
    return arena_printf(mem, "%.*s%s", (int)length, path, ending);
}

static bool write_outputs(const ir_module *m, const emit_kind *kind, const compile_options *o, arena *mem, diag *d)
{
    text timing = {0};
    const char *output = o->output ? o->output : arena_printf(mem, "%s%s", m->name, kind->ending);
    be_options library = {kind->kind, output, o->debug, o->build.time_passes ? &timing : NULL};
    bool ok = be_compile(m, &library, d);
    if (ok && kind->header) {
        be_options header = {BE_HEADER, beside(mem, output, ".h"), false, NULL};
        ok = be_compile(m, &header, d);
    }
    fputs(text_get(&timing), stderr);
    text_free(&timing);
    return ok;
}

static bool compile(const char *path, const void *options, arena *mem, diag *d)
{
    const compile_options *o = options;
    fe_network *net;
    bool ir = !strcmp(o->emit, "ir");
    const emit_kind *kind = ir ? NULL : find_kind(o->emit, d);
    if (!ir && !kind)
        return false;
    ir_module *m = cmd_load(path, &o->build, mem, &net, d);
    bool ok = m && cmd_run_passes(m, &o->build, d);
    if (ok && ir) {
        text out = {0};
        ir_print(m, o->build.dump_locations, &out);
        fputs(text_get(&out), stdout);
        text_free(&out);
    } else if (ok) {
        ok = write_outputs(m, kind, o, mem, d);
    }
    ir_module_free(m);
    return ok;
}

int cmd_compile(int argc, char **argv)
{
    compile_options o = {.emit = "so"};
    const cmd_option options[] = {
        {"o", "FILE", "where the library goes (default: NAME.so); its header NAME.h goes beside it", NULL, &o.output,
         NULL, 0, 0},
        {"emit", "KIND", "so, archive, obj, llvm, asm, header or ir (to stdout)", NULL, &o.emit, NULL, 0, 0},
        {"g", NULL, "debug information that points at the YAML", &o.debug, NULL, NULL, 0, 0},
        CMD_BUILD_OPTIONS(o.build),
        {0}};
    const cmd_syntax syntax = {"compile", "lamina compile NET.yaml [-o FILE] [options]",
                               "Compiles a network (YAML or IR text) to a shared object and a C header.", options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    return cmd_run(compile, path, &o, o.build.remarks);
}
