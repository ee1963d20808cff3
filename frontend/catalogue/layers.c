/* frontend/catalogue/layers.c - the layer catalogue: one table at the end, a row a layer.
 *
 * A row names the layer as Keras does, lists its keys with types and defaults, and points at two rules: shape_<layer>
 * checks the inputs, infers the output and declares the parameters; build_<layer> writes the layer as a graph of IR
 * operators (one node a statement: C leaves the order of arguments open). A layer made of known operators is added here
 * and nowhere else. Tensors are [B, ...]; images are NHWC. */
#include "frontend/catalogue/catalogue.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* An entry of a list of keys: name, type, default (FE_REQUIRED: none; NULL: absence has a meaning). */
#define KEY(name, type, fallback)                                                                                      \
    {                                                                                                                  \
        name, type, fallback                                                                                           \
    }

/* ---- for the shape rules ---- */

static ir_type batched(int rank, const int64_t *sizes)
{
    ir_type t = {.dtype = IR_F32, .rank = rank + 1, .dim = {{1, true}}};
    for (int i = 0; i < rank; i++)
        t.dim[i + 1].n = sizes[i];
    return t;
}

static ir_type plain(int rank, const int64_t *sizes)
{
    ir_type t = {.dtype = IR_F32, .rank = rank};
    for (int i = 0; i < rank; i++)
        t.dim[i].n = sizes[i];
    return t;
}

static int64_t last_size(const ir_type *t)
{
    return t->dim[t->rank - 1].n;
}

static bool add_param(fe_reader *r, fe_layer *l, const char *role, ir_type type, fe_init init)
{
    fe_param *p = &l->param[l->nparams++];
    *p = (fe_param){.role = role, .type = type, .init = init};
    p->name = arena_printf(r->mem, "%s.%s", l->name, role);
    return fe_check_size(r, l->at, p->name, &type);
}

static bool add_state(fe_reader *r, fe_layer *l, const char *role, ir_type type, double value)
{
    bool ok = add_param(r, l, role, type, (fe_init){"constant", value, 0});
    l->param[l->nparams - 1].state = true;
    return ok;
}

static fe_init init_of(const fe_layer *l, const char *key, double fan_in, double fan_out)
{
    return fe_resolve_init(fe_get(l->options, key)->choice, fan_in, fan_out);
}

/* 'rank' counts the dimensions of an example; -1 asks for one at least. */
static bool expect_rank(fe_reader *r, const fe_layer *l, int rank, const char *expected)
{
    int found = l->in_type[0].rank - 1;
    if (rank < 0 ? found >= 1 : found == rank)
        return true;
    return fe_mismatch(r, l->at, l->kind->kind.name, expected, fe_describe_type(r->mem, &l->in_type[0]));
}

static bool expect_image(fe_reader *r, const fe_layer *l)
{
    return expect_rank(r, l, 3, "an input of shape [rows, columns, channels]");
}

static bool expect_features(fe_reader *r, const fe_layer *l)
{
    return expect_rank(r, l, -1, "an input with at least one dimension");
}

static bool shape_same(fe_reader *r, fe_layer *l)
{
    (void)r;
    l->type = l->in_type[0];
    return true;
}

/* ---- for the build rules ---- */

static ir_node *activated(fe_builder *b, const fe_layer *l, ir_node *x)
{
    return fe_activate(b->g, fe_get(l->options, "activation")->choice, x);
}

static ir_node *biased(fe_builder *b, const fe_layer *l, ir_node *x)
{
    if (!fe_get_bool(l->options, "use_bias"))
        return x;
    return ir_add(b->g, x, fe_spread_last(b->g, fe_use_param(b, l, "bias"), x));
}

/* ---- dense ---- */

#define KERNEL_KEYS                                                                                                    \
    KEY("use_bias", FE_BOOL, "true"), KEY("activation", FE_ACTIVATION, "linear"),                                      \
        KEY("kernel_initializer", FE_INITIALIZER, "glorot_uniform"), KEY("bias_initializer", FE_INITIALIZER, "zeros")

static bool add_bias(fe_reader *r, fe_layer *l, int64_t units)
{
    return !fe_get_bool(l->options, "use_bias") ||
           add_param(r, l, "bias", plain(1, &units), init_of(l, "bias_initializer", (double)units, (double)units));
}

static bool shape_dense(fe_reader *r, fe_layer *l)
{
    int64_t units = fe_get_int(l->options, "units");
    if (!expect_features(r, l))
        return false;
    l->type = l->in_type[0];
    int64_t features = last_size(&l->type);
    l->type.dim[l->type.rank - 1].n = units;
    ir_type weight = plain(2, (int64_t[]){features, units});
    return add_param(r, l, "weight", weight, init_of(l, "kernel_initializer", (double)features, (double)units)) &&
           add_bias(r, l, units);
}

static ir_node *build_dense(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return activated(b, l, biased(b, l, ir_matmul(b->g, in[0], fe_use_param(b, l, "weight"))));
}

/* ---- shapes: flatten, reshape ---- */

static bool shape_flatten(fe_reader *r, fe_layer *l)
{
    (void)r;
    int64_t count = ir_static_count(&l->in_type[0]);
    l->type = batched(1, &count);
    return true;
}

static bool shape_reshape(fe_reader *r, fe_layer *l)
{
    const fe_option *target = fe_get(l->options, "target_shape");
    int64_t count = ir_static_count(&l->in_type[0]), known = 1;
    int open = -1;
    l->type = batched(target->count, target->list);
    for (int i = 0; i < target->count; i++) {
        if (target->list[i] < 0)
            open = i;
        else if (known <= count)
            known *= target->list[i];
    }
    if (open >= 0 && known <= count)
        l->type.dim[open + 1].n = count / known;
    if (open >= 0 ? known <= count && count % known == 0 : known == count)
        return true;
    const char *expected = arena_printf(r->mem, "a shape of %" PRId64 " elements", count);
    const char *found = open >= 0       ? arena_printf(r->mem, "%" PRId64 " in the known dimensions", known)
                        : known > count ? "more"
                                        : arena_printf(r->mem, "%" PRId64, known);
    return fe_mismatch(r, target->at, "target_shape", expected, found);
}

/* Both are one operator: same elements, same order, the shape that was inferred. */
static ir_node *build_reshape(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return ir_reshape(b->g, in[0], l->type.rank, l->type.dim);
}

/* ---- activation, dropout ---- */

static ir_node *build_activation(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return activated(b, l, in[0]);
}

/* Kept where 24 random bits, as a number in [0, 1), reach the rate. The lane keeps micro-batches apart. */
static ir_node *build_dropout(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *x = in[0];
    double rate = fe_get_number(l->options, "rate");
    if (!b->training || rate == 0)
        return x;
    ir_node *seed = ir_state(g, ir_symbol_find(b->m, "seed"));
    ir_node *step = ir_state(g, ir_symbol_find(b->m, "step"));
    ir_node *micro_batch = ir_call_value(g, "micro_batch");
    ir_node *lane = ir_multiply(g, micro_batch, ir_like(g, micro_batch, 65536));
    ir_node *bits = ir_rng_bits(g, seed, step, lane, x->type, fe_stream(l->name));
    ir_node *whole = ir_convert(g, ir_shift_right(g, bits, ir_like(g, bits, 8)), IR_F32);
    ir_node *chance = ir_multiply(g, whole, ir_like(g, whole, 0x1p-24));
    ir_node *kept = ir_compare(g, "GE", chance, ir_like(g, chance, rate));
    ir_node *larger = ir_multiply(g, x, ir_like(g, x, 1 / (1 - rate)));
    return ir_select(g, kept, larger, ir_like(g, x, 0));
}

/* ---- windows: conv2d and pooling ---- */

/* `same` gives ceil(in / stride) outputs, the odd padded row at the high side. */
static bool place_window(fe_reader *r, fe_layer *l, const char *size_key)
{
    const fe_option *size = fe_get(l->options, size_key), *stride = fe_get(l->options, "strides");
    const fe_option *padding = fe_get(l->options, "padding");
    fe_window *w = &l->window;
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
    if (!expect_image(r, l) || !place_window(r, l, "kernel_size"))
        return false;
    const fe_window *w = &l->window;
    int64_t filters = fe_get_int(l->options, "filters"), channels = last_size(&l->in_type[0]);
    double field = (double)w->size[0] * (double)w->size[1];
    l->type = batched(3, (int64_t[]){w->out[0], w->out[1], filters});
    ir_type weight = plain(4, (int64_t[]){w->size[0], w->size[1], channels, filters});
    fe_init init = init_of(l, "kernel_initializer", field * (double)channels, field * (double)filters);
    return add_param(r, l, "weight", weight, init) && add_bias(r, l, filters);
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
        c.stride[i] = l->window.stride[i];
        c.low[i] = l->window.low[i];
        c.high[i] = l->window.high[i];
    }
    return activated(b, l, biased(b, l, ir_convolution(b->g, in[0], fe_use_param(b, l, "weight"), &c)));
}

static bool shape_pool(fe_reader *r, fe_layer *l)
{
    if (!expect_image(r, l) || !place_window(r, l, "pool_size"))
        return false;
    const fe_window *w = &l->window;
    /* A window in padding alone would have no maximum and no mean. */
    for (int i = 0; i < 2; i++)
        if (w->low[i] >= w->size[i] || w->high[i] >= w->size[i]) {
            const char *expected = arena_printf(r->mem, "less than the pool size, %" PRId64, w->size[i]);
            int64_t most = w->low[i] > w->high[i] ? w->low[i] : w->high[i];
            return fe_mismatch(r, fe_get(l->options, "padding")->at, "padding", expected,
                               arena_printf(r->mem, "%" PRId64, most));
        }
    l->type = batched(3, (int64_t[]){w->out[0], w->out[1], last_size(&l->in_type[0])});
    return true;
}

/* The position of a maximum is kept in a byte. */
static bool shape_max_pool2d(fe_reader *r, fe_layer *l)
{
    if (!shape_pool(r, l))
        return false;
    const fe_window *w = &l->window;
    if (w->size[0] <= 256 && w->size[1] <= 256 && w->size[0] * w->size[1] <= 256)
        return true;
    return fe_mismatch(r, fe_get(l->options, "pool_size")->at, "pool_size", "at most 256 elements in a window",
                       arena_printf(r->mem, "%" PRId64 " x %" PRId64, w->size[0], w->size[1]));
}

static ir_node *pooled(fe_builder *b, const fe_layer *l, const char *kind, ir_node *x)
{
    ir_window w = {.window = {1, 1, 1, 1}, .stride = {1, 1, 1, 1}};
    for (int i = 0; i < 2; i++) {
        w.window[i + 1] = l->window.size[i];
        w.stride[i + 1] = l->window.stride[i];
        w.low[i + 1] = l->window.low[i];
        w.high[i + 1] = l->window.high[i];
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
    const fe_window *w = &l->window;
    arena *scratch = arena_new();
    double *count = arena_new_array(scratch, double, (size_t)w->out[axis]);
    for (int64_t i = 0; i < w->out[axis]; i++) {
        int64_t first = i * w->stride[axis] - w->low[axis], last = first + w->size[axis];
        count[i] = (double)((last < in ? last : in) - (first > 0 ? first : 0));
    }
    ir_node *n = ir_node_new(b->g, IR_CONSTANT, NULL, 0, plain(1, &w->out[axis]));
    ir_set_numbers(n, "value", count, (int)w->out[axis]);
    arena_free(scratch);
    return n;
}

/* Padding does not count: where there is some, each window is divided by what it really covers. */
static ir_node *build_average_pool2d(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    const fe_window *w = &l->window;
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
    if (!expect_image(r, l))
        return false;
    int64_t channels = last_size(&l->in_type[0]);
    l->type = batched(1, &channels);
    return true;
}

static ir_node *build_global_average_pool2d(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    (void)l;
    const ir_dim *d = in[0]->type.dim;
    ir_node *sum = ir_reduce(b->g, "sum", in[0], (int64_t[]){1, 2}, 2);
    return ir_divide(b->g, sum, ir_like(b->g, sum, (double)(d[1].n * d[2].n)));
}

/* ---- normalisation ---- */

#define NORM_KEYS                                                                                                      \
    KEY("epsilon", FE_POSITIVE, "0.001"), KEY("center", FE_BOOL, "true"), KEY("scale", FE_BOOL, "true"),               \
        KEY("gamma_initializer", FE_INITIALIZER, "ones"), KEY("beta_initializer", FE_INITIALIZER, "zeros")

static bool shape_norm(fe_reader *r, fe_layer *l)
{
    if (!expect_features(r, l))
        return false;
    int64_t features = last_size(&l->in_type[0]);
    double fan = (double)features;
    ir_type row = plain(1, &features);
    l->type = l->in_type[0];
    if (fe_get_bool(l->options, "scale") && !add_param(r, l, "gamma", row, init_of(l, "gamma_initializer", fan, fan)))
        return false;
    return !fe_get_bool(l->options, "center") || add_param(r, l, "beta", row, init_of(l, "beta_initializer", fan, fan));
}

static bool shape_batch_norm(fe_reader *r, fe_layer *l)
{
    if (!shape_norm(r, l))
        return false;
    int64_t features = last_size(&l->type);
    return add_state(r, l, "moving_mean", plain(1, &features), 0) &&
           add_state(r, l, "moving_variance", plain(1, &features), 1);
}

/* normal * gamma + beta, as far as the layer has them */
static ir_node *rescaled(fe_builder *b, const fe_layer *l, ir_node *x)
{
    if (fe_get_bool(l->options, "scale"))
        x = ir_multiply(b->g, x, fe_spread_last(b->g, fe_use_param(b, l, "gamma"), x));
    if (fe_get_bool(l->options, "center"))
        x = ir_add(b->g, x, fe_spread_last(b->g, fe_use_param(b, l, "beta"), x));
    return x;
}

/* 1 / sqrt(variance + epsilon) */
static ir_node *inverse_deviation(fe_builder *b, const fe_layer *l, ir_node *variance)
{
    ir_node *epsilon = ir_like(b->g, variance, fe_get_number(l->options, "epsilon"));
    return ir_rsqrt(b->g, ir_add(b->g, variance, epsilon));
}

/* moving = moving * momentum + seen * (1 - momentum); what has decayed below 2^-100 is 0 */
static void update_moving(fe_builder *b, const fe_layer *l, const char *role, ir_node *seen)
{
    ir_graph *g = b->g;
    double momentum = fe_get_number(l->options, "momentum");
    ir_node *old = fe_use_param(b, l, role);
    old = ir_multiply(g, old, ir_like(g, seen, momentum));
    ir_node *fresh = ir_multiply(g, seen, ir_like(g, seen, 1 - momentum));
    ir_node *moved = ir_flush_below(g, ir_add(g, old, fresh), 0x1p-100);
    ir_assign(g, fe_param_symbol(b, l, role), moved);
}

/* Sum over everything but the last dimension. */
static ir_node *sum_features(ir_graph *g, ir_node *x)
{
    int64_t dims[IR_MAX_RANK];
    int count = x->type.rank - 1;
    for (int i = 0; i < count; i++)
        dims[i] = i;
    return ir_reduce(g, "sum", x, dims, count);
}

/* The number of values that each feature's statistics are taken over, as f32[features]. */
static ir_node *count_features(fe_builder *b, const ir_node *x)
{
    ir_graph *g = b->g;
    ir_node *examples = ir_batch_size(g);
    int64_t each = ir_static_count(&x->type) / last_size(&x->type), features = last_size(&x->type);
    ir_node *n = ir_convert(g, ir_multiply(g, examples, ir_like(g, examples, (double)each)), IR_F32);
    return ir_broadcast_scalar(g, n, plain(1, &features));
}

/* Ioffe & Szegedy 2015. In training the batch's own statistics normalise (the variance in two passes, biased) and move
 * the running ones (with the unbiased variance); elsewhere the running ones normalise. */
static ir_node *build_batch_norm(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *x = in[0], *mean, *variance;
    if (!b->training) {
        mean = fe_use_param(b, l, "moving_mean");
        variance = fe_use_param(b, l, "moving_variance");
        ir_node *centred = ir_subtract(g, x, fe_spread_last(g, mean, x));
        return rescaled(b, l, ir_multiply(g, centred, fe_spread_last(g, inverse_deviation(b, l, variance), x)));
    }
    ir_node *n = count_features(b, x);
    mean = ir_divide(g, sum_features(g, x), n);
    ir_node *centred = ir_subtract(g, x, fe_spread_last(g, mean, x));
    variance = ir_divide(g, sum_features(g, ir_multiply(g, centred, centred)), n);
    ir_node *y = ir_multiply(g, centred, fe_spread_last(g, inverse_deviation(b, l, variance), x));
    ir_node *one = ir_like(g, n, 1);
    ir_node *unbias = ir_divide(g, n, ir_maximum(g, ir_subtract(g, n, one), one));
    update_moving(b, l, "moving_mean", mean);
    update_moving(b, l, "moving_variance", ir_multiply(g, variance, unbias));
    return rescaled(b, l, y);
}

/* Ba et al. 2016, over the last dimension. */
static ir_node *build_layer_norm(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *x = in[0];
    double n = (double)last_size(&x->type);
    ir_node *sum = fe_reduce_last(g, "sum", x);
    ir_node *mean = ir_divide(g, sum, ir_like(g, sum, n));
    ir_node *centred = ir_subtract(g, x, fe_spread_rows(g, mean, x));
    ir_node *squares = fe_reduce_last(g, "sum", ir_multiply(g, centred, centred));
    ir_node *variance = ir_divide(g, squares, ir_like(g, squares, n));
    return rescaled(b, l, ir_multiply(g, centred, fe_spread_rows(g, inverse_deviation(b, l, variance), x)));
}

/* ---- joining: add, concatenate ---- */

static bool differing_input(fe_reader *r, const fe_layer *l, int index)
{
    const fe_option *inputs = fe_get(l->options, "inputs");
    return fe_mismatch(r, inputs->name_at[index], inputs->names[index], fe_describe_type(r->mem, &l->in_type[0]),
                       fe_describe_type(r->mem, &l->in_type[index]));
}

static bool shape_add(fe_reader *r, fe_layer *l)
{
    l->type = l->in_type[0];
    for (int i = 1; i < l->nin; i++)
        if (!ir_shape_equal(&l->in_type[i], &l->type))
            return differing_input(r, l, i);
    return true;
}

static ir_node *build_add(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_node *sum = in[0];
    for (int i = 1; i < l->nin; i++)
        sum = ir_add(b->g, sum, in[i]);
    return sum;
}

/* The axis as in Keras: 0 is the batch, negative ones count from the end. 0 stands for one that is none. */
static int joined_axis(const fe_layer *l)
{
    int64_t axis = fe_get_int(l->options, "axis");
    int rank = l->in_type[0].rank;
    if (axis < 0)
        axis += rank;
    return axis > 0 && axis < rank ? (int)axis : 0;
}

static bool shape_concatenate(fe_reader *r, fe_layer *l)
{
    int axis = joined_axis(l);
    if (!axis) {
        const char *expected = arena_printf(r->mem, "1 to %d, or -1 and below from the end", l->in_type[0].rank - 1);
        const fe_option *given = fe_get(l->options, "axis");
        return fe_mismatch(r, given->at, "axis", expected, arena_printf(r->mem, "%" PRId64, given->list[0]));
    }
    l->type = l->in_type[0];
    for (int i = 1; i < l->nin; i++) {
        ir_type same = l->in_type[i];
        if (same.rank == l->type.rank)
            same.dim[axis].n = l->in_type[0].dim[axis].n;
        if (!ir_shape_equal(&same, &l->in_type[0]))
            return differing_input(r, l, i);
        l->type.dim[axis].n += l->in_type[i].dim[axis].n;
    }
    return true;
}

static ir_node *build_concatenate(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return ir_concatenate(b->g, in, l->nin, joined_axis(l));
}

/* ---- the catalogue ---- */

#define POOL_KEYS KEY("pool_size", FE_PAIR, "2"), KEY("strides", FE_PAIR, NULL), KEY("padding", FE_PADDING, "valid")
#define ONE 1, 1
#define SEVERAL 2, 64
/* name, inputs, short key, rules, keys of its own (all layers have name, input, inputs) */
#define LAYER(name, inputs, short_key, shape, build, ...)                                                              \
    {                                                                                                                  \
        {#name, short_key, {__VA_ARGS__}, false}, inputs, shape, build                                                 \
    }

static const fe_layer_kind rows[] = {
    LAYER(dense, ONE, "units", shape_dense, build_dense, KEY("units", FE_COUNT, FE_REQUIRED), KERNEL_KEYS),
    LAYER(flatten, ONE, NULL, shape_flatten, build_reshape, {0}),
    LAYER(reshape, ONE, "target_shape", shape_reshape, build_reshape, KEY("target_shape", FE_TARGET, FE_REQUIRED)),
    LAYER(activation, ONE, "activation", shape_same, build_activation, KEY("activation", FE_ACTIVATION, FE_REQUIRED)),
    LAYER(dropout, ONE, "rate", shape_same, build_dropout, KEY("rate", FE_UNIT, FE_REQUIRED)),
    LAYER(conv2d, ONE, NULL, shape_conv2d, build_conv2d, KEY("filters", FE_COUNT, FE_REQUIRED),
          KEY("kernel_size", FE_PAIR, FE_REQUIRED), KEY("strides", FE_PAIR, "1"), KEY("padding", FE_PADDING, "valid"),
          KERNEL_KEYS),
    LAYER(max_pool2d, ONE, "pool_size", shape_max_pool2d, build_max_pool2d, POOL_KEYS),
    LAYER(average_pool2d, ONE, "pool_size", shape_pool, build_average_pool2d, POOL_KEYS),
    LAYER(global_average_pool2d, ONE, NULL, shape_global_average_pool2d, build_global_average_pool2d, {0}),
    LAYER(batch_norm, ONE, NULL, shape_batch_norm, build_batch_norm, KEY("momentum", FE_UNIT, "0.99"), NORM_KEYS),
    LAYER(layer_norm, ONE, NULL, shape_norm, build_layer_norm, NORM_KEYS),
    LAYER(add, SEVERAL, "inputs", shape_add, build_add, {0}),
    LAYER(concatenate, SEVERAL, "inputs", shape_concatenate, build_concatenate, KEY("axis", FE_AXIS, "-1")),
};

const fe_catalogue fe_layers = {"layer",
                                rows,
                                sizeof rows / sizeof *rows,
                                sizeof *rows,
                                {{"name", FE_NAME, NULL}, {"input", FE_NAME, NULL}, {"inputs", FE_NAMES, NULL}}};
