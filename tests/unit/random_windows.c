/* tests/unit/random_windows.c - rules for layers of windows and edges, over [steps, channels] and images. */
#include "tests/unit/random_maker.h"
#include <string.h>

typedef struct {
    int dims;
    int64_t size[2], stride[2], dilation[2], low[2], high[2];
    int form; /* how the padding is written */
} window;

enum { PAD_VALID, PAD_SAME, PAD_NUMBER, PAD_PAIR, PAD_SIDES, PAD_REFLECT, PAD_CAUSAL, PAD_FORMS };

/* 1 or 2 dimensions to move over; 0: none. */
static int dims_of(const shape *s)
{
    return s->rank == 2 || s->rank == 3 ? s->rank - 1 : 0;
}

/* Numbers of rows and columns, as one where it can be. */
static void add_each(maker *m, const char *key, const int64_t *each, int dims)
{
    text_printf(&m->layers, ", %s: ", key);
    if (dims == 1 || (each[0] == each[1] && chance(m, 70)))
        text_printf(&m->layers, "%lld", (long long)each[0]);
    else
        add_list(&m->layers, each, 2);
}

static void add_sides(maker *m, const int64_t *low, const int64_t *high, int dims)
{
    if (dims == 1)
        text_printf(&m->layers, "[%lld, %lld]", (long long)low[0], (long long)high[0]);
    else
        text_printf(&m->layers, "[[%lld, %lld], [%lld, %lld]]", (long long)low[0], (long long)high[0],
                    (long long)low[1], (long long)high[1]);
}

static int64_t reach(const window *w, int axis)
{
    return (w->size[axis] - 1) * w->dilation[axis] + 1;
}

static void draw_padding(maker *m, window *w, bool below_size)
{
    if (w->form < PAD_NUMBER || w->form > PAD_SIDES)
        return;
    if (w->dims == 1 && w->form == PAD_PAIR)
        w->form = PAD_SIDES;
    for (int i = 0; i < w->dims; i++) {
        int64_t most = below_size && w->size[i] < 3 ? w->size[i] : 3;
        w->low[i] = w->form == PAD_NUMBER && i ? w->low[0] : draw(m, (int)most);
        w->high[i] = w->form == PAD_SIDES ? draw(m, (int)most) : w->low[i];
        if (below_size && w->low[i] >= w->size[i])
            w->form = PAD_VALID;
    }
    if (w->form == PAD_VALID)
        memset(w->low, 0, sizeof w->low + sizeof w->high);
}

/* What `same`, `reflect` and `causal` come to. */
static void find_padding(window *w, int axis, int64_t in)
{
    int64_t out = (in + w->stride[axis] - 1) / w->stride[axis];
    int64_t total = (out - 1) * w->stride[axis] + reach(w, axis) - in;
    if (w->form == PAD_CAUSAL)
        w->low[axis] = reach(w, axis) - 1;
    else if (w->form == PAD_SAME || w->form == PAD_REFLECT) {
        w->low[axis] = total > 0 ? total / 2 : 0;
        w->high[axis] = total > 0 ? total - w->low[axis] : 0;
    }
}

static void draw_sizes(maker *m, window *w)
{
    static const int64_t sizes[] = {1, 2, 2, 3, 3, 3, 4, 5}, strides[] = {1, 1, 2, 2, 3, 4};
    for (int i = 0; i < 2; i++) {
        w->size[i] = DRAW(m, sizes);
        w->stride[i] = DRAW(m, strides);
        w->dilation[i] = 1;
    }
    if (chance(m, 60)) {
        w->size[1] = w->size[0];
        w->stride[1] = w->stride[0];
    }
}

/* A window that fits, and the steps, or rows and columns, that it leaves. */
static bool draw_window(maker *m, const shape *from, bool is_pool, window *w, shape *result)
{
    *w = (window){.dims = dims_of(from)};
    draw_sizes(m, w);
    if (is_pool && chance(m, 30))
        memcpy(w->stride, w->size, sizeof w->stride);
    if (!is_pool && chance(m, 25))
        w->dilation[0] = w->dilation[1] = 2 + draw(m, 2);
    w->form = draw(m, is_pool ? PAD_SIDES + 1 : w->dims == 1 ? PAD_FORMS : PAD_CAUSAL);
    draw_padding(m, w, is_pool);
    *result = *from;
    for (int i = 0; i < w->dims; i++) {
        find_padding(w, i, from->dim[i]);
        int64_t room = from->dim[i] + w->low[i] + w->high[i] - reach(w, i);
        if (room < 0 || (w->form == PAD_REFLECT && (w->low[i] >= from->dim[i] || w->high[i] >= from->dim[i])))
            return false;
        result->dim[i] = room / w->stride[i] + 1;
    }
    return element_count(result) <= MOST_ELEMENTS;
}

/* Strides may be left out where they are what they are without: 1, or a pool's size. */
static void add_window(maker *m, const char *size_key, bool is_pool, const window *w)
{
    static const char *const words[] = {
        [PAD_VALID] = "valid", [PAD_SAME] = "same",       [PAD_NUMBER] = "",      [PAD_PAIR] = "",
        [PAD_SIDES] = "",      [PAD_REFLECT] = "reflect", [PAD_CAUSAL] = "causal"};
    static const int64_t ones[2] = {1, 1};
    const int64_t *usual = is_pool ? w->size : ones;
    add_each(m, size_key, w->size, w->dims);
    if (w->stride[0] != usual[0] || (w->dims == 2 && w->stride[1] != usual[1]) || chance(m, 50))
        add_each(m, "strides", w->stride, w->dims);
    if (w->dilation[0] > 1)
        add_each(m, "dilation_rate", w->dilation, w->dims);
    text_printf(&m->layers, ", padding: %s", words[w->form]);
    if (w->form == PAD_NUMBER)
        text_printf(&m->layers, "%lld", (long long)w->low[0]);
    if (w->form == PAD_PAIR)
        add_list(&m->layers, w->low, 2);
    if (w->form == PAD_SIDES)
        add_sides(m, w->low, w->high, w->dims);
}

static const char *kind_of(const window *w, const char *one, const char *two)
{
    return w->dims == 1 ? one : two;
}

static int64_t field_of(const window *w)
{
    return w->size[0] * (w->dims == 2 ? w->size[1] : 1);
}

/* ---- convolutions ---- */

static int64_t common_divisor(maker *m, int64_t a, int64_t b)
{
    int64_t divisor = 1 + draw(m, 4);
    while (a % divisor || b % divisor)
        divisor--;
    return divisor;
}

bool make_conv(maker *m, int x)
{
    const shape from = m->values[x].shape;
    shape s;
    window w;
    if (!dims_of(&from) || !draw_window(m, &from, false, &w, &s))
        return false;
    int64_t filters = any_size(m), channels = from.dim[w.dims], groups = common_divisor(m, channels, filters);
    s.dim[w.dims] = filters;
    if (element_count(&s) > MOST_ELEMENTS || field_of(&w) * channels * filters > MOST_WEIGHTS)
        return false;
    open_layer(m, kind_of(&w, "conv1d", "conv2d"), &x, 1, &s)->has_parameters = true;
    text_printf(&m->layers, ", filters: %lld", (long long)filters);
    if (groups > 1 && chance(m, 50))
        text_printf(&m->layers, ", groups: %lld", (long long)groups);
    add_window(m, "kernel_size", false, &w);
    add_kernel_options(m, &s);
    close_layer(m);
    return true;
}

/* By itself, or with a product over channels behind it. */
bool make_depthwise(maker *m, int x)
{
    const shape from = m->values[x].shape;
    shape s;
    window w;
    if (!dims_of(&from) || !draw_window(m, &from, false, &w, &s))
        return false;
    bool mixes = chance(m, 50);
    int64_t multiplier = 1 + draw(m, 3), filters = any_size(m), channels = from.dim[w.dims];
    s.dim[w.dims] = mixes ? filters : channels * multiplier;
    if (element_count(&s) > MOST_ELEMENTS || channels * multiplier * (field_of(&w) + filters) > MOST_WEIGHTS)
        return false;
    open_layer(m,
               mixes ? kind_of(&w, "separable_conv1d", "separable_conv2d")
                     : kind_of(&w, "depthwise_conv1d", "depthwise_conv2d"),
               &x, 1, &s)
        ->has_parameters = true;
    text_printf(&m->layers, ", depth_multiplier: %lld", (long long)multiplier);
    if (mixes)
        text_printf(&m->layers, ", filters: %lld", (long long)filters);
    add_window(m, "kernel_size", false, &w);
    if (!mixes)
        add_kernel_options(m, &s);
    close_layer(m);
    return true;
}

bool make_transposed(maker *m, int x)
{
    const shape from = m->values[x].shape;
    shape s = from;
    window w = {.dims = dims_of(&from)};
    if (!w.dims)
        return false;
    draw_sizes(m, &w);
    w.form = draw(m, PAD_SIDES + 1);
    draw_padding(m, &w, true);
    int64_t filters = any_size(m), extra[2] = {0};
    bool is_longer = w.form != PAD_SAME && chance(m, 30);
    for (int i = 0; i < w.dims; i++) {
        extra[i] = is_longer ? draw(m, (int)w.stride[i]) : 0;
        s.dim[i] = w.form == PAD_SAME ? from.dim[i] * w.stride[i]
                                      : (from.dim[i] - 1) * w.stride[i] + w.size[i] - w.low[i] - w.high[i] + extra[i];
        if (s.dim[i] < 1)
            return false;
    }
    s.dim[w.dims] = filters;
    if (element_count(&s) > MOST_ELEMENTS || field_of(&w) * from.dim[w.dims] * filters > MOST_WEIGHTS)
        return false;
    open_layer(m, kind_of(&w, "conv1d_transpose", "conv2d_transpose"), &x, 1, &s)->has_parameters = true;
    text_printf(&m->layers, ", filters: %lld", (long long)filters);
    add_window(m, "kernel_size", false, &w);
    if (is_longer)
        add_each(m, "output_padding", extra, w.dims);
    add_kernel_options(m, &s);
    close_layer(m);
    return true;
}

/* ---- pools ---- */

bool make_pool(maker *m, int x)
{
    const shape from = m->values[x].shape;
    shape s;
    window w;
    if (!dims_of(&from) || !draw_window(m, &from, true, &w, &s))
        return false;
    bool of_largest = chance(m, 50);
    open_layer(m,
               of_largest ? kind_of(&w, "max_pool1d", "max_pool2d") : kind_of(&w, "average_pool1d", "average_pool2d"),
               &x, 1, &s);
    add_window(m, "pool_size", true, &w);
    close_layer(m);
    return true;
}

bool make_global_pool(maker *m, int x)
{
    static const char *const kinds[2][2] = {{"global_average_pool1d", "global_max_pool1d"},
                                            {"global_average_pool2d", "global_max_pool2d"}};
    const shape from = m->values[x].shape;
    int dims = dims_of(&from);
    if (!dims)
        return false;
    open_layer(m, kinds[dims - 1][draw(m, 2)], &x, 1, &(shape){1, {from.dim[dims]}});
    close_layer(m);
    return true;
}

/* ---- edges, factors ---- */

bool make_margins(maker *m, int x)
{
    static const char *const kinds[2][2] = {{"zero_padding1d", "zero_padding2d"}, {"cropping1d", "cropping2d"}};
    const shape from = m->values[x].shape;
    shape s = from;
    int dims = dims_of(&from), crops = draw(m, 2);
    int64_t low[2] = {0}, high[2] = {0};
    for (int i = 0; i < dims; i++) {
        low[i] = draw(m, 3);
        high[i] = draw(m, 3);
        s.dim[i] += (crops ? -1 : 1) * (low[i] + high[i]);
        if (s.dim[i] < 1)
            return false;
    }
    if (!dims || element_count(&s) > MOST_ELEMENTS)
        return false;
    open_layer(m, kinds[crops][dims - 1], &x, 1, &s);
    text_printf(&m->layers, ", %s: ", crops ? "cropping" : "padding");
    add_sides(m, low, high, dims);
    close_layer(m);
    return true;
}

bool make_upsample(maker *m, int x)
{
    const shape from = m->values[x].shape;
    shape s = from;
    int dims = dims_of(&from);
    int64_t factor[2];
    for (int i = 0; i < 2; i++)
        factor[i] = 1 + draw(m, 3);
    for (int i = 0; i < dims; i++)
        s.dim[i] *= factor[i];
    if (!dims || element_count(&s) > MOST_ELEMENTS)
        return false;
    open_layer(m, dims == 1 ? "upsample1d" : "upsample2d", &x, 1, &s);
    add_each(m, "size", factor, dims);
    if (dims == 2)
        maybe_add(m, 50, ", interpolation: bilinear");
    close_layer(m);
    return true;
}
