/* frontend/catalogue/layers/pools.c - the largest or the mean of a channel, in windows or over a whole map. */
#include "frontend/catalogue/layers/window.h"
#include <inttypes.h>

/* ---- of windows ---- */

static bool shape_pool(fe_reader *r, fe_layer *l, int dims)
{
    if (!fe_expect_spatial(r, l, dims) || !fe_place_window(r, l, dims, "pool_size", false))
        return false;
    const fe_window *w = fe_window_of(l);
    /* A window in padding alone would have no maximum and no mean. */
    for (int i = 0; i < dims; i++)
        if (w->low[i] >= w->size[i] || w->high[i] >= w->size[i]) {
            const char *expected = arena_printf(r->mem, "less than the pool size, %" PRId64, w->size[i]);
            int64_t most = w->low[i] > w->high[i] ? w->low[i] : w->high[i];
            return fe_mismatch(r, fe_get(l->options, "padding")->at, "padding", expected,
                               arena_printf(r->mem, "%" PRId64, most));
        }
    l->type = fe_window_result(w, fe_last_size(&l->in_type[0]));
    return true;
}

/* The position of a maximum is kept in a byte. */
static bool shape_max_pool(fe_reader *r, fe_layer *l, int dims)
{
    if (!shape_pool(r, l, dims))
        return false;
    const fe_window *w = fe_window_of(l);
    int64_t columns = dims == 2 ? w->size[1] : 1;
    if (w->size[0] <= 256 && columns <= 256 && w->size[0] * columns <= 256)
        return true;
    const char *found = dims == 2 ? arena_printf(r->mem, "%" PRId64 " x %" PRId64, w->size[0], w->size[1])
                                  : arena_printf(r->mem, "%" PRId64, w->size[0]);
    return fe_mismatch(r, fe_get(l->options, "pool_size")->at, "pool_size", "at most 256 elements in a window", found);
}

static bool shape_max_pool1d(fe_reader *r, fe_layer *l)
{
    return shape_max_pool(r, l, 1);
}

static bool shape_max_pool2d(fe_reader *r, fe_layer *l)
{
    return shape_max_pool(r, l, 2);
}

static bool shape_average_pool1d(fe_reader *r, fe_layer *l)
{
    return shape_pool(r, l, 1);
}

static bool shape_average_pool2d(fe_reader *r, fe_layer *l)
{
    return shape_pool(r, l, 2);
}

static ir_node *pooled(fe_builder *b, const fe_layer *l, const char *kind, ir_node *x)
{
    const fe_window *from = fe_window_of(l);
    ir_window w = {.window = {1, 1, 1, 1}, .stride = {1, 1, 1, 1}};
    for (int i = 0; i < from->dims; i++) {
        w.window[i + 1] = from->size[i];
        w.stride[i + 1] = from->stride[i];
        w.low[i + 1] = from->low[i];
        w.high[i + 1] = from->high[i];
    }
    return ir_reduce_window(b->g, kind, x, &w);
}

static ir_node *build_max_pool(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return pooled(b, l, "max", in[0]);
}

/* How many elements of each window along one axis are not padding, for every element of the pool's sum. */
static ir_node *window_counts(fe_builder *b, const fe_layer *l, int axis, int64_t in, const ir_node *sum)
{
    const fe_window *w = fe_window_of(l);
    arena *scratch = arena_new();
    double *count = arena_new_array(scratch, double, (size_t)w->out[axis]);
    for (int64_t i = 0; i < w->out[axis]; i++) {
        int64_t first = i * w->stride[axis] - w->low[axis], last = first + w->size[axis];
        count[i] = (double)((last < in ? last : in) - (first > 0 ? first : 0));
    }
    ir_node *n = ir_constants(b->g, fe_plain_type(1, &w->out[axis]), count);
    arena_free(scratch);
    return ir_broadcast_in_dim(b->g, n, sum->type, (int64_t[]){axis + 1});
}

/* Padding does not count: where there is some, each window is divided by what it really covers. */
static ir_node *build_average_pool(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    const fe_window *w = fe_window_of(l);
    ir_node *sum = pooled(b, l, "sum", in[0]), *area = NULL;
    int64_t size = 1, padding = 0;
    for (int i = 0; i < w->dims; i++) {
        size *= w->size[i];
        padding |= w->low[i] | w->high[i];
    }
    if (!padding)
        return ir_divide(g, sum, ir_like(g, sum, (double)size));
    for (int i = 0; i < w->dims; i++) {
        ir_node *count = window_counts(b, l, i, in[0]->type.dim[i + 1].n, sum);
        area = area ? ir_multiply(g, area, count) : count;
    }
    return ir_divide(g, sum, area);
}

/* ---- of whole maps ---- */

static bool shape_global(fe_reader *r, fe_layer *l, int dims)
{
    if (!fe_expect_spatial(r, l, dims))
        return false;
    int64_t channels = fe_last_size(&l->in_type[0]);
    l->type = fe_batched_type(1, &channels);
    return true;
}

static bool shape_global_pool1d(fe_reader *r, fe_layer *l)
{
    return shape_global(r, l, 1);
}

static bool shape_global_pool2d(fe_reader *r, fe_layer *l)
{
    return shape_global(r, l, 2);
}

static ir_node *over_map(fe_builder *b, const char *kind, ir_node *x)
{
    return ir_reduce(b->g, kind, x, (int64_t[]){1, 2}, x->type.rank - 2);
}

static ir_node *build_global_average(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    const ir_type *x = &in[0]->type;
    (void)l;
    int64_t positions = ir_static_count(x) / fe_last_size(x);
    ir_node *sum = over_map(b, "sum", in[0]);
    return ir_divide(b->g, sum, ir_like(b->g, sum, (double)positions));
}

static ir_node *build_global_max(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    (void)l;
    return over_map(b, "max", in[0]);
}

/* ---- rows ---- */

#define POOL_KEYS(type, padding)                                                                                       \
    KEY("pool_size", type, "2"), KEY("strides", type, NULL), KEY("padding", padding, "valid")

static const fe_layer_kind rows[] = {
    LAYER(max_pool1d, ONE, "pool_size", shape_max_pool1d, build_max_pool, POOL_KEYS(FE_COUNT, FE_PADDING_1D)),
    LAYER(max_pool2d, ONE, "pool_size", shape_max_pool2d, build_max_pool, POOL_KEYS(FE_PAIR, FE_PADDING)),
    LAYER(average_pool1d, ONE, "pool_size", shape_average_pool1d, build_average_pool,
          POOL_KEYS(FE_COUNT, FE_PADDING_1D)),
    LAYER(average_pool2d, ONE, "pool_size", shape_average_pool2d, build_average_pool, POOL_KEYS(FE_PAIR, FE_PADDING)),
    LAYER(global_average_pool1d, ONE, NULL, shape_global_pool1d, build_global_average, {0}),
    LAYER(global_average_pool2d, ONE, NULL, shape_global_pool2d, build_global_average, {0}),
    LAYER(global_max_pool1d, ONE, NULL, shape_global_pool1d, build_global_max, {0}),
    LAYER(global_max_pool2d, ONE, NULL, shape_global_pool2d, build_global_max, {0}),
};

const fe_rows fe_pooling_layers = FE_ROWS(rows);
