/* ir/graph/layout.h - where the elements of a value lie in its memory.
 *
 *     plain     row-major
 *     halo      {halo = [low, high, ...]}: room around each dimension; row-major with the room counted in
 *     panels    {panels = [dim, width]} of a symbol with two dimensions, both longer than 1: dimension `dim` is cut
 * into panels of `width` indices, a multiple of 16 that divides it; a panel lies in one piece, the other dimension
 * outermost in it
 *
 * Only memory layouts, never shapes: a value's type and its indices are the same in each of them. */
#ifndef IR_LAYOUT_H
#define IR_LAYOUT_H

#include "ir/ir.h"

/* Index i of the cut dimension lies at i / width * panel + i % width * stride. */
typedef struct {
    int64_t stride[IR_MAX_RANK], batch_stride; /* elements, as in ir_strides */
    int64_t first;                             /* of element 0 */
    int32_t cut;                               /* -1: none */
    int64_t width, panel;
} ir_layout;

/* 'memory' is the node whose memory it is (ir_memory), or an assign to it; NULL: plain. */
ir_layout ir_layout_of(const ir_type *t, const ir_node *memory);
/* The `panels` of a symbol that are well formed for its type. */
bool ir_panels(const ir_symbol *y, int32_t *dim, int64_t *width);
bool ir_layout_equal(const ir_layout *a, const ir_layout *b, int rank);

#endif
