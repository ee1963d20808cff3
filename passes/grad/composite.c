/* passes/grad/composite.c - gradient rules of composites, for which differentiating their nodes one by one would be
 * wrong or poor: a cross-entropy after softmax, whose gradient is a difference, is one. */
#include "passes/grad/grad.h"
#include <string.h>

/* Logits f32[.., classes], labels and losses a whole number and an f32 for each row of them. */
static bool check_rows(grad *g, const ir_node *y)
{
    const ir_node *logits = y->in[0], *labels = y->nin == 2 ? y->in[1] : NULL;
    bool ok = labels && logits->type.rank > 0 && ir_dtype_is_float(logits->type.dtype) &&
              !ir_dtype_is_float(labels->type.dtype) && labels->type.dtype != IR_I1;
    if (ok) {
        ir_type rows = logits->type;
        rows.rank--;
        ok = ir_type_equal(&y->type, &rows) && ir_shape_equal(&labels->type, &rows);
    }
    if (!ok) {
        diag_error(g->d, y->loc, "composite '%s': expected float logits, whole labels and a loss for each label",
                   y->label);
        g->failed = true;
    }
    return ok;
}

/* loss = log(sum(exp(logits))) - logits[label], over the last dimension
 * dlogits = (softmax(logits) - onehot(label)) dloss
 * The same steps as in the usual forward region, so that simplify merges the two exponentials. */
static void softmax_cross_entropy(grad *g, ir_node *y)
{
    if (!check_rows(g, y))
        return;
    ir_graph *at = g->graph;
    ir_node *logits = y->in[0], *labels = y->in[1];
    ir_type type = logits->type, classes = type;
    int64_t last = type.rank - 1, rows[IR_MAX_RANK];
    for (int i = 0; i < last; i++)
        rows[i] = i;
    ir_node *top = ir_broadcast_in_dim(at, ir_reduce(at, "max", logits, &last, 1), type, rows);
    ir_node *e = ir_exponential(at, ir_subtract(at, logits, top));
    ir_node *sum = ir_broadcast_in_dim(at, ir_reduce(at, "sum", e, &last, 1), type, rows);
    ir_node *softmax = ir_divide(at, e, sum);
    classes.dtype = labels->type.dtype;
    ir_node *label = ir_broadcast_in_dim(at, labels, classes, rows);
    ir_node *is_label = ir_compare(at, "EQ", label, ir_iota(at, classes, (int)last));
    ir_node *onehot = ir_select(at, is_label, ir_like(at, logits, 1), ir_like(at, logits, 0));
    ir_node *dy = ir_broadcast_in_dim(at, upstream(g, y), type, rows);
    accumulate(g, logits, ir_multiply(at, ir_subtract(at, softmax, onehot), dy));
}

static const struct {
    const char *label;
    grad_rule *rule;
} rules[] = {
    {"softmax_cross_entropy", softmax_cross_entropy},
};

grad_rule *grad_find_composite(const ir_node *c)
{
    bool can_have = c->label && c->region->nresults == 1;
    for (size_t i = 0; can_have && i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(rules[i].label, c->label))
            return rules[i].rule;
    return NULL;
}

/* Composites without a rule of their own are gone before any gradient is asked for. */
void grad_composite(grad *g, ir_node *y)
{
    grad_rule *rule = grad_find_composite(y);
    if (!rule)
        ir_bug("composite '%s' has no gradient rule", y->label ? y->label : "");
    rule(g, y);
}
