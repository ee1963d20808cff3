/* passes/update/clip.c - gradients clipped by their global norm, as Keras' global_clipnorm does (Pascanu et al. 2013).
 *     row clip @global_norm {most = [1]}:     norm = sqrt(sum of the squares of all gradients)
 *                                             g = min(1, most / norm) g
 *
 * The order of the sum is the graph's own, whatever the layouts, kernels, stages and workers: squares are reduced along
 * each row of a parameter's plain layout, the rows are added in order, then the parameters. A norm that is not finite
 * makes every gradient NaN: a step that has gone wrong shows, where a factor of 0 or 1 would hide it. */
#include "passes/update/update.h"

/* One chain over the rows: a window as long as there are rows. */
static ir_node *sum_of_rows(ir_graph *g, ir_node *rows)
{
    ir_dim count = {ir_static_count(&rows->type), false};
    ir_window whole = {.window = {count.n}, .stride = {1}};
    rows = rows->type.rank == 1 ? rows : ir_reshape(g, rows, 1, &count);
    return ir_reshape(g, ir_reduce_window(g, "sum", rows, &whole), 0, NULL);
}

static ir_node *sum_of_squares(ir_graph *g, ir_node *x)
{
    ir_node *squares = ir_multiply(g, x, x);
    int rank = x->type.rank;
    if (rank > 0)
        squares = ir_reduce(g, "sum", squares, (int64_t[]){rank - 1}, 1);
    return rank > 1 ? sum_of_rows(g, squares) : squares;
}

ir_node *update_clip_factor(ir_graph *g, const ir_row *row, ir_node *const *gradient, int count)
{
    ir_node *sum = NULL;
    for (int i = 0; i < count; i++) {
        ir_node *own = sum_of_squares(g, gradient[i]);
        sum = sum ? ir_add(g, sum, own) : own;
    }
    ir_node *norm = ir_sqrt(g, sum);
    ir_node *most = ir_like(g, norm, ir_attr_find(row->attrs, "most")->number[0]);
    ir_node *share = ir_divide(g, most, norm);
    ir_node *factor = ir_minimum(g, ir_like(g, norm, 1), share);
    return ir_add(g, factor, ir_subtract(g, norm, norm)); /* 0, but NaN where the norm is not finite */
}

ir_node *update_clipped(ir_graph *g, ir_node *gradient, ir_node *factor)
{
    return ir_multiply(g, ir_broadcast_scalar(g, factor, gradient->type), gradient);
}
