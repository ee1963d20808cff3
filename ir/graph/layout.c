/* ir/graph/layout.c - strides of plain values, of values with a halo, of symbols in panels. */
#include "ir/graph/layout.h"

/* Whole vectors of every target: a vector that starts at a multiple of its length never reaches over a panel's end. */
enum { GRAIN = 16 };

bool ir_panels(const ir_symbol *y, int32_t *dim, int64_t *width)
{
    const ir_attr *a = y ? ir_attr_find(y->attrs, "panels") : NULL;
    if (!a || a->count != 2 || y->type.rank != 2 || ir_batch_dim(&y->type) >= 0)
        return false;
    double d = a->number[0], w = a->number[1];
    if ((d != 0 && d != 1) || !(w >= GRAIN) || w > (double)y->type.dim[(int)d].n || w != (double)(int64_t)w)
        return false;
    *dim = (int32_t)d;
    *width = (int64_t)w;
    return *width % GRAIN == 0 && y->type.dim[*dim].n % *width == 0 && y->type.dim[1 - *dim].n > 1;
}

static void lay_out_panels(const ir_type *t, ir_layout *out)
{
    int other = 1 - out->cut;
    out->stride[out->cut] = 1;
    out->stride[other] = out->width;
    out->panel = t->dim[other].n * out->width;
    out->batch_stride = t->dim[0].n * t->dim[1].n;
}

ir_layout ir_layout_of(const ir_type *t, const ir_node *memory)
{
    ir_layout out = {.cut = -1};
    if (memory && ir_panels(memory->symbol, &out.cut, &out.width)) {
        lay_out_panels(t, &out);
        return out;
    }
    const ir_attr *halo = memory ? ir_attr_find(memory->attrs, "halo") : NULL;
    int64_t step = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        bool has = halo && halo->count == 2 * t->rank;
        int64_t low = has ? (int64_t)halo->number[2 * i] : 0, high = has ? (int64_t)halo->number[2 * i + 1] : 0;
        out.stride[i] = step;
        out.first += low * step;
        step *= t->dim[i].n + low + high;
    }
    out.batch_stride = step;
    return out;
}

bool ir_layout_equal(const ir_layout *a, const ir_layout *b, int rank)
{
    for (int i = 0; i < rank; i++)
        if (a->stride[i] != b->stride[i])
            return false;
    return a->batch_stride == b->batch_stride && a->first == b->first && a->cut == b->cut && a->width == b->width &&
           a->panel == b->panel;
}
