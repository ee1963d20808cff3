/* passes/buffers.c - see buffers.h.
 *
 * A buffer lives from the kernel that writes it to its last reader (reshapes are aliases and read for their operand),
 * scratch while its kernel runs. A chain's members take turns: a buffer of the workspace that one of them touches lives
 * through the whole chain. A worker runs the members in order on one slice: its buffers live as if they were alone.
 *
 * An elementwise kernel with one result writes over an operand of equal type and segment that ends with it, if it reads
 * element i for result i only. */
#include "passes/buffers.h"
#include "ir/graph/build.h"
#include "passes/memory.h"
#include <string.h>

int64_t mem_align(int64_t bytes)
{
    return (bytes + MEM_ALIGNMENT - 1) / MEM_ALIGNMENT * MEM_ALIGNMENT;
}

mem_function mem_function_open(ir_graph *g, bool placed, arena *mem, diag *d)
{
    mem_function f = {.g = g, .mem = mem, .d = d, .max_batch = mem_max_batch(g->module), .placed = placed};
    size_t count = (size_t)ir_number(g) + 1;
    f.node = arena_new_array(mem, ir_node *, count);
    f.last_use = arena_new_array(mem, int32_t, count);
    f.buffer_of = arena_new_array(mem, int32_t, count);
    f.buffers = arena_new_array(mem, mem_buffer, count);
    for (size_t i = 0; i < count; i++)
        f.buffer_of[i] = -1;
    for (int i = 0; i < g->ninputs; i++)
        f.node[g->inputs[i]->id] = g->inputs[i];
    for (ir_node *n = g->first; n; n = n->next)
        f.node[n->id] = n;
    return f;
}

/* ---- inputs and results ---- */

/* The number of the row of that kind and name. Without any such row, the place in the function counts. */
static bool row_number(const mem_function *f, const char *kind, const char *name, int fallback, src_loc loc,
                       int64_t *out)
{
    int64_t number = 0;
    for (const ir_row *r = f->g->module->rows; r; r = r->next) {
        if (strcmp(r->kind, kind))
            continue;
        if (name && !strcmp(r->name, name)) {
            *out = number;
            return true;
        }
        number++;
    }
    *out = fallback;
    if (number)
        diag_error(f->d, loc, "function @%s: expected a `row %s @%s`, found none", f->g->name, kind, name ? name : "");
    return !number;
}

bool mem_input_place(const mem_function *f, int index, ir_place *out)
{
    const ir_node *n = f->g->inputs[index];
    out->segment = SEG_INPUT;
    return row_number(f, "input", n->name, index, n->loc, &out->offset);
}

bool mem_result_place(const mem_function *f, int index, ir_place *out)
{
    out->segment = SEG_OUTPUT;
    return row_number(f, "output", f->g->result_names[index], index, f->g->loc, &out->offset);
}

/* ---- lifetimes ---- */

static void find_last_uses(mem_function *f)
{
    for (const ir_node *n = f->g->first; n; n = n->next)
        for (int i = 0; i < n->nin && n->op != IR_RESHAPE && n->op != IR_RESULT; i++)
            f->last_use[ir_memory(n->in[i])->id] = n->id;
}

/* In the worker segment a value has the batch of one slice. */
static void add_buffer(mem_function *f, const ir_node *n, int32_t first, int32_t last, ir_segment segment)
{
    int64_t batch = f->max_batch;
    if (segment == SEG_WORKER)
        ir_chain(mem_producer(n), &batch);
    f->buffer_of[n->id] = f->count;
    f->buffers[f->count++] = (mem_buffer){.owner = n,
                                          .bytes = mem_align(mem_bytes(&n->type, n->attrs, batch)),
                                          .first = first,
                                          .last = last > first ? last : first,
                                          .segment = segment};
}

/* Does the region read its input x only at the element it writes? Elementwise all the way, and of one shape. */
static bool reads_pointwise(const mem_function *f, ir_graph *region, const ir_node *x)
{
    bool *from_x = arena_new_array(f->mem, bool, (size_t)ir_number(region) + 1);
    from_x[x->id] = true;
    for (const ir_node *n = region->first; n; n = n->next) {
        for (int i = 0; i < n->nin; i++)
            from_x[n->id] |= from_x[n->in[i]->id];
        if (from_x[n->id] && (!(ir_ops[n->op].traits & OP_ELTWISE) || !ir_shape_equal(&n->type, &x->type)))
            return false;
    }
    return true;
}

/* One result and no assign: what is written first cannot be read for the next. */
static bool may_run_in_place(const ir_node *kernel)
{
    return kernel->op == IR_FUSED && ir_word_is(kernel, "kind", "elementwise") && kernel->region->nresults == 1 &&
           !ir_has_effect(kernel);
}

/* The operand whose buffer the kernel's result may take over, or NULL. */
static const ir_node *operand_in_place(const mem_function *f, const ir_node *kernel, ir_segment segment)
{
    for (int i = 0; may_run_in_place(kernel) && i < kernel->nin; i++) {
        const ir_node *root = ir_memory(kernel->in[i]);
        int32_t b = f->buffer_of[root->id];
        if (b < 0 || f->buffers[b].last != kernel->id || f->buffers[b].segment != segment || root->op == IR_SCRATCH ||
            (f->placed && root->place.offset != kernel->place.offset) ||
            !ir_type_equal(&kernel->in[i]->type, &kernel->type) || ir_attr_find(root->attrs, "halo") ||
            ir_attr_find(kernel->attrs, "halo"))
            continue;
        int aliases = 0;
        for (int k = 0; k < kernel->nin; k++)
            aliases += ir_memory(kernel->in[k]) == root;
        if (aliases == 1 && reads_pointwise(f, kernel->region, kernel->region->inputs[i]))
            return root;
    }
    return NULL;
}

static bool place_kernel_result(mem_function *f, ir_node *n)
{
    if (n->op != IR_FUSED && n->op != IR_RESULT && n->op != IR_ASSIGN) {
        diag_error(f->d, n->loc, "plan_memory: expected kernels only, found a bare %s", ir_ops[n->op].name);
        return false;
    }
    if (n->type.dtype == IR_NONE || n->place.segment == SEG_OUTPUT || n->place.segment == SEG_SAVED)
        return true;
    ir_segment segment = f->placed ? n->place.segment : mem_is_slice(n) ? SEG_WORKER : SEG_WORKSPACE;
    const ir_node *operand = n->op == IR_FUSED ? operand_in_place(f, n, segment) : NULL;
    int32_t written = mem_producer(n)->id, last = f->last_use[n->id];
    if (!operand) {
        add_buffer(f, n, written, last, segment);
        return true;
    }
    int32_t b = f->buffer_of[n->id] = f->buffer_of[operand->id];
    f->buffers[b].last = last > written ? last : written;
    return true;
}

/* The first or last kernel of the chain that stands at a position; the position itself if none does. */
static int32_t chain_end(const mem_function *f, int32_t at, bool last)
{
    const ir_node *n = f->node[at];
    int64_t chain = ir_chain(n, NULL);
    for (; chain && n; n = last ? n->next : n->prev) {
        if (n->op == IR_FUSED && ir_chain(n, NULL) != chain)
            break;
        if (n->op == IR_FUSED)
            at = n->id;
    }
    return at;
}

/* Kernels of a chain take turns, slice by slice: what one of them touches lives as long as the chain runs. Not so what
 * a worker has to itself. */
static void live_through_chains(mem_function *f)
{
    for (int32_t i = 0; i < f->count; i++) {
        if (f->buffers[i].segment == SEG_WORKER)
            continue;
        f->buffers[i].first = chain_end(f, f->buffers[i].first, false);
        f->buffers[i].last = chain_end(f, f->buffers[i].last, true);
    }
}

/* Results and scratch of the function's kernels, in order. Scratch that its kernel wants once a worker has said so by
 * its segment. */
bool mem_find_buffers(mem_function *f)
{
    find_last_uses(f);
    for (ir_node *n = f->g->first; n; n = n->next) {
        if (n->op == IR_SCRATCH) {
            int32_t user = f->last_use[n->id] ? f->last_use[n->id] : n->id;
            bool per_worker = n->place.segment == SEG_WORKER;
            add_buffer(f, n, user, user, per_worker ? SEG_WORKER : SEG_WORKSPACE);
        } else if ((mem_is_kernel(n) || n->op == IR_RESULT) && !place_kernel_result(f, n)) {
            return false;
        }
    }
    live_through_chains(f);
    return true;
}

bool mem_live_together(const mem_buffer *a, const mem_buffer *b)
{
    return a->segment == b->segment && a->first <= b->last && b->first <= a->last;
}
