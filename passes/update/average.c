/* passes/update/average.c - a mean of each trained parameter's values over the steps, which inference reads.
 *     assign @w <- w     =>     assign @w <- w,  assign @average/w <- a + s (w - a)      a being its value before
 *     row average @ema {decay = [0.999], warmup = [0]}     s = 1 in the first step, then 1 - decay: Keras' use_ema,
 *                                                          PyTorch's get_ema_multi_avg_fn. With a warm-up
 *                                                          1 - min(decay, (1 + t) / (10 + t)), t steps being done
 *     row average @swa {start = [1000], every = [100]}     equal weights: s = 1 up to step 'start', then 1/2, 1/3, ...
 *                                                          after each 'every' more, and 0 between (Izmailov et al.
 *                                                          2018, PyTorch's AveragedModel)
 * s is a scalar that all parameters share. The rest is elementwise: it stands in the kernel of the update. */
#include "passes/update/update.h"
#include <string.h>

/* Of this step, counted from 0. */
static ir_node *ema_share(ir_graph *g, const ir_row *row, ir_node *t)
{
    ir_node *zero = ir_like(g, t, 0), *one = ir_like(g, t, 1);
    ir_node *share = ir_like(g, t, 1 - update_option(row, "decay", 0));
    if (update_option(row, "warmup", 0) != 0) {
        ir_node *below = ir_add(g, t, ir_like(g, t, 10)), *nine = ir_like(g, t, 9);
        share = ir_maximum(g, share, ir_divide(g, nine, below));
    }
    return ir_select(g, ir_compare(g, "EQ", t, zero), one, share);
}

static ir_node *swa_share(ir_graph *g, const ir_row *row, ir_node *t)
{
    ir_node *zero = ir_like(g, t, 0), *one = ir_like(g, t, 1);
    ir_node *past = ir_subtract(g, t, ir_like(g, t, update_option(row, "start", 1) - 1));
    ir_node *turns = ir_divide(g, past, ir_like(g, t, update_option(row, "every", 1)));
    ir_node *due = ir_compare(g, "EQ", turns, ir_floor(g, turns));
    ir_node *equal = ir_divide(g, one, ir_add(g, turns, one));
    ir_node *share = ir_select(g, due, equal, zero);
    return ir_select(g, ir_compare(g, "LE", past, zero), one, share);
}

void update_average_share(update *u, ir_node *step)
{
    ir_node *t = ir_convert(u->graph, step, IR_F32);
    bool ema = !strcmp(u->average->name, "ema");
    u->share = ema ? ema_share(u->graph, u->average, t) : swa_share(u->graph, u->average, t);
}

void update_average(update *u, const ir_symbol *p, ir_node *w)
{
    ir_graph *at = u->graph;
    ir_symbol *y = update_moment(u, "average", p, 0);
    ir_node *a = update_read(u, y);
    ir_node *moved = ir_add(at, a, update_times(at, u->share, ir_subtract(at, w, a)));
    update_assign_later(u, y, ir_flush_below(at, moved, LEAST_MOMENT));
}
