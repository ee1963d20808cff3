/* frontend/catalogue/losses/truths.c - losses of numbers of which each is a yes or a no by itself, as the labels of an
 * image with several things on it, or the pixels of a mask: sigmoid_cross_entropy, focal, hinge, dice. */
#include "frontend/catalogue/losses/losses.h"

/* Keeps a power, and the slope of a root, off 0: far below any probability that counts. */
static const double LEAST_WRONG = 1e-30;

/* -z log(p) - (1 - z) log(1 - p) with p = 1 / (1 + e^-x), as max(x, 0) - x z + log(1 + e^-|x|): no part overflows, and
 * the halves that the tie of maximum and the corner of abs have at 0 add up to the true slope there. */
static ir_node *binary_entropy(ir_graph *g, ir_node *x, ir_node *z)
{
    ir_node *rest = ir_log_plus_one(g, ir_exponential(g, ir_negate(g, ir_abs(g, x))));
    ir_node *positive = ir_maximum(g, x, ir_like(g, x, 0));
    ir_node *line = ir_subtract(g, positive, ir_multiply(g, x, z));
    return ir_add(g, line, rest);
}

/* The chance of one truth z where the other has 1 - z. */
static ir_node *mixed(ir_graph *g, ir_node *z, ir_node *if_true, ir_node *if_false)
{
    ir_node *yes = ir_multiply(g, z, if_true);
    ir_node *no = ir_multiply(g, ir_subtract(g, ir_like(g, z, 1), z), if_false);
    return ir_add(g, yes, no);
}

/* -p z log(s) - (1 - z) log(1 - s) with s = 1 / (1 + e^-x), of PyTorch's BCEWithLogitsLoss(pos_weight=p): as -log(s) is
 * max(-x, 0) + log(1 + e^-|x|), and -log(1 - s) that of -x, no term is negative, so none cancels another. */
static ir_node *weighted_entropy(ir_graph *g, ir_node *x, ir_node *z, double weight)
{
    ir_node *rest = ir_log_plus_one(g, ir_exponential(g, ir_negate(g, ir_abs(g, x)))), *zero = ir_like(g, x, 0);
    ir_node *no = ir_add(g, ir_maximum(g, x, zero), rest);
    ir_node *yes = ir_add(g, ir_maximum(g, ir_negate(g, x), zero), rest);
    return mixed(g, z, fe_scaled(g, yes, weight), no);
}

static ir_node *build_sigmoid_cross_entropy(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    const fe_option *weight = fe_get(l->options, "pos_weight");
    ir_node *z = fe_smoothed(g, l, in[1], 2);
    return fe_mean_each(g,
                        weight->present ? weighted_entropy(g, in[0], z, weight->number) : binary_entropy(g, in[0], z));
}

/* w^gamma times the cross-entropy, where w is the probability given to what is wrong; times alpha of what is true and
 * 1 - alpha of what is not, where that is asked for (Lin et al. 2017). Both sigmoids are computed, as one minus the
 * other would be 0 for most examples that are right. */
static ir_node *build_focal(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *x = in[0], *z = fe_smoothed(g, l, in[1], 2);
    const fe_option *alpha = fe_get(l->options, "alpha");
    ir_node *says_yes = ir_logistic(g, x), *says_no = ir_logistic(g, ir_negate(g, x));
    ir_node *wrong = mixed(g, z, says_no, says_yes);
    wrong = ir_maximum(g, wrong, ir_like(g, x, LEAST_WRONG));
    ir_node *focus = ir_power(g, wrong, ir_like(g, x, fe_get_number(l->options, "gamma")));
    ir_node *each = ir_multiply(g, focus, binary_entropy(g, x, z));
    if (alpha->present) {
        ir_node *balance = ir_like(g, x, alpha->number), *rest = ir_like(g, x, 1 - alpha->number);
        each = ir_multiply(g, mixed(g, z, balance, rest), each);
    }
    return fe_mean_each(g, each);
}

/* max(0, 1 - t p) for t of -1 and 1. As of relu, NaN passes and the slope at the corner is 0. */
static ir_node *build_hinge(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    ir_graph *g = b->g;
    ir_node *product = ir_multiply(g, in[0], in[1]), *zero = ir_like(g, product, 0);
    ir_node *margin = ir_subtract(g, ir_like(g, product, 1), product);
    return fe_mean_each(g, ir_select(g, ir_compare(g, "LE", margin, zero), zero, margin));
}

/* 1 - (2 sum p t + smooth) / (sum p + sum t + smooth) over all elements of an example (Milletari et al. 2016, without
 * the squares). */
static ir_node *build_dice(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *common = fe_scaled(g, fe_sum_each(g, ir_multiply(g, in[0], in[1])), 2);
    ir_node *all = fe_sum_each(g, ir_add(g, in[0], in[1]));
    ir_node *smooth = ir_like(g, all, fe_get_number(l->options, "smooth"));
    ir_node *above = ir_add(g, common, smooth), *below = ir_add(g, all, smooth), *one = ir_like(g, all, 1);
    return ir_subtract(g, one, ir_divide(g, above, below));
}

static const fe_loss_kind rows[] = {
    LOSS(sigmoid_cross_entropy, "logits", "labels", false, "sigmoid", fe_check_equal, build_sigmoid_cross_entropy,
         SMOOTHED, {"pos_weight", FE_NOT_NEGATIVE, NULL}),
    LOSS(focal, "logits", "labels", false, "sigmoid", fe_check_equal, build_focal, {"gamma", FE_NOT_NEGATIVE, "2"},
         {"alpha", FE_FRACTION, NULL}, SMOOTHED),
    LOSS(hinge, "predictions", "targets", false, NULL, fe_check_equal, build_hinge, NONE),
    LOSS(dice, "predictions", "targets", false, NULL, fe_check_equal, build_dice, {"smooth", FE_POSITIVE, "1e-7"}),
};

const fe_rows fe_truth_losses = FE_ROWS(rows);
