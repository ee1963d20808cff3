/* passes/select/select.h - what the files of pass select share: kernels in the making. */
#ifndef PASSES_SELECT_H
#define PASSES_SELECT_H

#include "ir/ir.h"

/* A kernel before g's cursor, its region still empty. */
ir_node *select_kernel(ir_graph *g, const char *kind, const char *label, int64_t stage, src_loc loc, ir_type type);
/* The region's input for x, new if it has none yet. */
ir_node *select_input(ir_node *fused, ir_node *x);
/* A copy of node x of kernel from's region, and of all it needs, in kernel 'to'. 'map' has a place for each node of the
 * region by id, NULL at first. */
ir_node *select_copy(ir_node *from, ir_node *to, ir_node *x, ir_node **map);
/* Drop what nothing in the region uses any more, then operands without use. */
void select_sweep(ir_node *fused);

/* Scratch memory of rows by count elements as one more operand of the kernel. */
ir_node *select_scratch(ir_node *fused, ir_dtype t, int64_t rows, int64_t count);

/* passes/select/contraction.c: bring the operands of the kernel's contraction into memory, with zeros around the lhs
 * where the kernel does not bring its own; then choose its plan, and how the operands lie for it. */
void select_operands(ir_node *fused, const ir_target *t, int64_t max_batch);
void select_contraction(ir_node *fused, const ir_target *t, int64_t max_batch);

/* The same file: a kernel that transforms filters seen through a transpose reads a copy, since it would meet a line of
 * memory for each element of each of the nine places at once, where a copy meets those of one place. */
void select_filter(ir_node *fused);

/* passes/select/gemm.c: give products of a module that asks for it (gemm = openblas) to kernels of kind `gemm`.
 * Operands of contractions are in memory. */
void select_gemm(ir_graph *g);

#endif
