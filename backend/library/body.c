/* backend/library/body.c - one function for all phases whose nests are equal.
 *
 * It takes the batch, the number of the task, a pointer for each buffer and the kernel's numbers, so it knows nothing
 * of places. */
#include "backend/module.h"
#include <string.h>

/* Values that lie in one place are one value updated in place; the plan keeps all others apart. Different inputs or
 * outputs of a caller must not overlap where one is written, as for any C function. */
static bool is_alone(const nest_kernel *k, int index)
{
    if (k->buffers[index].local)
        return true;
    if (is_call_value(&k->buffers[index]))
        return true;
    ir_place place = buffer_place(&k->buffers[index]);
    for (int i = 0; i < k->nbuffers; i++) {
        if (i == index || k->buffers[i].local || is_call_value(&k->buffers[i]))
            continue;
        ir_place other = buffer_place(&k->buffers[i]);
        if (other.segment == place.segment && other.offset == place.offset)
            return false;
    }
    return true;
}

const char *symbol_name(arena *mem, const char *label, const char *ending)
{
    char *name = arena_printf(mem, "%s%s%s", label, strchr(label, '.') ? "" : ".kernel", ending);
    for (char *c = name; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127 || *c == '"' || *c == '\\' || *c == '@')
            *c = '_';
    return name;
}

/* Everything that decides a body's code, and no names. */
static void body_key(const nest_kernel *k, int phase, const bool *alone, text *out)
{
    arena *mem = arena_new();
    int *number = arena_new_array(mem, int, (size_t)k->nbuffers + 1), used = nest_phase_buffers(k, phase, number);
    nest_key(k, phase, out);
    for (int i = 0; i < used; i++)
        text_add(out, alone[number[i]] ? "1" : "0");
    arena_free(mem);
}

LLVMValueRef find_body(library *l, const nest_kernel *k, int phase)
{
    text key = {0};
    arena *mem = arena_new();
    bool *alone = arena_new_array(mem, bool, (size_t)k->nbuffers + 1);
    for (int i = 0; i < k->nbuffers; i++)
        alone[i] = is_alone(k, i);
    if (!l->bodies)
        l->bodies = ir_map_new(l->mem, IR_MAP_TEXTS);
    body_key(k, phase, alone, &key);
    LLVMValueRef body = ir_map_get(l->bodies, text_get(&key));
    if (!body) {
        body = emit_phase(&l->e, k, phase, symbol_name(l->mem, k->name, phase ? ".2" : ""), alone);
        ir_map_set(l->bodies, arena_strdup(l->mem, text_get(&key)), body);
    }
    text_free(&key);
    arena_free(mem);
    return body;
}
