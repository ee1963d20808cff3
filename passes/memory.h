/* passes/memory.h - who writes a value, and how much memory it takes; for the passes that order kernels and place
 * buffers. */
#ifndef PASSES_MEMORY_H
#define PASSES_MEMORY_H

#include "ir/ir.h"

/* Sizes stop growing here, far above what any machine has: sums of them cannot overflow. */
#define MEM_LIMIT ((int64_t)1 << 48)

const ir_node *mem_producer(const ir_node *n); /* the node that writes n's memory: a `result` node's kernel */
bool mem_is_kernel(const ir_node *n);          /* it runs; the others only name memory or scalars of the call */
bool mem_is_bare(const ir_node *n);            /* it runs, but is no `fused` node yet */
bool mem_is_leaf(const ir_node *n);            /* without operands, made anew wherever it is needed */
int64_t mem_max_batch(const ir_module *m);     /* the module's max_batch, or the default */
const char *mem_size_name(ir_segment s);       /* the module's attribute that says a segment's size, or "" */
/* The attribute that says how much of a segment inference takes, or "" where that is all or nothing. */
const char *mem_inference_size_name(ir_segment s);
/* The symbols that inference reads or writes, in 'mem': all that its functions have, the metrics' sums, and states that
 * are marked {inference = [1]}, as those of a stage alone are, whose functions for inference are elsewhere. */
ir_map *mem_inference_symbols(const ir_module *m, arena *mem);
ir_target mem_target(const ir_module *m); /* the module's, or the least one that there is code for */
/* An operand so large that every task would stream it anew, or, of weights that two workers learn, fetch from the
 * other's cache what that one wrote. By columns each worker finds in its own cache what it left, which is worth the
 * more the larger the caches are (weights of 400 KB, caches of 2 MB, two workers: 2.3 times as fast): so no cache makes
 * more than 256 KB a small operand. */
bool mem_is_large(const ir_target *t, double bytes);
/* Is n a kernel's result that only members of that kernel's chain read? One slice of it at a time is enough then. */
bool mem_is_slice(const ir_node *n);
/* Bytes at the largest batch, the `halo` among the attributes included; at most MEM_LIMIT. */
int64_t mem_bytes(const ir_type *t, const ir_attr *attrs, int64_t max_batch);

#endif
