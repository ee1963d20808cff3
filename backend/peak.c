/* backend/peak.c - two loops that reach the limits of the machine: independent multiply-adds, and independent loads.
 * They use the target's vector width and go through the same code generation as every kernel. */
#include "backend/peak.h"

/* Enough chains to cover two multiply-adds a cycle of five cycles each, and few enough for 16 registers. */
enum { CHAINS = 12, ROUNDS = 4, READS = 8 };

int64_t be_peak_operations(const ir_target *t)
{
    return 2 * (int64_t)CHAINS * ROUNDS * t->vector;
}

int64_t be_peak_elements(const ir_target *t)
{
    return (int64_t)READS * t->vector;
}

static nest_kernel *open_kernel(arena *mem, const ir_target *t, const char *name)
{
    nest_kernel *k = arena_make(mem, nest_kernel);
    *k = (nest_kernel){.mem = mem, .name = name, .target = t, .nphases = 1};
    k->phase[0].tasks = (nest_tasks){1, 1, 1, false};
    k->block = &k->phase[0].body;
    return k;
}

static nest_value *sum(nest_kernel *k, nest_value *a, nest_value *b)
{
    return nest_op(k, IR_ADD, IR_F32, (nest_value *const[]){a, b}, 2, NULL);
}

/* The sum of what a loop carried, so that none of it goes unused. */
static void store_sum(nest_kernel *k, int buffer, const nest_value *loop)
{
    nest_value *all = loop->final[0];
    for (int i = 1; i < loop->ncarry; i++)
        all = sum(k, all, loop->final[i]);
    nest_store(k, buffer, nest_i64(k, 0), 0, 1, all, all->lanes, NULL);
}

static nest_kernel *fma_kernel(arena *mem, const ir_target *t)
{
    nest_kernel *k = open_kernel(mem, t, "peak_fma");
    int buffer = nest_add_buffer(k, (nest_buffer){.name = "x", .dtype = IR_F32, .written = true});
    nest_value *x = nest_load(k, buffer, nest_i64(k, 0), 0, 1, t->vector, t->vector, NULL), *chain[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        chain[i] = x;
    nest_block *outer;
    nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), nest_batch(k), 1, chain, CHAINS, &outer);
    for (int i = 0; i < CHAINS; i++)
        chain[i] = loop->carry[i];
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < CHAINS; i++)
            chain[i] = nest_fma(k, chain[i], x, x);
    nest_loop_end(k, loop, chain, outer);
    store_sum(k, buffer, loop);
    return k;
}

static nest_kernel *read_kernel(arena *mem, const ir_target *t)
{
    nest_kernel *k = open_kernel(mem, t, "peak_read");
    int from = nest_add_buffer(k, (nest_buffer){.name = "x", .dtype = IR_F32});
    int to = nest_add_buffer(k, (nest_buffer){.name = "y", .dtype = IR_F32, .written = true});
    nest_value *chain[READS], *zero = nest_const(k, IR_F32, t->vector, 0);
    for (int i = 0; i < READS; i++)
        chain[i] = zero;
    nest_block *outer;
    int64_t step = be_peak_elements(t);
    nest_value *end = nest_mul(k, nest_batch(k), step);
    nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), end, step, chain, READS, &outer);
    for (int i = 0; i < READS; i++) {
        nest_value *x = nest_load(k, from, nest_loop_index(loop), i * t->vector, 1, t->vector, t->vector, NULL);
        chain[i] = sum(k, loop->carry[i], x);
    }
    nest_loop_end(k, loop, chain, outer);
    store_sum(k, to, loop);
    return k;
}

bool be_compile_peaks(const ir_target *t, const be_options *o, diag *d)
{
    arena *mem = arena_new();
    nest_kernel *const kernels[] = {fma_kernel(mem, t), read_kernel(mem, t)};
    bool ok = be_compile_kernels(kernels, 2, t, o, d);
    arena_free(mem);
    return ok;
}
