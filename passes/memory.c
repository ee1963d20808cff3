/* passes/memory.c - see memory.h. */
#include "passes/memory.h"
#include "ir/graph/build.h"
#include <string.h>

/* What the command line takes where neither the net nor the user says a batch. */
enum { DEFAULT_MAX_BATCH = 128 };

const ir_node *mem_producer(const ir_node *n)
{
    n = ir_memory(n);
    return n->op == IR_RESULT ? n->in[0] : n;
}

bool mem_is_kernel(const ir_node *n)
{
    switch (n->op) {
    case IR_INPUT:
    case IR_PARAM:
    case IR_STATE:
    case IR_CALL_VALUE:
    case IR_RESHAPE:
    case IR_RESULT:
    case IR_SCRATCH:
        return false;
    default:
        return true;
    }
}

bool mem_is_bare(const ir_node *n)
{
    return mem_is_kernel(n) && n->op != IR_FUSED;
}

bool mem_is_leaf(const ir_node *n)
{
    return n->op == IR_CONSTANT || n->op == IR_IOTA || n->op == IR_BATCH_SIZE;
}

static bool reads(const ir_node *kernel, const ir_node *n)
{
    for (int i = 0; i < kernel->nin; i++)
        if (ir_memory(kernel->in[i]) == n)
            return true;
    return false;
}

bool mem_is_slice(const ir_node *n)
{
    const ir_graph *g = n->graph;
    int64_t chain = mem_is_kernel(n) || n->op == IR_RESULT ? ir_chain(mem_producer(n), NULL) : 0;
    if (!chain || ir_batch_dim(&n->type) < 0 || n->place.segment == SEG_SAVED)
        return false;
    for (int i = 0; i < g->nresults; i++)
        if (ir_memory(g->results[i]) == n)
            return false;
    for (const ir_node *x = g->first; x; x = x->next)
        if (mem_is_kernel(x) && ir_chain(x, NULL) != chain && reads(x, n))
            return false;
    return true;
}

int64_t mem_max_batch(const ir_module *m)
{
    const ir_attr *a = ir_attr_find(m->attrs, "max_batch");
    return a && a->count == 1 && a->number[0] >= 1 ? (int64_t)a->number[0] : DEFAULT_MAX_BATCH;
}

const char *mem_size_name(ir_segment s)
{
    static const char *const names[SEG_COUNT] = {
        [SEG_PARAM] = "params_bytes", [SEG_STATE] = "state_bytes",         [SEG_GRADIENT] = "gradient_bytes",
        [SEG_SAVED] = "saved_bytes",  [SEG_WORKSPACE] = "workspace_bytes", [SEG_WORKER] = "workspace_worker_bytes"};
    return names[s] ? names[s] : "";
}

const char *mem_inference_size_name(ir_segment s)
{
    static const char *const names[SEG_COUNT] = {[SEG_STATE] = "inference_state_bytes",
                                                 [SEG_WORKSPACE] = "inference_workspace_bytes",
                                                 [SEG_WORKER] = "inference_worker_bytes"};
    return names[s] ? names[s] : "";
}

static void add_symbols(const ir_graph *g, ir_map *out)
{
    for (const ir_node *n = g->first; n; n = n->next)
        for (const ir_node *x = n; x; x = ir_inside(n, x))
            if (x->symbol)
                ir_map_set(out, x->symbol, x->symbol);
}

/* A caller sets the sums of a metric to 0, whatever functions there are. */
static void add_sums(const ir_module *m, const ir_row *metric, ir_map *out)
{
    static const char *const sums[] = {"sum", "count"};
    for (int i = 0; i < 2; i++) {
        const ir_attr *a = ir_attr_find(metric->attrs, sums[i]);
        ir_symbol *y = a && a->word ? ir_symbol_find(m, a->word) : NULL;
        if (y)
            ir_map_set(out, y, y);
    }
}

ir_map *mem_inference_symbols(const ir_module *m, arena *mem)
{
    ir_map *out = ir_map_new(mem, IR_MAP_POINTERS);
    for (const ir_graph *g = m->functions; g; g = g->next)
        if (ir_is_inference(g))
            add_symbols(g, out);
    for (const ir_row *r = m->rows; r; r = r->next)
        if (!strcmp(r->kind, "metric"))
            add_sums(m, r, out);
    for (ir_symbol *y = m->symbols; y; y = y->next)
        if (ir_attr_find(y->attrs, "inference"))
            ir_map_set(out, y, y);
    return out;
}

ir_target mem_target(const ir_module *m)
{
    ir_target t = m->target;
    if (!t.vector) /* an x86-64 with AVX2 */
        t = (ir_target){.vector = 8, .registers = 16, .l1 = 32 << 10, .l2 = 512 << 10, .l3 = 4 << 20};
    return t;
}

bool mem_is_large(const ir_target *t, double bytes)
{
    enum { MOST = 256 * 1024 };
    return bytes >= (t->l2 / 2 < MOST ? (double)t->l2 / 2 : MOST);
}

int64_t mem_bytes(const ir_type *t, const ir_attr *attrs, int64_t max_batch)
{
    const ir_attr *halo = ir_attr_find(attrs, "halo");
    int64_t bytes = ir_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++) {
        int64_t n = ir_extent(t->dim[i], max_batch);
        if (halo && halo->count == 2 * t->rank)
            n += (int64_t)halo->number[2 * i] + (int64_t)halo->number[2 * i + 1];
        if (n > 0 && bytes > MEM_LIMIT / n)
            return MEM_LIMIT;
        bytes *= n;
    }
    return bytes;
}
