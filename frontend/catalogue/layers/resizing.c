/* frontend/catalogue/layers/resizing.c - sequences and images made larger or smaller at their edges, or enlarged by a
 * whole factor. */
#include "frontend/catalogue/layers/window.h"
#include <inttypes.h>
#include <string.h>

/* ---- edges ---- */

/* Add 'sign' times the key's margins to the input's steps, rows and columns. */
static bool shape_margins(fe_reader *r, fe_layer *l, int dims, const char *key, int sign)
{
    if (!fe_expect_spatial(r, l, dims))
        return false;
    const fe_option *margins = fe_get(l->options, key);
    l->type = l->in_type[0];
    for (int i = 0; i < dims; i++) {
        int64_t in = l->type.dim[i + 1].n, both = margins->list[2 * i] + margins->list[2 * i + 1];
        l->type.dim[i + 1].n = in + sign * both;
        if (l->type.dim[i + 1].n < 1) {
            const char *expected =
                arena_printf(r->mem, "less than the %" PRId64 " %s of the input", in, fe_window_axis(dims, i));
            return fe_mismatch(r, margins->at, key, expected, arena_printf(r->mem, "%" PRId64, both));
        }
    }
    return fe_check_size(r, l->at, l->name, &l->type);
}

static bool shape_zero_padding1d(fe_reader *r, fe_layer *l)
{
    return shape_margins(r, l, 1, "padding", 1);
}

static bool shape_zero_padding2d(fe_reader *r, fe_layer *l)
{
    return shape_margins(r, l, 2, "padding", 1);
}

static bool shape_cropping1d(fe_reader *r, fe_layer *l)
{
    return shape_margins(r, l, 1, "cropping", -1);
}

static bool shape_cropping2d(fe_reader *r, fe_layer *l)
{
    return shape_margins(r, l, 2, "cropping", -1);
}

static ir_node *build_zero_padding(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    const fe_option *margins = fe_get(l->options, "padding");
    int64_t low[IR_MAX_RANK] = {0}, high[IR_MAX_RANK] = {0}, interior[IR_MAX_RANK] = {0};
    for (int i = 0; i < l->type.rank - 2; i++) {
        low[i + 1] = margins->list[2 * i];
        high[i + 1] = margins->list[2 * i + 1];
    }
    ir_node *zero = ir_constant(b->g, fe_plain_type(0, NULL), 0);
    return ir_pad(b->g, in[0], zero, low, high, interior);
}

static ir_node *build_cropping(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    const fe_option *margins = fe_get(l->options, "cropping");
    ir_node *x = in[0];
    for (int i = 0; i < l->type.rank - 2; i++)
        x = fe_slice(b->g, x, i + 1, margins->list[2 * i], x->type.dim[i + 1].n - margins->list[2 * i + 1]);
    return x;
}

/* ---- enlarging ---- */

static bool shape_upsample(fe_reader *r, fe_layer *l, int dims)
{
    if (!fe_expect_spatial(r, l, dims))
        return false;
    l->type = l->in_type[0];
    for (int i = 0; i < dims; i++) {
        int64_t factor = fe_get(l->options, "size")->list[i];
        if (factor > INT32_MAX / l->type.dim[i + 1].n)
            factor = INT32_MAX; /* the check below says so */
        l->type.dim[i + 1].n *= factor;
    }
    return fe_check_size(r, l->at, l->name, &l->type);
}

static bool shape_upsample1d(fe_reader *r, fe_layer *l)
{
    return shape_upsample(r, l, 1);
}

static bool shape_upsample2d(fe_reader *r, fe_layer *l)
{
    static const char *const known[] = {"nearest", "bilinear"};
    const fe_option *how = fe_get(l->options, "interpolation");
    if (strcmp(how->word, known[0]) != 0 && strcmp(how->word, known[1]) != 0)
        return fe_unknown(r, how->at, "interpolation", how->word, known, 2);
    return shape_upsample(r, l, 2);
}

/* Each element 'factor' times in a row: the dimension becomes two, of which the second only repeats, and then one. */
static ir_node *repeated(ir_graph *g, ir_node *x, int dim, int64_t factor)
{
    ir_type spread = x->type, whole = x->type;
    int64_t dims[IR_MAX_RANK];
    spread.rank++;
    for (int i = 0; i < x->type.rank; i++) {
        dims[i] = i <= dim ? i : i + 1;
        spread.dim[dims[i]] = x->type.dim[i];
    }
    spread.dim[dim + 1] = (ir_dim){.n = factor};
    whole.dim[dim].n *= factor;
    return ir_reshape(g, ir_broadcast_in_dim(g, x, spread, dims), whole.rank, whole.dim);
}

/* x moved by one along a dimension, the element at the edge twice. */
static ir_node *shifted(ir_graph *g, ir_node *x, int dim, bool down)
{
    int64_t n = x->type.dim[dim].n;
    if (n == 1)
        return x;
    ir_node *edge = down ? fe_slice(g, x, dim, 0, 1) : fe_slice(g, x, dim, n - 1, n);
    ir_node *rest = down ? fe_slice(g, x, dim, 0, n - 1) : fe_slice(g, x, dim, 1, n);
    return ir_concatenate(g, (ir_node *const[]){down ? edge : rest, down ? rest : edge}, 2, dim);
}

/* Linear interpolation between the centres of elements, as Keras and PyTorch (align_corners=False) do it: the result's
 * element at factor * i + p stands at i + (p + 1/2) / factor - 1/2 of x; beyond the outer centres x is constant. */
static ir_node *interpolated(ir_graph *g, ir_node *x, int dim, int64_t factor)
{
    ir_type one = x->type, whole = x->type;
    one.rank++;
    for (int i = dim + 1; i < x->type.rank; i++)
        one.dim[i + 1] = x->type.dim[i];
    one.dim[dim + 1] = (ir_dim){.n = 1};
    whole.dim[dim].n *= factor;
    ir_node **phases = arena_new_array(g->module->mem, ir_node *, (size_t)factor);
    ir_node *before = shifted(g, x, dim, true), *behind = shifted(g, x, dim, false);
    for (int64_t p = 0; p < factor; p++) {
        double at = ((double)p + 0.5) / (double)factor - 0.5;
        ir_node *other = at < 0 ? before : behind;
        double share = at < 0 ? -at : at;
        ir_node *near = ir_multiply(g, x, ir_like(g, x, 1 - share));
        ir_node *far = ir_multiply(g, other, ir_like(g, x, share));
        phases[p] = ir_reshape(g, ir_add(g, near, far), one.rank, one.dim);
    }
    ir_node *all = factor > 1 ? ir_concatenate(g, phases, (int)factor, dim + 1) : phases[0];
    return ir_reshape(g, all, whole.rank, whole.dim);
}

static ir_node *enlarged(fe_builder *b, const fe_layer *l, ir_node *x,
                         ir_node *(*enlarge)(ir_graph *g, ir_node *x, int dim, int64_t factor))
{
    for (int i = 0; i < l->type.rank - 2; i++)
        x = enlarge(b->g, x, i + 1, fe_get(l->options, "size")->list[i]);
    return x;
}

static ir_node *build_upsample1d(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return enlarged(b, l, in[0], repeated);
}

static ir_node *build_upsample2d(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    bool nearest = !strcmp(fe_get(l->options, "interpolation")->word, "nearest");
    return enlarged(b, l, in[0], nearest ? repeated : interpolated);
}

static const fe_layer_kind rows[] = {
    LAYER(zero_padding1d, ONE, "padding", shape_zero_padding1d, build_zero_padding, KEY("padding", FE_MARGINS_1D, "1")),
    LAYER(zero_padding2d, ONE, "padding", shape_zero_padding2d, build_zero_padding, KEY("padding", FE_MARGINS, "1")),
    LAYER(cropping1d, ONE, "cropping", shape_cropping1d, build_cropping, KEY("cropping", FE_MARGINS_1D, FE_REQUIRED)),
    LAYER(cropping2d, ONE, "cropping", shape_cropping2d, build_cropping, KEY("cropping", FE_MARGINS, FE_REQUIRED)),
    LAYER(upsample1d, ONE, "size", shape_upsample1d, build_upsample1d, KEY("size", FE_COUNT, "2")),
    LAYER(upsample2d, ONE, "size", shape_upsample2d, build_upsample2d, KEY("size", FE_PAIR, "2"),
          KEY("interpolation", FE_NAME, "nearest")),
};

const fe_rows fe_resizing_layers = FE_ROWS(rows);
