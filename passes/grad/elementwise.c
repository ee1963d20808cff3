/* passes/grad/elementwise.c - gradient rules of elementwise operators.
 *
 * Each is its formula, then ordinary operators. dy is the gradient of the result y. At kinks: abs has 0, ties of
 * maximum and minimum share halves, and clamp is a maximum followed by a minimum. */
#include "passes/grad/grad.h"

void grad_none(grad *g, ir_node *y)
{
    (void)g;
    (void)y;
}

/* y = -x      dx = -dy */
void grad_negate(grad *g, ir_node *y)
{
    accumulate(g, y->in[0], ir_negate(g->graph, upstream(g, y)));
}

/* y = |x|      dx = dy sign(x) */
void grad_abs(grad *g, ir_node *y)
{
    ir_node *x = y->in[0];
    accumulate(g, x, ir_multiply(g->graph, upstream(g, y), ir_sign(g->graph, x)));
}

/* y = exp(x)      dx = dy y */
void grad_exponential(grad *g, ir_node *y)
{
    accumulate(g, y->in[0], ir_multiply(g->graph, upstream(g, y), y));
}

/* y = log(x)      dx = dy / x */
void grad_log(grad *g, ir_node *y)
{
    accumulate(g, y->in[0], ir_divide(g->graph, upstream(g, y), y->in[0]));
}

/* y = log(1 + x)      dx = dy / (1 + x) */
void grad_log_plus_one(grad *g, ir_node *y)
{
    ir_node *x = y->in[0];
    accumulate(g, x, ir_divide(g->graph, upstream(g, y), ir_add(g->graph, ir_like(g->graph, x, 1), x)));
}

/* y = sqrt(x)      dx = (dy / 2) / y */
void grad_sqrt(grad *g, ir_node *y)
{
    ir_node *half = ir_multiply(g->graph, upstream(g, y), ir_like(g->graph, y, 0.5));
    accumulate(g, y->in[0], ir_divide(g->graph, half, y));
}

/* y = 1 / sqrt(x)      dx = (-dy / 2) (y / x) */
void grad_rsqrt(grad *g, ir_node *y)
{
    ir_node *x = y->in[0];
    ir_node *half = ir_multiply(g->graph, upstream(g, y), ir_like(g->graph, y, -0.5));
    accumulate(g, x, ir_multiply(g->graph, half, ir_divide(g->graph, y, x)));
}

/* y = tanh(x)      dx = dy (1 - y y) */
void grad_tanh(grad *g, ir_node *y)
{
    ir_node *slope = ir_subtract(g->graph, ir_like(g->graph, y, 1), ir_multiply(g->graph, y, y));
    accumulate(g, y->in[0], ir_multiply(g->graph, upstream(g, y), slope));
}

/* y = 1 / (1 + exp(-x))      dx = dy (y (1 - y)) */
void grad_logistic(grad *g, ir_node *y)
{
    ir_node *rest = ir_subtract(g->graph, ir_like(g->graph, y, 1), y);
    accumulate(g, y->in[0], ir_multiply(g->graph, upstream(g, y), ir_multiply(g->graph, y, rest)));
}

/* y = erf(x)      dx = dy (2 / sqrt(pi) exp(-x x)) */
void grad_erf(grad *g, ir_node *y)
{
    ir_node *x = y->in[0];
    ir_node *bell = ir_exponential(g->graph, ir_negate(g->graph, ir_multiply(g->graph, x, x)));
    ir_node *slope = ir_multiply(g->graph, ir_like(g->graph, x, 1.1283791670955126), bell);
    accumulate(g, x, ir_multiply(g->graph, upstream(g, y), slope));
}

/* y = cos(x)      dx = -(dy sin(x)) */
void grad_cosine(grad *g, ir_node *y)
{
    ir_node *x = y->in[0];
    accumulate(g, x, ir_negate(g->graph, ir_multiply(g->graph, upstream(g, y), ir_sine(g->graph, x))));
}

/* y = sin(x)      dx = dy cos(x) */
void grad_sine(grad *g, ir_node *y)
{
    ir_node *x = y->in[0];
    accumulate(g, x, ir_multiply(g->graph, upstream(g, y), ir_cosine(g->graph, x)));
}

/* y = a + b      da = dy      db = dy */
void grad_add(grad *g, ir_node *y)
{
    accumulate(g, y->in[0], upstream(g, y));
    accumulate(g, y->in[1], upstream(g, y));
}

/* y = a - b      da = dy      db = -dy */
void grad_subtract(grad *g, ir_node *y)
{
    accumulate(g, y->in[0], upstream(g, y));
    if (toward(g, y->in[1]))
        accumulate(g, y->in[1], ir_negate(g->graph, upstream(g, y)));
}

/* y = a b      da = dy b      db = dy a */
void grad_multiply(grad *g, ir_node *y)
{
    for (int i = 0; i < 2; i++)
        if (toward(g, y->in[i]))
            accumulate(g, y->in[i], ir_multiply(g->graph, upstream(g, y), y->in[1 - i]));
}

/* y = a / b      da = dy / b      db = -(dy y / b) */
void grad_divide(grad *g, ir_node *y)
{
    ir_node *a = y->in[0], *b = y->in[1];
    if (toward(g, a))
        accumulate(g, a, ir_divide(g->graph, upstream(g, y), b));
    if (toward(g, b)) {
        ir_node *product = ir_multiply(g->graph, upstream(g, y), y);
        accumulate(g, b, ir_negate(g->graph, ir_divide(g->graph, product, b)));
    }
}

/* What dy leaves for x where x is chosen against 'other': all if "x direction other" holds, half at a tie, else 0. */
static ir_node *share(grad *g, const char *direction, ir_node *x, ir_node *other, ir_node *dy)
{
    ir_graph *at = g->graph;
    ir_node *half = ir_multiply(at, dy, ir_like(at, dy, 0.5));
    ir_node *at_tie = ir_select(at, ir_compare(at, "EQ", x, other), half, ir_like(at, dy, 0));
    return ir_select(at, ir_compare(at, direction, x, other), dy, at_tie);
}

static void grad_choice(grad *g, ir_node *y, const char *direction)
{
    for (int i = 0; i < 2; i++)
        if (toward(g, y->in[i]))
            accumulate(g, y->in[i], share(g, direction, y->in[i], y->in[1 - i], upstream(g, y)));
}

/* y = max(a, b)      da = dy where a > b, dy / 2 where a = b, else 0 */
void grad_maximum(grad *g, ir_node *y)
{
    grad_choice(g, y, "GT");
}

void grad_minimum(grad *g, ir_node *y)
{
    grad_choice(g, y, "LT");
}

/* y = min(t, high), t = max(low, x) */
void grad_clamp(grad *g, ir_node *y)
{
    ir_node *low = y->in[0], *x = y->in[1], *high = y->in[2], *dy = upstream(g, y);
    ir_node *t = ir_maximum(g->graph, low, x), *dt = share(g, "LT", t, high, dy);
    if (toward(g, x))
        accumulate(g, x, share(g, "GT", x, low, dt));
    if (toward(g, low))
        accumulate(g, low, share(g, "GT", low, x, dt));
    if (toward(g, high))
        accumulate(g, high, share(g, "LT", high, t, dy));
}

/* y = a^b      da = dy (b a^(b - 1)), 0 where b = 0      db = dy (y log(a)), 0 where y = 0
 * The exceptions are where the formula would be 0 times infinity. */
void grad_power(grad *g, ir_node *y)
{
    ir_graph *at = g->graph;
    ir_node *a = y->in[0], *b = y->in[1], *dy = upstream(g, y);
    if (toward(g, a)) {
        ir_node *zero = ir_like(at, b, 0);
        ir_node *lower = ir_power(at, a, ir_subtract(at, b, ir_like(at, b, 1)));
        ir_node *slope = ir_select(at, ir_compare(at, "EQ", b, zero), zero, ir_multiply(at, b, lower));
        accumulate(g, a, ir_multiply(at, dy, slope));
    }
    if (toward(g, b)) {
        ir_node *zero = ir_like(at, y, 0);
        ir_node *slope = ir_multiply(at, y, ir_log(at, a));
        slope = ir_select(at, ir_compare(at, "EQ", y, zero), zero, slope);
        accumulate(g, b, ir_multiply(at, dy, slope));
    }
}

/* y = c ? a : b      da = c ? dy : 0      db = c ? 0 : dy */
void grad_select(grad *g, ir_node *y)
{
    ir_node *dy = upstream(g, y);
    if (toward(g, y->in[1]))
        accumulate(g, y->in[1], ir_select(g->graph, y->in[0], dy, ir_like(g->graph, dy, 0)));
    if (toward(g, y->in[2]))
        accumulate(g, y->in[2], ir_select(g->graph, y->in[0], ir_like(g->graph, dy, 0), dy));
}

/* Between floats dx = dy in x's type; an integer wants no gradient. */
void grad_convert(grad *g, ir_node *y)
{
    ir_node *x = y->in[0];
    accumulate(g, x, ir_convert(g->graph, upstream(g, y), x->type.dtype));
}
