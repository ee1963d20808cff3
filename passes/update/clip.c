/* passes/update/clip.c - gradients clipped before the optimizers see them.
 *     row clip @value {most = [1]}:           g = min(max(g, -most), most), element by element        Keras' clipvalue
 *     row clip @norm {most = [1]}:            g = min(1, most / norm) g, norm = sqrt(sum of g's squares)      clipnorm
 *     row clip @global_norm {most = [1]}:     the same, over the squares of all gradients              global_clipnorm
 * (Pascanu et al. 2013.) By value is elementwise: it stays in the kernel that makes the gradient. A norm needs all of
 * it first, of one parameter or of all.
 *
 * The order of a norm's sum is the graph's own, whatever the layouts, kernels, stages and workers: squares are reduced
 * along each row of a parameter's plain layout, the rows are added in order, then the parameters. A norm that is not
 * finite makes every gradient NaN that it is of: a step that has gone wrong shows, where a factor of 0 or 1 would hide
 * it. */
#include "passes/update/update.h"
#include <string.h>

/* One chain over the rows: a window as long as there are rows. */
static ir_node *sum_of_rows(ir_graph *g, ir_node *rows)
{
    ir_dim count = {ir_static_count(&rows->type), false};
    ir_window whole = {.window = {count.n}, .stride = {1}};
    rows = rows->type.rank == 1 ? rows : ir_reshape(g, rows, 1, &count);
    return ir_reshape(g, ir_reduce_window(g, "sum", rows, &whole), 0, NULL);
}

ir_node *update_sum_of_squares(ir_graph *g, ir_node *x)
{
    ir_node *squares = ir_multiply(g, x, x);
    int rank = x->type.rank;
    if (rank > 0)
        squares = ir_reduce(g, "sum", squares, (int64_t[]){rank - 1}, 1);
    return rank > 1 ? sum_of_rows(g, squares) : squares;
}

static double most_of(const ir_row *clip)
{
    return ir_attr_find(clip->attrs, "most")->number[0];
}

/* min(1, most / norm) of the norm whose square this is. */
static ir_node *factor_of(ir_graph *g, const ir_row *clip, ir_node *square)
{
    ir_node *norm = ir_sqrt(g, square);
    ir_node *share = ir_divide(g, ir_like(g, norm, most_of(clip)), norm);
    ir_node *factor = ir_minimum(g, ir_like(g, norm, 1), share);
    return ir_add(g, factor, ir_subtract(g, norm, norm)); /* 0, but NaN where the norm is not finite */
}

bool update_clips_globally(const ir_row *clip)
{
    return clip && !strcmp(clip->name, "global_norm");
}

ir_node *update_clip_factor(ir_graph *g, const ir_row *clip, ir_node *const *gradient, int count)
{
    ir_node *sum = NULL;
    for (int i = 0; i < count; i++) {
        ir_node *own = update_sum_of_squares(g, gradient[i]);
        sum = sum ? ir_add(g, sum, own) : own;
    }
    return factor_of(g, clip, sum);
}

static ir_node *within(ir_graph *g, ir_node *x, double most)
{
    ir_node *above = ir_maximum(g, x, ir_like(g, x, -most));
    return ir_minimum(g, above, ir_like(g, x, most));
}

ir_node *update_clipped(const update *u, ir_node *gradient)
{
    ir_graph *g = u->graph;
    if (!u->clip)
        return gradient;
    if (!strcmp(u->clip->name, "value"))
        return within(g, gradient, most_of(u->clip));
    ir_node *factor = u->clip_factor;
    factor = factor ? factor : factor_of(g, u->clip, update_sum_of_squares(g, gradient));
    return update_times(g, factor, gradient);
}
