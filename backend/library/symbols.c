/* backend/library/symbols.c - the two kinds of symbols that the parts of a library define: constants, which stay
 * private, and functions, which users call. */
#include "backend/module.h"

LLVMValueRef emit_constant_global(emitter *e, const char *name, LLVMValueRef value)
{
    LLVMValueRef global = LLVMAddGlobal(e->module, LLVMTypeOf(value), name);
    LLVMSetInitializer(global, value);
    LLVMSetGlobalConstant(global, 1);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
    return global;
}

LLVMValueRef emit_exported(library *l, const char *function, LLVMTypeRef type)
{
    const char *name = be_function_symbol(l->interface, l->mem, function);
    if (LLVMGetNamedFunction(l->e.module, name))
        ir_bug("two functions are called %s", name);
    return emit_function(&l->e, name, type, LLVMExternalLinkage);
}
