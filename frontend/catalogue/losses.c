/* frontend/catalogue/losses.c - losses and metrics: their catalogues, and what they add to a function.
 *
 * A loss gives f32[B], one number an example. The total is the weighted sum of all losses, summed over the batch; in
 * train_step it is what `minimize` takes, with the caller's loss_scale as cotangent. Metrics are sums in f64 states:
 *     metric.loss += sum of the total, metric.examples += B, metric.accuracy += hits, metric.<name> for each of several
 *     losses
 * and the host divides. */
#include "frontend/network/network.h"
#include <string.h>

/* ---- rules of the losses ---- */

static bool wrong_argument(fe_reader *r, const fe_loss *l, int index, const char *expected)
{
    const fe_key *key = &l->kind->kind.keys[index];
    const fe_option *given = fe_get(l->options, key->name);
    return fe_mismatch(r, given->present ? given->at : l->at, key->name, expected,
                       fe_describe_type(r->mem, &l->in_type[index]));
}

static bool check_error(fe_reader *r, fe_loss *l)
{
    if (ir_type_equal(&l->in_type[0], &l->in_type[1]))
        return true;
    return wrong_argument(r, l, 1, fe_describe_type(r->mem, &l->in_type[0]));
}

/* The mean over an example's elements, f32[B]. */
static ir_node *mean_each(ir_graph *g, ir_node *x)
{
    int64_t dims[IR_MAX_RANK];
    int count = x->type.rank - 1;
    for (int i = 0; i < count; i++)
        dims[i] = i + 1;
    if (!count)
        return x;
    ir_node *sum = ir_reduce(g, "sum", x, dims, count);
    return ir_divide(g, sum, ir_like(g, sum, (double)ir_static_count(&x->type)));
}

static ir_node *build_mean_squared_error(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    ir_node *error = ir_subtract(b->g, in[0], in[1]);
    return mean_each(b->g, ir_multiply(b->g, error, error));
}

static ir_node *build_mean_absolute_error(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    return mean_each(b->g, ir_abs(b->g, ir_subtract(b->g, in[0], in[1])));
}

static bool check_classes(fe_reader *r, fe_loss *l)
{
    if (l->in_type[0].rank != 2)
        return wrong_argument(r, l, 0, "float32 of shape [classes]");
    if (l->in_type[1].rank != 1 || l->in_type[1].dtype != IR_I32)
        return wrong_argument(r, l, 1, "an input of int32 of shape [], without scale");
    return true;
}

/* log(sum e^(x - max)) - (x[label] - max), as a composite: its own gradient, softmax minus one-hot, is exact where the
 * primitive one would cancel. */
static ir_node *build_softmax_cross_entropy(fe_builder *b, const fe_loss *l, ir_node *const *in)
{
    (void)l;
    ir_graph *g = ir_region_new(b->m);
    g->at = b->g->at;
    ir_node *logits = ir_input_new(g, "logits", in[0]->type), *labels = ir_input_new(g, "labels", in[1]->type);
    ir_type numbers = logits->type;
    numbers.dtype = IR_I32;
    ir_node *highest = ir_stop_gradient(g, fe_reduce_last(g, "max", logits));
    ir_node *shifted = ir_subtract(g, logits, fe_spread_rows(g, highest, logits));
    ir_node *log_sum = ir_log(g, fe_reduce_last(g, "sum", ir_exponential(g, shifted)));
    ir_node *label = fe_spread_rows(g, labels, logits);
    ir_node *chosen = ir_compare(g, "EQ", label, ir_iota(g, numbers, 1));
    ir_node *picked = fe_reduce_last(g, "sum", ir_select(g, chosen, shifted, ir_like(g, shifted, 0)));
    ir_result_add(g, NULL, ir_subtract(g, log_sum, picked));
    return ir_composite(b->g, "softmax_cross_entropy", in, 2, g);
}

#define LOSS(name, of, against, later, check, build, classes)                                                          \
    {                                                                                                                  \
        {#name, NULL, {{of, FE_NAME, NULL}, {against, FE_NAME, NULL}}, later}, check, build, classes                   \
    }

static const fe_loss_kind rows[] = {
    LOSS(mean_squared_error, "predictions", "targets", false, check_error, build_mean_squared_error, false),
    LOSS(mean_absolute_error, "predictions", "targets", false, check_error, build_mean_absolute_error, false),
    LOSS(softmax_cross_entropy, "logits", "labels", false, check_classes, build_softmax_cross_entropy, true),
    LOSS(huber, "predictions", "targets", true, NULL, NULL, false),
    LOSS(sigmoid_cross_entropy, "logits", "labels", true, NULL, NULL, false),
};

const fe_catalogue fe_losses = {"loss",
                                rows,
                                sizeof rows / sizeof *rows,
                                sizeof *rows,
                                {{"weight", FE_NOT_NEGATIVE, "1"}, {"name", FE_NAME, NULL}}};

static const fe_kind metric_rows[] = {
    {.name = "accuracy", .keys = {{"loss", FE_NAME, NULL}, {"name", FE_NAME, "accuracy"}}},
};

static const fe_catalogue metrics = {
    "metric", metric_rows, sizeof metric_rows / sizeof *metric_rows, sizeof *metric_rows, {{0}}};

/* ---- reading ---- */

/* Without a name: the last layer for what the net says, the only input that no layer reads for what is true. */
static bool default_argument(fe_reader *r, const fe_network *n, const fe_loss *l, int index, fe_ref *out)
{
    int found = 0;
    *out = (fe_ref){false, n->nlayers - 1};
    for (int i = 0; index && i < n->ninputs; i++)
        if (!n->inputs[i].layer_reads) {
            *out = (fe_ref){true, i};
            found++;
        }
    if (!index || found == 1)
        return true;
    const char *expected = "the name of an input or layer";
    return fe_missing(r, l->at, l->kind->kind.name, l->kind->kind.keys[index].name, expected);
}

/* Labels are read as they are; everything else as f32. */
static void note_reading(fe_network *n, fe_loss *l, int index)
{
    l->in_type[index] = fe_ref_type(n, l->in[index]);
    if (!l->in[index].is_input)
        return;
    fe_input *input = &n->inputs[l->in[index].index];
    bool raw = index == 1 && l->kind->classes && !input->scaled;
    if (raw)
        l->in_type[index] = input->type;
    *(raw ? &input->raw_reads : &input->loss_reads) = true;
}

static bool read_loss(fe_reader *r, fe_network *n, const fe_choice *const *entries, int index)
{
    fe_loss *l = &n->losses[index];
    const fe_choice *c = entries[index];
    *l = (fe_loss){.kind = (const fe_loss_kind *)(const void *)c->kind, .options = c, .at = c->at};
    l->name = fe_entry_name(r, entries, index);
    l->weight = fe_get_number(c, "weight");
    for (int i = 0; i < 2; i++) {
        const fe_option *o = fe_get(c, c->kind->keys[i].name);
        bool ok = o->present ? fe_resolve(r, n, n->nlayers, o->word, o->at, &l->in[i])
                             : default_argument(r, n, l, i, &l->in[i]);
        if (!ok)
            return false;
        note_reading(n, l, i);
    }
    if (!l->in[0].is_input)
        n->layers[l->in[0].index].is_output = true;
    for (int i = 0; i < index; i++)
        if (!strcmp(n->losses[i].name, l->name))
            return fe_twice(r, l->at, "name", l->name, n->losses[i].at);
    return l->kind->check(r, l);
}

static bool read_losses(fe_reader *r, fe_network *n, const fe_yaml *y)
{
    if (!fe_expect_kind(r, y, "losses", FE_LIST, "a list of losses"))
        return false;
    const fe_choice **entries = arena_new_array(r->mem, const fe_choice *, (size_t)y->count + 1);
    for (int i = 0; i < y->count; i++)
        if (!(entries[i] = fe_read_choice(r, &fe_losses, y->item[i])))
            return false;
    n->losses = arena_new_array(r->mem, fe_loss, (size_t)y->count + 1);
    n->nlosses = y->count;
    for (int i = 0; i < y->count; i++)
        if (!read_loss(r, n, entries, i))
            return false;
    return true;
}

/* The loss a metric belongs to: the one it names, or the only one. */
static const fe_loss *metric_loss(fe_reader *r, const fe_network *n, const fe_choice *c)
{
    const fe_option *o = fe_get(c, "loss");
    if (!o->present && n->nlosses == 1)
        return &n->losses[0];
    if (!o->present) {
        fe_missing(r, c->at, c->kind->name, "loss", "the name of one of several losses");
        return NULL;
    }
    const char **names = arena_new_array(r->mem, const char *, (size_t)n->nlosses + 1);
    for (int i = 0; i < n->nlosses; i++) {
        names[i] = n->losses[i].name;
        if (!strcmp(names[i], o->word))
            return &n->losses[i];
    }
    fe_unknown(r, o->at, "loss", o->word, names, (size_t)n->nlosses);
    return NULL;
}

/* The sums of every network. */
static bool is_reserved(fe_reader *r, src_loc at, const char *name)
{
    if (strcmp(name, "loss") && strcmp(name, "examples"))
        return false;
    fe_mismatch(r, at, "name", "a name other than loss and examples, which every network has", name);
    return true;
}

static bool is_metric_name_free(fe_reader *r, const fe_network *n, const fe_metric *m)
{
    if (is_reserved(r, m->at, m->name))
        return false;
    for (int i = 0; n->nlosses > 1 && i < n->nlosses; i++)
        if (!strcmp(n->losses[i].name, m->name))
            return fe_twice(r, m->at, "metric name", m->name, n->losses[i].at);
    for (const fe_metric *other = n->metrics; other < m; other++)
        if (!strcmp(other->name, m->name))
            return fe_twice(r, m->at, "metric name", m->name, other->at);
    return true;
}

static bool read_metrics(fe_reader *r, fe_network *n, const fe_yaml *y)
{
    if (!fe_expect_kind(r, y, "metrics", FE_LIST, "a list of metrics"))
        return false;
    n->metrics = arena_new_array(r->mem, fe_metric, (size_t)y->count + 1);
    for (int i = 0; i < y->count; i++) {
        fe_metric *m = &n->metrics[n->nmetrics++];
        const fe_choice *c = fe_read_choice(r, &metrics, y->item[i]);
        if (!c)
            return false;
        *m = (fe_metric){fe_get(c, "name")->word, c->at, metric_loss(r, n, c)};
        if (!m->loss || !is_metric_name_free(r, n, m))
            return false;
        if (!m->loss->kind->classes)
            return fe_mismatch(r, c->at, c->kind->name, "a loss with class labels (softmax_cross_entropy)",
                               m->loss->kind->kind.name);
    }
    return true;
}

/* A loss name is also its metric's where there are several. */
static bool check_loss_names(fe_reader *r, const fe_network *n)
{
    for (int i = 0; n->nlosses > 1 && i < n->nlosses; i++)
        if (is_reserved(r, n->losses[i].at, n->losses[i].name))
            return false;
    return true;
}

static bool check_trainable(fe_reader *r, const fe_network *n, src_loc at)
{
    for (int i = 0; i < n->nlayers; i++)
        for (int k = 0; k < n->layers[i].nparams; k++)
            if (!n->layers[i].param[k].state)
                return true;
    return fe_mismatch(r, at, "losses", "a layer with parameters to train", "none");
}

bool fe_read_objective(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml *losses = fe_yaml_find(root, "losses"), *metric_list = fe_yaml_find(root, "metrics");
    const fe_yaml *optimizer = fe_yaml_find(root, "optimizer");
    if (!losses) {
        const fe_yaml *orphan = metric_list ? metric_list : optimizer;
        return !orphan ||
               fe_missing(r, orphan->at, metric_list ? "metrics" : "optimizer", "losses", "a list of losses");
    }
    if (!read_losses(r, n, losses) || !check_loss_names(r, n))
        return false;
    if (!n->nlosses)
        return fe_mismatch(r, losses->at, "losses", "a list of losses", "[]");
    if (metric_list && !read_metrics(r, n, metric_list))
        return false;
    if (!optimizer)
        return fe_missing(r, losses->at, "losses", "optimizer", "adam or sgd");
    n->optimizer = fe_read_choice(r, &fe_optimizers, optimizer);
    return n->optimizer && check_trainable(r, n, losses->at);
}

int64_t fe_classes(const fe_network *n, const char *input)
{
    for (int i = 0; i < n->nlosses; i++) {
        const fe_loss *l = &n->losses[i];
        if (l->kind->classes && l->in[1].is_input && !strcmp(n->inputs[l->in[1].index].name, input))
            return l->in_type[0].dim[1].n;
    }
    return 0;
}

/* ---- building ---- */

typedef void metric_rule(ir_module *m, const char *name, bool higher_is_better, src_loc at);

/* Every metric that has a value of its own: the loss, each of several losses, then those asked for. */
static void for_each_metric(const fe_network *n, ir_module *m, metric_rule *rule)
{
    if (n->nlosses)
        rule(m, "loss", false, n->losses[0].at);
    for (int i = 0; n->nlosses > 1 && i < n->nlosses; i++)
        rule(m, n->losses[i].name, false, n->losses[i].at);
    for (int i = 0; i < n->nmetrics; i++)
        rule(m, n->metrics[i].name, true, n->metrics[i].at);
}

static void add_row(ir_module *m, const char *name, bool higher_is_better, src_loc at)
{
    int64_t higher = higher_is_better;
    ir_row *row = ir_row_new(m, "metric", name, at);
    ir_attr_set_word(m->mem, &row->attrs, "kind", "mean");
    ir_attr_set_word(m->mem, &row->attrs, "sum", arena_printf(m->mem, "metric.%s", name));
    ir_attr_set_word(m->mem, &row->attrs, "count", "metric.examples");
    ir_attr_set_ints(m->mem, &row->attrs, "higher_is_better", &higher, 1);
}

static void add_sum_state(ir_module *m, const char *name, bool higher_is_better, src_loc at)
{
    (void)higher_is_better;
    double zero = 0;
    ir_symbol *s = ir_symbol_new(m, SEG_STATE, arena_printf(m->mem, "metric.%s", name), ir_type_scalar(IR_F64), at);
    ir_attr_set_word(m->mem, &s->attrs, "init", "constant");
    ir_attr_set_numbers(m->mem, &s->attrs, "a", &zero, 1);
}

void fe_metric_rows(const fe_network *n, ir_module *m)
{
    for_each_metric(n, m, add_row);
}

void fe_declare_metrics(const fe_network *n, ir_module *m)
{
    for_each_metric(n, m, add_sum_state);
    if (n->nlosses)
        add_sum_state(m, "examples", false, n->losses[0].at);
}

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

static ir_node *argument(fe_builder *b, const fe_loss *l, int index)
{
    fe_ref ref = l->in[index];
    if (!ref.is_input)
        return b->layers[ref.index];
    return l->in_type[index].dtype == IR_F32 ? b->inputs[ref.index] : b->raw[ref.index];
}

static void place_at(fe_builder *b, src_loc at, const char *name)
{
    b->g->at.line = at.line;
    b->g->at.col = at.col;
    b->g->at_label = arena_printf(b->m->mem, "%s.forward", name);
}

static void build_accuracy(fe_builder *b, const fe_metric *m)
{
    place_at(b, m->at, m->name);
    ir_node *guess = fe_reduce_last(b->g, "argmax", argument(b, m->loss, 0));
    ir_node *hit = ir_compare(b->g, "EQ", guess, argument(b, m->loss, 1));
    add_to_metric(b, m->name, sum_examples(b->g, hit));
}

/* The weighted loss of each example, f32[B]. */
static ir_node *build_loss(fe_builder *b, const fe_loss *l)
{
    place_at(b, l->at, l->name);
    ir_node *in[2] = {argument(b, l, 0), argument(b, l, 1)};
    ir_node *each = l->kind->build(b, l, in);
    if (l->weight != 1)
        each = ir_multiply(b->g, each, ir_like(b->g, each, l->weight));
    return each;
}

void fe_build_objective(fe_builder *b)
{
    ir_graph *g = b->g;
    const fe_network *n = b->net;
    ir_node *total = NULL;
    for (int i = 0; i < n->nlosses; i++) {
        ir_node *each = build_loss(b, &n->losses[i]);
        if (n->nlosses > 1)
            add_to_metric(b, n->losses[i].name, sum_examples(g, each));
        total = total ? ir_add(g, total, each) : each;
    }
    place_at(b, n->losses[0].at, "loss");
    if (b->training) {
        ir_node *sum = ir_reduce(g, "sum", total, (int64_t[]){0}, 1);
        ir_minimize(g, sum, ir_call_value(g, "loss_scale"));
    }
    add_to_metric(b, "loss", sum_examples(g, total));
    add_to_metric(b, "examples", ir_convert(g, ir_batch_size(g), IR_F64));
    for (int i = 0; i < n->nmetrics; i++)
        build_accuracy(b, &n->metrics[i]);
}
