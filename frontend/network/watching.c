/* frontend/network/watching.c - metrics that `train` watches from epoch to epoch: `early_stopping` and
 * `reduce_on_plateau`. */
#include "frontend/network/network.h"
#include "frontend/network/sections.h"
#include <string.h>

#define MONITOR_KEYS(patience, min_delta)                                                                              \
    {"monitor", FE_TREE, NULL}, {"mode", FE_NAME, "auto"}, {"patience", FE_COUNT, patience},                           \
    {                                                                                                                  \
        "min_delta", FE_NOT_NEGATIVE, min_delta                                                                        \
    }

const fe_kind fe_early_stopping_keys = {.name = "early_stopping",
                                        .short_key = "patience",
                                        .keys = {MONITOR_KEYS("1", "0"), {"restore_best", FE_BOOL, "false"}}};

const fe_kind fe_plateau_keys = {.name = "reduce_on_plateau",
                                 .short_key = "patience",
                                 .keys = {MONITOR_KEYS("10", "0.0001"),
                                          {"factor", FE_FRACTION, "0.1"},
                                          {"cooldown", FE_WHOLE, "0"},
                                          {"minimum", FE_NOT_NEGATIVE, "0"}}};

static const char *const modes[] = {"auto", "min", "max"};

enum { MODES = sizeof modes / sizeof *modes };

/* `false` leaves out what the file's `train` says for all stages. */
static bool is_off(const fe_yaml *y)
{
    return y->kind == FE_SCALAR && !y->quoted && !strcmp(y->word, "false");
}

static bool read_watch(fe_reader *r, const fe_kind *kind, const fe_option *o, fe_watch *w, const fe_choice **out)
{
    *out = NULL;
    *w = (fe_watch){.present = false};
    if (!o->present || is_off(o->tree))
        return true;
    const fe_choice *c = *out = fe_read_options(r, kind, NULL, o->tree);
    if (!c)
        return false;
    const fe_option *monitor = fe_get(c, "monitor"), *mode = fe_get(c, "mode");
    *w = (fe_watch){.present = true, .loc = monitor->present ? monitor->at : c->at, .metric = "validation.loss"};
    w->patience = fe_get_int(c, "patience");
    w->min_delta = fe_get_number(c, "min_delta");
    while (w->mode < MODES && strcmp(modes[w->mode], mode->word))
        w->mode++;
    if (w->mode == MODES)
        return fe_unknown(r, mode->at, "mode", mode->word, modes, MODES);
    if (!monitor->present)
        return true;
    w->metric = monitor->tree->word;
    return fe_expect_kind(r, monitor->tree, "monitor", FE_SCALAR, "the name of a metric, as validation.loss");
}

bool fe_read_watches(fe_reader *r, const fe_choice *train, fe_train *t)
{
    const fe_choice *stop, *plateau;
    bool ok = read_watch(r, &fe_early_stopping_keys, fe_get(train, "early_stopping"), &t->early_stopping, &stop);
    ok &= read_watch(r, &fe_plateau_keys, fe_get(train, "reduce_on_plateau"), &t->plateau, &plateau);
    if (stop)
        t->early_stopping.restore_best = fe_get_bool(stop, "restore_best");
    if (plateau) {
        t->plateau.factor = fe_get_number(plateau, "factor");
        t->plateau.cooldown = fe_get_int(plateau, "cooldown");
        t->plateau.minimum = fe_get_number(plateau, "minimum");
    }
    return ok;
}

/* ---- against the network ---- */

typedef struct {
    const char **names;
    size_t count;
    arena *mem;
} monitors;

static void add_metric(monitors *m, const char *name, bool in_training)
{
    if (in_training)
        m->names[m->count++] = arena_printf(m->mem, "train.%s", name);
    m->names[m->count++] = arena_printf(m->mem, "validation.%s", name);
}

/* A metric of one number, which may be measured on validation data alone. */
static void add_own_metric(monitors *m, const fe_metric *metric)
{
    const fe_measure how = fe_measure_of(metric->kind, metric->options, metric->loss);
    if (strcmp(how.formula, "confusion_matrix") && (!how.average || strcmp(how.average, "none")))
        add_metric(m, metric->name, how.build && !how.evaluated);
}

/* What can be watched: the loss, each of several losses, the metrics. */
static monitors all_monitors(fe_reader *r, const fe_network *n)
{
    size_t most = 2 * (size_t)(n->nlosses + n->nmetrics + 2);
    monitors m = {arena_new_array(r->mem, const char *, most), 0, r->mem};
    add_metric(&m, "loss", true);
    if (fe_has_penalties(n))
        add_metric(&m, "penalty", true);
    for (int i = 0; n->nlosses > 1 && i < n->nlosses; i++)
        add_metric(&m, n->losses[i].name, true);
    for (int i = 0; i < n->nmetrics; i++)
        add_own_metric(&m, &n->metrics[i]);
    return m;
}

static bool check_watch(fe_reader *r, const fe_network *n, const fe_watch *w)
{
    monitors m = all_monitors(r, n);
    size_t i = 0;
    if (!w->present)
        return true;
    while (i < m.count && strcmp(m.names[i], w->metric))
        i++;
    if (i == m.count)
        return fe_unknown(r, w->loc, "monitor", w->metric, m.names, m.count);
    return strncmp(w->metric, "validation.", 11) || fe_data(n, "validation")->present ||
           fe_mismatch(r, w->loc, "monitor", "validation data to measure it on", "none");
}

/* The best epoch is that which early stopping watches, or the validation loss says. */
static bool check_best(fe_reader *r, const fe_network *n, bool stages)
{
    const fe_train *t = &n->train;
    if (!t->keep_best)
        return true;
    if (stages)
        return fe_mismatch(r, t->loc, "keep_best", "a network that learns as a whole",
                           "stages that learn on their own");
    return t->early_stopping.present || fe_data(n, "validation")->present ||
           fe_mismatch(r, t->loc, "keep_best", "validation data to measure it on", "none");
}

static bool check_network(fe_reader *r, const fe_network *n)
{
    return !n->nlosses || (check_watch(r, n, &n->train.early_stopping) && check_watch(r, n, &n->train.plateau));
}

bool fe_check_watches(fe_reader *r, const fe_network *n)
{
    const fe_hierarchy *h = n->hierarchy;
    for (int i = 0; h && i < h->count; i++)
        if (!check_network(r, h->parts[i].net) || !check_best(r, h->parts[i].net, true))
            return false;
    if (!check_best(r, n, h))
        return false;
    return (h && !h->fine_tune_epochs) || check_network(r, n);
}
