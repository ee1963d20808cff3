/* frontend/network/build_objective.c - losses, metrics and the optimizer as parts of a module.
 *
 * A loss gives f32[B], one number an example. The total is the weighted sum of all losses, summed over the batch; in
 * train_step it is what `minimize` takes, with the caller's loss_scale as cotangent. Metrics are sums in f64 states:
 *     metric.loss += sum of the total, metric.examples += B, metric.accuracy += hits, metric.<name> for each of several
 *     losses; metric.precision.of is what metric.precision is divided by in place of the examples
 * and the host divides. */
#include "frontend/network/network.h"
#include <string.h>

/* ---- symbols and rows ---- */

/* 'counts': the metric has a sum of its own to divide by, "metric.NAME.of". */
typedef void metric_rule(ir_module *m, const char *name, bool higher_is_better, bool counts, src_loc at);

/* Every metric that has a value of its own: the loss, each of several losses, then those asked for. */
static void for_each_metric(const fe_network *n, ir_module *m, metric_rule *rule)
{
    if (n->nlosses)
        rule(m, "loss", false, false, n->losses[0].at);
    if (n->nlosses && fe_has_penalties(n))
        rule(m, "penalty", false, false, n->losses[0].at);
    for (int i = 0; n->nlosses > 1 && i < n->nlosses; i++)
        rule(m, n->losses[i].name, false, false, n->losses[i].at);
    for (int i = 0; i < n->nmetrics; i++)
        rule(m, n->metrics[i].name, n->metrics[i].kind->higher_is_better, n->metrics[i].kind->counts, n->metrics[i].at);
}

static const char *count_name(ir_module *m, const char *name)
{
    return arena_printf(m->mem, "%s.of", name);
}

static void add_row(ir_module *m, const char *name, bool higher_is_better, bool counts, src_loc at)
{
    int64_t higher = higher_is_better;
    ir_row *row = ir_row_new(m, "metric", name, at);
    ir_attr_set_word(m->mem, &row->attrs, "kind", "mean");
    ir_attr_set_word(m->mem, &row->attrs, "sum", arena_printf(m->mem, "metric.%s", name));
    const char *count = counts ? count_name(m, name) : "examples";
    ir_attr_set_word(m->mem, &row->attrs, "count", arena_printf(m->mem, "metric.%s", count));
    ir_attr_set_ints(m->mem, &row->attrs, "higher_is_better", &higher, 1);
}

static void add_sum(ir_module *m, const char *name, src_loc at)
{
    double zero = 0;
    ir_symbol *s = ir_symbol_new(m, SEG_STATE, arena_printf(m->mem, "metric.%s", name), ir_type_scalar(IR_F64), at);
    ir_attr_set_word(m->mem, &s->attrs, "init", "constant");
    ir_attr_set_numbers(m->mem, &s->attrs, "a", &zero, 1);
}

static void add_sums(ir_module *m, const char *name, bool higher_is_better, bool counts, src_loc at)
{
    (void)higher_is_better;
    add_sum(m, name, at);
    if (counts)
        add_sum(m, count_name(m, name), at);
}

void fe_metric_rows(const fe_network *n, ir_module *m)
{
    for_each_metric(n, m, add_row);
}

void fe_declare_metrics(const fe_network *n, ir_module *m)
{
    for_each_metric(n, m, add_sums);
    if (n->nlosses)
        add_sum(m, "examples", n->losses[0].at);
}

/* Every key of an optimizer that has a value, but the rate, is a number of its row. */
static void add_numbers(ir_module *m, ir_row *row, const fe_choice *c)
{
    for (int i = 0; i < c->count; i++) {
        const fe_option *o = &c->options[i];
        double value = o->key->type == FE_BOOL ? o->yes : o->number;
        if (o->present && o->key->type != FE_RATE)
            ir_attr_set_numbers(m->mem, &row->attrs, o->key->name, &value, 1);
    }
}

static void add_decay(ir_module *m, ir_row *row, const fe_group *g)
{
    if (g->decay)
        ir_attr_set_numbers(m->mem, &row->attrs, "weight_decay", &g->decay->number, 1);
    if (g->decay && g->decays_all)
        ir_attr_set_ints(m->mem, &row->attrs, "decay_vectors", &(int64_t){1}, 1);
}

static void add_average(ir_module *m, const fe_choice *c)
{
    ir_row *row = ir_row_new(m, "average", c->kind->name, c->at);
    for (int i = 0; i < c->count; i++) {
        const fe_option *o = &c->options[i];
        double value = o->key->type == FE_BOOL ? o->yes : o->key->type == FE_COUNT ? (double)o->list[0] : o->number;
        ir_attr_set_numbers(m->mem, &row->attrs, o->key->name, &value, 1);
    }
}

/* `row rate @learning_rate {...}`, which fe_build_rate completes, `row optimizer @adam {...}`, `row group @NAME
 * {optimizer = sgd, ...}`; and `row clip @norm {...}` and `row average @ema {...}` where these are asked for. */
void fe_build_rows(const fe_network *n, ir_module *m)
{
    const fe_choice *c = n->optimizer;
    if (!c)
        return;
    ir_row *row = ir_row_new(m, "rate", "learning_rate", c->at);
    ir_attr_set_word(m->mem, &row->attrs, "kind", "constant");
    add_numbers(m, ir_row_new(m, "optimizer", c->kind->name, c->at), c);
    for (int i = 0; i < n->ngroups; i++) {
        const fe_group *g = &n->groups[i];
        const fe_choice *optimizer = fe_group_optimizer(n, g);
        row = ir_row_new(m, "group", g->name, g->at);
        ir_attr_set_word(m->mem, &row->attrs, "optimizer", optimizer->kind->name);
        add_numbers(m, row, optimizer);
        add_decay(m, row, g);
    }
    if (n->gradient_clip) {
        row = ir_row_new(m, "clip", n->gradient_clip->key->name, n->gradient_clip->at);
        ir_attr_set_numbers(m->mem, &row->attrs, "most", &n->gradient_clip->number, 1);
    }
    if (n->averaging)
        add_average(m, n->averaging);
}

void fe_build_rate(const fe_network *n, ir_module *m)
{
    if (!n->optimizer)
        return;
    const fe_option *rate = fe_get(n->optimizer, "learning_rate");
    fe_build_schedule(m, ir_row_find(m, "rate", "learning_rate"), n->own_rate ? n->own_rate : rate);
    for (int i = 0; i < n->ngroups; i++) {
        double multiple = fe_group_multiple(n, &n->groups[i]);
        ir_attr_set_numbers(m->mem, &ir_row_find(m, "group", n->groups[i].name)->attrs, "rate", &multiple, 1);
    }
}

/* ---- functions ---- */

/* metric.<name> += amount */
static void add_to_metric(fe_builder *b, const char *name, ir_node *amount)
{
    ir_symbol *s = ir_symbol_find(b->m, arena_printf(b->m->mem, "metric.%s", name));
    ir_assign(b->g, s, ir_add(b->g, ir_state(b->g, s), amount));
}

/* The sum over the batch, in f64, of a value an example. */
static ir_node *sum_examples(ir_graph *g, ir_node *each)
{
    return ir_reduce(g, "sum", ir_convert(g, each, IR_F64), (int64_t[]){0}, 1);
}

static ir_node *argument(fe_function *f, const fe_loss *l, int index)
{
    fe_ref ref = l->in[index];
    if (!ref.is_input)
        return f->layers[ref.index];
    return l->in_type[index].dtype == IR_F32 ? f->inputs[ref.index] : f->raw[ref.index];
}

static void build_metric(fe_function *f, const fe_metric *m)
{
    fe_builder *b = &f->b;
    fe_aim(b, m->at, m->name, "forward");
    ir_node *const in[2] = {argument(f, m->loss, 0), argument(f, m->loss, 1)};
    fe_quotient q = m->kind->build(b, m->options, m->loss, in);
    add_to_metric(b, m->name, sum_examples(b->g, q.above));
    if (q.below)
        add_to_metric(b, count_name(b->m, m->name), sum_examples(b->g, q.below));
}

/* The weighted loss of each example, f32[B]. */
static ir_node *build_loss(fe_function *f, const fe_loss *l)
{
    fe_builder *b = &f->b;
    fe_aim(b, l->at, l->name, "forward");
    ir_node *in[2] = {argument(f, l, 0), argument(f, l, 1)};
    for (int i = 0; i < 2; i++)
        if (l->stops[i] && b->training)
            in[i] = ir_stop_gradient(b->g, in[i]);
    ir_node *each = l->kind->build(b, l, in);
    if (l->weight != 1)
        each = ir_multiply(b->g, each, ir_like(b->g, each, l->weight));
    return each;
}

void fe_build_objective(fe_function *f)
{
    fe_builder *b = &f->b;
    ir_graph *g = b->g;
    const fe_network *n = f->net;
    ir_node *total = NULL;
    for (int i = 0; i < n->nlosses; i++) {
        ir_node *each = build_loss(f, &n->losses[i]);
        if (n->nlosses > 1)
            add_to_metric(b, n->losses[i].name, sum_examples(g, each));
        total = total ? ir_add(g, total, each) : each;
    }
    fe_aim(b, n->losses[0].at, "loss", "forward");
    if (b->training) {
        ir_node *sum = ir_reduce(g, "sum", total, (int64_t[]){0}, 1);
        ir_minimize(g, sum, ir_call_value(g, "loss_scale"));
    }
    add_to_metric(b, "loss", sum_examples(g, total));
    if (fe_has_penalties(n))
        add_to_metric(b, "penalty", ir_convert(g, fe_all_penalties(f), IR_F64));
    add_to_metric(b, "examples", ir_convert(g, ir_batch_size(g), IR_F64));
    for (int i = 0; i < n->nmetrics; i++)
        build_metric(f, &n->metrics[i]);
}
