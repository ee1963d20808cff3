/* passes/buffers.h - the buffers that a function's kernels write: how large each is and how long it lives.
 * plan_memory.c gives them places; check_memory.c looks at the places that they have. */
#ifndef PASSES_BUFFERS_H
#define PASSES_BUFFERS_H

#include "ir/ir.h"

enum { MEM_ALIGNMENT = 64 };

/* Memory of one value, or of several that follow each other in place. */
typedef struct {
    const ir_node *owner; /* who wrote it first */
    int64_t bytes, offset;
    int32_t first, last; /* node positions, both included */
    ir_segment segment;  /* workspace or worker */
} mem_buffer;

typedef struct {
    ir_graph *g;
    arena *mem;
    diag *d;
    int64_t max_batch;
    bool placed;        /* the nodes have their places already: who shares memory is read off them */
    ir_node **node;     /* by id */
    int32_t *last_use;  /* by root's id */
    int32_t *buffer_of; /* by root's id, -1 for values with memory of another kind */
    mem_buffer *buffers;
    int32_t count;
} mem_function;

int64_t mem_align(int64_t bytes); /* rounded up */
/* The nodes by number; no buffers yet. Everything lives in 'mem'. */
mem_function mem_function_open(ir_graph *g, bool placed, arena *mem, diag *d);
/* Find the buffers and their lives. Results of the function and values in the segment `saved` say so by their place
 * beforehand. False after an error. */
bool mem_find_buffers(mem_function *f);
bool mem_live_together(const mem_buffer *a, const mem_buffer *b);

/* Where an input or a result of the function belongs: at the number of its row, or, in a module without rows of that
 * kind, at its number in the function. False after an error. */
bool mem_input_place(const mem_function *f, int index, ir_place *out);
bool mem_result_place(const mem_function *f, int index, ir_place *out);

#endif
