/* frontend/catalogue/layers/convolutions.c - learned windows over sequences and images, as Keras defines them.
 *
 * All are one operator. Weights are [window, input channels of a group, filters]. Of a depthwise convolution, to
 * which each channel is a group, they are [window, 1, channels * depth_multiplier]; of a transposed one, which is the
 * gradient of a convolution by its input, [window, filters, input channels]. */
#include "frontend/catalogue/layers/window.h"
#include <inttypes.h>

/* ---- shapes ---- */

static double field_of(const fe_window *w)
{
    return (double)w->size[0] * (double)(w->dims == 2 ? w->size[1] : 1);
}

static ir_type weight_type(const fe_window *w, int64_t in, int64_t out)
{
    int64_t sizes[4] = {w->size[0], w->size[1]};
    sizes[w->dims] = in;
    sizes[w->dims + 1] = out;
    return fe_plain_type(w->dims + 2, sizes);
}

static bool divides(fe_reader *r, const fe_layer *l, int64_t groups, const char *what, int64_t count)
{
    if (count % groups == 0)
        return true;
    const char *expected = arena_printf(r->mem, "a divisor of the %" PRId64 " %s", count, what);
    return fe_mismatch(r, fe_get(l->options, "groups")->at, "groups", expected,
                       arena_printf(r->mem, "%" PRId64, groups));
}

static bool shape_conv(fe_reader *r, fe_layer *l, int dims)
{
    if (!fe_expect_spatial(r, l, dims) || !fe_place_window(r, l, dims, "kernel_size", true))
        return false;
    const fe_window *w = fe_window_of(l);
    int64_t filters = fe_get_int(l->options, "filters"), groups = fe_get_int(l->options, "groups");
    int64_t channels = fe_last_size(&l->in_type[0]);
    if (!divides(r, l, groups, "input channels", channels) || !divides(r, l, groups, "filters", filters))
        return false;
    l->type = fe_window_result(w, filters);
    int64_t in = channels / groups;
    fe_init init = fe_init_of(l, "kernel_initializer", field_of(w) * (double)in, field_of(w) * (double)filters);
    return fe_add_param(r, l, "weight", weight_type(w, in, filters), init) && fe_add_bias(r, l, filters);
}

static bool shape_conv1d(fe_reader *r, fe_layer *l)
{
    return shape_conv(r, l, 1);
}

static bool shape_conv2d(fe_reader *r, fe_layer *l)
{
    return shape_conv(r, l, 2);
}

/* *count: results of all channels. */
static bool shape_each_channel(fe_reader *r, fe_layer *l, int dims, const char *role, const char *key, int64_t *count)
{
    if (!fe_expect_spatial(r, l, dims) || !fe_place_window(r, l, dims, "kernel_size", true))
        return false;
    const fe_window *w = fe_window_of(l);
    int64_t multiplier = fe_get_int(l->options, "depth_multiplier");
    *count = fe_last_size(&l->in_type[0]) * multiplier;
    fe_init init = fe_init_of(l, key, field_of(w), field_of(w) * (double)multiplier);
    return fe_add_param(r, l, role, weight_type(w, 1, *count), init);
}

static bool shape_depthwise(fe_reader *r, fe_layer *l, int dims)
{
    int64_t count;
    if (!shape_each_channel(r, l, dims, "weight", "kernel_initializer", &count))
        return false;
    l->type = fe_window_result(fe_window_of(l), count);
    return fe_add_bias(r, l, count);
}

static bool shape_depthwise_conv1d(fe_reader *r, fe_layer *l)
{
    return shape_depthwise(r, l, 1);
}

static bool shape_depthwise_conv2d(fe_reader *r, fe_layer *l)
{
    return shape_depthwise(r, l, 2);
}

static bool shape_separable(fe_reader *r, fe_layer *l, int dims)
{
    int64_t count, filters = fe_get_int(l->options, "filters");
    if (!shape_each_channel(r, l, dims, "depthwise_weight", "depthwise_initializer", &count))
        return false;
    l->type = fe_window_result(fe_window_of(l), filters);
    fe_init init = fe_init_of(l, "pointwise_initializer", (double)count, (double)filters);
    return fe_add_param(r, l, "pointwise_weight", fe_plain_type(2, (int64_t[]){count, filters}), init) &&
           fe_add_bias(r, l, filters);
}

static bool shape_separable_conv1d(fe_reader *r, fe_layer *l)
{
    return shape_separable(r, l, 1);
}

static bool shape_separable_conv2d(fe_reader *r, fe_layer *l)
{
    return shape_separable(r, l, 2);
}

/* What a convolution of the result would have for its input: stride - 1 gaps between elements, and edges so that each
 * input meets the whole kernel, less the padding. `same` makes in * stride of in. */
static bool place_transposed(fe_reader *r, fe_layer *l, int dims)
{
    const fe_option *padding = fe_get(l->options, "padding"), *size = fe_get(l->options, "kernel_size");
    const fe_option *more = fe_get(l->options, "output_padding"), *stride = fe_get(l->options, "strides");
    fe_window *w = arena_make(r->mem, fe_window);
    l->found = w;
    w->dims = dims;
    for (int i = 0; i < dims; i++) {
        int64_t in = l->in_type[0].dim[i + 1].n, low = padding->list[2 * i], high = padding->list[2 * i + 1];
        int64_t extra = more->present ? more->list[i] : 0;
        w->size[i] = size->list[i];
        w->stride[i] = stride->list[i];
        w->dilation[i] = fe_get(l->options, "dilation_rate")->list[i];
        int64_t reach = (w->size[i] - 1) * w->dilation[i] + 1;
        if (padding->word) {
            int64_t total = reach > w->stride[i] ? reach - w->stride[i] : 0;
            low = total / 2;
            high = total - low;
            extra = more->present ? extra : w->stride[i] - reach + total;
        }
        if (extra >= w->stride[i] && extra >= w->dilation[i]) {
            const char *expected = arena_printf(r->mem, "less than the stride or the dilation rate, %" PRId64,
                                                w->stride[i] > w->dilation[i] ? w->stride[i] : w->dilation[i]);
            return fe_mismatch(r, more->present ? more->at : l->at, "output_padding", expected,
                               arena_printf(r->mem, "%" PRId64, extra));
        }
        w->low[i] = reach - 1 - low;
        w->high[i] = reach - 1 - high + extra;
        w->out[i] = (in - 1) * w->stride[i] + 1 + w->low[i] + w->high[i] - reach + 1;
        if (w->out[i] < 1) {
            const char *expected = arena_printf(r->mem, "less than the %" PRId64 " %s there would be",
                                                w->out[i] + low + high, fe_window_axis(dims, i));
            return fe_mismatch(r, padding->at, "padding", expected, arena_printf(r->mem, "%" PRId64, low + high));
        }
    }
    return true;
}

static bool shape_transposed(fe_reader *r, fe_layer *l, int dims)
{
    if (!fe_expect_spatial(r, l, dims) || !place_transposed(r, l, dims))
        return false;
    const fe_window *w = fe_window_of(l);
    int64_t filters = fe_get_int(l->options, "filters"), channels = fe_last_size(&l->in_type[0]);
    l->type = fe_window_result(w, filters);
    fe_init init = fe_init_of(l, "kernel_initializer", field_of(w) * (double)filters, field_of(w) * (double)channels);
    return fe_add_param(r, l, "weight", weight_type(w, filters, channels), init) && fe_add_bias(r, l, filters);
}

static bool shape_conv1d_transpose(fe_reader *r, fe_layer *l)
{
    return shape_transposed(r, l, 1);
}

static bool shape_conv2d_transpose(fe_reader *r, fe_layer *l)
{
    return shape_transposed(r, l, 2);
}

/* ---- graphs ---- */

/* x with its own elements beyond both edges of a dimension, as in a mirror that stands on the last element. */
static ir_node *mirrored(ir_graph *g, ir_node *x, int dim, int64_t low, int64_t high)
{
    int64_t n = x->type.dim[dim].n;
    ir_node *parts[3];
    int count = 0;
    if (low)
        parts[count++] = ir_reverse(g, fe_slice(g, x, dim, 1, low + 1), (int64_t[]){dim}, 1);
    parts[count++] = x;
    if (high)
        parts[count++] = ir_reverse(g, fe_slice(g, x, dim, n - 1 - high, n - 1), (int64_t[]){dim}, 1);
    return count > 1 ? ir_concatenate(g, parts, count, dim) : x;
}

/* The operator's attributes for a window over NHWC or its like, with weights [window, in, out]. */
static ir_conv convolution_of(const fe_window *w)
{
    ir_conv c = {.spatial = w->dims, .feature_groups = 1, .batch_groups = 1};
    c.lhs[1] = c.out[1] = c.rhs[1] = w->dims + 1;
    c.rhs[0] = w->dims;
    for (int i = 0; i < w->dims; i++) {
        c.lhs[i + 2] = c.out[i + 2] = i + 1;
        c.rhs[i + 2] = i;
        c.stride[i] = w->stride[i];
        c.lhs_dilation[i] = 1;
        c.rhs_dilation[i] = w->dilation[i];
        c.low[i] = w->mirrored ? 0 : w->low[i];
        c.high[i] = w->mirrored ? 0 : w->high[i];
    }
    return c;
}

static ir_node *convolved(fe_builder *b, const fe_layer *l, ir_node *x, const char *role, int64_t groups)
{
    const fe_window *w = fe_window_of(l);
    ir_conv c = convolution_of(w);
    c.feature_groups = groups;
    for (int i = 0; w->mirrored && i < w->dims; i++)
        x = mirrored(b->g, x, i + 1, w->low[i], w->high[i]);
    return ir_convolution(b->g, x, fe_use_param(b, l, role), &c);
}

static ir_node *build_conv(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return fe_activated(b, l, fe_biased(b, l, convolved(b, l, in[0], "weight", fe_get_int(l->options, "groups"))));
}

static ir_node *build_depthwise(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_node *each = convolved(b, l, in[0], "weight", fe_last_size(&in[0]->type));
    return fe_activated(b, l, fe_biased(b, l, each));
}

static ir_node *build_separable(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_node *each = convolved(b, l, in[0], "depthwise_weight", fe_last_size(&in[0]->type));
    ir_node *mixed = ir_matmul(b->g, each, fe_use_param(b, l, "pointwise_weight"));
    return fe_activated(b, l, fe_biased(b, l, mixed));
}

static ir_node *build_transposed(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    const fe_window *w = fe_window_of(l);
    ir_conv c = convolution_of(w);
    c.rhs[0] = w->dims + 1;
    c.rhs[1] = w->dims;
    for (int i = 0; i < w->dims; i++) {
        c.stride[i] = 1;
        c.lhs_dilation[i] = w->stride[i];
    }
    ir_node *turned = ir_reverse(b->g, fe_use_param(b, l, "weight"), (int64_t[]){0, 1}, w->dims);
    return fe_activated(b, l, fe_biased(b, l, ir_convolution(b->g, in[0], turned, &c)));
}

/* ---- rows ---- */

#define WINDOW_KEYS(type, padding)                                                                                     \
    KEY("kernel_size", type, FE_REQUIRED), KEY("strides", type, "1"), KEY("padding", padding, "valid"),                \
        KEY("dilation_rate", type, "1")

#define CONV_KEYS(type, padding)                                                                                       \
    KEY("filters", FE_COUNT, FE_REQUIRED), WINDOW_KEYS(type, padding), KEY("groups", FE_COUNT, "1"), KERNEL_KEYS

#define DEPTHWISE_KEYS(type, padding) WINDOW_KEYS(type, padding), KEY("depth_multiplier", FE_COUNT, "1"), KERNEL_KEYS

#define SEPARABLE_KEYS(type, padding)                                                                                  \
    KEY("filters", FE_COUNT, FE_REQUIRED), WINDOW_KEYS(type, padding), KEY("depth_multiplier", FE_COUNT, "1"),         \
        KEY("use_bias", FE_BOOL, "true"), KEY("activation", FE_ACTIVATION, "linear"),                                  \
        KEY("depthwise_initializer", FE_INITIALIZER, "glorot_uniform"),                                                \
        KEY("pointwise_initializer", FE_INITIALIZER, "glorot_uniform"),                                                \
        KEY("bias_initializer", FE_INITIALIZER, "zeros"), KEY("depthwise_regularizer", FE_REGULARIZER, NULL),          \
        KEY("pointwise_regularizer", FE_REGULARIZER, NULL), KEY("bias_regularizer", FE_REGULARIZER, NULL)

#define TRANSPOSED_KEYS(type, whole, padding)                                                                          \
    KEY("filters", FE_COUNT, FE_REQUIRED), WINDOW_KEYS(type, padding), KEY("output_padding", whole, NULL), KERNEL_KEYS

static const fe_layer_kind rows[] = {
    LAYER(conv1d, ONE, NULL, shape_conv1d, build_conv, CONV_KEYS(FE_COUNT, FE_EDGES_1D)),
    LAYER(conv2d, ONE, NULL, shape_conv2d, build_conv, CONV_KEYS(FE_PAIR, FE_EDGES)),
    LAYER(depthwise_conv1d, ONE, NULL, shape_depthwise_conv1d, build_depthwise, DEPTHWISE_KEYS(FE_COUNT, FE_EDGES_1D)),
    LAYER(depthwise_conv2d, ONE, NULL, shape_depthwise_conv2d, build_depthwise, DEPTHWISE_KEYS(FE_PAIR, FE_EDGES)),
    LAYER(separable_conv1d, ONE, NULL, shape_separable_conv1d, build_separable, SEPARABLE_KEYS(FE_COUNT, FE_EDGES_1D)),
    LAYER(separable_conv2d, ONE, NULL, shape_separable_conv2d, build_separable, SEPARABLE_KEYS(FE_PAIR, FE_EDGES)),
    LAYER(conv1d_transpose, ONE, NULL, shape_conv1d_transpose, build_transposed,
          TRANSPOSED_KEYS(FE_COUNT, FE_WHOLE, FE_PADDING_1D)),
    LAYER(conv2d_transpose, ONE, NULL, shape_conv2d_transpose, build_transposed,
          TRANSPOSED_KEYS(FE_PAIR, FE_WHOLE_PAIR, FE_PADDING)),
};

const fe_rows fe_convolution_layers = FE_ROWS(rows);
