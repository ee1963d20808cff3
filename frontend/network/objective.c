/* frontend/network/objective.c - the sections `losses`, `metrics` and `optimizer`: what a network learns, how that is
 * measured, and by what it learns. */
#include "frontend/network/network.h"
#include <string.h>

static bool weighs(const fe_loss *l, int input)
{
    return l->nin > FE_SAMPLE_WEIGHTS && l->in[FE_SAMPLE_WEIGHTS].index == input;
}

/* Without a name: the last layer for what the net says, the only input that no layer reads, and that does not weigh the
 * examples, for what is true. After an error among inputs and layers nobody can tell which that is. */
static bool default_argument(fe_reader *r, const fe_network *n, const fe_loss *l, int index, fe_ref *out)
{
    int found = 0;
    *out = (fe_ref){false, n->nlayers - 1};
    if (!index)
        return n->nlayers && !n->layers[n->nlayers - 1].failed;
    if (diag_errors(r->d))
        return false;
    for (int i = 0; i < n->ninputs; i++)
        if (!n->inputs[i].layer_reads && !weighs(l, i)) {
            *out = (fe_ref){true, i};
            found++;
        }
    const char *expected = "the name of an input or layer";
    return found == 1 || fe_missing(r, l->at, l->kind->kind.name, l->kind->kind.keys[index].name, expected);
}

/* Labels are read as they are; everything else as f32. */
void fe_note_reading(fe_network *n, fe_loss *l, int index)
{
    l->in_type[index] = fe_ref_type(n, l->in[index]);
    if (!l->in[index].is_input)
        return;
    fe_input *input = &n->inputs[l->in[index].index];
    bool raw = index == FE_TRUE && l->kind->classes && !input->scaled;
    if (index == FE_TRUE)
        l->scaled = input->scaled;
    if (raw)
        l->in_type[index] = input->type;
    *(raw ? &input->raw_reads : &input->loss_reads) = true;
}

/* One number an example, of an input: what a layer makes would have a gradient, and learn to be small. */
static bool read_sample_weights(fe_reader *r, fe_network *n, fe_loss *l)
{
    const fe_option *o = fe_get(l->options, "sample_weights");
    fe_ref *ref = &l->in[FE_SAMPLE_WEIGHTS];
    if (!o->present)
        return !o->failed;
    if (!fe_resolve(r, n, n->nlayers, o->word, o->at, ref))
        return false;
    const char *expected = "an input of shape []";
    if (!ref->is_input)
        return fe_mismatch(r, o->at, "sample_weights", expected, arena_printf(r->mem, "layer '%s'", o->word));
    if (n->inputs[ref->index].type.rank != 1)
        return fe_mismatch(r, o->at, "sample_weights", expected, fe_describe_type(r->mem, &n->inputs[ref->index].type));
    l->nin = FE_LOSS_INPUTS;
    fe_note_reading(n, l, FE_SAMPLE_WEIGHTS);
    return true;
}

static bool read_arguments(fe_reader *r, fe_network *n, fe_loss *l)
{
    bool ok = read_sample_weights(r, n, l);
    for (int i = FE_SAID; i <= FE_TRUE; i++) {
        const fe_option *o = fe_get(l->options, l->kind->kind.keys[i].name);
        bool here = !o->failed && (o->present ? fe_resolve(r, n, n->nlayers, o->word, o->at, &l->in[i])
                                              : default_argument(r, n, l, i, &l->in[i]));
        if (here)
            fe_note_reading(n, l, i);
        ok &= here;
    }
    if (ok && !l->in[0].is_input)
        n->layers[l->in[0].index].is_output = true;
    return ok;
}

static bool is_loss_name_free(fe_reader *r, const fe_network *n, const fe_loss *l)
{
    for (const fe_loss *other = n->losses; other < l; other++)
        if (!strcmp(other->name, l->name))
            return fe_twice(r, l->at, "name", l->name, other->at);
    return true;
}

static bool read_loss(fe_reader *r, fe_network *n, const fe_choice *const *entries, int index)
{
    fe_loss *l = &n->losses[index];
    const fe_choice *c = entries[index];
    const fe_option *name = fe_get(c, "name");
    bool nameless = name->failed || (c->stranger && !name->present);
    *l = (fe_loss){.options = c, .at = c->at, .nin = 2, .failed = true};
    l->kind = c->stranger ? NULL : (const fe_loss_kind *)(const void *)c->kind;
    l->name = fe_entry_name(r, entries, index);
    l->weight = fe_get_number(c, "weight");
    bool ok = l->kind && read_arguments(r, n, l);
    ok &= nameless || is_loss_name_free(r, n, l);
    l->failed = !ok || c->failed || !l->kind->check(r, l);
    return !l->failed;
}

bool fe_read_losses(fe_reader *r, fe_network *n, const fe_yaml *y)
{
    bool ok = true;
    if (!fe_expect_kind(r, y, "losses", FE_LIST, "a list of losses"))
        return false;
    if (!y->count)
        return fe_mismatch(r, y->at, "losses", "a list of losses", "[]");
    const fe_choice **entries = arena_new_array(r->mem, const fe_choice *, (size_t)y->count);
    n->losses = arena_new_array(r->mem, fe_loss, (size_t)y->count);
    for (; n->nlosses < y->count && !fe_enough(r); n->nlosses++) {
        entries[n->nlosses] = fe_read_entry(r, &fe_losses, y->item[n->nlosses]);
        ok &= read_loss(r, n, entries, n->nlosses);
    }
    return ok;
}

/* After an error: may a loss have a name that could not be read? */
static bool has_lost_loss(const fe_network *n)
{
    bool lost = !n->nlosses;
    for (int i = 0; i < n->nlosses; i++)
        lost |= !n->losses[i].kind;
    return lost;
}

/* The loss a metric belongs to: the one it names, or the only one. */
static const fe_loss *metric_loss(fe_reader *r, const fe_network *n, const fe_choice *c)
{
    const fe_option *o = fe_get(c, "loss");
    if (!o->present && n->nlosses <= 1)
        return n->losses; /* none if they could not be read */
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
    if (!has_lost_loss(n))
        fe_unknown(r, o->at, "loss", o->word, names, (size_t)n->nlosses);
    return NULL;
}

/* The sums of every network. */
static bool is_reserved(fe_reader *r, src_loc at, const char *name)
{
    if (strcmp(name, "loss") && strcmp(name, "examples") && strcmp(name, "penalty"))
        return false;
    fe_mismatch(r, at, "name", "a name other than loss, examples and penalty, which are the network's", name);
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

static bool read_metric(fe_reader *r, fe_network *n, const fe_yaml *y)
{
    const fe_choice *c = fe_read_choice(r, &fe_metrics, y);
    if (!c)
        return false;
    fe_metric *m = &n->metrics[n->nmetrics++];
    const fe_option *name = fe_get(c, "name");
    *m = (fe_metric){.name = name->present ? name->word : c->kind->name,
                     .at = c->at,
                     .loss = metric_loss(r, n, c),
                     .kind = (const fe_metric_kind *)(const void *)c->kind,
                     .options = c};
    bool ok = is_metric_name_free(r, n, m) && m->loss && m->loss->kind;
    return ok && (m->loss->failed || m->kind->check(r, c, m->loss));
}

fe_metric fe_metric_at(const fe_metric *m, src_loc at, const fe_loss *l)
{
    fe_metric copy = *m;
    copy.at = at;
    copy.loss = l;
    return copy;
}

bool fe_read_metrics(fe_reader *r, fe_network *n, const fe_yaml *y)
{
    bool ok = true;
    if (!fe_expect_kind(r, y, "metrics", FE_LIST, "a list of metrics"))
        return false;
    n->metrics = arena_new_array(r->mem, fe_metric, (size_t)y->count + 1);
    for (int i = 0; i < y->count && !fe_enough(r); i++)
        ok &= read_metric(r, n, y->item[i]);
    return ok;
}

/* A loss name is also its metric's where there are several. */
static bool check_loss_names(fe_reader *r, const fe_network *n)
{
    bool ok = true;
    for (int i = 0; n->nlosses > 1 && i < n->nlosses && !fe_enough(r); i++)
        ok &= !is_reserved(r, n->losses[i].at, n->losses[i].name);
    return ok;
}

bool fe_check_trainable(fe_reader *r, const fe_network *n, src_loc at)
{
    bool has_frozen = false;
    for (int i = 0; i < n->nlayers; i++) {
        if (fe_learns(&n->layers[i]))
            return true;
        has_frozen |= n->layers[i].nparams > 0;
    }
    return fe_mismatch(r, at, "losses", "a layer with parameters to train", has_frozen ? "only frozen ones" : "none");
}

static bool read_optimizer(fe_reader *r, fe_network *n, const fe_yaml *y, const fe_yaml *losses)
{
    if (!y)
        return !n->lost_sections && fe_missing(r, losses->at, "losses", "optimizer", "one such as adam or sgd");
    n->optimizer = fe_read_choice(r, &fe_optimizers, y);
    return n->optimizer;
}

bool fe_read_objective(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml *losses = fe_yaml_find(root, "losses"), *metric_list = fe_yaml_find(root, "metrics");
    const fe_yaml *optimizer = fe_yaml_find(root, "optimizer");
    if (!losses) {
        const fe_yaml *orphan = metric_list ? metric_list : optimizer;
        return !orphan || n->lost_sections ||
               fe_missing(r, orphan->at, metric_list ? "metrics" : "optimizer", "losses", "a list of losses");
    }
    bool ok = fe_read_losses(r, n, losses);
    ok &= check_loss_names(r, n);
    ok &= !metric_list || fe_read_metrics(r, n, metric_list);
    return read_optimizer(r, n, optimizer, losses) && ok;
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

const char *fe_metric_labels(const fe_network *n, const char *metric)
{
    for (int i = 0; i < n->nmetrics; i++)
        if (!strcmp(n->metrics[i].name, metric) && n->metrics[i].loss->in[1].is_input)
            return n->inputs[n->metrics[i].loss->in[1].index].name;
    return NULL;
}
