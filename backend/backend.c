/* backend/backend.c - compile a planned module: kernels, calls, descriptor, code generation, link. */
#include "backend/backend.h"
#include "backend/kernels.h"
#include "backend/library/link.h"
#include "backend/module.h"
#include <string.h>

static void time_line(text *timing, const char *name, double ms)
{
    if (timing)
        text_printf(timing, "%s %.1f\n", name, ms);
}

/* ---- the LLVM module ---- */

static bool emit_library(library *l, diag *d)
{
    call_emitter **calls = NULL;
    size_t count = 0;
    for (const ir_graph *f = l->module->functions; f; f = f->next) {
        calls = arena_grown(l->mem, calls, count, sizeof *calls);
        if (!(calls[count++] = gather_kernels(l, f, d)))
            return false;
    }
    for (size_t i = 0; i < count; i++)
        emit_call(calls[i]);
    emit_descriptor(l);
    return true;
}

static void open_library(library *l, bool debug_info)
{
    const ir_module *m = l->module;
    const char *source = *l->interface->source ? l->interface->source : m->name;
    emitter *e = &l->e;
    emitter_open(e, m->name, &m->target, source, debug_info);
    LLVMTypeRef task[] = {e->pointer, e->i64, e->i64, e->pointer};
    l->call_type = LLVMFunctionType(e->i32, task, 1, 0);
    l->task_type = LLVMFunctionType(e->void_type, task, 2, 0);
    l->member_type = LLVMFunctionType(e->void_type, task, 4, 0);
}

/* ---- output ---- */

/* The names an archive's index lists: everything defined here that others may use. */
static const char **exported_names(LLVMModuleRef m, arena *mem)
{
    size_t count = 0, length;
    for (LLVMValueRef f = LLVMGetFirstFunction(m); f; f = LLVMGetNextFunction(f))
        count++;
    for (LLVMValueRef a = LLVMGetFirstGlobalAlias(m); a; a = LLVMGetNextGlobalAlias(a))
        count++;
    const char **names = arena_new_array(mem, const char *, count + 1);
    count = 0;
    for (LLVMValueRef f = LLVMGetFirstFunction(m); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f) && LLVMGetLinkage(f) == LLVMExternalLinkage)
            names[count++] = LLVMGetValueName2(f, &length);
    for (LLVMValueRef a = LLVMGetFirstGlobalAlias(m); a; a = LLVMGetNextGlobalAlias(a))
        names[count++] = LLVMGetValueName2(a, &length);
    return names;
}

static bool write_archive(emitter *e, const char *path, const void *object, size_t size, diag *d)
{
    arena *mem = arena_new();
    text archive = {0};
    be_archive(object, size, exported_names(e->module, mem), &archive);
    bool ok = be_write_file(path, text_get(&archive), archive.length, d);
    text_free(&archive);
    arena_free(mem);
    return ok;
}

static bool write_llvm(emitter *e, const char *path, diag *d)
{
    char *words = LLVMPrintModuleToString(e->module);
    bool ok = be_write_file(path, words, strlen(words), d);
    LLVMDisposeMessage(words);
    return ok;
}

static bool write_object(emitter *e, const be_options *o, LLVMMemoryBufferRef code, diag *d)
{
    const char *bytes = LLVMGetBufferStart(code);
    size_t size = LLVMGetBufferSize(code);
    switch (o->kind) {
    case BE_SO:
        return be_link_shared(o->output, bytes, size, d);
    case BE_ARCHIVE:
        return write_archive(e, o->output, bytes, size, d);
    default:
        return be_write_file(o->output, bytes, size, d);
    }
}

/* A verified module to the file that was asked for. */
static bool write_output(emitter *e, const be_options *o, diag *d)
{
    if (o->kind == BE_LLVM)
        return write_llvm(e, o->output, d);
    double start = milliseconds();
    LLVMMemoryBufferRef code = emitter_generate(e, o->kind == BE_ASM ? LLVMAssemblyFile : LLVMObjectFile);
    double generated = milliseconds();
    bool ok = write_object(e, o, code, d);
    time_line(o->timing, "llvm", generated - start);
    time_line(o->timing, "link", milliseconds() - generated);
    LLVMDisposeMemoryBuffer(code);
    return ok;
}

static bool write_header(const ir_module *m, const be_options *o, diag *d)
{
    text header = {0};
    be_header(m, &header);
    bool ok = be_write_file(o->output, text_get(&header), header.length, d);
    text_free(&header);
    return ok;
}

/* A module read from text may name any target. */
static bool check_target(const ir_module *m, diag *d)
{
    arena *mem = arena_new();
    ir_target known;
    bool ok = be_target(m->target.cpu, mem, &known, d);
    if (ok && strcmp(known.triple, m->target.triple) != 0) {
        diag_error(d, (src_loc){0}, "unknown target '%s', expected '%s'", m->target.triple, known.triple);
        ok = false;
    }
    arena_free(mem);
    return ok;
}

static bool compile(const ir_module *m, const be_options *o, be_profile *profile, diag *d)
{
    if (!m->target.triple)
        ir_bug("module %s has no target", m->name);
    if (!check_target(m, d) || !be_check(m, d))
        return false;
    arena *mem = arena_new();
    be_interface interface;
    be_interface_read(m, mem, &interface);
    library l = {.module = m, .interface = &interface, .mem = mem, .profile = profile};
    double start = milliseconds();
    open_library(&l, o->debug_info);
    bool ok = emit_library(&l, d);
    if (ok) {
        emitter_verify(&l.e);
        time_line(o->timing, "lower", l.lower_ms);
        time_line(o->timing, "emit", milliseconds() - start - l.lower_ms);
        ok = write_output(&l.e, o, d);
    }
    emitter_close(&l.e);
    arena_free(mem);
    return ok;
}

bool be_compile(const ir_module *m, const be_options *o, diag *d)
{
    return o->kind == BE_HEADER ? write_header(m, o, d) : compile(m, o, NULL, d);
}

bool be_compile_profiled(const ir_module *m, const be_options *o, be_profile *out, diag *d)
{
    return compile(m, o, out, d);
}

bool be_print_nests(const ir_module *m, text *out, diag *d)
{
    if (!be_check(m, d))
        return false;
    for (const ir_graph *f = m->functions; f; f = f->next) {
        text_printf(out, "func @%s\n", f->name);
        for (const ir_node *n = f->first; n; n = n->next) {
            if (n->op != IR_FUSED)
                continue;
            arena *mem = arena_new();
            const nest_kernel *k = nest_lower(n, &m->target, mem, d);
            if (k)
                nest_print(k, out);
            arena_free(mem);
            if (!k)
                return false;
        }
    }
    return true;
}

/* ---- kernels by themselves ---- */

/* void name(i64 batch, i64 task, void *const *buffers), which hands its pointers on to the phase's function. */
static void emit_bare_phase(emitter *e, const nest_kernel *k, int phase)
{
    arena *mem = arena_new();
    int *number = arena_new_array(mem, int, (size_t)k->nbuffers + 1), used = nest_phase_buffers(k, phase, number);
    size_t count = (size_t)(used + k->nnumbers) + 2;
    bool *alone = arena_new_array(mem, bool, (size_t)k->nbuffers + 1);
    LLVMValueRef *arguments = arena_new_array(mem, LLVMValueRef, count);
    LLVMValueRef body = emit_phase(e, k, phase, arena_printf(mem, "%s.body", k->name), alone);
    LLVMTypeRef types[] = {e->i64, e->i64, e->pointer};
    const char *name = phase ? arena_printf(mem, "%s_%d", k->name, phase) : k->name;
    LLVMValueRef function = emit_function(e, name, LLVMFunctionType(e->void_type, types, 3, 0), LLVMExternalLinkage);
    emit_function_begin(e, function, (src_loc){0});
    arguments[0] = LLVMGetParam(function, 0);
    arguments[1] = LLVMGetParam(function, 1);
    for (int i = 0; i < used; i++) {
        LLVMValueRef at = emit_offset(e, e->pointer, LLVMGetParam(function, 2), emit_i64(e, number[i]));
        arguments[i + 2] = LLVMBuildLoad2(e->builder, e->pointer, at, "");
    }
    for (int i = 0; i < k->nnumbers; i++)
        arguments[used + 2 + i] = emit_i64(e, k->numbers[i]);
    LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(body), body, arguments, (unsigned)count, "");
    LLVMBuildRetVoid(e->builder);
    arena_free(mem);
}

bool be_compile_kernels(nest_kernel *const *kernels, int count, const ir_target *target, const be_options *o, diag *d)
{
    emitter e;
    emitter_open(&e, "kernels", target, "kernels", o->debug_info);
    for (int i = 0; i < count; i++)
        for (int phase = 0; phase < kernels[i]->nphases; phase++)
            emit_bare_phase(&e, kernels[i], phase);
    emitter_verify(&e);
    bool ok = write_output(&e, o, d);
    emitter_close(&e);
    return ok;
}
