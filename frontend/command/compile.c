/* frontend/command/compile.c - lamina compile: a network to a library and its header. */
#include "frontend/command/emit.h"
#include <stdio.h>
#include <string.h>

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

const char *emit_beside(arena *mem, const char *path, const char *ending)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    size_t length = dot && (!slash || dot > slash) ? (size_t)(dot - path) : strlen(path);
    return arena_printf(mem, "%.*s%s", (int)length, path, ending);
}

bool emit_module(const ir_module *m, const emit_kind *kind, const char *output, const emit_options *o, arena *mem,
                 diag *d)
{
    text timing = {0};
    be_options library = {kind->kind, output, o->debug, o->build.time_passes ? &timing : NULL};
    bool ok = be_compile(m, &library, d);
    if (ok && kind->header) {
        be_options header = {BE_HEADER, emit_beside(mem, output, ".h"), false, NULL};
        ok = be_compile(m, &header, d);
    }
    fputs(text_get(&timing), stderr);
    text_free(&timing);
    return ok;
}

static bool compile_whole(const char *path, const emit_kind *kind, const emit_options *o, arena *mem, diag *d)
{
    fe_network *net;
    ir_module *m = cmd_load(path, &o->build, mem, &net, d);
    bool ok = m && cmd_run_passes(m, &o->build, d);
    if (ok && !kind) {
        text out = {0};
        ir_print(m, o->build.dump_locations, &out);
        fputs(text_get(&out), stdout);
        text_free(&out);
    } else if (ok) {
        const char *output = o->output ? o->output : arena_printf(mem, "%s%s", m->name, kind->ending);
        ok = emit_module(m, kind, output, o, mem, d);
    }
    ir_module_free(m);
    return ok;
}

static bool compile(const char *path, const void *options, arena *mem, diag *d)
{
    const emit_options *o = options;
    bool ir = !strcmp(o->emit, "ir");
    const emit_kind *kind = ir ? NULL : find_kind(o->emit, d);
    if (!ir && !kind)
        return false;
    if (!o->stages)
        return compile_whole(path, kind, o, mem, d);
    if (kind)
        return emit_stages(path, kind, o, mem, d);
    diag_error(d, (src_loc){0}, "--emit-stages: expected --emit=so, archive, obj, llvm, asm or header, found ir");
    return false;
}

int cmd_compile(int argc, char **argv)
{
    emit_options o = {.emit = "so"};
    const cmd_option options[] = {
        {"o", "FILE", "where the library goes (default: NAME.so); its header NAME.h goes beside it", NULL, &o.output,
         NULL, 0, 0},
        {"emit", "KIND", "so, archive, obj, llvm, asm, header or ir (to stdout)", NULL, &o.emit, NULL, 0, 0},
        {"emit-stages", NULL, "a library and header for each stage, NAME_STAGE, and a header of all", &o.stages, NULL,
         NULL, 0, 0},
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
