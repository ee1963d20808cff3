/* frontend/catalogue/losses/classes.c - losses of one class out of several, over the last dimension:
 * softmax_cross_entropy, categorical_cross_entropy, kl_divergence.
 *
 * Logits become log(softmax), with the largest one subtracted first; differentiated operator by operator that gives
 * softmax times the sum of what comes in, minus what comes in, which loses nothing. */
#include "frontend/catalogue/losses/losses.h"
#include <inttypes.h>

/* Keras' bounds of a probability. */
static const double LEAST = 1e-7;

/* x - log(sum e^x), and the logarithm it takes of it: both of x less its maximum. */
static ir_node *shifted_logits(ir_graph *g, ir_node *x, ir_node **log_sum)
{
    ir_node *highest = ir_stop_gradient(g, fe_reduce_last(g, "max", x));
    ir_node *shifted = ir_subtract(g, x, fe_spread_rows(g, highest, x));
    *log_sum = ir_log(g, fe_reduce_last(g, "sum", ir_exponential(g, shifted)));
    return shifted;
}

static ir_node *log_softmax(ir_graph *g, ir_node *x)
{
    ir_node *log_sum, *shifted = shifted_logits(g, x, &log_sum);
    return ir_subtract(g, shifted, fe_spread_rows(g, log_sum, x));
}

static ir_node *between(ir_graph *g, ir_node *x, double low, double high)
{
    ir_node *least = ir_like(g, x, low), *most = ir_like(g, x, high);
    return ir_clamp(g, least, x, most);
}

static double class_count(const ir_node *x)
{
    return (double)x->type.dim[x->type.rank - 1].n;
}

/* ---- class_weights ---- */

static bool check_class_weights(fe_reader *r, const fe_loss *l)
{
    const fe_option *o = fe_get(l->options, "class_weights");
    int64_t classes = l->in_type[0].dim[l->in_type[0].rank - 1].n;
    return !o->present || o->count == classes ||
           fe_mismatch(r, o->at, "class_weights", arena_printf(r->mem, "%" PRId64 ", one for each class", classes),
                       arena_printf(r->mem, "%d", o->count));
}

/* The weights as rows of x. */
static ir_node *weight_rows(ir_graph *g, const fe_option *weights, const ir_node *x)
{
    ir_type type = ir_type_make(IR_F32, 1, &x->type.dim[x->type.rank - 1]);
    return fe_spread_last(g, ir_constants(g, type, weights->numbers), x);
}

/* ---- softmax_cross_entropy ---- */

static bool check_classes(fe_reader *r, fe_loss *l)
{
    if (l->in_type[0].rank != 2)
        return fe_wrong_argument(r, l, 0, "float32 of shape [classes]");
    if (l->in_type[1].rank != 1 || l->in_type[1].dtype != IR_I32)
        return fe_wrong_argument(r, l, 1, "an input of int32 of shape [], without scale");
    return check_class_weights(r, l);
}

/* Where the class is the label, of the shape of logits. */
static ir_node *is_label(ir_graph *g, const ir_node *logits, ir_node *labels)
{
    ir_type numbers = logits->type;
    numbers.dtype = IR_I32;
    ir_node *label = fe_spread_rows(g, labels, logits);
    return ir_compare(g, "EQ", label, ir_iota(g, numbers, 1));
}

/* log(sum e^x) - (1 - s) x[label] - s mean(x): against 1 - s + s/classes at the label, s/classes elsewhere. */
static ir_node *entropy_of_label(ir_graph *g, const fe_loss *l, ir_node *logits, ir_node *labels)
{
    double s = fe_get_number(l->options, "label_smoothing");
    ir_node *log_sum, *shifted = shifted_logits(g, logits, &log_sum);
    ir_node *chosen = is_label(g, logits, labels);
    ir_node *picked = fe_reduce_last(g, "sum", ir_select(g, chosen, shifted, ir_like(g, shifted, 0)));
    if (s > 0) {
        ir_node *all = fe_scaled(g, fe_reduce_last(g, "sum", shifted), s / class_count(logits));
        picked = ir_add(g, fe_scaled(g, picked, 1 - s), all);
    }
    return ir_subtract(g, log_sum, picked);
}

/* A composite: its own gradient, softmax minus one-hot, shares its exponentials with the forward pass. With smoothed
 * labels the operators' own gradient is the smoothed one. */
static ir_node *unweighted_entropy(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    if (fe_get_number(l->options, "label_smoothing") > 0)
        return entropy_of_label(b->g, l, in[0], in[1]);
    ir_graph *g = ir_region_new(b->m);
    g->at = b->g->at;
    ir_node *logits = ir_input_new(g, "logits", in[0]->type), *labels = ir_input_new(g, "labels", in[1]->type);
    ir_result_add(g, NULL, entropy_of_label(g, l, logits, labels));
    return ir_composite(b->g, "softmax_cross_entropy", in, 2, g);
}

static ir_node *build_softmax_cross_entropy(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    const fe_option *weights = fe_get(l->options, "class_weights");
    ir_node *each = unweighted_entropy(b, l, in);
    if (!weights->present)
        return each;
    ir_node *rows = weight_rows(b->g, weights, in[0]), *chosen = is_label(b->g, in[0], in[1]);
    ir_node *weight = fe_reduce_last(b->g, "sum", ir_select(b->g, chosen, rows, ir_like(b->g, rows, 0)));
    return ir_multiply(b->g, each, weight);
}

/* ---- categorical_cross_entropy ---- */

static bool check_categories(fe_reader *r, fe_loss *l)
{
    return fe_check_vectors(r, l) && check_class_weights(r, l);
}

/* log p: of logits, or of probabilities, which are taken as parts of their sum and kept off 0 and 1. */
static ir_node *log_probabilities(ir_graph *g, const fe_loss *l, ir_node *x)
{
    if (fe_get_bool(l->options, "from_logits"))
        return log_softmax(g, x);
    ir_node *part = ir_divide(g, x, fe_spread_rows(g, fe_reduce_last(g, "sum", x), x));
    return ir_log(g, between(g, part, LEAST, 1 - LEAST));
}

/* -sum t log p, times the sum of t w where classes have weights w, the mean over all rows of an example. The weight is
 * of targets as they are, not smoothed, as it is of a label. */
static ir_node *build_categorical_cross_entropy(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *t = fe_smoothed(g, l, in[1], class_count(in[1]));
    ir_node *log_p = log_probabilities(g, l, in[0]);
    ir_node *sum = fe_reduce_last(g, "sum", ir_multiply(g, t, log_p));
    ir_node *rows = ir_negate(g, sum);
    const fe_option *weights = fe_get(l->options, "class_weights");
    if (weights->present) {
        ir_node *weighted = ir_multiply(g, in[1], weight_rows(g, weights, in[1]));
        rows = ir_multiply(g, rows, fe_reduce_last(g, "sum", weighted));
    }
    return fe_mean_each(g, rows);
}

/* ---- kl_divergence ---- */

static bool check_divergence(fe_reader *r, fe_loss *l)
{
    const fe_option *t = fe_get(l->options, "temperature");
    if (!fe_get_bool(l->options, "from_logits") && t->number != 1)
        return fe_mismatch(r, t->at, "temperature", "logits to divide by it", "'from_logits: false'");
    return fe_check_vectors(r, l);
}

static ir_node *log_of(ir_graph *g, const fe_loss *l, ir_node *x)
{
    double temperature = fe_get_number(l->options, "temperature");
    if (!fe_get_bool(l->options, "from_logits"))
        return ir_log(g, between(g, x, LEAST, 1));
    return log_softmax(g, temperature == 1 ? x : ir_divide(g, x, ir_like(g, x, temperature)));
}

/* sum t (log t - log p) with t and p of both arguments' softmax at a temperature, or of both as they are. */
static ir_node *build_kl_divergence(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *log_p = log_of(g, l, in[0]);
    ir_node *log_t = log_of(g, l, in[1]);
    ir_node *t = ir_exponential(g, log_t);
    ir_node *sum = fe_reduce_last(g, "sum", ir_multiply(g, t, ir_subtract(g, log_t, log_p)));
    return fe_mean_each(g, sum);
}

#define FROM_LOGITS                                                                                                    \
    {                                                                                                                  \
        "from_logits", FE_BOOL, "true"                                                                                 \
    }

#define CLASS_WEIGHTS                                                                                                  \
    {                                                                                                                  \
        "class_weights", FE_WEIGHTS, NULL                                                                              \
    }

static const fe_loss_kind rows[] = {
    LOSS(softmax_cross_entropy, "logits", "labels", true, "softmax", check_classes, build_softmax_cross_entropy,
         SMOOTHED, CLASS_WEIGHTS),
    LOSS(categorical_cross_entropy, "logits", "targets", false, "softmax", check_categories,
         build_categorical_cross_entropy, FROM_LOGITS, SMOOTHED, CLASS_WEIGHTS),
    LOSS(kl_divergence, "logits", "targets", false, "softmax", check_divergence, build_kl_divergence, FROM_LOGITS,
         {"temperature", FE_POSITIVE, "1"}),
};

const fe_rows fe_class_losses = FE_ROWS(rows);
