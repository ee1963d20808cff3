/* backend/nest/buffers.c - the memory that a kernel works on.
 *
 * A kernel has a buffer for each operand, scratch, result and assigned symbol that it touches, and local ones, which
 * are tiles on its stack. A phase's function has a parameter for each buffer of the call that the phase loads from or
 * stores to, in the order in which its body first does. */
#include "backend/nest/nest.h"

/* What a buffer is about: the symbol behind `param` and `state` nodes, so that a value read and then assigned in place
 * is one buffer. */
static const ir_symbol *buffer_symbol(const nest_buffer *b)
{
    if (b->symbol)
        return b->symbol;
    return b->node ? b->node->symbol : NULL;
}

static bool same_buffer(const nest_buffer *a, const nest_buffer *b)
{
    const ir_symbol *symbol = buffer_symbol(a);
    if (symbol || buffer_symbol(b))
        return symbol == buffer_symbol(b);
    return a->node && a->node == b->node;
}

int nest_add_buffer(nest_kernel *k, nest_buffer b)
{
    for (int i = 0; i < k->nbuffers; i++)
        if (same_buffer(&k->buffers[i], &b)) {
            k->buffers[i].written |= b.written;
            return i;
        }
    k->buffers = arena_grown(k->mem, k->buffers, (size_t)k->nbuffers, sizeof *k->buffers);
    k->buffers[k->nbuffers] = b;
    return k->nbuffers++;
}

int nest_add_local(nest_kernel *k, const char *name, ir_dtype t, int64_t elements)
{
    return nest_add_buffer(k, (nest_buffer){.name = name, .dtype = t, .written = true, .local = elements});
}

static int note_buffer(const nest_kernel *k, int32_t buffer, int *number, int count)
{
    if (k->buffers[buffer].local)
        return count;
    for (int i = 0; i < count; i++)
        if (number[i] == buffer)
            return count;
    number[count] = buffer;
    return count + 1;
}

static int note_buffers(const nest_kernel *k, const nest_block *b, int *number, int count)
{
    for (const nest_value *v = b->first; v; v = v->following) {
        if (v->kind == NEST_LOOP)
            count = note_buffers(k, &v->body, number, count);
        if (v->kind == NEST_LOAD || v->kind == NEST_STORE)
            count = note_buffer(k, v->buffer, number, count);
        if (v->kind == NEST_PRODUCT) {
            for (int i = 0; i < 3; i++)
                count = note_buffer(k, v->product->buffer[i], number, count);
            count = note_buffer(k, v->product->function, number, count);
        }
    }
    return count;
}

int nest_phase_buffers(const nest_kernel *k, int phase, int *number)
{
    return note_buffers(k, &k->phase[phase].body, number, 0);
}
