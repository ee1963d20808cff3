/* passes/partition/trial.c - see which kernels a net becomes, before it is cut.
 *
 * A copy of the module goes through the passes that are left, up to `chain`, in one piece. What its training step then
 * consists of says more than any formula over layers could: which convolutions winograd takes, what fused, which tile a
 * product has, what runs in chains. Each kernel is charged to the layer that its label names (conv2.products.forward to
 * conv2); what names none to the first, as the scaling of an input, or else the last.
 *
 * A cut ends chains. A value that went from one layer to another within a chain, near the core, is then written whole
 * by one stage and read whole by the other: `parting` is what that costs either of them. */
#include "passes/partition/trial.h"
#include "ir/graph/build.h"
#include "passes/labels.h"
#include "passes/memory.h"
#include "passes/partition/kernels.h"
#include "passes/passes.h"
#include <string.h>

typedef struct {
    layer_costs *layers;
    ir_target target;
    int64_t batch;
    arena *mem;
} trial;

/* "conv2.products.forward" belongs to conv2. */
static int layer_of(const trial *t, const ir_node *kernel)
{
    for (const char *name = label_layer(t->mem, kernel->label); name; name = label_layer(t->mem, name)) {
        const layer_cost *found = layer_cost_find(t->layers, name);
        if (found)
            return (int)(found - t->layers->layer);
    }
    return label_is_forward(kernel) ? 0 : t->layers->count - 1;
}

static void charge_kernel(const trial *t, const ir_node *kernel)
{
    layer_cost *l = &t->layers->layer[layer_of(t, kernel)];
    double cycles = kernel_cycles(kernel, &t->target, t->batch);
    *(label_is_forward(kernel) ? &l->forward : label_is_update(kernel) ? &l->update : &l->backward) += cycles;
}

static void charge_parting(const trial *t, const ir_node *kernel)
{
    int home = layer_of(t, kernel);
    int64_t chain = ir_chain(kernel, NULL);
    for (int i = 0; chain && i < kernel->nin; i++) {
        const ir_node *maker = mem_producer(kernel->in[i]);
        if (ir_chain(maker, NULL) != chain)
            continue;
        int made = layer_of(t, maker), first = made < home ? made : home, last = made < home ? home : made;
        const ir_type *type = &kernel->in[i]->type;
        double bytes = (double)ir_count(type, t->batch) * (double)ir_dtype_size(type->dtype);
        for (int k = first; k < last; k++)
            t->layers->layer[k].parting += memory_cycles(&t->target, bytes);
    }
}

static ir_module *copy_whole(const ir_module *m, arena *mem, diag *d)
{
    text source = {0};
    ir_print(m, true, &source);
    ir_module *copy = ir_parse(text_get(&source), arena_strdup(mem, m->name), d);
    text_free(&source);
    if (!copy)
        ir_bug("a module that was printed cannot be read");
    ir_attr_set_word(copy->mem, &copy->attrs, "partition", "fused");
    ir_attr_remove(copy->mem, &copy->attrs, "alone");
    return copy;
}

static bool run(trial *t, const ir_module *m, diag *d)
{
    ir_module *copy = copy_whole(m, t->mem, d);
    bool ok = passes_run(copy, &(pass_options){.stop_after = "chain"}, d);
    const ir_graph *step = ok ? ir_function_find(copy, "train_step") : NULL;
    t->target = mem_target(copy);
    for (const ir_node *n = step ? step->first : NULL; n; n = n->next)
        if (n->op == IR_FUSED) {
            charge_kernel(t, n);
            charge_parting(t, n);
        }
    ir_module_free(copy);
    return ok;
}

bool trial_run(const ir_module *m, layer_costs *l, diag *d)
{
    trial t = {.layers = l, .batch = mem_max_batch(m), .mem = arena_new()};
    diag *own = diag_new(); /* remarks are made of the module itself, later */
    bool ok = run(&t, m, own) || (run(&t, m, d), false);
    diag_free(own);
    arena_free(t.mem);
    return ok;
}
