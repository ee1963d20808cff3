/* tests/unit/test_convolutions.c - convolutions of every shape: generated code against the evaluator, bit for bit.
 *
 * Few channels, few features, strides and edges each have code of their own, and faults arise where two of them
 * meet. So each number of channels is tried with each number of features and each geometry, in all three directions:
 * the forward pass, and both gradients as passes/grad/contraction.c writes them. A test is a module of all
 * geometries, with one function for each geometry and direction. */
#include "ir/base/text.h"
#include "tests/unit/extent.h"
#include "tests/unit/lowered.h"
#include <CUnit/CUnit.h>
#include <inttypes.h>
#include <stdio.h>

/* A spatial dimension: `in` elements, of which output o and tap k meet at o * stride + k * dilation - low. */
typedef struct {
    int64_t in, kernel, stride, dilation, low, high;
} extent;

typedef struct {
    extent h, w;
} geometry;

static const geometry geometries[] = {
    {{7, 3, 1, 1, 1, 1}, {18, 3, 1, 1, 1, 1}},   /* as most are */
    {{6, 3, 1, 1, 0, 2}, {5, 2, 1, 1, 2, 0}},    /* uneven edges */
    {{9, 3, 2, 1, 0, 1}, {10, 3, 2, 1, 1, 0}},   /* strides */
    {{14, 3, 3, 1, 0, 0}, {10, 3, 3, 1, 0, 0}},  /* strides that leave some elements out */
    {{8, 5, 2, 1, 2, 1}, {9, 4, 3, 1, 0, 3}},    /* uneven ones */
    {{40, 2, 2, 1, 0, 0}, {37, 3, 2, 1, 1, 1}},  /* an interior of many vectors */
    {{9, 2, 4, 1, 0, 0}, {8, 1, 3, 1, 0, 0}},    /* strides beyond the kernel */
    {{9, 3, 1, 2, 2, 1}, {8, 2, 1, 3, 0, 3}},    /* dilations */
    {{9, 3, 2, 2, 1, 2}, {11, 2, 3, 2, 2, 0}},   /* both */
    {{3, 5, 1, 1, 4, 4}, {2, 3, 2, 1, 3, 2}},    /* an edge everywhere */
    {{8, 3, 1, 1, -1, 1}, {9, 3, 2, 1, 1, -2}}}; /* edges cut off */

enum { GEOMETRIES = sizeof geometries / sizeof *geometries };

static int64_t outputs(const extent *e)
{
    return (e->in + e->low + e->high - (e->kernel - 1) * e->dilation - 1) / e->stride + 1;
}

static void add_pair(text *t, const char *name, int64_t h, int64_t w)
{
    text_printf(t, ", %s = [%" PRId64 ", %" PRId64 "]", name, h, w);
}

/* The attributes that describe the spatial dimensions, spread over the lhs by `spread`. */
static void add_spatial(text *t, const extent *h, const extent *w, int64_t spread_h, int64_t spread_w)
{
    add_pair(t, "stride", h->stride, w->stride);
    add_pair(t, "low", h->low, w->low);
    add_pair(t, "high", h->high, w->high);
    add_pair(t, "lhs_dilation", spread_h, spread_w);
    add_pair(t, "rhs_dilation", h->dilation, w->dilation);
    text_printf(t, ", feature_groups = [1], batch_groups = [1]");
}

static void add_image(text *t, int64_t h, int64_t w, int64_t channels)
{
    text_printf(t, "f32[B, %" PRId64 ", %" PRId64 ", %" PRId64 "]", h, w, channels);
}

static void add_weight(text *t, const geometry *g, int64_t channels, int64_t features)
{
    text_printf(t, "f32[%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 "]", g->h.kernel, g->w.kernel, channels,
                features);
}

/* With an epilogue, since results of any kind of tile go through it. */
static void add_forward(text *t, int number, const geometry *g, int64_t channels, int64_t features)
{
    text_printf(t, "func @forward%d(%%x : ", number);
    add_image(t, g->h.in, g->w.in, channels);
    text_printf(t, ", %%w : ");
    add_weight(t, g, channels, features);
    text_printf(t, ") -> (y : ");
    add_image(t, outputs(&g->h), outputs(&g->w), features);
    text_printf(t, ") {\n  %%1 = convolution %%x, %%w {lhs = [0, 3, 1, 2], rhs = [2, 3, 0, 1], out = [0, 3, 1, 2]");
    add_spatial(t, &g->h, &g->w, 1, 1);
    text_printf(t, "} : ");
    add_image(t, outputs(&g->h), outputs(&g->w), features);
    text_printf(t, "\n  %%2 = tanh %%1 : ");
    add_image(t, outputs(&g->h), outputs(&g->w), features);
    text_printf(t, "\n  return %%2\n}\n");
}

/* dy spread by the stride, by the kernel reversed. */
static extent backward(const extent *e)
{
    int64_t reach = (e->kernel - 1) * e->dilation;
    return (extent){.kernel = e->kernel,
                    .stride = 1,
                    .dilation = e->dilation,
                    .low = reach - e->low,
                    .high = e->in - 1 - (outputs(e) - 1) * e->stride + e->low};
}

static void add_input_gradient(text *t, int number, const geometry *g, int64_t channels, int64_t features)
{
    const extent h = backward(&g->h), w = backward(&g->w);
    text_printf(t, "func @input_gradient%d(%%dy : ", number);
    add_image(t, outputs(&g->h), outputs(&g->w), features);
    text_printf(t, ", %%w : ");
    add_weight(t, g, channels, features);
    text_printf(t, ") -> (dx : ");
    add_image(t, g->h.in, g->w.in, channels);
    text_printf(t, ") {\n  %%1 = reverse %%w {dims = [0, 1]} : ");
    add_weight(t, g, channels, features);
    text_printf(t, "\n  %%2 = convolution %%dy, %%1 {lhs = [0, 3, 1, 2], rhs = [3, 2, 0, 1], out = [0, 3, 1, 2]");
    add_spatial(t, &h, &w, g->h.stride, g->w.stride);
    text_printf(t, "} : ");
    add_image(t, g->h.in, g->w.in, channels);
    text_printf(t, "\n  return %%2\n}\n");
}

/* x by dy, whose elements are the taps: stride and dilation change places, examples are channels. */
static extent across(const extent *e)
{
    return (extent){.stride = e->dilation,
                    .dilation = e->stride,
                    .low = e->low,
                    .high = (e->kernel - 1) * e->dilation + (outputs(e) - 1) * e->stride + 1 - e->in - e->low};
}

static void add_weight_gradient(text *t, int number, const geometry *g, int64_t channels, int64_t features)
{
    const extent h = across(&g->h), w = across(&g->w);
    text_printf(t, "func @weight_gradient%d(%%x : ", number);
    add_image(t, g->h.in, g->w.in, channels);
    text_printf(t, ", %%dy : ");
    add_image(t, outputs(&g->h), outputs(&g->w), features);
    text_printf(t, ") -> (dw : ");
    add_weight(t, g, channels, features);
    text_printf(t, ") {\n  %%1 = convolution %%x, %%dy {lhs = [3, 0, 1, 2], rhs = [0, 3, 1, 2], out = [2, 3, 0, 1]");
    add_spatial(t, &h, &w, 1, 1);
    text_printf(t, ", leaf = [8]} : ");
    add_weight(t, g, channels, features);
    text_printf(t, "\n  return %%1\n}\n");
}

static void check(int64_t channels, int64_t features)
{
    static const int64_t batches[] = {1, 11};
    static const lowered_variant avx2 = {.cpu = "x86-64-v3"}, avx512 = {.cpu = "x86-64-v4"};
    char name[64];
    text t = {0};
    snprintf(name, sizeof name, "%" PRId64 " channels, %" PRId64 " features", channels, features);
    text_printf(&t, "module @m {max_batch = [11], convolution = direct}\n");
    for (int i = 0; i < GEOMETRIES; i++) {
        add_forward(&t, i, &geometries[i], channels, features);
        add_input_gradient(&t, i, &geometries[i], channels, features);
        add_weight_gradient(&t, i, &geometries[i], channels, features);
    }
    lowered_check(text_get(&t), name, &avx2, batches, 2);
    if (lowered_for_avx512() && !extent_sanitized)
        lowered_check(text_get(&t), name, &avx512, batches, 2);
    text_free(&t);
}

static const int64_t features[] = {1, 7, 20};

static void check_features(int64_t channels)
{
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        check(channels, features[i]);
}

static void one_channel(void)
{
    check_features(1);
}

static void two_channels(void)
{
    check_features(2);
}

static void three_channels(void)
{
    check_features(3);
}

static void many_channels(void)
{
    check_features(19);
}

void suite_convolutions(void);

void suite_convolutions(void)
{
    CU_pSuite s = CU_add_suite("convolutions", NULL, NULL);
    CU_add_test(s, "one channel", one_channel);
    CU_add_test(s, "two channels", two_channels);
    CU_add_test(s, "three channels", three_channels);
    CU_add_test(s, "many channels", many_channels);
}
