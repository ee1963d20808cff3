/* frontend/catalogue/layers/windows.c - layers that look at an image through a window: convolution and pooling. */
#include "frontend/catalogue/layers/layers.h"
#include <inttypes.h>

typedef struct {
    int64_t size[2], stride[2], low[2], high[2], out[2]; /* rows, columns */
} window;

static const window *window_of(const fe_layer *l)
{
    return l->found;
}

/* `same` gives ceil(in / stride) outputs, the odd padded row at the high side. */
static bool place_window(fe_reader *r, fe_layer *l, const char *size_key)
{
    const fe_option *size = fe_get(l->options, size_key), *stride = fe_get(l->options, "strides");
    const fe_option *padding = fe_get(l->options, "padding");
    window *w = arena_make(r->mem, window);
    l->found = w;
    for (int i = 0; i < 2; i++) {
        int64_t in = l->in_type[0].dim[i + 1].n;
        w->size[i] = size->list[i];
        w->stride[i] = stride->present ? stride->list[i] : size->list[i];
        w->low[i] = padding->list[2 * i];
        w->high[i] = padding->list[2 * i + 1];
        if (padding->word) {
            int64_t out = (in + w->stride[i] - 1) / w->stride[i];
            int64_t total = (out - 1) * w->stride[i] + w->size[i] - in;
            w->low[i] = total > 0 ? total / 2 : 0;
            w->high[i] = total > 0 ? total - w->low[i] : 0;
        }
        int64_t room = in + w->low[i] + w->high[i] - w->size[i];
        if (room < 0) {
            const char *expected =
                arena_printf(r->mem, "at most %" PRId64 " %s", room + w->size[i], i ? "columns" : "rows");
            return fe_mismatch(r, size->at, size_key, expected, arena_printf(r->mem, "%" PRId64, w->size[i]));
        }
        w->out[i] = room / w->stride[i] + 1;
    }
    return true;
}

static bool shape_conv2d(fe_reader *r, fe_layer *l)
{
    if (!fe_expect_image(r, l) || !place_window(r, l, "kernel_size"))
        return false;
    const window *w = window_of(l);
    int64_t filters = fe_get_int(l->options, "filters"), channels = fe_last_size(&l->in_type[0]);
    double field = (double)w->size[0] * (double)w->size[1];
    l->type = fe_batched_type(3, (int64_t[]){w->out[0], w->out[1], filters});
    ir_type weight = fe_plain_type(4, (int64_t[]){w->size[0], w->size[1], channels, filters});
    fe_init init = fe_init_of(l, "kernel_initializer", field * (double)channels, field * (double)filters);
    return fe_add_param(r, l, "weight", weight, init) && fe_add_bias(r, l, filters);
}

static ir_node *build_conv2d(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_conv c = {.spatial = 2,
                 .lhs = {0, 3, 1, 2},
                 .rhs = {2, 3, 0, 1},
                 .out = {0, 3, 1, 2},
                 .lhs_dilation = {1, 1},
                 .rhs_dilation = {1, 1},
                 .feature_groups = 1,
                 .batch_groups = 1};
    for (int i = 0; i < 2; i++) {
        c.stride[i] = window_of(l)->stride[i];
        c.low[i] = window_of(l)->low[i];
        c.high[i] = window_of(l)->high[i];
    }
    return fe_activated(b, l, fe_biased(b, l, ir_convolution(b->g, in[0], fe_use_param(b, l, "weight"), &c)));
}

static bool shape_pool(fe_reader *r, fe_layer *l)
{
    if (!fe_expect_image(r, l) || !place_window(r, l, "pool_size"))
        return false;
    const window *w = window_of(l);
    /* A window in padding alone would have no maximum and no mean. */
    for (int i = 0; i < 2; i++)
        if (w->low[i] >= w->size[i] || w->high[i] >= w->size[i]) {
            const char *expected = arena_printf(r->mem, "less than the pool size, %" PRId64, w->size[i]);
            int64_t most = w->low[i] > w->high[i] ? w->low[i] : w->high[i];
            return fe_mismatch(r, fe_get(l->options, "padding")->at, "padding", expected,
                               arena_printf(r->mem, "%" PRId64, most));
        }
    l->type = fe_batched_type(3, (int64_t[]){w->out[0], w->out[1], fe_last_size(&l->in_type[0])});
    return true;
}

/* The position of a maximum is kept in a byte. */
static bool shape_max_pool2d(fe_reader *r, fe_layer *l)
{
    if (!shape_pool(r, l))
        return false;
    const window *w = window_of(l);
    if (w->size[0] <= 256 && w->size[1] <= 256 && w->size[0] * w->size[1] <= 256)
        return true;
    return fe_mismatch(r, fe_get(l->options, "pool_size")->at, "pool_size", "at most 256 elements in a window",
                       arena_printf(r->mem, "%" PRId64 " x %" PRId64, w->size[0], w->size[1]));
}

static ir_node *pooled(fe_builder *b, const fe_layer *l, const char *kind, ir_node *x)
{
    const window *from = window_of(l);
    ir_window w = {.window = {1, 1, 1, 1}, .stride = {1, 1, 1, 1}};
    for (int i = 0; i < 2; i++) {
        w.window[i + 1] = from->size[i];
        w.stride[i + 1] = from->stride[i];
        w.low[i + 1] = from->low[i];
        w.high[i + 1] = from->high[i];
    }
    return ir_reduce_window(b->g, kind, x, &w);
}

static ir_node *build_max_pool2d(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return pooled(b, l, "max", in[0]);
}

/* How many elements of each window along one axis are not padding. */
static ir_node *window_counts(fe_builder *b, const fe_layer *l, int axis, int64_t in)
{
    const window *w = window_of(l);
    arena *scratch = arena_new();
    double *count = arena_new_array(scratch, double, (size_t)w->out[axis]);
    for (int64_t i = 0; i < w->out[axis]; i++) {
        int64_t first = i * w->stride[axis] - w->low[axis], last = first + w->size[axis];
        count[i] = (double)((last < in ? last : in) - (first > 0 ? first : 0));
    }
    ir_node *n = ir_node_new(b->g, IR_CONSTANT, NULL, 0, fe_plain_type(1, &w->out[axis]));
    ir_set_numbers(n, "value", count, (int)w->out[axis]);
    arena_free(scratch);
    return n;
}

/* Padding does not count: where there is some, each window is divided by what it really covers. */
static ir_node *build_average_pool2d(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    const window *w = window_of(l);
    ir_node *sum = pooled(b, l, "sum", in[0]);
    if (!(w->low[0] | w->low[1] | w->high[0] | w->high[1]))
        return ir_divide(g, sum, ir_like(g, sum, (double)(w->size[0] * w->size[1])));
    ir_node *rows = window_counts(b, l, 0, in[0]->type.dim[1].n);
    rows = ir_broadcast_in_dim(g, rows, sum->type, (int64_t[]){1});
    ir_node *columns = window_counts(b, l, 1, in[0]->type.dim[2].n);
    columns = ir_broadcast_in_dim(g, columns, sum->type, (int64_t[]){2});
    ir_node *area = ir_multiply(g, rows, columns);
    return ir_divide(g, sum, area);
}

static bool shape_global_average_pool2d(fe_reader *r, fe_layer *l)
{
    if (!fe_expect_image(r, l))
        return false;
    int64_t channels = fe_last_size(&l->in_type[0]);
    l->type = fe_batched_type(1, &channels);
    return true;
}

static ir_node *build_global_average_pool2d(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    (void)l;
    const ir_dim *d = in[0]->type.dim;
    ir_node *sum = ir_reduce(b->g, "sum", in[0], (int64_t[]){1, 2}, 2);
    return ir_divide(b->g, sum, ir_like(b->g, sum, (double)(d[1].n * d[2].n)));
}

#define POOL_KEYS KEY("pool_size", FE_PAIR, "2"), KEY("strides", FE_PAIR, NULL), KEY("padding", FE_PADDING, "valid")

static const fe_layer_kind rows[] = {
    LAYER(conv2d, ONE, NULL, shape_conv2d, build_conv2d, KEY("filters", FE_COUNT, FE_REQUIRED),
          KEY("kernel_size", FE_PAIR, FE_REQUIRED), KEY("strides", FE_PAIR, "1"), KEY("padding", FE_PADDING, "valid"),
          KERNEL_KEYS),
    LAYER(max_pool2d, ONE, "pool_size", shape_max_pool2d, build_max_pool2d, POOL_KEYS),
    LAYER(average_pool2d, ONE, "pool_size", shape_pool, build_average_pool2d, POOL_KEYS),
    LAYER(global_average_pool2d, ONE, NULL, shape_global_average_pool2d, build_global_average_pool2d, {0}),
};

const fe_rows fe_window_layers = FE_ROWS(rows);
