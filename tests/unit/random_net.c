/* tests/unit/random_net.c - see random_net.h.
 *
 * A net grows value by value: first inputs, then layers. A layer's rule draws its options for one value, or says that
 * it does not suit it; then another is drawn. Losses come last, on what nobody reads and on some values in between;
 * they bring the inputs that they compare with. */
#include "tests/unit/random_net.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MOST_VALUES = 64, MOST_JOINED = 4, MOST_RANK = 4, MOST_ELEMENTS = 1000, MOST_WEIGHTS = 6000, MOST_LEAVES = 4 };

typedef struct {
    int rank;
    int64_t dim[MOST_RANK];
} shape;

typedef struct {
    char name[16];
    shape shape;
    int in[MOST_JOINED], nin; /* of a layer; 0 for inputs */
    bool has_parameters, is_read, is_trained, is_frozen, is_grouped;
} value;

typedef struct {
    uint64_t state;
    random_net *net;
    text inputs, layers, losses, metrics, groups;
    value values[MOST_VALUES];
    int count, nlosses;
    bool must_train; /* the layer that is being made: no other may be left to */
} maker;

/* ---- drawing ---- */

/* Vigna's splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t random_below(uint64_t *state, int64_t count)
{
    return (int64_t)(next(state) % (uint64_t)count);
}

static int draw(maker *m, int count)
{
    return (int)random_below(&m->state, count);
}

static bool chance(maker *m, int percent)
{
    return draw(m, 100) < percent;
}

#define DRAW(m, list) (list)[draw(m, (int)(sizeof(list) / sizeof *(list)))]

/* Around vectors, and what is one or odd. */
static int64_t any_size(maker *m)
{
    static const int64_t sizes[] = {1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 16, 17, 24, 31, 33};
    return DRAW(m, sizes);
}

static int64_t element_count(const shape *s)
{
    int64_t count = 1;
    for (int i = 0; i < s->rank; i++)
        count *= s->dim[i];
    return count;
}

static bool same_shape(const shape *a, const shape *b)
{
    return a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
}

/* ---- writing ---- */

static void add_list(text *t, const int64_t *numbers, int count)
{
    for (int i = 0; i < count; i++)
        text_printf(t, "%s%lld", i ? ", " : "[", (long long)numbers[i]);
    text_add(t, count ? "]" : "[]");
}

/* A pair of rows and columns, as one number where it can be. */
static void add_pair(maker *m, const char *key, const int64_t pair[2])
{
    text_printf(&m->layers, ", %s: ", key);
    if (pair[0] == pair[1] && chance(m, 70))
        text_printf(&m->layers, "%lld", (long long)pair[0]);
    else
        add_list(&m->layers, pair, 2);
}

static void maybe_add(maker *m, int percent, const char *option)
{
    if (chance(m, percent))
        text_add(&m->layers, option);
}

/* Softmax is over the last dimension and needs one. */
static const char *any_activation(maker *m, const shape *s)
{
    static const char *const kinds[] = {"relu",
                                        "relu",
                                        "leaky_relu",
                                        "{leaky_relu: {negative_slope: 0.1}}",
                                        "{leaky_relu: -1/4}",
                                        "elu",
                                        "selu",
                                        "gelu",
                                        "silu",
                                        "sigmoid",
                                        "{elu: {alpha: 0.7}}",
                                        "{elu: 1.5}",
                                        "tanh",
                                        "softplus",
                                        "linear",
                                        "softmax"};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    return kinds[draw(m, s->rank ? KINDS : KINDS - 1)];
}

static void maybe_add_initializer(maker *m, int percent, const char *key)
{
    static const char *const kinds[] = {"glorot_uniform",
                                        "glorot_normal",
                                        "he_uniform",
                                        "he_normal",
                                        "lecun_uniform",
                                        "lecun_normal",
                                        "ones",
                                        "truncated_normal",
                                        "{truncated_normal: {mean: 0.1, stddev: 0.3}}",
                                        "{random_uniform: {minval: -0.3, maxval: 0.4}}",
                                        "{random_normal: {mean: 1/2, stddev: 0.2}}",
                                        "{random_normal: {stddev: 0.2}}",
                                        "{constant: 0.25}",
                                        "{constant: {value: -0.5}}"};
    if (chance(m, percent))
        text_printf(&m->layers, ", %s_initializer: %s", key, DRAW(m, kinds));
}

static void add_kernel_options(maker *m, const shape *result)
{
    maybe_add(m, 20, ", use_bias: false");
    maybe_add_initializer(m, 50, "bias");
    if (chance(m, 50))
        text_printf(&m->layers, ", activation: %s", any_activation(m, result));
    maybe_add_initializer(m, 20, "kernel");
}

/* ---- values ---- */

static value *new_value(maker *m, const char *prefix, const shape *s)
{
    value *v = &m->values[m->count++];
    *v = (value){.shape = *s};
    snprintf(v->name, sizeof v->name, "%s%d", prefix, m->count);
    return v;
}

/* The head of a layer's line; its options and close_layer follow. */
static value *open_layer(maker *m, const char *kind, const int *in, int nin, const shape *result)
{
    value *v = new_value(m, "v", result);
    text_printf(&m->layers, "  - %s: {name: %s", kind, v->name);
    for (int i = 0; i < nin; i++) {
        v->in[v->nin++] = in[i];
        m->values[in[i]].is_read = true;
    }
    if (nin == 1 && v[-1].nin && in[0] == m->count - 2 && chance(m, 40))
        return v; /* the layer above, which is read where no other is named */
    text_add(&m->layers, nin == 1 ? ", input: " : ", inputs: [");
    for (int i = 0; i < nin; i++)
        text_printf(&m->layers, "%s%s", i ? ", " : "", m->values[in[i]].name);
    text_add(&m->layers, nin == 1 ? "" : "]");
    return v;
}

static void close_layer(maker *m)
{
    value *v = &m->values[m->count - 1];
    v->is_frozen = !m->must_train && chance(m, 10);
    text_add(&m->layers, v->is_frozen ? ", trainable: false}\n" : "}\n");
}

/* dtype and scale, for inputs that are read as f32. */
static const char *any_element(maker *m)
{
    static const char *const elements[] = {"",
                                           "",
                                           "",
                                           ", dtype: uint8, scale: 1/255",
                                           ", dtype: uint8, scale: 0.01",
                                           ", dtype: uint8",
                                           ", dtype: int32",
                                           ", dtype: int32, scale: 1/7"};
    return DRAW(m, elements);
}

static void write_input(maker *m, const char *name, const shape *s, const char *element, int64_t classes)
{
    m->net->classes[m->net->ninputs++] = classes;
    text_printf(&m->inputs, "  %s: {shape: ", name);
    add_list(&m->inputs, s->dim, s->rank);
    text_printf(&m->inputs, "%s}\n", element);
}

static void add_input(maker *m)
{
    static const int others[] = {0, 1, 1, 1, 2, 2, 2, 4};
    shape s = {.rank = chance(m, 60) ? 3 : DRAW(m, others)};
    do
        for (int i = 0; i < s.rank; i++)
            s.dim[i] = s.rank == 3 && i < 2 ? 1 + draw(m, 14) : any_size(m);
    while (element_count(&s) > MOST_ELEMENTS);
    write_input(m, new_value(m, "x", &s)->name, &s, any_element(m), 3);
}

/* ---- layers: each rule false if it does not suit the value ---- */

static bool make_dense(maker *m, int x)
{
    shape s = m->values[x].shape;
    if (!s.rank)
        return false;
    int64_t features = s.dim[s.rank - 1], units = s.dim[s.rank - 1] = any_size(m);
    if (features * units > MOST_WEIGHTS || element_count(&s) > MOST_ELEMENTS)
        return false;
    open_layer(m, "dense", &x, 1, &s)->has_parameters = true;
    text_printf(&m->layers, ", units: %lld", (long long)units);
    add_kernel_options(m, &s);
    close_layer(m);
    return true;
}

typedef struct {
    int64_t size[2], stride[2], low[2], high[2];
    bool is_same; /* padding */
    int form;     /* how the padding is written */
} window;

enum { PAD_VALID, PAD_SAME, PAD_NUMBER, PAD_PAIR, PAD_SIDES, PAD_FORMS };

static void draw_padding(maker *m, window *w, bool below_size)
{
    w->form = draw(m, PAD_FORMS);
    if (w->form <= PAD_SAME)
        return;
    for (int i = 0; i < 2; i++) {
        int64_t most = below_size && w->size[i] < 3 ? w->size[i] : 3;
        w->low[i] = w->form == PAD_NUMBER && i ? w->low[0] : draw(m, (int)most);
        w->high[i] = w->form == PAD_SIDES ? draw(m, (int)most) : w->low[i];
        if (below_size && w->low[i] >= w->size[i])
            w->form = PAD_VALID;
    }
    if (w->form == PAD_VALID)
        memset(w->low, 0, sizeof w->low + sizeof w->high);
}

/* A window that fits the image, and the rows and columns that it leaves. */
static bool draw_window(maker *m, const shape *image, bool is_pool, window *w, shape *result)
{
    static const int64_t sizes[] = {1, 2, 2, 3, 3, 3, 4, 5}, strides[] = {1, 1, 2, 2, 3, 4};
    *w = (window){.size = {DRAW(m, sizes), DRAW(m, sizes)}, .stride = {DRAW(m, strides), DRAW(m, strides)}};
    if (chance(m, 60)) {
        w->size[1] = w->size[0];
        w->stride[1] = w->stride[0];
    }
    if (is_pool && chance(m, 30))
        memcpy(w->stride, w->size, sizeof w->stride);
    draw_padding(m, w, is_pool);
    *result = *image;
    for (int i = 0; i < 2; i++) {
        int64_t room = image->dim[i] + w->low[i] + w->high[i] - w->size[i];
        if (w->form != PAD_SAME && room < 0)
            return false;
        result->dim[i] =
            w->form == PAD_SAME ? (image->dim[i] + w->stride[i] - 1) / w->stride[i] : room / w->stride[i] + 1;
    }
    return element_count(result) <= MOST_ELEMENTS;
}

/* Strides may be left out where they are what they are without: 1, or a pool's size. */
static void add_window(maker *m, const char *size_key, bool is_pool, const window *w)
{
    static const int64_t ones[2] = {1, 1};
    const int64_t *usual = is_pool ? w->size : ones;
    add_pair(m, size_key, w->size);
    if (w->stride[0] != usual[0] || w->stride[1] != usual[1] || chance(m, 50))
        add_pair(m, "strides", w->stride);
    text_printf(&m->layers, ", padding: %s", w->form == PAD_VALID ? "valid" : w->form == PAD_SAME ? "same" : "");
    if (w->form == PAD_NUMBER)
        text_printf(&m->layers, "%lld", (long long)w->low[0]);
    if (w->form == PAD_PAIR)
        add_list(&m->layers, w->low, 2);
    if (w->form == PAD_SIDES)
        text_printf(&m->layers, "[[%lld, %lld], [%lld, %lld]]", (long long)w->low[0], (long long)w->high[0],
                    (long long)w->low[1], (long long)w->high[1]);
}

static bool make_conv2d(maker *m, int x)
{
    shape image = m->values[x].shape, s;
    window w;
    if (image.rank != 3)
        return false;
    int64_t filters = any_size(m), channels = image.dim[2];
    image.dim[2] = filters;
    if (!draw_window(m, &image, false, &w, &s) || w.size[0] * w.size[1] * channels * filters > MOST_WEIGHTS)
        return false;
    open_layer(m, "conv2d", &x, 1, &s)->has_parameters = true;
    text_printf(&m->layers, ", filters: %lld", (long long)filters);
    add_window(m, "kernel_size", false, &w);
    add_kernel_options(m, &s);
    close_layer(m);
    return true;
}

static bool make_pool(maker *m, int x)
{
    const shape *image = &m->values[x].shape;
    shape s;
    window w;
    if (image->rank != 3 || !draw_window(m, image, true, &w, &s))
        return false;
    open_layer(m, chance(m, 50) ? "max_pool2d" : "average_pool2d", &x, 1, &s);
    add_window(m, "pool_size", true, &w);
    close_layer(m);
    return true;
}

static bool make_global_pool(maker *m, int x)
{
    const shape *image = &m->values[x].shape;
    if (image->rank != 3)
        return false;
    open_layer(m, "global_average_pool2d", &x, 1, &(shape){1, {image->dim[2]}});
    close_layer(m);
    return true;
}

static bool make_flatten(maker *m, int x)
{
    open_layer(m, "flatten", &x, 1, &(shape){1, {element_count(&m->values[x].shape)}});
    close_layer(m);
    return true;
}

/* Rows and columns by a random divisor; one dimension may be left open. */
static bool make_reshape(maker *m, int x)
{
    int64_t count = element_count(&m->values[x].shape);
    shape s = {.rank = 1 + draw(m, MOST_RANK)};
    for (int i = 0; i < s.rank - 1; i++) {
        int64_t divisor = 1 + draw(m, 6);
        while (count % divisor)
            divisor--;
        s.dim[i] = divisor;
        count /= divisor;
    }
    s.dim[s.rank - 1] = count;
    open_layer(m, "reshape", &x, 1, &s);
    if (chance(m, 40))
        s.dim[draw(m, s.rank)] = -1;
    text_add(&m->layers, ", target_shape: ");
    add_list(&m->layers, s.dim, s.rank);
    close_layer(m);
    return true;
}

static bool make_activation(maker *m, int x)
{
    const shape s = m->values[x].shape;
    open_layer(m, "activation", &x, 1, &s);
    text_printf(&m->layers, ", activation: %s", any_activation(m, &s));
    close_layer(m);
    return true;
}

static bool make_dropout(maker *m, int x)
{
    static const char *const rates[] = {"0.25", "1/3", "0.5", "0"};
    const shape s = m->values[x].shape;
    open_layer(m, "dropout", &x, 1, &s);
    text_printf(&m->layers, ", rate: %s", DRAW(m, rates));
    close_layer(m);
    return true;
}

static bool make_norm(maker *m, int x)
{
    const shape s = m->values[x].shape;
    if (!s.rank)
        return false;
    bool of_batch = chance(m, 50), has_center = chance(m, 80), has_scale = chance(m, 80);
    open_layer(m, of_batch ? "batch_norm" : "layer_norm", &x, 1, &s)->has_parameters = has_center || has_scale;
    text_printf(&m->layers, "%s%s", has_center ? "" : ", center: false", has_scale ? "" : ", scale: false");
    maybe_add(m, 20, ", epsilon: 0.1");
    maybe_add_initializer(m, 50, "gamma");
    maybe_add_initializer(m, 50, "beta");
    if (of_batch)
        maybe_add(m, 40, ", momentum: 0.6");
    close_layer(m);
    return true;
}

/* x and others of its shape, x itself again where there are none: at most MOST_JOINED. */
static int draw_joined(maker *m, int x, int axis, int *in)
{
    int nin = 0, wanted = 2 + draw(m, MOST_JOINED - 1);
    in[nin++] = x;
    for (int tries = 0; nin < wanted && tries < 20; tries++) {
        int other = draw(m, m->count);
        shape s = m->values[other].shape;
        if (axis >= 0 && s.rank == m->values[x].shape.rank)
            s.dim[axis] = m->values[x].shape.dim[axis];
        if (same_shape(&s, &m->values[x].shape))
            in[nin++] = other;
    }
    if (nin == 1)
        in[nin++] = x;
    return nin;
}

static bool make_add(maker *m, int x)
{
    int in[MOST_JOINED], nin = draw_joined(m, x, -1, in);
    const shape s = m->values[x].shape;
    open_layer(m, "add", in, nin, &s);
    close_layer(m);
    return true;
}

static bool make_concatenate(maker *m, int x)
{
    shape s = m->values[x].shape;
    if (!s.rank)
        return false;
    int in[MOST_JOINED], axis = draw(m, s.rank), nin = draw_joined(m, x, axis, in);
    for (int i = 1; i < nin; i++)
        s.dim[axis] += m->values[in[i]].shape.dim[axis];
    if (element_count(&s) > MOST_ELEMENTS)
        return false;
    open_layer(m, "concatenate", in, nin, &s);
    if (axis < s.rank - 1 || chance(m, 70))
        text_printf(&m->layers, ", axis: %d", chance(m, 50) ? axis + 1 : axis - s.rank);
    close_layer(m);
    return true;
}

static bool (*const rules[])(maker *m, int x) = {
    make_dense,      make_dense, make_dense,   make_conv2d,      make_conv2d,     make_conv2d, make_conv2d,
    make_pool,       make_pool,  make_flatten, make_reshape,     make_dropout,    make_norm,   make_norm,
    make_activation, make_add,   make_add,     make_concatenate, make_global_pool};

/* Mostly what came last, and what nobody reads where that has become much. */
static int draw_operand(maker *m)
{
    int leaves = 0, leaf = 0;
    for (int i = 0; i < m->count; i++)
        if (!m->values[i].is_read) {
            leaves++;
            leaf = leaf && chance(m, 50) ? leaf : i;
        }
    if (leaves > MOST_LEAVES || !m->values[leaf].nin)
        return leaf;
    return chance(m, 60) ? m->count - 1 : draw(m, m->count);
}

/* x as one dimension. */
static int flat(maker *m, int x)
{
    if (m->values[x].shape.rank == 1)
        return x;
    make_flatten(m, x);
    return m->count - 1;
}

/* Few layers or a deep net, then a dense layer that reads the last of them and every input that none reads. */
static void add_layers(maker *m)
{
    int wanted = m->count + (chance(m, 6) ? 20 + draw(m, 11) : 3 + draw(m, 9)), before = m->count;
    while (m->count < wanted)
        DRAW(m, rules)(m, draw_operand(m));
    int end = flat(m, m->count - 1);
    for (int i = 0; i < before; i++) {
        if (m->values[i].is_read)
            continue;
        const int in[] = {end, flat(m, i)};
        shape s = m->values[end].shape;
        s.dim[0] += m->values[in[1]].shape.dim[0];
        open_layer(m, "concatenate", in, 2, &s);
        close_layer(m);
        end = m->count - 1;
    }
    m->must_train = true;
    while (!make_dense(m, end)) {
    }
}

/* ---- losses ---- */

/* What it is compared with: labels, a target of its own, or another layer of its shape. */
static void add_loss(maker *m, int x)
{
    static const char *const weights[] = {"",           "", "", "", ", weight: 0.5", ", weight: 1/3", ", weight: 2",
                                          ", weight: 0"};
    const value *v = &m->values[x];
    bool of_classes = v->shape.rank == 1 && chance(m, 60);
    char against[16];
    int other = draw(m, m->count);
    snprintf(against, sizeof against, "t%d", m->nlosses);
    if (of_classes)
        write_input(m, against, &(shape){0}, ", dtype: int32", v->shape.dim[0]);
    else if (other != x && same_shape(&m->values[other].shape, &v->shape) && chance(m, 70)) {
        snprintf(against, sizeof against, "%s", m->values[other].name);
        m->values[other].is_trained = true;
    } else
        write_input(m, against, &v->shape, any_element(m), 3);
    text_printf(&m->losses, "  - %s: {name: loss%d, %s: %s, %s: %s%s}\n",
                of_classes      ? "softmax_cross_entropy"
                : chance(m, 50) ? "mean_squared_error"
                                : "mean_absolute_error",
                m->nlosses, of_classes ? "logits" : "predictions", v->name, of_classes ? "labels" : "targets", against,
                DRAW(m, weights));
    if (of_classes && chance(m, 70))
        text_printf(&m->metrics, "  - accuracy: {name: hits%d, loss: loss%d}\n", m->nlosses, m->nlosses);
    m->values[x].is_trained = true;
    m->nlosses++;
}

static void add_losses(maker *m)
{
    add_loss(m, m->count - 1); /* a dense layer: there is something to train */
    for (int i = m->count - 2; i >= 0 && m->net->ninputs < RANDOM_INPUTS && m->nlosses < 4; i--)
        if (m->values[i].nin && chance(m, m->values[i].is_read ? 8 : 70))
            add_loss(m, i);
    for (int i = m->count - 1; i >= 0; i--)
        for (int k = 0; k < m->values[i].nin; k++)
            m->values[m->values[i].in[k]].is_trained |= m->values[i].is_trained;
    for (int i = 0; i < m->count; i++)
        m->net->trained += m->values[i].is_trained && m->values[i].has_parameters;
}

static const char *any_optimizer(maker *m)
{
    static const char *const kinds[] = {"sgd",
                                        "{sgd: {learning_rate: 1/50, momentum: 0.9}}",
                                        "{sgd: {learning_rate: 0.02, momentum: 0.5, nesterov: true}}",
                                        "{sgd: {nesterov: true}}",
                                        "adam",
                                        "{adam: {learning_rate: 0.01, beta_1: 0}}",
                                        "{adam: {learning_rate: 0.003, beta_1: 0.8, beta_2: 0.95, epsilon: 1e-5}}"};
    return DRAW(m, kinds);
}

/* Two groups at most, of layers here and there. */
static void add_groups(maker *m)
{
    for (int g = chance(m, 60) ? 2 : 0; g < 2; g++) {
        int count = 0;
        for (int i = 0; i < m->count; i++) {
            value *v = &m->values[i];
            if (!v->has_parameters || v->is_frozen || v->is_grouped || !chance(m, 40))
                continue;
            v->is_grouped = true;
            if (!count++)
                text_printf(&m->groups, "  - {name: g%d, layers: [", g);
            text_printf(&m->groups, "%s%s", count > 1 ? ", " : "", v->name);
        }
        if (count)
            text_printf(&m->groups, "], optimizer: %s}\n", any_optimizer(m));
    }
}

/* Below what gradients mostly are, about it, and above. */
static const char *any_clip(maker *m)
{
    static const char *const kinds[] = {
        "", "", "", "", ", gradient_clip: 0.001", ", gradient_clip: 0.3", ", gradient_clip: 1", ", gradient_clip: 50"};
    return DRAW(m, kinds);
}

void random_net_new(random_net *n, uint64_t seed)
{
    static const int64_t batches[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 20, 40};
    maker m = {.state = seed, .net = n};
    *n = (random_net){.max_batch = DRAW(&m, batches)};
    for (int i = 1 + draw(&m, 3); i > 0; i--)
        add_input(&m);
    add_layers(&m);
    add_losses(&m);
    text_printf(&n->yaml, "name: random\ninputs:\n%slayers:\n%slosses:\n%s", text_get(&m.inputs), text_get(&m.layers),
                text_get(&m.losses));
    if (m.metrics.length)
        text_printf(&n->yaml, "metrics:\n%s", text_get(&m.metrics));
    add_groups(&m);
    if (m.groups.length)
        text_printf(&n->yaml, "groups:\n%s", text_get(&m.groups));
    text_printf(&n->yaml, "optimizer: %s\ntrain: {batch: %lld%s}\n", any_optimizer(&m), (long long)n->max_batch,
                any_clip(&m));
    text_free(&m.inputs);
    text_free(&m.layers);
    text_free(&m.losses);
    text_free(&m.metrics);
    text_free(&m.groups);
}

void random_net_free(random_net *n)
{
    text_free(&n->yaml);
}
