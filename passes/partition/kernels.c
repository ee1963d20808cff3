/* passes/partition/kernels.c - predict how long a kernel takes: the roofline of its operations and its bytes.
 *
 * A contraction takes what pass select expects of its tile. Another kernel takes its operators one after the other, by
 * vectors; the sums of a row wait for each other. What it reads and writes comes from the nearest cache that holds all
 * of it; values between members of a chain are a slice at a time, which is always near. The longer of both counts, and
 * part of the shorter, since neither hides the other wholly. */
#include "passes/partition/kernels.h"
#include "ir/contraction/plan.h"
#include "ir/graph/build.h"
#include "ir/graph/cost.h"
#include "passes/memory.h"
#include "passes/select/plans.h"

/* Bytes a cycle of one core, as of the machines in hand: 186, 40 to 100 and 30 GB/s at 4 GHz. */
static const double NEAR = 48, SHARED = 12, FAR = 8;

enum {
    UNITS = 2,           /* vectors that begin their multiply-adds in one cycle */
    TRANSCENDENTAL = 12, /* cycles for a vector of an exponential, logarithm and the like */
    ROW = 60,            /* cycles in which a row's sum comes together */
    LAUNCH = 200         /* cycles before a kernel's first task and after its last */
};

double memory_cycles(const ir_target *t, double bytes)
{
    return bytes / (bytes <= (double)t->l2 ? NEAR : bytes <= (double)t->l3 ? SHARED : FAR);
}

/* ---- bytes ---- */

static double type_bytes(const ir_type *t, int64_t batch)
{
    return (double)ir_count(t, batch) * (double)ir_dtype_size(t->dtype);
}

/* Does the operand come from a member of the same chain, slice by slice? */
static bool is_near(const ir_node *fused, const ir_node *operand)
{
    int64_t chain = ir_chain(fused, NULL);
    return chain && ir_chain(mem_producer(operand), NULL) == chain;
}

static double traffic_cycles(const ir_node *fused, const ir_target *t, int64_t batch)
{
    double all = ir_kernel_cost(fused, batch).bytes, near = 0;
    for (int i = 0; i < fused->nin; i++)
        if (fused->in[i]->op != IR_SCRATCH && is_near(fused, fused->in[i]))
            near += type_bytes(&fused->in[i]->type, batch);
    if (fused->region->nresults && mem_is_slice(fused))
        near += type_bytes(&fused->type, batch);
    near = near < all ? near : all;
    return near / NEAR + memory_cycles(t, all - near);
}

/* ---- operations ---- */

static bool is_transcendental(ir_op op)
{
    static const ir_op list[] = {IR_EXPONENTIAL, IR_LOG,   IR_LOG_PLUS_ONE, IR_TANH, IR_LOGISTIC,
                                 IR_ERF,         IR_POWER, IR_COSINE,       IR_SINE, IR_RNG_BITS};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (op == list[i])
            return true;
    return false;
}

static double node_cycles(const ir_node *n, const ir_target *t, int64_t batch)
{
    double vectors = ir_node_operations(n, batch) / t->vector;
    if (n->op == IR_REDUCE && ir_word_is(n, "kind", "sum") && !ir_attr_find(n->attrs, "leaf"))
        return vectors + ROW * (double)ir_count(&n->type, batch);
    return is_transcendental(n->op) ? TRANSCENDENTAL * vectors : vectors / UNITS;
}

/* The contraction by its tile; NULL and 0 if there is none that the model knows. */
static double contraction_cycles(const ir_node *fused, const ir_target *t, int64_t batch)
{
    const ir_node *core = contraction_core(fused);
    contraction_plan p;
    if (!core || !contraction_plan_read(fused, &p) || p.pack == CONTRACTION_STREAM)
        return 0;
    double cycles = 0;
    arena *mem = arena_new();
    for (int part = 0; part < contraction_parts(core); part++) {
        contraction c;
        if (contraction_describe(core, part, mem, &c))
            cycles += select_time(&c, t, batch, &p) / UNITS;
    }
    arena_free(mem);
    return cycles;
}

static double computing_cycles(const ir_node *fused, const ir_target *t, int64_t batch)
{
    const ir_node *core = contraction_core(fused);
    double cycles = contraction_cycles(fused, t, batch);
    if (core && !cycles) /* two operations a multiply-add, at half of the peak */
        cycles = ir_node_operations(core, batch) / (t->vector * UNITS);
    for (const ir_node *n = fused->region->first; n; n = n->next)
        if (n != core)
            cycles += node_cycles(n, t, batch);
    return cycles;
}

double kernel_cycles(const ir_node *fused, const ir_target *t, int64_t batch)
{
    const double hidden = 0.7; /* of the shorter one */
    double computing = computing_cycles(fused, t, batch), traffic = traffic_cycles(fused, t, batch);
    double longer = computing > traffic ? computing : traffic, shorter = computing + traffic - longer;
    return LAUNCH + longer + (1 - hidden) * shorter;
}
