/* tests/unit/random_layers.c - rules for layers that look at no window. */
#include "tests/unit/random_maker.h"
#include <string.h>

bool make_dense(maker *m, int x)
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

bool make_flatten(maker *m, int x)
{
    open_layer(m, "flatten", &x, 1, &(shape){1, {element_count(&m->values[x].shape)}});
    close_layer(m);
    return true;
}

static int64_t divisor_of(maker *m, int64_t count)
{
    int64_t divisor = 1 + draw(m, 6);
    while (count % divisor)
        divisor--;
    return divisor;
}

/* Rows and columns by a random divisor; one dimension may be left open. */
bool make_reshape(maker *m, int x)
{
    int64_t count = element_count(&m->values[x].shape);
    shape s = {.rank = 1 + draw(m, MOST_RANK)};
    for (int i = 0; i < s.rank - 1; i++) {
        s.dim[i] = divisor_of(m, count);
        count /= s.dim[i];
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

bool make_activation(maker *m, int x)
{
    const shape s = m->values[x].shape;
    open_layer(m, "activation", &x, 1, &s);
    text_printf(&m->layers, ", activation: %s", any_activation(m, &s));
    close_layer(m);
    return true;
}

/* By number of dimensions of an example, what suits it: all, sequences, images. */
bool make_noise(maker *m, int x)
{
    static const char *const rates[] = {"0.25", "1/3", "0.5", "0"};
    static const char *const kinds[] = {"dropout",       "dropout",           "dropout",          "gaussian_dropout",
                                        "alpha_dropout", "spatial_dropout1d", "spatial_dropout2d"};
    const shape s = m->values[x].shape;
    const char *kind = kinds[draw(m, s.rank == 2 || s.rank == 3 ? 6 : 5)];
    if (s.rank == 3 && !strcmp(kind, "spatial_dropout1d"))
        kind = "spatial_dropout2d";
    bool is_noise = chance(m, 10);
    open_layer(m, is_noise ? "gaussian_noise" : kind, &x, 1, &s);
    text_printf(&m->layers, ", %s: %s", is_noise ? "stddev" : "rate", DRAW(m, rates));
    close_layer(m);
    return true;
}

bool make_prelu(maker *m, int x)
{
    const shape s = m->values[x].shape;
    if (!s.rank)
        return false;
    open_layer(m, "prelu", &x, 1, &s)->has_parameters = true;
    if (chance(m, 50))
        text_printf(&m->layers, ", shared_axes: [%d]", 1 + draw(m, s.rank));
    maybe_add_initializer(m, 70, "alpha");
    close_layer(m);
    return true;
}

bool make_permute(maker *m, int x)
{
    const shape from = m->values[x].shape;
    shape s = {.rank = from.rank};
    int64_t dims[MOST_RANK];
    if (from.rank < 2)
        return false;
    for (int i = 0; i < s.rank; i++) /* Fisher and Yates' shuffle, as it grows */
    {
        int at = draw(m, i + 1);
        dims[i] = dims[at];
        dims[at] = i + 1;
    }
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = from.dim[dims[i] - 1];
    open_layer(m, "permute", &x, 1, &s);
    text_add(&m->layers, ", dims: ");
    add_list(&m->layers, dims, s.rank);
    close_layer(m);
    return true;
}

bool make_repeat_vector(maker *m, int x)
{
    const shape *from = &m->values[x].shape;
    int64_t n = 1 + draw(m, 6);
    if (from->rank != 1 || n * from->dim[0] > MOST_ELEMENTS)
        return false;
    open_layer(m, "repeat_vector", &x, 1, &(shape){2, {n, from->dim[0]}});
    text_printf(&m->layers, ", n: %lld", (long long)n);
    close_layer(m);
    return true;
}

bool make_norm(maker *m, int x)
{
    static const char *const kinds[] = {"batch_norm", "batch_norm", "layer_norm", "layer_norm",
                                        "group_norm", "rms_norm",   "unit_norm"};
    const shape s = m->values[x].shape;
    if (!s.rank)
        return false;
    const char *kind = DRAW(m, kinds);
    bool of_mean = strcmp(kind, "rms_norm") != 0 && strcmp(kind, "unit_norm") != 0;
    bool has_center = of_mean && chance(m, 80), has_scale = of_mean ? chance(m, 80) : !strcmp(kind, "rms_norm");
    open_layer(m, kind, &x, 1, &s)->has_parameters = has_center || has_scale;
    if (of_mean)
        text_printf(&m->layers, "%s%s", has_center ? "" : ", center: false", has_scale ? "" : ", scale: false");
    if (has_scale)
        maybe_add_initializer(m, 50, "gamma");
    if (of_mean || has_scale)
        maybe_add(m, 20, ", epsilon: 0.1");
    if (of_mean)
        maybe_add_initializer(m, 50, "beta");
    if (!strcmp(kind, "group_norm"))
        text_printf(&m->layers, ", groups: %lld", (long long)divisor_of(m, s.dim[s.rank - 1]));
    if (!strcmp(kind, "batch_norm"))
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

bool make_join(maker *m, int x)
{
    static const char *const kinds[] = {"add", "add", "add", "multiply", "maximum", "minimum", "average"};
    int in[MOST_JOINED], nin = draw_joined(m, x, -1, in);
    const shape s = m->values[x].shape;
    open_layer(m, DRAW(m, kinds), in, nin, &s);
    close_layer(m);
    return true;
}

bool make_subtract(maker *m, int x)
{
    int in[MOST_JOINED];
    const shape s = m->values[x].shape;
    draw_joined(m, x, -1, in);
    open_layer(m, "subtract", in, 2, &s);
    close_layer(m);
    return true;
}

/* Of any value with a dimension as large, itself at least. */
bool make_dot(maker *m, int x)
{
    const shape *a = &m->values[x].shape;
    int in[2] = {x, x}, axis[2] = {0};
    if (!a->rank)
        return false;
    axis[0] = axis[1] = draw(m, a->rank);
    for (int tries = 0; tries < 20; tries++) {
        int other = draw(m, m->count), rank = m->values[other].shape.rank, at = rank ? draw(m, rank) : 0;
        if (rank && m->values[other].shape.dim[at] == a->dim[axis[0]]) {
            in[1] = other;
            axis[1] = at;
        }
    }
    shape s = {0};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < m->values[in[i]].shape.rank; k++)
            if (k != axis[i]) {
                if (s.rank == MOST_RANK)
                    return false;
                s.dim[s.rank++] = m->values[in[i]].shape.dim[k];
            }
    if (!s.rank)
        s.dim[s.rank++] = 1;
    if (element_count(&s) > MOST_ELEMENTS)
        return false;
    open_layer(m, "dot", in, 2, &s);
    text_printf(&m->layers, ", axes: [%d, %d]%s", axis[0] + 1, axis[1] + 1, chance(m, 30) ? ", normalize: true" : "");
    close_layer(m);
    return true;
}

bool make_concatenate(maker *m, int x)
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
