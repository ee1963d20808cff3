/* frontend/catalogue/regularizers.c - Keras' regularisers: numbers that a loss has besides, so that weights, or values,
 * stay small.
 *     l1: l1 sum |x|      l2: l2 sum x^2      l1_l2: both            (without the half of PyTorch's weight_decay) */
#include "frontend/catalogue/catalogue.h"
#include <string.h>

#define FACTOR(name, fallback)                                                                                         \
    {                                                                                                                  \
        name, FE_NOT_NEGATIVE, fallback                                                                                \
    }

static const fe_kind rows[] = {
    {.name = "l1", .short_key = "l1", .keys = {FACTOR("l1", "0.01")}},
    {.name = "l2", .short_key = "l2", .keys = {FACTOR("l2", "0.01")}},
    {.name = "l1_l2", .keys = {FACTOR("l1", "0"), FACTOR("l2", "0")}},
};

const fe_catalogue fe_regularizers = {"regularizer", FE_ONE_TABLE(rows), {{0}}, NULL};

static double factor(const fe_choice *c, const char *key)
{
    for (int i = 0; i < c->count; i++)
        if (!strcmp(c->options[i].key->name, key))
            return c->options[i].number;
    return 0;
}

bool fe_is_penalty(const fe_choice *c)
{
    return c && (factor(c, "l1") > 0 || factor(c, "l2") > 0);
}

/* Along the last dimension first, so that many tasks can share it, then the rest; of dimension 'first' and up. */
static ir_node *sum_from(ir_graph *g, ir_node *x, int first)
{
    int64_t dims[IR_MAX_RANK];
    int rest = x->type.rank - 1 - first;
    for (int i = 0; i < rest; i++)
        dims[i] = first + i;
    if (rest >= 0)
        x = ir_reduce(g, "sum", x, (int64_t[]){x->type.rank - 1}, 1);
    return rest > 0 ? ir_reduce(g, "sum", x, dims, rest) : x;
}

ir_node *fe_penalty(ir_graph *g, const fe_choice *c, ir_node *x, int first)
{
    double l1 = factor(c, "l1"), l2 = factor(c, "l2");
    ir_node *linear = NULL, *square = NULL;
    if (l1 > 0) {
        linear = sum_from(g, ir_abs(g, x), first);
        linear = ir_multiply(g, linear, ir_like(g, linear, l1));
    }
    if (l2 > 0) {
        square = sum_from(g, ir_multiply(g, x, x), first);
        square = ir_multiply(g, square, ir_like(g, square, l2));
    }
    return linear && square ? ir_add(g, linear, square) : linear ? linear : square;
}
