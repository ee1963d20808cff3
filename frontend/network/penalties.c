/* frontend/network/penalties.c - what layers' regularisers add to what is minimised, as parts of functions.
 *
 *     of a weight w:     minimize  batch * penalty(w)                 with loss_scale, 1 / examples of the step
 *     of a value y:      minimize  the sum of penalty(y) over the batch
 *
 * So the penalty of a weight counts once a step, whatever micro-batches the step is made of, and that of a value is the
 * mean over examples, as Keras divides it by the batch. Each layer's is minimised by itself: in coupled stages no
 * gradient of it crosses a boundary. metric.penalty is the sum of all of them, as metric.loss is that of the losses. */
#include "frontend/network/network.h"
#include <string.h>

/* kernel_regularizer of `weight`, depthwise_regularizer of `depthwise_weight`, bias_regularizer of `bias` ... */
static const fe_choice *regularizer_of(const fe_layer *l, const char *role)
{
    const char *end = strstr(role, "_weight");
    int length = end ? (int)(end - role) : (int)strlen(role);
    bool is_kernel = !strcmp(role, "weight");
    for (int i = 0; i < l->options->count; i++) {
        const fe_option *o = &l->options->options[i];
        const char *key = o->key->name, *what = is_kernel ? "kernel" : role;
        size_t n = is_kernel ? strlen("kernel") : (size_t)length;
        if (o->key->type == FE_REGULARIZER && !strncmp(key, what, n) && !strcmp(key + n, "_regularizer"))
            return o->choice;
    }
    return NULL;
}

/* Of a parameter that is trained, where it is declared: those that share it are of one mind. */
static const fe_choice *of_param(const fe_layer *l, int index)
{
    const fe_param *p = &l->param[index];
    const fe_choice *c = l->owner || !l->trainable || p->state ? NULL : regularizer_of(l, p->role);
    return fe_is_penalty(c) ? c : NULL;
}

static const fe_choice *of_value(const fe_layer *l)
{
    const fe_choice *c = fe_get(l->options, "activity_regularizer")->choice;
    return fe_is_penalty(c) ? c : NULL;
}

static bool has_penalty(const fe_layer *l)
{
    bool any = of_value(l);
    for (int i = 0; i < l->nparams; i++)
        any |= of_param(l, i) != NULL;
    return any;
}

bool fe_has_penalties(const fe_network *n)
{
    for (int i = 0; n->optimizer && i < n->nlayers; i++)
        if (has_penalty(&n->layers[i]))
            return true;
    return false;
}

static ir_node *plus(ir_graph *g, ir_node *sum, ir_node *x)
{
    return sum ? ir_add(g, sum, x) : x;
}

/* The sum over the batch of all that the layer's regularisers say. */
static ir_node *build_layer(fe_function *f, int index)
{
    const fe_layer *l = &f->net->layers[index];
    ir_graph *g = f->b.g;
    ir_node *of_weights = NULL;
    for (int i = 0; i < l->nparams; i++) {
        const fe_choice *c = of_param(l, i);
        ir_node *w = c ? fe_use_param(&f->b, l, l->param[i].role) : NULL;
        of_weights = c ? plus(g, of_weights, fe_penalty(g, c, w, 0)) : of_weights;
    }
    if (of_weights)
        of_weights = ir_multiply(g, of_weights, ir_convert(g, ir_batch_size(g), IR_F32));
    if (!of_value(l))
        return of_weights;
    ir_node *each = fe_penalty(g, of_value(l), f->layers[index], 1);
    return plus(g, of_weights, ir_reduce(g, "sum", each, (int64_t[]){0}, 1));
}

void fe_build_penalties(fe_function *f, int index)
{
    const fe_layer *l = &f->net->layers[index];
    if (!f->net->optimizer || !has_penalty(l))
        return;
    fe_aim(&f->b, l->at, l->name, "forward");
    ir_node *own = f->penalties[index] = build_layer(f, index);
    if (f->b.training)
        ir_minimize(f->b.g, own, ir_call_value(f->b.g, "loss_scale"));
}

ir_node *fe_all_penalties(fe_function *f)
{
    ir_node *all = NULL;
    for (int i = 0; i < f->net->nlayers; i++)
        if (f->penalties[i])
            all = plus(f->b.g, all, f->penalties[i]);
    return all;
}
