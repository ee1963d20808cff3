/* frontend/network/build_objective.c - losses, metrics and the optimizer as parts of a module.
 *
 * A loss gives f32[B], one number an example. The total is the weighted sum of all losses, summed over the batch; in
 * train_step it is what `minimize` takes, with the caller's loss_scale as cotangent. Metrics are sums in f64 states:
 *     metric.loss += sum of the total, metric.examples += B, metric.accuracy += hits, metric.<name> for each of several
 *     losses; metric.precision.of is what metric.precision is divided by in place of the examples; and counts that
 *     several metrics of a loss are made of are metric.<loss>.classes, metric.<loss>.matrix
 * and the host divides, or does what else the row of the metric says. */
#include "frontend/network/network.h"
#include <string.h>

/* ---- symbols and rows ---- */

static const char *sum_name(const ir_module *m, const char *name)
{
    return arena_printf(m->mem, "metric.%s", name);
}

static fe_measure measure_of(const fe_metric *m)
{
    return fe_measure_of(m->kind, m->options, m->loss);
}

/* The state with a metric's sums above, and the one below. */
static const char *above_name(const ir_module *m, const fe_metric *metric, const fe_measure *how)
{
    if (how->shared)
        return sum_name(m, arena_printf(m->mem, "%s.%s", metric->loss->name, how->shared));
    return sum_name(m, metric->name);
}

static const char *below_name(const ir_module *m, const fe_metric *metric, const fe_measure *how)
{
    return sum_name(m, how->counts ? arena_printf(m->mem, "%s.of", metric->name) : "examples");
}

static ir_row *add_row(ir_module *m, const char *name, const char *formula, bool higher_is_better, src_loc at)
{
    int64_t higher = higher_is_better;
    ir_row *row = ir_row_new(m, "metric", name, at);
    ir_attr_set_word(m->mem, &row->attrs, "kind", formula);
    ir_attr_set_ints(m->mem, &row->attrs, "higher_is_better", &higher, 1);
    return row;
}

static void add_sums_to_row(ir_module *m, ir_row *row, const char *sum, const char *count)
{
    ir_attr_set_word(m->mem, &row->attrs, "sum", sum);
    ir_attr_set_word(m->mem, &row->attrs, "count", count);
}

static void add_loss_row(ir_module *m, const char *name, src_loc at)
{
    add_sums_to_row(m, add_row(m, name, "mean", false, at), sum_name(m, name), sum_name(m, "examples"));
}

static void add_metric_row(const fe_network *n, ir_module *m, const fe_metric *metric)
{
    const fe_measure how = measure_of(metric);
    const fe_loss *l = metric->loss;
    ir_row *row = add_row(m, metric->name, how.formula, metric->kind->higher_is_better, metric->at);
    if (how.average)
        ir_attr_set_word(m->mem, &row->attrs, "average", how.average);
    if (how.evaluated)
        ir_attr_set_ints(m->mem, &row->attrs, "evaluated", (int64_t[]){1}, 1);
    if (how.build) {
        add_sums_to_row(m, row, above_name(m, metric, &how), below_name(m, metric, &how));
    } else {
        ir_attr_set_word(m->mem, &row->attrs, "scores", n->layers[l->in[0].index].name);
        ir_attr_set_word(m->mem, &row->attrs, "labels", n->inputs[l->in[1].index].name);
    }
}

/* Every metric that has a value of its own: the loss, each of several losses, then those asked for. */
void fe_metric_rows(const fe_network *n, ir_module *m)
{
    if (n->nlosses)
        add_loss_row(m, "loss", n->losses[0].at);
    if (n->nlosses && fe_has_penalties(n))
        add_loss_row(m, "penalty", n->losses[0].at);
    for (int i = 0; n->nlosses > 1 && i < n->nlosses; i++)
        add_loss_row(m, n->losses[i].name, n->losses[i].at);
    for (int i = 0; i < n->nmetrics; i++)
        add_metric_row(n, m, &n->metrics[i]);
}

static void add_sum(ir_module *m, const char *name, int rank, const int64_t *dim, src_loc at)
{
    double zero = 0;
    ir_type type = ir_type_scalar(IR_F64);
    type.rank = rank;
    for (int i = 0; i < rank; i++)
        type.dim[i] = (ir_dim){dim[i], false};
    ir_symbol *s = ir_symbol_new(m, SEG_STATE, name, type, at);
    ir_attr_set_word(m->mem, &s->attrs, "init", "constant");
    ir_attr_set_numbers(m->mem, &s->attrs, "a", &zero, 1);
}

static void add_metric_sums(ir_module *m, const fe_metric *metric)
{
    const fe_measure how = measure_of(metric);
    const char *above = above_name(m, metric, &how);
    if (!how.build)
        return;
    if (!ir_symbol_find(m, above))
        add_sum(m, above, how.rank, how.dim, metric->at);
    if (how.counts)
        add_sum(m, below_name(m, metric, &how), 0, NULL, metric->at);
}

void fe_declare_metrics(const fe_network *n, ir_module *m)
{
    if (!n->nlosses)
        return;
    add_sum(m, sum_name(m, "loss"), 0, NULL, n->losses[0].at);
    if (fe_has_penalties(n))
        add_sum(m, sum_name(m, "penalty"), 0, NULL, n->losses[0].at);
    for (int i = 0; n->nlosses > 1 && i < n->nlosses; i++)
        add_sum(m, sum_name(m, n->losses[i].name), 0, NULL, n->losses[i].at);
    for (int i = 0; i < n->nmetrics; i++)
        add_metric_sums(m, &n->metrics[i]);
    add_sum(m, sum_name(m, "examples"), 0, NULL, n->losses[0].at);
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

/* state += amount */
static void add_to(fe_builder *b, const char *state, ir_node *amount)
{
    ir_symbol *s = ir_symbol_find(b->m, state);
    ir_assign(b->g, s, ir_add(b->g, ir_state(b->g, s), amount));
}

static void add_to_metric(fe_builder *b, const char *name, ir_node *amount)
{
    add_to(b, sum_name(b->m, name), amount);
}

/* The sum over the batch, in f64, of a value an example; what has no batch is added up already. */
static ir_node *sum_examples(ir_graph *g, ir_node *each)
{
    ir_node *x = ir_convert(g, each, IR_F64);
    return ir_batch_dim(&x->type) < 0 ? x : ir_reduce(g, "sum", x, (int64_t[]){0}, 1);
}

static ir_node *argument(fe_function *f, const fe_loss *l, int index)
{
    fe_ref ref = l->in[index];
    if (!ref.is_input)
        return f->layers[ref.index];
    return l->in_type[index].dtype == IR_F32 ? f->inputs[ref.index] : f->raw[ref.index];
}

/* What the host puts in order is a result of evaluate, once. */
static void give_scores(fe_function *f, const fe_metric *m)
{
    int layer = m->loss->in[0].index;
    const char *name = f->net->layers[layer].name;
    for (int i = 0; i < f->b.g->nresults; i++)
        if (!strcmp(f->b.g->result_names[i], name))
            return;
    if (!f->b.training)
        ir_result_add(f->b.g, name, f->layers[layer]);
}

/* Of metrics that share their sums the first one adds to them. */
static bool is_first(const fe_network *n, const fe_metric *m, const fe_measure *how)
{
    for (const fe_metric *before = n->metrics; how->shared && before < m; before++) {
        const char *shared = measure_of(before).shared;
        if (before->loss == m->loss && shared && !strcmp(shared, how->shared))
            return false;
    }
    return true;
}

static void build_metric(fe_function *f, const fe_metric *m)
{
    fe_builder *b = &f->b;
    const fe_measure how = measure_of(m);
    if (!how.build)
        give_scores(f, m);
    if (!how.build || (how.evaluated && b->training) || !is_first(f->net, m, &how))
        return;
    fe_aim(b, m->at, m->name, "forward");
    ir_node *const in[2] = {argument(f, m->loss, 0), argument(f, m->loss, 1)};
    fe_quotient q = how.build(b, m->options, m->loss, in);
    add_to(b, above_name(b->m, m, &how), sum_examples(b->g, q.above));
    if (q.below)
        add_to(b, below_name(b->m, m, &how), sum_examples(b->g, q.below));
}

/* The weighted loss of each example, f32[B]. */
static ir_node *build_loss(fe_function *f, const fe_loss *l)
{
    fe_builder *b = &f->b;
    fe_aim(b, l->at, l->name, "forward");
    ir_node *in[FE_LOSS_INPUTS] = {NULL};
    for (int i = 0; i < l->nin; i++) {
        in[i] = argument(f, l, i);
        if (l->stops[i] && b->training)
            in[i] = ir_stop_gradient(b->g, in[i]);
    }
    ir_node *each = l->kind->build(b, l, in);
    if (in[FE_SAMPLE_WEIGHTS])
        each = ir_multiply(b->g, each, in[FE_SAMPLE_WEIGHTS]);
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
