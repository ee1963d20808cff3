/* tests/unit/random_net.c - see random_net.h.
 *
 * A net grows value by value: first inputs, then layers. A layer's rule draws its options for one value, or says that
 * it does not suit it; then another is drawn. Losses come last, on what nobody reads and on some values in between;
 * they bring the inputs that they compare with. */
#include "tests/unit/random_maker.h"
#include <stdio.h>
#include <string.h>

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

/* ---- layers ---- */

static random_rule *const rules[] = {
    make_dense,   make_dense,       make_dense,         make_conv,    make_conv,    make_conv,
    make_conv,    make_depthwise,   make_transposed,    make_pool,    make_pool,    make_flatten,
    make_reshape, make_permute,     make_repeat_vector, make_noise,   make_norm,    make_norm,
    make_norm,    make_prelu,       make_activation,    make_join,    make_join,    make_subtract,
    make_dot,     make_concatenate, make_global_pool,   make_margins, make_upsample};

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

/* Keys of a loss that weigh its examples, by an input of their own, or its classes. */
static void add_weights(maker *m, int64_t classes)
{
    static const char *const weights[] = {"0", "1", "2", "1/3", "0.5", "4"};
    if (m->net->ninputs < RANDOM_INPUTS && chance(m, 25)) {
        char name[16];
        snprintf(name, sizeof name, "w%d", m->nlosses);
        write_input(m, name, &(shape){0}, any_element(m), 3);
        text_printf(&m->losses, ", sample_weights: %s", name);
    }
    if (!classes || !chance(m, 30))
        return;
    for (int64_t i = 0; i < classes; i++)
        text_printf(&m->losses, "%s%s", i ? ", " : ", class_weights: [", DRAW(m, weights));
    text_add(&m->losses, "]");
}

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
    text_printf(&m->losses, "  - %s: {name: loss%d, %s: %s, %s: %s%s",
                of_classes      ? "softmax_cross_entropy"
                : chance(m, 50) ? "mean_squared_error"
                                : "mean_absolute_error",
                m->nlosses, of_classes ? "logits" : "predictions", v->name, of_classes ? "labels" : "targets", against,
                DRAW(m, weights));
    add_weights(m, of_classes ? v->shape.dim[0] : 0);
    text_add(&m->losses, "}\n");
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
                                        "{adam: {learning_rate: 0.003, beta_1: 0.8, beta_2: 0.95, epsilon: 1e-5}}",
                                        "{sgd: {momentum: 0.8, weight_decay: 0.1}}",
                                        "{adam: {weight_decay: 0.2, decay_vectors: true}}",
                                        "adamw",
                                        "{adamw: {learning_rate: 0.01, weight_decay: 0.1, beta_1: 0.8}}",
                                        "{sgd: {momentum: 0.9, rate_in_velocity: false, weight_decay: 0.1}}",
                                        "lamb",
                                        "{lamb: {learning_rate: 0.01, beta_1: 0.8, epsilon: 1e-4, weight_decay: 0.1}}",
                                        "nadam",
                                        "{nadam: {learning_rate: 0.01, momentum_decay: 1, weight_decay: 0.1}}",
                                        "rmsprop",
                                        "{rmsprop: {rho: 0.8, momentum: 0.9, epsilon: 1e-4, weight_decay: 0.1}}",
                                        "{rmsprop: {learning_rate: 0.01, centered: true, epsilon: 0.01}}",
                                        "{rmsprop: {centered: true, momentum: 0.5, epsilon: 0.01}}",
                                        "adagrad",
                                        "{adagrad: {initial_accumulator_value: 0, epsilon: 1e-4, weight_decay: 0.1}}",
                                        "adadelta",
                                        "{adadelta: {learning_rate: 0.1, rho: 0.95, weight_decay: 0.1}}",
                                        "lion",
                                        "{lion: {learning_rate: 0.001, beta_1: 0.8, weight_decay: 0.3}}"};
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
    static const char *const kinds[] = {"",
                                        "",
                                        "",
                                        "",
                                        "",
                                        "",
                                        ", gradient_clip: 0.001",
                                        ", gradient_clip: 0.3",
                                        ", gradient_clip: {global_norm: 1}",
                                        ", gradient_clip: 50",
                                        ", gradient_clip: {norm: 0.1}",
                                        ", gradient_clip: {norm: 2}",
                                        ", gradient_clip: {value: 0.01}",
                                        ", gradient_clip: {value: 1}"};
    return DRAW(m, kinds);
}

static const char *any_average(maker *m)
{
    static const char *const kinds[] = {"",
                                        "",
                                        "",
                                        "",
                                        ", averaging: {ema: 0.7}",
                                        ", averaging: {ema: {decay: 0.9, warmup: true}}",
                                        ", averaging: {swa: {start: 2, every: 2}}"};
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
    text_printf(&n->yaml, "optimizer: %s\ntrain: {batch: %lld", any_optimizer(&m), (long long)n->max_batch);
    text_printf(&n->yaml, "%s", any_clip(&m));
    text_printf(&n->yaml, "%s}\n", any_average(&m));
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
